/* ravel compare: several systems under the same conditions, and the report about them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/comparison.h"
#include "compare/cost.h"
#include "compare/dry_run.h"
#include "compare/jobs.h"
#include "overrides.h"
#include "tool.h"

enum { OPT_CELL = 256, OPT_THREADS, OPT_JSON, OPT_NO_TIMES };

typedef struct {
    rv_overrides over;
    bool list, json, dry_run, no_times;
    int cell, jobs, threads; /* threads -1: not given */
} arguments;

static const struct argp_option options[] = {
    {"list", 'l', 0, 0, "Print every cell and its state", 0},
    {"json", OPT_JSON, 0, 0, "With --list: as JSON", 0},
    {"cell", OPT_CELL, "N", 0, "Run one cell (for a batch system's job arrays)", 0},
    {"jobs", 'j', "N", 0, "Cells at once; results do not depend on it (default: one per core)", 0},
    {"threads", OPT_THREADS, "N", 0, "With --cell: threads (default: one per core)", 0},
    {"dry-run", 'n', 0, 0, "Print the plan: matched widths, sizes, steps, the time expected", 0},
    {"no-times", OPT_NO_TIMES, 0, 0, "Leave out of the report all that depends on the clock or the machine", 0},
    RV__QUIET(0),
    {0},
};

enum { CELLS_MOST = 1000000 };

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 'l': a->list = true; return 0;
    case 'n': a->dry_run = true; return 0;
    case 'j': a->jobs = (int)rv__tool_whole(arg, "--jobs", 1, 1024, state); return 0;
    case OPT_JSON: a->json = true; return 0;
    case OPT_NO_TIMES: a->no_times = true; return 0;
    case ARGP_KEY_SUCCESS:
        if (a->json && !a->list)
            argp_error(state, "--json goes with --list; a comparison's results as JSON are in its report.json");
        if (a->threads >= 0 && !a->cell)
            argp_error(state, "--threads goes with --cell; --jobs says how many cells run at once");
        if (a->list + a->dry_run + (a->cell > 0) > 1)
            argp_error(state, "--list, --dry-run and --cell: give one of them");
        if (a->jobs && (a->list || a->dry_run || a->cell))
            argp_error(state, "--jobs is for running a comparison; leave it out");
        return 0;
    case OPT_CELL: a->cell = (int)rv__tool_whole(arg, "--cell", 1, CELLS_MOST, state); return 0;
    case OPT_THREADS: a->threads = (int)rv__tool_whole(arg, "--threads", 0, 1024, state); return 0;
    default: return rv__overrides_parse(&a->over, "a comparison's file", key, arg, state);
    }
}

static const char *const kinds[] = {"tune", "train", "cost"}, *const states[] = {"missing", "stopped",  "running",
                                                                                 "done",    "diverged", "not needed"};

static void list(const rv_comparison *c, bool as_json) {
    json_t *rows = json_array();
    if (!as_json) printf("%5s %-6s %-20s %-32s %6s  %s\n", "cell", "kind", "model", "setting", "seed", "state");
    for (int i = 1; i <= rv_comparison_cells(c); i++) {
        int64_t step;
        long pid;
        rv_cell_info cell = rv_comparison_cell(c, i);
        rv_cell_state now = rv_cell_look(c, i, &step, &pid);
        char detail[64] = "", rate[128] = "";
        if (now == RV_CELL_RUNNING && pid > 0) snprintf(detail, sizeof detail, ", pid %ld", pid);
        if (now == RV_CELL_STOPPED)
            snprintf(detail, sizeof detail, " at step %lld of %lld", (long long)step, (long long)cell.steps);
        if (cell.kind == RV_CELL_TUNE)
            snprintf(rate, sizeof rate, "lr=%g%s%s", cell.lr, *cell.with ? " " : "", cell.with);
        if (!as_json) {
            printf("%5d %-6s %-20s %-32s %6lld  %s%s\n", i, kinds[cell.kind], cell.model, *rate ? rate : cell.setting,
                   (long long)cell.seed, states[now], detail);
            continue;
        }
        json_t *row =
            json_pack("{s:i, s:s, s:s, s:s, s:I, s:s, s:s}", "cell", i, "kind", kinds[cell.kind], "model", cell.model,
                      "setting", cell.setting, "seed", (json_int_t)cell.seed, "state", states[now], "path", cell.path);
        if (cell.kind == RV_CELL_TUNE) json_object_set_new(row, "lr", json_real(cell.lr));
        if (*cell.with) json_object_set_new(row, "with", json_string(cell.with));
        if (now == RV_CELL_STOPPED) json_object_set_new(row, "step", json_integer(step));
        if (now == RV_CELL_RUNNING && pid > 0) json_object_set_new(row, "pid", json_integer(pid));
        json_array_append_new(rows, row);
    }
    if (as_json) {
        json_dumpf(rows, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        printf("\n");
    }
    json_decref(rows);
}

static rv_status one_cell(const rv_comparison *c, const arguments *a) {
    if (a->cell > rv_comparison_cells(c))
        return rv_error(RV_EUSAGE, "there is no cell %d; the comparison has %d (ravel compare %s --list)", a->cell,
                        rv_comparison_cells(c), c->file);
    return rv_cell_run(c, a->cell, a->threads < 0 ? 0 : a->threads);
}

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}
static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* Quality in a few lines, and where the rest is. */
static void print_results(const rv_comparison *c, const json_t *report) {
    size_t i, k;
    json_t *q, *row;
    json_array_foreach (json_object_get(report, "quality"), i, q) {
        if (*text(q, "setting")) printf("%s, ", text(q, "setting"));
        printf("%s (%s is better), with %g %% intervals\n", text(q, "metric"),
               json_is_true(json_object_get(q, "higher_is_better")) ? "more" : "less", 100 * number(q, "level"));
        json_array_foreach (json_object_get(q, "models"), k, row) {
            if (json_is_null(json_object_get(row, "value"))) {
                printf("  %-24s %10s\n", text(row, "model"), "-");
                continue;
            }
            printf("  %-24s %10.4g   [%.4g, %.4g]\n", text(row, "model"), number(row, "value"), number(row, "low"),
                   number(row, "high"));
        }
        json_array_foreach (json_object_get(q, "pairs"), k, row) {
            const char *verdict = text(row, "verdict"), *why = text(row, "why");
            const char *better = !strcmp(verdict, "a") ? text(row, "a") : !strcmp(verdict, "b") ? text(row, "b") : NULL;
            printf("  %s and %s: %s%s%s%s\n", text(row, "a"), text(row, "b"), better ? better : verdict,
                   better ? " is better" : "", *why ? ": " : "", why);
        }
    }
    json_array_foreach (json_object_get(json_object_get(report, "cost"), "crossings"), i, row)
        if (json_is_number(json_object_get(row, "length"))) /* the others are in the report */
            printf("%s on %d thread%s: %s\n", text(row, "phase"), (int)number(row, "threads"),
                   number(row, "threads") > 1 ? "s" : "", text(row, "text"));
    const double others = number(json_object_get(json_object_get(report, "cost"), "other_work"), "most");
    if (others > 0.25)
        printf("while costs were measured, other programs used up to %.1f of %d CPUs: times are longer for it\n",
               others, rv_threads());
    printf("%s/report.html\n", c->dir);
}

static rv_status report(const rv_comparison *c, bool times) {
    json_t *document;
    rv_status status = rv_comparison_write_report(c, times, &document);
    if (status == RV_OK) print_results(c, document);
    json_decref(document);
    return status;
}

int rv_cmd_compare(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "COMPARISON [compare.key=value ...]",
        "Train several systems under the same conditions, measure what they cost, and write a report.\v"
        "The same command again continues where it stopped; several at once, on one machine or on machines that share "
        "the folder, share the work. "
        "Everything goes into the comparison's folder (compare.dir). "
        "COMPARISON is a YAML file, or the name of one that comes with ravel: 'ravel config list'.\n\n"
        "examples:\n"
        "  ravel compare quickstart\n"
        "  ravel compare --dry-run experiments/quickstart/compare.yaml\n"
        "  ravel compare --list depth/compare-fast\n"
        "  ravel compare --cell 3 experiments/quickstart/compare.yaml",
        0,
        0,
        0};
    if (argc == 2 && !strcmp(argv[1], "--cost-worker"))
        return rv__tool_finish(rv_cost_serve(stdin, stdout)); /* started by rv_cost_run */
    arguments a = {.threads = -1};
    rv__tool_parse(&argp, argc, argv, &a);
    rv_comparison *c = NULL;
    char path[RV_PATH_MAX];
    rv_status status = rv_experiment_find(a.over.path, true, path);
    if (status == RV_OK) status = rv_comparison_open(path, a.over.n, a.over.text, &c);
    if (status == RV_OK) status = rv_comparison_plan(c, !a.dry_run && !a.list);
    int code = 0;
    if (status == RV_OK && a.list)
        list(c, a.json);
    else if (status == RV_OK && a.dry_run)
        status = rv__dry_run(c);
    else if (status == RV_OK && a.cell)
        status = one_cell(c, &a);
    else if (status == RV_OK)
        code = rv__jobs_run(c, &(rv__jobs_options){a.jobs ? a.jobs : rv_threads(), a.over.n, a.over.text});
    if (status == RV_OK && !code && !a.list && !a.dry_run && !a.cell) status = report(c, !a.no_times);
    rv_comparison_close(c);
    return status == RV_OK && code ? code : rv__tool_finish(status);
}

/* ravel report */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compare/comparison.h"
#include "io/json_file.h"
#include "base/file.h"
#include "report/runs.h"
#include "tool.h"
#include "report/page.h"

enum { RUNS_MOST = 256, OVERRIDES_MOST = 256, OPT_NO_TIMES = 256, OPT_WORDS, OPT_FIGURES };

typedef struct {
    const char *path[RUNS_MOST];
    int n;
    const char *output, *figures;
    bool json;
    rv_report_options report;
} arguments;

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0,
     "Where report.json and report.html go (default: the folder of the only run or of the comparison; else report)", 0},
    {"json", 'j', 0, 0, "Print the document of numbers instead of writing files", 0},
    {"no-times", OPT_NO_TIMES, 0, 0, "Leave out all that depends on the clock or the machine", 0},
    {"metrics", 'm', "NAME,...", 0,
     "Metrics of the test examples, the most important first (default: every one there is)", 0},
    {"bins", 'b', "N,N,...", 0, "Quality by length: examples of up to N source tokens, of up to the next N, ...", 0},
    {"words", OPT_WORDS, 0, 0, "Lengths for --bins in words of the source", 0},
    {"figures", OPT_FIGURES, "DIR", 0, "Write the line charts as SVG files, too, for a paper or a README", 0},
    {"quiet", 'q', 0, 0, "Say only warnings and errors", 0},
    {0},
};

static void parse_metrics(rv_report_options *o, char *arg, struct argp_state *state) {
    o->n_metrics = 0;
    for (char *at, *name = strtok_r(arg, ",", &at); name; name = strtok_r(NULL, ",", &at)) {
        if (o->n_metrics == RV_REPORT_METRICS) argp_error(state, "--metrics takes up to %d names", RV_REPORT_METRICS);
        o->metrics[o->n_metrics++] = name;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 'o': a->output = arg; return 0;
    case 'j': a->json = true; return 0;
    case 'm': parse_metrics(&a->report, arg, state); return 0;
    case 'b':
        a->report.n_bins = rv__tool_wholes(arg, "--bins", RV_REPORT_BINS, INT32_MAX, true, a->report.most, state);
        return 0;
    case 'q': rv_log_set_level(RV_LOG_WARN); return 0;
    case OPT_NO_TIMES: a->report.times = false; return 0;
    case OPT_FIGURES: a->figures = arg; return 0;
    case OPT_WORDS: a->report.words = true; return 0;
    case ARGP_KEY_ARG:
        if (a->n == RUNS_MOST) argp_error(state, "more than %d runs", RUNS_MOST);
        a->path[a->n++] = arg;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "name one or more runs' folders"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- writing */

static rv_status print(const json_t *report) {
    json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    putchar('\n');
    return RV_OK;
}

static rv_status draw(const arguments *a, const json_t *report, const char *dir) {
    char path[RV__PATH];
    RV_TRY(rv__path(path, "%s/report.html", dir));
    RV_TRY(rv_report_page(report, path));
    if (a->figures) RV_TRY(rv_report_figures(report, a->figures));
    printf("%s\n", path);
    return RV_OK;
}

static rv_status deliver(const arguments *a, const json_t *report, const char *dir) {
    char path[RV__PATH];
    if (a->json) return print(report);
    RV_TRY(rv__make_folders(dir));
    RV_TRY(rv__path(path, "%s/report.json", dir));
    RV_TRY(rv_json_write(report, path));
    return draw(a, report, dir);
}

/* ---- what can be reported */

/* RV_EUSAGE if no run is measured by a metric that --metrics names. */
static rv_status check_metrics(const arguments *a, const json_t *report) {
    json_t *all = json_object(), *run, *value;
    const char *name;
    char list[1024] = "";
    size_t i, n = 0;
    rv_status status = RV_OK;
    json_array_foreach (json_object_get(report, "runs"), i, run) json_object_update(all, json_object_get(run, "test"));
    json_array_foreach (json_object_get(report, "quality"), i, run)
        json_object_set_new(all, json_string_value(json_object_get(run, "metric")), json_true());
    json_object_foreach (all, name, value)
        if (n < sizeof list) n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", name);
    for (int k = 0; k < a->report.n_metrics && status == RV_OK; k++)
        if (!json_object_get(all, a->report.metrics[k]))
            status = rv_error(RV_EUSAGE, "--metrics: nothing here is measured by '%s'; %s%s", a->report.metrics[k],
                              n ? "there are: " : "without --metrics the report has all that there are", list);
    json_decref(all);
    return status;
}

static rv_status of_runs(const arguments *a) {
    rv_report_runs_of runs;
    char name[RV__PATH];
    rv_status status = rv__runs_open(&runs, a->n, a->path);
    if (status == RV_OK) {
        int n = runs.n_models;
        snprintf(name, sizeof name, "%s%s%s%s%s", runs.model[0],
                 n > 2   ? ", "
                 : n > 1 ? " and "
                         : "",
                 n > 1 ? runs.model[1] : "",
                 n == 3  ? " and "
                 : n > 3 ? " and others"
                         : "",
                 n == 3 ? runs.model[2] : "");
        rv_report_input in = {.name = name,
                              .model = runs.model,
                              .setting = (const char *const[]){""},
                              .run = runs.run,
                              .n_models = n,
                              .n_settings = 1,
                              .n_runs = runs.n,
                              .options = a->report};
        json_t *report = NULL;
        in.options.pictures = runs.pictures;
        status = rv_report_build(&in, &report);
        if (status == RV_OK) status = check_metrics(a, report);
        if (status == RV_OK) status = deliver(a, report, a->output ? a->output : a->n == 1 ? a->path[0] : "report");
        json_decref(report);
    }
    rv__runs_release(&runs);
    return status;
}

static rv_status of_comparison(const arguments *a, const char *file, int n_overrides, const char *const *overrides) {
    rv_comparison *c = NULL;
    json_t *report = NULL;
    if (a->report.n_metrics || a->report.n_bins || a->report.words)
        return rv_error(RV_EUSAGE,
                        "%s says itself which metrics and lengths its report has (compare.report.metrics, "
                        "compare.quality); --metrics, --bins and --words are for runs",
                        file);
    rv_status status = rv_comparison_open(file, n_overrides, overrides, &c);
    if (status == RV_OK) status = rv_comparison_plan(c, false);
    if (status == RV_OK) status = rv_comparison_report(c, a->report.times, &report);
    if (status == RV_OK) status = deliver(a, report, a->output ? a->output : c->dir);
    json_decref(report);
    rv_comparison_close(c);
    return status;
}

/* A comparison's folder: its last report says what it was made from. */
static rv_status of_comparison_folder(const arguments *a, const char *dir) {
    char path[RV__PATH];
    const char *override[OVERRIDES_MOST];
    int n = 0;
    size_t i;
    json_t *given;
    RV_TRY(rv__path(path, "%s/report.json", dir));
    json_t *report = json_load_file(path, 0, NULL), *from = json_object_get(report, "made_from");
    const char *file = json_string_value(json_object_get(from, "file"));
    json_array_foreach (json_object_get(from, "set"), i, given)
        if (json_is_string(given) && n < OVERRIDES_MOST) override[n++] = json_string_value(given);
    rv_status status =
        !file || access(file, R_OK)
            ? rv_error(
                  RV_EUSAGE,
                  "%s is a comparison's folder; the file that it was made from, %s, cannot be read from here; name "
                  "that file: ravel report COMPARISON.yaml",
                  dir, file ? file : "which no report.json tells")
            : of_comparison(a, file, n, override);
    json_decref(report);
    return status;
}

static rv_status of_document(const arguments *a, const char *file) {
    json_error_t error;
    json_t *report = json_load_file(file, 0, &error);
    if (!report)
        return rv_error(RV_EDATA, "%s:%d: %s; a report.json is expected here", file, error.line > 0 ? error.line : 1,
                        error.text);
    char dir[RV__PATH];
    const char *slash = strrchr(file, '/');
    rv_status status = rv__path(dir, "%.*s", slash ? (int)(slash - file) : 1, slash ? file : ".");
    if (status == RV_OK && a->output) status = rv__make_folders(a->output);
    if (status == RV_OK) status = draw(a, report, a->output ? a->output : dir);
    json_decref(report);
    return status;
}

static bool has(const char *dir, const char *name) {
    char path[RV__PATH];
    return rv__path(path, "%s/%s", dir, name) == RV_OK && access(path, F_OK) == 0;
}

static rv_status report(const arguments *a) {
    const char *first = a->path[0], *dot = strrchr(first, '.');
    struct stat s;
    bool file = stat(first, &s) == 0 && S_ISREG(s.st_mode);
    if (a->n > 1) return of_runs(a);
    if (file && dot && !strcmp(dot, ".json")) return of_document(a, first);
    if (file) return of_comparison(a, first, 0, NULL);
    return has(first, "plan.json") ? of_comparison_folder(a, first) : of_runs(a);
}

int rv_cmd_report(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "RUN... | COMPARISON | report.json",
        "Write numbers (report.json) and charts (report.html) of finished runs.\v"
        "RUN is a run's folder; runs that differ only in the seed are shown as one model. What a run was not measured "
        "for yet is measured first. "
        "COMPARISON is the file of 'ravel compare' or its folder: its report is made again from the cells that are "
        "done. "
        "From a report.json alone the page is drawn again.\n\n"
        "examples:\n"
        "  ravel report runs/shakespeare-gpt\n"
        "  ravel report --output report runs/multi30k-bahdanau-1 runs/multi30k-bahdanau-2 runs/multi30k-transformer-1\n"
        "  ravel report --bins 10,20,30 --words --metrics bleu,loss runs/multi30k-bahdanau-1\n"
        "  ravel report --json --no-times runs/shakespeare-gpt\n"
        "  ravel report runs/dates --figures pictures",
        0,
        0,
        0};
    arguments a = {.report = {.level = 0.95, .resamples = 1000, .samples = 8, .times = true}};
    rv__tool_parse(&argp, argc, argv, &a);
    return rv__tool_finish(report(&a));
}

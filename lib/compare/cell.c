/* One cell: what the disk says of it, and running it to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parallel.h"
#include "compare/compare_private.h"
#include "compare/cost.h"
#include "compare/measure.h"
#include "base/stop.h"
#include "train/trainer.h"

enum {
    COST_BATCH = 8,
    COST_REPEATS = 3,
    COST_SECONDS = 20
}; /* sequences; fewest in a round; most that all rounds of one measurement may take */

static void outcome_path(const rv_cell_info *cell, char path[RV_PATH_MAX]) {
    snprintf(path, RV_PATH_MAX, "%.*s%s", RV_PATH_MAX - 16, cell->path,
             cell->kind == RV_CELL_COST ? "" : "/outcome.json");
}

static bool is_text(const json_t *o, const char *key, const char *text) {
    const char *s = json_string_value(json_object_get(o, key));
    return s && !strcmp(s, text);
}

bool rv__cell_complete(const rv_cell_info *cell) {
    char path[RV_PATH_MAX];
    outcome_path(cell, path);
    return !access(path, F_OK);
}

bool rv__cell_diverged(const rv_cell_info *cell) {
    char path[RV_PATH_MAX];
    json_t *outcome = NULL;
    if (cell->kind == RV_CELL_COST || !rv__cell_complete(cell)) return false;
    outcome_path(cell, path);
    const bool diverged = rv_json_read(path, &outcome) == RV_OK && is_text(outcome, "status", "diverged");
    json_decref(outcome);
    return diverged;
}

/* A rate beyond those listed that turned out to be of no use. */
static bool not_needed(const rv_comparison *c, const rv_cell_info *cell) {
    rv__wanted wanted;
    int missing;
    return cell->beyond && rv__beyond_wanted(c, cell->beyond, &wanted, &missing) == RV_OK && wanted == RV__NOT_WANTED;
}

/* The folder whose lock stands for the cell: measurements of cost have one for all, since they want the machine for
 * themselves. */
static void lock_path(const rv_comparison *c, const rv_cell_info *cell, char path[RV_PATH_MAX]) {
    if (cell->kind == RV_CELL_COST)
        snprintf(path, RV_PATH_MAX, "%s/cost", c->dir);
    else
        snprintf(path, RV_PATH_MAX, "%s", cell->path);
}

rv_cell_state rv_cell_look(const rv_comparison *c, int number, int64_t *step, long *pid) {
    rv_cell_info cell = rv_comparison_cell(c, number);
    char path[RV_PATH_MAX];
    lock_path(c, &cell, path);
    const bool complete = rv__cell_complete(&cell);
    long owner = complete ? 0 : rv_run_dir_owner(path);
    if (pid) *pid = owner;
    if (step) *step = -1;
    if (complete) return rv__cell_diverged(&cell) ? RV_CELL_DIVERGED : RV_CELL_DONE;
    if (not_needed(c, &cell)) return RV_CELL_NOT_NEEDED;
    int64_t *steps = NULL;
    int n = 0;
    if (cell.kind != RV_CELL_COST && rv_run_dir_list(cell.path, &steps, &n) == RV_OK && n && step) *step = steps[n - 1];
    free(steps);
    return owner ? RV_CELL_RUNNING : n ? RV_CELL_STOPPED : RV_CELL_MISSING;
}

/* True if `other` must be complete before the cell. beyond: rates beyond those listed are planned, so that any model's
 * trials decide what all models try. */
static bool needs(const rv_cell_info *cell, const rv_cell_info *other, bool beyond) {
    if (cell->kind == RV_CELL_COST) return other->kind != RV_CELL_COST;
    if (cell->kind == RV_CELL_TUNE) return cell->beyond && other->kind == RV_CELL_TUNE && !other->beyond;
    return other->kind == RV_CELL_TUNE && (beyond || !strcmp(cell->model, other->model));
}

bool rv_cell_ready(const rv_comparison *c, int number) {
    rv_cell_info cell = rv_comparison_cell(c, number);
    const bool beyond = rv__beyond_planned(c, -1) || rv__beyond_planned(c, 1);
    for (int i = 1; i < number; i++) {
        rv_cell_info other = rv_comparison_cell(c, i);
        if (needs(&cell, &other, beyond) && !rv__cell_complete(&other) && !not_needed(c, &other)) return false;
    }
    return true;
}

/* ---- running */

static rv_status write_outcome(const rv_cell_info *cell, const char *status, int64_t step, const char *message) {
    char path[RV_PATH_MAX];
    outcome_path(cell, path);
    json_t *outcome = json_pack("{s:s, s:I, s:o}", "status", status, "step", (json_int_t)step, "message",
                                message ? json_string(message) : json_null());
    rv_status result = rv_json_write(outcome, path);
    json_decref(outcome);
    return result;
}

const json_t *rv__model_of(const rv_comparison *c, const char *label) {
    size_t i;
    json_t *m;
    json_array_foreach (json_object_get(c->plan, "models"), i, m)
        if (!strcmp(json_string_value(json_object_get(m, "model")), label)) return m;
    return NULL;
}

static rv_status configure(const rv_comparison *c, const rv_cell_info *cell, int threads, rv_config **out) {
    json_t *more = json_array();
    rv_status status = cell->kind == RV_CELL_TRAIN ? rv__tuned(c, cell, more) : RV_OK;
    if (cell->kind != RV_CELL_COST) rv__assign(more, "checkpoint.dir='%s'", cell->path);
    if (threads > 0) rv__assign(more, "runtime.threads=%d", threads);
    if (status == RV_OK)
        status = rv__model_config(rv__model_of(c, cell->model), json_object_get(cell->entry, "set"), more, out);
    json_decref(more);
    return status;
}

/* The step after which a run ended. */
static int64_t last_step(const char *dir) {
    int64_t *steps = NULL, last = 0;
    int n = 0;
    if (rv_run_dir_list(dir, &steps, &n) == RV_OK && n) last = steps[n - 1];
    free(steps);
    return last;
}

static rv_status measure(const rv_comparison *c, const rv_cell_info *cell) {
    rv_measure_options o = {.gradient_flow = rv_config_has(c->config, "compare.gradient_flow"),
                            .pictures = (int)rv_config_int(c->config, "compare.report.attention.sentences")};
    if (o.gradient_flow) o.flow_length = rv_config_int(c->config, "compare.gradient_flow.length");
    return rv_measure_run(cell->path, &o);
}

/* The cell's lock again after training has let go of it. Another process may have taken the cell in between, and finds
 * only what is left to do here: it is waited for. */
static rv_status hold(const rv_cell_info *cell, rv_run_dir **dir) {
    for (;;) {
        rv_status status = rv_run_dir_open(cell->path, dir);
        if (status == RV_OK || !rv_run_dir_owner(cell->path))
            return status == RV_OK ? status : rv_run_dir_open(cell->path, dir);
        usleep(200000);
        RV_TRY(rv_stop_requested());
    }
}

static rv_status train(const rv_comparison *c, const rv_cell_info *cell, int threads) {
    rv_config *config = NULL;
    RV_TRY(configure(c, cell, threads, &config));
    rv_config_tell(config); /* the budget's steps may be few for a model's schedule */
    const rv_train_options options = {.resume = "auto"};
    rv_status status = rv_train(config, &options);
    rv_config_destroy(config);
    if (status != RV_OK && status != RV_EDIVERGED) return status;
    char message[1024];
    snprintf(message, sizeof message, "%s", status == RV_EDIVERGED ? rv_error_message() : "");
    rv_run_dir *dir;
    RV_TRY(hold(cell, &dir));
    if (rv__cell_complete(cell)) {
        status = RV_OK;
    } else if (status == RV_EDIVERGED) {
        rv_warn("%s", message);
        status = write_outcome(cell, "diverged", last_step(cell->path), message);
    } else {
        status = cell->kind == RV_CELL_TRAIN ? measure(c, cell) : RV_OK;
        if (status == RV_OK) status = write_outcome(cell, "done", cell->steps, NULL);
    }
    rv_run_dir_close(dir);
    return status;
}

/* ---- cost */

static void read_spec(const rv_config *c, rv_cost_spec *s) {
    const int64_t rounds = rv_config_int(c, "compare.cost.rounds"),
                  repeats = (rv_config_int(c, "compare.cost.repeats") + rounds - 1) / rounds;
    *s = (rv_cost_spec){.warmup = (int)rv_config_int(c, "compare.cost.warmup"),
                        .repeats = repeats < COST_REPEATS ? COST_REPEATS : (int)repeats,
                        .max_seconds = COST_SECONDS / (double)rounds};
    s->n_lengths = rv_config_count(c, "compare.cost.sequence_length");
    for (int i = 0; i < s->n_lengths; i++) s->length[i] = rv_config_int_at(c, "compare.cost.sequence_length", i);
    s->n_threads = rv_config_count(c, "compare.cost.threads");
    for (int i = 0; i < s->n_threads; i++) s->threads[i] = (int)rv_config_int_at(c, "compare.cost.threads", i);
    if (rv_config_has(c, "compare.cost.tokens"))
        s->tokens = rv_config_int(c, "compare.cost.tokens");
    else
        s->batch = rv_config_has(c, "compare.cost.batch") ? rv_config_int(c, "compare.cost.batch") : COST_BATCH;
    for (int i = 0; i < rv_config_count(c, "compare.cost.phases"); i++) {
        const char *phase = rv_config_text_at(c, "compare.cost.phases", i);
        if (!strcmp(phase, "forward"))
            s->forward = true;
        else if (!strcmp(phase, "backward"))
            s->backward = true;
        else
            s->decode = true;
    }
}

static rv_status cost(const rv_comparison *c, const rv_cell_info *cell) {
    char lock[RV_PATH_MAX];
    rv_run_dir *dir;
    rv_config *config = NULL;
    rv_cost_spec spec;
    lock_path(c, cell, lock);
    RV_TRY(rv_run_dir_open(lock, &dir));
    rv_stop_install();
    read_spec(c->config, &spec);
    const json_t *model = rv__model_of(c, cell->model);
    rv_status status = configure(c, cell, 0, &config);
    if (status == RV_OK)
        status =
            rv_cost_run(config, cell->model, json_integer_value(json_object_get(model, "src_vocab")),
                        json_integer_value(json_object_get(model, "tgt_vocab")), &spec, cell->path, "/proc/self/exe");
    rv_config_destroy(config);
    rv_run_dir_close(dir);
    return status;
}

/* *run: a rate beyond those listed is wanted, which hangs on the trials of these. */
static rv_status ask_beyond(const rv_comparison *c, const rv_cell_info *cell, bool *run) {
    rv__wanted wanted;
    int missing;
    RV_TRY(rv__beyond_wanted(c, cell->beyond, &wanted, &missing));
    *run = wanted == RV__WANTED;
    if (wanted == RV__NOT_KNOWN)
        return rv_error(RV_EUSAGE,
                        "cell %d needs the trials of the learning rates that are listed first: "
                        "ravel compare %s --cell %d, and the others of kind tune",
                        cell->number, c->file, missing);
    if (!*run)
        rv_info("cell %d is not needed: no model is best at the %s of the learning rates listed", cell->number,
                cell->beyond < 0 ? "least" : "greatest");
    return RV_OK;
}

rv_status rv_cell_run(const rv_comparison *c, int number, int threads) {
    rv_cell_info cell = rv_comparison_cell(c, number);
    if (rv__cell_complete(&cell)) return RV_OK;
    bool run = true;
    if (cell.beyond) RV_TRY(ask_beyond(c, &cell, &run));
    if (!run) return RV_OK;
    if (cell.kind == RV_CELL_COST) return cost(c, &cell);
    rv_set_threads(threads);
    return train(c, &cell, threads);
}

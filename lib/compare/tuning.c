/* Trials: the learning rate, and what else is to be chosen with it, that come to the least validation loss. Where the
 * best one of any model is the least or the greatest of the rates listed, one beyond it is tried, with all models. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/compare_private.h"
#include "compare/report_data_private.h"

/* The best validation loss of a trial; infinite if it has none. */
static rv_status best_loss(const rv_cell_info *cell, double *best) {
    char path[RV_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/metrics.jsonl", cell->path);
    *best = INFINITY;
    FILE *f = fopen(path, "r");
    if (!f) return rv_error(RV_EDATA, "%s: %s", path, strerror(errno));
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, f) > 0) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *loss = json_object_get(row, "loss");
        const char *kind = json_string_value(json_object_get(row, "kind"));
        if (kind && !strcmp(kind, "valid") && json_is_number(loss) && json_number_value(loss) < *best)
            *best = json_number_value(loss);
        json_decref(row);
    }
    free(line);
    fclose(f);
    return RV_OK;
}

/* A model that counts has no trials. */
static bool has_trials(const rv_comparison *c, const char *model) {
    for (int i = 1; i <= rv_comparison_cells(c); i++) {
        const rv_cell_info cell = rv_comparison_cell(c, i);
        if (cell.kind == RV_CELL_TUNE && !strcmp(cell.model, model)) return true;
    }
    return false;
}

/* What a model's trials came to. */
typedef struct {
    const json_t *best; /* its cell in the plan; NULL: none is complete, or all diverged */
    double loss;
    int missing; /* a trial that is not complete; 0: none */
} result;

static rv_status add_trial(const rv_cell_info *cell, result *r, json_t *tried) {
    double loss = INFINITY;
    /* In this order: another process may complete it in between. */
    const bool complete = rv__cell_complete(cell), diverged = complete && rv__cell_diverged(cell);
    if (complete && !diverged) RV_TRY(best_loss(cell, &loss));
    if (!complete && !r->missing) r->missing = cell->number;
    if (loss < r->loss) r->loss = loss, r->best = cell->entry;
    if (!tried) return RV_OK;
    json_t *row = json_pack("{s:f, s:o, s:b}", "lr", cell->lr, "loss", rv_json_number(loss), "diverged", (int)diverged);
    if (*cell->with) json_object_set_new(row, "with", json_string(cell->with));
    json_array_append_new(tried, row);
    return RV_OK;
}

/* A model's trials of the rates that are listed, or, with beyond -1 or 1, below or above these. tried: their rows. */
static rv_status look_at(const rv_comparison *c, const char *model, int beyond, result *r, json_t *tried) {
    for (int i = 1; i <= rv_comparison_cells(c); i++) {
        const rv_cell_info cell = rv_comparison_cell(c, i);
        if (cell.kind == RV_CELL_TUNE && cell.beyond == beyond && !strcmp(cell.model, model))
            RV_TRY(add_trial(&cell, r, tried));
    }
    return RV_OK;
}

static const char *model_at(const rv_comparison *c, size_t i) {
    return json_string_value(json_object_get(json_array_get(json_object_get(c->plan, "models"), i), "model"));
}
static size_t n_models(const rv_comparison *c) { return json_array_size(json_object_get(c->plan, "models")); }

/* Whether a model's best rate is the last of those listed on that side. Where all diverged, lower ones may do. */
static bool at_end(const rv_comparison *c, const result *r, int side) {
    const json_t *rate, *rates = json_object_get(json_object_get(c->plan, "tuning"), "lr");
    if (!r->best) return side < 0;
    const double lr = rv_json_double(r->best, "lr");
    size_t i;
    json_array_foreach (rates, i, rate)
        if (side * (json_number_value(rate) - lr) > 0) return false;
    return true;
}

int rv__beyond_planned(const rv_comparison *c, int side) {
    for (int i = 1; i <= rv_comparison_cells(c); i++)
        if (rv_comparison_cell(c, i).beyond == side) return i;
    return 0;
}

/* The first trial of a listed rate that is not complete; 0: none. */
static int missing_trial(const rv_comparison *c) {
    for (int i = 1; i <= rv_comparison_cells(c); i++) {
        const rv_cell_info cell = rv_comparison_cell(c, i);
        if (cell.kind == RV_CELL_TUNE && !cell.beyond && !rv__cell_complete(&cell)) return i;
    }
    return 0;
}

rv_status rv__beyond_wanted(const rv_comparison *c, int side, rv__wanted *wanted, int *missing) {
    rv__wanted *known = &c->beyond[side > 0]; /* complete trials stay as they are: it is found out once */
    *missing = *known == RV__NOT_KNOWN ? missing_trial(c) : 0;
    *wanted = *known;
    if (*known != RV__NOT_KNOWN || *missing) return RV_OK;
    *wanted = RV__NOT_WANTED;
    for (size_t i = 0; i < n_models(c); i++) {
        result r = {.loss = INFINITY};
        if (!has_trials(c, model_at(c, i))) continue;
        RV_TRY(look_at(c, model_at(c, i), 0, &r, NULL));
        if (at_end(c, &r, side)) *wanted = RV__WANTED;
    }
    *known = *wanted;
    return RV_OK;
}

/* Of all trials of a model that are wanted. r->missing: also one of another model, on which it hangs what is wanted. */
static rv_status look_at_all(const rv_comparison *c, const char *model, result *r, json_t *tried) {
    *r = (result){.loss = INFINITY};
    RV_TRY(look_at(c, model, 0, r, tried));
    for (int side = -1; side <= 1; side += 2) {
        rv__wanted wanted;
        int missing = 0;
        if (!rv__beyond_planned(c, side)) continue;
        RV_TRY(rv__beyond_wanted(c, side, &wanted, &missing));
        if (!r->missing) r->missing = missing;
        if (wanted == RV__WANTED) RV_TRY(look_at(c, model, side, r, tried));
    }
    return RV_OK;
}

/* A model's row of "tuning"; lr null while no trial is complete or if all diverged. */
static rv_status row_of(const rv_comparison *c, const char *model, json_t **out) {
    json_t *tried = json_array();
    result r;
    const rv_status status = look_at_all(c, model, &r, tried);
    if (status != RV_OK) {
        json_decref(tried);
        return status;
    }
    *out = json_pack("{s:s, s:o, s:o}", "model", model, "lr", rv_json_number(rv_json_double(r.best, "lr")), "tried",
                     tried);
    const json_t *with = json_object_get(r.best, "with");
    if (json_string_length(with)) json_object_set(*out, "with", (json_t *)with);
    json_object_set_new(*out, "window", rv__rate_window(*out));
    return RV_OK;
}

/* The rates that were tried beyond those listed. */
static rv_status beyond(const rv_comparison *c, json_t *rates) {
    for (int side = -1; side <= 1; side += 2) {
        rv__wanted wanted;
        int missing;
        const int number = rv__beyond_planned(c, side);
        if (!number) continue;
        RV_TRY(rv__beyond_wanted(c, side, &wanted, &missing));
        const rv_cell_info cell = rv_comparison_cell(c, number);
        if (wanted == RV__WANTED && rv__cell_complete(&cell)) json_array_append_new(rates, json_real(cell.lr));
    }
    return RV_OK;
}

static rv_status fill(const rv_comparison *c, json_t *rows, json_t *rates) {
    for (size_t i = 0; i < n_models(c); i++) {
        json_t *row;
        if (!has_trials(c, model_at(c, i))) continue;
        RV_TRY(row_of(c, model_at(c, i), &row));
        json_array_append_new(rows, row);
    }
    return beyond(c, rates);
}

rv_status rv_comparison_tuning(const rv_comparison *c, json_t **out) {
    const json_t *tuning = json_object_get(c->plan, "tuning");
    *out = NULL;
    if (!json_is_object(tuning)) return RV_OK;
    json_t *rows = json_array(), *rates = json_array();
    *out = json_pack("{s:O, s:O, s:o, s:o}", "steps", json_object_get(tuning, "steps"), "equal",
                     json_object_get(tuning, "equal"), "beyond", rates, "models", rows);
    const rv_status status = fill(c, rows, rates);
    if (status == RV_OK) return RV_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}

static rv_status all_diverged(const rv_comparison *c, const char *model) {
    return rv_error(RV_EDIVERGED,
                    "%s: every learning rate of compare.tune.lr diverged with the model '%s'; list lower ones, or set "
                    "train.clip_grad_norm in its file",
                    rv_config_where(c->config, "compare.tune.lr"), model);
}

rv_status rv__tuned(const rv_comparison *c, const rv_cell_info *cell, json_t *set) {
    result r;
    if (!json_is_object(json_object_get(c->plan, "tuning")) || !has_trials(c, cell->model)) return RV_OK;
    RV_TRY(look_at_all(c, cell->model, &r, NULL));
    if (r.missing)
        return rv_error(RV_EUSAGE,
                        "cell %d needs trials of learning rates first: ravel compare %s --cell %d, and "
                        "the others of kind tune",
                        cell->number, c->file, r.missing);
    if (!r.best) return all_diverged(c, cell->model);
    const json_t *take = json_object_get(r.best, "take");
    if (!take)
        rv__assign_rate(set, rv_json_double(r.best, "lr")); /* the plan is of a version that tuned nothing else */
    return !take || json_array_extend(set, (json_t *)take) == 0 ? RV_OK : rv_error(RV_ENOMEM, "no memory for a cell");
}

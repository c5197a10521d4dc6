/* What a comparison will be: every model's size and steps in every setting, and how long they take here. */
#include <string.h>

#include "base/log.h"
#include "compare/compare_private.h"
#include "compare/plan_private.h"

static bool alike(const rv_cell_info *a, const rv_cell_info *b) {
    return a->kind == b->kind && !strcmp(a->model, b->model) && !strcmp(a->setting, b->setting);
}

/* The first of the cells that differ in seeds alone (or in what is tried). */
static bool first_alike(const rv_comparison *c, int number) {
    const rv_cell_info cell = rv_comparison_cell(c, number);
    for (int i = 1; i < number; i++) {
        const rv_cell_info other = rv_comparison_cell(c, i);
        if (alike(&cell, &other)) return false;
    }
    return true;
}

/* Tokens that a model is trained on in a setting, in all its runs and trials; of trials that may not be needed none. */
static double tokens_of(const rv_comparison *c, const rv_cell_info *cell) {
    double sum = 0;
    for (int i = 1; i <= rv_comparison_cells(c); i++) {
        const rv_cell_info other = rv_comparison_cell(c, i);
        const bool same = !strcmp(other.model, cell->model) && !strcmp(other.setting, cell->setting);
        if (same && other.kind != RV_CELL_COST && !other.beyond) sum += (double)other.tokens;
    }
    return sum;
}

static rv_status add_row(const rv_comparison *c, const rv_cell_info *cell, json_t *rows) {
    rv__built b;
    double per_token = 0;
    RV_TRY(rv__build(rv__model_of(c, cell->model), json_object_get(cell->entry, "set"), NULL, NULL, true, &b));
    const rv__size s = rv__size_of_model(&b);
    const double tokens = tokens_of(c, cell);
    const rv_status status = tokens > 0 ? rv__time_steps(&b, NULL, &per_token, NULL) : RV_OK;
    rv__discard(&b);
    if (status != RV_OK) return status;
    json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:I, s:f}", "setting", cell->setting, "model",
                                          cell->model, "parameters", (json_int_t)s.parameters, "embedding_parameters",
                                          (json_int_t)s.embedding, "flops_per_token", s.flops_per_token, "steps",
                                          (json_int_t)cell->steps, "tokens", (json_int_t)cell->tokens, "seconds",
                                          per_token * tokens));
    return RV_OK;
}

/* The cells that have a row of their own. */
static bool has_row(const rv_comparison *c, int number) {
    const bool trains = json_is_object(json_object_get(c->plan, "budget"));
    return rv_comparison_cell(c, number).kind == (trains ? RV_CELL_TRAIN : RV_CELL_COST) && first_alike(c, number);
}

static rv_status add_rows(const rv_comparison *c, json_t *rows) {
    const int cells = rv_comparison_cells(c);
    int64_t total = 0, done = 0;
    for (int i = 1; i <= cells; i++) total += has_row(c, i);
    rv_progress *bar = rv_progress_start("timing", "models", 0, total);
    rv_status status = RV_OK;
    for (int i = 1; i <= cells && status == RV_OK; i++) {
        if (!has_row(c, i)) continue;
        const rv_cell_info cell = rv_comparison_cell(c, i);
        rv_progress_update(bar, done++, "%s%s%s", cell.model, *cell.setting ? " " : "", cell.setting);
        status = add_row(c, &cell, rows);
    }
    rv_progress_finish(bar);
    return status;
}

rv_status rv_comparison_expect(const rv_comparison *c, json_t **out) {
    *out = json_array();
    const rv_status status = *out ? add_rows(c, *out) : RV_ENOMEM;
    if (status == RV_OK) return RV_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}

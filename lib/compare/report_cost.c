/* "cost" of the report, from cost/MODEL.json of every model: medians with the spread of the repeats, how they grow with the
 * length, where two models cost as much, and what more threads can bring. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "compare/cost.h"
#include "compare/json_file.h"
#include "compare/report.h"
#include "compare/stats.h"

enum { FORWARD, BACKWARD, TRAIN, DECODE, PHASES };
static const char *const phase_name[PHASES] = {"forward", "backward", "train", "decode"};

/* The cells of all models by (model, threads, phase, length): the lengths and thread counts of any of them, rising. */
typedef struct {
    const rv_report_input *in;
    int n_models, n_threads, n_lengths, repeats; /* repeats: the most that a cell has */
    int64_t length[RV_COST_LENGTHS];
    int threads[RV_COST_THREADS];
    json_t **cell;       /* (models, threads, phases, lengths), borrowed; NULL where there is none, and in the phase train */
    double *ms;          /* (models, threads, phases, lengths, repeats), NaN where there is none */
    double *room;        /* repeats, or lengths x repeats */
} costs;

static int64_t place(const costs *c, int m, int t, int p, int l) { return ((int64_t)(m * c->n_threads + t) * PHASES + p) * c->n_lengths + l; }
static double *ms_of(const costs *c, int m, int t, int p, int l) { return c->ms + place(c, m, t, p, l) * c->repeats; }

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* The cell that has a number for this phase; a training step's is its backward. */
static json_t *cell_of(const costs *c, int m, int t, int p, int l) { return c->cell[place(c, m, t, p == TRAIN ? BACKWARD : p, l)]; }

/* Repeats of a cell, those that were made, in c->room; returns how many. */
static int collect(const costs *c, int m, int t, int p, int l) {
    const double *x = ms_of(c, m, t, p, l);
    int n = 0;
    for (int i = 0; i < c->repeats; i++)
        if (!isnan(x[i])) c->room[n++] = x[i];
    return n;
}

static double median(const costs *c, int m, int t, int p, int l) { return rv_quantile(collect(c, m, t, p, l), c->room, 0.5); }

/* ---- reading */

static rv_status load(const rv_report_input *in, const char *model, json_t **out) {
    char path[4096];
    *out = NULL;
    if (snprintf(path, sizeof path, "%s/cost/%s.json", in->dir, model) >= (int)sizeof path) return rv_error(RV_EDATA, "the path %s/cost/%s.json is too long", in->dir, model);
    if (access(path, F_OK)) return RV_OK;
    RV_TRY(rv_json_read(path, out));
    json_t *cells = json_object_get(*out, "cells"), *cell;
    size_t i;
    bool ok = json_is_array(cells);
    json_array_foreach(cells, i, cell) ok &= number(cell, "threads") >= 1 && number(cell, "sequence_length") >= 1 && json_is_string(json_object_get(cell, "phase")) &&
                                            json_array_size(json_object_get(cell, "ms")) > 0;
    return ok ? RV_OK : rv_error(RV_EDATA, "%s: not a list of measured costs; remove the file, and the comparison measures anew", path);
}

/* Keep `x` in a rising list without repetition; false when that is full. */
#define INSERT(list, n, most, x) \
    do { \
        int at_ = 0; \
        while (at_ < (n) && (list)[at_] < (x)) at_++; \
        if (at_ < (n) && (list)[at_] == (x)) break; \
        if ((n) == (most)) return rv_error(RV_EDATA, "%s: more than %d lengths or thread counts in cost/", c->in->dir, (most)); \
        memmove((list) + at_ + 1, (list) + at_, (size_t)((n) - at_) * sizeof *(list)); \
        (list)[at_] = (x); \
        (n)++; \
    } while (0)

static rv_status find_axes(costs *c, json_t *const *document) {
    json_t *cell;
    size_t i;
    for (int m = 0; m < c->n_models; m++)
        json_array_foreach(json_object_get(document[m], "cells"), i, cell) {
            const int64_t length = (int64_t)number(cell, "sequence_length");
            const int threads = (int)number(cell, "threads"), repeats = (int)json_array_size(json_object_get(cell, "ms"));
            INSERT(c->length, c->n_lengths, RV_COST_LENGTHS, length);
            INSERT(c->threads, c->n_threads, RV_COST_THREADS, threads);
            if (repeats > c->repeats) c->repeats = repeats;
        }
    return RV_OK;
}

static void place_cell(costs *c, int m, json_t *cell) {
    int t = 0, l = 0, p = 0;
    while (c->threads[t] != (int)number(cell, "threads")) t++;
    while (c->length[l] != (int64_t)number(cell, "sequence_length")) l++;
    while (p < PHASES && strcmp(phase_name[p], json_string_value(json_object_get(cell, "phase")))) p++;
    if (p == PHASES) return;
    c->cell[place(c, m, t, p, l)] = cell;
    json_t *x;
    size_t i;
    json_array_foreach(json_object_get(cell, "ms"), i, x) ms_of(c, m, t, p, l)[i] = json_number_value(x);
}

static rv_status fill(costs *c, json_t *const *document) {
    RV_TRY(find_axes(c, document));
    const size_t cells = (size_t)(c->n_models * c->n_threads * PHASES * c->n_lengths), times = cells * (size_t)c->repeats;
    c->cell = rv_alloc(cells * sizeof *c->cell);
    c->ms = rv_alloc(times * sizeof *c->ms);
    c->room = rv_alloc((size_t)(RV_COST_THREADS * c->repeats) * sizeof *c->room);
    if (!c->cell || !c->ms || !c->room) return RV_ENOMEM;
    for (size_t i = 0; i < times; i++) c->ms[i] = NAN;
    for (int m = 0; m < c->n_models; m++) {
        json_t *cell;
        size_t i;
        json_array_foreach(json_object_get(document[m], "cells"), i, cell) place_cell(c, m, cell);
    }
    /* a training step is both, repeat by repeat */
    for (int m = 0; m < c->n_models; m++)
        for (int t = 0; t < c->n_threads; t++)
            for (int l = 0; l < c->n_lengths; l++)
                for (int i = 0; i < c->repeats; i++) ms_of(c, m, t, TRAIN, l)[i] = ms_of(c, m, t, FORWARD, l)[i] + ms_of(c, m, t, BACKWARD, l)[i];
    return RV_OK;
}

/* ---- rows */

static json_t *row_of(const costs *c, int m, int t, int p, int l) {
    json_t *cell = cell_of(c, m, t, p, l);
    const int n = collect(c, m, t, p, l);
    if (!n || !cell) return NULL;
    json_t *forward = p == TRAIN ? c->cell[place(c, m, t, FORWARD, l)] : NULL;
    const double batch = number(cell, "batch"), typical = rv_quantile(n, c->room, 0.5);
    return json_pack("{s:s, s:s, s:i, s:I, s:I, s:f, s:f, s:f, s:o, s:I, s:I, s:f, s:f}", "model", c->in->model[m],
                     "phase", phase_name[p], "threads", c->threads[t], "sequence_length", (json_int_t)c->length[l],
                     "batch", (json_int_t)batch, "ms", typical, "low", rv_quantile(n, c->room, 0.1), "high",
                     rv_quantile(n, c->room, 0.9), "tokens_per_second",
                     rv_json_number(batch * (double)c->length[l] / typical * 1e3), "peak_bytes",
                     (json_int_t)number(cell, "peak_bytes"), "step_bytes", (json_int_t)number(cell, "step_bytes"),
                     "flops", number(cell, "flops") + number(forward, "flops"), "flops_counted",
                     number(cell, "flops_counted") + number(forward, "flops_counted"));
}

/* ---- growth */

enum { TAIL = 3 }; /* of the longest lengths */

static json_t *slope(int n, const double *x, const double *y, double level) {
    double a;
    rv_interval b;
    rv_line_fit(n, x, y, level, &a, &b);
    return json_pack("{s:o, s:o, s:o}", "slope", rv_json_number(b.value), "low", rv_json_number(b.low), "high",
                     rv_json_number(b.high));
}

/* Log-log slope of a quantity against the length, over all lengths and over the longest alone. */
static json_t *fit_of(const costs *c, int m, int t, int p, bool bytes) {
    double x[RV_COST_LENGTHS], y[RV_COST_LENGTHS];
    int n = 0;
    for (int l = 0; l < c->n_lengths; l++) {
        const double value = bytes ? number(cell_of(c, m, t, p, l), "step_bytes") : median(c, m, t, p, l);
        if (!(value > 0)) continue;
        x[n] = log((double)c->length[l]);
        y[n++] = log(value);
    }
    if (n < 2) return NULL;
    json_t *fit = slope(n, x, y, c->in->options.level);
    json_object_update_new(fit, json_pack("{s:s, s:s, s:i, s:s}", "model", c->in->model[m], "phase", phase_name[p], "threads", c->threads[t], "quantity",
                                          bytes ? "step_bytes" : "ms"));
    if (n <= TAIL) return fit;
    json_t *tail = slope(TAIL, x + n - TAIL, y + n - TAIL, c->in->options.level);
    json_object_set_new(tail, "from", json_integer((json_int_t)llround(exp(x[n - TAIL]))));
    json_object_set_new(fit, "longest", tail);
    return fit;
}

/* ---- crossings */

static void say_crossing(char *text, size_t size, const costs *c, const rv_interval *at, const char *below, const char *above, double first, double last) {
    char low[32], high[32];
    if (isnan(at->value)) {
        snprintf(text, size, "%s is cheaper at every length measured (%.0f to %.0f)", below, first, last);
        return;
    }
    if (isnan(at->low) && isnan(at->high)) {
        snprintf(text, size, "%s and %s cannot be told apart at the lengths measured (%.0f to %.0f): the repeats differ more than the models", below, above, first, last);
        return;
    }
    snprintf(low, sizeof low, isnan(at->low) ? "less than %.0f" : "%.0f", isnan(at->low) ? first : at->low);
    snprintf(high, sizeof high, isnan(at->high) ? "more than %.0f" : "%.0f", isnan(at->high) ? last : at->high);
    snprintf(text, size, "%s is cheaper below %.0f tokens (%g %% interval %s to %s), %s above", below, at->value, 100 * c->in->options.level, low, high, above);
}

/* Where models a and b cost as much; *out stays as it is if they share fewer than 2 lengths. */
static rv_status cross(const costs *c, int a, int b, int t, int p, json_t *out) {
    double *x = rv_alloc((size_t)(2 * c->n_lengths * c->repeats) * sizeof *x), *y = x + c->n_lengths * c->repeats, length[RV_COST_LENGTHS];
    int n = 0;
    if (!x) return RV_ENOMEM;
    for (int l = 0; l < c->n_lengths; l++) {
        if (!collect(c, a, t, p, l) || !collect(c, b, t, p, l)) continue;
        memcpy(x + n * c->repeats, ms_of(c, a, t, p, l), (size_t)c->repeats * sizeof *x);
        memcpy(y + n * c->repeats, ms_of(c, b, t, p, l), (size_t)c->repeats * sizeof *y);
        length[n++] = (double)c->length[l];
    }
    rv_interval at;
    bool a_below = false;
    rv_status status = n < 2 ? RV_OK : rv_crossing(n, length, c->repeats, x, y, c->in->options.level, c->in->options.resamples, &at, &a_below);
    if (status == RV_OK && n >= 2) {
        const char *below = c->in->model[a_below ? a : b], *above = isnan(at.value) ? below : c->in->model[a_below ? b : a];
        char text[512];
        say_crossing(text, sizeof text, c, &at, below, above, length[0], length[n - 1]);
        json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:s, s:s, s:s}", "a",
                                             c->in->model[a], "b", c->in->model[b], "phase", phase_name[p], "threads",
                                             c->threads[t], "length", rv_json_number(at.value), "low",
                                             rv_json_number(at.low), "high", rv_json_number(at.high), "cheaper_below",
                                             below, "cheaper_above", above, "text", text));
    }
    rv_free(x);
    return status;
}

/* ---- threads */

static rv_status serial(const costs *c, int m, int p, int l, json_t *out) {
    double *ms = c->room;
    int threads[RV_COST_THREADS], n = 0;
    double typical[RV_COST_THREADS];
    for (int t = 0; t < c->n_threads; t++)
        if (!isnan(typical[n] = median(c, m, t, p, l))) threads[n++] = t;
    if (n < 2 || c->threads[threads[0]] != 1) return RV_OK;
    json_t *speedup = json_array();
    for (int i = 0; i < n; i++) {
        memcpy(ms + i * c->repeats, ms_of(c, m, threads[i], p, l), (size_t)c->repeats * sizeof *ms);
        json_array_append_new(speedup, json_pack("{s:i, s:f}", "threads", c->threads[threads[i]], "value", typical[0] / typical[i]));
        threads[i] = c->threads[threads[i]];
    }
    rv_interval s;
    const rv_status status = rv_serial_share(n, threads, c->repeats, ms, c->in->options.level, c->in->options.resamples, &s);
    if (status == RV_OK)
        json_array_append_new(out, json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:O, s:s}", "model", c->in->model[m],
                                             "phase", phase_name[p], "sequence_length", (json_int_t)c->length[l],
                                             "share", rv_json_number(s.value), "low", rv_json_number(s.low), "high",
                                             rv_json_number(s.high), "speedup_limit", rv_json_number(1 / s.value),
                                             "speedup", speedup, "note",
                                             n == 2 ? "a rough figure: from two thread counts alone, and what threads "
                                                      "share (memory, clock) looks serial, too"
                                                    : "what threads share (memory, clock) looks serial, too"));
    json_decref(speedup);
    return status;
}

/* ---- all of it */

static void append(json_t *list, json_t *entry) {
    if (entry) json_array_append_new(list, entry);
}

static rv_status describe(const costs *c, json_t *cost) {
    json_t *rows = json_object_get(cost, "rows"), *fits = json_object_get(cost, "fits");
    for (int m = 0; m < c->n_models; m++)
        for (int p = 0; p < PHASES; p++) {
            for (int t = 0; t < c->n_threads; t++) {
                for (int l = 0; l < c->n_lengths; l++) append(rows, row_of(c, m, t, p, l));
                append(fits, fit_of(c, m, t, p, false));
                append(fits, fit_of(c, m, t, p, true));
            }
            for (int l = 0; l < c->n_lengths; l++) RV_TRY(serial(c, m, p, l, json_object_get(cost, "serial")));
        }
    for (int a = 0; a < c->n_models; a++)
        for (int b = a + 1; b < c->n_models; b++)
            for (int p = 0; p < PHASES; p++)
                for (int t = 0; t < c->n_threads; t++) RV_TRY(cross(c, a, b, t, p, json_object_get(cost, "crossings")));
    return RV_OK;
}

static rv_status build(costs *c, json_t **document, json_t *report) {
    const json_t *one = NULL;
    for (int m = 0; m < c->n_models; m++) {
        RV_TRY(load(c->in, c->in->model[m], &document[m]));
        if (document[m]) one = document[m];
    }
    if (!one) return RV_OK;
    RV_TRY(fill(c, document));
    json_t *batch = json_object_get(one, "batch"), *tokens = json_object_get(one, "tokens");
    json_t *cost = json_pack("{s:O?, s:O?, s:[], s:[], s:[], s:[]}", "batch", batch, "tokens", tokens, "rows", "fits", "crossings", "serial");
    const rv_status status = cost ? describe(c, cost) : RV_ENOMEM;
    if (status == RV_OK) json_object_set(report, "cost", cost);
    json_decref(cost);
    return status;
}

rv_status rv_report_cost(const rv_report_input *in, json_t *report) {
    costs c = {.in = in, .n_models = in->n_models};
    if (!in->dir || !in->options.times) return RV_OK;
    json_t **document = rv_alloc((size_t)in->n_models * sizeof *document);
    if (!document) return RV_ENOMEM;
    const rv_status status = build(&c, document, report);
    for (int m = 0; m < in->n_models; m++) json_decref(document[m]);
    rv_free(document);
    rv_free(c.cell);
    rv_free(c.ms);
    rv_free(c.room);
    return status;
}

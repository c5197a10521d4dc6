/* "cost" of the report, from the rounds cost/MODEL.rN.json of every model: medians with the spread of the repeats,
 * how they grow with the length, which of two models costs less at which length, and what more threads can bring. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "compare/cost.h"
#include "io/json_file.h"
#include "compare/report.h"
#include "stats/stats.h"

enum { FORWARD, BACKWARD, TRAIN, DECODE, PHASES };
static const char *const phase_name[PHASES] = {"forward", "backward", "train", "decode"};

/* The cells of all models by (model, threads, phase, length): the lengths and thread counts of any of them, rising. */
typedef struct {
    const rv_report_input *in;
    int n_models, n_threads, n_lengths, repeats, rounds; /* repeats: the most that a cell has, of all rounds */
    int64_t length[RV_COST_LENGTHS];
    int threads[RV_COST_THREADS];
    json_t **cell; /* (models, threads, phases, lengths), borrowed; NULL where there is none, and in the phase train */
    double *ms;    /* (models, threads, phases, lengths, repeats), NaN where there is none */
    double *round; /* (models, threads, phases, lengths, rounds): the median of each */
    double *room;  /* repeats, or lengths x repeats */
} costs;

static int64_t place(const costs *c, int m, int t, int p, int l) {
    return ((int64_t)(m * c->n_threads + t) * PHASES + p) * c->n_lengths + l;
}
static double *ms_of(const costs *c, int m, int t, int p, int l) { return c->ms + place(c, m, t, p, l) * c->repeats; }

static double *round_of(const costs *c, int m, int t, int p, int l) {
    return c->round + place(c, m, t, p, l) * c->rounds;
}

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* The cell that has a number for this phase; a training step's is its backward. */
static json_t *cell_of(const costs *c, int m, int t, int p, int l) {
    return c->cell[place(c, m, t, p == TRAIN ? BACKWARD : p, l)];
}

/* Repeats of a cell, those that were made, in c->room; returns how many. */
static int collect(const costs *c, int m, int t, int p, int l) {
    const double *x = ms_of(c, m, t, p, l);
    int n = 0;
    for (int i = 0; i < c->repeats; i++)
        if (!isnan(x[i])) c->room[n++] = x[i];
    return n;
}

static double median(const costs *c, int m, int t, int p, int l) {
    return rv_quantile(collect(c, m, t, p, l), c->room, 0.5);
}

/* ---- reading */

enum { ROUNDS_MOST = 100 };

/* Put a round's cell to those of the same phase, threads and length before it: "ms" are joined, and "rounds" says
 * how many each round has. */
static rv_status join(json_t *cells, json_t *cell, int round) {
    static const char *const same[] = {"phase", "threads", "sequence_length"};
    json_t *to = NULL, *other;
    size_t i;
    json_array_foreach (cells, i, other) {
        bool equal = true;
        for (int k = 0; k < 3; k++)
            equal &= json_equal(json_object_get(other, same[k]), json_object_get(cell, same[k]));
        if (equal) to = other;
    }
    json_t *ms = json_object_get(cell, "ms"), *peak = json_object_get(cell, "peak_bytes"), *counts;
    const json_int_t n = (json_int_t)json_array_size(ms);
    bool failed = false;
    if (to) {
        failed |= json_array_extend(json_object_get(to, "ms"), ms) != 0;
        if (json_integer_value(peak) > json_integer_value(json_object_get(to, "peak_bytes")))
            failed |= json_object_set(to, "peak_bytes", peak) != 0;
    } else {
        to = json_deep_copy(cell);
        failed |= json_object_set_new(to, "rounds", json_array()) != 0 || json_array_append_new(cells, to) != 0;
    }
    counts = json_object_get(to, "rounds");
    while (!failed && json_array_size(counts) < (size_t)round - 1)
        failed |= json_array_append_new(counts, json_integer(0)) != 0;
    failed |= json_array_append_new(counts, json_integer(n)) != 0;
    return failed ? rv_error(RV_ENOMEM, "out of memory") : RV_OK;
}

static rv_status load_round(const char *path, int round, json_t **out) {
    json_t *document;
    RV_TRY(rv_json_read(path, &document));
    json_t *cells = json_object_get(document, "cells"), *cell;
    size_t i;
    bool ok = json_is_array(cells);
    json_array_foreach (cells, i, cell)
        ok &= number(cell, "threads") >= 1 && number(cell, "sequence_length") >= 1 &&
              json_is_string(json_object_get(cell, "phase")) && json_array_size(json_object_get(cell, "ms")) > 0;
    rv_status status =
        ok ? RV_OK
           : rv_error(RV_EDATA, "%s: not a list of measured costs; remove the file, and the comparison measures anew",
                      path);
    if (status == RV_OK && !*out)
        *out = json_pack("{s:O?, s:O?, s:[], s:[]}", "batch", json_object_get(document, "batch"), "tokens",
                         json_object_get(document, "tokens"), "cells", "other_work");
    if (status == RV_OK && !*out) status = rv_error(RV_ENOMEM, "out of memory");
    json_array_foreach (cells, i, cell)
        if (status == RV_OK) status = join(json_object_get(*out, "cells"), cell, round);
    if (status == RV_OK && json_is_number(json_object_get(document, "other_work")))
        json_array_append(json_object_get(*out, "other_work"), json_object_get(document, "other_work"));
    json_decref(document);
    return status;
}

/* All rounds of a model as one document, or NULL where none is there. */
static rv_status load(const rv_report_input *in, const char *model, json_t **out) {
    char path[4096];
    *out = NULL;
    for (int round = 1; round <= ROUNDS_MOST; round++) {
        if (snprintf(path, sizeof path, "%s/cost/%s.r%d.json", in->dir, model, round) >= (int)sizeof path)
            return rv_error(RV_EDATA, "the path %s/cost/%s.r%d.json is too long", in->dir, model, round);
        if (!access(path, F_OK)) RV_TRY(load_round(path, round, out));
    }
    return RV_OK;
}

/* Keep `x` in a rising list without repetition; false when that is full. */
#define INSERT(list, n, most, x)                                                                                       \
    do {                                                                                                               \
        int at_ = 0;                                                                                                   \
        while (at_ < (n) && (list)[at_] < (x)) at_++;                                                                  \
        if (at_ < (n) && (list)[at_] == (x)) break;                                                                    \
        if ((n) == (most))                                                                                             \
            return rv_error(RV_EDATA, "%s: more than %d lengths or thread counts in cost/", c->in->dir, (most));       \
        memmove((list) + at_ + 1, (list) + at_, (size_t)((n)-at_) * sizeof *(list));                                   \
        (list)[at_] = (x);                                                                                             \
        (n)++;                                                                                                         \
    } while (0)

static rv_status find_axes(costs *c, json_t *const *document) {
    json_t *cell;
    size_t i;
    for (int m = 0; m < c->n_models; m++)
        json_array_foreach (json_object_get(document[m], "cells"), i, cell) {
            const int64_t length = (int64_t)number(cell, "sequence_length");
            const int threads = (int)number(cell, "threads"),
                      repeats = (int)json_array_size(json_object_get(cell, "ms"));
            INSERT(c->length, c->n_lengths, RV_COST_LENGTHS, length);
            INSERT(c->threads, c->n_threads, RV_COST_THREADS, threads);
            if (repeats > c->repeats) c->repeats = repeats;
            const int rounds = (int)json_array_size(json_object_get(cell, "rounds"));
            if (rounds > c->rounds) c->rounds = rounds;
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
    json_array_foreach (json_object_get(cell, "ms"), i, x) ms_of(c, m, t, p, l)[i] = json_number_value(x);
}

/* The rounds of a phase are those of the cell that has its times; a training step's are its backward pass's. */
static void find_rounds(costs *c, int m, int t, int p, int l) {
    const json_t *counts = json_object_get(cell_of(c, m, t, p, l), "rounds");
    const double *x = ms_of(c, m, t, p, l);
    for (int r = 0; r < c->rounds; r++) {
        const int n = (int)json_integer_value(json_array_get(counts, (size_t)r));
        memcpy(c->room, x, (size_t)n * sizeof *x);
        x += n;
        round_of(c, m, t, p, l)[r] = n && isfinite(c->room[0]) ? rv_quantile(n, c->room, 0.5) : NAN;
    }
}

static rv_status fill(costs *c, json_t *const *document) {
    RV_TRY(find_axes(c, document));
    const size_t cells = (size_t)(c->n_models * c->n_threads * PHASES * c->n_lengths),
                 times = cells * (size_t)c->repeats;
    c->cell = rv_alloc(cells * sizeof *c->cell);
    c->ms = rv_alloc(times * sizeof *c->ms);
    c->round = rv_alloc(cells * (size_t)c->rounds * sizeof *c->round);
    c->room = rv_alloc((size_t)(RV_COST_THREADS * c->repeats) * sizeof *c->room);
    if (!c->cell || !c->ms || !c->round || !c->room) return RV_ENOMEM;
    for (size_t i = 0; i < times; i++) c->ms[i] = NAN;
    for (int m = 0; m < c->n_models; m++) {
        json_t *cell;
        size_t i;
        json_array_foreach (json_object_get(document[m], "cells"), i, cell) place_cell(c, m, cell);
    }
    /* a training step is both, repeat by repeat */
    for (int m = 0; m < c->n_models; m++)
        for (int t = 0; t < c->n_threads; t++)
            for (int l = 0; l < c->n_lengths; l++)
                for (int i = 0; i < c->repeats; i++)
                    ms_of(c, m, t, TRAIN, l)[i] = ms_of(c, m, t, FORWARD, l)[i] + ms_of(c, m, t, BACKWARD, l)[i];
    for (int m = 0; m < c->n_models; m++)
        for (int t = 0; t < c->n_threads; t++)
            for (int p = 0; p < PHASES; p++)
                for (int l = 0; l < c->n_lengths; l++) find_rounds(c, m, t, p, l);
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
    json_object_update_new(fit, json_pack("{s:s, s:s, s:i, s:s}", "model", c->in->model[m], "phase", phase_name[p],
                                          "threads", c->threads[t], "quantity", bytes ? "step_bytes" : "ms"));
    if (n <= TAIL) return fit;
    json_t *tail = slope(TAIL, x + n - TAIL, y + n - TAIL, c->in->options.level);
    json_object_set_new(tail, "from", json_integer((json_int_t)llround(exp(x[n - TAIL]))));
    json_object_set_new(fit, "longest", tail);
    return fit;
}

/* ---- which costs less

 * Every claim is one of many, since each length of each phase, thread count and pair is asked: a difference at a length
 * is told where the rounds bear it at the level divided by their number [Bonferroni], and a crossing only between
 * lengths where it is told, one way below and the other way above. */

typedef struct {
    int a, b, n; /* lengths that both have */
    double length[RV_COST_LENGTHS];
    int sign[RV_COST_LENGTHS]; /* -1: a costs less */
    double *x, *y;             /* (n, rounds) */
} contest;

/* Lengths whose sign is `sign`, as "16, 32 tokens". */
static const char *lengths_of(const contest *k, int sign, char *text, size_t size) {
    size_t at = 0;
    *text = 0;
    for (int i = 0; i < k->n && at < size; i++)
        if (k->sign[i] == sign) at += (size_t)snprintf(text + at, size - at, "%s%.0f", at ? ", " : "", k->length[i]);
    return text;
}

static int count_of(const contest *k, int sign) {
    int n = 0;
    for (int i = 0; i < k->n; i++) n += k->sign[i] == sign;
    return n;
}

/* Whether the lengths that are told stand on their sides of the crossing. */
static bool holds(const contest *k, double at, int below) {
    for (int i = 0; i < k->n; i++)
        if (k->sign[i] && k->sign[i] != (k->length[i] < at ? below : -below)) return false;
    return true;
}

static void say_contest(char *text, size_t size, const costs *c, const contest *k, const char *verdict,
                        const rv_interval *at, const char *below, const char *above) {
    char low[32], high[32], list[256];
    const double first = k->length[0], last = k->length[k->n - 1];
    if (!strcmp(verdict, "crossing")) {
        snprintf(low, sizeof low, isnan(at->low) ? "less than %.0f" : "%.0f", isnan(at->low) ? first : at->low);
        snprintf(high, sizeof high, isnan(at->high) ? "more than %.0f" : "%.0f", isnan(at->high) ? last : at->high);
        snprintf(text, size, "%s is cheaper below %.0f tokens (%g %% interval %s to %s), %s above", below, at->value,
                 100 * c->in->options.level, low, high, above);
    } else if (!*below) {
        snprintf(text, size, "%s and %s: not distinguishable at %.0f to %.0f tokens", c->in->model[k->a],
                 c->in->model[k->b], first, last);
    } else if (count_of(k, 0) == 0) {
        snprintf(text, size, "%s is cheaper than %s at every length measured (%.0f to %.0f)", below, above, first,
                 last);
    } else {
        snprintf(text, size, "%s is cheaper than %s at %s tokens; at other lengths not distinguishable", below, above,
                 lengths_of(k, below == c->in->model[k->a] ? -1 : 1, list, sizeof list));
    }
}

/* The lengths at which both models have rounds. */
static void gather(const costs *c, int t, int p, contest *k) {
    k->n = 0;
    for (int l = 0; l < c->n_lengths; l++) {
        if (!collect(c, k->a, t, p, l) || !collect(c, k->b, t, p, l)) continue;
        memcpy(k->x + k->n * c->rounds, round_of(c, k->a, t, p, l), (size_t)c->rounds * sizeof *k->x);
        memcpy(k->y + k->n * c->rounds, round_of(c, k->b, t, p, l), (size_t)c->rounds * sizeof *k->y);
        k->length[k->n++] = (double)c->length[l];
    }
}

static rv_status decide(const costs *c, int t, int p, int tests, double *ratio, contest *k, json_t *out) {
    const double alpha = (1 - c->in->options.level) / tests;
    const char *a = c->in->model[k->a], *b = c->in->model[k->b], *verdict = "not distinguishable", *below = "",
               *above = "";
    gather(c, t, p, k);
    if (!k->n) return RV_OK;
    for (int i = 0; i < k->n * c->rounds; i++) ratio[i] = log(k->x[i] / k->y[i]);
    rv_cost_signs(k->n, c->rounds, ratio, alpha, k->sign);
    const int less = count_of(k, -1), more = count_of(k, 1);
    rv_interval at = {NAN, NAN, NAN};
    bool a_below = false;
    if (less && more)
        RV_TRY(rv_crossing(k->n, k->length, c->rounds, k->x, k->y, c->in->options.level, c->in->options.resamples, &at,
                           &a_below));
    if (less && more && holds(k, at.value, a_below ? -1 : 1))
        verdict = "crossing", below = a_below ? a : b, above = a_below ? b : a;
    else if (less && !more)
        verdict = "a", below = a, above = b;
    else if (more && !less)
        verdict = "b", below = b, above = a;
    if (*verdict != 'c') at = (rv_interval){NAN, NAN, NAN};
    char text[512];
    say_contest(text, sizeof text, c, k, verdict, &at, below, above);
    json_t *told = json_array();
    for (int i = 0; i < k->n; i++)
        if (k->sign[i])
            json_array_append_new(told, json_pack("{s:I, s:s}", "sequence_length", (json_int_t)k->length[i], "cheaper",
                                                  k->sign[i] < 0 ? a : b));
    json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:i, s:s, s:o, s:o, s:o, s:s, s:s, s:o, s:b, s:s}", "a", a,
                                         "b", b, "phase", phase_name[p], "threads", c->threads[t], "verdict", verdict,
                                         "length", rv_json_number(at.value), "low", rv_json_number(at.low), "high",
                                         rv_json_number(at.high), "cheaper_below", below, "cheaper_above", above,
                                         "told", told, "everywhere", count_of(k, 0) == 0, "text", text));
    return RV_OK;
}

static rv_status contests(const costs *c, json_t *out) {
    const size_t room = (size_t)(c->n_lengths * c->rounds);
    double *x = rv_alloc(3 * room * sizeof *x);
    rv_status status = x ? RV_OK : RV_ENOMEM;
    int tests = 0;
    for (int count = 1; count >= 0; count--) /* first how many claims there can be */
        for (int a = 0; a < c->n_models; a++)
            for (int b = a + 1; b < c->n_models; b++)
                for (int p = 0; p < PHASES; p++)
                    for (int t = 0; t < c->n_threads && status == RV_OK; t++) {
                        contest k = {.a = a, .b = b, .x = x, .y = x + room};
                        if (count)
                            gather(c, t, p, &k), tests += k.n;
                        else
                            status = decide(c, t, p, tests, x + 2 * room, &k, out);
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
        json_array_append_new(
            speedup, json_pack("{s:i, s:f}", "threads", c->threads[threads[i]], "value", typical[0] / typical[i]));
        threads[i] = c->threads[threads[i]];
    }
    rv_interval s;
    const rv_status status =
        rv_serial_share(n, threads, c->repeats, ms, c->in->options.level, c->in->options.resamples, &s);
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
    return contests(c, json_object_get(cost, "crossings"));
}

/* CPUs that other programs used while costs were measured: on average, and in the worst round. */
static json_t *other_work(int n, json_t *const *document) {
    double sum = 0, most = 0;
    int rounds = 0;
    for (int m = 0; m < n; m++) {
        json_t *x;
        size_t i;
        json_array_foreach (json_object_get(document[m], "other_work"), i, x) {
            sum += json_number_value(x), rounds++;
            most = fmax(most, json_number_value(x));
        }
    }
    return rounds ? json_pack("{s:f, s:f}", "mean", sum / rounds, "most", most) : json_null();
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
    json_t *cost = json_pack("{s:O?, s:O?, s:o, s:[], s:[], s:[], s:[]}", "batch", batch, "tokens", tokens,
                             "other_work", other_work(c->n_models, document), "rows", "fits", "crossings", "serial");
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
    rv_free(c.round);
    rv_free(c.room);
    return status;
}

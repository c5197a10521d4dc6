/* Learning rates: the loss that each came to, as a chart and a table, and how wide the window is in which a model
 * works. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare/page_private.h"

static double rate(const json_t *tuning, size_t model, size_t k) {
    return rv__page_real(
        json_array_get(json_object_get(json_array_get(json_object_get(tuning, "models"), model), "tried"), k), "lr");
}

/* Whether all models tried the same rates in the same order: then the rate is the column's head. */
static bool same_rates(const json_t *tuning, size_t most) {
    for (size_t m = 0; m < json_array_size(json_object_get(tuning, "models")); m++)
        for (size_t k = 0; k < most; k++)
            if (!(rate(tuning, m, k) >= rate(tuning, 0, k) && rate(tuning, m, k) <= rate(tuning, 0, k))) return false;
    return true;
}

static void tuning_table(rv__page *p, const json_t *tuning) {
    const json_t *row, *tried;
    size_t i, k, most = 0;
    json_array_foreach (json_object_get(tuning, "models"), i, row)
        if (json_array_size(json_object_get(row, "tried")) > most)
            most = json_array_size(json_object_get(row, "tried"));
    rv__page_table t = rv__page_table_begin(p, 2 + (int)most);
    rv__page_cell(&t, "model");
    rv__page_cell(&t, "chosen rate");
    bool same = same_rates(tuning, most);
    for (k = 0; k < most; k++)
        rv__page_cell(&t, same ? rv__page_format(p, "rate %s", rv__page_given(p, rate(tuning, 0, k))) : "rate: loss");
    json_array_foreach (json_object_get(tuning, "models"), i, row) {
        rv__page_cell(&t, rv__page_string(row, "model"));
        rv__page_cell(&t, rv__page_given(p, rv__page_real(row, "lr")));
        for (k = 0; k < most; k++) {
            tried = json_array_get(json_object_get(row, "tried"), k);
            double loss = rv__page_real(tried, "loss");
            const char *text = json_is_true(json_object_get(tried, "diverged")) ? "diverged" : rv__page_number(p, loss);
            rv__page_cell(&t, same ? text
                              : tried
                                  ? rv__page_format(p, "%s: %s", rv__page_given(p, rv__page_real(tried, "lr")), text)
                                  : "\xe2\x80\x93");
        }
    }
    rv__page_table_end(&t, "Validation loss that each learning rate came to");
}

/* ---- the chart */

typedef struct {
    double lr, loss;
} trial;

static int by_rate(const void *a, const void *b) {
    const double x = ((const trial *)a)->lr, y = ((const trial *)b)->lr;
    return (x > y) - (x < y);
}

/* A model's trials by rising rate; a diverged one is a gap. */
static rv_series line_of(rv__page *p, const json_t *row) {
    const json_t *tried = json_object_get(row, "tried"), *t;
    const size_t n = json_array_size(tried);
    const char *model = rv__page_string(row, "model");
    trial *all = rv__page_alloc(p, n * sizeof *all);
    double *xy = rv__page_alloc(p, 2 * n * sizeof *xy);
    size_t i;
    if (!all || !xy) return (rv_series){0};
    json_array_foreach (tried, i, t) all[i] = (trial){rv__page_real(t, "lr"), rv__page_real(t, "loss")};
    qsort(all, n, sizeof *all, by_rate);
    for (i = 0; i < n; i++) xy[i] = all[i].lr, xy[n + i] = all[i].loss;
    return (rv_series){.label = model, .colour = rv__page_colour(p, model), .n = (int)n, .x = xy, .y = xy + n};
}

/* Losses per token of other tokens have no common axis. */
static bool other_tokens(const rv__page *p) {
    const json_t *row;
    size_t i;
    json_array_foreach (rv__page_part(p, "differences"), i, row)
        if (!strncmp(rv__page_string(row, "key"), "tokenizer.", 10)) return true;
    return false;
}

static void relate_to_best(rv_series *s) {
    double best = INFINITY;
    for (int k = 0; k < s->n; k++) best = fmin(best, s->y[k]); /* of NaN and a number: the number */
    for (int k = 0; k < s->n; k++) ((double *)s->y)[k] /= best;
}

static void rate_chart(rv__page *p, const json_t *models) {
    const int n = (int)json_array_size(models);
    const bool relative = other_tokens(p);
    rv_series *series = rv__page_alloc(p, (size_t)n * sizeof *series);
    for (int i = 0; series && i < n; i++) {
        series[i] = line_of(p, json_array_get(models, (size_t)i));
        if (relative) relate_to_best(&series[i]);
    }
    double least = INFINITY, most = 0;
    for (int i = 0; series && i < n; i++)
        for (int k = 0; k < series[i].n; k++)
            if (isfinite(series[i].y[k])) least = fmin(least, series[i].y[k]), most = fmax(most, series[i].y[k]);
    const rv_chart chart = {.title = "validation loss against learning rate",
                            .x_label = "learning rate",
                            .y_label = relative ? "validation loss of the trial, over the model's best"
                                                : "validation loss of the trial",
                            .x_log = true,
                            .y_log = least > 0 && most > 20 * least,
                            .n_series = n,
                            .series = series,
                            .points = true};
    if (series) rv__page_chart(p, &chart);
}

/* "lstm from 0.001 to 0.01 (a factor of 10)": as far as it was tried. */
static void windows(rv__page *p, const json_t *models) {
    const char *text = "";
    const json_t *row;
    size_t i;
    json_array_foreach (models, i, row) {
        const json_t *window = json_object_get(row, "window");
        const double low = rv__page_real(window, "low"), high = rv__page_real(window, "high");
        if (!isfinite(low)) continue;
        const char *range = high > low ? rv__page_format(p, "from %s to %s (a factor of %s)", rv__page_given(p, low),
                                                         rv__page_given(p, high), rv__page_rough(p, high / low))
                                       : rv__page_format(p, "at %s alone", rv__page_given(p, low));
        text = rv__page_format(p, "%s%s%s %s", text, *text ? "; " : "", rv__page_string(row, "model"), range);
    }
    if (*text)
        rv__page_note(p, rv__page_format(p, "Rates tried whose loss is within 10\xc2\xa0%% of the best: %s.", text));
}

void rv__page_tuning(rv__page *p, const json_t *tuning) {
    const json_t *models = json_object_get(tuning, "models");
    if (json_array_size(json_object_get(json_array_get(models, 0), "tried")) > 1) {
        rv__page_heading(p, "Learning rates");
        rate_chart(p, models);
        windows(p, models);
    }
    tuning_table(p, tuning);
}

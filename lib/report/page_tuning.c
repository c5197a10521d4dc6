/* Learning rates: the loss that each came to, as a chart and a table, and how wide the window is in which a model
 * works. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/page_private.h"

/* Whether the table's row, a model with other values that were tried, is that of a trial. */
static bool of_row(const json_t *trial, const json_t *with) {
    return !with || json_equal(json_object_get(trial, "with"), with);
}

static int rising(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All rates that any model tried, once each; *n: how many. */
static double *all_rates(rv__page *p, const json_t *models, size_t *n) {
    const json_t *row, *t;
    size_t i, k, most = 0;
    json_array_foreach (models, i, row) most += json_array_size(json_object_get(row, "tried"));
    double *rate = rv__page_alloc(p, (most + 1) * sizeof *rate);
    *n = 0;
    if (!rate) return NULL;
    size_t all = 0;
    json_array_foreach (models, i, row)
        json_array_foreach (json_object_get(row, "tried"), k, t) rate[all++] = rv__page_real(t, "lr");
    qsort(rate, all, sizeof *rate, rising);
    for (k = 0; k < all; k++)
        if (!*n || rate[k] > rate[*n - 1]) rate[(*n)++] = rate[k];
    return rate;
}

static const json_t *trial_at(const json_t *row, const json_t *with, double lr) {
    const json_t *t;
    size_t i;
    json_array_foreach (json_object_get(row, "tried"), i, t)
        if (of_row(t, with) && !(rv__page_real(t, "lr") < lr) && !(rv__page_real(t, "lr") > lr)) return t;
    return NULL;
}

static void table_row(rv__page *p, rv__page_table *t, const json_t *row, const json_t *with, size_t n,
                      const double *rate) {
    const char *model = rv__page_string(row, "model");
    const bool chosen = !with || json_equal(with, json_object_get(row, "with"));
    rv__page_cell(t, with ? rv__page_format(p, "%s, %s", model, json_string_value(with)) : model);
    rv__page_cell(t, chosen ? rv__page_given(p, rv__page_real(row, "lr")) : "\xe2\x80\x93");
    for (size_t k = 0; k < n; k++) {
        const json_t *trial = trial_at(row, with, rate[k]);
        rv__page_cell(t, !trial ? "\xe2\x80\x93"
                         : json_is_true(json_object_get(trial, "diverged"))
                             ? "diverged"
                             : rv__page_number(p, rv__page_real(trial, "loss")));
    }
}

static void tuning_table(rv__page *p, const json_t *tuning) {
    const json_t *models = json_object_get(tuning, "models"), *row, *trial;
    size_t i, k, n;
    const double *rate = all_rates(p, models, &n);
    if (!rate) return;
    rv__page_table t = rv__page_table_begin(p, 2 + (int)n);
    rv__page_cell(&t, "model");
    rv__page_cell(&t, "chosen rate");
    for (k = 0; k < n; k++) rv__page_cell(&t, rv__page_format(p, "rate %s", rv__page_given(p, rate[k])));
    json_array_foreach (models, i, row) {
        const json_t *tried = json_object_get(row, "tried");
        if (!json_object_get(json_array_get(tried, 0), "with")) {
            table_row(p, &t, row, NULL, n, rate);
            continue;
        }
        json_array_foreach (tried, k, trial) { /* all values of the first rate, which all rates have */
            const json_t *with = json_object_get(trial, "with");
            if (k && rv__page_real(trial, "lr") != rv__page_real(json_array_get(tried, 0), "lr")) break;
            table_row(p, &t, row, with, n, rate);
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

/* A model's trials by rising rate, with the other values that it took; a diverged one is a gap. */
static rv_series line_of(rv__page *p, const json_t *row) {
    const json_t *tried = json_object_get(row, "tried"), *t;
    const size_t most = json_array_size(tried);
    const char *model = rv__page_string(row, "model");
    trial *all = rv__page_alloc(p, most * sizeof *all);
    double *xy = rv__page_alloc(p, 2 * most * sizeof *xy);
    size_t i, n = 0;
    if (!all || !xy) return (rv_series){0};
    json_array_foreach (tried, i, t)
        if (of_row(t, json_object_get(row, "with")))
            all[n++] = (trial){rv__page_real(t, "lr"), rv__page_real(t, "loss")};
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
    const bool others = json_object_get(json_array_get(models, 0), "with") != NULL;
    if (others)
        rv__page_note(p, "Drawn, and in the ranges below, are the trials with the other values that each model took.");
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

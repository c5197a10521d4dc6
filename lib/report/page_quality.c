/* Quality: metrics with intervals, by setting, by length; steps to a threshold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/page_private.h"

/* ---- metrics over models ---- */

static void dots(rv__page *p, const json_t *q) {
    rv_metric_kind m = rv__page_metric_of(p, rv__page_string(q, "metric"));
    const json_t *models = json_object_get(q, "models"), *row;
    int n = (int)json_array_size(models);
    rv_dot *dot = rv__page_alloc(p, sizeof *dot * (size_t)n);
    if (!dot) return;
    size_t i;
    json_array_foreach (models, i, row) {
        const double *each;
        int n_each = rv__page_reals(p, json_object_get(row, "per_seed"), &each);
        for (int k = 0; k < n_each; k++) ((double *)each)[k] *= m.scale;
        dot[i] = (rv_dot){.label = rv__page_string(row, "model"),
                          .colour = rv__page_colour(p, rv__page_string(row, "model")),
                          .value = m.scale * rv__page_real(row, "value"),
                          .low = m.scale * rv__page_real(row, "low"),
                          .high = m.scale * rv__page_real(row, "high"),
                          .each = n_each > 1 ? each : NULL,
                          .n_each = n_each > 1 ? n_each : 0};
    }
    const char *setting = rv__page_string(q, "setting");
    const char *title = rv__page_format(p, "%s%s%s (%s is better)", m.axis, *setting ? ", " : "", setting,
                                        json_is_true(json_object_get(q, "higher_is_better")) ? "more" : "less");
    rv_chart_dots(p->f, title, m.axis, n, dot);
}

/* Pairs by the headline metric, or by all others. */
static void pair_table(rv__page *p, const json_t *quality, const char *headline, bool others) {
    bool several = rv__page_n_settings(p) > 1;
    rv__page_table t = rv__page_table_begin(p, 5 + several + others);
    if (several) rv__page_cell(&t, "setting");
    static const char *const head[] = {"metric", "pair", "difference", "interval", "p", "verdict"};
    for (int k = !others; k < 6; k++) rv__page_cell(&t, head[k]);
    const json_t *q, *pair;
    size_t i, k;
    json_array_foreach (quality, i, q) {
        rv_metric_kind m = rv__page_metric_of(p, rv__page_string(q, "metric"));
        if (rv__page_is(q, "metric", headline) == others) continue;
        json_array_foreach (json_object_get(q, "pairs"), k, pair) {
            const char *a = rv__page_string(pair, "a"), *b = rv__page_string(pair, "b"),
                       *v = rv__page_string(pair, "verdict");
            double needed = rv__page_real(pair, "seeds_needed"), probability = rv__page_real(pair, "p");
            double d = m.scale * rv__page_real(pair, "difference"), low = m.scale * rv__page_real(pair, "low"),
                   high = m.scale * rv__page_real(pair, "high");
            if (several) rv__page_cell(&t, rv__page_string(q, "setting"));
            if (others) rv__page_cell(&t, m.axis);
            rv__page_cell(&t, rv__page_format(p, "%s\xc2\xa0\xe2\x88\x92\xc2\xa0%s", a, b));
            rv__page_cell(&t, rv__page_value_of(p, d, low, high));
            rv__page_cell(&t, rv__page_range(p, low, high));
            rv__page_cell(&t, probability < 0.001 ? "< 0.001" : rv__page_rough(p, probability));
            if (!strcmp(v, "a") || !strcmp(v, "b"))
                rv__page_cell(&t, rv__page_format(p, "%s is better", *v == 'a' ? a : b));
            else if (needed > 0)
                rv__page_cell(&t, rv__page_format(p, "%s; about %s seeds needed", v, rv__page_number(p, needed)));
            else if (*rv__page_string(pair, "why"))
                rv__page_cell(&t, rv__page_format(p, "%s: %s", v, rv__page_string(pair, "why")));
            else
                rv__page_cell(&t, v);
        }
    }
    rv__page_table_end(&t, others ? NULL
                                  : rv__page_format(p, "%s: differences of pairs on the same %s",
                                                    rv__page_metric_of(p, headline).axis, rv__page_examples(p)));
}

/* ---- a metric against a numeric setting ---- */

static int by_number(const void *a, const void *b) {
    const double *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

static void against_setting(rv__page *p, const json_t *quality, const char *metric, const char *axis, const double *at,
                            bool small) {
    int models = rv__page_n_models(p), settings = rv__page_n_settings(p);
    rv_series *series = rv__page_alloc(p, sizeof *series * (size_t)models);
    double(*row)[4] = rv__page_alloc(p, sizeof *row * (size_t)settings);
    if (!series || !row) return;
    rv_metric_kind m = rv__page_metric_of(p, metric);
    double most = 0, least = INFINITY;
    for (int k = 0; k < models; k++) {
        const char *name = rv__page_model_name(p, k);
        int n = 0;
        for (int s = 0; s < settings; s++) {
            const json_t *q, *model;
            size_t i, j;
            json_array_foreach (quality, i, q) {
                if (!rv__page_is(q, "metric", metric) || !rv__page_of_setting(q, rv__page_setting(p, s))) continue;
                json_array_foreach (json_object_get(q, "models"), j, model) {
                    if (!rv__page_is(model, "model", name) || n == settings) continue;
                    row[n][0] = at[s], row[n][1] = m.scale * rv__page_real(model, "value");
                    row[n][2] = m.scale * rv__page_real(model, "low"),
                    row[n][3] = m.scale * rv__page_real(model, "high");
                    n++;
                }
            }
        }
        qsort(row, (size_t)n, sizeof *row, by_number);
        double *column = rv__page_alloc(p, sizeof *column * 4 * (size_t)settings);
        if (!column) return;
        for (int i = 0; i < n; i++)
            for (int c = 0; c < 4; c++) column[c * settings + i] = row[i][c];
        for (int i = 0; i < n; i++) most = fmax(most, row[i][1]), least = fmin(least, row[i][1]);
        series[k] = (rv_series){.label = name,
                                .colour = rv__page_colour(p, name),
                                .n = n,
                                .x = column,
                                .y = column + settings,
                                .low = column + 2 * settings,
                                .high = column + 3 * settings};
    }
    double x_low = INFINITY, x_high = 0;
    for (int s = 0; s < settings; s++) x_low = fmin(x_low, at[s]), x_high = fmax(x_high, at[s]);
    rv_chart chart = {.title = rv__page_format(p, "%s against %s", m.title, axis),
                      .x_label = axis,
                      .y_label = m.axis,
                      .x_log = x_low > 0 && x_high >= 8 * x_low,
                      .y_log = least > 0 && most > 30 * least && m.scale == 1,
                      .y_high = m.scale == 100 ? 100 : 0,
                      .n_series = models,
                      .series = series,
                      .points = true,
                      .small = small};
    rv__page_chart(p, &chart);
}

/* Once for each metric, in the document's order. */
static bool first_of_metric(const json_t *quality, size_t at) {
    for (size_t i = 0; i < at; i++)
        if (rv__page_is(json_array_get(quality, i), "metric", rv__page_string(json_array_get(quality, at), "metric")))
            return false;
    return true;
}

void rv__page_quality(rv__page *p) {
    const json_t *quality = rv__page_part(p, "quality"), *q;
    if (!quality) return;
    rv_page_section(p->f, "quality", rv__page_format(p, "Quality on the %s", rv__page_examples(p)));
    double level = rv__page_real(json_array_get(quality, 0), "level");
    level = 100 * (isfinite(level) ? level : 0.95);
    double *at = rv__page_alloc(p, sizeof *at * (size_t)rv__page_n_settings(p));
    const char *axis = at ? rv__page_setting_axis(p, at) : NULL;
    rv__page_note(
        p, axis ? rv__page_format(p, "A point is the mean over seeds, the band its %g %% interval.", level)
                : rv__page_format(
                      p, "A point is the mean over seeds, small marks are single seeds, a bar is the %g %% interval.",
                      level));
    size_t i;
    const char *headline = rv__page_headline(p);
    int metrics = 0, shown = 0;
    json_array_foreach (quality, i, q) {
        metrics += first_of_metric(quality, i);
        shown += !axis;
    }
    if (axis) {
        rv__page_charts_begin(p, metrics);
        json_array_foreach (quality, i, q)
            if (first_of_metric(quality, i))
                against_setting(p, quality, rv__page_string(q, "metric"), axis, at, metrics > 1);
        rv__page_charts_end(p, metrics);
    }
    rv__page_charts_begin(p, shown);
    json_array_foreach (quality, i, q)
        if (!axis) dots(p, q);
    rv__page_charts_end(p, shown);
    bool pairs = json_array_size(json_object_get(json_array_get(quality, 0), "pairs")) > 0;
    if (pairs) pair_table(p, quality, headline, false);
    if (pairs) rv__page_note(p, "An interval that holds 0 means: these runs cannot tell the two apart.");
    if (pairs && metrics > 1) {
        fputs("<details><summary>Differences by the other metrics</summary>\n", p->f);
        pair_table(p, quality, headline, true);
        fputs("</details>\n", p->f);
    }
    rv__page_confusion(p);
    rv_page_section_end(p->f);
}

/* ---- by length ---- */

static const char *source_of(const rv__page *p) { return rv__page_tagged(p) ? "sentence" : "source"; }

static const char *bin_name(rv__page *p, const json_t *bin) {
    double from = rv__page_real(bin, "from"), to = rv__page_real(bin, "to");
    if (isnan(to)) return rv__page_format(p, "%g and more", from);
    if (from == 0) return rv__page_format(p, "up to %g", to); /* no source is of length 0 */
    if (from == to) return rv__page_format(p, "%g", from);
    return rv__page_format(p, "%g\xe2\x80\x93%g", from, to);
}

/* Lines stand at the middle of their bin; the last, open one as far after its start as the bin before is wide. */
static double bin_middle(const json_t *bins, int i) {
    const json_t *bin = json_array_get(bins, (size_t)i);
    double from = rv__page_real(bin, "from"), to = rv__page_real(bin, "to");
    if (isnan(to)) {
        const json_t *before = i ? json_array_get(bins, (size_t)i - 1) : NULL;
        to = before ? from + rv__page_real(before, "to") - rv__page_real(before, "from") : from;
    }
    return (from + to) / 2;
}

/* Models across, lengths down: the page is higher than wide. */
static void length_table(rv__page *p, const json_t *part, rv_metric_kind m) {
    const json_t *bins = json_object_get(part, "bins"), *models = json_object_get(part, "models"), *row;
    size_t i, n = json_array_size(bins);
    rv__page_table t = rv__page_table_begin(p, (int)json_array_size(models) + 2);
    rv__page_cell(&t, rv__page_string(part, "unit"));
    rv__page_cell(&t, rv__page_examples(p));
    json_array_foreach (models, i, row) rv__page_cell(&t, rv__page_string(row, "model"));
    for (size_t b = 0; b < n; b++) {
        rv__page_cell(&t, bin_name(p, json_array_get(bins, b)));
        rv__page_cell(&t, rv__page_count(p, json_number_value(json_array_get(
                                                json_object_get(json_array_get(models, 0), "examples"), b))));
        json_array_foreach (models, i, row) {
            double v[3];
            static const char *const key[3] = {"value", "low", "high"};
            for (int k = 0; k < 3; k++) {
                const json_t *x = json_array_get(json_object_get(row, key[k]), b);
                v[k] = json_is_number(x) ? m.scale * json_number_value(x) : (double)NAN;
            }
            rv__page_cell(&t, rv__page_interval(p, v[0], v[1], v[2]));
        }
    }
    rv__page_table_end(&t, rv__page_format(p, "%s by length%s%s", m.axis, *rv__page_string(part, "setting") ? ", " : "",
                                           rv__page_string(part, "setting")));
}

static void length_chart(rv__page *p, const json_t *part, rv_metric_kind m, bool small) {
    const json_t *bins = json_object_get(part, "bins"), *models = json_object_get(part, "models"), *row;
    int n = (int)json_array_size(bins), n_models = (int)json_array_size(models);
    double *x = rv__page_alloc(p, sizeof *x * (size_t)n);
    rv_series *series = rv__page_alloc(p, sizeof *series * (size_t)n_models);
    if (!x || !series) return;
    for (int b = 0; b < n; b++) x[b] = bin_middle(bins, b);
    size_t i;
    json_array_foreach (models, i, row) {
        const double *y[3];
        const char *const key[3] = {"value", "low", "high"};
        int count = n;
        for (int c = 0; c < 3; c++) {
            int k = rv__page_reals(p, json_object_get(row, key[c]), &y[c]);
            for (int b = 0; b < k; b++) ((double *)y[c])[b] *= m.scale;
            if (k < count && c == 0) count = k;
            if (k < count) y[1] = y[2] = NULL;
        }
        const char *name = rv__page_string(row, "model");
        series[i] = (rv_series){.label = name,
                                .colour = rv__page_colour(p, name),
                                .n = count,
                                .x = x,
                                .y = y[0],
                                .low = y[1],
                                .high = y[2]};
    }
    const char *setting = rv__page_string(part, "setting");
    rv_chart chart = {.title = rv__page_format(p, "%s by length%s%s", m.title, *setting ? ", " : "", setting),
                      .x_label =
                          rv__page_format(p, "length of the %s, %s", source_of(p), rv__page_string(part, "unit")),
                      .y_label = m.axis,
                      .y_high = m.scale == 100 ? 100 : 0,
                      .n_series = n_models,
                      .series = series,
                      .points = true,
                      .small = small};
    rv__page_chart(p, &chart);
}

static bool has_examples(const json_t *models, size_t bin) {
    return json_number_value(json_array_get(json_object_get(json_array_get(models, 0), "examples"), bin)) > 0;
}

/* "bottleneck from 98.2 to 41.0": the two ends say whether length hurts. */
static void length_sentence(rv__page *p, const json_t *part, rv_metric_kind m) {
    const json_t *bins = json_object_get(part, "bins"), *models = json_object_get(part, "models"), *row;
    size_t i, first = 0, last = json_array_size(bins);
    while (first < last && !has_examples(models, first)) first++;
    while (last > first && !has_examples(models, last - 1)) last--;
    if (last - first < 2) return;
    fputs("<p>", p->f);
    if (*rv__page_string(part, "setting")) rv_page_textf(p->f, "With %s: ", rv__page_string(part, "setting"));
    rv_page_textf(p->f, "From the shortest %ss (%s %s) to the longest (%s), %s: ", source_of(p),
                  bin_name(p, json_array_get(bins, first)), rv__page_string(part, "unit"),
                  bin_name(p, json_array_get(bins, last - 1)), m.axis);
    int n = (int)json_array_size(models);
    json_array_foreach (models, i, row) {
        const double *v;
        int k = rv__page_reals(p, json_object_get(row, "value"), &v);
        if ((size_t)k < last) continue;
        fputs(rv__page_join((int)i, n), p->f);
        rv__page_model(p, rv__page_string(row, "model"));
        rv_page_textf(p->f, " from %s to %s", rv__page_number(p, m.scale * v[first]),
                      rv__page_number(p, m.scale * v[last - 1]));
    }
    fputs(".</p>\n", p->f);
}

void rv__page_by_length(rv__page *p) {
    const json_t *parts = rv__page_part(p, "by_length"), *part;
    if (!parts) return;
    rv_page_section(p->f, "by-length", "Quality by length");
    size_t i;
    bool many = json_array_size(parts) > 4; /* then the charts say it better */
    json_array_foreach (parts, i, part)
        if (!many && rv__page_is(part, "metric", rv__page_headline(p)))
            length_sentence(p, part, rv__page_metric_of(p, rv__page_string(part, "metric")));
    int charts = (int)json_array_size(parts);
    rv__page_charts_begin(p, charts);
    json_array_foreach (parts, i, part)
        length_chart(p, part, rv__page_metric_of(p, rv__page_string(part, "metric")), charts > 1);
    rv__page_charts_end(p, charts);
    rv__page_note(p, "Where a bin has few examples its interval is wide; the table has their numbers.");
    if (charts > 2) fputs("<details><summary>The numbers</summary>\n", p->f);
    json_array_foreach (parts, i, part) length_table(p, part, rv__page_metric_of(p, rv__page_string(part, "metric")));
    if (charts > 2) fputs("</details>\n", p->f);
    rv_page_section_end(p->f);
}

/* ---- time to a threshold ---- */

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct {
    int runs, solved;
    double first, median, last; /* steps */
    double best;                /* mean over the runs of the best value seen */
} threshold_row;

static threshold_row reached(rv__page *p, const json_t *rows, const char *setting, const char *model) {
    threshold_row out = {.first = (double)NAN, .median = (double)NAN, .last = (double)NAN};
    double *step = rv__page_alloc(p, sizeof *step * (json_array_size(rows) + 1));
    const json_t *row;
    size_t i;
    if (!step) return out;
    json_array_foreach (rows, i, row) {
        if (!rv__page_is(row, "model", model) || !rv__page_of_setting(row, setting)) continue;
        double at = rv__page_real(row, "step");
        out.runs++;
        out.best += rv__page_real(row, "best");
        if (!isnan(at)) step[out.solved++] = at;
    }
    out.best = out.runs ? out.best / out.runs : (double)NAN;
    if (!out.solved) return out;
    qsort(step, (size_t)out.solved, sizeof *step, by_size);
    out.first = step[0], out.last = step[out.solved - 1];
    out.median = (step[(out.solved - 1) / 2] + step[out.solved / 2]) / 2;
    return out;
}

static void threshold_chart(rv__page *p, const json_t *rows, const char *axis, const double *at) {
    int models = rv__page_n_models(p), settings = rv__page_n_settings(p);
    rv_series *series = rv__page_alloc(p, sizeof *series * (size_t)models);
    if (!series) return;
    for (int k = 0; k < models; k++) {
        double *column = rv__page_alloc(p, sizeof *column * 4 * (size_t)settings);
        if (!column) return;
        const char *name = rv__page_model_name(p, k);
        for (int s = 0; s < settings; s++) {
            threshold_row r = reached(p, rows, rv__page_setting(p, s), name);
            column[s] = at[s], column[settings + s] = r.median, column[2 * settings + s] = r.first,
            column[3 * settings + s] = r.last;
        }
        series[k] = (rv_series){.label = name,
                                .colour = rv__page_colour(p, name),
                                .n = settings,
                                .x = column,
                                .y = column + settings,
                                .low = column + 2 * settings,
                                .high = column + 3 * settings};
    }
    rv_chart chart = {.title = "Steps to the threshold: median, first and last seed; a gap is not solved",
                      .x_label = axis,
                      .y_label = "steps",
                      .y_log = true,
                      .n_series = models,
                      .series = series,
                      .points = true};
    rv__page_chart(p, &chart);
}

void rv__page_time_to(rv__page *p) {
    const json_t *part = rv__page_part(p, "time_to"), *rows = json_object_get(part, "rows");
    if (!json_array_size(rows)) return;
    rv_metric_kind m = rv__page_metric_of(p, rv__page_string(part, "metric"));
    int settings = rv__page_n_settings(p);
    rv_page_section(p->f, "time-to", "Steps until solved");
    rv__page_note(p, rv__page_format(p,
                                     "Solved means: %s on the validation part reached %s%s. The step is that of the "
                                     "first validation at which it did.",
                                     m.title, rv__page_given(p, m.scale * rv__page_real(part, "threshold")),
                                     m.scale == 100 ? "\xc2\xa0%" : ""));
    double *at = rv__page_alloc(p, sizeof *at * (size_t)settings);
    const char *axis = at ? rv__page_setting_axis(p, at) : NULL;
    if (axis) threshold_chart(p, rows, axis, at);
    rv__page_table t = rv__page_table_begin(p, settings > 1 ? 6 : 5);
    if (settings > 1) rv__page_cell(&t, "setting");
    rv__page_cell(&t, "model");
    rv__page_cell(&t, "seeds that solved it");
    rv__page_cell(&t, "steps, median");
    rv__page_cell(&t, "steps, first to last");
    rv__page_cell(&t, rv__page_format(p, "best %s, mean", m.axis));
    for (int s = 0; s < settings; s++)
        for (int k = 0; k < rv__page_n_models(p); k++) {
            threshold_row r = reached(p, rows, rv__page_setting(p, s), rv__page_model_name(p, k));
            if (!r.runs) continue;
            if (settings > 1) rv__page_cell(&t, rv__page_setting(p, s));
            rv__page_cell(&t, rv__page_model_name(p, k));
            rv__page_cell(&t, r.solved ? rv__page_format(p, "%d of %d", r.solved, r.runs) : "not solved");
            rv__page_cell(&t, rv__page_number(p, r.median));
            rv__page_cell(&t, r.solved ? rv__page_range(p, r.first, r.last) : "\xe2\x80\x93");
            rv__page_cell(&t, rv__page_number(p, m.scale * r.best));
        }
    rv__page_table_end(&t, NULL);
    rv_page_section_end(p->f);
}

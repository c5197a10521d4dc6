/* The first screen: one table of the systems, and quality against cost as a picture. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/page_private.h"

/* More rows than that are a table of settings by systems; more settings than that have no pictures here. */
enum { ROWS_MOST = 12, PICTURES_MOST = 4 };

/* ---- decoding: on the most threads, at the middle of the lengths that were measured ---- */

typedef struct {
    double threads, length;
} decoding;

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const json_t *decode_rows(const rv__page *p) { return json_object_get(rv__page_part(p, "cost"), "rows"); }

static decoding middle_decoding(rv__page *p) {
    decoding d = {0};
    const json_t *rows = decode_rows(p), *row;
    double *length = rv__page_alloc(p, sizeof *length * (json_array_size(rows) + 1));
    size_t i;
    int n = 0;
    json_array_foreach (rows, i, row)
        if (rv__page_is(row, "phase", "decode")) d.threads = fmax(d.threads, rv__page_real(row, "threads"));
    json_array_foreach (rows, i, row) {
        const double l = rv__page_real(row, "sequence_length");
        bool known = !length || !rv__page_is(row, "phase", "decode") || rv__page_real(row, "threads") < d.threads;
        for (int k = 0; k < n && !known; k++) known = by_size(&length[k], &l) == 0;
        if (known || isnan(l)) continue;
        length[n++] = l;
    }
    if (!n) return d;
    qsort(length, (size_t)n, sizeof *length, by_size);
    d.length = length[(n - 1) / 2];
    return d;
}

static const json_t *decode_row(const rv__page *p, const decoding *d, const char *model) {
    const json_t *row;
    size_t i;
    json_array_foreach (decode_rows(p), i, row) {
        const double threads = rv__page_real(row, "threads"), length = rv__page_real(row, "sequence_length");
        if (rv__page_is(row, "model", model) && rv__page_is(row, "phase", "decode") &&
            by_size(&threads, &d->threads) == 0 && by_size(&length, &d->length) == 0)
            return row;
    }
    return NULL;
}

/* ---- the table ---- */

/* Which columns have anything to say. */
typedef struct {
    bool setting, metric, loss, parameters, time, decode;
} columns;

static columns columns_of(rv__page *p, const decoding *d, const char *headline) {
    const bool several = rv__page_n_settings(p) > 1; /* costs are measured in the first alone */
    columns c = {.setting = several, .metric = *headline, .decode = d->length > 0 && !several};
    for (int s = 0; s < rv__page_n_settings(p); s++)
        for (int k = 0; k < rv__page_n_models(p); k++) {
            const char *model = rv__page_model_name(p, k), *setting = rv__page_setting(p, s);
            c.loss |= strcmp(headline, "loss") && isfinite(rv__page_loss(p, model, setting));
            c.parameters |= isfinite(rv__page_parameters(p, model, setting));
            c.time |= isfinite(rv__page_mean_of_runs(p, model, setting, "time", "seconds"));
        }
    return c;
}

static void head(rv__page *p, rv__page_table *t, columns c, const char *headline) {
    if (c.setting) rv__page_cell(t, "setting");
    rv__page_cell(t, "system");
    if (c.metric) rv__page_cell(t, rv__page_metric_of(p, headline).axis);
    if (c.loss) rv__page_cell(t, rv__page_metric_of(p, "loss").axis);
    if (c.parameters) rv__page_cell(t, "parameters");
    if (c.time) rv__page_cell(t, "training time");
    if (c.decode) rv__page_cell(t, "decoding, ms");
}

static void row_of(rv__page *p, rv__page_table *t, columns c, const decoding *d, const char *headline,
                   const char *model, const char *setting) {
    const rv__page_span metric = rv__page_metric_span(p, headline, model, setting);
    const json_t *decode = decode_row(p, d, model);
    if (c.setting) rv__page_cell(t, setting);
    rv__page_cell(t, model);
    if (c.metric) rv__page_cell(t, rv__page_interval(p, metric.value, metric.low, metric.high));
    if (c.loss) rv__page_cell(t, rv__page_number(p, rv__page_loss(p, model, setting)));
    if (c.parameters) rv__page_cell(t, rv__page_count(p, rv__page_parameters(p, model, setting)));
    if (c.time) rv__page_cell(t, rv__page_ms(p, 1e3 * rv__page_mean_of_runs(p, model, setting, "time", "seconds")));
    if (c.decode)
        rv__page_cell(t, rv__page_interval(p, rv__page_real(decode, "ms"), rv__page_real(decode, "low"),
                                           rv__page_real(decode, "high")));
}

/* What the costs are of. */
static void costs_note(rv__page *p, columns c, const decoding *d) {
    const double batch = rv__page_real(decode_row(p, d, rv__page_model_name(p, 0)), "batch");
    const bool several = json_array_size(rv__page_part(p, "runs")) > (size_t)rv__page_n_models(p);
    const char *text = c.time && several ? "Training time: the mean of the runs. " : "";
    if (c.decode)
        text = rv__page_format(
            p, "%sDecoding: %s%s tokens on %s thread%s: medians; the interval holds four of five repeats.", text,
            isfinite(batch) ? rv__page_format(p, "%g sequences of ", batch) : "", rv__page_number(p, d->length),
            rv__page_number(p, d->threads), d->threads > 1 ? "s" : "");
    if (!*text) return;
    fputs("<p class='note'>", p->f);
    rv_page_text(p->f, text);
    fputs("</p>\n", p->f);
}

static void systems_table(rv__page *p, const decoding *d, const char *headline) {
    const columns c = columns_of(p, d, headline);
    const int n = 1 + c.setting + c.metric + c.loss + c.parameters + c.time + c.decode;
    if (n == 1 + c.setting) return;
    rv__page_table t = rv__page_table_begin(p, n);
    head(p, &t, c, headline);
    for (int s = 0; s < rv__page_n_settings(p); s++)
        for (int k = 0; k < rv__page_n_models(p); k++)
            row_of(p, &t, c, d, headline, rv__page_model_name(p, k), rv__page_setting(p, s));
    const char *what = rv__page_n_models(p) > 1 ? "The systems" : "The system";
    const json_t *q = rv__page_quality_of(p, headline, rv__page_setting(p, 0));
    rv__page_table_end(&t, c.metric ? rv__page_format(p, "%s on the %s, with %s intervals", what, rv__page_examples(p),
                                                      rv__page_level(p, q))
                                    : what);
    costs_note(p, c, d);
}

/* ---- settings by systems ---- */

static const char *metric_text(rv__page *p, const char *metric, const char *model, const char *setting) {
    const rv__page_span v = rv__page_metric_span(p, metric, model, setting);
    return rv__page_interval(p, v.value, v.low, v.high);
}

static const char *best_of(const rv__page *p, const char *metric, int setting) {
    const char *best = rv__page_winner(p, metric, rv__page_setting(p, setting));
    return best ? best : "none";
}

/* Settings and models, whichever are more down, the best named: where there are too many for a row each. */
static void settings_table(rv__page *p, const char *metric) {
    static const char last[] = "better than all others";
    const int models = rv__page_n_models(p), settings = rv__page_n_settings(p);
    const bool models_down = models >= settings, pairs = models > 1;
    const int down = models_down ? models : settings, across = models_down ? settings : models;
    rv__page_table t = rv__page_table_begin(p, 1 + across + (pairs && !models_down));
    rv__page_cell(&t, models_down ? "system" : "setting");
    for (int k = 0; k < across; k++)
        rv__page_cell(&t, models_down ? rv__page_setting(p, k) : rv__page_model_name(p, k));
    if (pairs && !models_down) rv__page_cell(&t, last);
    for (int r = 0; r < down; r++) {
        rv__page_cell(&t, models_down ? rv__page_model_name(p, r) : rv__page_setting(p, r));
        for (int k = 0; k < across; k++)
            rv__page_cell(&t, metric_text(p, metric, rv__page_model_name(p, models_down ? r : k),
                                          rv__page_setting(p, models_down ? k : r)));
        if (pairs && !models_down) rv__page_cell(&t, best_of(p, metric, r));
    }
    if (pairs && models_down) {
        rv__page_cell(&t, last);
        for (int k = 0; k < across; k++) rv__page_cell(&t, best_of(p, metric, k));
    }
    rv__page_table_end(
        &t, rv__page_format(p, "%s, %s, with intervals", rv__page_metric_of(p, metric).axis, rv__page_examples(p)));
}

/* ---- quality against cost ---- */

typedef struct {
    const char *setting, *title, *x_label;
    double *cost; /* of each model; NaN where it is not known */
} cost_axis;

/* Two marks at least: of one the table says it all. */
static bool worth_drawing(const rv__page *p, const char *metric, const cost_axis *x) {
    int n = 0;
    for (int k = 0; x->cost && k < rv__page_n_models(p); k++)
        n += isfinite(x->cost[k]) &&
             isfinite(rv__page_metric_span(p, metric, rv__page_model_name(p, k), x->setting).value);
    return n > 1;
}

/* A mark with its interval for each system of which both are known. */
static void picture(rv__page *p, const char *metric, const cost_axis *x) {
    const int models = rv__page_n_models(p);
    const rv_metric_kind m = rv__page_metric_of(p, metric);
    rv_series *series = rv__page_alloc(p, sizeof *series * (size_t)models);
    rv__page_span *y = rv__page_alloc(p, sizeof *y * (size_t)models);
    if (!series || !y) return;
    for (int k = 0; k < models; k++) {
        const char *model = rv__page_model_name(p, k);
        y[k] = rv__page_metric_span(p, metric, model, x->setting);
        series[k] = (rv_series){.label = model,
                                .colour = rv__page_colour(p, model),
                                .n = 1,
                                .x = &x->cost[k],
                                .y = &y[k].value,
                                .low = &y[k].low,
                                .high = &y[k].high};
    }
    const bool more = json_is_true(json_object_get(rv__page_quality_of(p, metric, x->setting), "higher_is_better"));
    const rv_chart chart = {
        .title = rv__page_format(p, "%s against %s%s%s", m.title, x->title, *x->setting ? ", " : "", x->setting),
        .x_label = x->x_label,
        .y_label = rv__page_format(p, "%s (%s is better)", m.axis, more ? "more" : "less"),
        .x_from_zero = true,
        .n_series = models,
        .series = series,
        .points = true,
        .small = true};
    rv__page_chart(p, &chart);
}

static cost_axis training_axis(rv__page *p, const char *setting) {
    const int models = rv__page_n_models(p);
    double most = 0;
    cost_axis x = {setting, "training time", "time of a training run, seconds", NULL};
    x.cost = rv__page_alloc(p, sizeof *x.cost * (size_t)models);
    for (int k = 0; x.cost && k < models; k++) {
        x.cost[k] = rv__page_mean_of_runs(p, rv__page_model_name(p, k), setting, "time", "seconds");
        most = fmax(most, x.cost[k]);
    }
    if (most < 600) return x;
    x.x_label = "time of a training run, minutes";
    for (int k = 0; k < models; k++) x.cost[k] /= 60;
    return x;
}

static cost_axis decoding_axis(rv__page *p, const decoding *d) {
    const int models = rv__page_n_models(p);
    cost_axis x = {rv__page_setting(p, 0), "decoding time", NULL, NULL};
    x.x_label = rv__page_format(p, "decoding %s tokens, ms", rv__page_number(p, d->length));
    x.cost = rv__page_alloc(p, sizeof *x.cost * (size_t)models);
    for (int k = 0; x.cost && k < models; k++)
        x.cost[k] = rv__page_real(decode_row(p, d, rv__page_model_name(p, k)), "ms");
    return x;
}

static void pictures(rv__page *p, const decoding *d, const char *metric) {
    const int settings = rv__page_n_settings(p);
    cost_axis x[PICTURES_MOST + 1];
    int all = 0, n = 0;
    if (settings > PICTURES_MOST) return;
    for (int s = 0; s < settings; s++) x[all++] = training_axis(p, rv__page_setting(p, s));
    if (settings == 1) x[all++] = decoding_axis(p, d);
    for (int i = 0; i < all; i++)
        if (worth_drawing(p, metric, &x[i])) x[n++] = x[i];
    rv__page_charts_begin(p, n);
    for (int i = 0; i < n; i++) picture(p, metric, &x[i]);
    rv__page_charts_end(p, n);
}

void rv__page_overview(rv__page *p) {
    const char *headline = rv__page_headline(p);
    const decoding d = middle_decoding(p);
    if (*headline && rv__page_n_models(p) * rv__page_n_settings(p) > ROWS_MOST)
        settings_table(p, headline);
    else
        systems_table(p, &d, headline);
    pictures(p, &d, headline);
}

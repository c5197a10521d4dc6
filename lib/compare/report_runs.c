/* "differences", "runs", "curves" and "time_to" of a report: what the runs' configurations and logs say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "compare/report_data_private.h"
#include "config/metric.h"

enum { CURVE_POINTS = 100 }; /* of a training loss, each the mean of the steps that it stands for */

typedef struct {
    const rv_report_input *in;
    rv__run_log *log; /* of each run */
    double *flops;    /* of training, per token; NaN where it is not known */
} logs;

static const rv_report_run *find_run(const rv_report_input *in, const char *model, const char *setting) {
    for (int i = 0; i < in->n_runs; i++)
        if (!strcmp(in->run[i].model, model) && (!setting || !strcmp(in->run[i].setting, setting))) return &in->run[i];
    return NULL;
}

/* ---- differences */

/* One model's value of every key, in the schema's order. */
typedef struct {
    json_t *keys, *values;
} key_list;

static void add_key(void *ctx, const char *path, const char *text) {
    key_list *l = ctx;
    json_array_append_new(l->keys, json_string(path));
    json_array_append_new(l->values, text ? json_string(text) : json_null());
}

/* Keys that say where a run is, not what it is. */
static bool of_the_place(const char *key) {
    static const char *const keys[] = {"name", "seed", "checkpoint.dir", "runtime.threads"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i])) return true;
    return false;
}

/* The keys that a model of a comparison has by default; NULL where it is not known. */
static const json_t *defaults_of(const rv_report_input *in, int model) {
    const json_t *entries = json_object_get(in->plan, "models"), *e;
    size_t i;
    json_array_foreach (entries, i, e)
        if (!strcmp(json_string_value(json_object_get(e, "model")), in->model[model]))
            return json_object_get(e, "defaults");
    return NULL;
}

static bool is_among(const json_t *list, const json_t *key) {
    const json_t *e;
    size_t i;
    json_array_foreach (list, i, e)
        if (json_equal(e, key)) return true;
    return false;
}

/* Whether a file gives the key, or one that it follows from, in any model to which it applies. Null: not known. */
static json_t *asked_for(const rv_report_input *in, const json_t *key, const json_t *values) {
    bool asked = false;
    for (int m = 0; m < in->n_models; m++) {
        const json_t *defaults = defaults_of(in, m);
        if (!defaults) return json_null();
        asked |= !json_is_null(json_array_get(values, (size_t)m)) && !is_among(defaults, key);
    }
    return json_boolean(asked);
}

static void add_differences(const rv_report_input *in, const key_list *l, json_t *list) {
    const int n = in->n_models;
    for (size_t k = 0; k < json_array_size(l[0].keys); k++) {
        json_t *values = json_array();
        bool equal = true;
        for (int m = 0; m < n; m++) {
            json_t *v = json_array_get(l[m].values, k);
            equal = equal && json_equal(v, json_array_get(l[0].values, k));
            json_array_append(values, v ? v : json_null());
        }
        json_t *key = json_array_get(l[0].keys, k);
        if (!equal && !of_the_place(json_string_value(key)))
            json_array_append_new(
                list, json_pack("{s:O, s:O, s:o}", "key", key, "values", values, "asked", asked_for(in, key, values)));
        json_decref(values);
    }
}

static rv_status differences(const rv_report_input *in, json_t *report) {
    if (in->n_models < 2) return RV_OK;
    json_t *list = json_array();
    key_list *l = rv_alloc((size_t)in->n_models * sizeof *l);
    rv_status status = l ? RV_OK : RV_ENOMEM;
    for (int m = 0; m < in->n_models && status == RV_OK; m++) {
        const rv_report_run *run = find_run(in, in->model[m], NULL);
        l[m] = (key_list){json_array(), json_array()};
        if (run) status = rv_config_each(run->config, add_key, &l[m]);
    }
    if (status == RV_OK) add_differences(in, l, list);
    for (int m = 0; l && m < in->n_models; m++) {
        json_decref(l[m].keys);
        json_decref(l[m].values);
    }
    rv_free(l);
    json_object_set_new(report, "differences", list);
    return status;
}

/* ---- runs */

/* Of the validation at that step, else of the last one. */
static json_t *validation(const rv__run_log *log, int64_t step) {
    json_t *line = NULL, *l, *out = json_object(), *value;
    size_t i;
    const char *key;
    json_array_foreach (log->valid, i, l)
        if (step < 0 || json_integer_value(json_object_get(l, "step")) <= step) line = l;
    json_object_foreach (line, key, value)
        if (strcmp(key, "step") && strcmp(key, "kind")) json_object_set(out, key, value);
    return out;
}

static json_t *test_metrics(const rv__examples *e) {
    json_t *out = json_object();
    for (int k = 0; k < RV__METRIC_KINDS; k++)
        if (e->n && rv__metric_known(&rv__metric_kinds[k], e))
            json_object_set_new(out, rv__metric_kinds[k].name,
                                rv_json_number(rv__metric_value(&rv__metric_kinds[k], e)));
    return out;
}

static rv_status add_run(const logs *a, int i, json_t *list) {
    static const char *const status_name[] = {"done", "diverged", "unfinished"};
    const rv_report_run *run = &a->in->run[i];
    const rv__run_log *log = &a->log[i];
    rv__train_point end = log->n ? log->train[log->n - 1] : (rv__train_point){0};
    rv__examples examples;
    json_t *measured;
    RV_TRY(rv__examples_read(run->path, 0, &examples));
    rv_status status = rv__run_json_read(run->path, "measured.json", &measured);
    const char *part = json_string_value(json_object_get(measured, "part"));
    if (!part) part = examples.n ? "test" : "";
    json_t *step = json_object_get(measured, "step");
    json_t *o =
        json_pack("{s:i, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:o, s:O?, s:s, s:o, s:o}", "cell", run->cell, "model",
                  run->model, "setting", run->setting, "seed", (json_int_t)run->seed, "path", run->path, "status",
                  status_name[run->outcome], "message", run->message ? run->message : "", "step", (json_int_t)end.step,
                  "tokens", (json_int_t)end.tokens, "flops", rv_json_number(a->flops[i] * (double)end.tokens),
                  "parameters", json_object_get(measured, "parameters"), "part", part, "test",
                  strcmp(part, "test") ? json_object() : test_metrics(&examples), "valid",
                  validation(log, step ? json_integer_value(step) : -1));
    if (o && a->in->options.times)
        json_object_set_new(o, "time",
                            json_pack("{s:o, s:o, s:I}", "seconds", rv_json_number(end.seconds), "tokens_per_second",
                                      rv_json_number((double)end.tokens / end.seconds), "peak_bytes",
                                      (json_int_t)log->peak_bytes));
    if (o)
        json_array_append_new(list, o);
    else if (status == RV_OK)
        status = rv_error(RV_EDATA, "%s: its path or message is not valid UTF-8", run->path);
    json_decref(measured);
    rv__examples_free(&examples);
    return status;
}

/* ---- curves */

/* One run's curve of a metric; NaN where it is not a number. */
typedef struct {
    int64_t n, *step;
    double *y;
    int run;
} curve;

static void free_curves(int n, curve *c) {
    for (int i = 0; i < n; i++) {
        rv_free(c[i].step);
        rv_free(c[i].y);
    }
    rv_free(c);
}

/* The loss of training, in means of equally many logged steps; each stands at the last of its steps. */
static rv_status train_curve(const rv__run_log *log, curve *c) {
    const int64_t width = (log->n + CURVE_POINTS - 1) / CURVE_POINTS;
    c->step = rv_alloc((CURVE_POINTS + 1) * sizeof *c->step);
    c->y = rv_alloc((CURVE_POINTS + 1) * sizeof *c->y);
    if (!c->step || !c->y) return RV_ENOMEM;
    for (int64_t i = 0; i + width <= log->n && width; i += width, c->n++) {
        for (int64_t k = i; k < i + width; k++) c->y[c->n] += log->train[k].loss / (double)width;
        c->step[c->n] = log->train[i + width - 1].step;
    }
    return RV_OK;
}

static rv_status valid_curve(const rv__run_log *log, const char *metric, curve *c) {
    const size_t most = json_array_size(log->valid);
    c->step = rv_alloc((most + 1) * sizeof *c->step);
    c->y = rv_alloc((most + 1) * sizeof *c->y);
    if (!c->step || !c->y) return RV_ENOMEM;
    for (size_t i = 0; i < most; i++) {
        const json_t *line = json_array_get(log->valid, i);
        if (!json_object_get(line, metric)) continue;
        c->step[c->n] = (int64_t)json_integer_value(json_object_get(line, "step"));
        c->y[c->n++] = rv_json_double(line, metric);
    }
    return RV_OK;
}

/* Place of a step, or -1. */
static int64_t place(const curve *c, int64_t step) {
    int64_t low = 0, high = c->n;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (c->step[middle] < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n && c->step[low] == step ? low : -1;
}

/* The mean over seeds at each step that all of them have, with Student's interval. */
static json_t *merge(const logs *a, const char *model, int n, const curve *c) {
    json_t *step = json_array(), *tokens = json_array(), *flops = json_array(), *seconds = json_array(),
           *mean = json_array(), *low = json_array(), *high = json_array();
    const double t = n > 1 ? rv_student_quantile((1 + a->in->options.level) / 2, n - 1) : NAN;
    for (int64_t i = 0; i < c[0].n; i++) {
        double sum = 0, squares = 0, at_tokens = 0, at_seconds = 0, at_flops = 0;
        bool all = true;
        for (int k = 0; k < n && all; k++) {
            const int64_t at = place(&c[k], c[0].step[i]);
            all = at >= 0;
            if (!all) break;
            rv__train_point p = rv__run_log_at(&a->log[c[k].run], c[0].step[i]);
            sum += c[k].y[at] / n;
            at_tokens += (double)p.tokens / n;
            at_seconds += p.seconds / n;
            at_flops += a->flops[c[k].run] * (double)p.tokens / n;
        }
        if (!all) continue;
        for (int k = 0; k < n; k++) squares += pow(c[k].y[place(&c[k], c[0].step[i])] - sum, 2);
        const double half = t * sqrt(squares / (n - 1) / n);
        json_array_append_new(step, json_integer(c[0].step[i]));
        json_array_append_new(tokens, rv_json_number(at_tokens));
        json_array_append_new(flops, rv_json_number(at_flops));
        json_array_append_new(seconds, rv_json_number(at_seconds));
        json_array_append_new(mean, rv_json_number(sum));
        json_array_append_new(low, rv_json_number(sum - half));
        json_array_append_new(high, rv_json_number(sum + half));
    }
    json_t *o = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "model", model, "seeds", n, "step", step,
                          "tokens", tokens, "flops", flops, "mean", mean, "low", low, "high", high);
    if (a->in->options.times)
        json_object_set_new(o, "seconds", seconds);
    else
        json_decref(seconds);
    return o;
}

/* A model's runs of a setting: those that are done, or if none is, those that are not. */
static bool shown(const rv_report_input *in, int i, const char *model, const char *setting) {
    bool any = false;
    if (strcmp(in->run[i].model, model) || strcmp(in->run[i].setting, setting)) return false;
    for (int k = 0; k < in->n_runs; k++)
        any |= !strcmp(in->run[k].model, model) && !strcmp(in->run[k].setting, setting) &&
               in->run[k].outcome == RV_RUN_DONE;
    return !any || in->run[i].outcome == RV_RUN_DONE;
}

/* metric NULL: the loss of training. */
static rv_status add_model_curve(const logs *a, const char *setting, const char *metric, const char *model,
                                 json_t *series) {
    int n = 0;
    curve *c = rv_alloc((size_t)(a->in->n_runs + 1) * sizeof *c);
    rv_status status = c ? RV_OK : RV_ENOMEM;
    for (int i = 0; i < a->in->n_runs && status == RV_OK; i++) {
        if (!shown(a->in, i, model, setting)) continue;
        status = metric ? valid_curve(&a->log[i], metric, &c[n]) : train_curve(&a->log[i], &c[n]);
        c[n++].run = i;
        if (!c[n - 1].n && status == RV_OK) { /* nothing was logged */
            rv_free(c[--n].step);
            rv_free(c[n].y);
            c[n] = (curve){0};
        }
    }
    if (status == RV_OK && n) json_array_append_new(series, merge(a, model, n, c));
    if (c) free_curves(n, c);
    return status;
}

static rv_status add_curve(const logs *a, const char *setting, const char *metric, json_t *list) {
    json_t *series = json_array();
    rv_status status = RV_OK;
    for (int m = 0; m < a->in->n_models && status == RV_OK; m++)
        status = add_model_curve(a, setting, metric, a->in->model[m], series);
    if (json_array_size(series))
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:O}", "setting", setting, "metric", metric ? metric : "loss",
                                        "part", metric ? "valid" : "train", "series", series));
    json_decref(series);
    return status;
}

/* Metrics of the validations, in the order in which they first come. */
static json_t *validation_metrics(const logs *a) {
    json_t *seen = json_object(), *line, *value;
    const char *key;
    for (int i = 0; i < a->in->n_runs; i++) {
        line = json_array_get(a->log[i].valid, 0);
        json_object_foreach (line, key, value)
            if (strcmp(key, "step") && strcmp(key, "kind")) json_object_set(seen, key, json_null());
    }
    return seen;
}

static rv_status curves(const logs *a, json_t *report) {
    json_t *list = json_array(), *metrics = validation_metrics(a), *value;
    const char *metric;
    rv_status status = RV_OK;
    for (int s = 0; s < a->in->n_settings && status == RV_OK; s++) {
        status = add_curve(a, a->in->setting[s], NULL, list);
        json_object_foreach (metrics, metric, value)
            if (status == RV_OK) status = add_curve(a, a->in->setting[s], metric, list);
    }
    json_decref(metrics);
    json_object_set_new(report, "curves", list);
    return status;
}

/* ---- time to a threshold */

static json_t *reach(const logs *a, int i, const char *metric, double threshold) {
    const bool minimised = !rv_metric_find(metric)->higher_is_better;
    json_t *step = NULL, *tokens = NULL, *line;
    double best = NAN;
    size_t k;
    json_array_foreach (a->log[i].valid, k, line) {
        const double v = rv_json_double(line, metric);
        if (isnan(v)) continue;
        if (isnan(best) || (minimised ? v < best : v > best)) best = v;
        if (step || (minimised ? v > threshold : v < threshold)) continue;
        int64_t at = (int64_t)json_integer_value(json_object_get(line, "step"));
        step = json_integer(at);
        tokens = json_integer(rv__run_log_at(&a->log[i], at).tokens);
    }
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "setting", a->in->run[i].setting, "model", a->in->run[i].model,
                     "seed", (json_int_t)a->in->run[i].seed, "step", step ? step : json_null(), "tokens",
                     tokens ? tokens : json_null(), "best", rv_json_number(best));
}

static void time_to(const logs *a, json_t *report) {
    const rv_report_options *o = &a->in->options;
    if (!o->threshold_metric) return;
    json_t *rows = json_array();
    for (int i = 0; i < a->in->n_runs; i++) json_array_append_new(rows, reach(a, i, o->threshold_metric, o->threshold));
    json_object_set_new(
        report, "time_to",
        json_pack("{s:s, s:f, s:o}", "metric", o->threshold_metric, "threshold", o->threshold, "rows", rows));
}

/* ---- all of it */

static rv_status read_run(logs *a, int i) {
    json_t *measured;
    RV_TRY(rv__run_log_read(a->in->run[i].path, &a->log[i]));
    RV_TRY(rv__run_json_read(a->in->run[i].path, "measured.json", &measured));
    a->flops[i] = 3 * rv_json_double(measured, "flops_per_token"); /* backward costs twice the forward pass */
    json_decref(measured);
    return RV_OK;
}

rv_status rv_report_runs(const rv_report_input *in, json_t *report) {
    logs a = {.in = in,
              .log = rv_alloc((size_t)(in->n_runs + 1) * sizeof *a.log),
              .flops = rv_alloc((size_t)(in->n_runs + 1) * sizeof *a.flops)};
    json_t *list = json_array();
    rv_status status = a.log && a.flops ? differences(in, report) : RV_ENOMEM;
    for (int i = 0; i < in->n_runs && status == RV_OK; i++) status = read_run(&a, i);
    for (int i = 0; i < in->n_runs && status == RV_OK; i++) status = add_run(&a, i, list);
    json_object_set_new(report, "runs", list);
    if (status == RV_OK) status = curves(&a, report);
    if (status == RV_OK) time_to(&a, report);
    for (int i = 0; a.log && i < in->n_runs; i++) rv__run_log_free(&a.log[i]);
    rv_free(a.log);
    rv_free(a.flops);
    return status;
}

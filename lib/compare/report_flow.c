/* "gradient_flow" of a report: the files of all runs, one line for each model, setting and state. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "compare/gradient_flow.h"
#include "io/json_file.h"
#include "compare/report.h"

static rv_status read_flow(const char *dir, json_t **out) {
    char path[4096];
    *out = NULL;
    snprintf(path, sizeof path, "%s/gradient_flow.json", dir);
    if (access(path, F_OK)) return RV_OK;
    return rv_json_read(path, out);
}

static const char *text_of(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static json_t *find_state(const json_t *file, const char *when, const char *state) {
    json_t *series = json_object_get(json_object_get(file, when), "series");
    for (size_t i = 0; i < json_array_size(series); i++)
        if (!strcmp(text_of(json_array_get(series, i), "state"), state)) return json_array_get(series, i);
    return NULL;
}

/* The i-th number of the array; null, and what is no number, is NaN. */
static double number_at(const json_t *o, const char *key, size_t i) {
    const json_t *v = json_array_get(json_object_get(o, key), i);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static json_t *numbers(size_t n, const double *x) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, rv_json_number(x[i]));
    return a;
}

/* The seeds' curves as one: at each lag the mean of the logarithms, the least and the greatest. A norm of 0 makes the
 * mean 0. */
static rv_status add_line(json_t *const *one, int seeds, const char *setting, const char *model, const char *when,
                          const json_t *flow, json_t *list) {
    size_t n = json_array_size(json_object_get(one[0], "lag"));
    for (int k = 1; k < seeds; k++) { /* as far as all reach */
        size_t m = json_array_size(json_object_get(one[k], "lag"));
        n = m < n ? m : n;
    }
    double *lag = rv_alloc(rv_size_mul(4 * n, sizeof *lag)), *norm = lag + n, *low = norm + n, *high = low + n;
    if (!lag) return RV_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        lag[i] = number_at(one[0], "lag", i);
        low[i] = INFINITY;
        high[i] = -INFINITY;
        for (int k = 0; k < seeds; k++) {
            double x = number_at(one[k], "norm", i);
            sum += log(x);
            low[i] = isnan(x) ? NAN : fmin(low[i], x);
            high[i] = isnan(x) ? NAN : fmax(high[i], x);
        }
        norm[i] = seeds == 1 ? low[i] : exp(sum / seeds);
    }
    double half = n ? rv_half_life((int)n - 1, lag + 1, norm + 1) : NAN; /* as FLOW does */
    json_t *lags = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(lags, json_integer((json_int_t)lag[i]));
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "setting", setting, "model", model, "when", when,
                  "loss", text_of(flow, "loss"), "state", text_of(one[0], "state"), "kind", text_of(one[0], "kind"),
                  "lag", lags, "norm", numbers(n, norm), "half_life", rv_json_number(half));
    if (line && seeds > 1) {
        json_object_set_new(line, "low", numbers(n, low));
        json_object_set_new(line, "high", numbers(n, high));
    }
    rv_free(lag);
    return json_array_append_new(list, line) ? rv_error(RV_ENOMEM, "out of memory while the report was made") : RV_OK;
}

/* All lines of the runs with these labels: files[i] is NULL for a run of others, or not measured. */
static rv_status add_group(int n, json_t *const *files, const char *setting, const char *model, json_t *list) {
    static const char *const whens[] = {"before", "after"};
    int first = 0;
    while (first < n && !files[first]) first++;
    if (first == n) return RV_OK;
    json_t **one = rv_alloc(rv_size_mul((size_t)n, sizeof *one));
    rv_status status = one ? RV_OK : RV_ENOMEM;
    for (int w = 0; w < 2; w++) {
        const json_t *flow = json_object_get(files[first], whens[w]), *series = json_object_get(flow, "series");
        for (size_t k = 0; k < json_array_size(series) && status == RV_OK; k++) {
            int seeds = 0;
            for (int i = first; i < n; i++) {
                json_t *s =
                    files[i] ? find_state(files[i], whens[w], text_of(json_array_get(series, k), "state")) : NULL;
                if (s) one[seeds++] = s;
            }
            status = add_line(one, seeds, setting, model, whens[w], flow, list);
        }
    }
    rv_free(one);
    return status;
}

rv_status rv_report_gradient_flow(const rv_report_input *in, json_t *report) {
    size_t n = (size_t)in->n_runs;
    if (!n) return RV_OK;
    json_t **all = rv_alloc(rv_size_mul(n, sizeof *all)), **group = rv_alloc(rv_size_mul(n, sizeof *group)),
           *list = json_array();
    rv_status status = all && group && list ? RV_OK : RV_ENOMEM;
    for (size_t i = 0; i < n && status == RV_OK; i++) status = read_flow(in->run[i].path, &all[i]);
    for (int s = 0; s < in->n_settings; s++)
        for (int m = 0; m < in->n_models && status == RV_OK; m++) {
            for (size_t i = 0; i < n; i++)
                group[i] = !strcmp(in->run[i].model, in->model[m]) && !strcmp(in->run[i].setting, in->setting[s])
                               ? all[i]
                               : NULL;
            status = add_group(in->n_runs, group, in->setting[s], in->model[m], list);
        }
    if (status == RV_OK && json_array_size(list)) json_object_set(report, "gradient_flow", list);
    json_decref(list);
    for (size_t i = 0; all && i < n; i++) json_decref(all[i]);
    rv_free(all);
    rv_free(group);
    return status;
}

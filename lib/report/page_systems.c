/* What the document knows of each system in a setting: quality, loss, size, and the means of its runs. */
#include <math.h>
#include <string.h>

#include "report/page_private.h"

const json_t *rv__page_quality_of(const rv__page *p, const char *metric, const char *setting) {
    const json_t *q;
    size_t i;
    json_array_foreach (rv__page_part(p, "quality"), i, q)
        if (rv__page_is(q, "metric", metric) && rv__page_of_setting(q, setting)) return q;
    return NULL;
}

static const json_t *of_model(const json_t *list, const char *model) {
    const json_t *row;
    size_t i;
    json_array_foreach (list, i, row)
        if (rv__page_is(row, "model", model)) return row;
    return NULL;
}

/* A metric as it is shown. */
rv__page_span rv__page_metric_span(const rv__page *p, const char *metric, const char *model, const char *setting) {
    const json_t *row = of_model(json_object_get(rv__page_quality_of(p, metric, setting), "models"), model);
    const double scale = rv__page_metric_of(p, metric).scale;
    return (rv__page_span){scale * rv__page_real(row, "value"), scale * rv__page_real(row, "low"),
                           scale * rv__page_real(row, "high")};
}

double rv__page_mean_of_runs(const rv__page *p, const char *model, const char *setting, const char *part,
                             const char *key) {
    double sum[2] = {0}; /* done, unfinished */
    int n[2] = {0};
    const json_t *run;
    size_t i;
    json_array_foreach (rv__page_part(p, "runs"), i, run) {
        const bool unfinished = rv__page_is(run, "status", "unfinished");
        if (!rv__page_is(run, "model", model) || !rv__page_of_setting(run, setting)) continue;
        if (!unfinished && !rv__page_is(run, "status", "done")) continue;
        const char *of = *part ? part : rv__page_is(run, "part", "test") ? "test" : "valid";
        const double v = rv__page_real(json_object_get(run, of), key);
        if (isfinite(v)) sum[unfinished] += v, n[unfinished]++;
    }
    return n[0] ? sum[0] / n[0] : n[1] ? sum[1] / n[1] : (double)NAN;
}

double rv__page_loss(const rv__page *p, const char *model, const char *setting) {
    const double of_quality = rv__page_metric_span(p, "loss", model, setting).value;
    return isnan(of_quality) ? rv__page_mean_of_runs(p, model, setting, "", "loss") : of_quality;
}

/* The runs know it in each setting; the match that of the first. */
double rv__page_parameters(const rv__page *p, const char *model, const char *setting) {
    const json_t *run;
    size_t i;
    json_array_foreach (rv__page_part(p, "runs"), i, run)
        if (rv__page_is(run, "model", model) && rv__page_of_setting(run, setting) &&
            json_is_number(json_object_get(run, "parameters")))
            return rv__page_real(run, "parameters");
    return rv__page_real(of_model(json_object_get(rv__page_part(p, "match"), "models"), model), "parameters");
}

const char *rv__page_winner(const rv__page *p, const char *metric, const char *setting) {
    const json_t *pairs = json_object_get(rv__page_quality_of(p, metric, setting), "pairs");
    for (int k = 0; k < rv__page_n_models(p); k++) {
        const char *model = rv__page_model_name(p, k);
        const json_t *pair;
        size_t i;
        int wins = 0, all = 0;
        json_array_foreach (pairs, i, pair) {
            const bool a = rv__page_is(pair, "a", model), b = rv__page_is(pair, "b", model);
            all += a || b;
            wins += (a && rv__page_is(pair, "verdict", "a")) || (b && rv__page_is(pair, "verdict", "b"));
        }
        if (all && wins == all) return model;
    }
    return NULL;
}

/* Labels are their author's: what they stand for, where the systems are not all alike in it. */
bool rv__page_systems(rv__page *p) {
    const json_t *list = rv__page_part(p, "systems"), *s;
    size_t i;
    bool differ = rv__page_n_models(p) == 1;
    json_array_foreach (list, i, s) differ |= !rv__page_is(s, "text", rv__page_string(json_array_get(list, 0), "text"));
    if (!list || !differ) return false;
    fputs("<dl class='systems'>\n", p->f);
    json_array_foreach (list, i, s) {
        fputs("<dt>", p->f);
        rv__page_model(p, rv__page_string(s, "model"));
        fputs("</dt><dd>", p->f);
        rv_page_text(p->f, rv__page_string(s, "text"));
        fputs("</dd>\n", p->f);
    }
    fputs("</dl>\n", p->f);
    return true;
}

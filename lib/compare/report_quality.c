/* "quality", "by_length", "confusion", "samples" and "attention" of a report, from the runs' examples, and what
 * report_tags.c adds.
 *
 * A pair has a verdict only where nothing else can explain the difference (report_verdict.c). With several pairs their
 * p-values are adjusted [Holm 1979], and a verdict holds under that adjustment. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "compare/report_quality_private.h"

static void find_group(const rv__quality *d, const char *model, const char *setting, rv__group *g) {
    g->model = model;
    g->n = 0;
    for (int i = 0; i < d->in->n_runs; i++)
        if (rv__belongs(&d->in->run[i], model, setting) && d->in->run[i].outcome == RV_RUN_DONE && d->e[i].n)
            g->run[g->n++] = i;
}

/* Those of a and b that have a seed in common, in a's order. */
static void common_seeds(const rv__quality *d, const rv__group *a, const rv__group *b, rv__group *x, rv__group *y) {
    x->model = a->model, y->model = b->model;
    x->n = y->n = 0;
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < b->n; k++)
            if (d->in->run[a->run[i]].seed == d->in->run[b->run[k]].seed) {
                x->run[x->n++] = a->run[i];
                y->run[y->n++] = b->run[k];
                break;
            }
}

/* ---- sums for the bootstrap */

typedef struct {
    int unit;         /* which length */
    int64_t from, to; /* of examples that count, both inclusive; to < 0: no bound */
} range;
static const range EVERYTHING = {0, 0, -1};

static bool within(const rv__examples *e, int64_t i, const range *r) {
    const int64_t l = e->length[r->unit][i];
    return l >= r->from && (r->to < 0 || l <= r->to);
}

/* (runs, *n, RV_SUMS) of the metric's columns; NULL without memory or examples. */
static double *gather(const rv__quality *d, const rv__group *g, const rv__metric_kind *m, const range *r, int64_t *n) {
    const rv__examples *first = &d->e[g->run[0]];
    *n = 0;
    for (int64_t i = 0; i < first->n; i++) *n += within(first, i, r);
    double *x = *n ? rv_alloc(rv_size_mul((size_t)(g->n * *n), RV_SUMS * sizeof *x)) : NULL;
    for (int k = 0; x && k < g->n; k++) {
        const rv__examples *e = &d->e[g->run[k]];
        double *to = x + (int64_t)k * *n * RV_SUMS;
        for (int64_t i = 0; i < first->n; i++) {
            if (!within(first, i, r)) continue;
            rv__metric_sums(m, e, i, to);
            to += RV_SUMS;
        }
    }
    return x;
}

static rv_status value_of(const rv__quality *d, const rv__group *g, const rv__metric_kind *m, const range *r,
                          double *each, int64_t *n, rv_interval *out) {
    *out = (rv_interval){NAN, NAN, NAN};
    *n = 0;
    if (!rv__measured_by(d, g, m)) return RV_OK;
    double *x = gather(d, g, m, r, n);
    if (!*n) return RV_OK;
    const rv_report_options *o = &d->in->options;
    const rv_corpus_metric metric = rv__corpus_metric(m);
    rv_status status = x ? rv_bootstrap(g->n, *n, x, &metric, o->level, o->resamples, each, out) : RV_ENOMEM;
    rv_free(x);
    return status;
}

rv_status rv__quality_value(const rv__quality *d, const rv__group *g, const rv__metric_kind *m, rv_interval *out) {
    int64_t n;
    return value_of(d, g, m, &EVERYTHING, NULL, &n, out);
}

/* ---- pairs */

typedef struct {
    int a, b; /* models */
    rv_interval difference;
    double p, adjusted;
    int64_t needed; /* seeds, or -1 */
    int seeds;
    bool open;   /* a verdict is possible */
    bool losses; /* theirs compare */
    char why[RV__WHY], beside[RV__WHY];
} pair;

static rv_status compare(const rv__quality *d, const char *setting, const rv__group *a, const rv__group *b,
                         const rv__metric_kind *m, rv__group *x, rv__group *y, pair *out) {
    out->difference = (rv_interval){NAN, NAN, NAN};
    out->p = NAN;
    out->needed = -1;
    out->open = !rv__no_verdict(d, setting, a, b, m, out->why);
    if (out->open) rv__caveats(d, a, b, out->beside);
    char ignored[RV__WHY] = "";
    out->losses = a->n && b->n && !rv__other_examples(d, a, b, &rv__metric_kinds[0], ignored);
    if (!rv__measured_by(d, a, m) || !rv__measured_by(d, b, m) || rv__other_examples(d, a, b, m, ignored)) return RV_OK;
    common_seeds(d, a, b, x, y);
    const rv__group *left = x->n ? x : a, *right = x->n ? y : b;
    int64_t n, same;
    double *of_a = gather(d, left, m, &EVERYTHING, &n), *of_b = gather(d, right, m, &EVERYTHING, &same);
    double *each = rv_alloc((size_t)(2 * left->n) * sizeof *each);
    rv_interval alone;
    const rv_corpus_metric metric = rv__corpus_metric(m);
    const double level = d->in->options.level;
    /* p is no smaller than 2 / (resamples + 1): enough of them for a verdict under the adjustment for so many pairs. */
    const int models = d->in->n_models, enough = (int)fmin(1.5 * models * (models - 1) / (1 - level), 1e6);
    const int resamples = d->in->options.resamples > enough ? d->in->options.resamples : enough;
    rv_status status = of_a && of_b && each ? RV_OK : RV_ENOMEM;
    if (status == RV_OK)
        status =
            rv_bootstrap_pair(left->n, right->n, n, of_a, of_b, &metric, level, resamples, &out->difference, &out->p);
    if (status == RV_OK && x->n > 1) {
        status = rv_bootstrap(x->n, n, of_a, &metric, level, 0, each, &alone);
        if (status == RV_OK) status = rv_bootstrap(x->n, n, of_b, &metric, level, 0, each + x->n, &alone);
        for (int i = 0; i < x->n; i++) each[i] -= each[x->n + i];
        if (status == RV_OK) out->needed = rv_seeds_needed(x->n, each, level);
    }
    out->seeds = left->n < right->n ? left->n : right->n;
    rv_free(of_a);
    rv_free(of_b);
    rv_free(each);
    return status;
}

/* The k-th smallest of m p-values counts m - k times, and no less than those before it [Holm 1979]. */
static void adjust(int n, pair *p) {
    int m = 0;
    double before = 0;
    for (int i = 0; i < n; i++) {
        m += isfinite(p[i].p);
        p[i].adjusted = NAN;
    }
    for (int left = m; left > 0; left--) {
        int least = -1;
        for (int i = 0; i < n; i++)
            if (isfinite(p[i].p) && isnan(p[i].adjusted) && (least < 0 || p[i].p < p[least].p)) least = i;
        before = fmax(before, fmin(1, left * p[least].p));
        p[least].adjusted = before;
    }
}

static json_t *describe_pair(const rv__quality *d, const rv__metric_kind *m, pair *p) {
    const double alpha = 1 - d->in->options.level;
    const bool excludes = p->difference.low > 0 || p->difference.high < 0;
    const char *verdict = "no verdict";
    int64_t needed = -1;
    if (p->open && !isfinite(p->difference.low))
        snprintf(p->why, RV__WHY, "the metric is not a number on some resamples");
    else if (p->open && excludes && p->adjusted < alpha)
        verdict = (p->difference.value > 0) == rv_metric_find(m->name)->higher_is_better ? "a" : "b";
    else if (p->open) {
        verdict = "not distinguishable";
        needed = p->needed > p->seeds ? p->needed : -1;
        if (excludes)
            snprintf(p->why, RV__WHY,
                     "the interval leaves 0 out, but not after Holm's adjustment for the number of pairs");
        else if (p->needed > 0 && needed < 0)
            snprintf(p->why, RV__WHY, "seeds agree, but there are too few examples to tell");
    }
    const bool told = strlen(verdict) == 1, a_wins = *verdict == 'a';
    if (told && p->losses)
        rv__rate_caveat(d, d->in->model[a_wins ? p->a : p->b], d->in->model[a_wins ? p->b : p->a], p->beside);
    const size_t at = strlen(p->why);
    snprintf(p->why + at, RV__WHY - at, "%s%s", at && *p->beside ? "; " : "", p->beside);
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:o}", "a", d->in->model[p->a], "b", d->in->model[p->b],
                     "difference", rv_json_number(p->difference.value), "low", rv_json_number(p->difference.low),
                     "high", rv_json_number(p->difference.high), "p", rv_json_number(p->adjusted), "verdict", verdict,
                     "why", p->why, "seeds_needed", needed > 0 ? json_integer(needed) : json_null());
}

/* ---- quality */

static rv_status describe_models(const rv__quality *d, const rv__group *g, const rv__metric_kind *m, json_t *list) {
    double *each = rv_alloc((size_t)(d->in->n_runs + 1) * sizeof *each);
    rv_status status = each ? RV_OK : RV_ENOMEM;
    for (int k = 0; k < d->in->n_models && status == RV_OK; k++) {
        rv_interval v;
        int64_t n;
        status = value_of(d, &g[k], m, &EVERYTHING, each, &n, &v);
        json_t *seeds = json_array();
        for (int i = 0; i < g[k].n && rv__measured_by(d, &g[k], m); i++)
            json_array_append_new(seeds, rv_json_number(each[i]));
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o}", "model", g[k].model, "value",
                                              rv_json_number(v.value), "low", rv_json_number(v.low), "high",
                                              rv_json_number(v.high), "per_seed", seeds));
    }
    rv_free(each);
    return status;
}

static rv_status describe_pairs(const rv__quality *d, const char *setting, const rv__group *g, const rv__metric_kind *m,
                                json_t *list) {
    const int models = d->in->n_models, most = models * (models - 1) / 2;
    int n = 0;
    pair *p = rv_alloc((size_t)(most + 1) * sizeof *p);
    int *room = rv_alloc((size_t)(2 * d->in->n_runs + 1) * sizeof *room);
    rv_status status = p && room ? RV_OK : RV_ENOMEM;
    rv__group x = {.run = room}, y = {.run = room + d->in->n_runs};
    for (int a = 0; a < models; a++)
        for (int b = a + 1; b < models && status == RV_OK; b++) {
            p[n] = (pair){.a = a, .b = b};
            status = compare(d, setting, &g[a], &g[b], m, &x, &y, &p[n++]);
        }
    if (status == RV_OK) adjust(n, p);
    for (int i = 0; i < n && status == RV_OK; i++) json_array_append_new(list, describe_pair(d, m, &p[i]));
    rv_free(room);
    rv_free(p);
    return status;
}

static rv_status add_quality(const rv__quality *d, const char *setting, const rv__group *g, const rv__metric_kind *m,
                             json_t *list) {
    json_t *models = json_array(), *pairs = json_array();
    rv_status status = describe_models(d, g, m, models);
    if (status == RV_OK) status = describe_pairs(d, setting, g, m, pairs);
    json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:f, s:o, s:o}", "setting", setting, "metric", m->name,
                                          "higher_is_better", (int)rv_metric_find(m->name)->higher_is_better, "level",
                                          d->in->options.level, "models", models, "pairs", pairs));
    return status;
}

/* ---- by length */

static rv_status add_bin(const rv__quality *d, const rv__group *g, const rv__metric_kind *m, const range *r,
                         json_t *counts, json_t *const lists[3]) {
    rv_interval v;
    int64_t n;
    rv_status status = value_of(d, g, m, r, NULL, &n, &v);
    const double of[] = {v.value, v.low, v.high};
    json_array_append_new(counts, json_integer(n));
    for (int k = 0; k < 3; k++) json_array_append_new(lists[k], rv_json_number(of[k]));
    return status;
}

/* Length of the longest source of any model. */
static int64_t longest(const rv__quality *d, const rv__group *g, int unit) {
    int64_t most = 0;
    for (int k = 0; k < d->in->n_models; k++)
        for (int i = 0; i < g[k].n; i++) {
            const rv__examples *e = &d->e[g[k].run[i]];
            for (int64_t j = 0; j < e->n; j++) most = e->length[unit][j] > most ? e->length[unit][j] : most;
        }
    return most;
}

static rv_status add_by_length(const rv__quality *d, const char *setting, const rv__group *g, const rv__metric_kind *m,
                               json_t *list) {
    const rv_report_options *o = &d->in->options;
    const int64_t most = longest(d, g, o->words);
    range r[RV_REPORT_BINS + 1];
    json_t *bins = json_array(), *models = json_array();
    int n = 0;
    for (int64_t from = 0; n <= o->n_bins && from <= most; n++) { /* no bin is longer than all examples */
        r[n] = (range){o->words, from, n < o->n_bins ? o->most[n] : -1};
        json_array_append_new(bins, json_pack("{s:I, s:o}", "from", (json_int_t)from, "to",
                                              r[n].to < 0 ? json_null() : json_integer(r[n].to)));
        from = r[n].to + 1;
    }
    rv_status status = RV_OK;
    for (int k = 0; k < d->in->n_models && status == RV_OK; k++) {
        json_t *counts = json_array(), *const lists[] = {json_array(), json_array(), json_array()};
        for (int i = 0; i < n && status == RV_OK; i++) status = add_bin(d, &g[k], m, &r[i], counts, lists);
        json_array_append_new(models, json_pack("{s:s, s:o, s:o, s:o, s:o}", "model", g[k].model, "examples", counts,
                                                "value", lists[0], "low", lists[1], "high", lists[2]));
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o}", "setting", setting, "metric", m->name, "unit",
                                          o->words ? "words" : "tokens", "bins", bins, "models", models));
    return status;
}

/* ---- samples and attention: of each model's first seed */

json_t *rv__sample_output(const char *model, const json_t *line) {
    json_t *text = json_object_get(line, "hypothesis");
    return text ? json_pack("{s:s, s:O, s:b}", "model", model, "text", text, "exact",
                            (int)json_integer_value(json_object_get(line, "exact")))
                : NULL;
}

static void add_samples(const rv__quality *d, const char *setting, const rv__group *g, json_t *list) {
    for (size_t i = 0; i < (size_t)d->in->options.samples; i++) {
        json_t *outputs = json_array(), *shown = NULL;
        for (int k = 0; k < d->in->n_models; k++) {
            json_t *e = g[k].n ? json_array_get(d->e[g[k].run[0]].first, i) : NULL,
                   *output = rv__sample_output(g[k].model, e);
            if (!output) continue;
            shown = shown ? shown : e;
            json_array_append_new(outputs, output);
        }
        if (shown)
            json_array_append_new(list,
                                  json_pack("{s:s, s:O, s:O, s:O, s:O}", "setting", setting, "i",
                                            json_object_get(shown, "i"), "source", json_object_get(shown, "source"),
                                            "reference", json_object_get(shown, "reference"), "outputs", outputs));
        json_decref(outputs);
    }
}

static rv_status add_attention(const rv__quality *d, const char *setting, const rv__group *g, json_t *list) {
    for (int k = 0; k < d->in->n_models; k++) {
        if (!g[k].n) continue;
        const rv_report_run *run = &d->in->run[g[k].run[0]];
        json_t *file, *e;
        size_t i;
        RV_TRY(rv__run_json_read(run->path, "attention.json", &file));
        json_array_foreach (file, i, e)
            if ((int)i < d->in->options.pictures)
                json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:O, s:O, s:O, s:O}", "setting", setting,
                                                      "model", g[k].model, "seed", (json_int_t)run->seed, "i",
                                                      json_object_get(e, "i"), "source", json_object_get(e, "source"),
                                                      "target", json_object_get(e, "target"), "weights",
                                                      json_object_get(e, "weights")));
        json_decref(file);
    }
    return RV_OK;
}

/* ---- all of it */

static bool wanted(const rv__quality *d, const rv__group *g, const rv__metric_kind *m) {
    const rv_report_options *o = &d->in->options;
    bool known = false, named = o->n_metrics == 0;
    for (int k = 0; k < d->in->n_models; k++) known |= rv__measured_by(d, &g[k], m);
    for (int k = 0; k < o->n_metrics; k++) named |= !strcmp(o->metrics[k], m->name);
    return known && named;
}

/* The seeds of a model are measured on the same examples, and tell the same classes. */
static rv_status check_group(const rv__quality *d, const rv__group *g) {
    for (int i = 1; i < g->n; i++) {
        if (d->e[g->run[i]].n_classes != d->e[g->run[0]].n_classes)
            return rv_error(RV_EDATA,
                            "%s tells %d classes and %s tells %d: they were not trained on the same data; delete one "
                            "of the runs",
                            d->in->run[g->run[0]].path, d->e[g->run[0]].n_classes, d->in->run[g->run[i]].path,
                            d->e[g->run[i]].n_classes);
        if (d->e[g->run[i]].n != d->e[g->run[0]].n)
            return rv_error(RV_EDATA,
                            "%s has %lld examples and %s has %lld: they were not measured on the same data; delete "
                            "both files examples.jsonl and measure again",
                            d->in->run[g->run[0]].path, (long long)d->e[g->run[0]].n, d->in->run[g->run[i]].path,
                            (long long)d->e[g->run[i]].n);
    }
    return RV_OK;
}

/* Spans of a text are as long as they were made. */
static bool of_spans(const rv__quality *d, const rv__group *g) {
    for (int k = 0; k < d->in->n_models; k++)
        if (g[k].n && json_object_get(d->facts[g[k].run[0]].measured, "text")) return true;
    return false;
}

typedef struct {
    json_t *quality, *by_length, *confusion, *tags, *samples, *attention; /* tags: an object of parts */
} parts;

static rv_status report_setting(const rv__quality *d, const char *setting, rv__group *g, parts *p) {
    for (int k = 0; k < d->in->n_models; k++) {
        find_group(d, d->in->model[k], setting, &g[k]);
        RV_TRY(check_group(d, &g[k]));
    }
    for (int k = 0; k < RV__METRIC_KINDS; k++) {
        const rv__metric_kind *m = &rv__metric_kinds[k];
        if (!wanted(d, g, m)) continue;
        RV_TRY(add_quality(d, setting, g, m, p->quality));
        if (d->in->options.n_bins && !of_spans(d, g)) RV_TRY(add_by_length(d, setting, g, m, p->by_length));
    }
    rv__report_confusion(d, setting, g, p->confusion);
    RV_TRY(rv__report_tags(d, setting, g, p->tags));
    add_samples(d, setting, g, p->samples);
    return add_attention(d, setting, g, p->attention);
}

static rv_status read_runs(rv__quality *d) {
    for (int i = 0; i < d->in->n_runs; i++) {
        RV_TRY(rv__examples_read(d->in->run[i].path, d->in->options.samples, &d->e[i]));
        RV_TRY(rv__run_facts_read(&d->in->run[i], d->in->options.level, &d->facts[i]));
    }
    return RV_OK;
}

static void add_part(json_t *report, const char *name, json_t *list) {
    if (json_array_size(list)) json_object_set(report, name, list);
    json_decref(list);
}

rv_status rv_report_quality(const rv_report_input *in, json_t *report) {
    const size_t runs = (size_t)in->n_runs + 1, models = (size_t)in->n_models + 1;
    rv__quality d = {.in = in, .e = rv_alloc(runs * sizeof *d.e), .facts = rv_alloc(runs * sizeof *d.facts)};
    rv__group *g = rv_alloc(models * sizeof *g);
    int *room = rv_alloc(rv_size_mul(models * runs, sizeof *room));
    parts p = {json_array(), json_array(), json_array(), json_object(), json_array(), json_array()};
    rv_status status = d.e && d.facts && g && room ? read_runs(&d) : RV_ENOMEM;
    for (int k = 0; g && room && k < in->n_models; k++) g[k].run = room + (size_t)k * runs;
    for (int s = 0; s < in->n_settings && status == RV_OK; s++) status = report_setting(&d, in->setting[s], g, &p);
    for (int i = 0; d.e && i < in->n_runs; i++) rv__examples_free(&d.e[i]);
    rv_free(room);
    rv_free(g);
    for (int i = 0; d.facts && i < in->n_runs; i++) rv__run_facts_free(&d.facts[i]);
    rv_free(d.facts);
    rv_free(d.e);
    add_part(report, "quality", p.quality);
    add_part(report, "by_length", p.by_length);
    add_part(report, "confusion", p.confusion);
    json_object_update(report, p.tags);
    json_decref(p.tags);
    add_part(report, "samples", p.samples);
    add_part(report, "attention", p.attention);
    return status;
}

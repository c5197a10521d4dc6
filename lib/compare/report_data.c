#define _GNU_SOURCE /* getline */
#include "compare/report_data_private.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"

static int64_t whole(const json_t *o, const char *key) { return (int64_t)json_integer_value(json_object_get(o, key)); }

rv_status rv__run_json_read(const char *dir, const char *name, json_t **out) {
    char path[RV__PATH];
    json_error_t e;
    *out = NULL;
    RV_TRY(rv__path(path, "%s/%s", dir, name));
    FILE *f = fopen(path, "re");
    if (!f && errno == ENOENT) return RV_OK;
    *out = f ? json_loadf(f, 0, &e) : NULL;
    if (!f) return rv_error(RV_EDATA, "cannot read %s: %s", path, strerror(errno));
    fclose(f);
    return *out ? RV_OK
                : rv_error(RV_EDATA, "%s:%d:%d: %s; delete it and measure again", path, e.line, e.column, e.text);
}

/* ---- files of one JSON object a line */

typedef rv_status (*line_sink)(void *ctx, json_t *line);

/* A last line that does not end is one that is being written. */
static rv_status each_line(const char *dir, const char *name, line_sink sink, void *ctx) {
    char path[RV__PATH], *text = NULL;
    size_t room = 0;
    RV_TRY(rv__path(path, "%s/%s", dir, name));
    FILE *f = fopen(path, "re");
    if (!f) return errno == ENOENT ? RV_OK : rv_error(RV_EDATA, "cannot read %s: %s", path, strerror(errno));
    rv_status status = RV_OK;
    ssize_t n;
    for (int64_t line = 1; status == RV_OK && (n = getline(&text, &room, f)) > 0 && text[n - 1] == '\n'; line++) {
        json_error_t e;
        json_t *o = json_loadb(text, (size_t)n, 0, &e);
        status = o ? sink(ctx, o)
                   : rv_error(RV_EDATA, "%s:%lld:%d: %s; delete the file and run the same command again", path,
                              (long long)line, e.column, e.text);
        json_decref(o);
    }
    free(text);
    fclose(f);
    return status;
}

/* Grow what is measured in `size` bytes an element so that there is room for one more than n. */
static rv_status grow(void *list, int64_t n, int64_t *room, size_t size) {
    if (n < *room) return RV_OK;
    *room = n < 128 ? 256 : 2 * n;
    void *more = realloc(*(void **)list, rv_size_mul((size_t)*room, size));
    if (!more) return rv_error(RV_ENOMEM, "no memory for the lines of a run");
    *(void **)list = more;
    return RV_OK;
}

/* ---- examples */

typedef struct {
    rv__examples *e;
    const char *dir;
    int64_t keep, room[6];
} example_reader;

/* One class, or a list of one for each word. */
static int64_t classes_in(const json_t *v) { return json_is_array(v) ? (int64_t)json_array_size(v) : v != NULL; }
static const json_t *class_in(const json_t *v, int64_t i) {
    return json_is_array(v) ? json_array_get(v, (size_t)i) : v;
}

static rv_status take_classes(example_reader *r, const json_t *line) {
    rv__examples *e = r->e;
    static const char *const keys[] = {"label", "said"};
    const int64_t from = e->n ? e->class_at[e->n] : 0,
                  n = e->n_classes ? classes_in(json_object_get(line, "label")) : 0;
    RV_TRY(grow(&e->class_at, e->n + 1, &r->room[3], sizeof *e->class_at));
    e->class_at[0] = 0;
    e->class_at[e->n + 1] = from + n;
    for (int k = 0; k < 2; k++) {
        const json_t *list = json_object_get(line, keys[k]);
        RV_TRY(grow(&e->class[k], from + n, &r->room[4 + k], sizeof *e->class[k]));
        for (int64_t i = 0; i < n || (e->n_classes && !i); i++) {
            const json_t *id = classes_in(list) == n ? class_in(list, i) : NULL;
            if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= e->n_classes)
                return rv_error(RV_EDATA,
                                "%s/examples.jsonl: %s of example %lld is none of the %d classes of measured.json; "
                                "delete both files and run the same command again",
                                r->dir, keys[k], (long long)e->n, e->n_classes);
            e->class[k][from + i] = (int32_t)json_integer_value(id);
        }
    }
    return RV_OK;
}

/* Numbers of a list, into s and behind it. */
static bool take_list(const json_t *line, const char *key, int n, double *s) {
    const json_t *list = json_object_get(line, key);
    for (int k = 0; k < n; k++) s[k] = (double)json_integer_value(json_array_get(list, (size_t)k));
    return list;
}

static rv_status take_example(void *ctx, json_t *line) {
    example_reader *r = ctx;
    rv__examples *e = r->e;
    static const char *const keys[] = {"source_tokens", "source_words"};
    RV_TRY(grow(&e->sums, e->n, &r->room[2], RV__COLUMNS * sizeof *e->sums));
    for (int k = 0; k < 2; k++) {
        RV_TRY(grow(&e->length[k], e->n, &r->room[k], sizeof *e->length[k]));
        e->length[k][e->n] = whole(line, keys[k]);
    }
    RV_TRY(take_classes(r, line));
    double *s = e->sums + e->n * RV__COLUMNS;
    memset(s, 0, RV__COLUMNS * sizeof *s);
    s[RV__TOKENS] = (double)whole(line, "tokens");
    s[RV__CORRECT] = (double)whole(line, "correct");
    s[RV__BYTES] = (double)whole(line, "bytes");
    /* A span in which no token begins has some, too. */
    s[RV__NATS] = json_object_get(line, "nats") ? rv_json_double(line, "nats") : 0;
    s[RV__EXACT] = (double)whole(line, "exact");
    s[RV__EXAMPLES] = 1;
    const json_t *bleu = json_object_get(line, "bleu"), *squared = json_object_get(line, "squared_error");
    const json_t *chrf = json_object_get(line, "chrf");
    e->tags |= take_list(line, "known", 2, s + RV__KNOWN);
    take_list(line, "unknown", 2, s + RV__UNKNOWN);
    e->unknown |= s[RV__UNKNOWN + 1] > 0;
    e->spans |= take_list(line, "spans", 3, s + RV__SPANS);
    s[RV__MALFORMED] = (double)whole(line, "malformed");
    if (squared) s[RV__SQUARES] = rv_json_double(line, "squared_error");
    for (int k = 0; bleu && k < RV_BLEU_ORDER; k++) {
        s[RV__BLEU + k] = (double)json_integer_value(json_array_get(json_object_get(bleu, "counts"), (size_t)k));
        s[RV__BLEU + RV_BLEU_ORDER + k] =
            (double)json_integer_value(json_array_get(json_object_get(bleu, "totals"), (size_t)k));
    }
    s[RV__BLEU + 2 * RV_BLEU_ORDER] = (double)whole(bleu, "hyp_len");
    s[RV__BLEU + 2 * RV_BLEU_ORDER + 1] = (double)whole(bleu, "ref_len");
    static const char *const ngrams[] = {"hyp", "ref", "match"};
    for (int k = 0; chrf && k < 3 * RV__CHRF_ORDER; k++)
        s[RV__CHRF + k] = (double)json_integer_value(
            json_array_get(json_object_get(chrf, ngrams[k / RV__CHRF_ORDER]), (size_t)(k % RV__CHRF_ORDER)));
    e->predictions |= s[RV__TOKENS] > 0;
    e->bytes |= s[RV__BYTES] > 0;
    e->texts |= bleu != NULL;
    e->chrf |= chrf != NULL;
    e->numbers |= squared != NULL;
    if (e->n++ < r->keep) json_array_append(e->first, line);
    return RV_OK;
}

typedef struct {
    const int64_t *which;
    int64_t at;
    int n, next;
    json_t *lines;
} picker;

static rv_status pick(void *ctx, json_t *line) {
    picker *p = ctx;
    if (p->next < p->n && p->which[p->next] == p->at++) {
        json_array_append(p->lines, line);
        p->next++;
    }
    return RV_OK;
}

rv_status rv__examples_pick(const char *dir, int n, const int64_t *which, json_t *lines) {
    picker p = {.which = which, .n = n, .lines = lines};
    return each_line(dir, "examples.jsonl", pick, &p);
}

static rv_status read_class_names(const char *dir, rv__examples *e) {
    json_t *measured;
    RV_TRY(rv__run_json_read(dir, "measured.json", &measured));
    e->class_name = json_incref(json_object_get(measured, "classes"));
    e->n_classes = (int)json_array_size(e->class_name);
    json_decref(measured);
    return RV_OK;
}

rv_status rv__examples_read(const char *dir, int64_t keep, rv__examples *out) {
    *out = (rv__examples){.first = json_array()};
    example_reader r = {.e = out, .dir = dir, .keep = keep};
    rv_status status = read_class_names(dir, out);
    if (status == RV_OK) status = each_line(dir, "examples.jsonl", take_example, &r);
    if (status != RV_OK) rv__examples_free(out);
    return status;
}

void rv__examples_free(rv__examples *e) {
    free(e->sums);
    free(e->length[0]);
    free(e->length[1]);
    free(e->class[0]);
    free(e->class[1]);
    free(e->class_at);
    json_decref(e->class_name);
    json_decref(e->first);
    *e = (rv__examples){0};
}

/* ---- the log */

typedef struct {
    rv__run_log *l;
    int64_t room;
} log_reader;

static rv_status take_log_line(void *ctx, json_t *line) {
    log_reader *r = ctx;
    rv__run_log *l = r->l;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    if (kind && !strcmp(kind, "valid")) json_array_append(l->valid, line);
    if (!kind || strcmp(kind, "train")) return RV_OK;
    RV_TRY(grow(&l->train, l->n, &r->room, sizeof *l->train));
    rv__train_point before = l->n ? l->train[l->n - 1] : (rv__train_point){0};
    int64_t tokens = whole(line, "tokens"), peak = whole(line, "peak_memory_bytes");
    double seconds = (double)(tokens - before.tokens) / rv_json_double(line, "tokens_per_second");
    l->train[l->n++] = (rv__train_point){whole(line, "step"), tokens, rv_json_double(line, "loss"),
                                         before.seconds + (isfinite(seconds) ? seconds : 0)};
    if (peak > l->peak_bytes) l->peak_bytes = peak;
    return RV_OK;
}

rv_status rv__run_log_read(const char *dir, rv__run_log *out) {
    *out = (rv__run_log){.valid = json_array()};
    log_reader r = {.l = out};
    rv_status status = each_line(dir, "metrics.jsonl", take_log_line, &r);
    if (status != RV_OK) rv__run_log_free(out);
    return status;
}

void rv__run_log_free(rv__run_log *l) {
    free(l->train);
    json_decref(l->valid);
    *l = (rv__run_log){0};
}

rv__train_point rv__run_log_at(const rv__run_log *l, int64_t step) {
    int64_t low = 0, high = l->n; /* points before `low` are at or before the step */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (l->train[middle].step <= step)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? l->train[low - 1] : (rv__train_point){0};
}

/* ---- metrics */

static double ratio(const double s[RV_SUMS]) { return s[0] / s[1]; }
static double bits(const double s[RV_SUMS]) { return s[0] / s[1] / log(2.); }
/* As eval has it: nothing that is told breaks nothing. */
static double malformed(const double s[RV_SUMS]) { return s[1] > 0 ? s[0] / s[1] : 0; }
static double perplexity(const double s[RV_SUMS]) { return exp(s[0] / s[1]); }
static double bleu(const double s[RV_SUMS]) {
    rv_bleu_stats b = {.hyp_len = (int64_t)s[2 * RV_BLEU_ORDER], .ref_len = (int64_t)s[2 * RV_BLEU_ORDER + 1]};
    for (int k = 0; k < RV_BLEU_ORDER; k++) {
        b.counts[k] = (int64_t)s[k];
        b.totals[k] = (int64_t)s[RV_BLEU_ORDER + k];
    }
    return b.ref_len ? rv_bleu_from_stats(&(rv_bleu_options){0}, &b).score : NAN;
}

static double chrf(const double s[RV_SUMS]) {
    rv_chrf_stats c = {0};
    int64_t *const of[] = {c.hyp, c.ref, c.match};
    for (int k = 0; k < 3 * RV__CHRF_ORDER; k++) of[k / RV__CHRF_ORDER][k % RV__CHRF_ORDER] = (int64_t)s[k];
    return c.ref[0] ? rv_chrf_from_stats(&(rv_chrf_options){0}, &c) : NAN;
}

static double span_f1(const double s[RV_SUMS]) {
    return rv_spans_f1(&(rv_span_counts){.right = (int64_t)s[0], .told = (int64_t)s[1], .gold = (int64_t)s[2]});
}
static double macro_f1(const double s[RV_SUMS]) { return rv_macro_f1(RV_F1_CLASSES, s); }

const rv__metric_kind rv__metric_kinds[RV__METRIC_KINDS] = {
    {"loss", ratio, 2, {RV__NATS, RV__TOKENS}},
    {"ppl", perplexity, 2, {RV__NATS, RV__TOKENS}},
    {"bpb", bits, 2, {RV__NATS, RV__BYTES}},
    {"accuracy", ratio, 2, {RV__CORRECT, RV__TOKENS}},
    {"exact", ratio, 2, {RV__EXACT, RV__EXAMPLES}},
    {"bleu", bleu, 2 * RV_BLEU_ORDER + 2, {RV__BLEU}},
    {"chrf", chrf, 3 * RV__CHRF_ORDER, {RV__CHRF}},
    {"mse", ratio, 2, {RV__SQUARES, RV__EXAMPLES}},
    {"f1", macro_f1, 3 * RV_F1_CLASSES, {RV__CLASSES}},
    {"known_accuracy", ratio, 2, {RV__KNOWN, RV__KNOWN + 1}},
    {"unknown_accuracy", ratio, 2, {RV__UNKNOWN, RV__UNKNOWN + 1}},
    {"span_f1", span_f1, 3, {RV__SPANS}},
    {"malformed", malformed, 2, {RV__MALFORMED, RV__SPANS + 1}},
};

rv__metric_kind rv__recall_of(uint64_t tags) {
    return (rv__metric_kind){"accuracy", ratio, 2, {RV__RECALL, RV__RECALL}, tags};
}

rv_corpus_metric rv__corpus_metric(const rv__metric_kind *m) {
    const rv_metric_kind *known = rv_metric_find(m->name);
    return (rv_corpus_metric){m->of, known->least, known->most};
}

bool rv__metric_known(const rv__metric_kind *m, const rv__examples *e) {
    const int c = m->column[0];
    if (m->column[1] == RV__BYTES) return e->bytes;
    if (m->of == perplexity && e->n_classes) return false; /* a measure of texts that are predicted */
    return c == RV__SQUARES                       ? e->numbers
           : c == RV__KNOWN || c == RV__RECALL    ? e->tags
           : c == RV__UNKNOWN                     ? e->unknown
           : c == RV__SPANS || c == RV__MALFORMED ? e->spans
           : c == RV__CLASSES                     ? e->n_classes && e->n_classes <= RV_F1_CLASSES
           : c == RV__CHRF                        ? e->chrf
           : c == RV__EXACT || c == RV__BLEU      ? e->texts
                                                  : e->predictions;
}

static void class_sums(const rv__examples *e, int64_t i, double *sums) {
    memset(sums, 0, 3 * RV_F1_CLASSES * sizeof *sums);
    for (int64_t k = e->class_at[i]; k < e->class_at[i + 1]; k++) {
        const int32_t label = e->class[0][k], said = e->class[1][k];
        sums[3 * label] += label == said;
        sums[3 * said + 1]++;
        sums[3 * label + 2]++;
    }
}

static void recall_sums(const rv__examples *e, int64_t i, uint64_t tags, double *sums) {
    sums[0] = sums[1] = 0;
    for (int64_t k = e->class_at[i]; k < e->class_at[i + 1]; k++) {
        const int32_t label = e->class[0][k];
        if (label >= 64 || !(tags >> label & 1)) continue;
        sums[0] += label == e->class[1][k];
        sums[1]++;
    }
}

void rv__metric_sums(const rv__metric_kind *m, const rv__examples *e, int64_t i, double *sums) {
    const double *of = e->sums + i * RV__COLUMNS;
    if (m->column[0] == RV__CLASSES) return class_sums(e, i, sums);
    if (m->column[0] == RV__RECALL) return recall_sums(e, i, m->tags, sums);
    for (int k = 0; k < m->columns; k++) sums[k] = of[m->columns > 2 ? m->column[0] + k : m->column[k]];
}

double rv__metric_value(const rv__metric_kind *m, const rv__examples *e) {
    double sums[RV_SUMS] = {0}, one[RV_SUMS];
    for (int64_t i = 0; i < e->n; i++) {
        rv__metric_sums(m, e, i, one);
        for (int k = 0; k < m->columns; k++) sums[k] += one[k];
    }
    return m->of(sums);
}

#include "compare/measure.h"
#include "io/json_file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare/gradient_flow.h"
#include "compare/report_data_private.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/stop.h"
#include "train/trained.h"
#include "decode/translate_attention.h"
#include "decode/translate_text.h"
#include "train/task.h"

/* "DIR/name"; *there: nothing is left to do. */
static rv_status locate(char path[RV__PATH], const char *dir, const char *name, bool *there) {
    RV_TRY(rv__path(path, "%s/%s", dir, name));
    *there = access(path, F_OK) == 0;
    return RV_OK;
}

/* As JSON has text: a byte that is no part of valid UTF-8, which a model may well write, becomes U+FFFD. */
static json_t *json_text(const char *s) {
    char *valid = NULL;
    size_t size, n = strlen(s);
    FILE *f = open_memstream(&valid, &size);
    if (!f) return NULL;
    for (size_t i = 0; i < n;) {
        int32_t cp;
        int k = rv_utf8_next(s + i, n - i, &cp);
        if (k)
            fwrite(s + i, 1, (size_t)k, f);
        else
            fputs("\xef\xbf\xbd", f);
        i += k ? (size_t)k : 1;
    }
    json_t *j = !fclose(f) ? json_string(valid) : NULL;
    free(valid);
    return j;
}

/* ---- examples.jsonl */

static json_t *counts(int n, const int64_t *x) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_integer(x[i]));
    return list;
}

static json_t *numbers(int64_t n, const int32_t *x) {
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_integer(x[i]));
    return list;
}

static void describe_tags(json_t *o, const rv_example *e) {
    const rv_tag_sums *t = &e->tags;
    json_object_set_new(o, "label", numbers(e->score.tokens, e->tag));
    json_object_set_new(o, "said", numbers(e->score.tokens, e->told));
    json_object_set_new(o, "known", counts(2, (int64_t[]){t->known_right, t->known}));
    json_object_set_new(o, "unknown", counts(2, (int64_t[]){t->unknown_right, t->unknown}));
    if (!e->spans) return;
    json_object_set_new(o, "spans", counts(3, (int64_t[]){t->spans.right, t->spans.told, t->spans.gold}));
    json_object_set_new(o, "malformed", json_integer(t->malformed));
}

static json_t *describe(int64_t i, const rv_example *e) {
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:I, s:o, s:I}", "i", (json_int_t)i, "source_tokens", (json_int_t)e->source_tokens,
                  "source_words", (json_int_t)e->source_words, "tokens", (json_int_t)e->score.tokens, "nats",
                  rv_json_number(e->score.nats), "correct", (json_int_t)e->score.correct);
    if (e->bytes) json_object_set_new(o, "bytes", json_integer(e->bytes));
    if (e->hypothesis) {
        if (e->reference) json_object_set_new(o, "exact", json_integer(!strcmp(e->hypothesis, e->reference)));
        json_object_set_new(o, "hypothesis", json_text(e->hypothesis));
    }
    if (e->source) json_object_set_new(o, "source", json_text(e->source));
    if (e->reference) json_object_set_new(o, "reference", json_text(e->reference));
    if (e->translated)
        json_object_set_new(o, "bleu",
                            json_pack("{s:o, s:o, s:I, s:I}", "counts", counts(RV_BLEU_ORDER, e->bleu.counts), "totals",
                                      counts(RV_BLEU_ORDER, e->bleu.totals), "hyp_len", (json_int_t)e->bleu.hyp_len,
                                      "ref_len", (json_int_t)e->bleu.ref_len));
    if (e->translated)
        json_object_set_new(o, "chrf",
                            json_pack("{s:o, s:o, s:o}", "hyp", counts(RV__CHRF_ORDER, e->chrf.hyp), "ref",
                                      counts(RV__CHRF_ORDER, e->chrf.ref), "match",
                                      counts(RV__CHRF_ORDER, e->chrf.match)));
    if (e->number) {
        const double off = e->score.prediction - e->score.target;
        json_object_set_new(o, "squared_error", rv_json_number(off * off));
        json_object_set_new(o, "prediction", rv_json_number(e->score.prediction));
        json_object_set_new(o, "target", rv_json_number(e->score.target));
    }
    if (e->labelled) {
        json_object_set_new(o, "label", json_integer(e->score.label));
        json_object_set_new(o, "said", json_integer(e->score.said));
    }
    if (e->tagged) describe_tags(o, e);
    return o;
}

typedef struct {
    FILE *f;
    const char *path;
    int64_t n;
} writer;

static rv_status write_example(void *ctx, int64_t i, const rv_example *e) {
    writer *w = ctx;
    json_t *o = describe(i, e);
    bool ok = o && !json_dumpf(o, w->f, JSON_COMPACT) && putc('\n', w->f) != EOF;
    const rv_status status = ok ? RV_OK : rv__file_unwritten(w->path);
    json_decref(o);
    w->n++;
    return status;
}

/* The test part if the data has one, else the validation part: *subset is the one that was used. */
static rv_status each_example(rv_tape *tape, rv_task *task, writer *w, rv_subset *subset) {
    *subset = RV_SUBSET_TEST;
    rv_status status = rv_task_examples(tape, task, *subset, write_example, w);
    if ((status != RV_OK && status != RV_EDATA) || w->n) return status;
    *subset = RV_SUBSET_VALID;
    return rv_task_examples(tape, task, *subset, write_example, w);
}

static rv_status write_examples(rv_tape *tape, const rv_trained *t, const char *path, rv_subset *subset) {
    writer w = {.f = rv__file_begin(path), .path = path};
    if (!w.f) return RV_EDATA;
    rv_status status = each_example(tape, t->task, &w, subset);
    rv_status end = rv__file_end(w.f, path, status == RV_OK);
    return status == RV_OK ? end : status;
}

/* ---- attention.json */

typedef struct {
    rv_tape *tape;
    rv_task *task;
    const rv_pairs *pairs;
    rv_translate_options options;
    json_t **picture; /* of each sentence */
} painter;

static json_t *labels(const rv_tokenizer *tok, const int32_t *ids, int64_t n, int32_t eos) {
    char buf[64];
    json_t *list = json_array();
    for (int64_t i = 0; i <= n; i++)
        json_array_append_new(list, json_text(rv_tokenizer_label(tok, i < n ? ids[i] : eos, buf, sizeof buf)));
    return list;
}

/* (T, S): the mean over layers and heads. */
static json_t *mean_weights(const rv_attention_weights *w) {
    const int64_t maps = (int64_t)w->layers * w->heads, cells = w->T * w->S;
    json_t *rows = json_array();
    for (int64_t t = 0; t < w->T; t++) {
        json_t *row = json_array();
        for (int64_t s = 0; s < w->S; s++) {
            double sum = 0;
            for (int64_t k = 0; k < maps; k++) sum += (double)w->weights[k * cells + t * w->S + s];
            json_array_append_new(row, rv_json_number(sum / (double)maps));
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

static rv_status paint(void *ctx, int64_t i, const rv_hypothesis *h, int count) {
    painter *p = ctx;
    const int32_t *src = p->pairs->src_ids + p->pairs->src_at[i];
    const int64_t n = rv_pairs_src_length(p->pairs, i);
    rv_attention_weights w;
    if (!count) return RV_OK; /* an empty source */
    RV_TRY(rv_translation_attention(p->tape, rv_task_model(p->task), src, n, h, &p->options, &w));
    p->picture[i] = json_pack("{s:I, s:o, s:o, s:i, s:i, s:o}", "i", (json_int_t)i, "source",
                              labels(rv_task_source(p->task)->in, src, n, p->options.eos), "target",
                              labels(rv_task_source(p->task)->out, h->ids, h->n, p->options.eos), "layers", w.layers,
                              "heads", w.heads, "weights", mean_weights(&w));
    return p->picture[i] ? RV_OK : rv_error(RV_ENOMEM, "no memory for the attention of a sentence");
}

static rv_status paint_pairs(painter *p, int64_t n, const char *path) {
    const int32_t **src = rv_alloc((size_t)n * sizeof *src);
    int64_t *length = rv_alloc((size_t)n * sizeof *length);
    p->picture = rv_alloc((size_t)n * sizeof *p->picture);
    rv_status status = src && length && p->picture ? RV_OK : RV_ENOMEM;
    for (int64_t i = 0; i < n && status == RV_OK; i++) {
        src[i] = p->pairs->src_ids + p->pairs->src_at[i];
        length[i] = rv_pairs_src_length(p->pairs, i);
    }
    int64_t batch = rv_config_int(rv_task_config(p->task), "decode.batch_size");
    if (status == RV_OK)
        status = rv_translate_each(p->tape, rv_task_model(p->task), src, length, n, batch, &p->options, paint, p);
    json_t *list = json_array();
    for (int64_t i = 0; p->picture && i < n; i++)
        if (p->picture[i]) json_array_append_new(list, p->picture[i]);
    if (status == RV_OK) status = rv_json_write(list, path);
    json_decref(list);
    rv_free(p->picture);
    rv_free(length);
    rv_free(src);
    return status;
}

static rv_status write_attention(rv_tape *tape, rv_task *task, int n, const char *path) {
    const rv_pairs *pairs = rv_task_pairs(task, RV_SUBSET_TEST);
    if (!pairs->n) pairs = rv_task_pairs(task, RV_SUBSET_VALID);
    painter p = {.tape = tape, .task = task, .pairs = pairs, .options = rv_task_search(task)};
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_status status = paint_pairs(&p, pairs->n < n ? pairs->n : n, path);
    rv_tape_restore(tape, mode);
    return status;
}

/* ---- a run */

/* Of what is predicted: means over tokens compare only where this is the same. NULL: no tokens are. */
static json_t *vocabulary_of(rv_task *task) {
    const rv_tokenizer *tok = rv_task_source(task)->out;
    return tok ? json_sprintf("%016llx", (unsigned long long)rv_tokenizer_hash(tok)) : NULL;
}

/* The text that spans are of, as the tokenizer has it: equal spans only where this is the same. NULL: there are no
 * spans. */
static json_t *text_of(rv_task *task, rv_subset subset) {
    rv_source *source = rv_task_source(task);
    const rv_split *part = source->kind->split ? source->kind->split(source, subset) : NULL;
    return part ? json_sprintf("%016llx", (unsigned long long)part->text.hash) : NULL;
}

/* What the model was trained on: NULL for examples that are made, not read. */
static json_t *data_of(const rv_checkpoint *saved) {
    static const char path[] = "/data/corpus_hash";
    uint64_t hash;
    if (!rv_checkpoint_find(saved, path) || rv_checkpoint_read(saved, path, RV_CK_U64, 1, &hash) != RV_OK) return NULL;
    return json_sprintf("%016llx", (unsigned long long)hash);
}

/* Names of the classes that `label` and `said` of examples count; NULL: there are none. */
static json_t *classes_of(rv_task *task) {
    const rv_source *source = rv_task_source(task);
    json_t *list = source->n_classes ? json_array() : NULL;
    for (int i = 0; i < source->n_classes; i++) json_array_append_new(list, json_string(source->class_name[i]));
    return list;
}

/* What the model holds of two tags next to each other; *out NULL: nothing. Logarithms; null: cannot be. */
static rv_status steps_of(rv_task *task, json_t **out) {
    static const char *const names[] = {[RV_STEPS_SCORES] = "scores", [RV_STEPS_PROBABILITIES] = "probabilities"};
    const int64_t n = rv_task_source(task)->n_classes + 1;
    *out = NULL;
    if (n > RV__PAGE_CLASSES + 1) return RV_OK;
    double *x = rv_alloc(rv_size_mul((size_t)(n * n), sizeof *x));
    rv_steps kind = RV_STEPS_NONE;
    rv_status status = x ? rv_model_steps(rv_task_model(task), x, &kind) : RV_ENOMEM;
    if (status == RV_OK && kind != RV_STEPS_NONE) {
        json_t *rows = json_array();
        for (int64_t i = 0; i < n; i++) {
            json_t *row = json_array();
            for (int64_t k = 0; k < n; k++) json_array_append_new(row, rv_json_number(x[i * n + k]));
            json_array_append_new(rows, row);
        }
        *out = json_pack("{s:s, s:o}", "kind", names[kind], "values", rows);
        if (!*out) status = rv_error(RV_ENOMEM, "no memory for the steps of %lld tags", (long long)n);
    }
    rv_free(x);
    return status;
}

/* What examples.jsonl was measured from, and what training the model costs. */
static rv_status write_measured(const rv_trained *t, rv_subset subset, const char *path) {
    double flops;
    int64_t positions;
    rv_task_cost(t->task, t->params, &flops, &positions);
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:o}", "part", subset == RV_SUBSET_TEST ? "test" : "valid", "step",
                  (json_int_t)rv_checkpoint_step(t->saved), "parameters", (json_int_t)rv_params_count(t->params),
                  "flops_per_token", rv_json_number(flops / (double)positions));
    rv_status status = o ? RV_OK : rv_error(RV_ENOMEM, "no memory for the size of a model");
    json_t *steps = NULL;
    if (status == RV_OK) status = steps_of(t->task, &steps);
    const struct {
        const char *key;
        json_t *value;
    } more[] = {{"vocabulary", vocabulary_of(t->task)},
                {"text", text_of(t->task, subset)},
                {"data", data_of(t->saved)},
                {"classes", classes_of(t->task)},
                {"steps", steps}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (more[i].value) json_object_set_new(o, more[i].key, more[i].value);
    if (status == RV_OK) status = rv_json_write(o, path);
    json_decref(o);
    return status;
}

bool rv_measured(const char *dir, const rv_config *config) {
    char path[RV__PATH];
    bool there, both;
    if (locate(path, dir, "examples.jsonl", &there) != RV_OK || locate(path, dir, "measured.json", &both) != RV_OK)
        return false;
    if (!there || !both || !rv_task_find(rv_config_text(config, "task"))->source->split) return there && both;
    json_t *measured = json_load_file(path, 0, NULL);
    const bool of_spans = json_object_get(measured, "text") != NULL;
    json_decref(measured);
    return of_spans;
}

static rv_status measure_examples(rv_tape *tape, const rv_trained *t, const char *dir) {
    char path[RV__PATH], beside[RV__PATH];
    bool there;
    rv_subset subset;
    if (rv_measured(dir, t->config)) return RV_OK;
    RV_TRY(locate(path, dir, "examples.jsonl", &there));
    RV_TRY(locate(beside, dir, "measured.json", &there));
    RV_TRY(write_examples(tape, t, path, &subset));
    return write_measured(t, subset, beside);
}

static rv_status measure(const char *dir, const rv_measure_options *o, rv_tape *tape, rv_trained *t) {
    char path[RV__PATH];
    bool there;
    RV_TRY(measure_examples(tape, t, dir));
    RV_TRY(rv_stop_requested());
    RV_TRY(locate(path, dir, "attention.json", &there));
    if (!there && o->pictures && rv_model_attends(rv_task_model(t->task)))
        RV_TRY(write_attention(tape, t->task, o->pictures, path));
    RV_TRY(rv_stop_requested());
    RV_TRY(locate(path, dir, "gradient_flow.json", &there));
    if (there || !o->gradient_flow || !rv_head_flows(rv_task_kind_of(t->task)->head)) return RV_OK;
    json_t *flow;
    RV_TRY(rv_gradient_flow_trained(tape, t, o->flow_length, &flow));
    rv_status status = rv_json_write(flow, path);
    json_decref(flow);
    return status;
}

rv_status rv_measure_run(const char *dir, const rv_measure_options *options) {
    rv_trained t;
    RV_TRY(rv_trained_open(dir, 0, NULL, true, &t));
    rv_tape *tape = rv_tape_create();
    rv_status status = tape ? measure(dir, options, tape, &t) : RV_ENOMEM;
    rv_tape_destroy(tape);
    rv_trained_close(&t);
    return status;
}

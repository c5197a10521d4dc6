/* Measuring: every example of a part alone; a part's measures are sums of theirs. */
#define _GNU_SOURCE /* open_memstream */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/stop.h"
#include "evaluate/classes.h"
#include "evaluate/honest_loss.h"
#include "train/tag_scores.h"
#include "train/task_private.h"
#include "train/text_spans.h"

/* ---- scores */

typedef struct {
    rv_row_score *score; /* of each row, in the order of the data; one that was not filled has no tokens */
    int64_t *length;     /* of its source */
    int64_t rows;
    rv__tag_scores tags; /* of tagged sentences */
    rv__spans *spans;    /* of a text: each target goes to its own, too; or NULL */
} scores;

static void scores_free(scores *s) {
    rv_free(s->score);
    rv_free(s->length);
    rv__tag_scores_end(&s->tags);
}

static void give_to_spans(rv__spans *spans, const rv_batch *b, const double *nats, const int32_t *best) {
    for (int64_t i = 0; i < b->B * b->T; i++)
        if (b->out[i] >= 0) rv__spans_add(spans, b->first[i / b->T] + i % b->T, nats[i], best[i] == b->out[i]);
}

static rv_status score_batch(rv_tape *tape, rv_task *t, const rv_batch *b, rv_decoder_state *state, scores *out) {
    const double *nats;
    const int32_t *best;
    RV_TRY(rv_stop_requested());
    rv_tape_reset(tape);
    rv_row_score *row = rv_tape_alloc(tape, (size_t)b->B * sizeof *row);
    if (!row || !rv_model_score(tape, t->model, b, state, row, &nats, &best)) return rv_tape_status(tape);
    for (int64_t i = 0; i < b->B; i++) {
        out->score[b->index[i]] = row[i];
        if (b->source.lengths) out->length[b->index[i]] = b->source.lengths[i];
    }
    if (out->spans) give_to_spans(out->spans, b, nats, best);
    if (out->tags.of) rv__tag_scores_take(&out->tags, b, best);
    return RV_OK;
}

/* A pass's own state, where training carries one. */
static rv_status score_pass(rv_tape *tape, rv_task *t, rv_pass *pass, scores *out) {
    const rv_source_kind *kind = t->source->kind;
    rv_decoder_state *state = NULL;
    rv_status status = RV_OK;
    rv_batch b;
    while (status == RV_OK && kind->pass_next(pass, &b)) {
        if (t->state && !state && !(state = rv_model_state_create(t->model, b.B, b.T))) status = RV_ENOMEM;
        if (state && !b.continues) rv_model_state_reset(t->model, state);
        if (status == RV_OK) status = score_batch(tape, t, &b, state, out);
    }
    rv_model_state_destroy(t->model, state);
    return status;
}

/* Scores of a part, or of its first `most` batches (0: all); free them with scores_free, after errors, too. */
static rv_status score_part(rv_tape *tape, rv_task *t, rv_subset subset, int64_t most, scores *out) {
    rv_pass *pass;
    RV_TRY(t->source->kind->pass(t->source, subset, most, &pass, &out->rows));
    out->score = rv_alloc(rv_size_mul((size_t)out->rows, sizeof *out->score));
    out->length = rv_alloc(rv_size_mul((size_t)out->rows, sizeof *out->length));
    rv_status status = out->score && out->length ? RV_OK : RV_ENOMEM;
    if (status == RV_OK && t->source->kind->tags)
        status = rv__tag_scores_begin(t->source->kind->tags(t->source, subset), &out->tags);
    const rv_tape_mode mode = rv_tape_infer(tape);
    if (status == RV_OK) status = score_pass(tape, t, pass, out);
    rv_tape_restore(tape, mode);
    t->source->kind->pass_end(pass);
    return status;
}

/* ---- a part's measures */

/* Added in the order of the data. */
typedef struct {
    double nats, squares;
    int64_t tokens, correct;
} sums;

static sums sum_of(const scores *s) {
    sums all = {0};
    for (int64_t i = 0; i < s->rows; i++) {
        const rv_row_score *r = &s->score[i];
        const double off = r->prediction - r->target;
        all.nats += r->nats;
        all.tokens += r->tokens;
        all.correct += r->correct;
        all.squares += off * off;
    }
    return all;
}

static void add(const rv_task *t, rv_metrics_result *r, const char *name, double value) {
    if (rv_task_measures(t->config, name)) r->m[r->n++] = (rv_metric){name, value};
}

/* Of predictions: tokens, classes. */
static void add_predictions(rv_task *t, rv_subset subset, const sums *all, rv_metrics_result *out) {
    const double loss = all->nats / (double)all->tokens;
    const rv_letters l = t->source->kind->letters ? t->source->kind->letters(t->source, subset) : (rv_letters){0};
    const double bits = loss * (double)l.targets / log(2.);
    out->tokens = all->tokens;
    add(t, out, "loss", loss);
    add(t, out, "ppl", exp(loss));
    if (l.chars) add(t, out, "bpc", bits / (double)l.chars);
    if (l.bytes) add(t, out, "bpb", bits / (double)l.bytes);
    add(t, out, "accuracy", (double)all->correct / (double)all->tokens);
}

/* A matrix of more is not for people, and takes its square in memory. */
static bool keeps_confusion(const rv_task *t) { return t->source->n_classes <= RV_CONFUSION_MOST; }

/* What was to be told, and what was: of each row its class, of each word its tag. */
typedef struct {
    int64_t n;
    const int32_t *right, *told;
    int32_t *own; /* memory of both, or NULL */
} told;

static rv_status told_of(const scores *s, told *out) {
    *out = (told){.n = s->rows};
    if (s->tags.of) {
        *out = (told){.n = s->tags.of->words, .right = s->tags.of->tag, .told = s->tags.told};
        return RV_OK;
    }
    if (!(out->own = rv_alloc(rv_size_mul(2 * (size_t)s->rows, sizeof *out->own)))) return RV_ENOMEM;
    for (int64_t i = 0; i < s->rows; i++) {
        out->own[i] = s->score[i].label;
        out->own[s->rows + i] = s->score[i].said;
    }
    out->right = out->own, out->told = out->own + s->rows;
    return RV_OK;
}

static rv_status count_confusion(rv_task *t, const told *a) {
    const int64_t C = t->source->n_classes;
    if (!t->confusion && !(t->confusion = rv_alloc((size_t)(C * C) * sizeof *t->confusion))) return RV_ENOMEM;
    memset(t->confusion, 0, (size_t)(C * C) * sizeof *t->confusion);
    for (int64_t i = 0; i < a->n; i++) t->confusion[a->right[i] * C + a->told[i]]++;
    return RV_OK;
}

/* By what each class was taken for. */
static rv_status add_classes(rv_task *t, const scores *s, rv_metrics_result *out) {
    const int C = t->source->n_classes;
    told a;
    if (!C) return RV_OK;
    RV_TRY(told_of(s, &a));
    double *of = rv_alloc(rv_size_mul(3 * (size_t)C, sizeof *of)); /* right, told, there */
    for (int64_t i = 0; i < a.n && of; i++) {
        of[3 * a.right[i]] += a.right[i] == a.told[i];
        of[3 * a.told[i] + 1]++;
        of[3 * a.right[i] + 2]++;
    }
    if (of) add(t, out, "f1", rv_macro_f1(C, of));
    const rv_status status = of && keeps_confusion(t) ? count_confusion(t, &a) : of ? RV_OK : RV_ENOMEM;
    rv_free(of);
    rv_free(a.own);
    return status;
}

static rv_status begin_spans(rv_task *t, const rv_span_tags *spans) {
    const size_t n = (size_t)spans->n_types;
    t->spans = spans;
    if (!t->span_counts && !(t->span_counts = rv_alloc(n * sizeof *t->span_counts))) return RV_ENOMEM;
    memset(t->span_counts, 0, n * sizeof *t->span_counts);
    return RV_OK;
}

/* Of tags: by whether the training part has the word, and as spans. */
static rv_status add_tags(rv_task *t, const scores *s, rv_metrics_result *out) {
    rv_tag_sums all = {0};
    if (!s->tags.of) return RV_OK;
    const bool spans = s->tags.of->spans->scheme != RV_SPANS_NONE;
    if (spans) RV_TRY(begin_spans(t, s->tags.of->spans));
    for (int64_t i = 0; i < s->tags.of->n; i++) {
        const rv_tag_sums one = rv__tag_scores_of(&s->tags, i, t->span_counts);
        all.known += one.known, all.known_right += one.known_right;
        all.unknown += one.unknown, all.unknown_right += one.unknown_right;
        all.spans.gold += one.spans.gold, all.spans.told += one.spans.told, all.spans.right += one.spans.right;
        all.malformed += one.malformed;
    }
    if (all.known) add(t, out, "known_accuracy", (double)all.known_right / (double)all.known);
    if (all.unknown) add(t, out, "unknown_accuracy", (double)all.unknown_right / (double)all.unknown);
    if (!spans) return RV_OK;
    if (all.spans.gold || all.spans.told) add(t, out, "span_f1", rv_spans_f1(&all.spans));
    add(t, out, "malformed", all.spans.told ? (double)all.malformed / (double)all.spans.told : 0);
    return RV_OK;
}

const rv_span_counts *rv_task_spans(const rv_task *t, const rv_span_tags **spans) {
    *spans = t->spans;
    return t->span_counts;
}

const int64_t *rv_task_confusion(const rv_task *t) { return t->confusion; }

static void add_numbers(const rv_task *t, const scores *s, const sums *all, rv_metrics_result *out) {
    out->tokens = s->rows;
    add(t, out, "loss", all->squares / (double)s->rows);
    add(t, out, "mse", all->squares / (double)s->rows);
}

static rv_status add_translations(rv_tape *tape, rv_task *t, rv_subset subset, bool final, rv_metrics_result *out) {
    rv_length_bin all;
    if (!rv_task_translates(t) || !(rv_task_measures(t->config, "bleu") || rv_task_measures(t->config, "chrf")))
        return RV_OK;
    const int64_t beam = rv_config_int(t->config, final ? "decode.beam_size" : "train.validate_beam_size");
    RV_TRY(rv_task_by_length(tape, t, subset, (int)beam, 0, NULL, &all));
    add(t, out, "bleu", all.bleu);
    if (rv_task_measures(t->config, "bleu") && rv_task_lowercase(t))
        out->m[out->n++] = (rv_metric){"bleu_lc", all.bleu_lc};
    add(t, out, "chrf", all.chrf);
    return RV_OK;
}

static rv_status add_honest_loss(rv_tape *tape, rv_task *t, rv_subset subset, rv_metrics_result *out) {
    rv_honest_loss h;
    if (!t->source->kind->split || !rv_task_measures(t->config, "honest_loss")) return RV_OK;
    const rv_split *part = t->source->kind->split(t->source, subset);
    RV_TRY(rv_honest_loss_measure(tape, t->model, part->ids, part->n, t->source->sizes.positions, &h));
    add(t, out, "honest_loss", h.honest);
    return RV_OK;
}

rv_status rv_task_check(rv_task *t, rv_subset subset, bool watched) {
    return t->source->kind->check(t->source, subset, watched);
}

rv_status rv_task_evaluate(rv_tape *tape, rv_task *t, rv_subset subset, bool final, rv_metrics_result *out) {
    const bool all = final || !rv_config_has(t->config, "train.validate_batches");
    scores s = {0};
    *out = (rv_metrics_result){0};
    rv_status status = score_part(tape, t, subset, all ? 0 : rv_config_int(t->config, "train.validate_batches"), &s);
    if (status == RV_OK) {
        const sums total = sum_of(&s);
        if (t->kind->head == &rv__head_number)
            add_numbers(t, &s, &total, out);
        else
            add_predictions(t, subset, &total, out);
        status = add_classes(t, &s, out);
        if (status == RV_OK) status = add_tags(t, &s, out);
    }
    scores_free(&s);
    if (status == RV_OK) status = add_translations(tape, t, subset, final, out);
    if (status == RV_OK) status = add_honest_loss(tape, t, subset, out);
    return status;
}

/* ---- one by one */

/* The names of n tags, a blank between two: malloc'd. */
static char *tags_text(const rv_source *source, const int32_t *tag, int64_t n) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    for (int64_t i = 0; f && i < n; i++) fprintf(f, "%s%s", i ? " " : "", source->class_name[tag[i]]);
    if (f && !fclose(f)) return text;
    rv_error(RV_ENOMEM, "no memory for the names of %lld tags", (long long)n);
    free(text);
    return NULL;
}

/* text: of the reference and of the hypothesis, to be freed. RV_ENOMEM. */
static rv_status describe_tags(const rv_source *source, const rv__tag_scores *tags, int64_t i, char *text[2],
                               rv_example *e) {
    const int64_t begin = tags->of->at[i], n = tags->of->at[i + 1] - begin;
    e->tagged = true;
    e->spans = tags->of->spans->scheme != RV_SPANS_NONE;
    e->tags = rv__tag_scores_of(tags, i, NULL);
    e->tag = tags->of->tag + begin;
    e->told = tags->told + begin;
    e->reference = text[0] = tags_text(source, tags->of->tag + begin, n);
    e->hypothesis = text[1] = tags_text(source, tags->told + begin, n);
    return text[0] && text[1] ? RV_OK : RV_ENOMEM;
}

static rv_status require(rv_task *t, rv_subset subset) {
    rv_pass *pass;
    int64_t rows;
    RV_TRY(t->source->kind->pass(t->source, subset, 0, &pass, &rows));
    t->source->kind->pass_end(pass);
    return RV_OK;
}

static rv_status give_spans(rv_tape *tape, rv_task *t, rv_subset subset, rv_example_sink sink, void *ctx) {
    rv__spans spans = {0};
    scores s = {.spans = &spans};
    RV_TRY(require(t, subset));
    rv_status status = rv__spans_make(t->source->kind->split(t->source, subset), &spans);
    if (status == RV_OK) status = score_part(tape, t, subset, 0, &s);
    for (int64_t i = 0; i < spans.n && status == RV_OK; i++) status = sink(ctx, i, &spans.example[i]);
    rv__spans_free(&spans);
    scores_free(&s);
    return status;
}

static rv_status compare_texts(rv_example *e) {
    RV_TRY(rv_bleu_count(&(rv_bleu_options){0}, e->hypothesis, 1, &e->reference, &e->bleu));
    return rv_chrf_count(&(rv_chrf_options){0}, e->hypothesis, 1, &e->reference, &e->chrf);
}

static rv_status give_rows(rv_task *t, rv_subset subset, const scores *s, const rv_text *texts, rv_example_sink sink,
                           void *ctx) {
    rv_status status = RV_OK;
    for (int64_t i = 0; i < s->rows && status == RV_OK; i++) {
        rv_example e = {
            .source_tokens = s->length[i], .score = s->score[i], .number = t->kind->head == &rv__head_number};
        if (t->source->kind->describe) t->source->kind->describe(t->source, subset, i, &e);
        char *tags[2] = {NULL, NULL};
        if (s->tags.of) {
            status = describe_tags(t->source, &s->tags, i, tags, &e);
        } else if (t->source->n_classes) {
            e.labelled = true;
            e.reference = t->source->class_name[s->score[i].label];
            e.hypothesis = t->source->class_name[s->score[i].said];
        }
        if (texts) {
            e.translated = true;
            e.hypothesis = texts[i].bytes;
            status = compare_texts(&e);
        }
        if (status == RV_OK) status = sink(ctx, i, &e);
        free(tags[0]);
        free(tags[1]);
    }
    return status;
}

rv_status rv_task_examples(rv_tape *tape, rv_task *t, rv_subset subset, rv_example_sink sink, void *ctx) {
    if (t->source->kind->split) return give_spans(tape, t, subset, sink, ctx);
    scores s = {0};
    rv_text *texts = NULL;
    const rv_pairs *pairs = rv_task_pairs(t, subset);
    rv_status status = score_part(tape, t, subset, 0, &s);
    if (status == RV_OK && pairs)
        status = rv__translate_pairs(tape, t, pairs, (int)rv_config_int(t->config, "decode.beam_size"), &texts);
    if (status == RV_OK) status = give_rows(t, subset, &s, texts, sink, ctx);
    if (pairs) rv__texts_free(pairs->n, texts);
    scores_free(&s);
    return status;
}

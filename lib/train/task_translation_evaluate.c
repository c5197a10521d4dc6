/* task: translation, measured: every pair of a part alone, teacher-forced and translated; a corpus's measures are sums of theirs. */
#include <math.h>
#include <string.h>

#include "evaluate/bleu.h"
#include "evaluate/chrf.h"
#include "base/stop.h"
#include "train/task_common.h"
#include "decode/translate_text.h"
#include "train/translation_task_private.h"

/* ---- teacher-forced */

static rv_status score_batch(rv_tape *tape, rv_task *task, const rv_pair_batch *b, rv__score *score) {
    rv_seq2seq *model = rv_translation_task_model(task);
    rv_memory memory;
    RV_TRY(rv_stop_requested());
    rv_tape_reset(tape);
    rv__score *row = rv_tape_alloc(tape, (size_t)b->B * sizeof *row);
    if (!row || !rv_seq2seq_encode(tape, model, b->src, b->src_lengths, b->B, b->S, &memory)) return rv_tape_status(tape);
    RV_TRY(rv__score_rows(tape, rv_seq2seq_lm(model), b->tgt_in, b->tgt_out, b->B, b->T, NULL, &memory, row));
    for (int64_t i = 0; i < b->B; i++) score[b->index[i]] = row[i];
    return RV_OK;
}

/* score (pairs->n): of each pair, in order. */
static rv_status score_pairs(rv_tape *tape, rv_task *task, const rv_pairs *pairs, rv__score *score) {
    rv_pair_pass *pass;
    rv_pair_batch batch;
    RV_TRY(rv_pair_pass_create(pairs, rv__translation_task_spec(task), &pass));
    rv_status status = RV_OK;
    while (status == RV_OK && rv_pair_pass_next(pass, &batch)) status = score_batch(tape, task, &batch, score);
    rv_pair_pass_destroy(pass);
    return status;
}

static rv_status measure_loss(rv_tape *tape, rv_task *task, const rv_pairs *pairs, rv_metrics_result *out) {
    const rv_config *c = rv_translation_task_config(task);
    rv__score *score = rv_alloc(rv_size_mul((size_t)pairs->n, sizeof *score));
    rv_status status = score ? score_pairs(tape, task, pairs, score) : RV_ENOMEM;
    if (status == RV_OK) {
        rv__score all = rv__score_sum(pairs->n, score);
        double mean = all.nats / (double)all.tokens;
        out->tokens = all.tokens;
        rv__add_metric(c, out, "loss", mean);
        rv__add_metric(c, out, "ppl", exp(mean));
        rv__add_metric(c, out, "accuracy", (double)all.correct / (double)all.tokens);
    }
    rv_free(score);
    return status;
}

/* ---- translated */

/* Each pair's source, translated: p->n texts for free_texts, or NULL after an error. */
static rv_status translate_pairs(rv_tape *tape, rv_task *task, const rv_pairs *p, int beam, rv_text **out) {
    rv_translate_options o = rv_translation_task_options(task);
    o.beam_size = beam;
    int64_t batch = rv_config_int(rv_translation_task_config(task), "decode.batch_size");
    rv_text *texts = rv_alloc(rv_size_mul((size_t)p->n, sizeof *texts));
    const int32_t **src = rv_alloc(rv_size_mul((size_t)p->n, sizeof *src));
    int64_t *n = rv_alloc(rv_size_mul((size_t)p->n, sizeof *n));
    rv_status status = texts && src && n ? RV_OK : RV_ENOMEM;
    for (int64_t i = 0; status == RV_OK && i < p->n; i++) {
        src[i] = p->src_ids + p->src_at[i];
        n[i] = rv_pairs_src_length(p, i);
    }
    if (status == RV_OK)
        status = rv_translate_all(tape, rv_translation_task_model(task), rv_translation_task_tgt_tokenizer(task), src, n, p->n, batch, &o, NULL, NULL, texts);
    rv_free(src);
    rv_free(n);
    if (status != RV_OK) {
        rv_free(texts);
        texts = NULL;
    }
    *out = texts;
    return status;
}

static void free_texts(int64_t n, rv_text *texts) {
    for (int64_t i = 0; texts && i < n; i++) rv_text_free(&texts[i]);
    rv_free(texts);
}

/* Bins of source length in words: bin i holds up to most[i] words and more than most[i - 1]; the last one the rest. */
static int bin_of(const char *line, int edges, const int64_t *most) {
    int64_t words = rv__words_of(line);
    int bin = 0;
    while (bin < edges && words > most[bin]) bin++;
    return bin;
}

static rv_status score_texts(const rv_pairs *p, const rv_text *texts, int edges, const int64_t *most, rv_length_bin *bins) {
    static const rv_bleu_options cases[] = {{0}, {.lowercase = true}};
    const rv_chrf_options co = {0};
    rv_bleu_stats bleu, (*bleus)[2] = rv_alloc(rv_size_mul((size_t)(edges + 1), sizeof *bleus));
    rv_chrf_stats chrf, *chrfs = rv_alloc(rv_size_mul((size_t)(edges + 1), sizeof *chrfs));
    rv_status status = bleus && chrfs ? RV_OK : RV_ENOMEM;
    memset(bins, 0, (size_t)(edges + 1) * sizeof *bins);
    for (int64_t i = 0; i < p->n && status == RV_OK; i++) {
        int bin = bin_of(p->src[i].bytes, edges, most);
        const char *ref = p->tgt[i].bytes;
        status = rv_chrf_count(&co, texts[i].bytes, 1, &ref, &chrf);
        for (int k = 0; k < 2 && status == RV_OK; k++) {
            status = rv_bleu_count(&cases[k], texts[i].bytes, 1, &ref, &bleu);
            if (status == RV_OK) rv_bleu_add(&bleus[bin][k], &bleu);
        }
        if (status != RV_OK) break;
        rv_chrf_add(&chrfs[bin], &chrf);
        bins[bin].sentences++;
    }
    for (int i = 0; i <= edges && status == RV_OK; i++) {
        bins[i].bleu = rv_bleu_from_stats(&cases[0], &bleus[i][0]).score;
        bins[i].bleu_lc = rv_bleu_from_stats(&cases[1], &bleus[i][1]).score;
        bins[i].chrf = rv_chrf_from_stats(&co, &chrfs[i]);
    }
    rv_free(bleus);
    rv_free(chrfs);
    return status;
}

static rv_status measure_translations(rv_tape *tape, rv_task *task, const rv_pairs *p, int beam, int edges, const int64_t *most, rv_length_bin *bins) {
    rv_text *texts;
    RV_TRY(translate_pairs(tape, task, p, beam, &texts));
    rv_status status = score_texts(p, texts, edges, most, bins);
    free_texts(p->n, texts);
    return status;
}

/* ---- a part of the data */

static rv_status require_pairs(rv_task *task, rv_subset subset, const rv_pairs **out) {
    *out = rv_translation_task_pairs(task, subset);
    if (!*out) return rv_error(RV_EUSAGE, "a task of kind %s has no sentence pairs", task->kind->name);
    if ((*out)->n) return RV_OK;
    return rv__no_part(subset);
}

rv_status rv__translation_check(rv_task *task, rv_subset subset, bool watched) {
    (void)watched; /* every metric can be measured */
    const rv_pairs *pairs;
    rv_pair_pass *pass;
    RV_TRY(require_pairs(task, subset, &pairs));
    RV_TRY(rv_pair_pass_create(pairs, rv__translation_task_spec(task), &pass));
    rv_pair_pass_destroy(pass);
    return RV_OK;
}

bool rv_translation_task_lowercase(const rv_task *task) {
    const rv_tokenizer *tok = rv_translation_task_tgt_tokenizer((rv_task *)task);
    return tok && rv_tokenizer_get_spec(tok).lowercase;
}

rv_status rv_translation_task_by_length(rv_tape *tape, rv_task *task, rv_subset subset, int edges, const int64_t *most, rv_length_bin *bins) {
    const rv_pairs *pairs;
    RV_TRY(require_pairs(task, subset, &pairs));
    return measure_translations(tape, task, pairs, (int)rv_config_int(rv_translation_task_config(task), "decode.beam_size"), edges, most, bins);
}

rv_status rv__translation_evaluate(rv_tape *tape, rv_task *task, rv_subset subset, bool final, rv_metrics_result *out) {
    const rv_config *c = rv_translation_task_config(task);
    const rv_pairs *pairs;
    RV_TRY(require_pairs(task, subset, &pairs));
    const rv_tape_mode mode = rv_tape_infer(tape);
    *out = (rv_metrics_result){0};
    rv_status status = measure_loss(tape, task, pairs, out);
    rv_length_bin all = {0};
    int beam = (int)rv_config_int(c, final ? "decode.beam_size" : "train.validate_beam_size");
    if (status == RV_OK && (rv__wants_metric(c, "bleu") || rv__wants_metric(c, "chrf")))
        status = measure_translations(tape, task, pairs, beam, 0, NULL, &all);
    if (status == RV_OK) {
        rv__add_metric(c, out, "bleu", all.bleu);
        if (rv__wants_metric(c, "bleu") && rv_translation_task_lowercase(task))
            out->m[out->n++] = (rv_metric){"bleu_lc", all.bleu_lc};
        rv__add_metric(c, out, "chrf", all.chrf);
    }
    rv_tape_restore(tape, mode);
    return status;
}

static rv_status give_pairs(const rv_pairs *p, const rv__score *score, const rv_text *texts, rv_example_sink sink, void *ctx) {
    const rv_bleu_options bo = {0};
    for (int64_t i = 0; i < p->n; i++) {
        rv_example e = {
            .source_tokens = rv_pairs_src_length(p, i),
            .source_words = rv__words_of(p->src[i].bytes),
            .tokens = score[i].tokens,
            .correct = score[i].correct,
            .nats = score[i].nats,
            .source = p->src[i].bytes,
            .reference = p->tgt[i].bytes,
            .hypothesis = texts[i].bytes,
        };
        RV_TRY(rv_bleu_count(&bo, e.hypothesis, 1, &e.reference, &e.bleu));
        RV_TRY(rv_chrf_count(&(rv_chrf_options){0}, e.hypothesis, 1, &e.reference, &e.chrf));
        RV_TRY(sink(ctx, i, &e));
    }
    return RV_OK;
}

rv_status rv__translation_examples(rv_tape *tape, rv_task *task, rv_subset subset, rv_example_sink sink, void *ctx) {
    const rv_pairs *pairs;
    RV_TRY(require_pairs(task, subset, &pairs));
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_text *texts = NULL;
    rv__score *score = rv_alloc(rv_size_mul((size_t)pairs->n, sizeof *score));
    rv_status status = score ? score_pairs(tape, task, pairs, score) : RV_ENOMEM;
    if (status == RV_OK) status = translate_pairs(tape, task, pairs, (int)rv_config_int(rv_translation_task_config(task), "decode.beam_size"), &texts);
    rv_tape_restore(tape, mode);
    if (status == RV_OK) status = give_pairs(pairs, score, texts, sink, ctx);
    free_texts(pairs->n, texts);
    rv_free(score);
    return status;
}

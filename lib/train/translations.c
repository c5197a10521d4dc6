/* A part of parallel text, translated, and what that is worth. */
#include <string.h>

#include "base/arena.h"
#include "decode/translate_text.h"
#include "train/task_private.h"

bool rv_task_translates(const rv_task *t) { return t->source->kind->pairs && t->kind->head->reads == RV_READS_DECODER; }

const rv_pairs *rv_task_pairs(rv_task *t, rv_subset subset) {
    return rv_task_translates(t) ? t->source->kind->pairs(t->source, subset) : NULL;
}

void rv_task_shuffle_sources(rv_task *t, rv_subset subset) {
    RV_ASSERT(rv_task_translates(t));
    rv_pairs_shuffle_sources(t->source->kind->pairs(t->source, subset), (uint64_t)rv_config_int(t->config, "seed"));
}

bool rv_task_lowercase(const rv_task *t) {
    return rv_task_translates(t) && rv_tokenizer_get_spec(t->source->out).lowercase;
}

rv_translate_options rv_task_search(const rv_task *t) {
    RV_ASSERT(rv_task_translates(t));
    const rv_config *c = t->config;
    const rv_tokenizer *out = t->source->out;
    return (rv_translate_options){
        .beam_size = (int)rv_config_int(c, "decode.beam_size"),
        .length_penalty = rv_config_real(c, "decode.length_penalty"),
        .max_length_ratio = rv_config_real(c, "decode.max_length_ratio"),
        .max_length_extra = 10,
        .max_length = rv_config_int(c, "data.max_length"),
        .n_best = 1,
        .bos = rv_tokenizer_special(out, RV_BOS),
        .eos = rv_tokenizer_special(out, RV_EOS),
        .pad = rv_tokenizer_special(out, RV_PAD),
        .unk = -1,
    };
}

rv_status rv__translate_pairs(rv_tape *tape, rv_task *t, const rv_pairs *p, int beam, rv_text **out) {
    rv_translate_options o = rv_task_search(t);
    o.beam_size = beam;
    int64_t batch = rv_config_int(t->config, "decode.batch_size");
    rv_text *texts = rv_alloc(rv_size_mul((size_t)p->n, sizeof *texts));
    const int32_t **src = rv_alloc(rv_size_mul((size_t)p->n, sizeof *src));
    int64_t *n = rv_alloc(rv_size_mul((size_t)p->n, sizeof *n));
    rv_status status = texts && src && n ? RV_OK : RV_ENOMEM;
    for (int64_t i = 0; status == RV_OK && i < p->n; i++) {
        src[i] = p->src_ids + p->src_at[i];
        n[i] = rv_pairs_src_length(p, i);
    }
    if (status == RV_OK)
        status = rv_translate_all(tape, t->model, t->source->out, src, n, p->n, batch, &o, NULL, NULL, texts);
    rv_free(src);
    rv_free(n);
    if (status != RV_OK) {
        rv_free(texts);
        texts = NULL;
    }
    *out = texts;
    return status;
}

void rv__texts_free(int64_t n, rv_text *texts) {
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

static rv_status score_texts(const rv_pairs *p, const rv_text *texts, int edges, const int64_t *most,
                             rv_length_bin *bins) {
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

rv_status rv_task_by_length(rv_tape *tape, rv_task *t, rv_subset subset, int beam, int edges, const int64_t *most,
                            rv_length_bin *bins) {
    const rv_pairs *p = rv_task_pairs(t, subset);
    rv_text *texts;
    if (!p) return rv_error(RV_EUSAGE, "a task of kind %s has no sentence pairs", t->kind->name);
    if (!p->n) return rv__no_part(subset);
    RV_TRY(rv__translate_pairs(tape, t, p, beam, &texts));
    rv_status status = score_texts(p, texts, edges, most, bins);
    rv__texts_free(p->n, texts);
    return status;
}

#include "decode/translate_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/stop.h"

typedef struct {
    int64_t n, sentence;
} entry;

static int longer_first(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return (x->sentence > y->sentence) - (x->sentence < y->sentence);
}

/* The batch of entries [begin, end), none empty, padded to the first. ids and lengths have room for it. */
static rv_status translate_batch(rv_tape *tape, rv_model *model, const int32_t *const *src, const entry *e, int64_t B, const rv_translate_options *o,
                                 int32_t *ids, int32_t *lengths, rv_translation_sink sink, void *ctx) {
    int64_t S = e[0].n + 1;
    for (int64_t b = 0; b < B; b++) {
        memcpy(ids + b * S, src[e[b].sentence], (size_t)e[b].n * sizeof *ids);
        for (int64_t i = e[b].n; i < S; i++) ids[b * S + i] = o->eos;
        lengths[b] = (int32_t)e[b].n + 1;
    }
    rv_translations found;
    RV_TRY(rv_translate(tape, model, ids, lengths, B, S, o, &found));
    rv_status status = RV_OK;
    for (int64_t b = 0; b < B && status == RV_OK; b++) status = sink(ctx, e[b].sentence, found.h + b * found.n_best, found.count[b]);
    rv_translations_free(&found);
    return status;
}

rv_status rv_translate_each(rv_tape *tape, rv_model *model, const int32_t *const *src, const int64_t *n, int64_t sentences, int64_t batch,
                            const rv_translate_options *o, rv_translation_sink sink, void *ctx) {
    if (sentences == 0) return RV_OK;
    entry *e = rv_alloc((size_t)sentences * sizeof *e);
    int32_t *ids = NULL, *lengths = NULL;
    rv_status status = e ? RV_OK : RV_ENOMEM;
    if (e) {
        for (int64_t i = 0; i < sentences; i++) e[i] = (entry){n[i], i};
        qsort(e, (size_t)sentences, sizeof *e, longer_first);
        if (batch > sentences) batch = sentences;
        ids = rv_alloc(rv_size_mul((size_t)(batch * (e[0].n + 1)), sizeof *ids));
        lengths = rv_alloc((size_t)batch * sizeof *lengths);
        if (!ids || !lengths) status = RV_ENOMEM;
    }
    for (int64_t i = 0; i < sentences && status == RV_OK;) {
        int64_t B = 0;
        while (B < batch && i + B < sentences && e[i + B].n > 0) B++;
        if (B == 0) { /* only empty ones are left */
            status = sink(ctx, e[i++].sentence, NULL, 0);
            continue;
        }
        status = rv_stop_requested();
        if (status == RV_OK) status = translate_batch(tape, model, src, e + i, B, o, ids, lengths, sink, ctx);
        i += B;
    }
    rv_free(ids);
    rv_free(lengths);
    rv_free(e);
    return status;
}

typedef struct {
    rv_tokenizer *tokenizer;
    rv_text *out;
    int64_t done;
    void (*progress)(void *, int64_t);
    void *ctx;
} writer;

static rv_status write_text(void *ctx, int64_t sentence, const rv_hypothesis *h, int count) {
    writer *w = ctx;
    RV_TRY(rv_tokenizer_decode(w->tokenizer, count ? h[0].ids : NULL, count ? h[0].n : 0, &w->out[sentence]));
    w->done++;
    if (w->progress) w->progress(w->ctx, w->done);
    return RV_OK;
}

rv_status rv_translate_all(rv_tape *tape, rv_model *model, rv_tokenizer *tgt, const int32_t *const *src, const int64_t *n, int64_t sentences,
                           int64_t batch, const rv_translate_options *options, void (*progress)(void *, int64_t), void *ctx, rv_text *out) {
    writer w = {.tokenizer = tgt, .out = out, .progress = progress, .ctx = ctx};
    memset(out, 0, (size_t)sentences * sizeof *out);
    rv_status status = rv_translate_each(tape, model, src, n, sentences, batch, options, write_text, &w);
    if (status != RV_OK)
        for (int64_t i = 0; i < sentences; i++) rv_text_free(&out[i]);
    return status;
}

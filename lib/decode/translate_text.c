#include "decode/translate_text.h"

#include <string.h>

#include "base/stop.h"
#include "decode/like_length.h"

static rv_status translate_batch(rv_tape *tape, rv_model *model, const rv__like_batch *b, const rv_translate_options *o,
                                 rv_translation_sink sink, void *ctx) {
    rv_translations found;
    const rv_sequences *s = &b->rows;
    RV_TRY(rv_stop_requested());
    RV_TRY(rv_translate(tape, model, s->ids, s->lengths, s->B, s->T, o, &found));
    rv_status status = RV_OK;
    for (int64_t i = 0; i < s->B && status == RV_OK; i++)
        status = sink(ctx, b->text[i], found.h + i * found.n_best, found.count[i]);
    rv_translations_free(&found);
    return status;
}

rv_status rv_translate_each(rv_tape *tape, rv_model *model, const int32_t *const *src, const int64_t *n,
                            int64_t sentences, int64_t batch, const rv_translate_options *o, rv_translation_sink sink,
                            void *ctx) {
    rv__like_length *l;
    rv__like_batch b;
    rv_status status = rv__like_length_begin(src, n, sentences, batch, o->eos, &l);
    while (status == RV_OK && rv__like_length_next(l, 1, &b)) status = translate_batch(tape, model, &b, o, sink, ctx);
    while (status == RV_OK && rv__like_length_next(l, 0, &b)) /* the empty ones */
        for (int64_t i = 0; i < b.rows.B && status == RV_OK; i++) status = sink(ctx, b.text[i], NULL, 0);
    rv__like_length_end(l);
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

rv_status rv_translate_all(rv_tape *tape, rv_model *model, rv_tokenizer *tgt, const int32_t *const *src,
                           const int64_t *n, int64_t sentences, int64_t batch, const rv_translate_options *options,
                           void (*progress)(void *, int64_t), void *ctx, rv_text *out) {
    writer w = {.tokenizer = tgt, .out = out, .progress = progress, .ctx = ctx};
    memset(out, 0, (size_t)sentences * sizeof *out);
    rv_status status = rv_translate_each(tape, model, src, n, sentences, batch, options, write_text, &w);
    if (status != RV_OK)
        for (int64_t i = 0; i < sentences; i++) rv_text_free(&out[i]);
    return status;
}

/** Translating any number of sentences: batches of like length, results in whatever order they come, or as texts. */
#ifndef RV_DECODE_TRANSLATE_TEXT_H
#define RV_DECODE_TRANSLATE_TEXT_H

#include "data/tokenizer.h"
#include "decode/translate.h"

/** Called once for each sentence with its hypotheses, best first; they die with the call. It may use the tape. Anything
 * but RV_OK ends the work. */
typedef rv_status (*rv_translation_sink)(void *ctx, int64_t sentence, const rv_hypothesis *h, int count);

/** Translate src[i] (n[i] ids without <eos>, which is appended: options->eos in both languages), at most `batch`
 * sentences at a time, the longest first. An empty source has no hypotheses (count 0). Errors: as rv_translate, the
 * sink's, and what rv_stop_requested says between batches. */
RV_API rv_status rv_translate_each(rv_tape *tape, rv_model *model, const int32_t *const *src, const int64_t *n,
                                   int64_t sentences, int64_t batch, const rv_translate_options *options,
                                   rv_translation_sink sink, void *ctx);

/** The best translation of each sentence as text (out: `sentences` of them, the caller frees each with rv_text_free;
 * none after an error). An empty source gives an empty text. progress (may be NULL) is told after each how many are
 * done. */
RV_API rv_status rv_translate_all(rv_tape *tape, rv_model *model, rv_tokenizer *tgt, const int32_t *const *src,
                                  const int64_t *n, int64_t sentences, int64_t batch,
                                  const rv_translate_options *options, void (*progress)(void *ctx, int64_t done),
                                  void *ctx, rv_text *out);

#endif

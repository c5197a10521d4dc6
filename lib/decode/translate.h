/** Translating with a trained encoder-decoder: greedy and beam search.
 *
 *  A hypothesis's score is its summed log probability divided by lp(n) = ((5 + n) / 6)^length_penalty, n its tokens
 * with <eos> [Wu 2016, eq. 14]; beam_size 1 is greedy search, to the bit. */
#ifndef RV_DECODE_TRANSLATE_H
#define RV_DECODE_TRANSLATE_H

#include "models/model.h"

typedef struct {
    int beam_size;           /**< at least 1 */
    double length_penalty;   /**< 0: plain sums */
    double max_length_ratio; /**< a translation holds at most this times the source's tokens, its <eos> among them, plus
                                max_length_extra */
    int64_t max_length_extra;
    int64_t max_length; /**< ... and never more than so many */
    int n_best;         /**< hypotheses wanted per sentence, at most beam_size */
    int32_t bos, eos;
    int32_t pad; /**< never produced, as <bos>; -1: there is none */
    int32_t unk; /**< an id that is never produced, or -1: all may be */
} rv_translate_options;

typedef struct {
    int32_t *ids; /**< without <bos> and <eos>; the list's */
    int64_t n;
    double score;    /**< as above */
    double log_prob; /**< summed, natural logarithm */
} rv_hypothesis;

/** Hypotheses of one batch: sentence b has count[b] of them, best first, at h[b * n_best]. */
typedef struct {
    int64_t B;
    int n_best;
    int *count;
    rv_hypothesis *h;
} rv_translations;

/** Translate src (B, S), batch-major, lengths (B) in [1, S]. Resets the tape as it goes. A sentence's result depends on
 *  that sentence and the options alone. Ties are broken by the earlier hypothesis, then the lower id. Errors:
 *  RV_EDIVERGED (logits are not finite), RV_ENOMEM. Free with rv_translations_free. */
RV_API rv_status rv_translate(rv_tape *tape, rv_model *model, const int32_t *src, const int32_t *lengths, int64_t B,
                              int64_t S, const rv_translate_options *options, rv_translations *out);
RV_API void rv_translations_free(rv_translations *t);

#endif

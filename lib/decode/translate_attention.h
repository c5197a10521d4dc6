/** What attention says of a translation that was found: the weights of a teacher-forced pass over it, however it was
 *  searched. */
#ifndef RV_DECODE_TRANSLATE_ATTENTION_H
#define RV_DECODE_TRANSLATE_ATTENTION_H

#include "data/tokenizer.h"
#include "decode/translate.h"

/** Weights of translation h of src (n >= 1 ids without <eos>): T = h->n + 1 (the last row looks for <eos>), S = n + 1
 * (the last column is <eos>), B = 1. Resets the tape, which owns them. Errors: RV_EUSAGE (the model has no attention
 * over the source), RV_ENOMEM. */
RV_API rv_status rv_translation_attention(rv_tape *tape, rv_model *model, const int32_t *src, int64_t n,
                                          const rv_hypothesis *h, const rv_translate_options *options,
                                          rv_attention_weights *out);

/** Text of h with each <unk> replaced by the word of the source line that it looks at most: largest weight summed over
 *  layers and heads, <eos> left out, of equals the first [Luong 2015b, 3.3]; as the line has it, before normalisation.
 * line: the text that src are the first ids of. Errors: RV_ENOMEM. Free with rv_text_free. */
RV_API rv_status rv_replace_unknown(const rv_tokenizer *src_tokenizer, const rv_tokenizer *tgt_tokenizer,
                                    const char *line, size_t len, const int32_t *src, const rv_hypothesis *h,
                                    const rv_attention_weights *weights, rv_text *out);

#endif

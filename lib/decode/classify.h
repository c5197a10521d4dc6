/** Telling the class of texts: how probable each one is, and which words counted. */
#ifndef RV_DECODE_CLASSIFY_H
#define RV_DECODE_CLASSIFY_H

#include "models/model.h"

/** What a model says of one text. */
typedef struct {
    int classes;
    const double *probability; /**< (classes), which sum to 1 */
    int best;                  /**< the most probable one; of equals the first */
    int64_t n;                 /**< positions that were read: its tokens, then <eos> */
    const rv_real *weights;    /**< (n) what the pooling gave each, which sum to 1; NULL: it takes the last state */
} rv_classified;

/** Called once for each text; what it gets dies with the call. It may use the tape. Anything but RV_OK ends the work.
 */
typedef rv_status (*rv_class_sink)(void *ctx, int64_t text, const rv_classified *c);

/** Classify ids[i] (n[i] of them, 0 too, without <eos>, which is appended: `eos`), at most `batch` texts at a time, the
 *  longest first, with a model whose head tells classes (rv__head_class). Nothing is recorded or dropped; resets the
 * tape as it goes. A text's result depends on that text alone, to the bit. Errors: RV_EDIVERGED (logits are not
 * finite), RV_ENOMEM, the sink's, and what rv_stop_requested says between batches. */
RV_API rv_status rv_classify_each(rv_tape *tape, rv_model *model, const int32_t *const *ids, const int64_t *n,
                                  int64_t texts, int64_t batch, int32_t eos, rv_class_sink sink, void *ctx);

#endif

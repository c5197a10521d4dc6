/** Choosing the next token from logits. */
#ifndef RV_DECODE_SAMPLING_H
#define RV_DECODE_SAMPLING_H

#include "base/rng.h"
#include "tensor/tensor.h"

typedef struct {
    double temperature; /**< logits are divided by it; 0: always the most probable token */
    int64_t top_k;      /**< only the k most probable tokens; 0: all */
    double top_p;       /**< only the fewest tokens that together have this probability [Holtzman 2020]; 1: all */
} rv_sampler;

/** Scratch that rv_sample_token needs for a vocabulary of V tokens, in bytes. */
RV_API size_t rv_sampler_scratch(int64_t V);
/** One token id drawn from softmax(logits / temperature) over the V tokens that top_k and top_p leave, or -1 if a logit
 *  is NaN or +infinity. Equal probabilities are ordered by id, so the draw is a function of its arguments. */
RV_API int32_t rv_sample_token(const rv_real *logits, int64_t V, const rv_sampler *s, rv_rng *rng, void *scratch);

#endif

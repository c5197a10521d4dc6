/** The most probable tokens of many rows of logits: what a search needs of them. */
#ifndef RV_KERNELS_TOP_K_H
#define RV_KERNELS_TOP_K_H

#include "kernels/kernels.h"

/** x (rows, V) -> the k <= V largest of each row, falling: value (rows, k) and id (rows, k); of equals the lower id.
 * lse (rows) becomes log sum exp of the row, which makes a logit a log probability: it is not finite when the row is
 * not (NaN, plus infinity, nothing but minus infinity); the ids are then valid, but mean nothing. */
RV_API void rv_top_k(int64_t rows, int64_t V, const rv_real *x, int64_t k, rv_real *lse, rv_real *value, int32_t *id);

#endif

/* What the op families share. */
#ifndef RV_OPS_PRIVATE_H
#define RV_OPS_PRIVATE_H

#include "ops/ops.h"

/* "2, (const int64_t[]){3, 4}": the ndim and dim arguments of a literal shape. */
#define RV_DIMS(...)                                                                                                   \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }

/* Sticky RV_ESHAPE naming the op, both shapes and what would fit; returns NULL. */
void *rv__shape_fail(rv_tape *tape, const char *op, const rv_tensor *a, const rv_tensor *b, const char *remedy);
/* A new tensor of x's shape. */
rv_tensor *rv__like(rv_tape *tape, const rv_tensor *x);
/* Axis counted from the front; -1 (sticky RV_ESHAPE) when x has no such axis. */
int rv__axis(rv_tape *tape, const char *op, const rv_tensor *x, int axis);
/* Product of the dimensions [from, to). */
int64_t rv__span(const rv_tensor *x, int from, int to);

/* Targets that are not `ignore`; -1 (sticky RV_EDATA) when one of them is not in [0, classes). */
int64_t rv__count_targets(rv_tape *tape, const char *op, int64_t rows, int64_t classes, const int32_t *target,
                          int32_t ignore);

/* In backward: scale times d is the gradient of t, which forward has made already. */
void rv__hand_on(rv_tensor *t, const rv_real *d, rv_real scale);

/* y[o, j] = or += scale * sum over k of x[o, k, j]: the middle axis of (outer, n, inner), in an order that depends on
 * these three numbers only. */
void rv__sum_middle(rv_tape *tape, int64_t outer, int64_t n, int64_t inner, const rv_real *x, rv_real *y, bool acc,
                    rv_real scale);

/* Dropout's decisions for rows of n elements. bits NULL: nothing is dropped. */
typedef struct {
    const uint16_t *bits; /* kernels.def: vkeep */
    int64_t stride;       /* words from one row to the next */
    rv_real scale;        /* of what is kept: the expectation stays */
} rv__mask;
/* Draw them in training, for the step; p is rounded to a multiple of 1/65536. false: sticky error. */
bool rv__draw_mask(rv_tape *tape, double p, int64_t rows, int64_t n, rv__mask *mask);

#endif

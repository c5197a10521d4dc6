/** Optimiser updates: what one pass over a span of parameters needs.
 *
 *  Each update reads value, gradient and state once and writes them once; clipping and weight decay are part of the
 *  pass. Elements are independent, so the bits cannot depend on who computes which block. */
#ifndef RV_KERNELS_UPDATE_H
#define RV_KERNELS_UPDATE_H

#include "tensor/tensor.h"

/** Coefficients of one step, computed in double and rounded once. g below stands for scale * gradient + l2 * x. */
typedef struct rv_update {
    rv_real scale; /**< clip factor */
    rv_real lr;    /**< Adam: lr / (1 - beta1^t) */
    rv_real l2;    /**< classic weight decay, added to the gradient */
    rv_real keep;  /**< decoupled weight decay: x is first multiplied by it; 1 for none */
    rv_real a, a1; /**< momentum, beta1 or rho; and 1 - a (computed in double) */
    rv_real b, b1; /**< beta2 and 1 - b */
    rv_real root;  /**< Adam: 1 / sqrt(1 - beta2^t) */
    rv_real eps;
    bool nesterov;
} rv_update;

/** n elements: values x, gradient g, state s0 and s1 (NULL where the kernel has none). They do not overlap. */
typedef void rv_update_fn(int64_t n, rv_real *x, const rv_real *g, rv_real *s0, rv_real *s1, const rv_update *u);

/** One tensor of an update. */
typedef struct {
    int64_t n;
    rv_real *x;
    const rv_real *g;
    rv_real *s0, *s1;
    bool decay; /**< false: l2 and keep do not apply */
} rv_update_span;

/** Run `fn` over all spans, in parallel over fixed blocks. */
RV_API void rv_update_run(rv_update_fn *fn, int nspans, const rv_update_span *span, const rv_update *u);
/** Sum of squares of n elements in double: partial sums per fixed block, added in block order. */
RV_API double rv_sum_squares(int64_t n, const rv_real *x);

#endif

/* Loops over a row by vectors, the last of which may be short: for (i = 0; i < n; i += RV_LANES) with these two. The
 * short vector takes the same arithmetic as the full ones, so a row's bits depend on its own values and length only. */
#ifndef RV_KERNELS_ROWS_INLINE_H
#define RV_KERNELS_ROWS_INLINE_H

#include <math.h>

#include "kernels/vmath_inline.h"

static inline vec row_get(const rv_real *p, int64_t left, rv_real pad) {
    return left >= RV_LANES ? vec_load(p) : vec_load_pad(p, left, pad);
}
static inline void row_put(rv_real *p, int64_t left, vec v) {
    if (left >= RV_LANES)
        vec_store(p, v);
    else
        vec_store_n(p, left, v);
}
/* Overwrite, or add to what is there. */
static inline void row_give(rv_real *p, int64_t left, vec v, bool acc) {
    row_put(p, left, acc ? row_get(p, left, 0) + v : v);
}

/* The largest of n; -INFINITY for none. NaN is passed over. */
static inline rv_real row_max(int64_t n, const rv_real *x) {
    vec m = vec_set(-INFINITY);
    for (int64_t i = 0; i < n; i += RV_LANES) m = vec_max(row_get(x + i, n - i, -INFINITY), m);
    return vec_hmax(m);
}

#endif

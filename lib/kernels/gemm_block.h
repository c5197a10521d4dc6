/* What gemm.c hands to gemm_tile.c: rows of a "scalar side" S (m x k), whose elements are broadcast, times one panel of
 * a "vector side" V (k x n), whose rows are loaded as vectors.
 *
 * Usually S is A and V is B. Where B is stored transposed and A is small, S is B's rows and V is A transposed, and the
 * tile is transposed on its way into C: then only the small operand is rearranged. The product of two floats commutes
 * and the order of k is the same, so the bits are too. */
#ifndef RV_KERNELS_GEMM_BLOCK_H
#define RV_KERNELS_GEMM_BLOCK_H

#include "kernels/kernels.h"

struct rv__gemm_block {
    int64_t m, n, k;      /* n: columns of this panel, at most 2 * lanes */
    const rv_real *s;     /* element (i, p) is s[i * s_row + p * s_col] */
    int64_t s_row, s_col; /* one of them is 1 */
    const rv_real *v;     /* row p is the vector(s) at v + p * v_row; whole vectors may be read */
    int64_t v_row;
    const rv_real *ahead; /* the packed panel of V that comes next, to be fetched meanwhile; or NULL */
    rv_real *c;
    int64_t ldc;
    bool c_trans; /* C holds the result transposed */
    bool add;     /* to what is in C */
    rv_real alpha;
    const rv_real *bias; /* over the columns of C as stored, or NULL */
    rv_act act;
    rv_real *pre;
};

#endif

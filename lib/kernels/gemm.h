/** Matrix products: C = act(alpha op(A) op(B) + bias), or C += ..., row-major.
 *
 *  Every element of C is one chain of multiply-adds in the order of k (cut at fixed places), whatever the tile,
 *  the row it lies in or the thread: equal rows give equal bits, alone or in a batch, at any thread count. */
#ifndef RV_KERNELS_GEMM_H
#define RV_KERNELS_GEMM_H

#include "kernels/kernels.h"

/** op(A) is m x k, op(B) is k x n, C is m x n. ta: A is stored k x m; tb: B is stored n x k (PyTorch's weights).
 *  ld*: elements from one row to the next as stored. */
typedef struct {
    bool ta, tb;
    int64_t m, n, k;
    const rv_real *a, *b;
    rv_real *c;
    int64_t lda, ldb, ldc;
    rv_real alpha;        /**< 0 stands for 1 */
    bool accumulate;      /**< C += ... ; not together with act */
    const rv_real *bias;  /**< n values added to each row, or NULL */
    rv_act act;           /**< applied last */
    rv_real *pre;         /**< if not NULL: the values before act go here too (m x n, ldc), for backward */
    const void *packed_b; /**< op(B) packed by rv_gemm_pack_b, or NULL; b, ldb and tb are then ignored; batch is 1 */
    int64_t batch;        /**< 0 stands for 1: that many products, the operands this far apart: */
    int64_t stride_a, stride_b, stride_c;
} rv_gemm;

/** Run it on all threads (rv_threads); inside a parallel region, on the calling thread. k = 0 gives bias alone. */
RV_API void rv_gemm_run(const rv_gemm *g);
/** The same bits on the calling thread, from inside a parallel region (e.g. a tile of attention). */
RV_API void rv_gemm_serial(const rv_gemm *g);

/** Allocate now what the products of this thread and its team of rv_threads() pack into; RV_ENOMEM if there is no
 * memory. Without it the first products allocate, and abort when they cannot. */
RV_API rv_status rv_gemm_reserve(void);

/** B packed once for many products with it: the recurrent weights of a sequence, a vocabulary's for block after block
 *  of rows. Give it to rv_gemm_run or rv_gemm_serial as packed_b. Same bits as unpacked. */
RV_API size_t rv_gemm_packed_bytes(int64_t n, int64_t k);
/** Pack op(B) (k x n) into dst (rv_gemm_packed_bytes, 64-byte aligned). Runs on all threads. */
RV_API void rv_gemm_pack_b(bool tb, int64_t n, int64_t k, const rv_real *b, int64_t ldb, void *dst);
/** Columns [n0, n1) of the product g with its b packed (g->packed_b is ignored), on the calling thread. n0 is a
 * multiple of rv_gemm_panel(); batch is 1. */
RV_API void rv_gemm_packed(const rv_gemm *g, const void *packed_b, int64_t n0, int64_t n1);
/** One of several packed matrices that one A is multiplied with: columns [n0, n1) of g. */
typedef struct {
    rv_gemm g;
    const void *packed_b;
    int64_t n0, n1;
} rv_gemm_columns;
/** rv_gemm_packed for each of `count`, of which ta, m, k, a and lda are equal: A is rearranged once for all. */
RV_API void rv_gemm_packed_all(int count, const rv_gemm_columns *part);
/** Columns per packed panel. */
RV_API int64_t rv_gemm_panel(void);

#endif

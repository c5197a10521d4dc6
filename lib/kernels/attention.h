/** One head's block of query rows against its keys, in tiles: the kernels under rv_attention (ops/attention.c).
 *
 *  Keys are taken in blocks of RV_ATTEND_KEYS that start at multiples of it from key 0, with a running maximum and sum
 *  (online softmax, [Milakov 2018], as in FlashAttention [Dao 2022]), so that memory does not grow with T x S. Scores
 *  are held transposed, keys down and queries across a vector: then the softmax needs no sum within a vector, and a
 *  row's additions come in the order of the keys whatever other rows are processed with it. A masked key adds an exact
 *  0. So a row gives the same bits in any batch, under any padding, and alone against a cache. */
#ifndef RV_KERNELS_ATTENTION_H
#define RV_KERNELS_ATTENTION_H

#include "base/rng.h"
#include "tensor/tensor.h"

enum {
    RV_ATTEND_KEYS = 64,    /**< keys in a block */
    RV_ATTEND_QUERIES = 64, /**< most query rows in a call */
};

struct rv_attend {
    int64_t rows;  /**< query rows, at most RV_ATTEND_QUERIES */
    int64_t width; /**< D / H */
    int64_t keys;  /**< valid keys; those behind are not even read */
    bool causal;   /**< row i sees keys [0, first + i), else all */
    bool late;     /**< with causal: the mask is 0 on the weights, after a softmax over all keys; else -inf before it */
    int64_t first; /**< may be negative: the first rows see nothing */
    double scale;
    const rv_real *q, *k, *v;
    int64_t ldq, ldk, ldv; /**< elements from one row to the next */
    const int32_t *place;  /**< attend_step: key and value s are rows place[s] of k and v; NULL: rows s */
    /* Dropout on the weights: element (row, key) is dropped if the number at counter (step, (index + row) * stride +
     * key / 4), word key % 4, is below drop * 2^32. */
    double drop;
    rv_rng_key rng;
    uint64_t step, index, stride;

    rv_real *y;         /**< forward: rows x width, ldy */
    rv_real *max, *inv; /**< per row the greatest score and 1 / sum of exp(score - max); 0 and 0 when it sees nothing */
    int64_t ldy;

    /* Backward: dq, dk and dv are added to, with the strides of q, k and v. */
    const rv_real *out, *dy; /**< rows x width, ldy */
    rv_real *dq, *dk, *dv;   /**< any may be NULL */

    rv_real *scratch; /**< rv_attend_scratch(width) elements, 64-byte aligned, one caller at a time */
};

/** Elements of a tile: rows of whole vectors in every instruction set. */
static inline int64_t rv_attend_tile(int64_t width) {
    int64_t wide = (width + 15) / 16 * 16;
    return RV_ATTEND_KEYS * (wide > RV_ATTEND_QUERIES ? wide : RV_ATTEND_QUERIES);
}
enum { RV_ATTEND_TILES = 12 };
/** Elements of scratch that either kernel needs for heads of this width. */
static inline int64_t rv_attend_scratch(int64_t width) { return RV_ATTEND_TILES * rv_attend_tile(width); }

#endif

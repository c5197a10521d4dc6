/** The adding problem [Hochreiter & Schmidhuber 1997, experiment 4; in this form Le, Jaitly & Hinton 2015]: a sequence
 * of pairs (number, mark), the numbers uniform in [0, 1), one mark 1 in each half, the others 0. To be told: the sum of
 * the two marked numbers. Who always says 1, their mean, has a mean squared error of 1/6 = 0.1667.
 *
 *  Example i of a stream is a function of (seed, stream, i) alone: none is ever stored, and a cursor is an index. */
#ifndef RV_DATA_ADDING_H
#define RV_DATA_ADDING_H

#include "base/rng.h"
#include "tensor/tensor.h"

enum { RV_ADDING_INPUTS = 2, RV_ADDING_LENGTH_LEAST = 2, RV_ADDING_LENGTH_MOST = 100000 };

typedef struct {
    uint64_t seed;
    const char *stream;             /**< such as "adding.train" */
    int64_t min_length, max_length; /**< steps, drawn uniformly */
} rv_adding;

/** B rows, batch-major. */
typedef struct {
    int64_t B, T;     /**< T: the longest row */
    rv_real *x;       /**< (B, T, 2) number and mark; 0 behind a row's length */
    int32_t *lengths; /**< (B) */
    rv_real *target;  /**< (B) */
} rv_adding_batch;

/** Room for B rows of max_length steps. RV_ENOMEM. Free with rv_adding_batch_free. */
RV_API rv_status rv_adding_batch_alloc(rv_adding_batch *batch, int64_t B, int64_t max_length);
RV_API void rv_adding_batch_free(rv_adding_batch *batch);
/** Examples [first, first + n) of the stream, n at most the B of rv_adding_batch_alloc. longest: all of them max_length
 * long. */
RV_API void rv_adding_fill(const rv_adding *a, int64_t first, int64_t n, bool longest, rv_adding_batch *batch);

#endif

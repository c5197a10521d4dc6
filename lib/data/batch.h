/** Batches for language models: windows of a row of ids, and a cursor from which they continue exactly.
 *
 *  x (B,T) are ids, y (B,T) the same moved on by one: y[b,t] follows x[b,t]. Both batch-major, into the caller's
 * arrays. */
#ifndef RV_DATA_BATCH_H
#define RV_DATA_BATCH_H

#include <stdint.h>

#include "base/status.h"

typedef enum {
    RV_SAMPLE_RANDOM,     /**< windows at uniform offsets, a function of (seed, step, row) alone; an epoch is n targets
                             drawn */
    RV_SAMPLE_SHUFFLED,   /**< windows [kT, kT + T) each once per epoch, in an order drawn from (seed, epoch) */
    RV_SAMPLE_CONTIGUOUS, /**< B parallel streams read in order, for truncated back-propagation with carried state */
} rv_sampling;

/** "random", "shuffled", "contiguous"; false if it is none of them. */
RV_API bool rv_sampling_parse(const char *name, rv_sampling *sampling);

/** Where the next batch starts. All that a resumed run needs. */
typedef struct {
    int64_t epoch; /**< whole passes done */
    int64_t
        position; /**< within the epoch: targets drawn (random), windows (shuffled), windows per stream (contiguous) */
    int64_t step; /**< batches given out since the start */
} rv_cursor;

typedef struct rv_lm_batches rv_lm_batches;

/** Training batches over ids[0..n), which the caller keeps alive. Error: RV_EDATA if n is too small (random, shuffled:
 *  T + 1 ids; contiguous: B T + 1). Free with rv_lm_batches_destroy. */
RV_API rv_status rv_lm_batches_create(const int32_t *ids, int64_t n, int64_t B, int64_t T, rv_sampling sampling,
                                      uint64_t seed, rv_lm_batches **out);
RV_API void rv_lm_batches_destroy(rv_lm_batches *b);
/** The next batch into x, y (B*T each). True if every row continues the same row of the batch before (carry the state
 *  on); false if state starts afresh. Only contiguous sampling ever gives true. */
RV_API bool rv_lm_batches_next(rv_lm_batches *b, int32_t *x, int32_t *y);
/** The cursor before the next batch; setting it makes the batches continue from there, the same to the bit. Error:
 *  RV_ECKPT if it cannot belong to these batches. */
RV_API rv_cursor rv_lm_batches_cursor(const rv_lm_batches *b);
RV_API rv_status rv_lm_batches_seek(rv_lm_batches *b, rv_cursor cursor);
/** Batches that this many epochs take, rounded up. */
RV_API int64_t rv_lm_batches_of_epochs(const rv_lm_batches *b, int64_t epochs);

/** What y holds where there is no target: the losses' ignore index. x holds 0 there. */
enum { RV_IGNORE = -1 };

/** One pass over ids[0..n) for evaluation: each of the n - 1 targets exactly once. */
typedef struct {
    const int32_t *ids;
    int64_t n, B, T;
    bool carry;   /**< B streams with carried state; else independent windows of T in order */
    int64_t next; /**< batch to be given; set 0 to start again */
} rv_lm_pass;

/** A pass over ids (kept alive by the caller) in batches of (B,T). carry false: row r of batch k is window k B + r,
 * each starting afresh. carry true: the targets are cut into B streams of equal length (to within one), read T at a
 * time. Error: RV_EDATA if n < 2 (or, with carry, n - 1 < B). */
RV_API rv_status rv_lm_pass_make(const int32_t *ids, int64_t n, int64_t B, int64_t T, bool carry, rv_lm_pass *out);
/** The next batch; returns its number of targets, 0 at the end. Missing targets are RV_IGNORE. *carried (may be NULL):
 *  true if the state of the batch before continues. */
RV_API int64_t rv_lm_pass_next(rv_lm_pass *p, int32_t *x, int32_t *y, bool *carried);
RV_API int64_t rv_lm_pass_batches(const rv_lm_pass *p);
/** The number of the first target, in [0, n - 1), of a row of a batch (counted from 0); the row's others follow. */
RV_API int64_t rv_lm_pass_target(const rv_lm_pass *p, int64_t batch, int64_t row);

#endif

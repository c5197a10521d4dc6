/** Counter-based random numbers: Philox4x32-10 (Salmon 2011), from Random123.
 *
 *  There is no shared generator state. A number is a function of (seed, stream, step, index), so results do not
 *  depend on threads or on the order of calls, and a resumed run needs only its counters. */
#ifndef RV_BASE_RNG_H
#define RV_BASE_RNG_H

#include <stdint.h>

#include "base/status.h"

/** The key: what kind of numbers. Make it with rv_rng_make_key. */
typedef struct {
    uint32_t k[2];
} rv_rng_key;

/** Key of (seed, stream). Streams are named, e.g. rv_rng_stream("dropout"). */
RV_API rv_rng_key rv_rng_make_key(uint64_t seed, uint64_t stream);
/** A stream number from a name (FNV-1a, 64 bits). */
RV_API uint64_t rv_rng_stream(const char *name);
/** Four independent 32-bit numbers at counter (step, index). */
RV_API void rv_rng_block(rv_rng_key key, uint64_t step, uint64_t index, uint32_t out[4]);

/** A sequential reader over one (key, step); copyable, so its position can be saved as `next`. */
typedef struct {
    rv_rng_key key;
    uint64_t step;
    uint64_t next; /**< index of the next 32-bit number */
} rv_rng;

RV_API rv_rng rv_rng_make(uint64_t seed, const char *stream, uint64_t step);
RV_API uint32_t rv_rng_u32(rv_rng *r);
/** Uniform in [0, 1), 53 bits. */
RV_API double rv_rng_uniform(rv_rng *r);
/** Uniform integer in [0, n), without bias; n > 0. */
RV_API uint64_t rv_rng_below(rv_rng *r, uint64_t n);
/** Standard normal (Box-Muller, computed in double). */
RV_API double rv_rng_normal(rv_rng *r);
/** Fisher-Yates shuffle of idx[0..n). */
RV_API void rv_rng_shuffle(rv_rng *r, int64_t *idx, int64_t n);

#endif

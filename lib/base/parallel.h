/** Threads, and the fixed partition that keeps the bits the same at every thread count.
 *
 *  Work is cut into blocks by its SHAPE, never by the number of threads; which thread runs a block does not
 *  matter. OpenMP pragmas appear only in kernels/ and ops/:
 *
 *      RV_FOR(b, rv_blocks(n), rv_threads_for(work), { rv_range r = rv_block(n, b); ... });     (kernels/kernels.h)
 *
 *  No atomics, no reduction clause on floats: a sum over elements keeps one partial sum per block and adds them
 *  in block order. */
#ifndef RV_BASE_PARALLEL_H
#define RV_BASE_PARALLEL_H

#include <stdint.h>

#include "base/status.h"

/** Elements in a block of an elementwise kernel: 16 KiB of float, a multiple of every vector length. */
enum { RV_BLOCK = 4096 };

typedef struct {
    int64_t begin, end;
} rv_range;

static inline int64_t rv_blocks(int64_t n) { return (n + RV_BLOCK - 1) / RV_BLOCK; }
static inline rv_range rv_block(int64_t n, int64_t b) {
    int64_t e = (b + 1) * RV_BLOCK;
    return (rv_range){b * RV_BLOCK, e < n ? e : n};
}

/** Use `n` threads from now on; n <= 0: as many as the process may run on (affinity and cgroup limits observed). */
RV_API void rv_set_threads(int n);
/** Threads in use (at least 1). */
RV_API int rv_threads(void);
/** Threads worth starting for about `flops` elementary operations: 1 when waking others costs more than it saves.
 *  Has no influence on results. */
RV_API int rv_threads_for(double flops);

/** A meeting point for the threads of one parallel region that meet every few microseconds, as a recurrence's do.
 * libgomp's own puts a thread to sleep within that time, and waking it takes longer than the work. Starts as {0}. */
typedef struct {
    RV_ALIGNED(64) int arrived;
    RV_ALIGNED(64) unsigned round; /**< on a line of its own: it is what those who wait look at */
} rv_barrier;
/** Go on when all `threads` are here; what they wrote before is then seen by all. Who waits long gives the CPU to
 * others. */
RV_API void rv_barrier_wait(rv_barrier *b, int threads);

#endif

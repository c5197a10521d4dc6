/** Work counted while it is done: the multiply-adds of matrix products, recurrences, attention, chains of labels and
 * the fused head. */
#ifndef RV_KERNELS_FLOPS_H
#define RV_KERNELS_FLOPS_H

#include <stdbool.h>

#include "base/status.h"

/** FLOPs, two per multiply-add, of what the calling thread has called since it last said `reset`. A call counts once,
 * on the thread that makes it and from the shapes it has: products as they are asked for, attention only for the keys
 * that a query sees (padded and future ones do not count), a recurrence only for rows that are not all padding,
 * a chain for its steps (of the best paths, too: an addition and a comparison there).
 * Pointwise work (cells, softmax, normalisation, dropout, updates) does not count. Exact, and the same at every thread
 * count. */
RV_API double rv_flops_counted(bool reset);

/* For kernels and ops, outside of parallel regions. */
void rv__flops_add(double flops);

#endif

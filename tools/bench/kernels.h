/* Single kernels beside other libraries and beside what the machine could do. */
#ifndef RV_BENCH_KERNELS_H
#define RV_BENCH_KERNELS_H

#include "base/status.h"
#include "table.h"

/* Matrix products in NN, NT and TN, recurrent layers, attention, row-wise and elementwise operations and Adam, on each
 * number of threads, `seconds` for each; printed to stdout. tiny: only the smallest products. */
rv_status rv__kernels_run(int n_threads, const int *threads, double seconds, bool tiny, rv_bench_format format);

#endif

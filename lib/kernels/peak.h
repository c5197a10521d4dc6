/** How fast this machine multiplies and adds: what measured speeds are compared with. */
#ifndef RV_KERNELS_PEAK_H
#define RV_KERNELS_PEAK_H

#include "kernels/kernels.h"

/** GFLOP/s of multiply-adds (two operations each) in registers on `threads` threads, with the instruction set chosen
 *  (rv_k). The best of short runs, until 24 in a row were no better: about 50 ms, or more beside another program. */
RV_API double rv_peak_gflops(int threads);

/** GB/s of memory on `threads` threads: the better of a triad in place (y += s x, three numbers moved per element) and
 * of reading x, which with y holds n elements each (so 2 n numbers are the working set). x and y are overwritten. */
RV_API double rv_peak_bandwidth(int threads, int64_t n, rv_real *x, rv_real *y);

#endif

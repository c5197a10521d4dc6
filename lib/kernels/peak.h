/** How fast this machine multiplies and adds: what measured speeds are compared with. */
#ifndef RV_KERNELS_PEAK_H
#define RV_KERNELS_PEAK_H

#include "kernels/kernels.h"

/** GFLOP/s of multiply-adds (two operations each) in registers on `threads` threads, with the instruction set chosen
 *  (rv_k). The best of short runs, until 24 in a row were no better: about 50 ms, or more beside another program. */
RV_API double rv_peak_gflops(int threads);

#endif

#include "kernels/flops.h"

/* A number per thread needs no lock, and nobody else's work gets into it. Sums of whole numbers are exact up to 2^53.
 */
static _Thread_local double flops;

void rv__flops_add(double n) { flops += n; }

double rv_flops_counted(bool reset) {
    const double n = flops;
    if (reset) flops = 0;
    return n;
}

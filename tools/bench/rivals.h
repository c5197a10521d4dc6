/* Matrix products of other libraries, loaded where they are installed: OpenBLAS, BLIS, oneDNN, each at its best. */
#ifndef RV_BENCH_RIVALS_H
#define RV_BENCH_RIVALS_H

#include "kernels/gemm.h"

enum { RV_RIVALS = 3 };
typedef struct {
    const char *name;
    char about[96]; /* version and the kernels it chose */
    void (*gemm)(
        const rv_gemm *g); /* c = op(a) op(b), the other fields being at their defaults; one product of a batch */
} rv_rival;

/* Those that are installed; returns how many. */
int rv__rivals_open(rv_rival out[RV_RIVALS]);
/* Let all of them use n threads. */
void rv__rivals_set_threads(int n);

#endif

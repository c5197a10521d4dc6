#include "kernels/top_k.h"

void rv_top_k(int64_t rows, int64_t V, const rv_real *x, int64_t k, rv_real *lse, rv_real *value, int32_t *id) {
    const rv_kernels *kernels = rv_k();
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(10. * (double)rows * (double)V))
    for (int64_t r = 0; r < rows; r++) {
        lse[r] = kernels->logsumexp_row(V, x + r * V, NULL);
        kernels->top_k_row(V, x + r * V, k, value + r * k, id + r * k);
    }
}

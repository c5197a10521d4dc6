#include "kernels/top_k.h"

void rv_top_k(int64_t rows, int64_t V, const rv_real *x, int64_t k, rv_real *lse, rv_real *value, int32_t *id) {
    const rv_kernels *kernels = rv_k();
    RV_FOR(r, rows, rv_threads_for(10. * (double)rows * (double)V), {
        lse[r] = kernels->logsumexp_row(V, x + r * V, NULL);
        kernels->top_k_row(V, x + r * V, k, value + r * k, id + r * k);
    });
}

/* As many multiply-adds as the CPU can do, on numbers that stay in registers: the ceiling of every kernel. */
#include "kernels/isa.h"

/* n times 12 chains of a vector multiply-add, enough to hide its latency: 24 * n * lanes operations. */
void RV_KERNEL_FN(multiply_add)(int64_t n, rv_real *out) {
    enum { CHAINS = 12 };
    vec x[CHAINS], a = vec_load(out), b = vec_load(out + RV_LANES);
    for (int c = 0; c < CHAINS; c++) x[c] = vec_set((rv_real)c);
    for (int64_t i = 0; i < n; i++) {
        RV_UNROLL(12) for (int c = 0; c < CHAINS; c++) x[c] = x[c] * a + b;
    }
    for (int c = 1; c < CHAINS; c++) x[0] += x[c];
    vec_store(out, x[0]);
}

#include <math.h>

#include "kernels/isa.h"

#ifdef RV_DOUBLE
#define EXP exp
#define TANH tanh
#define ERF erf
#else
#define EXP expf
#define TANH tanhf
#define ERF erff
#endif

void RV_KERNEL_FN(vexp)(int64_t n, const rv_real *x, rv_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] = EXP(x[i]);
}
void RV_KERNEL_FN(vtanh)(int64_t n, const rv_real *x, rv_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] = TANH(x[i]);
}
void RV_KERNEL_FN(vsigmoid)(int64_t n, const rv_real *x, rv_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] = 1 / (1 + EXP(-x[i]));
}
void RV_KERNEL_FN(verf)(int64_t n, const rv_real *x, rv_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] = ERF(x[i]);
}

#include <math.h>

#include "kernels/isa.h"

#ifdef RV_DOUBLE
#define SQRT sqrt
#else
#define SQRT sqrtf
#endif

/* Plain loops: with -fno-math-errno the compiler vectorises them, square root included, and memory is the limit. */

void RV_KERNEL_FN(sgd)(int64_t n, rv_real *restrict x, const rv_real *restrict g, rv_real *s0, rv_real *s1,
                       const rv_update *u) {
    const rv_update k = *u;
    for (int64_t i = 0; i < n; i++) x[i] -= k.lr * (k.scale * g[i] + k.l2 * x[i]);
}

void RV_KERNEL_FN(sgd_momentum)(int64_t n, rv_real *restrict x, const rv_real *restrict g, rv_real *restrict buf,
                                rv_real *s1, const rv_update *u) {
    const rv_update k = *u;
    const rv_real now = k.nesterov ? 1 : 0, ahead = k.nesterov ? k.a : 1; /* the step: now * d + ahead * buf */
    for (int64_t i = 0; i < n; i++) {
        rv_real d = k.scale * g[i] + k.l2 * x[i];
        rv_real m = k.a * buf[i] + d;
        buf[i] = m;
        x[i] -= k.lr * (now * d + ahead * m);
    }
}

void RV_KERNEL_FN(adam)(int64_t n, rv_real *restrict x, const rv_real *restrict g, rv_real *restrict avg,
                        rv_real *restrict sq, const rv_update *u) {
    const rv_update k = *u;
    for (int64_t i = 0; i < n; i++) {
        rv_real d = k.scale * g[i] + k.l2 * x[i];
        rv_real m = k.a * avg[i] + k.a1 * d;
        rv_real v = k.b * sq[i] + k.b1 * (d * d);
        avg[i] = m;
        sq[i] = v;
        x[i] = k.keep * x[i] - k.lr * m / (SQRT(v) * k.root + k.eps);
    }
}

void RV_KERNEL_FN(adadelta)(int64_t n, rv_real *restrict x, const rv_real *restrict g, rv_real *restrict sq,
                            rv_real *restrict acc, const rv_update *u) {
    const rv_update k = *u;
    for (int64_t i = 0; i < n; i++) {
        rv_real d = k.scale * g[i] + k.l2 * x[i];
        rv_real v = k.a * sq[i] + k.a1 * (d * d);
        rv_real step = SQRT(acc[i] + k.eps) / SQRT(v + k.eps) * d;
        sq[i] = v;
        acc[i] = k.a * acc[i] + k.a1 * (step * step);
        x[i] -= k.lr * step;
    }
}

double RV_KERNEL_FN(sumsq)(int64_t n, const rv_real *x) {
    enum { W = 16 }; /* independent sums: fixed, so the order of additions is the same for every instruction set */
    double s[W] = {0};
    int64_t i = 0;
    for (; i + W <= n; i += W)
        for (int j = 0; j < W; j++) s[j] += (double)x[i + j] * (double)x[i + j];
    for (int j = 0; i < n; i++, j++) s[j] += (double)x[i] * (double)x[i];
    for (int half = W / 2; half; half /= 2)
        for (int j = 0; j < half; j++) s[j] += s[j + half];
    return s[0];
}

/* Reference products: plain loops in the order of k. */
#include "kernels/gemm.h"

#include <math.h>
#include <string.h>

static rv_real activate(rv_act act, rv_real x) {
    const double c = 0.7978845608028654;
    switch (act) {
    case RV_ACT_RELU: return x > 0 ? x : 0;
    case RV_ACT_TANH: return (rv_real)tanh(x);
    case RV_ACT_SIGMOID: return (rv_real)(1 / (1 + exp(-(double)x)));
    case RV_ACT_GELU: return (rv_real)(0.5 * x * (1 + erf(x * 0.7071067811865476)));
    case RV_ACT_GELU_TANH: return (rv_real)(0.5 * x * (1 + tanh(c * (x + 0.044715 * x * x * x))));
    default: return x;
    }
}

static void one(const rv_gemm *g, int64_t batch, int64_t i, int64_t n0, int64_t n1) {
    const rv_real *a = g->a + batch * g->stride_a, *b = g->b + batch * g->stride_b;
    rv_real *c = g->c + batch * g->stride_c, alpha = g->alpha == 0 ? 1 : g->alpha;
    for (int64_t j = n0; j < n1; j++) {
        rv_real s = 0;
        for (int64_t k = 0; k < g->k; k++)
            s += (g->ta ? a[k * g->lda + i] : a[i * g->lda + k]) * (g->tb ? b[j * g->ldb + k] : b[k * g->ldb + j]);
        s *= alpha;
        if (g->bias) s += g->bias[j];
        rv_real *out = c + i * g->ldc + j;
        if (g->pre) g->pre[batch * g->stride_c + i * g->ldc + j] = s;
        *out = g->accumulate ? *out + s : activate(g->act, s);
    }
}

void rv_gemm_serial(const rv_gemm *g) {
    for (int64_t b = 0; b < (g->batch ? g->batch : 1); b++)
        for (int64_t i = 0; i < g->m; i++) one(g, b, i, 0, g->n);
}

void rv_gemm_run(const rv_gemm *g) {
    int64_t rows = (g->batch ? g->batch : 1) * g->m;
#pragma omp parallel for schedule(static) num_threads(rv_threads_for((double)rows * (double)g->n * (double)g->k))
    for (int64_t r = 0; r < rows; r++) one(g, r / g->m, r % g->m, 0, g->n);
}

size_t rv_gemm_packed_bytes(int64_t n, int64_t k) { return (size_t)(n * k) * sizeof(rv_real); }

void rv_gemm_pack_b(bool tb, int64_t n, int64_t k, const rv_real *b, int64_t ldb, void *dst) {
    rv_real *d = dst;
    for (int64_t p = 0; p < k; p++)
        for (int64_t j = 0; j < n; j++) d[p * n + j] = tb ? b[j * ldb + p] : b[p * ldb + j];
}

void rv_gemm_packed(const rv_gemm *g, const void *packed_b, int64_t n0, int64_t n1) {
    rv_gemm h = *g;
    h.b = packed_b;
    h.ldb = g->n;
    h.tb = false;
    for (int64_t i = 0; i < g->m; i++) one(&h, 0, i, n0, n1);
}

int64_t rv_gemm_panel(void) { return 32; }

#include "kernels/rows_inline.h"

#define SQRT_HALF ((rv_real)0.70710678118654752440)
#define PDF_SCALE ((rv_real)0.39894228040143267794)  /* 1 / sqrt(2 pi) */
#define TANH_SCALE ((rv_real)0.79788456080286535588) /* sqrt(2 / pi) */
#define TANH_CUBE ((rv_real)0.044715)

static inline vec relu(vec x) { return vec_select(x > 0, x, vec_set(0)); }
static inline vec inner_erf(vec x) { return vec_erf(x * SQRT_HALF); }
static inline vec inner_tanh(vec x) { return vec_tanh(TANH_SCALE * (x + TANH_CUBE * x * x * x)); }
static inline vec gelu(vec x) { return (rv_real)0.5 * x * (1 + inner_erf(x)); }
static inline vec gelu_tanh(vec x) { return (rv_real)0.5 * x * (1 + inner_tanh(x)); }

/* Derivatives, by the output or the input as vact_back says. */
static inline vec relu_slope(vec y) { return vec_select(y > 0, vec_set(1), vec_set(0)); }
static inline vec tanh_slope(vec y) { return 1 - y * y; }
static inline vec sigmoid_slope(vec y) { return y * (1 - y); }
/* By e = erf(x / sqrt 2): Phi(x) + x phi(x); and by t = tanh of the polynomial. */
static inline vec gelu_slope_by(vec x, vec e) {
    return (rv_real)0.5 * (1 + e) + x * PDF_SCALE * vec_exp((rv_real)-0.5 * x * x);
}
static inline vec gelu_tanh_slope_by(vec x, vec t) {
    return (rv_real)0.5 * (1 + t) + (rv_real)0.5 * x * (1 - t * t) * TANH_SCALE * (1 + 3 * TANH_CUBE * x * x);
}
static inline vec gelu_slope(vec x) { return gelu_slope_by(x, inner_erf(x)); }
static inline vec gelu_tanh_slope(vec x) { return gelu_tanh_slope_by(x, inner_tanh(x)); }

void RV_KERNEL_FN(vact)(rv_act act, int64_t n, const rv_real *x, rv_real *y) {
#define MAP(f)                                                                                                         \
    for (int64_t i = 0; i < n; i += RV_LANES) row_put(y + i, n - i, f(row_get(x + i, n - i, 0)));                      \
    break
    switch (act) {
    case RV_ACT_RELU: MAP(relu);
    case RV_ACT_TANH: MAP(vec_tanh);
    case RV_ACT_SIGMOID: MAP(vec_sigmoid);
    case RV_ACT_GELU: MAP(gelu);
    case RV_ACT_GELU_TANH: MAP(gelu_tanh);
    default: MAP();
    }
#undef MAP
}

void RV_KERNEL_FN(vact_back)(rv_act act, int64_t n, const rv_real *s, const rv_real *dy, rv_real *dx, bool acc) {
#define MAP(slope)                                                                                                     \
    for (int64_t i = 0; i < n; i += RV_LANES)                                                                          \
        row_give(dx + i, n - i, row_get(dy + i, n - i, 0) * slope(row_get(s + i, n - i, 0)), acc);                     \
    break
    switch (act) {
    case RV_ACT_RELU: MAP(relu_slope);
    case RV_ACT_TANH: MAP(tanh_slope);
    case RV_ACT_SIGMOID: MAP(sigmoid_slope);
    case RV_ACT_GELU: MAP(gelu_slope);
    case RV_ACT_GELU_TANH: MAP(gelu_tanh_slope);
    default:
        for (int64_t i = 0; i < n; i += RV_LANES) row_give(dx + i, n - i, row_get(dy + i, n - i, 0), acc);
    }
#undef MAP
}

void RV_KERNEL_FN(vact_again)(rv_act act, int64_t n, rv_real *x, rv_real *d) {
#define BOTH(inner, slope_by)                                                                                          \
    for (int64_t i = 0; i < n; i += RV_LANES) {                                                                        \
        vec v = row_get(x + i, n - i, 0), e = inner(v);                                                                \
        row_put(x + i, n - i, (rv_real)0.5 * v * (1 + e));                                                             \
        row_put(d + i, n - i, row_get(d + i, n - i, 0) * slope_by(v, e));                                              \
    }
    if (act == RV_ACT_GELU)
        BOTH(inner_erf, gelu_slope_by)
    else
        BOTH(inner_tanh, gelu_tanh_slope_by)
#undef BOTH
}

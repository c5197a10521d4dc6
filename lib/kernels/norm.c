#include <math.h>

#include "kernels/rows_inline.h"

void RV_KERNEL_FN(layer_norm_row)(int64_t n, const rv_real *x, const rv_real *gamma, const rv_real *beta, rv_real eps,
                                  rv_real *stat, rv_real *y) {
    vec s = {0}, q = {0};
    for (int64_t i = 0; i < n; i += RV_LANES) s += row_get(x + i, n - i, 0);
    rv_real mean = vec_hsum(s) / (rv_real)n;
    /* A second pass for the variance: E x^2 - (E x)^2 cancels. Padding with the mean adds nothing. */
    for (int64_t i = 0; i < n; i += RV_LANES) {
        vec d = row_get(x + i, n - i, mean) - mean;
        q += d * d;
    }
    rv_real r = 1 / (rv_real)sqrt((double)(vec_hsum(q) / (rv_real)n + eps));
    for (int64_t i = 0; i < n; i += RV_LANES)
        row_put(y + i, n - i,
                (row_get(x + i, n - i, 0) - mean) * r * row_get(gamma + i, n - i, 0) + row_get(beta + i, n - i, 0));
    stat[0] = mean;
    stat[1] = r;
}

/* With h = (x - mean) / dev and u = dy gamma: dx = (u - mean(u) - h mean(u h)) / dev. */
void RV_KERNEL_FN(layer_norm_back_row)(int64_t n, const rv_real *x, const rv_real *gamma, const rv_real *stat,
                                       const rv_real *dy, rv_real *dx, bool acc) {
    rv_real mean = stat[0], r = stat[1];
    vec su = {0}, sh = {0};
    for (int64_t i = 0; i < n; i += RV_LANES) {
        vec u = row_get(dy + i, n - i, 0) * row_get(gamma + i, n - i, 0);
        su += u;
        sh += u * ((row_get(x + i, n - i, 0) - mean) * r);
    }
    rv_real mu = vec_hsum(su) / (rv_real)n, mh = vec_hsum(sh) / (rv_real)n;
    for (int64_t i = 0; i < n; i += RV_LANES) {
        vec u = row_get(dy + i, n - i, 0) * row_get(gamma + i, n - i, 0), h = (row_get(x + i, n - i, 0) - mean) * r;
        row_give(dx + i, n - i, r * (u - mu - h * mh), acc);
    }
}

void RV_KERNEL_FN(layer_norm_back_params)(int64_t n, const rv_real *x, const rv_real *stat, const rv_real *dy,
                                          rv_real *dgamma, rv_real *dbeta) {
    rv_real mean = stat[0], r = stat[1];
    for (int64_t i = 0; i < n; i += RV_LANES) {
        vec d = row_get(dy + i, n - i, 0);
        row_give(dgamma + i, n - i, d * ((row_get(x + i, n - i, 0) - mean) * r), true);
        row_give(dbeta + i, n - i, d, true);
    }
}

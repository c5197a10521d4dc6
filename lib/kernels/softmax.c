#include "kernels/rows_inline.h"

void RV_KERNEL_FN(softmax_row)(int64_t n, const rv_real *x, rv_real *y) {
    rv_real max = row_max(n, x);
    vec s = {0};
    for (int64_t i = 0; i < n; i += RV_LANES) {
        vec e = vec_exp(row_get(x + i, n - i, -INFINITY) - max);
        s += e;
        row_put(y + i, n - i, e);
    }
    rv_real r = 1 / vec_hsum(s);
    for (int64_t i = 0; i < n; i += RV_LANES) row_put(y + i, n - i, row_get(y + i, n - i, 0) * r);
}

void RV_KERNEL_FN(softmax_back_row)(int64_t n, const rv_real *y, const rv_real *dy, rv_real *dx, bool acc) {
    vec s = {0};
    for (int64_t i = 0; i < n; i += RV_LANES) s += row_get(y + i, n - i, 0) * row_get(dy + i, n - i, 0);
    rv_real dot = vec_hsum(s);
    for (int64_t i = 0; i < n; i += RV_LANES)
        row_give(dx + i, n - i, row_get(y + i, n - i, 0) * (row_get(dy + i, n - i, 0) - dot), acc);
}

/* Chunks that fit the first-level cache: the maximum so far rescales the sum so far, so memory is read once
 * [Milakov 2018]. Chunks of minus infinity alone add nothing; a row of them gives minus infinity. */
rv_real RV_KERNEL_FN(logsumexp_row)(int64_t n, const rv_real *x, rv_real *sum_x) {
    enum { CHUNK = 64 * RV_LANES };
    rv_real max = -INFINITY, sum = 0;
    vec sx = {0};
    for (int64_t b = 0; b < n; b += CHUNK) {
        int64_t len = n - b < CHUNK ? n - b : CHUNK;
        const rv_real *p = x + b;
        rv_real m = row_max(len, p);
        if (sum_x)
            for (int64_t i = 0; i < len; i += RV_LANES) sx += row_get(p + i, len - i, 0);
        if (m > max) {
            sum = b ? sum * (rv_real)exp((double)(max - m)) : 0;
            max = m;
        }
        if (max == -INFINITY) {
            for (int64_t i = 0; i < len; i++)
                if (p[i] != p[i]) return p[i]; /* NaN, which no maximum shows */
            continue;
        }
        vec s = {0};
        for (int64_t i = 0; i < len; i += RV_LANES) s += vec_exp(row_get(p + i, len - i, -INFINITY) - max);
        sum += vec_hsum(s);
    }
    if (sum_x) *sum_x = vec_hsum(sx);
    return max + (rv_real)log((double)sum);
}

void RV_KERNEL_FN(cross_entropy_back_row)(int64_t n, const rv_real *x, rv_real lse, rv_real scale, rv_real uniform,
                                          rv_real *dx, bool acc) {
    for (int64_t i = 0; i < n; i += RV_LANES)
        row_give(dx + i, n - i, scale * (vec_exp(row_get(x + i, n - i, 0) - lse) - uniform), acc);
}

/* Sums are added up by chunks, so that their error does not grow with n. */
rv_real RV_KERNEL_FN(exp_row)(int64_t n, const rv_real *x, rv_real *y, rv_real *sum, rv_real *sum_x) {
    enum { CHUNK = 64 * RV_LANES };
    rv_real max = row_max(n, x);
    vec s = {0}, sx = {0};
    for (int64_t b = 0; b < n; b += CHUNK) {
        int64_t len = n - b < CHUNK ? n - b : CHUNK;
        vec part = {0}, part_x = {0};
        for (int64_t i = b; i < b + len; i += RV_LANES) {
            if (sum_x) part_x += row_get(x + i, n - i, 0);
            vec e = vec_exp(row_get(x + i, n - i, -INFINITY) - max);
            part += e;
            row_put(y + i, n - i, e);
        }
        s += part;
        sx += part_x;
    }
    *sum = vec_hsum(s);
    if (sum_x) *sum_x = vec_hsum(sx);
    return max;
}

void RV_KERNEL_FN(affine_rows)(int64_t rows, int64_t n, rv_real *x, int64_t ld, const rv_real *scale, rv_real shift,
                               rv_real *sum, bool acc) {
    for (int64_t i = 0; i < n; i += RV_LANES) {
        vec s = {0};
        for (int64_t r = 0; r < rows; r++) {
            rv_real *at = x + r * ld + i;
            vec v = row_get(at, n - i, 0) * scale[r] + shift;
            s += v;
            row_put(at, n - i, v);
        }
        if (sum) row_give(sum + i, n - i, s, acc);
    }
}

void RV_KERNEL_FN(log_softmax_back_row)(int64_t n, const rv_real *y, const rv_real *dy, rv_real *dx, bool acc) {
    vec s = {0};
    for (int64_t i = 0; i < n; i += RV_LANES) s += row_get(dy + i, n - i, 0);
    rv_real sum = vec_hsum(s);
    for (int64_t i = 0; i < n; i += RV_LANES)
        row_give(dx + i, n - i, row_get(dy + i, n - i, 0) - vec_exp(row_get(y + i, n - i, 0)) * sum, acc);
}

#include "kernels/rows_inline.h"

/* Four chains hide the latency of the addition; they meet in a fixed order. */
#define SUM(TERM)                                                                                                      \
    int64_t at = 0;                                                                                                    \
    vec s[4] = {{0}};                                                                                                  \
    for (; at + 4 * RV_LANES <= n; at += 4 * RV_LANES)                                                                 \
        for (int c = 0; c < 4; c++) s[c] += TERM(at + c * RV_LANES, RV_LANES);                                         \
    for (; at < n; at += RV_LANES) s[0] += TERM(at, n - at);                                                           \
    return vec_hsum((s[0] + s[1]) + (s[2] + s[3]))

rv_real RV_KERNEL_FN(vsum)(int64_t n, const rv_real *x) {
#define TERM(i, left) row_get(x + (i), left, 0)
    SUM(TERM);
#undef TERM
}

static inline vec square(vec v) { return v * v; }
rv_real RV_KERNEL_FN(vsum_sqdiff)(int64_t n, const rv_real *a, const rv_real *b) {
#define TERM(i, left) square(row_get(a + (i), left, 0) - row_get(b + (i), left, 0))
    SUM(TERM);
#undef TERM
}

void RV_KERNEL_FN(vsum_columns)(int64_t rows, int64_t cols, const rv_real *x, int64_t ld, rv_real *y) {
    int64_t j = 0;
    for (; j + 4 * RV_LANES <= cols; j += 4 * RV_LANES) {
        vec s[4] = {{0}};
        for (int64_t r = 0; r < rows; r++)
            for (int c = 0; c < 4; c++) s[c] += vec_load(x + r * ld + j + c * RV_LANES);
        for (int c = 0; c < 4; c++) vec_store(y + j + c * RV_LANES, s[c]);
    }
    for (; j < cols; j += RV_LANES) {
        vec s = {0};
        for (int64_t r = 0; r < rows; r++) s += row_get(x + r * ld + j, cols - j, 0);
        row_put(y + j, cols - j, s);
    }
}

#include "kernels/rows_inline.h"

enum { CHUNKS = 256 };

/* The k-th largest of n values, or minus infinity of fewer: value (k) is scratch. */
static rv_real kth(int64_t n, const rv_real *x, int64_t k, rv_real *value) {
    for (int64_t i = 0; i < k; i++) value[i] = -(rv_real)INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] > value[k - 1])) continue;
        int64_t j = k - 1;
        for (; j > 0 && x[i] > value[j - 1]; j--) value[j] = value[j - 1];
        value[j] = x[i];
    }
    return value[k - 1];
}

/* The k-th largest of the chunks' maxima is a bound: k chunks hold something as large, so what is smaller is not among
 * the k largest of all, and few chunks hold anything else. These go through a list kept sorted by insertion. */
void RV_KERNEL_FN(top_k_row)(int64_t n, const rv_real *x, int64_t k, rv_real *value, int32_t *place) {
    rv_real max[CHUNKS];
    int64_t size = ((n + CHUNKS - 1) / CHUNKS + RV_LANES - 1) / RV_LANES * RV_LANES, have = 0;
    if (size < 4 * RV_LANES) size = 4 * RV_LANES;
    const int64_t chunks = (n + size - 1) / size;
    for (int64_t c = 0; c < chunks; c++) max[c] = row_max(c + 1 < chunks ? size : n - c * size, x + c * size);
    const rv_real bound = kth(chunks, max, k, value);
    for (int64_t c = 0; c < chunks; c++) {
        if (max[c] < bound || (have == k && !(max[c] > value[k - 1]))) continue;
        const int64_t end = c + 1 < chunks ? (c + 1) * size : n;
        for (int64_t i = c * size; i < end; i++) {
            if (x[i] < bound || (have == k && !(x[i] > value[k - 1]))) continue;
            int64_t j = have < k ? have++ : k - 1;
            for (; j > 0 && x[i] > value[j - 1]; j--) {
                value[j] = value[j - 1];
                place[j] = place[j - 1];
            }
            value[j] = x[i];
            place[j] = (int32_t)i;
        }
    }
}

#include "kernels/rows_inline.h"

/* A list kept sorted by insertion. Most chunks hold nothing above its last value, and one maximum tells. */
void RV_KERNEL_FN(top_k_row)(int64_t n, const rv_real *x, int64_t k, rv_real *value, int32_t *place) {
    enum { CHUNK = 4 * RV_LANES };
    int64_t have = 0;
    for (int64_t b = 0; b < n; b += CHUNK) {
        int64_t end = n - b < CHUNK ? n : b + CHUNK;
        if (have == k && !(row_max(end - b, x + b) > value[k - 1])) continue;
        for (int64_t i = b; i < end; i++) {
            if (have == k && !(x[i] > value[k - 1])) continue;
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

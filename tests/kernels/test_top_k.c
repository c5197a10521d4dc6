/* The k largest of each row against a sort, with every instruction set. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "kernels/top_k.h"

static const rv_real *row;

static int larger_first(const void *a, const void *b) {
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (row[i] != row[j]) return row[i] > row[j] ? -1 : 1;
    return i - j;
}

static const char *const isas[] = {"avx512", "avx2", "base"};

Test(top_k, as_a_sort) {
    static const int64_t sizes[] = {1, 2, 7, 16, 63, 64, 65, 300, 8000};
    enum { ROWS = 9 };
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int c = 0; c < 9; c++)
            for (int levels = 2; levels <= 100000; levels *= 50) { /* few levels: many are equal */
                int64_t V = sizes[c], k = V < 12 ? V : 12;
                rv_real *x = malloc((size_t)(ROWS * V) * sizeof *x), lse[ROWS], value[ROWS * 12];
                int32_t id[ROWS * 12], *order = malloc((size_t)V * sizeof *order);
                rv_rng rng = rv_rng_make(3, "rows", 0);
                for (int64_t i = 0; i < ROWS * V; i++)
                    x[i] = (rv_real)rv_rng_below(&rng, (uint32_t)levels) * (rv_real)8 / (rv_real)levels - 4;
                if (V > 20) x[3] = -INFINITY;
                rv_top_k(ROWS, V, x, k, lse, value, id);
                for (int64_t r = 0; r < ROWS; r++) {
                    row = x + r * V;
                    double sum = 0;
                    for (int64_t i = 0; i < V; i++) order[i] = (int32_t)i, sum += exp((double)row[i]);
                    qsort(order, (size_t)V, sizeof *order, larger_first);
                    cr_assert_float_eq((double)lse[r], log(sum), 1e-5);
                    for (int64_t i = 0; i < k; i++) {
                        cr_assert_eq(id[r * k + i], order[i], "%s, V %lld, row %lld, place %lld", isas[s], (long long)V,
                                     (long long)r, (long long)i);
                        cr_assert_eq(value[r * k + i], row[order[i]]);
                    }
                }
                free(x);
                free(order);
            }
    }
}

Test(top_k, what_is_not_finite_shows) {
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        const rv_real bad[] = {NAN, INFINITY};
        for (int at = 0; at < 100; at++)
            for (int b = 0; b < 2; b++) {
                rv_real x[100], lse, value[4];
                int32_t id[4];
                for (int i = 0; i < 100; i++) x[i] = (rv_real)i / 50;
                x[at] = bad[b];
                rv_top_k(1, 100, x, 4, &lse, value, id);
                cr_assert(!isfinite(lse), "%s, place %d", isas[s], at);
                for (int i = 0; i < 4; i++) cr_assert(id[i] >= 0 && id[i] < 100);
            }
    }
}

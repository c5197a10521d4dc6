/* Matrix products against naive ones in double; the same bits however they are cut, packed or run. */
#include <criterion/criterion.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "kernels/gemm.h"

static const char *const isas[] = {"avx512", "avx2", "base"};
enum { ISAS = sizeof isas / sizeof *isas };
#ifdef RV_DOUBLE
static const double eps = 0x1p-53;
#else
static const double eps = 0x1p-24;
#endif

static rv_real *numbers(int64_t n, uint64_t seed) {
    rv_real *x = rv_alloc((size_t)(n + 1) * sizeof *x);
    rv_rng r = rv_rng_make(seed, "test", 0);
    for (int64_t i = 0; i < n; i++) x[i] = (rv_real)(2 * rv_rng_uniform(&r) - 1);
    return x;
}

static double activate(rv_act act, double x) {
    switch (act) {
    case RV_ACT_RELU: return x > 0 ? x : 0;
    case RV_ACT_TANH: return tanh(x);
    case RV_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case RV_ACT_GELU: return 0.5 * x * (1 + erf(x / sqrt(2)));
    case RV_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    default: return x;
    }
}

/* A product with its memory: rows of A, B and C are wider than needed, and C's gaps hold a mark. */
typedef struct {
    rv_gemm g;
    rv_real *a, *b, *c, *pre, *bias;
    int64_t a_size, b_size, c_size;
} product;

static product make(rv_gemm g, bool bias, bool pre, int64_t gap, uint64_t seed) {
    int64_t batch = g.batch ? g.batch : 1;
    product p = {.g = g};
    p.g.lda = (g.ta ? g.m : g.k) + gap;
    p.g.ldb = (g.tb ? g.k : g.n) + gap;
    p.g.ldc = g.n + gap;
    p.g.stride_a = (g.ta ? g.k : g.m) * p.g.lda + gap;
    p.g.stride_b = (g.tb ? g.n : g.k) * p.g.ldb + gap;
    p.g.stride_c = g.m * p.g.ldc + gap;
    p.a_size = batch * p.g.stride_a, p.b_size = batch * p.g.stride_b, p.c_size = batch * p.g.stride_c;
    p.g.a = p.a = numbers(p.a_size, seed);
    p.g.b = p.b = numbers(p.b_size, seed + 1);
    p.g.c = p.c = numbers(p.c_size, seed + 2);
    p.g.bias = p.bias = bias ? numbers(g.n, seed + 3) : NULL;
    p.g.pre = p.pre = pre ? numbers(p.c_size, seed + 2) : NULL;
    return p;
}
static void drop(product *p) { rv_free(p->a), rv_free(p->b), rv_free(p->c), rv_free(p->bias), rv_free(p->pre); }

/* Run p and compare all of C's memory, gaps included, with the definition. */
static void check(product *p, const char *isa) {
    const rv_gemm *g = &p->g;
    rv_real *old = numbers(p->c_size, 0);
    memcpy(old, p->c, (size_t)p->c_size * sizeof *old);
    rv_gemm_run(g);
    int64_t batch = g->batch ? g->batch : 1;
    double worst = 0;
    for (int64_t q = 0; q < batch; q++)
        for (int64_t i = 0; i < g->m; i++)
            for (int64_t j = 0; j < g->ldc && q * g->stride_c + i * g->ldc + j < p->c_size; j++) {
                int64_t at = q * g->stride_c + i * g->ldc + j;
                if (j >= g->n) {
                    cr_assert(p->c[at] == old[at], "%s: wrote beyond column %lld", isa, (long long)g->n);
                    continue;
                }
                double s = 0, size = 0, alpha = g->alpha == 0 ? 1 : (double)g->alpha;
                for (int64_t k = 0; k < g->k; k++) {
                    double x = g->a[q * g->stride_a + (g->ta ? k * g->lda + i : i * g->lda + k)];
                    double y = g->b[q * g->stride_b + (g->tb ? j * g->ldb + k : k * g->ldb + j)];
                    s += x * y, size += fabs(x * y);
                }
                s *= alpha, size *= fabs(alpha);
                if (g->bias) s += (double)g->bias[j], size += 1;
                if (g->accumulate) s += (double)old[at], size += 1;
                double bound = eps * (8 + sqrt((double)g->k) * 4) * (size + 1);
                if (g->pre) cr_assert(fabs((double)g->pre[at] - s) <= bound, "%s pre", isa);
                double e = fabs((double)p->c[at] - activate(g->act, s)) / bound;
                if (!(e <= worst)) worst = e;
            }
    cr_assert(worst <= 1, "%s %c%c m %lld n %lld k %lld batch %lld act %d: %g times the bound", isa, g->ta ? 'T' : 'N',
              g->tb ? 'T' : 'N', (long long)g->m, (long long)g->n, (long long)g->k, (long long)batch, (int)g->act,
              worst);
    rv_free(old);
}

/* A size: often small or at the edge of a tile, sometimes larger. */
static int64_t size(rv_rng *r, int64_t most) {
    static const int64_t edges[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  13, 14, 15, 16,
                                    17, 24, 28, 29, 31, 32, 33, 48, 63, 64, 65, 70, 71};
    if (rv_rng_below(r, 2)) return edges[rv_rng_below(r, sizeof edges / sizeof *edges)];
    return 1 + (int64_t)rv_rng_below(r, (uint64_t)most);
}

static void random_products(const char *isa, int count) {
    if (rv_select_isa(isa) != RV_OK) return;
    rv_rng r = rv_rng_make(1, isa, 0);
    for (int i = 0; i < count; i++) {
        rv_gemm g = {.ta = rv_rng_below(&r, 2),
                     .tb = rv_rng_below(&r, 2),
                     .m = size(&r, 200),
                     .n = size(&r, 200),
                     .k = size(&r, 200)};
        if (i % 8 == 0) g.k = 400 + (int64_t)rv_rng_below(&r, 900);
        if (i % 5 == 0) g.batch = 1 + (int64_t)rv_rng_below(&r, 9);
        if (i % 40 == 39) g.k = 0;
        g.alpha = (rv_real[]){0, 1, (rv_real)-0.37}[rv_rng_below(&r, 3)];
        g.accumulate = rv_rng_below(&r, 3) == 0;
        if (!g.accumulate) g.act = (rv_act)rv_rng_below(&r, RV_ACT_COUNT);
        rv_set_threads(1 + (int)rv_rng_below(&r, 4));
        product p = make(g, rv_rng_below(&r, 2), !g.accumulate && rv_rng_below(&r, 2), (int64_t)rv_rng_below(&r, 2) * 3,
                         (uint64_t)i * 16 + 7);
        void *packed = NULL;
        if (p.g.batch <= 1 && i % 3 == 0) {
            packed = rv_alloc(rv_gemm_packed_bytes(p.g.n, p.g.k) + 1);
            rv_gemm_pack_b(p.g.tb, p.g.n, p.g.k, p.g.b, p.g.ldb, packed);
            p.g.packed_b = packed;
        }
        check(&p, isa);
        rv_free(packed);
        drop(&p);
    }
}
Test(gemm, random_avx512) { random_products("avx512", 400); }
Test(gemm, random_avx2) { random_products("avx2", 400); }
Test(gemm, random_base) { random_products("base", 400); }

/* The shapes that models have: C (owned by the caller) from the same numbers each time. */
static const struct {
    int64_t m, n, k, batch;
} shapes[] = {{32, 2048, 512, 0}, {64, 64, 64, 40}, {24, 24, 64, 33}, {300, 500, 700, 0}, {1, 512, 300, 0},
              {33, 65, 1100, 0},  {7, 3, 5, 0},     {160, 70, 96, 3}, {500, 1, 40, 0},    {257, 33, 2048, 0}};
enum { SHAPES = sizeof shapes / sizeof *shapes };
static product shape(int i, int transposes) {
    rv_gemm g = {.ta = transposes & 1,
                 .tb = transposes & 2,
                 .m = shapes[i].m,
                 .n = shapes[i].n,
                 .k = shapes[i].k,
                 .batch = shapes[i].batch,
                 .act = i % 2 ? RV_ACT_NONE : RV_ACT_TANH,
                 .alpha = (rv_real)(i % 3 == 0 ? 0.3 : 1)};
    return make(g, i % 2, false, 0, 99 + (uint64_t)i);
}

Test(gemm, bits_at_every_thread_count) {
    for (int s = 0; s < ISAS; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int i = 0; i < SHAPES; i++)
            for (int t = 0; t < 4; t++) {
                product p = shape(i, t);
                rv_real *one = numbers(p.c_size, 1);
                for (int n = 1; n <= 4; n++) {
                    rv_set_threads(n);
                    rv_gemm_run(&p.g);
                    if (n == 1) memcpy(one, p.c, (size_t)p.c_size * sizeof *one);
                    cr_assert_eq(memcmp(one, p.c, (size_t)p.c_size * sizeof *one), 0,
                                 "%s shape %d transposes %d, %d threads", isas[s], i, t, n);
                }
                rv_free(one);
                drop(&p);
            }
    }
}

/* Each row alone, and in fewer and fewer columns, has the bits it has in the whole. */
Test(gemm, bits_of_parts) {
    for (int s = 0; s < ISAS; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int i = 0; i < SHAPES; i++)
            for (int t = 0; t < 4; t++) {
                product p = shape(i, t);
                rv_gemm_run(&p.g);
                rv_real *row = numbers(p.g.n, 1);
                for (int64_t r = 0; r < p.g.m; r += 1 + p.g.m / 7) {
                    rv_gemm g = p.g;
                    g.m = 1, g.batch = 0, g.c = row;
                    g.a += g.ta ? r : r * g.lda;
                    rv_gemm_run(&g);
                    cr_assert_eq(memcmp(row, p.c + r * g.ldc, (size_t)g.n * sizeof *row), 0,
                                 "%s shape %d transposes %d row %lld", isas[s], i, t, (long long)r);
                    int64_t cut = g.n / 3;
                    g.n -= cut, g.b += g.tb ? cut * g.ldb : cut, g.bias = g.bias ? g.bias + cut : NULL;
                    rv_gemm_serial(&g);
                    cr_assert_eq(memcmp(row, p.c + r * g.ldc + cut, (size_t)g.n * sizeof *row), 0,
                                 "%s shape %d transposes %d columns", isas[s], i, t);
                }
                rv_free(row);
                drop(&p);
            }
    }
}

/* Serial, from inside a parallel region, and with B packed: the bits of rv_gemm_run. */
Test(gemm, bits_of_serial_and_packed) {
    for (int s = 0; s < ISAS; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        rv_set_threads(2);
        for (int i = 0; i < SHAPES; i++)
            for (int t = 0; t < 4; t++) {
                product p = shape(i, t);
                size_t bytes = (size_t)p.c_size * sizeof *p.c;
                rv_gemm_run(&p.g);
                rv_real *c = numbers(p.c_size, 1);
                rv_gemm g = p.g;
                g.c = c;
                rv_gemm_serial(&g);
                cr_assert_eq(memcmp(c, p.c, bytes), 0, "%s shape %d transposes %d serial", isas[s], i, t);
                if (!g.batch) {
                    void *packed = rv_alloc(rv_gemm_packed_bytes(g.n, g.k));
                    rv_gemm_pack_b(g.tb, g.n, g.k, g.b, g.ldb, packed);
                    memset(c, 0, bytes);
                    int64_t half = (g.n / 2 + rv_gemm_panel() - 1) / rv_gemm_panel() * rv_gemm_panel();
                    if (half > g.n) half = g.n;
#pragma omp parallel for num_threads(2)
                    for (int h = 0; h < 2; h++) rv_gemm_packed(&g, packed, h ? half : 0, h ? g.n : half);
                    cr_assert_eq(memcmp(c, p.c, bytes), 0, "%s shape %d transposes %d packed", isas[s], i, t);
                    g.packed_b = packed, g.b = NULL, g.ldb = 0;
                    for (int serial = 0; serial < 2; serial++) {
                        memset(c, 0, bytes);
                        serial ? rv_gemm_serial(&g) : rv_gemm_run(&g);
                        cr_assert_eq(memcmp(c, p.c, bytes), 0, "%s shape %d transposes %d packed, run", isas[s], i, t);
                    }
                    rv_free(packed);
                }
                rv_free(c);
                drop(&p);
            }
    }
}

/* Both have fused multiply-adds, and the cuts of K are the same. */
Test(gemm, avx2_and_avx512_agree) {
    if (rv_select_isa("avx512") != RV_OK) return;
    for (int i = 0; i < SHAPES; i++)
        for (int t = 0; t < 4; t++) {
            product p = shape(i, t);
            rv_select_isa("avx512");
            rv_gemm_run(&p.g);
            rv_real *c = numbers(p.c_size, 1);
            memcpy(c, p.c, (size_t)p.c_size * sizeof *c);
            rv_select_isa("avx2");
            rv_gemm_run(&p.g);
            cr_assert_eq(memcmp(c, p.c, (size_t)p.c_size * sizeof *c), 0, "shape %d transposes %d", i, t);
            rv_free(c);
            drop(&p);
        }
}

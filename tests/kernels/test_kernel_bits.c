/* What runs on several threads beside the ops: products of every kind, optimisers' updates, sums of squares, the best
 * of each row. The same bits at every thread count, however small the work. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "kernels/gemm.h"
#include "kernels/top_k.h"
#include "support/same_bits.h"

static rv_real *numbers(int64_t n, const char *stream) {
    rv_real *x = rv_alloc((size_t)(n + 1) * sizeof *x);
    cr_assert(x);
    rv_rng r = rv_rng_make(1, stream, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (rv_real)(2 * rv_rng_uniform(&r) - 1);
    return x;
}

/* ---- products */

typedef struct {
    rv_gemm g; /* without its operands */
    bool bias, pre, packed;
} product;

static void multiply(const void *what, rv_bits part[RV_BITS_PARTS]) {
    const product *p = what;
    rv_gemm g = p->g;
    const int64_t batch = g.batch ? g.batch : 1, size_c = batch * g.m * g.n;
    g.lda = g.ta ? g.m : g.k, g.ldb = g.tb ? g.k : g.n, g.ldc = g.n;
    g.stride_a = g.m * g.k, g.stride_b = g.k * g.n, g.stride_c = g.m * g.n;
    rv_real *a = numbers(batch * g.stride_a, "a"), *b = numbers(batch * g.stride_b, "b"), *c = numbers(size_c, "c");
    rv_real *bias = p->bias ? numbers(g.n, "bias") : NULL, *pre = p->pre ? numbers(size_c, "pre") : NULL;
    void *packed = p->packed ? rv_alloc(rv_gemm_packed_bytes(g.n, g.k)) : NULL;
    g.a = a, g.b = b, g.c = c, g.bias = bias, g.pre = pre;
    rv_bits_begin();
    if (packed) rv_gemm_pack_b(g.tb, g.n, g.k, b, g.ldb, packed);
    g.packed_b = packed;
    rv_gemm_run(&g);
    rv_bits_end(&part[0]);
    rv_bits_add(&part[0], c, size_c);
    if (pre) rv_bits_add(&part[0], pre, size_c);
    rv_free(a), rv_free(b), rv_free(c), rv_free(bias), rv_free(pre), rv_free(packed);
}

/* Few rows, few columns, more than one block of K, many small products (whole ones go to a thread), some larger ones.
 * */
static const rv_gemm shapes[] = {
    {.m = 5, .n = 70, .k = 9},
    {.m = 70, .n = 3, .k = 40},
    {.m = 33, .n = 65, .k = 1100},
    {.m = 130, .n = 97, .k = 64},
    {.m = 9, .n = 8, .k = 7, .batch = 33},
    {.m = 40, .n = 37, .k = 21, .batch = 3},
};

static void expect_product(const product *p) {
    char name[128];
    snprintf(name, sizeof name, "product %c%c m %d n %d k %d batch %d%s%s act %d", p->g.ta ? 'T' : 'N',
             p->g.tb ? 'T' : 'N', (int)p->g.m, (int)p->g.n, (int)p->g.k, (int)p->g.batch, p->packed ? " packed" : "",
             p->g.accumulate ? " onto" : "", (int)p->g.act);
    rv_bits_expect_same(name, multiply, p);
}

Test(kernel_bits, products) {
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int form = 0; form < 4; form++) {
            product p = {.g = shapes[s]};
            p.g.ta = form & 1, p.g.tb = form & 2;
            p.g.accumulate = true, p.g.alpha = (rv_real)-0.37;
            expect_product(&p);
            p.g.accumulate = false, p.g.act = RV_ACT_GELU;
            p.bias = p.pre = true;
            expect_product(&p);
            p.packed = true;
            if (!p.g.batch) expect_product(&p);
        }
    rv_bits_expect_regions_shared();
}

/* ---- sums of squares: of one block, of several, and of more than can wait on the stack */

static void squares(const void *what, rv_bits part[RV_BITS_PARTS]) {
    const int64_t n = *(const int64_t *)what;
    rv_real *x = numbers(n, "x");
    rv_bits_begin();
    const double sum = rv_sum_squares(n, x);
    rv_bits_end(&part[0]);
    rv_real bits[sizeof sum / sizeof(rv_real)];
    memcpy(bits, &sum, sizeof sum);
    rv_bits_add(&part[0], bits, sizeof sum / sizeof(rv_real));
    rv_free(x);
}

Test(kernel_bits, sums_of_squares) {
    for (int c = 0; c < 2; c++) {
        const int64_t n = RV_BLOCK * (int64_t)(c ? 1024 + 3 : 3) + 17;
        rv_bits_expect_same("sum of squares", squares, &n);
    }
}

/* ---- updates */

enum { SPANS = 3, ARRAYS = 4 };
static const int64_t span_size[SPANS] = {3 * RV_BLOCK + 5, 7, RV_BLOCK + 1};

static void update(const void *what, rv_bits part[RV_BITS_PARTS]) {
    rv_update_fn *const *fn = what;
    const rv_update u = {.scale = (rv_real)0.7,
                         .lr = (rv_real)0.01,
                         .l2 = (rv_real)0.1,
                         .keep = (rv_real)0.99,
                         .a = (rv_real)0.9,
                         .a1 = (rv_real)0.1,
                         .b = (rv_real)0.99,
                         .b1 = (rv_real)0.01,
                         .root = (rv_real)1.3,
                         .eps = (rv_real)1e-3};
    rv_real *x[SPANS][ARRAYS];
    rv_update_span span[SPANS];
    for (int i = 0; i < SPANS; i++) {
        static const char *const stream[ARRAYS] = {"x", "g", "s0", "s1"};
        for (int a = 0; a < ARRAYS; a++) x[i][a] = numbers(span_size[i], stream[a]);
        for (int64_t j = 0; j < span_size[i]; j++) x[i][2][j] += 1, x[i][3][j] += 1; /* means of squares */
        span[i] = (rv_update_span){span_size[i], x[i][0], x[i][1], x[i][2], x[i][3], i != 1};
    }
    rv_bits_begin();
    rv_update_run(*fn, SPANS, span, &u);
    rv_bits_end(&part[0]);
    for (int i = 0; i < SPANS; i++)
        for (int a = 0; a < ARRAYS; a++) {
            rv_bits_add(&part[0], x[i][a], span_size[i]);
            rv_free(x[i][a]);
        }
}

Test(kernel_bits, updates) {
    const rv_kernels *k = rv_k();
    const struct {
        const char *name;
        rv_update_fn *fn;
    } updates[] = {{"sgd", k->sgd}, {"sgd_momentum", k->sgd_momentum}, {"adam", k->adam}, {"adadelta", k->adadelta}};
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++)
        rv_bits_expect_same(updates[i].name, update, &updates[i].fn);
    rv_bits_expect_regions_shared();
}

/* ---- the best of each row */

static void best(const void *what, rv_bits part[RV_BITS_PARTS]) {
    enum { ROWS = 19, V = 301, K = 5 };
    rv_real *x = numbers(ROWS * V, "rows"), lse[ROWS], value[ROWS * K], as_real[ROWS * K];
    int32_t id[ROWS * K];
    rv_bits_begin();
    rv_top_k(ROWS, V, x, K, lse, value, id);
    rv_bits_end(&part[0]);
    for (int i = 0; i < ROWS * K; i++) as_real[i] = (rv_real)id[i];
    rv_bits_add(&part[0], lse, ROWS);
    rv_bits_add(&part[0], value, ROWS * K);
    rv_bits_add(&part[0], as_real, ROWS * K);
    rv_free(x);
}

Test(kernel_bits, best_of_each_row) { rv_bits_expect_same("top_k", best, NULL); }

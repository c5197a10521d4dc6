/* Attention of a block of query rows; see attention.h for the plan. All operands are first copied to tiles of full
 * vectors, so that the products below need neither tails nor strides of the model's width. */
#include "kernels/attention.h"

#include <math.h>
#include <string.h>

#include "kernels/vmath_inline.h"

enum { KEYS = RV_ATTEND_KEYS, QUERIES = RV_ATTEND_QUERIES };

enum { GRAIN = RV_LANES < 4 ? 4 : RV_LANES };
static int64_t pad(int64_t n) { return (n + GRAIN - 1) / GRAIN * GRAIN; }

/* ---- products of tiles: c (m x n) = or += a b, each element a chain of multiply-adds in the order of k.
 * a(i, k) is a[i * ai + k * ak], so a transposed operand costs nothing; n and ldb, ldc are multiples of RV_LANES. */
typedef struct {
    int64_t m, n, k;
    const rv_real *a, *b;
    int64_t ai, ak, ldb, ldc;
    rv_real *c;
    bool add;
} product;

/* mr rows and nv vectors of c in registers; the constants unroll all loops but that over k. */
static inline __attribute__((always_inline)) void block(const product *p, const int mr, const int nv, int64_t i,
                                                        int64_t j) {
    vec acc[6][4];
    const rv_real *a = p->a + i * p->ai, *b = p->b + j;
    rv_real *c = p->c + i * p->ldc + j;
    RV_UNROLL(6)
    for (int r = 0; r < mr; r++) RV_UNROLL(4)
    for (int v = 0; v < nv; v++) acc[r][v] = p->add ? vec_load(c + r * p->ldc + v * RV_LANES) : (vec){0};
    for (int64_t k = 0; k < p->k; k++, a += p->ak, b += p->ldb) {
        vec bv[4];
        RV_UNROLL(4)
        for (int v = 0; v < nv; v++) bv[v] = vec_load(b + v * RV_LANES);
        RV_UNROLL(6)
        for (int r = 0; r < mr; r++) {
            vec s = vec_set(a[r * p->ai]);
            RV_UNROLL(4)
            for (int v = 0; v < nv; v++) acc[r][v] += s * bv[v];
        }
    }
    RV_UNROLL(6)
    for (int r = 0; r < mr; r++) RV_UNROLL(4)
    for (int v = 0; v < nv; v++) vec_store(c + r * p->ldc + v * RV_LANES, acc[r][v]);
}

#define STRIP(nv)                                                                                                      \
    static void strip##nv(const product *p, int64_t j) {                                                               \
        int64_t i = 0;                                                                                                 \
        for (; i + 6 <= p->m; i += 6) block(p, 6, nv, i, j);                                                           \
        if (i + 4 <= p->m) block(p, 4, nv, i, j), i += 4;                                                              \
        if (i + 2 <= p->m) block(p, 2, nv, i, j), i += 2;                                                              \
        if (i < p->m) block(p, 1, nv, i, j);                                                                           \
    }
STRIP(1)
STRIP(2)
#if RV_VBYTES == 64
STRIP(4) /* 32 registers hold 6 x 4 sums */
#endif

static void multiply(product p) {
    int64_t j = 0;
#if RV_VBYTES == 64
    for (; j + 4 * RV_LANES <= p.n; j += 4 * RV_LANES) strip4(&p, j);
#endif
    for (; j + 2 * RV_LANES <= p.n; j += 2 * RV_LANES) strip2(&p, j);
    if (j < p.n) strip1(&p, j);
}

/* ---- tiles */
/* rows x width, times scale, into rows of pad(width) filled up with zeros. */
static void load_rows(rv_real *restrict dst, const rv_real *restrict src, int64_t ld, int64_t rows, int64_t width,
                      rv_real scale) {
    int64_t wide = pad(width), whole = width / RV_LANES * RV_LANES;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t d = 0; d < whole; d += RV_LANES) vec_store(dst + i * wide + d, scale * vec_load(src + i * ld + d));
        for (int64_t d = whole; d < wide; d += RV_LANES)
            vec_store(dst + i * wide + d, d < width ? scale * vec_load_n(src + i * ld + d, width - d) : (vec){0});
    }
}

/* The tile's transpose: pad(width) x pad(rows), its rows behind `rows` being zeroed first. Squares of four. */
typedef rv_real quad __attribute__((vector_size(4 * sizeof(rv_real))));
typedef rv_real quad_u __attribute__((vector_size(4 * sizeof(rv_real)), aligned(sizeof(rv_real)), may_alias));
#define SHUFFLE __builtin_shufflevector

static void transpose(rv_real *restrict dst, rv_real *restrict src, int64_t rows, int64_t width) {
    int64_t wide = pad(width), across = pad(rows);
    memset(src + rows * wide, 0, (size_t)((across - rows) * wide) * sizeof *src);
    for (int64_t i = 0; i < across; i += 4)
        for (int64_t d = 0; d < wide; d += 4) {
            const rv_real *x = src + i * wide + d;
            quad a = *(const quad_u *)x, b = *(const quad_u *)(x + wide), c = *(const quad_u *)(x + 2 * wide),
                 e = *(const quad_u *)(x + 3 * wide);
            quad ab = SHUFFLE(a, b, 0, 4, 1, 5), AB = SHUFFLE(a, b, 2, 6, 3, 7), ce = SHUFFLE(c, e, 0, 4, 1, 5),
                 CE = SHUFFLE(c, e, 2, 6, 3, 7);
            rv_real *y = dst + d * across + i;
            *(quad_u *)y = SHUFFLE(ab, ce, 0, 1, 4, 5);
            *(quad_u *)(y + across) = SHUFFLE(ab, ce, 2, 3, 6, 7);
            *(quad_u *)(y + 2 * across) = SHUFFLE(AB, CE, 0, 1, 4, 5);
            *(quad_u *)(y + 3 * across) = SHUFFLE(AB, CE, 2, 3, 6, 7);
        }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Keys that row i's softmax sees. */
static int64_t sees(const rv_attend *a, int64_t i) {
    return a->causal && !a->late ? least(most(a->first + i, 0), a->keys) : a->keys;
}

/* Which keys of a tile, n from key s0, are seen by which columns: column i sees ends[i], and the CHUNK columns from c
 * together limits[c / CHUNK], rounded up to whole chunks of keys; what lies beyond is neither computed nor read. Later
 * columns see more. */
enum { CHUNK = 16 };
typedef struct {
    int64_t n, rows, across;
    int64_t ends[QUERIES], limits[QUERIES / CHUNK];
} seen;

static void find_seen(const rv_attend *a, int64_t s0, int64_t n, seen *t) {
    t->n = n, t->rows = a->rows, t->across = pad(a->rows);
    for (int64_t i = 0; i < t->across; i++) t->ends[i] = most(least(sees(a, least(i, t->rows - 1)) - s0, n), 0);
    for (int64_t c = 0; c < t->across; c += CHUNK) {
        int64_t end = t->ends[least(c + CHUNK, t->across) - 1];
        t->limits[c / CHUNK] = least((end + CHUNK - 1) / CHUNK * CHUNK, n);
    }
}

/* The first column, in whole chunks, that sees key s or a later one. */
static int64_t first_column(const seen *t, int64_t s) {
    int64_t c = 0;
    while (c < t->across && t->limits[c / CHUNK] <= s) c += CHUNK;
    return least(c, t->across);
}

/* c (keys x queries) = a b */
static void multiply_scores(product p, const seen *t) {
    if (t->limits[0] == t->n) {
        multiply(p);
        return;
    }
    for (int64_t s = 0; s < t->n; s += CHUNK) {
        int64_t c = first_column(t, s);
        product part = p;
        part.m = least(CHUNK, t->n - s), part.n = t->across - c;
        part.a += s * p.ai, part.b += c, part.c += s * p.ldc + c;
        multiply(part);
    }
}

/* c (queries x width), a sum over the keys */
static void multiply_by_query(product p, const seen *t) {
    if (t->limits[0] == t->n) {
        multiply(p);
        return;
    }
    for (int64_t c = 0; c < t->rows; c += CHUNK) {
        product part = p;
        part.m = least(CHUNK, t->rows - c), part.k = t->limits[c / CHUNK];
        part.a += c * p.ai, part.c += c * p.ldc;
        multiply(part);
    }
}

/* c (keys x width), a sum over the queries */
static void multiply_by_key(product p, const seen *t) {
    if (t->limits[0] == t->n) {
        multiply(p);
        return;
    }
    for (int64_t s = 0; s < t->n; s += CHUNK) {
        int64_t c = least(first_column(t, s), t->rows);
        product part = p;
        part.m = least(CHUNK, t->n - s), part.k = t->rows - c;
        part.a += s * p.ai + c * p.ak, part.b += c * p.ldb, part.c += s * p.ldc;
        multiply(part);
    }
}

/* Scores of keys that a column does not see. */
static void mask(rv_real *score, const seen *t) {
    for (int64_t c = 0; c < t->across; c += CHUNK) {
        int64_t last = least(c + CHUNK, t->across);
        for (int64_t s = t->ends[c]; s < t->limits[c / CHUNK]; s++)
            for (int64_t i = c; i < last && t->ends[i] <= s; i++) score[s * t->across + i] = -(rv_real)INFINITY;
    }
}

/* Philox4x32-10 [Salmon 2011], the numbers of rv_rng_block at `count` counters (step, index[i]); loops over i are
 * innermost so that they become vectors. */
static void philox(rv_rng_key key, uint64_t step, const uint64_t *index, uint32_t r[4][QUERIES], int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        r[0][i] = (uint32_t)index[i];
        r[1][i] = (uint32_t)(index[i] >> 32);
        r[2][i] = (uint32_t)step;
        r[3][i] = (uint32_t)(step >> 32);
    }
    uint32_t k0 = key.k[0], k1 = key.k[1];
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        for (int64_t i = 0; i < count; i++) {
            uint64_t m0 = 0xD2511F53ull * r[0][i], m1 = 0xCD9E8D57ull * r[2][i];
            uint32_t a = (uint32_t)(m1 >> 32) ^ r[1][i] ^ k0, b = (uint32_t)(m0 >> 32) ^ r[3][i] ^ k1;
            r[1][i] = (uint32_t)m1;
            r[3][i] = (uint32_t)m0;
            r[0][i] = a;
            r[2][i] = b;
        }
}

/* What dropout multiplies the weights of keys [s0, s0 + n) by: 0 or 1 / (1 - drop). */
static void dropout_tile(const rv_attend *a, rv_real *keep, int64_t s0, int64_t n) {
    int64_t across = pad(a->rows);
    rv_real factor = (rv_real)(1 / (1 - a->drop));
    uint32_t below = (uint32_t)(a->drop * 0x1p32), r[4][QUERIES];
    uint64_t index[QUERIES];
    for (int64_t s = 0; s < n; s += 4) {
        for (int64_t i = 0; i < across; i++) index[i] = (a->index + (uint64_t)i) * a->stride + (uint64_t)(s0 + s) / 4;
        philox(a->rng, a->step, index, r, across);
        for (int64_t j = 0; j < least(4, n - s); j++)
            for (int64_t i = 0; i < across; i++) keep[(s + j) * across + i] = r[j][i] < below ? 0 : factor;
    }
}

/* What the weights of keys [s0, s0 + n) are multiplied by after the softmax: dropout's factors, and 0 under a late
 * mask. */
static bool has_factors(const rv_attend *a) { return a->drop > 0 || (a->causal && a->late); }

static void factor_tile(const rv_attend *a, rv_real *keep, int64_t s0, int64_t n) {
    int64_t across = pad(a->rows);
    if (a->drop > 0)
        dropout_tile(a, keep, s0, n);
    else
        for (int64_t e = 0; e < n * across; e++) keep[e] = 1;
    for (int64_t s = 0; a->causal && a->late && s < n; s++)
        for (int64_t i = 0; i < across && s0 + s >= a->first + i; i++) keep[s * across + i] = 0;
}

/* ---- forward */
/* One vector of columns: scores become weights exp(score - max), max and sum go on; returns what the earlier sums
 * have to be multiplied by. */
static vec soften(rv_real *tile, int64_t n, int64_t across, rv_real *max, rv_real *sum) {
    vec m = vec_load(max), total = {0};
    for (int64_t s = 0; s < n; s++) m = vec_max(m, vec_load(tile + s * across));
    vec shift =
        vec_select(m == -(rv_real)INFINITY, (vec){0}, m); /* nothing seen yet: exp(-inf - 0) is the 0 that is wanted */
    vec alpha = vec_exp(vec_load(max) - shift);
    for (int64_t s = 0; s < n; s++) {
        vec p = vec_exp(vec_load(tile + s * across) - shift);
        vec_store(tile + s * across, p);
        total += p;
    }
    vec_store(max, m);
    vec_store(sum, vec_load(sum) * alpha + total);
    return alpha;
}

void RV_KERNEL_FN(attend)(const rv_attend *a) {
    int64_t wide = pad(a->width), across = pad(a->rows), size = rv_attend_tile(a->width), last = sees(a, a->rows - 1);
    rv_real *q = a->scratch, *qt = q + size, *k = qt + size, *v = k + size, *score = v + size, *keep = score + size,
            *sums = keep + size;
    rv_real max[QUERIES], sum[QUERIES] = {0}, alpha[QUERIES];
    for (int i = 0; i < QUERIES; i++) max[i] = -(rv_real)INFINITY;
    load_rows(q, a->q, a->ldq, a->rows, a->width, (rv_real)a->scale);
    transpose(qt, q, a->rows, a->width);
    for (int64_t s0 = 0; s0 < last; s0 += KEYS) {
        int64_t n = least(KEYS, last - s0);
        seen t;
        find_seen(a, s0, n, &t);
        load_rows(k, a->k + s0 * a->ldk, a->ldk, n, a->width, 1);
        load_rows(v, a->v + s0 * a->ldv, a->ldv, n, a->width, 1);
        multiply_scores((product){.n = across,
                                  .m = n,
                                  .k = a->width,
                                  .a = k,
                                  .ai = wide,
                                  .ak = 1,
                                  .b = qt,
                                  .ldb = across,
                                  .c = score,
                                  .ldc = across},
                        &t);
        mask(score, &t);
        for (int64_t i = 0; i < across; i += RV_LANES)
            vec_store(alpha + i, soften(score + i, t.limits[i / CHUNK], across, max + i, sum + i));
        if (s0)
            for (int64_t i = 0; i < a->rows; i++)
                for (int64_t d = 0; d < wide; d += RV_LANES)
                    vec_store(sums + i * wide + d, alpha[i] * vec_load(sums + i * wide + d));
        if (has_factors(a)) {
            factor_tile(a, keep, s0, n);
            for (int64_t e = 0; e < n * across; e += RV_LANES)
                vec_store(score + e, vec_load(score + e) * vec_load(keep + e));
        }
        multiply_by_query((product){.m = a->rows,
                                    .n = wide,
                                    .k = n,
                                    .a = score,
                                    .ai = 1,
                                    .ak = across,
                                    .b = v,
                                    .ldb = wide,
                                    .c = sums,
                                    .ldc = wide,
                                    .add = s0 > 0},
                          &t);
    }
    for (int64_t i = 0; i < a->rows; i++) {
        bool any = sum[i] != 0;
        rv_real inv = any ? 1 / sum[i] : 0;
        for (int64_t d = 0; d < a->width; d++) a->y[i * a->ldy + d] = any ? sums[i * wide + d] * inv : 0;
        if (a->max) a->max[i] = any ? max[i] : 0, a->inv[i] = inv;
    }
}

/* ---- backward */
/* d score = weight * (d weight - sum of dy out) [Dao 2022, eq. 4]; one vector of columns. */
static void harden(rv_real *score, rv_real *grad, const rv_real *keep, int64_t n, int64_t across, vec max, vec inv,
                   vec delta) {
    for (int64_t s = 0; s < n; s++) {
        vec p = vec_exp(vec_load(score + s * across) - max) * inv, g = vec_load(grad + s * across);
        if (keep) {
            vec f = vec_load(keep + s * across);
            vec_store(score + s * across, p * f);
            g *= f;
        } else {
            vec_store(score + s * across, p);
        }
        vec_store(grad + s * across, p * (g - delta));
    }
}

/* dst (rows x width, ld) += scale * tile */
static void add_rows(rv_real *restrict dst, int64_t ld, const rv_real *restrict tile, int64_t rows, int64_t width,
                     rv_real scale) {
    int64_t wide = pad(width);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t d = 0; d < width; d++) dst[i * ld + d] += scale * tile[i * wide + d];
}

void RV_KERNEL_FN(attend_backward)(const rv_attend *a) {
    int64_t wide = pad(a->width), across = pad(a->rows), size = rv_attend_tile(a->width), last = sees(a, a->rows - 1);
    rv_real *q = a->scratch, *qt = q + size, *dy = qt + size, *dyt = dy + size, *k = dyt + size, *v = k + size,
            *score = v + size, *grad = score + size, *dq = grad + size, *temp = dq + size,
            *keep = has_factors(a) ? temp + size : NULL;
    rv_real max[QUERIES] = {0}, inv[QUERIES] = {0}, delta[QUERIES] = {0};
    load_rows(q, a->q, a->ldq, a->rows, a->width, (rv_real)a->scale);
    load_rows(dy, a->dy, a->ldy, a->rows, a->width, 1);
    load_rows(temp, a->out, a->ldy, a->rows, a->width, 1);
    transpose(qt, q, a->rows, a->width);
    transpose(dyt, dy, a->rows, a->width);
    for (int64_t i = 0; i < a->rows; i++) {
        vec dot = {0};
        for (int64_t d = 0; d < wide; d += RV_LANES) dot += vec_load(dy + i * wide + d) * vec_load(temp + i * wide + d);
        delta[i] = vec_hsum(dot);
        max[i] = a->max[i];
        inv[i] = a->inv[i];
    }
    for (int64_t s0 = 0; s0 < last; s0 += KEYS) {
        int64_t n = least(KEYS, last - s0);
        seen t;
        find_seen(a, s0, n, &t);
        load_rows(k, a->k + s0 * a->ldk, a->ldk, n, a->width, 1);
        load_rows(v, a->v + s0 * a->ldv, a->ldv, n, a->width, 1);
        product scores = {.m = n,
                          .n = across,
                          .k = a->width,
                          .a = k,
                          .ai = wide,
                          .ak = 1,
                          .b = qt,
                          .ldb = across,
                          .c = score,
                          .ldc = across};
        multiply_scores(scores, &t);
        scores.a = v, scores.b = dyt, scores.c = grad;
        multiply_scores(scores, &t);
        mask(score, &t);
        if (keep) factor_tile(a, keep, s0, n);
        for (int64_t i = 0; i < across; i += RV_LANES)
            harden(score + i, grad + i, keep ? keep + i : NULL, t.limits[i / CHUNK], across, vec_load(max + i),
                   vec_load(inv + i), vec_load(delta + i));
        product keyed = {.m = n, .n = wide, .k = a->rows, .ai = across, .ak = 1, .ldb = wide, .c = temp, .ldc = wide};
        if (a->dv) {
            keyed.a = score, keyed.b = dy;
            multiply_by_key(keyed, &t);
            add_rows(a->dv + s0 * a->ldv, a->ldv, temp, n, a->width, 1);
        }
        if (a->dk) {
            keyed.a = grad, keyed.b = q;
            multiply_by_key(keyed, &t);
            add_rows(a->dk + s0 * a->ldk, a->ldk, temp, n, a->width, 1);
        }
        if (a->dq)
            multiply_by_query((product){.m = a->rows,
                                        .n = wide,
                                        .k = n,
                                        .a = grad,
                                        .ai = 1,
                                        .ak = across,
                                        .b = k,
                                        .ldb = wide,
                                        .c = dq,
                                        .ldc = wide,
                                        .add = s0 > 0},
                              &t);
    }
    if (a->dq && last > 0) add_rows(a->dq, a->ldq, dq, a->rows, a->width, (rv_real)a->scale);
}

/* Attention of one step of decoding: few queries that see the same keys (the rows of a beam), or one alone. Keys, not
 * queries, lie across a vector. Every element goes through the arithmetic of attend (attention.c) in the same order, so
 * the bits are those of the full pass. */
#include "kernels/attention.h"

#include <string.h>

#include "kernels/rows_inline.h"

enum { KEYS = RV_ATTEND_KEYS, QUERIES = RV_ATTEND_QUERIES, WIDE = 4, LINE = 64 / sizeof(rv_real) };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static int64_t row_of(const rv_attend *a, int64_t s) { return a->place ? a->place[s] : s; }

typedef rv_real quad __attribute__((vector_size(4 * sizeof(rv_real))));
typedef rv_real quad_u __attribute__((vector_size(4 * sizeof(rv_real)), aligned(sizeof(rv_real)), may_alias));
#define SHUFFLE __builtin_shufflevector

/* The next head's part of a row, whose turn is next. Of many keys it would not fit the first-level cache. */
static void fetch_next_head(const rv_real *key, const rv_real *value, int64_t width, bool few) {
    for (int64_t d = width; d < 2 * width; d += LINE) {
        if (few) {
            __builtin_prefetch(key + d);
            __builtin_prefetch(value + d);
        } else {
            __builtin_prefetch(key + d, 0, 2);
            __builtin_prefetch(value + d, 0, 2);
        }
    }
}

/* Four keys of `width` elements become columns of kt, whose rows are KEYS long. */
static void turn_keys(const rv_real *const key[4], int64_t width, rv_real *kt) {
    int64_t d = 0;
    for (; d + 4 <= width; d += 4) {
        quad a = *(const quad_u *)(key[0] + d), b = *(const quad_u *)(key[1] + d), c = *(const quad_u *)(key[2] + d),
             e = *(const quad_u *)(key[3] + d);
        quad ab = SHUFFLE(a, b, 0, 4, 1, 5), AB = SHUFFLE(a, b, 2, 6, 3, 7), ce = SHUFFLE(c, e, 0, 4, 1, 5),
             CE = SHUFFLE(c, e, 2, 6, 3, 7);
        *(quad_u *)(kt + d * KEYS) = SHUFFLE(ab, ce, 0, 1, 4, 5);
        *(quad_u *)(kt + (d + 1) * KEYS) = SHUFFLE(ab, ce, 2, 3, 6, 7);
        *(quad_u *)(kt + (d + 2) * KEYS) = SHUFFLE(AB, CE, 0, 1, 4, 5);
        *(quad_u *)(kt + (d + 3) * KEYS) = SHUFFLE(AB, CE, 2, 3, 6, 7);
    }
    for (; d < width; d++)
        for (int i = 0; i < 4; i++) kt[d * KEYS + i] = key[i][d];
}

/* Scores of nv vectors of keys. */
static inline __attribute__((always_inline)) void score(const int nv, int64_t width, const rv_real *q,
                                                        const rv_real *kt, rv_real *w) {
    vec sum[WIDE] = {{0}};
    for (int64_t d = 0; d < width; d++, kt += KEYS) {
        vec s = vec_set(q[d]);
        RV_UNROLL(4)
        for (int v = 0; v < nv; v++) sum[v] += s * vec_load(kt + v * RV_LANES);
    }
    RV_UNROLL(4)
    for (int v = 0; v < nv; v++) vec_store(w + v * RV_LANES, sum[v]);
}

/* nv vectors of y = or += sum over the keys of w_s v_s; the last holds `last` elements. */
static inline __attribute__((always_inline)) void gather(const int nv, int64_t n, const rv_real *w,
                                                         const rv_real *const *value, int64_t d, int64_t last,
                                                         rv_real *y, bool add) {
    vec sum[WIDE];
    RV_UNROLL(4)
    for (int v = 0; v < nv; v++) sum[v] = add ? vec_load(y + v * RV_LANES) : (vec){0};
    for (int64_t s = 0; s < n; s++) {
        const rv_real *x = value[s] + d;
        vec p = vec_set(w[s]);
        RV_UNROLL(4)
        for (int v = 0; v < nv; v++)
            sum[v] += p * (v < nv - 1 ? vec_load(x + v * RV_LANES) : row_get(x + v * RV_LANES, last, 0));
    }
    RV_UNROLL(4)
    for (int v = 0; v < nv; v++) vec_store(y + v * RV_LANES, sum[v]);
}

/* n scores become weights exp(score - max); max and sum go on; returns what the earlier sums, if there are any, have to
 * be multiplied by. */
static rv_real soften(rv_real *w, int64_t n, bool first, rv_real *max, rv_real *sum) {
    rv_real m = row_max(n, w), total = 0;
    if (*max > m) m = *max;
    const rv_real shift = m == -(rv_real)INFINITY ? 0 : m, alpha = first ? 0 : vec_exp(vec_set(*max - shift))[0];
    for (int64_t s = 0; s < n; s += RV_LANES) vec_store(w + s, vec_exp(vec_load(w + s) - shift));
    for (int64_t s = 0; s < n; s++) total += w[s];
    *max = m;
    *sum = *sum * alpha + total;
    return alpha;
}

void RV_KERNEL_FN(attend_step)(const rv_attend *a) {
    const int64_t wide = up(a->width, RV_LANES);
    rv_real *kt = a->scratch, *q = kt + wide * KEYS, *w = q + wide, *sums = w + KEYS;
    rv_real max[QUERIES], sum[QUERIES] = {0};
    const rv_real *value[KEYS];
    for (int64_t i = 0; i < a->rows; i++) max[i] = -(rv_real)INFINITY;
    for (int64_t s0 = 0; s0 < a->keys; s0 += KEYS) {
        const int64_t n = least(KEYS, a->keys - s0), across = up(n, RV_LANES);
        for (int64_t s = 0; s < n; s += 4) {
            const rv_real *key[4];
            for (int64_t i = 0; i < 4; i++) {
                const int64_t at = least(s + i, n - 1),
                              row = row_of(a, s0 + at); /* behind the last key, that one again */
                key[i] = a->k + row * a->ldk;
                value[at] = a->v + row * a->ldv;
                fetch_next_head(key[i], value[at], a->width, a->keys <= KEYS);
            }
            turn_keys(key, a->width, kt + s);
        }
        for (int64_t i = 0; i < a->rows; i++) {
            rv_real *y = sums + i * wide;
            for (int64_t d = 0; d < a->width; d += RV_LANES)
                vec_store(q + d, (rv_real)a->scale * row_get(a->q + i * a->ldq + d, a->width - d, 0));
            for (int64_t s = 0; s < across; s += WIDE * RV_LANES)
                switch ((across - s) / RV_LANES) { /* chains side by side */
                case 1: score(1, a->width, q, kt + s, w + s); break;
                case 2: score(2, a->width, q, kt + s, w + s); break;
                case 3: score(3, a->width, q, kt + s, w + s); break;
                default: score(WIDE, a->width, q, kt + s, w + s);
                }
            const rv_real alpha = soften(w, n, s0 == 0, max + i, sum + i);
            for (int64_t d = 0; s0 && d < wide; d += RV_LANES) vec_store(y + d, alpha * vec_load(y + d));
            int64_t d = 0;
            for (; d + WIDE * RV_LANES <= a->width; d += WIDE * RV_LANES)
                gather(WIDE, n, w, value, d, RV_LANES, y + d, s0 > 0);
            for (; d < a->width; d += RV_LANES) gather(1, n, w, value, d, a->width - d, y + d, s0 > 0);
        }
    }
    for (int64_t i = 0; i < a->rows; i++) {
        const bool any = sum[i] != 0;
        const rv_real inv = any ? 1 / sum[i] : 0;
        for (int64_t d = 0; d < a->width; d++) a->y[i * a->ldy + d] = any ? sums[i * wide + d] * inv : 0;
    }
}

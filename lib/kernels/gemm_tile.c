/* The register tile of the matrix product, its epilogue, and the packing of panels. */
#include "kernels/gemm_block.h"
#include "kernels/vmath_inline.h"

enum {
    MR = RV_TILE_ROWS,
    NR = 2 * RV_LANES,
    TILE_ROWS = (MR + RV_LANES - 1) / RV_LANES * RV_LANES /* whole squares to transpose */,
    LINE = 64 / sizeof(rv_real) /* elements of a cache line */
};
#define INLINE static inline __attribute__((always_inline))
#define UNROLL RV_UNROLL(16)

/* ---- lanes <-> rows */

/* Exchanging off-diagonal blocks of side s between rows i and i + s. */
#define LOW(l, s) ((l) & (s) ? RV_LANES + (l) - (s) : (l))
#define HIGH(l, s) ((l) & (s) ? RV_LANES + (l) : (l) + (s))
#ifdef RV_DOUBLE
#define LANES (RV_VBYTES / 8)
#else
#define LANES (RV_VBYTES / 4)
#endif
#if LANES == 16
#define EACH(X, s)                                                                                                     \
    X(0, s), X(1, s), X(2, s), X(3, s), X(4, s), X(5, s), X(6, s), X(7, s), X(8, s), X(9, s), X(10, s), X(11, s),      \
        X(12, s), X(13, s), X(14, s), X(15, s)
#elif LANES == 8
#define EACH(X, s) X(0, s), X(1, s), X(2, s), X(3, s), X(4, s), X(5, s), X(6, s), X(7, s)
#elif LANES == 4
#define EACH(X, s) X(0, s), X(1, s), X(2, s), X(3, s)
#else
#define EACH(X, s) X(0, s), X(1, s)
#endif
#define EXCHANGE(s)                                                                                                    \
    UNROLL for (int i = 0; i < RV_LANES; i++) {                                                                        \
        if (i & s) continue;                                                                                           \
        vec a = t[i], b = t[i + s];                                                                                    \
        t[i] = __builtin_shufflevector(a, b, EACH(LOW, s));                                                            \
        t[i + s] = __builtin_shufflevector(a, b, EACH(HIGH, s));                                                       \
    }

/* m rows of n (at most a square) of x, x_ld apart, transposed to n rows of y, `width` of each with zeros beyond m. The
 * rows of y are written in order and may overlap. */
INLINE void turn_(const bool full, int64_t m, int64_t n, const rv_real *x, int64_t x_ld, rv_real *y, int64_t y_ld,
                  int64_t width) {
    vec t[RV_LANES];
    UNROLL for (int i = 0; i < RV_LANES; i++, x += x_ld) t[i] = full    ? vec_load(x)
                                                                : i < m ? vec_load_n(x, n)
                                                                        : vec_set(0);
    EXCHANGE(1)
#if LANES > 2
    EXCHANGE(2)
#endif
#if LANES > 4
    EXCHANGE(4)
#endif
#if LANES > 8
    EXCHANGE(8)
#endif
    UNROLL for (int i = 0; i < RV_LANES; i++, y += y_ld) {
        if (full || (i < n && width == RV_LANES))
            vec_store(y, t[i]);
        else if (i < n)
            vec_store_n(y, width, t[i]);
    }
}
static __attribute__((noinline)) void turn_square(const rv_real *x, int64_t x_ld, rv_real *y, int64_t y_ld) {
    turn_(true, RV_LANES, RV_LANES, x, x_ld, y, y_ld, RV_LANES);
}
static __attribute__((noinline)) void turn_part(int64_t m, int64_t n, const rv_real *x, int64_t x_ld, rv_real *y,
                                                int64_t y_ld, int64_t width) {
    turn_(false, m, n, x, x_ld, y, y_ld, width);
}
static void turn(int64_t m, int64_t n, const rv_real *x, int64_t x_ld, rv_real *y, int64_t y_ld, int64_t width) {
    if (m == RV_LANES && n == RV_LANES && width == RV_LANES)
        turn_square(x, x_ld, y, y_ld);
    else
        turn_part(m, n, x, x_ld, y, y_ld, width);
}

/* ---- the epilogue */

static vec activate(rv_act act, vec x) {
    switch (act) {
    case RV_ACT_RELU: return vec_max(x, vec_set(0));
    case RV_ACT_TANH: return vec_tanh(x);
    case RV_ACT_SIGMOID: return vec_sigmoid(x);
    case RV_ACT_GELU: return x * (rv_real)0.5 * (1 + vec_erf(x * (rv_real)0.7071067811865476));
    case RV_ACT_GELU_TANH:
        return x * (rv_real)0.5 * (1 + vec_tanh((rv_real)0.7978845608028654 * (x + (rv_real)0.044715 * (x * x * x))));
    default: return x;
    }
}

/* pre and act on m x n of C at the offset, which is still in the nearest cache. Not inlined: one compilation's bits. */
static __attribute__((noinline)) void finish(const rv__gemm_block *b, int64_t m, int64_t n, int64_t offset) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j += RV_LANES) {
            const int64_t count = n - j < RV_LANES ? n - j : RV_LANES, at = offset + i * b->ldc + j;
            vec x = vec_load_n(b->c + at, count);
            if (b->pre) vec_store_n(b->pre + at, count, x);
            if (b->act != RV_ACT_NONE) vec_store_n(b->c + at, count, activate(b->act, x));
        }
}

/* One vector of sums into C: alpha sum + (what is in C, or else the bias), and then the bias if it is still to be
 * added. x + -0 is x, even for -0. */
INLINE void put(const rv__gemm_block *b, const bool full, rv_real *c, int64_t count, vec sum, const rv_real *bias) {
    const vec none = vec_set((rv_real)-0.0);
    const vec add = !bias ? none : full ? vec_load(bias) : vec_load_n(bias, count);
    vec x = vec_scale_add(b->alpha, sum, !b->add ? add : full ? vec_load(c) : vec_load_n(c, count));
    if (b->add) x += add;
    if (full)
        vec_store(c, x);
    else
        vec_store_n(c, count, x);
}

static void put_transposed(const rv__gemm_block *b, int64_t m, const rv_real *sum, rv_real *c, const rv_real *bias) {
    rv_real turned[NR * TILE_ROWS] __attribute__((aligned(64)));
    for (int64_t i = 0; i < m; i += RV_LANES)
        for (int64_t j = 0; j < b->n; j += RV_LANES)
            turn_square(sum + i * NR + j, NR, turned + j * TILE_ROWS + i, TILE_ROWS);
    for (int64_t j = 0; j < b->n; j++)
        for (int64_t i = 0; i < m; i += RV_LANES) /* the junk beyond row m is not read */
            put(b, false, c + j * b->ldc + i, m - i < RV_LANES ? m - i : RV_LANES, vec_load(turned + j * TILE_ROWS + i),
                bias ? bias + i : NULL);
}

/* ---- the tile */

/* Masked loads cost no more than others: V need not be packed for its edge. */
#if RV_VBYTES == 64 && !defined(RV_DOUBLE)
#define LAST(p, n) vec_load_n(p, n)
#else
#define LAST(p, n) vec_load(p)
#endif

/* mr x (nv vectors) of C at c. by_row: the elements of a row of S are neighbours, and s_step is from row to row;
 * otherwise those of a column are, and s_step is from column to column. */
INLINE void tile(const int mr, const int nv, const bool by_row, const rv__gemm_block *b, const rv_real *s,
                 int64_t s_step, rv_real *c, const rv_real *bias, const rv_real *ahead) {
    const int64_t v_row = b->v_row, n_last = b->n - (nv - 1) * RV_LANES, depth = b->k;
    const rv_real *v = b->v;
    const int64_t far =
        ahead && NR > LINE && b->m <= MR ? depth * LINE : 0; /* of the one tile, which fetches both halves */
    /* One line is fetched in each step of k: of the next panel of V, or else of this tile's rows, each in turn. */
    const bool rows_ahead = by_row && !ahead;
    const int64_t ahead_step = ahead ? LINE : by_row ? s_step + 1 : 0, turn_back = rows_ahead ? LINE * s_step : 0;
    if (!ahead) ahead = by_row ? s + 2 * LINE : v;
    if (b->c_trans) /* C is fetched while the sums are made */
        for (int64_t j = 0; j < b->n; j++) __builtin_prefetch(c + j * b->ldc, 1, 3);
    else
        UNROLL for (int i = 0; i < mr; i++) {
            __builtin_prefetch(c + i * b->ldc, 1, 3);
            if (nv == 2) __builtin_prefetch(c + i * b->ldc + RV_LANES, 1, 3);
        }
    vec acc[MR][2];
    UNROLL for (int i = 0; i < mr; i++) acc[i][0] = acc[i][1] = vec_set(0);
    const rv_real *row[(MR + 2) / 3]; /* every third row; the others are addressed from it */
    UNROLL for (int g = 0; 3 * g < mr; g++) row[g] = s + 3 * g * s_step;
    for (int64_t p = 0; p < depth; p++, v += v_row, ahead += ahead_step) {
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(ahead + far, 0, 2);
        vec v0 = nv == 2 ? vec_load(v) : LAST(v, n_last), v1 = nv == 2 ? LAST(v + RV_LANES, n_last) : v0;
        UNROLL for (int i = 0; i < mr; i++) {
            vec a = vec_set(by_row ? row[i / 3][i % 3 * s_step] : s[i]);
            acc[i][0] += a * v0;
            RV_NOW(acc[i][0]);
            if (nv == 2) {
                acc[i][1] += a * v1;
                RV_NOW(acc[i][1]);
            }
        }
        if (by_row) {
            UNROLL for (int g = 0; 3 * g < mr; g++) row[g]++;
            if (p % LINE == LINE - 1) ahead -= turn_back;
        } else
            s += s_step;
    }
    if (b->c_trans) {
        rv_real sum[TILE_ROWS * NR] __attribute__((aligned(64)));
        UNROLL for (int i = 0; i < mr; i++) {
            vec_store(sum + i * NR, acc[i][0]);
            if (nv == 2) vec_store(sum + i * NR + RV_LANES, acc[i][1]);
        }
        put_transposed(b, mr, sum, c, bias);
        return;
    }
    /* Masked stores are slow on some CPUs: whole vectors where they fit. */
    if (n_last == RV_LANES) {
        UNROLL for (int i = 0; i < mr; i++, c += b->ldc) {
            put(b, true, c, RV_LANES, acc[i][0], bias);
            if (nv == 2) put(b, true, c + RV_LANES, RV_LANES, acc[i][1], bias ? bias + RV_LANES : NULL);
        }
        return;
    }
    UNROLL for (int i = 0; i < mr; i++, c += b->ldc) {
        put(b, nv == 2, c, nv == 2 ? RV_LANES : n_last, acc[i][0], bias);
        if (nv == 2) put(b, false, c + RV_LANES, n_last, acc[i][1], bias ? bias + RV_LANES : NULL);
    }
}

typedef void tile_fn(const rv__gemm_block *b, const rv_real *s, int64_t s_step, rv_real *c, const rv_real *bias,
                     const rv_real *ahead);
#define TILE(mr, nv)                                                                                                   \
    static void by_row_##mr##_##nv(const rv__gemm_block *b, const rv_real *s, int64_t s_step, rv_real *c,              \
                                   const rv_real *bias, const rv_real *ahead) {                                        \
        tile(mr, nv, true, b, s, s_step, c, bias, ahead);                                                              \
    }                                                                                                                  \
    static void by_column_##mr##_##nv(const rv__gemm_block *b, const rv_real *s, int64_t s_step, rv_real *c,           \
                                      const rv_real *bias, const rv_real *ahead) {                                     \
        tile(mr, nv, false, b, s, s_step, c, bias, ahead);                                                             \
    }
#if RV_TILE_ROWS == 14
#define ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif RV_TILE_ROWS == 6
#define ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define ROWS(X) X(1) X(2) X(3) X(4)
#endif
#define TILES(mr) TILE(mr, 1) TILE(mr, 2)
ROWS(TILES)
#define NAMES(mr) {{by_column_##mr##_1, by_column_##mr##_2}, {by_row_##mr##_1, by_row_##mr##_2}},
static tile_fn *const tiles[MR][2][2] = {ROWS(NAMES)};

void RV_KERNEL_FN(gemm_block)(const rv__gemm_block *b) {
    const int nv = b->n > RV_LANES ? 2 : 1;
    const bool by_row = b->s_col == 1;
    const int64_t count = (b->m + MR - 1) / MR;
    for (int64_t t = 0, i = 0, mr; t < count; t++, i += mr) {
        mr = b->m / count + (t < b->m % count); /* equal heights: a low tile leaves the multipliers idle */
        const rv_real *s = b->s + i * b->s_row;
        const int64_t step = by_row ? b->s_row : b->s_col, offset = b->c_trans ? i : i * b->ldc;
        /* The first tiles fetch the next panel, a line for each step of k. */
        const rv_real *ahead = b->ahead && t * LINE < NR ? b->ahead + t * b->k * LINE : NULL;
        tiles[mr - 1][by_row][nv - 1](b, s, step, b->c + offset, b->bias && b->c_trans ? b->bias + i : b->bias, ahead);
        if (b->pre || b->act != RV_ACT_NONE) finish(b, b->c_trans ? b->n : mr, b->c_trans ? mr : b->n, offset);
    }
}

/* ---- packing */

/* One panel of V: n (at most NR) columns, k deep; element (p, j) is x[p * ld + j], or x[j * ld + p] if trans; to
 * dst[p * NR + j], filled up with zeros. */
void RV_KERNEL_FN(gemm_pack_v)(bool trans, int64_t n, int64_t k, const rv_real *x, int64_t ld, rv_real *dst) {
    if (!trans) {
        if (n == NR)
            for (int64_t p = 0; p < k; p++) {
                vec_store(dst + p * NR, vec_load(x + p * ld));
                vec_store(dst + p * NR + RV_LANES, vec_load(x + p * ld + RV_LANES));
            }
        else
            for (int64_t p = 0; p < k; p++)
                for (int j = 0; j < NR; j += RV_LANES) {
                    int64_t left = n - j;
                    vec_store(dst + p * NR + j, left >= RV_LANES ? vec_load(x + p * ld + j)
                                                : left > 0       ? vec_load_n(x + p * ld + j, left)
                                                                 : vec_set(0));
                }
        return;
    }
    for (int64_t p = 0; p < k; p += RV_LANES)
        for (int j = 0; j < NR; j += RV_LANES) {
            const int64_t deep = k - p < RV_LANES ? k - p : RV_LANES, columns = n - j < RV_LANES ? n - j : RV_LANES;
            turn(columns, deep, x + j * ld + p, ld, dst + p * NR + j, NR, RV_LANES);
        }
}

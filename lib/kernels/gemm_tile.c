/* The register tile of the matrix product, its epilogue, and the packing of panels. */
#include "kernels/gemm_block.h"
#include "kernels/vmath_inline.h"

enum { MR = RV_TILE_ROWS, NR = 2 * RV_LANES, TILE_ROWS = (MR + RV_LANES - 1) / RV_LANES * RV_LANES /* whole squares to transpose */ };
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* ---- lanes <-> rows */

INLINE vec shuffle(vec a, vec b, vec_i from) {
#ifdef __clang__
    vec r;
    for (int l = 0; l < RV_LANES; l++) r[l] = from[l] < RV_LANES ? a[from[l]] : b[from[l] - RV_LANES];
    return r;
#else
    return __builtin_shuffle(a, b, from);
#endif
}

/* Exchanging off-diagonal blocks of side s between rows i and i + s. */
#define LOW(l, s) ((l) & (s) ? RV_LANES + (l) - (s) : (l))
#define HIGH(l, s) ((l) & (s) ? RV_LANES + (l) : (l) + (s))
#ifdef RV_DOUBLE
#define LANES (RV_VBYTES / 8)
#else
#define LANES (RV_VBYTES / 4)
#endif
#if LANES == 16
#define EACH(X, s) X(0, s), X(1, s), X(2, s), X(3, s), X(4, s), X(5, s), X(6, s), X(7, s), X(8, s), X(9, s), X(10, s), X(11, s), X(12, s), \
                   X(13, s), X(14, s), X(15, s)
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
        t[i] = shuffle(a, b, (vec_i){EACH(LOW, s)});                                                                   \
        t[i + s] = shuffle(a, b, (vec_i){EACH(HIGH, s)});                                                              \
    }

/* A square of RV_LANES rows, x_ld apart, transposed to y. The rows of y are written in order and may overlap. */
static __attribute__((noinline)) void turn(const rv_real *x, int64_t x_ld, rv_real *y, int64_t y_ld) {
    vec t[RV_LANES];
    UNROLL for (int i = 0; i < RV_LANES; i++, x += x_ld) t[i] = vec_load(x);
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
    UNROLL for (int i = 0; i < RV_LANES; i++, y += y_ld) vec_store(y, t[i]);
}

/* m x n (at most square) of x transposed to n rows of y, `width` of each: zeros beyond m. */
static void turn_edge(int64_t m, int64_t n, const rv_real *x, int64_t x_ld, rv_real *y, int64_t y_ld, int64_t width) {
    rv_real in[RV_LANES * RV_LANES] __attribute__((aligned(64))), out[RV_LANES * RV_LANES] __attribute__((aligned(64)));
    for (int64_t i = 0; i < RV_LANES; i++) vec_store(in + i * RV_LANES, i < m ? vec_load_n(x + i * x_ld, n) : vec_set(0));
    turn(in, RV_LANES, out, RV_LANES);
    for (int64_t i = 0; i < n; i++) vec_store_n(y + i * y_ld, width, vec_load(out + i * RV_LANES));
}

/* ---- the epilogue */

static vec activate(rv_act act, vec x) {
    switch (act) {
    case RV_ACT_RELU: return vec_max(x, vec_set(0));
    case RV_ACT_TANH: return vec_tanh(x);
    case RV_ACT_SIGMOID: return vec_sigmoid(x);
    case RV_ACT_GELU: return x * (rv_real)0.5 * (1 + vec_erf(x * (rv_real)0.7071067811865476));
    case RV_ACT_GELU_TANH: return x * (rv_real)0.5 * (1 + vec_tanh((rv_real)0.7978845608028654 * (x + (rv_real)0.044715 * (x * x * x))));
    default: return x;
    }
}

/* m x n sums, ld apart, into C at the offset. Not inlined: its bits must be one compilation's everywhere. */
static __attribute__((noinline)) void finish(const rv__gemm_block *b, int64_t m, int64_t n, const rv_real *sum, int64_t ld, int64_t offset,
                                             const rv_real *bias) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j += RV_LANES) {
            int64_t count = n - j < RV_LANES ? n - j : RV_LANES, at = offset + i * b->ldc + j;
            vec old = b->add ? vec_load_n(b->c + at, count) : vec_set((rv_real)-0.0); /* x + -0 is x, even for -0 */
            vec x = b->alpha * vec_load(sum + i * ld + j) + old;
            if (bias) x += vec_load_n(bias + j, count);
            if (b->pre) vec_store_n(b->pre + at, count, x);
            if (b->act != RV_ACT_NONE) x = activate(b->act, x);
            vec_store_n(b->c + at, count, x);
        }
}

static void finish_transposed(const rv__gemm_block *b, int64_t m, const rv_real *sum, int64_t offset, const rv_real *bias) {
    rv_real turned[NR * TILE_ROWS] __attribute__((aligned(64)));
    for (int64_t i = 0; i < m; i += RV_LANES)
        for (int64_t j = 0; j < b->n; j += RV_LANES) turn(sum + i * NR + j, NR, turned + j * TILE_ROWS + i, TILE_ROWS); /* with junk beyond row m */
    finish(b, b->n, m, turned, TILE_ROWS, offset, bias);
}

/* ---- the tile */

/* mr x (nv vectors), k products deep, the sums to out. by_row: the elements of a row of S are neighbours, and s_step is
 * from row to row; otherwise those of a column are, and s_step is from column to column. */
INLINE void tile(const int mr, const int nv, const bool by_row, int64_t k, const rv_real *s, int64_t s_step, const rv_real *v, int64_t v_row,
                 rv_real *out, int64_t ld) {
    vec acc[MR][2];
    UNROLL for (int i = 0; i < mr; i++) acc[i][0] = acc[i][1] = vec_set(0);
    const rv_real *row[(MR + 2) / 3]; /* every third row; the others are addressed from it */
    UNROLL for (int g = 0; 3 * g < mr; g++) row[g] = s + 3 * g * s_step;
    for (int64_t p = 0; p < k; p++, v += v_row) {
        vec v0 = vec_load(v), v1 = nv == 2 ? vec_load(v + RV_LANES) : v0;
        UNROLL for (int i = 0; i < mr; i++) {
            vec a = vec_set(by_row ? row[i / 3][i % 3 * s_step] : s[i]);
            acc[i][0] += a * v0;
            if (nv == 2) acc[i][1] += a * v1;
        }
        if (by_row) {
            UNROLL for (int g = 0; 3 * g < mr; g++) row[g]++;
        } else
            s += s_step;
    }
    UNROLL for (int i = 0; i < mr; i++) {
        vec_store(out + i * ld, acc[i][0]);
        if (nv == 2) vec_store(out + i * ld + RV_LANES, acc[i][1]);
    }
}

typedef void tile_fn(int64_t k, const rv_real *s, int64_t s_step, const rv_real *v, int64_t v_row, rv_real *out, int64_t ld);
#define TILE(mr, nv)                                                                                                   \
    static void by_row_##mr##_##nv(int64_t k, const rv_real *s, int64_t s_step, const rv_real *v, int64_t v_row, rv_real *out, int64_t ld) {    \
        tile(mr, nv, true, k, s, s_step, v, v_row, out, ld);                                                           \
    }                                                                                                                  \
    static void by_column_##mr##_##nv(int64_t k, const rv_real *s, int64_t s_step, const rv_real *v, int64_t v_row, rv_real *out, int64_t ld) { \
        tile(mr, nv, false, k, s, s_step, v, v_row, out, ld);                                                          \
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
    rv_real sum[TILE_ROWS * NR] __attribute__((aligned(64)));
    const int nv = b->n > RV_LANES ? 2 : 1;
    /* Nothing to do but to store: straight to C. */
    const bool plain = !b->c_trans && !b->add && b->alpha == 1 && !b->bias && !b->pre && b->act == RV_ACT_NONE && b->n == nv * RV_LANES;
    const bool by_row = !b->s_packed && b->s_col == 1;
    const int64_t count = (b->m + MR - 1) / MR;
    for (int64_t t = 0, i = 0, mr; t < count; t++, i += mr) {
        mr = b->m / count + (t < b->m % count); /* equal heights: a low tile leaves the multipliers idle */
        const rv_real *s = b->s_packed ? b->s + i * b->k : b->s + i * b->s_row;
        int64_t step = b->s_packed ? mr : by_row ? b->s_row : b->s_col;
        int64_t offset = b->c_trans ? i : i * b->ldc;
        tiles[mr - 1][by_row][nv - 1](b->k, s, step, b->v, b->v_row, plain ? b->c + offset : sum, plain ? b->ldc : NR);
        if (b->c_trans)
            finish_transposed(b, mr, sum, offset, b->bias ? b->bias + i : NULL);
        else if (!plain)
            finish(b, mr, b->n, sum, NR, offset, b->bias);
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
                    vec_store(dst + p * NR + j, left >= RV_LANES ? vec_load(x + p * ld + j) : left > 0 ? vec_load_n(x + p * ld + j, left) : vec_set(0));
                }
        return;
    }
    for (int64_t p = 0; p < k; p += RV_LANES)
        for (int j = 0; j < NR; j += RV_LANES) {
            const int64_t deep = k - p < RV_LANES ? k - p : RV_LANES, columns = n - j < RV_LANES ? n - j : RV_LANES;
            if (deep == RV_LANES && columns == RV_LANES)
                turn(x + j * ld + p, ld, dst + p * NR + j, NR);
            else
                turn_edge(columns, deep, x + j * ld + p, ld, dst + p * NR + j, NR, RV_LANES);
        }
}

/* m rows of S, k deep, in the tiles of gemm_block: tile after tile, each column by column. Element (i, p) is
 * x[i * row + p * col], one of row and col being 1. Writes up to NR elements more than m * k. */
void RV_KERNEL_FN(gemm_pack_s)(int64_t m, int64_t k, const rv_real *x, int64_t row, int64_t col, rv_real *dst) {
    const int64_t count = (m + MR - 1) / MR;
    for (int64_t at = 0, mr; at < count; at++, x += mr * row, dst += mr * k) {
        mr = m / count + (at < m % count);
        for (int64_t i = 0; i < mr; i += RV_LANES) {
            int64_t rows = mr - i < RV_LANES ? mr - i : RV_LANES;
            /* A whole vector may run over into the next column, which is written after it, unless this one has more. */
            int64_t width = mr <= RV_LANES ? RV_LANES : rows;
            if (row == 1) {
                for (int64_t p = 0; p < k; p++) vec_store_n(dst + p * mr + i, width, vec_load_n(x + p * col + i, rows));
                continue;
            }
            for (int64_t p = 0; p < k; p += RV_LANES) {
                const int64_t deep = k - p < RV_LANES ? k - p : RV_LANES;
                if (deep == RV_LANES && rows == RV_LANES && width == RV_LANES)
                    turn(x + i * row + p, row, dst + p * mr + i, mr);
                else
                    turn_edge(rows, deep, x + i * row + p, row, dst + p * mr + i, mr, width);
            }
        }
    }
}

/* The steps of chains, compiled per instruction set; see chain_private.h. All rows are padded to whole vectors. */
#include "kernels/chain_private.h"

#include "kernels/rows_inline.h"

#define LOW RV__CHAIN_LOW
/* Logarithms of weights that make any state too small: such weights are 0, and no exponential is taken that is no
 * normal number, which costs many times as much. Padding is full of them. */
#define TINY (rv_real)(sizeof(rv_real) == 8 ? -700 : -80)
/* Between these the largest value of a position may stay as it is. */
#define NEAR_LOW (rv_real)0x1p-16
#define NEAR_HIGH (rv_real)0x1p16

/* Lanes set in m, ever. */
static inline bool any(vec_i m) {
#if defined(__AVX__)
    __m256i part[RV_VBYTES / 32];
    for (int i = 0; i < RV_VBYTES / 32; i++) __builtin_memcpy(&part[i], (const char *)&m + 32 * i, 32);
    for (int i = 1; i < RV_VBYTES / 32; i++) part[0] |= part[i];
    return !_mm256_testz_si256(part[0], part[0]);
#else
    bool set = false;
    for (int i = 0; i < RV_LANES; i++) set |= m[i] != 0;
    return set;
#endif
}

/* e and the factor 2^-e that brings x >= LOW into [1, 2). */
static inline int exponent(rv_real x, rv_real *factor) {
#ifdef RV_DOUBLE
    union {
        double x;
        int64_t bits;
    } u = {x};
    const int e = (int)(u.bits >> 52) - 1023;
    u.bits = (int64_t)(1023 - e) << 52;
#else
    union {
        float x;
        int32_t bits;
    } u = {x};
    const int e = (u.bits >> 23) - 127;
    u.bits = (127 - e) << 23;
#endif
    *factor = u.x;
    return e;
}

static inline void fill_row(int64_t width, rv_real *x, rv_real value) {
    for (int64_t k = 0; k < width; k += RV_LANES) vec_store(x + k, vec_set(value));
}

static void know(rv__chain_state *s, int64_t n) {
    if (s->known) return;
    for (int64_t i = 0; i < n; i++) s->log[i] = (rv_real)log((double)s->x[i]);
    s->known = true;
}

/* ---- products with the table: nv vectors at a time stay in registers. The sums of even and of odd i are added up
 * apart: one chain of additions is longer than the work. */
static inline __attribute__((always_inline)) void gather(const rv__chain_step *s, const rv_real *from,
                                                         const rv_real *table, rv_real *sums, const int nv) {
    vec even[4], odd[4];
    RV_UNROLL(4)
    for (int v = 0; v < nv; v++) even[v] = odd[v] = (vec){0};
    int64_t i = 0;
    for (; i + 2 <= s->n; i += 2, from += 2 * s->from_step, table += 2 * s->row_step) {
        const vec a = vec_set(from[0]), b = vec_set(from[s->from_step]);
        RV_UNROLL(4)
        for (int v = 0; v < nv; v++) {
            even[v] += a * vec_load(table + v * RV_LANES);
            odd[v] += b * vec_load(table + s->row_step + v * RV_LANES);
        }
    }
    if (i < s->n) {
        const vec a = vec_set(from[0]);
        RV_UNROLL(4)
        for (int v = 0; v < nv; v++) even[v] += a * vec_load(table + v * RV_LANES);
    }
    RV_UNROLL(4)
    for (int v = 0; v < nv; v++) vec_store(sums + v * RV_LANES, even[v] + odd[v]);
}

static void gather_fan(const rv__chain_step *s, int64_t f, rv_real *sums) {
    const rv_real *from = s->from->x + f, *table = s->table + f * s->fan_step;
    int64_t k = 0;
    for (; k + 4 * RV_LANES <= s->width; k += 4 * RV_LANES) gather(s, from, table + k, sums + k, 4);
    switch ((s->width - k) / RV_LANES) {
    case 3: gather(s, from, table + k, sums + k, 3); break;
    case 2: gather(s, from, table + k, sums + k, 2); break;
    case 1: gather(s, from, table + k, sums + k, 1); break;
    default: break;
    }
}

/* ---- the way through logarithms */

/* log of the sum over i of exp(from[i] + table[i]), of the lanes from k on. */
static vec log_sum(const rv__chain_step *s, int64_t f, int64_t k) {
    const rv_real *from = s->from->log + f, *table = s->log_table + f * s->fan_step + k;
    vec max = vec_set(-INFINITY), sum = {0};
    for (int64_t i = 0; i < s->n; i++) max = vec_max(vec_load(table + i * s->row_step) + from[i * s->from_step], max);
    if (!any(max > -INFINITY)) return max;
    const vec m = vec_select(max > -INFINITY, max, (vec){0});
    for (int64_t i = 0; i < s->n; i++) {
        const rv_real x = from[i * s->from_step];
        if (x > -INFINITY) sum += vec_exp(vec_load(table + i * s->row_step) + x - m);
    }
    for (int l = 0; l < RV_LANES; l++) sum[l] = (rv_real)log((double)sum[l]);
    return max + sum; /* -INFINITY where the largest is */
}

static void log_fan(const rv__chain_step *s, int64_t f) {
    const rv_real *x = s->sums->x + f * s->width;
    rv_real *log_x = s->sums->log + f * s->width;
    for (int64_t k = 0; k < s->width; k += RV_LANES) {
        const vec v = vec_load(x + k);
        const vec_i low = (v < LOW) & (vec_load(s->log_w + k) > -INFINITY);
        vec l = any(low) ? log_sum(s, f, k) : v;
        for (int j = 0; j < RV_LANES; j++)
            if (!low[j]) l[j] = (rv_real)log((double)v[j]);
        vec_store(log_x + k, l);
    }
}

static double by_logs(const rv__chain_step *s) {
    const int64_t states = s->fans * s->width;
    if (s->table) {
        know(s->from, s->n * s->from_step > s->fans ? s->n * s->from_step : s->fans);
        for (int64_t f = 0; f < s->fans; f++)
            if (s->alive && !(s->alive[f] > -INFINITY))
                fill_row(s->width, s->sums->log + f * s->width, -INFINITY);
            else
                log_fan(s, f);
        s->sums->known = true;
    }
    s->to->known = true;
    vec top = vec_set(-INFINITY);
    for (int64_t f = 0; f < states; f += s->width)
        for (int64_t k = 0; k < s->width; k += RV_LANES) {
            const vec l = vec_load(s->sums->log + f + k) + vec_load(s->log_w + k);
            vec_store(s->to->log + f + k, l);
            top = vec_max(l, top);
        }
    const rv_real max = vec_hmax(top);
    for (int64_t i = 0; i < states; i += RV_LANES) {
        const vec l = vec_load(s->to->log + i) - (max > -INFINITY ? max : 0);
        vec_store(s->to->log + i, l);
        vec_store(s->to->x + i, vec_exp(l));
    }
    return (double)max;
}

/* Bring the largest near 1; false where a state becomes too small. */
static bool rescale(const rv__chain_step *s, rv_real factor) {
    vec_i low = {0};
    for (int64_t f = 0; f < s->fans; f++) {
        if (s->alive && !(s->alive[f] > -INFINITY)) continue;
        for (int64_t k = 0; k < s->width; k += RV_LANES) {
            rv_real *to = s->to->x + f * s->width + k;
            const vec x = vec_load(to) * factor;
            low |= (x < LOW) & (vec_load(s->log_w + k) > -INFINITY);
            vec_store(to, x);
        }
    }
    return !any(low);
}

/* The values of the next step wait for nothing but the products: whether they want rescaling is a branch that is
 * foreseen, and seldom taken. */
double RV_KERNEL_FN(chain_step)(const rv__chain_step *s) {
    vec top = {0};
    vec_i low = {0};
    if (s->table) s->sums->known = false;
    for (int64_t f = 0; f < s->fans; f++) {
        rv_real *sums = s->sums->x + f * s->width, *to = s->to->x + f * s->width;
        if (s->alive && !(s->alive[f] > -INFINITY)) {
            fill_row(s->width, sums, 0);
            fill_row(s->width, to, 0);
            continue;
        }
        if (s->table) gather_fan(s, f, sums);
        for (int64_t k = 0; k < s->width; k += RV_LANES) {
            const vec x = vec_load(sums + k) * vec_load(s->w + k); /* w <= 1: where x is not too small, no sum is */
            low |= (x < LOW) & (vec_load(s->log_w + k) > -INFINITY);
            top = vec_max(x, top);
            vec_store(to + k, x);
        }
    }
    s->to->known = false;
    const bool small = any(low);
    if (!small && any(top >= NEAR_LOW) && !any(top > NEAR_HIGH)) return 0;
    const rv_real max = vec_hmax(top);
    if (small || !(max >= LOW)) return by_logs(s);
    rv_real factor;
    const int e = exponent(max, &factor);
    return rescale(s, factor) ? e * 0.693147180559945309417 : by_logs(s);
}

/* ---- two sides meet */

/* The same for products too small to be added up. */
static double meet_by_logs(int64_t n, rv__chain_state *a, rv__chain_state *b, rv_real *p) {
    know(a, n);
    know(b, n);
    rv_real max = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const rv_real l = a->log[i] + b->log[i];
        max = l > max ? l : max;
    }
    if (max == -INFINITY) {
        for (int64_t i = 0; p && i < n; i++) p[i] = 0;
        return -INFINITY;
    }
    vec sum = {0};
    for (int64_t i = 0; i < n; i += RV_LANES)
        sum += vec_exp(row_get(a->log + i, n - i, -INFINITY) + row_get(b->log + i, n - i, 0) - max);
    const double l = (double)max + log((double)vec_hsum(sum));
    for (int64_t i = 0; p && i < n; i += RV_LANES) {
        const vec x = row_get(a->log + i, n - i, 0) + row_get(b->log + i, n - i, 0);
        row_put(p + i, n - i, vec_exp(x - (rv_real)l));
    }
    return l;
}

double RV_KERNEL_FN(chain_meet)(int64_t n, rv__chain_state *a, rv__chain_state *b, rv_real *p, rv_real *scaled,
                                rv_real *sum) {
    vec s = {0};
    for (int64_t i = 0; i < n; i += RV_LANES) s += row_get(a->x + i, n - i, 0) * row_get(b->x + i, n - i, 0);
    *sum = vec_hsum(s);
    const bool small = !(*sum >= RV__CHAIN_LOW_PRODUCT);
    const double l = small ? meet_by_logs(n, a, b, p) : 0;
    const rv_real share = small ? 0 : 1 / *sum;
    if (small) *sum = 0;
    for (int64_t i = 0; p && i < n; i += RV_LANES) {
        const vec x = row_get(a->x + i, n - i, 0) * share;
        if (!small) row_put(p + i, n - i, x * row_get(b->x + i, n - i, 0));
        if (scaled) row_put(scaled + i, n - i, x);
    }
    return l;
}

double RV_KERNEL_FN(chain_weigh)(int64_t n, int64_t K, int64_t width, const rv_real *x, const rv_real *c, rv_real *w,
                                 rv_real *log_w) {
    double taken = 0;
    vec_i bad = {0};
    for (int64_t t = 0; t < n; t++, x += K, w += width, log_w += width) {
        vec top = vec_set(-INFINITY);
        for (int64_t k = 0; k < width; k += RV_LANES) {
            vec l = k < K ? row_get(x + k, K - k, -INFINITY) : vec_set(-INFINITY);
            if (c) l += vec_load(c + k);
            bad |= ~(l < INFINITY);
            top = vec_max(l, top);
            vec_store(log_w + k, l);
        }
        const rv_real max = vec_hmax(top), m = max > -INFINITY ? max : 0;
        for (int64_t k = 0; k < width; k += RV_LANES) {
            const vec l = vec_load(log_w + k) - m;
            vec_store(log_w + k, l);
            vec_store(w + k, (vec)((vec_i)vec_exp(vec_max(l, vec_set(TINY))) & (l > TINY)));
        }
        taken += (double)m;
    }
    return any(bad) ? NAN : taken;
}

/* ---- sums of pairs: block of rows i and vectors of columns in registers, over the steps */
static inline __attribute__((always_inline)) void
pair_block(int64_t n, int64_t width, const rv_real *a, const rv_real *b, rv_real *sum, const int rows, const int nv) {
    vec acc[4][2];
    RV_UNROLL(4)
    for (int r = 0; r < rows; r++) RV_UNROLL(2)
    for (int v = 0; v < nv; v++) acc[r][v] = vec_load(sum + r * width + v * RV_LANES);
    for (int64_t t = 0; t < n; t++, a += width, b += width) {
        vec bv[2];
        RV_UNROLL(2)
        for (int v = 0; v < nv; v++) bv[v] = vec_load(b + v * RV_LANES);
        RV_UNROLL(4)
        for (int r = 0; r < rows; r++) RV_UNROLL(2)
        for (int v = 0; v < nv; v++) acc[r][v] += vec_set(a[r]) * bv[v];
    }
    RV_UNROLL(4)
    for (int r = 0; r < rows; r++) RV_UNROLL(2)
    for (int v = 0; v < nv; v++) vec_store(sum + r * width + v * RV_LANES, acc[r][v]);
}

void RV_KERNEL_FN(chain_pairs)(int64_t n, int64_t K, int64_t width, const rv_real *a, const rv_real *b, rv_real *sum) {
    for (int64_t k = 0; k < width; k += 2 * RV_LANES) {
        const bool two = k + 2 * RV_LANES <= width;
        int64_t i = 0;
        for (; i + 4 <= K; i += 4)
            if (two)
                pair_block(n, width, a + i, b + k, sum + i * width + k, 4, 2);
            else
                pair_block(n, width, a + i, b + k, sum + i * width + k, 4, 1);
        for (; i < K; i++)
            if (two)
                pair_block(n, width, a + i, b + k, sum + i * width + k, 1, 2);
            else
                pair_block(n, width, a + i, b + k, sum + i * width + k, 1, 1);
    }
}

/* ---- the best path */

enum { PAIRS = RV_VBYTES / sizeof(double) };
typedef double dvec __attribute__((vector_size(RV_VBYTES)));
typedef int64_t dvec_i __attribute__((vector_size(RV_VBYTES)));
typedef double dvec_u __attribute__((vector_size(RV_VBYTES), aligned(sizeof(double)), may_alias));

static inline dvec select_double(dvec_i mask, dvec a, dvec b) {
#if RV_VBYTES == 32
    return (dvec)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)mask);
#else
    return (dvec)((mask & (dvec_i)a) | (~mask & (dvec_i)b));
#endif
}

/* nv vectors side by side: each waits long for its own comparison. */
static inline __attribute__((always_inline)) void best_block(const rv__chain_best *s, int64_t f, int64_t k,
                                                             const int nv) {
    const double *from = s->from + f, *table = s->table + f * s->fan_step + k;
    dvec best[4], arg[4];
    RV_UNROLL(4)
    for (int v = 0; v < nv; v++) best[v] = (dvec){0} - (double)INFINITY, arg[v] = (dvec){0};
    for (int64_t i = 0; i < s->n; i++, from += s->from_step, table += s->row_step) {
        const dvec before = (dvec){0} + *from, label = (dvec){0} + (double)i;
        RV_UNROLL(4)
        for (int v = 0; v < nv; v++) {
            const dvec x = *(const dvec_u *)(table + v * PAIRS) + before;
            const dvec_i more = x > best[v]; /* of equals the first stays; NaN is none */
            best[v] = select_double(more, x, best[v]);
            arg[v] = select_double(more, label, arg[v]);
        }
    }
    RV_UNROLL(4)
    for (int v = 0; v < nv; v++) {
        *(dvec_u *)(s->best + f * s->width + k + v * PAIRS) = best[v];
        *(dvec_u *)(s->arg + f * s->width + k + v * PAIRS) = arg[v];
    }
}

void RV_KERNEL_FN(chain_best_step)(const rv__chain_best *s) {
    for (int64_t f = 0; f < s->fans; f++) {
        int64_t k = 0;
        for (; k + 4 * PAIRS <= s->width; k += 4 * PAIRS) best_block(s, f, k, 4);
        for (; k < s->width; k += PAIRS) best_block(s, f, k, 1);
    }
}

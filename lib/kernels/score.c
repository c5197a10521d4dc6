/* Attention of one query over the rows of a memory, as a recurrence needs it: one query at a time. Rows follow each
 * other without gaps. Each score is a sum over the width in an order of its own, and each weighted sum runs over the
 * rows in order, so neither the number of rows nor what lies behind them changes a bit. */
#include "kernels/rows_inline.h"

/* e_s = q . row_s; two chains hide the latency of the addition. */
void RV_KERNEL_FN(dot_scores)(int64_t n, int64_t width, const rv_real *q, const rv_real *rows, rv_real *e) {
    for (int64_t s = 0; s < n; s++, rows += width) {
        vec a = {0}, b = {0};
        int64_t i = 0;
        for (; i + 2 * RV_LANES <= width; i += 2 * RV_LANES) {
            a += vec_load(q + i) * vec_load(rows + i);
            b += vec_load(q + i + RV_LANES) * vec_load(rows + i + RV_LANES);
        }
        for (; i < width; i += RV_LANES) a += row_get(q + i, width - i, 0) * row_get(rows + i, width - i, 0);
        e[s] = vec_hsum(a + b);
    }
}

void RV_KERNEL_FN(additive_scores)(int64_t n, int64_t width, const rv_real *q, const rv_real *v, const rv_real *keys,
                                   rv_real *e) {
    for (int64_t s = 0; s < n; s++, keys += width) {
        vec sum = {0};
        int64_t i = 0;
        for (; i + RV_LANES <= width; i += RV_LANES)
            sum += vec_load(v + i) * vec_tanh(vec_load(q + i) + vec_load(keys + i));
        if (i < width)
            sum +=
                vec_load_n(v + i, width - i) * vec_tanh(vec_load_n(q + i, width - i) + vec_load_n(keys + i, width - i));
        e[s] = vec_hsum(sum);
    }
}

/* m lanes of one row: what de gives to the query (still without its factor v), the key and v. */
static inline __attribute__((always_inline)) void additive_part(int64_t m, rv_real de, const rv_real *q,
                                                                const rv_real *v, const rv_real *key, rv_real *dq,
                                                                rv_real *dkey, rv_real *dv) {
    vec t = vec_tanh(row_get(q, m, 0) + row_get(key, m, 0)), d = de * (1 - t * t);
    row_give(dq, m, d, true);
    row_give(dv, m, de * t, true);
    if (dkey) row_give(dkey, m, d * row_get(v, m, 0), true);
}

void RV_KERNEL_FN(additive_back)(int64_t n, int64_t width, const rv_real *q, const rv_real *v, const rv_real *keys,
                                 const rv_real *de, rv_real *dq, rv_real *dkeys, rv_real *dv) {
    int64_t i = 0, whole = width / RV_LANES * RV_LANES;
    for (; i < width; i += RV_LANES) row_put(dq + i, width - i, (vec){0});
    for (int64_t s = 0; s < n; s++) {
        const rv_real *key = keys + s * width;
        rv_real *dkey = dkeys ? dkeys + s * width : NULL;
        for (i = 0; i < whole; i += RV_LANES)
            additive_part(RV_LANES, de[s], q + i, v + i, key + i, dq + i, dkey ? dkey + i : NULL, dv + i);
        if (i < width) additive_part(width - i, de[s], q + i, v + i, key + i, dq + i, dkey ? dkey + i : NULL, dv + i);
    }
    for (i = 0; i < width; i += RV_LANES)
        row_put(dq + i, width - i, row_get(dq + i, width - i, 0) * row_get(v + i, width - i, 0));
}

/* y = or += sum over s of w_s row_s, in registers. */
void RV_KERNEL_FN(weighted_rows)(int64_t n, int64_t width, const rv_real *w, const rv_real *rows, rv_real *y,
                                 bool acc) {
    enum { WIDE = 8 };
    int64_t i = 0;
    for (; i + WIDE * RV_LANES <= width; i += WIDE * RV_LANES) {
        vec sum[WIDE];
        for (int c = 0; c < WIDE; c++) sum[c] = acc ? vec_load(y + i + c * RV_LANES) : (vec){0};
        for (int64_t s = 0; s < n; s++)
            for (int c = 0; c < WIDE; c++) sum[c] += w[s] * vec_load(rows + s * width + i + c * RV_LANES);
        for (int c = 0; c < WIDE; c++) vec_store(y + i + c * RV_LANES, sum[c]);
    }
    for (; i < width; i += RV_LANES) {
        vec sum = acc ? row_get(y + i, width - i, 0) : (vec){0};
        for (int64_t s = 0; s < n; s++) sum += w[s] * row_get(rows + s * width + i, width - i, 0);
        row_put(y + i, width - i, sum);
    }
}

/* The equations are at rv_recurrent (ops/ops.h). sigmoid' = s (1 - s) and tanh' = 1 - t t are taken from the saved
 * gates; only tanh(c) is computed again in backward, which is cheaper than keeping it. */
#include "kernels/vmath_inline.h"

#define INLINE static inline __attribute__((always_inline))

/* Run `body` over the row, full vectors first: m is then a constant to the compiler. */
#define ROW_KERNEL(name, body)                                                                                         \
    void RV_KERNEL_FN(name)(const rv_cell_row *r) {                                                                    \
        rv_cell_row row = *r; /* a copy the stores cannot alias */                                                     \
        int64_t u = 0;                                                                                                 \
        for (; u + RV_LANES <= row.n; u += RV_LANES) body(&row, u, RV_LANES);                                          \
        if (u < row.n) body(&row, u, row.n - u);                                                                       \
    }

INLINE vec load(const rv_real *p, int64_t m) { return m == RV_LANES ? vec_load(p) : vec_load_n(p, m); }
INLINE void store(rv_real *p, int64_t m, vec v) {
    if (m == RV_LANES)
        vec_store(p, v);
    else
        vec_store_n(p, m, v);
}
/* Gradient of gate k: kept, and added to the bias's. */
INLINE void store_dgate(const rv_cell_row *r, int k, int64_t u, int64_t m, vec d) {
    int64_t i = k * r->stride + u;
    store(r->gate + i, m, d);
    store(r->db + i, m, load(r->db + i, m) + d);
}
INLINE vec total_dh(const rv_cell_row *r, int64_t u, int64_t m) {
    vec dh = load(r->dh + u, m);
    return r->dy ? dh + load(r->dy + u, m) : dh;
}

INLINE void rnn_tanh(const rv_cell_row *r, int64_t u, int64_t m) { store(r->h + u, m, vec_tanh(load(r->gate + u, m))); }
INLINE void rnn_tanh_back(const rv_cell_row *r, int64_t u, int64_t m) {
    vec h = load(r->h + u, m);
    store_dgate(r, 0, u, m, total_dh(r, u, m) * (1 - h * h));
    store(r->dh + u, m, vec_set(0));
}
ROW_KERNEL(cell_rnn_tanh, rnn_tanh)
ROW_KERNEL(cell_rnn_tanh_back, rnn_tanh_back)

INLINE void rnn_relu(const rv_cell_row *r, int64_t u, int64_t m) {
    vec a = load(r->gate + u, m);
    store(r->h + u, m, vec_select(a < 0, vec_set(0), a)); /* NaN passes */
}
INLINE void rnn_relu_back(const rv_cell_row *r, int64_t u, int64_t m) {
    store_dgate(r, 0, u, m, vec_select(load(r->h + u, m) > 0, total_dh(r, u, m), vec_set(0)));
    store(r->dh + u, m, vec_set(0));
}
ROW_KERNEL(cell_rnn_relu, rnn_relu)
ROW_KERNEL(cell_rnn_relu_back, rnn_relu_back)

INLINE void lstm(const rv_cell_row *r, int64_t u, int64_t m) {
    rv_real *gi = r->gate + u, *gf = gi + r->stride, *gg = gf + r->stride, *go = gg + r->stride;
    vec i = vec_sigmoid(load(gi, m)), f = vec_sigmoid(load(gf, m)), g = vec_tanh(load(gg, m)),
        o = vec_sigmoid(load(go, m));
    vec c = f * load(r->c_prev + u, m) + i * g;
    store(gi, m, i);
    store(gf, m, f);
    store(gg, m, g);
    store(go, m, o);
    store(r->c + u, m, c);
    store(r->h + u, m, o * vec_tanh(c));
}
INLINE void lstm_back(const rv_cell_row *r, int64_t u, int64_t m) {
    const rv_real *gi = r->gate + u;
    vec i = load(gi, m), f = load(gi + r->stride, m), g = load(gi + 2 * r->stride, m), o = load(gi + 3 * r->stride, m);
    vec dh = total_dh(r, u, m), t = vec_tanh(load(r->c + u, m));
    vec dc = load(r->dc + u, m) + dh * o * (1 - t * t);
    store_dgate(r, 0, u, m, dc * g * i * (1 - i));
    store_dgate(r, 1, u, m, dc * load(r->c_prev + u, m) * f * (1 - f));
    store_dgate(r, 2, u, m, dc * i * (1 - g * g));
    store_dgate(r, 3, u, m, dh * t * o * (1 - o));
    store(r->dc + u, m, dc * f);
    store(r->dh + u, m, vec_set(0));
}
ROW_KERNEL(cell_lstm, lstm)
ROW_KERNEL(cell_lstm_back, lstm_back)

INLINE void gru(const rv_cell_row *r, int64_t u, int64_t m) {
    rv_real *gr = r->gate + u, *gz = gr + r->stride, *gn = gz + r->stride;
    vec reset = vec_sigmoid(load(gr, m)), z = vec_sigmoid(load(gz, m));
    vec n = vec_tanh(load(gn, m) + reset * load(r->hp + u, m));
    store(gr, m, reset);
    store(gz, m, z);
    store(gn, m, n);
    store(r->h + u, m, n + z * (load(r->h_prev + u, m) - n));
}
INLINE void gru_back(const rv_cell_row *r, int64_t u, int64_t m) {
    const rv_real *gr = r->gate + u;
    vec reset = load(gr, m), z = load(gr + r->stride, m), n = load(gr + 2 * r->stride, m), dh = total_dh(r, u, m);
    vec dn = dh * (1 - z) * (1 - n * n), dhp = dn * reset;
    store_dgate(r, 0, u, m, dn * load(r->hp + u, m) * reset * (1 - reset));
    store_dgate(r, 1, u, m, dh * (load(r->h_prev + u, m) - n) * z * (1 - z));
    store_dgate(r, 2, u, m, dn);
    store(r->hp + u, m, dhp);
    rv_real *db = r->db + 3 * r->stride + u;
    store(db, m, load(db, m) + dhp);
    store(r->dh + u, m, dh * z);
}
ROW_KERNEL(cell_gru, gru)
ROW_KERNEL(cell_gru_back, gru_back)

/* Reset before the product: r and z first, then, once r h' is complete, n; in backward n and z first, then r. */
INLINE void gru_before_rz(const rv_cell_row *r, int64_t u, int64_t m) {
    rv_real *gr = r->gate + u, *gz = gr + r->stride;
    vec reset = vec_sigmoid(load(gr, m));
    store(gr, m, reset);
    store(gz, m, vec_sigmoid(load(gz, m)));
    store(r->hp + u, m, reset * load(r->h_prev + u, m));
}
INLINE void gru_before_n(const rv_cell_row *r, int64_t u, int64_t m) {
    rv_real *gz = r->gate + r->stride + u, *gn = gz + r->stride;
    vec z = load(gz, m), n = vec_tanh(load(gn, m));
    store(gn, m, n);
    store(r->h + u, m, n + z * (load(r->h_prev + u, m) - n));
}
INLINE void gru_before_zn_back(const rv_cell_row *r, int64_t u, int64_t m) {
    const rv_real *gz = r->gate + r->stride + u;
    vec z = load(gz, m), n = load(gz + r->stride, m), dh = total_dh(r, u, m);
    store_dgate(r, 1, u, m, dh * (load(r->h_prev + u, m) - n) * z * (1 - z));
    store_dgate(r, 2, u, m, dh * (1 - z) * (1 - n * n));
    store(r->dh + u, m, dh * z);
}
INLINE void gru_before_r_back(const rv_cell_row *r, int64_t u, int64_t m) {
    vec reset = load(r->gate + u, m), drh = load(r->dhp + u, m);
    store_dgate(r, 0, u, m, drh * load(r->h_prev + u, m) * reset * (1 - reset));
    store(r->dh + u, m, load(r->dh + u, m) + drh * reset);
}
ROW_KERNEL(cell_gru_before_rz, gru_before_rz)
ROW_KERNEL(cell_gru_before_n, gru_before_n)
ROW_KERNEL(cell_gru_before_zn_back, gru_before_zn_back)
ROW_KERNEL(cell_gru_before_r_back, gru_before_r_back)

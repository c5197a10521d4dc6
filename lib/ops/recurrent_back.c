/* Backward of rv_recurrent: the steps in the opposite order give the gates' gradients, in place of the gates; all
 * parameter and input gradients are then one product each, over all steps and rows at once. */
#include <math.h>
#include <string.h>

#include "ops/recurrent_private.h"

/* Time of the s-th step of backward. */
static int64_t back_time(const rv__seq *q, int64_t s) { return q->reverse ? s : q->T - 1 - s; }

static int back_products(const rv__pass *p, int64_t s, int phase, rv__product *out) {
    const rv__seq *q = &p->q;
    int64_t BH = q->B * q->H;
    if (phase == 1) {
        if (s == q->T) return 0;
        int64_t t = back_time(q, s);
        out[0] = (rv__product){.gate = 2,
                               .gates = 1,
                               .a = rv__seq_gates(q, t) + 2 * q->H,
                               .lda = q->ld,
                               .c = p->drh,
                               .ldc = q->H,
                               .rows = rv__seq_rows(q, t)};
        return 1;
    }
    if (s == 0) return 0;
    int64_t t = back_time(q, s - 1), rows = rv__seq_rows(q, t);
    out[0] = (rv__product){.gates = rv__seq_is_gru(q->cell) ? 2 : (int)q->G,
                           .a = rv__seq_gates(q, t),
                           .lda = q->ld,
                           .c = p->dh,
                           .ldc = q->H,
                           .rows = rows,
                           .accumulate = true};
    if (q->cell != RV_CELL_GRU) return 1;
    out[1] = (rv__product){.gate = 2,
                           .gates = 1,
                           .a = q->hp + t * BH,
                           .lda = q->H,
                           .c = p->dh,
                           .ldc = q->H,
                           .rows = rows,
                           .accumulate = true};
    return 2;
}

/* Keep what reaches the states of a row, all that comes from later steps included, before the cell passes it on. */
static void keep_gradients(const rv__seq *q, const rv_cell_row *r, int64_t at) {
    for (int64_t u = 0; u < r->n; u++) {
        rv_real dh = r->dh[u] + (r->dy ? r->dy[u] : 0);
        q->dh_seen[at + u] = dh;
        if (!q->dc_seen) continue;
        double t = tanh((double)r->c[u]);
        q->dc_seen[at + u] = r->dc[u] + (rv_real)((double)dh * (double)r->gate[3 * r->stride + u] * (1 - t * t));
    }
}

/* dh and dc stay as they are where a row is padded: before its last step they hold the gradient of the final state,
 * after its first one that of the initial state. */
static void back_pointwise(const rv__pass *p, int64_t s, int phase, int64_t u0, int64_t u1) {
    const rv__seq *q = &p->q;
    if (s == q->T) return; /* the step that only brings dh to the initial state */
    const rv_kernels *k = rv_k();
    void (*const kernel[][2])(const rv_cell_row *) = {
        [RV_CELL_RNN_TANH] = {k->cell_rnn_tanh_back},
        [RV_CELL_RNN_RELU] = {k->cell_rnn_relu_back},
        [RV_CELL_LSTM] = {k->cell_lstm_back},
        [RV_CELL_GRU] = {k->cell_gru_back},
        [RV_CELL_GRU_RESET_BEFORE] = {k->cell_gru_before_zn_back, k->cell_gru_before_r_back},
    };
    int64_t t = back_time(q, s), H = q->H, rows = rv__seq_rows(q, t);
    for (int64_t b = 0; b < rows; b++) {
        if (t >= rv__seq_length(q, b)) continue;
        int64_t at = (t * q->B + b) * H + u0, carried = b * H + u0;
        rv_cell_row row = {.n = u1 - u0,
                           .stride = H,
                           .gate = rv__seq_gates(q, t) + b * q->ld + u0,
                           .h = q->y + at,
                           .h_prev = rv__seq_prev(q, q->h0, q->y, 1, t, b) + u0,
                           .dy = p->dy ? p->dy + at : NULL,
                           .dh = p->dh + carried,
                           .db = p->db + u0};
        if (q->hp) row.hp = q->hp + at;
        if (p->drh) row.dhp = p->drh + carried;
        if (q->c) {
            row.c = q->c + at;
            row.c_prev = rv__seq_prev(q, q->c0, q->c, 1, t, b) + u0;
            row.dc = p->dc + carried;
        }
        if (q->dh_seen && phase == 0) keep_gradients(q, &row, at);
        kernel[q->cell][phase](&row);
    }
}

/* Padded steps take no part in the sums over steps. */
static void zero_padding(const rv__seq *q) {
    for (int64_t b = 0; q->lengths && b < q->B; b++)
        for (int64_t t = q->lengths[b]; t < q->T; t++) {
            int64_t at = (t * q->B + b) * q->H;
            memset(rv__seq_gates(q, t) + b * q->ld, 0, (size_t)(q->G * q->H) * sizeof(rv_real));
            if (q->hp) memset(q->hp + at, 0, (size_t)q->H * sizeof(rv_real));
        }
}

/* dw (n, H) = d^T h', d being (T, B, ld). The states before each step are y, one step off, and at each row's start its
 * h0; `start` is room for B rows. */
static void state_weight_grad(const rv__seq *q, const rv_real *d, int64_t ld, int64_t n, rv_real *dw, bool acc,
                              rv_real *start) {
    int64_t H = q->H, B = q->B;
    rv_gemm g = {.ta = true,
                 .m = n,
                 .n = H,
                 .k = (q->T - 1) * B,
                 .a = q->reverse ? d : d + B * ld,
                 .lda = ld,
                 .b = q->reverse ? q->y + B * H : q->y,
                 .ldb = H,
                 .c = dw,
                 .ldc = H,
                 .accumulate = acc};
    rv_gemm_run(&g);
    if (!q->has_h0) return;
    for (int64_t b = 0; b < B; b++) {
        int64_t t = rv__seq_start(q, b);
        if (rv__seq_length(q, b) == 0) t = 0; /* all padding: zeros anywhere */
        memcpy(start + b * n, d + (t * B + b) * ld, (size_t)n * sizeof *d);
    }
    g = (rv_gemm){.ta = true,
                  .m = n,
                  .n = H,
                  .k = B,
                  .a = start,
                  .lda = n,
                  .b = q->h0,
                  .ldb = H,
                  .c = dw,
                  .ldc = H,
                  .accumulate = true};
    rv_gemm_run(&g);
}

void rv__recurrent_weight_grad(const rv__seq *q, rv_real *dw, bool acc, rv_real *start) {
    int64_t H = q->H, GH = q->G * H;
    if (!rv__seq_is_gru(q->cell)) {
        state_weight_grad(q, q->gates, q->ld, GH, dw, acc, start);
        return;
    }
    state_weight_grad(q, q->gates, q->ld, 2 * H, dw, acc, start);
    if (q->cell == RV_CELL_GRU) {
        state_weight_grad(q, q->hp, H, H, dw + 2 * H * H, acc, start);
        return;
    }
    rv_gemm_run(&(rv_gemm){.ta = true,
                           .m = H,
                           .n = H,
                           .k = q->T * q->B,
                           .a = q->gates + 2 * H,
                           .lda = q->ld,
                           .b = q->hp,
                           .ldb = H,
                           .c = dw + 2 * H * H,
                           .ldc = H,
                           .accumulate = acc});
}

void rv__give(rv_tensor *t, const rv_real *d) {
    bool acc;
    rv_real *g = rv_grad(t, &acc);
    if (!g) return;
    for (int64_t i = 0, n = rv_numel(t); i < n; i++) g[i] = acc ? g[i] + d[i] : d[i];
}

static rv_real *copy_or_zero(rv_tape *tape, int64_t n, const rv_real *from) {
    rv_real *r = rv_tape_alloc(tape, (size_t)n * sizeof *r);
    if (r && from) memcpy(r, from, (size_t)n * sizeof *r);
    if (r && !from) memset(r, 0, (size_t)n * sizeof *r);
    return r;
}

bool rv__pass_backward(rv_tape *tape, rv__pass *p, const rv_real *dhn, const rv_real *dcn) {
    int64_t H = p->q.H, BH = p->q.B * H;
    p->back = true;
    p->phases = rv__seq_two_phases(p->q.cell) ? 2 : 1;
    p->products = back_products;
    p->pointwise = back_pointwise;
    p->dh = copy_or_zero(tape, BH, dhn);
    p->dc = copy_or_zero(tape, BH, dcn);
    p->db = copy_or_zero(tape, p->q.G * H + H, NULL);
    if (p->phases == 2) p->drh = rv_tape_alloc(tape, (size_t)BH * sizeof(rv_real));
    return rv_tape_status(tape) == RV_OK && rv__pass_pack(tape, p, NULL);
}

void rv__give_biases(const rv__pass *p, rv_tensor *b_ih, rv_tensor *b_hh) {
    int64_t H = p->q.H;
    rv__give(b_ih, p->db);
    if (p->q.cell == RV_CELL_GRU)
        memcpy(p->db + 2 * H, p->db + 3 * H, (size_t)H * sizeof *p->db); /* b_hh's n is inside r ( ) */
    rv__give(b_hh, p->db);
}

void rv__recurrent_backward(rv_tape *tape, rv_node *node) {
    rv_tensor *x = node->in[0], *w_ih = node->in[1], *w_hh = node->in[2], *b_ih = node->in[3], *b_hh = node->in[4],
              *h0 = node->in[5];
    rv__pass p = {.q = *(rv__seq *)node->ctx, .dy = rv_out_grad(node, 0)};
    rv__seq *q = &p.q;
    int64_t T = q->T, B = q->B, I = q->I, GH = q->G * q->H;
    p.steps = T + (h0 && h0->needs_grad);
    rv_arena_mark mark = rv_tape_mark(tape); /* all that follows is scratch */
    rv_real *start = q->has_h0 ? rv_tape_alloc(tape, (size_t)(B * GH) * sizeof *start) : NULL;
    if (!rv__pass_backward(tape, &p, rv_out_grad(node, 1), rv_out_grad(node, 2))) return;

    zero_padding(q);
    rv__pass_run(&p);

    bool acc;
    rv_real *g = rv_grad(w_ih, &acc);
    if (g)
        rv_gemm_run(&(rv_gemm){.ta = true,
                               .m = GH,
                               .n = I,
                               .k = T * B,
                               .a = q->gates,
                               .lda = q->ld,
                               .b = x->x,
                               .ldb = I,
                               .c = g,
                               .ldc = I,
                               .accumulate = acc});
    g = rv_grad(w_hh, &acc);
    if (g) rv__recurrent_weight_grad(q, g, acc, start);
    g = rv_grad(x, &acc);
    if (g)
        rv_gemm_run(&(rv_gemm){.m = T * B,
                               .n = I,
                               .k = GH,
                               .a = q->gates,
                               .lda = q->ld,
                               .b = w_ih->x,
                               .ldb = I,
                               .c = g,
                               .ldc = I,
                               .accumulate = acc});
    rv__give_biases(&p, b_ih, b_hh);
    rv__give(h0, p.dh);
    rv__give(node->in[6], p.dc);
    rv_tape_rewind(tape, mark);
}

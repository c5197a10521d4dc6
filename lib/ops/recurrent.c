/* A recurrent layer over a whole sequence: one product for all inputs, then the recurrence, with the weights packed
 * once.
 *
 * The threads share out the hidden units, in panels of the packed weights: a thread computes all gates of its units for
 * all rows, and one barrier per phase separates the steps. A unit's value is the same whoever computes it, and no row
 * looks at another, so neither threads, nor batch-mates, nor padding change a bit. */
#include <omp.h>
#include <string.h>

#include "kernels/flops.h"
#include "ops/recurrent_private.h"

int rv_cell_gates(rv_cell cell) { return cell == RV_CELL_LSTM ? 4 : rv__seq_is_gru(cell) ? 3 : 1; }

/* ---- running a pass */

/* Forward packs gate by gate, so that a range of units is the same panels of each; backward sums over gates, and packs
 * those of one product as one. */
bool rv__pass_pack(rv_tape *tape, rv__pass *p, const rv_tensor *w_hh) {
    const rv__seq *q = &p->q;
    if (w_hh && (p->packed = rv_tape_packed(tape, w_hh, 0, q->H, q->G))) {
        for (int64_t g = 0; g < q->G; g++) p->packed_at[g] = (size_t)g * rv_tape_packed_bytes(w_hh, q->H, q->G);
        return true;
    }
    if (q->T < RV__PACK_MIN_STEPS) return true;
    int64_t H = q->H, G = q->G, step = !p->back ? 1 : rv__seq_is_gru(q->cell) ? 2 : G;
    size_t bytes = 0;
    for (int64_t g = 0; g < G; g += step) {
        p->packed_at[g] = bytes;
        bytes += (rv_gemm_packed_bytes(H, (g + step < G ? step : G - g) * H) + RV_ALIGN - 1) / RV_ALIGN * RV_ALIGN;
    }
    char *packed = rv_tape_alloc(tape, bytes);
    if (!packed) return false;
    for (int64_t g = 0; g < G; g += step)
        rv_gemm_pack_b(!p->back, H, (g + step < G ? step : G - g) * H, q->w_hh + g * H * H, H,
                       packed + p->packed_at[g]);
    p->packed = packed;
    return true;
}

static rv_gemm product_gemm(const rv__pass *p, const rv__product *m) {
    int64_t H = p->q.H;
    return (rv_gemm){.tb = !p->back,
                     .m = m->rows,
                     .n = p->back ? H : m->gates * H,
                     .k = p->back ? m->gates * H : H,
                     .a = m->a,
                     .lda = m->lda,
                     .b = p->q.w_hh + m->gate * H * H,
                     .ldb = H,
                     .c = m->c,
                     .ldc = m->ldc,
                     .accumulate = m->accumulate,
                     .bias = m->bias};
}

int rv__pass_columns(const rv__pass *p, int64_t s, int phase, int64_t u0, int64_t u1, rv_gemm_columns *out) {
    const int64_t H = p->q.H;
    rv__product m[2];
    int n = 0, products = p->products(p, s, phase, m);
    for (int i = 0; i < products && u0 < u1; i++)
        for (int gate = 0; m[i].rows > 0 && gate < (p->back ? 1 : m[i].gates); gate++) {
            rv_gemm g = product_gemm(p, &m[i]);
            g.n = H;
            g.c += gate * H;
            if (!p->back) g.b += gate * H * H;
            out[n++] = (rv_gemm_columns){g, p->packed ? p->packed + p->packed_at[m[i].gate + gate] : NULL, u0, u1};
        }
    return n;
}

static void multiply_here(const rv_gemm_columns *c) {
    rv_gemm g = c->g;
    g.n = c->n1 - c->n0;
    g.b += c->n0 * (g.tb ? g.ldb : 1);
    g.c += c->n0;
    if (g.bias) g.bias += c->n0;
    rv_gemm_serial(&g);
}

void rv__multiply_columns(int count, const rv_gemm_columns *c) {
    for (int i = 0, same; i < count; i += same) {
        const rv_gemm *g = &c[i].g;
        same = 1;
        if (!c[i].packed_b) {
            multiply_here(&c[i]);
            continue;
        }
        while (i + same < count && c[i + same].g.a == g->a && c[i + same].g.m == g->m && c[i + same].g.k == g->k &&
               c[i + same].packed_b)
            same++;
        rv_gemm_packed_all(same, &c[i]);
    }
}

/* The first step has no state to multiply with unless it is given one; in backward none to give a gradient to. The
 * candidate of a GRU has a product of its own. */
double rv__pass_flops(const rv__pass *p) {
    const rv__seq *q = &p->q;
    int64_t rows = q->T * q->B, first = q->B;
    if (q->lengths) {
        rows = 0;
        first = rv__seq_rows(q, rv__seq_time(q, 0));
        for (int64_t t = 0; t < q->T; t++) rows += rv__seq_rows(q, t);
    }
    const int64_t carried = (p->back ? p->steps > q->T : q->has_h0) ? rows : rows - first;
    int64_t gates = carried * (rv__seq_is_gru(q->cell) ? 2 : q->G);
    if (rv__seq_is_gru(q->cell)) gates += p->back && q->cell == RV_CELL_GRU ? carried : rows;
    return 2 * (double)gates * (double)(q->H * q->H);
}

static void run_packed(const rv__pass *p) {
    const rv__seq *q = &p->q;
    rv__flops_add(rv__pass_flops(p));
    int64_t panel = rv_gemm_panel(), panels = (q->H + panel - 1) / panel;
    int threads = rv_threads_for(2. * (double)q->B * (double)q->G * (double)q->H * (double)q->H);
    if (threads > panels) threads = (int)panels;
    rv_barrier steps = {0};
#pragma omp parallel num_threads(threads)
    {
        int64_t me = omp_get_thread_num(), all = omp_get_num_threads();
        int64_t u0 = panels * me / all * panel, u1 = panels * (me + 1) / all * panel;
        if (u1 > q->H) u1 = q->H;
        for (int64_t s = 0; s < p->steps; s++)
            for (int phase = 0; phase < p->phases; phase++) {
                rv_gemm_columns c[RV__PASS_COLUMNS];
                rv__multiply_columns(rv__pass_columns(p, s, phase, u0, u1, c), c);
                p->pointwise(p, s, phase, u0, u1);
                rv_barrier_wait(&steps, (int)all);
            }
    }
}

static void run_direct(const rv__pass *p) {
    const rv__seq *q = &p->q;
    int64_t panel = rv_gemm_panel(), panels = (q->H + panel - 1) / panel;
    int threads = rv_threads_for(20. * (double)(q->B * q->G * q->H));
    for (int64_t s = 0; s < p->steps; s++)
        for (int phase = 0; phase < p->phases; phase++) {
            rv__product m[2];
            int n = p->products(p, s, phase, m);
            for (int i = 0; i < n; i++) {
                rv_gemm g = product_gemm(p, &m[i]);
                if (g.m > 0) rv_gemm_run(&g);
            }
            if (threads == 1) {
                p->pointwise(p, s, phase, 0, q->H);
                continue;
            }
#pragma omp parallel for schedule(static) num_threads(threads)
            for (int64_t u = 0; u < panels; u++) {
                int64_t end = (u + 1) * panel;
                p->pointwise(p, s, phase, u * panel, end < q->H ? end : q->H);
            }
        }
}

void rv__pass_run(const rv__pass *p) {
    if (p->packed)
        run_packed(p);
    else
        run_direct(p);
}

/* ---- forward */

static int forward_products(const rv__pass *p, int64_t s, int phase, rv__product *out) {
    const rv__seq *q = &p->q;
    int64_t t = rv__seq_time(q, s), BH = q->B * q->H, rows = rv__seq_rows(q, t);
    rv_real *gates = rv__seq_gates(q, t), *hp = q->hp + t * q->keep * BH;
    if (phase == 1) {
        out[0] = (rv__product){.gate = 2,
                               .gates = 1,
                               .a = hp,
                               .lda = q->H,
                               .c = gates + 2 * q->H,
                               .ldc = q->ld,
                               .rows = rows,
                               .accumulate = true};
        return 1;
    }
    const rv_real *h = s ? q->y + (q->reverse ? t + 1 : t - 1) * BH : q->h0;
    int n = 0, plain = rv__seq_is_gru(q->cell) ? 2 : (int)q->G;
    if (s || q->has_h0)
        out[n++] = (rv__product){
            .gates = plain, .a = h, .lda = q->H, .c = gates, .ldc = q->ld, .rows = rows, .accumulate = true};
    if (q->cell == RV_CELL_GRU)
        out[n++] = (rv__product){
            .gate = 2, .gates = 1, .a = h, .lda = q->H, .c = hp, .ldc = q->H, .rows = rows, .bias = p->b_hn};
    return n;
}

static void forward_pointwise(const rv__pass *p, int64_t s, int phase, int64_t u0, int64_t u1) {
    const rv__seq *q = &p->q;
    const rv_kernels *k = rv_k();
    void (*const kernel[][2])(const rv_cell_row *) = {
        [RV_CELL_RNN_TANH] = {k->cell_rnn_tanh},
        [RV_CELL_RNN_RELU] = {k->cell_rnn_relu},
        [RV_CELL_LSTM] = {k->cell_lstm},
        [RV_CELL_GRU] = {k->cell_gru},
        [RV_CELL_GRU_RESET_BEFORE] = {k->cell_gru_before_rz, k->cell_gru_before_n},
    };
    int64_t t = rv__seq_time(q, s), H = q->H, rows = rv__seq_rows(q, t);
    for (int64_t b = 0; b < rows; b++) {
        if (t >= rv__seq_length(q, b)) continue;
        int64_t at = (t * q->B + b) * H + u0, kept = (t * q->keep * q->B + b) * H + u0;
        rv_cell_row row = {.n = u1 - u0,
                           .stride = H,
                           .gate = rv__seq_gates(q, t) + b * q->ld + u0,
                           .h = q->y + at,
                           .h_prev = rv__seq_prev(q, q->h0, q->y, 1, t, b) + u0};
        if (q->hp) row.hp = q->hp + kept;
        if (q->c) {
            row.c = q->c + kept;
            row.c_prev = rv__seq_prev(q, q->c0, q->c, q->keep, t, b) + u0;
        }
        kernel[q->cell][phase](&row);
    }
}

void rv__pass_forward(rv__pass *p) {
    p->steps = p->q.T;
    p->phases = rv__seq_two_phases(p->q.cell) ? 2 : 1;
    p->products = forward_products;
    p->pointwise = forward_pointwise;
}

/* Rows of y at padded steps are 0. In reverse, the one after a row's last valid step holds its initial state while the
 * recurrence runs, so that the product of its first step reads it like any other. */
static void fill_padding(const rv__seq *q, bool with_h0) {
    if (!q->lengths) return;
    size_t bytes = (size_t)q->H * sizeof(rv_real);
    for (int64_t b = 0; b < q->B; b++)
        for (int64_t t = q->lengths[b]; t < q->T; t++) {
            rv_real *row = q->y + (t * q->B + b) * q->H;
            if (with_h0 && q->reverse && t == q->lengths[b])
                memcpy(row, q->h0 + b * q->H, bytes);
            else
                memset(row, 0, bytes);
        }
}

static void last_states(const rv__seq *q, const rv_real *init, const rv_real *states, int64_t keep, rv_real *out) {
    for (int64_t b = 0; b < q->B; b++) {
        int64_t len = rv__seq_length(q, b), t = q->reverse ? 0 : len - 1;
        const rv_real *from = len ? states + (t * keep * q->B + b) * q->H : init + b * q->H;
        memcpy(out + b * q->H, from, (size_t)q->H * sizeof *out);
    }
}

/* What is added to every step's input product; the n of a GRU keeps b_hh apart, since r multiplies it. */
void rv__sum_biases(rv_cell cell, int64_t H, const rv_tensor *b_ih, const rv_tensor *b_hh, rv_real *out) {
    int64_t n = rv_cell_gates(cell) * H, both = cell == RV_CELL_GRU ? 2 * H : n;
    for (int64_t i = 0; i < n; i++) out[i] = (b_ih ? b_ih->x[i] : 0) + (b_hh && i < both ? b_hh->x[i] : 0);
}

static bool is_shape(const rv_tensor *t, int ndim, int64_t d0, int64_t d1) {
    return !t || (t->ndim == ndim && t->dim[0] == d0 && (ndim < 2 || t->dim[1] == d1));
}

static bool check(rv_tape *tape, rv_cell cell, rv_tensor *x, rv_tensor *const *in, const int32_t *lengths) {
    static const char *const name[] = {"x", "w_ih", "w_hh", "b_ih", "b_hh", "h0", "c0"};
    char xs[RV_SHAPE_TEXT], s[RV_SHAPE_TEXT];
    rv_tensor *w_hh = in[2];
    int64_t G = rv_cell_gates(cell), H = w_hh->ndim == 2 ? w_hh->dim[1] : 0;
    if (x->ndim != 3 || rv_numel(x) == 0)
        return rv_tape_fail(tape, RV_ESHAPE,
                            "recurrent: x has shape %s; it must be (steps, batch, inputs), none of them 0",
                            rv_shape_text(x, xs, sizeof xs));
    if (H == 0)
        return rv_tape_fail(tape, RV_ESHAPE, "recurrent: w_hh has shape %s; it must be (%d H, H)",
                            rv_shape_text(w_hh, s, sizeof s), (int)G);
    int64_t T = x->dim[0], B = x->dim[1],
            want[7][2] = {{0}, {G * H, x->dim[2]}, {G * H, H}, {G * H}, {G * H}, {B, H}, {B, H}};
    for (int i = 1; i < 7; i++)
        if (!is_shape(in[i], i == 3 || i == 4 ? 1 : 2, want[i][0], want[i][1]))
            return rv_tape_fail(
                tape, RV_ESHAPE,
                "recurrent: %s has shape %s; with x %s, %d gates and H = %lld it must be (%lld%s%.0lld)", name[i],
                rv_shape_text(in[i], s, sizeof s), rv_shape_text(x, xs, sizeof xs), (int)G, (long long)H,
                (long long)want[i][0], want[i][1] ? ", " : "", (long long)want[i][1]);
    if (in[6] && cell != RV_CELL_LSTM)
        return rv_tape_fail(tape, RV_ESHAPE, "recurrent: c0 is given, but only an LSTM has a cell state; pass NULL");
    for (int64_t b = 0; lengths && b < B; b++)
        if (lengths[b] < 0 || lengths[b] > T)
            return rv_tape_fail(tape, RV_ESHAPE, "recurrent: row %lld has length %d, outside 0 to %lld, the steps of x",
                                (long long)b, lengths[b], (long long)T);
    return true;
}

rv_sequence rv_recurrent(rv_tape *tape, rv_cell cell, rv_tensor *x, rv_tensor *w_ih, rv_tensor *w_hh, rv_tensor *b_ih,
                         rv_tensor *b_hh, rv_tensor *h0, rv_tensor *c0, const int32_t *lengths, bool reverse) {
    const rv_sequence none = {0};
    rv_tensor *in[] = {x, w_ih, w_hh, b_ih, b_hh, h0, c0};
    if (!x || !w_ih || !w_hh || !check(tape, cell, x, in, lengths)) return none;
    int64_t T = x->dim[0], B = x->dim[1], I = x->dim[2], H = w_hh->dim[1], G = rv_cell_gates(cell), GH = G * H,
            BH = B * H;
    size_t state_bytes = (size_t)BH * sizeof(rv_real),
           gate_bytes = (size_t)(T * B) * (size_t)rv__gates_ld(GH) * sizeof(rv_real);
    bool lstm = cell == RV_CELL_LSTM;
    const int64_t y_dim[] = {T, B, H};
    rv_sequence out = {.y = rv_tape_tensor(tape, 3, y_dim), .hn = rv_tape_tensor(tape, 2, y_dim + 1)};
    if (lstm) out.cn = rv_tape_tensor(tape, 2, y_dim + 1);
    if (!out.y || !out.hn || (lstm && !out.cn)) return none;

    rv_tensor *outs[] = {out.y, out.hn, out.cn};
    rv_node *node = rv_tape_record(tape, &rv__op_recurrent, 7, in, 3, outs, sizeof(rv__seq));
    rv_real *zeros = NULL;
    if (!h0 || (lstm && !c0)) {
        if (!(zeros = rv_tape_alloc(tape, state_bytes))) return none;
        memset(zeros, 0, state_bytes);
    }
    rv__pass p = {.q = {.cell = cell,
                        .T = T,
                        .B = B,
                        .I = I,
                        .H = H,
                        .G = G,
                        .lengths = lengths,
                        .reverse = reverse,
                        .has_h0 = h0 != NULL,
                        .w_hh = w_hh->x,
                        .h0 = h0 ? h0->x : zeros,
                        .c0 = c0 ? c0->x : zeros,
                        .y = out.y->x,
                        .ld = rv__gates_ld(GH),
                        .keep = node != NULL}};
    rv__seq *q = &p.q;
    rv__pass_forward(&p);
    rv_arena_mark mark = rv_tape_mark(tape);
    size_t kept_bytes = node ? (size_t)T * state_bytes : state_bytes;
    q->gates = rv_tape_alloc(tape, gate_bytes);
    if (rv__seq_is_gru(cell)) q->hp = rv_tape_alloc(tape, kept_bytes);
    if (lstm) q->c = rv_tape_alloc(tape, kept_bytes);
    if (node) {
        *(rv__seq *)node->ctx = *q;
        mark = rv_tape_mark(tape); /* what follows is scratch */
    }
    rv_real *bias = b_ih || b_hh ? rv_tape_alloc(tape, (size_t)GH * sizeof *bias) : NULL;
    if (rv_tape_status(tape) != RV_OK || !rv__pass_pack(tape, &p, w_hh)) return none;

    if (bias) rv__sum_biases(cell, H, b_ih, b_hh, bias);
    if (cell == RV_CELL_GRU && b_hh) p.b_hn = b_hh->x + 2 * H;
    rv_gemm_run(&(rv_gemm){.tb = true,
                           .m = T * B,
                           .n = GH,
                           .k = I,
                           .a = x->x,
                           .lda = I,
                           .b = w_ih->x,
                           .ldb = I,
                           .c = q->gates,
                           .ldc = q->ld,
                           .bias = bias,
                           .packed_b = rv_tape_packed(tape, w_ih, 0, I, 1)});
    fill_padding(q, h0 != NULL);
    rv__pass_run(&p);
    if (reverse && h0) fill_padding(q, false);
    last_states(q, q->h0, q->y, 1, out.hn->x);
    if (lstm) last_states(q, q->c0, q->c, q->keep, out.cn->x);
    rv_tape_rewind(tape, mark); /* nothing recorded lies above the mark */
    return out;
}

/* ---- for the gradient check */

typedef struct {
    bool bias, states, ragged, reverse;
    int64_t T, H;
    int out; /* y, hn or cn */
} variant;

static rv_tensor *build(rv_tape *tape, rv_cell cell, const variant *v) {
    static const int32_t lengths[] = {4, 6, 0, 1};
    int64_t H = v->H, GH = rv_cell_gates(cell) * H, I = H > 8 ? 7 : 3, B = 4;
    rv_tensor *x = rv_sample_leaf(tape, -1, 1, 3, (int64_t[]){v->T, B, I});
    rv_tensor *w_ih = rv_sample_leaf(tape, -1, 1, 2, (int64_t[]){GH, I});
    rv_tensor *w_hh = rv_sample_leaf(tape, -1, 1, 2, (int64_t[]){GH, H});
    rv_tensor *b_ih = v->bias ? rv_sample_leaf(tape, -1, 1, 1, &GH) : NULL;
    rv_tensor *b_hh = v->bias ? rv_sample_leaf(tape, -1, 1, 1, &GH) : NULL;
    rv_tensor *h0 = v->states ? rv_sample_leaf(tape, -1, 1, 2, (int64_t[]){B, H}) : NULL;
    rv_tensor *c0 = h0 && cell == RV_CELL_LSTM ? rv_sample_leaf(tape, -1, 1, 2, (int64_t[]){B, H}) : NULL;
    rv_sequence s = rv_recurrent(tape, cell, x, w_ih, w_hh, b_ih, b_hh, h0, c0, v->ragged ? lengths : NULL, v->reverse);
    return v->out == 0 ? s.y : v->out == 1 ? s.hn : s.cn;
}

static rv_tensor *sample(rv_tape *tape, int k) {
    /* Every cell, with: everything; nothing optional; ragged; ragged and reverse, where length 0 and full length occur.
     */
    enum { VARIANTS = 5, CELLS = 5, PACKED = RV__PACK_MIN_STEPS, DIRECT = PACKED - 1, WIDE = 33 };
    static const variant all[VARIANTS] = {
        {true, true, false, false, 6, 5, 0}, {false, false, false, true, 2, 3, 0}, {true, false, true, false, 6, 4, 0},
        {true, true, true, true, 6, 3, 0},   {true, true, true, true, 6, 3, 1},
    };
    /* The last cell states; and units for more than one thread, in one phase and in two. */
    static const struct {
        rv_cell cell;
        variant as;
    } more[] = {
        {RV_CELL_LSTM, {true, true, true, true, 6, 3, 2}},
        {RV_CELL_LSTM, {true, false, true, false, 6, 4, 2}},
        {RV_CELL_LSTM, {true, false, false, false, PACKED, WIDE, 0}},
        {RV_CELL_GRU_RESET_BEFORE, {true, true, false, false, PACKED, WIDE, 0}},
        {RV_CELL_GRU, {false, true, false, false, DIRECT, WIDE, 0}},
    };
    if (k < VARIANTS * CELLS) return build(tape, (rv_cell)(k / VARIANTS), &all[k % VARIANTS]);
    k -= VARIANTS * CELLS;
    return k < (int)(sizeof more / sizeof *more) ? build(tape, more[k].cell, &more[k].as) : NULL;
}

const rv_op rv__op_recurrent = {.name = "recurrent",
                                .backward = rv__recurrent_backward,
                                .sample = sample,
                                .flags = RV_OP_USES_OUTPUT,
                                .smooth = true};

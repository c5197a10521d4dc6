/* Backward of rv_attention_recurrent: one parallel region takes the steps from the last to the first, in the opposite
 * order of forward; then each parameter's gradient is one product over all steps and rows at once. */
#include <omp.h>
#include <string.h>

#include "kernels/flops.h"
#include "ops/attention_recurrent_private.h"

typedef struct {
    rv__attention_seq *a;
    rv__pass pass;
    rv__factor query, position, out_context, out_state, input;
    rv_real *dcontext; /* (T, B, D) */
    rv_real *doutput;  /* (T, B, O): first of a, then of what is inside its tanh; NULL when nothing depends on it */
    rv_real *dscore;   /* (T, B, S) */
    rv_real *dquery;   /* (T, B, A), additive */
    rv_real *dhidden;  /* (T, B, P), local: of what is inside the tanh */
    rv_real *dkeys;    /* additive: the gradient itself, or NULL */
    rv_real *dv, *dv_position; /* (B, A), (B, P): each row's own sum */
} backward;

/* ---- the steps */

/* Gradient of a step's p, given that of its weights (in dscore's place): dscore becomes the scores' own. */
static double local_scores(const rv__attention_seq *a, double p, rv_range seen, const rv_real *w, const rv_real *soft,
                           rv_real *dscore) {
    const double deviation = a->r.window / 2;
    double sum = 0, dp = 0;
    for (int64_t s = seen.begin; s < seen.end; s++) {
        double d = (double)w[s] * (double)dscore[s];
        sum += d;
        dp += d * ((double)s - p) / (deviation * deviation);
    }
    for (int64_t s = seen.begin; s < seen.end; s++)
        dscore[s] = (rv_real)((double)w[s] * (double)dscore[s] - (double)soft[s] * sum);
    return dp;
}

/* From the context's gradient at step t to those of row b's query and keys. */
static void attend_row_back(const backward *k, int64_t t, int64_t b) {
    const rv__attention_seq *a = k->a;
    const rv__seq *q = &a->q;
    const rv_kernels *kernel = rv_k();
    const int64_t at = t * q->B + b, begin = rv__attended(a, t, b).begin, n = rv__attended(a, t, b).end - begin,
                  first = b * a->S + begin;
    const rv_real *w = a->weights + at * a->S, *keys = a->r.keys->x + first * a->A;
    rv_real *dscore = k->dscore + at * a->S, dp = 0;
    memset(dscore, 0, (size_t)a->S * sizeof *dscore);
    if (n > 0) {
        kernel->dot_scores(n, a->D, k->dcontext + at * a->D, a->r.memory->x + first * a->D, dscore + begin);
        if (a->position)
            dp = (rv_real)local_scores(a, (double)a->position[at], (rv_range){begin, begin + n}, w, a->soft + at * a->S,
                                       dscore);
        else
            kernel->softmax_back_row(n, w + begin, dscore + begin, dscore + begin, false);
    }
    if (a->r.score == RV_SCORE_ADDITIVE)
        kernel->additive_back(n, a->A, a->query + at * a->A, a->r.v->x, keys, dscore + begin, k->dquery + at * a->A,
                              k->dkeys ? k->dkeys + first * a->A : NULL, k->dv + b * a->A);
    else
        kernel->weighted_rows(n, a->A, dscore + begin, keys, k->pass.dh + b * q->H, true);
    if (!a->position) return;
    /* p = len sigmoid(z), z = v_p . hidden */
    const rv_real len = (rv_real)rv__memory_length(a, b), p = a->position[at], dz = n > 0 ? dp * p * (1 - p / len) : 0;
    const rv_real *hidden = a->hidden + at * a->P, *v = a->r.v_position->x;
    for (int64_t i = 0; i < a->P; i++) {
        k->dhidden[at * a->P + i] = dz * v[i] * (1 - hidden[i] * hidden[i]);
        k->dv_position[b * a->P + i] += dz * hidden[i];
    }
}

static void attend_back(const backward *k, int64_t t, rv__team team) {
    const rv_range rows = rv__team_rows(team, k->a->q.B);
    for (int64_t b = rows.begin; b < rows.end; b++) attend_row_back(k, t, b);
    rv__team_meet(team);
}

/* What step t's query owes to the state that asked. */
static void query_back(const backward *k, int64_t t, rv_range units) {
    const rv__attention_seq *a = k->a;
    const int64_t B = a->q.B, H = a->q.H;
    rv_gemm_columns c[2];
    int n = 0;
    if (a->query) c[n++] = rv__factor_columns(&k->query, B, k->dquery + t * B * a->A, a->A, k->pass.dh, H, true, units);
    if (a->position)
        c[n++] = rv__factor_columns(&k->position, B, k->dhidden + t * B * a->P, a->P, k->pass.dh, H, true, units);
    rv__multiply_columns(n, c);
}

/* From a_t to what it was made of. */
static void output_back(const backward *k, int64_t t, rv__team team, rv_range units) {
    const rv__attention_seq *a = k->a;
    const int64_t B = a->q.B, at = t * B * a->O;
    const rv_range own = rv__team_columns(team, a->O);
    for (int64_t b = 0; b < B && own.begin < own.end; b++) {
        const int64_t i = at + b * a->O + own.begin;
        rv_k()->vact_back(RV_ACT_TANH, own.end - own.begin, a->output + i, k->doutput + i, k->doutput + i, false);
    }
    rv__team_meet(team);
    const rv_gemm_columns c[] = {
        rv__factor_columns(&k->out_context, B, k->doutput + at, a->O, k->dcontext + t * B * a->D, a->D, true,
                           rv__team_columns(team, a->D)),
        rv__factor_columns(&k->out_state, B, k->doutput + at, a->O, k->pass.dh, a->q.H, true, units)};
    rv__multiply_columns(2, c);
    rv__team_meet(team);
}

/* From the gates' gradients at step t, the s-th of backward, to the state before it and to what the cell read beside x.
 */
static void gates_back(const backward *k, int64_t s, rv__team team, rv_range units, bool to_h0) {
    const rv__attention_seq *a = k->a;
    const rv__seq *q = &a->q;
    const int64_t B = q->B, t = q->T - 1 - s;
    const rv_real *gates = rv__seq_gates(q, t);
    rv_gemm_columns c[RV__PASS_COLUMNS + 1];
    int n = t || to_h0 ? rv__pass_columns(&k->pass, s + 1, 0, units.begin, units.end, c) : 0;
    if (!a->r.query_current)
        c[n++] = rv__factor_columns(&k->input, B, gates, q->ld, k->dcontext + t * B * a->D, a->D, true,
                                    rv__team_columns(team, a->D));
    else if (a->F && t)
        c[n++] = rv__factor_columns(&k->input, B, gates, q->ld, k->doutput + (t - 1) * B * a->O, a->O, true,
                                    rv__team_columns(team, a->O));
    rv__multiply_columns(n, c);
    rv__team_meet(team);
}

static void run(const backward *k, bool to_h0) {
    const rv__attention_seq *a = k->a;
    const rv__seq *q = &a->q;
    const bool current = a->r.query_current;
    rv_barrier barrier = {0};
#pragma omp parallel num_threads(rv_threads_for(2 * rv__attention_work(a)))
    {
        const rv__team team = {omp_get_thread_num(), omp_get_num_threads(), &barrier};
        const rv_range units = rv__team_columns(team, q->H);
        for (int64_t s = 0; s < q->T; s++) {
            const int64_t t = q->T - 1 - s;
            if (k->doutput) output_back(k, t, team, units);
            if (current) attend_back(k, t, team);
            if (current || s) query_back(k, current ? t : t + 1, units);
            k->pass.pointwise(&k->pass, s, 0, units.begin, units.end);
            rv__team_meet(team);
            if (k->pass.phases == 2) {
                rv_gemm_columns c[RV__PASS_COLUMNS];
                rv__multiply_columns(rv__pass_columns(&k->pass, s, 1, units.begin, units.end, c), c);
                k->pass.pointwise(&k->pass, s, 1, units.begin, units.end);
                rv__team_meet(team);
            }
            gates_back(k, s, team, units, to_h0);
            if (!current) attend_back(k, t, team);
        }
        if (to_h0 && !current) query_back(k, 0, units);
    }
}

/* ---- the sums over all steps */

/* c (n, width; rows ldc apart) = or += sum over steps of d_t^T before_t, with d (T, B, n; rows ld apart), and before_t
 * = states[t - 1] of (T, B, width), at the first step `first` (NULL: zeros). */
static void before_weight_grad(const rv__seq *q, int64_t n, const rv_real *d, int64_t ld, int64_t wide,
                               const rv_real *first, const rv_real *states, rv_real *c, int64_t ldc, bool acc) {
    const int64_t B = q->B;
    rv_gemm g = {.ta = true,
                 .m = n,
                 .n = wide,
                 .k = (q->T - 1) * B,
                 .a = d + B * ld,
                 .lda = ld,
                 .b = states,
                 .ldb = wide,
                 .c = c,
                 .ldc = ldc,
                 .accumulate = acc};
    rv_gemm_run(&g);
    if (!first) return;
    g.k = B, g.a = d, g.b = first, g.accumulate = true;
    rv_gemm_run(&g);
}

/* The same over the states that asked. */
static void query_weight_grad(const rv__attention_seq *a, int64_t n, const rv_real *d, rv_tensor *w) {
    const rv__seq *q = &a->q;
    bool acc;
    rv_real *g = rv_grad(w, &acc);
    if (!g) return;
    if (a->r.query_current)
        rv_gemm_run(&(rv_gemm){.ta = true,
                               .m = n,
                               .n = q->H,
                               .k = q->T * q->B,
                               .a = d,
                               .lda = n,
                               .b = q->y,
                               .ldb = q->H,
                               .c = g,
                               .ldc = q->H,
                               .accumulate = acc});
    else
        before_weight_grad(q, n, d, n, q->H, q->has_h0 ? q->h0 : NULL, q->y, g, q->H, acc);
}

static void input_grads(const rv__attention_seq *a) {
    const rv__seq *q = &a->q;
    const rv_attention_recurrence *r = &a->r;
    const int64_t rows = q->T * q->B, GH = q->G * q->H, in = a->E + a->F;
    bool acc;
    rv_real *g = rv_grad(r->w_ih, &acc);
    if (g) {
        rv_gemm_run(&(rv_gemm){.ta = true,
                               .m = GH,
                               .n = a->E,
                               .k = rows,
                               .a = q->gates,
                               .lda = q->ld,
                               .b = r->x->x,
                               .ldb = a->E,
                               .c = g,
                               .ldc = in,
                               .accumulate = acc});
        if (r->feed)
            before_weight_grad(q, GH, q->gates, q->ld, a->O, r->feed->x, a->output, g + a->E, in, acc);
        else if (a->F)
            rv_gemm_run(&(rv_gemm){.ta = true,
                                   .m = GH,
                                   .n = a->D,
                                   .k = rows,
                                   .a = q->gates,
                                   .lda = q->ld,
                                   .b = a->context,
                                   .ldb = a->D,
                                   .c = g + a->E,
                                   .ldc = in,
                                   .accumulate = acc});
    }
    g = rv_grad(r->x, &acc);
    if (g)
        rv_gemm_run(&(rv_gemm){.m = rows,
                               .n = a->E,
                               .k = GH,
                               .a = q->gates,
                               .lda = q->ld,
                               .b = r->w_ih->x,
                               .ldb = in,
                               .c = g,
                               .ldc = a->E,
                               .accumulate = acc});
    g = rv_grad(r->feed, &acc);
    if (g)
        rv_gemm_run(&(rv_gemm){.m = q->B,
                               .n = a->O,
                               .k = GH,
                               .a = q->gates,
                               .lda = q->ld,
                               .b = r->w_ih->x + a->E,
                               .ldb = in,
                               .c = g,
                               .ldc = a->O,
                               .accumulate = acc});
}

/* Row by row: g (S, wide) = or += sum over steps from `from` on of w_t^T of_t, w (T, B, S), of (T, B, wide). */
static void rows_grad(const rv__attention_seq *a, int64_t steps, const rv_real *w, const rv_real *of, int64_t wide,
                      rv_real *g, bool acc) {
    const int64_t B = a->q.B;
    rv_gemm_run(&(rv_gemm){.ta = true,
                           .m = a->S,
                           .n = wide,
                           .k = steps,
                           .a = w,
                           .lda = B * a->S,
                           .b = of,
                           .ldb = B * wide,
                           .c = g,
                           .ldc = wide,
                           .accumulate = acc,
                           .batch = B,
                           .stride_a = a->S,
                           .stride_b = wide,
                           .stride_c = a->S * wide});
}

static void memory_grads(const backward *k) {
    const rv__attention_seq *a = k->a;
    const rv__seq *q = &a->q;
    bool acc;
    rv_real *g = a->r.score == RV_SCORE_DOT ? rv_grad(a->r.keys, &acc) : NULL;
    if (g && a->r.query_current) rows_grad(a, q->T, k->dscore, q->y, a->A, g, acc);
    if (g && !a->r.query_current) {
        rows_grad(a, 1, k->dscore, q->h0, a->A, g, acc);
        rows_grad(a, q->T - 1, k->dscore + q->B * a->S, q->y, a->A, g, true);
    }
    g = rv_grad(a->r.memory, &acc);
    if (g) rows_grad(a, q->T, a->weights, k->dcontext, a->D, g, acc);
}

static void output_grads(const backward *k) {
    const rv__attention_seq *a = k->a;
    const rv__seq *q = &a->q;
    bool acc;
    rv_real *g = rv_grad(a->r.w_out, &acc);
    if (!g) return;
    const int64_t both = a->D + q->H;
    if (!k->doutput) {
        if (!acc) memset(g, 0, (size_t)(a->O * both) * sizeof *g);
        return;
    }
    rv_gemm w = {.ta = true,
                 .m = a->O,
                 .n = a->D,
                 .k = q->T * q->B,
                 .a = k->doutput,
                 .lda = a->O,
                 .b = a->context,
                 .ldb = a->D,
                 .c = g,
                 .ldc = both,
                 .accumulate = acc};
    rv_gemm_run(&w);
    w.n = w.ldb = q->H, w.b = q->y, w.c += a->D;
    rv_gemm_run(&w);
}

/* The rows' sums added up. */
static void give_rows(rv_tensor *v, int64_t rows, rv_real *d) {
    const int64_t n = v ? rv_numel(v) : 0;
    if (!n || !v->needs_grad) return;
    rv_k()->vsum_columns(rows, n, d, n, d);
    rv__give(v, d);
}

/* ---- setting up */

static rv_real *zeros(rv_tape *tape, int64_t n) {
    rv_real *r = rv_tape_alloc(tape, (size_t)n * sizeof *r);
    if (r) memset(r, 0, (size_t)n * sizeof *r);
    return r;
}

/* A gradient that more is added to. */
static rv_real *start_from(rv_tape *tape, int64_t n, const rv_real *g) {
    if (!g) return zeros(tape, n);
    rv_real *r = rv_tape_alloc(tape, (size_t)n * sizeof *r);
    if (r) memcpy(r, g, (size_t)n * sizeof *r);
    return r;
}

static bool prepare(rv_tape *tape, backward *k, const rv_node *node) {
    const rv__attention_seq *a = k->a;
    const rv__seq *q = &a->q;
    const rv_attention_recurrence *r = &a->r;
    const int64_t steps = q->T * q->B, GH = q->G * q->H, both = a->D + q->H;
    const rv_real *dout = a->O ? rv_out_grad(node, RV__AR_OUTPUT) : NULL;
    k->dcontext = start_from(tape, steps * a->D, rv_out_grad(node, RV__AR_CONTEXT));
    if (dout || r->feed) k->doutput = start_from(tape, steps * a->O, dout);
    k->dscore = rv_tape_alloc(tape, (size_t)(steps * a->S) * sizeof(rv_real));
    if (r->score == RV_SCORE_ADDITIVE) {
        k->dquery = rv_tape_alloc(tape, (size_t)(steps * a->A) * sizeof(rv_real));
        k->dv = zeros(tape, q->B * a->A);
        k->query = (rv__factor){.n = q->H, .k = a->A, .ld = q->H, .w = r->w_query->x};
    }
    if (r->w_position) {
        k->dhidden = rv_tape_alloc(tape, (size_t)(steps * a->P) * sizeof(rv_real));
        k->dv_position = zeros(tape, q->B * a->P);
        k->position = (rv__factor){.n = q->H, .k = a->P, .ld = q->H, .w = r->w_position->x};
    }
    if (k->doutput) {
        k->out_context = (rv__factor){.n = a->D, .k = a->O, .ld = both, .w = r->w_out->x};
        k->out_state = (rv__factor){.n = q->H, .k = a->O, .ld = both, .w = r->w_out->x + a->D};
    }
    if (a->F) k->input = (rv__factor){.n = a->F, .k = GH, .ld = a->E + a->F, .w = r->w_ih->x + a->E};
    return rv_tape_status(tape) == RV_OK && rv__factor_pack(tape, &k->query, q->T) &&
           rv__factor_pack(tape, &k->position, q->T) && rv__factor_pack(tape, &k->out_context, q->T) &&
           rv__factor_pack(tape, &k->out_state, q->T) && rv__factor_pack(tape, &k->input, q->T);
}

void rv__attention_recurrent_backward(rv_tape *tape, rv_node *node) {
    rv__attention_seq *a = node->ctx;
    const rv__seq *q = &a->q;
    const rv_attention_recurrence *r = &a->r;
    backward k = {.a = a, .pass = {.q = *q, .dy = rv_out_grad(node, RV__AR_H)}};
    rv_arena_mark mark = rv_tape_mark(tape); /* all that follows is scratch */
    rv_real *start = q->has_h0 ? rv_tape_alloc(tape, (size_t)(q->B * q->G * q->H) * sizeof *start) : NULL;
    if (!prepare(tape, &k, node) ||
        !rv__pass_backward(tape, &k.pass, rv_out_grad(node, RV__AR_HN), rv_out_grad(node, RV__AR_CN)))
        return;

    bool acc;
    if (r->score == RV_SCORE_ADDITIVE && (k.dkeys = rv_grad(r->keys, &acc)) && !acc)
        memset(k.dkeys, 0, (size_t)rv_numel(r->keys) * sizeof(rv_real));
    const bool to_h0 = r->h0 && r->h0->needs_grad;
    k.pass.steps = q->T + to_h0;
    const double products = (double)((a->A * (k.dquery != NULL) + a->P) * q->H +
                                     (k.doutput ? a->O * (a->D + q->H) : 0) + q->G * q->H * a->F);
    const double per_key = (double)a->D + (double)a->A * (r->score == RV_SCORE_DOT ? 1 : k.dkeys ? 3 : 2);
    rv__flops_add(rv__pass_flops(&k.pass) + rv__attention_flops(a, products, per_key));
    run(&k, to_h0);

    input_grads(a);
    rv_real *g = rv_grad(r->w_hh, &acc);
    if (g) rv__recurrent_weight_grad(q, g, acc, start);
    rv__give_biases(&k.pass, r->b_ih, r->b_hh);
    rv__give(r->h0, k.pass.dh);
    rv__give(r->c0, k.pass.dc);
    memory_grads(&k);
    output_grads(&k);
    query_weight_grad(a, a->A, k.dquery, r->w_query);
    query_weight_grad(a, a->P, k.dhidden, r->w_position);
    give_rows(r->v, q->B, k.dv);
    give_rows(r->v_position, q->B, k.dv_position);
    rv_tape_rewind(tape, mark);
}

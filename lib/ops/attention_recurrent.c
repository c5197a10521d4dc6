/* A decoder's recurrence with attention over all steps, as one node. One parallel region runs all steps; the threads
 * share out the columns of each product and the rows of the batch in each attention, with a barrier between the two. A
 * number is the same whoever computes it, and no row looks at another, so threads, batch-mates and padding change no
 * bit. */
#include "ops/attention_recurrent_private.h"

#include "kernels/flops.h"

#include <math.h>
#include <omp.h>
#include <string.h>

bool rv__factor_pack(rv_tape *tape, rv__factor *f, int64_t steps) {
    if (!f->w || steps < RV__PACK_MIN_STEPS) return true;
    void *packed = rv_tape_alloc(tape, rv_gemm_packed_bytes(f->n, f->k));
    if (!packed) return false;
    rv_gemm_pack_b(f->tb, f->n, f->k, f->w, f->ld, packed);
    f->packed = packed;
    return true;
}

rv_gemm_columns rv__factor_columns(const rv__factor *f, int64_t rows, const rv_real *a, int64_t lda, rv_real *out,
                                   int64_t ldo, bool accumulate, rv_range columns) {
    const rv_gemm g = {.tb = f->tb,
                       .m = rows,
                       .n = f->n,
                       .k = f->k,
                       .a = a,
                       .lda = lda,
                       .b = f->w,
                       .ldb = f->ld,
                       .c = out,
                       .ldc = ldo,
                       .accumulate = accumulate};
    return (rv_gemm_columns){g, f->packed, columns.begin, columns.end};
}

double rv__attention_work(const rv__attention_seq *a) {
    const rv__seq *q = &a->q;
    double steps = (double)(q->T * q->B), gates = (double)(q->G * q->H) * (double)(q->H + a->F),
           query = (double)((a->A + a->P) * q->H);
    return steps * (gates + query + (double)(a->O * (a->D + q->H)) + (double)a->S * (double)(10 * a->A + a->D));
}

double rv__attention_flops(const rv__attention_seq *a, double products, double per_key) {
    int64_t keys = 0;
    for (int64_t b = 0; b < a->q.B; b++) {
        const int64_t n = rv__memory_length(a, rv__memory_row(a, b)), window = 2 * (int64_t)a->r.window + 1;
        keys += a->position && window < n ? window : n;
    }
    return 2 * (double)a->q.T * ((double)a->q.B * products + (double)keys * per_key);
}

rv_range rv__attended(const rv__attention_seq *a, int64_t t, int64_t b) {
    int64_t n = rv__memory_length(a, rv__memory_row(a, b));
    if (!a->position || n == 0) return (rv_range){0, n};
    double p = (double)a->position[t * a->q.B + b], first = ceil(p - a->r.window), last = floor(p + a->r.window);
    if (!(first > 0)) first = 0; /* p may be NaN */
    if (!(last < (double)(n - 1))) last = (double)(n - 1);
    return (rv_range){(int64_t)first, (int64_t)last + 1};
}

double rv__gauss(const rv__attention_seq *a, double p, int64_t s) {
    double d = ((double)s - p) / (a->r.window / 2);
    return exp(-d * d / 2);
}

/* ---- forward */

typedef struct {
    rv__attention_seq *a;
    rv__pass pass;
    rv__factor query, position, out_context, out_state;
    rv__factor input[4]; /* per gate: what the cell reads beside x */
} forward;

/* Row b looks at its memory at step t. */
static void attend_row(const rv__attention_seq *a, int64_t t, int64_t b) {
    const rv__seq *q = &a->q;
    const rv_kernels *k = rv_k();
    int64_t at = t * q->B + b, row = rv__memory_row(a, b);
    rv_real *w = a->weights + at * a->S;
    if (a->position) {
        rv_real z = 0, p = 0;
        k->dot_scores(1, a->P, a->hidden + at * a->P, a->r.v_position->x, &z);
        k->vsigmoid(1, &z, &p);
        a->position[at] = (rv_real)rv__memory_length(a, row) * p;
    }
    const rv_range seen = rv__attended(a, t, b);
    const int64_t n = seen.end - seen.begin;
    memset(w, 0, (size_t)a->S * sizeof *w);
    if (n > 0) {
        const rv_real *keys = a->r.keys->x + (row * a->S + seen.begin) * a->A;
        if (a->r.score == RV_SCORE_ADDITIVE)
            k->additive_scores(n, a->A, a->query + at * a->A, a->r.v->x, keys, w + seen.begin);
        else
            k->dot_scores(n, a->A, rv__query_state(a, t) + b * q->H, keys, w + seen.begin);
        k->softmax_row(n, w + seen.begin, w + seen.begin);
    }
    if (a->position) {
        memcpy(a->soft + at * a->S, w, (size_t)a->S * sizeof *w);
        for (int64_t s = seen.begin; s < seen.end; s++) w[s] *= (rv_real)rv__gauss(a, (double)a->position[at], s);
    }
    k->weighted_rows(n, a->D, w + seen.begin, a->r.memory->x + (row * a->S + seen.begin) * a->D, a->context + at * a->D,
                     false);
}

/* tanh of the thread's columns of (B, width). */
static void activate(rv_real *x, int64_t B, int64_t wide, rv_range own) {
    for (int64_t b = 0; b < B && own.begin < own.end; b++)
        rv_k()->vtanh(own.end - own.begin, x + b * wide + own.begin, x + b * wide + own.begin);
}

/* The products of step t's query state, listed. */
static int query_columns(const forward *f, int64_t t, rv__team team, rv_gemm_columns *out) {
    const rv__attention_seq *a = f->a;
    const int64_t B = a->q.B, H = a->q.H;
    const rv_real *state = rv__query_state(a, t);
    int n = 0;
    if (a->query)
        out[n++] = rv__factor_columns(&f->query, B, state, H, a->query + t * B * a->A, a->A, false,
                                      rv__team_columns(team, a->A));
    if (a->position)
        out[n++] = rv__factor_columns(&f->position, B, state, H, a->hidden + t * B * a->P, a->P, false,
                                      rv__team_columns(team, a->P));
    return n;
}

/* Once these products are there. */
static void attend(const forward *f, int64_t t, rv__team team) {
    const rv__attention_seq *a = f->a;
    const int64_t B = a->q.B;
    if (a->position) activate(a->hidden + t * B * a->P, B, a->P, rv__team_columns(team, a->P));
    if (a->query || a->position) rv__team_meet(team);
    const rv_range rows = rv__team_rows(team, B);
    for (int64_t b = rows.begin; b < rows.end; b++) attend_row(a, t, b);
    rv__team_meet(team);
}

/* What the cell reads beside x. */
static int input_columns(const forward *f, int64_t t, rv_range units, rv_gemm_columns *out) {
    const rv__attention_seq *a = f->a;
    const rv__seq *q = &a->q;
    const int64_t B = q->B;
    const rv_real *read = !a->r.query_current ? a->context + t * B * a->D
                          : t                 ? a->output + (t - 1) * B * a->O
                                              : a->r.feed->x;
    for (int64_t g = 0; g < q->G; g++)
        out[g] = rv__factor_columns(&f->input[g], B, read, a->F, rv__seq_gates(q, t) + g * q->H, q->ld, true, units);
    return (int)q->G;
}

/* a_t = tanh(W [c_t; h_t]) */
static void give_output(const forward *f, int64_t t, rv__team team) {
    const rv__attention_seq *a = f->a;
    const int64_t B = a->q.B;
    const rv_range own = rv__team_columns(team, a->O);
    rv_real *out = a->output + t * B * a->O;
    const rv_gemm_columns c[] = {
        rv__factor_columns(&f->out_context, B, a->context + t * B * a->D, a->D, out, a->O, false, own),
        rv__factor_columns(&f->out_state, B, a->q.y + t * B * a->q.H, a->q.H, out, a->O, true, own)};
    rv__multiply_columns(2, c);
    activate(out, B, a->O, own);
}

/* Products with one state go together, so that it is packed once: before the attention those of h_{t-1}, for the cell
 * too, if that state asks. */
static void run(const forward *f) {
    const rv__attention_seq *a = f->a;
    const rv__seq *q = &a->q;
    rv_barrier barrier = {0};
#pragma omp parallel num_threads(rv_threads_for(rv__attention_work(a)))
    {
        const rv__team team = {omp_get_thread_num(), omp_get_num_threads(), &barrier};
        const rv_range units = rv__team_columns(team, q->H);
        for (int64_t t = 0; t < q->T; t++) {
            rv_gemm_columns c[RV__PASS_COLUMNS + 4];
            int n = rv__pass_columns(&f->pass, t, 0, units.begin, units.end, c);
            if (!a->r.query_current) {
                n += query_columns(f, t, team, c + n);
                rv__multiply_columns(n, c);
                attend(f, t, team);
                n = 0;
            }
            if (a->F) n += input_columns(f, t, units, c + n);
            rv__multiply_columns(n, c);
            f->pass.pointwise(&f->pass, t, 0, units.begin, units.end);
            rv__team_meet(team);
            if (f->pass.phases == 2) {
                rv__multiply_columns(rv__pass_columns(&f->pass, t, 1, units.begin, units.end, c), c);
                f->pass.pointwise(&f->pass, t, 1, units.begin, units.end);
                rv__team_meet(team);
            }
            if (a->r.query_current) {
                rv__multiply_columns(query_columns(f, t, team, c), c);
                attend(f, t, team);
            }
            if (a->output) give_output(f, t, team);
            if (a->r.feed) rv__team_meet(team);
        }
    }
}

/* ---- shapes */

static bool usage(rv_tape *tape, const rv_attention_recurrence *r, bool records) {
    const bool additive = r->score == RV_SCORE_ADDITIVE;
    const char *wrong =
        additive != (r->w_query != NULL) || additive != (r->v != NULL)
            ? "w_query and v go with additive scores, and only with them"
        : r->w_out && !r->query_current    ? "w_out needs query_current, so that the attention follows the cell"
        : r->feed && !r->w_out             ? "input feeding needs w_out, whose output it feeds back"
        : r->c0 && r->cell != RV_CELL_LSTM ? "c0 is given, but only an LSTM has a cell state; pass NULL"
        : (r->w_position != NULL) != (r->v_position != NULL) ? "w_position and v_position go together"
        : r->w_position && !(r->window >= 1)
            ? "local attention needs a window of at least 1, or no position may be in it"
        : r->rows && records ? "rows are shared only where nothing is recorded; without them for training"
                             : NULL;
    if (wrong) rv_tape_fail(tape, RV_EUSAGE, "attention recurrence: %s", wrong);
    return !wrong;
}

static bool check(rv_tape *tape, const rv__attention_seq *a, rv_tensor *const *in) {
    const rv__seq *q = &a->q;
    char s[RV_SHAPE_TEXT], xs[RV_SHAPE_TEXT], want_text[RV_SHAPE_TEXT];
    if (in[RV__AR_X]->ndim != 3 || rv_numel(in[RV__AR_X]) == 0)
        return rv_tape_fail(tape, RV_ESHAPE,
                            "attention recurrence: x has shape %s; it must be (steps, batch, inputs), none of them 0",
                            rv_shape_text(in[RV__AR_X], xs, sizeof xs));
    if (q->H < 1 || in[RV__AR_W_HH]->ndim != 2)
        return rv_tape_fail(tape, RV_ESHAPE, "attention recurrence: w_hh has shape %s; it must be (%d H, H)",
                            rv_shape_text(in[RV__AR_W_HH], s, sizeof s), (int)q->G);
    if (in[RV__AR_MEMORY]->ndim != 3 || rv_numel(in[RV__AR_MEMORY]) == 0)
        return rv_tape_fail(
            tape, RV_ESHAPE,
            "attention recurrence: memory has shape %s; it must be (batch, positions, width), none of them 0",
            rv_shape_text(in[RV__AR_MEMORY], s, sizeof s));
    const int64_t M = a->r.rows ? in[RV__AR_MEMORY]->dim[0] : q->B, GH = q->G * q->H;
    const struct {
        const char *name;
        rv_tensor like;
    } want[RV__AR_INPUTS] = {
        [RV__AR_X] = {"x", {.ndim = 3, .dim = {q->T, q->B, a->E}}},
        [RV__AR_MEMORY] = {"memory", {.ndim = 3, .dim = {M, a->S, a->D}}},
        [RV__AR_KEYS] = {"keys", {.ndim = 3, .dim = {M, a->S, a->A}}},
        [RV__AR_W_QUERY] = {"w_query", {.ndim = 2, .dim = {a->A, q->H}}},
        [RV__AR_V] = {"v", {.ndim = 1, .dim = {a->A}}},
        [RV__AR_W_IH] = {"w_ih", {.ndim = 2, .dim = {GH, a->E + a->F}}},
        [RV__AR_W_HH] = {"w_hh", {.ndim = 2, .dim = {GH, q->H}}},
        [RV__AR_B_IH] = {"b_ih", {.ndim = 1, .dim = {GH}}},
        [RV__AR_B_HH] = {"b_hh", {.ndim = 1, .dim = {GH}}},
        [RV__AR_H0] = {"h0", {.ndim = 2, .dim = {q->B, q->H}}},
        [RV__AR_C0] = {"c0", {.ndim = 2, .dim = {q->B, q->H}}},
        [RV__AR_W_OUT] = {"w_out", {.ndim = 2, .dim = {a->O, a->D + q->H}}},
        [RV__AR_FEED] = {"feed", {.ndim = 2, .dim = {q->B, a->O}}},
        [RV__AR_W_POSITION] = {"w_position", {.ndim = 2, .dim = {a->P, q->H}}},
        [RV__AR_V_POSITION] = {"v_position", {.ndim = 1, .dim = {a->P}}},
    };
    for (int i = 0; i < RV__AR_INPUTS; i++)
        if (in[i] && !rv_same_shape(in[i], &want[i].like))
            return rv_tape_fail(tape, RV_ESHAPE,
                                "attention recurrence: %s has shape %s; with x %s, memory of %lld x %lld, %d gates, H "
                                "= %lld and %lld inputs beside x "
                                "it must be %s",
                                want[i].name, rv_shape_text(in[i], s, sizeof s),
                                rv_shape_text(in[RV__AR_X], xs, sizeof xs), (long long)a->S, (long long)a->D, (int)q->G,
                                (long long)q->H, (long long)a->F,
                                rv_shape_text(&want[i].like, want_text, sizeof want_text));
    if (a->r.score == RV_SCORE_DOT && a->A != q->H)
        return rv_tape_fail(tape, RV_ESHAPE,
                            "attention recurrence: dot scores compare states of width %lld with keys of width %lld; "
                            "bring the keys to the "
                            "state's width by a linear layer",
                            (long long)q->H, (long long)a->A);
    for (int64_t m = 0; a->r.lengths && m < M; m++)
        if (a->r.lengths[m] < 0 || a->r.lengths[m] > a->S)
            return rv_tape_fail(tape, RV_ESHAPE,
                                "attention recurrence: memory row %lld has length %d, outside 0 to %lld, its positions",
                                (long long)m, (int)a->r.lengths[m], (long long)a->S);
    for (int64_t b = 0; a->r.rows && b < q->B; b++)
        if (a->r.rows[b] < 0 || a->r.rows[b] >= M)
            return rv_tape_fail(tape, RV_ESHAPE,
                                "attention recurrence: row %lld reads memory row %d, outside 0 to %lld", (long long)b,
                                (int)a->r.rows[b], (long long)M - 1);
    return true;
}

static int64_t width(const rv_tensor *t, int axis) { return t && axis < t->ndim ? t->dim[axis] : 0; }

static rv__attention_seq describe(const rv_attention_recurrence *r) {
    rv__attention_seq a = {.r = *r,
                           .S = width(r->memory, 1),
                           .D = width(r->memory, 2),
                           .A = width(r->keys, 2),
                           .E = width(r->x, 2),
                           .O = width(r->w_out, 0),
                           .P = width(r->w_position, 0)};
    a.F = r->feed ? a.O : r->query_current ? 0 : a.D;
    a.q = (rv__seq){.cell = r->cell,
                    .T = width(r->x, 0),
                    .B = width(r->x, 1),
                    .I = a.E,
                    .H = width(r->w_hh, 1),
                    .G = rv_cell_gates(r->cell),
                    .has_h0 = r->h0 != NULL,
                    .w_hh = r->w_hh->x,
                    .keep = 1};
    a.q.ld = rv__gates_ld(a.q.G * a.q.H);
    return a;
}

/* What backward needs beside the outputs. */
static bool allocate(rv_tape *tape, rv__attention_seq *a) {
    rv__seq *q = &a->q;
    const size_t steps = (size_t)(q->T * q->B), real = sizeof(rv_real);
    q->gates = rv_tape_alloc(tape, steps * (size_t)q->ld * real);
    if (rv__seq_is_gru(q->cell)) q->hp = rv_tape_alloc(tape, steps * (size_t)q->H * real);
    if (q->cell == RV_CELL_LSTM) q->c = rv_tape_alloc(tape, steps * (size_t)q->H * real);
    if (a->r.score == RV_SCORE_ADDITIVE) a->query = rv_tape_alloc(tape, steps * (size_t)a->A * real);
    if (a->r.w_position) {
        a->soft = rv_tape_alloc(tape, steps * (size_t)a->S * real);
        a->position = rv_tape_alloc(tape, steps * real);
        a->hidden = rv_tape_alloc(tape, steps * (size_t)a->P * real);
    }
    return rv_tape_status(tape) == RV_OK;
}

/* The packed weights that the tape holds; or else packed for so many steps. */
static bool pack(rv_tape *tape, rv__factor *f, const rv_tensor *w, int64_t column, int64_t steps) {
    f->packed = f->w ? rv_tape_packed(tape, w, column, f->k, 1) : NULL;
    return f->packed || rv__factor_pack(tape, f, steps);
}

static bool prepare(rv_tape *tape, forward *f) {
    rv__attention_seq *a = f->a;
    const rv__seq *q = &a->q;
    const rv_attention_recurrence *r = &a->r;
    const int64_t H = q->H, D = a->D, in = a->E + a->F;
    f->pass = (rv__pass){.q = *q};
    rv__pass_forward(&f->pass);
    if (q->cell == RV_CELL_GRU && r->b_hh) f->pass.b_hn = r->b_hh->x + 2 * H;
    if (r->w_query) f->query = (rv__factor){.tb = true, .n = a->A, .k = H, .ld = H, .w = r->w_query->x};
    if (r->w_position) f->position = (rv__factor){.tb = true, .n = a->P, .k = H, .ld = H, .w = r->w_position->x};
    if (r->w_out) {
        f->out_context = (rv__factor){.tb = true, .n = a->O, .k = D, .ld = D + H, .w = r->w_out->x};
        f->out_state = (rv__factor){.tb = true, .n = a->O, .k = H, .ld = D + H, .w = r->w_out->x + D};
    }
    const char *held = a->F ? rv_tape_packed(tape, r->w_ih, a->E, a->F, q->G) : NULL;
    for (int64_t g = 0; a->F && g < q->G; g++) {
        f->input[g] = (rv__factor){.tb = true, .n = H, .k = a->F, .ld = in, .w = r->w_ih->x + g * H * in + a->E};
        if (held)
            f->input[g].packed = held + g * (int64_t)rv_tape_packed_bytes(r->w_ih, a->F, q->G);
        else if (!rv__factor_pack(tape, &f->input[g], q->T))
            return false;
    }
    return rv__pass_pack(tape, &f->pass, r->w_hh) && pack(tape, &f->query, r->w_query, 0, q->T) &&
           pack(tape, &f->position, r->w_position, 0, q->T) && pack(tape, &f->out_context, r->w_out, 0, q->T) &&
           pack(tape, &f->out_state, r->w_out, D, q->T);
}

static bool input_product(rv_tape *tape, const rv__attention_seq *a) {
    const rv__seq *q = &a->q;
    const int64_t GH = q->G * q->H;
    rv_real *bias = NULL;
    if (a->r.b_ih || a->r.b_hh) {
        if (!(bias = rv_tape_alloc(tape, (size_t)GH * sizeof *bias))) return false;
        rv__sum_biases(q->cell, q->H, a->r.b_ih, a->r.b_hh, bias);
    }
    rv_gemm_run(&(rv_gemm){.tb = true,
                           .m = q->T * q->B,
                           .n = GH,
                           .k = a->E,
                           .a = a->r.x->x,
                           .lda = a->E,
                           .b = a->r.w_ih->x,
                           .ldb = a->E + a->F,
                           .c = q->gates,
                           .ldc = q->ld,
                           .bias = bias,
                           .packed_b = rv_tape_packed(tape, a->r.w_ih, 0, a->E, 1)});
    return true;
}

rv_attention_sequence rv_attention_recurrent(rv_tape *tape, const rv_attention_recurrence *r) {
    const rv_attention_sequence none = {0};
    rv_tensor *in[RV__AR_INPUTS] = {r->x,    r->memory, r->keys, r->w_query,    r->v,
                                    r->w_ih, r->w_hh,   r->b_ih, r->b_hh,       r->h0,
                                    r->c0,   r->w_out,  r->feed, r->w_position, r->v_position};
    if (!r->x || !r->memory || !r->keys || !r->w_ih || !r->w_hh ||
        !usage(tape, r, rv_tape_records(tape, RV__AR_INPUTS, in)))
        return none;
    rv__attention_seq a = describe(r);
    if (!check(tape, &a, in)) return none;

    rv__seq *q = &a.q;
    const int64_t T = q->T, B = q->B;
    rv_attention_sequence out = {.h = rv_tape_tensor(tape, 3, (int64_t[]){T, B, q->H}),
                                 .context = rv_tape_tensor(tape, 3, (int64_t[]){T, B, a.D}),
                                 .weights = rv_tape_tensor(tape, 3, (int64_t[]){T, B, a.S}),
                                 .hn = rv_tape_tensor(tape, 2, (int64_t[]){B, q->H})};
    if (r->w_out) out.output = rv_tape_tensor(tape, 3, (int64_t[]){T, B, a.O});
    if (q->cell == RV_CELL_LSTM) out.cn = rv_tape_tensor(tape, 2, (int64_t[]){B, q->H});
    rv_real *zeros = rv_tape_alloc(tape, (size_t)(B * q->H) * sizeof *zeros);
    if (rv_tape_status(tape) != RV_OK) return none;
    memset(zeros, 0, (size_t)(B * q->H) * sizeof *zeros);
    q->y = out.h->x;
    q->h0 = r->h0 ? r->h0->x : zeros;
    q->c0 = r->c0 ? r->c0->x : zeros;
    a.context = out.context->x;
    a.weights = out.weights->x;
    if (out.output) a.output = out.output->x;

    rv_tensor *outs[RV__AR_OUTPUTS] = {out.h, out.context, out.output, out.hn, out.cn};
    rv_node *node =
        rv_tape_record(tape, &rv__op_attention_recurrent, RV__AR_INPUTS, in, RV__AR_OUTPUTS, outs, sizeof a);
    rv_arena_mark mark = rv_tape_mark(tape); /* what follows is scratch, but for what a node keeps */
    if (!allocate(tape, &a)) return none;
    if (node) {
        *(rv__attention_seq *)node->ctx = a;
        mark = rv_tape_mark(tape);
    }
    forward f = {.a = &a};
    if (!prepare(tape, &f) || !input_product(tape, &a)) return none;
    const double products = (double)((a.A * (a.query != NULL) + a.P) * q->H + a.O * (a.D + q->H) + q->G * q->H * a.F);
    rv__flops_add(rv__pass_flops(&f.pass) + rv__attention_flops(&a, products, (double)(a.A + a.D)));
    run(&f);
    memcpy(out.hn->x, q->y + (T - 1) * B * q->H, (size_t)(B * q->H) * sizeof(rv_real));
    if (out.cn) memcpy(out.cn->x, q->c + (T - 1) * B * q->H, (size_t)(B * q->H) * sizeof(rv_real));
    rv_tape_rewind(tape, mark);
    return out;
}

const rv_op rv__op_attention_recurrent = {.name = "attention_recurrent",
                                          .backward = rv__attention_recurrent_backward,
                                          .sample = rv__attention_recurrent_sample,
                                          .flags = RV_OP_USES_OUTPUT,
                                          .smooth = true};

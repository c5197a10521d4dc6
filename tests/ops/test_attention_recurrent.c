/* rv_attention_recurrent against a composition of elementary ops; and what must never change a bit. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/attention_case.h"

/* ---- the same from elementary ops (no row may be empty) */

static rv_tensor *as(rv_tape *t, rv_tensor *x, int ndim, int64_t d0, int64_t d1, int64_t d2) {
    return rv_reshape(t, x, ndim, (int64_t[]){d0, d1, d2});
}

static rv_tensor *composed_weights(rv_tape *t, const problem *p, rv_tensor *const *in, rv_tensor *query) {
    rv_tensor *e;
    if (p->score == RV_SCORE_ADDITIVE)
        e = rv_linear(t,
                      rv_tanh(t, rv_add(t, as(t, rv_linear(t, query, in[W_QUERY], NULL, RV_ACT_NONE), 3, p->B, 1, p->A),
                                        in[KEYS])),
                      as(t, in[V], 2, 1, p->A, 0), NULL, RV_ACT_NONE);
    else
        e = rv_matmul(t, in[KEYS], as(t, query, 3, p->B, p->H, 1));
    rv_tensor *mask = rv_leaf(t, false, 2, (int64_t[]){p->B, p->S}), *place = NULL,
              *at = rv_leaf(t, false, 2, (int64_t[]){p->B, p->S});
    if (p->P) {
        rv_tensor *len = rv_leaf(t, false, 2, (int64_t[]){p->B, 1});
        for (int64_t b = 0; b < p->B; b++) len->x[b] = (rv_real)(p->lengths ? p->lengths[b] : p->S);
        rv_tensor *hidden = rv_tanh(t, rv_linear(t, query, in[W_POSITION], NULL, RV_ACT_NONE));
        place = rv_mul(t, len,
                       rv_sigmoid(t, rv_linear(t, hidden, as(t, in[V_POSITION], 2, 1, p->P, 0), NULL, RV_ACT_NONE)));
    }
    for (int64_t i = 0; i < p->B * p->S; i++) {
        const int64_t b = i / p->S, s = i % p->S;
        const bool seen =
            s < (p->lengths ? p->lengths[b] : p->S) && (!place || fabs((double)s - (double)place->x[b]) <= p->window);
        mask->x[i] = seen ? 0 : -INFINITY;
        at->x[i] = (rv_real)s;
    }
    rv_tensor *w = rv_softmax(t, rv_add(t, as(t, e, 2, p->B, p->S, 0), mask));
    if (!place) return w;
    rv_tensor *d = rv_sub(t, at, place);
    return rv_mul(t, w, rv_exp(t, rv_affine(t, rv_mul(t, d, d), -2 / (p->window * p->window), 0)));
}

static rv_attention_sequence composed(rv_tape *t, const problem *p, rv_tensor *const *in) {
    enum { MAX_STEPS = 16 };
    rv_tensor *h = in[H0], *c = in[C0], *fed = in[FEED], *hs[MAX_STEPS], *contexts[MAX_STEPS], *outputs[MAX_STEPS],
              *weights[MAX_STEPS];
    cr_assert_leq(p->T, MAX_STEPS);
    for (int64_t step = 0; step < p->T; step++) {
        rv_tensor *read = as(t, rv_slice(t, in[X], 0, step, step + 1), 2, p->B, p->E, 0), *w = NULL, *context = NULL;
        for (int part = 0; part < 2; part++) {
            if (part == p->current) { /* attention comes first or second */
                if (!h) {
                    h = rv_leaf(t, false, 2, (int64_t[]){p->B, p->H});
                    memset(h->x, 0, (size_t)(p->B * p->H) * sizeof(rv_real));
                }
                w = composed_weights(t, p, in, h);
                context = as(t, rv_matmul(t, as(t, w, 3, p->B, 1, p->S), in[MEMORY]), 2, p->B, p->D, 0);
                if (!p->current) read = rv_concat(t, 2, (rv_tensor *[]){read, context}, -1);
            } else {
                if (p->feed) read = rv_concat(t, 2, (rv_tensor *[]){read, fed}, -1);
                rv_sequence s = rv_recurrent(t, p->cell, as(t, read, 3, 1, p->B, -1), in[W_IH], in[W_HH], in[B_IH],
                                             in[B_HH], h, c, NULL, false);
                h = s.hn, c = s.cn;
            }
        }
        hs[step] = as(t, h, 3, 1, p->B, p->H);
        contexts[step] = as(t, context, 3, 1, p->B, p->D);
        weights[step] = as(t, w, 3, 1, p->B, p->S);
        if (!p->O) continue;
        fed = rv_tanh(t, rv_linear(t, rv_concat(t, 2, (rv_tensor *[]){context, h}, -1), in[W_OUT], NULL, RV_ACT_NONE));
        outputs[step] = as(t, fed, 3, 1, p->B, p->O);
    }
    return (rv_attention_sequence){.h = rv_concat(t, (int)p->T, hs, 0),
                                   .context = rv_concat(t, (int)p->T, contexts, 0),
                                   .hn = h,
                                   .cn = c,
                                   .output = p->O ? rv_concat(t, (int)p->T, outputs, 0) : NULL,
                                   .weights = rv_concat(t, (int)p->T, weights, 0)};
}

/* ---- running */

typedef struct {
    rv_real *weight[OUTPUTS];
} sum_ctx;
static void sum_backward(rv_tape *tape, rv_node *n) {
    sum_ctx *c = n->ctx;
    for (int i = 0; i < n->nin; i++) {
        bool acc;
        rv_real *g = rv_grad(n->in[i], &acc);
        for (int64_t j = 0; g && j < rv_numel(n->in[i]); j++) g[j] = (acc ? g[j] : 0) + c->weight[i][j];
    }
}
static const rv_op sum_op = {.name = "test_sum", .backward = sum_backward};

/* `used`: bit i set means that output i enters the loss. */
static answer run_as(problem *p, unsigned used, bool fused) {
    rv_tape *tape = rv_tape_create();
    answer a = {0};
    rv_tensor *in[INPUTS];
    for (int i = 0; i < INPUTS; i++) {
        in[i] = p->in[i].ndim ? &p->in[i] : NULL;
        memset(p->in[i].g, 0, (size_t)size(&p->in[i]) * sizeof(rv_real));
        p->in[i].has_grad = false;
    }
    rv_attention_recurrence r = arguments(p, in);
    rv_attention_sequence s = fused ? rv_attention_recurrent(tape, &r) : composed(tape, p, in);
    cr_assert_eq(rv_tape_status(tape), RV_OK, "%s", rv_error_message());
    rv_tensor *out[OUTPUTS] = {s.h, s.context, s.output, s.hn, s.cn}, *in_loss[OUTPUTS] = {0},
              *loss = rv_tape_tensor(tape, 0, NULL);
    for (int i = 0; i < OUTPUTS; i++) {
        a.out[i] = keep(out[i] ? out[i]->x : NULL, out_size(p, i));
        if (used >> i & 1) in_loss[i] = out[i];
    }
    a.weights = keep(s.weights->x, p->T * p->B * p->S);
    rv_node *n = rv_tape_record(tape, &sum_op, OUTPUTS, in_loss, 1, &loss, sizeof(sum_ctx));
    memcpy(((sum_ctx *)n->ctx)->weight, p->weight, sizeof(sum_ctx));
    loss->x[0] = 0;
    cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
    for (int i = 0; i < INPUTS; i++) a.grad[i] = keep(p->in[i].g, size(&p->in[i]));
    rv_tape_destroy(tape);
    return a;
}
enum { EVERYTHING = (1 << OUTPUTS) - 1 };
static answer run(problem *p) { return run_as(p, EVERYTHING, true); }

/* Each cell, both scores, both orders, with and without output, feeding, local attention and states. */
static const int32_t ragged[] = {7, 1, 4, 6, 3};
static const problem kinds[] = {
    {.cell = RV_CELL_LSTM, .score = RV_SCORE_ADDITIVE},
    {.cell = RV_CELL_GRU_RESET_BEFORE, .score = RV_SCORE_ADDITIVE},
    {.cell = RV_CELL_GRU, .score = RV_SCORE_ADDITIVE, .plain = true},
    {.cell = RV_CELL_RNN_TANH, .score = RV_SCORE_DOT},
    {.cell = RV_CELL_RNN_RELU, .score = RV_SCORE_ADDITIVE},
    {.cell = RV_CELL_LSTM, .score = RV_SCORE_DOT, .current = true},
    {.cell = RV_CELL_LSTM, .score = RV_SCORE_DOT, .current = true, .O = 9, .feed = true},
    {.cell = RV_CELL_GRU, .score = RV_SCORE_ADDITIVE, .current = true, .O = 9},
    {.cell = RV_CELL_GRU_RESET_BEFORE, .score = RV_SCORE_DOT, .current = true, .O = 9, .feed = true, .plain = true},
    {.cell = RV_CELL_RNN_TANH, .score = RV_SCORE_ADDITIVE, .current = true, .O = 9, .feed = true},
    {.cell = RV_CELL_LSTM, .score = RV_SCORE_DOT, .current = true, .O = 9, .feed = true, .P = 6, .window = 1.7},
    {.cell = RV_CELL_GRU, .score = RV_SCORE_ADDITIVE, .P = 6, .window = 2.3},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static problem make_kind(int k, int64_t T, int64_t H) {
    problem p = kinds[k];
    p.T = T, p.B = 5, p.S = 8, p.E = 5, p.H = H, p.D = 11, p.A = p.score == RV_SCORE_DOT ? H : 21;
    p.lengths = ragged;
    make(&p);
    return p;
}

Test(attention_recurrent, equals_composed_ops) {
    for (int k = 0; k < KINDS; k++)
        for (int v = 0; v < 3; v++) {
            problem p = make_kind(k, v == 0 ? 3 : 6, v == 1 ? 64 : 37);
            if (v == 2) p.lengths = NULL;
            const unsigned used = v == 0 ? EVERYTHING : v == 1 ? 1u << OUT_H : 1u << (p.O ? OUTPUT : CONTEXT);
            answer a = run_as(&p, used, true), b = run_as(&p, used, false);
            const double tolerance = sizeof(rv_real) == 8 ? 1e-12 : 4e-5;
            for (int i = 0; i < OUTPUTS; i++)
                for (int64_t j = 0; j < out_size(&p, i); j++)
                    cr_assert_float_eq(a.out[i][j], b.out[i][j], tolerance,
                                       "kind %d variant %d: %s[%d] is %g, composed %g", k, v, out_name[i], (int)j,
                                       (double)a.out[i][j], (double)b.out[i][j]);
            for (int64_t j = 0; j < p.T * p.B * p.S; j++)
                cr_assert_float_eq(a.weights[j], b.weights[j], tolerance, "kind %d weights", k);
            for (int i = 0; i < INPUTS; i++)
                for (int64_t j = 0; j < size(&p.in[i]); j++)
                    cr_assert_float_eq(a.grad[i][j], b.grad[i][j], tolerance * (1 + fabs((double)b.grad[i][j])),
                                       "kind %d variant %d: gradient of %s[%d] is %g, composed %g", k, v, in_name[i],
                                       (int)j, (double)a.grad[i][j], (double)b.grad[i][j]);
            drop_answer(&a);
            drop_answer(&b);
            drop(&p);
        }
}

Test(attention_recurrent, same_bits_at_every_thread_count) {
    for (int k = 0; k < KINDS; k++)
        for (int T = 2; T <= 6; T += 4) {
            problem p = make_kind(k, T, 100);
            rv_set_threads(1);
            answer one = run(&p);
            for (int n = 2; n <= 4; n++) {
                rv_set_threads(n);
                answer many = run(&p);
                for (int i = 0; i < OUTPUTS; i++)
                    cr_assert(same_bits(one.out[i], many.out[i], out_size(&p, i)), "kind %d, %d threads: %s", k, n,
                              out_name[i]);
                for (int i = 0; i < INPUTS; i++)
                    cr_assert(same_bits(one.grad[i], many.grad[i], size(&p.in[i])),
                              "kind %d, %d threads: gradient of %s", k, n, in_name[i]);
                drop_answer(&many);
            }
            drop_answer(&one);
            drop(&p);
        }
    rv_set_threads(0);
}

/* Which dimension of an input counts the rows of the batch; -1: a weight. */
static int batch_axis(int i) {
    return i == X ? 1 : i == MEMORY || i == KEYS || i == H0 || i == C0 || i == FEED ? 0 : -1;
}

/* Copy row b (the only one of `to`) between tensors whose batch axis is `axis`; n: how much of the inner elements. */
static void copy_row(rv_real *to, const rv_real *from, int64_t outer, int64_t B, int64_t inner, int64_t b, int64_t n) {
    for (int64_t o = 0; o < outer; o++) memcpy(to + o * n, from + (o * B + b) * inner, (size_t)n * sizeof *to);
}

/* Row b alone, with no padding in the memory: same bits, in outputs and in the gradients of its own inputs. What lies
 * in the padding is not even read. */
Test(attention_recurrent, batch_mates_and_source_padding_change_nothing) {
    for (int k = 0; k < KINDS; k++) {
        problem p = make_kind(k, 6, 37);
        for (int64_t b = 0; b < p.B; b++)
            for (int64_t s = ragged[b]; s < p.S; s++) {
                for (int64_t i = 0; i < p.D; i++) p.in[MEMORY].x[(b * p.S + s) * p.D + i] = NAN;
                for (int64_t i = 0; i < p.A; i++) p.in[KEYS].x[(b * p.S + s) * p.A + i] = NAN;
            }
        answer all = run(&p);
        for (int64_t b = 0; b < p.B; b++) {
            problem q = p;
            q.B = 1, q.S = ragged[b], q.lengths = NULL;
            make(&q);
            for (int i = 0; i < INPUTS; i++) {
                const int axis = batch_axis(i);
                const int64_t n = size(&q.in[i]);
                if (axis < 0)
                    memcpy(q.in[i].x, p.in[i].x, (size_t)n * sizeof(rv_real));
                else if (n)
                    copy_row(q.in[i].x, p.in[i].x, axis ? p.T : 1, p.B, size(&p.in[i]) / p.B / (axis ? p.T : 1), b,
                             n / (axis ? p.T : 1));
            }
            for (int i = 0; i < OUTPUTS; i++)
                if (out_size(&q, i))
                    copy_row(q.weight[i], p.weight[i], i < HN ? p.T : 1, p.B, out_size(&q, i) / (i < HN ? p.T : 1), b,
                             out_size(&q, i) / (i < HN ? p.T : 1));
            answer one = run(&q);
            for (int i = 0; i < OUTPUTS; i++) {
                const int64_t n = out_size(&q, i), steps = i < HN ? p.T : 1;
                rv_real *mine = room(n);
                if (n) copy_row(mine, all.out[i], steps, p.B, n / steps, b, n / steps);
                cr_assert(same_bits(mine, one.out[i], n), "kind %d row %d: %s", k, (int)b, out_name[i]);
                free(mine);
            }
            for (int i = 0; i < INPUTS; i++) {
                const int axis = batch_axis(i);
                const int64_t n = size(&q.in[i]), outer = axis ? p.T : 1;
                if (axis < 0 || !n) continue;
                rv_real *mine = room(n);
                copy_row(mine, all.grad[i], outer, p.B, size(&p.in[i]) / p.B / outer, b, n / outer);
                cr_assert(same_bits(mine, one.grad[i], n), "kind %d row %d: gradient of %s", k, (int)b, in_name[i]);
                free(mine);
            }
            for (int64_t s = ragged[b]; s < p.S; s++) {
                for (int64_t t = 0; t < p.T; t++) cr_assert_eq(all.weights[(t * p.B + b) * p.S + s], 0);
                for (int64_t i = 0; i < p.D; i++) cr_assert_eq(all.grad[MEMORY][(b * p.S + s) * p.D + i], 0);
                for (int64_t i = 0; i < p.A; i++) cr_assert_eq(all.grad[KEYS][(b * p.S + s) * p.A + i], 0);
            }
            drop_answer(&one);
            drop(&q);
        }
        drop_answer(&all);
        drop(&p);
    }
}

/* Steps behind the end of all targets, on which nothing depends. */
Test(attention_recurrent, target_padding_changes_nothing) {
    const unsigned steps_only = 1u << OUT_H | 1u << CONTEXT | 1u << OUTPUT;
    for (int k = 0; k < KINDS; k++) {
        problem p = make_kind(k, 4, 37), q = make_kind(k, 7, 37);
        memcpy(q.in[X].x, p.in[X].x, (size_t)size(&p.in[X]) * sizeof(rv_real));
        for (int i = 0; i < HN; i++) {
            memset(q.weight[i], 0, (size_t)out_size(&q, i) * sizeof(rv_real));
            memcpy(q.weight[i], p.weight[i], (size_t)out_size(&p, i) * sizeof(rv_real));
        }
        answer a = run_as(&p, steps_only, true), b = run_as(&q, steps_only, true);
        for (int i = 0; i < HN; i++)
            cr_assert(same_bits(a.out[i], b.out[i], out_size(&p, i)), "kind %d %s", k, out_name[i]);
        for (int i = 0; i < INPUTS; i++)
            if (batch_axis(i) >= 0)
                for (int64_t j = 0; j < size(&p.in[i]); j++)
                    cr_assert(a.grad[i][j] == b.grad[i][j], "kind %d: gradient of %s[%d]", k, in_name[i], (int)j);
        for (int64_t j = size(&p.in[X]); j < size(&q.in[X]); j++) cr_assert_eq(b.grad[X][j], 0);
        drop_answer(&a);
        drop_answer(&b);
        drop(&p);
        drop(&q);
    }
}

/* One step at a time with nothing recorded, as in decoding: the full pass's bits; also when each row of a turned-round
 * beam reads its memory through `rows`. */
Test(attention_recurrent, steps_equal_the_full_pass) {
    static const int32_t turned[] = {4, 3, 2, 1, 0};
    int32_t lengths_turned[5];
    for (int i = 0; i < 5; i++) lengths_turned[i] = ragged[turned[i]];
    for (int k = 0; k < KINDS; k++)
        for (int shared = 0; shared < 2; shared++) {
            problem p = make_kind(k, 6, 37);
            answer whole = run(&p);
            rv_tape *tape = rv_tape_create();
            rv_tape_no_grad(tape, true);
            rv_tensor *in[INPUTS];
            for (int i = 0; i < INPUTS; i++) in[i] = p.in[i].ndim ? &p.in[i] : NULL;
            rv_attention_recurrence r = arguments(&p, in);
            if (shared) {
                r.rows = turned, r.lengths = lengths_turned;
                for (int i = MEMORY; i <= KEYS; i++) {
                    const int64_t n = size(&p.in[i]) / p.B;
                    rv_tensor *c = rv_leaf(tape, false, 3, p.in[i].dim);
                    for (int64_t b = 0; b < p.B; b++)
                        memcpy(c->x + turned[b] * n, p.in[i].x + b * n, (size_t)n * sizeof(rv_real));
                    *(i == MEMORY ? &r.memory : &r.keys) = c;
                }
            }
            for (int64_t t = 0; t < p.T; t++) {
                r.x = rv_constant(tape, 3, (int64_t[]){1, p.B, p.E}, p.in[X].x + t * p.B * p.E);
                rv_attention_sequence s = rv_attention_recurrent(tape, &r);
                cr_assert(s.h, "%s", rv_error_message());
                cr_assert(same_bits(s.h->x, whole.out[OUT_H] + t * p.B * p.H, p.B * p.H), "kind %d at step %d: h", k,
                          (int)t);
                cr_assert(same_bits(s.context->x, whole.out[CONTEXT] + t * p.B * p.D, p.B * p.D),
                          "kind %d at step %d: context", k, (int)t);
                cr_assert(same_bits(s.weights->x, whole.weights + t * p.B * p.S, p.B * p.S),
                          "kind %d at step %d: weights", k, (int)t);
                r.h0 = s.hn, r.c0 = s.cn;
                if (!s.output) continue;
                cr_assert(same_bits(s.output->x, whole.out[OUTPUT] + t * p.B * p.O, p.B * p.O),
                          "kind %d at step %d: output", k, (int)t);
                if (p.feed) r.feed = as(tape, s.output, 2, p.B, p.O, 0);
            }
            rv_tape_destroy(tape);
            drop_answer(&whole);
            drop(&p);
        }
}

Test(attention_recurrent, a_row_without_memory_gets_context_zero) {
    static const int32_t lengths[] = {0, 3, 0, 8, 1};
    for (int k = 0; k < KINDS; k++) {
        problem p = make_kind(k, 5, 9);
        p.lengths = lengths;
        answer a = run(&p);
        for (int64_t t = 0; t < p.T; t++)
            for (int64_t i = 0; i < p.D; i++) cr_assert_eq(a.out[CONTEXT][t * p.B * p.D + i], 0);
        for (int i = 0; i < INPUTS; i++)
            for (int64_t j = 0; j < size(&p.in[i]); j++)
                cr_assert(isfinite(a.grad[i][j]), "kind %d: gradient of %s", k, in_name[i]);
        drop_answer(&a);
        drop(&p);
    }
}

/* The same tensor as memory and keys, on a tape where both already have a gradient. */
Test(attention_recurrent, gradients_add_up) {
    for (int score = 0; score < 2; score++) {
        problem p = {.cell = RV_CELL_LSTM,
                     .score = score ? RV_SCORE_DOT : RV_SCORE_ADDITIVE,
                     .T = 5,
                     .B = 5,
                     .S = 8,
                     .E = 3,
                     .H = 7,
                     .D = 7,
                     .A = 7};
        make(&p);
        memcpy(p.in[KEYS].x, p.in[MEMORY].x, (size_t)size(&p.in[KEYS]) * sizeof(rv_real));
        answer apart = run(&p);
        rv_tape *tape = rv_tape_create();
        rv_tensor *in[INPUTS], *parts[4];
        for (int i = 0; i < INPUTS; i++) {
            in[i] = p.in[i].ndim ? &p.in[i] : NULL;
            p.in[i].has_grad = false;
        }
        in[KEYS] = in[MEMORY];
        rv_attention_recurrence r = arguments(&p, in);
        for (int twice = 0; twice < 2; twice++) {
            rv_attention_sequence s = rv_attention_recurrent(tape, &r);
            rv_tensor *h = rv_constant(tape, 3, s.h->dim, p.weight[OUT_H]),
                      *c = rv_constant(tape, 3, s.context->dim, p.weight[CONTEXT]);
            rv_tensor *hn = rv_constant(tape, 2, s.hn->dim, p.weight[HN]),
                      *cn = rv_constant(tape, 2, s.cn->dim, p.weight[CN]);
            parts[2 * twice] =
                rv_add(tape, rv_sum_all(tape, rv_mul(tape, s.h, h)), rv_sum_all(tape, rv_mul(tape, s.context, c)));
            parts[2 * twice + 1] =
                rv_add(tape, rv_sum_all(tape, rv_mul(tape, s.hn, hn)), rv_sum_all(tape, rv_mul(tape, s.cn, cn)));
        }
        cr_assert_eq(
            rv_backward(tape, rv_add(tape, rv_add(tape, parts[0], parts[1]), rv_add(tape, parts[2], parts[3]))), RV_OK);
        const double tolerance = sizeof(rv_real) == 8 ? 1e-12 : 1e-4;
        for (int i = 0; i < INPUTS; i++)
            for (int64_t j = 0; i != KEYS && j < size(&p.in[i]); j++) {
                const double want = 2 * ((double)apart.grad[i][j] + (i == MEMORY ? (double)apart.grad[KEYS][j] : 0));
                cr_assert_float_eq(p.in[i].g[j], want, tolerance * (1 + fabs(want)), "gradient of %s[%d]", in_name[i],
                                   (int)j);
            }
        rv_tape_destroy(tape);
        drop_answer(&apart);
        drop(&p);
    }
}

/* ---- errors */

Test(attention_recurrent, what_does_not_fit_is_named) {
    problem p = make_kind(6, 4, 6);
    static const int32_t too_long[] = {8, 9, 1, 1, 1}, rows[] = {0, 0, 1, 1, 5}, fine[] = {0, 0, 1, 1, 1};
    rv_tensor *in[INPUTS], wrong = p.in[W_OUT];
    for (int i = 0; i < INPUTS; i++) in[i] = p.in[i].ndim ? &p.in[i] : NULL;
    const rv_attention_recurrence good = arguments(&p, in);
    wrong.dim[1]++;
#define WITH(...)                                                                                                      \
    ({                                                                                                                 \
        rv_attention_recurrence r = good;                                                                              \
        __VA_ARGS__;                                                                                                   \
        r;                                                                                                             \
    })
    const struct {
        rv_attention_recurrence r;
        bool no_grad;
        const char *expected;
    } row[] = {
        {WITH(r.w_out = &wrong), false,
         "w_out has shape (9, 18); with x (4, 5, 5), memory of 8 x 11, 4 gates, H = 6 and 9 inputs beside x it must be "
         "(9, 17)"},
        {WITH(r.x = in[W_HH]), false, "x has shape (24, 6)"},
        {WITH(r.memory = in[X]), false, "memory has shape (4, 5, 5)"},
        {WITH(r.keys = in[MEMORY]), false, "width 6 with keys of width 11"},
        {WITH(r.lengths = too_long), false, "memory row 1 has length 9, outside 0 to 8"},
        {WITH(r.score = RV_SCORE_ADDITIVE), false, "w_query and v go with additive scores"},
        {WITH(r.query_current = false), false, "w_out needs query_current"},
        {WITH(r.w_out = NULL), false, "input feeding needs w_out"},
        {WITH(r.w_position = in[W_HH]), false, "w_position and v_position go together"},
        {WITH(r.cell = RV_CELL_GRU), false, "only an LSTM has a cell state"},
        {WITH(r.rows = fine), false, "only where nothing is recorded"},
        {WITH(r.rows = rows), true, "row 4 reads memory row 5, outside 0 to 4"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        rv_tape *tape = rv_tape_create();
        rv_tape_no_grad(tape, row[i].no_grad);
        cr_assert_null(rv_attention_recurrent(tape, &row[i].r).h);
        cr_assert_neq(rv_tape_status(tape), RV_OK);
        cr_assert(strstr(rv_error_message(), row[i].expected), "%s", rv_error_message());
        rv_tape_destroy(tape);
    }
    drop(&p);
}

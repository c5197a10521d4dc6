/* rv_recurrent: against plain loops, a cell composed of elementary ops and finite differences; and what must never
 * change a bit. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

enum { X, W_IH, W_HH, B_IH, B_HH, H0, C0, INPUTS, MAX_ELEMS = 1 << 16 };
enum { Y, HN, CN, OUTPUTS };

typedef struct {
    rv_cell cell;
    int64_t T, B, I, H;
    const int32_t *lengths;
    bool reverse, bias, states;
    rv_real *in[INPUTS], *weight[OUTPUTS]; /* loss = sum weight * output */
} problem;
typedef struct {
    rv_real *out[OUTPUTS], *grad[INPUTS];
} answer;

static int64_t in_size(const problem *p, int i) {
    int64_t GH = rv_cell_gates(p->cell) * p->H;
    return (int64_t[]){p->T * p->B * p->I,
                       GH * p->I,
                       GH * p->H,
                       p->bias ? GH : 0,
                       p->bias ? GH : 0,
                       p->states ? p->B * p->H : 0,
                       p->states && p->cell == RV_CELL_LSTM ? p->B * p->H : 0}[i];
}
static int64_t out_size(const problem *p, int i) {
    return i == Y ? p->T * p->B * p->H : i == HN || p->cell == RV_CELL_LSTM ? p->B * p->H : 0;
}

static rv_real *random_values(int64_t n, uint64_t stream, double scale) {
    rv_real *v = malloc((size_t)(n + 1) * sizeof *v);
    rv_rng rng = rv_rng_make(7, "test", stream);
    for (int64_t i = 0; i < n; i++) v[i] = (rv_real)(scale * (2 * rv_rng_uniform(&rng) - 1));
    return v;
}
static problem make(rv_cell cell, int64_t T, int64_t B, int64_t I, int64_t H, const int32_t *lengths, bool reverse,
                    bool full) {
    problem p = {.cell = cell,
                 .T = T,
                 .B = B,
                 .I = I,
                 .H = H,
                 .lengths = lengths,
                 .reverse = reverse,
                 .bias = full,
                 .states = full};
    for (int i = 0; i < INPUTS; i++)
        p.in[i] = random_values(in_size(&p, i), (uint64_t)i, i == W_HH ? 1.5 / sqrt((double)H) : 1);
    for (int i = 0; i < OUTPUTS; i++) p.weight[i] = random_values(out_size(&p, i), (uint64_t)(20 + i), 1);
    return p;
}
static void drop(problem *p) {
    for (int i = 0; i < INPUTS; i++) free(p->in[i]);
    for (int i = 0; i < OUTPUTS; i++) free(p->weight[i]);
}
static void drop_answer(answer *a) {
    for (int i = 0; i < INPUTS; i++) free(a->grad[i]);
    for (int i = 0; i < OUTPUTS; i++) free(a->out[i]);
}

/* Sum of weighted outputs, so that each output gets the gradient that the test wants. */
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
static rv_tensor *weighted_sum(rv_tape *tape, rv_tensor *const *in, rv_real *const *weight) {
    rv_tensor *s = rv_tape_tensor(tape, 0, NULL);
    rv_node *n = rv_tape_record(tape, &sum_op, OUTPUTS, in, 1, &s, sizeof(sum_ctx));
    memcpy(((sum_ctx *)n->ctx)->weight, weight, sizeof(sum_ctx));
    s->x[0] = 0;
    return s;
}

static rv_real *keep(const rv_real *v, int64_t n) {
    rv_real *r = malloc((size_t)(n + 1) * sizeof *r);
    if (n) memcpy(r, v, (size_t)n * sizeof *r);
    return r;
}

/* The same layer step by step from elementary ops (no lengths, not reversed; biases and states are there). */
static rv_tensor *gate(rv_tape *t, rv_tensor *a, int k, int64_t H) { return rv_slice(t, a, -1, k * H, (k + 1) * H); }

static rv_sequence composed(rv_tape *t, rv_cell cell, rv_tensor *const *in) {
    enum { MAX_STEPS = 16 };
    int64_t T = in[X]->dim[0], B = in[X]->dim[1], H = in[W_HH]->dim[1];
    rv_tensor *h = in[H0], *c = in[C0], *y[MAX_STEPS];
    cr_assert_leq(T, MAX_STEPS);
    for (int64_t step = 0; step < T; step++) {
        rv_tensor *x = rv_reshape(t, rv_slice(t, in[X], 0, step, step + 1), 2, (int64_t[]){B, -1});
        rv_tensor *a = rv_linear(t, x, in[W_IH], in[B_IH], RV_ACT_NONE),
                  *b = rv_linear(t, h, in[W_HH], in[B_HH], RV_ACT_NONE), *s = rv_add(t, a, b);
        if (cell == RV_CELL_RNN_TANH || cell == RV_CELL_RNN_RELU) {
            h = cell == RV_CELL_RNN_TANH ? rv_tanh(t, s) : rv_relu(t, s);
        } else if (cell == RV_CELL_LSTM) {
            rv_tensor *i = rv_sigmoid(t, gate(t, s, 0, H)), *f = rv_sigmoid(t, gate(t, s, 1, H));
            rv_tensor *g = rv_tanh(t, gate(t, s, 2, H)), *o = rv_sigmoid(t, gate(t, s, 3, H));
            c = rv_add(t, rv_mul(t, f, c), rv_mul(t, i, g));
            h = rv_mul(t, o, rv_tanh(t, c));
        } else {
            rv_tensor *r = rv_sigmoid(t, gate(t, s, 0, H)), *z = rv_sigmoid(t, gate(t, s, 1, H)),
                      *inner = gate(t, b, 2, H);
            if (cell == RV_CELL_GRU_RESET_BEFORE)
                inner = gate(t, rv_linear(t, rv_mul(t, r, h), in[W_HH], in[B_HH], RV_ACT_NONE), 2, H);
            else
                inner = rv_mul(t, r, inner);
            rv_tensor *n = rv_tanh(t, rv_add(t, gate(t, a, 2, H), inner));
            h = rv_add(t, rv_mul(t, rv_affine(t, z, -1, 1), n), rv_mul(t, z, h));
        }
        y[step] = rv_reshape(t, h, 3, (int64_t[]){1, B, H});
    }
    return (rv_sequence){rv_concat(t, (int)T, y, 0), h, cell == RV_CELL_LSTM ? c : NULL};
}

/* `used`: bit i set means that output i enters the loss. */
static answer run_as(const problem *p, unsigned used, bool fused) {
    rv_tape *tape = rv_tape_create();
    int64_t GH = rv_cell_gates(p->cell) * p->H,
            dim[INPUTS][3] = {{p->T, p->B, p->I}, {GH, p->I}, {GH, p->H}, {GH}, {GH}, {p->B, p->H}, {p->B, p->H}};
    static const int ndim[INPUTS] = {3, 2, 2, 1, 1, 2, 2};
    answer a = {0};
    rv_tensor *in[INPUTS] = {0};
    /* Leaves own their gradients, as parameters do. */
    rv_tensor leaf[INPUTS];
    for (int i = 0; i < INPUTS; i++) {
        int64_t n = in_size(p, i);
        a.grad[i] = calloc((size_t)n + 1, sizeof(rv_real));
        if (!n) continue;
        in[i] = &leaf[i];
        leaf[i] = (rv_tensor){.x = p->in[i], .g = a.grad[i], .ndim = ndim[i], .needs_grad = true, .owns_grad = true};
        memcpy(leaf[i].dim, dim[i], sizeof dim[i]);
    }
    rv_sequence s = fused ? rv_recurrent(tape, p->cell, in[X], in[W_IH], in[W_HH], in[B_IH], in[B_HH], in[H0], in[C0],
                                         p->lengths, p->reverse)
                          : composed(tape, p->cell, in);
    cr_assert_eq(rv_tape_status(tape), RV_OK, "%s", rv_error_message());
    rv_tensor *out[OUTPUTS] = {s.y, s.hn, s.cn}, *in_loss[OUTPUTS];
    for (int i = 0; i < OUTPUTS; i++) {
        a.out[i] = keep(out[i] ? out[i]->x : NULL, out_size(p, i));
        in_loss[i] = used >> i & 1 ? out[i] : NULL;
    }
    cr_assert_eq(rv_backward(tape, weighted_sum(tape, in_loss, p->weight)), RV_OK, "%s", rv_error_message());
    rv_tape_destroy(tape);
    return a;
}

static answer run(const problem *p, unsigned used) { return run_as(p, used, true); }

static bool same_bits(const rv_real *a, const rv_real *b, int64_t n) {
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* ---- plain loops: the equations at rv_recurrent, one number at a time */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void plain(const problem *p, double *y, double *hn, double *cn) {
    int64_t H = p->H, B = p->B;
    double *h = calloc((size_t)H, sizeof *h), *c = calloc((size_t)H, sizeof *c),
           *h_new = calloc((size_t)H, sizeof *h_new);
    memset(y, 0, (size_t)(p->T * B * H) * sizeof *y);
    for (int64_t b = 0; b < B; b++) {
        int64_t len = p->lengths ? p->lengths[b] : p->T;
        for (int64_t u = 0; u < H; u++) {
            h[u] = p->states ? p->in[H0][b * H + u] : 0;
            c[u] = p->states && p->cell == RV_CELL_LSTM ? p->in[C0][b * H + u] : 0;
        }
        for (int64_t s = 0; s < len; s++) {
            int64_t t = p->reverse ? len - 1 - s : s;
            const rv_real *x = p->in[X] + (t * B + b) * p->I;
            double r_all[64] = {0};
            for (int64_t u = 0; u < H && p->cell == RV_CELL_GRU_RESET_BEFORE; u++) {
                double a = p->bias ? p->in[B_IH][u] + (double)p->in[B_HH][u] : 0;
                for (int64_t j = 0; j < p->I; j++) a += (double)x[j] * p->in[W_IH][u * p->I + j];
                for (int64_t j = 0; j < H; j++) a += h[j] * p->in[W_HH][u * H + j];
                r_all[u] = sigmoid(a);
            }
            for (int64_t u = 0; u < H; u++) {
                double in[4], rec[4];
                for (int g = 0; g < rv_cell_gates(p->cell); g++) {
                    int64_t row = g * H + u;
                    in[g] = p->bias ? p->in[B_IH][row] : 0;
                    rec[g] = p->bias ? p->in[B_HH][row] : 0;
                    for (int64_t j = 0; j < p->I; j++) in[g] += (double)x[j] * p->in[W_IH][row * p->I + j];
                    bool reset = p->cell == RV_CELL_GRU_RESET_BEFORE && g == 2;
                    for (int64_t j = 0; j < H; j++) rec[g] += h[j] * (reset ? r_all[j] : 1) * p->in[W_HH][row * H + j];
                }
                double a = in[0] + rec[0], z, n;
                switch (p->cell) {
                case RV_CELL_RNN_TANH: h_new[u] = tanh(a); break;
                case RV_CELL_RNN_RELU: h_new[u] = a > 0 ? a : 0; break;
                case RV_CELL_LSTM:
                    c[u] = sigmoid(in[1] + rec[1]) * c[u] + sigmoid(a) * tanh(in[2] + rec[2]);
                    h_new[u] = sigmoid(in[3] + rec[3]) * tanh(c[u]);
                    break;
                default:
                    z = sigmoid(in[1] + rec[1]);
                    n = tanh(in[2] + rec[2] * (p->cell == RV_CELL_GRU ? sigmoid(a) : 1));
                    h_new[u] = (1 - z) * n + z * h[u];
                }
            }
            memcpy(h, h_new, (size_t)H * sizeof *h);
            memcpy(y + (t * B + b) * H, h, (size_t)H * sizeof *h);
        }
        memcpy(hn + b * H, h, (size_t)H * sizeof *h);
        memcpy(cn + b * H, c, (size_t)H * sizeof *c);
    }
    free(h);
    free(c);
    free(h_new);
}

#define EACH_CELL(c) for (rv_cell c = RV_CELL_RNN_TANH; c <= RV_CELL_GRU_RESET_BEFORE; c++)
static const int32_t ragged[] = {4, 9, 1, 0, 9, 6};

static void expect_plain(rv_cell cell, int v) {
    double tolerance = sizeof(rv_real) == 8 ? 1e-13 : 2e-6;
    problem p = make(cell, v & 4 ? 9 : 2, 6, 5, 37, v & 4 && v & 1 ? ragged : NULL, v & 2, v != 2 && v != 4);
    double *y = calloc((size_t)out_size(&p, Y), sizeof *y), hn[6 * 37], cn[6 * 37], *want[OUTPUTS] = {y, hn, cn};
    plain(&p, y, hn, cn);
    answer a = run(&p, 7);
    for (int i = 0; i < OUTPUTS; i++)
        for (int64_t j = 0; j < out_size(&p, i); j++)
            cr_assert_float_eq(a.out[i][j], want[i][j], tolerance,
                               "%s, cell %d, variant %d: output %d[%d] is %.9g, not %.9g", rv_k()->isa, cell, v, i,
                               (int)j, (double)a.out[i][j], want[i][j]);
    free(y);
    drop_answer(&a);
    drop(&p);
}

Test(recurrent, equals_plain_loops) {
    static const char *const isa[] = {"base", "avx2", "avx512"};
    for (int k = 0; k < 3; k++) {
        if (rv_select_isa(isa[k]) != RV_OK) continue; /* not on this CPU */
        EACH_CELL(cell)
        for (int v = 0; v < 8; v++) expect_plain(cell, v);
    }
}

Test(recurrent, equals_composed_cell) {
    double tolerance = sizeof(rv_real) == 8 ? 1e-12 : 2e-5;
    EACH_CELL(cell)
    for (int steps = 3; steps <= 9; steps += 6) {
        /* with 256 and more gates their rows lie further apart than they are long */
        problem p = make(cell, steps, 6, 5, steps == 3 ? 37 : cell == RV_CELL_LSTM ? 64 : 256, NULL, false, true);
        answer a = run(&p, 7), b = run_as(&p, 7, false);
        for (int i = 0; i < OUTPUTS; i++)
            for (int64_t j = 0; j < out_size(&p, i); j++)
                cr_assert_float_eq(a.out[i][j], b.out[i][j], tolerance, "cell %d output %d", cell, i);
        for (int i = 0; i < INPUTS; i++)
            for (int64_t j = 0; j < in_size(&p, i); j++)
                cr_assert_float_eq(a.grad[i][j], b.grad[i][j], tolerance * (1 + fabs((double)b.grad[i][j])),
                                   "cell %d gradient %d[%d]: %g, composed %g", cell, i, (int)j, (double)a.grad[i][j],
                                   (double)b.grad[i][j]);
        drop_answer(&a);
        drop_answer(&b);
        drop(&p);
    }
}

#ifdef RV_DOUBLE
static double loss(const problem *p, unsigned used) {
    answer a = run(p, used);
    double l = 0;
    for (int i = 0; i < OUTPUTS; i++)
        for (int64_t j = 0; used >> i & 1 && j < out_size(p, i); j++) l += a.out[i][j] * p->weight[i][j];
    drop_answer(&a);
    return l;
}

Test(recurrent, gradients_equal_differences) {
    static const int32_t lengths[] = {5, 2, 0};
    EACH_CELL(cell)
    for (int v = 0; v < 6; v++) {
        unsigned used = (const unsigned[]){7, 1, 2, 7, 7, 4}[v];
        if (used == 4 && cell != RV_CELL_LSTM) continue;
        problem p = make(cell, v == 1 ? 2 : 5, 3, 2, 3, v >= 2 ? lengths : NULL, v & 1, v != 3);
        answer a = run(&p, used);
        for (int i = 0; i < INPUTS; i++)
            for (int64_t j = 0; j < in_size(&p, i); j++) {
                double eps = 1e-6, old = p.in[i][j];
                p.in[i][j] = old + eps;
                double up = loss(&p, used);
                p.in[i][j] = old - eps;
                double numeric = (up - loss(&p, used)) / (2 * eps);
                p.in[i][j] = old;
                double error = fabs(numeric - a.grad[i][j]) / fmax(1, fabs(numeric));
                cr_assert(error < 1e-8, "cell %d variant %d input %d element %d: %g by backward, %g by differences",
                          cell, v, i, (int)j, a.grad[i][j], numeric);
            }
        drop_answer(&a);
        drop(&p);
    }
}
#endif

Test(recurrent, same_bits_at_every_thread_count) {
    EACH_CELL(cell)
    for (int steps = 2; steps <= 9; steps += 7) {
        problem p = make(cell, steps, 6, 33, 100, steps == 9 ? ragged : NULL, cell & 1, true);
        rv_set_threads(1);
        answer one = run(&p, 7);
        for (int n = 2; n <= 8; n += n == 4 ? 4 : 1) {
            rv_set_threads(n);
            answer many = run(&p, 7);
            for (int i = 0; i < OUTPUTS; i++)
                cr_assert(same_bits(one.out[i], many.out[i], out_size(&p, i)), "cell %d threads %d output %d", cell, n,
                          i);
            for (int i = 0; i < INPUTS; i++)
                cr_assert(same_bits(one.grad[i], many.grad[i], in_size(&p, i)), "cell %d threads %d gradient %d", cell,
                          n, i);
            drop_answer(&many);
        }
        drop_answer(&one);
        drop(&p);
    }
    rv_set_threads(0);
}

/* Row b of the ragged batch alone, without its padding: same bits, in outputs and in the gradients of its own inputs.
 */
Test(recurrent, batch_mates_and_padding_change_nothing) {
    EACH_CELL(cell)
    for (int reverse = 0; reverse < 2; reverse++) {
        problem p = make(cell, 9, 6, 5, 37, ragged, reverse, true);
        answer all = run(&p, 7);
        for (int64_t b = 0; b < p.B; b++) {
            if (!ragged[b]) continue;
            problem q = p;
            q.B = 1;
            q.T = ragged[b];
            q.lengths = NULL;
            for (int i = 0; i < INPUTS; i++) {
                if (i != X && i != H0 && i != C0) continue;
                q.in[i] = keep(p.in[i], 0);
                int64_t row = i == X ? p.I : p.H, steps = i == X ? q.T : 1;
                q.in[i] = realloc(q.in[i], (size_t)(steps * row) * sizeof(rv_real));
                for (int64_t t = 0; t < steps && in_size(&q, i); t++)
                    memcpy(q.in[i] + t * row, p.in[i] + (t * p.B + b) * row, (size_t)row * sizeof(rv_real));
            }
            for (int i = 0; i < OUTPUTS; i++) {
                int64_t steps = i == Y ? q.T : 1;
                q.weight[i] = malloc((size_t)(steps * p.H) * sizeof(rv_real));
                for (int64_t t = 0; t < steps && out_size(&q, i); t++)
                    memcpy(q.weight[i] + t * p.H, p.weight[i] + (t * p.B + b) * p.H, (size_t)p.H * sizeof(rv_real));
            }
            answer one = run(&q, 7);
            for (int64_t t = 0; t < q.T; t++) {
                cr_assert(same_bits(one.out[Y] + t * p.H, all.out[Y] + (t * p.B + b) * p.H, p.H),
                          "cell %d reverse %d row %d y", cell, reverse, (int)b);
                cr_assert(same_bits(one.grad[X] + t * p.I, all.grad[X] + (t * p.B + b) * p.I, p.I),
                          "cell %d reverse %d row %d dx", cell, reverse, (int)b);
            }
            cr_assert(same_bits(one.out[HN], all.out[HN] + b * p.H, p.H));
            cr_assert(same_bits(one.grad[H0], all.grad[H0] + b * p.H, p.H));
            if (cell == RV_CELL_LSTM) {
                cr_assert(same_bits(one.out[CN], all.out[CN] + b * p.H, p.H));
                cr_assert(same_bits(one.grad[C0], all.grad[C0] + b * p.H, p.H));
            }
            drop_answer(&one);
            for (int i = 0; i < INPUTS; i++)
                if (i == X || i == H0 || i == C0) free(q.in[i]);
            for (int i = 0; i < OUTPUTS; i++) free(q.weight[i]);
        }
        for (int64_t b = 0; b < p.B; b++)
            for (int64_t t = ragged[b]; t < p.T; t++) {
                for (int64_t u = 0; u < p.H; u++) cr_assert_eq(all.out[Y][(t * p.B + b) * p.H + u], 0);
                for (int64_t j = 0; j < p.I; j++) cr_assert_eq(all.grad[X][(t * p.B + b) * p.I + j], 0);
            }
        drop_answer(&all);
        drop(&p);
    }
}

/* The values of p's steps [begin, begin + T) with the states given; nothing recorded when `no_grad`. */
static answer part(problem p, int64_t begin, int64_t T, rv_real *h, rv_real *c) {
    p.in[X] += begin * p.B * p.I;
    p.T = T;
    p.in[H0] = h;
    p.in[C0] = c;
    return run(&p, 7);
}

Test(recurrent, carried_state_continues_the_sequence) {
    EACH_CELL(cell) {
        problem p = make(cell, 8, 3, 5, 37, NULL, false, true);
        answer whole = run(&p, 7);
        for (int step = 1; step <= 4; step *= 4) { /* one at a time, as in decoding, and in halves */
            rv_real *h = keep(p.in[H0], p.B * p.H), *c = keep(p.in[C0], cell == RV_CELL_LSTM ? p.B * p.H : 0);
            for (int64_t t = 0; t < p.T; t += step) {
                answer a = part(p, t, step, h, c);
                cr_assert(same_bits(a.out[Y], whole.out[Y] + t * p.B * p.H, step * p.B * p.H),
                          "cell %d at step %d by %d", cell, (int)t, step);
                free(h);
                free(c);
                h = keep(a.out[HN], p.B * p.H);
                c = keep(a.out[CN], out_size(&p, CN));
                drop_answer(&a);
            }
            cr_assert(same_bits(h, whole.out[HN], p.B * p.H));
            cr_assert(same_bits(c, whole.out[CN], out_size(&p, CN)));
            free(h);
            free(c);
        }
        drop_answer(&whole);
        drop(&p);
    }
}

/* Reverse over a ragged batch is forward over each row's valid steps turned round. */
Test(recurrent, reverse_starts_at_the_last_valid_step) {
    EACH_CELL(cell) {
        problem p = make(cell, 9, 6, 5, 37, ragged, true, true), q = make(cell, 9, 6, 5, 37, ragged, false, true);
        for (int64_t b = 0; b < p.B; b++)
            for (int64_t t = 0; t < ragged[b]; t++)
                memcpy(q.in[X] + (t * p.B + b) * p.I, p.in[X] + ((ragged[b] - 1 - t) * p.B + b) * p.I,
                       (size_t)p.I * sizeof(rv_real));
        answer back = run(&p, 7), turned = run(&q, 7);
        for (int64_t b = 0; b < p.B; b++)
            for (int64_t t = 0; t < ragged[b]; t++)
                cr_assert(same_bits(back.out[Y] + (t * p.B + b) * p.H,
                                    turned.out[Y] + ((ragged[b] - 1 - t) * p.B + b) * p.H, p.H),
                          "cell %d", cell);
        cr_assert(same_bits(back.out[HN], turned.out[HN], p.B * p.H));
        drop_answer(&back);
        drop_answer(&turned);
        drop(&p);
        drop(&q);
    }
}

Test(recurrent, grus_differ) {
    problem p = make(RV_CELL_GRU, 4, 3, 5, 8, NULL, false, true), q = p;
    q.cell = RV_CELL_GRU_RESET_BEFORE;
    answer a = run(&p, 7), b = run(&q, 7);
    double most = 0;
    for (int64_t i = 0; i < out_size(&p, Y); i++) most = fmax(most, fabs((double)a.out[Y][i] - b.out[Y][i]));
    cr_assert_gt(most, 0.01);
    drop_answer(&a);
    drop_answer(&b);
    drop(&p);
}

/* Without a recording nothing is kept from step to step; the values must be the same. */
Test(recurrent, same_bits_when_nothing_is_recorded) {
    EACH_CELL(cell)
    for (int reverse = 0; reverse < 2; reverse++) {
        problem p = make(cell, 9, 6, 5, 37, ragged, reverse, true);
        answer a = run(&p, 7);
        rv_tape *tape = rv_tape_create();
        rv_tape_no_grad(tape, true);
        int64_t GH = rv_cell_gates(cell) * p.H;
        rv_tensor *c0 = cell == RV_CELL_LSTM ? rv_constant(tape, 2, (int64_t[]){p.B, p.H}, p.in[C0]) : NULL;
        rv_sequence s = rv_recurrent(tape, cell, rv_constant(tape, 3, (int64_t[]){p.T, p.B, p.I}, p.in[X]),
                                     rv_constant(tape, 2, (int64_t[]){GH, p.I}, p.in[W_IH]),
                                     rv_constant(tape, 2, (int64_t[]){GH, p.H}, p.in[W_HH]),
                                     rv_constant(tape, 1, &GH, p.in[B_IH]), rv_constant(tape, 1, &GH, p.in[B_HH]),
                                     rv_constant(tape, 2, (int64_t[]){p.B, p.H}, p.in[H0]), c0, ragged, reverse);
        cr_assert(s.y);
        cr_assert(same_bits(s.y->x, a.out[Y], out_size(&p, Y)));
        cr_assert(same_bits(s.hn->x, a.out[HN], out_size(&p, HN)));
        if (s.cn) cr_assert(same_bits(s.cn->x, a.out[CN], out_size(&p, CN)));
        rv_tape_destroy(tape);
        drop_answer(&a);
        drop(&p);
    }
}

Test(recurrent, gradients_add_up) {
    EACH_CELL(cell) {
        problem p = make(cell, 5, 3, 4, 6, NULL, false, true);
        answer once = run(&p, 7);
        /* The same layer twice on one tape, with one bias tensor for both places. */
        rv_tape *tape = rv_tape_create();
        int64_t GH = rv_cell_gates(cell) * p.H;
        rv_tensor *x = rv_leaf(tape, true, 3, (int64_t[]){p.T, p.B, p.I}),
                  *w_ih = rv_leaf(tape, true, 2, (int64_t[]){GH, p.I});
        rv_tensor *w_hh = rv_leaf(tape, true, 2, (int64_t[]){GH, p.H}), *b = rv_leaf(tape, true, 1, &GH),
                  *b2 = rv_leaf(tape, true, 1, &GH);
        rv_tensor *h0 = rv_leaf(tape, true, 2, (int64_t[]){p.B, p.H}),
                  *c0 = cell == RV_CELL_LSTM ? rv_leaf(tape, true, 2, (int64_t[]){p.B, p.H}) : NULL;
        rv_tensor *in[] = {x, w_ih, w_hh, b, b2, h0, c0};
        for (int i = 0; i < INPUTS; i++)
            if (in[i]) memcpy(in[i]->x, p.in[i], (size_t)in_size(&p, i) * sizeof(rv_real));
        rv_tensor *total[OUTPUTS] = {0};
        rv_sequence s1 = rv_recurrent(tape, cell, x, w_ih, w_hh, b, b2, h0, c0, NULL, false),
                    s2 = rv_recurrent(tape, cell, x, w_ih, w_hh, b, b2, h0, c0, NULL, false);
        rv_tensor *o1[] = {s1.y, s1.hn, s1.cn}, *o2[] = {s2.y, s2.hn, s2.cn};
        rv_real one = 1, *ones[OUTPUTS] = {&one, &one, &one};
        total[0] = weighted_sum(tape, o1, p.weight);
        total[1] = weighted_sum(tape, o2, p.weight);
        cr_assert_eq(rv_backward(tape, weighted_sum(tape, total, ones)), RV_OK);
        double tolerance = sizeof(rv_real) == 8 ? 1e-12 : 1e-4;
        for (int i = 0; i < INPUTS; i++)
            for (int64_t j = 0; in[i] && j < in_size(&p, i); j++)
                cr_assert_float_eq(in[i]->g[j], 2 * once.grad[i][j], tolerance * (1 + fabs((double)once.grad[i][j])),
                                   "cell %d input %d", cell, i);
        rv_tape_destroy(tape);
        drop_answer(&once);
        drop(&p);
    }
}

Test(recurrent, wrong_shapes_are_named) {
    rv_tape *tape = rv_tape_create();
    rv_tensor *x = rv_leaf(tape, true, 3, (int64_t[]){4, 2, 3}), *w_ih = rv_leaf(tape, true, 2, (int64_t[]){20, 3});
    rv_tensor *w_hh = rv_leaf(tape, true, 2, (int64_t[]){20, 5}), *bad = rv_leaf(tape, true, 2, (int64_t[]){15, 5}),
              *flat = rv_leaf(tape, true, 2, (int64_t[]){8, 3});
    rv_tensor *state = rv_leaf(tape, true, 2, (int64_t[]){2, 5}), *bias = rv_leaf(tape, true, 1, (int64_t[]){15}),
              *gru_ih = rv_leaf(tape, true, 2, (int64_t[]){15, 3});
    static const int32_t too_long[] = {5, 4};
    const struct {
        rv_cell cell;
        rv_tensor *x, *w_ih, *w_hh, *b, *h0, *c0;
        const int32_t *lengths;
        const char *expected;
    } row[] = {
        {RV_CELL_LSTM, flat, w_ih, w_hh, NULL, NULL, NULL, NULL, "x has shape (8, 3)"},
        {RV_CELL_LSTM, x, w_ih, bad, NULL, NULL, NULL, NULL, "w_hh has shape (15, 5)"},
        {RV_CELL_GRU, x, w_ih, bad, NULL, NULL, NULL, NULL,
         "w_ih has shape (20, 3); with x (4, 2, 3), 3 gates and H = 5 it must be (15, 3)"},
        {RV_CELL_LSTM, x, w_ih, w_hh, bias, NULL, NULL, NULL,
         "b_ih has shape (15); with x (4, 2, 3), 4 gates and H = 5 it must be (20)"},
        {RV_CELL_LSTM, x, w_ih, w_hh, NULL, bad, NULL, NULL, "h0 has shape (15, 5)"},
        {RV_CELL_GRU, x, gru_ih, bad, NULL, NULL, state, NULL, "only an LSTM has a cell state"},
        {RV_CELL_LSTM, x, w_ih, w_hh, NULL, NULL, NULL, too_long, "row 0 has length 5, outside 0 to 4"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        rv_tape *t = rv_tape_create();
        rv_sequence s = rv_recurrent(t, row[i].cell, row[i].x, row[i].w_ih, row[i].w_hh, row[i].b, NULL, row[i].h0,
                                     row[i].c0, row[i].lengths, false);
        cr_assert_null(s.y);
        cr_assert_eq(rv_tape_status(t), RV_ESHAPE);
        cr_assert(strstr(rv_error_message(), row[i].expected), "%s", rv_error_message());
        rv_tape_destroy(t);
    }
    rv_tape_destroy(tape);
}

Test(recurrent, steady_state_allocates_once) {
    problem p = make(RV_CELL_LSTM, 20, 4, 8, 64, NULL, false, true);
    rv_tape *tape = rv_tape_create();
    size_t bytes = 0;
    for (int step = 0; step < 4; step++) {
        rv_tape_reset(tape);
        rv_tensor *in[3];
        for (int i = 0; i < 3; i++)
            in[i] = rv_leaf(tape, true, i == X ? 3 : 2,
                            i == X      ? (int64_t[]){p.T, p.B, p.I}
                            : i == W_IH ? (int64_t[]){4 * p.H, p.I}
                                        : (int64_t[]){4 * p.H, p.H});
        for (int i = 0; i < 3; i++) memcpy(in[i]->x, p.in[i], (size_t)in_size(&p, i) * sizeof(rv_real));
        rv_sequence s = rv_recurrent(tape, RV_CELL_LSTM, in[0], in[1], in[2], NULL, NULL, NULL, NULL, NULL, false);
        cr_assert_eq(rv_backward_from(tape, s.y, p.weight[Y]), RV_OK);
        if (step == 2) bytes = rv_tape_step_bytes(tape);
        if (step == 3) cr_assert_eq(bytes, rv_tape_step_bytes(tape));
    }
    rv_tape_destroy(tape);
    drop(&p);
}

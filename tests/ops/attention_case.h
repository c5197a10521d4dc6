/* A case of rv_attention_recurrent: its sizes, and its values as leaves. */
#ifndef RV_TESTS_ATTENTION_CASE_H
#define RV_TESTS_ATTENTION_CASE_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

enum { X, MEMORY, KEYS, W_QUERY, V, W_IH, W_HH, B_IH, B_HH, H0, C0, W_OUT, FEED, W_POSITION, V_POSITION, INPUTS };
enum { OUT_H, CONTEXT, OUTPUT, HN, CN, OUTPUTS };
static const char *const in_name[INPUTS] = {"x",    "memory", "keys", "w_query",    "v",
                                            "w_ih", "w_hh",   "b_ih", "b_hh",       "h0",
                                            "c0",   "w_out",  "feed", "w_position", "v_position"};
static const char *const out_name[OUTPUTS] = {"h", "context", "output", "hn", "cn"};

/* A case, with its values as leaves that own their gradients, as parameters do. */
typedef struct {
    rv_cell cell;
    rv_score score;
    bool current, feed, plain; /* plain: neither biases nor states */
    int64_t T, B, S, E, H, D, A, O, P;
    double window;
    const int32_t *lengths;
    rv_tensor in[INPUTS];     /* ndim 0 stands for absent */
    rv_real *weight[OUTPUTS]; /* loss = sum weight * output */
} problem;
typedef struct {
    rv_real *out[OUTPUTS], *weights, *grad[INPUTS];
} answer;

static inline rv_real *room(int64_t n) { return calloc((size_t)n + 1, sizeof(rv_real)); }
static inline rv_real *keep(const rv_real *v, int64_t n) {
    rv_real *r = room(n);
    if (n) memcpy(r, v, (size_t)n * sizeof *r);
    return r;
}
static inline bool same_bits(const rv_real *a, const rv_real *b, int64_t n) {
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static inline rv_tensor shape(int ndim, int64_t d0, int64_t d1, int64_t d2) {
    return (rv_tensor){.ndim = ndim, .dim = {d0, d1, d2}, .needs_grad = true, .owns_grad = true};
}
static inline int64_t size(const rv_tensor *t) { return t->ndim ? rv_numel(t) : 0; }

static inline void set_shapes(problem *p) {
    const int64_t GH = rv_cell_gates(p->cell) * p->H, F = p->feed ? p->O : p->current ? 0 : p->D;
    const bool additive = p->score == RV_SCORE_ADDITIVE, states = !p->plain;
    memset(p->in, 0, sizeof p->in);
    p->in[X] = shape(3, p->T, p->B, p->E);
    p->in[MEMORY] = shape(3, p->B, p->S, p->D);
    p->in[KEYS] = shape(3, p->B, p->S, p->A);
    if (additive) p->in[W_QUERY] = shape(2, p->A, p->H, 0), p->in[V] = shape(1, p->A, 0, 0);
    p->in[W_IH] = shape(2, GH, p->E + F, 0);
    p->in[W_HH] = shape(2, GH, p->H, 0);
    if (states) p->in[B_IH] = p->in[B_HH] = shape(1, GH, 0, 0);
    if (states) p->in[H0] = shape(2, p->B, p->H, 0);
    if (states && p->cell == RV_CELL_LSTM) p->in[C0] = p->in[H0];
    if (p->O) p->in[W_OUT] = shape(2, p->O, p->D + p->H, 0);
    if (p->feed) p->in[FEED] = shape(2, p->B, p->O, 0);
    if (p->P) p->in[W_POSITION] = shape(2, p->P, p->H, 0), p->in[V_POSITION] = shape(1, p->P, 0, 0);
}
static inline int64_t out_size(const problem *p, int i) {
    const int64_t steps = p->T * p->B;
    return (int64_t[]){steps * p->H, steps * p->D, steps * p->O, p->B * p->H,
                       p->cell == RV_CELL_LSTM ? p->B * p->H : 0}[i];
}

static inline rv_real *random_values(int64_t n, uint64_t stream, double scale) {
    rv_real *v = room(n);
    rv_rng rng = rv_rng_make(7, "test", stream);
    for (int64_t i = 0; i < n; i++) v[i] = (rv_real)(scale * (2 * rv_rng_uniform(&rng) - 1));
    return v;
}
/* Fill in values and the gradients' places. */
static inline void make(problem *p) {
    set_shapes(p);
    for (int i = 0; i < INPUTS; i++) {
        const bool recurrent = i == W_HH || i == W_IH || i == W_OUT;
        p->in[i].x = random_values(size(&p->in[i]), (uint64_t)i, recurrent ? 1.5 / sqrt((double)p->H) : 1);
        p->in[i].g = room(size(&p->in[i]));
    }
    for (int i = 0; i < OUTPUTS; i++) p->weight[i] = random_values(out_size(p, i), (uint64_t)(40 + i), 1);
}
static inline void drop(problem *p) {
    for (int i = 0; i < INPUTS; i++) free(p->in[i].x), free(p->in[i].g);
    for (int i = 0; i < OUTPUTS; i++) free(p->weight[i]);
}
static inline void drop_answer(answer *a) {
    for (int i = 0; i < INPUTS; i++) free(a->grad[i]);
    for (int i = 0; i < OUTPUTS; i++) free(a->out[i]);
    free(a->weights);
}

static inline rv_attention_recurrence arguments(const problem *p, rv_tensor *const *in) {
    return (rv_attention_recurrence){.cell = p->cell,
                                     .score = p->score,
                                     .query_current = p->current,
                                     .x = in[X],
                                     .memory = in[MEMORY],
                                     .keys = in[KEYS],
                                     .lengths = p->lengths,
                                     .w_query = in[W_QUERY],
                                     .v = in[V],
                                     .w_ih = in[W_IH],
                                     .w_hh = in[W_HH],
                                     .b_ih = in[B_IH],
                                     .b_hh = in[B_HH],
                                     .h0 = in[H0],
                                     .c0 = in[C0],
                                     .w_out = in[W_OUT],
                                     .feed = in[FEED],
                                     .w_position = in[W_POSITION],
                                     .v_position = in[V_POSITION],
                                     .window = p->window};
}

#endif

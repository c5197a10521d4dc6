/* What the two halves of rv_attention_recurrent share. */
#ifndef RV_OPS_ATTENTION_RECURRENT_PRIVATE_H
#define RV_OPS_ATTENTION_RECURRENT_PRIVATE_H

#include "ops/recurrent_private.h"

/* The inputs of the node, in order, and its outputs. */
enum {
    RV__AR_X,
    RV__AR_MEMORY,
    RV__AR_KEYS,
    RV__AR_W_QUERY,
    RV__AR_V,
    RV__AR_W_IH,
    RV__AR_W_HH,
    RV__AR_B_IH,
    RV__AR_B_HH,
    RV__AR_H0,
    RV__AR_C0,
    RV__AR_W_OUT,
    RV__AR_FEED,
    RV__AR_W_POSITION,
    RV__AR_V_POSITION,
    RV__AR_INPUTS
};
enum { RV__AR_H, RV__AR_CONTEXT, RV__AR_OUTPUT, RV__AR_HN, RV__AR_CN, RV__AR_OUTPUTS };

/* The sequence as forward leaves it to backward; the cell's part is a sequence of rv_recurrent without lengths. */
typedef struct {
    rv_attention_recurrence r;
    rv__seq q;
    int64_t S, D, A, E, F, O, P; /* O, P: 0 without w_out, w_position */
    rv_real *context;            /* (T, B, D) */
    rv_real *output;             /* (T, B, O) */
    rv_real *weights;            /* (T, B, S) */
    rv_real *query;              /* (T, B, A), additive: W q */
    rv_real *soft;               /* (T, B, S), local: the softmax before the Gaussian */
    rv_real *position;           /* (T, B), local: p */
    rv_real *hidden;             /* (T, B, P), local: tanh(W_p q) */
} rv__attention_seq;

/* A weight matrix op(W) (k x n) of a product in the loop, with its columns shared out among the threads. */
typedef struct {
    bool tb;
    int64_t n, k, ld;
    const rv_real *w;
    const void *packed; /* or NULL where the steps are too few for packing to pay */
} rv__factor;

/* Pack f if that pays for so many steps; false (sticky error) without memory. */
bool rv__factor_pack(rv_tape *tape, rv__factor *f, int64_t steps);
/* The product out = or += a op(W) over these columns, for rv__multiply_columns. */
rv_gemm_columns rv__factor_columns(const rv__factor *f, int64_t rows, const rv_real *a, int64_t lda, rv_real *out,
                                   int64_t ldo, bool accumulate, rv_range columns);

/* One thread of those that run the recurrence: which rows, and which columns of n, are its own, and where all meet. */
typedef struct {
    int64_t me, all;
    rv_barrier *barrier;
} rv__team;
static inline void rv__team_meet(rv__team t) { rv_barrier_wait(t.barrier, (int)t.all); }
static inline rv_range rv__team_rows(rv__team t, int64_t n) {
    return (rv_range){n * t.me / t.all, n * (t.me + 1) / t.all};
}
static inline rv_range rv__team_columns(rv__team t, int64_t n) {
    int64_t panel = rv_gemm_panel(), panels = (n + panel - 1) / panel, end = panels * (t.me + 1) / t.all * panel;
    return (rv_range){panels * t.me / t.all * panel, end < n ? end : n};
}

/* The row of the memory that row b reads, and its valid positions. */
static inline int64_t rv__memory_row(const rv__attention_seq *a, int64_t b) { return a->r.rows ? a->r.rows[b] : b; }
static inline int64_t rv__memory_length(const rv__attention_seq *a, int64_t row) {
    return a->r.lengths ? a->r.lengths[row] : a->S;
}
/* The positions that row b looks at at step t. */
rv_range rv__attended(const rv__attention_seq *a, int64_t t, int64_t b);
/* exp(-(s - p)^2 / (2 (window/2)^2)) */
double rv__gauss(const rv__attention_seq *a, double p, int64_t s);

/* The state before step t, and the one that asks: (B, H). */
static inline const rv_real *rv__state_before(const rv__attention_seq *a, int64_t t) {
    return t ? a->q.y + (t - 1) * a->q.B * a->q.H : a->q.h0;
}
static inline const rv_real *rv__query_state(const rv__attention_seq *a, int64_t t) {
    return a->r.query_current ? a->q.y + t * a->q.B * a->q.H : rv__state_before(a, t);
}

/* FLOPs of all steps, two per multiply-add, of the products that they share out, and of `per_key` multiply-adds for
 * each key that is looked at; with local attention as many as the window can hold. */
double rv__attention_flops(const rv__attention_seq *a, double products, double per_key);
/* Multiply-adds of all steps, about. */
double rv__attention_work(const rv__attention_seq *a);

void rv__attention_recurrent_backward(rv_tape *tape, rv_node *node);
rv_tensor *rv__attention_recurrent_sample(rv_tape *tape, int k);

#endif

/* What the two halves of rv_recurrent share. */
#ifndef RV_OPS_RECURRENT_PRIVATE_H
#define RV_OPS_RECURRENT_PRIVATE_H

#include "kernels/gemm.h"
#include "ops/ops.h"

/* Packing copies the weights once; below this many steps it costs more than it saves. */
enum { RV__PACK_MIN_STEPS = 4 };

/* The sequence as forward leaves it to backward. "Time" t is the position in x; "step" s counts in the order of
 * computing: t = s forward, T-1-s in reverse. */
typedef struct rv__seq {
    rv_cell cell;
    int64_t T, B, I, H, G;
    const int32_t *lengths; /* or NULL */
    bool reverse;
    bool has_h0;
    const rv_real *w_hh, *h0, *c0; /* the states are zeros when the caller gave none */
    rv_real *y;                    /* (T, B, H) */
    rv_real *gates;                /* (T, B, G H), rows ld apart; backward: their gradients before activation */
    int64_t ld;
    rv_real *hp;                /* (T, B, H), GRU only: see rv_cell_row */
    rv_real *c;                 /* (T, B, H), LSTM only */
    rv_real *dh_seen, *dc_seen; /* (T, B, H) where backward is to leave the states' gradients, or NULL */
    int64_t keep;               /* 1, or 0 when nothing is recorded: hp and c are then (B, H), used by all steps */
} rv__seq;

/* A product of the recurrence: c (rows, gates H) from a and the recurrent weights of some gates; in backward
 * c (rows, H), and the gates are summed over. */
typedef struct {
    int gate, gates; /* the first and their number */
    const rv_real *a;
    rv_real *c;
    int64_t lda, ldc, rows;
    bool accumulate;
    const rv_real *bias;
} rv__product;

/* Forward or backward: what happens at a step. A step has one phase, or two when a product needs what all units
 * did before. In each phase first the products, then the pointwise part of units [u0, u1). */
typedef struct rv__pass rv__pass;
struct rv__pass {
    rv__seq q;
    int64_t steps;
    int phases;
    bool back;
    int (*products)(const rv__pass *p, int64_t s, int phase, rv__product *out); /* at most 2; returns their number */
    void (*pointwise)(const rv__pass *p, int64_t s, int phase, int64_t u0, int64_t u1);
    const char *packed;  /* recurrent weights, or NULL when the steps are too few for packing to pay */
    size_t packed_at[4]; /* where the weights of the product that starts with this gate are in it */
    const rv_real *b_hn; /* forward of GRU */
    const rv_real *dy;   /* backward from here */
    rv_real *dh, *dc, *drh, *db;
};

static inline bool rv__seq_two_phases(rv_cell cell) { return cell == RV_CELL_GRU_RESET_BEFORE; }
static inline bool rv__seq_is_gru(rv_cell cell) { return cell == RV_CELL_GRU || cell == RV_CELL_GRU_RESET_BEFORE; }
static inline int64_t rv__seq_time(const rv__seq *q, int64_t s) { return q->reverse ? q->T - 1 - s : s; }
static inline int64_t rv__seq_length(const rv__seq *q, int64_t b) { return q->lengths ? q->lengths[b] : q->T; }
/* Rows of gates a power of two apart would all lie in the same few sets of a cache, where the sums over steps read them
 * column by column. */
static inline int64_t rv__gates_ld(int64_t n) { return n % 256 ? n : n + 64 / (int64_t)sizeof(rv_real); }
static inline rv_real *rv__seq_gates(const rv__seq *q, int64_t t) { return q->gates + t * q->B * q->ld; }
/* The time at which row b starts. */
static inline int64_t rv__seq_start(const rv__seq *q, int64_t b) { return q->reverse ? rv__seq_length(q, b) - 1 : 0; }
/* Rows [0, n) hold all that are valid at t. */
static inline int64_t rv__seq_rows(const rv__seq *q, int64_t t) {
    int64_t n = q->B;
    while (n > 0 && t >= rv__seq_length(q, n - 1)) n--;
    return n;
}
/* Row b of a state before time t: of `init` at its start, else of the step before in `states`. */
static inline const rv_real *rv__seq_prev(const rv__seq *q, const rv_real *init, const rv_real *states, int64_t keep,
                                          int64_t t, int64_t b) {
    if (t == rv__seq_start(q, b)) return init + b * q->H;
    return states + ((q->reverse ? t + 1 : t - 1) * keep * q->B + b) * q->H;
}

/* Pack the recurrent weights for p if that pays, or take those that the tape holds; w_hh: the tensor, NULL in backward.
 * False (sticky error) without memory. */
bool rv__pass_pack(rv_tape *tape, rv__pass *p, const rv_tensor *w_hh);
/* All steps, in one parallel region. */
void rv__pass_run(const rv__pass *p);
/* FLOPs of the products of all steps, two per multiply-add (kernels/flops.h). */
double rv__pass_flops(const rv__pass *p);
/* p->q is there: set up the rest of a forward pass. */
void rv__pass_forward(rv__pass *p);
/* p->q and p->dy are there: set up the rest of a backward pass that starts with these gradients of the last states (or
 * NULL), and pack; false (sticky error) without memory. */
bool rv__pass_backward(rv_tape *tape, rv__pass *p, const rv_real *dhn, const rv_real *dcn);
/* The products of one phase of a step for units [u0, u1), u0 being a multiple of rv_gemm_panel(); returns their number.
 */
enum { RV__PASS_COLUMNS = 4 };
int rv__pass_columns(const rv__pass *p, int64_t s, int phase, int64_t u0, int64_t u1, rv_gemm_columns *out);
/* Run them on the calling thread, packed or (packed_b NULL) not; neighbours with the same A share its packing. */
void rv__multiply_columns(int count, const rv_gemm_columns *c);

/* What is added to every step's input product (G H values). */
void rv__sum_biases(rv_cell cell, int64_t H, const rv_tensor *b_ih, const rv_tensor *b_hh, rv_real *out);
/* d w_hh (G H, H) from the gates' gradients; `start`: room for B G H elements if there is an h0. */
void rv__recurrent_weight_grad(const rv__seq *q, rv_real *dw, bool acc, rv_real *start);
void rv__give_biases(const rv__pass *p, rv_tensor *b_ih, rv_tensor *b_hh);
/* Into or onto the gradient of t, if it needs one. */
void rv__give(rv_tensor *t, const rv_real *d);

void rv__recurrent_backward(rv_tape *tape, rv_node *node);

#endif

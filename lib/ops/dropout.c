/* Dropout with a mask that is made twice rather than stored. */
#include "ops/ops_private.h"

typedef struct {
    rv_rng rng;
    uint32_t threshold;
    rv_real scale;
} dropout_ctx;

/* A block is a whole number of counters, so its first is known without the others. */
static void drop(const dropout_ctx *c, int64_t n, const rv_real *x, rv_real *y, bool acc) {
    const rv_kernels *k = rv_k();
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(10. * (double)n))
    for (int64_t i = 0; i < rv_blocks(n); i++) {
        rv_range r = rv_block(n, i);
        k->vdropout(c->rng.key, c->rng.step, (uint64_t)r.begin / 4, r.end - r.begin, c->threshold, c->scale, x + r.begin, y + r.begin, acc);
    }
}

rv_tensor *rv_dropout(rv_tape *tape, rv_tensor *x, double p) {
    if (!x || p == 0 || !rv_tape_training(tape)) return x;
    if (!(p > 0 && p < 1)) return rv_tape_fail(tape, RV_EUSAGE, "dropout: probability %g is not in [0, 1)", p);
    rv_tensor *y = rv__like(tape, x);
    if (!y) return NULL;
    dropout_ctx c = {rv_tape_rng(tape), (uint32_t)(p * 0x1p32), (rv_real)(1 / (1 - p))};
    drop(&c, rv_numel(x), x->x, y->x, false);
    rv_node *node = rv_tape_record(tape, &rv__op_dropout, 1, &x, 1, &y, sizeof c);
    if (node) *(dropout_ctx *)node->ctx = c;
    return y;
}

static void dropout_backward(rv_tape *tape, rv_node *node) {
    bool acc;
    rv_real *g = rv_grad(node->in[0], &acc);
    drop(node->ctx, rv_numel(node->in[0]), rv_out_grad(node, 0), g, acc);
}

static rv_tensor *dropout_sample(rv_tape *t, int k) {
    if (k > 1) return NULL;
    bool was = rv_tape_training(t);
    rv_tape_set_training(t, true);
    rv_tensor *y = rv_dropout(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, k ? 9001 : 5)), 0.3);
    rv_tape_set_training(t, was);
    return y;
}
const rv_op rv__op_dropout = {"dropout", dropout_backward, dropout_sample, 0, true};

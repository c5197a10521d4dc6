/* Dropout. Its decisions are kept for backward, one bit for each element. */
#include <math.h>

#include "ops/ops_private.h"

/* Rows of bits start at whole words. Work is cut at whole groups, so that the first counter of a piece is known without
 * the others. */
bool rv__draw_mask(rv_tape *tape, double p, int64_t rows, int64_t n, rv__mask *mask) {
    *mask = (rv__mask){.scale = 1};
    if (!rv_tape_training(tape) || p == 0) return true;
    if (!(p > 0 && p < 1)) return rv_tape_fail(tape, RV_EUSAGE, "dropout: probability %g is not in [0, 1)", p);
    mask->stride = (n + 15) / 16;
    int64_t words = rows * mask->stride, piece = RV_BLOCK / 16;
    uint16_t *bits = rv_tape_alloc(tape, (size_t)words * sizeof *bits);
    if (!bits) return false;
    mask->bits = bits;
    uint32_t least = (uint32_t)lround(p * 65536);
    if (least > 65535) least = 65535;
    mask->scale = (rv_real)(65536. / (65536 - least));
    rv_rng rng = rv_tape_rng(tape);
    const rv_kernels *k = rv_k();
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(8. * (double)words))
    for (int64_t w = 0; w < words; w += piece)
        k->vmask(rng.key, rng.step, (uint64_t)w * 2, words - w < piece ? words - w : piece, least, bits + w);
    return true;
}

static void drop(const rv__mask *mask, int64_t n, const rv_real *x, rv_real *y, bool acc) {
    const rv_kernels *k = rv_k();
    RV_FOR(i, rv_blocks(n), rv_threads_for((double)n), {
        rv_range r = rv_block(n, i);
        k->vkeep(r.end - r.begin, mask->bits + r.begin / 16, mask->scale, x + r.begin, acc ? y + r.begin : NULL,
                 y + r.begin);
    });
}

rv_tensor *rv_dropout(rv_tape *tape, rv_tensor *x, double p) {
    if (!x) return NULL;
    rv__mask mask;
    int64_t n = rv_numel(x);
    if (!rv__draw_mask(tape, p, 1, n, &mask)) return NULL;
    if (!mask.bits) return x;
    rv_tensor *y = rv__like(tape, x);
    if (!y) return NULL;
    drop(&mask, n, x->x, y->x, false);
    rv_node *node = rv_tape_record(tape, &rv__op_dropout, 1, &x, 1, &y, sizeof mask);
    if (node) *(rv__mask *)node->ctx = mask;
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

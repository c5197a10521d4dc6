/* Layer normalisation. */
#include <string.h>

#include "ops/ops_private.h"

/* Rows of a task; the parameters' gradients are summed per task and then over the tasks, in order. */
enum { NORM_ROWS = 32 };

rv_tensor *rv_layer_norm(rv_tape *tape, rv_tensor *x, rv_tensor *gamma, rv_tensor *beta, double eps) {
    if (!x || !gamma) return NULL;
    if (x->ndim < 1 || gamma->ndim != 1 || gamma->dim[0] != rv_dim(x, -1))
        return rv__shape_fail(tape, "layer_norm", x, gamma, "gamma needs one element for each of the last axis");
    if (beta && !rv_same_shape(gamma, beta))
        return rv__shape_fail(tape, "layer_norm", gamma, beta, "gamma and beta have the same shape");
    int64_t rows = rv_rows(x), n = rv_dim(x, -1);
    rv_tensor *y = rv__like(tape, x);
    rv_real *stat = rv_tape_alloc(tape, (size_t)rows * 2 * sizeof *stat); /* mean and 1 / deviation of each row */
    rv_real *none = beta ? NULL : rv_tape_alloc(tape, (size_t)n * sizeof *none);
    if (!y || !stat || (!beta && !none)) return NULL;
    if (none) memset(none, 0, (size_t)n * sizeof *none);
    const rv_real *shift = beta ? beta->x : none;
    const rv_kernels *k = rv_k();
    RV_FOR(i, rows, rv_threads_for(8. * (double)rows * (double)n),
           { k->layer_norm_row(n, x->x + i * n, gamma->x, shift, (rv_real)eps, stat + 2 * i, y->x + i * n); });
    rv_node *node =
        rv_tape_record(tape, &rv__op_layer_norm, beta ? 3 : 2, (rv_tensor *[]){x, gamma, beta}, 1, &y, sizeof stat);
    if (node) *(rv_real **)node->ctx = stat;
    return y;
}

static void layer_norm_backward(rv_tape *tape, rv_node *node) {
    rv_tensor *x = node->in[0], *gamma = node->in[1], *beta = node->nin > 2 ? node->in[2] : NULL;
    const rv_real *dy = rv_out_grad(node, 0), *stat = *(rv_real **)node->ctx;
    int64_t rows = rv_rows(x), n = rv_dim(x, -1), tasks = (rows + NORM_ROWS - 1) / NORM_ROWS;
    bool acc_x, acc_gamma, acc_beta;
    rv_real *dx = rv_grad(x, &acc_x), *dgamma = rv_grad(gamma, &acc_gamma),
            *dbeta = beta ? rv_grad(beta, &acc_beta) : NULL, *part = NULL;
    rv_arena_mark mark = rv_tape_mark(tape);
    size_t half = (size_t)(tasks * n);
    if (dgamma || dbeta) {
        part = rv_tape_alloc(tape, 2 * half * sizeof *part);
        if (!part) return;
    }
    const rv_kernels *k = rv_k();
    RV_FOR(t, tasks, rv_threads_for(12. * (double)rows * (double)n), {
        rv_real *pg = part + t * n, *pb = part + half + t * n;
        if (part) {
            memset(pg, 0, (size_t)n * sizeof *pg);
            memset(pb, 0, (size_t)n * sizeof *pb);
        }
        for (int64_t i = t * NORM_ROWS; i < rows && i < (t + 1) * NORM_ROWS; i++) {
            if (part) k->layer_norm_back_params(n, x->x + i * n, stat + 2 * i, dy + i * n, pg, pb);
            if (dx) k->layer_norm_back_row(n, x->x + i * n, gamma->x, stat + 2 * i, dy + i * n, dx + i * n, acc_x);
        }
    });
    if (dgamma) rv__sum_middle(tape, 1, tasks, n, part, dgamma, acc_gamma, 1);
    if (dbeta) rv__sum_middle(tape, 1, tasks, n, part + half, dbeta, acc_beta, 1);
    rv_tape_rewind(tape, mark);
}

static rv_tensor *layer_norm_sample(rv_tape *t, int k) {
    if (k > 2) return NULL;
    int64_t n = k == 1 ? 67 : 5;
    rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(2, k == 1 ? 150 : 2, n)),
              *gamma = rv_sample_leaf(t, 0.5, 1.5, RV_DIMS(n));
    return rv_layer_norm(t, x, gamma, k == 2 ? NULL : rv_sample_leaf(t, -1, 1, RV_DIMS(n)), 1e-5);
}
const rv_op rv__op_layer_norm = {"layer_norm", layer_norm_backward, layer_norm_sample, 0, true};

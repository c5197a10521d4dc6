/* Maxout: the largest of each group of neighbours. */
#include "ops/ops_private.h"

/* Backward finds the winners again. */
static int64_t winner(const rv_real *x, int64_t k) {
    int64_t best = 0;
    for (int64_t i = 1; i < k; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

rv_tensor *rv_maxout(rv_tape *tape, rv_tensor *x, int k) {
    if (!x) return NULL;
    char text[RV_SHAPE_TEXT];
    if (k < 1 || x->ndim < 1 || rv_dim(x, -1) % k)
        return rv_tape_fail(tape, RV_ESHAPE,
                            "maxout: shape %s does not end in a multiple of %d; give it groups of %d elements",
                            rv_shape_text(x, text, sizeof text), k, k);
    int64_t dim[RV_MAX_DIMS];
    for (int i = 0; i < x->ndim; i++) dim[i] = x->dim[i];
    dim[x->ndim - 1] /= k;
    rv_tensor *y = rv_tape_tensor(tape, x->ndim, dim);
    if (!y) return NULL;
    const int64_t n = rv_numel(y);
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(4. * (double)rv_numel(x)))
    for (int64_t i = 0; i < n; i++) y->x[i] = x->x[i * k + winner(x->x + i * k, k)];
    rv_node *node = rv_tape_record(tape, &rv__op_maxout, 1, &x, 1, &y, sizeof k);
    if (node) *(int *)node->ctx = k;
    return y;
}

static void maxout_backward(rv_tape *tape, rv_node *node) {
    const int64_t k = *(int *)node->ctx, n = rv_numel(node->out[0]);
    const rv_real *x = node->in[0]->x, *dy = rv_out_grad(node, 0);
    bool acc;
    rv_real *dx = rv_grad(node->in[0], &acc);
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(4. * (double)(n * k)))
    for (int64_t i = 0; i < n; i++) {
        const int64_t best = winner(x + i * k, k);
        for (int64_t j = 0; j < k; j++) dx[i * k + j] = (acc ? dx[i * k + j] : 0) + (j == best ? dy[i] : 0);
    }
}

static rv_tensor *maxout_sample(rv_tape *t, int k) {
    switch (k) {
    case 0: return rv_maxout(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, 8)), 2);
    case 1: return rv_maxout(t, rv_sample_leaf(t, -1, 1, RV_DIMS(2, 3, 6)), 3);
    case 2: return rv_maxout(t, rv_sample_leaf(t, -1, 1, RV_DIMS(300, 1000)), 2);
    }
    return NULL;
}
/* Away from ties; the samples' numbers are far enough from one. */
const rv_op rv__op_maxout = {"maxout", maxout_backward, maxout_sample, 0, false};

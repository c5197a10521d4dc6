/* Softmax and its logarithm, row by row. */
#include "ops/ops_private.h"

static rv_tensor *rows_of(rv_tape *tape, const rv_op *op, rv_tensor *x) {
    if (!x) return NULL;
    if (x->ndim < 1) return rv_tape_fail(tape, RV_ESHAPE, "%s: a scalar has no last axis", op->name);
    return rv__like(tape, x);
}

/* y = e^x / sum e^x;  dx = y (dy - sum y dy) */
rv_tensor *rv_softmax(rv_tape *tape, rv_tensor *x) {
    rv_tensor *y = rows_of(tape, &rv__op_softmax, x);
    if (!y) return NULL;
    int64_t rows = rv_rows(x), n = rv_dim(x, -1);
    const rv_kernels *k = rv_k();
    RV_FOR(i, rows, rv_threads_for(20. * (double)rows * (double)n), { k->softmax_row(n, x->x + i * n, y->x + i * n); });
    rv_tape_record(tape, &rv__op_softmax, 1, &x, 1, &y, 0);
    return y;
}

/* y = x - log sum e^x;  dx = dy - e^y sum dy */
rv_tensor *rv_log_softmax(rv_tape *tape, rv_tensor *x) {
    rv_tensor *y = rows_of(tape, &rv__op_log_softmax, x);
    if (!y) return NULL;
    int64_t rows = rv_rows(x), n = rv_dim(x, -1);
    const rv_kernels *k = rv_k();
    RV_FOR(i, rows, rv_threads_for(20. * (double)rows * (double)n),
           { k->vaffine(n, 1, -k->logsumexp_row(n, x->x + i * n, NULL), x->x + i * n, y->x + i * n, false); });
    rv_tape_record(tape, &rv__op_log_softmax, 1, &x, 1, &y, 0);
    return y;
}

typedef void row_backward(int64_t n, const rv_real *y, const rv_real *dy, rv_real *dx, bool acc);

static void rows_backward(rv_node *node, row_backward *f) {
    const rv_tensor *y = node->out[0];
    const rv_real *dy = rv_out_grad(node, 0);
    bool acc;
    rv_real *g = rv_grad(node->in[0], &acc);
    int64_t rows = rv_rows(y), n = rv_dim(y, -1);
    RV_FOR(i, rows, rv_threads_for(10. * (double)rows * (double)n),
           { f(n, y->x + i * n, dy + i * n, g + i * n, acc); });
}

static void softmax_backward(rv_tape *tape, rv_node *node) { rows_backward(node, rv_k()->softmax_back_row); }
static void log_softmax_backward(rv_tape *tape, rv_node *node) { rows_backward(node, rv_k()->log_softmax_back_row); }

static rv_tensor *rows_sample(rv_tape *t, rv_tensor *(*f)(rv_tape *, rv_tensor *), int k) {
    if (k == 0) return f(t, rv_sample_leaf(t, -2, 2, RV_DIMS(2, 3, 5)));
    return k == 1 ? f(t, rv_sample_leaf(t, -2, 2, RV_DIMS(37, 1100))) : NULL;
}
static rv_tensor *softmax_sample(rv_tape *t, int k) { return rows_sample(t, rv_softmax, k); }
static rv_tensor *log_softmax_sample(rv_tape *t, int k) { return rows_sample(t, rv_log_softmax, k); }
const rv_op rv__op_softmax = {"softmax", softmax_backward, softmax_sample, RV_OP_USES_OUTPUT, true};
const rv_op rv__op_log_softmax = {"log_softmax", log_softmax_backward, log_softmax_sample, RV_OP_USES_OUTPUT, true};

/* Losses: tensors in, one number out. */
#include "ops/ops_private.h"

/* ---- cross-entropy: with l = logsumexp(z), the loss of a row is l - (1-e) z_target - e mean(z), and its gradient
 *      softmax(z) - (1-e) onehot - e/V */

int64_t rv__count_targets(rv_tape *tape, const char *op, int64_t rows, int64_t classes, const int32_t *target,
                          int32_t ignore) {
    int64_t counted = 0;
    for (int64_t i = 0; i < rows; i++) {
        if (target[i] == ignore) continue;
        if (target[i] < 0 || target[i] >= classes) {
            rv_tape_fail(tape, RV_EDATA,
                         "%s: target %d at position %lld is neither in [0, %lld) nor the ignored %d; was the text "
                         "encoded with another "
                         "vocabulary?",
                         op, (int)target[i], (long long)i, (long long)classes, (int)ignore);
            return -1;
        }
        counted++;
    }
    return counted;
}

typedef struct {
    const int32_t *target;
    int32_t ignore;
    int64_t counted;
    double smoothing;
    rv_real *lse; /* of each row */
} ce_ctx;

rv_tensor *rv_cross_entropy(rv_tape *tape, rv_tensor *logits, const int32_t *target, int32_t ignore, double smoothing) {
    if (!logits) return NULL;
    char shape[RV_SHAPE_TEXT];
    if (logits->ndim < 1)
        return rv_tape_fail(tape, RV_ESHAPE, "cross_entropy: logits of shape %s have no axis of classes",
                            rv_shape_text(logits, shape, sizeof shape));
    int64_t rows = rv_rows(logits), n = rv_dim(logits, -1);
    ce_ctx c = {target, ignore, rv__count_targets(tape, "cross_entropy", rows, n, target, ignore), smoothing, NULL};
    if (c.counted < 0) return NULL;
    rv_tensor *y = rv_tape_tensor(tape, 0, NULL);
    c.lse = rv_tape_alloc(tape, (size_t)rows * sizeof *c.lse);
    double *loss = rv_tape_alloc(tape, (size_t)rows * sizeof *loss);
    if (!y || !c.lse || !loss) return NULL;
    const rv_kernels *k = rv_k();
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(20. * (double)rows * (double)n))
    for (int64_t i = 0; i < rows; i++) {
        loss[i] = 0;
        if (target[i] == ignore) continue;
        const rv_real *z = logits->x + i * n;
        rv_real sum = 0;
        c.lse[i] = k->logsumexp_row(n, z, smoothing != 0 ? &sum : NULL);
        loss[i] = (double)c.lse[i] - (1 - smoothing) * (double)z[target[i]] - smoothing * (double)sum / (double)n;
    }
    double total = 0;
    for (int64_t i = 0; i < rows; i++) total += loss[i];
    y->x[0] = c.counted ? (rv_real)(total / (double)c.counted) : 0;
    rv_node *node = rv_tape_record(tape, &rv__op_cross_entropy, 1, &logits, 1, &y, sizeof c);
    if (node) *(ce_ctx *)node->ctx = c;
    return y;
}

static void ce_backward(rv_tape *tape, rv_node *node) {
    rv_tensor *logits = node->in[0];
    const ce_ctx *c = node->ctx;
    int64_t rows = rv_rows(logits), n = rv_dim(logits, -1);
    bool acc;
    rv_real *g = rv_grad(logits, &acc); /* maybe the logits themselves */
    rv_real scale = c->counted ? rv_out_grad(node, 0)[0] / (rv_real)c->counted : 0;
    rv_real uniform = (rv_real)(c->smoothing / (double)n), hot = (rv_real)(1 - c->smoothing);
    const rv_kernels *k = rv_k();
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(20. * (double)rows * (double)n))
    for (int64_t i = 0; i < rows; i++) {
        rv_real *to = g + i * n;
        if (c->target[i] != c->ignore) {
            k->cross_entropy_back_row(n, logits->x + i * n, c->lse[i], scale, uniform, to, acc);
            to[c->target[i]] -= scale * hot;
        } else if (!acc) {
            for (int64_t j = 0; j < n; j++) to[j] = 0;
        }
    }
}

static rv_tensor *ce_sample(rv_tape *t, int k) {
    static const int32_t few[] = {2, -100, 0, 4};
    static int32_t many[130];
    switch (k) {
    case 0: return rv_cross_entropy(t, rv_sample_leaf(t, -2, 2, RV_DIMS(4, 5)), few, -100, 0);
    case 1: return rv_cross_entropy(t, rv_sample_leaf(t, -2, 2, RV_DIMS(2, 2, 5)), few, -100, 0.1);
    case 2: /* in place: the only consumer of what an op computed */
        return rv_cross_entropy(t, rv_affine(t, rv_sample_leaf(t, -2, 2, RV_DIMS(4, 5)), 2, 0), few, -100, 0.1);
    case 3:
        for (int32_t i = 0; i < 130; i++) many[i] = i % 7 ? i * i % 1100 : -1; /* the same at every call */
        return rv_cross_entropy(t, rv_sample_leaf(t, -2, 2, RV_DIMS(130, 1100)), many, -1, 0.1);
    }
    return NULL;
}
const rv_op rv__op_cross_entropy = {"cross_entropy", ce_backward, ce_sample, RV_OP_GRAD_IN_PLACE, true};

/* ---- mean squared error: d a = 2 (a - b) / n, d b = -d a */

rv_tensor *rv_mse(rv_tape *tape, rv_tensor *a, rv_tensor *b) {
    if (!a || !b) return NULL;
    if (!rv_same_shape(a, b)) return rv__shape_fail(tape, "mse", a, b, "they must be equal");
    int64_t n = rv_numel(a), blocks = rv_blocks(n);
    rv_tensor *y = rv_tape_tensor(tape, 0, NULL);
    double *part = rv_tape_alloc(tape, (size_t)blocks * sizeof *part), total = 0;
    if (!y || !part) return NULL;
    const rv_kernels *k = rv_k();
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(2. * (double)n))
    for (int64_t i = 0; i < blocks; i++) {
        rv_range r = rv_block(n, i);
        part[i] = k->vsum_sqdiff(r.end - r.begin, a->x + r.begin, b->x + r.begin);
    }
    for (int64_t i = 0; i < blocks; i++) total += part[i];
    y->x[0] = n ? (rv_real)(total / (double)n) : 0;
    rv_tape_record(tape, &rv__op_mse, 2, (rv_tensor *[]){a, b}, 1, &y, 0);
    return y;
}

static void mse_backward(rv_tape *tape, rv_node *node) {
    const rv_tensor *a = node->in[0], *b = node->in[1];
    int64_t n = rv_numel(a);
    rv_real scale = 2 * rv_out_grad(node, 0)[0] / (rv_real)n;
    for (int j = 0; j < 2; j++) {
        bool acc;
        rv_real *g = rv_grad(node->in[j], &acc), s = j ? -scale : scale;
        if (!g) continue;
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(2. * (double)n))
        for (int64_t i = 0; i < n; i++) g[i] = (acc ? g[i] : 0) + s * (a->x[i] - b->x[i]);
    }
}

static rv_tensor *mse_sample(rv_tape *t, int k) {
    if (k > 1) return NULL;
    int64_t n = k ? 40000 : 5;
    rv_tensor *a = rv_sample_leaf(t, -1, 1, RV_DIMS(2, n));
    return rv_mse(t, a, rv_sample_leaf(t, -1, 1, RV_DIMS(2, n)));
}
const rv_op rv__op_mse = {"mse", mse_backward, mse_sample, 0, true};

/* Sums and means. */
#include "ops/ops_private.h"

/* Rows of a fixed block are added up in order; the blocks' sums are then added in block order. */
enum { COLUMN_ROWS = 256 };

static void sum_rows(rv_tape *tape, int64_t rows, int64_t n, const rv_real *x, rv_real *y, bool acc, rv_real scale) {
    const rv_kernels *k = rv_k();
    int64_t pieces = n ? rv_blocks(n) : 1, group = n && n < RV_BLOCK ? RV_BLOCK / n : 1;
    double *part = rv_tape_alloc(tape, (size_t)(rows * pieces) * sizeof *part);
    if (!part) return;
    RV_FOR(task, (rows * pieces + group - 1) / group, rv_threads_for((double)rows * (double)n), {
        for (int64_t u = task * group; u < (task + 1) * group && u < rows * pieces; u++) {
            rv_range r = rv_block(n, u % pieces);
            part[u] = k->vsum(r.end - r.begin, x + u / pieces * n + r.begin);
        }
    });
    for (int64_t i = 0; i < rows; i++) {
        double s = 0;
        for (int64_t p = 0; p < pieces; p++) s += part[i * pieces + p];
        y[i] = (acc ? y[i] : 0) + scale * (rv_real)s;
    }
}

static void sum_columns(rv_tape *tape, int64_t outer, int64_t n, int64_t inner, const rv_real *x, rv_real *y, bool acc,
                        rv_real scale) {
    const rv_kernels *k = rv_k();
    int64_t blocks = (n + COLUMN_ROWS - 1) / COLUMN_ROWS, strips = rv_blocks(inner);
    if (blocks == 1 && !acc && scale == 1) {
        RV_FOR(i, outer * strips, rv_threads_for((double)outer * (double)n * (double)inner), {
            int64_t o = i / strips;
            rv_range r = rv_block(inner, i % strips);
            k->vsum_columns(n, r.end - r.begin, x + o * n * inner + r.begin, inner, y + o * inner + r.begin);
        });
        return;
    }
    rv_real *part = rv_tape_alloc(tape, (size_t)(outer * blocks * inner) * sizeof *part);
    if (!part) return;
    RV_FOR(i, outer * blocks * strips, rv_threads_for((double)outer * (double)n * (double)inner), {
        rv_range r = rv_block(inner, i % strips);
        int64_t ob = i / strips, o = ob / blocks, b = ob % blocks * COLUMN_ROWS,
                rows = n - b < COLUMN_ROWS ? n - b : COLUMN_ROWS;
        k->vsum_columns(rows, r.end - r.begin, x + (o * n + b) * inner + r.begin, inner, part + ob * inner + r.begin);
    });
    RV_FOR(o, outer, rv_threads_for((double)outer * (double)blocks * (double)inner), {
        for (int64_t j = 0; j < inner; j++) {
            rv_real s = 0;
            for (int64_t b = 0; b < blocks; b++) s += part[(o * blocks + b) * inner + j];
            y[o * inner + j] = (acc ? y[o * inner + j] : 0) + scale * s;
        }
    });
}

void rv__sum_middle(rv_tape *tape, int64_t outer, int64_t n, int64_t inner, const rv_real *x, rv_real *y, bool acc,
                    rv_real scale) {
    rv_arena_mark mark = rv_tape_mark(tape);
    if (inner == 1)
        sum_rows(tape, outer, n, x, y, acc, scale);
    else
        sum_columns(tape, outer, n, inner, x, y, acc, scale);
    rv_tape_rewind(tape, mark);
}

typedef struct {
    int64_t outer, n, inner;
    double scale;
} reduce_ctx;

static rv_tensor *reduce(rv_tape *tape, const rv_op *op, rv_tensor *x, reduce_ctx c, int ndim, const int64_t *dim) {
    rv_tensor *y = rv_tape_tensor(tape, ndim, dim);
    if (!y) return NULL;
    rv__sum_middle(tape, c.outer, c.n, c.inner, x->x, y->x, false, (rv_real)c.scale);
    rv_node *node = rv_tape_record(tape, op, 1, &x, 1, &y, sizeof c);
    if (node) *(reduce_ctx *)node->ctx = c;
    return y;
}

static rv_tensor *over_axis(rv_tape *tape, const rv_op *op, rv_tensor *x, int axis, bool mean) {
    if (!x) return NULL;
    axis = rv__axis(tape, op->name, x, axis);
    if (axis < 0) return NULL;
    int64_t dim[RV_MAX_DIMS], n = x->dim[axis];
    for (int i = 0, j = 0; i < x->ndim; i++)
        if (i != axis) dim[j++] = x->dim[i];
    reduce_ctx c = {rv__span(x, 0, axis), n, rv__span(x, axis + 1, x->ndim), mean && n ? 1. / (double)n : 1};
    return reduce(tape, op, x, c, x->ndim - 1, dim);
}

static rv_tensor *over_all(rv_tape *tape, const rv_op *op, rv_tensor *x, bool mean) {
    if (!x) return NULL;
    int64_t n = rv_numel(x);
    return reduce(tape, op, x, (reduce_ctx){1, n, 1, mean && n ? 1. / (double)n : 1}, 0, NULL);
}

/* Each element gets its sum's gradient. */
static void reduce_backward(rv_tape *tape, rv_node *node) {
    const reduce_ctx *c = node->ctx;
    bool acc;
    rv_real *g = rv_grad(node->in[0], &acc), scale = (rv_real)c->scale;
    const rv_real *dy = rv_out_grad(node, 0);
    int64_t run = c->inner == 1 ? c->n : c->inner, runs = c->inner == 1 ? c->outer : c->outer * c->n,
            pieces = rv_blocks(run);
    const rv_kernels *k = rv_k();
#pragma omp parallel for schedule(static) num_threads(rv_threads_for((double)runs *(double)run)) collapse(2)
    for (int64_t i = 0; i < runs; i++)
        for (int64_t p = 0; p < pieces; p++) {
            rv_range r = rv_block(run, p);
            rv_real *to = g + i * run + r.begin;
            if (c->inner > 1)
                k->vaffine(r.end - r.begin, scale, 0, dy + i / c->n * run + r.begin, to, acc);
            else
                for (int64_t j = 0; j < r.end - r.begin; j++) to[j] = (acc ? to[j] : 0) + scale * dy[i];
        }
}

static rv_tensor *axis_sample(rv_tape *t, rv_tensor *(*f)(rv_tape *, rv_tensor *, int), int k) {
    if (k < 3) return f(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, 4, 5)), k);
    if (k == 3) return f(t, rv_sample_leaf(t, -1, 1, RV_DIMS(601, 130)), 0);
    if (k == 4) return f(t, rv_sample_leaf(t, -1, 1, RV_DIMS(7, 10001)), -1);
    if (k == 5) return f(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, COLUMN_ROWS + 9, 5)), 1); /* sums of several blocks */
    return NULL;
}
static rv_tensor *all_sample(rv_tape *t, rv_tensor *(*f)(rv_tape *, rv_tensor *), int k) {
    return k < 2 ? f(t, rv_sample_leaf(t, -1, 1, RV_DIMS(k ? 601 : 3, k ? 130 : 5))) : NULL;
}

#define REDUCE(name, mean)                                                                                             \
    rv_tensor *rv_##name(rv_tape *tape, rv_tensor *x, int axis) {                                                      \
        return over_axis(tape, &rv__op_##name, x, axis, mean);                                                         \
    }                                                                                                                  \
    rv_tensor *rv_##name##_all(rv_tape *tape, rv_tensor *x) { return over_all(tape, &rv__op_##name##_all, x, mean); }  \
    static rv_tensor *name##_sample(rv_tape *t, int k) { return axis_sample(t, rv_##name, k); }                        \
    static rv_tensor *name##_all_sample(rv_tape *t, int k) { return all_sample(t, rv_##name##_all, k); }               \
    const rv_op rv__op_##name = {#name, reduce_backward, name##_sample, 0, true};                                      \
    const rv_op rv__op_##name##_all = {#name "_all", reduce_backward, name##_all_sample, 0, true};
REDUCE(sum, false)
REDUCE(mean, true)
#undef REDUCE

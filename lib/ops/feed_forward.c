/* The feed-forward sublayer of a transformer as one node. Of its hidden layer only what the activation's derivative
 * needs is kept; the rest is made again in backward, while the derivative is at it. */
#include "kernels/gemm.h"
#include "ops/ops_private.h"

typedef struct {
    rv_act act;
    rv__mask mask;
    rv_real *kept; /* ReLU: the hidden layer as the second product read it; the gelus: the first product */
} feed_forward_ctx;

enum { TASK_ROWS = 32 };
static int64_t tasks_of(int64_t rows) { return (rows + TASK_ROWS - 1) / TASK_ROWS; }
static rv_range task_rows(int64_t rows, int64_t task) {
    return (rv_range){task * TASK_ROWS, rows < (task + 1) * TASK_ROWS ? rows : (task + 1) * TASK_ROWS};
}

static void drop(const rv__mask *mask, int64_t rows, int64_t n, rv_real *x) {
    const rv_kernels *k = rv_k();
    RV_FOR(i, rows, rv_threads_for((double)(rows * n)),
           { k->vkeep(n, mask->bits + i * mask->stride, mask->scale, x + i * n, NULL, x + i * n); });
}

rv_tensor *rv_feed_forward(rv_tape *tape, rv_tensor *x, rv_tensor *w1, rv_tensor *b1, rv_tensor *w2, rv_tensor *b2,
                           rv_act act, double dropout) {
    if (!x || !w1 || !w2) return NULL;
    if (w1->ndim != 2 || x->ndim < 1 || rv_dim(x, -1) != w1->dim[1])
        return rv__shape_fail(tape, "feed_forward", x, w1, "the last dimensions must be equal");
    if (w2->ndim != 2 || w2->dim[1] != w1->dim[0])
        return rv__shape_fail(tape, "feed_forward", w1, w2, "the second weight has a column for each row of the first");
    if (b1 && (b1->ndim != 1 || b1->dim[0] != w1->dim[0]))
        return rv__shape_fail(tape, "feed_forward bias", b1, w1, "the bias needs one element per row of the weight");
    if (b2 && (b2->ndim != 1 || b2->dim[0] != w2->dim[0]))
        return rv__shape_fail(tape, "feed_forward bias", b2, w2, "the bias needs one element per row of the weight");
    bool gelu = act == RV_ACT_GELU || act == RV_ACT_GELU_TANH;
    if (!gelu && act != RV_ACT_RELU)
        return rv_tape_fail(tape, RV_EUSAGE, "feed_forward: the activation must be ReLU or one of the two GELUs");
    rv_tensor *in[] = {x, w1, b1, w2, b2};
    int64_t dim[RV_MAX_DIMS], rows = rv_rows(x), inner = w1->dim[0], out = w2->dim[0];
    for (int i = 0; i < x->ndim; i++) dim[i] = x->dim[i];
    dim[x->ndim - 1] = out;
    size_t bytes = rv_size_mul((size_t)(rows * inner), sizeof(rv_real));
    feed_forward_ctx c = {act};
    rv_tensor *y = rv_tape_tensor(tape, x->ndim, dim);
    if (!y || !rv__draw_mask(tape, dropout, rows, inner, &c.mask)) return NULL;
    bool records = rv_tape_records(tape, 5, in);
    if (records && !(c.kept = rv_tape_alloc(tape, bytes))) return NULL;
    rv_arena_mark mark = rv_tape_mark(tape);
    rv_real *hidden = records && !gelu ? c.kept : rv_tape_alloc(tape, bytes);
    if (!hidden) return NULL;
    rv_gemm_run(&(rv_gemm){.tb = true,
                           .m = rows,
                           .n = inner,
                           .k = w1->dim[1],
                           .a = x->x,
                           .lda = w1->dim[1],
                           .b = w1->x,
                           .ldb = w1->dim[1],
                           .c = hidden,
                           .ldc = inner,
                           .bias = b1 ? b1->x : NULL,
                           .act = act,
                           .pre = gelu ? c.kept : NULL,
                           .packed_b = rv_tape_packed(tape, w1, 0, w1->dim[1], 1)});
    if (c.mask.bits) drop(&c.mask, rows, inner, hidden);
    rv_gemm_run(&(rv_gemm){.tb = true,
                           .m = rows,
                           .n = out,
                           .k = inner,
                           .a = hidden,
                           .lda = inner,
                           .b = w2->x,
                           .ldb = inner,
                           .c = y->x,
                           .ldc = out,
                           .bias = b2 ? b2->x : NULL,
                           .packed_b = rv_tape_packed(tape, w2, 0, inner, 1)});
    rv_tape_rewind(tape, mark);
    rv_node *node = rv_tape_record(tape, &rv__op_feed_forward, 5, in, 1, &y, sizeof c);
    if (node) *(feed_forward_ctx *)node->ctx = c;
    return y;
}

/* The gradient of the hidden layer becomes that of the first product, `kept` the hidden layer; and the columns' sums of
 * each task, if wanted, while its rows are in the cache. */
static void through_hidden(const feed_forward_ctx *c, int64_t rows, int64_t n, rv_real *d, rv_real *sums) {
    const rv_kernels *k = rv_k();
    const rv__mask *m = &c->mask;
    RV_FOR(t, tasks_of(rows), rv_threads_for(20. * (double)(rows * n)), {
        rv_range r = task_rows(rows, t);
        for (int64_t i = r.begin; i < r.end; i++) {
            rv_real *h = c->kept + i * n, *g = d + i * n;
            if (c->act == RV_ACT_RELU) {
                k->vact_back(c->act, n, h, g, g, false); /* what was dropped is not positive, either */
                continue;
            }
            k->vact_again(c->act, n, h, g);
            if (!m->bits) continue;
            k->vkeep(n, m->bits + i * m->stride, m->scale, h, NULL, h);
            k->vkeep(n, m->bits + i * m->stride, 1, g, NULL, g);
        }
        if (sums) k->vsum_columns(r.end - r.begin, n, d + r.begin * n, n, sums + t * n);
    });
}

static void feed_forward_backward(rv_tape *tape, rv_node *node) {
    rv_tensor *x = node->in[0], *w1 = node->in[1], *b1 = node->in[2], *w2 = node->in[3], *b2 = node->in[4];
    const feed_forward_ctx *c = node->ctx;
    const rv_real *dy = rv_out_grad(node, 0);
    int64_t rows = rv_rows(x), in = w1->dim[1], inner = w1->dim[0], out = w2->dim[0];
    bool acc_x, acc_w1, acc_b1, acc_w2, acc_b2;
    rv_real *dx = rv_grad(x, &acc_x), *dw1 = rv_grad(w1, &acc_w1), *db1 = rv_grad(b1, &acc_b1),
            *dw2 = rv_grad(w2, &acc_w2), *db2 = rv_grad(b2, &acc_b2);
    rv_arena_mark mark = rv_tape_mark(tape);
    rv_real *d = rv_tape_alloc(tape, (size_t)(rows * inner) * sizeof *d), *sums = NULL;
    if (db1) sums = rv_tape_alloc(tape, (size_t)(tasks_of(rows) * inner) * sizeof *sums);
    if (!d || (db1 && !sums)) return;
    rv_gemm_run(&(rv_gemm){.m = rows,
                           .n = inner,
                           .k = out,
                           .a = dy,
                           .lda = out,
                           .b = w2->x,
                           .ldb = inner,
                           .c = d,
                           .ldc = inner,
                           .alpha = c->mask.scale});
    through_hidden(c, rows, inner, d, sums);
    if (dw2)
        rv_gemm_run(&(rv_gemm){.ta = true,
                               .m = out,
                               .n = inner,
                               .k = rows,
                               .a = dy,
                               .lda = out,
                               .b = c->kept,
                               .ldb = inner,
                               .c = dw2,
                               .ldc = inner,
                               .accumulate = acc_w2});
    if (db2) rv__sum_middle(tape, 1, rows, out, dy, db2, acc_b2, 1);
    if (dw1)
        rv_gemm_run(&(rv_gemm){.ta = true,
                               .m = inner,
                               .n = in,
                               .k = rows,
                               .a = d,
                               .lda = inner,
                               .b = x->x,
                               .ldb = in,
                               .c = dw1,
                               .ldc = in,
                               .accumulate = acc_w1});
    if (db1) rv__sum_middle(tape, 1, tasks_of(rows), inner, sums, db1, acc_b1, 1);
    if (dx)
        rv_gemm_run(&(rv_gemm){.m = rows,
                               .n = in,
                               .k = inner,
                               .a = d,
                               .lda = inner,
                               .b = w1->x,
                               .ldb = in,
                               .c = dx,
                               .ldc = in,
                               .accumulate = acc_x});
    rv_tape_rewind(tape, mark);
}

static rv_tensor *feed_forward_sample(rv_tape *t, int k) {
    static const struct {
        int64_t rows, in, inner, out;
        bool bias;
        rv_act act;
        double dropout;
    } cases[] = {
        {3, 5, 7, 4, true, RV_ACT_RELU, 0},      {3, 4, 6, 4, false, RV_ACT_GELU, 0},
        {4, 3, 5, 3, true, RV_ACT_GELU_TANH, 0}, {5, 4, 35, 4, true, RV_ACT_RELU, 0.3},
        {5, 4, 35, 4, true, RV_ACT_GELU, 0.3},   {130, 6, 33, 5, true, RV_ACT_GELU, 0.1},
        {130, 6, 33, 5, true, RV_ACT_RELU, 0.1},
    };
    if (k >= (int)(sizeof cases / sizeof *cases)) return NULL;
    int64_t in = cases[k].in, inner = cases[k].inner, out = cases[k].out;
    bool was = rv_tape_training(t);
    rv_tape_set_training(t, true);
    rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(cases[k].rows, in)),
              *w1 = rv_sample_leaf(t, -1, 1, RV_DIMS(inner, in)), *w2 = rv_sample_leaf(t, -1, 1, RV_DIMS(out, inner)),
              *b1 = cases[k].bias ? rv_sample_leaf(t, -1, 1, RV_DIMS(inner)) : NULL,
              *b2 = cases[k].bias ? rv_sample_leaf(t, -1, 1, RV_DIMS(out)) : NULL;
    rv_tensor *y = rv_feed_forward(t, x, w1, b1, w2, b2, cases[k].act, cases[k].dropout);
    rv_tape_set_training(t, was);
    return y;
}
const rv_op rv__op_feed_forward = {"feed_forward", feed_forward_backward, feed_forward_sample, 0, false};

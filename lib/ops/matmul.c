/* Products with and without weights. */
#include <string.h>

#include "kernels/gemm.h"
#include "ops/ops_private.h"

/* ---- matmul: C = A B;  dA = dC B^T, dB = A^T dC */

/* The product of a node: batch, m, n, k and strides. With a 2-d b all leading dimensions of a are rows. */
static rv_gemm product(const rv_tensor *a, const rv_tensor *b) {
    rv_gemm g = {.k = rv_dim(a, -1), .n = rv_dim(b, -1)};
    if (b->ndim == 2) {
        g.m = rv_rows(a);
    } else {
        g.m = rv_dim(a, -2);
        g.batch = rv__span(a, 0, a->ndim - 2);
        g.stride_a = g.m * g.k;
        g.stride_b = g.k * g.n;
        g.stride_c = g.m * g.n;
    }
    return g;
}

rv_tensor *rv_matmul(rv_tape *tape, rv_tensor *a, rv_tensor *b) {
    if (!a || !b) return NULL;
    if (a->ndim < 2 || b->ndim < 2) return rv__shape_fail(tape, "matmul", a, b, "both need at least 2 dimensions");
    if (rv_dim(a, -1) != rv_dim(b, -2))
        return rv__shape_fail(tape, "matmul", a, b,
                              "the last dimension of the first must be the last but one of the second");
    if (b->ndim > 2) {
        bool same = a->ndim == b->ndim;
        for (int i = 0; same && i < a->ndim - 2; i++) same = a->dim[i] == b->dim[i];
        if (!same)
            return rv__shape_fail(tape, "matmul", a, b,
                                  "the second has 2 dimensions, or the same leading ones as the first");
    }
    int64_t dim[RV_MAX_DIMS];
    for (int i = 0; i < a->ndim; i++) dim[i] = a->dim[i];
    dim[a->ndim - 1] = rv_dim(b, -1);
    rv_tensor *c = rv_tape_tensor(tape, a->ndim, dim);
    if (!c) return NULL;
    rv_gemm g = product(a, b);
    g.a = a->x, g.lda = g.k;
    g.b = b->x, g.ldb = g.n;
    g.c = c->x, g.ldc = g.n;
    if (!g.batch) g.batch = b->ndim == 2;
    if (g.batch) rv_gemm_run(&g);
    rv_tape_record(tape, &rv__op_matmul, 2, (rv_tensor *[]){a, b}, 1, &c, 0);
    return c;
}

static void matmul_backward(rv_tape *tape, rv_node *node) {
    rv_tensor *a = node->in[0], *b = node->in[1];
    const rv_real *dy = rv_out_grad(node, 0);
    rv_gemm p = product(a, b);
    if (b->ndim == 2) p.batch = 1;
    if (!p.batch) return;
    bool acc;
    rv_real *g = rv_grad(a, &acc);
    if (g)
        rv_gemm_run(&(rv_gemm){.tb = true,
                               .m = p.m,
                               .n = p.k,
                               .k = p.n,
                               .a = dy,
                               .lda = p.n,
                               .b = b->x,
                               .ldb = p.n,
                               .c = g,
                               .ldc = p.k,
                               .accumulate = acc,
                               .batch = p.batch,
                               .stride_a = p.stride_c,
                               .stride_b = p.stride_b,
                               .stride_c = p.stride_a});
    g = rv_grad(b, &acc);
    if (g)
        rv_gemm_run(&(rv_gemm){.ta = true,
                               .m = p.k,
                               .n = p.n,
                               .k = p.m,
                               .a = a->x,
                               .lda = p.k,
                               .b = dy,
                               .ldb = p.n,
                               .c = g,
                               .ldc = p.n,
                               .accumulate = acc,
                               .batch = p.batch,
                               .stride_a = p.stride_a,
                               .stride_b = p.stride_c,
                               .stride_c = p.stride_b});
}

static rv_tensor *matmul_sample(rv_tape *t, int k) {
    switch (k) {
    case 0: return rv_matmul(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, 5)), rv_sample_leaf(t, -1, 1, RV_DIMS(5, 4)));
    case 1: return rv_matmul(t, rv_sample_leaf(t, -1, 1, RV_DIMS(2, 3, 5)), rv_sample_leaf(t, -1, 1, RV_DIMS(5, 2)));
    case 2:
        return rv_matmul(t, rv_sample_leaf(t, -1, 1, RV_DIMS(2, 2, 3, 4)),
                         rv_sample_leaf(t, -1, 1, RV_DIMS(2, 2, 4, 3)));
    case 3: return rv_matmul(t, rv_sample_leaf(t, -1, 1, RV_DIMS(67, 70)), rv_sample_leaf(t, -1, 1, RV_DIMS(70, 45)));
    case 4: {
        rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(4, 4));
        return rv_matmul(t, x, x);
    }
    case 5: /* whole products for a thread */
        return rv_matmul(t, rv_sample_leaf(t, -1, 1, RV_DIMS(33, 3, 4)), rv_sample_leaf(t, -1, 1, RV_DIMS(33, 4, 3)));
    }
    return NULL;
}
const rv_op rv__op_matmul = {"matmul", matmul_backward, matmul_sample, 0, true};

/* ---- linear: y = act(x w^T + b);  with dz = dy act': dx = dz w, dw = dz^T x, db = column sums of dz */

typedef struct {
    rv_act act;
    rv_real *pre;  /* x w^T + b, where the derivative is a function of it rather than of y */
    int64_t begin; /* the first row of w and b that counts */
} linear_ctx;

static rv_tensor *linear_rows(rv_tape *tape, rv_tensor *x, rv_tensor *w, rv_tensor *b, int64_t begin, int64_t out,
                              rv_act act) {
    if (w->ndim != 2) return rv__shape_fail(tape, "linear", x, w, "the weight needs 2 dimensions, (outputs, inputs)");
    if (x->ndim < 1 || rv_dim(x, -1) != w->dim[1])
        return rv__shape_fail(tape, "linear", x, w, "the last dimensions must be equal");
    if (b && (b->ndim != 1 || b->dim[0] != w->dim[0]))
        return rv__shape_fail(tape, "linear bias", b, w, "the bias needs one element per row of the weight");
    RV_ASSERT(begin >= 0 && out >= 0 && begin + out <= w->dim[0]);
    int64_t dim[RV_MAX_DIMS], rows = rv_rows(x), in = w->dim[1];
    for (int i = 0; i < x->ndim; i++) dim[i] = x->dim[i];
    dim[x->ndim - 1] = out;
    rv_tensor *y = rv_tape_tensor(tape, x->ndim, dim), *inputs[] = {x, w, b};
    if (!y) return NULL;
    rv_real *pre = NULL;
    if ((act == RV_ACT_GELU || act == RV_ACT_GELU_TANH) && rv_tape_records(tape, 3, inputs)) {
        pre = rv_tape_alloc(tape, (size_t)(rows * out) * sizeof *pre);
        if (!pre) return NULL;
    }
    rv_tensor part = {.base = w->base ? w->base : w, .ndim = 2, .dim = {out, in}, .x = w->x + begin * in};
    rv_gemm_run(&(rv_gemm){.tb = true,
                           .m = rows,
                           .n = out,
                           .k = in,
                           .a = x->x,
                           .lda = in,
                           .b = part.x,
                           .ldb = in,
                           .c = y->x,
                           .ldc = out,
                           .bias = b ? b->x + begin : NULL,
                           .act = act,
                           .pre = pre,
                           .packed_b = rv_tape_packed(tape, &part, 0, in, 1)});
    const rv_op *op = act == RV_ACT_NONE ? &rv__op_linear : &rv__op_linear_act;
    rv_node *node = rv_tape_record(tape, op, 3, inputs, 1, &y, sizeof(linear_ctx));
    if (node) *(linear_ctx *)node->ctx = (linear_ctx){act, pre, begin};
    return y;
}

rv_tensor *rv_linear(rv_tape *tape, rv_tensor *x, rv_tensor *w, rv_tensor *b, rv_act act) {
    return x && w ? linear_rows(tape, x, w, b, 0, w->dim[0], act) : NULL;
}
rv_tensor *rv_linear_rows(rv_tape *tape, rv_tensor *x, rv_tensor *w, rv_tensor *b, int64_t begin, int64_t end) {
    return x && w ? linear_rows(tape, x, w, b, begin, end - begin, RV_ACT_NONE) : NULL;
}

/* Where the gradient of rows [begin, begin + rows) of t goes; the other rows' becomes 0 if there is none yet. */
static rv_real *rows_grad(rv_tensor *t, int64_t begin, int64_t rows, int64_t width, bool *acc) {
    rv_real *g = rv_grad(t, acc);
    if (!g) return NULL;
    if (!*acc) {
        int64_t end = begin + rows;
        memset(g, 0, (size_t)(begin * width) * sizeof *g);
        memset(g + end * width, 0, (size_t)((t->dim[0] - end) * width) * sizeof *g);
    }
    return g + begin * width;
}

static void linear_backward(rv_tape *tape, rv_node *node) {
    rv_tensor *x = node->in[0], *w = node->in[1], *b = node->in[2];
    const linear_ctx *c = node->ctx;
    const rv_real *dz = rv_out_grad(node, 0);
    int64_t rows = rv_rows(x), in = w->dim[1], out = rv_dim(node->out[0], -1), n = rows * out;
    if (c->act != RV_ACT_NONE) {
        /* In place: the output's gradient dies with this node. */
        rv_real *dy = node->out[0]->g;
        const rv_real *s = c->pre ? c->pre : node->out[0]->x;
        const rv_kernels *k = rv_k();
        RV_FOR(i, rv_blocks(n), rv_threads_for(20. * (double)n), {
            rv_range r = rv_block(n, i);
            k->vact_back(c->act, r.end - r.begin, s + r.begin, dy + r.begin, dy + r.begin, false);
        });
    }
    bool acc;
    rv_real *g = rv_grad(x, &acc);
    if (g)
        rv_gemm_run(&(rv_gemm){.m = rows,
                               .n = in,
                               .k = out,
                               .a = dz,
                               .lda = out,
                               .b = w->x + c->begin * in,
                               .ldb = in,
                               .c = g,
                               .ldc = in,
                               .accumulate = acc});
    g = rows_grad(w, c->begin, out, in, &acc);
    if (g)
        rv_gemm_run(&(rv_gemm){.ta = true,
                               .m = out,
                               .n = in,
                               .k = rows,
                               .a = dz,
                               .lda = out,
                               .b = x->x,
                               .ldb = in,
                               .c = g,
                               .ldc = in,
                               .accumulate = acc});
    g = rows_grad(b, c->begin, out, 1, &acc);
    if (g) rv__sum_middle(tape, 1, rows, out, dz, g, acc, 1);
}

static rv_tensor *linear_case(rv_tape *t, int64_t rows, int64_t in, int64_t out, bool bias, rv_act act) {
    rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(rows, in)), *w = rv_sample_leaf(t, -1, 1, RV_DIMS(out, in));
    return rv_linear(t, x, w, bias ? rv_sample_leaf(t, -1, 1, RV_DIMS(out)) : NULL, act);
}

static rv_tensor *linear_sample(rv_tape *t, int k) {
    switch (k) {
    case 0: return linear_case(t, 3, 5, 4, true, RV_ACT_NONE);
    case 1: return linear_case(t, 3, 2, 7, false, RV_ACT_NONE);
    case 2: return linear_case(t, 300, 24, 37, true, RV_ACT_NONE); /* more rows than one block of column sums */
    case 3:
        return rv_linear(t, rv_sample_leaf(t, -1, 1, RV_DIMS(2, 3, 4)), rv_sample_leaf(t, -1, 1, RV_DIMS(5, 4)), NULL,
                         RV_ACT_NONE);
    case 4: { /* three maps that share a parameter; nobody reads row 5 */
        rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(3, 4)), *w = rv_sample_leaf(t, -1, 1, RV_DIMS(6, 4)),
                  *b = rv_sample_leaf(t, -1, 1, RV_DIMS(6));
        return rv_add(t, rv_linear_rows(t, x, w, b, 0, 2),
                      rv_add(t, rv_linear_rows(t, x, w, b, 2, 4), rv_linear_rows(t, x, w, b, 3, 5)));
    }
    }
    return NULL;
}
const rv_op rv__op_linear = {"linear", linear_backward, linear_sample, 0, true};

static rv_tensor *linear_act_sample(rv_tape *t, int k) {
    static const rv_act act[] = {RV_ACT_TANH, RV_ACT_SIGMOID, RV_ACT_GELU, RV_ACT_GELU_TANH, RV_ACT_RELU};
    if (k < 5) return linear_case(t, 3, 5, 4, k % 2 == 0, act[k]);
    return k == 5 ? linear_case(t, 130, 24, 37, true, RV_ACT_GELU) : NULL;
}
/* Apart from linear, so that the gradient of plain logits may be written over them. */
const rv_op rv__op_linear_act = {"linear_act", linear_backward, linear_act_sample, RV_OP_USES_OUTPUT, false};

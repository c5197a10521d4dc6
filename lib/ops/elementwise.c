/* Arithmetic with broadcasting, and functions of one element. */
#include <math.h>

#include "ops/ops_private.h"

/* ---- two operands */

/* The result's dimensions with neighbours merged where both operands allow it: equal shapes become one dimension, a
 * matrix and a row vector two. Strides are 0 along broadcast dimensions. */
typedef struct {
    int nd;
    int64_t dim[RV_MAX_DIMS], step[2][RV_MAX_DIMS];
} walk;

static bool broadcast(const rv_tensor *a, const rv_tensor *b, walk *w, int *ndim, int64_t *dim) {
    const rv_tensor *t[2] = {a, b};
    *ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    int64_t stride[2] = {1, 1}, d[RV_MAX_DIMS], s[2][RV_MAX_DIMS];
    int nd = 0; /* d and s run from the innermost dimension outwards */
    for (int i = 1; i <= *ndim; i++) {
        int64_t size[2];
        for (int j = 0; j < 2; j++) size[j] = i <= t[j]->ndim ? t[j]->dim[t[j]->ndim - i] : 1;
        int64_t n = size[0] == 1 ? size[1] : size[0];
        if (size[1] != n && size[1] != 1) return false;
        dim[*ndim - i] = n;
        int64_t step[2];
        for (int j = 0; j < 2; j++) {
            step[j] = size[j] == 1 ? 0 : stride[j];
            stride[j] *= size[j];
        }
        if (n == 1) continue;
        if (nd && step[0] == s[0][nd - 1] * d[nd - 1] && step[1] == s[1][nd - 1] * d[nd - 1]) {
            d[nd - 1] *= n;
            continue;
        }
        d[nd] = n;
        for (int j = 0; j < 2; j++) s[j][nd] = step[j];
        nd++;
    }
    if (!nd) d[0] = 1, s[0][0] = s[1][0] = 1, nd = 1;
    w->nd = nd;
    for (int i = 0; i < nd; i++) {
        w->dim[i] = d[nd - 1 - i];
        for (int j = 0; j < 2; j++) w->step[j][i] = s[j][nd - 1 - i];
    }
    return true;
}

/* Innermost rows in pieces of at most a block; short rows several to a task. */
typedef struct {
    int64_t inner, pieces, units, per_task, tasks;
} cut;
static cut cut_work(const walk *w) {
    cut c = {.inner = w->dim[w->nd - 1]};
    c.pieces = rv_blocks(c.inner);
    c.units = c.pieces;
    for (int i = 0; i + 1 < w->nd; i++) c.units *= w->dim[i];
    c.per_task = c.inner && c.inner < RV_BLOCK ? RV_BLOCK / c.inner : 1;
    c.tasks = (c.units + c.per_task - 1) / c.per_task;
    return c;
}
/* Unit u: its first element in the result and in the two operands, and its length. */
static int64_t locate(const walk *w, const cut *c, int64_t u, int64_t at[3]) {
    int64_t row = u / c->pieces;
    rv_range r = rv_block(c->inner, u % c->pieces);
    at[2] = row * c->inner + r.begin;
    for (int j = 0; j < 2; j++) at[j] = r.begin * w->step[j][w->nd - 1];
    for (int i = w->nd - 2; i >= 0; i--) {
        int64_t k = row % w->dim[i];
        row /= w->dim[i];
        for (int j = 0; j < 2; j++) at[j] += k * w->step[j][i];
    }
    return r.end - r.begin;
}

static rv_tensor *binary(rv_tape *tape, const rv_op *op, rv_arith arith, rv_tensor *a, rv_tensor *b) {
    if (!a || !b) return NULL;
    walk w;
    int ndim;
    int64_t dim[RV_MAX_DIMS];
    if (!broadcast(a, b, &w, &ndim, dim))
        return rv__shape_fail(tape, op->name, a, b, "counted from the right, dimensions must be equal or 1");
    rv_tensor *y = rv_tape_tensor(tape, ndim, dim);
    if (!y) return NULL;
    cut c = cut_work(&w);
    const rv_kernels *k = rv_k();
    RV_FOR(task, c.tasks, rv_threads_for((double)rv_numel(y)), {
        for (int64_t u = task * c.per_task; u < (task + 1) * c.per_task && u < c.units; u++) {
            int64_t at[3], n = locate(&w, &c, u, at);
            k->vbinary(arith, n, a->x + at[0], w.step[0][w.nd - 1], b->x + at[1], w.step[1][w.nd - 1], y->x + at[2]);
        }
    });
    rv_tape_record(tape, op, 2, (rv_tensor *[]){a, b}, 1, &y, 0);
    return y;
}

/* Sum d, of the result's shape, over the dimensions in which operand j is broadcast, into its gradient. */
static void reduce(rv_tape *tape, const walk *w, int j, const rv_real *d, rv_real *g, bool acc, rv_real scale) {
    int64_t outer = 1, inner = 1;
    int left = 0;
    for (int i = 0; i < w->nd; i++) {
        outer *= w->dim[i];
        left += w->step[j][i] == 0;
    }
    for (int i = w->nd - 1; i >= 0; i--) {
        outer /= w->dim[i];
        if (w->step[j][i]) {
            inner *= w->dim[i];
            continue;
        }
        bool last = --left == 0;
        rv_real *to = last ? g : rv_tape_alloc(tape, (size_t)(outer * inner) * sizeof *to);
        if (!to) return;
        rv__sum_middle(tape, outer, w->dim[i], inner, d, to, last && acc, last ? scale : 1);
        d = to;
    }
}

static void operand_backward(rv_tape *tape, rv_node *node, rv_arith arith, int j, const walk *w) {
    bool acc, plain = arith == RV_ARITH_ADD || (arith == RV_ARITH_SUB && j == 0);
    rv_real *g = rv_grad(node->in[j], &acc);
    if (!g) return;
    const rv_real *dy = rv_out_grad(node, 0), *a = node->in[0]->x, *b = node->in[1]->x;
    int64_t n = rv_numel(node->out[0]);
    bool whole = rv_numel(node->in[j]) == n;
    if (whole && plain && g == dy && !acc) return; /* the tape handed the buffer over */
    if (!n) {
        for (int64_t i = 0; !acc && i < rv_numel(node->in[j]); i++) g[i] = 0;
        return;
    }
    rv_arena_mark mark = rv_tape_mark(tape);
    if (!whole && (plain || arith == RV_ARITH_SUB)) {
        reduce(tape, w, j, dy, g, acc, plain ? 1 : -1);
    } else {
        rv_real *d = whole ? g : rv_tape_alloc(tape, (size_t)n * sizeof *d);
        if (!d) return;
        cut c = cut_work(w);
        const rv_kernels *k = rv_k();
        RV_FOR(task, c.tasks, rv_threads_for((double)n), {
            for (int64_t u = task * c.per_task; u < (task + 1) * c.per_task && u < c.units; u++) {
                int64_t at[3], len = locate(w, &c, u, at);
                k->vbinary_back(arith, j, len, a + at[0], w->step[0][w->nd - 1], b + at[1], w->step[1][w->nd - 1],
                                dy + at[2], d + at[2], whole && acc);
            }
        });
        if (!whole) reduce(tape, w, j, d, g, acc, 1);
    }
    rv_tape_rewind(tape, mark);
}

static void binary_backward(rv_tape *tape, rv_node *node, rv_arith arith) {
    walk w;
    int ndim;
    int64_t dim[RV_MAX_DIMS];
    RV_ASSERT(broadcast(node->in[0], node->in[1], &w, &ndim, dim));
    /* The second operand last: should it have taken over the gradient's buffer, nobody reads that any more. */
    for (int j = 0; j < 2; j++) operand_backward(tape, node, arith, j, &w);
}

static rv_tensor *binary_sample(rv_tape *t, rv_tensor *(*f)(rv_tape *, rv_tensor *, rv_tensor *), int k) {
    static const struct {
        int na, nb;
        int64_t a[4], b[4];
    } c[] = {
        {2, 2, {3, 5}, {3, 5}},
        {2, 1, {3, 5}, {5}},    /* row vector */
        {2, 2, {3, 5}, {3, 1}}, /* column vector */
        {1, 0, {7}, {0}},       /* scalar */
        {0, 2, {0}, {2, 3}},
        {3, 3, {4, 1, 3}, {1, 2, 3}},    /* both */
        {4, 3, {2, 3, 2, 5}, {3, 1, 5}}, /* two separate dimensions */
        {2, 1, {331, 70}, {70}},         /* many threads */
        {2, 2, {129, 1}, {129, 300}},
        {2, 2, {90, 70}, {90, 70}},
    };
    if (k == (int)(sizeof c / sizeof *c)) {
        rv_tensor *x = rv_sample_leaf(t, 0.5, 1.5, RV_DIMS(3, 2));
        return f(t, x, x);
    }
    if (k > (int)(sizeof c / sizeof *c)) return NULL;
    rv_tensor *a = rv_sample_leaf(t, 0.5, 3, c[k].na, c[k].a); /* up to 1.5, no difference would need rounding */
    return f(t, a, rv_sample_leaf(t, 0.5, 1.5, c[k].nb, c[k].b));
}

#define BINARY(name, arith, flags)                                                                                     \
    rv_tensor *rv_##name(rv_tape *tape, rv_tensor *a, rv_tensor *b) {                                                  \
        return binary(tape, &rv__op_##name, arith, a, b);                                                              \
    }                                                                                                                  \
    static void name##_backward(rv_tape *tape, rv_node *node) { binary_backward(tape, node, arith); }                  \
    static rv_tensor *name##_sample(rv_tape *t, int k) { return binary_sample(t, rv_##name, k); }                      \
    const rv_op rv__op_##name = {#name, name##_backward, name##_sample, flags, true};
BINARY(add, RV_ARITH_ADD, RV_OP_PASS_GRAD)
BINARY(sub, RV_ARITH_SUB, RV_OP_PASS_GRAD)
BINARY(mul, RV_ARITH_MUL, 0)
BINARY(div, RV_ARITH_DIV, 0)
#undef BINARY

/* ---- scale x + shift */

static void affine_blocks(int64_t n, double scale, double shift, const rv_real *x, rv_real *y, bool acc) {
    const rv_kernels *k = rv_k();
    RV_FOR(i, rv_blocks(n), rv_threads_for((double)n), {
        rv_range r = rv_block(n, i);
        k->vaffine(r.end - r.begin, (rv_real)scale, (rv_real)shift, x + r.begin, y + r.begin, acc);
    });
}

rv_tensor *rv_affine(rv_tape *tape, rv_tensor *x, double scale, double shift) {
    if (!x) return NULL;
    rv_tensor *y = rv__like(tape, x);
    if (!y) return NULL;
    affine_blocks(rv_numel(x), scale, shift, x->x, y->x, false);
    rv_node *node = rv_tape_record(tape, &rv__op_affine, 1, &x, 1, &y, sizeof(double));
    if (node) *(double *)node->ctx = scale;
    return y;
}

static void affine_backward(rv_tape *tape, rv_node *node) {
    bool acc;
    rv_real *g = rv_grad(node->in[0], &acc);
    affine_blocks(rv_numel(node->in[0]), *(double *)node->ctx, 0, rv_out_grad(node, 0), g, acc);
}

static rv_tensor *affine_sample(rv_tape *t, int k) {
    if (k > 1) return NULL;
    return rv_affine(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, k ? 30000 : 5)), -1.5, 0.25);
}
const rv_op rv__op_affine = {"affine", affine_backward, affine_sample, 0, true};

/* ---- one operand, through the activation kernels */

static rv_tensor *unary(rv_tape *tape, const rv_op *op, rv_act act, rv_tensor *x) {
    if (!x) return NULL;
    rv_tensor *y = rv__like(tape, x);
    if (!y) return NULL;
    int64_t n = rv_numel(x);
    const rv_kernels *k = rv_k();
    RV_FOR(i, rv_blocks(n), rv_threads_for(20. * (double)n), {
        rv_range r = rv_block(n, i);
        k->vact(act, r.end - r.begin, x->x + r.begin, y->x + r.begin);
    });
    rv_tape_record(tape, op, 1, &x, 1, &y, 0);
    return y;
}

static void unary_backward(rv_node *node, rv_act act) {
    bool acc;
    rv_real *g = rv_grad(node->in[0], &acc);
    const rv_real *dy = rv_out_grad(node, 0);
    const rv_real *s = node->op->flags & RV_OP_USES_OUTPUT ? node->out[0]->x : node->in[0]->x;
    int64_t n = rv_numel(node->in[0]);
    const rv_kernels *k = rv_k();
    RV_FOR(i, rv_blocks(n), rv_threads_for(20. * (double)n), {
        rv_range r = rv_block(n, i);
        k->vact_back(act, r.end - r.begin, s + r.begin, dy + r.begin, g + r.begin, acc);
    });
}

static rv_tensor *unary_sample(rv_tape *t, rv_tensor *(*f)(rv_tape *, rv_tensor *), double lo, double hi, int k) {
    switch (k) {
    case 0: return f(t, rv_sample_leaf(t, lo, hi, RV_DIMS(3, 7)));
    case 1: return f(t, rv_sample_leaf(t, lo, hi, RV_DIMS(9001)));
    case 2: return f(t, rv_sample_leaf(t, lo, hi, 0, NULL));
    }
    return NULL;
}

#define ACTIVATION(name, act, flags, smooth)                                                                           \
    rv_tensor *rv_##name(rv_tape *tape, rv_tensor *x) { return unary(tape, &rv__op_##name, act, x); }                  \
    static void name##_backward(rv_tape *tape, rv_node *node) { unary_backward(node, act); }                           \
    static rv_tensor *name##_sample(rv_tape *t, int k) { return unary_sample(t, rv_##name, -2, 2, k); }                \
    const rv_op rv__op_##name = {#name, name##_backward, name##_sample, flags, smooth};
ACTIVATION(tanh, RV_ACT_TANH, RV_OP_USES_OUTPUT, true)
ACTIVATION(sigmoid, RV_ACT_SIGMOID, RV_OP_USES_OUTPUT, true)
ACTIVATION(relu, RV_ACT_RELU, RV_OP_USES_OUTPUT, false)
ACTIVATION(gelu, RV_ACT_GELU, 0, true)
ACTIVATION(gelu_tanh, RV_ACT_GELU_TANH, 0, true)
#undef ACTIVATION

/* ---- exp, log: d exp = dy y, d log = dy / x */

rv_tensor *rv_exp(rv_tape *tape, rv_tensor *x) {
    if (!x) return NULL;
    rv_tensor *y = rv__like(tape, x);
    if (!y) return NULL;
    int64_t n = rv_numel(x);
    const rv_kernels *k = rv_k();
    RV_FOR(i, rv_blocks(n), rv_threads_for(20. * (double)n), {
        rv_range r = rv_block(n, i);
        k->vexp(r.end - r.begin, x->x + r.begin, y->x + r.begin);
    });
    rv_tape_record(tape, &rv__op_exp, 1, &x, 1, &y, 0);
    return y;
}

rv_tensor *rv_log(rv_tape *tape, rv_tensor *x) {
    if (!x) return NULL;
    rv_tensor *y = rv__like(tape, x);
    if (!y) return NULL;
    int64_t n = rv_numel(x);
    RV_FOR(i, n, rv_threads_for(20. * (double)n), { y->x[i] = (rv_real)log((double)x->x[i]); });
    rv_tape_record(tape, &rv__op_log, 1, &x, 1, &y, 0);
    return y;
}

/* g = or += dy op v, op being a product or a quotient */
static void scaled_backward(rv_node *node, rv_arith op, const rv_real *v) {
    bool acc;
    rv_real *g = rv_grad(node->in[0], &acc);
    const rv_real *dy = rv_out_grad(node, 0);
    int64_t n = rv_numel(node->in[0]);
    const rv_kernels *k = rv_k();
    RV_FOR(i, rv_blocks(n), rv_threads_for((double)n), {
        rv_range r = rv_block(n, i);
        k->vbinary_back(op, 0, r.end - r.begin, v + r.begin, 1, v + r.begin, 1, dy + r.begin, g + r.begin, acc);
    });
}

static void exp_backward(rv_tape *tape, rv_node *node) { scaled_backward(node, RV_ARITH_MUL, node->out[0]->x); }
static void log_backward(rv_tape *tape, rv_node *node) { scaled_backward(node, RV_ARITH_DIV, node->in[0]->x); }
static rv_tensor *exp_sample(rv_tape *t, int k) { return unary_sample(t, rv_exp, -2, 2, k); }
static rv_tensor *log_sample(rv_tape *t, int k) { return unary_sample(t, rv_log, 0.5, 3, k); }
const rv_op rv__op_exp = {"exp", exp_backward, exp_sample, RV_OP_USES_OUTPUT, true};
const rv_op rv__op_log = {"log", log_backward, log_sample, 0, true};

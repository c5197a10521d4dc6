/* The tape and its plan of gradient memory, in double: graphs of every kind against differences. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "autograd/plan.h"
#include "nn/params.h"
#include "ops/ops.h"

#define DIMS(...)                                                                                                      \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }

static rv_tape *tape;
static void open_tape(void) { tape = rv_tape_create(); }
static void close_tape(void) { rv_tape_destroy(tape); }
TestSuite(tape, .init = open_tape, .fini = close_tape);

static rv_tensor *leaf(double first, int ndim, const int64_t *dim) {
    rv_tensor *t = rv_leaf(tape, true, ndim, dim);
    for (int64_t i = 0; i < rv_numel(t); i++) t->x[i] = first + (double)i;
    return t;
}

Test(tape, used_twice_gets_the_sum) {
    rv_tensor *x = leaf(1, DIMS(3)), *y = rv_sum_all(tape, rv_add(tape, rv_mul(tape, x, x), x));
    cr_assert_eq(rv_backward(tape, y), RV_OK);
    for (int i = 0; i < 3; i++) cr_expect_float_eq(x->g[i], 2 * x->x[i] + 1, 1e-14);
}

Test(tape, views_share_values_and_gradient) {
    rv_tensor *x = leaf(1, DIMS(2, 3)), *v = rv_reshape(tape, x, DIMS(3, -1)), *w = rv_reshape(tape, v, DIMS(6));
    cr_expect(v->dim[1] == 2 && v->x == x->x && w->base == x);
    rv_tensor *y = rv_add(tape, rv_sum_all(tape, rv_mul(tape, v, v)), rv_sum_all(tape, rv_affine(tape, w, 5, 0)));
    cr_assert_eq(rv_backward(tape, rv_reshape(tape, y, DIMS(1, 1))), RV_OK);
    for (int i = 0; i < 6; i++) cr_expect_float_eq(x->g[i], 2 * x->x[i] + 5, 1e-14);
}

Test(tape, no_grad_records_nothing) {
    rv_tensor *x = leaf(1, DIMS(3));
    cr_expect_not(rv_tape_no_grad(tape, true));
    rv_arena_mark mark = rv_tape_mark(tape);
    rv_tensor *y = rv_sum_all(tape, rv_mul(tape, x, x));
    cr_expect_eq(y->x[0], 14);
    cr_expect_not(y->needs_grad);
    rv_tape_rewind(tape, mark);
    cr_expect(rv_tape_no_grad(tape, false));
    rv_tensor *c = rv_sum_all(tape, rv_constant(tape, DIMS(2), (double[]){1, 2}));
    cr_expect_not(c->needs_grad);
    cr_expect_eq(rv_backward(tape, c), RV_OK); /* of nothing */
}

Test(tape, backward_needs_a_scalar) {
    cr_expect_eq(rv_backward(tape, leaf(1, DIMS(2, 3))), RV_ESHAPE);
    cr_expect(strstr(rv_error_message(), "(2, 3)"));
    cr_expect_eq(rv_backward(tape, NULL), RV_EINTERNAL);
}

Test(tape, backward_from_a_leaf) {
    rv_tensor *x = leaf(1, DIMS(2)), *y = rv_affine(tape, x, 2, 0);
    double dy[2] = {3, 4};
    (void)y; /* on the tape, but not what is asked for */
    cr_assert_eq(rv_backward_from(tape, x, dy), RV_OK);
    cr_expect(x->has_grad && x->g[0] == 3 && x->g[1] == 4);
    cr_assert_eq(rv_backward_from(tape, y, dy), RV_OK); /* leaves of the tape start anew */
    cr_expect(x->g[0] == 6 && x->g[1] == 8);
}

Test(tape, parameters_add_up_over_steps) {
    rv_params *ps = rv_params_create();
    rv_tensor *w = rv_params_add(ps, (rv_init){RV_INIT_CONSTANT, 2, 0}, DIMS(3), "w");
    rv_tensor *unused = rv_params_add(ps, (rv_init){RV_INIT_CONSTANT, 2, 0}, DIMS(3), "unused");
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    for (int round = 0; round < 2; round++) { /* the second starts from stale gradients */
        rv_params_zero_grad(ps);
        for (int step = 0; step < 3; step++) {
            rv_tape_reset(tape);
            cr_assert_eq(rv_backward(tape, rv_sum_all(tape, rv_mul(tape, w, w))), RV_OK);
        }
        rv_params_finish_grad(ps);
        for (int i = 0; i < 3; i++) cr_expect(w->g[i] == 12 && unused->g[i] == 0, "%g %g", w->g[i], unused->g[i]);
    }
    double dy[3] = {1, 2, 3};
    cr_assert_eq(rv_backward_from(tape, w, dy), RV_OK);
    cr_expect(w->g[0] == 13 && w->g[2] == 15);
    rv_params_destroy(ps);
}

/* Packed weights are those of the moment, of parameters alone, and gone as soon as something may change them. */
Test(tape, held_weights) {
    rv_params *ps = rv_params_create();
    rv_tensor *w = rv_params_add(ps, (rv_init){.kind = RV_INIT_UNIFORM, .a = 1}, DIMS(6, 5), "w"),
              *x = leaf(1, DIMS(2, 5)), *plain = leaf(1, DIMS(6, 5));
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    cr_expect_null(rv_tape_packed(tape, w, 0, 5, 1)); /* not held */
    rv_tape_hold_weights(tape, true);
    cr_expect_null(rv_tape_packed(tape, w, 0, 5, 1)); /* recording */
    for (int round = 0; round < 3; round++) {
        rv_tensor *want = rv_linear(tape, x, w, NULL, RV_ACT_NONE);
        rv_tape_no_grad(tape, true);
        cr_expect_null(rv_tape_packed(tape, plain, 0, 5, 1));
        const void *packed = rv_tape_packed(tape, w, 0, 5, 1);
        cr_expect(packed && packed == rv_tape_packed(tape, w, 0, 5, 1));
        cr_expect(rv_tape_packed(tape, w, 1, 3, 2) != packed && rv_tape_packed(tape, w, 0, 5, 1) == packed);
        rv_tensor *got = rv_linear(tape, x, w, NULL, RV_ACT_NONE);
        for (int i = 0; i < 12; i++) cr_expect_eq(got->x[i], want->x[i], "round %d", round);
        rv_tape_no_grad(tape, false); /* to train */
        for (int i = 0; i < 30; i++) w->x[i] = -2 * w->x[i] + i;
    }
    rv_tape_no_grad(tape, true);
    rv_tape_hold_weights(tape, false);
    cr_expect_null(rv_tape_packed(tape, w, 0, 5, 1));
    rv_params_destroy(ps);
}

Test(tape, frozen_parameters_are_left_alone) {
    rv_params *ps = rv_params_create();
    rv_tensor *w = rv_params_add(ps, (rv_init){RV_INIT_NORMAL, 1, 0}, DIMS(4, 3), "w"),
              *b = rv_params_add(ps, (rv_init){0}, DIMS(4), "b");
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    w->needs_grad = false;
    w->g[0] = 77;
    cr_assert_eq(rv_backward(tape, rv_sum_all(tape, rv_linear(tape, leaf(1, DIMS(2, 3)), w, b, RV_ACT_TANH))), RV_OK);
    cr_expect(w->g[0] == 77 && !w->has_grad && b->has_grad);
    rv_params_destroy(ps);
}

/* ---- random graphs: tensors of 12 elements, each made from earlier ones, some used often, some never */

static rv_tensor *random_graph(rv_tape *t, int k) {
    if (k >= 300) return NULL;
    enum { MAX = 24 };
    rv_rng r = rv_rng_make(9, "graph", (uint64_t)k);
    rv_tensor *v[MAX];
    int n = 0;
    while (n < 2) v[n++] = rv_sample_leaf(t, 0.5, 1.5, DIMS(3, 4));
    rv_tensor *row = rv_sample_leaf(t, 0.5, 1.5, DIMS(4));
    int end = 3 + (int)rv_rng_below(&r, MAX - 3);
    while (n < end) {
        /* Mostly recent tensors, so that graphs are deep; sometimes any. */
        int back = rv_rng_below(&r, 3) ? 3 : n;
        rv_tensor *a = v[n - 1 - (int)rv_rng_below(&r, (uint64_t)(back < n ? back : n))],
                  *b = v[rv_rng_below(&r, (uint64_t)n)];
        switch (rv_rng_below(&r, 12)) {
        case 0: v[n] = rv_add(t, a, b); break;
        case 1: v[n] = rv_add(t, b, a); break;
        case 2: v[n] = rv_add(t, a, row); break;
        case 3: v[n] = rv_sub(t, a, b); break;
        case 4: v[n] = rv_sub(t, row, b); break;
        case 5: v[n] = rv_tanh(t, rv_mul(t, a, b)); break;
        case 6: v[n] = rv_affine(t, a, -0.5, 0.1); break;
        case 7: v[n] = rv_reshape(t, rv_sigmoid(t, rv_reshape(t, a, DIMS(12))), DIMS(3, 4)); break;
        case 8: v[n] = rv_reshape(t, rv_reshape(t, a, DIMS(2, 6)), DIMS(3, 4)); break;
        case 9: v[n] = rv_concat(t, 2, (rv_tensor *[]){rv_slice(t, a, 0, 0, 1), rv_slice(t, b, 0, 1, 3)}, 0); break;
        case 10: v[n] = rv_softmax(t, a); break;
        case 11: v[n] = rv_gelu(t, a); break;
        }
        n++;
    }
    static const int32_t target[3] = {1, -1, 2};
    rv_tensor *last = v[n - 1];
    if (rv_rng_below(&r, 2)) return rv_mul(t, last, row);
    /* In place when nobody else needs the logits: sometimes the last tensor, sometimes one with other consumers. */
    rv_tensor *rest = rv_sum_all(t, rv_tanh(t, last));
    rv_tensor *loss =
        rv_cross_entropy(t, rv_rng_below(&r, 2) ? last : v[rv_rng_below(&r, (uint64_t)n)], target, -1, 0.1);
    return rv_rng_below(&r, 3) ? rv_add(t, loss, rest) : loss;
}

Test(tape, random_graphs) {
    static const rv_op op = {"random graph", NULL, random_graph, 0, true};
    rv_gradcheck_report r;
    cr_assert_eq(rv_gradcheck(&op, &r), RV_OK, "%s", rv_error_message());
    cr_expect_geq(r.checked, 300 * 28);
    cr_expect_lt(r.worst, 1e-7, "graph %d, leaf %d, element %lld: backward %.12g, differences %.12g", r.sample, r.leaf,
                 (long long)r.elem, r.analytic, r.numeric);
}

/* ---- a deep residual network: pre-norm blocks with dropout, tied output, cross-entropy over the logits */

enum { LAYERS = 10, D = 8, ROWS = 6, WORDS = 11 };
typedef struct {
    rv_params *ps;
    rv_tensor *table, *gamma[LAYERS], *beta[LAYERS], *w1[LAYERS], *b1[LAYERS], *w2[LAYERS], *all[1 + 5 * LAYERS];
    int n;
} network;

static network network_create(void) {
    network m = {.ps = rv_params_create()};
    rv_init normal = {RV_INIT_NORMAL, 0.3, 0}, one = {RV_INIT_CONSTANT, 1, 0};
    m.all[m.n++] = m.table = rv_params_add(m.ps, normal, DIMS(WORDS, D), "table");
    for (int l = 0; l < LAYERS; l++) {
        m.all[m.n++] = m.gamma[l] = rv_params_add(m.ps, one, DIMS(D), "gamma%d", l);
        m.all[m.n++] = m.beta[l] = rv_params_add(m.ps, normal, DIMS(D), "beta%d", l);
        m.all[m.n++] = m.w1[l] = rv_params_add(m.ps, normal, DIMS(2 * D, D), "w1.%d", l);
        m.all[m.n++] = m.b1[l] = rv_params_add(m.ps, normal, DIMS(2 * D), "b1.%d", l);
        m.all[m.n++] = m.w2[l] = rv_params_add(m.ps, normal, DIMS(D, 2 * D), "w2.%d", l);
    }
    cr_assert_eq(rv_params_materialise(m.ps, 1), RV_OK);
    return m;
}

static rv_tensor *network_loss(rv_tape *t, void *arg) {
    static const int32_t ids[ROWS] = {3, 1, 4, 1, 5, 9}, target[ROWS] = {1, 4, 1, -1, 9, 2};
    network *m = arg;
    rv_tape_seed(t, 1, 1);
    rv_tape_set_training(t, true);
    rv_tensor *h = rv_embedding(t, m->table, ids, ROWS, sqrt(D));
    for (int l = 0; l < LAYERS; l++) {
        rv_tensor *u = rv_layer_norm(t, h, m->gamma[l], m->beta[l], 1e-5);
        u = rv_linear(t, u, m->w1[l], m->b1[l], l % 2 ? RV_ACT_GELU : RV_ACT_TANH);
        h = rv_add(t, h, rv_dropout(t, rv_linear(t, u, m->w2[l], NULL, RV_ACT_NONE), 0.2));
    }
    return rv_cross_entropy(t, rv_linear(t, h, m->table, NULL, RV_ACT_NONE), target, -1, 0.1);
}

Test(tape, taylor_test_of_a_residual_network) {
    network m = network_create();
    double slope = 0;
    cr_assert_eq(rv_taylor_slope(tape, network_loss, &m, m.n, m.all, 1e-3, &slope), RV_OK, "%s", rv_error_message());
    cr_expect_float_eq(slope, 2, 0.1, "%g", slope);
    rv_params_destroy(m.ps);
}

/* A wrong gradient must show: the loss is of one tensor, its gradient of another. */
static rv_tensor *wrong_loss(rv_tape *t, void *arg) {
    network *m = arg;
    rv_tensor *copy = rv_constant(t, m->b1[0]->ndim, m->b1[0]->dim, m->b1[0]->x);
    return rv_add(t, network_loss(t, arg), rv_sum_all(t, rv_mul(t, copy, m->b1[0])));
}

Test(tape, taylor_test_notices_a_wrong_gradient) {
    network m = network_create();
    double slope = 0;
    cr_assert_eq(rv_taylor_slope(tape, wrong_loss, &m, m.n, m.all, 1e-3, &slope), RV_OK);
    cr_expect_float_eq(slope, 1, 0.1, "%g", slope);
    rv_params_destroy(m.ps);
}

Test(tape, poisoned_gradient_memory_is_never_read) {
    network m = network_create();
    cr_assert_leq(m.ps->size, 4000);
    double *seen = rv_alloc((size_t)m.ps->size * sizeof *seen);
    for (int step = 0; step < 3; step++) {
        rv_tape_reset(tape);
        rv__plan_poison(tape);
        rv_params_zero_grad(m.ps);
        cr_assert_eq(rv_backward(tape, network_loss(tape, &m)), RV_OK);
        rv_params_finish_grad(m.ps);
        if (step == 0) memcpy(seen, m.ps->g, (size_t)m.ps->size * sizeof *seen);
        cr_expect(!memcmp(seen, m.ps->g, (size_t)m.ps->size * sizeof *seen), "step %d", step);
        for (int64_t i = 0; i < m.ps->size; i++) cr_assert(isfinite(m.ps->g[i]));
    }
    rv_free(seen);
    rv_params_destroy(m.ps);
}

/* Depth must not cost gradient memory: a residual chain needs a few buffers, not one for each layer. */
static size_t chain_bytes(int depth) {
    rv_tape *t = rv_tape_create();
    rv_tensor *h = rv_tanh(t, rv_sample_leaf(t, -1, 1, DIMS(64, 64)));
    for (int l = 0; l < depth; l++) h = rv_add(t, h, rv_tanh(t, rv_affine(t, h, 0.5, 0)));
    cr_assert_eq(rv_backward(t, rv_mean_all(t, h)), RV_OK);
    size_t bytes = rv_tape_grad_bytes(t);
    rv_tape_destroy(t);
    return bytes;
}

Test(tape, gradient_memory_is_reused) {
    size_t two = chain_bytes(2), many = chain_bytes(40);
    cr_expect_eq(two, many, "%zu and %zu bytes", two, many);
    cr_expect_leq(many, 5 * 64 * 64 * sizeof(double) + 4096, "%zu bytes", many);
}

/* The gradient of logits lies in the logits: only what else is needed is allocated. */
Test(tape, cross_entropy_stores_its_logits_once) {
    static int32_t target[64];
    rv_tensor *w = rv_sample_leaf(tape, -1, 1, DIMS(500, 2)), *x = rv_sample_leaf(tape, -1, 1, DIMS(64, 2));
    rv_tensor *z = rv_linear(tape, x, w, NULL, RV_ACT_NONE);
    cr_assert_eq(rv_backward(tape, rv_cross_entropy(tape, z, target, -1, 0)), RV_OK);
    cr_expect_eq(z->g, z->x);
    cr_expect_lt(rv_tape_grad_bytes(tape), 64 * 500 * sizeof(double));
    rv_tape_reset(tape);
    w = rv_sample_leaf(tape, -1, 1, DIMS(500, 2)), x = rv_sample_leaf(tape, -1, 1, DIMS(64, 2));
    z = rv_linear(tape, x, w, NULL, RV_ACT_TANH); /* its backward needs the values */
    cr_assert_eq(rv_backward(tape, rv_cross_entropy(tape, z, target, -1, 0)), RV_OK);
    cr_expect_neq(z->g, z->x);
}

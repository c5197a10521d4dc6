/* Every op, forward and backward: the same bits at every thread count, and close values from every instruction set. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"
#include "support/same_bits.h"

enum { FORWARD, BACKWARD };

/* Of the k-th sample the output and the gradient of each leaf; false when there is none. */
static bool run(const rv_op *op, int k, rv_bits part[RV_BITS_PARTS]) {
    rv_tape *tape = rv_tape_create();
    rv_tape_seed(tape, 5, 7);
    rv_bits_begin();
    rv_tensor *y = op->sample(tape, k);
    rv_bits_end(&part[FORWARD]);
    if (y) {
        rv_real *w = malloc((size_t)(rv_numel(y) + 1) * sizeof *w);
        for (int64_t i = 0; i < rv_numel(y); i++) w[i] = (rv_real)sin((double)i + 1);
        rv_bits_add(&part[FORWARD], y->x, rv_numel(y));
        rv_bits_begin();
        cr_assert_eq(rv_backward_from(tape, y, w), RV_OK, "%s: %s", op->name, rv_error_message());
        rv_bits_end(&part[BACKWARD]);
        for (int i = 0; i < rv_sample_count(tape); i++) {
            rv_tensor *t = rv_sample_get(tape, i);
            if (t->has_grad) rv_bits_add(&part[BACKWARD], t->g, rv_numel(t));
        }
        free(w);
    } else {
        cr_assert_eq(rv_tape_status(tape), RV_OK, "%s: %s", op->name, rv_error_message());
    }
    rv_tape_destroy(tape);
    return y != NULL;
}

static void all_samples(const void *op, rv_bits part[RV_BITS_PARTS]) {
    for (int k = 0; run(op, k, part); k++) continue;
}

Test(same_bits, threads) {
    for (int i = 0; rv_ops[i]; i++) rv_bits_expect_same(rv_ops[i]->name, all_samples, rv_ops[i]);
    rv_bits_expect_regions_shared();
}

static void expect_close(const char *what, int k, const rv_bits *fast, const rv_bits *base) {
    double largest = 0, worst = 0;
    cr_assert_eq(fast->n, base->n);
    for (int64_t j = 0; j < base->n; j++) {
        const double size = fabs((double)base->v[j]);
        largest = fmax(largest, size);
        worst = fmax(worst, fabs((double)base->v[j] - (double)fast->v[j]) / (1 + size));
        cr_assert(fast->v[j] == fast->v[j], "%s, sample %d: NaN", what, k);
    }
    cr_expect_lt(worst, 2e-5, "%s, sample %d differs from base by %g (largest value %g)", what, k, worst, largest);
}

Test(same_bits, instruction_sets) {
    static const char *const isa[] = {"avx512", "avx2"};
    for (int s = 0; s < 2; s++) {
        if (rv_select_isa(isa[s]) != RV_OK) continue;
        for (int i = 0; rv_ops[i]; i++) {
            char what[64];
            snprintf(what, sizeof what, "%s by %s", rv_ops[i]->name, isa[s]);
            for (int k = 0;; k++) {
                rv_bits fast[RV_BITS_PARTS] = {{NULL}}, base[RV_BITS_PARTS] = {{NULL}};
                cr_assert_eq(rv_select_isa("base"), RV_OK);
                if (!run(rv_ops[i], k, base)) break;
                cr_assert_eq(rv_select_isa(isa[s]), RV_OK);
                cr_assert(run(rv_ops[i], k, fast));
                for (int p = 0; p < RV_BITS_PARTS; p++) expect_close(what, k, &fast[p], &base[p]);
                rv_bits_drop(fast);
                rv_bits_drop(base);
            }
        }
    }
}

/* A row's bits depend on that row only: not on its batch-mates, nor on where in the batch it stands. */
enum { ROWS = 9, WIDTH = 83 };

static rv_tensor *apply(rv_tape *tape, int which, rv_tensor *x) {
    int64_t n = WIDTH;
    rv_tensor *w = rv_leaf(tape, true, 2, (int64_t[]){41, WIDTH}), *v = rv_leaf(tape, true, 1, &n);
    for (int64_t i = 0; i < rv_numel(w); i++) w->x[i] = (rv_real)sin(3. * (double)i);
    for (int64_t i = 0; i < n; i++) v->x[i] = (rv_real)cos(2. * (double)i);
    switch (which) {
    case 0: return rv_softmax(tape, x);
    case 1: return rv_log_softmax(tape, x);
    case 2: return rv_layer_norm(tape, x, v, v, 1e-5);
    case 3: return rv_linear(tape, x, w, NULL, RV_ACT_GELU);
    case 4: return rv_gelu_tanh(tape, rv_mul(tape, x, v));
    }
    return NULL;
}

static void rows(rv_tape *tape, int which, int64_t first, int64_t n, rv_real *y_and_dx, int64_t *width) {
    rv_tape_reset(tape);
    rv_tensor *x = rv_leaf(tape, true, 2, (int64_t[]){n, WIDTH});
    for (int64_t i = 0; i < rv_numel(x); i++) x->x[i] = (rv_real)(3 * sin(1.3 * (double)(i + first * WIDTH)));
    rv_tensor *y = apply(tape, which, x);
    *width = rv_dim(y, -1);
    rv_real dy[ROWS * WIDTH];
    for (int64_t i = 0; i < rv_numel(y); i++) dy[i] = (rv_real)sin((double)(i + first * *width));
    memcpy(y_and_dx, y->x, (size_t)rv_numel(y) * sizeof *dy);
    cr_assert_eq(rv_backward_from(tape, y, dy), RV_OK);
    memcpy(y_and_dx + ROWS * WIDTH, x->g, (size_t)rv_numel(x) * sizeof *dy);
}

Test(same_bits, rows_stand_alone) {
    rv_tape *tape = rv_tape_create();
    for (int which = 0; which < 5; which++) {
        static rv_real all[2 * ROWS * WIDTH], one[2 * ROWS * WIDTH];
        int64_t width;
        rows(tape, which, 0, ROWS, all, &width);
        for (int64_t r = 0; r < ROWS; r++) {
            rows(tape, which, r, 1, one, &width);
            cr_expect(!memcmp(one, all + r * width, (size_t)width * sizeof *one),
                      "op %d: row %d alone has another value", which, (int)r);
            cr_expect(!memcmp(one + ROWS * WIDTH, all + ROWS * WIDTH + r * WIDTH, WIDTH * sizeof *one),
                      "op %d: row %d alone has another gradient", which, (int)r);
        }
    }
    rv_tape_destroy(tape);
}

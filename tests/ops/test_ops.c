/* Known values, error messages and random masks of the ops. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "ops/ops.h"

#ifdef RV_DOUBLE
static const double TOL = 1e-12;
#else
static const double TOL = 3e-6;
#endif

static rv_tape *tape;
static void open_tape(void) {
    tape = rv_tape_create();
    rv_tape_seed(tape, 3, 4);
}
static void close_tape(void) { rv_tape_destroy(tape); }
TestSuite(ops, .init = open_tape, .fini = close_tape);

#define DIMS(...)                                                                                                      \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }
static rv_tensor *filled(double value, int ndim, const int64_t *dim) {
    rv_tensor *t = rv_leaf(tape, true, ndim, dim);
    for (int64_t i = 0; i < rv_numel(t); i++) t->x[i] = (rv_real)value;
    return t;
}
static rv_tensor *waves(double scale, int ndim, const int64_t *dim) {
    rv_tensor *t = rv_leaf(tape, true, ndim, dim);
    for (int64_t i = 0; i < rv_numel(t); i++) t->x[i] = (rv_real)(scale * sin(1.7 * (double)i));
    return t;
}
static void expect_values(const char *what, const rv_real *got, int n, const double *want) {
    for (int i = 0; i < n; i++)
        cr_expect_float_eq((double)got[i], want[i], TOL * (1 + fabs(want[i])), "%s[%d] is %.12g, not %.12g", what, i,
                           (double)got[i], want[i]);
}

Test(ops, cross_entropy_of_zero_logits_is_log_v) {
    int32_t target[3] = {0, 999, 500};
    for (int s = 0; s < 2; s++) {
        rv_tensor *loss = rv_cross_entropy(tape, filled(0, DIMS(3, 1000)), target, -100, s * 0.1);
        cr_expect_float_eq((double)loss->x[0], log(1000), 1e-5);
    }
}

/* torch.nn.functional.cross_entropy of 3 sin(1.7 i) as (3, 5), targets 4, ignored, 1 (PyTorch 1.13, double) */
Test(ops, cross_entropy_as_pytorch) {
    static const double loss[2] = {2.6371121749153406, 2.7154778121584773};
    static const double grad[2][15] = {
        {0.019592838826220323, 0.3838141936656944, 0.009102424689111465, 0.0012186212375186521, -0.4137280784185449, 0,
         0, 0, 0, 0, 0.0012973091853603152, -0.48515760429832183, 0.46584988079233886, 0.01675295986977732,
         0.0012574544508454093},
        {0.009592838826220322, 0.3738141936656944, -0.0008975753108885348, -0.008781378762481348, -0.37372807841854494,
         0, 0, 0, 0, 0, -0.008702690814639685, -0.44515760429832185, 0.45584988079233885, 0.006752959869777321,
         -0.00874254554915459}};
    int32_t target[3] = {4, -100, 1};
    for (int s = 0; s < 2; s++) {
        rv_tape_reset(tape);
        rv_tensor *z = waves(3, DIMS(3, 5)), *y = rv_cross_entropy(tape, z, target, -100, s * 0.1);
        expect_values("loss", y->x, 1, &loss[s]);
        cr_assert_eq(rv_backward(tape, y), RV_OK);
        expect_values("gradient", z->g, 15, grad[s]);
    }
}

Test(ops, cross_entropy_with_everything_ignored_is_zero) {
    int32_t target[2] = {-1, -1};
    rv_tensor *z = waves(1, DIMS(2, 5)), *y = rv_cross_entropy(tape, z, target, -1, 0.1);
    cr_expect_eq(y->x[0], 0);
    cr_assert_eq(rv_backward(tape, y), RV_OK);
    for (int i = 0; i < 10; i++) cr_expect_eq(z->g[i], 0);
}

Test(ops, cross_entropy_of_extreme_logits) {
    int32_t target[2] = {0, 1};
    rv_tensor *z = filled(-INFINITY, DIMS(2, 2000));
    z->x[0] = 5; /* the only possible class */
    z->x[2000 + 1] = 1e4, z->x[2000 + 1999] = 1e4;
    rv_tensor *y = rv_cross_entropy(tape, z, target, -1, 0);
    cr_expect_float_eq((double)y->x[0], log(2) / 2, 1e-3, "%g", (double)y->x[0]);
    cr_assert_eq(rv_backward(tape, y), RV_OK);
    cr_expect_float_eq((double)z->g[2000 + 1999], 0.25, 1e-3);
    cr_expect_eq(z->g[7], 0);
    z->x[9] = NAN;
    cr_expect(isnan(rv_cross_entropy(tape, z, target, -1, 0)->x[0]), "a NaN must not be lost in a maximum");
}

/* The same of x w^T + b with waves in all three: gradients of x, of the last row of w, and of four elements of b. */
Test(ops, linear_cross_entropy_as_pytorch) {
    static const double loss[2] = {14.63439733405297, 14.283842881516641};
    static const double grad[2][20] = {{-0.532721893727843,
                                        1.3322750247791482,
                                        0.1894092900676249,
                                        -1.3810837131664933,
                                        0.0,
                                        0.0,
                                        0.0,
                                        0.0,
                                        0.5844404950431364,
                                        0.9515874370126581,
                                        -0.8296540992428798,
                                        -0.7377947112983451,
                                        0.00010125968294945133,
                                        -0.9916178470105864,
                                        0.2554277403820424,
                                        0.925796930933441,
                                        0.0020903299739667702,
                                        -0.4999995172124861,
                                        2.851326998682909e-07,
                                        -0.49994096773940255},
                                       {-0.4876495902046277,
                                        1.267126471095142,
                                        0.16112505145138745,
                                        -1.3086466226403934,
                                        0.0,
                                        0.0,
                                        0.0,
                                        0.0,
                                        0.5872401489837843,
                                        0.8768292951701013,
                                        -0.8131894032231732,
                                        -0.6672793403205651,
                                        2.3154063417043984e-05,
                                        -0.8925775846365744,
                                        0.2299842609606235,
                                        0.8333131730377715,
                                        0.0019994208830576795,
                                        -0.4500904263033952,
                                        -9.062395820922262e-05,
                                        -0.45003187683031165}};
    static const int place[4] = {0, 6, 700, 1099};
    int32_t target[3] = {1099, -100, 6};
    for (int s = 0; s < 2; s++) {
        rv_tape_reset(tape);
        rv_tensor *x = waves(2, DIMS(3, 4)), *w = waves(1.5, DIMS(1100, 4)), *b = waves(1, DIMS(1100));
        rv_tensor *y = rv_linear_cross_entropy(tape, x, w, b, target, -100, s * 0.1);
        expect_values("loss", y->x, 1, &loss[s]);
        cr_assert_eq(rv_backward(tape, y), RV_OK);
        expect_values("dx", x->g, 12, grad[s]);
        expect_values("dw", w->g + 1099 * 4, 4, grad[s] + 12);
        for (int i = 0; i < 4; i++) expect_values("db", b->g + place[i], 1, grad[s] + 16 + i);
    }
}

/* Two blocks of rows, several strips of classes, the last of another width; every fifth row ignored, or none. */
Test(ops, linear_cross_entropy_is_cross_entropy_of_linear) {
    enum { ROWS = 700, IN = 9, V = 2311, N = ROWS * IN + V * IN + V };
    static rv_real want[N + 1], got[N + 1], before[N + 1];
    static int32_t target[ROWS];
    for (int c = 0; c < 4; c++) {
        const double smoothing = c % 2 * 0.1;
        for (int i = 0; i < ROWS; i++) target[i] = c / 2 && i % 5 == 3 ? -1 : i * i % V;
        for (int run = 0; run < 4; run++) {
            rv_set_threads(run < 2 ? 1 : run);
            rv_tape_reset(tape);
            rv_tensor *x = waves(2, DIMS(ROWS, IN)), *w = waves(1.5, DIMS(V, IN)), *b = waves(1, DIMS(V));
            rv_tensor *y = run ? rv_linear_cross_entropy(tape, x, w, b, target, -1, smoothing)
                               : rv_cross_entropy(tape, rv_linear(tape, x, w, b, RV_ACT_NONE), target, -1, smoothing);
            rv_real scale = 30, *to = run ? got : want;
            cr_assert_eq(rv_backward_from(tape, y, &scale), RV_OK);
            memcpy(to, x->g, ROWS * IN * sizeof *to);
            memcpy(to + ROWS * IN, w->g, V * IN * sizeof *to);
            memcpy(to + ROWS * IN + V * IN, b->g, V * sizeof *to);
            to[N] = y->x[0];
            for (int i = 0; run && i <= N; i++)
                cr_assert_float_eq((double)got[i], (double)want[i], TOL * (1 + fabs((double)want[i])),
                                   "case %d: %d is %.12g, not %.12g", c, i, (double)got[i], (double)want[i]);
            if (run > 1) cr_assert(!memcmp(before, got, sizeof got), "%d threads give other bits than 1", run);
            memcpy(before, got, sizeof got);
            rv_tape_no_grad(tape, true);
            if (run)
                cr_expect_eq(rv_linear_cross_entropy(tape, x, w, b, target, -1, smoothing)->x[0], got[N],
                             "the loss alone has the same bits");
            rv_tape_no_grad(tape, false);
        }
    }
    rv_set_threads(0);
}

/* A row's loss has the same bits alone and among others, which give the mean of all. */
Test(ops, linear_cross_entropy_of_a_row_alone) {
    enum { ROWS = 600, IN = 5, V = 1500 };
    static int32_t target[ROWS], one[ROWS];
    rv_tensor *x = waves(2, DIMS(ROWS, IN)), *w = waves(1.5, DIMS(V, IN));
    double sum = 0;
    for (int i = 0; i < ROWS; i++) target[i] = 7 * i % V, one[i] = -1;
    rv_tape_no_grad(tape, true);
    for (int i = 0; i < ROWS; i++) {
        rv_tensor *alone = rv_leaf(tape, true, DIMS(1, IN));
        memcpy(alone->x, x->x + i * IN, IN * sizeof *x->x);
        one[i] = target[i];
        const rv_real a = rv_linear_cross_entropy(tape, alone, w, NULL, target + i, -1, 0)->x[0];
        cr_assert_eq(a, rv_linear_cross_entropy(tape, x, w, NULL, one, -1, 0)->x[0], "row %d", i);
        one[i] = -1;
        sum += (double)a;
    }
    cr_expect_float_eq((double)rv_linear_cross_entropy(tape, x, w, NULL, target, -1, 0)->x[0], sum / ROWS, 1e-6);
    cr_expect_eq(rv_linear_cross_entropy(tape, x, w, NULL, one, -1, 0)->x[0], 0, "everything ignored");
    rv_tape_no_grad(tape, false);
}

Test(ops, linear_cross_entropy_keeps_nan) {
    int32_t target[2] = {0, 1};
    rv_tensor *x = filled(1, DIMS(2, 3)), *w = filled(1, DIMS(1500, 3));
    w->x[3 * 1400] = NAN;
    cr_expect(isnan(rv_linear_cross_entropy(tape, x, w, NULL, target, -1, 0)->x[0]),
              "a NaN must not be lost in a maximum");
}

Test(ops, softmax_of_equals_is_uniform) {
    rv_tensor *y = rv_softmax(tape, filled(7, DIMS(2, 37)));
    for (int i = 0; i < 74; i++) cr_expect_float_eq((double)y->x[i], 1. / 37, 1e-7);
    y = rv_log_softmax(tape, filled(-90, DIMS(2, 37)));
    for (int i = 0; i < 74; i++) cr_expect_float_eq((double)y->x[i], -log(37), 1e-5);
}

Test(ops, gelu_as_pytorch) {
    static const double in[6] = {-3, -1, -0.1, 0, 0.5, 2};
    static const double erf_form[6] = {-0.00404969409489031, -0.15865525393145702, -0.0460172162722971, 0,
                                       0.34573123063700656,  1.9544997361036416};
    static const double tanh_form[6] = {-0.0036373920817729943, -0.15880800939172324, -0.04601724895456484, 0,
                                        0.34571400982514394,    1.954597694087775};
    rv_tensor *x = filled(0, DIMS(6));
    for (int i = 0; i < 6; i++) x->x[i] = (rv_real)in[i];
    expect_values("gelu", rv_gelu(tape, x)->x, 6, erf_form);
    expect_values("gelu_tanh", rv_gelu_tanh(tape, x)->x, 6, tanh_form);
}

Test(ops, layer_norm_as_pytorch) {
    static const double want[10] = {-2.0466250440054337, 1.1383615655802242,  -1.2115860706516033, -4.289266914000574,
                                    4.985881658767572,   -1.5195716483147919, -2.8749435886343284, -2.82339837385607,
                                    4.67633584538502,    3.6563751581820103};
    rv_tensor *gamma = filled(0, DIMS(5)), *beta = filled(0, DIMS(5));
    for (int i = 0; i < 5; i++) gamma->x[i] = (rv_real)(i + 0.5), beta->x[i] = (rv_real)(i - 2);
    expect_values("layer_norm", rv_layer_norm(tape, waves(1, DIMS(2, 5)), gamma, beta, 1e-5)->x, 10, want);
    double without[10];
    for (int i = 0; i < 10; i++) without[i] = want[i] - (i % 5 - 2);
    expect_values("layer_norm without beta", rv_layer_norm(tape, waves(1, DIMS(2, 5)), gamma, NULL, 1e-5)->x, 10,
                  without);
    rv_tensor *y = rv_layer_norm(tape, filled(1234.5, DIMS(3, 5)), gamma, beta, 1e-5);
    for (int i = 0; i < 15; i++) cr_expect_eq(y->x[i], beta->x[i % 5], "a constant row gives beta");
}

Test(ops, broadcasting_and_sums) {
    rv_tensor *a = filled(0, DIMS(2, 1, 3)), *b = filled(0, DIMS(2, 1));
    for (int i = 0; i < 6; i++) a->x[i] = (rv_real)i;
    b->x[0] = 10, b->x[1] = 20;
    static const double sum[12] = {10, 11, 12, 20, 21, 22, 13, 14, 15, 23, 24, 25},
                        by_axis[3][6] = {{23, 25, 27, 43, 45, 47}, {30, 32, 34, 36, 38, 40}, {33, 63, 42, 72}};
    rv_tensor *y = rv_add(tape, a, b);
    cr_assert(y->ndim == 3 && y->dim[0] == 2 && y->dim[1] == 2 && y->dim[2] == 3);
    expect_values("sum", y->x, 12, sum);
    for (int axis = 0; axis < 3; axis++)
        expect_values("sum over an axis", rv_sum(tape, y, axis - 3)->x, axis == 2 ? 4 : 6, by_axis[axis]);
    cr_expect_float_eq((double)rv_mean_all(tape, y)->x[0], 17.5, 1e-5);
}

Test(ops, errors_are_sticky_and_name_both_shapes) {
    rv_tensor *a = filled(1, DIMS(2, 3)), *b = filled(1, DIMS(4, 5));
    cr_expect_null(rv_matmul(tape, a, b));
    cr_expect_eq(rv_tape_status(tape), RV_ESHAPE);
    cr_expect(strstr(rv_error_message(), "matmul") && strstr(rv_error_message(), "(2, 3)") &&
                  strstr(rv_error_message(), "(4, 5)"),
              "%s", rv_error_message());
    cr_expect_null(rv_add(tape, a, b)); /* not what is reported: the first error stays */
    rv_tensor *y = rv_sum_all(tape, rv_gelu(tape, NULL));
    cr_expect_null(y);
    cr_expect_eq(rv_backward(tape, y), RV_ESHAPE);
    cr_expect(strstr(rv_error_message(), "matmul"));
    rv_tape_reset(tape);
    cr_expect_eq(rv_tape_status(tape), RV_OK);
}

#define EXPECT_ERROR(expr, code, text)                                                                                 \
    do {                                                                                                               \
        rv_tape_reset(tape);                                                                                           \
        rv_tensor *a = filled(1, DIMS(2, 3)), *b = filled(1, DIMS(4, 5)), *v = filled(1, DIMS(5)),                     \
                  *s = filled(1, 0, NULL);                                                                             \
        (void)a, (void)b, (void)v, (void)s;                                                                            \
        cr_expect_null(expr);                                                                                          \
        cr_expect_eq(rv_tape_status(tape), code);                                                                      \
        cr_expect(strstr(rv_error_message(), text), "no '%s' in: %s", text, rv_error_message());                       \
    } while (0)

Test(ops, every_wrong_shape_is_refused) {
    static const int32_t ids[4] = {0, 1, 2, 7};
    EXPECT_ERROR(rv_linear(tape, a, b, NULL, RV_ACT_NONE), RV_ESHAPE, "(4, 5)");
    EXPECT_ERROR(rv_linear(tape, filled(1, DIMS(2, 5)), b, v, RV_ACT_NONE), RV_ESHAPE, "bias");
    EXPECT_ERROR(rv_matmul(tape, a, s), RV_ESHAPE, "()");
    EXPECT_ERROR(rv_add(tape, a, v), RV_ESHAPE, "add: shapes (2, 3) and (5)");
    EXPECT_ERROR(rv_div(tape, a, b), RV_ESHAPE, "div");
    EXPECT_ERROR(rv_sum(tape, a, 2), RV_ESHAPE, "axis 2");
    EXPECT_ERROR(rv_reshape(tape, a, DIMS(4, -1)), RV_ESHAPE, "(4, -1)");
    EXPECT_ERROR(rv_transpose(tape, a, ((int[]){0, 0})), RV_ESHAPE, "permutation");
    EXPECT_ERROR(rv_slice(tape, a, 1, 2, 4), RV_ESHAPE, "[2, 4)");
    EXPECT_ERROR(rv_concat(tape, 2, ((rv_tensor *[]){a, b}), 0), RV_ESHAPE, "(4, 5)");
    EXPECT_ERROR(rv_concat(tape, 2, ((rv_tensor *[]){a, v}), 0), RV_ESHAPE, "(5)");
    EXPECT_ERROR(rv_softmax(tape, s), RV_ESHAPE, "softmax");
    EXPECT_ERROR(rv_layer_norm(tape, a, v, v, 1e-5), RV_ESHAPE, "gamma");
    EXPECT_ERROR(rv_mse(tape, a, b), RV_ESHAPE, "mse");
    EXPECT_ERROR(rv_embedding(tape, v, ids, 4, 1), RV_ESHAPE, "(5)");
    EXPECT_ERROR(rv_embedding(tape, b, ids, 4, 1), RV_EDATA, "id 7 at position 3");
    EXPECT_ERROR(rv_cross_entropy(tape, b, ids, -1, 0), RV_EDATA, "target 7 at position 3");
    EXPECT_ERROR(rv_linear_cross_entropy(tape, a, b, NULL, ids, -1, 0), RV_ESHAPE,
                 "linear_cross_entropy: shapes (2, 3) and (4, 5)");
    EXPECT_ERROR(rv_linear_cross_entropy(tape, a, filled(1, DIMS(1200, 3)), v, ids, -1, 0), RV_ESHAPE, "bias");
    static const int32_t large[2] = {1199, 1200};
    EXPECT_ERROR(rv_linear_cross_entropy(tape, a, filled(1, DIMS(1200, 3)), NULL, large, -1, 0), RV_EDATA,
                 "target 1200 at position 1");
    rv_tape_set_training(tape, true);
    EXPECT_ERROR(rv_dropout(tape, a, 1), RV_EUSAGE, "probability 1");
}

/* The number that decides on element i, by the definition in kernels.def. */
static uint32_t drawn(rv_rng_key key, uint64_t step, uint64_t first, int64_t i) {
    uint32_t r[4];
    rv_rng_block(key, step, first + (uint64_t)(i / 128 * 16 + i % 16), r);
    return i % 32 < 16 ? r[i % 128 / 32] & 0xffffu : r[i % 128 / 32] >> 16;
}

Test(ops, dropout_draws_what_the_generator_says) {
    enum { N = 10007 };
    static const char *const isa[] = {"avx512", "avx2", "base"};
    rv_rng_key key = rv_rng_make_key(3, rv_rng_stream("tape")); /* the first call of the step */
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isa[s]) != RV_OK) continue;
        rv_tape_reset(tape);
        rv_tape_set_training(tape, true);
        rv_tensor *x = filled(1, DIMS(N)), *y = rv_dropout(tape, x, 0.25), *z = rv_dropout(tape, x, 0.25);
        int kept = 0, differ = 0;
        for (int i = 0; i < N; i++) {
            bool keep = drawn(key, 4, 0, i) >= 0x4000u;
            cr_assert_float_eq((double)y->x[i], keep ? 4. / 3 : 0, 1e-6, "%s, element %d", isa[s], i);
            kept += keep;
            differ += y->x[i] != z->x[i];
        }
        cr_expect_float_eq(kept / (double)N, 0.75, 0.02);
        cr_expect_gt(differ, N / 4, "two calls must drop different elements");
        cr_assert_eq(rv_backward(tape, rv_sum_all(tape, y)), RV_OK);
        for (int i = 0; i < N; i++) cr_assert_eq(x->g[i], y->x[i]);
    }
    rv_tape_set_training(tape, false);
    rv_tensor *x = filled(1, DIMS(3));
    cr_expect_eq(rv_dropout(tape, x, 0.5), x);
    rv_tape_set_training(tape, true);
    cr_expect_eq(rv_dropout(tape, x, 0), x);
}

Test(ops, masks_by_vector) {
    enum { WORDS = 45 };
    rv_rng_key key = {{123, 456}};
    uint64_t first = 0xfffffff0u; /* the counter's carry into its second word is among them */
    static const char *const isa[] = {"avx512", "avx2", "base"};
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isa[s]) != RV_OK) continue;
        for (int words = 1; words <= WORDS; words++)
            for (uint32_t least = 0; least < 65536; least += 13107) { /* 0 to 65535 */
                uint16_t got[WORDS + 1];
                memset(got, 0x5a, sizeof got);
                rv_k()->vmask(key, 0x123456789abu, first, words, least, got);
                for (int i = 0; i < 16 * words; i++)
                    cr_assert_eq(got[i / 16] >> i % 16 & 1, drawn(key, 0x123456789abu, first, i) >= least,
                                 "%s: %d words, least %u, element %d", isa[s], words, least, i);
                cr_assert_eq(got[words], 0x5a5a);
            }
    }
}

Test(maxout, first_of_equals_takes_the_gradient, .init = open_tape, .fini = close_tape) {
    static const rv_real x[] = {1, 2, 5, 5, -3, -4}, dy[] = {10, 20, 30}, want[] = {0, 10, 20, 0, 30, 0};
    rv_tensor *in = rv_leaf(tape, true, 2, (int64_t[]){1, 6});
    memcpy(in->x, x, sizeof x);
    rv_tensor *y = rv_maxout(tape, in, 2);
    cr_assert(y && y->ndim == 2 && y->dim[1] == 3);
    cr_assert(y->x[0] == 2 && y->x[1] == 5 && y->x[2] == -3);
    cr_assert_eq(rv_backward_from(tape, y, dy), RV_OK);
    cr_assert(!memcmp(in->g, want, sizeof want));
    cr_assert_null(rv_maxout(tape, in, 4));
    cr_assert_eq(rv_tape_status(tape), RV_ESHAPE);
    cr_assert(strstr(rv_error_message(), "multiple of 4"), "%s", rv_error_message());
}

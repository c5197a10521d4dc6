/* Attention against plain loops, and the invariances that batching and masking rest on. Compiled for float
 * and for double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/attention.h"
#include "ops/attention_run.h"

#ifdef RV_DOUBLE
static const double tolerance = 1e-12;
#else
static const double tolerance = 2e-5;
#endif

/* Softmax attention and its gradients in double, T x S weights and all. */
static void reference(const shape *z, const run *r, double *y, double *g[OPERANDS]) {
    int64_t w = z->d / z->spec.heads;
    double scale = z->spec.scale == 0 ? 1 / sqrt((double)w) : z->spec.scale, *p = malloc((size_t)z->s * sizeof *p),
           *dp = malloc((size_t)z->s * sizeof *p);
    memset(y, 0, (size_t)count(z, Q) * sizeof *y);
    for (int i = 0; i < OPERANDS; i++) memset(g[i], 0, (size_t)count(z, i) * sizeof *y);
    for (int64_t b = 0; b < z->b; b++)
        for (int64_t h = 0; h < z->spec.heads; h++)
            for (int64_t t = 0; t < z->t; t++) {
                int64_t keys = z->spec.key_lengths ? z->spec.key_lengths[b] : z->s, q0 = (b * z->t + t) * z->d + h * w,
                        k0 = b * z->s * z->d + h * w;
                int64_t allowed = z->spec.causal && t + z->s - z->t + 1 < keys ? t + z->s - z->t + 1 : keys;
                if (!z->spec.mask_after) keys = allowed;
                double max = -INFINITY, sum = 0, delta = 0;
                for (int64_t s = 0; s < keys; s++) {
                    p[s] = 0;
                    for (int64_t d = 0; d < w; d++) p[s] += scale * r->x[Q][q0 + d] * r->x[K][k0 + s * z->d + d];
                    max = fmax(max, p[s]);
                }
                for (int64_t s = 0; s < keys; s++) sum += p[s] = exp(p[s] - max);
                for (int64_t s = 0; s < keys; s++) {
                    p[s] /= sum;
                    dp[s] = 0;
                    if (s >= allowed) continue; /* weight 0, and yet a score that counts in the sum */
                    for (int64_t d = 0; d < w; d++) {
                        y[q0 + d] += p[s] * r->x[V][k0 + s * z->d + d];
                        dp[s] += r->dy[q0 + d] * r->x[V][k0 + s * z->d + d];
                        g[V][k0 + s * z->d + d] += p[s] * r->dy[q0 + d];
                    }
                    delta += p[s] * dp[s];
                }
                for (int64_t s = 0; s < keys; s++)
                    for (int64_t d = 0; d < w; d++) {
                        double ds = scale * p[s] * (dp[s] - delta);
                        g[Q][q0 + d] += ds * r->x[K][k0 + s * z->d + d];
                        g[K][k0 + s * z->d + d] += ds * r->x[Q][q0 + d];
                    }
            }
    free(p), free(dp);
}

static void check_close(const rv_real *got, const double *want, int64_t n, const char *what) {
    double size = 1;
    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs(got[i] - want[i]) <= tolerance * size, "%s[%d]: %.9g, not %.9g", what, (int)i, (double)got[i],
                  want[i]);
}

static const int32_t lengths[] = {70, 0, 131, 1};
static const shape shapes[] = {
    {2, 3, 5, 6, {.heads = 2}},
    {1, 1, 1, 1, {.heads = 1}},
    {2, 24, 24, 64, {.heads = 1, .causal = true}},
    {2, 7, 7, 40, {.heads = 2, .causal = true}},
    {1, 5, 64, 8, {.heads = 1, .causal = true, .scale = 0.4}},
    {1, 9, 4, 8, {.heads = 2, .causal = true}},
    {4, 65, 131, 66, {.heads = 3, .key_lengths = lengths}},
    {4, 131, 131, 48, {.heads = 2, .key_lengths = lengths, .causal = true}},
    {4, 131, 131, 48, {.heads = 2, .key_lengths = lengths, .causal = true, .mask_after = true, .scale = 1}},
    {1, 9, 4, 8, {.heads = 2, .causal = true, .mask_after = true}},
    {1, 200, 130, 160, {.heads = 1}},
};

static void check_shape(const shape *z) {
    run r = make_run(z);
    execute(z, &r, true);
    double *y = malloc((size_t)count(z, Q) * sizeof *y), *g[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) g[i] = malloc((size_t)count(z, i) * sizeof *y);
    reference(z, &r, y, g);
    check_close(r.y, y, count(z, Q), "y");
    for (int i = 0; i < OPERANDS; i++) {
        check_close(r.g[i], g[i], count(z, i), "gradient");
        free(g[i]);
    }
    free(y);
    free_run(&r);
}

Test(attention, equals_plain_loops) {
    static const char *const isas[] = {"base", "avx2", "avx512"};
    for (int i = 0; i < 3; i++)
        if (rv_select_isa(isas[i]) == RV_OK)
            for (size_t c = 0; c < sizeof shapes / sizeof *shapes; c++) check_shape(&shapes[c]);
}

/* q, k and v side by side give the same bits as apart. */
Test(attention, self_equals_apart) {
    shape z = {2, 70, 70, 24, {.heads = 3, .causal = true, .dropout = 0.2}};
    run r = make_run(&z);
    execute(&z, &r, true);
    rv_tape *tape = rv_tape_create();
    rv_tape_set_training(tape, true);
    rv_tensor *qkv = rv_leaf(tape, true, 3, (int64_t[]){z.b, z.t, 3 * z.d});
    for (int64_t row = 0; row < z.b * z.t; row++)
        for (int i = 0; i < OPERANDS; i++)
            memcpy(qkv->x + (3 * row + i) * z.d, r.x[i] + row * z.d, (size_t)z.d * sizeof(rv_real));
    rv_tensor *y = rv_self_attention(tape, qkv, &z.spec);
    cr_assert_eq(rv_backward_from(tape, y, r.dy), RV_OK);
    check_equal(y->x, r.y, count(&z, Q), "y");
    for (int64_t row = 0; row < z.b * z.t; row++)
        for (int i = 0; i < OPERANDS; i++)
            check_equal(qkv->g + (3 * row + i) * z.d, r.g[i] + row * z.d, z.d, "gradient");
    rv_tape_destroy(tape);
    free_run(&r);
}

static void check_threads(bool mask_after) {
    shape z = {4,
               131,
               131,
               48,
               {.heads = 3, .key_lengths = lengths, .causal = true, .mask_after = mask_after, .dropout = 0.1}};
    static const int threads[] = {1, 2, 3, 4, 8};
    run first = make_run(&z);
    rv_set_threads(1);
    execute(&z, &first, true);
    for (size_t c = 1; c < sizeof threads / sizeof *threads; c++) {
        run r = make_run(&z);
        rv_set_threads(threads[c]);
        execute(&z, &r, true);
        check_equal(r.y, first.y, count(&z, Q), "y");
        for (int i = 0; i < OPERANDS; i++) check_equal(r.g[i], first.g[i], count(&z, i), "gradient");
        free_run(&r);
    }
    rv_set_threads(0);
    free_run(&first);
}
Test(attention, same_bits_at_every_thread_count) {
    check_threads(false);
    check_threads(true);
}

/* A row alone and unpadded, and as the second of three that are padded to twice its length with what would poison it.
 */
static void check_row(bool causal, bool mask_after) {
    int32_t mixed_lengths[] = {150, 75, 3};
    shape alone = {1, 75, 75, 20, {.heads = 2, .causal = causal, .mask_after = mask_after}},
          mixed = {3, 150, 150, 20, alone.spec};
    mixed.spec.key_lengths = mixed_lengths;
    run a = make_run(&alone), m = make_run(&mixed);
    int64_t n = 75 * 20, at = 150 * 20;
    for (int i = 0; i < OPERANDS; i++) {
        memcpy(m.x[i] + at, a.x[i], (size_t)n * sizeof(rv_real));
        for (int64_t e = at + n; e < 2 * at; e++) m.x[i][e] = i == Q ? 3 : NAN;
    }
    memcpy(m.dy + at, a.dy, (size_t)n * sizeof(rv_real));
    memset(m.dy + at + n, 0, (size_t)n * sizeof(rv_real));
    execute(&alone, &a, true);
    execute(&mixed, &m, true);
    check_equal(m.y + at, a.y, n, "y");
    for (int i = 0; i < OPERANDS; i++) {
        check_equal(m.g[i] + at, a.g[i], n, "gradient");
        for (int64_t e = at + n; e < 2 * at; e++) cr_assert(m.g[i][e] == 0, "a padded position got a gradient");
    }
    free_run(&a), free_run(&m);
}
Test(attention, padding_and_batch_mates_change_no_bit) {
    check_row(false, false);
    check_row(true, false);
    check_row(true, true);
}

/* dy_i/dx_j for j > i: not a small number but exactly nothing, through k and through v. */
Test(attention, causal_mask_leaks_nothing) {
    shape z = {1, 100, 100, 16, {.heads = 2, .causal = true}};
    static const int64_t probes[] = {0, 5, 63, 64, 70, 98};
    for (size_t c = 0; c < sizeof probes / sizeof *probes; c++) {
        run r = make_run(&z), changed = make_run(&z);
        int64_t cut = (probes[c] + 1) * z.d;
        memset(r.dy, 0, (size_t)count(&z, Q) * sizeof(rv_real));
        for (int64_t d = 0; d < z.d; d++) r.dy[probes[c] * z.d + d] = 1;
        execute(&z, &r, true);
        for (int i = 0; i < OPERANDS; i++)
            for (int64_t e = cut; e < count(&z, i); e++) {
                cr_assert(r.g[i][e] == 0, "position %d has a gradient from output %d", (int)(e / z.d), (int)probes[c]);
                changed.x[i][e] = -changed.x[i][e] * 1000;
            }
        execute(&z, &changed, true);
        check_equal(changed.y, r.y, cut, "y");
        free_run(&r), free_run(&changed);
    }
}

/* Masked after the softmax, the values to come are hidden and the keys to come are not: they are in the sum that all
 * weights are divided by. */
Test(attention, mask_after_the_softmax_leaks_through_the_keys) {
    enum { PROBE = 70 };
    shape z = {1, 100, 100, 16, {.heads = 2, .causal = true, .mask_after = true}};
    run r = make_run(&z);
    int64_t cut = (PROBE + 1) * z.d;
    memset(r.dy, 0, (size_t)count(&z, Q) * sizeof(rv_real));
    for (int64_t d = 0; d < z.d; d++) r.dy[PROBE * z.d + d] = 1;
    execute(&z, &r, true);
    double keys = 0;
    for (int64_t e = cut; e < count(&z, K); e++) {
        cr_assert(r.g[V][e] == 0 && r.g[Q][e] == 0);
        keys += fabs(r.g[K][e]);
    }
    cr_assert_gt(keys, 1e-3);
    free_run(&r);
}

/* Why scores are divided by sqrt(d_k): with queries and keys of unit variance their deviation is sqrt(d_k), and the
 * softmax over 32 keys of 256 numbers all but chooses one. Its greatest weight, on average: 0.91, and 0.17 when scaled.
 * Values that are unit vectors show the weights. */
static double greatest_weight(double scale) {
    enum { ROWS = 400, QUERIES = 4, KEYS = 32, D = 256 };
    rv_tape *tape = rv_tape_create();
    rv_tensor *q = rv_leaf(tape, false, 3, (int64_t[]){ROWS, QUERIES, D}),
              *k = rv_leaf(tape, false, 3, (int64_t[]){ROWS, KEYS, D});
    rv_tensor *v = rv_leaf(tape, false, 3, (int64_t[]){ROWS, KEYS, D});
    rv_rng rng = rv_rng_make(11, "unit variance", 0);
    for (int64_t i = 0; i < rv_numel(q); i++) q->x[i] = (rv_real)rv_rng_normal(&rng);
    for (int64_t i = 0; i < rv_numel(k); i++) k->x[i] = (rv_real)rv_rng_normal(&rng), v->x[i] = i % D == i / D % KEYS;
    rv_tensor *y = rv_attention(tape, q, k, v, &(rv_attention_spec){.heads = 1, .scale = scale});
    double sum = 0;
    for (int64_t row = 0; row < ROWS * QUERIES; row++) {
        double max = 0;
        for (int s = 0; s < KEYS; s++) max = fmax(max, (double)y->x[row * D + s]);
        sum += max;
    }
    rv_tape_destroy(tape);
    return sum / (ROWS * QUERIES);
}
Test(attention, scores_without_a_scale_saturate_the_softmax) {
    cr_assert_float_eq(greatest_weight(1), 0.91, 0.01);
    cr_assert_float_eq(greatest_weight(0), 0.17, 0.01);
}

Test(attention, equal_keys_give_the_mean_of_the_values) {
    shape z = {1, 3, 100, 8, {.heads = 2}};
    run r = make_run(&z);
    for (int64_t e = z.d; e < count(&z, K); e++) r.x[K][e] = r.x[K][e - z.d];
    execute(&z, &r, true);
    for (int64_t d = 0; d < z.d; d++) {
        double mean = 0;
        for (int64_t s = 0; s < z.s; s++) mean += r.x[V][s * z.d + d] / (double)z.s;
        for (int64_t t = 0; t < z.t; t++) cr_assert_float_eq(r.y[t * z.d + d], mean, tolerance);
    }
    free_run(&r);
}

/* Scores of +-1000: no overflow, the largest takes all. */
Test(attention, survives_large_scores) {
    shape z = {1, 2, 80, 4, {.heads = 1, .scale = 1000}};
    run r = make_run(&z);
    execute(&z, &r, true);
    for (int64_t e = 0; e < count(&z, Q); e++) cr_assert(isfinite(r.y[e]) && fabs(r.y[e]) <= 2);
    for (int i = 0; i < OPERANDS; i++)
        for (int64_t e = 0; e < count(&z, i); e++) cr_assert(isfinite(r.g[i][e]));
    free_run(&r);
}

/* With values of 1 a row's output is the kept weight / (1 - p): its mean over rows is 1, and it is 1 without training.
 */
Test(attention, dropout_keeps_the_expectation) {
    shape z = {8, 100, 100, 4, {.heads = 4, .dropout = 0.3}};
    run r = make_run(&z);
    for (int64_t e = 0; e < count(&z, V); e++) r.x[V][e] = 1;
    execute(&z, &r, true);
    double mean = 0;
    int64_t n = count(&z, Q), same = 0;
    for (int64_t e = 0; e < n; e++) mean += r.y[e] / (double)n, same += fabs(r.y[e] - 1) < 1e-6;
    cr_assert_float_eq(mean, 1, 0.01, "mean %g", mean);
    cr_assert_lt(same, n / 100);
    run quiet = make_run(&z);
    memcpy(quiet.x[V], r.x[V], (size_t)count(&z, V) * sizeof(rv_real));
    execute(&z, &quiet, false);
    for (int64_t e = 0; e < n; e++) cr_assert_float_eq(quiet.y[e], 1, tolerance);
    free_run(&r), free_run(&quiet);
}

/* The numbers drawn are those of rv_rng_block at the documented counters. */
Test(attention, dropout_mask_is_a_function_of_the_element) {
    shape z = {2, 70, 67, 4, {.heads = 2, .dropout = 0.4}};
    run r = make_run(&z);
    int64_t w = z.d / z.spec.heads, stride = (z.s + 3) / 4;
    for (int64_t e = 0; e < count(&z, Q); e++) r.x[Q][e] = 0; /* uniform weights */
    execute(&z, &r, true);
    rv_tape *tape = rv_tape_create();
    rv_rng rng = rv_tape_rng(tape);
    rv_tape_destroy(tape);
    for (int64_t b = 0; b < z.b; b++)
        for (int64_t h = 0; h < z.spec.heads; h++)
            for (int64_t t = 0; t < z.t; t++) {
                double want = 0;
                for (int64_t s = 0; s < z.s; s++) {
                    uint32_t u[4];
                    rv_rng_block(rng.key, rng.step, (uint64_t)(((b * z.spec.heads + h) * z.t + t) * stride + s / 4), u);
                    if (u[s % 4] >= (uint32_t)(0.4 * 0x1p32))
                        want += r.x[V][(b * z.s + s) * z.d + h * w] / 0.6 / (double)z.s;
                }
                cr_assert_float_eq(r.y[(b * z.t + t) * z.d + h * w], want, tolerance);
            }
    free_run(&r);
}

#ifdef RV_DOUBLE
/* Central differences in all samples of ops.def. */
static double sample_loss(const rv_op *op, int k, rv_tape *tape, rv_tensor **y) {
    rv_tape_reset(tape);
    rv_tape_seed(tape, 3, 1);
    *y = op->sample(tape, k);
    if (!*y) return 0;
    double loss = 0;
    for (int64_t i = 0, n = rv_numel(*y); i < n; i++) loss += cos((double)i) * (double)(*y)->x[i];
    return loss;
}

Test(attention, gradients_of_the_samples) {
    const rv_op *ops[] = {&rv__op_attention, &rv__op_self_attention, &rv__op_cross_attention};
    rv_tape *tape = rv_tape_create();
    rv_tensor *y;
    for (int o = 0; o < 3; o++)
        for (int k = 0; sample_loss(ops[o], k, tape, &y), y; k++) {
            int64_t n = rv_numel(y);
            double *dy = malloc((size_t)n * sizeof *dy);
            for (int64_t i = 0; i < n; i++) dy[i] = cos((double)i);
            cr_assert_eq(rv_backward_from(tape, y, dy), RV_OK);
            free(dy);
            int leaves = rv_sample_count(tape);
            double *grads[OPERANDS];
            int64_t sizes[OPERANDS];
            for (int l = 0; l < leaves; l++) {
                rv_tensor *leaf = rv_sample_get(tape, l);
                sizes[l] = rv_numel(leaf);
                grads[l] = copy(leaf->g, sizes[l]);
            }
            for (int l = 0; l < leaves; l++) {
                for (int64_t e = 0; e < sizes[l]; e += 1 + sizes[l] / 50) {
                    double eps = 1e-5, up, down;
                    rv_sample_perturb(tape, l, e, eps);
                    up = sample_loss(ops[o], k, tape, &y);
                    rv_sample_perturb(tape, l, e, -eps);
                    down = sample_loss(ops[o], k, tape, &y);
                    rv_sample_perturb(tape, -1, 0, 0);
                    double numeric = (up - down) / (2 * eps),
                           error = fabs(numeric - grads[l][e]) / fmax(1, fabs(numeric));
                    cr_assert(error < 1e-8, "%s sample %d leaf %d element %d: %g, not %g", ops[o]->name, k, l, (int)e,
                              grads[l][e], numeric);
                }
                free(grads[l]);
            }
        }
    rv_tape_destroy(tape);
}
#endif

Test(attention, memory_grows_with_T_not_with_T_x_S) {
    rv_tape *tape = rv_tape_create();
    rv_tensor *qkv = rv_leaf(tape, true, 3, (int64_t[]){1, 2048, 3 * 16});
    memset(qkv->x, 0, (size_t)rv_numel(qkv) * sizeof(rv_real));
    rv_tensor *y = rv_self_attention(tape, qkv, &(rv_attention_spec){.heads = 2, .causal = true});
    cr_assert_eq(rv_backward_from(tape, y, y->x), RV_OK);
    size_t weights = 2 * 2048 * 2048 * sizeof(rv_real);
    cr_assert_lt(rv_tape_step_bytes(tape) + rv_tape_grad_bytes(tape), weights / 4);
    rv_tape_destroy(tape);
}

Test(attention, mistakes_are_named) {
    rv_tape *tape = rv_tape_create();
    rv_tensor *a = rv_leaf(tape, true, 3, (int64_t[]){1, 2, 6});
    cr_assert_null(rv_attention(tape, a, a, a, &(rv_attention_spec){.heads = 4}));
    cr_assert_eq(rv_tape_status(tape), RV_ESHAPE);
    cr_assert(strstr(rv_error_message(), "4 heads"), "%s", rv_error_message());
    rv_tape_reset(tape);
    a = rv_leaf(tape, true, 3, (int64_t[]){1, 2, 6});
    cr_assert_null(
        rv_attention(tape, a, a, rv_leaf(tape, true, 3, (int64_t[]){1, 3, 6}), &(rv_attention_spec){.heads = 1}));
    cr_assert(rv_tape_status(tape) == RV_ESHAPE && strstr(rv_error_message(), "(1, 3, 6)"), "%s", rv_error_message());
    rv_tape_reset(tape);
    a = rv_leaf(tape, true, 3, (int64_t[]){1, 2, 6});
    cr_assert_null(rv_attention(tape, a, a, a, &(rv_attention_spec){.heads = 1, .key_lengths = (int32_t[]){3}}));
    cr_assert_eq(rv_tape_status(tape), RV_ESHAPE);
    rv_tape_destroy(tape);
}

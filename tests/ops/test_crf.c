/* rv_crf against PyTorch's values (tests/reference/make_crf.py), all paths one by one, and gold labels that cannot be.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "ops/ops.h"
#include "support/reference.h"

static const double close = sizeof(rv_real) == 8 ? 1e-12 : 2e-6;

/* ---- PyTorch */

static const char *const leaves[] = {"emissions", "transition", "start", "stop"};

static double *stored(const char *name, const char *what, int *ndim, int64_t *dims) {
    char path[128];
    snprintf(path, sizeof path, "/%s/%s", name, what);
    return rv_ref_has("crf.h5", path) ? rv_ref_read("crf.h5", path, ndim, dims) : NULL;
}

static int32_t *stored_ids(const char *name, const char *what) {
    int64_t dims[8], n = 1;
    int ndim;
    double *x = stored(name, what, &ndim, dims);
    for (int i = 0; i < ndim; i++) n *= dims[i];
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)x[i];
    free(x);
    return ids;
}

/* NULL where the case has no mask. */
static uint8_t *stored_mask(const char *name, const char *what) {
    int64_t dims[8], n = 1;
    int ndim;
    double *x = stored(name, what, &ndim, dims);
    if (!x) return NULL;
    for (int i = 0; i < ndim; i++) n *= dims[i];
    uint8_t *mask = malloc((size_t)n);
    for (int64_t i = 0; i < n; i++) mask[i] = x[i] != 0;
    free(x);
    return mask;
}

static rv_tensor *stored_leaf(rv_tape *tape, const char *name, const char *what) {
    int64_t dims[8];
    int ndim;
    double *x = stored(name, what, &ndim, dims);
    rv_tensor *t = rv_leaf(tape, true, ndim, dims);
    for (int64_t i = 0; i < rv_numel(t); i++) t->x[i] = (rv_real)x[i];
    free(x);
    return t;
}

static void expect_best(rv_tape *tape, const rv_crf_spec *s, const char *name) {
    rv_chain c;
    cr_assert(rv_crf_chain(tape, s, &c));
    int32_t *want = stored_ids(name, "best"), *got = malloc((size_t)(c.B * c.T) * sizeof *got);
    rv_chain_best(&c, rv_tape_alloc(tape, rv_chain_room(&c)), got, NULL);
    cr_assert_arr_eq(got, want, (size_t)(c.B * c.T) * sizeof *got);
    free(want);
    free(got);
}

static void expect_as_torch(const char *name) {
    rv_tape *tape = rv_tape_create();
    rv_tensor *x[4];
    for (int i = 0; i < 4; i++) x[i] = stored_leaf(tape, name, leaves[i]);
    int32_t *tags = stored_ids(name, "tags"), *lengths = stored_ids(name, "lengths");
    uint8_t *masks[] = {stored_mask(name, "allowed"), stored_mask(name, "allowed_start"),
                        stored_mask(name, "allowed_stop")};
    const rv_crf_spec s = {x[0], x[1], x[2], x[3], tags, lengths, masks[0], masks[1], masks[2]};
    rv_tensor *loss = rv_crf(tape, &s);
    cr_assert_not_null(loss, "%s", rv_error_message());
    double *want = stored(name, "loss", NULL, NULL);
    cr_assert_float_eq((double)loss->x[0], *want, close * (1 + fabs(*want)), "%s: loss %.12g, PyTorch %.12g", name,
                       (double)loss->x[0], *want);
    free(want);
    expect_best(tape, &s, name);
    cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
    for (int i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "grad/%s", leaves[i]);
        want = stored(name, path, NULL, NULL);
        for (int64_t j = 0; j < rv_numel(x[i]); j++) {
            const double got = (double)x[i]->g[j];
            cr_assert_float_eq(got, want[j], close, "%s: gradient of %s[%d] %.12g, PyTorch %.12g", name, leaves[i],
                               (int)j, got, want[j]);
            if (i > 0 && masks[i - 1] && !masks[i - 1][j]) cr_assert_eq(got, 0);
        }
        free(want);
    }
    for (int i = 0; i < 3; i++) free(masks[i]);
    free(tags);
    free(lengths);
    rv_tape_destroy(tape);
}

Test(crf, as_torch) { expect_as_torch("plain"); }
Test(crf, as_torch_with_a_mask) { expect_as_torch("masked"); }
Test(crf, as_torch_with_wide_scores) { expect_as_torch("sharp"); }

/* ---- all paths */

enum { B = 2, T = 4, K = 3, PATHS = 81 };
static const int32_t lengths[B] = {4, 3}, tags[B * T] = {0, 1, 2, 2, 2, 0, 1, -1};
static uint8_t allowed[K * K] = {1, 1, 1, 1, 1, 1, 1, 0, 1}, ends[K] = {1, 1, 1};

static rv_crf_spec random_spec(rv_tape *tape) {
    rv_rng rng = rv_rng_make(4, "crf", 0);
    rv_crf_spec s = {rv_leaf(tape, true, 3, (int64_t[]){B, T, K}),
                     rv_leaf(tape, true, 2, (int64_t[]){K, K}),
                     rv_leaf(tape, true, 1, (int64_t[]){K}),
                     rv_leaf(tape, true, 1, (int64_t[]){K}),
                     tags,
                     lengths,
                     allowed,
                     ends,
                     ends};
    rv_tensor *all[] = {s.emissions, s.transition, s.start, s.stop};
    for (int i = 0; i < 4; i++)
        for (int64_t j = 0; j < rv_numel(all[i]); j++) all[i]->x[j] = (rv_real)(4 * rv_rng_uniform(&rng) - 2);
    return s;
}

/* p(path) of row b, unnormalised; 0 of one that is banned. */
static double weight_of(const rv_crf_spec *s, int b, const int32_t *y, int L) {
    double sum = (double)s->start->x[y[0]] + (double)s->stop->x[y[L - 1]];
    for (int t = 0; t < L; t++) {
        sum += (double)s->emissions->x[(b * T + t) * K + y[t]];
        if (t && !allowed[y[t - 1] * K + y[t]]) return 0;
        if (t) sum += (double)s->transition->x[y[t - 1] * K + y[t]];
    }
    return exp(sum);
}

Test(crf, gradient_is_what_all_paths_expect_less_gold) {
    rv_tape *tape = rv_tape_create();
    rv_crf_spec s = random_spec(tape);
    rv_tensor *loss = rv_crf(tape, &s);
    cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
    double emission[B * T * K] = {0}, step[K * K] = {0}, want = 0;
    for (int b = 0; b < B; b++) {
        const int L = lengths[b];
        double z = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < PATHS; i++) {
                int32_t y[T];
                for (int t = 0, rest = i; t < T; t++, rest /= K) y[t] = rest % K;
                if (L < T && y[T - 1]) continue; /* each of a shorter row once */
                const double w = weight_of(&s, b, y, L);
                if (!pass) z += w;
                for (int t = 0; pass && t < L; t++) {
                    emission[(b * T + t) * K + y[t]] += w / z;
                    if (t) step[y[t - 1] * K + y[t]] += w / z;
                }
            }
        want += log(z) - log(weight_of(&s, b, tags + b * T, L));
        for (int t = 0; t < L; t++) emission[(b * T + t) * K + tags[b * T + t]] -= 1;
        for (int t = 1; t < L; t++) step[tags[b * T + t - 1] * K + tags[b * T + t]] -= 1;
    }
    cr_assert_float_eq((double)loss->x[0], want / 7, close);
    for (int i = 0; i < B * T * K; i++) cr_assert_float_eq((double)s.emissions->g[i], emission[i] / 7, close);
    for (int i = 0; i < K * K; i++) cr_assert_float_eq((double)s.transition->g[i], step[i] / 7, close);
    for (int k = 0; k < K; k++) {
        cr_assert_float_eq((double)s.start->g[k], (emission[k] + emission[T * K + k]) / 7, close);
        cr_assert_float_eq((double)s.stop->g[k], (emission[3 * K + k] + emission[(T + 2) * K + k]) / 7, close);
    }
    cr_assert_eq(s.transition->g[7], 0);
    rv_tape_destroy(tape);
}

Test(crf, the_loss_is_the_same_without_gradients) {
    rv_tape *tape = rv_tape_create();
    rv_crf_spec s = random_spec(tape);
    const rv_real loss = rv_crf(tape, &s)->x[0];
    rv_tape_no_grad(tape, true);
    cr_assert_eq(rv_crf(tape, &s)->x[0], loss);
    rv_tape_destroy(tape);
}

/* ---- what cannot be */

Test(crf, refusals) {
    static const struct {
        int32_t tag; /* of the second row at position 2 */
        uint8_t end; /* may a path end with 1? */
        int32_t length;
        rv_status code;
        const char *message;
    } cases[] = {
        {3, 1, 3, RV_EDATA, "gold label 3 of row 1 at position 2: there is no such label"},
        {-1, 1, 3, RV_EDATA, "gold label -1 of row 1 at position 2: there is no such label"},
        {1, 0, 3, RV_EDATA, "gold label 1 of row 1 at position 2: no path may end with it"},
        {1, 1, 0, RV_EDATA, "row 1 has 0 positions"},
        {1, 1, 5, RV_EDATA, "row 1 has 5 positions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_tape *tape = rv_tape_create();
        rv_crf_spec s = random_spec(tape);
        int32_t bad[B * T], bad_lengths[B] = {4, cases[i].length};
        const uint8_t bad_ends[K] = {1, cases[i].end, 1};
        memcpy(bad, tags, sizeof bad);
        bad[T + 2] = cases[i].tag;
        s.tags = bad;
        s.lengths = bad_lengths;
        s.allowed_stop = bad_ends;
        cr_assert_null(rv_crf(tape, &s));
        cr_assert_eq(rv_tape_status(tape), cases[i].code);
        cr_assert_not_null(strstr(rv_error_message(), cases[i].message), "%s", rv_error_message());
        rv_tape_destroy(tape);
    }
}

Test(crf, a_banned_step_of_gold_and_shapes_are_refused) {
    rv_tape *tape = rv_tape_create();
    rv_crf_spec s = random_spec(tape);
    const int32_t bad[B * T] = {0, 2, 1, 2, 2, 0, 1, -1};
    s.tags = bad;
    cr_assert_null(rv_crf(tape, &s));
    cr_assert_eq(rv_tape_status(tape), RV_EDATA);
    cr_assert_not_null(strstr(rv_error_message(), "label 1 of row 0 at position 2: it may not follow"), "%s",
                       rv_error_message());
    rv_tape_reset(tape);
    s = random_spec(tape);
    s.stop = rv_leaf(tape, true, 1, (int64_t[]){K + 1});
    cr_assert_null(rv_crf(tape, &s));
    cr_assert_eq(rv_tape_status(tape), RV_ESHAPE);
    rv_tape_destroy(tape);
}

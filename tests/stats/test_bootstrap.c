/* Bootstrap intervals: their coverage on data whose truth is known, Student's intervals where those are exact, and
 * tables of sample sizes. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "ravel.h"

static double mean_of(const double s[RV_SUMS]) { return s[0] / s[1]; }
static const rv_corpus_metric mean_metric = {mean_of, -INFINITY, INFINITY};

/* x[s][i] = mean + by_seed a_s + by_example b_i + noise e_si, all standard normal. */
static double *make(int seeds, int64_t n, double mean, double by_seed, double by_example, double noise,
                    uint64_t trial) {
    double *x = calloc((size_t)(seeds * n) * RV_SUMS, sizeof *x);
    rv_rng a = rv_rng_make(trial, "seeds", 0), b = rv_rng_make(trial, "examples", 0),
           e = rv_rng_make(trial, "noise", 0);
    double *example = calloc((size_t)n, sizeof *example);
    for (int64_t i = 0; i < n; i++) example[i] = by_example * rv_rng_normal(&b);
    for (int s = 0; s < seeds; s++) {
        double shift = mean + by_seed * rv_rng_normal(&a);
        for (int64_t i = 0; i < n; i++) {
            double *sums = x + (s * n + i) * RV_SUMS;
            sums[0] = shift + example[i] + noise * rv_rng_normal(&e);
            sums[1] = 1;
        }
    }
    free(example);
    return x;
}

/* Share of trials whose interval holds the truth, 0. */
static double coverage(int seeds, int64_t n, double by_seed, double by_example, double noise, int trials) {
    int held = 0;
    for (int t = 0; t < trials; t++) {
        double *x = make(seeds, n, 0, by_seed, by_example, noise, (uint64_t)t);
        rv_interval out;
        cr_assert_eq(rv_bootstrap(seeds, n, x, &mean_metric, 0.95, 300, NULL, &out), RV_OK);
        cr_assert(out.low <= out.value && out.value <= out.high);
        held += out.low <= 0 && out.high >= 0;
        free(x);
    }
    return (double)held / trials;
}

Test(bootstrap, covers_the_truth_as_often_as_it_says) {
    static const struct {
        int seeds;
        int64_t n;
        double by_seed, by_example, noise, least, most;
    } rows[] = {
        {1, 60, 0, 1, 0, 0.91, 0.975},     /* one seed: examples alone */
        {5, 40, 1, 0.5, 0.5, 0.90, 0.985}, /* seeds decide */
        {3, 40, 1, 0.5, 0.5, 0.92, 0.99},   {2, 40, 1, 0.5, 0.5, 0.92, 1},
        {10, 40, 1, 0.5, 0.5, 0.915, 0.98}, {5, 40, 0.05, 1, 0.3, 0.90, 0.985}, /* examples decide */
        {5, 40, 0.2, 1, 0.3, 0.90, 0.985},                                      /* both */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double c = coverage(rows[i].seeds, rows[i].n, rows[i].by_seed, rows[i].by_example, rows[i].noise, 400);
        cr_expect(c >= rows[i].least && c <= rows[i].most, "row %d: %d seeds, %lld examples: %.3f", (int)i,
                  rows[i].seeds, (long long)rows[i].n, c);
        if (getenv("RAVEL_SHOW")) fprintf(stderr, "row %d: %d seeds: %.3f\n", (int)i, rows[i].seeds, c);
    }
}

/* mean +- t s / sqrt(n) */
static double student_half(int n, const double *d) {
    double mean = 0, sum = 0;
    for (int i = 0; i < n; i++) mean += d[i] / n;
    for (int i = 0; i < n; i++) sum += (d[i] - mean) * (d[i] - mean);
    return rv_student_quantile(0.975, n - 1) * sqrt(sum / (n - 1) / n);
}

Test(bootstrap, is_the_paired_t_interval_where_that_is_exact) {
    /* One seed, many examples: of differences of examples. Many seeds, no noise of examples: of differences of seeds.
     */
    for (uint64_t trial = 0; trial < 5; trial++) {
        enum { N = 400 };
        double *a = make(1, N, 0.3, 0, 1, 0.2, trial), *b = make(1, N, 0, 0, 1, 0.2, trial + 100), d[N], p;
        for (int i = 0; i < N; i++) d[i] = a[i * RV_SUMS] - b[i * RV_SUMS];
        rv_interval out;
        cr_assert_eq(rv_bootstrap_pair(1, 1, N, a, b, &mean_metric, 0.95, 4000, &out, &p), RV_OK);
        double half = student_half(N, d);
        cr_expect(fabs((out.high - out.low) / 2 / half - 1) < 0.06, "%g and %g", (out.high - out.low) / 2, half);
        cr_expect(fabs(out.high + out.low - 2 * out.value) < 0.2 * half);
        free(a);
        free(b);

        enum { SEEDS = 30 };
        a = make(SEEDS, 3, 0.3, 1, 0, 0, trial), b = make(SEEDS, 3, 0, 0.7, 0, 0, trial + 100);
        for (int s = 0; s < SEEDS; s++) d[s] = a[s * 3 * RV_SUMS] - b[s * 3 * RV_SUMS];
        cr_assert_eq(rv_bootstrap_pair(SEEDS, SEEDS, 3, a, b, &mean_metric, 0.95, 4000, &out, &p), RV_OK);
        half = student_half(SEEDS, d);
        cr_expect(fabs((out.high - out.low) / 2 / half - 1) < 0.1, "%g and %g", (out.high - out.low) / 2, half);
        free(a);
        free(b);
    }
}

Test(bootstrap, pairs_examples) {
    /* The same hard and easy examples for both: the difference is known far better than either value. */
    double *a = make(3, 200, 0.1, 0.001, 1, 0.01, 7), *b = make(3, 200, 0, 0.001, 1, 0.01, 7), p, each[3];
    rv_interval one, difference;
    cr_assert_eq(rv_bootstrap(3, 200, a, &mean_metric, 0.95, 1000, each, &one), RV_OK);
    cr_assert_eq(rv_bootstrap_pair(3, 3, 200, a, b, &mean_metric, 0.95, 1000, &difference, &p), RV_OK);
    cr_assert(fabs((each[0] + each[1] + each[2]) / 3 - one.value) < 1e-12);
    cr_assert(difference.high - difference.low < 0.05 * (one.high - one.low));
    cr_assert(difference.low > 0 && p < 0.05);
    /* And with other numbers of seeds. */
    cr_assert_eq(rv_bootstrap_pair(3, 2, 200, a, b, &mean_metric, 0.95, 1000, &difference, &p), RV_OK);
    cr_assert(fabs(difference.value - 0.1) < 0.01 && difference.low < 0.1 && difference.high > 0.1);
    free(a);
    free(b);
}

Test(bootstrap, p_says_what_the_interval_says) {
    for (uint64_t trial = 0; trial < 60; trial++) {
        double *a = make(5, 30, 0.02 * (double)trial, 0.3, 1, 0.3, trial),
               *b = make(5, 30, 0, 0.3, 1, 0.3, trial + 500), p;
        rv_interval out;
        cr_assert_eq(rv_bootstrap_pair(5, 5, 30, a, b, &mean_metric, 0.9, 500, &out, &p), RV_OK);
        cr_assert(p > 0 && p <= 1);
        cr_assert_eq(p<0.1, out.low> 0 || out.high < 0, "p %g, [%g, %g]", p, out.low, out.high);
        free(a);
        free(b);
    }
}

Test(bootstrap, no_difference_is_found_at_the_rate_of_the_level) {
    int found = 0;
    for (uint64_t trial = 0; trial < 400; trial++) {
        double *a = make(3, 40, 0, 0.5, 1, 0.3, trial), *b = make(3, 40, 0, 0.5, 1, 0.3, trial + 1000), p;
        rv_interval out;
        cr_assert_eq(rv_bootstrap_pair(3, 3, 40, a, b, &mean_metric, 0.95, 300, &out, &p), RV_OK);
        found += p < 0.05;
        free(a);
        free(b);
    }
    cr_expect(found <= 400 * 0.10, "%d of 400", found);
    if (getenv("RAVEL_SHOW")) fprintf(stderr, "false alarms %d of 400\n", found);
}

Test(bootstrap, edges) {
    double *a = make(2, 10, 0.5, 0, 0, 0, 1), p;
    rv_interval out, again;
    cr_assert_eq(rv_bootstrap_pair(2, 2, 10, a, a, &mean_metric, 0.95, 200, &out, &p), RV_OK);
    cr_assert(out.value == 0 && out.low == 0 && out.high == 0 && p == 1);
    cr_assert_eq(rv_bootstrap(2, 10, a, &mean_metric, 0.95, 200, NULL, &out), RV_OK);
    cr_assert(out.value == 0.5 && out.low == 0.5 && out.high == 0.5);
    for (int i = 0; i < 20; i++) a[i * RV_SUMS + 1] = 0; /* nothing was predicted */
    cr_assert_eq(rv_bootstrap(2, 10, a, &mean_metric, 0.95, 200, NULL, &out), RV_OK);
    cr_assert(!isfinite(out.low) && !isfinite(out.high));
    free(a);
    a = make(3, 50, 0, 1, 1, 1, 9);
    cr_assert_eq(rv_bootstrap(3, 50, a, &mean_metric, 0.95, 500, NULL, &out), RV_OK);
    cr_assert_eq(rv_bootstrap(3, 50, a, &mean_metric, 0.95, 500, NULL, &again), RV_OK);
    cr_assert(out.low == again.low && out.high == again.high);
    cr_assert_eq(rv_bootstrap(3, 50, a, &mean_metric, 0.8, 500, NULL, &again), RV_OK);
    cr_assert(again.low > out.low && again.high < out.high);
    free(a);
}

/* Differences with this mean over their standard deviation. */
static int64_t needed(double effect) {
    const double d[] = {effect - sqrt(0.5), effect + sqrt(0.5)};
    return rv_seeds_needed(2, d, 0.95);
}

Test(bootstrap, seeds_needed) {
    /* Paired t test, two-sided 0.05, power 0.8: Cohen (1988), and any power calculation. */
    cr_expect_eq(needed(0.2), 199);
    cr_expect_eq(needed(0.5), 34);
    cr_expect_eq(needed(0.8), 15);
    cr_expect_eq(needed(1), 10);
    cr_expect_eq(needed(-1), 10);
    cr_expect(needed(0.001) > 7500000 && needed(0.001) < 8000000, "%lld", (long long)needed(0.001));
    cr_expect_eq(needed(0), -1);
    cr_expect_eq(rv_seeds_needed(1, (double[]){1}, 0.95), -1);
    /* As good as no difference: sd / mean = 2 sqrt(2) 1000.5, and 7.86 times its square. It does not count up to there.
     */
    const double many = 8 * 1000.5 * 1000.5 * 7.86;
    cr_expect_float_eq((double)rv_seeds_needed(2, (double[]){1001, -1000}, 0.95) / many, 1, 0.005);
    cr_expect_eq(rv_seeds_needed(3, (double[]){1, 1, 1}, 0.95), 2);
}

Test(bootstrap, is_fast) {
    double *a = make(5, 1000, 0.1, 0.1, 1, 0.1, 1), *b = make(5, 1000, 0, 0.1, 1, 0.1, 2), p;
    rv_interval out;
    clock_t t0 = clock();
    for (int i = 0; i < 5; i++)
        cr_assert_eq(rv_bootstrap_pair(5, 5, 1000, a, b, &mean_metric, 0.95, 1000, &out, &p), RV_OK);
    double seconds = (double)(clock() - t0) / CLOCKS_PER_SEC / 5;
    if (getenv("RAVEL_SHOW")) fprintf(stderr, "a pair: %.3f s\n", seconds);
    cr_expect(seconds < 2, "%.3f s", seconds);
    free(a);
    free(b);
}

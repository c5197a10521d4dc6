/* Lines, Student's t, crossings and Amdahl's share: known answers, and intervals that cover as often as they say. */
#include <criterion/criterion.h>
#include <math.h>

#include "base/rng.h"
#include "stats/stats.h"

static void near(double got, double want, double tolerance) {
    cr_expect(fabs(got - want) <= tolerance, "%.10g instead of %.10g", got, want);
}

Test(stats_fit, student) {
    static const struct {
        double p;
        int degrees;
        double t;
    } known[] = {
        /* printed tables */
        {0.975, 1, 12.70620474}, {0.975, 2, 4.30265273},  {0.975, 3, 3.18244631},    {0.975, 5, 2.57058184},
        {0.975, 10, 2.22813885}, {0.975, 30, 2.04227246}, {0.95, 4, 2.13184679},     {0.9, 7, 1.41492393},
        {0.995, 20, 2.84533971}, {0.8, 9, 0.88340386},    {0.975, 1000, 1.96233908}, {0.5, 3, 0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        near(rv_student_quantile(known[i].p, known[i].degrees), known[i].t, 1e-7);
        near(rv_student_quantile(1 - known[i].p, known[i].degrees), -known[i].t, 1e-7);
    }
    cr_expect(isnan(rv_student_quantile(1, 3)) && isnan(rv_student_quantile(0.5, 0)));
}

Test(stats_fit, quantiles) {
    double x[] = {3, 1, 2, 5, 4}, one[] = {7}, open[] = {1, INFINITY, INFINITY};
    near(rv_quantile(5, x, 0.5), 3, 0);
    near(rv_quantile(5, x, 0.9), 4.6, 1e-12);
    near(rv_quantile(1, one, 0.3), 7, 0);
    cr_expect(isinf(rv_quantile(3, open, 0.9)) && isnan(rv_quantile(0, x, 0.5)));
}

Test(stats_fit, lines) {
    const double x[] = {1, 2, 3, 4, 5}, exact[] = {3, 5, 7, 9, 11}, rough[] = {1, 3, 2, 5, 4}, same[] = {2, 2, 2};
    double a;
    rv_interval b;
    rv_line_fit(5, x, exact, 0.95, &a, &b);
    near(a, 1, 1e-12), near(b.value, 2, 1e-12), near(b.low, 2, 1e-12), near(b.high, 2, 1e-12);
    /* slope 0.8, residual variance 3.6 / 3 over Sxx = 10: 0.8 +- 3.18245 x 0.34641 */
    rv_line_fit(5, x, rough, 0.95, &a, &b);
    near(a, 0.6, 1e-12), near(b.value, 0.8, 1e-12), near(b.low, 0.8 - 3.18244631 * sqrt(0.12), 1e-7),
        near(b.high, 0.8 + 3.18244631 * sqrt(0.12), 1e-7);
    rv_line_fit(2, x, exact, 0.95, &a, &b);
    near(b.value, 2, 1e-12);
    cr_expect(isnan(b.low) && isnan(b.high));
    rv_line_fit(3, same, x, 0.95, &a, &b);
    cr_expect(isnan(b.value));
}

Test(stats_fit, intervals_of_lines_cover) {
    enum { TIMES = 2000, N = 6 };
    int covered = 0;
    for (int i = 0; i < TIMES; i++) {
        rv_rng rng = rv_rng_make(3, "line", (uint64_t)i);
        double x[N], y[N], a;
        rv_interval b;
        for (int k = 0; k < N; k++) x[k] = k, y[k] = 1 + 0.7 * k + 0.3 * rv_rng_normal(&rng);
        rv_line_fit(N, x, y, 0.9, &a, &b);
        covered += b.low <= 0.7 && 0.7 <= b.high;
    }
    near(covered / (double)TIMES, 0.9, 0.025); /* 4 deviations */
}

/* ---- crossings */

enum { LENGTHS = 6, REPEATS = 9 };
static const double length[LENGTHS] = {16, 32, 64, 128, 256, 512};

/* `repeats` of each value, with noise. */
static void measured(const double value[LENGTHS], double noise, uint64_t seed, double out[LENGTHS * REPEATS]) {
    rv_rng rng = rv_rng_make(seed, "measured", 0);
    for (int i = 0; i < LENGTHS * REPEATS; i++) out[i] = value[i / REPEATS] * exp(noise * rv_rng_normal(&rng));
}

static rv_interval cross(const double a[LENGTHS], const double b[LENGTHS], double noise, uint64_t seed, bool *a_below) {
    double x[LENGTHS * REPEATS], y[LENGTHS * REPEATS];
    rv_interval at;
    measured(a, noise, 2 * seed, x);
    measured(b, noise, 2 * seed + 1, y);
    cr_assert_eq(rv_crossing(LENGTHS, length, REPEATS, x, y, 0.95, 400, &at, a_below), RV_OK);
    return at;
}

static void powers(double scale, double exponent, double out[LENGTHS]) {
    for (int i = 0; i < LENGTHS; i++) out[i] = scale * pow(length[i], exponent);
}

Test(stats_fit, which_costs_less) {
    int sign[4];
    const double ratio[4 * 4] = {-0.1, -0.11, -0.1, -0.09, 0.1, -0.1, 0.12, -0.11,
                                 0.3,  0.31,  NAN,  0.3,   0.5, NAN,  NAN,  NAN};
    rv_cost_signs(4, 4, ratio, 0.01, sign);
    cr_expect(sign[0] == -1 && sign[1] == 0 && sign[2] == 1 && sign[3] == 0, "%d %d %d %d", sign[0], sign[1], sign[2],
              sign[3]);
}

/* Two measurements of one program: its processes differ, some by far, and yet hardly a comparison may tell anything. */
Test(stats_fit, a_program_does_not_beat_itself) {
    enum { TIMES = 2000, TESTS = 6 * 4 * 2, ROUNDS = 5 };
    int tell = 0;
    for (int i = 0; i < TIMES; i++) {
        rv_rng rng = rv_rng_make(7, "itself", (uint64_t)i);
        double ratio[TESTS * ROUNDS];
        int sign[TESTS], any = 0;
        for (int k = 0; k < TESTS * ROUNDS; k++) {
            const double burst = rv_rng_uniform(&rng) < 0.1 ? 0.5 * rv_rng_uniform(&rng) : 0;
            ratio[k] = 0.03 * rv_rng_normal(&rng) + (rv_rng_uniform(&rng) < 0.5 ? burst : -burst);
        }
        rv_cost_signs(TESTS, ROUNDS, ratio, 0.05 / TESTS, sign);
        for (int k = 0; k < TESTS; k++) any |= sign[k];
        tell += any != 0;
    }
    cr_expect(tell <= 0.06 * TIMES, "%d of %d tell something", tell, TIMES);
}

Test(stats_fit, crossings) {
    double line[LENGTHS], square[LENGTHS], above[LENGTHS];
    bool a_below;
    powers(100, 1, line), powers(1, 2, square), powers(101, 1, above);
    rv_interval at = cross(square, line, 0, 1, &a_below);
    near(at.value, 100, 1e-9), near(at.low, 100, 1e-9), near(at.high, 100, 1e-9);
    cr_expect(a_below);
    at = cross(line, square, 0, 1, &a_below);
    near(at.value, 100, 1e-9);
    cr_expect_not(a_below);
    at = cross(line, above, 0, 1, &a_below);
    cr_expect(isnan(at.value) && isnan(at.low) && isnan(at.high) && a_below);
    at = cross(above, line, 0, 1, &a_below);
    cr_expect(isnan(at.value) && !a_below);
    /* touching is not crossing; equal at one length and the other way round behind it is */
    double touch[LENGTHS] = {2, 2, 1, 2, 2, 2}, flat[LENGTHS] = {1, 1, 1, 1, 1, 1},
           through[LENGTHS] = {0.5, 0.5, 1, 2, 2, 2};
    at = cross(touch, flat, 0, 1, &a_below);
    cr_expect(isnan(at.value) && !a_below);
    at = cross(through, flat, 0, 1, &a_below);
    near(at.value, 64, 1e-9);
    cr_expect(a_below);
    /* several: the slight dip at 32 does not count against the long way below 1 */
    double dips[LENGTHS] = {2, 0.99, 2, 0.5, 0.5, 0.5};
    at = cross(dips, flat, 0, 1, &a_below);
    near(at.value, 64 * sqrt(2), 1e-9);
    cr_expect_not(a_below);
}

Test(stats_fit, crossings_that_are_uncertain) {
    double line[LENGTHS], nearly[LENGTHS];
    bool a_below;
    /* the curves meet at 480, next to the last length */
    powers(480, 1, line), powers(1, 2, nearly);
    rv_interval at = cross(nearly, line, 0.1, 5, &a_below);
    cr_expect(a_below && at.low > 256 && at.low < 512 && isnan(at.high), "%g to %g", at.low, at.high);
    powers(18, 1, line);
    at = cross(nearly, line, 0.2, 2, &a_below);
    cr_expect(isnan(at.low) && at.high < 40, "%g to %g", at.low, at.high);
}

Test(stats_fit, intervals_of_crossings_cover) {
    enum { TIMES = 300 };
    double line[LENGTHS], square[LENGTHS];
    int covered = 0;
    bool a_below;
    powers(100, 1, line), powers(1, 2, square);
    for (int i = 0; i < TIMES; i++) {
        rv_interval at = cross(square, line, 0.05, 10 + (uint64_t)i, &a_below);
        covered += at.low <= 100 && 100 <= at.high;
        cr_assert(at.low <= at.value && at.value <= at.high);
    }
    cr_expect(covered > 0.88 * TIMES, "%d of %d", covered, TIMES);
}

Test(stats_fit, equal_input_gives_equal_bits) {
    double line[LENGTHS], square[LENGTHS];
    bool a_below;
    powers(100, 1, line), powers(1, 2, square);
    rv_interval once = cross(square, line, 0.1, 3, &a_below), again = cross(square, line, 0.1, 3, &a_below);
    cr_expect(once.low == again.low && once.high == again.high && once.low < once.high);
}

/* ---- Amdahl */

Test(stats_fit, serial_share) {
    enum { THREADS = 3 };
    static const int threads[THREADS] = {1, 2, 4};
    double ms[THREADS * REPEATS];
    rv_interval s;
    int covered = 0, TIMES = 200;
    for (int i = 0; i <= TIMES; i++) {
        rv_rng rng = rv_rng_make(4, "share", (uint64_t)i);
        const double noise = i ? 0.03 : 0;
        for (int k = 0; k < THREADS * REPEATS; k++)
            ms[k] = 20 * (0.25 + 0.75 / threads[k / REPEATS]) * exp(noise * rv_rng_normal(&rng));
        ms[REPEATS + 1] = NAN; /* a repeat that was not made */
        cr_assert_eq(rv_serial_share(THREADS, threads, REPEATS, ms, 0.95, 400, &s), RV_OK);
        if (!i) near(s.value, 0.25, 1e-12), near(s.low, 0.25, 1e-12), near(s.high, 0.25, 1e-12);
        covered += s.low <= 0.25 && 0.25 <= s.high;
    }
    cr_expect(covered > 0.88 * TIMES, "%d of %d", covered, TIMES);
    for (int k = 0; k < THREADS * REPEATS; k++) ms[k] = k < REPEATS ? 1 : 2; /* slower with threads */
    rv_serial_share(THREADS, threads, REPEATS, ms, 0.95, 10, &s);
    near(s.value, 1, 0);
    for (int k = 0; k < THREADS * REPEATS; k++) ms[k] = k < REPEATS ? 8 : 1; /* faster than possible */
    rv_serial_share(THREADS, threads, REPEATS, ms, 0.95, 10, &s);
    near(s.value, 0, 0);
    rv_serial_share(1, threads, REPEATS, ms, 0.95, 10, &s);
    cr_expect(isnan(s.value) && isnan(s.low));
}

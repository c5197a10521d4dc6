/* Intervals of metrics over seeds and examples, and how many seeds a difference needs.
 *
 * A resample draws examples, and of k seeds k - 1, with replacement: the variance of a mean of k - 1 draws of k values is that of
 * the mean, s^2 / k, without bias. With few seeds, percentiles are too near all the same, since the spread itself is hardly known;
 * so their distances from the value are stretched by the ratio of Student's t to the normal quantile, with the degrees of freedom that
 * the shares of seeds and of examples in the variance give [Satterthwaite 1946]. With many seeds, or one, that ratio is near 1. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "compare/stats.h"

enum { SEED = 1, MOST_DEGREES = 1000 };

typedef struct {
    int seeds;
    const double *x;     /* (seeds, n, RV_SUMS) */
    int32_t *drawn;      /* how often each seed is in the resample */
    int draws;
    double value;        /* mean over seeds, all examples */
    double mean_variance; /* of that mean, by the spread of seeds; 0 with one */
} side;

typedef struct {
    int sides;
    side s[2];
    bool paired;         /* the sides' seeds are drawn together */
    int64_t n;
    int width;           /* sums that are not all 0 */
    rv_metric_of metric;
    int32_t *times;      /* how often each example is in the resample */
    double *value;       /* of each resample */
    int resamples;
} bootstrap;

/* ---- one resample */

static void draw(rv_rng *rng, int64_t n, int64_t draws, int32_t *times) {
    memset(times, 0, (size_t)n * sizeof *times);
    /* Four 32-bit numbers a block; the bias of scaling them is below n / 2^32. */
    for (int64_t i = 0; i < draws; i += 4) {
        uint32_t u[4];
        rv_rng_block(rng->key, rng->step, rng->next++, u);
        for (int64_t k = 0; k < 4 && i + k < draws; k++) times[(uint64_t)u[k] * (uint64_t)n >> 32]++;
    }
}

/* The metric of one seed on the examples as often as `times` says; NULL: once each. */
static double metric_of_seed(const bootstrap *b, const side *s, int seed, const int32_t *times) {
    double sums[RV_SUMS] = {0};
    const double *x = s->x + (int64_t)seed * b->n * RV_SUMS;
    for (int64_t i = 0; i < b->n; i++, x += RV_SUMS) {
        const double k = times ? times[i] : 1;
        if (k == 0) continue;
        for (int c = 0; c < b->width; c++) sums[c] += k * x[c];
    }
    return b->metric(sums);
}

static double resample(bootstrap *b, int r) {
    rv_rng examples = rv_rng_make(SEED, "bootstrap examples", (uint64_t)r), seeds = rv_rng_make(SEED, "bootstrap seeds", (uint64_t)r);
    double mean[2] = {0};
    draw(&examples, b->n, b->n, b->times);
    for (int k = 0; k < b->sides; k++) {
        side *s = &b->s[k];
        if (k && b->paired) memcpy(s->drawn, b->s[0].drawn, (size_t)s->seeds * sizeof *s->drawn);
        else draw(&seeds, s->seeds, s->draws, s->drawn);
        for (int i = 0; i < s->seeds; i++)
            if (s->drawn[i]) mean[k] += s->drawn[i] * metric_of_seed(b, s, i, b->times) / s->draws;
    }
    return mean[0] - mean[1];
}

/* ---- from resamples to an interval */

static double variance(int n, const double *x) {
    double mean = 0, sum = 0;
    for (int i = 0; i < n; i++) mean += x[i] / n;
    for (int i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sum / (n - 1) : 0;
}

/* The z with P(|Z| <= z) = level. */
static double normal_within(double level) {
    double low = 0, high = 40;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        *(erf(middle / sqrt(2)) < level ? &low : &high) = middle;
    }
    return high;
}

/* Degrees of freedom of the resamples' variance: components of k - 1 each for seeds, n - 1 for examples. seeds: the variance of the
 * value by seeds, split over so many groups of so many seeds. */
static int degrees(const bootstrap *b, double total) {
    double seeds = 0, below = 0;
    const int groups = b->paired ? 1 : b->sides;
    for (int k = 0; k < groups; k++) {
        const double v = b->s[k].mean_variance;
        seeds += v;
        if (b->s[k].seeds > 1) below += v * v / (b->s[k].seeds - 1);
    }
    const double examples = total > seeds ? total - seeds : 0, all = seeds + examples;
    if (b->n > 1) below += examples * examples / (double)(b->n - 1);
    const double d = below > 0 ? all * all / below : MOST_DEGREES;
    return d < 1 ? 1 : d > MOST_DEGREES ? MOST_DEGREES : (int)d;
}

static rv_interval interval(const bootstrap *b, double value, int degrees, double level) {
    const double stretch = fmax(1, rv_student_quantile((1 + level) / 2, degrees) / normal_within(level));
    return (rv_interval){value, value + stretch * (rv_quantile(b->resamples, b->value, (1 - level) / 2) - value),
                         value + stretch * (rv_quantile(b->resamples, b->value, (1 + level) / 2) - value)};
}

/* The p at which the interval of level 1 - p would just leave 0 out, no smaller than the resamples can tell. */
static double p_value(const bootstrap *b, double value, int degrees) {
    double low = 2. / (b->resamples + 1), high = 1;
    if (value == 0) return 1;
    for (int i = 0; i < 40 && high - low > 1e-9; i++) {
        const double p = sqrt(low * high);
        const rv_interval at = interval(b, value, degrees, 1 - p);
        *(at.low > 0 || at.high < 0 ? &high : &low) = p;
    }
    return high;
}

/* ---- all of it */

/* The value on all examples, and each seed's (or NULL). */
static rv_status measure(bootstrap *b, double *each) {
    const bool together = b->paired && b->sides == 2;
    const int most = b->s[0].seeds > b->s[1].seeds ? b->s[0].seeds : b->s[1].seeds;
    double *of_seed = rv_alloc((size_t)most * 2 * sizeof *of_seed);
    if (!of_seed) return RV_ENOMEM;
    for (int k = 0; k < b->sides; k++) {
        side *s = &b->s[k];
        double *m = of_seed + k * most;
        for (int i = 0; i < s->seeds; i++) m[i] = metric_of_seed(b, s, i, NULL), s->value += m[i] / s->seeds;
        s->mean_variance = variance(s->seeds, m) / s->seeds;
    }
    if (each) memcpy(each, of_seed, (size_t)b->s[0].seeds * sizeof *each);
    for (int i = 0; together && i < most; i++) of_seed[i] -= of_seed[most + i];
    if (together) b->s[0].mean_variance = variance(most, of_seed) / most;
    rv_free(of_seed);
    return RV_OK;
}

static int used_width(const bootstrap *b) {
    int width = 1;
    for (int k = 0; k < b->sides; k++)
        for (int64_t i = 0; i < b->s[k].seeds * b->n; i++)
            for (int c = RV_SUMS - 1; c >= width; c--)
                if (b->s[k].x[i * RV_SUMS + c] != 0) width = c + 1;
    return width;
}

static rv_status run(bootstrap *b, double level, double *each, rv_interval *out, double *p) {
    const int seeds = b->s[0].seeds + b->s[1].seeds;
    *out = (rv_interval){NAN, NAN, NAN};
    if (p) *p = NAN;
    b->width = used_width(b);
    RV_TRY(measure(b, each));
    out->value = b->s[0].value - b->s[1].value;
    if (!isfinite(out->value) || b->resamples < 1) return RV_OK;
    b->value = rv_alloc((size_t)b->resamples * sizeof *b->value);
    b->times = rv_alloc((size_t)(b->n + seeds) * sizeof *b->times);
    rv_status status = b->value && b->times ? RV_OK : RV_ENOMEM;
    bool finite = true;
    for (int r = 0; r < b->resamples && status == RV_OK; r++) {
        b->s[0].drawn = b->times + b->n;
        b->s[1].drawn = b->s[0].drawn + b->s[0].seeds;
        b->value[r] = resample(b, r);
        finite = finite && isfinite(b->value[r]);
    }
    if (status == RV_OK && finite) {
        const int d = degrees(b, variance(b->resamples, b->value));
        const double value = out->value;
        *out = interval(b, value, d, level);
        if (p) *p = p_value(b, value, d);
    }
    rv_free(b->value);
    rv_free(b->times);
    return status;
}

static side side_of(int seeds, const double *x) { return (side){.seeds = seeds, .x = x, .draws = seeds > 1 ? seeds - 1 : 1}; }

rv_status rv_bootstrap(int seeds, int64_t n, const double *x, rv_metric_of metric, double level, int resamples, double *each, rv_interval *out) {
    bootstrap b = {.sides = 1, .s = {side_of(seeds, x)}, .n = n, .metric = metric, .resamples = resamples};
    return run(&b, level, each, out, NULL);
}

rv_status rv_bootstrap_pair(int seeds_a, int seeds_b, int64_t n, const double *a, const double *b, rv_metric_of metric, double level, int resamples,
                            rv_interval *difference, double *p) {
    bootstrap both = {.sides = 2, .s = {side_of(seeds_a, a), side_of(seeds_b, b)}, .paired = seeds_a == seeds_b, .n = n, .metric = metric,
                      .resamples = resamples};
    return run(&both, level, NULL, difference, p);
}

int64_t rv_seeds_needed(int n, const double *difference, double level) {
    const double power = 0.8, most = 1e9;
    double mean = 0;
    for (int i = 0; i < n; i++) mean += difference[i] / n;
    const double ratio = sqrt(variance(n, difference)) / fabs(mean);
    if (n < 2 || !isfinite(ratio)) return -1;
    /* n >= ((t(level) + t(power)) sd / mean)^2, t of n - 1 degrees of freedom; the normal quantiles give less. */
    const double z = normal_within(level) + rv_student_quantile(power, MOST_DEGREES);
    const double least = fmin(z * z * ratio * ratio, most);
    if (least > MOST_DEGREES) { /* the t no longer changes */
        const double t = rv_student_quantile((1 + level) / 2, MOST_DEGREES) + rv_student_quantile(power, MOST_DEGREES);
        return (int64_t)ceil(fmin(t * t * ratio * ratio, most));
    }
    for (int64_t k = least > 3 ? (int64_t)least - 1 : 2;; k++) {
        const int d = k - 1 < MOST_DEGREES ? (int)k - 1 : MOST_DEGREES;
        const double t = rv_student_quantile((1 + level) / 2, d) + rv_student_quantile(power, d);
        if ((double)k >= fmin(t * t * ratio * ratio, most)) return k;
    }
}

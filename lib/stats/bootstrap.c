/* Intervals of metrics over seeds and examples, and how many seeds a difference needs.  Examples are drawn again with
 * replacement, the same for every seed and both models, and what the mean over seeds then comes to says how far the
 * choice of examples moves it (percentiles, stretched by Student's t over the normal quantile). Seeds are not drawn
 * again: with two to five of them percentiles know next to nothing of their spread, and Student's t does. The interval
 * reaches to the root of the sum of the two squares, each source with its own quantile: with normal seeds that holds at
 * least the level, whatever the shares [Banerjee 1960; "MOVER", Zou and Donner 2008], and is never narrower than either
 * of them alone. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "stats/stats_private.h"

enum { SEED = 1, MOST_DEGREES = 1000 };

/* Seeds that one spread is estimated from: those of one model, or the differences of two models with the same seeds. */
typedef struct {
    int seeds;
    double *all, *now; /* (seeds): the metric, or its difference, on all examples and on a resample */
    double value;      /* mean of `all` */
    double variance;   /* of that mean, by the spread of seeds; 0 with one */
    double noise;      /* the part of it that examples make, which move each seed by itself */
} group;

typedef struct {
    int models, groups, width;
    int seeds[2];       /* of each model */
    const double *x[2]; /* (seeds, n, RV_SUMS) of each model */
    double *sums;       /* (n, seeds of both, width): the same without the columns behind the last that is used */
    double *total;      /* (seeds of both, width) of the examples as often as they count */
    group g[2];
    int64_t n;
    const rv_corpus_metric *metric;
    int32_t *times; /* how often each example is in the resample */
    double *value;  /* of each resample */
    int resamples;
    double share; /* of the reach of examples, what is left without `noise` */
} bootstrap;

/* ---- one resample */

static void draw(rv_rng *rng, int64_t n, int32_t *times) {
    memset(times, 0, (size_t)n * sizeof *times);
    /* Four 32-bit numbers a block; the bias of scaling them is below n / 2^32. */
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t u[4];
        rv_rng_block(rng->key, rng->step, rng->next++, u);
        for (int64_t k = 0; k < 4 && i + k < n; k++) times[(uint64_t)u[k] * (uint64_t)n >> 32]++;
    }
}

/* One row of all seeds after the other, so that their sums grow side by side. */
static void add_up(const bootstrap *b) {
    const int columns = (b->seeds[0] + b->seeds[1]) * b->width;
    const double *x = b->sums;
    double *restrict total = b->total;
    memset(total, 0, (size_t)columns * sizeof *total);
    for (int64_t i = 0; i < b->n; i++, x += columns) {
        const double times = b->times[i];
        for (int c = 0; c < columns; c++) total[c] += times * x[c];
    }
}

static double metric_of_seed(const bootstrap *b, int model, int seed) {
    double sums[RV_SUMS] = {0};
    const int at = model * b->seeds[0] + seed;
    memcpy(sums, b->total + (int64_t)at * b->width, (size_t)b->width * sizeof *sums);
    return b->metric->of(sums);
}

/* Each seed of a group, and their mean. */
static double measure_group(const bootstrap *b, int at, double *out) {
    const bool differences = b->models == 2 && b->groups == 1;
    const int seeds = b->g[at].seeds;
    double mean = 0;
    for (int i = 0; i < seeds; i++) {
        out[i] = metric_of_seed(b, at, i);
        if (differences) out[i] -= metric_of_seed(b, 1, i);
        mean += out[i] / seeds;
    }
    return mean;
}

static double resample(bootstrap *b, int r) {
    rv_rng examples = rv_rng_make(SEED, "bootstrap examples", (uint64_t)r);
    double value = 0;
    draw(&examples, b->n, b->times);
    add_up(b);
    for (int k = 0; k < b->groups; k++) {
        group *g = &b->g[k];
        const double mean = measure_group(b, k, g->now), pairs = g->seeds > 1 ? g->seeds * (g->seeds - 1.) : 1;
        for (int i = 0; i < g->seeds; i++)
            g->noise += pow(g->now[i] - g->all[i] - (mean - g->value), 2) / pairs / b->resamples;
        value += k ? -mean : mean;
    }
    return value;
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

/* What examples move each seed by itself is in the spread of seeds already: `share` takes it out of the examples'
 * part. */
static void find_share(bootstrap *b) {
    const double examples = variance(b->resamples, b->value), noise = b->g[0].noise + b->g[1].noise;
    b->share = examples > noise ? sqrt(1 - noise / examples) : 0;
}

/* How far seeds and examples reach together, where examples alone reach `examples`. It is no less than that: two seeds
 * that agree by luck do not make few examples many. */
static double reach(const bootstrap *b, double examples, double level) {
    double squares = b->share * b->share * examples * examples;
    for (int k = 0; k < b->groups; k++)
        if (b->g[k].seeds > 1)
            squares += b->g[k].variance * pow(rv_student_quantile((1 + level) / 2, b->g[k].seeds - 1), 2);
    return fmax(sqrt(squares), examples);
}

static rv_interval interval(const bootstrap *b, double value, double level) {
    const int degrees = b->n > MOST_DEGREES ? MOST_DEGREES : b->n > 1 ? (int)b->n - 1 : 1;
    const double stretch = fmax(1, rv_student_quantile((1 + level) / 2, degrees) / normal_within(level));
    const double low = rv_quantile(b->resamples, b->value, (1 - level) / 2),
                 high = rv_quantile(b->resamples, b->value, (1 + level) / 2);
    return (rv_interval){value, value - reach(b, stretch * fmax(0, value - low), level),
                         value + reach(b, stretch * fmax(0, high - value), level)};
}

/* The p at which the interval of level 1 - p would just leave 0 out, no smaller than the resamples can tell. */
static double p_value(const bootstrap *b, double value) {
    double low = 2. / (b->resamples + 1), high = 1;
    if (value == 0) return 1;
    for (int i = 0; i < 40 && high - low > 1e-9; i++) {
        const double p = sqrt(low * high);
        const rv_interval at = interval(b, value, 1 - p);
        *(at.low > 0 || at.high < 0 ? &high : &low) = p;
    }
    return high;
}

/* ---- all of it */

/* The columns that are not all 0, so that a resample reads no others. */
static int used_width(const bootstrap *b) {
    int width = 1;
    for (int k = 0; k < b->models; k++)
        for (int64_t i = 0; i < b->seeds[k] * b->n; i++)
            for (int c = RV_SUMS - 1; c >= width; c--)
                if (b->x[k][i * RV_SUMS + c] != 0) width = c + 1;
    return width;
}

static rv_status take_memory(bootstrap *b) {
    const int seeds = b->seeds[0] + b->seeds[1];
    b->width = used_width(b);
    b->sums = rv_alloc(rv_size_mul((size_t)(b->n * seeds), (size_t)b->width * sizeof *b->sums));
    b->total = rv_alloc((size_t)(seeds * (b->width + 2) + b->resamples) * sizeof *b->total);
    b->times = rv_alloc((size_t)b->n * sizeof *b->times);
    if (!b->sums || !b->total || !b->times) return RV_ENOMEM;
    double *room = b->total + seeds * b->width, *to = b->sums;
    for (int k = 0; k < b->models; k++) {
        b->g[k] = (group){.seeds = b->seeds[k], .all = room, .now = room + b->seeds[k]};
        room += 2 * b->seeds[k];
    }
    b->value = room;
    for (int64_t i = 0; i < b->n; i++)
        for (int k = 0; k < b->models; k++)
            for (int s = 0; s < b->seeds[k]; s++, to += b->width)
                memcpy(to, b->x[k] + (s * b->n + i) * RV_SUMS, (size_t)b->width * sizeof *to);
    return RV_OK;
}

/* On all examples. */
static double measure(bootstrap *b) {
    double value = 0;
    for (int64_t i = 0; i < b->n; i++) b->times[i] = 1;
    add_up(b);
    for (int k = 0; k < b->groups; k++) {
        group *g = &b->g[k];
        g->value = measure_group(b, k, g->all);
        g->variance = variance(g->seeds, g->all) / g->seeds;
        value += k ? -g->value : g->value;
    }
    return value;
}

static rv_status run(bootstrap *b, double level, double *each, rv_interval *out, double *p) {
    *out = (rv_interval){NAN, NAN, NAN};
    if (p) *p = NAN;
    const rv_status status = take_memory(b);
    if (status == RV_OK) {
        const double value = out->value = measure(b);
        bool finite = isfinite(value) && b->resamples > 0;
        if (each) memcpy(each, b->g[0].all, (size_t)b->seeds[0] * sizeof *each);
        for (int r = 0; r < b->resamples && finite; r++) finite = isfinite(b->value[r] = resample(b, r));
        if (finite) {
            find_share(b);
            *out = interval(b, value, level);
            if (p) *p = p_value(b, value);
        }
    }
    rv_free(b->sums);
    rv_free(b->total);
    rv_free(b->times);
    return status;
}

rv_status rv_bootstrap(int seeds, int64_t n, const double *x, const rv_corpus_metric *metric, double level,
                       int resamples, double *each, rv_interval *out) {
    bootstrap b = {
        .models = 1, .groups = 1, .seeds = {seeds}, .x = {x}, .n = n, .metric = metric, .resamples = resamples};
    RV_TRY(run(&b, level, each, out, NULL));
    if (isfinite(out->low)) *out = rv__within_bounds(metric, seeds, n, level, *out);
    return RV_OK;
}

rv_status rv_bootstrap_pair(int seeds_a, int seeds_b, int64_t n, const double *a, const double *b,
                            const rv_corpus_metric *metric, double level, int resamples, rv_interval *difference,
                            double *p) {
    bootstrap both = {.models = 2,
                      .groups = seeds_a == seeds_b ? 1 : 2,
                      .seeds = {seeds_a, seeds_b},
                      .x = {a, b},
                      .n = n,
                      .metric = metric,
                      .resamples = resamples};
    const double range = metric->most - metric->least;
    RV_TRY(run(&both, level, NULL, difference, p));
    if (difference->low < -range) difference->low = -range;
    if (difference->high > range) difference->high = range;
    return RV_OK;
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

/* Intervals of one model near a bound of its metric.
 *
 * Near a ceiling the spread of a few seeds says little: all that differs is pressed together there, until a seed
 * comes that is worse by far. So the interval reaches further away from the nearer bound than the spread alone would
 * have it, and the more so, the longer it is against the distance D to the bound: a D that is known well needs none
 * of it.
 *
 * Between two bounds it makes room for one more seed, of another kind [Laplace's rule of succession: the next of k +
 * 1], which lies half way, in log odds, between what was seen and the middle of the range. Its part fades with 1 - 4
 * u (1 - u), u the place in the range: the share of the greatest spread that a mean there can no longer have. From
 * one bound alone there is no such place, and the interval is one of log D, by the delta method, but at most twice as
 * far. Where nothing was wrong in any example, it reaches as far as that may be chance [Clopper and Pearson 1934].
 *
 * No rule but a prior can know of a kind of seed that was not seen: README.md has what these intervals hold, and
 * cost. */
#include <math.h>

#include "stats/stats_private.h"

/* From u to half its log odds. */
static double half_way(double u) {
    const double odds = sqrt(u / (1 - u));
    return odds / (1 + odds);
}

/* How far an interval of length `length` that reaches `reach` away from a bound at `distance` is to reach. */
static double between_bounds(double range, int seeds, int64_t n, double distance, double reach, double length) {
    const double least = range / ((double)n + 2); /* closer than one example in n + 2 nothing is known */
    const double u = fmax(distance, least) / range, open = fmin(1, fmax(length, least) / (u * range));
    return reach + (1 - 4 * u * (1 - u)) * open * range * (half_way(u) - u) / (seeds + 1);
}

static double from_one_bound(double distance, double reach) {
    return distance > 0 ? fmin(distance * expm1(reach / distance), 2 * reach) : reach;
}

rv_interval rv__within_bounds(const rv_corpus_metric *m, int seeds, int64_t n, double level, rv_interval v) {
    const double below = v.value - m->least, above = m->most - v.value, range = m->most - m->least,
                 distance = fmax(0, fmin(below, above));
    double *far = below < above ? &v.high : &v.low, away = fabs(*far - v.value);
    if (isfinite(range) && distance < 1e-9 * range)
        away = fmax(away, range * (1 - pow((1 - level) / 2, 1 / (double)n)));
    if (seeds > 1 && isfinite(range))
        away = between_bounds(range, seeds, n, distance, away, v.high - v.low);
    else if (seeds > 1 && isfinite(distance))
        away = from_one_bound(distance, away);
    *far = below < above ? v.value + away : v.value - away;
    v.low = fmax(v.low, m->least);
    v.high = fmin(v.high, m->most);
    return v;
}

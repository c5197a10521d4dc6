/* Lines, crossings and serial shares of measured costs, with their intervals. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "stats/stats.h"

/* ---- Student's t */

/* P(|T| <= t), a finite sum for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4). */
static double student_within(double t, int degrees) {
    const double angle = atan(t / sqrt(degrees)), c = cos(angle);
    const bool odd = degrees % 2;
    double term = odd ? c : 1, sum = degrees > 1 ? term : 0;
    for (int i = odd ? 3 : 2; i < degrees; i += 2) sum += term *= c * c * (i - 1) / i;
    return odd ? (angle + sin(angle) * sum) * 2 / acos(-1) : sin(angle) * sum;
}

double rv_student_quantile(double p, int degrees) {
    if (!(p > 0 && p < 1 && degrees > 0)) return NAN;
    const double within = fabs(2 * p - 1);
    double low = 0, high = 1;
    while (student_within(high, degrees) < within && high < 1e300) high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-14 * high; i++) {
        const double middle = (low + high) / 2;
        *(student_within(middle, degrees) < within ? &low : &high) = middle;
    }
    return p < 0.5 ? -high : high;
}

/* ---- a line */

void rv_line_fit(int n, const double *x, const double *y, double level, double *a, rv_interval *b) {
    double mx = 0, my = 0, xx = 0, xy = 0, left = 0;
    for (int i = 0; i < n; i++) mx += x[i] / n, my += y[i] / n;
    for (int i = 0; i < n; i++) xx += (x[i] - mx) * (x[i] - mx), xy += (x[i] - mx) * (y[i] - my);
    *b = (rv_interval){n > 1 && xx > 0 ? xy / xx : NAN, NAN, NAN};
    *a = my - b->value * mx;
    if (n < 3 || !isfinite(b->value)) return;
    for (int i = 0; i < n; i++) left += pow(y[i] - *a - b->value * x[i], 2);
    const double half = rv_student_quantile((1 + level) / 2, n - 2) * sqrt(left / (n - 2) / xx);
    b->low = b->value - half;
    b->high = b->value + half;
}

/* ---- resampling repeats */

static int rising(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double rv_quantile(int n, double *x, double q) {
    if (n < 1) return NAN;
    int risen = 1; /* many quantiles of the same numbers: sorted once */
    while (risen < n && x[risen - 1] <= x[risen]) risen++;
    if (risen < n) qsort(x, (size_t)n, sizeof *x, rising);
    const double at = q * (n - 1);
    const int i = (int)at < n - 1 ? (int)at : n - 1;
    if (i == n - 1 || x[i] == x[i + 1]) return x[i]; /* equal ones may be infinite */
    return x[i] + (at - i) * (x[i + 1] - x[i]);
}

/* Medians of n rows of `repeats` values, NaN being none; each row resampled by rng unless that is NULL. */
static void medians(int n, int repeats, const double *x, rv_rng *rng, double *room, double *out) {
    for (int i = 0; i < n; i++, x += repeats) {
        int there = 0;
        for (int k = 0; k < repeats; k++)
            if (!isnan(x[k])) room[there++] = x[k];
        double *drawn = room + repeats;
        for (int k = 0; k < there; k++) drawn[k] = room[rng ? rv_rng_below(rng, (uint64_t)there) : (uint64_t)k];
        out[i] = rv_quantile(there, drawn, 0.5);
    }
}

/* The interval of `resamples` values, of which some may be infinite: then it is open on that side (NaN). */
static void set_bounds(int resamples, double *value, double level, rv_interval *out) {
    const double low = rv_quantile(resamples, value, (1 - level) / 2),
                 high = rv_quantile(resamples, value, (1 + level) / 2);
    out->low = isfinite(low) ? low : NAN;
    out->high = isfinite(high) ? high : NAN;
}

/* ---- crossings */

void rv_cost_signs(int n, int rounds, const double *ratio, double alpha, int *sign) {
    for (int i = 0; i < n; i++, ratio += rounds) {
        double mean = 0, squares = 0;
        int there = 0;
        sign[i] = 0;
        for (int r = 0; r < rounds; r++)
            if (!isnan(ratio[r])) mean += ratio[r], there++;
        mean /= there ? there : 1;
        for (int r = 0; r < rounds; r++)
            if (!isnan(ratio[r])) squares += (ratio[r] - mean) * (ratio[r] - mean);
        if (there < 2) continue;
        const double least = rv_student_quantile(1 - alpha / 2, there - 1) * sqrt(squares / (there - 1) / there);
        if (fabs(mean) > least) sign[i] = mean < 0 ? -1 : 1;
    }
}

/* Where log a - log b changes from the sign -way to way, or infinity: beyond the last length while it stays -way, minus
 * infinity while it is way everywhere. Of several the one that leaves most on the right side: the sum of |d| there,
 * less that of those on the wrong side, is greatest. way = 0: either; the way taken is then returned in *taken. */
static double find_crossing(int n, const double *length, const double *a, const double *b, int way, double *d,
                            int *taken) {
    double total = 0, best = -INFINITY, at = NAN, before = 0;
    for (int i = 0; i < n; i++) total += d[i] = log(a[i]) - log(b[i]);
    for (int i = 0, last = -1; i < n; i++) {
        if (d[i] == 0) {
            before += d[i];
            continue;
        }
        const int sign = d[i] > 0 ? 1 : -1;
        if (last >= 0 && (d[last] > 0) != (d[i] > 0) && (!way || way == sign)) {
            const double score = sign * (total - 2 * before); /* -sign d before it, sign d behind it */
            const double x0 = log(length[last]), x1 = log(length[i]);
            if (score > best) {
                best = score;
                *taken = sign;
                at = last == i - 1 ? exp(x0 + (x1 - x0) * d[last] / (d[last] - d[i])) : length[last + 1];
            }
        }
        before += d[i];
        last = i;
    }
    if (isnan(at) && way) at = way * total > 0 ? -INFINITY : INFINITY;
    if (isnan(at)) *taken = total > 0 ? -1 : 1; /* a is cheaper below a crossing upwards, or everywhere */
    return at;
}

rv_status rv_crossing(int n, const double *length, int repeats, const double *a, const double *b, double level,
                      int resamples, rv_interval *at, bool *a_below) {
    double *x = rv_alloc((size_t)(3 * n + 2 * repeats + resamples) * sizeof *x);
    if (!x) return RV_ENOMEM;
    double *y = x + n, *d = y + n, *room = d + n, *value = room + 2 * repeats;
    int way = 1, ignored;
    medians(n, repeats, a, NULL, room, x);
    medians(n, repeats, b, NULL, room, y);
    *at = (rv_interval){find_crossing(n, length, x, y, 0, d, &way), NAN, NAN};
    *a_below = way > 0;
    for (int r = 0; r < resamples && !isnan(at->value); r++) {
        rv_rng rng = rv_rng_make(1, "crossing", (uint64_t)r);
        medians(n, repeats, a, &rng, room, x);
        medians(n, repeats, b, &rng, room, y);
        value[r] = find_crossing(n, length, x, y, way, d, &ignored);
    }
    if (!isnan(at->value)) set_bounds(resamples, value, level, at);
    rv_free(x);
    return RV_OK;
}

/* ---- Amdahl */

static double serial_share(int n, const int *threads, const double *t) {
    double above = 0, below = 0;
    for (int i = 1; i < n; i++) {
        const double shared = 1 - 1. / threads[i]; /* T(p)/T(1) - 1/p = s (1 - 1/p) */
        above += (t[i] / t[0] - 1. / threads[i]) * shared;
        below += shared * shared;
    }
    const double s = above / below;
    return s < 0 ? 0 : s > 1 ? 1 : s;
}

rv_status rv_serial_share(int n_threads, const int *threads, int repeats, const double *ms, double level, int resamples,
                          rv_interval *share) {
    double *t = rv_alloc((size_t)(n_threads + 2 * repeats + resamples) * sizeof *t);
    if (!t) return RV_ENOMEM;
    double *room = t + n_threads, *value = room + 2 * repeats;
    medians(n_threads, repeats, ms, NULL, room, t);
    *share = (rv_interval){serial_share(n_threads, threads, t), NAN, NAN}; /* NaN (0/0) with one number of threads */
    for (int r = 0; r < resamples && !isnan(share->value); r++) {
        rv_rng rng = rv_rng_make(1, "serial share", (uint64_t)r);
        medians(n_threads, repeats, ms, &rng, room, t);
        value[r] = serial_share(n_threads, threads, t);
    }
    if (!isnan(share->value)) set_bounds(resamples, value, level, share);
    rv_free(t);
    return RV_OK;
}

/** Statistics of comparisons. Random numbers are Philox with a fixed seed: equal input gives equal bits. */
#ifndef RV_STATS_H
#define RV_STATS_H

#include <stdint.h>

#include "base/status.h"

typedef struct {
    double value, low, high;
} rv_interval;

/** Sums of one example; a metric is a function of their sums over a corpus (a mean, BLEU, macro F1). Those behind the
 * last that is not 0 cost nothing but memory. */
enum { RV_SUMS = 64 };
/** Classes of which macro F1 has room: each takes three sums, how often it was right, told, and there. */
enum { RV_F1_CLASSES = RV_SUMS / 3 };
typedef double (*rv_metric_of)(const double sums[RV_SUMS]);
/** A metric and what it can be; infinite where nothing bounds it. */
typedef struct {
    rv_metric_of of;
    double least, most;
} rv_corpus_metric;

/** Interval of the metric of one model over seeds and examples: x is (seeds, n, RV_SUMS). Examples are drawn again with
 *  replacement, the same for every seed [Koehn 2004]; what seeds move comes from Student's t over them; the interval
 *  reaches to the root of the sum of the squares of both [Banerjee 1960; Zou and Donner 2008], and near a bound of the
 *  metric further (stats_bounds.c). It lies within the bounds. value: the mean over seeds of the metric on all
 *  examples. each (seeds) gets that metric per seed, or NULL. With one seed it covers examples only. Bounds of the
 *  interval are NaN where the metric is not finite or without resamples. What it holds, by simulation: README.md. Work:
 *  resamples x seeds x n x (1 + the last sum that is used); 5 seeds, 1,000 examples and 1,000 resamples take 10 ms. */
RV_API rv_status rv_bootstrap(int seeds, int64_t n, const double *x, const rv_corpus_metric *metric, double level,
                              int resamples, double *each, rv_interval *out);
/** The same of metric(a) - metric(b) on the same examples; *p: two-sided, the level 1 - p being the one whose interval
 *  just leaves 0 out; no smaller than 2 / (resamples + 1). Seeds are paired when both have as many (the same seeds),
 *  else each model's count by themselves. Neither is the interval narrower nor p smaller than those of Student's t over
 *  the seeds (paired; else Welch's), where there is more than one. */
RV_API rv_status rv_bootstrap_pair(int seeds_a, int seeds_b, int64_t n, const double *a, const double *b,
                                   const rv_corpus_metric *metric, double level, int resamples, rv_interval *difference,
                                   double *p);
/** Seeds per model that a two-sided paired t test at this level needs to find the difference seen, with power 0.8, from
 * the differences per seed; -1: cannot be told (fewer than 2 seeds, or no difference at all). */
RV_API int64_t rv_seeds_needed(int n, const double *difference, double level);

/** The t with P(T <= t) = p of Student's distribution with so many degrees of freedom; NaN outside of 0 < p < 1 or
 * without any. */
RV_API double rv_student_quantile(double p, int degrees);
/** The q-quantile of n numbers, which are sorted by it, on straight lines between them; NaN without any. */
RV_API double rv_quantile(int n, double *x, double q);

/** Straight line y = a + b x by least squares, with the interval of b by Student's t. NaN bounds with fewer than 3
 * points. */
RV_API void rv_line_fit(int n, const double *x, const double *y, double level, double *a, rv_interval *b);
/** Which of two systems costs less at each of n lengths: ratio (n, rounds) holds log(a / b) of each round, in which
 * both were measured once, NaN where one was not. sign (n): -1 where a costs less, 1 where b does, 0 where Student's t
 * of the rounds cannot tell at 1 - alpha, or there are fewer than two. */
RV_API void rv_cost_signs(int n, int rounds, const double *ratio, double alpha, int *sign);
/** Two curves measured at the same n lengths, `repeats` times each (a, b: (n, repeats) ms; NaN for one that was not
 * made): the length at which the medians are equal, on straight lines in logarithms between neighbours, with its
 * interval by resampling repeats. Of several crossings the one that leaves most of |log a - log b| on the right side.
 * value NaN: they do not cross; low or high NaN: in so many resamples there is no crossing on that side. *a_below: a is
 * cheaper below it (or everywhere). */
RV_API rv_status rv_crossing(int n, const double *length, int repeats, const double *a, const double *b, double level,
                             int resamples, rv_interval *at, bool *a_below);
/** Amdahl's serial share s from times at p threads: T(p) = T(1) (s + (1 - s)/p), least squares over p > 1, clamped to
 * [0, 1], with its interval by resampling repeats; ms (n_threads, repeats; NaN for one that was not made), threads[0]
 * = 1. NaN with one thread count alone. A share near 0 or 1 may be neither serial nor parallel work: memory that all
 * threads share looks serial, too. */
RV_API rv_status rv_serial_share(int n_threads, const int *threads, int repeats, const double *ms, double level,
                                 int resamples, rv_interval *share);

#endif

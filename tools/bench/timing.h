/* Statistics of measured times, and the line that says how far a benchmark is. */
#ifndef RV_BENCH_TIMING_H
#define RV_BENCH_TIMING_H

/* The q-quantile of n numbers, which are sorted by it. */
double rv__quantile(double *v, int n, double q);

/* Before part `done` of `total`: what is measured now and, from the time that the parts so far took, how much is left.
 * One line on stderr that is written over, only where that is a terminal; done = total clears it. */
void rv__progress(int done, int total, const char *now);

#endif

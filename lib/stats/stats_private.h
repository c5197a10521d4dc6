/* What the statistics share among themselves. */
#ifndef RV_STATS_PRIVATE_H
#define RV_STATS_PRIVATE_H

#include "stats/stats.h"

/* The interval of one model from so many seeds and examples, in view of what the metric can be. */
rv_interval rv__within_bounds(const rv_corpus_metric *m, int seeds, int64_t n, double level, rv_interval v);

#endif

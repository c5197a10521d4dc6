/** What is known of each metric, whoever measures it. One row each in metrics.def. */
#ifndef RV_CONFIG_METRIC_H
#define RV_CONFIG_METRIC_H

#include <stdbool.h>

#include "base/status.h"

typedef struct {
    const char *name;
    bool higher_is_better;
    double least, most;                   /**< what it can be; most may be infinite */
    double scale;                         /**< 100 for a share shown in per cent */
    const char *title, *axis, *by, *unit; /**< see metrics.def */
    int headline;                         /**< rank among those that a report may be headed by, from 1; 0: never */
} rv_metric_kind;

/** NULL for a name that no metric has. */
RV_API const rv_metric_kind *rv_metric_find(const char *name);

#endif

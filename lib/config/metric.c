#include "config/metric.h"

#include <math.h>
#include <string.h>

enum { less = false, more = true };

static const rv_metric_kind metrics[] = {
#define RV_METRIC(name, better, least, most, scale, title, axis, by, unit, headline, tr, lm, re, cl, tg, watched,      \
                  compared)                                                                                            \
    {#name, better, least, most, scale, title, axis, by, unit, headline},
#include "config/metrics.def"
#undef RV_METRIC
};

const rv_metric_kind *rv_metric_find(const char *name) {
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (!strcmp(metrics[i].name, name)) return &metrics[i];
    return NULL;
}

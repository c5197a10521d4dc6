#include "train/task.h"

#include <math.h>
#include <string.h>

const rv_task_kind *rv_task_find(const char *name) {
    static const rv_task_kind *const kinds[] = {
#define RV_TASK(n) &rv__task_##n,
#include "train/tasks.def"
#undef RV_TASK
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i]->name, name)) return kinds[i];
    return NULL;
}

double rv_metrics_value(const rv_metrics_result *r, const char *name) {
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->m[i].name, name)) return r->m[i].value;
    return NAN;
}

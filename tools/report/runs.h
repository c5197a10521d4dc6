/* Folders of finished runs, as the report sees them. */
#ifndef RV_TOOLS_REPORT_RUNS_H
#define RV_TOOLS_REPORT_RUNS_H

#include "ravel.h"

typedef struct {
    int n, n_models;
    int pictures; /* most that a run's report.attention.sentences asks for (2 where it says nothing) */
    rv_report_run *run;
    const char **model; /* labels in the order of their first run */
    rv_config **config;
    json_t **outcome; /* outcome.json of a comparison's cell, or the like of a run that diverged; else NULL */
    char **same;      /* what must be equal in runs of one model: the settings without seed, name and folder */
} rv_report_runs_of;

/* Read experiment.yaml and the state of each folder, and measure what its report needs (rv_measure_run, under the run's
 * lock) where that is missing or older than the run. Runs that differ only in the seed become one model. RV_EUSAGE
 * names a folder that is no run's. Release in any case. */
rv_status rv__runs_open(rv_report_runs_of *r, int n, const char *const *folder);
void rv__runs_release(rv_report_runs_of *r);

#endif

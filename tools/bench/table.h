/* The fixed workloads measured one after another, beside a peer or alone, and their table. */
#ifndef RV_BENCH_TABLE_H
#define RV_BENCH_TABLE_H

#include "workload.h"

typedef enum { RV_TABLE_TEXT, RV_TABLE_JSON, RV_TABLE_MARKDOWN } rv_bench_format;

typedef struct {
    int n_names, n_threads;
    const char *const *names; /* of workloads; all of them: "all" */
    const int *threads;
    bool tiny, peer;
    double seconds; /* to measure each for, ours and the peer's together twice that */
    rv_bench_format format;
} rv_table_options;

/* Measure and print to stdout. RV_EUSAGE when a name is unknown or the peer cannot run. */
rv_status rv__table_run(const rv_table_options *o);
/* RV_EUSAGE, with all names, unless there is one and each is a workload's or "all". */
rv_status rv__table_check_names(const rv_table_options *o);
bool rv__table_wants(const rv_table_options *o, const char *name);

#endif

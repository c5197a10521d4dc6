/* ravel itself as a process that runs steps of a workload when told to, as peer.py does it: so both are measured in the
 * same way, and each workload's memory is that of a process of its own. */
#ifndef RV_BENCH_SERVER_H
#define RV_BENCH_SERVER_H

#include "workload.h"

/* Answer standard input's lines, each a number of steps, on standard output until the input ends. The first line out is
 * {"ready": true, "parameters", "flops"}; an answer is {"phases_ms": [[...]...], "loss", "arena_mb", "peak_mb"
 * (of the process), "allocations", "allocated_bytes", "openmp_allocations" (of the step that had most, or null)}. */
rv_status rv__serve(const rv_workload *w, int threads);

#endif

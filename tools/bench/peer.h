/* A peer framework in another process, that runs steps of a workload when told to: for measuring in alternation. */
#ifndef RV_BENCH_PEER_H
#define RV_BENCH_PEER_H

#include "base/status.h"

typedef struct rv_peer rv_peer;
/* Start peer.py (with $PYTHON, or Debian's python3) on a workload; waits until it is ready. RV_EUSAGE with the remedy
 * when PyTorch is missing. */
rv_status rv__peer_start(const char *workload, int threads, bool tiny, rv_peer **out);
/* Run n steps; their times in ms to ms[0 .. *got). */
rv_status rv__peer_steps(rv_peer *p, int n, double *ms, int *got);
void rv__peer_stop(rv_peer *p);

#endif

/* A process that runs steps of a workload when told to: ravel itself (server.h), or a peer framework (peer.py). For
 * measuring in alternation. */
#ifndef RV_BENCH_PEER_H
#define RV_BENCH_PEER_H

#include <jansson.h>

#include "base/status.h"

typedef enum { RV_PEER_RAVEL, RV_PEER_PYTORCH } rv_peer_kind;
typedef struct rv_peer rv_peer;
/* Start it on a workload; waits until it is ready. PyTorch runs in $PYTHON, or Debian's python3; RV_EUSAGE with the
 * remedy when it is missing. */
rv_status rv__peer_start(rv_peer_kind kind, const char *workload, int threads, bool tiny, rv_peer **out);
/* What it said of itself when it was ready; the peer's. */
const json_t *rv__peer_about(const rv_peer *p);
/* Run n steps; the answer, to be freed by json_decref, has "phases_ms": n arrays. */
rv_status rv__peer_steps(rv_peer *p, int n, json_t **answer);
void rv__peer_stop(rv_peer *p);

#endif

/* The fixed workloads: identical work for ravel and its peers (tools/bench/README.md has the details). */
#ifndef RV_BENCH_WORKLOAD_H
#define RV_BENCH_WORKLOAD_H

#include "ravel.h"

typedef struct {
    const char *name;
    rv_model_config model; /* a language model or, with S > 0, an encoder-decoder */
    int64_t B, S, T;
    double label_smoothing;
    int beam; /* > 0: no training: B sources are translated to T tokens each by beam search (1: greedy), or
               * B single tokens continued greedily to T by a language model */
} rv_workload;

/* All of them, closed by a NULL name. tiny: d=32, B=4, T=8, V=64 and the same number of layers. */
const rv_workload *rv__workloads(bool tiny);

typedef struct rv_workload_run rv_workload_run;
/* Model, optimiser (in training) and four random batches of a workload. */
rv_status rv__workload_open(const rv_workload *w, rv_workload_run **out);
void rv__workload_close(rv_workload_run *r);

enum { RV_PHASE_FORWARD, RV_PHASE_BACKWARD, RV_PHASE_CLIP, RV_PHASE_OPTIMISER, RV_PHASES };
/* One training step, clipped to norm 1 and updated by Adam at 1e-3, or one translated batch; seconds[RV_PHASES] get the
 * phases' times, of which decoding has only the first. */
rv_status rv__workload_step(rv_workload_run *r, double *seconds);
int rv__workload_phases(const rv_workload_run *r); /* RV_PHASES, or 1 */
/* FLOPs of a step: 6 per weight and position it is applied to, 12 T d per attention layer and position; a third of it
 * in decoding, where each of a beam's rows counts and attention covers the positions so far. */
double rv__workload_flops(const rv_workload_run *r);
int64_t rv__workload_bytes(const rv_workload_run *r); /* arenas, gradients, parameters, optimiser state */
int64_t rv__workload_params(const rv_workload_run *r);
double rv__workload_loss(const rv_workload_run *r); /* of the latest step */
/* Hash of the parameters, of the latest step's loss and of what all that it decoded scored: equal bits, equal hash. */
rv_status rv__workload_hash(const rv_workload_run *r, char out[RV_CK_HASH_TEXT]);

#endif

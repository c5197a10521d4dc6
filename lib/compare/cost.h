/** What a model costs by length of the sequence and number of threads: time, memory, work. */
#ifndef RV_COMPARE_COST_H
#define RV_COMPARE_COST_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config.h"

enum { RV_COST_LENGTHS = 32, RV_COST_THREADS = 16 };
typedef struct {
    int n_lengths, n_threads;
    int64_t length[RV_COST_LENGTHS];
    int threads[RV_COST_THREADS];
    int64_t batch;  /**< sequences; 0: tokens / length of them, at least 1 */
    int64_t tokens; /**< used with batch 0 */
    bool forward, backward, decode;
    int warmup, repeats;
    double max_seconds; /**< of one measurement; repeats are cut (to no fewer than 3) to keep it. 0: no limit */
} rv_cost_spec;

/** Sequences at this length: spec->batch, or as many as make spec->tokens. */
RV_API int64_t rv_cost_batch(const rv_cost_spec *spec, int64_t length);

/** One length on the threads that rv_set_threads has set, in this process: the rows of "cells" in cost/MODEL.rN.json
 * that belong to it, appended to `cells`. The model has random weights and tgt_vocab tokens, or tags (src_vocab in the
 * source of a translation, and of what reads no other); its input is random, words another one at each position.
 * Forward and backward are those of a training step (encoder-decoder: source and target of this length), so dropout
 * drops; forward records, and above 1024 classes it also makes the gradients of the head (rv_linear_cross_entropy):
 * their sum is what to compare. Decode makes `length` tokens greedily for every sequence without stopping at <eos>, a
 * translation after encoding its source; a regressor makes no tokens, and a model whose mask lets it see the future no
 * steps: they have no such row. A learned table of positions is made long enough.
 *
 *  "flops": from shapes, backward as twice forward, attention over the positions that a mask leaves. "flops_counted":
 * by the kernels (kernels/flops.h), whose backward of attention makes the scores again. "step_bytes": forward what the
 * tape holds before backward; backward with the gradients; decode with the state that is carried (for a transformer its
 * cache). "peak_bytes": the most that the process has had so far, decode before forward before backward; so measure
 * each length in a process of its own (rv_cost_run). Errors: RV_EUSAGE for a model that counts, RV_ENOMEM. */
RV_API rv_status rv_cost_measure(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab,
                                 const rv_cost_spec *spec, int64_t length, json_t *cells);
/** Parameters of the model that is measured, its table of positions as long as the configuration has it. */
RV_API rv_status rv_cost_parameters(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab, int64_t *parameters);

/** Write the whole of cost/MODEL.rN.json, one round, to `path` (folders are made; it appears whole or not at all): each
 * of spec's threads and lengths in a process of its own, one at a time (see lib/compare/README.md), each `self compare
 * --cost-worker` ("/proc/self/exe" starts this program again). That program must hand its standard input and output to
 * rv_cost_serve. Nothing else should run meanwhile. A length for which there is no memory is left out with a warning.
 * Errors: RV_EINTERNAL when a process ends early, those of the measurement, what rv_stop_requested says, RV_EDATA when
 * the file cannot be written. */
RV_API rv_status rv_cost_run(const rv_config *config, const char *model, int64_t src_vocab, int64_t tgt_vocab,
                             const rv_cost_spec *spec, const char *path, const char *self);
/** The other side: answer one request of rv_cost_run. In the command: hidden option --cost-worker of `ravel compare`,
 * which calls rv_cost_serve(stdin, stdout) and ends with its status. */
RV_API rv_status rv_cost_serve(FILE *in, FILE *out);

#endif

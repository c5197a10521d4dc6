/** What a model costs by length of the sequence and number of threads: time, memory, work. */
#ifndef RV_COMPARE_COST_H
#define RV_COMPARE_COST_H

#include <jansson.h>
#include <stdint.h>

#include "train/config.h"

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

/** One length on the threads that rv_set_threads has set, in this process: the rows of "cells" in cost/MODEL.json that belong
 *  to it, appended to `cells`. The model has random weights and vocab_size tokens; its input is random. Forward and backward are
 *  those of a training step (encoder-decoder: source and target of this length); decode makes `length` tokens greedily without
 *  stopping at <eos>. A learned table of positions is made long enough. */
RV_API rv_status rv_cost_measure(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab, const rv_cost_spec *spec, int64_t length, json_t *cells);

#endif

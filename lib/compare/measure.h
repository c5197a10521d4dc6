/** What a finished run is measured for beyond its validation: every test example alone, and how far gradients flow. */
#ifndef RV_COMPARE_MEASURE_H
#define RV_COMPARE_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

typedef struct {
    bool gradient_flow;  /**< measure it before training (the weights of the seed) and after */
    int64_t flow_length; /**< tokens; 0: as the data has them */
    int pictures;        /**< attention of the first so many test examples, where the model has any */
} rv_measure_options;

/** True if the examples of a run's folder were measured, by this version: a language model's were windows once. */
RV_API bool rv_measured(const char *dir, const rv_config *config);
/** Write examples.jsonl, gradient_flow.json and attention.json into the folder of a finished run (README.md has the
 *  formats), from its best checkpoint, or the last one where keep_best is 0. A file that is there already is left
 * alone; each appears whole or not at all. The same run gives the same bytes. Errors: those of rv_trained_open,
 * RV_EDATA with the path, what rv_stop_requested says. */
RV_API rv_status rv_measure_run(const char *dir, const rv_measure_options *options);

#endif

/** How far back a loss's gradient reaches: norms of dL/dh_t against the distance from the end
 *  [Hochreiter 1991; Bengio et al. 1994; Pascanu et al. 2013]. */
#ifndef RV_COMPARE_GRADIENT_FLOW_H
#define RV_COMPARE_GRADIENT_FLOW_H

#include <jansson.h>

#include "autograd/tape.h"
#include "train/task.h"

/** Measure the model of `task` as its parameters are, on the first validation examples, and give FLOW of README.md. L is the
 *  loss of the last token (language model), of the whole target (translation, h being states of the encoder), of the answer
 *  (regression). length: tokens of an example where the task is free to choose (language model); 0: the task's own.
 *  The tape is reset; nothing of the task changes. The same bits at any thread count. The caller decrefs *out. Errors: those of
 *  the tape, RV_EDATA without validation data, RV_ENOMEM. */
RV_API rv_status rv_gradient_flow(rv_tape *tape, rv_task *task, int64_t length, json_t **out);

/** Lag after which norm has halved, from a straight line through (lag, log norm) by least squares over the lags whose norm is
 *  positive and finite; NaN with fewer than 3 of them or a line that does not fall (flat: there is no half-life). */
RV_API double rv_half_life(int n, const double *lag, const double *norm);

#endif

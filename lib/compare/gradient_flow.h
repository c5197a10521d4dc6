/** How far back a loss's gradient reaches: norms of dL/dh_t against the distance from the end
 *  [Hochreiter 1991; Bengio et al. 1994; Pascanu et al. 2013]. */
#ifndef RV_COMPARE_GRADIENT_FLOW_H
#define RV_COMPARE_GRADIENT_FLOW_H

#include <jansson.h>

#include "autograd/tape.h"
#include "train/trained.h"

/** Measure the model of `task` as its parameters are, on the first validation examples (64 of them, or all), and give
 * FLOW of README.md. L is the loss of the last token of a window (language model), of the whole target (translation: h
 * are states of the encoder), of the answer (regression). r is what the head reads: for one token or answer a vector,
 * for a target all its positions' vectors taken as one. Norms are L2 over the width, |dL/dh| / |dL/dr| is taken example
 * by example, so that the scale of the loss drops out, and averaged. dL/dh is the total derivative: of a cell state c_t
 * it includes the way through h_t. The lag of h_t counts from the end of the sequence, in a reverse direction from its
 * beginning; of sequences of unequal length each lag's mean is over those that have it, as far as half of them do. A
 * norm below FLT_MIN counts as 0. States: of recurrent layers h and c, of transformer layers the residual stream that
 * enters each. length: tokens of an example where the task is free to choose (language model; cut to the positions that
 * the model has and to the validation part), 0: the task's own. The tape is reset; nothing of the task changes. The
 * same bits at any thread count. The caller decrefs *out. Errors: those of the tape, RV_EDATA without validation data,
 * RV_ENOMEM, what rv_stop_requested says. */
RV_API rv_status rv_gradient_flow(rv_tape *tape, rv_task *task, int64_t length, json_t **out);

/** Measure a trained model, opened with its data, with the weights that its seed gives and with those that it has:
 * {"before": FLOW, "after": FLOW}, the content of gradient_flow.json. The model stays as it is. The caller decrefs
 * *out. Errors: the same. */
RV_API rv_status rv_gradient_flow_trained(rv_tape *tape, const rv_trained *t, int64_t length, json_t **out);

/** A line that needs more than so many times the span of its lags to halve is flat. */
enum { RV_FLAT_SPANS = 10 };
/** Lag after which norm has halved, from a straight line through (lag, log norm) by least squares over the lags whose
 * norm is positive and finite; NaN with fewer than 3 of them or a line that is flat, rises or does not fit (R^2 below
 * 0.9): there is no exponential fall. */
RV_API double rv_half_life(int n, const double *lag, const double *norm);

#endif

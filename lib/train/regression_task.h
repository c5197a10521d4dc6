/** What a regression task holds, for measurements. */
#ifndef RV_TRAIN_REGRESSION_TASK_H
#define RV_TRAIN_REGRESSION_TASK_H

#include "data/adding.h"
#include "models/sequence_regressor.h"
#include "train/task.h"

/** The model of a task of kind regression; owned by the task, NULL for one of another kind. A pass over inputs of
 * one's own: rv_sequence_regressor_forward, which also gives the pooled vector and the output. */
RV_API rv_sequence_regressor *rv_regression_task_model(rv_task *task);
/** Examples of a part: how many validation and test have; the training part never ends and counts as many as
 * validation. 0 of a task of another kind. */
RV_API int64_t rv_regression_task_count(const rv_task *task, rv_subset subset);
/** Examples [first, first + n) of a part, n at most train.batch.size, into arrays of the task's that hold until the
 * next such call and the next rv_task_kind.evaluate or examples. RV_EUSAGE when n or first is out of range, and of a
 * task of another kind. */
RV_API rv_status rv_regression_task_fetch(rv_task *task, rv_subset subset, int64_t first, int64_t n, const rv_adding_batch **out);

#endif

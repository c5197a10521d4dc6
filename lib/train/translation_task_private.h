/* What the two files of the task translation know of each other. */
#ifndef RV_TRAIN_TRANSLATION_TASK_PRIVATE_H
#define RV_TRAIN_TRANSLATION_TASK_PRIVATE_H

#include "data/pair_batch.h"
#include "train/translation_task.h"

const rv_pair_batch_spec *rv__translation_task_spec(const rv_task *task);
rv_status rv__translation_check(rv_task *task, rv_subset subset, bool watched);
rv_status rv__translation_evaluate(rv_tape *tape, rv_task *task, rv_subset subset, bool final, rv_metrics_result *out);
rv_status rv__translation_examples(rv_tape *tape, rv_task *task, rv_subset subset, rv_example_sink sink, void *ctx);

#endif

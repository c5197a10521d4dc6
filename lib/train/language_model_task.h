/** What a language-model task holds, for generation and summaries. */
#ifndef RV_TRAIN_LANGUAGE_MODEL_TASK_H
#define RV_TRAIN_LANGUAGE_MODEL_TASK_H

#include "data/tokenizer.h"
#include "models/language_model.h"
#include "train/task.h"

/** The parts of a task of kind language_model; owned by the task. */
RV_API rv_lm *rv_lm_task_model(rv_task *task);
RV_API rv_tokenizer *rv_lm_task_tokenizer(rv_task *task);

#endif

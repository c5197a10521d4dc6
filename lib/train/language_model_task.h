/** What a language-model task holds, for generation and summaries. */
#ifndef RV_TRAIN_LANGUAGE_MODEL_TASK_H
#define RV_TRAIN_LANGUAGE_MODEL_TASK_H

#include "data/corpus.h"
#include "models/language_model.h"
#include "train/task.h"

/** The parts of a task of kind language_model; owned by the task. NULL (the length: 0) for a task of another kind. */
RV_API rv_lm *rv_lm_task_model(rv_task *task);
RV_API rv_tokenizer *rv_lm_task_tokenizer(rv_task *task);
RV_API const rv_corpus *rv_lm_task_corpus(const rv_task *task);
/** Tokens of a window: train.batch.length. */
RV_API int64_t rv_lm_task_length(const rv_task *task);

#endif

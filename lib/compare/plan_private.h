/* What making a plan and timing its models share. */
#ifndef RV_PLAN_PRIVATE_H
#define RV_PLAN_PRIVATE_H

#include "train/task.h"

/* A model as a configuration has it, on its data. */
typedef struct {
    rv_config *config;
    rv_params *params;
    rv_task *task;
} rv__built;

/* Seconds of a training step per token on all threads: *first those of b, and with `other` (or NULL), *ratio: how many
 * times as long that takes. Both are medians over steps; two models take turns on batches of the same number, so that
 * what else the machine does, and how long a batch's sequences are, touches both. */
rv_status rv__time_steps(rv__built *b, rv__built *other, double *first, double *ratio);

#endif

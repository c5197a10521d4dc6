/** From the experiment's keys to an optimiser and a schedule. */
#ifndef RV_TRAIN_OPTIM_CONFIG_H
#define RV_TRAIN_OPTIM_CONFIG_H

#include "optim/optim.h"
#include "optim/schedule.h"
#include "config/config.h"

/** The optimiser of train.optimizer over materialised params. */
RV_API rv_status rv_optim_from_config(const rv_config *config, rv_params *params, rv_optim **out);
/** The schedule of train.lr_scheduler. maximise: the watched metric is better when larger (for plateau). */
RV_API rv_status rv_schedule_from_config(const rv_config *config, bool maximise, rv_schedule *out);

#endif

/** Parts of a model that training leaves as they are: train.freeze. */
#ifndef RV_TRAIN_FREEZE_H
#define RV_TRAIN_FREEZE_H

#include "config/config.h"
#include "nn/params.h"

/** Freeze the parameters that train.freeze names, whole or by their beginning up to a dot. A table that several parts
 *  share is meant under each of its names. RV_EUSAGE if an entry names none, or nothing is left to train. */
RV_API rv_status rv_freeze(const rv_config *config, rv_params *params);

#endif

/** From the experiment's keys to the model's settings. */
#ifndef RV_TRAIN_LM_CONFIG_H
#define RV_TRAIN_LM_CONFIG_H

#include "models/language_model.h"
#include "train/config.h"

/** The settings of a language model over `vocab_size` tokens, read from model.* (checked before: cannot fail). */
RV_API rv_lm_config rv_lm_config_read(const rv_config *config, int64_t vocab_size);

#endif

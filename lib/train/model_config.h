/** From the experiment's keys to the models' settings. */
#ifndef RV_TRAIN_MODEL_CONFIG_H
#define RV_TRAIN_MODEL_CONFIG_H

#include "models/language_model.h"
#include "models/seq2seq.h"
#include "models/sequence_regressor.h"
#include "config/config.h"

/** The settings of a language model over `vocab_size` tokens, read from model.* (checked before: cannot fail). */
RV_API rv_lm_config rv_lm_config_read(const rv_config *config, int64_t vocab_size);
/** Those of an encoder-decoder; max_length: positions that a learned table holds. */
RV_API rv_seq2seq_config rv_seq2seq_config_read(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab, int64_t max_length);
/** Those of a regressor from `inputs` numbers a step to `outputs` numbers. */
RV_API rv_sequence_regressor_config rv_sequence_regressor_config_read(const rv_config *config, int64_t inputs, int64_t outputs);

#endif

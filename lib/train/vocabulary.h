/* The vocabulary that a run does not make: its own, of a checkpoint, or another run's (tokenizer.from). */
#ifndef RV_TRAIN_VOCABULARY_H
#define RV_TRAIN_VOCABULARY_H

#include "config/config.h"
#include "data/tokenizer.h"
#include "io/checkpoint.h"

/* For one text: of `saved`, or with saved NULL of tokenizer.from. *out NULL: it is to be made. `needs`: what needs
 * <pad>, <bos> and <eos> in it, or NULL. */
rv_status rv__vocabulary_one(const rv_config *config, const rv_checkpoint *saved, const char *needs,
                             rv_tokenizer **out);
/* The letters of words, likewise; *out NULL, too, where the other run has none. */
rv_status rv__vocabulary_letters(const rv_config *config, const rv_checkpoint *saved, rv_tokenizer **out);
/* For two languages: *joint tells whether they have one, *src and *tgt alike. */
rv_status rv__vocabulary_pair(const rv_config *config, const rv_checkpoint *saved, bool *joint, rv_tokenizer **src,
                              rv_tokenizer **tgt);

#endif

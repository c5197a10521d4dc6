/* What sources of texts share. */
#ifndef RV_TRAIN_SOURCE_PRIVATE_H
#define RV_TRAIN_SOURCE_PRIVATE_H

#include "train/source.h"

/* The settings of tokenizer.*. */
rv_tokenizer_spec rv__tokenizer_spec(const rv_config *c);
/* Read the tokenizer `name` ("" if there is only one) from a checkpoint. */
rv_status rv__tokenizer_open(const rv_checkpoint *saved, const char *name, rv_tokenizer **out);

/* Where a checkpoint keeps the names of classes, a line each. */
extern const char rv__classes_path[];

/* Where it keeps the scheme of tags that mark spans, of an rv_source. */
extern const rv_field rv__span_fields[];

/* These names: *n of them, in *text; both for rv_free. RV_ECKPT: there are none, so that it is not `of` that. */
rv_status rv__classes_open(const rv_checkpoint *saved, const char *of, char **text, const char ***names, int *n);

/* "training", "validation" or "test". */
const char *rv__part_name(rv_subset subset);
/* RV_EDATA: the data has no such part. */
rv_status rv__no_part(rv_subset subset);

/* Warn of data.train_fraction or test_fraction (key) if the experiment gives it, though the data set has `what`. A run
 * that goes on was told when it began, and of what a checkpoint keeps all keys are given. */
void rv__fraction_unused(const rv_config *c, const rv_checkpoint *saved, const char *key, const char *what);
/* What is held back of train's rows for the parts that there is no file of, which valid and test name, or NULL. */
void rv__fractions(const rv_config *c, const rv_checkpoint *saved, const char *valid, const char *test,
                   double *train_fraction, double *test_fraction);

/* train.replace_rare, or 0 where it does not apply. */
double rv__replace_rare(const rv_config *c);
/* Words of a line, between blanks. */
int64_t rv__words_of(const char *line);
/* Log how much of a part's side ("", "source ", "target ") is unknown, if anything is. */
void rv__say_unknown(rv_subset subset, const char *side, int64_t unknown, int64_t tokens);
/* PREFIX.LANGUAGE, or PREFIX itself without a language; FILE.gz if there is only that. */
rv_status rv__file_of(const char *prefix, const char *language, char *buf, size_t size, const char **out);

/* True if early stopping watches this metric. */
bool rv__watches(const rv_config *c, const char *metric);

#endif

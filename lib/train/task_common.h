/* What the tasks over tokens share. */
#ifndef RV_TRAIN_TASK_COMMON_H
#define RV_TRAIN_TASK_COMMON_H

#include "data/batch.h"
#include "data/tokenizer.h"
#include "models/language_model.h"
#include "train/task.h"

/* A tokenizer and the two texts that checkpoints keep of it, under /tokenizer/ or /tokenizer/NAME/. */
typedef struct {
    rv_text vocab, merges;
} rv__saved_tokenizer;

/* The settings of tokenizer.*. */
rv_tokenizer_spec rv__tokenizer_spec(const rv_config *c);
/* Read the tokenizer `name` ("" if there is only one) from a checkpoint. */
rv_status rv__tokenizer_open(const rv_checkpoint *saved, const char *name, rv_tokenizer **out);
void rv__tokenizer_items(rv_items *items, const char *name, const rv__saved_tokenizer *t);
void rv__saved_tokenizer_free(rv__saved_tokenizer *t);

/* The cursor in the data, as checkpoints keep it. */
extern const rv_field rv__cursor_fields[];
/* RV_ECKPT unless the data that the checkpoint was trained on has this hash. */
rv_status rv__check_corpus(const rv_checkpoint *saved, uint64_t hash);

/* True if this metric is to be measured: the loss always is, and so is what early stopping watches. */
bool rv__wants_metric(const rv_config *c, const char *metric);
void rv__add_metric(const rv_config *c, rv_metrics_result *r, const char *name, double value);

/* The most probable id at each position, ties to the lower id: out (B, T), batch-major. */
void rv__argmax(const rv_lm *lm, const rv_tensor *logits, int64_t B, int64_t T, int32_t *out);
/* Positions whose most probable id is the target y (B, T); those with y < 0 do not count. */
int64_t rv__count_correct(const rv_lm *lm, const rv_tensor *logits, const int32_t *y, int64_t B, int64_t T);

#endif

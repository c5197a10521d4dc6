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

/* "training", "validation" or "test". */
const char *rv__part_name(rv_subset subset);
/* RV_EDATA: the data has no such part. */
rv_status rv__no_part(rv_subset subset);

/* train.replace_rare, or 0 where it does not apply. */
double rv__replace_rare(const rv_config *c);
/* Words of a line, between blanks. */
int64_t rv__words_of(const char *line);
/* Log how much of a part's side ("", "source ", "target ") is unknown, if anything is. */
void rv__say_unknown(rv_subset subset, const char *side, int64_t unknown, int64_t tokens);

/* True if early stopping watches this metric. */
bool rv__watches(const rv_config *c, const char *metric);
/* True if this metric is to be measured: the loss always is, and so is what early stopping watches. */
bool rv__wants_metric(const rv_config *c, const char *metric);
void rv__add_metric(const rv_config *c, rv_metrics_result *r, const char *name, double value);

/* The most probable id at each position, ties to the lower id: out (B, T), batch-major. */
void rv__argmax(const rv_lm *lm, const rv_tensor *logits, int64_t B, int64_t T, int32_t *out);
/* What one example adds to a corpus's measures. */
typedef struct {
    double nats;             /* summed over its targets */
    int64_t tokens, correct; /* targets, and those that were the most probable id */
} rv__score;
/* Each target alone, as rv_lm_score, in memory of the tape. */
rv_status rv__score_targets(rv_tape *tape, rv_lm *lm, const int32_t *x, const int32_t *y, int64_t B, int64_t T,
                            rv_decoder_state *state, const rv_memory *memory, const double **nats,
                            const int32_t **best);
/* The sums of each row. */
void rv__score_sum_rows(const double *nats, const int32_t *best, const int32_t *y, int64_t B, int64_t T,
                        rv__score *score);
/* Score each of the B rows of ids x against the targets y (B, T), teacher-forced (rv_lm_score), into score (B): a row's depends on that
 * row alone. */
rv_status rv__score_rows(rv_tape *tape, rv_lm *lm, const int32_t *x, const int32_t *y, int64_t B, int64_t T, rv_decoder_state *state,
                         const rv_memory *memory, rv__score *score);
/* Their sum, added in order. */
rv__score rv__score_sum(int64_t n, const rv__score *score);

#endif

/* What making a plan, building its models and timing them share. */
#ifndef RV_PLAN_PRIVATE_H
#define RV_PLAN_PRIVATE_H

#include <jansson.h>

#include "train/task.h"

/* A model as a configuration has it, on its data. */
typedef struct {
    rv_config *config;
    rv_params *params;
    rv_task *task;
} rv__built;
/* A model as its file has it, with the assignments of the lists (rv__model_config). saved: a checkpoint whose tokenizer
 * it takes, or NULL. After an error there is nothing to discard. */
rv_status rv__build(const json_t *model, const json_t *set, const json_t *more, const rv_checkpoint *saved,
                    bool with_data, rv__built *b);
/* The same model with other assignments, on the data that it has, from the first batch on. */
rv_status rv__rebuild(rv__built *b, const json_t *model, const json_t *set, const json_t *more);
void rv__discard(rv__built *b);
/* Its tokenizer, as a checkpoint in memory. */
rv_status rv__keep_vocabulary(const rv__built *b, rv_checkpoint **out);

/* ---- budgets */

typedef struct {
    int64_t steps, tokens;
} rv__budget;
/* compare.budget or compare.tune: true with its unit and amount. */
bool rv__budget_of(const rv_config *comparison, const char *section, bool *tokens, int64_t *amount);
/* What the section's budget is of a model whose batches are those of `seed`: whole steps; of one that counts the step
 * that it takes. */
rv_status rv__spend(const rv_config *comparison, const char *section, const json_t *model, const json_t *set,
                    int64_t seed, const rv_checkpoint *vocabulary, rv__budget *out);

/* What a model amounts to. */
typedef struct {
    int64_t parameters, embedding; /* of them, in tables of tokens and positions that are only looked up */
    double flops_per_token;
    int64_t src_vocab, tgt_vocab; /* the latter of what is told at each position: tokens, or tags */
} rv__size;
rv__size rv__size_of_model(const rv__built *b);

/* Seconds of a training step per token on all threads: *first those of b, and with `other` (or NULL), *ratio: how many
 * times as long that takes. Both are medians over steps; two models take turns on batches of the same number, so that
 * what else the machine does, and how long a batch's sequences are, touches both. */
rv_status rv__time_steps(rv__built *b, rv__built *other, double *first, double *ratio);

/* Says how many seconds a step of the model on so many tokens took, in place of the clock; NULL: the clock says it.
 * Tests set one, so that what they expect of a machine that is steady, or is not, does not rest on theirs. */
typedef double (*rv__step_clock)(void *user, const rv_config *model, int64_t tokens);
void rv__step_set_clock(rv__step_clock clock, void *user);

/* ---- pace: whether the machine stays as fast as it was */

/* Times of one model, each the median of a measurement, in seconds a token. */
typedef struct {
    int n;
    double first, least, greatest;
} rv__pace;
/* By what share the greatest time is above the least. */
double rv__drift(double least, double greatest);
/* Add a time; false, and it is not added, where times would then drift by more than the tolerance. */
bool rv__pace_take(rv__pace *p, double seconds, double tolerance);

/* The reference, beside which the others are timed. */
typedef struct {
    const char *label, *where; /* the latter: of what asks for it, for messages */
    const json_t *model, *set;
    rv__built *b;
    double tolerance;
    rv__pace pace, seen; /* without times that drift; with them */
} rv__pacemaker;
/* Time the reference before all others: its first time is one that two measurements in a row agree on. These three
 * measure again, a few times, what drifts; RV_EDATA where it still does. */
rv_status rv__pace_first(rv__pacemaker *r);
/* Time it beside another model, built with the assignments `more`: *ratio is how many times as long that takes. */
rv_status rv__pace_beside(rv__pacemaker *r, rv__built *other, const json_t *model, const json_t *more, double *ratio);
/* Time it once more, alone. */
rv_status rv__pace_alone(rv__pacemaker *r);

#endif

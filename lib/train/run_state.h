/** The state of a run as checkpoints keep it, and the road there and back. */
#ifndef RV_TRAIN_RUN_STATE_H
#define RV_TRAIN_RUN_STATE_H

#include "io/run_dir.h"
#include "optim/optim.h"
#include "optim/schedule.h"
#include "train/task.h"

enum { RV_BEST_MAX = 16 }; /**< most checkpoints that keep_best can ask for */

/** The trainer's own numbers. */
typedef struct {
    int64_t step; /**< updates done */
    int64_t epoch;
    int64_t tokens;                 /**< predictions trained on */
    double running_loss;            /**< exponential mean, for the progress bar */
    double best_value[RV_BEST_MAX]; /**< the watched metric's best values, best first ... */
    int64_t best_step[RV_BEST_MAX]; /**< ... and the steps that had them */
    int64_t n_best;
    char watched[32];        /**< that metric and its mode: "bleu max" */
    int64_t bad_validations; /**< in a row without a new best */
    int64_t stopped;         /**< 1: early stopping ended the run */
    int64_t unvalidated;     /**< 1: this step's validation is still to be done; a signal came first */
    rv_schedule_state schedule;
    uint64_t seed;
    uint64_t rng_step; /**< counter of the tape's random numbers */
} rv_run_state;

/** Parts that a checkpoint is made from. */
typedef struct {
    const rv_config *config;
    rv_task *task;
    rv_params *params;
    rv_optim *optim;
    rv_run_state *state;
} rv_run_parts;

typedef enum {
    RV_SAVE_NEW,
    RV_SAVE_AGAIN, /**< in the place of the checkpoint that this step has */
    RV_SAVE_TRY    /**< nothing stays: whether it works */
} rv_save_mode;
/** Write a checkpoint of the run into its folder. */
RV_API rv_status rv_run_save(const rv_run_parts *parts, rv_run_dir *dir, rv_save_mode mode);
/** Load parameters (and with optimiser and state where parts has them) from an open checkpoint. RV_ECKPT names the
 *  tensor that is missing, left over or of another shape. */
RV_API rv_status rv_run_restore(const rv_run_parts *parts, const rv_checkpoint *saved);
/** Compare the configuration with the one in the checkpoint: RV_ECKPT that names all keys of task, seed, init,
 *  model and tokenizer that differ, and says in words that init came or went; where init takes from does not matter any
 * more. */
RV_API rv_status rv_run_check_config(const rv_config *config, const rv_checkpoint *saved);
/** RV_EUSAGE that names all keys of task, model and tokenizer in which the configuration of a trained model, with what
 *  a command line assigns, is not the checkpoint's: they would have no effect, or make another model of its weights. */
RV_API rv_status rv_run_check_assigned(const rv_config *config, const rv_checkpoint *saved);
/** Warn of what may change and changes results: all keys of data and train that differ, and the learning rate if it
 *  jumps by them. train.epochs has become train.max_steps by now. */
RV_API rv_status rv_run_tell_changes(const rv_config *config, const rv_checkpoint *saved);
/** RV_ECKPT that names what differs unless two checkpoints are of one model: task, model, tokenizer, vocabulary. */
RV_API rv_status rv_run_check_same_model(const rv_checkpoint *a, const rv_checkpoint *b);
/** Parameters alone. */
RV_API rv_status rv_run_load_params(rv_params *params, const rv_checkpoint *saved);

/** The mean of the last n checkpoints (all, if there are fewer) beside them, as average.h5. */
rv_status rv_run_average_last(const rv_run_dir *dir, int n);

#endif

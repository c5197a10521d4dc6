/** The training loop: steps, validation, checkpoints, exact resume. */
#ifndef RV_TRAIN_TRAINER_H
#define RV_TRAIN_TRAINER_H

#include "config/config.h"

typedef struct {
    const char
        *resume;  /**< "auto": from the run folder's latest good checkpoint, if any; "never"; or a checkpoint file */
    bool dry_run; /**< run one batch, say what it costs, save nothing */
    bool (*on_step)(void *ctx, int64_t step,
                    double loss); /**< after each step, or NULL; false ends the run like SIGTERM */
    void *on_step_ctx;
} rv_train_options;

/** Train the experiment until max_steps, early stopping or a signal. Running it again on the same folder resumes; the
 *  resumed run's weights, optimiser, metrics and data order are bit-equal to those of a run that was never stopped.
 *  Returns RV_OK when the run is complete (also when it was already), RV_ETERM / RV_EINT after saving on a signal,
 *  RV_EDIVERGED on NaN or Inf (seen before the update; the state before the step is saved), RV_ECKPT after three
 *  failed saves in a row. train.epochs of `config` becomes train.max_steps, once the data are read. */
RV_API rv_status rv_train(rv_config *config, const rv_train_options *options);

#endif

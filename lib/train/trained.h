/** A trained model opened for use: from a run's folder (its best checkpoint) or a checkpoint file, which carries its
 * own configuration and tokenizer. */
#ifndef RV_TRAIN_TRAINED_H
#define RV_TRAIN_TRAINED_H

#include "train/task.h"

typedef struct {
    char path[4096]; /**< of the checkpoint */
    rv_config *config;
    rv_checkpoint *saved;
    rv_params *params;
    rv_task *task;
} rv_trained;

/** Open `path`: a checkpoint, or a run's folder (best.h5 if there is one, else the latest). If that one is damaged,
 * RV_ECKPT that names the latest good one: what is measured and used is never another step than the run would show.
 * overrides are applied to the configuration in the checkpoint. with_data: load the data set too; a warning if its
 * text is not that of the training, unless overrides give data of their own. On an error nothing is kept. Release with
 * rv_trained_close. */
RV_API rv_status rv_trained_open(const char *path, int n_overrides, const char *const *overrides, bool with_data,
                                 rv_trained *out);
RV_API void rv_trained_close(rv_trained *t);

#endif

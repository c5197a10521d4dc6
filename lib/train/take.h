/** What a model begins with instead of random numbers: parts of trained ones (init), and vectors of words. */
#ifndef RV_TRAIN_TAKE_H
#define RV_TRAIN_TAKE_H

#include "config/config.h"
#include "train/task.h"

/** Copy what the entries of init name into the parameters, in their order, and say what was taken and what was not.
 *  `task` tells this run's vocabulary, which must be the other one's where an embedding or an output layer is taken, as
 * its classes must be where an output layer of classes is. RV_EUSAGE if a part is not there, or has no place; RV_ECKPT
 * if a file cannot be read or a tensor does not fit: then params may have been changed. All messages name the entry. */
RV_API rv_status rv_take_parts(const rv_config *config, rv_task *task, rv_params *params);
/** Write the vectors of the file that model.init.vectors names into the rows of encoder.embedding.weight whose words it
 *  has, and say how many these are; nothing where the key is not given. `task` tells the vocabulary. Errors, which say
 *  where the key stands: those of rv_vectors_read, after which params may have been changed; RV_EDATA if the file has
 *  no word of the vocabulary. */
RV_API rv_status rv_take_vectors(const rv_config *config, rv_task *task, rv_params *params);

#endif

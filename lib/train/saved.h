/* The checkpoint that a run's folder, or a file, stands for. */
#ifndef RV_TRAIN_SAVED_H
#define RV_TRAIN_SAVED_H

#include "io/run_dir.h"

/* Open `named`: a checkpoint, or a run's folder (best.h5 if there is one, else the latest); `path` gets which file. If
 * that one is damaged, RV_ECKPT that names the latest good one. The caller closes *out. */
rv_status rv__saved_open(const char *named, char path[RV_PATH_MAX], rv_checkpoint **out);

#endif

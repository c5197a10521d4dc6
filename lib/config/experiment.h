/** Experiments by name: a folder experiments/NAME/ with YAML files, of the working directory or where ravel is
 * installed.
 *
 *  They are looked for in $RAVEL_EXPERIMENTS (if set, there alone), ./experiments, then where ravel is installed, as
 * data sets are (data/dataset.h). NAME stands for NAME/compare.yaml where a comparison is wanted, else for
 * NAME/NAME.yaml, or the only experiment of the folder; NAME/FILE for NAME/FILE.yaml. */
#ifndef RV_CONFIG_EXPERIMENT_H
#define RV_CONFIG_EXPERIMENT_H

#include "io/run_dir.h"
#include "config/config.h"

/** The file that `named` stands for, into path: an existing file, and whatever ends in .yaml or .yml, stands for
 * itself. RV_EUSAGE that names what there is. */
RV_API rv_status rv_experiment_find(const char *named, bool comparison, char path[RV_PATH_MAX]);
/** rv_experiment_find, rv_config_load_experiment and rv_config_tell. */
RV_API rv_status rv_experiment_load(const char *named, int n_overrides, const char *const *overrides, rv_config **out);
/** True if `named` is an experiment's file or name, false if it is a run's folder or a checkpoint. */
RV_API bool rv_experiment_is(const char *named);
/** Call `each` with every "NAME/FILE" and its path, sorted, until it returns false. RV_EUSAGE if there are none: says
 * where they were looked for. */
RV_API rv_status rv_experiment_each(bool (*each)(void *arg, const char *name, const char *path), void *arg);

#endif

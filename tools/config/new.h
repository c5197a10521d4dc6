/* ravel config new: the beginning of an experiment file. */
#ifndef RV_TOOLS_CONFIG_NEW_H
#define RV_TOOLS_CONFIG_NEW_H

#include "ravel.h"

typedef struct {
    const char *what;                 /* a task, or "compare" */
    const char *train, *valid, *test; /* files of a task that learns from files, or NULL */
    char **model;                     /* experiment files of a comparison */
    int models;
} rv__config_new_options;

/* Print the file to stdout. Errors: RV_EUSAGE (no such task; files too few or too many), RV_EDATA (a file cannot be
 * read). */
rv_status rv__config_new(const rv__config_new_options *o);

#endif

/* Running the cells of a comparison: each in a process of its own. */
#ifndef RV_TOOLS_COMPARE_JOBS_H
#define RV_TOOLS_COMPARE_JOBS_H

#include "compare/comparison.h"

typedef struct {
    int jobs; /* processes at once */
    int n_overrides;
    const char *const *overrides; /* handed on to them */
} rv__jobs_options;

/* Run every cell that is not complete, and wait for those that other processes run. Returns the exit code: 0 when all
 * are complete, a failed cell's, 75 or 130 after a signal. */
int rv__jobs_run(const rv_comparison *c, const rv__jobs_options *options);

/* "bahdanau, length=50, seed 2" into text. */
void rv__cell_title(const rv_cell_info *cell, char *text, size_t size);

#endif

/* What 'ravel compare --dry-run' prints. */
#ifndef RV_TOOLS_COMPARE_DRY_RUN_H
#define RV_TOOLS_COMPARE_DRY_RUN_H

#include "compare/comparison.h"

/* The plan: sizes and steps of every model in every setting, what was matched, the cells, and the time to expect. */
rv_status rv__dry_run(const rv_comparison *c);

#endif

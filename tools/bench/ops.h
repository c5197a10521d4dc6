/** The micro-benchmark that every op has through its sample cases. */
#ifndef RV_TOOLS_BENCH_OPS_H
#define RV_TOOLS_BENCH_OPS_H

#include <stdio.h>

#include "base/status.h"

/** Print one line per op and sample case: elements of the output, and the median microseconds of the forward pass
 * (which records) and of backward, with the threads and the instruction set in use. Errors: RV_ENOMEM, or the op's own.
 */
rv_status rv__bench_ops(FILE *out);

#endif

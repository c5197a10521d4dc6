/** Averaging parameter sets, for example a run's last checkpoints. */
#ifndef RV_OPTIM_AVERAGE_H
#define RV_OPTIM_AVERAGE_H

#include <stdint.h>

#include "tensor/tensor.h"

/** out[i] = mean of set[0][i] .. set[n-1][i] for `size` elements, added in double in the order of the sets; out may be
 *  one of the sets. n >= 1.                                            [Vaswani 2017, section 6.1] */
RV_API void rv_average(int n, const rv_real *const *set, int64_t size, rv_real *out);

#endif

/** Are the gradients right? Two independent ways to ask. Meaningful in double (-DRV_DOUBLE). */
#ifndef RV_AUTOGRAD_GRADCHECK_H
#define RV_AUTOGRAD_GRADCHECK_H

#include "autograd/tape.h"

typedef struct {
    double worst; /**< largest error found, beyond the outputs' rounding, relative to the larger of the two values (or
                       1% of the leaf's largest, or 1e-3) */
    int64_t checked;  /**< elements compared */
    int sample, leaf; /**< where the worst was found */
    int64_t elem;
    double analytic, numeric;
} rv_gradcheck_report;

/** All sample cases of op: backward of a fixed random weighting of its output against central differences (with eps
 *  1e-6; of smooth ops extrapolated from 1e-4 and 2e-4), for each element of small leaves and some of large ones. RV_OK
 * with a report, or the tape's error. */
RV_API rv_status rv_gradcheck(const rv_op *op, rv_gradcheck_report *report);

/** Builds a scalar loss on the tape from the tensors below and whatever `arg` holds. */
typedef rv_tensor *rv_loss_fn(rv_tape *tape, void *arg);

/** Taylor test of a whole model: L(x + h d) - L(x) - h g.d must shrink as h^2 for a random direction d over the n
 *  parameter tensors. *slope becomes the fitted power over four halvings from h = `h` (2 for a right gradient, 1 for
 *  a wrong one). The tensors own their gradients; their values are put back. h <= 0 stands for 1e-2. */
RV_API rv_status rv_taylor_slope(rv_tape *tape, rv_loss_fn *loss, void *arg, int n, rv_tensor *const *params, double h,
                                 double *slope);

#endif

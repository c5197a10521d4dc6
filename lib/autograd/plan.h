/* Gradient memory: offsets in one buffer by first and last use. */
#ifndef RV_AUTOGRAD_PLAN_H
#define RV_AUTOGRAD_PLAN_H

#include "autograd/tape.h"

/* Mark the nodes that `root` depends on as live and give every tensor that needs one a gradient buffer. */
rv_status rv__plan_gradients(rv_tape *tape, rv_tensor *root);
/* Fill the gradient buffer with NaN, so that reading a dead gradient shows. */
void rv__plan_poison(rv_tape *tape);

#endif

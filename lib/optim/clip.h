/** Clipping by the global norm of the gradient, and the check that it is finite. */
#ifndef RV_OPTIM_CLIP_H
#define RV_OPTIM_CLIP_H

#include "nn/params.h"

/** The Euclidean norm of all trainable parameters' gradients taken as one vector. Summed in double over fixed blocks
 *  in block order, so the bits do not depend on threads. Call after rv_params_finish_grad.
 *  Error: RV_EDIVERGED, naming the first parameter whose gradient holds a NaN or an Inf (*norm is then not finite);
 *  nothing has been updated at that point. */
RV_API rv_status rv_grad_norm(const rv_params *ps, double *norm);
/** What to multiply the gradient by: min(1, max_norm / (norm + 1e-6)), as PyTorch's clip_grad_norm_. max_norm <= 0:
 *  no clipping, 1.                                                                       [Pascanu 2013, algorithm 1] */
RV_API double rv_clip_factor(double norm, double max_norm);
/** RV_EDIVERGED naming the first parameter whose VALUES hold a NaN or an Inf; RV_OK if all are finite. */
RV_API rv_status rv_check_values(const rv_params *ps);

#endif

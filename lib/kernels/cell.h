/** The pointwise part of the recurrent cells: one row of a batch, some neighbouring hidden units, one time step.
 *  The products with the recurrent weights are the caller's (ops/recurrent.c). */
#ifndef RV_KERNELS_CELL_H
#define RV_KERNELS_CELL_H

#include "tensor/tensor.h"

/** Pointers at the first unit. A cell leaves alone what it has no use for. */
typedef struct rv_cell_row {
    int64_t n;      /**< units */
    int64_t stride; /**< from one gate of a unit to its next, in gate and db */
    rv_real
        *gate; /**< forward: pre-activations in, gates out; backward: gates in, their gradients before activation out */
    rv_real *hp; /**< GRU: U_n h' + b in, backward its gradient out. GRU reset-before: r h' out; backward only read */
    const rv_real *h_prev, *c_prev;
    rv_real *h, *c;     /**< the new state; c may be c_prev */
    const rv_real *dy;  /**< backward: gradient of h from outside, or NULL */
    rv_real *dh, *dc;   /**< backward: in, gradient of h and c from the next step; out, what goes to the previous step
                         *   directly (the caller adds what passes through the products) */
    const rv_real *dhp; /**< backward of GRU reset-before: gradient of r h' */
    rv_real *db;        /**< backward: gate gradients are added here, then hp's behind them */
} rv_cell_row;

#endif

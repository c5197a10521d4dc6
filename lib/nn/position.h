/** Positions for models that are blind to order: a vector per position, added to the embeddings. */
#ifndef RV_NN_POSITION_H
#define RV_NN_POSITION_H

#include "nn/params.h"
#include "ops/ops.h"

typedef enum { RV_POSITION_NONE, RV_POSITION_SINUSOIDAL, RV_POSITION_LEARNED } rv_position_kind;

typedef struct rv_position rv_position;
/** Vectors of D elements for positions 0 .. max_length - 1: none; sinusoidal, PE(p, 2i) = sin(p / 10000^(2i/D)) and
 *  PE(p, 2i+1) = cos of the same [Vaswani 2017, sec. 3.5]; or learned, the parameter PREFIX.weight (max_length, D) with
 *  this init. NULL: RV_ENOMEM. Free with rv_position_destroy. */
RV_API rv_position *rv_position_create(rv_params *ps, rv_position_kind kind, int64_t max_length, int64_t d,
                                       rv_init init, const char *prefix);
RV_API void rv_position_destroy(rv_position *p);
/** x (B, T, D) plus the vectors of positions start[b] + t; start NULL: from 0. Error: RV_EUSAGE behind max_length. */
RV_API rv_tensor *rv_position_add(rv_tape *tape, rv_position *p, rv_tensor *x, const int32_t *start);

#endif

/** Pooling: one vector for a whole sequence of states. */
#ifndef RV_NN_POOLING_H
#define RV_NN_POOLING_H

#include "nn/params.h"
#include "ops/ops.h"

typedef enum {
    RV_POOLING_LAST,      /**< the state at the last valid position */
    RV_POOLING_MEAN,      /**< the mean of the valid positions */
    RV_POOLING_ATTENTION, /**< sum of alpha_t h_t, alpha = softmax(v . u_t) over the valid positions, u_t = tanh(W h_t +
                           * b): additive attention [Bahdanau 2015, A.1.2] with a learned query [Yang 2016, eq. 5-7] */
} rv_pooling_kind;

typedef struct {
    rv_pooling_kind kind;
    int64_t input_size; /**< D, width of a state */
    int64_t size;       /**< attention: A, width of u */
    rv_init init;       /**< attention: of W and v; b is U(-1/sqrt(D), 1/sqrt(D)), as in nn.Linear */
} rv_pooling_config;

typedef struct rv_pooling rv_pooling;
/** Declare what attention needs: PREFIX.proj.weight (A, D), PREFIX.proj.bias (A), PREFIX.v.weight (1, A), which are
 *  nn.Linear(D, A) and nn.Linear(A, 1, bias=False). NULL: RV_ENOMEM. Free with rv_pooling_destroy. */
RV_API rv_pooling *rv_pooling_create(rv_params *ps, const rv_pooling_config *config, const char *prefix);
RV_API void rv_pooling_destroy(rv_pooling *p);
/** states (B, S, D) -> y (B, D), and with mean and attention the weights (B, S). lengths: B valid positions in [1, S],
 * or NULL when all are; kept by the caller until backward. last (B, D): what stands for the last state (a bidirectional
 * encoder's two ends), or NULL to take it from `states`. Both are NULL after an error. */
RV_API rv_pooled rv_pooling_forward(rv_tape *tape, const rv_pooling *p, rv_tensor *states, const int32_t *lengths,
                                    rv_tensor *last);

#endif

/** How well a language model predicts each token from nothing but those before it, without trusting its mask. */
#ifndef RV_EVALUATE_HONEST_LOSS_H
#define RV_EVALUATE_HONEST_LOSS_H

#include "models/model.h"

enum { RV_HONEST_WINDOWS = 16 }; /**< most windows of a text that are measured */

typedef struct {
    double honest;  /**< mean nats of each token, the model having run on the tokens before it alone */
    double claimed; /**< the same tokens' mean nats in one pass over each window, as in training */
    int64_t tokens;
} rv_honest_loss;

/** Of up to RV_HONEST_WINDOWS windows of T tokens each (fewer when the text is shorter), evenly spread over ids (n >=
 * 2), their choice a function of n and T alone. The model runs T times, on prefixes of T to 1 tokens of all windows:
 * work as T^2. No state is carried, nothing recorded or dropped. A model that does not see the future has honest =
 * claimed but for rounding. Resets the tape. Errors: what rv_stop_requested says, the tape's, RV_ENOMEM. */
RV_API rv_status rv_honest_loss_measure(rv_tape *tape, rv_model *lm, const int32_t *ids, int64_t n, int64_t T,
                                        rv_honest_loss *out);

#endif

/** Text from a language model, token by token, with a carried state or a key/value cache; a model whose mask lets it
 * see the future (rv_model_sees_future) is run on all that is there so far for each token. */
#ifndef RV_DECODE_GENERATE_H
#define RV_DECODE_GENERATE_H

#include "models/model.h"
#include "decode/sampling.h"

typedef struct {
    rv_sampler sampling;
    uint64_t seed;
    int64_t length;  /**< tokens to make */
    int64_t context; /**< the most positions a transformer may see; when they are full, the latest half is read again */
    int32_t never;   /**< an id that is not to be produced, such as <unk>'s; -1: none */
} rv_generate_options;

/** Called with each new token; anything but RV_OK ends the generation. */
typedef rv_status (*rv_token_sink)(void *ctx, int32_t id);

/** Continue the prompt (n >= 1 ids). The same arguments give the same tokens at any thread count. The tape is reset. */
RV_API rv_status rv_generate(rv_tape *tape, rv_model *lm, const int32_t *prompt, int64_t n,
                             const rv_generate_options *options, rv_token_sink sink, void *ctx);

#endif

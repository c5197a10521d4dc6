/** Next-token models: a decoder and a head that turns hidden states into logits.
 *
 *  Parameters: decoder.embedding.weight (V, E), the decoder's own, head.weight (V, D) unless tied to the embedding, and
 *  head.bias (V) if asked for. */
#ifndef RV_MODELS_LANGUAGE_MODEL_H
#define RV_MODELS_LANGUAGE_MODEL_H

#include "models/decoder.h"

typedef struct {
    rv_decoder_config decoder;
    bool tie_embeddings; /**< logits = h E^T: the hidden size must equal embedding_dim   [Press 2017] */
    bool head_bias;
    rv_init head_init;   /**< of head.weight when not tied; head.bias starts at 0 or PyTorch's uniform */
    rv_init head_bias_init;
} rv_lm_config;

typedef struct rv_lm rv_lm;

/** Declares all parameters in params. NULL without memory or, RV_EUSAGE, when the parts do not fit each other. Free with rv_lm_destroy; params stay the caller's. */
RV_API rv_lm *rv_lm_create(rv_params *params, const rv_lm_config *config);
RV_API void rv_lm_destroy(rv_lm *lm);
RV_API const rv_lm_config *rv_lm_get_config(const rv_lm *lm);
RV_API rv_decoder *rv_lm_decoder(const rv_lm *lm);
/** True if its mask lets a position's state depend on later tokens (RV_MASK_AFTER, RV_MASK_NONE): its loss is a lie, and it has to
 *  be run on whole prefixes instead of with a state. */
RV_API bool rv_lm_sees_future(const rv_lm *lm);
/** Logits (B T, V) for ids x (B, T), batch-major, copied. Rows are in the decoder's layout: see rv_lm_row. state and
 *  memory may be NULL, see rv_decoder_kind.forward. */
RV_API rv_tensor *rv_lm_logits(rv_tape *tape, rv_lm *lm, const int32_t *x, int64_t B, int64_t T, rv_decoder_state *state, const rv_memory *memory);
/** ids (B, T), batch-major, copied to the tape in the decoder's layout. NULL: sticky error. */
RV_API const int32_t *rv_lm_arrange(rv_tape *tape, const rv_lm *lm, const int32_t *ids, int64_t B, int64_t T);
/** The logits' row of (b, t). */
RV_API int64_t rv_lm_row(const rv_lm *lm, int64_t B, int64_t T, int64_t b, int64_t t);
/** Mean cross-entropy in nats of targets y (B, T), batch-major, -1 where none is wanted, from ids x as in rv_lm_logits; the
 *  logits are never stored (rv_linear_cross_entropy). -> scalar */
RV_API rv_tensor *rv_lm_loss(rv_tape *tape, rv_lm *lm, const int32_t *x, const int32_t *y, int64_t B, int64_t T, rv_decoder_state *state,
                             const rv_memory *memory, double label_smoothing);
/** The same from logits, for who needs both. */
RV_API rv_tensor *rv_lm_logits_loss(rv_tape *tape, rv_lm *lm, rv_tensor *logits, const int32_t *y, int64_t B, int64_t T, double label_smoothing);
/** Every target alone, from the same inputs: nats (B, T) is its negative log probability, 0 where none is wanted, and best (B, T) the
 *  most probable id there, of equals the lower one; both batch-major. Records nothing. False: sticky error. */
RV_API bool rv_lm_score(rv_tape *tape, rv_lm *lm, const int32_t *x, const int32_t *y, int64_t B, int64_t T, rv_decoder_state *state,
                        const rv_memory *memory, double *nats, int32_t *best);
/** A zero state of the decoder for B rows and `capacity` positions; free with the kind's state_destroy. */
RV_API rv_decoder_state *rv_lm_state_create(const rv_lm *lm, int64_t B, int64_t capacity);
/** Forward FLOPs per position of one parameter: two per weight of a matrix; none for rows that are only looked up. */
RV_API double rv_lm_weight_flops(const rv_lm *lm, const rv_param *p);
/** Forward FLOPs per position, two per multiply-add: 2 x weights it meets + attention over T positions. */
RV_API double rv_lm_flops(const rv_lm *lm, const rv_params *params, int64_t T);

#endif

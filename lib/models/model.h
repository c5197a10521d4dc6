/** A model: the parts that an experiment names. An encoder, a decoder and a head make an encoder-decoder; a decoder and
 *  a head a language model; an encoder and a head tell a class or a number of a sequence, or a tag of each word.
 *
 *  Any encoder goes with any decoder. Parameters: encoder.*, decoder.*, pooling.*, head.* with PyTorch's names and
 * shapes; head.weight is absent when it is tied to the decoder's embedding. */
#ifndef RV_MODELS_MODEL_H
#define RV_MODELS_MODEL_H

#include "models/batch.h"
#include "models/decoder.h"
#include "models/encoder.h"
#include "models/head.h"

typedef struct {
    rv_encoder_config encoder; /**< encoder.summarise is set by rv_model_create */
    rv_decoder_config decoder; /**< its memory_size and reverse_size are set from the encoder */
    rv_head_config head;
    bool tie_embeddings; /**< logits = h E^T: the decoder's states are as wide as its embedding   [Press 2017] */
    bool tie_source;     /**< source and target share one embedding: equal vocabularies and widths */
} rv_model_config;

typedef struct rv_model rv_model;

/** Declare all parameters in params. NULL without memory or, RV_EUSAGE, when the parts do not fit each other. Free with
 *  rv_model_destroy; params stay the caller's. */
RV_API rv_model *rv_model_create(rv_params *params, const rv_model_config *config);
RV_API void rv_model_destroy(rv_model *m);
RV_API const rv_model_config *rv_model_get_config(const rv_model *m);

/* ---- whole batches */

/** Mean loss of the batch's targets -> scalar. state: of a decoder whose rows go on from the batch before (a constant
 * in training: truncated back-propagation), or NULL. NULL: sticky error. */
RV_API rv_tensor *rv_model_loss(rv_tape *tape, rv_model *m, const rv_batch *b, rv_decoder_state *state,
                                double label_smoothing);
/** The loss from a memory that is there already (NULL of a model without an encoder). */
RV_API rv_tensor *rv_model_loss_of(rv_tape *tape, rv_model *m, const rv_memory *memory, const rv_batch *b,
                                   rv_decoder_state *state, double label_smoothing);
/** What each row says of its targets (B rows), as the head's kind has it; *nats and *best, each target alone (B, T),
 * are the tape's, NULL of a head that pools; they may be NULL. Records nothing. False: sticky error. */
RV_API bool rv_model_score(rv_tape *tape, rv_model *m, const rv_batch *b, rv_decoder_state *state, rv_row_score *row,
                           const double **nats, const int32_t **best);
/** A head that pools: what it says of each source, (B, outputs): logits, or numbers. *pooled, unless NULL: as
 *  rv_head_pool. NULL: sticky error. */
RV_API rv_tensor *rv_model_read(rv_tape *tape, rv_model *m, const rv_sequences *source, rv_pooled *pooled);

/** A head that tags: the chain of which b's rows' taggings are the paths (b->out is not read); the tape's. Records
 *  nothing. False: sticky error. */
RV_API bool rv_model_chain(rv_tape *tape, rv_model *m, const rv_batch *b, rv_chain *out);

/** A head that tags K tags: what it holds of two tags next to each other, whatever their words, in steps (K + 1, K + 1)
 *  [from, to]: row K is a sentence's beginning, column K its end, [K, K] is NaN. -INFINITY: a step that cannot be.
 * *kind says what they are; with RV_STEPS_NONE, also of other heads, steps is left alone. Error: RV_ENOMEM. */
RV_API rv_status rv_model_steps(rv_model *m, double *steps, rv_steps *kind);

/** True if it learns by counting, by rv_model_count alone: gradients change nothing. */
RV_API bool rv_model_counts(const rv_model *m);
RV_API rv_status rv_model_count(rv_model *m, const rv_batch *b);

/* ---- parts */

/** Run the encoder; source->lengths is kept by the caller until backward. False: sticky error. */
RV_API bool rv_model_encode(rv_tape *tape, rv_model *m, const rv_sequences *source, rv_memory *out);
/** Logits (B T, V) for ids x (B, T), batch-major, copied. Rows are in the decoder's layout: see rv_model_row. state and
 *  memory may be NULL, see rv_decoder_kind.forward. */
RV_API rv_tensor *rv_model_logits(rv_tape *tape, rv_model *m, const int32_t *x, int64_t B, int64_t T,
                                  rv_decoder_state *state, const rv_memory *memory);
/** The logits' row of (b, t). */
RV_API int64_t rv_model_row(const rv_model *m, int64_t B, int64_t T, int64_t b, int64_t t);
/** True if its mask lets a position's state depend on later tokens: its loss is a lie, and it has to be run on whole
 *  prefixes instead of with a state. */
RV_API bool rv_model_sees_future(const rv_model *m);

/** The most positions that its decoder takes, or without one its encoder; INT64_MAX of a recurrence. */
RV_API int64_t rv_model_positions(const rv_model *m);

/* ---- decoding: nothing is recorded, nothing dropped */

/** A zero state of the decoder for B rows and `capacity` positions. Free with rv_model_state_destroy. */
RV_API rv_decoder_state *rv_model_state_create(const rv_model *m, int64_t B, int64_t capacity);
/** A state of memory->B x beam rows that reads `memory` (row r reads sentence r / beam), with room for `capacity`
 * positions. It holds all it needs: the tape may be reset afterwards. NULL: RV_ENOMEM or the tape's error. */
RV_API rv_decoder_state *rv_model_state_over(rv_tape *tape, rv_model *m, const rv_memory *memory, int64_t beam,
                                             int64_t capacity);
RV_API void rv_model_state_destroy(const rv_model *m, rv_decoder_state *state);
RV_API void rv_model_state_reset(const rv_model *m, rv_decoder_state *state);
/** One more token for each of the state's rows -> logits (rows, V): the bits that rv_model_logits gives for that
 * position. Row r of the result belongs to ids[r]. Valid until the tape is reset. */
RV_API rv_tensor *rv_model_step(rv_tape *tape, rv_model *m, rv_decoder_state *state, const int32_t *ids);
/** Row r becomes what row from[r] was (the survivors of a beam search); their number may fall and rise: n <= the rows
 * at creation. Which sentence a row reads moves with it. Allocates nothing. */
RV_API void rv_model_state_reorder(const rv_model *m, rv_decoder_state *state, const int32_t *from, int64_t n);
/** Bytes of a state of one row that has seen T positions, and S of a source. */
RV_API int64_t rv_model_state_bytes(const rv_model *m, int64_t S, int64_t T);
/** Attention weights of a teacher-forced pass over tgt (B, T), without dropout. Records nothing. Error (sticky
 * RV_EUSAGE): the model has no attention over the source. */
RV_API bool rv_model_attention(rv_tape *tape, rv_model *m, const rv_memory *memory, const int32_t *tgt, int64_t B,
                               int64_t T, rv_attention_weights *out);
/** Whether it has such weights. */
RV_API bool rv_model_attends(const rv_model *m);

/* ---- work */

/** Forward FLOPs of one example with S source positions and T of the decoder (the same number where there is one
 *  sequence), two per multiply-add: weights and attention. */
RV_API double rv_model_flops(const rv_model *m, const rv_params *params, double S, double T);

#endif

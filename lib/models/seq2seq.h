/** Encoder-decoder models: a language model of the target (decoder and head) conditioned on an encoded source.
 *
 *  Any encoder goes with any decoder. Parameters: encoder.*, decoder.*, head.* with PyTorch's names and shapes. */
#ifndef RV_MODELS_SEQ2SEQ_H
#define RV_MODELS_SEQ2SEQ_H

#include "models/encoder.h"
#include "models/language_model.h"

typedef struct {
    rv_encoder_config encoder;
    rv_lm_config lm;  /**< its decoder.memory_size etc. are filled in by rv_seq2seq_create from the encoder */
    bool tie_source;  /**< source and target share one embedding: equal vocabularies and widths  [Press 2017] */
} rv_seq2seq_config;

typedef struct rv_seq2seq rv_seq2seq;

/** Declares all parameters in params. NULL without memory or, RV_EUSAGE, when the parts do not fit each other. Free with
 *  rv_seq2seq_destroy; params stay the caller's. */
RV_API rv_seq2seq *rv_seq2seq_create(rv_params *params, const rv_seq2seq_config *config);
RV_API void rv_seq2seq_destroy(rv_seq2seq *m);
RV_API const rv_seq2seq_config *rv_seq2seq_get_config(const rv_seq2seq *m);
/** The conditional language model: its rows (rv_lm_row), its loss from logits (rv_lm_logits_loss). */
RV_API rv_lm *rv_seq2seq_lm(rv_seq2seq *m);

/** Encode src (B, S), batch-major, lengths (B) in [1, S]; both kept by the caller until backward. False: sticky error. */
RV_API bool rv_seq2seq_encode(rv_tape *tape, rv_seq2seq *m, const int32_t *src, const int32_t *lengths, int64_t B, int64_t S, rv_memory *out);
/** Logits (B T, V) of a teacher-forced pass over tgt (B, T), batch-major, which begins with <bos>; copied. */
RV_API rv_tensor *rv_seq2seq_logits(rv_tape *tape, rv_seq2seq *m, const rv_memory *memory, const int32_t *tgt, int64_t B, int64_t T);

/** Mean cross-entropy in nats of the targets out (B, T), batch-major, -1 where none is wanted, from the same inputs tgt; the
 *  logits are never stored. -> scalar */
RV_API rv_tensor *rv_seq2seq_loss(rv_tape *tape, rv_seq2seq *m, const rv_memory *memory, const int32_t *tgt, const int32_t *out, int64_t B, int64_t T,
                                  double label_smoothing);

/** Decoding: a state of M x beam rows that reads `memory` (M sentences; row r reads sentence r / beam), with room for
 *  `capacity` target positions. It holds all it needs: the tape may be reset afterwards. NULL: RV_ENOMEM or the tape's
 *  error. Free with rv_seq2seq_state_destroy. */
RV_API rv_decoder_state *rv_seq2seq_state_create(rv_tape *tape, rv_seq2seq *m, const rv_memory *memory, int64_t beam, int64_t capacity);
RV_API void rv_seq2seq_state_destroy(rv_seq2seq *m, rv_decoder_state *state);
/** One more token for each of the state's rows -> logits (rows, V): the bits that rv_seq2seq_logits gives for that position.
 *  Row r of the result belongs to ids[r]. Valid until the tape is reset. */
RV_API rv_tensor *rv_seq2seq_step(rv_tape *tape, rv_seq2seq *m, rv_decoder_state *state, const int32_t *ids);
/** Row r becomes what row from[r] was (the survivors of a beam search); their number may fall and rise: n <= the rows
 *  of state_create. Which sentence a row reads moves with it. Allocates nothing. */
RV_API rv_status rv_seq2seq_state_reorder(rv_seq2seq *m, rv_decoder_state *state, const int32_t *from, int64_t n);

/** Attention weights of a teacher-forced pass over tgt (B, T), without dropout. Records nothing. Error (sticky RV_EUSAGE):
 *  the model has no attention over the source. */
RV_API bool rv_seq2seq_attention(rv_tape *tape, rv_seq2seq *m, const rv_memory *memory, const int32_t *tgt, int64_t B, int64_t T,
                                 rv_attention_weights *out);

/** FLOPs that a weight adds to the forward pass for one source and one target token; 0 if it is only looked up. */
RV_API double rv_seq2seq_weight_flops(const rv_seq2seq *m, const rv_param *p);
/** Forward FLOPs of a batch of B sentences with S source and T target positions, two per multiply-add. */
RV_API double rv_seq2seq_flops(const rv_seq2seq *m, const rv_params *params, int64_t B, int64_t S, int64_t T);

#endif

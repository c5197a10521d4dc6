/* The parts of the recurrent decoder: the way from a memory to its first state, from its state to the head. */
#ifndef RV_MODELS_DECODER_PRIVATE_H
#define RV_MODELS_DECODER_PRIVATE_H

#include "models/decoder.h"

/* ---- decoder_readout.c */
typedef struct {
    rv_bridge kind;
    int layers;
    rv_tensor *weight[RV_RNN_MAX_STATES], *bias[RV_RNN_MAX_STATES];
} bridge;
/* decoder.bridge.lN.weight (H, summary or reverse), decoder.bridge.lN.bias (H) of a dense one. RV_EUSAGE: there is no
 * reverse direction. */
rv_status rv__bridge_declare(rv_params *params, const rv_decoder_config *config, bridge *b);
/* First states of all layers, B rows; an LSTM's cells start at 0 unless copied. */
rv_rnn_state rv__bridge_apply(rv_tape *tape, const bridge *b, const rv_memory *memory);

typedef struct {
    rv_readout kind;
    rv_tensor *weight, *bias;
} readout;
/* decoder.readout.weight (R, H + C) for [h_t; c_t], or (2 R, H + E + C) for [s_{i-1}; E y_{i-1}; c_i];
 * decoder.readout.bias. */
rv_status rv__readout_declare(rv_params *params, const rv_decoder_config *config, int64_t context_size, readout *r);
/* h (T, B, H), first (B, H) the state before h or NULL for zeros, x (T, B, E), context (T, B, C) or NULL -> (T, B,
 * size). */
rv_tensor *rv__readout_apply(rv_tape *tape, const readout *r, rv_tensor *h, rv_tensor *first, rv_tensor *x,
                             rv_tensor *context);
int64_t rv__readout_size(const rv_decoder_config *config, int64_t context_size);

/* ---- decoder_attention.c */
typedef struct {
    rv_rnn_layer cell;
    rv_tensor *w_query, *w_key, *v, *w_position, *v_position, *w_out;
} attention_layer;
/* What a pass reads: rows names the sentence of each row, NULL: its own. */
typedef struct {
    rv_tensor *summary, *states, *keys;
    const int32_t *lengths, *rows;
} source;
static inline bool rv__is_luong(const rv_decoder_config *c) { return c->reading.attend > RV_ATTEND_BAHDANAU; }
/* The last layer's parameters, decoder.attention.* and, of luong, decoder.readout.weight (O, D + H). RV_EUSAGE when the
 * parts do not fit each other. */
rv_status rv__attention_declare(rv_params *params, const rv_decoder_config *config, attention_layer *a);
/* What queries are compared with, (B, S, A) from states (B, S, D). */
rv_tensor *rv__attention_keys(rv_tape *tape, const attention_layer *a, rv_tensor *states);
/* x (T, B, E); h0, c0 (B, H); feed (B, O) with input feeding: the last output, NULL for zeros. */
rv_attention_sequence rv__attention_run(rv_tape *tape, const rv_decoder_config *config, const attention_layer *a,
                                        const source *from, rv_tensor *x, rv_tensor *h0, rv_tensor *c0,
                                        rv_tensor *feed);
/* Width of luong's attentional vector. */
int64_t rv__attention_output(const rv_decoder_config *config);

#endif

/** Decoders: what turns token ids into hidden states, seeing only the past.
 *
 *  One kind per file, listed in models.def. A decoder declares its parameters under "decoder." and lays its states out
 * as it likes best (time_major). With a state it continues where that state stopped and leaves it advanced: the carried
 * hidden state of a recurrent decoder, the key/value cache of a transformer. */
#ifndef RV_MODELS_DECODER_H
#define RV_MODELS_DECODER_H

#include "models/input.h"
#include "models/memory.h"
#include "nn/recurrent.h"
#include "nn/transformer.h"

typedef struct rv_decoder_kind rv_decoder_kind;

/** How a recurrent decoder reads a memory. */
typedef enum {
    RV_ATTEND_NONE,      /**< through one fixed vector */
    RV_ATTEND_BAHDANAU,  /**< additive, query s_{i-1}, the context enters the cell      [Bahdanau 2015] */
    RV_ATTEND_LUONG_DOT, /**< query h_t, after the cell                                 [Luong 2015, 3.1] */
    RV_ATTEND_LUONG_GENERAL,
    RV_ATTEND_LUONG_CONCAT,
} rv_attention_kind;
/** How the decoder's first state comes from the memory. */
typedef enum {
    RV_BRIDGE_DENSE,   /**< tanh(W summary + b), for each layer */
    RV_BRIDGE_REVERSE, /**< tanh(W_s reverse): of the state that ends at the first word  [Bahdanau 2015, A.2.2] */
    RV_BRIDGE_COPY, /**< the encoder's final states, layer by layer; cells, layers and sizes are equal [Sutskever 2014]
                     */
    RV_BRIDGE_ZERO,
} rv_bridge;
/** What the head sees of a recurrent decoder at each step. */
typedef enum {
    RV_READOUT_STATE,  /**< h_t alone; with context_each_step [h_t; c], c the summary */
    RV_READOUT_TANH,   /**< tanh(W [h_t; c_t] + b), readout_size wide  [Luong 2015, eq. 5]; without attention c is the
                          summary or, not context_each_step, absent */
    RV_READOUT_MAXOUT, /**< maxout by twos of U s_{i-1} + V E y_{i-1} + C c_i, readout_size wide  [Bahdanau 2015, A.2.2]
                        */
} rv_readout;
typedef struct {
    rv_attention_kind attend;
    bool context_each_step; /**< RV_ATTEND_NONE: the summary enters every step and the readout [Cho 2014], not the first
                               state alone [Sutskever 2014] */
    int64_t attention_size; /**< of additive scores */
    bool input_feeding;     /**< luong: the last attentional vector enters the cell [Luong 2015, 3.3] */
    double local_window;    /**< luong: D of local-p attention; 0 is global */
    rv_bridge bridge;
    rv_readout readout;
    int64_t readout_size; /**< of TANH and MAXOUT, and of luong's attentional vector tanh(W [c_t; h_t]), which is its
                             readout */
    rv_init init;         /**< of the matrices of all this */
    rv_init vector_init;  /**< of the additive score's v (the paper: 0) */
} rv_reading;

/** What every decoder needs to know; rnn or transformer is read by the kind of that name. */
typedef struct {
    const rv_decoder_kind *kind;       /**< NULL: the model has no decoder */
    int64_t memory_size, reverse_size; /**< of the memory it reads, states and summary alike; 0: there is none */
    rv_reading reading;                /**< of a recurrent decoder with a memory */
    rv_input_config input;             /**< of token ids */
    double dropout;                    /**< on the output of a recurrent stack */
    rv_rnn_config rnn;
    rv_transformer_config transformer;
} rv_decoder_config;

typedef struct rv_decoder rv_decoder;
typedef struct rv_decoder_state rv_decoder_state;

struct rv_decoder_kind {
    const char *name;
    bool time_major; /**< hidden states are (T, B, D); else (B, T, D) */
    /** NULL: RV_ENOMEM, or RV_EUSAGE when the parts do not fit each other. */
    rv_decoder *(*create)(rv_params *params, const rv_decoder_config *config);
    void (*destroy)(rv_decoder *d);
    /** ids (B, T), batch-major, copied. state: NULL for a fresh start. In
     *  training a state is a constant (truncated back-propagation). memory: NULL for a language model, and when the
     * state holds one. NULL after an error (sticky). */
    rv_tensor *(*forward)(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T,
                          rv_decoder_state *state, const rv_memory *memory);
    /** A zero state for B rows that can hold `capacity` positions (a recurrent state holds any number). NULL without
     *  memory. */
    rv_decoder_state *(*state_create)(const rv_decoder *d, int64_t B, int64_t capacity);
    void (*state_destroy)(rv_decoder_state *s);
    void (*state_reset)(rv_decoder_state *s);
    /** Positions the state can still take; INT64_MAX for a recurrent one. */
    int64_t (*state_room)(const rv_decoder_state *s);
    /** B; fewer after a reorder. */
    int64_t (*state_rows)(const rv_decoder_state *s);
    /** Let a fresh state read `memory`, row r sentence r / beam: a copy of all that decoding needs, of which nothing
     * stays on the tape. Returns the tape's status. */
    rv_status (*state_memory)(rv_tape *tape, rv_decoder *d, rv_decoder_state *s, const rv_memory *memory, int64_t beam);
    /** Row r becomes what row from[r] was, for n rows, at most as many as state_create was given; what it reads moves
     * with it. */
    void (*state_reorder)(rv_decoder_state *s, const int32_t *from, int64_t n);
    /** Run as forward does, without recording and dropout, and keep the weights over the memory. False: sticky error,
     *  RV_EUSAGE when there is no such attention. */
    bool (*attention)(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T, const rv_memory *memory,
                      rv_attention_weights *out);
    /** The state's numbers as one flat array, for checkpoints; NULL if the kind has none to save. */
    rv_real *(*state_data)(rv_decoder_state *s, int64_t *n);
    int64_t (*hidden_size)(const rv_decoder_config *config);
    /** The most positions that it takes; INT64_MAX of a recurrence. */
    int64_t (*positions)(const rv_decoder_config *config);
    /** Whether it has attention weights over a memory. */
    bool (*attends)(const rv_decoder_config *config);
    /** Whether it reads rv_memory.summary. */
    bool (*reads_summary)(const rv_decoder_config *config);
    /** A position's state depends on later tokens (RV_MASK_AFTER, RV_MASK_NONE): its loss is a lie, and it cannot carry
     * a state. */
    bool (*sees_future)(const rv_decoder_config *config);
    /** Numbers that a state of one row holds: `capacity` positions so far, and what it keeps of a memory of S. */
    int64_t (*state_numbers)(const rv_decoder_config *config, int64_t S, int64_t capacity);
    /** Multiply-adds of attention per position of T, over those that the mask leaves (0 for recurrence); weights not
     * counted. */
    double (*attention_macs)(const rv_decoder_config *config, double T);
    /** The same of attention over S positions of a memory. */
    double (*memory_macs)(const rv_decoder_config *config, double S);
    rv_tensor *(*embedding)(const rv_decoder *d);
};

#define RV_DECODER(name) RV_API const rv_decoder_kind rv__decoder_##name;
#include "models/models.def"
#undef RV_DECODER

/** By name, or NULL. */
RV_API const rv_decoder_kind *rv_decoder_find(const char *name);

#endif

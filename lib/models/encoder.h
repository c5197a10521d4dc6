/** Encoders: what turns a sequence of tokens or numbers into a memory that a decoder reads, or a pooling head.
 *
 *  One kind per file, listed in models.def. An encoder declares its parameters under "encoder.". */
#ifndef RV_MODELS_ENCODER_H
#define RV_MODELS_ENCODER_H

#include "models/input.h"
#include "models/memory.h"
#include "nn/recurrent.h"
#include "nn/transformer.h"

typedef struct rv_encoder_kind rv_encoder_kind;

/** rnn or transformer is read by the kind of that name. */
typedef struct {
    const rv_encoder_kind *kind; /**< NULL: the model has no encoder */
    rv_input_config input;
    double dropout; /**< on the output of a recurrent stack */
    bool summarise; /**< rv_memory.summary is wanted */
    rv_rnn_config rnn;
    rv_transformer_config transformer;
} rv_encoder_config;

typedef struct rv_encoder rv_encoder;

struct rv_encoder_kind {
    const char *name;
    /** shared: an embedding (V, E) to use, declared by somebody else (tied with the target's); NULL: declare one. NULL:
     *  RV_ENOMEM, or RV_EUSAGE when the parts do not fit each other. */
    rv_encoder *(*create)(rv_params *params, const rv_encoder_config *config, rv_tensor *shared);
    void (*destroy)(rv_encoder *e);
    /** s->lengths is kept by the caller until backward. False after an error (sticky). Padding and batch-mates change
     * no valid position, to the bit. */
    bool (*forward)(rv_tape *tape, rv_encoder *e, const rv_sequences *s, rv_memory *out);
    /** Width of rv_memory.states and of its summary; of its reverse half (0 for an encoder without a reverse
     * direction). */
    int64_t (*memory_size)(const rv_encoder_config *config);
    int64_t (*reverse_size)(const rv_encoder_config *config);
    /** The most positions that it takes; INT64_MAX of a recurrence. */
    int64_t (*positions)(const rv_encoder_config *config);
    /** Multiply-adds of attention per position when S positions are seen (0 for recurrence); weights not counted. */
    double (*attention_macs)(const rv_encoder_config *config, double S);
};

#define RV_ENCODER(name) RV_API const rv_encoder_kind rv__encoder_##name;
#include "models/models.def"
#undef RV_ENCODER

/** By name, or NULL. */
RV_API const rv_encoder_kind *rv_encoder_find(const char *name);

#endif

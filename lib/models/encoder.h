/** Encoders: what turns the tokens of a source sentence into a memory that a decoder reads.
 *
 *  One kind per file, listed in models.def. An encoder declares its parameters under "encoder.". */
#ifndef RV_MODELS_ENCODER_H
#define RV_MODELS_ENCODER_H

#include "models/memory.h"
#include "nn/position.h"
#include "nn/recurrent.h"
#include "nn/transformer.h"
#include "ops/ops.h"

typedef struct rv_encoder_kind rv_encoder_kind;

/** rnn or transformer is read by the kind of that name. */
typedef struct {
    const rv_encoder_kind *kind;
    int64_t vocab_size;
    int64_t embedding_dim;
    double dropout;        /**< on embeddings and on the output of a recurrent stack */
    bool scale_embeddings; /**< times sqrt(embedding_dim)                [Vaswani 2017, 3.4] */
    rv_init embedding_init;
    rv_rnn_config rnn;
    rv_transformer_config transformer;
    rv_position_kind position;
    int64_t max_length;    /**< positions that a table holds */
} rv_encoder_config;

typedef struct rv_encoder rv_encoder;

struct rv_encoder_kind {
    const char *name;
    /** shared: an embedding (V, E) to use, declared by somebody else (tied with the target's); NULL: declare
     *  encoder.embedding.weight. NULL: RV_ENOMEM. */
    rv_encoder *(*create)(rv_params *params, const rv_encoder_config *config, rv_tensor *shared);
    void (*destroy)(rv_encoder *e);
    /** ids (B, S) batch-major, padded with any valid id; lengths: B valid counts in [1, S]; both kept by the caller until
     *  backward. False after an error (sticky). Padding and batch-mates change no valid position, to the bit. */
    bool (*forward)(rv_tape *tape, rv_encoder *e, const int32_t *ids, const int32_t *lengths, int64_t B, int64_t S, rv_memory *out);
    int64_t (*memory_size)(const rv_encoder_config *config);
    /** Width of rv_memory.summary and of its reverse half (0 for an encoder without a reverse direction). */
    int64_t (*summary_size)(const rv_encoder_config *config);
    int64_t (*reverse_size)(const rv_encoder_config *config);
    /** Multiply-adds of attention per position when S positions are seen (0 for recurrence); weights not counted. */
    double (*attention_macs)(const rv_encoder_config *config, int64_t S);
};

#define RV_ENCODER(name) RV_API const rv_encoder_kind rv__encoder_##name;
#include "models/models.def"
#undef RV_ENCODER

/** By name, or NULL. */
RV_API const rv_encoder_kind *rv_encoder_find(const char *name);

#endif

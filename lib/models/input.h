/** What enters a stack of layers: token ids as embeddings, or numbers, with positions and dropout. */
#ifndef RV_MODELS_INPUT_H
#define RV_MODELS_INPUT_H

#include "models/batch.h"
#include "nn/position.h"
#include "ops/ops.h"

typedef struct {
    int64_t vocab_size; /**< token ids below this; 0: */
    int64_t numbers;    /**< F numbers at each position, as they are (recurrence) or mapped to `size` (attention) */
    int64_t size;       /**< E: width of an embedding */
    bool scale;         /**< embeddings times sqrt(E)                [Vaswani 2017, 3.4] */
    double dropout;     /**< on embeddings and mapped numbers with their positions, in training */
    rv_init init; /**< of the embedding, or of the map; the map's bias is U(-1/sqrt(F), 1/sqrt(F)), as nn.Linear's */
    rv_position_kind position; /**< added to embeddings and mapped numbers, of models that are blind to order */
    rv_init position_init;     /**< of learned ones */
    int64_t max_length;        /**< positions that a table holds */
} rv_input_config;

typedef struct rv_input rv_input;

/** Declare PREFIX.embedding.weight (V, E), or with `mapped` PREFIX.input.weight (E, F) and PREFIX.input.bias (E), and
 *  PREFIX.position.weight. shared: an embedding (V, E) to use, declared by somebody else; NULL: declare one. NULL:
 *  RV_ENOMEM. Free with rv_input_destroy. */
RV_API rv_input *rv_input_create(rv_params *params, const rv_input_config *config, bool mapped, rv_tensor *shared,
                                 const char *prefix);
RV_API void rv_input_destroy(rv_input *in);
/** Width of what rv_input_read gives: E, or F of numbers that are read as they are. */
RV_API int64_t rv_input_size(const rv_input_config *config, bool mapped);
/** -> (B, T, E), or with time_major (T, B, E); copied. start: B first positions, NULL: 0. NULL: sticky error. */
RV_API rv_tensor *rv_input_read(rv_tape *tape, rv_input *in, const rv_sequences *s, bool time_major,
                                const int32_t *start);
/** The embedding (V, E); NULL of numbers. */
RV_API rv_tensor *rv_input_embedding(const rv_input *in);

#endif

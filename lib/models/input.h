/** What enters a stack of layers: token ids as embeddings, beside them the letters and the shape of each word; or
 *  numbers; with positions and dropout. */
#ifndef RV_MODELS_INPUT_H
#define RV_MODELS_INPUT_H

#include "models/batch.h"
#include "models/letter_net.h"
#include "nn/position.h"
#include "ops/ops.h"

typedef struct {
    int64_t vocab_size; /**< token ids below this; 0: */
    int64_t numbers;    /**< F numbers at each position, as they are (recurrence) or mapped to `size` (attention) */
    int64_t size;       /**< E: width of an embedding */
    rv_letter_net_config
        letters;        /**< beside ids, each word's letters (rv_sequences.words); RV_LETTER_NET_NONE: not read */
    int64_t shapes;     /**< beside ids, what each word looks like: ids below this; 0: not read */
    int64_t shape_size; /**< width of a shape's embedding                          [Collobert 2011, 2.4] */
    bool scale;         /**< embeddings times sqrt(E)                [Vaswani 2017, 3.4] */
    double dropout;     /**< on what enters, embeddings joined or mapped numbers with their positions, in training */
    rv_init init;       /**< of the embeddings of words and shapes, or of the map of numbers; other parts of a map are
                         * U(-1/sqrt(I), 1/sqrt(I)), as nn.Linear's, I being its inputs */
    rv_position_kind position; /**< added to embeddings and mapped numbers, of models that are blind to order */
    rv_init position_init;     /**< of learned ones */
    int64_t max_length;        /**< positions that a table holds */
} rv_input_config;

typedef struct rv_input rv_input;

/** Declare PREFIX.embedding.weight (V, E), PREFIX.letters.* (letter_net.h) and PREFIX.shape.weight (shapes,
 * shape_size); with `mapped`, of numbers and where more than the embedding enters, I wide, PREFIX.input.weight (E, I)
 * and PREFIX.input.bias (E); and PREFIX.position.weight. shared: an embedding (V, E) to use, declared by somebody else;
 *  NULL: declare one. NULL: RV_EUSAGE for sizes that are none, RV_ENOMEM. Free with rv_input_destroy. */
RV_API rv_input *rv_input_create(rv_params *params, const rv_input_config *config, bool mapped, rv_tensor *shared,
                                 const char *prefix);
RV_API void rv_input_destroy(rv_input *in);
/** Width of what rv_input_read gives: E; unless mapped that of embedding, letters and shape joined, or F of numbers. */
RV_API int64_t rv_input_size(const rv_input_config *config, bool mapped);
/** -> (B, T, rv_input_size), or with time_major (T, B, ...); copied. [embedding; letters; shape] of each position, as
 * far as it has them. start: B first positions, NULL: 0. NULL: sticky error. */
RV_API rv_tensor *rv_input_read(rv_tape *tape, rv_input *in, const rv_sequences *s, bool time_major,
                                const int32_t *start);
/** The embedding (V, E); NULL of numbers. */
RV_API rv_tensor *rv_input_embedding(const rv_input *in);

#endif

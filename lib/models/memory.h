/** What an encoder leaves to a decoder: a vector per source position, and the whole sentence in one vector. */
#ifndef RV_MODELS_MEMORY_H
#define RV_MODELS_MEMORY_H

#include "nn/recurrent.h"

typedef struct {
    int64_t B, S, size;
    const int32_t *lengths; /**< B valid positions, at least 1 each; the caller's */
    rv_tensor *states;      /**< (B, S, size) batch-major; at padded positions meaningless, and attended to by none */
    rv_tensor *last;        /**< (B, size) of a recurrent encoder the last layer's final state, forward beside reverse
                             *   (which ends at the first token); NULL of others */
    rv_tensor *summary;  /**< (B, size) the whole sequence in one vector: `last`, or where there is none, and a decoder
                          *   wants it, the mean over the valid positions */
    rv_tensor *reverse;  /**< (B, reverse size) its reverse half alone; NULL without a reverse direction */
    rv_rnn_state finals; /**< final states of all layers and directions; n = 0 for a transformer */
} rv_memory;

/** Attention weights of a teacher-forced pass over B targets of T positions, as the model used them for each. */
typedef struct {
    int layers, heads;
    int64_t B, T, S;
    rv_real *weights; /**< (layers, heads, B, T, S), 0 at padded source positions; the tape's */
} rv_attention_weights;

#endif

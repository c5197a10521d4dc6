/** What a model reads at a time, whatever it is made of: a step's batch, or a few examples to look at. */
#ifndef RV_MODELS_BATCH_H
#define RV_MODELS_BATCH_H

#include "tensor/tensor.h"

/** The different words of a batch, as letters. */
typedef struct {
    int64_t n, L;
    const int32_t *letters; /**< (n, L) ids, padded with any valid one */
    const int32_t *lengths; /**< (n) letters of each, in [1, L] */
    const int32_t *shape;   /**< (n) what each looks like, in [0, RV_SHAPES of data/tagged.h) */
    const int32_t *which;   /**< (B, T) the word at each position; of padding any of them */
} rv_words;

/** B rows of T positions, batch-major: token ids, or numbers. */
typedef struct {
    int64_t B, T;
    const int32_t *ids;     /**< (B, T), padded with any valid id; NULL: */
    const rv_real *numbers; /**< (B, T, F) */
    const int32_t *lengths; /**< (B) valid positions of each row, in [1, T] */
    const rv_words *words;  /**< beside ids, what stands at each position as letters; or NULL */
} rv_sequences;

/** One batch; what an experiment has no use for is NULL or 0. The arrays belong to who fills it. */
typedef struct {
    rv_sequences source;    /**< what an encoder reads */
    int64_t B, T;           /**< rows, and positions of a decoder */
    const int32_t *in;      /**< (B, T) ids that a decoder reads */
    const int32_t *out;     /**< (B, T) ids that are to follow them, or tags, RV_IGNORE where none is wanted */
    const int32_t *at;      /**< (B, T) of tags: the source's position that each is of; NULL: the same one */
    const int32_t *lengths; /**< (B) valid positions of `in` */
    const int32_t *label;   /**< (B) classes */
    const rv_real *number;  /**< (B, O) */
    int64_t targets;        /**< what the loss is a mean over: predicted tokens, classes, numbers */
    int64_t steps;          /**< what a run counts as its tokens */
    const int64_t *index;   /**< (B) the example that each row is, in a pass over a part of the data */
    const int64_t *first;   /**< (B) the place of each row's first target among those of a text */
    bool continues;         /**< each row goes on from the same row of the batch before: a carried state counts */
} rv_batch;

/** What one row of a batch adds to measures: sums, so that any mean can be made of them. */
typedef struct {
    double nats;               /**< summed negative log probability of its targets */
    int64_t tokens, correct;   /**< targets, and those that were the most probable */
    int32_t label, said;       /**< the class, and the most probable one */
    double target, prediction; /**< the number, of several the first */
} rv_row_score;

#endif

/** A stack of transformer layers [Vaswani 2017]: an encoder, a decoder alone (causal), or a decoder with
 *  cross-attention over a memory. Parameters have PyTorch's names and shapes (nn.TransformerEncoder, and with `cross`
 *  nn.TransformerDecoder): PREFIX.layers.N.self_attn.in_proj_weight (3 D, D), ... PREFIX.norm.bias. */
#ifndef RV_NN_TRANSFORMER_H
#define RV_NN_TRANSFORMER_H

#include "nn/params.h"
#include "ops/ops.h"

typedef enum { RV_NORM_PRE, RV_NORM_POST, RV_NORM_NONE } rv_norm_place;

/** How a causal stack hides what is to come: minus infinity before the softmax, as it must be; or, to see what goes
 * wrong, zero weights after it (the future is still in the normaliser), or not at all. */
typedef enum { RV_MASK_BEFORE, RV_MASK_AFTER, RV_MASK_NONE } rv_mask_place;

typedef struct {
    int num_layers, num_heads;
    int64_t hidden_size; /**< D */
    int64_t ff_size;
    rv_norm_place norm; /**< PRE: x + f(norm(x)) [Xiong 2020]; POST: norm(x + f(x)) [Vaswani 2017]; NONE: x + f(x), to
                           see what it was good for */
    bool no_residual;   /**< f(x) without the shortcut x +, likewise */
    bool unscaled;      /**< softmax(Q K^T) without 1/sqrt(D/H), likewise */
    rv_act activation;  /**< RELU, GELU or GELU_TANH */
    bool bias;          /**< of the linear maps and normalisations */
    bool causal;        /**< a position sees itself and what is before it */
    rv_mask_place mask; /**< with causal */
    bool cross;         /**< layers attend to a memory, too */
    bool final_norm;    /**< PREFIX.norm after the last layer; a pre-norm stack needs it */
    double norm_eps;
    double dropout;           /**< on each sublayer's output and inside the feed-forward one */
    double attention_dropout; /**< on the attention weights */
    rv_init init;             /**< of the matrices; biases start at 0 */
    bool scale_residual;      /**< out_proj and linear2 start smaller by 1/sqrt(2 L), as in GPT-2 [Radford 2019] */
} rv_transformer_config;

/** Pre-norm, ReLU, biases, final norm, eps 1e-5, Xavier uniform, no dropout; sizes are the caller's to set. */
RV_API rv_transformer_config rv_transformer_defaults(void);

typedef struct rv_transformer rv_transformer;
/** Declare the parameters in ps under `prefix`. NULL and RV_EUSAGE when the sizes do not fit, RV_ENOMEM. Free with
 *  rv_transformer_destroy; the parameters stay with ps. */
RV_API rv_transformer *rv_transformer_create(rv_params *ps, const rv_transformer_config *config, const char *prefix);
RV_API void rv_transformer_destroy(rv_transformer *tr);

/** x (B, T, D) -> (B, T, D). lengths: B counts of valid positions, or NULL when all are; positions behind them are
 *  attended to by none, and their own outputs are meaningless. memory (B, S, D) and its lengths only with `cross`,
 *  else NULL. The int32 arrays are kept by the caller until backward. */
RV_API rv_tensor *rv_transformer_forward(rv_tape *tape, const rv_transformer *tr, rv_tensor *x, const int32_t *lengths,
                                         rv_tensor *memory, const int32_t *memory_lengths);

/** With `cross`: the weights of rv_transformer_forward's cross-attention, without dropout, into weights (layers, heads,
 * B, T, S), which is 0 at padded positions of the memory. Records nothing. False: sticky error. */
RV_API bool rv_transformer_cross_weights(rv_tape *tape, const rv_transformer *tr, rv_tensor *x, rv_tensor *memory,
                                         const int32_t *memory_lengths, rv_real *weights);

/** Keys and values of the positions so far, for decoding a causal stack step by step. */
typedef struct rv_transformer_cache rv_transformer_cache;
/** A cache with room for `batch` rows of `capacity` positions in every layer, empty; NULL: RV_ENOMEM. */
RV_API rv_transformer_cache *rv_transformer_cache_create(const rv_transformer *tr, int64_t batch, int64_t capacity);
RV_API void rv_transformer_cache_destroy(rv_transformer_cache *cache);
/** Forget all positions. The rows and the memory stay, and which row reads which. */
RV_API void rv_transformer_cache_reset(rv_transformer_cache *cache);
/** Positions held per row (B). */
RV_API const int32_t *rv_transformer_cache_lengths(const rv_transformer_cache *cache);
/** B. */
RV_API int64_t rv_transformer_cache_rows(const rv_transformer_cache *cache);
/** Row b becomes what row from[b] was, for n rows, at most as many as the cache was created with: the survivors of a
 * beam search. */
RV_API void rv_transformer_cache_reorder(rv_transformer_cache *cache, const int32_t *from, int64_t n);
/** With `cross`: project memory (M, S, D) once for all steps to come. batch is a multiple of M; the rows of the cache
 *  read the memory in turn, batch/M (the beam) rows each. lengths (M) are copied. */
RV_API rv_status rv_transformer_cache_memory(rv_tape *tape, const rv_transformer *tr, rv_transformer_cache *cache,
                                             rv_tensor *memory, const int32_t *lengths);
/** n new positions for each row: x (B, n, D) -> (B, n, D), the bits that rv_transformer_forward gives for them within
 * the whole sequence. counts: how many of the n are valid per row (ragged prompts), or NULL: all; the rest are not kept
 * and their outputs are meaningless. Records nothing and drops nothing. Error: RV_EUSAGE when the cache is full, and
 * with a mask other than RV_MASK_BEFORE: then what a position holds changes with each later one, and nothing can be
 * kept. */
RV_API rv_tensor *rv_transformer_step(rv_tape *tape, const rv_transformer *tr, rv_transformer_cache *cache,
                                      rv_tensor *x, const int32_t *counts);

#endif

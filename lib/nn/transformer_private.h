/* The stack's inside, shared by transformer.c and transformer_cache.c. */
#ifndef RV_NN_TRANSFORMER_PRIVATE_H
#define RV_NN_TRANSFORMER_PRIVATE_H

#include <stdio.h>

#include "nn/transformer.h"

typedef struct {
    rv_tensor *weight, *bias; /* (out, in); (out) or NULL */
} linear;
typedef struct {
    rv_tensor *gamma, *beta; /* beta: or NULL */
} norm;
typedef struct {
    linear in, out, cross_in, cross_out, up, down;
    norm norm[3]; /* in the order of the sublayers */
} layer;
struct rv_transformer {
    rv_transformer_config config;
    layer *layers;
    norm final;
    char prefix[64]; /* for a watch */
};

/* How the sublayers attend: over the tensors at hand, or over a cache. The rest of a layer is the same code. */
typedef struct attending attending;
struct attending {
    rv_tensor *(*self)(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *qkv, const attending *how);
    rv_tensor *(*cross)(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *q, const attending *how);
    const int32_t *lengths;
    rv_tensor *memory;
    const int32_t *memory_lengths;
    rv_transformer_cache *cache;
    rv_real *weights; /* where cross-attention leaves them, when they are asked for */
};

rv_tensor *rv__transformer_run(rv_tape *tape, const rv_transformer *tr, rv_tensor *x, const attending *how);
/* What Q K^T is multiplied by. */
double rv__transformer_scale(const rv_transformer *tr);
/* Keys and values of the memory for one layer's cross-attention: (M, S, 2 D). */
rv_tensor *rv__transformer_memory(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *memory);
/* False, and a sticky RV_ESHAPE, if x is not (., ., D). */
bool rv__transformer_fits(rv_tape *tape, const rv_transformer *tr, const char *what, const rv_tensor *x);

#endif

/* The transformer encoder: embedding, positions, dropout, blocks that see the whole sentence. */
#include <math.h>

#include "models/encoder.h"

struct rv_encoder {
    rv_encoder_config config;
    rv_tensor *embedding;
    rv_position *position;
    rv_transformer *blocks;
};

static void destroy(rv_encoder *e) {
    if (!e) return;
    rv_transformer_destroy(e->blocks);
    rv_position_destroy(e->position);
    rv_free(e);
}

static rv_encoder *create(rv_params *params, const rv_encoder_config *c, rv_tensor *shared) {
    rv_encoder *e = rv_alloc(sizeof *e);
    if (!e) return NULL;
    e->config = *c;
    e->config.transformer.causal = e->config.transformer.cross = false;
    e->embedding = shared ? shared
                          : rv_params_add(params, c->embedding_init, 2, (int64_t[]){c->vocab_size, c->embedding_dim}, "encoder.embedding.weight");
    e->position = rv_position_create(params, c->position, c->max_length, c->embedding_dim, c->embedding_init, "encoder.position");
    e->blocks = e->position ? rv_transformer_create(params, &e->config.transformer, "encoder") : NULL;
    if (e->blocks) return e;
    destroy(e);
    return NULL;
}

/* The mean over each row's valid positions: padded ones times 0, added in the order of the positions. */
static rv_tensor *mean_of_valid(rv_tape *tape, rv_tensor *x, const int32_t *lengths) {
    if (!x) return NULL;
    int64_t B = x->dim[0], S = x->dim[1];
    rv_tensor *valid = rv_leaf(tape, false, 3, (int64_t[]){B, S, 1}), *count = rv_leaf(tape, false, 2, (int64_t[]){B, 1});
    if (!valid || !count) return NULL;
    for (int64_t b = 0; b < B; b++) {
        count->x[b] = (rv_real)lengths[b];
        for (int64_t s = 0; s < S; s++) valid->x[b * S + s] = s < lengths[b];
    }
    return rv_div(tape, rv_sum(tape, rv_mul(tape, x, valid), 1), count);
}

static bool forward(rv_tape *tape, rv_encoder *e, const int32_t *ids, const int32_t *lengths, int64_t B, int64_t S, rv_memory *out) {
    const rv_encoder_config *c = &e->config;
    *out = (rv_memory){.B = B, .S = S, .size = c->transformer.hidden_size, .lengths = lengths};
    rv_tensor *x = rv_embedding(tape, e->embedding, ids, B * S, c->scale_embeddings ? sqrt((double)c->embedding_dim) : 1);
    if (!x) return false;
    x = rv_position_add(tape, e->position, rv_reshape(tape, x, 3, (int64_t[]){B, S, c->embedding_dim}), NULL);
    out->states = rv_transformer_forward(tape, e->blocks, rv_dropout(tape, x, c->dropout), lengths, NULL, NULL);
    out->summary = mean_of_valid(tape, out->states, lengths);
    return out->summary != NULL;
}

static int64_t memory_size(const rv_encoder_config *c) { return c->transformer.hidden_size; }
static int64_t reverse_size(const rv_encoder_config *c) { return 0; }

/* q k^T and weights v: S D multiply-adds each per layer and position. */
static double attention_macs(const rv_encoder_config *c, int64_t S) {
    return 2. * c->transformer.num_layers * (double)S * (double)c->transformer.hidden_size;
}

const rv_encoder_kind rv__encoder_transformer = {
    .name = "transformer",
    .create = create,
    .destroy = destroy,
    .forward = forward,
    .memory_size = memory_size,
    .summary_size = memory_size,
    .reverse_size = reverse_size,
    .attention_macs = attention_macs,
};

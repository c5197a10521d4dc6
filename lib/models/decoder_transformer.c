/* The transformer decoder: embedding, positions, dropout, causal blocks. Batch-major. Its state is a key/value cache. */
#include <math.h>

#include "models/decoder.h"

struct rv_decoder {
    rv_decoder_config config;
    rv_tensor *embedding;
    rv_position *position;
    rv_transformer *blocks;
};

struct rv_decoder_state {
    rv_transformer_cache *cache;
    int64_t capacity;
};

static void destroy(rv_decoder *d) {
    if (!d) return;
    rv_transformer_destroy(d->blocks);
    rv_position_destroy(d->position);
    rv_free(d);
}

static rv_decoder *create(rv_params *params, const rv_decoder_config *c) {
    rv_decoder *d = rv_alloc(sizeof *d);
    if (!d) return NULL;
    d->config = *c;
    d->embedding = rv_params_add(params, c->embedding_init, 2, (int64_t[]){c->vocab_size, c->embedding_dim}, "decoder.embedding.weight");
    d->position = rv_position_create(params, c->position, c->max_length, c->embedding_dim, c->embedding_init, "decoder.position");
    d->blocks = d->position ? rv_transformer_create(params, &c->transformer, "decoder") : NULL;
    if (d->blocks) return d;
    destroy(d);
    return NULL;
}

static rv_tensor *forward(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T, rv_decoder_state *state) {
    const rv_decoder_config *c = &d->config;
    double scale = c->scale_embeddings ? sqrt((double)c->embedding_dim) : 1;
    rv_tensor *x = rv_embedding(tape, d->embedding, ids, B * T, scale);
    if (!x) return NULL;
    x = rv_reshape(tape, x, 3, (int64_t[]){B, T, c->embedding_dim});
    x = rv_position_add(tape, d->position, x, state ? rv_transformer_cache_lengths(state->cache) : NULL);
    x = rv_dropout(tape, x, c->dropout);
    if (!x) return NULL;
    return state ? rv_transformer_step(tape, d->blocks, state->cache, x, NULL) : rv_transformer_forward(tape, d->blocks, x, NULL, NULL, NULL);
}

static void state_destroy(rv_decoder_state *s) {
    if (s) rv_transformer_cache_destroy(s->cache);
    rv_free(s);
}

static rv_decoder_state *state_create(const rv_decoder *d, int64_t B, int64_t capacity) {
    rv_decoder_state *s = rv_alloc(sizeof *s);
    if (!s) return NULL;
    s->capacity = capacity;
    s->cache = rv_transformer_cache_create(d->blocks, B, capacity);
    if (s->cache) return s;
    rv_free(s);
    return NULL;
}

static void state_reset(rv_decoder_state *s) { rv_transformer_cache_reset(s->cache); }
static int64_t state_room(const rv_decoder_state *s) { return s->capacity - rv_transformer_cache_lengths(s->cache)[0]; }

/* Only a carried training state is saved, and a transformer carries none. */
static rv_real *state_data(rv_decoder_state *s, int64_t *n) {
    *n = 0;
    return NULL;
}

static int64_t hidden_size(const rv_decoder_config *c) { return c->transformer.hidden_size; }

/* q k^T and weights v: T D multiply-adds each per layer and position, the causal half not deducted. */
static double attention_macs(const rv_decoder_config *c, int64_t T) {
    return 2. * c->transformer.num_layers * (double)T * (double)c->transformer.hidden_size;
}

static rv_tensor *embedding(const rv_decoder *d) { return d->embedding; }

const rv_decoder_kind rv__decoder_transformer = {
    .name = "transformer",
    .time_major = false,
    .create = create,
    .destroy = destroy,
    .forward = forward,
    .state_create = state_create,
    .state_destroy = state_destroy,
    .state_reset = state_reset,
    .state_room = state_room,
    .state_data = state_data,
    .hidden_size = hidden_size,
    .attention_macs = attention_macs,
    .embedding = embedding,
};

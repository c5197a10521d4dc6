/* The transformer decoder: embedding, positions, dropout, causal blocks. Batch-major. Its state is a key/value cache.
 *
 * With a memory its blocks have cross-attention; a memory of another width is first mapped to theirs by
 * decoder.memory_proj.weight (D, width) and decoder.memory_proj.bias (D). */
#include "base/arena.h"
#include "models/decoder.h"

struct rv_decoder {
    rv_decoder_config config;
    rv_input *input;
    rv_tensor *memory_weight, *memory_bias; /* NULL: the memory is as wide as the blocks */
    rv_transformer *blocks;
};

struct rv_decoder_state {
    rv_transformer_cache *cache;
    int64_t capacity;
};

static void destroy(rv_decoder *d) {
    if (!d) return;
    rv_transformer_destroy(d->blocks);
    rv_input_destroy(d->input);
    rv_free(d);
}

static rv_decoder *create(rv_params *params, const rv_decoder_config *c) {
    const int64_t D = c->transformer.hidden_size;
    if (c->input.size != D) {
        rv_error(RV_EUSAGE, "decoder: embedding_dim %lld and hidden_size %lld; a transformer needs them equal",
                 (long long)c->input.size, (long long)D);
        return NULL;
    }
    rv_decoder *d = rv_alloc(sizeof *d);
    if (!d) return NULL;
    d->config = *c;
    d->input = rv_input_create(params, &c->input, true, NULL, "decoder");
    rv_transformer_config *blocks = &d->config.transformer;
    blocks->cross = c->memory_size > 0;
    if (blocks->cross && c->memory_size != D) {
        d->memory_weight =
            rv_params_add(params, blocks->init, 2, (int64_t[]){D, c->memory_size}, "decoder.memory_proj.weight");
        d->memory_bias = rv_params_add(params, (rv_init){RV_INIT_ZERO}, 1, &D, "decoder.memory_proj.bias");
        rv_params_use(params, d->memory_weight, RV_USE_SOURCE);
    }
    d->blocks = d->input ? rv_transformer_create(params, blocks, "decoder") : NULL;
    if (d->blocks) return d;
    destroy(d);
    return NULL;
}

static rv_tensor *read_memory(rv_tape *tape, const rv_decoder *d, const rv_memory *m) {
    return d->memory_weight ? rv_linear(tape, m->states, d->memory_weight, d->memory_bias, RV_ACT_NONE) : m->states;
}

/* What enters the blocks. */
static rv_tensor *read(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T,
                       rv_decoder_state *state) {
    const int32_t *start = state ? rv_transformer_cache_lengths(state->cache) : NULL;
    return rv_input_read(tape, d->input, &(rv_sequences){.B = B, .T = T, .ids = ids}, false, start);
}

static rv_tensor *forward(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T,
                          rv_decoder_state *state, const rv_memory *memory) {
    rv_tensor *x = read(tape, d, ids, B, T, state);
    if (!x) return NULL;
    if (state) return rv_transformer_step(tape, d->blocks, state->cache, x, NULL);
    if (!d->config.memory_size) return rv_transformer_forward(tape, d->blocks, x, NULL, NULL, NULL);
    return rv_transformer_forward(tape, d->blocks, x, NULL, read_memory(tape, d, memory), memory->lengths);
}

static bool attention(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T, const rv_memory *memory,
                      rv_attention_weights *out) {
    const rv_transformer_config *c = &d->config.transformer;
    RV_ASSERT(d->config.memory_size);
    *out = (rv_attention_weights){.layers = c->num_layers, .heads = c->num_heads, .B = B, .T = T, .S = memory->S};
    out->weights =
        rv_tape_alloc(tape, (size_t)(c->num_layers * c->num_heads * B * T * memory->S) * sizeof *out->weights);
    if (!out->weights) return false;
    return rv_transformer_cross_weights(tape, d->blocks, read(tape, d, ids, B, T, NULL), read_memory(tape, d, memory),
                                        memory->lengths, out->weights);
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

static rv_status state_memory(rv_tape *tape, rv_decoder *d, rv_decoder_state *s, const rv_memory *m, int64_t beam) {
    RV_ASSERT(d->config.memory_size && rv_transformer_cache_rows(s->cache) == m->B * beam);
    return rv_transformer_cache_memory(tape, d->blocks, s->cache, read_memory(tape, d, m), m->lengths);
}

static void state_reorder(rv_decoder_state *s, const int32_t *from, int64_t n) {
    rv_transformer_cache_reorder(s->cache, from, n);
}
static int64_t state_rows(const rv_decoder_state *s) { return rv_transformer_cache_rows(s->cache); }
static void state_reset(rv_decoder_state *s) { rv_transformer_cache_reset(s->cache); }
static int64_t state_room(const rv_decoder_state *s) { return s->capacity - rv_transformer_cache_lengths(s->cache)[0]; }

/* Only a carried training state is saved, and a transformer carries none. */
static rv_real *state_data(rv_decoder_state *s, int64_t *n) {
    *n = 0;
    return NULL;
}

static int64_t hidden_size(const rv_decoder_config *c) { return c->transformer.hidden_size; }

static bool attends(const rv_decoder_config *c) { return c->memory_size > 0; }
static int64_t positions(const rv_decoder_config *c) { return c->input.max_length; }
static bool reads_summary(const rv_decoder_config *c) { return false; }
static bool sees_future(const rv_decoder_config *c) { return c->transformer.mask != RV_MASK_BEFORE; }

/* Keys and values of each layer, of the memory, too. */
static int64_t state_numbers(const rv_decoder_config *c, int64_t S, int64_t capacity) {
    return 2 * c->transformer.num_layers * c->transformer.hidden_size * (capacity + (c->memory_size ? S : 0));
}

/* q k^T and weights v: T D multiply-adds each per layer and position, the causal half not deducted. */
static double memory_macs(const rv_decoder_config *c, double S) {
    return 2. * c->transformer.num_layers * S * (double)c->transformer.hidden_size;
}

/* What is masked before the softmax is not computed: a position sees (T + 1) / 2 of them on average. */
static double attention_macs(const rv_decoder_config *c, double T) {
    return T > 0 && !sees_future(c) ? memory_macs(c, T + 1) / 2 : memory_macs(c, T);
}

static rv_tensor *embedding(const rv_decoder *d) { return rv_input_embedding(d->input); }

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
    .state_rows = state_rows,
    .state_memory = state_memory,
    .state_reorder = state_reorder,
    .attention = attention,
    .state_data = state_data,
    .hidden_size = hidden_size,
    .positions = positions,
    .attends = attends,
    .reads_summary = reads_summary,
    .sees_future = sees_future,
    .state_numbers = state_numbers,
    .attention_macs = attention_macs,
    .memory_macs = memory_macs,
    .embedding = embedding,
};

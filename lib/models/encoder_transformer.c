/* The transformer encoder: input with positions, blocks that see the whole sequence. */
#include "base/arena.h"
#include "models/encoder.h"

struct rv_encoder {
    rv_encoder_config config;
    rv_input *input;
    rv_transformer *blocks;
};

static void destroy(rv_encoder *e) {
    if (!e) return;
    rv_transformer_destroy(e->blocks);
    rv_input_destroy(e->input);
    rv_free(e);
}

static rv_encoder *create(rv_params *params, const rv_encoder_config *c, rv_tensor *shared) {
    if (c->input.size != c->transformer.hidden_size) {
        rv_error(RV_EUSAGE, "encoder: embedding_dim %lld and hidden_size %lld; a transformer needs them equal",
                 (long long)c->input.size, (long long)c->transformer.hidden_size);
        return NULL;
    }
    rv_encoder *e = rv_alloc(sizeof *e);
    if (!e) return NULL;
    e->config = *c;
    e->config.transformer.causal = e->config.transformer.cross = false;
    e->input = rv_input_create(params, &c->input, true, shared, "encoder");
    e->blocks = e->input ? rv_transformer_create(params, &e->config.transformer, "encoder") : NULL;
    if (e->blocks) return e;
    destroy(e);
    return NULL;
}

/* The mean over each row's valid positions: padded ones times 0, added in the order of the positions. */
static rv_tensor *mean_of_valid(rv_tape *tape, rv_tensor *x, const int32_t *lengths) {
    if (!x) return NULL;
    const int64_t B = x->dim[0], S = x->dim[1];
    rv_tensor *valid = rv_leaf(tape, false, 3, (int64_t[]){B, S, 1});
    rv_tensor *count = rv_leaf(tape, false, 2, (int64_t[]){B, 1});
    if (!valid || !count) return NULL;
    for (int64_t b = 0; b < B; b++) {
        count->x[b] = (rv_real)lengths[b];
        for (int64_t s = 0; s < S; s++) valid->x[b * S + s] = s < lengths[b];
    }
    return rv_div(tape, rv_sum(tape, rv_mul(tape, x, valid), 1), count);
}

static bool forward(rv_tape *tape, rv_encoder *e, const rv_sequences *s, rv_memory *out) {
    const int64_t D = e->config.transformer.hidden_size;
    *out = (rv_memory){.B = s->B, .S = s->T, .size = D, .lengths = s->lengths};
    rv_tensor *x = rv_input_read(tape, e->input, s, false, NULL);
    out->states = x ? rv_transformer_forward(tape, e->blocks, x, s->lengths, NULL, NULL) : NULL;
    if (e->config.summarise) out->summary = mean_of_valid(tape, out->states, s->lengths);
    return out->states && (out->summary || !e->config.summarise);
}

static int64_t memory_size(const rv_encoder_config *c) { return c->transformer.hidden_size; }
static int64_t reverse_size(const rv_encoder_config *c) { return 0; }

static int64_t positions(const rv_encoder_config *c) {
    return c->input.position == RV_POSITION_NONE ? INT64_MAX : c->input.max_length;
}

/* q k^T and weights v: S D multiply-adds each per layer and position. */
static double attention_macs(const rv_encoder_config *c, double S) {
    return 2. * c->transformer.num_layers * S * (double)c->transformer.hidden_size;
}

const rv_encoder_kind rv__encoder_transformer = {
    .name = "transformer",
    .create = create,
    .destroy = destroy,
    .forward = forward,
    .memory_size = memory_size,
    .reverse_size = reverse_size,
    .positions = positions,
    .attention_macs = attention_macs,
};

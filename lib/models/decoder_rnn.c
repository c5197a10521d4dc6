/* The recurrent decoder: embedding, dropout, a stack of RNN, LSTM or GRU layers, dropout. Time-major. Its state is the
 * hidden (and cell) state of every layer. */
#include <math.h>

#include "models/decoder.h"

struct rv_decoder {
    rv_decoder_config config;
    rv_tensor *embedding;
    rv_rnn *rnn;
};

struct rv_decoder_state {
    rv_rnn_carry *carry;
};

static rv_decoder *create(rv_params *params, const rv_decoder_config *c) {
    rv_decoder *d = rv_alloc(sizeof *d);
    if (!d) return NULL;
    d->config = *c;
    d->embedding = rv_params_add(params, c->embedding_init, 2, (int64_t[]){c->vocab_size, c->embedding_dim}, "decoder.embedding.weight");
    d->rnn = rv_rnn_create(params, &c->rnn, "decoder.rnn");
    if (d->rnn) return d;
    rv_free(d);
    return NULL;
}

static void destroy(rv_decoder *d) {
    if (!d) return;
    rv_rnn_destroy(d->rnn);
    rv_free(d);
}

static rv_tensor *forward(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T, rv_decoder_state *state) {
    const rv_decoder_config *c = &d->config;
    double scale = c->scale_embeddings ? sqrt((double)c->embedding_dim) : 1;
    rv_tensor *x = rv_embedding(tape, d->embedding, ids, T * B, scale);
    if (!x) return NULL;
    x = rv_reshape(tape, x, 3, (int64_t[]){T, B, c->embedding_dim});
    x = rv_dropout(tape, x, c->dropout);
    rv_rnn_state before, after;
    if (state) before = rv_rnn_carry_load(tape, state->carry);
    x = rv_rnn_forward(tape, d->rnn, x, NULL, state ? &before : NULL, state ? &after : NULL);
    if (x && state) rv_rnn_carry_save(state->carry, &after);
    return rv_dropout(tape, x, c->dropout);
}

static void state_destroy(rv_decoder_state *s) {
    if (s) rv_rnn_carry_destroy(s->carry);
    rv_free(s);
}

static rv_decoder_state *state_create(const rv_decoder *d, int64_t B, int64_t capacity) {
    rv_decoder_state *s = rv_alloc(sizeof *s);
    if (!s) return NULL;
    s->carry = rv_rnn_carry_create(d->rnn, B);
    if (s->carry) return s;
    rv_free(s);
    return NULL;
}

static void state_reset(rv_decoder_state *s) { rv_rnn_carry_reset(s->carry); }
static int64_t state_room(const rv_decoder_state *s) { return INT64_MAX; }

static rv_real *state_data(rv_decoder_state *s, int64_t *n) {
    const rv_rnn_carry *c = s->carry;
    *n = c->n * c->batch * c->size * (c->c ? 2 : 1); /* c follows h */
    return c->h;
}

static int64_t hidden_size(const rv_decoder_config *c) { return c->rnn.hidden_size; }
static double attention_macs(const rv_decoder_config *c, int64_t T) { return 0; }
static rv_tensor *embedding(const rv_decoder *d) { return d->embedding; }

const rv_decoder_kind rv__decoder_rnn = {
    .name = "rnn",
    .time_major = true,
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

/* The recurrent encoder: embedding, dropout, a stack of RNN, LSTM or GRU layers in one or two directions, dropout. It
 * computes time-major and hands its memory over batch-major. */
#include <math.h>

#include "models/encoder.h"

struct rv_encoder {
    rv_encoder_config config;
    rv_tensor *embedding;
    rv_rnn *rnn;
};

static rv_encoder *create(rv_params *params, const rv_encoder_config *c, rv_tensor *shared) {
    rv_encoder *e = rv_alloc(sizeof *e);
    if (!e) return NULL;
    e->config = *c;
    e->config.rnn.input_size = c->embedding_dim;
    e->embedding = shared ? shared
                          : rv_params_add(params, c->embedding_init, 2, (int64_t[]){c->vocab_size, c->embedding_dim}, "encoder.embedding.weight");
    e->rnn = rv_rnn_create(params, &e->config.rnn, "encoder.rnn");
    if (e->rnn) return e;
    rv_free(e);
    return NULL;
}

static void destroy(rv_encoder *e) {
    if (!e) return;
    rv_rnn_destroy(e->rnn);
    rv_free(e);
}

static bool forward(rv_tape *tape, rv_encoder *e, const int32_t *ids, const int32_t *lengths, int64_t B, int64_t S, rv_memory *out) {
    const rv_encoder_config *c = &e->config;
    *out = (rv_memory){.B = B, .S = S, .size = rv__encoder_rnn.memory_size(c), .lengths = lengths};
    int32_t *by_time = rv_tape_alloc(tape, (size_t)(B * S) * sizeof *by_time);
    if (!by_time) return false;
    for (int64_t s = 0; s < S; s++)
        for (int64_t b = 0; b < B; b++) by_time[s * B + b] = ids[b * S + s];
    rv_tensor *x = rv_embedding(tape, e->embedding, by_time, S * B, c->scale_embeddings ? sqrt((double)c->embedding_dim) : 1);
    if (!x) return false;
    x = rv_reshape(tape, x, 3, (int64_t[]){S, B, c->embedding_dim});
    x = rv_rnn_forward(tape, e->rnn, rv_dropout(tape, x, c->dropout), lengths, NULL, &out->finals);
    out->states = rv_transpose(tape, rv_dropout(tape, x, c->dropout), (int[]){1, 0, 2});
    if (c->rnn.bidirectional) {
        rv_tensor **last = out->finals.h + out->finals.n - 2;
        out->reverse = last[1];
        out->summary = rv_concat(tape, 2, last, -1);
    } else {
        out->summary = out->finals.h[out->finals.n - 1];
    }
    return out->states && out->summary;
}

static int64_t memory_size(const rv_encoder_config *c) { return c->rnn.hidden_size * (c->rnn.bidirectional ? 2 : 1); }
static int64_t reverse_size(const rv_encoder_config *c) { return c->rnn.bidirectional ? c->rnn.hidden_size : 0; }
static double attention_macs(const rv_encoder_config *c, int64_t S) { return 0; }

const rv_encoder_kind rv__encoder_rnn = {
    .name = "rnn",
    .create = create,
    .destroy = destroy,
    .forward = forward,
    .memory_size = memory_size,
    .summary_size = memory_size,
    .reverse_size = reverse_size,
    .attention_macs = attention_macs,
};

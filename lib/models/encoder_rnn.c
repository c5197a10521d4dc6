/* The recurrent encoder: input, a stack of RNN, LSTM or GRU layers in one or two directions, dropout. It computes
 * time-major and hands its memory over batch-major. */
#include "base/arena.h"
#include "models/encoder.h"

struct rv_encoder {
    rv_encoder_config config;
    rv_input *input;
    rv_rnn *rnn;
};

static void destroy(rv_encoder *e) {
    if (!e) return;
    rv_rnn_destroy(e->rnn);
    rv_input_destroy(e->input);
    rv_free(e);
}

static rv_encoder *create(rv_params *params, const rv_encoder_config *c, rv_tensor *shared) {
    rv_encoder *e = rv_alloc(sizeof *e);
    if (!e) return NULL;
    e->config = *c;
    e->config.input.position = RV_POSITION_NONE;
    e->config.rnn.input_size = rv_input_size(&c->input, false);
    e->input = rv_input_create(params, &e->config.input, false, shared, "encoder");
    e->rnn = e->input ? rv_rnn_create(params, &e->config.rnn, "encoder.rnn") : NULL;
    if (e->rnn) return e;
    destroy(e);
    return NULL;
}

static int64_t memory_size(const rv_encoder_config *c) { return c->rnn.hidden_size * (c->rnn.bidirectional ? 2 : 1); }
static int64_t reverse_size(const rv_encoder_config *c) { return c->rnn.bidirectional ? c->rnn.hidden_size : 0; }
static int64_t positions(const rv_encoder_config *c) { return INT64_MAX; }
static double attention_macs(const rv_encoder_config *c, double S) { return 0; }

static bool forward(rv_tape *tape, rv_encoder *e, const rv_sequences *s, rv_memory *out) {
    const rv_encoder_config *c = &e->config;
    *out = (rv_memory){.B = s->B, .S = s->T, .size = memory_size(c), .lengths = s->lengths};
    rv_tensor *x = rv_input_read(tape, e->input, s, true, NULL);
    if (!x) return false;
    x = rv_rnn_forward(tape, e->rnn, x, s->lengths, NULL, &out->finals);
    out->states = rv_transpose(tape, rv_dropout(tape, x, c->dropout), (int[]){1, 0, 2});
    if (c->rnn.bidirectional) {
        rv_tensor **last = out->finals.h + out->finals.n - 2;
        out->reverse = last[1];
        out->last = rv_concat(tape, 2, last, -1);
    } else {
        out->last = out->finals.h[out->finals.n - 1];
    }
    out->summary = out->last;
    return out->states && out->last;
}

const rv_encoder_kind rv__encoder_rnn = {
    .name = "rnn",
    .create = create,
    .destroy = destroy,
    .forward = forward,
    .memory_size = memory_size,
    .reverse_size = reverse_size,
    .positions = positions,
    .attention_macs = attention_macs,
};

#include "models/sequence_regressor.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"

struct rv_sequence_regressor {
    rv_sequence_regressor_config config;
    int64_t width;
    rv_rnn *rnn;
    rv_transformer *blocks;
    rv_position *position;
    rv_pooling *pooling;
    rv_tensor *input_weight, *input_bias, *head_weight, *head_bias;
};

void rv_sequence_regressor_destroy(rv_sequence_regressor *m) {
    if (!m) return;
    rv_rnn_destroy(m->rnn);
    rv_transformer_destroy(m->blocks);
    rv_position_destroy(m->position);
    rv_pooling_destroy(m->pooling);
    rv_free(m);
}

static void declare_linear(rv_params *ps, rv_init init, int64_t in, int64_t out, const char *prefix, rv_tensor **weight, rv_tensor **bias) {
    *weight = rv_params_add(ps, init, 2, (int64_t[]){out, in}, "%s.weight", prefix);
    *bias = rv_params_add(ps, (rv_init){RV_INIT_UNIFORM, 1 / sqrt((double)in), 0}, 1, &out, "%s.bias", prefix);
}

static bool declare_encoder(rv_params *ps, rv_sequence_regressor *m) {
    rv_sequence_regressor_config *c = &m->config;
    if (!c->attends) {
        c->rnn.input_size = c->input_size;
        m->width = c->rnn.hidden_size * (c->rnn.bidirectional ? 2 : 1);
        return (m->rnn = rv_rnn_create(ps, &c->rnn, "encoder.rnn")) != NULL;
    }
    m->width = c->transformer.hidden_size;
    c->transformer.cross = false;
    declare_linear(ps, c->init, c->input_size, m->width, "encoder.input", &m->input_weight, &m->input_bias);
    m->position = rv_position_create(ps, c->position, c->max_length, m->width, c->position_init, "encoder.position");
    return m->position && (m->blocks = rv_transformer_create(ps, &c->transformer, "encoder")) != NULL;
}

rv_sequence_regressor *rv_sequence_regressor_create(rv_params *ps, const rv_sequence_regressor_config *config) {
    rv_sequence_regressor *m = rv_alloc(sizeof *m);
    if (!m) return NULL;
    m->config = *config;
    if (declare_encoder(ps, m)) {
        rv_pooling_config pooling = {config->pooling, m->width, config->pooling_size, config->init};
        m->pooling = rv_pooling_create(ps, &pooling, "pooling");
        declare_linear(ps, config->init, m->width, config->output_size, "head", &m->head_weight, &m->head_bias);
    }
    if (m->pooling) return m;
    rv_sequence_regressor_destroy(m);
    return NULL;
}

const rv_sequence_regressor_config *rv_sequence_regressor_get_config(const rv_sequence_regressor *m) { return &m->config; }
rv_rnn *rv_sequence_regressor_rnn(const rv_sequence_regressor *m) { return m->rnn; }
rv_transformer *rv_sequence_regressor_transformer(const rv_sequence_regressor *m) { return m->blocks; }
int64_t rv_sequence_regressor_width(const rv_sequence_regressor *m) { return m->width; }

rv_tensor *rv_sequence_regressor_input(rv_tape *tape, rv_sequence_regressor *m, const rv_real *x, int64_t B, int64_t T) {
    const int64_t F = m->config.input_size;
    if (m->config.attends) {
        rv_tensor *in = rv_linear(tape, rv_constant(tape, 3, (int64_t[]){B, T, F}, x), m->input_weight, m->input_bias, RV_ACT_NONE);
        return rv_dropout(tape, rv_position_add(tape, m->position, in, NULL), m->config.dropout);
    }
    rv_tensor *in = rv_leaf(tape, false, 3, (int64_t[]){T, B, F});
    for (int64_t t = 0; in && t < T; t++)
        for (int64_t b = 0; b < B; b++) memcpy(in->x + (t * B + b) * F, x + (b * T + t) * F, (size_t)F * sizeof *x);
    return in;
}

bool rv_sequence_regressor_read(rv_tape *tape, rv_sequence_regressor *m, rv_tensor *states, rv_tensor *last, const int32_t *lengths,
                                rv_sequence_regression *out) {
    rv_pooled pooled = rv_pooling_forward(tape, m->pooling, states, lengths, last);
    pooled.y = rv_watch_states(tape, pooled.y, "head", false, "head");
    *out = (rv_sequence_regression){.states = states, .pooled = pooled.y, .weights = pooled.weights};
    out->output = rv_linear(tape, rv_dropout(tape, pooled.y, m->config.dropout), m->head_weight, m->head_bias, RV_ACT_NONE);
    return out->output != NULL;
}

bool rv_sequence_regressor_forward(rv_tape *tape, rv_sequence_regressor *m, const rv_real *x, const int32_t *lengths, int64_t B, int64_t T,
                                   rv_sequence_regression *out) {
    rv_tensor *in = rv_sequence_regressor_input(tape, m, x, B, T), *last = NULL, *states = NULL;
    *out = (rv_sequence_regression){0};
    if (!in) return false;
    if (m->config.attends) states = rv_transformer_forward(tape, m->blocks, in, lengths, NULL, NULL);
    else {
        rv_rnn_state ends;
        states = rv_transpose(tape, rv_rnn_forward(tape, m->rnn, in, lengths, NULL, &ends), (int[]){1, 0, 2});
        last = m->config.rnn.bidirectional ? rv_concat(tape, 2, ends.h + ends.n - 2, -1) : ends.h[ends.n - 1];
    }
    return rv_sequence_regressor_read(tape, m, states, last, lengths, out);
}

double rv_sequence_regressor_weight_flops(const rv_sequence_regressor *m, const rv_param *p, double T) {
    if (p->t.ndim < 2 || !strcmp(p->name, "encoder.position.weight")) return 0;
    return 2 * (double)rv_numel(&p->t) / (&p->t == m->head_weight ? T : 1);
}

double rv_sequence_regressor_flops(const rv_sequence_regressor *m, const rv_params *params, double T) {
    double flops = m->config.pooling == RV_POOLING_LAST ? 0 : 2 * (double)m->width; /* the weighted sum */
    if (m->config.attends) flops += 4. * m->config.transformer.num_layers * T * (double)m->width; /* q k^T and weights v */
    for (int i = 0; i < params->n; i++) flops += rv_sequence_regressor_weight_flops(m, params->p[i], T);
    return flops;
}

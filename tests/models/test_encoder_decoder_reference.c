/* Encoder-decoder models against PyTorch: logits, all gradients, ten training steps (tests/reference/make_seq2seq.py).
 */
#include "support/models.h"
#include "support/parity.h"

enum { B = 4, S = 7, T = 6, VS = 13, VT = 11, E = 8, H = 10, A = 9, R = 7, D = 12 };

typedef struct {
    parity p;
    rv_model *m;
    int32_t *src, *lengths, *x, *y;
    double smoothing;
} model;

static rv_tensor *loss(rv_tape *tape, void *ctx, int t) {
    model *c = ctx;
    rv_memory memory;
    cr_assert(encode_ids(tape, c->m, c->src + t * B * S, c->lengths + t * B, B, S, &memory));
    rv_tensor *logits = rv_model_logits(tape, c->m, c->x + t * B * T, B, T, NULL, &memory);
    cr_assert(logits, "%s", rv_error_message());
    if (t == 0) { /* in PyTorch's order; before backward, which overwrites them */
        rv_real ordered[B * T * VT];
        for (int i = 0; i < B * T; i++)
            memcpy(ordered + i * VT, logits->x + rv_model_row(c->m, B, T, i / T, i % T) * VT, VT * sizeof *ordered);
        parity_close(&c->p, ordered, 0, B * T * VT, "f64/logits");
    }
    return loss_of_logits(tape, c->m, logits, c->y + t * B * T, B, T, c->smoothing);
}

static void check(const char *name, rv_model_config config, double smoothing) {
    model c = {.p = {.file = "seq2seq.h5",
                     .name = name,
                     .rtol = 1e-10,
                     .params = rv_params_create(),
                     .optim = RV_OPTIM_adam,
                     .loss = loss},
               .smoothing = smoothing};
    c.m = rv_model_create(c.p.params, &config);
    cr_assert(c.m, "%s", rv_error_message());
    c.p.ctx = &c;
    c.src = parity_integers(&c.p, "src", PARITY_STEPS * B * S);
    c.lengths = parity_integers(&c.p, "src_lengths", PARITY_STEPS * B);
    c.x = parity_integers(&c.p, "input", PARITY_STEPS * B * T);
    c.y = parity_integers(&c.p, "target", PARITY_STEPS * B * T);
    parity_train(&c.p);
    rv_model_destroy(c.m);
    rv_params_destroy(c.p.params);
    free(c.src);
    free(c.lengths);
    free(c.x);
    free(c.y);
}

static rv_rnn_config stack(rv_cell cell, bool bidirectional) {
    rv_rnn_config c = rv_rnn_defaults(cell);
    c.hidden_size = H;
    c.bidirectional = bidirectional;
    return c;
}

static rv_model_config recurrent(rv_cell cell, bool bidirectional, bool head_bias, rv_reading reading) {
    return (rv_model_config){
        .encoder = {.kind = rv_encoder_find("rnn"),
                    .input = {.vocab_size = VS, .size = E},
                    .rnn = stack(cell, bidirectional)},
        .decoder = {.kind = rv_decoder_find("rnn"),
                    .input = {.vocab_size = VT, .size = E},
                    .rnn = stack(cell, false),
                    .reading = reading},
        .head = {.kind = rv_head_find("next_token"), .bias = head_bias},
    };
}

Test(encoder_decoder_reference, bahdanau_as_in_the_paper) {
    rv_reading r = {RV_ATTEND_BAHDANAU, .attention_size = A, .bridge = RV_BRIDGE_REVERSE, .readout = RV_READOUT_MAXOUT,
                    .readout_size = R};
    check("bahdanau_gru", recurrent(RV_CELL_GRU_RESET_BEFORE, true, true, r), 0);
}

Test(encoder_decoder_reference, bahdanau_with_lstm) {
    rv_reading r = {RV_ATTEND_BAHDANAU, .attention_size = A, .bridge = RV_BRIDGE_DENSE, .readout = RV_READOUT_TANH,
                    .readout_size = R};
    check("bahdanau_lstm", recurrent(RV_CELL_LSTM, true, true, r), 0.1);
}

Test(encoder_decoder_reference, luong_general_with_input_feeding) {
    rv_reading r = {RV_ATTEND_LUONG_GENERAL, .input_feeding = true, .bridge = RV_BRIDGE_COPY, .readout_size = R};
    check("luong", recurrent(RV_CELL_LSTM, false, false, r), 0);
}

static rv_transformer_config blocks(void) {
    rv_transformer_config c = rv_transformer_defaults();
    c.num_layers = c.num_heads = 2;
    c.hidden_size = D;
    c.ff_size = 20;
    c.norm = RV_NORM_POST;
    c.causal = true;
    return c;
}

Test(encoder_decoder_reference, nn_transformer) {
    const rv_input_config words = {
        .vocab_size = VT, .size = D, .scale = true, .position = RV_POSITION_SINUSOIDAL, .max_length = S};
    rv_model_config c = {
        .encoder = {.kind = rv_encoder_find("transformer"), .input = words, .transformer = blocks()},
        .decoder = {.kind = rv_decoder_find("transformer"), .input = words, .transformer = blocks()},
        .head = {.kind = rv_head_find("next_token")},
        .tie_embeddings = true,
        .tie_source = true,
    };
    check("transformer", c, 0.1);
}

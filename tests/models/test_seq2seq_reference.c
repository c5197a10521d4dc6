/* Encoder-decoder models against PyTorch: logits, all gradients, ten training steps (tests/reference/make_seq2seq.py). */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optim/clip.h"
#include "optim/optim.h"
#include "ravel.h"
#include "support/reference.h"

enum { STEPS = 10, B = 4, S = 7, T = 6, VS = 13, VT = 11, E = 8, H = 10, A = 9, R = 7, D = 12 };

static void close_to(const char *what, const rv_real *got, const char *path, int64_t n) {
    /* Adam divides by the root of a squared gradient: where a gradient is near 0 its rounding is a direction. */
    bool exact = sizeof(rv_real) == 8;
    double rtol = exact ? 1e-10 : 1e-5, atol = exact ? 1e-10 : !strcmp(what, "final") ? 1e-4 : 1e-5;
    double *want = rv_ref_read("seq2seq.h5", path, NULL, NULL);
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs((double)got[i] - want[i]) <= atol + rtol * fabs(want[i]), "%s[%lld] is %.12g, PyTorch has %.12g (%s)", what, (long long)i,
                  (double)got[i], want[i], path);
    free(want);
}

static int32_t *integers(const char *name, const char *which, int64_t n) {
    char path[64];
    snprintf(path, sizeof path, "/%s/%s", name, which);
    double *v = rv_ref_read("seq2seq.h5", path, NULL, NULL);
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)v[i];
    free(v);
    return ids;
}

static void check(const char *name, rv_seq2seq_config config, double smoothing) {
    char path[256];
    rv_params *ps = rv_params_create();
    rv_seq2seq *m = rv_seq2seq_create(ps, &config);
    cr_assert(m, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    for (int i = 0; i < ps->n; i++) {
        snprintf(path, sizeof path, "/%s/init/%s", name, ps->p[i]->name);
        int ndim;
        int64_t dims[8];
        double *v = rv_ref_read("seq2seq.h5", path, &ndim, dims);
        cr_assert_eq(ndim, ps->p[i]->t.ndim, "%s", path);
        for (int k = 0; k < ndim; k++) cr_assert_eq(dims[k], ps->p[i]->t.dim[k], "%s", path);
        for (int64_t j = 0; j < rv_numel(&ps->p[i]->t); j++) ps->p[i]->t.x[j] = (rv_real)v[j];
        free(v);
    }
    rv_optim_settings s = rv_optim_defaults(RV_OPTIM_adam);
    rv_optim *o;
    cr_assert_eq(rv_optim_create(RV_OPTIM_adam, &s, ps, &o), RV_OK);
    int32_t *src = integers(name, "src", STEPS * B * S), *lengths = integers(name, "src_lengths", STEPS * B);
    int32_t *x = integers(name, "input", STEPS * B * T), *y = integers(name, "target", STEPS * B * T);
    rv_tape *tape = rv_tape_create();
    rv_tape_set_training(tape, true);
    rv_real losses[STEPS], norms[STEPS];
    for (int t = 0; t < STEPS; t++) {
        rv_tape_reset(tape);
        rv_params_zero_grad(ps);
        rv_memory memory;
        cr_assert(rv_seq2seq_encode(tape, m, src + t * B * S, lengths + t * B, B, S, &memory));
        rv_tensor *logits = rv_seq2seq_logits(tape, m, &memory, x + t * B * T, B, T);
        cr_assert(logits, "%s", rv_error_message());
        if (t == 0) { /* in PyTorch's order; before backward, which overwrites them */
            rv_real ordered[B * T * VT];
            for (int i = 0; i < B * T; i++) memcpy(ordered + i * VT, logits->x + rv_lm_row(rv_seq2seq_lm(m), B, T, i / T, i % T) * VT, VT * sizeof *ordered);
            snprintf(path, sizeof path, "/%s/f64/logits", name);
            close_to("logit", ordered, path, B * T * VT);
        }
        rv_tensor *loss = rv_lm_logits_loss(tape, rv_seq2seq_lm(m), logits, y + t * B * T, B, T, smoothing);
        cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
        rv_params_finish_grad(ps);
        for (int i = 0; t == 0 && i < ps->n; i++) {
            snprintf(path, sizeof path, "/%s/f64/grad/%s", name, ps->p[i]->name);
            close_to("gradient", ps->p[i]->t.g, path, rv_numel(&ps->p[i]->t));
        }
        double norm;
        cr_assert_eq(rv_grad_norm(ps, &norm), RV_OK);
        norms[t] = (rv_real)norm;
        losses[t] = loss->x[0];
        rv_optim_step(o, 1e-2, rv_clip_factor(norm, 1));
    }
    snprintf(path, sizeof path, "/%s/f64/loss", name);
    close_to("loss", losses, path, STEPS);
    snprintf(path, sizeof path, "/%s/f64/norm", name);
    close_to("norm", norms, path, STEPS);
    for (int i = 0; i < ps->n; i++) {
        snprintf(path, sizeof path, "/%s/f64/final/%s", name, ps->p[i]->name);
        /* A bias of the keys moves all scores of a row alike: its gradient is rounding, of which Adam makes full steps. It is
         * the middle third of the bias. */
        bool has_keys = strstr(ps->p[i]->name, "in_proj_bias") != NULL;
        int64_t n = rv_numel(&ps->p[i]->t);
        close_to("final", ps->p[i]->t.x, path, has_keys ? n / 3 : n);
    }
    rv_tape_destroy(tape);
    rv_optim_destroy(o);
    rv_seq2seq_destroy(m);
    rv_params_destroy(ps);
    free(src);
    free(lengths);
    free(x);
    free(y);
}

static rv_rnn_config stack(rv_cell cell, bool bidirectional) {
    rv_rnn_config c = rv_rnn_defaults(cell);
    c.hidden_size = H;
    c.bidirectional = bidirectional;
    return c;
}

static rv_seq2seq_config recurrent(rv_cell cell, bool bidirectional, bool head_bias, rv_reading reading) {
    return (rv_seq2seq_config){
        .encoder = {.kind = rv_encoder_find("rnn"), .vocab_size = VS, .embedding_dim = E, .rnn = stack(cell, bidirectional)},
        .lm = {.head_bias = head_bias,
               .decoder = {.kind = rv_decoder_find("rnn"), .vocab_size = VT, .embedding_dim = E, .rnn = stack(cell, false), .reading = reading}},
    };
}

Test(seq2seq_reference, bahdanau_as_in_the_paper) {
    rv_reading r = {RV_ATTEND_BAHDANAU, .attention_size = A, .bridge = RV_BRIDGE_REVERSE, .readout = RV_READOUT_MAXOUT, .readout_size = R};
    check("bahdanau_gru", recurrent(RV_CELL_GRU_RESET_BEFORE, true, true, r), 0);
}

Test(seq2seq_reference, bahdanau_with_lstm) {
    rv_reading r = {RV_ATTEND_BAHDANAU, .attention_size = A, .bridge = RV_BRIDGE_DENSE, .readout = RV_READOUT_TANH, .readout_size = R};
    check("bahdanau_lstm", recurrent(RV_CELL_LSTM, true, true, r), 0.1);
}

Test(seq2seq_reference, luong_general_with_input_feeding) {
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

Test(seq2seq_reference, nn_transformer) {
    rv_seq2seq_config c = {
        .encoder = {.kind = rv_encoder_find("transformer"), .vocab_size = VT, .embedding_dim = D, .scale_embeddings = true, .transformer = blocks()},
        .lm = {.tie_embeddings = true, .decoder = {.kind = rv_decoder_find("transformer"), .vocab_size = VT, .embedding_dim = D, .scale_embeddings = true,
                                                   .transformer = blocks(), .position = RV_POSITION_SINUSOIDAL, .max_length = S}},
        .tie_source = true,
    };
    c.encoder.position = RV_POSITION_SINUSOIDAL;
    c.encoder.max_length = S;
    check("transformer", c, 0.1);
}

/* Whole language models: ten training steps against PyTorch's, and what must hold of any of them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "support/models.h"
#include "support/parity.h"

enum { V = 11, T = 12, B = 4, MODELS = 4 };

static rv_model_config recurrent(rv_cell cell, int layers) {
    rv_model_config c = {
        .head = {.kind = rv_head_find("next_token"), .bias = true, .init = {RV_INIT_UNIFORM, 0.25, 0}},
        .decoder = {.kind = rv_decoder_find("rnn")},
    };
    c.decoder.input.vocab_size = V;
    c.decoder.input.size = 8;
    c.decoder.input.init = (rv_init){RV_INIT_NORMAL, 1, 0};
    c.decoder.rnn = (rv_rnn_config){.cell = cell,
                                    .num_layers = layers,
                                    .input_size = 8,
                                    .hidden_size = 16,
                                    .bias = true,
                                    .weight_init = {RV_INIT_UNIFORM, 0.25, 0},
                                    .recurrent_init = {RV_INIT_UNIFORM, 0.25, 0}};
    return c;
}

static rv_model_config gpt(void) {
    rv_model_config c = {.tie_embeddings = true,
                         .head = {.kind = rv_head_find("next_token")},
                         .decoder = {.kind = rv_decoder_find("transformer")}};
    c.decoder.input.vocab_size = V;
    c.decoder.input.size = 16;
    c.decoder.input.init = (rv_init){RV_INIT_NORMAL, 0.3, 0};
    c.decoder.input.position = RV_POSITION_LEARNED;
    c.decoder.input.max_length = T;
    rv_transformer_config *t = &c.decoder.transformer;
    *t = rv_transformer_defaults();
    t->num_layers = 2;
    t->num_heads = 2;
    t->hidden_size = 16;
    t->ff_size = 64;
    t->activation = RV_ACT_GELU;
    t->causal = true;
    return c;
}

static rv_model_config model(int i) {
    static const rv_cell cells[] = {RV_CELL_RNN_TANH, RV_CELL_LSTM, RV_CELL_GRU};
    return i == 3 ? gpt() : recurrent(cells[i], i ? 2 : 1);
}

/* ---- parity */

typedef struct {
    rv_model *lm;
    int32_t *x, *y;
} parity_model;

static rv_tensor *parity_loss(rv_tape *tape, void *ctx, int t) {
    parity_model *m = ctx;
    return loss_of_tokens(tape, m->lm, m->x + t * B * T, m->y + t * B * T, B, T, 0);
}

static void check_parity(const char *name, const rv_model_config *config, rv_optim_kind kind, double decay) {
    parity_model m;
    parity p = {.file = "lm.h5",
                .name = name,
                .rtol = 1e-9,
                .params = rv_params_create(),
                .optim = kind,
                .weight_decay = decay,
                .loss = parity_loss,
                .ctx = &m};
    m.lm = rv_model_create(p.params, config);
    m.x = parity_integers(&p, "input", PARITY_STEPS * B * T);
    m.y = parity_integers(&p, "target", PARITY_STEPS * B * T);
    parity_train(&p);
    rv_model_destroy(m.lm);
    rv_params_destroy(p.params);
    free(m.x);
    free(m.y);
}

Test(language_model, lstm_as_pytorch) {
    rv_model_config c = recurrent(RV_CELL_LSTM, 2);
    check_parity("lstm", &c, RV_OPTIM_adam, 0);
}

Test(language_model, gpt_as_pytorch) {
    rv_model_config c = gpt();
    check_parity("gpt", &c, RV_OPTIM_adamw, 0.1);
}

/* ---- invariants */

typedef struct {
    rv_params *ps;
    rv_model *lm;
    rv_tape *tape;
    int32_t x[B * T], y[B * T];
} fixture;

static fixture open_model(int i) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create()};
    rv_model_config c = model(i);
    f.lm = rv_model_create(f.ps, &c);
    cr_assert_eq(rv_params_materialise(f.ps, 7), RV_OK);
    rv_rng rng = rv_rng_make(1, "ids", 0);
    for (int k = 0; k < B * T; k++) f.x[k] = (int32_t)rv_rng_below(&rng, V), f.y[k] = (int32_t)rv_rng_below(&rng, V);
    return f;
}

static void close_model(fixture *f) {
    rv_tape_destroy(f->tape);
    rv_model_destroy(f->lm);
    rv_params_destroy(f->ps);
}

Test(language_model, begins_near_log_v) {
    fixture f = open_model(3);
    rv_param *e = rv_params_find(f.ps, "decoder.embedding.weight"); /* the head, too: small logits are nearly uniform */
    for (int64_t i = 0; i < rv_numel(&e->t); i++) e->t.x[i] *= (rv_real)0.03;
    rv_tensor *loss = loss_of_tokens(f.tape, f.lm, f.x, f.y, B, T, 0);
    cr_assert_float_eq((double)loss->x[0], log(V), 0.05);
    close_model(&f);
}

Test(language_model, a_position_does_not_see_the_future) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_tape_no_grad(f.tape, true);
        rv_real *before = malloc(B * T * V * sizeof *before);
        memcpy(before, rv_model_logits(f.tape, f.lm, f.x, B, T, NULL, NULL)->x, B * T * V * sizeof *before);
        for (int b = 0; b < B; b++) f.x[b * T + 8] = (f.x[b * T + 8] + 1) % V; /* change one token */
        rv_tape_reset(f.tape);
        const rv_real *after = rv_model_logits(f.tape, f.lm, f.x, B, T, NULL, NULL)->x;
        for (int b = 0; b < B; b++)
            for (int t = 0; t < T; t++) {
                int64_t r = rv_model_row(f.lm, B, T, b, t) * V;
                bool same = !memcmp(before + r, after + r, V * sizeof *after);
                cr_assert_eq(same, t < 8, "model %d, position %d", i, t);
            }
        free(before);
        close_model(&f);
    }
}

Test(language_model, step_by_step_is_the_whole_sequence) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_tape_no_grad(f.tape, true);
        rv_real *whole = malloc(B * T * V * sizeof *whole);
        memcpy(whole, rv_model_logits(f.tape, f.lm, f.x, B, T, NULL, NULL)->x, B * T * V * sizeof *whole);
        rv_decoder_state *s = rv_model_state_create(f.lm, B, T);
        for (int t = 0; t < T;) {
            int n = t == 0 ? 5 : 1; /* a prompt, then one by one */
            int32_t part[B * T];
            for (int b = 0; b < B; b++)
                for (int k = 0; k < n; k++) part[b * n + k] = f.x[b * T + t + k];
            rv_tape_reset(f.tape);
            rv_tensor *l = rv_model_logits(f.tape, f.lm, part, B, n, s, NULL);
            cr_assert(l, "%s", rv_tape_status(f.tape) == RV_OK ? "" : rv_error_message());
            for (int b = 0; b < B; b++)
                for (int k = 0; k < n; k++)
                    cr_assert_arr_eq(l->x + rv_model_row(f.lm, B, n, b, k) * V,
                                     whole + rv_model_row(f.lm, B, T, b, t + k) * V, V * sizeof *whole,
                                     "model %d, position %d", i, t + k);
            t += n;
        }
        rv_model_state_destroy(f.lm, s);
        free(whole);
        close_model(&f);
    }
}

Test(language_model, batch_mates_change_nothing) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_tape_no_grad(f.tape, true);
        rv_real *whole = malloc(B * T * V * sizeof *whole);
        memcpy(whole, rv_model_logits(f.tape, f.lm, f.x, B, T, NULL, NULL)->x, B * T * V * sizeof *whole);
        for (int b = 0; b < B; b++) {
            rv_tape_reset(f.tape);
            rv_tensor *l = rv_model_logits(f.tape, f.lm, f.x + b * T, 1, T, NULL, NULL);
            for (int t = 0; t < T; t++)
                cr_assert_arr_eq(l->x + t * V, whole + rv_model_row(f.lm, B, T, b, t) * V, V * sizeof *whole,
                                 "model %d, row %d, position %d", i, b, t);
        }
        free(whole);
        close_model(&f);
    }
}

static rv_tensor *loss_of(rv_tape *tape, void *arg) {
    fixture *f = arg;
    return loss_of_tokens(tape, f->lm, f->x, f->y, B, T, 0.1);
}

Test(language_model, gradients_of_whole_models) {
    if (sizeof(rv_real) == 4) cr_skip_test("differences are too coarse in float; the double build checks them");
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_tensor *all[64];
        cr_assert_leq(f.ps->n, 64);
        for (int k = 0; k < f.ps->n; k++) all[k] = &f.ps->p[k]->t;
        double slope;
        cr_assert_eq(rv_taylor_slope(f.tape, loss_of, &f, f.ps->n, all, 1e-3, &slope), RV_OK, "%s", rv_error_message());
        cr_assert_float_eq(slope, 2, 0.1, "model %d: slope %g", i, slope);
        close_model(&f);
    }
}

Test(language_model, one_batch_can_be_learnt_by_heart) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_optim *o;
        rv_optim_settings s = rv_optim_defaults(RV_OPTIM_adam);
        cr_assert_eq(rv_optim_create(RV_OPTIM_adam, &s, f.ps, &o), RV_OK);
        /* One row: what follows is a function of the past, so that loss 0 exists. */
        double loss = 0, norm;
        for (int step = 0; step < 600; step++) {
            rv_tape_reset(f.tape);
            rv_params_zero_grad(f.ps);
            rv_tensor *l = loss_of_tokens(f.tape, f.lm, f.x, f.y, 1, T, 0);
            cr_assert_eq(rv_backward(f.tape, l), RV_OK);
            rv_params_finish_grad(f.ps);
            cr_assert_eq(rv_grad_norm(f.ps, &norm), RV_OK);
            rv_optim_step(o, 1e-2, rv_clip_factor(norm, 1));
            loss = (double)l->x[0];
        }
        cr_assert_lt(loss, 0.01, "model %d ends at %g", i, loss);
        rv_optim_destroy(o);
        close_model(&f);
    }
}

Test(language_model, sampling_settings) {
    rv_real logits[4] = {1, 3, 2, (rv_real)-1};
    char scratch[256];
    cr_assert_leq(rv_sampler_scratch(4), sizeof scratch);
    rv_rng rng = rv_rng_make(1, "draws", 0);
    int seen[4] = {0};
    for (int i = 0; i < 4000; i++) seen[rv_sample_token(logits, 4, &(rv_sampler){1, 0, 1}, &rng, scratch)]++;
    double total = exp(1) + exp(3) + exp(2) + exp(-1);
    cr_assert_float_eq(seen[1] / 4000., exp(3) / total, 0.03);
    cr_assert_float_eq(seen[0] / 4000., exp(1) / total, 0.03);
    cr_assert_gt(seen[3], 0);
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(rv_sample_token(logits, 4, &(rv_sampler){0, 0, 1}, &rng, scratch), 1);
        int k2 = rv_sample_token(logits, 4, &(rv_sampler){1, 2, 1}, &rng, scratch),
            p = rv_sample_token(logits, 4, &(rv_sampler){1, 0, 0.7}, &rng, scratch);
        cr_assert(k2 == 1 || k2 == 2);
        cr_assert(p == 1 || p == 2); /* 0.64 and 0.24: the first alone is not enough */
    }
    logits[2] = NAN;
    cr_assert_eq(rv_sample_token(logits, 4, &(rv_sampler){1, 0, 1}, &rng, scratch), -1);
}

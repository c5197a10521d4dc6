#include "workload.h"

#include <string.h>

#include "optim/clip.h"
#include "optim/optim.h"

enum { BATCHES = 4 };

struct rv_workload_run {
    const rv_workload *w;
    rv_params *params;
    rv_lm *lm;
    rv_optim *optim;
    rv_tape *tape;
    int32_t *ids; /* BATCHES x (x, y) x (B, T) */
    int64_t steps;
    double loss;
};

/* name, cell, V, E, H, layers, B, T */
#define RECURRENT(n, c, v, e, h, l, b, t)                                                                              \
    {.name = n, .B = b, .T = t, .model = {.head_bias = true, .head_init = {RV_INIT_KAIMING_UNIFORM, 2.23606797749979, 0}, \
     .decoder = {.kind = &rv__decoder_rnn, .vocab_size = v, .embedding_dim = e, .embedding_init = {RV_INIT_NORMAL, 1, 0},                        \
                 .rnn = {.cell = c, .num_layers = l, .input_size = e, .hidden_size = h, .bias = true}}}}
/* name, V, d, heads, layers, B, T */
#define GPT(n, v, d, hd, l, b, t)                                                                                      \
    {.name = n, .B = b, .T = t, .model = {.tie_embeddings = true,                                           \
     .decoder = {.kind = &rv__decoder_transformer, .vocab_size = v, .embedding_dim = d, .embedding_init = {RV_INIT_NORMAL, 0.02, 0},             \
                 .position = RV_POSITION_LEARNED, .max_length = t,                                                                              \
                 .transformer = {.num_layers = l, .num_heads = hd, .hidden_size = d, .ff_size = 4 * d, .norm = RV_NORM_PRE, .activation = RV_ACT_GELU,   \
                                 .bias = true, .causal = true, .final_norm = true, .norm_eps = 1e-5}}}}

static const rv_workload full[] = {
    RECURRENT("rnn_lm", RV_CELL_RNN_TANH, 10000, 256, 256, 1, 32, 64),
    RECURRENT("lstm_lm", RV_CELL_LSTM, 10000, 256, 512, 2, 32, 64),
    RECURRENT("gru_lm", RV_CELL_GRU, 10000, 256, 512, 2, 32, 64),
    RECURRENT("charlstm", RV_CELL_LSTM, 65, 64, 256, 2, 32, 128),
    GPT("gpt_char", 65, 384, 6, 6, 8, 256),
    {0},
};
static const rv_workload small[] = {
    RECURRENT("rnn_lm", RV_CELL_RNN_TANH, 64, 32, 32, 1, 4, 8),
    RECURRENT("lstm_lm", RV_CELL_LSTM, 64, 32, 32, 2, 4, 8),
    RECURRENT("gru_lm", RV_CELL_GRU, 64, 32, 32, 2, 4, 8),
    RECURRENT("charlstm", RV_CELL_LSTM, 64, 32, 32, 2, 4, 8),
    GPT("gpt_char", 64, 32, 4, 6, 4, 8),
    {0},
};

const rv_workload *rv__workloads(bool tiny) { return tiny ? small : full; }

static rv_status fill(rv_workload_run *r) {
    const rv_workload *w = r->w;
    r->params = rv_params_create();
    r->tape = rv_tape_create();
    if (!r->params || !r->tape) return RV_ENOMEM;
    r->lm = rv_lm_create(r->params, &w->model);
    int64_t n = 2 * BATCHES * w->B * w->T;
    r->ids = rv_alloc((size_t)n * sizeof *r->ids);
    if (!r->lm || !r->ids) return RV_ENOMEM;
    RV_TRY(rv_params_materialise(r->params, 1));
    rv_rng rng = rv_rng_make(1, "bench", 0);
    for (int64_t i = 0; i < n; i++) r->ids[i] = (int32_t)rv_rng_below(&rng, (uint64_t)w->model.decoder.vocab_size);
    rv_optim_settings s = rv_optim_defaults(RV_OPTIM_adam);
    rv_tape_set_training(r->tape, true);
    return rv_optim_create(RV_OPTIM_adam, &s, r->params, &r->optim);
}

rv_status rv__workload_open(const rv_workload *w, rv_workload_run **out) {
    rv_workload_run *r = rv_alloc(sizeof *r);
    if (!r) return RV_ENOMEM;
    r->w = w;
    rv_status status = fill(r);
    if (status != RV_OK) {
        rv__workload_close(r);
        return status;
    }
    *out = r;
    return RV_OK;
}

void rv__workload_close(rv_workload_run *r) {
    rv_optim_destroy(r->optim);
    rv_lm_destroy(r->lm);
    rv_params_destroy(r->params);
    rv_tape_destroy(r->tape);
    rv_free(r->ids);
    rv_free(r);
}

rv_status rv__workload_step(rv_workload_run *r, double *seconds) {
    const rv_workload *w = r->w;
    const int32_t *x = r->ids + r->steps % BATCHES * 2 * w->B * w->T, *y = x + w->B * w->T;
    double t[RV_PHASES + 1] = {rv_now()}, norm = 0;
    rv_tape_reset(r->tape);
    rv_tape_seed(r->tape, 1, (uint64_t)r->steps++);
    rv_params_zero_grad(r->params);
    rv_tensor *loss = rv_lm_loss(r->tape, r->lm, x, y, w->B, w->T, NULL, 0);
    t[1] = rv_now();
    RV_TRY(rv_backward(r->tape, loss));
    rv_params_finish_grad(r->params);
    t[2] = rv_now();
    RV_TRY(rv_grad_norm(r->params, &norm));
    t[3] = rv_now();
    rv_optim_step(r->optim, 1e-3, rv_clip_factor(norm, 1));
    t[4] = rv_now();
    r->loss = (double)loss->x[0];
    for (int i = 0; i < RV_PHASES; i++) seconds[i] = t[i + 1] - t[i];
    return RV_OK;
}

double rv__workload_flops(const rv_workload_run *r) {
    return 3 * rv_lm_flops(r->lm, r->params, r->w->T) * (double)(r->w->B * r->w->T);
}

int64_t rv__workload_bytes(const rv_workload_run *r) {
    int64_t flat = r->params->size * (int64_t)sizeof(rv_real);
    return (int64_t)rv_tape_step_bytes(r->tape) + (int64_t)rv_tape_grad_bytes(r->tape) + flat * (2 + rv_optim_slots(r->optim));
}

int64_t rv__workload_params(const rv_workload_run *r) { return rv_params_count(r->params); }
double rv__workload_loss(const rv_workload_run *r) { return r->loss; }

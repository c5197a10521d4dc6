#include "workload.h"

#include <string.h>

#include "io/items.h"
#include "optim/clip.h"
#include "optim/optim.h"

enum { BATCHES = 4 };

struct rv_workload_run {
    const rv_workload *w;
    rv_params *params;
    rv_model *model;
    rv_optim *optim;
    rv_tape *tape;
    rv_decoder_state *state; /* of a language model that writes */
    int32_t *ids;            /* BATCHES x (x, y) x (B, T) */
    int32_t *sources;        /* BATCHES x (B, S) */
    int32_t *lengths;        /* B times S */
    int64_t steps;
    double loss;
    double score; /* of all that the latest step decoded: log-probabilities, or the greatest logits, added up */
};

/* As PyTorch's layers begin, and rv_rnn_defaults: in (-1, 1) / sqrt(H). */
#define UNIFORM                                                                                                        \
    { .kind = RV_INIT_UNIFORM }
#define UNIT                                                                                                           \
    { RV_INIT_KAIMING_UNIFORM, 2.23606797749979, 0 }
#define TOKENS(init_, ...)                                                                                             \
    { .kind = &rv__head_next_token, .init = init_, __VA_ARGS__ }
#define WORDS(v, e)                                                                                                    \
    {                                                                                                                  \
        .vocab_size = v, .size = e, .init = { RV_INIT_NORMAL, 1, 0 }                                                   \
    }
#define LAYERS(c, l, h, ...)                                                                                           \
    {                                                                                                                  \
        .cell = c, .num_layers = l, .hidden_size = h, .bias = true, .weight_init = UNIFORM, .recurrent_init = UNIFORM, \
        .bias_init = UNIFORM, __VA_ARGS__                                                                              \
    }
/* name, cell, V, E, H, layers, B, T */
#define RECURRENT(n, c, v, e, h, l, b, t)                                                                              \
    {                                                                                                                  \
        .name = n, .B = b, .T = t, .model = {                                                                          \
            .head = TOKENS(UNIT, .bias = true),                                                                        \
            .decoder = {.kind = &rv__decoder_rnn, .input = WORDS(v, e), .rnn = LAYERS(c, l, h, )}                      \
        }                                                                                                              \
    }
/* name, V, d, heads, layers, B, T */
#define GPT(n, v, d, hd, l, b, t, act, ...)                                                                            \
    {                                                                                                                  \
        .name = n, .B = b, .T = t, __VA_ARGS__.model = {                                                               \
            .head = TOKENS({0}, ),                                                                                     \
            .tie_embeddings = true,                                                                                    \
            .decoder = {.kind = &rv__decoder_transformer,                                                              \
                        .input = {.vocab_size = v,                                                                     \
                                  .size = d,                                                                           \
                                  .init = {RV_INIT_NORMAL, 0.02, 0},                                                   \
                                  .position = RV_POSITION_LEARNED,                                                     \
                                  .position_init = {RV_INIT_NORMAL, 0.02, 0},                                          \
                                  .max_length = t},                                                                    \
                        .transformer = {.num_layers = l,                                                               \
                                        .num_heads = hd,                                                               \
                                        .hidden_size = d,                                                              \
                                        .ff_size = 4 * d,                                                              \
                                        .norm = RV_NORM_PRE,                                                           \
                                        .activation = act,                                                             \
                                        .bias = true,                                                                  \
                                        .causal = true,                                                                \
                                        .final_norm = true,                                                            \
                                        .norm_eps = 1e-5}}                                                             \
        }                                                                                                              \
    }

/* Bidirectional LSTM, LSTM with additive attention, tanh readout; name, V, E, H, B, S, T */
#define BILSTM(n, v, e, h, b, s, t, ...)                                                                               \
    {                                                                                                                  \
        .name = n, .B = b, .S = s, .T = t, __VA_ARGS__.model = {                                                       \
            .head = TOKENS(UNIT, .bias = true),                                                                        \
            .encoder = {.kind = &rv__encoder_rnn,                                                                      \
                        .input = WORDS(v, e),                                                                          \
                        .rnn = LAYERS(RV_CELL_LSTM, 1, h / 2, .bidirectional = true)},                                 \
            .decoder = {.kind = &rv__decoder_rnn,                                                                      \
                        .input = WORDS(v, e),                                                                          \
                        .rnn = LAYERS(RV_CELL_LSTM, 1, h, ),                                                           \
                        .reading = {.attend = RV_ATTEND_BAHDANAU,                                                      \
                                    .attention_size = h,                                                               \
                                    .bridge = RV_BRIDGE_DENSE,                                                         \
                                    .readout = RV_READOUT_TANH,                                                        \
                                    .readout_size = h,                                                                 \
                                    .init = UNIT,                                                                      \
                                    .vector_init = {RV_INIT_NORMAL, 0.04, 0}}}                                         \
        }                                                                                                              \
    }
/* As nn.Transformer, post-norm with final norms; name, V, d, heads, layers, B, S, T. Embeddings times sqrt(d) have unit
 * variance. */
#define BLOCKS(d, hd, l, ...)                                                                                          \
    {                                                                                                                  \
        .num_layers = l, .num_heads = hd, .hidden_size = d, .ff_size = 4 * d, .norm = RV_NORM_POST,                    \
        .activation = RV_ACT_RELU, .bias = true, .final_norm = true, .norm_eps = 1e-5, .dropout = 0.1,                 \
        .attention_dropout = 0.1, .init = {RV_INIT_XAVIER_UNIFORM, 1, 0}, __VA_ARGS__                                  \
    }
#define EMBEDDED(v, d, deviation, s)                                                                                   \
    {                                                                                                                  \
        .vocab_size = v, .size = d, .scale = true, .init = {RV_INIT_NORMAL, deviation, 0}, .dropout = 0.1,             \
        .position = RV_POSITION_SINUSOIDAL, .max_length = s                                                            \
    }
#define TRANSFORMER(n, v, d, deviation, hd, l, b, s, t, ...)                                                           \
    {                                                                                                                  \
        .name = n, .B = b, .S = s, .T = t, .label_smoothing = 0.1, __VA_ARGS__.model = {                               \
            .head = TOKENS(UNIT, .bias = true),                                                                        \
            .encoder = {.kind = &rv__encoder_transformer,                                                              \
                        .input = EMBEDDED(v, d, deviation, s),                                                         \
                        .transformer = BLOCKS(d, hd, l, )},                                                            \
            .decoder = {.kind = &rv__decoder_transformer,                                                              \
                        .input = EMBEDDED(v, d, deviation, t),                                                         \
                        .transformer = BLOCKS(d, hd, l, .causal = true, .cross = true)}                                \
        }                                                                                                              \
    }

/* Bidirectional LSTM, linear-chain CRF over its tags; name, V, E, H of each direction, K, B, T */
#define TAGGER(n, v, e, h, k, b, t)                                                                                    \
    {                                                                                                                  \
        .name = n, .B = b, .S = t, .T = t, .model = {                                                                  \
            .head = {.kind = &rv__head_tags, .output_size = k, .init = UNIT, .bias = true, .crf = true},               \
            .encoder = {.kind = &rv__encoder_rnn,                                                                      \
                        .input = WORDS(v, e),                                                                          \
                        .rnn = LAYERS(RV_CELL_LSTM, 1, h, .bidirectional = true)}                                      \
        }                                                                                                              \
    }

static const rv_workload full[] = {
    RECURRENT("rnn_lm", RV_CELL_RNN_TANH, 10000, 256, 256, 1, 32, 64),
    RECURRENT("lstm_lm", RV_CELL_LSTM, 10000, 256, 512, 2, 32, 64),
    RECURRENT("gru_lm", RV_CELL_GRU, 10000, 256, 512, 2, 32, 64),
    RECURRENT("charlstm", RV_CELL_LSTM, 65, 64, 256, 2, 32, 128),
    GPT("gpt_char", 65, 384, 6, 6, 8, 256, RV_ACT_GELU, ),
    GPT("gpt2_124M", 50304, 768, 12, 12, 4, 64, RV_ACT_GELU_TANH, ),
    BILSTM("bilstm_attn_nmt", 8000, 256, 512, 64, 24, 24, ),
    TRANSFORMER("transformer_nmt", 8000, 256, 0.0625, 4, 3, 64, 24, 24, ),
    TAGGER("bilstm_crf", 20000, 100, 200, 17, 32, 32),
    GPT("gpt_greedy", 65, 384, 6, 6, 8, 256, RV_ACT_GELU, .beam = 1, ),
    GPT("gpt_greedy_b1", 65, 384, 6, 6, 1, 256, RV_ACT_GELU, .beam = 1, ),
    BILSTM("bilstm_attn_greedy", 8000, 256, 512, 32, 24, 24, .beam = 1, ),
    BILSTM("bilstm_attn_beam5", 8000, 256, 512, 32, 24, 24, .beam = 5, ),
    TRANSFORMER("transformer_greedy", 8000, 256, 0.0625, 4, 3, 32, 24, 24, .beam = 1, ),
    TRANSFORMER("transformer_beam5", 8000, 256, 0.0625, 4, 3, 32, 24, 24, .beam = 5, ),
    {0},
};
static const rv_workload small[] = {
    RECURRENT("rnn_lm", RV_CELL_RNN_TANH, 64, 32, 32, 1, 4, 8),
    RECURRENT("lstm_lm", RV_CELL_LSTM, 64, 32, 32, 2, 4, 8),
    RECURRENT("gru_lm", RV_CELL_GRU, 64, 32, 32, 2, 4, 8),
    RECURRENT("charlstm", RV_CELL_LSTM, 64, 32, 32, 2, 4, 8),
    GPT("gpt_char", 64, 32, 4, 6, 4, 8, RV_ACT_GELU, ),
    BILSTM("bilstm_attn_nmt", 64, 32, 32, 4, 8, 8, ),
    TRANSFORMER("transformer_nmt", 64, 32, 0.1767767, 4, 3, 4, 8, 8, ),
    TAGGER("bilstm_crf", 64, 32, 32, 8, 4, 8),
    GPT("gpt_greedy", 64, 32, 4, 6, 4, 8, RV_ACT_GELU, .beam = 1, ),
    GPT("gpt_greedy_b1", 64, 32, 4, 6, 1, 8, RV_ACT_GELU, .beam = 1, ),
    BILSTM("bilstm_attn_greedy", 64, 32, 32, 4, 8, 8, .beam = 1, ),
    BILSTM("bilstm_attn_beam5", 64, 32, 32, 4, 8, 8, .beam = 5, ),
    TRANSFORMER("transformer_greedy", 64, 32, 0.1767767, 4, 3, 4, 8, 8, .beam = 1, ),
    TRANSFORMER("transformer_beam5", 64, 32, 0.1767767, 4, 3, 4, 8, 8, .beam = 5, ),
    {0},
};

const rv_workload *rv__workloads(bool tiny) { return tiny ? small : full; }

static int32_t *random_ids(rv_rng *rng, int64_t n, int64_t vocabulary) {
    int32_t *ids = rv_alloc((size_t)n * sizeof *ids);
    for (int64_t i = 0; ids && i < n; i++) ids[i] = (int32_t)rv_rng_below(rng, (uint64_t)vocabulary);
    return ids;
}

static rv_status fill(rv_workload_run *r) {
    const rv_workload *w = r->w;
    r->params = rv_params_create();
    r->tape = rv_tape_create();
    if (!r->params || !r->tape) return RV_ENOMEM;
    r->model = rv_model_create(r->params, &w->model);
    if (!r->model) return RV_ENOMEM;
    RV_TRY(rv_params_materialise(r->params, 1));
    rv_rng rng = rv_rng_make(1, "bench", 0);
    const bool tags = w->model.head.kind == &rv__head_tags;
    r->ids = random_ids(&rng, 2 * BATCHES * w->B * w->T,
                        tags ? w->model.head.output_size : w->model.decoder.input.vocab_size);
    r->sources = w->S ? random_ids(&rng, BATCHES * w->B * w->S, w->model.encoder.input.vocab_size) : NULL;
    r->lengths = rv_alloc((size_t)w->B * sizeof *r->lengths);
    if (!r->ids || (w->S && !r->sources) || !r->lengths) return RV_ENOMEM;
    for (int64_t b = 0; b < w->B; b++) r->lengths[b] = (int32_t)w->S;
    if (w->beam && !w->S) {
        rv_tape_no_grad(r->tape, true);
        r->state = rv_model_state_create(r->model, w->B, w->T);
        return r->state ? RV_OK : RV_ENOMEM;
    }
    if (w->beam) return RV_OK;
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
    if (r->model) rv_model_state_destroy(r->model, r->state);
    rv_model_destroy(r->model);
    rv_params_destroy(r->params);
    rv_tape_destroy(r->tape);
    rv_free(r->ids);
    rv_free(r->sources);
    rv_free(r->lengths);
    rv_free(r);
}

static rv_tensor *make_loss(rv_workload_run *r, const int32_t *x, const int32_t *y, const int32_t *src) {
    const rv_workload *w = r->w;
    const rv_batch b = {.source = {.B = w->B, .T = w->S, .ids = src, .lengths = r->lengths},
                        .B = w->B,
                        .T = w->T,
                        .in = x,
                        .out = y,
                        .lengths = r->lengths};
    return rv_model_loss(r->tape, r->model, &b, NULL, w->label_smoothing);
}

/* No token ends a translation, so that all have T. */
static rv_status translate(rv_workload_run *r, const int32_t *src) {
    const rv_workload *w = r->w;
    const rv_translate_options o = {.beam_size = w->beam,
                                    .max_length_extra = w->T,
                                    .max_length = w->T,
                                    .n_best = 1,
                                    .bos = 0,
                                    .eos = -1,
                                    .pad = -1,
                                    .unk = -1};
    rv_translations t;
    RV_TRY(rv_translate(r->tape, r->model, src, r->lengths, w->B, w->S, &o, &t));
    r->loss = -t.h[0].log_prob / (double)w->T;
    r->score = 0;
    for (int64_t b = 0; b < w->B; b++) r->score += t.h[b].log_prob;
    rv_translations_free(&t);
    return RV_OK;
}

/* Every row is continued from the token 0, the most probable one each time, as `ravel generate` does it at temperature
 * 0. */
static rv_status write_tokens(rv_workload_run *r, int32_t *ids) {
    const rv_workload *w = r->w;
    const int64_t V = w->model.decoder.input.vocab_size;
    rv_model_state_reset(r->model, r->state);
    memset(ids, 0, (size_t)w->B * sizeof *ids);
    r->score = 0;
    for (int64_t t = 0; t < w->T; t++) {
        rv_tape_reset(r->tape);
        const rv_tensor *logits = rv_model_logits(r->tape, r->model, ids, w->B, 1, r->state, NULL);
        if (!logits) return rv_tape_status(r->tape);
        for (int64_t b = 0; b < w->B; b++) {
            rv_real value;
            rv_k()->top_k_row(V, logits->x + rv_model_row(r->model, w->B, 1, b, 0) * V, 1, &value, &ids[b]);
            r->score += (double)value;
        }
    }
    return RV_OK;
}

static rv_status write_text(rv_workload_run *r, int32_t *ids) {
    rv_tape_hold_weights(r->tape, true);
    rv_status status = write_tokens(r, ids);
    rv_tape_hold_weights(r->tape, false);
    return status;
}

rv_status rv__workload_step(rv_workload_run *r, double *seconds) {
    const rv_workload *w = r->w;
    const int64_t batch = r->steps % BATCHES;
    const int32_t *x = r->ids + batch * 2 * w->B * w->T, *y = x + w->B * w->T, *src = r->sources + batch * w->B * w->S;
    double t[RV_PHASES + 1] = {rv_now()}, norm = 0;
    rv_tape_reset(r->tape);
    rv_tape_seed(r->tape, 1, (uint64_t)r->steps++);
    if (w->beam) {
        RV_TRY(w->S ? translate(r, src) : write_text(r, r->ids));
        memset(seconds, 0, RV_PHASES * sizeof *seconds);
        seconds[RV_PHASE_FORWARD] = rv_now() - t[0];
        return RV_OK;
    }
    rv_params_zero_grad(r->params);
    rv_tensor *loss = make_loss(r, x, y, src);
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

int rv__workload_phases(const rv_workload_run *r) { return r->w->beam ? 1 : RV_PHASES; }

double rv__workload_flops(const rv_workload_run *r) {
    const rv_workload *w = r->w;
    const double B = (double)w->B, S = (double)w->S, T = (double)w->T;
    const double once = rv_model_flops(r->model, r->params, S, T) * B;
    if (!w->S) return (w->beam ? 1 : 3) * once;
    if (!w->beam) return 3 * once;
    return once + (w->beam - 1) * (once - rv_model_flops(r->model, r->params, S, 0) * B);
}

int64_t rv__workload_bytes(const rv_workload_run *r) {
    int64_t flat = r->params->size * (int64_t)sizeof(rv_real);
    if (!r->optim) return (int64_t)rv_tape_step_bytes(r->tape) + flat;
    return (int64_t)rv_tape_step_bytes(r->tape) + (int64_t)rv_tape_grad_bytes(r->tape) +
           flat * (2 + rv_optim_slots(r->optim));
}

int64_t rv__workload_params(const rv_workload_run *r) { return rv_params_count(r->params); }
double rv__workload_loss(const rv_workload_run *r) { return r->loss; }

rv_status rv__workload_hash(const rv_workload_run *r, char out[RV_CK_HASH_TEXT]) {
    const rv_ck_type real = sizeof(rv_real) == 4 ? RV_CK_F32 : RV_CK_F64;
    rv_items items = {0};
    for (int i = 0; i < r->params->n; i++) {
        const rv_tensor *t = &r->params->p[i]->t;
        rv_items_add(&items, real, t->ndim, t->dim, t->x, "/model/%s", r->params->p[i]->name);
    }
    rv_items_add(&items, RV_CK_F64, 0, NULL, &r->loss, "/data/loss");
    rv_items_add(&items, RV_CK_F64, 0, NULL, &r->score, "/data/score");
    rv_status status = rv_items_status(&items);
    if (status == RV_OK) status = rv_ck_state_hash(items.n, items.item, out);
    rv_items_free(&items);
    return status;
}

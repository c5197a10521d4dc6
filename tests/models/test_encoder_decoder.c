/* Encoder-decoder models: what must hold of every encoder with every decoder. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "optim/clip.h"
#include "optim/optim.h"
#include "ravel.h"
#include "support/models.h"

enum { B = 4, S = 7, T = 6, VS = 13, VT = 11, MAX = 16 };
static const int32_t src_lengths[B] = {7, 3, 1, 5}, tgt_lengths[B] = {2, 6, 4, 5};

/* ---- the models; `width` is the memory's, a multiple of 4 */
static const rv_init small_init = {.kind = RV_INIT_UNIFORM, .a = 0.4};

static rv_rnn_config stack(rv_cell cell, int layers, bool bidirectional, int64_t hidden) {
    rv_rnn_config c = rv_rnn_defaults(cell);
    c.num_layers = layers;
    c.bidirectional = bidirectional;
    c.hidden_size = hidden;
    return c;
}

static rv_transformer_config blocks(rv_norm_place norm, int64_t width) {
    rv_transformer_config c = rv_transformer_defaults();
    c.num_layers = 2;
    c.num_heads = 2;
    c.hidden_size = width;
    c.ff_size = 2 * width;
    c.norm = norm;
    c.activation = RV_ACT_GELU; /* smooth: the Taylor test meets no kink */
    c.causal = true;
    return c;
}

enum { LSTM_TWO, BILSTM_TWO, BIGRU, BLOCKS, ENCODERS };
static rv_encoder_config encoder(int i, int64_t width) {
    rv_encoder_config c = {.kind = rv_encoder_find(i == BLOCKS ? "transformer" : "rnn"),
                           .input = {.vocab_size = VS, .size = width}};
    c.input.init = (rv_init){.kind = RV_INIT_NORMAL, .a = 0.5};
    switch (i) {
    case LSTM_TWO: c.rnn = stack(RV_CELL_LSTM, 2, false, width); break;
    case BILSTM_TWO: c.rnn = stack(RV_CELL_LSTM, 2, true, width / 2); break;
    case BIGRU: c.rnn = stack(RV_CELL_GRU, 1, true, width / 2); break;
    case BLOCKS:
        c.transformer = blocks(RV_NORM_PRE, width);
        c.input.position = RV_POSITION_SINUSOIDAL;
        c.input.max_length = MAX;
        c.input.scale = true;
        break;
    }
    return c;
}

typedef struct {
    const char *name;
    const char *kind;
    rv_cell cell;
    int layers;
    rv_reading reading;
    bool narrow, post_norm; /* transformer: narrower than the memory */
    bool only_from_lstm, only_from_reverse, weights_sum_to_one;
} decoder_row;

#define TANH .readout = RV_READOUT_TANH, .readout_size = 10
#define MAXOUT .readout = RV_READOUT_MAXOUT, .readout_size = 10
static const decoder_row decoders[] = {
    {"first state", "rnn", RV_CELL_GRU, 1, {.bridge = RV_BRIDGE_DENSE}},
    {"copied states", "rnn", RV_CELL_LSTM, 2, {.bridge = RV_BRIDGE_COPY, TANH}, .only_from_lstm = true},
    {"context at each step", "rnn", RV_CELL_GRU, 2, {.context_each_step = true, .bridge = RV_BRIDGE_DENSE, TANH}},
    {"context beside the state", "rnn", RV_CELL_RNN_TANH, 1, {.context_each_step = true}},
    {"context, no bridge, maxout",
     "rnn",
     RV_CELL_LSTM,
     1,
     {.context_each_step = true, .bridge = RV_BRIDGE_ZERO, MAXOUT}},
    {"reverse state, maxout",
     "rnn",
     RV_CELL_GRU_RESET_BEFORE,
     1,
     {.bridge = RV_BRIDGE_REVERSE, MAXOUT},
     .only_from_reverse = true},
    {"transformer", "transformer"},
    {"narrow post-norm transformer", "transformer", .narrow = true, .post_norm = true},
    {"bahdanau",
     "rnn",
     RV_CELL_GRU_RESET_BEFORE,
     1,
     {RV_ATTEND_BAHDANAU, .attention_size = 9, .bridge = RV_BRIDGE_REVERSE, MAXOUT},
     .only_from_reverse = true,
     .weights_sum_to_one = true},
    {"bahdanau, two LSTM layers",
     "rnn",
     RV_CELL_LSTM,
     2,
     {RV_ATTEND_BAHDANAU, .attention_size = 9, .bridge = RV_BRIDGE_DENSE, TANH},
     .weights_sum_to_one = true},
    {"bahdanau, state alone",
     "rnn",
     RV_CELL_GRU,
     1,
     {RV_ATTEND_BAHDANAU, .attention_size = 8, .bridge = RV_BRIDGE_ZERO},
     .weights_sum_to_one = true},
    {"luong dot, two layers",
     "rnn",
     RV_CELL_LSTM,
     2,
     {RV_ATTEND_LUONG_DOT, .bridge = RV_BRIDGE_DENSE},
     .weights_sum_to_one = true},
    {"luong general, input feeding",
     "rnn",
     RV_CELL_LSTM,
     1,
     {RV_ATTEND_LUONG_GENERAL, .input_feeding = true, .readout_size = 10},
     .weights_sum_to_one = true},
    {"luong concat, local",
     "rnn",
     RV_CELL_GRU,
     1,
     {RV_ATTEND_LUONG_CONCAT, .attention_size = 8, .local_window = 2, .input_feeding = true}},
};
enum { DECODERS = sizeof decoders / sizeof *decoders };

static rv_model_config config_of(int e, int k, int64_t width) {
    const decoder_row *row = &decoders[k];
    rv_model_config c = {.encoder = encoder(e, width),
                         .head = {.kind = rv_head_find("next_token"), .bias = true, .init = small_init}};
    rv_decoder_config *d = &c.decoder;
    d->kind = rv_decoder_find(row->kind);
    d->input.vocab_size = VT;
    d->reading = row->reading;
    d->reading.init = d->reading.vector_init = small_init;
    d->input.init = (rv_init){.kind = RV_INIT_NORMAL, .a = 0.5};
    if (!strcmp(row->kind, "rnn")) {
        d->input.size = 8;
        d->rnn = stack(row->cell, row->layers, false, width);
    } else {
        d->transformer = blocks(row->post_norm ? RV_NORM_POST : RV_NORM_PRE, row->narrow ? width - 4 : width);
        d->input.size = d->transformer.hidden_size;
        d->input.position = RV_POSITION_LEARNED;
        d->input.max_length = MAX;
    }
    return c;
}

static bool fits(int e, int k) {
    if (decoders[k].only_from_lstm) return e == LSTM_TWO || e == BILSTM_TWO;
    return !decoders[k].only_from_reverse || e == BILSTM_TWO || e == BIGRU;
}

typedef struct {
    rv_params *ps;
    rv_model *m;
    rv_tape *tape;
    int32_t src[B * S], tgt[B * T], out[B * T];
    int e, k;
    char name[80];
} fixture;

static fixture open_model(int e, int k, int64_t width) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create(), .e = e, .k = k};
    rv_set_threads(1); /* the models are small: threads would wait for each other */
    snprintf(f.name, sizeof f.name, "encoder %d, %s", e, decoders[k].name);
    rv_model_config c = config_of(e, k, width);
    f.m = rv_model_create(f.ps, &c);
    cr_assert(f.m, "%s: %s", f.name, rv_error_message());
    cr_assert_eq(rv_params_materialise(f.ps, 7), RV_OK);
    for (int i = 0; i < f.ps->n; i++) /* no parameter stays at 0 */
        if (f.ps->p[i]->t.ndim == 1) {
            rv_rng r = rv_rng_make(3, f.ps->p[i]->name, 0);
            for (int64_t j = 0; j < rv_numel(&f.ps->p[i]->t); j++)
                f.ps->p[i]->t.x[j] += (rv_real)(0.1 * rv_rng_normal(&r));
        }
    rv_rng rng = rv_rng_make(1, "ids", 0);
    for (int i = 0; i < B * S; i++) f.src[i] = (int32_t)rv_rng_below(&rng, VS);
    for (int i = 0; i < B * T; i++) {
        f.tgt[i] = (int32_t)rv_rng_below(&rng, VT);
        f.out[i] = i % T < tgt_lengths[i / T] ? (int32_t)rv_rng_below(&rng, VT) : -1;
    }
    return f;
}

static void close_model(fixture *f) {
    rv_tape_destroy(f->tape);
    rv_model_destroy(f->m);
    rv_params_destroy(f->ps);
}

#define EACH_MODEL(f, width)                                                                                           \
    for (int e_ = 0; e_ < ENCODERS; e_++)                                                                              \
        for (int k_ = 0; k_ < DECODERS; k_++)                                                                          \
            for (fixture f = {.ps = NULL}; fits(e_, k_) && !f.ps && (f = open_model(e_, k_, width), true);             \
                 close_model(&f))

static rv_tensor *logits_of(fixture *f, const int32_t *src, const int32_t *lengths, int64_t rows, int64_t s,
                            const int32_t *tgt, int64_t t) {
    rv_memory memory;
    cr_assert(encode_ids(f->tape, f->m, src, lengths, rows, s, &memory), "%s: %s", f->name, rv_error_message());
    rv_tensor *l = rv_model_logits(f->tape, f->m, tgt, rows, t, NULL, &memory);
    cr_assert(l, "%s: %s", f->name, rv_error_message());
    return l;
}

static const rv_real *row_of(fixture *f, const rv_tensor *logits, int64_t rows, int64_t t, int64_t b, int64_t i) {
    return logits->x + rv_model_row(f->m, rows, t, b, i) * VT;
}

static void same_bits(const rv_real *a, const rv_real *b, int64_t n, const char *name, const char *what) {
    cr_assert(!memcmp(a, b, (size_t)n * sizeof *a), "%s: %s differs", name, what);
}

/* ---- decoding */

/* Two hypotheses per sentence with their own words; on the way they are exchanged, doubled, dropped and more again.
 * Each row ends with the logits that its words and its sentence give alone. */
Test(encoder_decoder, step_by_step_is_the_whole_pass) {
    enum { BEAM = 2, ROWS = B * BEAM };
    static const struct {
        int n;
        int32_t from[ROWS];
    } moves[T] = {{8, {0, 1, 2, 3, 4, 5, 6, 7}}, {8, {1, 1, 3, 2, 4, 4, 7, 6}},
                  {8, {0, 1, 2, 3, 4, 5, 6, 7}}, {3, {0, 5, 7}},
                  {5, {2, 0, 0, 1, 1}},          {2, {1, 4}}};
    EACH_MODEL(f, 12) {
        rv_tape_no_grad(f.tape, true);
        rv_memory memory;
        cr_assert(encode_ids(f.tape, f.m, f.src, src_lengths, B, S, &memory));
        rv_decoder_state *s = rv_model_state_over(f.tape, f.m, &memory, BEAM, T);
        cr_assert(s, "%s: %s", f.name, rv_error_message());
        int32_t words[ROWS][T], sentence[ROWS];
        for (int r = 0; r < ROWS; r++) sentence[r] = r / BEAM;
        for (int t = 0, n = ROWS; t < T; t++) {
            int32_t ids[ROWS], moved[ROWS][T] = {{0}}, reads[ROWS] = {0};
            for (int r = 0; r < moves[t].n; r++) {
                memcpy(moved[r], words[moves[t].from[r]], sizeof moved[r]);
                reads[r] = sentence[moves[t].from[r]];
            }
            n = moves[t].n;
            memcpy(words, moved, sizeof words);
            memcpy(sentence, reads, sizeof sentence);
            rv_model_state_reorder(f.m, s, moves[t].from, n);
            for (int r = 0; r < n; r++) ids[r] = words[r][t] = (int32_t)((3 * r + 5 * t + r * t) % VT);
            rv_tape_reset(f.tape);
            rv_tensor *l = rv_model_step(f.tape, f.m, s, ids);
            cr_assert(l, "%s: %s", f.name, rv_error_message());
            cr_assert_eq(l->dim[0], n);
            for (int r = 0; r < n; r++) {
                int b = sentence[r];
                rv_tensor *whole = logits_of(&f, f.src + b * S, src_lengths + b, 1, src_lengths[b], words[r], t + 1);
                same_bits(l->x + r * VT, row_of(&f, whole, 1, t + 1, 0, t), VT, f.name, "a step");
            }
        }
        rv_model_state_destroy(f.m, s);
    }
}

/* ---- padding and batch-mates */

Test(encoder_decoder, rows_stand_alone) {
    EACH_MODEL(f, 12) {
        rv_tape_no_grad(f.tape, true);
        rv_tensor *all = logits_of(&f, f.src, src_lengths, B, S, f.tgt, T);
        for (int b = 0; b < B; b++) {
            int t = tgt_lengths[b];
            rv_tensor *one = logits_of(&f, f.src + b * S, src_lengths + b, 1, src_lengths[b], f.tgt + b * T, t);
            for (int i = 0; i < t; i++)
                same_bits(row_of(&f, one, 1, t, 0, i), row_of(&f, all, B, T, b, i), VT, f.name, "a row alone");
        }
    }
}

static double learn(fixture *f, const int32_t *src, int64_t s, const int32_t *tgt, const int32_t *out, int64_t t) {
    rv_tape_reset(f->tape);
    rv_params_zero_grad(f->ps);
    rv_tensor *loss = loss_of_logits(f->tape, f->m, logits_of(f, src, src_lengths, B, s, tgt, t), out, B, t, 0.1);
    cr_assert_eq(rv_backward(f->tape, loss), RV_OK, "%s: %s", f->name, rv_error_message());
    rv_params_finish_grad(f->ps);
    return (double)loss->x[0];
}

/* More padding, of other words, on both sides: the same loss to the bit. Gradients of weights are sums over all
 * positions, in blocks of 32 and more: as long as the batch fits one block they keep their bits, too (== so that -0 is
 * 0); beyond, the zeros of padding move terms from block to block, and rounding differs. */
static void check_padding(fixture *f, int s2, int t2, double tolerance) {
    int32_t src[B * MAX], tgt[B * MAX], out[B * MAX];
    for (int i = 0; i < B * s2; i++)
        src[i] = i % s2 < src_lengths[i / s2] ? f->src[i / s2 * S + i % s2] : (int32_t)(i % VS);
    for (int i = 0; i < B * t2; i++) {
        bool valid = i % t2 < tgt_lengths[i / t2];
        tgt[i] = valid ? f->tgt[i / t2 * T + i % t2] : (int32_t)(i % VT);
        out[i] = valid ? f->out[i / t2 * T + i % t2] : -1;
    }
    double loss = learn(f, f->src, S, f->tgt, f->out, T);
    rv_real *g = malloc((size_t)f->ps->size * sizeof *g);
    memcpy(g, f->ps->g, (size_t)f->ps->size * sizeof *g);
    cr_assert_eq(learn(f, src, s2, tgt, out, t2), loss, "%s", f->name);
    for (int i = 0; i < f->ps->n; i++)
        for (int64_t j = 0, n = rv_numel(&f->ps->p[i]->t); j < n; j++) {
            double a = (double)g[f->ps->p[i]->offset + j], b = (double)f->ps->p[i]->t.g[j];
            cr_assert(fabs(a - b) <= tolerance * (1e-2 + fabs(a)),
                      "%s: gradient of %s[%lld]: %.9g, with more padding %.9g", f->name, f->ps->p[i]->name,
                      (long long)j, a, b);
        }
    free(g);
}

Test(encoder_decoder, padding_changes_no_gradient) {
    EACH_MODEL(f, 12) {
        check_padding(&f, S + 1, T + 2, 0);
        check_padding(&f, MAX, MAX, sizeof(rv_real) == 8 ? 1e-13 : 1e-5);
    }
}

/* ---- learning */

static rv_tensor *loss_of(rv_tape *tape, void *arg) {
    fixture *f = arg;
    return loss_of_logits(tape, f->m, logits_of(f, f->src, src_lengths, B, S, f->tgt, T), f->out, B, T, 0.1);
}

Test(encoder_decoder, gradients_of_whole_models) {
    if (sizeof(rv_real) == 4) cr_skip_test("differences are too coarse in float; the double build checks them");
    EACH_MODEL(f, 12) {
        rv_tensor *all[96];
        cr_assert_leq(f.ps->n, 96);
        for (int i = 0; i < f.ps->n; i++) all[i] = &f.ps->p[i]->t;
        double slope;
        cr_assert_eq(rv_taylor_slope(f.tape, loss_of, &f, f.ps->n, all, 1e-3, &slope), RV_OK, "%s", rv_error_message());
        cr_expect_float_eq(slope, 2, 0.1, "%s: slope %g", f.name, slope);
    }
}

Test(encoder_decoder, one_batch_can_be_learnt_by_heart) {
    if (sizeof(rv_real) == 8) cr_skip_test("the float build learns the same");
    EACH_MODEL(f, 32) {
        rv_optim *o;
        rv_optim_settings s = rv_optim_defaults(RV_OPTIM_adam);
        cr_assert_eq(rv_optim_create(RV_OPTIM_adam, &s, f.ps, &o), RV_OK);
        /* All begin with the same word: only the source tells the rows apart. */
        for (int b = 0; b < B; b++) f.tgt[b * T] = 1;
        double loss = 1, norm;
        int step = 0;
        for (; step < 1000 && loss >= 0.01; step++) {
            rv_tape_reset(f.tape);
            rv_params_zero_grad(f.ps);
            rv_tensor *l =
                loss_of_logits(f.tape, f.m, logits_of(&f, f.src, src_lengths, B, S, f.tgt, T), f.out, B, T, 0);
            cr_assert_eq(rv_backward(f.tape, l), RV_OK);
            rv_params_finish_grad(f.ps);
            cr_assert_eq(rv_grad_norm(f.ps, &norm), RV_OK);
            rv_optim_step(o, 5e-3, rv_clip_factor(norm, 1));
            loss = (double)l->x[0];
        }
        cr_expect_lt(loss, 0.01, "%s: %g after %d steps", f.name, loss, step);
        rv_optim_destroy(o);
    }
}

/* Wide enough that the work is shared out. */
Test(encoder_decoder, same_bits_at_every_thread_count) {
    if (sizeof(rv_real) == 8) cr_skip_test("the float build shares the work out alike");
    EACH_MODEL(f, 96) {
        if (f.e != BILSTM_TWO && f.e != BLOCKS) continue; /* enough, and it takes seconds where cores are few */
        rv_real *g = malloc((size_t)f.ps->size * sizeof *g);
        double loss = 0;
        for (int threads = 1; threads <= 4; threads++) {
            rv_set_threads(threads);
            double now = learn(&f, f.src, S, f.tgt, f.out, T);
            if (threads == 1) {
                loss = now;
                memcpy(g, f.ps->g, (size_t)f.ps->size * sizeof *g);
            }
            cr_assert_eq(now, loss, "%s, %d threads", f.name, threads);
            same_bits(f.ps->g, g, f.ps->size, f.name, "a gradient, with more threads,");
        }
        free(g);
    }
}

/* ---- attention */

Test(encoder_decoder, attention_weights) {
    EACH_MODEL(f, 12) {
        rv_memory memory;
        cr_assert(encode_ids(f.tape, f.m, f.src, src_lengths, B, S, &memory));
        const decoder_row *row = &decoders[f.k];
        rv_attention_weights w;
        bool transformer = !strcmp(row->kind, "transformer"),
             attends = transformer || row->reading.attend != RV_ATTEND_NONE;
        cr_assert_eq(rv_model_attention(f.tape, f.m, &memory, f.tgt, B, T, &w), attends, "%s", f.name);
        cr_assert_eq(rv_tape_status(f.tape), attends ? RV_OK : RV_EUSAGE);
        if (!attends) continue;
        cr_assert(w.B == B && w.T == T && w.S == S && w.layers == (transformer ? 2 : 1) &&
                  w.heads == (transformer ? 2 : 1));
        for (int64_t i = 0; i < (int64_t)w.layers * w.heads * B * T; i++) {
            int64_t b = i / T % B;
            double sum = 0;
            for (int64_t s = 0; s < S; s++) {
                double v = (double)w.weights[i * S + s];
                cr_assert(s < src_lengths[b] ? v >= 0 : v == 0, "%s", f.name);
                sum += v;
            }
            if (transformer || row->weights_sum_to_one)
                cr_assert_float_eq(sum, 1, 1e-5, "%s: %g", f.name, sum);
            else
                cr_assert(sum > 0 && sum <= 1 + 1e-6, "%s: %g", f.name,
                          sum); /* the Gaussian of local attention takes some */
        }
    }
}

/* The weights are those the model used: with one source word the context is that word's state, whatever the scores.
 * With two equal words and no positions a transformer divides its attention equally. */
Test(encoder_decoder, equal_keys_get_equal_weights) {
    rv_model_config c = config_of(BLOCKS, 6, 12);
    c.encoder.input.position = RV_POSITION_NONE;
    rv_params *ps = rv_params_create();
    rv_model *m = rv_model_create(ps, &c);
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    rv_tape *tape = rv_tape_create();
    static const int32_t src[3] = {4, 4, 4}, lengths[1] = {3}, tgt[2] = {1, 2};
    rv_memory memory;
    rv_attention_weights w;
    cr_assert(encode_ids(tape, m, src, lengths, 1, 3, &memory));
    cr_assert(rv_model_attention(tape, m, &memory, tgt, 1, 2, &w));
    for (int i = 0; i < 2 * 2 * 2 * 3; i++) cr_assert_float_eq((double)w.weights[i], 1 / 3., 1e-6);
    rv_tape_destroy(tape);
    rv_model_destroy(m);
    rv_params_destroy(ps);
}

/* ---- what is shared, what does not fit, what it costs */

Test(encoder_decoder, shared_embedding) {
    rv_model_config c = config_of(BLOCKS, 6, 12);
    c.encoder.input.vocab_size = VT;
    c.tie_source = c.tie_embeddings = true;
    rv_params *ps = rv_params_create();
    rv_model *m = rv_model_create(ps, &c);
    cr_assert(m, "%s", rv_error_message());
    cr_assert_null(rv_params_find(ps, "encoder.embedding.weight"));
    cr_assert_null(rv_params_find(ps, "head.weight"));
    cr_assert(rv_params_find(ps, "decoder.embedding.weight"));
    rv_model_destroy(m);
    rv_params_destroy(ps);
}

static void rejected(rv_model_config c, const char *message) {
    rv_params *ps = rv_params_create();
    rv_error(RV_OK, "%s", "");
    cr_expect_null(rv_model_create(ps, &c), "%s", message);
    cr_expect(strstr(rv_error_message(), message), "\"%s\" does not say \"%s\"", rv_error_message(), message);
    rv_params_destroy(ps);
}

Test(encoder_decoder, what_does_not_fit_is_said) {
    for (int e = 0; e < ENCODERS; e++)
        for (int k = 0; k < DECODERS; k++)
            if (!fits(e, k))
                rejected(config_of(e, k, 12), decoders[k].only_from_lstm ? "bridge copy" : "bridge reverse");
    rv_model_config c = config_of(BLOCKS, 6, 12);
    c.tie_source = true;
    rejected(c, "share an embedding: 13 words");
    c = config_of(LSTM_TWO, 0, 12);
    c.tie_embeddings = true;
    rejected(c, "readout_size");
    c = config_of(LSTM_TWO, 1, 12);
    c.decoder.reading.readout_size = 0;
    rejected(c, "readout_size 0");
    c = config_of(LSTM_TWO, 11, 12);
    c.decoder.rnn.hidden_size = 16;
    rejected(c, "luong_general");
    c = config_of(LSTM_TWO, 12, 12);
    c.decoder.rnn.num_layers = 2;
    rejected(c, "input feeding with 2 layers");
    c = config_of(BLOCKS, 6, 12);
    c.encoder.input.size = 10;
    rejected(c, "embedding_dim 10");
}

/* By hand: BiGRU (3 gates of 6, from 12, both directions) and a GRU decoder of 12 from 8, dense bridge, head 11. */
Test(encoder_decoder, work) {
    fixture f = open_model(BIGRU, 0, 12);
    double per_source = 2. * 2 * 18 * (12 + 6), per_target = 2. * (36 * (8 + 12) + 11 * 12), once = 2. * 12 * 12;
    cr_assert_float_eq(4 * rv_model_flops(f.m, f.ps, 7, 6), 4 * (7 * per_source + 6 * per_target + once), 1e-6);
    close_model(&f);
}

/* Of T targets masked self-attention makes T (T + 1) / 2 scores of width D in each layer, and as many sums; all else is
 * in proportion to T. No targets: no such work. */
Test(encoder_decoder, work_of_masked_attention) {
    fixture f = open_model(BLOCKS, 6, 12);
    const rv_transformer_config *t = &rv_model_get_config(f.m)->decoder.transformer;
    double work[4];
    for (int n = 0; n < 4; n++) work[n] = rv_model_flops(f.m, f.ps, 7, n);
    const double bend = 4. * t->num_layers * (double)t->hidden_size;
    cr_assert_gt(bend, 0);
    for (int n = 1; n < 3; n++) cr_expect_float_eq(work[n + 1] - 2 * work[n] + work[n - 1], bend, 1e-6);
    close_model(&f);
}

/* Models of every shape: what their parameters are used for, what a pass costs, by hand, and how large a state is.
 * Linked with --wrap=rv_alloc, which tells how much memory a state takes. */
#include <criterion/criterion.h>
#include <string.h>

#include "ravel.h"
#include "support/models.h"

enum { LETTER = 5, FILTERS = 4, SHAPE = 3 };
enum { V = 11, VS = 13, E = 8, H = 12, A = 9, R = 10, S = 7, T = 6, MAX = 64 };

static int64_t taken; /* bytes that were asked for */
void *__real_rv_alloc(size_t bytes);
void *__wrap_rv_alloc(size_t bytes);
void *__wrap_rv_alloc(size_t bytes) {
    taken += (int64_t)bytes;
    return __real_rv_alloc(bytes);
}

static const rv_init some = {.kind = RV_INIT_UNIFORM, .a = 0.4};

static rv_rnn_config stack(rv_cell cell, int layers, bool both, int64_t hidden) {
    rv_rnn_config c = rv_rnn_defaults(cell);
    c.num_layers = layers;
    c.bidirectional = both;
    c.hidden_size = hidden;
    return c;
}

static rv_transformer_config blocks(int64_t width, bool causal) {
    rv_transformer_config c = rv_transformer_defaults();
    c.num_layers = c.num_heads = 2;
    c.hidden_size = width;
    c.ff_size = 2 * width;
    c.causal = causal;
    return c;
}

static rv_input_config words(int64_t vocabulary, int64_t size) {
    return (rv_input_config){.vocab_size = vocabulary,
                             .size = size,
                             .init = some,
                             .position = RV_POSITION_LEARNED,
                             .position_init = some,
                             .max_length = MAX};
}

enum { LSTM_LM, GPT, BAHDANAU, DOT_FED, GENERAL, CONTEXT, FIRST_STATE, NARROW, CLASS, WORDS, MODELS };

static rv_model_config config_of(int i) {
    rv_model_config c = {.head = {.kind = rv_head_find("next_token"), .bias = true, .init = some}};
    rv_decoder_config *d = &c.decoder;
    rv_encoder_config *e = &c.encoder;
    if (i == CLASS) { /* of numbers */
        e->kind = rv_encoder_find("transformer");
        e->input = (rv_input_config){.numbers = 2, .size = H, .init = some};
        e->transformer = blocks(H, false);
        c.head = (rv_head_config){.kind = rv_head_find("class"),
                                  .output_size = 3,
                                  .bias = true,
                                  .init = some,
                                  .pooling = RV_POOLING_ATTENTION,
                                  .pooling_size = A};
        return c;
    }
    if (i == WORDS) { /* as they are, with letters, of which there are 7 a position, and shapes */
        e->kind = rv_encoder_find("none");
        e->input = words(VS, E);
        e->input.letters = (rv_letter_net_config){RV_LETTER_NET_CNN, 30, LETTER, FILTERS, 0, some, 7};
        e->input.shapes = 6;
        e->input.shape_size = SHAPE;
        c.head = (rv_head_config){.kind = rv_head_find("class"), .output_size = 3, .bias = true, .init = some};
        return c;
    }
    d->kind = rv_decoder_find(i == GPT || i == NARROW ? "transformer" : "rnn");
    d->input = words(V, i == GPT ? H : E);
    d->transformer = blocks(i == GPT ? H : E, true);
    d->rnn = stack(i == LSTM_LM ? RV_CELL_LSTM : RV_CELL_GRU, i == LSTM_LM ? 2 : 1, false, H);
    d->reading = (rv_reading){.init = some, .vector_init = some};
    c.tie_embeddings = i == GPT;
    if (i == LSTM_LM || i == GPT) return c;
    e->kind = rv_encoder_find(i == NARROW ? "transformer" : "rnn");
    e->input = words(VS, H);
    e->rnn = stack(RV_CELL_GRU, 1, true, H / 2);
    e->transformer = blocks(H, false);
    rv_reading *r = &d->reading;
    if (i == BAHDANAU) {
        *r = (rv_reading){RV_ATTEND_BAHDANAU, .attention_size = A, .readout = RV_READOUT_TANH, .readout_size = R};
        r->init = r->vector_init = some;
    }
    if (i == DOT_FED) r->attend = RV_ATTEND_LUONG_DOT, r->input_feeding = true, r->bridge = RV_BRIDGE_ZERO;
    if (i == GENERAL) r->attend = RV_ATTEND_LUONG_GENERAL, r->bridge = RV_BRIDGE_ZERO;
    if (i == CONTEXT) r->context_each_step = true;
    return c;
}

typedef struct {
    rv_params *ps;
    rv_model *m;
    rv_tape *tape;
} fixture;

static fixture open_model(int i) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create()};
    const rv_model_config c = config_of(i);
    f.m = rv_model_create(f.ps, &c);
    cr_assert(f.m, "model %d: %s", i, rv_error_message());
    cr_assert_eq(rv_params_materialise(f.ps, 7), RV_OK);
    return f;
}

static void close_model(fixture *f) {
    rv_tape_destroy(f->tape);
    rv_model_destroy(f->m);
    rv_params_destroy(f->ps);
}

/* ---- work */

Test(model, what_parameters_are_used_for) {
    static const struct {
        int model;
        const char *name;
        rv_use use;
    } rows[] = {
        {LSTM_LM, "decoder.embedding.weight", RV_USE_LOOK_UP},
        {LSTM_LM, "decoder.rnn.weight_hh_l1", RV_USE_STEP},
        {LSTM_LM, "head.weight", RV_USE_STEP},
        {GPT, "decoder.embedding.weight", RV_USE_STEP}, /* the head, too */
        {GPT, "decoder.position.weight", RV_USE_LOOK_UP},
        {GPT, "decoder.layers.0.self_attn.in_proj_weight", RV_USE_STEP},
        {BAHDANAU, "encoder.embedding.weight", RV_USE_LOOK_UP},
        {BAHDANAU, "encoder.rnn.weight_ih_l0_reverse", RV_USE_SOURCE},
        {BAHDANAU, "decoder.bridge.l0.weight", RV_USE_EXAMPLE},
        {BAHDANAU, "decoder.attention.key.weight", RV_USE_SOURCE},
        {BAHDANAU, "decoder.attention.query.weight", RV_USE_STEP},
        {BAHDANAU, "decoder.readout.weight", RV_USE_STEP},
        {GENERAL, "decoder.attention.key.weight", RV_USE_SOURCE},
        {NARROW, "encoder.position.weight", RV_USE_LOOK_UP},
        {NARROW, "encoder.layers.1.linear1.weight", RV_USE_SOURCE},
        {NARROW, "decoder.memory_proj.weight", RV_USE_SOURCE},
        {NARROW, "decoder.layers.0.multihead_attn.in_proj_weight", RV_USE_CROSS},
        {NARROW, "decoder.layers.0.multihead_attn.out_proj.weight", RV_USE_STEP},
        {CLASS, "encoder.input.weight", RV_USE_SOURCE},
        {CLASS, "pooling.proj.weight", RV_USE_SOURCE},
        {CLASS, "pooling.v.weight", RV_USE_SOURCE},
        {CLASS, "head.weight", RV_USE_EXAMPLE},
        {WORDS, "encoder.embedding.weight", RV_USE_LOOK_UP},
        {WORDS, "encoder.letters.embedding.weight", RV_USE_LOOK_UP},
        {WORDS, "encoder.letters.conv.weight", RV_USE_SOURCE},
        {WORDS, "encoder.shape.weight", RV_USE_LOOK_UP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f = open_model(rows[i].model);
        const rv_param *p = rv_params_find(f.ps, rows[i].name);
        cr_assert(p, "model %d has no %s", rows[i].model, rows[i].name);
        cr_expect_eq(p->use, rows[i].use, "model %d, %s: %d", rows[i].model, rows[i].name, (int)p->use);
        close_model(&f);
    }
}

/* Multiply-adds by hand; a model of one sequence is asked with the same number twice. */
Test(model, work_by_hand) {
    static const double gates_of_gru = 3. * (H / 2) * (H + H / 2) * 2; /* of the encoder's two directions */
    static const double block = 4. * H * H + 2. * H * 2 * H, narrow = 4. * E * E + 2. * E * 2 * E;
    const struct {
        int model;
        double S, T, macs;
    } rows[] = {
        {LSTM_LM, T, T, T * (4. * H * (E + H) + 4. * H * (H + H) + V * H)},
        /* position t looks at t + 1: T (T + 1) / 2 pairs, of which q k and weights v are H each, in 2 layers */
        {GPT, T, T, T * (2 * block + V * H) + 2 * 2 * H * T * (T + 1) / 2.},
        {BAHDANAU, S, T,
         S * (gates_of_gru + A * H) + H * H + T * (3. * H * (E + H + H) + A * H + R * 2. * H + V * R + S * (H + A))},
        {FIRST_STATE, S, T, S * gates_of_gru + H * H + T * (3. * H * (E + H) + V * H)},
        {CONTEXT, S, T, S * gates_of_gru + H * H + T * (3. * H * (E + H + H) + V * 2. * H)},
        {GENERAL, S, T, S * (gates_of_gru + H * H) + T * (3. * H * (E + H) + H * 2. * H + V * H + S * 2. * H)},
        {NARROW, S, T,
         S * 2 * (block + 2. * S * H) + S * E * H + 2 * (2. * E * T * (T + 1) / 2 + T * narrow) +
             2 * (T * 2. * E * E + S * 2. * E * E + T * 2. * S * E) + T * V * E},
        {CLASS, S, S, S * (2 * (block + 2. * S * H) + 2. * H + A * H + A + H) + 3 * H},
        {WORDS, S, S, S * 7. * FILTERS * LETTER * 3 + 3. * (E + FILTERS + SHAPE)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f = open_model(rows[i].model);
        const double got = rv_model_flops(f.m, f.ps, rows[i].S, rows[i].T);
        cr_expect_float_eq(got, 2 * rows[i].macs, 1e-6, "model %d: %.0f, by hand %.0f", rows[i].model, got,
                           2 * rows[i].macs);
        close_model(&f);
    }
}

/* ---- what it can be asked */

Test(model, what_it_is) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        const bool attends = i == BAHDANAU || i == DOT_FED || i == GENERAL || i == NARROW;
        cr_expect_eq(rv_model_attends(f.m), attends, "model %d", i);
        cr_expect_not(rv_model_sees_future(f.m), "model %d", i);
        cr_expect_eq(rv_model_positions(f.m), i == GPT || i == NARROW ? MAX : INT64_MAX, "model %d", i);
        close_model(&f);
    }
    rv_model_config c = config_of(GPT);
    for (int mask = RV_MASK_BEFORE; mask <= RV_MASK_NONE; mask++) {
        c.decoder.transformer.mask = (rv_mask_place)mask;
        rv_params *ps = rv_params_create();
        rv_model *m = rv_model_create(ps, &c);
        cr_expect_eq(rv_model_sees_future(m), mask != RV_MASK_BEFORE);
        rv_model_destroy(m);
        rv_params_destroy(ps);
    }
}

Test(model, parts_that_do_not_fit) {
    rv_model_config class_of_lm = config_of(LSTM_LM), lm_of_class = config_of(CLASS), nothing = config_of(CLASS);
    rv_model_config translating_class = config_of(BAHDANAU), tied_class = config_of(CLASS),
                    tied_lm = config_of(LSTM_LM);
    class_of_lm.head = translating_class.head = config_of(CLASS).head;
    lm_of_class.head = config_of(LSTM_LM).head;
    nothing.encoder.kind = NULL;
    tied_class.tie_embeddings = tied_lm.tie_source = true;
    const struct {
        const rv_model_config *config;
        const char *says;
    } rows[] = {
        {&class_of_lm, "head class reads an encoder alone"},
        {&translating_class, "head class reads an encoder alone"},
        {&nothing, "head class reads an encoder alone"},
        {&lm_of_class, "head next_token reads a decoder"},
        {&tied_class, "not both parts"},
        {&tied_lm, "not both parts"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rv_params *ps = rv_params_create();
        cr_expect_null(rv_model_create(ps, rows[i].config), "model %zu", i);
        cr_expect(strstr(rv_error_message(), rows[i].says), "model %zu: %s", i, rv_error_message());
        rv_params_destroy(ps);
    }
}

/* ---- states */

/* Bytes that a state of one row takes. Twice, so that the tape has its memory before. */
static int64_t held(fixture *f, int64_t source, int64_t positions) {
    const rv_model_config *c = rv_model_get_config(f->m);
    static const int32_t ids[MAX] = {3, 1, 4, 1, 5, 9, 2, 6};
    const int32_t length = (int32_t)source;
    int64_t bytes = 0;
    for (int k = 0; k < 2; k++) {
        rv_memory memory;
        rv_tape_reset(f->tape);
        rv_tape_no_grad(f->tape, true);
        if (c->encoder.kind) cr_assert(encode_ids(f->tape, f->m, ids, &length, 1, source, &memory));
        taken = 0;
        rv_decoder_state *s = c->encoder.kind ? rv_model_state_over(f->tape, f->m, &memory, 1, positions)
                                              : rv_model_state_create(f->m, 1, positions);
        bytes = taken;
        cr_assert(s, "%s", rv_error_message());
        rv_model_state_destroy(f->m, s);
    }
    return bytes;
}

/* By hand, and what each more of a source or of positions takes is what is asked for. Beside its numbers a cache has
 * two tables of where a position's keys lie. */
Test(model, bytes_of_a_state) {
    static const struct {
        int model;
        int64_t numbers, of_source, of_position;
    } rows[] = {
        {LSTM_LM, 2 * 2 * H, 0, 0}, {GPT, 0, 0, 2 * 2 * H}, {BAHDANAU, H, H + A, 0}, {DOT_FED, H + H, H, 0},
        {GENERAL, H, 2 * H, 0},     {CONTEXT, H + H, 0, 0}, {FIRST_STATE, H, 0, 0},  {NARROW, 0, 2 * 2 * E, 2 * 2 * E},
    };
    const int64_t real = sizeof(rv_real);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f = open_model(rows[i].model);
        const int64_t bytes = rv_model_state_bytes(f.m, S, T);
        cr_expect_eq(bytes, real * (rows[i].numbers + S * rows[i].of_source + T * rows[i].of_position),
                     "model %d: %lld", rows[i].model, (long long)bytes);
        const int64_t here = held(&f, S, T), tables = rows[i].of_position ? 2 * (int64_t)sizeof(int32_t) : 0;
        cr_expect_geq(here, bytes, "model %d", rows[i].model);
        cr_expect_eq(held(&f, S + 20, T) - here, rv_model_state_bytes(f.m, S + 20, T) - bytes, "model %d",
                     rows[i].model);
        cr_expect_eq(held(&f, S, T + 30) - here, rv_model_state_bytes(f.m, S, T + 30) - bytes + 30 * tables, "model %d",
                     rows[i].model);
        close_model(&f);
    }
}

/* A carried training state is all that a recurrent language model's holds. */
Test(model, bytes_of_a_carried_state) {
    static const rv_cell cells[] = {RV_CELL_RNN_TANH, RV_CELL_GRU, RV_CELL_LSTM};
    for (int i = 0; i < 3; i++) {
        rv_model_config c = config_of(LSTM_LM);
        c.decoder.rnn.cell = cells[i];
        rv_params *ps = rv_params_create();
        rv_model *m = rv_model_create(ps, &c);
        for (int64_t rows = 1; rows < 4; rows++) {
            rv_decoder_state *s = rv_model_state_create(m, rows, T);
            int64_t n;
            cr_assert(c.decoder.kind->state_data(s, &n));
            cr_expect_eq(n * (int64_t)sizeof(rv_real), rows * rv_model_state_bytes(m, 0, T));
            rv_model_state_destroy(m, s);
        }
        rv_model_destroy(m);
        rv_params_destroy(ps);
    }
}

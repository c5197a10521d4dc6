/* A training step in its steady state asks the heap for nothing. A plain driver: it replaces malloc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/adding.h"
#include "optim/clip.h"
#include "optim/optim.h"
#include "support/models.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);
static volatile int counting, counted;

/* libgomp keeps one team and makes another when the number of threads changes; that is not ours. */
static void count(const void *caller) {
    if (!counting) return;
    counting = 0; /* dladdr itself must not count */
    Dl_info info;
    if (!dladdr(caller, &info) || !info.dli_fname || !strstr(info.dli_fname, "libgomp"))
        __atomic_add_fetch(&counted, 1, __ATOMIC_RELAXED);
    counting = 1;
}
void *malloc(size_t n) { return count(__builtin_return_address(0)), __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return count(__builtin_return_address(0)), __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return count(__builtin_return_address(0)), __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return count(__builtin_return_address(0)), __libc_memalign(a, n); }
void *memalign(size_t a, size_t n) { return count(__builtin_return_address(0)), __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) {
    count(__builtin_return_address(0));
    *p = __libc_memalign(a, n);
    return *p ? 0 : 12;
}

enum { ROWS = 320, D = 48, WORDS = 300 };
#define DIMS(...)                                                                                                      \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }

/* Whole training steps of a language model: forward, backward, clipping, Adam. */
static int model_allocates(const char *name, const rv_model_config *config) {
    enum { B = 4, T = 24 };
    static int32_t x[B * T], y[B * T];
    for (int i = 0; i < B * T; i++) x[i] = i * 7 % WORDS, y[i] = i * 5 % WORDS;
    rv_params *ps = rv_params_create();
    rv_model *lm = rv_model_create(ps, config);
    rv_tape *tape = rv_tape_create();
    rv_optim_settings settings = rv_optim_defaults(RV_OPTIM_adam);
    rv_optim *optim = NULL;
    if (!lm || !tape || rv_params_materialise(ps, 1) != RV_OK ||
        rv_optim_create(RV_OPTIM_adam, &settings, ps, &optim) != RV_OK)
        return 1;
    rv_tape_set_training(tape, true);
    int failed = 0;
    for (int threads = 1; threads <= 2; threads++) {
        rv_set_threads(threads);
        for (int step = 1; step <= 5; step++) {
            counted = 0;
            counting = step >= 3;
            rv_tape_reset(tape);
            rv_params_zero_grad(ps);
            double norm = 0;
            rv_status s = rv_backward(tape, loss_of_tokens(tape, lm, x, y, B, T, 0.1));
            rv_params_finish_grad(ps);
            if (s == RV_OK) s = rv_grad_norm(ps, &norm);
            rv_optim_step(optim, 1e-3, rv_clip_factor(norm, 1));
            counting = 0;
            if (s != RV_OK) fprintf(stderr, "%s\n", rv_error_message());
            if (counted) fprintf(stderr, "%s, step %d, %d threads: %d allocations\n", name, step, threads, counted);
            failed |= s != RV_OK || counted;
        }
    }
    rv_optim_destroy(optim);
    rv_tape_destroy(tape);
    rv_model_destroy(lm);
    rv_params_destroy(ps);
    return failed;
}

static int models_allocate(void) {
    rv_init normal = {RV_INIT_NORMAL, 0.1, 0};
    const rv_input_config words = {.vocab_size = WORDS,
                                   .size = D,
                                   .init = normal,
                                   .dropout = 0.1,
                                   .position = RV_POSITION_LEARNED,
                                   .max_length = 32};
    rv_model_config lstm = {
        .head = {.kind = rv_head_find("next_token"), .bias = true, .init = normal},
        .decoder = {.kind = rv_decoder_find("rnn"),
                    .input = words,
                    .dropout = 0.1,
                    .rnn = rv_rnn_defaults(RV_CELL_LSTM)},
    };
    lstm.decoder.rnn.input_size = lstm.decoder.rnn.hidden_size = D;
    lstm.decoder.rnn.num_layers = 2;
    rv_model_config gpt = {
        .tie_embeddings = true,
        .head = {.kind = rv_head_find("next_token")},
        .decoder = {.kind = rv_decoder_find("transformer"), .input = words, .transformer = rv_transformer_defaults()},
    };
    rv_transformer_config *t = &gpt.decoder.transformer;
    t->num_layers = t->num_heads = 2;
    t->hidden_size = D;
    t->ff_size = 4 * D;
    t->causal = true;
    t->dropout = t->attention_dropout = 0.1;
    return model_allocates("LSTM", &lstm) | model_allocates("GPT", &gpt);
}

/* Training steps of a translation model, then steps of its decoding with rows that move and go. */
static int translation_allocates(const char *name, const rv_model_config *config) {
    enum { B = 4, S = 9, T = 12, BEAM = 2 };
    static const int32_t lengths[B] = {9, 3, 5, 1}, from[B * BEAM] = {1, 0, 2, 2, 4, 7};
    static int32_t src[B * S], x[B * T], y[B * T];
    for (int i = 0; i < B * S; i++) src[i] = i * 3 % WORDS;
    for (int i = 0; i < B * T; i++) x[i] = i * 7 % WORDS, y[i] = i * 5 % WORDS;
    rv_params *ps = rv_params_create();
    rv_model *m = rv_model_create(ps, config);
    rv_tape *tape = rv_tape_create();
    if (!m || !tape || rv_params_materialise(ps, 1) != RV_OK) return fprintf(stderr, "%s\n", rv_error_message()), 1;
    rv_decoder_state *state = NULL;
    rv_memory memory;
    int failed = 0;
    for (int step = 1; step <= 10; step++) {
        bool learn = step <= 5;
        counted = 0;
        counting = step % 5 >= 3 || step % 5 == 0;
        rv_tape_reset(tape);
        if (learn) {
            rv_params_zero_grad(ps);
            rv_tensor *logits = encode_ids(tape, m, src, lengths, B, S, &memory)
                                    ? rv_model_logits(tape, m, x, B, T, NULL, &memory)
                                    : NULL;
            rv_backward(tape, loss_of_logits(tape, m, logits, y, B, T, 0.1));
        } else {
            rv_model_step(tape, m, state, x);
            rv_model_state_reorder(m, state, from, step < 9 ? B * BEAM : B);
        }
        counting = 0;
        failed |= rv_tape_status(tape) != RV_OK || counted;
        if (counted)
            fprintf(stderr, "%s, %s, step %d: %d allocations\n", name, learn ? "learning" : "decoding", step, counted);
        if (step != 5) continue;
        state =
            encode_ids(tape, m, src, lengths, B, S, &memory) ? rv_model_state_over(tape, m, &memory, BEAM, T) : NULL;
        if (!state) return fprintf(stderr, "%s\n", rv_error_message()), 1;
    }
    rv_model_state_destroy(m, state);
    rv_tape_destroy(tape);
    rv_model_destroy(m);
    rv_params_destroy(ps);
    return failed;
}

static int translations_allocate(void) {
    rv_init normal = {RV_INIT_NORMAL, 0.1, 0};
    rv_rnn_config gru = rv_rnn_defaults(RV_CELL_GRU);
    gru.hidden_size = D;
    rv_reading bahdanau = {.attend = RV_ATTEND_BAHDANAU,
                           .attention_size = D,
                           .readout = RV_READOUT_MAXOUT,
                           .readout_size = D,
                           .init = normal,
                           .vector_init = normal};
    rv_reading luong = {.attend = RV_ATTEND_LUONG_GENERAL, .input_feeding = true, .init = normal};
    const rv_input_config words = {.vocab_size = WORDS, .size = D, .init = normal};
    rv_model_config c = {
        .encoder = {.kind = rv_encoder_find("rnn"), .input = words, .rnn = gru},
        .decoder = {.kind = rv_decoder_find("rnn"), .input = words, .rnn = gru, .reading = bahdanau},
        .head = {.kind = rv_head_find("next_token")},
        .tie_embeddings = true,
    };
    int failed = translation_allocates("Bahdanau", &c);
    c.decoder.reading = luong;
    failed |= translation_allocates("Luong", &c);
    rv_transformer_config t = rv_transformer_defaults();
    t.num_layers = t.num_heads = 2;
    t.hidden_size = D;
    t.ff_size = 4 * D;
    c.encoder.transformer = t;
    t.causal = true;
    c.decoder.transformer = t;
    c.encoder.kind = rv_encoder_find("transformer");
    c.decoder.kind = rv_decoder_find("transformer");
    return failed | translation_allocates("transformer", &c);
}

/* Training steps of a regressor on fresh examples, of new lengths each time. */
static int regressor_allocates(const char *name, const rv_model_config *config) {
    enum { B = 6, MOST = 20 };
    const rv_adding data = {1, "adding.train", MOST - 5, MOST};
    rv_adding_batch b;
    rv_params *ps = rv_params_create();
    rv_model *m = rv_model_create(ps, config);
    rv_tape *tape = rv_tape_create();
    if (!m || !tape || rv_params_materialise(ps, 1) != RV_OK || rv_adding_batch_alloc(&b, B, MOST) != RV_OK) return 1;
    rv_tape_set_training(tape, true);
    int failed = 0;
    for (int step = 1; step <= 8; step++) {
        counted = 0;
        counting = step >= 3;
        rv_adding_fill(&data, step * B, B, step < 3, &b);
        rv_tape_reset(tape);
        rv_params_zero_grad(ps);
        const rv_batch batch = {
            .source = {.B = B, .T = b.T, .numbers = b.x, .lengths = b.lengths}, .B = B, .number = b.target};
        rv_status s = rv_backward(tape, rv_model_loss(tape, m, &batch, NULL, 0));
        counting = 0;
        if (s != RV_OK) fprintf(stderr, "%s\n", rv_error_message());
        if (counted) fprintf(stderr, "%s, step %d: %d allocations\n", name, step, counted);
        failed |= s != RV_OK || counted;
    }
    rv_adding_batch_free(&b);
    rv_tape_destroy(tape);
    rv_model_destroy(m);
    rv_params_destroy(ps);
    return failed;
}

static int regressors_allocate(void) {
    const rv_init normal = {RV_INIT_NORMAL, 0.1, 0};
    rv_model_config c = {
        .encoder = {.kind = rv_encoder_find("rnn"),
                    .input = {.numbers = 2,
                              .size = D,
                              .init = normal,
                              .dropout = 0.1,
                              .position = RV_POSITION_LEARNED,
                              .position_init = normal,
                              .max_length = 20},
                    .rnn = rv_rnn_defaults(RV_CELL_LSTM),
                    .transformer = rv_transformer_defaults()},
        .head = {.kind = rv_head_find("number"),
                 .output_size = 1,
                 .bias = true,
                 .init = normal,
                 .pooling = RV_POOLING_ATTENTION,
                 .pooling_size = D,
                 .dropout = 0.1},
    };
    rv_encoder_config *e = &c.encoder;
    e->rnn.hidden_size = e->transformer.hidden_size = D;
    e->rnn.bidirectional = true;
    e->transformer.num_layers = e->transformer.num_heads = 2;
    e->transformer.ff_size = 4 * D;
    int failed = regressor_allocates("LSTM and attention", &c);
    e->kind = rv_encoder_find("transformer");
    c.head.pooling = RV_POOLING_LAST;
    return failed | regressor_allocates("transformer and its last state", &c);
}

/* Training steps over words as letters, of which there are more or fewer each time, to tell a class, or by a CRF, with
 * some steps banned, the tag of each word. */
static int words_allocate(rv_letter_net_kind letters, bool tags) {
    enum { B = 4, T = 9, N = 20, LETTERS = 12, ALPHABET = 30, K = 3 };
    static const uint8_t allowed[K * K] = {1, 1, 1, 1, 1, 1, 0, 1, 1};
    static int32_t ids[B * T], which[B * T], lengths[B], letter[N * LETTERS], word_lengths[N], shape[N], label[B];
    static int32_t tag[B * T];
    const rv_init normal = {RV_INIT_NORMAL, 0.1, 0};
    rv_model_config c = {
        .encoder = {.kind = rv_encoder_find("rnn"),
                    .input = {.vocab_size = WORDS,
                              .size = D,
                              .letters = {letters, ALPHABET, 10, 8, 0.1, normal},
                              .shapes = 3,
                              .shape_size = 4,
                              .dropout = 0.1,
                              .init = normal},
                    .rnn = rv_rnn_defaults(RV_CELL_LSTM)},
        .head = {.kind = rv_head_find(tags ? "tags" : "class"),
                 .output_size = K,
                 .init = normal,
                 .crf = tags,
                 .allowed = {.transition = allowed}},
    };
    c.encoder.rnn.hidden_size = D;
    rv_params *ps = rv_params_create();
    rv_model *m = rv_model_create(ps, &c);
    rv_tape *tape = rv_tape_create();
    if (!m || !tape || rv_params_materialise(ps, 1) != RV_OK) return fprintf(stderr, "%s\n", rv_error_message()), 1;
    rv_tape_set_training(tape, true);
    int failed = 0;
    for (int step = 0; step < 6; step++) {
        const int32_t n = N - step; /* the first is the largest, and the second makes the arena one block */
        for (int32_t i = 0; i < B * T; i++) ids[i] = i * 7 % WORDS, which[i] = i * 5 % n;
        for (int32_t i = 0; i < N * LETTERS; i++) letter[i] = i * 11 % ALPHABET;
        for (int32_t i = 0; i < N; i++) word_lengths[i] = 1 + (i + 11) % LETTERS, shape[i] = i % 3;
        for (int32_t i = 0; i < B; i++) lengths[i] = T - i, label[i] = i % K;
        for (int32_t i = 0; i < B * T; i++) tag[i] = i % T < lengths[i / T] ? i % 2 : -1;
        const rv_words words = {n, LETTERS, letter, word_lengths, shape, which};
        const rv_batch b = {.source = {.B = B, .T = T, .ids = ids, .lengths = lengths, .words = &words},
                            .B = B,
                            .T = tags ? T : 0,
                            .out = tags ? tag : NULL,
                            .lengths = tags ? lengths : NULL,
                            .label = label};
        counted = 0;
        counting = step >= 2;
        rv_tape_reset(tape);
        rv_params_zero_grad(ps);
        const rv_status s = rv_backward(tape, rv_model_loss(tape, m, &b, NULL, 0));
        counting = 0;
        if (s != RV_OK) fprintf(stderr, "%s\n", rv_error_message());
        if (counted) fprintf(stderr, "letters %d, tags %d, step %d: %d allocations\n", letters, tags, step, counted);
        failed |= s != RV_OK || counted;
    }
    rv_tape_destroy(tape);
    rv_model_destroy(m);
    rv_params_destroy(ps);
    return failed;
}

/* Training steps of a tagger of pieces, which reads states at some positions alone, and the taggings of a batch. */
static int pieces_allocate(void) {
    enum { B = 4, S = 9, T = 5, K = 6 };
    static const int32_t lengths[B] = {9, 7, 3, 1}, words[B] = {5, 4, 2, 1};
    static int32_t ids[B * S], at[B * T], tag[B * T];
    const rv_init normal = {RV_INIT_NORMAL, 0.1, 0};
    rv_model_config c = {
        .encoder = {.kind = rv_encoder_find("transformer"),
                    .input = {.vocab_size = WORDS, .size = D, .dropout = 0.1, .init = normal},
                    .transformer = rv_transformer_defaults()},
        .head = {.kind = rv_head_find("tags"), .output_size = K, .bias = true, .init = normal, .crf = true},
    };
    rv_transformer_config *t = &c.encoder.transformer;
    t->num_layers = t->num_heads = 2;
    t->hidden_size = D;
    t->ff_size = 4 * D;
    for (int i = 0; i < B * S; i++) ids[i] = i * 7 % WORDS;
    for (int i = 0; i < B * T; i++) at[i] = 2 * (i % T), tag[i] = i % T < words[i / T] ? i % K : -1;
    const rv_batch b = {.source = {.B = B, .T = S, .ids = ids, .lengths = lengths},
                        .B = B,
                        .T = T,
                        .out = tag,
                        .at = at,
                        .lengths = words};
    rv_params *ps = rv_params_create();
    rv_model *m = rv_model_create(ps, &c);
    rv_tape *tape = rv_tape_create();
    if (!m || !tape || rv_params_materialise(ps, 1) != RV_OK) return fprintf(stderr, "%s\n", rv_error_message()), 1;
    rv_tape_set_training(tape, true);
    int failed = 0;
    for (int step = 0; step < 8; step++) {
        rv_row_score row[B];
        rv_chain chain;
        const bool learn = step < 4;
        counted = 0;
        counting = step % 4 >= 2;
        rv_tape_reset(tape);
        rv_params_zero_grad(ps);
        if (learn)
            rv_backward(tape, rv_model_loss(tape, m, &b, NULL, 0));
        else if (rv_model_score(tape, m, &b, NULL, row, NULL, NULL))
            rv_model_chain(tape, m, &b, &chain);
        counting = 0;
        if (counted) fprintf(stderr, "pieces, %s, step %d: %d allocations\n", learn ? "loss" : "score", step, counted);
        failed |= rv_tape_status(tape) != RV_OK || counted;
    }
    rv_tape_destroy(tape);
    rv_model_destroy(m);
    rv_params_destroy(ps);
    return failed;
}

int main(void) {
    static int32_t ids[ROWS];
    for (int i = 0; i < ROWS; i++) ids[i] = i * 7 % WORDS;
    rv_params *ps = rv_params_create();
    rv_init normal = {RV_INIT_NORMAL, 0.1, 0};
    rv_tensor *table = rv_params_add(ps, normal, DIMS(WORDS, D), "table"),
              *gamma = rv_params_add(ps, normal, DIMS(D), "gamma"), *beta = rv_params_add(ps, normal, DIMS(D), "beta"),
              *w1 = rv_params_add(ps, normal, DIMS(4 * D, D), "w1"), *b1 = rv_params_add(ps, normal, DIMS(4 * D), "b1"),
              *w2 = rv_params_add(ps, normal, DIMS(D, 4 * D), "w2");
    rv_tape *tape = rv_tape_create();
    if (!tape || rv_params_materialise(ps, 1) != RV_OK) return 1;
    rv_tape_set_training(tape, true);
    int failed = models_allocate() | translations_allocate() | regressors_allocate() |
                 words_allocate(RV_LETTER_NET_LSTM, false) | words_allocate(RV_LETTER_NET_CNN, false) |
                 words_allocate(RV_LETTER_NET_LSTM, true) | pieces_allocate();
    for (int threads = 1; threads <= 2; threads++) {
        rv_set_threads(threads);
        for (int step = 1; step <= 5; step++) {
            counted = 0;
            counting = step >= 3; /* the first grows the arena, the second makes it one block */
            rv_tape_reset(tape);
            rv_tape_seed(tape, 1, (uint64_t)step);
            rv_params_zero_grad(ps);
            rv_tensor *h = rv_embedding(tape, table, ids, ROWS, 1), *u = rv_layer_norm(tape, h, gamma, beta, 1e-5);
            u = rv_linear(tape, rv_linear(tape, u, w1, b1, RV_ACT_GELU), w2, NULL, RV_ACT_NONE);
            h = rv_add(tape, h, rv_dropout(tape, u, 0.1));
            h = rv_mul(tape, h, beta); /* a broadcast operand: sums in scratch memory */
            rv_tensor *loss = rv_cross_entropy(tape, rv_linear(tape, h, table, NULL, RV_ACT_NONE), ids, -1, 0.1);
            rv_status s = rv_backward(tape, loss);
            rv_params_finish_grad(ps);
            counting = 0;
            if (s != RV_OK) fprintf(stderr, "%s\n", rv_error_message());
            if (counted) fprintf(stderr, "step %d, %d threads: %d allocations\n", step, threads, counted);
            failed |= s != RV_OK || counted || !isfinite((double)loss->x[0]);
        }
    }
    counting = 1; /* and the counter does count */
    rv_free(rv_alloc(100));
    counting = 0;
    if (!counted) fprintf(stderr, "the replaced malloc was not called\n"), failed = 1;
    rv_tape_destroy(tape);
    rv_params_destroy(ps);
    return failed;
}

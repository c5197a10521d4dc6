/* Gradient flow: total gradients of states against differences, the figures known for T 100, half-lives, threads, and
 * what a report makes of several seeds. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <ftw.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ravel.h"
#include "support/models.h"

static const bool is_double = sizeof(rv_real) == 8;

/* ---- total gradients of a recurrent layer */

enum { T = 7, I = 3, H = 5 };

typedef struct {
    rv_cell cell;
    rv_tensor *w_ih, *w_hh, *b_ih, *b_hh;
    const rv_real *x, *weigh; /* (T, I), (T, H): L = sum of weigh times y */
} layer;

static rv_tensor *random_leaf(rv_tape *tape, uint64_t id, int ndim, const int64_t *dim) {
    rv_tensor *t = rv_leaf(tape, true, ndim, dim);
    rv_rng rng = rv_rng_make(7, "leaf", id);
    for (int64_t i = 0; i < rv_numel(t); i++) t->x[i] = (rv_real)(2 * rv_rng_uniform(&rng) - 1);
    return t;
}

static layer make_layer(rv_tape *tape, rv_cell cell) {
    int64_t GH = rv_cell_gates(cell) * H;
    return (layer){cell,
                   random_leaf(tape, 1, 2, (int64_t[]){GH, I}),
                   random_leaf(tape, 2, 2, (int64_t[]){GH, H}),
                   random_leaf(tape, 3, 1, &GH),
                   random_leaf(tape, 4, 1, &GH),
                   random_leaf(tape, 5, 2, (int64_t[]){T, I})->x,
                   random_leaf(tape, 6, 2, (int64_t[]){T, H})->x};
}

/* Steps [from, to) in the order of computing; `turned`: x and what weighs y are read from the back. */
static rv_sequence run(rv_tape *tape, const layer *l, int from, int to, bool turned, const rv_real *h, const rv_real *c,
                       double *loss) {
    rv_tensor *x = rv_leaf(tape, false, 3, (int64_t[]){to - from, 1, I});
    for (int s = from; s < to; s++)
        memcpy(x->x + (s - from) * I, l->x + (turned ? T - 1 - s : s) * I, I * sizeof(rv_real));
    const int64_t dim[] = {1, H};
    rv_sequence q =
        rv_recurrent(tape, l->cell, x, l->w_ih, l->w_hh, l->b_ih, l->b_hh, h ? rv_constant(tape, 2, dim, h) : NULL,
                     c ? rv_constant(tape, 2, dim, c) : NULL, NULL, false);
    for (int s = from; s < to && loss; s++)
        for (int u = 0; u < H; u++)
            *loss += (double)l->weigh[(turned ? T - 1 - s : s) * H + u] * (double)q.y->x[(s - from) * H + u];
    return q;
}

/* L when unit u of the state after step s is moved by eps: of c, with what h = o tanh(c) makes of it. */
static double moved(rv_tape *tape, const layer *l, int s, bool turned, int u, bool cell_state, double eps) {
    double loss = 0;
    rv_sequence q = run(tape, l, 0, s + 1, turned, NULL, NULL, NULL);
    rv_real *h = q.hn->x, *c = q.cn ? q.cn->x : NULL;
    if (cell_state) {
        double o = (double)h[u] / tanh((double)c[u]);
        c[u] += (rv_real)eps;
        h[u] = (rv_real)(o * tanh((double)c[u]));
    } else {
        h[u] += (rv_real)eps;
    }
    for (int k = 0; k < H; k++) loss += (double)l->weigh[(turned ? T - 1 - s : s) * H + k] * (double)h[k];
    if (s + 1 < T) run(tape, l, s + 1, T, turned, h, c, &loss);
    return loss;
}

static void compare_layer(rv_cell cell, bool reverse) {
    rv_tape *tape = rv_tape_create();
    rv_watch watch = {0};
    layer l = make_layer(tape, cell);
    cr_assert_null(rv_tape_watch(tape, &watch));
    rv_sequence q = rv_recurrent(tape, cell, rv_constant(tape, 3, (int64_t[]){T, 1, I}, l.x), l.w_ih, l.w_hh, l.b_ih,
                                 l.b_hh, NULL, NULL, NULL, reverse);
    rv_recurrent_watch(tape, q.y, "layer");
    rv_tensor *loss = rv_sum_all(tape, rv_mul(tape, q.y, rv_constant(tape, 3, (int64_t[]){T, 1, H}, l.weigh)));
    cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
    cr_assert_eq(watch.n, cell == RV_CELL_LSTM ? 2 : 1);
    rv_tape_no_grad(tape, true);
    for (int i = 0; i < watch.n; i++) {
        const rv_watched *w = &watch.seen[i];
        cr_assert_str_eq(w->name, i ? "layer.c" : "layer.h");
        cr_assert_str_eq(w->kind, i ? "cell" : "hidden");
        cr_assert(w->T == T && w->B == 1 && w->size == H && w->reverse == reverse);
        for (int s = 0; s < T; s++)
            for (int u = 0; u < H; u++) {
                const double eps = is_double ? 1e-6 : 1e-2;
                double want =
                    (moved(tape, &l, s, reverse, u, i, eps) - moved(tape, &l, s, reverse, u, i, -eps)) / (2 * eps);
                double got = (double)w->g[(reverse ? T - 1 - s : s) * w->step + u];
                cr_assert(fabs(got - want) <= (is_double ? 1e-8 : 2e-3) * (1 + fabs(want)),
                          "cell %d %s reverse %d step %d unit %d: %.10g, differences %.10g", cell, w->name, reverse, s,
                          u, got, want);
            }
    }
    rv_tape_destroy(tape);
}

Test(gradient_flow, total_gradients_equal_differences) {
    for (int cell = RV_CELL_RNN_TANH; cell <= RV_CELL_GRU_RESET_BEFORE; cell++)
        for (int reverse = 0; reverse < 2; reverse++)
            if (cell != RV_CELL_RNN_RELU || is_double)
                compare_layer((rv_cell)cell, reverse); /* float differences step over kinks */
}

/* A row's gradients in a ragged batch are those of the row alone, and padded steps have none. */
Test(gradient_flow, ragged_rows) {
    enum { B = 3 };
    static const int32_t lengths[B] = {7, 4, 2};
    for (int reverse = 0; reverse < 2; reverse++) {
        rv_tape *tape = rv_tape_create();
        rv_watch watch = {0};
        rv_tape_watch(tape, &watch);
        layer l = make_layer(tape, RV_CELL_LSTM);
        rv_tensor *x = random_leaf(tape, 8, 3, (int64_t[]){T, B, I}),
                  *a = random_leaf(tape, 9, 3, (int64_t[]){T, B, H});
        rv_tensor *loss = NULL;
        for (int b = 0; b < B; b++) { /* two entries each, then two of all */
            rv_tensor *xb = rv_slice(tape, rv_slice(tape, x, 1, b, b + 1), 0, 0, lengths[b]);
            rv_tensor *y = rv_recurrent(tape, l.cell, xb, l.w_ih, l.w_hh, l.b_ih, l.b_hh, NULL, NULL, NULL, reverse).y;
            rv_recurrent_watch(tape, y, "row%d", b);
            rv_tensor *part =
                rv_sum_all(tape, rv_mul(tape, y, rv_slice(tape, rv_slice(tape, a, 1, b, b + 1), 0, 0, lengths[b])));
            loss = loss ? rv_add(tape, loss, part) : part;
        }
        rv_tensor *y = rv_recurrent(tape, l.cell, x, l.w_ih, l.w_hh, l.b_ih, l.b_hh, NULL, NULL, lengths, reverse).y;
        rv_recurrent_watch(tape, y, "all");
        cr_assert_eq(rv_backward(tape, rv_add(tape, loss, rv_sum_all(tape, rv_mul(tape, y, a)))), RV_OK);
        cr_assert_eq(watch.n, 2 * B + 2);
        for (int k = 0; k < 2; k++)
            for (int b = 0; b < B; b++)
                for (int t = 0; t < T; t++)
                    for (int u = 0; u < H; u++) {
                        const rv_watched *all = &watch.seen[2 * B + k], *one = &watch.seen[2 * b + k];
                        rv_real got = all->g[b * all->row + t * all->step + u],
                                want = t < lengths[b] ? one->g[t * one->step + u] : 0;
                        cr_assert_eq(got, want, "row %d step %d unit %d: %g, alone %g", b, t, u, (double)got,
                                     (double)want);
                    }
        rv_tape_destroy(tape);
    }
}

/* ---- a watch changes nothing else */

static rv_params *small_model(rv_model **lm, bool attends) {
    rv_params *ps = rv_params_create();
    rv_model_config c = {
        .decoder = {.kind = rv_decoder_find(attends ? "transformer" : "rnn"),
                    .input = {.vocab_size = 11, .size = 8, .max_length = 16, .init = {RV_INIT_NORMAL, .a = 0.5}},
                    .rnn = rv_rnn_defaults(RV_CELL_LSTM),
                    .transformer = rv_transformer_defaults()},
        .head = {.kind = rv_head_find("next_token"),
                 .bias = true,
                 .init = {RV_INIT_XAVIER_UNIFORM},
                 .bias_init = {RV_INIT_ZERO}},
    };
    c.decoder.rnn.num_layers = 2;
    c.decoder.rnn.hidden_size = 8;
    c.decoder.transformer.num_layers = 2;
    c.decoder.transformer.num_heads = 2;
    c.decoder.transformer.hidden_size = 8;
    c.decoder.transformer.ff_size = 16;
    c.decoder.transformer.causal = true;
    c.decoder.transformer.norm = RV_NORM_PRE;
    *lm = rv_model_create(ps, &c);
    cr_assert(*lm, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(ps, 3), RV_OK);
    return ps;
}

static rv_real step(rv_tape *tape, rv_model *lm, const int32_t *y) {
    static const int32_t x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 3};
    rv_tape_reset(tape);
    rv_tensor *loss = loss_of_tokens(tape, lm, x, y, 2, 6, 0);
    cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
    return loss->x[0];
}

Test(gradient_flow, a_watch_changes_nothing_else) {
    static const int32_t y[] = {2, 3, -1, 5, 6, -1, 8, 9, -1, 1, 3, -1}; /* nothing is asked after step 4 */
    for (int attends = 0; attends < 2; attends++) {
        rv_model *lm;
        rv_params *ps = small_model(&lm, attends);
        rv_tape *tape = rv_tape_create();
        size_t bytes = (size_t)ps->size * sizeof(rv_real);
        rv_params_zero_grad(ps);
        ps->p[ps->n - 1]->t.needs_grad = false; /* as if somebody had turned it off: it must stay off */
        rv_real loss = step(tape, lm, y), *kept = malloc(bytes);
        memcpy(kept, ps->g, bytes);
        rv_params_zero_grad(ps);
        rv_watch watch = {0};
        rv_tape_watch(tape, &watch);
        cr_expect_eq(step(tape, lm, y), loss);
        for (int i = 0; i < ps->n; i++) {
            cr_expect_not(ps->p[i]->t.has_grad, "%s", ps->p[i]->name);
            cr_expect_eq(ps->p[i]->t.needs_grad, i + 1 < ps->n, "%s", ps->p[i]->name);
        }
        cr_expect_eq(memcmp(kept, ps->g, bytes), 0);
        cr_assert_eq(watch.n, attends ? 3 : 5); /* streams or h and c of two layers, and the head's */
        for (int i = 0; i < watch.n; i++) {     /* causal: what comes after the last target has no way to it */
            const rv_watched *w = &watch.seen[i];
            for (int64_t b = 0; b < 2; b++)
                for (int64_t t = 0; t < 6; t++) {
                    double sum = 0;
                    for (int64_t u = 0; u < w->size; u++) sum += fabs((double)w->g[b * w->row + t * w->step + u]);
                    if (!strcmp(w->kind, "head"))
                        cr_expect_eq(sum > 0, y[b * 6 + t] >= 0, "head row %d step %d", (int)b, (int)t);
                    else
                        cr_expect_eq(sum > 0, t <= 4, "%s row %d step %d: %g", w->name, (int)b, (int)t, sum);
                }
        }
        cr_expect_eq(rv_tape_watch(tape, NULL), &watch);
        memset(ps->g, 0, bytes);
        cr_expect_eq(step(tape, lm, y), loss);
        cr_expect_eq(memcmp(kept, ps->g, bytes), 0);
        free(kept);
        rv_tape_destroy(tape);
        rv_model_destroy(lm);
        rv_params_destroy(ps);
    }
}

/* ---- half-lives */

Test(gradient_flow, half_life) {
    enum { N = 60 };
    double lag[N], norm[N];
    for (int i = 0; i < N; i++) {
        lag[i] = i;
        norm[i] = 0.3 * exp2(-i / 4.25);
    }
    cr_expect_float_eq(rv_half_life(N, lag, norm), 4.25, 1e-10);
    norm[7] = NAN; /* left out, as are these */
    norm[8] = INFINITY;
    norm[9] = 0;
    norm[10] = -1;
    cr_expect_float_eq(rv_half_life(N, lag, norm), 4.25, 1e-10);
    cr_expect(isnan(rv_half_life(2, lag, norm)));
    cr_expect_float_eq(rv_half_life(3, lag, norm), 4.25, 1e-10);
    cr_expect(isnan(rv_half_life(0, lag, norm)));
    for (int i = 0; i < N; i++) norm[i] = 0.01;
    cr_expect(isnan(rv_half_life(N, lag, norm)));
    for (int i = 0; i < N; i++) norm[i] = 0.01 * exp2(i / 4.);
    cr_expect(isnan(rv_half_life(N, lag, norm)));
    for (int i = 0; i < N; i++) norm[i] = exp2(-i / 5e3); /* halves far beyond what was measured */
    cr_expect(isnan(rv_half_life(N, lag, norm)));
    for (int i = 0; i < N; i++) norm[i] = exp2(-i / 100.);
    cr_expect_float_eq(rv_half_life(N, lag, norm), 100, 1e-8);
    for (int i = 0; i < N; i++) norm[i] = 0;
    cr_expect(isnan(rv_half_life(N, lag, norm)));
    /* trained attention: strong where it looks, weak elsewhere, and no weaker with distance; a slope is in it all the
     * same */
    const double looks[] = {1, 0.9, 0.12, 0.1, 0.8, 0.09, 0.11, 0.1, 0.7, 0.1, 0.08, 0.1};
    cr_expect(isnan(rv_half_life(12, lag, looks)));
}

/* ---- tasks */

static char folder[64], home[4096];

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}

static void enter(void) {
    rv_log_set_level(RV_LOG_QUIET);
    strcpy(folder, "/tmp/ravel-test-XXXXXX");
    cr_assert(mkdtemp(folder) && getcwd(home, sizeof home) && chdir(folder) == 0);
}
static void leave(void) {
    cr_assert(chdir(home) == 0);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
TestSuite(gradient_flow_tasks, .init = enter, .fini = leave);

static json_t *measure(const char *text, int threads, int64_t length) {
    rv_config *config;
    rv_task *task;
    json_t *flow;
    rv_params *ps = rv_params_create();
    rv_tape *tape = rv_tape_create();
    cr_assert_eq(rv_config_parse("test.yaml", text, strlen(text), 0, NULL, &config), RV_OK, "%s", rv_error_message());
    rv_set_threads(threads);
    cr_assert_eq(rv_task_create(config, NULL, true, ps, &task), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    rv_tape_set_training(tape, true);
    cr_assert_eq(rv_gradient_flow(tape, task, length, &flow), RV_OK, "%s", rv_error_message());
    cr_expect(rv_tape_training(tape));
    rv_task_destroy(task);
    rv_tape_destroy(tape);
    rv_params_destroy(ps);
    rv_config_destroy(config);
    return flow;
}

static json_t *series_of(json_t *flow, const char *state) {
    json_t *list = json_object_get(flow, "series");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!strcmp(json_string_value(json_object_get(json_array_get(list, i), "state")), state))
            return json_array_get(list, i);
    cr_assert_fail("no series %s", state);
    return NULL;
}

static double norm_at(json_t *series, size_t k) {
    return json_number_value(json_array_get(json_object_get(series, "norm"), k));
}

static void write_data(void) {
    rv_rng rng = rv_rng_make(5, "text", 0);
    FILE *text = fopen("text.txt", "w"), *pairs = fopen("train.tsv", "w"), *valid = fopen("valid.tsv", "w");
    for (int i = 0; i < 2000; i++) {
        char word[16];
        int n = 2 + (int)rv_rng_below(&rng, 8);
        for (int j = 0; j < n; j++) word[j] = "abcdefgh"[rv_rng_below(&rng, 8)];
        fprintf(text, "%.*s ", n, word);
        if (i < 120) fprintf(i < 90 ? pairs : valid, "%.*s\t%.*s\n", n, word, n, word);
    }
    fclose(text);
    fclose(pairs);
    fclose(valid);
}

/* Norms at lags 0, 10, 50 and 99 of 100 steps in a layer of 64 with PyTorch's initial weights (the plain network's
 * recurrent ones orthogonal), 32 inputs from N(0, 1), as PyTorch gave them on other random weights: a step's factor
 * that differs by 2 % is one of 7 after
 * 99. Attention pooling over the plain network is flat, but at 1/T. */
#define LM                                                                                                             \
    "data: {path: text.txt, train_fraction: 0.3}\ntokenizer: {type: char}\nmodel: {embedding_dim: 32, decoder: "       \
    "{type: rnn, num_layers: 1, hidden_size: 64, cell: "
#define ADDING                                                                                                         \
    "task: regression\ndata: {generator: adding, max_length: 100}\nmodel: {encoder: {type: rnn, num_layers: 1, "       \
    "hidden_size: 64, cell: "
static const struct {
    const char *name, *task, *batch, *state;
    double want[4];
    bool flat;
} known[] = {
    {"rnn", LM "rnn}, init: {recurrent: orthogonal}}", ", length: 9", "decoder.l0.h", {.96, .089, 7e-6, 7e-11}, false},
    {"lstm, bias 0",
     LM "lstm}, init: {forget_bias: 0}}",
     ", length: 9",
     "decoder.l0.c",
     {.47, 2e-3, 1e-11, 3e-22},
     false},
    {"lstm, bias 1", LM "lstm}}", ", length: 9", "decoder.l0.c", {.45, .043, 3e-5, 3e-9}, false},
    {"gru", LM "gru}}", ", length: 9", "decoder.l0.h", {.96, 5e-3, 3e-11, 4e-21}, false},
    {"pooling", ADDING "rnn}, pooling: attention}", "", "encoder.l0.h", {.010, .011, .011, .011}, true},
};

#define END "\ntrain: {batch: {size: 20%s}, max_steps: 1, optimizer: {type: adam, lr: 1e-3}, validate_every: 1}\n"
Test(gradient_flow_tasks, figures_at_initialisation) {
    static const size_t lag[] = {0, 10, 50, 99};
    write_data();
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        char text[1024];
        snprintf(text, sizeof text, "name: t\n%s" END, known[k].task, known[k].batch);
        json_t *flow = measure(text, 1, 100), *s = series_of(flow, known[k].state),
               *half = json_object_get(s, "half_life");
        cr_assert_eq(json_array_size(json_object_get(s, "norm")), 100);
        cr_expect_eq(json_is_null(half), known[k].flat, "%s: half-life %g", known[k].name, json_number_value(half));
        for (int i = 0; i < 4; i++) {
            double off = fabs(log10(norm_at(s, lag[i]) / known[k].want[i])),
                   most = known[k].flat ? 0.1 : 0.1 + 0.009 * (double)lag[i];
            cr_expect(off <= most, "%s: %.3g at lag %d, known %.3g", known[k].name, norm_at(s, lag[i]), (int)lag[i],
                      known[k].want[i]);
        }
        json_decref(flow);
    }
}

static const struct {
    const char *name, *text, *batch, *states;
    int64_t lags; /* 0: as the data is */
} tasks[] = {
    {"lstm",
     "data: {path: text.txt, train_fraction: 0.6}\nmodel: {decoder: {type: rnn, cell: lstm, num_layers: 2, "
     "hidden_size: 20}, embedding_dim: 12, dropout: 0.3}",
     ", length: 10", "decoder.l0.h decoder.l0.c decoder.l1.h decoder.l1.c ", 17},
    {"gpt",
     "data: {path: text.txt, train_fraction: 0.6}\nmodel: {decoder: {type: transformer, num_layers: 2, num_heads: 2, "
     "hidden_size: 16}, dropout: 0.3}",
     ", length: 17", "decoder.l0.x decoder.l1.x ", 17},
    {"bahdanau",
     "task: translation\ndata: {train: train.tsv, valid: valid.tsv, max_length: 12}\ntokenizer: {type: char}\nmodel: "
     "{encoder: {type: rnn, cell: gru, num_layers: 1, "
     "hidden_size: 12, bidirectional: true}, decoder: {type: rnn, cell: gru, num_layers: 2, hidden_size: 20}, "
     "attention: {type: bahdanau, size: 12}, embedding_dim: 12}",
     "", "encoder.l0.h encoder.l0_reverse.h ", 0},
    {"transformer",
     "task: translation\ndata: {train: train.tsv, valid: valid.tsv, max_length: 12}\ntokenizer: {type: char}\nmodel: "
     "{encoder: {type: transformer, num_layers: 2, "
     "num_heads: 2, hidden_size: 16}, decoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 16}, "
     "embedding_dim: 16}",
     "", "encoder.l0.x encoder.l1.x ", 0},
};

Test(gradient_flow_tasks, states_lags_and_threads) {
    write_data();
    for (size_t k = 0; k < sizeof tasks / sizeof *tasks; k++) {
        char text[1536], states[256] = "", *first = NULL;
        snprintf(text, sizeof text, "name: t\n%s" END, tasks[k].text, tasks[k].batch);
        for (int threads = 1; threads <= 3; threads++) {
            json_t *flow = measure(text, threads, 17);
            char *dump = json_dumps(flow, 0);
            if (first)
                cr_expect_str_eq(dump, first, "%s with %d threads", tasks[k].name, threads);
            else {
                json_t *list = json_object_get(flow, "series");
                first = strdup(dump);
                for (size_t i = 0; i < json_array_size(list); i++) {
                    json_t *s = json_array_get(list, i);
                    size_t n = json_array_size(json_object_get(s, "norm"));
                    strcat(strcat(states, json_string_value(json_object_get(s, "state"))), " ");
                    cr_expect(n == json_array_size(json_object_get(s, "lag")) && n > 4);
                    if (tasks[k].lags) cr_expect_eq((int64_t)n, tasks[k].lags, "%s", tasks[k].name);
                    for (size_t j = 0; j < n; j++)
                        cr_expect(norm_at(s, j) > 0, "%s lag %d: %g", tasks[k].name, (int)j, norm_at(s, j));
                }
                cr_expect_str_eq(states, tasks[k].states);
                /* A language model reads the last state of the top layer as it is. */
                if (!k) cr_expect_float_eq(norm_at(series_of(flow, "decoder.l1.h"), 0), 1, 1e-6);
            }
            free(dump);
            json_decref(flow);
        }
        free(first);
    }
}

/* The head reads both directions' last states side by side: of |dL/dr| each has its part at lag 0, which is the other
 * end of the sequence for each. Lags go as far as half of the sequences of 11 to 30 steps do. */
Test(gradient_flow_tasks, directions_and_ragged_lengths) {
    char text[1024];
    snprintf(text, sizeof text,
             "name: t\ntask: regression\ndata: {generator: adding, min_length: 11, max_length: 30}\n"
             "model: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 16, bidirectional: true}}" END,
             "");
    json_t *flow = measure(text, 1, 0), *there = series_of(flow, "encoder.l0.h"),
           *back = series_of(flow, "encoder.l0_reverse.h");
    cr_expect_float_eq(hypot(norm_at(there, 0), norm_at(back, 0)), 1, 1e-6);
    size_t n = json_array_size(json_object_get(there, "norm"));
    cr_expect(n > 16 && n < 25 && n == json_array_size(json_object_get(back, "norm")), "%d lags", (int)n);
    for (size_t i = 1; i < n; i++)
        cr_expect(norm_at(there, i) < norm_at(there, i - 1) && norm_at(back, i) < norm_at(back, i - 1), "lag %d",
                  (int)i);
    json_decref(flow);
}

/* Before and after: the seed's weights and the trained ones, which stay as they are. */
Test(gradient_flow_tasks, trained) {
    char text[1024];
    rv_config *config;
    rv_trained t;
    json_t *both;
    int n = snprintf(text, sizeof text,
                     "name: t\nseed: 1\ntask: regression\ndata: {generator: adding, max_length: 20}\nmodel: {encoder: "
                     "{type: rnn, cell: gru, num_layers: 1, hidden_size: 8}}\n"
                     "train: {batch: {size: 10}, max_steps: 20, optimizer: {type: adam, lr: 1e-2}, validate_every: "
                     "20}\ncheckpoint: {dir: run}\n");
    cr_assert_eq(rv_config_parse("test.yaml", text, (size_t)n, 0, NULL, &config), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_train(config, &(rv_train_options){0}), RV_OK, "%s", rv_error_message());
    rv_config_destroy(config);
    cr_assert_eq(rv_trained_open("run", 0, NULL, true, &t), RV_OK, "%s", rv_error_message());
    rv_tape *tape = rv_tape_create();
    cr_assert_eq(rv_gradient_flow_trained(tape, &t, 0, &both), RV_OK, "%s", rv_error_message());
    json_t *fresh = measure(text, 1, 0), *again;
    cr_expect(json_equal(json_object_get(both, "before"), fresh));
    cr_expect_not(json_equal(json_object_get(both, "after"), fresh));
    cr_assert_eq(rv_gradient_flow(tape, t.task, 0, &again), RV_OK);
    cr_expect(json_equal(json_object_get(both, "after"), again));
    json_decref(again);
    json_decref(fresh);
    json_decref(both);
    rv_tape_destroy(tape);
    rv_trained_close(&t);
}

/* ---- the report */

static void write_flow(const char *dir, double half_life, double scale) {
    char path[256];
    cr_assert_eq(mkdir(dir, 0777), 0);
    snprintf(path, sizeof path, "%s/gradient_flow.json", dir);
    json_t *lag = json_array(), *norm = json_array();
    for (int i = 0; i < 30; i++) {
        json_array_append_new(lag, json_integer(i));
        json_array_append_new(norm, i == 7 ? json_null() : json_real(scale * exp2(-i / half_life)));
    }
    json_t *flow = json_pack("{s:s, s:i, s:[{s:s, s:s, s:o, s:o}]}", "loss", "of a test", "length", 30, "series",
                             "state", "encoder.l0.h", "kind", "hidden", "lag", lag, "norm", norm);
    json_t *both = json_pack("{s:O, s:o}", "before", flow, "after", flow);
    cr_assert_eq(json_dump_file(both, path, 0), 0);
    json_decref(both);
}

Test(gradient_flow_tasks, report) {
    write_flow("a1", 4, 1);
    write_flow("a2", 4, 0.25);
    write_flow("b1", 2, 1);
    cr_assert_eq(mkdir("b2", 0777), 0); /* not measured */
    const char *const models[] = {"a", "b"}, *const settings[] = {""};
    const rv_report_run runs[] = {{.path = "b1", .model = "b", .setting = "", .seed = 1},
                                  {.path = "a1", .model = "a", .setting = "", .seed = 1},
                                  {.path = "b2", .model = "b", .setting = "", .seed = 2},
                                  {.path = "a2", .model = "a", .setting = "", .seed = 2}};
    rv_report_input in = {
        .name = "test", .model = models, .setting = settings, .run = runs, .n_models = 2, .n_settings = 1, .n_runs = 4};
    json_t *report = json_object();
    cr_assert_eq(rv_report_gradient_flow(&in, report), RV_OK, "%s", rv_error_message());
    json_t *list = json_object_get(report, "gradient_flow");
    cr_assert_eq(json_array_size(list), 4); /* two models, before and after */
    json_t *a = json_array_get(list, 0), *b = json_array_get(list, 3);
    cr_expect_str_eq(json_string_value(json_object_get(a, "model")), "a");
    cr_expect_str_eq(json_string_value(json_object_get(a, "when")), "before");
    cr_expect_str_eq(json_string_value(json_object_get(b, "when")), "after");
    cr_expect_str_eq(json_string_value(json_object_get(b, "state")), "encoder.l0.h");
    cr_expect_float_eq(json_number_value(json_object_get(a, "half_life")), 4, 1e-9);
    cr_expect_float_eq(json_number_value(json_object_get(b, "half_life")), 2, 1e-9);
    cr_expect_float_eq(norm_at(a, 4), 0.25, 1e-12); /* sqrt(1/2 1/8) */
    cr_expect_float_eq(json_number_value(json_array_get(json_object_get(a, "low"), 4)), 0.125, 1e-12);
    cr_expect_float_eq(json_number_value(json_array_get(json_object_get(a, "high"), 4)), 0.5, 1e-12);
    cr_expect(json_is_null(json_array_get(json_object_get(a, "norm"), 7)) &&
              json_is_null(json_array_get(json_object_get(a, "low"), 7)));
    cr_expect(json_is_integer(json_array_get(json_object_get(a, "lag"), 7)));
    cr_expect_null(json_object_get(b, "low"));
    json_decref(report);

    FILE *f = fopen("b2/gradient_flow.json", "w");
    fputs("{\n\"before\": ", f);
    fclose(f);
    report = json_object();
    cr_expect_eq(rv_report_gradient_flow(&in, report), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "b2/gradient_flow.json:"), "%s", rv_error_message());
    in.n_runs = 0;
    cr_expect_eq(rv_report_gradient_flow(&in, report), RV_OK);
    cr_expect_null(json_object_get(report, "gradient_flow"));
    json_decref(report);
}

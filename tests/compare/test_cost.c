/* What a model costs: the rows that are measured, that decoding makes what it says, and that the work which the kernels
 * count is the work that the shapes say. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "compare/cost_private.h"
#include "kernels/flops.h"
#include "kernels/gemm.h"

#define TRAIN_ON(batch)                                                                                                \
    "train: {max_steps: 10, validate_every: 10, batch: " batch ", optimizer: {type: adam, lr: 1e-3}}\n"
#define TRAIN TRAIN_ON("{size: 4}")
#define LM(model)                                                                                                      \
    "name: a\ndata: {path: x.txt}\nmodel: {" model                                                                     \
    ", embedding_dim: 128, dropout: 0.1}\n" TRAIN_ON("{size: 4, length: 6}")
#define PAIR(model)                                                                                                    \
    "name: a\ntask: translation\ndata: {src: en, tgt: fr, train: x, valid: y}\ntokenizer: {type: char}\nmodel: "       \
    "{" model ", embedding_dim: 128, dropout: 0.1}\n" TRAIN
#define NUMBERS(model) "name: a\ntask: regression\ndata: {generator: adding}\nmodel: {" model "}\n" TRAIN
#define TAGS(model) "name: a\ntask: tagging\ndata: {path: x}\nmodel: {" model ", embedding_dim: 128}\n" TRAIN
#define RNN(cell) "type: rnn, cell: " cell ", num_layers: 2, hidden_size: 128"
#define BLOCKS "type: transformer, num_layers: 2, num_heads: 4, hidden_size: 128"

static const struct {
    const char *name, *yaml;
} models[] = {
    {"rnn", LM("decoder: {" RNN("rnn") "}")},
    {"lstm", LM("decoder: {" RNN("lstm") "}")},
    {"gru", LM("decoder: {" RNN("gru") "}")},
    {"gru, reset before", LM("decoder: {" RNN("gru") ", gru_reset: before}")},
    {"gpt", LM("decoder: {" BLOCKS "}, position: learned")},
    {"bottleneck", PAIR("encoder: {" RNN("lstm") ", bidirectional: false}, decoder: {" RNN(
                       "lstm") "}, attention: {type: none}, bridge: copy")},
    {"bottleneck, context at each step",
     PAIR("encoder: {" RNN("gru") "}, decoder: {" RNN("gru") "}, attention: {type: none}, context: each_step")},
    {"bahdanau", PAIR("encoder: {" RNN("gru") ", bidirectional: true}, decoder: {" RNN(
                     "gru") ", gru_reset: before}, attention: {type: bahdanau, size: 128}, readout: maxout")},
    {"luong general", PAIR("encoder: {" RNN("lstm") ", bidirectional: true}, decoder: {" RNN(
                          "lstm") "}, attention: {type: luong, score: general, input_feeding: false}")},
    {"luong dot, fed back",
     PAIR("encoder: {" RNN("lstm") ", bidirectional: false}, decoder: {type: rnn, cell: lstm, num_layers: 1, "
                                   "hidden_size: 128}, attention: {type: luong, score: dot, input_feeding: true}")},
    {"luong concat", PAIR("encoder: {" RNN("lstm") "}, decoder: {" RNN(
                         "lstm") "}, attention: {type: luong, score: concat, size: 128, input_feeding: false}")},
    {"transformer", PAIR("encoder: {" BLOCKS "}, decoder: {" BLOCKS "}")},
    {"rnn to transformer", PAIR("encoder: {" RNN("lstm") ", bidirectional: true}, decoder: {" BLOCKS "}")},
    {"transformer to rnn",
     PAIR("encoder: {" BLOCKS "}, decoder: {" RNN("gru") "}, attention: {type: bahdanau, size: 128}")},
    {"regression by lstm", NUMBERS("encoder: {" RNN("lstm") "}, pooling: last")},
    {"tagging by lstm", TAGS("encoder: {" RNN("lstm") "}, capitals_dim: 8, dropout: 0.1")},
    {"regression by transformer", NUMBERS("encoder: {" BLOCKS "}, pooling: mean")},
};
enum { MODELS = sizeof models / sizeof *models };

static rv_config *config_of(int i) {
    rv_config *c;
    cr_assert_eq(rv_config_parse(models[i].name, models[i].yaml, strlen(models[i].yaml), 0, NULL, &c), RV_OK, "%s",
                 rv_error_message());
    return c;
}

static double number(const json_t *o, const char *key) {
    const json_t *x = json_object_get(o, key);
    cr_assert(json_is_number(x), "no %s", key);
    return json_number_value(x);
}

static json_t *measured(int i, int64_t vocabulary, int64_t batch, int64_t length, int threads) {
    const rv_cost_spec spec = {
        .batch = batch, .forward = true, .backward = true, .decode = true, .warmup = 1, .repeats = 4};
    rv_config *c = config_of(i);
    json_t *cells = json_array();
    rv_set_threads(threads);
    cr_assert_eq(rv_cost_measure(c, vocabulary, vocabulary, &spec, length, cells), RV_OK, "%s: %s", models[i].name,
                 rv_error_message());
    rv_config_destroy(c);
    return cells;
}

static json_t *phase(json_t *cells, const char *name) {
    json_t *cell;
    size_t i;
    json_array_foreach (cells, i, cell)
        if (!strcmp(json_string_value(json_object_get(cell, "phase")), name)) return cell;
    return NULL;
}

Test(cost, rows) {
    for (int i = 0; i < MODELS; i++) {
        json_t *cells = measured(i, 40, 3, 7, 1), *cell;
        const bool tells = strstr(models[i].yaml, "regression") || strstr(models[i].yaml, "tagging");
        cr_expect_eq(json_array_size(cells), tells ? 2 : 3, "%s", models[i].name);
        size_t k, r;
        json_array_foreach (cells, k, cell) {
            cr_expect(number(cell, "threads") == 1 && number(cell, "sequence_length") == 7 &&
                      number(cell, "batch") == 3);
            cr_expect(number(cell, "peak_bytes") > 1e6 && number(cell, "step_bytes") > 0 && number(cell, "flops") > 0);
            json_t *times = json_object_get(cell, "ms"), *ms;
            cr_expect_eq(json_array_size(times), 4);
            json_array_foreach (times, r, ms) cr_expect(json_number_value(ms) > 0);
        }
        cr_expect(number(phase(cells, "backward"), "step_bytes") >= number(phase(cells, "forward"), "step_bytes"));
        json_decref(cells);
    }
}

/* Taggers that read letters, and a CRF, whose loss makes its gradients; a model that counts has no such passes. */
Test(cost, of_taggers) {
    static const char *const set[] = {"model.letters.type=lstm", "model.letters.type=cnn", "model.crf=true",
                                      "model.encoder={type: none}"};
    static const char text[] = TAGS("encoder: {" RNN("gru") "}, capitals_dim: 8"),
                      hmm[] = "name: a\ntask: tagging\ndata: {path: x}\nmodel: {hmm: true}\n";
    const rv_cost_spec spec = {.batch = 3, .forward = true, .backward = true, .decode = true, .repeats = 3};
    double plain = 0;
    for (int i = -1; i < 4; i++) {
        rv_config *c;
        json_t *cells = json_array();
        int64_t few, many;
        cr_assert_eq(rv_config_parse("a.yaml", text, strlen(text), i >= 0, &set[i < 0 ? 0 : i], &c), RV_OK, "%s",
                     rv_error_message());
        cr_assert_eq(rv_cost_measure(c, 40, 17, &spec, 9, cells), RV_OK, "%s: %s", set[i], rv_error_message());
        cr_expect_eq(json_array_size(cells), 2);
        const double work = number(phase(cells, "forward"), "flops_counted");
        if (i < 0) plain = work;
        cr_expect(i < 0 || (i == 3 ? work < plain : work > plain), "case %d: %g, without it %g", i, work, plain);
        cr_assert_eq(rv_cost_parameters(c, 40, 17, &few), RV_OK);
        cr_assert_eq(rv_cost_parameters(c, 40, 18, &many), RV_OK);
        cr_expect_lt(few, many, "case %d: as many tags as it is told", i);
        json_decref(cells);
        rv_config_destroy(c);
    }
    rv_config *c;
    int64_t n;
    cr_assert_eq(rv_config_parse("a.yaml", hmm, strlen(hmm), 0, NULL, &c), RV_OK, "%s", rv_error_message());
    cr_expect_eq(rv_cost_parameters(c, 40, 17, &n), RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), "a model that counts"), "%s", rv_error_message());
    rv_config_destroy(c);
}

Test(cost, batches_and_limits) {
    rv_cost_spec spec = {.tokens = 100};
    cr_expect(rv_cost_batch(&spec, 16) == 6 && rv_cost_batch(&spec, 100) == 1 && rv_cost_batch(&spec, 1000) == 1);
    spec.batch = 5;
    cr_expect_eq(rv_cost_batch(&spec, 1000), 5);
    /* out of time after the first: three repeats are made all the same */
    const rv_cost_spec hasty = {.batch = 2, .forward = true, .warmup = 50, .repeats = 50, .max_seconds = 1e-9};
    rv_config *c = config_of(1);
    json_t *cells = json_array();
    cr_assert_eq(rv_cost_measure(c, 40, 40, &hasty, 5, cells), RV_OK);
    cr_expect_eq(json_array_size(cells), 1);
    cr_expect_eq(json_array_size(json_object_get(phase(cells, "forward"), "ms")), 3);
    json_decref(cells);
    rv_config_destroy(c);
}

/* A table of positions as the configuration has it, though longer sequences are measured. */
Test(cost, parameters) {
    rv_config *c = config_of(4);
    int64_t n;
    cr_assert_eq(rv_cost_parameters(c, 0, 50, &n), RV_OK);
    const int64_t block = 4 * 128 * 128 + 4 * 128 + 8 * 128 * 128 + 5 * 128 + 4 * 128;
    cr_expect_eq(n, 50 * 128 + rv_config_int(c, "train.batch.length") * 128 + 2 * block + 2 * 128, "%lld",
                 (long long)n);
    rv_config_destroy(c);
}

/* The most probable token L times: what the state says next is what one says that was fed them by hand. */
static void check_made(const char *name, rv__subject *s) {
    const rv_decoder_kind *kind = rv_model_get_config(s->model)->decoder.kind;
    const int64_t V = rv_model_get_config(s->model)->decoder.input.vocab_size;
    rv_memory memory;
    rv_tape_reset(s->tape);
    rv_decoder_state *state = NULL;
    if (!s->batch.source.B)
        state = rv_model_state_create(s->model, s->B, s->L);
    else if (rv_model_encode(s->tape, s->model, &s->batch.source, &memory))
        state = rv_model_state_over(s->tape, s->model, &memory, 1, s->L);
    cr_assert(state, "%s: %s", name, rv_error_message());
    int32_t ids[8] = {0};
    for (int64_t t = 0; t < s->L; t++) {
        rv_tape_reset(s->tape);
        const rv_tensor *logits = rv_model_step(s->tape, s->model, state, ids);
        for (int64_t b = 0; b < s->B; b++) {
            const rv_real *row = logits->x + rv_model_row(s->model, s->B, 1, b, 0) * V;
            ids[b] = 0;
            for (int32_t v = 1; v < V; v++)
                if (row[v] > row[ids[b]]) ids[b] = v;
        }
    }
    cr_expect_arr_eq(s->last, ids, (size_t)s->B * sizeof *ids, "%s", name);
    cr_expect_eq(kind->state_room(s->state), kind->state_room(state), "%s", name);
    if (kind->state_room(state)) { /* of a recurrence: any step more or less is another state */
        const rv_tensor *a = rv_model_step(s->tape, s->model, s->state, ids);
        const rv_tensor *b = rv_model_step(s->tape, s->model, state, ids);
        cr_expect_arr_eq(a->x, b->x, (size_t)(s->B * V) * sizeof *a->x, "%s", name);
    }
    rv_model_state_destroy(s->model, state);
}

/* As many tokens as it says, all of which a cache has seen: no room is left in it. (That the work of so many is done is
 * tested below.) */
Test(cost, decoding_makes_every_token) {
    enum { B = 2, L = 9, V = 30 };
    for (int i = 0; i < MODELS; i++) {
        rv__subject s;
        rv_config *c = config_of(i);
        rv_set_threads(1);
        cr_assert_eq(rv__subject_open(c, V, V, B, L, &s), RV_OK);
        for (int k = 0; k < 2 && rv__subject_decodes(&s); k++) { /* again with what the first left behind */
            cr_assert_eq(rv__subject_decode(&s), RV_OK, "%s: %s", models[i].name, rv_error_message());
            const rv_decoder_config *d = &rv_model_get_config(s.model)->decoder;
            if (d->kind == &rv__decoder_transformer)
                cr_expect_eq(d->kind->state_room(s.state), 0, "%s", models[i].name);
            check_made(models[i].name, &s);
        }
        rv__subject_close(&s);
        rv_config_destroy(c);
    }
}

/* ---- work */

/* Of a sum a, at most `tolerance` of it off b. */
static void close(const char *model, const char *what, double a, double b, double tolerance) {
    cr_expect(fabs(a / b - 1) <= tolerance, "%s, %s: counted %.4g, from shapes %.4g: %+.2f %%", model, what, a, b,
              100 * (a / b - 1));
}

/* Counted and from shapes: the first step of a recurrence has no state before it; and the backward of attention makes
 * the scores once more. At L = 24 both are small. Above 1024 classes the head's gradients come with the loss, so only
 * the sum of both phases is the same. */
Test(cost, counted_work_is_that_of_the_shapes) {
    static const int64_t vocabulary[] = {500, 2000};
    for (int i = 0; i < MODELS; i++)
        for (int v = 0; v < 2; v++) {
            json_t *cells = measured(i, vocabulary[v], 4, 24, 1), *f = phase(cells, "forward"),
                   *b = phase(cells, "backward"), *d = phase(cells, "decode");
            close(models[i].name, "training", number(f, "flops_counted") + number(b, "flops_counted"),
                  number(f, "flops") + number(b, "flops"), 0.04);
            if (!v) close(models[i].name, "forward", number(f, "flops_counted"), number(f, "flops"), 0.04);
            if (d) close(models[i].name, "decoding", number(d, "flops_counted"), number(d, "flops"), 0.04);
            json_decref(cells);
        }
}

/* What a comparison plans with is what the kernels do: where attention is most of the work, too, masked or not. */
Test(cost, planned_work_is_what_is_done) {
    static const char *const kinds[] = {
        "lstm", "gpt", "bahdanau", "transformer", "rnn to transformer", "regression by transformer"};
    static const int64_t lengths[] = {96, 512};
    for (int i = 0; i < MODELS; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            for (int l = 0; l < 2 && !strcmp(models[i].name, kinds[k]); l++) {
                json_t *cells = measured(i, 100, 1, lengths[l], 1), *f = phase(cells, "forward"),
                       *d = phase(cells, "decode");
                close(models[i].name, "forward", number(f, "flops_counted"), number(f, "flops"), 0.01);
                if (d) close(models[i].name, "decoding", number(d, "flops_counted"), number(d, "flops"), 0.01);
                json_decref(cells);
            }
}

Test(cost, counted_work_is_the_same_at_every_thread_count) {
    for (int i = 0; i < MODELS; i++) {
        json_t *one = measured(i, 1500, 3, 16, 1), *three = measured(i, 1500, 3, 16, 3), *cell;
        size_t k;
        json_array_foreach (one, k, cell)
            cr_expect_eq(number(cell, "flops_counted"), number(json_array_get(three, k), "flops_counted"), "%s",
                         models[i].name);
        json_decref(one);
        json_decref(three);
    }
}

/* Known products, and attention by counting pairs. */
Test(cost, counter) {
    enum { T = 5, S = 8, D = 6 };
    rv_tape *t = rv_tape_create();
    rv_set_threads(2);
    rv_flops_counted(true);
    rv_tensor *a = rv_sample_leaf(t, -1, 1, 2, (int64_t[]){3, 5}), *b = rv_sample_leaf(t, -1, 1, 2, (int64_t[]){5, 4});
    rv_matmul(t, a, b);
    cr_expect_eq(rv_flops_counted(false), 2 * 3 * 5 * 4);
    cr_expect_eq(rv_flops_counted(true), 2 * 3 * 5 * 4);
    cr_expect_eq(rv_flops_counted(true), 0);
    static const int32_t lengths[][2] = {{8, 8}, {3, 8}, {0, 7}};
    for (int k = 0; k < 12; k++) {
        const bool causal = k % 2;
        const int64_t t_len = k / 2 % 2 ? T : S + 3; /* fewer queries than keys, and more */
        const int32_t *n = lengths[k / 4];
        int64_t pairs = 0;
        for (int row = 0; row < 2; row++)
            for (int64_t q = 0; q < t_len; q++)
                for (int64_t s = 0; s < n[row]; s++) pairs += !causal || s <= q + S - t_len;
        rv_tensor *q = rv_sample_leaf(t, -1, 1, 3, (int64_t[]){2, t_len, D}),
                  *key = rv_sample_leaf(t, -1, 1, 3, (int64_t[]){2, S, D}),
                  *v = rv_sample_leaf(t, -1, 1, 3, (int64_t[]){2, S, D});
        rv_flops_counted(true);
        rv_tensor *y = rv_attention(t, q, key, v, &(rv_attention_spec){.heads = 2, .causal = causal, .key_lengths = n});
        cr_expect_eq(rv_flops_counted(true), 4 * pairs * D, "case %d", k);
        cr_assert_eq(rv_backward(t, rv_sum_all(t, y)), RV_OK);
        cr_expect_eq(rv_flops_counted(true), 10 * pairs * D, "case %d", k);
        rv_tape_reset(t);
    }
    rv_tape_destroy(t);
}

/* train.freeze: what is frozen gets no gradient and keeps its bits, the others' gradients are what they were, and a run
 * goes on exactly. */
#define _GNU_SOURCE /* nftw */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ravel.h"
#include "train/parts.h"

#define LANGUAGE_MODEL "data: {path: text, train_fraction: 0.8}"
#define TRANSLATION "task: translation\ndata: {path: pairs, max_length: 20}\ntokenizer: {type: char}"
#define REGRESSION "task: regression\ndata: {generator: adding, min_length: 4, max_length: 12, valid_examples: 20}"
#define CLASSIFICATION "task: classification\ndata: {path: rows, max_length: 20}\ntokenizer: {type: char}"

static const struct {
    const char *name, *task, *model, *batch;
} kinds[] = {
    {"lstm", LANGUAGE_MODEL,
     "{decoder: {type: rnn, cell: lstm, num_layers: 2, hidden_size: 20}, embedding_dim: 12, dropout: 0.2}",
     "{size: 3, length: 10, sampling: contiguous}"},
    {"gpt", LANGUAGE_MODEL,
     "{decoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}, dropout: 0.1}",
     "{size: 3, length: 10}"},
    {"bottleneck", TRANSLATION,
     "{encoder: {type: rnn, cell: lstm, bidirectional: false, num_layers: 2, hidden_size: 20}, decoder: {type: rnn, "
     "cell: lstm, num_layers: 2, hidden_size: 20}, context: first_step, bridge: copy, embedding_dim: 12}",
     "{size: 90}"},
    {"bahdanau", TRANSLATION,
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 12}, decoder: {type: rnn, cell: gru, gru_reset: "
     "before, num_layers: 1, hidden_size: 20}, attention: {type: bahdanau, size: 12}, bridge: reverse, readout: "
     "maxout, embedding_dim: 12, dropout: 0.1}",
     "{size: 90}"},
    {"local", TRANSLATION,
     "{encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 12}, decoder: {type: rnn, cell: lstm, "
     "num_layers: 1, hidden_size: 20}, attention: {type: luong, score: general, window: 3}, embedding_dim: 12}",
     "{size: 90}"},
    {"dot", TRANSLATION,
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 10}, decoder: {type: rnn, cell: rnn, num_layers: 1, "
     "hidden_size: 20}, attention: {type: luong, score: dot}, embedding_dim: 12}",
     "{size: 90}"},
    {"concat", TRANSLATION,
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 10}, decoder: {type: rnn, cell: gru, num_layers: 1, "
     "hidden_size: 20}, attention: {type: luong, score: concat}, embedding_dim: 12}",
     "{size: 90}"},
    {"mixed", TRANSLATION,
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 10}, decoder: {type: transformer, num_layers: 1, "
     "num_heads: 2, hidden_size: 24}, embedding_dim: 24}",
     "{size: 90}"},
    {"transformer", TRANSLATION,
     "{encoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}, decoder: {type: transformer, "
     "num_layers: 2, num_heads: 2, hidden_size: 24}, embedding_dim: 24, dropout: 0.1, position: learned}",
     "{size: 90}"},
    {"tied", TRANSLATION,
     "{encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 24}, decoder: {type: transformer, "
     "num_layers: 1, num_heads: 2, hidden_size: 24}, embedding_dim: 24, tie_embeddings: all}",
     "{size: 90}"},
    {"pooling", REGRESSION,
     "{encoder: {type: rnn, cell: lstm, bidirectional: true, num_layers: 2, hidden_size: 12}, pooling: attention}",
     "{size: 3}"},
    {"regression", REGRESSION,
     "{encoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 12}, position: learned, pooling: mean}",
     "{size: 3}"},
    {"classes", CLASSIFICATION,
     "{encoder: {type: rnn, cell: gru, bidirectional: true, num_layers: 2, hidden_size: 12}, pooling: attention, "
     "embedding_dim: 12, dropout: 0.1}",
     "{size: 3}"},
    {"classification", CLASSIFICATION,
     "{encoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 12}, position: learned, pooling: last}",
     "{size: 3}"},
};
enum { KINDS = sizeof kinds / sizeof *kinds, TIED = 9, TRANSFORMER = 8 };

static char folder[64], before[4096];

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}

static void setup(void) {
    rv_log_set_level(RV_LOG_QUIET);
    strcpy(folder, "/tmp/ravel-test-XXXXXX");
    cr_assert(mkdtemp(folder) && getcwd(before, sizeof before) && chdir(folder) == 0);
    rv_rng rng = rv_rng_make(5, "text", 0);
    FILE *f = fopen("text", "w");
    for (int i = 0; i < 1500; i++) fputc("abcdefgh \n"[rv_rng_below(&rng, 10)], f);
    fclose(f);
    f = fopen("pairs", "w");
    FILE *rows = fopen("rows", "w");
    for (int i = 0; i < 60; i++) { /* words and the same backwards */
        char word[16];
        int n = 2 + (int)rv_rng_below(&rng, 8);
        for (int j = 0; j < n; j++) word[j] = "abcdefgh"[rv_rng_below(&rng, 8)];
        fprintf(f, "%.*s\t", n, word);
        for (int j = n; j-- > 0;) fputc(word[j], f);
        fputc('\n', f);
        fprintf(rows, "%.*s\tclass %d\n", n, word, i % 3);
    }
    fclose(f);
    fclose(rows);
}
static void teardown(void) {
    cr_assert(chdir(before) == 0);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
TestSuite(freeze, .init = setup, .fini = teardown, .timeout = 300);

/* Kind k with train.freeze `freeze` ("" for none), in RUN, for `steps`. */
static rv_config *configure(int k, const char *run, const char *freeze, int steps) {
    char text[2048];
    rv_config *c;
    int n = snprintf(text, sizeof text,
                     "name: %s\nseed: 3\n%s\nmodel: %s\ntrain:\n  batch: %s\n  max_steps: %d\n  optimizer: {type: "
                     "adamw, lr: 1e-2}\n  clip_grad_norm: 1\n  validate_every: 5\n%s%s\ncheckpoint: {dir: %s, every: "
                     "1, keep_last: 20}\nmetrics: [loss]\nruntime: {threads: 2}\n",
                     kinds[k].name, kinds[k].task, kinds[k].model, kinds[k].batch, steps, *freeze ? "  freeze: " : "",
                     freeze, run);
    cr_assert_eq(rv_config_parse("test.yaml", text, (size_t)n, 0, NULL, &c), RV_OK, "%s", rv_error_message());
    return c;
}

/* ---- gradients */

typedef struct {
    rv_config *config;
    rv_task *task;
    rv_params *params;
    rv_tape *tape;
} model;

/* One batch's gradients of kind k; what is frozen has 77 in all of its. */
static model differentiate(int k, const char *freeze) {
    model m = {configure(k, "none", freeze, 1), NULL, rv_params_create(), rv_tape_create()};
    cr_assert_eq(rv_task_create(m.config, NULL, true, m.params, &m.task), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(m.params, 3), RV_OK);
    cr_assert_eq(rv_freeze(m.config, m.params), RV_OK, "%s: %s", kinds[k].name, rv_error_message());
    for (int64_t i = 0; i < m.params->size; i++) m.params->g[i] = 77;
    rv_params_zero_grad(m.params);
    rv_tape_set_training(m.tape, true);
    rv_tape_seed(m.tape, 3, 0);
    rv_task_next(m.task);
    cr_assert_eq(rv_backward(m.tape, rv_task_loss(m.tape, m.task)), RV_OK, "%s", rv_error_message());
    rv_params_finish_grad(m.params);
    return m;
}

static void release(model *m) {
    rv_task_destroy(m->task);
    rv_params_destroy(m->params);
    rv_tape_destroy(m->tape);
    rv_config_destroy(m->config);
}

static void same_gradients(int k, const char *part, const model *all) {
    char list[520];
    snprintf(list, sizeof list, "[%s]", part);
    model m = differentiate(k, list);
    int frozen = 0;
    for (int i = 0; i < m.params->n; i++) {
        const rv_param *p = m.params->p[i], *q = all->params->p[i];
        const int64_t n = rv_numel(&p->t);
        frozen += p->frozen;
        if (!p->frozen)
            cr_expect(!memcmp(p->t.g, q->t.g, (size_t)n * sizeof(rv_real)), "%s without %s: %s", kinds[k].name, part,
                      p->name);
        for (int64_t j = 0; j < n && p->frozen; j++) cr_assert_eq(p->t.g[j], 77, "%s without %s", kinds[k].name, part);
        cr_expect(p->frozen || !rv__part_has(part, p->name));
    }
    cr_expect_gt(frozen, 0);
    release(&m);
}

ParameterizedTestParameters(freeze, every_part) {
    static int k[KINDS];
    for (int i = 0; i < KINDS; i++) k[i] = i;
    return cr_make_param_array(int, k, KINDS);
}

/* Each part of each model in turn, from the encoder to a single bias: the others' gradients are what they were. */
ParameterizedTest(int *kind, freeze, every_part, .init = setup, .fini = teardown, .timeout = 300) {
    model all = differentiate(*kind, "");
    char part[512], last[512] = "";
    int parts = 0;
    for (int depth = 1; depth < 6; depth++)
        for (int i = 0; i < all.params->n; i++) {
            const char *name = all.params->p[i]->name, *end = name;
            for (int d = 0; d < depth && *end; d++) end += strcspn(end + (d > 0), ".") + (d > 0);
            snprintf(part, sizeof part, "%.*s", (int)(end - name), name);
            int names = 0;
            for (int j = 0; j < all.params->n; j++) names += rv__part_has(part, all.params->p[j]->name);
            if (!strcmp(part, last) || names == all.params->n) continue; /* a GPT is all decoder */
            strcpy(last, part);
            same_gradients(*kind, part, &all);
            parts++;
        }
    cr_expect_gt(parts, 8, "%d", parts);
    release(&all);
}

/* Not only is nothing written: there is no gradient inside an encoder that nobody trains. */
Test(freeze, a_frozen_encoder_is_not_differentiated) {
    model all = differentiate(TRANSFORMER, ""), some = differentiate(TRANSFORMER, "[encoder]"),
          head = differentiate(TRANSFORMER, "[head]");
    cr_expect_lt(rv_tape_grad_bytes(some.tape), rv_tape_grad_bytes(all.tape));
    cr_expect_lt(rv_tape_step_bytes(some.tape), rv_tape_step_bytes(all.tape));
    cr_expect_eq(rv_params_frozen(all.params), 0);
    cr_expect_eq(rv_params_frozen(head.params), 24 * 12 + 12, "%lld", (long long)rv_params_frozen(head.params));
    release(&all), release(&some), release(&head);
}

/* A layer is meant by its number, not by the digits that it begins with; a shared table by each of its names. */
Test(freeze, names) {
    cr_expect(rv__part_has("encoder.layers.1", "encoder.layers.1.norm1.weight"));
    cr_expect_not(rv__part_has("encoder.layers.1", "encoder.layers.10.norm1.weight"));
    cr_expect(rv__part_has("head.bias", "head.bias") && rv__part_has("", "head.bias"));
    static const char *const names[] = {"[head.weight]", "[encoder.embedding]", "[decoder.embedding]"};
    for (int i = 0; i < 3; i++) {
        model m = differentiate(TIED, names[i]);
        cr_expect(rv_params_find(m.params, "decoder.embedding.weight")->frozen, "%s", names[i]);
        cr_expect_eq(rv_params_frozen(m.params), 24 * 12);
        release(&m);
    }
}

/* ---- runs */

static bool stop_at(void *ctx, int64_t step, double loss) {
    (void)loss;
    return step != *(int *)ctx;
}

static rv_status train(int k, const char *run, const char *freeze, int steps, int stop) {
    rv_config *c = configure(k, run, freeze, steps);
    rv_train_options options = {.on_step = stop_at, .on_step_ctx = &stop};
    rv_status status = rv_train(c, &options);
    rv_config_destroy(c);
    return status;
}

static rv_checkpoint *saved(const char *run, int step) {
    char path[256];
    rv_checkpoint *ck;
    snprintf(path, sizeof path, "%s/step-%09d.h5", run, step);
    cr_assert_eq(rv_checkpoint_open(path, &ck), RV_OK, "%s", rv_error_message());
    return ck;
}

static bool same(const rv_ck_item *a, const rv_ck_item *b) {
    return !memcmp(a->data, b->data, (size_t)rv_ck_count(a) * rv_ck_type_size(a->type));
}

Test(freeze, bits_are_kept) {
    cr_assert_eq(train(TRANSFORMER, "initial", "", 0, -1), RV_OK, "%s", rv_error_message());
    cr_assert_eq(train(TRANSFORMER, "run", "[encoder, decoder.layers.0, decoder.embedding]", 5, -1), RV_OK, "%s",
                 rv_error_message());
    rv_checkpoint *initial = saved("initial", 0), *after = saved("run", 5);
    int kept = 0, moved = 0;
    for (int i = 0; i < rv_checkpoint_count(after); i++) {
        const rv_ck_item *it = rv_checkpoint_item(after, i), *was = rv_checkpoint_find(initial, it->path);
        const char *name = strncmp(it->path, "/optimizer/", 11) ? it->path + 7 : strchr(it->path + 11, '/') + 1;
        const bool frozen = rv__part_has("encoder", name) || rv__part_has("decoder.layers.0", name) ||
                            rv__part_has("decoder.embedding", name);
        if (strncmp(it->path, "/model/", 7) && strncmp(it->path, "/optimizer/", 11)) continue;
        cr_expect_eq(same(it, was), frozen, "%s", it->path); /* the optimiser's state of it, too: zeros */
        *(frozen ? &kept : &moved) += 1;
    }
    cr_expect(kept > 60 && moved > 30, "%d and %d", kept, moved);
    rv_checkpoint_close(initial), rv_checkpoint_close(after);
}

Test(freeze, resume_is_exact) {
    static const char freeze[] = "[encoder.layers.0, decoder.embedding]";
    cr_assert_eq(train(TRANSFORMER, "whole", freeze, 6, -1), RV_OK, "%s", rv_error_message());
    cr_assert_eq(train(TRANSFORMER, "parts", freeze, 6, 2), RV_ETERM);
    cr_assert_eq(train(TRANSFORMER, "parts", freeze, 6, -1), RV_OK, "%s", rv_error_message());
    rv_checkpoint *a = saved("whole", 6), *b = saved("parts", 6);
    cr_expect_str_eq(rv_checkpoint_state_hash(a), rv_checkpoint_state_hash(b));
    rv_checkpoint_close(a), rv_checkpoint_close(b);
}

/* First the new part, then all of it: the usual way of fine-tuning, as one run. */
Test(freeze, a_run_may_go_on_with_another_list) {
    cr_assert_eq(train(TRANSFORMER, "run", "[encoder]", 3, -1), RV_OK, "%s", rv_error_message());
    cr_assert_eq(train(TRANSFORMER, "run", "", 6, -1), RV_OK, "%s", rv_error_message());
    cr_assert_eq(train(TRANSFORMER, "run", "[decoder]", 9, -1), RV_OK, "%s", rv_error_message());
    rv_checkpoint *ck[] = {saved("run", 1), saved("run", 3), saved("run", 6), saved("run", 9)};
    static const char encoder[] = "/model/encoder.layers.0.linear1.weight",
                      decoder[] = "/model/decoder.layers.0.linear1.weight";
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(same(rv_checkpoint_find(ck[i], encoder), rv_checkpoint_find(ck[i + 1], encoder)), i == 0, "%d", i);
        cr_expect_eq(same(rv_checkpoint_find(ck[i], decoder), rv_checkpoint_find(ck[i + 1], decoder)), i == 2, "%d", i);
    }
    for (int i = 0; i < 4; i++) rv_checkpoint_close(ck[i]);
}

Test(freeze, mistakes) {
    static const struct {
        int kind;
        const char *freeze, *want;
    } cases[] = {
        {TRANSFORMER, "[encoder.layer.0]",
         "test.yaml:13:12: train.freeze: the model has no part 'encoder.layer.0'; did you mean 'encoder.layers.0'? "
         "There are: encoder.embedding, encoder.position, encoder.layers, encoder.norm"},
        {TRANSFORMER, "[head, encoder.layers.2]",
         "test.yaml:13:18: train.freeze: the model has no part "
         "'encoder.layers.2'; did you mean 'encoder.layers.0'? "
         "There are: encoder.layers.0, encoder.layers.1"},
        {0, "[input_of_the_encoder]",
         "test.yaml:11:12: train.freeze: the model has no part 'input_of_the_encoder'; "
         "there are: decoder, head"},
        {TIED, "[encoder, decoder, head]",
         "test.yaml:13:11: train.freeze: all parameters are frozen, and nothing is "
         "left to train; leave a part out, or measure the model as it is with "
         "train.max_steps 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(train(cases[i].kind, "run", cases[i].freeze, 1, -1), RV_EUSAGE);
        cr_expect_str_eq(rv_error_message(), cases[i].want);
    }
}

/* Exact resume and equal bits at every thread count, for every kind of model: a run that is stopped after step s and
 * started again with another number of threads ends in the same state, to the bit, as one that never stopped, and its
 * metrics.jsonl is the same but for times. Stopped at EVERY step of 50. [reliability: G6, G7] */
#define _GNU_SOURCE /* nftw */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ravel.h"

enum { STEPS = 50 };

#define LANGUAGE_MODEL "data: {path: text, train_fraction: 0.8}"
#define TRANSLATION                                                                                                    \
    "task: translation\ndata: {train: train.tsv, valid: valid.tsv, max_length: 20}\ntokenizer: {type: "                \
    "char}\nmetrics: [loss, bleu, chrf, accuracy]\n"                                                                   \
    "decode: {beam_size: 2, max_length_ratio: 1}"
#define PAIRS "{size: 90}"
#define REGRESSION                                                                                                     \
    "task: regression\ndata: {generator: adding, min_length: 4, max_length: 12, valid_examples: 20}\nmetrics: [loss, " \
    "mse]"

#define CLASSIFICATION                                                                                                 \
    "task: classification\ndata: {path: rows, max_length: 7}\ntokenizer: {type: word}\nmetrics: [loss, accuracy, f1]"

#define TAGGING(tokenizer)                                                                                             \
    "task: tagging\ndata: {path: tagged, max_length: 24}\ntokenizer: {type: " tokenizer                                \
    "}\nmetrics: [loss, accuracy, "                                                                                    \
    "known_accuracy, unknown_accuracy, f1, span_f1, malformed]"
#define TAGS "encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 10}, embedding_dim: 8, dropout: 0.2"
#define LETTERS "{size: 6}", "  replace_rare: 0.3\n  early_stopping: {metric: span_f1, patience: 100}\n"

/* batch NULL: a model that counts, in one step. */
static const struct {
    const char *name, *task, *model, *batch, *train;
} kinds[] = {
    {"rnn", LANGUAGE_MODEL, "{decoder: {type: rnn, cell: rnn, num_layers: 1, hidden_size: 24}, embedding_dim: 12}",
     "{size: 3, length: 10}", ""},
    {"lstm", LANGUAGE_MODEL,
     "{decoder: {type: rnn, cell: lstm, num_layers: 2, hidden_size: 20}, embedding_dim: 12, dropout: 0.2}",
     "{size: 3, length: 10, sampling: shuffled}", ""},
    {"gru", LANGUAGE_MODEL,
     "{decoder: {type: rnn, cell: gru, num_layers: 2, hidden_size: 20}, embedding_dim: 12, dropout: 0.1}",
     "{size: 3, length: 10}", ""},
    {"carried", LANGUAGE_MODEL,
     "{decoder: {type: rnn, cell: lstm, num_layers: 2, hidden_size: 20}, embedding_dim: 12, dropout: 0.2}",
     "{size: 3, length: 10, sampling: contiguous}", ""},
    {"gpt", LANGUAGE_MODEL,
     "{decoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}, dropout: 0.1}",
     "{size: 3, length: 10, sampling: shuffled}", ""},
    {"bottleneck", TRANSLATION,
     "{encoder: {type: rnn, cell: lstm, bidirectional: false, num_layers: 2, hidden_size: 20}, decoder: {type: rnn, "
     "cell: lstm, num_layers: 2, hidden_size: 20}, "
     "context: first_step, bridge: copy, embedding_dim: 12, dropout: 0.1}",
     PAIRS, "  label_smoothing: 0.05\n"},
    {"bahdanau", TRANSLATION,
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 12}, decoder: {type: rnn, cell: gru, gru_reset: "
     "before, num_layers: 1, hidden_size: 20}, "
     "attention: {type: bahdanau, size: 12}, bridge: reverse, readout: maxout, embedding_dim: 12, dropout: 0.1}",
     "{size: 6, type: sentences, bucketing: false}",
     "  label_smoothing: 0.1\n  scheduled_sampling: {probability: 0.3, warmup_steps: 20}\n"},
    {"luong", TRANSLATION,
     "{encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 12}, decoder: {type: rnn, cell: lstm, "
     "num_layers: 1, hidden_size: 20}, "
     "attention: {type: luong, score: general, window: 3}, embedding_dim: 12, dropout: 0.1}",
     PAIRS, "  label_smoothing: 0.05\n"},
    {"transformer", TRANSLATION,
     "{encoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}, decoder: {type: transformer, "
     "num_layers: 2, num_heads: 2, hidden_size: 24}, "
     "embedding_dim: 24, dropout: 0.1, tie_embeddings: all}",
     PAIRS, "  label_smoothing: 0.1\n"},
    {"pooling", REGRESSION,
     "{encoder: {type: rnn, cell: lstm, bidirectional: true, num_layers: 2, hidden_size: 12}, pooling: attention, "
     "dropout: 0.1, init: {recurrent: orthogonal}}",
     "{size: 3}", ""},
    {"regression", REGRESSION,
     "{encoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 12}, position: learned, pooling: mean, "
     "dropout: 0.1}",
     "{size: 3}", "  early_stopping: {metric: mse, patience: 100}\n"},
    {"classes", CLASSIFICATION,
     "{encoder: {type: rnn, cell: gru, bidirectional: true, num_layers: 1, hidden_size: 12}, embedding_dim: 12, "
     "pooling: attention, dropout: 0.2}",
     "{size: 6}", "  label_smoothing: 0.1\n  early_stopping: {metric: f1, patience: 100}\n"},
    {"tags", TAGGING("word"), "{" TAGS "}", "{size: 6}",
     "  label_smoothing: 0.1\n  early_stopping: {metric: accuracy, patience: 100}\n"},
    {"letters_lstm", TAGGING("word"), "{" TAGS ", crf: true, letters: {type: lstm, hidden_size: 6}, capitals_dim: 3}",
     LETTERS},
    {"letters_cnn", TAGGING("word"), "{" TAGS ", crf: true, letters: {type: cnn, hidden_size: 6}}", LETTERS},
    {"tags_of_words", TAGGING("word, lowercase: true"), "{encoder: {type: none}, embedding_dim: 8, crf: true}",
     "{type: tokens, size: 40}", ""},
    {"tags_of_pieces", TAGGING("bpe, vocab_size: 270"),
     "{encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 12}, crf: true, dropout: 0.1}",
     "{size: 4}", ""},
    {"hmm", TAGGING("word"), "{hmm: {order: 2}}", NULL, NULL},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static char folder[64], before[4096];

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}
static void remove_tree(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* Sentences with names in them; some words are there once. */
static void write_tagged(rv_rng *rng) {
    char path[128];
    snprintf(path, sizeof path, "%s/tagged", folder);
    FILE *f = fopen(path, "w");
    cr_assert(f);
    for (int i = 0; i < 70; i++) {
        for (int n = 1 + (int)rv_rng_below(rng, 7), in = 0; n > 0; n--) {
            const bool name = rv_rng_below(rng, 3) == 0;
            fprintf(f, "%c%d\t%s\n", name ? 'N' : 'w', (int)rv_rng_below(rng, 40), !name ? "O" : in ? "I-N" : "B-N");
            in = name;
        }
        fputc('\n', f);
    }
    fclose(f);
}

static void setup(void) {
    rv_log_set_level(RV_LOG_QUIET);
    strcpy(folder, "/tmp/ravel-test-XXXXXX");
    cr_assert(mkdtemp(folder));
    char path[128];
    snprintf(path, sizeof path, "%s/text", folder);
    FILE *f = fopen(path, "w");
    rv_rng rng = rv_rng_make(5, "text", 0);
    for (int i = 0; i < 1500; i++) fputc("abcdefgh \n"[rv_rng_below(&rng, 10)], f);
    fclose(f);
    for (int part = 0; part < 2; part++) { /* words and the same backwards */
        snprintf(path, sizeof path, "%s/%s.tsv", folder, part ? "valid" : "train");
        f = fopen(path, "w");
        for (int i = 0; i < (part ? 8 : 60); i++) {
            char word[16];
            int n = 2 + (int)rv_rng_below(&rng, 8);
            for (int j = 0; j < n; j++) word[j] = "abcdefgh"[rv_rng_below(&rng, 8)];
            fprintf(f, "%.*s\t", n, word);
            for (int j = n; j-- > 0;) fputc(word[j], f);
            fputc('\n', f);
        }
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/rows", folder);
    f = fopen(path, "w");
    for (int i = 0; i < 70; i++) { /* of the class of one of its words; some words are there once */
        const int label = (int)rv_rng_below(&rng, 3);
        for (int n = (int)rv_rng_below(&rng, 8); n > 0; n--) fprintf(f, "w%d ", (int)rv_rng_below(&rng, 40));
        fprintf(f, "%c\tclass %d\n", "xyz"[label], label);
    }
    fclose(f);
    write_tagged(&rng);
    cr_assert(getcwd(before, sizeof before) && chdir(folder) == 0);
}
static void teardown(void) {
    cr_assert(chdir(before) == 0);
    remove_tree(folder);
}

static bool stop_at(void *ctx, int64_t step, double loss) {
    (void)loss;
    return step != *(int *)ctx;
}

static int steps_of(int k) { return kinds[k].batch ? STEPS : 1; }

/* Train kind k in RUN until steps_of(k), or until `stop`; returns the status. */
static rv_status train(int k, const char *run, int threads, int stop) {
    char text[2048], how[1024] = "";
    if (kinds[k].batch)
        snprintf(how, sizeof how,
                 "train:\n  batch: %s\n  max_steps: %d\n  accumulate: 2\n  optimizer: {type: adamw, lr: 1e-2}\n"
                 "  lr_scheduler: {type: plateau, patience: 0, warmup_steps: 5}\n"
                 "  clip_grad_norm: 1\n  validate_every: %d\n%s",
                 kinds[k].batch, STEPS, *kinds[k].train ? 25 : 10, kinds[k].train);
    int n = snprintf(text, sizeof text,
                     "name: %s\nseed: 3\n%s\nmodel: %s\n%s"
                     "checkpoint: {dir: %s/%s, every: 20, keep_last: 2, keep_best: 1}\nruntime: {threads: %d}\n",
                     kinds[k].name, kinds[k].task, kinds[k].model, how, folder, run, threads);
    rv_config *config;
    rv_status status = rv_config_parse("test.yaml", text, (size_t)n, 0, NULL, &config);
    cr_assert_eq(status, RV_OK, "%s", rv_error_message());
    rv_train_options options = {.on_step = stop_at, .on_step_ctx = &stop};
    status = rv_train(config, &options);
    rv_config_destroy(config);
    return status;
}

static void final_hash(int k, const char *run, char hash[RV_CK_HASH_TEXT]) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s/step-%09d.h5", folder, run, steps_of(k));
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(path, &ck), RV_OK, "%s", rv_error_message());
    strcpy(hash, rv_checkpoint_state_hash(ck));
    rv_checkpoint_close(ck);
}

/* metrics.jsonl without the values that are times or memory; malloc'd. */
static char *metrics(const char *run) {
    char path[256], line[4096];
    snprintf(path, sizeof path, "%s/%s/metrics.jsonl", folder, run);
    FILE *f = fopen(path, "r");
    cr_assert(f);
    char *all = calloc(1, 1 << 20);
    while (fgets(line, sizeof line, f)) {
        static const char *const vary[] = {"\"tokens_per_second\":", "\"peak_memory_bytes\":"};
        for (int i = 0; i < 2; i++) {
            char *at = strstr(line, vary[i]);
            if (!at) continue;
            char *end = at + strcspn(at, ",}");
            memmove(at, end, strlen(end) + 1);
        }
        strcat(all, line);
    }
    fclose(f);
    return all;
}

ParameterizedTestParameters(resume, every_step) {
    static int k[KINDS];
    for (int i = 0; i < KINDS; i++) k[i] = i;
    return cr_make_param_array(int, k, KINDS);
}

ParameterizedTest(int *kind, resume, every_step, .init = setup, .fini = teardown) {
    char want[RV_CK_HASH_TEXT], got[RV_CK_HASH_TEXT];
    cr_assert_eq(train(*kind, "whole", 1, -1), RV_OK, "%s", rv_error_message());
    final_hash(*kind, "whole", want);
    char *want_metrics = metrics("whole");
    cr_assert(strstr(want_metrics, "\"valid\""));
    for (int s = 1; s < steps_of(*kind); s++) {
        char run[32];
        snprintf(run, sizeof run, "stop-%d", s);
        cr_assert_eq(train(*kind, run, s % 4 + 1, s), RV_ETERM);
        cr_assert_eq(train(*kind, run, (s + 1) % 4 + 1, -1), RV_OK, "%s", rv_error_message());
        final_hash(*kind, run, got);
        cr_assert_str_eq(got, want, "%s, stopped after step %d", kinds[*kind].name, s);
        char *got_metrics = metrics(run);
        cr_assert_str_eq(got_metrics, want_metrics, "%s, stopped after step %d", kinds[*kind].name, s);
        free(got_metrics);
    }
    free(want_metrics);
}

ParameterizedTestParameters(resume, threads) {
    static int k[KINDS];
    for (int i = 0; i < KINDS; i++) k[i] = i;
    return cr_make_param_array(int, k, KINDS);
}

ParameterizedTest(int *kind, resume, threads, .init = setup, .fini = teardown) {
    char want[RV_CK_HASH_TEXT], got[RV_CK_HASH_TEXT];
    static const int counts[] = {1, 2, 3, 4, 8};
    for (int i = 0; i < 5; i++) {
        char run[32];
        snprintf(run, sizeof run, "threads-%d", counts[i]);
        cr_assert_eq(train(*kind, run, counts[i], -1), RV_OK, "%s", rv_error_message());
        final_hash(*kind, run, i ? got : want);
        if (i) cr_assert_str_eq(got, want, "%s with %d threads", kinds[*kind].name, counts[i]);
    }
}

Test(resume, another_model_gives_another_state, .init = setup, .fini = teardown) {
    /* The hash would also be equal if it did not look at the state at all. */
    char a[RV_CK_HASH_TEXT], b[RV_CK_HASH_TEXT];
    cr_assert_eq(train(0, "a", 1, -1), RV_OK);
    cr_assert_eq(train(1, "b", 1, -1), RV_OK);
    final_hash(0, "a", a);
    final_hash(1, "b", b);
    cr_assert_str_neq(a, b);
}

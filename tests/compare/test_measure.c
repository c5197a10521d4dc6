/* Every test example alone: the sums of examples are the measures of the corpus, to the bit, and an example's figures
 * depend neither on its batch-mates nor on threads. The files of a measured run. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <ftw.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ravel.h"

#define LANGUAGE_MODEL "data: {train: train.txt, valid: valid.txt, test: test.txt}\nmetrics: [loss, ppl, accuracy]"
#define TRANSLATION                                                                                                    \
    "task: translation\ndata: {train: train.tsv, valid: valid.tsv, test: test.tsv, max_length: 12}\ntokenizer: "       \
    "{type: char}\nmetrics: [loss, bleu, chrf, accuracy]\n"                                                            \
    "decode: {beam_size: 3, max_length_ratio: 1, batch_size: 7}"

static const struct {
    const char *name, *task, *model, *batch, *other; /* other: overrides that must change nothing */
    bool attention;
} kinds[] = {
    {"gpt", LANGUAGE_MODEL, "{decoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 24}}",
     "{size: 3, length: 10}", "train.batch.size=7", false},
    {"carried", LANGUAGE_MODEL, "{decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 20}, embedding_dim: 12}",
     "{size: 3, length: 10, sampling: contiguous}", "decode.seed=1", false},
    {"bottleneck", TRANSLATION,
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 12}, decoder: {type: rnn, cell: gru, num_layers: 1, "
     "hidden_size: 20}, embedding_dim: 12}",
     "{size: 90}", "train.batch.size=300", false},
    {"bahdanau", TRANSLATION,
     "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 12}, decoder: {type: rnn, cell: gru, num_layers: 1, "
     "hidden_size: 20}, "
     "attention: {type: bahdanau, size: 12}, embedding_dim: 12}",
     "{size: 90}", "train.batch.size=200", true},
    {"transformer", TRANSLATION,
     "{encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 24}, decoder: {type: transformer, "
     "num_layers: 2, num_heads: 2, hidden_size: 24}, "
     "embedding_dim: 24}",
     "{size: 90}", "train.batch.size=33", true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static char folder[64], before[4096];

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}

static void setup(void) {
    static const char *const parts[] = {"train", "valid", "test"};
    rv_log_set_level(RV_LOG_QUIET);
    strcpy(folder, "/tmp/ravel-test-XXXXXX");
    cr_assert(mkdtemp(folder) && getcwd(before, sizeof before) && chdir(folder) == 0);
    rv_rng rng = rv_rng_make(5, "text", 0);
    for (int part = 0; part < 3; part++) { /* words and the same backwards; some are longer than max_length */
        char path[32];
        snprintf(path, sizeof path, "%s.txt", parts[part]);
        FILE *text = fopen(path, "w");
        snprintf(path, sizeof path, "%s.tsv", parts[part]);
        FILE *pairs = fopen(path, "w");
        for (int i = 0; i < (part ? 23 : 80); i++) {
            char word[16], back[16];
            int n = 2 + (int)rv_rng_below(&rng, part ? 12 : 8);
            for (int j = 0; j < n; j++) back[n - 1 - j] = word[j] = "abcdefgh"[rv_rng_below(&rng, 8)];
            fprintf(pairs, "%.*s\t%.*s\n", n, word, n, back);
            fprintf(text, "%.*s %.*s\n", n, word, n, back);
        }
        fclose(text);
        fclose(pairs);
    }
}
static void teardown(void) {
    cr_assert(chdir(before) == 0);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void train(int k, const char *override) {
    char text[2048];
    int n = snprintf(text, sizeof text,
                     "name: %s\nseed: 3\n%s\nmodel: %s\ntrain:\n  batch: %s\n  max_steps: 40\n  optimizer: {type: "
                     "adam, lr: 1e-2}\n  validate_every: 20\n"
                     "checkpoint: {dir: %s/run}\nruntime: {threads: 2}\n",
                     kinds[k].name, kinds[k].task, kinds[k].model, kinds[k].batch, folder);
    rv_config *config;
    cr_assert_eq(rv_config_parse("test.yaml", text, (size_t)n, override ? 1 : 0, &override, &config), RV_OK, "%s",
                 rv_error_message());
    cr_assert_eq(rv_train(config, &(rv_train_options){0}), RV_OK, "%s", rv_error_message());
    rv_config_destroy(config);
}

typedef struct {
    FILE *f;
    int64_t n, tokens, correct, bytes;
    double nats;
    rv_bleu_stats bleu;
    rv_chrf_stats chrf;
} collector;

static rv_status collect(void *ctx, int64_t i, const rv_example *e) {
    collector *c = ctx;
    cr_assert_eq(i, c->n++);
    fprintf(c->f, "%lld %lld %lld %lld %lld %a %s\n", (long long)e->source_tokens, (long long)e->source_words,
            (long long)e->score.tokens, (long long)e->score.correct, (long long)e->bytes, e->score.nats,
            e->hypothesis ? e->hypothesis : "");
    c->tokens += e->score.tokens;
    c->correct += e->score.correct;
    c->bytes += e->bytes;
    c->nats += e->score.nats;
    if (e->hypothesis) rv_bleu_add(&c->bleu, &e->bleu), rv_chrf_add(&c->chrf, &e->chrf);
    return RV_OK;
}

/* All examples of the run as a text, for free; *result: evaluate's. */
static char *examples(const char *override, rv_metrics_result *result, collector *c) {
    rv_trained t;
    char *text = NULL;
    size_t size;
    cr_assert_eq(rv_trained_open("run", override ? 1 : 0, &override, true, &t), RV_OK, "%s", rv_error_message());
    rv_tape *tape = rv_tape_create();
    rv_tape_set_training(tape, true); /* to be left as it is */
    *c = (collector){.f = open_memstream(&text, &size)};
    cr_assert_eq(rv_task_examples(tape, t.task, RV_SUBSET_TEST, collect, c), RV_OK, "%s", rv_error_message());
    cr_assert(rv_tape_training(tape));
    cr_assert_eq(rv_task_evaluate(tape, t.task, RV_SUBSET_TEST, true, result), RV_OK, "%s", rv_error_message());
    fclose(c->f);
    rv_tape_destroy(tape);
    rv_trained_close(&t);
    return text;
}

static char *read_file(const char *path) {
    char *text = calloc(1, 1 << 22);
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    cr_assert(fread(text, 1, (1 << 22) - 1, f) > 0);
    fclose(f);
    return text;
}

ParameterizedTestParameters(measure, kinds) {
    static int k[KINDS];
    for (int i = 0; i < KINDS; i++) k[i] = i;
    return cr_make_param_array(int, k, KINDS);
}

ParameterizedTest(int *kind, measure, kinds, .init = setup, .fini = teardown) {
    train(*kind, NULL);
    rv_metrics_result r;
    collector c;
    char *want = examples(NULL, &r, &c);
    const bool translation = strstr(kinds[*kind].task, "translation") != NULL;

    /* Sums of examples. */
    const double loss = c.nats / (double)c.tokens, whole = rv_metrics_value(&r, "loss");
    cr_assert_eq(c.tokens, r.tokens);
    if (translation) {
        cr_assert_eq(loss, whole);
    } else { /* spans of 64 bytes, which share what a token costs: other sums, that round otherwise */
        struct stat text;
        cr_assert(stat("test.txt", &text) == 0);
        cr_assert_eq(c.n, (text.st_size + 63) / 64);
        cr_assert_float_eq(loss, whole, 1e-14 * whole);
        cr_assert_eq(c.bytes, text.st_size - 1); /* all but the first character */
    }
    cr_assert_eq((double)c.correct / (double)c.tokens, rv_metrics_value(&r, "accuracy"));
    if (translation)
        cr_assert_eq(rv_bleu_from_stats(&(rv_bleu_options){0}, &c.bleu).score, rv_metrics_value(&r, "bleu"));
    if (translation) cr_assert_eq(rv_chrf_from_stats(&(rv_chrf_options){0}, &c.chrf), rv_metrics_value(&r, "chrf"));
    if (translation) cr_assert_eq(c.n, 23);
    cr_assert(c.correct > 0 && c.correct < c.tokens);

    /* Threads and batch-mates. */
    static const char *const threads[] = {"runtime.threads=1", "runtime.threads=3", "runtime.threads=4"};
    for (int i = 0; i < 5; i++) {
        const char *override = i < 3 ? threads[i] : i == 3 ? kinds[*kind].other : "decode.batch_size=2";
        if (!translation && (i == 4 || strstr(override, "decode"))) continue;
        char *got = examples(override, &r, &c);
        cr_assert_str_eq(got, want, "%s with %s", kinds[*kind].name, override);
        free(got);
    }
    free(want);

    /* The files. */
    const rv_measure_options o = {.pictures = 3, .gradient_flow = true, .flow_length = 8};
    cr_assert_eq(rv_measure_run("run", &o), RV_OK, "%s", rv_error_message());
    char *lines = read_file("run/examples.jsonl");
    int64_t n = 0, tokens = 0;
    double nats = 0;
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *e = json_loads(line, 0, NULL);
        cr_assert(e, "%s", line);
        cr_assert_eq(json_integer_value(json_object_get(e, "i")), n++);
        tokens += json_integer_value(json_object_get(e, "tokens"));
        nats += json_real_value(json_object_get(e, "nats"));
        if (translation) {
            const char *h = json_string_value(json_object_get(e, "hypothesis")),
                       *ref = json_string_value(json_object_get(e, "reference"));
            cr_assert_eq(json_integer_value(json_object_get(e, "exact")), !strcmp(h, ref));
            cr_assert_eq(json_array_size(json_object_get(json_object_get(e, "bleu"), "totals")), 4);
            cr_assert_eq(json_array_size(json_object_get(json_object_get(e, "chrf"), "match")), 6);
        }
        json_decref(e);
    }
    free(lines);
    cr_assert(n == c.n && tokens == c.tokens && nats == c.nats);
    cr_assert_eq(access("run/attention.json", F_OK) == 0, kinds[*kind].attention);
    if (kinds[*kind].attention) {
        json_t *list = json_load_file("run/attention.json", 0, NULL), *p, *row, *w;
        size_t i, j, k;
        cr_assert_eq(json_array_size(list), 3);
        json_array_foreach (list, i, p) {
            json_t *weights = json_object_get(p, "weights");
            cr_assert_eq(json_integer_value(json_object_get(p, "i")), (json_int_t)i);
            cr_assert_eq(json_array_size(weights), json_array_size(json_object_get(p, "target")));
            json_array_foreach (weights, j, row) {
                double sum = 0;
                cr_assert_eq(json_array_size(row), json_array_size(json_object_get(p, "source")));
                json_array_foreach (row, k, w) sum += json_number_value(w);
                cr_assert(fabs(sum - 1) < 1e-5, "%g", sum);
            }
        }
        json_decref(list);
    }

    json_t *flow = json_load_file("run/gradient_flow.json", 0, NULL);
    cr_assert(flow && json_array_size(json_object_get(json_object_get(flow, "before"), "series")) > 0);
    json_decref(flow);

    /* What is there is left alone; what is not is made again, the same. */
    char *first = read_file("run/examples.jsonl");
    struct stat old, now;
    cr_assert(!stat("run/examples.jsonl", &old));
    cr_assert_eq(rv_measure_run("run", &o), RV_OK);
    cr_assert(!stat("run/examples.jsonl", &now) && now.st_ino == old.st_ino &&
              now.st_mtim.tv_nsec == old.st_mtim.tv_nsec);
    cr_assert(!remove("run/examples.jsonl"));
    cr_assert_eq(rv_measure_run("run", &o), RV_OK);
    char *again = read_file("run/examples.jsonl");
    cr_assert_str_eq(again, first);
    free(again);
    free(first);
}

Test(measure, without_a_test_part_the_validation_part_is_taken, .init = setup, .fini = teardown) {
    train(2, "data.test=null");
    rv_trained t;
    rv_metrics_result r;
    cr_assert_eq(rv_measure_run("run", &(rv_measure_options){0}), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_trained_open("run", 0, NULL, true, &t), RV_OK);
    rv_tape *tape = rv_tape_create();
    cr_assert_eq(rv_task_evaluate(tape, t.task, RV_SUBSET_VALID, true, &r), RV_OK);
    rv_tape_destroy(tape);
    rv_trained_close(&t);
    char *lines = read_file("run/examples.jsonl");
    double nats = 0, tokens = 0;
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *e = json_loads(line, 0, NULL);
        nats += json_real_value(json_object_get(e, "nats"));
        tokens += (double)json_integer_value(json_object_get(e, "tokens"));
        json_decref(e);
    }
    free(lines);
    cr_assert_eq(nats / tokens, rv_metrics_value(&r, "loss"));
    cr_assert_eq(rv_measure_run("nowhere", &(rv_measure_options){0}), RV_ECKPT);
}

/* model.init.vectors: rows of an embedding that begin with the vectors of a file. */
#define _GNU_SOURCE /* nftw */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ravel.h"
#include "data/tokenizer.h"
#include "train/trained.h"
#include "train/trainer.h"

enum { WIDTH = 3 };
static char folder[64], before[4096];

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}

static void put(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void setup(void) {
    rv_log_set_level(RV_LOG_QUIET);
    strcpy(folder, "/tmp/ravel-test-XXXXXX");
    cr_assert(mkdtemp(folder) && getcwd(before, sizeof before) && chdir(folder) == 0);
    FILE *tags = fopen("tags", "w"), *classes = fopen("classes", "w");
    for (int i = 0; i < 20; i++) {
        fputs("the\tD\nParis\tN\nsees\tV\ncats\tN\n\nsees\tV\nthe\tD\nsea\tN\n\n", tags);
        fprintf(classes, "the cats %d\tgood\nParis sees %d\tbad\n", i % 3, i % 3);
    }
    fclose(tags);
    fclose(classes);
    put("vectors", "the 1 2 3\nparis 4 5 6\nsea 7 8 9\nnowhere 1 1 1\ntwo words 1 1 1\n");
}
static void teardown(void) {
    cr_assert(chdir(before) == 0);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
TestSuite(take_vectors, .init = setup, .fini = teardown, .timeout = 300);

static const char tagging[] = "task: tagging\ndata: {path: tags, format: columns}\n",
                  classification[] = "task: classification\ndata: {path: classes}\n";

/* Train a run of so many steps: model.init.vectors is at m.yaml:4:107. */
static rv_status train(const char *run, const char *task, const char *vectors, int steps, const char *more) {
    char text[2048];
    snprintf(text, sizeof text,
             "name: %s\n%smodel: {encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 4}, embedding_dim: 3, "
             "init: {vectors: %s}}\ncheckpoint: {dir: %s}\ntrain: {batch: {size: 8}, max_steps: %d, optimizer: {type: "
             "adam, lr: 1e-2}}\n",
             run, task, vectors, run, steps);
    rv_config *c;
    const rv_train_options options = {0};
    rv_status status = rv_config_parse("m.yaml", text, strlen(text), more != NULL, &more, &c);
    if (status != RV_OK) return status;
    status = rv_train(c, &options);
    rv_config_destroy(c);
    return status;
}

static rv_trained open_run(const char *run) {
    rv_trained t;
    cr_assert_eq(rv_trained_open(run, 0, NULL, false, &t), RV_OK, "%s", rv_error_message());
    return t;
}

static const rv_tensor *table(const rv_trained *t) { return &rv_params_find(t->params, "encoder.embedding.weight")->t; }

static int64_t id_of(const rv_trained *t, const char *word) {
    int32_t *ids;
    int64_t n;
    rv_tokenizer *words = rv_task_source(t->task)->in;
    cr_assert_eq(rv_tokenizer_encode(words, word, strlen(word), &ids, &n), RV_OK);
    cr_assert_eq(n, 1);
    const int64_t id = ids[0];
    cr_assert_neq(id, rv_tokenizer_special(words, RV_UNK), "%s", word);
    free(ids);
    return id;
}

static bool row_is(const rv_trained *t, const char *word, const rv_real *want) {
    return !memcmp(table(t)->x + id_of(t, word) * WIDTH, want, WIDTH * sizeof *want);
}

/* ---- which rows */

/* The words that the file has, as they are or in lower case, and no bit of another weight. */
static void check_rows(const char *task, const char *exact, const rv_real *vector) {
    cr_assert_eq(train("a", task, "vectors", 0, NULL), RV_OK, "%s", rv_error_message());
    cr_assert_eq(train("b", task, "null", 0, NULL), RV_OK, "%s", rv_error_message());
    rv_trained a = open_run("a"), b = open_run("b");
    cr_expect(row_is(&a, exact, vector) && row_is(&a, "Paris", (rv_real[]){4, 5, 6}));
    const int64_t changed[] = {id_of(&a, "the"), id_of(&a, "Paris"), !strcmp(exact, "sea") ? id_of(&a, "sea") : -1};
    const int64_t first = table(&a)->x - a.params->x, rows = table(&a)->dim[0];
    for (int64_t i = 0; i < a.params->size; i++) {
        const int64_t row = i >= first && i < first + rows * WIDTH ? (i - first) / WIDTH : -2;
        const bool ours = row == changed[0] || row == changed[1] || row == changed[2];
        cr_expect(ours || !memcmp(&a.params->x[i], &b.params->x[i], sizeof *a.params->x), "weight %lld changed",
                  (long long)i);
        if (ours) cr_expect_neq(a.params->x[i], b.params->x[i]);
    }
    rv_trained_close(&a);
    rv_trained_close(&b);
}

Test(take_vectors, of_a_tagger) { check_rows(tagging, "sea", (rv_real[]){7, 8, 9}); }

Test(take_vectors, of_a_classifier) { check_rows(classification, "the", (rv_real[]){1, 2, 3}); }

/* A part of another model that stands in init is taken after them. */
Test(take_vectors, init_wins) {
    cr_assert_eq(train("b", tagging, "null", 0, NULL), RV_OK, "%s", rv_error_message());
    cr_assert_eq(train("a", tagging, "vectors", 0, "init=[{from: b, take: encoder.embedding}]"), RV_OK, "%s",
                 rv_error_message());
    rv_trained a = open_run("a"), b = open_run("b");
    cr_expect(row_is(&a, "the", table(&b)->x + id_of(&b, "the") * WIDTH));
    rv_trained_close(&a);
    rv_trained_close(&b);
}

/* Frozen rows keep the file's numbers. */
Test(take_vectors, frozen) {
    cr_assert_eq(train("a", tagging, "vectors", 2, "train.freeze=[encoder.embedding]"), RV_OK, "%s",
                 rv_error_message());
    cr_assert_eq(train("b", tagging, "vectors", 2, NULL), RV_OK, "%s", rv_error_message());
    rv_trained a = open_run("a"), b = open_run("b");
    cr_expect(row_is(&a, "the", (rv_real[]){1, 2, 3}));
    cr_expect_not(row_is(&b, "the", (rv_real[]){1, 2, 3}), "what is not frozen learns");
    rv_trained_close(&a);
    rv_trained_close(&b);
}

/* ---- going on */

/* A run that goes on has its weights: the file may be gone, and other numbers in it change nothing. */
Test(take_vectors, going_on_reads_no_file) {
    cr_assert_eq(train("whole", tagging, "vectors", 4, NULL), RV_OK, "%s", rv_error_message());
    cr_assert_eq(train("a", tagging, "vectors", 2, NULL), RV_OK, "%s", rv_error_message());
    put("vectors", "the 9 9 9\n");
    cr_assert_eq(train("a", tagging, "vectors", 3, NULL), RV_OK, "%s", rv_error_message());
    cr_assert_eq(remove("vectors"), 0);
    cr_assert_eq(train("a", tagging, "elsewhere", 4, NULL), RV_OK, "%s", rv_error_message());
    rv_trained a = open_run("a"), whole = open_run("whole");
    cr_expect_arr_eq(a.params->x, whole.params->x, (size_t)a.params->size * sizeof *a.params->x);
    rv_trained_close(&a);
    rv_trained_close(&whole);
}

/* ---- mistakes */

Test(take_vectors, mistakes) {
    static const struct {
        const char *task, *vectors, *more, *says;
        rv_status status;
    } cases[] = {
        {tagging, "wide", NULL,
         "m.yaml:4:107: model.init.vectors (model.embedding_dim is 3): wide:1: 4 numbers, where 3", RV_EDATA},
        {tagging, "gone", NULL, "m.yaml:4:107: model.init.vectors (model.embedding_dim is 3): gone: cannot open",
         RV_EDATA},
        {tagging, "others", NULL, ": others: none of the ", RV_EDATA},
        {classification, "vectors", "tokenizer.type=char", "the tokenizer is of type char; take one of type word",
         RV_EUSAGE},
        {tagging, "vectors", "tokenizer={type: bpe, vocab_size: 260}", "of type bpe; take one of type word", RV_EUSAGE},
    };
    put("wide", "the 1 2 3 4\n");
    put("others", "le 1 2 3\nla 4 5 6\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rv_status status = train("a", cases[i].task, cases[i].vectors, 1, cases[i].more);
        cr_expect_eq(status, cases[i].status, "case %zu", i);
        cr_expect(strstr(rv_error_message(), cases[i].says), "case %zu: %s", i, rv_error_message());
    }
}

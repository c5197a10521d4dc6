/* Texts and corpora: splits by characters, packed files, and errors that say where. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "data/corpus.h"
#include "data/text.h"

static char path[3][64];

static void setup(void) {
    for (int i = 0; i < 3; i++) {
        strcpy(path[i], "/tmp/ravel-corpus-XXXXXX");
        close(mkstemp(path[i]));
    }
}

static void teardown(void) {
    for (int i = 0; i < 3; i++) unlink(path[i]);
}

static void put(int i, const char *text, size_t n, bool packed) {
    gzFile f = gzopen(path[i], packed ? "wb" : "wbT");
    cr_assert(f && gzwrite(f, text, (unsigned)n) == (int)n && gzclose(f) == Z_OK);
}

static const rv_tokenizer_spec chars = {.type = RV_TOKENS_CHAR};

Test(corpus, splits_by_characters, .init = setup, .fini = teardown) {
    rv_corpus c;
    for (int packed = 0; packed < 2; packed++) {
        put(0, "\xc3\xa9" "bcdefghij\xe2\x82\xac", 14, packed); /* 11 characters: floor(0.9 x 11) = 9 */
        cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0]}, &chars, NULL, &c), RV_OK, "%s", rv_error_message());
        cr_assert(c.train.n == 9 && c.valid.n == 2 && c.test.n == 0 && !c.test.ids);
        cr_assert(c.train.bytes == 10 && c.valid.bytes == 4 && c.valid.chars == 2);
        cr_assert_eq(rv_tokenizer_size(c.tokenizer), 11); /* the validation split's characters too */
        rv_corpus_free(&c);
    }
    put(0, "abcd", 4, false);
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0], .train_fraction = 1}, &chars, NULL, &c), RV_OK);
    cr_assert(c.train.n == 4 && c.valid.n == 0);
    rv_corpus_free(&c);
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0], .train_fraction = 1.5}, &chars, NULL, &c), RV_EUSAGE);
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0], .train_fraction = 0.01}, &chars, NULL, &c), RV_EDATA);
}

Test(corpus, separate_files_and_a_given_tokenizer, .init = setup, .fini = teardown) {
    rv_corpus c, d;
    rv_corpus_files files = {.train = path[0], .valid = path[1], .test = path[2]};
    put(0, "a b a", 5, false), put(1, "b z", 3, false), put(2, "a", 1, false);
    cr_assert_eq(rv_corpus_load(&files, &chars, NULL, &c), RV_OK);
    cr_assert_eq(rv_tokenizer_size(c.tokenizer), 4);
    rv_corpus_free(&c);
    rv_tokenizer_spec words = {.type = RV_TOKENS_WORD};
    cr_assert_eq(rv_corpus_load(&files, &words, NULL, &c), RV_OK);
    cr_assert_eq(rv_tokenizer_size(c.tokenizer), 3); /* unk a b: z is seen in validation alone */
    cr_assert_eq(c.valid.ids[1], 0);
    uint64_t hash = c.hash;
    rv_tokenizer *tok = c.tokenizer;
    c.tokenizer = NULL;
    rv_corpus_free(&c);
    cr_assert_eq(rv_corpus_load(&files, NULL, tok, &d), RV_OK);
    cr_assert_eq(d.hash, hash);
    rv_corpus_free(&d);
    put(2, "b", 1, false);
    cr_assert_eq(rv_corpus_load(&files, &words, NULL, &c), RV_OK);
    cr_assert_neq(c.hash, hash);
    rv_corpus_free(&c);
    rv_tokenizer *ab;
    cr_assert_eq(rv_tokenizer_train(&chars, "ab ", 3, &ab), RV_OK);
    cr_assert_eq(rv_corpus_load(&files, NULL, ab, &c), RV_EDATA); /* takes ab over all the same */
    cr_assert(strstr(rv_error_message(), path[1]) && strstr(rv_error_message(), "'z' (U+007A) at byte 2"), "%s", rv_error_message());
}

Test(corpus, bad_files_are_named, .init = setup, .fini = teardown) {
    rv_text t;
    put(0, "ab\nc\xff", 5, false);
    cr_assert_eq(rv_text_load(path[0], &t), RV_EDATA);
    cr_assert(strstr(rv_error_message(), ":2: byte 0xff at offset 4"), "%s", rv_error_message());
    put(0, "ab\nc\xed\xa0\x80", 7, false); /* a surrogate is no character */
    cr_assert_eq(rv_text_load(path[0], &t), RV_EDATA);
    cr_assert_eq(rv_text_load("/tmp", &t), RV_EDATA);
    cr_assert_eq(rv_text_load("/nonexistent/x", &t), RV_EDATA);
    cr_assert(strstr(rv_error_message(), "/nonexistent/x: cannot open"));
    char noise[4000];
    for (uint32_t i = 0, v = 1; i < sizeof noise; i++) noise[i] = (char)('a' + ((v = v * 1664525u + 1013904223u) >> 24) % 26);
    put(1, noise, sizeof noise, true);
    cr_assert_eq(rv_text_load(path[1], &t), RV_OK);
    cr_assert_eq(t.len, sizeof noise);
    rv_text_free(&t);
    cr_assert_eq(truncate(path[1], 1000), 0);
    cr_assert_eq(rv_text_load(path[1], &t), RV_EDATA);
    cr_assert(strstr(rv_error_message(), "gzip"), "%s", rv_error_message());
    put(0, "", 0, false);
    rv_corpus c;
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0]}, &chars, NULL, &c), RV_EDATA);
    cr_assert(strstr(rv_error_message(), "empty"));
}

/* Known figures of tinyshakespeare. */
Test(corpus, tinyshakespeare) {
    const char *mirror = getenv("RAVEL_DATA_MIRROR");
    if (!mirror) cr_skip_test("RAVEL_DATA_MIRROR is not set");
    char file[512];
    snprintf(file, sizeof file, "%s/tinyshakespeare/input.txt", mirror);
    rv_corpus c;
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = file}, &chars, NULL, &c), RV_OK, "%s", rv_error_message());
    enum { V = 65 };
    cr_assert_eq(rv_tokenizer_size(c.tokenizer), V);
    cr_assert_eq(c.train.n, 1003854);
    cr_assert_eq(c.valid.n, 111540);
    /* Nats per character of the validation split, by the training split's counts, one added to each. */
    static double one[V], two[V][V];
    double uni = 0, bi = 0;
    for (int i = 0; i < V; i++) one[i] = 1;
    for (int i = 0; i < V * V; i++) two[i / V][i % V] = 1;
    for (int64_t i = 0; i + 1 < c.train.n; i++) one[c.train.ids[i]]++, two[c.train.ids[i]][c.train.ids[i + 1]]++;
    for (int64_t i = 0; i + 1 < c.valid.n; i++) {
        double row = 0;
        int32_t a = c.valid.ids[i], b = c.valid.ids[i + 1];
        for (int j = 0; j < V; j++) row += two[a][j];
        uni -= log(one[b] / (double)(c.train.n - 1 + V));
        bi -= log(two[a][b] / row);
    }
    cr_assert_float_eq(log(V), 4.174, 1e-3);
    cr_assert_float_eq(uni / (double)(c.valid.n - 1), 3.347, 1e-3, "%g", uni / (double)(c.valid.n - 1));
    cr_assert_float_eq(bi / (double)(c.valid.n - 1), 2.482, 1e-3, "%g", bi / (double)(c.valid.n - 1));
    rv_corpus_free(&c);
}

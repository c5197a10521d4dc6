/* Texts, corpora and batches. Splits by characters, errors that say where; y shifted by one, every target when it
 * should come, exact continuation from any cursor. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "data/batch.h"
#include "data/corpus.h"
#include "data/text.h"

enum { N = 103, B = 3, T = 4, STEPS = 60 };
static int32_t ids[N];

static void fill(void) {
    for (int i = 0; i < N; i++) ids[i] = i;
}

static rv_lm_batches *make(rv_sampling s, uint64_t seed) {
    rv_lm_batches *b;
    cr_assert_eq(rv_lm_batches_create(ids, N, B, T, s, seed, &b), RV_OK, "%s", rv_error_message());
    return b;
}

Test(batch, y_is_x_moved_on, .init = fill) {
    for (int s = 0; s < 3; s++) {
        rv_lm_batches *b = make((rv_sampling)s, 1);
        for (int k = 0; k < STEPS; k++) {
            int32_t x[B * T], y[B * T];
            rv_lm_batches_next(b, x, y);
            for (int i = 0; i < B * T; i++) {
                cr_assert_eq(y[i], x[i] + 1);
                cr_assert(i % T == 0 || x[i] == x[i - 1] + 1);
            }
        }
        rv_lm_batches_destroy(b);
    }
}

Test(batch, continues_exactly_from_every_step, .init = fill) {
    for (int s = 0; s < 3; s++) {
        static int32_t x[STEPS][B * T], y[STEPS][B * T], x2[B * T], y2[B * T];
        bool carried[STEPS];
        rv_cursor at[STEPS];
        rv_lm_batches *b = make((rv_sampling)s, 7);
        for (int k = 0; k < STEPS; k++) {
            at[k] = rv_lm_batches_cursor(b);
            carried[k] = rv_lm_batches_next(b, x[k], y[k]);
            cr_assert_eq(at[k].step, k);
        }
        for (int from = STEPS - 1; from >= 0; from--) {
            rv_lm_batches *c = from % 2 ? make((rv_sampling)s, 7) : b; /* in a new process, and back in the same one */
            cr_assert_eq(rv_lm_batches_seek(c, at[from]), RV_OK);
            for (int k = from; k < STEPS; k++) {
                cr_assert_eq(rv_lm_batches_next(c, x2, y2), carried[k]);
                cr_assert(!memcmp(x2, x[k], sizeof x2) && !memcmp(y2, y[k], sizeof y2));
            }
            if (c != b) rv_lm_batches_destroy(c);
        }
        cr_assert_eq(rv_lm_batches_seek(b, (rv_cursor){0, N, 0}), RV_ECKPT);
        cr_assert_eq(rv_lm_batches_seek(b, (rv_cursor){0, -1, 0}), RV_ECKPT);
        rv_lm_batches_destroy(b);
    }
}

Test(batch, random_rows_depend_on_seed_step_row_alone, .init = fill) {
    rv_lm_batches *wide, *narrow = make(RV_SAMPLE_RANDOM, 3), *other = make(RV_SAMPLE_RANDOM, 4);
    cr_assert_eq(rv_lm_batches_create(ids, N, 2 * B, T, RV_SAMPLE_RANDOM, 3, &wide), RV_OK);
    bool seen[N] = {0}, differs = false;
    for (int k = 0; k < 2000; k++) {
        int32_t x[2 * B * T], y[2 * B * T], x2[B * T], y2[B * T], x3[B * T];
        rv_lm_batches_next(wide, x, y);
        rv_lm_batches_next(narrow, x2, y2);
        cr_assert(!memcmp(x, x2, sizeof x2));
        rv_lm_batches_next(other, x3, y2);
        differs |= memcmp(x2, x3, sizeof x3) != 0;
        for (int r = 0; r < 2 * B; r++) seen[x[r * T]] = true;
    }
    cr_assert(differs);
    for (int i = 0; i < N; i++) cr_assert_eq(seen[i], i < N - T, "offset %d", i); /* nanoGPT's range: [0, n - T) */
    rv_lm_batches_destroy(wide), rv_lm_batches_destroy(narrow), rv_lm_batches_destroy(other);
}

Test(batch, shuffled_takes_every_window_once_an_epoch, .init = fill) {
    rv_lm_batches *b = make(RV_SAMPLE_SHUFFLED, 5);
    enum { W = (N - 1) / T };
    int32_t x[B * T], y[B * T], order[4 * W];
    int n = 0;
    while (n < 4 * W) {
        rv_lm_batches_next(b, x, y);
        for (int r = 0; r < B && n < 4 * W; r++) order[n++] = x[r * T];
    }
    for (int e = 0; e < 4; e++) {
        bool seen[N] = {0};
        for (int i = 0; i < W; i++) {
            int32_t o = order[e * W + i];
            cr_assert(o % T == 0 && !seen[o]);
            seen[o] = true;
        }
        cr_assert(e == 0 || memcmp(order + e * W, order, W * sizeof *order));
    }
    cr_assert_eq(rv_lm_batches_of_epochs(b, 1), (W + B - 1) / B);
    rv_lm_batches_destroy(b);
}

Test(batch, contiguous_rows_are_streams, .init = fill) {
    rv_lm_batches *b = make(RV_SAMPLE_CONTIGUOUS, 5);
    enum { STREAM = (N - 1) / B, W = STREAM / T };
    for (int k = 0; k < 3 * W; k++) {
        int32_t x[B * T], y[B * T];
        cr_assert_eq(rv_lm_batches_next(b, x, y), k % W != 0);
        for (int r = 0; r < B; r++) cr_assert_eq(x[r * T], r * STREAM + k % W * T);
    }
    cr_assert_eq(rv_lm_batches_cursor(b).epoch, 3);
    rv_lm_batches_destroy(b);
}

Test(batch, too_small_a_text_is_refused, .init = fill) {
    rv_lm_batches *b;
    for (int s = 0; s < 3; s++) {
        int64_t least = s == RV_SAMPLE_CONTIGUOUS ? B * T + 1 : T + 1;
        cr_assert_eq(rv_lm_batches_create(ids, least - 1, B, T, (rv_sampling)s, 1, &b), RV_EDATA);
        cr_assert(strstr(rv_error_message(), "tokens"));
        cr_assert_eq(rv_lm_batches_create(ids, least, B, T, (rv_sampling)s, 1, &b), RV_OK);
        int32_t x[B * T], y[B * T];
        for (int k = 0; k < 5; k++) rv_lm_batches_next(b, x, y);
        rv_lm_batches_destroy(b);
    }
    cr_assert_eq(rv_lm_batches_create(ids, 0, B, T, RV_SAMPLE_RANDOM, 1, &b), RV_EDATA);
    rv_lm_pass p;
    cr_assert_eq(rv_lm_pass_make(ids, 1, B, T, false, &p), RV_EDATA);
    cr_assert_eq(rv_lm_pass_make(ids, B, B, T, true, &p), RV_EDATA);
}

Test(batch, a_pass_counts_every_target_once, .init = fill) {
    for (int64_t n = 2; n <= N; n++)
        for (int64_t rows = 1; rows <= 5; rows++)
            for (int carry = 0; carry < 2; carry++) {
                rv_lm_pass p;
                if (carry && n - 1 < rows) continue;
                cr_assert_eq(rv_lm_pass_make(ids, n, rows, T, carry, &p), RV_OK);
                int32_t x[5 * T], y[5 * T], last[5];
                int count[N] = {0};
                int64_t total = 0, batches = 0, got;
                bool carried;
                while ((got = rv_lm_pass_next(&p, x, y, &carried))) {
                    int64_t here = 0;
                    cr_assert_eq(carried, carry && batches > 0);
                    for (int64_t i = 0; i < rows * T; i++) {
                        if (y[i] == RV_IGNORE) continue;
                        cr_assert_eq(ids[rv_lm_pass_target(&p, batches, i / T) + i % T + 1], y[i]);
                        cr_assert_eq(y[i], x[i] + 1);
                        if (i % T == 0 && carried) cr_assert_eq(x[i], last[i / T]); /* goes on where the row stopped */
                        count[y[i]]++, here++;
                        last[i / T] = y[i];
                    }
                    cr_assert_eq(here, got);
                    total += got, batches++;
                }
                cr_assert_eq(total, n - 1);
                cr_assert_eq(batches, rv_lm_pass_batches(&p));
                for (int64_t i = 1; i < n; i++) cr_assert_eq(count[i], 1);
                cr_assert_eq(rv_lm_pass_next(&p, x, y, NULL), 0);
            }
}

/* ---- corpora ---- */

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
        put(0,
            "\xc3\xa9"
            "bcdefghij\xe2\x82\xac",
            14, packed); /* 11 characters: floor(0.9 x 11) = 9 */
        cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0]}, &chars, NULL, &c), RV_OK, "%s",
                     rv_error_message());
        cr_assert(c.train.n == 9 && c.valid.n == 2 && c.test.n == 0 && !c.test.ids);
        cr_assert(c.train.text.bytes == 10 && c.valid.text.bytes == 4 && c.valid.text.chars == 2);
        cr_assert_eq(rv_tokenizer_size(c.tokenizer), 11); /* the validation split's characters too */
        rv_corpus_free(&c);
    }
    put(0, "abcd", 4, false);
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0], .train_fraction = 1}, &chars, NULL, &c), RV_OK);
    cr_assert(c.train.n == 4 && c.valid.n == 0);
    rv_corpus_free(&c);
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0], .train_fraction = 1.5}, &chars, NULL, &c),
                 RV_EUSAGE);
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0], .train_fraction = 0.01}, &chars, NULL, &c),
                 RV_EDATA);
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
    cr_assert(strstr(rv_error_message(), path[1]) && strstr(rv_error_message(), "'z' (U+007A) at byte 2"), "%s",
              rv_error_message());
    cr_assert(!strstr(rv_error_message(), "<unk>"), "no key gives it: %s", rv_error_message());
    const rv_tokenizer_spec frequent = {.type = RV_TOKENS_CHAR, .min_frequency = 2};
    cr_assert_eq(rv_corpus_load(&files, &frequent, NULL, &c), RV_OK, "%s", rv_error_message());
    cr_assert_eq(c.valid.ids[2], rv_tokenizer_special(c.tokenizer, RV_UNK)); /* z, once in all */
    rv_corpus_free(&c);
}

/* The same text whatever ends its lines, unless it is to stay, or stayed in the run that goes on. */
Test(corpus, line_ends_are_unified, .init = setup, .fini = teardown) {
    rv_corpus lf, c;
    rv_corpus_files files = {.train = path[0], .valid = path[1]};
    rv_log_set_level(RV_LOG_QUIET);
    put(0, "a b\nb\n", 6, false), put(1, "a\n", 2, false);
    cr_assert_eq(rv_corpus_load(&files, &chars, NULL, &lf), RV_OK);
    cr_expect_eq(lf.hash, 0xe5e3584cbac3da1au, "%llx: runs would not go on", (unsigned long long)lf.hash);
    put(0,
        "\xef\xbb\xbf"
        "a b\r\nb\r",
        10, false),
        put(1, "a\r\r\n", 4, false);
    cr_assert_eq(rv_corpus_load(&files, &chars, NULL, &c), RV_OK);
    cr_expect(c.hash == lf.hash && c.train.n == lf.train.n && c.train.text.chars == 6 && c.valid.text.bytes == 2);
    cr_expect_eq(rv_tokenizer_hash(c.tokenizer), rv_tokenizer_hash(lf.tokenizer));
    rv_corpus_free(&c);
    files.keep_line_ends = true;
    cr_assert_eq(rv_corpus_load(&files, &chars, NULL, &c), RV_OK);
    cr_expect(c.hash != lf.hash && c.train.n == 7 && c.valid.n == 4);
    files.keep_line_ends = false, files.kept_hash = c.hash;
    rv_corpus_free(&c);
    cr_assert_eq(rv_corpus_load(&files, &chars, NULL, &c), RV_OK);
    cr_expect(c.hash == files.kept_hash && c.train.n == 7);
    rv_corpus_free(&c);
    rv_corpus_free(&lf);
    put(0, "0123456\r\n\r", 10, false); /* cut where the unified text is */
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.text = path[0], .train_fraction = 0.8}, &chars, NULL, &c), RV_OK);
    cr_expect(c.train.n == 7 && c.valid.n == 2);
    rv_corpus_free(&c);
}

static void expect_sentences(rv_text_format format, const char *text, const char *want) {
    rv_corpus c;
    const rv_tokenizer_spec bytes = {.type = RV_TOKENS_BYTE};
    rv_corpus_files files = {.train = path[0], .format = format};
    put(0, text, strlen(text), false);
    rv_status status = rv_corpus_load(&files, &bytes, NULL, &c);
    if (!want) cr_expect_eq(status, RV_EDATA, "%s", text);
    if (!want) return;
    cr_assert_eq(status, RV_OK, "%s", rv_error_message());
    rv_text got;
    cr_assert_eq(rv_tokenizer_decode(c.tokenizer, c.train.ids, c.train.n, &got), RV_OK);
    cr_expect_str_eq(got.bytes, want);
    rv_text_free(&got);
    rv_corpus_free(&c);
}

/* Sentences alone are text, of formats that hold more. */
Test(corpus, sentences_of_other_formats, .init = setup, .fini = teardown) {
#define REST "\tx\tX\tX\tNumber=Sing\t0\troot\t_\t"
    expect_sentences(RV_FORMAT_CONLLU,
                     "# sent_id = 1\n# text = Du vin, s.\n1-2\tDu" REST "_\n1\tDe" REST "_\n\n# text = B\r\n1\tB" REST
                     "_\r\n",
                     "Du vin, s.\nB\n");
    expect_sentences(RV_FORMAT_CONLLU,
                     "1-2\tDu" REST "_\n1\tDe" REST "_\n2\tle" REST "_\n3\tvin" REST
                     "Gloss=a|SpaceAfter=No\n3.1\tno" REST "_\n4\t," REST "_\n5\tb" REST "_\n\n\n# x\n1\tC" REST
                     "NoSpaceAfter=No\n2\tD" REST "_",
                     "Du vin, b\nC D\n");
    expect_sentences(RV_FORMAT_TSV, "a b\t0\nc\t1\tx\r\n\nd\t", "a b\nc\nd\n");
    expect_sentences(RV_FORMAT_COLUMNS, "# x\na\tO\n#\tO\r\n\t\n\n-DOCSTART-\tO\nb c\tX\tO", NULL);
    cr_expect(strstr(rv_error_message(), ":7: 3 columns, where line 2 has 2"), "%s", rv_error_message());
    expect_sentences(RV_FORMAT_COLUMNS, "# x\na\tO\n#\tO\r\n\t\n\n-DOCSTART-\tO\nb c\tX\n", "a #\nb c\n");
    expect_sentences(RV_FORMAT_COLUMNS, "a  O\n# O\n\n\nb X", "a #\nb\n");
    expect_sentences(RV_FORMAT_CONLLU, "# text = a\nword\tTAG\n", NULL);
    cr_expect(strstr(rv_error_message(), ":2: 2 columns"), "%s", rv_error_message());
    expect_sentences(RV_FORMAT_CONLLU, "1\tB" REST "_\nB\tC" REST "_\n", NULL);
    cr_expect(strstr(rv_error_message(), ":2: 'B' is no id"), "%s", rv_error_message());
    expect_sentences(RV_FORMAT_TSV, "a\tb\n\"3\",\"title\"\n", NULL);
    cr_expect(strstr(rv_error_message(), ":2: no tab"), "%s", rv_error_message());
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
    for (uint32_t i = 0, v = 1; i < sizeof noise; i++)
        noise[i] = (char)('a' + ((v = v * 1664525u + 1013904223u) >> 24) % 26);
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
    put(1, "a", 1, false), put(2, " \t", 2, false);
    cr_assert_eq(rv_corpus_load(&(rv_corpus_files){.train = path[1], .valid = path[2]},
                                &(rv_tokenizer_spec){.type = RV_TOKENS_WORD}, NULL, &c),
                 RV_EDATA);
    cr_assert(strstr(rv_error_message(), path[2]) && strstr(rv_error_message(), "white space"), "%s",
              rv_error_message());
    for (int i = 0; i < 2; i++) { /* one that is named is not as if it were not there */
        rv_corpus_files files = {.train = path[1], .valid = path[i ? 1 : 0], .test = i ? path[0] : NULL};
        cr_assert_eq(rv_corpus_load(&files, &chars, NULL, &c), RV_EDATA);
        cr_assert(strstr(rv_error_message(), path[0]) &&
                      strstr(rv_error_message(), i ? "the test text is empty" : "the validation text is empty"),
                  "%s", rv_error_message());
    }
}

Test(corpus, a_byte_order_mark_is_no_text, .init = setup, .fini = teardown) {
    rv_text t;
    put(0,
        "\xef\xbb\xbf"
        "ab\n",
        6, false);
    cr_assert_eq(rv_text_load(path[0], &t), RV_OK);
    cr_assert_eq(t.len, 3);
    cr_assert_str_eq(t.bytes, "ab\n");
    rv_text_free(&t);
    put(0, "\xef\xbb\xbf", 3, false);
    cr_assert_eq(rv_text_load(path[0], &t), RV_OK);
    cr_assert_eq(t.len, 0);
    rv_text_free(&t);
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

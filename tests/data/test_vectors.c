/* Pretrained vectors: both formats of text, which words are found, what is skipped and what refused. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "data/vectors.h"

static char path[64];
static rv_tokenizer *tok;
enum { WIDTH = 3, UNTOUCHED = 77 };

static void make(const char *text) {
    const rv_tokenizer_spec spec = {.type = RV_TOKENS_WORD, .specials = 1u << RV_PAD};
    cr_assert_eq(rv_tokenizer_train(&spec, text, strlen(text), &tok), RV_OK, "%s", rv_error_message());
}

static void setup(void) {
    snprintf(path, sizeof path, "/tmp/ravel-vectors-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && close(fd) == 0);
    rv_log_set_level(RV_LOG_QUIET);
    make("the The cat CAT Cat dog \xc3\x89t\xc3\xa9");
}

static void teardown(void) {
    unlink(path);
    rv_tokenizer_destroy(tok);
}

static void put(const char *bytes, size_t n, bool packed) {
    FILE *f = packed ? NULL : fopen(path, "wb");
    gzFile g = packed ? gzopen(path, "wb") : NULL;
    if (f) cr_assert(fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    if (g) cr_assert(gzwrite(g, bytes, (unsigned)n) == (int)n && gzclose(g) == Z_OK);
}

static rv_real table[16 * WIDTH];
static rv_vectors_found found;

static rv_status read_text(const char *text) {
    put(text, strlen(text), false);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) table[i] = UNTOUCHED;
    return rv_vectors_read(path, tok, WIDTH, table, &found);
}

/* The word's row begins with x and has x + 1 and x + 2 behind it; or is as it was. */
static void expect_row(const char *word, double x) {
    int32_t *ids;
    int64_t n;
    cr_assert_eq(rv_tokenizer_encode(tok, word, strlen(word), &ids, &n), RV_OK);
    cr_assert_eq(n, 1);
    for (int i = 0; i < WIDTH; i++)
        cr_expect_eq(table[ids[0] * WIDTH + i], (rv_real)(x == UNTOUCHED ? x : x + i), "%s", word);
    free(ids);
}

static void expect_found(int64_t lines, int64_t exact, int64_t lowered, int64_t skipped) {
    cr_expect(found.lines == lines && found.exact == exact && found.lowered == lowered && found.skipped == skipped,
              "%lld lines, %lld exact, %lld lowered, %lld skipped", (long long)found.lines, (long long)found.exact,
              (long long)found.lowered, (long long)found.skipped);
}

static const char glove[] = "the 1 2 3\n"
                            "cat 4 5.0 6e0\n"
                            "Cat 7 8 9\n"
                            "zebra 0 0 0\n"
                            "CAT 10 11 12\n"
                            "CAT 90 91 92\n"
                            "\xc3\xa9t\xc3\xa9 -1 -0 +1\n"
                            "<unk> 20 21 22";

Test(vectors, words_as_they_are_else_in_lower_case, .init = setup, .fini = teardown) {
    for (int form = 0; form < 3; form++) {
        char dos[1024];
        size_t n = 0;
        n += form == 1 ? (size_t)sprintf(dos, "8 3\r\n") : 0;
        for (const char *s = glove; *s; s++) { /* gensim puts a blank before the end of a line */
            if (form == 1 && *s == '\n') dos[n++] = ' ', dos[n++] = '\r';
            dos[n++] = *s;
        }
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) table[i] = UNTOUCHED;
        put(dos, n, form == 2);
        cr_assert_eq(rv_vectors_read(path, tok, WIDTH, table, &found), RV_OK, "%s", rv_error_message());
        expect_found(8, 5, 2, 0); /* the cat Cat CAT <unk>; The, and the one that begins with an accent */
        expect_row("the", 1);
        expect_row("The", 1);
        expect_row("cat", 4);
        expect_row("Cat", 7);
        expect_row("CAT", 10);
        expect_row("dog", UNTOUCHED);
        expect_row("\xc3\x89t\xc3\xa9", -1);
        expect_row("neverseen", 20);
        cr_expect_eq(table[rv_tokenizer_special(tok, RV_PAD) * WIDTH], UNTOUCHED);
    }
}

Test(vectors, odd_words_are_skipped, .init = setup, .fini = teardown) {
    cr_assert_eq(read_text("\xff\xfe 1 2 3\n"
                           ". . . 1 2 3\n"
                           "at name@x.org 1 2 3\n"
                           " 1 2 3\n"
                           "\xc2\xa0 1 2 3\n"
                           "\n"
                           "dog\t4 5\t6\n"),
                 RV_OK, "%s", rv_error_message());
    expect_found(6, 1, 0, 4);
    expect_row("dog", 4);
}

Test(vectors, what_is_wrong_is_told_by_line, .init = setup, .fini = teardown) {
    static const struct {
        const char *text;
        int line;
        const char *say;
    } rows[] = {
        {"the 1 2 3\ndog 1 2\n", 2, "2 numbers, where 3 are wanted"},
        {"the 1 2 3\ndog 1 2 3 4\n", 2, "4 numbers, where 3 are wanted"},
        {"the 1 2 3\nno 1 2 3 4\n", 2, "4 numbers"},
        {"2 5\nthe 1 2 3 4 5\n", 1, "5 numbers, where 3 are wanted"},
        {"the 1 2 3\ndog 1 2 x\n", 2, "'x', where a finite number"},
        {"the 1 2 3\ndog 1 nan 2\n", 2, "'nan', where a finite number"},
        {"the 1 2 3\ndog 1 1e999 2\n", 2, "'1e999', where a finite number"},
        {"the 1 2 3\ndog 1 1.2.3 2\n", 2, "'1.2.3', where a finite number"},
        {"the 1 2 3\nzebra 1 0x1 2\n", 2, "'0x1', where a finite number"},
        {"the\n", 1, "0 numbers"},
        {"", 0, "no vectors in it"},
        {"0 3\n", 0, "no vectors in it"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char at[100];
        snprintf(at, sizeof at, rows[i].line ? "%s:%d: " : "%s: ", path, rows[i].line);
        cr_expect_eq(read_text(rows[i].text), RV_EDATA, "row %zu", i);
        cr_expect(!strncmp(rv_error_message(), at, strlen(at)) && strstr(rv_error_message(), rows[i].say),
                  "row %zu: %s", i, rv_error_message());
    }
    cr_expect_eq(rv_vectors_read("/tmp/no/such/file", tok, WIDTH, table, &found), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "/tmp/no/such/file: cannot open: No such"), "%s", rv_error_message());
    cr_expect_eq(rv_vectors_read("/tmp", tok, WIDTH, table, &found), RV_EDATA);
    rv_tokenizer *bytes;
    cr_assert_eq(rv_tokenizer_train(&(rv_tokenizer_spec){.type = RV_TOKENS_BYTE}, "x", 1, &bytes), RV_OK);
    cr_expect_eq(rv_vectors_read(path, bytes, WIDTH, table, &found), RV_EUSAGE);
    rv_tokenizer_destroy(bytes);
}

/* A packed file that ends early, one that its first line says is longer, and one that is no text. */
Test(vectors, damaged_files, .init = setup, .fini = teardown) {
    put(glove, sizeof glove - 1, true);
    FILE *f = fopen(path, "rb");
    char packed[1024];
    size_t n = fread(packed, 1, sizeof packed, f);
    fclose(f);
    put(packed, n - 9, false);
    cr_expect_eq(rv_vectors_read(path, tok, WIDTH, table, &found), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "get it again"), "%s", rv_error_message());
    cr_redirect_stderr();
    rv_log_set_level(RV_LOG_INFO);
    cr_expect_eq(read_text("9 3\nthe 1 2 3\n"), RV_OK);
    fflush(stderr);
    char said[512] = "";
    cr_assert(fread(said, 1, sizeof said - 1, cr_get_redirected_stderr()));
    cr_expect(strstr(said, "1 vectors, but its first line says 9"), "%s", said);
    const size_t size = (size_t)6 << 20;
    char *zeros = calloc(size, 1);
    put(zeros, size, false);
    free(zeros);
    cr_expect_eq(rv_vectors_read(path, tok, WIDTH, table, &found), RV_EDATA);
    cr_expect(strstr(rv_error_message(), ":1: a line of over"), "%s", rv_error_message());
}

/* Lines that lie across what is read at a time. */
Test(vectors, many_lines, .init = setup, .fini = teardown) {
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < 60000; i++) fprintf(f, "w%d %d %d.5 -3e-2\n", i, i, i);
    fprintf(f, "dog 5 6 7\n");
    fclose(f);
    cr_assert_eq(rv_vectors_read(path, tok, WIDTH, table, &found), RV_OK, "%s", rv_error_message());
    expect_found(60001, 1, 0, 0);
    expect_row("dog", 5);
}

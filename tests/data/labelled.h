/* Files of labelled texts, loaded or refused. */
#ifndef RV_TESTS_LABELLED_H
#define RV_TESTS_LABELLED_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "data/table.h"

enum { FILES = 3 };
static char path[FILES][64];

static inline void setup(void) {
    for (int i = 0; i < FILES; i++) {
        snprintf(path[i], sizeof path[i], "/tmp/ravel-table-XXXXXX");
        int fd = mkstemp(path[i]);
        cr_assert(fd >= 0 && close(fd) == 0);
    }
    rv_log_set_level(RV_LOG_QUIET);
}

static inline void teardown(void) {
    for (int i = 0; i < FILES; i++) unlink(path[i]);
}

static inline const char *put_bytes(int i, const char *bytes, size_t n) {
    FILE *f = fopen(path[i], "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    return path[i];
}

static inline const char *put(int i, const char *bytes) { return put_bytes(i, bytes, strlen(bytes)); }

static inline const char *put_gz(int i, const char *bytes) {
    gzFile f = gzopen(path[i], "wb");
    cr_assert(f && gzputs(f, bytes) == (int)strlen(bytes) && gzclose(f) == Z_OK);
    return path[i];
}

static const rv_tokenizer_spec words = {.type = RV_TOKENS_WORD}, chars = {.type = RV_TOKENS_CHAR},
                               bytes = {.type = RV_TOKENS_BYTE};

static inline rv_table load(const rv_table_files *f) {
    rv_table t;
    cr_assert_eq(rv_table_load(f, &words, NULL, NULL, 0, 0, &t), RV_OK, "%s", rv_error_message());
    return t;
}

/* Text and class name of example i. */
static inline void expect_row(const rv_table *t, const rv_table_part *part, int64_t i, const char *text,
                              const char *label) {
    cr_assert_lt(i, part->pairs.n);
    cr_expect_str_eq(part->pairs.src[i].bytes, text);
    cr_expect_eq(part->pairs.src[i].len, strlen(text));
    cr_assert(part->label[i] >= 0 && part->label[i] < t->n_classes);
    cr_expect_str_eq(t->class_name[part->label[i]], label);
    cr_expect_str_eq(part->pairs.tgt[i].bytes, label);
}

static inline void expect_classes(const rv_table *t, int n, const char *const *want) {
    cr_assert_eq(t->n_classes, n);
    for (int c = 0; c < n; c++) cr_expect_str_eq(t->class_name[c], want[c]);
}
#define NAMES(...) ((const char *const[]){__VA_ARGS__})

/* Loading fails with this status, at this line of file `file` (0: no line, -1: no file), with these words; nothing is
 * left behind. */
static inline void refuse_with(const rv_table_files *f, const rv_tokenizer_spec *spec, const char *const *classes,
                               int n_classes, rv_status status, int file, int line, const char *const *say) {
    rv_table t;
    char at[100] = "";
    cr_expect_eq(rv_table_load(f, spec, NULL, classes, n_classes, 0, &t), status);
    if (file >= 0) snprintf(at, sizeof at, line ? "%s:%d: " : "%s: ", path[file], line);
    cr_expect(!strncmp(rv_error_message(), at, strlen(at)), "not at %s: %s", at, rv_error_message());
    for (; *say; say++) cr_expect(strstr(rv_error_message(), *say), "no '%s' in: %s", *say, rv_error_message());
    cr_expect(!t.tokenizer && !t.class_name && !t.train.label && !t.train.pairs.text[0].bytes && !t.valid.pairs.src);
}
#define SAY(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void refuse(const rv_table_files *f, int file, int line, const char *const *say) {
    refuse_with(f, &words, NULL, 0, RV_EDATA, file, line, say);
}

#endif

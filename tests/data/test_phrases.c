/* The generated parallel language: its gold alignment holds, and it does what it is there for. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "data/dataset.h"
#include "data/files.h"
#include "data/generate.h"

static const char golden_align[] =
    "ca75615ee91499d43d330519dd50fd8bdf43d8e53cc945811ffd21890cf9c4ba"; /* seed 7, as golden_tasks.h */

static char root[] = "/tmp/ravel-test-XXXXXX";

static const char *at(const char *name) {
    static char path[2][RV__PATH];
    static int k;
    k = !k;
    snprintf(path[k], RV__PATH, "%s/%s", root, name);
    return path[k];
}

static void setup(void) {
    cr_assert(mkdtemp(root));
    setenv("RAVEL_DATA", root, 1);
    setenv("RAVEL_DATASETS", RV_TEST_DIR "/../datasets", 1);
    rv_log_set_level(RV_LOG_QUIET);
}

static void teardown(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

enum { MOST = 200 };
typedef struct {
    char line[2][4096], *word[2][MOST]; /* source, target */
    int n, m;
    bool link[MOST][MOST];
} aligned;

static int cut(char *s, char *word[MOST]) {
    int n = 0;
    for (char *w = strtok(s, " \n"); w; w = strtok(NULL, " \n")) word[n++] = w;
    return n;
}

/* The next pair with its alignment, whose form and ranges are checked here: "i-j" rising, in range, every word in some
 * link. */
static bool next(FILE *tsv, FILE *align, aligned *a) {
    char links[4096];
    if (fscanf(tsv, "%4095[^\t]\t%4095[^\n]\n", a->line[0], a->line[1]) != 2) {
        cr_assert(!fgets(links, sizeof links, align), "as many lines in both");
        return false;
    }
    cr_assert(fgets(links, sizeof links, align));
    a->n = cut(a->line[0], a->word[0]), a->m = cut(a->line[1], a->word[1]);
    memset(a->link, 0, sizeof a->link);
    bool source[MOST] = {false}, target[MOST] = {false};
    char *p = links;
    for (int last = -1; *p && *p != '\n';) {
        int i, j, used;
        cr_assert_eq(sscanf(p, "%d-%d%n", &i, &j, &used), 2);
        cr_assert(i >= 0 && i < a->n && j >= 0 && j < a->m && i * MOST + j > last, "%s", links);
        last = i * MOST + j;
        a->link[i][j] = source[i] = target[j] = true;
        p += used;
        if (*p == ' ') p++;
    }
    for (int i = 0; i < a->n; i++) cr_assert(source[i], "source word %d: %s", i, links);
    for (int j = 0; j < a->m; j++) cr_assert(target[j], "target word %d: %s", j, links);
    return true;
}

static int first_link(const aligned *a, int i) {
    int j = 0;
    while (!a->link[i][j]) j++;
    return j;
}

static bool is(const char *word, const char *const *list) {
    while (*list && strcmp(word, *list)) list++;
    return *list != NULL;
}

Test(phrases, alignments_hold_and_order_is_reversed, .init = setup, .fini = teardown) {
    static const char *const before[] = {"important", "modern",   "ambitious", "secret",   "effective",
                                         "european",  "french",   "italian",   "social",   "legal",
                                         "german",    "economic", "political", "national", "security",
                                         "energy",    "health",   "research",  NULL};
    static const char *const after[] = {"area", "policy", "council", "commission", "agreement",  "market",
                                        "law",  "reform", "plan",    "bank",       "government", NULL};
    static aligned a;
    rv_generator t;
    cr_assert_eq(rv_generator_defaults("phrases", &t), RV_OK);
    t.train = 3000, t.valid = t.test = 10;
    cr_assert_eq(rv_generator_write(&t, root), RV_OK, "%s", rv_error_message());
    FILE *tsv = fopen(at("train.tsv"), "r"), *align = fopen(at("train.align"), "r");
    int lines = 0, reversed = 0, chains[5] = {0}, negated = 0, merged = 0, lengths[31] = {0};
    while (next(tsv, align, &a)) {
        lines++;
        cr_assert(a.n >= 4 && a.n <= 30);
        lengths[a.n]++;
        for (int i = 0; i + 1 < a.n; i++) {
            /* Each modifier comes after what it stood before. */
            int k = i;
            while (k < a.n && is(a.word[0][k], before)) k++;
            if (k < a.n && is(a.word[0][k], after) && (i == 0 || !is(a.word[0][i - 1], before))) {
                for (int j = i; j < k; j++) cr_assert_gt(first_link(&a, j), first_link(&a, j + 1));
                reversed += k - i, chains[k - i]++;
            }
            if (!strcmp(a.word[0][i], "not")) { /* ne V pas, about one word at least */
                int ne = first_link(&a, i), pas = ne + 1;
                while (!a.link[i][pas]) pas++;
                cr_assert(pas == ne + 2 && !strncmp(a.word[1][ne], "n", 1) && !strcmp(a.word[1][pas], "pas"));
                negated++;
            }
            if (!strcmp(a.word[0][i], "of") && !strcmp(a.word[0][i + 1], "the") &&
                first_link(&a, i) == first_link(&a, i + 1)) {
                cr_assert(!strcmp(a.word[1][first_link(&a, i)], "du") || !strcmp(a.word[1][first_link(&a, i)], "des"));
                merged++;
            }
        }
        for (int j = 0; j + 1 < a.m; j++) { /* elision everywhere it is due, and nowhere else */
            static const char *const full[] = {"le", "la", "de", "ne", "que", "ce", "ma", "sa", "du", NULL},
                                     *const cut_off[] = {"l'", "d'", "n'", "qu'", NULL};
            bool vowel = strchr("aeiouh", *a.word[1][j + 1]) || !strncmp(a.word[1][j + 1], "é", 2);
            cr_assert(!(vowel && is(a.word[1][j], full)), "%s %s", a.word[1][j], a.word[1][j + 1]);
            cr_assert(!(strchr("bcdfgjklmnpqrstvz,.", *a.word[1][j + 1]) && is(a.word[1][j], cut_off)), "%s %s",
                      a.word[1][j], a.word[1][j + 1]);
        }
    }
    fclose(tsv);
    fclose(align);
    cr_assert_eq(lines, 3000);
    cr_expect(reversed > 200 && chains[2] > 10 && negated > 300 && merged > 20, "%d %d %d %d", reversed, chains[2],
              negated, merged);
    for (int n = 4; n <= 30; n++)
        cr_expect(lengths[n] > 60 && lengths[n] < 180, "length %d: %d of about 111", n, lengths[n]);
}

Test(phrases, the_same_alignment_everywhere, .init = setup, .fini = teardown) {
    rv_generator t;
    char hex[RV__SHA256_HEX];
    cr_assert_eq(rv_generator_defaults("phrases", &t), RV_OK);
    t.seed = 7, t.train = 300, t.valid = 40, t.test = 40;
    cr_assert_eq(rv_generator_write(&t, root), RV_OK);
    cr_assert_eq(rv__file_sha256(at("train.align"), hex), RV_OK);
    cr_expect_str_eq(hex, golden_align);
}

Test(phrases, extreme_lengths, .init = setup, .fini = teardown) {
    static aligned a;
    for (int64_t length = 4; length <= 60; length += 56) {
        rv_generator t;
        cr_assert_eq(rv_generator_defaults("phrases", &t), RV_OK);
        t.train = 50, t.valid = t.test = 10, t.min_length = t.max_length = length;
        cr_assert_eq(rv_generator_write(&t, root), RV_OK, "%s", rv_error_message());
        FILE *tsv = fopen(at("train.tsv"), "r"), *align = fopen(at("train.align"), "r");
        while (next(tsv, align, &a)) cr_assert_eq(a.n, length);
        fclose(tsv);
        fclose(align);
        t.min_length += length == 4 ? -1 : 0, t.max_length += length == 60;
        cr_expect_eq(rv_generator_write(&t, root), RV_EUSAGE);
    }
}

/* As an experiment finds it: pairs to translate, and the alignment in a role of its own. */
Test(phrases, data_set, .init = setup, .fini = teardown) {
    rv_dataset *ds;
    rv_parallel_files f;
    rv_parallel p;
    const char *path;
    cr_assert_eq(rv_dataset_resolve("phrases", &ds), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_dataset_parallel_files(ds, NULL, NULL, &f), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_dataset_require(ds, "test.align", &path), RV_OK);
    cr_assert_gt(rv__file_size(path), 0);
    f.train = f.test; /* small */
    rv_tokenizer_spec words = {.type = RV_TOKENS_WORD};
    cr_assert_eq(rv_parallel_load(&f, &words, false, NULL, NULL, 0, &p), RV_OK, "%s", rv_error_message());
    cr_expect(p.test.n == 1000 && p.valid.n == 1000 && p.train.empty == 0 && p.train.src_longest == 30);
    rv_parallel_free(&p);
    rv_dataset_destroy(ds);
    cr_assert_eq(rv_dataset_open("copy", &ds), RV_OK);
    cr_expect(!rv_dataset_path(ds, "test.align") && rv_dataset_path(ds, "test.text"));
    rv_dataset_destroy(ds);
}

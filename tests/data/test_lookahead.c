/* The generated tagging task: tags follow the rule, only the word that a question asks for tells its tag, and the
 * accuracies that generate_lookahead.c names are what its sentences have. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "data/dataset.h"
#include "data/files.h"
#include "data/generate.h"

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

enum { DISTANCES = 8, MOST = RV_TASK_LENGTH_MAX };
typedef struct {
    int n;
    char word[MOST][4], tag[MOST][4];
} sentence;

/* The next sentence, whose form is checked here. */
static bool next(FILE *tsv, sentence *s) {
    char line[32];
    int used;
    for (s->n = 0; fgets(line, sizeof line, tsv) && *line != '\n'; s->n++) {
        cr_assert_lt(s->n, MOST);
        cr_assert_eq(sscanf(line, "%3[^\t]\t%3[^\n]\n%n", s->word[s->n], s->tag[s->n], &used), 2, "%s", line);
        cr_assert_eq(line[used], 0, "%s", line);
    }
    return s->n;
}

static int distance(const sentence *s, int i) { return *s->word[i] == 'q' ? s->word[i][1] - '0' : 0; }
static int class(const sentence *s, int i) { return s->word[i][1] == 'o'; } /* of a plain word */

/* Tags as the rule has them, by another way than they were made. */
static void check_tags(const sentence *s) {
    for (int i = 0; i < s->n; i++) {
        int d = distance(s, i);
        cr_assert_leq(d, DISTANCES);
        cr_assert(i + d < s->n && !distance(s, i + d), "%s at %d asks for no plain word", s->word[i], i);
        char want[4] = {"AB"[class(s, i + d)], d ? (char)('0' + d) : 0};
        cr_assert_str_eq(s->tag[i], want, "%s at %d", s->word[i], i);
    }
}

static void write_task(int64_t train, int64_t min_length, int64_t max_length) {
    rv_generator t;
    cr_assert_eq(rv_generator_defaults("lookahead", &t), RV_OK);
    t.train = train, t.valid = t.test = 100, t.min_length = min_length, t.max_length = max_length;
    cr_assert_eq(rv_generator_write(&t, root), RV_OK, "%s", rv_error_message());
}

Test(lookahead, tags_follow_the_rule, .init = setup, .fini = teardown) {
    static sentence s;
    int lengths[26] = {0}, sentences = 0;
    write_task(3000, 10, 25);
    FILE *tsv = fopen(at("train.tsv"), "r"), *txt = fopen(at("train.txt"), "r");
    for (; next(tsv, &s); sentences++) {
        char words[256] = "", line[256];
        cr_assert(s.n >= 10 && s.n <= 25);
        lengths[s.n]++;
        check_tags(&s);
        for (int i = 0; i < s.n; i++) sprintf(words + strlen(words), "%s%s", s.word[i], i + 1 < s.n ? " " : "\n");
        cr_assert(fgets(line, sizeof line, txt));
        cr_assert_str_eq(line, words);
    }
    fclose(tsv);
    fclose(txt);
    cr_assert_eq(sentences, 3000);
    for (int n = 10; n <= 25; n++)
        cr_expect(lengths[n] > 130 && lengths[n] < 245, "length %d: %d of about 188", n, lengths[n]);
}

/* What generate_lookahead.c says of its sentences, in 20,000 of them. */
typedef struct {
    double words, questions, of[DISTANCES + 1], chained[DISTANCES + 1];
    double beside[DISTANCES + 1][2 * 16 + 1], agree[DISTANCES + 1][2 * 16 + 1]; /* plain words at -16 ... 16 */
} tally;

static void count(const sentence *s, tally *t) {
    t->words += s->n;
    for (int i = 0; i < s->n; i++) {
        int d = distance(s, i), k = 0;
        if (!d) continue;
        t->questions++;
        t->of[d]++;
        while (distance(s, i + k) == d - k && k < d) k++;
        t->chained[d] += k == d; /* each word up to the plain one asks for it */
        for (int j = -16; j <= 16; j++) {
            if (i + j < 0 || i + j >= s->n || distance(s, i + j)) continue;
            t->beside[d][j + 16]++;
            t->agree[d][j + 16] += class(s, i + j) == (*s->tag[i] == 'B');
        }
    }
}

static void expect_share(double part, double of, double want, const char *what, int d) {
    double got = part / of, sd = sqrt(fmax(want * (1 - want), 1e-4) / of);
    cr_expect(fabs(got - want) < 5 * sd + 5e-4, "%s, q%d: %.4f, not %.4f", what, d, got, want);
}

Test(lookahead, only_the_word_asked_for_tells, .init = setup, .fini = teardown) {
    static sentence s;
    static tally t;
    static const double of_words[] = {0, .0427, .0404, .0382, .0358, .0335, .0310, .0287, .0263};
    static const double chained[] = {0, 1, .063, .004, 0, 0, 0, 0, 0}; /* accuracy is 1/2 more than half of it */
    double all_chained = 0;
    write_task(20000, 10, 25);
    FILE *tsv = fopen(at("train.tsv"), "r");
    while (next(tsv, &s)) count(&s, &t);
    fclose(tsv);
    for (int d = 1; d <= DISTANCES; d++) {
        expect_share(t.of[d], t.words, of_words[d], "share of the words", d);
        expect_share(t.chained[d], t.of[d], chained[d], "known by a chain", d);
        all_chained += t.chained[d];
        for (int j = -16; j <= 16; j++)
            if (t.beside[d][j + 16] > 100)
                expect_share(t.agree[d][j + 16], t.beside[d][j + 16], j == d ? 1 : 0.5, "agrees with its neighbours",
                             d);
    }
    expect_share(t.questions, t.words, .277, "questions", 0);
    expect_share(t.of[1], t.questions, 2 * .577 - 1, "known by its neighbour", 0);
    expect_share(all_chained, t.questions, 2 * .582 - 1, "known by a chain", 0);
}

Test(lookahead, extreme_lengths, .init = setup, .fini = teardown) {
    static sentence s;
    write_task(3, 1, 1); /* 24 sentences there are */
    FILE *tsv = fopen(at("train.tsv"), "r");
    while (next(tsv, &s)) cr_assert(s.n == 1 && !distance(&s, 0));
    fclose(tsv);
    write_task(3, MOST, MOST);
    tsv = fopen(at("train.tsv"), "r");
    cr_assert(next(tsv, &s) && s.n == MOST);
    check_tags(&s);
    fclose(tsv);
    rv_generator t;
    cr_assert_eq(rv_generator_defaults("lookahead", &t), RV_OK);
    t.min_length = 0;
    cr_expect_eq(rv_generator_write(&t, root), RV_EUSAGE);
    t.min_length = 1, t.max_length = MOST + 1;
    cr_expect_eq(rv_generator_write(&t, root), RV_EUSAGE);
}

/* As an experiment finds it: columns to tag, and the words alone for a language model; no sentence in two splits. */
Test(lookahead, data_set, .init = setup, .fini = teardown) {
    static char line[2][1000][128];
    rv_dataset *ds;
    rv_corpus_files f;
    const char *path, *splits[] = {"valid", "test"};
    cr_assert_eq(rv_dataset_resolve("lookahead", &ds), RV_OK, "%s", rv_error_message());
    cr_expect_str_eq(rv_dataset_format(ds), "columns");
    cr_assert_eq(rv_dataset_require(ds, "train", &path), RV_OK);
    cr_expect_str_eq(path, at("lookahead/train.tsv"));
    cr_assert_eq(rv_dataset_lm_files(ds, NULL, &f), RV_OK);
    cr_expect_str_eq(f.test, at("lookahead/test.txt"));
    int n[2] = {0};
    for (int k = 0; k < 2; k++) {
        char role[32];
        snprintf(role, sizeof role, "%s.text", splits[k]);
        FILE *txt = fopen(rv_dataset_path(ds, role), "r");
        while (n[k] < 1000 && fgets(line[k][n[k]], 128, txt)) n[k]++;
        cr_assert(!fgets(line[0][999], 128, txt) && feof(txt));
        fclose(txt);
    }
    cr_expect(n[0] == 500 && n[1] == 1000, "%d %d", n[0], n[1]);
    for (int i = 0; i < n[0]; i++)
        for (int j = 0; j < n[1]; j++) cr_assert_str_neq(line[0][i], line[1][j]);
    rv_dataset_destroy(ds);
}

/* Parallel text: what is read, what is refused, what is left out; roles of data sets. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "data/dataset.h"
#include "data/parallel.h"

enum { FILES = 4 };
static char path[FILES][64];

static void setup(void) {
    for (int i = 0; i < FILES; i++) {
        snprintf(path[i], sizeof path[i], "/tmp/ravel-pairs-XXXXXX");
        int fd = mkstemp(path[i]);
        cr_assert(fd >= 0 && close(fd) == 0);
    }
    rv_log_set_level(RV_LOG_QUIET);
}

static void teardown(void) {
    for (int i = 0; i < FILES; i++) unlink(path[i]);
}

static const char *put(int i, const char *bytes) {
    FILE *f = fopen(path[i], "wb");
    cr_assert(f && fwrite(bytes, 1, strlen(bytes), f) == strlen(bytes) && fclose(f) == 0);
    return path[i];
}

static const char *put_gz(int i, const char *bytes) {
    gzFile f = gzopen(path[i], "wb");
    cr_assert(f && gzputs(f, bytes) == (int)strlen(bytes) && gzclose(f) == Z_OK);
    return path[i];
}

static const rv_tokenizer_spec chars = {.type = RV_TOKENS_CHAR}, words = {.type = RV_TOKENS_WORD},
                               bytes = {.type = RV_TOKENS_BYTE}, bpe = {.type = RV_TOKENS_BPE, .vocab_size = 300};

static rv_parallel_files two(const char *src, const char *tgt) {
    return (rv_parallel_files){.train = {put(0, src), put(1, tgt)}};
}

/* Loading fails with this status and these words in the message; nothing is left behind. */
static void refuse(const rv_parallel_files *files, const rv_tokenizer_spec *spec, int64_t max_length, rv_status status,
                   const char *const *say) {
    rv_parallel p;
    cr_expect_eq(rv_parallel_load(files, spec, true, NULL, NULL, max_length, &p), status);
    for (; *say; say++) cr_expect(strstr(rv_error_message(), *say), "no '%s' in: %s", *say, rv_error_message());
    cr_expect(!p.src && !p.tgt && !p.train.src_ids && !p.train.text[0].bytes);
}
#define SAY(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_side(const rv_tokenizer *tok, const int32_t *ids, const int64_t *at, int64_t i, const char *want) {
    rv_text t;
    cr_assert_eq(rv_tokenizer_decode(tok, ids + at[i], at[i + 1] - at[i], &t), RV_OK);
    cr_expect_str_eq(t.bytes, want);
    rv_text_free(&t);
}

Test(parallel, lines_become_pairs, .init = setup, .fini = teardown) {
    const rv_tokenizer_spec *specs[] = {&chars, &words, &bytes, &bpe};
    const char *const src[] = {"a cat", "the dog", "no end"}, *const tgt[] = {"un chat", "le chien d\xc3\xa9j\xc3\xa0",
                                                                              "sans fin"};
    for (int s = 0; s < 4; s++)
        for (int form = 0; form < 4; form++) { /* two files, \r\n, gzip, tabs; a last line with and without its end */
            rv_parallel_files f = two("a cat\nthe dog\nno end", "un chat\nle chien d\xc3\xa9j\xc3\xa0\nsans fin\n");
            if (form == 1)
                f = two("a cat\r\nthe dog\r\nno end\r\n", "un chat\r\nle chien d\xc3\xa9j\xc3\xa0\r\nsans fin\r\n");
            if (form == 2)
                put_gz(0, "a cat\nthe dog\nno end\n"), put_gz(1, "un chat\nle chien d\xc3\xa9j\xc3\xa0\nsans fin");
            if (form == 3)
                f = (rv_parallel_files){
                    .train = {put(0, "a cat\tun chat\r\nthe dog\tle chien d\xc3\xa9j\xc3\xa0\nno end\tsans fin"),
                              NULL}};
            for (int joint = 0; joint < 2; joint++) {
                rv_parallel p;
                cr_assert_eq(rv_parallel_load(&f, specs[s], joint, NULL, NULL, 80, &p), RV_OK, "%s",
                             rv_error_message());
                cr_expect_eq(joint, p.src == p.tgt);
                cr_assert_eq(p.train.n, 3);
                cr_expect(p.valid.n == 0 && p.test.n == 0 && p.train.lines == 3 && p.train.src_at[0] == 0);
                for (int i = 0; i < 3; i++) {
                    expect_side(p.src, p.train.src_ids, p.train.src_at, i, src[i]);
                    expect_side(p.tgt, p.train.tgt_ids, p.train.tgt_at, i, tgt[i]);
                    cr_expect_str_eq(p.train.src[i].bytes, src[i]);
                    cr_expect_str_eq(p.train.tgt[i].bytes, tgt[i]);
                    cr_expect_eq(p.train.tgt[i].len, strlen(tgt[i]));
                }
                for (int k = RV_PAD; k <= RV_UNK; k++)
                    cr_expect(rv_tokenizer_special(p.src, (rv_special)k) == k &&
                              rv_tokenizer_special(p.tgt, (rv_special)k) == k);
                rv_parallel_free(&p);
            }
        }
}

/* The vocabulary is what the sentences hold: no token for the ends of lines, nothing of valid and test, and of the
 * other language only if joint. */
Test(parallel, tokenizers_see_the_training_lines_alone, .init = setup, .fini = teardown) {
    rv_parallel_files f = two("ab\nba\n", "cd\ndc\n");
    f.valid = (rv_parallel_paths){put(2, "x\ty\n"), NULL};
    rv_parallel p, q;
    cr_assert_eq(rv_parallel_load(&f, &chars, false, NULL, NULL, 0, &p), RV_OK);
    cr_expect_eq(rv_tokenizer_size(p.src), 4 + 2);
    cr_expect_eq(rv_tokenizer_size(p.tgt), 4 + 2);
    cr_expect_eq(p.valid.src_ids[0], RV_UNK);
    rv_parallel_free(&p);
    cr_assert_eq(rv_parallel_load(&f, &words, true, NULL, NULL, 0, &p), RV_OK);
    cr_expect_eq(rv_tokenizer_size(p.src), 4 + 4);
    rv_parallel_free(&p);
    /* Normalised and lower-cased for the model, as it was for the references. */
    rv_tokenizer_spec lower = {.type = RV_TOKENS_WORD, .lowercase = true, .normalization = RV_NORMAL_NFKC};
    f = two("A \xef\xac\x81n\n", "B\n");
    cr_assert_eq(rv_parallel_load(&f, &lower, true, NULL, NULL, 0, &p), RV_OK);
    expect_side(p.src, p.train.src_ids, p.train.src_at, 0, "a fin");
    cr_expect_str_eq(p.train.src[0].bytes, "A \xef\xac\x81n");
    /* Given tokenizers are used, and taken over. */
    rv_tokenizer *tok = p.src;
    p.src = p.tgt = NULL;
    rv_parallel_free(&p);
    f = (rv_parallel_files){.test = {put(2, "FIN\nnew\n"), put(3, "b\n\n")}};
    cr_assert_eq(rv_parallel_load(&f, NULL, true, tok, NULL, 1, &q), RV_OK, "%s", rv_error_message());
    cr_expect(q.src == tok && q.tgt == tok && q.train.n == 0 && q.test.n == 2);
    expect_side(q.src, q.test.src_ids, q.test.src_at, 0, "fin");
    cr_expect_eq(q.test.src_ids[1], RV_UNK);
    rv_parallel_free(&q);
}

Test(parallel, what_is_left_out_is_counted, .init = setup, .fini = teardown) {
    /* Words: 2/2, -/1, 1/-, 4/1, 1/5, 3/3, white space/1. */
    static const char src[] = "a b\n\nc\na a a a\nd\na b c\n \n", tgt[] = "A B\nC\n\nA\nD D D D D\nA B C\nC\n";
    rv_parallel_files f = two(src, tgt);
    f.valid = (rv_parallel_paths){put(2, src), put(3, tgt)};
    rv_parallel p;
    cr_assert_eq(rv_parallel_load(&f, &words, false, NULL, NULL, 3, &p), RV_OK);
    cr_expect(p.train.n == 2 && p.train.lines == 7 && p.train.empty == 3 && p.train.too_long == 2);
    cr_expect(p.train.src_longest == 3 && p.train.tgt_longest == 3);
    expect_side(p.tgt, p.train.tgt_ids, p.train.tgt_at, 1, "A B C");
    cr_expect_str_eq(p.train.src[1].bytes, "a b c");
    cr_expect(p.valid.n == 7 && p.valid.empty == 0 && p.valid.too_long == 0 && p.valid.src_longest == 4 &&
              p.valid.tgt_longest == 5);
    cr_expect_eq(rv_pairs_src_length(&p.valid, 1), 0);
    cr_expect_eq(rv_pairs_tgt_length(&p.valid, 4), 5);
    cr_expect_str_eq(p.valid.tgt[2].bytes, "");
    cr_expect_str_eq(p.valid.tgt[3].bytes, "A");
    uint64_t hash = p.hash;
    rv_parallel_free(&p);
    cr_assert_eq(rv_parallel_load(&f, &words, false, NULL, NULL, 3, &p), RV_OK);
    cr_expect_eq(p.hash, hash);
    rv_parallel_free(&p);
    cr_assert_eq(rv_parallel_load(&f, &words, false, NULL, NULL, 0, &p), RV_OK); /* no limit */
    cr_expect(p.train.n == 4 && p.train.too_long == 0);
    cr_expect_neq(p.hash, hash);
    hash = p.hash;
    rv_parallel_free(&p);
    put(3, "A B\nC\n\nA\nD D D D D\nA B C\nB\n");
    cr_assert_eq(rv_parallel_load(&f, &words, false, NULL, NULL, 0, &p), RV_OK);
    cr_expect_neq(p.hash, hash);
    rv_parallel_free(&p);
}

/* To every tokenizer; and a last line ends in \r as one inside does. */
Test(parallel, blank_lines_are_empty, .init = setup, .fini = teardown) {
    const rv_tokenizer_spec *specs[] = {&chars, &words, &bytes, &bpe};
    for (int s = 0; s < 4; s++) {
        rv_parallel_files f = two("\xef\xbb\xbf"
                                  "a\n \t\nb\n\xc2\xa0\nc\rd\r",
                                  "A\nB\n\xe3\x80\x80 \r\nD\nC\rD\r\n");
        rv_parallel p;
        f.valid = (rv_parallel_paths){path[0], path[1]};
        cr_assert_eq(rv_parallel_load(&f, specs[s], true, NULL, NULL, 0, &p), RV_OK, "%s", rv_error_message());
        cr_expect(p.train.n == 2 && p.train.empty == 3, "tokenizer %d: %lld", s, (long long)p.train.n);
        cr_expect_str_eq(p.train.src[0].bytes, "a");
        cr_expect_str_eq(p.train.src[1].bytes, "c\rd");
        cr_expect_str_eq(p.train.tgt[1].bytes, "C\rD");
        cr_expect(p.valid.n == 5 && rv_pairs_src_length(&p.valid, 1) == 0 && rv_pairs_tgt_length(&p.valid, 2) == 0 &&
                  rv_pairs_src_length(&p.valid, 3) == 0);
        rv_parallel_free(&p);
    }
}

Test(parallel, bad_files_are_named, .init = setup, .fini = teardown) {
    rv_parallel_files f = two("a\nb\nc\n", "A\nB\n");
    refuse(&f, &words, 0, RV_EDATA, SAY(path[0], "3 lines", path[1], "2", "again"));
    f = two("a\nb\n", "A\nB \xff\n");
    refuse(&f, &words, 0, RV_EDATA, SAY(path[1], "2", "UTF-8"));
    f = (rv_parallel_files){.train = {put(0, "a\tA\nb\n"), NULL}};
    char at[80];
    snprintf(at, sizeof at, "%s:2:", path[0]);
    refuse(&f, &words, 0, RV_EDATA, SAY(at, "no tab"));
    put(0, "a\tA\nb\tB\tC\n");
    refuse(&f, &words, 0, RV_EDATA, SAY(at, "several tabs"));
    f = two("", "");
    refuse(&f, &words, 0, RV_EDATA, SAY(path[0], "empty"));
    f = two("a\n", "A\n");
    f.valid = f.train, f.test = (rv_parallel_paths){put(2, ""), NULL};
    refuse(&f, &words, 0, RV_EDATA, SAY(path[2], "the test text is empty"));
    f.test = f.train, f.valid = (rv_parallel_paths){put(2, ""), put(3, "")};
    refuse(&f, &words, 0, RV_EDATA, SAY(path[2], "the validation text is empty"));
    f = two("a a a\n\n", "A\nB\n");
    refuse(&f, &words, 2, RV_EDATA, SAY(path[0], "none of 2", "1 have an empty side", "1 over 2 tokens", "max_length"));
    f = two("a\n", "A\n");
    f.test = (rv_parallel_paths){path[0], "/nonexistent/t"};
    refuse(&f, &words, 0, RV_EDATA, SAY("/nonexistent/t"));
    f = two("a\n", "A\n");
    refuse(&f, &words, -1, RV_EUSAGE, SAY("max_length -1"));
    refuse(&(rv_parallel_files){.test = {path[0], path[1]}}, &words, 0, RV_EUSAGE, SAY("no training text"));
    refuse(&f, &(rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = 10}, 0, RV_EUSAGE,
           SAY(path[0], "vocab_size 10"));
}

/* Lines of more columns than two, as Tatoeba and ManyThings have them. */
Test(parallel, columns_of_a_line, .init = setup, .fini = teardown) {
    static const char three[] = "a\tA\tby x\nb c\t\tby y\nd\tD E\t\r\n";
    rv_parallel_files f = {.train = {put(0, three), NULL}, .valid = {put_gz(1, three), NULL}, .columns = {2, 1}};
    rv_parallel p;
    cr_assert_eq(rv_parallel_load(&f, &words, true, NULL, NULL, 0, &p), RV_OK, "%s", rv_error_message());
    cr_expect(p.train.n == 2 && p.train.empty == 1 && p.valid.n == 3);
    cr_expect_str_eq(p.train.src[1].bytes, "D E");
    cr_expect_str_eq(p.train.tgt[1].bytes, "d");
    uint64_t hash = p.hash;
    rv_parallel_free(&p);
    f.columns[0] = 1, f.columns[1] = 3;
    cr_assert_eq(rv_parallel_load(&f, &words, true, NULL, NULL, 0, &p), RV_OK, "%s", rv_error_message());
    cr_expect(p.train.n == 2 && p.hash != hash); /* the last line's third one is empty */
    cr_expect_str_eq(p.train.tgt[1].bytes, "by y");
    rv_parallel_free(&p);
    rv_parallel_files held = {.train = {path[0], NULL}, .train_fraction = 0.6, .columns = {1, 2}};
    cr_assert_eq(rv_parallel_load(&held, &words, true, NULL, NULL, 0, &p), RV_OK, "%s", rv_error_message());
    cr_expect(p.train.lines == 2 && p.valid.n == 1);
    rv_parallel_free(&p);
    char at[80];
    snprintf(at, sizeof at, "%s:2:", path[0]);
    put(0, "a\tA\tB\nb\tB\n");
    refuse(&f, &words, 0, RV_EDATA, SAY(at, "no column 3", "data.columns [1, 3]"));
    f.columns[0] = 0;
    snprintf(at, sizeof at, "%s:1:", path[0]);
    refuse(&f, &words, 0, RV_EDATA, SAY(at, "several tabs", "data.columns: [1, 2]"));
}

Test(parallel, given_tokenizers_must_fit, .init = setup, .fini = teardown) {
    static const struct {
        bool joint, tgt;
        unsigned specials;
        const char *say;
    } cases[] = {
        {false, false, 15, "for each language"},
        {true, true, 15, "one tokenizer for both"},
        {true, false, 1u << RV_PAD | 1u << RV_UNK, "no <bos>"},
    };
    rv_parallel_files f = two("a\n", "A\n");
    for (int i = 0; i < 3; i++) {
        rv_tokenizer_spec spec = {.type = RV_TOKENS_BYTE, .specials = cases[i].specials};
        rv_tokenizer *src, *tgt = NULL;
        cr_assert_eq(rv_tokenizer_train(&spec, "x", 1, &src), RV_OK);
        if (cases[i].tgt) cr_assert_eq(rv_tokenizer_train(&spec, "x", 1, &tgt), RV_OK);
        rv_parallel p;
        cr_expect_neq(rv_parallel_load(&f, NULL, cases[i].joint, src, tgt, 0, &p), RV_OK);
        cr_expect(strstr(rv_error_message(), cases[i].say), "%s", rv_error_message());
    }
}

/* ---- data sets ---- */

Test(parallel, roles_of_a_data_set) {
    char root[] = "/tmp/ravel-test-XXXXXX", file[80], command[160];
    cr_assert(mkdtemp(root));
    snprintf(file, sizeof file, "%s/d", root);
    cr_assert_eq(mkdir(file, 0777), 0);
    snprintf(file, sizeof file, "%s/d/manifest.json", root);
    setenv("RAVEL_DATASETS", root, 1);
    static const struct {
        const char *format, *roles;
        const char *src, *tgt;
        rv_status status;
        const char *say; /* in the message; or the test split's source */
    } cases[] = {
        {"parallel", "\"train.en\": \"f\", \"train.fr\": \"g\"", "en", "fr", RV_OK, NULL},
        {"parallel", "\"train.en\": \"f\", \"train.fr\": \"g\", \"test.en\": \"g\", \"test.fr\": \"f\"", "fr", "en",
         RV_OK, "f"},
        {"parallel", "\"train.en\": \"f\", \"train.fr\": \"g\"", "en", "de", RV_EDATA,
         "no 'train.de'; it has: train.en, train.fr"},
        {"parallel", "\"train.en\": \"f\", \"train.fr\": \"g\"", "xx", "de", RV_EDATA, "no 'train.xx'"},
        {"parallel", "\"train.en\": \"f\", \"train.fr\": \"g\", \"valid.fr\": \"f\"", "en", "fr", RV_EDATA,
         "no 'valid.en'"},
        {"parallel", "\"train.en\": \"f\", \"train.fr\": \"g\"", NULL, NULL, RV_EDATA, "data.src"},
        {"parallel", "\"train.en\": \"f\", \"train.fr\": \"g\"", "en", NULL, RV_EUSAGE, "both"},
        {"pairs", "\"train\": \"f\", \"test\": \"g\"", NULL, NULL, RV_OK, "g"},
        {"pairs", "\"test\": \"g\"", NULL, NULL, RV_EDATA, "no 'train'; it has: test"},
        {"tsv", "\"train\": \"f\"", NULL, NULL, RV_EDATA, "it has: train"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FILE *f = fopen(file, "w");
        fprintf(f, "{\"name\": \"d\", \"description\": \"x\", \"licence\": \"y\", \"format\": \"%s\", \"files\": [",
                cases[i].format);
        for (int k = 0; k < 2; k++)
            fprintf(f, "%s{\"name\": \"%c\", \"url\": \"file:\", \"bytes\": 1, \"sha256\": \"%064d\"}", k ? ", " : "",
                    'f' + k, 0);
        fprintf(f, "], \"roles\": {%s}}", cases[i].roles);
        fclose(f);
        rv_dataset *ds;
        rv_parallel_files got;
        cr_assert_eq(rv_dataset_open("d", &ds), RV_OK, "%s", rv_error_message());
        cr_expect_eq(rv_dataset_parallel_files(ds, cases[i].src, cases[i].tgt, &got), cases[i].status, "case %zu", i);
        if (cases[i].status != RV_OK)
            cr_expect(strstr(rv_error_message(), cases[i].say), "%s", rv_error_message());
        else {
            cr_expect(got.train.src && !got.train.tgt == !cases[i].tgt && !got.valid.src && !got.valid.tgt);
            cr_expect_eq(!got.test.src, !cases[i].say);
            if (cases[i].say) cr_expect_str_eq(strrchr(got.test.src, '/') + 1, cases[i].say);
        }
        rv_dataset_destroy(ds);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

/* The data set that translation experiments use: its known counts, and that BPE gives every line back. */
Test(parallel, multi30k) {
    if (!getenv("RAVEL_DATA_MIRROR")) cr_skip_test("RAVEL_DATA_MIRROR is not set");
    char root[] = "/tmp/ravel-test-XXXXXX", command[64];
    cr_assert(mkdtemp(root));
    setenv("RAVEL_DATA", root, 1);
    setenv("RAVEL_DATASETS", RV_TEST_DIR "/../datasets", 1);
    rv_log_set_level(RV_LOG_QUIET);
    rv_dataset *ds;
    rv_parallel_files f;
    rv_parallel p;
    cr_assert_eq(rv_dataset_resolve("multi30k", &ds), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_dataset_parallel_files(ds, "en", "fr", &f), RV_OK, "%s", rv_error_message());
    rv_tokenizer_spec spec = {.type = RV_TOKENS_BPE, .vocab_size = 8000, .normalization = RV_NORMAL_NFC};
    cr_assert_eq(rv_parallel_load(&f, &spec, true, NULL, NULL, 80, &p), RV_OK, "%s", rv_error_message());
    cr_expect_eq(p.train.n, 29000);
    cr_expect_eq(p.valid.n, 1014);
    cr_expect_eq(p.test.n, 1000);
    cr_expect_eq(rv_tokenizer_size(p.src), 8000);
    cr_expect_str_eq(p.train.src[0].bytes, "Two young, White males are outside near many bushes.");
    for (int64_t i = 0; i < p.test.n; i++) {
        rv_text norm;
        cr_assert_eq(rv_text_normalise(p.test.tgt[i].bytes, p.test.tgt[i].len, RV_NORMAL_NFC, false, &norm), RV_OK);
        expect_side(p.tgt, p.test.tgt_ids, p.test.tgt_at, i, norm.bytes);
        rv_text_free(&norm);
    }
    rv_parallel_free(&p);
    rv_dataset_destroy(ds);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

/* One file for training and validation: pairs held back evenly, a source never in both parts, tokenizers from the
 * training part. */
Test(parallel, part_of_one_file_is_held_back, .init = setup, .fini = teardown) {
    char text[8192] = "", *end = text;
    for (int i = 0; i < 100; i++) end += sprintf(end, "s%02d\tt%02d\n", i / 2 * 2, i); /* each source twice */
    rv_parallel_files f = {.train = {put(0, text), NULL}, .train_fraction = 0.8};
    rv_parallel p, again;
    cr_assert_eq(rv_parallel_load(&f, &words, true, NULL, NULL, 80, &p), RV_OK, "%s", rv_error_message());
    cr_expect_eq(p.train.n, 80);
    cr_expect_eq(p.valid.n, 20);
    int held[2] = {0};
    for (int64_t i = 0; i < p.valid.n; i++) {
        held[atoi(p.valid.tgt[i].bytes + 1) >= 50]++;
        cr_expect_eq(p.valid.line[i], atoi(p.valid.tgt[i].bytes + 1));
        for (int64_t j = 0; j < p.train.n; j++) cr_expect_str_neq(p.valid.src[i].bytes, p.train.src[j].bytes);
        cr_expect_neq(p.train.tgt_ids[p.train.tgt_at[0]], p.valid.tgt_ids[p.valid.tgt_at[i]]);
        cr_expect_eq(p.valid.tgt_ids[p.valid.tgt_at[i]], rv_tokenizer_special(p.tgt, RV_UNK),
                     "the vocabulary knows the validation part");
    }
    cr_expect(held[0] == 10 && held[1] == 10, "%d and %d", held[0], held[1]);
    f.train_fraction = 0.7;
    cr_assert_eq(rv_parallel_load(&f, &words, true, NULL, NULL, 80, &again), RV_OK);
    cr_expect_eq(again.train.n, 70);
    cr_expect_neq(again.hash, p.hash);
    rv_parallel_free(&again);
    f.train_fraction = 0.8;
    cr_assert_eq(rv_parallel_load(&f, &words, true, NULL, NULL, 80, &again), RV_OK);
    cr_expect_eq(again.hash, p.hash);
    rv_parallel_free(&again);
    rv_parallel_free(&p);

    f = (rv_parallel_files){.train = {put(0, "\tb\nb\ta\nab\ta\nba\tc\n"), NULL}, .train_fraction = 0.5};
    cr_assert_eq(rv_parallel_load(&f, &words, true, NULL, NULL, 0, &p), RV_OK);
    cr_expect(p.train.n == 1 && p.train.empty == 1 && p.train.lines == 2 && p.train.line[0] == 2);
    rv_parallel_free(&p);

    f = (rv_parallel_files){.train = {put(0, "a\tb\na\tc\n"), NULL}, .train_fraction = 0.5};
    refuse(&f, &words, 0, RV_EDATA, SAY(path[0], "2 pairs cannot be cut", "data.train_fraction 0.5"));
    f.train_fraction = 1.5;
    refuse(&f, &words, 0, RV_EUSAGE, SAY("train fraction 1.5"));
    f = (rv_parallel_files){.train = {path[0], NULL}, .valid = {path[0], NULL}, .train_fraction = 0.5};
    refuse(&f, &words, 0, RV_EUSAGE, SAY("single file"));
    rv_tokenizer *tok; /* without <unk>: the message has the line of the file */
    rv_tokenizer_spec own = chars;
    own.specials = 1u << RV_PAD | 1u << RV_BOS | 1u << RV_EOS;
    cr_assert_eq(rv_tokenizer_train(&own, "ab", 2, &tok), RV_OK);
    f = (rv_parallel_files){.train = {put(0, "a\tb\nb\ta\nab\ta\nba\tc\n"), NULL}, .train_fraction = 0.5};
    cr_expect_eq(rv_parallel_load(&f, NULL, true, tok, NULL, 0, &p), RV_EDATA);
    snprintf(text, sizeof text, "%s:4: ", path[0]);
    cr_expect(!strncmp(rv_error_message(), text, strlen(text)), "%s", rv_error_message());
}

/* Labelled texts: what is held back, the same batches after a resume, data sets. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "data/dataset.h"
#include "data/labelled.h"
#include "data/pair_batch.h"

/* ---- holding back ---- */

/* 200 texts sorted by class, each twice. */
static const char *put_hundreds(int i) {
    FILE *f = fopen(path[i], "w");
    for (int k = 0; k < 200; k++) fprintf(f, "s%03d\t%d\n", k / 2, k / 100);
    fclose(f);
    return path[i];
}

Test(table, parts_of_one_file, .init = setup, .fini = teardown) {
    rv_table_files f = {.train = put_hundreds(0), .train_fraction = 0.7, .test_fraction = 0.1};
    rv_table t = load(&f), again = load(&f);
    const rv_table_part *part[] = {&t.train, &t.valid, &t.test}, *same[] = {&again.train, &again.valid, &again.test};
    static const int64_t sizes[] = {140, 40, 20};
    int64_t class[3][2] = {0};
    int seen[200] = {0}, of[100];
    for (int k = 0; k < 3; k++) {
        const rv_pairs *p = &part[k]->pairs;
        cr_assert(p->n == sizes[k] && p->lines == p->n && same[k]->pairs.n == p->n, "part %d: %lld", k,
                  (long long)p->n);
        for (int64_t i = 0; i < p->n; i++) {
            cr_assert(i == 0 || p->line[i] > p->line[i - 1]);
            cr_expect(same[k]->pairs.line[i] == p->line[i] && same[k]->label[i] == part[k]->label[i]);
            cr_expect(atoi(p->src[i].bytes + 1) == p->line[i] / 2 && part[k]->label[i] == p->line[i] / 100);
            class[k][part[k]->label[i]]++;
            if (!seen[p->line[i] ^ 1]) of[p->line[i] / 2] = k;
            cr_expect_eq(of[p->line[i] / 2], k, "equal texts one after another stay together");
            seen[p->line[i]]++;
        }
        cr_expect(llabs(class[k][0] - class[k][1]) <= 2, "spread evenly: %lld, %lld", (long long)class[k][0],
                  (long long)class[k][1]);
    }
    for (int i = 0; i < 200; i++) cr_expect_eq(seen[i], 1);
    cr_expect_eq(t.hash, again.hash);
    cr_expect_eq(t.valid.pairs.src_ids[0], RV_UNK, "the vocabulary is the training part's");
    rv_table_free(&again);
    f.train_fraction = 0.8;
    again = load(&f);
    cr_expect(again.train.pairs.n == 160 && again.valid.pairs.n == 20 && again.test.pairs.n == 20 &&
              again.hash != t.hash);
    rv_table_free(&again);
    rv_table_free(&t);
}

/* Either fraction alone; both together being all, which leaves nothing to validate; and a file beside a fraction. */
Test(table, fractions_alone, .init = setup, .fini = teardown) {
    const struct {
        double train, test;
        bool valid;
        int64_t n[3];
    } cases[] = {{0.9, 0, false, {180, 20, 0}}, {0, 0.1, false, {180, 0, 20}},  {0.8, 0.2, false, {160, 0, 40}},
                 {0, 0.1, true, {180, 1, 20}},  {0.9, 0.1, true, {180, 1, 20}}, {0.3, 0.35, false, {60, 70, 70}}};
    put_hundreds(0), put(1, "s\t0\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rv_table_files f = {.train = path[0],
                                  .valid = cases[i].valid ? path[1] : NULL,
                                  .train_fraction = cases[i].train,
                                  .test_fraction = cases[i].test};
        rv_table t = load(&f);
        cr_expect(t.train.pairs.n == cases[i].n[0] && t.valid.pairs.n == cases[i].n[1] &&
                      t.test.pairs.n == cases[i].n[2],
                  "case %zu: %lld, %lld, %lld", i, (long long)t.train.pairs.n, (long long)t.valid.pairs.n,
                  (long long)t.test.pairs.n);
        cr_expect(!t.valid.pairs.n == !t.valid.label && !t.test.pairs.n == !t.test.label);
        rv_table_free(&t);
    }
    rv_table_files f = {.train = put(0, "a\t0\nb\t1\nc\t0\n"), .train_fraction = 0.8, .test_fraction = 0.1};
    refuse(&f, 0, 0, SAY("3 texts", "data.train_fraction 0.8", "leave none for"));
}

/* ---- batches ---- */

Test(table, the_same_batches_after_a_resume, .init = setup, .fini = teardown) {
    const rv_table_files f = {.train = put(0, "a b c\t0\n\t1\na b\t1\na b c d\t0\nb\t1\nc c c\t0\nd\t0\n")};
    rv_table t = load(&f), again = load(&f);
    for (int mode = 0; mode < 4; mode++) {
        const bool by_tokens = mode & 1;
        const rv_pair_batch_spec spec = {.by_tokens = by_tokens,
                                         .size = by_tokens ? 8 : 2,
                                         .bucketing = mode & 2,
                                         .seed = 3,
                                         .marks = rv_source_marks_of(t.tokenizer)};
        rv_pair_batches *a, *b;
        rv_pair_batch x, y;
        cr_assert_eq(rv_pair_batches_create(&t.train.pairs, &spec, &a), RV_OK, "%s", rv_error_message());
        for (int step = 0; step < 9; step++) {
            cr_assert_eq(rv_pair_batches_create(&again.train.pairs, &spec, &b), RV_OK);
            cr_assert_eq(rv_pair_batches_seek(b, rv_pair_batches_cursor(a)), RV_OK);
            rv_pair_batches_next(a, &x);
            rv_pair_batches_next(b, &y);
            cr_assert(x.B == y.B && x.S == y.S && x.T == 0 && x.targets == x.B);
            cr_assert(!memcmp(x.src, y.src, (size_t)(x.B * x.S) * sizeof *x.src));
            for (int64_t r = 0; r < x.B; r++) {
                cr_assert_eq(t.train.label[x.index[r]], again.train.label[y.index[r]]);
                cr_assert_eq(x.src_lengths[r], rv_pairs_src_length(&t.train.pairs, x.index[r]) + 1);
                cr_assert_eq(x.src[r * x.S + x.src_lengths[r] - 1], RV_EOS);
                if (x.index[r] == 1) cr_assert_eq(x.src_lengths[r], 1, "an empty text is <eos> alone");
            }
            rv_pair_batches_destroy(b);
        }
        rv_pair_batches_destroy(a);
    }
    rv_table_free(&t);
    rv_table_free(&again);
}

/* ---- data sets ---- */

Test(table, roles_of_a_data_set) {
    char root[] = "/tmp/ravel-test-XXXXXX", file[80], command[160];
    cr_assert(mkdtemp(root));
    snprintf(file, sizeof file, "%s/d", root);
    cr_assert_eq(mkdir(file, 0777), 0);
    snprintf(file, sizeof file, "%s/d/manifest.json", root);
    setenv("RAVEL_DATASETS", root, 1);
    static const struct {
        const char *format, *roles;
        rv_status status;
        const char *say; /* in the message; or the files of train, valid and test, - for none */
        double train, test;
    } cases[] = {
        {"tsv", "\"train\": \"f\"", RV_OK, "f--", 0, 0},
        {"tsv", "\"train\": \"f\", \"valid\": \"g\"", RV_OK, "fg-", 0, 0},
        {"csv", "\"train\": \"f\", \"test\": \"g\"", RV_OK, "f-g", 0, 0},
        {"csv", "\"table\": \"f\"", RV_OK, "f--", 0.8, 0.1},
        {"tsv", "\"text\": \"f\"", RV_OK, "f--", 0.8, 0.1},
        {"csv", "\"valid\": \"f\"", RV_EDATA, "no 'train'; it has: valid", 0, 0},
        {"csv", "\"table\": \"f\", \"test\": \"g\"", RV_EDATA, "no 'train'; it has: table, test", 0, 0},
        {"pairs", "\"train\": \"f\"", RV_EDATA, "format pairs, has no labelled texts", 0, 0},
        {"text", "\"text\": \"f\"", RV_EDATA, "format text, has no labelled texts", 0, 0},
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
        rv_table_files got;
        cr_assert_eq(rv_dataset_open("d", &ds), RV_OK, "%s", rv_error_message());
        cr_expect_eq(rv_dataset_table_files(ds, &got), cases[i].status, "case %zu", i);
        if (cases[i].status != RV_OK)
            cr_expect(strstr(rv_error_message(), cases[i].say), "%s", rv_error_message());
        else {
            const char *const paths[] = {got.train, got.valid, got.test};
            for (int k = 0; k < 3; k++)
                cr_expect_eq(paths[k] ? *(strrchr(paths[k], '/') + 1) : '-', cases[i].say[k], "case %zu", i);
            cr_expect_eq(got.format, strcmp(cases[i].format, "csv") ? RV_TABLE_TSV : RV_TABLE_CSV);
            cr_expect(got.train_fraction == cases[i].train && got.test_fraction == cases[i].test && !got.label_column);
        }
        rv_dataset_destroy(ds);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

/* The data sets that classification experiments use, by their published counts. */
Test(table, real_data_sets) {
    static const struct {
        const char *name, *first, *label;
        int64_t n[3];
        int classes;
    } rows[] = {{"sst2", "a stirring , funny and finally transporting re imagining of beauty", "1", {6920, 872, 0}, 2},
                {"ag_news",
                 "Fears for T N pension after talks Unions representing workers at Turner   Newall say they are "
                 "'disappointed'",
                 "3",
                 {6080, 760, 760},
                 4}};
    if (!getenv("RAVEL_DATA_MIRROR")) cr_skip_test("RAVEL_DATA_MIRROR is not set");
    char root[] = "/tmp/ravel-test-XXXXXX", command[64];
    cr_assert(mkdtemp(root));
    setenv("RAVEL_DATA", root, 1);
    setenv("RAVEL_DATASETS", RV_TEST_DIR "/../datasets", 1);
    rv_log_set_level(RV_LOG_QUIET);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rv_dataset *ds;
        rv_table_files f;
        cr_assert_eq(rv_dataset_resolve(rows[i].name, &ds), RV_OK, "%s", rv_error_message());
        cr_assert_eq(rv_dataset_table_files(ds, &f), RV_OK, "%s", rv_error_message());
        rv_table t = load(&f), again = load(&f);
        const rv_table_part *part[] = {&t.train, &t.valid, &t.test};
        cr_assert_eq(t.n_classes, rows[i].classes);
        cr_expect_eq(t.hash, again.hash);
        for (int k = 0; k < 3; k++) {
            const rv_pairs *p = &part[k]->pairs;
            int64_t of[4] = {0};
            cr_expect_eq(p->n, rows[i].n[k], "%s %d: %lld", rows[i].name, k, (long long)p->n);
            for (int64_t e = 0; e < p->n; e++) of[part[k]->label[e]]++;
            for (int c = 0; c < t.n_classes && p->n; c++)
                cr_expect(llabs(of[c] * t.n_classes - p->n) < p->n / 3, "%s %d: %lld of class %d", rows[i].name, k,
                          (long long)of[c], c);
        }
        cr_expect_eq(strncmp(t.train.pairs.src[0].bytes, rows[i].first, strlen(rows[i].first)), 0, "%s",
                     t.train.pairs.src[0].bytes);
        cr_expect_str_eq(t.class_name[t.train.label[0]], rows[i].label);
        rv_table_free(&t);
        rv_table_free(&again);
        rv_dataset_destroy(ds);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

/* Labelled texts: how rows are read and refused, classes, ids. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "data/labelled.h"

/* ---- rows ---- */

Test(table, lines_of_tsv, .init = setup, .fini = teardown) {
    static const char *const forms[] = {"a \"cat\tpos\nthe, dog\tneg\n\tpos\n \xc2\xa0\tneg\nend\tpos\n",
                                        "\xef\xbb\xbf"
                                        "a \"cat\tpos\r\nthe, dog\t neg \r\n\r\n\tpos\r\n \xc2\xa0\tneg\r\nend\tpos",
                                        "a \"cat\tpos\r\nthe, dog\tneg\r\n\tpos \n\n\n \xc2\xa0\t neg\nend\tpos\n\n"};
    uint64_t hash = 0;
    for (int form = 0; form < 4; form++) {
        const rv_table_files f = {.train = form < 3 ? put(0, forms[form]) : put_gz(0, forms[0])};
        rv_table t = load(&f);
        expect_classes(&t, 2, NAMES("neg", "pos"));
        cr_assert(t.train.pairs.n == 5 && t.train.pairs.lines == 5 && !t.valid.pairs.n && !t.test.label);
        expect_row(&t, &t.train, 0, "a \"cat", "pos");
        expect_row(&t, &t.train, 1, "the, dog", "neg");
        expect_row(&t, &t.train, 2, "", "pos");
        expect_row(&t, &t.train, 3, "", "neg");
        expect_row(&t, &t.train, 4, "end", "pos");
        cr_expect(t.train.pairs.line[1] == 1 && t.train.pairs.line[2] == (form == 1 ? 3 : 2));
        cr_expect(!t.train.pairs.tgt_at && !t.train.pairs.tgt_ids && t.train.pairs.tgt_longest == 0);
        cr_expect(form == 0 || t.hash == hash, "form %d", form);
        hash = t.hash;
        rv_table_free(&t);
    }
}

Test(table, rows_of_csv, .init = setup, .fini = teardown) {
    static const char text[] = "\"3\",\"Fears, after talks\",\"He said \"\"no\"\".\"\n"
                               "4,plain title,\"two\nlines\r\nthree\"\r\n"
                               "\n"
                               " 3 ,\"\",\"\"\n"
                               "4,,only \"the\" second\n"
                               "\"4\",only the first,\n"
                               "3,\"back\\slash #39; &lt;b&gt; \\\"\"\\\",\"end\"";
    for (int form = 0; form < 2; form++) {
        const rv_table_files f = {.train = form ? put_gz(0, text) : put(0, text), .format = RV_TABLE_CSV};
        rv_table t = load(&f);
        expect_classes(&t, 2, NAMES("3", "4"));
        cr_assert_eq(t.train.pairs.n, 6);
        expect_row(&t, &t.train, 0, "Fears, after talks He said \"no\".", "3");
        expect_row(&t, &t.train, 1, "plain title two lines three", "4");
        expect_row(&t, &t.train, 2, "", "3");
        expect_row(&t, &t.train, 3, "only \"the\" second", "4");
        expect_row(&t, &t.train, 4, "only the first", "4");
        expect_row(&t, &t.train, 5, "back\\slash #39; &lt;b&gt; \\\"\\ end", "3");
        static const int64_t lines[] = {0, 1, 5, 6, 7, 8};
        cr_expect(!memcmp(t.train.pairs.line, lines, sizeof lines), "a row's line is where it begins");
        rv_table_free(&t);
    }
    rv_table t = load(&(rv_table_files){.train = put(0, "1,a\r\n2,\"b\"\r\r\n1,"), .format = RV_TABLE_CSV});
    cr_assert_eq(t.train.pairs.n, 3);
    expect_row(&t, &t.train, 1, "b", "2");
    expect_row(&t, &t.train, 2, "", "1");
    rv_table_free(&t);
}

/* Columns by number, in the order asked for; a header; all columns but the label's. */
Test(table, columns_and_header, .init = setup, .fini = teardown) {
    static const char csv[] = "id,class,\"the \nbody\",title\n1,x,\"b, c\",a\n2,y,d,\n";
    static const char tsv[] = "id\tclass\tbody\ttitle\n1\tx\tb, c\ta\n2\ty\td\t\n";
    for (int k = 0; k < 2; k++) {
        rv_table_files f = {.format = k ? RV_TABLE_CSV : RV_TABLE_TSV, .header = true, .label_column = 2};
        f.train = put(0, k ? csv : tsv), f.valid = put(1, k ? csv : tsv);
        rv_table t = load(&f);
        expect_row(&t, &t.train, 0, "1 b, c a", "x");
        expect_row(&t, &t.train, 1, "2 d", "y");
        cr_expect(t.train.pairs.n == 2 && t.valid.pairs.n == 2 && t.train.pairs.line[0] == 1 + k);
        const uint64_t hash = t.hash;
        rv_table_free(&t);
        f.n_text = 2, f.text_columns[0] = 4, f.text_columns[1] = 3;
        t = load(&f);
        expect_row(&t, &t.valid, 0, "a b, c", "x");
        expect_row(&t, &t.valid, 1, "d", "y");
        cr_expect_neq(t.hash, hash);
        rv_table_free(&t);
        f.n_text = 1, f.header = false, f.label_column = k ? 0 : 2;
        t = load(&f);
        expect_row(&t, &t.train, 1, "a", k ? "1" : "x");
        expect_classes(&t, 3, k ? NAMES("1", "2", "id") : NAMES("class", "x", "y"));
        rv_table_free(&t);
    }
}

Test(table, bad_rows_are_named, .init = setup, .fini = teardown) {
    rv_table_files tsv = {.train = path[0]}, csv = {.train = path[0], .format = RV_TABLE_CSV};
    put(0, "a\t0\n\nb\t1\nc 1\n");
    refuse(&tsv, 0, 4, SAY("no tab", "text, one tab, label"));
    put(0, "a\t0\nb\tc\t1\n");
    refuse(&tsv, 0, 2, SAY("several tabs", "data.text_columns"));
    put(0, "a\t0\n\xff\t1\n");
    refuse(&tsv, 0, 2, SAY("UTF-8", "iconv"));
    put(0, "a\t0\nb\t \n");
    refuse(&tsv, 0, 2, SAY("no label in column 2"));
    put_bytes(0, "a\t0\nb\t1\0\n", 9);
    refuse(&tsv, 0, 2, SAY("a label with a NUL in column 2"));
    put(0, "1,a\n2,\"b\nc\",d\n");
    refuse(&csv, 0, 2, SAY("3 columns", "1 has 2", "quotes"));
    put(0, "1,a\n2\n");
    refuse(&csv, 0, 2, SAY("one column"));
    put(0, "1,a,b\n2,\"x\ny\",c\n1,d\n");
    refuse(&csv, 0, 4, SAY("2 columns", "1 has 3"));
    put(0, "1,a\n2,\"b\n1,c\n2,d\n");
    refuse(&csv, 0, 2, SAY("a quote opens here", "\"\""));
    put(0, "1,\"a\"\n2,\"b\nb\"c\n");
    refuse(&csv, 0, 3, SAY("text after a closing quote"));
    put(0, "1,a\n,b\n");
    refuse(&csv, 0, 2, SAY("no label in column 1"));
    /* Across files, too; and a column that no row has. */
    put(0, "1,a\n2,b\n");
    csv.valid = put(1, "\n1,a,b\n");
    char first[80];
    snprintf(first, sizeof first, "where %s:1 has 2", path[0]);
    refuse(&csv, 1, 2, SAY("3 columns", first));
    csv.valid = NULL, csv.n_text = 1, csv.text_columns[0] = 3;
    refuse(&csv, 0, 1, SAY("2 columns", "data.text_columns names column 3"));
    csv.n_text = 0, csv.label_column = 4;
    refuse(&csv, 0, 1, SAY("2 columns", "data.label_column names column 4"));
    char wide[RV_TABLE_COLUMNS + 8] = "1";
    memset(wide + 1, ',', RV_TABLE_COLUMNS);
    csv.label_column = 1;
    put(0, wide);
    refuse(&csv, 0, 1, SAY("over 64 columns", "format"));
    wide[RV_TABLE_COLUMNS] = 0; /* one column less */
    char two[2 * sizeof wide];
    snprintf(two, sizeof two, "%s\n2%s", wide, wide + 1);
    put(0, two);
    rv_table t;
    cr_expect_eq(rv_table_load(&csv, &bytes, NULL, NULL, 0, 0, &t), RV_OK, "%s", rv_error_message());
    cr_expect(t.train.pairs.n == 2 && t.train.pairs.src[1].len == 0);
    rv_table_free(&t);
}

Test(table, bad_files_are_named, .init = setup, .fini = teardown) {
    rv_table_files f = {.train = put(0, "")};
    refuse(&f, 0, 0, SAY("the training part is empty"));
    f.train = put(0, "a\t0\nb\t1\n"), f.test = put(2, "\n\r\n");
    refuse(&f, 2, 0, SAY("the test part is empty"));
    f.test = NULL, f.header = true, f.valid = put(1, "text\tlabel\n");
    put(0, "text\tlabel\na\t0\nb\t1\n");
    refuse(&f, 1, 0, SAY("the validation part is empty"));
    f = (rv_table_files){.train = "/nonexistent/t"};
    refuse(&f, -1, 0, SAY("/nonexistent/t"));
    f = (rv_table_files){.train = put(0, "\t0\n\t1\n")};
    refuse(&f, 0, 0, SAY("empty"));
}

Test(table, bad_usage_is_refused, .init = setup, .fini = teardown) {
    const char *train = put(0, "a\t0\nb\t1\n");
    const struct {
        rv_table_files f;
        const char *say;
    } cases[] = {
        {{.train = train, .label_column = 65}, "data.label_column 65"},
        {{.train = train, .label_column = -1}, "data.label_column -1"},
        {{.train = train, .n_text = 64}, "64 columns"},
        {{.train = train, .n_text = -1}, "-1 columns"},
        {{.train = train, .n_text = 1, .text_columns = {0}}, "column 0"},
        {{.train = train, .n_text = 1, .text_columns = {2}}, "column 2 is the label's"},
        {{.train = train, .n_text = 2, .text_columns = {1, 1}}, "column 1 twice"},
        {{.train = train, .train_fraction = 1}, "train fraction 1"},
        {{.train = train, .train_fraction = -0.5}, "train fraction -0.5"},
        {{.train = train, .train_fraction = 0.8, .test_fraction = 0.3}, "test fraction 0.3"},
        {{.train = train, .test_fraction = 1}, "test fraction 1"},
        {{.train = train, .valid = train, .train_fraction = 0.5}, "the validation part"},
        {{.train = train, .test = train, .test_fraction = 0.5}, "the test part"},
        {{.test = train}, "no training texts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse_with(&cases[i].f, &words, NULL, 0, RV_EUSAGE, -1, 0, SAY(cases[i].say));
    const rv_table_files f = {.train = train};
    refuse_with(&f, &words, NAMES("0"), 1, RV_EUSAGE, -1, 0, SAY("1 classes"));
    refuse_with(&f, &words, NAMES("0", "1", "0"), 3, RV_EUSAGE, -1, 0, SAY("'0' is given twice"));
    rv_table t;
    cr_expect_eq(rv_table_load(&f, &words, NULL, NULL, 0, -1, &t), RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), "max_length -1"), "%s", rv_error_message());
    rv_tokenizer *tok;
    cr_assert_eq(rv_tokenizer_train(&bytes, "x", 1, &tok), RV_OK);
    cr_expect_eq(rv_table_load(&f, NULL, tok, NULL, 0, 0, &t), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "no <pad>, which classification needs"), "%s", rv_error_message());
}

/* ---- classes ---- */

Test(table, classes_are_sorted, .init = setup, .fini = teardown) {
    rv_table t = load(&(rv_table_files){.train = put(0, "a\t10\na\t9\na\t-1\na\t09\na\t9\n")});
    expect_classes(&t, 4, NAMES("-1", "09", "9", "10"));
    cr_expect(t.train.label[0] == 3 && t.train.label[1] == 2 && t.train.label[3] == 1 && t.train.label[4] == 2);
    rv_table_free(&t);
    t = load(&(rv_table_files){.train = put(0, "a\t10\na\t9\na\t-\na\t\xc3\xa9\na\tZ\na\ta b\n")});
    expect_classes(&t, 6, NAMES("-", "10", "9", "Z", "a b", "\xc3\xa9"));
    rv_table_free(&t);
    t = load(&(rv_table_files){.train = put(0, "a\t10000000000000000000\na\t9\n")}); /* too long for a number */
    expect_classes(&t, 2, NAMES("10000000000000000000", "9"));
    rv_table_free(&t);
}

Test(table, labels_must_be_classes, .init = setup, .fini = teardown) {
    rv_table_files f = {.train = put(0, "a\tpos\nb\tneg\n"), .valid = put(1, "x\tneg\n\ny\tnuetral\n")};
    refuse(&f, 1, 3, SAY("'nuetral'", "those of the training part: neg, pos", "take the row out"));
    f.valid = NULL, f.test = put(2, "x\tNEG\n");
    refuse(&f, 2, 1, SAY("'NEG'"));
    refuse_with(&f, &words, NAMES("pos", "other"), 2, RV_EDATA, 0, 2, SAY("'neg'", "the classes: pos, other"));
    f = (rv_table_files){.train = put(0, "\na\tpos\nb\tpos\n"), .test = put(2, "a\tneg\n")};
    refuse(&f, 0, 2, SAY("'pos' is the label of all 2", "two classes", "data.label_column"));
}

/* In whatever order a file has its rows, each class is cut as all are; the only text of one is trained on. */
Test(table, each_class_is_cut_alike, .init = setup, .fini = teardown) {
    for (int period = 1; period <= 10; period++) {
        FILE *f = fopen(path[0], "w");
        for (int i = 0; i < 400; i++) fprintf(f, "text %d\tclass %d\n", i, period > 9 ? i / 40 : i % (period + 1));
        fprintf(f, "alone\tlast\n");
        fclose(f);
        rv_table t = load(&(rv_table_files){.train = path[0], .train_fraction = 0.8, .test_fraction = 0.1});
        const int classes = period > 9 ? 10 : period + 1;
        const rv_table_part *part[] = {&t.train, &t.valid, &t.test};
        int64_t of[3][16] = {{0}};
        cr_assert_eq(t.n_classes, classes + 1);
        for (int k = 0; k < 3; k++)
            for (int64_t i = 0; i < part[k]->pairs.n; i++) of[k][part[k]->label[i]]++;
        for (int c = 0; c < classes; c++)
            for (int k = 0; k < 3; k++) {
                const double wanted = (k ? 0.1 : 0.8) * (double)(of[0][c] + of[1][c] + of[2][c]);
                cr_expect_float_eq((double)of[k][c], wanted, 1.0001, "period %d, class %d, part %d: %lld of %g", period,
                                   c, k, (long long)of[k][c], wanted);
            }
        cr_expect(of[0][classes] == 1 && of[1][classes] + of[2][classes] == 0);
        rv_table_free(&t);
    }
}

Test(table, too_many_classes, .init = setup, .fini = teardown) {
    FILE *f = fopen(path[0], "w");
    for (int i = 0; i <= RV_TABLE_CLASSES; i++) fprintf(f, "a\tclass %d of some\n", i);
    fclose(f);
    rv_table_files files = {.train = path[0]};
    refuse(&files, 0, RV_TABLE_CLASSES + 1, SAY("'class 65536 of some'", "one class over 65536", "column 2"));
    f = fopen(path[0], "w");
    for (int i = 0; i < RV_TABLE_CLASSES; i++) fprintf(f, "a\t%d\n", i);
    fclose(f);
    files.valid = put(1, "a\tx\n");
    refuse(&files, 1, 1, SAY(": 0, 1, 2,", ", 19 and 65516 more;"));
    files.valid = NULL;
    rv_table t = load(&files);
    cr_expect(t.n_classes == RV_TABLE_CLASSES && t.train.label[12345] == 12345);
    rv_table_free(&t);
}

/* As a trained model brings them: classes in its order, of which not all need occur, and its tokenizer; no training. */
Test(table, given_classes_and_tokenizer, .init = setup, .fini = teardown) {
    rv_table t = load(&(rv_table_files){.train = put(0, "a b\t1\nc\t0\n")}), u;
    rv_tokenizer *tok = t.tokenizer;
    t.tokenizer = NULL;
    const int32_t b = t.train.pairs.src_ids[1];
    rv_table_free(&t);
    const rv_table_files f = {.test = put(2, "b\tzero\nnew\tone\n")};
    char *names[] = {strdup("two"), strdup("one"), strdup("zero")};
    cr_assert_eq(rv_table_load(&f, NULL, tok, (const char *const *)names, 3, 0, &u), RV_OK, "%s", rv_error_message());
    for (int i = 0; i < 3; i++) free(names[i]); /* copied */
    cr_expect(u.tokenizer == tok && !u.train.pairs.n && u.test.pairs.n == 2);
    expect_classes(&u, 3, NAMES("two", "one", "zero"));
    cr_expect(u.test.label[0] == 2 && u.test.label[1] == 1);
    cr_expect(u.test.pairs.src_ids[0] == b && u.test.pairs.src_ids[1] == RV_UNK);
    rv_table_free(&u);
}

/* ---- ids ---- */

Test(table, the_tokenizer_sees_training_texts_alone, .init = setup, .fini = teardown) {
    const rv_table_files f = {.train = put(0, "ab\tx\nba\ty\n"), .valid = put(1, "az\tx\n")};
    rv_table t;
    cr_assert_eq(rv_table_load(&f, &chars, NULL, NULL, 0, 0, &t), RV_OK);
    cr_expect_eq(rv_tokenizer_size(t.tokenizer), 4 + 2, "nothing of labels, valid, or ends of lines");
    for (int k = RV_PAD; k <= RV_UNK; k++) cr_expect_eq(rv_tokenizer_special(t.tokenizer, (rv_special)k), k);
    cr_expect(t.valid.pairs.src_ids[0] == t.train.pairs.src_ids[0] && t.valid.pairs.src_ids[1] == RV_UNK);
    rv_table_free(&t);
    rv_tokenizer *tok;
    const rv_tokenizer_spec own = {.type = RV_TOKENS_CHAR, .specials = 1u << RV_PAD | 1u << RV_BOS | 1u << RV_EOS};
    cr_assert_eq(rv_tokenizer_train(&own, "ab", 2, &tok), RV_OK);
    cr_expect_eq(rv_table_load(&f, NULL, tok, NULL, 0, 0, &t), RV_EDATA);
    char at[80];
    snprintf(at, sizeof at, "%s:1: ", path[1]);
    cr_expect(!strncmp(rv_error_message(), at, strlen(at)), "%s", rv_error_message());
}

/* In all parts, with one warning; no example is left out. */
Test(table, long_texts_are_cut, .init = cr_redirect_stderr) {
    setup();
    const rv_table_files f = {.train = put(0, "a b c\t0\n\t1\na b\t1\na b c d\t0\n"),
                              .valid = put(1, "a\t0\n"),
                              .test = put(2, "c b a\t1\nb\t0\n")};
    rv_table t;
    rv_log_set_level(RV_LOG_INFO);
    cr_assert_eq(rv_table_load(&f, &words, NULL, NULL, 0, 2, &t), RV_OK);
    const rv_pairs *p = &t.train.pairs;
    cr_expect(p->n == 4 && t.train.cut == 2 && t.valid.cut == 0 && t.test.cut == 1 && t.test.pairs.n == 2);
    static const int64_t at[] = {0, 2, 2, 4, 6};
    cr_expect(!memcmp(p->src_at, at, sizeof at) && p->src_longest == 2 && t.test.pairs.src_longest == 2);
    cr_expect(p->src_ids[0] == p->src_ids[2] && p->src_ids[1] == p->src_ids[5] && p->src_ids[0] != p->src_ids[1]);
    expect_row(&t, &t.train, 3, "a b c d", "0"); /* the text stays whole */
    const uint64_t hash = t.hash;
    rv_table_free(&t);
    cr_assert_eq(rv_table_load(&f, &words, NULL, NULL, 0, 4, &t), RV_OK); /* says nothing */
    cr_expect(t.train.cut == 0 && t.train.pairs.src_longest == 4 && t.hash != hash);
    rv_table_free(&t);
    fflush(stderr);
    char said[512];
    FILE *err = cr_get_redirected_stderr();
    const size_t n = fread(said, 1, sizeof said - 1, err);
    said[n] = 0;
    cr_expect(strstr(said, "over 2 tokens") && strstr(said, "2 of 4 in training, 1 of 2 in test;"), "%s", said);
    cr_expect_eq(strchr(said, '\n'), said + n - 1, "one line: %s", said);
    teardown();
}

Test(table, the_hash_tells_what_changed, .init = setup, .fini = teardown) {
    static const struct {
        const char *train, *valid;
    } forms[] = {{"a b\t0\nc\t1\n", "d\t0\n"}, {"a b\t1\nc\t0\n", "d\t0\n"},   {"a\t0\nb c\t1\n", "d\t0\n"},
                 {"a b\t0\nc\t1\n", "e\t0\n"}, {"a b\t0\nc\t1\nd\t0\n", NULL}, {"a b\t0\nc\t1\n", "d\t1\n"},
                 {"a b0\t1\nc\t0\n", "d\t0\n"}};
    enum { FORMS = sizeof forms / sizeof *forms };
    uint64_t hash[FORMS];
    for (int i = 0; i < FORMS; i++) {
        const rv_table_files f = {.train = put(0, forms[i].train),
                                  .valid = forms[i].valid ? put(1, forms[i].valid) : NULL};
        rv_table t = load(&f), again = load(&f);
        hash[i] = t.hash;
        cr_expect_eq(again.hash, t.hash);
        for (int k = 0; k < i; k++) cr_expect_neq(hash[k], hash[i], "%d and %d", k, i);
        rv_table_free(&t);
        rv_table_free(&again);
    }
}

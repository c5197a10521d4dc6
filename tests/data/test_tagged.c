/* Tagged sentences: how both formats are read and refused, tags, forms and letters, pieces of words, what is held
 * back. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "data/tagged.h"

enum { FILES = 3 };
static char path[FILES][64];

static void setup(void) {
    for (int i = 0; i < FILES; i++) {
        snprintf(path[i], sizeof path[i], "/tmp/ravel-tagged-XXXXXX");
        int fd = mkstemp(path[i]);
        cr_assert(fd >= 0 && close(fd) == 0);
    }
    rv_log_set_level(RV_LOG_QUIET);
}

static void teardown(void) {
    for (int i = 0; i < FILES; i++) unlink(path[i]);
}

static const char *put_bytes(int i, const char *bytes, size_t n) {
    FILE *f = fopen(path[i], "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    return path[i];
}
static const char *put(int i, const char *bytes) { return put_bytes(i, bytes, strlen(bytes)); }
static const char *put_gz(int i, const char *bytes) {
    gzFile f = gzopen(path[i], "wb");
    cr_assert(f && gzputs(f, bytes) == (int)strlen(bytes) && gzclose(f) == Z_OK);
    return path[i];
}

static const rv_tokenizer_spec words = {.type = RV_TOKENS_WORD}, small = {.type = RV_TOKENS_WORD, .lowercase = true},
                               pieces = {.type = RV_TOKENS_BPE, .vocab_size = 266}, bytes = {.type = RV_TOKENS_BYTE},
                               chars = {.type = RV_TOKENS_CHAR};

static rv_tagged load_with(const rv_tagged_files *f, const rv_tokenizer_spec *spec, int64_t max_length) {
    rv_tagged t;
    cr_assert_eq(rv_tagged_load(f, spec, NULL, NULL, NULL, 0, max_length, &t), RV_OK, "%s", rv_error_message());
    return t;
}
static rv_tagged load(const rv_tagged_files *f) { return load_with(f, &words, 0); }

/* A part as text: "word/tag word/tag | word/tag". */
static const char *shown(const rv_tagged *t, const rv_tagged_part *part) {
    static char text[4096];
    size_t n = 0;
    text[0] = 0;
    for (int64_t i = 0; i < part->pairs.n; i++)
        for (int64_t j = part->word_at[i]; j < part->word_at[i + 1]; j++) {
            cr_assert(part->tag[j] >= 0 && part->tag[j] < t->n_tags && part->form[j] >= 0 &&
                      part->form[j] < t->forms.n);
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s/%s",
                                  j > part->word_at[i] ? " "
                                  : i                  ? " | "
                                                       : "",
                                  t->forms.text[part->form[j]], t->tag_name[part->tag[j]]);
        }
    return text;
}

/* Of words: the id of each is that of its form. */
static void check_ids(const rv_tagged *t, const rv_tagged_part *part) {
    cr_assert_eq(part->pairs.src_at[part->pairs.n], part->word_at[part->pairs.n]);
    cr_expect(!part->first && !part->pairs.tgt_at && !part->pairs.tgt);
    for (int64_t j = 0; j < part->word_at[part->pairs.n]; j++) {
        int32_t id;
        const char *word = t->forms.text[part->form[j]];
        cr_assert_eq(rv_word_id(t->tokenizer, word, strlen(word), &id), RV_OK);
        cr_expect_eq(part->pairs.src_ids[j], id, "word %s", word);
    }
}

/* Loading fails with this status, at this line of file `file` (0: no line, -1: no file), with these words; nothing is
 * left behind. */
static void refuse_with(const rv_tagged_files *f, const rv_tokenizer_spec *spec, const char *const *tags, int n_tags,
                        rv_status status, int file, int line, const char *const *say) {
    rv_tagged t;
    char at[100] = "";
    cr_expect_eq(rv_tagged_load(f, spec, NULL, NULL, tags, n_tags, 0, &t), status);
    if (file >= 0) snprintf(at, sizeof at, line ? "%s:%d: " : "%s: ", path[file], line);
    cr_expect(!strncmp(rv_error_message(), at, strlen(at)), "not at %s: %s", at, rv_error_message());
    for (; *say; say++) cr_expect(strstr(rv_error_message(), *say), "no '%s' in: %s", *say, rv_error_message());
    cr_expect(!t.tokenizer && !t.letters && !t.tag_name && !t.train.pairs.src && !t.valid.pairs.src && !t.forms.text);
}
#define SAY(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NAMES(...) ((const char *const[]){__VA_ARGS__})

static void refuse(rv_tagged_format format, const char *text, int line, const char *const *say) {
    refuse_with(&(rv_tagged_files){.train = put(0, text), .format = format}, &words, NULL, 0, RV_EDATA, 0, line, say);
}

/* ---- CoNLL-U ---- */

#define W(id, form, upos, xpos, feats) id "\t" form "\t_\t" upos "\t" xpos "\t" feats "\t0\troot\t_\t_\n"

Test(tagged, conllu, .init = setup, .fini = teardown) {
    static const char unix_text[] =
        "# newdoc\n# text = Vamonos al mar\n1-2\tVamonos\t_\t_\t_\t_\t_\t_\t_\t_\n" W("1", "Vamos", "VERB", "VX", "N=1")
            W("2", "nos", "PRON", "PX", "_") "2.1\tno\t_\tX\tX\t_\t_\t_\t0:x\t_\n" W("3", "#", "SYM", "SX", "_")
                W("4", "1 000", "NUM", "NX", "_") "\n\n# x\n\n" W("1", "nos", "PRON", "PX", "_");
    char dos[2048];
    size_t n = 0;
    for (const char *s = unix_text; *s; s++) {
        if (*s == '\n') dos[n++] = '\r';
        dos[n++] = *s;
    }
    dos[n - 2] = 0; /* nor has the last line an end */
    static const char *const want[] = {"Vamos/VERB nos/PRON #/SYM 1 000/NUM | nos/PRON",
                                       "Vamos/VX nos/PX #/SX 1 000/NX | nos/PX", "Vamos/N=1 nos/_ #/_ 1 000/_ | nos/_"};
    for (int form = 0; form < 3; form++)
        for (int field = 0; field < 3; field++) {
            const rv_tagged_files f = {.train = form == 0   ? put(0, unix_text)
                                                : form == 1 ? put(0, dos)
                                                            : put_gz(0, unix_text),
                                       .field = (rv_tagged_field)field};
            rv_tagged t = load(&f);
            cr_expect_str_eq(shown(&t, &t.train), want[field]);
            cr_assert_eq(t.train.pairs.n, 2);
            cr_expect(t.train.pairs.line[0] == 3 && t.train.pairs.line[1] == 12, "lines of the first words, from 0");
            cr_expect(t.train.pairs.src_longest == 4 && t.train.pairs.lines == 2 && !t.train.cut);
            cr_expect_str_eq(t.train.pairs.src[0].bytes, "Vamos nos # 1 000");
            cr_expect_eq(t.train.pairs.src[0].len, strlen("Vamos nos # 1 000"));
            cr_expect_str_eq(t.train.pairs.src[1].bytes, "nos");
            cr_expect_eq(t.train.pairs.src_ids[3], rv_tokenizer_special(t.tokenizer, RV_UNK), "a blank is in it");
            check_ids(&t, &t.train);
            cr_expect(!t.valid.pairs.n && !t.valid.tag && !t.test.pairs.src);
            rv_tagged_free(&t);
        }
}

Test(tagged, bad_conllu_is_refused_by_line, .init = setup, .fini = teardown) {
#define ONE W("1", "a", "X", "Y", "_")
    static const struct {
        const char *text;
        int line;
        const char *say;
    } rows[] = {
        {ONE "2\tb\tX\n", 2, "3 columns where a line of CoNLL-U has 10"},
        {ONE "2\tb\t_\tX\tX\t_\t0\tr\t_\t_\t_\n", 2, "over 10 columns"},
        {ONE W("3", "b", "X", "Y", "_"), 2, "word 3, where 2 is due"},
        {ONE W("1", "b", "X", "Y", "_"), 2, "missing empty line"},
        {"# x\n" W("2", "b", "X", "Y", "_"), 2, "word 2, where 1 is due"},
        {W("0", "b", "X", "Y", "_"), 1, "word 0, where 1 is due"},
        {W("x", "b", "X", "Y", "_"), 1, "'x' is no id"},
        {W("1-", "b", "X", "Y", "_"), 1, "'1-' is no id"},
        {W("1.2.3", "b", "X", "Y", "_"), 1, "'1.2.3' is no id"},
        {W("-1", "b", "X", "Y", "_"), 1, "'-1' is no id"},
        {W("99999999999999999999", "b", "X", "Y", "_"), 1, "is no id"},
        {W("", "b", "X", "Y", "_"), 1, "'' is no id"},
        {ONE W("2", " ", "X", "Y", "_"), 2, "no word in column 2"},
        {ONE W("2", "b", "", "Y", "_"), 2, "no tag in column 4"},
        {"\n# text = a\n\n", 0, "the training part has no words"},
        {"", 0, "the training part has no words"},
        {ONE "\n" ONE, 1, "'X' is the tag of all words"},
        {ONE "\n1\t\xff\n", 3, "not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refuse(RV_TAGGED_CONLLU, rows[i].text, rows[i].line, SAY(rows[i].say));
    static const char nul[] = ONE "2\ta\0b\t_\tX\tX\t_\t0\tr\t_\t_\n";
    put_bytes(0, nul, sizeof nul - 1);
    refuse_with(&(rv_tagged_files){.train = path[0]}, &words, NULL, 0, RV_EDATA, 0, 2, SAY("a NUL in the word"));
}

/* ---- columns ---- */

Test(tagged, columns, .init = setup, .fini = teardown) {
    static const struct {
        const char *text, *want;
        int word, tag;
    } rows[] = {
        {"a\tO\n#\tB-x\n#tag\tO\n\t\n\nb c\tO\n \t \nd\tI-x", "a/O #/B-x #tag/O | b c/O | d/I-x", 0, 0},
        {"\xef\xbb\xbf"
         "a\tO\r\n \r\n\r\n-DOCSTART-\tO\r\nb\tX\r\n",
         "a/O | b/X", 0, 0},
        {"# a comment\t of tabs\n# id 1\na\tO\n# \tX\n# more\nb\tO\n", "a/O #/X b/O", 0, 0},
        {"-DOCSTART- -X- O\n\n  a \r NN O \n# SYM X\n\n# id = 1 2\n# SYM X\n-DOCSTART-s Y Z\n",
         "a/O #/X | #/X -DOCSTART-s/Z", 0, 0},
        {"1\ta\tNN\tO\n2\tb\tVB\tX\n", "a/NN b/VB", 2, 3},
        {"1\ta\tNN\tO\n2\tb\tVB\tX\n", "a/O b/X", 2, 0},
        {"NN a\nVB b\n", "a/NN b/VB", 2, 1},
        {"a\t B  C \nb\tX\n\xc2\xa0\tX", "a/B  C b/X \xc2\xa0/X", 0, 0}, /* one that no tokenizer of words has */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rv_tagged_files f = {.train = put(0, rows[i].text),
                                   .format = RV_TAGGED_COLUMNS,
                                   .word_column = rows[i].word,
                                   .tag_column = rows[i].tag};
        rv_tagged t = load(&f);
        cr_expect_str_eq(shown(&t, &t.train), rows[i].want, "row %zu: %s", i, shown(&t, &t.train));
        check_ids(&t, &t.train);
        rv_tagged_free(&t);
    }
}

Test(tagged, bad_columns_are_refused_by_line, .init = setup, .fini = teardown) {
    static const struct {
        const char *text;
        int line, word, tag;
        const char *say;
    } rows[] = {
        {"a\tX\nb\n", 2, 0, 0, "no tab: each line must be a word, a tab, its tag"},
        {"a\tX\n#\n", 2, 0, 0, "no tab"},
        {"a X\nb\n", 2, 0, 0, "one column"},
        {"a\tX\n\nb\tX\tY\n", 3, 0, 0, "3 columns, where line 1 has 2"},
        {"a X\nb  c X\n", 2, 0, 0, "3 columns, where line 1 has 2: correct the line, or part columns by tabs"},
        {"a\tX\n\tX\n", 2, 0, 0, "no word in column 1"},
        {"a\tX\nb\t\n", 2, 0, 0, "no tag in column 2"},
        {"a\tX\nb\tX\n", 1, 0, 3, "2 columns, but data.tag_column names column 3"},
        {"a\tX\nb\tX\n", 1, 9, 1, "2 columns, but data.word_column names column 9"},
        {"a\tX\nb\tX\n", 1, 2, 0, "column 2 has the words (data.word_column) and is the last"},
        {"# x\n\na\tX\nb\tX\n", 3, 0, 0, "'X' is the tag of all words"},
        {"# x\n# y\n-DOCSTART- X\n", 0, 0, 0, "has no words"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refuse_with(&(rv_tagged_files){.train = put(0, rows[i].text),
                                       .format = RV_TAGGED_COLUMNS,
                                       .word_column = rows[i].word,
                                       .tag_column = rows[i].tag},
                    &words, NULL, 0, RV_EDATA, 0, rows[i].line, SAY(rows[i].say));
    char many[512] = "";
    for (int i = 0; i < 65; i++) strcat(many, "x\t");
    refuse(RV_TAGGED_COLUMNS, many, 1, SAY("over 64 columns"));
    FILE *f = fopen(path[0], "w");
    for (int i = 0; i <= RV_TAGGED_TAGS; i++) fprintf(f, "w\tT%d\n", i);
    fclose(f);
    refuse_with(&(rv_tagged_files){.train = path[0], .format = RV_TAGGED_COLUMNS}, &words, NULL, 0, RV_EDATA, 0,
                RV_TAGGED_TAGS + 1, SAY("one tag over", "the last column (data.tag_column)"));
}

Test(tagged, what_cannot_be_asked_for, .init = setup, .fini = teardown) {
    const char *file = put(0, "a\tX\nb\tY\n");
    const rv_tagged_files f = {.train = file, .format = RV_TAGGED_COLUMNS};
    rv_tagged_files g = f;
    g.tag_column = 1;
    refuse_with(&g, &words, NULL, 0, RV_EUSAGE, -1, 0, SAY("data.tag_column 1: the words stand in that column"));
    g.tag_column = 65;
    refuse_with(&g, &words, NULL, 0, RV_EUSAGE, -1, 0, SAY("columns are 1 to 64"));
    g = (rv_tagged_files){.train = file, .tag_column = 2};
    refuse_with(&g, &words, NULL, 0, RV_EUSAGE, -1, 0, SAY("files of CoNLL-U have their columns"));
    g = (rv_tagged_files){.valid = file, .format = RV_TAGGED_COLUMNS};
    refuse_with(&g, &words, NULL, 0, RV_EUSAGE, -1, 0, SAY("no training sentences to learn from"));
    refuse_with(&f, &words, NAMES("X"), 1, RV_EUSAGE, -1, 0, SAY("1 tags, where 2 to"));
    refuse_with(&f, &words, NAMES("X", "X"), 2, RV_EUSAGE, -1, 0, SAY("the tag 'X' is given twice"));
    rv_tagged t;
    cr_expect_eq(rv_tagged_load(&f, &words, NULL, NULL, NULL, 0, -1, &t), RV_EUSAGE);
    g = (rv_tagged_files){.train = "/tmp/no/such/file"};
    cr_expect_eq(rv_tagged_load(&g, &words, NULL, NULL, NULL, 0, 0, &t), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "/tmp/no/such/file: cannot open"), "%s", rv_error_message());
    rv_tokenizer *tok; /* neither kind that is needed; both are taken over */
    cr_assert_eq(rv_tokenizer_train(&bytes, "x", 1, &tok), RV_OK);
    cr_expect_eq(rv_tagged_load(&f, &words, tok, NULL, NULL, 0, 0, &t), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "the tokenizer has no <pad>"), "%s", rv_error_message());
    cr_assert_eq(rv_tokenizer_train(&bytes, "x", 1, &tok), RV_OK);
    cr_expect_eq(rv_tagged_load(&f, &words, NULL, tok, NULL, 0, 0, &t), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "tokenizer of letters"), "%s", rv_error_message());
}

/* ---- tags ---- */

/* Tags are those of all parts: what training never shows counts as wrong, and is told of. */
Test(tagged, tags_that_training_lacks, .init = setup, .fini = teardown) {
    rv_tagged_files f = {.train = put(0, "a\tO\nb\tB-x\nc\tA\n"),
                         .valid = put(1, "a\tO\nb\tO\n\nd\tB-y\ne\tB-x\n"),
                         .format = RV_TAGGED_COLUMNS};
    cr_redirect_stderr();
    rv_log_set_level(RV_LOG_INFO);
    rv_tagged t = load(&f);
    fflush(stderr);
    char want[200];
    snprintf(want, sizeof want,
             "%s:4: the tag 'B-y' is not among those of the training part; 1 of 4 validation words have such tags",
             path[1]);
    FILE *err = cr_get_redirected_stderr();
    char said[1024] = "";
    cr_assert(fread(said, 1, sizeof said - 1, err));
    cr_expect(strstr(said, want), "%s", said);
    static const char *const names[] = {"A", "B-x", "B-y", "O"};
    cr_assert_eq(t.n_tags, 4);
    for (int i = 0; i < 4; i++) cr_expect_str_eq(t.tag_name[i], names[i]);
    cr_expect_str_eq(shown(&t, &t.valid), "a/O b/O | d/B-y e/B-x");
    rv_tagged_free(&t);
    put(1, "O\ta\nO\tb\nO\tc\n"); /* its columns are the other way round */
    refuse_with(&f, &words, NULL, 0, RV_EDATA, 1, 1, SAY("the tag 'a' is not among", "nor are those of 3 of the 3"));
}

Test(tagged, given_tags_and_tokenizers, .init = setup, .fini = teardown) {
    rv_tagged_files f = {.train = put(0, "a\tO\nB\tX\n"), .format = RV_TAGGED_COLUMNS};
    rv_tagged first = load(&f), t;
    rv_text vocab, merges;
    rv_tokenizer *tok[4];
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(rv_tokenizer_save(i & 1 ? first.letters : first.tokenizer, &vocab, &merges), RV_OK);
        cr_assert_eq(rv_tokenizer_load(vocab.bytes, vocab.len, merges.bytes, merges.len, &tok[i]), RV_OK);
        rv_text_free(&vocab);
        rv_text_free(&merges);
    }
    f = (rv_tagged_files){.test = put(1, "B\tO\n\naB\tX\n"), .format = RV_TAGGED_COLUMNS};
    cr_assert_eq(rv_tagged_load(&f, NULL, tok[0], tok[1], NAMES("X", "Z", "O"), 3, 0, &t), RV_OK, "%s",
                 rv_error_message());
    cr_expect(t.n_tags == 3 && t.tokenizer == tok[0] && t.letters == tok[1] && !t.train.pairs.n);
    cr_expect_str_eq(shown(&t, &t.test), "B/O | aB/X");
    cr_expect(t.test.tag[0] == 2 && t.test.tag[1] == 0);
    check_ids(&t, &t.test);
    cr_expect(t.forms.n == 2 && t.forms.known[0] && !t.forms.known[1], "what the tokenizer has was in training");
    rv_tagged_free(&t);
    put(1, "B\tO\n\naB\tY\n");
    cr_expect_eq(rv_tagged_load(&f, NULL, tok[2], tok[3], NAMES("X", "O"), 2, 0, &t), RV_EDATA);
    char at[128];
    snprintf(at, sizeof at, "%s:3: the tag 'Y' is not among those that were learnt: X, O;", path[1]);
    cr_expect(strstr(rv_error_message(), at), "%s", rv_error_message());
    rv_tagged_free(&first);
}

/* ---- words ---- */

Test(tagged, shapes) {
    static const struct {
        const char *word;
        rv_shape shape;
    } rows[] = {{"word", RV_SHAPE_LOWER},
                {"a1", RV_SHAPE_LOWER},
                {"\xe6\x97\xa5", RV_SHAPE_LOWER},
                {"Word", RV_SHAPE_FIRST},
                {"I", RV_SHAPE_FIRST},
                {"@Paul", RV_SHAPE_FIRST},
                {"\xc3\x89t\xc3\xa9", RV_SHAPE_FIRST},
                {"E\xcc\x81t", RV_SHAPE_FIRST},
                {"USA", RV_SHAPE_UPPER},
                {"U.S.", RV_SHAPE_UPPER},
                {"B2B", RV_SHAPE_UPPER},
                {"iPhone", RV_SHAPE_MIXED},
                {"McCain", RV_SHAPE_MIXED},
                {"1,000", RV_SHAPE_DIGITS},
                {"\xd9\xa3", RV_SHAPE_DIGITS},
                {"...", RV_SHAPE_OTHER},
                {"", RV_SHAPE_OTHER},
                {"\xff", RV_SHAPE_OTHER}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(rv_word_shape(rows[i].word, strlen(rows[i].word)), rows[i].shape, "%s", rows[i].word);
}

Test(tagged, letters_of_long_words) {
    rv_tokenizer *tok;
    const rv_tokenizer_spec spec = {.type = RV_TOKENS_CHAR, .specials = 1u << RV_UNK};
    cr_assert_eq(rv_tokenizer_train(&spec, "abcdefg", 7, &tok), RV_OK);
    static const struct {
        int64_t most, n;
        int32_t ids[8];
    } rows[] = {{0, 8, {1, 2, 3, 4, 0, 5, 6, 7}},
                {8, 8, {1, 2, 3, 4, 0, 5, 6, 7}},
                {5, 5, {1, 2, 3, 6, 7}},
                {2, 2, {1, 7}},
                {1, 1, {1}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int32_t *ids;
        int64_t n;
        cr_assert_eq(rv_word_letters(tok,
                                     "abcd\xc3\xa9"
                                     "efg",
                                     9, rows[i].most, &ids, &n),
                     RV_OK);
        cr_expect(n == rows[i].n && !memcmp(ids, rows[i].ids, (size_t)n * sizeof *ids), "row %zu", i);
        free(ids);
    }
    rv_tokenizer_destroy(tok);
}

/* Lower case is of the ids: letters and shape are of what is written. */
Test(tagged, forms_as_written, .init = setup, .fini = teardown) {
    const rv_tagged_files f = {.train = put(0, "The\tD\nthe\tD\nUN\tN\nThe\tD\n"),
                               .valid = put(1, "THE\tD\nthe\tN\nun\tN\n\xc3\xa9\tN\n"),
                               .format = RV_TAGGED_COLUMNS};
    rv_tagged t = load_with(&f, &small, 0);
    cr_assert_eq(t.forms.n, 6);
    static const char *const text[] = {"The", "the", "UN", "THE", "un", "\xc3\xa9"};
    static const bool known[] = {true, true, true, false, false, false};
    static const rv_shape shape[] = {RV_SHAPE_FIRST, RV_SHAPE_LOWER, RV_SHAPE_UPPER,
                                     RV_SHAPE_UPPER, RV_SHAPE_LOWER, RV_SHAPE_LOWER};
    for (int32_t i = 0; i < 6; i++) {
        cr_expect_str_eq(t.forms.text[i], text[i]);
        cr_expect(t.forms.known[i] == known[i] && t.forms.shape[i] == shape[i], "%s", text[i]);
    }
    const int32_t *ids = t.train.pairs.src_ids, unk = rv_tokenizer_special(t.tokenizer, RV_UNK);
    cr_expect(ids[0] == ids[1] && ids[0] == ids[3] && ids[0] != ids[2] && ids[0] != unk);
    cr_expect(t.valid.pairs.src_ids[0] == ids[0] && t.valid.pairs.src_ids[2] == ids[2] &&
              t.valid.pairs.src_ids[3] == unk);
    /* Letters by code point behind <unk>: N 1, T 2, U 3, e 4, h 5, t 6; training never had the others. */
    static const int32_t letters[] = {2, 5, 4, 6, 5, 4, 3, 1, 2, 0, 0, 0, 0, 0};
    static const int64_t at[] = {0, 3, 6, 8, 11, 13, 14};
    cr_assert_eq(rv_tokenizer_size(t.letters), 7);
    cr_expect(!memcmp(t.forms.letter_at, at, sizeof at) && !memcmp(t.forms.letter, letters, sizeof letters));
    rv_tagged_free(&t);
}

/* ---- pieces ---- */

Test(tagged, first_pieces, .init = setup, .fini = teardown) {
    const rv_tagged_files f = {.train = put(0, "abab\tX\nabab\tY\nxyab\tX\n\nabab\tX\nz\tY\n"),
                               .format = RV_TAGGED_COLUMNS};
    static const rv_tokenizer_spec *const specs[] = {&pieces, &bytes, &chars};
    for (int k = 0; k < 3; k++) {
        rv_tagged t = load_with(&f, specs[k], 0);
        cr_assert(t.train.first && t.train.pairs.n == 2);
        cr_expect_str_eq(shown(&t, &t.train), "abab/X abab/Y xyab/X | abab/X z/Y");
        for (int64_t i = 0; i < 2; i++) { /* as pieces of the sentence */
            const int32_t *ids = t.train.pairs.src_ids + t.train.pairs.src_at[i];
            int32_t *whole;
            int64_t n;
            const rv_text *src = &t.train.pairs.src[i];
            cr_assert_eq(rv_tokenizer_encode(t.tokenizer, src->bytes, src->len, &whole, &n), RV_OK);
            cr_assert_eq(t.train.pairs.src_at[i + 1] - t.train.pairs.src_at[i], n);
            cr_expect(!memcmp(ids, whole, (size_t)n * sizeof *ids));
            free(whole);
            int64_t at = 0; /* each first piece is where its word begins, or the blank that is part of it */
            for (int64_t j = t.train.word_at[i], piece = 0; j < t.train.word_at[i + 1]; j++) {
                rv_text before;
                const int32_t first = t.train.first[j];
                cr_assert(first >= piece && first < n);
                piece = first + 1;
                cr_assert_eq(rv_tokenizer_decode(t.tokenizer, ids, first, &before), RV_OK);
                cr_expect((int64_t)before.len == at || ((int64_t)before.len == at - 1 && k == 0 && at), "word %d: %zu",
                          (int)j, before.len);
                rv_text_free(&before);
                at += (int64_t)strlen(t.forms.text[t.train.form[j]]) + 1;
            }
        }
        if (k) cr_expect(t.train.first[1] == 5 && t.train.first[2] == 10 && t.train.first[4] == 5);
        rv_tagged_free(&t);
    }
}

Test(tagged, cut_by_whole_words, .init = setup, .fini = teardown) {
    const rv_tagged_files f = {.train = put(0, "aa\tX\nbb\tY\ncccc\tX\ndd\tY\n\neeeeeeeee\tX\nf\tY\n\ng\tY\nh\tX\n"),
                               .format = RV_TAGGED_COLUMNS};
    cr_redirect_stderr();
    rv_log_set_level(RV_LOG_INFO);
    rv_tagged t = load_with(&f, &bytes, 6); /* aa, " bb"; then " cccc" is too much, and so would be " dd" */
    fflush(stderr);
    char said[1024] = "";
    cr_assert(fread(said, 1, sizeof said - 1, cr_get_redirected_stderr()));
    cr_expect(strstr(said, "sentences of over 6 tokens are cut to these, by whole words: 2 of 3 in training"), "%s",
              said);
    cr_expect_str_eq(shown(&t, &t.train), "aa/X bb/Y | eeeeeeeee/X | g/Y h/X");
    cr_expect(t.train.cut == 2 && t.train.pairs.n == 3 && t.train.pairs.src_longest == 6);
    static const int64_t at[] = {0, 5, 11, 14};
    cr_expect(!memcmp(t.train.pairs.src_at, at, sizeof at));
    const uint64_t hash = t.hash;
    rv_tagged_free(&t);
    t = load_with(&f, &words, 2);
    cr_expect_str_eq(shown(&t, &t.train), "aa/X bb/Y | eeeeeeeee/X f/Y | g/Y h/X");
    cr_expect(t.train.cut == 1 && t.hash != hash);
    check_ids(&t, &t.train);
    rv_tagged_free(&t);
    t = load_with(&f, &words, 4);
    cr_expect(!t.train.cut && t.train.word_at[3] == 8);
    rv_tagged_free(&t);
}

/* ---- parts ---- */

Test(tagged, held_back, .init = setup, .fini = teardown) {
    char text[8192] = "";
    for (int i = 0; i < 100; i++) sprintf(text + strlen(text), "w%d\tX\nv\tY\n\n", i);
    const rv_tagged_files f = {
        .train = put(0, text), .format = RV_TAGGED_COLUMNS, .train_fraction = 0.8, .test_fraction = 0.1};
    rv_tagged t = load(&f), again = load(&f);
    cr_expect(t.train.pairs.n == 80 && t.valid.pairs.n == 10 && t.test.pairs.n == 10 && t.hash == again.hash);
    bool seen[100] = {false};
    const rv_tagged_part *parts[] = {&t.train, &t.valid, &t.test};
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < parts[k]->pairs.n; i++) {
            const int32_t form = parts[k]->form[parts[k]->word_at[i]];
            const int number = atoi(t.forms.text[form] + 1);
            cr_assert(!seen[number]);
            seen[number] = true;
            cr_expect_eq(parts[k]->pairs.line[i], 3 * number);
            cr_expect(t.forms.known[form] == (k == 0) &&
                      !strncmp(parts[k]->pairs.src[i].bytes, t.forms.text[form], strlen(t.forms.text[form])));
            check_ids(&t, parts[k]);
        }
    cr_expect(t.valid.pairs.src_ids[0] == rv_tokenizer_special(t.tokenizer, RV_UNK));
    rv_tagged_free(&t);
    rv_tagged_free(&again);
    put(0, "a\tX\n\nb\tY\n");
    refuse_with(&f, &words, NULL, 0, RV_EDATA, 0, 0, SAY("2 sentences at data.train_fraction 0.8", "leave none for"));
    rv_tagged_files both = f;
    both.test = put(1, "a\tX\n");
    refuse_with(&both, &words, NULL, 0, RV_EUSAGE, 1, 0, SAY("cannot be a file and a fraction of train's"));
}

Test(tagged, the_hash_knows_words_and_tags, .init = setup, .fini = teardown) {
    static const char *const texts[] = {"a\tX\nb\tY\n\nc\tX\n", "a\tX\nb\tX\n\nc\tY\n", "a\tX\nd\tY\n\nc\tX\n",
                                        "a\tX\n\nb\tY\nc\tX\n", "a\tX\nb\tY\n\nc\tX\n\n# x\n"};
    uint64_t hash[5];
    for (int i = 0; i < 5; i++) {
        rv_tagged t = load(&(rv_tagged_files){.train = put(0, texts[i]), .format = RV_TAGGED_COLUMNS});
        hash[i] = t.hash;
        for (int k = 0; k < i; k++) cr_expect((hash[k] == hash[i]) == (k == 0 && i == 4), "%d and %d", k, i);
        rv_tagged_free(&t);
    }
}

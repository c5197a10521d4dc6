/* The YAML reader: every refusal with its exact place, includes, merging, assignments, ${name}, and limits in time. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/yaml.h"

/* What rv_yaml_finish says of a text ("" if nothing); the caller frees. */
static char *mistakes(const char *text, size_t len) {
    rv_yaml *y = rv_yaml_create();
    cr_assert_eq(rv_yaml_parse(y, "t.yaml", text, len), RV_OK);
    if (rv_yaml_root(y)) rv_yaml_substitute(y);
    rv_status s = rv_yaml_finish(y);
    char *r = strdup(s == RV_OK ? "" : rv_error_message());
    if (s != RV_OK) cr_assert_eq(s, RV_EUSAGE);
    rv_yaml_destroy(y);
    return r;
}

typedef struct {
    const char *text;
    size_t len;       /* 0: strlen */
    const char *want; /* the message must start so */
} refusal;

static const refusal refusals[] = {
    {"a: &x 1\n", 0, "t.yaml:1:4: anchor '&x' is not allowed"},
    {"a: 1\nb: *a\n", 0, "t.yaml:2:4: alias '*a' is not allowed"},
    {"a: 1\nb: {c: !!int 3}\n", 0, "t.yaml:2:8: tag 'tag:yaml.org,2002:int' is not allowed"},
    {"a: ! 3\n", 0, "t.yaml:1:4: tag '!' is not allowed"},
    {"a: !replace [1]\n", 0, "t.yaml:1:4: !replace stands before maps only"},
    {"a:\n  <<: {b: 1}\n", 0, "t.yaml:2:3: merge key '<<' is not allowed"},
    {"a: 1\nb: 2\na: 3\n", 0, "t.yaml:3:1: duplicate key 'a', first at line 1"},
    {"a: {b: 1, b: 2}\n", 0, "t.yaml:1:11: duplicate key 'b'"},
    {"a: 1\n---\nb: 2\n", 0, "t.yaml:2:1: a second document"},
    {"%TAG ! tag:x,2000:\n---\na: 1\n", 0, "t.yaml:1:1: a %TAG directive"},
    {"a: 1\nb: x\0y\n", 11, "t.yaml:2:5: a NUL byte"},
    {"a: \"x\\0\"\n", 0, "t.yaml:1:4: the value contains a NUL"},
    {"\xff\xfe"
     "a\0:\0",
     6, "t.yaml:1:1: the file is UTF-16 or UTF-32"},
    {"\xfe\xff\0a\0:", 6, "t.yaml:1:1: the file is UTF-16 or UTF-32"},
    {"\xff\xfe\0\0a\0\0\0", 8, "t.yaml:1:1: the file is UTF-16 or UTF-32"},
    {"\0\0\xfe\xff\0\0\0a", 8, "t.yaml:1:1: the file is UTF-16 or UTF-32"},
    {"a: 1\n\xc3\xa4: \xc3\xa4\xff\n", 0, "t.yaml:2:5: byte 0xff is not valid UTF-8"},
    {"a: \xc0\xaf\n", 0, "t.yaml:1:4: byte 0xc0 is not valid UTF-8"},
    {"a: \xed\xa0\x80\n", 0, "t.yaml:1:4: byte 0xed is not valid UTF-8"},
    {"a: \xf4\x90\x80\x80\n", 0, "t.yaml:1:4: byte 0xf4 is not valid UTF-8"},
    {"a: x\xc3", 0, "t.yaml:1:5: byte 0xc3 is not valid UTF-8"},
    {"a: x\x1b\n", 0, "t.yaml:1:5: control character U+001B"},
    {"a: x\xef\xbb\xbf\n", 0, "t.yaml:1:5: control character U+FEFF"},
    {"[a]: 1\n", 0, "t.yaml:1:1: a map or list cannot be a key"},
    {"a:\n  \"\": 1\n", 0, "t.yaml:2:3: a value without a key"},
    {"a: [1, 2\nb: 3\n", 0, "t.yaml:2:"},
    {"a: 1\n b: 2\n", 0, "t.yaml:2:3: mapping values are not allowed"},
    {"a: 'x\n", 0, "t.yaml:2:1: found unexpected end of stream"},
    {"- 1\n", 0, "t.yaml:1:1: expected 'key: value' lines"},
    {"!replace\na: 1\n", 0, "t.yaml:1:1: !replace at the top has nothing to replace"},
    {"just text\n", 0, "t.yaml:1:1: expected 'key: value' lines"},
    {"", 0, "t.yaml:1:1: the file is empty"},
    {"# nothing\n", 0, "t.yaml:1:1: the file is empty"},
    {"include: /etc/passwd\na: 1\n", 0, "t.yaml:1:1: include: is not allowed in a stored text"},
    {"a: \"${b}\"\n", 0, "t.yaml:1:4: unknown ${b}"},
    {"a: \"${\"\n", 0, "t.yaml:1:4: '${' without '}'"},
    {"a: x${b}\nb: y${a}\n", 0, "t.yaml:2:4: ${a} refers back to itself"},
};

Test(yaml, refusals) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        char *got = mistakes(r->text, r->len ? r->len : strlen(r->text));
        cr_expect(!strncmp(got, r->want, strlen(r->want)), "%s\n  gave: %s\n  want: %s", r->text, got, r->want);
        free(got);
    }
}

Test(yaml, goes_on_after_mistakes) {
    const char *text = "a: &x 1\nb: *x\na: 2\nc: !t 1\n";
    char *got = mistakes(text, strlen(text));
    cr_expect_str_eq(got,
                     "t.yaml:1:4: anchor '&x' is not allowed; write the value out, or share it with include:\n"
                     "t.yaml:2:4: alias '*x' is not allowed; write the value out, or put it in quotes if it is text\n"
                     "t.yaml:3:1: duplicate key 'a', first at line 1; remove one\n"
                     "t.yaml:4:4: tag '!t' is not allowed; the only tag is !replace, before a map");
    free(got);
}

static char *repeat(const char *s, int n) {
    size_t len = strlen(s);
    char *r = malloc(len * (size_t)n + 1);
    for (int i = 0; i < n; i++) memcpy(r + len * (size_t)i, s, len);
    r[len * (size_t)n] = 0;
    return r;
}

/* n copies of a piece after "a: ": refused within a second, at the place and for the reason given. */
static void bomb(const char *head, const char *piece, int n, const char *want) {
    char *body = repeat(piece, n), *text = NULL;
    cr_assert(asprintf(&text, "%s%s", head, body) > 0);
    double start = rv_now();
    char *got = mistakes(text, strlen(text));
    double took = rv_now() - start;
    cr_expect(strstr(got, want), "'%s%s...' gave '%.200s', not '%s'", head, piece, got, want);
    cr_expect(took < 1, "'%s%s...' took %.2f s", head, piece, took);
    free(body), free(text), free(got);
}

Test(yaml, bombs) {
    bomb("a: ", "[", 200000, "t.yaml:1:35: more than 32 maps and lists inside each other");
    bomb("a: ", "{", 200000, "maps and lists inside each other");
    bomb("a: ", "{b: ", 200000, "maps and lists inside each other");
    bomb("a: ", "[\n", 200000, "maps and lists inside each other");
    bomb("a:\n", "- ", 200000, "maps and lists inside each other");
    bomb("a:\n", "? ", 200000, "maps and lists inside each other");
    bomb("a: [", "x,", 200000, "more than 10000 keys and values");
    bomb("a: [", "{},", 200000, "more than 10000 keys and values");
    bomb("a: [", "{x},", 200000, "more than 10000 keys and values");
    bomb("", "x: 1\n", 100000, "\n... and 49");
    bomb("a: ", "x", 65537, "t.yaml:1:4: a value of 65537 bytes");
    bomb("a: \"", "\\x41", 200000, "t.yaml:");
    bomb("a: ", "x", RV_YAML_MAX_BYTES, "larger than 1024 KiB");
    bomb("a: |\n", " x\n", 300000, "a value of");
    bomb("a: |\n", " \n", 400000, ""); /* blank lines at the end count for nothing */
    bomb("a: ", "&x ", 200000, "t.yaml:");
    bomb("a: ", "!x", 200000, "t.yaml:");
    bomb("a: ", "'", 200001, "t.yaml:");
    bomb("", "%x y\n", 200000, "t.yaml:");
    bomb("a: [", "'x': ", 100000, "t.yaml:");
    bomb("a: ", "*x ", 100000, "t.yaml:");
    bomb("a: 1\n", "#[\n", 300000, ""); /* comments are no bomb */
    bomb("", "x: &a {\n", 100000, "t.yaml:");
}

/* Text built by ${name} is limited too: 2^16 bytes doubled 40 times, and one large text used everywhere. */
Test(yaml, substitution_bombs) {
    char text[8192] = "", *big = repeat("x", 60000), *uses = repeat("- ${a}\n", 4000), *all = NULL;
    size_t used = (size_t)sprintf(text, "v0: xxxxxxxxxxxxxxxx\n");
    for (int i = 1; i < 30; i++) used += (size_t)sprintf(text + used, "v%d: ${v%d}${v%d}\n", i, i - 1, i - 1);
    double start = rv_now();
    char *got = mistakes(text, used);
    cr_expect(strstr(got, "the text becomes too long by ${...}"), "%s", got);
    free(got);
    cr_assert(asprintf(&all, "a: %s\nb:\n%s", big, uses) > 0);
    got = mistakes(all, strlen(all));
    cr_expect(strstr(got, "the text becomes too long by ${...}"));
#ifdef RV_EMULATED
    cr_expect(rv_now() - start < 10); /* 2 to 3.4 under qemu on a busy machine */
#else
    cr_expect(rv_now() - start < 1);
#endif
    free(got), free(all), free(big), free(uses);
}

/* ---- accepted ---- */

static const char *text_at(rv_yaml *y, const char *path) {
    const rv_yaml_node *n = rv_yaml_root(y);
    char copy[128], *save, *word;
    snprintf(copy, sizeof copy, "%s", path);
    for (word = strtok_r(copy, ".", &save); word && n; word = strtok_r(NULL, ".", &save)) n = rv_yaml_get(n, word);
    return n && n->kind == RV_YAML_SCALAR ? n->text : NULL;
}

Test(yaml, tree_with_places) {
    const char *text = "\xef\xbb\xbf# comment\na: {b: [1, 'x y'], c: null}\n\xc3\xa4: \"${a_b} $${a} $x\"\na_b: no\nd: "
                       "|\n  two\n  lines\n";
    rv_yaml *y = rv_yaml_create();
    cr_assert_eq(rv_yaml_parse(y, "t", text, strlen(text)), RV_OK);
    cr_assert_eq(rv_yaml_substitute(y), RV_OK);
    cr_assert_eq(rv_yaml_finish(y), RV_OK, "%s", rv_error_message());
    cr_expect_str_eq(rv_yaml_source_text(y), text);
    cr_expect_str_eq(text_at(y, "a.c"), "null");
    cr_expect_str_eq(text_at(y, "\xc3\xa4"), "no ${a} $x");
    cr_expect_str_eq(text_at(y, "d"), "two\nlines\n");
    const rv_yaml_node *b = rv_yaml_get(rv_yaml_get(rv_yaml_root(y), "a"), "b");
    cr_assert(b && b->kind == RV_YAML_LIST && b->count == 2);
    cr_expect(b->line == 2 && b->column == 8 && b->key->column == 5);
    cr_expect(!b->first->quoted && b->first->next->quoted && b->first->next->column == 12);
    char where[64];
    rv_yaml_where(b, where, sizeof where);
    cr_expect_str_eq(where, "t:2:8");
    rv_yaml_destroy(y);
}

Test(yaml, assignments) {
    const char *text = "a: {b: 1, c: {d: 2}}\nl: [1, 2]\n";
    rv_yaml *y = rv_yaml_create();
    rv_yaml_parse(y, "t", text, strlen(text));
    rv_yaml_override(y, "a.c.d=[3, 4]");
    rv_yaml_override(y, "a.c.e=x=y");
    rv_yaml_override(y, "l={m: 5}");
    rv_yaml_override(y, "n.o.p='no'");
    rv_yaml_override(y, "a.b=6");
    rv_yaml_override(y, "a.b=7");
    cr_assert_eq(rv_yaml_finish(y), RV_OK, "%s", rv_error_message());
    cr_expect_str_eq(text_at(y, "a.b"), "7");
    cr_expect_str_eq(text_at(y, "a.c.e"), "x=y");
    cr_expect_str_eq(text_at(y, "l.m"), "5");
    cr_expect_str_eq(text_at(y, "n.o.p"), "no");
    const rv_yaml_node *d = rv_yaml_get(rv_yaml_get(rv_yaml_get(rv_yaml_root(y), "a"), "c"), "d");
    cr_expect(d && d->kind == RV_YAML_LIST && d->count == 2);
    rv_yaml_override(y, "a=!replace {z: 1}");
    cr_expect_null(text_at(y, "a.b"));
    cr_expect_str_eq(text_at(y, "a.z"), "1");

    static const char *const wrong[][2] = {
        {"a", "command line 'a': expected key.path=value"},
        {"=1", "command line '=1': expected key.path=value"},
        {".a=1", "command line '.a=1': '.a' is not a key path"},
        {"a.=1", "command line 'a.=1': 'a.' is not a key path"},
        {"a..b=1", "command line 'a..b=1': 'a..b' is not"},
        {"a=", "command line 'a=': no value after '='"},
        {"a={b: 1", "command line 'a={b: 1': "},
        {"a=&x 1", "command line 'a=&x 1': anchor '&x'"},
        {"a=1\n---\n2", "command line 'a=1\n---\n2': a second document"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rv_yaml *z = rv_yaml_create();
        rv_yaml_parse(z, "t", text, strlen(text));
        rv_yaml_override(z, wrong[i][0]);
        cr_expect_eq(rv_yaml_finish(z), RV_EUSAGE);
        cr_expect(!strncmp(rv_error_message(), wrong[i][1], strlen(wrong[i][1])), "%s: %s", wrong[i][0],
                  rv_error_message());
        rv_yaml_destroy(z);
    }
    rv_yaml_destroy(y);
}

/* ---- files ---- */

static char dir[] = "/tmp/ravel-yaml-XXXXXX";

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void enter(void) {
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
    cr_assert_eq(mkdir("sub", 0700), 0);
}

static void leave(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

Test(yaml_files, include_and_replace, .init = enter, .fini = leave) {
    write_file("sub/base.yaml", "include: root.yaml\na: {b: 1, c: {d: 2, e: 3}}\nm: {x: 1, y: 2}\nl: [1, 2, 3]\n");
    write_file("sub/root.yaml", "a: {b: 0, z: 9}\nr: root\n");
    write_file("exp.yaml", "include: sub/base.yaml\na: {c: {d: 4}}\nm: !replace {x: 5}\nl: [7]\n");
    rv_yaml *y = rv_yaml_create();
    cr_assert_eq(rv_yaml_load(y, "exp.yaml"), RV_OK);
    cr_assert_eq(rv_yaml_finish(y), RV_OK, "%s", rv_error_message());
    static const char *const want[][2] = {{"a.b", "1"},   {"a.z", "9"}, {"a.c.d", "4"},
                                          {"a.c.e", "3"}, {"m.x", "5"}, {"r", "root"}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        cr_assert_not_null(text_at(y, want[i][0]), "%s", want[i][0]);
        cr_expect_str_eq(text_at(y, want[i][0]), want[i][1]);
    }
    cr_expect_null(text_at(y, "m.y"));
    cr_expect_null(text_at(y, "include"));
    cr_expect_eq(rv_yaml_get(rv_yaml_root(y), "l")->count, 1);
    rv_yaml_problem(y, rv_yaml_get(rv_yaml_root(y), "r"), "wrong");
    cr_expect_eq(rv_yaml_finish(y), RV_EUSAGE);
    cr_expect_str_eq(rv_error_message(), "sub/root.yaml:2:4: wrong (included from sub/base.yaml:1:10, exp.yaml:1:10)");
    rv_yaml_destroy(y);
}

static void load_fails(const char *path, const char *want) {
    rv_yaml *y = rv_yaml_create();
    cr_assert_eq(rv_yaml_load(y, path), RV_OK);
    cr_expect_eq(rv_yaml_finish(y), RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), want), "%s gave '%s', not '%s'", path, rv_error_message(), want);
    rv_yaml_destroy(y);
}

Test(yaml_files, bad_files, .init = enter, .fini = leave, .timeout = 10) {
    char name[32], text[64];
    write_file("self.yaml", "a: 1\ninclude: self.yaml\n");
    write_file("ring1.yaml", "include: ring2.yaml\na: 1\n");
    write_file("ring2.yaml", "include: ./ring1.yaml\na: 1\n");
    write_file("lost.yaml", "include: nowhere.yaml\na: 1\n");
    write_file("fifo.yaml", "include: [fifo]\na: 1\n");
    write_file("odd.yaml", "include: {a: b}\na: 1\n");
    write_file("many.yaml", "include: [l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, "
                            "l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml,"
                            " l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, l.yaml, "
                            "l.yaml, l.yaml, l.yaml, l.yaml, l.yaml]\n");
    write_file("l.yaml", "a: 1\n");
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "deep%d.yaml", i);
        snprintf(text, sizeof text, "include: deep%d.yaml\na: 1\n", i + 1);
        write_file(name, text);
    }
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    load_fails("self.yaml", "self.yaml:2:10: include: self.yaml includes itself");
    load_fails(
        "ring1.yaml",
        "ring2.yaml:1:10: include: ./ring1.yaml includes itself; break the cycle (included from ring1.yaml:1:10)");
    load_fails("lost.yaml", "lost.yaml:1:10: cannot read the included file nowhere.yaml: No such file or directory");
    load_fails("fifo.yaml", "fifo.yaml:1:11: cannot read the included file fifo: not a regular file");
    load_fails("fifo", "fifo: cannot read the file: not a regular file");
    load_fails("odd.yaml", "odd.yaml:1:10: include: expected the path of a YAML file");
    load_fails("many.yaml", "include: more than 8 files inside each other or 32 in all");
    load_fails("deep0.yaml", "deep8.yaml:1:10: include: more than 8 files inside each other");
    load_fails("sub", "sub: cannot read the file: not a regular file");
    load_fails("none.yaml", "none.yaml: cannot read the file: No such file or directory");
}

static const char *word_at(const void *list, int i) { return ((const char *const *)list)[i]; }

Test(yaml, nearest) {
    static const char *const words[] = {"warmup_steps", "step_size", "gamma", "lr", NULL};
    cr_expect_eq(rv_yaml_nearest("warmup_step", word_at, words), 0);
    cr_expect_eq(rv_yaml_nearest("wramup_steps", word_at, words), 0);
    cr_expect_eq(rv_yaml_nearest("gama", word_at, words), 2);
    cr_expect_eq(rv_yaml_nearest("rl", word_at, words), 3);
    cr_expect_eq(rv_yaml_nearest("hidden", word_at, words), -1);
    cr_expect_eq(rv_yaml_nearest("", word_at, words), -1);
}

/* metrics.jsonl: exact text, valid JSON whatever is put in, and cutting back on resume. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>

#include "base/log.h"
#include "base/file.h"
#include "io/metrics.h"
#include "io/sample.h"

static char folder[256], file[400];
static void setup(void) {
    rv_log_set_level(RV_LOG_QUIET);
    snprintf(folder, sizeof folder, "%s", sample_folder());
    sample_path(file, folder, "metrics.jsonl");
}
static void teardown(void) {
    rv__io_set_hook(NULL, NULL);
    sample_remove(folder);
}
TestSuite(metrics, .init = setup, .fini = teardown);

static rv_metrics *open_at(int64_t step) {
    rv_metrics *m;
    cr_assert_eq(rv_metrics_open(file, step, NULL, &m), RV_OK, "%s", rv_error_message());
    return m;
}

static void put(rv_metrics *m, int64_t from, int64_t until) {
    for (int64_t s = from; s <= until; s++) {
        rv_metrics_begin(m, s, "train");
        rv_metrics_real(m, "loss", 1.0 / (double)s);
        rv_metrics_end(m);
    }
}

static char *text(void) {
    size_t n;
    return (char *)sample_read(file, &n);
}

Test(metrics, exact_text) {
    rv_metrics *m = open_at(-1);
    rv_metrics_begin(m, 12, "eval");
    rv_metrics_real(m, "loss", 1.0 / 3);
    rv_metrics_real(m, "ppl", 1e100);
    rv_metrics_real(m, "nan", NAN);
    rv_metrics_real(m, "inf", -INFINITY);
    rv_metrics_int(m, "tokens", -(1ll << 62));
    rv_metrics_text(m, "say \"x\"", "a\\b\n\t\x01 \xc3\xa9");
    rv_metrics_end(m);
    char *t = text(); /* before the file is closed: nothing waits in a buffer */
    cr_assert_str_eq(t, "{\"step\":12,\"kind\":\"eval\",\"loss\":0.333333333,\"ppl\":1e+100,\"nan\":null,\"inf\":null,"
                        "\"tokens\":-4611686018427387904,"
                        "\"say \\\"x\\\"\":\"a\\\\b\\n\\u0009\\u0001 \xc3\xa9\"}\n");
    free(t);
    rv_metrics_close(m);
}

/* Every pair of bytes, and cut characters, as a text: the line is JSON. */
Test(metrics, any_bytes_become_json) {
    rv_metrics *m = open_at(-1);
    static const char *const cases[] = {"\xe2\x82",     "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf0\x9f\x98",
                                        "\xed\xa0\x80", "\xc0\x80",     "\xf4\x90\x80\x80", "\xe0\x80\x80"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_metrics_begin(m, 0, "text");
        rv_metrics_text(m, "t", cases[i]);
        rv_metrics_end(m);
    }
    for (int a = 1; a < 256; a++) {
        rv_metrics_begin(m, a, "text");
        for (int b = 1; b < 256; b++) {
            char key[16], s[] = {(char)a, (char)b, 0};
            snprintf(key, sizeof key, "%d", b);
            rv_metrics_text(m, key, s);
        }
        rv_metrics_end(m);
    }
    rv_metrics_close(m);
    FILE *f = fopen(file, "r");
    char *line = NULL;
    size_t room = 0;
    int lines = 0;
    json_error_t e;
    for (ssize_t n; (n = getline(&line, &room, f)) > 0; lines++) {
        json_t *j = json_loadb(line, (size_t)n, 0, &e);
        cr_assert(j, "%s: %s", e.text, line);
        json_decref(j);
    }
    cr_assert_eq(lines, 255 + 8);
    free(line);
    fclose(f);
}

/* Stopped at any step, resumed at any checkpoint before it: the file of the run that was never stopped. */
Test(metrics, resume_gives_the_uninterrupted_file) {
    rv_metrics *m = open_at(-1);
    put(m, 1, 9);
    rv_metrics_close(m);
    char *whole = text();
    for (int stop = 1; stop <= 9; stop++) {
        for (int from = 0; from <= stop; from++) {
            m = open_at(-1);
            put(m, 1, stop);
            rv_metrics_close(m);
            FILE *f = fopen(file, "a"); /* killed within a line */
            fputs("{\"step\":1,\"kind\":\"tr", f);
            fclose(f);
            m = open_at(from);
            put(m, from + 1, 9);
            rv_metrics_close(m);
            char *t = text();
            cr_assert_str_eq(t, whole, "stopped at %d, resumed at %d", stop, from);
            free(t);
        }
    }
    free(whole);
}

Test(metrics, foreign_lines_go) {
    sample_write(file,
                 "{\"step\":1,\"kind\":\"a\"}\nnonsense\n{\"step\":x}\n\n{\"step\":2,\"kind\":\"b\"}\n{\"step\":-3,"
                 "\"kind\":\"b\"}\n",
                 74);
    rv_metrics_close(open_at(5));
    char *t = text();
    cr_assert_str_eq(t, "{\"step\":1,\"kind\":\"a\"}\n{\"step\":2,\"kind\":\"b\"}\n");
    free(t);
}

static int fail_at, seen;
static int fail_writes(void *user, rv__io_op op, const char *path, const char *to, const void *data, size_t n) {
    (void)user, (void)path, (void)to, (void)data, (void)n;
    return op != RV__IO_UNLINK && seen++ == fail_at ? ENOSPC : 0;
}

/* A failed line leaves no torn one behind, and the next line is written. */
Test(metrics, disk_error_loses_one_line) {
    rv_metrics *m = open_at(-1);
    put(m, 1, 1);
    fail_at = 0;
    rv__io_set_hook(fail_writes, NULL);
    put(m, 2, 3);
    rv__io_set_hook(NULL, NULL);
    rv_metrics_close(m);
    char *t = text();
    cr_assert_str_eq(
        t, "{\"step\":1,\"kind\":\"train\",\"loss\":1}\n{\"step\":3,\"kind\":\"train\",\"loss\":0.333333333}\n");
    free(t);
}

/* Any operation of the cutting fails: the old file is whole, or cut, never between; no temporary stays. */
Test(metrics, cutting_is_atomic) {
    rv_metrics *m = open_at(-1);
    put(m, 1, 4);
    rv_metrics_close(m);
    char *whole = text();
    for (fail_at = 0;; fail_at++) {
        sample_write(file, whole, strlen(whole));
        seen = 0;
        rv__io_set_hook(fail_writes, NULL);
        rv_status st = rv_metrics_open(file, 2, NULL, &m);
        rv__io_set_hook(NULL, NULL);
        char *t = text();
        size_t half = (size_t)(strstr(whole, "{\"step\":3") - whole);
        cr_assert(!strcmp(t, whole) || (strlen(t) == half && !strncmp(t, whole, half)), "operation %d: %s", fail_at, t);
        free(t);
        int n = 0;
        DIR *d = opendir(folder);
        while (readdir(d)) n++;
        closedir(d);
        cr_assert_eq(n, 3, "operation %d leaves a temporary", fail_at);
        if (st == RV_OK) break;
        cr_assert_null(m);
        cr_assert(strstr(rv_error_message(), file));
        const char *why = ": No space left on device (free some space, or choose another checkpoint.dir)";
        cr_assert(strstr(rv_error_message(), why), "%s", rv_error_message());
    }
    cr_assert_gt(fail_at, 4);
    rv_metrics_close(m);
    free(whole);
}

#define _GNU_SOURCE
#include "config/new.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETTINGS = 32, LABEL = 40 };

static const char *const comparison[] = {
    "compare={match: {by: parameters}, tune: {lr: [3e-4, 1e-3, 3e-3, 1e-2], train_steps: 300}, budget: {train_steps: "
    "1000}, seeds: [1, 2, 3]}",
    NULL,
};

/* ---- settings */

typedef struct {
    char *text[SETTINGS]; /* assignments */
    int n;
} settings;

static rv_status add(settings *s, const char *fmt, ...) RV_PRINTF(2, 3);
static rv_status add(settings *s, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    RV_ASSERT(s->n < SETTINGS);
    int n = vasprintf(&s->text[s->n], fmt, ap);
    va_end(ap);
    if (n < 0) return rv_error(RV_ENOMEM, "out of memory for a new experiment");
    s->n++;
    return RV_OK;
}

static rv_status add_all(settings *s, const char *const *text) {
    for (; *text; text++) RV_TRY(add(s, "%s", *text));
    return RV_OK;
}

static rv_status check_file(const char *path) {
    struct stat s;
    if (access(path, R_OK) || stat(path, &s))
        return rv_error(RV_EDATA, "%s: cannot read the file: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode)) return rv_error(RV_EDATA, "%s: it is a folder; name a file", path);
    if (rv_utf8_check(path, strlen(path)) >= 0)
        return rv_error(RV_EDATA, "%s: the name of a file in YAML has to be UTF-8; rename it", path);
    return RV_OK;
}

static rv_status add_text(settings *s, const char *key, const char *text) {
    char *quoted = rv_config_quote(text);
    if (!quoted) return RV_ENOMEM;
    rv_status status = add(s, "%s=%s", key, quoted);
    free(quoted);
    return status;
}

static rv_status add_file(settings *s, const char *key, const char *path) {
    if (!path) return RV_OK;
    RV_TRY(check_file(path));
    return add_text(s, key, path);
}

/* Of a text of pairs with more columns than two, as ManyThings has them, the first two. A pipe would give its text to
 * us. */
static rv_status add_columns(settings *s, const char *path) {
    struct stat st;
    rv_text text;
    if (stat(path, &st) || !S_ISREG(st.st_mode)) return RV_OK;
    RV_TRY(rv_text_load(path, &text));
    size_t whole, n = rv_text_line(text.bytes, text.len, &whole);
    const char *tab = memchr(text.bytes, '\t', n);
    bool more = tab && memchr(tab + 1, '\t', n - (size_t)(tab + 1 - text.bytes));
    rv_text_free(&text);
    return more ? add(s, "data.columns=[1, 2]") : RV_OK;
}

/* The file's name without folder and endings, with '-' for what a name of ours cannot have. */
static void plain_name(const char *path, const char *otherwise, char out[LABEL]) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base);
    if (n > 3 && !strcmp(base + n - 3, ".gz")) n -= 3;
    for (size_t i = n; i-- > 1;)
        if (base[i] == '.') {
            n = i;
            break;
        }
    while (n && strchr(".-", *base)) base++, n--;
    snprintf(out, LABEL, "%.*s", (int)n, base);
    bool any = false;
    for (char *c = out; *c; c++) {
        bool ok = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' ||
                  *c == '.' || *c == '-';
        if (!ok) *c = '-';
        any |= ok;
    }
    if (!any || out[0] == '-') snprintf(out, LABEL, "%s", otherwise);
}

/* ---- what is new */

static rv_status new_task(const rv_task_kind *kind, const rv__config_new_options *o, settings *s) {
    bool generated = false;
    char name[LABEL];
    for (const char *const *t = kind->start; *t; t++) generated |= strstr(*t, "generator:") != NULL;
    if (o->models)
        return rv_error(RV_EUSAGE, "%s: one word too many; name files with --train, --valid and --test", o->model[0]);
    if (generated && (o->train || o->valid || o->test))
        return rv_error(RV_EUSAGE, "task %s makes its data itself and takes no file", kind->name);
    if (!generated && !o->train)
        return rv_error(RV_EUSAGE, "task %s learns from a file; name it: ravel config new %s --train FILE", kind->name,
                        kind->name);
    if (o->test && !o->valid)
        return rv_error(RV_EUSAGE,
                        "--test goes with --valid; without them a part of --train's file is kept to validate on");
    plain_name(o->train ? o->train : kind->name, kind->name, name);
    RV_TRY(add_text(s, "name", name));
    RV_TRY(add(s, "task=%s", kind->name));
    RV_TRY(add_all(s, kind->start));
    RV_TRY(add_file(s, o->valid ? "data.train" : "data.path", o->train));
    RV_TRY(add_file(s, "data.valid", o->valid));
    if (kind->source->pairs && kind->head->reads == RV_READS_DECODER) RV_TRY(add_columns(s, o->train));
    return add_file(s, "data.test", o->test);
}

static rv_status new_comparison(const rv__config_new_options *o, settings *s) {
    if (o->train || o->valid || o->test)
        return rv_error(RV_EUSAGE, "a comparison is of experiment files: ravel config new compare A.yaml B.yaml");
    if (o->models < 2)
        return rv_error(
            RV_EUSAGE,
            "a comparison is of two experiment files or more; name them: ravel config new compare A.yaml B.yaml");
    RV_TRY(add(s, "compare.name=comparison"));
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    rv_status status = f ? RV_OK : rv_error(RV_ENOMEM, "out of memory for a new comparison");
    for (int i = 0; i < o->models && status == RV_OK; i++) {
        char label[LABEL];
        char *quoted = rv_config_quote(o->model[i]);
        status = quoted ? check_file(o->model[i]) : RV_ENOMEM;
        plain_name(o->model[i], "model", label);
        int same = 1;
        for (int k = 0; k < i; k++) {
            char other[LABEL];
            plain_name(o->model[k], "model", other);
            same += !strcmp(label, other);
        }
        fprintf(f, "%s%s", i ? ", " : "", label);
        if (same > 1) fprintf(f, "-%d", same);
        fprintf(f, ": %s", quoted ? quoted : "");
        free(quoted);
    }
    if (f && fclose(f) && status == RV_OK) status = rv_error(RV_ENOMEM, "out of memory for a new comparison");
    if (status == RV_OK) status = add(s, "compare.models={%s}", text);
    free(text);
    return status == RV_OK ? add_all(s, comparison) : status;
}

static rv_status unknown(const char *what) {
    char all[512] = "";
    int n;
    const rv_task_kind *kinds = rv_task_kinds(&n);
    for (int i = 0; i < n; i++) snprintf(all + strlen(all), sizeof all - strlen(all), "%s, ", kinds[i].name);
    return rv_error(RV_EUSAGE, "there is no task '%s'; there are: %sand compare", what, all);
}

/* kind: NULL for a comparison. */
static rv_status print(const settings *s, const rv_task_kind *kind) {
    rv_config *c;
    RV_TRY(rv_config_parse("new file", "{}", 2, s->n, (const char *const *)s->text, &c));
    char *text = rv_config_commented(c);
    rv_config_destroy(c);
    if (!text) return RV_ENOMEM;
    printf("# To run it, and to go on where it stopped: ravel %s THIS_FILE\n# What else a section takes: ravel config "
           "explain %s\n%s",
           kind ? "train" : "compare",
           !kind               ? "compare.cost"
           : kind->head->reads != RV_READS_DECODER ? "model.encoder"
                               : "model.decoder",
           text);
    free(text);
    return RV_OK;
}

rv_status rv__config_new(const rv__config_new_options *o) {
    settings s = {0};
    const bool compare = !strcmp(o->what, "compare");
    const rv_task_kind *kind = rv_task_find(o->what);
    if (!kind && !compare) return unknown(o->what);
    rv_status status = compare ? new_comparison(o, &s) : new_task(kind, o, &s);
    if (status == RV_OK) status = print(&s, kind);
    for (int i = 0; i < s.n; i++) free(s.text[i]);
    return status;
}

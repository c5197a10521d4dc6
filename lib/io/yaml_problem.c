#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/yaml_private.h"

static void add(rv_yaml *y, const rv_yaml_source *source, int line, int column, const char *fmt, va_list ap) {
    if (y->problems++ >= RV_YAML_MAX_PROBLEMS) return;
    rv__yaml_problem *p = &y->problem[y->problems - 1];
    *p = (rv__yaml_problem){.source = source ? source->index : 0, .line = line, .column = column};
    char what[1024], where[1024], chain[1024] = "";
    vsnprintf(what, sizeof what, fmt, ap);
    const char *label = source ? source->label : "settings";
    if (source && source->assignment)
        snprintf(where, sizeof where, "command line '%.200s'", label);
    else if (line)
        snprintf(where, sizeof where, "%.512s:%d:%d", label, line, column);
    else
        snprintf(where, sizeof where, "%.512s", label);
    size_t used = 0;
    for (const rv_yaml_source *s = source; s && s->from && used < sizeof chain; s = s->from)
        used += (size_t)snprintf(chain + used, sizeof chain - used, "%s%.200s:%d:%d", used ? ", " : " (included from ",
                                 s->from->label, s->from_line, s->from_column);
    if (asprintf(&p->text, "%s: %s%s%s", where, what, chain, used ? ")" : "") < 0) p->text = NULL;
}

void rv__yaml_problem_at(rv_yaml *y, const rv_yaml_source *source, int line, int column, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    add(y, source, line, column, fmt, ap);
    va_end(ap);
}

void rv_yaml_problem(rv_yaml *y, const rv_yaml_node *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (at)
        add(y, at->source, at->line, at->column, fmt, ap);
    else
        add(y, y->main, y->root ? y->root->line : 1, y->root ? y->root->column : 1, fmt, ap);
    va_end(ap);
}

int rv_yaml_problems(const rv_yaml *y) { return y->problems; }

static int by_place(const void *a, const void *b) {
    const rv__yaml_problem *p = a, *q = b;
    if (p->source != q->source) return p->source < q->source ? -1 : 1;
    if (p->line != q->line) return p->line < q->line ? -1 : 1;
    return (p->column > q->column) - (p->column < q->column);
}

rv_status rv_yaml_finish(rv_yaml *y) {
    if (y->no_memory) return rv_error(RV_ENOMEM, "out of memory while reading settings");
    if (!y->problems) return RV_OK;
    int kept = y->problems < RV_YAML_MAX_PROBLEMS ? y->problems : RV_YAML_MAX_PROBLEMS;
    qsort(y->problem, (size_t)kept, sizeof *y->problem, by_place);
    char *all = NULL;
    size_t size;
    FILE *f = open_memstream(&all, &size);
    if (!f) return rv_error(RV_ENOMEM, "out of memory while reporting mistakes in settings");
    for (int i = 0; i < kept; i++)
        fprintf(f, "%s%s", i ? "\n" : "", y->problem[i].text ? y->problem[i].text : "a mistake (out of memory)");
    if (y->problems > kept) fprintf(f, "\n... and %d more", y->problems - kept);
    fclose(f);
    rv_status status = rv_error(RV_EUSAGE, "%s", all ? all : "mistakes in the settings (out of memory)");
    free(all);
    return status;
}

void rv_yaml_where(const rv_yaml_node *at, char *buf, size_t size) {
    if (at->source->assignment)
        snprintf(buf, size, "command line '%s'", at->source->label);
    else
        snprintf(buf, size, "%s:%d:%d", at->source->label, at->line, at->column);
}

/* Edits (insert, delete, change, swap neighbours) that turn a into b; words over 63 characters count as far apart. */
static int edits(const char *a, const char *b) {
    enum { MAX = 64 };
    int n = (int)strlen(a), m = (int)strlen(b), row[3][MAX];
    if (n >= MAX || m >= MAX) return MAX;
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int d = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < d) d = up[j] + 1;
            if (now[j - 1] + 1 < d) d = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < d)
                d = up2[j - 2] + 1;
            now[j] = d;
        }
    }
    return row[n % 3][m];
}

int rv_yaml_nearest(const char *name, const char *(*known)(const void *ctx, int i), const void *ctx) {
    int len = (int)strnlen(name, 64),
        best = len / 3 + 1 < len ? len / 3 + 2 : len; /* accept a third of the letters wrong, and one */
    int near = -1;
    const char *word;
    for (int i = 0; (word = known(ctx, i)); i++) {
        int d = edits(name, word);
        if (d < best) best = d, near = i;
    }
    return near;
}

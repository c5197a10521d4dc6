#define _GNU_SOURCE
#include "eval/confusion.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_file.h"
#include "ravel.h"

enum { SHOWN = 20, NAME = 16 }; /* rows of a table; columns of a name in it */

typedef struct {
    int id;
    double there, told, right;
    double precision, recall, f1; /* NaN: of no examples */
} class_row;

static class_row measure(int C, const int64_t *confusion, int c) {
    class_row r = {.id = c, .right = (double)confusion[(int64_t)c * C + c]};
    for (int64_t k = 0; k < C; k++) {
        r.there += (double)confusion[(int64_t)c * C + k];
        r.told += (double)confusion[k * C + c];
    }
    r.precision = r.told > 0 ? r.right / r.told : NAN;
    r.recall = r.there > 0 ? r.right / r.there : NAN;
    r.f1 = r.told + r.there > 0 ? rv_f1(r.right, r.told, r.there) : NAN;
    return r;
}

/* ---- the table */

/* Columns of a name, cut to NAME; f NULL only measures. */
static int put_name(FILE *f, const char *name) {
    const size_t len = strlen(name);
    const int64_t n = rv_utf8_count(name, len);
    const bool cut = n > NAME;
    if (f)
        fprintf(f, "%.*s%s", (int)(cut ? rv_utf8_offset(name, len, NAME - 1) : len), name, cut ? "\xe2\x80\xa6" : "");
    return (int)(cut ? NAME : n);
}

static void pad(int n) { printf("%*s", n > 0 ? n : 0, ""); }

static void put_share(double v) {
    if (isnan(v))
        printf("%11s", "-");
    else
        printf("%11.4f", v);
}

static void put_measures(const class_row *r) {
    put_share(r->precision);
    put_share(r->recall);
    put_share(r->f1);
}

static int widest(int n, const class_row *row, const char *const *name) {
    int most = 4;
    for (int i = 0; i < n; i++) most = (int)fmax(most, put_name(NULL, name[row[i].id]));
    return most;
}

static void print_matrix(int C, const class_row *row, const char *const *name, const int64_t *confusion) {
    const int first = widest(C, row, name);
    int width[SHOWN];
    for (int c = 0; c < C; c++) {
        width[c] = put_name(NULL, name[c]);
        for (int r = 0; r < C; r++)
            width[c] = (int)fmax(width[c], snprintf(NULL, 0, "%lld", (long long)confusion[r * C + c]));
    }
    printf("\nconfusion: rows are the true classes, columns what was told\n");
    pad(first);
    for (int c = 0; c < C; c++) {
        pad(2 + width[c] - put_name(NULL, name[c]));
        put_name(stdout, name[c]);
    }
    printf("%11s%11s%11s\n", "precision", "recall", "F1");
    for (int r = 0; r < C; r++) {
        pad(first - put_name(stdout, name[r]));
        for (int c = 0; c < C; c++) printf("  %*lld", width[c], (long long)confusion[r * C + c]);
        put_measures(&row[r]);
        putchar('\n');
    }
}

/* The class that c is taken for most often when it is not told; -1: it always is. */
static int mistaken_for(int C, const int64_t *confusion, int c) {
    const int64_t *row = confusion + (int64_t)c * C;
    int best = -1;
    for (int k = 0; k < C; k++)
        if (k != c && row[k] > (best < 0 ? 0 : row[best])) best = k;
    return best;
}

static int worse_first(const void *a, const void *b) {
    const class_row *x = a, *y = b;
    if (x->f1 != y->f1) return x->f1 < y->f1 ? -1 : 1;
    if (x->there != y->there) return x->there > y->there ? -1 : 1;
    return x->id - y->id;
}

static void print_worst(int C, class_row *row, const char *const *name, const int64_t *confusion) {
    int n = 0;
    for (int i = 0; i < C; i++)
        if (!isnan(row[i].f1)) row[n++] = row[i];
    qsort(row, (size_t)n, sizeof *row, worse_first);
    const int shown = n < SHOWN ? n : SHOWN, first = widest(shown, row, name);
    printf("\nthe %d of %d classes with the least F1 (--json has all)\n", shown, C);
    pad(first);
    printf("%10s%11s%11s%11s  %s\n", "examples", "precision", "recall", "F1", "most often taken for");
    for (int i = 0; i < shown; i++) {
        const int other = mistaken_for(C, confusion, row[i].id);
        pad(first - put_name(stdout, name[row[i].id]));
        printf("%10.0f", row[i].there);
        put_measures(&row[i]);
        if (other >= 0) printf("  %s (%lld)", name[other], (long long)confusion[(int64_t)row[i].id * C + other]);
        putchar('\n');
    }
}

void rv__confusion_print(int C, const char *const *name, const int64_t *confusion) {
    class_row *row = malloc((size_t)C * sizeof *row);
    for (int c = 0; row && c < C; c++) row[c] = measure(C, confusion, c);
    if (row && C <= SHOWN) print_matrix(C, row, name, confusion);
    if (row && C > SHOWN) print_worst(C, row, name, confusion);
    free(row);
}

/* ---- JSON */

void rv__confusion_json(int C, const char *const *name, const int64_t *confusion, json_t *o) {
    json_t *names = json_array(), *rows = json_array(), *precision = json_array(), *recall = json_array(),
           *f1 = json_array();
    for (int c = 0; c < C; c++) {
        const class_row r = measure(C, confusion, c);
        json_t *row = json_array();
        for (int k = 0; k < C; k++) json_array_append_new(row, json_integer(confusion[(int64_t)c * C + k]));
        json_array_append_new(names, json_string(name[c]));
        json_array_append_new(rows, row);
        json_array_append_new(precision, rv_json_number(r.precision));
        json_array_append_new(recall, rv_json_number(r.recall));
        json_array_append_new(f1, rv_json_number(r.f1));
    }
    json_object_set_new(o, "classes", names);
    json_object_set_new(o, "confusion", rows);
    json_object_set_new(o, "precision", precision);
    json_object_set_new(o, "recall", recall);
    json_object_set_new(o, "class_f1", f1);
}

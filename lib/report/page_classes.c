/* What each class was taken for, model by model. */
#include <math.h>

#include "report/page_private.h"
#include "stats/stats.h"

static double count(const json_t *counts, size_t row, size_t column) {
    return json_number_value(json_array_get(json_array_get(counts, row), column));
}

static double sum_of_row(const json_t *counts, size_t n, size_t row) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += count(counts, row, k);
    return sum;
}

static double sum_of_column(const json_t *counts, size_t n, size_t column) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += count(counts, k, column);
    return sum;
}

static const char *share_of(rv__page *p, double part, double whole) {
    return whole > 0 ? rv__page_format(p, "%.1f", 100 * part / whole) : "\xe2\x80\x93";
}

static const char *caption_of(rv__page *p, const json_t *c) {
    const char *setting = rv__page_string(c, "setting");
    const double seeds = rv__page_real(c, "seeds");
    return rv__page_format(p, "%s%s%s%s", rv__page_string(c, "model"), *setting ? ", " : "", setting,
                           seeds > 1 ? rv__page_format(p, ", %.0f seeds together", seeds) : "");
}

enum { MARGINS = 2, ZEROS_MOST = 8 }; /* columns of recall and F1; more classes than that leave zeros blank */

/* Rows are the true classes, the last one precision; columns what was told, the last ones recall and F1. */
static void table(rv__page *p, const json_t *c) {
    const json_t *names = json_object_get(c, "classes"), *counts = json_object_get(c, "counts");
    const size_t n = json_array_size(names), rows = n + 2, columns = n + 1 + MARGINS;
    const char **cell = rv__page_alloc(p, sizeof *cell * rows * columns);
    double *share = rv__page_alloc(p, sizeof *share * rows * columns);
    if (!cell || !share) return;
    for (size_t i = 0; i < rows * columns; i++) share[i] = (double)NAN, cell[i] = "";
    cell[0] = rv__page_format(p, "true %s \xe2\x86\x93, told \xe2\x86\x92", rv__page_tagged(p) ? "tag" : "class");
    cell[n + 1] = "recall, %";
    cell[n + 2] = "F1, %";
    cell[(n + 1) * columns] = "precision, %";
    for (size_t k = 0; k < n; k++) {
        const double there = sum_of_row(counts, n, k), told = sum_of_column(counts, n, k), right = count(counts, k, k);
        const char *name = json_string_value(json_array_get(names, k)), **row = cell + (k + 1) * columns;
        cell[k + 1] = row[0] = name ? name : "";
        row[n + 1] = share_of(p, right, there);
        row[n + 2] = share_of(p, 2 * right, there + told);
        cell[(n + 1) * columns + k + 1] = share_of(p, right, told);
        for (size_t j = 0; j < n; j++) {
            const double of = count(counts, k, j);
            if (of > 0 || n <= ZEROS_MOST) row[j + 1] = rv__page_count(p, of);
            share[(k + 1) * columns + j + 1] = there > 0 ? of / there : 0;
        }
    }
    rv_page_shaded_table(p->f, (int)rows, (int)columns, cell, share, caption_of(p, c));
}

void rv__page_confusion(rv__page *p) {
    const json_t *list = rv__page_part(p, "confusion"), *c;
    const size_t n = json_array_size(json_object_get(json_array_get(list, 0), "classes"));
    if (!list) return;
    const bool words = rv__page_tagged(p);
    const char *const classes = words ? "tags" : "classes";
    rv__page_heading(p, words ? "What each tag was taken for" : "What each class was taken for");
    if (!rv__page_quality_of(p, "f1", rv__page_setting(p, 0)) && n > RV_F1_CLASSES)
        rv__page_note(
            p, rv__page_format(p, "Macro F1 is left out: its interval is computed of up to %d %s, and there are %zu.",
                               RV_F1_CLASSES, classes, n));
    if (!json_array_size(json_object_get(json_array_get(list, 0), "counts"))) {
        rv__page_note(
            p,
            rv__page_format(p, "%zu %s are too many for a table here; ravel eval lists those that a model tells worst.",
                            n, classes));
        return;
    }
    rv__page_note(p,
                  rv__page_format(p, "Counts of %s%s; the stronger a cell's ground, the larger its share of its row.",
                                  words ? "words of the " : "", rv__page_examples(p)));
    size_t i;
    json_array_foreach (list, i, c) table(p, c);
}

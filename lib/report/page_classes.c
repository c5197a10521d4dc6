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

/* Rows are the true classes, the last one precision; columns what was told, the last one recall. */
static void table(rv__page *p, const json_t *c) {
    const json_t *names = json_object_get(c, "classes"), *counts = json_object_get(c, "counts");
    const size_t n = json_array_size(names), columns = n + 2;
    const char **cell = rv__page_alloc(p, sizeof *cell * columns * columns);
    double *share = rv__page_alloc(p, sizeof *share * columns * columns);
    if (!cell || !share) return;
    for (size_t i = 0; i < columns * columns; i++) share[i] = (double)NAN;
    cell[0] = "true class \xe2\x86\x93, told \xe2\x86\x92";
    cell[n + 1] = "recall, %";
    cell[(n + 1) * columns] = "precision, %";
    cell[columns * columns - 1] = "";
    for (size_t k = 0; k < n; k++) {
        const double there = sum_of_row(counts, n, k), told = sum_of_column(counts, n, k), right = count(counts, k, k);
        const char *name = json_string_value(json_array_get(names, k));
        cell[k + 1] = cell[(k + 1) * columns] = name ? name : "";
        cell[(k + 1) * columns + n + 1] = share_of(p, right, there);
        cell[(n + 1) * columns + k + 1] = share_of(p, right, told);
        for (size_t j = 0; j < n; j++) {
            const size_t at = (k + 1) * columns + j + 1;
            cell[at] = rv__page_count(p, count(counts, k, j));
            share[at] = there > 0 ? count(counts, k, j) / there : 0;
        }
    }
    rv_page_shaded_table(p->f, (int)columns, (int)columns, cell, share, caption_of(p, c));
}

void rv__page_confusion(rv__page *p) {
    const json_t *list = rv__page_part(p, "confusion"), *c;
    const size_t n = json_array_size(json_object_get(json_array_get(list, 0), "classes"));
    if (!list) return;
    rv__page_heading(p, "What each class was taken for");
    if (!rv__page_quality_of(p, "f1", rv__page_setting(p, 0)) && n > RV_F1_CLASSES)
        rv__page_note(
            p,
            rv__page_format(p, "Macro F1 is left out: its interval is computed of up to %d classes, and there are %zu.",
                            RV_F1_CLASSES, n));
    if (!json_array_size(json_object_get(json_array_get(list, 0), "counts"))) {
        rv__page_note(
            p,
            rv__page_format(
                p, "%zu classes are too many for a table here; ravel eval lists those that a model tells worst.", n));
        return;
    }
    rv__page_note(p, rv__page_format(p, "Counts of %s; the stronger a cell's ground, the larger its share of its row.",
                                     rv__page_examples(p)));
    size_t i;
    json_array_foreach (list, i, c) table(p, c);
}

/* "confusion" of a report: what each class was taken for. */
#include "compare/report_quality_private.h"

/* How often each true class was taken for each, over the model's seeds, which have the same ones (check_group). */
static json_t *counts_of(const rv__quality *d, const rv__group *g, int n_classes) {
    int64_t counts[RV__PAGE_CLASSES][RV__PAGE_CLASSES] = {0};
    for (int k = 0; k < g->n; k++) {
        const rv__examples *e = &d->e[g->run[k]];
        for (int64_t i = 0; e->n && i < e->class_at[e->n]; i++) counts[e->class[0][i]][e->class[1][i]]++;
    }
    json_t *rows = json_array();
    for (int label = 0; label < n_classes; label++) {
        json_t *row = json_array();
        for (int said = 0; said < n_classes; said++) json_array_append_new(row, json_integer(counts[label][said]));
        json_array_append_new(rows, row);
    }
    return rows;
}

void rv__report_confusion(const rv__quality *d, const char *setting, const rv__group *g, json_t *list) {
    for (int k = 0; k < d->in->n_models; k++) {
        const rv__examples *e = g[k].n ? &d->e[g[k].run[0]] : NULL;
        if (!e || !e->n_classes) continue;
        json_t *counts = e->n_classes <= RV__PAGE_CLASSES ? counts_of(d, &g[k], e->n_classes) : json_null();
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:O, s:o}", "setting", setting, "model", g[k].model,
                                              "of", e->tags ? "words" : "texts", "seeds", g[k].n, "classes",
                                              e->class_name, "counts", counts));
    }
}

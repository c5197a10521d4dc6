#include "eval/spans.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/json_file.h"

static void print_share(double v) {
    if (isnan(v))
        printf("%11s", "-");
    else
        printf("%11.4f", v);
}

static void print_row(int width, const char *name, const rv_span_counts *c) {
    printf("%-*s%10lld%10lld%10lld", width, name, (long long)c->gold, (long long)c->told, (long long)c->right);
    print_share(rv_spans_precision(c));
    print_share(rv_spans_recall(c));
    print_share(rv_spans_f1(c));
    putchar('\n');
}

void rv__spans_print(const rv_span_tags *tags, const rv_span_counts *of) {
    rv_span_counts all = {0};
    int width = 4;
    for (int i = 0; i < tags->n_types; i++) width = (int)fmax(width, (double)strlen(tags->type_name[i]) + 1);
    printf("\nspans: exact ones, as the CoNLL script counts them\n%-*s%10s%10s%10s%11s%11s%11s\n", width, "", "there",
           "told", "right", "precision", "recall", "F1");
    for (int i = 0; i < tags->n_types; i++) {
        print_row(width, tags->type_name[i], &of[i]);
        all.gold += of[i].gold, all.told += of[i].told, all.right += of[i].right;
    }
    print_row(width, "all", &all);
}

void rv__spans_json(const rv_span_tags *tags, const rv_span_counts *of, json_t *o) {
    json_t *types = json_object();
    for (int i = 0; i < tags->n_types; i++)
        json_object_set_new(
            types, tags->type_name[i],
            json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "gold", (json_int_t)of[i].gold, "told", (json_int_t)of[i].told,
                      "right", (json_int_t)of[i].right, "precision", rv_json_number(rv_spans_precision(&of[i])),
                      "recall", rv_json_number(rv_spans_recall(&of[i])), "f1", rv_json_number(rv_spans_f1(&of[i]))));
    json_object_set_new(o, "spans", types);
}

/* The plan of a comparison, and how long it will take, on the terminal. */
#include "compare/dry_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}
static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* What the widths became, and how near that is. */
static void print_match(const json_t *match) {
    const json_t *row, *width;
    size_t i;
    const char *key;
    if (!strcmp(text(match, "by"), "none")) return;
    printf("\nmatched by %s (off: how far from %s, to which the others are matched)\n", text(match, "by"),
           text(match, "reference"));
    json_array_foreach (json_object_get(match, "models"), i, row) {
        const char *unmatched = text(row, "unmatched");
        char off[32] = "-";
        if (json_is_number(json_object_get(row, "off")))
            snprintf(off, sizeof off, "%+.2f %%", 100 * number(row, "off"));
        printf("%-20s off %s%s%s%s ", text(row, "model"), off,
               json_is_true(json_object_get(row, "met")) ? "" : ", NOT MATCHED", *unmatched ? ": " : "", unmatched);
        json_object_foreach ((json_t *)json_object_get(row, "widths"), key, width)
            printf(" %s=%lld", key, (long long)json_integer_value(width));
        printf("\n");
    }
}

static void print_cells(const rv_comparison *c) {
    int of[3] = {0}, beyond = 0;
    for (int n = 1; n <= rv_comparison_cells(c); n++) {
        of[rv_comparison_cell(c, n).kind]++;
        beyond += rv_comparison_cell(c, n).beyond != 0;
    }
    char perhaps[96] = "";
    if (beyond)
        snprintf(perhaps, sizeof perhaps, " (%d of them only where the best is at the end of those listed)", beyond);
    printf("\n%d cells: %d trials of learning rates%s, %d trainings, %d measurements of cost; in %s\n",
           rv_comparison_cells(c), of[0], perhaps, of[1], of[2], c->dir);
}

static void print_time(double seconds) {
    if (!(seconds > 0)) return;
    const double shown = seconds < 60 ? seconds : seconds < 6000 ? seconds / 60 : seconds / 3600;
    printf("expected: %.*f %s of training on %d thread%s; validations, the measurement of examples and costs come on "
           "top\n",
           shown < 10 ? 1 : 0, shown,
           seconds < 60     ? "seconds"
           : seconds < 6000 ? "minutes"
                            : "hours",
           rv_threads(), rv_threads() > 1 ? "s" : "");
}

rv_status rv__dry_run(const rv_comparison *c) {
    json_t *rows, *row;
    size_t i;
    double seconds = 0;
    const char *before = "";
    RV_TRY(rv_comparison_expect(c, &rows));
    printf("%-20s %12s %12s %12s %12s %10s %14s\n", "model", "parameters", "used", "looked up", "FLOPs/token", "steps",
           "tokens");
    json_array_foreach (rows, i, row) {
        const double all = number(row, "parameters"), looked_up = number(row, "embedding_parameters");
        if (strcmp(before, text(row, "setting"))) printf("%s\n", text(row, "setting"));
        before = text(row, "setting");
        printf("%-20s %12.0f %12.0f %12.0f %12.4g %10.0f %14.0f\n", text(row, "model"), all, all - looked_up, looked_up,
               number(row, "flops_per_token"), number(row, "steps"), number(row, "tokens"));
        seconds += number(row, "seconds");
    }
    printf("used: without tables of tokens and positions that are only looked up\n");
    print_match(json_object_get(c->plan, "match"));
    print_cells(c);
    print_time(seconds);
    json_decref(rows);
    return RV_OK;
}

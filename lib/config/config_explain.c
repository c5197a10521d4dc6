/* The schema in words. */
#include <stdlib.h>
#include <string.h>

#include "io/yaml.h"
#include "config/config.h"
#include "config/schema.h"

static const char *nth_path(const void *ctx, int n) { return n < rv__schema_size ? rv__schema[n].path : NULL; }

static void print_row(const rv__key *k, FILE *to) {
    char text[512];
    rv__schema_expected(k, text, sizeof text);
    fprintf(to, "  value:   %s\n", text);
    if (k->dflt == rv__required)
        fprintf(to, "  default: none, must be given\n");
    else if (!k->dflt)
        fprintf(to, "  default: none, may be left out\n");
    else if (strchr(k->dflt, '@'))
        fprintf(to, "  default: %.*s%s\n", (int)(strchr(k->dflt, '@') - k->dflt), k->dflt, strchr(k->dflt, '@') + 1);
    else
        fprintf(to, "  default: %s\n", *k->dflt ? k->dflt : k->type == RV__SECTION ? "{}" : "\"\"");
    rv__schema_condition(k, text, sizeof text);
    if (*text) fprintf(to, "  applies: only %s\n", text);
}

/* The values of a key, of all its rows, as short as can be: "sgd|adam|adamw|adadelta". */
static void print_values(int i, FILE *to) {
    char text[512];
    const rv__key *k = &rv__schema[i];
    if (k->type == RV__SECTION) return;
    if (k->type == RV__BOOL)
        fputs("true|false: ", to);
    else if (k->type != RV__ENUM && k->type != RV__ENUMS) {
        rv__schema_expected(k, text, sizeof text);
        fprintf(to, "%s: ", text);
    } else {
        const char *bar = k->type == RV__ENUM ? "" : "a list of ";
        for (int r = i; r < rv__schema_size && !strcmp(rv__schema[r].path, k->path); r++)
            for (const char *word = rv__schema[r].range; *word; word += strcspn(word, "|"), word += *word == '|') {
                bool before = false;
                snprintf(text, sizeof text, "%.*s", (int)strcspn(word, "|"), word);
                for (int q = i; q < r; q++) before |= rv__schema_one_of(rv__schema[q].range, text);
                if (!before) fprintf(to, "%s%s", bar, text), bar = "|";
            }
        fputs(": ", to);
    }
}

rv_status rv_config_explain(const char *key, FILE *to) {
    int i = *key ? rv__schema_find(key) : -1;
    if (*key && i < 0) {
        int near = rv_yaml_nearest(key, nth_path, NULL);
        const char *leaf = strrchr(key, '.') ? strrchr(key, '.') + 1 : key;
        for (int j = 0; near < 0 && j < rv__schema_size; j++) /* "lr" alone */
            if (!strcmp(rv__schema_leaf(j), leaf)) near = j;
        if (near >= 0)
            return rv_error(RV_EUSAGE, "there is no key '%.200s'; did you mean '%s'?", key, rv__schema[near].path);
        return rv_error(RV_EUSAGE, "there is no key '%.200s'; 'ravel config explain' lists all", key);
    }
    for (int r = i; r >= 0 && r < rv__schema_size && !strcmp(rv__schema[r].path, key); r++) {
        fprintf(to, "%s: %s\n", rv__schema[r].path, rv__schema[r].doc);
        print_row(&rv__schema[r], to);
    }
    if (i >= 0 && rv__schema[i].type != RV__SECTION && rv__schema[i].type != RV__LIST) return RV_OK;
    for (int j = 0, n = 0; j < rv__schema_size; j++) {
        if (!rv__schema_is_child(j, key)) continue;
        fprintf(to, "%s    %-20s ", n++ ? "" : "  keys:\n", rv__schema_leaf(j));
        print_values(j, to);
        fprintf(to, "%s%s\n", rv__schema[j].doc, rv__schema[j].type == RV__SECTION ? " (a section)" : "");
    }
    return RV_OK;
}

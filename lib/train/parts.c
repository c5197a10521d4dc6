#include "train/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/yaml.h"

enum { NAME = 512, TIES = 2 };

int rv__names_find(const rv__names *names, const char *name) {
    for (int i = 0; i < names->n; i++)
        if (!strcmp(names->name[i], name)) return names->tensor[i];
    return -1;
}

bool rv__part_has(const char *part, const char *name) {
    const size_t n = strlen(part);
    return !n || (!strncmp(name, part, n) && (!name[n] || name[n] == '.'));
}

int rv__part_count(const rv__names *names, const char *part) {
    int count = 0;
    for (int i = 0; i < names->n; i++) count += rv__part_has(part, names->name[i]);
    return count;
}

/* A model with a decoder's embedding has an output layer, and one with an encoder beside it has an embedding for that:
 * where they have no table of their own, they share the decoder's. */
static void add_ties(rv__names *names) {
    const int table = rv__names_find(names, "decoder.embedding.weight");
    const bool encoder = rv__part_count(names, "encoder") > 0;
    static const char *const shared[TIES] = {"head.weight", "encoder.embedding.weight"};
    for (int i = 0; i < TIES && table >= 0; i++) {
        if ((i && !encoder) || rv__names_find(names, shared[i]) >= 0) continue;
        names->name[names->n] = shared[i];
        names->tensor[names->n++] = table;
    }
}

rv_status rv__names_make(int n, const char *(*name)(const void *ctx, int i), const void *ctx, bool ties,
                         rv__names *out) {
    *out = (rv__names){.name = calloc((size_t)n + TIES, sizeof *out->name),
                       .tensor = calloc((size_t)n + TIES, sizeof *out->tensor)};
    if (!out->name || !out->tensor) {
        rv__names_free(out);
        return rv_error(RV_ENOMEM, "no memory for the names of %d parameters", n);
    }
    for (; out->n < n; out->n++) out->name[out->n] = name(ctx, out->n), out->tensor[out->n] = out->n;
    if (ties) add_ties(out);
    return RV_OK;
}

void rv__names_free(rv__names *names) {
    free(names->name);
    free(names->tensor);
    *names = (rv__names){0};
}

/* ---- what may have been meant */

enum { DEPTH = 6 };

/* Every name up to each of its dots, some of them several times, for rv_yaml_nearest. */
static const char *nth_part(const void *ctx, int i) {
    static _Thread_local char part[NAME];
    const rv__names *names = ctx;
    if (i / DEPTH >= names->n) return NULL;
    const char *name = names->name[i / DEPTH], *end = name;
    for (int d = 0; d <= i % DEPTH && *end; d++) end += strcspn(end + (d > 0), ".") + (d > 0);
    snprintf(part, sizeof part, "%.*s", (int)(end - name), name);
    return part;
}

/* The parts directly below one: "encoder.layers.0, encoder.layers.1" below "encoder.layers". */
static void list_below(const rv__names *names, const char *parent, char *buf, size_t size) {
    char part[NAME];
    const size_t skip = *parent ? strlen(parent) + 1 : 0;
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; i < names->n && used < size; i++) {
        const char *name = names->name[i];
        if (!rv__part_has(parent, name) || strlen(name) <= skip) continue;
        snprintf(part, sizeof part, "%.*s", (int)(skip + strcspn(name + skip, ".")), name);
        bool before = false;
        for (int j = 0; j < i; j++) before |= rv__part_has(part, names->name[j]);
        if (!before) used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", part);
    }
}

const char *rv__part_suggest(const rv__names *names, const char *part, char *buf, size_t size) {
    char parent[NAME];
    const int near = rv_yaml_nearest(part, nth_part, names);
    snprintf(parent, sizeof parent, "%.*s", NAME - 1, part);
    for (char *dot; !rv__part_count(names, parent) && (dot = strrchr(parent, '.'));) *dot = 0;
    if (!rv__part_count(names, parent)) *parent = 0;
    size_t used = 0;
    if (near >= 0) used = (size_t)snprintf(buf, size, "; did you mean '%s'?", nth_part(names, near));
    if (used < size) used += (size_t)snprintf(buf + used, size - used, near >= 0 ? " There are: " : "; there are: ");
    if (used < size) list_below(names, parent, buf + used, size - used);
    return buf;
}

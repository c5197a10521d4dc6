#include "data/intern.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/status.h"

const char *rv__intern_key(const rv__intern *t, int32_t i, size_t *len) {
    size_t begin = i ? t->end[i - 1] : 0;
    *len = t->end[i] - begin;
    return t->keys + begin;
}

/* The slot that holds `key`, or the free one where it belongs. */
static size_t probe(const rv__intern *t, const void *key, size_t len) {
    size_t s = XXH3_64bits(key, len) & (t->slots - 1);
    while (t->slot[s]) {
        size_t n;
        const char *k = rv__intern_key(t, t->slot[s] - 1, &n);
        if (n == len && !memcmp(k, key, len)) break;
        s = (s + 1) & (t->slots - 1);
    }
    return s;
}

int32_t rv__intern_find(const rv__intern *t, const void *key, size_t len) {
    return t->n ? t->slot[probe(t, key, len)] - 1 : -1;
}

static int grow(rv__intern *t, size_t len) {
    size_t used = t->n ? t->end[t->n - 1] : 0;
    if (used + len > t->keys_cap) {
        size_t cap = 2 * (used + len) + 256;
        char *keys = realloc(t->keys, cap);
        if (!keys) return -1;
        t->keys = keys, t->keys_cap = cap;
    }
    if ((size_t)t->n == t->end_cap) {
        size_t cap = 2 * t->end_cap + 64;
        size_t *end = realloc(t->end, cap * sizeof *end);
        if (!end) return -1;
        t->end = end, t->end_cap = cap;
    }
    if (2 * ((size_t)t->n + 1) > t->slots) {
        size_t slots = t->slots ? 2 * t->slots : 256;
        int32_t *slot = calloc(slots, sizeof *slot);
        if (!slot) return -1;
        free(t->slot);
        t->slot = slot, t->slots = slots;
        for (int32_t i = 0; i < t->n; i++) {
            size_t n;
            const char *k = rv__intern_key(t, i, &n);
            t->slot[probe(t, k, n)] = i + 1;
        }
    }
    return 0;
}

int32_t rv__intern_add(rv__intern *t, const void *key, size_t len) {
    int32_t i = rv__intern_find(t, key, len);
    if (i >= 0) return i;
    if (t->n == INT32_MAX - 1 || grow(t, len)) {
        rv_error(RV_ENOMEM, "no memory for a table of %d strings", t->n);
        return -1;
    }
    size_t used = t->n ? t->end[t->n - 1] : 0;
    memcpy(t->keys + used, key, len);
    t->end[t->n] = used + len;
    t->slot[probe(t, key, len)] = t->n + 1;
    return t->n++;
}

void rv__intern_clear(rv__intern *t) {
    free(t->slot);
    free(t->end);
    free(t->keys);
    *t = (rv__intern){0};
}

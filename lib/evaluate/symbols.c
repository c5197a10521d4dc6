#include "evaluate/symbols_private.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "data/text.h"

enum { BEYOND_UNICODE = 0x110000 }; /* plus a byte: what is not UTF-8 */

void rv__symbols_push(rv__symbols *s, int32_t symbol) {
    if (s->n == s->cap) {
        int64_t cap = s->cap ? 2 * s->cap : 64;
        int32_t *at = realloc(s->at, sizeof *at * (size_t)cap);
        if (!at) {
            s->no_memory = true;
            return;
        }
        s->at = at;
        s->cap = cap;
    }
    s->at[s->n++] = symbol;
}

void rv__symbols_free(rv__symbols *s) {
    free(s->at);
    *s = (rv__symbols){0};
}

rv_status rv__symbols_decode(const char *text, bool lowercase, rv__symbols *out) {
    size_t len = strlen(text);
    out->n = 0;
    for (size_t i = 0; i < len;) {
        int32_t cp;
        int k = rv_utf8_next(text + i, len - i, &cp);
        if (!k)
            cp = BEYOND_UNICODE + (unsigned char)text[i];
        else if (lowercase)
            cp = utf8proc_tolower(cp);
        rv__symbols_push(out, cp);
        i += k ? (size_t)k : 1;
    }
    return out->no_memory ? rv_error(RV_ENOMEM, "no memory for a sentence of %zu bytes", len) : RV_OK;
}

int rv__symbol_encode(int32_t symbol, char out[4]) {
    if (symbol < BEYOND_UNICODE) return (int)utf8proc_encode_char(symbol, (utf8proc_uint8_t *)out);
    *out = (char)(symbol - BEYOND_UNICODE);
    return 1;
}

/* 0x1c to 0x1f separate files, groups, records and units: white space to Python, and so to sacreBLEU. */
bool rv__symbol_is_space(int32_t symbol) {
    return (symbol >= 0x1c && symbol <= 0x1f) || rv_char_classify(symbol) == RV_CHAR_SPACE;
}

bool rv__symbols_word(const rv__symbols *text, int64_t *i, int64_t *begin) {
    while (*i < text->n && rv__symbol_is_space(text->at[*i])) ++*i;
    *begin = *i;
    while (*i < text->n && !rv__symbol_is_space(text->at[*i])) ++*i;
    return *i > *begin;
}

/* A k-gram is (the number of its first k - 1 symbols, its last symbol), so its number comes from a table of pairs. */
typedef struct {
    uint64_t pair;
    int32_t hyp, most, now,
        ref; /* how often: in the hypothesis, at most in one reference, in reference `ref` (1, 2, ...) */
    bool used;
} gram;

static gram *find(gram *table, size_t slots, uint64_t pair) {
    size_t i = (size_t)((pair * 0x9e3779b97f4a7c15u) >> 32) & (slots - 1);
    while (table[i].used && table[i].pair != pair) i = (i + 1) & (slots - 1);
    table[i].used = true;
    table[i].pair = pair;
    return &table[i];
}

rv_status rv__ngram_matches(int order, const rv__symbols *hyp, int nrefs, const rv__symbols *refs, int64_t *match) {
    int64_t total = hyp->n;
    for (int r = 0; r < nrefs; r++) total += refs[r].n;
    size_t slots = 16;
    while (slots < 2 * (size_t)total) slots *= 2;
    gram *table = malloc(sizeof *table * slots);
    int32_t *number = calloc((size_t)total + 1, sizeof *number); /* of the (k-1)-gram at each place, texts end to end */
    rv_status status = table && number
                           ? RV_OK
                           : rv_error(RV_ENOMEM, "no memory to count the n-grams of %lld symbols", (long long)total);
    for (int k = 1; status == RV_OK && k <= order; k++) {
        memset(table, 0, sizeof *table * slots);
        match[k - 1] = 0;
        int32_t *at = number;
        for (int t = 0; t <= nrefs; t++) { /* the hypothesis, then the references */
            const rv__symbols *text = t ? &refs[t - 1] : hyp;
            for (int64_t i = 0; i < rv__ngram_count(text->n, k); i++) {
                gram *g = find(table, slots, (uint64_t)(uint32_t)at[i] << 32 | (uint32_t)text->at[i + k - 1]);
                at[i] = (int32_t)(g - table);
                if (t == 0) {
                    g->hyp++;
                    continue;
                }
                if (g->ref != t) g->ref = t, g->now = 0;
                if (++g->now <= g->most) continue;
                if (++g->most <= g->hyp) match[k - 1]++;
            }
            at += text->n;
        }
    }
    free(table);
    free(number);
    return status;
}

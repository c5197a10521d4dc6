#include "evaluate/spans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tags by their names ---- */

/* 'O', 'B', 'I', 'E' or 'S'; 0 of what is no tag of spans. */
static char prefix_of(const char *name) {
    static const char letters[] = "BIESLU", meaning[] = "BIESES";
    if (!strcmp(name, "O")) return 'O';
    const char *at = *name ? strchr(letters, *name) : NULL;
    return at && name[1] == '-' && name[2] ? meaning[at - letters] : 0;
}

/* Behind the first hyphen: a type may have more of them. NULL of O. */
static const char *type_of(const char *name) { return strcmp(name, "O") ? name + 2 : NULL; }

/* What tells IOB1 from BIO: whether some I-, and some B-, is not right behind a word of its type. */
typedef struct {
    bool alone_i, alone_b;
} habits;

static void look(const char *const *names, const int32_t *tags, int64_t n, habits *h) {
    const char *before = NULL;
    for (int64_t i = 0; i < n; i++) {
        const char *name = names[tags[i]], *type = type_of(name);
        bool alone = type && (!before || strcmp(type, before));
        h->alone_i |= alone && *name == 'I';
        h->alone_b |= alone && *name == 'B';
        before = type;
    }
}

rv_span_scheme rv_span_scheme_of(int n, const char *const *names, int64_t sentences, const int64_t *at,
                                 const int32_t *tags) {
    bool spans = false, ends = false;
    for (int k = 0; k < n; k++) {
        char p = prefix_of(names[k]);
        if (!p) return RV_SPANS_NONE;
        spans |= p != 'O';
        ends |= p == 'E' || p == 'S';
    }
    if (!spans) return RV_SPANS_NONE;
    if (ends) return RV_SPANS_BIOES;
    habits h = {0};
    for (int64_t i = 0; i < sentences; i++) look(names, tags + at[i], at[i + 1] - at[i], &h);
    return h.alone_i && !h.alone_b ? RV_SPANS_IOB1 : RV_SPANS_BIO;
}

static const struct {
    const char *name, *prefixes;
} schemes[] = {
    [RV_SPANS_BIO] = {"BIO", "OBI"}, [RV_SPANS_IOB1] = {"IOB1", "OBI"}, [RV_SPANS_BIOES] = {"BIOES", "OBIES"}};

static rv_status check_names(int n, const char *const *names, rv_span_scheme scheme) {
    for (int k = 0; k < n; k++) {
        char p = prefix_of(names[k]);
        if (!p || !strchr(schemes[scheme].prefixes, p))
            return rv_error(RV_EDATA, "tag '%s' is none of the scheme %s: its tags are O, or one of %s, '-' and a type",
                            names[k], schemes[scheme].name, schemes[scheme].prefixes + 1);
    }
    return RV_OK;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Each type once, sorted. */
static void gather_types(int n, const char *const *names, rv_span_tags *t) {
    int all = 0;
    for (int k = 0; k < n; k++)
        if (type_of(names[k])) t->type_name[all++] = type_of(names[k]);
    qsort(t->type_name, (size_t)all, sizeof *t->type_name, by_bytes);
    for (int i = 0; i < all; i++)
        if (!i || strcmp(t->type_name[i], t->type_name[t->n_types - 1])) t->type_name[t->n_types++] = t->type_name[i];
}

rv_status rv_span_tags_make(int n, const char *const *names, rv_span_scheme scheme, rv_span_tags *out) {
    *out = (rv_span_tags){0};
    if (scheme != RV_SPANS_NONE) RV_TRY(check_names(n, names, scheme));
    size_t room = (size_t)n + 1; /* none of them is NULL without tags */
    *out = (rv_span_tags){.scheme = scheme,
                          .n = n,
                          .prefix = malloc(room),
                          .type = malloc(room * sizeof *out->type),
                          .type_name = malloc(room * sizeof *out->type_name)};
    if (!out->prefix || !out->type || !out->type_name) {
        rv_span_tags_free(out);
        return rv_error(RV_ENOMEM, "no memory for %d tags of spans", n);
    }
    if (scheme != RV_SPANS_NONE) gather_types(n, names, out);
    for (int k = 0; k < n; k++) {
        const char *type = scheme == RV_SPANS_NONE ? NULL : type_of(names[k]);
        out->prefix[k] = type ? prefix_of(names[k]) : 'O';
        out->type[k] = -1;
        for (int i = 0; type && i < out->n_types; i++)
            if (!strcmp(type, out->type_name[i])) out->type[k] = i;
    }
    return RV_OK;
}

void rv_span_tags_free(rv_span_tags *t) {
    free(t->prefix);
    free(t->type);
    free(t->type_name);
    *t = (rv_span_tags){0};
}

/* ---- what neighbours are to each other; -1 is outside of the sentence, and of all spans ---- */

static char tag_prefix(const rv_span_tags *t, int tag) { return tag < 0 ? 'O' : t->prefix[tag]; }
static int32_t tag_type(const rv_span_tags *t, int tag) { return tag < 0 ? -1 : t->type[tag]; }

/* Does `to` begin a span when `from` stands before it? */
static bool begins(const rv_span_tags *t, int from, int to) {
    char p = tag_prefix(t, from), q = tag_prefix(t, to);
    return q != 'O' && (q == 'B' || q == 'S' || p == 'E' || p == 'S' || tag_type(t, from) != tag_type(t, to));
}

bool rv_span_follows(const rv_span_tags *t, int from, int to) {
    char p = tag_prefix(t, from), q = tag_prefix(t, to);
    bool same = tag_type(t, from) == tag_type(t, to), open = p == 'B' || p == 'I', goes_on = q == 'I' || q == 'E';
    switch (t->scheme) {
    case RV_SPANS_BIO: return q != 'I' || same;
    case RV_SPANS_IOB1: return q != 'B' || same;
    case RV_SPANS_BIOES: return open ? goes_on && same : !goes_on;
    default: return true;
    }
}

/* ---- taggings ---- */

int64_t rv_spans(const rv_span_tags *t, const int32_t *tags, int64_t n, rv_span *out) {
    int64_t spans = 0;
    for (int64_t i = 0; i < n; i++) {
        if (tag_prefix(t, tags[i]) == 'O') continue;
        if (begins(t, i ? tags[i - 1] : -1, tags[i]))
            out[spans++] = (rv_span){.begin = i, .type = tag_type(t, tags[i])};
        out[spans - 1].end = i + 1;
    }
    return spans;
}

int64_t rv_spans_malformed(const rv_span_tags *t, const int32_t *tags, int64_t n) {
    int64_t places = 0;
    for (int64_t i = 0; i <= n; i++) places += !rv_span_follows(t, i ? tags[i - 1] : -1, i < n ? tags[i] : -1);
    return places;
}

void rv_spans_count(const rv_span_tags *t, const int32_t *gold, const int32_t *told, int64_t n, rv_span *room,
                    rv_span_counts *all, rv_span_counts *by_type) {
    rv_span *a = room, *b = room + n;
    int64_t as = rv_spans(t, gold, n, a), bs = rv_spans(t, told, n, b), right = 0, j = 0;
    for (int64_t i = 0; i < as; i++) {
        while (j < bs && b[j].begin < a[i].begin) j++;
        bool same = j < bs && b[j].begin == a[i].begin && b[j].end == a[i].end && b[j].type == a[i].type;
        right += same;
        if (by_type) by_type[a[i].type].gold++, by_type[a[i].type].right += same;
    }
    for (int64_t i = 0; by_type && i < bs; i++) by_type[b[i].type].told++;
    *all = (rv_span_counts){all->gold + as, all->told + bs, all->right + right};
}

static double ratio(const rv_span_counts *c, int64_t part, int64_t of) {
    if (!c->gold && !c->told) return NAN;
    return of ? (double)part / (double)of : 0;
}

double rv_spans_precision(const rv_span_counts *c) { return ratio(c, c->right, c->told); }
double rv_spans_recall(const rv_span_counts *c) { return ratio(c, c->right, c->gold); }
double rv_spans_f1(const rv_span_counts *c) { return ratio(c, 2 * c->right, c->gold + c->told); }

#include "evaluate/alignment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"

/* ---- links ---- */

static rv_status grow(void **at, int64_t *cap, int64_t need, size_t size) {
    if (need <= *cap) return RV_OK;
    int64_t more = *cap ? 2 * *cap : 64;
    void *p = realloc(*at, size * (size_t)more);
    if (!p) return rv_error(RV_ENOMEM, "no memory for %lld alignment links", (long long)more);
    *at = p;
    *cap = more;
    return RV_OK;
}

rv_status rv_links_add(rv_links *l, int32_t source, int32_t target, bool possible) {
    RV_TRY(grow((void **)&l->link, &l->cap, l->n + 1, sizeof *l->link));
    l->link[l->n++] = (rv_link){source, target, possible};
    return RV_OK;
}

static int compare(const rv_link *a, const rv_link *b) {
    if (a->source != b->source) return a->source < b->source ? -1 : 1;
    return a->target < b->target ? -1 : a->target > b->target;
}

static int sure_first(const void *x, const void *y) {
    const rv_link *a = x, *b = y;
    int c = compare(a, b);
    return c ? c : (int)a->possible - (int)b->possible;
}

rv_status rv_links_end(rv_links *l) {
    RV_TRY(grow((void **)&l->start, &l->start_cap, l->sentences + 2, sizeof *l->start));
    if (!l->sentences) l->start[0] = 0;
    int64_t first = l->start[l->sentences], n = first;
    if (l->n > first) qsort(l->link + first, (size_t)(l->n - first), sizeof *l->link, sure_first);
    for (int64_t i = first; i < l->n; i++)
        if (i == first || compare(&l->link[n - 1], &l->link[i])) l->link[n++] = l->link[i];
    l->n = n;
    l->start[++l->sentences] = n;
    return RV_OK;
}

void rv_links_free(rv_links *l) {
    free(l->start);
    free(l->link);
    *l = (rv_links){0};
}

/* A word's number at *s, moving *s behind it; -1 if there is none. */
static int32_t number(const char **s, const char *end) {
    int64_t v = -1;
    for (; *s < end && **s >= '0' && **s <= '9' && v <= INT32_MAX; ++*s) v = (v < 0 ? 0 : 10 * v) + (**s - '0');
    return v <= INT32_MAX ? (int32_t)v : -1;
}

static rv_status read_line(const char *path, int64_t line, const char *begin, const char *end, rv_links *out) {
    for (const char *s = begin;;) {
        while (s < end && (*s == ' ' || *s == '\t' || *s == '\r')) s++;
        if (s == end) return rv_links_end(out);
        const char *word = s;
        int32_t source = number(&s, end);
        char kind = source >= 0 && s < end ? *s++ : 0;
        int32_t target = kind == '-' || kind == 'p' ? number(&s, end) : -1;
        if (target < 0 || (s < end && *s != ' ' && *s != '\t' && *s != '\r')) {
            while (s < end && *s != ' ') s++;
            return rv_error(RV_EDATA,
                            "%s:%lld:%lld: '%.*s' is no alignment link; write SOURCE-TARGET (sure) or SOURCEpTARGET "
                            "(possible), words from 0",
                            path, (long long)line, (long long)(word - begin + 1), (int)(s - word < 40 ? s - word : 40),
                            word);
        }
        RV_TRY(rv_links_add(out, source, target, kind == 'p'));
    }
}

rv_status rv_links_load(const char *path, rv_links *out) {
    *out = (rv_links){0};
    rv_text text;
    RV_TRY(rv_text_load(path, &text));
    rv_status status = RV_OK;
    const char *s = text.bytes, *end = s + text.len;
    for (int64_t line = 1; status == RV_OK && s < end; line++) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        if (!stop) stop = end;
        status = read_line(path, line, s, stop, out);
        s = stop + 1;
    }
    rv_text_free(&text);
    return status;
}

/* ---- error rate ---- */

rv_status rv_aer_count(const rv_links *system, const rv_links *gold, rv_aer_stats *sum) {
    if (system->sentences != gold->sentences)
        return rv_error(
            RV_EDATA,
            "alignments of %lld sentences cannot be compared with gold links of %lld: give both of the same text",
            (long long)system->sentences, (long long)gold->sentences);
    for (int64_t i = 0; i < gold->sentences; i++) {
        int64_t a = system->start[i], g = gold->start[i];
        sum->links += system->start[i + 1] - a;
        for (; g < gold->start[i + 1]; g++) {
            sum->sure += !gold->link[g].possible;
            while (a < system->start[i + 1] && compare(&system->link[a], &gold->link[g]) < 0) a++;
            if (a == system->start[i + 1] || compare(&system->link[a], &gold->link[g])) continue;
            sum->in_sure += !gold->link[g].possible;
            sum->in_possible++;
        }
    }
    return RV_OK;
}

static double share(int64_t part, int64_t of) { return of ? (double)part / (double)of : 1; }
double rv_aer(const rv_aer_stats *s) { return 1 - share(s->in_sure + s->in_possible, s->links + s->sure); }
double rv_aer_precision(const rv_aer_stats *s) { return share(s->in_possible, s->links); }
double rv_aer_recall(const rv_aer_stats *s) { return share(s->in_sure, s->sure); }

/* ---- from attention ---- */

int32_t rv_pieces_words(const rv_tokenizer *tok, const int32_t *ids, int64_t n, int32_t *word) {
    static const rv_special outside[] = {RV_PAD, RV_BOS, RV_EOS, RV_MASK};
    bool by_word = rv_tokenizer_get_spec(tok).type == RV_TOKENS_WORD, open = false;
    int32_t words = 0;
    for (int64_t i = 0; i < n; i++) {
        bool special = false;
        for (size_t k = 0; k < sizeof outside / sizeof *outside; k++)
            special |= ids[i] == rv_tokenizer_special(tok, outside[k]);
        char label[256];
        const char *s = rv_tokenizer_label(tok, ids[i], label, sizeof label);
        bool space = false;
        for (; s[0] == '\\' && (s[1] == 's' || s[1] == 'n' || s[1] == 't'); s += 2) space = true;
        if (special || space || by_word) open = false;
        word[i] = -1;
        if (special || !*s) continue;
        words += !open;
        open = true;
        word[i] = words - 1;
    }
    return words;
}

void rv_alignment_merge(int64_t T, int64_t S, const rv_real *weights, const int32_t *target_word,
                        const int32_t *source_word, int32_t target_words, int32_t source_words, rv_real *out) {
    for (int64_t i = 0; i < (int64_t)target_words * source_words; i++) out[i] = 0;
    for (int64_t t = 0; t < T;) {
        int64_t end = t + 1; /* the pieces of a word are neighbours */
        while (end < T && target_word[end] == target_word[t]) end++;
        for (int64_t p = t; target_word[t] >= 0 && p < end; p++)
            for (int64_t s = 0; s < S; s++)
                if (source_word[s] >= 0)
                    out[(int64_t)target_word[t] * source_words + source_word[s]] +=
                        weights[p * S + s] / (rv_real)(end - t);
        t = end;
    }
}

static rv_status link_rows(int32_t target_words, int32_t source_words, const rv_real *weights, rv_links *l) {
    for (int32_t t = 0; t < target_words; t++) {
        const rv_real *row = weights + (int64_t)t * source_words;
        int32_t best = 0;
        for (int32_t s = 1; s < source_words; s++)
            if (row[s] > row[best]) best = s;
        if (source_words && row[best] > 0) RV_TRY(rv_links_add(l, best, t, false));
    }
    return RV_OK;
}

rv_status rv_alignment_links(int32_t target_words, int32_t source_words, const rv_real *weights, rv_links *l) {
    RV_TRY(link_rows(target_words, source_words, weights, l));
    return rv_links_end(l);
}

rv_status rv_alignment_links_both(int32_t target_words, int32_t source_words, const rv_real *weights, rv_links *l) {
    RV_TRY(link_rows(target_words, source_words, weights, l));
    for (int32_t s = 0; s < source_words; s++) {
        int32_t best = 0;
        for (int32_t t = 1; t < target_words; t++)
            if (weights[(int64_t)t * source_words + s] > weights[(int64_t)best * source_words + s]) best = t;
        if (target_words && weights[(int64_t)best * source_words + s] > 0) RV_TRY(rv_links_add(l, s, best, false));
    }
    return rv_links_end(l);
}

void rv_alignment_balance(int32_t target_words, int32_t source_words, rv_real *weights) {
    enum { ROUNDS = 20 };
    const double floor = 1e-6; /* so that every word has some weight to scale */
    int64_t cells = (int64_t)target_words * source_words;
    for (int64_t i = 0; i < cells; i++) weights[i] += (rv_real)floor;
    for (int round = 0; round < ROUNDS; round++)
        for (int columns = 0; columns < 2; columns++) {
            int32_t lines = columns ? source_words : target_words, n = columns ? target_words : source_words;
            int64_t step = columns ? source_words : 1, next = columns ? 1 : source_words;
            for (int32_t i = 0; i < lines; i++) {
                double sum = 0;
                for (int32_t k = 0; k < n; k++) sum += (double)weights[i * next + k * step];
                for (int32_t k = 0; k < n; k++)
                    weights[i * next + k * step] = (rv_real)((double)weights[i * next + k * step] / sum);
            }
        }
}

double rv_alignment_entropy(int64_t n, const rv_alignment *a, int layer, int head) {
    double sum = 0;
    int64_t rows = 0;
    for (int64_t i = 0; i < n; i++) {
        const rv_real *w = a[i].weights + ((int64_t)layer * a[i].heads + head) * a[i].T * a[i].S;
        for (int64_t k = 0; k < a[i].T * a[i].S; k++)
            if (w[k] > 0) sum -= (double)w[k] * log((double)w[k]);
        rows += a[i].T;
    }
    return rows ? sum / (double)rows : 0;
}

void rv_alignment_sharpest(int64_t n, const rv_alignment *a, int *layer, int *head) {
    double lowest = INFINITY;
    *layer = *head = 0;
    for (int i = 0; i < a->layers; i++)
        for (int j = 0; j < a->heads; j++) {
            double h = rv_alignment_entropy(n, a, i, j);
            if (h < lowest) lowest = h, *layer = i, *head = j;
        }
}

/* ---- as HDF5 ---- */

/* (count, width) bytes; NULL when memory is short. */
static char *fixed_text(int64_t count, const char *const *label, int64_t *width) {
    *width = 1;
    for (int64_t i = 0; i < count; i++)
        if ((int64_t)strlen(label[i]) > *width) *width = (int64_t)strlen(label[i]);
    char *text = calloc((size_t)count + 1, (size_t)*width);
    for (int64_t i = 0; text && i < count; i++) memcpy(text + i * *width, label[i], strlen(label[i]));
    return text;
}

typedef struct {
    char paths[3][40];
    char *text[2];
} sentence;

static rv_status describe(int64_t n, const rv_alignment *a, sentence *s, rv_ck_item *items) {
    static const char *const names[] = {"source", "target", "weights"};
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < 3; k++) snprintf(s[i].paths[k], sizeof s[i].paths[k], "/%lld/%s", (long long)i, names[k]);
        for (int k = 0; k < 2; k++) {
            int64_t count = k ? a[i].T : a[i].S, width;
            s[i].text[k] = fixed_text(count, k ? a[i].target : a[i].source, &width);
            if (!s[i].text[k]) return rv_error(RV_ENOMEM, "no memory for the tokens of %lld alignments", (long long)n);
            items[3 * i + k] = (rv_ck_item){s[i].paths[k], RV_CK_U8, 2, {count, width}, s[i].text[k]};
        }
        items[3 * i + 2] = (rv_ck_item){s[i].paths[2],
                                        sizeof(rv_real) == 4 ? RV_CK_F32 : RV_CK_F64,
                                        4,
                                        {a[i].layers, a[i].heads, a[i].T, a[i].S},
                                        a[i].weights};
    }
    return RV_OK;
}

rv_status rv_alignment_save(const char *path, int64_t n, const rv_alignment *a) {
    sentence *s = calloc((size_t)n + 1, sizeof *s);
    rv_ck_item *items = calloc(3 * (size_t)n + 1, sizeof *items);
    rv_status status =
        s && items ? describe(n, a, s, items) : rv_error(RV_ENOMEM, "no memory for %lld alignments", (long long)n);
    if (status == RV_OK) status = rv_checkpoint_replace(path, 0, (int)(3 * n), items);
    for (int64_t i = 0; s && i < n; i++) free(s[i].text[0]), free(s[i].text[1]);
    free(s);
    free(items);
    return status;
}

/* Byte-pair encoding [Sennrich, Haddow, Birch 2016, algorithm 1] over chunks with a leading space.
 *
 * Chunks. No merge crosses from one chunk to the next. A chunk is a run of letters, of digits, or of other signs, with
 * the one space before it if there is one; or a run of white space (less that space). So " word" is one chunk, and the
 * chunks strung together are the text: whatever goes in comes out. A run ends after CHUNK_MAX characters, which bounds
 * the work on any input.
 *
 * Symbols. Numbers 0..255 are the bytes. Then come the characters of the training text that take several bytes, by code
 * point, if they appear min_frequency times; others are spelt in bytes. Then the merges' results, in order.
 *
 * Training. Again and again the most frequent pair of adjacent symbols becomes one; of equally frequent pairs the one
 * whose left symbol has the smaller number, then whose right one has. A pair whose joined string is a token already
 * gets that token. Counts are kept up to date: a merge visits only the chunks that hold its pair. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "data/tokenizer_private.h"

enum { CHUNK_MAX = 64, CACHE_MAX = 1 << 16, CACHED_BYTES = 48 };

/* Bytes of the character at s, a bad byte standing for itself, and its class. */
static size_t character(const char *s, size_t len, rv_char_class *class) {
    int32_t cp;
    size_t k = (size_t)rv_utf8_next(s, len, &cp);
    *class = k ? rv_char_classify(cp) : RV_CHAR_OTHER;
    return k ? k : 1;
}

size_t rv__bpe_chunk(const char *s, size_t len) {
    rv_char_class class, c;
    size_t i = character(s, len, &class), k, last = 0;
    if (*s == ' ' && i < len) {
        k = character(s + i, len - i, &c);
        if (c != RV_CHAR_SPACE) class = c, i += k;
    }
    for (int n = 1; n < CHUNK_MAX && i < len; n++, last = i, i += k) {
        k = character(s + i, len - i, &c);
        if (c != class) {
            /* The last space of a run belongs to what follows. */
            return class == RV_CHAR_SPACE && last && s[i - 1] == ' ' ? i - 1 : i;
        }
    }
    return i;
}

rv_status rv__bpe_add_merge(rv_tokenizer *tok, int32_t left, int32_t right) {
    int32_t rank = tok->pairs.n;
    if (rank == tok->merged_cap) {
        int32_t cap = 2 * tok->merged_cap + 256;
        int32_t *merged = realloc(tok->merged, (size_t)cap * sizeof *merged);
        if (!merged) return rv_error(RV_ENOMEM, "no memory for %d merges", cap);
        tok->merged = merged, tok->merged_cap = cap;
    }
    int32_t got = rv__intern_add(&tok->pairs, &(rv__merge){left, right}, sizeof(rv__merge));
    if (got < 0) return RV_ENOMEM;
    if (got != rank) return rv_error(RV_EDATA, "a merge appears twice");
    size_t na, nb;
    rv__intern_key(&tok->tokens, left, &na);
    rv__intern_key(&tok->tokens, right, &nb);
    char *joined = malloc(na + nb);
    int32_t out = -1;
    if (joined) {
        memcpy(joined, rv__intern_key(&tok->tokens, left, &na), na);
        memcpy(joined + na, rv__intern_key(&tok->tokens, right, &nb), nb);
        out = rv__intern_add(&tok->tokens, joined, na + nb);
    }
    free(joined);
    if (out < 0) return rv_error(RV_ENOMEM, "no memory for a token of %zu bytes", na + nb);
    tok->merged[rank] = out;
    return RV_OK;
}

/* Spell a chunk in symbols: characters that are tokens, else bytes. out has room for len. */
static int32_t spell(const rv_tokenizer *tok, const char *s, size_t len, int32_t *out) {
    int32_t n = 0;
    for (size_t i = 0, k; i < len; i += k) {
        rv_char_class class;
        k = character(s + i, len - i, &class);
        int32_t whole = k > 1 ? rv__intern_find(&tok->tokens, s + i, k) : (unsigned char)s[i];
        if (whole >= 0)
            out[n++] = whole;
        else
            for (size_t j = 0; j < k; j++) out[n++] = (unsigned char)s[i + j];
    }
    return n;
}

/* Join every (a, b) in v[0..n) from left to right; returns the new length. */
static int32_t join(int32_t *v, int32_t n, int32_t a, int32_t b, int32_t into) {
    int32_t m = 0;
    for (int32_t i = 0; i < n; i++) {
        bool pair = v[i] == a && i + 1 < n && v[i + 1] == b;
        v[m++] = pair ? into : v[i];
        i += pair;
    }
    return m;
}

/* ---- encoding ---- */

/* Merge by rank: of all pairs present the one learnt first, everywhere in the chunk, until none is left. */
static int32_t merge_by_rank(const rv_tokenizer *tok, int32_t *v, int32_t n) {
    for (;;) {
        int32_t best = -1;
        for (int32_t i = 0; i + 1 < n; i++) {
            int32_t rank = rv__intern_find(&tok->pairs, &(rv__merge){v[i], v[i + 1]}, sizeof(rv__merge));
            if (rank >= 0 && (best < 0 || rank < best)) best = rank;
        }
        if (best < 0) return n;
        rv__merge m;
        size_t len;
        memcpy(&m, rv__intern_key(&tok->pairs, best, &len), sizeof m);
        n = join(v, n, m.left, m.right, tok->merged[best]);
    }
}

static rv_status cache_prepare(rv_tokenizer *tok) {
    if (tok->cache_end) return RV_OK;
    tok->cache_end = malloc(CACHE_MAX * sizeof *tok->cache_end);
    tok->cache_ids = malloc((size_t)CACHE_MAX * CACHED_BYTES * sizeof *tok->cache_ids); /* touched only as it fills */
    if (tok->cache_end && tok->cache_ids) return RV_OK;
    free(tok->cache_end);
    free(tok->cache_ids);
    tok->cache_end = NULL, tok->cache_ids = NULL;
    return rv_error(RV_ENOMEM, "no memory for the word cache");
}

int64_t rv__bpe_encode(rv_tokenizer *tok, const char *text, size_t len, int32_t *out) {
    if (cache_prepare(tok) != RV_OK) return -1;
    int64_t n = 0;
    for (size_t i = 0, k; i < len; i += k) {
        k = rv__bpe_chunk(text + i, len - i);
        bool cacheable = k <= CACHED_BYTES;
        int32_t hit = cacheable ? rv__intern_find(&tok->cached, text + i, k) : -1;
        if (hit >= 0) {
            size_t begin = hit ? tok->cache_end[hit - 1] : 0, count = tok->cache_end[hit] - begin;
            memcpy(out + n, tok->cache_ids + begin, count * sizeof *out);
            n += (int64_t)count;
            continue;
        }
        int32_t m = merge_by_rank(tok, out + n, spell(tok, text + i, k, out + n));
        if (cacheable && tok->cached.n < CACHE_MAX) {
            size_t begin = tok->cached.n ? tok->cache_end[tok->cached.n - 1] : 0;
            int32_t e = rv__intern_add(&tok->cached, text + i, k);
            if (e < 0) return -1;
            memcpy(tok->cache_ids + begin, out + n, (size_t)m * sizeof *out);
            tok->cache_end[e] = begin + (size_t)m;
        }
        n += m;
    }
    return n;
}

/* ---- training ---- */

typedef struct {
    int32_t *sym; /* in the trainer's one array of symbols */
    int32_t n;
    int32_t seen; /* the visit that saw it last; 0: none */
    int64_t count;
} word;

typedef struct {
    int64_t count;
    int32_t *in; /* words that held the pair when they were added; may repeat, may no longer hold it */
    int32_t n, cap;
} pair;

/* A claim that a pair has this count. Stale ones are corrected when they surface. */
typedef struct {
    int64_t count;
    rv__merge m;
    int32_t pair;
} claim;

typedef struct {
    rv_tokenizer *tok;
    word *words;
    int32_t n_words;
    int32_t *symbols;
    rv__intern pair_ids; /* rv__merge -> index into pairs */
    pair *pairs;
    size_t pairs_cap;
    claim *heap;
    size_t n_heap, heap_cap;
    bool no_memory;
} trainer;

static bool before(const claim *a, const claim *b) {
    if (a->count != b->count) return a->count > b->count;
    return a->m.left != b->m.left ? a->m.left < b->m.left : a->m.right < b->m.right;
}

static void push(trainer *t, claim c) {
    if (t->n_heap == t->heap_cap) {
        size_t cap = 2 * t->heap_cap + 1024;
        claim *heap = realloc(t->heap, cap * sizeof *heap);
        if (!heap) {
            t->no_memory = true;
            return;
        }
        t->heap = heap, t->heap_cap = cap;
    }
    size_t i = t->n_heap++;
    for (; i && before(&c, &t->heap[(i - 1) / 2]); i = (i - 1) / 2) t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = c;
}

static claim pop(trainer *t) {
    claim top = t->heap[0], c = t->heap[--t->n_heap];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < t->n_heap) {
        if (child + 1 < t->n_heap && before(&t->heap[child + 1], &t->heap[child])) child++;
        if (!before(&t->heap[child], &c)) break;
        t->heap[i] = t->heap[child];
        i = child;
    }
    t->heap[i] = c;
    return top;
}

/* Add `sign` times word w's pairs to the counts. The claims are the caller's to push. */
static void count_word(trainer *t, int32_t w, int sign) {
    const word *wd = &t->words[w];
    for (int32_t i = 0; i + 1 < wd->n && !t->no_memory; i++) {
        int32_t known = t->pair_ids.n,
                p = rv__intern_add(&t->pair_ids, &(rv__merge){wd->sym[i], wd->sym[i + 1]}, sizeof(rv__merge));
        if (p == known && (size_t)p == t->pairs_cap) {
            size_t cap = 2 * t->pairs_cap + 1024;
            pair *pairs = realloc(t->pairs, cap * sizeof *pairs);
            if (pairs)
                t->pairs = pairs, t->pairs_cap = cap;
            else
                p = -1;
        }
        if (p < 0) {
            t->no_memory = true;
            return;
        }
        if (p == known) t->pairs[p] = (pair){0};
        pair *q = &t->pairs[p];
        q->count += sign * wd->count;
        if (sign < 0 || (q->n && q->in[q->n - 1] == w)) continue;
        if (q->n == q->cap) {
            int32_t cap = 2 * q->cap + 4;
            int32_t *in = realloc(q->in, (size_t)cap * sizeof *in);
            if (!in) {
                t->no_memory = true;
                return;
            }
            q->in = in, q->cap = cap;
        }
        q->in[q->n++] = w;
    }
}

static claim claim_of(const trainer *t, int32_t p) {
    claim c = {.count = t->pairs[p].count, .pair = p};
    size_t len;
    memcpy(&c.m, rv__intern_key(&t->pair_ids, p, &len), sizeof c.m);
    return c;
}

/* Merge pair p into token `into` wherever it stands. Only pairs with `into` can have gained. */
static void apply(trainer *t, int32_t p, rv__merge m, int32_t into, int32_t visit) {
    pair old = t->pairs[p];
    t->pairs[p].in = NULL, t->pairs[p].n = t->pairs[p].cap = 0;
    for (int32_t k = 0; k < old.n && !t->no_memory; k++) {
        word *w = &t->words[old.in[k]];
        if (w->seen == visit) continue;
        w->seen = visit;
        count_word(t, old.in[k], -1);
        w->n = join(w->sym, w->n, m.left, m.right, into);
        count_word(t, old.in[k], +1);
    }
    for (int32_t k = 0; k < old.n && !t->no_memory; k++) {
        word *w = &t->words[old.in[k]];
        if (w->seen != visit) continue;
        w->seen = 0;
        for (int32_t i = 0; i + 1 < w->n; i++)
            if (w->sym[i] == into || w->sym[i + 1] == into)
                push(t, claim_of(t, rv__intern_find(&t->pair_ids, &(rv__merge){w->sym[i], w->sym[i + 1]},
                                                    sizeof(rv__merge))));
    }
    free(old.in);
}

typedef struct {
    int64_t count;
    int32_t code_point;
} counted;

static int by_code_point(const void *a, const void *b) {
    return ((const counted *)a)->code_point - ((const counted *)b)->code_point;
}

static int by_count(const void *a, const void *b) {
    int64_t x = ((const counted *)a)->count, y = ((const counted *)b)->count;
    return x != y ? (x < y) - (x > y) : by_code_point(a, b);
}

/* The characters of several bytes that are frequent enough become tokens. Where the vocabulary is too small for all,
 * the rare ones give way: they can be spelt in bytes. */
static rv_status add_characters(rv_tokenizer *tok, const char *text, size_t len, int64_t min_frequency) {
    enum { CODE_POINTS = 0x110000 };
    counted *list = malloc(CODE_POINTS * sizeof *list);
    if (!list) return rv_error(RV_ENOMEM, "no memory to count characters");
    for (int32_t c = 0; c < CODE_POINTS; c++) list[c] = (counted){0, c};
    for (size_t i = 0; i < len;) {
        int32_t cp;
        size_t k = (size_t)rv_utf8_next(text + i, len - i, &cp);
        if (k > 1) list[cp].count++;
        i += k ? k : 1;
    }
    int32_t n = 0;
    for (int32_t c = 0; c < CODE_POINTS; c++)
        if (list[c].count >= min_frequency) list[n++] = list[c];
    int64_t room = tok->spec.vocab_size - rv_tokenizer_size(tok);
    if (n > room) {
        qsort(list, (size_t)n, sizeof *list, by_count);
        n = (int32_t)room;
        qsort(list, (size_t)n, sizeof *list, by_code_point);
    }
    rv_status status = RV_OK;
    for (int32_t i = 0; i < n && status == RV_OK; i++) {
        utf8proc_uint8_t utf8[4];
        if (rv__intern_add(&tok->tokens, utf8, (size_t)utf8proc_encode_char(list[i].code_point, utf8)) < 0)
            status = RV_ENOMEM;
    }
    free(list);
    return status;
}

/* The distinct chunks with their counts, spelt in symbols. */
static rv_status collect_words(trainer *t, const char *text, size_t len) {
    rv__intern chunks = {0};
    size_t cap = 0, spelt = 0;
    bool ok = true;
    for (size_t i = 0, k; i < len && ok; i += k) {
        k = rv__bpe_chunk(text + i, len - i);
        int32_t known = chunks.n, c = rv__intern_add(&chunks, text + i, k);
        if (c == known && (size_t)c == cap) {
            word *words = realloc(t->words, (2 * cap + 1024) * sizeof *words);
            if (words)
                t->words = words, cap = 2 * cap + 1024;
            else
                c = -1;
        }
        ok = c >= 0;
        if (ok && c == known) t->words[c] = (word){0};
        if (ok) t->words[c].count++;
    }
    t->n_words = chunks.n;
    if (ok)
        t->symbols = malloc((chunks.n ? chunks.end[chunks.n - 1] + 1 : 1) *
                            sizeof *t->symbols); /* a symbol has a byte at least */
    ok = ok && t->symbols;
    for (int32_t w = 0; w < chunks.n && ok; w++) {
        size_t k;
        const char *s = rv__intern_key(&chunks, w, &k);
        t->words[w].sym = t->symbols + spelt;
        t->words[w].n = spell(t->tok, s, k, t->symbols + spelt);
        spelt += k;
    }
    rv__intern_clear(&chunks);
    return ok ? RV_OK : rv_error(RV_ENOMEM, "no memory to count the words of a text of %zu bytes", len);
}

static rv_status learn_merges(trainer *t, int64_t min_frequency) {
    rv_tokenizer *tok = t->tok;
    int32_t visit = 0;
    for (int32_t w = 0; w < t->n_words; w++) count_word(t, w, +1);
    for (int32_t p = 0; p < t->pair_ids.n && !t->no_memory; p++) push(t, claim_of(t, p));
    while (rv_tokenizer_size(tok) < tok->spec.vocab_size && t->n_heap && !t->no_memory) {
        claim c = pop(t);
        int64_t now = t->pairs[c.pair].count;
        if (c.count != now) { /* it has lost since (a gain pushed its own claim) */
            c.count = now;
            if (now >= min_frequency) push(t, c);
            continue;
        }
        if (now < min_frequency) break;
        /* A merge whose result was a token already may bring back a pair merged before: encoding joins it, so do it
         * here. */
        int32_t rank = rv__intern_find(&tok->pairs, &c.m, sizeof c.m);
        if (rank < 0) {
            rank = tok->pairs.n;
            RV_TRY(rv__bpe_add_merge(tok, c.m.left, c.m.right));
        }
        apply(t, c.pair, c.m, tok->merged[rank], ++visit);
    }
    return t->no_memory
               ? rv_error(RV_ENOMEM, "no memory to train a tokenizer of %lld tokens", (long long)tok->spec.vocab_size)
               : RV_OK;
}

rv_status rv__bpe_train(rv_tokenizer *tok, const char *text, size_t len) {
    int64_t min_frequency = tok->spec.min_frequency ? tok->spec.min_frequency : 2;
    trainer t = {.tok = tok};
    rv_status status = add_characters(tok, text, len, min_frequency);
    if (status == RV_OK) status = collect_words(&t, text, len);
    if (status == RV_OK) status = learn_merges(&t, min_frequency);
    for (int32_t p = 0; p < t.pair_ids.n && t.pairs; p++) free(t.pairs[p].in);
    rv__intern_clear(&t.pair_ids);
    free(t.words);
    free(t.symbols);
    free(t.pairs);
    free(t.heap);
    return status;
}

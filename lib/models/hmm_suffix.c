/* Unknown words by their suffixes [Brants 2000, 2.3]: successive abstraction [Samuelsson 1993] from a word's longest
 * suffix to shorter ones, to its shape, to all rare words, and to all words. */
#include <string.h>

#include "base/arena.h"
#include "models/hmm_private.h"

/* Letters of row w that count. */
static int64_t letters_of(const rv_hmm_suffixes *s, const rv_words *words, int64_t w) {
    return words->lengths[w] < s->longest ? words->lengths[w] : s->longest;
}

/* The i-th step down from the root: the shape, then letters from the last. */
static int32_t key_of(const rv_words *words, int64_t w, int64_t i) {
    return i ? words->letters[w * words->L + words->lengths[w] - i] : words->shape[w];
}

bool rv__hmm_suffixes_create(rv_hmm_suffixes *s, const rv_hmm_config *c) {
    *s = (rv_hmm_suffixes){.K = c->tags, .longest = c->suffix, .room = 1};
    for (int64_t v = 0; c->vocabulary && v < c->words; v++) s->room += 1 + letters_of(s, c->vocabulary, v);
    s->node = rv_alloc(rv_size_mul((size_t)s->room, sizeof *s->node));
    return s->node;
}

void rv__hmm_suffixes_destroy(rv_hmm_suffixes *s) {
    rv_free(s->node);
    rv_free(s->p);
}

/* The node below `at` with this key, or 0. */
static int32_t below(const rv_hmm_suffixes *s, int32_t at, int32_t key) {
    int32_t i = s->node[at].child;
    while (i && s->node[i].key != key) i = s->node[i].next;
    return i;
}

static int32_t grow(rv_hmm_suffixes *s, int32_t at, int32_t key) {
    RV_ASSERT(s->n < s->room);
    s->node[s->n] = (rv_hmm_node){.key = key, .next = s->node[at].child};
    return s->node[at].child = s->n++;
}

static double row_sum(const rv_real *x, int64_t K) {
    double sum = 0;
    for (int64_t k = 0; k < K; k++) sum += (double)x[k];
    return sum;
}

/* Words that teach. Those of <unk> are too rare to be words of the vocabulary: they teach without letters. */
static bool teaches(const rv_hmm_config *c, const rv_real *count, int64_t v) {
    const double n = row_sum(count + v * c->tags, c->tags);
    return n > 0 && (n <= (double)c->rare || v == c->unk);
}

static bool has_letters(const rv_hmm_config *c, int64_t v) {
    return c->suffix > 0 && v != c->unk && c->vocabulary->lengths[v] > 0;
}

/* All nodes that rare words pass, each after the one above it. */
static void build(rv_hmm_suffixes *s, const rv_hmm_config *c, const rv_real *count) {
    s->node[0] = (rv_hmm_node){0};
    s->n = 1;
    for (int64_t v = 0; v < c->words; v++) {
        if (!has_letters(c, v) || !teaches(c, count, v)) continue;
        int32_t at = 0;
        for (int64_t i = 0; i <= letters_of(s, c->vocabulary, v); i++) {
            const int32_t key = key_of(c->vocabulary, v, i), next = below(s, at, key);
            at = next ? next : grow(s, at, key);
        }
    }
}

static void add(double *p, const rv_real *count, int64_t K) {
    for (int64_t k = 0; k < K; k++) p[k] += (double)count[k];
}

/* How often each tag occurs at each node, into p. */
static void tally(rv_hmm_suffixes *s, const rv_hmm_config *c, const rv_real *count) {
    const int64_t K = s->K;
    memset(s->p, 0, (size_t)(s->n * K) * sizeof *s->p);
    for (int64_t v = 0; v < c->words; v++) {
        if (!teaches(c, count, v)) continue;
        int32_t at = 0;
        add(s->p, count + v * K, K);
        for (int64_t i = 0; has_letters(c, v) && i <= letters_of(s, c->vocabulary, v); i++) {
            at = below(s, at, key_of(c->vocabulary, v, i));
            add(s->p + at * K, count + v * K, K);
        }
    }
}

/* Counts p (K) become P(tag | suffix). Brants weighs frequencies, however few words they are of: (relative frequency +
 * theta P(tag | shorter)) / (1 + theta) [eq. 6]. That is theta words' worth of the shorter suffix per word of the
 * longer one; `shorter` says how many words' worth it is in all. */
static void abstract(const rv_hmm_config *c, double theta, const double *above, double *p) {
    double n = 0;
    for (int64_t k = 0; k < c->tags; k++) n += p[k];
    const double m = c->shorter > 0 ? c->shorter : theta * n;
    for (int64_t k = 0; k < c->tags; k++) p[k] = n > 0 ? (p[k] + m * above[k]) / (n + m) : above[k];
}

rv_status rv__hmm_suffixes_learn(rv_hmm_suffixes *s, const rv_hmm_config *c, const rv_real *count, const double *tag_p,
                                 double theta) {
    const int64_t K = s->K;
    build(s, c, count);
    rv_free(s->p);
    s->p = rv_alloc(rv_size_mul((size_t)s->n, (size_t)K * sizeof *s->p));
    if (!s->p) return RV_ENOMEM;
    tally(s, c, count);
    abstract(c, theta, tag_p, s->p);
    for (int32_t i = 0; i < s->n; i++) /* a node's own is done before those below it: it has the lower number */
        for (int32_t j = s->node[i].child; j; j = s->node[j].next) abstract(c, theta, s->p + i * K, s->p + j * K);
    return RV_OK;
}

const double *rv__hmm_suffixes_find(const rv_hmm_suffixes *s, const rv_words *words, int64_t w) {
    int32_t at = 0;
    if (s->longest > 0 && words && w >= 0 && words->lengths[w] > 0)
        for (int64_t i = 0; i <= letters_of(s, words, w); i++) {
            const int32_t next = below(s, at, key_of(words, w, i));
            if (!next) break;
            at = next;
        }
    return s->p + at * s->K;
}

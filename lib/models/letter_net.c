#include "models/letter_net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "nn/recurrent.h"

enum { WINDOW = 3 };

struct rv_letter_net {
    rv_letter_net_config config;
    rv_tensor *embedding;
    rv_rnn_layer direction[2]; /* lstm */
    rv_tensor *weight, *bias;  /* cnn */
};

int64_t rv_letter_net_size(const rv_letter_net_config *c) {
    return c->kind == RV_LETTER_NET_NONE ? 0 : c->kind == RV_LETTER_NET_LSTM ? 2 * c->size : c->size;
}

/* ---- creation */

static void declare_lstm(rv_params *ps, rv_letter_net *l, const char *prefix) {
    const rv_letter_net_config *c = &l->config;
    rv_rnn_config rnn = rv_rnn_defaults(RV_CELL_LSTM);
    rnn.hidden_size = c->size;
    char name[64];
    snprintf(name, sizeof name, "%s.rnn", prefix);
    for (int back = 0; back < 2; back++)
        l->direction[back] = rv_rnn_layer_declare(ps, &rnn, name, 0, c->embedding_size, back);
}

static void declare_cnn(rv_params *ps, rv_letter_net *l, const char *prefix) {
    const rv_letter_net_config *c = &l->config;
    const rv_init init = {.kind = RV_INIT_UNIFORM, .a = 1 / sqrt((double)(c->embedding_size * WINDOW))};
    l->weight = rv_params_add(ps, init, 3, (int64_t[]){c->size, c->embedding_size, WINDOW}, "%s.conv.weight", prefix);
    l->bias = rv_params_add(ps, init, 1, &c->size, "%s.conv.bias", prefix);
}

rv_letter_net *rv_letter_net_create(rv_params *ps, const rv_letter_net_config *c, const char *prefix) {
    if (c->alphabet < 1 || c->embedding_size < 1 || c->size < 1 || c->kind == RV_LETTER_NET_NONE) {
        rv_error(RV_EUSAGE, "%s: %lld letters, embeddings of width %lld, size %lld; all must be positive", prefix,
                 (long long)c->alphabet, (long long)c->embedding_size, (long long)c->size);
        return NULL;
    }
    rv_letter_net *l = rv_alloc(sizeof *l);
    if (!l) return NULL;
    l->config = *c;
    l->embedding =
        rv_params_add(ps, c->init, 2, (int64_t[]){c->alphabet, c->embedding_size}, "%s.embedding.weight", prefix);
    rv_params_use(ps, l->embedding, RV_USE_LOOK_UP);
    const int before = ps->n;
    (c->kind == RV_LETTER_NET_LSTM ? declare_lstm : declare_cnn)(ps, l, prefix);
    for (int i = before; i < ps->n; i++) ps->p[i]->times = c->per_position > 0 ? c->per_position : RV_LETTERS_PER_WORD;
    return l;
}

void rv_letter_net_destroy(rv_letter_net *l) { rv_free(l); }

/* ---- the order of the words */

/* The words as they are computed: long ones first, so that the recurrence has fewer rows at each letter, and words of
 * equal length by their letters, so that sums over words do not depend on the order in which they came. */
typedef struct {
    int64_t n, L;     /* words; letters of the longest */
    int32_t *word;    /* (n) which one comes at each place */
    int32_t *place;   /* (n) and where each is */
    int32_t *lengths; /* (n) by place */
} sorted;

static int32_t letter_of(const rv_words *w, int32_t word, int64_t at) {
    return at < w->lengths[word] ? w->letters[word * w->L + at] : 0;
}

static bool check(rv_tape *tape, const rv_letter_net *l, const rv_words *w, const int32_t *which, int64_t n) {
    const int64_t alphabet = l->config.alphabet;
    for (int64_t i = 0; i < w->n; i++) {
        if (w->lengths[i] < 1 || w->lengths[i] > w->L)
            return rv_tape_fail(tape, RV_EDATA, "letters: word %lld has %d of them; it must be 1 to %lld", (long long)i,
                                (int)w->lengths[i], (long long)w->L);
        for (int64_t k = 0; k < w->lengths[i]; k++)
            if (w->letters[i * w->L + k] < 0 || w->letters[i * w->L + k] >= alphabet)
                return rv_tape_fail(tape, RV_EDATA,
                                    "letters: letter %lld of word %lld is %d, not in [0, %lld); was the text encoded "
                                    "with another alphabet?",
                                    (long long)k, (long long)i, (int)w->letters[i * w->L + k], (long long)alphabet);
    }
    for (int64_t i = 0; i < n; i++)
        if (which[i] < 0 || which[i] >= w->n)
            return rv_tape_fail(tape, RV_EDATA, "letters: word %d at position %lld is not in [0, %lld)", (int)which[i],
                                (long long)i, (long long)w->n);
    return true;
}

enum { LENGTH = -1 };
static int64_t key_of(const rv_words *w, int32_t word, int64_t at) {
    return at == LENGTH ? w->L - w->lengths[word] : letter_of(w, word, at);
}

/* A stable counting sort of `from` by the letters at one place, or by falling lengths. */
static void sort_by(const rv_words *w, int64_t at, int64_t keys, int32_t *start, const int32_t *from, int32_t *to) {
    memset(start, 0, (size_t)(keys + 1) * sizeof *start);
    for (int32_t i = 0; i < w->n; i++) start[key_of(w, i, at) + 1]++;
    for (int64_t k = 0; k < keys; k++) start[k + 1] += start[k];
    for (int64_t i = 0; i < w->n; i++) to[start[key_of(w, from[i], at)]++] = from[i];
}

/* From the last letter to the first, then by length: what was sorted before breaks the ties. */
static bool sort_words(rv_tape *tape, const rv_letter_net *l, const rv_words *w, sorted *s) {
    const int64_t n = w->n, keys = l->config.alphabet > w->L ? l->config.alphabet : w->L;
    *s = (sorted){.n = n};
    int32_t *all = rv_tape_alloc(tape, (size_t)(4 * n + keys + 1) * sizeof *all);
    if (!all) return false;
    s->word = all;
    s->place = all + n;
    s->lengths = all + 2 * n;
    int32_t *other = all + 3 * n, *start = all + 4 * n;
    for (int32_t i = 0; i < n; i++) {
        s->word[i] = i;
        if (w->lengths[i] > s->L) s->L = w->lengths[i];
    }
    for (int64_t at = s->L - 1; at >= LENGTH; at--) {
        sort_by(w, at, keys, start, s->word, other);
        int32_t *now = other;
        other = s->word;
        s->word = now;
    }
    for (int32_t i = 0; i < n; i++) {
        s->place[s->word[i]] = i;
        s->lengths[i] = w->lengths[s->word[i]];
    }
    return true;
}

/* ---- reading */

static rv_tensor *embed(rv_tape *tape, const rv_letter_net *l, const int32_t *ids, int64_t n) {
    return rv_dropout(tape, rv_embedding(tape, l->embedding, ids, n, 1), l->config.dropout);
}

/* -> (words, 2 H), time-major inside. */
static rv_tensor *run_lstm(rv_tape *tape, const rv_letter_net *l, const rv_words *w, const sorted *s) {
    int32_t *ids = rv_tape_alloc(tape, (size_t)(s->L * s->n) * sizeof *ids);
    if (!ids) return NULL;
    for (int64_t t = 0; t < s->L; t++)
        for (int64_t i = 0; i < s->n; i++) ids[t * s->n + i] = letter_of(w, s->word[i], t);
    rv_tensor *x = embed(tape, l, ids, s->L * s->n), *ends[2];
    x = rv_reshape(tape, x, 3, (int64_t[]){s->L, s->n, l->config.embedding_size});
    for (int back = 0; back < 2; back++) {
        const rv_rnn_layer *d = &l->direction[back];
        ends[back] =
            rv_recurrent(tape, RV_CELL_LSTM, x, d->w_ih, d->w_hh, d->b_ih, d->b_hh, NULL, NULL, s->lengths, back == 1)
                .hn;
    }
    return ends[0] && ends[1] ? rv_concat(tape, 2, ends, -1) : NULL;
}

/* -> (words, F): only letters that are there have a row. */
static rv_tensor *run_cnn(rv_tape *tape, const rv_letter_net *l, const rv_words *w, const sorted *s) {
    const rv_letter_net_config *c = &l->config;
    int32_t *at = rv_tape_alloc(tape, (size_t)(s->n + 1) * sizeof *at);
    int32_t *ids = at ? rv_tape_alloc(tape, (size_t)(s->n * s->L) * sizeof *ids) : NULL;
    if (!ids) return NULL;
    at[0] = 0;
    for (int64_t i = 0; i < s->n; i++) {
        at[i + 1] = at[i] + s->lengths[i];
        memcpy(ids + at[i], w->letters + s->word[i] * w->L, (size_t)s->lengths[i] * sizeof *ids);
    }
    rv_tensor *x = rv_window(tape, embed(tape, l, ids, at[s->n]), at, s->n, WINDOW);
    rv_tensor *filters = rv_reshape(tape, l->weight, 2, (int64_t[]){c->size, c->embedding_size * WINDOW});
    return rv_segment_max(tape, rv_linear(tape, x, filters, l->bias, RV_ACT_NONE), at, s->n);
}

rv_tensor *rv_letter_net_read(rv_tape *tape, const rv_letter_net *l, const rv_words *w, const int32_t *which,
                              int64_t n) {
    sorted s;
    if (!check(tape, l, w, which, n) || !sort_words(tape, l, w, &s)) return NULL;
    int32_t *place = rv_tape_alloc(tape, (size_t)n * sizeof *place);
    if (!place) return NULL;
    for (int64_t i = 0; i < n; i++) place[i] = s.place[which[i]];
    rv_tensor *words = (l->config.kind == RV_LETTER_NET_LSTM ? run_lstm : run_cnn)(tape, l, w, &s);
    return rv_embedding(tape, words, place, n, 1);
}

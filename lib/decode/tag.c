#include "decode/tag.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/stop.h"
#include "data/tagged.h"

/* What is tagged at a time: words [from, from + n) of a sentence, and tokens of these. */
typedef struct {
    int64_t sentence, from, n, token, tokens;
} unit;

typedef struct {
    const rv_tag_options *o;
    const rv_sentence_words *sentence;
    int64_t sentences, words;
    int64_t *at;                  /* (sentences + 1) the first word of each among all */
    int32_t *ids, *begin, *first; /* tokens of all; of each word where its begin (words + 1), and the one for it */
    int64_t *letter_at;           /* (words + 1) */
    int32_t *letter;
    int32_t *shape; /* (words) */
    int64_t n_ids, room_ids, n_letters, room_letters;
    unit *units;
    int64_t n_units;
    int32_t *tag;        /* (n_best words): of a sentence (n_best, n) */
    double *probability; /* (sentences, n_best) */
    int *taggings;       /* (sentences) */
    int64_t *parts;      /* (sentences) */
    rv_real *of_word;    /* (words) */
} work;

static void work_free(work *w) {
    void *const all[] = {w->at,    w->ids, w->begin,       w->first,    w->letter_at, w->letter, w->shape,
                         w->units, w->tag, w->probability, w->taggings, w->parts,     w->of_word};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static rv_status no_memory(const work *w) {
    return rv_error(RV_ENOMEM, "no memory to tag %lld words", (long long)w->words);
}

static bool make_room(work *w) {
    const size_t words = (size_t)w->words + 1, n_best = (size_t)w->o->n_best, sentences = (size_t)w->sentences + 1;
    w->begin = malloc(words * sizeof *w->begin);
    w->first = malloc(words * sizeof *w->first);
    w->letter_at = calloc(words, sizeof *w->letter_at);
    w->shape = calloc(words, sizeof *w->shape);
    w->units = malloc((words + sentences) * sizeof *w->units);
    w->tag = malloc(rv_size_mul(n_best * words, sizeof *w->tag));
    w->probability = malloc(rv_size_mul(n_best * sentences, sizeof *w->probability));
    w->taggings = calloc(sentences, sizeof *w->taggings);
    w->parts = calloc(sentences, sizeof *w->parts);
    w->of_word = malloc(words * sizeof *w->of_word);
    return w->begin && w->first && w->letter_at && w->shape && w->units && w->tag && w->probability && w->taggings &&
           w->parts && w->of_word;
}

/* ---- words to ids */

static rv_status append(int32_t **list, int64_t *n, int64_t *room, const int32_t *ids, int64_t more) {
    if (*n + more > *room) {
        *room = 2 * (*n + more);
        int32_t *grown = realloc(*list, (size_t)*room * sizeof *grown);
        if (!grown) return rv_error(RV_ENOMEM, "no memory for %lld tokens", (long long)*room);
        *list = grown;
    }
    if (more) memcpy(*list + *n, ids, (size_t)more * sizeof *ids);
    *n += more;
    return RV_OK;
}

static rv_status add_word(work *w, int64_t k, const rv_text *word, bool leads) {
    int32_t *ids;
    int64_t n, at;
    RV_TRY(rv_word_tokens(w->o->words, word->bytes, word->len, leads, &ids, &n, &at));
    if (w->n_ids + n > INT32_MAX) {
        free(ids);
        return rv_error(RV_EDATA, "too many words at a time; end sentences with a line end or a blank line");
    }
    w->begin[k] = (int32_t)w->n_ids;
    w->first[k] = (int32_t)(w->n_ids + at);
    rv_status status = append(&w->ids, &w->n_ids, &w->room_ids, ids, n);
    free(ids);
    if (status != RV_OK) return status;
    if (!w->o->letters) return RV_OK;
    RV_TRY(rv_word_letters(w->o->letters, word->bytes, word->len, 0, &ids, &n));
    status = append(&w->letter, &w->n_letters, &w->room_letters, ids, n);
    free(ids);
    w->letter_at[k + 1] = w->n_letters;
    w->shape[k] = (int32_t)rv_word_shape(word->bytes, word->len);
    return status;
}

/* As many tokens of words [from, from + n) as the model sees: of a single word that is longer its first pieces. */
static int64_t tokens_of(const work *w, int64_t from, int64_t n) {
    const int64_t all = w->begin[from + n] - w->begin[from], at = w->first[from] - w->begin[from] + 1;
    const int64_t most = w->o->most > at ? w->o->most : at;
    return all < most ? all : most;
}

/* As many whole words at a time as the model sees. */
static void cut(work *w, int64_t sentence) {
    const int64_t end = w->at[sentence + 1];
    for (int64_t k = w->at[sentence], from = k; k < end; k++) {
        const bool last = k + 1 == end, full = !last && w->begin[k + 2] - w->begin[from] > w->o->most;
        if (!last && !full) continue;
        w->parts[sentence]++;
        w->units[w->n_units++] = (unit){.sentence = sentence,
                                        .from = from,
                                        .n = k + 1 - from,
                                        .token = w->begin[from],
                                        .tokens = tokens_of(w, from, k + 1 - from)};
        from = k + 1;
    }
}

static int by_length(const void *a, const void *b) {
    const unit *x = a, *y = b;
    if (x->tokens != y->tokens) return x->tokens > y->tokens ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

static rv_status prepare(work *w) {
    for (int64_t i = 0; i < w->sentences; i++) w->words += w->sentence[i].n;
    if (!(w->at = malloc((size_t)(w->sentences + 1) * sizeof *w->at)) || !make_room(w)) return no_memory(w);
    int64_t k = 0;
    for (int64_t i = 0; i < w->sentences; i++) {
        w->at[i] = k;
        for (int64_t j = 0; j < w->sentence[i].n; j++) RV_TRY(add_word(w, k++, &w->sentence[i].word[j], j == 0));
    }
    w->at[w->sentences] = k;
    w->begin[k] = (int32_t)w->n_ids;
    for (int64_t i = 0; i < w->sentences; i++) cut(w, i);
    for (int64_t i = 0; i < w->sentences * w->o->n_best; i++) w->probability[i] = 1; /* parts multiply theirs */
    qsort(w->units, (size_t)w->n_units, sizeof *w->units, by_length);
    return RV_OK;
}

/* ---- a batch */

/* Every word of the units for itself: a model gives equal ones the same. */
static bool spell(rv_tape *tape, const work *w, const unit *u, int64_t B, int64_t T, rv_words *out) {
    int64_t n = 0, L = 1;
    for (int64_t i = 0; i < B; i++)
        for (int64_t k = u[i].from; k < u[i].from + u[i].n; k++, n++)
            if (w->letter_at[k + 1] - w->letter_at[k] > L) L = w->letter_at[k + 1] - w->letter_at[k];
    int32_t *letters = rv_tape_alloc(tape, (size_t)(n * L) * sizeof *letters),
            *counts = rv_tape_alloc(tape, (size_t)n * sizeof *counts),
            *shape = rv_tape_alloc(tape, (size_t)n * sizeof *shape),
            *which = rv_tape_alloc(tape, (size_t)(B * T) * sizeof *which);
    if (!letters || !counts || !shape || !which) return false;
    memset(letters, 0, (size_t)(n * L) * sizeof *letters);
    int64_t at = 0;
    for (int64_t i = 0; i < B; i++)
        for (int64_t t = 0; t < T; t++) {
            which[i * T + t] = 0;
            if (t >= u[i].n) continue;
            const int64_t k = u[i].from + t, m = w->letter_at[k + 1] - w->letter_at[k];
            memcpy(letters + at * L, w->letter + w->letter_at[k], (size_t)m * sizeof *letters);
            counts[at] = (int32_t)m;
            shape[at] = w->shape[k];
            which[i * T + t] = (int32_t)at++;
        }
    *out = (rv_words){.n = n, .L = L, .letters = letters, .lengths = counts, .shape = shape, .which = which};
    return true;
}

static bool make_batch(rv_tape *tape, const work *w, const unit *u, int64_t B, rv_words *words, rv_batch *b) {
    int64_t S = 0, T = 0;
    for (int64_t i = 0; i < B; i++) {
        if (u[i].tokens > S) S = u[i].tokens;
        if (u[i].n > T) T = u[i].n;
    }
    int32_t *ids = rv_tape_alloc(tape, (size_t)(B * S) * sizeof *ids),
            *at = rv_tape_alloc(tape, (size_t)(B * T) * sizeof *at),
            *lengths = rv_tape_alloc(tape, (size_t)(2 * B) * sizeof *lengths);
    if (!ids || !at || !lengths) return false;
    for (int64_t i = 0; i < B; i++) {
        for (int64_t s = 0; s < S; s++) ids[i * S + s] = s < u[i].tokens ? w->ids[u[i].token + s] : 0;
        for (int64_t t = 0; t < T; t++) at[i * T + t] = t < u[i].n ? w->first[u[i].from + t] - (int32_t)u[i].token : 0;
        lengths[i] = (int32_t)u[i].tokens;
        lengths[B + i] = (int32_t)u[i].n;
    }
    *b = (rv_batch){.source = {.B = B, .T = S, .ids = ids, .lengths = lengths},
                    .B = B,
                    .T = T,
                    .at = rv_tokenizer_get_spec(w->o->words).type == RV_TOKENS_WORD ? NULL : at,
                    .lengths = lengths + B};
    if (!w->o->letters) return true;
    b->source.words = words;
    return spell(tape, w, u, B, T, words);
}

/* ---- what is told */

/* One unit's rows of the results: y (n_best, T), scores (n_best). */
static rv_status keep(work *w, const unit *u, int64_t T, int64_t K, const int32_t *y, const double *score, double log_z,
                      const rv_real *p) {
    const int n_best = w->o->n_best;
    const int64_t s = u->sentence, n = w->sentence[s].n;
    int32_t *tag = w->tag + n_best * w->at[s];
    double *probability = w->probability + s * n_best;
    const bool whole = u->n == n;
    if (log_z == -INFINITY)
        return rv_error(RV_EDATA, "a sentence of %lld words has no tagging that is possible; see model.crf_constraints",
                        (long long)u->n);
    if (!isfinite(log_z) || !isfinite(score[0]))
        return rv_error(RV_EDIVERGED, "the model's scores are NaN or infinite: it has diverged in training; take an "
                                      "earlier checkpoint");
    for (int k = 0; k < (whole ? n_best : 1) && score[k] > -INFINITY; k++) {
        memcpy(tag + k * n + (u->from - w->at[s]), y + k * T, (size_t)u->n * sizeof *tag);
        const double here = exp(score[k] - log_z);
        probability[k] = whole ? here : probability[k] * here;
        if (k >= w->taggings[s]) w->taggings[s] = k + 1;
    }
    for (int64_t t = 0; t < u->n; t++) w->of_word[u->from + t] = p[t * K + y[t]];
    return RV_OK;
}

static rv_status tag_batch(rv_tape *tape, rv_model *model, work *w, const unit *u, int64_t B) {
    const int n_best = w->o->n_best;
    rv_batch b;
    rv_words words;
    rv_chain c;
    RV_TRY(rv_stop_requested());
    rv_tape_reset(tape);
    if (!make_batch(tape, w, u, B, &words, &b) || !rv_model_chain(tape, model, &b, &c)) return rv_tape_status(tape);
    size_t bytes = rv_chain_room(&c), more = rv_chain_n_best_room(&c, n_best);
    void *room = rv_tape_alloc(tape, bytes > more ? bytes : more);
    int32_t *y = rv_tape_alloc(tape, (size_t)(B * n_best * c.T) * sizeof *y);
    double *score = rv_tape_alloc(tape, (size_t)(B * (n_best + 1)) * sizeof *score), *log_z = score + B * n_best;
    rv_real *p = rv_tape_alloc(tape, (size_t)(B * c.T * c.K) * sizeof *p);
    if (!room || !y || !score || !p) return rv_tape_status(tape);
    rv_chain_n_best(&c, n_best, room, y, score);
    rv_chain_marginals(&c, room, p, log_z);
    for (int64_t i = 0; i < B; i++)
        RV_TRY(keep(w, &u[i], c.T, c.K, y + i * n_best * c.T, score + i * n_best, log_z[i], p + i * c.T * c.K));
    return RV_OK;
}

static rv_status give(const work *w, rv_tag_sink sink, void *ctx) {
    for (int64_t i = 0; i < w->sentences; i++) {
        const rv_tagging t = {.n = w->sentence[i].n,
                              .taggings = w->taggings[i],
                              .parts = w->parts[i],
                              .tag = w->tag + w->o->n_best * w->at[i],
                              .probability = w->probability + i * w->o->n_best,
                              .of_word = w->of_word + w->at[i]};
        RV_TRY(sink(ctx, i, &t));
    }
    return RV_OK;
}

rv_status rv_tag_each(rv_tape *tape, rv_model *model, const rv_tag_options *o, const rv_sentence_words *sentence,
                      int64_t sentences, rv_tag_sink sink, void *ctx) {
    RV_ASSERT(rv_model_get_config(model)->head.kind->chain);
    work w = {.o = o, .sentence = sentence, .sentences = sentences};
    rv_status status = prepare(&w);
    for (int64_t i = 0; i < w.n_units && status == RV_OK; i += o->batch) {
        const int64_t B = w.n_units - i < o->batch ? w.n_units - i : o->batch;
        status = tag_batch(tape, model, &w, w.units + i, B);
    }
    if (status == RV_OK) status = give(&w, sink, ctx);
    work_free(&w);
    return status;
}

#include "decode/translate.h"

#include <math.h>
#include <string.h>

#include "kernels/top_k.h"

/* All live hypotheses of all sentences are rows of one batch; the rows of a sentence lie next to each other, the most
 * probable first. What a row said is found by walking back through the steps. */
typedef struct {
    const rv_translate_options *o;
    rv_translations *out;
    rv_arena *arena;
    double *penalty;       /* (limit + 1): lp(n) */
    int64_t k;             /* tokens looked at per row: the beam, and those that are never produced */
    int64_t *sentence;     /* those with live hypotheses: their numbers, ... */
    int64_t *first, *live; /* ... rows */
    int64_t sentences;
    int64_t *limit; /* tokens a translation of sentence b may hold, <eos> with them */
    int64_t rows, room;
    int32_t *ids, *next_ids,
        *from; /* (room): the rows' last tokens, those after this step, and the rows they continue */
    double *log_prob, *next_log_prob;
    int32_t *said,
        *parent;          /* (limit, room): what each step said, and in continuation of which row of the step before */
    int64_t *head;        /* (beam) */
    rv_real *lse, *value; /* (room), (room, k) of this step's logits */
    int32_t *id;          /* (room, k) */
} search;

static double length_penalty(const rv_translate_options *o, int64_t n) {
    return pow((5 + (double)n) / 6, o->length_penalty);
}

static int64_t limit_of(const rv_translate_options *o, int64_t source) {
    double most = floor(o->max_length_ratio * (double)source) + (double)o->max_length_extra;
    int64_t n = most < (double)o->max_length ? (int64_t)most : o->max_length;
    return n > 1 ? n : 1;
}

/* ---- memory */

static void *take(search *s, bool *ok, int64_t n, size_t size) {
    void *p = *ok ? rv_arena_alloc(s->arena, rv_size_mul((size_t)n, size)) : NULL;
    *ok = p != NULL;
    return p;
}

/* One block holds hypotheses, counts and tokens. */
static rv_status create_out(const rv_translate_options *o, const int64_t *limit, int64_t B, rv_translations *out) {
    int64_t tokens = 0, slots = B * o->n_best;
    for (int64_t b = 0; b < B; b++) tokens += limit[b] * o->n_best;
    *out = (rv_translations){.B = B, .n_best = o->n_best};
    out->h =
        rv_alloc((size_t)slots * sizeof *out->h + (size_t)B * sizeof *out->count + (size_t)tokens * sizeof(int32_t));
    if (!out->h) return RV_ENOMEM;
    out->count = (int *)(out->h + slots);
    int32_t *ids = (int32_t *)(out->count + B);
    for (int64_t b = 0; b < B; b++)
        for (int i = 0; i < o->n_best; i++, ids += limit[b]) out->h[b * o->n_best + i].ids = ids;
    return RV_OK;
}

void rv_translations_free(rv_translations *t) {
    rv_free(t->h);
    *t = (rv_translations){0};
}

static rv_status create(search *s, const int32_t *lengths, int64_t B, int64_t V) {
    const rv_translate_options *o = s->o;
    int64_t longest = 0;
    bool ok = true;
    s->arena = rv_arena_create();
    if (!s->arena) return RV_ENOMEM;
    s->limit = take(s, &ok, B, sizeof *s->limit);
    if (!ok) return RV_ENOMEM;
    for (int64_t b = 0; b < B; b++) {
        s->limit[b] = limit_of(o, lengths[b]);
        if (s->limit[b] > longest) longest = s->limit[b];
    }
    s->k = o->beam_size + 1 + (o->pad >= 0) + (o->unk >= 0);
    if (s->k > V) s->k = V;
    s->room = B * o->beam_size;
    s->sentences = s->rows = B;
    s->sentence = take(s, &ok, B, sizeof *s->sentence);
    s->first = take(s, &ok, B, sizeof *s->first);
    s->live = take(s, &ok, B, sizeof *s->live);
    s->ids = take(s, &ok, s->room, sizeof *s->ids);
    s->next_ids = take(s, &ok, s->room, sizeof *s->next_ids);
    s->from = take(s, &ok, s->room, sizeof *s->from);
    s->log_prob = take(s, &ok, s->room, sizeof *s->log_prob);
    s->next_log_prob = take(s, &ok, s->room, sizeof *s->next_log_prob);
    s->said = take(s, &ok, longest * s->room, sizeof *s->said);
    s->parent = take(s, &ok, longest * s->room, sizeof *s->parent);
    s->head = take(s, &ok, o->beam_size, sizeof *s->head);
    s->lse = take(s, &ok, s->room, sizeof *s->lse);
    s->value = take(s, &ok, s->room * s->k, sizeof *s->value);
    s->id = take(s, &ok, s->room * s->k, sizeof *s->id);
    s->penalty = take(s, &ok, longest + 1, sizeof *s->penalty);
    if (!ok) return RV_ENOMEM;
    for (int64_t n = 0; n <= longest; n++) s->penalty[n] = length_penalty(o, n);
    for (int64_t b = 0; b < B; b++) {
        s->sentence[b] = b;
        s->first[b] = b;
        s->live[b] = 1;
    }
    for (int64_t b = 0; b < B; b++) {
        s->ids[b] = o->bos;
        s->from[b] =
            (int32_t)(b * o->beam_size); /* the state begins with a whole beam; one hypothesis is there to continue */
        s->log_prob[b] = 0;
    }
    return create_out(o, s->limit, B, s->out);
}

/* ---- one step of one sentence */

/* A hypothesis of `n` tokens is complete: the `t` ones that `row` said, and <eos> unless it was cut. */
static void finish(search *s, int64_t b, int64_t row, int64_t t, int32_t last, double log_prob) {
    int64_t n_best = s->o->n_best;
    rv_hypothesis *list = s->out->h + b * n_best;
    int *count = s->out->count + b;
    double score = log_prob / s->penalty[t + 1];
    if (*count == n_best && !(score > list[n_best - 1].score)) return;
    int64_t at = *count < n_best ? (*count)++ : n_best - 1;
    int32_t *ids = list[at].ids; /* the place of the one that falls out */
    for (; at > 0 && score > list[at - 1].score; at--) list[at] = list[at - 1];
    list[at] = (rv_hypothesis){.ids = ids, .n = t, .score = score, .log_prob = log_prob};
    if (last != s->o->eos) ids[list[at].n++] = last;
    for (int64_t i = t - 1; i >= 0; i--) {
        ids[i] = s->said[i * s->room + row];
        row = s->parent[i * s->room + row];
    }
}

static bool banned(const rv_translate_options *o, int32_t id) { return id == o->bos || id == o->pad || id == o->unk; }

/* The most probable continuation of rows [row, row + n) that has not been taken: the row, or -1. Each row's tokens are
 * sorted, so the rows' heads are compared; of equals the first row's. */
static int64_t best_head(search *s, int64_t row, int64_t n, double *log_prob) {
    int64_t best = -1;
    for (int64_t h = 0; h < n; h++) {
        const rv_real *value = s->value + (row + h) * s->k;
        const int32_t *id = s->id + (row + h) * s->k;
        while (s->head[h] < s->k && banned(s->o, id[s->head[h]])) s->head[h]++;
        if (s->head[h] == s->k || !(value[s->head[h]] > -INFINITY)) continue; /* impossible, said the model */
        double p = s->log_prob[row + h] + ((double)value[s->head[h]] - (double)s->lse[row + h]);
        if (best >= 0 && !(p > *log_prob)) continue;
        best = h;
        *log_prob = p;
    }
    return best;
}

/* Continue the n rows from `row` on of sentence b by its (t + 1)-th token. The new rows begin at `next`; their number.
 */
static int64_t extend(search *s, int64_t b, int64_t t, int64_t row, int64_t n, int64_t next) {
    int64_t live = 0, n_best = s->o->n_best;
    double log_prob = 0;
    memset(s->head, 0, (size_t)n * sizeof *s->head);
    for (int i = 0; i < s->o->beam_size; i++) {
        int64_t h = best_head(s, row, n, &log_prob);
        if (h < 0) break;
        int32_t id = s->id[(row + h) * s->k + s->head[h]++];
        if (id == s->o->eos || t + 1 == s->limit[b]) {
            finish(s, b, row + h, t, id, log_prob);
            continue;
        }
        int64_t at = next + live++;
        s->next_ids[at] = s->said[t * s->room + at] = id;
        s->from[at] = s->parent[t * s->room + at] = (int32_t)(row + h);
        s->next_log_prob[at] = log_prob;
    }
    if (s->out->count[b] < n_best) return live;
    /* Log probabilities only fall, so a score is at best what this one would be at the length that favours it. A row
     * that cannot come before the last of the n best is dropped; whatever it would displace could not, either. */
    double worst = s->out->h[(b + 1) * n_best - 1].score, best = s->penalty[s->o->length_penalty > 0 ? s->limit[b]
                                                                            : t + 2 < s->limit[b]    ? t + 2
                                                                                                     : s->limit[b]];
    while (live > 0 && !(s->next_log_prob[next + live - 1] / best > worst)) live--;
    return live;
}

/* ---- all sentences */

static rv_status check_finite(const search *s) {
    for (int64_t i = 0; i < s->sentences; i++)
        for (int64_t r = s->first[i]; r < s->first[i] + s->live[i]; r++)
            if (!isfinite(s->lse[r]))
                return rv_error(
                    RV_EDIVERGED,
                    "the model's logits are NaN or infinite: it has diverged in training; take an earlier checkpoint");
    return RV_OK;
}

/* Continue every sentence; those without live hypotheses leave. True when the state's rows must move. */
static bool extend_all(search *s, int64_t t) {
    int64_t next = 0, kept = 0;
    bool moved = false;
    for (int64_t i = 0; i < s->sentences; i++) {
        int64_t live = extend(s, s->sentence[i], t, s->first[i], s->live[i], next);
        if (!live) continue;
        s->sentence[kept] = s->sentence[i];
        s->first[kept] = next;
        s->live[kept++] = live;
        next += live;
    }
    for (int64_t r = 0; r < next && !moved; r++) moved = s->from[r] != r;
    moved = moved || next < s->rows;
    s->sentences = kept;
    s->rows = next;
    int32_t *ids = s->ids;
    double *log_prob = s->log_prob;
    s->ids = s->next_ids, s->next_ids = ids;
    s->log_prob = s->next_log_prob, s->next_log_prob = log_prob;
    return moved;
}

static rv_status run(search *s, rv_tape *tape, rv_model *model, const int32_t *src, const int32_t *lengths, int64_t B,
                     int64_t S) {
    rv_memory memory;
    int64_t capacity = 0;
    for (int64_t b = 0; b < B; b++)
        if (s->limit[b] > capacity) capacity = s->limit[b];
    rv_tape_reset(tape);
    if (!rv_model_encode(tape, model, &(rv_sequences){.B = B, .T = S, .ids = src, .lengths = lengths}, &memory))
        return rv_tape_status(tape);
    rv_decoder_state *state = rv_model_state_over(tape, model, &memory, s->o->beam_size, capacity);
    if (!state) return rv_tape_status(tape) == RV_OK ? RV_ENOMEM : rv_tape_status(tape);
    rv_status status = RV_OK;
    if (s->o->beam_size > 1) rv_model_state_reorder(model, state, s->from, s->rows);
    for (int64_t t = 0; status == RV_OK; t++) {
        rv_tape_reset(tape);
        rv_tensor *logits = rv_model_step(tape, model, state, s->ids);
        status = rv_tape_status(tape);
        if (status != RV_OK) break;
        rv_top_k(s->rows, rv_dim(logits, -1), logits->x, s->k, s->lse, s->value, s->id);
        status = check_finite(s);
        if (status != RV_OK) break;
        bool moved = extend_all(s, t);
        if (!s->rows) break;
        if (moved) rv_model_state_reorder(model, state, s->from, s->rows);
    }
    rv_model_state_destroy(model, state);
    return status;
}

rv_status rv_translate(rv_tape *tape, rv_model *model, const int32_t *src, const int32_t *lengths, int64_t B, int64_t S,
                       const rv_translate_options *o, rv_translations *out) {
    RV_ASSERT(o->beam_size >= 1 && o->n_best >= 1 && o->n_best <= o->beam_size);
    *out = (rv_translations){0};
    search s = {.o = o, .out = out};
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_tape_hold_weights(tape, true);
    rv_status status = create(&s, lengths, B, rv_model_get_config(model)->decoder.input.vocab_size);
    if (status == RV_OK) status = run(&s, tape, model, src, lengths, B, S);
    rv_tape_hold_weights(tape, false);
    rv_tape_restore(tape, mode);
    rv_arena_destroy(s.arena);
    if (status != RV_OK) rv_translations_free(out);
    return status;
}

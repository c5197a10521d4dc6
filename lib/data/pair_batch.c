#include "data/pair_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* Batches cut from an order of the pairs, and the arrays that one of them is written into. */
typedef struct {
    const rv_pairs *pairs;
    rv_pair_batch_spec spec;
    int64_t *order, *spare; /* (n) */
    int64_t *cut;           /* (n + 1) batch k is order[cut[k] .. cut[k + 1]) */
    int64_t batches;
    int64_t *count;                  /* (longest + 2) for sorting */
    int32_t *src, *tgt_in, *tgt_out; /* rows, at their most */
    int32_t *src_lengths, *tgt_lengths;
} store;

struct rv_pair_batches {
    store s;
    rv_cursor at;
    int64_t *turn;   /* batches in the order of epoch `planned` */
    int64_t planned; /* the epoch that order, cut and turn belong to; -1: none */
};

struct rv_pair_pass {
    store s;
    int64_t next;
};

rv_pair_marks rv_pair_marks_of(const rv_parallel *p) {
    return (rv_pair_marks){.src_pad = rv_tokenizer_special(p->src, RV_PAD),
                           .src_eos = rv_tokenizer_special(p->src, RV_EOS),
                           .tgt_pad = rv_tokenizer_special(p->tgt, RV_PAD),
                           .tgt_bos = rv_tokenizer_special(p->tgt, RV_BOS),
                           .tgt_eos = rv_tokenizer_special(p->tgt, RV_EOS)};
}

rv_pair_marks rv_source_marks_of(const rv_tokenizer *tok) {
    return (rv_pair_marks){.src_pad = rv_tokenizer_special(tok, RV_PAD),
                           .src_eos = rv_tokenizer_special(tok, RV_EOS),
                           .tgt_pad = -1,
                           .tgt_bos = -1,
                           .tgt_eos = -1};
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Entries of a row that a source of so many tokens takes, with its mark if it has one: never none. */
static int64_t src_row(const rv_pair_marks *m, int64_t tokens) { return m->src_eos < 0 ? most(tokens, 1) : tokens + 1; }
/* Those that pair i takes; no target side takes none. */
static int64_t src_width(const store *s, int64_t i) {
    return src_row(&s->spec.marks, rv_pairs_src_length(s->pairs, i));
}
static int64_t tgt_width(const store *s, int64_t i) {
    return s->pairs->tgt_at ? rv_pairs_tgt_length(s->pairs, i) + 1 : 0;
}

static void store_free(store *s) {
    void *all[] = {s->order, s->spare, s->cut, s->count, s->src, s->tgt_in, s->tgt_out, s->src_lengths, s->tgt_lengths};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* Room for `rows` target rows of `entries` in all, if there is a target side. */
static bool make_targets(store *s, int64_t rows, int64_t entries) {
    if (!s->pairs->tgt_at) return true;
    s->tgt_in = malloc((size_t)entries * sizeof *s->tgt_in);
    s->tgt_out = malloc((size_t)entries * sizeof *s->tgt_out);
    s->tgt_lengths = malloc((size_t)rows * sizeof *s->tgt_lengths);
    return s->tgt_in && s->tgt_out && s->tgt_lengths;
}

/* Room for any batch there can be. By tokens B max(S,T) <= size, or one long pair alone. */
static rv_status store_make(const rv_pairs *pairs, const rv_pair_batch_spec *spec, store *s) {
    *s = (store){.pairs = pairs, .spec = *spec};
    if (spec->size < 1)
        return rv_error(RV_EUSAGE, "a batch of %lld %s: it must be at least 1", (long long)spec->size,
                        spec->by_tokens ? "tokens" : "sentences");
    int64_t S = src_row(&spec->marks, pairs->src_longest), T = pairs->tgt_longest + 1, n = pairs->n,
            longest = most(S, T);
    int64_t rows = most(least(n, spec->size), 1), entries = spec->by_tokens ? most(spec->size, longest) : 0;
    if (spec->by_tokens)
        entries = least(entries, most(n, 1) * longest); /* "size: 1000000000" shall not take that much */
    int64_t src = spec->by_tokens ? entries : rows * S, tgt = spec->by_tokens ? entries : rows * T;
    s->order = malloc((size_t)(n + 1) * sizeof *s->order);
    s->spare = malloc((size_t)(n + 1) * sizeof *s->spare);
    s->cut = malloc((size_t)(n + 1) * sizeof *s->cut);
    s->count = malloc((size_t)(longest + 1) * sizeof *s->count);
    s->src = malloc((size_t)src * sizeof *s->src);
    s->src_lengths = malloc((size_t)rows * sizeof *s->src_lengths);
    if (make_targets(s, rows, tgt) && s->order && s->spare && s->cut && s->count && s->src && s->src_lengths)
        return RV_OK;
    store_free(s);
    return rv_error(RV_ENOMEM, "no memory for batches of %lld source and %lld target tokens", (long long)src,
                    (long long)tgt);
}

/* Counting sort of the order by the lengths that the offsets `at` give, stable. (qsort takes memory.) */
static void sort_by(store *s, const int64_t *at, bool falling) {
    int64_t n = s->pairs->n, longest = most(s->pairs->src_longest, s->pairs->tgt_longest), sum = 0;
    memset(s->count, 0, (size_t)(longest + 1) * sizeof *s->count);
    for (int64_t i = 0; i < n; i++) s->count[at[i + 1] - at[i]]++;
    for (int64_t k = 0; k <= longest; k++) {
        int64_t len = falling ? longest - k : k, here = s->count[len];
        s->count[len] = sum;
        sum += here;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t pair = s->order[i];
        s->spare[s->count[at[pair + 1] - at[pair]]++] = pair;
    }
    int64_t *sorted = s->spare;
    s->spare = s->order, s->order = sorted;
}

/* Cut the order into batches: as many sentences as fit. */
static void cut(store *s) {
    int64_t S = 0, T = 0, B = 0;
    s->batches = 0;
    for (int64_t i = 0; i < s->pairs->n; i++) {
        int64_t pair = s->order[i], S1 = most(S, src_width(s, pair)), T1 = most(T, tgt_width(s, pair));
        bool fits = s->spec.by_tokens ? (B + 1) * most(S1, T1) <= s->spec.size : B < s->spec.size;
        if (B == 0 || !fits) {
            s->cut[s->batches++] = i;
            B = 0, S1 = src_width(s, pair), T1 = tgt_width(s, pair);
        }
        S = S1, T = T1, B++;
    }
    s->cut[s->batches] = s->pairs->n;
}

/* tokens, eos (or what stands for it) if there is room, then `fill` up to `width` into out; with `bos` >= 0 that first,
 * and no eos. */
static void put_row(const int32_t *ids, int64_t n, int32_t bos, int32_t eos, int32_t fill, int64_t width,
                    int32_t *out) {
    if (bos >= 0) *out++ = bos, width--;
    if (n) memcpy(out, ids, (size_t)n * sizeof *out);
    if (bos < 0 && n < width) out[n++] = eos;
    while (n < width) out[n++] = fill;
}

/* Batch k's sides at their padded widths. */
static void shape(const store *s, int64_t k, rv_pair_batch *out) {
    *out = (rv_pair_batch){.B = s->cut[k + 1] - s->cut[k], .index = s->order + s->cut[k]};
    for (int64_t r = 0; r < out->B; r++) {
        out->S = most(out->S, src_width(s, out->index[r]));
        out->T = most(out->T, tgt_width(s, out->index[r]));
    }
}

static void fill_targets(store *s, rv_pair_batch *out) {
    const rv_pairs *p = s->pairs;
    const rv_pair_marks *m = &s->spec.marks;
    for (int64_t r = 0; r < out->B; r++) {
        const int64_t i = out->index[r], n = rv_pairs_tgt_length(p, i);
        const int32_t *tgt = p->tgt_ids + p->tgt_at[i];
        put_row(tgt, n, m->tgt_bos, 0, m->tgt_pad, out->T, s->tgt_in + r * out->T);
        const bool cut = p->tgt_cut && p->tgt_cut[i]; /* the sentence does not end here: what comes next is not asked */
        put_row(tgt, n, -1, cut ? RV_IGNORE : m->tgt_eos, RV_IGNORE, out->T, s->tgt_out + r * out->T);
        s->tgt_lengths[r] = (int32_t)n + 1;
        out->targets += n + !cut;
    }
    out->tgt_in = s->tgt_in, out->tgt_out = s->tgt_out, out->tgt_lengths = s->tgt_lengths;
}

static void fill(store *s, int64_t k, rv_pair_batch *out) {
    const rv_pairs *p = s->pairs;
    const rv_pair_marks *m = &s->spec.marks;
    const int32_t eos = m->src_eos < 0 ? m->src_pad : m->src_eos;
    shape(s, k, out);
    for (int64_t r = 0; r < out->B; r++) {
        const int64_t i = out->index[r], n = rv_pairs_src_length(p, i);
        put_row(p->src_ids + p->src_at[i], n, -1, eos, m->src_pad, out->S, s->src + r * out->S);
        s->src_lengths[r] = (int32_t)src_width(s, i);
    }
    out->src = s->src, out->src_lengths = s->src_lengths;
    if (p->tgt_at)
        fill_targets(s, out);
    else
        out->targets = out->B;
}

/* ---- training ---- */

/* The batches of an epoch depend on (seed, epoch) only, so a cursor need not hold them. */
static void plan(rv_pair_batches *b, int64_t epoch) {
    store *s = &b->s;
    if (b->planned == epoch) return;
    for (int64_t i = 0; i < s->pairs->n; i++) s->order[i] = i;
    rv_rng r = rv_rng_make(s->spec.seed, "data.pairs", (uint64_t)epoch);
    rv_rng_shuffle(&r, s->order, s->pairs->n);
    if (s->spec.bucketing) {
        sort_by(s, s->pairs->src_at, false);
        if (s->pairs->tgt_at) sort_by(s, s->pairs->tgt_at, false);
    }
    cut(s);
    for (int64_t k = 0; k < s->batches; k++) b->turn[k] = k;
    r = rv_rng_make(s->spec.seed, "data.pairs.turn", (uint64_t)epoch);
    if (s->spec.bucketing) rv_rng_shuffle(&r, b->turn, s->batches);
    b->planned = epoch;
}

rv_status rv_pair_batches_create(const rv_pairs *pairs, const rv_pair_batch_spec *spec, rv_pair_batches **out) {
    *out = NULL;
    if (pairs->n < 1) return rv_error(RV_EDATA, "there are no training pairs; give other files");
    const int64_t src = src_row(&spec->marks, pairs->src_longest), tgt = pairs->tgt_at ? pairs->tgt_longest + 1 : 0;
    const int64_t longest = most(src, tgt);
    const char *side = pairs->tgt_at ? "sentence" : "text";
    if (spec->by_tokens && spec->size < longest)
        return rv_error(RV_EUSAGE,
                        "the longest training %s has %lld tokens%s, but train.batch.size is %lld tokens: "
                        "raise it, for %ss set train.batch.type to sequences, or lower data.max_length",
                        side, (long long)longest, src < longest || spec->marks.src_eos >= 0 ? " with <eos>" : "",
                        (long long)spec->size, side);
    rv_pair_batches *b = calloc(1, sizeof *b);
    if (!b) return rv_error(RV_ENOMEM, "no memory for a batcher");
    b->planned = -1;
    rv_status status = store_make(pairs, spec, &b->s);
    if (status == RV_OK && !(b->turn = malloc((size_t)pairs->n * sizeof *b->turn))) {
        status = rv_error(RV_ENOMEM, "no memory for the order of %lld pairs", (long long)pairs->n);
        store_free(&b->s);
    }
    if (status != RV_OK) {
        free(b);
        return status;
    }
    *out = b;
    return RV_OK;
}

void rv_pair_batches_destroy(rv_pair_batches *b) {
    if (!b) return;
    store_free(&b->s);
    free(b->turn);
    free(b);
}

void rv_pair_batches_next(rv_pair_batches *b, rv_pair_batch *out) {
    plan(b, b->at.epoch);
    store *s = &b->s;
    fill(s, b->turn[b->at.position], out);
    if (s->spec.src_rare) rv_rare_replace(s->spec.src_rare, b->at.step, s->src, out->B * out->S);
    if (s->spec.tgt_rare) rv_rare_replace(s->spec.tgt_rare, b->at.step, s->tgt_in, out->B * out->T);
    if (s->spec.tgt_rare) rv_rare_replace(s->spec.tgt_rare, b->at.step, s->tgt_out, out->B * out->T);
    b->at.step++;
    if (++b->at.position == b->s.batches) b->at.position = 0, b->at.epoch++;
}

void rv_pair_batches_largest(rv_pair_batches *b, rv_pair_batch *out) {
    plan(b, b->at.epoch);
    int64_t best = 0, area = 0;
    for (int64_t k = 0; k < b->s.batches; k++) {
        shape(&b->s, k, out);
        if (out->B * (out->S + out->T) > area) area = out->B * (out->S + out->T), best = k;
    }
    fill(&b->s, best, out);
}

rv_cursor rv_pair_batches_cursor(const rv_pair_batches *b) { return b->at; }

rv_status rv_pair_batches_seek(rv_pair_batches *b, rv_cursor c) {
    if (c.epoch >= 0) plan(b, c.epoch);
    if (c.epoch < 0 || c.step < 0 || c.position < 0 || c.position >= b->s.batches)
        return rv_error(RV_ECKPT,
                        "data cursor (epoch %lld, position %lld, step %lld) does not fit %lld batches per epoch: text, "
                        "tokenizer, max_length or batch have "
                        "changed since the checkpoint; restore them, or choose another name or checkpoint.dir",
                        (long long)c.epoch, (long long)c.position, (long long)c.step, (long long)b->s.batches);
    b->at = c;
    return RV_OK;
}

int64_t rv_pair_batches_per_epoch(rv_pair_batches *b) {
    plan(b, b->at.epoch);
    return b->s.batches;
}

int64_t rv_pair_batches_of_epochs(rv_pair_batches *b, int64_t epochs) {
    if (!b->s.spec.by_tokens || b->s.spec.bucketing) return epochs * rv_pair_batches_per_epoch(b);
    int64_t n = 0;
    for (int64_t e = 0; e < epochs; e++) {
        plan(b, e);
        n += b->s.batches;
    }
    return n;
}

/* ---- evaluation ---- */

rv_status rv_pair_pass_create(const rv_pairs *pairs, const rv_pair_batch_spec *spec, rv_pair_pass **out) {
    *out = NULL;
    rv_pair_pass *p = calloc(1, sizeof *p);
    if (!p) return rv_error(RV_ENOMEM, "no memory for a pass");
    rv_status status = store_make(pairs, spec, &p->s);
    if (status != RV_OK) {
        free(p);
        return status;
    }
    for (int64_t i = 0; i < pairs->n; i++) p->s.order[i] = i;
    if (pairs->n) {
        if (pairs->tgt_at) sort_by(&p->s, pairs->tgt_at, true);
        sort_by(&p->s, pairs->src_at, true);
    }
    cut(&p->s);
    *out = p;
    return RV_OK;
}

void rv_pair_pass_destroy(rv_pair_pass *p) {
    if (p) store_free(&p->s);
    free(p);
}

bool rv_pair_pass_next(rv_pair_pass *p, rv_pair_batch *out) {
    if (p->next == p->s.batches) return false;
    fill(&p->s, p->next++, out);
    return true;
}

void rv_pair_pass_rewind(rv_pair_pass *p) { p->next = 0; }
int64_t rv_pair_pass_batches(const rv_pair_pass *p) { return p->s.batches; }

#include "data/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/pairs_private.h"

void rv__pairs_free(rv_pairs *p) {
    free(p->src_ids);
    free(p->tgt_ids);
    free(p->src_at);
    free(p->tgt_at);
    free(p->src);
    free(p->tgt);
    free(p->line);
    free(p->tgt_cut);
    for (int i = 0; i < 2; i++) rv_text_free(&p->text[i]);
    *p = (rv_pairs){0};
}

static void cut_side(int32_t *ids, int64_t *at, int64_t n, int64_t most, bool *cut) {
    int64_t to = 0, from = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t end = at[i + 1], keep = end - from < most ? end - from : most;
        cut[i] = end - from > most;
        memmove(ids + to, ids + from, (size_t)keep * sizeof *ids);
        to += keep;
        from = end;
        at[i + 1] = to;
    }
}

rv_status rv_pairs_cut(rv_pairs *p, int64_t most, int64_t *cut) {
    *cut = 0;
    if (p->src_longest <= most && p->tgt_longest <= most) return RV_OK;
    bool *src_cut = malloc((size_t)p->n * sizeof *src_cut), *tgt_cut = calloc((size_t)p->n, sizeof *tgt_cut);
    if (!src_cut || !tgt_cut) {
        free(src_cut);
        free(tgt_cut);
        return rv_error(RV_ENOMEM, "no memory for the marks of %lld pairs", (long long)p->n);
    }
    cut_side(p->src_ids, p->src_at, p->n, most, src_cut);
    if (p->tgt_at) cut_side(p->tgt_ids, p->tgt_at, p->n, most, tgt_cut);
    for (int64_t i = 0; i < p->n; i++) *cut += src_cut[i] || tgt_cut[i];
    free(src_cut);
    if (p->tgt_at)
        p->tgt_cut = tgt_cut;
    else
        free(tgt_cut);
    if (p->src_longest > most) p->src_longest = most;
    if (p->tgt_longest > most) p->tgt_longest = most;
    return RV_OK;
}

void rv_pairs_shuffle_sources(rv_pairs *p, uint64_t seed) {
    for (int64_t i = 0; i < p->n; i++) {
        rv_rng rng = rv_rng_make(seed, "shuffled sources", (uint64_t)i);
        int32_t *ids = p->src_ids + p->src_at[i];
        for (int64_t n = rv_pairs_src_length(p, i); n > 1; n--) { /* Fisher-Yates */
            int64_t j = (int64_t)rv_rng_below(&rng, (uint64_t)n);
            int32_t id = ids[j];
            ids[j] = ids[n - 1];
            ids[n - 1] = id;
        }
    }
}

void rv__side_empty_if_blank(rv_text *side) {
    if (!rv_text_is_blank(side->bytes, side->len)) return;
    side->len = 0;
    side->bytes[0] = 0;
}

/* ---- holding back ---- */

static bool same_text(rv_text a, rv_text b) { return a.len == b.len && !memcmp(a.bytes, b.bytes, a.len); }

static rv_status make_part(int64_t n, const rv_pairs *train, rv_pairs *p) {
    if (!p->line) {
        p->line = malloc((size_t)n * sizeof *p->line);
        for (int64_t i = 0; i < n && p->line; i++) p->line[i] = i;
    }
    if (p != train) p->src = malloc((size_t)n * sizeof *p->src);
    if (p != train && train->tgt) p->tgt = malloc((size_t)n * sizeof *p->tgt);
    if (p->line && p->src && !p->tgt == !train->tgt) return RV_OK;
    return rv_error(RV_ENOMEM, "no memory for %lld lines", (long long)n);
}

/* How many pairs of a class were seen, and how many of them each part has. */
typedef struct {
    int64_t seen, has[RV__PARTS];
} tally;

static double lacks(const double share[RV__PARTS], const tally *t, int k) {
    return share[k] * (double)t->seen - (double)t->has[k];
}

/* The part that the last pair of its class goes to: the one that lacks most of its share of these, of equals the one
 * that lacks most of all pairs; or train if none lacks half a pair. On one CPU a product and a sum are rounded once, on
 * another twice: where that could decide, the product stands alone, or a difference too small to be one is none. */
static int part_due(const double share[RV__PARTS], const tally *of_class, const tally *all) {
    const double none = 1e-9;
    int due = 0;
    double most = 0;
    for (int k = 1; k < RV__PARTS; k++) {
        const double want = share[k] * (double)of_class->seen, lack = lacks(share, of_class, k);
        if (!(share[k] > 0) || !(want > (double)of_class->has[k] + 0.5)) continue;
        const bool equal = due && fabs(lack - most) < none;
        if (equal ? lacks(share, all, k) > lacks(share, all, due) + none : lack > most) most = lack, due = k;
    }
    return due;
}

/* Files are often sorted, by length or by alphabet, so a part from the end would be another kind of text; and sentences
 * with several translations stand together: a source in two parts would be no test. */
static void cut(const double share[RV__PARTS], rv_pairs *const part[RV__PARTS], const int32_t *class_of, tally *of) {
    rv_pairs *train = part[0];
    const int64_t n = train->n;
    tally all = {0};
    int now = 0;
    train->n = 0;
    for (int64_t i = 0; i < n; i++) { /* train's own pairs move towards its start */
        const rv_text src = train->src[i], tgt = train->tgt ? train->tgt[i] : (rv_text){0};
        const int64_t line = train->line[i];
        tally *t = &of[class_of ? class_of[i] : 0];
        t->seen++, all.seen++;
        if (!i || !same_text(src, part[now]->src[part[now]->n - 1])) now = part_due(share, t, &all);
        rv_pairs *p = part[now];
        if (p->tgt) p->tgt[p->n] = tgt;
        p->src[p->n] = src, p->line[p->n++] = line;
        t->has[now]++, all.has[now]++;
    }
}

rv_status rv__pairs_hold_back(const double share[RV__PARTS], rv_pairs *const part[RV__PARTS], const int32_t *class_of,
                              int classes) {
    for (int k = 0; k < RV__PARTS; k++)
        if (!k || share[k] > 0) RV_TRY(make_part(part[0]->n, part[0], part[k]));
    tally *of = calloc((size_t)classes, sizeof *of);
    if (!of) return rv_error(RV_ENOMEM, "no memory to count %d classes", classes);
    cut(share, part, class_of, of);
    free(of);
    for (int k = 0; k < RV__PARTS; k++)
        if (!k || share[k] > 0) part[k]->lines = part[k]->n;
    return RV_OK;
}

/* ---- tokenizers ---- */

/* A tokenizer never sees a line's end in a sentence. So lines are joined by what costs no token: for words a space, for
 * characters nothing; a newline parts them for bpe, whose bytes have it in any case. */
rv_status rv__pairs_tokenizer(const rv_tokenizer_spec *spec, const rv_pairs *p, bool src, bool tgt,
                              rv_tokenizer **out) {
    const rv_text *side[] = {src ? p->src : NULL, tgt ? p->tgt : NULL};
    size_t size = 1, n = 0;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; side[k] && i < p->n; i++) size += side[k][i].len + 1;
    char *all = malloc(size);
    if (!all) return rv_error(RV_ENOMEM, "no memory for %zu bytes of text", size);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; side[k] && i < p->n; i++) {
            if (!side[k][i].len) continue;
            memcpy(all + n, side[k][i].bytes, side[k][i].len);
            n += side[k][i].len;
            if (spec->type != RV_TOKENS_CHAR) all[n++] = spec->type == RV_TOKENS_WORD ? ' ' : '\n';
        }
    rv_tokenizer_spec own = *spec;
    own.specials |= 1u << RV_PAD | 1u << RV_BOS | 1u << RV_EOS | 1u << RV_UNK;
    rv_status status = rv_tokenizer_train(&own, all, n, out);
    free(all);
    return status;
}

rv_status rv__check_marks(const rv_tokenizer *tok, const char *which, const char *what) {
    static const char *const names[] = {"<pad>", "<bos>", "<eos>"};
    for (int i = RV_PAD; i <= RV_EOS; i++)
        if (rv_tokenizer_special(tok, (rv_special)i) < 0)
            return rv_error(RV_EDATA, "the %s has no %s, which %s needs: train it with specials pad, bos, eos, unk",
                            which, names[i], what);
    return RV_OK;
}

/* ---- ids ---- */

rv_status rv__ids_append(rv__ids *l, const int32_t *ids, int64_t n) {
    if (l->n + n > l->cap) {
        int64_t cap = 2 * l->cap + n + 1024;
        int32_t *more = realloc(l->ids, (size_t)cap * sizeof *more);
        if (!more) return rv_error(RV_ENOMEM, "no memory for %lld tokens", (long long)cap);
        l->ids = more, l->cap = cap;
    }
    if (n) memcpy(l->ids + l->n, ids, (size_t)n * sizeof *ids);
    l->n += n;
    return RV_OK;
}

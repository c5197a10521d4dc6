#include "evaluate/bleu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "evaluate/bleu_private.h"

static const char *const tokenizer_names[] = {"13a", "intl", "char", "none"};
static const struct {
    const char *name;
    double value;
    bool takes_value;
} smoothings[] = {{"exp", 0, false}, {"floor", 0.1, true}, {"add-k", 1, true}, {"none", 0, false}};

const char *rv_bleu_tokenizer_name(rv_bleu_tokenizer t) { return t <= RV_BLEU_NONE ? tokenizer_names[t] : NULL; }
const char *rv_bleu_smoothing_name(rv_bleu_smoothing s) { return s <= RV_SMOOTH_NONE ? smoothings[s].name : NULL; }

static double smooth_value(const rv_bleu_options *o) {
    return o->smooth_value != 0 ? o->smooth_value : smoothings[o->smoothing].value;
}

/* Buffers that last from line to line. */
typedef struct {
    rv__symbols text, scratch, hyp, *refs;
    int nrefs;
    rv__intern words;
} counter;

static void counter_free(counter *c) {
    for (int r = 0; c->refs && r < c->nrefs; r++) rv__symbols_free(&c->refs[r]);
    free(c->refs);
    rv__symbols_free(&c->text);
    rv__symbols_free(&c->scratch);
    rv__symbols_free(&c->hyp);
    rv__intern_clear(&c->words);
}

static rv_status counter_make(counter *c, int nrefs) {
    RV_ASSERT(nrefs >= 1);
    *c = (counter){.nrefs = nrefs, .refs = calloc((size_t)nrefs, sizeof *c->refs)};
    return c->refs ? RV_OK : rv_error(RV_ENOMEM, "no memory for %d references", nrefs);
}

/* The line's tokens as numbers. */
static rv_status number_words(counter *c, const rv_bleu_options *o, const char *line, rv__symbols *out) {
    RV_TRY(rv__bleu_symbols(o->tokenizer, o->lowercase, line, &c->text, &c->scratch));
    out->n = 0;
    int64_t i = 0, begin;
    while (rv__symbols_word(&c->text, &i, &begin)) {
        int32_t word = rv__intern_add(&c->words, c->text.at + begin, sizeof *c->text.at * (size_t)(i - begin));
        if (word < 0) return RV_ENOMEM;
        rv__symbols_push(out, word);
    }
    return out->no_memory ? rv_error(RV_ENOMEM, "no memory for the words of a line") : RV_OK;
}

static rv_status count(counter *c, const rv_bleu_options *o, const char *hyp, const char *const *refs, int64_t stride,
                       rv_bleu_stats *out) {
    *out = (rv_bleu_stats){0};
    RV_TRY(number_words(c, o, hyp, &c->hyp));
    for (int r = 0; r < c->nrefs; r++) RV_TRY(number_words(c, o, refs[r * stride], &c->refs[r]));
    RV_TRY(rv__ngram_matches(RV_BLEU_ORDER, &c->hyp, c->nrefs, c->refs, out->counts));
    for (int k = 1; k <= RV_BLEU_ORDER; k++) out->totals[k - 1] = rv__ngram_count(c->hyp.n, k);
    out->hyp_len = c->hyp.n;
    out->ref_len = c->refs[0].n;
    for (int r = 1; r < c->nrefs; r++) { /* the nearest; of two as near, the shorter */
        int64_t n = c->refs[r].n, d = llabs(n - c->hyp.n), best = llabs(out->ref_len - c->hyp.n);
        if (d < best || (d == best && n < out->ref_len)) out->ref_len = n;
    }
    return RV_OK;
}

rv_status rv_bleu_count(const rv_bleu_options *o, const char *hyp, int nrefs, const char *const *refs,
                        rv_bleu_stats *out) {
    counter c;
    RV_TRY(counter_make(&c, nrefs));
    rv_status status = count(&c, o, hyp, refs, 1, out);
    counter_free(&c);
    return status;
}

void rv_bleu_add(rv_bleu_stats *sum, const rv_bleu_stats *s) {
    for (int k = 0; k < RV_BLEU_ORDER; k++) {
        sum->counts[k] += s->counts[k];
        sum->totals[k] += s->totals[k];
    }
    sum->hyp_len += s->hyp_len;
    sum->ref_len += s->ref_len;
}

rv_bleu rv_bleu_from_stats(const rv_bleu_options *o, const rv_bleu_stats *s) {
    rv_bleu b = {.stats = *s, .bp = 1, .ratio = s->ref_len ? (double)s->hyp_len / (double)s->ref_len : 0};
    if (s->hyp_len < s->ref_len) b.bp = s->hyp_len ? exp(1 - (double)s->ref_len / (double)s->hyp_len) : 0;
    int64_t matches = 0;
    for (int k = 0; k < RV_BLEU_ORDER; k++) matches += s->counts[k];
    if (!matches) return b;

    double value = smooth_value(o), halving = 1, log_sum = 0;
    int order = o->effective_order ? 0 : RV_BLEU_ORDER;
    for (int k = 0; k < RV_BLEU_ORDER; k++) {
        double add = o->smoothing == RV_SMOOTH_ADD_K && k > 0 ? value : 0;
        double correct = (double)s->counts[k] + add, total = (double)s->totals[k] + add;
        if (total == 0) break;
        if (o->effective_order) order = k + 1;
        if (correct == 0 && o->smoothing == RV_SMOOTH_EXP) correct = 1 / (halving *= 2);
        if (correct == 0 && o->smoothing == RV_SMOOTH_FLOOR) correct = value;
        b.precisions[k] = 100 * correct / total;
    }
    for (int k = 0; k < order; k++) log_sum += log(b.precisions[k]); /* ln 0 makes the score 0 */
    b.score = b.bp * exp(log_sum / order);
    return b;
}

rv_status rv_bleu_corpus(const rv_bleu_options *o, int64_t n, const char *const *hyps, int nrefs,
                         const char *const *refs, rv_bleu_stats *each, rv_bleu *out) {
    counter c;
    RV_TRY(counter_make(&c, nrefs));
    rv_bleu_stats sum = {0}, s;
    rv_status status = RV_OK;
    for (int64_t i = 0; status == RV_OK && i < n; i++) {
        status = count(&c, o, hyps[i], refs + i, n, &s);
        rv_bleu_add(&sum, &s);
        if (each) each[i] = s;
    }
    counter_free(&c);
    *out = rv_bleu_from_stats(o, &sum);
    return status;
}

rv_status rv_bleu_sentence(const rv_bleu_options *o, const char *hyp, const char *ref, rv_bleu *out) {
    rv_bleu_options effective = *o;
    effective.effective_order = true;
    return rv_bleu_corpus(&effective, 1, &hyp, 1, &ref, NULL, out);
}

const char *rv_bleu_text(const rv_bleu *b, char buf[RV_METRIC_TEXT]) {
    const double *p = b->precisions;
    snprintf(buf, RV_METRIC_TEXT,
             "BLEU = %.2f %.1f/%.1f/%.1f/%.1f (BP = %.3f ratio = %.3f hyp_len = %lld ref_len = %lld)", b->score, p[0],
             p[1], p[2], p[3], b->bp, b->ratio, (long long)b->stats.hyp_len, (long long)b->stats.ref_len);
    return buf;
}

const char *rv_bleu_signature(const rv_bleu_options *o, int nrefs, char buf[RV_METRIC_TEXT]) {
    char value[32] = "";
    if (smoothings[o->smoothing].takes_value) snprintf(value, sizeof value, "[%.2f]", smooth_value(o));
    snprintf(buf, RV_METRIC_TEXT, "nrefs:%d|case:%s|eff:%s|tok:%s|smooth:%s%s|version:ravel-%s", nrefs,
             o->lowercase ? "lc" : "mixed", o->effective_order ? "yes" : "no", tokenizer_names[o->tokenizer],
             smoothings[o->smoothing].name, value, RV_VERSION);
    return buf;
}

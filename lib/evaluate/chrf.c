#include "evaluate/chrf.h"

#include <stdio.h>
#include <string.h>

#include "evaluate/symbols_private.h"

static int char_order(const rv_chrf_options *o) { return o->char_order ? o->char_order : 6; }
static double beta(const rv_chrf_options *o) { return o->beta ? o->beta : 2; }

/* Both views of a line: its characters, and its words as numbers. */
typedef struct {
    rv__symbols text, chars, words;
} views;

static void views_free(views *v) {
    rv__symbols_free(&v->text);
    rv__symbols_free(&v->chars);
    rv__symbols_free(&v->words);
}

static bool is_ascii_punctuation(int32_t c) {
    return c > ' ' && c < 0x7f && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c);
}

/* A mark at the end of a word is a word of its own; if there is none, then one at its front is. [Popović 2017] */
static rv_status push_word(views *v, rv__intern *table, int64_t begin, int64_t end) {
    const int32_t *at = v->text.at;
    int64_t cut = end;
    if (end - begin > 1)
        cut = is_ascii_punctuation(at[end - 1]) ? end - 1 : is_ascii_punctuation(at[begin]) ? begin + 1 : end;
    for (int64_t from = begin; from < end; from = cut, cut = end) {
        int32_t word = rv__intern_add(table, at + from, sizeof *at * (size_t)(cut - from));
        if (word < 0) return RV_ENOMEM;
        rv__symbols_push(&v->words, word);
    }
    return RV_OK;
}

static rv_status look(const rv_chrf_options *o, rv__intern *table, const char *line, views *v) {
    RV_TRY(rv__symbols_decode(line, o->lowercase, &v->text));
    v->chars.n = v->words.n = 0;
    for (int64_t i = 0; i < v->text.n; i++)
        if (o->keep_space || !rv__symbol_is_space(v->text.at[i])) rv__symbols_push(&v->chars, v->text.at[i]);
    int64_t i = 0, begin;
    while (o->word_order && rv__symbols_word(&v->text, &i, &begin)) RV_TRY(push_word(v, table, begin, i));
    return v->chars.no_memory || v->words.no_memory ? rv_error(RV_ENOMEM, "no memory for the characters of a line")
                                                    : RV_OK;
}

/* The counts of orders 1..order from place `at` on. */
static rv_status count(int order, const rv__symbols *hyp, const rv__symbols *ref, rv_chrf_stats *s, int at) {
    RV_TRY(rv__ngram_matches(order, hyp, 1, ref, s->match + at));
    for (int k = 1; k <= order; k++) {
        s->ref[at + k - 1] = rv__ngram_count(ref->n, k);
        s->hyp[at + k - 1] =
            s->ref[at + k - 1] ? rv__ngram_count(hyp->n, k) : 0; /* what nothing can match does not count */
    }
    return RV_OK;
}

rv_status rv_chrf_count(const rv_chrf_options *o, const char *hyp, int nrefs, const char *const *refs,
                        rv_chrf_stats *out) {
    return rv_chrf_corpus(o, 1, &hyp, nrefs, refs, out, &(double){0});
}

void rv_chrf_add(rv_chrf_stats *sum, const rv_chrf_stats *s) {
    for (int k = 0; k < 2 * RV_CHRF_MAX_ORDER; k++) {
        sum->hyp[k] += s->hyp[k];
        sum->ref[k] += s->ref[k];
        sum->match[k] += s->match[k];
    }
}

static double f_score(double b, double p, double r) { return p + r > 0 ? (1 + b * b) * p * r / (b * b * p + r) : 0; }

double rv_chrf_from_stats(const rv_chrf_options *o, const rv_chrf_stats *s) {
    int orders = char_order(o) + o->word_order, effective = 0;
    double p_sum = 0, r_sum = 0, f_sum = 0;
    for (int k = 0; k < orders; k++) {
        if (!s->hyp[k] || !s->ref[k]) continue;
        double p = (double)s->match[k] / (double)s->hyp[k], r = (double)s->match[k] / (double)s->ref[k];
        p_sum += p;
        r_sum += r;
        f_sum += f_score(beta(o), p, r);
        effective++;
    }
    if (o->eps_smoothing) return 100 * f_sum / orders;
    return effective ? 100 * f_score(beta(o), p_sum / effective, r_sum / effective) : 0;
}

rv_status rv_chrf_corpus(const rv_chrf_options *o, int64_t n, const char *const *hyps, int nrefs,
                         const char *const *refs, rv_chrf_stats *each, double *score) {
    RV_ASSERT(nrefs >= 1 && char_order(o) <= RV_CHRF_MAX_ORDER && o->word_order <= RV_CHRF_MAX_ORDER);
    rv_chrf_stats sum = {0};
    views hyp = {0}, ref = {0};
    rv__intern words = {0};
    rv_status status = RV_OK;
    for (int64_t i = 0; status == RV_OK && i < n; i++) {
        rv_chrf_stats best = {0};
        double best_score = -1;
        status = look(o, &words, hyps[i], &hyp);
        for (int r = 0; status == RV_OK && r < nrefs; r++) {
            rv_chrf_stats s = {0};
            status = look(o, &words, refs[r * n + i], &ref);
            if (status == RV_OK) status = count(char_order(o), &hyp.chars, &ref.chars, &s, 0);
            if (status == RV_OK) status = count(o->word_order, &hyp.words, &ref.words, &s, char_order(o));
            double now = rv_chrf_from_stats(o, &s);
            if (now > best_score) best_score = now, best = s;
        }
        rv_chrf_add(&sum, &best);
        if (each) each[i] = best;
    }
    views_free(&hyp);
    views_free(&ref);
    rv__intern_clear(&words);
    *score = rv_chrf_from_stats(o, &sum);
    return status;
}

const char *rv_chrf_text(const rv_chrf_options *o, double score, char buf[RV_METRIC_TEXT]) {
    char plus[RV_CHRF_MAX_ORDER + 1] = {0};
    memset(plus, '+', (size_t)o->word_order);
    snprintf(buf, RV_METRIC_TEXT, "chrF%d%s = %.2f", (int)beta(o), plus, score);
    return buf;
}

const char *rv_chrf_signature(const rv_chrf_options *o, int nrefs, char buf[RV_METRIC_TEXT]) {
    snprintf(buf, RV_METRIC_TEXT, "nrefs:%d|case:%s|eff:%s|nc:%d|nw:%d|space:%s|version:ravel-%s", nrefs,
             o->lowercase ? "lc" : "mixed", o->eps_smoothing ? "no" : "yes", char_order(o), o->word_order,
             o->keep_space ? "yes" : "no", RV_VERSION);
    return buf;
}

/* From counts to the logs of probabilities that a chain adds up.
 *
 * A sentence ends after tag t with a probability P(end | t); otherwise the next tag comes by P(tag | those before).
 * Both are interpolated, so that the steps from any tag, and its end, sum to 1. */
#include <math.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/arena.h"
#include "models/hmm_private.h"

/* A frequency without the event that is looked at [Brants 2000, fig. 1]; of what was seen but once 0. */
static double held_out(double count, double of) { return of > 1 ? (count - 1) / (of - 1) : 0; }

static void normalise(double *weight, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += weight[i];
    for (int i = 0; i < n; i++) weight[i] /= sum;
}

static double sum_of(const rv_real *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

/* Deleted interpolation. Each step that occurs votes for what would foretell it best without itself, of equal ones for
 * the shortest context. Each weight begins at one vote, not at none as in fig. 1: no step has probability 0 then. */

/* Steps to tags from a context with counts `next` (K). */
static void vote_bigram(rv_hmm *h, const rv_real *next, double N) {
    const int64_t K = h->config.tags;
    const double of = sum_of(next, K);
    for (int64_t k = 0; k < K; k++)
        if (next[k] > 0) h->bigram[held_out((double)next[k], of) > held_out(h->tag[k], N)] += (double)next[k];
}

/* Steps from two tags, the later of which goes on as `after` (K) says whatever is before it. */
static void vote_trigram(rv_hmm *h, const rv_real *next, const rv_real *after, double N) {
    const int64_t K = h->config.tags;
    const double of = sum_of(next, K), of_after = sum_of(after, K);
    for (int64_t k = 0; k < K; k++) {
        if (next[k] <= 0) continue;
        const double p[3] = {held_out(h->tag[k], N), held_out((double)after[k], of_after),
                             held_out((double)next[k], of)};
        int best = 0;
        for (int i = 1; i < 3; i++)
            if (p[i] > p[best]) best = i;
        h->trigram[best] += (double)next[k];
    }
}

static void interpolate(rv_hmm *h, double N) {
    const int64_t K = h->config.tags;
    for (int i = 0; i < 2; i++) h->bigram[i] = !h->config.plain || i == 1;
    for (int i = 0; i < 3; i++) h->trigram[i] = !h->config.plain || i == 2;
    if (h->config.plain) return;
    if (h->config.order > 0) vote_bigram(h, h->start->x, N);
    for (int64_t i = 0; h->config.order > 0 && i < K; i++) vote_bigram(h, h->transition->x + i * K, N);
    for (int64_t j = 0; h->config.order > 1 && j < K; j++) {
        const rv_real *after = h->transition->x + j * K;
        vote_trigram(h, h->start2->x + j * K, after, N);
        for (int64_t i = 0; i < K; i++) vote_trigram(h, h->transition2->x + (i * K + j) * K, after, N);
    }
    normalise(h->bigram, 2);
    normalise(h->trigram, 3);
}

/* P(tag | contexts) of n contexts from the shortest, none, to the longest, weighed: p (K). counts[i] (K) is how often
 * each tag follows context i; where none ever did, the shorter one speaks for it. */
static void mix(const rv_hmm *h, int n, const double *weight, const rv_real *const *counts, double *p) {
    const int64_t K = h->config.tags;
    double of[3];
    for (int i = 1; i < n; i++) of[i] = sum_of(counts[i], K);
    for (int64_t k = 0; k < K; k++) {
        double q = h->tag_p[k];
        p[k] = weight[0] * q;
        for (int i = 1; i < n; i++) {
            if (of[i] > 0)
                q = (double)counts[i][k] / of[i];
            else if (h->config.plain)
                q = 0;
            p[k] += weight[i] * q;
        }
    }
}

static rv_real log_of(double p) { return p > 0 ? (rv_real)log(p) : (rv_real)-INFINITY; }

static void logs(const double *p, double factor, int64_t K, rv_real *out) {
    for (int64_t k = 0; k < K; k++) out[k] = log_of(factor * p[k]);
}

/* P(end), whatever the tag; never 0 or 1. */
static double end_of_all(const rv_hmm *h, double N) { return (sum_of(h->stop->x, h->config.tags) + 0.5) / (N + 1); }

/* P(end | tag). */
static double end_after(const rv_hmm *h, int64_t tag, double of_all) {
    const double end = (double)h->stop->x[tag],
                 n = end + sum_of(h->transition->x + tag * h->config.tags, h->config.tags);
    if (h->config.plain) return n > 0 ? end / n : 0;
    return h->bigram[0] * of_all + h->bigram[1] * (n > 0 ? end / n : of_all);
}

static void steps(rv_hmm *h, double N, double *p) {
    const int64_t K = h->config.tags;
    const bool second = h->config.order > 1;
    const double of_all = end_of_all(h, N);
    mix(h, 2, h->bigram, (const rv_real *[]){NULL, h->start->x}, p);
    logs(p, 1, K, h->log_start);
    for (int64_t j = 0; j < K; j++) {
        const rv_real *counts[3] = {NULL, h->transition->x + j * K, second ? h->start2->x + j * K : NULL};
        const double end = end_after(h, j, of_all);
        h->log_stop[j] = log_of(end);
        mix(h, second ? 3 : 2, second ? h->trigram : h->bigram, counts, p);
        logs(p, 1 - end, K, h->log_first + j * K);
        for (int64_t i = 0; second && i < K; i++) {
            counts[2] = h->transition2->x + (i * K + j) * K;
            mix(h, 3, h->trigram, counts, p);
            logs(p, 1 - end, K, h->log_after + (i * K + j) * K);
        }
    }
}

/* Tags of a word, P(tag | word) in p (K), to scores of a chain. */
void rv__hmm_emit(const rv_hmm *h, const double *p, rv_real *out) {
    for (int64_t k = 0; k < h->config.tags; k++)
        out[k] = h->config.order ? log_of(p[k]) - log_of(h->tag_p[k]) : log_of(p[k]);
}

/* What is known of a word is one more step of abstraction: its counts, and half a word like it. So a word can have a
 * tag that it never had, the less so the more frequent it is, and its most frequent tag stays that. */
static const double half = 0.5;

static void known_words(rv_hmm *h, double *p) {
    const int64_t K = h->config.tags;
    for (int64_t v = 0; v < h->config.words; v++) {
        const rv_real *count = h->emission->x + v * K;
        const double *like = rv__hmm_suffixes_find(&h->suffixes, h->config.vocabulary, v), n = sum_of(count, K);
        for (int64_t k = 0; k < K; k++) p[k] = ((double)count[k] + half * like[k]) / (n + half);
        rv__hmm_emit(h, p, h->log_emission + v * K);
    }
}

static void plain_words(rv_hmm *h) {
    const int64_t K = h->config.tags;
    for (int64_t i = 0; i < h->config.words * K; i++) {
        const double of = h->tag[i % K];
        h->log_emission[i] = log_of(of > 0 ? (double)h->emission->x[i] / of : 0);
    }
}

/* The standard deviation of P(tag) over the tags, as the text above eq. 7 says (in print the equation lacks the root,
 * but not the values that it is said to have, 0.03 to 0.10). At least some: no word may rule out a tag. */
static double theta(const double *p, int64_t K) {
    double sum = 0;
    for (int64_t k = 0; k < K; k++) sum += (p[k] - 1.0 / (double)K) * (p[k] - 1.0 / (double)K);
    return K > 1 ? fmax(sqrt(sum / (double)(K - 1)), 0.01) : 0.01;
}

/* How often each tag occurs. Smoothed as if there were one word more, of each tag as likely: no tag has probability 0,
 * not even before anything is counted. */
static double count_tags(rv_hmm *h) {
    const int64_t K = h->config.tags;
    const double extra = h->config.plain ? 0 : 1;
    double N = 0;
    memset(h->tag, 0, (size_t)K * sizeof *h->tag);
    for (int64_t v = 0; v < h->config.words; v++)
        for (int64_t k = 0; k < K; k++) h->tag[k] += (double)h->emission->x[v * K + k];
    for (int64_t k = 0; k < K; k++) N += h->tag[k];
    for (int64_t k = 0; k < K; k++) h->tag_p[k] = N + extra > 0 ? (h->tag[k] + extra / (double)K) / (N + extra) : 0;
    return N;
}

static uint64_t hash_counts(const rv_hmm *h) {
    uint64_t hash = 0;
    for (int i = 0; i < RV_HMM_COUNTS; i++) {
        const rv_tensor *t = h->counts[i];
        if (t) hash = XXH3_64bits_withSeed(t->x, (size_t)rv_numel(t) * sizeof *t->x, hash);
    }
    return hash;
}

rv_status rv__hmm_derive(rv_hmm *h) {
    const uint64_t hash = hash_counts(h);
    if (h->derived && h->hash == hash) return RV_OK;
    h->derived = false;
    const double N = count_tags(h);
    interpolate(h, N);
    double *p = h->row;
    if (h->config.plain)
        plain_words(h);
    else {
        RV_TRY(rv__hmm_suffixes_learn(&h->suffixes, &h->config, h->emission->x, h->tag_p,
                                      theta(h->tag_p, h->config.tags)));
        known_words(h, p);
    }
    if (h->config.order) steps(h, N, p);
    h->hash = hash;
    h->derived = true;
    return RV_OK;
}

rv_status rv_hmm_steps(rv_hmm *h, double *out) {
    RV_TRY(rv__hmm_derive(h));
    const int64_t K = h->config.tags, n = K + 1;
    double N = 0, *p = h->row;
    for (int64_t k = 0; k < K; k++) N += h->tag[k];
    const double of_all = end_of_all(h, N);
    mix(h, 2, h->bigram, (const rv_real *[]){NULL, h->start->x}, p);
    for (int64_t k = 0; k < K; k++) out[K * n + k] = log(p[k]);
    for (int64_t j = 0; j < K; j++) {
        const double end = end_after(h, j, of_all);
        mix(h, 2, h->bigram, (const rv_real *[]){NULL, h->transition->x + j * K}, p);
        for (int64_t k = 0; k < K; k++) out[j * n + k] = log((1 - end) * p[k]);
        out[j * n + K] = log(end);
    }
    out[K * n + K] = NAN;
    return RV_OK;
}

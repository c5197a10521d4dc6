/* Baum-Welch [Rabiner 1989, III.C, with the scaling of V.A], of order 1, in double and in the order of the words.
 * Sentences have an end, which is a step like any other: P(end | tag) + sum of P(next | tag) = 1. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "models/hmm_private.h"

/* One sentence at a time. Probabilities are relative frequencies of the counts, taken in double: from logs in float,
 * the likelihood could fall. */
typedef struct {
    const rv_hmm *h;
    double *start, *stop, *step;                    /* (K), (K), (K, K) */
    double *alpha, *scale;                          /* (T, K) scaled to sum 1 at each word, (T) by what */
    double *beta, *next;                            /* (K) of a word, and of what follows the one before it */
    double *emission_n, *start_n, *stop_n, *step_n; /* expected counts */
} pass;

static double share(double n, double of) { return of > 0 ? n / of : 0; }

static void probabilities(pass *p) {
    const rv_hmm *h = p->h;
    const int64_t K = h->config.tags;
    double starts = 0;
    for (int64_t k = 0; k < K; k++) starts += (double)h->start->x[k];
    for (int64_t k = 0; k < K; k++) {
        double n = (double)h->stop->x[k];
        for (int64_t j = 0; j < K; j++) n += (double)h->transition->x[k * K + j];
        for (int64_t j = 0; j < K; j++) p->step[k * K + j] = share((double)h->transition->x[k * K + j], n);
        p->stop[k] = share((double)h->stop->x[k], n);
        p->start[k] = share((double)h->start->x[k], starts);
    }
}

/* P(word | tag). */
static double emits(const pass *p, int32_t word, int64_t k) {
    return share((double)p->h->emission->x[word * p->h->config.tags + k], p->h->tag[k]);
}

/* log P(words), -INFINITY where they cannot be. */
static double forward(pass *p, const int32_t *word, int64_t n) {
    const int64_t K = p->h->config.tags;
    double log_p = 0, end = 0;
    for (int64_t t = 0; t < n; t++) {
        double *a = p->alpha + t * K, sum = 0;
        for (int64_t k = 0; k < K; k++) {
            double before = t ? 0 : p->start[k];
            for (int64_t i = 0; t && i < K; i++) before += a[i - K] * p->step[i * K + k];
            a[k] = before * emits(p, word[t], k);
            sum += a[k];
        }
        p->scale[t] = sum;
        log_p += log(sum);
        for (int64_t k = 0; k < K; k++) a[k] = share(a[k], sum);
    }
    for (int64_t k = 0; k < K; k++) end += p->alpha[(n - 1) * K + k] * p->stop[k];
    return log_p + log(end);
}

/* beta of the word before the one that `next` is of, and the expected steps between the two. */
static void step_back(pass *p, const double *alpha) {
    const int64_t K = p->h->config.tags;
    for (int64_t i = 0; i < K; i++) {
        p->beta[i] = 0;
        for (int64_t k = 0; k < K; k++) {
            const double onward = p->step[i * K + k] * p->next[k];
            p->beta[i] += onward;
            p->step_n[i * K + k] += alpha[i] * onward;
        }
    }
}

static void backward(pass *p, const int32_t *word, int64_t n) {
    const int64_t K = p->h->config.tags;
    double end = 0;
    for (int64_t k = 0; k < K; k++) end += p->alpha[(n - 1) * K + k] * p->stop[k];
    for (int64_t k = 0; k < K; k++) p->beta[k] = p->stop[k] / end;
    for (int64_t t = n - 1; t >= 0; t--) {
        const double *alpha = p->alpha + t * K;
        if (t < n - 1) step_back(p, alpha);
        for (int64_t k = 0; k < K; k++) {
            const double gamma = alpha[k] * p->beta[k];
            p->emission_n[word[t] * K + k] += gamma;
            if (t == 0) p->start_n[k] += gamma;
            if (t == n - 1) p->stop_n[k] += gamma;
            p->next[k] = share(emits(p, word[t], k) * p->beta[k], p->scale[t]);
        }
    }
}

/* What the counts of orders 0 and 1 have, in a row. */
enum { COUNTS = 4 };
static int64_t expected_size(const rv_hmm *h) {
    int64_t n = 0;
    for (int i = 0; i < COUNTS; i++) n += rv_numel(h->counts[i]);
    return n;
}

static rv_status open_pass(rv_hmm *h, int64_t T, pass *p, double **memory) {
    const int64_t K = h->config.tags;
    RV_ASSERT(h->config.plain && h->config.order == 1);
    RV_TRY(rv__hmm_derive(h));
    if (!h->expected) h->expected = rv_alloc(rv_size_mul((size_t)expected_size(h), sizeof *h->expected));
    double *m = *memory = rv_alloc(rv_size_mul((size_t)(4 * K + K * K + T * (K + 1)), sizeof *m));
    if (!h->expected || !m) return RV_ENOMEM;
    *p = (pass){.h = h, .start = m, .stop = m + K, .beta = m + 2 * K, .next = m + 3 * K, .step = m + 4 * K};
    p->alpha = p->step + K * K;
    p->scale = p->alpha + T * K;
    p->emission_n = h->expected;
    p->start_n = p->emission_n + rv_numel(h->emission);
    p->stop_n = p->start_n + K;
    p->step_n = p->stop_n + K;
    probabilities(p);
    return RV_OK;
}

rv_status rv_hmm_expect(rv_hmm *h, const rv_sequences *s, double *log_likelihood) {
    pass p;
    double *memory = NULL;
    rv_status status = open_pass(h, s->T, &p, &memory);
    for (int64_t i = 0; status == RV_OK && i < s->B; i++) {
        const int32_t *word = s->ids + i * s->T;
        const double log_p = forward(&p, word, s->lengths[i]);
        if (isfinite(log_p))
            backward(&p, word, s->lengths[i]);
        else
            status = rv_error(RV_EDATA,
                              "row %lld has probability 0 under the counts that Baum-Welch begins with; give each word "
                              "and each step that occurs a count",
                              (long long)i);
        *log_likelihood += log_p;
    }
    rv_free(memory);
    return status;
}

void rv_hmm_reestimate(rv_hmm *h) {
    if (!h->expected) return;
    const double *from = h->expected;
    for (int i = 0; i < COUNTS; i++)
        for (int64_t k = 0; k < rv_numel(h->counts[i]); k++) h->counts[i]->x[k] = (rv_real)*from++;
    rv_free(h->expected);
    h->expected = NULL;
}

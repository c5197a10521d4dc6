#include "models/hmm.h"

#include <string.h>

#include "base/arena.h"
#include "models/hmm_private.h"

static rv_tensor *declare(rv_params *ps, const char *name, int ndim, int64_t a, int64_t b, int64_t c) {
    rv_tensor *t = rv_params_add(ps, (rv_init){0}, ndim, (int64_t[]){a, b, c}, "hmm.%s", name);
    if (!ps->no_memory) /* which rv_params_materialise reports */
        rv_param_freeze(ps->p[ps->n - 1]);
    return rv_params_use(ps, t, RV_USE_LOOK_UP);
}

static void declare_counts(rv_hmm *h, rv_params *ps) {
    const int64_t K = h->config.tags;
    h->emission = declare(ps, "emission", 2, h->config.words, K, 0);
    if (h->config.order > 0) {
        h->start = declare(ps, "start", 1, K, 0, 0);
        h->stop = declare(ps, "stop", 1, K, 0, 0);
        h->transition = declare(ps, "transition", 2, K, K, 0);
    }
    if (h->config.order > 1) {
        h->start2 = declare(ps, "start2", 2, K, K, 0);
        h->transition2 = declare(ps, "transition2", 3, K, K, K);
    }
}

/* (rows, K) elements. */
static void *table(const rv_hmm *h, int64_t rows, size_t size) {
    return rv_alloc(rv_size_mul((size_t)rows, (size_t)h->config.tags * size));
}

static bool take_memory(rv_hmm *h) {
    const int64_t K = h->config.tags;
    const size_t real = sizeof(rv_real);
    h->tag = table(h, 1, sizeof *h->tag);
    h->tag_p = table(h, 1, sizeof *h->tag_p);
    h->row = table(h, 1, sizeof *h->row);
    h->log_emission = table(h, h->config.words, real);
    bool ok = rv__hmm_suffixes_create(&h->suffixes, &h->config) && h->tag && h->tag_p && h->row && h->log_emission;
    if (h->config.order > 0) {
        h->log_start = table(h, 1, real);
        h->log_stop = table(h, 1, real);
        h->log_first = table(h, K, real);
        ok = ok && h->log_start && h->log_stop && h->log_first;
    }
    if (h->config.order > 1) ok = (h->log_after = table(h, K * K, real)) && ok;
    return ok;
}

rv_hmm *rv_hmm_create(rv_params *ps, const rv_hmm_config *c) {
    RV_ASSERT(c->order >= 0 && c->order <= 2 && c->suffix >= 0 && c->tags > 0 && !(c->plain && c->order == 0));
    RV_ASSERT(c->vocabulary ? c->vocabulary->n == c->words : c->suffix == 0);
    rv_hmm *h = rv_alloc(sizeof *h);
    if (!h) return NULL;
    h->config = *c;
    if (take_memory(h)) declare_counts(h, ps);
    if (!h->emission || ps->no_memory) {
        if (ps->no_memory) rv_error(RV_ENOMEM, "no memory to declare the counts of an HMM");
        rv_hmm_destroy(h);
        return NULL;
    }
    return h;
}

void rv_hmm_destroy(rv_hmm *h) {
    if (!h) return;
    rv__hmm_suffixes_destroy(&h->suffixes);
    void *const all[] = {h->tag,      h->tag_p,     h->row,       h->log_emission, h->log_start,
                         h->log_stop, h->log_first, h->log_after, h->expected};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rv_free(all[i]);
    rv_free(h);
}

rv_status rv_hmm_weights(rv_hmm *h, double bigram[2], double trigram[3]) {
    RV_TRY(rv__hmm_derive(h));
    if (bigram) memcpy(bigram, h->bigram, sizeof h->bigram);
    if (trigram) memcpy(trigram, h->trigram, sizeof h->trigram);
    return RV_OK;
}

rv_status rv__hmm_check(const rv_hmm *h, const rv_batch *b) {
    RV_ASSERT(!b->at && b->T == b->source.T && b->B == b->source.B);
    for (int64_t i = 0; i < b->B; i++)
        for (int64_t t = 0; t < b->source.lengths[i]; t++) {
            const int32_t tag = b->out[i * b->T + t];
            if (tag < 0 || tag >= h->config.tags)
                return rv_error(RV_EDATA,
                                "tag %d of word %lld in row %lld is not in [0, %lld): an HMM counts sentences "
                                "in which each word has a tag",
                                (int)tag, (long long)t, (long long)i, (long long)h->config.tags);
        }
    return RV_OK;
}

/* One sentence of n words. */
static void count_row(rv_hmm *h, const int32_t *word, const int32_t *tag, int64_t n) {
    const int64_t K = h->config.tags;
    for (int64_t t = 0; t < n; t++) h->emission->x[word[t] * K + tag[t]]++;
    if (h->config.order == 0) return;
    h->start->x[tag[0]]++;
    h->stop->x[tag[n - 1]]++;
    for (int64_t t = 1; t < n; t++) h->transition->x[tag[t - 1] * K + tag[t]]++;
    if (h->config.order == 1) return;
    if (n > 1) h->start2->x[tag[0] * K + tag[1]]++;
    for (int64_t t = 2; t < n; t++) h->transition2->x[(tag[t - 2] * K + tag[t - 1]) * K + tag[t]]++;
}

rv_status rv_hmm_count(rv_hmm *h, const rv_batch *b) {
    RV_TRY(rv__hmm_check(h, b));
    for (int64_t i = 0; i < b->B; i++) count_row(h, b->source.ids + i * b->T, b->out + i * b->T, b->source.lengths[i]);
    return RV_OK;
}

/* Scores of one sentence's words: out (n, K). which (n): their letters, or NULL. */
static void emissions(const rv_hmm *h, const rv_words *words, const int32_t *id, const int32_t *which, int64_t n,
                      rv_real *out) {
    const int64_t K = h->config.tags;
    for (int64_t t = 0; t < n; t++) {
        if (id[t] == h->config.unk && !h->config.plain)
            rv__hmm_emit(h, rv__hmm_suffixes_find(&h->suffixes, words, which ? which[t] : -1), out + t * K);
        else
            memcpy(out + t * K, h->log_emission + id[t] * K, (size_t)K * sizeof *out);
    }
}

bool rv_hmm_chain(rv_tape *tape, rv_hmm *h, const rv_sequences *s, rv_chain *out) {
    const rv_status status = rv__hmm_derive(h);
    if (status != RV_OK) {
        rv_tape_fail(tape, status, "%s", rv_error_message());
        return false;
    }
    const int64_t K = h->config.tags;
    rv_real *emission = rv_tape_alloc(tape, (size_t)(s->B * s->T * K) * sizeof *emission);
    if (!emission) return false;
    for (int64_t i = 0; i < s->B; i++)
        emissions(h, s->words, s->ids + i * s->T, s->words ? s->words->which + i * s->T : NULL, s->lengths[i],
                  emission + i * s->T * K);
    *out = (rv_chain){.B = s->B,
                      .T = s->T,
                      .K = K,
                      .order = h->config.order > 1 ? 2 : 1,
                      .lengths = s->lengths,
                      .emission = emission,
                      .start = h->log_start,
                      .stop = h->log_stop,
                      .transition = h->log_first,
                      .transition2 = h->log_after};
    return true;
}

/* A tag for each word: a softmax of its own, or a linear-chain CRF over all of a row. Either is a chain of tags, of
 * which the former has no steps. */
#include <math.h>

#include "models/head.h"

/* z: (B T, K). */
static rv_crf_spec crf_of(rv_tape *tape, const rv_head *h, rv_tensor *z, const rv_batch *b) {
    const rv_head_config *c = rv_head_get_config(h);
    return (rv_crf_spec){.emissions = rv_reshape(tape, z, 3, (int64_t[]){b->B, b->T, c->output_size}),
                         .transition = rv_head_transition(h),
                         .start = rv_head_start(h),
                         .stop = rv_head_stop(h),
                         .tags = b->out,
                         .lengths = b->lengths,
                         .allowed = c->allowed.transition,
                         .allowed_start = c->allowed.start,
                         .allowed_stop = c->allowed.stop};
}

static rv_tensor *loss(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, double smoothing) {
    rv_tensor *z = rv_head_map(tape, h, x);
    if (!z) return NULL;
    if (!rv_head_get_config(h)->crf) return rv_cross_entropy(tape, z, b->out, -1, smoothing);
    const rv_crf_spec spec = crf_of(tape, h, z, b);
    return spec.emissions ? rv_crf(tape, &spec) : NULL;
}

static bool chain(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, rv_chain *out) {
    rv_tensor *z = rv_head_map(tape, h, x);
    if (!z) return false;
    const rv_head_config *c = rv_head_get_config(h);
    *out = (rv_chain){.B = b->B, .T = b->T, .K = c->output_size, .order = 1, .lengths = b->lengths, .emission = z->x};
    if (!c->crf) return true;
    const rv_crf_spec spec = crf_of(tape, h, z, b);
    return spec.emissions && rv_crf_chain(tape, &spec, out);
}

static double step_of(const rv_tensor *x, const uint8_t *allowed, int64_t i) {
    return allowed && !allowed[i] ? -INFINITY : (double)x->x[i];
}

static rv_status steps(rv_head *h, double *out, rv_steps *kind) {
    const rv_head_config *c = rv_head_get_config(h);
    const int64_t K = c->output_size, n = K + 1;
    if (!c->crf) return RV_OK;
    *kind = RV_STEPS_SCORES;
    for (int64_t i = 0; i < K; i++) {
        for (int64_t k = 0; k < K; k++)
            out[i * n + k] = step_of(rv_head_transition(h), c->allowed.transition, i * K + k);
        out[K * n + i] = step_of(rv_head_start(h), c->allowed.start, i);
        out[i * n + K] = step_of(rv_head_stop(h), c->allowed.stop, i);
    }
    out[K * n + K] = NAN;
    return RV_OK;
}

bool rv_head_no_path(rv_tape *tape, double log_z) {
    if (log_z == -INFINITY)
        rv_tape_fail(tape, RV_EDATA, "a sentence has no tagging that is possible; see model.crf_constraints");
    else
        rv_tape_fail(tape, RV_EDIVERGED,
                     "the model's scores of tags are NaN or infinite: it has diverged in training; take an earlier "
                     "checkpoint");
    return false;
}

/* The whole tagging of a row is one prediction: its nats stand at the first word. */
bool rv_head_score_chain(rv_tape *tape, const rv_chain *c, const rv_batch *b, rv_row_score *row, double *nats,
                         int32_t *best) {
    double *of = rv_tape_alloc(tape, (size_t)(3 * b->B) * sizeof *of);
    void *room = rv_tape_alloc(tape, rv_chain_room(c));
    if (!of || !room) return false;
    for (int64_t i = 0; i < b->B * b->T; i++)
        if (b->out[i] >= c->K) {
            rv_tape_fail(tape, RV_EDATA, "tag %d is not in [0, %lld)", (int)b->out[i], (long long)c->K);
            return false;
        }
    rv_chain_best(c, room, best, of + 2 * b->B);
    rv_chain_log_z(c, room, of);
    for (int64_t i = 0; i < b->B; i++)
        if (!isfinite(of[i]) || !isfinite(of[2 * b->B + i])) return rv_head_no_path(tape, of[i]);
    rv_chain_score(c, b->out, of + b->B);
    for (int64_t i = 0; i < b->B; i++) {
        for (int64_t t = 0; t < b->T; t++) nats[i * b->T + t] = 0;
        nats[i * b->T] = of[i] - of[b->B + i];
    }
    rv_head_sum(b, nats, best, row);
    return true;
}

static bool score(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, rv_row_score *row,
                  double *nats, int32_t *best) {
    rv_chain c;
    return chain(tape, h, x, b, &c) && rv_head_score_chain(tape, &c, b, row, nats, best);
}

const rv_head_kind rv__head_tags = {
    .name = "tags", .reads = RV_READS_ENCODER, .loss = loss, .score = score, .chain = chain, .steps = steps};

/* ---- hmm: of the words alone */

static rv_tensor *hmm_loss(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major,
                           double smoothing) {
    return rv_hmm_loss(tape, rv_head_hmm(h), b);
}

static bool hmm_score(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, rv_row_score *row,
                      double *nats, int32_t *best) {
    rv_chain c;
    return rv_hmm_chain(tape, rv_head_hmm(h), &b->source, &c) && rv_head_score_chain(tape, &c, b, row, nats, best);
}

static bool hmm_chain(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, rv_chain *out) {
    return rv_hmm_chain(tape, rv_head_hmm(h), &b->source, out);
}

static rv_status hmm_steps(rv_head *h, double *out, rv_steps *kind) {
    rv_hmm *hmm = rv_head_hmm(h);
    if (rv_head_get_config(h)->hmm.order == 0) return RV_OK;
    *kind = RV_STEPS_PROBABILITIES;
    return rv_hmm_steps(hmm, out);
}

static rv_status hmm_count(rv_head *h, const rv_batch *b) { return rv_hmm_count(rv_head_hmm(h), b); }

const rv_head_kind rv__head_hmm = {.name = "hmm",
                                   .reads = RV_READS_SOURCE,
                                   .loss = hmm_loss,
                                   .score = hmm_score,
                                   .chain = hmm_chain,
                                   .steps = hmm_steps,
                                   .count = hmm_count};

#include "decode/classify.h"

#include <math.h>

#include "base/arena.h"
#include "base/stop.h"
#include "decode/like_length.h"

/* Softmax of a row of logits, in double; the most probable class, -1 where a logit is not finite. */
static int probabilities(int classes, const rv_real *logits, double *p) {
    int best = 0;
    double sum = 0;
    for (int c = 0; c < classes; c++) {
        if (!isfinite(logits[c])) return -1;
        if (logits[c] > logits[best]) best = c;
    }
    for (int c = 0; c < classes; c++) sum += p[c] = exp((double)logits[c] - (double)logits[best]);
    for (int c = 0; c < classes; c++) p[c] /= sum;
    return best;
}

/* The sink may use the tape, so that what is on it is copied first. */
typedef struct {
    rv_real *logits, *weights; /* (B, C), (B, S) */
    double *p;                 /* (C) */
} room;

static rv_status take(room *r, const rv_tensor *logits, const rv_tensor *weights, int64_t B, int64_t S) {
    const int64_t C = rv_dim(logits, -1);
    r->logits = rv_alloc(rv_size_mul((size_t)(B * C), sizeof *r->logits));
    r->weights = weights ? rv_alloc(rv_size_mul((size_t)(B * S), sizeof *r->weights)) : NULL;
    r->p = rv_alloc((size_t)C * sizeof *r->p);
    if (!r->logits || !r->p || (weights && !r->weights)) return RV_ENOMEM;
    for (int64_t i = 0; i < B * C; i++) r->logits[i] = logits->x[i];
    for (int64_t i = 0; weights && i < B * S; i++) r->weights[i] = weights->x[i];
    return RV_OK;
}

static rv_status give(const room *r, const rv__like_batch *b, int classes, rv_class_sink sink, void *ctx) {
    for (int64_t i = 0; i < b->rows.B; i++) {
        const rv_classified c = {.classes = classes,
                                 .probability = r->p,
                                 .n = b->rows.lengths[i],
                                 .best = probabilities(classes, r->logits + i * classes, r->p),
                                 .weights = r->weights ? r->weights + i * b->rows.T : NULL};
        if (c.best < 0)
            return rv_error(RV_EDIVERGED,
                            "the model's logits are NaN or infinite: it has diverged in training; take an "
                            "earlier checkpoint");
        RV_TRY(sink(ctx, b->text[i], &c));
    }
    return RV_OK;
}

static rv_status classify_batch(rv_tape *tape, rv_model *model, const rv__like_batch *b, rv_class_sink sink,
                                void *ctx) {
    rv_pooled pooled = {0};
    room r = {0};
    RV_TRY(rv_stop_requested());
    rv_tape_reset(tape);
    const rv_tape_mode mode = rv_tape_infer(tape);
    const rv_tensor *logits = rv_model_read(tape, model, &b->rows, &pooled);
    rv_tape_restore(tape, mode);
    if (!logits) return rv_tape_status(tape);
    rv_status status = take(&r, logits, pooled.weights, b->rows.B, b->rows.T);
    if (status == RV_OK) status = give(&r, b, (int)rv_dim(logits, -1), sink, ctx);
    rv_free(r.logits);
    rv_free(r.weights);
    rv_free(r.p);
    return status;
}

rv_status rv_classify_each(rv_tape *tape, rv_model *model, const int32_t *const *ids, const int64_t *n, int64_t texts,
                           int64_t batch, int32_t eos, rv_class_sink sink, void *ctx) {
    RV_ASSERT(rv_model_get_config(model)->head.kind == &rv__head_class);
    rv__like_length *l;
    rv__like_batch b;
    rv_status status = rv__like_length_begin(ids, n, texts, batch, eos, &l);
    while (status == RV_OK && rv__like_length_next(l, 0, &b)) status = classify_batch(tape, model, &b, sink, ctx);
    rv__like_length_end(l);
    return status;
}

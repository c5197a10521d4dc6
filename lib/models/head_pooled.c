/* A class or a number for a whole sequence. */
#include "kernels/top_k.h"
#include "models/head.h"

/* ---- class: cross-entropy */

static rv_tensor *class_loss(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major,
                             double smoothing) {
    rv_tensor *z = rv_head_map(tape, h, x);
    return z ? rv_cross_entropy(tape, z, b->label, -1, smoothing) : NULL;
}

static bool class_score(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, rv_row_score *row,
                        double *nats, int32_t *best) {
    const int64_t C = rv_head_get_config(h)->output_size;
    const rv_tensor *z = rv_head_map(tape, h, x);
    rv_real *lse = rv_tape_alloc(tape, (size_t)(2 * b->B) * sizeof *lse);
    int32_t *id = rv_tape_alloc(tape, (size_t)b->B * sizeof *id);
    if (!z || !lse || !id) return false;
    rv_top_k(b->B, C, z->x, 1, lse, lse + b->B, id);
    for (int64_t i = 0; i < b->B; i++) {
        const int32_t label = b->label[i];
        if (label < 0 || label >= C) {
            rv_tape_fail(tape, RV_EDATA, "class %d is not in [0, %lld)", (int)label, (long long)C);
            return false;
        }
        row[i] = (rv_row_score){.nats = (double)lse[i] - (double)z->x[i * C + label],
                                .tokens = 1,
                                .correct = id[i] == label,
                                .label = label,
                                .said = id[i]};
    }
    return true;
}

const rv_head_kind rv__head_class = {
    .name = "class", .reads = RV_READS_POOLED, .loss = class_loss, .score = class_score};

/* ---- number: squared error */

static rv_tensor *number_loss(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major,
                              double smoothing) {
    rv_tensor *y = rv_head_map(tape, h, x);
    return y ? rv_mse(tape, y, rv_constant(tape, 2, y->dim, b->number)) : NULL;
}

static bool number_score(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, rv_row_score *row,
                         double *nats, int32_t *best) {
    const int64_t O = rv_head_get_config(h)->output_size;
    const rv_tensor *y = rv_head_map(tape, h, x);
    for (int64_t i = 0; y && i < b->B; i++)
        row[i] = (rv_row_score){.prediction = (double)y->x[i * O], .target = (double)b->number[i * O]};
    return y;
}

const rv_head_kind rv__head_number = {
    .name = "number", .reads = RV_READS_POOLED, .loss = number_loss, .score = number_score};

/* Short ways to what tests ask of a model. A header, as it is compiled with either precision. */
#ifndef RV_TESTS_MODELS_H
#define RV_TESTS_MODELS_H

#include "models/model.h"

/* Targets y (B, T), batch-major, in the order of the logits' rows; the tape's. */
static inline int32_t *arranged_targets(rv_tape *tape, const rv_model *m, const int32_t *y, int64_t B, int64_t T) {
    int32_t *to = rv_tape_alloc(tape, (size_t)(B * T) * sizeof *to);
    for (int64_t i = 0; to && i < B * T; i++) to[rv_model_row(m, B, T, i / T, i % T)] = y[i];
    return to;
}

/* The loss of a model that reads no source, from ids x (B, T) and what is to follow them; no logits are stored. */
static inline rv_tensor *loss_of_tokens(rv_tape *tape, rv_model *m, const int32_t *x, const int32_t *y, int64_t B,
                                        int64_t T, double smoothing) {
    const rv_batch b = {.B = B, .T = T, .in = x, .out = y};
    return rv_model_loss(tape, m, &b, NULL, smoothing);
}

/* The same of logits that are there, for who needs both. */
static inline rv_tensor *loss_of_logits(rv_tape *tape, const rv_model *m, rv_tensor *logits, const int32_t *y,
                                        int64_t B, int64_t T, double smoothing) {
    const int32_t *targets = arranged_targets(tape, m, y, B, T);
    return logits && targets ? rv_cross_entropy(tape, logits, targets, -1, smoothing) : NULL;
}

/* What an encoder makes of ids (B, S). */
static inline bool encode_ids(rv_tape *tape, rv_model *m, const int32_t *ids, const int32_t *lengths, int64_t B,
                              int64_t S, rv_memory *out) {
    return rv_model_encode(tape, m, &(rv_sequences){.B = B, .T = S, .ids = ids, .lengths = lengths}, out);
}

#endif

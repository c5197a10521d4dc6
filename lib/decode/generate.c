#include "decode/generate.h"

#include <math.h>
#include <string.h>

/* Logits (V) after `n` more tokens; valid until the next reset of the tape. */
static rv_real *feed(rv_tape *tape, rv_model *lm, const int32_t *ids, int64_t n, rv_decoder_state *state) {
    rv_tape_reset(tape);
    rv_tensor *logits = rv_model_logits(tape, lm, ids, 1, n, state, NULL);
    return logits ? logits->x + rv_model_row(lm, 1, n, 0, n - 1) * rv_dim(logits, -1) : NULL;
}

rv_status rv_generate(rv_tape *tape, rv_model *lm, const int32_t *prompt, int64_t n, const rv_generate_options *o,
                      rv_token_sink sink, void *ctx) {
    const rv_decoder_config *dc = &rv_model_get_config(lm)->decoder;
    const rv_decoder_kind *kind = dc->kind;
    const bool whole = rv_model_sees_future(lm); /* no state can be kept */
    int64_t capacity = o->context > 1 ? o->context : n + o->length, V = dc->input.vocab_size;
    rv_decoder_state *state = NULL;
    int32_t *history = rv_alloc((size_t)(n + o->length) * sizeof *history);
    void *scratch = rv_alloc(rv_sampler_scratch(V));
    rv_status status = RV_ENOMEM;
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_tape_hold_weights(tape, true);
    if (!history || !scratch) goto done;
    state = whole ? NULL : rv_model_state_create(lm, 1, capacity);
    if (!state && !whole) goto done;
    memcpy(history, prompt, (size_t)n * sizeof *history);
    rv_rng rng = rv_rng_make(o->seed, "generate", 0);
    int64_t seen = n, room = whole ? capacity : kind->state_room(state),
            next = n > room ? n - room : 0; /* history[next .. seen) is to be read */
    for (int64_t i = 0; i < o->length; i++) {
        if (seen - next > (whole ? capacity : kind->state_room(state))) {
            if (state) kind->state_reset(state);
            next = seen - capacity / 2 > 0 ? seen - (capacity + 1) / 2 : 0;
        }
        rv_real *logits = feed(tape, lm, history + next, seen - next, state);
        status = rv_tape_status(tape);
        if (status != RV_OK || !logits) goto done;
        if (state) next = seen;
        if (o->never >= 0) logits[o->never] = -INFINITY;
        int32_t id = rv_sample_token(logits, V, &o->sampling, &rng, scratch);
        if (id < 0) {
            status = rv_error(
                RV_EDIVERGED,
                "the model's logits are NaN or infinite: it has diverged in training; take an earlier checkpoint");
            goto done;
        }
        history[seen++] = id;
        status = sink(ctx, id);
        if (status != RV_OK) goto done;
    }
    status = RV_OK;
done:
    rv_tape_hold_weights(tape, false);
    rv_tape_restore(tape, mode);
    if (state) kind->state_destroy(state);
    rv_free(history);
    rv_free(scratch);
    return status;
}

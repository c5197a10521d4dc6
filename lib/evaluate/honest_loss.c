#include "evaluate/honest_loss.h"

#include <string.h>

#include "base/arena.h"
#include "base/stop.h"

typedef struct {
    const int32_t *ids;
    int64_t n, T, windows;
    int32_t *x, *y; /* (windows, at most T) */
} text;

static int64_t start(const text *t, int64_t w) { return t->windows > 1 ? w * (t->n - 1 - t->T) / (t->windows - 1) : 0; }

/* Mean nats of the targets of the first `len` positions of each window, or only of the last of them. */
static rv_status run(rv_tape *tape, rv_model *lm, const text *t, int64_t len, bool last, double *nats) {
    RV_TRY(rv_stop_requested());
    for (int64_t w = 0; w < t->windows; w++) {
        const int32_t *from = t->ids + start(t, w);
        memcpy(t->x + w * len, from, (size_t)len * sizeof *from);
        memcpy(t->y + w * len, from + 1, (size_t)len * sizeof *from);
        for (int64_t i = 0; last && i < len - 1; i++) t->y[w * len + i] = -1;
    }
    rv_tape_reset(tape);
    const rv_batch batch = {.B = t->windows, .T = len, .in = t->x, .out = t->y};
    rv_tensor *loss = rv_model_loss(tape, lm, &batch, NULL, 0);
    RV_TRY(rv_tape_status(tape));
    *nats = (double)loss->x[0];
    return RV_OK;
}

/* The longest prefixes first: what memory does for them does for all. */
static rv_status measure(rv_tape *tape, rv_model *lm, const text *t, rv_honest_loss *out) {
    RV_TRY(run(tape, lm, t, t->T, false, &out->claimed));
    double sum = 0, nats;
    for (int64_t len = t->T; len > 0; len--) {
        RV_TRY(run(tape, lm, t, len, true, &nats));
        sum += nats;
    }
    out->honest = sum / (double)t->T;
    out->tokens = t->windows * t->T;
    return RV_OK;
}

rv_status rv_honest_loss_measure(rv_tape *tape, rv_model *lm, const int32_t *ids, int64_t n, int64_t T,
                                 rv_honest_loss *out) {
    RV_ASSERT(n >= 2 && T >= 1);
    text t = {.ids = ids, .n = n, .T = T < n - 1 ? T : n - 1};
    t.windows = (n - 1) / t.T < RV_HONEST_WINDOWS ? (n - 1) / t.T : RV_HONEST_WINDOWS;
    *out = (rv_honest_loss){0};
    t.x = rv_alloc((size_t)(2 * t.windows * t.T) * sizeof *t.x);
    if (!t.x) return RV_ENOMEM;
    t.y = t.x + t.windows * t.T;
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_status status = measure(tape, lm, &t, out);
    rv_tape_restore(tape, mode);
    rv_free(t.x);
    return status;
}

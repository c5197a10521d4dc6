#include "data/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

struct rv_lm_batches {
    const int32_t *ids;
    int64_t n, B, T, windows; /* windows: shuffled, in an epoch; contiguous, in a stream's epoch */
    rv_sampling sampling;
    uint64_t seed;
    rv_cursor at;
    int64_t *order; /* shuffled: the windows in the order of epoch `order_epoch` */
    int64_t order_epoch;
};

static const char *const names[] = {"random", "shuffled", "contiguous"};

bool rv_sampling_parse(const char *name, rv_sampling *sampling) {
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) {
            *sampling = (rv_sampling)i;
            return true;
        }
    return false;
}

static void window(const int32_t *ids, int64_t from, int64_t T, int32_t *x, int32_t *y) {
    memcpy(x, ids + from, (size_t)T * sizeof *x);
    memcpy(y, ids + from + 1, (size_t)T * sizeof *y);
}

/* The order of an epoch depends on (seed, epoch) only, so a cursor need not hold it. */
static void shuffle(rv_lm_batches *b, int64_t epoch) {
    for (int64_t i = 0; i < b->windows; i++) b->order[i] = i;
    rv_rng r = rv_rng_make(b->seed, "data.shuffled", (uint64_t)epoch);
    rv_rng_shuffle(&r, b->order, b->windows);
    b->order_epoch = epoch;
}

rv_status rv_lm_batches_create(const int32_t *ids, int64_t n, int64_t B, int64_t T, rv_sampling sampling, uint64_t seed,
                               rv_lm_batches **out) {
    *out = NULL;
    if (B < 1 || T < 1)
        return rv_error(RV_EUSAGE, "a batch of %lld rows by %lld tokens: both must be at least 1", (long long)B,
                        (long long)T);
    int64_t streams = sampling == RV_SAMPLE_CONTIGUOUS ? B : 1;
    if (n < 1 || (n - 1) / streams < T)
        return rv_error(RV_EDATA,
                        "the training text has %lld tokens; %s windows of %lld tokens%s need at least %lld x %lld + 1: "
                        "use more text, or a smaller "
                        "sequence length or batch",
                        (long long)n, names[sampling], (long long)T, streams > 1 ? " in one stream per row" : "",
                        (long long)streams, (long long)T);
    rv_lm_batches *b = calloc(1, sizeof *b);
    if (!b) return rv_error(RV_ENOMEM, "no memory for a batcher");
    *b = (rv_lm_batches){
        .ids = ids, .n = n, .B = B, .T = T, .windows = (n - 1) / streams / T, .sampling = sampling, .seed = seed};
    if (sampling == RV_SAMPLE_SHUFFLED) {
        b->order = malloc((size_t)b->windows * sizeof *b->order);
        if (!b->order) {
            free(b);
            return rv_error(RV_ENOMEM, "no memory for the order of %lld windows", (long long)(n / T));
        }
        shuffle(b, 0);
    }
    *out = b;
    return RV_OK;
}

void rv_lm_batches_destroy(rv_lm_batches *b) {
    if (b) free(b->order);
    free(b);
}

/* Row `row` of batch `step`. 16 numbers are set aside for each row; one draw takes 2, more with vanishing chance. */
static int64_t random_offset(const rv_lm_batches *b, int64_t row) {
    rv_rng r = rv_rng_make(b->seed, "data.random", (uint64_t)b->at.step);
    r.next = 16 * (uint64_t)row;
    return (int64_t)rv_rng_below(&r, (uint64_t)(b->n - b->T));
}

bool rv_lm_batches_next(rv_lm_batches *b, int32_t *x, int32_t *y) {
    int64_t B = b->B, T = b->T, stream = (b->n - 1) / B;
    bool carried = b->sampling == RV_SAMPLE_CONTIGUOUS && b->at.position > 0;
    for (int64_t r = 0; r < B; r++) {
        int64_t from = 0;
        switch (b->sampling) {
        case RV_SAMPLE_RANDOM: from = random_offset(b, r); break;
        case RV_SAMPLE_CONTIGUOUS: from = r * stream + b->at.position * T; break;
        case RV_SAMPLE_SHUFFLED: /* a batch may span the end of an epoch, so that every window has its turn */
            if (b->order_epoch != b->at.epoch) shuffle(b, b->at.epoch);
            from = b->order[b->at.position] * T;
            if (++b->at.position == b->windows) b->at.position = 0, b->at.epoch++;
            break;
        }
        window(b->ids, from, T, x + r * T, y + r * T);
    }
    if (b->sampling == RV_SAMPLE_CONTIGUOUS && ++b->at.position == b->windows) b->at.position = 0, b->at.epoch++;
    if (b->sampling == RV_SAMPLE_RANDOM) {
        b->at.position += B * T;
        b->at.epoch += b->at.position / b->n;
        b->at.position %= b->n;
    }
    b->at.step++;
    return carried;
}

rv_cursor rv_lm_batches_cursor(const rv_lm_batches *b) { return b->at; }

rv_status rv_lm_batches_seek(rv_lm_batches *b, rv_cursor c) {
    int64_t limit = b->sampling == RV_SAMPLE_RANDOM ? b->n : b->windows;
    if (c.epoch < 0 || c.step < 0 || c.position < 0 || c.position >= limit)
        return rv_error(RV_ECKPT,
                        "data cursor (epoch %lld, position %lld, step %lld) does not fit %lld positions per epoch: "
                        "corpus, batch or sequence length "
                        "have changed since the checkpoint; restore them, or choose another name or checkpoint.dir",
                        (long long)c.epoch, (long long)c.position, (long long)c.step, (long long)limit);
    b->at = c;
    return RV_OK;
}

static int64_t ratio_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t rv_lm_batches_of_epochs(const rv_lm_batches *b, int64_t epochs) {
    switch (b->sampling) {
    case RV_SAMPLE_RANDOM: return ratio_up(epochs * b->n, b->B * b->T);
    case RV_SAMPLE_SHUFFLED: return ratio_up(epochs * b->windows, b->B);
    case RV_SAMPLE_CONTIGUOUS: return epochs * b->windows;
    }
    return 0;
}

/* ---- evaluation: every target once ---- */

/* Targets t are numbered 0 .. n-2: ids[t + 1], predicted after ids[t]. Stream r owns [stream_begin(r), stream_begin(r +
 * 1)). */
static int64_t stream_begin(const rv_lm_pass *p, int64_t r) {
    int64_t q = (p->n - 1) / p->B, rest = (p->n - 1) % p->B;
    return r * q + (r < rest ? r : rest);
}

rv_status rv_lm_pass_make(const int32_t *ids, int64_t n, int64_t B, int64_t T, bool carry, rv_lm_pass *out) {
    *out = (rv_lm_pass){.ids = ids, .n = n, .B = B, .T = T, .carry = carry};
    if (B < 1 || T < 1)
        return rv_error(RV_EUSAGE, "a batch of %lld rows by %lld tokens: both must be at least 1", (long long)B,
                        (long long)T);
    int64_t need = carry ? B + 1 : 2;
    if (n < need)
        return rv_error(
            RV_EDATA,
            "the evaluation text has %lld tokens; %lld are needed at least: give it more text or rows fewer than %lld",
            (long long)n, (long long)need, (long long)B);
    return RV_OK;
}

int64_t rv_lm_pass_batches(const rv_lm_pass *p) {
    int64_t per_row = p->carry ? (p->n - 1 + p->B - 1) / p->B : 0, bt = p->B * p->T;
    return p->carry ? (per_row + p->T - 1) / p->T : (p->n - 1 + bt - 1) / bt;
}

int64_t rv_lm_pass_target(const rv_lm_pass *p, int64_t batch, int64_t row) {
    return p->carry ? stream_begin(p, row) + batch * p->T : (batch * p->B + row) * p->T;
}

int64_t rv_lm_pass_next(rv_lm_pass *p, int32_t *x, int32_t *y, bool *carried) {
    int64_t targets = 0;
    if (carried) *carried = p->carry && p->next > 0;
    for (int64_t r = 0; r < p->B; r++) {
        int64_t from = rv_lm_pass_target(p, p->next, r);
        int64_t end = p->carry ? stream_begin(p, r + 1) : p->n - 1;
        for (int64_t t = 0; t < p->T; t++) {
            bool there = from + t < end;
            x[r * p->T + t] = there ? p->ids[from + t] : 0;
            y[r * p->T + t] = there ? p->ids[from + t + 1] : RV_IGNORE;
            targets += there;
        }
    }
    if (targets) p->next++;
    return targets;
}

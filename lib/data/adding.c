#include "data/adding.h"

#include <string.h>

#include "base/arena.h"

rv_status rv_adding_batch_alloc(rv_adding_batch *b, int64_t B, int64_t max_length) {
    size_t rows = rv_size_mul((size_t)B, sizeof(rv_real));
    *b = (rv_adding_batch){.x = rv_alloc(rv_size_mul(rows, RV_ADDING_INPUTS * (size_t)max_length)),
                           .lengths = rv_alloc(rows),
                           .target = rv_alloc(rows)};
    if (b->x && b->lengths && b->target) return RV_OK;
    rv_adding_batch_free(b);
    return RV_ENOMEM;
}

void rv_adding_batch_free(rv_adding_batch *b) {
    rv_free(b->x);
    rv_free(b->lengths);
    rv_free(b->target);
    *b = (rv_adding_batch){0};
}

/* The numbers of one example, in this order: length, the two marked places, then the sequence's. */
static rv_rng begin(const rv_adding *a, int64_t index) { return rv_rng_make(a->seed, a->stream, (uint64_t)index); }

static int64_t draw_length(const rv_adding *a, rv_rng *r, bool longest) {
    int64_t n = a->min_length + (int64_t)rv_rng_below(r, (uint64_t)(a->max_length - a->min_length + 1));
    return longest ? a->max_length : n;
}

/* In 24 bits: exact in float, so that both precisions learn from the same numbers, and never rounded up to 1. */
static rv_real draw_number(rv_rng *r) { return (rv_real)(rv_rng_u32(r) >> 8) / (rv_real)(1 << 24); }

static void fill_row(const rv_adding *a, int64_t index, bool longest, rv_adding_batch *batch, int64_t row) {
    rv_rng r = begin(a, index);
    int64_t n = draw_length(a, &r, longest), first = (int64_t)rv_rng_below(&r, (uint64_t)(n / 2)),
            second = n / 2 + (int64_t)rv_rng_below(&r, (uint64_t)(n - n / 2));
    rv_real *x = batch->x + row * batch->T * RV_ADDING_INPUTS;
    for (int64_t t = 0; t < n; t++) {
        x[2 * t] = draw_number(&r);
        x[2 * t + 1] = t == first || t == second;
    }
    memset(x + 2 * n, 0, (size_t)(batch->T - n) * RV_ADDING_INPUTS * sizeof *x);
    batch->target[row] = x[2 * first] + x[2 * second];
    batch->lengths[row] = (int32_t)n;
}

void rv_adding_fill(const rv_adding *a, int64_t first, int64_t n, bool longest, rv_adding_batch *batch) {
    batch->B = n;
    batch->T = 0;
    for (int64_t i = 0; i < n; i++) {
        rv_rng r = begin(a, first + i);
        int64_t length = draw_length(a, &r, longest);
        if (length > batch->T) batch->T = length;
    }
    for (int64_t i = 0; i < n; i++) fill_row(a, first + i, longest, batch, i);
}

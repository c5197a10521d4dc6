/* Attention for decoding, which records nothing and so is no op: the same bits at every thread count. */
#include <criterion/criterion.h>

#include "base/rng.h"
#include "ops/ops.h"
#include "support/same_bits.h"

enum { B = 5, D = 48, HEADS = 3, MOST = 90 };

typedef struct {
    const char *name;
    int64_t queries;
    bool causal, rows, places;
} way;

static rv_real *numbers(rv_tape *tape, int64_t n, const char *stream) {
    rv_real *x = rv_tape_alloc(tape, (size_t)n * sizeof *x);
    cr_assert(x);
    rv_rng r = rv_rng_make(2, stream, 0);
    for (int64_t i = 0; i < n; i++) x[i] = (rv_real)(2 * rv_rng_uniform(&r) - 1);
    return x;
}

static void attend(const void *what, rv_bits part[RV_BITS_PARTS]) {
    static const int32_t past[B] = {70, 70, 3, 66, 1}, rows[B] = {1, 1, 0, 4, 2};
    static int32_t place[B * MOST];
    const way *w = what;
    for (int32_t i = 0; i < B * MOST; i++) place[i] = i * 7 % (B * MOST);
    rv_tape *tape = rv_tape_create();
    rv_attention_cache c = {.batch = B,
                            .queries = w->queries,
                            .dim = D,
                            .heads = HEADS,
                            .causal = w->causal,
                            .past = past,
                            .ldq = D,
                            .ldk = D,
                            .ldv = D,
                            .ldy = D,
                            .stride_q = w->queries * D,
                            .stride_k = MOST * D,
                            .stride_v = MOST * D,
                            .stride_y = w->queries * D};
    if (w->rows) c.rows = rows;
    if (w->places) c.place = place, c.stride_place = MOST;
    rv_real *y = numbers(tape, B * w->queries * D, "y");
    c.q = numbers(tape, B * w->queries * D, "q");
    c.k = numbers(tape, B * MOST * D, "k");
    c.v = numbers(tape, B * MOST * D, "v");
    c.y = y;
    rv_bits_begin();
    cr_assert_eq(rv_attention_cached(tape, &c), RV_OK);
    rv_bits_end(&part[0]);
    rv_bits_add(&part[0], y, B * w->queries * D);
    rv_tape_destroy(tape);
}

Test(cached_bits, threads) {
    static const way ways[] = {
        {"a step", 1, true, false, false},
        {"a step over a shared memory", 1, false, true, false},
        {"a step over places", 1, true, false, true},
        {"a block of queries", 9, true, false, false},
        {"a block of queries over a memory", 9, false, true, false},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) rv_bits_expect_same(ways[i].name, attend, &ways[i]);
    rv_bits_expect_regions_shared();
}

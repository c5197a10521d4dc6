/* Attention with kept keys and values, as decoding has it, gives the bits of the full pass. Compiled for float and for
 * double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/attention.h"
#include "ops/attention_run.h"

/* One position at a time, or a few, against kept keys: the bits of the full pass. */
Test(attention, cached_equals_full) {
    shape z = {2, 150, 150, 36, {.heads = 3, .causal = true}};
    static const int64_t chunks[] = {1, 1, 5, 60, 1, 66, 1, 15};
    run r = make_run(&z);
    execute(&z, &r, true);
    rv_tape *tape = rv_tape_create();
    rv_real *y = malloc((size_t)count(&z, Q) * sizeof *y);
    int64_t t = 0;
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        int32_t past[] = {(int32_t)t, (int32_t)t};
        rv_attention_cache cache = {.batch = z.b,
                                    .queries = chunks[c],
                                    .dim = z.d,
                                    .heads = z.spec.heads,
                                    .causal = true,
                                    .past = past,
                                    .q = r.x[Q] + t * z.d,
                                    .k = r.x[K],
                                    .v = r.x[V],
                                    .y = y + t * z.d,
                                    .ldq = z.d,
                                    .ldk = z.d,
                                    .ldv = z.d,
                                    .ldy = z.d,
                                    .stride_q = z.t * z.d,
                                    .stride_k = z.t * z.d,
                                    .stride_v = z.t * z.d,
                                    .stride_y = z.t * z.d};
        cr_assert_eq(rv_attention_cached(tape, &cache), RV_OK);
        t += chunks[c];
    }
    cr_assert_eq(t, z.t);
    check_equal(y, r.y, count(&z, Q), "y");
    rv_tape_destroy(tape);
    free(y);
    free_run(&r);
}

/* The positions of a row lie anywhere, and several queries come at once. */
Test(attention, cached_in_scattered_places) {
    enum { ROOM = 300 };
    shape z = {2, 140, 140, 38, {.heads = 2, .causal = true}};
    static const int64_t chunks[] = {1, 2, 70, 1, 66};
    run r = make_run(&z);
    execute(&z, &r, true);
    rv_tape *tape = rv_tape_create();
    rv_real *y = malloc((size_t)count(&z, Q) * sizeof *y), *k = malloc((size_t)(ROOM * z.d) * sizeof *k),
            *v = malloc((size_t)(ROOM * z.d) * sizeof *v);
    int32_t place[2 * 150];
    for (int64_t b = 0; b < z.b; b++)
        for (int64_t s = 0; s < z.s; s++) {
            place[b * 150 + s] = (int32_t)((b * z.s + s) * 7 % ROOM);
            memcpy(k + place[b * 150 + s] * z.d, r.x[K] + (b * z.s + s) * z.d, (size_t)z.d * sizeof *k);
            memcpy(v + place[b * 150 + s] * z.d, r.x[V] + (b * z.s + s) * z.d, (size_t)z.d * sizeof *v);
        }
    int64_t t = 0;
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        int32_t past[] = {(int32_t)t, (int32_t)t};
        rv_attention_cache cache = {.batch = z.b,
                                    .queries = chunks[c],
                                    .dim = z.d,
                                    .heads = z.spec.heads,
                                    .causal = true,
                                    .past = past,
                                    .place = place,
                                    .stride_place = 150,
                                    .q = r.x[Q] + t * z.d,
                                    .k = k,
                                    .v = v,
                                    .y = y + t * z.d,
                                    .ldq = z.d,
                                    .ldk = z.d,
                                    .ldv = z.d,
                                    .ldy = z.d,
                                    .stride_q = z.t * z.d,
                                    .stride_y = z.t * z.d};
        cr_assert_eq(rv_attention_cached(tape, &cache), RV_OK);
        t += chunks[c];
    }
    check_equal(y, r.y, count(&z, Q), "y");
    rv_tape_destroy(tape);
    free(y);
    free(k);
    free(v);
    free_run(&r);
}

/* Rows that read one memory, next to each other or not, are the same as each alone. */
Test(attention, cached_rows_of_one_memory) {
    enum { ROWS = 140, D = 20, KEYS = 90 };
    shape z = {3, 1, KEYS, D, {.heads = 2}};
    run r = make_run(&z);
    rv_tape *tape = rv_tape_create();
    rv_real q[ROWS * D], y[ROWS * D], one[D];
    int32_t rows[ROWS], past[ROWS];
    for (int i = 0; i < ROWS * D; i++) q[i] = (rv_real)sin(i);
    for (int b = 0; b < ROWS; b++)
        rows[b] = b < 4 ? b % 2 : b < 80 ? 2 : 1, past[b] = rows[b] == 2 && b < 70 ? 66 : KEYS;
    rv_attention_cache cache = {.batch = ROWS,
                                .queries = 1,
                                .dim = D,
                                .heads = 2,
                                .past = past,
                                .rows = rows,
                                .q = q,
                                .k = r.x[K],
                                .v = r.x[V],
                                .y = y,
                                .ldq = D,
                                .ldk = D,
                                .ldv = D,
                                .ldy = D,
                                .stride_q = D,
                                .stride_k = KEYS * D,
                                .stride_v = KEYS * D,
                                .stride_y = D};
    cr_assert_eq(rv_attention_cached(tape, &cache), RV_OK);
    for (int b = 0; b < ROWS; b++) {
        cache.batch = 1, cache.past = past + b, cache.rows = rows + b, cache.q = q + b * D, cache.y = one;
        cr_assert_eq(rv_attention_cached(tape, &cache), RV_OK);
        check_equal(y + b * D, one, D, "row");
        shape single = {1, 1, past[b], D, {.heads = 2}};
        run full = make_run(&single);
        const rv_real *from[] = {[Q] = q + b * D, [K] = r.x[K] + rows[b] * KEYS * D, [V] = r.x[V] + rows[b] * KEYS * D};
        for (int i = 0; i < OPERANDS; i++) memcpy(full.x[i], from[i], (size_t)count(&single, i) * sizeof *q);
        execute(&single, &full, true);
        check_equal(y + b * D, full.y, D, "full");
        free_run(&full);
    }
    rv_tape_destroy(tape);
    free_run(&r);
}

/* Rows whose caches are of different lengths, as after ragged prompts; without the causal mask (cross-attention). */
Test(attention, cached_rows_of_different_lengths) {
    int32_t past[] = {9, 130, 0, 64};
    shape z = {4, 2, 130, 12, {.heads = 2, .key_lengths = past}};
    run r = make_run(&z);
    execute(&z, &r, true);
    rv_tape *tape = rv_tape_create();
    rv_real *y = malloc((size_t)count(&z, Q) * sizeof *y);
    rv_attention_cache cache = {.batch = z.b,
                                .queries = z.t,
                                .dim = z.d,
                                .heads = z.spec.heads,
                                .past = past,
                                .q = r.x[Q],
                                .k = r.x[K],
                                .v = r.x[V],
                                .y = y,
                                .ldq = z.d,
                                .ldk = z.d,
                                .ldv = z.d,
                                .ldy = z.d,
                                .stride_q = z.t * z.d,
                                .stride_k = z.s * z.d,
                                .stride_v = z.s * z.d,
                                .stride_y = z.t * z.d};
    cr_assert_eq(rv_attention_cached(tape, &cache), RV_OK);
    check_equal(y, r.y, count(&z, Q), "y");
    rv_tape_destroy(tape);
    free(y);
    free_run(&r);
}

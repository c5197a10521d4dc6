/* Batches: shifted by one, every target when it should come, and exact continuation from any cursor. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "data/batch.h"

enum { N = 103, B = 3, T = 4, STEPS = 60 };
static int32_t ids[N];

static void fill(void) {
    for (int i = 0; i < N; i++) ids[i] = i;
}

static rv_lm_batches *make(rv_sampling s, uint64_t seed) {
    rv_lm_batches *b;
    cr_assert_eq(rv_lm_batches_create(ids, N, B, T, s, seed, &b), RV_OK, "%s", rv_error_message());
    return b;
}

Test(batch, y_is_x_moved_on, .init = fill) {
    for (int s = 0; s < 3; s++) {
        rv_lm_batches *b = make((rv_sampling)s, 1);
        for (int k = 0; k < STEPS; k++) {
            int32_t x[B * T], y[B * T];
            rv_lm_batches_next(b, x, y);
            for (int i = 0; i < B * T; i++) {
                cr_assert_eq(y[i], x[i] + 1);
                cr_assert(i % T == 0 || x[i] == x[i - 1] + 1);
            }
        }
        rv_lm_batches_destroy(b);
    }
}

Test(batch, continues_exactly_from_every_step, .init = fill) {
    for (int s = 0; s < 3; s++) {
        static int32_t x[STEPS][B * T], y[STEPS][B * T], x2[B * T], y2[B * T];
        bool carried[STEPS];
        rv_cursor at[STEPS];
        rv_lm_batches *b = make((rv_sampling)s, 7);
        for (int k = 0; k < STEPS; k++) {
            at[k] = rv_lm_batches_cursor(b);
            carried[k] = rv_lm_batches_next(b, x[k], y[k]);
            cr_assert_eq(at[k].step, k);
        }
        for (int from = STEPS - 1; from >= 0; from--) {
            rv_lm_batches *c = from % 2 ? make((rv_sampling)s, 7) : b; /* in a new process, and back in the same one */
            cr_assert_eq(rv_lm_batches_seek(c, at[from]), RV_OK);
            for (int k = from; k < STEPS; k++) {
                cr_assert_eq(rv_lm_batches_next(c, x2, y2), carried[k]);
                cr_assert(!memcmp(x2, x[k], sizeof x2) && !memcmp(y2, y[k], sizeof y2));
            }
            if (c != b) rv_lm_batches_destroy(c);
        }
        cr_assert_eq(rv_lm_batches_seek(b, (rv_cursor){0, N, 0}), RV_ECKPT);
        cr_assert_eq(rv_lm_batches_seek(b, (rv_cursor){0, -1, 0}), RV_ECKPT);
        rv_lm_batches_destroy(b);
    }
}

Test(batch, random_rows_depend_on_seed_step_row_alone, .init = fill) {
    rv_lm_batches *wide, *narrow = make(RV_SAMPLE_RANDOM, 3), *other = make(RV_SAMPLE_RANDOM, 4);
    cr_assert_eq(rv_lm_batches_create(ids, N, 2 * B, T, RV_SAMPLE_RANDOM, 3, &wide), RV_OK);
    bool seen[N] = {0}, differs = false;
    for (int k = 0; k < 2000; k++) {
        int32_t x[2 * B * T], y[2 * B * T], x2[B * T], y2[B * T], x3[B * T];
        rv_lm_batches_next(wide, x, y);
        rv_lm_batches_next(narrow, x2, y2);
        cr_assert(!memcmp(x, x2, sizeof x2));
        rv_lm_batches_next(other, x3, y2);
        differs |= memcmp(x2, x3, sizeof x3) != 0;
        for (int r = 0; r < 2 * B; r++) seen[x[r * T]] = true;
    }
    cr_assert(differs);
    for (int i = 0; i < N; i++) cr_assert_eq(seen[i], i < N - T, "offset %d", i); /* nanoGPT's range: [0, n - T) */
    rv_lm_batches_destroy(wide), rv_lm_batches_destroy(narrow), rv_lm_batches_destroy(other);
}

Test(batch, shuffled_takes_every_window_once_an_epoch, .init = fill) {
    rv_lm_batches *b = make(RV_SAMPLE_SHUFFLED, 5);
    enum { W = (N - 1) / T };
    int32_t x[B * T], y[B * T], order[4 * W];
    int n = 0;
    while (n < 4 * W) {
        rv_lm_batches_next(b, x, y);
        for (int r = 0; r < B && n < 4 * W; r++) order[n++] = x[r * T];
    }
    for (int e = 0; e < 4; e++) {
        bool seen[N] = {0};
        for (int i = 0; i < W; i++) {
            int32_t o = order[e * W + i];
            cr_assert(o % T == 0 && !seen[o]);
            seen[o] = true;
        }
        cr_assert(e == 0 || memcmp(order + e * W, order, W * sizeof *order));
    }
    cr_assert_eq(rv_lm_batches_per_epoch(b), (W + B - 1) / B);
    rv_lm_batches_destroy(b);
}

Test(batch, contiguous_rows_are_streams, .init = fill) {
    rv_lm_batches *b = make(RV_SAMPLE_CONTIGUOUS, 5);
    enum { STREAM = (N - 1) / B, W = STREAM / T };
    for (int k = 0; k < 3 * W; k++) {
        int32_t x[B * T], y[B * T];
        cr_assert_eq(rv_lm_batches_next(b, x, y), k % W != 0);
        for (int r = 0; r < B; r++) cr_assert_eq(x[r * T], r * STREAM + k % W * T);
    }
    cr_assert_eq(rv_lm_batches_cursor(b).epoch, 3);
    rv_lm_batches_destroy(b);
}

Test(batch, too_small_a_text_is_refused, .init = fill) {
    rv_lm_batches *b;
    for (int s = 0; s < 3; s++) {
        int64_t least = s == RV_SAMPLE_CONTIGUOUS ? B * T + 1 : T + 1;
        cr_assert_eq(rv_lm_batches_create(ids, least - 1, B, T, (rv_sampling)s, 1, &b), RV_EDATA);
        cr_assert(strstr(rv_error_message(), "tokens"));
        cr_assert_eq(rv_lm_batches_create(ids, least, B, T, (rv_sampling)s, 1, &b), RV_OK);
        int32_t x[B * T], y[B * T];
        for (int k = 0; k < 5; k++) rv_lm_batches_next(b, x, y);
        rv_lm_batches_destroy(b);
    }
    cr_assert_eq(rv_lm_batches_create(ids, 0, B, T, RV_SAMPLE_RANDOM, 1, &b), RV_EDATA);
    rv_lm_pass p;
    cr_assert_eq(rv_lm_pass_make(ids, 1, B, T, false, &p), RV_EDATA);
    cr_assert_eq(rv_lm_pass_make(ids, B, B, T, true, &p), RV_EDATA);
}

Test(batch, a_pass_counts_every_target_once, .init = fill) {
    for (int64_t n = 2; n <= N; n++)
        for (int64_t rows = 1; rows <= 5; rows++)
            for (int carry = 0; carry < 2; carry++) {
                rv_lm_pass p;
                if (carry && n - 1 < rows) continue;
                cr_assert_eq(rv_lm_pass_make(ids, n, rows, T, carry, &p), RV_OK);
                int32_t x[5 * T], y[5 * T], last[5];
                int count[N] = {0};
                int64_t total = 0, batches = 0, got;
                bool carried;
                while ((got = rv_lm_pass_next(&p, x, y, &carried))) {
                    int64_t here = 0;
                    cr_assert_eq(carried, carry && batches > 0);
                    for (int64_t i = 0; i < rows * T; i++) {
                        if (y[i] == RV_IGNORE) continue;
                        cr_assert_eq(y[i], x[i] + 1);
                        if (i % T == 0 && carried) cr_assert_eq(x[i], last[i / T]); /* goes on where the row stopped */
                        count[y[i]]++, here++;
                        last[i / T] = y[i];
                    }
                    cr_assert_eq(here, got);
                    total += got, batches++;
                }
                cr_assert_eq(total, n - 1);
                cr_assert_eq(batches, rv_lm_pass_batches(&p));
                for (int64_t i = 1; i < n; i++) cr_assert_eq(count[i], 1);
                cr_assert_eq(rv_lm_pass_next(&p, x, y, NULL), 0);
            }
}

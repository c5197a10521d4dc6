/* Batches of pairs: how rows are padded, that each pair has its turn, that a cursor brings the same batches back. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/pair_batch.h"

enum { PAIRS = 203, LONGEST = 17 };
static rv_pairs pairs;
static const rv_pair_marks marks = {.src_pad = 90, .src_eos = 91, .tgt_pad = 92, .tgt_bos = 93, .tgt_eos = 94};

/* PAIRS pairs of random lengths 0 .. LONGEST; token j of pair i's sides is 1000 i + j and 1000 i + 500 + j. */
static void make_pairs(void) {
    static int32_t src[PAIRS * LONGEST], tgt[PAIRS * LONGEST];
    static int64_t src_at[PAIRS + 1], tgt_at[PAIRS + 1];
    rv_rng r = rv_rng_make(3, "test.pairs", 0);
    pairs = (rv_pairs){.n = PAIRS,
                       .src_ids = src,
                       .tgt_ids = tgt,
                       .src_at = src_at,
                       .tgt_at = tgt_at,
                       .src_longest = LONGEST,
                       .tgt_longest = LONGEST};
    for (int64_t i = 0; i < PAIRS; i++) {
        int64_t n = i == 7 ? LONGEST : (int64_t)rv_rng_below(&r, LONGEST + 1),
                m = i == 7 ? LONGEST : (int64_t)rv_rng_below(&r, LONGEST + 1);
        for (int64_t j = 0; j < n; j++) src[src_at[i] + j] = (int32_t)(1000 * i + j);
        for (int64_t j = 0; j < m; j++) tgt[tgt_at[i] + j] = (int32_t)(1000 * i + 500 + j);
        src_at[i + 1] = src_at[i] + n, tgt_at[i + 1] = tgt_at[i] + m;
    }
}

static rv_pair_batch_spec spec_of(bool by_tokens, bool bucketing) {
    return (rv_pair_batch_spec){
        .by_tokens = by_tokens, .size = by_tokens ? 60 : 8, .bucketing = bucketing, .seed = 5, .marks = marks};
}

/* Every number of the batch is what its pair says it is. */
static void check_rows(const rv_pair_batch *b) {
    int64_t targets = 0, S = 0, T = 0;
    for (int64_t r = 0; r < b->B; r++) {
        int64_t i = b->index[r], n = rv_pairs_src_length(&pairs, i), m = rv_pairs_tgt_length(&pairs, i);
        cr_assert(b->src_lengths[r] == n + 1 && b->tgt_lengths[r] == m + 1);
        S = n + 1 > S ? n + 1 : S, T = m + 1 > T ? m + 1 : T;
        targets += m + 1;
        for (int64_t t = 0; t < b->S; t++)
            cr_assert_eq(b->src[r * b->S + t], t < n ? 1000 * i + t : t == n ? marks.src_eos : marks.src_pad);
        for (int64_t t = 0; t < b->T; t++) {
            cr_assert_eq(b->tgt_in[r * b->T + t], t == 0   ? marks.tgt_bos
                                                  : t <= m ? 1000 * i + 500 + t - 1
                                                           : marks.tgt_pad);
            cr_assert_eq(b->tgt_out[r * b->T + t], t < m ? 1000 * i + 500 + t : t == m ? marks.tgt_eos : RV_IGNORE);
        }
    }
    cr_assert(b->S == S && b->T == T && b->targets == targets, "padded to the longest row, no further");
}

Test(pair_batch, rows_are_padded_and_marked) {
    static int32_t src[] = {1, 2, 3, 4}, tgt[] = {5, 6, 7};
    static int64_t src_at[] = {0, 3, 4, 4}, tgt_at[] = {0, 1, 1, 3};
    const rv_pairs three = {
        .n = 3, .src_ids = src, .tgt_ids = tgt, .src_at = src_at, .tgt_at = tgt_at, .src_longest = 3, .tgt_longest = 2};
    rv_pair_pass *p;
    rv_pair_batch b;
    cr_assert_eq(rv_pair_pass_create(&three, &(rv_pair_batch_spec){.size = 3, .marks = marks}, &p), RV_OK);
    cr_assert(rv_pair_pass_next(p, &b));
    static const int32_t in[] = {1, 2, 3, 91, 4, 91, 90, 90, 91, 90, 90, 90}, tin[] = {93, 5, 92, 93, 92, 92, 93, 6, 7},
                         tout[] = {5, 94, -1, 94, -1, -1, 6, 7, 94};
    cr_assert(b.B == 3 && b.S == 4 && b.T == 3 && b.targets == 6);
    cr_expect(!memcmp(b.src, in, sizeof in) && !memcmp(b.tgt_in, tin, sizeof tin) &&
              !memcmp(b.tgt_out, tout, sizeof tout));
    cr_expect(!rv_pair_pass_next(p, &b));
    rv_pair_pass_destroy(p);
}

/* Where a target was cut, its reference says nothing: not that the sentence ends there. */
Test(pair_batch, a_cut_target_has_no_end) {
    int32_t src[] = {1, 2, 3, 4, 5}, tgt[] = {6, 7, 8, 9};
    int64_t src_at[] = {0, 3, 5}, tgt_at[] = {0, 3, 4}, cut;
    rv_pairs two = {
        .n = 2, .src_ids = src, .tgt_ids = tgt, .src_at = src_at, .tgt_at = tgt_at, .src_longest = 3, .tgt_longest = 3};
    rv_pair_pass *p;
    rv_pair_batch b;
    cr_assert(rv_pairs_cut(&two, 3, &cut) == RV_OK && cut == 0 && !two.tgt_cut);
    cr_assert(rv_pairs_cut(&two, 2, &cut) == RV_OK);
    cr_expect(cut == 1 && two.src_longest == 2 && two.tgt_longest == 2, "pairs are counted, not sides");
    cr_assert_eq(rv_pair_pass_create(&two, &(rv_pair_batch_spec){.size = 2, .marks = marks}, &p), RV_OK);
    cr_assert(rv_pair_pass_next(p, &b));
    static const int32_t in[] = {1, 2, 91, 4, 5, 91}, tin[] = {93, 6, 7, 93, 9, 92}, tout[] = {6, 7, -1, 9, 94, -1};
    cr_assert(b.B == 2 && b.S == 3 && b.T == 3 && b.targets == 4);
    cr_expect(!memcmp(b.src, in, sizeof in) && !memcmp(b.tgt_in, tin, sizeof tin) &&
              !memcmp(b.tgt_out, tout, sizeof tout));
    rv_pair_pass_destroy(p);
    free(two.tgt_cut);
}

Test(pair_batch, every_pair_once_an_epoch, .init = make_pairs) {
    for (int mode = 0; mode < 4; mode++) {
        rv_pair_batch_spec spec = spec_of(mode & 1, mode & 2);
        rv_pair_batches *b;
        rv_pair_batch x;
        int64_t first[2] = {-1, -1};
        cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK, "%s", rv_error_message());
        for (int epoch = 0; epoch < 3; epoch++) {
            int seen[PAIRS] = {0};
            int64_t n = rv_pair_batches_per_epoch(b), padded = 0, rising = 0, last = 0;
            for (int64_t k = 0; k < n; k++) {
                cr_assert(rv_pair_batches_cursor(b).epoch == epoch && rv_pair_batches_cursor(b).position == k);
                rv_pair_batches_next(b, &x);
                check_rows(&x);
                int64_t wide = x.S > x.T ? x.S : x.T;
                cr_assert(spec.by_tokens ? x.B * wide <= spec.size : x.B <= spec.size);
                for (int64_t r = 0; r < x.B; r++) seen[x.index[r]]++;
                padded += x.B * x.T - x.targets;
                rising += x.T >= last, last = x.T;
                if (k == 0 && epoch < 2) first[epoch] = x.index[0];
            }
            cr_assert_eq(rv_pair_batches_cursor(b).epoch, epoch + 1);
            for (int i = 0; i < PAIRS; i++) cr_assert_eq(seen[i], 1);
            if (spec.bucketing) {
                cr_expect_lt(padded, 120, "of about %d tokens: %lld of padding", PAIRS * 9, (long long)padded);
                cr_expect_lt(rising, n, "batches come in no order of length");
            } else
                cr_expect_gt(padded, 500, "%lld", (long long)padded);
        }
        cr_expect_neq(first[0], first[1]);
        rv_pair_batches_destroy(b);
    }
}

/* Equal lengths are mixed afresh each epoch: else bucketing would give the same batches for ever. */
Test(pair_batch, buckets_are_mixed, .init = make_pairs) {
    rv_pair_batch_spec spec = spec_of(false, true);
    spec.size = 4;
    rv_pair_batches *b;
    rv_pair_batch x;
    static int64_t mate[2][PAIRS];
    cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK);
    for (int epoch = 0; epoch < 2; epoch++)
        for (int64_t k = 0, n = rv_pair_batches_per_epoch(b); k < n; k++) {
            rv_pair_batches_next(b, &x);
            for (int64_t r = 0; r < x.B; r++) mate[epoch][x.index[r]] = x.index[(r + 1) % x.B];
        }
    int changed = 0;
    for (int i = 0; i < PAIRS; i++) changed += mate[0][i] != mate[1][i];
    cr_expect_gt(changed, 20);
    rv_pair_batches_destroy(b);
}

Test(pair_batch, the_same_batches_after_any_seek, .init = make_pairs) {
    for (int mode = 0; mode < 4; mode++) {
        rv_pair_batch_spec spec = spec_of(mode & 1, mode & 2);
        rv_pair_batches *a, *b;
        rv_pair_batch x, y;
        cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &a), RV_OK);
        int64_t n = 2 * rv_pair_batches_per_epoch(a) + 3;
        for (int64_t k = 0; k < n; k++) {
            rv_cursor c = rv_pair_batches_cursor(a);
            cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK);
            cr_assert_eq(rv_pair_batches_seek(b, c), RV_OK, "%s", rv_error_message());
            for (int j = 0; j < 2; j++) {
                rv_cursor at = rv_pair_batches_cursor(a);
                cr_assert(rv_pair_batches_cursor(b).step == at.step &&
                          rv_pair_batches_cursor(b).position == at.position);
                rv_pair_batches_next(a, &x);
                rv_pair_batches_next(b, &y);
                cr_assert(x.B == y.B && x.S == y.S && x.T == y.T && x.targets == y.targets);
                cr_assert(!memcmp(x.src, y.src, (size_t)(x.B * x.S) * sizeof *x.src) &&
                          !memcmp(x.tgt_out, y.tgt_out, (size_t)(x.B * x.T) * sizeof *x.tgt_out));
                cr_assert(!memcmp(x.index, y.index, (size_t)x.B * sizeof *x.index));
            }
            rv_pair_batches_destroy(b);
            cr_assert_eq(rv_pair_batches_seek(a, c), RV_OK); /* back, over the end of an epoch too */
            rv_pair_batches_next(a, &x);
        }
        rv_pair_batches_destroy(a);
    }
}

Test(pair_batch, impossible_cursors_are_refused, .init = make_pairs) {
    rv_pair_batch_spec spec = spec_of(true, true);
    rv_pair_batches *b;
    rv_pair_batch x;
    cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK);
    int64_t n = rv_pair_batches_per_epoch(b);
    const rv_cursor bad[] = {{0, n, 0}, {0, -1, 0}, {-1, 0, 0}, {0, 0, -1}, {3, 1000000, 5}};
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(rv_pair_batches_seek(b, bad[i]), RV_ECKPT);
        cr_expect(strstr(rv_error_message(), "max_length"), "%s", rv_error_message());
    }
    rv_pair_batches_next(b, &x); /* goes on as if nothing had been asked */
    check_rows(&x);
    cr_expect(rv_pair_batches_cursor(b).position == 1 && rv_pair_batches_cursor(b).epoch == 0);
    rv_pair_batches_destroy(b);
}

Test(pair_batch, the_largest_and_the_errors, .init = make_pairs) {
    rv_pair_batch_spec spec = spec_of(true, true);
    rv_pair_batches *b;
    rv_pair_batch x;
    cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK);
    rv_pair_batches_largest(b, &x);
    check_rows(&x);
    int64_t largest = x.B * (x.S + x.T), most = 0;
    for (int64_t k = 0, n = rv_pair_batches_per_epoch(b); k < n; k++) {
        rv_pair_batches_next(b, &x);
        most = x.B * (x.S + x.T) > most ? x.B * (x.S + x.T) : most;
    }
    cr_expect_eq(largest, most);
    rv_pair_batches_destroy(b);
    spec.size = LONGEST; /* and <eos> */
    cr_expect_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_EUSAGE);
    cr_expect(!b && strstr(rv_error_message(), "18 tokens") && strstr(rv_error_message(), "train.batch.size"), "%s",
              rv_error_message());
    spec.size = LONGEST + 1;
    cr_expect_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK);
    rv_pair_batches_destroy(b);
    spec = spec_of(false, true), spec.size = 0;
    cr_expect_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_EUSAGE);
    spec.size = 1000000000; /* all in one batch, without the memory of so many */
    cr_expect_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK);
    cr_expect_eq(rv_pair_batches_per_epoch(b), 1);
    rv_pair_batches_destroy(b);
    spec.by_tokens = true, spec.size = INT64_MAX / 4;
    cr_expect_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK);
    rv_pair_batches_next(b, &x);
    check_rows(&x);
    cr_expect_eq(x.B, PAIRS);
    rv_pair_batches_destroy(b);
    spec = spec_of(false, true);
    rv_pairs none = {0};
    cr_expect_eq(rv_pair_batches_create(&none, &spec, &b), RV_EDATA);
}

Test(pair_batch, a_pass_gives_each_pair_once, .init = make_pairs) {
    for (int mode = 0; mode < 3; mode++) {
        rv_pair_batch_spec spec = spec_of(mode > 0, false);
        if (mode == 2) spec.size = 5; /* many are longer: alone, but not an error */
        rv_pair_pass *p;
        rv_pair_batch x;
        cr_assert_eq(rv_pair_pass_create(&pairs, &spec, &p), RV_OK);
        for (int again = 0; again < 2; again++) {
            int seen[PAIRS] = {0};
            int64_t last = LONGEST, batches = 0;
            for (; rv_pair_pass_next(p, &x); batches++) {
                check_rows(&x);
                cr_assert(spec.by_tokens ? x.B * (x.S > x.T ? x.S : x.T) <= spec.size || x.B == 1 : x.B <= spec.size);
                for (int64_t r = 0; r < x.B; r++) {
                    seen[x.index[r]]++;
                    cr_assert_leq(x.src_lengths[r] - 1, last);
                    last = x.src_lengths[r] - 1;
                }
            }
            cr_expect_eq(batches, rv_pair_pass_batches(p));
            for (int i = 0; i < PAIRS; i++) cr_assert_eq(seen[i], 1);
            rv_pair_pass_rewind(p);
        }
        rv_pair_pass_destroy(p);
    }
    rv_pair_pass *p;
    rv_pair_batch x;
    rv_pair_batch_spec spec = spec_of(true, false);
    rv_pairs none = {0};
    cr_assert_eq(rv_pair_pass_create(&none, &spec, &p), RV_OK);
    cr_expect(!rv_pair_pass_next(p, &x));
    rv_pair_pass_destroy(p);
}

/* ---- sources alone ---- */

static void make_sources(void) {
    make_pairs();
    pairs.tgt_ids = NULL, pairs.tgt_at = NULL, pairs.tgt_longest = 0;
}

/* Every row is its source, there is no target side, and each row is one target. */
static void check_sources(const rv_pair_batch *b) {
    int64_t S = 0;
    for (int64_t r = 0; r < b->B; r++) {
        const int64_t i = b->index[r], n = rv_pairs_src_length(&pairs, i);
        cr_assert_eq(b->src_lengths[r], n + 1);
        S = n + 1 > S ? n + 1 : S;
        for (int64_t t = 0; t < b->S; t++)
            cr_assert_eq(b->src[r * b->S + t], t < n ? 1000 * i + t : t == n ? marks.src_eos : marks.src_pad);
    }
    cr_assert(b->S == S && b->T == 0 && b->targets == b->B);
    cr_assert(!b->tgt_in && !b->tgt_out && !b->tgt_lengths);
}

/* Each once an epoch, in batches of like length where buckets are asked for; any cursor brings the same ones back. */
Test(pair_batch, sources_alone, .init = make_sources) {
    for (int mode = 0; mode < 4; mode++) {
        const rv_pair_batch_spec spec = spec_of(mode & 1, mode & 2);
        rv_pair_batches *b, *again;
        rv_pair_batch x, y;
        cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK, "%s", rv_error_message());
        for (int epoch = 0; epoch < 2; epoch++) {
            int seen[PAIRS] = {0};
            int64_t padded = 0, most = 0;
            rv_pair_batches_largest(b, &x);
            check_sources(&x);
            const int64_t largest = x.B * x.S, n = rv_pair_batches_per_epoch(b);
            for (int64_t k = 0; k < n; k++) {
                cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &again), RV_OK);
                cr_assert_eq(rv_pair_batches_seek(again, rv_pair_batches_cursor(b)), RV_OK, "%s", rv_error_message());
                rv_pair_batches_next(b, &x);
                rv_pair_batches_next(again, &y);
                check_sources(&x);
                cr_assert(x.B == y.B && x.S == y.S && !memcmp(x.index, y.index, (size_t)x.B * sizeof *x.index));
                cr_assert(!memcmp(x.src, y.src, (size_t)(x.B * x.S) * sizeof *x.src));
                rv_pair_batches_destroy(again);
                cr_assert(spec.by_tokens ? x.B * x.S <= spec.size : x.B <= spec.size);
                for (int64_t r = 0; r < x.B; r++) seen[x.index[r]]++, padded += x.S - x.src_lengths[r];
                most = x.B * x.S > most ? x.B * x.S : most;
            }
            cr_expect_eq(largest, most);
            for (int i = 0; i < PAIRS; i++) cr_assert_eq(seen[i], 1);
            cr_expect(spec.bucketing ? padded < 60 : padded > 500, "%lld of padding", (long long)padded);
        }
        cr_expect_eq(rv_pair_batches_cursor(b).epoch, 2);
        rv_pair_batches_destroy(b);
    }
}

/* By tokens a batch holds what B S <= size lets in: a missing target side takes no room. */
Test(pair_batch, a_pass_of_sources_alone, .init = make_sources) {
    static int32_t src[] = {1, 2, 3, 4, 5};
    static int64_t src_at[] = {0, 1, 2, 3, 4, 5, 5, 5};
    const rv_pairs seven = {.n = 7, .src_ids = src, .src_at = src_at, .src_longest = 1};
    rv_pair_pass *p;
    rv_pair_batch x;
    cr_assert_eq(rv_pair_pass_create(&seven, &(rv_pair_batch_spec){.by_tokens = true, .size = 10, .marks = marks}, &p),
                 RV_OK);
    cr_expect_eq(rv_pair_pass_batches(p), 2);
    cr_assert(rv_pair_pass_next(p, &x) && x.B == 5 && x.S == 2 && rv_pair_pass_next(p, &x) && x.B == 2 && x.S == 1);
    cr_expect(x.src[0] == marks.src_eos && x.src_lengths[1] == 1 && x.index[0] == 5 && x.targets == 2);
    rv_pair_pass_destroy(p);

    const rv_pair_batch_spec spec = spec_of(true, false);
    int64_t last = LONGEST + 1, n = 0;
    cr_assert_eq(rv_pair_pass_create(&pairs, &spec, &p), RV_OK);
    for (; rv_pair_pass_next(p, &x); n += x.B) {
        check_sources(&x);
        cr_assert_leq(x.S, last);
        last = x.S;
    }
    cr_expect_eq(n, PAIRS);
    rv_pair_pass_destroy(p);
}

/* Without <eos> a row is its tokens, and as wide as the longest: tags of words need no more. */
Test(pair_batch, sources_without_eos, .init = make_sources) {
    static int32_t src[] = {1, 2, 3, 4, 5, 6};
    static int64_t src_at[] = {0, 3, 4, 6, 6};
    const rv_pairs four = {.n = 4, .src_ids = src, .src_at = src_at, .src_longest = 3};
    const rv_pair_marks bare = {.src_pad = 90, .src_eos = -1, .tgt_pad = -1, .tgt_bos = -1, .tgt_eos = -1};
    const rv_pair_batch_spec all = {.size = 4, .marks = bare}, three = {.by_tokens = true, .size = 3, .marks = bare},
                             two = {.by_tokens = true, .size = 2, .marks = bare};
    static const int32_t want[] = {1, 2, 3, 5, 6, 90, 4, 90, 90, 90, 90, 90}, lengths[] = {3, 2, 1, 1};
    rv_pair_pass *p;
    rv_pair_batch x;
    cr_assert_eq(rv_pair_pass_create(&four, &all, &p), RV_OK);
    cr_assert(rv_pair_pass_next(p, &x) && x.B == 4 && x.S == 3 && x.T == 0 && x.targets == 4);
    cr_expect(!memcmp(x.src, want, sizeof want) && !memcmp(x.src_lengths, lengths, sizeof lengths));
    rv_pair_pass_destroy(p);
    cr_assert_eq(rv_pair_pass_create(&four, &three, &p), RV_OK);
    cr_assert(rv_pair_pass_next(p, &x) && x.B == 1 && x.S == 3);
    cr_assert(rv_pair_pass_next(p, &x) && x.B == 1 && x.S == 2);
    cr_assert(rv_pair_pass_next(p, &x) && x.B == 2 && x.S == 1 && x.src[0] == 4 && x.src[1] == 90);
    cr_expect(!rv_pair_pass_next(p, &x));
    rv_pair_pass_destroy(p);
    rv_pair_batches *b;
    cr_assert_eq(rv_pair_batches_create(&four, &three, &b), RV_OK, "%s", rv_error_message());
    rv_pair_batches_destroy(b);
    cr_assert_eq(rv_pair_batches_create(&four, &two, &b), RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), "has 3 tokens, but train.batch.size is 2"), "%s", rv_error_message());

    const rv_pairs none = {.n = 1, .src_ids = src, .src_at = src_at + 3}; /* one pad, for an encoder needs a position */
    cr_assert_eq(rv_pair_pass_create(&none, &all, &p), RV_OK);
    cr_assert(rv_pair_pass_next(p, &x) && x.B == 1 && x.S == 1 && x.src[0] == 90 && x.src_lengths[0] == 1);
    rv_pair_pass_destroy(p);
}

/* All sources come once an epoch, whatever stands behind them. */
Test(pair_batch, epochs_without_eos, .init = make_sources) {
    for (int kind = 0; kind < 4; kind++) {
        rv_pair_batch_spec spec = spec_of(kind & 1, kind & 2);
        int seen[PAIRS] = {0};
        spec.marks.src_eos = -1;
        rv_pair_batches *b;
        rv_pair_batch x;
        cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK, "%s", rv_error_message());
        for (int64_t k = rv_pair_batches_per_epoch(b); k > 0; k--) {
            rv_pair_batches_next(b, &x);
            int64_t S = 1;
            for (int64_t r = 0; r < x.B; r++) {
                const int64_t i = x.index[r], n = rv_pairs_src_length(&pairs, i);
                seen[i]++, S = n > S ? n : S;
                cr_assert_eq(x.src_lengths[r], n ? n : 1);
                for (int64_t t = 0; t < x.S; t++)
                    cr_assert_eq(x.src[r * x.S + t], t < n ? 1000 * i + t : marks.src_pad);
            }
            cr_assert(x.S == S && (!spec.by_tokens || x.B * x.S <= spec.size));
        }
        for (int i = 0; i < PAIRS; i++) cr_assert_eq(seen[i], 1);
        rv_pair_batches_destroy(b);
    }
}

Test(pair_batch, sources_alone_are_cut_and_shuffled) {
    int32_t src[] = {1, 2, 3, 4, 5};
    int64_t src_at[] = {0, 3, 5}, cut;
    rv_pairs two = {.n = 2, .src_ids = src, .src_at = src_at, .src_longest = 3};
    rv_pairs_shuffle_sources(&two, 1);
    cr_expect(src[0] + src[1] + src[2] == 6 && src[3] + src[4] == 9, "each keeps its own tokens");
    cr_assert(rv_pairs_cut(&two, 3, &cut) == RV_OK && cut == 0);
    const int32_t first[] = {src[0], src[1]}, second[] = {src[3], src[4]};
    cr_assert(rv_pairs_cut(&two, 2, &cut) == RV_OK);
    cr_expect(cut == 1 && two.src_longest == 2 && src_at[1] == 2 && src_at[2] == 4 && !two.tgt_cut);
    cr_expect(!memcmp(src, first, sizeof first) && !memcmp(src + 2, second, sizeof second));
    cr_expect_eq(rv_pairs_tgt_length(&two, 1), 0);
}

Test(pair_batch, marks_of_sources_alone) {
    rv_tokenizer *tok;
    const rv_tokenizer_spec spec = {.type = RV_TOKENS_BYTE, .specials = 1u << RV_BOS | 1u << RV_EOS | 1u << RV_PAD};
    cr_assert_eq(rv_tokenizer_train(&spec, "x", 1, &tok), RV_OK);
    const rv_pair_marks m = rv_source_marks_of(tok);
    cr_expect(m.src_pad == 0 && m.src_eos == 2 && m.tgt_pad == -1 && m.tgt_bos == -1 && m.tgt_eos == -1);
    rv_tokenizer_destroy(tok);
}

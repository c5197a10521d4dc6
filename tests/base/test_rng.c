/* Random numbers: Random123's known answers, independence of the order of calls, and the distributions that are made
 * of them. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"

/* Philox4x32-10 of Random123's kat_vectors: counter, key and result. The low words of a counter are the index's. */
static const struct {
    uint32_t counter[4], key[2], out[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

Test(rng, known_answers) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const uint32_t *c = known[i].counter;
        const uint64_t index = c[0] | (uint64_t)c[1] << 32, step = c[2] | (uint64_t)c[3] << 32;
        uint32_t out[4];
        rv_rng_block((rv_rng_key){{known[i].key[0], known[i].key[1]}}, step, index, out);
        for (int j = 0; j < 4; j++) cr_expect_eq(out[j], known[i].out[j], "vector %zu, word %d: %08x", i, j, out[j]);
    }
}

/* The 64-bit FNV-1a of the names that its authors list. */
Test(rng, streams_are_fnv1a_of_their_names) {
    cr_expect_eq(rv_rng_stream(""), UINT64_C(0xcbf29ce484222325));
    cr_expect_eq(rv_rng_stream("a"), UINT64_C(0xaf63dc4c8601ec8c));
    cr_expect_eq(rv_rng_stream("foobar"), UINT64_C(0x85944171f73967e8));
}

/* Every bit of seed and stream changes the key. */
Test(rng, keys_differ) {
    enum { KEYS = 129 };
    rv_rng_key key[KEYS] = {rv_rng_make_key(0, 0)};
    for (int i = 0; i < 64; i++) {
        key[1 + i] = rv_rng_make_key(UINT64_C(1) << i, 0);
        key[65 + i] = rv_rng_make_key(0, UINT64_C(1) << i);
    }
    for (int i = 0; i < KEYS; i++)
        for (int j = 0; j < i; j++) cr_assert(memcmp(&key[i], &key[j], sizeof *key), "keys %d and %d", i, j);
}

/* A reader gives the words of the blocks in turn, however often it is copied or set back. */
Test(rng, a_reader_is_its_position) {
    enum { N = 23 };
    rv_rng r = rv_rng_make(7, "words", 3), start = r;
    uint32_t seen[N];
    for (int i = 0; i < N; i++) {
        uint32_t block[4];
        rv_rng_block(rv_rng_make_key(7, rv_rng_stream("words")), 3, (uint64_t)i / 4, block);
        cr_expect_eq(r.next, (uint64_t)i);
        seen[i] = rv_rng_u32(&r);
        cr_expect_eq(seen[i], block[i % 4]);
    }
    for (int i = N - 1; i >= 0; i--) {
        rv_rng at = start;
        at.next = (uint64_t)i;
        cr_expect_eq(rv_rng_u32(&at), seen[i], "word %d, read alone", i);
    }
}

Test(rng, readers_differ_by_seed_stream_and_step) {
    rv_rng r[] = {rv_rng_make(1, "a", 0), rv_rng_make(2, "a", 0), rv_rng_make(1, "b", 0), rv_rng_make(1, "a", 1)};
    uint64_t first[4];
    for (int i = 0; i < 4; i++) {
        first[i] = rv_rng_u32(&r[i]);
        first[i] = first[i] << 32 | rv_rng_u32(&r[i]);
        for (int j = 0; j < i; j++) cr_expect_neq(first[i], first[j], "readers %d and %d", i, j);
    }
}

/* Mean, variance and the moments behind them, within five deviations of what so many numbers give. */
static void expect_moments(double (*draw)(rv_rng *), const double want[4], const double variance[4]) {
    enum { N = 200000 };
    rv_rng r = rv_rng_make(11, "moments", 0);
    double sum[4] = {0};
    for (int i = 0; i < N; i++) {
        const double x = draw(&r);
        double power = 1;
        for (int m = 0; m < 4; m++) sum[m] += power *= x;
    }
    for (int m = 0; m < 4; m++)
        cr_expect_float_eq(sum[m] / N, want[m], 5 * sqrt(variance[m] / N), "moment %d is %g, not %g", m + 1, sum[m] / N,
                           want[m]);
}

/* E x^m = 1 / (m + 1), Var x^m = 1 / (2m + 1) - 1 / (m + 1)^2 */
Test(rng, uniform) {
    double mean[4], variance[4];
    for (int m = 0; m < 4; m++) {
        mean[m] = 1. / (m + 2);
        variance[m] = 1. / (2 * m + 3) - mean[m] * mean[m];
    }
    expect_moments(rv_rng_uniform, mean, variance);
}

/* 53 bits: a multiple of 2^-53 below 1, whose last bit is as often set as not. */
Test(rng, uniform_has_53_bits) {
    enum { N = 20000 };
    rv_rng r = rv_rng_make(5, "bits", 0);
    int odd = 0;
    for (int i = 0; i < N; i++) {
        const double x = rv_rng_uniform(&r), scaled = x * 0x1p53;
        cr_assert(x >= 0 && x < 1);
        cr_assert_eq(scaled, floor(scaled));
        odd += fmod(scaled, 2) == 1;
    }
    cr_expect_float_eq(odd, N / 2., 5 * sqrt(N / 4.));
}

/* E x^m = 0, 1, 0, 3 and Var x^m = 1, 2, 15, 96 */
Test(rng, normal) { expect_moments(rv_rng_normal, (const double[]){0, 1, 0, 3}, (const double[]){1, 2, 15, 96}); }

/* Box and Muller's cosine of the same two uniform numbers, the first turned around so that it is never 0. */
Test(rng, normal_is_box_mullers) {
    rv_rng r = rv_rng_make(29, "normal", 0), uniform = r;
    for (int i = 0; i < 100; i++) {
        const double u = 1 - rv_rng_uniform(&uniform), v = rv_rng_uniform(&uniform);
        const double got = rv_rng_normal(&r), want = sqrt(-2 * log(u)) * cos(2 * acos(-1) * v);
        cr_assert_float_eq(got, want, 1e-13);
    }
}

Test(rng, neighbours_are_uncorrelated) {
    enum { N = 100000 };
    rv_rng r = rv_rng_make(13, "pairs", 0);
    double sum = 0, before = rv_rng_normal(&r);
    for (int i = 0; i < N; i++) {
        const double x = rv_rng_normal(&r);
        sum += x * before;
        before = x;
    }
    cr_expect_float_eq(sum / N, 0, 5 / sqrt(N));
}

static double chi_square(const int *count, int n, double each) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (count[i] - each) * (count[i] - each) / each;
    return sum;
}

Test(rng, below) {
    enum { N = 70000, WAYS = 7 };
    rv_rng r = rv_rng_make(17, "below", 0);
    int count[WAYS] = {0};
    for (int i = 0; i < N; i++) {
        const uint64_t v = rv_rng_below(&r, WAYS);
        cr_assert_lt(v, WAYS);
        count[v]++;
    }
    cr_expect_lt(chi_square(count, WAYS, (double)N / WAYS), 27.9, "beyond one in 10,000 for 6 degrees of freedom");
    for (int i = 0; i < 100; i++) cr_assert_eq(rv_rng_below(&r, 1), 0);
}

/* Of 3 * 2^62 values the last third is as frequent as the others; a remainder alone would make the first twice so. */
Test(rng, below_has_no_bias) {
    enum { N = 30000, THIRDS = 3 };
    rv_rng r = rv_rng_make(19, "bias", 0);
    int count[THIRDS] = {0};
    for (int i = 0; i < N; i++) count[rv_rng_below(&r, UINT64_C(3) << 62) >> 62]++;
    cr_expect_lt(chi_square(count, THIRDS, (double)N / THIRDS), 18.4, "beyond one in 10,000 for 2 degrees of freedom");
}

/* Each of the 24 orders of 4 as often as any other. */
Test(rng, shuffle) {
    enum { N = 48000, ORDERS = 256 };
    rv_rng r = rv_rng_make(23, "shuffle", 0);
    int seen[ORDERS] = {0}, count[24], orders = 0;
    for (int i = 0; i < N; i++) {
        int64_t idx[] = {0, 1, 2, 3};
        rv_rng_shuffle(&r, idx, 4);
        cr_assert_eq(1 << idx[0] | 1 << idx[1] | 1 << idx[2] | 1 << idx[3], 15);
        seen[idx[0] << 6 | idx[1] << 4 | idx[2] << 2 | idx[3]]++;
    }
    for (int i = 0; i < ORDERS; i++)
        if (seen[i]) {
            cr_assert_lt(orders, 24);
            count[orders++] = seen[i];
        }
    cr_assert_eq(orders, 24);
    cr_expect_lt(chi_square(count, 24, N / 24.), 56, "beyond one in 10,000 for 23 degrees of freedom");
    int64_t alone = 5;
    rv_rng_shuffle(&r, &alone, 1);
    rv_rng_shuffle(&r, &alone, 0);
    cr_expect_eq(alone, 5);
}

/* The adding problem: every example is as the paper has it, and a function of its index alone. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "data/adding.h"

static rv_adding_batch make(const rv_adding *a, int64_t first, int64_t n, bool longest) {
    rv_adding_batch b;
    cr_assert_eq(rv_adding_batch_alloc(&b, n, a->max_length), RV_OK);
    rv_adding_fill(a, first, n, longest, &b);
    return b;
}

Test(adding, two_marks_one_in_each_half_and_their_sum) {
    enum { N = 4000, LEAST = 2, MOST = 31 };
    rv_adding a = {1, "adding.train", LEAST, MOST};
    rv_adding_batch b = make(&a, 0, N, false);
    cr_assert_eq(b.B, N);
    cr_assert_eq(b.T, MOST);
    int of_length[MOST + 1] = {0}, low = 0;
    for (int i = 0; i < N; i++) {
        const rv_real *x = b.x + i * b.T * 2;
        int n = b.lengths[i], marks[2] = {0};
        double sum = 0;
        cr_assert(n >= LEAST && n <= MOST);
        of_length[n]++;
        for (int t = 0; t < b.T; t++) {
            cr_assert(x[2 * t] >= 0 && x[2 * t] < 1);
            cr_assert(x[2 * t + 1] == 0 || x[2 * t + 1] == 1);
            if (t >= n) cr_assert(x[2 * t] == 0 && x[2 * t + 1] == 0);
            low += t < n && x[2 * t] < 0.25;
            if (x[2 * t + 1] == 0) continue;
            marks[t >= n / 2]++;
            sum += (double)x[2 * t];
        }
        cr_assert(marks[0] == 1 && marks[1] == 1, "example %d", i);
        cr_assert_float_eq((double)b.target[i], sum, 1e-6);
    }
    int64_t steps = 0;
    for (int n = LEAST; n <= MOST; n++) {
        cr_expect(of_length[n] > N / (MOST - LEAST + 1) / 2, "length %d: %d times", n, of_length[n]);
        steps += n * of_length[n];
    }
    cr_expect_float_eq((double)low / (double)steps, 0.25, 0.01);
    rv_adding_batch_free(&b);
}

Test(adding, who_says_the_mean_has_an_error_of_a_sixth) {
    enum { N = 20000 };
    rv_adding a = {1, "adding.test", 50, 50};
    rv_adding_batch b = make(&a, 0, N, false);
    double squares = 0;
    for (int i = 0; i < N; i++) squares += ((double)b.target[i] - 1) * ((double)b.target[i] - 1);
    cr_expect_float_eq(squares / N, 1. / 6, 0.004);
    rv_adding_batch_free(&b);
}

Test(adding, an_example_is_a_function_of_its_index) {
    rv_adding a = {7, "adding.train", 5, 20}, seed = a, stream = a;
    seed.seed = 8;
    stream.stream = "adding.valid";
    rv_adding_batch all = make(&a, 100, 40, false), other_seed = make(&seed, 100, 40, false),
                    other_stream = make(&stream, 100, 40, false);
    int same = 0;
    for (int64_t i = 0; i < 40; i++) {
        rv_adding_batch one = make(&a, 100 + i, 1, false);
        int64_t n = all.lengths[i];
        cr_assert_eq(one.T, n);
        cr_assert_eq(one.target[0], all.target[i]);
        cr_assert_arr_eq(one.x, all.x + i * all.T * 2, (size_t)(2 * n) * sizeof *one.x);
        same += other_seed.target[i] == all.target[i] || other_stream.target[i] == all.target[i];
        rv_adding_batch_free(&one);
    }
    cr_expect_eq(same, 0, "%d examples are the same in another stream", same);
    rv_adding_batch longest = make(&a, 100, 40, true);
    for (int64_t i = 0; i < 40; i++) cr_expect_eq(longest.lengths[i], 20);
    rv_adding_batch_free(&longest);
    rv_adding_batch_free(&all);
    rv_adding_batch_free(&other_seed);
    rv_adding_batch_free(&other_stream);
}

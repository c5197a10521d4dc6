/* Blocks, how many threads work is worth, and the meeting point of a team. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <omp.h>
#include <sched.h>

#include "base/parallel.h"

enum { LITTLE = 100, MUCH = 100000000 }; /* elementary operations */

/* Together the blocks are all elements, once each; only the last may be shorter than a block. */
Test(threads, blocks_are_a_partition) {
    static const int64_t sizes[] = {
        0, 1, RV_BLOCK - 1, RV_BLOCK, RV_BLOCK + 1, 5 * RV_BLOCK, 5 * RV_BLOCK + 7, INT64_C(1) << 40};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t n = sizes[i], blocks = rv_blocks(n), looked_at = blocks < 10 ? blocks : 10;
        cr_expect_eq(blocks, n / RV_BLOCK + (n % RV_BLOCK != 0), "%lld elements", (long long)n);
        for (int64_t b = 0; b < looked_at; b++) {
            const rv_range r = rv_block(n, b);
            cr_expect_eq(r.begin, b * RV_BLOCK);
            cr_expect_eq(r.end, b == blocks - 1 ? n : (b + 1) * RV_BLOCK);
        }
        if (blocks) cr_expect_eq(rv_block(n, blocks - 1).end, n);
    }
}

Test(threads, as_many_as_are_set) {
    for (int n = 1; n <= 9; n += 4) {
        rv_set_threads(n);
        cr_expect_eq(rv_threads(), n);
    }
}

/* Without a number: as many CPUs as the process may run on. */
Test(threads, as_many_as_the_process_may_have) {
    cr_expect_geq(rv_threads(), 1, "nothing is set yet");
    cpu_set_t all, one;
    cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
    for (int n = 0; n >= -3; n -= 3) {
        rv_set_threads(5);
        rv_set_threads(n);
        cr_expect(rv_threads() >= 1 && rv_threads() <= CPU_COUNT(&all));
    }
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    rv_set_threads(0);
    cr_expect_eq(rv_threads(), 1);
}

Test(threads, little_work_is_worth_one) {
    rv_set_threads(3);
    cr_expect_eq(rv_threads_for(0), 1);
    cr_expect_eq(rv_threads_for(LITTLE), 1);
    cr_expect_eq(rv_threads_for(MUCH), 3);
    rv_set_threads(1);
    cr_expect_eq(rv_threads_for(MUCH), 1);
}

/* Work inside a parallel region stays on the thread that has it. */
Test(threads, none_are_nested) {
    rv_set_threads(3);
    int worth[3] = {0};
#pragma omp parallel num_threads(3)
    worth[omp_get_thread_num()] = rv_threads_for(MUCH);
    for (int i = 0; i < 3; i++) cr_expect_eq(worth[i], 1, "thread %d", i);
}

/* OpenMP gives the threads that were asked for, though there are fewer CPUs. */
Test(threads, all_come) {
    for (int n = 2; n <= 9; n += 7) {
        rv_set_threads(n);
        int here[9] = {0};
#pragma omp parallel num_threads(rv_threads_for(MUCH))
        here[omp_get_thread_num()] = omp_get_num_threads();
        for (int i = 0; i < n; i++) cr_expect_eq(here[i], n, "thread %d of %d", i, n);
    }
}

/* In each round every thread writes its line, and after the barrier sees everybody's. */
Test(threads, a_barrier_parts_rounds) {
    enum { MOST = 7, ROUNDS = 2000 };
    for (int n = 1; n <= MOST; n += 2) {
        rv_barrier barrier = {0};
        int written[MOST] = {0}, wrong[MOST] = {0};
#pragma omp parallel num_threads(n)
        {
            const int me = omp_get_thread_num();
            for (int round = 1; round <= ROUNDS; round++) {
                written[me] = round;
                rv_barrier_wait(&barrier, n);
                for (int i = 0; i < n; i++) wrong[me] += written[i] != round;
                rv_barrier_wait(&barrier, n);
            }
        }
        for (int i = 0; i < n; i++) cr_expect_eq(wrong[i], 0, "thread %d of %d", i, n);
    }
}

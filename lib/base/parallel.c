#define _GNU_SOURCE
#include "base/parallel.h"

#include <omp.h>
#include <sched.h>
#include <stdio.h>

static int threads; /* 0: not chosen yet */

/* CPUs that a cgroup v2 quota allows, or a large number when there is no quota. */
static int cgroup_cpus(void) {
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!f) return 1 << 20;
    long quota = 0, period = 0;
    int got = fscanf(f, "%ld %ld", &quota, &period); /* "max 100000" gives 0 */
    fclose(f);
    if (got != 2 || quota <= 0 || period <= 0) return 1 << 20;
    long n = (quota + period - 1) / period;
    return n < 1 ? 1 : (int)n;
}

void rv_set_threads(int n) {
    if (n <= 0) {
        cpu_set_t set;
        n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
        int quota = cgroup_cpus();
        if (quota < n) n = quota;
    }
    threads = n < 1 ? 1 : n;
    omp_set_dynamic(0);
}

int rv_threads(void) {
    if (!threads) rv_set_threads(0);
    return threads;
}

int rv_threads_for(double flops) { return flops < 60000. || omp_in_parallel() ? 1 : rv_threads(); }

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

void rv_barrier_wait(rv_barrier *b, int n) {
    enum { SPINS = 200 }; /* a few microseconds; then there may be fewer CPUs than threads */
    if (n == 1) return;
    const unsigned round = __atomic_load_n(&b->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_ACQ_REL) == n) {
        __atomic_store_n(&b->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&b->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int i = 0; __atomic_load_n(&b->round, __ATOMIC_ACQUIRE) == round;) {
        if (i < SPINS) {
            i++;
            pause_briefly();
        } else {
            sched_yield();
        }
    }
}

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

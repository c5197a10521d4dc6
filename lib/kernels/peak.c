#include "kernels/peak.h"

#include "base/log.h"

static double run(int threads, int64_t n) {
    const double start = rv_now();
#pragma omp parallel num_threads(threads)
    {
        rv_real x[32] __attribute__((aligned(64)));
        for (int i = 0; i < 32; i++) x[i] = (rv_real)0.5;
        rv_k()->multiply_add(n, x);
    }
    const double seconds = rv_now() - start;
    return seconds > 0 ? 24. * (double)n * rv_k()->lanes * threads / seconds / 1e9 : 0;
}

double rv_peak_gflops(int threads) {
    enum { CALM = 24, MOST = 400 };
    const double goal = 0.002; /* shorter than what a scheduler gives another program at a time: some runs have the cores alone */
    double best = run(threads, 200000); /* wakes the threads and the clock */
    const int64_t n = (int64_t)(goal * best * 1e9 / (24. * rv_k()->lanes * threads)) + 1000;
    for (int i = 0, calm = 0; i < MOST && calm < CALM; i++) {
        const double rate = run(threads, n);
        calm = rate > 1.005 * best ? 0 : calm + 1;
        if (rate > best) best = rate;
    }
    return best;
}

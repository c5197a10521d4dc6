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

static double pass(int threads, int64_t n, int64_t times, bool triad, rv_real *x, rv_real *y) {
    const double start = rv_now();
#pragma omp parallel num_threads(threads)
    for (int64_t i = 0; i < times; i++) {
#pragma omp for schedule(static) nowait
        for (int64_t b = 0; b < rv_blocks(n); b++) {
            const rv_range r = rv_block(n, b);
            if (triad)
                rv_k()->vaffine(r.end - r.begin, (rv_real)1e-3, 0, x + r.begin, y + r.begin, true);
            else
                y[r.begin] = rv_k()->vsum(r.end - r.begin, x + r.begin);
        }
    }
    return (triad ? 3 : 1) * (double)(n * times) * sizeof *x / (rv_now() - start) / 1e9;
}

double rv_peak_bandwidth(int threads, int64_t n, rv_real *x, rv_real *y) {
    enum { RUNS = 12 };
    const int64_t times = n < 500000 ? 1000000 / n : 1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t b = 0; b < rv_blocks(n); b++) { /* pages lie near who uses them */
        const rv_range r = rv_block(n, b);
        for (int64_t i = r.begin; i < r.end; i++) x[i] = y[i] = 1;
    }
    double best = 0;
    for (int i = 0; i < 2 * RUNS; i++) {
        const double rate = pass(threads, n, times, i % 2, x, y);
        if (rate > best) best = rate;
    }
    return best;
}

double rv_peak_gflops(int threads) {
    enum { CALM = 24, MOST = 400 };
    const double goal =
        0.002; /* shorter than what a scheduler gives another program at a time: some runs have the cores alone */
    double best = run(threads, 200000); /* wakes the threads and the clock */
    const int64_t n = (int64_t)(goal * best * 1e9 / (24. * rv_k()->lanes * threads)) + 1000;
    for (int i = 0, calm = 0; i < MOST && calm < CALM; i++) {
        const double rate = run(threads, n);
        calm = rate > 1.005 * best ? 0 : calm + 1;
        if (rate > best) best = rate;
    }
    return best;
}

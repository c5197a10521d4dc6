#include "kernels/update.h"

#include "kernels/kernels.h"

void rv_update_run(rv_update_fn *fn, int nspans, const rv_update_span *span, const rv_update *u) {
    rv_update no_decay = *u;
    no_decay.l2 = 0;
    no_decay.keep = 1;
    double elements = 0;
    for (int i = 0; i < nspans; i++) elements += (double)span[i].n;
        /* One region for all tensors: a model has many small ones. */
#pragma omp parallel num_threads(rv_threads_for(10 * elements))
    for (int i = 0; i < nspans; i++) {
        const rv_update_span *s = &span[i];
        const rv_update *us = s->decay ? u : &no_decay;
#pragma omp for schedule(static) nowait
        for (int64_t b = 0; b < rv_blocks(s->n); b++) {
            rv_range r = rv_block(s->n, b);
            fn(r.end - r.begin, s->x + r.begin, s->g + r.begin, s->s0 ? s->s0 + r.begin : NULL,
               s->s1 ? s->s1 + r.begin : NULL, us);
        }
    }
}

double rv_sum_squares(int64_t n, const rv_real *x) {
    enum { BATCH = 1024 }; /* blocks whose partial sums wait on the stack */
    double part[BATCH], sum = 0;
    int64_t blocks = rv_blocks(n);
    const rv_kernels *k = rv_k();
    for (int64_t first = 0; first < blocks; first += BATCH) {
        int64_t count = blocks - first < BATCH ? blocks - first : BATCH;
        RV_FOR(b, count, rv_threads_for(2. * RV_BLOCK * (double)count), {
            rv_range r = rv_block(n, first + b);
            part[b] = k->sumsq(r.end - r.begin, x + r.begin);
        });
        for (int64_t b = 0; b < count; b++) sum += part[b];
    }
    return sum;
}

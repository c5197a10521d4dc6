#include "ops.h"

#include <stdlib.h>

#include "ravel.h"

enum { REPEATS = 15, WARM = 3 }; /* WARM builds also settle the arena, see rv_sample_keep */

static double now_us(void) { return rv_now() * 1e6; }

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *t) {
    qsort(t, REPEATS, sizeof *t, by_value);
    return t[REPEATS / 2];
}

static rv_status bench_sample(rv_tape *tape, FILE *out, const rv_op *op, int k, bool *more) {
    double forward[REPEATS], backward[REPEATS];
    rv_real *dy = NULL;
    int64_t n = 0;
    rv_sample_keep(tape, false);
    for (int i = -WARM; i < REPEATS; i++) {
        if (i == 0) rv_sample_keep(tape, true);
        rv_tape_reset(tape);
        double begin = now_us();
        rv_tensor *y = op->sample(tape, k);
        double middle = now_us();
        if (!y) {
            *more = false;
            break;
        }
        if (!dy) {
            n = rv_numel(y);
            dy = rv_alloc((size_t)n * sizeof *dy);
            if (!dy) return RV_ENOMEM;
            for (int64_t j = 0; j < n; j++) dy[j] = 1;
        }
        double start = now_us();
        rv_status s = rv_backward_from(tape, y, dy);
        if (s != RV_OK) {
            rv_free(dy);
            return s;
        }
        if (i >= 0) forward[i] = middle - begin, backward[i] = now_us() - start;
    }
    rv_free(dy);
    if (*more)
        fprintf(out, "%-16s %6d %9lld %12.1f %12.1f\n", op->name, k, (long long)n, median(forward), median(backward));
    return rv_tape_status(tape);
}

rv_status rv__bench_ops(FILE *out) {
    rv_tape *tape = rv_tape_create();
    if (!tape) return RV_ENOMEM;
    fprintf(out, "%s, %d threads; medians of %d, microseconds\n%-16s %6s %9s %12s %12s\n", rv_k()->isa, rv_threads(),
            REPEATS, "op", "sample", "elements", "forward", "backward");
    rv_status s = RV_OK;
    for (int i = 0; s == RV_OK && rv_ops[i]; i++) {
        bool more = true;
        for (int k = 0; s == RV_OK && more; k++) s = bench_sample(tape, out, rv_ops[i], k, &more);
    }
    rv_tape_destroy(tape);
    return s;
}

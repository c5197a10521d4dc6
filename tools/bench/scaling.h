/* Time of a step against the length of the sequence, of a recurrent layer and of a self-attention layer. */
#ifndef RV_BENCH_SCALING_H
#define RV_BENCH_SCALING_H

#include "base/status.h"
#include "table.h"

enum { RV_SCALING_LENGTHS = 8, RV_SCALING_LAYERS = 2 }; /* T = 16, 32, ..., 2048; LSTM and attention */
typedef struct {
    int64_t width, batch;
    int n_threads;
    const int *threads;
    double (*ms)[RV_SCALING_LAYERS][RV_SCALING_LENGTHS]; /* [thread count][layer][length]; 0: not measured */
    double *cross; /* [thread count]: the length at which both take as long; 0: none */
} rv_scaling;

static inline int64_t rv_scaling_length(int i) { return 16ll << i; }

/* Measure forward and backward of an LSTM layer and of a causal self-attention layer (projections, heads of 64) of the
 * same width on batches of constant size, print them to stdout, and draw them into the file `svg` unless it is NULL.
 * tiny: only the shortest lengths. */
rv_status rv__scaling_run(int n_threads, const int *threads, double seconds, bool tiny, rv_bench_format format,
                          const char *svg);

/* Write the figure; RV_EDATA when the file cannot be written. */
rv_status rv__scaling_svg(const rv_scaling *s, const char *path);

#endif

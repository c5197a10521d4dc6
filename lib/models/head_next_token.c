/* The next token at each position of a decoder. */
#include "kernels/gemm.h"
#include "kernels/top_k.h"
#include "models/head.h"

static int64_t row_of(const rv_batch *b, bool time_major, int64_t i, int64_t t) {
    return time_major ? t * b->B + i : i * b->T + t;
}

/* The wanted ids in the order of the states. */
static const int32_t *arranged(rv_tape *tape, const rv_batch *b, bool time_major) {
    int32_t *r = rv_tape_alloc(tape, (size_t)(b->B * b->T) * sizeof *r);
    for (int64_t i = 0; r && i < b->B; i++)
        for (int64_t t = 0; t < b->T; t++) r[row_of(b, time_major, i, t)] = b->out[i * b->T + t];
    return r;
}

/* The logits are never stored. */
static rv_tensor *loss(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, double smoothing) {
    const int32_t *target = x ? arranged(tape, b, time_major) : NULL;
    if (!target) return NULL;
    return rv_linear_cross_entropy(tape, x, rv_head_weight(h), rv_head_bias(h), target, -1, smoothing);
}

static bool score(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, rv_row_score *row,
                  double *nats, int32_t *best) {
    enum { BLOCK = 512 }; /* rows whose logits are in memory at a time */
    const rv_tensor *weight = rv_head_weight(h), *bias = rv_head_bias(h);
    const int64_t rows = b->B * b->T, V = rv_head_get_config(h)->output_size, most = rows < BLOCK ? rows : BLOCK;
    rv_real *z = rv_tape_alloc(tape, (size_t)(most * V) * sizeof *z);
    rv_real *lse = rv_tape_alloc(tape, (size_t)(2 * most) * sizeof *lse);
    int32_t *id = rv_tape_alloc(tape, (size_t)rows * sizeof *id);
    double *of_row = rv_tape_alloc(tape, (size_t)rows * sizeof *of_row);
    const int32_t *target = x ? arranged(tape, b, time_major) : NULL;
    if (!x || !z || !lse || !id || !of_row || !target) return false;
    const int64_t D = rv_dim(x, -1);
    for (int64_t r = 0; r < rows; r += most) {
        const int64_t n = rows - r < most ? rows - r : most;
        rv_gemm_run(&(rv_gemm){.tb = true,
                               .m = n,
                               .n = V,
                               .k = D,
                               .a = x->x + r * D,
                               .b = weight->x,
                               .c = z,
                               .lda = D,
                               .ldb = D,
                               .ldc = V,
                               .bias = bias ? bias->x : NULL});
        rv_top_k(n, V, z, 1, lse, lse + most, id + r);
        for (int64_t i = 0; i < n; i++) {
            const int32_t t = target[r + i];
            if (t >= V) {
                rv_tape_fail(tape, RV_EDATA,
                             "target %d is not in [0, %lld); was the text encoded with another vocabulary?", (int)t,
                             (long long)V);
                return false;
            }
            of_row[r + i] = t < 0 ? 0 : (double)lse[i] - (double)z[i * V + t];
        }
    }
    for (int64_t i = 0; i < b->B; i++)
        for (int64_t t = 0; t < b->T; t++) {
            const int64_t r = row_of(b, time_major, i, t);
            nats[i * b->T + t] = of_row[r];
            best[i * b->T + t] = id[r];
        }
    rv_head_sum(b, nats, best, row);
    return true;
}

const rv_head_kind rv__head_next_token = {
    .name = "next_token", .reads = RV_READS_DECODER, .loss = loss, .score = score};

/* A tag for each word: a softmax of its own, or a linear-chain CRF over all of a row. */
#include "kernels/top_k.h"
#include "models/head.h"

static rv_tensor *loss(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, double smoothing) {
    const rv_head_config *c = rv_head_get_config(h);
    rv_tensor *z = rv_head_map(tape, h, x);
    if (!z) return NULL;
    if (!c->crf) return rv_cross_entropy(tape, z, b->out, -1, smoothing);
    rv_crf_spec spec;
    if (!rv_head_crf(tape, h, z, b, &spec)) return NULL;
    return rv_crf(tape, &spec);
}

/* Each word alone. */
static bool score_words(rv_tape *tape, int64_t K, const rv_tensor *z, const rv_batch *b, double *nats, int32_t *best) {
    const int64_t rows = b->B * b->T;
    rv_real *lse = rv_tape_alloc(tape, (size_t)(2 * rows) * sizeof *lse);
    if (!lse) return false;
    rv_top_k(rows, K, z->x, 1, lse, lse + rows, best);
    for (int64_t i = 0; i < rows; i++) nats[i] = b->out[i] < 0 ? 0 : (double)lse[i] - (double)z->x[i * K + b->out[i]];
    return true;
}

/* All words of a row together: a row's nats stand at its first word. */
static bool score_paths(rv_tape *tape, rv_head *h, const rv_tensor *z, const rv_batch *b, double *nats, int32_t *best) {
    rv_chain c;
    double *of = rv_tape_alloc(tape, (size_t)(2 * b->B) * sizeof *of);
    if (!of || !rv_head_chain(tape, h, z->x, b->B, b->T, b->lengths, &c)) return false;
    void *room = rv_tape_alloc(tape, rv_chain_room(&c));
    if (!room) return false;
    rv_chain_best(&c, room, best, NULL);
    rv_chain_log_z(&c, room, of);
    rv_chain_score(&c, b->out, of + b->B);
    for (int64_t i = 0; i < b->B; i++) {
        for (int64_t t = 0; t < b->T; t++) nats[i * b->T + t] = 0;
        nats[i * b->T] = of[i] - of[b->B + i];
    }
    return true;
}

static bool score(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, rv_row_score *row,
                  double *nats, int32_t *best) {
    const rv_head_config *c = rv_head_get_config(h);
    const int64_t K = c->output_size;
    const rv_tensor *z = rv_head_map(tape, h, x);
    if (!z) return false;
    for (int64_t i = 0; i < b->B * b->T; i++)
        if (b->out[i] >= K) {
            rv_tape_fail(tape, RV_EDATA, "tag %d is not in [0, %lld)", (int)b->out[i], (long long)K);
            return false;
        }
    if (!(c->crf ? score_paths(tape, h, z, b, nats, best) : score_words(tape, K, z, b, nats, best))) return false;
    rv_head_sum(b, nats, best, row);
    return true;
}

const rv_head_kind rv__head_tags = {.name = "tags", .reads = RV_READS_ENCODER, .loss = loss, .score = score};

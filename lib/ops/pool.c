/* Pooling: a weighted mean of each row's valid positions. */
#include <string.h>

#include "kernels/flops.h"
#include "ops/ops_private.h"

typedef struct {
    const int32_t *lengths;
    const rv_real *weights; /* (B, S) */
} pool_ctx;

static int64_t valid_of(const int32_t *lengths, int64_t b, int64_t S) {
    return lengths && lengths[b] < S ? lengths[b] : S;
}

static void count(const int32_t *lengths, int64_t B, int64_t S, int64_t D) {
    int64_t positions = 0;
    for (int64_t b = 0; b < B; b++) positions += valid_of(lengths, b, S);
    rv__flops_add(2. * (double)positions * (double)D);
}

static void weigh(const rv_tensor *scores, int64_t b, int64_t S, int64_t n, rv_real *w) {
    if (scores && n) rv_k()->softmax_row(n, scores->x + b * S, w);
    for (int64_t s = 0; s < n && !scores; s++) w[s] = 1 / (rv_real)n;
    for (int64_t s = n; s < S; s++) w[s] = 0;
}

rv_pooled rv_pool(rv_tape *tape, rv_tensor *x, rv_tensor *scores, const int32_t *lengths) {
    const rv_pooled none = {NULL, NULL};
    if (!x) return none;
    char text[RV_SHAPE_TEXT];
    if (x->ndim != 3) {
        rv_tape_fail(tape, RV_ESHAPE, "pool: shape %s; it needs 3 dimensions, (batch, positions, width)",
                     rv_shape_text(x, text, sizeof text));
        return none;
    }
    const int64_t B = x->dim[0], S = x->dim[1], D = x->dim[2];
    if (scores && (scores->ndim != 2 || scores->dim[0] != B || scores->dim[1] != S)) {
        rv__shape_fail(tape, "pool", x, scores, "the second must hold one score for each position of the first");
        return none;
    }
    rv_pooled out = {rv_tape_tensor(tape, RV_DIMS(B, D)), rv_tape_tensor(tape, RV_DIMS(B, S))};
    if (!out.y || !out.weights) return none;
    count(lengths, B, S, D);
    const rv_kernels *k = rv_k();
    RV_FOR(b, B, rv_threads_for((double)B * (double)S * (double)(2 * D + 20)), {
        const int64_t n = valid_of(lengths, b, S);
        rv_real *w = out.weights->x + b * S;
        weigh(scores, b, S, n, w);
        k->weighted_rows(n, D, w, x->x + b * S * D, out.y->x + b * D, false); /* of none: 0 */
    });
    rv_node *node = rv_tape_record(tape, &rv__op_pool, 2, (rv_tensor *[]){x, scores}, 1, &out.y, sizeof(pool_ctx));
    if (node) *(pool_ctx *)node->ctx = (pool_ctx){lengths, out.weights->x};
    return out;
}

/* dx_s = w_s dy;  dw_s = x_s . dy, and through the softmax to the scores */
static void pool_backward(rv_tape *tape, rv_node *node) {
    const rv_tensor *x = node->in[0];
    const pool_ctx *c = node->ctx;
    const int64_t B = x->dim[0], S = x->dim[1], D = x->dim[2];
    const rv_real *dy = rv_out_grad(node, 0);
    rv_arena_mark mark = rv_tape_mark(tape);
    rv_real *dw = rv_tape_alloc(tape, (size_t)(B * S) * sizeof *dw);
    if (!dw) return;
    bool acc = false, acc_scores = false;
    rv_real *dx = rv_grad(node->in[0], &acc), *ds = rv_grad(node->in[1], &acc_scores);
    if (ds) count(c->lengths, B, S, D);
    const rv_kernels *k = rv_k();
    RV_FOR(b, B, rv_threads_for((double)B * (double)S * (double)(3 * D + 20)), {
        const int64_t n = valid_of(c->lengths, b, S);
        const rv_real *w = c->weights + b * S;
        const rv_real *g = dy + b * D;
        if (dx)
            for (int64_t s = 0; s < n; s++) k->vaffine(D, w[s], 0, g, dx + (b * S + s) * D, acc);
        if (dx && !acc) memset(dx + (b * S + n) * D, 0, (size_t)((S - n) * D) * sizeof *dx);
        if (ds && n) {
            k->dot_scores(n, D, g, x->x + b * S * D, dw + b * S);
            k->softmax_back_row(n, w, dw + b * S, ds + b * S, acc_scores);
        }
        if (ds && !acc_scores) memset(ds + b * S + n, 0, (size_t)(S - n) * sizeof *ds);
    });
    rv_tape_rewind(tape, mark);
}

static rv_tensor *pool_sample(rv_tape *t, int k) {
    static const int32_t few[] = {3, 1, 0};
    static int32_t many[64];
    if (k > 3) return NULL;
    const bool small = k < 2, attention = k % 2 == 0;
    for (int32_t i = 0; i < 64; i++) many[i] = 1 + i * 7 % 300; /* the same at every call */
    const int64_t B = small ? 3 : 64, S = small ? 4 : 300, D = small ? 5 : 70;
    rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(B, S, D));
    return rv_pool(t, x, attention ? rv_sample_leaf(t, -2, 2, RV_DIMS(B, S)) : NULL, small ? few : many).y;
}
const rv_op rv__op_pool = {"pool", pool_backward, pool_sample, 0, true};

/* A linear head and its cross-entropy as one op: the logits of all rows are never in memory at once. The formulas are
 * linear's and cross_entropy's (matmul.c, loss.c).
 *
 * Rows are taken in blocks, the classes in strips. The logits of a strip are made, and their exponentials taken, by one
 * thread while they are in its cache; when the block's strips have given each row its maximum and sum, the strips are
 * read again, become gradients, and are multiplied with rows and weights. Strips belong to a fixed number of groups, of
 * which each adds up its part of dx; the parts are added in order. So everything is cut by shape alone. */
#include <math.h>
#include <string.h>

#include "kernels/flops.h"
#include "kernels/gemm.h"
#include "ops/ops_private.h"

enum {
    BLOCK_ROWS = 512,
    STRIP = 256, /* classes: with BLOCK_ROWS, the logits and packed operands of a strip fit the second-level cache */
    GROUPS = 8,  /* of strips */
    CHUNK = 64,  /* rows whose sums are brought together at a time */
    FEW = 1024,  /* classes whose logits are small enough to be stored */
    LINE = 16    /* strips are widened by so much that their rows do not fall on the same cache sets */
};

/* Gradients for an incoming gradient of 1; NULL where none is wanted. */
typedef struct {
    rv_real *dx, *dw, *db;
} head_grads;

typedef struct {
    int64_t in, out;
    int64_t width, strips, groups; /* of a strip; how many; and groups of them */
    int64_t counted, most;         /* rows that have a target, and how many of them a block has at most */
    const rv_real *x, *w, *b;
    const int32_t *target;
    const int64_t *row; /* where each counted row stands among all; NULL when all are counted */
    double smoothing;
    head_grads d;
    /* Of a strip: its weights packed for x w^T and for dz w; its logits (width + LINE apart); each row's largest, sum
     * of exponentials and sum. */
    char *forward_w, *back_w;
    size_t forward_bytes, back_bytes;
    rv_real *z, *max, *sum, *total;
    rv_real *at_target, *xs, *dxs; /* of a block; dxs: of each group */
    double *loss;
    void *packed_x;
} head;

/* The block's rows. */
typedef struct {
    int64_t first, n;
    const rv_real *x;
} span;

static int64_t place(const head *h, int64_t i) { return h->row ? h->row[i] : i; }
static int64_t strip_begin(const head *h, int64_t s) { return s * h->width; }
static int64_t strip_width(const head *h, int64_t s) {
    return h->out - s * h->width < h->width ? h->out - s * h->width : h->width;
}
static rv_real *strip_z(const head *h, int64_t s) { return h->z + s * h->most * (h->width + LINE); }

static void pack(const head *h, int64_t s) {
    const rv_real *w = h->w + strip_begin(h, s) * h->in;
    rv_gemm_pack_b(true, strip_width(h, s), h->in, w, h->in, h->forward_w + (size_t)s * h->forward_bytes);
    if (h->back_w) rv_gemm_pack_b(false, h->in, strip_width(h, s), w, h->in, h->back_w + (size_t)s * h->back_bytes);
}

/* Logits of a strip and their exponentials. */
static void score(const head *h, span b, int64_t s) {
    const int64_t begin = strip_begin(h, s), n = strip_width(h, s), ld = h->width + LINE;
    rv_real *z = strip_z(h, s);
    rv_gemm_serial(&(rv_gemm){.m = b.n,
                              .n = n,
                              .k = h->in,
                              .a = b.x,
                              .lda = h->in,
                              .packed_b = h->forward_w + (size_t)s * h->forward_bytes,
                              .c = z,
                              .ldc = ld,
                              .bias = h->b ? h->b + begin : NULL});
    for (int64_t i = 0; i < b.n; i++) {
        const int64_t t = h->target[place(h, b.first + i)] - begin, at = s * h->most + i;
        if (t >= 0 && t < n) h->at_target[i] = z[i * ld + t];
        h->max[at] = rv_k()->exp_row(n, z + i * ld, z + i * ld, h->sum + at, h->smoothing != 0 ? h->total + at : NULL);
    }
}

/* Losses of the block's rows [i0, i1); what each strip's exponentials are to be multiplied with takes the place of its
 * maxima. */
static void normalise(const head *h, int64_t i0, int64_t i1) {
    const int64_t n = i1 - i0, step = h->most;
    rv_real *max = h->max + i0, highest[CHUNK], sum[CHUNK] = {0}, total[CHUNK] = {0};
    for (int64_t i = 0; i < n; i++) highest[i] = max[i];
    for (int64_t s = 1; s < h->strips; s++)
        for (int64_t i = 0; i < n; i++)
            if (max[s * step + i] > highest[i]) highest[i] = max[s * step + i];
    for (int64_t s = 0; s < h->strips; s++) {
        rv_real *m = max + s * step;
        for (int64_t i = 0; i < n; i++) m[i] -= highest[i];
        rv_k()->vexp(n, m, m);
        for (int64_t i = 0; i < n; i++) sum[i] += h->sum[s * step + i0 + i] * m[i];
        for (int64_t i = 0; h->smoothing != 0 && i < n; i++) total[i] += h->total[s * step + i0 + i];
    }
    for (int64_t i = 0; i < n; i++)
        h->loss[i0 + i] = (double)highest[i] + log((double)sum[i]) - (1 - h->smoothing) * (double)h->at_target[i0 + i] -
                          h->smoothing * (double)total[i] / (double)h->out;
    for (int64_t i = 0; i < n; i++) sum[i] = 1 / (rv_real)h->counted / sum[i];
    for (int64_t s = 0; s < h->strips; s++)
        for (int64_t i = 0; i < n; i++) max[s * step + i] *= sum[i];
}

/* The exponentials of a strip become the gradient of its logits, and are multiplied. */
static void learn(const head *h, span b, int64_t s, rv_real *dx, bool first) {
    const int64_t begin = strip_begin(h, s), n = strip_width(h, s), ld = h->width + LINE;
    const rv_real share = 1 / (rv_real)h->counted, hot = share * (rv_real)(1 - h->smoothing);
    rv_real *z = strip_z(h, s), *db = h->d.db ? h->d.db + begin : NULL;
    rv_k()->affine_rows(b.n, n, z, ld, h->max + s * h->most, -share * (rv_real)(h->smoothing / (double)h->out), db,
                        b.first > 0);
    for (int64_t i = 0; i < b.n; i++) {
        const int64_t t = h->target[place(h, b.first + i)] - begin;
        if (t < 0 || t >= n) continue;
        z[i * ld + t] -= hot;
        if (db) db[t] -= hot;
    }
    if (dx)
        rv_gemm_serial(&(rv_gemm){.m = b.n,
                                  .n = h->in,
                                  .k = n,
                                  .a = z,
                                  .lda = ld,
                                  .packed_b = h->back_w + (size_t)s * h->back_bytes,
                                  .c = dx,
                                  .ldc = h->in,
                                  .accumulate = !first});
    if (h->d.dw)
        rv_gemm_serial(&(rv_gemm){.ta = true,
                                  .m = n,
                                  .n = h->in,
                                  .k = b.n,
                                  .a = z,
                                  .lda = ld,
                                  .packed_b = h->packed_x,
                                  .c = h->d.dw + begin * h->in,
                                  .ldc = h->in,
                                  .accumulate = b.first > 0});
}

/* dx of one row: the groups' parts. */
static void add_parts(const head *h, span b, int64_t i) {
    rv_real *dx = h->d.dx + place(h, b.first + i) * h->in;
    for (int64_t g = 0; g < h->groups; g++) rv_k()->vaffine(h->in, 1, 0, h->dxs + (g * h->most + i) * h->in, dx, g > 0);
}

/* The rows [first, end) of those counted; returns the sum of their losses. */
static double block(const head *h, int64_t first, int64_t end) {
    span b = {first, end - first, h->x + first * h->in};
    const bool train = h->d.dx || h->d.dw || h->d.db;
    for (int64_t i = 0; h->row && i < b.n; i++)
        memcpy(h->xs + i * h->in, h->x + h->row[first + i] * h->in, (size_t)h->in * sizeof *h->xs);
    if (h->row) b.x = h->xs;
    if (h->d.dw) rv_gemm_pack_b(false, h->in, b.n, b.x, h->in, h->packed_x);
#pragma omp parallel num_threads(rv_threads_for((double)b.n *(double)h->out *(double)h->in / 8))
    {
#pragma omp for schedule(dynamic)
        for (int64_t s = 0; s < h->strips; s++) score(h, b, s);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < b.n; i += CHUNK) normalise(h, i, i + CHUNK < b.n ? i + CHUNK : b.n);
        if (train) {
#pragma omp for schedule(dynamic)
            for (int64_t g = 0; g < h->groups; g++)
                for (int64_t s = g * h->strips / h->groups, s0 = s; s < (g + 1) * h->strips / h->groups; s++)
                    learn(h, b, s, h->d.dx ? h->dxs + g * h->most * h->in : NULL, s == s0);
            if (h->d.dx) {
#pragma omp for schedule(static)
                for (int64_t i = 0; i < b.n; i++) add_parts(h, b, i);
            }
        }
    }
    double loss = 0;
    for (int64_t i = 0; i < b.n; i++) loss += h->loss[i];
    return loss;
}

static rv_real *array(rv_tape *tape, bool wanted, int64_t n) {
    return wanted ? rv_tape_alloc(tape, (size_t)n * sizeof(rv_real)) : NULL;
}

/* What a call needs until it returns; false without memory. */
static bool scratch(rv_tape *tape, head *h, int64_t rows, int32_t ignore) {
    const int64_t most = h->most;
    const bool some = h->counted < rows;
    int64_t *row = some ? rv_tape_alloc(tape, (size_t)h->counted * sizeof *row) : NULL;
    h->forward_bytes = rv_gemm_packed_bytes(h->width, h->in);
    h->back_bytes = rv_gemm_packed_bytes(h->in, h->width);
    h->forward_w = rv_tape_alloc(tape, (size_t)h->strips * h->forward_bytes);
    h->back_w = h->d.dx ? rv_tape_alloc(tape, (size_t)h->strips * h->back_bytes) : NULL;
    h->packed_x = h->d.dw ? rv_tape_alloc(tape, rv_gemm_packed_bytes(h->in, most)) : NULL;
    h->z = array(tape, true, h->strips * most * (h->width + LINE));
    h->max = array(tape, true, h->strips * most);
    h->sum = array(tape, true, h->strips * most);
    h->total = array(tape, true, h->strips * most);
    h->at_target = array(tape, true, most);
    h->loss = rv_tape_alloc(tape, (size_t)most * sizeof *h->loss);
    h->xs = array(tape, some, most * h->in);
    h->dxs = array(tape, h->d.dx, h->groups * most * h->in);
    if (rv_tape_status(tape) != RV_OK) return false;
    h->row = row;
    for (int64_t i = 0, n = 0; some && i < rows; i++) {
        if (h->target[i] != ignore)
            row[n++] = i;
        else if (h->d.dx)
            memset(h->d.dx + i * h->in, 0, (size_t)h->in * sizeof *h->d.dx);
    }
    return true;
}

rv_tensor *rv_linear_cross_entropy(rv_tape *tape, rv_tensor *x, rv_tensor *w, rv_tensor *b, const int32_t *target,
                                   int32_t ignore, double smoothing) {
    if (!x || !w) return NULL;
    const char *op = "linear_cross_entropy";
    if (w->ndim != 2) return rv__shape_fail(tape, op, x, w, "the weight needs 2 dimensions, (classes, inputs)");
    if (x->ndim < 1 || rv_dim(x, -1) != w->dim[1])
        return rv__shape_fail(tape, op, x, w, "the last dimensions must be equal");
    if (b && (b->ndim != 1 || b->dim[0] != w->dim[0]))
        return rv__shape_fail(tape, op, b, w, "the bias needs one element per row of the weight");
    const int64_t rows = rv_rows(x), in = w->dim[1], out = w->dim[0];
    if (out <= FEW) return rv_cross_entropy(tape, rv_linear(tape, x, w, b, RV_ACT_NONE), target, ignore, smoothing);
    const int64_t counted = rv__count_targets(tape, op, rows, out, target, ignore);
    rv_tensor *y = counted < 0 ? NULL : rv_tape_tensor(tape, 0, NULL), *inputs[] = {x, w, b};
    if (!y) return NULL;
    y->x[0] = 0;
    if (!counted) return y;
    const bool train = rv_tape_records(tape, 3, inputs);
    head h = {.in = in,
              .out = out,
              .counted = counted,
              .x = x->x,
              .w = w->x,
              .b = b ? b->x : NULL,
              .target = target,
              .smoothing = smoothing};
    const int64_t wide = (out + STRIP - 1) / STRIP, blocks = (counted + BLOCK_ROWS - 1) / BLOCK_ROWS;
    h.width = ((out + wide - 1) / wide + 31) / 32 * 32;
    h.strips = (out + h.width - 1) / h.width;
    h.groups = h.strips < GROUPS ? h.strips : GROUPS;
    h.most = (counted + blocks - 1) / blocks;
    h.d.dx = array(tape, train && x->needs_grad, rows * in);
    h.d.dw = array(tape, train && w->needs_grad, out * in);
    h.d.db = array(tape, train && b && b->needs_grad, out);
    rv_arena_mark mark = rv_tape_mark(tape);
    if (!scratch(tape, &h, rows, ignore)) return NULL;
#pragma omp parallel for schedule(static) num_threads(rv_threads_for((double)in *(double)out))
    for (int64_t s = 0; s < h.strips; s++) pack(&h, s);
    rv__flops_add(2. * (double)counted * (double)(in * out) * (1 + (h.d.dx != NULL) + (h.d.dw != NULL)));
    double total = 0;
    for (int64_t i = 0; i < blocks; i++) total += block(&h, counted * i / blocks, counted * (i + 1) / blocks);
    y->x[0] = (rv_real)(total / (double)counted);
    rv_tape_rewind(tape, mark);
    rv_node *node = rv_tape_record(tape, &rv__op_linear_cross_entropy, 3, inputs, 1, &y, sizeof h.d);
    if (node) *(head_grads *)node->ctx = h.d;
    return y;
}

static void head_backward(rv_tape *tape, rv_node *node) {
    const head_grads *d = node->ctx;
    const rv_real scale = rv_out_grad(node, 0)[0];
    rv__hand_on(node->in[0], d->dx, scale);
    rv__hand_on(node->in[1], d->dw, scale);
    rv__hand_on(node->in[2], d->db, scale);
}

static rv_tensor *head_sample(rv_tape *t, int k) {
    static int32_t target[130];
    for (int32_t i = 0; i < 130; i++) target[i] = i % 5 == 1 ? -100 : 5 * i * i % 1031; /* the same at every call */
    switch (k) {
    case 0: /* few classes */
        return rv_linear_cross_entropy(t, rv_sample_leaf(t, -2, 2, RV_DIMS(1, 3)),
                                       rv_sample_leaf(t, -1, 1, RV_DIMS(5, 3)), NULL, target, -100, 0.1);
    case 1:
        return rv_linear_cross_entropy(t, rv_sample_leaf(t, -2, 2, RV_DIMS(1, 3)),
                                       rv_sample_leaf(t, -1, 1, RV_DIMS(1031, 3)), NULL, target, -100, 0);
    case 2:
        return rv_linear_cross_entropy(t, rv_sample_leaf(t, -2, 2, RV_DIMS(2, 4, 3)),
                                       rv_sample_leaf(t, -1, 1, RV_DIMS(2050, 3)),
                                       rv_sample_leaf(t, -1, 1, RV_DIMS(2050)), target, -100, 0.1);
    case 3: /* a gradient that is not 1 */
        return rv_affine(t,
                         rv_linear_cross_entropy(t, rv_sample_leaf(t, -2, 2, RV_DIMS(130, 24)),
                                                 rv_sample_leaf(t, -1, 1, RV_DIMS(1031, 24)),
                                                 rv_sample_leaf(t, -1, 1, RV_DIMS(1031)), target, -100, 0.1),
                         -3, 1);
    }
    return NULL;
}
const rv_op rv__op_linear_cross_entropy = {"linear_cross_entropy", head_backward, head_sample, 0, true};

/* Rows that lie side by side in segments, as the letters of words do: each with its neighbours, and the largest of a
 * segment. Segment s has rows [at[s], at[s + 1]); nothing is padded, and no segment sees another. */
#include <string.h>

#include "ops/ops_private.h"

typedef struct {
    const int32_t *at;
    int64_t n, k; /* segments, and the width of a window */
} segment_ctx;

static bool check(rv_tape *tape, const char *op, const rv_tensor *x, const int32_t *at, int64_t n) {
    char s[RV_SHAPE_TEXT];
    if (x->ndim != 2 || n < 1 || at[0] != 0 || at[n] != x->dim[0])
        return rv_tape_fail(tape, RV_ESHAPE,
                            "%s: shape %s and %lld segments up to row %d; it needs 2 dimensions, (rows, width), and "
                            "each row in one segment",
                            op, rv_shape_text(x, s, sizeof s), (long long)n, n < 1 ? 0 : (int)at[n]);
    for (int64_t i = 0; i < n; i++)
        if (at[i + 1] <= at[i])
            return rv_tape_fail(tape, RV_ESHAPE, "%s: segment %lld has rows [%d, %d); give each one row or more", op,
                                (long long)i, (int)at[i], (int)at[i + 1]);
    return true;
}

/* ---- window */

/* The j-th of the k neighbours of a row is this far behind it. */
static int64_t apart(int64_t j, int64_t k) { return j - k / 2; }

static void look_around(int64_t row, int64_t begin, int64_t end, int64_t D, int64_t k, const rv_real *x, rv_real *y) {
    for (int64_t j = 0; j < k; j++) {
        const int64_t from = row + apart(j, k);
        const bool there = from >= begin && from < end;
        for (int64_t d = 0; d < D; d++) y[row * D * k + d * k + j] = there ? x[from * D + d] : 0;
    }
}

rv_tensor *rv_window(rv_tape *tape, rv_tensor *x, const int32_t *at, int64_t n, int k) {
    if (!x) return NULL;
    if (k < 1 || k % 2 == 0) return rv_tape_fail(tape, RV_EUSAGE, "window: width %d; it must be odd", k);
    if (!check(tape, "window", x, at, n)) return NULL;
    const int64_t D = x->dim[1];
    rv_tensor *y = rv_tape_tensor(tape, RV_DIMS(x->dim[0], D * k));
    if (!y) return NULL;
    RV_FOR(s, n, rv_threads_for(2. * (double)rv_numel(y)), {
        for (int64_t i = at[s]; i < at[s + 1]; i++) look_around(i, at[s], at[s + 1], D, k, x->x, y->x);
    });
    rv_node *node = rv_tape_record(tape, &rv__op_window, 1, &x, 1, &y, sizeof(segment_ctx));
    if (node) *(segment_ctx *)node->ctx = (segment_ctx){at, n, k};
    return y;
}

/* What the rows around one saw of it, in the order of their places in its window. */
static void gather_back(int64_t row, int64_t begin, int64_t end, int64_t D, int64_t k, const rv_real *dy, rv_real *dx,
                        bool acc) {
    if (!acc) memset(dx + row * D, 0, (size_t)D * sizeof *dx);
    for (int64_t j = 0; j < k; j++) {
        const int64_t by = row - apart(j, k);
        if (by < begin || by >= end) continue;
        for (int64_t d = 0; d < D; d++) dx[row * D + d] += dy[by * D * k + d * k + j];
    }
}

static void window_backward(rv_tape *tape, rv_node *node) {
    const segment_ctx *c = node->ctx;
    const int64_t D = node->in[0]->dim[1];
    const rv_real *dy = rv_out_grad(node, 0);
    bool acc;
    rv_real *dx = rv_grad(node->in[0], &acc);
    RV_FOR(s, c->n, rv_threads_for(2. * (double)rv_numel(node->out[0])), {
        for (int64_t i = c->at[s]; i < c->at[s + 1]; i++) gather_back(i, c->at[s], c->at[s + 1], D, c->k, dy, dx, acc);
    });
}

/* ---- segment_max */

/* Backward finds the winners again. */
static void find_winners(int64_t begin, int64_t end, int64_t D, const rv_real *x, int32_t *at) {
    for (int64_t d = 0; d < D; d++) at[d] = (int32_t)begin;
    for (int64_t i = begin + 1; i < end; i++)
        for (int64_t d = 0; d < D; d++)
            if (x[i * D + d] > x[at[d] * D + d]) at[d] = (int32_t)i;
}

rv_tensor *rv_segment_max(rv_tape *tape, rv_tensor *x, const int32_t *at, int64_t n) {
    if (!x || !check(tape, "segment_max", x, at, n)) return NULL;
    const int64_t D = x->dim[1];
    rv_tensor *y = rv_tape_tensor(tape, RV_DIMS(n, D));
    if (!y) return NULL;
    RV_FOR(s, n, rv_threads_for(2. * (double)rv_numel(x)), {
        rv_real *best = y->x + s * D;
        memcpy(best, x->x + at[s] * D, (size_t)D * sizeof *best);
        for (int64_t i = at[s] + 1; i < at[s + 1]; i++)
            for (int64_t d = 0; d < D; d++) best[d] = x->x[i * D + d] > best[d] ? x->x[i * D + d] : best[d];
    });
    rv_node *node = rv_tape_record(tape, &rv__op_segment_max, 1, &x, 1, &y, sizeof(segment_ctx));
    if (node) *(segment_ctx *)node->ctx = (segment_ctx){at, n, 0};
    return y;
}

static void segment_max_backward(rv_tape *tape, rv_node *node) {
    const segment_ctx *c = node->ctx;
    const rv_tensor *x = node->in[0];
    const int64_t D = x->dim[1];
    const rv_real *dy = rv_out_grad(node, 0);
    rv_arena_mark mark = rv_tape_mark(tape);
    int32_t *winner = rv_tape_alloc(tape, (size_t)(c->n * D) * sizeof *winner);
    if (!winner) return;
    bool acc;
    rv_real *dx = rv_grad(node->in[0], &acc);
    RV_FOR(s, c->n, rv_threads_for(3. * (double)rv_numel(x)), {
        const int64_t begin = c->at[s];
        const int64_t end = c->at[s + 1];
        find_winners(begin, end, D, x->x, winner + s * D);
        if (!acc) memset(dx + begin * D, 0, (size_t)((end - begin) * D) * sizeof *dx);
        for (int64_t d = 0; d < D; d++) dx[winner[s * D + d] * D + d] += dy[s * D + d];
    });
    rv_tape_rewind(tape, mark);
}

/* ---- samples: a few short segments, many of up to 20 rows, and rows alone, whose result is their own size */

enum { FEW = 3, MANY = 300, ALONE = 70 };
static const int32_t few[FEW + 1] = {0, 1, 6, 8};
static int32_t many[MANY + 1], alone[ALONE + 1];

static const int32_t *many_segments(void) {
    for (int32_t i = 0; i < MANY; i++) many[i + 1] = many[i] + 1 + i * 7 % 20; /* the same at every call */
    return many;
}

static const int32_t *rows_alone(void) {
    for (int32_t i = 0; i < ALONE; i++) alone[i + 1] = i + 1;
    return alone;
}

static rv_tensor *window_sample(rv_tape *t, int k) {
    switch (k) {
    case 0: return rv_window(t, rv_sample_leaf(t, -1, 1, RV_DIMS(8, 3)), few, FEW, 3);
    case 1: return rv_window(t, rv_sample_leaf(t, -1, 1, RV_DIMS(8, 2)), few, FEW, 5);
    case 2: {
        const int32_t *at = many_segments();
        return rv_window(t, rv_sample_leaf(t, -1, 1, RV_DIMS(at[MANY], 31)), at, MANY, 3);
    }
    case 3: { /* onto a gradient that is there */
        rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(ALONE, 70));
        return rv_mul(t, rv_window(t, x, rows_alone(), ALONE, 1), x);
    }
    }
    return NULL;
}
const rv_op rv__op_window = {"window", window_backward, window_sample, 0, true};

static rv_tensor *segment_max_sample(rv_tape *t, int k) {
    switch (k) {
    case 0: return rv_segment_max(t, rv_sample_leaf(t, -1, 1, RV_DIMS(8, 3)), few, FEW);
    case 1: {
        const int32_t *at = many_segments();
        return rv_segment_max(t, rv_sample_leaf(t, -1, 1, RV_DIMS(at[MANY], 70)), at, MANY);
    }
    case 2: {
        rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(ALONE, 70));
        return rv_mul(t, rv_segment_max(t, x, rows_alone(), ALONE), x);
    }
    }
    return NULL;
}
/* Away from ties; the samples' numbers are far enough from one. */
const rv_op rv__op_segment_max = {"segment_max", segment_max_backward, segment_max_sample, 0, false};

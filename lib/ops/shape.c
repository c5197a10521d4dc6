/* The same numbers in another shape or order. */
#include <string.h>

#include "ops/ops_private.h"

rv_tensor *rv_reshape(rv_tape *tape, rv_tensor *x, int ndim, const int64_t *dim) {
    if (!x) return NULL;
    rv_tensor want = {.ndim = ndim};
    int64_t known = 1;
    int open = -1, opens = 0;
    for (int i = 0; i < ndim && i < RV_MAX_DIMS; i++) {
        want.dim[i] = dim[i];
        if (dim[i] == -1)
            open = i, opens++;
        else
            known *= dim[i];
    }
    int64_t n = rv_numel(x);
    if (opens == 1 && known > 0 && n % known == 0) {
        want.dim[open] = n / known;
        known = n;
    }
    if (ndim < 0 || ndim > RV_MAX_DIMS || opens > 1 || known != n)
        return rv__shape_fail(tape, "reshape", x, &want,
                              "they need the same number of elements; one dimension may be -1");
    return rv_tape_view(tape, x, ndim, want.dim);
}

/* ---- transpose */

/* dim and step: the result's dimensions and how far apart in the source their elements are. */
typedef struct {
    int64_t dim[RV_MAX_DIMS], step[RV_MAX_DIMS];
} permutation;

/* One axis of the source runs along, another across: squares of this side keep both within the cache. */
enum { TILE = 16 };

/* y (contiguous) from x by steps, or, with `back`, x from y: into or onto. Padded to four dimensions in front. */
static void permute(const permutation *p, const rv_real *from, rv_real *to, bool back, bool acc) {
    const int64_t *d = p->dim, *s = p->step, outer = d[0] * d[1], strips = (d[2] + TILE - 1) / TILE;
    double work = (double)outer * (double)d[2] * (double)d[3];
#pragma omp parallel for schedule(static) collapse(2) num_threads(rv_threads_for(work))
    for (int64_t o = 0; o < outer; o++)
        for (int64_t strip = 0; strip < strips; strip++) {
            int64_t base = o / d[1] * s[0] + o % d[1] * s[1],
                    end = (strip + 1) * TILE < d[2] ? (strip + 1) * TILE : d[2];
            for (int64_t j0 = 0; j0 < d[3]; j0 += s[3] == 1 ? d[3] : TILE)
                for (int64_t i = strip * TILE; i < end; i++) {
                    int64_t j1 = s[3] == 1 || j0 + TILE > d[3] ? d[3] : j0 + TILE, y = (o * d[2] + i) * d[3],
                            x = base + i * s[2];
                    if (!back)
                        for (int64_t j = j0; j < j1; j++) to[y + j] = from[x + j * s[3]];
                    else if (acc)
                        for (int64_t j = j0; j < j1; j++) to[x + j * s[3]] += from[y + j];
                    else
                        for (int64_t j = j0; j < j1; j++) to[x + j * s[3]] = from[y + j];
                }
        }
}

rv_tensor *rv_transpose(rv_tape *tape, rv_tensor *x, const int *perm) {
    if (!x) return NULL;
    permutation p;
    int64_t dim[RV_MAX_DIMS];
    unsigned seen = 0;
    char s[RV_SHAPE_TEXT];
    for (int i = 0; i < x->ndim; i++) {
        if (perm[i] < 0 || perm[i] >= x->ndim || seen >> perm[i] & 1)
            return rv_tape_fail(
                tape, RV_ESHAPE,
                "transpose of shape %s: entry %d of the permutation is %d; each of 0 to %d must occur once",
                rv_shape_text(x, s, sizeof s), i, perm[i], x->ndim - 1);
        seen |= 1u << perm[i];
        dim[i] = x->dim[perm[i]];
    }
    for (int i = 0; i < RV_MAX_DIMS; i++) {
        int from = i - (RV_MAX_DIMS - x->ndim);
        p.dim[i] = from < 0 ? 1 : dim[from];
        p.step[i] = from < 0 ? 0 : rv__span(x, perm[from] + 1, x->ndim);
    }
    rv_tensor *y = rv_tape_tensor(tape, x->ndim, dim);
    if (!y) return NULL;
    permute(&p, x->x, y->x, false, false);
    rv_node *node = rv_tape_record(tape, &rv__op_transpose, 1, &x, 1, &y, sizeof p);
    if (node) *(permutation *)node->ctx = p;
    return y;
}

static void transpose_backward(rv_tape *tape, rv_node *node) {
    bool acc;
    rv_real *g = rv_grad(node->in[0], &acc);
    permute(node->ctx, rv_out_grad(node, 0), g, true, acc);
}

static rv_tensor *transpose_sample(rv_tape *t, int k) {
    switch (k) {
    case 0: return rv_transpose(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, 5)), (int[]){1, 0});
    case 1: return rv_transpose(t, rv_sample_leaf(t, -1, 1, RV_DIMS(2, 3, 2, 5)), (int[]){2, 0, 3, 1});
    case 2: return rv_transpose(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, 4, 5)), (int[]){1, 0, 2});
    case 3: return rv_transpose(t, rv_sample_leaf(t, -1, 1, RV_DIMS(217, 301)), (int[]){1, 0});
    case 4: { /* onto a gradient that is there */
        rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(70, 70));
        return rv_mul(t, rv_transpose(t, x, (int[]){1, 0}), x);
    }
    }
    return NULL;
}
const rv_op rv__op_transpose = {"transpose", transpose_backward, transpose_sample, 0, true};

/* ---- slice and concat: runs of consecutive elements, `run` long, `pitch` apart in the larger tensor */

static void copy_runs(int64_t n, int64_t run, const rv_real *from, int64_t from_pitch, rv_real *to, int64_t to_pitch,
                      bool acc) {
#pragma omp parallel for schedule(static) num_threads(rv_threads_for((double)n *(double)run))
    for (int64_t i = 0; i < n; i++) {
        const rv_real *a = from + i * from_pitch;
        rv_real *b = to + i * to_pitch;
        if (acc)
            for (int64_t j = 0; j < run; j++) b[j] += a[j];
        else
            memcpy(b, a, (size_t)run * sizeof *b);
    }
}

typedef struct {
    int64_t outer, before, run, pitch; /* elements */
} slice_ctx;

rv_tensor *rv_slice(rv_tape *tape, rv_tensor *x, int axis, int64_t begin, int64_t end) {
    if (!x) return NULL;
    axis = rv__axis(tape, "slice", x, axis);
    if (axis < 0) return NULL;
    char s[RV_SHAPE_TEXT];
    if (begin < 0 || begin > end || end > x->dim[axis])
        return rv_tape_fail(tape, RV_ESHAPE, "slice: [%lld, %lld) does not lie within axis %d of shape %s",
                            (long long)begin, (long long)end, axis, rv_shape_text(x, s, sizeof s));
    int64_t dim[RV_MAX_DIMS], inner = rv__span(x, axis + 1, x->ndim);
    for (int i = 0; i < x->ndim; i++) dim[i] = i == axis ? end - begin : x->dim[i];
    rv_tensor *y = rv_tape_tensor(tape, x->ndim, dim);
    if (!y) return NULL;
    slice_ctx c = {rv__span(x, 0, axis), begin * inner, (end - begin) * inner, x->dim[axis] * inner};
    copy_runs(c.outer, c.run, x->x + c.before, c.pitch, y->x, c.run, false);
    rv_node *node = rv_tape_record(tape, &rv__op_slice, 1, &x, 1, &y, sizeof c);
    if (node) *(slice_ctx *)node->ctx = c;
    return y;
}

static void slice_backward(rv_tape *tape, rv_node *node) {
    const slice_ctx *c = node->ctx;
    bool acc;
    rv_real *g = rv_grad(node->in[0], &acc);
    if (!acc)
        for (int64_t i = 0; i < c->outer; i++) {
            memset(g + i * c->pitch, 0, (size_t)c->before * sizeof *g);
            memset(g + i * c->pitch + c->before + c->run, 0, (size_t)(c->pitch - c->before - c->run) * sizeof *g);
        }
    copy_runs(c->outer, c->run, rv_out_grad(node, 0), c->run, g + c->before, c->pitch, acc);
}

static rv_tensor *slice_sample(rv_tape *t, int k) {
    switch (k) {
    case 0: return rv_slice(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, 5, 2)), 1, 1, 4);
    case 1: return rv_slice(t, rv_sample_leaf(t, -1, 1, RV_DIMS(3, 5)), -1, 4, 5);
    case 2: return rv_slice(t, rv_sample_leaf(t, -1, 1, RV_DIMS(300, 410)), 1, 7, 300);
    case 3: { /* two of one tensor: the second adds */
        rv_tensor *x = rv_sample_leaf(t, -1, 1, RV_DIMS(70, 66));
        return rv_mul(t, rv_slice(t, x, 1, 0, 64), rv_slice(t, x, 1, 1, 65));
    }
    }
    return NULL;
}
const rv_op rv__op_slice = {"slice", slice_backward, slice_sample, 0, true};

rv_tensor *rv_concat(rv_tape *tape, int n, rv_tensor *const *x, int axis) {
    for (int i = 0; i < n; i++)
        if (!x[i]) return NULL;
    if (n < 1) return rv_tape_fail(tape, RV_ESHAPE, "concat: there is nothing to join");
    axis = rv__axis(tape, "concat", x[0], axis);
    if (axis < 0) return NULL;
    int64_t dim[RV_MAX_DIMS] = {0};
    memcpy(dim, x[0]->dim, sizeof dim);
    for (int i = 1; i < n; i++) {
        bool same = x[i]->ndim == x[0]->ndim;
        for (int j = 0; same && j < x[0]->ndim; j++) same = j == axis || x[i]->dim[j] == x[0]->dim[j];
        if (!same)
            return rv__shape_fail(tape, "concat", x[0], x[i], "they may differ only along the axis that is joined");
        dim[axis] += x[i]->dim[axis];
    }
    rv_tensor *y = rv_tape_tensor(tape, x[0]->ndim, dim);
    if (!y) return NULL;
    int64_t outer = rv__span(y, 0, axis), pitch = rv__span(y, axis, y->ndim), before = 0;
    for (int i = 0; i < n; i++) {
        int64_t run = rv__span(x[i], axis, y->ndim);
        copy_runs(outer, run, x[i]->x, run, y->x + before, pitch, false);
        before += run;
    }
    rv_node *node = rv_tape_record(tape, &rv__op_concat, n, x, 1, &y, sizeof axis);
    if (node) *(int *)node->ctx = axis;
    return y;
}

static void concat_backward(rv_tape *tape, rv_node *node) {
    int axis = *(int *)node->ctx;
    const rv_tensor *y = node->out[0];
    int64_t outer = rv__span(y, 0, axis), pitch = rv__span(y, axis, y->ndim), before = 0;
    for (int i = 0; i < node->nin; i++) {
        int64_t run = rv__span(node->in[i], axis, y->ndim);
        bool acc;
        rv_real *g = rv_grad(node->in[i], &acc);
        if (g) copy_runs(outer, run, rv_out_grad(node, 0) + before, pitch, g, run, acc);
        before += run;
    }
}

static rv_tensor *concat_sample(rv_tape *t, int k) {
    if (k > 3) return NULL;
    int64_t m = k == 3 ? 300 : 2;
    rv_tensor *a = rv_sample_leaf(t, -1, 1, RV_DIMS(m, 3, 5));
    if (k == 2) return rv_concat(t, 3, (rv_tensor *[]){a, a, a}, 1);
    if (k == 0) return rv_concat(t, 2, (rv_tensor *[]){a, rv_sample_leaf(t, -1, 1, RV_DIMS(4, 3, 5))}, 0);
    return rv_concat(t, 2, (rv_tensor *[]){a, rv_sample_leaf(t, -1, 1, RV_DIMS(m, 3, k == 3 ? 77 : 4))}, -1);
}
const rv_op rv__op_concat = {"concat", concat_backward, concat_sample, 0, true};

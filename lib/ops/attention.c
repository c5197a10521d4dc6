/* Scaled dot-product attention as one node. The work is cut into (row of the batch, head, block of queries); backward
 * runs the blocks of a head in order, so that each element of dk and dv has one writer. */
#include "kernels/attention.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/flops.h"
#include "ops/ops.h"

/* Queries, keys and values of a batch: pointers to the first head of the first row. */
typedef struct {
    const rv_real *x;
    int64_t ld, stride; /* elements between positions, between rows of the batch */
} rows_view;

typedef struct {
    int64_t batch, heads, t, s, width;
    rv_attention_spec spec;
    rows_view q, k, v;
    rv_rng rng;
    rv_real *max, *inv; /* (B, H, T) */
} attention;

static double work(const attention *a) { return 4. * (double)(a->batch * a->heads * a->t) * (double)(a->s * a->width); }

/* FLOPs of so many products over the keys that each query sees. */
static double seen_flops(const attention *a, int products) {
    int64_t pairs = 0;
    for (int64_t b = 0; b < a->batch; b++) {
        const int64_t keys = a->spec.key_lengths ? a->spec.key_lengths[b] : a->s,
                      first = a->s - a->t + 1; /* keys that query 0 sees */
        if (!a->spec.causal) {
            pairs += a->t * keys;
            continue;
        }
        /* Queries before `from` see nothing, those in [from, to) one key more each, and those behind all. */
        const int64_t from = first < 1 ? 1 - first : 0, to = keys - first < a->t ? keys - first : a->t;
        if (to > from) pairs += (to - from) * (2 * first + from + to - 1) / 2;
        const int64_t whole = to > from ? to : from;
        if (whole < a->t) pairs += (a->t - whole) * keys;
    }
    return 2. * products * (double)pairs * (double)(a->heads * a->width);
}

/* The block of queries from t0 of head h in row b. */
static rv_attend make_block(const attention *a, int64_t b, int64_t h, int64_t t0, rv_real *scratch) {
    int64_t at = h * a->width, head = b * a->heads + h, left = a->t - t0;
    return (rv_attend){
        .rows = left < RV_ATTEND_QUERIES ? left : RV_ATTEND_QUERIES,
        .width = a->width,
        .keys = a->spec.key_lengths ? a->spec.key_lengths[b] : a->s,
        .causal = a->spec.causal,
        .late = a->spec.mask_after,
        .first = a->s - a->t + t0 + 1,
        .scale = a->spec.scale,
        .q = a->q.x + b * a->q.stride + t0 * a->q.ld + at,
        .k = a->k.x + b * a->k.stride + at,
        .v = a->v.x + b * a->v.stride + at,
        .ldq = a->q.ld,
        .ldk = a->k.ld,
        .ldv = a->v.ld,
        .drop = a->spec.dropout,
        .rng = a->rng.key,
        .step = a->rng.step,
        .index = (uint64_t)(head * a->t + t0),
        .stride = (uint64_t)(a->s + 3) / 4,
        .ldy = a->heads * a->width,
        .max = a->max ? a->max + head * a->t + t0 : NULL,
        .inv = a->inv ? a->inv + head * a->t + t0 : NULL,
        .scratch = scratch,
    };
}

/* Scratch for every thread of the coming loop, to be given back by rv_tape_rewind. */
static rv_real *make_scratch(rv_tape *tape, int threads, int64_t width) {
    return rv_tape_alloc(tape, rv_size_mul((size_t)threads, (size_t)rv_attend_scratch(width) * sizeof(rv_real)));
}

static bool run_forward(rv_tape *tape, const attention *a, rv_real *y) {
    int64_t blocks = (a->t + RV_ATTEND_QUERIES - 1) / RV_ATTEND_QUERIES;
    int threads = rv_threads_for(work(a));
    rv_arena_mark mark = rv_tape_mark(tape);
    rv_real *scratch = make_scratch(tape, threads, a->width);
    if (!scratch) return false;
    const rv_kernels *k = rv_k();
    rv__flops_add(seen_flops(a, 2));
    RV_FOR_AS(dynamic, i, a->batch * a->heads * blocks, threads, {
        int64_t head = i / blocks, b = head / a->heads, h = head % a->heads, t0 = i % blocks * RV_ATTEND_QUERIES;
        rv_attend block = make_block(a, b, h, t0, scratch + omp_get_thread_num() * rv_attend_scratch(a->width));
        block.y = y + (b * a->t + t0) * block.ldy + h * a->width;
        k->attend(&block);
    });
    rv_tape_rewind(tape, mark);
    return true;
}

/* A gradient laid out as q, k or v: pointer to the first head of the first row; NULL where none is wanted. */
typedef struct {
    rv_real *g;
    bool acc; /* add to it; else nothing is there yet */
} gradient;

/* Head h of row b in a gradient, zeroed if nothing is there yet. */
static rv_real *head_gradient(const attention *a, gradient g, rows_view view, int64_t rows, int64_t b, int64_t h) {
    if (!g.g) return NULL;
    rv_real *x = g.g + b * view.stride + h * a->width;
    if (!g.acc)
        for (int64_t i = 0; i < rows; i++) memset(x + i * view.ld, 0, (size_t)a->width * sizeof *x);
    return x;
}

static void run_backward(rv_tape *tape, const rv_node *n, gradient dq, gradient dk, gradient dv) {
    const attention *a = n->ctx;
    const rv_real *out = n->out[0]->x, *dy = rv_out_grad(n, 0);
    int threads = rv_threads_for(2.5 * work(a));
    rv_arena_mark mark = rv_tape_mark(tape);
    rv_real *scratch = make_scratch(tape, threads, a->width);
    if (!scratch) return;
    const rv_kernels *k = rv_k();
    rv__flops_add(seen_flops(a, 2 + (dq.g != NULL) + (dk.g != NULL) +
                                    (dv.g != NULL))); /* the scores once more, and the weights' gradients */
    RV_FOR_AS(dynamic, head, a->batch * a->heads, threads, {
        int64_t b = head / a->heads, h = head % a->heads;
        rv_real *hq = head_gradient(a, dq, a->q, a->t, b, h), *hk = head_gradient(a, dk, a->k, a->s, b, h),
                *hv = head_gradient(a, dv, a->v, a->s, b, h);
        for (int64_t t0 = 0; t0 < a->t; t0 += RV_ATTEND_QUERIES) {
            rv_attend block = make_block(a, b, h, t0, scratch + omp_get_thread_num() * rv_attend_scratch(a->width));
            int64_t y = (b * a->t + t0) * block.ldy + h * a->width;
            block.out = out + y;
            block.dy = dy + y;
            block.dq = hq ? hq + t0 * a->q.ld : NULL;
            block.dk = hk;
            block.dv = hv;
            k->attend_backward(&block);
        }
    });
    rv_tape_rewind(tape, mark);
}

static gradient gradient_of(rv_tensor *t) {
    gradient g = {0};
    g.g = rv_grad(t, &g.acc);
    return g;
}
static gradient offset(gradient g, int64_t by) { return (gradient){g.g ? g.g + by : NULL, g.acc}; }
static int64_t model_width(const rv_node *n) { return rv_dim(n->out[0], -1); }

static void attention_backward(rv_tape *tape, rv_node *n) {
    gradient dq = gradient_of(n->in[0]), dk = gradient_of(n->in[1]), dv = gradient_of(n->in[2]);
    run_backward(tape, n, dq, dk, dv);
}

static void self_attention_backward(rv_tape *tape, rv_node *n) {
    gradient g = gradient_of(n->in[0]);
    run_backward(tape, n, g, offset(g, model_width(n)), offset(g, 2 * model_width(n)));
}

static void cross_attention_backward(rv_tape *tape, rv_node *n) {
    gradient dq = gradient_of(n->in[0]), g = gradient_of(n->in[1]);
    run_backward(tape, n, dq, g, offset(g, model_width(n)));
}

/* Check the spec against batch, s and d, and fill in what it leaves open; false after an error. */
static bool complete(rv_tape *tape, attention *a, const rv_attention_spec *spec, int64_t d) {
    a->spec = *spec;
    a->heads = spec->heads;
    if (spec->heads < 1 || d % spec->heads)
        return rv_tape_fail(tape, RV_ESHAPE,
                            "attention: the width %lld is no multiple of %d heads; change hidden_size or num_heads",
                            (long long)d, spec->heads);
    if (spec->dropout < 0 || spec->dropout >= 1)
        return rv_tape_fail(tape, RV_EUSAGE, "attention: dropout %g is not in [0, 1)", spec->dropout);
    for (int64_t b = 0; spec->key_lengths && b < a->batch; b++)
        if (spec->key_lengths[b] < 0 || spec->key_lengths[b] > a->s)
            return rv_tape_fail(tape, RV_ESHAPE, "attention: row %lld has %d keys, but the keys are 0 to %lld long",
                                (long long)b, (int)spec->key_lengths[b], (long long)a->s);
    a->width = d / spec->heads;
    if (spec->scale == 0) a->spec.scale = 1 / sqrt((double)a->width);
    if (!rv_tape_training(tape)) a->spec.dropout = 0;
    if (a->spec.dropout > 0) a->rng = rv_tape_rng(tape);
    return true;
}

static rv_tensor *apply(rv_tape *tape, attention *a, const rv_op *op, int nin, rv_tensor *const *in) {
    rv_tensor *y = rv_tape_tensor(tape, 3, (int64_t[]){a->batch, a->t, a->heads * a->width});
    if (!y) return NULL;
    if (rv_tape_records(tape, nin, in)) {
        size_t bytes = (size_t)(a->batch * a->heads * a->t) * sizeof(rv_real);
        a->max = rv_tape_alloc(tape, bytes);
        a->inv = rv_tape_alloc(tape, bytes);
        if (!a->max || !a->inv) return NULL;
    }
    if (!run_forward(tape, a, y->x)) return NULL;
    rv_node *n = rv_tape_record(tape, op, nin, in, 1, &y, sizeof *a);
    if (n) *(attention *)n->ctx = *a;
    return y;
}

rv_tensor *rv_attention(rv_tape *tape, rv_tensor *q, rv_tensor *k, rv_tensor *v, const rv_attention_spec *spec) {
    if (!q || !k || !v) return NULL;
    if (q->ndim != 3 || k->ndim != 3 || !rv_same_shape(k, v) || q->dim[0] != k->dim[0] || q->dim[2] != k->dim[2]) {
        char sq[RV_SHAPE_TEXT], sk[RV_SHAPE_TEXT], sv[RV_SHAPE_TEXT];
        return rv_tape_fail(tape, RV_ESHAPE, "attention needs q (B, T, D), k and v (B, S, D), not %s, %s and %s",
                            rv_shape_text(q, sq, sizeof sq), rv_shape_text(k, sk, sizeof sk),
                            rv_shape_text(v, sv, sizeof sv));
    }
    int64_t t = q->dim[1], s = k->dim[1], d = q->dim[2];
    attention a = {
        .batch = q->dim[0], .t = t, .s = s, .q = {q->x, d, t * d}, .k = {k->x, d, s * d}, .v = {v->x, d, s * d}};
    if (!complete(tape, &a, spec, d)) return NULL;
    return apply(tape, &a, &rv__op_attention, 3, (rv_tensor *[]){q, k, v});
}

rv_tensor *rv_self_attention(rv_tape *tape, rv_tensor *qkv, const rv_attention_spec *spec) {
    if (!qkv) return NULL;
    if (qkv->ndim != 3 || qkv->dim[2] % 3) {
        char text[RV_SHAPE_TEXT];
        return rv_tape_fail(tape, RV_ESHAPE, "self-attention needs qkv (B, T, 3 D), not %s",
                            rv_shape_text(qkv, text, sizeof text));
    }
    int64_t t = qkv->dim[1], ld = qkv->dim[2], d = ld / 3;
    const rv_real *x = qkv->x;
    attention a = {.batch = qkv->dim[0],
                   .t = t,
                   .s = t,
                   .q = {x, ld, t * ld},
                   .k = {x + d, ld, t * ld},
                   .v = {x + 2 * d, ld, t * ld}};
    if (!complete(tape, &a, spec, d)) return NULL;
    return apply(tape, &a, &rv__op_self_attention, 1, &qkv);
}

rv_tensor *rv_cross_attention(rv_tape *tape, rv_tensor *q, rv_tensor *kv, const rv_attention_spec *spec) {
    if (!q || !kv) return NULL;
    if (q->ndim != 3 || kv->ndim != 3 || q->dim[0] != kv->dim[0] || 2 * q->dim[2] != kv->dim[2]) {
        char sq[RV_SHAPE_TEXT], sk[RV_SHAPE_TEXT];
        return rv_tape_fail(tape, RV_ESHAPE, "cross-attention needs q (B, T, D) and kv (B, S, 2 D), not %s and %s",
                            rv_shape_text(q, sq, sizeof sq), rv_shape_text(kv, sk, sizeof sk));
    }
    int64_t t = q->dim[1], s = kv->dim[1], d = q->dim[2], ld = 2 * d;
    attention a = {.batch = q->dim[0],
                   .t = t,
                   .s = s,
                   .q = {q->x, d, t * d},
                   .k = {kv->x, ld, s * ld},
                   .v = {kv->x + d, ld, s * ld}};
    if (!complete(tape, &a, spec, d)) return NULL;
    return apply(tape, &a, &rv__op_cross_attention, 2, (rv_tensor *[]){q, kv});
}

/* One query each of `rows` rows of the batch that see the same keys. */
static rv_attend make_step(const rv_attention_cache *c, int64_t b, int64_t rows, int64_t t, int64_t at) {
    int64_t row = c->place ? 0 : c->rows ? c->rows[b] : b;
    return (rv_attend){
        .rows = rows,
        .width = c->dim / c->heads,
        .keys = c->past[b] + (c->causal ? t + 1 : 0),
        .place = c->place ? c->place + b * c->stride_place : NULL,
        .q = c->q + b * c->stride_q + t * c->ldq + at,
        .k = c->k + row * c->stride_k + at,
        .v = c->v + row * c->stride_v + at,
        .y = c->y + b * c->stride_y + t * c->ldy + at,
        .ldq = c->stride_q,
        .ldk = c->ldk,
        .ldv = c->ldv,
        .ldy = c->stride_y,
    };
}

static rv_attend make_cached(const rv_attention_cache *c, int64_t b, int64_t t0, int64_t at) {
    int64_t left = c->queries - t0;
    rv_attend block = make_step(c, b, left < RV_ATTEND_QUERIES ? left : RV_ATTEND_QUERIES, t0, at);
    block.keys = c->past[b] + (c->causal ? c->queries : 0);
    block.causal = c->causal;
    block.first = c->past[b] + t0 + 1;
    block.ldq = c->ldq;
    block.ldy = c->ldy;
    return block;
}

/* Rows that follow each other and see the same keys are taken together: how many from row b on, or 0 if it is not the
 * first of them. */
static int64_t rows_together(const rv_attention_cache *c, int64_t b) {
    if (!c->rows || c->causal) return 1;
    int64_t first = b, end = b + 1;
    while (first > 0 && c->rows[first - 1] == c->rows[b] && c->past[first - 1] == c->past[b]) first--;
    if ((b - first) % RV_ATTEND_QUERIES) return 0;
    while (end < c->batch && end - b < RV_ATTEND_QUERIES && c->rows[end] == c->rows[b] && c->past[end] == c->past[b])
        end++;
    return end - b;
}

/* What row b's first head will read begins to come while the row before it is at work; the heads fetch for each other.
 */
static void fetch_first_head(const rv_attention_cache *c, int64_t b) {
    enum { LINE = 64 / sizeof(rv_real) };
    if (b >= c->batch) return;
    rv_attend a = make_step(c, b, 1, 0, 0);
    for (int64_t s = 0; s < a.keys; s++)
        for (int64_t d = 0, row = a.place ? a.place[s] : s; d < a.width; d += LINE) {
            __builtin_prefetch(a.k + row * a.ldk + d, 0, 2);
            __builtin_prefetch(a.v + row * a.ldv + d, 0, 2);
        }
}

rv_status rv_attention_cached(rv_tape *tape, const rv_attention_cache *c) {
    int64_t width = c->dim / c->heads, most = 1, pairs = 0;
    RV_ASSERT(c->heads > 0 && c->dim % c->heads == 0);
    bool steps = c->queries == 1 || c->place; /* or else blocks of queries */
    int64_t parts = steps ? c->queries : (c->queries + RV_ATTEND_QUERIES - 1) / RV_ATTEND_QUERIES;
    for (int64_t b = 0; b < c->batch; b++) {
        most = c->past[b] > most ? c->past[b] : most;
        pairs += c->queries * c->past[b] + (c->causal ? c->queries * (c->queries + 1) / 2 : 0);
    }
    rv__flops_add(4. * (double)pairs * (double)c->dim);
    int threads = rv_threads_for(4. * (double)(c->batch * c->queries) * (double)(most * c->dim));
    double scale = c->scale == 0 ? 1 / sqrt((double)width) : c->scale;
    rv_arena_mark mark = rv_tape_mark(tape);
    rv_real *scratch = make_scratch(tape, threads, width);
    if (!scratch) return rv_tape_status(tape);
    const rv_kernels *k = rv_k();
    RV_FOR(i, c->batch * parts * c->heads, threads, {
        int64_t b = i / parts / c->heads, part = i / c->heads % parts, at = i % c->heads * width,
                rows = steps ? rows_together(c, b) : 1;
        if (!rows) continue;
        rv_attend a = steps ? make_step(c, b, rows, part, at) : make_cached(c, b, part * RV_ATTEND_QUERIES, at);
        a.scale = scale;
        a.scratch = scratch + omp_get_thread_num() * rv_attend_scratch(width);
        if (steps && c->causal && at + 2 * width >= c->dim && at + width < c->dim) fetch_first_head(c, b + 1);
        (steps ? k->attend_step : k->attend)(&a);
    });
    rv_tape_rewind(tape, mark);
    return rv_tape_status(tape);
}

/* ---- samples: heads, masks, S longer than T, rows that see nothing, more keys than a block, dropout, masks after the
 * softmax, and so much to do that several threads come to it */
static const int32_t ragged[] = {5, 0};
static const struct {
    int64_t t, s, d;
    rv_attention_spec spec;
} samples[] = {
    {3, 4, 6, {.heads = 2}},
    {4, 4, 4, {.heads = 1, .causal = true, .scale = 0.3}},
    {2, 5, 6, {.heads = 3, .causal = true}},
    {3, 5, 4, {.heads = 2, .key_lengths = ragged}},
    {5, 3, 4, {.heads = 2, .causal = true}},
    {2, RV_ATTEND_KEYS + 3, 3, {.heads = 1}},
    {RV_ATTEND_QUERIES + 2, RV_ATTEND_KEYS + 2, 2, {.heads = 1, .causal = true}},
    {4, 5, 4, {.heads = 2, .dropout = 0.3}},
    {5, 5, 4, {.heads = 2, .causal = true, .mask_after = true}},
    {3, 5, 4, {.heads = 1, .causal = true, .mask_after = true, .key_lengths = ragged, .scale = 1}},
    {RV_ATTEND_QUERIES + 2, RV_ATTEND_KEYS + 2, 2, {.heads = 1, .causal = true, .mask_after = true, .dropout = 0.2}},
    {2 * RV_ATTEND_QUERIES + 2, 2 * RV_ATTEND_KEYS + 2, 64, {.heads = 4}},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

enum { APART, SELF, CROSS };
static rv_tensor *sample(rv_tape *tape, int k, int kind) {
    if (k >= SAMPLES) return NULL;
    const rv_attention_spec *spec = &samples[k].spec;
    int64_t s = samples[k].s, t = kind == SELF ? s : samples[k].t, d = samples[k].d, b = t * s > 100 ? 1 : 2;
    bool was = rv_tape_training(tape);
    rv_tape_set_training(tape, true);
    rv_tensor *q = rv_sample_leaf(tape, -1, 1, 3, (int64_t[]){b, t, kind == SELF ? 3 * d : d}), *y;
    if (kind == SELF) {
        y = rv_self_attention(tape, q, spec);
    } else if (kind == CROSS) {
        y = rv_cross_attention(tape, q, rv_sample_leaf(tape, -1, 1, 3, (int64_t[]){b, s, 2 * d}), spec);
    } else {
        rv_tensor *key = rv_sample_leaf(tape, -1, 1, 3, (int64_t[]){b, s, d});
        y = rv_attention(tape, q, key, rv_sample_leaf(tape, -1, 1, 3, (int64_t[]){b, s, d}), spec);
    }
    rv_tape_set_training(tape, was);
    return y;
}
static rv_tensor *attention_sample(rv_tape *tape, int k) { return sample(tape, k, APART); }
static rv_tensor *self_attention_sample(rv_tape *tape, int k) { return sample(tape, k, SELF); }
static rv_tensor *cross_attention_sample(rv_tape *tape, int k) { return sample(tape, k, CROSS); }

const rv_op rv__op_attention = {"attention", attention_backward, attention_sample, .flags = RV_OP_USES_OUTPUT,
                                .smooth = true};
const rv_op rv__op_self_attention = {"self_attention", self_attention_backward, self_attention_sample,
                                     .flags = RV_OP_USES_OUTPUT, .smooth = true};
const rv_op rv__op_cross_attention = {"cross_attention", cross_attention_backward, cross_attention_sample,
                                      .flags = RV_OP_USES_OUTPUT, .smooth = true};

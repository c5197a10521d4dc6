/* Decoding step by step: what self-attention has seen, and the memory's keys and values.
 *
 * Keys and values stay where they were written. A row's past is a list of places, so that reordering the rows moves
 * lists alone; rows share places where they share a past. */
#include <string.h>

#include "base/arena.h"
#include "nn/transformer_private.h"

struct rv_transformer_cache {
    int64_t layers, batch, room, capacity, d; /* batch: the rows there are, of room for `room` */
    int32_t *length, *spare_row;
    int32_t *places, *place,
        *spare_place; /* the one block of both; room x capacity: where each position of a row lies in kv */
    bool moved;       /* row b's positions do not all lie from b x capacity on */
    rv_real **kv;     /* per layer: room x capacity x 2 d, keys and values side by side */
    int64_t memory_rows, memory_size;  /* of the memory: M and S */
    rv_real **memory_kv;               /* per layer: M x S x 2 d */
    size_t memory_bytes;               /* room in each */
    int32_t *memory_row, *memory_past; /* per row: which memory it reads, how many keys that has */
};

rv_transformer_cache *rv_transformer_cache_create(const rv_transformer *tr, int64_t batch, int64_t capacity) {
    rv_transformer_cache *c = rv_alloc(sizeof *c);
    if (!c) return NULL;
    *c = (rv_transformer_cache){.layers = tr->config.num_layers,
                                .batch = batch,
                                .room = batch,
                                .capacity = capacity,
                                .d = tr->config.hidden_size};
    size_t places = rv_size_mul((size_t)batch, (size_t)capacity),
           bytes = rv_size_mul(places, (size_t)(2 * c->d) * sizeof(rv_real));
    c->length = rv_alloc((size_t)(4 * batch) * sizeof *c->length);
    c->places = rv_alloc(rv_size_mul(2 * places, sizeof *c->places));
    c->kv = rv_alloc((size_t)(2 * c->layers) * sizeof *c->kv);
    bool ok = c->length && c->places && c->kv;
    if (ok) {
        c->place = c->places;
        c->spare_place = c->places + places;
        c->spare_row = c->length + batch;
        c->memory_row = c->length + 2 * batch;
        c->memory_past = c->length + 3 * batch;
        c->memory_kv = c->kv + c->layers;
        for (int64_t i = 0; i < c->layers; i++) ok &= (c->kv[i] = rv_alloc(bytes)) != NULL;
    }
    if (ok) return c;
    rv_transformer_cache_destroy(c);
    return NULL;
}

void rv_transformer_cache_destroy(rv_transformer_cache *c) {
    if (!c) return;
    for (int64_t i = 0; c->kv && i < 2 * c->layers; i++) rv_free(c->kv[i]);
    rv_free(c->kv);
    rv_free(c->places);
    rv_free(c->length);
    rv_free(c);
}

void rv_transformer_cache_reset(rv_transformer_cache *c) {
    memset(c->length, 0, (size_t)c->batch * sizeof *c->length);
    c->moved = false;
}
const int32_t *rv_transformer_cache_lengths(const rv_transformer_cache *c) { return c->length; }
int64_t rv_transformer_cache_rows(const rv_transformer_cache *c) { return c->batch; }

/* x[b] = x[from[b]] by way of spare. */
static void permute(int32_t *x, int32_t *spare, const int32_t *from, int64_t n) {
    for (int64_t b = 0; b < n; b++) spare[b] = x[from[b]];
    memcpy(x, spare, (size_t)n * sizeof *x);
}

void rv_transformer_cache_reorder(rv_transformer_cache *c, const int32_t *from, int64_t n) {
    RV_ASSERT(n <= c->room);
    for (int64_t b = 0; b < n; b++) {
        RV_ASSERT(from[b] >= 0 && from[b] < c->batch);
        c->moved |= from[b] != b && c->length[from[b]] > 0;
        memcpy(c->spare_place + b * c->capacity, c->place + from[b] * c->capacity,
               (size_t)c->length[from[b]] * sizeof *c->place);
    }
    int32_t *place = c->place;
    c->place = c->spare_place, c->spare_place = place;
    permute(c->length, c->spare_row, from, n);
    permute(c->memory_row, c->spare_row, from, n);
    permute(c->memory_past, c->spare_row, from, n);
    c->batch = n;
}

/* Where row b's position t can be written: the t-th place of its own stretch, or, if a longer row has its past there,
 * of another's. `added`: positions that the rows before b have got in this step. */
static int32_t free_place(const rv_transformer_cache *c, int64_t b, int64_t t, int64_t added) {
    for (int64_t i = 0;; i++) {
        int32_t place = (int32_t)((b + i) % c->room * c->capacity + t);
        bool taken = false;
        for (int64_t r = 0; r < c->batch && !taken; r++)
            taken = c->length[r] + (r < b ? added : 0) > t && c->place[r * c->capacity + t] == place;
        if (!taken) return place;
    }
}

/* Places for n more positions of each row. */
static void find_places(rv_transformer_cache *c, int64_t n) {
    bool equal = true; /* then nobody has been at these positions */
    for (int64_t b = 1; b < c->batch; b++) equal &= c->length[b] == c->length[0];
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t t = c->length[b]; t < c->length[b] + n; t++) {
            int32_t own = (int32_t)(b * c->capacity + t), place = equal ? own : free_place(c, b, t, n);
            c->place[b * c->capacity + t] = place;
            c->moved |= place != own;
        }
}

rv_status rv_transformer_cache_memory(rv_tape *tape, const rv_transformer *tr, rv_transformer_cache *c,
                                      rv_tensor *memory, const int32_t *lengths) {
    RV_ASSERT(tr->config.cross && tr->config.num_layers == c->layers);
    if (!memory || !rv__transformer_fits(tape, tr, "memory", memory)) return rv_tape_status(tape);
    int64_t rows = memory->dim[0];
    RV_ASSERT(rows > 0 && c->batch % rows == 0);
    size_t bytes = (size_t)(rows * memory->dim[1] * 2 * c->d) * sizeof(rv_real);
    bool old = rv_tape_no_grad(tape, true);
    for (int i = 0; i < c->layers; i++) {
        rv_arena_mark mark = rv_tape_mark(tape);
        if (bytes > c->memory_bytes) {
            rv_free(c->memory_kv[i]);
            c->memory_kv[i] = rv_alloc(bytes);
        }
        rv_tensor *kv = rv__transformer_memory(tape, tr, i, memory);
        if (!c->memory_kv[i]) rv_tape_fail(tape, RV_ENOMEM, "%s", rv_error_message());
        if (kv && c->memory_kv[i]) memcpy(c->memory_kv[i], kv->x, bytes);
        rv_tape_rewind(tape, mark);
    }
    rv_tape_no_grad(tape, old);
    if (bytes > c->memory_bytes) c->memory_bytes = rv_tape_status(tape) == RV_OK ? bytes : 0;
    c->memory_rows = rows;
    c->memory_size = memory->dim[1];
    for (int64_t b = 0; b < c->batch; b++) {
        c->memory_row[b] = (int32_t)(b / (c->batch / rows));
        c->memory_past[b] = lengths ? lengths[c->memory_row[b]] : (int32_t)c->memory_size;
    }
    return rv_tape_status(tape);
}

static rv_tensor *self_cached(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *qkv,
                              const attending *how) {
    const rv_transformer_cache *c = how->cache;
    if (!qkv) return NULL;
    int64_t n = qkv->dim[1], d = c->d, row = c->capacity * 2 * d;
    rv_real *kv = c->kv[layer_index];
    rv_tensor *y = rv_tape_tensor(tape, 3, (int64_t[]){c->batch, n, d});
    if (!y) return NULL;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t t = 0; t < n; t++)
            memcpy(kv + (int64_t)c->place[b * c->capacity + c->length[b] + t] * 2 * d, qkv->x + (b * n + t) * 3 * d + d,
                   (size_t)(2 * d) * sizeof(rv_real));
    rv_attention_cache a = {.batch = c->batch,
                            .queries = n,
                            .dim = d,
                            .heads = tr->config.num_heads,
                            .causal = true,
                            .scale = rv__transformer_scale(tr),
                            .past = c->length,
                            .place = c->moved ? c->place : NULL,
                            .stride_place = c->capacity,
                            .q = qkv->x,
                            .k = kv,
                            .v = kv + d,
                            .y = y->x,
                            .ldq = 3 * d,
                            .ldk = 2 * d,
                            .ldv = 2 * d,
                            .ldy = d,
                            .stride_q = n * 3 * d,
                            .stride_k = row,
                            .stride_v = row,
                            .stride_y = n * d};
    return rv_attention_cached(tape, &a) == RV_OK ? y : NULL;
}

static rv_tensor *cross_cached(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *q,
                               const attending *how) {
    const rv_transformer_cache *c = how->cache;
    if (!q) return NULL;
    int64_t n = q->dim[1], d = c->d, row = c->memory_size * 2 * d;
    const rv_real *kv = c->memory_kv[layer_index];
    rv_tensor *y = rv_tape_tensor(tape, 3, (int64_t[]){c->batch, n, d});
    if (!y) return NULL;
    rv_attention_cache a = {.batch = c->batch,
                            .queries = n,
                            .dim = d,
                            .heads = tr->config.num_heads,
                            .scale = rv__transformer_scale(tr),
                            .past = c->memory_past,
                            .rows = c->memory_row,
                            .q = q->x,
                            .k = kv,
                            .v = kv + d,
                            .y = y->x,
                            .ldq = d,
                            .ldk = 2 * d,
                            .ldv = 2 * d,
                            .ldy = d,
                            .stride_q = n * d,
                            .stride_k = row,
                            .stride_v = row,
                            .stride_y = n * d};
    return rv_attention_cached(tape, &a) == RV_OK ? y : NULL;
}

rv_tensor *rv_transformer_step(rv_tape *tape, const rv_transformer *tr, rv_transformer_cache *c, rv_tensor *x,
                               const int32_t *counts) {
    RV_ASSERT(tr->config.causal && tr->config.num_layers == c->layers && (!tr->config.cross || c->memory_rows));
    if (!x || !rv__transformer_fits(tape, tr, "x", x)) return NULL;
    if (tr->config.mask != RV_MASK_BEFORE)
        return rv_tape_fail(
            tape, RV_EUSAGE,
            "decoding step by step: without a causal mask before the softmax, what a position holds changes with each "
            "later one, and no key or value can be kept; run the model on whole prefixes");
    RV_ASSERT(x->dim[0] == c->batch);
    int64_t n = x->dim[1];
    for (int64_t b = 0; b < c->batch; b++)
        if (c->length[b] + n > c->capacity)
            return rv_tape_fail(
                tape, RV_EUSAGE,
                "decoding: %lld positions after %d do not fit a cache of %lld; generate fewer or shorten the prompt",
                (long long)n, (int)c->length[b], (long long)c->capacity);
    find_places(c, n);
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_tensor *y = rv__transformer_run(tape, tr, x, &(attending){self_cached, cross_cached, .cache = c});
    rv_tape_restore(tape, mode);
    for (int64_t b = 0; y && b < c->batch; b++) c->length[b] += counts ? counts[b] : (int32_t)n;
    return y;
}

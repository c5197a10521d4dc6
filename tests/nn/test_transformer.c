/* Transformer stacks against PyTorch (tests/reference/make_transformer.py), and what decoding, batching and masking
 * rest on. Compiled for float and for double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "nn/position.h"
#include "nn/transformer.h"
#include "support/reference.h"

static const char *const file = "transformer.h5";
#ifdef RV_DOUBLE
static const double tolerance = 1e-10;
#else
static const double tolerance = 1e-5;
#endif

/* ---- PyTorch */
static double *reference(const char *name, const char *what, int *ndim, int64_t *dims) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", name, what);
    return rv_ref_read(file, path, ndim, dims);
}

/* Relative to the tensor's largest element: a gradient is a sum, some of whose terms nearly cancel. */
static void check(const rv_real *got, int64_t n, const char *name, const char *what) {
    double *want = reference(name, what, NULL, NULL), size = 0;
    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs((double)got[i] - want[i]) <= tolerance * (1 + size), "%s %s[%d]: %.12g, PyTorch has %.12g", name,
                  what, (int)i, (double)got[i], want[i]);
    free(want);
}

static rv_tensor *read_leaf(rv_tape *tape, const char *name, const char *what) {
    int ndim;
    int64_t dims[8];
    double *x = reference(name, what, &ndim, dims);
    rv_tensor *t = rv_leaf(tape, true, ndim, dims);
    for (int64_t i = 0; i < rv_numel(t); i++) t->x[i] = (rv_real)x[i];
    free(x);
    return t;
}

static int32_t *read_lengths(const char *name, const char *what) {
    char path[256];
    int64_t dims[8];
    snprintf(path, sizeof path, "%s/%s", name, what);
    if (!rv_ref_has(file, path)) return NULL;
    double *x = reference(name, what, NULL, dims);
    int32_t *lengths = malloc((size_t)dims[0] * sizeof *lengths);
    for (int64_t i = 0; i < dims[0]; i++) lengths[i] = (int32_t)x[i];
    free(x);
    return lengths;
}

/* Values of all parameters; their names start with "m.", PyTorch's do not. */
static void read_params(rv_params *ps, const char *name) {
    for (int i = 0; i < ps->n; i++) {
        char what[256];
        int ndim;
        int64_t dims[8];
        snprintf(what, sizeof what, "param/%s", ps->p[i]->name + 2);
        double *x = reference(name, what, &ndim, dims);
        rv_tensor *t = &ps->p[i]->t;
        cr_assert_eq(ndim, t->ndim, "%s", what);
        for (int k = 0; k < ndim; k++) cr_assert_eq(dims[k], t->dim[k], "%s", what);
        for (int64_t e = 0; e < rv_numel(t); e++) t->x[e] = (rv_real)x[e];
        free(x);
    }
}

static void check_grads(const rv_params *ps, const char *name) {
    for (int i = 0; i < ps->n; i++) {
        char what[256];
        snprintf(what, sizeof what, "grad/%s", ps->p[i]->name + 2);
        check(ps->p[i]->t.g, rv_numel(&ps->p[i]->t), name, what);
    }
}

static void backward_from(rv_tape *tape, rv_tensor *y, const char *name) {
    double *dy = reference(name, "dy", NULL, NULL);
    rv_real *g = malloc((size_t)rv_numel(y) * sizeof *g);
    for (int64_t i = 0; i < rv_numel(y); i++) g[i] = (rv_real)dy[i];
    cr_assert_eq(rv_backward_from(tape, y, g), RV_OK, "%s", rv_error_message());
    free(g);
    free(dy);
}

static const struct {
    const char *name;
    rv_norm_place norm;
    rv_act activation;
    bool causal, cross, final_norm, no_residual, unscaled;
    rv_mask_place mask;
} cases[] = {
    {"pre_relu_causal", RV_NORM_PRE, RV_ACT_RELU, true, false, true},
    {"pre_gelu_padded", RV_NORM_PRE, RV_ACT_GELU, false, false, true},
    {"pre_gelu_tanh_causal_padded", RV_NORM_PRE, RV_ACT_GELU_TANH, true, false, true},
    {"post_relu_padded", RV_NORM_POST, RV_ACT_RELU, false, false, false},
    {"post_gelu_causal", RV_NORM_POST, RV_ACT_GELU, true, false, true},
    {"decoder_pre", RV_NORM_PRE, RV_ACT_RELU, true, true, true},
    {"decoder_post", RV_NORM_POST, RV_ACT_GELU, true, true, false},
    {"decoder_unscaled", RV_NORM_PRE, RV_ACT_RELU, true, true, true, .unscaled = true},
    {"encoder_unscaled_post", RV_NORM_POST, RV_ACT_RELU, false, false, false, .unscaled = true},
    {"decoder_no_norm", RV_NORM_NONE, RV_ACT_RELU, true, true, false},
    {"decoder_no_residual", RV_NORM_PRE, RV_ACT_RELU, true, true, true, .no_residual = true},
    {"encoder_no_residual_post", RV_NORM_POST, RV_ACT_RELU, false, false, false, .no_residual = true},
    {"nothing_but_attention", RV_NORM_NONE, RV_ACT_RELU, true, false, false, .no_residual = true, .unscaled = true},
    {"mask_after", RV_NORM_PRE, RV_ACT_RELU, true, false, true, .mask = RV_MASK_AFTER},
    {"mask_after_padded", RV_NORM_POST, RV_ACT_RELU, true, true, false, .unscaled = true, .mask = RV_MASK_AFTER},
    {"mask_none", RV_NORM_PRE, RV_ACT_RELU, true, false, true, .mask = RV_MASK_NONE},
};

Test(transformer, equals_pytorch) {
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *name = cases[k].name;
        rv_transformer_config c = rv_transformer_defaults();
        c.num_layers = 2, c.num_heads = 2, c.hidden_size = 6, c.ff_size = 7;
        c.norm = cases[k].norm, c.activation = cases[k].activation, c.causal = cases[k].causal,
        c.cross = cases[k].cross;
        c.final_norm = cases[k].final_norm, c.no_residual = cases[k].no_residual, c.unscaled = cases[k].unscaled,
        c.mask = cases[k].mask;
        rv_params *ps = rv_params_create();
        rv_transformer *tr = rv_transformer_create(ps, &c, "m");
        cr_assert(tr && rv_params_materialise(ps, 1) == RV_OK);
        read_params(ps, name);
        rv_tape *tape = rv_tape_create();
        rv_tape_set_training(tape, true);
        rv_tensor *x = read_leaf(tape, name, "x"), *memory = c.cross ? read_leaf(tape, name, "memory") : NULL;
        int32_t *lengths = read_lengths(name, "lengths"), *memory_lengths = read_lengths(name, "memory_lengths");
        rv_tensor *y = rv_transformer_forward(tape, tr, x, lengths, memory, memory_lengths);
        cr_assert(y, "%s: %s", name, (rv_tape_status(tape), rv_error_message()));
        check(y->x, rv_numel(y), name, "y");
        backward_from(tape, y, name);
        check(x->g, rv_numel(x), name, "dx");
        if (memory) check(memory->g, rv_numel(memory), name, "dmemory");
        check_grads(ps, name);
        free(lengths), free(memory_lengths);
        rv_tape_destroy(tape);
        rv_transformer_destroy(tr);
        rv_params_destroy(ps);
    }
}

Test(transformer, multi_head_attention_equals_pytorch) {
    enum { D = 6 };
    rv_params *ps = rv_params_create();
    rv_init zero = {RV_INIT_ZERO};
    rv_tensor *wi = rv_params_add(ps, zero, 2, (int64_t[]){3 * D, D}, "m.in_proj_weight"),
              *bi = rv_params_add(ps, zero, 1, (int64_t[]){3 * D}, "m.in_proj_bias");
    rv_tensor *wo = rv_params_add(ps, zero, 2, (int64_t[]){D, D}, "m.out_proj.weight"),
              *bo = rv_params_add(ps, zero, 1, (int64_t[]){D}, "m.out_proj.bias");
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    read_params(ps, "mha");
    rv_tape *tape = rv_tape_create();
    rv_tensor *x = read_leaf(tape, "mha", "x");
    int32_t *lengths = read_lengths("mha", "lengths");
    rv_attention_spec spec = {.heads = 2, .causal = true, .key_lengths = lengths};
    rv_tensor *y =
        rv_linear(tape, rv_self_attention(tape, rv_linear(tape, x, wi, bi, RV_ACT_NONE), &spec), wo, bo, RV_ACT_NONE);
    check(y->x, rv_numel(y), "mha", "y");
    backward_from(tape, y, "mha");
    check(x->g, rv_numel(x), "mha", "dx");
    check_grads(ps, "mha");
    free(lengths);
    rv_tape_destroy(tape);
    rv_params_destroy(ps);
}

/* ---- invariants; a model with everything on */
typedef struct {
    rv_params *ps;
    rv_transformer *tr;
    rv_transformer_config c;
} model;

static model make_variant(bool causal, bool cross, bool unscaled, rv_norm_place norm, bool no_residual) {
    model m = {.ps = rv_params_create(), .c = rv_transformer_defaults()};
    m.c.num_layers = 2, m.c.num_heads = 2, m.c.hidden_size = 24, m.c.ff_size = 40, m.c.causal = causal,
    m.c.cross = cross, m.c.activation = RV_ACT_GELU;
    m.c.unscaled = unscaled, m.c.norm = norm, m.c.final_norm = norm == RV_NORM_PRE, m.c.no_residual = no_residual;
    m.c.init = (rv_init){RV_INIT_NORMAL, 0.3, 0};
    m.tr = rv_transformer_create(m.ps, &m.c, "decoder");
    cr_assert(m.tr && rv_params_materialise(m.ps, 5) == RV_OK);
    return m;
}

static model make_model(bool causal, bool cross) { return make_variant(causal, cross, false, RV_NORM_PRE, false); }

static void free_model(model *m) {
    rv_transformer_destroy(m->tr);
    rv_params_destroy(m->ps);
}

static rv_tensor *random_leaf(rv_tape *tape, uint64_t which, int64_t b, int64_t t, int64_t d) {
    rv_tensor *x = rv_leaf(tape, true, 3, (int64_t[]){b, t, d});
    rv_rng rng = rv_rng_make(3, "x", which);
    for (int64_t i = 0; i < rv_numel(x); i++) x->x[i] = (rv_real)rv_rng_normal(&rng);
    return x;
}

static void equal(const rv_real *a, const rv_real *b, int64_t n, const char *what) {
    for (int64_t i = 0; i < n; i++)
        cr_assert(a[i] == b[i], "%s: element %d is %.9g and %.9g", what, (int)i, (double)a[i], (double)b[i]);
}

static void check_cached(bool unscaled, rv_norm_place norm, bool no_residual) {
    enum { B = 4, T = 70, S = 66, D = 24, BEAM = 2 };
    static const int64_t chunks[] = {5, 1, 1, 60, 1, 2};
    static const int32_t memory_lengths[] = {66, 40}, repeated[] = {66, 66, 40, 40};
    for (int cross = 0; cross < 2; cross++) {
        model m = make_variant(true, cross, unscaled, norm, no_residual);
        rv_tape *tape = rv_tape_create();
        rv_tensor *x = random_leaf(tape, 1, B, T, D), *memory = cross ? random_leaf(tape, 2, B / BEAM, S, D) : NULL,
                  *wide = NULL;
        if (cross) {
            wide = rv_leaf(tape, false, 3, (int64_t[]){B, S, D});
            for (int b = 0; b < B; b++)
                memcpy(wide->x + b * S * D, memory->x + b / BEAM * S * D, S * D * sizeof(rv_real));
        }
        rv_tensor *full = rv_transformer_forward(tape, m.tr, x, NULL, wide, cross ? repeated : NULL);
        cr_assert(full);
        rv_transformer_cache *cache = rv_transformer_cache_create(m.tr, B, T);
        for (int round = 0; round < 2; round++) { /* the second after a reset */
            if (cross) cr_assert_eq(rv_transformer_cache_memory(tape, m.tr, cache, memory, memory_lengths), RV_OK);
            int64_t t = 0;
            for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
                int64_t n = chunks[c];
                rv_tensor *part = rv_leaf(tape, false, 3, (int64_t[]){B, n, D});
                for (int b = 0; b < B; b++)
                    memcpy(part->x + b * n * D, x->x + (b * T + t) * D, (size_t)(n * D) * sizeof(rv_real));
                rv_tensor *y = rv_transformer_step(tape, m.tr, cache, part, NULL);
                cr_assert(y);
                for (int b = 0; b < B; b++) equal(y->x + b * n * D, full->x + (b * T + t) * D, n * D, "step");
                t += n;
            }
            cr_assert_eq(rv_transformer_cache_lengths(cache)[1], T);
            if (!round) rv_transformer_cache_reset(cache);
        }
        cr_assert_null(rv_transformer_step(tape, m.tr, cache, random_leaf(tape, 9, B, 1, D), NULL));
        cr_assert_eq(rv_tape_status(tape), RV_EUSAGE);
        rv_transformer_cache_destroy(cache);
        rv_tape_destroy(tape);
        free_model(&m);
    }
}

Test(transformer, cached_equals_full) {
    check_cached(false, RV_NORM_PRE, false);
    check_cached(true, RV_NORM_PRE, false);
    check_cached(true, RV_NORM_POST, false);
    check_cached(false, RV_NORM_NONE, false);
    check_cached(false, RV_NORM_PRE, true);
}

/* States that later positions change cannot be kept. */
Test(transformer, no_cache_without_the_right_mask) {
    for (int mask = RV_MASK_AFTER; mask <= RV_MASK_NONE; mask++) {
        model m = make_model(true, false);
        rv_transformer_config c = m.c;
        rv_params *ps = rv_params_create();
        c.mask = (rv_mask_place)mask;
        rv_transformer *tr = rv_transformer_create(ps, &c, "decoder");
        cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
        rv_tape *tape = rv_tape_create();
        rv_transformer_cache *cache = rv_transformer_cache_create(tr, 1, 4);
        cr_assert_null(rv_transformer_step(tape, tr, cache, random_leaf(tape, 1, 1, 2, 24), NULL));
        cr_assert_eq(rv_tape_status(tape), RV_EUSAGE);
        cr_assert(strstr(rv_error_message(), "whole prefixes"), "%s", rv_error_message());
        rv_transformer_cache_destroy(cache);
        rv_tape_destroy(tape);
        rv_transformer_destroy(tr);
        rv_params_destroy(ps);
        free_model(&m);
    }
}

/* Rows with prompts of different lengths, then reordered as beams are: each row goes on as if alone. */
static void check_reorder(bool cross) {
    enum { B = 3, D = 24, N = 6, S = 8 };
    static const int32_t counts[B] = {6, 2, 4}, from[B] = {2, 0, 0}, memory_lengths[B] = {8, 3, 5};
    model m = make_model(true, cross);
    rv_tape *tape = rv_tape_create();
    rv_tensor *prompts = random_leaf(tape, 1, B, N, D), *next = random_leaf(tape, 2, B, 1, D),
              *memory = random_leaf(tape, 3, B, S, D);
    rv_transformer_cache *cache = rv_transformer_cache_create(m.tr, B, 20);
    if (cross) cr_assert_eq(rv_transformer_cache_memory(tape, m.tr, cache, memory, memory_lengths), RV_OK);
    cr_assert(rv_transformer_step(tape, m.tr, cache, prompts, counts));
    rv_transformer_cache_reorder(cache, from, B);
    rv_tensor *y = rv_transformer_step(tape, m.tr, cache, next, NULL);
    cr_assert(y);
    for (int b = 0; b < B; b++) {
        int64_t row = from[b], n = counts[row];
        cr_assert_eq(rv_transformer_cache_lengths(cache)[b], n + 1);
        rv_tensor *x = rv_leaf(tape, false, 3, (int64_t[]){1, n + 1, D});
        memcpy(x->x, prompts->x + row * N * D, (size_t)(n * D) * sizeof(rv_real));
        memcpy(x->x + n * D, next->x + b * D, D * sizeof(rv_real));
        rv_tensor *mine = cross ? rv_constant(tape, 3, (int64_t[]){1, S, D}, memory->x + row * S * D) : NULL;
        rv_tensor *full = rv_transformer_forward(tape, m.tr, x, NULL, mine, memory_lengths + row);
        equal(y->x + b * D, full->x + n * D, D, "row");
    }
    rv_transformer_cache_reset(cache);
    cr_assert_eq(rv_transformer_cache_lengths(cache)[0], 0);
    rv_transformer_cache_destroy(cache);
    rv_tape_destroy(tape);
    free_model(&m);
}
Test(transformer, cache_of_ragged_rows_reordered) {
    check_reorder(false);
    check_reorder(true);
}

/* A long beam search: at each step the rows are drawn anew from those there are, and there are more or fewer of them.
 */
Test(transformer, cache_reordered_at_every_step) {
    enum { ROOM = 5, T = 40, D = 24 };
    model m = make_model(true, false);
    rv_tape *tape = rv_tape_create();
    rv_transformer_cache *cache = rv_transformer_cache_create(m.tr, ROOM, T);
    static rv_real past[ROOM][T * D], old[ROOM][T * D];
    rv_rng rng = rv_rng_make(3, "reorder", 0);
    int64_t rows = ROOM;
    for (int t = 0; t < T; t++) {
        rv_tape_reset(tape);
        rv_tensor *x = random_leaf(tape, 10 + t, rows, 1, D), *y = rv_transformer_step(tape, m.tr, cache, x, NULL);
        cr_assert(y);
        for (int64_t b = 0; b < rows; b++) {
            memcpy(past[b] + t * D, x->x + b * D, D * sizeof(rv_real));
            rv_tensor *full = rv_transformer_forward(
                tape, m.tr, rv_constant(tape, 3, (int64_t[]){1, t + 1, D}, past[b]), NULL, NULL, NULL);
            equal(y->x + b * D, full->x + t * D, D, "row");
        }
        int32_t from[ROOM];
        int64_t next = t % 7 == 6 ? 2 + t % 4 : t % 3 ? ROOM : rows;
        for (int64_t b = 0; b < next; b++) from[b] = (int32_t)rv_rng_below(&rng, (uint64_t)rows);
        memcpy(old, past, sizeof old);
        for (int64_t b = 0; b < next; b++) memcpy(past[b], old[from[b]], sizeof *past);
        rv_transformer_cache_reorder(cache, from, next);
        rows = next;
    }
    rv_transformer_cache_destroy(cache);
    rv_tape_destroy(tape);
    free_model(&m);
}

/* Outputs and gradients of a row alone, and padded among others. */
Test(transformer, padding_and_batch_mates_change_no_bit) {
    enum { T = 9, WIDE = 20, D = 24 };
    for (int causal = 0; causal < 2; causal++) {
        model m = make_model(causal, false);
        rv_tape *tape = rv_tape_create();
        rv_tensor *x = random_leaf(tape, 1, 1, T, D), *batch = random_leaf(tape, 2, 3, WIDE, D);
        memcpy(batch->x + WIDE * D, x->x, T * D * sizeof(rv_real));
        int32_t lengths[] = {20, T, 3};
        rv_tensor *a = rv_transformer_forward(tape, m.tr, x, NULL, NULL, NULL),
                  *b = rv_transformer_forward(tape, m.tr, batch, lengths, NULL, NULL);
        equal(b->x + WIDE * D, a->x, T * D, "y");
        rv_real dy[3 * WIDE * D] = {0};
        for (int i = 0; i < T * D; i++) dy[i] = dy[WIDE * D + i] = (rv_real)cos(i);
        cr_assert_eq(rv_backward_from(tape, a, dy), RV_OK);
        rv_real want[T * D];
        memcpy(want, x->g, sizeof want);
        memset(dy, 0, T * D * sizeof *dy);
        cr_assert_eq(rv_backward_from(tape, b, dy), RV_OK);
        equal(batch->g + WIDE * D, want, T * D, "dx");
        for (int i = T * D; i < WIDE * D; i++) cr_assert_eq(batch->g[WIDE * D + i], 0);
        rv_tape_destroy(tape);
        free_model(&m);
    }
}

Test(transformer, causal_stack_leaks_nothing) {
    enum { T = 12, D = 24, PROBE = 5 };
    model m = make_model(true, false);
    rv_tape *tape = rv_tape_create();
    rv_tensor *x = random_leaf(tape, 1, 1, T, D), *y = rv_transformer_forward(tape, m.tr, x, NULL, NULL, NULL);
    rv_real dy[T * D] = {0};
    for (int d = 0; d < D; d++) dy[PROBE * D + d] = (rv_real)cos(d);
    cr_assert_eq(rv_backward_from(tape, y, dy), RV_OK);
    double before = 0;
    for (int i = 0; i < T * D; i++) {
        if (i < (PROBE + 1) * D)
            before += fabs(x->g[i]);
        else
            cr_assert(x->g[i] == 0, "dy_%d/dx_%d is %g", PROBE, i / D, (double)x->g[i]);
    }
    cr_assert_gt(before, 0);
    rv_tape_destroy(tape);
    free_model(&m);
}

/* Without positions an encoder cannot know the order; with them it can. */
Test(transformer, permuted_input_permutes_the_output) {
    enum { T = 7, D = 24 };
    static const int order[T] = {3, 0, 6, 1, 5, 2, 4};
    model m = make_model(false, false);
    rv_tape *tape = rv_tape_create();
    rv_position *position =
        rv_position_create(m.ps, RV_POSITION_SINUSOIDAL, 50, D, (rv_init){RV_INIT_ZERO}, "decoder.position");
    for (int placed = 0; placed < 2; placed++) {
        rv_tensor *x = random_leaf(tape, 1, 1, T, D), *p = rv_leaf(tape, false, 3, (int64_t[]){1, T, D});
        for (int t = 0; t < T; t++) memcpy(p->x + t * D, x->x + order[t] * D, D * sizeof(rv_real));
        if (placed) x = rv_position_add(tape, position, x, NULL), p = rv_position_add(tape, position, p, NULL);
        rv_tensor *a = rv_transformer_forward(tape, m.tr, x, NULL, NULL, NULL),
                  *b = rv_transformer_forward(tape, m.tr, p, NULL, NULL, NULL);
        double worst = 0;
        for (int t = 0; t < T; t++)
            for (int d = 0; d < D; d++) worst = fmax(worst, fabs(b->x[t * D + d] - a->x[order[t] * D + d]));
        if (placed)
            cr_assert_gt(worst, 0.1);
        else
            cr_assert_lt(worst, sizeof(rv_real) == 8 ? 1e-12 : 1e-4);
    }
    rv_position_destroy(position);
    rv_tape_destroy(tape);
    free_model(&m);
}

/* The whole stack with dropout: outputs and gradients of parameters and input. */
Test(transformer, same_bits_at_every_thread_count) {
    enum { B = 3, T = 80, D = 24 };
    static const int threads[] = {1, 2, 3, 4, 8};
    model m = make_model(true, false);
    m.c.dropout = m.c.attention_dropout = 0.1;
    rv_transformer_destroy(m.tr);
    rv_params *ps = rv_params_create();
    m.tr = rv_transformer_create(ps, &m.c, "decoder");
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    rv_real *first_y = NULL, *first_g = malloc((size_t)ps->size * sizeof *first_g);
    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
        rv_set_threads(threads[k]);
        rv_tape *tape = rv_tape_create();
        rv_tape_set_training(tape, true);
        rv_params_zero_grad(ps);
        rv_tensor *y = rv_transformer_forward(tape, m.tr, random_leaf(tape, 1, B, T, D), NULL, NULL, NULL);
        rv_real *copy = malloc((size_t)rv_numel(y) * sizeof *copy);
        memcpy(copy, y->x, (size_t)rv_numel(y) * sizeof *copy);
        cr_assert_eq(rv_backward_from(tape, y, copy), RV_OK);
        rv_params_finish_grad(ps);
        if (!first_y) {
            first_y = copy;
            memcpy(first_g, ps->g, (size_t)ps->size * sizeof *first_g);
        } else {
            equal(copy, first_y, B * T * D, "y");
            equal(ps->g, first_g, ps->size, "gradient");
            free(copy);
        }
        rv_tape_destroy(tape);
    }
    rv_set_threads(0);
    free(first_y), free(first_g);
    rv_params_destroy(ps);
    free_model(&m);
}

/* By 1/sqrt(2 x 8 layers) = 1/4. PyTorch's default, Kaiming's with slope sqrt(5), is uniform below 1/sqrt(fan in),
 * whose deviation is a sqrt(3)-th of that. */
Test(transformer, residual_projections_start_smaller) {
    static const rv_init inits[] = {{RV_INIT_NORMAL, 0.02, 0}, {RV_INIT_KAIMING_UNIFORM, 2.23606797749979, 0}};
    static const struct {
        const char *name;
        double deviation[2]; /* of each init */
    } want[] = {{"gpt.layers.7.linear1.weight", {0.02, 0.07217}},
                {"gpt.layers.0.self_attn.in_proj_weight", {0.02, 0.07217}},
                {"gpt.layers.3.linear2.weight", {0.005, 0.03608 / 4}},
                {"gpt.layers.3.self_attn.out_proj.weight", {0.005, 0.07217 / 4}}};
    for (int k = 0; k < 2; k++) {
        rv_params *ps = rv_params_create();
        rv_transformer_config c = rv_transformer_defaults();
        c.num_layers = 8, c.num_heads = 4, c.hidden_size = 64, c.ff_size = 256, c.init = inits[k],
        c.scale_residual = true;
        rv_transformer *tr = rv_transformer_create(ps, &c, "gpt");
        cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
        for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
            const rv_param *p = rv_params_find(ps, want[i].name);
            double sum = 0;
            cr_assert(p, "%s", want[i].name);
            for (int64_t e = 0; e < rv_numel(&p->t); e++) sum += (double)p->t.x[e] * (double)p->t.x[e];
            double deviation = sqrt(sum / (double)rv_numel(&p->t));
            cr_assert(fabs(deviation / want[i].deviation[k] - 1) < 0.05, "%s, init %d: %g", want[i].name, k, deviation);
        }
        rv_transformer_destroy(tr);
        rv_params_destroy(ps);
    }
}

Test(transformer, sizes_that_do_not_fit) {
    rv_params *ps = rv_params_create();
    rv_transformer_config c = rv_transformer_defaults();
    c.num_layers = 1, c.num_heads = 5, c.hidden_size = 12, c.ff_size = 3;
    cr_assert_null(rv_transformer_create(ps, &c, "encoder"));
    cr_assert(strstr(rv_error_message(), "num_heads 5"), "%s", rv_error_message());
    rv_params_destroy(ps);
}

/* ---- positions */
Test(position, sinusoids) {
    enum { D = 6 };
    rv_params *ps = rv_params_create();
    rv_position *p = rv_position_create(ps, RV_POSITION_SINUSOIDAL, 20, D, (rv_init){RV_INIT_ZERO}, "position");
    rv_tape *tape = rv_tape_create();
    rv_tensor *x = random_leaf(tape, 1, 2, 4, D);
    memset(x->x, 0, (size_t)rv_numel(x) * sizeof(rv_real));
    static const int32_t start[] = {0, 7};
    rv_tensor *y = rv_position_add(tape, p, x, start);
    cr_assert(y);
    for (int b = 0; b < 2; b++)
        for (int t = 0; t < 4; t++)
            for (int i = 0; i < D / 2; i++) {
                double angle = (start[b] + t) / pow(10000, 2. * i / D);
                cr_assert_float_eq(y->x[(b * 4 + t) * D + 2 * i], sin(angle), 1e-6);
                cr_assert_float_eq(y->x[(b * 4 + t) * D + 2 * i + 1], cos(angle), 1e-6);
            }
    cr_assert_null(rv_position_add(tape, p, x, (int32_t[]){0, 17}));
    cr_assert_eq(rv_tape_status(tape), RV_EUSAGE);
    rv_position_destroy(p);
    rv_tape_destroy(tape);
    rv_params_destroy(ps);
}

Test(position, learned_get_the_gradient_of_their_position) {
    enum { D = 3 };
    rv_params *ps = rv_params_create();
    rv_position *p =
        rv_position_create(ps, RV_POSITION_LEARNED, 5, D, (rv_init){RV_INIT_NORMAL, 1, 0}, "encoder.position");
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    rv_param *w = rv_params_find(ps, "encoder.position.weight");
    cr_assert(w);
    rv_tape *tape = rv_tape_create();
    rv_tensor *x = random_leaf(tape, 1, 2, 4, D), *y = rv_position_add(tape, p, x, NULL);
    for (int i = 0; i < 2 * 4 * D; i++) cr_assert_float_eq(y->x[i], x->x[i] + w->t.x[i % (4 * D)], 1e-6);
    rv_real dy[2 * 4 * D];
    for (int i = 0; i < 2 * 4 * D; i++) dy[i] = (rv_real)i;
    rv_params_zero_grad(ps);
    cr_assert_eq(rv_backward_from(tape, y, dy), RV_OK);
    for (int i = 0; i < 5 * D; i++) cr_assert_float_eq(w->t.g[i], i < 4 * D ? 2 * i + 4 * D : 0, 1e-5);
    rv_position_destroy(p);
    rv_tape_destroy(tape);
    rv_params_destroy(ps);
}

/* As PyTorch's layers with bias=False: normalisations have none either. */
Test(transformer, without_biases_there_are_none) {
    for (int bias = 0; bias < 2; bias++) {
        rv_params *ps = rv_params_create();
        rv_transformer_config c = rv_transformer_defaults();
        c.num_layers = 2, c.num_heads = 2, c.hidden_size = 8, c.ff_size = 16, c.cross = true, c.bias = bias;
        rv_transformer *tr = rv_transformer_create(ps, &c, "decoder");
        cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
        int named = 0;
        for (int i = 0; i < ps->n; i++) named += strstr(ps->p[i]->name, "bias") != NULL;
        cr_expect_eq(named, bias ? 2 * (6 + 3) + 1 : 0, "%d", named);
        rv_tape *tape = rv_tape_create();
        rv_tensor *x = random_leaf(tape, 1, 2, 4, 8), *memory = random_leaf(tape, 2, 2, 5, 8);
        cr_expect(rv_transformer_forward(tape, tr, x, NULL, memory, NULL), "%s", rv_error_message());
        rv_tape_destroy(tape);
        rv_transformer_destroy(tr);
        rv_params_destroy(ps);
    }
}

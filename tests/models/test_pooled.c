/* Models that tell a number of a sequence of numbers: ten training steps against PyTorch's, and what must hold of any
 * of them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "kernels/flops.h"
#include "support/parity.h"

enum { B = 5, T = 9, F = 2, ROW = T * F }; /* as tests/reference/make_regression.py */

typedef struct {
    const char *name; /* in regression.h5 */
    int layers, width;
    rv_pooling_kind pooling;
    int size;
    bool attends, pre, both;
    rv_cell cell;
} kind;
static const kind kinds[] = {
    {"rnn_last", 2, 12, RV_POOLING_LAST, 0, .cell = RV_CELL_RNN_TANH},
    {"bigru_last", 2, 8, RV_POOLING_LAST, 0, .cell = RV_CELL_GRU, .both = true},
    {"lstm_mean", 1, 12, RV_POOLING_MEAN, 0, .cell = RV_CELL_LSTM},
    {"birnn_attention", 1, 8, RV_POOLING_ATTENTION, 6, .cell = RV_CELL_RNN_TANH, .both = true},
    {"transformer_mean", 2, 12, RV_POOLING_MEAN, 0, .attends = true, .pre = true},
    {"transformer_last", 1, 12, RV_POOLING_LAST, 0, .attends = true},
    {"transformer_attention", 1, 12, RV_POOLING_ATTENTION, 7, .attends = true, .pre = true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static rv_model_config config_of(const kind *k) {
    const rv_init linear = {RV_INIT_KAIMING_UNIFORM, sqrt(5.), 0};
    rv_model_config c = {
        .encoder = {.kind = rv_encoder_find(k->attends ? "transformer" : "rnn"),
                    .input = {.numbers = F,
                              .size = k->width,
                              .init = linear,
                              .position = RV_POSITION_SINUSOIDAL,
                              .max_length = 4 * T},
                    .rnn = rv_rnn_defaults(k->cell),
                    .transformer = rv_transformer_defaults()},
        .head = {.kind = rv_head_find("number"),
                 .output_size = 1,
                 .bias = true,
                 .init = linear,
                 .bias_init = {RV_INIT_UNIFORM, 0.3, 0},
                 .pooling = k->pooling,
                 .pooling_size = k->size},
    };
    rv_encoder_config *e = &c.encoder;
    e->rnn.num_layers = k->layers;
    e->rnn.hidden_size = k->width;
    e->rnn.bidirectional = k->both;
    e->transformer.num_layers = k->layers;
    e->transformer.num_heads = 2;
    e->transformer.hidden_size = k->width;
    e->transformer.ff_size = 2 * k->width;
    e->transformer.norm = k->pre ? RV_NORM_PRE : RV_NORM_POST;
    e->transformer.final_norm = k->pre;
    return c;
}

static rv_batch batch_of(const rv_real *x, const int32_t *lengths, const rv_real *target, int64_t rows, int64_t steps) {
    return (rv_batch){.source = {.B = rows, .T = steps, .numbers = x, .lengths = lengths}, .B = rows, .number = target};
}

/* ---- parity */

typedef struct {
    const parity *p;
    rv_model *m;
    rv_real *x, *target;
    int32_t *lengths;
} reference;

static rv_real *reals(const parity *p, const char *which, int64_t n) {
    char path[256];
    snprintf(path, sizeof path, "/%s/%s", p->name, which);
    double *v = rv_ref_read(p->file, path, NULL, NULL);
    rv_real *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (rv_real)v[i];
    free(v);
    return x;
}

static rv_tensor *parity_loss(rv_tape *tape, void *ctx, int step) {
    reference *r = ctx;
    const rv_batch b = batch_of(r->x + step * B * ROW, r->lengths + step * B, r->target + step * B, B, T);
    if (step == 0) {
        rv_pooled pooled;
        const rv_tensor *y = rv_model_read(tape, r->m, &b.source, &pooled);
        cr_assert(y, "%s", rv_error_message());
        parity_close(r->p, pooled.y->x, 0, rv_numel(pooled.y), "f64/pooled");
        parity_close(r->p, y->x, 0, B, "f64/output");
        if (rv_model_get_config(r->m)->head.pooling == RV_POOLING_ATTENTION)
            parity_close(r->p, pooled.weights->x, 0, B * T, "f64/weights");
    }
    return rv_model_loss(tape, r->m, &b, NULL, 0);
}

Test(pooled, as_pytorch) {
    for (int i = 0; i < KINDS; i++) {
        rv_model_config c = config_of(&kinds[i]);
        reference r;
        parity p = {.file = "regression.h5",
                    .name = kinds[i].name,
                    .rtol = 1e-8,
                    .params = rv_params_create(),
                    .optim = RV_OPTIM_adam,
                    .loss = parity_loss,
                    .ctx = &r};
        r = (reference){&p, rv_model_create(p.params, &c), reals(&p, "input", PARITY_STEPS * B * ROW),
                        reals(&p, "target", PARITY_STEPS * B), parity_integers(&p, "lengths", PARITY_STEPS * B)};
        parity_train(&p);
        rv_model_destroy(r.m);
        rv_params_destroy(p.params);
        free(r.x);
        free(r.target);
        free(r.lengths);
    }
}

/* ---- invariants */

typedef struct {
    rv_params *ps;
    rv_model *m;
    rv_tape *tape;
    rv_real x[B * ROW], target[B];
    int32_t lengths[B];
} fixture;

static fixture open_model(int i) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create(), .lengths = {9, 1, 4, 7, 2}};
    rv_model_config c = config_of(&kinds[i]);
    f.m = rv_model_create(f.ps, &c);
    cr_assert_eq(rv_params_materialise(f.ps, 7), RV_OK);
    rv_rng rng = rv_rng_make(1, "numbers", 0);
    for (int k = 0; k < B * ROW; k++) f.x[k] = (rv_real)rv_rng_uniform(&rng);
    for (int k = 0; k < B; k++) f.target[k] = (rv_real)rv_rng_uniform(&rng);
    return f;
}

static void close_model(fixture *f) {
    rv_tape_destroy(f->tape);
    rv_model_destroy(f->m);
    rv_params_destroy(f->ps);
}

static rv_tensor *loss_of(rv_tape *tape, void *arg) {
    fixture *f = arg;
    const rv_batch b = batch_of(f->x, f->lengths, f->target, B, T);
    return rv_model_loss(tape, f->m, &b, NULL, 0);
}

/* What it says of all rows. */
static const rv_tensor *read_all(fixture *f, rv_pooled *pooled) {
    const rv_batch b = batch_of(f->x, f->lengths, f->target, B, T);
    const rv_tensor *y = rv_model_read(f->tape, f->m, &b.source, pooled);
    cr_assert(y, "%s", rv_error_message());
    return y;
}

/* Output of row b alone, padded to `steps`, behind its length filled with `junk`; and the gradients of all weights,
 * malloc'd. */
static rv_real alone(fixture *f, int b, int steps, rv_real junk, rv_real **grads) {
    rv_real x[4 * ROW];
    int n = f->lengths[b];
    for (int i = 0; i < steps * F; i++) x[i] = i < n * F ? f->x[b * ROW + i] : junk;
    rv_tape_reset(f->tape);
    rv_params_zero_grad(f->ps);
    const rv_batch one = batch_of(x, f->lengths + b, f->target + b, 1, steps);
    const rv_tensor *y = rv_model_read(f->tape, f->m, &one.source, NULL);
    cr_assert(y);
    const rv_real said = y->x[0];
    cr_assert_eq(rv_backward(f->tape, rv_model_loss(f->tape, f->m, &one, NULL, 0)), RV_OK);
    rv_params_finish_grad(f->ps);
    *grads = malloc((size_t)f->ps->size * sizeof **grads);
    memcpy(*grads, f->ps->g, (size_t)f->ps->size * sizeof **grads);
    return said;
}

Test(pooled, padding_and_batch_mates_change_nothing) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        rv_real together[B], *exact, *padded;
        memcpy(together, read_all(&f, NULL)->x, sizeof together);
        for (int b = 0; b < B; b++) {
            rv_real one = alone(&f, b, f.lengths[b], 0, &exact), more = alone(&f, b, f.lengths[b] + 13, 1e3, &padded);
            cr_expect_eq(one, together[b], "%s, row %d: its batch-mates change it", kinds[i].name, b);
            cr_expect_eq(more, one, "%s, row %d: padding changes it", kinds[i].name, b);
            cr_expect_arr_eq(padded, exact, (size_t)f.ps->size * sizeof *exact, "%s, row %d: padding changes gradients",
                             kinds[i].name, b);
            free(exact);
            free(padded);
        }
        /* and what is not padding does change it */
        f.x[0] += (rv_real)0.5;
        rv_tape_reset(f.tape);
        const rv_tensor *y = read_all(&f, NULL);
        for (int b = 0; b < B; b++) cr_expect_eq(y->x[b] != together[b], b == 0, "%s, row %d", kinds[i].name, b);
        close_model(&f);
    }
}

Test(pooled, parts_give_the_bits_of_the_whole) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        const rv_model_config *c = rv_model_get_config(f.m);
        const rv_encoder_config *e = &c->encoder;
        const int64_t width = e->kind->memory_size(e);
        rv_pooled whole, parts;
        const rv_tensor *said = read_all(&f, &whole);
        /* an encoder and a head that stand alone, with the model's weights: of equal names equal initial values */
        rv_params *ps = rv_params_create();
        rv_encoder *encoder = e->kind->create(ps, e, NULL);
        rv_head *head = rv_head_create(ps, &c->head, width, NULL);
        cr_assert(encoder && head && rv_params_materialise(ps, 7) == RV_OK);
        cr_assert_eq(ps->size, f.ps->size);
        cr_assert_arr_eq(ps->x, f.ps->x, (size_t)ps->size * sizeof *ps->x);
        const rv_batch b_all = batch_of(f.x, f.lengths, f.target, B, T);
        rv_memory memory;
        cr_assert(e->kind->forward(f.tape, encoder, &b_all.source, &memory));
        cr_expect(memory.B == B && memory.S == T && memory.size == width && memory.lengths == f.lengths);
        cr_expect(memory.states->dim[0] == B && memory.states->dim[1] == T && memory.states->dim[2] == width);
        cr_expect_eq(memory.last != NULL, !kinds[i].attends, "%s", kinds[i].name);
        const rv_tensor *mapped = rv_head_map(f.tape, head, rv_head_pool(f.tape, head, &memory, &parts));
        cr_expect_arr_eq(mapped->x, said->x, B * sizeof *said->x, "%s", kinds[i].name);
        cr_expect_arr_eq(parts.y->x, whole.y->x, (size_t)(B * width) * sizeof *whole.y->x, "%s", kinds[i].name);
        cr_expect_eq(whole.y->dim[1], width);
        /* and from states alone where there is one direction, whose last valid one is the final state */
        if (!kinds[i].both) {
            memory.last = NULL;
            mapped = rv_head_map(f.tape, head, rv_head_pool(f.tape, head, &memory, NULL));
            cr_expect_arr_eq(mapped->x, said->x, B * sizeof *said->x, "%s, from its states", kinds[i].name);
        }
        rv_head_destroy(head);
        e->kind->destroy(encoder);
        rv_params_destroy(ps);
        for (int b = 0; whole.weights && b < B; b++) {
            double sum = 0;
            for (int t = 0; t < T; t++) {
                double w = (double)whole.weights->x[b * T + t];
                cr_expect(t < f.lengths[b] ? w > 0 : w == 0, "%s: weight %g at (%d, %d)", kinds[i].name, w, b, t);
                sum += w;
            }
            cr_expect_float_eq(sum, 1, 1e-6);
        }
        close_model(&f);
    }
}

Test(pooled, gradients_of_whole_models) {
    if (sizeof(rv_real) == 4) cr_skip_test("differences are too coarse in float; the double build checks them");
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        rv_tensor *all[64];
        cr_assert_leq(f.ps->n, 64);
        for (int k = 0; k < f.ps->n; k++) all[k] = &f.ps->p[k]->t;
        double slope;
        cr_assert_eq(rv_taylor_slope(f.tape, loss_of, &f, f.ps->n, all, 1e-4, &slope), RV_OK, "%s", rv_error_message());
        cr_assert_float_eq(slope, 2, 0.1, "%s: slope %g", kinds[i].name, slope);
        close_model(&f);
    }
}

Test(pooled, the_same_bits_at_every_thread_count) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        rv_real *want = malloc((size_t)f.ps->size * sizeof *want);
        static const int counts[] = {1, 2, 3, 4, 8};
        for (int k = 0; k < 5; k++) {
            rv_set_threads(counts[k]);
            rv_tape_reset(f.tape);
            rv_params_zero_grad(f.ps);
            cr_assert_eq(rv_backward(f.tape, loss_of(f.tape, &f)), RV_OK);
            rv_params_finish_grad(f.ps);
            if (k)
                cr_expect_arr_eq(f.ps->g, want, (size_t)f.ps->size * sizeof *want, "%s with %d threads", kinds[i].name,
                                 counts[k]);
            else
                memcpy(want, f.ps->g, (size_t)f.ps->size * sizeof *want);
        }
        free(want);
        close_model(&f);
    }
}

Test(pooled, work) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        for (int b = 0; b < B; b++) f.lengths[b] = T;
        rv_flops_counted(true);
        read_all(&f, NULL);
        double want = B * rv_model_flops(f.m, f.ps, T, T), spared = 0, got = rv_flops_counted(true);
        for (int k = 0; k < f.ps->n; k++) /* the first step's products with a state of zeros need not be done */
            if (strstr(f.ps->p[k]->name, "weight_hh")) spared += 2. * B * (double)rv_numel(&f.ps->p[k]->t);
        cr_expect(got <= want && got >= want - spared, "%s: %.0f done, %.0f computed", kinds[i].name, got, want);
        close_model(&f);
    }
}

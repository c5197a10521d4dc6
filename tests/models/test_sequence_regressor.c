/* Regressors over sequences: ten training steps against PyTorch's, and what must hold of any of them. */
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

static rv_sequence_regressor_config config_of(const kind *k) {
    rv_sequence_regressor_config c = {.attends = k->attends, .input_size = F, .output_size = 1, .position = RV_POSITION_SINUSOIDAL, .max_length = 4 * T,
                                      .pooling = k->pooling, .pooling_size = k->size, .init = {RV_INIT_KAIMING_UNIFORM, sqrt(5.), 0}};
    c.rnn = rv_rnn_defaults(k->cell);
    c.rnn.num_layers = k->layers;
    c.rnn.hidden_size = k->width;
    c.rnn.bidirectional = k->both;
    c.transformer = rv_transformer_defaults();
    c.transformer.num_layers = k->layers;
    c.transformer.num_heads = 2;
    c.transformer.hidden_size = k->width;
    c.transformer.ff_size = 2 * k->width;
    c.transformer.norm = k->pre ? RV_NORM_PRE : RV_NORM_POST;
    c.transformer.final_norm = k->pre;
    return c;
}

/* ---- parity */

typedef struct {
    const parity *p;
    rv_sequence_regressor *m;
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
    rv_sequence_regression y;
    cr_assert(rv_sequence_regressor_forward(tape, r->m, r->x + step * B * ROW, r->lengths + step * B, B, T, &y), "%s", rv_error_message());
    if (step == 0) {
        parity_close(r->p, y.pooled->x, 0, rv_numel(y.pooled), "f64/pooled");
        parity_close(r->p, y.output->x, 0, B, "f64/output");
        if (rv_sequence_regressor_get_config(r->m)->pooling == RV_POOLING_ATTENTION) parity_close(r->p, y.weights->x, 0, B * T, "f64/weights");
    }
    return rv_mse(tape, y.output, rv_constant(tape, 2, (int64_t[]){B, 1}, r->target + step * B));
}

Test(sequence_regressor, as_pytorch) {
    for (int i = 0; i < KINDS; i++) {
        rv_sequence_regressor_config c = config_of(&kinds[i]);
        reference r;
        parity p = {.file = "regression.h5", .name = kinds[i].name, .rtol = 1e-8, .params = rv_params_create(), .optim = RV_OPTIM_adam, .loss = parity_loss, .ctx = &r};
        r = (reference){&p, rv_sequence_regressor_create(p.params, &c), reals(&p, "input", PARITY_STEPS * B * ROW), reals(&p, "target", PARITY_STEPS * B),
                        parity_integers(&p, "lengths", PARITY_STEPS * B)};
        parity_train(&p);
        rv_sequence_regressor_destroy(r.m);
        rv_params_destroy(p.params);
        free(r.x);
        free(r.target);
        free(r.lengths);
    }
}

/* ---- invariants */

typedef struct {
    rv_params *ps;
    rv_sequence_regressor *m;
    rv_tape *tape;
    rv_real x[B * ROW], target[B];
    int32_t lengths[B];
} fixture;

static fixture open_model(int i) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create(), .lengths = {9, 1, 4, 7, 2}};
    rv_sequence_regressor_config c = config_of(&kinds[i]);
    f.m = rv_sequence_regressor_create(f.ps, &c);
    cr_assert_eq(rv_params_materialise(f.ps, 7), RV_OK);
    rv_rng rng = rv_rng_make(1, "numbers", 0);
    for (int k = 0; k < B * ROW; k++) f.x[k] = (rv_real)rv_rng_uniform(&rng);
    for (int k = 0; k < B; k++) f.target[k] = (rv_real)rv_rng_uniform(&rng);
    return f;
}

static void close_model(fixture *f) {
    rv_tape_destroy(f->tape);
    rv_sequence_regressor_destroy(f->m);
    rv_params_destroy(f->ps);
}

static rv_tensor *loss_of(rv_tape *tape, void *arg) {
    fixture *f = arg;
    rv_sequence_regression y;
    if (!rv_sequence_regressor_forward(tape, f->m, f->x, f->lengths, B, T, &y)) return NULL;
    return rv_mse(tape, y.output, rv_constant(tape, 2, (int64_t[]){B, 1}, f->target));
}

/* Output of row b alone, padded to `steps`, behind its length filled with `junk`; and the gradients of all weights, malloc'd. */
static rv_real alone(fixture *f, int b, int steps, rv_real junk, rv_real **grads) {
    rv_real x[4 * ROW];
    int n = f->lengths[b];
    for (int i = 0; i < steps * F; i++) x[i] = i < n * F ? f->x[b * ROW + i] : junk;
    rv_tape_reset(f->tape);
    rv_params_zero_grad(f->ps);
    rv_sequence_regression y;
    cr_assert(rv_sequence_regressor_forward(f->tape, f->m, x, f->lengths + b, 1, steps, &y));
    cr_assert_eq(rv_backward(f->tape, rv_mse(f->tape, y.output, rv_constant(f->tape, 2, (int64_t[]){1, 1}, f->target + b))), RV_OK);
    rv_params_finish_grad(f->ps);
    *grads = malloc((size_t)f->ps->size * sizeof **grads);
    memcpy(*grads, f->ps->g, (size_t)f->ps->size * sizeof **grads);
    return y.output->x[0];
}

Test(sequence_regressor, padding_and_batch_mates_change_nothing) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        rv_sequence_regression y;
        rv_real together[B], *exact, *padded;
        cr_assert(rv_sequence_regressor_forward(f.tape, f.m, f.x, f.lengths, B, T, &y));
        memcpy(together, y.output->x, sizeof together);
        for (int b = 0; b < B; b++) {
            rv_real one = alone(&f, b, f.lengths[b], 0, &exact), more = alone(&f, b, f.lengths[b] + 13, 1e3, &padded);
            cr_expect_eq(one, together[b], "%s, row %d: its batch-mates change it", kinds[i].name, b);
            cr_expect_eq(more, one, "%s, row %d: padding changes it", kinds[i].name, b);
            cr_expect_arr_eq(padded, exact, (size_t)f.ps->size * sizeof *exact, "%s, row %d: padding changes gradients", kinds[i].name, b);
            free(exact);
            free(padded);
        }
        /* and what is not padding does change it */
        f.x[0] += (rv_real)0.5;
        rv_tape_reset(f.tape);
        cr_assert(rv_sequence_regressor_forward(f.tape, f.m, f.x, f.lengths, B, T, &y));
        for (int b = 0; b < B; b++) cr_expect_eq(y.output->x[b] != together[b], b == 0, "%s, row %d", kinds[i].name, b);
        close_model(&f);
    }
}

Test(sequence_regressor, parts_give_the_bits_of_the_whole) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        rv_sequence_regression whole, parts;
        cr_assert(rv_sequence_regressor_forward(f.tape, f.m, f.x, f.lengths, B, T, &whole));
        rv_tensor *in = rv_sequence_regressor_input(f.tape, f.m, f.x, B, T), *states, *last = NULL;
        if (kinds[i].attends) states = rv_transformer_forward(f.tape, rv_sequence_regressor_transformer(f.m), in, f.lengths, NULL, NULL);
        else { /* row 0 has all T steps, so the last of `states` is its final state where there is one direction */
            rv_rnn_state end;
            states = rv_transpose(f.tape, rv_rnn_forward(f.tape, rv_sequence_regressor_rnn(f.m), in, f.lengths, NULL, &end), (int[]){1, 0, 2});
            if (kinds[i].both) last = rv_concat(f.tape, 2, end.h + end.n - 2, -1);
        }
        cr_assert(rv_sequence_regressor_read(f.tape, f.m, states, last, f.lengths, &parts));
        cr_expect_arr_eq(parts.output->x, whole.output->x, B * sizeof *parts.output->x, "%s", kinds[i].name);
        cr_expect_eq(whole.pooled->dim[1], rv_sequence_regressor_width(f.m));
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

Test(sequence_regressor, gradients_of_whole_models) {
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

Test(sequence_regressor, the_same_bits_at_every_thread_count) {
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
            if (k) cr_expect_arr_eq(f.ps->g, want, (size_t)f.ps->size * sizeof *want, "%s with %d threads", kinds[i].name, counts[k]);
            else memcpy(want, f.ps->g, (size_t)f.ps->size * sizeof *want);
        }
        free(want);
        close_model(&f);
    }
}

Test(sequence_regressor, work) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        rv_sequence_regression y;
        for (int b = 0; b < B; b++) f.lengths[b] = T;
        rv_flops_counted(true);
        cr_assert(rv_sequence_regressor_forward(f.tape, f.m, f.x, f.lengths, B, T, &y));
        double want = B * T * rv_sequence_regressor_flops(f.m, f.ps, T), spared = 0, got = rv_flops_counted(true);
        for (int k = 0; k < f.ps->n; k++) /* the first step's products with a state of zeros need not be done */
            if (strstr(f.ps->p[k]->name, "weight_hh")) spared += 2. * B * (double)rv_numel(&f.ps->p[k]->t);
        cr_expect(got <= want && got >= want - spared, "%s: %.0f done, %.0f computed", kinds[i].name, got, want);
        close_model(&f);
    }
}

/* Stacked recurrent layers: PyTorch's numbers, names, initial values, and the state carried from batch to batch. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/recurrent.h"
#include "support/reference.h"

enum { T = 6, B = 4, I = 5, H = 7 };

static const char file[] = "recurrent.h5";
static const struct {
    const char *name;
    rv_cell cell;
    int layers;
    bool bidirectional, bias;
} cases[] = {
    {"rnn_tanh", RV_CELL_RNN_TANH, 1, false, true},
    {"rnn_relu", RV_CELL_RNN_RELU, 1, false, true},
    {"lstm", RV_CELL_LSTM, 1, false, true},
    {"lstm_no_bias", RV_CELL_LSTM, 1, false, false},
    {"gru", RV_CELL_GRU, 1, false, true},
    {"gru_before", RV_CELL_GRU_RESET_BEFORE, 1, false, true},
    {"lstm_stacked_bidirectional_ragged", RV_CELL_LSTM, 2, true, true},
    {"gru_stacked_bidirectional_ragged", RV_CELL_GRU, 2, true, true},
};

static double *read_case(const char *name, const char *what) {
    char path[512];
    snprintf(path, sizeof path, "/%s/%s", name, what);
    return rv_ref_read(file, path, NULL, NULL);
}

static void copy_in(rv_tensor *t, const double *from) {
    for (int64_t i = 0, n = rv_numel(t); i < n; i++) t->x[i] = (rv_real)from[i];
}

static void expect_equal(const rv_real *got, const char *name, const char *what, int64_t skip, int64_t n) {
    double *all = read_case(name, what), rtol = sizeof(rv_real) == 8 ? 1e-10 : 1e-5;
    for (int64_t i = 0; i < n; i++) {
        double want = all[skip + i];
        cr_assert(fabs(got[i] - want) <= rtol * (1 + fabs(want)), "%s/%s[%lld]: %.12g, PyTorch %.12g", name, what,
                  (long long)(skip + i), (double)got[i], want);
    }
    free(all);
}

/* loss + sum(x * weights), for a loss that may be NULL */
static rv_tensor *plus_weighted(rv_tape *tape, rv_tensor *loss, rv_tensor *x, const char *name, const char *what,
                                int64_t skip) {
    double *w = read_case(name, what);
    rv_tensor *c = rv_leaf(tape, false, x->ndim, x->dim);
    copy_in(c, w + skip);
    free(w);
    rv_tensor *s = rv_sum_all(tape, rv_mul(tape, x, c));
    return loss ? rv_add(tape, loss, s) : s;
}

Test(recurrent_layers, equal_pytorch) {
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *name = cases[k].name;
        bool lstm = cases[k].cell == RV_CELL_LSTM;
        rv_params *ps = rv_params_create();
        rv_rnn_config config = rv_rnn_defaults(cases[k].cell);
        config.num_layers = cases[k].layers;
        config.bidirectional = cases[k].bidirectional;
        config.bias = cases[k].bias;
        config.input_size = I;
        config.hidden_size = H;
        rv_rnn *r = rv_rnn_create(ps, &config, "net");
        cr_assert(r, "%s", rv_error_message());
        cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
        for (int i = 0; i < ps->n; i++) {
            char what[256];
            snprintf(what, sizeof what, "param/%s", ps->p[i]->name + strlen("net."));
            double *v = read_case(name, what);
            copy_in(&ps->p[i]->t, v);
            free(v);
        }
        double *v = read_case(name, "lengths");
        int32_t lengths[B];
        for (int b = 0; b < B; b++) lengths[b] = (int32_t)v[b];
        free(v);

        rv_tape *tape = rv_tape_create();
        /* In a parameter's place, so that their gradients outlive the tape's plan. */
        rv_real dx[T * B * I], dh[4][B * H], dc[4][B * H];
        rv_tensor *x = rv_leaf(tape, true, 3, (int64_t[]){T, B, I});
        x->g = dx;
        x->owns_grad = true;
        v = read_case(name, "x");
        copy_in(x, v);
        free(v);
        rv_rnn_state first = {.n = cases[k].layers * (cases[k].bidirectional ? 2 : 1)}, last;
        double *h0 = read_case(name, "h0"), *c0 = lstm ? read_case(name, "c0") : NULL;
        for (int i = 0; i < first.n; i++) {
            first.h[i] = rv_leaf(tape, true, 2, (int64_t[]){B, H});
            first.h[i]->g = dh[i];
            first.h[i]->owns_grad = true;
            copy_in(first.h[i], h0 + i * B * H);
            if (!lstm) continue;
            first.c[i] = rv_leaf(tape, true, 2, (int64_t[]){B, H});
            first.c[i]->g = dc[i];
            first.c[i]->owns_grad = true;
            copy_in(first.c[i], c0 + i * B * H);
        }
        free(h0);
        free(c0);
        rv_tensor *y = rv_rnn_forward(tape, r, x, lengths, &first, &last);
        cr_assert_eq(rv_tape_status(tape), RV_OK, "%s", rv_error_message());
        expect_equal(y->x, name, "y", 0, rv_numel(y));
        rv_tensor *loss = plus_weighted(tape, NULL, y, name, "wy", 0);
        for (int i = 0; i < last.n; i++) {
            expect_equal(last.h[i]->x, name, "hn", i * B * H, B * H);
            loss = plus_weighted(tape, loss, last.h[i], name, "whn", i * B * H);
            if (!lstm) continue;
            expect_equal(last.c[i]->x, name, "cn", i * B * H, B * H);
            loss = plus_weighted(tape, loss, last.c[i], name, "wcn", i * B * H);
        }
        cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
        expect_equal(dx, name, "grad/x", 0, T * B * I);
        for (int i = 0; i < first.n; i++) {
            expect_equal(dh[i], name, "grad/h0", i * B * H, B * H);
            if (lstm) expect_equal(dc[i], name, "grad/c0", i * B * H, B * H);
        }
        for (int i = 0; i < ps->n; i++) {
            char what[256];
            snprintf(what, sizeof what, "grad/%s", ps->p[i]->name + strlen("net."));
            expect_equal(ps->p[i]->t.g, name, what, 0, rv_numel(&ps->p[i]->t));
        }
        rv_tape_destroy(tape);
        rv_rnn_destroy(r);
        rv_params_destroy(ps);
    }
}

Test(recurrent_layers, initial_values) {
    rv_params *ps = rv_params_create();
    rv_rnn_config c = rv_rnn_defaults(RV_CELL_LSTM);
    c.input_size = 10;
    c.hidden_size = 16;
    c.recurrent_init = (rv_init){.kind = RV_INIT_ORTHOGONAL};
    rv_rnn *r = rv_rnn_create(ps, &c, "a");
    c.forget_bias = NAN;
    c.recurrent_init = c.weight_init;
    rv_rnn *plain = rv_rnn_create(ps, &c, "b");
    cr_assert(r && plain);
    cr_assert_eq(rv_params_materialise(ps, 3), RV_OK);
    const rv_real *ih = rv_params_find(ps, "a.bias_ih_l0")->t.x, *hh = rv_params_find(ps, "a.bias_hh_l0")->t.x,
                  *w = rv_params_find(ps, "a.weight_hh_l0")->t.x;
    double most = 0;
    for (int i = 0; i < 64; i++) {
        bool forget = i / 16 == 1;
        cr_assert(forget ? ih[i] == 1 && hh[i] == 0
                         : fabs((double)ih[i]) <= 0.25 && fabs((double)hh[i]) <= 0.25 && hh[i] != 0);
    }
    for (int g = 0; g < 4; g++)
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 16; j++) {
                double dot = 0;
                for (int u = 0; u < 16; u++) dot += (double)w[(g * 16 + i) * 16 + u] * w[(g * 16 + j) * 16 + u];
                cr_assert_float_eq(dot, i == j, 1e-5);
            }
    const rv_real *free_bias = rv_params_find(ps, "b.bias_ih_l0")->t.x,
                  *free_w = rv_params_find(ps, "b.weight_hh_l0")->t.x;
    for (int i = 0; i < 64; i++) cr_assert(fabs((double)free_bias[i]) <= 0.25);
    for (int i = 0; i < 64 * 16; i++) most = fmax(most, fabs((double)free_w[i]));
    cr_assert(most <= 0.25 && most > 0.24);
    rv_rnn_destroy(r);
    rv_rnn_destroy(plain);
    rv_params_destroy(ps);
}

Test(recurrent_layers, carried_state_goes_on) {
    for (rv_cell cell = RV_CELL_RNN_TANH; cell <= RV_CELL_GRU_RESET_BEFORE; cell++) {
        rv_params *ps = rv_params_create();
        rv_rnn_config c = rv_rnn_defaults(cell);
        c.num_layers = 2;
        c.input_size = I;
        c.hidden_size = 20;
        rv_rnn *r = rv_rnn_create(ps, &c, "net");
        cr_assert_eq(rv_params_materialise(ps, 5), RV_OK);
        rv_tape *tape = rv_tape_create(), *one = rv_tape_create();
        rv_tensor *x = rv_sample_leaf(tape, -1, 1, 3, (int64_t[]){8, B, I});
        rv_rnn_state all;
        rv_tensor *y = rv_rnn_forward(tape, r, x, NULL, NULL, &all);
        rv_rnn_carry *carry = rv_rnn_carry_create(&c, B);
        for (int t = 0; t < 8; t += 4) {
            rv_tape_reset(one);
            rv_rnn_state before = rv_rnn_carry_load(one, carry), after;
            rv_tensor *part = rv_rnn_forward(one, r, rv_constant(one, 3, (int64_t[]){4, B, I}, x->x + t * B * I), NULL,
                                             &before, &after);
            cr_assert(!memcmp(part->x, y->x + t * B * 20, (size_t)(4 * B * 20) * sizeof(rv_real)), "cell %d step %d",
                      cell, t);
            rv_rnn_carry_save(carry, &after);
        }
        for (int i = 0; i < 2; i++)
            cr_assert(!memcmp(carry->h + i * B * 20, all.h[i]->x, (size_t)(B * 20) * sizeof(rv_real)));
        static const int32_t from[B] = {2, 2, 0, 3};
        rv_rnn_carry_reorder(carry, from, B);
        for (int b = 0; b < B; b++) {
            cr_assert(!memcmp(carry->h + (B + b) * 20, all.h[1]->x + from[b] * 20, 20 * sizeof(rv_real)));
            if (carry->c) cr_assert(!memcmp(carry->c + (B + b) * 20, all.c[1]->x + from[b] * 20, 20 * sizeof(rv_real)));
        }
        rv_rnn_carry_reset(carry);
        for (int i = 0; i < 2 * B * 20; i++) cr_assert_eq(carry->h[i], 0);
        rv_rnn_carry_destroy(carry);
        rv_tape_destroy(tape);
        rv_tape_destroy(one);
        rv_rnn_destroy(r);
        rv_params_destroy(ps);
    }
}

/* Dropout acts between layers and not elsewhere; none when not training. */
Test(recurrent_layers, dropout_between_layers) {
    rv_params *ps = rv_params_create();
    rv_rnn_config c = rv_rnn_defaults(RV_CELL_GRU);
    c.input_size = I;
    c.hidden_size = H;
    c.dropout = 0.5;
    rv_rnn *r1 = rv_rnn_create(ps, &c, "one");
    c.num_layers = 2;
    rv_rnn *r2 = rv_rnn_create(ps, &c, "two");
    cr_assert_eq(rv_params_materialise(ps, 5), RV_OK);
    rv_tape *tape = rv_tape_create();
    rv_tensor *x = rv_sample_leaf(tape, -1, 1, 3, (int64_t[]){T, B, I}), *y[2][2];
    for (int train = 0; train < 2; train++) {
        rv_tape_set_training(tape, train);
        y[train][0] = rv_rnn_forward(tape, r1, x, NULL, NULL, NULL);
        y[train][1] = rv_rnn_forward(tape, r2, x, NULL, NULL, NULL);
    }
    cr_assert(!memcmp(y[0][0]->x, y[1][0]->x, T * B * H * sizeof(rv_real)));
    cr_assert(memcmp(y[0][1]->x, y[1][1]->x, T * B * H * sizeof(rv_real)));
    for (int i = 0; i < T * B * H; i++) cr_assert_neq(y[1][1]->x[i], 0);
    rv_tape_destroy(tape);
    rv_rnn_destroy(r1);
    rv_rnn_destroy(r2);
    rv_params_destroy(ps);
}

Test(recurrent_layers, bad_sizes_are_named) {
    rv_params *ps = rv_params_create();
    rv_rnn_config c = rv_rnn_defaults(RV_CELL_GRU);
    c.input_size = 3;
    cr_assert_null(rv_rnn_create(ps, &c, "encoder.rnn"));
    cr_assert(strstr(rv_error_message(), "encoder.rnn: num_layers 1, input_size 3, hidden_size 0"));
    c.hidden_size = 3;
    c.dropout = 1;
    cr_assert_null(rv_rnn_create(ps, &c, "encoder.rnn"));
    cr_assert(strstr(rv_error_message(), "dropout 1"));
    c.dropout = 0;
    c.num_layers = RV_RNN_MAX_STATES + 1;
    cr_assert_null(rv_rnn_create(ps, &c, "encoder.rnn"));
    rv_params_destroy(ps);
}

/* What enters a stack: ids as embeddings, numbers mapped or as they are, in either layout. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "ravel.h"

enum { B = 3, T = 5, V = 7, F = 2, E = 6, MAX = 9 };
static const double tolerance = sizeof(rv_real) == 8 ? 1e-14 : 1e-6;

typedef struct {
    rv_params *ps;
    rv_tape *tape;
    rv_input *in;
    int32_t ids[B * T];
    rv_real numbers[B * T * F];
} fixture;

static fixture open_input(const rv_input_config *c, bool mapped, rv_tensor *shared) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create()};
    f.in = rv_input_create(f.ps, c, mapped, shared, "part");
    cr_assert(f.in, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(f.ps, 3), RV_OK);
    rv_rng rng = rv_rng_make(1, "input", 0);
    for (int i = 0; i < B * T; i++) f.ids[i] = (int32_t)rv_rng_below(&rng, V);
    for (int i = 0; i < B * T * F; i++) f.numbers[i] = (rv_real)rv_rng_normal(&rng);
    return f;
}

static void close_input(fixture *f) {
    rv_input_destroy(f->in);
    rv_tape_destroy(f->tape);
    rv_params_destroy(f->ps);
}

/* The vector of (b, t), in the layout that was asked for. */
static const rv_real *at(const rv_tensor *x, bool time_major, int b, int t) {
    return x->x + (time_major ? t * B + b : b * T + t) * x->dim[2];
}

static rv_tensor *read(fixture *f, bool ids, bool time_major, const int32_t *start) {
    const rv_sequences s = {.B = B, .T = T, .ids = ids ? f->ids : NULL, .numbers = ids ? NULL : f->numbers};
    rv_tensor *x = rv_input_read(f->tape, f->in, &s, time_major, start);
    cr_assert(x, "%s", rv_error_message());
    cr_assert(x->ndim == 3 && x->dim[0] == (time_major ? T : B) && x->dim[1] == (time_major ? B : T));
    return x;
}

static const rv_input_config words = {.vocab_size = V, .size = E, .init = {.kind = RV_INIT_NORMAL, .a = 1}};
static const rv_input_config pairs = {.numbers = F, .size = E, .init = {.kind = RV_INIT_NORMAL, .a = 1}};

Test(input, ids_are_rows_of_the_embedding) {
    for (int scale = 0; scale < 2; scale++)
        for (int time_major = 0; time_major < 2; time_major++) {
            rv_input_config c = words;
            c.scale = scale;
            fixture f = open_input(&c, time_major == 0, NULL); /* mapped or not is nothing to ids */
            cr_assert_eq(f.ps->n, 1);
            cr_assert_str_eq(f.ps->p[0]->name, "part.embedding.weight");
            const rv_tensor *table = rv_input_embedding(f.in), *x = read(&f, true, time_major, NULL);
            cr_assert_eq(table, &f.ps->p[0]->t);
            for (int b = 0; b < B; b++)
                for (int t = 0; t < T; t++)
                    for (int e = 0; e < E; e++)
                        cr_expect_float_eq((double)at(x, time_major, b, t)[e],
                                           (double)table->x[f.ids[b * T + t] * E + e] * (scale ? sqrt(E) : 1),
                                           4 * tolerance);
            close_input(&f);
        }
}

Test(input, a_shared_embedding_is_not_declared) {
    fixture owner = open_input(&words, true, NULL), f = open_input(&words, true, rv_input_embedding(owner.in));
    cr_expect_eq(f.ps->n, 0);
    cr_expect_eq(rv_input_embedding(f.in), rv_input_embedding(owner.in));
    const rv_tensor *x = read(&f, true, false, NULL), *y = read(&owner, true, false, NULL);
    cr_expect_arr_eq(x->x, y->x, B * T * E * sizeof *x->x);
    close_input(&f);
    close_input(&owner);
}

/* Positions of a row that goes on are not from 0. */
Test(input, positions_are_added) {
    static const int32_t start[B] = {0, 4, 2};
    rv_input_config c = words;
    c.position = RV_POSITION_LEARNED;
    c.position_init = c.init;
    c.max_length = MAX;
    fixture f = open_input(&c, true, NULL);
    cr_assert_eq(f.ps->n, 2);
    const rv_param *positions = rv_params_find(f.ps, "part.position.weight");
    cr_assert(positions && positions->t.dim[0] == MAX && positions->t.dim[1] == E);
    const rv_tensor *table = rv_input_embedding(f.in);
    for (int later = 0; later < 2; later++) {
        const rv_tensor *x = read(&f, true, false, later ? start : NULL);
        for (int b = 0; b < B; b++)
            for (int t = 0; t < T; t++)
                for (int e = 0; e < E; e++) {
                    const rv_real *p = positions->t.x + (t + (later ? start[b] : 0)) * E;
                    cr_expect_eq(at(x, false, b, t)[e], table->x[f.ids[b * T + t] * E + e] + p[e]);
                }
    }
    static const int32_t behind[B] = {0, MAX - T + 1, 0};
    const rv_sequences s = {.B = B, .T = T, .ids = f.ids};
    cr_expect_null(rv_input_read(f.tape, f.in, &s, false, behind));
    cr_expect_eq(rv_tape_status(f.tape), RV_EUSAGE);
    close_input(&f);
}

/* Nothing is declared, and nothing is dropped of them, in training either. */
Test(input, numbers_as_they_are) {
    rv_input_config c = pairs;
    c.dropout = 0.5;
    fixture f = open_input(&c, false, NULL);
    cr_expect_eq(f.ps->n, 0);
    cr_expect_null(rv_input_embedding(f.in));
    rv_tape_set_training(f.tape, true);
    for (int time_major = 0; time_major < 2; time_major++) {
        const rv_tensor *x = read(&f, false, time_major, NULL);
        cr_assert_eq(x->dim[2], F);
        cr_expect_not(x->needs_grad);
        for (int b = 0; b < B; b++)
            for (int t = 0; t < T; t++)
                cr_expect_arr_eq(at(x, time_major, b, t), f.numbers + (b * T + t) * F, F * sizeof *x->x);
    }
    close_input(&f);
}

Test(input, numbers_mapped) {
    fixture f = open_input(&pairs, true, NULL);
    cr_assert_eq(f.ps->n, 2);
    cr_expect_null(rv_input_embedding(f.in));
    const rv_param *w = rv_params_find(f.ps, "part.input.weight"), *bias = rv_params_find(f.ps, "part.input.bias");
    cr_assert(w && bias && w->t.dim[0] == E && w->t.dim[1] == F && bias->t.dim[0] == E);
    bool any = false;
    for (int e = 0; e < E; e++) {
        cr_expect_leq(fabs((double)bias->t.x[e]), 1 / sqrt(F));
        any |= bias->t.x[e] != 0;
    }
    cr_expect(any);
    const rv_tensor *batch = read(&f, false, false, NULL), *time = read(&f, false, true, NULL);
    cr_assert(batch->dim[2] == E && time->dim[2] == E);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            const rv_real *x = f.numbers + (b * T + t) * F;
            cr_expect_arr_eq(at(batch, false, b, t), at(time, true, b, t), E * sizeof *x, "(%d, %d)", b, t);
            for (int e = 0; e < E; e++) {
                double want = (double)bias->t.x[e];
                for (int i = 0; i < F; i++) want += (double)w->t.x[e * F + i] * (double)x[i];
                cr_expect_float_eq((double)at(batch, false, b, t)[e], want, 10 * tolerance);
            }
        }
    close_input(&f);
}

/* Mapped numbers get positions and dropout as embeddings do: with p = 1/2 what is left is doubled. */
Test(input, mapped_numbers_with_positions_and_dropout) {
    rv_input_config c = pairs;
    fixture plain = open_input(&c, true, NULL);
    c.position = RV_POSITION_SINUSOIDAL;
    c.max_length = MAX;
    c.dropout = 0.5;
    fixture f = open_input(&c, true, NULL);
    cr_assert_eq(f.ps->n, 2);
    const rv_tensor *x = read(&f, false, false, NULL), *bare = read(&plain, false, false, NULL);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++)
            for (int e = 0; e < E; e++) {
                const double angle = t / pow(10000, (e - e % 2) / (double)E), p = e % 2 ? cos(angle) : sin(angle);
                cr_expect_float_eq((double)at(x, false, b, t)[e], (double)at(bare, false, b, t)[e] + p, 10 * tolerance);
            }
    rv_tape_set_training(f.tape, true);
    const rv_tensor *dropped = read(&f, false, false, NULL);
    int zeros = 0;
    for (int i = 0; i < B * T * E; i++) {
        zeros += dropped->x[i] == 0;
        cr_expect(dropped->x[i] == 0 || dropped->x[i] == 2 * x->x[i], "element %d", i);
    }
    cr_expect(zeros > B * T * E / 4 && zeros < 3 * B * T * E / 4, "%d zeros", zeros);
    close_input(&f);
    close_input(&plain);
}

Test(input, width) {
    cr_expect(rv_input_size(&words, true) == E && rv_input_size(&words, false) == E);
    cr_expect(rv_input_size(&pairs, true) == E && rv_input_size(&pairs, false) == F);
}

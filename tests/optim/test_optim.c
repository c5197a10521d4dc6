/* Optimisers, clipping, schedules and averaging against PyTorch 1.13's stored steps and the papers' numbers. Built for
 * float and for double. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravel.h"
#include "support/reference.h"
#include "support/same_bits.h"

#ifdef RV_DOUBLE
static const double tolerance = 1e-10;
#else
static const double tolerance = 1e-5;
#endif

static const char *const names[] = {"w", "b", "v"};
enum { NAMES = 3, STEPS = 10 };

static rv_params *reference_params(void) {
    rv_params *ps = rv_params_create();
    for (int i = 0; i < NAMES; i++) {
        char path[64];
        int64_t dim[8];
        int ndim;
        snprintf(path, sizeof path, "init/%s", names[i]);
        free(rv_ref_read("optim.h5", path, &ndim, dim));
        rv_params_add(ps, (rv_init){.kind = RV_INIT_ZERO}, ndim, dim, "%s", names[i]);
    }
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    for (int i = 0; i < NAMES; i++) {
        char path[64];
        snprintf(path, sizeof path, "init/%s", names[i]);
        double *x = rv_ref_read("optim.h5", path, NULL, NULL);
        for (int64_t j = 0; j < rv_numel(&ps->p[i]->t); j++) ps->p[i]->t.x[j] = (rv_real)x[j];
        free(x);
    }
    return ps;
}

static void load_grads(rv_params *ps, int step) {
    for (int i = 0; i < NAMES; i++) {
        char path[64];
        snprintf(path, sizeof path, "grad/%s", names[i]);
        double *g = rv_ref_read("optim.h5", path, NULL, NULL);
        int64_t n = rv_numel(&ps->p[i]->t);
        for (int64_t j = 0; j < n; j++) ps->p[i]->t.g[j] = (rv_real)g[step * n + j];
        ps->p[i]->t.has_grad = true;
        free(g);
    }
}

static void expect_close(const char *path, const rv_real *got, int64_t n) {
    double *want = rv_ref_read("optim.h5", path, NULL, NULL);
    for (int64_t j = 0; j < n; j++)
        cr_assert(fabs((double)got[j] - want[j]) <= tolerance * (1 + fabs(want[j])),
                  "%s[%lld] is %.12g, PyTorch has %.12g", path, (long long)j, (double)got[j], want[j]);
    free(want);
}

static const struct {
    const char *name;
    rv_optim_kind kind;
    rv_optim_settings set;
    double clip;
} cases[] = {
    {"sgd", RV_OPTIM_sgd, {.lr = 0.1}, 0},
    {"sgd_decay", RV_OPTIM_sgd, {.lr = 0.1, .weight_decay = 0.05}, 0},
    {"sgd_momentum", RV_OPTIM_sgd, {.lr = 0.05, .momentum = 0.9, .weight_decay = 0.02}, 1},
    {"sgd_nesterov", RV_OPTIM_sgd, {.lr = 0.05, .momentum = 0.8, .nesterov = true, .weight_decay = 0.02}, 0},
    {"adam", RV_OPTIM_adam, {.lr = 0.02, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}, 0},
    {"adam_clip", RV_OPTIM_adam, {.lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1}, 0.5},
    {"adamw", RV_OPTIM_adamw, {.lr = 0.02, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1}, 1},
    {"adadelta", RV_OPTIM_adadelta, {.lr = 1, .rho = 0.95, .eps = 1e-6}, 0},
    {"adadelta_decay", RV_OPTIM_adadelta, {.lr = 0.7, .rho = 0.9, .eps = 1e-5, .weight_decay = 0.03}, 2},
};
enum { CASES = sizeof cases / sizeof *cases };

Test(optim, ten_steps_as_pytorch) {
    const char *const isa[] = {"avx512", "avx2", "base"};
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isa[s]) != RV_OK) continue; /* this CPU lacks it */
        for (int c = 0; c < CASES; c++) {
            rv_params *ps = reference_params();
            rv_optim *o;
            cr_assert_eq(rv_optim_create(cases[c].kind, &cases[c].set, ps, &o), RV_OK);
            char path[96];
            snprintf(path, sizeof path, "%s/norm", cases[c].name);
            double *want = rv_ref_read("optim.h5", path, NULL, NULL);
            for (int t = 0; t < STEPS; t++) {
                load_grads(ps, t);
                double norm;
                cr_assert_eq(rv_grad_norm(ps, &norm), RV_OK);
                cr_assert_float_eq(norm, want[t], 1e-6 * want[t]);
                rv_optim_step(o, cases[c].set.lr, rv_clip_factor(norm, cases[c].clip));
            }
            free(want);
            cr_assert_eq(rv_optim_steps(o), STEPS);
            for (int i = 0; i < NAMES; i++) {
                int64_t n = rv_numel(&ps->p[i]->t);
                snprintf(path, sizeof path, "%s/%s", cases[c].name, names[i]);
                expect_close(path, ps->p[i]->t.x, n);
                for (int k = 0; k < rv_optim_slots(o); k++) {
                    snprintf(path, sizeof path, "%s/%s/%s", cases[c].name, rv_optim_slot_name(o, k), names[i]);
                    expect_close(path, rv_optim_slot(o, k, ps->p[i]), n);
                }
            }
            rv_optim_destroy(o);
            rv_params_destroy(ps);
        }
    }
}

Test(optim, adams_first_step_is_lr_times_sign) {
    rv_params *ps = reference_params();
    rv_optim *o;
    rv_optim_settings s = rv_optim_defaults(RV_OPTIM_adam);
    cr_assert_eq(rv_optim_create(RV_OPTIM_adam, &s, ps, &o), RV_OK);
    load_grads(ps, 0);
    rv_real before[35];
    memcpy(before, ps->p[0]->t.x, sizeof before);
    rv_optim_step(o, 0.01, 1);
    for (int j = 0; j < 35; j++)
        cr_assert_float_eq(ps->p[0]->t.x[j] - before[j], ps->p[0]->t.g[j] > 0 ? -0.01 : 0.01, 1e-6);
    rv_optim_destroy(o);
    rv_params_destroy(ps);
}

Test(optim, decay_spares_vectors_and_frozen_stay) {
    rv_params *ps = reference_params();
    rv_optim *o;
    rv_optim_settings s = rv_optim_defaults(RV_OPTIM_adamw);
    cr_assert(s.decay_matrices_only);
    s.weight_decay = 0.5;
    cr_assert_eq(rv_optim_create(RV_OPTIM_adamw, &s, ps, &o), RV_OK);
    rv_params_zero_grad(ps);
    rv_params_finish_grad(ps);
    ps->p[2]->frozen = true;
    rv_real w = ps->p[0]->t.x[3], b = ps->p[1]->t.x[3], v = ps->p[2]->t.x[3];
    rv_optim_step(o, 0.1, 1);
    cr_assert_float_eq(ps->p[0]->t.x[3], w * 0.95, 1e-6);
    cr_assert_eq(ps->p[1]->t.x[3], b);
    cr_assert_eq(ps->p[2]->t.x[3], v);
    rv_optim_destroy(o);
    rv_params_destroy(ps);
}

/* Large enough for many blocks, with a tail. */
static rv_params *large(void) {
    rv_params *ps = rv_params_create();
    rv_params_add(ps, (rv_init){.kind = RV_INIT_NORMAL, .a = 1}, 2, (int64_t[]){301, 499}, "big");
    rv_params_add(ps, (rv_init){.kind = RV_INIT_NORMAL, .a = 1}, 1, (int64_t[]){77}, "small");
    cr_assert_eq(rv_params_materialise(ps, 3), RV_OK);
    for (int i = 0; i < ps->n; i++)
        for (int64_t j = 0; j < rv_numel(&ps->p[i]->t); j++) ps->p[i]->t.g[j] = (rv_real)sin(1.7 * (double)j + i);
    return ps;
}

/* Three steps of a trainer, in which one tensor gets no gradient: the norms and what has become of the parameters. */
static void steps(const void *what, rv_bits part[RV_BITS_PARTS]) {
    const rv_optim_kind kind = *(const rv_optim_kind *)what;
    rv_params *ps = large();
    rv_optim *o;
    rv_optim_settings s = rv_optim_defaults(kind);
    s.momentum = 0.9;
    s.weight_decay = 0.01;
    cr_assert_eq(rv_optim_create(kind, &s, ps, &o), RV_OK);
    for (int t = 0; t < 3; t++) {
        double norm = 0;
        rv_bits_begin();
        rv_params_zero_grad(ps);
        ps->p[0]->t.has_grad = true;
        rv_params_finish_grad(ps);
        cr_assert_eq(rv_grad_norm(ps, &norm), RV_OK);
        rv_bits_end(&part[0]);
        rv_bits_begin();
        rv_optim_step(o, s.lr, rv_clip_factor(norm, 1));
        rv_bits_end(&part[1]);
        rv_real bits[sizeof norm / sizeof(rv_real)];
        memcpy(bits, &norm, sizeof norm);
        rv_bits_add(&part[0], bits, sizeof norm / sizeof(rv_real));
    }
    rv_bits_add(&part[1], ps->x, ps->size);
    for (int k = 0; k < rv_optim_slots(o); k++) rv_bits_add(&part[1], rv_optim_slot_flat(o, k), ps->size);
    rv_optim_destroy(o);
    rv_params_destroy(ps);
}

Test(optim, same_bits_at_every_thread_count) {
    for (int kind = 0; kind < RV_OPTIM_COUNT; kind++)
        rv_bits_expect_same(rv_optim_name((rv_optim_kind)kind), steps, &(rv_optim_kind){(rv_optim_kind)kind});
}

Test(optim, state_can_be_saved_and_restored) {
    rv_params *a = large(), *b = large();
    rv_optim *oa, *ob;
    rv_optim_settings s = rv_optim_defaults(RV_OPTIM_adam);
    cr_assert_eq(rv_optim_create(RV_OPTIM_adam, &s, a, &oa), RV_OK);
    cr_assert_eq(rv_optim_create(RV_OPTIM_adam, &s, b, &ob), RV_OK);
    rv_optim_step(oa, 0.01, 1);
    memcpy(b->x, a->x, (size_t)a->size * sizeof *a->x);
    for (int k = 0; k < rv_optim_slots(oa); k++)
        for (int i = 0; i < a->n; i++)
            memcpy(rv_optim_slot(ob, k, b->p[i]), rv_optim_slot(oa, k, a->p[i]),
                   (size_t)rv_numel(&a->p[i]->t) * sizeof *a->x);
    rv_optim_set_steps(ob, rv_optim_steps(oa));
    rv_optim_step(oa, 0.01, 1);
    rv_optim_step(ob, 0.01, 1);
    cr_assert_eq(memcmp(a->x, b->x, (size_t)a->size * sizeof *a->x), 0);
    rv_optim_destroy(oa), rv_optim_destroy(ob);
    rv_params_destroy(a), rv_params_destroy(b);
}

Test(optim, wrong_settings_are_refused) {
    rv_params *ps = large();
    rv_optim *o;
    rv_optim_settings s = rv_optim_defaults(RV_OPTIM_adam);
    s.beta2 = 1;
    cr_assert_eq(rv_optim_create(RV_OPTIM_adam, &s, ps, &o), RV_EUSAGE);
    cr_assert(strstr(rv_error_message(), "betas[1]"));
    s = rv_optim_defaults(RV_OPTIM_sgd);
    s.nesterov = true;
    cr_assert_eq(rv_optim_create(RV_OPTIM_sgd, &s, ps, &o), RV_EUSAGE);
    rv_optim_kind kind;
    cr_assert_eq(rv_optim_find("adamw", &kind), RV_OK);
    cr_assert_eq(kind, RV_OPTIM_adamw);
    cr_assert_eq(rv_optim_find("adan", &kind), RV_EUSAGE);
    cr_assert(strstr(rv_error_message(), "adadelta"));
    rv_params_destroy(ps);
}

Test(clip, names_the_tensor_that_is_not_finite) {
    rv_params *ps = large();
    double norm;
    ps->p[1]->t.g[76] = INFINITY;
    cr_assert_eq(rv_grad_norm(ps, &norm), RV_EDIVERGED);
    cr_assert(strstr(rv_error_message(), "'small' is infinite (element 76)"), "%s", rv_error_message());
    ps->p[1]->frozen = true;
    cr_assert_eq(rv_grad_norm(ps, &norm), RV_OK);
    ps->p[0]->t.g[150000] = NAN;
    cr_assert_eq(rv_grad_norm(ps, &norm), RV_EDIVERGED);
    cr_assert(strstr(rv_error_message(), "'big' is NaN"));
    cr_assert_eq(rv_check_values(ps), RV_OK);
    ps->p[1]->t.x[0] = NAN;
    cr_assert_eq(rv_check_values(ps), RV_EDIVERGED);
    rv_params_destroy(ps);
}

Test(clip, factor) {
    cr_assert_eq(rv_clip_factor(10, 0), 1);
    cr_assert_eq(rv_clip_factor(0.5, 1), 1);
    cr_assert_float_eq(rv_clip_factor(4, 1), 1 / 4.000001, 1e-15);
}

static double lr_at(rv_schedule s, int64_t step) {
    cr_assert_eq(rv_schedule_check(&s), RV_OK, "%s", rv_error_message());
    return rv_schedule_lr(&s, &(rv_schedule_state){0}, step);
}

Test(schedule, known_points) {
    rv_schedule noam = {.kind = RV_SCHEDULE_NOAM, .lr = 1, .d_model = 512, .warmup_steps = 4000};
    cr_assert_float_eq(lr_at(noam, 4000), 6.988e-4, 1e-7);
    cr_assert_float_eq(lr_at(noam, 1), 6.98771e-4 / 4000, 1e-11);
    cr_assert_float_eq(lr_at(noam, 16000), 6.98771e-4 / 2, 1e-8);

    rv_schedule cosine = {
        .kind = RV_SCHEDULE_COSINE, .lr = 1e-3, .min_lr = 1e-4, .warmup_steps = 100, .total_steps = 1100};
    cr_assert_float_eq(lr_at(cosine, 1), 1e-5, 1e-15);
    cr_assert_float_eq(lr_at(cosine, 100), 1e-3, 1e-15);
    cr_assert_float_eq(lr_at(cosine, 600), 5.5e-4, 1e-15);
    cr_assert_float_eq(lr_at(cosine, 350), 1e-4 + 0.5 * (1 + sqrt(0.5)) * 9e-4, 1e-15);
    cr_assert_float_eq(lr_at(cosine, 1100), 1e-4, 1e-15);
    cr_assert_float_eq(lr_at(cosine, 5000), 1e-4, 1e-15);

    rv_schedule linear = {.kind = RV_SCHEDULE_LINEAR, .lr = 1, .warmup_steps = 10, .total_steps = 110};
    cr_assert_float_eq(lr_at(linear, 5), 0.5, 1e-15);
    cr_assert_float_eq(lr_at(linear, 60), 0.5, 1e-15);
    cr_assert_float_eq(lr_at(linear, 110), 0, 1e-15);

    rv_schedule step = {.kind = RV_SCHEDULE_STEP, .lr = 1, .every = 10, .factor = 0.5, .min_lr = 0.2};
    cr_assert_eq(lr_at(step, 9), 1);
    cr_assert_eq(lr_at(step, 10), 0.5);
    cr_assert_eq(lr_at(step, 20), 0.25);
    cr_assert_eq(lr_at(step, 30), 0.2);

    rv_schedule constant = {.kind = RV_SCHEDULE_CONSTANT, .lr = 2, .warmup_steps = 4};
    cr_assert_eq(lr_at(constant, 1), 0.5);
    cr_assert_eq(lr_at(constant, 9), 2);
}

/* optimizer.param_groups[0]["lr"] after the s-th scheduler.step() in PyTorch 1.13, lr 0.8: CosineAnnealingLR(o, 8,
 * 0.1), LinearLR(o, 1, 0.25, 6), StepLR(o, 3, 0.5). */
Test(schedule, update_s_has_what_pytorch_has_after_s_steps) {
    static const struct {
        rv_schedule s;
        double lr[8];
    } rows[] = {
        {{.kind = RV_SCHEDULE_COSINE, .lr = 0.8, .min_lr = 0.1, .total_steps = 8},
         {0.7733578363789504, 0.6974873734152917, 0.5839392013277815, 0.45000000000000007, 0.31606079867221865,
          0.20251262658470842, 0.12664216362104966, 0.1}},
        {{.kind = RV_SCHEDULE_LINEAR, .lr = 0.8, .min_lr = 0.2, .total_steps = 6},
         {0.7000000000000001, 0.6000000000000001, 0.5000000000000001, 0.40000000000000013, 0.3000000000000001, 0.2, 0.2,
          0.2}},
        {{.kind = RV_SCHEDULE_STEP, .lr = 0.8, .factor = 0.5, .every = 3}, {0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2, 0.2}},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (int i = 0; i < 8; i++)
            cr_expect_float_eq(lr_at(rows[k].s, i + 1), rows[k].lr[i], 1e-14, "%s, update %d",
                               rv_schedule_name(rows[k].s.kind), i + 1);
}

Test(schedule, plateau) {
    rv_schedule s = {
        .kind = RV_SCHEDULE_PLATEAU, .lr = 1, .factor = 0.5, .patience = 2, .threshold = 1e-4, .maximise = true};
    rv_schedule_state st = {0};
    cr_assert_eq(rv_schedule_check(&s), RV_OK);
    const double metric[] = {10, 12, 12, 11, 11.5, 12.1, 12, NAN, 12, 12, 12, 12};
    const double lr[] = {1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125};
    for (int i = 0; i < 12; i++) {
        rv_schedule_observe(&s, &st, metric[i]);
        cr_assert_eq(rv_schedule_lr(&s, &st, i + 1), lr[i], "after observation %d", i);
    }
    s.maximise = false;
    st = (rv_schedule_state){0};
    rv_schedule_observe(&s, &st, 5);
    rv_schedule_observe(&s, &st, 4);
    cr_assert_eq(st.best, 4);
    cr_assert_eq(st.bad, 0);
}

Test(schedule, wrong_settings_are_refused) {
    rv_schedule s = {.kind = RV_SCHEDULE_NOAM, .lr = 1, .d_model = 512};
    cr_assert_eq(rv_schedule_check(&s), RV_EUSAGE);
    s = (rv_schedule){.kind = RV_SCHEDULE_COSINE, .lr = 1, .warmup_steps = 10, .total_steps = 10};
    cr_assert_eq(rv_schedule_check(&s), RV_EUSAGE);
    s = (rv_schedule){.kind = RV_SCHEDULE_LINEAR, .lr = 1, .min_lr = 2, .total_steps = 10};
    cr_assert_eq(rv_schedule_check(&s), RV_EUSAGE);
}

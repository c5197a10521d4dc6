/* Ten training steps of a model against PyTorch's, stored by a script in tests/reference: /NAME/init, the first step's
 * gradients /NAME/f64/grad, /NAME/f64/loss and norm of each step, and /NAME/f64/final. A header, as it is compiled with
 * either precision. */
#ifndef RV_TESTS_PARITY_H
#define RV_TESTS_PARITY_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optim/clip.h"
#include "optim/optim.h"
#include "ravel.h"
#include "support/reference.h"

enum { PARITY_STEPS = 10 };

typedef struct {
    const char *file, *name; /* of tests/reference, and of the model in it */
    double rtol;             /* in double; 1e-5 in float */
    rv_params *params;
    rv_optim_kind optim;
    double weight_decay;
    rv_tensor *(*loss)(rv_tape *tape, void *ctx, int step);
    void *ctx;
} parity;

/* `part` is what stands behind /NAME/. */
static void parity_close(const parity *p, const rv_real *got, int64_t from, int64_t to, const char *part) {
    char path[256];
    snprintf(path, sizeof path, "/%s/%s", p->name, part);
    /* Adam divides by the root of a squared gradient: where a gradient is near 0 its rounding is a direction. */
    bool exact = sizeof(rv_real) == 8;
    double rtol = exact ? p->rtol : 1e-5, atol = exact ? 1e-10 : strstr(part, "final") ? 1e-4 : 1e-5;
    double *want = rv_ref_read(p->file, path, NULL, NULL);
    for (int64_t i = from; i < to; i++)
        cr_assert(fabs((double)got[i] - want[i]) <= atol + rtol * fabs(want[i]), "%s[%lld] is %.12g, PyTorch has %.12g",
                  path, (long long)i, (double)got[i], want[i]);
    free(want);
}

/* /NAME/WHICH as n integers, malloc'd. */
static int32_t *parity_integers(const parity *p, const char *which, int64_t n) {
    char path[256];
    snprintf(path, sizeof path, "/%s/%s", p->name, which);
    double *v = rv_ref_read(p->file, path, NULL, NULL);
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)v[i];
    free(v);
    return ids;
}

static void parity_begin(const parity *p) {
    for (int i = 0; i < p->params->n; i++) {
        rv_param *q = p->params->p[i];
        char path[256];
        int ndim;
        int64_t dims[8];
        snprintf(path, sizeof path, "/%s/init/%s", p->name, q->name);
        double *v = rv_ref_read(p->file, path, &ndim, dims);
        cr_assert_eq(ndim, q->t.ndim, "%s", path);
        for (int k = 0; k < ndim; k++) cr_assert_eq(dims[k], q->t.dim[k], "%s", path);
        for (int64_t j = 0; j < rv_numel(&q->t); j++) q->t.x[j] = (rv_real)v[j];
        free(v);
    }
}

static void parity_train(const parity *p) {
    char part[200];
    rv_params *ps = p->params;
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    parity_begin(p);
    rv_optim_settings s = rv_optim_defaults(p->optim);
    s.weight_decay = p->weight_decay;
    rv_optim *o;
    cr_assert_eq(rv_optim_create(p->optim, &s, ps, &o), RV_OK);
    rv_tape *tape = rv_tape_create();
    rv_tape_set_training(tape, true);
    rv_real losses[PARITY_STEPS], norms[PARITY_STEPS];
    for (int t = 0; t < PARITY_STEPS; t++) {
        rv_tape_reset(tape);
        rv_params_zero_grad(ps);
        rv_tensor *loss = p->loss(tape, p->ctx, t);
        cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
        rv_params_finish_grad(ps);
        for (int i = 0; t == 0 && i < ps->n; i++) {
            snprintf(part, sizeof part, "f64/grad/%s", ps->p[i]->name);
            parity_close(p, ps->p[i]->t.g, 0, rv_numel(&ps->p[i]->t), part);
        }
        double norm;
        cr_assert_eq(rv_grad_norm(ps, &norm), RV_OK);
        norms[t] = (rv_real)norm;
        losses[t] = loss->x[0];
        rv_optim_step(o, 1e-2, rv_clip_factor(norm, 1));
    }
    parity_close(p, losses, 0, PARITY_STEPS, "f64/loss");
    parity_close(p, norms, 0, PARITY_STEPS, "f64/norm");
    for (int i = 0; i < ps->n; i++) {
        int64_t n = rv_numel(&ps->p[i]->t);
        /* A bias of the keys moves all scores of a row alike, so its gradient is 0 but for rounding, and Adam makes a
         * full step of any rounding: there is nothing to agree on. It is the middle third. */
        bool has_keys = strstr(ps->p[i]->name, "in_proj_bias") != NULL;
        snprintf(part, sizeof part, "f64/final/%s", ps->p[i]->name);
        parity_close(p, ps->p[i]->t.x, 0, has_keys ? n / 3 : n, part);
        if (has_keys) parity_close(p, ps->p[i]->t.x, n - n / 3, n, part);
    }
    rv_tape_destroy(tape);
    rv_optim_destroy(o);
}

#endif

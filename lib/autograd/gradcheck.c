#include "autograd/gradcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { SMALL = 600, SOME = 12 }; /* elements: leaves up to SMALL are checked whole, larger ones in SOME places */
/* Steps of the differences: small ones, so as to cross few of an op's edges; and for smooth ops larger ones, which lose
 * less to the rounding within the op, extrapolated (Richardson), so that what the step cuts off shrinks with its fourth
 * power. */
static const double EPS = 1e-6, EPS_SMOOTH = 1e-4;

static double weight(uint64_t i) {
    rv_rng r = rv_rng_make(2, "gradcheck", i);
    return 2 * rv_rng_uniform(&r) - 1;
}

static rv_status build(rv_tape *tape, const rv_op *op, int k, rv_tensor **y) {
    rv_tape_reset(tape);
    *y = op->sample(tape, k);
    return rv_tape_status(tape);
}

/* sum of w (y(+eps) - y(-eps)) / 2 eps, differences first: large outputs then cost no digits. *noise: what the rounding
 * of the largest output alone can make of it. */
static rv_status difference(rv_tape *tape, const rv_op *op, int k, int leaf, int64_t elem, double eps, int64_t n,
                            const rv_real *w, rv_real *plus, double *d, double *noise) {
    rv_tensor *y;
    rv_sample_perturb(tape, leaf, elem, eps);
    rv_status s = build(tape, op, k, &y);
    if (s == RV_OK) {
        memcpy(plus, y->x, (size_t)n * sizeof *plus);
        rv_sample_perturb(tape, leaf, elem, -eps);
        s = build(tape, op, k, &y);
    }
    rv_sample_perturb(tape, -1, 0, 0);
    if (s != RV_OK) return s;
    *d = 0;
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
        *d += (double)w[i] * ((double)plus[i] - (double)y->x[i]);
        largest = fmax(largest, fabs((double)y->x[i]));
    }
    *d /= 2 * eps;
    *noise = DBL_EPSILON * largest / eps;
    return RV_OK;
}

static rv_status numeric(rv_tape *tape, const rv_op *op, int k, int leaf, int64_t elem, int64_t n, const rv_real *w,
                         rv_real *plus, double *d, double *noise) {
    if (!op->smooth) return difference(tape, op, k, leaf, elem, EPS, n, w, plus, d, noise);
    double twice;
    RV_TRY(difference(tape, op, k, leaf, elem, 2 * EPS_SMOOTH, n, w, plus, &twice, noise));
    RV_TRY(difference(tape, op, k, leaf, elem, EPS_SMOOTH, n, w, plus, d, noise));
    *d = (4 * *d - twice) / 3;
    *noise *= 4. / 3 + 1. / 6;
    return RV_OK;
}

static rv_status check_leaf(rv_tape *tape, const rv_op *op, int k, int leaf, int64_t n, const rv_real *w, rv_real *plus,
                            const rv_real *g, int64_t size, rv_gradcheck_report *r) {
    double largest = 0;
    for (int64_t i = 0; i < size; i++) largest = fmax(largest, fabs((double)g[i]));
    int64_t places = size <= SMALL ? size : SOME;
    for (int64_t p = 0; p < places; p++) {
        int64_t elem = size <= SMALL ? p : (p * size + p * p) / SOME % size;
        double num = 0, noise = 0, ana = (double)g[elem];
        RV_TRY(numeric(tape, op, k, leaf, elem, n, w, plus, &num, &noise));
        double scale = fmax(fmax(fabs(num), fabs(ana)), 0.01 * largest),
               err = fmax(fabs(num - ana) - noise, 0) / fmax(scale, 1e-3);
        if (num != num || ana != ana) err = INFINITY;
        r->checked++;
        if (err > r->worst) *r = (rv_gradcheck_report){err, r->checked, k, leaf, elem, ana, num};
    }
    return RV_OK;
}

static rv_status check_sample(rv_tape *tape, const rv_op *op, int k, rv_gradcheck_report *r, bool *more) {
    rv_tensor *y;
    RV_TRY(build(tape, op, k, &y));
    *more = y != NULL;
    if (!y) return RV_OK;
    int leaves = rv_sample_count(tape);
    int64_t n = rv_numel(y), total = 0;
    for (int i = 0; i < leaves; i++) total += rv_numel(rv_sample_get(tape, i));
    rv_real *mem = rv_alloc((size_t)(2 * n + total) * sizeof *mem), *w = mem, *plus = w + n, *g = plus + n;
    if (!mem) return RV_ENOMEM;
    for (int64_t i = 0; i < n; i++) w[i] = (rv_real)weight((uint64_t)i);
    rv_status s = rv_backward_from(tape, y, w);
    for (int i = 0, at = 0; s == RV_OK && i < leaves; i++) {
        rv_tensor *t = rv_sample_get(tape, i);
        if (t->has_grad) memcpy(g + at, t->g, (size_t)rv_numel(t) * sizeof *g); /* else no part of y: zeros */
        at += (int)rv_numel(t);
    }
    for (int i = 0; s == RV_OK && i < leaves; i++) {
        RV_TRY(build(tape, op, k, &y));
        int64_t size = rv_numel(rv_sample_get(tape, i));
        s = check_leaf(tape, op, k, i, n, w, plus, g, size, r);
        g += size;
    }
    rv_free(mem);
    return s;
}

rv_status rv_gradcheck(const rv_op *op, rv_gradcheck_report *report) {
    *report = (rv_gradcheck_report){0};
    rv_tape *tape = rv_tape_create();
    if (!tape) return RV_ENOMEM;
    rv_tape_seed(tape, 1, 1);
    rv_status s = RV_OK;
    bool more = true;
    for (int k = 0; s == RV_OK && more; k++) s = check_sample(tape, op, k, report, &more);
    rv_tape_destroy(tape);
    return s;
}

/* x = x0 + h d */
static void move(int n, rv_tensor *const *params, const rv_real *x0, double h, rv_rng rng) {
    for (int i = 0; i < n; i++)
        for (int64_t j = 0, m = rv_numel(params[i]); j < m; j++)
            params[i]->x[j] = (rv_real)((double)*x0++ + h * (2 * rv_rng_uniform(&rng) - 1));
}

static rv_status loss_value(rv_tape *tape, rv_loss_fn *loss, void *arg, double *value) {
    rv_tape_reset(tape);
    rv_tensor *y = loss(tape, arg);
    RV_TRY(rv_tape_status(tape));
    *value = (double)y->x[0];
    return RV_OK;
}

static rv_status taylor(rv_tape *tape, rv_loss_fn *loss, void *arg, int n, rv_tensor *const *params, const rv_real *x0,
                        double h, double *slope) {
    rv_rng direction = rv_rng_make(3, "taylor", 0), rng = direction;
    for (int i = 0; i < n; i++) params[i]->has_grad = false;
    rv_tape_reset(tape);
    rv_tensor *y = loss(tape, arg);
    RV_TRY(rv_backward(tape, y));
    double here = (double)y->x[0], along = 0;
    for (int i = 0; i < n; i++)
        for (int64_t j = 0, m = rv_numel(params[i]); j < m; j++) {
            double d = 2 * rv_rng_uniform(&rng) - 1;
            if (params[i]->has_grad) along += d * (double)params[i]->g[j];
        }
    /* Least squares through (log h, log remainder). */
    enum { POINTS = 5 };
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (int p = 0; p < POINTS; p++, h /= 2) {
        double there = 0;
        move(n, params, x0, h, direction);
        RV_TRY(loss_value(tape, loss, arg, &there));
        double lx = log2(h), ly = log2(fabs(there - here - h * along));
        sx += lx, sy += ly, sxx += lx * lx, sxy += lx * ly;
    }
    *slope = (POINTS * sxy - sx * sy) / (POINTS * sxx - sx * sx);
    return RV_OK;
}

rv_status rv_taylor_slope(rv_tape *tape, rv_loss_fn *loss, void *arg, int n, rv_tensor *const *params, double h,
                          double *slope) {
    int64_t total = 0, at = 0;
    for (int i = 0; i < n; i++) total += rv_numel(params[i]);
    rv_real *x0 = rv_alloc((size_t)total * sizeof *x0);
    if (!x0) return RV_ENOMEM;
    for (int i = 0; i < n; at += rv_numel(params[i]), i++)
        memcpy(x0 + at, params[i]->x, (size_t)rv_numel(params[i]) * sizeof *x0);
    rv_status s = taylor(tape, loss, arg, n, params, x0, h > 0 ? h : 1e-2, slope);
    at = 0;
    for (int i = 0; i < n; at += rv_numel(params[i]), i++)
        memcpy(params[i]->x, x0 + at, (size_t)rv_numel(params[i]) * sizeof *x0);
    rv_free(x0);
    return s;
}

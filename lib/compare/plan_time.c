/* How long a model's training step takes: what plans match by, where they match by wall clock. */
#include <stdlib.h>

#include "base/log.h"
#include "base/parallel.h"
#include "compare/plan_private.h"
#include "kernels/gemm.h"
#include "optim/clip.h"
#include "train/freeze.h"
#include "train/optim_config.h"

/* Of a model's time: steps, and seconds after which the least are enough. */
enum { WARMUP_STEPS = 3, STEPS_LEAST = 9, STEPS_MOST = 200 };
static const double SECONDS = 0.5;

static rv__step_clock step_clock;
static void *step_clock_user;

void rv__step_set_clock(rv__step_clock clock, void *user) {
    step_clock = clock;
    step_clock_user = user;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(int n, double *x) {
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* A model that is trained, to see how long that takes. */
typedef struct {
    rv__built *b;
    rv_tape *tape;
    rv_optim *optim;
} runner;

static rv_status runner_open(rv__built *b, runner *r) {
    *r = (runner){.b = b, .tape = rv_tape_create()};
    RV_TRY(r->tape ? rv_params_materialise(b->params, 1) : RV_ENOMEM);
    RV_TRY(rv_freeze(b->config, b->params));
    rv_tape_set_training(r->tape, true);
    return rv_optim_from_config(b->config, b->params, &r->optim);
}

static void runner_close(runner *r) {
    if (r->optim) rv_optim_destroy(r->optim);
    rv_tape_destroy(r->tape);
}

/* *spent grows by the seconds that it took. */
static rv_status time_step(runner *r, uint64_t step, double *per_token, double *spent) {
    rv_task *task = r->b->task;
    double t0 = rv_now(), norm;
    const rv_real one = 1;
    rv_params_zero_grad(r->b->params);
    rv_tape_reset(r->tape);
    rv_tape_seed(r->tape, 1, step);
    const rv_batch *batch = rv_task_next(task);
    const int64_t tokens = batch->steps;
    if (rv_model_counts(rv_task_model(task))) {
        RV_TRY(rv_model_count(rv_task_model(task), batch));
    } else {
        RV_TRY(rv_backward_from(r->tape, rv_task_loss(r->tape, task), &one));
        rv_params_finish_grad(r->b->params);
        RV_TRY(rv_grad_norm(r->b->params, &norm));
        rv_optim_step(r->optim, 0, 1);
    }
    rv_task_commit(task);
    const double seconds = step_clock ? step_clock(step_clock_user, r->b->config, tokens) : rv_now() - t0;
    *spent += seconds;
    *per_token = seconds / (double)tokens;
    return RV_OK;
}

rv_status rv__time_steps(rv__built *b, rv__built *other, double *first, double *ratio) {
    double each[STEPS_MOST], ratios[STEPS_MOST], spent = 0;
    runner r[2] = {{0}};
    const int models = other ? 2 : 1;
    int n = 0;
    rv_set_threads(0);
    rv_status status = rv_gemm_reserve();
    for (int k = 0; k < models && status == RV_OK; k++) status = runner_open(k ? other : b, &r[k]);
    for (int i = -WARMUP_STEPS; status == RV_OK && n < STEPS_MOST && (n < STEPS_LEAST || spent < SECONDS); i++) {
        double t[2];
        if (i == 0) spent = 0;
        for (int k = 0; k < models && status == RV_OK; k++)
            status = time_step(&r[k], (uint64_t)(i + WARMUP_STEPS), &t[k], &spent);
        if (i < 0 || status != RV_OK) continue;
        each[n] = t[0];
        ratios[n++] = t[models - 1] / t[0];
    }
    for (int k = 0; k < models; k++) runner_close(&r[k]);
    RV_TRY(status);
    *first = median(n, each);
    if (other) *ratio = median(n, ratios);
    return RV_OK;
}

#include "train/trainer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parallel.h"
#include "kernels/gemm.h"
#include "kernels/kernels.h"
#include "io/metrics.h"
#include "io/run_dir.h"
#include "optim/clip.h"
#include "train/freeze.h"
#include "train/optim_config.h"
#include "train/run_state.h"
#include "base/stop.h"
#include "train/take.h"

typedef struct {
    rv_config *config;
    const rv_train_options *options;
    rv_task *task;
    rv_params *params;
    rv_optim *optim;
    rv_schedule schedule;
    rv_tape *tape;
    rv_run_dir *dir;
    rv_metrics *metrics;
    rv_run_state s;
    const char *length_key; /* of the length of the run: train.max_steps or train.epochs */
    int64_t max_steps, accumulate, validate_every, checkpoint_every, log_every;
    int64_t saved_unvalidated;      /* of the latest checkpoint: as in its state */
    int64_t saved_step, shown_best; /* of the latest checkpoint, and of the one that best.h5 shows; -1: none */
    double clip;
    double first_loss, last_loss; /* of this process's step 1, and of its latest validation; NaN: there was none */
    const char *watched;          /* the metric that decides what is best */
    bool minimise;
    int failed_saves, keep_last, keep_best;
} run;

static const char metrics_file[] = "metrics.jsonl", config_file[] = "experiment.yaml"; /* of a run's folder */

static rv_run_parts parts_of(run *r) { return (rv_run_parts){r->config, r->task, r->params, r->optim, &r->s}; }

/* ---- one step */

static double learning_rate(const run *r) { return rv_schedule_lr(&r->schedule, &r->s.schedule, r->s.step + 1); }

static rv_status diverged(run *r, rv_status status);

typedef const rv_batch *fetch(rv_task *task);

/* Gradients of one step's micro-batches, which are still to be multiplied by *scale; *loss is the mean over all their
 * targets. The loss of each is a mean, too: so it is weighted by its targets, of which the first one's stand for all
 * until they are counted. Where all have as many, *scale is exactly 1. */
static rv_status gradients(run *r, fetch *next_batch, double *loss, int64_t *tokens, double *scale) {
    const double parts = (double)r->accumulate;
    double first = 0, targets = 0;
    *loss = 0;
    *tokens = 0;
    rv_params_zero_grad(r->params);
    for (int64_t i = 0; i < r->accumulate; i++) {
        rv_tape_reset(r->tape);
        rv_tape_seed(r->tape, r->s.seed, r->s.rng_step++);
        const rv_batch *b = next_batch(r->task);
        const double here = (double)b->targets;
        if (i == 0) first = here;
        const double share = here / (first * parts);
        rv_tensor *l = rv_task_loss(r->tape, r->task);
        RV_TRY(rv_backward_from(r->tape, l, &(rv_real){(rv_real)share}));
        *loss += (double)l->x[0] * share;
        targets += here;
        *tokens += b->steps;
    }
    rv_params_finish_grad(r->params);
    *scale = first * parts / targets;
    *loss *= *scale;
    return RV_OK;
}

/* A step that counts all of the training part; *loss is that of its last batch under what was counted. */
static rv_status count_all(run *r, double *loss, int64_t *tokens) {
    *tokens = 0;
    for (int64_t i = rv_task_batches_of_epochs(r->task, 1); i > 0; i--) {
        RV_TRY(rv_stop_requested());
        const rv_batch *b = rv_task_next(r->task);
        RV_TRY(rv_model_count(rv_task_model(r->task), b));
        *tokens += b->steps;
    }
    rv_tape_reset(r->tape);
    const rv_tensor *l = rv_task_loss(r->tape, r->task);
    *loss = l ? (double)l->x[0] : NAN;
    return l ? RV_OK : rv_tape_status(r->tape);
}

static rv_status train_step(run *r) {
    double t0 = rv_now(), loss, scale = 1, lr = learning_rate(r);
    int64_t tokens;
    uint64_t rng_before = r->s.rng_step;
    const bool counts = rv_model_counts(rv_task_model(r->task));
    RV_TRY(counts ? count_all(r, &loss, &tokens) : gradients(r, rv_task_next, &loss, &tokens, &scale));
    if (r->s.step == 0) r->first_loss = loss;
    double norm = 0;
    rv_status status = counts ? RV_OK : rv_grad_norm(r->params, &norm);
    if (status == RV_OK && !isfinite(loss))
        status = rv_error(RV_EDIVERGED, "the loss is %g%s", loss,
                          counts ? "" : "; lower train.optimizer.lr, set train.clip_grad_norm or lengthen the warm-up");
    if (status != RV_OK) {
        r->s.rng_step = rng_before;
        return diverged(r, status);
    }
    norm *= scale;
    if (!counts) rv_optim_step(r->optim, lr, scale * rv_clip_factor(norm, r->clip));
    rv_task_commit(r->task);
    r->s.step++;
    r->s.tokens += tokens;
    r->s.epoch = rv_task_epoch(r->task);
    r->s.running_loss = r->s.step == 1 ? loss : 0.98 * r->s.running_loss + 0.02 * loss;
    double seconds = rv_now() - t0;
    if (r->s.step % r->log_every == 0) {
        rv_metrics_begin(r->metrics, r->s.step, "train");
        rv_metrics_real(r->metrics, "loss", loss);
        rv_metrics_real(r->metrics, "grad_norm", norm);
        rv_metrics_real(r->metrics, "lr", lr);
        rv_metrics_int(r->metrics, "epoch", r->s.epoch);
        rv_metrics_int(r->metrics, "tokens", r->s.tokens);
        rv_metrics_real(r->metrics, "tokens_per_second", (double)tokens / seconds);
        rv_metrics_int(r->metrics, "peak_memory_bytes", rv_peak_memory());
        rv_metrics_end(r->metrics);
    }
    return RV_OK;
}

/* ---- checkpoints */

/* The best step's checkpoint is in the folder. It is not when the run was resumed from elsewhere. */
static bool best_is_there(const run *r) {
    char name[32], path[RV_PATH_MAX];
    if (!r->s.n_best || !r->keep_best) return false;
    rv_run_dir_name(r->s.best_step[0], name);
    rv_run_dir_file(r->dir, name, path);
    return access(path, F_OK) == 0;
}

/* best.h5 shows the best checkpoint, and old ones go. The latest is safe already: a failure is worth a warning only. */
static void tidy(run *r) {
    rv_status status = RV_OK;
    if (best_is_there(r) && r->shown_best != r->s.best_step[0]) {
        status = rv_run_dir_mark_best(r->dir, r->s.best_step[0]);
        if (status == RV_OK) r->shown_best = r->s.best_step[0];
    }
    int best = r->s.n_best < r->keep_best ? (int)r->s.n_best : r->keep_best;
    if (status == RV_OK) status = rv_run_dir_prune(r->dir, r->keep_last, r->s.best_step, best);
    if (status != RV_OK) rv_warn("%s; it is tried again after the next checkpoint", rv_error_message());
}

/* For reports; a run that goes on drops the line. */
static void log_divergence(run *r, int64_t step) {
    rv_metrics_begin(r->metrics, step, "diverged");
    rv_metrics_text(r->metrics, "why", rv_error_message());
    rv_metrics_end(r->metrics);
}

static rv_status save(run *r, bool last) {
    /* A step whose validation a signal broke off was saved before it; once that is made up for, the file is behind. */
    const bool again = r->saved_step == r->s.step;
    if (again && r->saved_unvalidated == r->s.unvalidated) return RV_OK;
    rv_run_parts parts = parts_of(r);
    rv_status status =
        rv_check_values(r->params); /* the update itself may overflow: good checkpoints must not make room for that */
    if (status == RV_EDIVERGED) log_divergence(r, r->s.step);
    if (status != RV_OK) return rv_error_context(status, "after step %lld: ", (long long)r->s.step);
    rv_metrics_sync(r->metrics);
    status = rv_run_save(&parts, r->dir, again ? RV_SAVE_AGAIN : RV_SAVE_NEW);
    if (status == RV_OK) {
        r->saved_step = r->s.step;
        r->saved_unvalidated = r->s.unvalidated;
        r->failed_saves = 0;
        tidy(r);
        return RV_OK;
    }
    if (status != RV_ECKPT || last || ++r->failed_saves >= RV_SAVE_ATTEMPTS) return status;
    rv_warn("%s; training goes on (failed save %d of %d)", rv_error_message(), r->failed_saves, RV_SAVE_ATTEMPTS);
    return RV_OK;
}

/* A folder on which a checkpoint has no room is found out before hours of training. */
static rv_status try_saving(run *r) {
    rv_run_parts parts = parts_of(r);
    rv_status status = rv_run_save(&parts, r->dir, RV_SAVE_TRY);
    return status == RV_OK ? status : rv_error_context(status, "saving was tried before training: ");
}

/* The settings that make a run diverge, as they are: what the remedy is about. */
static const char *causes(const run *r, char *text, size_t size) {
    static const char *const norms[] = {"model.encoder.norm", "model.decoder.norm"};
    const rv_config *c = r->config;
    if (!rv_config_has(c, "train.optimizer")) return "none; the counts are damaged";
    size_t used = (size_t)snprintf(text, size, "train.optimizer.lr %g", rv_config_real(c, "train.optimizer.lr"));
    if (r->clip <= 0) used += (size_t)snprintf(text + used, size - used, ", train.clip_grad_norm 0 (off)");
    if (rv_config_has(c, "train.lr_scheduler.warmup_steps") && rv_config_int(c, "train.lr_scheduler.warmup_steps") == 0)
        used += (size_t)snprintf(text + used, size - used, ", no warm-up");
    for (int i = 0; i < 2; i++)
        if (rv_config_has(c, norms[i]) && rv_config_is(c, norms[i], "none"))
            used += (size_t)snprintf(text + used, size - used, ", %s none", norms[i]);
    return text;
}

/* After an error, whose record says why: the state is saved, and the error says where. */
static rv_status keep_state(run *r, rv_status status, const char *what, const char *then) {
    char why[1024], kept[1024];
    snprintf(why, sizeof why, "%s", rv_error_message());
    if (r->s.step == 0)
        snprintf(kept, sizeof kept, "is the initial one");
    else if (save(r, true) != RV_OK)
        snprintf(kept, sizeof kept, "could not be saved: %s", rv_error_message());
    else
        snprintf(kept, sizeof kept, "is saved in %s", rv_run_dir_path(r->dir));
    return rv_error(status, "%s: %s. %s %s", what, why, then, kept);
}

/* Nothing was updated: the state before the step is kept. */
static rv_status diverged(run *r, rv_status status) {
    char what[64], why[256], then[384];
    if (status == RV_EDIVERGED) log_divergence(r, r->s.step + 1);
    snprintf(what, sizeof what, "step %lld diverged", (long long)r->s.step + 1);
    snprintf(then, sizeof then, "Likely causes: %s. Nothing was updated, and the state before it",
             causes(r, why, sizeof why));
    return status == RV_EDIVERGED ? keep_state(r, status, what, then) : status;
}

/* ---- validation */

/* Put a validation's value in its place among the best; returns the place, counted from 0. The best value is known even
 * when no best checkpoint is kept. NaN has no place. */
static int rank_value(run *r, double value) {
    int keep = r->keep_best > 1 ? r->keep_best : 1, n = (int)r->s.n_best, at = n;
    if (isnan(value)) return RV_BEST_MAX;
    while (at > 0 && (r->minimise ? value < r->s.best_value[at - 1] : value > r->s.best_value[at - 1])) at--;
    if (at >= keep) return at;
    if (n >= keep) n = keep - 1; /* it is more when keep_best was lowered on resuming */
    for (int i = n; i > at; i--) {
        r->s.best_value[i] = r->s.best_value[i - 1];
        r->s.best_step[i] = r->s.best_step[i - 1];
    }
    r->s.best_value[at] = value;
    r->s.best_step[at] = r->s.step;
    r->s.n_best = n + 1;
    return at;
}

/* Validations without improvement have used the patience up. Patience 0 is that of 1: the first one ends the run. */
static bool out_of_patience(const run *r) {
    return rv_config_has(r->config, "train.early_stopping") && r->s.bad_validations > 0 &&
           r->s.bad_validations >= rv_config_int(r->config, "train.early_stopping.patience");
}

/* *keep: this step is among the best, so its checkpoint is wanted. */
static rv_status validate(run *r, bool *keep) {
    rv_metrics_result result;
    RV_TRY(rv_task_evaluate(r->tape, r->task, RV_SUBSET_VALID, false, &result));
    rv_metrics_begin(r->metrics, r->s.step, "valid");
    char line[256] = "";
    for (int i = 0; i < result.n; i++) {
        rv_metrics_real(r->metrics, result.m[i].name, result.m[i].value);
        size_t at = strlen(line);
        snprintf(line + at, sizeof line - at, "  %s %.4f", result.m[i].name, result.m[i].value);
    }
    rv_metrics_end(r->metrics);
    r->last_loss = rv_metrics_value(&result, "loss");
    double value = rv_metrics_value(&result, r->watched);
    if (rv_schedule_observe(&r->schedule, &r->s.schedule, value))
        rv_info("the learning rate is cut to %g", learning_rate(r));
    int rank = rank_value(r, value);
    r->s.bad_validations = rank == 0 ? 0 : r->s.bad_validations + 1;
    r->s.unvalidated = false;
    rv_info("step %-7lld valid%s%s", (long long)r->s.step, line, rank == 0 ? "  (best so far)" : "");
    *keep = rank < r->keep_best;
    r->s.stopped = out_of_patience(r);
    if (r->s.stopped && r->s.n_best)
        rv_info("early stopping: %s has not improved on %.4f (step %lld) in %lld validations", r->watched,
                r->s.best_value[0], (long long)r->s.best_step[0], (long long)r->s.bad_validations);
    else if (r->s.stopped)
        rv_info("early stopping: %s was not a number in %lld validations", r->watched, (long long)r->s.bad_validations);
    return RV_OK;
}

/* ---- the loop */

static void forget_best(rv_run_state *s, const rv_run_state *before) {
    memcpy(s->best_value, before->best_value, sizeof s->best_value);
    memcpy(s->best_step, before->best_step, sizeof s->best_step);
    s->n_best = before->n_best;
}

static bool complete(const run *r) { return !r->s.unvalidated && (r->s.step >= r->max_steps || r->s.stopped); }

static rv_status loop(run *r) {
    rv_progress *bar = rv_progress_start("training", "steps", r->s.step, r->max_steps);
    rv_status status = RV_OK;
    double t0 = rv_now();
    int64_t tokens0 = r->s.tokens;
    while (status == RV_OK && !complete(r)) {
        if (!r->s.unvalidated) {
            status = train_step(r);
            if (status != RV_OK) break;
            r->s.unvalidated = r->s.step % r->validate_every == 0 || r->s.step == r->max_steps;
        }
        rv_progress_update(bar, r->s.step, "loss %.4f, %.3g tokens/s", r->s.running_loss,
                           (double)(r->s.tokens - tokens0) / (rv_now() - t0));
        bool best = false;
        rv_run_state before = r->s;
        if (r->s.unvalidated) status = validate(r, &best);
        if (status != RV_OK &&
            status != rv_stop_requested()) { /* a signal breaks a validation off; the resumed run does it */
            char what[64];
            snprintf(what, sizeof what, "the validation after step %lld failed", (long long)r->s.step);
            if (r->s.unvalidated) status = keep_state(r, status, what, "The state, to go on from,");
            break;
        }
        rv_status stop = rv_stop_requested();
        if (stop == RV_OK && r->options->on_step &&
            !r->options->on_step(r->options->on_step_ctx, r->s.step, r->s.running_loss))
            stop = RV_ETERM;
        bool end = complete(r) || stop != RV_OK;
        if (end || best || r->s.step % r->checkpoint_every == 0) status = save(r, end);
        if (best && r->saved_step != r->s.step)
            forget_best(&r->s, &before); /* the save failed: the older ones stay the best */
        if (status == RV_OK && stop != RV_OK)
            status = rv_error(stop, "stopped by a signal; step %lld is saved in %s. The same command continues%s",
                              (long long)r->s.step, rv_run_dir_path(r->dir),
                              r->s.unvalidated ? ", with the validation that was broken off" : "");
    }
    rv_progress_finish(bar);
    return status;
}

enum { FROZEN = 64 };

/* ", 1234 of them frozen" behind a number of parameters; nothing where none is. */
static const char *say_frozen(const run *r, char text[FROZEN]) {
    const long long n = rv_model_counts(rv_task_model(r->task)) ? 0 : rv_params_frozen(r->params); /* counts are not */
    snprintf(text, FROZEN, n ? ", %lld of them frozen" : "", n);
    return text;
}

/* The step of a model that counts is all of its training: it is done, and not kept. */
static rv_status dry_count(run *r) {
    double loss;
    int64_t tokens;
    const double t0 = rv_now();
    RV_TRY(count_all(r, &loss, &tokens));
    printf("parameters        %lld, counted in one step\ntokens per step   %lld\nloss then         %.4f, of a batch\n"
           "peak memory       %.1f MiB\nexpected in all   %.3g s, without validation\n",
           (long long)rv_params_count(r->params), (long long)tokens, loss, (double)rv_peak_memory() / 1048576.,
           rv_now() - t0);
    return RV_OK;
}

static rv_status dry_run(run *r) {
    if (rv_model_counts(rv_task_model(r->task))) return dry_count(r);
    double loss, scale, flops;
    int64_t tokens, positions;
    RV_TRY(gradients(r, rv_task_largest, &loss, &tokens, &scale)); /* the arenas reach their size */
    double t0 = rv_now();
    RV_TRY(gradients(r, rv_task_largest, &loss, &tokens, &scale));
    rv_optim_step(r->optim, 0, 1);
    double seconds = rv_now() - t0;
    rv_task_cost(r->task, r->params, &flops, &positions);
    flops *= 3. * (double)r->accumulate; /* backward costs twice the forward pass */
    char frozen[FROZEN];
    printf("parameters        %lld%s\n", (long long)rv_params_count(r->params), say_frozen(r, frozen));
    printf("FLOPs per step    %.4g%s\n", flops, *frozen ? ", frozen parts counted as if they were trained" : "");
    printf("tokens per step   %lld\nfirst loss        %.4f\n", (long long)tokens, loss);
    printf("peak memory       %.1f MiB (activations %.1f, gradients %.1f)\n", (double)rv_peak_memory() / 1048576.,
           (double)rv_tape_step_bytes(r->tape) / 1048576., (double)rv_tape_grad_bytes(r->tape) / 1048576.);
    printf("time per step     %.4g s (%.1f GFLOP/s)\n", seconds, flops / seconds * 1e-9);
    printf("expected in all   %.3g minutes for %lld steps, without validation\n", seconds * (double)r->max_steps / 60,
           (long long)r->max_steps);
    return RV_OK;
}

/* ---- beginning and end */

static rv_status open_saved(run *r, rv_checkpoint **saved) {
    const char *resume = r->options->resume ? r->options->resume : "auto", *dir = rv_run_dir_path(r->dir);
    *saved = NULL;
    if (!strcmp(resume, "never")) { /* good or damaged, they are not to be lost */
        int64_t *steps;
        int n;
        RV_TRY(rv_run_dir_list(dir, &steps, &n));
        free(steps);
        return n ? rv_error(RV_EUSAGE,
                            "%s already holds checkpoints, which --resume never leaves alone; remove the folder, or "
                            "choose another name or checkpoint.dir",
                            dir)
                 : RV_OK;
    }
    if (!strcmp(resume, "auto"))
        RV_TRY(rv_run_dir_latest(dir, saved));
    else
        RV_TRY(rv_checkpoint_open(resume, saved));
    return *saved ? rv_run_check_config(r->config, *saved) : RV_OK;
}

static void read_settings(run *r) {
    const rv_config *c = r->config;
    r->accumulate = rv_config_has(c, "train.accumulate") ? rv_config_int(c, "train.accumulate") : 1;
    r->validate_every = rv_config_int(c, "train.validate_every");
    r->log_every = rv_config_int(c, "train.log_every");
    r->checkpoint_every = rv_config_int(c, "checkpoint.every");
    r->keep_last = (int)rv_config_int(c, "checkpoint.keep_last");
    r->keep_best = (int)rv_config_int(c, "checkpoint.keep_best");
    r->clip = rv_config_has(c, "train.clip_grad_norm") ? rv_config_real(c, "train.clip_grad_norm") : 0;
    r->watched = rv_config_has(c, "train.early_stopping") ? rv_config_text(c, "train.early_stopping.metric") : "loss";
    r->minimise = rv_config_has(c, "train.early_stopping") ? rv_config_is(c, "train.early_stopping.mode", "min") : true;
    r->s.seed = (uint64_t)rv_config_int(c, "seed");
    snprintf(r->s.watched, sizeof r->s.watched, "%s %s", r->watched, r->minimise ? "min" : "max");
    r->saved_step = r->shown_best = -1;
    r->first_loss = r->last_loss = NAN;
}

/* How many updates: given, or those of the passes that are. */
static rv_status count_steps(run *r) {
    r->length_key = "train.max_steps";
    if (rv_config_has(r->config, "train.epochs")) {
        r->length_key = "train.epochs";
        const int64_t epochs = rv_config_int(r->config, "train.epochs");
        const int64_t batches = rv_task_batches_of_epochs(r->task, epochs);
        const int64_t steps = (batches + r->accumulate - 1) / r->accumulate;
        RV_TRY(rv_config_set_steps(r->config, steps));
        rv_info("train.epochs %lld: %lld steps", (long long)epochs, (long long)steps);
    }
    r->max_steps = rv_config_int(r->config, "train.max_steps");
    return RV_OK;
}

static rv_status prepare(run *r, rv_checkpoint *saved) {
    rv_config *c = r->config;
    r->params = rv_params_create();
    r->tape = rv_tape_create();
    if (!r->params || !r->tape) return RV_ENOMEM;
    RV_TRY(rv_task_create(c, saved, true, r->params, &r->task));
    RV_TRY(count_steps(r));
    if (saved) RV_TRY(rv_run_tell_changes(c, saved));
    RV_TRY(rv_params_materialise(r->params, r->s.seed));
    if (!saved) RV_TRY(rv_take_vectors(c, r->task, r->params));
    if (!saved) RV_TRY(rv_take_parts(c, r->task, r->params));
    RV_TRY(rv_freeze(c, r->params));
    RV_TRY(rv_gemm_reserve());
    RV_TRY(rv_optim_from_config(c, r->params, &r->optim));
    RV_TRY(rv_schedule_from_config(c, !r->minimise, &r->schedule));
    RV_TRY(rv_task_check(r->task, RV_SUBSET_VALID, true)); /* not after hours of training */
    r->s.unvalidated = r->max_steps == 0;                  /* no step, and yet a result: the model as it begins */
    rv_tape_set_training(r->tape, true);
    char frozen[FROZEN];
    rv_info("%s: %lld parameters%s, %d threads, %s kernels, in %s", rv_config_text(c, "name"),
            (long long)rv_params_count(r->params), say_frozen(r, frozen), rv_threads(), rv_k()->isa,
            rv_config_text(c, "checkpoint.dir"));
    if (!saved) return RV_OK;
    const rv_run_state now = r->s;
    rv_run_parts parts = parts_of(r);
    rv_status status = rv_run_restore(&parts, saved);
    if (status != RV_OK) return rv_error_context(status, "%s: ", rv_checkpoint_path(saved));
    r->saved_step = r->s.step;
    r->saved_unvalidated = r->s.unvalidated;
    if (strcmp(r->s.watched, now.watched)) {
        rv_warn("%s watched '%.31s', and now '%s' decides: what was best so far is forgotten",
                rv_checkpoint_path(saved), r->s.watched, now.watched);
        memcpy(r->s.watched, now.watched, sizeof now.watched);
        r->s.n_best = r->s.bad_validations = 0;
        r->s.schedule = (rv_schedule_state){.cuts = r->s.schedule.cuts};
    }
    r->s.stopped = out_of_patience(r); /* the patience may have been raised since */
    if (r->s.stopped)
        rv_info("the run is complete: early stopping ended it after step %lld; raise train.early_stopping.patience to "
                "go on",
                (long long)r->s.step);
    else if (complete(r))
        rv_info("the run is complete: it has done %lld of %lld steps; raise %s to go on", (long long)r->s.step,
                (long long)r->max_steps, r->length_key);
    else
        rv_info("resuming from %s after step %lld", rv_checkpoint_path(saved), (long long)r->s.step);
    return RV_OK;
}

/* The resolved configuration beside the checkpoints, for people. */
static rv_status write_config(const run *r) {
    char path[RV_PATH_MAX];
    rv_run_dir_file(r->dir, config_file, path);
    char *text = rv_config_resolved(r->config);
    FILE *f = text ? fopen(path, "w") : NULL;
    bool ok = f && fputs(text, f) >= 0;
    if (f && fclose(f)) ok = false;
    bool printed = text != NULL;
    free(text);
    if (!printed) return RV_ENOMEM;
    return ok ? RV_OK
              : rv_error(RV_EUSAGE, "cannot write %s: %s (free some space, or choose another checkpoint.dir)", path,
                         strerror(errno));
}

/* The loss of a guess, and what it is in words. NaN: numbers have no guess but the first step's, and that of a model
 * that began with trained parts is none. */
static double guess_of(const run *r, const char **words) {
    const rv_source *s = rv_task_source(r->task);
    *words =
        s->out ? "equal probabilities for all tokens would give" : "equal probabilities for all classes would give";
    if (s->out) return log((double)rv_tokenizer_size(s->out));
    if (s->n_classes) return log((double)s->n_classes);
    *words = "that of its first step was";
    return rv_config_count(r->config, "init") ? NAN : r->first_loss;
}

/* A run that ends worse than a guess is "done" as any other: say that nothing was learned. A little above is where
 * they begin. */
static void warn_of_nothing_learned(const run *r) {
    const char *words;
    const double loss = isnan(r->last_loss) ? r->s.running_loss : r->last_loss, guess = guess_of(r, &words);
    char why[256];
    if (r->s.step > 0 && loss > 1.1 * guess)
        rv_warn("the model has learned nothing: at the end its %s loss is %.4g, and %s %.4g. Lower "
                "train.optimizer.lr, set train.clip_grad_norm or lengthen the warm-up, and "
                "train anew; likely causes: %s",
                isnan(r->last_loss) ? "training" : "validation", loss, words, guess, causes(r, why, sizeof why));
}

static rv_status finish(run *r) {
    int average = (int)rv_config_int(r->config, "checkpoint.average_last");
    const char *dir = rv_run_dir_path(r->dir);
    if (average > 1) RV_TRY(rv_run_average_last(r->dir, average));
    rv_info("done: step %lld, epoch %lld, %lld tokens; training loss (running mean) %.4f", (long long)r->s.step,
            (long long)r->s.epoch, (long long)r->s.tokens, r->s.running_loss);
    if (r->s.n_best)
        rv_info("best validation %s %.4f after step %lld%s", r->watched, r->s.best_value[0],
                (long long)r->s.best_step[0], r->shown_best == r->s.best_step[0] ? ": best.h5" : "");
    warn_of_nothing_learned(r);
    rv_info("figures: %s/metrics.jsonl   measure: ravel eval %s   %s %s", dir, dir, rv_task_kind_of(r->task)->use, dir);
    return RV_OK;
}

/* All that may refuse a run, up to its first step. */
static rv_status begin(run *r) {
    rv_checkpoint *saved = NULL;
    rv_status status = open_saved(r, &saved);
    if (status == RV_OK) status = prepare(r, saved);
    int64_t resume_step = saved ? r->s.step : -1;
    rv_checkpoint_close(saved);
    RV_TRY(status);
    RV_TRY(rv_run_dir_set_aside(r->dir, resume_step));
    char path[RV_PATH_MAX];
    rv_run_dir_file(r->dir, metrics_file, path);
    RV_TRY(rv_metrics_open(path, resume_step, r->s.unvalidated ? "valid" : NULL, &r->metrics));
    RV_TRY(write_config(r));
    if (resume_step >= 0) tidy(r); /* the process may have died between a save and this */
    rv_stop_install();
    return complete(r) ? RV_OK : try_saving(r);
}

static rv_status run_it(run *r) {
    rv_set_threads((int)rv_config_int(r->config, "runtime.threads")); /* auto is 0 */
    read_settings(r);
    const char *dir = rv_config_text(r->config, "checkpoint.dir");
    if (rv_run_dir_is_comparison(dir))
        return rv_error(RV_EUSAGE, "%s is the folder of a comparison; choose another name or checkpoint.dir", dir);
    if (r->options->dry_run) {
        RV_TRY(rv_run_dir_can_open(dir));
        RV_TRY(prepare(r, NULL));
        return dry_run(r);
    }
    RV_TRY(rv_run_dir_open(dir, &r->dir));
    rv_status status = begin(r);
    if (status != RV_OK) { /* a refused run leaves nothing behind */
        rv_run_dir_abandon(r->dir, (const char *const[]){metrics_file, config_file, NULL});
        r->dir = NULL;
        return status;
    }
    RV_TRY(loop(r));
    return finish(r);
}

rv_status rv_train(rv_config *config, const rv_train_options *options) {
    run r = {.config = config, .options = options};
    rv_status status = run_it(&r);
    if (r.metrics) rv_metrics_close(r.metrics);
    if (r.dir) rv_run_dir_close(r.dir);
    rv_task_destroy(r.task);
    if (r.optim) rv_optim_destroy(r.optim);
    rv_params_destroy(r.params);
    rv_tape_destroy(r.tape);
    return status;
}

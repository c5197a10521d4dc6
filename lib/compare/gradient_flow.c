/* Norms of dL/dh_t by how far h_t lies before the end of its sequence. */
#include "compare/gradient_flow.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/json_file.h"
#include "nn/init.h"
#include "base/stop.h"

/* One line of the picture: sums over examples by lag. */
typedef struct {
    char name[sizeof((rv_watched *)0)->name];
    const char *kind;
    double *sum;
    int64_t *examples, lags; /* room for that many */
} series;

typedef struct {
    rv_tape *tape;
    rv_watch watch;
    const char *states; /* what the names of the states of interest begin with */
    series s[RV_WATCH_MAX];
    int n;
    int64_t examples, longest;
} flow;

static const double R2_LEAST = 0.9; /* share of the variance that a line must explain */

double rv_half_life(int n, const double *lag, const double *norm) {
    double count = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0, first = INFINITY, last = -INFINITY;
    for (int i = 0; i < n; i++) {
        if (!(norm[i] > 0) || !isfinite(norm[i])) continue;
        count++;
        x += lag[i];
        y += log(norm[i]);
        first = fmin(first, lag[i]);
        last = fmax(last, lag[i]);
    }
    if (count < 3 || !(last > first)) return NAN;
    x /= count;
    y /= count;
    for (int i = 0; i < n; i++) {
        if (!(norm[i] > 0) || !isfinite(norm[i])) continue;
        xx += (lag[i] - x) * (lag[i] - x);
        xy += (lag[i] - x) * (log(norm[i]) - y);
        yy += (log(norm[i]) - y) * (log(norm[i]) - y);
    }
    const double half = -log(2.) * xx / xy;
    const bool straight = xy * xy >= R2_LEAST * xx * yy; /* else the line says nothing of the curve */
    return xy < 0 && straight && half <= RV_FLAT_SPANS * (last - first) ? half : NAN;
}

/* Of elements `step` apart in groups of `size`; what float can no longer tell from 0 counts as 0. */
static double norm(const rv_real *g, int64_t groups, int64_t step, int64_t size) {
    double sum = 0;
    for (int64_t k = 0; k < groups; k++)
        for (int64_t i = 0; i < size; i++) sum += (double)g[k * step + i] * (double)g[k * step + i];
    return sum < (double)FLT_MIN * (double)FLT_MIN ? 0 : sqrt(sum);
}

static series *series_of(flow *f, const rv_watched *w) {
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->s[i].name, w->name)) return &f->s[i];
    series *s = &f->s[f->n];
    *s = (series){.kind = w->kind, .lags = f->longest};
    snprintf(s->name, sizeof s->name, "%s", w->name);
    s->sum = rv_alloc(rv_size_mul((size_t)s->lags, sizeof *s->sum));
    s->examples = rv_alloc(rv_size_mul((size_t)s->lags, sizeof *s->examples));
    if (!s->sum || !s->examples) {
        rv_free(s->sum);
        rv_free(s->examples);
        return NULL;
    }
    f->n++;
    return s;
}

/* Add a batch's norms, each divided by its own example's |dL/dr|, in which the scale of the loss drops out. */
static rv_status collect(flow *f, const int32_t *lengths) {
    const rv_watched *head = NULL;
    for (int i = 0; i < f->watch.n; i++)
        if (!strcmp(f->watch.seen[i].kind, "head")) head = &f->watch.seen[i];
    if (!head) return rv_error(RV_EUSAGE, "the model does not show what its head reads: no gradient flow");
    for (int i = 0; i < f->watch.n; i++) {
        const rv_watched *w = &f->watch.seen[i];
        if (w == head || strncmp(w->name, f->states, strlen(f->states))) continue;
        series *s = series_of(f, w);
        if (!s) return RV_ENOMEM;
        for (int64_t b = 0; b < w->B; b++) {
            double r = norm(head->g + b * head->row, head->T, head->step, head->size);
            if (!(r > 0)) continue; /* this example's loss does not depend on the model */
            for (int64_t t = 0, n = lengths ? lengths[b] : w->T; t < n; t++) {
                int64_t lag = w->reverse ? t : n - 1 - t;
                s->sum[lag] += norm(w->g + b * w->row + t * w->step, 1, 0, w->size) / r;
                s->examples[lag]++;
            }
        }
    }
    return RV_OK;
}

static rv_status back(flow *f, rv_tensor *loss, const int32_t *lengths) {
    RV_TRY(rv_backward(f->tape, loss));
    return collect(f, lengths);
}

/* Few examples of the validation part. A mean over several targets: their number drops out, too. */
static rv_status run(flow *f, rv_task *task, int64_t length) {
    rv_model *model = rv_task_model(task);
    rv_source *source = rv_task_source(task);
    const rv_source_kind *kind = source->kind;
    const int64_t most = rv_model_positions(model);
    rv_pass *pass;
    rv_batch b;
    if (length <= 0) length = source->sizes.positions;
    RV_TRY(kind->look(source, length < most ? length : most, &pass, &f->examples, &f->longest));
    rv_status status = RV_OK;
    while (status == RV_OK && kind->pass_next(pass, &b)) {
        rv_tape_reset(f->tape);
        status = rv_stop_requested();
        if (status == RV_OK) status = back(f, rv_model_loss(f->tape, model, &b, NULL, 0), b.source.lengths);
    }
    kind->pass_end(pass);
    return status;
}

/* What the loss is of. */
static void name_loss(const flow *f, const rv_model_config *c, char *text, size_t size) {
    const long long n = f->longest;
    if (!c->encoder.kind)
        snprintf(text, size, "loss of the last token of %lld tokens", n);
    else if (c->decoder.kind)
        snprintf(text, size,
                 "the loss of the whole target; lag counts from the end of the source, in reverse directions "
                 "from its beginning");
    else if (c->encoder.input.numbers)
        snprintf(text, size, "squared error of the answer to %lld steps", n);
    else
        snprintf(text, size, "loss of the class of up to %lld tokens", n);
}

/* ---- the document */

/* Lags that fewer than half of the examples have would show other examples, not another distance. */
static rv_status add_series(const series *s, json_t *list) {
    json_t *lags = json_array(), *norms = json_array();
    int n = 0;
    double *lag = rv_alloc(rv_size_mul(2 * (size_t)s->lags, sizeof *lag)), *mean = lag + s->lags;
    for (; lag && n < s->lags && s->examples[n] > 0 && 2 * s->examples[n] >= s->examples[0]; n++) {
        lag[n] = n;
        mean[n] = s->sum[n] / (double)s->examples[n];
        json_array_append_new(lags, json_integer(n));
        json_array_append_new(norms, rv_json_number(mean[n]));
    }
    double half = lag && n ? rv_half_life(n - 1, lag + 1, mean + 1) : NAN;
    rv_free(lag);
    /* "encoder.rnn.l0.h" is encoder.l0.h: the kind of network is no news. */
    const char *rnn = strstr(s->name, ".rnn.");
    char name[sizeof s->name];
    snprintf(name, sizeof name, "%.*s%s", rnn ? (int)(rnn - s->name) : (int)strlen(s->name), s->name,
             rnn ? rnn + strlen(".rnn") : "");
    json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:o}", "state", name, "kind", s->kind, "lag", lags, "norm", norms,
                          "half_life", rv_json_number(half));
    return lag && json_array_append_new(list, o) == 0 ? RV_OK : RV_ENOMEM;
}

static rv_status document(const flow *f, const char *loss, int64_t length, json_t **out) {
    json_t *list = json_array();
    for (int i = 0; i < f->n; i++)
        if (add_series(&f->s[i], list) != RV_OK) break;
    bool whole = json_array_size(list) == (size_t)f->n;
    *out = json_pack("{s:s, s:I, s:I, s:o}", "loss", loss, "length", (json_int_t)length, "examples",
                     (json_int_t)f->examples, "series", list);
    if (*out && whole) return RV_OK;
    json_decref(*out);
    *out = NULL;
    return rv_error(RV_ENOMEM, "out of memory while the gradient flow was written down");
}

rv_status rv_gradient_flow(rv_tape *tape, rv_task *task, int64_t length, json_t **out) {
    const rv_model_config *c = rv_model_get_config(rv_task_model(task));
    *out = NULL;
    if (!rv_head_flows(c->head.kind))
        return rv_error(RV_EUSAGE, "the model is told its loss at each position, so that there is no distance over "
                                   "which its gradient flows; take one that tells something of a whole sequence");
    flow *f = rv_alloc(sizeof *f);
    if (!f) return RV_ENOMEM;
    *f = (flow){.tape = tape, .states = ""};
    bool training = rv_tape_training(tape), no_grad = rv_tape_no_grad(tape, false);
    rv_watch *old = rv_tape_watch(tape, &f->watch);
    rv_tape_set_training(tape, false);
    char loss[160];
    if (c->encoder.kind && c->decoder.kind) f->states = "encoder.";
    rv_status status = run(f, task, length);
    name_loss(f, c, loss, sizeof loss);
    rv_tape_reset(tape);
    rv_tape_watch(tape, old);
    rv_tape_set_training(tape, training);
    rv_tape_no_grad(tape, no_grad);
    if (status == RV_OK) status = document(f, loss, f->longest, out);
    for (int i = 0; i < f->n; i++) {
        rv_free(f->s[i].sum);
        rv_free(f->s[i].examples);
    }
    rv_free(f);
    return status;
}

rv_status rv_gradient_flow_trained(rv_tape *tape, const rv_trained *t, int64_t length, json_t **out) {
    rv_params *ps = t->params;
    size_t bytes = (size_t)ps->size * sizeof *ps->x;
    json_t *before = NULL, *after = NULL;
    *out = NULL;
    rv_real *trained = rv_alloc(bytes);
    if (!trained) return RV_ENOMEM;
    memcpy(trained, ps->x, bytes);
    rv_status status = rv_gradient_flow(tape, t->task, length, &after);
    for (int i = 0; i < ps->n && status == RV_OK; i++)
        status = rv__init_fill(ps->p[i], (uint64_t)rv_config_int(t->config, "seed"));
    if (status == RV_OK) status = rv_gradient_flow(tape, t->task, length, &before);
    memcpy(ps->x, trained, bytes);
    rv_free(trained);
    if (status == RV_OK && !(*out = json_pack("{s:O, s:O}", "before", before, "after", after)))
        status = rv_error(RV_ENOMEM, "out of memory while the gradient flow was written down");
    json_decref(before);
    json_decref(after);
    return status;
}

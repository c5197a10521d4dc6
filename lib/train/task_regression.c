/* task: regression. Sequences of numbers, made as they are needed, and one number to be told of each. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "data/batch.h"
#include "train/model_config.h"
#include "train/regression_task.h"
#include "base/stop.h"
#include "train/task_common.h"

typedef struct {
    rv_task base;
    const rv_config *config;
    rv_adding part[3]; /* by rv_subset */
    int64_t count[3];  /* examples that are measured */
    int64_t B;
    rv_sequence_regressor *model;
    rv_adding_batch batch, looked_at; /* the fetched one; what is measured */
    rv_cursor at, committed; /* position: index of the next example. There are no epochs: no example comes twice */
} regression_task;

static void destroy(rv_task *task) {
    regression_task *t = (regression_task *)task;
    rv_sequence_regressor_destroy(t->model);
    rv_adding_batch_free(&t->batch);
    rv_adding_batch_free(&t->looked_at);
    rv_free(t);
}

static void describe_data(regression_task *t) {
    const rv_config *c = t->config;
    static const char *const streams[] = {"adding.train", "adding.valid", "adding.test"};
    for (int i = 0; i < 3; i++)
        t->part[i] = (rv_adding){.seed = (uint64_t)rv_config_int(c, i == RV_SUBSET_TRAIN ? "seed" : "data.seed"), .stream = streams[i],
                                 .min_length = rv_config_int(c, "data.min_length"), .max_length = rv_config_int(c, "data.max_length")};
    t->count[RV_SUBSET_TRAIN] = t->count[RV_SUBSET_VALID] = rv_config_int(c, "data.valid_examples");
    t->count[RV_SUBSET_TEST] = rv_config_int(c, "data.test_examples");
}

static rv_status make_model(regression_task *t, rv_params *params) {
    const rv_sequence_regressor_config mc = rv_sequence_regressor_config_read(t->config, RV_ADDING_INPUTS, 1);
    t->model = rv_sequence_regressor_create(params, &mc);
    return t->model ? RV_OK : RV_ENOMEM; /* that the parts fit has been checked */
}

static rv_status rebuild(rv_task *task, const rv_config *config, rv_params *params) {
    regression_task *t = (regression_task *)task;
    rv_sequence_regressor_destroy(t->model);
    t->config = config;
    t->at = t->committed = (rv_cursor){0};
    return make_model(t, params);
}

static rv_status create(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_params *params, rv_task **out) {
    regression_task *t = rv_alloc(sizeof *t);
    if (!t) return RV_ENOMEM;
    t->base.kind = &rv__task_regression;
    t->config = config;
    t->B = rv_config_int(config, "train.batch.size");
    describe_data(t);
    rv_status status = make_model(t, params);
    if (status == RV_OK && with_data) status = rv_adding_batch_alloc(&t->batch, t->B, t->part[0].max_length);
    if (status == RV_OK && with_data) status = rv_adding_batch_alloc(&t->looked_at, t->B, t->part[0].max_length);
    if (status != RV_OK) {
        destroy(&t->base);
        return status;
    }
    *out = &t->base;
    return RV_OK;
}

/* ---- training */

/* Steps of the sequences, as the encoder reads them: what tokens are elsewhere. */
static int64_t steps_of(const rv_adding_batch *b) {
    int64_t n = 0;
    for (int64_t i = 0; i < b->B; i++) n += b->lengths[i];
    return n;
}

static rv_status next_batch(rv_task *task, int64_t *tokens) {
    regression_task *t = (regression_task *)task;
    rv_adding_fill(&t->part[RV_SUBSET_TRAIN], t->at.position, t->B, false, &t->batch);
    t->at.position += t->B;
    t->at.step++;
    *tokens = steps_of(&t->batch);
    return RV_OK;
}

static rv_status largest_batch(rv_task *task, int64_t *tokens) {
    regression_task *t = (regression_task *)task;
    rv_adding_fill(&t->part[RV_SUBSET_TRAIN], t->at.position, t->B, true, &t->batch);
    *tokens = steps_of(&t->batch);
    return RV_OK;
}

static int64_t targets(const rv_task *task) { return ((const regression_task *)task)->B; }

static rv_tensor *loss(rv_tape *tape, rv_task *task) {
    regression_task *t = (regression_task *)task;
    const rv_adding_batch *b = &t->batch;
    rv_sequence_regression r;
    if (!rv_sequence_regressor_forward(tape, t->model, b->x, b->lengths, b->B, b->T, &r)) return NULL;
    return rv_mse(tape, r.output, rv_constant(tape, 2, (int64_t[]){b->B, 1}, b->target));
}

static void commit(rv_task *task) {
    regression_task *t = (regression_task *)task;
    t->committed = t->at;
}

static int64_t epoch(const rv_task *task) { return ((const regression_task *)task)->committed.epoch; }

static double mean_length(const regression_task *t) { return (double)(t->part[0].min_length + t->part[0].max_length) / 2; }

static void cost(const rv_task *task, const rv_params *params, double *flops, int64_t *positions) {
    const regression_task *t = (const regression_task *)task;
    double T = mean_length(t);
    *positions = (int64_t)((double)t->B * T);
    *flops = rv_sequence_regressor_flops(t->model, params, T) * (double)*positions;
}

static double weight_flops(const rv_task *task, const rv_param *p) {
    const regression_task *t = (const regression_task *)task;
    return rv_sequence_regressor_weight_flops(t->model, p, mean_length(t));
}

/* ---- evaluation */

typedef struct {
    double squares;
    int64_t n;
} sums;

static rv_status add_square(void *ctx, int64_t i, const rv_example *e) {
    sums *s = ctx;
    double d = e->prediction - e->target;
    s->squares += d * d;
    s->n++;
    return RV_OK;
}

static rv_status run_batch(rv_tape *tape, regression_task *t, int64_t first, rv_example_sink sink, void *ctx) {
    const rv_adding_batch *b = &t->looked_at;
    rv_sequence_regression r;
    RV_TRY(rv_stop_requested());
    rv_tape_reset(tape);
    if (!rv_sequence_regressor_forward(tape, t->model, b->x, b->lengths, b->B, b->T, &r)) return rv_tape_status(tape);
    for (int64_t i = 0; i < b->B; i++) {
        rv_example e = {.source_tokens = b->lengths[i], .regression = true, .prediction = (double)r.output->x[i], .target = (double)b->target[i]};
        RV_TRY(sink(ctx, first + i, &e));
    }
    return RV_OK;
}

static rv_status examples(rv_tape *tape, rv_task *task, rv_subset subset, rv_example_sink sink, void *ctx) {
    regression_task *t = (regression_task *)task;
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_status status = RV_OK;
    for (int64_t first = 0; first < t->count[subset] && status == RV_OK; first += t->B) {
        int64_t left = t->count[subset] - first;
        rv_adding_fill(&t->part[subset], first, left < t->B ? left : t->B, false, &t->looked_at);
        status = run_batch(tape, t, first, sink, ctx);
    }
    rv_tape_restore(tape, mode);
    return status;
}

/* Every part is made as it is needed. */
static rv_status check(rv_task *task, rv_subset subset, bool watched) {
    (void)task, (void)subset, (void)watched;
    return RV_OK;
}

static rv_status evaluate(rv_tape *tape, rv_task *task, rv_subset subset, bool final, rv_metrics_result *out) {
    regression_task *t = (regression_task *)task;
    sums s = {0};
    RV_TRY(examples(tape, task, subset, add_square, &s));
    *out = (rv_metrics_result){.tokens = s.n};
    rv__add_metric(t->config, out, "loss", s.squares / (double)s.n);
    rv__add_metric(t->config, out, "mse", s.squares / (double)s.n);
    return RV_OK;
}

/* ---- checkpoints */

static rv_status save(rv_task *task, rv_items *items) {
    rv_items_add_fields(items, rv__cursor_fields, &((regression_task *)task)->committed);
    return RV_OK;
}

static rv_status restore(rv_task *task, const rv_checkpoint *saved) {
    regression_task *t = (regression_task *)task;
    rv_cursor cursor;
    RV_TRY(rv_items_read_fields(saved, rv__cursor_fields, &cursor));
    if (cursor.position < 0 || cursor.step < 0)
        return rv_error(RV_ECKPT, "data cursor (position %lld, step %lld) is impossible; the checkpoint was not written by ravel train", (long long)cursor.position,
                        (long long)cursor.step);
    t->at = t->committed = cursor;
    return RV_OK;
}

/* ---- for others */

/* NULL for a task of another kind. */
static const regression_task *own(const rv_task *task) {
    return task->kind == &rv__task_regression ? (const regression_task *)task : NULL;
}

rv_sequence_regressor *rv_regression_task_model(rv_task *task) { return own(task) ? own(task)->model : NULL; }
int64_t rv_regression_task_count(const rv_task *task, rv_subset subset) {
    return own(task) ? own(task)->count[subset] : 0;
}

rv_status rv_regression_task_fetch(rv_task *task, rv_subset subset, int64_t first, int64_t n, const rv_adding_batch **out) {
    if (!own(task)) return rv_error(RV_EUSAGE, "a task of kind %s has no examples of a regression", task->kind->name);
    regression_task *t = (regression_task *)task;
    if (first < 0 || n < 1 || n > t->B || first + n > t->count[subset])
        return rv_error(RV_EUSAGE, "examples %lld to %lld are not among the %lld of this part, or more than a batch of %lld (train.batch.size)", (long long)first,
                        (long long)(first + n - 1), (long long)t->count[subset], (long long)t->B);
    rv_adding_fill(&t->part[subset], first, n, false, &t->looked_at);
    *out = &t->looked_at;
    return RV_OK;
}

static const char *const start[] = {
    "data={generator: adding, max_length: 50}",
    "model={encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 64}, pooling: last}",
    "train={batch: {size: 50}, max_steps: 3000, clip_grad_norm: 1, validate_every: 200}",
    "train={optimizer: {type: adam, lr: 2e-3}}",
    "checkpoint={every: 200, keep_last: 2}",
    NULL,
};

const rv_task_kind rv__task_regression = {
    .start = start,
    .name = "regression",
    .use = "look into: ravel ckpt info",
    .create = create,
    .destroy = destroy,
    .rebuild = rebuild,
    .next_batch = next_batch,
    .largest_batch = largest_batch,
    .targets = targets,
    .loss = loss,
    .commit = commit,
    .check = check,
    .evaluate = evaluate,
    .examples = examples,
    .save = save,
    .restore = restore,
    .epoch = epoch,
    .cost = cost,
    .weight_flops = weight_flops,
};

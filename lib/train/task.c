#define _GNU_SOURCE /* open_memstream */
#include "train/task_private.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"

#define RV_TASK(name, source, parts, head, use, ...) static const char *const start_##name[] = {__VA_ARGS__, NULL};
#include "config/tasks.def"
#undef RV_TASK
static const rv_task_kind kinds[] = {
#define RV_TASK(name, source, parts, head, use, ...) {#name, &rv__source_##source, &rv__head_##head, use, start_##name},
#include "config/tasks.def"
#undef RV_TASK
};
enum { KINDS = sizeof kinds / sizeof *kinds };

const rv_task_kind *rv_task_kinds(int *n) {
    *n = KINDS;
    return kinds;
}

const rv_task_kind *rv_task_find(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (!strcmp(kinds[i].name, name)) return &kinds[i];
    return NULL;
}

const rv_task_kind *rv_task_kind_of(const rv_task *t) { return t->kind; }
rv_model *rv_task_model(rv_task *t) { return t->model; }
rv_source *rv_task_source(rv_task *t) { return t->source; }
const rv_config *rv_task_config(const rv_task *t) { return t->config; }

/* ---- beginning and end */

static const rv_decoder_kind *decoder_of(const rv_task *t) { return rv_model_get_config(t->model)->decoder.kind; }

/* What truncated back-propagation carries. */
static rv_status make_state(rv_task *t) {
    double B, S, T;
    int64_t n;
    t->source->kind->typical(t->source, &B, &S, &T);
    t->state_B = (int64_t)B;
    t->state = rv_model_state_create(t->model, t->state_B, (int64_t)T);
    if (!t->state) return RV_ENOMEM;
    decoder_of(t)->state_data(t->state, &n);
    t->kept = rv_alloc((size_t)n * sizeof *t->kept);
    return t->kept ? RV_OK : RV_ENOMEM;
}

static rv_status make_model(rv_task *t, rv_params *params, bool with_data) {
    const rv_model_config mc = rv_model_config_read(t->config, t->kind->head, &t->source->sizes);
    t->model = rv_model_create(params, &mc);
    if (!t->model) return RV_ENOMEM; /* that the parts fit has been checked */
    return t->source->carries && with_data ? make_state(t) : RV_OK;
}

static void drop_model(rv_task *t) {
    if (t->model) rv_model_state_destroy(t->model, t->state);
    rv_model_destroy(t->model);
    rv_free(t->kept);
    t->state = NULL;
    t->model = NULL;
    t->kept = NULL;
}

/* The vocabularies as texts. */
static rv_status keep_vocabularies(rv_task *t) {
    rv_tokenizer *const all[] = {t->source->in ? t->source->in : t->source->out, t->source->out};
    for (int i = 0; i < 2; i++)
        if (all[i] && (i == 0 || all[1] != all[0])) RV_TRY(rv_tokenizer_save(all[i], &t->vocab[i], &t->merges[i]));
    if (t->source->letters) RV_TRY(rv_tokenizer_save(t->source->letters, &t->vocab[2], &t->merges[2]));
    if (!t->source->n_classes) return RV_OK;
    FILE *f = open_memstream(&t->classes.bytes, &t->classes.len);
    for (int i = 0; f && i < t->source->n_classes; i++) fprintf(f, "%s\n", t->source->class_name[i]);
    return f && !fclose(f) ? RV_OK : rv_error(RV_ENOMEM, "no memory for the names of classes");
}

static rv_status fill(rv_task *t, const rv_checkpoint *saved, bool with_data, rv_params *params) {
    RV_TRY(t->kind->source->open(t->config, saved, with_data, &t->source));
    RV_TRY(keep_vocabularies(t));
    RV_TRY(make_model(t, params, with_data));
    if (with_data) t->committed = t->source->kind->cursor(t->source);
    return RV_OK;
}

rv_status rv_task_create(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_params *params,
                         rv_task **out) {
    rv_task *t = rv_alloc(sizeof *t);
    if (!t) return RV_ENOMEM;
    t->kind = rv_task_find(rv_config_text(config, "task"));
    t->config = config;
    if (rv_config_has(config, "train.label_smoothing")) t->smoothing = rv_config_real(config, "train.label_smoothing");
    const rv_status status = fill(t, saved, with_data, params);
    if (status == RV_OK)
        *out = t;
    else
        rv_task_destroy(t);
    return status;
}

rv_status rv_task_rebuild(rv_task *t, const rv_config *config, rv_params *params) {
    drop_model(t);
    t->config = t->source->config = config;
    RV_TRY(make_model(t, params, true));
    t->committed = (rv_cursor){0};
    return t->source->kind->seek(t->source, t->committed);
}

void rv_task_destroy(rv_task *t) {
    if (!t) return;
    drop_model(t);
    if (t->source) t->source->kind->close(t->source);
    for (int i = 0; i < 3; i++) {
        rv_text_free(&t->vocab[i]);
        rv_text_free(&t->merges[i]);
    }
    rv_text_free(&t->classes);
    rv_free(t->confusion);
    rv_free(t->span_counts);
    rv_free(t);
}

/* ---- training */

const rv_batch *rv_task_next(rv_task *t) {
    t->source->kind->next(t->source, &t->batch);
    return &t->batch;
}

const rv_batch *rv_task_largest(rv_task *t) {
    if (!t->source->kind->largest) return rv_task_next(t);
    t->source->kind->largest(t->source, &t->batch);
    return &t->batch;
}

static double sampling_probability(const rv_task *t) {
    if (!rv_config_has(t->config, "train.scheduled_sampling")) return 0;
    const double p = rv_config_real(t->config, "train.scheduled_sampling.probability");
    const int64_t rise = rv_config_int(t->config, "train.scheduled_sampling.warmup_steps");
    return t->committed.step < rise ? p * (double)t->committed.step / (double)rise : p;
}

/* The most probable id at each position, ties to the lower id: out (B, T), batch-major. */
static void most_probable(const rv_model *m, const rv_tensor *logits, int64_t B, int64_t T, int32_t *out) {
    const int64_t V = rv_dim(logits, -1);
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0; t < T; t++) {
            const rv_real *row = logits->x + rv_model_row(m, B, T, b, t) * V;
            int64_t best = 0;
            for (int64_t v = 1; v < V; v++)
                if (row[v] > row[best]) best = v;
            out[b * T + t] = (int32_t)best;
        }
}

/* Scheduled sampling in parallel [Duckworth 2019]: the model predicts every token from the true ones before it, then
 * each input is replaced, with probability p, by what was predicted for its place. */
static const int32_t *mix(rv_tape *tape, rv_task *t, const rv_memory *memory, double p) {
    const rv_batch *b = &t->batch;
    int32_t *mixed = rv_tape_alloc(tape, (size_t)(2 * b->B * b->T) * sizeof *mixed);
    const bool no_grad = rv_tape_no_grad(tape, true);
    const rv_tensor *logits = rv_model_logits(tape, t->model, b->in, b->B, b->T, NULL, memory);
    rv_tape_no_grad(tape, no_grad);
    if (!mixed || !logits) return NULL;
    int32_t *predicted = mixed + b->B * b->T;
    most_probable(t->model, logits, b->B, b->T, predicted);
    const uint64_t step = (uint64_t)t->source->kind->cursor(t->source).step;
    rv_rng rng = rv_rng_make((uint64_t)rv_config_int(t->config, "seed"), "scheduled sampling", step);
    for (int64_t i = 0; i < b->B; i++)
        for (int64_t j = 0; j < b->T; j++) {
            const bool own = rv_rng_uniform(&rng) < p && j > 0 && j < b->lengths[i];
            mixed[i * b->T + j] = own ? predicted[i * b->T + j - 1] : b->in[i * b->T + j];
        }
    return mixed;
}

rv_tensor *rv_task_loss(rv_tape *tape, rv_task *t) {
    const double p = sampling_probability(t);
    if (t->state && !t->batch.continues) rv_model_state_reset(t->model, t->state);
    if (!(p > 0)) return rv_model_loss(tape, t->model, &t->batch, t->state, t->smoothing);
    rv_memory memory;
    if (!rv_model_encode(tape, t->model, &t->batch.source, &memory)) return NULL;
    rv_batch b = t->batch;
    b.in = mix(tape, t, &memory, p);
    return b.in ? rv_model_loss_of(tape, t->model, &memory, &b, NULL, t->smoothing) : NULL;
}

void rv_task_commit(rv_task *t) {
    t->committed = t->source->kind->cursor(t->source);
    if (!t->state) return;
    int64_t n;
    const rv_real *now = decoder_of(t)->state_data(t->state, &n);
    memcpy(t->kept, now, (size_t)n * sizeof *now);
}

int64_t rv_task_epoch(const rv_task *t) { return t->committed.epoch; }

int64_t rv_task_batches_of_epochs(rv_task *t, int64_t epochs) {
    return t->source->kind->batches_of_epochs(t->source, epochs);
}

/* ---- work */

void rv_task_cost(const rv_task *t, const rv_params *params, double *flops, int64_t *positions) {
    double B, S, T;
    t->source->kind->typical(t->source, &B, &S, &T);
    *flops = B * rv_model_flops(t->model, params, S, T);
    *positions = (int64_t)(B * T);
}

double rv_task_weight_flops(const rv_task *t, const rv_param *p) {
    double B, S, T;
    t->source->kind->typical(t->source, &B, &S, &T);
    const bool shared_out = t->kind->head->reads == RV_READS_POOLED && p->use == RV_USE_EXAMPLE;
    return rv_param_flops(p, 1, 1) / (shared_out ? S : 1);
}

/* ---- checkpoints */

static const rv_field cursor_fields[] = {
    {"/data/epoch", RV_CK_I64, offsetof(rv_cursor, epoch), 0, false},
    {"/data/position", RV_CK_I64, offsetof(rv_cursor, position), 0, false},
    {"/data/step", RV_CK_I64, offsetof(rv_cursor, step), 0, false},
    {0},
};
static const char state_path[] = "/data/carried_state";
static const rv_ck_type real_type = sizeof(rv_real) == 4 ? RV_CK_F32 : RV_CK_F64;

static void save_vocabularies(rv_task *t, rv_items *items) {
    const bool two = t->vocab[1].bytes;
    const char *const names[] = {two ? "/src" : "", "/tgt", "/letters"};
    for (int i = 0; i < 3; i++) {
        char path[64];
        if (!t->vocab[i].bytes) continue;
        snprintf(path, sizeof path, "/tokenizer%s/vocab", names[i]);
        rv_items_add_text(items, path, t->vocab[i].bytes, t->vocab[i].len);
        snprintf(path, sizeof path, "/tokenizer%s/merges", names[i]);
        rv_items_add_text(items, path, t->merges[i].bytes, t->merges[i].len);
    }
    if (t->classes.bytes) rv_items_add_text(items, rv__classes_path, t->classes.bytes, t->classes.len);
    if (t->source->span_scheme) rv_items_add_fields(items, rv__span_fields, t->source);
}

rv_status rv_task_save(rv_task *t, rv_items *items) {
    rv_items_add_fields(items, cursor_fields, &t->committed);
    if (t->source->hash) rv_items_add(items, RV_CK_U64, 0, NULL, &t->source->hash, "/data/corpus_hash");
    save_vocabularies(t, items);
    if (!t->state) return RV_OK;
    int64_t n;
    decoder_of(t)->state_data(t->state, &n);
    rv_items_add(items, real_type, 1, &n, t->kept, state_path);
    return RV_OK;
}

/* RV_ECKPT unless the data that the checkpoint was trained on have this hash. */
static rv_status check_hash(const rv_checkpoint *saved, uint64_t hash) {
    uint64_t then;
    RV_TRY(rv_checkpoint_read(saved, "/data/corpus_hash", RV_CK_U64, 1, &then));
    if (then == hash) return RV_OK;
    return rv_error(RV_ECKPT, "the run was trained on other data: the text has changed since; put the old text back or "
                              "start a new run (another name or checkpoint.dir)");
}

static rv_status restore_state(rv_task *t, const rv_checkpoint *saved) {
    int64_t n;
    rv_real *now = decoder_of(t)->state_data(t->state, &n);
    const rv_ck_item *kept = rv_checkpoint_find(saved, state_path);
    if (kept && rv_ck_count(kept) != n)
        return rv_error(RV_ECKPT,
                        "the state that train.batch.sampling contiguous carries is of %lld sequences, and a batch is "
                        "now of %lld; set train.batch back, or give the experiment another name or checkpoint.dir",
                        (long long)(rv_ck_count(kept) * t->state_B / n), (long long)t->state_B);
    RV_TRY(rv_checkpoint_read(saved, state_path, real_type, n, now));
    memcpy(t->kept, now, (size_t)n * sizeof *now);
    return RV_OK;
}

rv_status rv_task_restore(rv_task *t, const rv_checkpoint *saved) {
    rv_cursor cursor;
    if (t->source->hash) RV_TRY(check_hash(saved, t->source->hash));
    RV_TRY(rv_items_read_fields(saved, cursor_fields, &cursor));
    RV_TRY(t->source->kind->seek(t->source, cursor));
    t->committed = cursor;
    return t->state ? restore_state(t, saved) : RV_OK;
}

double rv_metrics_value(const rv_metrics_result *r, const char *name) {
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->m[i].name, name)) return r->m[i].value;
    return NAN;
}

/* task: translation. Parallel text, one or two tokenizers, and an encoder-decoder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/dataset.h"
#include "data/pair_batch.h"
#include "train/model_config.h"
#include "train/task_common.h"
#include "train/translation_task_private.h"
#include "train/vocabulary.h"

typedef struct {
    rv_task base;
    const rv_config *config;
    rv_parallel data; /* and its tokenizers */
    rv__saved_tokenizer saved_src, saved_tgt; /* joint: src alone */
    bool joint;
    rv_seq2seq *model;
    rv_pair_batches *batches;
    rv_pair_batch_spec spec;
    rv_pair_batch batch; /* the fetched one */
    int32_t *mixed;      /* its tgt_in with some of the model's own tokens: scheduled sampling */
    int64_t mixed_size;
    int64_t max_length;
    double smoothing;
    rv_rare src_rare, tgt_rare;
    rv_cursor committed;
} translation_task;

/* ---- data */

/* PREFIX.LANGUAGE, or PREFIX itself without a language; FILE.gz if there is only that. */
static rv_status file_of(const char *prefix, const char *language, char *buf, size_t size, const char **out) {
    *out = NULL;
    if (!prefix) return RV_OK;
    int n = snprintf(buf, size, "%s%s%s", prefix, language ? "." : "", language ? language : "");
    if (n < 0 || (size_t)n + 4 > size) return rv_error(RV_EUSAGE, "the path %s is too long", prefix);
    if (access(buf, F_OK)) {
        strcat(buf, ".gz");
        if (access(buf, F_OK)) buf[n] = 0; /* the reader says that it is absent */
    }
    *out = buf;
    return RV_OK;
}

static rv_status load_files(translation_task *t, const rv_tokenizer_spec *spec, rv_tokenizer *src, rv_tokenizer *tgt) {
    static const char *const keys[] = {"data.train", "data.valid", "data.test"};
    const rv_config *c = t->config;
    const char *from = rv_config_text(c, "data.src"), *to = rv_config_has(c, "data.tgt") ? rv_config_text(c, "data.tgt") : NULL;
    char buf[6][4096];
    rv_parallel_files files = {0};
    rv_parallel_paths *const parts[] = {&files.train, &files.valid, &files.test};
    rv_dataset *dataset = NULL;
    rv_status status = RV_OK;
    if (rv_config_has(c, "data.dataset")) {
        status = rv_dataset_resolve(rv_config_text(c, "data.dataset"), &dataset);
        if (status == RV_OK) status = rv_dataset_parallel_files(dataset, from, to, &files);
    }
    for (int i = 0; i < 3 && !dataset && status == RV_OK; i++) {
        const char *key = !i && rv_config_has(c, "data.path") ? "data.path" : keys[i], *prefix = rv_config_text(c, key);
        status = file_of(prefix, from, buf[2 * i], sizeof buf[0], &parts[i]->src);
        if (status == RV_OK && from) status = file_of(prefix, to, buf[2 * i + 1], sizeof buf[0], &parts[i]->tgt);
    }
    if (rv_config_has(c, "data.train_fraction")) files.train_fraction = rv_config_real(c, "data.train_fraction");
    for (int i = 0; i < 2 && rv_config_has(c, "data.columns"); i++)
        files.columns[i] = (int)rv_config_int_at(c, "data.columns", i);
    if (status == RV_OK) status = rv_parallel_load(&files, spec, t->joint, src, tgt, t->max_length, &t->data);
    else {
        if (tgt != src) rv_tokenizer_destroy(tgt);
        rv_tokenizer_destroy(src);
    }
    rv_dataset_destroy(dataset);
    return status;
}

/* Sentences to measure are kept whole as text, but the model sees their first max_length tokens. */
static rv_status cut_pairs(rv_pairs *p, int64_t most, const char *part) {
    int64_t cut;
    RV_TRY(rv_pairs_cut(p, most, &cut));
    if (cut)
        rv_warn("%lld of the %lld pairs of the %s part have a side of more than data.max_length %lld tokens: the model "
                "sees that many of them, and the loss "
                "is over what it sees",
                (long long)cut, (long long)p->n, part, (long long)most);
    return RV_OK;
}

static void say_unknown(const translation_task *t) {
    const rv_pairs *part[] = {&t->data.train, &t->data.valid, &t->data.test};
    for (int i = 0; i < 3; i++) {
        const rv_pairs *p = part[i];
        if (!p->n) continue;
        rv__say_unknown((rv_subset)i, "source ", rv_tokenizer_unknown(t->data.src, p->src_ids, p->src_at[p->n]),
                        p->src_at[p->n]);
        rv__say_unknown((rv_subset)i, "target ", rv_tokenizer_unknown(t->data.tgt, p->tgt_ids, p->tgt_at[p->n]),
                        p->tgt_at[p->n]);
    }
}

/* Of a joint vocabulary a word counts that occurs once on either side: both sides know it under one id. */
static rv_status make_rare(translation_task *t) {
    const rv_config *c = t->config;
    const rv_pairs *p = &t->data.train;
    const double rate = rv__replace_rare(c);
    const uint64_t seed = (uint64_t)rv_config_int(c, "seed");
    RV_TRY(rv_rare_make(t->data.src, p->src_ids, p->src_at[p->n], rate, seed, &t->src_rare));
    RV_TRY(rv_rare_make(t->data.tgt, p->tgt_ids, p->tgt_at[p->n], rate, seed, &t->tgt_rare));
    t->spec.src_rare = &t->src_rare;
    t->spec.tgt_rare = &t->tgt_rare;
    return RV_OK;
}

static rv_status load(translation_task *t, const rv_checkpoint *saved, bool with_data) {
    rv_tokenizer *src = NULL, *tgt = NULL;
    rv_tokenizer_spec spec = rv__tokenizer_spec(t->config);
    RV_TRY(rv__vocabulary_pair(t->config, saved, &t->joint, &src, &tgt));
    if (with_data) {
        RV_TRY(load_files(t, &spec, src, tgt));
        RV_TRY(cut_pairs(&t->data.valid, t->max_length, "validation"));
        RV_TRY(cut_pairs(&t->data.test, t->max_length, "test"));
        say_unknown(t);
    } else {
        t->data.src = src;
        t->data.tgt = tgt;
    }
    static const rv_special needed[] = {RV_PAD, RV_BOS, RV_EOS};
    for (int i = 0; i < 3; i++)
        if (rv_tokenizer_special(t->data.src, needed[i]) < 0 || rv_tokenizer_special(t->data.tgt, needed[i]) < 0)
            return rv_error(RV_ECKPT, "the tokenizer has no <pad>, <bos> or <eos>; it is not one for translation");
    RV_TRY(rv_tokenizer_save(t->data.src, &t->saved_src.vocab, &t->saved_src.merges));
    return t->joint ? RV_OK : rv_tokenizer_save(t->data.tgt, &t->saved_tgt.vocab, &t->saved_tgt.merges);
}

static rv_status make_batches(translation_task *t) {
    const rv_config *c = t->config;
    t->spec = (rv_pair_batch_spec){
        .by_tokens = rv_config_is(c, "train.batch.type", "tokens"),
        .size = rv_config_int(c, "train.batch.size"),
        .bucketing = rv_config_bool(c, "train.batch.bucketing"),
        .seed = (uint64_t)rv_config_int(c, "seed"),
        .marks = rv_pair_marks_of(&t->data),
    };
    RV_TRY(make_rare(t));
    RV_TRY(rv_pair_batches_create(&t->data.train, &t->spec, &t->batches));
    t->committed = rv_pair_batches_cursor(t->batches);
    if (!rv_config_has(c, "train.scheduled_sampling")) return RV_OK;
    /* As many as any batch's tgt_in, which has at most one token more than the longest target. */
    int64_t rows = t->spec.by_tokens ? t->spec.size : t->spec.size * (t->data.train.tgt_longest + 1);
    t->mixed_size = 2 * rows;
    t->mixed = rv_alloc(rv_size_mul((size_t)t->mixed_size, sizeof *t->mixed));
    return t->mixed ? RV_OK : RV_ENOMEM;
}

static void destroy(rv_task *task) {
    translation_task *t = (translation_task *)task;
    rv_pair_batches_destroy(t->batches);
    rv_seq2seq_destroy(t->model);
    rv_parallel_free(&t->data);
    rv_rare_free(&t->src_rare);
    rv_rare_free(&t->tgt_rare);
    rv__saved_tokenizer_free(&t->saved_src);
    rv__saved_tokenizer_free(&t->saved_tgt);
    rv_free(t->mixed);
    rv_free(t);
}

static rv_status make_model(translation_task *t, rv_params *params) {
    const rv_seq2seq_config mc = rv_seq2seq_config_read(t->config, rv_tokenizer_size(t->data.src), rv_tokenizer_size(t->data.tgt), t->max_length + 1);
    t->model = rv_seq2seq_create(params, &mc);
    return t->model ? RV_OK : RV_ENOMEM; /* that the parts fit has been checked */
}

static rv_status rebuild(rv_task *task, const rv_config *config, rv_params *params) {
    translation_task *t = (translation_task *)task;
    rv_seq2seq_destroy(t->model);
    t->config = config;
    RV_TRY(make_model(t, params));
    t->committed = (rv_cursor){0};
    return rv_pair_batches_seek(t->batches, t->committed);
}

static rv_status create(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_params *params, rv_task **out) {
    translation_task *t = rv_alloc(sizeof *t);
    if (!t) return RV_ENOMEM;
    t->base.kind = &rv__task_translation;
    t->config = config;
    t->max_length = rv_config_int(config, "data.max_length");
    t->smoothing = rv_config_real(config, "train.label_smoothing");
    rv_status status = load(t, saved, with_data);
    if (status == RV_OK) status = make_model(t, params);
    if (status == RV_OK && with_data) status = make_batches(t);
    if (status != RV_OK) {
        destroy(&t->base);
        return status;
    }
    *out = &t->base;
    return RV_OK;
}

/* ---- training */

static rv_status next_batch(rv_task *task, int64_t *tokens) {
    translation_task *t = (translation_task *)task;
    rv_pair_batches_next(t->batches, &t->batch);
    *tokens = t->batch.targets;
    return RV_OK;
}

static rv_status largest_batch(rv_task *task, int64_t *tokens) {
    translation_task *t = (translation_task *)task;
    rv_pair_batches_largest(t->batches, &t->batch);
    *tokens = t->batch.targets;
    return RV_OK;
}

static double sampling_probability(const translation_task *t) {
    if (!t->mixed) return 0;
    double p = rv_config_real(t->config, "train.scheduled_sampling.probability");
    int64_t rise = rv_config_int(t->config, "train.scheduled_sampling.warmup_steps");
    return t->committed.step < rise ? p * (double)t->committed.step / (double)rise : p;
}

/* Scheduled sampling in parallel [Duckworth 2019]: the model predicts every token from the true ones before it, then each
 * input is replaced, with probability p, by what was predicted for its place. */
static const int32_t *mix(rv_tape *tape, translation_task *t, const rv_memory *memory, double p) {
    const rv_pair_batch *b = &t->batch;
    RV_ASSERT(2 * b->B * b->T <= t->mixed_size);
    int32_t *predicted = t->mixed + t->mixed_size / 2;
    bool no_grad = rv_tape_no_grad(tape, true);
    rv_tensor *logits = rv_seq2seq_logits(tape, t->model, memory, b->tgt_in, b->B, b->T);
    rv_tape_no_grad(tape, no_grad);
    if (!logits) return NULL;
    rv__argmax(rv_seq2seq_lm(t->model), logits, b->B, b->T, predicted);
    rv_rng rng = rv_rng_make(t->spec.seed, "scheduled sampling", (uint64_t)rv_pair_batches_cursor(t->batches).step);
    for (int64_t i = 0; i < b->B; i++)
        for (int64_t j = 0; j < b->T; j++) {
            bool own = rv_rng_uniform(&rng) < p && j > 0 && j < b->tgt_lengths[i];
            t->mixed[i * b->T + j] = own ? predicted[i * b->T + j - 1] : b->tgt_in[i * b->T + j];
        }
    return t->mixed;
}

static int64_t targets(const rv_task *task) { return ((const translation_task *)task)->batch.targets; }

static rv_tensor *loss(rv_tape *tape, rv_task *task) {
    translation_task *t = (translation_task *)task;
    const rv_pair_batch *b = &t->batch;
    rv_memory memory;
    if (!rv_seq2seq_encode(tape, t->model, b->src, b->src_lengths, b->B, b->S, &memory)) return NULL;
    double p = sampling_probability(t);
    const int32_t *tgt_in = p > 0 ? mix(tape, t, &memory, p) : b->tgt_in;
    if (!tgt_in) return NULL;
    return rv_seq2seq_loss(tape, t->model, &memory, tgt_in, b->tgt_out, b->B, b->T, t->smoothing);
}

static void commit(rv_task *task) {
    translation_task *t = (translation_task *)task;
    t->committed = rv_pair_batches_cursor(t->batches);
}

static int64_t epoch(const rv_task *task) { return ((const translation_task *)task)->committed.epoch; }

static int64_t batches_of_epochs(const rv_task *task, int64_t epochs) {
    return rv_pair_batches_of_epochs(((const translation_task *)task)->batches, epochs);
}

/* Of a mean batch. Without data, of one sentence of 32 tokens. */
static void cost(const rv_task *task, const rv_params *params, double *flops, int64_t *positions) {
    const translation_task *t = (const translation_task *)task;
    const rv_pairs *p = &t->data.train;
    int64_t B = 1, S = 32, T = 32;
    if (t->batches) {
        B = p->n / rv_pair_batches_per_epoch(t->batches);
        B = B ? B : 1;
        S = (p->src_at[p->n] + p->n / 2) / p->n + 1;
        T = (p->tgt_at[p->n] + p->n / 2) / p->n + 1;
    }
    *flops = rv_seq2seq_flops(t->model, params, B, S, T);
    *positions = B * T;
}

static double weight_flops(const rv_task *task, const rv_param *p) {
    return rv_seq2seq_weight_flops(((const translation_task *)task)->model, p);
}

/* ---- checkpoints */

static rv_status save(rv_task *task, rv_items *items) {
    translation_task *t = (translation_task *)task;
    rv_items_add_fields(items, rv__cursor_fields, &t->committed);
    rv_items_add(items, RV_CK_U64, 0, NULL, &t->data.hash, "/data/corpus_hash");
    rv__tokenizer_items(items, t->joint ? "" : "src", &t->saved_src);
    if (!t->joint) rv__tokenizer_items(items, "tgt", &t->saved_tgt);
    return RV_OK;
}

static rv_status restore(rv_task *task, const rv_checkpoint *saved) {
    translation_task *t = (translation_task *)task;
    RV_TRY(rv__check_corpus(saved, t->data.hash));
    rv_cursor cursor;
    RV_TRY(rv_items_read_fields(saved, rv__cursor_fields, &cursor));
    RV_TRY(rv_pair_batches_seek(t->batches, cursor));
    t->committed = cursor;
    return RV_OK;
}

/* ---- for others */

/* NULL for a task of another kind. */
static const translation_task *own(const rv_task *task) {
    return task->kind == &rv__task_translation ? (const translation_task *)task : NULL;
}

rv_seq2seq *rv_translation_task_model(rv_task *task) { return own(task) ? own(task)->model : NULL; }
rv_tokenizer *rv_translation_task_src_tokenizer(rv_task *task) { return own(task) ? own(task)->data.src : NULL; }
rv_tokenizer *rv_translation_task_tgt_tokenizer(rv_task *task) { return own(task) ? own(task)->data.tgt : NULL; }
const rv_pair_batch_spec *rv__translation_task_spec(const rv_task *task) { return &((const translation_task *)task)->spec; }
const rv_config *rv_translation_task_config(const rv_task *task) { return own(task) ? own(task)->config : NULL; }
int64_t rv_translation_task_max_length(const rv_task *task) { return own(task) ? own(task)->max_length : 0; }

static rv_pairs *part_of(rv_task *task, rv_subset subset) {
    rv_parallel *d = &((translation_task *)task)->data;
    return subset == RV_SUBSET_TRAIN ? &d->train : subset == RV_SUBSET_VALID ? &d->valid : &d->test;
}

const rv_pairs *rv_translation_task_pairs(rv_task *task, rv_subset subset) {
    return own(task) ? part_of(task, subset) : NULL;
}

void rv_translation_task_shuffle_sources(rv_task *task, rv_subset subset) {
    RV_ASSERT(own(task));
    rv_pairs_shuffle_sources(part_of(task, subset), (uint64_t)rv_config_int(((translation_task *)task)->config, "seed"));
}

rv_translate_options rv_translation_task_options(const rv_task *task) {
    const translation_task *t = own(task);
    RV_ASSERT(t);
    const rv_config *c = t->config;
    return (rv_translate_options){
        .beam_size = (int)rv_config_int(c, "decode.beam_size"),
        .length_penalty = rv_config_real(c, "decode.length_penalty"),
        .max_length_ratio = rv_config_real(c, "decode.max_length_ratio"),
        .max_length_extra = 10,
        .max_length = t->max_length,
        .n_best = 1,
        .bos = rv_tokenizer_special(t->data.tgt, RV_BOS),
        .eos = rv_tokenizer_special(t->data.tgt, RV_EOS),
        .pad = rv_tokenizer_special(t->data.tgt, RV_PAD),
        .unk = -1,
    };
}

static const char *const start[] = {
    "data={max_length: 80}",
    "tokenizer={type: bpe, vocab_size: 4000, joint: true}",
    "model={encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 256}, decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 256}}",
    "model={attention: {type: bahdanau}, embedding_dim: 256, dropout: 0.2}",
    "train={batch: {type: tokens, size: 3000}, max_steps: 2000, label_smoothing: 0.1, clip_grad_norm: 1, validate_every: 200}",
    "train={optimizer: {type: adam, lr: 2e-3}, lr_scheduler: {type: cosine}}",
    "checkpoint={every: 200, keep_last: 2}",
    "decode={beam_size: 5}",
    "metrics=[loss, bleu, chrf]",
    NULL,
};

const rv_task_kind rv__task_translation = {
    .start = start,
    .name = "translation",
    .use = "translate: ravel translate",
    .create = create,
    .destroy = destroy,
    .rebuild = rebuild,
    .next_batch = next_batch,
    .largest_batch = largest_batch,
    .targets = targets,
    .loss = loss,
    .commit = commit,
    .check = rv__translation_check,
    .evaluate = rv__translation_evaluate,
    .examples = rv__translation_examples,
    .save = save,
    .restore = restore,
    .epoch = epoch,
    .batches_of_epochs = batches_of_epochs,
    .cost = cost,
    .weight_flops = weight_flops,
};

/* task: language_model. A text, cut into training and validation parts, a tokenizer, and a decoder that predicts the
 * next token. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/corpus.h"
#include "data/dataset.h"
#include "data/rare.h"
#include "evaluate/honest_loss.h"
#include "train/language_model_task.h"
#include "train/model_config.h"
#include "base/stop.h"
#include "train/task_common.h"
#include "train/text_spans.h"
#include "train/vocabulary.h"

typedef struct {
    rv_task base;
    const rv_config *config;
    rv_corpus corpus;      /* and its tokenizer */
    rv__saved_tokenizer saved_tokenizer;
    rv_lm *lm;
    rv_lm_batches *batches;
    int32_t *x, *y; /* the fetched batch (B, T) */
    int64_t B, T;
    double smoothing;
    rv_rare rare;
    /* Carried state of truncated back-propagation, NULL otherwise. `kept` is what it was at the last commit. */
    rv_decoder_state *state;
    rv_real *kept;
    rv_cursor committed;
    bool carry; /* the fetched batch continues the one before */
} lm_task;

/* ---- creation */

static rv_status load_data(lm_task *t, const rv_checkpoint *saved, rv_tokenizer *tokenizer) {
    const rv_config *c = t->config;
    rv_corpus_files files = {.text = rv_config_text(c, "data.path")};
    rv_tokenizer_spec spec = rv__tokenizer_spec(c);
    rv_dataset *dataset = NULL;
    rv_status status = RV_OK;
    if (rv_config_has(c, "data.dataset")) {
        status = rv_dataset_resolve(rv_config_text(c, "data.dataset"), &dataset);
        if (status == RV_OK) status = rv_dataset_lm_files(dataset, rv_config_text(c, "data.language"), &files);
    } else if (rv_config_has(c, "data.train")) {
        files.train = rv_config_text(c, "data.train");
        files.valid = rv_config_text(c, "data.valid");
        files.test = rv_config_text(c, "data.test");
    }
    if (rv_config_has(c, "data.train_fraction")) files.train_fraction = rv_config_real(c, "data.train_fraction");
    if (rv_config_has(c, "data.test_fraction")) files.test_fraction = rv_config_real(c, "data.test_fraction");
    if (status == RV_OK && files.test_fraction > 0 && !files.text)
        status = rv_error(RV_EUSAGE,
                          "data.test_fraction is of a single text, and data set %s has parts of its own; leave it out",
                          rv_config_text(c, "data.dataset"));
    files.keep_line_ends = rv_config_bool(c, "data.keep_line_ends");
    if (saved && rv_checkpoint_find(saved, "/data/corpus_hash") && status == RV_OK)
        status = rv_checkpoint_read(saved, "/data/corpus_hash", RV_CK_U64, 1, &files.kept_hash);
    if (status == RV_OK) status = rv_corpus_load(&files, &spec, tokenizer, &t->corpus);
    else rv_tokenizer_destroy(tokenizer);
    rv_dataset_destroy(dataset);
    return status;
}

/* Only the tokenizer without data: to generate needs no corpus. */
static rv_status load(lm_task *t, const rv_checkpoint *saved, bool with_data) {
    rv_tokenizer *tokenizer = NULL;
    RV_TRY(rv__vocabulary_one(t->config, saved, &tokenizer));
    if (with_data) {
        RV_TRY(load_data(t, saved, tokenizer));
        const rv_split *part[] = {&t->corpus.train, &t->corpus.valid, &t->corpus.test};
        for (int i = 0; i < 3; i++) rv__say_unknown((rv_subset)i, "", part[i]->unknown, part[i]->n);
    } else {
        t->corpus.tokenizer = tokenizer;
    }
    return rv_tokenizer_save(t->corpus.tokenizer, &t->saved_tokenizer.vocab, &t->saved_tokenizer.merges);
}

static rv_status make_model(lm_task *t, rv_params *params) {
    const rv_lm_config lc = rv_lm_config_read(t->config, rv_tokenizer_size(t->corpus.tokenizer));
    t->lm = rv_lm_create(params, &lc);
    return t->lm ? RV_OK : RV_ENOMEM;
}

/* What truncated back-propagation carries. */
static rv_status make_state(lm_task *t) {
    int64_t n = 0;
    t->state = rv_lm_state_create(t->lm, t->B, t->T);
    if (!t->state) return RV_ENOMEM;
    rv_lm_get_config(t->lm)->decoder.kind->state_data(t->state, &n);
    t->kept = rv_alloc((size_t)n * sizeof *t->kept);
    return t->kept ? RV_OK : RV_ENOMEM;
}

static void drop_model(lm_task *t) {
    if (t->state) rv_lm_get_config(t->lm)->decoder.kind->state_destroy(t->state);
    rv_lm_destroy(t->lm);
    rv_free(t->kept);
    t->state = NULL;
    t->lm = NULL;
    t->kept = NULL;
}

static rv_status make_batches(lm_task *t) {
    const rv_config *c = t->config;
    rv_sampling sampling = RV_SAMPLE_RANDOM;
    rv_sampling_parse(rv_config_text(c, "train.batch.sampling"), &sampling);
    RV_TRY(rv_lm_batches_create(t->corpus.train.ids, t->corpus.train.n, t->B, t->T, sampling, (uint64_t)rv_config_int(c, "seed"), &t->batches));
    t->committed = rv_lm_batches_cursor(t->batches);
    const rv_split *train = &t->corpus.train;
    RV_TRY(rv_rare_make(t->corpus.tokenizer, train->ids, train->n, rv__replace_rare(c),
                        (uint64_t)rv_config_int(c, "seed"), &t->rare));
    size_t ids = rv_size_mul((size_t)(t->B * t->T), sizeof *t->x);
    t->x = rv_alloc(ids);
    t->y = rv_alloc(ids);
    if (!t->x || !t->y) return RV_ENOMEM;
    return sampling == RV_SAMPLE_CONTIGUOUS ? make_state(t) : RV_OK;
}

static rv_status rebuild(rv_task *task, const rv_config *config, rv_params *params) {
    lm_task *t = (lm_task *)task;
    const bool carries = t->state;
    drop_model(t);
    t->config = config;
    RV_TRY(make_model(t, params));
    if (carries) RV_TRY(make_state(t));
    t->committed = (rv_cursor){0};
    return rv_lm_batches_seek(t->batches, t->committed);
}

static void destroy(rv_task *task) {
    lm_task *t = (lm_task *)task;
    drop_model(t);
    rv_lm_batches_destroy(t->batches);
    rv_corpus_free(&t->corpus);
    rv_rare_free(&t->rare);
    rv__saved_tokenizer_free(&t->saved_tokenizer);
    rv_free(t->x);
    rv_free(t->y);
    rv_free(t);
}

static rv_status create(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_params *params, rv_task **out) {
    lm_task *t = rv_alloc(sizeof *t);
    if (!t) return RV_ENOMEM;
    t->base.kind = &rv__task_language_model;
    t->config = config;
    t->T = rv_config_int(config, "train.batch.length");
    t->B = rv_config_int(config, "train.batch.size");
    if (rv_config_is(config, "train.batch.type", "tokens")) t->B = t->B > t->T ? t->B / t->T : 1;
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
    lm_task *t = (lm_task *)task;
    const int64_t step = rv_lm_batches_cursor(t->batches).step;
    t->carry = rv_lm_batches_next(t->batches, t->x, t->y);
    rv_rare_replace(&t->rare, step, t->x, t->B * t->T);
    rv_rare_replace(&t->rare, step, t->y, t->B * t->T);
    *tokens = t->B * t->T;
    return RV_OK;
}

static int64_t targets(const rv_task *task) { return ((const lm_task *)task)->B * ((const lm_task *)task)->T; }

static rv_tensor *loss(rv_tape *tape, rv_task *task) {
    lm_task *t = (lm_task *)task;
    if (t->state && !t->carry) rv_lm_get_config(t->lm)->decoder.kind->state_reset(t->state);
    return rv_lm_loss(tape, t->lm, t->x, t->y, t->B, t->T, t->state, NULL, t->smoothing);
}

static void commit(rv_task *task) {
    lm_task *t = (lm_task *)task;
    t->committed = rv_lm_batches_cursor(t->batches);
    if (!t->state) return;
    int64_t n;
    const rv_real *now = rv_lm_get_config(t->lm)->decoder.kind->state_data(t->state, &n);
    memcpy(t->kept, now, (size_t)n * sizeof *now);
}

static int64_t epoch(const rv_task *task) { return ((const lm_task *)task)->committed.epoch; }

static int64_t batches_of_epochs(const rv_task *task, int64_t epochs) {
    return rv_lm_batches_of_epochs(((const lm_task *)task)->batches, epochs);
}

static void cost(const rv_task *task, const rv_params *params, double *flops, int64_t *positions) {
    const lm_task *t = (const lm_task *)task;
    *positions = t->B * t->T;
    *flops = rv_lm_flops(t->lm, params, t->T) * (double)*positions;
}

/* ---- evaluation */

static rv_status require_part(const lm_task *t, rv_subset subset, const rv_split **out) {
    *out = subset == RV_SUBSET_TRAIN ? &t->corpus.train : subset == RV_SUBSET_VALID ? &t->corpus.valid : &t->corpus.test;
    if ((*out)->n) return RV_OK;
    if (subset == RV_SUBSET_VALID && rv_config_has(t->config, "data.path")) /* of a text that is there */
        return rv_error(RV_EDATA, "data.train_fraction %g leaves no text to validate on; lower it",
                        rv_config_real(t->config, "data.train_fraction"));
    return rv__no_part(subset);
}

/* The windows of the first `batches` batches of a pass, in the order of the text: *score gets *n of them, for rv_free.
 * Those that the last batch, or a shorter stream, does not fill have no tokens. Where spans are wanted (or NULL), each
 * target goes to its own. */
static rv_status score_windows(rv_tape *tape, lm_task *t, rv_lm_pass *pass, int64_t batches, rv__spans *spans,
                               rv__score **score, int64_t *n) {
    const rv_decoder_kind *kind = rv_lm_get_config(t->lm)->decoder.kind;
    const int64_t B = t->B, T = t->T;
    rv_decoder_state *state = pass->carry ? rv_lm_state_create(t->lm, B, T) : NULL;
    int32_t *x = rv_alloc((size_t)(2 * B * T) * sizeof *x), *y = x ? x + B * T : NULL;
    *n = batches * B;
    *score = rv_alloc(rv_size_mul((size_t)*n, sizeof **score));
    rv_status status = x && *score && (state || !pass->carry) ? RV_OK : RV_ENOMEM;
    const double *nats;
    const int32_t *best;
    bool continues;
    for (int64_t k = 0; k < batches && status == RV_OK && (status = rv_stop_requested()) == RV_OK; k++) {
        rv_tape_reset(tape);
        rv_lm_pass_next(pass, x, y, &continues);
        if (state && !continues) kind->state_reset(state);
        rv__score *row = rv_tape_alloc(tape, (size_t)B * sizeof *row);
        status = row ? rv__score_targets(tape, t->lm, x, y, B, T, state, NULL, &nats, &best) : RV_ENOMEM;
        if (status != RV_OK) break;
        rv__score_sum_rows(nats, best, y, B, T, row);
        for (int64_t i = 0; spans && i < B * T; i++)
            if (y[i] >= 0) rv__spans_add(spans, rv_lm_pass_target(pass, k, i / T) + i % T, nats[i], best[i] == y[i]);
        /* A batch holds consecutive windows, or with carried state the k-th window of each stream. */
        for (int64_t b = 0; b < B; b++) (*score)[pass->carry ? b * batches + k : k * B + b] = row[b];
    }
    if (state) kind->state_destroy(state);
    rv_free(x);
    return status;
}

/* Scores of a part, or of its first `most` batches (0: all). */
static rv_status score_part(rv_tape *tape, lm_task *t, const rv_split *part, int64_t most, rv__spans *spans,
                            rv__score **score, int64_t *n) {
    rv_lm_pass pass;
    *score = NULL;
    RV_TRY(rv_lm_pass_make(part->ids, part->n, t->B, t->T, t->state != NULL, &pass));
    int64_t batches = rv_lm_pass_batches(&pass);
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_status status = score_windows(tape, t, &pass, most && most < batches ? most : batches, spans, score, n);
    rv_tape_restore(tape, mode);
    return status;
}

static rv_status check(rv_task *task, rv_subset subset, bool watched) {
    const lm_task *t = (const lm_task *)task;
    const rv_split *part;
    rv_lm_pass pass;
    RV_TRY(require_part(t, subset, &part));
    rv_status status = rv_lm_pass_make(part->ids, part->n, t->B, t->T, t->state != NULL, &pass);
    if (status != RV_OK) return rv_error_context(status, "the %s part: ", rv__part_name(subset));
    /* Found out before training, not after it. */
    if (watched && subset == RV_SUBSET_VALID && t->corpus.test.n) RV_TRY(check(task, RV_SUBSET_TEST, false));
    static const char *const of_letters[] = {"bpc", "bpb"};
    const char *unknown = rv_tokenizer_get_spec(t->corpus.tokenizer).type == RV_TOKENS_CHAR ? "characters" : "words";
    for (int i = 0; i < 2 && part->unknown; i++) {
        if (!rv__wants_metric(t->config, of_letters[i])) continue;
        if (watched && rv__watches(t->config, of_letters[i]))
            return rv_error(RV_EDATA,
                            "train.early_stopping.metric %s: the %s part has unknown %s, whose letters <unk> "
                            "does not say; watch the loss, or take tokenizer.type bpe or byte",
                            of_letters[i], rv__part_name(subset), unknown);
        rv_warn("%s is not measured: the %s part has unknown %s, whose letters <unk> does not say "
                "(tokenizer.type bpe and byte have none)",
                of_letters[i], rv__part_name(subset), unknown);
    }
    return RV_OK;
}

static rv_status evaluate(rv_tape *tape, rv_task *task, rv_subset subset, bool final, rv_metrics_result *out) {
    lm_task *t = (lm_task *)task;
    const rv_split *part;
    rv__score *score;
    int64_t n;
    RV_TRY(require_part(t, subset, &part));
    rv_status status =
        score_part(tape, t, part, final ? 0 : rv_config_int(t->config, "train.validate_batches"), NULL, &score, &n);
    if (status == RV_OK) {
        rv__score all = rv__score_sum(n, score);
        double loss = all.nats / (double)all.tokens;
        *out = (rv_metrics_result){.tokens = all.tokens};
        rv__add_metric(t->config, out, "loss", loss);
        rv__add_metric(t->config, out, "ppl", exp(loss));
        if (!part->unknown) {
            const rv_tokens_text *text = &part->text;
            const double bits = loss * (double)(part->n - 1) / log(2.);
            rv__add_metric(t->config, out, "bpc", bits / (double)(text->chars - text->first_chars));
            rv__add_metric(t->config, out, "bpb", bits / (double)(text->bytes - text->first_bytes));
        }
        rv__add_metric(t->config, out, "accuracy", (double)all.correct / (double)all.tokens);
    }
    rv_free(score);
    if (status != RV_OK || !rv__wants_metric(t->config, "honest_loss")) return status;
    rv_honest_loss h;
    RV_TRY(rv_honest_loss_measure(tape, t->lm, part->ids, part->n, t->T, &h));
    rv__add_metric(t->config, out, "honest_loss", h.honest);
    return RV_OK;
}

static rv_status examples(rv_tape *tape, rv_task *task, rv_subset subset, rv_example_sink sink, void *ctx) {
    lm_task *t = (lm_task *)task;
    const rv_split *part;
    rv__score *score = NULL;
    rv__spans spans;
    int64_t n;
    RV_TRY(require_part(t, subset, &part));
    rv_status status = rv__spans_make(part, &spans);
    if (status == RV_OK) status = score_part(tape, t, part, 0, &spans, &score, &n);
    for (int64_t i = 0; i < spans.n && status == RV_OK; i++) status = sink(ctx, i, &spans.example[i]);
    rv__spans_free(&spans);
    rv_free(score);
    return status;
}

/* ---- checkpoints */

static rv_status save(rv_task *task, rv_items *items) {
    lm_task *t = (lm_task *)task;
    rv_items_add_fields(items, rv__cursor_fields, &t->committed);
    rv_items_add(items, RV_CK_U64, 0, NULL, &t->corpus.hash, "/data/corpus_hash");
    rv__tokenizer_items(items, "", &t->saved_tokenizer);
    if (!t->state) return RV_OK;
    int64_t n;
    rv_lm_get_config(t->lm)->decoder.kind->state_data(t->state, &n);
    rv_items_add(items, sizeof(rv_real) == 4 ? RV_CK_F32 : RV_CK_F64, 1, &n, t->kept, "/data/carried_state");
    return RV_OK;
}

static rv_status restore(rv_task *task, const rv_checkpoint *saved) {
    lm_task *t = (lm_task *)task;
    RV_TRY(rv__check_corpus(saved, t->corpus.hash));
    rv_cursor cursor;
    RV_TRY(rv_items_read_fields(saved, rv__cursor_fields, &cursor));
    RV_TRY(rv_lm_batches_seek(t->batches, cursor));
    t->committed = cursor;
    if (!t->state) return RV_OK;
    int64_t n;
    rv_real *now = rv_lm_get_config(t->lm)->decoder.kind->state_data(t->state, &n);
    const rv_ck_item *kept = rv_checkpoint_find(saved, "/data/carried_state");
    if (kept && rv_ck_count(kept) != n)
        return rv_error(
            RV_ECKPT,
            "the state that train.batch.sampling contiguous carries is of %lld sequences, and a batch is now of %lld; "
            "set train.batch back, or give the experiment another name or checkpoint.dir",
            (long long)(rv_ck_count(kept) * t->B / n), (long long)t->B);
    RV_TRY(rv_checkpoint_read(saved, "/data/carried_state", sizeof(rv_real) == 4 ? RV_CK_F32 : RV_CK_F64, n, now));
    memcpy(t->kept, now, (size_t)n * sizeof *now);
    return RV_OK;
}

static double weight_flops(const rv_task *task, const rv_param *p) { return rv_lm_weight_flops(((const lm_task *)task)->lm, p); }

/* NULL for a task of another kind. */
static const lm_task *own(const rv_task *task) {
    return task->kind == &rv__task_language_model ? (const lm_task *)task : NULL;
}

rv_lm *rv_lm_task_model(rv_task *task) { return own(task) ? own(task)->lm : NULL; }
const rv_corpus *rv_lm_task_corpus(const rv_task *task) { return own(task) ? &own(task)->corpus : NULL; }
int64_t rv_lm_task_length(const rv_task *task) { return own(task) ? own(task)->T : 0; }
rv_tokenizer *rv_lm_task_tokenizer(rv_task *task) { return own(task) ? own(task)->corpus.tokenizer : NULL; }

static const char *const start[] = {
    "tokenizer={type: char}",
    "model={decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 256}, embedding_dim: 128, dropout: 0.1}",
    "train={batch: {size: 32, length: 64}, max_steps: 2000, clip_grad_norm: 1, validate_every: 200}",
    "train={optimizer: {type: adam, lr: 3e-3}, lr_scheduler: {type: cosine}}",
    "checkpoint={every: 200, keep_last: 2}",
    "metrics=[loss, bpc, accuracy]",
    NULL,
};

const rv_task_kind rv__task_language_model = {
    .start = start,
    .name = "language_model",
    .use = "write: ravel generate",
    .create = create,
    .destroy = destroy,
    .rebuild = rebuild,
    .next_batch = next_batch,
    .targets = targets,
    .loss = loss,
    .commit = commit,
    .check = check,
    .evaluate = evaluate,
    .examples = examples,
    .save = save,
    .restore = restore,
    .epoch = epoch,
    .batches_of_epochs = batches_of_epochs,
    .cost = cost,
    .weight_flops = weight_flops,
};

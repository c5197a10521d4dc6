/* Source windows: a text, cut into parts, and windows of its tokens, each of which predicts the next. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/dataset.h"
#include "data/rare.h"
#include "train/source_private.h"
#include "train/vocabulary.h"

typedef struct {
    rv_source base;
    rv_corpus corpus; /* and its tokenizer */
    rv_lm_batches *batches;
    int32_t *x, *y; /* the training batch (B, T) */
    int64_t B, T;
    rv_rare rare;
} windows;

/* ---- beginning and end */

static rv_status load_data(windows *w, const rv_checkpoint *saved, rv_tokenizer *tokenizer) {
    const rv_config *c = w->base.config;
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
        status = rv_error(
            RV_EUSAGE, "%s: data.test_fraction is of a single text, and data set %s has parts of its own; leave it out",
            rv_config_where(c, "data.test_fraction"), rv_config_text(c, "data.dataset"));
    if (status == RV_OK && dataset && !files.text)
        rv__fraction_unused(c, saved, "data.train_fraction", "a file of its own to train on");
    files.keep_line_ends = rv_config_bool(c, "data.keep_line_ends");
    if (saved && rv_checkpoint_find(saved, "/data/corpus_hash") && status == RV_OK)
        status = rv_checkpoint_read(saved, "/data/corpus_hash", RV_CK_U64, 1, &files.kept_hash);
    if (status == RV_OK)
        status = rv_corpus_load(&files, &spec, tokenizer, &w->corpus);
    else
        rv_tokenizer_destroy(tokenizer);
    rv_dataset_destroy(dataset);
    return status;
}

static const rv_split *split(rv_source *s, rv_subset subset) {
    windows *w = (windows *)s;
    return subset == RV_SUBSET_TRAIN   ? &w->corpus.train
           : subset == RV_SUBSET_VALID ? &w->corpus.valid
                                       : &w->corpus.test;
}

static rv_status load(windows *w, const rv_checkpoint *saved, bool with_data) {
    rv_tokenizer *tokenizer = NULL;
    RV_TRY(rv__vocabulary_one(w->base.config, saved, NULL, &tokenizer));
    if (with_data)
        RV_TRY(load_data(w, saved, tokenizer));
    else
        w->corpus.tokenizer = tokenizer;
    for (int i = 0; with_data && i < 3; i++) {
        const rv_split *part = split(&w->base, (rv_subset)i);
        rv__say_unknown((rv_subset)i, "", part->unknown, part->n);
    }
    w->base.out = w->corpus.tokenizer;
    w->base.hash = w->corpus.hash;
    w->base.sizes.target_vocab = rv_tokenizer_size(w->base.out);
    return RV_OK;
}

static rv_status make_batches(windows *w, rv_sampling sampling) {
    const rv_config *c = w->base.config;
    const uint64_t seed = (uint64_t)rv_config_int(c, "seed");
    const rv_split *train = &w->corpus.train;
    RV_TRY(rv_lm_batches_create(train->ids, train->n, w->B, w->T, sampling, seed, &w->batches));
    RV_TRY(rv_rare_make(w->corpus.tokenizer, train->ids, train->n, rv__replace_rare(c), seed, &w->rare));
    const size_t ids = rv_size_mul((size_t)(w->B * w->T), sizeof *w->x);
    w->x = rv_alloc(ids);
    w->y = rv_alloc(ids);
    return w->x && w->y ? RV_OK : RV_ENOMEM;
}

static void close(rv_source *s) {
    windows *w = (windows *)s;
    rv_lm_batches_destroy(w->batches);
    rv_corpus_free(&w->corpus);
    rv_rare_free(&w->rare);
    rv_free(w->x);
    rv_free(w->y);
    rv_free(w);
}

static rv_model_sizes sizes(const rv_config *c) {
    return (rv_model_sizes){.positions = rv_config_int(c, "train.batch.length")};
}

static rv_status open(const rv_config *c, const rv_checkpoint *saved, bool with_data, rv_source **out) {
    windows *w = rv_alloc(sizeof *w);
    if (!w) return RV_ENOMEM;
    rv_sampling sampling = RV_SAMPLE_RANDOM;
    rv_sampling_parse(rv_config_text(c, "train.batch.sampling"), &sampling);
    w->base = (rv_source){.kind = &rv__source_windows, .config = c, .carries = sampling == RV_SAMPLE_CONTIGUOUS};
    w->base.sizes = sizes(c);
    w->T = w->base.sizes.positions;
    w->B = rv_config_int(c, "train.batch.size");
    if (rv_config_is(c, "train.batch.type", "tokens")) w->B = w->B > w->T ? w->B / w->T : 1;
    *out = &w->base;
    rv_status status = load(w, saved, with_data);
    if (status == RV_OK && with_data) status = make_batches(w, sampling);
    return status;
}

/* ---- training */

static void next(rv_source *s, rv_batch *b) {
    windows *w = (windows *)s;
    const int64_t step = rv_lm_batches_cursor(w->batches).step, n = w->B * w->T;
    *b = (rv_batch){.B = w->B, .T = w->T, .in = w->x, .out = w->y, .targets = n, .steps = n};
    b->continues = rv_lm_batches_next(w->batches, w->x, w->y);
    rv_rare_replace(&w->rare, step, w->x, n);
    rv_rare_replace(&w->rare, step, w->y, n);
}

static rv_cursor cursor(const rv_source *s) { return rv_lm_batches_cursor(((const windows *)s)->batches); }
static rv_status seek(rv_source *s, rv_cursor at) { return rv_lm_batches_seek(((windows *)s)->batches, at); }
static int64_t batches_of_epochs(rv_source *s, int64_t epochs) {
    return rv_lm_batches_of_epochs(((windows *)s)->batches, epochs);
}

static void typical(const rv_source *s, double *B, double *S, double *T) {
    const windows *w = (const windows *)s;
    *B = (double)w->B;
    *S = *T = (double)w->T;
}

/* ---- measuring */

static rv_status require_part(rv_source *s, rv_subset subset, const rv_split **out) {
    *out = split(s, subset);
    if ((*out)->n) return RV_OK;
    if (subset == RV_SUBSET_VALID && rv_config_has(s->config, "data.path")) /* of a text that is there */
        return rv_error(RV_EDATA, "data.train_fraction %g leaves no text to validate on; lower it",
                        rv_config_real(s->config, "data.train_fraction"));
    return rv__no_part(subset);
}

static rv_status check(rv_source *s, rv_subset subset, bool watched) {
    const windows *w = (const windows *)s;
    const rv_split *part;
    rv_lm_pass pass;
    RV_TRY(require_part(s, subset, &part));
    rv_status status = rv_lm_pass_make(part->ids, part->n, w->B, w->T, s->carries, &pass);
    if (status != RV_OK) return rv_error_context(status, "the %s part: ", rv__part_name(subset));
    /* Found out before training, not after it. */
    if (watched && subset == RV_SUBSET_VALID && w->corpus.test.n) RV_TRY(check(s, RV_SUBSET_TEST, false));
    static const char *const of_letters[] = {"bpc", "bpb"};
    const char *unknown = rv_tokenizer_get_spec(s->out).type == RV_TOKENS_CHAR ? "characters" : "words";
    for (int i = 0; i < 2 && part->unknown; i++) {
        if (!rv_task_measures(s->config, of_letters[i])) continue;
        if (watched && rv__watches(s->config, of_letters[i]))
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

static rv_letters letters(rv_source *s, rv_subset subset) {
    const rv_split *part = split(s, subset);
    const rv_tokens_text *text = &part->text;
    rv_letters l = {
        .targets = part->n - 1, .chars = text->chars - text->first_chars, .bytes = text->bytes - text->first_bytes};
    if (part->unknown) l.chars = l.bytes = 0; /* <unk> does not say which */
    return l;
}

struct rv_pass {
    rv_lm_pass windows;
    bool last_alone; /* of the window's targets, each window on its own: to look into */
    int64_t B, T, batches, next;
    int32_t *x, *y;
    int64_t *index;
};

static void pass_end(rv_pass *p) {
    if (!p) return;
    rv_free(p->x);
    rv_free(p->index);
    rv_free(p);
}

static rv_status begin(const rv_split *part, int64_t B, int64_t T, bool carries, rv_pass **out) {
    rv_pass *p = rv_alloc(sizeof *p);
    *out = p;
    if (!p) return RV_ENOMEM;
    p->B = B, p->T = T;
    p->x = rv_alloc(rv_size_mul((size_t)(2 * B * T), sizeof *p->x));
    p->index = rv_alloc((size_t)(2 * B) * sizeof *p->index);
    rv_status status = p->x && p->index ? rv_lm_pass_make(part->ids, part->n, B, T, carries, &p->windows) : RV_ENOMEM;
    if (status == RV_OK) {
        p->y = p->x + B * T;
        p->batches = rv_lm_pass_batches(&p->windows);
        return RV_OK;
    }
    pass_end(p);
    *out = NULL;
    return status;
}

static rv_status pass(rv_source *s, rv_subset subset, int64_t most, rv_pass **out, int64_t *rows) {
    const windows *w = (const windows *)s;
    const rv_split *part;
    RV_TRY(require_part(s, subset, &part));
    RV_TRY(begin(part, w->B, w->T, s->carries, out));
    if (most && most < (*out)->batches) (*out)->batches = most;
    *rows = (*out)->batches * w->B;
    return RV_OK;
}

/* A batch holds consecutive windows, or with carried state the k-th window of each stream: their places in the text. */
static int64_t place(const rv_pass *p, int64_t k, int64_t row) {
    return p->windows.carry ? row * p->batches + k : k * p->B + row;
}

static bool pass_next(rv_pass *p, rv_batch *b) {
    const int64_t k = p->next++;
    if (k == p->batches) return false;
    *b = (rv_batch){.B = p->B, .T = p->T, .in = p->x, .out = p->y, .index = p->index, .first = p->index + p->B};
    b->targets = b->steps = rv_lm_pass_next(&p->windows, p->x, p->y, &b->continues);
    for (int64_t i = 0; i < p->B; i++) {
        p->index[i] = place(p, k, i);
        p->index[p->B + i] = rv_lm_pass_target(&p->windows, k, i);
    }
    if (!p->last_alone) return true;
    int64_t rows = 0; /* windows that the text fills */
    while (rows < p->B && p->y[rows * p->T + p->T - 1] >= 0) rows++;
    for (int64_t i = 0; i < rows * p->T; i++)
        if ((i + 1) % p->T) p->y[i] = RV_IGNORE;
    b->B = b->targets = rows;
    return rows > 0;
}

/* The first windows of the validation part. */
static rv_status look(rv_source *s, int64_t length, rv_pass **out, int64_t *examples, int64_t *longest) {
    const rv_split *valid = split(s, RV_SUBSET_VALID);
    int64_t T = length > 0 ? length : ((windows *)s)->T;
    if (valid->n < 2)
        return rv_error(RV_EDATA, "gradient flow is measured on validation tokens, and there are none; name a part in "
                                  "data (ravel config explain data)");
    if (T > valid->n - 1) T = valid->n - 1;
    const int64_t there = (valid->n - 1) / T, n = there < RV_LOOK_EXAMPLES ? there : RV_LOOK_EXAMPLES;
    RV_TRY(begin(valid, n < RV_LOOK_BATCH ? n : RV_LOOK_BATCH, T, false, out));
    (*out)->last_alone = true;
    (*out)->batches = (n + RV_LOOK_BATCH - 1) / RV_LOOK_BATCH;
    *examples = n;
    *longest = T;
    return RV_OK;
}

const rv_source_kind rv__source_windows = {
    .name = "windows",
    .open = open,
    .close = close,
    .sizes = sizes,
    .next = next,
    .cursor = cursor,
    .seek = seek,
    .batches_of_epochs = batches_of_epochs,
    .typical = typical,
    .check = check,
    .pass = pass,
    .pass_next = pass_next,
    .pass_end = pass_end,
    .look = look,
    .letters = letters,
    .split = split,
};

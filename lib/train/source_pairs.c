/* Source pairs: parallel text, and one or two tokenizers. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/dataset.h"
#include "data/pair_batch.h"
#include "train/source_private.h"

typedef struct {
    rv_source base;
    rv_parallel data; /* and its tokenizers */
    bool joint;
    rv_pair_batches *batches;
    rv_pair_batch_spec spec;
    rv_rare src_rare, tgt_rare;
} pairs;

/* ---- beginning and end */

static rv_status load_files(pairs *t, const rv_tokenizer_spec *spec, rv_tokenizer *src, rv_tokenizer *tgt) {
    static const char *const keys[] = {"data.train", "data.valid", "data.test"};
    const rv_config *c = t->base.config;
    const int64_t most = rv_config_int(c, "data.max_length");
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
        status = rv__file_of(prefix, from, buf[2 * i], sizeof buf[0], &parts[i]->src);
        if (status == RV_OK && from) status = rv__file_of(prefix, to, buf[2 * i + 1], sizeof buf[0], &parts[i]->tgt);
    }
    if (rv_config_has(c, "data.train_fraction")) files.train_fraction = rv_config_real(c, "data.train_fraction");
    for (int i = 0; i < 2 && rv_config_has(c, "data.columns"); i++)
        files.columns[i] = (int)rv_config_int_at(c, "data.columns", i);
    if (status == RV_OK) status = rv_parallel_load(&files, spec, t->joint, src, tgt, most, &t->data);
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

static void say_unknown(const pairs *t) {
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
static rv_status make_rare(pairs *t) {
    const rv_config *c = t->base.config;
    const rv_pairs *p = &t->data.train;
    const double rate = rv__replace_rare(c);
    const uint64_t seed = (uint64_t)rv_config_int(c, "seed");
    RV_TRY(rv_rare_make(t->data.src, p->src_ids, p->src_at[p->n], rate, seed, &t->src_rare));
    RV_TRY(rv_rare_make(t->data.tgt, p->tgt_ids, p->tgt_at[p->n], rate, seed, &t->tgt_rare));
    t->spec.src_rare = &t->src_rare;
    t->spec.tgt_rare = &t->tgt_rare;
    return RV_OK;
}

static rv_status load(pairs *t, const rv_checkpoint *saved, bool with_data) {
    rv_tokenizer *src = NULL, *tgt = NULL;
    const int64_t most = rv_config_int(t->base.config, "data.max_length");
    rv_tokenizer_spec spec = rv__tokenizer_spec(t->base.config);
    if (saved) {
        RV_TRY(rv__tokenizer_open(saved, t->joint ? "" : "src", &src));
        rv_status status = t->joint ? RV_OK : rv__tokenizer_open(saved, "tgt", &tgt);
        if (status != RV_OK) {
            rv_tokenizer_destroy(src);
            return status;
        }
        if (t->joint) tgt = src;
    }
    if (with_data) {
        RV_TRY(load_files(t, &spec, src, tgt));
        RV_TRY(cut_pairs(&t->data.valid, most, "validation"));
        RV_TRY(cut_pairs(&t->data.test, most, "test"));
        say_unknown(t);
    } else {
        t->data.src = src;
        t->data.tgt = tgt;
    }
    static const rv_special needed[] = {RV_PAD, RV_BOS, RV_EOS};
    for (int i = 0; i < 3; i++)
        if (rv_tokenizer_special(t->data.src, needed[i]) < 0 || rv_tokenizer_special(t->data.tgt, needed[i]) < 0)
            return rv_error(RV_ECKPT, "the tokenizer has no <pad>, <bos> or <eos>; it is not one for translation");
    t->base.in = t->data.src;
    t->base.out = t->data.tgt;
    t->base.hash = t->data.hash;
    t->base.sizes.source_vocab = rv_tokenizer_size(t->base.in);
    t->base.sizes.target_vocab = rv_tokenizer_size(t->base.out);
    return RV_OK;
}

static rv_status make_batches(pairs *t) {
    const rv_config *c = t->base.config;
    t->spec = (rv_pair_batch_spec){
        .by_tokens = rv_config_is(c, "train.batch.type", "tokens"),
        .size = rv_config_int(c, "train.batch.size"),
        .bucketing = rv_config_bool(c, "train.batch.bucketing"),
        .seed = (uint64_t)rv_config_int(c, "seed"),
        .marks = rv_pair_marks_of(&t->data),
    };
    RV_TRY(make_rare(t));
    return rv_pair_batches_create(&t->data.train, &t->spec, &t->batches);
}

static void close(rv_source *s) {
    pairs *t = (pairs *)s;
    rv_pair_batches_destroy(t->batches);
    rv_parallel_free(&t->data);
    rv_rare_free(&t->src_rare);
    rv_rare_free(&t->tgt_rare);
    rv_free(t);
}

/* <eos> is one more. */
static rv_model_sizes sizes(const rv_config *c) { return (rv_model_sizes){.positions = rv_config_int(c, "data.max_length") + 1}; }

static rv_status open(const rv_config *config, const rv_checkpoint *saved, bool with_data, rv_source **out) {
    pairs *t = rv_alloc(sizeof *t);
    if (!t) return RV_ENOMEM;
    t->base = (rv_source){.kind = &rv__source_pairs, .config = config, .sizes = sizes(config)};
    t->joint = rv_config_bool(config, "tokenizer.joint");
    *out = &t->base;
    rv_status status = load(t, saved, with_data);
    if (status == RV_OK && with_data) status = make_batches(t);
    return status;
}

/* ---- training */

static void give(const rv_pair_batch *b, rv_batch *out) {
    *out = (rv_batch){.source = {.B = b->B, .T = b->S, .ids = b->src, .lengths = b->src_lengths},
                      .B = b->B, .T = b->T, .in = b->tgt_in, .out = b->tgt_out, .lengths = b->tgt_lengths,
                      .targets = b->targets, .steps = b->targets, .index = b->index};
}

static void next(rv_source *s, rv_batch *out) {
    rv_pair_batch b;
    rv_pair_batches_next(((pairs *)s)->batches, &b);
    give(&b, out);
}

static void largest(rv_source *s, rv_batch *out) {
    rv_pair_batch b;
    rv_pair_batches_largest(((pairs *)s)->batches, &b);
    give(&b, out);
}

static rv_cursor cursor(const rv_source *s) { return rv_pair_batches_cursor(((const pairs *)s)->batches); }
static rv_status seek(rv_source *s, rv_cursor at) { return rv_pair_batches_seek(((pairs *)s)->batches, at); }
static int64_t batches_of_epochs(rv_source *s, int64_t epochs) {
    return rv_pair_batches_of_epochs(((pairs *)s)->batches, epochs);
}

/* Without data one pair of 32 tokens each. */
static void typical(const rv_source *s, double *B, double *S, double *T) {
    const pairs *t = (const pairs *)s;
    const rv_pairs *p = &t->data.train;
    *B = 1, *S = *T = 32;
    if (!t->batches) return;
    const int64_t rows = p->n / rv_pair_batches_per_epoch(t->batches);
    *B = (double)(rows ? rows : 1);
    *S = (double)((p->src_at[p->n] + p->n / 2) / p->n + 1);
    *T = (double)((p->tgt_at[p->n] + p->n / 2) / p->n + 1);
}

/* ---- measuring */

static rv_pairs *part_of(rv_source *s, rv_subset subset) {
    rv_parallel *d = &((pairs *)s)->data;
    return subset == RV_SUBSET_TRAIN ? &d->train : subset == RV_SUBSET_VALID ? &d->valid : &d->test;
}

struct rv_pass {
    rv_pairs pairs; /* the first of a part's, to look into; its arrays are the part's */
    rv_pair_pass *of;
};

static void pass_end(rv_pass *p) {
    if (p) rv_pair_pass_destroy(p->of);
    rv_free(p);
}

static rv_status begin(const rv_pairs *p, int64_t most, const rv_pair_batch_spec *spec, rv_pass **out) {
    rv_pass *pass = *out = rv_alloc(sizeof *pass);
    if (!pass) return RV_ENOMEM;
    pass->pairs = *p;
    if (pass->pairs.n > most) pass->pairs.n = most;
    const rv_status status = rv_pair_pass_create(&pass->pairs, spec, &pass->of);
    if (status == RV_OK) return RV_OK;
    pass_end(pass);
    *out = NULL;
    return status;
}

static rv_status pass(rv_source *s, rv_subset subset, int64_t most, rv_pass **out, int64_t *rows) {
    const rv_pairs *p = part_of(s, subset);
    if (!p->n) return rv__no_part(subset);
    *rows = p->n;
    return begin(p, p->n, &((pairs *)s)->spec, out);
}

static bool pass_next(rv_pass *p, rv_batch *out) {
    rv_pair_batch b;
    if (!rv_pair_pass_next(p->of, &b)) return false;
    give(&b, out);
    return true;
}

static rv_status check(rv_source *s, rv_subset subset, bool watched) { /* every metric can be measured */
    rv_pass *p = NULL;
    int64_t rows;
    RV_TRY(pass(s, subset, 0, &p, &rows));
    pass_end(p);
    return RV_OK;
}

/* The first pairs of the validation part; the loss is of the whole target. */
static rv_status look(rv_source *s, int64_t length, rv_pass **out, int64_t *examples, int64_t *longest) {
    const rv_pairs *p = part_of(s, RV_SUBSET_VALID);
    if (!p->n)
        return rv_error(RV_EDATA, "gradient flow is measured on validation pairs, and there are none; name a part in data "
                                  "(ravel config explain data)");
    *examples = p->n < RV_LOOK_EXAMPLES ? p->n : RV_LOOK_EXAMPLES;
    *longest = p->src_longest + 1; /* <eos> */
    const rv_pair_batch_spec spec = {.size = RV_LOOK_BATCH, .marks = rv_pair_marks_of(&((pairs *)s)->data)};
    return begin(p, *examples, &spec, out);
}

static void describe(rv_source *s, rv_subset subset, int64_t i, rv_example *e) {
    const rv_pairs *p = part_of(s, subset);
    e->source_tokens = rv_pairs_src_length(p, i);
    e->source_words = rv__words_of(p->src[i].bytes);
    e->source = p->src[i].bytes;
    e->reference = p->tgt[i].bytes;
}

const rv_source_kind rv__source_pairs = {
    .name = "pairs",
    .open = open,
    .close = close,
    .sizes = sizes,
    .next = next,
    .largest = largest,
    .cursor = cursor,
    .seek = seek,
    .batches_of_epochs = batches_of_epochs,
    .typical = typical,
    .check = check,
    .pass = pass,
    .pass_next = pass_next,
    .pass_end = pass_end,
    .look = look,
    .describe = describe,
    .pairs = part_of,
};

#include "train/source_rows.h"

#include "base/arena.h"
#include "base/log.h"

/* ---- beginning and end */

/* Sentences to measure are kept whole as text, but the model sees their first max_length tokens. */
rv_status rv__rows_cut(rv_pairs *p, int64_t most, const char *part) {
    int64_t cut;
    RV_TRY(rv_pairs_cut(p, most, &cut));
    if (cut)
        rv_warn("%lld of the %lld pairs of the %s part have a side of more than data.max_length %lld tokens: the model "
                "sees that many of them, and the loss "
                "is over what it sees",
                (long long)cut, (long long)p->n, part, (long long)most);
    return RV_OK;
}

static void say_unknown(const rv__rows *r) {
    for (int i = 0; i < 3; i++) {
        const rv_pairs *p = r->part[i];
        if (!p->n) continue;
        const char *side = p->tgt_at ? "source " : "";
        rv__say_unknown((rv_subset)i, side, rv_tokenizer_unknown(r->base.in, p->src_ids, p->src_at[p->n]),
                        p->src_at[p->n]);
        if (p->tgt_at)
            rv__say_unknown((rv_subset)i, "target ", rv_tokenizer_unknown(r->base.out, p->tgt_ids, p->tgt_at[p->n]),
                            p->tgt_at[p->n]);
    }
}

/* Of a joint vocabulary a word counts that occurs once on either side: both sides know it under one id. */
static rv_status make_rare(rv__rows *r) {
    const rv_config *c = r->base.config;
    const rv_pairs *p = r->part[RV_SUBSET_TRAIN];
    const double rate = rv__replace_rare(c);
    const uint64_t seed = (uint64_t)rv_config_int(c, "seed");
    RV_TRY(rv_rare_make(r->base.in, p->src_ids, p->src_at[p->n], rate, seed, &r->src_rare));
    r->spec.src_rare = &r->src_rare;
    if (!p->tgt_at) return RV_OK;
    RV_TRY(rv_rare_make(r->base.out, p->tgt_ids, p->tgt_at[p->n], rate, seed, &r->tgt_rare));
    r->spec.tgt_rare = &r->tgt_rare;
    return RV_OK;
}

rv_status rv__rows_begin(rv__rows *r) {
    const rv_config *c = r->base.config;
    const rv_pairs *train = r->part[RV_SUBSET_TRAIN];
    say_unknown(r);
    r->spec.by_tokens = rv_config_is(c, "train.batch.type", "tokens");
    r->spec.size = rv_config_int(c, "train.batch.size");
    r->spec.bucketing = rv_config_bool(c, "train.batch.bucketing");
    r->spec.seed = (uint64_t)rv_config_int(c, "seed");
    RV_TRY(make_rare(r));
    const int64_t rows = r->spec.size < train->n ? r->spec.size : train->n;
    if (!train->tgt_at && !(r->labels = rv_alloc(rv_size_mul((size_t)rows, sizeof *r->labels)))) return RV_ENOMEM;
    return rv_pair_batches_create(train, &r->spec, &r->batches);
}

void rv__rows_end(rv__rows *r) {
    rv_pair_batches_destroy(r->batches);
    rv_rare_free(&r->src_rare);
    rv_rare_free(&r->tgt_rare);
    rv_free(r->labels);
}

/* <eos> is one more. */
rv_model_sizes rv__rows_sizes(const rv_config *c) {
    return (rv_model_sizes){.positions = rv_config_int(c, "data.max_length") + 1};
}

/* ---- training */

/* labels: room for the rows', where the part has some; NULL: it has none. */
static void give(rv__rows *r, rv_subset subset, bool training, const rv_pair_batch *b, int32_t *labels, rv_batch *out) {
    const int32_t *from = r->label[subset];
    *out = (rv_batch){.source = {.B = b->B, .T = b->S, .ids = b->src, .lengths = b->src_lengths},
                      .B = b->B,
                      .T = b->T,
                      .in = b->tgt_in,
                      .out = b->tgt_out,
                      .lengths = b->tgt_lengths,
                      .targets = b->targets,
                      .steps = b->targets,
                      .index = b->index};
    if (r->extend) r->extend(r, subset, training, out);
    if (!from) return;
    out->steps = 0; /* tokens of the texts, since nothing predicts tokens */
    for (int64_t i = 0; i < b->B; i++) {
        labels[i] = from[b->index[i]];
        out->steps += b->src_lengths[i];
    }
    out->label = labels;
}

void rv__rows_next(rv_source *s, rv_batch *out) {
    rv__rows *r = (rv__rows *)s;
    rv_pair_batch b;
    rv_pair_batches_next(r->batches, &b);
    give(r, RV_SUBSET_TRAIN, true, &b, r->labels, out);
}

void rv__rows_largest(rv_source *s, rv_batch *out) {
    rv__rows *r = (rv__rows *)s;
    rv_pair_batch b;
    rv_pair_batches_largest(r->batches, &b);
    give(r, RV_SUBSET_TRAIN, true, &b, r->labels, out);
}

rv_cursor rv__rows_cursor(const rv_source *s) { return rv_pair_batches_cursor(((const rv__rows *)s)->batches); }
rv_status rv__rows_seek(rv_source *s, rv_cursor at) { return rv_pair_batches_seek(((rv__rows *)s)->batches, at); }
int64_t rv__rows_batches_of_epochs(rv_source *s, int64_t epochs) {
    return rv_pair_batches_of_epochs(((rv__rows *)s)->batches, epochs);
}

/* Without data one row of 32 tokens on each side. */
void rv__rows_typical(const rv_source *s, double *B, double *S, double *T) {
    const rv__rows *r = (const rv__rows *)s;
    *B = 1, *S = *T = 32;
    if (!r->batches) return;
    const rv_pairs *p = r->part[RV_SUBSET_TRAIN];
    const int64_t rows = p->n / rv_pair_batches_per_epoch(r->batches);
    *B = (double)(rows ? rows : 1);
    const int eos = r->spec.marks.src_eos >= 0;
    *S = *T = (double)((p->src_at[p->n] + p->n / 2) / p->n + eos);
    if (p->tgt_at) *T = (double)((p->tgt_at[p->n] + p->n / 2) / p->n + 1);
}

/* ---- measuring */

struct rv_pass {
    rv__rows *rows;
    rv_subset subset;
    rv_pairs pairs; /* the first of a part's, to look into; its arrays are the part's */
    int32_t *labels;
    rv_pair_pass *of;
};

void rv__rows_pass_end(rv_pass *p) {
    if (!p) return;
    rv_pair_pass_destroy(p->of);
    rv_free(p->labels);
    rv_free(p);
}

static rv_status begin(rv__rows *r, rv_subset subset, int64_t most, const rv_pair_batch_spec *spec, rv_pass **out) {
    rv_pass *p = *out = rv_alloc(sizeof *p);
    if (!p) return RV_ENOMEM;
    *p = (rv_pass){.rows = r, .subset = subset, .pairs = *r->part[subset]};
    if (p->pairs.n > most) p->pairs.n = most;
    rv_status status = rv_pair_pass_create(&p->pairs, spec, &p->of);
    if (status == RV_OK && r->label[subset] && !(p->labels = rv_alloc((size_t)p->pairs.n * sizeof *p->labels)))
        status = RV_ENOMEM;
    if (status == RV_OK) return RV_OK;
    rv__rows_pass_end(p);
    *out = NULL;
    return status;
}

rv_status rv__rows_pass(rv_source *s, rv_subset subset, int64_t most, rv_pass **out, int64_t *rows) {
    rv__rows *r = (rv__rows *)s;
    *out = NULL;
    *rows = r->part[subset]->n;
    return *rows ? begin(r, subset, *rows, &r->spec, out) : rv__no_part(subset);
}

bool rv__rows_pass_next(rv_pass *p, rv_batch *out) {
    rv_pair_batch b;
    if (!rv_pair_pass_next(p->of, &b)) return false;
    give(p->rows, p->subset, false, &b, p->labels, out);
    return true;
}

rv_status rv__rows_check(rv_source *s, rv_subset subset, bool watched) {
    rv__rows *r = (rv__rows *)s;
    rv_pass *p;
    int64_t rows;
    RV_TRY(rv__rows_pass(s, subset, 0, &p, &rows));
    rv__rows_pass_end(p);
    return r->check ? r->check(r, subset, watched) : RV_OK;
}

/* The first rows of the validation part; the loss is of the whole target. */
rv_status rv__rows_look(rv_source *s, int64_t length, rv_pass **out, int64_t *examples, int64_t *longest) {
    rv__rows *r = (rv__rows *)s;
    const rv_pairs *p = r->part[RV_SUBSET_VALID];
    if (!p->n)
        return rv_error(RV_EDATA,
                        "gradient flow is measured on validation %s, and there are none; name a part in data "
                        "(ravel config explain data)",
                        p->tgt_at ? "pairs" : "texts");
    *examples = p->n < RV_LOOK_EXAMPLES ? p->n : RV_LOOK_EXAMPLES;
    *longest = p->src_longest + (r->spec.marks.src_eos >= 0);
    const rv_pair_batch_spec spec = {.size = RV_LOOK_BATCH, .marks = r->spec.marks};
    return begin(r, RV_SUBSET_VALID, *examples, &spec, out);
}

rv_pairs *rv__rows_part(rv_source *s, rv_subset subset) { return ((rv__rows *)s)->part[subset]; }

void rv__rows_describe(rv_source *s, rv_subset subset, int64_t i, rv_example *e) {
    const rv_pairs *p = ((rv__rows *)s)->part[subset];
    e->source_tokens = rv_pairs_src_length(p, i);
    e->source_words = rv__words_of(p->src[i].bytes);
    e->source = p->src[i].bytes;
    e->reference = p->tgt ? p->tgt[i].bytes : NULL;
}

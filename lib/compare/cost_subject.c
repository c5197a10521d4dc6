#include "base/arena.h"
#include "base/rng.h"
#include "compare/cost_private.h"
#include "kernels/top_k.h"
#include "train/freeze.h"
#include "data/tagged.h"
#include "train/task.h"

#include <string.h>

/* ---- creation */

static int32_t *random_ids(rv_rng *rng, int64_t n, int64_t vocabulary) {
    int32_t *ids = rv_alloc(rv_size_mul((size_t)n, sizeof *ids));
    for (int64_t i = 0; ids && i < n; i++) ids[i] = (int32_t)rv_rng_below(rng, (uint64_t)vocabulary);
    return ids;
}

static rv_real *random_numbers(rv_rng *rng, int64_t n) {
    rv_real *x = rv_alloc(rv_size_mul((size_t)n, sizeof *x));
    for (int64_t i = 0; x && i < n; i++) x[i] = (rv_real)rv_rng_uniform(rng);
    return x;
}

enum { LETTERS = 100 }; /* different ones: how many, hardly matters */

/* A table of positions is as long as the configuration has it, or long enough. */
static rv_status make_model(rv__subject *s, const rv_config *c, int64_t src_vocab, int64_t tgt_vocab) {
    const rv_task_kind *task = rv_task_find(rv_config_text(c, "task"));
    if (rv_model_config_counts(c))
        return rv_error(RV_EUSAGE, "a model that counts has no forward and backward pass to be measured; leave it out");
    rv_model_sizes sizes = task->source->sizes(c);
    if (!sizes.numbers) sizes.source_vocab = src_vocab; /* numbers have no vocabulary, whatever is told */
    sizes.target_vocab = tgt_vocab;
    if (task->head->reads == RV_READS_ENCODER) sizes.outputs = tgt_vocab;
    if (!sizes.outputs) sizes.outputs = 2; /* classes: how many, hardly matters */
    sizes.letters = LETTERS;
    sizes.shapes = RV_SHAPES;
    if (sizes.positions < s->L) sizes.positions = s->L;
    const rv_model_config mc = rv_model_config_read(c, task->head, &sizes);
    s->model = rv_model_create(s->params, &mc);
    return s->model ? RV_OK : RV_ENOMEM;
}

/* Words of RV_LETTERS_PER_WORD random letters, another one at each position. */
static bool spell(rv__subject *s, rv_rng *rng) {
    const int64_t n = s->B * s->L, letters = n * RV_LETTERS_PER_WORD;
    if (!(s->spelt = random_ids(rng, letters + 3 * n, LETTERS))) return false;
    int32_t *length = s->spelt + letters, *shape = length + n, *which = shape + n;
    for (int64_t i = 0; i < n; i++) {
        length[i] = RV_LETTERS_PER_WORD;
        shape[i] %= RV_SHAPES;
        which[i] = (int32_t)i;
    }
    s->words = (rv_words){
        .n = n, .L = RV_LETTERS_PER_WORD, .letters = s->spelt, .lengths = length, .shape = shape, .which = which};
    s->batch.source.words = &s->words;
    return true;
}

/* Tags of the source's positions. */
static bool tag(rv__subject *s, rv_rng *rng) {
    const int64_t n = s->B * s->L;
    s->batch.out = s->ids[2] = random_ids(rng, n, rv_model_get_config(s->model)->head.output_size);
    s->batch.T = s->L;
    s->batch.lengths = s->lengths;
    s->batch.targets = n;
    return s->ids[2] && spell(s, rng);
}

/* What the model reads, random. */
static bool fill_batch(rv__subject *s) {
    const rv_model_config *c = rv_model_get_config(s->model);
    const int64_t n = s->B * s->L, F = c->encoder.input.numbers, V = c->decoder.input.vocab_size;
    rv_rng rng = rv_rng_make(1, "cost", (uint64_t)s->L);
    rv_batch *b = &s->batch;
    b->B = b->targets = s->B;
    if (c->decoder.kind) {
        if (!(s->ids[1] = random_ids(&rng, n, V)) || !(s->ids[2] = random_ids(&rng, n, V))) return false;
        b->T = s->L;
        b->in = s->ids[1];
        b->out = s->ids[2];
        b->targets = n;
    }
    if (!c->encoder.kind) return true;
    b->source = (rv_sequences){.B = s->B, .T = s->L, .lengths = s->lengths};
    if (c->encoder.input.vocab_size)
        b->source.ids = s->ids[0] = random_ids(&rng, n, c->encoder.input.vocab_size);
    else
        b->source.numbers = s->numbers = random_numbers(&rng, n * F);
    b->label = s->ids[3] = random_ids(&rng, s->B, c->head.output_size);
    b->number = s->told = random_numbers(&rng, s->B * c->head.output_size);
    if (c->head.kind->reads == RV_READS_ENCODER && !tag(s, &rng)) return false;
    return (s->ids[0] || s->numbers) && s->ids[3] && s->told;
}

static rv_status fill(rv__subject *s, const rv_config *config, int64_t src_vocab, int64_t tgt_vocab) {
    s->params = rv_params_create();
    s->tape = rv_tape_create();
    s->lengths = rv_alloc((size_t)s->B * sizeof *s->lengths);
    s->last = rv_alloc((size_t)s->B * sizeof *s->last);
    if (!s->params || !s->tape || !s->lengths || !s->last) return RV_ENOMEM;
    for (int64_t b = 0; b < s->B; b++) s->lengths[b] = (int32_t)s->L;
    RV_TRY(make_model(s, config, src_vocab, tgt_vocab));
    RV_TRY(rv_params_materialise(s->params, 1));
    RV_TRY(rv_freeze(config, s->params));
    return fill_batch(s) ? RV_OK : RV_ENOMEM;
}

rv_status rv__subject_open(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab, int64_t B, int64_t L,
                           rv__subject *s) {
    *s = (rv__subject){.B = B, .L = L};
    if (rv_config_has(config, "train.label_smoothing")) s->smoothing = rv_config_real(config, "train.label_smoothing");
    const rv_status status = fill(s, config, src_vocab, tgt_vocab);
    if (status != RV_OK) rv__subject_close(s);
    return status;
}

void rv__subject_close(rv__subject *s) {
    if (s->model) rv_model_state_destroy(s->model, s->state);
    rv_model_destroy(s->model);
    rv_tape_destroy(s->tape);
    rv_params_destroy(s->params);
    void *const all[] = {s->ids[0], s->ids[1],  s->ids[2], s->ids[3], s->lengths,
                         s->last,   s->numbers, s->told,   s->spelt};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rv_free(all[i]);
    *s = (rv__subject){0};
}

/* ---- what is measured */

rv_tensor *rv__subject_loss(rv__subject *s) { return rv_model_loss(s->tape, s->model, &s->batch, NULL, s->smoothing); }

static bool decodes(const rv__subject *s) { return s->batch.in; }
static bool encodes(const rv__subject *s) { return s->batch.source.B; }

/* A state that each later token changes cannot be carried. */
bool rv__subject_decodes(const rv__subject *s) { return decodes(s) && !rv_model_sees_future(s->model); }

/* The most probable id after each row's logits. */
static void choose(const rv__subject *s, const rv_tensor *logits) {
    for (int64_t b = 0; b < s->B; b++) {
        rv_real value;
        const rv_real *row = logits->x + rv_model_row(s->model, s->B, 1, b, 0) * rv_dim(logits, -1);
        rv_k()->top_k_row(rv_dim(logits, -1), row, 1, &value, &s->last[b]);
    }
}

/* A fresh state: of an encoder-decoder one that has read its source. */
static rv_decoder_state *begin(rv__subject *s) {
    rv_memory memory;
    if (!encodes(s)) return rv_model_state_create(s->model, s->B, s->L);
    if (!rv_model_encode(s->tape, s->model, &s->batch.source, &memory)) return NULL;
    return rv_model_state_over(s->tape, s->model, &memory, 1, s->L);
}

/* From token 0 on. No token ends it. */
static rv_status decode(rv__subject *s) {
    memset(s->last, 0, (size_t)s->B * sizeof *s->last);
    rv_tape_reset(s->tape);
    if (encodes(s) || !s->state) {
        rv_model_state_destroy(s->model, s->state);
        s->state = begin(s);
    } else
        rv_model_state_reset(s->model, s->state);
    if (!s->state) return rv_tape_status(s->tape) != RV_OK ? rv_tape_status(s->tape) : RV_ENOMEM;
    for (int64_t made = 0; made < s->L; made++) {
        rv_tape_reset(s->tape);
        const rv_tensor *logits = rv_model_step(s->tape, s->model, s->state, s->last);
        if (!logits) return rv_tape_status(s->tape);
        choose(s, logits);
    }
    return RV_OK;
}

rv_status rv__subject_decode(rv__subject *s) {
    const rv_tape_mode mode = rv_tape_infer(s->tape);
    rv_tape_hold_weights(s->tape, true);
    const rv_status status = decode(s);
    rv_tape_hold_weights(s->tape, false);
    rv_tape_restore(s->tape, mode);
    return status;
}

/* ---- what it should take */

double rv__subject_forward_flops(const rv__subject *s) {
    const double L = (double)s->L;
    return rv_model_flops(s->model, s->params, L, L) * (double)s->B;
}

int64_t rv__subject_state_bytes(const rv__subject *s) {
    return decodes(s) ? rv_model_state_bytes(s->model, s->L, s->L) * s->B : 0;
}

#include "base/arena.h"
#include "base/rng.h"
#include "compare/cost_private.h"
#include "data/adding.h"
#include "kernels/top_k.h"
#include "train/freeze.h"
#include "train/model_config.h"

#include <string.h>

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static const rv_decoder_config *decoder_of(const rv__subject *s) {
    return s->pair ? &rv_seq2seq_get_config(s->pair)->lm.decoder : &rv_lm_get_config(s->lm)->decoder;
}
static rv_lm *head_of(const rv__subject *s) { return s->pair ? rv_seq2seq_lm(s->pair) : s->lm; }

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

static rv_status make_model(rv__subject *s, int64_t src_vocab, int64_t tgt_vocab) {
    const rv_config *c = s->config;
    if (rv_config_is(c, "task", "translation")) {
        const rv_seq2seq_config pair = rv_seq2seq_config_read(c, src_vocab, tgt_vocab, larger(rv_config_int(c, "data.max_length"), s->L) + 1);
        s->pair = rv_seq2seq_create(s->params, &pair);
    } else if (rv_config_is(c, "task", "language_model")) {
        rv_lm_config lm = rv_lm_config_read(c, tgt_vocab);
        lm.decoder.max_length = larger(lm.decoder.max_length, s->L);
        s->lm = rv_lm_create(s->params, &lm);
    } else if (rv_config_is(c, "task", "regression")) {
        rv_sequence_regressor_config numbers = rv_sequence_regressor_config_read(c, RV_ADDING_INPUTS, 1);
        numbers.max_length = larger(numbers.max_length, s->L);
        s->regressor = rv_sequence_regressor_create(s->params, &numbers);
    } else {
        return rv_error(RV_EUSAGE, "%s: cost cannot be measured for task %s; compare without cost", rv_config_where(c, "task"), rv_config_text(c, "task"));
    }
    return s->pair || s->lm || s->regressor ? RV_OK : RV_ENOMEM;
}

static rv_status fill(rv__subject *s, int64_t src_vocab, int64_t tgt_vocab) {
    s->params = rv_params_create();
    s->tape = rv_tape_create();
    if (!s->params || !s->tape) return RV_ENOMEM;
    RV_TRY(make_model(s, src_vocab, tgt_vocab));
    RV_TRY(rv_params_materialise(s->params, 1));
    RV_TRY(rv_freeze(s->config, s->params));
    rv_rng rng = rv_rng_make(1, "cost", (uint64_t)s->L);
    const int64_t n = s->B * s->L;
    s->lengths = rv_alloc((size_t)s->B * sizeof *s->lengths);
    s->last = rv_alloc((size_t)s->B * sizeof *s->last);
    bool ok = s->lengths && s->last;
    if (s->regressor) {
        ok = ok && (s->numbers = random_numbers(&rng, n * RV_ADDING_INPUTS)) && (s->targets = random_numbers(&rng, s->B));
    } else {
        ok = ok && (s->x = random_ids(&rng, n, tgt_vocab)) && (s->y = random_ids(&rng, n, tgt_vocab));
        if (s->pair) ok = ok && (s->src = random_ids(&rng, n, src_vocab));
    }
    if (!ok) return RV_ENOMEM;
    for (int64_t b = 0; b < s->B; b++) s->lengths[b] = (int32_t)s->L;
    return RV_OK;
}

rv_status rv__subject_open(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab, int64_t B, int64_t L, rv__subject *s) {
    *s = (rv__subject){.config = config, .B = B, .L = L};
    if (rv_config_has(config, "train.label_smoothing")) s->smoothing = rv_config_real(config, "train.label_smoothing");
    const rv_status status = fill(s, src_vocab, tgt_vocab);
    if (status != RV_OK) rv__subject_close(s);
    return status;
}

void rv__subject_close(rv__subject *s) {
    if (s->state) decoder_of(s)->kind->state_destroy(s->state);
    rv_lm_destroy(s->lm);
    rv_seq2seq_destroy(s->pair);
    rv_sequence_regressor_destroy(s->regressor);
    rv_tape_destroy(s->tape);
    rv_params_destroy(s->params);
    void *const all[] = {s->src, s->x, s->y, s->lengths, s->last, s->numbers, s->targets};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rv_free(all[i]);
    *s = (rv__subject){0};
}

/* ---- what is measured */

rv_tensor *rv__subject_loss(rv__subject *s) {
    rv_memory memory;
    rv_sequence_regression r;
    if (s->regressor) {
        if (!rv_sequence_regressor_forward(s->tape, s->regressor, s->numbers, s->lengths, s->B, s->L, &r)) return NULL;
        return rv_mse(s->tape, r.output, rv_constant(s->tape, 2, (int64_t[]){s->B, 1}, s->targets));
    }
    if (!s->pair) return rv_lm_loss(s->tape, s->lm, s->x, s->y, s->B, s->L, NULL, NULL, s->smoothing);
    if (!rv_seq2seq_encode(s->tape, s->pair, s->src, s->lengths, s->B, s->L, &memory)) return NULL;
    return rv_seq2seq_loss(s->tape, s->pair, &memory, s->x, s->y, s->B, s->L, s->smoothing);
}

/* A state that each later token changes cannot be carried. */
bool rv__subject_decodes(const rv__subject *s) { return !s->regressor && !(s->lm && rv_lm_sees_future(s->lm)); }

/* The most probable id after each row's logits. */
static void choose(const rv__subject *s, const rv_tensor *logits) {
    const int64_t V = decoder_of(s)->vocab_size;
    for (int64_t b = 0; b < s->B; b++) {
        rv_real value;
        rv_k()->top_k_row(V, logits->x + rv_lm_row(head_of(s), s->B, 1, b, 0) * V, 1, &value, &s->last[b]);
    }
}

/* A language model goes on from token 0; a translation from token 0 after its source has been read. No token ends it. */
static rv_status decode(rv__subject *s) {
    const rv_decoder_kind *kind = decoder_of(s)->kind;
    memset(s->last, 0, (size_t)s->B * sizeof *s->last);
    rv_tape_reset(s->tape);
    if (s->pair) {
        rv_memory memory;
        if (s->state) kind->state_destroy(s->state);
        s->state = NULL;
        if (!rv_seq2seq_encode(s->tape, s->pair, s->src, s->lengths, s->B, s->L, &memory)) return rv_tape_status(s->tape);
        s->state = rv_seq2seq_state_create(s->tape, s->pair, &memory, 1, s->L);
    } else if (s->state) {
        kind->state_reset(s->state);
    } else {
        s->state = rv_lm_state_create(s->lm, s->B, s->L);
    }
    if (!s->state) return rv_tape_status(s->tape) != RV_OK ? rv_tape_status(s->tape) : RV_ENOMEM;
    for (s->made = 0; s->made < s->L; s->made++) {
        rv_tape_reset(s->tape);
        const rv_tensor *logits = s->pair ? rv_seq2seq_step(s->tape, s->pair, s->state, s->last) : rv_lm_logits(s->tape, s->lm, s->last, s->B, 1, s->state, NULL);
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
    if (s->regressor) return rv_sequence_regressor_flops(s->regressor, s->params, (double)s->L) * (double)(s->B * s->L);
    if (s->pair) return rv_seq2seq_flops(s->pair, s->params, s->B, s->L, s->L);
    return rv_lm_flops(s->lm, s->params, s->L) * (double)(s->B * s->L);
}

int64_t rv__subject_state_bytes(const rv__subject *s) {
    const rv_decoder_config *d = decoder_of(s);
    const rv_reading *r = &d->reading;
    int64_t n;
    if (d->kind == &rv__decoder_transformer) {
        n = 2 * d->transformer.num_layers * d->transformer.hidden_size * s->L * (s->pair ? 2 : 1); /* keys and values, of the source, too */
    } else {
        n = d->rnn.num_layers * d->rnn.hidden_size * (d->rnn.cell == RV_CELL_LSTM ? 2 : 1);
        if (r->attend == RV_ATTEND_BAHDANAU || r->attend == RV_ATTEND_LUONG_CONCAT) n += s->L * (d->memory_size + r->attention_size);
        else if (r->attend == RV_ATTEND_LUONG_GENERAL) n += s->L * (d->memory_size + d->rnn.hidden_size);
        else if (r->attend == RV_ATTEND_LUONG_DOT) n += s->L * d->memory_size;
        else if (r->context_each_step) n += d->summary_size;
    }
    return n * s->B * (int64_t)sizeof(rv_real);
}

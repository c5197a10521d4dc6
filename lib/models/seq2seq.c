#include "models/seq2seq.h"

#include <string.h>

struct rv_seq2seq {
    rv_seq2seq_config config;
    rv_encoder *encoder;
    rv_lm *lm;
};

/* Do the parts fit each other? What one part asks of itself is checked where that part is made. */
static rv_status check(const rv_seq2seq_config *c) {
    const rv_encoder_config *e = &c->encoder;
    const rv_decoder_config *d = &c->lm.decoder;
    bool from_rnn = e->kind == &rv__encoder_rnn, to_rnn = d->kind == &rv__decoder_rnn;
    if (c->tie_source && (e->vocab_size != d->vocab_size || e->embedding_dim != d->embedding_dim))
        return rv_error(RV_EUSAGE, "encoder and decoder cannot share an embedding: %lld words of width %lld and %lld of width %lld; make them equal (one "
                                   "vocabulary for both languages) or do not tie them",
                        (long long)e->vocab_size, (long long)e->embedding_dim, (long long)d->vocab_size, (long long)d->embedding_dim);
    if (!from_rnn && e->embedding_dim != e->transformer.hidden_size)
        return rv_error(RV_EUSAGE, "encoder: embedding_dim %lld and hidden_size %lld; a transformer needs them equal", (long long)e->embedding_dim,
                        (long long)e->transformer.hidden_size);
    if (!to_rnn && d->embedding_dim != d->transformer.hidden_size)
        return rv_error(RV_EUSAGE, "decoder: embedding_dim %lld and hidden_size %lld; a transformer needs them equal", (long long)d->embedding_dim,
                        (long long)d->transformer.hidden_size);
    int64_t D = d->kind->hidden_size(d);
    if (c->lm.tie_embeddings && D != d->embedding_dim)
        return rv_error(RV_EUSAGE, "the head cannot share the decoder's embedding of width %lld: it sees %lld numbers per step; make them equal (by "
                                   "readout_size, say) or do not tie them",
                        (long long)d->embedding_dim, (long long)D);
    if (to_rnn && d->reading.bridge == RV_BRIDGE_COPY) {
        int64_t size = e->kind->memory_size(e);
        if (!from_rnn || e->rnn.cell != d->rnn.cell || e->rnn.num_layers != d->rnn.num_layers || size != d->rnn.hidden_size)
            return rv_error(RV_EUSAGE, "bridge copy hands each layer's final state on: encoder and decoder need the same cell (with its nonlinearity or gru_reset), num_layers (%d) and "
                                       "hidden_size (%lld, both directions of a layer counted); make them equal or set bridge to dense",
                            d->rnn.num_layers, (long long)d->rnn.hidden_size);
    }
    return RV_OK;
}

rv_seq2seq *rv_seq2seq_create(rv_params *params, const rv_seq2seq_config *config) {
    rv_seq2seq *m = rv_alloc(sizeof *m);
    if (!m) return NULL;
    m->config = *config;
    rv_encoder_config *e = &m->config.encoder;
    rv_decoder_config *d = &m->config.lm.decoder;
    d->memory_size = e->kind->memory_size(e);
    d->summary_size = e->kind->summary_size(e);
    d->reverse_size = e->kind->reverse_size(e);
    bool ok = check(&m->config) == RV_OK && (m->lm = rv_lm_create(params, &m->config.lm)); /* first: it may own the encoder's embedding */
    rv_tensor *shared = ok && config->tie_source ? d->kind->embedding(rv_lm_decoder(m->lm)) : NULL;
    if (ok && (m->encoder = e->kind->create(params, e, shared))) return m;
    rv_seq2seq_destroy(m);
    return NULL;
}

void rv_seq2seq_destroy(rv_seq2seq *m) {
    if (!m) return;
    m->config.encoder.kind->destroy(m->encoder);
    rv_lm_destroy(m->lm);
    rv_free(m);
}

const rv_seq2seq_config *rv_seq2seq_get_config(const rv_seq2seq *m) { return &m->config; }
rv_lm *rv_seq2seq_lm(rv_seq2seq *m) { return m->lm; }
static const rv_decoder_kind *decoder_kind(const rv_seq2seq *m) { return m->config.lm.decoder.kind; }

bool rv_seq2seq_encode(rv_tape *tape, rv_seq2seq *m, const int32_t *src, const int32_t *lengths, int64_t B, int64_t S, rv_memory *out) {
    return m->config.encoder.kind->forward(tape, m->encoder, src, lengths, B, S, out);
}

rv_tensor *rv_seq2seq_logits(rv_tape *tape, rv_seq2seq *m, const rv_memory *memory, const int32_t *tgt, int64_t B, int64_t T) {
    return rv_lm_logits(tape, m->lm, tgt, B, T, NULL, memory);
}

rv_tensor *rv_seq2seq_loss(rv_tape *tape, rv_seq2seq *m, const rv_memory *memory, const int32_t *tgt, const int32_t *out, int64_t B, int64_t T,
                           double label_smoothing) {
    return rv_lm_loss(tape, m->lm, tgt, out, B, T, NULL, memory, label_smoothing);
}

/* ---- decoding: nothing is recorded, nothing dropped */
rv_decoder_state *rv_seq2seq_state_create(rv_tape *tape, rv_seq2seq *m, const rv_memory *memory, int64_t beam, int64_t capacity) {
    rv_decoder_state *s = rv_lm_state_create(m->lm, memory->B * beam, capacity);
    if (!s) return NULL;
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_status status = decoder_kind(m)->state_memory(tape, rv_lm_decoder(m->lm), s, memory, beam);
    rv_tape_restore(tape, mode);
    if (status == RV_OK) return s;
    rv_seq2seq_state_destroy(m, s);
    return NULL;
}

void rv_seq2seq_state_destroy(rv_seq2seq *m, rv_decoder_state *state) { decoder_kind(m)->state_destroy(state); }

rv_tensor *rv_seq2seq_step(rv_tape *tape, rv_seq2seq *m, rv_decoder_state *state, const int32_t *ids) {
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_tensor *logits = rv_lm_logits(tape, m->lm, ids, decoder_kind(m)->state_rows(state), 1, state, NULL);
    rv_tape_restore(tape, mode);
    return logits;
}

rv_status rv_seq2seq_state_reorder(rv_seq2seq *m, rv_decoder_state *state, const int32_t *from, int64_t n) {
    decoder_kind(m)->state_reorder(state, from, n);
    return RV_OK;
}

bool rv_seq2seq_attention(rv_tape *tape, rv_seq2seq *m, const rv_memory *memory, const int32_t *tgt, int64_t B, int64_t T,
                          rv_attention_weights *out) {
    const int32_t *ids = rv_lm_arrange(tape, m->lm, tgt, B, T);
    if (!ids) return false;
    const rv_tape_mode mode = rv_tape_infer(tape);
    bool ok = decoder_kind(m)->attention(tape, rv_lm_decoder(m->lm), ids, B, T, memory, out);
    rv_tape_restore(tape, mode);
    return ok;
}

/* ---- work */
static bool begins(const char *name, const char *with) { return !strncmp(name, with, strlen(with)); }

/* Once per source position: the encoder and the keys and values of the memory; once per sentence: the bridge; else once per
 * target position. */
static double flops_of(const rv_seq2seq *m, const rv_param *p, double S, double T) {
    double once = 2 * (double)rv_numel(&p->t);
    if (begins(p->name, "encoder.")) {
        bool looked_up = !strcmp(p->name, "encoder.embedding.weight") || !strcmp(p->name, "encoder.position.weight");
        return p->t.ndim >= 2 && !looked_up ? once * S : 0;
    }
    double each = rv_lm_weight_flops(m->lm, p);
    if (begins(p->name, "decoder.bridge.")) return each;
    if (begins(p->name, "decoder.memory_proj.") || begins(p->name, "decoder.attention.key.")) return each * S;
    if (strstr(p->name, "multihead_attn.in_proj_weight")) return each * (T + 2 * S) / 3;
    return each * T;
}

double rv_seq2seq_weight_flops(const rv_seq2seq *m, const rv_param *p) { return flops_of(m, p, 1, 1); }

double rv_seq2seq_flops(const rv_seq2seq *m, const rv_params *params, int64_t B, int64_t S, int64_t T) {
    const rv_encoder_config *e = &m->config.encoder;
    const rv_decoder_config *d = &m->config.lm.decoder;
    double s = (double)S, t = (double)T;
    double flops = 2 * (s * e->kind->attention_macs(e, S) + t * (d->kind->attention_macs(d, T) + d->kind->memory_macs(d, S)));
    for (int i = 0; i < params->n; i++) flops += flops_of(m, params->p[i], s, t);
    return flops * (double)B;
}

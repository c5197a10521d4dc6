#include "models/model.h"

#include "base/arena.h"

struct rv_model {
    rv_model_config config;
    rv_encoder *encoder;
    rv_decoder *decoder;
    rv_head *head;
};

/* ---- creation */

/* Do the parts fit each other? What one part asks of itself is checked where that part is made. */
static rv_status check(const rv_model_config *c) {
    const rv_encoder_config *e = &c->encoder;
    const rv_decoder_config *d = &c->decoder;
    const int64_t E = d->input.size;
    const bool reads_decoder = c->head.kind->reads == RV_READS_DECODER;
    const bool reads_source = c->head.kind->reads == RV_READS_SOURCE;
    if (reads_decoder ? !d->kind : !e->kind != reads_source || d->kind)
        return rv_error(RV_EUSAGE, "head %s reads %s", c->head.kind->name,
                        reads_decoder  ? "a decoder; give one"
                        : reads_source ? "the source itself; give neither encoder nor decoder"
                                       : "an encoder alone; give one, and no decoder");
    if ((c->tie_embeddings && !d->kind) || (c->tie_source && !(d->kind && e->kind)))
        return rv_error(RV_EUSAGE, "there are not both parts that are to share an embedding; do not tie them");
    if (c->tie_source && (e->input.vocab_size != d->input.vocab_size || e->input.size != E))
        return rv_error(RV_EUSAGE,
                        "encoder and decoder cannot share an embedding: %lld words of width %lld and %lld of width "
                        "%lld; make them equal (one vocabulary for both languages) or do not tie them",
                        (long long)e->input.vocab_size, (long long)e->input.size, (long long)d->input.vocab_size,
                        (long long)E);
    if (c->tie_embeddings && d->kind->hidden_size(d) != E)
        return rv_error(RV_EUSAGE,
                        "the head cannot share the decoder's embedding of width %lld: it sees %lld numbers per step; "
                        "make them equal (by readout_size, say) or do not tie them",
                        (long long)E, (long long)d->kind->hidden_size(d));
    if (!e->kind || d->kind != &rv__decoder_rnn || d->reading.bridge != RV_BRIDGE_COPY) return RV_OK;
    if (e->kind == &rv__encoder_rnn && e->rnn.cell == d->rnn.cell && e->rnn.num_layers == d->rnn.num_layers &&
        d->memory_size == d->rnn.hidden_size)
        return RV_OK;
    return rv_error(RV_EUSAGE,
                    "bridge copy hands each layer's final state on: encoder and decoder need the same cell (with its "
                    "nonlinearity or gru_reset), num_layers (%d) and hidden_size (%lld, both directions of a layer "
                    "counted); make them equal or set bridge to dense",
                    d->rnn.num_layers, (long long)d->rnn.hidden_size);
}

/* The decoder and its head come first: they may own the encoder's embedding. */
static bool create_decoder(rv_params *ps, rv_model *m) {
    rv_model_config *c = &m->config;
    m->decoder = c->decoder.kind->create(ps, &c->decoder);
    if (!m->decoder) return false;
    rv_tensor *tied = c->tie_embeddings ? c->decoder.kind->embedding(m->decoder) : NULL;
    c->head.output_size = c->decoder.input.vocab_size;
    return (m->head = rv_head_create(ps, &c->head, c->decoder.kind->hidden_size(&c->decoder), tied)) != NULL;
}

static bool create_encoder(rv_params *ps, rv_model *m) {
    rv_model_config *c = &m->config;
    const int before = ps->n;
    m->encoder =
        c->encoder.kind->create(ps, &c->encoder, c->tie_source ? c->decoder.kind->embedding(m->decoder) : NULL);
    for (int i = before; i < ps->n; i++)
        if (ps->p[i]->use == RV_USE_STEP) ps->p[i]->use = RV_USE_SOURCE;
    return m->encoder;
}

rv_model *rv_model_create(rv_params *ps, const rv_model_config *config) {
    rv_model *m = rv_alloc(sizeof *m);
    if (!m) return NULL;
    m->config = *config;
    rv_encoder_config *e = &m->config.encoder;
    rv_decoder_config *d = &m->config.decoder;
    d->memory_size = e->kind ? e->kind->memory_size(e) : 0;
    d->reverse_size = e->kind ? e->kind->reverse_size(e) : 0;
    e->summarise = d->kind && d->kind->reads_summary(d);
    bool ok = check(&m->config) == RV_OK && (!d->kind || create_decoder(ps, m)) && (!e->kind || create_encoder(ps, m));
    if (ok && !d->kind) ok = (m->head = rv_head_create(ps, &m->config.head, d->memory_size, NULL)) != NULL;
    if (ok) return m;
    rv_model_destroy(m);
    return NULL;
}

void rv_model_destroy(rv_model *m) {
    if (!m) return;
    rv_head_destroy(m->head);
    if (m->encoder) m->config.encoder.kind->destroy(m->encoder);
    if (m->decoder) m->config.decoder.kind->destroy(m->decoder);
    rv_free(m);
}

const rv_model_config *rv_model_get_config(const rv_model *m) { return &m->config; }
static const rv_decoder_kind *decoder_kind(const rv_model *m) { return m->config.decoder.kind; }

/* ---- parts */

bool rv_model_encode(rv_tape *tape, rv_model *m, const rv_sequences *source, rv_memory *out) {
    return m->config.encoder.kind->forward(tape, m->encoder, source, out);
}

/* What the head reads of a decoder: (B T, D). */
static rv_tensor *states(rv_tape *tape, rv_model *m, const int32_t *x, int64_t B, int64_t T, rv_decoder_state *state,
                         const rv_memory *memory) {
    rv_tensor *h = decoder_kind(m)->forward(tape, m->decoder, x, B, T, state, memory);
    h = rv_watch_states(tape, h, "head", decoder_kind(m)->time_major, "head");
    return h ? rv_reshape(tape, h, 2, (int64_t[]){B * T, rv_dim(h, -1)}) : NULL;
}

rv_tensor *rv_model_logits(rv_tape *tape, rv_model *m, const int32_t *x, int64_t B, int64_t T, rv_decoder_state *state,
                           const rv_memory *memory) {
    return rv_head_map(tape, m->head, states(tape, m, x, B, T, state, memory));
}

int64_t rv_model_row(const rv_model *m, int64_t B, int64_t T, int64_t b, int64_t t) {
    return decoder_kind(m)->time_major ? t * B + b : b * T + t;
}

bool rv_model_sees_future(const rv_model *m) {
    return decoder_kind(m) && decoder_kind(m)->sees_future(&m->config.decoder);
}

int64_t rv_model_positions(const rv_model *m) {
    const rv_decoder_config *d = &m->config.decoder;
    const rv_encoder_config *e = &m->config.encoder;
    return d->kind ? d->kind->positions(d) : e->kind ? e->kind->positions(e) : INT64_MAX;
}

/* ---- whole batches */

static bool time_major(const rv_model *m) { return decoder_kind(m) && decoder_kind(m)->time_major; }

/* The memory's states at the positions that are asked of, (B T, D); behind a row's length any of them. */
static rv_tensor *states_at(rv_tape *tape, const rv_memory *memory, const rv_batch *b) {
    const int64_t D = memory->size, S = memory->S;
    rv_tensor *x = rv_reshape(tape, memory->states, 2, (int64_t[]){memory->B * S, D});
    x = rv_watch_states(tape, x, "head", false, "head");
    if (!x || (!b->at && b->T == S)) return x;
    int32_t *row = rv_tape_alloc(tape, (size_t)(b->B * b->T) * sizeof *row);
    if (!row) return NULL;
    for (int64_t i = 0; i < b->B * b->T; i++) {
        const int64_t at = b->at ? b->at[i] : i % b->T;
        row[i] = (int32_t)(i / b->T * S + (at >= 0 && at < S ? at : 0));
    }
    return rv_embedding(tape, x, row, b->B * b->T, 1);
}

/* What the head reads. */
static rv_tensor *head_input(rv_tape *tape, rv_model *m, const rv_memory *memory, const rv_batch *b,
                             rv_decoder_state *state) {
    switch (m->config.head.kind->reads) {
    case RV_READS_DECODER: return states(tape, m, b->in, b->B, b->T, state, memory);
    case RV_READS_POOLED: return rv_head_pool(tape, m->head, memory, NULL);
    case RV_READS_ENCODER: return states_at(tape, memory, b);
    case RV_READS_SOURCE: break;
    }
    return NULL;
}

static bool reads_source(const rv_model *m) { return m->config.head.kind->reads == RV_READS_SOURCE; }

rv_tensor *rv_model_loss_of(rv_tape *tape, rv_model *m, const rv_memory *memory, const rv_batch *b,
                            rv_decoder_state *state, double label_smoothing) {
    rv_tensor *x = head_input(tape, m, memory, b, state);
    return x || reads_source(m) ? m->config.head.kind->loss(tape, m->head, x, b, time_major(m), label_smoothing) : NULL;
}

rv_tensor *rv_model_loss(rv_tape *tape, rv_model *m, const rv_batch *b, rv_decoder_state *state,
                         double label_smoothing) {
    rv_memory memory;
    if (m->encoder && !rv_model_encode(tape, m, &b->source, &memory)) return NULL;
    return rv_model_loss_of(tape, m, m->encoder ? &memory : NULL, b, state, label_smoothing);
}

bool rv_model_score(rv_tape *tape, rv_model *m, const rv_batch *b, rv_decoder_state *state, rv_row_score *row,
                    const double **nats, const int32_t **best) {
    rv_memory memory;
    const bool no_grad = rv_tape_no_grad(tape, true);
    const bool read = !m->encoder || rv_model_encode(tape, m, &b->source, &memory);
    rv_tensor *x = read ? head_input(tape, m, m->encoder ? &memory : NULL, b, state) : NULL;
    const size_t targets = (size_t)(b->B * b->T);
    double *n = targets ? rv_tape_alloc(tape, targets * sizeof *n) : NULL;
    int32_t *id = targets ? rv_tape_alloc(tape, targets * sizeof *id) : NULL;
    const bool ok = (x || (read && reads_source(m))) && (!targets || (n && id)) &&
                    m->config.head.kind->score(tape, m->head, x, b, time_major(m), row, n, id);
    rv_tape_no_grad(tape, no_grad);
    if (nats) *nats = n;
    if (best) *best = id;
    return ok;
}

rv_tensor *rv_model_read(rv_tape *tape, rv_model *m, const rv_sequences *source, rv_pooled *pooled) {
    rv_memory memory;
    if (!rv_model_encode(tape, m, source, &memory)) return NULL;
    return rv_head_map(tape, m->head, rv_head_pool(tape, m->head, &memory, pooled));
}

bool rv_model_counts(const rv_model *m) { return m->config.head.kind->count; }
rv_status rv_model_count(rv_model *m, const rv_batch *b) { return m->config.head.kind->count(m->head, b); }

bool rv_model_chain(rv_tape *tape, rv_model *m, const rv_batch *b, rv_chain *out) {
    rv_memory memory;
    const rv_tape_mode mode = rv_tape_infer(tape);
    const bool read = !m->encoder || rv_model_encode(tape, m, &b->source, &memory);
    rv_tensor *x = read ? head_input(tape, m, m->encoder ? &memory : NULL, b, NULL) : NULL;
    const bool ok = (x || (read && reads_source(m))) && m->config.head.kind->chain(tape, m->head, x, b, out);
    rv_tape_restore(tape, mode);
    return ok;
}

rv_status rv_model_steps(rv_model *m, double *steps, rv_steps *kind) {
    *kind = RV_STEPS_NONE;
    return m->config.head.kind->steps ? m->config.head.kind->steps(m->head, steps, kind) : RV_OK;
}

/* ---- decoding */

rv_decoder_state *rv_model_state_create(const rv_model *m, int64_t B, int64_t capacity) {
    return decoder_kind(m)->state_create(m->decoder, B, capacity);
}

rv_decoder_state *rv_model_state_over(rv_tape *tape, rv_model *m, const rv_memory *memory, int64_t beam,
                                      int64_t capacity) {
    rv_decoder_state *s = rv_model_state_create(m, memory->B * beam, capacity);
    if (!s) return NULL;
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_status status = decoder_kind(m)->state_memory(tape, m->decoder, s, memory, beam);
    rv_tape_restore(tape, mode);
    if (status == RV_OK) return s;
    rv_model_state_destroy(m, s);
    return NULL;
}

void rv_model_state_destroy(const rv_model *m, rv_decoder_state *state) {
    if (state) decoder_kind(m)->state_destroy(state);
}

void rv_model_state_reset(const rv_model *m, rv_decoder_state *state) { decoder_kind(m)->state_reset(state); }

rv_tensor *rv_model_step(rv_tape *tape, rv_model *m, rv_decoder_state *state, const int32_t *ids) {
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_tensor *logits = rv_model_logits(tape, m, ids, decoder_kind(m)->state_rows(state), 1, state, NULL);
    rv_tape_restore(tape, mode);
    return logits;
}

void rv_model_state_reorder(const rv_model *m, rv_decoder_state *state, const int32_t *from, int64_t n) {
    decoder_kind(m)->state_reorder(state, from, n);
}

int64_t rv_model_state_bytes(const rv_model *m, int64_t S, int64_t T) {
    return decoder_kind(m)->state_numbers(&m->config.decoder, S, T) * (int64_t)sizeof(rv_real);
}

bool rv_model_attention(rv_tape *tape, rv_model *m, const rv_memory *memory, const int32_t *tgt, int64_t B, int64_t T,
                        rv_attention_weights *out) {
    const rv_tape_mode mode = rv_tape_infer(tape);
    const bool ok = decoder_kind(m)->attention(tape, m->decoder, tgt, B, T, memory, out);
    rv_tape_restore(tape, mode);
    return ok;
}

bool rv_model_attends(const rv_model *m) {
    return m->encoder && m->decoder && decoder_kind(m)->attends(&m->config.decoder);
}

/* ---- work */

double rv_model_flops(const rv_model *m, const rv_params *ps, double S, double T) {
    const rv_encoder_config *e = &m->config.encoder;
    const rv_decoder_config *d = &m->config.decoder;
    double macs = e->kind ? S * e->kind->attention_macs(e, S) : 0, flops = 0;
    if (d->kind)
        macs += T * (d->kind->attention_macs(d, T) + (e->kind ? d->kind->memory_macs(d, S) : 0));
    else if (m->config.head.kind->reads == RV_READS_POOLED && m->config.head.pooling != RV_POOLING_LAST)
        macs += S * (double)d->memory_size; /* the weighted sum */
    for (int i = 0; i < ps->n; i++) flops += rv_param_flops(ps->p[i], S, T);
    return flops + 2 * macs;
}

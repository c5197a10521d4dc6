/* The recurrent decoder: embedding, dropout, a stack of RNN, LSTM or GRU layers, dropout. Time-major. Its state is the
 * hidden (and cell) state of every layer.
 *
 * With a memory a bridge makes the first state, the last layer may attend to the memory or the summary enters every
 * step, and a readout stands between the stack and the head; a state then holds a copy of what is read, too. */
#include <string.h>

#include "base/arena.h"
#include "models/decoder_private.h"

struct rv_decoder {
    rv_decoder_config config;
    bool attends;         /* the last layer does */
    int64_t context_size; /* of what the readout gets beside the state; 0: nothing */
    rv_input *input;
    rv_rnn *rnn; /* the layers that do not attend, or NULL */
    attention_layer attention;
    bridge bridge;
    readout readout;
};

struct rv_decoder_state {
    rv_rnn_carry *carry;
    rv_real *feed, *feed_spare;      /* (B, O): the last attentional vectors, for input feeding; else NULL */
    int64_t feed_size;               /* O */
    int32_t *row, *row_spare;        /* the sentence that each row reads */
    rv_tensor summary, states, keys; /* copies, with values alone; x is NULL where the decoder does not read it, and of
                                        keys that are the states */
    int32_t *lengths;
};

static bool attends(const rv_decoder_config *c) { return c->memory_size && c->reading.attend != RV_ATTEND_NONE; }
static bool feeds_context(const rv_decoder_config *c) {
    return c->memory_size && !attends(c) && c->reading.context_each_step;
}
static int64_t context_size(const rv_decoder_config *c) {
    return attends(c) ? c->memory_size : feeds_context(c) ? c->memory_size : 0;
}

static void destroy(rv_decoder *d) {
    if (!d) return;
    rv_rnn_destroy(d->rnn);
    rv_input_destroy(d->input);
    rv_free(d);
}

static bool declare(rv_params *params, rv_decoder *d) {
    const rv_decoder_config *c = &d->config;
    rv_rnn_config layers = c->rnn;
    layers.num_layers -= d->attends;
    layers.input_size = c->input.size + (d->attends ? 0 : d->context_size);
    if (layers.num_layers || !d->attends) {
        d->rnn = rv_rnn_create(params, &layers, "decoder.rnn");
        if (!d->rnn) return false;
    }
    if (!c->memory_size) return true;
    if (d->attends && rv__attention_declare(params, c, &d->attention) != RV_OK) return false;
    if (rv__bridge_declare(params, c, &d->bridge) != RV_OK) return false;
    return rv__is_luong(c) || rv__readout_declare(params, c, d->context_size, &d->readout) == RV_OK;
}

static rv_decoder *create(rv_params *params, const rv_decoder_config *c) {
    rv_decoder *d = rv_alloc(sizeof *d);
    if (!d) return NULL;
    *d = (rv_decoder){.config = *c, .attends = attends(c), .context_size = context_size(c)};
    d->config.rnn.bidirectional = false;
    d->config.input.position = RV_POSITION_NONE;
    d->input = rv_input_create(params, &d->config.input, false, NULL, "decoder");
    if (d->input && declare(params, d)) return d;
    destroy(d);
    return NULL;
}

static source source_of(rv_tape *tape, const rv_decoder *d, const rv_memory *m) {
    return (source){.summary = m->summary,
                    .states = m->states,
                    .keys = d->attends ? rv__attention_keys(tape, &d->attention, m->states) : NULL,
                    .lengths = m->lengths};
}

static source source_kept(rv_decoder_state *s) {
    return (source){.summary = &s->summary,
                    .states = &s->states,
                    .keys = s->keys.x ? &s->keys : &s->states,
                    .lengths = s->lengths,
                    .rows = s->row};
}

/* Each row's summary at each step: (T, B, C). */
static rv_tensor *at_each_step(rv_tape *tape, const source *from, int64_t B, int64_t T) {
    int32_t *ids = rv_tape_alloc(tape, (size_t)(T * B) * sizeof *ids);
    if (!ids || !from->summary) return NULL;
    for (int64_t i = 0; i < T * B; i++) ids[i] = from->rows ? from->rows[i % B] : (int32_t)(i % B);
    return rv_reshape(tape, rv_embedding(tape, from->summary, ids, T * B, 1), 3,
                      (int64_t[]){T, B, from->summary->dim[1]});
}

/* The layers below, then the attending one. feed: NULL for a fresh start. */
static rv_attention_sequence attend(rv_tape *tape, const rv_decoder *d, const source *from, rv_tensor *x,
                                    const rv_rnn_state *before, rv_tensor *feed, rv_rnn_state *after) {
    int top = d->config.rnn.num_layers - 1;
    if (d->rnn) x = rv_dropout(tape, rv_rnn_forward(tape, d->rnn, x, NULL, before, after), d->config.rnn.dropout);
    rv_attention_sequence s =
        rv__attention_run(tape, &d->config, &d->attention, from, x, before->h[top], before->c[top], feed);
    after->n = top + 1;
    after->h[top] = s.hn;
    after->c[top] = s.cn;
    return s;
}

/* forward; with attention *weights, unless NULL, becomes (T, B, S). */
static rv_tensor *run(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T, rv_decoder_state *state,
                      const rv_memory *memory, rv_tensor **weights) {
    const rv_decoder_config *c = &d->config;
    RV_ASSERT((!state || B == state->carry->batch) && (!c->memory_size || state || memory));
    rv_tensor *x = rv_input_read(tape, d->input, &(rv_sequences){.B = B, .T = T, .ids = ids}, true, NULL);
    if (!x) return NULL;
    rv_rnn_state before = {0}, after = {0};
    source from = {NULL};
    if (state)
        before = rv_rnn_carry_load(tape, state->carry);
    else if (memory)
        before = rv__bridge_apply(tape, &d->bridge, memory);
    if (c->memory_size) from = state ? source_kept(state) : source_of(tape, d, memory);
    if (rv_tape_status(tape) != RV_OK) return NULL; /* a first state that is missing would pass for zeros */
    rv_tensor *h, *context = NULL;
    if (d->attends) {
        rv_tensor *feed =
            state && state->feed ? rv_constant(tape, 2, (int64_t[]){B, state->feed_size}, state->feed) : NULL;
        rv_attention_sequence s = attend(tape, d, &from, x, &before, feed, &after);
        if (weights) *weights = s.weights;
        h = rv__is_luong(c) ? s.output : s.h;
        if (h && state && state->feed)
            memcpy(state->feed, s.output->x + (T - 1) * B * state->feed_size,
                   (size_t)(B * state->feed_size) * sizeof(rv_real));
        if (c->reading.readout != RV_READOUT_STATE) context = s.context;
    } else {
        if (d->context_size) context = at_each_step(tape, &from, B, T);
        rv_tensor *in = d->context_size ? rv_concat(tape, 2, (rv_tensor *[]){x, context}, -1) : x;
        h = rv_rnn_forward(tape, d->rnn, in, NULL, state || memory ? &before : NULL, state ? &after : NULL);
    }
    if (h && state) rv_rnn_carry_save(state->carry, &after);
    if (c->memory_size && !rv__is_luong(c))
        h = rv__readout_apply(tape, &d->readout, h, before.h[c->rnn.num_layers - 1], x, context);
    return rv_dropout(tape, h, c->dropout);
}

static rv_tensor *forward(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T,
                          rv_decoder_state *state, const rv_memory *memory) {
    return run(tape, d, ids, B, T, state, memory, NULL);
}

static bool attention(rv_tape *tape, rv_decoder *d, const int32_t *ids, int64_t B, int64_t T, const rv_memory *memory,
                      rv_attention_weights *out) {
    if (!d->attends)
        return rv_tape_fail(
            tape, RV_EUSAGE,
            "decoder: it reads the source through one vector, so there are no attention weights; use attention "
            "bahdanau or luong, or a transformer");
    rv_tensor *weights = NULL;
    *out = (rv_attention_weights){.layers = 1, .heads = 1, .B = B, .T = T, .S = memory->S};
    if (!run(tape, d, ids, B, T, NULL, memory, &weights)) return false;
    weights = rv_transpose(tape, weights, (int[]){1, 0, 2});
    if (weights) out->weights = weights->x;
    return weights != NULL;
}

/* ---- state */

static void state_destroy(rv_decoder_state *s) {
    if (!s) return;
    rv_rnn_carry_destroy(s->carry);
    rv_free(s->feed);
    rv_free(s->row);
    rv_free(s->summary.x);
    rv_free(s->states.x);
    rv_free(s->keys.x);
    rv_free(s->lengths);
    rv_free(s);
}

static rv_decoder_state *state_create(const rv_decoder *d, int64_t B, int64_t capacity) {
    const rv_decoder_config *c = &d->config;
    rv_decoder_state *s = rv_alloc(sizeof *s);
    if (!s) return NULL;
    s->carry = rv_rnn_carry_create(&c->rnn, B);
    bool ok = s->carry;
    if (ok && c->memory_size) {
        ok = (s->row = rv_alloc(2 * (size_t)B * sizeof *s->row)) != NULL;
        s->row_spare = s->row + B;
    }
    if (ok && d->attends && c->reading.input_feeding) {
        s->feed_size = rv__attention_output(c);
        ok = (s->feed = rv_alloc(rv_size_mul((size_t)(2 * B), (size_t)s->feed_size * sizeof *s->feed))) != NULL;
        s->feed_spare = s->feed + B * s->feed_size;
    }
    if (ok) return s;
    state_destroy(s);
    return NULL;
}

static void state_reset(rv_decoder_state *s) {
    rv_rnn_carry_reset(s->carry);
    if (s->feed) memset(s->feed, 0, (size_t)(s->carry->batch * s->feed_size) * sizeof *s->feed);
}

/* Row r of the state's (B, H) is row r / beam of `from`; NULL: zeros. */
static void start(rv_real *to, const rv_tensor *from, int64_t rows, int64_t size, int64_t beam) {
    for (int64_t r = 0; r < rows; r++)
        if (from)
            memcpy(to + r * size, from->x + r / beam * size, (size_t)size * sizeof *to);
        else
            memset(to + r * size, 0, (size_t)size * sizeof *to);
}

/* A copy of `from` that needs no tape. */
static bool keep(rv_tensor *to, const rv_tensor *from) {
    rv_free(to->x);
    *to = (rv_tensor){.ndim = from->ndim};
    memcpy(to->dim, from->dim, sizeof to->dim);
    size_t bytes = rv_size_mul((size_t)rv_numel(from), sizeof *to->x);
    to->x = rv_alloc(bytes);
    if (to->x) memcpy(to->x, from->x, bytes);
    return to->x;
}

static rv_status state_memory(rv_tape *tape, rv_decoder *d, rv_decoder_state *s, const rv_memory *m, int64_t beam) {
    rv_rnn_carry *k = s->carry;
    RV_ASSERT(d->config.memory_size && k->batch == m->B * beam);
    source from = source_of(tape, d, m);
    rv_rnn_state first = rv__bridge_apply(tape, &d->bridge, m);
    if (rv_tape_status(tape) != RV_OK) return rv_tape_status(tape);
    for (int i = 0; i < k->n; i++) {
        start(k->h + i * k->batch * k->size, first.h[i], k->batch, k->size, beam);
        if (k->c) start(k->c + i * k->batch * k->size, first.c[i], k->batch, k->size, beam);
    }
    for (int64_t r = 0; r < k->batch; r++) s->row[r] = (int32_t)(r / beam);
    bool ok = true;
    if (feeds_context(&d->config)) ok = keep(&s->summary, from.summary);
    if (d->attends) {
        rv_free(s->lengths);
        s->lengths = rv_alloc((size_t)m->B * sizeof *s->lengths);
        ok = keep(&s->states, from.states) && (from.keys == from.states || keep(&s->keys, from.keys)) && s->lengths;
        if (ok) memcpy(s->lengths, m->lengths, (size_t)m->B * sizeof *s->lengths);
    }
    if (!ok) rv_tape_fail(tape, RV_ENOMEM, "%s", rv_error_message());
    return rv_tape_status(tape);
}

static void state_reorder(rv_decoder_state *s, const int32_t *from, int64_t n) {
    size_t width = (size_t)s->feed_size * sizeof *s->feed;
    rv_rnn_carry_reorder(s->carry, from, n);
    for (int64_t r = 0; r < n; r++) {
        if (s->row) s->row_spare[r] = s->row[from[r]];
        if (s->feed) memcpy(s->feed_spare + r * s->feed_size, s->feed + from[r] * s->feed_size, width);
    }
    if (s->row) memcpy(s->row, s->row_spare, (size_t)n * sizeof *s->row);
    if (s->feed) memcpy(s->feed, s->feed_spare, (size_t)n * width);
}

static int64_t state_room(const rv_decoder_state *s) { return INT64_MAX; }
static int64_t state_rows(const rv_decoder_state *s) { return s->carry->batch; }

/* Of a language model, whose rows stay as many as they were: only a carried training state is saved. */
static rv_real *state_data(rv_decoder_state *s, int64_t *n) {
    const rv_rnn_carry *c = s->carry;
    *n = c->n * c->batch * c->size * (c->c ? 2 : 1); /* c follows h */
    return c->h;
}

static int64_t hidden_size(const rv_decoder_config *c) {
    if (!c->memory_size) return c->rnn.hidden_size;
    return rv__is_luong(c) ? rv__attention_output(c) : rv__readout_size(c, context_size(c));
}
static int64_t positions(const rv_decoder_config *c) { return INT64_MAX; }
static bool reads_summary(const rv_decoder_config *c) {
    return c->memory_size && (c->reading.bridge == RV_BRIDGE_DENSE || feeds_context(c));
}
static bool sees_future(const rv_decoder_config *c) { return false; }

static int64_t state_numbers(const rv_decoder_config *c, int64_t S, int64_t capacity) {
    int64_t n = c->rnn.num_layers * c->rnn.hidden_size * (c->rnn.cell == RV_CELL_LSTM ? 2 : 1);
    if (feeds_context(c)) n += c->memory_size;
    if (!attends(c)) return n;
    n += S * c->memory_size;
    if (c->reading.input_feeding) n += rv__attention_output(c);
    switch (c->reading.attend) { /* and what queries are compared with, unless these are the states */
    case RV_ATTEND_BAHDANAU:
    case RV_ATTEND_LUONG_CONCAT: return n + S * c->reading.attention_size;
    case RV_ATTEND_LUONG_GENERAL: return n + S * c->rnn.hidden_size;
    case RV_ATTEND_LUONG_DOT:
    case RV_ATTEND_NONE: break;
    }
    return n;
}

static double attention_macs(const rv_decoder_config *c, double T) { return 0; }
static double memory_macs(const rv_decoder_config *c, double S) {
    if (!attends(c)) return 0;
    bool by_vector = c->reading.attend == RV_ATTEND_BAHDANAU || c->reading.attend == RV_ATTEND_LUONG_CONCAT;
    return S * (double)(c->memory_size + (by_vector ? c->reading.attention_size : c->rnn.hidden_size));
}
static rv_tensor *embedding(const rv_decoder *d) { return rv_input_embedding(d->input); }

const rv_decoder_kind rv__decoder_rnn = {
    .name = "rnn",
    .time_major = true,
    .create = create,
    .destroy = destroy,
    .forward = forward,
    .state_create = state_create,
    .state_destroy = state_destroy,
    .state_reset = state_reset,
    .state_room = state_room,
    .state_rows = state_rows,
    .state_memory = state_memory,
    .state_reorder = state_reorder,
    .attention = attention,
    .state_data = state_data,
    .hidden_size = hidden_size,
    .positions = positions,
    .attends = attends,
    .reads_summary = reads_summary,
    .sees_future = sees_future,
    .state_numbers = state_numbers,
    .attention_macs = attention_macs,
    .memory_macs = memory_macs,
    .embedding = embedding,
};

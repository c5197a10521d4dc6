#include "nn/recurrent.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

struct rv_rnn {
    rv_rnn_config config;
    int directions;
    char prefix[64];                   /* for a watch */
    rv_rnn_layer d[RV_RNN_MAX_STATES]; /* layer * directions + direction */
};

rv_rnn_config rv_rnn_defaults(rv_cell cell) {
    rv_init uniform = {.kind = RV_INIT_UNIFORM};
    return (rv_rnn_config){.cell = cell,
                           .num_layers = 1,
                           .bias = true,
                           .weight_init = uniform,
                           .recurrent_init = uniform,
                           .bias_init = uniform,
                           .forget_bias = 1};
}

static rv_init for_gates(rv_init init, const rv_rnn_config *c) {
    init.gates = rv_cell_gates(c->cell);
    if (init.kind == RV_INIT_UNIFORM && init.a == 0) init.a = 1 / sqrt((double)c->hidden_size);
    return init;
}

rv_rnn_layer rv_rnn_layer_declare(rv_params *ps, const rv_rnn_config *c, const char *prefix, int layer, int64_t in,
                                  bool reverse) {
    const char *suffix = reverse ? "_reverse" : "";
    int64_t rows = rv_cell_gates(c->cell) * c->hidden_size;
    rv_rnn_layer d = {
        .w_ih = rv_params_add(ps, for_gates(c->weight_init, c), 2, (int64_t[]){rows, in}, "%s.weight_ih_l%d%s", prefix,
                              layer, suffix),
        .w_hh = rv_params_add(ps, for_gates(c->recurrent_init, c), 2, (int64_t[]){rows, c->hidden_size},
                              "%s.weight_hh_l%d%s", prefix, layer, suffix),
    };
    if (!c->bias) return d;
    rv_init ih = for_gates(c->bias_init, c), hh = ih;
    if (c->cell == RV_CELL_LSTM && !isnan(c->forget_bias)) {
        ih.fixed = hh.fixed = 2; /* i, f, g, o */
        ih.b = c->forget_bias;
        hh.b = 0;
    }
    d.b_ih = rv_params_add(ps, ih, 1, &rows, "%s.bias_ih_l%d%s", prefix, layer, suffix);
    d.b_hh = rv_params_add(ps, hh, 1, &rows, "%s.bias_hh_l%d%s", prefix, layer, suffix);
    return d;
}

rv_rnn *rv_rnn_create(rv_params *ps, const rv_rnn_config *c, const char *prefix) {
    int directions = c->bidirectional ? 2 : 1;
    if (c->num_layers < 1 || c->input_size < 1 || c->hidden_size < 1 ||
        c->num_layers > RV_RNN_MAX_STATES / directions) {
        rv_error(RV_EUSAGE,
                 "%s: num_layers %d, input_size %lld, hidden_size %lld do not make a recurrent network; all must be "
                 "positive, and num_layers at most %d",
                 prefix, c->num_layers, (long long)c->input_size, (long long)c->hidden_size,
                 RV_RNN_MAX_STATES / directions);
        return NULL;
    }
    if (!(c->dropout >= 0 && c->dropout < 1)) {
        rv_error(RV_EUSAGE, "%s: dropout %g; it must be at least 0 and less than 1", prefix, c->dropout);
        return NULL;
    }
    rv_rnn *r = rv_alloc(sizeof *r);
    if (!r) return NULL;
    r->config = *c;
    r->directions = directions;
    snprintf(r->prefix, sizeof r->prefix, "%s", prefix);
    for (int i = 0; i < c->num_layers * directions; i++) {
        int64_t in = i < directions ? c->input_size : c->hidden_size * directions;
        r->d[i] = rv_rnn_layer_declare(ps, c, prefix, i / directions, in, i % directions);
    }
    return r;
}

void rv_rnn_destroy(rv_rnn *r) { rv_free(r); }
const rv_rnn_config *rv_rnn_get_config(const rv_rnn *r) { return &r->config; }

rv_tensor *rv_rnn_forward(rv_tape *tape, const rv_rnn *r, rv_tensor *x, const int32_t *lengths,
                          const rv_rnn_state *initial, rv_rnn_state *final) {
    const rv_rnn_config *c = &r->config;
    if (final) *final = (rv_rnn_state){.n = c->num_layers * r->directions};
    for (int layer = 0; layer < c->num_layers; layer++) {
        if (layer) x = rv_dropout(tape, x, c->dropout);
        rv_tensor *y[2];
        for (int k = 0; k < r->directions; k++) {
            int i = layer * r->directions + k;
            const rv_rnn_layer *d = &r->d[i];
            rv_sequence s =
                rv_recurrent(tape, c->cell, x, d->w_ih, d->w_hh, d->b_ih, d->b_hh, initial ? initial->h[i] : NULL,
                             initial ? initial->c[i] : NULL, lengths, k == 1);
            y[k] = s.y;
            rv_recurrent_watch(tape, s.y, "%s.l%d%s", r->prefix, layer, k ? "_reverse" : "");
            if (!final) continue;
            final->h[i] = s.hn;
            final->c[i] = s.cn;
        }
        x = r->directions == 2 ? rv_concat(tape, 2, y, -1) : y[0];
    }
    return x;
}

/* ---- carried states */

static size_t state_elems(const rv_rnn_carry *k) { return (size_t)(k->batch * k->size); }

rv_rnn_carry *rv_rnn_carry_create(const rv_rnn_config *config, int64_t batch) {
    rv_rnn_carry *k = rv_alloc(sizeof *k);
    if (!k) return NULL;
    *k = (rv_rnn_carry){.n = config->num_layers * (config->bidirectional ? 2 : 1),
                        .batch = batch,
                        .size = config->hidden_size,
                        .room = batch};
    size_t elems = (size_t)k->n * state_elems(k);
    bool lstm = config->cell == RV_CELL_LSTM;
    k->h = rv_alloc(rv_size_mul(elems * (lstm ? 2 : 1) + state_elems(k), sizeof(rv_real)));
    if (!k->h) {
        rv_free(k);
        return NULL;
    }
    if (lstm) k->c = k->h + elems;
    k->spare = k->h + elems * (lstm ? 2 : 1);
    return k;
}

void rv_rnn_carry_destroy(rv_rnn_carry *k) {
    if (!k) return;
    rv_free(k->h);
    rv_free(k);
}

void rv_rnn_carry_reset(rv_rnn_carry *k) {
    size_t bytes = (size_t)k->n * state_elems(k) * sizeof(rv_real);
    memset(k->h, 0, bytes);
    if (k->c) memset(k->c, 0, bytes);
}

static void save_one(rv_real *to, const rv_tensor *from, size_t elems) {
    RV_ASSERT(from && (size_t)rv_numel(from) == elems);
    memcpy(to, from->x, elems * sizeof *to);
}

void rv_rnn_carry_save(rv_rnn_carry *k, const rv_rnn_state *s) {
    RV_ASSERT(s->n == k->n);
    size_t elems = state_elems(k);
    for (int i = 0; i < k->n; i++) {
        save_one(k->h + (size_t)i * elems, s->h[i], elems);
        if (k->c) save_one(k->c + (size_t)i * elems, s->c[i], elems);
    }
}

rv_rnn_state rv_rnn_carry_load(rv_tape *tape, const rv_rnn_carry *k) {
    rv_rnn_state s = {.n = k->n};
    const int64_t dim[] = {k->batch, k->size};
    for (int i = 0; i < k->n; i++) {
        s.h[i] = rv_constant(tape, 2, dim, k->h + (size_t)i * state_elems(k));
        if (k->c) s.c[i] = rv_constant(tape, 2, dim, k->c + (size_t)i * state_elems(k));
    }
    return s;
}

/* With fewer rows the states move together, with more apart: one that is moved before, or after, the others is written
 * over none that is still to be read. */
void rv_rnn_carry_reorder(rv_rnn_carry *k, const int32_t *from, int64_t n) {
    RV_ASSERT(n <= k->room);
    size_t elems = state_elems(k), row = (size_t)k->size * sizeof(rv_real);
    for (int j = 0; j < 2 * k->n; j++) {
        rv_real *all = j < k->n ? k->h : k->c;
        int64_t i = n < k->batch ? j % k->n : k->n - 1 - j % k->n;
        if (!all) break;
        memcpy(k->spare, all + (size_t)i * elems, elems * sizeof *all);
        for (int64_t b = 0; b < n; b++) {
            RV_ASSERT(from[b] >= 0 && from[b] < k->batch);
            memcpy(all + (i * n + b) * k->size, k->spare + from[b] * k->size, row);
        }
    }
    k->batch = n;
}

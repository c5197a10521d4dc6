#include "models/decoder_private.h"

rv_status rv__bridge_declare(rv_params *params, const rv_decoder_config *c, bridge *b) {
    const rv_reading *r = &c->reading;
    bool reverse = r->bridge == RV_BRIDGE_REVERSE;
    *b = (bridge){.kind = r->bridge, .layers = c->rnn.num_layers};
    if (reverse && !c->reverse_size)
        return rv_error(RV_EUSAGE, "decoder: bridge reverse starts from the encoder's reverse direction, which it does "
                                   "not have; make the encoder a "
                                   "bidirectional rnn or set bridge to dense");
    if (!reverse && r->bridge != RV_BRIDGE_DENSE) return RV_OK;
    int64_t H = c->rnn.hidden_size, in = reverse ? c->reverse_size : c->memory_size;
    for (int i = 0; i < b->layers; i++) {
        b->weight[i] = rv_params_add(params, r->init, 2, (int64_t[]){H, in}, "decoder.bridge.l%d.weight", i);
        rv_params_use(params, b->weight[i], RV_USE_EXAMPLE);
        if (!reverse) b->bias[i] = rv_params_add(params, (rv_init){RV_INIT_ZERO}, 1, &H, "decoder.bridge.l%d.bias", i);
    }
    return RV_OK;
}

/* A layer's final state, both directions side by side. */
static rv_tensor *beside(rv_tape *tape, rv_tensor *const *of_layer, int directions) {
    return directions == 1 || !of_layer[0] ? of_layer[0] : rv_concat(tape, directions, of_layer, -1);
}

rv_rnn_state rv__bridge_apply(rv_tape *tape, const bridge *b, const rv_memory *memory) {
    rv_rnn_state s = {.n = b->layers};
    int directions = memory->finals.n / b->layers;
    for (int i = 0; i < b->layers; i++) switch (b->kind) {
        case RV_BRIDGE_DENSE:
        case RV_BRIDGE_REVERSE:
            s.h[i] = rv_linear(tape, b->kind == RV_BRIDGE_DENSE ? memory->summary : memory->reverse, b->weight[i],
                               b->bias[i], RV_ACT_TANH);
            break;
        case RV_BRIDGE_COPY:
            s.h[i] = beside(tape, memory->finals.h + i * directions, directions);
            s.c[i] = beside(tape, memory->finals.c + i * directions, directions);
            break;
        case RV_BRIDGE_ZERO: break;
        }
    return s;
}

int64_t rv__readout_size(const rv_decoder_config *c, int64_t context_size) {
    const rv_reading *r = &c->reading;
    if (r->readout != RV_READOUT_STATE) return r->readout_size;
    return c->rnn.hidden_size + (r->attend == RV_ATTEND_NONE ? context_size : 0);
}

rv_status rv__readout_declare(rv_params *params, const rv_decoder_config *c, int64_t context_size, readout *r) {
    *r = (readout){.kind = c->reading.readout};
    if (r->kind == RV_READOUT_STATE) return RV_OK;
    int64_t in = c->rnn.hidden_size + context_size, out = c->reading.readout_size;
    if (out < 1) return rv_error(RV_EUSAGE, "decoder: readout_size %lld; it must be positive", (long long)out);
    if (r->kind == RV_READOUT_MAXOUT) {
        in += c->input.size;
        out *= 2;
    }
    r->weight = rv_params_add(params, c->reading.init, 2, (int64_t[]){out, in}, "decoder.readout.weight");
    r->bias = rv_params_add(params, (rv_init){RV_INIT_ZERO}, 1, &out, "decoder.readout.bias");
    return RV_OK;
}

/* (T, B, H): the state before each step. */
static rv_tensor *previous(rv_tape *tape, rv_tensor *h, rv_tensor *first) {
    int64_t T = h->dim[0], B = h->dim[1], H = h->dim[2];
    rv_tensor *zero = first ? NULL : rv_leaf(tape, false, 3, (int64_t[]){1, B, H});
    if (zero)
        for (int64_t i = 0; i < B * H; i++) zero->x[i] = 0;
    rv_tensor *both[] = {first ? rv_reshape(tape, first, 3, (int64_t[]){1, B, H}) : zero,
                         T > 1 ? rv_slice(tape, h, 0, 0, T - 1) : NULL};
    return rv_concat(tape, T > 1 ? 2 : 1, both, 0);
}

rv_tensor *rv__readout_apply(rv_tape *tape, const readout *r, rv_tensor *h, rv_tensor *first, rv_tensor *x,
                             rv_tensor *context) {
    if (!h) return NULL;
    rv_tensor *in[3] = {h};
    int n = 1;
    if (r->kind == RV_READOUT_MAXOUT) {
        in[0] = previous(tape, h, first);
        in[n++] = x;
    }
    if (context) in[n++] = context;
    h = n > 1 ? rv_concat(tape, n, in, -1) : in[0];
    switch (r->kind) {
    case RV_READOUT_STATE: break;
    case RV_READOUT_TANH: return rv_linear(tape, h, r->weight, r->bias, RV_ACT_TANH);
    case RV_READOUT_MAXOUT: return rv_maxout(tape, rv_linear(tape, h, r->weight, r->bias, RV_ACT_NONE), 2);
    }
    return h;
}

#include "nn/transformer.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "nn/transformer_private.h"

rv_transformer_config rv_transformer_defaults(void) {
    return (rv_transformer_config){.activation = RV_ACT_RELU,
                                   .bias = true,
                                   .final_norm = true,
                                   .norm_eps = 1e-5,
                                   .init = {RV_INIT_XAVIER_UNIFORM}};
}

static linear make_linear(rv_params *ps, const rv_transformer_config *c, rv_init init, int64_t in, int64_t out,
                          const char *prefix, int n, const char *weight, const char *bias) {
    linear l = {rv_params_add(ps, init, 2, (int64_t[]){out, in}, "%s.layers.%d.%s", prefix, n, weight), NULL};
    if (c->bias) l.bias = rv_params_add(ps, (rv_init){RV_INIT_ZERO}, 1, &out, "%s.layers.%d.%s", prefix, n, bias);
    return l;
}

static norm make_norm(rv_params *ps, const rv_transformer_config *c, const char *name) {
    norm n = {
        .gamma = rv_params_add(ps, (rv_init){.kind = RV_INIT_CONSTANT, .a = 1}, 1, &c->hidden_size, "%s.weight", name)};
    if (c->bias) n.beta = rv_params_add(ps, (rv_init){RV_INIT_ZERO}, 1, &c->hidden_size, "%s.bias", name);
    return n;
}

static layer make_layer(rv_params *ps, const rv_transformer_config *c, const char *prefix, int n) {
    int64_t d = c->hidden_size;
    rv_init residual = c->init;
    if (c->scale_residual &&
        residual.kind == RV_INIT_KAIMING_UNIFORM) /* its a is a slope: the bound shrinks with sqrt(1 + a^2) */
        residual.a = sqrt((1 + residual.a * residual.a) * 2 * c->num_layers - 1);
    else if (c->scale_residual)
        residual.a = (residual.a == 0 ? 1 : residual.a) / sqrt(2. * c->num_layers);
    layer l = {
        .in = make_linear(ps, c, c->init, d, 3 * d, prefix, n, "self_attn.in_proj_weight", "self_attn.in_proj_bias"),
        .out = make_linear(ps, c, residual, d, d, prefix, n, "self_attn.out_proj.weight", "self_attn.out_proj.bias"),
    };
    if (c->cross) {
        l.cross_in = make_linear(ps, c, c->init, d, 3 * d, prefix, n, "multihead_attn.in_proj_weight",
                                 "multihead_attn.in_proj_bias");
        rv_params_use(ps, l.cross_in.weight, RV_USE_CROSS);
        l.cross_out = make_linear(ps, c, residual, d, d, prefix, n, "multihead_attn.out_proj.weight",
                                  "multihead_attn.out_proj.bias");
    }
    l.up = make_linear(ps, c, c->init, d, c->ff_size, prefix, n, "linear1.weight", "linear1.bias");
    l.down = make_linear(ps, c, residual, c->ff_size, d, prefix, n, "linear2.weight", "linear2.bias");
    for (int i = 0; c->norm != RV_NORM_NONE && i < (c->cross ? 3 : 2); i++) {
        char name[512];
        snprintf(name, sizeof name, "%s.layers.%d.norm%d", prefix, n, i + 1);
        l.norm[i] = make_norm(ps, c, name);
    }
    return l;
}

rv_transformer *rv_transformer_create(rv_params *ps, const rv_transformer_config *c, const char *prefix) {
    if (c->num_layers < 1 || c->num_heads < 1 || c->hidden_size < 1 || c->ff_size < 1 ||
        c->hidden_size % c->num_heads) {
        rv_error(RV_EUSAGE,
                 "%s: num_layers %d, num_heads %d, hidden_size %lld, ff_size %lld do not make a transformer; all must "
                 "be positive and hidden_size "
                 "a multiple of num_heads",
                 prefix, c->num_layers, c->num_heads, (long long)c->hidden_size, (long long)c->ff_size);
        return NULL;
    }
    rv_transformer *tr = rv_alloc(sizeof *tr);
    layer *layers = rv_alloc(rv_size_mul((size_t)c->num_layers, sizeof *layers));
    if (!tr || !layers) {
        rv_free(tr);
        rv_free(layers);
        return NULL;
    }
    *tr = (rv_transformer){.config = *c, .layers = layers};
    snprintf(tr->prefix, sizeof tr->prefix, "%s", prefix);
    for (int i = 0; i < c->num_layers; i++) layers[i] = make_layer(ps, c, prefix, i);
    if (c->final_norm) {
        char name[512];
        snprintf(name, sizeof name, "%s.norm", prefix);
        tr->final = make_norm(ps, c, name);
    }
    return tr;
}

void rv_transformer_destroy(rv_transformer *tr) {
    if (!tr) return;
    rv_free(tr->layers);
    rv_free(tr);
}

/* ---- forward */
static rv_tensor *apply_linear(rv_tape *tape, linear l, rv_tensor *x) {
    return rv_linear(tape, x, l.weight, l.bias, RV_ACT_NONE);
}

static rv_tensor *apply_norm(rv_tape *tape, const rv_transformer *tr, norm n, rv_tensor *x) {
    return rv_layer_norm(tape, x, n.gamma, n.beta, tr->config.norm_eps);
}

/* What a sublayer sees of the residual stream x, and the stream after its output y. */
static rv_tensor *enter(rv_tape *tape, const rv_transformer *tr, norm n, rv_tensor *x) {
    return tr->config.norm == RV_NORM_PRE ? apply_norm(tape, tr, n, x) : x;
}
static rv_tensor *leave(rv_tape *tape, const rv_transformer *tr, norm n, rv_tensor *x, rv_tensor *y) {
    y = rv_dropout(tape, y, tr->config.dropout);
    if (!tr->config.no_residual) y = rv_add(tape, x, y);
    return tr->config.norm == RV_NORM_POST ? apply_norm(tape, tr, n, y) : y;
}

double rv__transformer_scale(const rv_transformer *tr) {
    return tr->config.unscaled ? 1 : 1 / sqrt((double)(tr->config.hidden_size / tr->config.num_heads));
}

static rv_attention_spec attention_spec(const rv_transformer *tr, bool causal, const int32_t *lengths) {
    return (rv_attention_spec){.heads = tr->config.num_heads,
                               .causal = causal && tr->config.mask != RV_MASK_NONE,
                               .mask_after = tr->config.mask == RV_MASK_AFTER,
                               .key_lengths = lengths,
                               .scale = rv__transformer_scale(tr),
                               .dropout = tr->config.attention_dropout};
}

rv_tensor *rv__transformer_memory(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *memory) {
    int64_t d = tr->config.hidden_size;
    linear l = tr->layers[layer_index].cross_in;
    return rv_linear_rows(tape, memory, l.weight, l.bias, d, 3 * d);
}

rv_tensor *rv__transformer_run(rv_tape *tape, const rv_transformer *tr, rv_tensor *x, const attending *how) {
    int64_t d = tr->config.hidden_size;
    for (int i = 0; i < tr->config.num_layers; i++) {
        const layer *l = &tr->layers[i];
        const norm *n = l->norm;
        x = rv_watch_states(tape, x, "stream", false, "%s.l%d.x", tr->prefix, i);
        rv_tensor *y = apply_linear(tape, l->in, enter(tape, tr, *n, x));
        y = how->self(tape, tr, i, y, how);
        x = leave(tape, tr, *n, x, apply_linear(tape, l->out, y));
        if (tr->config.cross) {
            n++;
            y = rv_linear_rows(tape, enter(tape, tr, *n, x), l->cross_in.weight, l->cross_in.bias, 0, d);
            y = how->cross(tape, tr, i, y, how);
            x = leave(tape, tr, *n, x, apply_linear(tape, l->cross_out, y));
        }
        n++;
        y = rv_feed_forward(tape, enter(tape, tr, *n, x), l->up.weight, l->up.bias, l->down.weight, l->down.bias,
                            tr->config.activation, tr->config.dropout);
        x = leave(tape, tr, *n, x, y);
    }
    return tr->config.final_norm ? apply_norm(tape, tr, tr->final, x) : x;
}

static rv_tensor *self_full(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *qkv,
                            const attending *how) {
    rv_attention_spec spec = attention_spec(tr, tr->config.causal, how->lengths);
    return rv_self_attention(tape, qkv, &spec);
}

/* (B, T, D) -> (B, heads, T, D / heads), or, `turned`, (B, heads, D / heads, T). */
static rv_tensor *split_heads(rv_tape *tape, const rv_transformer *tr, rv_tensor *x, bool turned) {
    int64_t heads = tr->config.num_heads;
    if (!x) return NULL;
    x = rv_reshape(tape, x, 4, (int64_t[]){x->dim[0], x->dim[1], heads, x->dim[2] / heads});
    return rv_transpose(tape, x, turned ? (int[]){0, 2, 3, 1} : (int[]){0, 2, 1, 3});
}

/* softmax(scale q k^T) of one layer, as the fused op has it but kept: (heads, B, T, S). */
static void keep_weights(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *q, rv_tensor *kv,
                         const attending *how) {
    int64_t d = tr->config.hidden_size, heads = tr->config.num_heads;
    rv_tensor *s =
        rv_matmul(tape, split_heads(tape, tr, q, false), split_heads(tape, tr, rv_slice(tape, kv, 2, 0, d), true));
    s = rv_affine(tape, s, rv__transformer_scale(tr), 0);
    if (!s) return;
    int64_t T = s->dim[2], S = s->dim[3];
    for (int64_t row = 0; row < rv_rows(s); row++)
        for (int64_t i = how->memory_lengths ? how->memory_lengths[row / (heads * T)] : S; i < S; i++)
            s->x[row * S + i] = -(rv_real)INFINITY;
    s = rv_transpose(tape, rv_softmax(tape, s), (int[]){1, 0, 2, 3});
    if (s) memcpy(how->weights + layer_index * rv_numel(s), s->x, (size_t)rv_numel(s) * sizeof *s->x);
}

static rv_tensor *cross_full(rv_tape *tape, const rv_transformer *tr, int layer_index, rv_tensor *q,
                             const attending *how) {
    rv_attention_spec spec = attention_spec(tr, false, how->memory_lengths);
    rv_tensor *kv = rv__transformer_memory(tape, tr, layer_index, how->memory);
    if (how->weights) keep_weights(tape, tr, layer_index, q, kv, how);
    return rv_cross_attention(tape, q, kv, &spec);
}

bool rv__transformer_fits(rv_tape *tape, const rv_transformer *tr, const char *what, const rv_tensor *x) {
    if (x->ndim == 3 && x->dim[2] == tr->config.hidden_size) return true;
    char text[RV_SHAPE_TEXT];
    return rv_tape_fail(tape, RV_ESHAPE, "transformer: %s must be (batch, positions, %lld), not %s", what,
                        (long long)tr->config.hidden_size, rv_shape_text(x, text, sizeof text));
}

static rv_tensor *run_full(rv_tape *tape, const rv_transformer *tr, rv_tensor *x, const int32_t *lengths,
                           rv_tensor *memory, const int32_t *memory_lengths, rv_real *weights) {
    if (!x || (tr->config.cross && !memory)) return NULL;
    if (!rv__transformer_fits(tape, tr, "x", x) ||
        (tr->config.cross && !rv__transformer_fits(tape, tr, "memory", memory)))
        return NULL;
    attending how = {
        self_full,         cross_full, .lengths = lengths, .memory = memory, .memory_lengths = memory_lengths,
        .weights = weights};
    return rv__transformer_run(tape, tr, x, &how);
}

rv_tensor *rv_transformer_forward(rv_tape *tape, const rv_transformer *tr, rv_tensor *x, const int32_t *lengths,
                                  rv_tensor *memory, const int32_t *memory_lengths) {
    return run_full(tape, tr, x, lengths, memory, memory_lengths, NULL);
}

bool rv_transformer_cross_weights(rv_tape *tape, const rv_transformer *tr, rv_tensor *x, rv_tensor *memory,
                                  const int32_t *memory_lengths, rv_real *weights) {
    RV_ASSERT(tr->config.cross);
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_tensor *y = run_full(tape, tr, x, NULL, memory, memory_lengths, weights);
    rv_tape_restore(tape, mode);
    return y != NULL;
}

#include "train/lm_config.h"

#include <math.h>
#include <string.h>

static rv_init of_kind(const char *kind, double std) {
    static const struct {
        const char *name;
        rv_init init;
    } kinds[] = {
        {"xavier_uniform", {RV_INIT_XAVIER_UNIFORM, 1, 0}}, {"xavier_normal", {RV_INIT_XAVIER_NORMAL, 1, 0}},
        {"orthogonal", {RV_INIT_ORTHOGONAL, 1, 0}},         {"kaiming_uniform", {RV_INIT_KAIMING_UNIFORM, 2.23606797749979, 0}},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, kind)) return kinds[i].init;
    /* A uniform of deviation std reaches sqrt(3) std. */
    return !strcmp(kind, "uniform") ? (rv_init){RV_INIT_UNIFORM, std * sqrt(3.), 0} : (rv_init){RV_INIT_NORMAL, std, 0};
}

/* The matrices' distribution, or `usual` when the experiment leaves it to the layer. */
static rv_init weights(const rv_config *c, rv_init usual) {
    const char *kind = rv_config_text(c, "model.init.weights");
    if (!strcmp(kind, "default")) return usual;
    return of_kind(kind, rv_config_has(c, "model.init.std") ? rv_config_real(c, "model.init.std") : 0);
}

static rv_cell cell_of(const rv_config *c) {
    if (rv_config_is(c, "model.decoder.cell", "lstm")) return RV_CELL_LSTM;
    if (rv_config_is(c, "model.decoder.cell", "gru")) return rv_config_is(c, "model.decoder.gru_reset", "before") ? RV_CELL_GRU_RESET_BEFORE : RV_CELL_GRU;
    return rv_config_is(c, "model.decoder.nonlinearity", "relu") ? RV_CELL_RNN_RELU : RV_CELL_RNN_TANH;
}

static void read_rnn(const rv_config *c, rv_lm_config *m) {
    rv_decoder_config *d = &m->decoder;
    int64_t H = rv_config_int(c, "model.decoder.hidden_size");
    rv_init usual = {RV_INIT_UNIFORM, 1 / sqrt((double)H), 0}; /* PyTorch's */
    d->rnn = (rv_rnn_config){
        .cell = cell_of(c),
        .num_layers = (int)rv_config_int(c, "model.decoder.num_layers"),
        .input_size = d->embedding_dim,
        .hidden_size = H,
        .bias = true,
        .dropout = d->dropout,
        .weight_init = weights(c, usual),
        .bias_init = usual,
        .recurrent_init = rv_config_is(c, "model.init.recurrent", "orthogonal") ? (rv_init){RV_INIT_ORTHOGONAL, 1, 0} : weights(c, usual),
        .forget_bias = rv_config_has(c, "model.init.forget_bias") ? rv_config_real(c, "model.init.forget_bias") : NAN,
    };
    m->head_init = weights(c, usual);
    m->head_bias_init = usual;
}

static void read_transformer(const rv_config *c, rv_lm_config *m) {
    rv_decoder_config *d = &m->decoder;
    const char *activation = rv_config_text(c, "model.decoder.activation"), *position = rv_config_text(c, "model.position");
    rv_init usual = {RV_INIT_NORMAL, rv_config_has(c, "model.init.std") ? rv_config_real(c, "model.init.std") : 0.02, 0};
    d->transformer = (rv_transformer_config){
        .num_layers = (int)rv_config_int(c, "model.decoder.num_layers"),
        .num_heads = (int)rv_config_int(c, "model.decoder.num_heads"),
        .hidden_size = rv_config_int(c, "model.decoder.hidden_size"),
        .ff_size = rv_config_int(c, "model.decoder.ff_size"),
        .norm = rv_config_is(c, "model.decoder.norm", "post") ? RV_NORM_POST : RV_NORM_PRE,
        .activation = !strcmp(activation, "relu") ? RV_ACT_RELU : !strcmp(activation, "gelu_tanh") ? RV_ACT_GELU_TANH : RV_ACT_GELU,
        .bias = rv_config_bool(c, "model.decoder.bias"),
        .causal = true,
        .final_norm = rv_config_is(c, "model.decoder.norm", "pre"),
        .norm_eps = 1e-5,
        .dropout = d->dropout,
        .attention_dropout = rv_config_real(c, "model.decoder.attention_dropout"),
        .init = weights(c, usual),
        .scale_residual = rv_config_bool(c, "model.init.residual_scale"),
    };
    d->position = !strcmp(position, "none") ? RV_POSITION_NONE : !strcmp(position, "learned") ? RV_POSITION_LEARNED : RV_POSITION_SINUSOIDAL;
    m->head_init = weights(c, usual);
    m->head_bias_init = (rv_init){RV_INIT_ZERO, 0, 0};
}

rv_lm_config rv_lm_config_read(const rv_config *c, int64_t vocab_size) {
    double std = rv_config_real(c, "model.init.embedding_std");
    rv_lm_config m = {
        .tie_embeddings = rv_config_bool(c, "model.tie_embeddings"),
        .head_bias = rv_config_bool(c, "model.head_bias"),
        .decoder =
            {
                .kind = rv_decoder_find(rv_config_text(c, "model.decoder.type")),
                .vocab_size = vocab_size,
                .embedding_dim = rv_config_int(c, "model.embedding_dim"),
                .dropout = rv_config_real(c, "model.dropout"),
                .scale_embeddings = rv_config_bool(c, "model.scale_embeddings"),
                .embedding_init = of_kind(rv_config_text(c, "model.init.embedding"), std),
                .max_length = rv_config_int(c, "train.batch.length"),
            },
    };
    if (rv_config_is(c, "model.decoder.type", "rnn")) read_rnn(c, &m);
    else read_transformer(c, &m);
    return m;
}

#include "train/model_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The keys of one part of the model, "model.encoder" or "model.decoder": key(p, "cell") is "model.encoder.cell". */
typedef struct {
    const rv_config *c;
    const char *section;
    char path[128];
} part;

static const char *key(part *p, const char *leaf) {
    snprintf(p->path, sizeof p->path, "%s.%s", p->section, leaf);
    return p->path;
}
static bool is(part *p, const char *leaf, const char *value) { return rv_config_is(p->c, key(p, leaf), value); }
static int64_t whole(part *p, const char *leaf) { return rv_config_int(p->c, key(p, leaf)); }

static rv_init of_kind(const char *kind, double std) {
    static const struct {
        const char *name;
        rv_init init;
    } kinds[] = {
        {"xavier_uniform", {RV_INIT_XAVIER_UNIFORM, 1, 0}},
        {"xavier_normal", {RV_INIT_XAVIER_NORMAL, 1, 0}},
        {"orthogonal", {RV_INIT_ORTHOGONAL, 1, 0}},
        {"kaiming_uniform", {RV_INIT_KAIMING_UNIFORM, 2.23606797749979, 0}},
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

static rv_init embedding_init(const rv_config *c) {
    bool scaled = rv_config_is(c, "model.init.embedding", "scaled");
    double std = scaled ? pow((double)rv_config_int(c, "model.embedding_dim"), -0.5)
                        : rv_config_real(c, "model.init.embedding_std");
    return of_kind(rv_config_text(c, "model.init.embedding"), std);
}

static rv_cell cell_of(part *p) {
    if (is(p, "cell", "lstm")) return RV_CELL_LSTM;
    if (is(p, "cell", "gru")) return is(p, "gru_reset", "before") ? RV_CELL_GRU_RESET_BEFORE : RV_CELL_GRU;
    return is(p, "nonlinearity", "relu") ? RV_CELL_RNN_RELU : RV_CELL_RNN_TANH;
}

static rv_init pytorch_rnn_init(int64_t hidden) { return (rv_init){RV_INIT_UNIFORM, 1 / sqrt((double)hidden), 0}; }

static rv_rnn_config read_rnn(part *p) {
    const rv_config *c = p->c;
    int64_t H = whole(p, "hidden_size");
    rv_init usual = pytorch_rnn_init(H);
    return (rv_rnn_config){
        .cell = cell_of(p),
        .num_layers = (int)whole(p, "num_layers"),
        .hidden_size = H,
        .bias = true,
        .dropout = rv_config_real(c, "model.dropout"),
        .weight_init = weights(c, usual),
        .bias_init = usual,
        .recurrent_init = rv_config_is(c, "model.init.recurrent", "orthogonal") ? (rv_init){RV_INIT_ORTHOGONAL, 1, 0}
                                                                                : weights(c, usual),
        .forget_bias = is(p, "cell", "lstm") ? rv_config_real(c, "model.init.forget_bias") : NAN,
    };
}

/* GPT-2's small normal in decoders alone, else nn.Transformer's Xavier. */
static rv_init transformer_init(const rv_config *c) {
    rv_init usual = {RV_INIT_NORMAL, rv_config_has(c, "model.init.std") ? rv_config_real(c, "model.init.std") : 0.02,
                     0};
    return weights(c, rv_config_has(c, "model.encoder.type") ? (rv_init){RV_INIT_XAVIER_UNIFORM, 1, 0} : usual);
}

static rv_mask_place mask_of(part *p) {
    if (is(p, "causal_mask", "after_softmax")) return RV_MASK_AFTER;
    return is(p, "causal_mask", "none") ? RV_MASK_NONE : RV_MASK_BEFORE;
}

static rv_transformer_config read_transformer(part *p, bool causal) {
    const rv_config *c = p->c;
    return (rv_transformer_config){
        .num_layers = (int)whole(p, "num_layers"),
        .num_heads = (int)whole(p, "num_heads"),
        .hidden_size = whole(p, "hidden_size"),
        .ff_size = whole(p, "ff_size"),
        .norm = is(p, "norm", "pre")    ? RV_NORM_PRE
                : is(p, "norm", "post") ? RV_NORM_POST
                                        : RV_NORM_NONE,
        .no_residual = !rv_config_bool(c, key(p, "residual")),
        .unscaled = is(p, "attention_scale", "none"),
        .activation = is(p, "activation", "relu")        ? RV_ACT_RELU
                      : is(p, "activation", "gelu_tanh") ? RV_ACT_GELU_TANH
                                                         : RV_ACT_GELU,
        .bias = rv_config_bool(c, key(p, "bias")),
        .causal = causal,
        .mask = causal ? mask_of(p) : RV_MASK_BEFORE,
        .final_norm = is(p, "norm", "pre"),
        .norm_eps = 1e-5,
        .dropout = rv_config_real(c, "model.dropout"),
        .attention_dropout = rv_config_real(c, key(p, "attention_dropout")),
        .init = transformer_init(c),
        .scale_residual =
            rv_config_has(c, "model.init.residual_scale") && rv_config_bool(c, "model.init.residual_scale"),
    };
}

static rv_position_kind position_of(const rv_config *c, const char *path) {
    if (rv_config_is(c, path, "learned")) return RV_POSITION_LEARNED;
    return rv_config_is(c, path, "sinusoidal") ? RV_POSITION_SINUSOIDAL : RV_POSITION_NONE;
}

/* How a recurrent decoder reads a memory. */
static rv_reading read_reading(const rv_config *c) {
    static const char *const bridges[] = {"dense", "reverse", "copy", "zero"}, *const readouts[] = {
                                                                                   "state", "tanh",
                                                                                   "maxout"}; /* as the enums */
    rv_init usual = pytorch_rnn_init(rv_config_int(c, "model.decoder.hidden_size"));
    rv_reading r = {.init = weights(c, usual), .vector_init = usual};
    const char *bridge = rv_config_text(c, "model.bridge"), *readout = rv_config_text(c, "model.readout");
    for (int i = 0; i < 4; i++)
        if (!strcmp(bridges[i], bridge)) r.bridge = (rv_bridge)i;
    for (int i = 0; i < 3; i++)
        if (!strcmp(readouts[i], readout)) r.readout = (rv_readout)i;
    if (rv_config_has(c, "model.readout_size")) r.readout_size = rv_config_int(c, "model.readout_size");
    if (rv_config_is(c, "model.attention.type", "bahdanau"))
        r.attend = RV_ATTEND_BAHDANAU;
    else if (rv_config_is(c, "model.attention.score", "dot"))
        r.attend = RV_ATTEND_LUONG_DOT;
    else if (rv_config_is(c, "model.attention.score", "general"))
        r.attend = RV_ATTEND_LUONG_GENERAL;
    else if (rv_config_is(c, "model.attention.score", "concat"))
        r.attend = RV_ATTEND_LUONG_CONCAT;
    else
        r.context_each_step = rv_config_is(c, "model.context", "each_step");
    if (rv_config_has(c, "model.attention.size")) r.attention_size = rv_config_int(c, "model.attention.size");
    if (rv_config_has(c, "model.attention.input_feeding"))
        r.input_feeding = rv_config_bool(c, "model.attention.input_feeding");
    if (rv_config_has(c, "model.attention.window")) r.local_window = rv_config_real(c, "model.attention.window");
    return r;
}

/* Of tokens; numbers have their own below. */
static rv_input_config read_input(const rv_config *c, int64_t vocab_size, const char *position, int64_t positions) {
    const rv_init init = embedding_init(c);
    return (rv_input_config){
        .vocab_size = vocab_size,
        .size = rv_config_int(c, "model.embedding_dim"),
        .scale = rv_config_bool(c, "model.scale_embeddings"),
        .dropout = rv_config_real(c, "model.dropout"),
        .init = init,
        .position = position_of(c, position),
        .position_init = init,
        .max_length = positions,
    };
}

/* PyTorch's nn.Linear. */
static rv_init linear_init(const rv_config *c) { return weights(c, (rv_init){RV_INIT_KAIMING_UNIFORM, sqrt(5.), 0}); }

static rv_input_config read_numbers(const rv_config *c, int64_t numbers, int64_t positions) {
    const char *std = "model.init.embedding_std";
    return (rv_input_config){
        .numbers = numbers,
        .size = rv_config_int(c, "model.encoder.hidden_size"),
        .dropout = rv_config_real(c, "model.dropout"),
        .init = linear_init(c),
        .position = position_of(c, "model.position"),
        .position_init = {RV_INIT_NORMAL, rv_config_has(c, std) ? rv_config_real(c, std) : 0, 0},
        .max_length = positions,
    };
}

static rv_decoder_config read_decoder(const rv_config *c, const rv_model_sizes *sizes, bool encoded) {
    part p = {.c = c, .section = "model.decoder"};
    rv_decoder_config d = {
        .kind = rv_decoder_find(rv_config_text(c, "model.decoder.type")),
        .input = read_input(c, sizes->target_vocab, "model.position", sizes->positions),
        .dropout = rv_config_real(c, "model.dropout"),
    };
    const bool rnn = is(&p, "type", "rnn");
    if (rnn)
        d.rnn = read_rnn(&p);
    else
        d.transformer = read_transformer(&p, true);
    if (rnn && encoded) d.reading = read_reading(c);
    return d;
}

/* What an input has of words beside their ids. */
static void read_words(const rv_config *c, const rv_model_sizes *sizes, rv_input_config *in) {
    in->shape_size = rv_config_int(c, "model.capitals_dim");
    in->shapes = in->shape_size ? sizes->shapes : 0;
    if (rv_config_is(c, "model.letters.type", "none")) return;
    const bool lstm = rv_config_is(c, "model.letters.type", "lstm");
    in->letters = (rv_letter_net_config){
        .kind = lstm ? RV_LETTER_NET_LSTM : RV_LETTER_NET_CNN,
        .alphabet = sizes->letters,
        .embedding_size = rv_config_int(c, "model.letters.embedding_dim"),
        .size = rv_config_int(c, "model.letters.hidden_size"),
        .dropout = lstm ? 0 : rv_config_real(c, "model.dropout"),
        .init = {RV_INIT_NORMAL, pow((double)rv_config_int(c, "model.letters.embedding_dim"), -0.5), 0},
    };
}

/* A pooled vector is dropped by its head, the states of a decoder's memory by the encoder. */
static rv_encoder_config read_encoder(const rv_config *c, const rv_model_sizes *sizes, bool pooled) {
    part p = {.c = c, .section = "model.encoder"};
    const bool own = rv_config_has(c, "model.encoder.position") && !is(&p, "position", "same");
    const char *position = own ? "model.encoder.position" : "model.position";
    rv_encoder_config e = {
        .kind = rv_encoder_find(rv_config_text(c, "model.encoder.type")),
        .input = sizes->source_vocab ? read_input(c, sizes->source_vocab, position, sizes->positions)
                                     : read_numbers(c, sizes->numbers, sizes->positions),
        .dropout = pooled ? 0 : rv_config_real(c, "model.dropout"),
    };
    if (is(&p, "type", "rnn")) {
        e.rnn = read_rnn(&p);
        e.rnn.bidirectional = rv_config_bool(c, "model.encoder.bidirectional");
    } else if (is(&p, "type", "transformer"))
        e.transformer = read_transformer(&p, false);
    if (rv_config_has(c, "model.letters")) read_words(c, sizes, &e.input);
    return e;
}

static rv_head_config read_pooling_head(const rv_config *c, const rv_head_kind *kind, int64_t inputs, int64_t outputs) {
    return (rv_head_config){
        .kind = kind,
        .output_size = outputs,
        .bias = true,
        .init = linear_init(c),
        .bias_init = {RV_INIT_UNIFORM, 1 / sqrt((double)inputs), 0},
        .pooling = rv_config_is(c, "model.pooling", "attention") ? RV_POOLING_ATTENTION
                   : rv_config_is(c, "model.pooling", "mean")    ? RV_POOLING_MEAN
                                                                 : RV_POOLING_LAST,
        .pooling_size = rv_config_has(c, "model.pooling_size") ? rv_config_int(c, "model.pooling_size") : 0,
        .dropout = rv_config_real(c, "model.dropout"),
    };
}

static rv_head_config read_tag_head(const rv_config *c, const rv_head_kind *kind, int64_t inputs,
                                    const rv_model_sizes *sizes) {
    return (rv_head_config){
        .kind = kind,
        .output_size = sizes->outputs,
        .bias = true,
        .init = linear_init(c),
        .bias_init = {RV_INIT_UNIFORM, 1 / sqrt((double)inputs), 0},
        .crf = rv_config_bool(c, "model.crf"),
        .allowed = sizes->allowed,
    };
}

static rv_head_config read_token_head(const rv_config *c, const rv_head_kind *kind) {
    const bool rnn = rv_config_is(c, "model.decoder.type", "rnn");
    const rv_init usual = pytorch_rnn_init(rv_config_int(c, "model.decoder.hidden_size"));
    return (rv_head_config){
        .kind = kind,
        .bias = rv_config_bool(c, "model.head_bias"),
        .init = rnn ? weights(c, usual) : transformer_init(c),
        .bias_init = rnn ? usual : (rv_init){RV_INIT_ZERO, 0, 0},
    };
}

static rv_head_config read_hmm(const rv_config *c, const rv_model_sizes *sizes) {
    return (rv_head_config){.kind = &rv__head_hmm,
                            .output_size = sizes->outputs,
                            .hmm = {.words = sizes->source_vocab,
                                    .tags = sizes->outputs,
                                    .order = (int)rv_config_int(c, "model.hmm.order"),
                                    .suffix = (int)rv_config_int(c, "model.hmm.suffix"),
                                    .rare = rv_config_int(c, "model.hmm.rare"),
                                    .shorter = rv_config_real(c, "model.hmm.suffix_prior"),
                                    .unk = sizes->unknown,
                                    .vocabulary = sizes->spelling}};
}

bool rv_model_config_counts(const rv_config *c) { return rv_config_has(c, "model.hmm"); }

rv_model_config rv_model_config_read(const rv_config *c, const rv_head_kind *head, const rv_model_sizes *sizes) {
    rv_model_config m = {0};
    const bool encodes = rv_config_has(c, "model.encoder.type");
    if (rv_model_config_counts(c)) return (rv_model_config){.head = read_hmm(c, sizes)};
    if (encodes) m.encoder = read_encoder(c, sizes, head->reads == RV_READS_POOLED);
    if (head->reads != RV_READS_DECODER) {
        const int64_t inputs = m.encoder.kind->memory_size(&m.encoder);
        m.head = head->reads == RV_READS_POOLED ? read_pooling_head(c, head, inputs, sizes->outputs)
                                                : read_tag_head(c, head, inputs, sizes);
        return m;
    }
    m.decoder = read_decoder(c, sizes, encodes);
    m.head = read_token_head(c, head);
    /* true or false of a language model; none, decoder or all of an encoder-decoder */
    m.tie_source = rv_config_is(c, "model.tie_embeddings", "all");
    m.tie_embeddings = rv_config_ties_output(c);
    return m;
}

/* What a model is, in words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "train/model_config.h"

enum { WORDS = RV_MODEL_WORDS / 3 };

/* "2-layer GRU": a part's layers. */
static void layers_of(const rv_config *c, const char *part, char out[WORDS]) {
    static const struct {
        const char *cell, *name;
    } cells[] = {{"rnn", "plain recurrence"}, {"lstm", "LSTM"}, {"gru", "GRU"}};
    char type[64], cell[64], layers[64], count[32] = "";
    const char *name = "transformer";
    snprintf(type, sizeof type, "%s.type", part);
    snprintf(cell, sizeof cell, "%s.cell", part);
    snprintf(layers, sizeof layers, "%s.num_layers", part);
    for (size_t i = 0; i < sizeof cells / sizeof *cells && rv_config_is(c, type, "rnn"); i++)
        if (rv_config_is(c, cell, cells[i].cell)) name = cells[i].name;
    if (rv_config_is(c, type, "none")) {
        snprintf(out, WORDS, "the words alone");
        return;
    }
    const int64_t n = rv_config_int(c, layers);
    if (n > 1) snprintf(count, sizeof count, "%" PRId64 "-layer ", n);
    snprintf(out, WORDS, "%s%s", count, name);
}

/* How a recurrent decoder of translations looks at the source; a transformer's does in each layer. */
static const char *attention_of(const rv_config *c) {
    if (rv_config_is(c, "model.attention.type", "none")) return ", no attention: one vector holds all of the source";
    if (rv_config_is(c, "model.attention.type", "bahdanau")) return ", additive attention [Bahdanau 2015]";
    if (rv_config_is(c, "model.attention.type", "luong")) return ", multiplicative attention [Luong 2015]";
    return "";
}

/* The vector that something is told from, by a model that pools. */
static const char *pooling_of(const rv_config *c) {
    if (rv_config_is(c, "model.pooling", "last")) return ", its last state";
    if (rv_config_is(c, "model.pooling", "mean")) return ", the mean of its states";
    if (rv_config_is(c, "model.pooling", "attention")) return ", additive attention over its states";
    return "";
}

/* How tags are told. */
static const char *tags_of(const rv_config *c) {
    return rv_config_is(c, "model.crf", "true") ? ", CRF over the tags" : "";
}

static const char *letters_of(const rv_config *c) {
    if (rv_config_is(c, "model.letters.type", "lstm")) return ", letters by an LSTM";
    return rv_config_is(c, "model.letters.type", "cnn") ? ", letters by a convolution" : "";
}

static void hmm_words(const rv_config *c, char out[RV_MODEL_WORDS]) {
    static const char *const orders[] = {"each word's most frequent tag", "hidden Markov model of pairs of tags",
                                         "hidden Markov model of three tags"};
    const int64_t order = rv_config_int(c, "model.hmm.order"), suffix = rv_config_int(c, "model.hmm.suffix");
    snprintf(out, RV_MODEL_WORDS, "%s%s", orders[order], suffix ? ", unknown words by suffix" : "");
}

void rv_model_words(const rv_config *c, char out[RV_MODEL_WORDS]) {
    if (rv_model_config_counts(c)) {
        hmm_words(c, out);
        return;
    }
    char encoder[WORDS] = "", decoder[WORDS] = "";
    const char *both = "";
    const bool reads = rv_config_has(c, "model.encoder.type"), writes = rv_config_has(c, "model.decoder.type");
    if (reads) layers_of(c, "model.encoder", encoder);
    if (reads && rv_config_is(c, "model.encoder.bidirectional", "true")) both = ", bidirectional";
    if (writes) layers_of(c, "model.decoder", decoder);
    snprintf(out, RV_MODEL_WORDS, "%s%s%s%s%s%s%s%s%s", reads && writes ? "encoder: " : "", encoder, both,
             reads && writes ? "; decoder: " : "", decoder, attention_of(c), pooling_of(c), letters_of(c), tags_of(c));
}

/* "systems" of a report: what each model is, in words, since its label is its author's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compare/report_data_private.h"

enum { WORDS = 512 };

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

static void words_of(const rv_config *c, char out[3 * WORDS]) {
    char encoder[WORDS] = "", decoder[WORDS] = "";
    const char *both = "";
    const bool reads = rv_config_has(c, "model.encoder.type"), writes = rv_config_has(c, "model.decoder.type");
    if (reads) layers_of(c, "model.encoder", encoder);
    if (reads && rv_config_is(c, "model.encoder.bidirectional", "true")) both = ", bidirectional";
    if (writes) layers_of(c, "model.decoder", decoder);
    snprintf(out, 3 * WORDS, "%s%s%s%s%s%s", reads && writes ? "encoder: " : "", encoder, both,
             reads && writes ? "; decoder: " : "", decoder, attention_of(c));
}

rv_status rv__report_systems(const rv_report_input *in, json_t *report) {
    json_t *list = json_array();
    if (!list) return RV_ENOMEM;
    for (int m = 0; m < in->n_models; m++) {
        char words[3 * WORDS] = "";
        for (int i = 0; i < in->n_runs && !*words; i++)
            if (!strcmp(in->run[i].model, in->model[m]) && in->run[i].config) words_of(in->run[i].config, words);
        if (*words) json_array_append_new(list, json_pack("{s:s, s:s}", "model", in->model[m], "text", words));
    }
    json_object_set_new(report, "systems", list);
    return RV_OK;
}

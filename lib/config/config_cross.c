/* Relations between keys. Each check speaks only when all that it reads has a value. */
#include <stdio.h>
#include <string.h>

#include "io/yaml_private.h"
#include "nn/recurrent.h"
#include "config/config_private.h"

static bool known(const rv_config *c, const char *path) {
    const rv__value *v = rv__config_value(c, path);
    return v->has && !v->bad;
}

static bool is(const rv_config *c, const char *path, const char *text) {
    return known(c, path) && !strcmp(rv__config_value(c, path)->text, text);
}

/* The first of the paths that was given, for the position of a message; NULL if none. */
static const rv_yaml_node *given(const rv_config *c, const char *path, const char *other) {
    const rv_yaml_node *n = rv__config_value(c, path)->node;
    return n || !other ? n : rv__config_value(c, other)->node;
}

static double real(const rv_config *c, const char *path) { return rv__config_value(c, path)->real; }
static long long whole(const rv_config *c, const char *path) { return rv__config_value(c, path)->whole; }

static const char *text_of(const rv_config *c, const char *path) {
    return known(c, path) ? rv__config_value(c, path)->text : "not given";
}

/* Two keys are given of which one is wanted: `choice` says so. An assignment that stands against a file's key does not
 * show it. */
static void exclude(rv_config *c, const rv__value *x, const rv__value *y, const char *choice) {
    char where[1024], more[1536] = "";
    if (x->assigned && !y->assigned) {
        const rv__value *swap = x;
        x = y, y = swap;
    }
    if (y->assigned && x->node && !x->assigned) {
        rv_yaml_where(x->node, where, sizeof where);
        snprintf(more, sizeof more, "; %s stands in %s: to leave it out, set %s to null, too", x->key->path, where,
                 x->key->path);
    }
    rv_yaml_problem(c->yaml, y->node, "%s besides %s; give %s%s", y->key->path, x->key->path, choice, more);
}

static void check_lengths(rv_config *c) {
    if (known(c, "data.min_length") && known(c, "data.max_length") &&
        whole(c, "data.min_length") > whole(c, "data.max_length"))
        rv_yaml_problem(c->yaml, given(c, "data.min_length", "data.max_length"),
                        "data.min_length %lld is above data.max_length %lld", whole(c, "data.min_length"),
                        whole(c, "data.max_length"));
}

/* Rows of a data set with a part of its own to test on hold back none: what there is, loading finds out. */
static bool parts_unknown(rv_config *c) {
    return known(c, "data.dataset") && !strcmp(rv__schema_fact(text_of(c, "task"), "@source"), "table");
}

static void check_data(rv_config *c) {
    if (!parts_unknown(c) && known(c, "data.train_fraction") && known(c, "data.test_fraction") &&
        real(c, "data.test_fraction") > 0 && real(c, "data.train_fraction") + real(c, "data.test_fraction") >= 1)
        rv_yaml_problem(c->yaml, given(c, "data.test_fraction", "data.train_fraction"),
                        "data.train_fraction %g and data.test_fraction %g leave nothing to validate on",
                        real(c, "data.train_fraction"), real(c, "data.test_fraction"));
    if (!strcmp(rv__schema_fact(text_of(c, "task"), "@source"), "adding")) {
        check_lengths(c);
        return;
    }
    if (rv__config_value(c, "data")->bad) return; /* missing: said */
    static const char *const ways[] = {"data.dataset", "data.path", "data.train"};
    const rv__value *section = rv__config_value(c, "data"), *first = NULL;
    int n = 0;
    for (int i = 0; i < 3; i++) {
        const rv__value *v = rv__config_value(c, ways[i]);
        if (!v->node && !v->bad) continue;
        if (!first)
            first = v;
        else
            exclude(c, first, v, "exactly one of data.dataset, data.path and data.train");
        n++;
    }
    if (!n && section->node && !section->bad)
        rv_yaml_problem(c->yaml, section->node->key,
                        "data: missing the text; give one of data.dataset, data.path and data.train");
    if (known(c, "data.src") && !known(c, "data.tgt") && !rv__config_value(c, "data.tgt")->bad)
        rv_yaml_problem(c->yaml, given(c, "data.src", NULL),
                        "data.tgt is missing: the target language goes with data.src");
    if (known(c, "data.train") && !known(c, "data.valid") && !rv__config_value(c, "data.valid")->bad)
        rv_yaml_problem(
            c->yaml, section->node->key,
            "data.valid is missing: a file to validate on goes with data.train; a single file for both is data.path");
}

/* "model.encoder" or "model.decoder": what one transformer asks of its numbers. */
static void check_transformer(rv_config *c, const char *section) {
    char type[64], heads_key[64], hidden_key[64];
    snprintf(type, sizeof type, "%s.type", section);
    snprintf(heads_key, sizeof heads_key, "%s.num_heads", section);
    snprintf(hidden_key, sizeof hidden_key, "%s.hidden_size", section);
    if (!is(c, type, "transformer") || !known(c, hidden_key)) return;
    long long hidden = whole(c, hidden_key);
    if (known(c, heads_key) && hidden % whole(c, heads_key))
        rv_yaml_problem(c->yaml, given(c, heads_key, hidden_key), "%s %lld does not divide %s %lld", heads_key,
                        whole(c, heads_key), hidden_key, hidden);
    if (known(c, "model.embedding_dim") && whole(c, "model.embedding_dim") != hidden)
        rv_yaml_problem(c->yaml, given(c, "model.embedding_dim", hidden_key),
                        "model.embedding_dim %lld differs from %s %lld; a transformer needs them equal",
                        whole(c, "model.embedding_dim"), hidden_key, hidden);
}

/* The output layer's input has the embedding's width when they share weights. */
static void check_tying(rv_config *c) {
    bool readout = known(c, "model.readout_size");
    const char *from = readout ? "model.readout_size" : "model.decoder.hidden_size";
    if (!rv_config_ties_output(c) || !known(c, from) || !known(c, "model.embedding_dim") ||
        is(c, "model.decoder.type", "transformer"))
        return;
    if (whole(c, from) != whole(c, "model.embedding_dim"))
        rv_yaml_problem(c->yaml, given(c, "model.tie_embeddings", NULL),
                        "model.tie_embeddings needs model.embedding_dim %lld equal to %s %lld",
                        whole(c, "model.embedding_dim"), from, whole(c, from));
}

/* A state is copied between layers alike in all that gives it its meaning. */
static void check_copy(rv_config *c, const rv_yaml_node *bridge, bool rnn, bool both) {
    static const char *const alike[] = {"cell", "gru_reset", "nonlinearity", "num_layers"};
    char differs[160] = "";
    if (!known(c, "model.encoder.hidden_size") || !known(c, "model.decoder.hidden_size")) return;
    if (!rnn) snprintf(differs, sizeof differs, "model.encoder.type is %s", text_of(c, "model.encoder.type"));
    for (size_t i = 0; rnn && i < sizeof alike / sizeof *alike && !*differs; i++) {
        char encoder[64], decoder[64];
        snprintf(encoder, sizeof encoder, "model.encoder.%s", alike[i]);
        snprintf(decoder, sizeof decoder, "model.decoder.%s", alike[i]);
        const char *a = text_of(c, encoder), *b = text_of(c, decoder);
        if (strcmp(a, b)) snprintf(differs, sizeof differs, "%s is %s and %s %s", encoder, a, decoder, b);
    }
    const long long width = (both ? 2 : 1) * whole(c, "model.encoder.hidden_size"),
                    wanted = whole(c, "model.decoder.hidden_size");
    if (!*differs && width != wanted)
        snprintf(differs, sizeof differs, "the encoder's state is %lld wide%s and model.decoder.hidden_size %lld",
                 width, both ? " (both directions)" : "", wanted);
    if (*differs)
        rv_yaml_problem(
            c->yaml, bridge,
            "model.bridge copy needs a recurrent encoder like the decoder, but %s; make them equal, or use dense",
            differs);
}

/* "model.encoder" or "model.decoder": layers and directions of a recurrence have a state each. */
static void check_states(rv_config *c, const char *section) {
    char type[64], layers[64];
    snprintf(type, sizeof type, "%s.type", section);
    snprintf(layers, sizeof layers, "%s.num_layers", section);
    const bool both = !strcmp(section, "model.encoder") && is(c, "model.encoder.bidirectional", "true");
    if (!is(c, type, "rnn") || !known(c, layers) || whole(c, layers) * (1 + both) <= RV_RNN_MAX_STATES) return;
    rv_yaml_problem(c->yaml, given(c, layers, section), "%s %lld: at most %d are possible%s", layers, whole(c, layers),
                    RV_RNN_MAX_STATES / (1 + both), both ? " in both directions" : "");
}

/* Which parts of an encoder and a decoder go together. */
static void check_reading(rv_config *c) {
    const rv_yaml_node *bridge = given(c, "model.bridge", "model.encoder"),
                       *attention = given(c, "model.attention", NULL);
    bool rnn = is(c, "model.encoder.type", "rnn"), both = is(c, "model.encoder.bidirectional", "true");
    if (is(c, "model.tie_embeddings", "all") && is(c, "tokenizer.joint", "false"))
        rv_yaml_problem(c->yaml, given(c, "model.tie_embeddings", NULL),
                        "model.tie_embeddings all needs one vocabulary: tokenizer.joint true");
    if (is(c, "model.bridge", "reverse") && !(rnn && both))
        rv_yaml_problem(c->yaml, bridge, "model.bridge reverse needs a bidirectional recurrent encoder; use dense");
    if (is(c, "model.bridge", "copy")) check_copy(c, bridge, rnn, both);
    if (!is(c, "model.attention.type", "luong")) return;
    if (!is(c, "model.readout", "tanh"))
        rv_yaml_problem(c->yaml, given(c, "model.readout", "model.attention"),
                        "model.attention luong has the readout tanh(W [context; state]); set model.readout tanh");
    if (is(c, "model.attention.input_feeding", "true") && known(c, "model.decoder.num_layers") &&
        whole(c, "model.decoder.num_layers") > 1)
        rv_yaml_problem(c->yaml, attention,
                        "model.attention.input_feeding needs model.decoder.num_layers 1; set it to false");
    if (is(c, "model.attention.score", "dot") && known(c, "model.encoder.hidden_size") &&
        known(c, "model.decoder.hidden_size") &&
        whole(c, "model.encoder.hidden_size") * (rnn && both ? 2 : 1) != whole(c, "model.decoder.hidden_size"))
        rv_yaml_problem(
            c->yaml, attention,
            "model.attention.score dot needs the encoder's output as wide as model.decoder.hidden_size; use general");
}

static void check_model(rv_config *c) {
    check_transformer(c, "model.encoder");
    check_transformer(c, "model.decoder");
    check_tying(c);
    check_states(c, "model.encoder");
    check_states(c, "model.decoder");
    check_reading(c);
    if ((is(c, "model.position", "sinusoidal") || is(c, "model.encoder.position", "sinusoidal")) &&
        known(c, "model.embedding_dim") && whole(c, "model.embedding_dim") % 2)
        rv_yaml_problem(c->yaml, given(c, "model.position", "model.encoder.position"),
                        "model.position sinusoidal needs an even model.embedding_dim, which is %lld",
                        whole(c, "model.embedding_dim"));
    if (is(c, "model.position", "sinusoidal") && !known(c, "model.embedding_dim") &&
        known(c, "model.encoder.hidden_size") && whole(c, "model.encoder.hidden_size") % 2)
        rv_yaml_problem(c->yaml, given(c, "model.position", "model.encoder.hidden_size"),
                        "model.position sinusoidal needs an even model.encoder.hidden_size, which is %lld",
                        whole(c, "model.encoder.hidden_size"));
}

/* A warm-up of the file that an assignment left no room for is cut: to try something for five steps always works. */
static void check_warmup(rv_config *c) {
    if (!known(c, "train.lr_scheduler.total_steps") || !known(c, "train.lr_scheduler.warmup_steps") ||
        whole(c, "train.max_steps") <= 0)
        return;
    rv__value *warmup = rv__config_value(c, "train.lr_scheduler.warmup_steps");
    const rv__value *total = rv__config_value(c, "train.lr_scheduler.total_steps");
    if (warmup->whole < total->whole) return;
    const bool shortened = total->assigned || (!total->node && rv__config_value(c, "train.max_steps")->assigned);
    if (!shortened || warmup->assigned || total->whole < 1) {
        rv_yaml_problem(c->yaml, given(c, "train.lr_scheduler.warmup_steps", "train.lr_scheduler.total_steps"),
                        "train.lr_scheduler.warmup_steps %lld is not below total_steps %lld; nothing would be left "
                        "after the warm-up",
                        (long long)warmup->whole, (long long)total->whole);
        return;
    }
    char text[32], where[1024];
    int n = snprintf(text, sizeof text, "%lld", (long long)total->whole - 1);
    rv_yaml_where(warmup->node, where, sizeof where);
    rv__config_note(c, "train.lr_scheduler.warmup_steps is cut from %lld (%s) to %s: the schedule has %lld step%s",
                    (long long)warmup->whole, where, text, (long long)total->whole, total->whole == 1 ? "" : "s");
    warmup->whole = total->whole - 1;
    warmup->real = (double)warmup->whole;
    warmup->text = rv__yaml_copy(c->yaml, text, (size_t)n);
}

static void check_train(rv_config *c) {
    check_warmup(c);
    if (known(c, "checkpoint.average_last") && known(c, "checkpoint.keep_last") &&
        whole(c, "checkpoint.average_last") > whole(c, "checkpoint.keep_last"))
        rv_yaml_problem(c->yaml, given(c, "checkpoint.average_last", "checkpoint.keep_last"),
                        "checkpoint.average_last %lld is more than checkpoint.keep_last %lld keeps",
                        whole(c, "checkpoint.average_last"), whole(c, "checkpoint.keep_last"));
    if (is(c, "train.batch.sampling", "contiguous") && is(c, "model.decoder.type", "transformer"))
        rv_yaml_problem(c->yaml, given(c, "train.batch.sampling", NULL),
                        "train.batch.sampling contiguous carries a recurrent state, which a transformer has not; use "
                        "random or shuffled");
    if (is(c, "train.batch.type", "tokens") && known(c, "train.batch.size") && known(c, "train.batch.length") &&
        whole(c, "train.batch.size") < whole(c, "train.batch.length"))
        rv_yaml_problem(c->yaml, given(c, "train.batch.size", NULL),
                        "train.batch.size %lld tokens do not hold one sequence of train.batch.length %lld; raise it, "
                        "or for sequences set train.batch.type to sequences",
                        whole(c, "train.batch.size"), whole(c, "train.batch.length"));
    if (is(c, "train.optimizer.nesterov", "true") && known(c, "train.optimizer.momentum") &&
        real(c, "train.optimizer.momentum") == 0)
        rv_yaml_problem(c->yaml, given(c, "train.optimizer.nesterov", NULL),
                        "train.optimizer.nesterov needs a train.optimizer.momentum above 0");
    if (known(c, "train.lr_scheduler.min_lr") && known(c, "train.optimizer.lr") &&
        real(c, "train.lr_scheduler.min_lr") > real(c, "train.optimizer.lr"))
        rv_yaml_problem(c->yaml, given(c, "train.lr_scheduler.min_lr", NULL),
                        "train.lr_scheduler.min_lr %g is above train.optimizer.lr %g",
                        real(c, "train.lr_scheduler.min_lr"), real(c, "train.optimizer.lr"));
}

/* Exactly one of the two keys; at: where to say so. */
static void check_one_of(rv_config *c, const char *section, const char *a, const char *b) {
    const rv__value *x = rv__config_value(c, a), *y = rv__config_value(c, b);
    const rv_yaml_node *at = rv__config_value(c, section)->node;
    if (x->node && y->node)
        exclude(c, x, y, "one of them");
    else if (!x->node && !y->node && at && !rv__config_value(c, section)->bad)
        rv_yaml_problem(c->yaml, at->key, "%s: missing %s or %s", section, a, b);
}

static void check_rising(rv_config *c, const char *path) {
    const rv__value *v = rv__config_value(c, path);
    for (int i = 1; known(c, path) && i < v->count; i++)
        if (v->reals[i] <= v->reals[i - 1]) {
            if (v->node)
                rv_yaml_problem(c->yaml, v->node, "%s: %s after %s; the numbers must rise", path, v->texts[i],
                                v->texts[i - 1]);
            return;
        }
}

static void check_most(rv_config *c, const char *path, int most) {
    if (known(c, path) && rv__config_value(c, path)->count > most)
        rv_yaml_problem(c->yaml, rv__config_value(c, path)->node, "%s: %d values; at most %d are possible", path,
                        rv__config_value(c, path)->count, most);
}

static void check_compare(rv_config *c) {
    if (!known(c, "compare")) return;
    check_one_of(c, "compare.budget", "compare.budget.train_tokens", "compare.budget.train_steps");
    check_one_of(c, "compare.tune", "compare.tune.train_tokens", "compare.tune.train_steps");
    check_rising(c, "compare.quality.length_bins");
    check_rising(c, "compare.cost.sequence_length");
    check_rising(c, "compare.cost.threads");
    check_most(c, "compare.quality.length_bins", 31);
    check_most(c, "compare.cost.sequence_length", 32);
    check_most(c, "compare.cost.threads", 16);
    if (known(c, "compare.cost.batch") && known(c, "compare.cost.tokens"))
        exclude(c, rv__config_value(c, "compare.cost.batch"), rv__config_value(c, "compare.cost.tokens"),
                "one of them");
    if (!known(c, "compare.budget") && !known(c, "compare.cost") && !rv__config_value(c, "compare.budget")->bad &&
        !rv__config_value(c, "compare.cost")->bad)
        rv_yaml_problem(c->yaml, rv__config_value(c, "compare")->node->key,
                        "compare: nothing to do; give budget (to train), cost (to measure), or both");
}

void rv__config_cross_check(rv_config *c) {
    check_compare(c);
    check_data(c);
    check_model(c);
    check_train(c);
}

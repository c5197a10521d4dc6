/* Relations between keys. Each check speaks only when all that it reads has a value. */
#include <string.h>

#include "train/config_private.h"

static bool known(const rv_config *c, const char *path) {
    const rv__value *v = rv__config_value(c, path);
    return v->has && !v->bad;
}

static bool is(const rv_config *c, const char *path, const char *text) { return known(c, path) && !strcmp(rv__config_value(c, path)->text, text); }

/* The first of the paths that was given, for the position of a message; NULL if none. */
static const rv_yaml_node *given(const rv_config *c, const char *path, const char *other) {
    const rv_yaml_node *n = rv__config_value(c, path)->node;
    return n || !other ? n : rv__config_value(c, other)->node;
}

static double real(const rv_config *c, const char *path) { return rv__config_value(c, path)->real; }
static long long whole(const rv_config *c, const char *path) { return rv__config_value(c, path)->whole; }

static void check_data(rv_config *c) {
    static const char *const ways[] = {"data.dataset", "data.path", "data.train"};
    const rv__value *section = rv__config_value(c, "data"), *first = NULL;
    int n = 0;
    for (int i = 0; i < 3; i++) {
        const rv__value *v = rv__config_value(c, ways[i]);
        if (!v->node && !v->bad) continue;
        if (!first) first = v;
        else rv_yaml_problem(c->yaml, v->node, "%s besides %s; give exactly one of data.dataset, data.path and data.train", ways[i], first->key->path);
        n++;
    }
    if (!n && section->node && !section->bad)
        rv_yaml_problem(c->yaml, section->node->key, "data: missing the text; give one of data.dataset, data.path and data.train");
    if (known(c, "data.train") && !known(c, "data.valid") && !rv__config_value(c, "data.valid")->bad)
        rv_yaml_problem(c->yaml, section->node->key, "data: missing key 'valid' (text file to validate on); it goes with data.train");
}

static void check_model(rv_config *c) {
    if (!known(c, "model.decoder.hidden_size")) return;
    long long hidden = whole(c, "model.decoder.hidden_size");
    bool transformer = is(c, "model.decoder.type", "transformer");
    if (transformer && known(c, "model.decoder.num_heads") && hidden % whole(c, "model.decoder.num_heads"))
        rv_yaml_problem(c->yaml, given(c, "model.decoder.num_heads", NULL), "model.decoder.num_heads %lld does not divide model.decoder.hidden_size %lld",
                        whole(c, "model.decoder.num_heads"), hidden);
    if (!known(c, "model.embedding_dim")) return;
    long long width = whole(c, "model.embedding_dim");
    if (transformer && width != hidden)
        rv_yaml_problem(c->yaml, given(c, "model.embedding_dim", NULL), "model.embedding_dim %lld differs from model.decoder.hidden_size %lld; a transformer needs them equal",
                        width, hidden);
    else if (width != hidden && is(c, "model.tie_embeddings", "true"))
        rv_yaml_problem(c->yaml, given(c, "model.tie_embeddings", NULL), "model.tie_embeddings needs model.embedding_dim %lld equal to model.decoder.hidden_size %lld",
                        width, hidden);
    if (is(c, "model.position", "sinusoidal") && width % 2)
        rv_yaml_problem(c->yaml, given(c, "model.position", NULL), "model.position sinusoidal needs an even model.embedding_dim, which is %lld", width);
}

static void check_train(rv_config *c) {
    if (known(c, "checkpoint.average_last") && known(c, "checkpoint.keep_last") && whole(c, "checkpoint.average_last") > whole(c, "checkpoint.keep_last"))
        rv_yaml_problem(c->yaml, given(c, "checkpoint.average_last", "checkpoint.keep_last"),
                        "checkpoint.average_last %lld is more than checkpoint.keep_last %lld keeps", whole(c, "checkpoint.average_last"),
                        whole(c, "checkpoint.keep_last"));
    if (is(c, "train.batch.sampling", "contiguous") && is(c, "model.decoder.type", "transformer"))
        rv_yaml_problem(c->yaml, given(c, "train.batch.sampling", NULL), "train.batch.sampling contiguous carries a recurrent state, which a transformer has not; use random or shuffled");
    if (is(c, "train.batch.type", "tokens") && known(c, "train.batch.size") && known(c, "train.batch.length") &&
        whole(c, "train.batch.size") < whole(c, "train.batch.length"))
        rv_yaml_problem(c->yaml, given(c, "train.batch.size", NULL), "train.batch.size %lld tokens do not hold one sequence of train.batch.length %lld",
                        whole(c, "train.batch.size"), whole(c, "train.batch.length"));
    if (is(c, "train.optimizer.nesterov", "true") && known(c, "train.optimizer.momentum") && real(c, "train.optimizer.momentum") == 0)
        rv_yaml_problem(c->yaml, given(c, "train.optimizer.nesterov", NULL), "train.optimizer.nesterov needs a train.optimizer.momentum above 0");
    if (known(c, "train.lr_scheduler.total_steps") && known(c, "train.lr_scheduler.warmup_steps") && whole(c, "train.max_steps") > 0 &&
        whole(c, "train.lr_scheduler.warmup_steps") >= whole(c, "train.lr_scheduler.total_steps"))
        rv_yaml_problem(c->yaml, given(c, "train.lr_scheduler.warmup_steps", "train.lr_scheduler.total_steps"),
                        "train.lr_scheduler.warmup_steps %lld is not below total_steps %lld; nothing would be left after the warm-up",
                        whole(c, "train.lr_scheduler.warmup_steps"), whole(c, "train.lr_scheduler.total_steps"));
    if (known(c, "train.lr_scheduler.min_lr") && known(c, "train.optimizer.lr") && real(c, "train.lr_scheduler.min_lr") > real(c, "train.optimizer.lr"))
        rv_yaml_problem(c->yaml, given(c, "train.lr_scheduler.min_lr", NULL), "train.lr_scheduler.min_lr %g is above train.optimizer.lr %g",
                        real(c, "train.lr_scheduler.min_lr"), real(c, "train.optimizer.lr"));
}

void rv__config_cross_check(rv_config *c) {
    check_data(c);
    check_model(c);
    check_train(c);
}

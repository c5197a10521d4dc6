/* Matching of widths on sizes that can be computed by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "compare/compare_private.h"

#define HEAD "name: m\ntask: translation\ndata: {dataset: dates}\ntokenizer: {type: char}\n"
#define TAIL "train:\n  batch: {size: 100}\n  max_steps: 10\n  optimizer: {type: adam, lr: 1e-3}\n  validate_every: 5\n"
static const char recurrent[] = HEAD "model:\n  encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 32}\n  "
                                     "decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 64}\n"
                                     "  attention: {type: bahdanau, size: 16}\n  embedding_dim: 24\n" TAIL;
static const char transformer[] =
    HEAD "model:\n  encoder: {type: transformer, num_layers: 1, num_heads: 8, hidden_size: 64, ff_size: 128}\n"
         "  decoder: {type: transformer, num_layers: 1, num_heads: 8, hidden_size: 64}\n  embedding_dim: 64\n" TAIL;

static rv_config *parse(const char *text, int n, const char *const *overrides) {
    rv_config *c = NULL;
    cr_assert_eq(rv_config_parse("m.yaml", text, strlen(text), n, overrides, &c), RV_OK, "%s", rv_error_message());
    return c;
}

static int64_t get(const rv__widths *w, const char *key) {
    for (int i = 0; i < w->n; i++)
        if (!strcmp(w->key[i], key)) return w->width[i];
    return -1;
}

/* As parameters grow: squares of the states' widths, and products with those beside them. */
static rv_status quadratic(void *calls, const rv__widths *w, double *value) {
    double e = (double)get(w, "model.encoder.hidden_size"), d = (double)get(w, "model.decoder.hidden_size"),
           a = (double)get(w, "model.attention.size");
    int64_t fe = get(w, "model.encoder.ff_size"), fd = get(w, "model.decoder.ff_size");
    *value = e * e + d * d + (a > 0 ? a * (e + d) : 0) + e * (double)(fe > 0 ? fe : 0) +
             d * (double)(fd > 0 ? fd : 4 * (int64_t)d);
    (*(int *)calls)++;
    return RV_OK;
}

/* Ratios of the file are kept as far as whole numbers go. */
Test(match, recurrent_keeps_its_proportions) {
    rv_config *c = parse(recurrent, 0, NULL);
    for (double target = 2e3; target < 2e7; target *= 3) {
        rv__widths w;
        double value;
        int calls = 0;
        cr_assert_eq(rv__match_widths(c, target, 0.02, quadratic, &calls, &w, &value), RV_OK);
        cr_expect_lt(fabs(value / target - 1), 0.02, "target %g: %g", target, value);
        double e = (double)get(&w, "model.encoder.hidden_size"), d = (double)get(&w, "model.decoder.hidden_size");
        if (e > 40) cr_expect_float_eq(d / e, 2, 0.06);
        cr_expect_eq(get(&w, "model.embedding_dim"), -1, "an embedding of its own width stays");
        cr_expect_lt(calls, 90);
    }
    rv_config_destroy(c);
}

/* Heads divide the width, both sides and the embedding are as wide; the feed-forward part makes up for the coarse
 * steps. */
Test(match, transformer_keeps_its_relations) {
    rv_config *c = parse(transformer, 0, NULL);
    for (double target = 1e4; target < 1e7; target *= 2.3) {
        rv__widths w;
        double value;
        int calls = 0;
        cr_assert_eq(rv__match_widths(c, target, 0.01, quadratic, &calls, &w, &value), RV_OK);
        int64_t e = get(&w, "model.encoder.hidden_size");
        cr_expect_eq(e % 8, 0);
        cr_expect_eq(get(&w, "model.decoder.hidden_size"), e);
        cr_expect_eq(get(&w, "model.embedding_dim"), e);
        cr_expect_lt(fabs(value / target - 1), 0.01, "target %g: %g", target, value);
    }
    rv_config_destroy(c);
}

/* Within the tolerance is not yet the nearest: where nothing is measured, the search goes on. */
Test(match, takes_the_nearest) {
    rv_config *c = parse(transformer, 0, NULL);
    for (double target = 1e5; target < 1e7; target *= 2.3) {
        rv__widths w;
        double first, nearest;
        int calls = 0;
        cr_assert_eq(rv__match_widths(c, target, 0.05, quadratic, &calls, &w, &first), RV_OK);
        cr_assert_eq(rv__match_widths(c, target, 0, quadratic, &calls, &w, &nearest), RV_OK);
        cr_expect_leq(fabs(nearest / target - 1), fabs(first / target - 1));
        cr_expect_lt(fabs(nearest / target - 1), 0.004, "target %g: %g, first %g", target, nearest, first);
    }
    rv_config_destroy(c);
}

/* What asks the decoder's state to be as wide as what the encoder gives. */
Test(match, relations_between_states) {
    static const char *const copy[] = {"model.bridge=copy", "model.attention=!replace {type: none}",
                                       "model.encoder.hidden_size=33", "model.decoder.hidden_size=66"};
    rv_config *c = parse(recurrent, 4, copy);
    rv__widths w;
    double value;
    int calls = 0;
    cr_assert_eq(rv__match_widths(c, 123456, 0.02, quadratic, &calls, &w, &value), RV_OK);
    cr_expect_eq(get(&w, "model.decoder.hidden_size"), 2 * get(&w, "model.encoder.hidden_size"));
    rv_config_destroy(c);
    static const char *const tied[] = {"model.tie_embeddings=decoder", "model.readout=state", "model.embedding_dim=64"};
    c = parse(recurrent, 3, tied);
    cr_assert_eq(rv__match_widths(c, 123456, 0.02, quadratic, &calls, &w, &value), RV_OK);
    cr_expect_eq(get(&w, "model.embedding_dim"), get(&w, "model.decoder.hidden_size"));
    rv_config_destroy(c);
}

static rv_status constant(void *ctx, const rv__widths *w, double *value) {
    *value = *(double *)ctx;
    return RV_OK;
}

/* No width helps: the search ends, and says how near it came. */
Test(match, unreachable) {
    rv_config *c = parse(transformer, 0, NULL);
    rv__widths w;
    double value, size = 5;
    cr_assert_eq(rv__match_widths(c, 10, 0.02, constant, &size, &w, &value), RV_OK);
    cr_expect_eq(value, 5);
    cr_expect_gt(w.n, 0);
    size = 50;
    cr_assert_eq(rv__match_widths(c, 10, 0.02, constant, &size, &w, &value), RV_OK);
    cr_expect_eq(value, 50);
    rv_config_destroy(c);
}

Test(match, widths_of_a_file) {
    rv_config *c = parse(recurrent, 0, NULL);
    rv__widths w;
    rv__widths_of(c, &w);
    cr_expect_eq(w.n, 3);
    cr_expect_eq(get(&w, "model.encoder.hidden_size"), 32);
    cr_expect_eq(get(&w, "model.attention.size"), 16);
    rv_config_destroy(c);
}

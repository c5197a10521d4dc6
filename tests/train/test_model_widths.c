/* Which keys are widths of a model, and how they follow each other. */
#include <criterion/criterion.h>
#include <string.h>

#include "ravel.h"
#include "train/model_config.h"

#define TRAIN "train: {batch: {size: 4%s}, max_steps: 2, optimizer: {type: adam, lr: 1e-3}, validate_every: 2}\n"
#define TEXT "name: a\ndata: {path: x.txt}\n"
#define PAIRS "name: a\ntask: translation\ndata: {train: x, valid: y}\ntokenizer: {type: char}\n"
#define NUMBERS "name: a\ntask: regression\ndata: {generator: adding}\n"
#define TAGS "name: a\ntask: tagging\ndata: {path: x}\n"
#define RNN(n) "{type: rnn, cell: gru, num_layers: 1, hidden_size: " #n "}"
#define BLOCKS(n, heads) "{type: transformer, num_layers: 1, num_heads: " #heads ", hidden_size: " #n "}"

enum { MOST = 5 };
/* What is not said of a width is 0; follows is the leader's place + 1 here, unit 0 stands for 1. */
static const struct {
    const char *task, *model;
    struct {
        const char *key;
        int64_t base, unit, times;
        int follows;
        bool fine, beside; /* `beside`: not in the file */
    } w[MOST];
} cases[] = {
    {TEXT, "{decoder: " RNN(64) ", embedding_dim: 24}", {{"model.decoder.hidden_size", 64}}},
    {TEXT,
     "{decoder: " RNN(64) ", embedding_dim: 64, tie_embeddings: true}",
     {{"model.decoder.hidden_size", 64}, {"model.embedding_dim", 64, .follows = 1, .times = 1}}},
    {TEXT,
     "{decoder: " BLOCKS(48, 3) ", position: learned}",
     {{"model.decoder.hidden_size", 48, 3}, {"model.decoder.ff_size", 192, .fine = true, .beside = true}}},
    {TEXT,
     "{decoder: " BLOCKS(48, 3) ", position: sinusoidal}", /* sines and cosines come in pairs */
     {{"model.decoder.hidden_size", 48, 6}, {"model.decoder.ff_size", 192, .fine = true, .beside = true}}},
    {PAIRS,
     "{encoder: " RNN(16) ", decoder: " RNN(32) ", attention: {type: bahdanau, size: 12}, embedding_dim: 24}",
     {{"model.encoder.hidden_size", 16},
      {"model.decoder.hidden_size", 32, .fine = true},
      {"model.attention.size", 12, .fine = true}}},
    {PAIRS,
     "{encoder: " RNN(16) ", decoder: " RNN(32) ", attention: {type: luong, score: dot}, embedding_dim: 24}",
     {{"model.encoder.hidden_size", 16}, {"model.decoder.hidden_size", 32, .follows = 1, .times = 2}}},
    {PAIRS,
     "{encoder: " BLOCKS(48, 4) ", decoder: " BLOCKS(48, 6) ", embedding_dim: 48}",
     {{"model.encoder.hidden_size", 48, 12}, /* heads of both divide it */
      {"model.decoder.hidden_size", 48, 12, .follows = 1, .times = 1},
      {"model.embedding_dim", 48, .follows = 1, .times = 1},
      {"model.encoder.ff_size", 192, .fine = true, .beside = true},
      {"model.decoder.ff_size", 192, .fine = true, .beside = true}}},
    {NUMBERS,
     "{encoder: " RNN(16) ", pooling: attention, pooling_size: 20}",
     {{"model.encoder.hidden_size", 16}, {"model.pooling_size", 20, .fine = true}}},
    {NUMBERS,
     "{encoder: " RNN(16) ", pooling: attention}", /* by itself as wide as a state, of both directions */
     {{"model.encoder.hidden_size", 16}, {"model.pooling_size", 16, .fine = true, .beside = true}}},
    {TAGS,
     "{encoder: " RNN(16) ", embedding_dim: 24, letters: {type: lstm, hidden_size: 10}, crf: true}",
     {{"model.encoder.hidden_size", 16}, {"model.letters.hidden_size", 10, .fine = true}}},
    {TAGS,
     "{encoder: " BLOCKS(48, 3) ", letters: {type: cnn}}", /* a default of its own */
     {{"model.encoder.hidden_size", 48, 6},
      {"model.encoder.ff_size", 192, .fine = true, .beside = true},
      {"model.letters.hidden_size", 30, .fine = true, .beside = true}}},
    {TAGS,
     "{encoder: {type: none}, letters: {type: lstm, hidden_size: 10}}", /* all that can be scaled */
     {{"model.letters.hidden_size", 10}}},
    {TAGS, "{encoder: {type: none}, crf: true}", {{0}}},
    {TAGS, "{hmm: true}", {{0}}},
};

Test(model_widths, and_how_they_follow) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        rv_config *c;
        rv_model_width w[RV_MODEL_WIDTHS];
        const char *length = strcmp(cases[i].task, TEXT) ? "" : ", length: 6";
        int n = snprintf(text, sizeof text, "%smodel: %s\n" TRAIN, cases[i].task, cases[i].model, length);
        if (strstr(cases[i].model, "hmm")) *strstr(text, "train:") = 0, n = (int)strlen(text);
        cr_assert_eq(rv_config_parse("m.yaml", text, (size_t)n, 0, NULL, &c), RV_OK, "%s", rv_error_message());
        n = rv_model_widths(c, w);
        for (int k = 0; k < MOST && cases[i].w[k].key; k++) {
            cr_assert_lt(k, n, "case %zu: no %s", i, cases[i].w[k].key);
            cr_expect_str_eq(w[k].key, cases[i].w[k].key, "case %zu", i);
            cr_expect_eq(w[k].base, cases[i].w[k].base, "case %zu, %s: %lld", i, w[k].key, (long long)w[k].base);
            const int64_t unit = cases[i].w[k].unit ? cases[i].w[k].unit : 1;
            cr_expect_eq(w[k].unit, unit, "case %zu, %s: in steps of %lld", i, w[k].key, (long long)w[k].unit);
            cr_expect_eq(w[k].follows, cases[i].w[k].follows - 1, "case %zu, %s: %d", i, w[k].key, w[k].follows);
            if (w[k].follows >= 0) cr_expect_eq(w[k].times, cases[i].w[k].times, "case %zu, %s", i, w[k].key);
            cr_expect_eq(w[k].fine, cases[i].w[k].fine, "case %zu, %s", i, w[k].key);
            cr_expect_eq(w[k].given, !cases[i].w[k].beside, "case %zu, %s", i, w[k].key);
        }
        int want = 0;
        while (want < MOST && cases[i].w[want].key) want++;
        cr_expect_eq(n, want, "case %zu: %d widths, the last is %s", i, n, n ? w[n - 1].key : "none");
        rv_config_destroy(c);
    }
}

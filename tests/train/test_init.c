/* init: parts of trained models that another one begins with. */
#define _GNU_SOURCE /* nftw */
#include <criterion/criterion.h>
#include <ftw.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ravel.h"
#include "train/parts.h"

static char folder[64], before[4096];

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *f) {
    (void)s, (void)type, (void)f;
    return remove(path);
}
static void remove_tree(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* Words of `letters` and the same backwards. */
static void write_pairs(const char *path, const char *letters) {
    rv_rng rng = rv_rng_make(5, path, 0);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 60; i++) {
        char word[16];
        int n = 2 + (int)rv_rng_below(&rng, 7);
        for (int j = 0; j < n; j++) word[j] = letters[rv_rng_below(&rng, (uint32_t)strlen(letters))];
        fprintf(f, "%.*s\t", n, word);
        for (int j = n; j-- > 0;) fputc(word[j], f);
        fputc('\n', f);
    }
    fclose(f);
}

static void setup(void) {
    rv_log_set_level(RV_LOG_QUIET);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    strcpy(folder, "/tmp/ravel-test-XXXXXX");
    cr_assert(mkdtemp(folder) && getcwd(before, sizeof before) && chdir(folder) == 0);
    write_pairs("pairs", "abcdefgh");
    write_pairs("others", "abcdefgi");
}
static void teardown(void) {
    cr_assert(chdir(before) == 0);
    remove_tree(folder);
}
TestSuite(init, .init = setup, .fini = teardown, .timeout = 300);

#define TRANSFORMER "{type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}"
static const char plain[] = "{encoder: " TRANSFORMER ", decoder: " TRANSFORMER ", position: learned}",
                  tied[] = "{encoder: " TRANSFORMER ", decoder: " TRANSFORMER ", tie_embeddings: all}",
                  other[] = "{encoder: " TRANSFORMER ", decoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: "
                            "16}, attention: {type: bahdanau}, embedding_dim: 24, position: learned}",
                  lstm[] = "{encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 10}, decoder: {type: rnn, "
                           "cell: lstm, num_layers: 1, hidden_size: 20}, context: first_step, embedding_dim: 12}";

/* An experiment as a text: `more` are whole lines of it. Runs whose names begin alike have the same seed. */
static const char *text_of(const char *run, const char *model, const char *more, int steps) {
    static char text[4096];
    snprintf(text, sizeof text,
             "name: test\nseed: %d\n%s\nmodel: %s\ncheckpoint: {dir: %s, every: 1, keep_last: 9}\nruntime: {threads: "
             "1}\ntrain: {batch: {size: 90}, max_steps: %d, optimizer: {type: adamw, lr: 1e-2}}\n%s",
             (int)run[0], strstr(more, "task:") ? "" : "task: translation\ntokenizer: {type: char}\nmetrics: [loss]",
             model, run, steps, more);
    return text;
}

static bool stop_at(void *ctx, int64_t step, double loss) {
    (void)loss;
    return step != *(int *)ctx;
}

static rv_status train_until(const char *run, const char *model, const char *more, int steps, int stop) {
    const char *text = text_of(run, model, more, steps);
    rv_config *c;
    rv_train_options options = {.on_step = stop_at, .on_step_ctx = &stop};
    rv_status status = rv_config_parse("test.yaml", text, strlen(text), 0, NULL, &c);
    if (status != RV_OK) return status;
    status = rv_train(c, &options);
    rv_config_destroy(c);
    return status;
}

#define DATA "data: {path: pairs, max_length: 10}\n"
static void train(const char *run, const char *model, const char *more, int steps) {
    cr_assert_eq(train_until(run, model, more, steps, -1), RV_OK, "%s", rv_error_message());
}

static rv_checkpoint *saved(const char *run, int step) {
    char path[256];
    rv_checkpoint *ck;
    snprintf(path, sizeof path, "%s/step-%09d.h5", run, step);
    cr_assert_eq(rv_checkpoint_open(path, &ck), RV_OK, "%s", rv_error_message());
    return ck;
}

static const rv_ck_item *tensor(const rv_checkpoint *ck, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "/model/%s", name);
    const rv_ck_item *it = rv_checkpoint_find(ck, path);
    cr_assert(it, "%s", name);
    return it;
}

/* That `a` begins with the numbers of `b`'s tensor, in all of its rows. */
static bool begins_with(const rv_checkpoint *a, const char *name, const rv_checkpoint *b, const char *from) {
    const rv_ck_item *x = tensor(a, name), *y = tensor(b, from);
    return rv_ck_count(x) <= rv_ck_count(y) && !memcmp(x->data, y->data, (size_t)rv_ck_count(x) * sizeof(float));
}

/* ---- what is taken */

/* An encoder goes to a model with another decoder; there, before step 1, it has the bits that it had. */
Test(init, an_encoder_of_another_model) {
    train("a", plain, DATA, 2);
    train("b", other, DATA "init: [{from: a, take: encoder}]\n", 0);
    train("c", other, DATA, 0);
    rv_checkpoint *a = saved("a", 2), *b = saved("b", 0), *c = saved("c", 0);
    int taken = 0, own = 0;
    for (int i = 0; i < rv_checkpoint_count(b); i++) {
        const char *name = rv_checkpoint_item(b, i)->path + 7;
        if (strncmp(rv_checkpoint_item(b, i)->path, "/model/", 7)) continue;
        const bool encoder = rv__part_has("encoder", name);
        if (encoder) cr_expect(begins_with(b, name, a, name), "%s", name);
        *(encoder ? &taken : &own) += 1;
    }
    cr_expect(taken == 28 && own > 10, "%d and %d", taken, own);
    cr_expect_not(begins_with(c, "encoder.embedding.weight", a, "encoder.embedding.weight"));
    rv_checkpoint_close(a), rv_checkpoint_close(b), rv_checkpoint_close(c);
}

/* A part under another name, a single tensor, and of two entries for one the later. */
Test(init, parts_elsewhere) {
    train("a", plain, DATA, 1);
    train("b", plain,
          DATA "init:\n- {from: a/step-000000001.h5, take: encoder.layers.0, as: encoder.layers.1}\n"
               "- {from: a, take: decoder.layers.1}\n"
               "- {from: a, take: encoder.layers.1.norm1.bias, as: decoder.layers.1.norm1.bias}\n",
          0);
    rv_checkpoint *a = saved("a", 1), *b = saved("b", 0);
    cr_expect(begins_with(b, "encoder.layers.1.linear1.weight", a, "encoder.layers.0.linear1.weight"));
    cr_expect_not(begins_with(b, "encoder.layers.0.linear1.weight", a, "encoder.layers.0.linear1.weight"));
    cr_expect(begins_with(b, "decoder.layers.1.norm1.weight", a, "decoder.layers.1.norm1.weight"));
    cr_expect(begins_with(b, "decoder.layers.1.norm1.bias", a, "encoder.layers.1.norm1.bias"));
    cr_expect_not(begins_with(b, "decoder.layers.1.norm1.bias", a, "decoder.layers.1.norm1.bias"));
    rv_checkpoint_close(a), rv_checkpoint_close(b);
}

/* A language model's recurrence becomes a translation decoder's, and, without take, all that both have. */
Test(init, a_language_models_decoder) {
    static const char lm[] = "{decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 20}, embedding_dim: 12}";
    FILE *f = fopen("text", "w");
    for (int i = 0; i < 900; i++) fputc("ab c\n"[i * i % 5], f);
    fclose(f);
    train("l", lm, "task: language_model\ndata: {path: text}\n", 1);
    train("t", lstm, DATA "init: [{from: l, take: decoder.rnn}]\n", 0);
    train("a", lstm, DATA, 1);
    train("b", lstm, DATA "init: [{from: a}]\n", 0);
    rv_checkpoint *l = saved("l", 1), *t = saved("t", 0), *a = saved("a", 1), *b = saved("b", 0);
    cr_expect(begins_with(t, "decoder.rnn.weight_hh_l0", l, "decoder.rnn.weight_hh_l0"));
    cr_expect(begins_with(t, "decoder.rnn.bias_ih_l0", l, "decoder.rnn.bias_ih_l0"));
    for (int i = 0; i < rv_checkpoint_count(a); i++) {
        const char *name = rv_checkpoint_item(a, i)->path + 7;
        if (!strncmp(rv_checkpoint_item(a, i)->path, "/model/", 7)) cr_expect(begins_with(b, name, a, name));
    }
    rv_checkpoint_close(l), rv_checkpoint_close(t), rv_checkpoint_close(a), rv_checkpoint_close(b);
}

/* A table that several parts share is found under each of its names, and found a place under its own one first. */
Test(init, shared_tables) {
    static const char table[] = "decoder.embedding.weight";
    train("t", tied, DATA, 1);
    train("a", plain, DATA, 1);
    train("b", plain, DATA "init: [{from: t, take: head.weight}, {from: t, take: encoder.embedding}]\n", 0);
    train("c", plain, DATA "init: [{from: t, take: head}]\n", 0);
    train("d", tied, DATA "init: [{from: a, take: decoder}]\n", 0);
    train("e", tied, DATA "init: [{from: a, take: encoder.embedding}]\n", 0);
    train("f", tied, DATA "init: [{from: a}]\n", 0);
    train("g", tied, DATA "init: [{from: t, take: head}]\n", 0);
    rv_checkpoint *t = saved("t", 1), *a = saved("a", 1), *b = saved("b", 0), *c = saved("c", 0), *d = saved("d", 0),
                  *e = saved("e", 0), *f = saved("f", 0), *g = saved("g", 0);
    cr_expect(begins_with(b, "head.weight", t, table) && begins_with(b, "encoder.embedding.weight", t, table));
    cr_expect_not(begins_with(b, table, t, table) || begins_with(b, "head.bias", t, "head.bias"));
    cr_expect(begins_with(c, "head.weight", t, table) && begins_with(c, "head.bias", t, "head.bias"));
    cr_expect(begins_with(d, table, a, table) && begins_with(f, table, a, table) && begins_with(g, table, t, table));
    cr_expect(begins_with(e, table, a, "encoder.embedding.weight"));
    rv_checkpoint *all[] = {t, a, b, c, d, e, f, g};
    for (int i = 0; i < 8; i++) rv_checkpoint_close(all[i]);
}

/* Of a longer table of positions the first rows. */
Test(init, positions) {
    train("a", plain, "data: {path: pairs, max_length: 20}\n", 1);
    train("b", plain, DATA "init: [{from: a, take: encoder.position}, {from: a, take: decoder.position}]\n", 0);
    rv_checkpoint *a = saved("a", 1), *b = saved("b", 0);
    cr_expect(begins_with(b, "encoder.position.weight", a, "encoder.position.weight"));
    cr_expect(begins_with(b, "decoder.position.weight", a, "decoder.position.weight"));
    cr_expect_eq(tensor(a, "encoder.position.weight")->dim[0] - tensor(b, "encoder.position.weight")->dim[0], 10);
    rv_checkpoint_close(a), rv_checkpoint_close(b);
}

/* ---- files of other programs */

static void write_tensor(hid_t file, const char *name, hid_t stored, hid_t memory, int ndim, const hsize_t *dim,
                         hid_t dcpl, const void *x) {
    hid_t space = H5Screate_simple(ndim, dim, NULL), lcpl = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(lcpl, 1);
    hid_t set = H5Dcreate2(file, name, stored, space, lcpl, dcpl, H5P_DEFAULT);
    cr_assert(set >= 0 && H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(set), H5Sclose(space), H5Pclose(lcpl);
}

static double weight[4][12], bias[4];

/* As h5py writes what PyTorch has, and then some. */
static void write_foreign(void) {
    hid_t f = H5Fcreate("torch.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), p = H5Pcreate(H5P_DATASET_CREATE);
    for (int i = 0; i < 48; i++) weight[i / 12][i % 12] = i * 0.1;
    for (int i = 0; i < 4; i++) bias[i] = -i * 0.3;
    H5Pset_chunk(p, 1, (hsize_t[]){2});
    const hsize_t wide[] = {4, 12}, rows[] = {4};
    const hid_t memory = H5T_NATIVE_DOUBLE;
    write_tensor(f, "/model/encoder.rnn.weight_ih_l0", H5T_IEEE_F64LE, memory, 2, wide, H5P_DEFAULT, weight);
    write_tensor(f, "/model/encoder.rnn.bias_ih_l0", H5T_IEEE_F32LE, memory, 1, rows, H5P_DEFAULT, bias);
    write_tensor(f, "/model/lstm.weight_ih_l0", H5T_IEEE_F32LE, memory, 2, wide, H5P_DEFAULT, weight);
    write_tensor(f, "/model/whole.weight_ih_l0", H5T_STD_I64LE, memory, 2, wide, H5P_DEFAULT, weight);
    write_tensor(f, "/model/chunked.bias_ih_l0", H5T_IEEE_F32LE, memory, 1, rows, p, bias);
    bias[2] = 1e300; /* no float */
    write_tensor(f, "/model/large.bias_ih_l0", H5T_IEEE_F64LE, memory, 1, rows, H5P_DEFAULT, bias);
    bias[2] = -2 * 0.3;
    write_tensor(f, "/optimizer/anything", H5T_IEEE_F32LE, memory, 1, rows, H5P_DEFAULT, bias);
    H5Pclose(p), H5Fclose(f);
}

static const char narrow[] = "{encoder: {type: rnn, cell: rnn, bidirectional: false, num_layers: 1, hidden_size: 4}, "
                             "decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 20}, embedding_dim: 12}";

static void holds(const char *run, const char *name, int n, const double *want) {
    rv_checkpoint *ck = saved(run, 0);
    const float *got = tensor(ck, name)->data;
    for (int i = 0; i < n; i++) cr_expect_eq(got[i], (float)want[i], "%s: %g, not %g", name, (double)got[i], want[i]);
    rv_checkpoint_close(ck);
}

Test(init, a_file_of_another_programs) {
    write_foreign();
    train("a", narrow, DATA "init: [{from: torch.h5, take: encoder}]\n", 0);
    holds("a", "encoder.rnn.weight_ih_l0", 48, weight[0]);
    holds("a", "encoder.rnn.bias_ih_l0", 4, bias);
    train("b", narrow, DATA "init: [{from: torch.h5, take: lstm, as: encoder.rnn}]\n", 0);
    holds("b", "encoder.rnn.weight_ih_l0", 48, weight[0]);
}

/* Names without a beginning in common can be given one. */
Test(init, bare_names) {
    hid_t f = H5Fcreate("bare.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const double x[4] = {1, 2, 3, 4};
    write_tensor(f, "/model/bias_hh_l0", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, 1, (hsize_t[]){4}, H5P_DEFAULT, x);
    H5Fclose(f);
    train("a", narrow, DATA "init: [{from: bare.h5, as: encoder.rnn}]\n", 0);
    holds("a", "encoder.rnn.bias_hh_l0", 4, x);
}

/* ---- resume */

#define BOTH DATA "init: [{from: a, take: encoder}]\n"
static const char frozen[] = BOTH "train: {batch: {size: 90}, max_steps: 6, optimizer: {type: adamw, lr: 1e-2}, "
                                  "freeze: [encoder.layers.0, encoder.embedding]}\n";

/* The same text without its own train section. */
static rv_status train_frozen(const char *run, int stop) {
    char text[4096];
    snprintf(text, sizeof text, "%s", text_of(run, other, frozen, 6));
    char *own = strstr(text, "train: {"), *end = strchr(own, '\n') + 1;
    memmove(own, end, strlen(end) + 1);
    rv_config *c;
    cr_assert_eq(rv_config_parse("test.yaml", text, strlen(text), 0, NULL, &c), RV_OK, "%s\n%s", rv_error_message(),
                 text);
    rv_train_options options = {.on_step = stop_at, .on_step_ctx = &stop};
    rv_status status = rv_train(c, &options);
    rv_config_destroy(c);
    return status;
}

/* Bit for bit, though what was taken from is gone: it is not looked at, let alone taken again. */
Test(init, resume_is_exact) {
    train("a", plain, DATA, 2);
    cr_assert_eq(train_frozen("run", -1), RV_OK, "%s", rv_error_message());
    cr_assert_eq(train_frozen("resumed", 3), RV_ETERM);
    remove_tree("a");
    cr_assert_eq(train_frozen("resumed", -1), RV_OK, "%s", rv_error_message());
    rv_checkpoint *x = saved("run", 6), *y = saved("resumed", 6), *first = saved("run", 1);
    cr_expect_str_eq(rv_checkpoint_state_hash(x), rv_checkpoint_state_hash(y));
    cr_expect(begins_with(x, "encoder.layers.0.linear1.weight", first, "encoder.layers.0.linear1.weight"));
    cr_expect_not(begins_with(x, "encoder.layers.1.linear1.weight", first, "encoder.layers.1.linear1.weight"));
    rv_checkpoint_close(x), rv_checkpoint_close(y), rv_checkpoint_close(first);
}

/* Another beginning is another run; where it was taken from may have moved. */
Test(init, a_run_keeps_its_beginning) {
    train("a", plain, DATA, 1);
    train("b", other, DATA "init: [{from: a, take: encoder}]\n", 1);
    cr_assert(rename("a", "moved") == 0);
    train("b", other, DATA "init: [{take: encoder, from: moved}]\n", 2);
    static const char *const changed[] = {"", "init: [{from: moved, take: encoder.layers.0}]\n",
                                          "init: [{from: moved, take: encoder}, {from: moved, take: head.bias}]\n"};
    for (int i = 0; i < 3; i++) {
        char more[256];
        snprintf(more, sizeof more, DATA "%s", changed[i]);
        cr_expect_eq(train_until("b", other, more, 3, -1), RV_ECKPT);
        const char *says = i ? "was trained with init.take [encoder] (the experiment says "
                             : "began with parts of trained models (init), which are now left out";
        cr_expect(strstr(rv_error_message(), says), "%s", rv_error_message());
        cr_expect(strstr(rv_error_message(), i ? "put the experiment back" : "put init back"), "%s",
                  rv_error_message());
    }
}

/* ---- mistakes */

static void damage(const char *path) {
    FILE *f = fopen(path, "r+");
    cr_assert(f && fseek(f, -100, SEEK_END) == 0);
    fputc('x', f);
    fclose(f);
}

static void fails(const char *model, const char *data, const char *init, rv_status code, const char *want) {
    char more[1024], where[2048];
    snprintf(more, sizeof more, "%sinit: [%s]\n", data, init);
    snprintf(where, sizeof where, "test.yaml:11:8: init: %s", want);
    remove_tree("z");
    cr_expect_eq(train_until("z", model, more, 0, -1), code, "%s", init);
    cr_expect_str_eq(rv_error_message(), where);
}

/* An output layer of classes goes with the classes, whatever the vocabulary is. */
Test(init, an_output_layer_of_classes) {
    static const char classifier[] = "{encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 8}, pooling: mean}";
    static const struct {
        const char *name, *words, *labels[2];
    } files[] = {{"one", "abc", {"x", "y"}}, {"two", "defg", {"x", "y"}}, {"three", "abc", {"x", "z"}}};
    char more[3][256];
    for (int k = 0; k < 3; k++) {
        FILE *f = fopen(files[k].name, "w");
        for (int i = 0; i < 60; i++)
            fprintf(f, "%c %c\t%s\n", files[k].words[i % 3], files[k].words[i % (int)strlen(files[k].words)],
                    files[k].labels[i % 2]);
        fclose(f);
        snprintf(more[k], sizeof more[k], "task: classification\nmetrics: [loss]\ndata: {path: %s}\n", files[k].name);
    }
    train("a", classifier, more[0], 1);
    strcat(more[1], "init: [{from: a, take: head}]\n");
    train("b", classifier, more[1], 0);
    rv_checkpoint *a = saved("a", 1), *b = saved("b", 0);
    cr_expect(begins_with(b, "head.weight", a, "head.weight") && begins_with(b, "head.bias", a, "head.bias"));
    rv_checkpoint_close(a), rv_checkpoint_close(b);
    fails(classifier, more[2], "{from: a, take: head}", RV_ECKPT,
          "a/best.h5: head.weight is of other classes than this run's; take parts without the output layer");
    fails(classifier, "task: classification\nmetrics: [loss]\ndata: {path: two}\n",
          "{from: a, take: encoder.embedding}", RV_ECKPT,
          "a/best.h5: encoder.embedding.weight is of another vocabulary than this run's (vocab, from line 1 on); with "
          "tokenizer.from a this run has the same one, or take parts without embeddings and output layer");
}

Test(init, mistakes) {
    train("a", plain, DATA, 1);
    train("broken", plain, DATA, 2);
    train("p", plain, "data: {path: pairs, max_length: 8}\n", 0);
    damage("broken/step-000000002.h5");
    write_foreign();
    cr_assert(mkdir("empty", 0700) == 0);
    fails(plain, DATA, "{from: b, take: encoder}", RV_ECKPT,
          "b: there is no such run or checkpoint; train first: ravel train EXPERIMENT.yaml");
    fails(plain, DATA, "{from: empty, take: encoder}", RV_ECKPT,
          "empty holds no checkpoint; train first: ravel train EXPERIMENT");
    fails(plain, DATA, "{from: a, take: encoder.layer.0}", RV_EUSAGE,
          "a/best.h5 has no part 'encoder.layer.0'; did you mean 'encoder.layers.0'? There are: encoder.embedding, "
          "encoder.layers, encoder.norm, encoder.position");
    fails(plain, DATA, "{from: a, take: encoder, as: coder}", RV_EUSAGE,
          "this model has no part 'coder'; did you mean 'decoder'? There are: decoder, head, encoder");
    fails(plain, DATA, "{from: a, take: head, as: encoder.norm}", RV_ECKPT,
          "a/best.h5: head.weight is of shape (12, 24), and this model's encoder.norm.weight (24): make the model as "
          "wide as that one, or take other parts");
    fails(plain, DATA, "{from: a, take: encoder.layers.0.self_attn, as: decoder.norm}", RV_EUSAGE,
          "nothing of a/best.h5's encoder.layers.0.self_attn has a place in this model's decoder.norm: there is "
          "encoder.layers.0.self_attn.in_proj_bias, encoder.layers.0.self_attn.in_proj_weight, "
          "encoder.layers.0.self_attn.out_proj.bias, encoder.layers.0.self_attn.out_proj.weight, and here "
          "decoder.norm.weight, decoder.norm.bias");
    fails(narrow, DATA, "{from: a, take: encoder.embedding}", RV_ECKPT,
          "a/best.h5: encoder.embedding.weight is of shape (12, 24), and this model's encoder.embedding.weight (12, "
          "12): make the model as wide as that one, or take other parts");
    fails(plain, DATA, "{from: p, take: encoder.position}", RV_ECKPT,
          "p/best.h5: encoder.position.weight has 9 positions, and this model has 11: make its sentences or "
          "sequences shorter (data.max_length, train.batch.length), or take parts without it");
    fails(plain, "data: {path: others, max_length: 10}\n", "{from: a}", RV_ECKPT,
          "a/best.h5: decoder.embedding.weight is of another vocabulary than this run's (vocab, from line 13 on); with "
          "tokenizer.from a this run has the same one, or take parts without embeddings and output layer");
    fails(plain, "data: {path: others, max_length: 10}\n", "{from: a, take: head.bias}", RV_ECKPT,
          "a/best.h5: head.bias is of another vocabulary than this run's (vocab, from line 13 on); with "
          "tokenizer.from a this run has the same one, or take parts without embeddings and output layer");
    fails(narrow, DATA, "{from: torch.h5, take: whole, as: encoder.rnn}", RV_ECKPT,
          "torch.h5: '/model/whole.weight_ih_l0' is neither float32 nor float64, little-endian: convert it before "
          "writing it");
    fails(narrow, DATA, "{from: torch.h5, take: chunked, as: encoder.rnn}", RV_ECKPT,
          "torch.h5: '/model/chunked.bias_ih_l0' is chunked, compressed, virtual or in another file: write it in one "
          "piece, uncompressed");
    fails(narrow, DATA, "{from: torch.h5, take: large, as: encoder.rnn}", RV_ECKPT,
          "torch.h5: large.bias_ih_l0 has a number that is not finite (element 2): take another checkpoint");
    fails(narrow, DATA, "{from: torch.h5, take: rnn}", RV_EUSAGE,
          "torch.h5 has no part 'rnn'; there are: chunked, encoder, large, lstm, whole");
    fails(narrow, DATA, "{from: pairs, take: encoder}", RV_ECKPT,
          "pairs: not a checkpoint of ravel's (or its first bytes are damaged)");
    fails(plain, DATA, "{from: broken}", RV_ECKPT,
          "broken/best.h5: damaged: its bytes do not give the hash that it was written with; if you changed it on "
          "purpose, 'ravel ckpt seal' makes a checkpoint of it; to use the latest good checkpoint instead, name it: "
          "broken/step-000000001.h5");
}

/* A file that begins like HDF5 and is nothing else. */
Test(init, a_foreign_file_that_is_damaged) {
    write_foreign();
    cr_assert(truncate("torch.h5", 1000) == 0);
    fails(narrow, DATA, "{from: torch.h5, take: encoder}", RV_ECKPT,
          "torch.h5: libhdf5 cannot open it: it is no HDF5 file, or damaged");
}

/* ---- the key */

Test(init, entries_are_checked) {
    static const char *const wrong[][2] = {
        {"init: a\n", "test.yaml:11:7: init: expected a list of {from: RUN, take: PART, as: PART}, got 'a'"},
        {"init: []\n", "test.yaml:11:7: init: expected a list of {from: RUN, take: PART, as: PART}, got an empty list"},
        {"init: {from: a}\n", "test.yaml:11:7: init: expected a list of {from: RUN, take: PART, as: PART}, got a map"},
        {"init: [a]\n", "test.yaml:11:8: init: expected a list of {from: RUN, take: PART, as: PART}, got 'a'"},
        {"init:\n- {form: a}\n",
         "test.yaml:12:3: init.from is missing: a path (a run's folder (its best checkpoint, or else "
         "the latest), a checkpoint, or any HDF5 file with float32 or float64 tensors /model/NAME, made by PyTorch and "
         "h5py for example; relative to the working directory, or else to this file)\ntest.yaml:12:4: unknown key "
         "'form' in init; did you mean 'from'?"},
        {"init: [{from: a, take: a/b}]\n", "test.yaml:11:24: init.take: expected a name of letters, digits, '.', '_' "
                                           "and '-', got 'a/b'"},
        {"init: [{from: a, take: [x]}]\n", "test.yaml:11:24: init.take: expected a name of letters, digits, '.', '_' "
                                           "and '-', got a list"},
        {"init: [{from: ''}]\n", "test.yaml:11:15: init.from: expected a path, got an empty text"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char more[256];
        snprintf(more, sizeof more, DATA "%s", wrong[i][0]);
        cr_expect_eq(train_until("z", plain, more, 0, -1), RV_EUSAGE);
        cr_expect_str_eq(rv_error_message(), wrong[i][1]);
    }
}

/* Printed and read again it is the same; what stands beside the file is found, unless an assignment names it. */
Test(init, text_and_paths) {
    cr_assert(mkdir("sub", 0700) == 0 && mkdir("sub/there", 0700) == 0 && mkdir("here", 0700) == 0);
    FILE *f = fopen("sub/exp.yaml", "w");
    fputs(text_of("z", plain, DATA "init: [{as: x, from: there, take: null}, {from: here}, {from: absent}]\n", 1), f);
    fclose(f);
    rv_config *c, *d;
    cr_assert_eq(rv_config_load_experiment("sub/exp.yaml", 0, NULL, &c), RV_OK, "%s", rv_error_message());
    char *text = rv_config_resolved(c);
    cr_expect(strstr(text, "\ninit: [{from: sub/there, as: x}, {from: here}, {from: absent}]\n"), "%s", text);
    cr_assert_eq(rv_config_parse("again", text, strlen(text), 0, NULL, &d), RV_OK, "%s", rv_error_message());
    cr_expect_eq(rv_config_count(d, "init"), 3);
    cr_expect_str_eq(rv_config_entry_text(d, "init", 0, "from"), "sub/there");
    cr_expect_str_eq(rv_config_entry_text(d, "init", 0, "as"), "x");
    cr_expect_null(rv_config_entry_text(d, "init", 0, "take"));
    free(text), rv_config_destroy(c), rv_config_destroy(d);
    cr_assert_eq(rv_config_load_experiment("sub/exp.yaml", 1, (const char *[]){"init=[{from: there}]"}, &c), RV_OK);
    cr_expect_eq(rv_config_count(c, "init"), 1);
    cr_expect_str_eq(rv_config_entry_text(c, "init", 0, "from"), "there");
    rv_config_destroy(c);
}

/* What is taken out of a model to see what it was good for: from the experiment file to the numbers that show it. */
#define _GNU_SOURCE /* mkdtemp */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ravel.h"
#include "train/model_config.h"
#include "train/run_state.h"

static const char gpt[] = "name: t\nseed: 3\ndata: {path: text}\nmodel: {decoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}}\n"
                          "train: {batch: {size: 3, length: 10}, max_steps: 2, optimizer: {type: adam, lr: 1e-2}, validate_every: 2}\n";
static const char translation[] =
    "name: t\nseed: 3\ntask: translation\ndata: {train: train.tsv, valid: valid.tsv, max_length: 20}\ntokenizer: {type: char}\n"
    "model:\n  encoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}\n"
    "  decoder: {type: transformer, num_layers: 2, num_heads: 2, hidden_size: 24}\n"
    "train: {batch: {size: 90}, max_steps: 2, optimizer: {type: adam, lr: 1e-2}, validate_every: 2}\n";

static rv_config *parse(const char *text, int n, const char *const *overrides) {
    rv_config *c;
    cr_assert_eq(rv_config_parse("test.yaml", text, strlen(text), n, overrides, &c), RV_OK, "%s", rv_error_message());
    return c;
}

Test(ablations, reach_the_model) {
    static const char *const over[] = {"model.decoder.attention_scale=none", "model.decoder.norm=none", "model.decoder.residual=false"};
    rv_config *c = parse(gpt, 0, NULL);
    rv_transformer_config t = rv_lm_config_read(c, 11).decoder.transformer;
    cr_expect(!t.unscaled && t.norm == RV_NORM_PRE && t.final_norm && !t.no_residual && t.scale_residual);
    rv_config_destroy(c);
    c = parse(gpt, 3, over);
    t = rv_lm_config_read(c, 11).decoder.transformer;
    cr_expect(t.unscaled && t.norm == RV_NORM_NONE && !t.final_norm && t.no_residual && !t.scale_residual);
    rv_config_destroy(c);
    c = parse(translation, 1, (const char *const[]){"model.encoder={attention_scale: none, norm: none, residual: false}"});
    rv_seq2seq_config s = rv_seq2seq_config_read(c, 11, 11, 20);
    t = s.encoder.transformer;
    cr_expect(t.unscaled && t.norm == RV_NORM_NONE && !t.final_norm && t.no_residual);
    t = s.lm.decoder.transformer;
    cr_expect(!t.unscaled && t.norm == RV_NORM_PRE && t.final_norm && !t.no_residual);
    rv_config_destroy(c);
}

/* ---- checkpoints from before there were these keys */

/* `text` without the lines that hold one of the words. */
static char *without(const char *text, const char *const *words) {
    char *out = calloc(1, strlen(text) + 1);
    for (const char *line = text, *end; *line; line = end) {
        end = strchr(line, '\n') + 1;
        bool keep = true;
        for (int i = 0; words[i]; i++) keep &= !memmem(line, (size_t)(end - line), words[i], strlen(words[i]));
        if (keep) strncat(out, line, (size_t)(end - line));
    }
    return out;
}

static rv_checkpoint *save(const char *folder, const char *name, const char *config) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s.h5", folder, name);
    rv_ck_item item = {"/config/resolved", RV_CK_U8, 1, {(int64_t)strlen(config)}, config};
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_save(path, 1, 1, &item, NULL), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_checkpoint_open(path, &ck), RV_OK);
    unlink(path);
    return ck;
}

Test(ablations, old_checkpoints_still_belong_to_their_experiment) {
    static const char *const later[] = {"attention_scale:", "residual:", NULL};
    static const char *const texts[] = {gpt, translation};
    char folder[] = "/tmp/ravel-test-XXXXXX";
    cr_assert(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        rv_config *c = parse(texts[i], 0, NULL), *changed = parse(texts[i], 1, (const char *const[]){"model.decoder.residual=false"});
        char *resolved = rv_config_resolved(c), *old = without(resolved, later);
        cr_assert_lt(strlen(old) + 40, strlen(resolved), "%s", old);
        rv_checkpoint *ck = save(folder, "old", old);
        cr_expect_eq(rv_run_check_config(c, ck), RV_OK, "%s", rv_error_message());
        cr_expect_eq(rv_run_check_config(changed, ck), RV_ECKPT);
        cr_expect(strstr(rv_error_message(), "residual: true"), "%s", rv_error_message());
        rv_checkpoint_close(ck);
        ck = save(folder, "foreign", "name: t\nnever_heard_of: 3\n");
        cr_expect_eq(rv_run_check_config(c, ck), RV_ECKPT);
        cr_expect(strstr(rv_error_message(), "not of this version") && strstr(rv_error_message(), "never_heard_of"), "%s", rv_error_message());
        rv_checkpoint_close(ck);
        free(resolved), free(old);
        rv_config_destroy(c), rv_config_destroy(changed);
    }
    rmdir(folder);
}

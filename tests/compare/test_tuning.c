/* Trials: what is chosen from them, and when rates beyond those listed are tried. Losses are made up. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compare/comparison.h"
#include "compare/two_models.h"
#include "kernels/gemm.h"
#include "train/task.h"

static void setup(void) {
    enter_folder();
    put("a.yaml",
        "name: a\ndata: {path: text}\n"
        "model: {decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 16}, embedding_dim: 8}\n"
        "train: {batch: {size: 4, length: 16}, max_steps: 5, optimizer: {type: adamw, lr: 1e-3}, validate_every: 5}\n");
    put("b.yaml", "include: a.yaml\nname: b\nmodel: {decoder: {cell: gru}}\n");
}

TestSuite(tuning, .init = setup, .fini = teardown);

static rv_status open_with(const char *tune, rv_comparison **c) {
    char yaml[1024];
    snprintf(yaml, sizeof yaml,
             "compare:\n  name: x\n  models: {a: a.yaml, b: b.yaml}\n  budget: {train_steps: 7}\n"
             "  tune: {train_steps: 5, %s}\n",
             tune);
    put("cmp.yaml", yaml);
    *c = NULL;
    return rv_comparison_open("cmp.yaml", 0, NULL, c);
}

static rv_comparison *planned(const char *tune) {
    rv_comparison *c;
    cr_assert_eq(open_with(tune, &c), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_comparison_plan(c, false), RV_OK, "%s", rv_error_message());
    return c;
}

/* The trial of a model. */
static rv_cell_info trial(const rv_comparison *c, const char *model, double lr, const char *with) {
    for (int i = 1; i <= rv_comparison_cells(c); i++) {
        rv_cell_info cell = rv_comparison_cell(c, i);
        if (cell.kind == RV_CELL_TUNE && !strcmp(cell.model, model) && fabs(cell.lr / lr - 1) < 1e-9 &&
            !strcmp(cell.with, with))
            return cell;
    }
    cr_assert_fail("no trial of %s at %g with '%s'", model, lr, with);
    abort();
}

/* A trial that came to a loss; NaN: it diverged. */
static void done(const rv_comparison *c, const char *model, double lr, const char *with, double loss) {
    const rv_cell_info cell = trial(c, model, lr, with);
    char path[RV_PATH_MAX + 32], text[128];
    for (const char *s = cell.path; (s = strchr(s, '/')); s++) {
        snprintf(path, sizeof path, "%.*s", (int)(s - cell.path), cell.path);
        mkdir(path, 0777);
    }
    mkdir(cell.path, 0777);
    snprintf(path, sizeof path, "%s/metrics.jsonl", cell.path);
    snprintf(text, sizeof text, "{\"step\":5,\"kind\":\"valid\",\"loss\":%g}\n", loss);
    put(path, isnan(loss) ? "" : text);
    snprintf(path, sizeof path, "%s/outcome.json", cell.path);
    put(path, isnan(loss) ? "{\"status\":\"diverged\",\"step\":1,\"message\":null}"
                          : "{\"status\":\"done\",\"step\":5,\"message\":null}");
}

static rv_cell_state state(const rv_comparison *c, const char *model, double lr) {
    return rv_cell_look(c, trial(c, model, lr, "").number, NULL, NULL);
}
static bool ready(const rv_comparison *c, const char *model, double lr) {
    return rv_cell_ready(c, trial(c, model, lr, "").number);
}
static bool trainings_ready(const rv_comparison *c) { return rv_cell_ready(c, rv_comparison_cells(c)); }

static double chosen(const rv_comparison *c, int model, const char **with, size_t *beyond) {
    static json_t *tuning;
    json_decref(tuning);
    cr_assert_eq(rv_comparison_tuning(c, &tuning), RV_OK, "%s", rv_error_message());
    const json_t *row = json_array_get(json_object_get(tuning, "models"), (size_t)model);
    if (with) *with = json_string_value(json_object_get(row, "with"));
    if (beyond) *beyond = json_array_size(json_object_get(tuning, "beyond"));
    return json_is_null(json_object_get(row, "lr")) ? NAN : json_number_value(json_object_get(row, "lr"));
}

/* Planned for both models on both sides; tried on the side where one model's best rate is the last, by both. */
Test(tuning, a_rate_beyond_the_last_one) {
    rv_comparison *c = planned("lr: [1e-2, 1e-3, 3e-3]");
    size_t beyond;
    cr_assert_eq(rv_comparison_cells(c), 2 * 3 + 2 * 2 + 2);
    for (int i = 0; i < 2; i++) {
        const char *m = i ? "b" : "a";
        cr_expect(trial(c, m, 3.3e-4, "").beyond == -1 && trial(c, m, 3.3e-2, "").beyond == 1,
                  "one step beyond, in two digits");
        cr_expect(state(c, m, 3.3e-4) == RV_CELL_MISSING && !ready(c, m, 3.3e-4) && ready(c, m, 1e-3));
        done(c, m, 1e-3, "", 2.0);
        done(c, m, 3e-3, "", i ? 1.8 : 1.9);
    }
    done(c, "a", 1e-2, "", 1.5);
    cr_expect(state(c, "a", 3.3e-2) == RV_CELL_MISSING && !ready(c, "a", 3.3e-2), "b's trial is not done");
    cr_expect_eq(rv_cell_run(c, trial(c, "a", 3.3e-2, "").number, 1), RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), "needs the trials of the learning rates that are listed"), "%s",
              rv_error_message());
    done(c, "b", 1e-2, "", 1.9);
    for (int i = 0; i < 2; i++) {
        const char *m = i ? "b" : "a";
        cr_expect_eq(state(c, m, 3.3e-4), RV_CELL_NOT_NEEDED);
        cr_expect(state(c, m, 3.3e-2) == RV_CELL_MISSING && ready(c, m, 3.3e-2), "for both alike");
    }
    cr_expect_eq(rv_cell_run(c, trial(c, "a", 3.3e-4, "").number, 1), RV_OK, "nothing to do");
    cr_expect_eq(state(c, "a", 3.3e-4), RV_CELL_NOT_NEEDED);
    cr_expect(!trainings_ready(c));
    done(c, "a", 3.3e-2, "", 1.2);
    cr_expect(!trainings_ready(c), "b has not tried it");
    done(c, "b", 3.3e-2, "", NAN);
    cr_expect(trainings_ready(c));
    cr_expect_float_eq(chosen(c, 0, NULL, &beyond), 3.3e-2, 1e-9);
    cr_expect_eq(beyond, 1);
    cr_expect_float_eq(chosen(c, 1, NULL, NULL), 3e-3, 1e-9);
    rv_comparison_close(c);
}

Test(tuning, none_beyond_where_the_best_is_inside) {
    rv_comparison *c = planned("lr: [1e-3, 3e-3, 1e-2]");
    size_t beyond;
    for (int i = 0; i < 2; i++) {
        const char *m = i ? "b" : "a";
        done(c, m, 1e-3, "", 2.0);
        done(c, m, 3e-3, "", 1.8);
        done(c, m, 1e-2, "", NAN);
    }
    for (int i = 0; i < 4; i++) cr_expect_eq(state(c, i % 2 ? "a" : "b", i < 2 ? 3.3e-4 : 3.3e-2), RV_CELL_NOT_NEEDED);
    cr_expect(trainings_ready(c));
    cr_expect_float_eq(chosen(c, 0, NULL, &beyond), 3e-3, 1e-9);
    cr_expect_eq(beyond, 0);
    rv_comparison_close(c);
}

/* Where every rate of a model diverged, a lower one may do. */
Test(tuning, a_lower_rate_where_all_diverged) {
    rv_comparison *c = planned("lr: [0.1, 1]");
    for (int i = 0; i < 2; i++) done(c, "a", i ? 1 : 0.1, "", NAN), done(c, "b", i ? 1 : 0.1, "", 1 + i);
    cr_expect(state(c, "a", 0.01) == RV_CELL_MISSING && ready(c, "b", 0.01));
    cr_expect_eq(state(c, "a", 10), RV_CELL_NOT_NEEDED);
    cr_expect(isnan(chosen(c, 0, NULL, NULL)));
    done(c, "a", 0.01, "", 3);
    done(c, "b", 0.01, "", 3);
    cr_expect_float_eq(chosen(c, 0, NULL, NULL), 0.01, 1e-9);
    cr_expect_float_eq(chosen(c, 1, NULL, NULL), 0.1, 1e-9);
    rv_comparison_close(c);
}

Test(tuning, no_rate_beyond) {
    static const char *const none[] = {"lr: [1e-3, 1e-2], extend: false", "lr: [1e-3]"};
    for (int i = 0; i < 2; i++) {
        rv_comparison *c = planned(none[i]);
        cr_expect_eq(rv_comparison_cells(c), i ? 2 + 2 : 4 + 2, "%s", none[i]);
        rv_comparison_close(c);
    }
    rv_comparison *c = planned("lr: [1000, 1000000]"); /* the schema has no greater one */
    cr_expect_eq(rv_comparison_cells(c), 2 * 3 + 2);
    cr_expect_eq(trial(c, "a", 1, "").beyond, -1);
    rv_comparison_close(c);
}

/* A rate at which a model cannot be trained is tried by none; the rates listed are. */
Test(tuning, no_rate_that_a_schedule_refuses) {
    put("b.yaml", "include: a.yaml\nname: b\ntrain: {lr_scheduler: {type: cosine, min_lr: 5e-4}}\n");
    rv_comparison *c = planned("lr: [1e-3, 1e-2]");
    cr_expect_eq(rv_comparison_cells(c), 2 * 3 + 2);
    cr_expect_eq(trial(c, "a", 0.1, "").beyond, 1);
    rv_comparison_close(c);
}

/* Every combination at every rate, also beyond; the winner's values are what a training takes. */
Test(tuning, other_values) {
    rv_comparison *c =
        planned("lr: [1e-3, 1e-2], settings: {model.dropout: [0, 0.2], train.optimizer.weight_decay: [0, 0.1]}");
    static const char *const with[] = {
        "model.dropout=0 train.optimizer.weight_decay=0", "model.dropout=0 train.optimizer.weight_decay=0.1",
        "model.dropout=0.2 train.optimizer.weight_decay=0", "model.dropout=0.2 train.optimizer.weight_decay=0.1"};
    const char *took;
    cr_assert_eq(rv_comparison_cells(c), 2 * 2 * 4 + 2 * 2 * 4 + 2);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 4; k++) {
            const char *m = i ? "b" : "a";
            done(c, m, 1e-3, with[k], 3 - k * 0.1);
            done(c, m, 1e-2, with[k], k == 2 && i ? 1 : 4);
        }
    const rv_cell_info t = trial(c, "b", 1e-2, with[2]);
    cr_expect_str_eq(t.path, "runs/x/cells/tune-b-0.01-model.dropout=0.2,train.optimizer.weight_decay=0");
    cr_expect_eq(rv_cell_look(c, trial(c, "a", 0.1, with[0]).number, NULL, NULL), RV_CELL_MISSING, "b is best at 1e-2");
    cr_expect_eq(rv_cell_look(c, trial(c, "a", 1e-4, with[3]).number, NULL, NULL), RV_CELL_MISSING, "and a at 1e-3");
    cr_expect(fabs(chosen(c, 0, &took, NULL) - 1e-3) < 1e-9 && !strcmp(took, with[3]));
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 4; k++) done(c, i ? "b" : "a", 0.1, with[k], NAN), done(c, i ? "b" : "a", 1e-4, with[k], 9);
    cr_expect(fabs(chosen(c, 1, &took, NULL) - 1e-2) < 1e-9 && !strcmp(took, with[2]));
    cr_expect(trainings_ready(c));
    rv_comparison_close(c);
}

/* Run a training; the configuration that it was trained with. */
static rv_config *trained(const rv_comparison *c, int number) {
    cr_assert_eq(rv_cell_run(c, number, 1), RV_OK, "%s", rv_error_message());
    char path[RV_PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/experiment.yaml", rv_comparison_cell(c, number).path);
    rv_config *config;
    cr_assert_eq(rv_config_load(path, 0, NULL, &config), RV_OK, "%s", rv_error_message());
    return config;
}

/* A plan of a version that tuned rates alone goes on: its best rate is taken over. */
Test(tuning, a_plan_of_an_earlier_version) {
    rv_comparison *c = planned("lr: [1e-3, 1e-2], extend: false");
    for (int i = 1; i <= 4; i++) {
        json_t *cell = (json_t *)rv_comparison_cell(c, i).entry;
        json_object_del(cell, "take");
        json_object_del(cell, "with");
    }
    for (int i = 0; i < 2; i++) done(c, i ? "b" : "a", 1e-3, "", 2), done(c, i ? "b" : "a", 1e-2, "", 1);
    rv_config *config = trained(c, rv_comparison_cells(c) - 1);
    cr_expect_float_eq(rv_config_real(config, "train.optimizer.lr"), 1e-2, 1e-12);
    rv_config_destroy(config);
    rv_comparison_close(c);
}

/* The winner's values reach the training, and what a setting says of early stopping does not: the budget is equal. */
Test(tuning, a_training_takes_what_won) {
    rv_comparison *c = planned("lr: [1e-3, 1e-2], extend: false, settings: {model.dropout: [0, 0.2]}}\n"
                               "  settings: {train.early_stopping: [{patience: 0}]");
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 4; k++)
            done(c, i ? "b" : "a", k / 2 ? 1e-2 : 1e-3, k % 2 ? "model.dropout=0.2" : "model.dropout=0",
                 k == 1 ? 1 : 2);
    rv_config *config = trained(c, rv_comparison_cells(c));
    cr_expect_float_eq(rv_config_real(config, "train.optimizer.lr"), 1e-3, 1e-12);
    cr_expect_float_eq(rv_config_real(config, "model.dropout"), 0.2, 1e-12);
    cr_expect(!rv_config_has(config, "train.early_stopping"));
    rv_config_destroy(config);
    rv_comparison_close(c);
}

/* Nobody can say that what trials choose among was not asked for. */
Test(tuning, what_is_tuned_is_asked_for) {
    static const char *const asked[] = {"model.dropout", "train.optimizer.weight_decay", "train.optimizer.lr"};
    rv_comparison *c =
        planned("lr: [1e-3], settings: {model.dropout: [0, 0.1], train.optimizer.weight_decay: [0, 0.1]}");
    const json_t *defaults = json_object_get(json_array_get(json_object_get(c->plan, "models"), 1), "defaults"), *key;
    size_t i;
    cr_expect_gt(json_array_size(defaults), 5);
    json_array_foreach (defaults, i, key)
        for (int k = 0; k < 3; k++) cr_expect_str_neq(json_string_value(key), asked[k]);
    rv_comparison_close(c);
}

/* What is not for tuning is refused where it stands. */
Test(tuning, refusals) {
    static const struct {
        const char *settings, *why;
    } wrong[] = {
        {"data.path: [a, b]", "cmp.yaml:5:49: compare.tune.settings: keys of train and model can be tuned"},
        {"train.optimizer.lr: [1, 2]", "compare.tune.lr lists the rates"},
        {"train.batch.size: [1, 2]", "another batch is another budget"},
        {"train.max_steps: [1, 2]", "compare.budget says how long"},
        {"train.early_stopping.patience: [0, 3]", "every model gets the whole budget"},
        {"train.validate_every: [1, 5]", "the best of more validations is better by that alone"},
        {"train.validate_batches: [1, 5]", "losses of other examples do not compare"},
        {"model.dropout: 0.1", "compare.tune.settings: expected a list of values"},
        {"model.dropuot: [0.1]", "unknown key 'dropuot'"},
        {"model.attention.size: [8]", "model 'a' cannot be tried with model.attention.size=8"},
    };
    rv_comparison *c;
    char tune[128];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(tune, sizeof tune, "lr: [1e-3], settings: {%s}", wrong[i].settings);
        cr_expect_eq(open_with(tune, &c), RV_EUSAGE, "%s", wrong[i].settings);
        cr_expect(strstr(rv_error_message(), wrong[i].why), "%s: %s", wrong[i].settings, rv_error_message());
    }
    static const char *const sizes[] = {"[1, 2]", "[2]"};
    for (int i = 0; i < 2; i++) {
        snprintf(tune, sizeof tune, "lr: [1e-3], settings: {model.decoder.num_layers: %s}", sizes[i]);
        cr_assert_eq(open_with(tune, &c), RV_OK, "%s", rv_error_message());
        cr_expect_eq(rv_comparison_plan(c, false), RV_EUSAGE, "%s", sizes[i]);
        cr_expect(strstr(rv_error_message(), "with model.decoder.num_layers=2 the model 'a' has"), "%s",
                  rv_error_message());
        rv_comparison_close(c);
    }
    /* In a setting other than the first, too. */
    cr_expect_eq(open_with("lr: [1e-3], settings: {train.lr_scheduler.min_lr: [0, 1e-4]}}\n"
                           "  settings: {train.lr_scheduler: [{type: cosine}, {type: noam}]",
                           &c),
                 RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), "type=noam") || strstr(rv_error_message(), "type: noam"), "%s",
              rv_error_message());
    /* A mistake of a model's own is told as that. */
    put("b.yaml", "include: a.yaml\nname: b\nmodel: {decoder: {cell: gruu}}\n");
    cr_expect_eq(open_with("lr: [1e-3], settings: {model.dropout: [0, 1e-4]}", &c), RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), "model 'b' cannot be used"), "%s", rv_error_message());
}

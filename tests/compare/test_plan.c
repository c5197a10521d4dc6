/* Plans: settings, cells and their assignments, steps of a budget in tokens. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "compare/comparison.h"
#include "compare/plan_private.h"
#include "compare/two_models.h"
#include "kernels/gemm.h"
#include "train/task.h"

static void setup(void) {
    enter_folder();
    put("lstm.yaml", "name: lstm\ndata: {path: text}\nmodel: {decoder: {type: rnn, cell: lstm, num_layers: 1, "
                     "hidden_size: 16}, embedding_dim: 8}\n"
                     "train: {batch: {size: 4, length: 16}, max_steps: 5, accumulate: 2, optimizer: {type: adam, lr: "
                     "1e-3}, validate_every: 5, early_stopping: {patience: 1}}\n");
    put("gru.yaml",
        "include: lstm.yaml\nname: gru\nmodel: {decoder: {cell: gru}}\ntrain: {accumulate: 1, batch: {size: 2}}\n");
}

static rv_comparison *plan(const char *yaml) {
    rv_comparison *c = NULL;
    put("cmp.yaml", yaml);
    cr_assert_eq(rv_comparison_open("cmp.yaml", 0, NULL, &c), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_comparison_plan(c, false), RV_OK, "%s", rv_error_message());
    return c;
}

static bool sets(const rv_cell_info *cell, const char *assignment) {
    const json_t *set = json_object_get(cell->entry, "set");
    for (size_t i = 0; i < json_array_size(set); i++)
        if (!strcmp(json_string_value(json_array_get(set, i)), assignment)) return true;
    return false;
}

TestSuite(plan, .init = setup, .fini = teardown);

Test(plan, cells_in_order) {
    rv_comparison *c = plan("compare:\n  name: x\n  models: {a: lstm.yaml, b: gru.yaml}\n  settings: "
                            "{train.batch.length: [8, 16], model.dropout: [0, 0.1]}\n"
                            "  seeds: [3, 4]\n  budget: {train_steps: 7}\n  tune: {lr: [1e-3, 0.5], extend: false, "
                            "train_tokens: 200, seed: 9}\n  cost: {sequence_length: [8], rounds: 3}\n");
    cr_assert_eq(rv_comparison_cells(c), 2 * 2 + 4 * 2 * 2 + 3 * 2);
    rv_cell_info trial = rv_comparison_cell(c, 2);
    cr_expect(trial.kind == RV_CELL_TUNE && trial.lr == 0.5 && trial.seed == 9 && !strcmp(trial.model, "a"));
    cr_expect_str_eq(trial.path, "runs/x/cells/tune-a-0.5");
    cr_expect(sets(&trial, "train.optimizer.lr=0.5") && sets(&trial, "train.max_steps=4") &&
              sets(&trial, "train.batch.length=8"));
    cr_expect_eq(trial.tokens, 4 * 2 * 4 * 8, "2 batches of 4 x 8 a step: 64 tokens");
    cr_expect_eq(rv_comparison_cell(c, 3).steps, 13, "batches of 2 x 8 tokens: 12.5 steps, rounded up");
    rv_cell_info cell = rv_comparison_cell(c, 5 + 4 + 3);
    cr_expect(cell.kind == RV_CELL_TRAIN && !strcmp(cell.model, "b") && cell.seed == 4 && cell.steps == 7 &&
              cell.tokens == 7 * 2 * 8);
    cr_expect_str_eq(cell.setting, "train.batch.length=8 model.dropout=0.1");
    cr_expect_str_eq(cell.path, "runs/x/cells/b-train.batch.length=8,model.dropout=0.1-s4");
    cr_expect(sets(&cell, "seed=4") && sets(&cell, "name=b-setting2-s4") && sets(&cell, "model.dropout=0.1"));
    cell = rv_comparison_cell(c, rv_comparison_cells(c));
    cr_expect(cell.kind == RV_CELL_COST);
    cr_expect_str_eq(cell.path, "runs/x/cost/b.r3.json");
    cr_expect_str_eq(rv_comparison_cell(c, rv_comparison_cells(c) - 1).path, "runs/x/cost/a.r3.json",
                     "models take turns");
    cr_expect(!rv_cell_ready(c, 5) && rv_cell_ready(c, 1) && !rv_cell_ready(c, 21),
              "trainings wait for their model's trials");
    cr_expect(json_is_false(json_object_get(json_object_get(c->plan, "budget"), "equal")),
              "as many steps of batches half as large are not as many tokens");
    rv_comparison_close(c);
}

/* The budget in tokens is met by whole steps; stopping early, which would make it unequal, is switched off. */
Test(plan, tokens) {
    rv_comparison *c =
        plan("compare:\n  name: x\n  models: {a: lstm.yaml, b: gru.yaml}\n  budget: {train_tokens: 6400}\n");
    cr_assert_eq(rv_comparison_cells(c), 2);
    cr_expect_eq(rv_comparison_cell(c, 1).steps, 50);
    cr_expect_eq(rv_comparison_cell(c, 2).steps, 200);
    cr_expect_eq(rv_comparison_cell(c, 1).tokens, 6400);
    cr_expect(json_is_true(json_object_get(json_object_get(c->plan, "budget"), "equal")));
    const json_t *set = json_object_get(json_array_get(json_object_get(c->plan, "models"), 0), "set");
    cr_expect_str_eq(json_string_value(json_array_get(set, 0)), "train.early_stopping=null");
    rv_comparison_close(c);
}

/* Matched by parameters without tables, by FLOPs; the same plan each time. */
Test(plan, matched) {
    static const char *const by[] = {"parameters", "flops"};
    for (int i = 0; i < 2; i++) {
        char yaml[512];
        snprintf(yaml, sizeof yaml,
                 "compare:\n  name: x\n  models: {a: {file: lstm.yaml, set: {model.decoder.hidden_size: 48}}, b: "
                 "gru.yaml}\n  match: {by: %s}\n  budget: {train_steps: 2}\n",
                 by[i]);
        rv_comparison *c = plan(yaml), *again = plan(yaml);
        cr_expect(json_equal(c->plan, again->plan));
        const json_t *rows = json_object_get(json_object_get(c->plan, "match"), "models"), *a = json_array_get(rows, 0),
                     *b = json_array_get(rows, 1);
        cr_expect_eq(json_number_value(json_object_get(a, "off")), 0);
        cr_expect(json_is_true(json_object_get(b, "met")), "%s: off by %g", by[i],
                  json_number_value(json_object_get(b, "off")));
        cr_expect_eq(json_integer_value(json_object_get(json_object_get(a, "widths"), "model.decoder.hidden_size")),
                     48);
        cr_expect_gt(json_integer_value(json_object_get(json_object_get(b, "widths"), "model.decoder.hidden_size")), 48,
                     "a GRU has a gate less");
        if (i == 0) /* the table of 8 characters and 8 dimensions */
            cr_expect_eq(json_number_value(json_object_get(a, "value")),
                         (double)(json_integer_value(json_object_get(a, "parameters")) -
                                  json_integer_value(json_object_get(a, "embedding_parameters"))));
        cr_expect_gt(json_integer_value(json_object_get(a, "embedding_parameters")), 0);
        rv_comparison_close(c);
        rv_comparison_close(again);
    }
}

/* An output layer tied to the embedding counts as one of its own does; a table that is only looked up does not. */
Test(plan, a_tied_output_layer_counts) {
    rv_comparison *c = plan("compare:\n  name: x\n  models: {own: {file: lstm.yaml, set: {model.decoder.hidden_size: "
                            "8, model.embedding_dim: 8, model.head_bias: false}},\n"
                            "           tied: {file: lstm.yaml, set: {model.decoder.hidden_size: 8, "
                            "model.embedding_dim: 8, model.tie_embeddings: true}}}\n  budget: {train_steps: 2}\n");
    const json_t *rows = json_object_get(json_object_get(c->plan, "match"), "models"), *own = json_array_get(rows, 0),
                 *tied = json_array_get(rows, 1);
    const int64_t total[] = {json_integer_value(json_object_get(own, "parameters")),
                             json_integer_value(json_object_get(tied, "parameters"))};
    const int64_t table[] = {json_integer_value(json_object_get(own, "embedding_parameters")),
                             json_integer_value(json_object_get(tied, "embedding_parameters"))};
    cr_expect(table[0] > 0 && table[1] == 0 && total[0] - table[0] == total[1], "%lld less %lld, %lld less %lld",
              (long long)total[0], (long long)table[0], (long long)total[1], (long long)table[1]);
    rv_comparison_close(c);
}

/* ---- models that count */

static void put_taggers(void) {
    FILE *f = fopen("tags", "w");
    for (int i = 0; i < 30; i++) fputs("the\tD\ncat\tN\nsees\tV\n\nsees\tV\nthe\tD\nsea\tN\n\n", f);
    fclose(f);
    put("hmm.yaml", "name: hmm\ntask: tagging\ndata: {path: tags}\nmodel: {hmm: true}\n");
    put("tagger.yaml", "name: tagger\ntask: tagging\ndata: {path: tags}\nmodel: {encoder: {type: rnn, cell: lstm, "
                       "num_layers: 1, hidden_size: 12}, embedding_dim: 8}\ntrain: {batch: {size: 4}, max_steps: 5, "
                       "optimizer: {type: adam, lr: 1e-3}, validate_every: 5}\n");
    put("crf.yaml", "include: tagger.yaml\nmodel: {encoder: !replace {type: none}, crf: true}\n");
}

static const json_t *row_of(const json_t *part, const char *label) {
    const json_t *row, *rows = json_object_get(part, "models");
    size_t i;
    json_array_foreach (rows, i, row)
        if (!strcmp(json_string_value(json_object_get(row, "model")), label)) return row;
    cr_assert_fail("no row of %s", label);
    return NULL;
}

#define TAGGERS "  models: {lstm: tagger.yaml, hmm: hmm.yaml, crf: crf.yaml}\n"

/* One step that reads the training part once, whatever the budget; no trials, and no costs; but others have them. */
Test(plan, one_that_counts) {
    put_taggers();
    rv_comparison *c =
        plan("compare:\n  name: x\n" TAGGERS "  budget: {train_steps: 6}\n  seeds: [1, 2]\n  tune: {lr: [1e-3, 1e-2], "
             "train_tokens: 30, settings: {model.dropout: [0, 0.1]}}\n  cost: {sequence_length: [8]}\n");
    int of[3] = {0};
    for (int i = 1; i <= rv_comparison_cells(c); i++) {
        const rv_cell_info cell = rv_comparison_cell(c, i);
        if (strcmp(cell.model, "hmm")) continue;
        of[cell.kind]++;
        cr_expect_eq(cell.steps, 1);
        cr_expect_eq(cell.tokens, 48 * 3, "8 of 10 sentences of 3 words train, once");
    }
    cr_expect(of[RV_CELL_TUNE] == 0 && of[RV_CELL_TRAIN] == 2 && of[RV_CELL_COST] == 0);
    const json_t *budget = json_object_get(c->plan, "budget"), *tuning = json_object_get(c->plan, "tuning");
    cr_expect(json_is_true(json_object_get(budget, "equal")) && json_is_true(json_object_get(tuning, "equal")));
    cr_expect(json_is_true(json_object_get(row_of(budget, "hmm"), "counts")));
    cr_expect_null(json_object_get(row_of(budget, "crf"), "counts"));
    cr_expect_eq(json_integer_value(json_object_get(tuning, "steps")), 3, "30 tokens in sentences of 3, 4 a step");
    json_t *rows;
    cr_assert_eq(rv_comparison_tuning(c, &rows), RV_OK, "%s", rv_error_message());
    cr_expect_eq(json_array_size(json_object_get(rows, "models")), 2);
    json_decref(rows);
    cr_assert_eq(rv_comparison_expect(c, &rows), RV_OK, "%s", rv_error_message());
    cr_expect_eq(json_array_size(rows), 3);
    json_decref(rows);
    rv_comparison_close(c);
}

/* What has no width to be scaled stays as it is, is not met, and the plan says why. */
Test(plan, without_widths) {
    put_taggers();
    rv_comparison *c = plan("compare:\n  name: x\n" TAGGERS "  budget: {train_steps: 2}\n  match: {by: parameters}\n");
    const json_t *match = json_object_get(c->plan, "match"), *hmm = row_of(match, "hmm"), *crf = row_of(match, "crf");
    cr_expect(json_is_false(json_object_get(hmm, "met")) && json_is_null(json_object_get(hmm, "off")));
    cr_expect_str_eq(json_string_value(json_object_get(hmm, "unmatched")), "it counts, and has no width to be scaled");
    cr_expect(json_is_false(json_object_get(crf, "met")) && json_number_value(json_object_get(crf, "off")) < -0.5);
    cr_expect_str_eq(json_string_value(json_object_get(crf, "unmatched")), "no width of its model can be scaled");
    cr_expect_null(json_object_get(row_of(match, "lstm"), "unmatched"));
    cr_expect_eq(json_integer_value(json_object_get(row_of(c->plan, "crf"), "tgt_vocab")), 3, "tags");
    rv_comparison_close(c);
}

/* It may be matched by chance. */
Test(plan, without_widths_and_yet_alike) {
    put_taggers();
    rv_comparison *c = plan("compare:\n  name: x\n  models: {a: crf.yaml, b: {file: crf.yaml, set: {seed: 2}}}\n"
                            "  budget: {train_steps: 2}\n  match: {by: parameters}\n");
    const json_t *b = row_of(json_object_get(c->plan, "match"), "b");
    cr_expect(json_is_true(json_object_get(b, "met")) && !json_object_get(b, "unmatched"));
    rv_comparison_close(c);
}

Test(plan, what_one_that_counts_cannot) {
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {TAGGERS "  match: {by: parameters, reference: hmm}\n",
         "cmp.yaml:5:38: compare.match.reference: 'hmm' counts, and no model can be made like it; name another one"},
        {"  models: {hmm: hmm.yaml, crf: crf.yaml}\n  match: {by: flops}\n",
         "cmp.yaml:5:15: compare.match.reference: 'hmm' counts"},
        {"  models: {hmm: hmm.yaml, most: {file: hmm.yaml, set: {model.hmm.order: 0}}}\n  tune: {lr: [1], "
         "train_steps: 2}\n",
         "compare.tune: all of these models count, and have no learning rate; leave it out"},
        {"  models: {crf: crf.yaml, lstm: tagger.yaml}\n  gradient_flow: true\n",
         "cmp.yaml:5:18: compare.gradient_flow: model 'crf' is told its loss at each position, so that no distance"},
    };
    put_taggers();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        rv_comparison *c = NULL;
        snprintf(text, sizeof text, "compare:\n  name: x\n  budget: {train_steps: 2}\n%s", cases[i].yaml);
        put("cmp.yaml", text);
        rv_status status = rv_comparison_open("cmp.yaml", 0, NULL, &c);
        if (status == RV_OK) status = rv_comparison_plan(c, false);
        cr_expect_eq(status, RV_EUSAGE, "case %zu", i);
        cr_expect(strstr(rv_error_message(), cases[i].says), "case %zu: %s", i, rv_error_message());
        rv_comparison_close(c);
    }
}

/* ---- */

/* A machine that tests make up: an LSTM's step takes 45 us a token, a GRU's 2.25 us for each of its states, and from
 * one step of the LSTM to another both take 76/45 times as long. */
typedef struct {
    int64_t step, slow_from, slow_to;
    int64_t alone; /* steps of the LSTM since the last one of a GRU */
} machine;

static double made_up_time(void *user, const rv_config *model, int64_t tokens) {
    machine *m = user;
    const bool slow = m->step >= m->slow_from && m->step < m->slow_to;
    const bool lstm = rv_config_is(model, "model.decoder.cell", "lstm");
    const double us = lstm ? 45 : 2.25 * (double)rv_config_int(model, "model.decoder.hidden_size");
    m->step += lstm;
    m->alone = lstm ? m->alone + 1 : 0;
    return 1e-6 * us * (double)tokens * (slow ? 76. / 45 : 1);
}

#define BY_WALL_CLOCK                                                                                                  \
    "compare:\n  name: x\n  models: {a: lstm.yaml, b: gru.yaml}\n  match: {by: wall_clock, tolerance: 0.1}\n"          \
    "  budget: {train_steps: 2}\n"

/* The status of a plan by wall clock on a machine. */
static rv_status plan_on(machine *m, rv_comparison **c) {
    put("cmp.yaml", BY_WALL_CLOCK);
    cr_assert_eq(rv_comparison_open("cmp.yaml", 0, NULL, c), RV_OK, "%s", rv_error_message());
    rv__step_set_clock(made_up_time, m);
    const rv_status status = rv_comparison_plan(*c, true);
    rv__step_set_clock(NULL, NULL);
    return status;
}

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* By wall clock: what is measured is in the plan that was written, and stays. */
Test(plan, wall_clock) {
    machine steady = {0};
    rv_comparison *c, *again = NULL;
    cr_assert_eq(plan_on(&steady, &c), RV_OK, "%s", rv_error_message());
    const json_t *match = json_object_get(c->plan, "match"), *rows = json_object_get(match, "models");
    const json_t *a = json_array_get(rows, 0), *b = json_array_get(rows, 1), *time = json_object_get(match, "time");
    cr_expect_float_eq(number(a, "value"), 45e-6, 1e-12);
    cr_expect_float_eq(number(b, "value"), 45e-6, 1e-12);
    cr_expect_float_eq(number(b, "off"), 0, 1e-12);
    cr_expect(json_is_true(json_object_get(b, "met")));
    cr_expect_gt(steady.alone, 50, "the reference is timed once more when all is matched");
    cr_expect_float_eq(number(time, "first"), 45e-6, 1e-12);
    cr_expect_float_eq(number(time, "least"), 45e-6, 1e-12);
    cr_expect_float_eq(number(time, "greatest"), 45e-6, 1e-12);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(b, "widths"), "model.decoder.hidden_size")), 20);
    const json_t *sets = json_object_get(json_array_get(json_object_get(c->plan, "models"), 1), "set");
    cr_expect_str_eq(json_string_value(json_array_get(sets, json_array_size(sets) - 1)),
                     "model.decoder.hidden_size=20");
    const int64_t steps = steady.step;
    cr_assert_eq(plan_on(&steady, &again), RV_OK, "%s", rv_error_message());
    cr_expect(json_equal(c->plan, again->plan) && steady.step == steps, "it is not measured again");
    rv_comparison_close(c);
    rv_comparison_close(again);
}

/* A machine that becomes slower and stays so, be it at the very end, makes no plan: the ratio of two models need not be
 * the same on it. */
Test(plan, wall_clock_drifts) {
    machine steady = {0};
    rv_comparison *c;
    cr_assert_eq(plan_on(&steady, &c), RV_OK, "%s", rv_error_message());
    rv_comparison_close(c);
    const int64_t from[] = {600, steady.step - 150};
    for (int i = 0; i < 2; i++) {
        machine drifts = {.slow_from = from[i], .slow_to = INT64_MAX};
        cr_assert(!system("rm -rf runs"));
        cr_expect_eq(plan_on(&drifts, &c), RV_EDATA, "%d", i);
        const char *said = rv_error_message();
        cr_expect(strstr(said, "cmp.yaml:4:15: ") && strstr(said, "'a', the reference, took 45 to 76 us a token") &&
                      strstr(said, "compare.match.tolerance is 0.1") && strstr(said, "again"),
                  "%s", said);
        cr_expect(access("runs", F_OK), "no plan is written, and nothing else");
        rv_comparison_close(c);
    }
}

/* What disturbs the machine for one measurement, be it the first, is measured again, and no plan fails for it. */
Test(plan, wall_clock_disturbed) {
    const machine moments[] = {
        {.slow_from = 0, .slow_to = 150}, {.slow_from = 400, .slow_to = 550}, {.slow_from = 900, .slow_to = 1000}};
    machine steady = {0};
    rv_comparison *c;
    cr_assert_eq(plan_on(&steady, &c), RV_OK, "%s", rv_error_message());
    for (int i = 0; i < 3; i++) {
        machine m = moments[i];
        rv_comparison *d;
        cr_assert(!system("rm -r runs"));
        cr_assert_eq(plan_on(&m, &d), RV_OK, "%d: %s", i, rv_error_message());
        cr_expect(json_equal(c->plan, d->plan), "%d", i);
        cr_expect_gt(m.step, steady.step + 50, "%d: it is measured again", i);
        rv_comparison_close(d);
    }
    rv_comparison_close(c);
}

/* Times that drift, whichever comes first, and by how much they may. */
Test(plan, pace) {
    static const struct {
        double time[4], tolerance;
        int taken;
    } cases[] = {
        {{1, 1, 1, 1}, 0.01, 4},    {{45, 49, 45, 49}, 0.1, 4}, {{45, 50, 76, 45}, 0.1, 2}, /* 50 is over 49.5 */
        {{50, 45, 54, 49}, 0.1, 2}, /* 45 and 54 are both within a tenth of 50, and are not of each other */
        {{45, 76, 76, 76}, 0.1, 1}, {{45, 76, 76, 76}, 0.7, 4},
    };
    cr_expect_float_eq(rv__drift(45, 76), 31. / 45, 1e-12);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv__pace p = {0};
        double least = INFINITY, greatest = 0;
        int taken = 0;
        for (int k = 0; k < 4; k++) {
            const double t = cases[i].time[k];
            if (!rv__pace_take(&p, t, cases[i].tolerance)) continue;
            taken++;
            least = fmin(least, t), greatest = fmax(greatest, t);
        }
        cr_expect(taken == cases[i].taken && p.n == taken, "case %zu: %d", i, taken);
        cr_expect(p.first == cases[i].time[0] && p.least == least && p.greatest == greatest, "case %zu", i);
    }
}

/* The clock itself: a step takes some of the time that passes, and one of a much larger model longer. */
Test(plan, steps_take_time) {
    static const char *const wide[] = {"model.decoder.hidden_size=256"};
    rv__built b[2];
    double seconds, ratio;
    for (int i = 0; i < 2; i++) {
        b[i].params = rv_params_create();
        cr_assert_eq(rv_config_load_experiment("lstm.yaml", i, wide, &b[i].config), RV_OK, "%s", rv_error_message());
        cr_assert_eq(rv_task_create(b[i].config, NULL, true, b[i].params, &b[i].task), RV_OK);
    }
    const double begun = rv_now();
    cr_assert_eq(rv__time_steps(&b[0], &b[1], &seconds, &ratio), RV_OK, "%s", rv_error_message());
    cr_expect(seconds > 0 && 64 * seconds < rv_now() - begun, "%g s a token", seconds);
    cr_expect_gt(ratio, 1);
    for (int i = 0; i < 2; i++) {
        rv_task_destroy(b[i].task);
        rv_params_destroy(b[i].params);
        rv_config_destroy(b[i].config);
    }
}

/* A plan that is torn, or of something else, is an error that says what to do. */
Test(plan, damaged) {
    static const char *const texts[] = {"{\"format\": \"ravel-com", "{}", "[]",
                                        "{\"format\": \"ravel-compare 2\", \"models\": [], \"cells\": [{}]}",
                                        "{\"format\": \"ravel-compare 1\", \"models\": [], \"cells\": []}"};
    cr_assert(!system("mkdir -p runs/x"));
    for (int i = 0; i < 5; i++) {
        rv_comparison *c = NULL;
        put("cmp.yaml", "compare:\n  name: x\n  models: {a: lstm.yaml, b: gru.yaml}\n  budget: {train_steps: 2}\n");
        put("runs/x/plan.json", texts[i]);
        cr_assert_eq(rv_comparison_open("cmp.yaml", 0, NULL, &c), RV_OK);
        cr_expect_eq(rv_comparison_plan(c, false), RV_EDATA);
        cr_expect(strstr(rv_error_message(), "plan.json") && strstr(rv_error_message(), "made again"), "%s",
                  rv_error_message());
        rv_comparison_close(c);
    }
}

typedef struct {
    rv_config *config;
    rv_params *params;
    rv_task *task;
} model;

static model make_model(const char *yaml, int n, const char *const *set) {
    model m = {.params = rv_params_create()};
    cr_assert_eq(rv_config_parse("m.yaml", yaml, strlen(yaml), n, set, &m.config), RV_OK, "%s", rv_error_message());
    return m;
}

static void first_losses(model *m, double loss[3]) {
    rv_tape *tape = rv_tape_create();
    cr_assert_eq(rv_params_materialise(m->params, 1), RV_OK);
    cr_assert_eq(rv_gemm_reserve(), RV_OK);
    for (int i = 0; i < 3; i++) {
        rv_tape_reset(tape);
        cr_assert(rv_task_next(m->task));
        const rv_tensor *l = rv_task_loss(tape, m->task);
        cr_assert(l);
        loss[i] = (double)l->x[0];
        rv_task_commit(m->task);
    }
    rv_tape_destroy(tape);
}

/* A model made again at another width, on a task's data, is the one that a new task has: to the bit, on the same
 * batches. */
Test(plan, rebuilt_is_new) {
#define TRAIN "  max_steps: 5\n  optimizer: {type: adam, lr: 1e-3}\n  validate_every: 5\n"
    static const struct {
        const char *yaml, *set;
    } kinds[] = {
        {"name: m\ndata: {path: text}\nmodel: {decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 16}, "
         "embedding_dim: 8}\n"
         "train:\n  batch: {size: 4, length: 16, sampling: contiguous}\n" TRAIN,
         "model.decoder.hidden_size=24"},
        {"name: m\ntask: regression\ndata: {generator: adding, min_length: 4, max_length: 12}\nmodel: {encoder: "
         "{type: rnn, cell: gru, num_layers: 1, hidden_size: 8}}\n"
         "train:\n  batch: {size: 4}\n" TRAIN,
         "model.encoder.hidden_size=12"},
        {"name: m\ntask: translation\ndata: {train: pairs.tsv, valid: pairs.tsv}\ntokenizer: {type: char}\nmodel:\n  "
         "embedding_dim: 8\n"
         "  encoder: {type: rnn, cell: gru, num_layers: 1, hidden_size: 8}\n  decoder: {type: rnn, cell: gru, "
         "num_layers: 1, hidden_size: 8}\n"
         "train:\n  batch: {type: sequences, size: 3}\n" TRAIN,
         "model.decoder.hidden_size=12"},
    };
    put("pairs.tsv", "abc\tcba\nabcde\tedcba\nab\tba\nbcd\tdcb\ncab\tbac\nea\tae\nbed\tdeb\n");
    for (int k = 0; k < 3; k++) {
        double expected[3], got[3], flops[2];
        int64_t positions[2];
        model fresh = make_model(kinds[k].yaml, 1, &kinds[k].set), old = make_model(kinds[k].yaml, 0, NULL),
              wider = make_model(kinds[k].yaml, 1, &kinds[k].set);
        cr_assert_eq(rv_task_create(fresh.config, NULL, true, fresh.params, &fresh.task), RV_OK, "%s",
                     rv_error_message());
        cr_assert_eq(rv_task_create(old.config, NULL, true, old.params, &old.task), RV_OK, "%s", rv_error_message());
        first_losses(&fresh, expected);
        first_losses(&old, got);
        cr_expect_neq(got[0], expected[0], "another width is another model");
        wider.task = old.task;
        cr_assert_eq(rv_task_rebuild(old.task, wider.config, wider.params), RV_OK, "%s", rv_error_message());
        first_losses(&wider, got);
        for (int i = 0; i < 3; i++)
            cr_expect_eq(got[i], expected[i], "task %d, batch %d: %.17g, not %.17g", k, i, got[i], expected[i]);
        rv_task_cost(fresh.task, fresh.params, &flops[0], &positions[0]);
        rv_task_cost(wider.task, wider.params, &flops[1], &positions[1]);
        cr_expect(flops[0] == flops[1] && positions[0] == positions[1] &&
                  rv_params_count(fresh.params) == rv_params_count(wider.params));
        rv_task_destroy(fresh.task);
        rv_task_destroy(wider.task);
        model *const all[] = {&fresh, &old, &wider};
        for (int i = 0; i < 3; i++) {
            rv_params_destroy(all[i]->params);
            rv_config_destroy(all[i]->config);
        }
    }
}

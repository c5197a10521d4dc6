/* Plans: settings, cells and their assignments, steps of a budget in tokens. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare/comparison.h"
#include "kernels/gemm.h"
#include "train/task.h"

static char dir[] = "/tmp/ravel-plan-XXXXXX";

static void put(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
}

/* A folder with a text of 2000 characters and two models on it. */
static void setup(void) {
    cr_assert(mkdtemp(dir) && !chdir(dir));
    FILE *f = fopen("text", "w");
    for (int i = 0; i < 2000; i++) fputc(i % 40 == 39 ? '\n' : 'a' + i % 7, f);
    fclose(f);
    put("lstm.yaml", "name: lstm\ndata: {path: text}\nmodel: {decoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 16}, embedding_dim: 8}\n"
                     "train: {batch: {size: 4, length: 16}, max_steps: 5, accumulate: 2, optimizer: {type: adam, lr: 1e-3}, validate_every: 5, early_stopping: {patience: 1}}\n");
    put("gru.yaml", "include: lstm.yaml\nname: gru\nmodel: {decoder: {cell: gru}}\ntrain: {accumulate: 1, batch: {size: 2}}\n");
}

static void teardown(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert(!system(command));
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
    cr_expect(sets(&trial, "train.optimizer.lr=0.5") && sets(&trial, "train.max_steps=4") && sets(&trial, "train.batch.length=8"));
    cr_expect_eq(trial.tokens, 4 * 2 * 4 * 8, "2 batches of 4 x 8 a step: 64 tokens");
    cr_expect_eq(rv_comparison_cell(c, 3).steps, 13, "batches of 2 x 8 tokens: 12.5 steps, rounded up");
    rv_cell_info cell = rv_comparison_cell(c, 5 + 4 + 3);
    cr_expect(cell.kind == RV_CELL_TRAIN && !strcmp(cell.model, "b") && cell.seed == 4 && cell.steps == 7 && cell.tokens == 7 * 2 * 8);
    cr_expect_str_eq(cell.setting, "train.batch.length=8 model.dropout=0.1");
    cr_expect_str_eq(cell.path, "runs/x/cells/b-train.batch.length=8,model.dropout=0.1-s4");
    cr_expect(sets(&cell, "seed=4") && sets(&cell, "name=b-setting2-s4") && sets(&cell, "model.dropout=0.1"));
    cell = rv_comparison_cell(c, rv_comparison_cells(c));
    cr_expect(cell.kind == RV_CELL_COST);
    cr_expect_str_eq(cell.path, "runs/x/cost/b.r3.json");
    cr_expect_str_eq(rv_comparison_cell(c, rv_comparison_cells(c) - 1).path, "runs/x/cost/a.r3.json",
                     "models take turns");
    cr_expect(!rv_cell_ready(c, 5) && rv_cell_ready(c, 1) && !rv_cell_ready(c, 21), "trainings wait for their model's trials");
    cr_expect(json_is_false(json_object_get(json_object_get(c->plan, "budget"), "equal")), "as many steps of batches half as large are not as many tokens");
    rv_comparison_close(c);
}

/* The budget in tokens is met by whole steps; stopping early, which would make it unequal, is switched off. */
Test(plan, tokens) {
    rv_comparison *c = plan("compare:\n  name: x\n  models: {a: lstm.yaml, b: gru.yaml}\n  budget: {train_tokens: 6400}\n");
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
        snprintf(yaml, sizeof yaml, "compare:\n  name: x\n  models: {a: {file: lstm.yaml, set: {model.decoder.hidden_size: 48}}, b: gru.yaml}\n  match: {by: %s}\n  budget: {train_steps: 2}\n", by[i]);
        rv_comparison *c = plan(yaml), *again = plan(yaml);
        cr_expect(json_equal(c->plan, again->plan));
        const json_t *rows = json_object_get(json_object_get(c->plan, "match"), "models"), *a = json_array_get(rows, 0), *b = json_array_get(rows, 1);
        cr_expect_eq(json_number_value(json_object_get(a, "off")), 0);
        cr_expect(json_is_true(json_object_get(b, "met")), "%s: off by %g", by[i], json_number_value(json_object_get(b, "off")));
        cr_expect_eq(json_integer_value(json_object_get(json_object_get(a, "widths"), "model.decoder.hidden_size")), 48);
        cr_expect_gt(json_integer_value(json_object_get(json_object_get(b, "widths"), "model.decoder.hidden_size")), 48, "a GRU has a gate less");
        if (i == 0) /* the table of 8 characters and 8 dimensions */
            cr_expect_eq(json_number_value(json_object_get(a, "value")), (double)(json_integer_value(json_object_get(a, "parameters")) - json_integer_value(json_object_get(a, "embedding_parameters"))));
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

/* By wall clock: what is measured is in the plan that was written, and stays. Nothing here depends on how fast the machine is. */
Test(plan, wall_clock) {
    static const char yaml[] = "compare:\n  name: x\n  models: {a: lstm.yaml, b: gru.yaml}\n  match: {by: wall_clock, tolerance: 0.5}\n  budget: {train_steps: 2}\n";
    rv_comparison *c = NULL, *again = NULL;
    put("cmp.yaml", yaml);
    cr_assert_eq(rv_comparison_open("cmp.yaml", 0, NULL, &c), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_comparison_plan(c, true), RV_OK, "%s", rv_error_message());
    const json_t *rows = json_object_get(json_object_get(c->plan, "match"), "models"), *a = json_array_get(rows, 0), *b = json_array_get(rows, 1);
    const double target = json_number_value(json_object_get(a, "value")), value = json_number_value(json_object_get(b, "value")), off = json_number_value(json_object_get(b, "off"));
    cr_expect(target > 0 && value > 0);
    cr_expect_float_eq(off, value / target - 1, 1e-12);
    cr_expect_eq(json_is_true(json_object_get(b, "met")), off <= 0.5 && off >= -0.5);
    const json_t *width = json_object_get(json_object_get(b, "widths"), "model.decoder.hidden_size");
    char set[80];
    snprintf(set, sizeof set, "model.decoder.hidden_size=%lld", (long long)json_integer_value(width));
    const json_t *sets = json_object_get(json_array_get(json_object_get(c->plan, "models"), 1), "set");
    cr_expect_str_eq(json_string_value(json_array_get(sets, json_array_size(sets) - 1)), set);
    cr_assert_eq(rv_comparison_open("cmp.yaml", 0, NULL, &again), RV_OK);
    cr_assert_eq(rv_comparison_plan(again, true), RV_OK, "%s", rv_error_message());
    cr_expect(json_equal(c->plan, again->plan), "it is not measured again");
    rv_comparison_close(c);
    rv_comparison_close(again);
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
        cr_expect(strstr(rv_error_message(), "plan.json") && strstr(rv_error_message(), "made again"), "%s", rv_error_message());
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
    int64_t tokens;
    rv_tape *tape = rv_tape_create();
    cr_assert_eq(rv_params_materialise(m->params, 1), RV_OK);
    cr_assert_eq(rv_gemm_reserve(), RV_OK);
    for (int i = 0; i < 3; i++) {
        rv_tape_reset(tape);
        cr_assert_eq(m->task->kind->next_batch(m->task, &tokens), RV_OK);
        const rv_tensor *l = m->task->kind->loss(tape, m->task);
        cr_assert(l);
        loss[i] = (double)l->x[0];
        m->task->kind->commit(m->task);
    }
    rv_tape_destroy(tape);
}

/* A model made again at another width, on a task's data, is the one that a new task has: to the bit, on the same batches. */
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
        model fresh = make_model(kinds[k].yaml, 1, &kinds[k].set), old = make_model(kinds[k].yaml, 0, NULL), wider = make_model(kinds[k].yaml, 1, &kinds[k].set);
        const rv_task_kind *kind = rv_task_find(rv_config_text(old.config, "task"));
        cr_assert_eq(kind->create(fresh.config, NULL, true, fresh.params, &fresh.task), RV_OK, "%s", rv_error_message());
        cr_assert_eq(kind->create(old.config, NULL, true, old.params, &old.task), RV_OK, "%s", rv_error_message());
        first_losses(&fresh, expected);
        first_losses(&old, got);
        cr_expect_neq(got[0], expected[0], "another width is another model");
        wider.task = old.task;
        cr_assert_eq(kind->rebuild(old.task, wider.config, wider.params), RV_OK, "%s", rv_error_message());
        first_losses(&wider, got);
        for (int i = 0; i < 3; i++) cr_expect_eq(got[i], expected[i], "task %d, batch %d: %.17g, not %.17g", k, i, got[i], expected[i]);
        kind->cost(fresh.task, fresh.params, &flops[0], &positions[0]);
        kind->cost(wider.task, wider.params, &flops[1], &positions[1]);
        cr_expect(flops[0] == flops[1] && positions[0] == positions[1] && rv_params_count(fresh.params) == rv_params_count(wider.params));
        kind->destroy(fresh.task);
        kind->destroy(wider.task);
        model *const all[] = {&fresh, &old, &wider};
        for (int i = 0; i < 3; i++) {
            rv_params_destroy(all[i]->params);
            rv_config_destroy(all[i]->config);
        }
    }
}

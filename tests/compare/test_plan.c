/* Plans: settings, cells and their assignments, steps of a budget in tokens. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare/comparison.h"

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
    rv_comparison *c = plan("compare:\n  name: x\n  models: {a: lstm.yaml, b: gru.yaml}\n  settings: {train.batch.length: [8, 16], model.dropout: [0, 0.1]}\n"
                            "  seeds: [3, 4]\n  budget: {train_steps: 7}\n  tune: {lr: [1e-3, 0.5], train_tokens: 200, seed: 9}\n  cost: {sequence_length: [8]}\n");
    cr_assert_eq(rv_comparison_cells(c), 2 * 2 + 4 * 2 * 2 + 2);
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
    cr_expect_str_eq(cell.path, "runs/x/cost/b.json");
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

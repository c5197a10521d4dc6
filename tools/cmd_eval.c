/* ravel eval */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "overrides.h"
#include "tool.h"

typedef struct {
    rv_overrides over;
    const char *split;
    bool json;
} arguments;

static const struct argp_option options[] = {
    {"split", 's', "train|valid|test", 0, "What to measure (default valid)", 0},
    {"json", 'j', 0, 0, "Print JSON", 0},
    {0},
};
static const char *const splits[] = {"train", "valid", "test"};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 's': a->split = arg; return 0;
    case 'j': a->json = true; return 0;
    default: return rv__overrides_parse(&a->over, "a run's folder or a checkpoint", key, arg, state);
    }
}

static void print(const arguments *a, const rv_trained *t, const rv_metrics_result *r) {
    if (!a->json) {
        for (int i = 0; i < r->n; i++) printf("%-10s %.6f\n", r->m[i].name, r->m[i].value);
        printf("%-10s %lld\n", "tokens", (long long)r->tokens);
        return;
    }
    json_t *o = json_pack("{s:s, s:s, s:I, s:I}", "checkpoint", t->path, "split", a->split, "step", (json_int_t)rv_checkpoint_step(t->saved), "tokens",
                          (json_int_t)r->tokens);
    for (int i = 0; i < r->n; i++) json_object_set_new(o, r->m[i].name, json_real(r->m[i].value));
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

int rv_cmd_eval(int argc, char **argv) {
    static const struct argp argp = {options, parse, "RUN|CHECKPOINT [key.path=value ...]",
                                     "Measure a trained model with the metrics of its experiment.\v"
                                     "RUN is a run's folder: its best checkpoint is taken.\n\n"
                                     "examples:\n"
                                     "  ravel eval runs/shakespeare-gpt\n"
                                     "  ravel eval --json --split train runs/shakespeare-gpt metrics='[loss, bpc, accuracy]'",
                                     0, 0, 0};
    arguments a = {.split = "valid"};
    rv__tool_parse(&argp, argc, argv, &a);
    int split = 0;
    while (split < 3 && strcmp(splits[split], a.split)) split++;
    if (split == 3) return rv__tool_finish(rv_error(RV_EUSAGE, "unknown split '%s'; there are train, valid and test", a.split));
    rv_trained t;
    rv_status status = rv_trained_open(a.over.path, a.over.n, a.over.text, true, &t);
    if (status != RV_OK) return rv__tool_finish(status);
    rv_tape *tape = rv_tape_create();
    rv_metrics_result result;
    status = tape ? t.task->kind->evaluate(tape, t.task, (rv_subset)split, &result) : RV_ENOMEM;
    if (status == RV_OK) print(&a, &t, &result);
    rv_tape_destroy(tape);
    rv_trained_close(&t);
    return rv__tool_finish(status);
}

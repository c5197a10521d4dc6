/* ravel probe */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/gradient_flow.h"
#include "overrides.h"
#include "tool.h"

typedef struct {
    rv_overrides over;
    int64_t length;
    bool json;
} arguments;

static const struct argp_option options[] = {
    {"length", 'l', "N", 0, "Language model: tokens of a window (default train.batch.length)", 0},
    {"json", 'j', 0, 0, "Print JSON", 0},
    RV__QUIET(0),
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 'l': a->length = rv__tool_whole(arg, "--length", 1, INT32_MAX, state); return 0;
    case 'j': a->json = true; return 0;
    default:
        return rv__overrides_parse(&a->over, "an experiment file, a run's folder or a checkpoint", key, arg, state);
    }
}

/* Columns: 0, 1, 2, 5, 10, 20, 50 ... and the last lag of all. */
enum { COLUMNS = 12 };
static int choose_lags(const json_t *series, int64_t lags[COLUMNS]) {
    static const int64_t steps[] = {0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    int64_t last = 0;
    int n = 0;
    for (size_t i = 0; i < json_array_size(series); i++) {
        int64_t k = (int64_t)json_array_size(json_object_get(json_array_get(series, i), "lag")) - 1;
        if (k > last) last = k;
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps && steps[i] < last; i++) lags[n++] = steps[i];
    lags[n++] = last;
    return n;
}

static void print_flow(const char *title, const json_t *flow) {
    const json_t *series = json_object_get(flow, "series");
    int64_t lags[COLUMNS];
    int n = choose_lags(series, lags);
    char half_text[32];
    printf("%s; L: %s; mean of %lld examples\n", title, json_string_value(json_object_get(flow, "loss")),
           (long long)json_integer_value(json_object_get(flow, "examples")));
    printf("%-24s %9s  |dL/dh| / |dL/dr| at lag\n%-24s %9s", "state", "half-life", "", "");
    for (int i = 0; i < n; i++) printf(" %8lld", (long long)lags[i]);
    putchar('\n');
    for (size_t k = 0; k < json_array_size(series); k++) {
        const json_t *s = json_array_get(series, k), *norm = json_object_get(s, "norm");
        const json_t *half = json_object_get(s, "half_life");
        if (json_is_number(half))
            snprintf(half_text, sizeof half_text, "%.2f", json_number_value(half));
        else
            snprintf(half_text, sizeof half_text, "none");
        printf("%-24s %9s", json_string_value(json_object_get(s, "state")), half_text);
        for (int i = 0; i < n; i++) {
            const json_t *v = json_array_get(norm, (size_t)lags[i]);
            if (json_is_number(v))
                printf(" %8.2g", json_number_value(v));
            else
                printf(" %8s", v ? "inf" : "-");
        }
        putchar('\n');
    }
}

static void print(const arguments *a, json_t *flows) {
    if (a->json) {
        json_dumpf(flows, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        putchar('\n');
        return;
    }
    static const char *const when[] = {"before", "after"}, *const title[] = {"at initialisation", "after training"};
    for (int i = 0; i < 2; i++) {
        const json_t *flow = json_object_get(flows, when[i]);
        if (flow) print_flow(title[i], flow);
        if (flow && !i && json_object_get(flows, when[1])) putchar('\n');
    }
}

/* Other examples are as long as the data have them. */
static rv_status check_length(const arguments *a, const rv_config *config) {
    const char *task = rv_config_text(config, "task");
    if (!a->length || rv_task_find(task)->source->split) return RV_OK;
    return rv_error(RV_EUSAGE, "--length is for language models; %s is of task %s: leave it out", a->over.path, task);
}

static rv_status of_run(const arguments *a, rv_tape *tape, json_t **out) {
    rv_trained t;
    RV_TRY(rv_trained_open(a->over.path, a->over.n, a->over.text, true, &t));
    rv_status status = check_length(a, t.config);
    if (status == RV_OK) status = rv_gradient_flow_trained(tape, &t, a->length, out);
    rv_trained_close(&t);
    return status;
}

static rv_status of_experiment(const arguments *a, rv_tape *tape, json_t **out) {
    rv_config *config = NULL;
    rv_task *task = NULL;
    rv_params *params = rv_params_create();
    json_t *before = NULL;
    rv_status status = params ? rv_experiment_load(a->over.path, a->over.n, a->over.text, &config) : RV_ENOMEM;
    if (status == RV_OK) status = check_length(a, config);
    if (status == RV_OK) rv_set_threads((int)rv_config_int(config, "runtime.threads"));
    if (status == RV_OK) status = rv_task_create(config, NULL, true, params, &task);
    if (status == RV_OK) status = rv_params_materialise(params, (uint64_t)rv_config_int(config, "seed"));
    if (status == RV_OK) status = rv_gemm_reserve();
    if (status == RV_OK) status = rv_gradient_flow(tape, task, a->length, &before);
    if (status == RV_OK) *out = json_pack("{s:o}", "before", before);
    rv_task_destroy(task);
    rv_params_destroy(params);
    rv_config_destroy(config);
    return status;
}

int rv_cmd_probe(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "EXPERIMENT|RUN|CHECKPOINT [key.path=value ...]",
        "How far back a model's gradient reaches: norms of dL/dh by distance from the end.\v"
        "Of an experiment file at initialisation, of a run before and after training. 1 means as strong as at r, the "
        "vectors "
        "that the loss is read off. The half-life is the distance after which the norm has halved, from a straight "
        "line "
        "through its logarithms.\n\n"
        "examples:\n"
        "  ravel probe experiments/shakespeare/lstm.yaml --length 100\n"
        "  ravel probe vanishing-gradients/lstm\n"
        "  ravel probe runs/quickstart --json",
        0,
        0,
        0};
    arguments a = {0};
    rv__tool_parse(&argp, argc, argv, &a);
    json_t *flows = NULL;
    rv_tape *tape = rv_tape_create();
    rv_status status = !tape                           ? RV_ENOMEM
                       : rv_experiment_is(a.over.path) ? of_experiment(&a, tape, &flows)
                                                       : of_run(&a, tape, &flows);
    if (status == RV_OK) print(&a, flows);
    json_decref(flows);
    rv_tape_destroy(tape);
    return rv__tool_finish(status);
}

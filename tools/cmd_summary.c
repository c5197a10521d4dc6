/* ravel summary */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overrides.h"
#include "tool.h"

static const struct argp_option options[] = {RV__QUIET(0), {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
    return rv__overrides_parse(state->input, "an experiment file, a run's folder or a checkpoint", key, arg, state);
}

/* The part that a parameter belongs to: its name without the last word, or, in a recurrent stack, with the layer. */
static void part_name(const char *name, char *part, size_t size) {
    const char *dot = strrchr(name, '.'), *layer = strstr(dot ? dot : name, "_l");
    snprintf(part, size, "%.*s%s%s", dot ? (int)(dot - name) : (int)strlen(name), name, layer ? "." : "",
             layer ? layer + 1 : "");
}

static void print(const rv_config *config, const rv_params *ps, rv_task *task) {
    char words[RV_MODEL_WORDS];
    rv_model_words(config, words);
    printf("%s\n\n", words);
    double flops, in_weights = 0;
    int64_t positions;
    rv_task_cost(task, ps, &flops, &positions);
    flops /= (double)positions;
    const bool counts = rv_model_counts(rv_task_model(task)); /* by which no weight is learned, or frozen */
    printf("%-44s %-20s %12s %16s\n", "part", "largest shape", "parameters", "FLOPs/token");
    for (int i = 0; i < ps->n;) {
        char part[256], next[256], shape[RV_SHAPE_TEXT] = "";
        int64_t count = 0, largest = 0, frozen = 0;
        double part_flops = 0;
        part_name(ps->p[i]->name, part, sizeof part);
        for (; i < ps->n; i++) {
            const rv_tensor *t = &ps->p[i]->t;
            part_name(ps->p[i]->name, next, sizeof next);
            if (strcmp(part, next)) break;
            count += rv_numel(t);
            if (ps->p[i]->frozen && !counts) frozen += rv_numel(t);
            part_flops += rv_task_weight_flops(task, ps->p[i]);
            if (rv_numel(t) > largest) rv_shape_text(t, shape, sizeof shape);
            if (rv_numel(t) > largest) largest = rv_numel(t);
        }
        in_weights += part_flops;
        printf("%-44s %-20s %12lld %16.0f%s\n", part, shape, (long long)count, part_flops,
               !frozen           ? ""
               : frozen == count ? "  frozen"
                                 : "  partly frozen");
    }
    if (flops > in_weights)
        printf("%-44s %-20s %12s %16.0f\n", "attention: q k^T and weights v", "", "", flops - in_weights);
    printf("%-44s %-20s %12lld %16.0f\n", "total", "", (long long)rv_params_count(ps), flops);
    if (counts) {
        printf("\nIts parameters are counted, in one step that reads all of the training part.\n");
        return;
    }
    const int64_t frozen = rv_params_frozen(ps);
    if (frozen) printf("%-44s %-20s %12lld\n", "frozen", "", (long long)frozen);
    printf("\nFLOPs are of the forward pass, two per multiply-add; training takes %sthree times as many: %.4g per step "
           "of %lld tokens%s.\n",
           frozen ? "up to " : "", 3 * flops * (double)positions, (long long)positions,
           frozen ? ", frozen parts counted as if they were trained" : "");
}

int rv_cmd_summary(int argc, char **argv) {
    static const struct argp argp = {options,
                                     parse,
                                     "EXPERIMENT|RUN|CHECKPOINT [key.path=value ...]",
                                     "Parameters and FLOPs of a model, part by part.\v"
                                     "example: ravel summary experiments/shakespeare/gpt.yaml",
                                     0,
                                     0,
                                     0};
    rv_overrides a = {0};
    rv__tool_parse(&argp, argc, argv, &a);
    rv_status status;
    if (!rv_experiment_is(a.path)) {
        rv_trained t;
        status = rv_trained_open(a.path, a.n, a.text, false, &t);
        if (status == RV_OK) status = rv_freeze(t.config, t.params);
        if (status == RV_OK) print(t.config, t.params, t.task);
        rv_trained_close(&t);
        return rv__tool_finish(status);
    }
    rv_config *config = NULL;
    rv_task *task = NULL;
    rv_params *params = rv_params_create();
    status = params ? rv_experiment_load(a.path, a.n, a.text, &config) : RV_ENOMEM;
    if (status == RV_OK) status = rv_task_create(config, NULL, true, params, &task);
    if (status == RV_OK) status = rv_freeze(config, params);
    if (status == RV_OK) print(config, params, task);
    rv_task_destroy(task);
    rv_params_destroy(params);
    rv_config_destroy(config);
    return rv__tool_finish(status);
}

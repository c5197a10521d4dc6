/* ravel train */
#include "overrides.h"
#include "tool.h"

typedef struct {
    rv_overrides over;
    rv_train_options options;
} arguments;

static const struct argp_option options[] = {
    {"resume", 'r', "auto|never|CKPT", 0,
     "Where to start: the run folder's latest good checkpoint if there is one (auto, the default), afresh (never), or "
     "a checkpoint file",
     0},
    {"dry-run", 'n', 0, 0, "Run one batch and print parameters, FLOPs, memory and the expected time", 0},
    RV__QUIET(0),
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 'r': a->options.resume = arg; return 0;
    case 'n': a->options.dry_run = true; return 0;
    default: return rv__overrides_parse(&a->over, "an experiment file", key, arg, state);
    }
}

int rv_cmd_train(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "EXPERIMENT [key.path=value ...]",
        "Train the model of an experiment file.\v"
        "The same command again continues where it stopped. Everything goes into the run's folder (checkpoint.dir): "
        "checkpoints, metrics.jsonl, "
        "the resolved configuration. EXPERIMENT is a YAML file, or the name of one that comes with ravel: 'ravel "
        "config list'.\n\n"
        "examples:\n"
        "  ravel train experiments/shakespeare/gpt.yaml\n"
        "  ravel train experiments/shakespeare/lstm.yaml seed=2 name=lstm-2 train.max_steps=500\n"
        "  ravel train quickstart/transformer\n"
        "  ravel train --dry-run shakespeare/gpt",
        0,
        0,
        0};
    arguments a = {0};
    rv__tool_parse(&argp, argc, argv, &a);
    rv_config *config = NULL;
    rv_status status = rv_experiment_load(a.over.path, a.over.n, a.over.text, &config);
    if (status == RV_OK) status = rv_train(config, &a.options);
    rv_config_destroy(config);
    return rv__tool_finish(status);
}

/* ravel config: check experiment files, show what they come to, explain keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/comparison.h"
#include "config/new.h"
#include "tool.h"

static const char doc[] =
    "Check experiment files, show what they come to, explain keys."
    "\v  list     print the experiments that are known by name: of ./experiments, and those that came with ravel\n"
    "  new      print the beginning of an experiment file for a task and your files, or of a comparison of several\n"
    "  check    report every mistake of each file\n"
    "  show     print the settings, includes and assignments merged\n"
    "  explain  print a key's values, default and meaning, or a section's keys\n"
    "\n"
    "examples:\n"
    "  ravel config list\n"
    "  ravel config new translation --train pairs.tsv > mine.yaml\n"
    "  ravel config new language_model --train text.txt > mine.yaml\n"
    "  ravel config new compare mine.yaml other.yaml > compare.yaml\n"
    "  ravel config check experiments/*/*.yaml\n"
    "  ravel config show --resolved shakespeare/gpt train.optimizer.lr=1e-3\n"
    "  ravel config explain train.lr_scheduler\n";

enum { OPT_TRAIN = 256, OPT_VALID, OPT_TEST };

typedef struct {
    bool resolved;
    rv__config_new_options fresh;
    char **arg;
    int n;
} arguments;

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 'r': a->resolved = true; return 0;
    case OPT_TRAIN: a->fresh.train = arg; return 0;
    case OPT_VALID: a->fresh.valid = arg; return 0;
    case OPT_TEST: a->fresh.test = arg; return 0;
    case ARGP_KEY_SUCCESS:
        if (a->resolved && strcmp(a->arg[0], "show")) argp_error(state, "--resolved goes with 'show'");
        if ((a->fresh.train || a->fresh.valid || a->fresh.test) && strcmp(a->arg[0], "new"))
            argp_error(state, "--train, --valid and --test go with 'new'; an assignment is data.train=FILE");
        return 0;
    case ARGP_KEY_ARGS:
        a->arg = state->argv + state->next;
        a->n = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_usage(state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"resolved", 'r', NULL, 0, "with 'show': defaults filled in", 0},
    {"train", OPT_TRAIN, "FILE", 0,
     "with 'new': what to learn from; a part of it is kept to validate on, unless --valid is given", 0},
    {"valid", OPT_VALID, "FILE", 0, "with 'new': what to validate on", 0},
    {"test", OPT_TEST, "FILE", 0, "with 'new': what 'ravel eval --split test' measures", 0},
    {0},
};
static const struct argp argp = {options,
                                 parse_option,
                                 "list\nnew TASK|compare [FILE...]\ncheck EXPERIMENT...\nshow [--resolved] EXPERIMENT "
                                 "[KEY.PATH=VALUE...]\nexplain [KEY]",
                                 doc,
                                 NULL,
                                 NULL,
                                 NULL};

static int usage(const char *why) {
    return rv__tool_finish(rv_error(RV_EUSAGE, "%s; 'ravel config --help' shows how", why));
}

static int check(int n, char **file) {
    int result = 0;
    for (int i = 0; i < n; i++) {
        rv_config *c = NULL;
        char path[RV_PATH_MAX];
        rv_status status = rv_experiment_find(file[i], false, path);
        if (status == RV_OK) status = rv_config_load(path, 0, NULL, &c);
        if (status == RV_OK && rv_config_has(c, "compare")) { /* with the experiments that it names */
            rv_comparison *all;
            status = rv_comparison_open(path, 0, NULL, &all);
            rv_comparison_close(all);
        }
        rv_config_destroy(c);
        if (status == RV_OK) {
            printf("%s: ok\n", file[i]);
            continue;
        }
        fflush(stdout);
        fprintf(stderr, "%s\n", rv_error_message()); /* each line begins with file:line:column, as editors want it */
        result = rv_exit_code(status);
    }
    return result ? result : rv__tool_finish(RV_OK);
}

static int show(const char *file, int n, char **overrides, bool resolved) {
    rv_config *c;
    char path[RV_PATH_MAX];
    rv_status status = rv_experiment_find(file, false, path);
    if (status == RV_OK) status = rv_config_load(path, n, (const char *const *)overrides, &c);
    if (status != RV_OK) return rv__tool_finish(status);
    rv_config_tell(c);
    char *text = resolved ? rv_config_resolved(c) : rv_config_merged(c);
    if (text)
        fputs(text, stdout);
    else
        status = RV_ENOMEM;
    free(text);
    rv_config_destroy(c);
    return rv__tool_finish(status);
}

/* A name, and the comment in the first line of its file. */
static bool list_one(void *arg, const char *name, const char *path) {
    char line[256] = "";
    FILE *f = fopen(path, "r");
    if (f && !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) fclose(f);
    line[strcspn(line, "\r\n")] = 0;
    printf("%-32s%s\n", name, line[0] == '#' ? line + 1 : "");
    return true;
}

int rv_cmd_config(int argc, char **argv) {
    arguments a = {0};
    rv__tool_parse(&argp, argc, argv, &a);
    const char *what = a.arg[0];
    if (!strcmp(what, "list"))
        return a.n > 1 ? usage("list: it takes no more words") : rv__tool_finish(rv_experiment_each(list_one, NULL));
    if (!strcmp(what, "new")) {
        if (a.n < 2) return usage("new: of which task?");
        a.fresh.what = a.arg[1], a.fresh.model = a.arg + 2, a.fresh.models = a.n - 2;
        return rv__tool_finish(rv__config_new(&a.fresh));
    }
    if (!strcmp(what, "check")) return a.n < 2 ? usage("check: which file?") : check(a.n - 1, a.arg + 1);
    if (!strcmp(what, "show"))
        return a.n < 2 ? usage("show: which file?") : show(a.arg[1], a.n - 2, a.arg + 2, a.resolved);
    if (!strcmp(what, "explain"))
        return a.n > 2 ? usage("explain: one key at a time")
                       : rv__tool_finish(rv_config_explain(a.n < 2 ? "" : a.arg[1], stdout));
    rv_error(RV_EUSAGE, "unknown action '%.64s'; it is list, new, check, show or explain", what);
    return rv__tool_finish(RV_EUSAGE);
}

/* ravel data get|list|path|make */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tool.h"

enum { OPT_SEED = 256, OPT_TRAIN, OPT_VALID, OPT_TEST, OPT_MIN_LENGTH, OPT_MAX_LENGTH, ARGS_MAX = 64 };

typedef struct {
    const char *args[ARGS_MAX];
    int n;
    const char *out;
    bool verify;
    int64_t seed, train, valid, test, min_length, max_length; /* -1: not given */
} options;

static error_t parse(int key, char *arg, struct argp_state *state) {
    options *o = state->input;
    struct {
        int key;
        const char *name;
        int64_t *value;
    } counts[] = {{OPT_SEED, "--seed", &o->seed},
                  {OPT_TRAIN, "--train", &o->train},
                  {OPT_VALID, "--valid", &o->valid},
                  {OPT_TEST, "--test", &o->test},
                  {OPT_MIN_LENGTH, "--min-length", &o->min_length},
                  {OPT_MAX_LENGTH, "--max-length", &o->max_length}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (key != counts[i].key) continue;
        *counts[i].value = rv__tool_whole(arg, counts[i].name, 0, INT64_MAX, state);
        return 0;
    }
    switch (key) {
    case 'o': o->out = arg; return 0;
    case 'v': o->verify = true; return 0;
    case ARGP_KEY_ARG:
        if (o->n == ARGS_MAX) argp_error(state, "more than %d arguments", ARGS_MAX);
        o->args[o->n++] = arg;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_usage(state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

typedef struct {
    int n;
    rv_status status;
} listing;

static bool list_one(void *arg, const char *name) {
    rv_dataset *ds;
    listing *l = arg;
    l->n++;
    if (rv_dataset_open(name, &ds) != RV_OK) { /* one bad manifest does not hide the others */
        rv_warn("%s", rv_error_message());
        l->status = RV_EDATA;
        return true;
    }
    printf("%-16s %-8s %-8s %s [%s]\n", name, rv_dataset_format(ds), rv_dataset_present(ds) ? "here" : "-",
           rv_dataset_description(ds), rv_dataset_licence(ds));
    rv_dataset_destroy(ds);
    return true;
}

static rv_status list(void) {
    listing l = {0, RV_OK};
    char places[8192];
    RV_TRY(rv_dataset_each(list_one, &l));
    if (l.n) return l.status;
    return rv_error(RV_EDATA, "no data sets: no folder with manifest.json in %s; RAVEL_DATASETS names another place",
                    rv_dataset_places(places, sizeof places));
}

static rv_status get(const options *o) {
    if (o->n < 2) return rv_error(RV_EUSAGE, "data get: name a data set; 'ravel data list' shows them");
    for (int i = 1; i < o->n; i++) {
        rv_dataset *ds;
        RV_TRY(rv_dataset_open(o->args[i], &ds));
        rv_status status = rv_dataset_get(ds, o->verify);
        if (status == RV_OK) printf("%s\n", rv_dataset_folder(ds));
        rv_dataset_destroy(ds);
        if (status != RV_OK) return status;
    }
    return RV_OK;
}

static rv_status path(const options *o) {
    if (o->n < 2 || o->n > 3) return rv_error(RV_EUSAGE, "usage: ravel data path NAME [ROLE]");
    rv_dataset *ds;
    RV_TRY(rv_dataset_resolve(o->args[1], &ds));
    const char *p = rv_dataset_folder(ds);
    rv_status status = o->n == 3 ? rv_dataset_require(ds, o->args[2], &p) : RV_OK;
    if (status == RV_OK) printf("%s\n", p);
    rv_dataset_destroy(ds);
    return status;
}

static rv_status make(const options *o) {
    if (o->n != 2 || !o->out) return rv_error(RV_EUSAGE, "usage: ravel data make TASK --out FOLDER");
    rv_generator t;
    RV_TRY(rv_generator_defaults(o->args[1], &t));
    if (o->seed >= 0) t.seed = (uint64_t)o->seed;
    if (o->train >= 0) t.train = o->train;
    if (o->valid >= 0) t.valid = o->valid;
    if (o->test >= 0) t.test = o->test;
    if (o->min_length >= 0) t.min_length = o->min_length;
    if (o->max_length >= 0) t.max_length = o->max_length;
    RV_TRY(rv__make_folders(o->out));
    return rv_generator_write(&t, o->out);
}

int rv_cmd_data(int argc, char **argv) {
    static const struct argp_option opts[] = {
        {"verify", 'v', 0, 0, "get: check the sha256 of files that are there already, and get wrong ones again", 0},
        {"out", 'o', "FOLDER", 0, "make: where to write", 0},
        {"seed", OPT_SEED, "N", 0, "make: 1 unless told", 0},
        {"train", OPT_TRAIN, "N", 0, "make: training examples (10000)", 0},
        {"valid", OPT_VALID, "N", 0, "make: validation examples (1000)", 0},
        {"test", OPT_TEST, "N", 0, "make: test examples (1000)", 0},
        {"min-length", OPT_MIN_LENGTH, "N", 0, "make: shortest sequence", 0},
        {"max-length", OPT_MAX_LENGTH, "N", 0, "make: longest sequence", 0},
        {0},
    };
    static const struct argp argp = {
        opts,
        parse,
        "get NAME...\nlist\npath NAME [ROLE]\nmake TASK --out FOLDER",
        "Get, list and generate data sets.\n\n"
        "Files are kept in ${RAVEL_DATA:-data-cache}/NAME. They come from $RAVEL_DATA_MIRROR/NAME if that is set, else "
        "from the address in the manifest, "
        "and are checked against its sha256. Manifests: $RAVEL_DATASETS, or ./datasets and the installed ones.\v"
        "Tasks for 'make': copy, reverse, adding, recall, dates, phrases, lookahead.\n\nexamples:\n  ravel data get "
        "tinyshakespeare multi30k\n"
        "  ravel data make dates --out /tmp/dates --train 5000",
        NULL,
        NULL,
        NULL};
    static const char *const actions[] = {"get", "list", "path", "make"};
    options o = {.seed = -1, .train = -1, .valid = -1, .test = -1, .min_length = -1, .max_length = -1};
    rv__tool_parse(&argp, argc, argv, &o);
    int a = 0;
    while (a < 4 && strcmp(actions[a], o.args[0])) a++;
    switch (a) {
    case 0: return rv__tool_finish(get(&o));
    case 1: return rv__tool_finish(list());
    case 2: return rv__tool_finish(path(&o));
    case 3: return rv__tool_finish(make(&o));
    }
    return rv__tool_finish(
        rv_error(RV_EUSAGE, "data: unknown action '%s'; there are: get, list, path, make", o.args[0]));
}

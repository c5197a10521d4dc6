/* ravel ckpt info | verify | diff | average | seal: what is in checkpoints, whether they are whole, how they differ,
 * their mean, and new ones of what another program wrote. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

enum { KEY_TEXT = 300, KEY_ONLY, KEY_LIKE };
typedef struct {
    char **files;
    int n, min, max; /* files given, allowed */
    bool json;
    const char *text, *only, *like, *out;
} arguments;

static error_t take(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 'j': a->json = true; return 0;
    case KEY_TEXT: a->text = arg; return 0;
    case KEY_ONLY: a->only = arg; return 0;
    case KEY_LIKE: a->like = arg; return 0;
    case 'o': a->out = arg; return 0;
    case ARGP_KEY_ARGS:
        a->files = state->argv + state->next;
        a->n = state->argc - state->next;
        return 0;
    case ARGP_KEY_END:
        if (a->n < a->min || a->n > a->max)
            argp_error(state, "%s", a->n < a->min ? "a file is missing" : "too many files");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

#define JSON_OPTION                                                                                                    \
    { "json", 'j', NULL, 0, "Print JSON", 0 }

static void print_json(json_t *j) {
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(j);
}

/* A checkpoint, or a run's folder: its latest one that verifies. */
static rv_status open_any(const char *path, rv_checkpoint **ck) {
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return rv_checkpoint_open(path, ck);
    RV_TRY(rv_run_dir_latest(path, ck));
    return *ck ? RV_OK : rv_run_dir_without(path);
}

static const char *shape_text(const rv_ck_item *it, char buf[RV_SHAPE_TEXT]) {
    rv_tensor t = {.ndim = it->ndim};
    memcpy(t.dim, it->dim, sizeof *it->dim * (size_t)it->ndim);
    return rv_shape_text(&t, buf, RV_SHAPE_TEXT);
}

static size_t item_bytes(const rv_ck_item *it) { return (size_t)rv_ck_count(it) * rv_ck_type_size(it->type); }
static bool in_group(const rv_ck_item *it, const char *group) {
    size_t n = strlen(group);
    while (n && group[n - 1] == '/') n--;
    return !strncmp(it->path, group, n) && (it->path[n] == '/' || !it->path[n]);
}

static bool same_layout(const rv_ck_item *a, const rv_ck_item *b) {
    return a->type == b->type && a->ndim == b->ndim && !memcmp(a->dim, b->dim, sizeof *a->dim * (size_t)a->ndim);
}

/* ---- info ---- */

static json_t *shape_json(const rv_ck_item *it) {
    json_t *shape = json_array();
    for (int d = 0; d < it->ndim; d++) json_array_append_new(shape, json_integer(it->dim[d]));
    return shape;
}

static int64_t model_parameters(const rv_checkpoint *ck) {
    int64_t sum = 0;
    for (int i = 0; i < rv_checkpoint_count(ck); i++)
        if (in_group(rv_checkpoint_item(ck, i), "/model")) sum += rv_ck_count(rv_checkpoint_item(ck, i));
    return sum;
}

static void info_json(const rv_checkpoint *ck) {
    json_t *items = json_array();
    for (int i = 0; i < rv_checkpoint_count(ck); i++) {
        const rv_ck_item *it = rv_checkpoint_item(ck, i);
        json_array_append_new(items, json_pack("{s:s, s:s, s:o}", "path", it->path, "type", rv_ck_type_name(it->type),
                                               "shape", shape_json(it)));
    }
    print_json(json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:o}", "file", rv_checkpoint_path(ck), "step",
                         (json_int_t)rv_checkpoint_step(ck), "state_hash", rv_checkpoint_state_hash(ck),
                         "ravel_version", rv_checkpoint_writer(ck), "bytes", (json_int_t)rv_checkpoint_bytes(ck),
                         "model_parameters", (json_int_t)model_parameters(ck), "items", items));
}

static int info(int argc, char **argv) {
    static const struct argp_option options[] = {
        JSON_OPTION,
        {"text", KEY_TEXT, "ITEM", 0, "Print one item's bytes alone, for example /config/resolved", 0},
        {0}};
    static const struct argp argp = {options,
                                     take,
                                     "FILE|RUN_FOLDER",
                                     "What a checkpoint, or the latest good one of a run's folder, holds.\v"
                                     "examples:\n  ravel ckpt info runs/quickstart\n"
                                     "  ravel ckpt info --text /config/resolved runs/quickstart/best.h5",
                                     NULL,
                                     NULL,
                                     NULL};
    arguments a = {.min = 1, .max = 1};
    rv__tool_parse(&argp, argc, argv, &a);
    rv_checkpoint *ck;
    rv_status st = open_any(a.files[0], &ck);
    if (st != RV_OK) return rv__tool_finish(st);
    if (a.text) {
        const rv_ck_item *it = rv_checkpoint_find(ck, a.text);
        if (!it || it->type != RV_CK_U8)
            st = rv_error(RV_EUSAGE, "%s: has no text '%s'; 'ravel ckpt info %s' lists what it has",
                          rv_checkpoint_path(ck), a.text, a.files[0]);
        else
            fwrite(it->data, 1, item_bytes(it), stdout);
    } else if (a.json) {
        info_json(ck);
    } else {
        printf("file         %s\nstep         %" PRId64
               "\nstate        %s\nwritten by   ravel %s\nbytes        %" PRId64 "\nparameters   %" PRId64 "\n\n",
               rv_checkpoint_path(ck), rv_checkpoint_step(ck), rv_checkpoint_state_hash(ck), rv_checkpoint_writer(ck),
               rv_checkpoint_bytes(ck), model_parameters(ck));
        for (int i = 0; i < rv_checkpoint_count(ck); i++) {
            const rv_ck_item *it = rv_checkpoint_item(ck, i);
            char shape[RV_SHAPE_TEXT];
            printf("%-7s  %-18s %s\n", rv_ck_type_name(it->type), shape_text(it, shape), it->path);
        }
    }
    rv_checkpoint_close(ck);
    return rv__tool_finish(st);
}

/* ---- verify ---- */

typedef struct {
    bool bad, unreadable;
    json_t *list; /* or NULL */
} verdict;

static void verify_file(const char *path, verdict *v) {
    rv_checkpoint *ck;
    rv_status st = rv_checkpoint_open(path, &ck);
    bool readable = st == RV_OK || (st == RV_ECKPT && !access(path, R_OK));
    const char *word = st == RV_OK ? "good" : readable ? "bad" : "unreadable";
    v->bad |= st != RV_OK && readable;
    v->unreadable |= !readable;
    if (v->list)
        json_array_append_new(v->list, json_pack("{s:s, s:s, s:s*}", "file", path, "verdict", word, "reason",
                                                 st == RV_OK ? NULL : rv_error_message()));
    else if (st == RV_OK)
        printf("good  %s (step %" PRId64 ", state %s)\n", path, rv_checkpoint_step(ck), rv_checkpoint_state_hash(ck));
    else
        printf("%s  %s\n", word, rv_error_message());
    rv_checkpoint_close(ck);
}

static rv_status verify_path(const char *path, verdict *v) {
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
        verify_file(path, v);
        return RV_OK;
    }
    int64_t *steps;
    int n;
    RV_TRY(rv_run_dir_list(path, &steps, &n));
    for (int i = 0; i < n; i++) {
        char name[32], file[RV_PATH_MAX];
        rv_run_dir_name(steps[i], name);
        snprintf(file, sizeof file, "%s/%s", path, name);
        verify_file(file, v);
    }
    free(steps);
    return n ? RV_OK : rv_run_dir_without(path);
}

static int verify(int argc, char **argv) {
    static const struct argp_option options[] = {JSON_OPTION, {0}};
    static const struct argp argp = {
        options,
        take,
        "FILE|RUN_FOLDER...",
        "Check every byte of checkpoints against the hash they were written with.\v"
        "Exit code 0: all are good; 6: one is damaged; 4: one cannot be read, or a folder has none.\n"
        "example: ravel ckpt verify runs/quickstart",
        NULL,
        NULL,
        NULL};
    arguments a = {.min = 1, .max = 1 << 30};
    rv__tool_parse(&argp, argc, argv, &a);
    verdict v = {.list = a.json ? json_array() : NULL};
    rv_status st = RV_OK;
    for (int i = 0; i < a.n && st == RV_OK; i++) st = verify_path(a.files[i], &v);
    if (v.list) print_json(v.list);
    if (v.bad) return rv__tool_finish(rv_error(RV_EVERIFY, "a checkpoint is damaged"));
    if (v.unreadable) return rv__tool_finish(rv_error(RV_ECKPT, "a checkpoint cannot be read"));
    return rv__tool_finish(st);
}

/* ---- diff ---- */

/* long double holds every float64 and every 64-bit integer exactly on this platform. */
static long double value_at(const rv_ck_item *it, int64_t i) {
    switch (it->type) {
    case RV_CK_F32: return ((const float *)it->data)[i];
    case RV_CK_F64: return ((const double *)it->data)[i];
    case RV_CK_I32: return ((const int32_t *)it->data)[i];
    case RV_CK_I64: return ((const int64_t *)it->data)[i];
    case RV_CK_U64: return ((const uint64_t *)it->data)[i];
    case RV_CK_U8: return ((const uint8_t *)it->data)[i];
    }
    return 0;
}

/* Largest |a - b| and |a - b| / max(|a|, |b|). NaN against a number, and Inf against another value, is infinitely far.
 */
static void distance(const rv_ck_item *a, const rv_ck_item *b, double *absolute, double *relative) {
    *absolute = *relative = 0;
    for (int64_t i = 0; i < rv_ck_count(a); i++) {
        long double x = value_at(a, i), y = value_at(b, i);
        if (x == y || (isnan(x) && isnan(y))) continue;
        long double d = fabsl(x - y), r = d / fmaxl(fabsl(x), fabsl(y));
        if (!isfinite(x) || !isfinite(y)) d = r = INFINITY;
        if (d > *absolute) *absolute = (double)d;
        if (r > *relative) *relative = (double)r;
    }
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_string("inf"); }

/* One JSON object of an item of either file, or one line if it differs; true if it is equal. */
static bool diff_item(const char *path, const rv_ck_item *a, const rv_ck_item *b, json_t *list) {
    const char *word = !a                   ? "only in the second"
                       : !b                 ? "only in the first"
                       : !same_layout(a, b) ? "other type or shape"
                                            : NULL;
    bool equal = !word && !memcmp(a->data, b->data, item_bytes(a));
    double absolute = 0, relative = 0;
    if (!word && !equal && a->type != RV_CK_U8) distance(a, b, &absolute, &relative);
    if (!word) word = equal ? "equal" : "differs";
    bool measured = !equal && a && b && same_layout(a, b) && a->type != RV_CK_U8;
    if (list) {
        json_t *j = json_pack("{s:s, s:s}", "path", path, "verdict", word);
        if (measured)
            json_object_set_new(j, "max_abs", number(absolute)), json_object_set_new(j, "max_rel", number(relative));
        json_array_append_new(list, j);
    } else if (measured) {
        printf("%-8s %s  max abs %.3g  max rel %.3g\n", word, path, absolute, relative);
    } else if (!equal) {
        printf("%-8s %s\n", word, path);
    }
    return equal;
}

static int diff(int argc, char **argv) {
    static const struct argp_option options[] = {
        JSON_OPTION, {"only", KEY_ONLY, "GROUP", 0, "Compare only the items of a group, for example /model", 0}, {0}};
    static const struct argp argp = {options,
                                     take,
                                     "A B",
                                     "Compare two checkpoints (or the latest of two runs' folders), item by item: the "
                                     "largest absolute and relative difference.\v"
                                     "Exit code 0: all items are equal, bit by bit; 6: some differ.\n"
                                     "example: ravel ckpt diff --only /model runs/a/best.h5 runs/b/best.h5",
                                     NULL,
                                     NULL,
                                     NULL};
    arguments a = {.min = 2, .max = 2, .only = ""};
    rv__tool_parse(&argp, argc, argv, &a);
    rv_checkpoint *x = NULL, *y = NULL;
    rv_status st = open_any(a.files[0], &x);
    if (st == RV_OK) st = open_any(a.files[1], &y);
    if (st == RV_OK) {
        json_t *list = a.json ? json_array() : NULL;
        int i = 0, k = 0, n = rv_checkpoint_count(x), m = rv_checkpoint_count(y), seen = 0, differ = 0;
        while (i < n || k < m) { /* both are in the order of their paths */
            const rv_ck_item *p = i < n ? rv_checkpoint_item(x, i) : NULL, *q = k < m ? rv_checkpoint_item(y, k) : NULL;
            int order = !p ? 1 : !q ? -1 : strcmp(p->path, q->path);
            if (order > 0) p = NULL;
            if (order < 0) q = NULL;
            i += p != NULL;
            k += q != NULL;
            if (!in_group(p ? p : q, a.only)) continue;
            seen++;
            differ += !diff_item((p ? p : q)->path, p, q, list);
        }
        if (list) print_json(list);
        if (!seen)
            st = rv_error(RV_EUSAGE, "neither checkpoint has anything in '%s'", a.only);
        else if (!differ && !list)
            printf("all %d items are equal\n", seen);
        if (differ) st = rv_error(RV_EVERIFY, "%d of %d items differ", differ, seen);
    }
    rv_checkpoint_close(x);
    rv_checkpoint_close(y);
    return rv__tool_finish(st);
}

/* ---- average ---- */

/* Files without settings, which other programs may have written, are compared by shapes alone. */
static rv_status check_one_model(int n, const char *const *files) {
    rv_checkpoint *last, *ck;
    RV_TRY(rv_checkpoint_open(files[n - 1], &last));
    rv_status st = RV_OK;
    for (int i = 0; i < n - 1 && st == RV_OK; i++) {
        st = rv_checkpoint_open(files[i], &ck);
        if (st != RV_OK) break;
        if (rv_checkpoint_find(last, "/config/resolved") || rv_checkpoint_find(ck, "/config/resolved"))
            st = rv_run_check_same_model(ck, last);
        rv_checkpoint_close(ck);
    }
    rv_checkpoint_close(last);
    return st;
}

static int average(int argc, char **argv) {
    static const struct argp_option options[] = {{0}};
    static const struct argp argp = {
        options,
        take,
        "OUT IN...",
        "Write a new checkpoint whose model is the mean of those of IN..., summed in double in the given order. "
        "Everything else is that of the last IN.\v"
        "example: ravel ckpt average mean.h5 runs/gpt/step-000018000.h5 runs/gpt/step-000019000.h5 "
        "runs/gpt/step-000020000.h5",
        NULL,
        NULL,
        NULL};
    arguments a = {.min = 2, .max = 1 << 30};
    rv__tool_parse(&argp, argc, argv, &a);
    char hash[RV_CK_HASH_TEXT];
    rv_status st = check_one_model(a.n - 1, (const char *const *)a.files + 1);
    if (st == RV_OK) st = rv_checkpoint_average(a.files[0], a.n - 1, (const char *const *)a.files + 1, hash);
    if (st == RV_OK) printf("%s: mean of %d models, state %s\n", a.files[0], a.n - 1, hash);
    return rv__tool_finish(st);
}

/* ---- seal */

/* FILE may be a whole checkpoint, of another model or vocabulary; weights alone say nothing of it. */
static rv_status check_like(const char *file, const char *like) {
    rv_checkpoint *ck;
    if (rv_checkpoint_open(file, &ck) != RV_OK) return RV_OK; /* changed, which is what sealing is for */
    const bool whole = rv_checkpoint_find(ck, "/config/resolved");
    rv_checkpoint_close(ck);
    return whole ? check_one_model(2, (const char *[]){file, like}) : RV_OK;
}

static int seal(int argc, char **argv) {
    static const struct argp_option options[] = {
        {"output", 'o', "NEW", 0, "The checkpoint to write", 0},
        {"like", KEY_LIKE, "CHECKPOINT", 0,
         "FILE holds weights alone, /model/NAME; everything else is this checkpoint's", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        take,
        "FILE -o NEW",
        "Write a new checkpoint of one that another program changed, such as h5py.\v"
        "FILE stays as it is. Without --like it is a checkpoint whose tensors were written in place: "
        "f['model/NAME'][...] = x.\n\n"
        "examples:\n  ravel ckpt seal changed.h5 -o new.h5\n"
        "  ravel ckpt seal weights.h5 --like runs/gpt/best.h5 -o new.h5",
        NULL,
        NULL,
        NULL};
    arguments a = {.min = 1, .max = 1};
    rv__tool_parse(&argp, argc, argv, &a);
    if (!a.out) return rv__tool_finish(rv_error(RV_EUSAGE, "ckpt seal: name the checkpoint to write with -o NEW"));
    char hash[RV_CK_HASH_TEXT];
    rv_status st = a.like ? check_like(a.files[0], a.like) : RV_OK;
    if (st == RV_OK) st = rv_checkpoint_seal(a.out, a.files[0], a.like, hash);
    if (st == RV_OK) printf("%s: sealed, state %s\n", a.out, hash);
    return rv__tool_finish(st);
}

static const struct {
    const char *name, *summary;
    int (*run)(int, char **);
} actions[] = {
    {"info", "what a checkpoint holds", info},
    {"verify", "whether checkpoints are whole", verify},
    {"diff", "how two checkpoints differ", diff},
    {"average", "the mean of several models", average},
    {"seal", "a new checkpoint of one that another program changed", seal},
};
enum { ACTIONS = sizeof actions / sizeof *actions };

static void help(FILE *to) {
    fprintf(to, "Usage: ravel ckpt ACTION [OPTION...] FILE...\nLook into checkpoints and work with them.\n\n");
    for (int i = 0; i < ACTIONS; i++) fprintf(to, "  %-8s %s\n", actions[i].name, actions[i].summary);
    fprintf(
        to,
        "\n'ravel ckpt ACTION --help' explains one, with an example.\nexample: ravel ckpt verify runs/quickstart\n");
}

int rv_cmd_ckpt(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < ACTIONS; i++) {
        if (strcmp(name, actions[i].name)) continue;
        char title[64];
        snprintf(title, sizeof title, "ravel ckpt %s", name);
        argv[1] = title;
        return actions[i].run(argc - 1, argv + 1);
    }
    bool asked = !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "-?");
    if (*name && !asked) fprintf(stderr, "ravel ckpt: unknown action '%s'\n", name);
    help(asked ? stdout : stderr);
    return asked ? rv__tool_finish(RV_OK) : 2;
}

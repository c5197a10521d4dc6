/* Reading a comparison: which models in which settings, and whether its folder's plan is still that. */
#include "compare/comparison.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare/compare_private.h"
#include "base/file.h"
#include "train/task.h"

enum { SETTINGS_MAX = 256, ASSIGNMENTS_MAX = 256 };

/* ---- JSON */

void rv__assign(json_t *list, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    json_array_append_new(list, json_vsprintf(fmt, ap));
    va_end(ap);
}

void rv__assign_rate(json_t *list, double lr) {
    char text[32];
    rv__number_text(lr, text);
    rv__assign(list, "train.optimizer.lr=%s", text);
}

void rv__number_text(double x, char out[32]) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, x);
        if (strtod(out, NULL) == x) break;
    }
    char *plus = strchr(out, '+'); /* 1e+06: names cannot have one */
    if (plus) memmove(plus, plus + 1, strlen(plus));
}

/* ---- reading */

static rv_status problem(const rv_yaml_node *at, const char *key, const char *what) {
    char where[1024];
    rv_yaml_where(at, where, sizeof where);
    return rv_error(RV_EUSAGE, "%s: %s: %s", where, key, what);
}

static bool label_ok(const char *s) {
    size_t n = strlen(s);
    return n && n <= 48 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n &&
           s[0] != '.' && s[0] != '-';
}

/* FILE beside the file in which `at` stands; an assignment of the command line is relative to the working directory. */
static rv_status beside(const rv_yaml_node *at, char path[RV_PATH_MAX]) {
    const char *from = at->source->label, *slash = at->source->assignment ? NULL : strrchr(from, '/');
    return rv__path(path, "%.*s%s", slash && at->text[0] != '/' ? (int)(slash + 1 - from) : 0, from, at->text);
}

/* "key=value" for each entry of a map. */
static rv_status assignments(const rv_yaml_node *map, json_t *list) {
    for (const rv_yaml_node *n = map->first; n; n = n->next) {
        char *text = rv_config_flow(n);
        if (!text) return RV_ENOMEM;
        rv__assign(list, "%s=%s", n->key->text, text);
        free(text);
    }
    return RV_OK;
}

static rv_status read_model(const rv_yaml_node *n, json_t *models) {
    const rv_yaml_node *file = n;
    json_t *set = json_array();
    json_t *model = json_pack("{s:s, s:s, s:o}", "model", n->key->text, "file", "", "set", set);
    json_array_append_new(models, model);
    if (!label_ok(n->key->text))
        return problem(n->key, "compare.models", "a model's label is 1 to 48 letters, digits, '.', '_' and '-'");
    if (n->kind == RV_YAML_MAP) {
        for (const rv_yaml_node *e = n->first; e; e = e->next) {
            if (!strcmp(e->key->text, "set") && e->kind == RV_YAML_MAP)
                RV_TRY(assignments(e, set));
            else if (strcmp(e->key->text, "file"))
                return problem(e->key, "compare.models",
                               "expected LABEL: FILE.yaml or LABEL: {file: FILE.yaml, set: {key.path: value}}");
        }
        file = rv_yaml_get(n, "file");
        if (!file) return problem(n->key, "compare.models", "missing 'file' (the model's experiment file)");
    }
    if (file->kind != RV_YAML_SCALAR || !file->len)
        return problem(file, "compare.models", "expected the path of an experiment file");
    char path[RV_PATH_MAX];
    RV_TRY(beside(file, path));
    if (access(path, R_OK)) {
        char what[RV_PATH_MAX + 128];
        snprintf(what, sizeof what, "model '%s': cannot read %s: %s", n->key->text, path, strerror(errno));
        return problem(file, "compare.models", what);
    }
    json_object_set_new(model, "file", json_string(path));
    return RV_OK;
}

rv_status rv__combinations(const rv_config *config, const char *key, json_t *settings) {
    json_array_append_new(settings, json_pack("{s:s, s:[]}", "setting", "", "set"));
    for (int i = 0; i < rv_config_map_count(config, key); i++) {
        const rv_yaml_node *n = rv_config_map_at(config, key, i);
        if (n->kind != RV_YAML_LIST) return problem(n, key, "expected a list of values");
        if (!n->count) return problem(n, key, "expected a list of values, got an empty list; name one at least");
        json_t *next = json_array();
        for (size_t s = 0; s < json_array_size(settings); s++) {
            for (const rv_yaml_node *v = n->first; v; v = v->next) {
                json_t *old = json_array_get(settings, s), *set = json_copy(json_object_get(old, "set"));
                char *text = rv_config_flow(v);
                const char *before = json_string_value(json_object_get(old, "setting"));
                if (text) rv__assign(set, "%s=%s", n->key->text, text);
                json_array_append_new(next, json_pack("{s:o, s:o}", "setting",
                                                      json_sprintf("%s%s%s=%s", before, *before ? " " : "",
                                                                   n->key->text, text ? text : ""),
                                                      "set", set));
                free(text);
            }
        }
        json_array_clear(settings);
        json_array_extend(settings, next);
        json_decref(next);
        if (json_array_size(settings) > SETTINGS_MAX) return problem(n, key, "more than 256 combinations");
    }
    return RV_OK;
}

/* The other values that trials choose among: what changes neither the model's size nor how much it is trained on. */
static rv_status read_trials(const rv_comparison *c) {
    static const char key[] = "compare.tune.settings";
    static const struct {
        const char *key, *why;
    } elsewhere[] = {{"train.optimizer.lr", "compare.tune.lr lists the rates"},
                     {"train.max_steps", "compare.budget says how long the models are trained"},
                     {"train.epochs", "compare.budget says how long the models are trained"},
                     {"train.early_stopping", "every model gets the whole budget"},
                     {"train.validate_every", "the best of more validations is better by that alone"},
                     {"train.validate_batches", "losses of other examples do not compare"},
                     {"train.batch", "another batch is another budget; make it one of compare.settings"},
                     {"train.accumulate", "another batch is another budget; make it one of compare.settings"}};
    for (int i = 0; i < rv_config_map_count(c->config, key); i++) {
        const rv_yaml_node *at = rv_config_map_at(c->config, key, i)->key;
        if (strncmp(at->text, "train.", 6) && strncmp(at->text, "model.", 6))
            return problem(at, key, "keys of train and model can be tuned, and no others");
        for (size_t k = 0; k < sizeof elsewhere / sizeof *elsewhere; k++) {
            const size_t n = strlen(elsewhere[k].key);
            if (!strncmp(at->text, elsewhere[k].key, n) && (!at->text[n] || at->text[n] == '.'))
                return problem(at, key, elsewhere[k].why);
        }
        for (int k = 0; k < rv_config_map_count(c->config, "compare.settings"); k++)
            if (!strcmp(rv_config_map_key(c->config, "compare.settings", k), at->text))
                return problem(at, key, "compare.settings lists it, too; a key is compared or tuned");
    }
    static const char rates[] = "compare.tune.lr";
    for (int i = 1; i < rv_config_count(c->config, rates); i++)
        for (int k = 0; k < i; k++) {
            const double a = rv_config_real_at(c->config, rates, i), b = rv_config_real_at(c->config, rates, k);
            if (a >= b && a <= b)
                return rv_error(RV_EUSAGE, "%s: %s lists %g twice", rv_config_where(c->config, rates), rates, a);
        }
    return rv__combinations(c->config, key, c->trials);
}

rv_status rv__model_config(const json_t *model, const json_t *set, const json_t *more, rv_config **out) {
    const json_t *lists[] = {json_object_get(model, "set"), set, more};
    const char *text[ASSIGNMENTS_MAX];
    int n = 0;
    for (int l = 0; l < 3; l++)
        for (size_t i = 0; i < json_array_size(lists[l]) && n < ASSIGNMENTS_MAX; i++)
            text[n++] = json_string_value(json_array_get(lists[l], i));
    return rv_config_load_experiment(json_string_value(json_object_get(model, "file")), n, text, out);
}

/* ---- what was asked */

/* Lines of a configuration. of_comparison: without what may change afterwards: the report and where it is. */
static json_t *lines_of(char *text, bool of_comparison) {
    json_t *lines = json_array();
    bool skip = false;
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        if (of_comparison && (line[0] != ' ' || line[2] != ' '))
            skip = !strncmp(line, "  quality:", 10) || !strncmp(line, "  report:", 9) || !strncmp(line, "  dir:", 6);
        if (!skip) json_array_append_new(lines, json_string(line));
    }
    return lines;
}

/* What a threshold is on must be measured at validation by every model. */
static rv_status check_bins(const rv_comparison *c, const rv_config *model) {
    static const char key[] = "compare.quality.length_bins";
    if (!rv_config_has(c->config, key) || !rv_task_find(rv_config_text(model, "task"))->source->split) return RV_OK;
    return rv_error(RV_EUSAGE,
                    "%s: %s: the examples of language models are spans of a text, which have no length; leave it out",
                    rv_config_where(c->config, key), key);
}

/* A loss at each position meets every state at once: there is no distance that a gradient flows. */
static rv_status check_flow(const rv_comparison *c, const rv_config *model, const char *label) {
    static const char key[] = "compare.gradient_flow", length[] = "compare.gradient_flow.length";
    const rv_task_kind *task = rv_task_find(rv_config_text(model, "task"));
    if (rv_config_has(c->config, key) && !rv_head_flows(task->head))
        return rv_error(RV_EUSAGE,
                        "%s: %s: model '%s' is told its loss at each position, so that no distance is measured; leave "
                        "it out",
                        rv_config_where(c->config, key), key, label);
    if (!rv_config_has(c->config, length) || !rv_config_int(c->config, length) || task->source->split) return RV_OK;
    return rv_error(RV_EUSAGE, "%s: %s is for language models, and these are of task %s; leave it out",
                    rv_config_where(c->config, length), length, task->name);
}

static rv_status check_threshold(const rv_comparison *c, const rv_config *model, const char *label) {
    static const char key[] = "compare.quality.threshold.metric";
    const char *metric =
        rv_config_has(c->config, "compare.quality.threshold") ? rv_config_text(c->config, key) : "loss";
    if (rv_task_measures(model, metric)) return RV_OK;
    return rv_error(
        RV_EUSAGE,
        "%s: %s: model '%s' does not measure %s at validation; add it to the model's 'metrics', or take loss",
        rv_config_where(c->config, key), key, label, metric);
}

/* A model with every value that trials choose among, in every setting that it is then trained in. One that counts has
 * no trials. */
static rv_status check_trials(const rv_comparison *c, const json_t *model) {
    json_t *setting, *trial;
    size_t s, t;
    json_array_foreach (c->settings, s, setting)
        json_array_foreach (c->trials, t, trial) {
            rv_config *config;
            const char *with = json_string_value(json_object_get(trial, "setting"));
            const char *name = json_string_value(json_object_get(setting, "setting"));
            if (!*with) continue;
            rv_status status = rv__model_config(model, json_object_get(setting, "set"), NULL, &config);
            const bool counts = status == RV_OK && rv_model_config_counts(config);
            if (status == RV_OK) rv_config_destroy(config);
            if (counts) continue;
            if (status == RV_OK)
                status =
                    rv__model_config(model, json_object_get(setting, "set"), json_object_get(trial, "set"), &config);
            if (status != RV_OK)
                return rv_error_context(status, "%s: model '%s'%s%s cannot be tried with %s:\n",
                                        rv_config_where(c->config, "compare.tune.settings"),
                                        json_string_value(json_object_get(model, "model")),
                                        *name ? " in the setting " : "", name, with);
            rv_config_destroy(config);
        }
    return RV_OK;
}

static rv_status ask(rv_comparison *c) {
    char *text = rv_config_resolved(c->config), key[80];
    if (!text) return RV_ENOMEM;
    json_object_set_new(c->asked, "compare", lines_of(text, true));
    free(text);
    size_t m, s;
    json_t *model, *setting;
    json_array_foreach (c->models, m, model) {
        const char *label = json_string_value(json_object_get(model, "model"));
        const rv_yaml_node *at = rv_config_map_at(c->config, "compare.models", (int)m);
        json_array_foreach (c->settings, s, setting) {
            rv_config *config;
            const char *name = json_string_value(json_object_get(setting, "setting"));
            rv_status status = rv__model_config(model, json_object_get(setting, "set"), NULL, &config);
            if (status == RV_OK && rv_config_has(config, "compare")) {
                rv_config_destroy(config);
                status = rv_error(RV_EUSAGE, "this is a comparison itself, not an experiment");
            }
            if (status != RV_OK) {
                char where[1024];
                rv_yaml_where(*name ? rv_config_map_at(c->config, "compare.settings", 0)->key : at, where,
                              sizeof where);
                return rv_error_context(status, "%s: model '%s'%s%s cannot be used:\n", where, label,
                                        *name ? " in the setting " : "", name);
            }
            text = s ? NULL : rv_config_merged(config);
            status = check_threshold(c, config, label);
            if (status == RV_OK) status = check_bins(c, config);
            if (status == RV_OK) status = check_flow(c, config, label);
            rv_config_destroy(config);
            if (status != RV_OK) {
                free(text);
                return status;
            }
            if (s) continue;
            if (!text) return RV_ENOMEM;
            snprintf(key, sizeof key, "model %s", label);
            json_object_set_new(c->asked, key, lines_of(text, false));
            free(text);
        }
        RV_TRY(check_trials(c, model));
    }
    return RV_OK;
}

static rv_status check_reference(const rv_comparison *c) {
    if (!rv_config_has(c->config, "compare.match.reference")) return RV_OK;
    const char *label = rv_config_text(c->config, "compare.match.reference");
    for (int i = 0; i < rv_config_map_count(c->config, "compare.models"); i++)
        if (!strcmp(rv_config_map_key(c->config, "compare.models", i), label)) return RV_OK;
    return rv_error(RV_EUSAGE, "%s: compare.match.reference: there is no model '%s' in compare.models",
                    rv_config_where(c->config, "compare.match.reference"), label);
}

static rv_status read_file(rv_comparison *c, int n, const char *const *overrides) {
    RV_TRY(rv_config_load(c->file, n, overrides, &c->config));
    if (!rv_config_has(c->config, "compare"))
        return rv_error(RV_EUSAGE, "%s: it has no 'compare:', so it is a single experiment: ravel train %s", c->file,
                        c->file);
    const char *dir = rv_config_has(c->config, "compare.dir") ? rv_config_text(c->config, "compare.dir") : NULL;
    int used = snprintf(c->dir, sizeof c->dir, "%s%s", dir ? dir : "runs/",
                        dir ? "" : rv_config_text(c->config, "compare.name"));
    if (used >= (int)sizeof c->dir) return rv_error(RV_EUSAGE, "%s: compare.dir is too long", c->file);
    if (strpbrk(c->dir, "'\n") || strstr(c->dir, "${"))
        return rv_error(RV_EUSAGE, "%s: compare.dir must not have quotes, line ends or ${ in it", c->file);
    for (int i = 0; i < rv_config_map_count(c->config, "compare.models"); i++)
        RV_TRY(read_model(rv_config_map_at(c->config, "compare.models", i), c->models));
    RV_TRY(rv__combinations(c->config, "compare.settings", c->settings));
    RV_TRY(read_trials(c));
    RV_TRY(check_reference(c));
    return ask(c);
}

void rv_comparison_close(rv_comparison *c) {
    if (!c) return;
    rv_config_destroy(c->config);
    json_decref(c->plan);
    json_decref(c->models);
    json_decref(c->settings);
    json_decref(c->trials);
    free(c->beyond);
    json_decref(c->asked);
    json_decref(c->overrides);
    free(c);
}

rv_status rv_comparison_open(const char *file, int n_overrides, const char *const *overrides, rv_comparison **out) {
    rv_comparison *c = *out = calloc(1, sizeof *c);
    if (!c) return rv_error(RV_ENOMEM, "no memory for a comparison");
    c->models = json_array();
    c->settings = json_array();
    c->trials = json_array();
    c->beyond = calloc(2, sizeof *c->beyond);
    c->asked = json_object();
    c->overrides = json_array();
    for (int i = 0; i < n_overrides; i++) json_array_append_new(c->overrides, json_string(overrides[i]));
    rv_status status = c->beyond ? rv__path(c->file, "%s", file) : rv_error(RV_ENOMEM, "no memory for a comparison");
    if (status == RV_OK) status = read_file(c, n_overrides, overrides);
    if (status == RV_OK) return RV_OK;
    rv_comparison_close(c);
    *out = NULL;
    return status;
}

/* ---- the plan of the folder */

/* Plans of earlier versions have the batches of translations in "sentences", another word for the same. */
static bool same_line(const json_t *then, const json_t *now) {
    const char *a = json_string_value(then), *b = json_string_value(now);
    return json_equal(then, now) || (a && b && !strcmp(a, "    type: sentences") && !strcmp(b, "    type: sequences"));
}

/* A key's default that plans of earlier versions do not have, and do not need: theirs lists what is tried. */
static bool came_later(const json_t *line) { return !strcmp(json_string_value(line), "    extend: true"); }

/* The first line in which what was asked then differs from now. */
static rv_status compare_asked(const rv_comparison *c, const char *path) {
    const char *key, *nothing = "nothing there";
    json_t *now, *then_all = json_object_get(c->plan, "asked");
    json_object_foreach (c->asked, key, now) {
        json_t *then = json_object_get(then_all, key);
        const size_t lines = json_array_size(now);
        size_t i = 0;
        size_t k = 0; /* the line of `then` */
        while (i < lines) {
            if (same_line(json_array_get(then, k), json_array_get(now, i)))
                k++;
            else if (!came_later(json_array_get(now, i)))
                break;
            i++;
        }
        if (i == lines && json_array_size(then) == k) continue;
        const char *a = json_string_value(json_array_get(then, k)), *b = json_string_value(json_array_get(now, i));
        return rv_error(RV_EUSAGE,
                        "%s was made from another configuration; %s: '%s' then, '%s' now. Put %s back, give the "
                        "comparison another name, or remove %s",
                        path, key, a ? a + strspn(a, " ") : nothing, b ? b + strspn(b, " ") : nothing, c->file, c->dir);
    }
    return RV_OK;
}

/* A cell as the plan has it can be run. */
static bool is_cell(json_t *e) {
    const char *text;
    json_t *set;
    json_int_t number;
    return !json_unpack(e, "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "kind", &text, "model", &text, "setting", &text,
                        "path", &text, "seed", &number, "steps", &number, "tokens", &number, "set", &set);
}

static rv_status read_plan(rv_comparison *c, const char *path) {
    RV_TRY(rv_json_read(path, &c->plan));
    const char *format = json_string_value(json_object_get(c->plan, "format"));
    bool whole = format && !strcmp(format, "ravel-compare 2") && json_is_array(json_object_get(c->plan, "models"));
    for (int i = 0; i < rv_comparison_cells(c); i++)
        whole = whole && is_cell(json_array_get(json_object_get(c->plan, "cells"), (size_t)i));
    if (!whole)
        return rv_error(RV_EDATA,
                        "%s: this is no plan that this version of ravel wrote; remove it, so that it is made again, "
                        "and if it is an earlier version's, the whole folder: its cells were trained by other rules",
                        path);
    return compare_asked(c, path);
}

/* A run that is trained on, and a comparison, would both call the folder theirs. */
static rv_status check_folder(const char *dir) {
    char config[RV_PATH_MAX];
    snprintf(config, sizeof config, "%s/experiment.yaml", dir);
    return access(config, F_OK)
               ? RV_OK
               : rv_error(RV_EUSAGE, "%s is the folder of a run; choose another compare.name or compare.dir", dir);
}

rv_status rv_comparison_plan(rv_comparison *c, bool keep) {
    char path[RV_PATH_MAX];
    snprintf(path, sizeof path, "%s/plan.json", c->dir);
    if (!access(path, F_OK)) return read_plan(c, path);
    RV_TRY(check_folder(c->dir));
    if (!keep) {
        RV_TRY(rv_run_dir_can_open(c->dir));
        return rv__plan_make(c, &c->plan);
    }
    /* One process plans; those that share the comparison wait for it. */
    rv_run_dir *dir = NULL;
    while (rv_run_dir_open(c->dir, &dir) != RV_OK) {
        if (!rv_run_dir_owner(c->dir)) { /* it let go of the folder just now; or the folder cannot be made or written,
                                            and the message says so */
            RV_TRY(rv_run_dir_open(c->dir, &dir));
            break;
        }
        usleep(200000);
        if (!access(path, F_OK)) return read_plan(c, path);
    }
    rv_status status = access(path, F_OK) ? rv__plan_make(c, &c->plan) : read_plan(c, path);
    if (status == RV_OK && access(path, F_OK)) status = rv_json_write(c->plan, path);
    if (status == RV_OK)
        rv_run_dir_close(dir);
    else
        rv_run_dir_abandon(dir, (const char *const[]){NULL}); /* what is refused leaves nothing behind */
    return status;
}

int rv_comparison_cells(const rv_comparison *c) { return (int)json_array_size(json_object_get(c->plan, "cells")); }

rv_cell_info rv_comparison_cell(const rv_comparison *c, int number) {
    json_t *e = json_array_get(json_object_get(c->plan, "cells"), (size_t)number - 1);
    RV_ASSERT(e);
    const char *kind = json_string_value(json_object_get(e, "kind"));
    rv_cell_info info = {
        .number = number,
        .kind = !strcmp(kind, "tune")    ? RV_CELL_TUNE
                : !strcmp(kind, "train") ? RV_CELL_TRAIN
                                         : RV_CELL_COST,
        .model = json_string_value(json_object_get(e, "model")),
        .setting = json_string_value(json_object_get(e, "setting")),
        .seed = json_integer_value(json_object_get(e, "seed")),
        .steps = json_integer_value(json_object_get(e, "steps")),
        .tokens = json_integer_value(json_object_get(e, "tokens")),
        .lr = json_number_value(json_object_get(e, "lr")),
        .with = json_string_value(json_object_get(e, "with")),
        .beyond = (int)json_integer_value(json_object_get(e, "beyond")),
        .entry = e,
    };
    if (!info.with) info.with = "";
    snprintf(info.path, sizeof info.path, "%s/%s", c->dir, json_string_value(json_object_get(e, "path")));
    return info;
}

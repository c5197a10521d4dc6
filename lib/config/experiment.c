#include "config/experiment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/catalog.h"
#include "data/manifest.h"

static const rv__catalog catalog = {"experiments", "RAVEL_EXPERIMENTS", "*.yaml"};

static bool ends_in(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcmp(s + n - m, end);
}

static bool is_yaml(const char *path) { return ends_in(path, ".yaml") || ends_in(path, ".yml"); }

/* Comparisons are told by the name, so that a list need not read every file. */
static bool is_comparison(const char *file) { return !strncmp(file, "compare", 7); }

/* ---- lists in messages ---- */

typedef struct {
    int n;
    char text[2048];
    char word[64][256]; /* those that may have been meant */
} name_list;

static bool add_name(void *arg, const char *name) {
    name_list *l = arg;
    size_t used = strlen(l->text);
    snprintf(l->text + used, sizeof l->text - used, "%s%s", used ? ", " : "", name);
    if (l->n < (int)(sizeof l->word / sizeof *l->word)) snprintf(l->word[l->n++], sizeof *l->word, "%.255s", name);
    return true;
}

static const char *nth_name(const void *list, int i) {
    const name_list *l = list;
    return i < l->n ? l->word[i] : NULL;
}

/* "; did you mean 'x'?", or "; there are: ...". */
static const char *suggest(const name_list *l, const char *name, char *buf, size_t size) {
    int near = rv_yaml_nearest(name, nth_name, l);
    if (near >= 0)
        snprintf(buf, size, "; did you mean '%s'?", l->word[near]);
    else
        snprintf(buf, size, "; there are: %s", l->n ? l->text : "none");
    return buf;
}

static rv_status unknown(const char *named, const char *name) {
    char places[2 * RV__PATH], hint[sizeof(name_list)];
    name_list all = {0};
    RV_TRY(rv__catalog_each(&catalog, add_name, &all));
    rv__catalog_places(&catalog, places, sizeof places);
    return rv_error(RV_EUSAGE, "there is no file '%s', and no experiment '%s' in %s%s", named, name, places,
                    suggest(&all, name, hint, sizeof hint));
}

/* ---- one folder ---- */

/* The files of an experiment, as NAME/FILE. */
static void list_files(const char *folder, const char *name, bool comparisons, bool others, name_list *out) {
    char **files, full[512];
    int n = rv__list_folder(folder, catalog.mark, &files);
    *out = (name_list){0};
    for (int i = 0; i < n; i++) {
        if (!(is_comparison(files[i]) ? comparisons : others)) continue;
        snprintf(full, sizeof full, "%s/%.*s", name, (int)(strlen(files[i]) - strlen(".yaml")), files[i]);
        add_name(out, full);
    }
    rv__list_free(n, files);
}

static bool file_in(const char *folder, const char *file, char path[RV_PATH_MAX]) {
    return rv__path(path, "%s/%s.yaml", folder, file) == RV_OK && rv__file_size(path) >= 0;
}

static rv_status find_file(const char *folder, const char *name, const char *file, char path[RV_PATH_MAX]) {
    char full[512], hint[sizeof(name_list)];
    name_list all;
    if (file_in(folder, file, path)) return RV_OK;
    list_files(folder, name, true, true, &all);
    snprintf(full, sizeof full, "%s/%s", name, file);
    return rv_error(RV_EUSAGE, "%s has no %s.yaml%s", folder, file, suggest(&all, full, hint, sizeof hint));
}

/* NAME alone. */
static rv_status find_main(const char *folder, const char *name, bool comparison, char path[RV_PATH_MAX]) {
    name_list those, comparisons;
    list_files(folder, name, comparison, !comparison, &those);
    if (file_in(folder, comparison ? "compare" : name, path)) return RV_OK;
    if (those.n == 1 && file_in(folder, those.word[0] + strlen(name) + 1, path)) return RV_OK;
    if (those.n) {
        list_files(folder, name, true, false, &comparisons);
        const bool together = !comparison && comparisons.n;
        return rv_error(RV_EUSAGE, "%s has several %s; name one of %s%s%s", folder,
                        comparison ? "comparisons" : "experiments", those.text,
                        together ? "; all together: ravel compare " : "", together ? name : "");
    }
    list_files(folder, name, true, true, &those);
    return rv_error(RV_EUSAGE, "%s has no %s; there are: %s", folder,
                    comparison ? "comparison" : "experiment of one model", those.text);
}

/* ---- names ---- */

/* Cut NAME or NAME/FILE in two, *file NULL without FILE; false for any other form. */
static bool split(const char *named, char name[RV__PATH], const char **file) {
    const char *slash = strchr(named, '/');
    *file = slash ? slash + 1 : NULL;
    return rv__path(name, "%.*s", slash ? (int)(slash - named) : (int)strlen(named), named) == RV_OK &&
           rv__plain_name(name) && (!slash || rv__plain_name(*file));
}

rv_status rv_experiment_find(const char *named, bool comparison, char path[RV_PATH_MAX]) {
    struct stat s;
    char name[RV__PATH], folder[RV__PATH];
    const char *file;
    const bool there = stat(named, &s) == 0, itself = is_yaml(named) || (there && !S_ISDIR(s.st_mode));
    if (itself || !split(named, name, &file)) return rv__path(path, "%s", named);
    if (rv__catalog_find(&catalog, name, folder))
        return file ? find_file(folder, name, file, path) : find_main(folder, name, comparison, path);
    return there ? rv__path(path, "%s", named) : unknown(named, name); /* the reader says that a folder is no file */
}

rv_status rv_experiment_load(const char *named, int n_overrides, const char *const *overrides, rv_config **out) {
    char path[RV_PATH_MAX];
    *out = NULL;
    RV_TRY(rv_experiment_find(named, false, path));
    RV_TRY(rv_config_load_experiment(path, n_overrides, overrides, out));
    rv_config_tell(*out);
    return RV_OK;
}

bool rv_experiment_is(const char *named) {
    struct stat s;
    char name[RV__PATH], folder[RV__PATH];
    const char *file;
    if (is_yaml(named)) return true;
    if (stat(named, &s) == 0 || !split(named, name, &file)) return false;
    return !file || rv__catalog_find(&catalog, name, folder); /* runs/NAME more likely is a run that is not there */
}

typedef struct {
    bool (*each)(void *arg, const char *name, const char *path);
    void *arg;
    int n;
} walk;

static bool walk_one(void *arg, const char *name) {
    walk *w = arg;
    char folder[RV__PATH], path[RV_PATH_MAX];
    name_list all;
    if (!rv__catalog_find(&catalog, name, folder)) return true;
    list_files(folder, name, true, true, &all);
    bool on = true;
    for (int i = 0; i < all.n && on; i++, w->n++)
        on = file_in(folder, all.word[i] + strlen(name) + 1, path) ? w->each(w->arg, all.word[i], path) : true;
    return on;
}

rv_status rv_experiment_each(bool (*each)(void *arg, const char *name, const char *path), void *arg) {
    walk w = {each, arg, 0};
    char places[2 * RV__PATH];
    RV_TRY(rv__catalog_each(&catalog, walk_one, &w));
    if (w.n) return RV_OK;
    rv__catalog_places(&catalog, places, sizeof places);
    return rv_error(RV_EUSAGE,
                    "no experiments: no folder with a YAML file in %s; RAVEL_EXPERIMENTS names another place", places);
}

#define _GNU_SOURCE /* realpath */
#include "train/trained.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/parallel.h"
#include "kernels/gemm.h"
#include "config/config_private.h"
#include "io/items.h"
#include "train/run_state.h"
#include "train/saved.h"

static bool gives_data(int n, const char *const *overrides) {
    for (int i = 0; i < n; i++)
        if (!strncmp(overrides[i], "data", 4) && (overrides[i][4] == '.' || overrides[i][4] == '=')) return true;
    return false;
}

/* "data.path text, ..." */
static void name_data(const rv_config *c, char *text, size_t size) {
    static const char *const keys[] = {"data.dataset", "data.path", "data.train", "data.valid", "data.test"};
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && used < size; i++)
        if (rv_config_has(c, keys[i]))
            used += (size_t)snprintf(text + used, size - used, "%s%s %s", used ? ", " : "", keys[i],
                                     rv_config_text(c, keys[i]));
}

/* Figures of a text that is not what the run saw look like the run's: say so. */
static rv_status warn_of_data(const rv_trained *t) {
    static const char path[] = "/data/corpus_hash";
    uint64_t then;
    if (!rv_checkpoint_find(t->saved, path)) return RV_OK; /* examples that are made, not read */
    RV_TRY(rv_checkpoint_read(t->saved, path, RV_CK_U64, 1, &then));
    rv_items now = {0};
    rv_status status = rv_task_save(t->task, &now);
    if (status == RV_OK) status = rv_items_status(&now);
    for (int i = 0; i < now.n && status == RV_OK; i++) {
        if (strcmp(now.item[i].path, path) || !memcmp(now.item[i].data, &then, sizeof then)) continue;
        char names[2048];
        name_data(t->config, names, sizeof names);
        rv_warn("%s was trained on other data: the text of %s, or how it is cut into parts, has changed since; figures "
                "and parts of it are not "
                "those of the run",
                t->path, names);
    }
    rv_items_free(&now);
    return status;
}

/* The directory that a run was trained in: checkpoint.dir is relative to it, and the checkpoint is there. NULL if it
 * was moved since. */
static const char *trained_in(const rv_trained *t, char place[PATH_MAX]) {
    const char *dir = rv_config_text(t->config, "checkpoint.dir");
    char *slash = realpath(t->path, place) ? strrchr(place, '/') : NULL;
    if (!slash || dir[0] == '/') return NULL;
    *slash = 0;
    const size_t n = strlen(place), k = strlen(dir);
    if (n < k + 2 || strcmp(place + n - k, dir) || place[n - k - 1] != '/') return NULL;
    place[n - k - 1] = 0;
    return place;
}

/* The recorded error of a data set, and the remedy if a file is not there. */
static rv_status explain_data(const rv_trained *t, rv_status status) {
    const char *key = status == RV_EDATA ? rv__config_lost_data(t->config) : NULL;
    char why[4096];
    if (!key) return status;
    snprintf(why, sizeof why, "%s", rv_error_message());
    return rv_error(status,
                    "%s; the run's paths are relative to the folder that it was trained in: go there, or give %s=FILE",
                    why, key);
}

static rv_status open_all(const char *path, int n, const char *const *overrides, bool with_data, rv_trained *t) {
    RV_TRY(rv__saved_open(path, t->path, &t->saved));
    const rv_ck_item *text = rv_checkpoint_find(t->saved, "/config/resolved");
    if (!text) return rv_error(RV_ECKPT, "%s holds no configuration; it was not written by ravel train", t->path);
    RV_TRY(rv_config_parse(t->path, text->data, (size_t)rv_ck_count(text), n, overrides, &t->config));
    if (n) RV_TRY(rv_run_check_assigned(t->config, t->saved));
    char place[PATH_MAX];
    const char *folder = with_data ? trained_in(t, place) : NULL;
    if (folder) rv__config_find_data(t->config, folder);
    rv_config_tell(t->config);
    rv_set_threads((int)rv_config_int(t->config, "runtime.threads"));
    t->params = rv_params_create();
    if (!t->params) return RV_ENOMEM;
    rv_status status = rv_task_create(t->config, t->saved, with_data, t->params, &t->task);
    if (status != RV_OK) return with_data ? explain_data(t, status) : status;
    RV_TRY(rv_params_materialise(t->params, 0));
    RV_TRY(rv_gemm_reserve());
    status = rv_run_load_params(t->params, t->saved);
    if (status != RV_OK) return rv_error_context(status, "%s: ", t->path);
    return with_data && !gives_data(n, overrides) ? warn_of_data(t) : RV_OK;
}

rv_status rv_trained_open(const char *path, int n, const char *const *overrides, bool with_data, rv_trained *t) {
    *t = (rv_trained){0};
    rv_status status = open_all(path, n, overrides, with_data, t);
    if (status != RV_OK) rv_trained_close(t);
    return status;
}

void rv_trained_close(rv_trained *t) {
    rv_task_destroy(t->task);
    rv_params_destroy(t->params);
    rv_config_destroy(t->config);
    rv_checkpoint_close(t->saved);
    *t = (rv_trained){0};
}

#include "train/trained.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parallel.h"
#include "io/run_dir.h"
#include "kernels/gemm.h"
#include "train/run_state.h"

static bool is_folder(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static rv_status open_checkpoint(const char *path, rv_trained *t) {
    if (!is_folder(path)) {
        snprintf(t->path, sizeof t->path, "%s", path);
        if (access(path, F_OK)) return rv_error(RV_ECKPT, "%s: there is no such run or checkpoint; train first: ravel train EXPERIMENT.yaml", path);
        return rv_checkpoint_open(path, &t->saved);
    }
    snprintf(t->path, sizeof t->path, "%s/best.h5", path);
    if (access(t->path, R_OK) == 0) {
        rv_status status = rv_checkpoint_open(t->path, &t->saved);
        if (status == RV_OK || status == RV_ENOMEM) return status;
        rv_warn("passing over the best checkpoint: %s", rv_error_message());
    }
    RV_TRY(rv_run_dir_latest(path, &t->saved));
    if (t->saved) snprintf(t->path, sizeof t->path, "%s", rv_checkpoint_path(t->saved));
    else return rv_run_dir_without(path);
    return RV_OK;
}

static rv_status open_all(const char *path, int n, const char *const *overrides, bool with_data, rv_trained *t) {
    RV_TRY(open_checkpoint(path, t));
    const rv_ck_item *text = rv_checkpoint_find(t->saved, "/config/resolved");
    if (!text) return rv_error(RV_ECKPT, "%s holds no configuration; it was not written by ravel train", t->path);
    RV_TRY(rv_config_parse(t->path, text->data, (size_t)rv_ck_count(text), n, overrides, &t->config));
    rv_set_threads((int)rv_config_int(t->config, "runtime.threads"));
    t->params = rv_params_create();
    if (!t->params) return RV_ENOMEM;
    RV_TRY(rv_task_find(rv_config_text(t->config, "task"))->create(t->config, t->saved, with_data, t->params, &t->task));
    RV_TRY(rv_params_materialise(t->params, 0));
    RV_TRY(rv_gemm_reserve());
    rv_status status = rv_run_load_params(t->params, t->saved);
    return status == RV_OK ? RV_OK : rv_error_context(status, "%s: ", t->path);
}

rv_status rv_trained_open(const char *path, int n, const char *const *overrides, bool with_data, rv_trained *t) {
    *t = (rv_trained){0};
    rv_status status = open_all(path, n, overrides, with_data, t);
    if (status != RV_OK) rv_trained_close(t);
    return status;
}

void rv_trained_close(rv_trained *t) {
    if (t->task) t->task->kind->destroy(t->task);
    rv_params_destroy(t->params);
    rv_config_destroy(t->config);
    rv_checkpoint_close(t->saved);
    *t = (rv_trained){0};
}

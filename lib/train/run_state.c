#include "train/run_state.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "io/items.h"
#include "io/run_dir.h"

static const rv_ck_type real_type = sizeof(rv_real) == 4 ? RV_CK_F32 : RV_CK_F64;

#define FIELD(path, type, member)                                                                                      \
    { path, type, offsetof(rv_run_state, member), 0, false }
static const rv_field fields[] = {
    FIELD("/trainer/step", RV_CK_I64, step),
    FIELD("/trainer/epoch", RV_CK_I64, epoch),
    FIELD("/trainer/tokens", RV_CK_I64, tokens),
    FIELD("/trainer/running_loss", RV_CK_F64, running_loss),
    {"/trainer/best_value", RV_CK_F64, offsetof(rv_run_state, best_value), RV_BEST_MAX, false},
    {"/trainer/best_step", RV_CK_I64, offsetof(rv_run_state, best_step), RV_BEST_MAX, false},
    FIELD("/trainer/n_best", RV_CK_I64, n_best),
    {"/trainer/watched", RV_CK_U8, offsetof(rv_run_state, watched), sizeof((rv_run_state *)0)->watched, true},
    FIELD("/trainer/bad_validations", RV_CK_I64, bad_validations),
    FIELD("/trainer/stopped", RV_CK_I64, stopped),
    {"/trainer/unvalidated", RV_CK_I64, offsetof(rv_run_state, unvalidated), 0, true},
    FIELD("/trainer/schedule_seen", RV_CK_U8, schedule.seen),
    FIELD("/trainer/schedule_best", RV_CK_F64, schedule.best),
    FIELD("/trainer/schedule_bad", RV_CK_I64, schedule.bad),
    FIELD("/trainer/schedule_cuts", RV_CK_I64, schedule.cuts),
    FIELD("/rng/seed", RV_CK_U64, seed),
    FIELD("/rng/step", RV_CK_U64, rng_step),
    {0},
};

rv_status rv_run_save(const rv_run_parts *parts, rv_run_dir *dir, rv_save_mode mode) {
    rv_items items = {0};
    const rv_params *ps = parts->params;
    for (int i = 0; i < ps->n; i++)
        rv_items_add(&items, real_type, ps->p[i]->t.ndim, ps->p[i]->t.dim, ps->p[i]->t.x, "/model/%s", ps->p[i]->name);
    for (int s = 0; s < rv_optim_slots(parts->optim); s++)
        for (int i = 0; i < ps->n; i++)
            rv_items_add(&items, real_type, ps->p[i]->t.ndim, ps->p[i]->t.dim, rv_optim_slot(parts->optim, s, ps->p[i]),
                         "/optimizer/%s/%s", rv_optim_slot_name(parts->optim, s), ps->p[i]->name);
    rv_items_add_fields(&items, fields, parts->state);
    const char *source = rv_config_source(parts->config);
    char *resolved = rv_config_resolved(parts->config);
    rv_status status = resolved ? rv_task_save(parts->task, &items) : RV_ENOMEM;
    if (status == RV_OK) {
        rv_items_add_text(&items, "/config/source", source, strlen(source));
        rv_items_add_text(&items, "/config/resolved", resolved, strlen(resolved));
        status = rv_items_status(&items);
    }
    if (status == RV_OK) {
        const int64_t step = parts->state->step;
        status = mode == RV_SAVE_NEW     ? rv_run_dir_save(dir, step, items.n, items.item, NULL)
                 : mode == RV_SAVE_AGAIN ? rv_run_dir_save_again(dir, step, items.n, items.item)
                                         : rv_run_dir_try_saving(dir, step, items.n, items.item);
    }
    free(resolved);
    rv_items_free(&items);
    return status;
}

/* Copy the item named `group/name` into x, whose shape must be t's. */
static rv_status read_tensor(const rv_checkpoint *saved, const char *group, const char *name, const rv_tensor *t,
                             rv_real *x) {
    char path[768], want[RV_SHAPE_TEXT], got[RV_SHAPE_TEXT];
    snprintf(path, sizeof path, "%s/%s", group, name);
    const rv_ck_item *it = rv_checkpoint_find(saved, path);
    if (!it)
        return rv_error(RV_ECKPT,
                        "the checkpoint has no tensor %s: it is of another %s; put the experiment back, or give it "
                        "another name or checkpoint.dir",
                        path, strcmp(group, "/model") ? "optimizer" : "model");
    rv_tensor shape = {.ndim = it->ndim};
    memcpy(shape.dim, it->dim, sizeof shape.dim);
    if (!rv_same_shape(t, &shape) || it->type != real_type)
        return rv_error(RV_ECKPT, "tensor %s is %s in the checkpoint and %s in this model: it is of another model",
                        path, rv_shape_text(&shape, got, sizeof got), rv_shape_text(t, want, sizeof want));
    memcpy(x, it->data, (size_t)rv_numel(t) * sizeof *x);
    return RV_OK;
}

rv_status rv_run_load_params(rv_params *ps, const rv_checkpoint *saved) {
    for (int i = 0; i < ps->n; i++) RV_TRY(read_tensor(saved, "/model", ps->p[i]->name, &ps->p[i]->t, ps->p[i]->t.x));
    for (int i = 0; i < rv_checkpoint_count(saved); i++) {
        const char *path = rv_checkpoint_item(saved, i)->path;
        if (!strncmp(path, "/model/", 7) && !rv_params_find(ps, path + 7))
            return rv_error(RV_ECKPT, "the checkpoint's tensor %s has no place in this model: it is of another model%s",
                            path,
                            strstr(path, "norm") && strstr(path, ".bias")
                                ? ", or of a version whose bias: false left the normalisations theirs"
                                : "");
    }
    return RV_OK;
}

rv_status rv_run_restore(const rv_run_parts *parts, const rv_checkpoint *saved) {
    rv_params *ps = parts->params;
    RV_TRY(rv_run_load_params(ps, saved));
    for (int s = 0; s < rv_optim_slots(parts->optim); s++) {
        char group[64];
        snprintf(group, sizeof group, "/optimizer/%s", rv_optim_slot_name(parts->optim, s));
        for (int i = 0; i < ps->n; i++)
            RV_TRY(read_tensor(saved, group, ps->p[i]->name, &ps->p[i]->t, rv_optim_slot(parts->optim, s, ps->p[i])));
    }
    RV_TRY(rv_items_read_fields(saved, fields, parts->state));
    if (parts->state->n_best < 0 || parts->state->n_best > RV_BEST_MAX || parts->state->step < 0)
        return rv_error(RV_ECKPT, "the checkpoint's /trainer holds impossible numbers");
    rv_optim_set_steps(parts->optim, parts->state->step);
    return rv_task_restore(parts->task, saved);
}

rv_status rv_run_average_last(const rv_run_dir *dir, int n) {
    int64_t *steps;
    int have;
    RV_TRY(rv_run_dir_list(rv_run_dir_path(dir), &steps, &have));
    if (n > have) n = have;
    char out[RV_PATH_MAX], (*paths)[RV_PATH_MAX] = rv_alloc((size_t)n * sizeof *paths);
    const char **files = rv_alloc((size_t)n * sizeof *files);
    rv_status status = paths && files ? RV_OK : RV_ENOMEM;
    for (int i = 0; i < n && status == RV_OK; i++) {
        char name[32];
        rv_run_dir_name(steps[have - n + i], name);
        rv_run_dir_file(dir, name, paths[i]);
        files[i] = paths[i];
    }
    rv_run_dir_file(dir, "average.h5", out);
    if (status == RV_OK && n > 0) {
        unlink(out); /* that of an earlier end of the run; it can be made again from the checkpoints */
        status = rv_checkpoint_average(out, n, files, NULL);
        if (status == RV_OK) rv_info("the mean of the last %d checkpoints is in %s", n, out);
    }
    rv_free(files);
    rv_free(paths);
    free(steps);
    return status;
}

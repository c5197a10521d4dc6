#include "train/run_state.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "train/items.h"

static const rv_ck_type real_type = sizeof(rv_real) == 4 ? RV_CK_F32 : RV_CK_F64;

#define FIELD(path, type, member) {path, type, offsetof(rv_run_state, member), 0, false}
static const rv_field fields[] = {
    FIELD("/trainer/step", RV_CK_I64, step),
    FIELD("/trainer/epoch", RV_CK_I64, epoch),
    FIELD("/trainer/tokens", RV_CK_I64, tokens),
    FIELD("/trainer/running_loss", RV_CK_F64, running_loss),
    {"/trainer/best_value", RV_CK_F64, offsetof(rv_run_state, best_value), RV_BEST_MAX, false},
    {"/trainer/best_step", RV_CK_I64, offsetof(rv_run_state, best_step), RV_BEST_MAX, false},
    FIELD("/trainer/n_best", RV_CK_I64, n_best),
    {"/trainer/watched", RV_CK_U8, offsetof(rv_run_state, watched), sizeof ((rv_run_state *)0)->watched, true},
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

rv_status rv_run_save(const rv_run_parts *parts, rv_run_dir *dir, bool again) {
    rv_items items = {0};
    const rv_params *ps = parts->params;
    for (int i = 0; i < ps->n; i++) rv_items_add(&items, real_type, ps->p[i]->t.ndim, ps->p[i]->t.dim, ps->p[i]->t.x, "/model/%s", ps->p[i]->name);
    for (int s = 0; s < rv_optim_slots(parts->optim); s++)
        for (int i = 0; i < ps->n; i++)
            rv_items_add(&items, real_type, ps->p[i]->t.ndim, ps->p[i]->t.dim, rv_optim_slot(parts->optim, s, ps->p[i]), "/optimizer/%s/%s",
                         rv_optim_slot_name(parts->optim, s), ps->p[i]->name);
    rv_items_add_fields(&items, fields, parts->state);
    const char *source = rv_config_source(parts->config);
    char *resolved = rv_config_resolved(parts->config);
    rv_status status = resolved ? parts->task->kind->save(parts->task, &items) : RV_ENOMEM;
    if (status == RV_OK) {
        rv_items_add_text(&items, "/config/source", source, strlen(source));
        rv_items_add_text(&items, "/config/resolved", resolved, strlen(resolved));
        status = rv_items_status(&items);
    }
    if (status == RV_OK)
        status = again ? rv_run_dir_save_again(dir, parts->state->step, items.n, items.item) : rv_run_dir_save(dir, parts->state->step, items.n, items.item, NULL);
    free(resolved);
    rv_items_free(&items);
    return status;
}

/* Copy the item named `group/name` into x, whose shape must be t's. */
static rv_status read_tensor(const rv_checkpoint *saved, const char *group, const char *name, const rv_tensor *t, rv_real *x) {
    char path[768], want[RV_SHAPE_TEXT], got[RV_SHAPE_TEXT];
    snprintf(path, sizeof path, "%s/%s", group, name);
    const rv_ck_item *it = rv_checkpoint_find(saved, path);
    if (!it)
        return rv_error(RV_ECKPT, "the checkpoint has no tensor %s: it is of another %s; put the experiment back, or give it another name or checkpoint.dir", path,
                        strcmp(group, "/model") ? "optimizer" : "model");
    rv_tensor shape = {.ndim = it->ndim};
    memcpy(shape.dim, it->dim, sizeof shape.dim);
    if (!rv_same_shape(t, &shape) || it->type != real_type)
        return rv_error(RV_ECKPT, "tensor %s is %s in the checkpoint and %s in this model: it is of another model", path,
                        rv_shape_text(&shape, got, sizeof got), rv_shape_text(t, want, sizeof want));
    memcpy(x, it->data, (size_t)rv_numel(t) * sizeof *x);
    return RV_OK;
}

rv_status rv_run_load_params(rv_params *ps, const rv_checkpoint *saved) {
    for (int i = 0; i < ps->n; i++) RV_TRY(read_tensor(saved, "/model", ps->p[i]->name, &ps->p[i]->t, ps->p[i]->t.x));
    for (int i = 0; i < rv_checkpoint_count(saved); i++) {
        const char *path = rv_checkpoint_item(saved, i)->path;
        if (!strncmp(path, "/model/", 7) && !rv_params_find(ps, path + 7))
            return rv_error(RV_ECKPT, "the checkpoint's tensor %s has no place in this model: it is of another model", path);
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
    return parts->task->kind->restore(parts->task, saved);
}

/* The lines of a resolved configuration from `key:` at the margin to the next such line. */
static const char *section(const char *text, size_t bytes, const char *key, size_t *len) {
    size_t k = strlen(key);
    const char *end = text + bytes, *start = NULL;
    for (const char *line = text; line < end;) {
        const char *nl = memchr(line, '\n', (size_t)(end - line)), *next = nl ? nl + 1 : end;
        if (start && *line != ' ' && *line != '-') {
            *len = (size_t)(line - start);
            return start;
        }
        if (!start && (size_t)(end - line) > k && !memcmp(line, key, k) && line[k] == ':') start = line;
        line = next;
    }
    *len = start ? (size_t)(end - start) : 0;
    return start ? start : text;
}

/* The first lines in which two sections differ, as "'a' ... 'b'" around `middle`, into text; false if they are equal. */
static bool difference(const char *key, const char *a, size_t na, const char *b, size_t nb, const char *middle, char *text, size_t size) {
    const char *sa = section(a, na, key, &na), *sb = section(b, nb, key, &nb);
    if (na == nb && !memcmp(sa, sb, na)) return false;
    size_t i = 0, line = 0;
    while (i < na && i < nb && sa[i] == sb[i])
        if (sa[i++] == '\n') line = i;
    while (line < na && line < nb && sa[line] == ' ') line++; /* both are indented alike up to here, or differ in it */
    const char *ea = memchr(sa + line, '\n', na - line), *eb = memchr(sb + line, '\n', nb - line);
    int la = (int)((ea ? ea : sa + na) - (sa + line)), lb = (int)((eb ? eb : sb + nb) - (sb + line));
    snprintf(text, size, "'%.*s' under %s%s'%.*s'", la, sa + line, key, middle, lb, sb + line);
    return true;
}

/* The checkpoint's configuration resolved by this version: keys that came after it have their defaults. */
static rv_status saved_config(const rv_checkpoint *saved, const char *path, char **out) {
    const rv_ck_item *it = rv_checkpoint_find(saved, "/config/resolved");
    if (!it) return rv_error(RV_ECKPT, "%s holds no configuration; it was not written by ravel train", path);
    rv_config *config;
    rv_status status = rv_config_parse(path, it->data, (size_t)rv_ck_count(it), 0, NULL, &config);
    if (status == RV_ENOMEM) return status;
    if (status != RV_OK) return rv_error_context(RV_ECKPT, "the checkpoint's configuration is not of this version: ");
    *out = rv_config_resolved(config);
    rv_config_destroy(config);
    return *out ? RV_OK : RV_ENOMEM;
}

rv_status rv_run_check_config(const rv_config *config, const rv_checkpoint *saved) {
    static const char *const fixed[] = {"task", "seed", "model", "tokenizer"}; /* another value is another run */
    static const char *const noted[] = {"data", "train"};                      /* may change, and changes results */
    const char *path = rv_checkpoint_path(saved);
    char *then = NULL, *now, text[512];
    RV_TRY(saved_config(saved, path, &then));
    now = rv_config_resolved(config);
    rv_status status = now ? RV_OK : RV_ENOMEM;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed && status == RV_OK; i++)
        if (difference(fixed[i], then, strlen(then), now, strlen(now), ", but the experiment says ", text, sizeof text))
            status = rv_error(RV_ECKPT, "%s was trained with %s; put the experiment back, or give the changed one another name or checkpoint.dir", path, text);
    for (size_t i = 0; i < sizeof noted / sizeof *noted && status == RV_OK; i++)
        if (difference(noted[i], then, strlen(then), now, strlen(now), ", and now goes on with ", text, sizeof text))
            rv_warn("%s was trained with %s", path, text);
    free(then);
    free(now);
    return status;
}

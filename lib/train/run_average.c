/* The mean of a run's last checkpoints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "optim/average.h"
#include "train/run_state.h"

static rv_status open_all(const char *dir, const int64_t *steps, int n, rv_checkpoint **ck) {
    for (int i = 0; i < n; i++) {
        char name[32], path[RV_PATH_MAX];
        rv_run_dir_name(steps[i], name);
        snprintf(path, sizeof path, "%s/%s", dir, name);
        RV_TRY(rv_checkpoint_open(path, &ck[i]));
    }
    return RV_OK;
}

/* The mean of item `it` of the last checkpoint over all n into out. */
static rv_status mean_of(rv_checkpoint *const *ck, int n, const rv_ck_item *it, rv_real *out, const rv_real **sets) {
    for (int i = 0; i < n; i++) {
        const rv_ck_item *other = rv_checkpoint_find(ck[i], it->path);
        if (!other || other->type != it->type || rv_ck_count(other) != rv_ck_count(it))
            return rv_error(RV_ECKPT, "%s has no %s of the shape that the later checkpoints have", rv_checkpoint_path(ck[i]), it->path);
        sets[i] = other->data;
    }
    rv_average(n, sets, rv_ck_count(it), out);
    return RV_OK;
}

static rv_status average(const char *dir, rv_checkpoint *const *ck, int n) {
    const rv_checkpoint *last = ck[n - 1];
    int count = rv_checkpoint_count(last);
    rv_ck_item *items = rv_alloc((size_t)count * sizeof *items);
    const rv_real **sets = rv_alloc((size_t)n * sizeof *sets);
    rv_status status = items && sets ? RV_OK : RV_ENOMEM;
    for (int i = 0; i < count && status == RV_OK; i++) {
        items[i] = *rv_checkpoint_item(last, i);
        if (strncmp(items[i].path, "/model/", 7)) continue;
        rv_real *mean = rv_alloc((size_t)rv_ck_count(&items[i]) * sizeof *mean);
        status = mean ? mean_of(ck, n, &items[i], mean, sets) : RV_ENOMEM;
        items[i].data = mean;
    }
    if (status == RV_OK) {
        char path[RV_PATH_MAX];
        snprintf(path, sizeof path, "%s/average.h5", dir);
        unlink(path); /* that of an earlier end of the run; it can be made again from the checkpoints */
        status = rv_checkpoint_save(path, rv_checkpoint_step(last), count, items, NULL);
        if (status == RV_OK) rv_info("the mean of the last %d checkpoints is in %s", n, path);
    }
    for (int i = 0; items && i < count; i++)
        if (items[i].path && !strncmp(items[i].path, "/model/", 7) && items[i].data != rv_checkpoint_item(last, i)->data) rv_free((void *)items[i].data);
    rv_free(items);
    rv_free(sets);
    return status;
}

rv_status rv_run_average(const char *dir, int n) {
    int64_t *steps;
    int have;
    RV_TRY(rv_run_dir_list(dir, &steps, &have));
    if (n > have) n = have;
    rv_checkpoint **ck = rv_alloc((size_t)(n ? n : 1) * sizeof *ck);
    rv_status status = ck ? open_all(dir, steps + have - n, n, ck) : RV_ENOMEM;
    if (status == RV_OK && n > 0) status = average(dir, ck, n);
    for (int i = 0; ck && i < n; i++) rv_checkpoint_close(ck[i]);
    rv_free(ck);
    free(steps);
    return status;
}

#include "train/saved.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* The file that a run's folder stands for: best.h5, also as a link whose file is gone, or the latest. */
static rv_status choose(const char *run, char path[RV_PATH_MAX], int64_t **steps, int *n) {
    struct stat s;
    char name[32] = "best.h5";
    RV_TRY(rv_run_dir_list(run, steps, n));
    const bool best = snprintf(path, RV_PATH_MAX, "%s/%s", run, name) < RV_PATH_MAX && lstat(path, &s) == 0;
    if (!best && !*n) return rv_run_dir_without(run);
    if (!best) rv_run_dir_name((*steps)[*n - 1], name);
    return snprintf(path, RV_PATH_MAX, "%s/%s", run, name) < RV_PATH_MAX
               ? RV_OK
               : rv_error(RV_ECKPT, "%s: the path is too long", run);
}

/* The recorded error, and what to do: name the latest checkpoint that is good. */
static rv_status offer_another(const char *run, const int64_t *steps, int n) {
    char why[2048], name[32], other[RV_PATH_MAX];
    rv_checkpoint *good = NULL;
    snprintf(why, sizeof why, "%s", rv_error_message());
    for (int i = n - 1; i >= 0 && !good; i--) {
        rv_run_dir_name(steps[i], name);
        if (snprintf(other, sizeof other, "%s/%s", run, name) < (int)sizeof other) rv_checkpoint_open(other, &good);
    }
    if (!good) return rv_error(RV_ECKPT, "%s; the run has no other checkpoint that can be used", why);
    rv_checkpoint_close(good);
    return rv_error(RV_ECKPT, "%s; to use the latest good checkpoint instead, name it: %s", why, other);
}

static rv_status open_in_run(const char *run, char path[RV_PATH_MAX], rv_checkpoint **out) {
    int64_t *steps = NULL;
    int n = 0;
    rv_status status = choose(run, path, &steps, &n);
    if (status == RV_OK && (status = rv_checkpoint_open(path, out)) == RV_ECKPT) status = offer_another(run, steps, n);
    free(steps);
    return status;
}

rv_status rv__saved_open(const char *named, char path[RV_PATH_MAX], rv_checkpoint **out) {
    *out = NULL;
    if (is_folder(named)) return open_in_run(named, path, out);
    snprintf(path, RV_PATH_MAX, "%s", named);
    if (access(path, F_OK))
        return rv_error(RV_ECKPT, "%s: there is no such run or checkpoint; train first: ravel train EXPERIMENT.yaml",
                        path);
    return rv_checkpoint_open(path, out);
}

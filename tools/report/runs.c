#include "report/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static const char *const measured[] = {"examples.jsonl", "gradient_flow.json", "attention.json"};
enum { MEASURED = sizeof measured / sizeof *measured, PICTURES = 2 /* where the experiment has no say */ };

static bool modified(const char *path, struct timespec *at) {
    struct stat s;
    if (stat(path, &s)) return false;
    *at = s.st_mtim;
    return true;
}

/* A run that went on after it was measured is measured again. */
static rv_status drop_outdated(const char *dir, int64_t step) {
    char path[RV__PATH], name[32];
    struct timespec trained, at;
    rv_run_dir_name(step, name);
    RV_TRY(rv__path(path, "%s/%s", dir, name));
    if (!modified(path, &trained)) return RV_OK;
    for (int i = 0; i < MEASURED; i++) {
        RV_TRY(rv__path(path, "%s/%s", dir, measured[i]));
        bool old = modified(path, &at) &&
                   (at.tv_sec < trained.tv_sec || (at.tv_sec == trained.tv_sec && at.tv_nsec < trained.tv_nsec));
        if (old && unlink(path))
            return rv_error(
                RV_EDATA, "%s: is older than the run and cannot be removed; remove it, so that it is made again", path);
    }
    return RV_OK;
}

/* How far the run came, from its latest checkpoint; without any it is unfinished. */
static rv_status look(const char *dir, const rv_config *config, int64_t *step, bool *finished) {
    rv_checkpoint *saved;
    int64_t stopped = 0, unvalidated = 0;
    *finished = false;
    *step = -1;
    RV_TRY(rv_run_dir_latest(dir, &saved));
    if (!saved) return RV_OK;
    *step = rv_checkpoint_step(saved);
    rv_status status = rv_checkpoint_read(saved, "/trainer/stopped", RV_CK_I64, 1, &stopped);
    if (status == RV_OK) status = rv_checkpoint_read(saved, "/trainer/unvalidated", RV_CK_I64, 1, &unvalidated);
    *finished = status == RV_OK && !unvalidated && (stopped || *step >= rv_config_int(config, "train.max_steps"));
    rv_checkpoint_close(saved);
    return status;
}

/* The outcome of a run whose log ends with a step that diverged, as comparisons' cells have it in a file; or NULL. */
static json_t *diverged_by_log(const char *dir) {
    char path[RV__PATH], *line = NULL;
    size_t room = 0, n = 0;
    FILE *f = rv__path(path, "%s/metrics.jsonl", dir) == RV_OK ? fopen(path, "re") : NULL;
    for (ssize_t got; f && (got = getline(&line, &room, f)) > 0;) n = (size_t)got;
    json_t *last = n ? json_loadb(line, n, 0, NULL) : NULL, *outcome = NULL;
    const char *kind = json_string_value(json_object_get(last, "kind"));
    const char *why = json_string_value(json_object_get(last, "why"));
    const json_int_t step = json_integer_value(json_object_get(last, "step"));
    if (kind && why && !strcmp(kind, "diverged"))
        outcome = json_pack("{s:s, s:I, s:o}", "status", kind, "step", step, "message",
                            json_sprintf("step %lld: %s", (long long)step, why));
    json_decref(last);
    free(line);
    if (f) fclose(f);
    return outcome;
}

static bool is_complete(const char *dir, const rv_config *config) {
    char path[RV__PATH]; /* not every model has attention */
    if (!rv_measured(dir, config)) return false;
    return !rv_head_flows(rv_task_find(rv_config_text(config, "task"))->head) ||
           (rv__path(path, "%s/gradient_flow.json", dir) == RV_OK && !access(path, R_OK));
}

/* The lock, because a run that is still training must not be measured, and two reports at once must not write the same
 * files. */
static rv_status measure(const char *dir, const rv_config *config, int64_t step, int pictures) {
    rv_run_dir *lock;
    RV_TRY(rv_run_dir_open(dir, &lock));
    rv_status status = drop_outdated(dir, step);
    if (status == RV_OK && !is_complete(dir, config)) {
        rv_info("%s: measuring every test example, and how far gradients reach", dir);
        status = rv_measure_run(dir, &(rv_measure_options){.gradient_flow = true, .pictures = pictures});
    }
    rv_run_dir_close(lock);
    return status;
}

/* The settings, as they must be equal for runs to be the same model. */
static char *without_seed(const rv_config *config) {
    char *text = rv_config_resolved(config), *to = text;
    for (char *line = text, *next; line && *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next == '\n';
        if (!strncmp(line, "seed:", 5) || !strncmp(line, "name:", 5) || !strncmp(line, "  dir:", 6)) continue;
        memmove(to, line, (size_t)(next - line));
        to += next - line;
    }
    if (text) *to = 0;
    return text;
}

static rv_status open_run(rv_report_runs_of *r, const char *dir) {
    int i = r->n++, pictures;
    char path[RV__PATH];
    bool finished;
    int64_t step;
    RV_TRY(rv__path(path, "%s/experiment.yaml", dir));
    if (access(path, R_OK))
        return rv_error(RV_EUSAGE,
                        "%s: no run is here (%s cannot be read); name the folder of a run that 'ravel train' made, "
                        "such as runs/NAME, a comparison's folder or "
                        "YAML file, or a report.json",
                        dir, path);
    RV_TRY(rv_config_load(path, 0, NULL, &r->config[i]));
    r->same[i] = without_seed(r->config[i]);
    if (!r->same[i]) return RV_ENOMEM;
    RV_TRY(rv__path(path, "%s/outcome.json", dir));
    r->outcome[i] = json_load_file(path, 0, NULL);
    if (!r->outcome[i]) r->outcome[i] = diverged_by_log(dir);
    const char *said = json_string_value(json_object_get(r->outcome[i], "status"));
    bool diverged = said && !strcmp(said, "diverged");
    RV_TRY(look(dir, r->config[i], &step, &finished));
    static const char sentences[] = "report.attention.sentences";
    pictures = rv_config_has(r->config[i], sentences) ? (int)rv_config_int(r->config[i], sentences) : PICTURES;
    if (pictures > r->pictures) r->pictures = pictures;
    if (finished && !diverged)
        RV_TRY(measure(dir, r->config[i], step, pictures));
    else if (diverged)
        rv_warn("%s: the run diverged (%s); it is shown without what is measured at the end", dir,
                json_string_value(json_object_get(r->outcome[i], "message")));
    else
        rv_warn("%s: the run is not finished; it is shown without what is measured at the end", dir);
    r->run[i] = (rv_report_run){
        .path = dir,
        .setting = "",
        .seed = rv_config_int(r->config[i], "seed"),
        .config = r->config[i],
        .outcome = diverged   ? RV_RUN_DIVERGED
                   : finished ? RV_RUN_DONE
                              : RV_RUN_UNFINISHED,
        .message = json_string_value(json_object_get(r->outcome[i], "message")),
    };
    return RV_OK;
}

/* The run's name, without "-SEED" at its end. */
static char *label_of(const rv_report_run *run) {
    const char *name = rv_config_text(run->config, "name");
    char seed[32];
    size_t n = strlen(name), k = (size_t)snprintf(seed, sizeof seed, "-%lld", (long long)run->seed);
    if (n > k && !strcmp(name + n - k, seed)) n -= k;
    return strndup(name, n);
}

/* Runs of the same settings share a label; another model of the same name gets a number. */
static rv_status label(rv_report_runs_of *r) {
    for (int i = 0; i < r->n; i++) {
        int like = 0;
        while (like < i && strcmp(r->same[like], r->same[i])) like++;
        if (like < i) {
            r->run[i].model = r->run[like].model;
            continue;
        }
        char *name = label_of(&r->run[i]), *text = name;
        for (int k = 0, number = 2; name && text && k < r->n_models; k++) {
            if (strcmp(r->model[k], text)) continue;
            char numbered[RV__PATH];
            snprintf(numbered, sizeof numbered, "%s (%d)", name, number++);
            if (text != name) free(text);
            text = strdup(numbered);
            k = -1;
        }
        if (text != name) free(name);
        if (!text) return rv_error(RV_ENOMEM, "no memory for the names of %d runs", r->n);
        r->run[i].model = r->model[r->n_models++] = text;
    }
    return RV_OK;
}

rv_status rv__runs_open(rv_report_runs_of *r, int n, const char *const *folder) {
    size_t rows = (size_t)n;
    *r = (rv_report_runs_of){.run = calloc(rows, sizeof *r->run),
                             .model = calloc(rows, sizeof *r->model),
                             .config = calloc(rows, sizeof *r->config),
                             .outcome = calloc(rows, sizeof(json_t *)),
                             .same = calloc(rows, sizeof *r->same)};
    if (!r->run || !r->model || !r->config || !r->outcome || !r->same)
        return rv_error(RV_ENOMEM, "no memory for %d runs", n);
    for (int i = 0; i < n; i++) RV_TRY(open_run(r, folder[i]));
    return label(r);
}

void rv__runs_release(rv_report_runs_of *r) {
    for (int i = 0; i < r->n; i++) {
        rv_config_destroy(r->config[i]);
        json_decref(r->outcome[i]);
        free(r->same[i]);
    }
    for (int i = 0; i < r->n_models; i++) free((char *)r->model[i]);
    free(r->run);
    free(r->model);
    free(r->config);
    free(r->outcome);
    free(r->same);
    *r = (rv_report_runs_of){0};
}

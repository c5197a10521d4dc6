/* A comparison's report: its cells as runs, and its plan. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare/compare_private.h"
#include "compare/report.h"
#include "report/page.h"

static rv_report_options options_of(const rv_config *c, bool times) {
    rv_report_options o = {
        .words = rv_config_is(c, "compare.quality.length_unit", "words"),
        .level = rv_config_real(c, "compare.report.ci"),
        .resamples = (int)rv_config_int(c, "compare.report.resamples"),
        .samples = (int)rv_config_int(c, "compare.report.samples"),
        .pictures = (int)rv_config_int(c, "compare.report.attention.sentences"),
        .times = times,
    };
    o.n_bins = rv_config_count(c, "compare.quality.length_bins");
    for (int i = 0; i < o.n_bins; i++) o.most[i] = rv_config_int_at(c, "compare.quality.length_bins", i);
    for (int i = 0; i < rv_config_count(c, "compare.report.metrics") && o.n_metrics < RV_REPORT_METRICS; i++) {
        const char *metric = rv_config_text_at(c, "compare.report.metrics", i);
        static const char *const of_cost[] = {"tokens_per_second", "peak_rss", "flops"}; /* these are always shown */
        bool cost = false;
        for (int k = 0; k < 3; k++) cost |= !strcmp(metric, of_cost[k]);
        if (!cost) o.metrics[o.n_metrics++] = metric;
    }
    if (rv_config_has(c, "compare.quality.threshold")) {
        o.threshold_metric = rv_config_text(c, "compare.quality.threshold.metric");
        o.threshold = rv_config_real(c, "compare.quality.threshold.value");
    }
    return o;
}

/* Texts of the documents that a report refers to while it is built. */
typedef struct {
    rv_report_run *run;
    rv_config **config;
    char (*path)[RV_PATH_MAX];
    json_t **outcome;
    const char **model, **setting;
    json_t *plan;
} held;

static void release(held *h, int n) {
    for (int i = 0; h->config && i < n; i++) rv_config_destroy(h->config[i]);
    for (int i = 0; h->outcome && i < n; i++) json_decref(h->outcome[i]);
    free(h->run);
    free(h->config);
    free(h->path);
    free(h->outcome);
    free(h->model);
    free(h->setting);
    json_decref(h->plan);
}

/* One training as the report sees it; a cell that is not complete is no run. */
static rv_status add_run(const rv_comparison *c, int number, held *h, int *n) {
    rv_cell_info cell = rv_comparison_cell(c, number);
    if (cell.kind != RV_CELL_TRAIN) return RV_OK;
    rv_cell_state state = rv_cell_look(c, number, NULL, NULL);
    if (state != RV_CELL_DONE && state != RV_CELL_DIVERGED) return RV_OK;
    int i = (*n)++;
    char file[RV_PATH_MAX + 32];
    snprintf(h->path[i], sizeof h->path[i], "%s", cell.path);
    snprintf(file, sizeof file, "%s/outcome.json", cell.path);
    RV_TRY(rv_json_read(file, &h->outcome[i]));
    snprintf(file, sizeof file, "%s/experiment.yaml", cell.path);
    RV_TRY(rv_config_load(file, 0, NULL, &h->config[i]));
    h->run[i] = (rv_report_run){
        .path = h->path[i],
        .model = cell.model,
        .setting = cell.setting,
        .seed = cell.seed,
        .cell = number,
        .config = h->config[i],
        .outcome = state == RV_CELL_DONE ? RV_RUN_DONE : RV_RUN_DIVERGED,
        .message = json_string_value(json_object_get(h->outcome[i], "message")),
    };
    return RV_OK;
}

/* A word as a shell takes it. */
static json_t *shell_word(const char *s) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-=/:,+@%";
    if (*s && strspn(s, plain) == strlen(s)) return json_string(s);
    char *quoted = malloc(4 * strlen(s) + 3), *at = quoted;
    if (!quoted) return NULL;
    *at++ = '\'';
    for (; *s; s++) at += *s == '\'' ? sprintf(at, "'\\''") : sprintf(at, "%c", *s);
    *at++ = '\'', *at = 0;
    json_t *word = json_string(quoted);
    free(quoted);
    return word;
}

static json_t *command_of(const rv_comparison *c) {
    json_t *command = json_sprintf("ravel compare %s", c->file), *given;
    size_t i;
    json_array_foreach (c->overrides, i, given) {
        json_t *before = command, *word = shell_word(json_string_value(given));
        command = word ? json_sprintf("%s %s", json_string_value(before), json_string_value(word)) : NULL;
        json_decref(before);
        json_decref(word);
    }
    return command;
}

static rv_status build(const rv_comparison *c, bool times, held *h, int *n_runs, json_t **out) {
    const json_t *models = json_object_get(c->plan, "models"), *settings = json_object_get(c->plan, "settings");
    size_t cells = (size_t)rv_comparison_cells(c) + 1, n_models = json_array_size(models),
           n_settings = json_array_size(settings);
    h->run = calloc(cells, sizeof *h->run);
    h->config = calloc(cells, sizeof *h->config);
    h->path = calloc(cells, sizeof *h->path);
    h->outcome = calloc(cells, sizeof *h->outcome);
    h->model = calloc(n_models, sizeof *h->model);
    h->setting = calloc(n_settings, sizeof *h->setting);
    if (!h->run || !h->config || !h->path || !h->outcome || !h->model || !h->setting)
        return rv_error(RV_ENOMEM, "no memory for a report");
    for (size_t i = 0; i < n_models; i++)
        h->model[i] = json_string_value(json_object_get(json_array_get(models, i), "model"));
    for (size_t i = 0; i < n_settings; i++) h->setting[i] = json_string_value(json_array_get(settings, i));
    for (int i = 1; i <= rv_comparison_cells(c); i++) RV_TRY(add_run(c, i, h, n_runs));
    h->plan = json_copy(c->plan);
    json_t *tuning, *commands = json_array();
    json_array_append_new(commands, command_of(c));
    json_object_set_new(h->plan, "reproduce", commands);
    json_object_set_new(h->plan, "made_from", json_pack("{s:s, s:O}", "file", c->file, "set", c->overrides));
    RV_TRY(rv_comparison_tuning(c, &tuning));
    if (tuning) json_object_set_new(h->plan, "tuning", tuning);
    const rv_report_input in = {
        .name = rv_config_text(c->config, "compare.name"),
        .dir = c->dir,
        .model = h->model,
        .setting = h->setting,
        .run = h->run,
        .n_models = (int)n_models,
        .n_settings = (int)n_settings,
        .n_runs = *n_runs,
        .plan = h->plan,
        .options = options_of(c->config, times),
    };
    return rv_report_build(&in, out);
}

rv_status rv_comparison_report(const rv_comparison *c, bool times, json_t **out) {
    held h = {0};
    int n = 0;
    *out = NULL;
    rv_status status = build(c, times, &h, &n, out);
    release(&h, n);
    return status;
}

rv_status rv_comparison_write_report(const rv_comparison *c, bool times, json_t **out) {
    char path[RV_PATH_MAX];
    rv_run_dir *dir = NULL;
    *out = NULL;
    while (rv_run_dir_open(c->dir, &dir) !=
           RV_OK) { /* another process that shares the comparison may be writing it, too */
        if (!rv_run_dir_owner(c->dir)) {
            RV_TRY(rv_run_dir_open(c->dir, &dir)); /* it is done with it just now; or the folder cannot be written */
            break;
        }
        usleep(200000);
    }
    rv_status status = rv_comparison_report(c, times, out);
    if (status == RV_OK) {
        snprintf(path, sizeof path, "%s/report.json", c->dir);
        status = rv_json_write(*out, path);
    }
    if (status == RV_OK) {
        snprintf(path, sizeof path, "%s/report.html", c->dir);
        status = rv_report_page(*out, path);
    }
    rv_run_dir_close(dir);
    return status;
}

/** A comparison: one YAML file, the plan that it stands for, and its cells, each an ordinary run. README.md has the
 * files.
 *
 *  The plan is a JSON document, written once as DIR/plan.json and only read from then on:
 *    "format": "ravel-compare 2", "name"
 *    "asked":  {"compare": [lines], "model LABEL": [lines]}, the configuration it was made from, to see changes
 *    "models": [{"model", "file", "set": ["key=value"], "src_vocab", "tgt_vocab", "defaults": [key]}],
 *              set: what the comparison says, and matched widths; defaults: what the model has by default
 *    "settings": [label], "seeds", "match", "budget" as in report.json, "tuning": {"steps", "tokens", "lr": [...],
 * "equal"} or null "cells":  [{"cell", "kind": "tune|train|cost", "model", "setting", "seed", "lr", "steps", "tokens",
 * "path", "set"}] in the order in which they are run: trials of learning rates, trainings, costs. Of a trial also
 * "with", the other values that are tried, "take", what a training takes over from it, and "beyond": -1 or 1 of a rate
 * below or above those listed, which is tried only where one of these comes out best at that end. */
#ifndef RV_COMPARE_COMPARISON_H
#define RV_COMPARE_COMPARISON_H

#include <jansson.h>
#include <stdint.h>

#include "io/run_dir.h"
#include "config/config.h"

/** Whether a learning rate beyond those listed is to be tried. */
typedef enum { RV__NOT_KNOWN, RV__WANTED, RV__NOT_WANTED } rv__wanted;

typedef struct {
    rv_config *config;           /**< the comparison's file */
    char file[RV_PATH_MAX];      /**< its path */
    char dir[RV_PATH_MAX - 512]; /**< its folder */
    json_t *plan;                /**< NULL before rv_comparison_plan */
    json_t *models;              /**< [{"model", "file", "set"}] as the file says */
    json_t *settings;            /**< [{"setting", "set"}] */
    json_t *asked;
    json_t *trials;     /**< [{"setting", "set"}] of compare.tune.settings */
    rv__wanted *beyond; /**< [2], below and above: what is known by now */
    json_t *overrides;  /**< ["compare.key=value"] of the command line */
} rv_comparison;

/** Read the file and every experiment that it names, in every setting. RV_EUSAGE with file:line:column of what is
 * wrong. */
RV_API rv_status rv_comparison_open(const char *file, int n_overrides, const char *const *overrides,
                                    rv_comparison **out);
RV_API void rv_comparison_close(rv_comparison *c);
/** The plan: read from the folder, or made (models are matched, budgets become steps) and, with `keep`, written there.
 *  RV_EUSAGE when the folder's plan was made from another configuration, naming what differs; RV_EDATA when models are
 *  matched by wall clock on a machine that does not stay equally fast; otherwise errors of the models and data. */
RV_API rv_status rv_comparison_plan(rv_comparison *c, bool keep);

typedef enum { RV_CELL_TUNE, RV_CELL_TRAIN, RV_CELL_COST } rv_cell_kind;
typedef struct {
    int number; /**< from 1 */
    rv_cell_kind kind;
    const char *model, *setting;
    int64_t seed, steps, tokens; /**< seed: of a cost cell, its round */
    double lr;                   /**< of a trial: its learning rate */
    const char *with;            /**< of a trial: the other values, "model.dropout=0.1"; "": none */
    int beyond;                  /**< of a trial: -1, 1 for a rate below or above those listed */
    char path[RV_PATH_MAX];      /**< its folder; of a cost cell, its file */
    const json_t *entry;
} rv_cell_info;
RV_API int rv_comparison_cells(const rv_comparison *c);
RV_API rv_cell_info rv_comparison_cell(const rv_comparison *c, int number);

typedef enum {
    RV_CELL_MISSING,
    RV_CELL_STOPPED,
    RV_CELL_RUNNING,
    RV_CELL_DONE,
    RV_CELL_DIVERGED,
    RV_CELL_NOT_NEEDED /**< a trial beyond the rates listed, none of which came out best at that end */
} rv_cell_state;
/** What the disk says of a cell. *step: checkpoint it would go on from, or -1; *pid: who runs it, or 0. Either may be
 * NULL. */
RV_API rv_cell_state rv_cell_look(const rv_comparison *c, int number, int64_t *step, long *pid);
/** True if what a cell needs is complete: of a training, the trials; of a trial beyond the rates listed, those of the
 *  rates listed; of a measurement of cost, all that trains. */
RV_API bool rv_cell_ready(const rv_comparison *c, int number);
/** Run a cell to its end, or on from where it stopped, with so many threads (0: all). A diverged training is an outcome
 *  and RV_OK; of one that is not needed nothing is done, which is RV_OK, too. RV_EUSAGE if it needs other cells first
 *  or another process runs it; errors of rv_train, rv_measure_run; what rv_stop_requested says. */
RV_API rv_status rv_cell_run(const rv_comparison *c, int number, int threads);

/** "tuning" of report.json from the trials that are complete; the rate of a model whose trials all diverged, or of
 * which some are missing, is null or preliminary. *out is NULL where nothing is tuned, and after an error (RV_EDATA
 * with the path); the caller decrefs. */
RV_API rv_status rv_comparison_tuning(const rv_comparison *c, json_t **out);
/** report.json from the cells that are complete. times: with what depends on the clock or the machine. The caller
 * decrefs. */
RV_API rv_status rv_comparison_report(const rv_comparison *c, bool times, json_t **out);
/** Build the report and write report.json and report.html into the comparison's folder; *out: the document. */
RV_API rv_status rv_comparison_write_report(const rv_comparison *c, bool times, json_t **out);

/** What a comparison will be, model by model in every setting, before anything is run:
 *  [{"setting", "model", "parameters", "embedding_parameters", "flops_per_token", "steps", "tokens", "seconds"}]: steps
 *  and tokens of one training, `seconds` of all its trainings and trials, after a few steps that are timed here on all
 *  threads (0 where nothing is trained). Validations, measurements and costs come on top. Errors: of the models and
 *  their data. The caller decrefs. */
RV_API rv_status rv_comparison_expect(const rv_comparison *c, json_t **out);

#endif

/** From finished runs to one document of numbers (report.json) and one page (report.html). README.md describes both.
 *
 *  What the page shows is in the document; the page is drawn from the document alone. */
#ifndef RV_COMPARE_REPORT_H
#define RV_COMPARE_REPORT_H

#include <jansson.h>
#include <stdint.h>

#include "config/config.h"

typedef enum { RV_RUN_DONE, RV_RUN_DIVERGED, RV_RUN_UNFINISHED } rv_run_outcome;

/** One run, as a report sees it; texts are the caller's. */
typedef struct {
    const char *path;    /**< its folder */
    const char *model;   /**< label: the name in compare.models; outside a comparison the run's name without its seed */
    const char *setting; /**< "" or "data.length=50 model.dropout=0" */
    int64_t seed;
    int cell;                /**< number in the comparison, from 1; 0 outside */
    const rv_config *config; /**< experiment.yaml of the folder */
    rv_run_outcome outcome;
    const char *message; /**< why it diverged, or NULL */
} rv_report_run;

enum { RV_REPORT_BINS = 32, RV_REPORT_METRICS = 9 };
typedef struct {
    int n_bins;                   /**< 0: one bin, no picture by length */
    int64_t most[RV_REPORT_BINS]; /**< rising; bin i holds lengths up to most[i] and more than most[i - 1]; longer ones
                                     are in a last bin */
    bool words;                   /**< lengths are in words of the source instead of its tokens */
    int n_metrics;                /**< 0: every one that the examples have */
    const char *metrics[RV_REPORT_METRICS]; /**< names as in examples: loss, ppl, accuracy, exact, bleu, mse */
    double level;                           /**< of intervals: 0.95 */
    int resamples;                          /**< of the bootstrap */
    const char *threshold_metric;           /**< validation metric of `time_to`, or NULL */
    double threshold;
    int samples, pictures; /**< examples shown as text; as attention heat maps */
    bool times;            /**< false: leave out all that depends on the clock or the machine */
} rv_report_options;

typedef struct {
    const char *name, *dir;   /**< title; the folder with cost/MODEL.rN.json, if any */
    const char *const *model; /**< labels in the order in which they are shown */
    const char *const *setting;
    const rv_report_run *run;
    int n_models, n_settings, n_runs;
    json_t *plan; /**< plan.json of a comparison: match, budget, tuning; NULL outside */
    rv_report_options options;
} rv_report_input;

/** The parts of the document; a part that has nothing to say leaves the document alone. Errors: RV_EDATA with the path,
 *  RV_ENOMEM. */
RV_API rv_status rv_report_runs(const rv_report_input *in,
                                json_t *report); /**< "differences", "runs", "curves", "time_to" */
RV_API rv_status rv_report_quality(const rv_report_input *in,
                                   json_t *report); /**< "quality", "by_length", "confusion", "samples", "attention"; of
                                                       taggers "by_tag", "by_number", "disagreements", "transitions" */
RV_API rv_status rv_report_gradient_flow(
    const rv_report_input *in,
    json_t *report); /**< "gradient_flow": seeds joined by geometric means, low and high their least and greatest */
RV_API rv_status rv_report_cost(const rv_report_input *in, json_t *report); /**< "cost" */
/** All of them, with "name", "models", "settings", "machine", "match", "budget", "tuning", "reproduce". The caller
 * decrefs. */
RV_API rv_status rv_report_build(const rv_report_input *in, json_t **out);

#endif

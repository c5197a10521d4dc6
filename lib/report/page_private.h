/* The page of a report: what its sections share. Every section reads the document (README.md) and writes HTML; a
 * section whose part the document lacks writes nothing. */
#ifndef RV_REPORT_PAGE_PRIVATE_H
#define RV_REPORT_PAGE_PRIVATE_H

#include <jansson.h>

#include "base/arena.h"
#include "report/chart.h"
#include "config/metric.h"

/* A chart that was written to a file. */
typedef struct rv__page_figure {
    const char *slug;
    struct rv__page_figure *next;
} rv__page_figure;

typedef struct {
    FILE *f;
    const json_t *report;
    const json_t *models; /* labels; the position is the colour */
    rv_arena *arena;      /* texts and arrays, until the page is done */
    const char *figures;  /* the folder that charts are written into, too, or NULL */
    rv__page_figure *figure;
    rv_status status; /* the first error sticks; what is drawn after it is incomplete and not kept */
} rv__page;

/* ---- the document: what is absent or of another type is NULL, "", NaN or no elements ---- */
const json_t *rv__page_part(const rv__page *p, const char *key); /* of the report; NULL also if it is empty */
const char *rv__page_string(const json_t *o, const char *key);
double rv__page_real(const json_t *o, const char *key);
bool rv__page_is(const json_t *o, const char *key, const char *value);
/* Numbers of an array; null is NaN. Returns how many. */
int rv__page_reals(rv__page *p, const json_t *array, const double **out);
int rv__page_n_models(const rv__page *p);
const char *rv__page_model_name(const rv__page *p, int i);
int rv__page_colour(const rv__page *p, const char *model);
/* The settings of a comparison, at least one; the only one is "". */
int rv__page_n_settings(const rv__page *p);
const char *rv__page_setting(const rv__page *p, int i);
/* Whether the models tell a tag of each word. */
bool rv__page_tagged(const rv__page *p);
/* "test examples", of taggers "test sentences"; "validation examples" where there is no test part. */
const char *rv__page_examples(const rv__page *p);
/* If the settings are numbers of one key ("data.length=50"), that key's name, and the numbers into x[settings]; else
 * NULL. */
const char *rv__page_setting_axis(rv__page *p, double *x);
bool rv__page_of_setting(const json_t *o, const char *setting);

/* ---- texts in the arena; numbers rounded for reading ---- */
void *rv__page_alloc(rv__page *p, size_t bytes); /* zeroed; NULL once memory has run out */
const char *rv__page_format(rv__page *p, const char *format, ...) RV_PRINTF(2, 3);
const char *rv__page_number(rv__page *p, double v); /* 3 digits: 0.0123, 12.3, 1,230 */
const char *rv__page_given(rv__page *p, double v);  /* as somebody wrote it: 0.1, 3e-04 */
const char *rv__page_rough(rv__page *p, double v);  /* 2 digits: what is fitted or estimated */
const char *rv__page_count(rv__page *p, double v);  /* 9,600; 1.23 M */
const char *rv__page_bytes(rv__page *p, double v);
const char *rv__page_ms(rv__page *p, double v);
const char *rv__page_range(rv__page *p, double low, double high); /* "13.9 to 15.7"; a dash where neither is known */
const char *rv__page_interval(rv__page *p, double v, double low, double high); /* "14.8 (13.9 to 15.7)" */
const char *rv__page_value_of(rv__page *p, double v, double low,
                              double high); /* "14.8", with as many digits as its interval */

/* ---- what a metric is called ---- */
/* Of a regression, whose loss has no tokens, the loss under other names; of a name that is not known, that name. */
rv_metric_kind rv__page_metric_of(const rv__page *p, const char *name);
/* The metric that verdicts are told by: of those in the document the one of least rank in metrics.def. */
const char *rv__page_headline(const rv__page *p);

/* ---- what is known of a system in a setting; NaN where nothing is ---- */
typedef struct {
    double value, low, high;
} rv__page_span;
const json_t *rv__page_quality_of(const rv__page *p, const char *metric, const char *setting); /* or NULL */
/* A metric with its interval, in the metric's scale. */
rv__page_span rv__page_metric_span(const rv__page *p, const char *metric, const char *model, const char *setting);
double rv__page_loss(const rv__page *p, const char *model, const char *setting);
double rv__page_parameters(const rv__page *p, const char *model, const char *setting);
/* The mean of a number over the model's finished runs, or if none is finished, over those that are not. `part` "" is
 * that of the examples that they were measured on. */
double rv__page_mean_of_runs(const rv__page *p, const char *model, const char *setting, const char *part,
                             const char *key);
/* The model that is better than each other one, or NULL. */
const char *rv__page_winner(const rv__page *p, const char *metric, const char *setting);
/* "95 %", "3 seeds" */
const char *rv__page_level(rv__page *p, const json_t *quality);
const char *rv__page_seeds(rv__page *p);

/* ---- tables ---- */
typedef struct {
    rv__page *page;
    int columns, n, most;
    const char **cell;
} rv__page_table;
rv__page_table rv__page_table_begin(rv__page *p, int columns);
void rv__page_cell(rv__page_table *t, const char *text);
/* Nothing if there is only the head. */
void rv__page_table_end(rv__page_table *t, const char *caption);

enum { RV__PAGE_PAIRS_MOST = 10 }; /* more pairs than that are told by tables alone */

/* What a phase of cost is called. */
const char *rv__page_phase(const char *phase);
/* Whether times fall as sequences grow, beyond their spread: then the machine was not the same all the time (something
 * else ran on it), and where two models' lines cross says nothing of the models. */
bool rv__page_disturbed(const json_t *cost, const char *model, const char *phase, double threads);
/* A model's name in its colour. */
void rv__page_model(rv__page *p, const char *name);
/* "a, b and c": what stands before the i-th of n. */
const char *rv__page_join(int i, int n);
/* A line chart, and its file where charts are wanted as files. */
void rv__page_chart(rv__page *p, const rv_chart *chart);
void rv__page_heading(rv__page *p, const char *text); /* within a section */
void rv__page_note(rv__page *p, const char *text);    /* a paragraph that explains */
/* What a reader opens only to know more: a summary that unfolds. */
void rv__page_fold_begin(rv__page *p, const char *summary);
void rv__page_fold_end(rv__page *p);
/* A row around `charts` charts, unless there is but one, which then has the whole width. */
void rv__page_charts_begin(rv__page *p, int charts);
void rv__page_charts_end(rv__page *p, int charts);

/* A tagged sentence (of "samples" or "disagreements"): under each word its tag and what each model told, words on which
 * models differ on a ground; the note, unless "", above. False: words and tags are not as many; nothing is drawn. */
bool rv__page_gloss(rv__page *p, const json_t *sample, const char *note);

/* ---- sections, in the order of the page ---- */
void rv__page_sentence(rv__page *p);
bool rv__page_systems(rv__page *p); /* whether there is anything to say */
void rv__page_summary(rv__page *p);
void rv__page_overview(rv__page *p); /* within it */
void rv__page_fairness(rv__page *p);
void rv__page_tuning(rv__page *p, const json_t *tuning); /* within it */
void rv__page_curves(rv__page *p);
void rv__page_quality(rv__page *p);
void rv__page_confusion(rv__page *p); /* within it */
void rv__page_by_length(rv__page *p);
void rv__page_by_tag(rv__page *p);
void rv__page_time_to(rv__page *p);
void rv__page_samples(rv__page *p);
void rv__page_disagreements(rv__page *p);
void rv__page_transitions(rv__page *p);
void rv__page_attention(rv__page *p);
void rv__page_flow(rv__page *p);
void rv__page_cost(rv__page *p);
void rv__page_runs(rv__page *p);
void rv__page_origin(rv__page *p);

#endif

/* The runs' examples while "quality" is made of them, and what speaks against a verdict. */
#ifndef RV_COMPARE_REPORT_QUALITY_PRIVATE_H
#define RV_COMPARE_REPORT_QUALITY_PRIVATE_H

#include "compare/report_data_private.h"

enum { RV__WHY = 1024 };

/* What else is known of a run. */
typedef struct {
    int64_t tokens; /* that it was trained on */
    double fall; /* of the validation loss, as a share of it, if it went on falling for as long as the line through the
                    last ones is; NaN: not known */
    double fall_low;  /* the least that the line's interval allows */
    double valid;     /* its least validation loss; infinite without any */
    json_t *measured; /* measured.json, or NULL */
} rv__run_facts;

typedef struct {
    const rv_report_input *in;
    rv__examples *e; /* of each run */
    rv__run_facts *facts;
} rv__quality;

/* The runs of a model in a setting that can be measured. */
typedef struct {
    const char *model;
    int n, *run;
} rv__group;

bool rv__belongs(const rv_report_run *r, const char *model, const char *setting);
rv_status rv__run_facts_read(const rv_report_run *run, double level, rv__run_facts *out);
void rv__run_facts_free(rv__run_facts *f);

/* What each class was taken for by each model in a setting, over its seeds: appended to `list`. */
void rv__report_confusion(const rv__quality *d, const char *setting, const rv__group *g, json_t *list);

/* A metric of all the group's examples; NaN where they lack it. Error: RV_ENOMEM. */
rv_status rv__quality_value(const rv__quality *d, const rv__group *g, const rv__metric_kind *m, rv_interval *out);
/* What a model says of the example on that line, for the page: a new reference, or NULL where it writes nothing. */
json_t *rv__sample_output(const char *model, const json_t *line);

/* Of tagged sentences in a setting, into `parts`: "by_tag", "by_number", "disagreements", "transitions". Errors: those
 * of rv__examples_read. */
rv_status rv__report_tags(const rv__quality *d, const char *setting, const rv__group *g, json_t *parts);

/* Whether the model's examples have what the metric needs. */
bool rv__measured_by(const rv__quality *d, const rv__group *g, const rv__metric_kind *m);
/* Whether the two were measured on other examples, or these were cut into other tokens where the metric counts them;
 * and why. */
bool rv__other_examples(const rv__quality *d, const rv__group *a, const rv__group *b, const rv__metric_kind *m,
                        char why[RV__WHY]);
/* Whether something else than the systems may explain a difference, and what. */
bool rv__no_verdict(const rv__quality *d, const char *setting, const rv__group *a, const rv__group *b,
                    const rv__metric_kind *m, char why[RV__WHY]);
/* Beside a verdict: whether the winner's trial at a rate one step on the grid away was behind the loser's best one. */
void rv__rate_caveat(const rv__quality *d, const char *winner, const char *loser, char why[RV__WHY]);
/* What to know beside a verdict, or that there is no difference to tell: appended to `why`, parted by "; ". */
void rv__caveats(const rv__quality *d, const rv__group *a, const rv__group *b, char why[RV__WHY]);

#endif

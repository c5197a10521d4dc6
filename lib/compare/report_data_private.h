/* What a report reads of a run's folder. */
#ifndef RV_COMPARE_REPORT_DATA_PRIVATE_H
#define RV_COMPARE_REPORT_DATA_PRIVATE_H

#include "io/json_file.h"
#include "compare/report.h"
#include "stats/rates.h"
#include "stats/stats.h"
#include "evaluate/bleu.h"
#include "evaluate/chrf.h"
#include "evaluate/classes.h"
#include "evaluate/spans.h"
#include "config/metric.h"

enum { RV__PAGE_CLASSES = 50 }; /* classes or tags that a page has room for, in a table or in a list */

/* The sums of an example, in this order: after those of single numbers BLEU's counts and totals of each order and the
 * two lengths; then chrF's n-grams of the hypothesis, of the reference and of both, of each order. */
enum { RV__CHRF_ORDER = 6 };
enum {
    RV__NATS,
    RV__TOKENS,
    RV__CORRECT,
    RV__BYTES,
    RV__EXACT,
    RV__EXAMPLES,
    RV__SQUARES,
    RV__KNOWN, /* words that the training part has: right, all */
    RV__UNKNOWN = RV__KNOWN + 2,
    RV__SPANS = RV__UNKNOWN + 2, /* right, told, there */
    RV__MALFORMED = RV__SPANS + 3,
    RV__BLEU,
    RV__CHRF = RV__BLEU + 2 * RV_BLEU_ORDER + 2,
    RV__COLUMNS = RV__CHRF + 3 * RV__CHRF_ORDER,
    RV__CLASSES, /* no columns, these two: made of the true class and the one told */
    RV__RECALL   /* of words whose tag is one of `tags`: right, all */
};

/* examples.jsonl. */
typedef struct {
    int64_t n;
    double *sums;       /* (n, RV__COLUMNS) */
    int64_t *length[2]; /* of the source, in tokens and in words */
    int n_classes;      /* as measured.json names them; 0: no classes are told */
    json_t *class_name; /* or NULL */
    /* Example i's true classes and those told, of a sentence one for each word: class[k][class_at[i] .. class_at[i+1])
     */
    int32_t *class[2];
    int64_t *class_at; /* (n + 1) */
    /* Which sums mean something: 3 of them; bytes; exact, BLEU; chrF, which earlier versions did not have; squares;
     * words tagged, some of them unknown; spans. */
    bool predictions, bytes, texts, chrf, numbers, tags, unknown, spans;
    json_t *first; /* the first few lines as they are */
} rv__examples;
/* A folder without the file has none: RV_OK with n = 0. Errors: RV_EDATA with path and line, or the class that is none,
 * RV_ENOMEM. */
rv_status rv__examples_read(const char *dir, int64_t keep, rv__examples *out);
void rv__examples_free(rv__examples *e);
/* The lines of these n examples, rising, as they are: appended to `lines`. Errors: as above. */
rv_status rv__examples_pick(const char *dir, int n, const int64_t *which, json_t *lines);

/* metrics.jsonl. */
typedef struct {
    int64_t step, tokens;
    double loss, seconds; /* since the start, as the speed of the logged steps has it */
} rv__train_point;
typedef struct {
    int64_t n, peak_bytes;
    rv__train_point *train;
    json_t *valid; /* the lines of validations */
} rv__run_log;
/* A folder without the file has an empty log. Errors: RV_EDATA with path and line, RV_ENOMEM. */
rv_status rv__run_log_read(const char *dir, rv__run_log *out);
void rv__run_log_free(rv__run_log *l);
/* The latest point at or before this step; all zero before the first. */
rv__train_point rv__run_log_at(const rv__run_log *l, int64_t step);

/* DIR/name as JSON; NULL where there is no such file. Errors: RV_EDATA with path and line. */
rv_status rv__run_json_read(const char *dir, const char *name, json_t **out);

/* "systems" of the document. Error: RV_ENOMEM. */
rv_status rv__report_systems(const rv_report_input *in, json_t *report);

/* Metrics of examples. */
typedef struct {
    const char *name;
    rv_metric_of of;
    int columns,
        column[2]; /* the sums it needs, in the order in which `of` takes them; more than 2: from the first on */
    uint64_t tags; /* RV__RECALL: a bit for each, of those below 64 */
} rv__metric_kind;
enum { RV__METRIC_KINDS = 13 };
extern const rv__metric_kind rv__metric_kinds[RV__METRIC_KINDS];
/* The share of the words whose tag is one of these that bear it rightly. */
rv__metric_kind rv__recall_of(uint64_t tags);
/* With what it can be, for intervals. */
rv_corpus_metric rv__corpus_metric(const rv__metric_kind *m);
/* What an example brings to it. */
void rv__metric_sums(const rv__metric_kind *m, const rv__examples *e, int64_t i, double *sums);
bool rv__metric_known(const rv__metric_kind *m, const rv__examples *e);
/* Of all examples. */
double rv__metric_value(const rv__metric_kind *m, const rv__examples *e);

#endif

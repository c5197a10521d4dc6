/* Parts of the data: each a file, or a fraction of train's. */
#ifndef RV_DATA_SPLIT_H
#define RV_DATA_SPLIT_H

#include "data/pairs_private.h"

typedef struct {
    const char *path[RV__PARTS]; /* the file that each part comes from; NULL: there is none */
    double share[RV__PARTS];     /* of train's file that is held back for a part; 0: path[k] is its own */
    double train_fraction, test_fraction;
    const char *what; /* "texts": what is split, for messages */
} rv__split;

/* "training", "validation", "test" */
extern const char *const rv__part_words[RV__PARTS];

/* What becomes of the files and fractions (rv_table_files says what they mean). RV_EUSAGE for fractions that cannot be,
 * or of what is a file. */
rv_status rv__split_make(const char *train, const char *valid, const char *test, double train_fraction,
                         double test_fraction, const char *what, rv__split *out);
/* Whether part k is read from a file of its own. */
static inline bool rv__split_reads(const rv__split *s, int k) { return s->path[k] && !(s->share[k] > 0); }
/* Whether anything is held back. */
static inline bool rv__split_holds_back(const rv__split *s) { return s->share[1] > 0 || s->share[2] > 0; }
/* rv__pairs_hold_back, but no part may remain empty. RV_EDATA, RV_ENOMEM. */
rv_status rv__split_hold_back(const rv__split *s, rv_pairs *const part[RV__PARTS], const int32_t *class_of,
                              int classes);

/* One warning of what was cut to `most` tokens: cut[k] of the n[k] of part k, and how. */
void rv__split_report_cut(const rv__split *s, const char *how, int64_t most, const int64_t cut[RV__PARTS],
                          const int64_t n[RV__PARTS]);

#endif

#include "data/split.h"

#include <stdio.h>

#include "base/log.h"

const char *const rv__part_words[RV__PARTS] = {"training", "validation", "test"};

rv_status rv__split_make(const char *train, const char *valid, const char *test, double train_fraction,
                         double test_fraction, const char *what, rv__split *out) {
    *out = (rv__split){{train, valid, test}, {0}, train_fraction, test_fraction, what};
    if (train_fraction == 0 && test_fraction == 0) return RV_OK;
    /* 1 - 0.8 - 0.2 is not quite 0 */
    if (!(train_fraction >= 0 && train_fraction < 1 && test_fraction >= 0 && test_fraction < 1 &&
          train_fraction + test_fraction < 1 + 1e-9))
        return rv_error(RV_EUSAGE,
                        "train fraction %g and test fraction %g: each must be below 1, and both together at most 1",
                        train_fraction, test_fraction);
    if (train_fraction > 0 && train_fraction + test_fraction < 1 - 1e-9)
        out->share[1] = 1 - train_fraction - test_fraction;
    out->share[2] = test_fraction;
    for (int k = 1; k < RV__PARTS; k++) {
        if (out->share[k] == 0) continue;
        if (!train)
            return rv_error(RV_EUSAGE, "a fraction of %s is held back from the file given as train: give one", what);
        if (out->path[k])
            return rv_error(RV_EUSAGE, "%s: the %s part cannot be a file and a fraction of train's, too", out->path[k],
                            rv__part_words[k]);
        out->path[k] = train;
    }
    return RV_OK;
}

rv_status rv__split_hold_back(const rv__split *s, rv_pairs *const part[RV__PARTS], const int32_t *class_of,
                              int classes) {
    const int64_t n = part[0]->n;
    RV_TRY(rv__pairs_hold_back(s->share, part, class_of, classes));
    for (int k = 0; k < RV__PARTS; k++)
        if (!part[k]->n && (!k || s->share[k] > 0))
            return rv_error(RV_EDATA,
                            "%s: %lld %s at data.train_fraction %g and data.test_fraction %g leave none for %s; "
                            "give more, or files of their own (data.valid, data.test)",
                            s->path[0], (long long)n, s->what, s->train_fraction, s->test_fraction, rv__part_words[k]);
    return RV_OK;
}

void rv__split_report_cut(const rv__split *s, const char *how, int64_t most, const int64_t cut[RV__PARTS],
                          const int64_t n[RV__PARTS]) {
    char parts[256] = "";
    size_t at = 0;
    for (int k = 0; k < RV__PARTS; k++)
        if (cut[k])
            at += (size_t)snprintf(parts + at, sizeof parts - at, "%s%lld of %lld in %s", at ? ", " : "",
                                   (long long)cut[k], (long long)n[k], rv__part_words[k]);
    if (at)
        rv_warn("%s of over %lld tokens are cut to these%s: %s; data.max_length changes that", s->what, (long long)most,
                how, parts);
}

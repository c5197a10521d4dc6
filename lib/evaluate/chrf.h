/** chrF and chrF++: F-score of character (and word) n-grams  [Popović 2015, 2017], equal to sacreBLEU 2's.
 *
 *  Precision and recall are averaged over the orders that both sides have n-grams of, then
 *  chrF_beta = (1 + beta^2) P R / (beta^2 P + R), in percent. Counts add over sentences, as for BLEU. */
#ifndef RV_EVALUATE_CHRF_H
#define RV_EVALUATE_CHRF_H

#include <stdint.h>

#include "base/status.h"
#include "evaluate/bleu.h"

enum { RV_CHRF_MAX_ORDER = 8 };

/** All zero: chrF2. */
typedef struct {
    int char_order; /**< longest character n-gram, up to 8; 0: 6 */
    int word_order; /**< longest word n-gram, up to 8: 0 is chrF, 2 is chrF++ */
    int beta;       /**< 0: 2, recall counts twice as much as precision */
    bool lowercase;
    bool keep_space; /**< characters include white space */
    bool
        eps_smoothing; /**< mean of every order's F instead (chrF++.py, NLTK); the orders that are missing count as 0 */
} rv_chrf_options;

/** Of each order, characters first, then words. */
typedef struct {
    int64_t hyp[2 * RV_CHRF_MAX_ORDER], ref[2 * RV_CHRF_MAX_ORDER], match[2 * RV_CHRF_MAX_ORDER];
} rv_chrf_stats;

/** Counts of one sentence: against nrefs >= 1 references those of the reference that gives the highest score.
 *  Error: RV_ENOMEM. */
RV_API rv_status rv_chrf_count(const rv_chrf_options *o, const char *hyp, int nrefs, const char *const *refs,
                               rv_chrf_stats *out);
/** sum += s. */
RV_API void rv_chrf_add(rv_chrf_stats *sum, const rv_chrf_stats *s);
/** The score, 0 to 100, of a sum of counts. */
RV_API double rv_chrf_from_stats(const rv_chrf_options *o, const rv_chrf_stats *sum);
/** chrF of n hypotheses; reference r of sentence i is refs[r * n + i]. `each` (n, or NULL) gets every sentence's
 * counts. Error: RV_ENOMEM. */
RV_API rv_status rv_chrf_corpus(const rv_chrf_options *o, int64_t n, const char *const *hyps, int nrefs,
                                const char *const *refs, rv_chrf_stats *each, double *score);

/** "chrF2 = 59.73", "chrF2++ = ..." with word n-grams; returns buf. */
RV_API const char *rv_chrf_text(const rv_chrf_options *o, double score, char buf[RV_METRIC_TEXT]);
/** "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:ravel-0.1.0": see rv_bleu_signature. Returns buf. */
RV_API const char *rv_chrf_signature(const rv_chrf_options *o, int nrefs, char buf[RV_METRIC_TEXT]);

#endif

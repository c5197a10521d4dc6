/** Corpus and sentence BLEU  [Papineni et al. 2002], with the tokenizers, smoothing and output of sacreBLEU 2 [Post
 * 2018], whose scores these equal.
 *
 *  BLEU = BP exp(mean of ln p_n, n = 1..4), in percent; p_n = matched n-grams / n-grams of the hypotheses;
 *  BP = min(1, exp(1 - reference length / hypothesis length)).
 *
 *  Counts add: a corpus is the sum of its sentences, so a bootstrap resamples rv_bleu_stats and never reads text again.
 *  One difference from sacreBLEU is known: lower-casing is the simple mapping of each code point, not Python's full one
 *  (which differs in capital I with a dot, and in a sigma that ends a word). */
#ifndef RV_EVALUATE_BLEU_H
#define RV_EVALUATE_BLEU_H

#include <stdint.h>

#include "base/status.h"
#include "data/text.h"

enum { RV_BLEU_ORDER = 4, RV_METRIC_TEXT = 160 /**< size that fits a printed score or a signature */ };

typedef enum {
    RV_BLEU_13A,  /**< mteval-v13a: ASCII punctuation apart, but for '; . and , unless between digits; - only after a
                     digit */
    RV_BLEU_INTL, /**< mteval-v14, international: Unicode punctuation apart, unless between numbers; symbols apart */
    RV_BLEU_CHAR, /**< each character that is not white space */
    RV_BLEU_NONE, /**< white space only: for text that is tokenized already */
} rv_bleu_tokenizer;

/** What to do about an order without a match; names and numbers as in [Chen and Cherry 2014]. */
typedef enum {
    RV_SMOOTH_EXP,   /**< method 3: the k-th such order counts 1 / 2^k matches */
    RV_SMOOTH_FLOOR, /**< method 1: smooth_value matches; 0.1 by default */
    RV_SMOOTH_ADD_K, /**< method 2: smooth_value more matches and n-grams for every n > 1; 1 by default */
    RV_SMOOTH_NONE,
} rv_bleu_smoothing;

/** All zero: sacreBLEU's defaults. */
typedef struct {
    rv_bleu_tokenizer tokenizer;
    rv_bleu_smoothing smoothing;
    double smooth_value; /**< 0: the method's default */
    bool lowercase;
    bool effective_order; /**< average only over the orders that the hypothesis is long enough for */
} rv_bleu_options;

typedef struct {
    int64_t counts[RV_BLEU_ORDER]; /**< matched n-grams */
    int64_t totals[RV_BLEU_ORDER]; /**< n-grams of the hypotheses */
    int64_t hyp_len, ref_len;      /**< tokens; with several references the length nearest to the hypothesis's */
} rv_bleu_stats;

typedef struct {
    double score;                     /**< 0 to 100 */
    double precisions[RV_BLEU_ORDER]; /**< 0 to 100, smoothed */
    double bp, ratio;                 /**< brevity penalty; hyp_len / ref_len (0 if there is no reference text) */
    rv_bleu_stats stats;
} rv_bleu;

/** Names of the enums, as in a configuration and in the signature ("13a", "add-k"); NULL past the last. */
RV_API const char *rv_bleu_tokenizer_name(rv_bleu_tokenizer t);
RV_API const char *rv_bleu_smoothing_name(rv_bleu_smoothing s);

/** The tokens of a line, one space between them. Error: RV_ENOMEM. Free with rv_text_free. */
RV_API rv_status rv_bleu_tokenize(rv_bleu_tokenizer tokenizer, bool lowercase, const char *line, rv_text *out);

/** Counts of one sentence against nrefs >= 1 references (detokenized text). Bytes that are not UTF-8 match only
 *  themselves. Error: RV_ENOMEM. */
RV_API rv_status rv_bleu_count(const rv_bleu_options *o, const char *hyp, int nrefs, const char *const *refs,
                               rv_bleu_stats *out);
/** sum += s. */
RV_API void rv_bleu_add(rv_bleu_stats *sum, const rv_bleu_stats *s);
/** The score of a sum of counts. No match at all gives 0, whatever the smoothing. */
RV_API rv_bleu rv_bleu_from_stats(const rv_bleu_options *o, const rv_bleu_stats *sum);

/** BLEU of n hypotheses; reference r of sentence i is refs[r * n + i]. `each` (n, or NULL) gets every sentence's
 * counts. Error: RV_ENOMEM. */
RV_API rv_status rv_bleu_corpus(const rv_bleu_options *o, int64_t n, const char *const *hyps, int nrefs,
                                const char *const *refs, rv_bleu_stats *each, rv_bleu *out);
/** BLEU of one sentence, with effective order whatever the options say. Error: RV_ENOMEM. */
RV_API rv_status rv_bleu_sentence(const rv_bleu_options *o, const char *hyp, const char *ref, rv_bleu *out);

/** "BLEU = 42.73 75.0/66.7/50.0/25.0 (BP = 1.000 ratio = 1.000 hyp_len = 4 ref_len = 4)"; returns buf. */
RV_API const char *rv_bleu_text(const rv_bleu *b, char buf[RV_METRIC_TEXT]);
/** "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:ravel-0.1.0": sacreBLEU's form, but the version is ours, since
 *  this is not sacreBLEU. Returns buf. */
RV_API const char *rv_bleu_signature(const rv_bleu_options *o, int nrefs, char buf[RV_METRIC_TEXT]);

#endif

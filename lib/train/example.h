/** One example as a trained model does on it: sums, so that any mean can be computed again. */
#ifndef RV_TRAIN_EXAMPLE_H
#define RV_TRAIN_EXAMPLE_H

#include "evaluate/bleu.h"
#include "evaluate/chrf.h"
#include "evaluate/spans.h"
#include "models/head.h"

/** What a tagging of a sentence comes to. */
typedef struct {
    int64_t known, known_right, unknown, unknown_right; /**< words of the training part, and others */
    rv_span_counts spans;
    int64_t malformed; /**< places where the told tags break their scheme */
} rv_tag_sums;

/** Texts die with the call that hands it over. */
typedef struct {
    int64_t source_tokens, source_words;
    rv_row_score score;
    int64_t bytes; /**< of the text that its targets say; 0: not known */
    bool number;   /**< a number is told: of score, target and prediction */
    bool labelled; /**< a class is told: of score, label and said */
    bool tagged;   /**< tags are told: */
    bool spans;    /**< which mark spans */
    rv_tag_sums tags;
    const int32_t *tag, *told; /**< (score.tokens) the true tags, and those that are told */
    /** Or NULL where there is no such text; of a class, its name; of tags, theirs with a blank between two. */
    const char *source, *reference, *hypothesis;
    bool translated; /**< hypothesis is a translation: */
    rv_bleu_stats bleu;
    rv_chrf_stats chrf; /**< of chrF2 */
} rv_example;
typedef rv_status (*rv_example_sink)(void *ctx, int64_t i, const rv_example *example);

#endif

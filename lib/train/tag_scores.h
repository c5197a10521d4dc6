/* What a model tells of tagged sentences: the tags, and what they come to. */
#ifndef RV_TRAIN_TAG_SCORES_H
#define RV_TRAIN_TAG_SCORES_H

#include "train/source.h"

typedef struct {
    const rv_tags *of;
    int32_t *told; /* (words) */
    rv_span *room; /* for two taggings of the longest sentence */
} rv__tag_scores;

/* RV_ENOMEM. Free with rv__tag_scores_end, after errors, too. */
rv_status rv__tag_scores_begin(const rv_tags *of, rv__tag_scores *out);
void rv__tag_scores_end(rv__tag_scores *s);
/* A batch's tags, best (B, T). */
void rv__tag_scores_take(rv__tag_scores *s, const rv_batch *b, const int32_t *best);
/* Of one sentence; by_type, unless NULL, gets what it has of spans added. */
rv_tag_sums rv__tag_scores_of(const rv__tag_scores *s, int64_t sentence, rv_span_counts *by_type);

#endif

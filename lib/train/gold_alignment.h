/** How well a model's attention aligns words, against gold links. */
#ifndef RV_TRAIN_GOLD_ALIGNMENT_H
#define RV_TRAIN_GOLD_ALIGNMENT_H

#include "evaluate/alignment.h"
#include "train/task.h"

typedef struct {
    int64_t sentences, links; /**< links: gold ones */
    rv_aer_stats
        plain;         /**< mean of all heads (a recurrent decoder has one); each target word with its largest weight */
    rv_aer_stats mean; /**< mean of all heads; weights balanced, words linked in both directions */
    rv_aer_stats best; /**< likewise of the head with the lowest error ... */
    int layers, heads, best_layer, best_head; /**< ... which is this one, from 0 */
} rv_gold_alignment;

/** Align the pairs of a part by teacher-forced attention over the reference (rv_alignment_links, and
 *  rv_alignment_links_both) and count errors against the gold links of the file `gold` (one line a pair, see
 * rv_links_load), or of the data set's role "PART.align" if it is NULL. Errors: RV_EDATA (no such part, no gold links,
 * another number of lines), RV_EUSAGE (the model has no attention over the source), RV_ENOMEM. */
RV_API rv_status rv_gold_alignment_measure(rv_tape *tape, rv_task *task, rv_subset subset, const char *gold,
                                           rv_gold_alignment *out);

#endif

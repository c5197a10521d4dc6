/** Examples of text as ids: pairs of a source and a target sentence, or sources alone. */
#ifndef RV_DATA_PAIRS_H
#define RV_DATA_PAIRS_H

#include <stdint.h>

#include "base/status.h"
#include "data/text.h"

/** The pairs of a split, i in [0, n). Ids come without bos and eos. Without a target side (tgt_at NULL)
 *  tgt_ids is NULL, tgt_longest 0, and tgt, if there is one, what else the files say of each source: its label. */
typedef struct {
    int64_t n;
    int32_t *src_ids, *tgt_ids; /**< pair i: src_ids[src_at[i] .. src_at[i + 1]), and the same for tgt */
    int64_t *src_at, *tgt_at;   /**< n + 1 offsets */
    rv_text *src, *tgt; /**< pair i's lines as the files have them, not normalised; a NUL after each; not to be freed */
    int64_t src_longest, tgt_longest; /**< tokens of the longest side */
    bool *tgt_cut; /**< pair i's target goes on after its ids, so that no <eos> follows them; NULL: none does */
    int64_t lines; /**< lines read: n + empty + too_long */
    int64_t empty, too_long; /**< training pairs left out: a side without tokens; a side over max_length */
    rv_text text[2];         /**< what src and tgt point into; of a part that was held back from train, train's */
    int64_t *line;           /**< for messages: pair i's line, from 0; NULL: i */
} rv_pairs;

/** Keep the first `most` tokens of each side; the lines of text stay whole. *cut: pairs of which a side was longer.
 *  RV_ENOMEM. */
RV_API rv_status rv_pairs_cut(rv_pairs *p, int64_t most, int64_t *cut);

/** Each source sentence's tokens in a random order, which depends on seed and the pair's number alone; the lines of
 *  text stay as they are. */
RV_API void rv_pairs_shuffle_sources(rv_pairs *p, uint64_t seed);

/** Tokens of a side of pair i; 0 of a target side that is not there. */
static inline int64_t rv_pairs_src_length(const rv_pairs *p, int64_t i) { return p->src_at[i + 1] - p->src_at[i]; }
static inline int64_t rv_pairs_tgt_length(const rv_pairs *p, int64_t i) {
    return p->tgt_at ? p->tgt_at[i + 1] - p->tgt_at[i] : 0;
}

#endif

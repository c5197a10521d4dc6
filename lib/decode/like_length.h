/* Texts in batches of like length, the longest first: what memory does for the first batch, does for all. */
#ifndef RV_DECODE_LIKE_LENGTH_H
#define RV_DECODE_LIKE_LENGTH_H

#include "models/batch.h"

/* Rows of a batch: tokens, <eos>, and <eos> again as padding; which text each row is. They hold until the next. */
typedef struct {
    rv_sequences rows;
    const int64_t *text;
} rv__like_batch;

typedef struct rv__like_length rv__like_length;

/* text i: n[i] ids without `eos`, which is appended; at most `batch` of them at a time. The caller keeps them alive.
 * RV_ENOMEM; free with rv__like_length_end, after an error, too. */
rv_status rv__like_length_begin(const int32_t *const *ids, const int64_t *n, int64_t texts, int64_t batch, int32_t eos,
                                rv__like_length **out);
/* The next batch of texts of at least so many ids; false when there are none. */
bool rv__like_length_next(rv__like_length *l, int64_t least, rv__like_batch *out);
void rv__like_length_end(rv__like_length *l);

#endif

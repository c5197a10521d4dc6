/* Sources of rows of text, each an example of its own: pairs of sentences, texts and their classes, or sentences and
 * their tags. What differs is how they are loaded, and what a batch has beside the rows' ids. */
#ifndef RV_TRAIN_SOURCE_ROWS_H
#define RV_TRAIN_SOURCE_ROWS_H

#include "data/pair_batch.h"
#include "train/source_private.h"

typedef struct rv__rows rv__rows;
struct rv__rows {
    rv_source base;
    rv_pairs *part[3];       /* by rv_subset */
    const int32_t *label[3]; /* of each row of a part; NULL: rows have a target side */
    rv_pair_batches *batches;
    rv_pair_batch_spec spec;
    int32_t *labels; /* of the training batch */
    rv_rare src_rare, tgt_rare;
    /* What else a batch of a part has; training: it is to outlive passes over other parts. NULL: nothing. */
    void (*extend)(rv__rows *r, rv_subset subset, bool training, rv_batch *b);
    /* What else rv_source_kind.check has to find out of a part that is there. NULL: nothing. */
    rv_status (*check)(rv__rows *r, rv_subset subset, bool watched);
};

/* Once the parts, base.in, base.out and spec.marks are there: what else the configuration says, and the batches. */
rv_status rv__rows_begin(rv__rows *r);
void rv__rows_end(rv__rows *r);
/* Sentences to measure are kept whole as text, but the model sees their first `most` tokens. */
rv_status rv__rows_cut(rv_pairs *p, int64_t most, const char *part);
rv_model_sizes rv__rows_sizes(const rv_config *c);

void rv__rows_next(rv_source *s, rv_batch *out);
void rv__rows_largest(rv_source *s, rv_batch *out);
rv_cursor rv__rows_cursor(const rv_source *s);
rv_status rv__rows_seek(rv_source *s, rv_cursor at);
int64_t rv__rows_batches_of_epochs(rv_source *s, int64_t epochs);
void rv__rows_typical(const rv_source *s, double *B, double *S, double *T);
rv_status rv__rows_check(rv_source *s, rv_subset subset, bool watched);
rv_status rv__rows_pass(rv_source *s, rv_subset subset, int64_t most, rv_pass **out, int64_t *rows);
bool rv__rows_pass_next(rv_pass *p, rv_batch *out);
void rv__rows_pass_end(rv_pass *p);
rv_status rv__rows_look(rv_source *s, int64_t length, rv_pass **out, int64_t *examples, int64_t *longest);
rv_pairs *rv__rows_part(rv_source *s, rv_subset subset);
void rv__rows_describe(rv_source *s, rv_subset subset, int64_t i, rv_example *e);

/* The members of rv_source_kind that all of them share. */
#define RV__ROWS                                                                                                       \
    .sizes = rv__rows_sizes, .next = rv__rows_next, .largest = rv__rows_largest, .cursor = rv__rows_cursor,            \
    .seek = rv__rows_seek, .batches_of_epochs = rv__rows_batches_of_epochs, .typical = rv__rows_typical,               \
    .check = rv__rows_check, .pass = rv__rows_pass, .pass_next = rv__rows_pass_next, .pass_end = rv__rows_pass_end,    \
    .look = rv__rows_look, .describe = rv__rows_describe, .pairs = rv__rows_part

#endif

/* What the files of the driver know of each other. */
#ifndef RV_TRAIN_TASK_PRIVATE_H
#define RV_TRAIN_TASK_PRIVATE_H

#include "data/tokenizer.h"
#include "train/source_private.h"
#include "train/task.h"

struct rv_task {
    const rv_task_kind *kind;
    const rv_config *config;
    rv_source *source;
    rv_model *model;
    /* As checkpoints keep them: of `in` and `out`, joint or alone the first; of letters; names of classes, a line each.
     */
    rv_text vocab[3], merges[3], classes;
    int64_t *confusion; /* of the last rv_task_evaluate, or NULL; so are these: */
    rv_span_counts *span_counts;
    const rv_span_tags *spans;
    rv_batch batch; /* the fetched one */
    rv_cursor committed;
    double smoothing;
    /* Carried state of truncated back-propagation, NULL otherwise. `kept` is what it was at the last commit. */
    rv_decoder_state *state;
    int64_t state_B;
    rv_real *kept;
};

/* Each pair's source, translated: p->n texts for rv__texts_free, or NULL after an error. */
rv_status rv__translate_pairs(rv_tape *tape, rv_task *t, const rv_pairs *p, int beam, rv_text **out);
void rv__texts_free(int64_t n, rv_text *texts);

#endif

/* Examples of a language model: spans of the text's bytes. A span is the same whatever the tokens, the windows and the
 * state that a model reads it with, so that models can be compared span by span. */
#ifndef RV_TRAIN_TEXT_SPANS_H
#define RV_TRAIN_TEXT_SPANS_H

#include "data/corpus.h"
#include "train/example.h"

typedef struct {
    const rv_split *part;
    int64_t width, n;
    int64_t *start;      /* of each token: bytes of the text before it */
    rv_example *example; /* of each span */
} rv__spans;

/* Empty spans over a part, which the caller keeps alive. Free with rv__spans_free, after errors, too (RV_ENOMEM). */
rv_status rv__spans_make(const rv_split *part, rv__spans *out);
/* Target `target` of the part, its token target + 1, cost so many nats. These and its bytes go to the spans it lies in,
 * as much as lies in each; as a prediction it counts where it begins. */
void rv__spans_add(rv__spans *s, int64_t target, double nats, bool right);
void rv__spans_free(rv__spans *s);

#endif

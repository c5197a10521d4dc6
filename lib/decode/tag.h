/** Tagging sentences: the most probable tags of their words, how probable they are, and the next best. */
#ifndef RV_DECODE_TAG_H
#define RV_DECODE_TAG_H

#include "data/tokenizer.h"
#include "models/model.h"

/** Words as they are written. */
typedef struct {
    int64_t n;
    const rv_text *word; /**< (n) */
} rv_sentence_words;

typedef struct {
    rv_tokenizer *words, *letters; /**< the model's: of words or pieces, and of letters, or NULL */
    int64_t most;  /**< tokens that the model sees at a time: longer sentences are tagged in parts of whole words, of a
                        longer word it sees the first ones */
    int64_t batch; /**< sentences at a time; has no influence on results */
    int n_best;    /**< taggings of each sentence, 1 or more */
} rv_tag_options;

/** What a model says of one sentence. */
typedef struct {
    int64_t n;
    int taggings;              /**< there are, up to n_best; 1 of a sentence that was tagged in parts */
    int64_t parts;             /**< in which it was tagged: 1, 0 without words, more where it is too long for one */
    const int32_t *tag;        /**< (taggings, n), the most probable one first */
    const double *probability; /**< (taggings) of each as a whole */
    const rv_real *of_word;    /**< (n) of the first one's tag of each word, whatever the others are */
} rv_tagging;

/** Called once for each sentence, in their order; what it gets dies with the call. Anything but RV_OK ends the work. */
typedef rv_status (*rv_tag_sink)(void *ctx, int64_t sentence, const rv_tagging *t);

/** Tag with a model whose head tells tags. Nothing is recorded or dropped; resets the tape as it goes. A sentence's
 *  result depends on that sentence alone, to the bit. Errors: RV_EDATA (invalid UTF-8), RV_EDIVERGED (scores are not
 *  finite), RV_ENOMEM, the sink's, and what rv_stop_requested says between batches. */
RV_API rv_status rv_tag_each(rv_tape *tape, rv_model *model, const rv_tag_options *o, const rv_sentence_words *sentence,
                             int64_t sentences, rv_tag_sink sink, void *ctx);

#endif

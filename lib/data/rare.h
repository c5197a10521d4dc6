/** A trained token for unknown words: words that the training text has once are read as <unk> now and then
 *  [Dyer 2015, 3.2]. Without that <unk> never occurs in the training of a vocabulary that holds every word, and what a
 *  model says of it afterwards is chance. */
#ifndef RV_DATA_RARE_H
#define RV_DATA_RARE_H

#include <stdint.h>

#include "base/status.h"
#include "data/tokenizer.h"

typedef struct {
    bool *once; /**< (V) whether the training text has this word once; NULL: nothing is replaced */
    int32_t unk;
    double p;
    uint64_t seed;
} rv_rare;

/** For ids[0..n) of the training text, by tok. Nothing will be replaced if p is 0, tok is not of words, or <unk> is
 * among the ids. Error: RV_ENOMEM. Free with rv_rare_free. */
RV_API rv_status rv_rare_make(const rv_tokenizer *tok, const int32_t *ids, int64_t n, double p, uint64_t seed,
                              rv_rare *out);
/** Replace them in ids[0..n), each word with probability p, which depends on (seed, step, word) alone: inputs and
 * targets of a step agree. Negative ids are left alone. */
RV_API void rv_rare_replace(const rv_rare *r, int64_t step, int32_t *ids, int64_t n);
RV_API void rv_rare_free(rv_rare *r);

#endif

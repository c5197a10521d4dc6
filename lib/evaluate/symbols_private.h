/* Sentences as sequences of symbols (code points, or the numbers of words), and the n-grams that two of them share. */
#ifndef RV_EVALUATE_SYMBOLS_PRIVATE_H
#define RV_EVALUATE_SYMBOLS_PRIVATE_H

#include <stdint.h>

#include "base/status.h"
#include "data/intern.h"

/* All zero is empty. A lack of memory is latched, so that a series of pushes is checked once. */
typedef struct {
    int32_t *at;
    int64_t n, cap;
    bool no_memory;
} rv__symbols;

void rv__symbols_push(rv__symbols *s, int32_t symbol);
void rv__symbols_free(rv__symbols *s);

/* The code points of `text`, each lower-cased by its simple mapping if `lowercase`. A byte that is no part of valid
 * UTF-8 becomes a symbol above all code points, equal to itself only. */
rv_status rv__symbols_decode(const char *text, bool lowercase, rv__symbols *out);
/* Append to `out` one symbol as UTF-8, or the byte that a symbol of rv__symbols_decode stands for; returns its length.
 */
int rv__symbol_encode(int32_t symbol, char out[4]);

/* White space: what separates words. */
bool rv__symbol_is_space(int32_t symbol);
/* The symbols of the next word at or after *i: [*begin, *i) on return; false if there is none. */
bool rv__symbols_word(const rv__symbols *text, int64_t *i, int64_t *begin);

/* match[k - 1] for k in 1..order gets the number of k-grams of `hyp` that some reference has too, each counted at most
 * as often as it is in the reference that has most of it [Papineni et al. 2002, section 2.1.1]. Exact: no hashing of
 * n-grams to numbers that may collide. */
rv_status rv__ngram_matches(int order, const rv__symbols *hyp, int nrefs, const rv__symbols *refs, int64_t *match);
/* The number of k-grams of n symbols. */
static inline int64_t rv__ngram_count(int64_t n, int k) { return n < k ? 0 : n - k + 1; }

#endif

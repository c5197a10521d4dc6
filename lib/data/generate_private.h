/* What the generators' files share. */
#ifndef RV_DATA_GENERATE_PRIVATE_H
#define RV_DATA_GENERATE_PRIVATE_H

#include "base/rng.h"
#include "data/generate.h"

/* Room for the longest: adding, 9 bytes a number. */
enum { RV__EXAMPLE_LINE = 10 * RV_TASK_LENGTH_MAX + 64, RV__PHRASES_LEAST = 4, RV__PHRASES_MOST = 60 };

typedef struct {
    char source[RV__EXAMPLE_LINE], target[RV__EXAMPLE_LINE];
    char align[RV__EXAMPLE_LINE]; /* "0-0 1-2": source word - target word; only from tasks that are aligned */
} rv__example;

/* generate_phrases.c. Lengths are RV__PHRASES_LEAST to RV__PHRASES_MOST words of the source, its full stop included. */
void rv__make_phrases(const rv_generator *t, rv_rng *r, rv__example *e);
/* generate_lookahead.c. Words in `source`, as many tags in `target`, a space between two. */
void rv__make_lookahead(const rv_generator *t, rv_rng *r, rv__example *e);

#endif

/* Parts of a model: what the names of its parameters have in common up to a dot. "encoder.layers.0" is one, a whole
 * name is one, and "" is all. */
#ifndef RV_TRAIN_PARTS_H
#define RV_TRAIN_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* The names of n tensors, those at 0 to n - 1, and behind them what else they go by: a table that an output layer or an
 * encoder shares has one name, and is meant by the other one, too. */
typedef struct {
    const char **name;
    int *tensor; /* the tensor that has the name */
    int n;
} rv__names;

/* Lists the names, which stay the caller's; ties: with those that shared tables would have. Free: rv__names_free. */
rv_status rv__names_make(int n, const char *(*name)(const void *ctx, int i), const void *ctx, bool ties,
                         rv__names *out);
void rv__names_free(rv__names *names);
/* The tensor of that name, or -1. */
int rv__names_find(const rv__names *names, const char *name);
/* True if the name is the part's, or below it. */
bool rv__part_has(const char *part, const char *name);
/* How many names a part has. */
int rv__part_count(const rv__names *names, const char *part);
/* "; did you mean 'x'?", or which parts there are, into buf; returns it. */
const char *rv__part_suggest(const rv__names *names, const char *part, char *buf, size_t size);

#endif

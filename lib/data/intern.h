/* Byte strings to dense numbers 0, 1, 2, ... in the order of first appearance.
 *
 * One table serves vocabularies, word counts, pairs of symbols (8 bytes as the key) and the word cache. Unlike
 * uthash's macros it reports a lack of memory instead of exiting. */
#ifndef RV_DATA_INTERN_H
#define RV_DATA_INTERN_H

#include <stddef.h>
#include <stdint.h>

/* All zero is an empty table. */
typedef struct {
    int32_t n;     /* strings held */
    int32_t *slot; /* open addressing: number + 1, 0 is free */
    size_t slots;  /* a power of two */
    size_t *end;   /* string i is keys[end[i-1] .. end[i]) */
    size_t end_cap;
    char *keys;
    size_t keys_cap;
} rv__intern;

/* The number of `key`, or -1. */
int32_t rv__intern_find(const rv__intern *t, const void *key, size_t len);
/* The number of `key`, added if new (then it is the old t->n); -1 with an error record when memory is short. */
int32_t rv__intern_add(rv__intern *t, const void *key, size_t len);
/* String `i`, not NUL-terminated; valid until the next add. */
const char *rv__intern_key(const rv__intern *t, int32_t i, size_t *len);
void rv__intern_clear(rv__intern *t);

#endif

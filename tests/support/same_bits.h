/* The same bits at every thread count, by threads that really took part. */
#ifndef RV_TEST_SAME_BITS_H
#define RV_TEST_SAME_BITS_H

#include "support/teams.h"
#include "tensor/tensor.h"

/* Results of a part of the work, one after the other, and who did it. */
typedef struct {
    rv_real *v;
    int64_t n;
    rv_team team;
} rv_bits;

/** Around the work: what happens between the two is part b's. */
void rv_bits_begin(void);
void rv_bits_end(rv_bits *b);
/** Append results. */
void rv_bits_add(rv_bits *b, const rv_real *v, int64_t n);

enum { RV_BITS_PARTS = 2 };
/** Free the results; who took part stays known. */
void rv_bits_drop(rv_bits part[RV_BITS_PARTS]);
/** Do the whole work once, in parts that are empty at first; what is not needed stays empty. */
typedef void rv_bits_run(const void *what, rv_bits part[RV_BITS_PARTS]);
/** The work gives the same bits on 2, 3, 4 and 8 threads as on one. And each part must be able to show it: if it enters
 *  parallel regions and rounds numbers there, others than the first thread do so, too; if it rounds none, it is large
 *  enough that the library gives it threads by itself. */
void rv_bits_expect_same(const char *name, rv_bits_run *run, const void *what);
/** At the end of a test: each parallel region in which numbers were rounded was shared out somewhere in it. */
void rv_bits_expect_regions_shared(void);

#endif

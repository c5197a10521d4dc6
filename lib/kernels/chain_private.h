/* The sum over all paths of one row, step by step.
 *
 * The values of a position's states are kept as numbers x whose largest is within reach of 1, and what was taken out of
 * them as its logarithm. A step multiplies them with a table of exponentials: no exponential and no logarithm stands in
 * a row's chain of steps. A sum that comes out smaller than RV__CHAIN_LOW may have lost parts that were no floats any
 * more: it is taken again from logarithms, and the logarithms of that position are kept, so that a state far below the
 * others is still there when a later score lifts it. */
#ifndef RV_KERNELS_CHAIN_PRIVATE_H
#define RV_KERNELS_CHAIN_PRIVATE_H

#include "kernels/chain.h"
#include "kernels/kernels.h"

/* Above the first, what underflows in a sum is less than its rounding; and the same for products of two states. */
#ifdef RV_DOUBLE
#define RV__CHAIN_LOW 0x1p-900
#define RV__CHAIN_LOW_PRODUCT 0x1p-500
#else
#define RV__CHAIN_LOW 0x1p-100f
#define RV__CHAIN_LOW_PRODUCT 0x1p-60f
#endif

/* Values of the states of a position: (width), or for pairs of labels (K, width), where width is K rounded up to whole
 * vectors; behind K stand 0 and -INFINITY. */
struct rv__chain_state {
    rv_real *x, *log;
    bool known; /* log holds the logarithms of x, those of values that are too small for x too */
};

/* sums[f, k] = sum over i < n of from[i from_step + f] table[i row_step + f fan_step + k], for each of the fans;
 * to[f, k] = sums[f, k] w[k], divided by what the step returns the logarithm of: -INFINITY where nothing is left.
 * Without a table the sums are there already, and their logarithms known. */
struct rv__chain_step {
    int64_t width, fans, n;
    int64_t from_step, row_step, fan_step;
    const rv_real *table, *log_table;
    const rv_real *w, *log_w; /* of the position of `to`; -INFINITY: no path goes through that label */
    const rv_real *alive;     /* log_w of the position that the fans are of, or NULL: banned ones are passed over */
    rv__chain_state *from, *sums, *to;
};

/* best[f, k] = the largest of from[i from_step + f] + table[i row_step + f fan_step + k], and the first i that has it.
 * width is that of vectors of double. */
struct rv__chain_best {
    int64_t width, fans, n;
    int64_t from_step, row_step, fan_step;
    const double *from, *table;
    double *best, *arg;
};

/* K rounded up to whole vectors, of rv_real and of double alike. */
static inline int64_t rv__chain_width(int64_t K) {
    const int64_t lanes = rv_k()->lanes;
    return (K + lanes - 1) / lanes * lanes;
}

/* Scores of steps (.., K, width) and their exponentials. */
typedef struct {
    rv_real *x, *log;
} rv__chain_table;

/* The scores of a call, made ready once. What is largest among the steps to a label is taken out of them (c) and goes
 * to the weights of the label's positions instead. */
typedef struct {
    int64_t K, width, states;   /* states of a position: width, or K width */
    rv__chain_table step, back; /* [from, to] and, of order 1, [to, from] */
    rv__chain_table step2;      /* [two before, before, to] */
    rv__chain_table back2;      /* [two behind, behind, to]: the same for a chain that is read from its end */
    rv__chain_table none;       /* (width): steps that cost nothing */
    rv_real *c, *c2;            /* (width) */
    rv__chain_state start, stop;
    double taken; /* out of start and stop: the sum of the logarithms */
    bool bad;     /* a score is NaN or +INFINITY, and so every result NaN */
} rv__chain_tables;

/* Memory that is handed out piece by piece; with base NULL it is only counted. */
typedef struct {
    char *base;
    size_t used;
} rv__chain_room;
static inline void *rv__chain_take(rv__chain_room *r, size_t bytes) {
    void *at = r->base ? r->base + r->used : NULL;
    r->used += (bytes + 63) / 64 * 64;
    return at;
}
static inline rv_real *rv__chain_reals(rv__chain_room *r, int64_t n) {
    return rv__chain_take(r, (size_t)n * sizeof(rv_real));
}
static inline rv__chain_state rv__chain_state_of(rv__chain_room *r, int64_t n) {
    rv_real *x = rv__chain_reals(r, n);
    return (rv__chain_state){x, rv__chain_reals(r, n), false};
}

/* Take room for the tables, and fill them. */
rv__chain_tables rv__chain_tables_take(const rv_chain *c, rv__chain_room *r);
void rv__chain_tables_fill(const rv_chain *c, rv__chain_tables *t);

/* One row: its tables, its number of positions, and their weights (T, width). */
typedef struct {
    const rv__chain_tables *t;
    int64_t L;
    rv_real *w, *log_w;
} rv__chain_row;
rv__chain_row rv__chain_row_take(const rv_chain *c, const rv__chain_tables *t, rv__chain_room *r);
/* Weigh row b; returns the logarithm of what was taken out of its weights and tables, or NaN. */
double rv__chain_row_weigh(const rv_chain *c, int64_t b, rv__chain_row *row);

/* Steps to position `at`; each returns the logarithm of what it took out of `to`. Enter: of the row's first or last,
 * from sums that are there. On, and back: of single labels. Spread: from single labels to pairs, by a table or, back,
 * at no cost. Pairs: to pairs. */
double rv__chain_enter(const rv__chain_row *row, int64_t at, rv__chain_state *sums, rv__chain_state *to);
double rv__chain_on(const rv__chain_row *row, int64_t at, bool back, rv__chain_state *from, rv__chain_state *sums,
                    rv__chain_state *to);
double rv__chain_spread(const rv__chain_row *row, int64_t at, bool back, rv__chain_state *from, rv__chain_state *sums,
                        rv__chain_state *to);
double rv__chain_pairs_on(const rv__chain_row *row, int64_t at, bool back, rv__chain_state *from, rv__chain_state *sums,
                          rv__chain_state *to);

/* Sums of the last position's pairs as the stops give them: the pair (before, label) stops as label does. */
void rv__chain_stop_pairs(const rv__chain_tables *t, rv__chain_state *to);

/* The logarithm of what all paths add up to where two sides meet, in n states. */
double rv__chain_total(int64_t n, rv__chain_state *a, rv__chain_state *b);

/* Room for marginals and expected steps, and for the n best. */
size_t rv__chain_marginals_room(const rv_chain *c);
size_t rv__chain_best_room(const rv_chain *c, int n);

/* Threads for passes over all rows, no more than rows; the passes' multiply-adds are counted. */
int rv__chain_threads(const rv_chain *c, int passes);
/* The most of them. */
int64_t rv__chain_slots(const rv_chain *c);
/* Which of the slots the calling thread, of so many, has. */
int rv__chain_slot(int threads);

#endif

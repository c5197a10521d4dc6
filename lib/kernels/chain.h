/** Chains of labels: all paths through (T, K) scores, summed, or the best of them. What a linear-chain CRF
 *  [Lafferty 2001] and an HMM [Rabiner 1989] share. In log space: a score of -INFINITY is a label or a step that cannot
 *  be, exactly; a state that is merely improbable is never lost. A row with NaN or +INFINITY among its scores has NaN
 * for results, and no best path. One parallel region over the rows; a row's result depends on that row alone, to the
 * bit. */
#ifndef RV_KERNELS_CHAIN_H
#define RV_KERNELS_CHAIN_H

#include "tensor/tensor.h"

/** B rows of up to T positions, each with one of K labels. A path's score is the sum of its parts:
 *  start[y_0] + emission[0, y_0] + sum over t > 0 of (step from y_{t-1} to y_t, + emission[t, y_t]) + stop[y_last];
 *  of order 2 the step at t > 1 is transition2[y_{t-2}, y_{t-1}, y_t], and at t = 1 it is transition[y_0, y_1]. */
typedef struct {
    int64_t B, T, K;
    int order;                   /**< 1, or 2: of two labels before */
    const int32_t *lengths;      /**< (B) valid positions, in [1, T] */
    const rv_real *emission;     /**< (B, T, K); what stands behind a row's length is never read */
    const rv_real *start, *stop; /**< (K), or NULL: all 0 */
    const rv_real *transition;   /**< (K, K) [from, to], or NULL: all 0 */
    const rv_real *transition2;  /**< (K, K, K) [two before, before, to]; order 2 alone */
} rv_chain;

/** Bytes of scratch that a call needs with as many threads as are in use now, aligned as arrays of the tape are. */
RV_API size_t rv_chain_room(const rv_chain *c);

/** log Z of each row: the log of the sum of exp(score) over all its paths; -INFINITY where there is none. */
RV_API void rv_chain_log_z(const rv_chain *c, void *room, double *log_z);
/** Scores of the paths y (B, T); -INFINITY of one that cannot be. */
RV_API void rv_chain_score(const rv_chain *c, const int32_t *y, double *score);
/** Probability of each label at each position, p (B, T, K), 0 behind a row's length; of rows without any path 0. log_z
 *  (B) as above, or NULL. */
RV_API void rv_chain_marginals(const rv_chain *c, void *room, rv_real *p, double *log_z);
/** The same of order 1, and steps (K, K) [from, to]: how many of each all rows together are expected to have, added up
 *  in an order of B alone. A row that is not finite makes steps NaN; one without any path adds nothing. */
RV_API void rv_chain_expected(const rv_chain *c, void *room, rv_real *p, rv_real *steps, double *log_z);
/** The best path of each row [Viterbi 1967]: y (B, T), of equal ones the one with the lower label at the last position
 *  where they differ, -1 behind a row's length and in rows without any path; score (B), or NULL. */
RV_API void rv_chain_best(const rv_chain *c, void *room, int32_t *y, double *score);
/** Bytes of scratch for rv_chain_n_best. */
RV_API size_t rv_chain_n_best_room(const rv_chain *c, int n);
/** The n best paths of each row, best first: y (B, n, T), score (B, n); -1 and -INFINITY where there are fewer. The
 *  first is rv_chain_best's. */
RV_API void rv_chain_n_best(const rv_chain *c, int n, void *room, int32_t *y, double *score);

#endif

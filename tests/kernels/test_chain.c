/* Chains of labels against all paths one by one, and long ones against plain logarithms in double; with every
 * instruction set. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "base/rng.h"
#include "kernels/chain.h"
#include "kernels/kernels.h"

#ifdef RV_DOUBLE
static const double close = 1e-11;
#else
static const double close = 1e-6;
#endif

static const char *const isas[] = {"avx512", "avx2", "base"};

enum { MAX_PATHS = 1024, MAX_T = 400, N_BEST = 6 };

/* ---- a case: scores, and the results of all functions */

typedef struct {
    rv_chain c;
    rv_real *emission, *start, *stop, *transition, *transition2;
    int32_t *lengths;
} chain_case;

typedef struct {
    double *log_z, *best_score, *n_score;
    rv_real *p, *steps;
    int32_t *best, *n_best;
} results;

static void *reals(int64_t n) { return calloc((size_t)n + 1, sizeof(rv_real)); }

static chain_case make_case(int order, int64_t B, int64_t T, int64_t K) {
    chain_case a = {.emission = reals(B * T * K),
                    .start = reals(K),
                    .stop = reals(K),
                    .transition = reals(K * K),
                    .transition2 = reals(K * K * K),
                    .lengths = calloc((size_t)B, sizeof(int32_t))};
    for (int64_t b = 0; b < B; b++) a.lengths[b] = (int32_t)T;
    a.c = (rv_chain){.B = B,
                     .T = T,
                     .K = K,
                     .order = order,
                     .lengths = a.lengths,
                     .emission = a.emission,
                     .start = a.start,
                     .stop = a.stop,
                     .transition = a.transition,
                     .transition2 = order == 2 ? a.transition2 : NULL};
    return a;
}

static void free_case(chain_case *a) {
    void *all[] = {a->emission, a->start, a->stop, a->transition, a->transition2, a->lengths};
    for (int i = 0; i < 6; i++) free(all[i]);
}

/* Whole numbers make equal scores exact; with `banned` some of them are minus infinity. */
static void draw(rv_rng *rng, rv_real *x, int64_t n, double width, bool whole, bool banned) {
    for (int64_t i = 0; i < n; i++) {
        x[i] = (rv_real)((2 * rv_rng_uniform(rng) - 1) * width);
        if (whole) x[i] = (rv_real)((int)rv_rng_below(rng, 3) - 1);
        if (banned && rv_rng_below(rng, 4) == 0) x[i] = -INFINITY;
    }
}

static void draw_case(chain_case *a, rv_rng *rng, double width, bool whole, bool banned) {
    const int64_t B = a->c.B, T = a->c.T, K = a->c.K;
    draw(rng, a->emission, B * T * K, width, whole, banned);
    draw(rng, a->start, K, width, whole, banned);
    draw(rng, a->stop, K, width, whole, banned);
    draw(rng, a->transition, K * K, width, whole, banned);
    draw(rng, a->transition2, K * K * K, width, whole, banned);
    for (int64_t b = 0; b < B; b++) a->lengths[b] = 1 + (int32_t)rv_rng_below(rng, (uint32_t)T);
    a->lengths[0] = (int32_t)T;
    for (int64_t b = 0; b < B; b++) /* what stands behind is never read */
        for (int64_t i = a->lengths[b] * K; i < T * K; i++) a->emission[b * T * K + i] = NAN;
}

static results run(const rv_chain *c, int n) {
    const int64_t B = c->B, T = c->T, K = c->K;
    results r = {.log_z = calloc((size_t)(2 * B), sizeof(double)),
                 .best_score = calloc((size_t)B, sizeof(double)),
                 .n_score = calloc((size_t)(B * n), sizeof(double)),
                 .p = reals(B * T * K),
                 .steps = reals(K * K),
                 .best = calloc((size_t)(B * T), sizeof(int32_t)),
                 .n_best = calloc((size_t)(B * n * T), sizeof(int32_t))};
    void *room = aligned_alloc(64, (rv_chain_room(c) + 63) / 64 * 64),
         *n_room = aligned_alloc(64, (rv_chain_n_best_room(c, n) + 63) / 64 * 64);
    rv_chain_log_z(c, room, r.log_z);
    if (c->order == 1) {
        rv_chain_expected(c, room, r.p, r.steps, r.log_z + B);
        rv_real *p = reals(B * T * K);
        rv_chain_marginals(c, room, p, NULL);
        cr_assert_arr_eq(p, r.p, (size_t)(B * T * K) * sizeof *p);
        free(p);
    } else {
        rv_chain_marginals(c, room, r.p, r.log_z + B);
    }
    cr_assert_arr_eq(r.log_z, r.log_z + B, (size_t)B * sizeof(double));
    rv_chain_best(c, room, r.best, r.best_score);
    rv_chain_n_best(c, n, n_room, r.n_best, r.n_score);
    free(room);
    free(n_room);
    return r;
}

static void free_results(results *r) {
    void *all[] = {r->log_z, r->best_score, r->n_score, r->p, r->steps, r->best, r->n_best};
    for (int i = 0; i < 7; i++) free(all[i]);
}

/* ---- all paths */

typedef struct {
    double score;
    int32_t y[8];
} path;

static int path_length;
static int better_first(const void *va, const void *vb) {
    const path *a = va, *b = vb;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    for (int t = path_length - 1; t >= 0; t--)
        if (a->y[t] != b->y[t]) return a->y[t] - b->y[t];
    return 0;
}

static double plain_score(const rv_chain *c, int64_t b, const int32_t *y) {
    const int64_t K = c->K, L = c->lengths[b];
    double s = c->start ? (double)c->start[y[0]] : 0;
    for (int64_t t = 0; t < L; t++) {
        if (t == 1 || (t > 1 && c->order == 1))
            s += c->transition ? (double)c->transition[y[t - 1] * K + y[t]] : 0;
        else if (t > 1)
            s += (double)c->transition2[(y[t - 2] * K + y[t - 1]) * K + y[t]];
        s += (double)c->emission[(b * c->T + t) * K + y[t]];
    }
    return s + (c->stop ? (double)c->stop[y[L - 1]] : 0);
}

static int all_paths(const rv_chain *c, int64_t b, path *to) {
    const int L = c->lengths[b], K = (int)c->K;
    int n = 1;
    for (int t = 0; t < L; t++) n *= K;
    cr_assert(n <= MAX_PATHS);
    for (int i = 0; i < n; i++) {
        for (int t = 0, rest = i; t < L; t++, rest /= K) to[i].y[t] = rest % K;
        to[i].score = plain_score(c, b, to[i].y);
    }
    path_length = L;
    qsort(to, (size_t)n, sizeof *to, better_first);
    return n;
}

/* width: of the scores, whose roundings may add up. */
static void check_sums(const rv_chain *c, int64_t b, double width, const path *all, int n, const results *r,
                       double *steps) {
    const int64_t K = c->K, L = c->lengths[b];
    static double p[8 * 8];
    double z = 0;
    memset(p, 0, sizeof p);
    const double max = all[0].score;
    for (int i = 0; i < n && max > -INFINITY; i++) z += exp(all[i].score - max);
    for (int i = 0; i < n && max > -INFINITY; i++) {
        const double share = exp(all[i].score - max) / z;
        for (int64_t t = 0; t < L; t++) p[t * K + all[i].y[t]] += share;
        for (int64_t t = 1; t < L; t++) steps[all[i].y[t - 1] * K + all[i].y[t]] += share;
    }
    if (max == -INFINITY)
        cr_assert_eq(r->log_z[b], -INFINITY);
    else
        cr_assert_float_eq(r->log_z[b], max + log(z), close * (1 + width), "log Z %.17g, of all paths %.17g",
                           r->log_z[b], max + log(z));
    for (int64_t i = 0; i < c->T * K; i++) {
        const double got = (double)r->p[b * c->T * K + i], want = i < L * K ? p[i] : 0;
        cr_assert_float_eq(got, want, close * (1 + width), "row %d, position %d, label %d: %.9g, of all paths %.9g",
                           (int)b, (int)(i / K), (int)(i % K), got, want);
        if (want == 0) cr_assert_eq(got, 0);
    }
}

/* all: sorted, in double; scores of whole numbers are exact, and then paths must be the same. */
static void check_paths(const rv_chain *c, int64_t b, const path *all, int n, const results *r) {
    const int64_t T = c->T, L = c->lengths[b];
    double *score = calloc((size_t)c->B, sizeof *score);
    int32_t *y = calloc((size_t)(c->B * T), sizeof *y);
    for (int i = 0; i < N_BEST; i++) {
        const bool there = i < n && all[i].score > -INFINITY;
        const int32_t *got = r->n_best + (b * N_BEST + i) * T;
        const double s = r->n_score[b * N_BEST + i];
        for (int64_t t = 0; t < T; t++)
            cr_assert_eq(got[t], there && t < L ? all[i].y[t] : -1, "order %d, row %d, rank %d, position %d: %d",
                         c->order, (int)b, i, (int)t, (int)got[t]);
        if (!there) {
            cr_assert_eq(s, -INFINITY);
            continue;
        }
        cr_assert_float_eq(s, all[i].score, 1e-9);
        memcpy(y + b * T, got, (size_t)T * sizeof *y);
        for (int64_t o = 0; o < c->B; o++) score[o] = 0;
        for (int64_t o = 0; o < c->B * T; o++) y[o] = y[o] < 0 ? 0 : y[o];
        rv_chain_score(c, y, score);
        cr_assert_eq(score[b], s);
    }
    cr_assert_arr_eq(r->best + b * T, r->n_best + b * N_BEST * T, (size_t)T * sizeof(int32_t));
    cr_assert_eq(r->best_score[b], r->n_score[b * N_BEST]);
    free(score);
    free(y);
}

static void check_case(const rv_chain *c, double width) {
    static path all[MAX_PATHS];
    double steps[8 * 8] = {0};
    results r = run(c, N_BEST);
    for (int64_t b = 0; b < c->B; b++) {
        const int n = all_paths(c, b, all);
        check_sums(c, b, width, all, n, &r, steps);
        check_paths(c, b, all, n, &r);
    }
    for (int64_t i = 0; c->order == 1 && i < c->K * c->K; i++)
        cr_assert_float_eq((double)r.steps[i], steps[i], 20 * close * (1 + width), "step %d: %.9g, of all paths %.9g",
                           (int)i, (double)r.steps[i], steps[i]);
    free_results(&r);
}

/* Widths: near 0, ordinary, and so wide that most sums underflow in float. */
static void check_all(int order, bool whole, bool banned) {
    static const double widths[] = {0.1, 2, 30, 200};
    rv_rng rng = rv_rng_make(5, "chains", (uint64_t)order);
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int K = 1; K <= 4; K++)
            for (int T = 1; T <= 5; T++)
                for (int w = 0; w < 4; w++) {
                    chain_case a = make_case(order, 5, T, K);
                    draw_case(&a, &rng, widths[w], whole, banned);
                    check_case(&a.c, widths[w]);
                    a.c.start = a.c.stop = NULL;
                    if (w == 1) a.c.transition = NULL;
                    check_case(&a.c, widths[w]);
                    free_case(&a);
                }
    }
}

Test(chain, order_1_as_all_paths) { check_all(1, false, false); }
Test(chain, order_1_as_all_paths_of_which_some_are_banned) { check_all(1, false, true); }
Test(chain, order_1_of_equal_paths_the_lower_last_label) { check_all(1, true, true); }
Test(chain, order_2_as_all_paths) { check_all(2, false, false); }
Test(chain, order_2_as_all_paths_of_which_some_are_banned) { check_all(2, false, true); }
Test(chain, order_2_of_equal_paths_the_lower_last_label) { check_all(2, true, true); }

Test(chain, without_scores_all_paths_are_equal) {
    for (int order = 1; order <= 2; order++) {
        chain_case a = make_case(order, 3, 40, 17);
        results r = run(&a.c, 2);
        for (int b = 0; b < 3; b++) cr_assert_float_eq(r.log_z[b], 40 * log(17), order == 1 ? close : 40 * close);
        for (int i = 0; i < 3 * 40 * 17; i++) cr_assert_float_eq((double)r.p[i], 1. / 17, close);
        for (int i = 0; i < 3 * 40; i++) cr_assert_eq(r.best[i], 0);
        free_results(&r);
        free_case(&a);
    }
}

/* ---- long chains, in double by logarithms alone */

static double log_add(double a, double b) {
    const double m = a > b ? a : b;
    return m == -INFINITY ? m : m + log(exp(a - m) + exp(b - m));
}

/* P(label) at each position of row 0, p (T, K); returns log Z. Order 1. */
static double long_hand(const rv_chain *c, double *p) {
    const int64_t K = c->K, L = c->lengths[0];
    double *a = calloc((size_t)(2 * L * K), sizeof *a), *b = a + L * K, z = -INFINITY;
    for (int64_t k = 0; k < K; k++) a[k] = (double)c->start[k] + (double)c->emission[k];
    for (int64_t t = 1; t < L; t++)
        for (int64_t k = 0; k < K; k++) {
            double s = -INFINITY;
            for (int64_t i = 0; i < K; i++) s = log_add(s, a[(t - 1) * K + i] + (double)c->transition[i * K + k]);
            a[t * K + k] = s + (double)c->emission[t * K + k];
        }
    for (int64_t k = 0; k < K; k++) z = log_add(z, a[(L - 1) * K + k] + (b[(L - 1) * K + k] = (double)c->stop[k]));
    for (int64_t t = L - 2; t >= 0; t--)
        for (int64_t i = 0; i < K; i++) {
            double s = -INFINITY;
            for (int64_t k = 0; k < K; k++)
                s = log_add(s, (double)c->transition[i * K + k] + (double)c->emission[(t + 1) * K + k] +
                                   b[(t + 1) * K + k]);
            b[t * K + i] = s;
        }
    for (int64_t i = 0; i < L * K; i++) p[i] = exp(a[i] + b[i] - z);
    free(a);
    return z;
}

/* Scores of all sizes, and steps of -200 and +200 of which the way to one label leads through the other. */
Test(chain, a_long_one_as_in_double) {
    enum { T = 300, K = 50 };
    static double p[T * K];
    static const double widths[] = {1, 8, 60};
    rv_rng rng = rv_rng_make(6, "long chains", 0);
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int w = 0; w < 4; w++) {
            chain_case a = make_case(1, 1, T, K);
            draw_case(&a, &rng, w < 3 ? widths[w] : 1, false, w == 1);
            if (w == 3)
                for (int i = 0; i < K; i++) a.transition[i * K + 7] = -200, a.transition[7 * K + i] = 200;
            results r = run(&a.c, 1);
            const double z = long_hand(&a.c, p), width = w == 3 ? 200 : widths[w];
            cr_assert_float_eq(r.log_z[0], z, 10 * close * (1 + width), "%s, case %d: log Z %.12g, in double %.12g",
                               isas[s], w, r.log_z[0], z);
            double worst = 0;
            for (int i = 0; i < T * K; i++) worst = fmax(worst, fabs((double)r.p[i] - p[i]));
            cr_assert_leq(worst, 10 * close * (1 + width), "%s, case %d: a marginal is %.3g off", isas[s], w, worst);
            free_results(&r);
            free_case(&a);
        }
    }
}

/* ---- a row's results depend on that row alone */

static void same_row(const results *a, int64_t i, int64_t T_a, const results *b, int64_t j, int64_t T_b, int64_t L,
                     int64_t K) {
    cr_assert_eq(a->log_z[i], b->log_z[j]);
    cr_assert_eq(a->best_score[i], b->best_score[j]);
    cr_assert_arr_eq(a->p + i * T_a * K, b->p + j * T_b * K, (size_t)(L * K) * sizeof(rv_real));
    cr_assert_arr_eq(a->best + i * T_a, b->best + j * T_b, (size_t)L * sizeof(int32_t));
    cr_assert_arr_eq(a->n_score + i * N_BEST, b->n_score + j * N_BEST, N_BEST * sizeof(double));
}

Test(chain, rows_are_the_same_alone_without_padding_and_on_all_threads) {
    enum { B = 33, T = 23, K = 17 };
    rv_rng rng = rv_rng_make(7, "batches", 0);
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int order = 1; order <= 2; order++) {
            chain_case a = make_case(order, B, T, K);
            draw_case(&a, &rng, 20, false, true); /* some steps through logarithms, some not */
            rv_set_threads(1);
            results one = run(&a.c, N_BEST);
            for (int threads = 2; threads <= 5; threads += 3) {
                rv_set_threads(threads);
                results many = run(&a.c, N_BEST);
                for (int b = 0; b < B; b++) same_row(&one, b, T, &many, b, T, T, K);
                cr_assert_arr_eq(one.steps, many.steps, sizeof(rv_real) * K * K);
                free_results(&many);
            }
            for (int b = 0; b < B; b++) {
                rv_chain alone = a.c;
                alone.B = 1;
                alone.T = a.lengths[b];
                alone.lengths = a.lengths + b;
                alone.emission = a.emission + b * T * K;
                results r = run(&alone, N_BEST);
                same_row(&one, b, T, &r, 0, alone.T, alone.T, K);
                free_results(&r);
            }
            free_results(&one);
            free_case(&a);
        }
    }
    rv_set_threads(0);
}

Test(chain, what_is_not_finite_shows) {
    static const rv_real bad[] = {NAN, INFINITY};
    for (int order = 1; order <= 2; order++)
        for (int i = 0; i < 2; i++)
            for (int where = 0; where < 3; where++) {
                chain_case a = make_case(order, 3, 6, 5);
                rv_real *at[] = {a.emission + 5 * 8 + 2, a.stop + 4, a.transition + 7};
                *at[where] = bad[i];
                results r = run(&a.c, 1);
                for (int b = 0; b < 3; b++) {
                    const bool hit = where > 0 || b == 1; /* an emission of the second row */
                    cr_assert_eq(isnan(r.log_z[b]), hit);
                    cr_assert_eq(isnan(r.p[b * 30]), hit);
                }
                cr_assert(order == 2 || isnan(r.steps[0]));
                free_results(&r);
                free_case(&a);
            }
}

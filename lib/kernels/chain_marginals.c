/* Probabilities of labels and of steps: the chain is read from both ends, and the two readings meet at each position.
 */
#include <math.h>
#include <string.h>

#include "kernels/chain_private.h"

enum { GROUPS = 16 }; /* of rows: each adds up its own pairs */

/* What a thread needs for a row. */
typedef struct {
    rv__chain_row row;
    rv__chain_state one, x[2], sums; /* of pairs: the first position's single labels; two positions; sums */
    rv__chain_state back_one, back[2], turned;
    rv_real *pair;                     /* shares of a position's pairs */
    rv__chain_state *kept, *kept_back; /* order 1: states of all positions; order 2: sums of all positions, and NULL */
} reading;

/* Of all positions; their values follow each other. */
static rv__chain_state *states_take(rv__chain_room *r, int64_t T, int64_t n) {
    rv__chain_state *s = rv__chain_take(r, (size_t)T * sizeof *s), all = rv__chain_state_of(r, T * n);
    for (int64_t i = 0; s && i < T; i++) s[i] = (rv__chain_state){all.x + i * n, all.log + i * n, false};
    return s;
}

static reading reading_take(const rv_chain *c, const rv__chain_tables *t, rv__chain_room *r) {
    reading d = {.row = rv__chain_row_take(c, t, r),
                 .sums = rv__chain_state_of(r, t->states),
                 .kept = states_take(r, c->T, t->states)};
    if (c->order == 1) {
        d.kept_back = states_take(r, c->T, t->width);
        return d;
    }
    d.one = rv__chain_state_of(r, t->width);
    d.back_one = rv__chain_state_of(r, t->width);
    d.turned = rv__chain_state_of(r, t->states);
    d.pair = rv__chain_reals(r, t->states);
    for (int i = 0; i < 2; i++) d.x[i] = rv__chain_state_of(r, t->states), d.back[i] = rv__chain_state_of(r, t->states);
    return d;
}

/* Expected pairs of a group of rows, [from, to]: sum times the exponentials of the steps, plus more. */
typedef struct {
    rv_real *sum, *more; /* (K, width) */
} pairs;

static pairs pairs_take(const rv__chain_tables *t, rv__chain_room *r) {
    rv_real *sum = rv__chain_reals(r, t->K * t->width);
    return (pairs){sum, rv__chain_reals(r, t->K * t->width)};
}

/* ---- order 1 */

/* P(y_at = i, y_at+1 = j) of a position where only logarithms tell: log_z is the log of what its shares add up to. */
static void pairs_by_logs(const rv__chain_tables *t, const rv__chain_state *a, const rv__chain_state *b, double log_z,
                          rv_real *more) {
    for (int64_t i = 0; i < t->K; i++)
        for (int64_t j = 0; j < t->K; j++) {
            const double l = (double)a->log[i] + (double)t->step.log[i * t->width + j];
            const double m = b->known ? (double)b->log[j] : log((double)b->x[j]);
            more[i * t->width + j] += (rv_real)exp(l + m - log_z);
        }
}

/* z0: the logarithm of what was taken out before. */
static double row_order1(double z0, reading *d, rv_real *p, pairs *sum) {
    const rv__chain_tables *t = d->row.t;
    const rv_kernels *k = rv_k();
    const int64_t K = t->K, L = d->row.L;
    rv__chain_state start = t->start, stop = t->stop, *meet = &stop;
    double z = z0 + rv__chain_enter(&d->row, 0, &start, &d->kept[0]);
    for (int64_t at = 1; at < L && z > -INFINITY; at++)
        z += rv__chain_on(&d->row, at, false, &d->kept[at - 1], &d->sums, &d->kept[at]);
    if (z == -INFINITY) return z;
    for (int64_t at = L - 1; at >= 0; at--) {
        rv__chain_state *a = &d->kept[at], *next = &d->kept_back[at];
        if (at == L - 1)
            rv__chain_enter(&d->row, at, &stop, next);
        else
            rv__chain_on(&d->row, at, true, &d->kept_back[at + 1], meet = &d->sums, next);
        const bool count = sum && at < L - 1;
        rv_real share;
        if (at == L - 1) z += rv__chain_total(K, a, meet);
        if (z == -INFINITY) return z;
        const double log_share = k->chain_meet(K, a, meet, p + at * K, count ? a->x : NULL, &share);
        if (count && share == 0) pairs_by_logs(t, a, &d->kept_back[at + 1], log_share, sum->more);
    }
    if (sum && L > 1) k->chain_pairs(L - 1, K, t->width, d->kept[0].x, d->kept_back[1].x, sum->sum);
    return z;
}

/* ---- order 2: pairs (before, label), kept as the sums before the label's own weight; read from the end, the pair
 * (label, before) has that weight. */

static void turn(const rv__chain_tables *t, const rv__chain_state *s, rv__chain_state *to) {
    to->known = s->known;
    for (int64_t j = 0; j < t->K; j++)
        for (int64_t k = 0; k < t->width; k++) {
            to->x[j * t->width + k] = k < t->K ? s->x[k * t->width + j] : 0;
            if (s->known) to->log[j * t->width + k] = k < t->K ? s->log[k * t->width + j] : -INFINITY;
        }
}

/* Shares of pairs become those of the label and, for the first position, of the one before. */
static void add_pairs(const rv__chain_tables *t, const rv_real *pair, rv_real *before, rv_real *label) {
    memset(label, 0, (size_t)t->K * sizeof *label);
    for (int64_t j = 0; j < t->K; j++) {
        rv_real sum = 0;
        for (int64_t k = 0; k < t->K; k++) label[k] += pair[j * t->width + k], sum += pair[j * t->width + k];
        if (before) before[j] = sum;
    }
}

static double forward_order2(double z, reading *d) {
    const rv__chain_row *row = &d->row;
    rv__chain_state start = row->t->start;
    z += rv__chain_enter(row, 0, &start, &d->one);
    for (int64_t at = 1; at < row->L && z > -INFINITY; at++) {
        rv__chain_state *from = &d->x[(at + 1) % 2], *to = &d->x[at % 2];
        z += at == 1 ? rv__chain_spread(row, at, false, &d->one, &d->kept[at], to)
                     : rv__chain_pairs_on(row, at, false, from, &d->kept[at], to);
    }
    rv__chain_state *last = &d->x[(row->L + 1) % 2];
    if (z == -INFINITY || row->L == 1) return z;
    rv__chain_stop_pairs(row->t, &d->sums);
    return z + rv__chain_total(row->t->states, last, &d->sums);
}

static double row_order2(double z0, reading *d, rv_real *p) {
    const rv__chain_tables *t = d->row.t;
    const rv_kernels *k = rv_k();
    const int64_t K = t->K, L = d->row.L;
    rv__chain_state stop = t->stop;
    rv_real share;
    const double z = forward_order2(z0, d);
    if (z == -INFINITY) return z;
    if (L == 1) {
        k->chain_meet(K, &d->one, &stop, p, NULL, &share);
        return z + rv__chain_total(K, &d->one, &stop);
    }
    rv__chain_enter(&d->row, L - 1, &stop, &d->back_one);
    for (int64_t at = L - 1; at > 0; at--) { /* sums and states of at - 1, from the states of at */
        rv__chain_state *from = &d->back[at % 2], *to = &d->back[(at + 1) % 2];
        if (at == L - 1)
            rv__chain_spread(&d->row, at - 1, true, &d->back_one, &d->sums, to);
        else
            rv__chain_pairs_on(&d->row, at - 1, true, from, &d->sums, to);
        turn(t, &d->sums, &d->turned);
        k->chain_meet(t->states, &d->kept[at], &d->turned, d->pair, NULL, &share);
        add_pairs(t, d->pair, at == 1 ? p : NULL, p + at * K);
    }
    return z;
}

/* ---- all rows */

static void row_marginals(const rv_chain *c, int64_t b, reading *d, rv_real *p, pairs *sum, double *log_z) {
    const int64_t K = c->K;
    rv_real *own = p + b * c->T * K;
    double z = rv__chain_row_weigh(c, b, &d->row);
    if (!isnan(z)) z = c->order == 1 ? row_order1(z, d, own, sum) : row_order2(z, d, own);
    const int64_t done = z > -INFINITY ? d->row.L : 0; /* not of NaN */
    for (int64_t i = done * K; i < c->T * K; i++) own[i] = isnan(z) && i < d->row.L * K ? (rv_real)z : 0;
    for (int64_t i = 0; sum && isnan(z) && i < K * d->row.t->width; i++) sum->more[i] = (rv_real)z;
    if (log_z) log_z[b] = z;
}

static int64_t groups_of(const rv_chain *c) { return c->B < GROUPS ? c->B : GROUPS; }

size_t rv__chain_marginals_room(const rv_chain *c) {
    rv__chain_room r = {NULL, 0};
    const rv__chain_tables t = rv__chain_tables_take(c, &r);
    for (int64_t s = 0; s < rv__chain_slots(c); s++) reading_take(c, &t, &r);
    for (int64_t g = 0; g < groups_of(c) && c->order == 1; g++) pairs_take(&t, &r);
    return r.used;
}

static void add_groups(const rv_chain *c, const rv__chain_tables *t, const pairs *all, rv_real *expected) {
    const int64_t K = t->K, width = t->width;
    for (int64_t g = 0; g < groups_of(c); g++)
        for (int64_t i = 0; i < K; i++) {
            const int64_t at = i * width;
            for (int64_t k = 0; k < K; k++) {
                const rv_real x = all[g].sum[at + k] * t->step.x[at + k] + all[g].more[at + k];
                expected[i * K + k] = g ? expected[i * K + k] + x : x;
            }
        }
}

static void marginals(const rv_chain *c, void *room, rv_real *p, rv_real *expected, double *log_z) {
    rv__chain_room r = {room, 0};
    rv__chain_tables t = rv__chain_tables_take(c, &r);
    rv__chain_tables_fill(c, &t);
    pairs sum[GROUPS];
    const int64_t groups = groups_of(c);
    for (int64_t g = 0; g < groups && expected; g++) sum[g] = pairs_take(&t, &r);
    const size_t shared = r.used;
    reading_take(c, &t, &r);
    const size_t each = r.used - shared;
    const int threads = rv__chain_threads(c, expected ? 3 : 2);
    RV_FOR_AS(dynamic, g, groups, threads < groups ? threads : (int)groups, {
        rv__chain_room own = {(char *)room + shared + (size_t)rv__chain_slot(threads) * each, 0};
        reading d = reading_take(c, &t, &own);
        if (expected) memset(sum[g].sum, 0, (size_t)(t.K * t.width) * sizeof(rv_real));
        if (expected) memset(sum[g].more, 0, (size_t)(t.K * t.width) * sizeof(rv_real));
        for (int64_t b = c->B * g / groups; b < c->B * (g + 1) / groups; b++)
            row_marginals(c, b, &d, p, expected ? &sum[g] : NULL, log_z);
    });
    if (expected) add_groups(c, &t, sum, expected);
}

void rv_chain_marginals(const rv_chain *c, void *room, rv_real *p, double *log_z) {
    marginals(c, room, p, NULL, log_z);
}

void rv_chain_expected(const rv_chain *c, void *room, rv_real *p, rv_real *steps, double *log_z) {
    marginals(c, room, p, steps, log_z);
}

#include "kernels/chain.h"

#include <math.h>

#include "kernels/chain_private.h"

/* ---- log Z: the steps forward alone */

typedef struct {
    rv__chain_row row;
    rv__chain_state sums, one, x[2];
} forward;

static forward forward_take(const rv_chain *c, const rv__chain_tables *t, rv__chain_room *r) {
    return (forward){.row = rv__chain_row_take(c, t, r),
                     .sums = rv__chain_state_of(r, t->states),
                     .one = rv__chain_state_of(r, t->width),
                     .x = {rv__chain_state_of(r, t->states), rv__chain_state_of(r, t->states)}};
}

static double row_log_z(const rv_chain *c, int64_t b, forward *f) {
    const rv__chain_tables *t = f->row.t;
    rv__chain_state *first = c->order == 2 ? &f->one : &f->x[0], start = t->start, stops = t->stop, *stop = &stops;
    double z = rv__chain_row_weigh(c, b, &f->row);
    if (isnan(z)) return z;
    z += rv__chain_enter(&f->row, 0, &start, first);
    for (int64_t at = 1; at < f->row.L; at++) {
        rv__chain_state *from = &f->x[(at + 1) % 2], *to = &f->x[at % 2];
        z += c->order == 1 ? rv__chain_on(&f->row, at, false, from, &f->sums, to)
             : at == 1     ? rv__chain_spread(&f->row, at, false, first, &f->sums, to)
                           : rv__chain_pairs_on(&f->row, at, false, from, &f->sums, to);
        if (z == -INFINITY) return z;
    }
    const int64_t L = f->row.L;
    rv__chain_state *last = L == 1 ? first : &f->x[(L + 1) % 2];
    const bool of_pairs = c->order == 2 && L > 1;
    if (of_pairs) rv__chain_stop_pairs(t, stop = &f->sums);
    return z + rv__chain_total(of_pairs ? t->states : t->K, last, stop);
}

static size_t log_z_room(const rv_chain *c) {
    rv__chain_room r = {NULL, 0};
    const rv__chain_tables t = rv__chain_tables_take(c, &r);
    for (int64_t s = 0; s < rv__chain_slots(c); s++) forward_take(c, &t, &r);
    return r.used;
}

size_t rv_chain_room(const rv_chain *c) {
    const size_t z = log_z_room(c), p = rv__chain_marginals_room(c), best = rv__chain_best_room(c, 1);
    return z > p ? (z > best ? z : best) : p > best ? p : best;
}

void rv_chain_log_z(const rv_chain *c, void *room, double *log_z) {
    rv__chain_room r = {room, 0};
    rv__chain_tables t = rv__chain_tables_take(c, &r);
    rv__chain_tables_fill(c, &t);
    const size_t shared = r.used;
    forward_take(c, &t, &r);
    const size_t each = r.used - shared;
    const int threads = rv__chain_threads(c, 1);
    RV_FOR_AS(dynamic, b, c->B, threads, {
        rv__chain_room own = {(char *)room + shared + (size_t)rv__chain_slot(threads) * each, 0};
        forward f = forward_take(c, &t, &own);
        log_z[b] = row_log_z(c, b, &f);
    });
}

/* ---- scores of paths */

/* In the order of additions of rv_chain_best. */
static double row_score(const rv_chain *c, int64_t b, const int32_t *y) {
    const int64_t K = c->K, L = c->lengths[b];
    const rv_real *e = c->emission + b * c->T * K;
    double s = (c->start ? (double)c->start[y[0]] : 0) + (double)e[y[0]];
    for (int64_t t = 1; t < L; t++) {
        if (c->order == 2 && t > 1)
            s += (double)c->transition2[((int64_t)y[t - 2] * K + y[t - 1]) * K + y[t]];
        else if (c->transition)
            s += (double)c->transition[(int64_t)y[t - 1] * K + y[t]];
        s += (double)e[t * K + y[t]];
    }
    return c->stop ? s + (double)c->stop[y[L - 1]] : s;
}

void rv_chain_score(const rv_chain *c, const int32_t *y, double *score) {
    for (int64_t b = 0; b < c->B; b++) score[b] = row_score(c, b, y + b * c->T);
}

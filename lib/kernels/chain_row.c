/* The scores of chains made ready, and the steps of a row that use them. */
#include <math.h>
#include <omp.h>

#include "kernels/chain_private.h"
#include "kernels/flops.h"

static bool usable(rv_real x) { return x < INFINITY; } /* no NaN either */

static rv__chain_table table_take(rv__chain_room *r, int64_t n) {
    rv_real *x = rv__chain_reals(r, n);
    return (rv__chain_table){x, rv__chain_reals(r, n)};
}

rv__chain_tables rv__chain_tables_take(const rv_chain *c, rv__chain_room *r) {
    const int64_t K = c->K, width = rv__chain_width(K);
    rv__chain_tables t = {.K = K, .width = width, .states = c->order == 2 ? K * width : width};
    t.step = table_take(r, K * width);
    t.none = table_take(r, width);
    t.c = rv__chain_reals(r, width);
    t.start = rv__chain_state_of(r, width);
    t.stop = rv__chain_state_of(r, width);
    if (c->order == 1) {
        t.back = table_take(r, K * width);
    } else {
        t.step2 = table_take(r, K * K * width);
        t.back2 = table_take(r, K * K * width);
        t.c2 = rv__chain_reals(r, width);
    }
    return t;
}

/* n rows of K scores, less what is largest in each column, into rows of width. */
static bool fill_steps(const rv__chain_tables *t, int64_t n, const rv_real *from, rv__chain_table to, rv_real *c) {
    const int64_t K = t->K, width = t->width;
    bool good = true;
    for (int64_t k = 0; k < width; k++) c[k] = from && k < K ? -INFINITY : 0;
    for (int64_t i = 0; from && i < n; i++)
        for (int64_t k = 0; k < K; k++) {
            const rv_real x = from[i * K + k];
            good &= usable(x);
            if (x > c[k]) c[k] = x;
        }
    for (int64_t k = 0; k < K; k++)
        if (c[k] == -INFINITY) c[k] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < width; k++)
            to.log[i * width + k] = k >= K ? -INFINITY : from ? from[i * K + k] - c[k] : 0;
    rv_k()->vexp(n * width, to.log, to.x);
    return good;
}

static bool fill_state(const rv__chain_tables *t, const rv_real *from, rv__chain_state *s, double *taken) {
    bool good = true;
    rv_real max = from ? -INFINITY : 0;
    for (int64_t k = 0; from && k < t->K; k++) {
        good &= usable(from[k]);
        if (from[k] > max) max = from[k];
    }
    if (max == -INFINITY) max = 0;
    for (int64_t k = 0; k < t->width; k++) s->log[k] = k >= t->K ? -INFINITY : from ? from[k] - max : 0;
    rv_k()->vexp(t->width, s->log, s->x);
    s->known = true;
    *taken += (double)max;
    return good;
}

void rv__chain_tables_fill(const rv_chain *c, rv__chain_tables *t) {
    const int64_t K = t->K, width = t->width;
    t->taken = 0;
    bool good = fill_state(t, c->start, &t->start, &t->taken);
    good &= fill_state(t, c->stop, &t->stop, &t->taken);
    good &= fill_steps(t, K, c->transition, t->step, t->c);
    for (int64_t k = 0; k < width; k++) t->none.log[k] = k < K ? 0 : -INFINITY, t->none.x[k] = k < K;
    if (c->order == 1) {
        for (int64_t i = 0; i < K; i++)
            for (int64_t k = 0; k < width; k++) {
                t->back.log[i * width + k] = k < K ? t->step.log[k * width + i] : -INFINITY;
                t->back.x[i * width + k] = k < K ? t->step.x[k * width + i] : 0;
            }
    } else {
        good &= fill_steps(t, K * K, c->transition2, t->step2, t->c2);
        for (int64_t i = 0; i < K; i++)
            for (int64_t j = 0; j < K; j++)
                for (int64_t k = 0; k < width; k++) {
                    const int64_t at = (i * K + j) * width + k, from = (k * K + j) * width + i;
                    t->back2.log[at] = k < K ? t->step2.log[from] : -INFINITY;
                    t->back2.x[at] = k < K ? t->step2.x[from] : 0;
                }
    }
    t->bad = !good;
}

rv__chain_row rv__chain_row_take(const rv_chain *c, const rv__chain_tables *t, rv__chain_room *r) {
    rv_real *w = rv__chain_reals(r, c->T * t->width);
    return (rv__chain_row){t, 0, w, rv__chain_reals(r, c->T * t->width)};
}

double rv__chain_row_weigh(const rv_chain *c, int64_t b, rv__chain_row *row) {
    const rv__chain_tables *t = row->t;
    const rv_kernels *k = rv_k();
    const int64_t K = t->K, L = row->L = c->lengths[b], first = L < c->order ? L : c->order;
    double taken = t->bad ? NAN : t->taken;
    for (int64_t p = 0; p <= first; p++) { /* the first, the second and so on; then all that is left */
        const int64_t n = p < first ? 1 : L - first;
        const rv_real *x = c->emission + (b * c->T + p) * K, *from = p == 0 ? NULL : p == 2 ? t->c2 : t->c;
        taken += k->chain_weigh(n, K, t->width, x, from, row->w + p * t->width, row->log_w + p * t->width);
    }
    return taken;
}

/* A step to position `at`, and the fields that all have in common. */
static rv__chain_step step_to(const rv__chain_row *row, int64_t at, int64_t fans, rv__chain_state *from,
                              rv__chain_state *sums, rv__chain_state *to) {
    const rv__chain_tables *t = row->t;
    return (rv__chain_step){.width = t->width,
                            .fans = fans,
                            .w = row->w + at * t->width,
                            .log_w = row->log_w + at * t->width,
                            .from = from,
                            .sums = sums,
                            .to = to};
}

double rv__chain_enter(const rv__chain_row *row, int64_t at, rv__chain_state *sums, rv__chain_state *to) {
    const rv__chain_step s = step_to(row, at, 1, NULL, sums, to);
    return rv_k()->chain_step(&s);
}

double rv__chain_on(const rv__chain_row *row, int64_t at, bool back, rv__chain_state *from, rv__chain_state *sums,
                    rv__chain_state *to) {
    const rv__chain_tables *t = row->t;
    const rv__chain_table *table = back ? &t->back : &t->step;
    rv__chain_step s = step_to(row, at, 1, from, sums, to);
    s.n = t->K;
    s.from_step = 1;
    s.row_step = t->width;
    s.table = table->x;
    s.log_table = table->log;
    return rv_k()->chain_step(&s);
}

/* Labels that no path goes through at the position that a step to `at` comes from. */
static const rv_real *alive(const rv__chain_row *row, int64_t at, bool back) {
    return row->log_w + (back ? at + 1 : at - 1) * row->t->width;
}

double rv__chain_spread(const rv__chain_row *row, int64_t at, bool back, rv__chain_state *from, rv__chain_state *sums,
                        rv__chain_state *to) {
    const rv__chain_tables *t = row->t;
    const rv__chain_table *table = back ? &t->none : &t->step;
    rv__chain_step s = step_to(row, at, t->K, from, sums, to);
    s.n = 1;
    s.fan_step = back ? 0 : t->width;
    s.table = table->x;
    s.log_table = table->log;
    s.alive = alive(row, at, back);
    return rv_k()->chain_step(&s);
}

double rv__chain_pairs_on(const rv__chain_row *row, int64_t at, bool back, rv__chain_state *from, rv__chain_state *sums,
                          rv__chain_state *to) {
    const rv__chain_tables *t = row->t;
    const rv__chain_table *table = back ? &t->back2 : &t->step2;
    rv__chain_step s = step_to(row, at, t->K, from, sums, to);
    s.n = t->K;
    s.from_step = t->width;
    s.row_step = t->K * t->width;
    s.fan_step = t->width;
    s.table = table->x;
    s.log_table = table->log;
    s.alive = alive(row, at, back);
    return rv_k()->chain_step(&s);
}

void rv__chain_stop_pairs(const rv__chain_tables *t, rv__chain_state *to) {
    to->known = true;
    for (int64_t j = 0; j < t->K; j++)
        for (int64_t k = 0; k < t->width; k++) {
            to->x[j * t->width + k] = t->stop.x[k];
            to->log[j * t->width + k] = t->stop.log[k];
        }
}

double rv__chain_total(int64_t n, rv__chain_state *a, rv__chain_state *b) {
    rv_real sum;
    const double l = rv_k()->chain_meet(n, a, b, NULL, NULL, &sum);
    return sum > 0 ? log((double)sum) : l;
}

int64_t rv__chain_slots(const rv_chain *c) { return c->B < rv_threads() ? c->B : rv_threads(); }

int rv__chain_threads(const rv_chain *c, int passes) {
    const double K = (double)c->K, pairs = K * K * passes;
    double singles = 0, doubles = 0;
    for (int64_t b = 0; b < c->B; b++) {
        const double steps = c->lengths[b] - 1;
        singles += c->order == 1 ? steps : steps > 0;
        doubles += c->order == 2 && steps > 0 ? steps - 1 : 0;
    }
    rv__flops_add(2 * pairs * (singles + K * doubles));
    const int threads = rv_threads_for(pairs * (singles + K * doubles));
    return threads < c->B ? threads : (int)(c->B ? c->B : 1);
}

int rv__chain_slot(int threads) { return threads == 1 ? 0 : omp_get_thread_num(); }

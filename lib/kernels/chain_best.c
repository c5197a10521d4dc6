/* The best paths, in double: their scores are rv_chain_score's to the bit. */
#include <math.h>
#include <string.h>

#include "kernels/chain_private.h"

/* The scores of a call in double, in rows of width. */
typedef struct {
    int64_t K, width, states;
    double *start, *stop, *step, *step2;
} scores;

typedef struct {
    double score;
    int32_t from; /* -1: there is none */
} path;

/* What a thread needs for a row: scores of the n best paths to each state, at this position and the one before, and
 * where the paths came from. */
typedef struct {
    double *d[2];       /* (states, n) */
    double *best, *arg; /* (states): n = 1 alone */
    path *list;         /* (n) */
    int32_t *from;      /* (T, states, n): rank + n times the label that leaves the state, or -1 */
} search;

static scores scores_take(const rv_chain *c, rv__chain_room *r) {
    const int64_t K = c->K, width = rv__chain_width(K);
    scores s = {.K = K, .width = width, .states = c->order == 2 ? K * width : width};
    s.start = rv__chain_take(r, (size_t)width * sizeof(double));
    s.stop = rv__chain_take(r, (size_t)width * sizeof(double));
    s.step = rv__chain_take(r, (size_t)(K * width) * sizeof(double));
    if (c->order == 2) s.step2 = rv__chain_take(r, (size_t)(K * K * width) * sizeof(double));
    return s;
}

static void widen(const scores *s, int64_t n, const rv_real *from, double *to) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < s->width; k++)
            to[i * s->width + k] = k >= s->K ? -(double)INFINITY : from ? (double)from[i * s->K + k] : 0;
}

static void scores_fill(const rv_chain *c, const scores *s) {
    widen(s, 1, c->start, s->start);
    widen(s, 1, c->stop, s->stop);
    widen(s, s->K, c->transition, s->step);
    if (c->order == 2) widen(s, s->K * s->K, c->transition2, s->step2);
}

static search search_take(const rv_chain *c, const scores *s, int n, rv__chain_room *r) {
    search h;
    for (int i = 0; i < 2; i++) h.d[i] = rv__chain_take(r, (size_t)(s->states * n) * sizeof(double));
    h.best = rv__chain_take(r, (size_t)s->states * sizeof(double));
    h.arg = rv__chain_take(r, (size_t)s->states * sizeof(double));
    h.list = rv__chain_take(r, (size_t)n * sizeof *h.list);
    h.from = rv__chain_take(r, (size_t)(c->T * s->states * n) * sizeof *h.from);
    return h;
}

/* The step to position t: its sources and its table. */
static struct rv__chain_best step_to(const rv_chain *c, const scores *s, int64_t t) {
    const bool pairs = c->order == 2, wide = pairs && t > 1;
    return (struct rv__chain_best){.width = s->width,
                                   .fans = pairs ? s->K : 1,
                                   .n = pairs && t == 1 ? 1 : s->K,
                                   .from_step = wide    ? s->width
                                                : pairs ? 0
                                                        : 1,
                                   .row_step = wide ? s->K * s->width : s->width,
                                   .fan_step = s->width,
                                   .table = wide ? s->step2 : s->step};
}

/* ---- the best */

static void advance(const rv_chain *c, const scores *s, const rv_real *e, int64_t t, search *h) {
    struct rv__chain_best step = step_to(c, s, t);
    double *d = h->d[t % 2];
    int32_t *from = h->from + t * s->states;
    step.from = h->d[(t + 1) % 2];
    step.best = h->best;
    step.arg = h->arg;
    rv_k()->chain_best_step(&step);
    for (int64_t f = 0; f < step.fans; f++)
        for (int64_t k = 0; k < s->width; k++) {
            const int64_t at = f * s->width + k;
            d[at] = k < s->K ? h->best[at] + (double)e[t * s->K + k] : -(double)INFINITY;
            from[at] = (int32_t)h->arg[at];
        }
}

/* ---- the n best */

/* Keep the n best, best first; of equals the one that came first. */
static bool keep(path *list, int n, double score, int32_t from) {
    if (!(score > list[n - 1].score)) return false;
    int i = n - 1;
    for (; i > 0 && score > list[i - 1].score; i--) list[i] = list[i - 1];
    list[i] = (path){score, from};
    return true;
}

static void clear(path *list, int n) {
    for (int r = 0; r < n; r++) list[r] = (path){-(double)INFINITY, -1};
}

static void advance_n(const rv_chain *c, const scores *s, const rv_real *e, int64_t t, int n, search *h) {
    const struct rv__chain_best step = step_to(c, s, t);
    const double *before = h->d[(t + 1) % 2];
    for (int64_t f = 0; f < step.fans; f++)
        for (int64_t k = 0; k < s->K; k++) {
            const int64_t at = (f * s->width + k) * n;
            clear(h->list, n);
            for (int64_t i = 0; i < step.n; i++) {
                const double *from = before + (i * step.from_step + f) * n;
                const double cost = step.table[i * step.row_step + f * step.fan_step + k];
                for (int r = 0; r < n && keep(h->list, n, from[r] + cost, (int32_t)(i * n + r)); r++) {
                }
            }
            for (int r = 0; r < n; r++) {
                h->d[t % 2][at + r] = h->list[r].score + (double)e[t * s->K + k];
                h->from[t * s->states * n + at + r] = h->list[r].from;
            }
        }
}

/* ---- a row */

/* The n best ends: states of the last position, and their ranks. Of equals the lower last label, then the lower before.
 */
static void find_ends(const scores *s, int64_t L, bool pairs, int n, search *h) {
    const double *d = h->d[(L + 1) % 2];
    clear(h->list, n);
    for (int64_t k = 0; k < s->K; k++)
        for (int64_t j = 0; j < (pairs ? s->K : 1); j++) {
            const int64_t at = (j * s->width + k) * n;
            for (int r = 0; r < n && keep(h->list, n, d[at + r] + s->stop[k], (int32_t)(at + r)); r++) {
            }
        }
}

static void trace(const scores *s, int64_t L, bool pairs, int n, const search *h, int32_t end, int32_t *y) {
    int64_t state = end / n, rank = end % n;
    for (int64_t t = L - 1; t > 0; t--) {
        const int32_t from = h->from[(t * s->states + state) * n + rank];
        const int64_t label = state % s->width, before = pairs ? state / s->width : from / n;
        y[t] = (int32_t)label;
        rank = from % n;
        state = pairs && t > 1 ? from / n * s->width + before : before;
    }
    y[0] = (int32_t)state;
}

static void row_best(const rv_chain *c, const scores *s, int64_t b, int n, search *h, int32_t *y, double *score) {
    const int64_t L = c->lengths[b];
    const rv_real *e = c->emission + b * c->T * c->K;
    const bool pairs = c->order == 2 && L > 1;
    for (int64_t i = 0; i < s->states * n; i++) h->d[0][i] = -(double)INFINITY;
    for (int64_t k = 0; k < s->K; k++) h->d[0][k * n] = s->start[k] + (double)e[k];
    for (int64_t t = 1; t < L; t++)
        if (n == 1)
            advance(c, s, e, t, h);
        else
            advance_n(c, s, e, t, n, h);
    find_ends(s, L, pairs, n, h);
    for (int r = 0; r < n; r++, y += c->T) {
        const path *end = &h->list[r];
        if (end->from >= 0) trace(s, L, pairs, n, h, end->from, y);
        for (int64_t t = end->from >= 0 ? L : 0; t < c->T; t++) y[t] = -1;
        if (score) score[r] = end->score;
    }
}

/* ---- all rows */

size_t rv__chain_best_room(const rv_chain *c, int n) {
    rv__chain_room r = {NULL, 0};
    const scores s = scores_take(c, &r);
    for (int64_t i = 0; i < rv__chain_slots(c); i++) search_take(c, &s, n, &r);
    return r.used;
}

size_t rv_chain_n_best_room(const rv_chain *c, int n) { return rv__chain_best_room(c, n); }

void rv_chain_n_best(const rv_chain *c, int n, void *room, int32_t *y, double *score) {
    rv__chain_room r = {room, 0};
    const scores s = scores_take(c, &r);
    scores_fill(c, &s);
    const size_t shared = r.used;
    search_take(c, &s, n, &r);
    const size_t each = r.used - shared;
    const int threads = rv__chain_threads(c, 1);
    RV_FOR_AS(dynamic, b, c->B, threads, {
        rv__chain_room own = {(char *)room + shared + (size_t)rv__chain_slot(threads) * each, 0};
        search h = search_take(c, &s, n, &own);
        row_best(c, &s, b, n, &h, y + b * n * c->T, score ? score + b * n : NULL);
    });
}

void rv_chain_best(const rv_chain *c, void *room, int32_t *y, double *score) { rv_chain_n_best(c, 1, room, y, score); }

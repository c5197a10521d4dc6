/* One run of rv_attention: its shape, its values, and what comes of them. */
#ifndef RV_TESTS_ATTENTION_RUN_H
#define RV_TESTS_ATTENTION_RUN_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "ops/ops.h"

enum { Q, K, V, OPERANDS };
typedef struct {
    int64_t b, t, s, d;
    rv_attention_spec spec;
} shape;
/* What goes in and comes out of one run; all malloc'd. */
typedef struct {
    rv_real *x[OPERANDS], *y, *dy, *g[OPERANDS];
} run;

static inline int64_t count(const shape *z, int i) { return z->b * (i == Q ? z->t : z->s) * z->d; }

static inline rv_real *random_values(int64_t n, uint64_t which) {
    rv_rng rng = rv_rng_make(7, "test", which);
    rv_real *x = malloc((size_t)n * sizeof *x + 1);
    for (int64_t i = 0; i < n; i++) x[i] = (rv_real)(4 * rv_rng_uniform(&rng) - 2);
    return x;
}

static inline run make_run(const shape *z) {
    run r = {.dy = random_values(count(z, Q), 9)};
    for (int i = 0; i < OPERANDS; i++) r.x[i] = random_values(count(z, i), (uint64_t)i);
    return r;
}

static inline void free_run(run *r) {
    for (int i = 0; i < OPERANDS; i++) free(r->x[i]), free(r->g[i]);
    free(r->y), free(r->dy);
}

static inline rv_real *copy(const rv_real *x, int64_t n) {
    return memcpy(malloc((size_t)n * sizeof *x + 1), x, (size_t)n * sizeof *x);
}

static inline void execute(const shape *z, run *r, bool training) {
    rv_tape *tape = rv_tape_create();
    rv_tape_set_training(tape, training);
    rv_tensor *in[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) {
        in[i] = rv_leaf(tape, true, 3, (int64_t[]){z->b, i == Q ? z->t : z->s, z->d});
        memcpy(in[i]->x, r->x[i], (size_t)count(z, i) * sizeof(rv_real));
    }
    rv_tensor *y = rv_attention(tape, in[Q], in[K], in[V], &z->spec);
    cr_assert_eq(rv_backward_from(tape, y, r->dy), RV_OK, "%s", rv_error_message());
    r->y = copy(y->x, count(z, Q));
    for (int i = 0; i < OPERANDS; i++) r->g[i] = copy(in[i]->g, count(z, i));
    rv_tape_destroy(tape);
}

static inline void check_equal(const rv_real *a, const rv_real *b, int64_t n, const char *what) {
    for (int64_t i = 0; i < n; i++)
        cr_assert(a[i] == b[i], "%s[%d]: %.9g and %.9g", what, (int)i, (double)a[i], (double)b[i]);
}

#endif

#include "nn/position.h"

#include <math.h>

#include "base/arena.h"

struct rv_position {
    rv_position_kind kind;
    int64_t max_length, d;
    rv_tensor *table; /* (max_length, D); the parameter, or `fixed` */
    rv_tensor fixed;
};

static void fill_sinusoids(rv_real *x, int64_t positions, int64_t d) {
    for (int64_t p = 0; p < positions; p++)
        for (int64_t i = 0; i < d; i++) {
            double angle = (double)p / pow(10000, (double)(i / 2 * 2) / (double)d);
            x[p * d + i] = (rv_real)(i % 2 ? cos(angle) : sin(angle));
        }
}

rv_position *rv_position_create(rv_params *ps, rv_position_kind kind, int64_t max_length, int64_t d, rv_init init,
                                const char *prefix) {
    rv_position *p = rv_alloc(sizeof *p);
    if (!p) return NULL;
    *p = (rv_position){.kind = kind, .max_length = max_length, .d = d, .fixed = {.ndim = 2, .dim = {max_length, d}}};
    p->table = &p->fixed;
    if (kind == RV_POSITION_LEARNED) {
        p->table = rv_params_add(ps, init, 2, (int64_t[]){max_length, d}, "%s.weight", prefix);
        rv_params_use(ps, p->table, RV_USE_LOOK_UP);
    }
    if (kind == RV_POSITION_SINUSOIDAL) {
        p->fixed.x = rv_alloc(rv_size_mul((size_t)max_length, (size_t)d * sizeof(rv_real)));
        if (!p->fixed.x) {
            rv_free(p);
            return NULL;
        }
        fill_sinusoids(p->fixed.x, max_length, d);
    }
    return p;
}

void rv_position_destroy(rv_position *p) {
    if (!p) return;
    rv_free(p->fixed.x);
    rv_free(p);
}

rv_tensor *rv_position_add(rv_tape *tape, rv_position *p, rv_tensor *x, const int32_t *start) {
    if (!x || p->kind == RV_POSITION_NONE) return x;
    RV_ASSERT(x->ndim == 3 && x->dim[2] == p->d);
    int64_t batch = x->dim[0], t = x->dim[1], rows = start ? batch : 1;
    int32_t *ids = rv_tape_alloc(tape, (size_t)(rows * t) * sizeof *ids);
    if (!ids) return NULL;
    for (int64_t b = 0; b < rows; b++) {
        int64_t first = start ? start[b] : 0;
        if (first + t > p->max_length)
            return rv_tape_fail(tape, RV_EUSAGE,
                                "position %lld is behind the last of %lld; shorten the sequences or raise max_length",
                                (long long)(first + t - 1), (long long)p->max_length);
        for (int64_t i = 0; i < t; i++) ids[b * t + i] = (int32_t)(first + i);
    }
    rv_tensor *e = rv_embedding(tape, p->table, ids, rows * t, 1);
    if (start && e) e = rv_reshape(tape, e, 3, (int64_t[]){batch, t, p->d});
    return rv_add(tape, x, e);
}

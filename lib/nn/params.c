#include "nn/params.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "nn/init.h"

enum { ALIGN_ELEMS = 16 };

rv_params *rv_params_create(void) { return rv_alloc(sizeof(rv_params)); }

void rv_params_destroy(rv_params *ps) {
    if (!ps) return;
    for (int i = 0; i < ps->n; i++) {
        free(ps->p[i]->name);
        rv_free(ps->p[i]);
    }
    free(ps->p);
    rv_free(ps->x);
    rv_free(ps->g);
    rv_free(ps);
}

rv_tensor *rv_params_add(rv_params *ps, rv_init init, int ndim, const int64_t *dim, const char *fmt, ...) {
    RV_ASSERT(!ps->x && ndim <= RV_MAX_DIMS);
    char name[512];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    RV_ASSERT(len > 0 && len < (int)sizeof name && !rv_params_find(ps, name));
    rv_param *p = rv_alloc(sizeof *p), **list = realloc(ps->p, (size_t)(ps->n + 1) * sizeof *list);
    if (list) ps->p = list;
    if (!p || !list || !(p->name = strdup(name))) {
        rv_free(p);
        ps->no_memory = true;
        return &ps->spare;
    }
    ps->p[ps->n++] = p;
    p->init = init;
    p->t = (rv_tensor){.ndim = ndim, .needs_grad = true, .owns_grad = true};
    for (int i = 0; i < ndim; i++) p->t.dim[i] = dim[i];
    p->decay = ndim >= 2;
    p->times = 1;
    p->offset = ps->size;
    ps->size += (rv_numel(&p->t) + ALIGN_ELEMS - 1) / ALIGN_ELEMS * ALIGN_ELEMS;
    return &p->t;
}

rv_tensor *rv_params_use(rv_params *ps, rv_tensor *t, rv_use use) {
    for (int i = ps->n - 1; i >= 0; i--) /* not there: memory ran out, and it is the spare one */
        if (&ps->p[i]->t == t) ps->p[i]->use = use;
    return t;
}

double rv_param_flops(const rv_param *p, double S, double T) {
    const double once = p->t.ndim >= 2 ? 2 * p->times * (double)rv_numel(&p->t) : 0;
    switch (p->use) {
    case RV_USE_STEP: return once * T;
    case RV_USE_SOURCE: return once * S;
    case RV_USE_CROSS: return once * (T + 2 * S) / 3;
    case RV_USE_EXAMPLE: return once;
    case RV_USE_LOOK_UP: break;
    }
    return 0;
}

rv_status rv_params_materialise(rv_params *ps, uint64_t seed) {
    RV_ASSERT(!ps->x);
    if (ps->no_memory) return rv_error(RV_ENOMEM, "out of memory while the model was built");
    ps->x = rv_alloc(rv_size_mul((size_t)ps->size, sizeof(rv_real)));
    ps->g = rv_alloc(rv_size_mul((size_t)ps->size, sizeof(rv_real)));
    if (!ps->x || !ps->g) return RV_ENOMEM;
    for (int i = 0; i < ps->n; i++) {
        rv_param *p = ps->p[i];
        p->t.x = ps->x + p->offset;
        p->t.g = ps->g + p->offset;
        RV_TRY(rv__init_fill(p, seed));
    }
    return RV_OK;
}

rv_param *rv_params_find(const rv_params *ps, const char *name) {
    for (int i = 0; i < ps->n; i++)
        if (!strcmp(ps->p[i]->name, name)) return ps->p[i];
    return NULL;
}

int64_t rv_params_count(const rv_params *ps) {
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++) n += rv_numel(&ps->p[i]->t);
    return n;
}

void rv_param_freeze(rv_param *p) {
    p->frozen = true;
    p->t.needs_grad = false;
}

int64_t rv_params_frozen(const rv_params *ps) {
    int64_t n = 0;
    for (int i = 0; i < ps->n; i++)
        if (ps->p[i]->frozen) n += rv_numel(&ps->p[i]->t);
    return n;
}

void rv_params_zero_grad(rv_params *ps) {
    for (int i = 0; i < ps->n; i++) ps->p[i]->t.has_grad = false;
}

void rv_params_finish_grad(rv_params *ps) {
    for (int i = 0; i < ps->n; i++) {
        rv_tensor *t = &ps->p[i]->t;
        if (ps->p[i]->frozen) continue; /* nobody wrote its gradient, and nobody reads it */
        if (!t->has_grad) memset(t->g, 0, (size_t)rv_numel(t) * sizeof *t->g);
        t->has_grad = true;
    }
}

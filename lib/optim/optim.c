#include "optim/optim.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "kernels/kernels.h"

enum { MAX_SLOTS = 2 };

struct rv_optim {
    rv_optim_kind kind;
    rv_optim_settings set;
    rv_params *ps;
    rv_real *slot[MAX_SLOTS];
    int nslots;
    int64_t t;
    rv_update_span *span; /* one per parameter, rebuilt each step because `frozen` may change */
};

/* Coefficients of step t. The bias corrections are formed here in double, as PyTorch does. */
static void coef_sgd(const rv_optim_settings *s, double lr, int64_t t, rv_update *u) {
    u->l2 = (rv_real)s->weight_decay;
    u->a = (rv_real)s->momentum;
    u->nesterov = s->nesterov;
}
static void coef_adam(const rv_optim_settings *s, double lr, int64_t t, rv_update *u) {
    u->l2 = (rv_real)s->weight_decay;
    u->a = (rv_real)s->beta1;
    u->a1 = (rv_real)(1 - s->beta1);
    u->b = (rv_real)s->beta2;
    u->b1 = (rv_real)(1 - s->beta2);
    u->eps = (rv_real)s->eps;
    u->lr = (rv_real)(lr / (1 - pow(s->beta1, (double)t)));
    u->root = (rv_real)(1 / sqrt(1 - pow(s->beta2, (double)t)));
}
static void coef_adamw(const rv_optim_settings *s, double lr, int64_t t, rv_update *u) {
    coef_adam(s, lr, t, u);
    u->l2 = 0;
    u->keep = (rv_real)(1 - lr * s->weight_decay);
}
static void coef_adadelta(const rv_optim_settings *s, double lr, int64_t t, rv_update *u) {
    u->l2 = (rv_real)s->weight_decay;
    u->a = (rv_real)s->rho;
    u->a1 = (rv_real)(1 - s->rho);
    u->eps = (rv_real)s->eps;
}

#define UNPACK(...) __VA_ARGS__
static const struct {
    const char *name;
    const char *slot[MAX_SLOTS];
    rv_optim_settings defaults;
    void (*coef)(const rv_optim_settings *s, double lr, int64_t t, rv_update *u);
} kinds[] = {
#define RV_OPTIM(name, kernel, slots, defaults) {#name, UNPACK slots, UNPACK defaults, coef_##name},
#include "optim/optim.def"
#undef RV_OPTIM
};

static rv_update_fn *kernel_of(const rv_optim *o) {
    if (o->kind == RV_OPTIM_sgd && o->nslots == 0) return rv_k()->sgd; /* no momentum, no state */
    switch (o->kind) {
#define RV_OPTIM(name, kernel, slots, defaults)                                                                        \
    case RV_OPTIM_##name:                                                                                              \
        return rv_k()->kernel;
#include "optim/optim.def"
#undef RV_OPTIM
    default: RV_ASSERT(!"optimiser kind"); return NULL;
    }
}

rv_optim_settings rv_optim_defaults(rv_optim_kind kind) { return kinds[kind].defaults; }
const char *rv_optim_name(rv_optim_kind kind) { return kinds[kind].name; }

rv_status rv_optim_find(const char *name, rv_optim_kind *kind) {
    char known[128] = "";
    for (int i = 0; i < RV_OPTIM_COUNT; i++) {
        if (!strcmp(name, kinds[i].name)) {
            *kind = (rv_optim_kind)i;
            return RV_OK;
        }
        if (i) strcat(known, ", ");
        strcat(known, kinds[i].name);
    }
    return rv_error(RV_EUSAGE, "unknown optimizer '%s'; choose one of %s", name, known);
}

static rv_status check(const rv_optim_settings *s) {
    const struct {
        const char *name;
        double v, below; /* the range is [0, below) */
    } range[] = {{"lr", s->lr, INFINITY},      {"weight_decay", s->weight_decay, INFINITY},
                 {"momentum", s->momentum, 1}, {"betas[0]", s->beta1, 1},
                 {"betas[1]", s->beta2, 1},    {"rho", s->rho, 1},
                 {"eps", s->eps, INFINITY}};
    for (size_t i = 0; i < sizeof range / sizeof *range; i++)
        if (!(range[i].v >= 0 && range[i].v < range[i].below))
            return rv_error(RV_EUSAGE, "optimizer: %s is %g; it must be at least 0 and below %g", range[i].name,
                            range[i].v, range[i].below);
    if (s->nesterov && s->momentum == 0)
        return rv_error(RV_EUSAGE, "optimizer: nesterov needs momentum; set momentum, 0.9 for example");
    return RV_OK;
}

rv_status rv_optim_create(rv_optim_kind kind, const rv_optim_settings *settings, rv_params *ps, rv_optim **out) {
    RV_ASSERT(ps->x && kind >= 0 && kind < RV_OPTIM_COUNT);
    *out = NULL;
    RV_TRY(check(settings));
    rv_optim *o = rv_alloc(sizeof *o);
    if (!o) return RV_ENOMEM;
    o->kind = kind;
    o->set = *settings;
    o->ps = ps;
    bool stateless = kind == RV_OPTIM_sgd && settings->momentum == 0;
    while (!stateless && o->nslots < MAX_SLOTS && kinds[kind].slot[o->nslots]) o->nslots++;
    o->span = rv_alloc(rv_size_mul((size_t)ps->n, sizeof *o->span));
    bool ok = o->span;
    for (int i = 0; ok && i < o->nslots; i++)
        ok = (o->slot[i] = rv_alloc(rv_size_mul((size_t)ps->size, sizeof(rv_real)))) != NULL;
    if (!ok) {
        rv_optim_destroy(o);
        return RV_ENOMEM;
    }
    *out = o;
    return RV_OK;
}

void rv_optim_destroy(rv_optim *o) {
    if (!o) return;
    for (int i = 0; i < MAX_SLOTS; i++) rv_free(o->slot[i]);
    rv_free(o->span);
    rv_free(o);
}

void rv_optim_step(rv_optim *o, double lr, double grad_scale) {
    o->t++;
    rv_update u = {.scale = (rv_real)grad_scale, .lr = (rv_real)lr, .keep = 1};
    kinds[o->kind].coef(&o->set, lr, o->t, &u);
    int n = 0;
    for (int i = 0; i < o->ps->n; i++) {
        const rv_param *p = o->ps->p[i];
        if (p->frozen) continue;
        o->span[n++] = (rv_update_span){.n = rv_numel(&p->t),
                                        .x = p->t.x,
                                        .g = p->t.g,
                                        .s0 = o->slot[0] ? o->slot[0] + p->offset : NULL,
                                        .s1 = o->slot[1] ? o->slot[1] + p->offset : NULL,
                                        .decay = p->decay || !o->set.decay_matrices_only};
    }
    rv_update_run(kernel_of(o), n, o->span, &u);
}

int64_t rv_optim_steps(const rv_optim *o) { return o->t; }
void rv_optim_set_steps(rv_optim *o, int64_t steps) { o->t = steps; }
int rv_optim_slots(const rv_optim *o) { return o->nslots; }
const char *rv_optim_slot_name(const rv_optim *o, int slot) { return kinds[o->kind].slot[slot]; }
rv_real *rv_optim_slot(const rv_optim *o, int slot, const rv_param *p) { return o->slot[slot] + p->offset; }
rv_real *rv_optim_slot_flat(const rv_optim *o, int slot) { return o->slot[slot]; }

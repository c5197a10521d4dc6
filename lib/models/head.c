#include "models/head.h"

#include <string.h>

#include "base/arena.h"

const rv_head_kind *rv_head_find(const char *name) {
    static const rv_head_kind *const kinds[] = {
#define RV_HEAD(n) &rv__head_##n,
#include "models/models.def"
#undef RV_HEAD
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i]->name, name)) return kinds[i];
    return NULL;
}

struct rv_head {
    rv_head_config config;
    rv_tensor *weight, *bias;
    rv_pooling *pooling; /* NULL: it reads a decoder */
};

void rv_head_destroy(rv_head *h) {
    if (!h) return;
    rv_pooling_destroy(h->pooling);
    rv_free(h);
}

rv_head *rv_head_create(rv_params *ps, const rv_head_config *c, int64_t input_size, rv_tensor *tied) {
    rv_head *h = rv_alloc(sizeof *h);
    if (!h) return NULL;
    h->config = *c;
    if (c->kind->pools) {
        const rv_pooling_config pooling = {c->pooling, input_size, c->pooling_size, c->init};
        const int before = ps->n;
        h->pooling = rv_pooling_create(ps, &pooling, "pooling");
        for (int i = before; i < ps->n; i++) ps->p[i]->use = RV_USE_SOURCE;
        if (!h->pooling) {
            rv_free(h);
            return NULL;
        }
    }
    h->weight = tied ? tied : rv_params_add(ps, c->init, 2, (int64_t[]){c->output_size, input_size}, "head.weight");
    rv_params_use(ps, h->weight, c->kind->pools ? RV_USE_EXAMPLE : RV_USE_STEP);
    if (c->bias) h->bias = rv_params_add(ps, c->bias_init, 1, &c->output_size, "head.bias");
    return h;
}

const rv_head_config *rv_head_get_config(const rv_head *h) { return &h->config; }
rv_tensor *rv_head_weight(const rv_head *h) { return h->weight; }
rv_tensor *rv_head_bias(const rv_head *h) { return h->bias; }

rv_tensor *rv_head_map(rv_tape *tape, rv_head *h, rv_tensor *x) {
    return rv_linear(tape, x, h->weight, h->bias, RV_ACT_NONE);
}

rv_tensor *rv_head_pool(rv_tape *tape, rv_head *h, const rv_memory *m, rv_pooled *pooled) {
    rv_pooled p = rv_pooling_forward(tape, h->pooling, m->states, m->lengths, m->last);
    p.y = rv_watch_states(tape, p.y, "head", false, "head");
    if (pooled) *pooled = p;
    return rv_dropout(tape, p.y, h->config.dropout);
}

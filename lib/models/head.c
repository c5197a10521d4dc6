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
    rv_hmm *hmm;                          /* or NULL */
    rv_pooling *pooling;                  /* or NULL */
    rv_tensor *transition, *start, *stop; /* of a CRF, or NULL */
};

void rv_head_destroy(rv_head *h) {
    if (!h) return;
    rv_pooling_destroy(h->pooling);
    rv_hmm_destroy(h->hmm);
    rv_free(h);
}

/* All 0: every path is as probable as any other. */
static void declare_chain(rv_params *ps, rv_head *h) {
    const int64_t K = h->config.output_size;
    const rv_init zero = {RV_INIT_ZERO, 0, 0};
    h->transition = rv_params_add(ps, zero, 2, (int64_t[]){K, K}, "head.transition");
    rv_params_use(ps, h->transition, RV_USE_SOURCE); /* a step of the recursion is as much as a product */
    h->start = rv_params_add(ps, zero, 1, &K, "head.start");
    h->stop = rv_params_add(ps, zero, 1, &K, "head.stop");
}

rv_head *rv_head_create(rv_params *ps, const rv_head_config *c, int64_t input_size, rv_tensor *tied) {
    rv_head *h = rv_alloc(sizeof *h);
    if (!h) return NULL;
    h->config = *c;
    if (c->kind->reads == RV_READS_SOURCE) {
        if ((h->hmm = rv_hmm_create(ps, &c->hmm))) return h;
        rv_free(h);
        return NULL;
    }
    if (c->kind->reads == RV_READS_POOLED) {
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
    static const rv_use uses[] = {
        [RV_READS_DECODER] = RV_USE_STEP, [RV_READS_POOLED] = RV_USE_EXAMPLE, [RV_READS_ENCODER] = RV_USE_SOURCE};
    rv_params_use(ps, h->weight, uses[c->kind->reads]);
    if (c->bias) h->bias = rv_params_add(ps, c->bias_init, 1, &c->output_size, "head.bias");
    if (c->crf) declare_chain(ps, h);
    return h;
}

const rv_head_config *rv_head_get_config(const rv_head *h) { return &h->config; }
rv_tensor *rv_head_weight(const rv_head *h) { return h->weight; }
rv_tensor *rv_head_bias(const rv_head *h) { return h->bias; }

rv_hmm *rv_head_hmm(const rv_head *h) { return h->hmm; }
rv_tensor *rv_head_transition(const rv_head *h) { return h->transition; }
rv_tensor *rv_head_start(const rv_head *h) { return h->start; }
rv_tensor *rv_head_stop(const rv_head *h) { return h->stop; }

rv_tensor *rv_head_map(rv_tape *tape, rv_head *h, rv_tensor *x) {
    return rv_linear(tape, x, h->weight, h->bias, RV_ACT_NONE);
}

rv_tensor *rv_head_pool(rv_tape *tape, rv_head *h, const rv_memory *m, rv_pooled *pooled) {
    rv_pooled p = rv_pooling_forward(tape, h->pooling, m->states, m->lengths, m->last);
    p.y = rv_watch_states(tape, p.y, "head", false, "head");
    if (pooled) *pooled = p;
    return rv_dropout(tape, p.y, h->config.dropout);
}

void rv_head_sum(const rv_batch *b, const double *nats, const int32_t *best, rv_row_score *row) {
    for (int64_t i = 0; i < b->B; i++) {
        row[i] = (rv_row_score){0};
        for (int64_t k = i * b->T; k < (i + 1) * b->T; k++) {
            if (b->out[k] < 0) continue;
            row[i].nats += nats[k];
            row[i].tokens++;
            row[i].correct += best[k] == b->out[k];
        }
    }
}

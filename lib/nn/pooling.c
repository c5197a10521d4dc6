#include "nn/pooling.h"

#include <math.h>

#include "base/arena.h"

struct rv_pooling {
    rv_pooling_config config;
    rv_tensor *w, *b, *v;
};

rv_pooling *rv_pooling_create(rv_params *ps, const rv_pooling_config *c, const char *prefix) {
    rv_pooling *p = rv_alloc(sizeof *p);
    if (!p) return NULL;
    p->config = *c;
    if (c->kind != RV_POOLING_ATTENTION) return p;
    rv_init bias = {RV_INIT_UNIFORM, 1 / sqrt((double)c->input_size), 0};
    p->w = rv_params_add(ps, c->init, 2, (int64_t[]){c->size, c->input_size}, "%s.proj.weight", prefix);
    p->b = rv_params_add(ps, bias, 1, &c->size, "%s.proj.bias", prefix);
    p->v = rv_params_add(ps, c->init, 2, (int64_t[]){1, c->size}, "%s.v.weight", prefix);
    return p;
}

void rv_pooling_destroy(rv_pooling *p) { rv_free(p); }

/* Each row's state at its last valid position: rows of a table of all states. */
static rv_tensor *last_of(rv_tape *tape, rv_tensor *states, const int32_t *lengths) {
    const int64_t B = states->dim[0], S = states->dim[1], D = states->dim[2];
    int32_t *at = rv_tape_alloc(tape, (size_t)B * sizeof *at);
    if (!at) return NULL;
    for (int64_t b = 0; b < B; b++) at[b] = (int32_t)(b * S + (lengths ? lengths[b] : S) - 1);
    return rv_embedding(tape, rv_reshape(tape, states, 2, (int64_t[]){B * S, D}), at, B, 1);
}

rv_pooled rv_pooling_forward(rv_tape *tape, const rv_pooling *p, rv_tensor *states, const int32_t *lengths,
                             rv_tensor *last) {
    if (!states) return (rv_pooled){NULL, NULL};
    if (p->config.kind == RV_POOLING_LAST) return (rv_pooled){last ? last : last_of(tape, states, lengths), NULL};
    if (p->config.kind == RV_POOLING_MEAN) return rv_pool(tape, states, NULL, lengths);
    rv_tensor *scores = rv_linear(tape, rv_linear(tape, states, p->w, p->b, RV_ACT_TANH), p->v, NULL, RV_ACT_NONE);
    if (!scores) return (rv_pooled){NULL, NULL};
    return rv_pool(tape, states, rv_reshape(tape, scores, 2, states->dim), lengths);
}

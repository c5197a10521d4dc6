/* The tape's inside, shared by tape.c, held.c and plan.c only. */
#ifndef RV_AUTOGRAD_TAPE_PRIVATE_H
#define RV_AUTOGRAD_TAPE_PRIVATE_H

#include "autograd/tape.h"

typedef struct sample_link {
    rv_tensor *t;
    struct sample_link *next;
} sample_link;

/* A packed parameter, or part of one. */
typedef struct held {
    const rv_real *x;
    int64_t k, parts;
    void *packed;
    struct held *next; /* the last one's is the first */
} held;

struct rv_tape {
    rv_arena *arena;
    rv_node *last;
    int nodes;
    rv_real *grads; /* the gradient buffer; grows only */
    size_t grads_cap;
    bool no_grad, training, sample_keep;
    rv_status status;
    char message[1024];
    uint64_t seed, step, calls;
    sample_link *sample_list;
    int samples, perturb_leaf;
    int64_t perturb_elem;
    double perturb_eps;
    bool hold;
    rv_watch *watch;
    rv_arena *held_arena; /* holds all of these */
    held *last_held;      /* the one asked for last */
};

/* Forget the packed weights. */
void rv__tape_forget(rv_tape *t);

#endif

/* At backward the whole tape is known. A gradient is born when the backward of its tensor's LAST consumer runs and
 * dies after the backward of its producer; so a first pass over the nodes in reverse order hands out and takes back
 * ranges of an imagined buffer (best fit, neighbours merged), and a second turns offsets into pointers. */
#include "autograd/plan.h"

#include <math.h>
#include <string.h>

#include "autograd/tape_private.h"

typedef struct {
    size_t at, size;
} hole;

typedef struct {
    hole *holes; /* sorted by offset */
    int n;
    size_t end, peak; /* everything at or after `end` is free */
} pool;

static size_t grad_bytes(const rv_tensor *t) {
    return ((size_t)rv_numel(t) * sizeof(rv_real) + RV_ALIGN - 1) / RV_ALIGN * RV_ALIGN;
}
static rv_tensor *root_of(rv_tensor *t) { return t->base ? t->base : t; }

static size_t pool_take(pool *p, size_t size) {
    int best = -1;
    for (int i = 0; i < p->n; i++)
        if (p->holes[i].size >= size && (best < 0 || p->holes[i].size < p->holes[best].size)) best = i;
    if (best >= 0) {
        size_t at = p->holes[best].at;
        p->holes[best].at += size;
        p->holes[best].size -= size;
        if (!p->holes[best].size) memmove(p->holes + best, p->holes + best + 1, (size_t)(--p->n - best) * sizeof(hole));
        return at;
    }
    /* A hole that touches the end is grown rather than skipped. */
    size_t at = p->end;
    if (p->n && p->holes[p->n - 1].at + p->holes[p->n - 1].size == p->end) at = p->holes[--p->n].at;
    p->end = at + size;
    if (p->end > p->peak) p->peak = p->end;
    return at;
}

static void pool_give(pool *p, size_t at, size_t size) {
    int i = p->n;
    while (i > 0 && p->holes[i - 1].at > at) i--;
    memmove(p->holes + i + 1, p->holes + i, (size_t)(p->n - i) * sizeof(hole));
    p->holes[i] = (hole){at, size};
    p->n++;
    if (i + 1 < p->n && p->holes[i].at + p->holes[i].size == p->holes[i + 1].at) {
        p->holes[i].size += p->holes[i + 1].size;
        memmove(p->holes + i + 1, p->holes + i + 2, (size_t)(p->n - i - 2) * sizeof(hole));
        p->n--;
    }
    if (i > 0 && p->holes[i - 1].at + p->holes[i - 1].size == p->holes[i].at) {
        p->holes[i - 1].size += p->holes[i].size;
        memmove(p->holes + i, p->holes + i + 1, (size_t)(p->n - i - 1) * sizeof(hole));
        p->n--;
    }
}

/* While planning, g holds an offset plus one (so that 0 stays "none yet") of a tensor whose gradient the tape owns. */
static bool planned(const rv_tensor *t) { return t->g != NULL; }
static void set_offset(rv_tensor *t, size_t at) { t->g = (rv_real *)(uintptr_t)(at + 1); }
static size_t offset_of(const rv_tensor *t) { return (size_t)(uintptr_t)t->g - 1; }

/* Which outputs and inputs matter, and how often each tensor is consumed. Returns the number of gradients. */
static int mark_live(rv_tape *tape, rv_tensor *root) {
    for (rv_node *n = tape->last; n; n = n->prev) {
        n->live = false;
        for (int i = 0; i < n->nout + n->nin; i++) {
            rv_tensor *t = n->in[i]; /* out follows in */
            if (!t) continue;
            t = root_of(t);
            t->uses = 0;
            if (!t->owns_grad) {
                t->g = NULL;
                t->has_grad = false;
            }
        }
    }
    int count = 1;
    root->uses = 1;
    for (rv_node *n = tape->last; n; n = n->prev) {
        for (int i = 0; i < n->nout; i++)
            if (n->out[i] && n->out[i]->uses) n->live = true;
        if (!n->live) continue;
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] && n->in[i]->needs_grad) root_of(n->in[i])->uses++, count++;
        count += n->nout;
    }
    return count;
}

/* Gradient of input i of node n: its own, or one that already exists. */
static void plan_input(pool *p, rv_node *n, rv_tensor *t, bool *out_taken) {
    if (!t || !t->needs_grad) return;
    t = root_of(t);
    if (t->owns_grad || planned(t)) return;
    unsigned flags = n->op->flags;
    rv_tensor *out = n->out[0];
    if ((flags & RV_OP_PASS_GRAD) && !*out_taken && t->node && out && planned(out) && !out->owns_grad &&
        offset_of(out) != SIZE_MAX - 1 && rv_numel(t) == rv_numel(out)) {
        set_offset(t, offset_of(out));
        *out_taken = true;
        return;
    }
    if ((flags & RV_OP_GRAD_IN_PLACE) && t == (n->in[0] ? root_of(n->in[0]) : NULL) && t->node && t->uses == 1 &&
        !(t->node->op->flags & RV_OP_USES_OUTPUT)) {
        set_offset(t, SIZE_MAX - 1); /* in its own values */
        return;
    }
    set_offset(t, pool_take(p, grad_bytes(t)));
}

/* Without a buffer the offsets must not be taken for pointers. */
static void forget_offsets(rv_tape *tape, rv_tensor *root) {
    if (!root->owns_grad) root->g = NULL;
    for (rv_node *n = tape->last; n; n = n->prev)
        for (int i = 0; i < n->nin + n->nout; i++)
            if (n->in[i] && !root_of(n->in[i])->owns_grad) root_of(n->in[i])->g = NULL;
}

rv_status rv__plan_gradients(rv_tape *tape, rv_tensor *root) {
    int count = mark_live(tape, root);
    rv_arena_mark mark = rv_arena_get_mark(tape->arena);
    pool p = {.holes = rv_arena_alloc(tape->arena, (size_t)(count + 2) * sizeof(hole))};
    if (!p.holes) return RV_ENOMEM;
    if (!root->owns_grad) {
        root->has_grad = false;
        set_offset(root, pool_take(&p, grad_bytes(root)));
    }
    for (rv_node *n = tape->last; n; n = n->prev) {
        if (!n->live) continue;
        bool out_taken = false;
        for (int i = 0; i < n->nin; i++) plan_input(&p, n, n->in[i], &out_taken);
        for (int i = 0; i < n->nout; i++) {
            rv_tensor *o = n->out[i];
            if (!o || o->owns_grad || !planned(o) || offset_of(o) == SIZE_MAX - 1) continue;
            if (i == 0 && out_taken) continue;
            pool_give(&p, offset_of(o), grad_bytes(o));
        }
    }
    rv_arena_rewind(tape->arena, mark);

    if (p.peak > tape->grads_cap) {
        rv_free(tape->grads);
        tape->grads_cap = 0;
        tape->grads = rv_alloc(p.peak);
        if (!tape->grads) {
            forget_offsets(tape, root);
            return RV_ENOMEM;
        }
        tape->grads_cap = p.peak;
    }
    /* Each tensor is the output of one node or a leaf seen as an input; `uses` marks those still to be turned. */
    for (rv_node *n = tape->last; n; n = n->prev) {
        if (!n->live) continue;
        for (int i = 0; i < n->nin + n->nout; i++) {
            rv_tensor *t = n->in[i];
            if (!t || !t->needs_grad) continue;
            t = root_of(t);
            if (t->owns_grad || !planned(t) || t->uses < 0) continue;
            t->uses = -1;
            size_t at = offset_of(t);
            t->g = at == SIZE_MAX - 1 ? t->x : (rv_real *)((char *)tape->grads + at);
        }
    }
    if (!root->owns_grad && root->uses >= 0) root->g = (rv_real *)((char *)tape->grads + offset_of(root));
    return RV_OK;
}

void rv__plan_poison(rv_tape *tape) {
    for (size_t i = 0; i < tape->grads_cap / sizeof(rv_real); i++) tape->grads[i] = (rv_real)NAN;
}

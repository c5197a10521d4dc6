#include "autograd/tape.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/plan.h"
#include "autograd/tape_private.h"

rv_tape *rv_tape_create(void) {
    rv_tape *t = rv_alloc(sizeof *t);
    if (!t) return NULL;
    t->arena = rv_arena_create();
    t->perturb_leaf = -1;
    if (!t->arena) {
        rv_free(t);
        return NULL;
    }
    return t;
}

void rv_tape_destroy(rv_tape *t) {
    if (!t) return;
    rv_arena_destroy(t->arena);
    rv_arena_destroy(t->held_arena);
    rv_free(t->grads);
    rv_free(t);
}

void rv_tape_reset(rv_tape *t) {
#ifndef NDEBUG
    rv__plan_poison(t);
#endif
    rv_arena_reset(t->arena);
    t->last = NULL;
    t->nodes = 0;
    t->status = RV_OK;
    t->calls = 0;
    t->samples = 0;
    t->sample_list = NULL;
    if (t->watch) t->watch->n = 0;
}

void rv_tape_seed(rv_tape *t, uint64_t seed, uint64_t step) {
    t->seed = seed;
    t->step = step;
    t->calls = 0;
}

void rv_tape_set_training(rv_tape *t, bool on) { t->training = on; }
bool rv_tape_training(const rv_tape *t) { return t->training; }

bool rv_tape_no_grad(rv_tape *t, bool on) {
    bool old = t->no_grad;
    t->no_grad = on;
    if (!on) rv__tape_forget(t); /* what is recorded is to change the weights */
    return old;
}

rv_tape_mode rv_tape_infer(rv_tape *t) {
    const rv_tape_mode mode = {rv_tape_no_grad(t, true), t->training};
    t->training = false;
    return mode;
}

void rv_tape_restore(rv_tape *t, rv_tape_mode mode) {
    rv_tape_no_grad(t, mode.no_grad);
    t->training = mode.training;
}

rv_status rv_tape_status(const rv_tape *t) {
    return t->status == RV_OK ? RV_OK : rv_error(t->status, "%s", t->message);
}
size_t rv_tape_step_bytes(const rv_tape *t) { return rv_arena_peak(t->arena); }
size_t rv_tape_grad_bytes(const rv_tape *t) { return t->grads_cap; }
rv_arena_mark rv_tape_mark(rv_tape *t) { return rv_arena_get_mark(t->arena); }
void rv_tape_rewind(rv_tape *t, rv_arena_mark mark) { rv_arena_rewind(t->arena, mark); }

void *rv_tape_fail(rv_tape *t, rv_status code, const char *fmt, ...) {
    if (t->status == RV_OK) {
        t->status = code;
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(t->message, sizeof t->message, fmt, ap);
        va_end(ap);
    }
    return NULL;
}

void *rv_tape_alloc(rv_tape *t, size_t bytes) {
    void *p = rv_arena_alloc(t->arena, bytes);
    return p ? p : rv_tape_fail(t, RV_ENOMEM, "%s", rv_error_message());
}

static rv_tensor *tensor_header(rv_tape *t, int ndim, const int64_t *dim) {
    RV_ASSERT(ndim >= 0 && ndim <= RV_MAX_DIMS);
    rv_tensor *r = rv_tape_alloc(t, sizeof *r);
    if (!r) return NULL;
    *r = (rv_tensor){.ndim = ndim};
    for (int i = 0; i < ndim; i++) r->dim[i] = dim[i];
    return r;
}

rv_tensor *rv_tape_tensor(rv_tape *t, int ndim, const int64_t *dim) {
    if (t->status != RV_OK) return NULL;
    rv_tensor *r = tensor_header(t, ndim, dim);
    if (!r) return NULL;
    size_t bytes = sizeof(rv_real);
    for (int i = 0; i < ndim; i++) {
        RV_ASSERT(dim[i] >= 0);
        bytes = rv_size_mul(bytes, (size_t)dim[i]);
    }
    r->x = rv_tape_alloc(t, bytes);
    return r->x ? r : NULL;
}

rv_tensor *rv_tape_view(rv_tape *t, rv_tensor *src, int ndim, const int64_t *dim) {
    if (!src) return NULL;
    rv_tensor *r = tensor_header(t, ndim, dim);
    if (!r) return NULL;
    RV_ASSERT(rv_numel(r) == rv_numel(src));
    r->x = src->x;
    r->needs_grad = src->needs_grad;
    r->base = src->base ? src->base : src;
    return r;
}

rv_watch *rv_tape_watch(rv_tape *t, rv_watch *watch) {
    rv_watch *old = t->watch;
    t->watch = watch;
    return old;
}

rv_watched *rv_tape_watch_add(rv_tape *t, const rv_watched *what, const char *name_fmt, va_list name) {
    if (!t->watch || t->no_grad || t->status != RV_OK) return NULL;
    if (t->watch->n == RV_WATCH_MAX)
        return rv_tape_fail(t, RV_EUSAGE, "the model has more than %d states to watch", RV_WATCH_MAX);
    rv_watched *w = &t->watch->seen[t->watch->n];
    *w = *what;
    vsnprintf(w->name, sizeof w->name, name_fmt, name);
    size_t bytes = (size_t)(w->T * w->B * w->size) * sizeof *w->g;
    if (!(w->g = rv_tape_alloc(t, bytes))) return NULL;
    memset(w->g, 0, bytes);
    t->watch->n++;
    return w;
}

rv_tensor *rv_leaf(rv_tape *t, bool needs_grad, int ndim, const int64_t *dim) {
    rv_tensor *r = rv_tape_tensor(t, ndim, dim);
    if (r) r->needs_grad = needs_grad;
    return r;
}

rv_tensor *rv_constant(rv_tape *t, int ndim, const int64_t *dim, const rv_real *x) {
    rv_tensor *r = rv_leaf(t, false, ndim, dim);
    if (r) memcpy(r->x, x, (size_t)rv_numel(r) * sizeof *x);
    return r;
}

bool rv_tape_records(const rv_tape *t, int nin, rv_tensor *const *in) {
    if (t->no_grad || t->status != RV_OK) return false;
    for (int i = 0; i < nin; i++)
        if (in[i] && in[i]->needs_grad) return true;
    return false;
}

rv_node *rv_tape_record(rv_tape *t, const rv_op *op, int nin, rv_tensor *const *in, int nout, rv_tensor *const *out,
                        size_t ctx_bytes) {
    if (!rv_tape_records(t, nin, in)) return NULL;
    size_t pointers = (size_t)(nin + nout) * sizeof(rv_tensor *), head = (sizeof(rv_node) + pointers + 63) / 64 * 64;
    char *mem = rv_tape_alloc(t, head + ctx_bytes);
    if (!mem) return NULL;
    memset(mem, 0, head + ctx_bytes);
    rv_node *n = (rv_node *)mem;
    *n = (rv_node){.op = op, .prev = t->last, .nin = nin, .nout = nout};
    n->in = (rv_tensor **)(mem + sizeof *n);
    n->out = n->in + nin;
    n->ctx = mem + head;
    for (int i = 0; i < nin; i++) n->in[i] = in[i];
    for (int i = 0; i < nout; i++) {
        n->out[i] = out[i];
        if (!out[i]) continue;
        out[i]->node = n;
        out[i]->needs_grad = true;
    }
    t->last = n;
    t->nodes++;
    return n;
}

rv_real *rv_grad(rv_tensor *t, bool *acc) {
    if (!t || !t->needs_grad) return NULL;
    rv_tensor *root = t->base ? t->base : t;
    *acc = root->has_grad;
    root->has_grad = true;
    return root->g;
}

const rv_real *rv_out_grad(const rv_node *n, int i) {
    const rv_tensor *o = n->out[i];
    return o && o->has_grad ? o->g : NULL;
}

rv_rng rv_tape_rng(rv_tape *t) {
    /* The call number is part of the key, so that two dropouts of one step differ. */
    rv_rng_key key = rv_rng_make_key(t->seed, rv_rng_stream("tape") + t->calls++);
    return (rv_rng){.key = key, .step = t->step};
}

typedef struct muted {
    rv_tensor *t;
    struct muted *next;
} muted;

static void unmute(const muted *m) {
    for (; m; m = m->next) m->t->needs_grad = true;
}

/* Let the recorded nodes' parameters need no gradient for a while: their list, empty if there is no memory (sticky). */
static muted *mute_parameters(rv_tape *t) {
    muted *all = NULL;
    for (rv_node *n = t->last; n; n = n->prev)
        for (int i = 0; i < n->nin; i++) {
            rv_tensor *p = n->in[i];
            if (!p || !p->owns_grad || !p->needs_grad) continue;
            muted *m = rv_tape_alloc(t, sizeof *m);
            if (!m) {
                unmute(all);
                return NULL;
            }
            *m = (muted){p, all};
            p->needs_grad = false;
            all = m;
        }
    return all;
}

/* False for a node that nothing but muted parameters went into: there is nobody to work for. */
static bool has_receiver(const rv_node *n) {
    if (n->watched) return true;
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && n->in[i]->needs_grad) return true;
    return false;
}

static rv_status backward_from(rv_tape *t, rv_tensor *y, const rv_real *dy) {
    if (!y) return rv_error(RV_EINTERNAL, "backward from a tensor that does not exist");
    rv_tensor *root = y->base ? y->base : y;
    if (!root->needs_grad) return RV_OK; /* depends on nothing that can learn */
    RV_TRY(rv__plan_gradients(t, root));
    size_t bytes = (size_t)rv_numel(root) * sizeof *dy;
    if (root->has_grad && root->owns_grad) {
        for (int64_t i = 0, n = rv_numel(root); i < n; i++) root->g[i] += dy[i];
    } else {
        memcpy(root->g, dy, bytes);
    }
    root->has_grad = true;
    for (rv_node *n = t->last; n; n = n->prev) {
        bool reached = false; /* by a gradient: a consumer may have had none to pass on */
        for (int i = 0; i < n->nout; i++) reached |= n->out[i] && n->out[i]->has_grad;
        if (n->live && reached && (!t->watch || has_receiver(n))) n->op->backward(t, n);
    }
    return rv_tape_status(t);
}

rv_status rv_backward_from(rv_tape *t, rv_tensor *y, const rv_real *dy) {
    RV_TRY(rv_tape_status(t));
    muted *parameters = t->watch ? mute_parameters(t) : NULL;
    rv_status status = rv_tape_status(t) == RV_OK ? backward_from(t, y, dy) : rv_tape_status(t);
    unmute(parameters);
    return status;
}

rv_status rv_backward(rv_tape *t, rv_tensor *loss) {
    RV_TRY(rv_tape_status(t));
    if (loss && rv_numel(loss) != 1) {
        char s[RV_SHAPE_TEXT];
        return rv_error(RV_ESHAPE, "backward needs a scalar loss, not one of shape %s",
                        rv_shape_text(loss, s, sizeof s));
    }
    rv_real one = 1;
    return rv_backward_from(t, loss, &one);
}

rv_tensor *rv_sample_leaf(rv_tape *t, double lo, double hi, int ndim, const int64_t *dim) {
    rv_tensor *r = rv_leaf(t, true, ndim, dim);
    if (!r) return NULL;
    sample_link *link = rv_tape_alloc(t, sizeof *link);
    if (!link) return NULL;
    *link = (sample_link){r, t->sample_list};
    t->sample_list = link;
    int me = t->samples++;
    if (t->sample_keep) return r;
    rv_rng rng = rv_rng_make(1, "sample", (uint64_t)me);
    for (int64_t i = 0, n = rv_numel(r); i < n; i++) r->x[i] = (rv_real)(lo + (hi - lo) * rv_rng_uniform(&rng));
    if (me == t->perturb_leaf) r->x[t->perturb_elem] += (rv_real)t->perturb_eps;
    return r;
}

void rv_sample_perturb(rv_tape *t, int leaf, int64_t elem, double eps) {
    t->perturb_leaf = leaf;
    t->perturb_elem = elem;
    t->perturb_eps = eps;
}

void rv_sample_keep(rv_tape *t, bool on) { t->sample_keep = on; }

int rv_sample_count(const rv_tape *t) { return t->samples; }

rv_tensor *rv_sample_get(const rv_tape *t, int i) {
    sample_link *l = t->sample_list;
    for (int k = t->samples - 1; l && k > i; k--) l = l->next;
    return l ? l->t : NULL;
}

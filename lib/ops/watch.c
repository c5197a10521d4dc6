/* Gradients inside the graph, for somebody watching the tape. */
#include <stdarg.h>
#include <string.h>

#include "ops/ops_private.h"
#include "ops/recurrent_private.h"

rv_tensor *rv_watch_states(rv_tape *tape, rv_tensor *x, const char *kind, bool time_major, const char *name_fmt, ...) {
    if (!x || !rv_tape_records(tape, 1, &x)) return x;
    RV_ASSERT(x->ndim == 2 || x->ndim == 3);
    int64_t first = x->dim[0], second = x->ndim == 3 ? x->dim[1] : 1, D = rv_dim(x, -1);
    rv_watched what = {.kind = kind, .T = second, .B = first, .size = D, .step = D, .row = second * D};
    if (time_major && x->ndim == 3)
        what = (rv_watched){.kind = kind, .T = first, .B = second, .size = D, .step = second * D, .row = D};
    va_list name;
    va_start(name, name_fmt);
    rv_watched *w = rv_tape_watch_add(tape, &what, name_fmt, name);
    va_end(name);
    if (!w) return x;
    rv_tensor *y = rv__like(tape, x);
    if (!y) return NULL;
    memcpy(y->x, x->x, (size_t)rv_numel(x) * sizeof *x->x);
    rv_node *node = rv_tape_record(tape, &rv__op_watch, 1, &x, 1, &y, sizeof w->g);
    if (node) *(rv_real **)node->ctx = w->g;
    return y;
}

static void watch_backward(rv_tape *tape, rv_node *node) {
    const rv_real *dy = rv_out_grad(node, 0);
    memcpy(*(rv_real **)node->ctx, dy, (size_t)rv_numel(node->out[0]) * sizeof *dy);
    rv__give(node->in[0], dy);
}

static rv_tensor *watch_sample(rv_tape *tape, int k) {
    if (k > 3) return NULL;
    rv_watch watch, *old = rv_tape_watch(tape, &watch);
    watch.n = 0;
    const int64_t m = k == 3 ? 10 : 1, dim[] = {3 * m, 4 * m, 5 * m}; /* enough that threads share out the product */
    rv_tensor *x = rv_sample_leaf(tape, -1, 1, k ? 3 : 2, dim);
    rv_tensor *y = rv_watch_states(tape, x, "stream", k == 2, "sample");
    rv_tape_watch(tape, old);
    return rv_mul(tape, y, x);
}

const rv_op rv__op_watch = {.name = "watch", .backward = watch_backward, .sample = watch_sample, .smooth = true};

/* ---- recurrent layers: their backward holds these gradients for one step, and leaves them where it is told */

static rv_real *watch_layer(rv_tape *tape, const rv__seq *q, const char *kind, const char *name_fmt, va_list name) {
    const rv_watched what = {
        .kind = kind, .reverse = q->reverse, .T = q->T, .B = q->B, .size = q->H, .step = q->B * q->H, .row = q->H};
    rv_watched *w = rv_tape_watch_add(tape, &what, name_fmt, name);
    if (w) strncat(w->name, *kind == 'c' ? ".c" : ".h", sizeof w->name - strlen(w->name) - 1);
    return w ? w->g : NULL;
}

void rv_recurrent_watch(rv_tape *tape, rv_tensor *y, const char *name_fmt, ...) {
    if (!y || !y->node) return;
    RV_ASSERT(y->node->op == &rv__op_recurrent);
    rv__seq *q = y->node->ctx;
    va_list name, again;
    va_start(name, name_fmt);
    va_copy(again, name);
    y->node->watched = true;
    q->dh_seen = watch_layer(tape, q, "hidden", name_fmt, name);
    if (q->c && q->dh_seen) q->dc_seen = watch_layer(tape, q, "cell", name_fmt, again);
    va_end(again);
    va_end(name);
}

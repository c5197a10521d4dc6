/* Weights packed once for the many small products of decoding. */
#include "autograd/tape_private.h"
#include "kernels/gemm.h"

void rv__tape_forget(rv_tape *t) {
    if (t->last_held) rv_arena_reset(t->held_arena); /* keeps its memory for the next time */
    t->last_held = NULL;
}

bool rv_tape_hold_weights(rv_tape *t, bool on) {
    bool old = t->hold;
    t->hold = on;
    if (!on) rv__tape_forget(t);
    return old;
}

size_t rv_tape_packed_bytes(const rv_tensor *w, int64_t k, int64_t parts) {
    return (rv_gemm_packed_bytes(w->dim[0] / parts, k) + RV_ALIGN - 1) / RV_ALIGN * RV_ALIGN;
}

static held *make(rv_tape *t, const rv_tensor *w, const rv_real *x, int64_t k, int64_t parts) {
    if (!t->held_arena && !(t->held_arena = rv_arena_create())) return NULL;
    int64_t n = w->dim[0] / parts, ld = w->dim[1];
    size_t bytes = rv_tape_packed_bytes(w, k, parts);
    held *h = rv_arena_alloc(t->held_arena, sizeof *h);
    char *packed = rv_arena_alloc(t->held_arena, (size_t)parts * bytes);
    if (!h || !packed) return NULL;
    for (int64_t i = 0; i < parts; i++) rv_gemm_pack_b(true, n, k, x + i * n * ld, ld, packed + (size_t)i * bytes);
    *h = (held){.x = x, .k = k, .parts = parts, .packed = packed, .next = h};
    return h;
}

/* Steps ask for the same in the same order: the search begins behind the one found last. */
const void *rv_tape_packed(rv_tape *t, const rv_tensor *w, int64_t column, int64_t k, int64_t parts) {
    if (!t->hold || !t->no_grad || !(w->base ? w->base : w)->owns_grad) return NULL;
    const rv_real *x = w->x + column;
    held *last = t->last_held;
    if (last) {
        held *h = last->next;
        while (h != last && !(h->x == x && h->k == k && h->parts == parts)) h = h->next;
        if (h->x == x && h->k == k && h->parts == parts) return (t->last_held = h)->packed;
    }
    held *h = make(t, w, x, k, parts);
    if (!h) return NULL;
    if (last) h->next = last->next, last->next = h;
    t->last_held = h;
    return h->packed;
}

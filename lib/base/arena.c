#define _GNU_SOURCE
#include "base/arena.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks form a stack; `used` counts from the start of the data, which follows the header at RV_ALIGN. */
typedef struct block {
    struct block *below;
    size_t cap, used;
    size_t under; /* bytes used in all blocks below */
} block;

struct rv_arena {
    block *top;
    size_t peak;
    size_t grown; /* capacity that one block needs so that the next step does not grow */
};

enum { HEADER = RV_ALIGN, MIN_BLOCK = 1 << 16, HUGE_PAGE = 2 << 20 };
_Static_assert(sizeof(block) <= HEADER, "block header fits its slot");

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

size_t rv_size_mul(size_t count, size_t size) {
    size_t r;
    return __builtin_mul_overflow(count, size, &r) ? SIZE_MAX : r;
}

static void *allocate(size_t bytes) {
    if (bytes > SIZE_MAX / 2) {
        rv_error(RV_ENOMEM, "out of memory: %zu bytes were asked for", bytes);
        return NULL;
    }
    bool huge = bytes >= 4 * (size_t)HUGE_PAGE;
    size_t align = huge ? HUGE_PAGE : RV_ALIGN, size = round_up(bytes ? bytes : 1, align);
    void *p = aligned_alloc(align, size);
    if (!p) {
        rv_error(RV_ENOMEM,
                 "out of memory: %zu MiB were asked for; reduce the batch size, the sequence length or the model",
                 size >> 20);
        return NULL;
    }
    if (huge) madvise(p, size, MADV_HUGEPAGE); /* advice only: failure costs nothing but TLB misses */
    return p;
}

void *rv_alloc(size_t bytes) {
    void *p = allocate(bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void rv_free(void *p) { free(p); }

rv_arena *rv_arena_create(void) { return rv_alloc(sizeof(rv_arena)); }

static void drop_blocks(rv_arena *a) {
    while (a->top) {
        block *b = a->top;
        a->top = b->below;
        rv_free(b);
    }
}

void rv_arena_destroy(rv_arena *a) {
    if (!a) return;
    drop_blocks(a);
    rv_free(a);
}

static block *push_block(rv_arena *a, size_t cap) {
    block *b = allocate(HEADER + cap); /* not cleared: pages that a block leaves unused cost nothing */
    if (!b) return NULL;
    *b = (block){.below = a->top, .cap = cap, .under = rv_arena_used(a)};
    a->top = b;
    return b;
}

void *rv_arena_alloc(rv_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX / 4) {
        rv_error(RV_ENOMEM, "out of memory: a tensor of %zu bytes was asked for", bytes);
        return NULL;
    }
    bytes = round_up(bytes ? bytes : 1, RV_ALIGN);
    if (!a->top || a->top->cap - a->top->used < bytes) {
        size_t cap = a->grown > MIN_BLOCK ? a->grown : MIN_BLOCK;
        if (a->top)
            cap = rv_arena_used(a) > cap ? rv_arena_used(a) : cap; /* doubling: few blocks, few tails of huge pages */
        if (!push_block(a, cap > bytes ? cap : bytes)) return NULL;
    }
    void *p = (char *)a->top + HEADER + a->top->used;
    a->top->used += bytes;
    size_t used = rv_arena_used(a);
    if (used > a->peak) a->peak = used;
    return p;
}

rv_arena_mark rv_arena_get_mark(const rv_arena *a) { return (rv_arena_mark){a->top, a->top ? a->top->used : 0}; }

void rv_arena_rewind(rv_arena *a, rv_arena_mark mark) {
    if (a->top && a->top != mark.block && a->peak > a->grown) a->grown = a->peak;
    /* The first block stays even when the mark was taken before it existed: a rewind must not make the next
     * allocation a heap allocation. */
    while (a->top && a->top != mark.block && (a->top->below || mark.block)) {
        block *b = a->top;
        a->top = b->below;
        rv_free(b);
    }
    if (a->top) a->top->used = a->top == mark.block ? mark.used : 0;
}

void rv_arena_reset(rv_arena *a) {
    /* Growth that a rewind already gave back counts too: it would grow again in every step. */
    if (a->top && (a->top->below || a->grown > a->top->cap)) {
        a->grown = a->peak;
        drop_blocks(a);
#ifdef __GLIBC__
        malloc_trim(0); /* or the heap keeps the small blocks' pages beside the one large block */
#endif
        push_block(a, round_up(a->grown + a->grown / 16, RV_ALIGN)); /* failure is found by the next allocation */
    }
#ifndef NDEBUG
    if (a->top) memset((char *)a->top + HEADER, 0xff, a->top->used); /* NaN: the use of a dead tensor shows */
#endif
    if (a->top) a->top->used = 0;
}

size_t rv_arena_used(const rv_arena *a) { return a->top ? a->top->under + a->top->used : 0; }
size_t rv_arena_peak(const rv_arena *a) { return a->peak; }

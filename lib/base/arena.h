/** Arenas: memory with the lifetime of a step. Allocation is a bump; reset is O(1).
 *
 *  An arena that had to grow holds several blocks; the next reset coalesces them into one, so that from the
 *  second step on a step of the same shape makes no heap allocation. */
#ifndef RV_BASE_ARENA_H
#define RV_BASE_ARENA_H

#include "base/status.h"

typedef struct rv_arena rv_arena;
/** A position to which rv_arena_rewind can return. */
typedef struct {
    void *block;
    size_t used;
} rv_arena_mark;

enum { RV_ALIGN = 64 }; /**< bytes; a cache line and the widest vector */

/** Allocate zero-filled, RV_ALIGN-aligned heap memory (huge pages advised when large). NULL and an error record
 *  when there is none. All of ravel's large buffers come from here. Free with rv_free. */
RV_API void *rv_alloc(size_t bytes);
RV_API void rv_free(void *p);
/** count * size, or SIZE_MAX on overflow (which no allocator grants). */
RV_API size_t rv_size_mul(size_t count, size_t size);

/** A new, empty arena, or NULL (RV_ENOMEM). Nothing is reserved until the first allocation. */
RV_API rv_arena *rv_arena_create(void);
RV_API void rv_arena_destroy(rv_arena *a);
/** `bytes` of uninitialised memory aligned to RV_ALIGN, or NULL (RV_ENOMEM). Lives until reset or rewind. */
RV_API void *rv_arena_alloc(rv_arena *a, size_t bytes);
RV_API rv_arena_mark rv_arena_get_mark(const rv_arena *a);
/** Give back everything allocated since `mark`. */
RV_API void rv_arena_rewind(rv_arena *a, rv_arena_mark mark);
/** Give back everything. Coalesces to one block after growth. */
RV_API void rv_arena_reset(rv_arena *a);
/** Bytes in use now, and the most ever in use. */
RV_API size_t rv_arena_used(const rv_arena *a);
RV_API size_t rv_arena_peak(const rv_arena *a);

#endif

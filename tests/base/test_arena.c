/* Arenas: where memory lies, when the heap is asked for it, what a rewind and a reset give back, and what happens
 * when there is none. Linked with --wrap=aligned_alloc. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

static int asked; /* how often the heap was asked for memory */
static bool heap_is_full;

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size) {
    asked++;
    return heap_is_full ? NULL : __real_aligned_alloc(align, size);
}

static rv_arena *arena;
static void create(void) { cr_assert((arena = rv_arena_create()) != NULL); }
static void destroy(void) { rv_arena_destroy(arena); }
TestSuite(arena, .init = create, .fini = destroy);

static bool aligned(const void *p) { return (uintptr_t)p % RV_ALIGN == 0; }
static bool all(const unsigned char *p, size_t n, unsigned char value) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != value) return false;
    return true;
}

/* An allocation that the arena must grant, filled so that it is really there. */
static unsigned char *take(size_t bytes) {
    unsigned char *p = rv_arena_alloc(arena, bytes);
    cr_assert(p, "%s", rv_error_message());
    cr_assert(aligned(p));
    memset(p, 0x5a, bytes);
    return p;
}

/* ---- the heap */

Test(heap, is_zeroed_and_aligned) {
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 100001, (size_t)9 << 20}; /* the last in huge pages */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *dirty = rv_alloc(sizes[i]);
        memset(dirty, 0xff, sizes[i]);
        rv_free(dirty);
        unsigned char *p = rv_alloc(sizes[i]);
        cr_assert(p && aligned(p), "%zu bytes", sizes[i]);
        cr_expect(all(p, sizes[i], 0), "%zu bytes", sizes[i]);
        rv_free(p);
    }
}

Test(heap, says_so_when_there_is_none) {
    heap_is_full = true;
    cr_expect_null(rv_alloc(100));
    cr_expect(strstr(rv_error_message(), "out of memory"), "%s", rv_error_message());
}

Test(heap, sizes_do_not_wrap_around) {
    cr_expect_eq(rv_size_mul(3, 5), 15);
    cr_expect_eq(rv_size_mul(0, SIZE_MAX), 0);
    cr_expect_eq(rv_size_mul(SIZE_MAX, 1), SIZE_MAX);
    cr_expect_eq(rv_size_mul(SIZE_MAX / 2 + 1, 2), SIZE_MAX);
    cr_expect_eq(rv_size_mul((size_t)1 << 33, (size_t)1 << 33), SIZE_MAX);
    cr_expect_null(rv_alloc(rv_size_mul(SIZE_MAX, SIZE_MAX)));
    cr_expect(strstr(rv_error_message(), "out of memory"), "%s", rv_error_message());
}

/* ---- arenas */

Test(arena, reserves_nothing_until_it_is_used) {
    const int before = asked;
    rv_arena *a = rv_arena_create();
    cr_assert_eq(asked - before, 1); /* for itself */
    cr_expect_eq(rv_arena_used(a), 0);
    cr_expect_eq(rv_arena_peak(a), 0);
    rv_arena_reset(a);
    cr_expect_eq(asked - before, 1);
    cr_assert(rv_arena_alloc(a, 1));
    cr_expect_eq(asked - before, 2);
    rv_arena_destroy(a);
}

Test(arena, pieces_are_aligned_and_apart) {
    enum { PIECES = 300 };
    unsigned char *p[PIECES];
    size_t size[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        size[i] = i * i * 7 % 5000;
        p[i] = take(size[i]);
        memset(p[i], (int)i, size[i]);
    }
    for (size_t i = 0; i < PIECES; i++)
        cr_assert(all(p[i], size[i], (unsigned char)i), "piece %zu was written over", i);
}

Test(arena, counts_what_is_in_use) {
    take(1000);
    const size_t once = rv_arena_used(arena);
    cr_expect(once >= 1000 && once < 1000 + RV_ALIGN);
    take(1);
    cr_expect_gt(rv_arena_used(arena), once);
    take((size_t)1 << 20);
    const size_t most = rv_arena_used(arena);
    cr_expect(most >= ((size_t)1 << 20) + 1001);
    cr_expect_eq(rv_arena_peak(arena), most);
    rv_arena_reset(arena);
    cr_expect_eq(rv_arena_used(arena), 0);
    take(1);
    cr_expect_eq(rv_arena_peak(arena), most, "the peak is the most ever");
}

/* A step: some memory that stays and, between mark and rewind, some that does not. */
static void step(size_t kept, size_t scratch) {
    for (int i = 0; i < 5; i++) {
        take(kept);
        const rv_arena_mark mark = rv_arena_get_mark(arena);
        const size_t used = rv_arena_used(arena);
        for (int j = 0; j < 3; j++) take(scratch);
        rv_arena_rewind(arena, mark);
        cr_assert_eq(rv_arena_used(arena), used);
    }
}

/* From the second on, steps of the same shape ask the heap for nothing. */
Test(arena, a_repeated_step_takes_nothing_from_the_heap) {
    static const size_t sizes[][2] = {{100, 0}, {70000, 0}, {300000, 200000}, {10, 900000}, {3000000, 70000}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        step(sizes[i][0], sizes[i][1]);
        rv_arena_reset(arena);
        const int before = asked;
        for (int again = 0; again < 3; again++) {
            step(sizes[i][0], sizes[i][1]);
            rv_arena_reset(arena);
        }
        cr_expect_eq(asked, before, "sizes %zu and %zu: %d more", sizes[i][0], sizes[i][1], asked - before);
    }
}

/* After growth one block is left: the same step lies in it side by side. */
Test(arena, a_reset_makes_one_block_of_many) {
    enum { PIECES = 40, SIZE = 50000 };
    for (int i = 0; i < PIECES; i++) take(SIZE);
    rv_arena_reset(arena);
    const unsigned char *before = take(SIZE);
    for (int i = 1; i < PIECES; i++) {
        const unsigned char *p = take(SIZE);
        cr_assert(p - before >= SIZE && p - before < SIZE + RV_ALIGN, "piece %d lies elsewhere", i);
        before = p;
    }
}

Test(arena, a_rewind_gives_back_what_came_since) {
    static const size_t sizes[] = {64, 5000, 500000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *kept = take(100);
        const rv_arena_mark mark = rv_arena_get_mark(arena);
        const unsigned char *first = take(64);
        for (int j = 0; j < 10; j++) take(sizes[i]);
        rv_arena_rewind(arena, mark);
        cr_expect_eq(take(64), first, "size %zu", sizes[i]);
        cr_expect(all(kept, 100, 0x5a), "what came before the mark stays");
    }
}

Test(arena, marks_nest) {
    rv_arena_mark mark[6];
    size_t used[6];
    for (int i = 0; i < 6; i++) {
        mark[i] = rv_arena_get_mark(arena);
        used[i] = rv_arena_used(arena);
        take((size_t)40000 << i);
    }
    for (int i = 5; i >= 0; i -= 2) { /* and some are skipped */
        rv_arena_rewind(arena, mark[i]);
        cr_expect_eq(rv_arena_used(arena), used[i], "mark %d", i);
    }
    rv_arena_rewind(arena, mark[0]);
    cr_expect_eq(rv_arena_used(arena), 0, "a mark from before the first block");
}

Test(arena, destroying_none_is_allowed) { rv_arena_destroy(NULL); }

/* ---- without memory */

Test(arena, says_so_when_there_is_no_memory) {
    unsigned char *kept = take(100);
    const size_t used = rv_arena_used(arena);
    heap_is_full = true;
    cr_expect_null(rv_arena_alloc(arena, (size_t)1 << 20));
    cr_expect(strstr(rv_error_message(), "out of memory"), "%s", rv_error_message());
    cr_expect_eq(rv_arena_used(arena), used);
    cr_expect(rv_arena_alloc(arena, 100), "what the block still holds is there");
    heap_is_full = false;
    take((size_t)1 << 20);
    cr_expect(all(kept, 100, 0x5a));
}

Test(arena, no_heap_grants_this) {
    cr_expect_null(rv_arena_alloc(arena, SIZE_MAX));
    cr_expect_null(rv_arena_alloc(arena, SIZE_MAX / 2));
    cr_expect(strstr(rv_error_message(), "out of memory"), "%s", rv_error_message());
    cr_expect_eq(rv_arena_used(arena), 0);
}

Test(arena, none_without_memory) {
    heap_is_full = true;
    cr_expect_null(rv_arena_create());
    cr_expect(strstr(rv_error_message(), "out of memory"), "%s", rv_error_message());
}

/* A reset that cannot have its one block leaves an arena that works again when there is memory. */
Test(arena, a_reset_without_memory) {
    for (int i = 0; i < 10; i++) take(50000);
    heap_is_full = true;
    rv_arena_reset(arena);
    cr_expect_eq(rv_arena_used(arena), 0);
    cr_expect_null(rv_arena_alloc(arena, 1000));
    rv_arena_reset(arena);
    heap_is_full = false;
    for (int i = 0; i < 10; i++) take(50000);
    rv_arena_reset(arena);
    const int before = asked;
    for (int i = 0; i < 10; i++) take(50000);
    cr_expect_eq(asked, before);
}

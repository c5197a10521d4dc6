/* Counting what a step asks of the heap: the command's own malloc and its kin stand before the C library's. */
#ifndef RV_BENCH_HEAP_H
#define RV_BENCH_HEAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    bool counted;   /* false in a build with a sanitizer, which has a malloc of its own */
    int64_t calls;  /* malloc, calloc, realloc, aligned_alloc, memalign, posix_memalign, by all threads */
    int64_t bytes;  /* they asked for */
    int64_t openmp; /* of further calls, by libgomp: it makes a team anew when the number of threads changes */
} rv_heap_use;

void rv__heap_begin(void);
/* What was asked for since rv__heap_begin. */
rv_heap_use rv__heap_end(void);

#endif

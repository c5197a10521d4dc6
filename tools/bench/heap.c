#define _GNU_SOURCE
#include "heap.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void rv__heap_begin(void) {}
rv_heap_use rv__heap_end(void) { return (rv_heap_use){.counted = false}; }
#else
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static bool counting;
static rv_heap_use use;
static uintptr_t openmp_begin, openmp_end; /* where libgomp's code lies */

static int find_openmp(struct dl_phdr_info *info, size_t size, void *ctx) {
    (void)size, (void)ctx;
    if (!strstr(info->dlpi_name, "libgomp")) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD || !(info->dlpi_phdr[i].p_flags & PF_X)) continue;
        openmp_begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        openmp_end = openmp_begin + info->dlpi_phdr[i].p_memsz;
    }
    return 1;
}

static void count(size_t bytes, const void *caller) {
    if (!__atomic_load_n(&counting, __ATOMIC_RELAXED)) return;
    if ((uintptr_t)caller >= openmp_begin && (uintptr_t)caller < openmp_end) {
        __atomic_add_fetch(&use.openmp, 1, __ATOMIC_RELAXED);
        return;
    }
    __atomic_add_fetch(&use.calls, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&use.bytes, (int64_t)bytes, __ATOMIC_RELAXED);
}
#define COUNT(bytes) count(bytes, __builtin_return_address(0))
void *malloc(size_t n) { return COUNT(n), __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return COUNT(n * m), __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return COUNT(n), __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return COUNT(n), __libc_memalign(a, n); }
void *memalign(size_t a, size_t n) { return COUNT(n), __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) {
    COUNT(n);
    if (a % sizeof(void *) || !a || a & (a - 1)) return EINVAL;
    void *got = __libc_memalign(a, n);
    if (!got) return ENOMEM;
    *p = got;
    return 0;
}

void rv__heap_begin(void) {
    if (!openmp_end) dl_iterate_phdr(find_openmp, NULL);
    use = (rv_heap_use){.counted = true};
    __atomic_store_n(&counting, true, __ATOMIC_SEQ_CST);
}

rv_heap_use rv__heap_end(void) {
    __atomic_store_n(&counting, false, __ATOMIC_SEQ_CST);
    return use;
}
#endif

/* Included by the sources that are compiled once per instruction set, with -DRV_ISA=avx512|avx2|base and the
 * matching compiler flags. Vectors are GCC vector extensions, so one source serves all. */
#ifndef RV_KERNELS_ISA_H
#define RV_KERNELS_ISA_H

#include "kernels/kernels.h"

#ifndef RV_ISA
#error "compile this file through lib/kernels/meson.build, once per instruction set"
#endif

#define RV_CAT_(a, b, c) a##b##c
#define RV_CAT(a, b, c) RV_CAT_(a, b, c)
/* rv__avx512_vexp and so on */
#define RV_KERNEL_FN(name) RV_CAT(rv__, RV_ISA, _##name)

#define RV_KERNEL(ret, name, args) ret RV_KERNEL_FN(name) args;
#include "kernels/kernels.def"
#undef RV_KERNEL

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#if defined(__AVX512F__)
#define RV_VBYTES 64
#define RV_TILE_ROWS 14 /* 28 of 32 registers accumulate */
#elif defined(__AVX__)
#define RV_VBYTES 32
#define RV_TILE_ROWS 6 /* 12 of 16 */
#else
#define RV_VBYTES 16
#define RV_TILE_ROWS 4
#endif
enum { RV_LANES = RV_VBYTES / sizeof(rv_real) };

typedef rv_real vec __attribute__((vector_size(RV_VBYTES)));
#ifdef RV_DOUBLE
typedef int64_t vec_i __attribute__((vector_size(RV_VBYTES)));
#else
typedef int32_t vec_i __attribute__((vector_size(RV_VBYTES)));
#endif
typedef rv_real vec_u __attribute__((vector_size(RV_VBYTES), aligned(sizeof(rv_real)), may_alias));

static inline vec vec_load(const rv_real *p) { return *(const vec_u *)p; }
static inline void vec_store(rv_real *p, vec v) { *(vec_u *)p = v; }
static inline vec vec_set(rv_real s) { return s - (vec){0}; }

/* a v + c: never one FMA on x86, always one on aarch64. Compilers would fuse where the two are in one basic block, and
 * so, where c is loaded in one of several ways, copies of an inline function differently; they must have the same bits.
 */
static inline vec vec_scale_add(rv_real a, vec v, vec c) {
#if defined(__x86_64__)
    v *= a;
    __asm__("" : "+v"(v)); /* may have changed it, for all that the compiler knows */
    return v + c;
#elif defined(__aarch64__) && !defined(RV_DOUBLE)
    return (vec)vfmaq_n_f32((float32x4_t)c, (float32x4_t)v, a);
#elif defined(__aarch64__)
    return (vec)vfmaq_n_f64((float64x2_t)c, (float64x2_t)v, a);
#else
    return a * v + c;
#endif
}

/* For the loop that follows: unroll it whole, n being at least the number of its rounds (clang takes no n here: 'unroll
 * n' comes too late for it to keep arrays in registers); or vectorise it, since no round reads what another writes. */
#ifdef __clang__
#define RV_UNROLL(n) RV_PRAGMA(clang loop unroll(full))
#define RV_IVDEP RV_PRAGMA(clang loop vectorize(assume_safety))
#else
#define RV_UNROLL(n) RV_PRAGMA(GCC unroll n)
#define RV_IVDEP RV_PRAGMA(GCC ivdep)
#endif

/* The vector is computed here and what is loaded below is loaded later. Of the rounds of an unrolled loop clang's
 * scheduler would begin all before it ends one, and run out of registers. */
#if defined(__clang__) && defined(__x86_64__)
#define RV_NOW(vector) __asm__ volatile("" : "+v"(vector)::"memory")
#else
#define RV_NOW(vector) ((void)0)
#endif

/* The first n lanes (0 <= n <= RV_LANES) of memory, the rest being `pad`; nothing else is touched. A tail that goes
 * through these and the same arithmetic as full vectors has the same bits. */
static inline vec vec_load_pad(const rv_real *p, int64_t n, rv_real pad);
static inline vec vec_load_n(const rv_real *p, int64_t n) { return vec_load_pad(p, n, 0); }
static inline void vec_store_n(rv_real *p, int64_t n, vec v);

#if RV_VBYTES == 64 && !defined(RV_DOUBLE)
static inline __mmask16 vec_mask_n(int64_t n) { return (__mmask16)((1u << n) - 1); }
static inline vec vec_load_pad(const rv_real *p, int64_t n, rv_real pad) {
    return (vec)_mm512_mask_loadu_ps((__m512)vec_set(pad), vec_mask_n(n), p);
}
static inline void vec_store_n(rv_real *p, int64_t n, vec v) { _mm512_mask_storeu_ps(p, vec_mask_n(n), (__m512)v); }
#elif RV_VBYTES == 32 && !defined(RV_DOUBLE)
static inline __m256i vec_mask_n(int64_t n) { return (__m256i)((vec_i){0, 1, 2, 3, 4, 5, 6, 7} < (int)n); }
static inline vec vec_load_pad(const rv_real *p, int64_t n, rv_real pad) {
    return (vec)_mm256_blendv_ps((__m256)vec_set(pad), _mm256_maskload_ps(p, vec_mask_n(n)), (__m256)vec_mask_n(n));
}
static inline void vec_store_n(rv_real *p, int64_t n, vec v) { _mm256_maskstore_ps(p, vec_mask_n(n), (__m256)v); }
#else
static inline vec vec_load_pad(const rv_real *p, int64_t n, rv_real pad) {
    vec v = vec_set(pad);
    for (int i = 0; i < RV_LANES; i++)
        if (i < n) v[i] = p[i];
    return v;
}
static inline void vec_store_n(rv_real *p, int64_t n, vec v) {
    for (int i = 0; i < RV_LANES; i++)
        if (i < n) p[i] = v[i];
}
#endif

/* Lanes of a where the mask (the result of a comparison of vectors) is set, else of b. */
static inline vec vec_select(vec_i mask, vec a, vec b) { return (vec)((mask & (vec_i)a) | (~mask & (vec_i)b)); }
/* The larger and the smaller of each pair; b where either is NaN. */
#if RV_VBYTES == 64 && !defined(RV_DOUBLE)
static inline vec vec_max(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
static inline vec vec_min(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
#elif RV_VBYTES == 32 && !defined(RV_DOUBLE)
static inline vec vec_max(vec a, vec b) { return (vec)_mm256_max_ps((__m256)a, (__m256)b); }
static inline vec vec_min(vec a, vec b) { return (vec)_mm256_min_ps((__m256)a, (__m256)b); }
#else
static inline vec vec_max(vec a, vec b) { return vec_select(a > b, a, b); }
static inline vec vec_min(vec a, vec b) { return vec_select(a < b, a, b); }
#endif

/* Over the lanes, halving: (0 + 8) + (4 + 12) + ...; the order depends on RV_LANES alone. */
static inline rv_real vec_hsum(vec v) {
    rv_real s[RV_LANES];
    vec_store(s, v);
    for (int w = RV_LANES / 2; w; w /= 2)
        for (int i = 0; i < w; i++) s[i] += s[i + w];
    return s[0];
}
static inline rv_real vec_hmax(vec v) {
    rv_real s[RV_LANES];
    vec_store(s, v);
    for (int w = RV_LANES / 2; w; w /= 2)
        for (int i = 0; i < w; i++) s[i] = s[i] > s[i + w] ? s[i] : s[i + w];
    return s[0];
}

#endif

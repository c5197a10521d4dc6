/* Philox4x32-10 on vectors: lane l works on counter first + l. The numbers are rv_rng_block's. */
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/isa.h"

typedef uint32_t u32v __attribute__((vector_size(RV_VBYTES)));
typedef uint64_t u64v __attribute__((vector_size(RV_VBYTES)));
typedef uint32_t u32v_u __attribute__((vector_size(RV_VBYTES), aligned(4), may_alias));
enum { LANES = RV_VBYTES / 4, GROUP = 4 * LANES };

/* Full products of the even lanes. */
static inline u64v mul_even(u32v a, u32v b) {
#if defined(__AVX512F__)
    return (u64v)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (u64v)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (u64v)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return ((u64v)a & 0xffffffffu) * ((u64v)b & 0xffffffffu);
#endif
}

static inline void mul_wide(u32v a, uint32_t m, u32v *hi, u32v *lo) {
    u32v mv = m - (u32v){0};
    u64v even = mul_even(a, mv), odd = mul_even((u32v)((u64v)a >> 32), mv), low = {0};
    low = low + 0xffffffffu;
    *lo = (u32v)((even & low) | (odd << 32));
    *hi = (u32v)((even >> 32) | (odd & ~low));
}

/* Two vectors' lanes in turn. */
static inline void zip(u32v a, u32v b, u32v *first, u32v *second) {
#ifdef __clang__ /* knows shuffles by constants only */
    for (uint32_t i = 0; i < LANES; i++) {
        (*first)[i] = i % 2 ? b[i / 2] : a[i / 2];
        (*second)[i] = i % 2 ? b[LANES / 2 + i / 2] : a[LANES / 2 + i / 2];
    }
#else
    u32v lo, hi;
    for (uint32_t i = 0; i < LANES; i++) {
        lo[i] = i / 2 + i % 2 * LANES;
        hi[i] = LANES / 2 + i / 2 + i % 2 * LANES;
    }
    *first = __builtin_shuffle(a, b, lo);
    *second = __builtin_shuffle(a, b, hi);
#endif
}

static inline void philox(rv_rng_key key, uint64_t step, uint64_t first, uint32_t *out) {
    u32v c0, c1, c2 = (uint32_t)step - (u32v){0}, c3 = (uint32_t)(step >> 32) - (u32v){0};
    for (uint32_t l = 0; l < LANES; l++) {
        c0[l] = (uint32_t)(first + l);
        c1[l] = (uint32_t)((first + l) >> 32);
    }
    uint32_t k0 = key.k[0], k1 = key.k[1];
    for (int round = 0; round < 10; round++) {
        u32v hi0, lo0, hi1, lo1;
        mul_wide(c0, 0xD2511F53u, &hi0, &lo0);
        mul_wide(c2, 0xCD9E8D57u, &hi1, &lo1);
        c0 = hi1 ^ c1 ^ k0;
        c1 = lo1;
        c2 = hi0 ^ c3 ^ k1;
        c3 = lo0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    u32v a, b, c, d, v[4];
    zip(c0, c2, &a, &b);
    zip(c1, c3, &c, &d);
    zip(a, c, &v[0], &v[1]);
    zip(b, d, &v[2], &v[3]);
    for (int i = 0; i < 4; i++) *(u32v_u *)(out + i * LANES) = v[i];
}

void RV_KERNEL_FN(vrandom)(rv_rng_key key, uint64_t step, uint64_t first, int64_t blocks, uint32_t *out) {
    int64_t b = 0;
    for (; b + LANES <= blocks; b += LANES) philox(key, step, first + (uint64_t)b, out + 4 * b);
    if (b == blocks) return;
    uint32_t rest[GROUP];
    philox(key, step, first + (uint64_t)b, rest);
    for (int64_t i = 0; i < 4 * (blocks - b); i++) out[4 * b + i] = rest[i];
}

void RV_KERNEL_FN(vdropout)(rv_rng_key key, uint64_t step, uint64_t first, int64_t n, uint32_t threshold, rv_real scale, const rv_real *x,
                            rv_real *y, bool acc) {
    uint32_t r[GROUP];
    for (int64_t b = 0; b < n; b += GROUP) {
        philox(key, step, first + (uint64_t)b / 4, r);
        int64_t len = n - b < GROUP ? n - b : GROUP;
        const rv_real *p = x + b;
        rv_real *q = y + b;
        if (acc) {
#pragma GCC ivdep
            for (int64_t i = 0; i < len; i++) q[i] += r[i] < threshold ? 0 : p[i] * scale;
        } else {
#pragma GCC ivdep
            for (int64_t i = 0; i < len; i++) q[i] = r[i] < threshold ? 0 : p[i] * scale;
        }
    }
}

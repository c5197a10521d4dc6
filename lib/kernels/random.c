/* Philox4x32-10 [Salmon 2011] on vectors, and what dropout makes of it: one bit for each element. */
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/mask_inline.h"

typedef uint32_t u32v __attribute__((vector_size(RV_VBYTES)));
typedef uint64_t u64v __attribute__((vector_size(RV_VBYTES)));
enum { LANES = RV_VBYTES / 4, ABREAST = 2 /* chains that hide each other's latency */ };

/* Full products of the even lanes. */
static inline u64v mul_even(u32v a, u32v b) {
#if defined(__AVX512F__)
    return (u64v)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (u64v)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (u64v)_mm_mul_epu32((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)
    return (u64v)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
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

/* One bit per lane: x >= least. */
static inline uint32_t at_least(u32v x, uint32_t least) {
#if defined(__AVX512F__)
    return _mm512_cmpge_epu32_mask((__m512i)x, _mm512_set1_epi32((int)least));
#else
    u32v yes = (u32v)(x >= least);
#if defined(__AVX__)
    return (uint32_t)_mm256_movemask_ps((__m256)yes);
#elif defined(__SSE2__)
    return (uint32_t)_mm_movemask_ps((__m128)yes);
#elif defined(__aarch64__)
    return vaddvq_u32((uint32x4_t)(yes & (u32v){1, 2, 4, 8}));
#else
    uint32_t bits = 0;
    for (int l = 0; l < LANES; l++) bits |= (yes[l] & 1) << l;
    return bits;
#endif
#endif
}

/* The 8 words of RV_MASK_GROUP elements: word 2 w + h tells of half h (the low one first) of number w of the 16
 * counters from `first`. */
static inline void draw_groups(rv_rng_key key, uint64_t step, uint64_t first, uint32_t least, uint16_t *bits) {
    enum { WORDS = RV_MASK_GROUP / 16, PARTS = ABREAST * 16 / LANES };
    u32v lane = {0};
    for (uint32_t l = 0; l < LANES; l++) lane[l] = l;
    for (int p = 0; p < ABREAST * WORDS; p++) bits[p] = 0;
    for (int p = 0; p < PARTS; p += ABREAST) {
        u32v c[ABREAST][4];
        for (int j = 0; j < ABREAST; j++) {
            uint64_t at = first + (uint64_t)((p + j) * LANES);
            c[j][0] = (uint32_t)at + lane;
            c[j][1] = (uint32_t)(at >> 32) - (u32v)(c[j][0] < (uint32_t)at); /* the carry */
            c[j][2] = (uint32_t)step - (u32v){0};
            c[j][3] = (uint32_t)(step >> 32) - (u32v){0};
        }
        uint32_t k0 = key.k[0], k1 = key.k[1];
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
            for (int j = 0; j < ABREAST; j++) {
                u32v hi0, lo0, hi1, lo1;
                mul_wide(c[j][0], 0xD2511F53u, &hi0, &lo0);
                mul_wide(c[j][2], 0xCD9E8D57u, &hi1, &lo1);
                c[j][0] = hi1 ^ c[j][1] ^ k0;
                c[j][1] = lo1;
                c[j][2] = hi0 ^ c[j][3] ^ k1;
                c[j][3] = lo0;
            }
        for (int j = 0; j < ABREAST; j++) {
            int at = (p + j) * LANES;
            uint16_t *to = bits + at / 16 * WORDS;
            for (int w = 0; w < 4; w++) {
                to[2 * w] |= (uint16_t)(at_least(c[j][w] << 16, least << 16) << at % 16);
                to[2 * w + 1] |= (uint16_t)(at_least(c[j][w], least << 16) << at % 16);
            }
        }
    }
}

void RV_KERNEL_FN(vmask)(rv_rng_key key, uint64_t step, uint64_t first, int64_t words, uint32_t least, uint16_t *bits) {
    enum { WHOLE = ABREAST * RV_MASK_GROUP / 16 };
    int64_t w = 0;
    for (; w + WHOLE <= words; w += WHOLE) draw_groups(key, step, first + (uint64_t)w * 2, least, bits + w);
    if (w == words) return;
    uint16_t rest[WHOLE];
    draw_groups(key, step, first + (uint64_t)w * 2, least, rest);
    for (int64_t i = 0; w < words; i++, w++) bits[w] = rest[i];
}

void RV_KERNEL_FN(vkeep)(int64_t n, const uint16_t *bits, rv_real scale, const rv_real *x, const rv_real *base,
                         rv_real *y) {
    for (int64_t i = 0; i < n; i += RV_LANES) {
        vec v = row_get(x + i, n - i, 0);
        if (bits) v = mask_keep(bits, i, v * scale);
        row_put(y + i, n - i, base ? row_get(base + i, n - i, 0) + v : v);
    }
}

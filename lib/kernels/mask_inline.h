/* Dropout's mask, one bit for each element, applied to a vector. */
#ifndef RV_KERNELS_MASK_INLINE_H
#define RV_KERNELS_MASK_INLINE_H

#include "kernels/rows_inline.h"

/* Lanes of v whose bit is set, from bit `at` (a multiple of RV_LANES) on; 0 in the others. */
static inline vec mask_keep(const uint16_t *bits, int64_t at, vec v) {
    uint32_t b = (uint32_t)bits[at / 16] >> at % 16;
#if defined(__AVX512F__) && !defined(RV_DOUBLE)
    return (vec)_mm512_maskz_mov_ps((__mmask16)b, (__m512)v);
#elif defined(__AVX512F__)
    return (vec)_mm512_maskz_mov_pd((__mmask8)b, (__m512d)v);
#else
    vec_i bit;
    for (int l = 0; l < RV_LANES; l++) bit[l] = 1 << l;
    return (vec)(((bit & (int)b) == bit) & (vec_i)v);
#endif
}

#endif

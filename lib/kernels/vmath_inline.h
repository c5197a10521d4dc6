/* exp, tanh, sigmoid and erf of a vector, for kernels that fuse them: vec_exp(v) and so on.
 *
 * Float: at most 2 ulp from the exact value over the whole range, infinities, NaN and denormal results included
 * (tests/kernels/test_vmath.c). The polynomials are minimax fits of our own, made by reweighted least squares in double
 * and rounded to float. Every lane is computed alike, so a value does not depend on its neighbours.
 * Double: libm lane by lane; it is for the gradient checks. */
#ifndef RV_KERNELS_VMATH_INLINE_H
#define RV_KERNELS_VMATH_INLINE_H

#include <math.h>

#include "kernels/isa.h"

#ifdef RV_DOUBLE

#define RV_LANEWISE(name, expr)                                                                                        \
    static inline vec name(vec v) {                                                                                    \
        for (int i = 0; i < RV_LANES; i++) {                                                                           \
            double x = v[i];                                                                                           \
            v[i] = (expr);                                                                                             \
        }                                                                                                              \
        return v;                                                                                                      \
    }
RV_LANEWISE(vec_exp, exp(x))
RV_LANEWISE(vec_tanh, tanh(x))
RV_LANEWISE(vec_sigmoid, x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)))
RV_LANEWISE(vec_erf, erf(x))
#undef RV_LANEWISE

#else

static inline vec vec_abs(vec v) { return (vec)((vec_i)v & 0x7fffffff); }
/* |a| with the sign of b */
static inline vec vec_copysign(vec a, vec b) { return (vec)(((vec_i)a & 0x7fffffff) | ((vec_i)b & ~0x7fffffff)); }

/* e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2. 2^n is applied in two factors, of which the first leaves a
 * normal number, so that results that are denormal are rounded once. */
static inline vec vec_exp(vec x) {
    const float magic = 12582912.f; /* 1.5 * 2^23: adding it rounds to an integer, found in the low bits */
    x = vec_max(vec_set(-104.f), vec_min(vec_set(89.f), x)); /* NaN stays */
    vec t = x * 1.442695041f + magic;
    vec_i n = (vec_i)t - 0x4b400000;
    t -= magic;
    vec high = x - t * 0.693359375f, low = t * 2.12194440e-4f; /* ln 2 in two parts; high is exact: few bits */
    vec r = high + low;
    vec p = 0x1.6a21acp-10f * r + 0x1.123b6ap-7f;
    p = p * r + 0x1.5558fap-5f;
    p = p * r + 0x1.55549p-3f;
    p = p * r + 0x1.fffffcp-2f;
    p = 1.f + (high + (p * (r * r) + low)); /* high itself, not the rounded r */
    vec_i half = n >> 1;
    return p * (vec)((half + 127) << 23) * (vec)((n - half + 127) << 23);
}

/* Near 0 an odd polynomial, beyond it 1 - 2 / (e^2x + 1). */
static inline vec vec_tanh(vec x) {
    vec a = vec_abs(x), s = x * x;
    vec p = -0x1.9b3048p-8f * s + 0x1.593d08p-6f;
    p = p * s - 0x1.b92878p-5f;
    p = p * s + 0x1.110d26p-3f;
    p = p * s - 0x1.55554ap-2f;
    vec near = x + x * s * p;
    vec far = 1.f - 2.f / (vec_exp(a + a) + 1.f);
    return vec_copysign(vec_select(a < 0.55f, near, far), x);
}

/* With e = e^-|x|: q = e / (1 + e) for x < 0, 1 - q otherwise: exact to the last denormal. The rounding of 1 + e alone
 * would cost an ulp, so q is corrected by its residual e - q (1 + e), in which e - q is exact. */
static inline vec vec_sigmoid(vec x) {
    vec e = vec_exp(-vec_abs(x));
    vec q = e / (1.f + e);
    q = q + ((e - q) - q * e) * (1.f - q);
    return vec_select(x < 0.f, q, 1.f - q);
}

/* Near 0 an odd polynomial, beyond it 1 - e^q(|x|), q being fitted to log erfc. */
static inline vec vec_erf(vec x) {
    vec a = vec_abs(x), s = x * x;
    vec p = -0x1.453ab6p-11f * s + 0x1.49cap-8f;
    p = p * s - 0x1.b6f38ap-6f;
    p = p * s + 0x1.ce211ep-4f;
    p = p * s - 0x1.81270cp-2f;
    p = p * s + 0x1.06eba6p-3f;
    vec near = x + x * p;
    vec b = vec_min(vec_set(4.f), a); /* erf is 1 in float from 3.92 on */
    vec q = 0x1.a5850ap-13f * b - 0x1.95501ep-9f;
    q = q * b + 0x1.6f5536p-6f;
    q = q * b - 0x1.ab5352p-4f;
    q = q * b - 0x1.46026cp-1f;
    q = q * b - 0x1.20c06cp+0f;
    q = q * b - 0x1.182082p-13f;
    return vec_select(a < 0.875f, near, vec_copysign(1.f - vec_exp(q), x));
}

#endif
#endif

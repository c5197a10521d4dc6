/* exp, tanh, sigmoid, erf against libm in double, over the whole float range, for every instruction set of this CPU. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

typedef void map(int64_t, const float *, float *);
static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

enum { FUNCTIONS = 4, CHUNK = 4093 };
static const struct {
    const char *name;
    double (*exact)(double);
} functions[FUNCTIONS] = {{"exp", exp}, {"tanh", tanh}, {"sigmoid", sigmoid}, {"erf", erf}};
static map *kernel(int f) { return (map *[]){rv_k()->vexp, rv_k()->vtanh, rv_k()->vsigmoid, rv_k()->verf}[f]; }

/* |got - exact| in units of the last place of exact as a float. */
static double ulps(float got, double exact) {
    float r = (float)exact;
    if (isnan(exact)) return isnan(got) ? 0 : INFINITY;
    if (isinf(r) || isinf(got)) return r == got ? 0 : INFINITY;
    int e;
    frexp(exact, &e);
    return fabs(got - exact) / ldexp(1, (e < -125 ? -125 : e) - 24);
}

/* Every stride-th bit pattern; RAVEL_VMATH_STRIDE=1 tries all 2^32. */
static void sweep(const char *isa) {
    if (rv_select_isa(isa) != RV_OK) return;
    const char *env = getenv("RAVEL_VMATH_STRIDE");
    uint64_t stride = env ? strtoull(env, NULL, 10) : 997;
    static float x[CHUNK], y[CHUNK];
    for (int f = 0; f < FUNCTIONS; f++) {
        double worst = 0;
        float at = 0;
        for (uint64_t bits = 0; bits < 1ull << 32;) {
            int n = 0;
            for (; n < CHUNK && bits < 1ull << 32; bits += stride) {
                uint32_t b = (uint32_t)bits;
                memcpy(&x[n++], &b, 4);
            }
            kernel(f)(n, x, y);
            for (int i = 0; i < n; i++) {
                double u = ulps(y[i], functions[f].exact(x[i]));
                if (!(u <= worst)) worst = u, at = x[i];
            }
        }
        cr_log_info("%s %s: %.3f ulp at %a", isa, functions[f].name, worst, (double)at);
        cr_expect(worst <= 2, "%s %s: %.3f ulp at %a", isa, functions[f].name, worst, (double)at);
    }
}
Test(vmath, ulp_avx512) { sweep("avx512"); }
Test(vmath, ulp_avx2) { sweep("avx2"); }
Test(vmath, ulp_base) { sweep("base"); }

Test(vmath, special) {
    const float x[] = {0.f, -0.f, INFINITY, -INFINITY, NAN, 1e-45f, -1e-45f, 3e38f, -3e38f};
    enum { N = sizeof x / sizeof *x };
    const char *isas[] = {"avx512", "avx2", "base"};
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int f = 0; f < FUNCTIONS; f++) {
            float y[N];
            kernel(f)(N, x, y);
            for (int i = 0; i < N; i++) {
                cr_expect(ulps(y[i], functions[f].exact(x[i])) <= 1, "%s %s(%g) = %g", isas[s], functions[f].name, (double)x[i], (double)y[i]);
                if (x[i] == 0 && f != 0 && f != 2) cr_expect_eq(!signbit(y[i]), !signbit(x[i]));
            }
        }
    }
}

/* An element's bits do not depend on its place in the vector or the tail; nothing beyond n is written. */
Test(vmath, place) {
    const char *isas[] = {"avx512", "avx2", "base"};
    for (int s = 0; s < 3; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int f = 0; f < FUNCTIONS; f++) {
            float x[64], y[64], z[65];
            for (int i = 0; i < 64; i++) x[i] = (float)(i - 31) * 0.171f;
            kernel(f)(64, x, y);
            for (int n = 1; n < 64; n++) {
                for (int i = 0; i < 65; i++) z[i] = 7.5f;
                kernel(f)(n, x + 64 - n, z);
                cr_expect_eq(memcmp(z, y + 64 - n, (size_t)n * sizeof *z), 0, "%s %s n %d", isas[s], functions[f].name, n);
                cr_expect_eq(z[n], 7.5f);
            }
        }
    }
}

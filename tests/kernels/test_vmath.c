/* exp, tanh, sigmoid, erf against libm in double, over the whole float range, for every instruction set of this CPU. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
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

static const char *const isas[] = {"avx512", "avx2", "base"};
enum { ISAS = sizeof isas / sizeof *isas };

/* Every 997th bit pattern. RAVEL_SWEEP=1/8 tries all of the first eighth of the 2^32, and so on; RAVEL_SWEEP=1/1 all.
 */
static void sweep(int f) {
    static float x[CHUNK], y[CHUNK];
    static double exact[CHUNK];
    uint64_t begin = 0, end = 1ull << 32, stride = 997;
    unsigned part, parts;
    const char *env = getenv("RAVEL_SWEEP");
    if (env) {
        cr_assert(sscanf(env, "%u/%u", &part, &parts) == 2 && part >= 1 && part <= parts,
                  "RAVEL_SWEEP takes a part like 1/8, not '%s'", env);
        begin = end / parts * (part - 1), end = part == parts ? end : end / parts * part, stride = 1;
    }
    double worst[ISAS] = {0};
    float at[ISAS] = {0};
    for (uint64_t bits = begin; bits < end;) {
        int n = 0;
        for (; n < CHUNK && bits < end; bits += stride) {
            uint32_t b = (uint32_t)bits;
            memcpy(&x[n], &b, 4);
            exact[n] = functions[f].exact((double)x[n]);
            n++;
        }
        for (int s = 0; s < ISAS; s++) {
            if (rv_select_isa(isas[s]) != RV_OK) continue;
            kernel(f)(n, x, y);
            for (int i = 0; i < n; i++) {
                if (y[i] == (float)exact[i] && isnormal(y[i]) && worst[s] >= 0.5) continue; /* rounded right */
                double u = ulps(y[i], exact[i]);
                if (!(u <= worst[s])) worst[s] = u, at[s] = x[i];
            }
        }
    }
    for (int s = 0; s < ISAS; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        cr_log_info("%s %s: %.3f ulp at %a", functions[f].name, isas[s], worst[s], (double)at[s]);
        cr_expect(worst[s] <= 2, "%s %s: %.3f ulp at %a", functions[f].name, isas[s], worst[s], (double)at[s]);
    }
}
Test(vmath, ulp_exp) { sweep(0); }
Test(vmath, ulp_tanh) { sweep(1); }
Test(vmath, ulp_sigmoid) { sweep(2); }
Test(vmath, ulp_erf) { sweep(3); }

Test(vmath, special) {
    const float x[] = {0.f, -0.f, INFINITY, -INFINITY, NAN, 1e-45f, -1e-45f, 3e38f, -3e38f};
    enum { N = sizeof x / sizeof *x };
    for (int s = 0; s < ISAS; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int f = 0; f < FUNCTIONS; f++) {
            float y[N];
            kernel(f)(N, x, y);
            for (int i = 0; i < N; i++) {
                cr_expect(ulps(y[i], functions[f].exact(x[i])) <= 1, "%s %s(%g) = %g", isas[s], functions[f].name,
                          (double)x[i], (double)y[i]);
                if (x[i] == 0 && f != 0 && f != 2) cr_expect_eq(!signbit(y[i]), !signbit(x[i]));
            }
        }
    }
}

/* An element's bits do not depend on its place in the vector or the tail; nothing beyond n is written. */
Test(vmath, place) {
    for (int s = 0; s < ISAS; s++) {
        if (rv_select_isa(isas[s]) != RV_OK) continue;
        for (int f = 0; f < FUNCTIONS; f++) {
            float x[64], y[64], z[65];
            for (int i = 0; i < 64; i++) x[i] = (float)(i - 31) * 0.171f;
            kernel(f)(64, x, y);
            for (int n = 1; n < 64; n++) {
                for (int i = 0; i < 65; i++) z[i] = 7.5f;
                kernel(f)(n, x + 64 - n, z);
                cr_expect_eq(memcmp(z, y + 64 - n, (size_t)n * sizeof *z), 0, "%s %s n %d", isas[s], functions[f].name,
                             n);
                cr_expect_eq(z[n], 7.5f);
            }
        }
    }
}

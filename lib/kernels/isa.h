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

#if defined(__AVX512F__)
#define RV_VBYTES 64
#elif defined(__AVX__)
#define RV_VBYTES 32
#else
#define RV_VBYTES 16
#endif
enum { RV_LANES = RV_VBYTES / sizeof(rv_real) };

typedef rv_real vec __attribute__((vector_size(RV_VBYTES)));
typedef rv_real vec_u __attribute__((vector_size(RV_VBYTES), aligned(sizeof(rv_real)), may_alias));

static inline vec vec_load(const rv_real *p) { return *(const vec_u *)p; }
static inline void vec_store(rv_real *p, vec v) { *(vec_u *)p = v; }
static inline vec vec_set(rv_real s) { return s - (vec){0}; }

#endif

#include "kernels/vmath_inline.h"

#define RV_MAP(name, f)                                                                                                \
    void RV_KERNEL_FN(name)(int64_t n, const rv_real *x, rv_real *y) {                                                 \
        int64_t i = 0;                                                                                                 \
        for (; i + RV_LANES <= n; i += RV_LANES) vec_store(y + i, f(vec_load(x + i)));                                 \
        if (i < n) vec_store_n(y + i, n - i, f(vec_load_n(x + i, n - i)));                                             \
    }
RV_MAP(vexp, vec_exp)
RV_MAP(vtanh, vec_tanh)
RV_MAP(vsigmoid, vec_sigmoid)
RV_MAP(verf, vec_erf)

#include "kernels/isa.h"

/* Steps, operand and `acc` are constants wherever these are inlined, so that each case becomes one vector loop.
 * Operands may be the result itself, element by element: hence ivdep. */
#define INLINE static inline __attribute__((always_inline))
#define EACH RV_IVDEP for (int64_t i = 0; i < n; i++)

INLINE void binary(rv_arith op, int64_t n, const rv_real *a, int64_t p, const rv_real *b, int64_t q, rv_real *y) {
    switch (op) {
    case RV_ARITH_ADD: EACH y[i] = a[i * p] + b[i * q]; break;
    case RV_ARITH_SUB: EACH y[i] = a[i * p] - b[i * q]; break;
    case RV_ARITH_MUL: EACH y[i] = a[i * p] * b[i * q]; break;
    case RV_ARITH_DIV: EACH y[i] = a[i * p] / b[i * q]; break;
    }
}

void RV_KERNEL_FN(vbinary)(rv_arith op, int64_t n, const rv_real *a, int64_t p, const rv_real *b, int64_t q,
                           rv_real *y) {
    if (p && q)
        binary(op, n, a, 1, b, 1, y);
    else if (p)
        binary(op, n, a, 1, b, 0, y);
    else if (q)
        binary(op, n, a, 0, b, 1, y);
    else
        binary(op, n, a, 0, b, 0, y);
}

INLINE void back(rv_arith op, int which, int64_t n, const rv_real *a, int64_t p, const rv_real *b, int64_t q,
                 const rv_real *dy, rv_real *d, bool acc) {
#define GIVE(v) EACH d[i] = acc ? d[i] + (v) : (v)
    switch (op) {
    case RV_ARITH_ADD: GIVE(dy[i]); break;
    case RV_ARITH_SUB:
        if (which)
            GIVE(-dy[i]);
        else
            GIVE(dy[i]);
        break;
    case RV_ARITH_MUL:
        if (which)
            GIVE(dy[i] * a[i * p]);
        else
            GIVE(dy[i] * b[i * q]);
        break;
    case RV_ARITH_DIV:
        if (which)
            GIVE(-dy[i] * a[i * p] / (b[i * q] * b[i * q]));
        else
            GIVE(dy[i] / b[i * q]);
        break;
    }
#undef GIVE
}

INLINE void back_steps(rv_arith op, int which, int64_t n, const rv_real *a, int64_t p, const rv_real *b, int64_t q,
                       const rv_real *dy, rv_real *d, bool acc) {
    if (p && q)
        back(op, which, n, a, 1, b, 1, dy, d, acc);
    else if (p)
        back(op, which, n, a, 1, b, 0, dy, d, acc);
    else if (q)
        back(op, which, n, a, 0, b, 1, dy, d, acc);
    else
        back(op, which, n, a, 0, b, 0, dy, d, acc);
}

void RV_KERNEL_FN(vbinary_back)(rv_arith op, int which, int64_t n, const rv_real *a, int64_t p, const rv_real *b,
                                int64_t q, const rv_real *dy, rv_real *d, bool acc) {
    if (acc)
        back_steps(op, which, n, a, p, b, q, dy, d, true);
    else
        back_steps(op, which, n, a, p, b, q, dy, d, false);
}

void RV_KERNEL_FN(vaffine)(int64_t n, rv_real scale, rv_real shift, const rv_real *x, rv_real *y, bool acc) {
    if (acc)
        EACH y[i] += scale * x[i] + shift;
    else
        EACH y[i] = scale * x[i] + shift;
}

#include "ops/ops_private.h"

void *rv__shape_fail(rv_tape *tape, const char *op, const rv_tensor *a, const rv_tensor *b, const char *remedy) {
    char s[RV_SHAPE_TEXT], t[RV_SHAPE_TEXT];
    return rv_tape_fail(tape, RV_ESHAPE, "%s: shapes %s and %s do not fit; %s", op, rv_shape_text(a, s, sizeof s),
                        rv_shape_text(b, t, sizeof t), remedy);
}

rv_tensor *rv__like(rv_tape *tape, const rv_tensor *x) { return rv_tape_tensor(tape, x->ndim, x->dim); }

int rv__axis(rv_tape *tape, const char *op, const rv_tensor *x, int axis) {
    if (axis >= -x->ndim && axis < x->ndim) return axis < 0 ? axis + x->ndim : axis;
    char s[RV_SHAPE_TEXT];
    rv_tape_fail(tape, RV_ESHAPE, "%s: there is no axis %d in shape %s; give one in [%d, %d)", op, axis,
                 rv_shape_text(x, s, sizeof s), -x->ndim, x->ndim);
    return -1;
}

int64_t rv__span(const rv_tensor *x, int from, int to) {
    int64_t n = 1;
    for (int i = from; i < to; i++) n *= x->dim[i];
    return n;
}

void rv__hand_on(rv_tensor *t, const rv_real *d, rv_real scale) {
    bool acc;
    rv_real *g = rv_grad(t, &acc);
    if (!g) return;
    const int64_t n = rv_numel(t);
#pragma omp parallel for schedule(static) num_threads(rv_threads_for(2. * (double)n))
    for (int64_t i = 0; i < rv_blocks(n); i++) {
        const rv_range r = rv_block(n, i);
        rv_k()->vaffine(r.end - r.begin, scale, 0, d + r.begin, g + r.begin, acc);
    }
}

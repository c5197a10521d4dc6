#include "nn/init.h"

#include <math.h>

#include "base/arena.h"
#include "base/rng.h"

/* q (rows x cols, row-major) becomes orthonormal in its shorter direction: modified Gram-Schmidt on the rows of the
 * wide orientation, twice for accuracy, in double. */
static void orthonormalise(double *q, int64_t rows, int64_t cols) {
    for (int64_t i = 0; i < rows; i++) {
        double *r = q + i * cols, norm = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < i; j++) {
                const double *o = q + j * cols;
                double dot = 0;
                for (int64_t c = 0; c < cols; c++) dot += r[c] * o[c];
                for (int64_t c = 0; c < cols; c++) r[c] -= dot * o[c];
            }
        for (int64_t c = 0; c < cols; c++) norm += r[c] * r[c];
        norm = 1 / sqrt(norm);
        for (int64_t c = 0; c < cols; c++) r[c] *= norm;
    }
}

static rv_status orthogonal(rv_real *x, int64_t rows, int64_t cols, double gain, rv_rng *rng) {
    int64_t small = rows < cols ? rows : cols, large = rows < cols ? cols : rows;
    double *q = rv_alloc(rv_size_mul(rv_size_mul((size_t)rows, (size_t)cols), sizeof *q));
    if (!q) return RV_ENOMEM;
    for (int64_t i = 0; i < rows * cols; i++) q[i] = rv_rng_normal(rng);
    orthonormalise(q, small, large);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            x[i * cols + j] = (rv_real)(gain * (rows < cols ? q[i * large + j] : q[j * large + i]));
    rv_free(q);
    return RV_OK;
}

static rv_status fill(rv_param *p, uint64_t seed) {
    rv_real *x = p->t.x;
    int64_t n = rv_numel(&p->t), gates = p->init.gates ? p->init.gates : 1;
    double fan_out = (double)(p->t.ndim ? p->t.dim[0] : 1) / (double)gates,
           fan_in = p->t.ndim > 1 ? (double)rv_dim(&p->t, -1) : fan_out;
    double a = p->init.a, gain = a == 0 ? 1 : a, bound = 0;
    rv_rng rng = rv_rng_make(seed, p->name, 0);
    switch (p->init.kind) {
    case RV_INIT_ZERO:
    case RV_INIT_CONSTANT:
        for (int64_t i = 0; i < n; i++) x[i] = p->init.kind == RV_INIT_ZERO ? 0 : (rv_real)a;
        return RV_OK;
    case RV_INIT_ORTHOGONAL: {
        int64_t rows = rv_rows(&p->t) / gates, cols = rv_dim(&p->t, -1);
        for (int64_t k = 0; k < gates; k++) RV_TRY(orthogonal(x + k * rows * cols, rows, cols, gain, &rng));
        return RV_OK;
    }
    case RV_INIT_NORMAL:
    case RV_INIT_XAVIER_NORMAL: {
        double dev = p->init.kind == RV_INIT_NORMAL ? a : gain * sqrt(2 / (fan_in + fan_out));
        for (int64_t i = 0; i < n; i++) x[i] = (rv_real)(dev * rv_rng_normal(&rng));
        return RV_OK;
    }
    case RV_INIT_UNIFORM: bound = a; break;
    case RV_INIT_XAVIER_UNIFORM: bound = gain * sqrt(6 / (fan_in + fan_out)); break;
    case RV_INIT_KAIMING_UNIFORM: bound = sqrt(6 / ((1 + a * a) * fan_in)); break;
    }
    for (int64_t i = 0; i < n; i++) x[i] = (rv_real)(bound * (2 * rv_rng_uniform(&rng) - 1));
    return RV_OK;
}

rv_status rv__init_fill(rv_param *p, uint64_t seed) {
    RV_TRY(fill(p, seed));
    if (!p->init.fixed) return RV_OK;
    RV_ASSERT(p->init.fixed <= p->init.gates);
    int64_t n = rv_numel(&p->t) / p->init.gates;
    rv_real *part = p->t.x + (p->init.fixed - 1) * n;
    for (int64_t i = 0; i < n; i++) part[i] = (rv_real)p->init.b;
    return RV_OK;
}

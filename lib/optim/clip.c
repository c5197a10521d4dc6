#include "optim/clip.h"

#include <math.h>

#include "kernels/update.h"

/* The first parameter with a non-finite number in its gradient (or values), its index in *at; NULL if there is none. */
static const rv_param *find_bad(const rv_params *ps, bool grad, int64_t *at) {
    for (int i = 0; i < ps->n; i++) {
        const rv_param *p = ps->p[i];
        const rv_real *v = grad ? p->t.g : p->t.x;
        if (grad && p->frozen) continue;
        for (int64_t j = 0; j < rv_numel(&p->t); j++)
            if (!isfinite(v[j])) {
                *at = j;
                return p;
            }
    }
    return NULL;
}

rv_status rv_grad_norm(const rv_params *ps, double *norm) {
    double sum = 0;
    /* Neighbouring trainable tensors are one run: the gaps between them are 0. */
    for (int i = 0, end; i < ps->n; i = end + 1) {
        end = i;
        if (ps->p[i]->frozen) continue;
        while (end < ps->n && !ps->p[end]->frozen) end++;
        int64_t from = ps->p[i]->offset, to = end < ps->n ? ps->p[end]->offset : ps->size;
        sum += rv_sum_squares(to - from, ps->g + from);
    }
    *norm = sqrt(sum);
    if (isfinite(sum)) return RV_OK;
    int64_t at;
    const rv_param *p = find_bad(ps, true, &at);
    if (!p)
        return rv_error(
            RV_EDIVERGED,
            "the gradient is too large to square; lower train.optimizer.lr or train the model with warm-up");
    return rv_error(RV_EDIVERGED,
                    "the gradient of '%s' is %s (element %lld); lower train.optimizer.lr, set train.clip_grad_norm or "
                    "lengthen the warm-up",
                    p->name, isnan(p->t.g[at]) ? "NaN" : "infinite", (long long)at);
}

double rv_clip_factor(double norm, double max_norm) {
    if (max_norm <= 0) return 1;
    double f = max_norm / (norm + 1e-6);
    return f < 1 ? f : 1;
}

rv_status rv_check_values(const rv_params *ps) {
    int64_t at;
    const rv_param *p = find_bad(ps, false, &at);
    if (!p) return RV_OK;
    return rv_error(
        RV_EDIVERGED,
        "parameter '%s' is %s (element %lld); go back to a checkpoint from before and lower train.optimizer.lr",
        p->name, isnan(p->t.x[at]) ? "NaN" : "infinite", (long long)at);
}

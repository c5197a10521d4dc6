#include "decode/sampling.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double p; /* first the logit, then the unnormalised probability */
    int32_t id;
} candidate;

size_t rv_sampler_scratch(int64_t V) { return (size_t)V * sizeof(candidate); }

static int more_probable(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->p != y->p) return x->p > y->p ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

int32_t rv_sample_token(const rv_real *logits, int64_t V, const rv_sampler *s, rv_rng *rng, void *scratch) {
    candidate *c = scratch;
    int32_t best = 0;
    for (int64_t i = 0; i < V; i++) {
        if (isnan(logits[i]) || logits[i] == INFINITY) return -1;
        if (logits[i] > logits[best]) best = (int32_t)i;
        c[i] = (candidate){(double)logits[i], (int32_t)i};
    }
    if (s->temperature <= 0 || s->top_k == 1) return best;
    bool sorted = (s->top_k > 0 && s->top_k < V) || s->top_p < 1;
    if (sorted) qsort(c, (size_t)V, sizeof *c, more_probable);
    int64_t n = s->top_k > 0 && s->top_k < V ? s->top_k : V;
    double total = 0, top = (double)logits[best];
    for (int64_t i = 0; i < n; i++) {
        c[i].p = exp((c[i].p - top) / s->temperature);
        total += c[i].p;
    }
    if (s->top_p < 1) {
        double kept = 0;
        int64_t k = 0;
        while (k < n && (k == 0 || kept < s->top_p * total)) kept += c[k++].p;
        n = k;
        total = kept;
    }
    double u = rv_rng_uniform(rng) * total;
    for (int64_t i = 0; i < n; i++) {
        u -= c[i].p;
        if (u < 0) return c[i].id;
    }
    return c[n - 1].id;
}

#include "data/rare.h"

#include <stdlib.h>

#include "base/rng.h"

rv_status rv_rare_make(const rv_tokenizer *tok, const int32_t *ids, int64_t n, double p, uint64_t seed, rv_rare *out) {
    const int64_t V = rv_tokenizer_size(tok);
    *out = (rv_rare){.unk = rv_tokenizer_special(tok, RV_UNK), .p = p, .seed = seed};
    if (p <= 0 || out->unk < 0 || rv_tokenizer_get_spec(tok).type != RV_TOKENS_WORD) return RV_OK;
    bool *once = calloc((size_t)V, sizeof *once), *more = calloc((size_t)V, sizeof *more);
    if (!once || !more) {
        free(once);
        free(more);
        return rv_error(RV_ENOMEM, "no memory to count %lld words", (long long)V);
    }
    for (int64_t i = 0; i < n; i++) {
        more[ids[i]] |= once[ids[i]];
        once[ids[i]] = !more[ids[i]];
    }
    if (once[out->unk] || more[out->unk]) {
        free(once);
    } else {
        out->once = once;
    }
    free(more);
    return RV_OK;
}

void rv_rare_replace(const rv_rare *r, int64_t step, int32_t *ids, int64_t n) {
    if (!r->once) return;
    const rv_rng_key key = rv_rng_make_key(r->seed, rv_rng_stream("rare words"));
    const double bound = r->p * 4294967296.;
    for (int64_t i = 0; i < n; i++) {
        uint32_t random[4];
        if (ids[i] < 0 || !r->once[ids[i]]) continue;
        rv_rng_block(key, (uint64_t)step, (uint64_t)ids[i], random);
        if ((double)random[0] < bound) ids[i] = r->unk;
    }
}

void rv_rare_free(rv_rare *r) {
    free(r->once);
    *r = (rv_rare){0};
}

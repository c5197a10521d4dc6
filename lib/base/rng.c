#include "base/rng.h"

#include <Random123/philox.h>
#include <math.h>

rv_rng_key rv_rng_make_key(uint64_t seed, uint64_t stream) {
    /* One Philox block mixes 128 bits of (seed, stream) into a 64-bit key. */
    philox4x32_ctr_t c = {{(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)}};
    philox4x32_key_t k = {{0x72617665u, 0x6cu}};
    philox4x32_ctr_t r = philox4x32(c, k);
    return (rv_rng_key){{r.v[0], r.v[1]}};
}

uint64_t rv_rng_stream(const char *name) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

void rv_rng_block(rv_rng_key key, uint64_t step, uint64_t index, uint32_t out[4]) {
    philox4x32_ctr_t c = {{(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)step, (uint32_t)(step >> 32)}};
    philox4x32_key_t k = {{key.k[0], key.k[1]}};
    philox4x32_ctr_t r = philox4x32(c, k);
    for (int i = 0; i < 4; i++) out[i] = r.v[i];
}

rv_rng rv_rng_make(uint64_t seed, const char *stream, uint64_t step) {
    return (rv_rng){.key = rv_rng_make_key(seed, rv_rng_stream(stream)), .step = step};
}

uint32_t rv_rng_u32(rv_rng *r) {
    uint32_t v[4];
    rv_rng_block(r->key, r->step, r->next / 4, v);
    return v[r->next++ % 4];
}

double rv_rng_uniform(rv_rng *r) {
    uint64_t hi = rv_rng_u32(r), lo = rv_rng_u32(r);
    return (double)((hi << 32 | lo) >> 11) * 0x1p-53;
}

uint64_t rv_rng_below(rv_rng *r, uint64_t n) {
    RV_ASSERT(n > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, v;
    do {
        uint64_t hi = rv_rng_u32(r);
        v = hi << 32 | rv_rng_u32(r);
    } while (v >= limit);
    return v % n;
}

double rv_rng_normal(rv_rng *r) {
    double u = 1. - rv_rng_uniform(r), v = rv_rng_uniform(r);
    return sqrt(-2. * log(u)) * cos(2. * 3.14159265358979323846 * v);
}

void rv_rng_shuffle(rv_rng *r, int64_t *idx, int64_t n) {
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)rv_rng_below(r, (uint64_t)i + 1), t = idx[i];
        idx[i] = idx[j];
        idx[j] = t;
    }
}

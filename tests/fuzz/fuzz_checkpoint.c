/* fuzz_checkpoint N [SEED]: N mutated checkpoints are opened, half of them with the file's hash put right, so that the
 * manifest's parser sees them. None may crash, hang or show bytes from outside the file; none without a right hash may
 * open. Deterministic: a failure names its number, and `fuzz_checkpoint N SEED` finds it again. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/rng.h"
#include "io/manifest.h"
#include "io/sample.h"

enum { ROOM = 1 << 18 };
static unsigned char *file; /* what rv_checkpoint_open reads: shared memory */
static unsigned char *good;
static size_t good_length;

static const uint64_t interesting[] = {
    0,          1,          2,          4,          5,          6,          7,          8,          24,
    63,         64,         95,         96,         255,        4096,       65535,      65536,      65537,
    131072,     1u << 26,   0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 61, 1ull << 62, (1ull << 63) - 1,
    1ull << 63, ~0ull - 63, ~0ull - 7,  ~0ull};

static uint64_t number(rv_rng *r, size_t length) {
    uint64_t kind = rv_rng_below(r, 4), shift = rv_rng_below(r, 33);
    switch (kind) {
    case 0: return length - rv_rng_below(r, 130);
    case 1: return (uint64_t)rv_rng_u32(r) << shift;
    case 2: return RV__MF_MIN_BLOCK + 64 * rv_rng_below(r, 100);
    default: return interesting[rv_rng_below(r, sizeof interesting / sizeof *interesting)];
    }
}

static void mutate(rv_rng *r, size_t *length) {
    size_t end =
        *length < 1024 || rv_rng_below(r, 4) == 0 ? *length : 1024; /* mostly the manifest: it is what is parsed */
    if (!end) return;
    size_t at = rv_rng_below(r, end), n = 1 + rv_rng_below(r, 16);
    if (n > *length - at) n = *length - at;
    uint64_t v;
    switch (rv_rng_below(r, 8)) {
    case 0: file[at] ^= (unsigned char)(1u << rv_rng_below(r, 8)); break;
    case 1: file[at] = (unsigned char)rv_rng_u32(r); break;
    case 2:
    case 3: /* a field of 4 or 8 bytes, where fields are */
        at &= ~(size_t)3;
        v = number(r, *length);
        n = rv_rng_below(r, 2) ? 4 : 8;
        if (at + n <= *length) memcpy(file + at, &v, n);
        break;
    case 4: memmove(file + at, file + rv_rng_below(r, *length - n + 1), n); break;
    case 5: memset(file + at, rv_rng_below(r, 2) ? 0 : 255, n); break;
    case 6: file[at] += rv_rng_below(r, 2) ? 1 : -1; break;
    case 7: /* another length, which the head may or may not tell */
        if (rv_rng_below(r, 4)) break;
        v = rv_rng_below(r, 2) ? rv_rng_below(r, ROOM) : *length - rv_rng_below(r, *length < 200 ? *length : 200);
        if (v > *length) memset(file + *length, 0, v - *length);
        *length = v;
        if (*length >= RV__MF_HEAD && rv_rng_below(r, 2)) memcpy(file + 16, &v, 8);
        break;
    }
}

static void fix_hash(size_t length) {
    XXH3_state_t *s = XXH3_createState();
    XXH3_128bits_reset(s);
    XXH3_128bits_update(s, file, RV__MF_HASH_AT);
    XXH3_128bits_update(s, file + RV__MF_HASH_AT + RV__MF_HASH_BYTES, length - RV__MF_HASH_AT - RV__MF_HASH_BYTES);
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(s));
    memcpy(file + RV__MF_HASH_AT, c.digest, sizeof c.digest);
    XXH3_freeState(s);
}

/* Touch everything that an opened checkpoint shows. */
static uint64_t walk(const rv_checkpoint *ck) {
    uint64_t sum = strlen(rv_checkpoint_writer(ck)) + strlen(rv_checkpoint_state_hash(ck));
    for (int i = 0; i < rv_checkpoint_count(ck); i++) {
        const rv_ck_item *it = rv_checkpoint_item(ck, i);
        if (rv_checkpoint_find(ck, it->path) != it) abort();
        size_t n = (size_t)rv_ck_count(it) * rv_ck_type_size(it->type);
        for (size_t k = 0; k < n; k++) sum += ((const unsigned char *)it->data)[k];
    }
    return sum;
}

int main(int argc, char **argv) {
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000, seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char path[400];
    const char *folder = sample_folder();
    sample_path(path, folder, "a.h5");
    if (rv_checkpoint_save(path, 7, SAMPLE_ITEMS, sample, NULL) != RV_OK) abort();
    good = sample_read(path, &good_length);
    sample_remove(folder);

    int fd = memfd_create("checkpoint", 0);
    if (fd < 0 || ftruncate(fd, ROOM)) abort();
    file = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

    uint64_t opened = 0, parsed = 0, sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        rv_rng r = rv_rng_make(seed, "fuzz_checkpoint", i);
        size_t length = good_length;
        if (ftruncate(fd, ROOM)) abort();
        memcpy(file, good, good_length);
        for (uint64_t k = 1 + rv_rng_below(&r, 4); k > 0; k--) mutate(&r, &length);
        bool fixed = rv_rng_below(&r, 2) && length >= RV__MF_HEAD;
        if (fixed) fix_hash(length);
        bool same = length == good_length && !memcmp(file, good, length);
        if (ftruncate(fd, (off_t)length)) abort();
        rv_checkpoint *ck;
        rv_status st = rv_checkpoint_open(path, &ck);
        if (st == RV_OK) sum += walk(ck), opened++;
        const char *why = st == RV_OK ? "" : rv_error_message();
        parsed += st == RV_OK || strstr(why, "manifest") != NULL;
        if ((st == RV_OK && !fixed && !same) || (st != RV_OK && (same || st != RV_ECKPT || ck || !*why))) {
            fprintf(stderr, "execution %llu of seed %llu: status %d '%s', hash %s\n", (unsigned long long)i,
                    (unsigned long long)seed, (int)st, why, fixed ? "right" : "wrong");
            return 1;
        }
        rv_checkpoint_close(ck);
    }
    printf("%llu executions, %llu reached the manifest's parser, %llu opened (sum %llx)\n", (unsigned long long)n,
           (unsigned long long)parsed, (unsigned long long)opened, (unsigned long long)sum);
    free(good);
    /* A loop that never gets past the hash would prove nothing. */
    return n >= 1000 && (parsed < n / 10 || !opened);
}

/* A damaged or hostile file is refused before any of it is used (G8, G9). */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "io/manifest.h"
#include "io/sample.h"

static unsigned char *good;
static size_t length;
static int fd;
static char path[64];

/* The file under test lives in memory; rv_checkpoint_open reaches it by name all the same. */
static void setup(void) {
    const char *folder = sample_folder();
    char file[400];
    sample_path(file, folder, "a.h5");
    if (rv_checkpoint_save(file, 7, SAMPLE_ITEMS, sample, NULL) != RV_OK) abort();
    good = sample_read(file, &length);
    sample_remove(folder);
    fd = memfd_create("checkpoint", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || pwrite(fd, good, length, 0) != (ssize_t)length) abort();
}
static void teardown(void) {
    close(fd);
    free(good);
}
TestSuite(damage, .init = setup, .fini = teardown, .timeout = 300);

static bool opens(void) {
    rv_checkpoint *ck;
    bool ok = rv_checkpoint_open(path, &ck) == RV_OK;
    rv_checkpoint_close(ck);
    return ok;
}

static void flip(size_t at, int bit) {
    unsigned char b = good[at] ^ (unsigned char)(1 << bit);
    cr_assert_eq(pwrite(fd, &b, 1, (off_t)at), 1);
    cr_assert(!opens(), "bit %d of byte %zu", bit, at);
    cr_assert_eq(pwrite(fd, good + at, 1, (off_t)at), 1);
}

/* Every bit of the manifest and of everything behind the user block; one bit of each byte of its padding. */
Test(damage, every_flip_is_seen) {
    cr_assert(opens());
    for (size_t at = 0; at < length; at++) {
        bool padding = at >= 4096 && at < RV__MF_MIN_BLOCK;
        for (int bit = 0; bit < 8; bit++)
            if (!padding || (size_t)bit == at % 8) flip(at, bit);
    }
    cr_assert(opens());
}

Test(damage, every_cut_is_seen) {
    for (size_t n = length; n-- > 0;) {
        cr_assert_eq(ftruncate(fd, (off_t)n), 0);
        cr_assert(!opens(), "cut to %zu bytes", n);
    }
}

Test(damage, appended_bytes_are_seen) {
    for (int n = 1; n < 100; n++) {
        cr_assert_eq(ftruncate(fd, (off_t)length + n), 0);
        cr_assert(!opens(), "%d more bytes", n);
    }
}

/* ---- manifests with a right hash ---- */

static void fix_hash(unsigned char *b, size_t n) {
    XXH3_state_t *s = XXH3_createState();
    XXH3_128bits_reset(s);
    XXH3_128bits_update(s, b, RV__MF_HASH_AT);
    XXH3_128bits_update(s, b + RV__MF_HASH_AT + 16, n - RV__MF_HASH_AT - 16);
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(s));
    memcpy(b + RV__MF_HASH_AT, c.digest, 16);
    XXH3_freeState(s);
}

/* Put `size` bytes of v at `at` into the good file, with the hash put right; must be refused with `word` in the
 * message. */
static void hostile(size_t at, const void *v, size_t size, const char *word) {
    unsigned char *b = malloc(length);
    memcpy(b, good, length);
    memcpy(b + at, v, size);
    fix_hash(b, length);
    cr_assert_eq(pwrite(fd, b, length, 0), (ssize_t)length);
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(path, &ck), RV_ECKPT, "byte %zu", at);
    cr_assert(strstr(rv_error_message(), word), "byte %zu: '%s' lacks '%s'", at, rv_error_message(), word);
    free(b);
}

/* Where the k-th item's entry starts. */
static size_t entry(int k) {
    size_t at = RV__MF_HEAD;
    for (; k > 0; k--) at += (24 + 8 * (size_t)good[at + 3] + good[at] + 256u * good[at + 1] + 7) & ~(size_t)7;
    return at;
}

static int item_at(const char *name) {
    for (int k = 0; k < SAMPLE_ITEMS; k++) {
        size_t at = entry(k);
        if (!memcmp(good + at + 24 + 8 * good[at + 3], name, strlen(name))) return k;
    }
    abort();
}

static void hostile32(size_t at, uint32_t v, const char *word) { hostile(at, &v, 4, word); }
static void hostile64(size_t at, uint64_t v, const char *word) { hostile(at, &v, 8, word); }

Test(damage, the_helper_can_make_a_good_file) { /* else the cases below prove nothing */
    unsigned char *b = malloc(length);
    memcpy(b, good, length);
    b[72] = 'Z'; /* the writer's version may be anything */
    fix_hash(b, length);
    cr_assert_eq(pwrite(fd, b, length, 0), (ssize_t)length);
    free(b);
    cr_assert(opens(), "%s", rv_error_message());
}

Test(damage, hostile_heads) {
    hostile(0, "RAVELCKQ", 8, "not a checkpoint");
    hostile32(8, 2, "format 2");
    hostile32(8, 0, "format 0");
    static const uint32_t blocks[] = {0, 1, 32768, 65537, 131072, 1u << 27, 1u << 31, ~0u};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) hostile32(12, blocks[i], "damaged");
    static const uint64_t lengths[] = {0, 1, 95, ~0ull, 1ull << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) hostile64(16, lengths[i], "cut");
    hostile64(40, 1ull << 63, "step");
    static const uint32_t counts[] = {SAMPLE_ITEMS - 1, SAMPLE_ITEMS + 1, 65536, 65537, 1u << 31, ~0u};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) hostile32(64, counts[i], "damaged");
    static const uint32_t used[] = {0, 95, 96, 100, 65535, 65537, ~0u};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) hostile32(68, used[i], "damaged");
    hostile(48, "0123456789abcdef", 16, "hash of the state");
}

Test(damage, hostile_items) {
    size_t e = entry(item_at("/model/decoder.rnn.weight_ih_l0")), b = entry(item_at("/model/bias"));
    uint64_t place, other;
    memcpy(&place, good + e + 8, 8);
    memcpy(&other, good + b + 8, 8);
    for (unsigned t = 2; t < 256; t++)
        hostile(e + 2, &(unsigned char){(unsigned char)t}, 1, "damaged"); /* 2, 5: sizes do not fit */
    for (unsigned d = 3; d < 256; d++) hostile(e + 3, &(unsigned char){(unsigned char)d}, 1, "damaged");
    hostile(e, "\xff\xff", 2, "damaged");
    hostile(e, "\x00\x00", 2, "damaged");
    hostile64(e + 8, other, "share bytes");
    static const uint64_t offsets[] = {0, 64, 65472, 1ull << 40, 1ull << 63, ~0ull, ~0ull - 63, ~0ull - 23};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) hostile64(e + 8, offsets[i], "not inside");
    hostile64(e + 8, place + 4, "not inside"); /* not aligned */
    hostile64(e + 8, length & ~63ull, "not inside");
    static const uint64_t sizes[] = {0, 23, 25, 1ull << 40, ~0ull};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) hostile64(e + 16, sizes[i], "damaged");
    static const uint64_t dims[] = {0, 1, 1ull << 61, 1ull << 62, 1ull << 63, ~0ull, 0x5555555555555556ull};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) hostile64(e + 24, dims[i], "damaged");
    int64_t wrap[2] = {5, 0xcccccccccccccce}; /* 5 * this * 4 bytes is 24 modulo 2^64, as it should be */
    hostile(e + 24, wrap, sizeof wrap, "type, shape or size");
    hostile(e + 40, "/model/../../../", 16, "damaged");
    hostile(e + 40, "/model/\0", 8, "damaged");
    hostile(e + 40, "model/x", 7, "damaged");
    hostile(e + 40, "/a", 2, "order");
}

/* A head that promises more than there is must not lead to an allocation of that size. */
Test(damage, sparse_bomb) {
    unsigned char head[96];
    memcpy(head, good, sizeof head);
    uint64_t huge = 1ull << 46;
    memcpy(head + 16, &huge, 8);
    cr_assert_eq(pwrite(fd, head, sizeof head, 0), (ssize_t)sizeof head);
    if (ftruncate(fd, (off_t)huge)) cr_skip_test("no such long files here");
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(path, &ck), RV_ECKPT);
    cr_assert(strstr(rv_error_message(), "memory"));
    cr_assert_null(ck);
}

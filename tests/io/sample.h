/* A small checkpoint with an item of every type, and a folder to put it in. */
#ifndef RV_TESTS_IO_SAMPLE_H
#define RV_TESTS_IO_SAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/checkpoint.h"

static const float sample_w[6] = {1, -2.5f, 3e-8f, 4, 5, 6};
static const double sample_m[2] = {0.1, -1e300};
static const int32_t sample_i[3] = {-1, 0, 2147483647};
static const int64_t sample_step = 7, sample_cursor[2] = {-9, 1ll << 60};
static const uint64_t sample_seed = ~0ull;

enum { SAMPLE_ITEMS = 10 };
static const rv_ck_item sample[SAMPLE_ITEMS] = {
    {"/trainer/step", RV_CK_I64, 0, {0}, &sample_step},
    {"/model/decoder.rnn.weight_ih_l0", RV_CK_F32, 2, {2, 3}, sample_w},
    {"/model/bias", RV_CK_F32, 4, {1, 3, 1, 2}, sample_w},
    {"/optimizer/exp_avg/bias", RV_CK_F64, 1, {2}, sample_m},
    {"/rng/seed", RV_CK_U64, 0, {0}, &sample_seed},
    {"/data/order", RV_CK_I32, 1, {3}, sample_i},
    {"/data/cursor", RV_CK_I64, 1, {2}, sample_cursor},
    {"/config/source", RV_CK_U8, 1, {12}, "name: tiny\n\xff"},
    {"/config/resolved", RV_CK_U8, 1, {0}, NULL},
    {"/tokenizer/vocab", RV_CK_U8, 1, {3}, "a\nb"},
};

/* A new empty folder below TMPDIR or /tmp; static memory. */
static inline const char *sample_folder(void) {
    static char path[256];
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/ravel-test-XXXXXX", tmp && strlen(tmp) < 200 ? tmp : "/tmp");
    if (!mkdtemp(path)) abort();
    return path;
}

static inline void sample_remove(const char *folder) {
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command)) abort();
}

static inline void sample_path(char out[400], const char *folder, const char *name) {
    snprintf(out, 400, "%s/%s", folder, name);
}

/* The whole file; the caller frees. */
static inline unsigned char *sample_read(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) abort();
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *b = malloc(*n + 1);
    if (!b || fread(b, 1, *n, f) != *n) abort();
    b[*n] = 0;
    fclose(f);
    return b;
}

static inline void sample_write(const char *path, const void *b, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(b, 1, n, f) != n || fclose(f)) abort();
}

#endif

/* What is saved is what is loaded, by ravel and by any HDF5 reader; equal states give equal files; old files load. */
#include <criterion/criterion.h>
#include <hdf5.h>

#include "io/sample.h"

static char folder[256], file[400];
static void setup(void) {
    snprintf(folder, sizeof folder, "%s", sample_folder());
    sample_path(file, folder, "a.h5");
}
static void teardown(void) { sample_remove(folder); }
TestSuite(checkpoint, .init = setup, .fini = teardown);

static void check_sample(const rv_checkpoint *ck) {
    cr_assert_eq(rv_checkpoint_count(ck), SAMPLE_ITEMS);
    for (int i = 0; i < SAMPLE_ITEMS; i++) {
        const rv_ck_item *want = &sample[i], *got = rv_checkpoint_find(ck, want->path);
        cr_assert(got, "%s is missing", want->path);
        cr_assert_eq(got->type, want->type);
        cr_assert_eq(got->ndim, want->ndim);
        for (int d = 0; d < want->ndim; d++) cr_assert_eq(got->dim[d], want->dim[d]);
        size_t bytes = (size_t)rv_ck_count(want) * rv_ck_type_size(want->type);
        cr_assert(!bytes || !memcmp(got->data, want->data, bytes), "%s differs", want->path);
        cr_assert_eq((uintptr_t)got->data % 64, 0);
        if (i) cr_assert_lt(strcmp(rv_checkpoint_item(ck, i - 1)->path, rv_checkpoint_item(ck, i)->path), 0);
    }
}

Test(checkpoint, round_trip) {
    char hash[RV_CK_HASH_TEXT];
    cr_assert_eq(rv_checkpoint_save(file, 7, SAMPLE_ITEMS, sample, hash), RV_OK, "%s", rv_error_message());
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(file, &ck), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_checkpoint_step(ck), 7);
    cr_assert_str_eq(rv_checkpoint_state_hash(ck), hash);
    cr_assert_str_eq(rv_checkpoint_writer(ck), RV_VERSION);
    cr_assert_str_eq(rv_checkpoint_path(ck), file);
    check_sample(ck);

    float w[6];
    cr_assert_eq(rv_checkpoint_read(ck, "/model/bias", RV_CK_F32, 6, w), RV_OK);
    cr_assert_arr_eq(w, sample_w, sizeof w);
    cr_assert_eq(rv_checkpoint_read(ck, "/model/bias", RV_CK_F32, 5, w), RV_ECKPT);
    cr_assert_eq(rv_checkpoint_read(ck, "/model/bias", RV_CK_I32, 6, w), RV_ECKPT);
    cr_assert_eq(rv_checkpoint_read(ck, "/model/none", RV_CK_F32, 6, w), RV_ECKPT);
    cr_assert(strstr(rv_error_message(), file) && strstr(rv_error_message(), "/model/none"));
    rv_checkpoint_close(ck);
}

/* Handed on in memory: the same as through a file, and no longer the caller's. */
Test(checkpoint, without_a_file) {
    rv_ck_item items[SAMPLE_ITEMS];
    char paths[SAMPLE_ITEMS][RV_CK_MAX_PATH], hash[RV_CK_HASH_TEXT];
    for (int i = 0; i < SAMPLE_ITEMS; i++) {
        items[i] = sample[SAMPLE_ITEMS - 1 - i];
        items[i].path = strcpy(paths[i], items[i].path);
    }
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_of("a vocabulary", SAMPLE_ITEMS, items, &ck), RV_OK, "%s", rv_error_message());
    memset(paths, 'x', sizeof paths);
    check_sample(ck);
    cr_assert_eq(rv_ck_state_hash(SAMPLE_ITEMS, sample, hash), RV_OK);
    cr_assert_str_eq(rv_checkpoint_state_hash(ck), hash);
    float w[6];
    cr_assert_eq(rv_checkpoint_read(ck, "/model/none", RV_CK_F32, 6, w), RV_ECKPT);
    cr_assert(strstr(rv_error_message(), "a vocabulary: has no '/model/none'"), "%s", rv_error_message());
    cr_assert_eq(rv_checkpoint_read(ck, "/model/bias", RV_CK_F32, 6, w), RV_OK);
    rv_checkpoint_close(ck);
}

Test(checkpoint, equal_states_give_equal_files) {
    rv_ck_item reversed[SAMPLE_ITEMS];
    for (int i = 0; i < SAMPLE_ITEMS; i++) reversed[i] = sample[SAMPLE_ITEMS - 1 - i];
    char other[400], h[2][RV_CK_HASH_TEXT];
    sample_path(other, folder, "b.h5");
    cr_assert_eq(rv_checkpoint_save(file, 7, SAMPLE_ITEMS, sample, h[0]), RV_OK);
    usleep(1100000); /* a time stamp has seconds */
    cr_assert_eq(rv_checkpoint_save(other, 7, SAMPLE_ITEMS, reversed, h[1]), RV_OK);
    size_t n[2];
    unsigned char *b[2] = {sample_read(file, &n[0]), sample_read(other, &n[1])};
    cr_assert_eq(n[0], n[1]);
    cr_assert(!memcmp(b[0], b[1], n[0]));
    cr_assert_str_eq(h[0], h[1]);
    free(b[0]);
    free(b[1]);
}

/* Each change of the state changes its hash; configuration and tokenizer are not the state. */
Test(checkpoint, state_hash) {
    char h0[RV_CK_HASH_TEXT], h[RV_CK_HASH_TEXT];
    cr_assert_eq(rv_ck_state_hash(SAMPLE_ITEMS, sample, h0), RV_OK);
    for (int i = 0; i < SAMPLE_ITEMS; i++) {
        rv_ck_item it[SAMPLE_ITEMS];
        char path[RV_CK_MAX_PATH], data[64];
        size_t bytes = (size_t)rv_ck_count(&sample[i]) * rv_ck_type_size(sample[i].type);
        bool state = strncmp(sample[i].path, "/config/", 8) && strncmp(sample[i].path, "/tokenizer/", 11);
        if (bytes) { /* a byte */
            memcpy(it, sample, sizeof it);
            memcpy(data, sample[i].data, bytes);
            data[bytes - 1] ^= 1;
            it[i].data = data;
            cr_assert_eq(rv_ck_state_hash(SAMPLE_ITEMS, it, h), RV_OK);
            cr_assert_eq(strcmp(h, h0) != 0, state, "%s", sample[i].path);
        }
        memcpy(it, sample, sizeof it); /* the name */
        snprintf(path, sizeof path, "%sx", sample[i].path);
        it[i].path = path;
        cr_assert_eq(rv_ck_state_hash(SAMPLE_ITEMS, it, h), RV_OK);
        cr_assert_eq(strcmp(h, h0) != 0, state, "%s", sample[i].path);
        memcpy(it, sample, sizeof it); /* the shape, with the same bytes */
        if (it[i].ndim < RV_CK_MAX_DIMS) {
            it[i].dim[it[i].ndim++] = 1;
            cr_assert_eq(rv_ck_state_hash(SAMPLE_ITEMS, it, h), RV_OK);
            cr_assert_eq(strcmp(h, h0) != 0, state, "%s", sample[i].path);
        }
    }
}

Test(checkpoint, never_overwrites) {
    sample_write(file, "mine", 4);
    cr_assert_eq(rv_checkpoint_save(file, 7, SAMPLE_ITEMS, sample, NULL), RV_ECKPT);
    cr_assert(strstr(rv_error_message(), "exists already"));
    size_t n;
    unsigned char *b = sample_read(file, &n);
    cr_assert(n == 4 && !memcmp(b, "mine", 4));
    free(b);
}

Test(checkpoint, refuses_bad_items) {
    static const char *const paths[] = {"",     "x",     "/",       "//x",   "/a/",    "/a//b",
                                        "/./a", "/a/..", "/a/../b", "/a\nb", "/a\x7f", "/\xc3\xa9"};
    float x = 0;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        rv_ck_item it = {paths[i], RV_CK_F32, 0, {0}, &x};
        cr_assert_eq(rv_checkpoint_save(file, 0, 1, &it, NULL), RV_ECKPT, "'%s' is accepted", paths[i]);
        cr_assert(access(file, F_OK));
    }
    const struct {
        rv_ck_item it[2];
        int n;
    } bad[] = {
        {{{"/a", RV_CK_F32, 1, {-1}, &x}}, 1},
        {{{"/a", RV_CK_F32, 5, {1}, &x}}, 1},
        {{{"/a", RV_CK_F64, 2, {1ll << 40, 1ll << 40}, &x}}, 1},
        {{{"/a", (rv_ck_type)6, 0, {0}, &x}}, 1},
        {{{"/a", RV_CK_F32, 1, {1}, NULL}}, 1},
        {{{"/a", RV_CK_F32, 0, {0}, &x}, {"/a", RV_CK_F32, 0, {0}, &x}}, 2},
        {{{"/a", RV_CK_F32, 0, {0}, &x}, {"/a/b", RV_CK_F32, 0, {0}, &x}}, 2}, /* an array that is also a group */
        {{{NULL, RV_CK_F32, 0, {0}, &x}}, 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(rv_checkpoint_save(file, 0, bad[i].n, bad[i].it, NULL), RV_ECKPT, "case %zu is accepted", i);
        cr_assert(access(file, F_OK));
        if (bad[i].n == 2 && !strcmp(bad[i].it[1].path, "/a/b")) { /* which call, why, and at which item */
            cr_assert(strstr(rv_error_message(), "H5Lexists failed: ") ||
                          strstr(rv_error_message(), "H5Dcreate2 failed: "),
                      "%s", rv_error_message());
            cr_assert(strstr(rv_error_message(), "at item '/a/b'"), "%s", rv_error_message());
        }
    }
    cr_assert_eq(rv_checkpoint_save(file, -1, 0, NULL, NULL), RV_ECKPT);
    cr_assert_eq(rv_checkpoint_save("/nonexistent-folder/a.h5", 0, 1, &(rv_ck_item){"/a", RV_CK_F32, 0, {0}, &x}, NULL),
                 RV_ECKPT);
}

Test(checkpoint, empty_and_many_items) {
    cr_assert_eq(rv_checkpoint_save(file, 0, 0, NULL, NULL), RV_OK, "%s", rv_error_message());
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(file, &ck), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_checkpoint_count(ck), 0);
    rv_checkpoint_close(ck);

    enum { MANY = 3000 }; /* its manifest needs a user block of more than 64 KiB */
    static rv_ck_item it[MANY];
    static char name[MANY][64];
    static int32_t v[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(name[i], sizeof name[i], "/%s/encoder.layers.%d.self_attn.weight",
                 i % 2 ? "model" : "optimizer/exp_avg", i);
        v[i] = i;
        it[i] = (rv_ck_item){name[i], RV_CK_I32, 1, {1}, &v[i]};
    }
    sample_path(file, folder, "many.h5");
    cr_assert_eq(rv_checkpoint_save(file, 1, MANY, it, NULL), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_checkpoint_open(file, &ck), RV_OK, "%s", rv_error_message());
    for (int i = 0; i < MANY; i++) {
        int32_t x = -1;
        cr_assert_eq(rv_checkpoint_read(ck, name[i], RV_CK_I32, 1, &x), RV_OK);
        cr_assert_eq(x, i);
    }
    rv_checkpoint_close(ck);
}

Test(checkpoint, opens_only_regular_files) {
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(folder, &ck), RV_ECKPT);
    cr_assert_null(ck);
    cr_assert_eq(rv_checkpoint_open("/dev/zero", &ck), RV_ECKPT);
    cr_assert_eq(rv_checkpoint_open("/nonexistent", &ck), RV_ECKPT);
}

/* A file of format 1, made once and committed: every later ravel reads it. */
Test(checkpoint, golden_file) {
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(RV_TEST_DIR "/golden/checkpoint-v1.h5", &ck), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_checkpoint_step(ck), 7);
    check_sample(ck);
    char now[RV_CK_HASH_TEXT];
    cr_assert_eq(rv_ck_state_hash(SAMPLE_ITEMS, sample, now), RV_OK);
    cr_assert_str_eq(rv_checkpoint_state_hash(ck), now);
    rv_checkpoint_close(ck);
}

/* libhdf5 1.10 wrote the golden file: 1.12 and 1.14 lay out the same bytes. 2.x states version 3 of the layout message
 * where they state 4 (seen with 2.2.0); each reads the other's. */
Test(checkpoint, same_bytes_from_every_libhdf5) {
    if (H5_VERS_MAJOR > 1) cr_skip_test("libhdf5 %d: another version of the layout message", H5_VERS_MAJOR);
    if (strcmp(RV_VERSION, "0.1.0")) cr_skip_test("a file names the version of its writer: the golden file's is 0.1.0");
    cr_assert_eq(rv_checkpoint_save(file, 7, SAMPLE_ITEMS, sample, NULL), RV_OK, "%s", rv_error_message());
    size_t n, expected;
    unsigned char *got = sample_read(file, &n), *want = sample_read(RV_TEST_DIR "/golden/checkpoint-v1.h5", &expected);
    cr_assert_eq(n, expected);
    for (size_t i = 0; i < n; i++) cr_assert_eq(got[i], want[i], "byte %zu", i);
    free(got);
    free(want);
}

/* What a PyTorch user does. */
Test(checkpoint, h5py_reads_it) {
    const char *python = "/usr/bin/python3";
    if (access(python, X_OK) || system("/usr/bin/python3 -c 'import h5py' 2>/dev/null"))
        cr_skip_test("no h5py (Debian: python3-h5py)");
    cr_assert_eq(rv_checkpoint_save(file, 7, SAMPLE_ITEMS, sample, NULL), RV_OK);
    char script[400], command[900];
    sample_path(script, folder, "read.py");
    static const char code[] =
        "import sys, h5py, numpy as np\n"
        "with h5py.File(sys.argv[1], 'r') as f:\n"
        "    m = {k: d[()] for k, d in f['model'].items()}\n"
        "    w = np.array([1, -2.5, 3e-8, 4, 5, 6], np.float32)\n"
        "    assert set(m) == {'bias', 'decoder.rnn.weight_ih_l0'}, m\n"
        "    assert m['bias'].shape == (1, 3, 1, 2) and m['bias'].dtype == np.float32 and (m['bias'].ravel() == "
        "w).all()\n"
        "    assert (m['decoder.rnn.weight_ih_l0'] == w.reshape(2, 3)).all()\n"
        "    assert f.attrs['format'] == b'ravel-checkpoint' and f.attrs['format_version'] == 1 and f.attrs['step'] == "
        "7\n"
        "    assert len(f.attrs['state_hash']) == 32 and len(f.attrs['ravel_version'])\n"
        "    assert f['config/source'][()].tobytes() == b'name: tiny\\n\\xff' and f['config/resolved'].shape == (0,)\n"
        "    assert f['rng/seed'][()] == 2**64 - 1 and f['trainer/step'][()] == 7 and list(f['data/order']) == [-1, 0, "
        "2**31 - 1]\n"
        "    assert list(f['optimizer/exp_avg/bias']) == [0.1, -1e300] and list(f['data/cursor']) == [-9, 2**60]\n"
        "    assert f['model/bias'].chunks is None and f['model/bias'].compression is None\n";
    sample_write(script, code, sizeof code - 1);
    snprintf(command, sizeof command, "%s '%s' '%s'", python, script, file);
    cr_assert_eq(system(command), 0);
}

Test(checkpoint, average) {
    const char *dir = sample_folder();
    char path[3][400], out[400];
    const char *files[3];
    static const float w[3][3] = {{1, 2, 3}, {3, 2, -3}, {2, 5, 9}};
    static const double m[3] = {1, 2, 4};
    for (int f = 0; f < 3; f++) {
        char name[16];
        snprintf(name, sizeof name, "%d.h5", f);
        sample_path(path[f], dir, name);
        files[f] = path[f];
        const rv_ck_item items[] = {{"/model/w", RV_CK_F32, 1, {3}, w[f]},
                                    {"/model/m", RV_CK_F64, 0, {0}, &m[f]},
                                    {"/optimizer/exp_avg/w", RV_CK_F32, 1, {3}, w[f]}};
        cr_assert_eq(rv_checkpoint_save(path[f], f, 3, items, NULL), RV_OK, "%s", rv_error_message());
    }
    sample_path(out, dir, "mean.h5");
    cr_assert_eq(rv_checkpoint_average(out, 3, files, NULL), RV_OK, "%s", rv_error_message());
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(out, &ck), RV_OK, "%s", rv_error_message());
    cr_assert_arr_eq(rv_checkpoint_find(ck, "/model/w")->data, ((const float[]){2, 3, 3}), 3 * sizeof(float));
    cr_assert_float_eq(*(const double *)rv_checkpoint_find(ck, "/model/m")->data, 7. / 3, 1e-15);
    cr_assert_arr_eq(rv_checkpoint_find(ck, "/optimizer/exp_avg/w")->data, w[2], 3 * sizeof(float),
                     "not of the model: the last one's");
    cr_assert_eq(rv_checkpoint_step(ck), 2);
    rv_checkpoint_close(ck);
    cr_assert_eq(rv_checkpoint_average(out, 3, files, NULL), RV_ECKPT, "an existing file is not overwritten");
    sample_remove(dir);
}

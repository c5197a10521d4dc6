/* A checkpoint that another program changed becomes a new one; what does not fit, or is hostile, is refused (G9). */
#include <criterion/criterion.h>
#include <hdf5.h>
#include <sys/stat.h>

#include "base/rng.h"
#include "io/sample.h"

static char base[400], file[400], out[400];
static const char *folder;
static const float changed[6] = {7, 8, 9, 10, 11, -0.0f};
static char want[RV_CK_HASH_TEXT]; /* of the sample with `changed` as its weight_ih_l0 */

static void setup(void) {
    folder = sample_folder();
    sample_path(base, folder, "base.h5");
    sample_path(file, folder, "file.h5");
    sample_path(out, folder, "out.h5");
    rv_ck_item items[SAMPLE_ITEMS];
    memcpy(items, sample, sizeof items);
    items[1].data = changed;
    if (rv_checkpoint_save(base, 7, SAMPLE_ITEMS, sample, NULL) != RV_OK ||
        rv_ck_state_hash(SAMPLE_ITEMS, items, want) != RV_OK)
        abort();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}
static void teardown(void) { sample_remove(folder); }
TestSuite(seal, .init = setup, .fini = teardown, .timeout = 300);

static const char weight[] = "/model/decoder.rnn.weight_ih_l0";

static void sealed(const char *like) {
    char hash[RV_CK_HASH_TEXT];
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_seal(out, file, like, hash), RV_OK, "%s", rv_error_message());
    cr_assert_str_eq(hash, want);
    cr_assert_eq(rv_checkpoint_open(out, &ck), RV_OK, "%s", rv_error_message());
    cr_assert_str_eq(rv_checkpoint_state_hash(ck), want);
    cr_assert_eq(rv_checkpoint_step(ck), 7);
    cr_assert_eq(rv_checkpoint_count(ck), SAMPLE_ITEMS);
    rv_checkpoint_close(ck);
}

static void refused(const char *like, const char *why) {
    struct stat st;
    cr_assert_eq(rv_checkpoint_seal(out, file, like, NULL), RV_ECKPT);
    cr_assert(strstr(rv_error_message(), why), "'%s' does not say '%s'", rv_error_message(), why);
    cr_assert(strstr(rv_error_message(), file));
    cr_assert(lstat(out, &st), "a refused file leaves nothing");
}

/* A copy of the base, changed through libhdf5. */
static hid_t open_copy(void) {
    size_t n;
    unsigned char *b = sample_read(base, &n);
    sample_write(file, b, n);
    free(b);
    return H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT);
}

static void write_dataset(hid_t f, const char *name, hid_t type, int ndim, const hsize_t *dim, hid_t dcpl,
                          const void *x) {
    hid_t space = H5Screate_simple(ndim, dim, NULL), lcpl = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(lcpl, 1);
    hid_t set = H5Dcreate2(f, name, type, space, lcpl, dcpl, H5P_DEFAULT);
    if (set < 0 || (x && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) < 0)) abort();
    H5Dclose(set), H5Sclose(space), H5Pclose(lcpl);
}

static const hsize_t dims[2] = {2, 3}, bias_dims[4] = {1, 3, 1, 2};

Test(seal, tensors_written_in_place) {
    hid_t f = open_copy(), set = H5Dopen2(f, weight, H5P_DEFAULT);
    rv_checkpoint *ck;
    cr_assert_geq(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, changed), 0);
    H5Dclose(set), H5Fclose(f);
    cr_assert_eq(rv_checkpoint_open(file, &ck), RV_ECKPT);
    cr_assert(strstr(rv_error_message(), "ravel ckpt seal"), "%s", rv_error_message());
    sealed(NULL);
}

Test(seal, a_whole_checkpoint_gives_the_same_bytes) {
    size_t n, m;
    H5Fclose(open_copy());
    cr_assert_eq(rv_checkpoint_seal(out, file, NULL, NULL), RV_OK, "%s", rv_error_message());
    unsigned char *a = sample_read(base, &n), *b = sample_read(out, &m);
    cr_assert(n == m && !memcmp(a, b, n));
    free(a), free(b);
    cr_assert_eq(rv_checkpoint_seal(out, file, NULL, NULL), RV_ECKPT, "nothing is overwritten");
}

/* The tensor lies elsewhere now: its old place must not be taken for it. */
Test(seal, a_replaced_tensor_needs_like) {
    hid_t f = open_copy();
    H5Ldelete(f, weight, H5P_DEFAULT);
    write_dataset(f, weight, H5T_IEEE_F32LE, 2, dims, H5P_DEFAULT, changed);
    H5Fclose(f);
    struct stat st;
    cr_assert_eq(rv_checkpoint_seal(out, file, NULL, NULL), RV_ECKPT);
    cr_assert(lstat(out, &st));
    sealed(base);
}

/* Behind the manifest a changed byte is a tensor's, and taken, or HDF5's structure, and refused. */
Test(seal, structure_between_the_arrays_counts) {
    size_t n, taken = 0, bytes = 0;
    for (int i = 0; i < SAMPLE_ITEMS; i++) bytes += (size_t)rv_ck_count(&sample[i]) * rv_ck_type_size(sample[i].type);
    H5Fclose(open_copy());
    unsigned char *b = sample_read(file, &n);
    for (size_t at = 65536; at < n; at++) {
        b[at] ^= 1;
        sample_write(file, b, n);
        b[at] ^= 1;
        taken += rv_checkpoint_seal(out, file, NULL, NULL) == RV_OK;
        unlink(out);
    }
    free(b);
    cr_assert_eq(taken, bytes, "%zu of %zu", taken, bytes);
}

/* ---- with like: a fresh file of the two tensors; `make` writes the weight in its own way. */
static void of_type(hid_t f, hid_t type) { write_dataset(f, weight, type, 2, dims, H5P_DEFAULT, changed); }
static void good(hid_t f) { of_type(f, H5T_IEEE_F32LE); }
static void compact(hid_t f) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(p, H5D_COMPACT);
    write_dataset(f, weight, H5T_IEEE_F32LE, 2, dims, p, changed);
    H5Pclose(p);
}
static void missing(hid_t f) { (void)f; }
static void wide(hid_t f) { of_type(f, H5T_IEEE_F64LE); }
static void big_endian(hid_t f) { of_type(f, H5T_IEEE_F32BE); }
static void turned(hid_t f) { write_dataset(f, weight, H5T_IEEE_F32LE, 2, (hsize_t[]){3, 2}, H5P_DEFAULT, changed); }
static void flat(hid_t f) { write_dataset(f, weight, H5T_IEEE_F32LE, 1, (hsize_t[]){6}, H5P_DEFAULT, changed); }
static void group(hid_t f) { H5Gclose(H5Gcreate2(f, weight, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)); }
static void soft(hid_t f) { H5Lcreate_soft("/model/bias", f, weight, H5P_DEFAULT, H5P_DEFAULT); }
static void external_link(hid_t f) { H5Lcreate_external(base, weight, f, weight, H5P_DEFAULT, H5P_DEFAULT); }
static void extra(hid_t f) {
    good(f);
    write_dataset(f, "/model/decoder.more\x1b", H5T_IEEE_F32LE, 1, (hsize_t[]){1}, H5P_DEFAULT, changed);
}
static void no_bytes(hid_t f) { write_dataset(f, weight, H5T_IEEE_F32LE, 2, dims, H5P_DEFAULT, NULL); }
static void chunked(hid_t f) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(p, 2, dims);
    write_dataset(f, weight, H5T_IEEE_F32LE, 2, dims, p, changed);
    H5Pclose(p);
}
static void external_storage(hid_t f) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(p, "/etc/passwd", 0, 24);
    write_dataset(f, weight, H5T_IEEE_F32LE, 2, dims, p, NULL);
    H5Pclose(p);
}
static void virtual_set(hid_t f) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, dims, NULL);
    H5Pset_virtual(p, space, base, weight, space);
    write_dataset(f, weight, H5T_IEEE_F32LE, 2, dims, p, NULL);
    H5Pclose(p), H5Sclose(space);
}

static const struct {
    const char *why; /* NULL: it is taken */
    void (*make)(hid_t);
} fresh[] = {
    {NULL, good},
    {NULL, compact},
    {"has no '/model/decoder.rnn.weight_ih_l0'", missing},
    {"is not float32", wide},
    {"is not float32", big_endian},
    {"has the shape (3, 2) instead of (2, 3)", turned},
    {"has the shape (6,) instead of (2, 3)", flat},
    {"is a link or no dataset", group},
    {"is a link or no dataset", soft},
    {"is a link or no dataset", external_link},
    {"its '/model/decoder.more?' has no place", extra},
    {"has no data in the file", no_bytes},
    {"is chunked", chunked},
    {"is chunked", external_storage},
    {"is chunked", virtual_set},
};

static void make_fresh(void (*make)(hid_t)) {
    hid_t f = H5Fcreate(file, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    write_dataset(f, "/model/bias", H5T_IEEE_F32LE, 4, bias_dims, H5P_DEFAULT, sample_w);
    make(f);
    H5Fclose(f);
}

Test(seal, weights_of_a_fresh_file) {
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++) {
        make_fresh(fresh[i].make);
        if (fresh[i].why)
            refused(base, fresh[i].why);
        else
            sealed(base);
        unlink(out);
    }
    sample_write(file, "no HDF5", 7);
    refused(base, "cannot open it");
    hid_t f = H5Fcreate(file, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external(base, "/model", f, "/model", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(f);
    refused(base, "has no group '/model'");
    unlink(file);
    cr_assert_eq(mkfifo(file, 0600), 0);
    refused(base, "not a regular file");
    refused(NULL, "not a regular file");
}

/* Mutated files end in a status: what libhdf5 does on them stays in the child. */
Test(seal, mutated_files_are_refused_or_read) {
    size_t n;
    make_fresh(good);
    unsigned char *b = sample_read(file, &n);
    rv_rng r = rv_rng_make(1, "mutations", 0);
    int read = 0, refusals = 0;
    for (int i = 0; i < 200; i++) {
        unsigned char *m = malloc(n);
        memcpy(m, b, n);
        for (uint64_t k = 1 + rv_rng_below(&r, 4); k--;) m[rv_rng_below(&r, n)] = (unsigned char)rv_rng_u32(&r);
        sample_write(file, m, rv_rng_below(&r, 8) ? n : rv_rng_below(&r, n));
        free(m);
        rv_status st = rv_checkpoint_seal(out, file, base, NULL);
        cr_assert(st == RV_OK || st == RV_ECKPT, "%s", rv_error_message());
        read += st == RV_OK, refusals += st != RV_OK;
        unlink(out);
    }
    free(b);
    cr_assert(read > 10 && refusals > 10, "%d read, %d refused", read, refusals);
}

#include "reference.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>

static hid_t open_file(const char *file) {
    char path[1024];
    snprintf(path, sizeof path, "%s/reference/%s", RV_TEST_DIR, file);
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (f < 0) {
        fprintf(stderr, "cannot open %s; make it with tests/reference/make_*.py\n", path);
        abort();
    }
    return f;
}

double *rv_ref_read(const char *file, const char *path, int *ndim, int64_t *dims) {
    hid_t f = open_file(file), d = H5Dopen2(f, path, H5P_DEFAULT);
    if (d < 0) {
        fprintf(stderr, "%s has no dataset %s\n", file, path);
        abort();
    }
    hid_t s = H5Dget_space(d);
    hsize_t size[H5S_MAX_RANK];
    int n = H5Sget_simple_extent_dims(s, size, NULL);
    if (ndim) *ndim = n;
    for (int i = 0; dims && i < n && i < 8; i++) dims[i] = (int64_t)size[i];
    double *x = malloc((size_t)H5Sget_simple_extent_npoints(s) * sizeof *x + 1);
    if (!x || H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) < 0) {
        fprintf(stderr, "cannot read %s in %s\n", path, file);
        abort();
    }
    H5Sclose(s);
    H5Dclose(d);
    H5Fclose(f);
    return x;
}

int rv_ref_has(const char *file, const char *path) {
    hid_t f = open_file(file);
    htri_t there = H5Lexists(f, path, H5P_DEFAULT);
    H5Fclose(f);
    return there > 0;
}

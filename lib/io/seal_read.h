/* The tensors of a model from any HDF5 file, which may be hostile. */
#ifndef RV_IO_SEAL_READ_H
#define RV_IO_SEAL_READ_H

#include "io/checkpoint.h"

/* Read the dataset of each item's path from the HDF5 file `path` into to[i]; type and shape are the item's. All items
 * are directly in /model, which, if strict, must hold nothing else. RV_ECKPT names the first that does not fit. */
rv_status rv__seal_read(const char *path, int n, const rv_ck_item *items, bool strict, void *const *to);

/* A dataset of the file. */
typedef struct {
    char path[RV_CK_MAX_PATH];
    int type; /* RV_CK_F32 or RV_CK_F64, little-endian; -1: another, which is not read */
    int ndim; /* more than RV_CK_MAX_DIMS, or -1 for none: it is not read, either */
    int64_t dim[RV_CK_MAX_DIMS];
} rv__seal_listed;
/* Lists the datasets directly in /model of the HDF5 file `path`. The caller frees *out. RV_ECKPT as above; no tensor is
 * larger than the file. */
rv_status rv__seal_list(const char *path, rv__seal_listed **out, int *n);

#endif

/* The tensors of a model from any HDF5 file, which may be hostile. */
#ifndef RV_IO_SEAL_READ_H
#define RV_IO_SEAL_READ_H

#include "io/checkpoint.h"

/* Read the dataset of each item's path from the HDF5 file `path` into to[i]; type and shape are the item's. All items
 * are directly in /model, which must hold nothing else. RV_ECKPT names the first that does not fit. */
rv_status rv__seal_read(const char *path, int n, const rv_ck_item *items, void *const *to);

#endif

/* What parts are taken from: a checkpoint, or an HDF5 file of another program's. */
#ifndef RV_TRAIN_TAKE_PRIVATE_H
#define RV_TRAIN_TAKE_PRIVATE_H

#include "io/run_dir.h"
#include "io/seal_read.h"
#include "tensor/tensor.h"
#include "train/parts.h"

typedef struct {
    char path[RV_PATH_MAX]; /* of the file */
    rv_checkpoint *saved;   /* NULL for another program's */
    rv__seal_listed *listed;
    int n;           /* tensors */
    rv__names names; /* theirs, without "/model/"; of a checkpoint also those of shared tables */
} rv__source;

/* `from`: a run's folder or a checkpoint; or a file that begins as HDF5 files do that nothing was put before. */
rv_status rv__source_open(const char *from, rv__source *out);
void rv__source_close(rv__source *s);
/* Type and shape of a tensor, and a checkpoint's data, too. RV_ECKPT if it is neither float32 nor float64,
 * or has too many dimensions. */
rv_status rv__source_describe(const rv__source *s, int tensor, rv_ck_item *out);
/* Copy the first n of a tensor's numbers. */
rv_status rv__source_read(const rv__source *s, int tensor, rv_real *to, int64_t n);

#endif

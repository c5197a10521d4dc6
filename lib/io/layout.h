/* The HDF5 side of a checkpoint, made wholly in memory: libhdf5 decides where everything goes and encodes its metadata,
 * but never sees a disk or the arrays' bytes. A disk error therefore cannot reach it (after a failed write libhdf5 1.10
 * may crash in H5Fclose or at exit). */
#ifndef RV_IO_LAYOUT_H
#define RV_IO_LAYOUT_H

#include "io/checkpoint.h"

enum { RV__LAYOUT_PAGE = 4096 };
typedef struct {
    unsigned char **page; /* the metadata, by page of the file; NULL where nothing was written: zeros or arrays */
    size_t pages;
    uint64_t length; /* of the file, with the user block */
    bool no_memory;  /* latched: libhdf5 is told that all is well */
} rv__layout;

/* Lay out a file of the items, sorted by path, behind a user block of `block` bytes; offset[i] gets the place of
 * items[i] in the file. Free the layout in any case. */
rv_status rv__layout_make(rv__layout *l, uint32_t block, int64_t step, const char *state_hash, int n,
                          const rv_ck_item *items, uint64_t *offset);
void rv__layout_free(rv__layout *l);

#endif

/* The manifest: the first bytes of a checkpoint, in HDF5's user block. All numbers are little-endian.
 *
 *      0  magic "RAVELCKP"
 *      8  u32 format version            12  u32 bytes of the user block: a power of two, at least 64 KiB
 *     16  u64 length of the file
 *     24  XXH3-128 (canonical) of all other bytes of the file
 *     40  i64 step
 *     48  XXH3-128 (canonical) of the state
 *     64  u32 number of items           68  u32 bytes of the manifest
 *     72  version of the writer, 24 bytes, zero-filled
 *     96  the items, in ascending order of their paths:
 *           u16 bytes of the path, u8 type, u8 ndim, u32 zero, u64 offset in the file, u64 bytes, i64 dim[ndim], path,
 *           zeros up to a multiple of 8
 *         then zeros up to the end of the user block. */
#ifndef RV_IO_MANIFEST_H
#define RV_IO_MANIFEST_H

#include "io/checkpoint.h"

enum {
    RV__MF_HASH_AT = 24,
    RV__MF_HASH_BYTES = 16,
    RV__MF_HEAD = 96,
    RV__MF_MIN_BLOCK = 65536,
    RV__MF_MAX_BLOCK = 1 << 26,
    RV__MF_WRITER = 24,
    RV__MF_ALIGN = 64, /* of the items' data in the file, so that they can be used in place */
};

typedef struct {
    unsigned char b[RV__MF_HASH_BYTES];
} rv__hash;

typedef struct {
    uint32_t block;
    uint64_t length;
    int64_t step;
    rv__hash state;
    int n;
    char writer[RV__MF_WRITER + 1];
} rv__manifest;

/* Check one item to be written: path, type, shape, bytes. RV_ECKPT names it. */
rv_status rv__manifest_check_item(const rv_ck_item *item, uint64_t *bytes);
/* Size of the user block that the items need. */
rv_status rv__manifest_block_size(int n, const rv_ck_item *items, uint32_t *block);
/* Fill the user block (zeroed, m->block bytes); the file's hash stays zero. offset[i] belongs to items[i]. */
void rv__manifest_encode(const rv__manifest *m, const rv_ck_item *items, const uint64_t *offset, unsigned char *block);

/* Check the first RV__MF_HEAD bytes of a file of `length` bytes and read the numbers. */
rv_status rv__manifest_decode_head(const unsigned char *head, uint64_t length, rv__manifest *m);
/* Check the items of a file held whole in `file`, and make them: paths and data point into `names` and `file`. Nothing
 * is allocated before the count has been checked against the bytes that are there. The caller frees *items and *names.
 */
rv_status rv__manifest_decode_items(const unsigned char *file, const rv__manifest *m, rv_ck_item **items, char **names);

/* The bytes of an open file, as many as its manifest's head says, which is checked; nothing else is. The caller frees
 * *file with rv_free, also after an error. */
rv_status rv__checkpoint_image(int fd, unsigned char **file, rv__manifest *m);

#endif

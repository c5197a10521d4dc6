/** Checkpoints: named arrays in one HDF5 file that is written once, whole, and never changed.
 *
 *  The file opens with any HDF5 reader (h5py, h5dump); ravel itself writes and reads it without trusting libhdf5 with
 *  a disk: a manifest in the user block names every array with its place, and a hash covers every byte of the file.
 *  Equal states give byte-equal files. Layout of the manifest: io/manifest.h. Not thread-safe: libhdf5 is not. */
#ifndef RV_IO_CHECKPOINT_H
#define RV_IO_CHECKPOINT_H

#include <stdint.h>

#include "base/status.h"

typedef enum { RV_CK_F32, RV_CK_F64, RV_CK_I32, RV_CK_I64, RV_CK_U64, RV_CK_U8 } rv_ck_type;
enum {
    RV_CK_TYPES = 6,
    RV_CK_MAX_DIMS = 4,
    RV_CK_MAX_PATH = 512,    /**< bytes of an item's path */
    RV_CK_MAX_ITEMS = 65536, /**< items of a file */
    RV_CK_HASH_TEXT = 33,    /**< 32 hexadecimal digits and the final 0 */
    RV_CK_FORMAT_VERSION = 1,
};

/** One array. Text and other blobs are RV_CK_U8 of one dimension. */
typedef struct {
    const char *path; /**< "/model/decoder.rnn.weight_ih_l0": groups and a name; a name may hold dots */
    rv_ck_type type;
    int ndim; /**< 0 is a scalar */
    int64_t dim[RV_CK_MAX_DIMS];
    const void *data; /**< row-major, no gaps; may be NULL when there are no elements */
} rv_ck_item;

/** Bytes of one element. */
RV_API size_t rv_ck_type_size(rv_ck_type type);
/** "float32", "int64", ... */
RV_API const char *rv_ck_type_name(rv_ck_type type);
/** Number of elements of a valid item. */
RV_API int64_t rv_ck_count(const rv_ck_item *item);

/** XXH3-128 over path, type, shape and bytes of all items under /model, /optimizer, /trainer, /rng and /data, in the
 *  order of their paths; so it does not depend on the items' order, on /config or on /tokenizer. Two runs are in the
 *  same state exactly when these are equal. Written to `out` as hexadecimal text. */
RV_API rv_status rv_ck_state_hash(int n, const rv_ck_item *items, char out[RV_CK_HASH_TEXT]);

/** Write the items to a new file: a temporary beside it (PATH.tmp-PID), fsync, rename, fsync of the directory. On RV_OK
 *  the file survives a power cut. On an error (RV_ECKPT; a full disk, an existing `path`, a bad item) nothing is at
 *  `path` that was not there before, the temporary is gone, and one message names the path and the reason. One case is
 *  between: if only the last fsync (of the directory) fails, the whole file is at `path` but may not survive a power
 * cut. Only the arrays' bytes are referred to, not copied. `state_hash` (may be NULL) gets rv_ck_state_hash of the
 * items. */
RV_API rv_status rv_checkpoint_save(const char *path, int64_t step, int n, const rv_ck_item *items,
                                    char state_hash[RV_CK_HASH_TEXT]);
/** The same in the place of what `path` has, which is whole at every moment. */
RV_API rv_status rv_checkpoint_replace(const char *path, int64_t step, int n, const rv_ck_item *items);

typedef struct rv_checkpoint rv_checkpoint;
/** Read a file whole and verify it: manifest, bounds, hash. Any damage, and anything that is not a regular file, is
 *  RV_ECKPT with a message naming file and reason; then *out is NULL. Needs memory of the file's length. The result is
 *  the caller's: rv_checkpoint_close. */
RV_API rv_status rv_checkpoint_open(const char *path, rv_checkpoint **out);
/** Copies of the items as if they had been saved and opened, without a file: of step 0. `what` is said in messages
 *  instead of a path. RV_ENOMEM. */
RV_API rv_status rv_checkpoint_of(const char *what, int n, const rv_ck_item *items, rv_checkpoint **out);
/** NULL is allowed. The items' data go too. */
RV_API void rv_checkpoint_close(rv_checkpoint *ck);
RV_API const char *rv_checkpoint_path(const rv_checkpoint *ck);
RV_API int64_t rv_checkpoint_step(const rv_checkpoint *ck);
RV_API const char *rv_checkpoint_state_hash(const rv_checkpoint *ck);
/** Version of the ravel that wrote the file. */
RV_API const char *rv_checkpoint_writer(const rv_checkpoint *ck);
/** Length of the file in bytes. */
RV_API int64_t rv_checkpoint_bytes(const rv_checkpoint *ck);
/** Items come in ascending order of their paths (strcmp). Their data are aligned to 64 bytes and owned by ck. */
RV_API int rv_checkpoint_count(const rv_checkpoint *ck);
RV_API const rv_ck_item *rv_checkpoint_item(const rv_checkpoint *ck, int i);
/** By exact path, or NULL. */
RV_API const rv_ck_item *rv_checkpoint_find(const rv_checkpoint *ck, const char *path);
/** Copy the item at `path` to dst. RV_ECKPT, naming file and item, if it is missing or is not `count` elements of
 * `type`. */
RV_API rv_status rv_checkpoint_read(const rv_checkpoint *ck, const char *path, rv_ck_type type, int64_t count,
                                    void *dst);

/** Write a new checkpoint `out` whose floating-point tensors under /model are the means of those of n >= 1 files,
 * summed in double in the given order; everything else is the last one's. One file at a time is in memory beside the
 * sums. RV_ECKPT if a file cannot be read, is of another model, or `out` exists. state_hash may be NULL.  [Vaswani
 * 2017, section 6.1] */
RV_API rv_status rv_checkpoint_average(const char *out, int n, const char *const *files,
                                       char state_hash[RV_CK_HASH_TEXT]);

/** Write a new checkpoint `out` of a file that another program changed: the checkpoint `path`, some of whose tensors
 * were written in place (h5py: f["model/NAME"][...] = x); or, with `like`, the HDF5 file `path` whose /model has every
 * tensor of the checkpoint `like`, of the same type and shape, and no others, and everything else from `like`. RV_ECKPT
 * names what does not fit. A file read with `like` may be hostile: libhdf5 reads it in a process of its own, follows no
 * link, reads no other file, and takes no more memory than the tensors need. state_hash may be NULL. */
RV_API rv_status rv_checkpoint_seal(const char *out, const char *path, const char *like,
                                    char state_hash[RV_CK_HASH_TEXT]);

#endif

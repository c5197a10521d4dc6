/** The list of items that a checkpoint is made of, as it is gathered from the parts of a run. */
#ifndef RV_IO_ITEMS_H
#define RV_IO_ITEMS_H

#include <stdint.h>

#include "io/checkpoint.h"

typedef struct {
    rv_ck_item *item;
    int n, cap;
    char **path; /* owned copies of the paths */
    bool failed;
} rv_items;

/** Append an item; data stays the caller's and must live until the checkpoint is written. Out of memory is
 *  remembered and reported by rv_items_status. */
RV_API void rv_items_add(rv_items *list, rv_ck_type type, int ndim, const int64_t *dim, const void *data,
                         const char *path_fmt, ...) RV_PRINTF(6, 7);
/** Text without its closing NUL. */
RV_API void rv_items_add_text(rv_items *list, const char *path, const char *text, size_t bytes);
RV_API rv_status rv_items_status(const rv_items *list);
RV_API void rv_items_free(rv_items *list);

/** A scalar, or with count > 0 an array of so many, in a struct that a checkpoint keeps. Older checkpoints may lack an
 *  optional one: it then stays as it is. */
typedef struct {
    const char *path;
    rv_ck_type type;
    size_t offset;
    int64_t count;
    bool optional;
} rv_field;
/** Append the fields of the struct at base that the table (closed by a NULL path) lists. */
RV_API void rv_items_add_fields(rv_items *list, const rv_field *fields, const void *base);
/** Read them back; RV_ECKPT naming the one that is missing or of another type. */
RV_API rv_status rv_items_read_fields(const rv_checkpoint *ck, const rv_field *fields, void *base);

#endif

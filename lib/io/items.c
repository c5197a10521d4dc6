#define _GNU_SOURCE
#include "io/items.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rv_items_add(rv_items *l, rv_ck_type type, int ndim, const int64_t *dim, const void *data, const char *fmt, ...) {
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 64;
        rv_ck_item *item = realloc(l->item, (size_t)cap * sizeof *item);
        if (item) l->item = item;
        char **path = realloc(l->path, (size_t)cap * sizeof *path);
        if (path) l->path = path;
        if (!item || !path) {
            l->failed = true;
            return;
        }
        l->cap = cap;
    }
    va_list ap;
    va_start(ap, fmt);
    char *path = NULL;
    if (vasprintf(&path, fmt, ap) < 0) path = NULL;
    va_end(ap);
    if (!path) {
        l->failed = true;
        return;
    }
    rv_ck_item it = {.path = path, .type = type, .ndim = ndim, .data = data};
    for (int i = 0; i < ndim; i++) it.dim[i] = dim[i];
    l->path[l->n] = path;
    l->item[l->n++] = it;
}

void rv_items_add_text(rv_items *l, const char *path, const char *text, size_t bytes) {
    int64_t n = (int64_t)bytes;
    rv_items_add(l, RV_CK_U8, 1, &n, text, "%s", path);
}

rv_status rv_items_status(const rv_items *l) {
    return l->failed ? rv_error(RV_ENOMEM, "out of memory while gathering a checkpoint") : RV_OK;
}

void rv_items_free(rv_items *l) {
    for (int i = 0; i < l->n; i++) free(l->path[i]);
    free(l->path);
    free(l->item);
    *l = (rv_items){0};
}

void rv_items_add_fields(rv_items *l, const rv_field *f, const void *base) {
    for (; f->path; f++)
        rv_items_add(l, f->type, f->count ? 1 : 0, &f->count, (const char *)base + f->offset, "%s", f->path);
}

rv_status rv_items_read_fields(const rv_checkpoint *ck, const rv_field *f, void *base) {
    for (; f->path; f++)
        if (!f->optional || rv_checkpoint_find(ck, f->path))
            RV_TRY(rv_checkpoint_read(ck, f->path, f->type, f->count ? f->count : 1, (char *)base + f->offset));
    return RV_OK;
}

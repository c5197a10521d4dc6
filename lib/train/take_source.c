#include "train/take_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "train/saved.h"

enum { PREFIX = 7 }; /* "/model/" */

/* A file that begins as HDF5 files do which nothing was put before: no checkpoint, damaged or not. */
static bool is_foreign(const char *path) {
    static const unsigned char hdf5[8] = "\x89HDF\r\n\x1a\n";
    unsigned char head[8] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    const bool is = read(fd, head, sizeof head) == sizeof head && !memcmp(head, hdf5, sizeof head);
    close(fd);
    return is;
}

static bool is_model(const rv_ck_item *it) { return !strncmp(it->path, "/model/", PREFIX); }

/* Items are sorted by their paths: the model's are one run of them. */
static const rv_ck_item *model_item(const rv_checkpoint *saved, int i) {
    int first = 0;
    while (first < rv_checkpoint_count(saved) && !is_model(rv_checkpoint_item(saved, first))) first++;
    return rv_checkpoint_item(saved, first + i);
}

static const char *name_of(const void *ctx, int i) {
    const rv__source *s = ctx;
    return (s->saved ? model_item(s->saved, i)->path : s->listed[i].path) + PREFIX;
}

rv_status rv__source_open(const char *from, rv__source *s) {
    *s = (rv__source){0};
    rv_status status;
    if (is_foreign(from)) {
        snprintf(s->path, sizeof s->path, "%s", from);
        status = rv__seal_list(from, &s->listed, &s->n);
    } else {
        status = rv__saved_open(from, s->path, &s->saved);
        for (int i = 0; status == RV_OK && i < rv_checkpoint_count(s->saved); i++)
            s->n += is_model(rv_checkpoint_item(s->saved, i));
    }
    if (status == RV_OK && !s->n) status = rv_error(RV_ECKPT, "%s has no tensors in /model", s->path);
    if (status == RV_OK) status = rv__names_make(s->n, name_of, s, s->saved != NULL, &s->names);
    if (status != RV_OK) rv__source_close(s);
    return status;
}

void rv__source_close(rv__source *s) {
    rv__names_free(&s->names);
    rv_checkpoint_close(s->saved);
    free(s->listed);
    *s = (rv__source){0};
}

rv_status rv__source_describe(const rv__source *s, int tensor, rv_ck_item *out) {
    if (s->saved) {
        *out = *model_item(s->saved, tensor);
    } else {
        const rv__seal_listed *l = &s->listed[tensor];
        *out = (rv_ck_item){.path = l->path, .type = (rv_ck_type)l->type, .ndim = l->ndim};
        memcpy(out->dim, l->dim, sizeof out->dim);
        if (l->ndim < 0 || l->ndim > RV_CK_MAX_DIMS)
            return rv_error(RV_ECKPT, "%s: '%s' has no shape that a tensor of ravel's may have", s->path, l->path);
    }
    if (out->type == RV_CK_F32 || out->type == RV_CK_F64) return RV_OK;
    return rv_error(RV_ECKPT, "%s: '%s' is neither float32 nor float64, little-endian: convert it before writing it",
                    s->path, out->path);
}

static void convert(const rv_ck_item *it, const void *from, rv_real *to, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        to[i] = it->type == RV_CK_F32 ? (rv_real)((const float *)from)[i] : (rv_real)((const double *)from)[i];
}

rv_status rv__source_read(const rv__source *s, int tensor, rv_real *to, int64_t n) {
    rv_ck_item it;
    RV_TRY(rv__source_describe(s, tensor, &it));
    if (s->saved) {
        convert(&it, it.data, to, n);
        return RV_OK;
    }
    void *numbers = rv_alloc((size_t)rv_ck_count(&it) * rv_ck_type_size(it.type));
    if (!numbers) return RV_ENOMEM;
    rv_status status = rv__seal_read(s->path, 1, &it, false, &numbers);
    if (status == RV_OK) convert(&it, numbers, to, n);
    rv_free(numbers);
    return status;
}

/* New checkpoints of what another program wrote. */
#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "io/layout.h"
#include "io/manifest.h"
#include "io/seal_read.h"

/* ---- a checkpoint whose tensors were written in place */

/* Is what lies between the arrays what ravel writes around them? Then no array was moved, and the manifest's offsets
 * hold. items[order[i]] is the i-th in the file. */
static bool same_structure(const unsigned char *file, const rv__manifest *m, const rv__layout *l, int n,
                           const rv_ck_item *items) {
    static const unsigned char zeros[RV__LAYOUT_PAGE];
    if (l->length != m->length) return false;
    uint64_t at = m->block;
    for (int i = 0; i <= n; i++) {
        uint64_t end = i < n ? (uint64_t)((const unsigned char *)items[i].data - file) : m->length;
        for (uint64_t part; at < end; at += part) {
            size_t k = at / RV__LAYOUT_PAGE, in = at % RV__LAYOUT_PAGE;
            part = end - at < RV__LAYOUT_PAGE - in ? end - at : RV__LAYOUT_PAGE - in;
            if (memcmp(file + at, k < l->pages && l->page[k] ? l->page[k] + in : zeros, part)) return false;
        }
        if (i < n) at = end + (uint64_t)rv_ck_count(&items[i]) * rv_ck_type_size(items[i].type);
    }
    return true;
}

static int by_place(const void *a, const void *b) {
    const unsigned char *x = ((const rv_ck_item *)a)->data, *y = ((const rv_ck_item *)b)->data;
    return x < y ? -1 : x > y;
}

/* The same items by their place in the file, without those that have no bytes. The caller frees the result. */
static rv_ck_item *by_places(int n, const rv_ck_item *items, int *kept) {
    rv_ck_item *s = malloc(sizeof *s * (size_t)(n ? n : 1));
    *kept = 0;
    for (int i = 0; s && i < n; i++)
        if (rv_ck_count(&items[i])) s[(*kept)++] = items[i];
    if (s) qsort(s, (size_t)*kept, sizeof *s, by_place);
    return s;
}

static rv_status check_structure(const unsigned char *file, const rv__manifest *m, const rv_ck_item *items) {
    rv__layout layout = {0};
    char hash[RV_CK_HASH_TEXT];
    int kept;
    for (int i = 0; i < RV__MF_HASH_BYTES; i++) snprintf(hash + 2 * i, 3, "%02x", m->state.b[i]);
    rv_ck_item *placed = by_places(m->n, items, &kept);
    uint64_t *offset = malloc(sizeof *offset * (size_t)(m->n ? m->n : 1));
    rv_status st = placed && offset ? rv__layout_make(&layout, m->block, m->step, hash, m->n, items, offset)
                                    : rv_error(RV_ENOMEM, "no memory for %d items", m->n);
    bool same = st == RV_OK && same_structure(file, m, &layout, kept, placed);
    rv__layout_free(&layout);
    free(placed);
    free(offset);
    if (st != RV_OK || same) return st;
    return rv_error(RV_ECKPT, "more than tensors' numbers was changed: write them in place (f['model/NAME'][...] = x), "
                              "or name the checkpoint that the "
                              "rest is to come from with --like");
}

static rv_status seal_in_place(const char *out, const char *path, char state_hash[RV_CK_HASH_TEXT]) {
    unsigned char *file = NULL;
    rv__manifest m;
    rv_ck_item *items = NULL;
    char *names = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    rv_status st =
        fd < 0 ? rv_error(RV_ECKPT, "cannot open: %s", strerror(errno)) : rv__checkpoint_image(fd, &file, &m);
    if (fd >= 0) close(fd);
    if (st == RV_OK) st = rv__manifest_decode_items(file, &m, &items, &names);
    if (st == RV_OK) st = check_structure(file, &m, items);
    if (st != RV_OK)
        rv_error_context(st, "%s: ", path);
    else
        st = rv_checkpoint_save(out, m.step, m.n, items, state_hash);
    free(items);
    free(names);
    rv_free(file);
    return st;
}

/* ---- weights that take the place of a checkpoint's */

static bool is_model(const rv_ck_item *it) { return !strncmp(it->path, "/model/", 7); }

static rv_status seal_like(const char *out, const char *path, const rv_checkpoint *like,
                           char state_hash[RV_CK_HASH_TEXT]) {
    int n = rv_checkpoint_count(like), first = 0, count = 0;
    size_t bytes = 0;
    for (int i = 0; i < n; i++) { /* they are sorted: one run of them is the model */
        const rv_ck_item *it = rv_checkpoint_item(like, i);
        if (!is_model(it)) continue;
        if (it->type != RV_CK_F32 && it->type != RV_CK_F64)
            return rv_error(RV_ECKPT, "%s: '%s' is no tensor of floats", rv_checkpoint_path(like), it->path);
        first = count++ ? first : i;
        bytes += ((size_t)rv_ck_count(it) * rv_ck_type_size(it->type) + RV__MF_ALIGN - 1) / RV__MF_ALIGN * RV__MF_ALIGN;
    }
    rv_ck_item *items = malloc(sizeof *items * (size_t)(n ? n : 1));
    void **to = malloc(sizeof *to * (size_t)(n ? n : 1));
    unsigned char *numbers = rv_alloc(bytes ? bytes : 1);
    rv_status st = items && to && numbers ? RV_OK : rv_error(RV_ENOMEM, "no memory for a model of %zu bytes", bytes);
    if (st == RV_OK) {
        size_t at = 0;
        for (int i = 0; i < n; i++) items[i] = *rv_checkpoint_item(like, i);
        for (int i = 0; i < count; i++) {
            rv_ck_item *it = &items[first + i];
            it->data = to[i] = numbers + at;
            at +=
                ((size_t)rv_ck_count(it) * rv_ck_type_size(it->type) + RV__MF_ALIGN - 1) / RV__MF_ALIGN * RV__MF_ALIGN;
        }
        st = rv__seal_read(path, count, items + first, true, to);
    }
    if (st == RV_OK) st = rv_checkpoint_save(out, rv_checkpoint_step(like), n, items, state_hash);
    free(items);
    free(to);
    rv_free(numbers);
    return st;
}

rv_status rv_checkpoint_seal(const char *out, const char *path, const char *like, char state_hash[RV_CK_HASH_TEXT]) {
    rv_checkpoint *ck;
    if (!like) return seal_in_place(out, path, state_hash);
    RV_TRY(rv_checkpoint_open(like, &ck));
    rv_status st = seal_like(out, path, ck, state_hash);
    rv_checkpoint_close(ck);
    return st;
}

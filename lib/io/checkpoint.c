#define _GNU_SOURCE
#include "io/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/arena.h"
#include "base/file.h"
#include "io/layout.h"
#include "io/manifest.h"

static rv__hash digest(XXH3_state_t *s) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(s));
    rv__hash h;
    memcpy(h.b, c.digest, sizeof h.b);
    return h;
}

static void hash_text(const rv__hash *h, char out[RV_CK_HASH_TEXT]) {
    for (int i = 0; i < RV__MF_HASH_BYTES; i++) snprintf(out + 2 * i, 3, "%02x", h->b[i]);
}

/* ---- the state's hash ---- */

static int by_path(const void *a, const void *b) {
    return strcmp(((const rv_ck_item *)a)->path, ((const rv_ck_item *)b)->path);
}

static bool is_state(const char *path) {
    static const char *const groups[] = {"/model/", "/optimizer/", "/trainer/", "/rng/", "/data/"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (!strncmp(path, groups[i], strlen(groups[i]))) return true;
    return false;
}

/* The items are sorted. NULL state memory is the caller's to report. */
static rv__hash state_of(XXH3_state_t *s, int n, const rv_ck_item *items) {
    XXH3_128bits_reset(s);
    for (int i = 0; i < n; i++) {
        const rv_ck_item *it = &items[i];
        if (!is_state(it->path)) continue;
        int64_t head[3 + RV_CK_MAX_DIMS] = {(int64_t)strlen(it->path), it->type, it->ndim};
        memcpy(head + 3, it->dim, sizeof *head * (size_t)it->ndim);
        XXH3_128bits_update(s, head, sizeof head);
        XXH3_128bits_update(s, it->path, (size_t)head[0]);
        size_t bytes = (size_t)rv_ck_count(it) * rv_ck_type_size(it->type);
        if (bytes) XXH3_128bits_update(s, it->data, bytes);
    }
    return digest(s);
}

/* A checked copy of the items, sorted by path. The caller frees *out. */
static rv_status sort_items(int n, const rv_ck_item *items, rv_ck_item **out) {
    *out = NULL;
    if (n < 0 || n > RV_CK_MAX_ITEMS)
        return rv_error(RV_ECKPT, "a checkpoint holds at most %d items, not %d", RV_CK_MAX_ITEMS, n);
    uint64_t bytes;
    for (int i = 0; i < n; i++) RV_TRY(rv__manifest_check_item(&items[i], &bytes));
    rv_ck_item *s = malloc(sizeof *s * (size_t)(n ? n : 1));
    if (!s) return rv_error(RV_ENOMEM, "no memory for the list of %d checkpoint items", n);
    if (n) memcpy(s, items, sizeof *s * (size_t)n);
    qsort(s, (size_t)n, sizeof *s, by_path);
    for (int i = 1; i < n; i++) {
        if (strcmp(s[i - 1].path, s[i].path)) continue;
        rv_status st = rv_error(RV_ECKPT, "checkpoint item '%s' is given twice", s[i].path);
        free(s);
        return st;
    }
    *out = s;
    return RV_OK;
}

rv_status rv_ck_state_hash(int n, const rv_ck_item *items, char out[RV_CK_HASH_TEXT]) {
    rv_ck_item *sorted;
    RV_TRY(sort_items(n, items, &sorted));
    XXH3_state_t *s = XXH3_createState();
    if (s) {
        rv__hash h = state_of(s, n, sorted);
        hash_text(&h, out);
    }
    XXH3_freeState(s);
    free(sorted);
    return s ? RV_OK : rv_error(RV_ENOMEM, "no memory to hash a checkpoint");
}

/* ---- saving ---- */

/* Where the file's bytes go, first to last: once through the hash, once to the disk. */
typedef struct {
    XXH3_state_t *hash; /* or */
    rv__file *file;
} sink;

static void emit_bytes(const sink *to, const void *p, size_t n) {
    if (to->hash)
        XXH3_128bits_update(to->hash, p, n);
    else
        rv__file_write(to->file, p, n);
}

/* Metadata between arrays: the layout's pages, zeros where it has none. */
static void emit_pages(const sink *to, const rv__layout *l, uint64_t from, uint64_t until) {
    static const unsigned char zeros[RV__LAYOUT_PAGE];
    while (from < until) {
        size_t k = from / RV__LAYOUT_PAGE, in = from % RV__LAYOUT_PAGE, n = RV__LAYOUT_PAGE - in;
        if (n > until - from) n = (size_t)(until - from);
        emit_bytes(to, k < l->pages && l->page[k] ? l->page[k] + in : zeros, n);
        from += n;
    }
}

typedef struct {
    rv__manifest m;
    rv_ck_item *items; /* sorted by path */
    uint64_t *offset;  /* of each item */
    int *order;        /* items by offset */
    rv__layout layout;
    unsigned char *block;
} image;

static void emit(const sink *to, const image *im) {
    if (to->hash) { /* the hash covers everything but itself */
        emit_bytes(to, im->block, RV__MF_HASH_AT);
        emit_bytes(to, im->block + RV__MF_HASH_AT + RV__MF_HASH_BYTES,
                   im->m.block - RV__MF_HASH_AT - RV__MF_HASH_BYTES);
    } else {
        emit_bytes(to, im->block, im->m.block);
    }
    uint64_t at = im->m.block;
    for (int i = 0; i < im->m.n; i++) {
        const rv_ck_item *it = &im->items[im->order[i]];
        size_t bytes = (size_t)rv_ck_count(it) * rv_ck_type_size(it->type);
        if (!bytes) continue;
        emit_pages(to, &im->layout, at, im->offset[im->order[i]]);
        emit_bytes(to, it->data, bytes);
        at = im->offset[im->order[i]] + bytes;
    }
    emit_pages(to, &im->layout, at, im->m.length);
}

static int by_offset(const void *a, const void *b, void *offset) {
    uint64_t x = ((uint64_t *)offset)[*(const int *)a], y = ((uint64_t *)offset)[*(const int *)b];
    return x < y ? -1 : x > y;
}

static rv_status build(image *im, int64_t step, int n, const rv_ck_item *items, XXH3_state_t *hash,
                       char state_hash[RV_CK_HASH_TEXT]) {
    RV_TRY(sort_items(n, items, &im->items));
    rv__manifest *m = &im->m;
    m->n = n;
    m->step = step;
    snprintf(m->writer, sizeof m->writer, "%s", RV_VERSION);
    RV_TRY(rv__manifest_block_size(n, im->items, &m->block));
    im->block = calloc(1, m->block);
    im->offset = malloc(sizeof *im->offset * (size_t)(n ? n : 1));
    im->order = malloc(sizeof *im->order * (size_t)(n ? n : 1));
    if (!im->block || !im->offset || !im->order)
        return rv_error(RV_ENOMEM, "no memory for the manifest of %d items", n);
    m->state = state_of(hash, n, im->items);
    hash_text(&m->state, state_hash);
    for (int i = 0; i < n; i++) im->offset[i] = m->block, im->order[i] = i; /* where an item without elements stays */
    RV_TRY(rv__layout_make(&im->layout, m->block, step, state_hash, n, im->items, im->offset));
    m->length = im->layout.length;
    qsort_r(im->order, (size_t)n, sizeof *im->order, by_offset, im->offset);
    rv__manifest_encode(m, im->items, im->offset, im->block);
    XXH3_128bits_reset(hash);
    emit(&(sink){.hash = hash}, im);
    rv__hash all = digest(hash);
    memcpy(im->block + RV__MF_HASH_AT, all.b, sizeof all.b);
    return RV_OK;
}

static rv_status write_new(const char *path, const image *im) {
    char *temporary;
    if (asprintf(&temporary, "%s.tmp-%ld", path, (long)getpid()) < 0) return rv_error(RV_ENOMEM, "no memory");
    rv__file f;
    rv__file_create(&f, temporary);
    if (!f.error) emit(&(sink){.file = &f}, im);
    rv__file_fsync(&f);
    rv__file_close(&f);
    rv__file_rename(&f, path, false);
    bool named = !f.error;
    rv__file_fsync_dir(&f, path);
    if (!named) rv__file_remove(temporary);
    free(temporary);
    if (!f.error) return RV_OK;
    if (f.error == EEXIST)
        return rv_error(RV_ECKPT,
                        "%s: exists already, and a checkpoint is never overwritten: remove it or save elsewhere", path);
    return rv_error(RV_ECKPT, "%s: cannot save the checkpoint: %s: %s%s", path, f.what, strerror(f.error),
                    f.error == ENOSPC || f.error == EDQUOT ? " (free some space)" : "");
}

rv_status rv_checkpoint_save(const char *path, int64_t step, int n, const rv_ck_item *items,
                             char state_hash[RV_CK_HASH_TEXT]) {
    if (step < 0) return rv_error(RV_ECKPT, "%s: cannot save a checkpoint of step %lld", path, (long long)step);
    struct stat there;
    if (!lstat(path, &there)) /* said before the work; the rename makes sure of it */
        return rv_error(RV_ECKPT,
                        "%s: exists already, and a checkpoint is never overwritten: remove it or save elsewhere", path);
    image im = {0};
    char text[RV_CK_HASH_TEXT];
    XXH3_state_t *hash = XXH3_createState();
    rv_status st =
        hash ? build(&im, step, n, items, hash, text) : rv_error(RV_ENOMEM, "no memory to hash a checkpoint");
    if (st != RV_OK)
        rv_error_context(st, "%s: cannot save the checkpoint: ", path);
    else
        st = write_new(path, &im);
    if (st == RV_OK && state_hash) memcpy(state_hash, text, sizeof text);
    XXH3_freeState(hash);
    rv__layout_free(&im.layout);
    free(im.block);
    free(im.offset);
    free(im.order);
    free(im.items);
    return st;
}

rv_status rv_checkpoint_replace(const char *path, int64_t step, int n, const rv_ck_item *items) {
    char *again;
    if (asprintf(&again, "%s.again", path) < 0) return rv_error(RV_ENOMEM, "no memory");
    unlink(again); /* of a process that was killed here */
    rv_status status = rv_checkpoint_save(again, step, n, items, NULL);
    rv__file f = {.fd = -1, .path = again};
    if (status == RV_OK) {
        rv__file_rename(&f, path, true);
        rv__file_fsync_dir(&f, path);
    }
    if (status != RV_OK || f.error) rv__file_remove(again); /* it may be there: its own last fsync is what failed */
    free(again);
    return f.error ? rv_error(RV_ECKPT, "%s: cannot be replaced: %s: %s", path, f.what, strerror(f.error)) : status;
}

/* ---- loading ---- */

struct rv_checkpoint {
    char *path;
    unsigned char *file;
    rv__manifest m;
    rv_ck_item *items;
    char *names;
    char state_hash[RV_CK_HASH_TEXT];
};

static rv_status read_exactly(int fd, unsigned char *to, uint64_t n) {
    for (uint64_t at = 0; at < n;) {
        size_t part = n - at < (1u << 24) ? (size_t)(n - at) : 1u << 24;
        ssize_t got = pread(fd, to + at, part, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return rv_error(RV_ECKPT, "cannot read: %s", strerror(errno));
        if (got == 0) return rv_error(RV_ECKPT, "became shorter while it was read");
        at += (uint64_t)got;
    }
    return RV_OK;
}

static rv_status verify_hash(const rv_checkpoint *ck) {
    XXH3_state_t *s = XXH3_createState();
    if (!s) return rv_error(RV_ENOMEM, "no memory to hash a checkpoint");
    XXH3_128bits_reset(s);
    XXH3_128bits_update(s, ck->file, RV__MF_HASH_AT);
    const size_t behind = RV__MF_HASH_AT + RV__MF_HASH_BYTES;
    XXH3_128bits_update(s, ck->file + behind, ck->m.length - behind);
    rv__hash h = digest(s);
    XXH3_freeState(s);
    if (memcmp(h.b, ck->file + RV__MF_HASH_AT, sizeof h.b))
        return rv_error(RV_ECKPT, "damaged: its bytes do not give the hash that it was written with; if you changed it "
                                  "on purpose, 'ravel ckpt seal' makes a checkpoint of it");
    return RV_OK;
}

rv_status rv__checkpoint_image(int fd, unsigned char **file, rv__manifest *m) {
    struct stat st;
    if (fstat(fd, &st)) return rv_error(RV_ECKPT, "cannot read: %s", strerror(errno));
    if (S_ISDIR(st.st_mode)) return rv_error(RV_ECKPT, "a folder; name a checkpoint in it, such as best.h5");
    if (!S_ISREG(st.st_mode)) return rv_error(RV_ECKPT, "not a regular file");
    unsigned char head[RV__MF_HEAD];
    if (st.st_size < (off_t)sizeof head)
        return rv_error(RV_ECKPT, "%lld bytes long: not a checkpoint, or cut", (long long)st.st_size);
    RV_TRY(read_exactly(fd, head, sizeof head));
    RV_TRY(rv__manifest_decode_head(head, (uint64_t)st.st_size, m));
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (m->length > memory) /* a file with holes can be of any length; an overcommitting system would grant it */
        return rv_error(RV_ECKPT, "%llu bytes long, more than this machine's memory", (unsigned long long)m->length);
    *file = rv_alloc(m->length);
    if (!*file) return rv_error_context(RV_ENOMEM, "cannot hold the file: ");
    RV_TRY(read_exactly(fd, *file, m->length));
    return rv__manifest_decode_head(*file, (uint64_t)st.st_size, m); /* of the bytes that are now used */
}

static rv_status load(rv_checkpoint *ck, int fd) {
    RV_TRY(rv__checkpoint_image(fd, &ck->file, &ck->m));
    RV_TRY(verify_hash(ck));
    RV_TRY(rv__manifest_decode_items(ck->file, &ck->m, &ck->items, &ck->names));
    char text[RV_CK_HASH_TEXT];
    hash_text(&ck->m.state, ck->state_hash);
    RV_TRY(rv_ck_state_hash(ck->m.n, ck->items, text));
    if (strcmp(text, ck->state_hash)) return rv_error(RV_ECKPT, "damaged manifest: the hash of the state");
    return RV_OK;
}

static rv_checkpoint *create(const char *path) {
    rv_checkpoint *ck = calloc(1, sizeof *ck);
    if (ck && (ck->path = strdup(path))) return ck;
    free(ck);
    rv_error(RV_ENOMEM, "%s: no memory", path);
    return NULL;
}

rv_status rv_checkpoint_open(const char *path, rv_checkpoint **out) {
    rv_checkpoint *ck = create(path);
    *out = NULL;
    if (!ck) return RV_ENOMEM;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    rv_status st = fd < 0 ? rv_error(RV_ECKPT, "cannot open: %s", strerror(errno)) : load(ck, fd);
    if (fd >= 0) close(fd);
    if (st != RV_OK) {
        rv_error_context(st, "%s: ", path);
        rv_checkpoint_close(ck);
        return st;
    }
    *out = ck;
    return RV_OK;
}

/* Bytes of an item, which begins at a multiple of 64 as in a file. */
static size_t room_of(const rv_ck_item *it) {
    return ((size_t)rv_ck_count(it) * rv_ck_type_size(it->type) + 63) / 64 * 64;
}

/* Room for all texts and numbers, and the items that point into it. */
static rv_status copy_items(rv_checkpoint *ck, int n, const rv_ck_item *items) {
    size_t names = 0, bytes = 0;
    for (int i = 0; i < n; i++) {
        names += strlen(items[i].path) + 1;
        bytes += room_of(&items[i]);
    }
    ck->items = calloc((size_t)n + 1, sizeof *ck->items);
    ck->names = malloc(names + 1);
    ck->file = rv_alloc(bytes + 1);
    if (!ck->items || !ck->names || !ck->file) return rv_error(RV_ENOMEM, "%s: no memory", ck->path);
    char *name = ck->names;
    unsigned char *at = ck->file;
    for (int i = 0; i < n; i++) {
        ck->items[i] = items[i];
        ck->items[i].path = strcpy(name, items[i].path);
        ck->items[i].data = at;
        if (rv_ck_count(&items[i]))
            memcpy(at, items[i].data, (size_t)rv_ck_count(&items[i]) * rv_ck_type_size(items[i].type));
        name += strlen(name) + 1;
        at += room_of(&items[i]);
    }
    qsort(ck->items, (size_t)n, sizeof *ck->items, by_path);
    ck->m.n = n;
    ck->m.length = bytes;
    return rv_ck_state_hash(n, ck->items, ck->state_hash);
}

rv_status rv_checkpoint_of(const char *what, int n, const rv_ck_item *items, rv_checkpoint **out) {
    rv_checkpoint *ck = create(what);
    *out = NULL;
    if (!ck) return RV_ENOMEM;
    const rv_status status = copy_items(ck, n, items);
    if (status == RV_OK)
        *out = ck;
    else
        rv_checkpoint_close(ck);
    return status;
}

void rv_checkpoint_close(rv_checkpoint *ck) {
    if (!ck) return;
    rv_free(ck->file);
    free(ck->items);
    free(ck->names);
    free(ck->path);
    free(ck);
}

const char *rv_checkpoint_path(const rv_checkpoint *ck) { return ck->path; }
int64_t rv_checkpoint_step(const rv_checkpoint *ck) { return ck->m.step; }
const char *rv_checkpoint_state_hash(const rv_checkpoint *ck) { return ck->state_hash; }
const char *rv_checkpoint_writer(const rv_checkpoint *ck) { return ck->m.writer; }
int64_t rv_checkpoint_bytes(const rv_checkpoint *ck) { return (int64_t)ck->m.length; }
int rv_checkpoint_count(const rv_checkpoint *ck) { return ck->m.n; }
const rv_ck_item *rv_checkpoint_item(const rv_checkpoint *ck, int i) { return &ck->items[i]; }

const rv_ck_item *rv_checkpoint_find(const rv_checkpoint *ck, const char *path) {
    rv_ck_item key = {.path = path};
    return bsearch(&key, ck->items, (size_t)ck->m.n, sizeof key, by_path);
}

rv_status rv_checkpoint_read(const rv_checkpoint *ck, const char *path, rv_ck_type type, int64_t count, void *dst) {
    const rv_ck_item *it = rv_checkpoint_find(ck, path);
    if (!it) return rv_error(RV_ECKPT, "%s: has no '%s': was it saved by another model or task?", ck->path, path);
    if (it->type != type || rv_ck_count(it) != count)
        return rv_error(RV_ECKPT, "%s: '%s' is %lld x %s, expected %lld x %s: the model's configuration differs",
                        ck->path, path, (long long)rv_ck_count(it), rv_ck_type_name(it->type), (long long)count,
                        rv_ck_type_name(type));
    if (count) memcpy(dst, it->data, (size_t)count * rv_ck_type_size(type));
    return RV_OK;
}

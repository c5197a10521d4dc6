/* libhdf5 may crash or hang on a file that was made to, so a child process reads, and hands over through a pipe what it
 * was asked for: a list of the tensors, or the bytes of some, in order; or else one line that says what does not fit.
 * What is read of a tensor is known before: a dataset of one type and shape, stored in one piece in the file itself. */
#define _GNU_SOURCE
#include "io/seal_read.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"

enum { SECONDS = 60, ROOM = 256 << 20, CHUNK = 1 << 16, LINE = 1024 };

/* ---- the child */

typedef struct {
    int words, numbers; /* the pipes' ends */
} child;

static void refuse(const child *c, const char *fmt, ...) RV_PRINTF(2, 3);
static void refuse(const child *c, const char *fmt, ...) {
    char line[LINE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof line) n = sizeof line - 1;
    _exit(write(c->words, line, (size_t)n) == n ? 1
                                                : 2); /* no exit handlers: libhdf5's would run over the file again */
}

static hid_t memory_type(rv_ck_type type) { return type == RV_CK_F64 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE; }

static void shape_text(int ndim, const hsize_t *dim, char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "(");
    for (int i = 0; i < ndim && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%llu", i ? ", " : "", (unsigned long long)dim[i]);
    if (at < size) snprintf(out + at, size - at, ndim == 1 ? ",)" : ")");
}

static void check_shape(const child *c, const rv_ck_item *it, hid_t set) {
    hsize_t dim[H5S_MAX_RANK] = {0}, want[RV_CK_MAX_DIMS];
    char have_text[200], want_text[200];
    hid_t space = H5Dget_space(set);
    int ndim =
        space < 0 || H5Sget_simple_extent_type(space) == H5S_NULL ? -1 : H5Sget_simple_extent_dims(space, dim, NULL);
    if (ndim < 0) refuse(c, "'%s' has no shape", it->path);
    bool same = ndim == it->ndim;
    for (int i = 0; i < it->ndim; i++) want[i] = (hsize_t)it->dim[i], same = same && dim[i] == want[i];
    if (same) return;
    shape_text(ndim, dim, have_text, sizeof have_text);
    shape_text(it->ndim, want, want_text, sizeof want_text);
    refuse(c, "'%s' has the shape %s instead of %s", it->path, have_text, want_text);
}

/* Contiguous or compact, in this file: nothing that has a filter, chunks, or another file behind it. */
static void check_storage(const child *c, const rv_ck_item *it, hid_t set) {
    hid_t type = H5Dget_type(set), dcpl = H5Dget_create_plist(set);
    if (type < 0 || H5Tequal(type, memory_type(it->type)) <= 0)
        refuse(c, "'%s' is not %s, little-endian: convert it before writing it", it->path, rv_ck_type_name(it->type));
    H5D_layout_t layout = dcpl < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(dcpl);
    if ((layout != H5D_CONTIGUOUS && layout != H5D_COMPACT) || H5Pget_external_count(dcpl) != 0 ||
        H5Pget_nfilters(dcpl) != 0)
        refuse(c, "'%s' is chunked, compressed, virtual or in another file: write it in one piece, uncompressed",
               it->path);
    if (H5Dget_storage_size(set) != (hsize_t)rv_ck_count(it) * rv_ck_type_size(it->type))
        refuse(c, "'%s' has no data in the file", it->path);
}

static bool is_own(hid_t file, const char *path) {
    H5L_info_t link;
    return H5Lget_info(file, path, &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD;
}

static void send(const child *c, const unsigned char *p, size_t n) {
    for (ssize_t done; n; p += done, n -= (size_t)done) {
        done = write(c->numbers, p, n);
        if (done < 0 && errno == EINTR)
            done = 0;
        else if (done < 0)
            _exit(2);
    }
}

static void send_tensor(const child *c, hid_t file, const rv_ck_item *it, unsigned char *buffer) {
    if (H5Lexists(file, it->path, H5P_DEFAULT) <= 0) refuse(c, "has no '%s'", it->path);
    hid_t set = is_own(file, it->path) ? H5Oopen(file, it->path, H5P_DEFAULT) : -1;
    if (set < 0 || H5Iget_type(set) != H5I_DATASET) refuse(c, "'%s' is a link or no dataset", it->path);
    check_shape(c, it, set);
    size_t bytes = (size_t)rv_ck_count(it) * rv_ck_type_size(it->type);
    if (!bytes) return;
    check_storage(c, it, set);
    if (H5Dread(set, memory_type(it->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer) < 0)
        refuse(c, "'%s' cannot be read", it->path);
    H5Dclose(set);
    send(c, buffer, bytes);
}

/* What is asked of the child: the items' bytes, or with n < 0 a list of what there is. */
typedef struct {
    const child *c;
    int n;
    const rv_ck_item *items;
    size_t largest; /* of the items, in bytes */
    bool strict;    /* the file must have no others */
} wanted;

static herr_t find_strange(hid_t group, const char *name, const H5L_info_t *info, void *ctx) {
    (void)group, (void)info;
    const wanted *w = ctx;
    for (int i = 0; i < w->n; i++)
        if (!strcmp(name, w->items[i].path + strlen("/model/"))) return 0;
    refuse(w->c, "its '/model/%.300s' has no place in the checkpoint", name);
    return -1;
}

/* A record for each dataset of the group, links and groups in it left out. */
static herr_t send_listed(hid_t group, const char *name, const H5L_info_t *info, void *ctx) {
    const wanted *w = ctx;
    rv__seal_listed l = {.type = -1};
    hsize_t dim[H5S_MAX_RANK] = {0};
    int n = snprintf(l.path, sizeof l.path, "/model/%s", name);
    if (n >= (int)sizeof l.path) refuse(w->c, "its '/model/%.300s...' has too long a name", name);
    hid_t set = info->type == H5L_TYPE_HARD ? H5Oopen(group, name, H5P_DEFAULT) : -1;
    if (set < 0 || H5Iget_type(set) != H5I_DATASET) {
        if (set >= 0) H5Oclose(set);
        return 0;
    }
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    for (int t = RV_CK_F32; t <= RV_CK_F64; t++)
        if (type >= 0 && H5Tequal(type, memory_type((rv_ck_type)t)) > 0) l.type = t;
    l.ndim =
        space < 0 || H5Sget_simple_extent_type(space) == H5S_NULL ? -1 : H5Sget_simple_extent_dims(space, dim, NULL);
    for (int i = 0; i < l.ndim && i < RV_CK_MAX_DIMS; i++) l.dim[i] = dim[i] > INT64_MAX ? INT64_MAX : (int64_t)dim[i];
    H5Tclose(type), H5Sclose(space), H5Dclose(set);
    send(w->c, (const unsigned char *)&l, sizeof l);
    return 0;
}

/* Bytes of this process's data, most of them the parent's. */
static size_t data_bytes(void) {
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*u %*u %*u %*u %*u %zu", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void read_all(const wanted *w, const char *path) {
    const child *c = w->c;
    const size_t largest = w->largest, room = data_bytes() + largest + ROOM;
    setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS, SECONDS});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#ifndef __SANITIZE_ADDRESS__ /* whose own mappings would count */
    setrlimit(RLIMIT_DATA, &(struct rlimit){room, room});
#endif
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
    unsigned char *buffer = malloc(largest ? largest : 1);
    if (!buffer) refuse(c, "no memory for a tensor of %zu bytes", largest);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) refuse(c, "libhdf5 cannot open it: it is no HDF5 file, or damaged");
    hid_t model = H5Lexists(file, "/model", H5P_DEFAULT) > 0 && is_own(file, "/model")
                      ? H5Oopen(file, "/model", H5P_DEFAULT)
                      : -1;
    if (model < 0 || H5Iget_type(model) != H5I_GROUP)
        refuse(c, "has no group '/model': the tensors must be there, as f['model/NAME']");
    if (w->n < 0) {
        H5Literate(model, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, send_listed, (void *)w);
        _exit(0);
    }
    for (int i = 0; i < w->n; i++) send_tensor(c, file, &w->items[i], buffer);
    if (w->strict) H5Literate(model, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, find_strange, (void *)w);
    _exit(0);
}

/* ---- the parent */

static bool receive(int fd, unsigned char *to, size_t n) {
    while (n) {
        ssize_t got = read(fd, to, n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got, n -= (size_t)got;
    }
    return true;
}

static rv_status judge(pid_t pid, int words, bool complete) {
    char line[LINE + 1];
    ssize_t n = read(words, line, LINE);
    int ended = 0;
    while (waitpid(pid, &ended, 0) < 0 && errno == EINTR) continue;
    line[n > 0 ? n : 0] = 0;
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?'; /* a name from the file may reach a terminal */
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0 && complete) return RV_OK;
    if (n > 0) return rv_error(RV_ECKPT, "%s", line);
    return rv_error(RV_ECKPT, "libhdf5 failed on it (%s %d): the file is damaged",
                    WIFSIGNALED(ended) ? "signal" : "exit code",
                    WIFSIGNALED(ended) ? WTERMSIG(ended) : WEXITSTATUS(ended));
}

/* Takes what the child sends; false if that ends too early. */
typedef bool receiver(int fd, const wanted *w, void *to);

static rv_status read_in_child(const char *name, wanted w, receiver *take, void *to) {
    int words[2], numbers[2];
    if (pipe2(words, O_CLOEXEC)) return rv_error(RV_EINTERNAL, "cannot make a pipe: %s", strerror(errno));
    if (pipe2(numbers, O_CLOEXEC)) {
        close(words[0]), close(words[1]);
        return rv_error(RV_EINTERNAL, "cannot make a pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    w.c = &(child){words[1], numbers[1]};
    if (pid == 0) read_all(&w, name);
    int why = errno;
    close(words[1]), close(numbers[1]);
    bool complete = pid > 0 && take(numbers[0], &w, to);
    close(numbers[0]); /* a child that still wants to write ends */
    rv_status st = pid < 0 ? rv_error(RV_EINTERNAL, "cannot start a process to read it: %s", strerror(why))
                           : judge(pid, words[0], complete);
    close(words[0]);
    return st;
}

/* What is asked of the file `path`, whose length *bytes gets (may be NULL). */
static rv_status ask(const char *path, wanted w, receiver *take, void *to, int64_t *bytes) {
    char name[64];
    struct stat st = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return rv_error(RV_ECKPT, "%s: cannot open: %s", path, strerror(errno));
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const mode_t mode = fstat(fd, &st) ? 0 : st.st_mode;
    if (bytes) *bytes = st.st_size;
    rv_status status = S_ISREG(mode)   ? read_in_child(name, w, take, to)
                       : S_ISDIR(mode) ? rv_error(RV_ECKPT, "a folder; name a file in it")
                                       : rv_error(RV_ECKPT, "not a regular file");
    close(fd);
    return status == RV_OK ? RV_OK : rv_error_context(status, "%s: ", path);
}

static bool take_bytes(int fd, const wanted *w, void *to) {
    for (int i = 0; i < w->n; i++)
        if (!receive(fd, ((void *const *)to)[i], (size_t)rv_ck_count(&w->items[i]) * rv_ck_type_size(w->items[i].type)))
            return false;
    return true;
}

rv_status rv__seal_read(const char *path, int n, const rv_ck_item *items, bool strict, void *const *to) {
    wanted w = {.n = n, .items = items, .strict = strict};
    for (int i = 0; i < n; i++) {
        size_t bytes = (size_t)rv_ck_count(&items[i]) * rv_ck_type_size(items[i].type);
        if (bytes > w.largest) w.largest = bytes;
    }
    return ask(path, w, take_bytes, (void *)to, NULL);
}

typedef struct {
    rv__seal_listed *x;
    int n;
} list;

static bool take_list(int fd, const wanted *w, void *to) {
    (void)w;
    list *l = to;
    rv__seal_listed one, *more;
    for (; receive(fd, (unsigned char *)&one, sizeof one); l->x[l->n++] = one) {
        if (l->n == RV_CK_MAX_ITEMS) return false;
        if (l->n & (l->n - 1)) continue; /* room for the next power of two */
        more = realloc(l->x, sizeof *more * (l->n ? 2 * (size_t)l->n : 1));
        if (!more) return false;
        l->x = more;
    }
    return true;
}

rv_status rv__seal_list(const char *path, rv__seal_listed **out, int *n) {
    list l = {0};
    int64_t bytes = 0;
    rv_status status = ask(path, (wanted){.n = -1}, take_list, &l, &bytes);
    for (int i = 0; i < l.n && status == RV_OK; i++) {
        /* Stored in one piece, a tensor is no larger than its file: its room is not what a made-up shape asks for. */
        rv__seal_listed *t = &l.x[i];
        int64_t size = t->type == RV_CK_F64 ? 8 : 4;
        t->path[sizeof t->path - 1] = 0;
        if (t->type < 0 || t->ndim < 0 || t->ndim > RV_CK_MAX_DIMS) continue;
        for (int d = 0; d < t->ndim && size; d++) size = t->dim[d] > bytes / size ? 0 : size * t->dim[d];
        if (!size)
            status = rv_error(RV_ECKPT, "%s: '%s' is larger than the file: write it in one piece, uncompressed", path,
                              t->path);
    }
    *out = status == RV_OK ? l.x : NULL;
    *n = status == RV_OK ? l.n : 0;
    if (status != RV_OK) free(l.x);
    return status;
}

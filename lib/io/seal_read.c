/* libhdf5 may crash or hang on a file that was made to, so a child process reads, and hands the numbers over through a
 * pipe: all tensors' bytes, in order, or else one line that says what does not fit. What is asked of the file is known
 * before: datasets of one type and shape each, stored in one piece in the file itself. */
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

typedef struct {
    const child *c;
    int n;
    const rv_ck_item *items;
} wanted;

static herr_t find_strange(hid_t group, const char *name, const H5L_info_t *info, void *ctx) {
    (void)group, (void)info;
    const wanted *w = ctx;
    for (int i = 0; i < w->n; i++)
        if (!strcmp(name, w->items[i].path + strlen("/model/"))) return 0;
    refuse(w->c, "its '/model/%.300s' has no place in the checkpoint", name);
    return -1;
}

/* Bytes of this process's data, most of them the parent's. */
static size_t data_bytes(void) {
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*u %*u %*u %*u %*u %zu", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void read_all(const child *c, const char *path, int n, const rv_ck_item *items, size_t largest) {
    const size_t room = data_bytes() + largest + ROOM;
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
    for (int i = 0; i < n; i++) send_tensor(c, file, &items[i], buffer);
    H5Literate(model, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, find_strange, &(wanted){c, n, items});
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

static rv_status read_in_child(const char *name, int n, const rv_ck_item *items, void *const *to, size_t largest) {
    int words[2], numbers[2];
    if (pipe2(words, O_CLOEXEC)) return rv_error(RV_EINTERNAL, "cannot make a pipe: %s", strerror(errno));
    if (pipe2(numbers, O_CLOEXEC)) {
        close(words[0]), close(words[1]);
        return rv_error(RV_EINTERNAL, "cannot make a pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) read_all(&(child){words[1], numbers[1]}, name, n, items, largest);
    int why = errno;
    close(words[1]), close(numbers[1]);
    bool complete = pid > 0;
    for (int i = 0; i < n && complete; i++)
        complete = receive(numbers[0], to[i], (size_t)rv_ck_count(&items[i]) * rv_ck_type_size(items[i].type));
    close(numbers[0]); /* a child that still wants to write ends */
    rv_status st = pid < 0 ? rv_error(RV_EINTERNAL, "cannot start a process to read it: %s", strerror(why))
                           : judge(pid, words[0], complete);
    close(words[0]);
    return st;
}

rv_status rv__seal_read(const char *path, int n, const rv_ck_item *items, void *const *to) {
    char name[64];
    struct stat st;
    size_t largest = 0;
    for (int i = 0; i < n; i++) {
        size_t bytes = (size_t)rv_ck_count(&items[i]) * rv_ck_type_size(items[i].type);
        if (bytes > largest) largest = bytes;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return rv_error(RV_ECKPT, "%s: cannot open: %s", path, strerror(errno));
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const mode_t mode = fstat(fd, &st) ? 0 : st.st_mode;
    rv_status status = S_ISREG(mode)   ? read_in_child(name, n, items, to, largest)
                       : S_ISDIR(mode) ? rv_error(RV_ECKPT, "a folder; name a file in it")
                                       : rv_error(RV_ECKPT, "not a regular file");
    close(fd);
    return status == RV_OK ? RV_OK : rv_error_context(status, "%s: ", path);
}

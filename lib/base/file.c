#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static rv__io_hook hook;
static void *hook_user;

void rv__io_set_hook(rv__io_hook h, void *user) {
    hook = h;
    hook_user = user;
}

static int ask(rv__io_op op, const char *path, const char *to, const void *data, size_t n) {
    return hook ? hook(hook_user, op, path, to, data, n) : 0;
}

/* Keep the first error only: what follows it is its consequence. */
static void latch(rv__file *f, int error, const char *what) {
    if (f->error || !error) return;
    f->error = error;
    f->what = what;
}

void rv__file_create(rv__file *f, const char *path) {
    *f = (rv__file){.fd = -1, .path = path};
    latch(f, ask(RV__IO_CREATE, path, NULL, NULL, 0), "create");
    if (f->error) return;
    f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (f->fd < 0) latch(f, errno, "create");
}

void rv__file_write(rv__file *f, const void *data, size_t n) {
    enum { CHUNK = 1 << 24 };
    const char *p = data;
    while (n && !f->error) {
        size_t part = n < CHUNK ? n : CHUNK;
        int injected = ask(RV__IO_WRITE, f->path, NULL, p, part);
        if (injected) part /= 2;
        ssize_t done = write(f->fd, p, part);
        if (injected)
            latch(f, injected, "write");
        else if (done < 0 && errno != EINTR)
            latch(f, errno, "write");
        else if (done == 0)
            latch(f, ENOSPC, "write");
        if (done > 0) p += done, n -= (size_t)done;
    }
}

void rv__file_fsync(rv__file *f) {
    if (f->error) return;
    int e = ask(RV__IO_FSYNC, f->path, NULL, NULL, 0);
    latch(f, e ? e : fsync(f->fd) ? errno : 0, "fsync");
}

void rv__file_close(rv__file *f) {
    if (f->fd < 0) return;
    int e = ask(RV__IO_CLOSE, f->path, NULL, NULL, 0), bad = close(f->fd) ? errno : 0;
    f->fd = -1;
    latch(f, e ? e : bad, "close");
}

static int rename_new(const char *from, const char *to) {
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    struct stat st;
    /* A file system without RENAME_NOREPLACE: the run's lock keeps others away between these two calls. */
    if (!lstat(to, &st)) return EEXIST;
    return rename(from, to) ? errno : 0;
}

void rv__file_rename(rv__file *f, const char *to, bool replace) {
    if (f->error) return;
    int e = ask(RV__IO_RENAME, f->path, to, NULL, 0);
    if (!e) e = !replace ? rename_new(f->path, to) : rename(f->path, to) ? errno : 0;
    latch(f, e, "rename");
}

void rv__file_fsync_dir(rv__file *f, const char *path) {
    if (f->error) return;
    /* No heap: a lack of memory here would report a save as failed that is there. */
    char dir[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash) snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int e = ask(RV__IO_FSYNC_DIR, dir, NULL, NULL, 0);
    if (!e) {
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        e = fd < 0 || fsync(fd) ? errno : 0;
        /* Some network file systems know no fsync of a directory, and one that cannot be read cannot be opened. */
        if (e == EINVAL || e == EACCES) e = 0;
        if (fd >= 0) close(fd);
    }
    latch(f, e, "fsync of the directory");
}

void rv__file_remove(const char *path) {
    if (!ask(RV__IO_UNLINK, path, NULL, NULL, 0)) unlink(path);
}

/* ---- paths and folders */

rv_status rv__path(char *out, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, RV__PATH, fmt, ap);
    va_end(ap);
    return n < RV__PATH ? RV_OK : rv_error(RV_EDATA, "%.200s...: the path is longer than %d bytes", out, RV__PATH - 1);
}

rv_status rv__make_folders(const char *path) {
    char p[RV__PATH];
    if (!*path) return rv_error(RV_EDATA, "a folder's name must not be empty");
    RV_TRY(rv__path(p, "%s", path));
    for (char *s = p + 1;; s++) {
        if (*s && *s != '/') continue;
        char old = *s;
        *s = 0;
        if (mkdir(p, 0777) && errno != EEXIST)
            return rv_error(RV_EDATA, "%s: cannot make the folder: %s", p, strerror(errno));
        *s = old;
        if (!old) return RV_OK;
    }
}

int64_t rv__file_size(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

/* ---- a stream that becomes a file */

FILE *rv__file_begin(const char *path) {
    char part[RV__PATH];
    if (rv__path(part, "%s.new", path) != RV_OK) return NULL;
    FILE *f = fopen(part, "wb");
    if (!f) rv_error(RV_EDATA, "%s: cannot write: %s", part, strerror(errno));
    return f;
}

rv_status rv__file_unwritten(const char *path) {
    return rv_error(RV_EDATA, "cannot write %s: %s; free some space on its disk, then run the same command again", path,
                    strerror(errno ? errno : EIO));
}

rv_status rv__file_end(FILE *stream, const char *path, bool keep) {
    char part[RV__PATH];
    rv_status status = rv__path(part, "%s.new", path);
    rv__file f = {.fd = fileno(stream), .path = part};
    if (keep && (fflush(stream) || ferror(stream))) latch(&f, errno ? errno : EIO, "write");
    if (keep) rv__file_fsync(&f);
    if (fclose(stream) && keep) latch(&f, errno, "close");
    if (keep) rv__file_rename(&f, path, true);
    if (!keep || f.error)
        rv__file_remove(part);
    else
        rv__file_fsync_dir(&f, path); /* the rename itself must survive a power cut */
    if (status == RV_OK && f.error)
        status = rv_error(RV_EDATA, "%s: cannot write: %s: %s", path, f.what, strerror(f.error));
    return status;
}

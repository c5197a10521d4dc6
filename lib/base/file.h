/* Paths, folders, and files that are whole or not there at all: the system calls of everything that must survive a
 * crash, with a hook through which tests let any of them fail, and log what reaches the disk in which order. */
#ifndef RV_BASE_FILE_H
#define RV_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

typedef enum {
    RV__IO_CREATE,
    RV__IO_WRITE,
    RV__IO_FSYNC,
    RV__IO_CLOSE,
    RV__IO_RENAME,
    RV__IO_FSYNC_DIR,
    RV__IO_UNLINK
} rv__io_op;

/* Called before each operation; an errno to fail with, or 0 to go on. `path` is the file (of a rename, the source),
 * `to` the target of a rename; data and n are what is about to be appended. A failing write leaves half of it behind.
 * */
typedef int (*rv__io_hook)(void *user, rv__io_op op, const char *path, const char *to, const void *data, size_t n);
void rv__io_set_hook(rv__io_hook hook, void *user); /* NULL: none */

/* A file that is written front to back. On the first error everything after is skipped. */
typedef struct {
    int fd;
    int error;        /* errno of the first failed operation */
    const char *what; /* and which it was: "write" */
    const char *path; /* not owned */
} rv__file;

/* Create, or empty, a file for appending. */
void rv__file_create(rv__file *f, const char *path);
void rv__file_write(rv__file *f, const void *data, size_t n);
void rv__file_fsync(rv__file *f);
void rv__file_close(rv__file *f);
/* Give the file a name that nothing has yet (EEXIST), or, with `replace`, put it in another's place. */
void rv__file_rename(rv__file *f, const char *to, bool replace);
/* Fsync of the directory that holds `path`. */
void rv__file_fsync_dir(rv__file *f, const char *path);
/* unlink through the hook; its failure is ignored: there is nothing left to do about it. */
void rv__file_remove(const char *path);

/* ---- paths and folders */

enum { RV__PATH = 4096 };
/* printf a path into out[RV__PATH]; RV_EDATA if it does not fit. */
rv_status rv__path(char *out, const char *fmt, ...) RV_PRINTF(2, 3);
/* mkdir -p. */
rv_status rv__make_folders(const char *path);
/* Bytes of the regular file `path`, or -1. */
int64_t rv__file_size(const char *path);

/* ---- a stream that becomes a file */

/* Begin a file that shall be called `path`: it is written as PATH.new. NULL with RV_EDATA recorded. */
FILE *rv__file_begin(const char *path);
/* Finish it: flushed to disk, then renamed to `path`. On error, or if !keep, PATH.new is removed. */
rv_status rv__file_end(FILE *f, const char *path, bool keep);
/* RV_EDATA after a write to such a stream failed: errno's reason and the remedy. */
rv_status rv__file_unwritten(const char *path);

#endif

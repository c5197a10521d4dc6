/* Files that are whole or not there at all, and their sha256. */
#ifndef RV_DATA_FILES_H
#define RV_DATA_FILES_H

#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

enum { RV__PATH = 4096, RV__SHA256_HEX = 65 };

/* printf a path into out[RV__PATH]; RV_EDATA if it does not fit. */
rv_status rv__path(char *out, const char *fmt, ...) RV_PRINTF(2, 3);
/* mkdir -p. */
rv_status rv__make_folders(const char *path);
/* Bytes of the regular file `path`, or -1. */
int64_t rv__file_size(const char *path);

/* Begin a file that shall be called `path`: it is written as PATH.new. NULL with RV_EDATA recorded. */
FILE *rv__file_begin(const char *path);
/* Finish it: flushed to disk, then renamed to `path`. On error, or if !keep, PATH.new is removed. */
rv_status rv__file_end(FILE *f, const char *path, bool keep);

/* sha256 of a file as 64 hex digits. */
rv_status rv__file_sha256(const char *path, char hex[RV__SHA256_HEX]);
/* Copy `source`, unpacking it if it is gzip, to `path`; it must have `bytes` bytes and this sha256, else RV_EDATA and
 * `path` stays as it was. */
rv_status rv__file_install(const char *source, const char *path, int64_t bytes, const char *sha256);

/* Download `url` to the file `part`, going on where an earlier, broken attempt at it stopped. Gives up over `most` bytes.
 * *resumed tells whether earlier bytes were kept. Errors: RV_EDATA with the reason. */
rv_status rv__fetch(const char *url, const char *part, int64_t most, const char *name, bool *resumed);

#endif

/* Files from elsewhere: downloads, and their sha256. */
#ifndef RV_DATA_FILES_H
#define RV_DATA_FILES_H

#include <stdint.h>

#include "base/file.h"

enum { RV__SHA256_HEX = 65 };

/* sha256 of a file as 64 hex digits. */
rv_status rv__file_sha256(const char *path, char hex[RV__SHA256_HEX]);
/* Copy `source`, unpacking it if it is gzip, to `path`; it must have `bytes` bytes and this sha256, else RV_EDATA and
 * `path` stays as it was. */
rv_status rv__file_install(const char *source, const char *path, int64_t bytes, const char *sha256);

/* Download `url` to the file `part`, going on where an earlier, broken attempt at it stopped. Gives up over `most`
 * bytes. *resumed tells whether earlier bytes were kept. Errors: RV_EDATA with the reason. */
rv_status rv__fetch(const char *url, const char *part, int64_t most, const char *name, bool *resumed);

#endif

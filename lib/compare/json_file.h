/** JSON documents in files. */
#ifndef RV_COMPARE_JSON_FILE_H
#define RV_COMPARE_JSON_FILE_H

#include <jansson.h>

#include "base/status.h"

/** Write the document to `path`, with all digits, replacing what is there; it appears whole or not at all. RV_EDATA with the path and the
 *  remedy. */
RV_API rv_status rv_json_write(const json_t *document, const char *path);
/** Read a file that ravel makes again when it is missing. RV_EDATA with the position. The caller decrefs *out, NULL after an error. */
RV_API rv_status rv_json_read(const char *path, json_t **out);

#endif

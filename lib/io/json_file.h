/** JSON documents in files. */
#ifndef RV_IO_JSON_FILE_H
#define RV_IO_JSON_FILE_H

#include <jansson.h>
#include <math.h>

#include "base/status.h"

/** Write the document to `path`, with all digits, replacing what is there; it appears whole or not at all. RV_EDATA
 * with the path and the remedy. */
RV_API rv_status rv_json_write(const json_t *document, const char *path);
/** Read a file that ravel makes again when it is missing. RV_EDATA with the position. The caller decrefs *out, NULL
 * after an error. */
RV_API rv_status rv_json_read(const char *path, json_t **out);

/** The number of that key; NaN for anything else. */
RV_API double rv_json_double(const json_t *o, const char *key);
/** A number; null for one that JSON does not have, infinite or NaN: jansson's own calls would drop it. */
static inline json_t *rv_json_number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

#endif

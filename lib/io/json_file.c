#include "io/json_file.h"

#include "base/file.h"

rv_status rv_json_write(const json_t *document, const char *path) {
    FILE *f = rv__file_begin(path);
    if (!f) return RV_EDATA;
    const bool ok = json_dumpf(document, f, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) == 0 && putc('\n', f) != EOF;
    const rv_status status = ok ? RV_OK : rv__file_unwritten(path), end = rv__file_end(f, path, ok);
    return ok ? end : status;
}

rv_status rv_json_read(const char *path, json_t **out) {
    json_error_t e;
    *out = json_load_file(path, 0, &e);
    return *out ? RV_OK
                : rv_error(RV_EDATA, "%s:%d:%d: %s; if it is damaged, remove it: it is made again", path, e.line,
                           e.column, e.text);
}

double rv_json_double(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

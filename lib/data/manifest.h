/* datasets/NAME/manifest.json, read and checked. */
#ifndef RV_DATA_MANIFEST_H
#define RV_DATA_MANIFEST_H

#include <jansson.h>
#include <stdint.h>

#include "data/files.h"
#include "data/generate.h"

enum { RV__DATASET_FILES = 32, RV__DATASET_ROLES = 32 };

typedef struct {
    const char *name, *url, *sha256;
    int64_t bytes; /* sha256 and bytes are of the unpacked file */
} rv__dataset_file;

/* All strings belong to `json`. */
typedef struct {
    json_t *json;
    const char *name, *description, *licence, *format;
    rv__dataset_file file[RV__DATASET_FILES];
    int files;
    struct {
        const char *role, *file;
    } role[RV__DATASET_ROLES];
    int roles;
    bool generated;
    rv_generator task;
} rv__manifest;

/* Read the manifest at `path` of the data set `name`. RV_EDATA names file and key. Free with rv__manifest_free. */
rv_status rv__manifest_load(const char *path, const char *name, rv__manifest *out);
void rv__manifest_free(rv__manifest *m);
/* A name that is safe as one path component: letters, digits, . _ -, not starting with a dot. */
bool rv__plain_name(const char *s);

#endif

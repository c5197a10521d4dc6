/* Folders that are known by name: datasets/NAME and experiments/NAME, of the working directory or as they were
 * installed. */
#ifndef RV_DATA_CATALOG_H
#define RV_DATA_CATALOG_H

#include "base/file.h"

typedef struct {
    const char *folder;  /* "datasets": its name in the working directory, and below PREFIX/share/ravel */
    const char *setting; /* environment variable that names another folder, which is then the only one */
    const char *mark;    /* pattern of the files that make a folder one of them: "manifest.json", "*.yaml" */
} rv__catalog;

/* The i-th folder that is looked into; false past the last. */
bool rv__catalog_place(const rv__catalog *c, int i, char path[RV__PATH]);
/* All of them, in words: "datasets or /usr/share/ravel/datasets". */
void rv__catalog_places(const rv__catalog *c, char *buf, size_t size);
/* The folder of NAME, a plain name, in the first place that has it; false if none has. */
bool rv__catalog_find(const rv__catalog *c, const char *name, char path[RV__PATH]);
/* Call `each` with every name, sorted, until it returns false. An earlier place's hides a later one's. RV_ENOMEM. */
rv_status rv__catalog_each(const rv__catalog *c, bool (*each)(void *arg, const char *name), void *arg);

/* Names of the folder's files that fit the pattern, sorted; the caller frees them and the list. -1: no such folder, or
 * no memory. */
int rv__list_folder(const char *path, const char *pattern, char ***names);
void rv__list_free(int n, char **names);

#endif

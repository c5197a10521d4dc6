#include "data/catalog.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/manifest.h"
#include "data/paths.h"

/* ---- one folder ---- */

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void rv__list_free(int n, char **names) {
    for (int i = 0; i < n; i++) free(names[i]);
    free(names);
}

/* Append a copy of the name. */
static bool list_add(int *n, char ***names, const char *name) {
    char **more = realloc(*names, ((size_t)*n + 1) * sizeof *more);
    if (more) *names = more;
    return more && (more[*n] = strdup(name)) && ++*n;
}

int rv__list_folder(const char *path, const char *pattern, char ***names) {
    int n = 0;
    bool ok = true;
    *names = NULL;
    DIR *d = opendir(path);
    if (!d) return -1;
    for (struct dirent *e; ok && (e = readdir(d));)
        if (rv__plain_name(e->d_name) && !fnmatch(pattern, e->d_name, 0)) ok = list_add(&n, names, e->d_name);
    closedir(d);
    if (n) qsort(*names, (size_t)n, sizeof **names, by_name);
    if (ok) return n;
    rv__list_free(n, *names);
    *names = NULL;
    return -1;
}

static bool has_mark(const rv__catalog *c, const char *folder) {
    char **names;
    int n = rv__list_folder(folder, c->mark, &names);
    rv__list_free(n, names);
    return n > 0;
}

/* ---- places ---- */

/* A program that stands in PREFIX/bin brings what stands in PREFIX/share: so a tree that was installed under a DESTDIR,
 * or moved, is whole. For all others the prefix of the build counts. */
static bool share_of_this_program(char path[RV__PATH]) {
    char exe[RV__PATH];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0) return false;
    exe[n] = 0;
    char *end = strrchr(exe, '/');
    size_t bin = strlen("/" RV__BIN_DIR);
    if (!end || (size_t)(end - exe) < bin || strncmp(end - bin, "/" RV__BIN_DIR, bin)) return false;
    return rv__path(path, "%.*s/" RV__DATA_DIR "/ravel", (int)(end - bin - exe), exe) == RV_OK &&
           access(path, F_OK) == 0;
}

bool rv__catalog_place(const rv__catalog *c, int i, char path[RV__PATH]) {
    char share[RV__PATH];
    const char *own = getenv(c->setting);
    if (own && *own) return i == 0 && rv__path(path, "%s", own) == RV_OK;
    if (i == 0) return rv__path(path, "%s", c->folder) == RV_OK;
    if (i > 1) return false;
    return rv__path(path, "%s/%s", share_of_this_program(share) ? share : RV__SHARE_DIR, c->folder) == RV_OK;
}

void rv__catalog_places(const rv__catalog *c, char *buf, size_t size) {
    char place[RV__PATH];
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; rv__catalog_place(c, i, place) && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? " or " : "", place);
}

bool rv__catalog_find(const rv__catalog *c, const char *name, char path[RV__PATH]) {
    char place[RV__PATH];
    for (int i = 0; rv__plain_name(name) && rv__catalog_place(c, i, place); i++)
        if (rv__path(path, "%s/%s", place, name) == RV_OK && has_mark(c, path)) return true;
    return false;
}

rv_status rv__catalog_each(const rv__catalog *c, bool (*each)(void *arg, const char *name), void *arg) {
    char place[RV__PATH], path[RV__PATH], **names = NULL;
    int n = 0;
    bool ok = true, on = true;
    for (int i = 0; rv__catalog_place(c, i, place); i++) {
        char **here;
        int count = rv__list_folder(place, "*", &here);
        for (int k = 0; k < count && ok; k++)
            if (rv__path(path, "%s/%s", place, here[k]) == RV_OK && has_mark(c, path))
                ok = list_add(&n, &names, here[k]);
        rv__list_free(count, here);
    }
    if (n) qsort(names, (size_t)n, sizeof *names, by_name);
    for (int k = 0; k < n && ok && on; k++)
        if (!k || strcmp(names[k], names[k - 1])) on = each(arg, names[k]);
    rv__list_free(n, names);
    return ok ? RV_OK : rv_error(RV_ENOMEM, "no memory to list %s", c->folder);
}

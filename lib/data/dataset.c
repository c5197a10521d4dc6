#include "data/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "data/catalog.h"
#include "data/files.h"
#include "data/manifest.h"

struct rv_dataset {
    rv__manifest m;
    char folder[RV__PATH];
    char path[RV__DATASET_ROLES][RV__PATH]; /* of role i's file */
};

/* ---- finding manifests ---- */

static const char *setting(const char *name) {
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static const rv__catalog catalog = {"datasets", "RAVEL_DATASETS", "manifest.json"};

rv_status rv_dataset_each(bool (*each)(void *arg, const char *name), void *arg) {
    return rv__catalog_each(&catalog, each, arg);
}

const char *rv_dataset_places(char *buf, size_t size) {
    rv__catalog_places(&catalog, buf, size);
    return buf;
}

typedef struct {
    char text[1024];
} name_list;

static bool add_name(void *arg, const char *name) {
    name_list *l = arg;
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof l->text - n, "%s%s", n ? ", " : "", name);
    return true;
}

static rv_status not_found(const char *name) {
    name_list all = {""};
    char places[2 * RV__PATH];
    RV_TRY(rv_dataset_each(add_name, &all));
    return rv_error(
        RV_EDATA,
        "no data set '%s' (a folder with manifest.json in %s); there are: %s. RAVEL_DATASETS names another folder",
        name, rv_dataset_places(places, sizeof places), all.text[0] ? all.text : "none");
}

rv_status rv_dataset_open(const char *name, rv_dataset **out) {
    *out = NULL;
    if (!rv__plain_name(name))
        return rv_error(RV_EDATA, "'%s' cannot be a data set's name: letters, digits, '.', '_' and '-' only", name);
    char folder[RV__PATH], path[RV__PATH];
    if (!rv__catalog_find(&catalog, name, folder)) return not_found(name);
    RV_TRY(rv__path(path, "%s/manifest.json", folder));
    rv_dataset *ds = calloc(1, sizeof *ds);
    if (!ds) return rv_error(RV_ENOMEM, "no memory for a data set");
    const char *cache = setting("RAVEL_DATA");
    rv_status status = rv__manifest_load(path, name, &ds->m);
    if (status == RV_OK) status = rv__path(ds->folder, "%s/%s", cache ? cache : "data-cache", name);
    for (int r = 0; r < ds->m.roles && status == RV_OK; r++)
        status = rv__path(ds->path[r], "%s/%s", ds->folder, ds->m.role[r].file);
    if (status == RV_OK)
        *out = ds;
    else
        rv_dataset_destroy(ds);
    return status;
}

void rv_dataset_destroy(rv_dataset *ds) {
    if (ds) rv__manifest_free(&ds->m);
    free(ds);
}

const char *rv_dataset_name(const rv_dataset *ds) { return ds->m.name; }
const char *rv_dataset_format(const rv_dataset *ds) { return ds->m.format; }
const char *rv_dataset_description(const rv_dataset *ds) { return ds->m.description; }
const char *rv_dataset_licence(const rv_dataset *ds) { return ds->m.licence; }
const char *rv_dataset_folder(const rv_dataset *ds) { return ds->folder; }

/* ---- roles ---- */

const char *rv_dataset_path(const rv_dataset *ds, const char *role) {
    for (int i = 0; i < ds->m.roles; i++)
        if (!strcmp(ds->m.role[i].role, role)) return ds->path[i];
    return NULL;
}

static rv_status no_role(const rv_dataset *ds, const char *what) {
    name_list all = {""};
    for (int i = 0; i < ds->m.roles; i++) add_name(&all, ds->m.role[i].role);
    return rv_error(RV_EDATA, "data set %s, of format %s, has no %s; it has: %s", ds->m.name, ds->m.format, what,
                    all.text);
}

rv_status rv_dataset_require(const rv_dataset *ds, const char *role, const char **path) {
    char what[160];
    snprintf(what, sizeof what, "'%s'", role);
    *path = rv_dataset_path(ds, role);
    return *path ? RV_OK : no_role(ds, what);
}

/* How to read the file of a role without ".text", which is plain. */
static rv_text_format text_format(const rv_dataset *ds) {
    if (!strcmp(ds->m.format, "conllu")) return RV_FORMAT_CONLLU;
    if (!strcmp(ds->m.format, "columns")) return RV_FORMAT_COLUMNS;
    return strcmp(ds->m.format, "tsv") ? RV_FORMAT_TEXT : RV_FORMAT_TSV;
}

rv_status rv_dataset_lm_files(const rv_dataset *ds, const char *language, rv_corpus_files *out) {
    static const char *const splits[] = {"train", "valid", "test"};
    const bool csv = !strcmp(ds->m.format, "csv"), rows = csv || !strcmp(ds->m.format, "pairs"); /* no plain text */
    *out = (rv_corpus_files){.text = csv ? NULL : rv_dataset_path(ds, "text"), .format = text_format(ds)};
    if (out->text) return RV_OK;
    char suffix[64];
    snprintf(suffix, sizeof suffix, ".%s", language ? language : "");
    const char *const suffixes[] = {".text", language ? suffix : "", ""};
    for (int s = 0; s < 3; s++) {
        if (s && rows) break;
        const char *path[3];
        for (int i = 0; i < 3; i++) {
            char role[80];
            snprintf(role, sizeof role, "%s%s", splits[i], suffixes[s]);
            path[i] = rv_dataset_path(ds, role);
        }
        if (!path[0]) continue;
        out->train = path[0], out->valid = path[1], out->test = path[2];
        if (!s) out->format = RV_FORMAT_TEXT;
        return RV_OK;
    }
    char what[160];
    snprintf(what, sizeof what, "text for a language model%s%s",
             language ? " in " : " (of a parallel one, data.language names a side)", language ? language : "");
    return no_role(ds, what);
}

rv_status rv_dataset_parallel_files(const rv_dataset *ds, const char *src, const char *tgt, rv_parallel_files *out) {
    static const char *const splits[] = {"train", "valid", "test"};
    rv_parallel_paths *paths[] = {&out->train, &out->valid, &out->test};
    *out = (rv_parallel_files){0};
    if (!src != !tgt)
        return rv_error(RV_EUSAGE, "data set %s: give both data.src and data.tgt, or neither", ds->m.name);
    if (!src && strcmp(ds->m.format, "pairs"))
        return no_role(ds, "pairs to translate in one file (name two languages with data.src and data.tgt)");
    for (int i = 0; i < 3; i++) {
        char role[2][80], what[200];
        snprintf(role[0], sizeof role[0], src ? "%s.%s" : "%s", splits[i], src);
        snprintf(role[1], sizeof role[1], "%s.%s", splits[i], tgt ? tgt : "");
        *paths[i] = (rv_parallel_paths){rv_dataset_path(ds, role[0]), tgt ? rv_dataset_path(ds, role[1]) : NULL};
        bool half = tgt && !paths[i]->src != !paths[i]->tgt;
        if (!half && (paths[i]->src || i)) continue;
        snprintf(what, sizeof what, "'%s'", paths[i]->src ? role[1] : role[0]);
        return no_role(ds, what);
    }
    return RV_OK;
}

rv_status rv_dataset_table_files(const rv_dataset *ds, rv_table_files *out) {
    const bool csv = !strcmp(ds->m.format, "csv");
    *out = (rv_table_files){.format = csv ? RV_TABLE_CSV : RV_TABLE_TSV};
    if (!csv && strcmp(ds->m.format, "tsv")) return no_role(ds, "labelled texts (formats tsv and csv have)");
    out->train = rv_dataset_path(ds, "train");
    out->valid = rv_dataset_path(ds, "valid");
    out->test = rv_dataset_path(ds, "test");
    if (out->train) return RV_OK;
    const char *all = rv_dataset_path(ds, "table");
    if (!all) all = rv_dataset_path(ds, "text");
    if (!all || out->valid || out->test) return no_role(ds, "'train'");
    out->train = all, out->train_fraction = 0.8, out->test_fraction = 0.1;
    return RV_OK;
}

rv_status rv_dataset_tagged_files(const rv_dataset *ds, rv_tagged_files *out) {
    const bool columns = !strcmp(ds->m.format, "columns");
    *out = (rv_tagged_files){.format = columns ? RV_TAGGED_COLUMNS : RV_TAGGED_CONLLU};
    if (!columns && strcmp(ds->m.format, "conllu"))
        return no_role(ds, "tagged words (formats conllu and columns have)");
    out->train = rv_dataset_path(ds, "train");
    out->valid = rv_dataset_path(ds, "valid");
    out->test = rv_dataset_path(ds, "test");
    return out->train ? RV_OK : no_role(ds, "'train'");
}

/* ---- getting files ---- */

/* Generated files go with the settings they were made from. */
static bool same_settings(const rv_dataset *ds) {
    char path[RV__PATH], want[256], have[256] = "";
    if (rv__path(path, "%s/settings", ds->folder) != RV_OK) return false;
    FILE *f = fopen(path, "r");
    if (f && !fgets(have, sizeof have, f)) have[0] = 0;
    if (f) fclose(f);
    return !strcmp(have, rv_generator_text(&ds->m.task, want, sizeof want));
}

bool rv_dataset_present(const rv_dataset *ds) {
    if (ds->m.generated && !same_settings(ds)) return false;
    for (int i = 0; i < ds->m.files; i++) {
        char path[RV__PATH];
        if (rv__path(path, "%s/%s", ds->folder, ds->m.file[i].name) != RV_OK ||
            rv__file_size(path) != ds->m.file[i].bytes)
            return false;
    }
    for (int i = 0; i < ds->m.roles; i++)
        if (rv__file_size(ds->path[i]) < 0) return false;
    return true;
}

static rv_status generate(const rv_dataset *ds) {
    char path[RV__PATH], text[256];
    RV_TRY(rv__path(path, "%s/settings", ds->folder));
    unlink(path); /* until all files are there, they go with no settings */
    rv_info("%s: generating %s", ds->m.name, ds->folder);
    RV_TRY(rv_generator_write(&ds->m.task, ds->folder));
    FILE *f = rv__file_begin(path);
    if (!f) return RV_EDATA;
    fputs(rv_generator_text(&ds->m.task, text, sizeof text), f);
    return rv__file_end(f, path, true);
}

/* From the mirror: FILE, or FILE.gz. *tried stays false if it has neither. */
static rv_status from_mirror(const rv_dataset *ds, const rv__dataset_file *file, const char *path, bool *tried) {
    const char *mirror = setting("RAVEL_DATA_MIRROR");
    *tried = false;
    for (int gz = 0; mirror && gz < 2; gz++) {
        char source[RV__PATH];
        RV_TRY(rv__path(source, "%s/%s/%s%s", mirror, ds->m.name, file->name, gz ? ".gz" : ""));
        if (rv__file_size(source) < 0) continue;
        *tried = true;
        rv_status status = rv__file_install(source, path, file->bytes, file->sha256);
        if (status != RV_OK)
            return rv_error_context(
                status,
                "data set %s, from the mirror (correct it, or unset RAVEL_DATA_MIRROR to download): ", ds->m.name);
        rv_info("%s: %s from the mirror %s", ds->m.name, file->name, mirror);
        return RV_OK;
    }
    return RV_OK;
}

static rv_status from_network(const rv_dataset *ds, const rv__dataset_file *file, const char *path) {
    char part[RV__PATH];
    RV_TRY(rv__path(part, "%s.part", path));
    rv_info("%s: getting %s from %s", ds->m.name, file->name, file->url);
    rv_status status;
    bool resumed;
    int attempts = 0;
    do {
        status = rv__fetch(file->url, part, file->bytes + 65536, file->name, &resumed);
        if (status != RV_OK) break; /* the part stays, to go on from */
        status = rv__file_install(part, path, file->bytes, file->sha256);
        unlink(part);
    } while (status != RV_OK && resumed && attempts++ == 0); /* the earlier part may have been another file's */
    if (status == RV_OK) return RV_OK;
    return rv_error_context(status,
                            "data set %s: cannot get %s. Run the command again to go on; or get the file from %s by "
                            "other means and put it (unpacked) at %s, "
                            "or it or its .gz into a folder %s/ under $RAVEL_DATA_MIRROR. The reason: ",
                            ds->m.name, file->name, file->url, path, ds->m.name);
}

static rv_status get_file(const rv_dataset *ds, const rv__dataset_file *file, bool verify) {
    char path[RV__PATH], hex[RV__SHA256_HEX];
    RV_TRY(rv__path(path, "%s/%s", ds->folder, file->name));
    if (rv__file_size(path) == file->bytes) {
        if (!verify) return RV_OK;
        RV_TRY(rv__file_sha256(path, hex));
        if (!strcmp(hex, file->sha256)) return RV_OK;
        rv_warn("%s has a wrong sha256; getting it again", path);
    }
    bool tried;
    RV_TRY(from_mirror(ds, file, path, &tried));
    return tried ? RV_OK : from_network(ds, file, path);
}

rv_status rv_dataset_get(rv_dataset *ds, bool verify) {
    if (!verify && rv_dataset_present(ds)) return RV_OK;
    RV_TRY(rv__make_folders(ds->folder));
    char path[RV__PATH];
    RV_TRY(rv__path(path, "%s/.lock", ds->folder));
    int lock =
        open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666); /* two runs started at once shall not write the same part */
    if (lock < 0) return rv_error(RV_EDATA, "%s: cannot write: %s", path, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB)) {
        rv_info("%s: waiting for another process that is getting it", ds->m.name);
        flock(lock, LOCK_EX);
    }
    rv_status status = RV_OK;
    if (ds->m.generated && (verify || !rv_dataset_present(ds))) status = generate(ds);
    for (int i = 0; i < ds->m.files && status == RV_OK; i++) status = get_file(ds, &ds->m.file[i], verify);
    close(lock);
    return status;
}

rv_status rv_dataset_resolve(const char *name, rv_dataset **out) {
    RV_TRY(rv_dataset_open(name, out));
    rv_status status = rv_dataset_get(*out, false);
    if (status == RV_OK) return RV_OK;
    rv_dataset_destroy(*out);
    *out = NULL;
    return status;
}

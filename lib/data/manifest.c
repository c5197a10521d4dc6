#include "data/manifest.h"

#include <string.h>

void rv__manifest_free(rv__manifest *m) {
    json_decref(m->json);
    *m = (rv__manifest){0};
}

bool rv__plain_name(const char *s) {
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return n && !s[n] && s[0] != '.' && n < 128;
}

static rv_status bad(const char *path, const char *where, const char *key, const char *why) {
    return rv_error(RV_EDATA, "%s: %s%s'%s' %s", path, where, *where ? ": " : "", key, why);
}

/* Every key must be among `known` (space around each). */
static rv_status check_keys(const char *path, const char *where, json_t *object, const char *known) {
    const char *key;
    json_t *value;
    json_object_foreach (object, key, value) {
        size_t n = strlen(key);
        const char *at = n ? strstr(known + 1, key) : NULL;
        while (at && !(at[-1] == ' ' && at[n] == ' ')) at = strstr(at + 1, key);
        if (!at)
            return rv_error(RV_EDATA, "%s: %s%sunknown key '%s'; there are:%s", path, where, *where ? ": " : "", key,
                            known);
    }
    return RV_OK;
}

static rv_status get_string(const char *path, const char *where, json_t *object, const char *key, const char **out) {
    *out = json_string_value(json_object_get(object, key));
    return *out ? RV_OK : bad(path, where, key, "must be a string");
}

static rv_status get_count(const char *path, const char *where, json_t *object, const char *key, int64_t *out) {
    json_t *v = json_object_get(object, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return bad(path, where, key, "must be a whole number, not negative");
    *out = json_integer_value(v);
    return RV_OK;
}

static rv_status read_files(const char *path, rv__manifest *m) {
    json_t *files = json_object_get(m->json, "files"), *roles = json_object_get(m->json, "roles"), *v;
    size_t n = json_array_size(files), i;
    if (!n || n > RV__DATASET_FILES)
        return bad(path, "", "files", "must be a list of 1 to 32 files (or give 'generator')");
    json_array_foreach (files, i, v) {
        rv__dataset_file *f = &m->file[m->files++];
        char where[32];
        snprintf(where, sizeof where, "files[%zu]", i);
        RV_TRY(check_keys(path, where, v, " name url sha256 bytes "));
        RV_TRY(get_string(path, where, v, "name", &f->name));
        RV_TRY(get_string(path, where, v, "url", &f->url));
        RV_TRY(get_string(path, where, v, "sha256", &f->sha256));
        RV_TRY(get_count(path, where, v, "bytes", &f->bytes));
        if (!rv__plain_name(f->name))
            return bad(path, where, "name", "must be a plain file name: letters, digits, '.', '_', '-'");
        if (strspn(f->sha256, "0123456789abcdef") != 64 || f->sha256[64])
            return bad(path, where, "sha256", "must be 64 lower-case hex digits");
    }
    if (!json_is_object(roles) || !json_object_size(roles) || json_object_size(roles) > RV__DATASET_ROLES)
        return bad(path, "", "roles", "must map 1 to 32 roles to files");
    const char *role;
    json_object_foreach (roles, role, v) {
        const char *name = json_string_value(v);
        int k = 0;
        while (name && k < m->files && strcmp(m->file[k].name, name)) k++;
        if (!name || k == m->files) return bad(path, "roles", role, "must name one of 'files'");
        m->role[m->roles].role = role;
        m->role[m->roles++].file = m->file[k].name;
    }
    return RV_OK;
}

static rv_status read_generator(const char *path, json_t *g, rv__manifest *m) {
    static const char *const fixed[][2] = {
        {"train", "train.tsv"},         {"valid", "valid.tsv"},         {"test", "test.tsv"},
        {"train.text", "train.txt"},    {"valid.text", "valid.txt"},    {"test.text", "test.txt"},
        {"train.align", "train.align"}, {"valid.align", "valid.align"}, {"test.align", "test.align"}};
    const char *task;
    RV_TRY(check_keys(path, "generator", g, " task seed train valid test min_length max_length "));
    RV_TRY(get_string(path, "generator", g, "task", &task));
    rv_status status = rv_generator_defaults(task, &m->task);
    if (status != RV_OK) return rv_error_context(RV_EDATA, "%s: generator: ", path);
    int64_t seed = (int64_t)m->task.seed;
    const struct {
        const char *key;
        int64_t *value;
    } counts[] = {{"seed", &seed},         {"train", &m->task.train},           {"valid", &m->task.valid},
                  {"test", &m->task.test}, {"min_length", &m->task.min_length}, {"max_length", &m->task.max_length}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (json_object_get(g, counts[i].key)) RV_TRY(get_count(path, "generator", g, counts[i].key, counts[i].value));
    m->task.seed = (uint64_t)seed;
    size_t roles = sizeof fixed / sizeof *fixed - (rv_generator_aligned(task) ? 0 : 3);
    for (size_t i = 0; i < roles; i++) {
        m->role[m->roles].role = fixed[i][0];
        m->role[m->roles++].file = fixed[i][1];
    }
    m->generated = true;
    return RV_OK;
}

static rv_status check(const char *path, const char *name, rv__manifest *m) {
    static const char *const formats[] = {"text", "parallel", "conllu", "columns", "tsv", "csv", "pairs"};
    if (!json_is_object(m->json)) return rv_error(RV_EDATA, "%s: must be one JSON object", path);
    RV_TRY(check_keys(path, "", m->json, " name description licence home format files generator roles "));
    RV_TRY(get_string(path, "", m->json, "name", &m->name));
    RV_TRY(get_string(path, "", m->json, "description", &m->description));
    RV_TRY(get_string(path, "", m->json, "licence", &m->licence));
    RV_TRY(get_string(path, "", m->json, "format", &m->format));
    if (strcmp(m->name, name)) return bad(path, "", "name", "must be the folder's name");
    size_t f = 0;
    while (f < sizeof formats / sizeof *formats && strcmp(formats[f], m->format)) f++;
    if (f == sizeof formats / sizeof *formats)
        return bad(path, "", "format", "must be text, parallel, conllu, columns, tsv, csv or pairs");
    json_t *g = json_object_get(m->json, "generator");
    if (!g) return read_files(path, m);
    if (json_object_get(m->json, "files") || json_object_get(m->json, "roles"))
        return bad(path, "", "generator", "excludes 'files' and 'roles'");
    return read_generator(path, g, m);
}

rv_status rv__manifest_load(const char *path, const char *name, rv__manifest *out) {
    *out = (rv__manifest){0};
    json_error_t e;
    out->json = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!out->json)
        return rv_error(RV_EDATA, "%s:%d:%d: %s", path, e.line > 0 ? e.line : 0, e.column > 0 ? e.column : 0, e.text);
    rv_status status = check(path, name, out);
    if (status != RV_OK) rv__manifest_free(out);
    return status;
}

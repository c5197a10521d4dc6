/* Data files that are not where a configuration says: relative paths are of the working directory, and a run or an
 * experiment may be used from another one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/yaml_private.h"
#include "config/config_private.h"

static const char *const keys[] = {"data.path", "data.train", "data.valid", "data.test"};
enum { KEYS = sizeof keys / sizeof *keys, ROOM = 4096 };

/* PATH, with data.src PATH.SRC, or one of them with .gz behind it. */
static bool there(const rv_config *c, const char *path) {
    const char *src = rv_config_text(c, "data.src");
    char file[ROOM];
    for (int gz = 0; gz < 2; gz++)
        if (snprintf(file, sizeof file, "%s%s%s%s", path, src ? "." : "", src ? src : "", gz ? ".gz" : "") < ROOM &&
            !access(file, F_OK))
            return true;
    return false;
}

/* Where the file `text` that node n gives is looked for, too: in `folder`, or beside n's file. */
static bool elsewhere(const rv_yaml_node *n, const char *text, const char *folder, char path[ROOM]) {
    const char *label = n->source->label, *slash = strrchr(label, '/');
    if (!folder && !slash) return false;
    return snprintf(path, ROOM, "%.*s/%s", folder ? (int)strlen(folder) : (int)(slash - label), folder ? folder : label,
                    text) < ROOM;
}

/* Where the run or file of n is, if it is not in the working directory but beside n's file; else NULL. */
static const char *beside(rv_config *c, const rv_yaml_node *n, const char *key) {
    char path[ROOM];
    if (n->source->assignment || n->text[0] == '/' || !access(n->text, F_OK)) return NULL;
    if (!elsewhere(n, n->text, NULL, path) || access(path, F_OK)) return NULL;
    rv__config_note(c, "%s %s is not in the working directory; taken: %s", key, n->text, path);
    return rv__yaml_copy(c->yaml, path, strlen(path));
}

void rv__config_find_runs(rv_config *c) {
    static const char *const single[] = {"tokenizer.from", "model.init.vectors"};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        rv__value *v = rv__config_value(c, single[i]);
        const char *other = v->node ? beside(c, v->node, single[i]) : NULL;
        if (other) v->text = other;
    }
    const rv_yaml_node *list = rv__config_value(c, "init")->node;
    for (rv_yaml_node *e = list ? rv_yaml_get(rv_yaml_root(c->yaml), "init")->first : NULL; e; e = e->next) {
        rv_yaml_node *n = rv_yaml_get(e, "from");
        const char *found = beside(c, n, "init.from");
        if (found) n->text = found, n->len = strlen(found);
    }
}

void rv__config_find_data(rv_config *c, const char *folder) {
    char path[ROOM];
    for (int i = 0; i < KEYS; i++) {
        rv__value *v = rv__config_value(c, keys[i]);
        if (!v->has || !v->node || v->assigned || v->text[0] == '/' || there(c, v->text)) continue;
        if (!elsewhere(v->node, v->text, folder, path) || !there(c, path)) continue;
        rv__config_note(c, "%s %s is not in the working directory; taken: %s", keys[i], v->text, path);
        const char *copy = rv__yaml_copy(c->yaml, path, strlen(path));
        if (copy) v->text = copy;
    }
}

const char *rv__config_lost_data(const rv_config *c) {
    for (int i = 0; i < KEYS; i++) {
        const rv__value *v = rv__config_value(c, keys[i]);
        if (v->has && v->text[0] != '/' && !there(c, v->text)) return keys[i];
    }
    return NULL;
}

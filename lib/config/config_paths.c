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

/* Where a key's file is looked for, too: in `folder`, or beside the file that gives the key. */
static bool elsewhere(const rv__value *v, const char *folder, char path[ROOM]) {
    const char *label = v->node->source->label, *slash = strrchr(label, '/');
    if (!folder && !slash) return false;
    return snprintf(path, ROOM, "%.*s/%s", folder ? (int)strlen(folder) : (int)(slash - label),
                    folder ? folder : label, v->text) < ROOM;
}

void rv__config_find_data(rv_config *c, const char *folder) {
    char path[ROOM];
    for (int i = 0; i < KEYS; i++) {
        rv__value *v = rv__config_value(c, keys[i]);
        if (!v->has || !v->node || v->assigned || v->text[0] == '/' || there(c, v->text)) continue;
        if (!elsewhere(v, folder, path) || !there(c, path)) continue;
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

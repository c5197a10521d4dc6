/* A configuration from inside: one value per row of the schema that is the first of its path. */
#ifndef RV_CONFIG_CONFIG_PRIVATE_H
#define RV_CONFIG_CONFIG_PRIVATE_H

#include "io/yaml.h"
#include "config/config.h"
#include "config/schema.h"

typedef struct {
    enum { RV__UNRESOLVED, RV__RESOLVING, RV__RESOLVED } state;
    const rv__key *key;       /* the row in force, or NULL: does not apply */
    const rv_yaml_node *node; /* where it was given, or NULL */
    bool assigned;            /* an assignment gave it, as null, too, or is why it was left out */
    bool bad;                 /* a mistake was reported; nothing can be said of what depends on it */
    bool has;
    double real;
    int64_t whole;
    const char *text; /* as it will be printed; lists have elements instead */
    int count;
    const char **texts;
    double *reals;
    char *where;
} rv__value;

struct rv_config {
    rv_yaml *yaml;
    rv__value *value; /* rv__schema_size */
    const char *note[16];
    int notes;
};

/* Fill in every value; mistakes go to c->yaml. */
void rv__config_resolve(rv_config *c);
/* The same once more for the keys of a section, whose nodes have changed. */
void rv__config_resolve_section(rv_config *c, const char *section);
/* null or ~, without quotes: "not given". */
bool rv__config_is_null(const rv_yaml_node *n);
/* What one row cannot say: relations between keys. */
void rv__config_cross_check(rv_config *c);
/* Keep what the user should know of: a key that an assignment made another of. */
void rv__config_note(rv_config *c, const char *fmt, ...) RV_PRINTF(2, 3);
/* Data files of relative paths that are not in the working directory are taken from `folder`, or (NULL) from beside
 * the file that names them, if they are there: with a note. Paths of assignments are the working directory's. */
void rv__config_find_data(rv_config *c, const char *folder);
/* The same for the runs that a configuration takes from: only beside the file that names them. */
void rv__config_find_runs(rv_config *c);
/* The first key whose relative path leads to no file; NULL if there is none. */
const char *rv__config_lost_data(const rv_config *c);
rv__value *rv__config_value(const rv_config *c, const char *path);

#endif

#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/yaml_private.h"
#include "config/config_private.h"

rv__value *rv__config_value(const rv_config *c, const char *path) {
    int i = rv__schema_find(path);
    RV_ASSERT(i >= 0);
    return &c->value[i];
}

void rv_config_destroy(rv_config *c) {
    if (!c) return;
    rv_yaml_destroy(c->yaml);
    free(c->value);
    free(c);
}

void rv__config_note(rv_config *c, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (int i = 0; i < c->notes; i++)
        if (!strcmp(c->note[i], text)) return;
    const char *note =
        c->notes < (int)(sizeof c->note / sizeof *c->note) ? rv__yaml_copy(c->yaml, text, strlen(text)) : NULL;
    if (note) c->note[c->notes++] = note;
}

void rv_config_tell(const rv_config *c) {
    for (int i = 0; i < c->notes; i++) rv_info("%s", c->note[i]);
}

static rv_config *create(void) {
    rv_config *c = calloc(1, sizeof *c);
    if (c && (c->value = calloc((size_t)rv__schema_size, sizeof *c->value)) && (c->yaml = rv_yaml_create())) return c;
    rv_config_destroy(c);
    rv_error(RV_ENOMEM, "out of memory while reading settings");
    return NULL;
}

/* ${seed} works without a seed in the file: top-level defaults become part of the tree. */
static void add_top_defaults(rv_config *c) {
    rv_yaml_node *root = rv_yaml_root(c->yaml);
    if (rv_yaml_get(root, "compare")) return; /* it has none of them */
    for (int i = 0; i < rv__schema_size; i++) {
        const rv__key *k = &rv__schema[i];
        if (rv__schema_is_child(i, "") && k->type != RV__SECTION && k->type != RV__ENUMS && k->dflt &&
            k->dflt != rv__required && !rv_yaml_get(root, k->path))
            rv_yaml_add(c->yaml, root, k->path, k->dflt);
    }
}

static void note_places(rv_config *c) {
    char buf[1024];
    for (int i = 0; i < rv__schema_size; i++) {
        rv__value *v = &c->value[i];
        if (v->node)
            rv_yaml_where(v->node, buf, sizeof buf);
        else
            snprintf(buf, sizeof buf, "%s", rv_yaml_root(c->yaml)->source->label);
        v->where = rv__yaml_copy(c->yaml, buf, strlen(buf));
    }
}

/* To try a file's experiment for five steps: an assigned train.max_steps stands in place of the file's train.epochs
 * (the other way round, the schema's condition of train.max_steps has it). */
static rv_status steps_before_epochs(rv_config *c) {
    const rv_yaml_node *train = rv_yaml_get(rv_yaml_root(c->yaml), "train");
    if (!train || train->kind != RV_YAML_MAP) return RV_OK;
    const rv_yaml_node *steps = rv_yaml_get(train, "max_steps"), *epochs = rv_yaml_get(train, "epochs");
    if (!steps || !epochs || rv__config_is_null(steps) || rv__config_is_null(epochs)) return RV_OK;
    if (!steps->source->assignment || epochs->source->assignment) return RV_OK;
    char where[1024];
    rv_yaml_where(epochs, where, sizeof where);
    rv__config_note(c, "train.epochs (%s) is left out: train.max_steps is given", where);
    return rv_yaml_override(c->yaml, "train.epochs=null");
}

static rv_status finish(rv_config *c, rv_status status, int n_overrides, const char *const *overrides,
                        rv_config **out) {
    *out = NULL;
    for (int i = 0; i < n_overrides && status == RV_OK; i++) status = rv_yaml_override(c->yaml, overrides[i]);
    if (status == RV_OK && rv_yaml_root(c->yaml)) {
        add_top_defaults(c);
        status = rv_yaml_substitute(c->yaml);
        if (status == RV_OK) status = steps_before_epochs(c);
        rv__config_resolve(c);
        rv__config_cross_check(c);
    }
    if (status == RV_OK && !rv_yaml_problems(c->yaml)) note_places(c);
    if (status == RV_OK)
        status = rv_yaml_finish(c->yaml);
    else
        rv_error(status, "out of memory while reading settings");
    if (status == RV_OK)
        *out = c;
    else
        rv_config_destroy(c);
    return status;
}

rv_status rv_config_set_steps(rv_config *c, int64_t steps) {
    char assignment[64];
    snprintf(assignment, sizeof assignment, "train.max_steps=%lld", (long long)steps);
    RV_TRY(rv_yaml_override(c->yaml, assignment));
    RV_TRY(rv_yaml_override(c->yaml, "train.epochs=null"));
    const int told = c->notes;
    rv__config_resolve_section(c, "train");
    rv__config_cross_check(c);
    for (int i = told; i < c->notes; i++) rv_info("%s", c->note[i]);
    if (!rv_yaml_problems(c->yaml)) note_places(c);
    return rv_yaml_finish(c->yaml);
}

rv_status rv_config_load(const char *path, int n_overrides, const char *const *overrides, rv_config **out) {
    rv_config *c = create();
    *out = NULL;
    return c ? finish(c, rv_yaml_load(c->yaml, path), n_overrides, overrides, out) : RV_ENOMEM;
}

rv_status rv_config_load_experiment(const char *path, int n_overrides, const char *const *overrides, rv_config **out) {
    RV_TRY(rv_config_load(path, n_overrides, overrides, out));
    if (!rv_config_has(*out, "compare")) {
        rv__config_find_data(*out, NULL);
        rv__config_find_runs(*out);
        return RV_OK;
    }
    rv_config_destroy(*out);
    *out = NULL;
    return rv_error(RV_EUSAGE, "%s: it has 'compare:', so it is a comparison of several experiments: ravel compare %s",
                    path, path);
}

rv_status rv_config_parse(const char *label, const char *text, size_t len, int n_overrides,
                          const char *const *overrides, rv_config **out) {
    rv_config *c = create();
    *out = NULL;
    return c ? finish(c, rv_yaml_parse(c->yaml, label, text, len), n_overrides, overrides, out) : RV_ENOMEM;
}

/* ---- access ---- */

static const rv__value *value(const rv_config *c, const char *path) { return rv__config_value(c, path); }

static bool type_is(const rv__value *v, unsigned mask) { return !v->key || (mask >> v->key->type & 1); }

double rv_config_real(const rv_config *c, const char *path) {
    const rv__value *v = value(c, path);
    RV_ASSERT(v->has && type_is(v, 1u << RV__REAL | 1u << RV__INT));
    return v->real;
}

int64_t rv_config_int(const rv_config *c, const char *path) {
    const rv__value *v = value(c, path);
    RV_ASSERT(v->has && type_is(v, 1u << RV__INT));
    return v->whole;
}

bool rv_config_bool(const rv_config *c, const char *path) {
    const rv__value *v = value(c, path);
    RV_ASSERT(v->has && type_is(v, 1u << RV__BOOL));
    return v->whole != 0;
}

const char *rv_config_text(const rv_config *c, const char *path) {
    const rv__value *v = value(c, path);
    RV_ASSERT(type_is(v, 1u << RV__TEXT | 1u << RV__PATH | 1u << RV__ENUM));
    return v->has ? v->text : NULL;
}

bool rv_config_has(const rv_config *c, const char *path) { return value(c, path)->has; }
bool rv_config_given(const rv_config *c, const char *path) { return value(c, path)->node != NULL; }
bool rv_config_by_default(const rv_config *c, const char *path) {
    const rv__value *v = value(c, path);
    return v->has && !v->node && v->key->dflt && !strchr(v->key->dflt, '@');
}
int rv_config_count(const rv_config *c, const char *path) { return value(c, path)->count; }

double rv_config_real_at(const rv_config *c, const char *path, int i) {
    const rv__value *v = value(c, path);
    RV_ASSERT(type_is(v, 1u << RV__REALS) && i >= 0 && i < v->count);
    return v->reals[i];
}

int64_t rv_config_int_at(const rv_config *c, const char *path, int i) {
    const rv__value *v = value(c, path);
    RV_ASSERT(type_is(v, 1u << RV__INTS) && i >= 0 && i < v->count);
    return (int64_t)v->reals[i];
}

const char *rv_config_text_at(const rv_config *c, const char *path, int i) {
    const rv__value *v = value(c, path);
    RV_ASSERT(type_is(v, 1u << RV__ENUMS | 1u << RV__TEXTS) && i >= 0 && i < v->count);
    return v->texts[i];
}

const rv_yaml_node *rv_config_entry_at(const rv_config *c, const char *path, int i) {
    const rv__value *v = value(c, path);
    RV_ASSERT(i >= 0 && i < v->count);
    const rv_yaml_node *n = v->node ? v->node->first : NULL;
    while (n && i--) n = n->next;
    return n;
}

const char *rv_config_entry_text(const rv_config *c, const char *path, int i, const char *key) {
    RV_ASSERT(type_is(value(c, path), 1u << RV__LIST) && rv__schema_child(path, key) >= 0);
    const rv_yaml_node *n = rv_yaml_get(rv_config_entry_at(c, path, i), key);
    return n && !rv__config_is_null(n) ? n->text : NULL;
}

int rv_config_map_count(const rv_config *c, const char *path) { return rv_config_count(c, path); }

const rv_yaml_node *rv_config_map_at(const rv_config *c, const char *path, int i) {
    const rv__value *v = value(c, path);
    RV_ASSERT(type_is(v, 1u << RV__MAP));
    return rv_config_entry_at(c, path, i);
}

const char *rv_config_map_key(const rv_config *c, const char *path, int i) {
    return rv_config_map_at(c, path, i)->key->text;
}

bool rv_config_is(const rv_config *c, const char *path, const char *text) {
    const rv__value *v = value(c, path);
    return v->has && v->text && !strcmp(v->text, text);
}

bool rv_config_ties_output(const rv_config *c) {
    static const char *const tied[] = {"true", "decoder", "all"}; /* of a decoder alone; of an encoder and a decoder */
    for (size_t i = 0; i < sizeof tied / sizeof *tied; i++)
        if (rv_config_is(c, "model.tie_embeddings", tied[i])) return true;
    return false;
}

const char *rv_config_where(const rv_config *c, const char *path) {
    const rv__value *v = value(c, path);
    return v->where;
}

const char *rv_config_source(const rv_config *c) { return rv_yaml_source_text(c->yaml); }

#include <ctype.h>
#include <string.h>

#include "io/yaml_private.h"

/* ---- merging ---- */

static void take_child(rv_yaml_node *into, rv_yaml_node *child) {
    child->next = NULL;
    for (rv_yaml_node **c = &into->first; *c; c = &(*c)->next) {
        if (strcmp((*c)->key->text, child->key->text)) continue;
        if ((*c)->kind == RV_YAML_MAP && child->kind == RV_YAML_MAP && !child->replace) {
            rv__yaml_merge(*c, child);
            return;
        }
        child->next = (*c)->next;
        *c = child;
        return;
    }
    rv__yaml_append(into, child);
}

void rv__yaml_merge(rv_yaml_node *into, rv_yaml_node *over) {
    for (rv_yaml_node *c = over->first, *next; c; c = next) {
        next = c->next;
        take_child(into, c);
    }
    /* later messages about the map as a whole point to the file that spoke last */
    into->source = over->source, into->line = over->line, into->column = over->column, into->bad |= over->bad;
    if (over->key) into->key = over->key;
}

rv_yaml_node *rv_yaml_add(rv_yaml *y, rv_yaml_node *map, const char *key, const char *text) {
    rv_yaml_node *k = rv__yaml_node(y, RV_YAML_SCALAR, map->source, map->line, map->column);
    rv_yaml_node *v = rv__yaml_node(y, RV_YAML_SCALAR, map->source, map->line, map->column);
    if (!k || !v || !(k->text = rv__yaml_copy(y, key, strlen(key))) ||
        !(v->text = rv__yaml_copy(y, text, strlen(text))))
        return NULL;
    k->len = strlen(key);
    v->len = strlen(text);
    v->key = k;
    v->made = true;
    rv__yaml_append(map, v);
    return v;
}

/* ---- key.path=value ---- */

rv_status rv_yaml_override(rv_yaml *y, const char *assignment) {
    rv_yaml_source *source = rv__yaml_source(y, assignment, NULL);
    if (!source) return RV_ENOMEM;
    source->assignment = true;
    const char *eq = strchr(assignment, '=');
    if (!eq || eq == assignment) {
        rv__yaml_problem_at(y, source, 0, 0, "expected key.path=value, for example train.optimizer.lr=1e-3");
        return RV_OK;
    }
    int before = y->problems;
    rv_yaml_node *value = rv__yaml_read(y, source, eq + 1, strlen(eq + 1));
    if (!value) {
        if (y->no_memory) return RV_ENOMEM;
        if (y->problems == before)
            rv__yaml_problem_at(
                y, source, 0, 0,
                "no value after '='; write key= followed by null to leave a key out, or by '' for an empty text");
        return RV_OK;
    }
    /* Build the maps from the last key outwards: a.b.c=v is {a: {b: {c: v}}}. */
    int depth = 0;
    for (const char *end = eq; end > assignment;) {
        const char *start = end;
        while (start > assignment && start[-1] != '.') start--;
        rv_yaml_node *key = rv__yaml_node(y, RV_YAML_SCALAR, source, 0, 0);
        rv_yaml_node *map = rv__yaml_node(y, RV_YAML_MAP, source, 0, 0);
        if (!key || !map || !(key->text = rv__yaml_copy(y, start, (size_t)(end - start)))) return RV_ENOMEM;
        key->len = (size_t)(end - start);
        if (!key->len || start == assignment + 1 || ++depth > RV_YAML_MAX_DEPTH) {
            rv__yaml_problem_at(y, source, 0, 0, "'%.*s' is not a key path; write words with single dots between them",
                                (int)(eq - assignment), assignment);
            return RV_OK;
        }
        value->key = key;
        map->first = value;
        map->count = 1;
        value = map;
        end = start == assignment ? start : start - 1;
    }
    if (!y->root) return RV_OK;
    const rv_yaml_source *whole = y->root->source;
    int line = y->root->line, column = y->root->column;
    rv__yaml_merge(y->root, value);
    y->root->source = whole, y->root->line = line, y->root->column = column;
    return RV_OK;
}

/* ---- ${name} ---- */

typedef struct {
    rv_yaml *y;
    const rv_yaml_node *active[RV_YAML_MAX_DEPTH + 1]; /* root scalars being substituted, to see cycles */
    char *scratch[RV_YAML_MAX_DEPTH + 1];              /* a buffer of RV_YAML_MAX_SCALAR bytes per level */
    int depth;
} substitution;

static void substitute_scalar(substitution *s, rv_yaml_node *n);

/* The root scalar called name[0..len), substituted, or NULL after reporting at n. */
static const rv_yaml_node *look_up(substitution *s, const rv_yaml_node *n, const char *name, size_t len) {
    for (rv_yaml_node *c = s->y->root->first; c; c = c->next) {
        if (c->kind != RV_YAML_SCALAR || c->key->len != len || memcmp(c->key->text, name, len)) continue;
        bool cycle = s->depth == RV_YAML_MAX_DEPTH;
        for (int i = 0; i < s->depth; i++) cycle |= s->active[i] == c;
        if (cycle) {
            rv_yaml_problem(s->y, n, "${%.*s} refers back to itself; write the value out", (int)len, name);
            return NULL;
        }
        substitute_scalar(s, c);
        return c->bad ? NULL : c;
    }
    rv_yaml_problem(
        s->y, n, "unknown ${%.*s}; it names a value at the top of the file, as in ${name} (write $${ for a literal ${)",
        len < 64 ? (int)len : 64, name);
    return NULL;
}

static void substitute_scalar(substitution *s, rv_yaml_node *n) {
    if (n->bad || n->done || !strstr(n->text, "${")) return;
    rv_yaml *y = s->y;
    char **out_at = &s->scratch[s->depth], *out = *out_at ? *out_at : (*out_at = rv__yaml_alloc(y, RV_YAML_MAX_SCALAR));
    size_t used = 0;
    if (!out) return;
    s->active[s->depth++] = n;
    for (const char *p = n->text; *p && !n->bad;) {
        const char *piece = p, *close;
        size_t len = 1;
        if (!strncmp(p, "$${", 3))
            piece = p + 1, len = 2, p += 3;
        else if (strncmp(p, "${", 2))
            p++;
        else if (!(close = strchr(p, '}'))) {
            rv_yaml_problem(y, n, "'${' without '}'; write ${name}, or $${ for a literal ${");
            n->bad = true;
        } else {
            const rv_yaml_node *value = look_up(s, n, p + 2, (size_t)(close - p - 2));
            if (!value)
                n->bad = true;
            else
                piece = value->text, len = value->len;
            p = close + 1;
        }
        if (n->bad) break;
        if (used + len > RV_YAML_MAX_SCALAR || (y->substituted += len) > RV_YAML_MAX_BYTES) {
            rv_yaml_problem(y, n, "the text becomes too long by ${...}; at most %d bytes", RV_YAML_MAX_SCALAR);
            n->bad = true;
            break;
        }
        memcpy(out + used, piece, len);
        used += len;
    }
    s->depth--;
    n->done = true; /* "$${" has become "${", which must not be read again */
    if (!n->bad && (n->text = rv__yaml_copy(y, out, used)))
        n->len = used;
    else
        n->text = "", n->len = 0, n->bad = true;
}

static void substitute_tree(substitution *s, rv_yaml_node *n) {
    if (n->kind == RV_YAML_SCALAR) substitute_scalar(s, n);
    for (rv_yaml_node *c = n->first; c; c = c->next) substitute_tree(s, c);
}

rv_status rv_yaml_substitute(rv_yaml *y) {
    substitution s = {.y = y};
    if (y->root) substitute_tree(&s, y->root);
    return y->no_memory ? RV_ENOMEM : RV_OK;
}

void rv__yaml_substitute_node(rv_yaml *y, rv_yaml_node *n) {
    substitution s = {.y = y};
    substitute_scalar(&s, n);
}

/* From nodes to values: which row of the schema is in force, is the value of its type and in its range, what is its
 * default. Conditions and defaults refer to other keys, which are resolved on the way. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/yaml_private.h"
#include "config/config_private.h"

typedef enum { NO, YES, UNKNOWN } answer;

static void resolve(rv_config *c, int i);

static void *need(rv_config *c, size_t bytes) { return rv__yaml_alloc(c->yaml, bytes); }

bool rv__config_is_null(const rv_yaml_node *n) {
    return n->kind == RV_YAML_SCALAR && !n->quoted && (!strcmp(n->text, "null") || !strcmp(n->text, "~"));
}

/* ---- one scalar ---- */

/* A decimal number and nothing else: no hexadecimal, inf or nan, which strtod would take. */
static bool parse_number(const char *s, double *out) {
    const char *p = s + (*s == '-' || *s == '+');
    size_t digits = strspn(p, "0123456789");
    p += digits;
    if (*p == '.') {
        size_t fraction = strspn(++p, "0123456789");
        p += fraction, digits += fraction;
    }
    if (!digits) return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        size_t exponent = strspn(p, "0123456789");
        if (!exponent) return false;
        p += exponent;
    }
    if (*p) return false;
    *out = strtod(s, NULL);
    return isfinite(*out);
}

static bool name_ok(const char *s) {
    size_t n = strlen(s);
    if (!n || n > 128 || s[0] == '.' || s[0] == '-') return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._-", *s)) return false;
    return true;
}

static bool in_interval(const rv__interval *v, double x) {
    return (v->low_open ? x > v->low : x >= v->low) && (v->high_open ? x < v->high : x <= v->high) &&
           (!v->whole || x == floor(x));
}

/* The shortest text that reads back as x. */
static const char *number_text(rv_config *c, double x) {
    char buf[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, x);
        if (strtod(buf, NULL) == x) break;
    }
    return rv__yaml_copy(c->yaml, buf, strlen(buf));
}

/* Words of earlier versions, which files and checkpoints still have. */
static const char *today(const rv__key *k, const char *text) {
    return !strcmp(k->path, "train.batch.type") && !strcmp(text, "sentences") ? "sequences" : text;
}

/* Check `text` against the key; on success the value's fields. False: not what the key expects. */
static bool scalar_fits(rv_config *c, const rv__key *k, const char *text, const char **canonical, double *x) {
    *canonical = text = today(k, text);
    *x = 0;
    rv__interval v;
    switch (k->type) {
    case RV__BOOL: *x = !strcmp(text, "true"); return *x == 1 || !strcmp(text, "false");
    case RV__TEXT:
    case RV__TEXTS: return strcmp(k->range, "name") || name_ok(text);
    case RV__PATH: return text[0] != 0;
    case RV__ENUM:
    case RV__ENUMS: return rv__schema_one_of(k->range, text);
    case RV__SECTION:
    case RV__MAP:
    case RV__LIST: return false;
    case RV__INT:
    case RV__REAL:
    case RV__INTS:
    case RV__REALS: break;
    }
    v = rv__schema_interval(k);
    if (v.auto_word && !strcmp(text, "auto")) return true;
    if (!parse_number(text, x) || !in_interval(&v, *x)) return false;
    *x += 0.0; /* -0 is 0 */
    *canonical = number_text(c, *x);
    return *canonical != NULL;
}

static const char *nth_word(const void *set, int n) {
    static _Thread_local char word[64];
    const char *s = set;
    while (n-- && s) s = strchr(s, '|') ? strchr(s, '|') + 1 : NULL;
    if (!s) return NULL;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(s, "|"), s);
    return word;
}

static bool is_list(const rv__key *k) {
    return k->type == RV__INTS || k->type == RV__REALS || k->type == RV__ENUMS || k->type == RV__TEXTS;
}

static void expected(rv_config *c, const rv__key *k, const rv_yaml_node *n) {
    char want[512], got[80];
    rv__schema_expected(k, want, sizeof want);
    if (n->kind == RV_YAML_MAP)
        snprintf(got, sizeof got, n->count ? "a map" : "an empty map");
    else if (n->kind == RV_YAML_LIST && is_list(k) && n->key && n->count)
        snprintf(got, sizeof got, "%d of them", n->count);
    else if (n->kind == RV_YAML_LIST)
        snprintf(got, sizeof got, n->count ? "a list" : "an empty list");
    else if (!n->len)
        snprintf(got, sizeof got, n->quoted ? "an empty text" : "nothing");
    else
        snprintf(got, sizeof got, "'%.60s'", n->text);
    bool one_word = k->type == RV__ENUM || (k->type == RV__ENUMS && !n->key); /* not a word where a list is wanted */
    int near = one_word ? rv_yaml_nearest(n->text, nth_word, k->range) : -1;
    char hint[96] = "";
    if (near >= 0) snprintf(hint, sizeof hint, "; did you mean '%s'?", nth_word(k->range, near));
    rv_yaml_problem(c->yaml, n, "%s: expected %s, got %s%s", k->path, want, got, hint);
}

/* Value v from one scalar of text, reporting at node n. */
static void set_scalar(rv_config *c, rv__value *v, const rv_yaml_node *n, const char *text) {
    double x;
    if (n && (n->kind != RV_YAML_SCALAR || (!n->len && !n->quoted)))
        v->bad = true;
    else
        v->bad = !scalar_fits(c, v->key, text, &v->text, &x);
    if (v->bad) {
        if (n) expected(c, v->key, n);
        return;
    }
    v->has = true;
    v->real = x;
    v->whole = v->key->type == RV__INT || v->key->type == RV__BOOL ? (int64_t)x : 0;
}

static bool list_start(rv_config *c, rv__value *v, int count) {
    v->texts = need(c, (size_t)count * sizeof *v->texts);
    v->reals = need(c, (size_t)count * sizeof *v->reals);
    return v->texts && v->reals;
}

static void set_list(rv_config *c, rv__value *v, const rv_yaml_node *n) {
    v->bad = true;
    const bool words = v->key->type == RV__ENUMS || v->key->type == RV__TEXTS;
    int count = words ? 0 : rv__schema_interval(v->key).count;
    if (n->kind != RV_YAML_LIST || !n->count || (count && n->count != count)) {
        expected(c, v->key, n);
        return;
    }
    if (!list_start(c, v, n->count)) return;
    bool bad = false;
    for (const rv_yaml_node *e = n->first; e; e = e->next) {
        int i = v->count++;
        if (e->bad) {
            bad = true;
        } else if (e->kind != RV_YAML_SCALAR || !e->len ||
                   !scalar_fits(c, v->key, e->text, &v->texts[i], &v->reals[i])) {
            expected(c, v->key, e);
            bad = true;
        }
        for (int j = 0; j < i && !bad && v->key->type != RV__REALS; j++)
            if (!strcmp(v->texts[i], v->texts[j])) {
                rv_yaml_problem(c->yaml, e, "%s: '%.60s' is listed twice; remove one", v->key->path, e->text);
                bad = true;
            }
    }
    v->bad = bad;
    v->has = !bad;
}

/* A map whose keys are the user's. */
static void set_map(rv_config *c, rv__value *v, const rv_yaml_node *n) {
    v->bad = n->kind != RV_YAML_MAP || !n->count;
    if (v->bad)
        expected(c, v->key, n);
    else
        v->has = true, v->count = n->count;
}

/* One key of a list's entry; false after a mistake. */
static bool check_entry_key(rv_config *c, const rv__key *k, const rv_yaml_node *entry) {
    const rv_yaml_node *n = rv_yaml_get(entry, strrchr(k->path, '.') + 1);
    const char *canonical;
    char want[512];
    double x;
    if (n && n->bad) return false;
    if (n && !rv__config_is_null(n)) {
        if (n->kind == RV_YAML_SCALAR && n->len && scalar_fits(c, k, n->text, &canonical, &x)) return true;
        expected(c, k, n);
        return false;
    }
    if (k->dflt != rv__required) return true;
    rv__schema_expected(k, want, sizeof want);
    rv_yaml_problem(c->yaml, entry, "%s is missing: %s (%s)", k->path, want, k->doc);
    return false;
}

static void check_unknown(rv_config *c, const rv_yaml_node *map, const char *section);

/* A list of maps with the keys that the schema has below it. */
static void set_entries(rv_config *c, rv__value *v, const rv_yaml_node *n) {
    v->bad = n->kind != RV_YAML_LIST || !n->count;
    if (v->bad) expected(c, v->key, n);
    for (const rv_yaml_node *e = v->bad ? NULL : n->first; e; e = e->next, v->count++) {
        if (e->kind != RV_YAML_MAP) {
            expected(c, v->key, e);
            v->bad = true;
            continue;
        }
        const int before = rv_yaml_problems(c->yaml);
        check_unknown(c, e, v->key->path);
        v->bad |= rv_yaml_problems(c->yaml) > before;
        for (int i = 0; i < rv__schema_size; i++)
            if (rv__schema_is_child(i, v->key->path) && !check_entry_key(c, &rv__schema[i], e)) v->bad = true;
    }
    v->has = !v->bad;
}

/* A section that may also be `true` (there, all by default) or `false` (left out). */
static bool set_switch(rv__value *v, const rv_yaml_node *n) {
    if (!v->key->range || n->kind != RV_YAML_SCALAR || n->quoted ||
        (strcmp(n->text, "true") && strcmp(n->text, "false")))
        return false;
    v->has = !strcmp(n->text, "true");
    return true;
}

/* ---- defaults ---- */

static void set_default_list(rv_config *c, rv__value *v) {
    const char *p = v->key->dflt + 1; /* "[a, b]" */
    int count = 1;
    for (const char *s = p; *s; s++) count += *s == ',';
    if (!list_start(c, v, count)) return;
    for (; v->count < count; v->count++) {
        size_t n = strcspn(p, ",]");
        char *word = rv__yaml_copy(c->yaml, p, n);
        if (!word) return;
        bool fits = scalar_fits(c, v->key, word, &v->texts[v->count], &v->reals[v->count]);
        RV_ASSERT(fits || c->yaml->no_memory);
        p += n + strspn(p + n, ", ]");
    }
    v->has = true;
}

/* The text of a default with ${name} replaced: a scratch node goes the way of the given ones. */
static void set_default_text(rv_config *c, rv__value *v) {
    rv_yaml_node *root = rv_yaml_root(c->yaml);
    rv_yaml_node *n = rv__yaml_node(c->yaml, RV_YAML_SCALAR, root->source, root->line, root->column);
    if (!n) return;
    n->text = v->key->dflt, n->len = strlen(v->key->dflt), n->quoted = true;
    rv__yaml_substitute_node(c->yaml, n);
    if (n->bad)
        v->bad = true;
    else
        set_scalar(c, v, n, n->text);
}

static void set_default(rv_config *c, rv__value *v, int i) {
    const char *d = v->key->dflt, *at;
    if (!d) return;
    if (d == rv__required) {
        int parent = rv__schema_parent(i);
        const rv_yaml_node *map = parent < 0 ? NULL : c->value[parent].node;
        char want[512];
        v->bad = true;
        rv__schema_expected(v->key, want, sizeof want);
        rv_yaml_problem(c->yaml, map ? (map->key ? map->key : map) : NULL, "%s is missing: %s (%s)", v->key->path, want,
                        v->key->doc);
    } else if ((at = strchr(d, '@'))) {
        int from = rv__schema_find(at + 1);
        RV_ASSERT(from >= 0);
        resolve(c, from);
        const rv__value *source = &c->value[from];
        const char *canonical;
        double x;
        v->bad = source->bad || !source->has;
        if (v->bad) return;
        const char *text = number_text(c, source->real * (at == d ? 1 : atof(d)));
        if (!text) return;
        v->bad = !scalar_fits(c, v->key, text, &canonical, &x);
        if (v->bad)
            rv_yaml_problem(c->yaml, source->node, "%s: its default, %s from %s, is out of range; set it", v->key->path,
                            text, source->key->path);
        else
            set_scalar(c, v, NULL, text);
    } else if (is_list(v->key))
        set_default_list(c, v);
    else if (strstr(d, "${"))
        set_default_text(c, v);
    else
        set_scalar(c, v, NULL, d);
}

/* ---- conditions ---- */

/* The value of key i, or that it has none, comes of an assignment. */
static bool by_assignment(const rv_config *c, int i) {
    const rv__value *v = &c->value[i];
    if (v->assigned || v->node) return v->assigned;
    for (int r = i; r < rv__schema_size && !strcmp(rv__schema[r].path, rv__schema[i].path);
         r++) { /* a default, of the row in force */
        char path[128];
        const char *when = rv__schema[r].when, *values;
        size_t len;
        bool negated;
        while (rv__schema_clause(&when, path, sizeof path, &values, &len, &negated))
            if (by_assignment(c, rv__schema_find(*path == '@' ? "task" : path))) return true;
    }
    return false;
}

/* *failed: the key that NO comes from. */
static answer holds(rv_config *c, const rv__key *k, int *failed) {
    char path[128];
    const char *when = k->when, *values;
    size_t len;
    bool negated;
    answer all = YES;
    while (rv__schema_clause(&when, path, sizeof path, &values, &len, &negated)) {
        const bool fact = *path == '@';
        int i = rv__schema_find(fact ? "task" : path);
        RV_ASSERT(i >= 0);
        resolve(c, i);
        const rv__value *v = &c->value[i];
        if (!values) {
            if ((v->node != NULL) == negated) return *failed = i, NO;
        } else if (v->bad)
            all = UNKNOWN;
        else {
            char set[256];
            snprintf(set, sizeof set, "%.*s", (int)len, values);
            if (!v->has || !rv__schema_one_of(set, fact ? rv__schema_fact(v->text, path) : v->text))
                return *failed = i, NO;
        }
    }
    return all;
}

/* The row in force for the path whose first row is i. *assigned: an assignment is why one of the others is not. */
static answer choose_row(rv_config *c, int i, const rv__key **key, bool *assigned) {
    answer any = NO;
    int failed = i;
    for (int r = i; r < rv__schema_size && !strcmp(rv__schema[r].path, rv__schema[i].path); r++) {
        answer a = holds(c, &rv__schema[r], &failed);
        *assigned |= a == NO && by_assignment(c, failed);
        if (a != NO && any != YES) any = a, *key = &rv__schema[r];
    }
    return any;
}

/* True if the path's rows differ in conditions and defaults alone, so that a value can be judged whichever is in force.
 */
static bool one_range(int i) {
    const rv__key *k = &rv__schema[i];
    for (int r = i + 1; r < rv__schema_size && !strcmp(rv__schema[r].path, k->path); r++)
        if (rv__schema[r].type != k->type ||
            strcmp(rv__schema[r].range ? rv__schema[r].range : "", k->range ? k->range : ""))
            return false;
    return k->type == RV__INT || k->type == RV__REAL;
}

/* Nothing but assignments gives it. Maps merge, so a section's children are asked. */
static bool all_assigned(const rv_yaml_node *n) {
    if (n->kind != RV_YAML_MAP || !n->first) return n->source->assignment;
    for (const rv_yaml_node *e = n->first; e; e = e->next)
        if (!all_assigned(e)) return false;
    return true;
}

static void not_allowed(rv_config *c, int i, const rv_yaml_node *n, bool left_out) {
    char all[1024] = "", one[512], where[1024];
    size_t used = 0;
    for (int r = i; r < rv__schema_size && !strcmp(rv__schema[r].path, rv__schema[i].path) && used < sizeof all; r++) {
        rv__schema_condition(&rv__schema[r], one, sizeof one);
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used ? ", or " : "", one);
    }
    rv_yaml_where(n->key, where, sizeof where);
    if (left_out)
        rv__config_note(c, "%s (%s) is left out: it applies only %s", rv__schema[i].path, where, all);
    else
        rv_yaml_problem(c->yaml, n->key, "%s does not apply here; it is allowed only %s", rv__schema[i].path, all);
}

static void resolve(rv_config *c, int i) {
    rv__value *v = &c->value[i];
    if (v->state == RV__RESOLVED) return;
    RV_ASSERT(v->state != RV__RESOLVING); /* conditions and defaults of the schema must not go round in circles */
    v->state = RV__RESOLVING;
    int parent = rv__schema_parent(i);
    if (parent >= 0) resolve(c, parent);
    const rv__value *section = parent < 0 ? NULL : &c->value[parent];
    const rv_yaml_node *n = section && section->bad
                                ? NULL
                                : rv_yaml_get(section ? section->node : rv_yaml_root(c->yaml), rv__schema_leaf(i));
    bool assigned = false;
    v->assigned = n && all_assigned(n);
    if (n && rv__config_is_null(n)) n = NULL;
    v->node = n && n->made ? NULL : n;
    answer applies = section && section->bad    ? UNKNOWN
                     : section && !section->has ? NO
                                                : choose_row(c, i, &v->key, &assigned);
    if (applies == NO) {
        v->key = NULL;
        if (n && section && !section->key)
            v->bad = true; /* reported for the section */
        else if (n) {
            const bool left_out = assigned && !v->assigned;
            not_allowed(c, i, n, left_out);
            if (left_out) v->assigned = true, v->node = NULL;
        }
    } else if (applies == UNKNOWN || (n && n->bad)) {
        if (!v->key) v->key = &rv__schema[i];
        if (n && !n->bad && one_range(i)) set_scalar(c, v, n, n->text);
        v->bad = true;
        v->has = false;
    } else if (v->key->type == RV__SECTION) {
        v->has = n || v->key->dflt;
        if (n && set_switch(v, n)) {
        } else if (n && n->kind != RV_YAML_MAP)
            expected(c, v->key, n), v->bad = true, v->node = NULL;
        else if (!n && v->key->dflt == rv__required)
            set_default(c, v, i);
    } else if (!n)
        set_default(c, v, i);
    else if (v->key->type == RV__MAP)
        set_map(c, v, n);
    else if (v->key->type == RV__LIST)
        set_entries(c, v, n);
    else if (is_list(v->key))
        set_list(c, v, n);
    else
        set_scalar(c, v, n, n->text);
    v->state = RV__RESOLVED;
}

/* ---- keys that the schema does not have ---- */

static void check_unknown(rv_config *c, const rv_yaml_node *map, const char *section) {
    for (const rv_yaml_node *n = map->first; n; n = n->next) {
        int i = rv__schema_child(section, n->key->text);
        char hint[512];
        if (i >= 0) {
            if (rv__schema[i].type == RV__SECTION && n->kind == RV_YAML_MAP) check_unknown(c, n, rv__schema[i].path);
            continue;
        }
        rv__schema_suggest(section, n->key->text, rv_yaml_get(rv_yaml_root(c->yaml), "compare"), hint, sizeof hint);
        rv_yaml_problem(c->yaml, n->key, "unknown key '%.64s'%s%s%s", n->key->text, *section ? " in " : " at the top",
                        section, hint);
    }
}

/* Tasks that this version cannot run: one clear message instead of one for each of their keys. */
static bool available(rv_config *c) {
    const rv_yaml_node *task = rv_yaml_get(rv_yaml_root(c->yaml), "task");
    static const char *const planned[] = {"masked_language_model", "latent"};
    bool later = false;
    for (size_t i = 0; task && i < sizeof planned / sizeof *planned; i++) later |= !strcmp(task->text, planned[i]);
    char all[512];
    rv__schema_expected(&rv__schema[rv__schema_find("task")], all, sizeof all);
    if (later)
        rv_yaml_problem(c->yaml, task, "task '%s' is not available in this version; available: %s", task->text, all);
    return !later;
}

static bool first_row(int i) { return !i || strcmp(rv__schema[i].path, rv__schema[i - 1].path); }

void rv__config_resolve(rv_config *c) {
    if (!available(c)) return;
    check_unknown(c, rv_yaml_root(c->yaml), "");
    for (int i = 0; i < rv__schema_size; i++)
        if (first_row(i) && !rv__schema_in_list(i)) resolve(c, i);
}

void rv__config_resolve_section(rv_config *c, const char *section) {
    const size_t n = strlen(section);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < rv__schema_size; i++) {
            const char *path = rv__schema[i].path;
            if (!first_row(i) || rv__schema_in_list(i) || strncmp(path, section, n) || (path[n] && path[n] != '.'))
                continue;
            if (pass == 0)
                c->value[i] = (rv__value){0};
            else
                resolve(c, i);
        }
}

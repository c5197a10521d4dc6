/* Settings as canonical YAML. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_private.h"

static bool plain(const char *s) {
    if (!*s || !strcmp(s, "~") || !strcmp(s, "null")) return false;
    for (const char *p = s; *p; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || strchr("_./", *p) ||
              (p != s && strchr("+-", *p))))
            return false;
    return true;
}

/* In double quotes; `${` becomes `$${`, and what YAML folds or forbids an escape. */
static void print_quoted(FILE *f, const char *s) {
    fputc('"', f);
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else if (*p == '\n')
            fputs("\\n", f);
        else if (*p == '\t')
            fputs("\\t", f);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(f, "\\x%02x", *p);
        else if (*p == 0xc2 && p[1] < 0xa0)
            fprintf(f, "\\x%02x", *++p); /* U+0080..9F */
        else if (*p == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8)
            fprintf(f, "\\u20%02x", p[2] - 0x80), p += 2; /* U+2028, 2029 */
        else if (*p == 0xef && p[1] == 0xbb && p[2] == 0xbf)
            fputs("\\ufeff", f), p += 2; /* U+FEFF */
        else if (*p == 0xef && p[1] == 0xbf && p[2] >= 0xbe)
            fprintf(f, "\\uff%02x", p[2] + 0x40), p += 2; /* U+FFFE, FFFF */
        else if (*p == '$' && p[1] == '{')
            fputs("$$", f);
        else
            fputc(*p, f);
    }
    fputc('"', f);
}

static void print_text(FILE *f, const char *s) {
    if (plain(s))
        fputs(s, f);
    else
        print_quoted(f, s);
}

/* On one line. */
static void print_flow(FILE *f, const rv_yaml_node *n) {
    if (n->kind == RV_YAML_SCALAR) {
        if (n->quoted || strcmp(n->text, "null"))
            print_text(f, n->text);
        else
            fputs("null", f);
        return;
    }
    if (n->replace) fputs("!replace ", f);
    fputc(n->kind == RV_YAML_MAP ? '{' : '[', f);
    for (const rv_yaml_node *e = n->first; e; e = e->next) {
        if (e != n->first) fputs(", ", f);
        if (e->key) print_text(f, e->key->text), fputs(": ", f);
        print_flow(f, e);
    }
    fputc(n->kind == RV_YAML_MAP ? '}' : ']', f);
}

char *rv_config_quote(const char *text) {
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    if (f) {
        print_text(f, text);
        if (!fclose(f) && out) return out;
        free(out);
    }
    rv_error(RV_ENOMEM, "out of memory while printing settings");
    return NULL;
}

char *rv_config_flow(const rv_yaml_node *value) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (f) {
        print_flow(f, value);
        if (!fclose(f) && text) return text;
        free(text);
    }
    rv_error(RV_ENOMEM, "out of memory while printing settings");
    return NULL;
}

typedef enum { GIVEN, ALL, GIVEN_WITH_COMMENTS } extent;

static bool wanted(const rv_config *c, int i, extent which) {
    const rv__value *v = &c->value[i];
    return v->has && (which == ALL || v->node);
}

/* The first words of a key's meaning, and the words that it takes, behind the line of which `used` bytes are printed.
 */
static void print_comment(FILE *f, const rv__key *k, int used) {
    const bool named = k->type == RV__ENUM || k->type == RV__ENUMS;
    size_t n = strcspn(k->doc, named ? ";[:" : ";[");
    while (n && k->doc[n - 1] == ' ') n--;
    fprintf(f, "%*s# %.*s", used < 40 ? 40 - used : 2, "", (int)n, k->doc);
    if (!named) return;
    char words[512];
    rv__schema_expected(k, words, sizeof words);
    fprintf(f, " (%s)", words);
}

/* A list's entries with their keys in the schema's order. */
static void print_entries(FILE *f, const rv__value *v) {
    fputc('[', f);
    for (const rv_yaml_node *e = v->node->first; e; e = e->next) {
        const char *before = e == v->node->first ? "{" : ", {";
        for (int i = 0; i < rv__schema_size; i++) {
            const rv_yaml_node *n = rv__schema_is_child(i, v->key->path) ? rv_yaml_get(e, rv__schema_leaf(i)) : NULL;
            if (!n || rv__config_is_null(n)) continue;
            fprintf(f, "%s%s: ", before, rv__schema_leaf(i));
            print_text(f, n->text);
            before = ", ";
        }
        fputc('}', f);
    }
    fputc(']', f);
}

static void print_value(FILE *f, const rv__value *v) {
    if (!v->texts) {
        if (v->key->type == RV__LIST)
            print_entries(f, v);
        else if (v->key->type == RV__MAP)
            print_flow(f, v->node);
        else
            print_text(f, v->text);
        return;
    }
    for (int e = 0; e < v->count; e++) fputs(e ? ", " : "[", f), print_text(f, v->texts[e]);
    fputc(']', f);
}

static void print_section(const rv_config *c, FILE *f, const char *section, int indent, extent which) {
    for (int i = 0; i < rv__schema_size; i++) {
        if (!rv__schema_is_child(i, section) || !wanted(c, i, which)) continue;
        const rv__value *v = &c->value[i];
        if (which == GIVEN_WITH_COMMENTS && !indent && v->key->type == RV__SECTION) fputc('\n', f);
        long start = ftell(f);
        fprintf(f, "%*s%s:", indent, "", rv__schema_leaf(i));
        if (v->key->type == RV__SECTION) {
            bool any = false;
            for (int j = i + 1; j < rv__schema_size; j++)
                any |= rv__schema_is_child(j, v->key->path) && wanted(c, j, which);
            if (!any) fputs(" {}", f);
        } else {
            fputc(' ', f);
            print_value(f, v);
        }
        if (which == GIVEN_WITH_COMMENTS) print_comment(f, v->key, (int)(ftell(f) - start));
        fputc('\n', f);
        if (v->key->type == RV__SECTION) print_section(c, f, v->key->path, indent + 2, which);
    }
}

static char *print(const rv_config *c, extent which) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (f) {
        print_section(c, f, "", 0, which);
        if (!fclose(f) && text) return text;
        free(text);
    }
    rv_error(RV_ENOMEM, "out of memory while printing settings");
    return NULL;
}

char *rv_config_resolved(const rv_config *c) { return print(c, ALL); }
char *rv_config_merged(const rv_config *c) { return print(c, GIVEN); }
char *rv_config_commented(const rv_config *c) { return print(c, GIVEN_WITH_COMMENTS); }

/* What the entries of a list have under the key of row i: "[encoder, null]". */
static void print_of_entries(FILE *f, const rv__value *list, int i) {
    for (const rv_yaml_node *e = list->node->first; e; e = e->next) {
        const rv_yaml_node *n = rv_yaml_get(e, rv__schema_leaf(i));
        fputs(e == list->node->first ? "[" : ", ", f);
        if (n && !rv__config_is_null(n))
            print_text(f, n->text);
        else
            fputs("null", f);
    }
    fputc(']', f);
}

rv_status rv_config_each(const rv_config *c, void (*each)(void *ctx, const char *path, const char *text), void *ctx) {
    for (int i = 0; i < rv__schema_size; i++) {
        const bool first = !i || strcmp(rv__schema[i].path, rv__schema[i - 1].path), entry = rv__schema_in_list(i);
        const rv__value *v = &c->value[entry ? rv__schema_parent(i) : i];
        if (!first || rv__schema[i].type == RV__SECTION || rv__schema[i].type == RV__LIST) continue;
        char *text = NULL;
        size_t size;
        if (v->has) {
            FILE *f = open_memstream(&text, &size);
            if (f && entry)
                print_of_entries(f, v, i);
            else if (f)
                print_value(f, v);
            if (!f || fclose(f) || !text) return rv_error(RV_ENOMEM, "out of memory while printing settings");
        }
        each(ctx, rv__schema[i].path, text);
        free(text);
    }
    return RV_OK;
}

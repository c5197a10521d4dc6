#include "io/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "io/yaml_private.h"

void *rv__yaml_alloc(rv_yaml *y, size_t bytes) {
    void *p = rv_arena_alloc(y->arena, bytes);
    if (p) return memset(p, 0, bytes);
    y->no_memory = true;
    return NULL;
}

char *rv__yaml_copy(rv_yaml *y, const char *text, size_t len) {
    char *p = rv__yaml_alloc(y, len + 1);
    return p ? memcpy(p, text, len) : NULL;
}

rv_yaml_source *rv__yaml_source(rv_yaml *y, const char *label, const rv_yaml_node *from) {
    rv_yaml_source *s = rv__yaml_alloc(y, sizeof *s);
    if (!s || !(s->label = rv__yaml_copy(y, label, strlen(label)))) return NULL;
    if (from) s->from = from->source, s->from_line = from->line, s->from_column = from->column;
    s->index = y->files++;
    return s;
}

rv_yaml_node *rv__yaml_node(rv_yaml *y, rv_yaml_kind kind, const rv_yaml_source *source, int line, int column) {
    rv_yaml_node *n = rv__yaml_alloc(y, sizeof *n);
    if (n) *n = (rv_yaml_node){.kind = kind, .source = source, .line = line, .column = column, .text = ""};
    return n;
}

void rv__yaml_append(rv_yaml_node *parent, rv_yaml_node *child) {
    rv_yaml_node **end = &parent->first;
    while (*end) end = &(*end)->next;
    *end = child;
    parent->count++;
}

rv_yaml *rv_yaml_create(void) {
    rv_yaml *y = calloc(1, sizeof *y);
    if (y && (y->arena = rv_arena_create())) return y;
    free(y);
    rv_error(RV_ENOMEM, "out of memory while reading settings");
    return NULL;
}

void rv_yaml_destroy(rv_yaml *y) {
    if (!y) return;
    for (int i = 0; i < y->problems && i < RV_YAML_MAX_PROBLEMS; i++) free(y->problem[i].text);
    rv_arena_destroy(y->arena);
    free(y);
}

rv_yaml_node *rv_yaml_root(rv_yaml *y) { return y->root; }
const char *rv_yaml_source_text(const rv_yaml *y) { return y->source_text ? y->source_text : ""; }

rv_yaml_node *rv_yaml_get(const rv_yaml_node *map, const char *key) {
    if (!map || map->kind != RV_YAML_MAP) return NULL;
    for (rv_yaml_node *c = map->first; c; c = c->next)
        if (!strcmp(c->key->text, key)) return c;
    return NULL;
}

/* ---- the text as a whole, before libyaml sees it ---- */

/* Length of the UTF-8 sequence at s (n bytes are left) and its code point, or 0. */
static int utf8_decode(const unsigned char *s, size_t n, unsigned *code) {
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    int len = s[0] < 0x80                   ? 1
              : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
              : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
              : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                            : 0;
    if (!len || (size_t)len > n) return 0;
    unsigned c = len == 1 ? s[0] : s[0] & (0x7f >> len);
    for (int i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff) return 0;
    *code = c;
    return len;
}

static bool printable(unsigned c) {
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0x7f) || c == 0x85 || (c >= 0xa0 && c < 0xfeff) ||
           (c > 0xfeff && c < 0xfffe) || c >= 0x10000;
}

/* Checks what libyaml passes silently or reports without a line. */
static bool text_ok(rv_yaml *y, const rv_yaml_source *source, const unsigned char *s, size_t len) {
    if (len > RV_YAML_MAX_BYTES) {
        rv__yaml_problem_at(y, source, 1, 1,
                            "the file is larger than %d KiB; settings are small, is this the right file?",
                            RV_YAML_MAX_BYTES >> 10);
        return false;
    }
    if (len >= 2 && ((s[0] == 0xff && s[1] == 0xfe) || (s[0] == 0xfe && s[1] == 0xff) ||
                     (len >= 4 && !memcmp(s, "\0\0\xfe\xff", 4)))) {
        rv__yaml_problem_at(y, source, 1, 1, "the file is UTF-16 or UTF-32; save it as UTF-8");
        return false;
    }
    int line = 1, column = 1;
    for (size_t i = 0; i < len;) {
        unsigned c = 0;
        int k = utf8_decode(s + i, len - i, &c);
        if (!k)
            rv__yaml_problem_at(y, source, line, column, "byte 0x%02x is not valid UTF-8; save the file as UTF-8",
                                s[i]);
        else if (!c)
            rv__yaml_problem_at(y, source, line, column,
                                "a NUL byte; this is not a text file, or it is UTF-16 (save it as UTF-8)");
        else if (!printable(c) && !(c == 0xfeff && i == 0))
            rv__yaml_problem_at(
                y, source, line, column,
                "control character U+%04X is not allowed; remove it or write it as an escape in double quotes", c);
        if (!k || !c || (!printable(c) && !(c == 0xfeff && i == 0))) return false;
        i += (size_t)k;
        if (c == '\n' || (c == '\r' && (i == len || s[i] != '\n')))
            line++, column = 1;
        else
            column++;
    }
    return true;
}

/* ---- events to tree ---- */

typedef struct {
    rv_yaml *y;
    const rv_yaml_source *source;
    yaml_parser_t parser;
    bool stop; /* after a mistake that ends the reading; reported */
} reader;

#define PROBLEM(r, mark, ...)                                                                                          \
    rv__yaml_problem_at((r)->y, (r)->source, (int)(mark).line + 1, (int)(mark).column + 1, __VA_ARGS__)

static bool next_event(reader *r, yaml_event_t *ev) {
    memset(ev, 0, sizeof *ev);
    if (r->stop) return false;
    if (yaml_parser_parse(&r->parser, ev)) return true;
    r->stop = true;
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        r->y->no_memory = true;
    else if (p->context && p->context_mark.line != p->problem_mark.line)
        PROBLEM(r, p->problem_mark, "%s (%s that starts at line %d); check indentation, brackets and quotes",
                p->problem, p->context, (int)p->context_mark.line + 1);
    else
        PROBLEM(r, p->problem_mark, "%s; check indentation, brackets and quotes",
                p->problem ? p->problem : "cannot be read");
    return false;
}

static rv_yaml_node *read_node(reader *r, yaml_event_t *ev, int depth);

static void check_properties(reader *r, rv_yaml_node *n, const yaml_event_t *ev, const yaml_char_t *anchor,
                             const yaml_char_t *tag) {
    if (anchor) {
        PROBLEM(r, ev->start_mark,
                "anchor '&%.64s' is not allowed; write the value out, or share it with include:", anchor);
        n->bad = true;
    }
    if (!tag) return;
    n->replace = !strcmp((const char *)tag, "!replace");
    if (!n->replace)
        PROBLEM(r, ev->start_mark, "tag '%.64s' is not allowed; the only tag is !replace, before a map", tag);
    else if (n->kind != RV_YAML_MAP)
        PROBLEM(r, ev->start_mark, "!replace stands before maps only; lists and values replace anyway, remove it");
    else
        return;
    n->replace = false;
    n->bad = true;
}

static void read_list(reader *r, rv_yaml_node *list, int depth) {
    rv_yaml_node **end = &list->first;
    yaml_event_t ev;
    while (next_event(r, &ev)) {
        bool last = ev.type == YAML_SEQUENCE_END_EVENT;
        rv_yaml_node *item = last ? NULL : read_node(r, &ev, depth);
        yaml_event_delete(&ev);
        if (!item) return;
        *end = item;
        end = &item->next;
        list->count++;
    }
}

/* Duplicates and merge keys; the later of two equal keys is dropped. */
static bool key_ok(reader *r, rv_yaml_node *map, rv_yaml_node *key) {
    rv_yaml_node *before;
    if (key->bad) return false;
    if (key->kind != RV_YAML_SCALAR)
        rv_yaml_problem(r->y, key, "a map or list cannot be a key; keys are plain words");
    else if (!key->len)
        rv_yaml_problem(r->y, key, "a value without a key; write 'key: value'");
    else if (!strcmp(key->text, "<<"))
        rv_yaml_problem(r->y, key, "merge key '<<' is not allowed; share settings with include:");
    else if ((before = rv_yaml_get(map, key->text)))
        rv_yaml_problem(r->y, key, "duplicate key '%.64s', first at line %d; remove one", key->text, before->key->line);
    else
        return true;
    return false;
}

static void read_map(reader *r, rv_yaml_node *map, int depth) {
    rv_yaml_node **end = &map->first;
    yaml_event_t ev;
    while (next_event(r, &ev)) {
        bool last = ev.type == YAML_MAPPING_END_EVENT;
        rv_yaml_node *key = last ? NULL : read_node(r, &ev, depth);
        yaml_event_delete(&ev);
        if (!key || !next_event(r, &ev)) return;
        rv_yaml_node *value = read_node(r, &ev, depth);
        yaml_event_delete(&ev);
        if (!value) return;
        if (!key_ok(r, map, key)) continue;
        value->key = key;
        *end = value;
        end = &value->next;
        map->count++;
    }
}

static void read_scalar(reader *r, rv_yaml_node *n, const yaml_event_t *ev) {
    const char *text = (const char *)ev->data.scalar.value;
    size_t len = ev->data.scalar.length;
    n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    n->bad = true;
    if (len > RV_YAML_MAX_SCALAR)
        PROBLEM(r, ev->start_mark, "a value of %zu bytes; at most %d are allowed, put long text into a file", len,
                RV_YAML_MAX_SCALAR);
    else if (memchr(text, 0, len))
        PROBLEM(r, ev->start_mark, "the value contains a NUL (\\0); remove it");
    else {
        n->text = rv__yaml_copy(r->y, text, len);
        n->len = len;
        n->bad = !n->text;
        if (!n->text) n->text = "", r->stop = true;
    }
}

/* The tree that starts with ev (which the caller deletes), or NULL when the reading has ended. */
static rv_yaml_node *read_node(reader *r, yaml_event_t *ev, int depth) {
    rv_yaml_kind kind = ev->type == YAML_MAPPING_START_EVENT    ? RV_YAML_MAP
                        : ev->type == YAML_SEQUENCE_START_EVENT ? RV_YAML_LIST
                                                                : RV_YAML_SCALAR;
    if (++r->y->nodes > RV_YAML_MAX_NODES) {
        PROBLEM(r, ev->start_mark, "more than %d keys and values; settings are small, is this the right file?",
                RV_YAML_MAX_NODES);
        r->stop = true;
    } else if (kind != RV_YAML_SCALAR && depth >= RV_YAML_MAX_DEPTH) {
        PROBLEM(r, ev->start_mark, "more than %d maps and lists inside each other; check the brackets",
                RV_YAML_MAX_DEPTH);
        r->stop = true;
    }
    rv_yaml_node *n =
        r->stop ? NULL
                : rv__yaml_node(r->y, kind, r->source, (int)ev->start_mark.line + 1, (int)ev->start_mark.column + 1);
    if (!n) {
        r->stop = true;
        return NULL;
    }
    switch (ev->type) {
    case YAML_MAPPING_START_EVENT:
        check_properties(r, n, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
        read_map(r, n, depth + 1);
        break;
    case YAML_SEQUENCE_START_EVENT:
        check_properties(r, n, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
        read_list(r, n, depth + 1);
        break;
    case YAML_ALIAS_EVENT:
        PROBLEM(r, ev->start_mark,
                "alias '*%.64s' is not allowed; write the value out, or put it in quotes if it is text",
                ev->data.alias.anchor);
        n->bad = true;
        break;
    default: read_scalar(r, n, ev); check_properties(r, n, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
    }
    return r->stop ? NULL : n;
}

static rv_yaml_node *read_stream(reader *r) {
    rv_yaml_node *root = NULL;
    yaml_event_t ev;
    for (bool end = false; !end && next_event(r, &ev); yaml_event_delete(&ev)) {
        switch (ev.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT: break;
        case YAML_STREAM_END_EVENT: end = true; break;
        case YAML_DOCUMENT_START_EVENT:
            if (root)
                PROBLEM(r, ev.start_mark,
                        "a second document; one file is one experiment, remove '---' and what follows");
            else if (ev.data.document_start.tag_directives.start != ev.data.document_start.tag_directives.end)
                PROBLEM(r, ev.start_mark, "a %%TAG directive is not allowed; remove it");
            else
                break;
            r->stop = true;
            break;
        default: root = read_node(r, &ev, 0);
        }
    }
    return r->stop ? NULL : root;
}

rv_yaml_node *rv__yaml_read(rv_yaml *y, const rv_yaml_source *source, const char *text, size_t len) {
    if (!text_ok(y, source, (const unsigned char *)text, len)) return NULL;
    reader r = {.y = y, .source = source};
    if (!yaml_parser_initialize(&r.parser)) {
        y->no_memory = true;
        return NULL;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    size_t bom = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; /* a UTF-8 byte-order mark says nothing */
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text + bom, len - bom);
    rv_yaml_node *root = read_stream(&r);
    yaml_parser_delete(&r.parser);
    return root;
}

/* ---- files ---- */

/* The text of a file in the arena, or NULL after reporting at `from` (NULL: the main file). */
static char *read_file(rv_yaml *y, const rv_yaml_source *source, const rv_yaml_node *from, size_t *len) {
    int fd = open(source->label, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block the opening */
    struct stat st;
    const char *why = NULL;
    if (fd < 0 || fstat(fd, &st))
        why = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        why = "not a regular file";
    char *text = why ? NULL : rv__yaml_alloc(y, RV_YAML_MAX_BYTES + 2); /* one byte more than allowed shows an excess */
    *len = 0;
    while (text && *len <= RV_YAML_MAX_BYTES) {
        ssize_t got = read(fd, text + *len, RV_YAML_MAX_BYTES + 1 - *len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) why = strerror(errno);
        if (got <= 0) break;
        *len += (size_t)got;
    }
    if (fd >= 0) close(fd);
    if (!why) return text;
    if (from)
        rv_yaml_problem(y, from, "cannot read the included file %s: %s; its path is relative to this file",
                        source->label, why);
    else
        rv__yaml_problem_at(y, source, 0, 0, "cannot read the file: %s; check the path", why);
    return NULL;
}

static rv_yaml_node *load_file(rv_yaml *y, const char *path, const rv_yaml_node *from, int depth);

/* `include: base.yaml` or a list of files: merged in order, under the file's own keys. */
static rv_yaml_node *resolve_include(rv_yaml *y, rv_yaml_node *root, rv_yaml_node *include, int depth) {
    rv_yaml_node *base = rv__yaml_node(y, RV_YAML_MAP, root->source, root->line, root->column);
    rv_yaml_node *item = include->kind == RV_YAML_LIST ? include->first : include;
    for (; base && item; item = include->kind == RV_YAML_LIST ? item->next : NULL) {
        if (item->bad) continue;
        if (item->kind != RV_YAML_SCALAR || !item->len) {
            rv_yaml_problem(y, item, "include: expected the path of a YAML file");
            continue;
        }
        const char *label = root->source->label, *slash = item->text[0] == '/' ? NULL : strrchr(label, '/');
        char path[PATH_MAX];
        if ((size_t)snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash + 1 - label) : 0, label, item->text) >=
            sizeof path) {
            rv_yaml_problem(y, item, "include: the path is too long");
            continue;
        }
        rv_yaml_node *sub = load_file(y, path, item, depth + 1);
        if (sub) rv__yaml_merge(base, sub);
    }
    if (base) rv__yaml_merge(base, root);
    return base;
}

static void drop_child(rv_yaml_node *map, const rv_yaml_node *child) {
    for (rv_yaml_node **c = &map->first; *c; c = &(*c)->next) {
        if (*c != child) continue;
        *c = child->next;
        map->count--;
        return;
    }
}

static bool includes_itself(const char *path, const rv_yaml_node *from) {
    struct stat a, b;
    if (!from || stat(path, &a)) return false;
    for (const rv_yaml_source *s = from->source; s; s = s->from)
        if (!stat(s->label, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino) return true;
    return false;
}

static rv_yaml_node *check_root(rv_yaml *y, const rv_yaml_source *source, rv_yaml_node *root, int problems_before) {
    if (root && root->bad) return NULL;
    if (root && root->replace) rv_yaml_problem(y, root, "!replace at the top has nothing to replace; remove it");
    if (root && root->kind == RV_YAML_MAP) return root;
    if (root)
        rv_yaml_problem(y, root, "expected 'key: value' lines at the top of the file");
    else if (y->problems == problems_before && !y->no_memory)
        rv__yaml_problem_at(y, source, 1, 1, "the file is empty; it needs at least 'name:'");
    return NULL;
}

static rv_yaml_node *load_file(rv_yaml *y, const char *path, const rv_yaml_node *from, int depth) {
    if (includes_itself(path, from)) {
        rv_yaml_problem(y, from, "include: %s includes itself; break the cycle", path);
        return NULL;
    }
    if (depth > RV_YAML_MAX_INCLUDES || y->files >= RV_YAML_MAX_FILES) {
        rv_yaml_problem(y, from, "include: more than %d files inside each other or %d in all; include fewer",
                        RV_YAML_MAX_INCLUDES, RV_YAML_MAX_FILES);
        return NULL;
    }
    rv_yaml_source *source = rv__yaml_source(y, path, from);
    if (!source) return NULL;
    if (!y->main) y->main = source;
    int before = y->problems;
    size_t len;
    char *text = read_file(y, source, from, &len);
    if (!text) return NULL;
    if (!from) y->source_text = text;
    rv_yaml_node *root = check_root(y, source, rv__yaml_read(y, source, text, len), before);
    rv_yaml_node *include = rv_yaml_get(root, "include");
    if (!include) return root;
    drop_child(root, include);
    return resolve_include(y, root, include, depth);
}

rv_status rv_yaml_load(rv_yaml *y, const char *path) {
    y->root = load_file(y, path, NULL, 0);
    return y->no_memory ? RV_ENOMEM : RV_OK;
}

rv_status rv_yaml_parse(rv_yaml *y, const char *label, const char *text, size_t len) {
    rv_yaml_source *source = rv__yaml_source(y, label, NULL);
    if (!source) return RV_ENOMEM;
    y->main = source;
    y->source_text = rv__yaml_copy(y, text, len <= RV_YAML_MAX_BYTES ? len : 0);
    int before = y->problems;
    y->root = check_root(y, source, rv__yaml_read(y, source, text, len), before);
    rv_yaml_node *include = rv_yaml_get(y->root, "include");
    if (include) {
        rv_yaml_problem(y, include->key, "include: is not allowed in a stored text; write the settings out");
        drop_child(y->root, include);
    }
    return y->no_memory ? RV_ENOMEM : RV_OK;
}

#include "config/schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/yaml.h"

const char rv__required[] = "required";

/* ---- choices of metrics */

enum {
    TRANSLATION = 1,
    LANGUAGE_MODEL = 2,
    REGRESSION = 4,
    CLASSIFICATION = 8,
    TAGGING = 16,
    WATCHED = 32,
    COMPARED = 64,
    LESS = 128,
    MORE = 256,
};
enum { less = LESS, more = MORE };
static const struct {
    const char *name;
    unsigned is;
} metrics[] = {
#define RV_METRIC(n, better, least, most, scale, title, axis, by, unit, headline, tr, lm, re, cl, tg, watched,         \
                  compared)                                                                                            \
    {#n, tr * TRANSLATION | lm * LANGUAGE_MODEL | re * REGRESSION | cl * CLASSIFICATION | tg * TAGGING |               \
             watched * WATCHED | compared * COMPARED | better},
#include "config/metrics.def"
#undef RV_METRIC
};

/* What rows of the table say of metrics, joined before the program begins: the names of those that are all of `is`. */
enum { CHOICES = 256 };
static char of_translation[CHOICES], of_language_model[CHOICES], of_regression[CHOICES], of_classification[CHOICES],
    of_tagging[CHOICES], watched_of_tagging[CHOICES], watched_of_translation[CHOICES],
    watched_of_language_model[CHOICES], watched[CHOICES], compared[CHOICES], if_watched_is_less[CHOICES],
    if_watched_is_more[CHOICES];
static const struct {
    char *text;
    unsigned is;
    const char *before, *after;
} choices[] = {
    {of_translation, TRANSLATION, "", ""},
    {of_language_model, LANGUAGE_MODEL, "", ""},
    {of_regression, REGRESSION, "", ""},
    {of_classification, CLASSIFICATION, "", ""},
    {of_tagging, TAGGING, "", ""},
    {watched_of_tagging, WATCHED | TAGGING, "", ""},
    {watched_of_translation, WATCHED | TRANSLATION, "", ""},
    {watched_of_language_model, WATCHED | LANGUAGE_MODEL, "", ""},
    {watched, WATCHED, "", ""},
    {compared, COMPARED, "", "|tokens_per_second|peak_rss|flops"},
    {if_watched_is_less, WATCHED | LESS, "train.early_stopping.metric=", ""},
    {if_watched_is_more, WATCHED | MORE, "train.early_stopping.metric=", ""},
};

__attribute__((constructor)) static void join_choices(void) {
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const size_t before = strlen(strcpy(choices[i].text, choices[i].before));
        size_t used = before;
        for (size_t k = 0; k < sizeof metrics / sizeof *metrics; k++)
            if ((metrics[k].is & choices[i].is) == choices[i].is && used < CHOICES)
                used += (size_t)snprintf(choices[i].text + used, CHOICES - used, "%s%s", used > before ? "|" : "",
                                         metrics[k].name);
        RV_ASSERT(used + strlen(choices[i].after) < CHOICES);
        strcat(choices[i].text, choices[i].after);
    }
}

/* ---- tasks */

const char rv__schema_tasks[] = ""
#define RV_TASK(name, ...) "|" #name
#include "config/tasks.def"
#undef RV_TASK
    ;

static const struct {
    const char *name, *source, *parts, *head;
} tasks[] = {
#define RV_TASK(name, source, parts, head, ...) {#name, #source, #parts, #head},
#include "config/tasks.def"
#undef RV_TASK
};

static const char *fact(int i, const char *what) {
    return !strcmp(what, "@source") ? tasks[i].source : !strcmp(what, "@parts") ? tasks[i].parts : tasks[i].head;
}

const char *rv__schema_fact(const char *task, const char *what) {
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (!strcmp(tasks[i].name, task)) return fact((int)i, what);
    return "";
}

/* "task a or b": those of which the fact is one of the values. */
static void tasks_with(const char *what, const char *values, char *buf, size_t size) {
    char set[256] = ""; /* values may be buf */
    for (size_t i = 0, used = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (rv__schema_one_of(values, fact((int)i, what)))
            used += (size_t)snprintf(set + used, sizeof set - used, "%s%s", used ? "|" : "", tasks[i].name);
    snprintf(buf, size, "%s", set);
}

#define REQUIRED rv__required
#define NONE NULL
#define ANY NULL
#define RV_KEY(path, type, dflt, range, when, doc) {path, RV__##type, dflt, range, when, doc},
const rv__key rv__schema[] = {
#include "config/schema.def"
};
const int rv__schema_size = sizeof rv__schema / sizeof *rv__schema;

static bool first_row(int i) { return !i || strcmp(rv__schema[i].path, rv__schema[i - 1].path); }

int rv__schema_find(const char *path) {
    for (int i = 0; i < rv__schema_size; i++)
        if (!strcmp(rv__schema[i].path, path)) return i;
    return -1;
}

const char *rv__schema_leaf(int i) {
    const char *dot = strrchr(rv__schema[i].path, '.');
    return dot ? dot + 1 : rv__schema[i].path;
}

bool rv__schema_is_child(int i, const char *section) {
    const char *path = rv__schema[i].path, *leaf = rv__schema_leaf(i);
    size_t n = strlen(section), parent = leaf == path ? 0 : (size_t)(leaf - path - 1);
    return first_row(i) && parent == n && !strncmp(path, section, n);
}

int rv__schema_child(const char *section, const char *leaf) {
    for (int i = 0; i < rv__schema_size; i++)
        if (rv__schema_is_child(i, section) && !strcmp(rv__schema_leaf(i), leaf)) return i;
    return -1;
}

int rv__schema_parent(int i) {
    const char *path = rv__schema[i].path, *leaf = rv__schema_leaf(i);
    for (int j = i - 1; j >= 0 && leaf != path; j--)
        if (strlen(rv__schema[j].path) == (size_t)(leaf - path - 1) &&
            !strncmp(rv__schema[j].path, path, (size_t)(leaf - path - 1)))
            return rv__schema_find(rv__schema[j].path);
    return -1;
}

bool rv__schema_in_list(int i) {
    const int parent = rv__schema_parent(i);
    return parent >= 0 && rv__schema[parent].type == RV__LIST;
}

/* The i-th leaf of a section, for rv_yaml_nearest. */
static const char *nth_leaf(const void *section, int n) {
    for (int i = 0; i < rv__schema_size; i++)
        if (rv__schema_is_child(i, section) && !n--) return rv__schema_leaf(i);
    return NULL;
}

static bool of_comparison(const char *path) { return !strncmp(path, "compare", 7) && (!path[7] || path[7] == '.'); }

void rv__schema_suggest(const char *section, const char *leaf, bool comparison, char *buf, size_t size) {
    int near = rv_yaml_nearest(leaf, nth_leaf, section);
    if (near >= 0) {
        snprintf(buf, size, "; did you mean '%s'?", nth_leaf(section, near));
        return;
    }
    for (int i = 0; i < rv__schema_size; i++) /* the right word in the wrong place */
        if (!strcmp(rv__schema_leaf(i), leaf) && rv__schema[i].type != RV__SECTION &&
            of_comparison(rv__schema[i].path) == comparison) {
            snprintf(buf, size, "; did you mean %s?", rv__schema[i].path);
            return;
        }
    size_t used = (size_t)snprintf(buf, size, "; known keys:");
    const char *known;
    for (int i = 0; (known = nth_leaf(section, i)) && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s %s", i ? "," : "", known);
}

rv__interval rv__schema_interval(const rv__key *k) {
    rv__interval v = {.whole = k->type == RV__INT || k->type == RV__INTS};
    const char *r = k->range;
    if (!strncmp(r, "auto|", 5)) v.auto_word = true, r += 5;
    if ((k->type == RV__REALS || k->type == RV__INTS) && *r != '[' && *r != '(') {
        v.count = atoi(r);
        r = strchr(r, 'f') + 2; /* "2 of [" */
    }
    v.low_open = *r == '(';
    char *end;
    v.low = strtod(r + 1, &end);
    v.high = strtod(end + 1, &end);
    v.high_open = *end == ')';
    return v;
}

bool rv__schema_one_of(const char *set, const char *word) {
    size_t n = strlen(word);
    for (const char *s = set; s; s = strchr(s, '|') ? strchr(s, '|') + 1 : NULL)
        if (!strncmp(s, word, n) && (s[n] == '|' || !s[n])) return n > 0;
    return false;
}

/* "a, b or c" of "a|b|c" cut at len. */
static void words(const char *set, size_t len, char *buf, size_t size) {
    size_t used = 0;
    buf[0] = 0;
    for (const char *s = set, *end = set + len; s < end && used < size;) {
        const char *bar = memchr(s, '|', (size_t)(end - s));
        size_t n = bar ? (size_t)(bar - s) : (size_t)(end - s);
        bool last = s + n >= end;
        used += (size_t)snprintf(buf + used, size - used, "%s%.*s", s == set ? "" : last ? " or " : ", ", (int)n, s);
        s += n + 1;
    }
}

void rv__schema_expected(const rv__key *k, char *buf, size_t size) {
    char set[256];
    rv__interval v;
    switch (k->type) {
    case RV__SECTION: snprintf(buf, size, k->range ? "true, false or a map" : "a map"); return;
    case RV__MAP:
    case RV__LIST: snprintf(buf, size, "%s", k->range); return;
    case RV__BOOL: snprintf(buf, size, "true or false"); return;
    case RV__PATH: snprintf(buf, size, "a path"); return;
    case RV__TEXT:
        snprintf(buf, size, !strcmp(k->range, "name") ? "a name of letters, digits, '.', '_' and '-'" : "a text");
        return;
    case RV__TEXTS:
        snprintf(buf, size,
                 !strcmp(k->range, "name") ? "a list of names of letters, digits, '.', '_' and '-'"
                                           : "a list of texts");
        return;
    case RV__ENUM:
    case RV__ENUMS:
        words(k->range, strlen(k->range), set, sizeof set);
        snprintf(buf, size, k->type == RV__ENUM ? "%s" : "a list of %s", set);
        return;
    case RV__INT:
    case RV__REAL:
    case RV__INTS:
    case RV__REALS: break;
    }
    v = rv__schema_interval(k);
    char count[32] = "";
    const char *kind = v.whole ? "whole " : "";
    if (v.count)
        snprintf(count, sizeof count, "a list of %d %snumbers", v.count, kind);
    else if (k->type == RV__REALS || k->type == RV__INTS)
        snprintf(count, sizeof count, "a list of %snumbers", kind);
    else
        snprintf(count, sizeof count, "%s%s", v.auto_word ? "auto or " : "", v.whole ? "a whole number" : "a number");
    snprintf(buf, size, "%s in %c%.16g, %.16g%c", count, v.low_open ? '(' : '[', v.low, v.high,
             v.high_open ? ')' : ']');
}

bool rv__schema_clause(const char **when, char *path, size_t size, const char **values, size_t *values_len,
                       bool *negated) {
    const char *w = *when;
    if (!w || !*w) return false;
    const char *end = strstr(w, " & ");
    size_t len = end ? (size_t)(end - w) : strlen(w);
    *when = end ? end + 3 : w + len;
    *negated = *w == '!';
    if (*negated) w++, len--;
    const char *eq = memchr(w, '=', len);
    *values = eq ? eq + 1 : NULL;
    *values_len = eq ? len - (size_t)(eq + 1 - w) : 0;
    snprintf(path, size, "%.*s", (int)(eq ? (size_t)(eq - w) : len), w);
    return true;
}

void rv__schema_condition(const rv__key *k, char *buf, size_t size) {
    char path[128], set[256];
    const char *when = k->when, *values;
    size_t len, used = 0;
    bool negated;
    buf[0] = 0;
    while (rv__schema_clause(&when, path, sizeof path, &values, &len, &negated) && used < size) {
        char wanted[256] = "";
        if (values) snprintf(wanted, sizeof wanted, "%.*s", (int)len, values);
        if (*path == '@') {
            tasks_with(path, wanted, wanted, sizeof wanted);
            snprintf(path, sizeof path, "task");
        }
        words(wanted, strlen(wanted), set, sizeof set);
        used += (size_t)snprintf(buf + used, size - used, "%s%s%s%s%s", used ? " and " : "",
                                 negated ? "without " : "with ", path, values ? " " : "", set);
    }
}

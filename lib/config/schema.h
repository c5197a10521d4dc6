/* The table of schema.def and what can be asked of it without an experiment. */
#ifndef RV_CONFIG_SCHEMA_H
#define RV_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    RV__SECTION,
    RV__INT,
    RV__REAL,
    RV__BOOL,
    RV__TEXT,
    RV__PATH,
    RV__ENUM,
    RV__INTS,
    RV__REALS,
    RV__ENUMS,
    RV__TEXTS,
    RV__MAP,
    RV__LIST,
} rv__key_type;

typedef struct {
    const char *path;
    rv__key_type type;
    const char *dflt; /* rv__required, or NULL for none */
    const char *range, *when, *doc;
} rv__key;

extern const char rv__required[];
extern const rv__key rv__schema[];
extern const int rv__schema_size;

typedef struct {
    double low, high;
    bool low_open, high_open, whole, auto_word;
    int count; /* of a list's elements; 0 is any */
} rv__interval;

/* First row of a path, or -1. */
int rv__schema_find(const char *path);
/* First row of section.leaf ("" is the top), or -1. */
int rv__schema_child(const char *section, const char *leaf);
/* True if row i is the first of its path and a direct child of the section. */
bool rv__schema_is_child(int i, const char *section);
const char *rv__schema_leaf(int i);
/* First row of the section that holds row i, or -1 at the top. */
int rv__schema_parent(int i);
/* True if row i is a key of a list's entries, which have their own values. */
bool rv__schema_in_list(int i);
/* "; did you mean 'x'?", or what else may help with an unknown key of a section; into buf. A comparison's file takes
 * none of an experiment's keys, and the other way round. */
void rv__schema_suggest(const char *section, const char *leaf, bool comparison, char *buf, size_t size);
/* The interval that a number's range describes. */
rv__interval rv__schema_interval(const rv__key *k);
/* True if word is one of "a|b|c". */
bool rv__schema_one_of(const char *set, const char *word);
/* "a, b or c" of "a|b|c"; "a number in [0, 1)"; ... into buf. */
void rv__schema_expected(const rv__key *k, char *buf, size_t size);
/* "type sgd or adam" of the condition, in words, into buf. */
void rv__schema_condition(const rv__key *k, char *buf, size_t size);
/* Cut the next " & " clause off *when: the path into `path`, the values (or NULL) into *values up to *values_len,
 * *negated for "!path". False at the end. */
bool rv__schema_clause(const char **when, char *path, size_t size, const char **values, size_t *values_len,
                       bool *negated);

/* What conditions may ask of a task by "@source", "@parts" or "@head": the word that tasks.def has there; "" of a task
 * that there is not. */
const char *rv__schema_fact(const char *task, const char *what);
/* Names of tasks as "a|b". */
extern const char rv__schema_tasks[];

#endif

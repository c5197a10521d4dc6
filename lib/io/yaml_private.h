/* What yaml.c (reading), yaml_merge.c (merging, assignments, ${name}) and yaml_problem.c (mistakes) share. */
#ifndef RV_IO_YAML_PRIVATE_H
#define RV_IO_YAML_PRIVATE_H

#include "io/yaml.h"

typedef struct rv__yaml_problem {
    char *text; /* the whole line */
    int source, line, column;
} rv__yaml_problem;

struct rv_yaml {
    rv_arena *arena;
    rv_yaml_node *root;
    const rv_yaml_source *main;
    char *source_text;
    int nodes, files;
    size_t substituted; /* bytes made by ${name} */
    rv__yaml_problem problem[RV_YAML_MAX_PROBLEMS];
    int problems; /* found; the first RV_YAML_MAX_PROBLEMS are kept */
    bool no_memory;
};

/* Arena memory, zero-filled; NULL sets no_memory, which every reading function returns as RV_ENOMEM in the end. */
void *rv__yaml_alloc(rv_yaml *y, size_t bytes);
char *rv__yaml_copy(rv_yaml *y, const char *text, size_t len);
rv_yaml_source *rv__yaml_source(rv_yaml *y, const char *label, const rv_yaml_node *from);
rv_yaml_node *rv__yaml_node(rv_yaml *y, rv_yaml_kind kind, const rv_yaml_source *source, int line, int column);
/* Read the text of `source` into a tree; NULL after a mistake that ends the reading. */
rv_yaml_node *rv__yaml_read(rv_yaml *y, const rv_yaml_source *source, const char *text, size_t len);
/* Merge map `over` into map `into`: children of `over` win, maps inside both merge. */
void rv__yaml_merge(rv_yaml_node *into, rv_yaml_node *over);
/* ${name} in one scalar that need not be in the tree. */
void rv__yaml_substitute_node(rv_yaml *y, rv_yaml_node *n);
void rv__yaml_append(rv_yaml_node *parent, rv_yaml_node *child);
void rv__yaml_problem_at(rv_yaml *y, const rv_yaml_source *source, int line, int column, const char *fmt, ...)
    RV_PRINTF(5, 6);

#endif

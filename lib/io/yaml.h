/** YAML with positions and limits: libyaml's events become a tree in which every node knows its file, line and column.
 *
 *  The dialect is a small part of YAML 1.1: maps with plain keys, lists and scalars. A scalar is text; what it means is
 *  the schema's business. `include: file.yaml` at the top of a file merges another file below it, and `!replace` before
 *  a map keeps it from being merged. Anchors, aliases, other tags, merge keys, duplicate keys and second documents are
 *  mistakes. Input is limited (rv_yaml_limits) and may be hostile: reading ends within a second.
 *
 *  Mistakes do not stop the reading where it can go on: they are collected, and rv_yaml_finish reports all of them. The
 *  functions that read therefore return RV_OK even when they found mistakes, and RV_ENOMEM otherwise. */
#ifndef RV_IO_YAML_H
#define RV_IO_YAML_H

#include <stddef.h>

#include "base/arena.h"

enum rv_yaml_limits {
    RV_YAML_MAX_BYTES = 1 << 20,   /**< of one file, and of all text made by ${name} */
    RV_YAML_MAX_DEPTH = 32,        /**< maps and lists inside each other */
    RV_YAML_MAX_NODES = 10000,     /**< keys and values, of all files together */
    RV_YAML_MAX_SCALAR = 64 << 10, /**< bytes of one scalar */
    RV_YAML_MAX_INCLUDES = 8,      /**< files including each other */
    RV_YAML_MAX_FILES = 32,
    RV_YAML_MAX_PROBLEMS = 50, /**< that are printed */
};

typedef enum { RV_YAML_SCALAR, RV_YAML_MAP, RV_YAML_LIST } rv_yaml_kind;
typedef struct rv_yaml rv_yaml;

/** A file, a stored text or an assignment of the command line. */
typedef struct rv_yaml_source {
    const char *label;                 /**< how messages name it */
    const struct rv_yaml_source *from; /**< the file that includes it, or NULL */
    int from_line, from_column;        /**< where it does */
    int index;                         /**< order of reading */
    bool assignment;                   /**< label is "key=value"; lines and columns mean nothing */
} rv_yaml_source;

typedef struct rv_yaml_node {
    rv_yaml_kind kind;
    bool quoted;  /**< a scalar in quotes (or block style): "null" in quotes is text */
    bool replace; /**< a map marked !replace */
    bool made;    /**< by rv_yaml_add: nobody wrote it */
    bool done;    /**< ${name} has been replaced in it */
    bool bad;     /**< a mistake here has been reported already; expect nothing of the content */
    const rv_yaml_source *source;
    int line, column; /**< from 1; columns count characters */
    const char *text; /**< a scalar's UTF-8 text, without NUL inside */
    size_t len;
    struct rv_yaml_node *key;   /**< the key of a map's child (a scalar), else NULL */
    struct rv_yaml_node *first; /**< children of a map or list, in order */
    struct rv_yaml_node *next;
    int count; /**< children */
} rv_yaml_node;

/** An empty document (root NULL), or NULL (RV_ENOMEM). It owns all nodes and texts. */
RV_API rv_yaml *rv_yaml_create(void);
RV_API void rv_yaml_destroy(rv_yaml *y);
/** Read a file and what it includes; paths of includes are relative to the including file. */
RV_API rv_status rv_yaml_load(rv_yaml *y, const char *path);
/** Read a text, named `label` in messages. `include` is refused: stored text must not reach for files. */
RV_API rv_status rv_yaml_parse(rv_yaml *y, const char *label, const char *text, size_t len);
/** Merge an assignment "key.path=value" of the command line; the value is YAML ("[0.9, 0.98]", "{type: sgd}"). */
RV_API rv_status rv_yaml_override(rv_yaml *y, const char *assignment);
/** The merged map, or NULL if nothing could be read. */
RV_API rv_yaml_node *rv_yaml_root(rv_yaml *y);
/** The text of the file given to rv_yaml_load (or the text given to rv_yaml_parse), "" if unreadable. */
RV_API const char *rv_yaml_source_text(const rv_yaml *y);
/** The child of a map by key, or NULL (also when `map` is NULL or no map). */
RV_API rv_yaml_node *rv_yaml_get(const rv_yaml_node *map, const char *key);
/** Add a scalar made here (a default value) at the end of a map, at the position of the map itself. */
RV_API rv_yaml_node *rv_yaml_add(rv_yaml *y, rv_yaml_node *map, const char *key, const char *text);
/** Replace every ${name} in the tree's scalars by the text of the root's scalar `name`; `$${` stands for a literal
 * `${`. Unknown names, cycles and results over the limits are mistakes. */
RV_API rv_status rv_yaml_substitute(rv_yaml *y);

/** Record a mistake at a node (NULL: the start of the main file). Messages are shown in the order of the files. */
RV_API void rv_yaml_problem(rv_yaml *y, const rv_yaml_node *at, const char *fmt, ...) RV_PRINTF(3, 4);
RV_API int rv_yaml_problems(const rv_yaml *y);
/** RV_OK if there were no mistakes; otherwise RV_EUSAGE with one line per mistake, "file:line:column: what". */
RV_API rv_status rv_yaml_finish(rv_yaml *y);
/** "exp.yaml:14:5" into buf. */
RV_API void rv_yaml_where(const rv_yaml_node *at, char *buf, size_t size);
/** The index of the known name nearest to `name`, or -1 if none is near: for "did you mean". known(ctx, i) is NULL at
 *  the end and stays valid until its next call only. */
RV_API int rv_yaml_nearest(const char *name, const char *(*known)(const void *ctx, int i), const void *ctx);

#endif

/* What each class was taken for, as a table or in an object. */
#ifndef RV_TOOLS_EVAL_CONFUSION_H
#define RV_TOOLS_EVAL_CONFUSION_H

#include <jansson.h>

/* A row for each of C classes, with a column for each and precision, recall and F1; of more than a table has room for,
 * those with the least F1. */
void rv__confusion_print(int C, const char *const *name, const int64_t *confusion);
/* The same into o: "classes", "confusion", "precision", "recall" and "class_f1"; null where a class is never told, or
 * never there. */
void rv__confusion_json(int C, const char *const *name, const int64_t *confusion, json_t *o);

#endif

/* Names of labels, classes or tags: found in files or given, sorted, numbered. */
#ifndef RV_DATA_LABELS_H
#define RV_DATA_LABELS_H

#include "data/intern.h"
#include "data/text.h"

/* A field without the blanks around it. */
rv_text rv__field_trim(rv_text t);
/* The label that a field has: trimmed, its own blanks changed to ' ', as labels stand in lines and between tabs where
 * they are told. */
rv_text rv__label_of(rv_text field);

/* Bytes that a message shows of a label: one that is a whole text, of a wrong column, is cut. */
int rv__label_shown(const char *label);
/* The first names, "and N more", into buf, which is returned: of 4096 bytes for all of it. */
const char *rv__labels_text(int n, char *const *names, char *buf, size_t size);

/* Copies of n names in one block: free(*out) frees all. RV_ENOMEM. */
rv_status rv__labels_copy(int n, const char *const *names, char ***out);
/* Those of a table, sorted by their bytes; or, by_value, by that if all are whole numbers. RV_ENOMEM. */
rv_status rv__labels_sorted(const rv__intern *seen, bool by_value, char ***out);
/* Number n names: *numbers holds name i as i then. RV_EUSAGE for a `what` that is there twice, RV_ENOMEM. */
rv_status rv__labels_number(int n, char *const *names, const char *what, rv__intern *numbers);

#endif

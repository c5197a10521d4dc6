/* What was found of each type of spans, as a table or in an object. */
#ifndef RV_TOOLS_EVAL_SPANS_H
#define RV_TOOLS_EVAL_SPANS_H

#include <jansson.h>

#include "ravel.h"

/* A row for each type and one for all: spans that are there, that are told and that are right, precision, recall, F1.
 */
void rv__spans_print(const rv_span_tags *tags, const rv_span_counts *of);
/* The same into o: "spans", an object of type: {"gold", "told", "right", "precision", "recall", "f1"}. */
void rv__spans_json(const rv_span_tags *tags, const rv_span_counts *of, json_t *o);

#endif

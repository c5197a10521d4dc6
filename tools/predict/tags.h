/* Sentences in, the same with tags out. */
#ifndef RV_TOOLS_PREDICT_TAGS_H
#define RV_TOOLS_PREDICT_TAGS_H

#include "lines/lines.h"

/* How sentences are written. */
typedef enum { RV_TAGS_AUTO, RV_TAGS_LINES, RV_TAGS_COLUMNS, RV_TAGS_CONLLU } rv__tags_format;
/* "auto", "lines", "columns", "conllu"; false if it is none of them. */
bool rv__tags_format_parse(const char *name, rv__tags_format *format);

typedef struct {
    rv_trained *trained;
    rv__lines_from from;
    const char *output; /* NULL: standard output */
    rv__tags_format format;
    bool json;
    int n_best;
    int64_t batch;
} rv__tags_job;

/* Tag all of it. Lines keep their number and order: of `lines` each becomes its words' tags; `columns` get one more; of
 * `conllu` the column that was learnt is replaced. Errors: of reading, with file and line; of tagging; of writing. */
rv_status rv__tags_run(const rv__tags_job *job);

#endif

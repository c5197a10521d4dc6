/* Words of texts and what the pooling gave them, gathered and written as a page. */
#ifndef RV_TOOLS_PREDICT_WORDS_H
#define RV_TOOLS_PREDICT_WORDS_H

#include "predict/render.h"
#include "tool.h"

typedef struct {
    rv_weighted_text *t; /* labels, weights and reference of each are its own; those of the first lines alone */
    int64_t n, seen;
    char path[RV__PREFIX];
} rv__words;

/* The page shall be PATH.html, or PATH/attention.html where PATH is a folder. RV_EUSAGE if nothing can be written
 * there. */
rv_status rv__words_begin(const char *path, rv__words *out);
rv_status rv__words_add(rv__words *w, const rv__teller *t, const rv__sentence *s, const rv_classified *c);
/* Write the page, in the order of lines; `model` is named in its heading. */
rv_status rv__words_write(rv__words *w, const char *model);
void rv__words_free(rv__words *w);

#endif

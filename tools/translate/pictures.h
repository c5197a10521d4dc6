/* Attention of the translations that were found, gathered and written as numbers and as a page. */
#ifndef RV_TOOLS_TRANSLATE_PICTURES_H
#define RV_TOOLS_TRANSLATE_PICTURES_H

#include "tool.h"
#include "translate/render.h"

typedef struct {
    int64_t line;
    rv_alignment a; /* its weights and labels lie in one block */
    void *block;
} rv__picture;

typedef struct {
    rv__picture *p;
    int64_t n, room;
    char prefix[RV__PREFIX]; /* of the files */
} rv__pictures;

/* Files shall be PATH.h5 and PATH.html, or PATH/attention.h5 and so on where PATH is a folder. RV_EUSAGE if nothing can
 * be written there. */
rv_status rv__pictures_begin(const char *path, rv__pictures *out);
/* Add the best translation of a sentence, whose reference must live on. */
rv_status rv__pictures_add(rv__pictures *p, const rv__renderer *r, const rv__sentence *s, const rv_hypothesis *h);
/* Write all, in the order of their lines; `model` is the page's heading. */
rv_status rv__pictures_write(rv__pictures *p, const char *model);
void rv__pictures_free(rv__pictures *p);

#endif

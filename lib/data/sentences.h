/* The sentences of files that hold more than text: the one place where a format becomes plain text. */
#ifndef RV_DATA_SENTENCES_H
#define RV_DATA_SENTENCES_H

#include "data/text.h"

/* Make t, the text of the file `path`, its sentences, one a line:
 *   text:    as it is;
 *   conllu:  "# text = " of each sentence; without that its forms, joined as SpaceAfter=No says;
 *   tsv:     the first column;
 *   columns: the first column of each line of a sentence, a blank between two.
 * Errors: RV_EDATA with the line that is not of that format. */
rv_status rv__sentences_take(rv_text_format format, const char *path, rv_text *t);

#endif

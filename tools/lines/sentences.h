/* The sentences that a command is given: lines of a text, of standard input as they come, or a part of the experiment's
 * data. */
#ifndef RV_TOOLS_LINES_SENTENCES_H
#define RV_TOOLS_LINES_SENTENCES_H

#include "ravel.h"

typedef struct {
    const char *text; /* without its line end; not ended by a NUL */
    size_t len;
    int64_t line; /* from 1 */
    int32_t *ids; /* its tokens, cut to what the model takes */
    int64_t n;
    const char *reference; /* what a part says of it: its translation, its class; or NULL */
} rv__sentence;

typedef struct {
    rv__sentence *s;
    int64_t n;
    rv_text text;  /* what they lie in, if it is theirs */
    bool owns_ids; /* each sentence's */
} rv__sentences;

/* Lines of the file `path`, plain or gzip; "-" is standard input as a whole. `most`: tokens that the model takes;
 * longer lines are cut, with a warning that counts them. Errors: RV_EDATA (unreadable, invalid UTF-8, a character that
 * the tokenizer does not know), with the line. Free with rv__sentences_free in any case. */
rv_status rv__sentences_load(const char *path, rv_tokenizer *tok, int64_t most, rv__sentences *out);
/* One line that was read elsewhere (`name`, for messages); text stays the caller's. */
rv_status rv__sentences_line(const char *name, int64_t line, const char *text, size_t len, rv_tokenizer *tok,
                             int64_t most, rv__sentences *out);
/* The sources of a part of the data, which the task has cut already. RV_EDATA when there is none. */
rv_status rv__sentences_part(const rv_pairs *pairs, const char *split, rv__sentences *out);
void rv__sentences_free(rv__sentences *s);

#endif

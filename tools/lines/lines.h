/* Commands that make output of each sentence: where sentences come from, and windows of them, worked on by length and
 * printed in their order. */
#ifndef RV_TOOLS_LINES_LINES_H
#define RV_TOOLS_LINES_LINES_H

#include "lines/sentences.h"
#include "tool.h"

/* Where the sentences come from: one of these, or the test part of the experiment's data. */
typedef struct {
    const char *file, *split;
    bool from_stdin;
} rv__lines_from;
/* Whether options leave one of them; other uses end the program with a message. */
void rv__lines_check(const rv__lines_from *from, struct argp_state *state);
/* Whether a part of the data is wanted, so that they have to be loaded. */
bool rv__lines_of_data(const rv__lines_from *from);

typedef struct rv__lines rv__lines;
struct rv__lines {
    const char *doing, *unit; /* "translating", "sentence" */
    rv_tokenizer *tokenizer;
    int64_t most, batch; /* tokens of a sentence, sentences at a time */
    /* Work on the sentences of a window; each is handed to rv__lines_done once, in whatever order. */
    rv_status (*work)(rv__lines *l, const int32_t *const *ids, const int64_t *n, int64_t sentences);
    rv_status (*finish)(rv__lines *l); /* after all of them, while what they point to is there; or NULL */
    void *ctx;
    /* ---- of lines.c */
    FILE *out;
    const char *out_path; /* NULL: standard output */
    const rv__sentence *window;
    rv_text *text; /* of each sentence of the window, what is printed */
    rv_progress *bar;
    int64_t done, done_tokens;
};

/* RV_EUSAGE if the file of --output, which may be NULL, is the one that sentences come from: opened, it would be empty.
 */
rv_status rv__lines_apart(const rv__lines_from *from, const char *output);
/* Print to this file, NULL: standard output. RV_EUSAGE if the sentences come from it. It is opened once these are read.
 * rv__lines_close says whether all was written. */
rv_status rv__lines_output(rv__lines *l, const rv__lines_from *from, const char *path);
rv_status rv__lines_close(rv__lines *l, rv_status status);
/* What is printed of sentence i of the window, its newline included: the lines' from now on. */
void rv__lines_done(rv__lines *l, int64_t i, rv_text text);
/* Work on all sentences of `from`, of which parts are the source's. RV_EUSAGE if the output cannot be written. */
rv_status rv__lines_run(rv__lines *l, const rv__lines_from *from, rv_source *source);

#endif

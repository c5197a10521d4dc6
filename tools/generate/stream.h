/* Text on standard output as its tokens come. A token may end inside a character: what cannot become one any more is
 * shown as U+FFFD, what still can waits for the next token. */
#ifndef RV_TOOLS_GENERATE_STREAM_H
#define RV_TOOLS_GENERATE_STREAM_H

#include "ravel.h"

typedef struct {
    const rv_tokenizer *tokenizer;
    bool bytes;   /* as the tokens have them, valid UTF-8 or not */
    int32_t last; /* what a token looks like may depend on the one before (a space between words); -1: there is none */
    char held[8]; /* the beginning of a character */
    size_t n_held;
} rv__text_stream;

/* Show token `id` (an rv_token_sink). */
rv_status rv__text_stream_show(void *stream, int32_t id);
/* Nothing follows: show what was held back. */
rv_status rv__text_stream_end(rv__text_stream *s);

#endif

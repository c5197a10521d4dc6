/* What ravel predict prints of one text. */
#ifndef RV_TOOLS_PREDICT_RENDER_H
#define RV_TOOLS_PREDICT_RENDER_H

#include "lines/sentences.h"

typedef struct {
    bool json, weights; /* JSON lines; with tokens and what the pooling gave each */
    int top;            /* classes told; 0: the best one, of JSON all */
    const rv_tokenizer *tokenizer;
    const char *const *class_name;
} rv__teller;

enum { RV__LABEL = 64 }; /* bytes of a token's label */
/* Labels of a text's n positions, the last being <eos>: n pointers for free(), or NULL without memory. */
char **rv__token_labels(const rv_tokenizer *tokenizer, const rv__sentence *s, int64_t n);

/* The line of sentence s, newline included. Free with rv_text_free. */
rv_status rv__tell(const rv__teller *t, const rv__sentence *s, const rv_classified *c, rv_text *out);

#endif

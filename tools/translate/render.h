/* What ravel translate prints of one sentence. */
#ifndef RV_TOOLS_TRANSLATE_RENDER_H
#define RV_TOOLS_TRANSLATE_RENDER_H

#include "ravel.h"
#include "lines/sentences.h"

typedef struct {
    bool json, n_best; /* JSON lines; Moses' lists "i ||| translation ||| score" */
    bool replace_unk;
    rv_tape *tape;
    rv_model *model;
    const rv_tokenizer *src, *tgt;
    const rv_translate_options *search;
} rv__renderer;

/* The line (of an n-best list: lines) of sentence s with its `count` hypotheses, none for an empty one, newline
 * included. Free with rv_text_free. */
rv_status rv__render(const rv__renderer *r, const rv__sentence *s, const rv_hypothesis *h, int count, rv_text *out);

#endif

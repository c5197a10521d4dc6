/* Between the tokenizers of BLEU and its counts. */
#ifndef RV_EVALUATE_BLEU_PRIVATE_H
#define RV_EVALUATE_BLEU_PRIVATE_H

#include "evaluate/bleu.h"
#include "evaluate/symbols_private.h"

/* `line` with white space between its tokens, in `text`; `scratch` is working memory. Both stay the caller's. */
rv_status rv__bleu_symbols(rv_bleu_tokenizer tokenizer, bool lowercase, const char *line, rv__symbols *text,
                           rv__symbols *scratch);

#endif

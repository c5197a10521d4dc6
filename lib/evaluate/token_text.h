/* Tokens as a page shows them, from their labels (rv_tokenizer_label). */
#ifndef RV_EVALUATE_TOKEN_TEXT_H
#define RV_EVALUATE_TOKEN_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    int64_t n;
    const char *const *label;
    bool pieces; /* of words: those that begin one start with "\\s" */
} rv__tokens;

rv__tokens rv__tokens_of(int64_t n, const char *const *label);
/* Whether a blank stands before token i, but for the first. */
bool rv__begins_word(const rv__tokens *t, int64_t i);
/* Its label without what says that it begins a word. */
const char *rv__letters(const rv__tokens *t, int64_t i);

/* `most` columns of s, then an ellipsis. NULL f only measures. Returns columns. */
int rv__put_text(FILE *f, const char *s, int most);

#endif

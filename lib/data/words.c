/* Single words: their ids, letters and shapes. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "data/pairs_private.h"
#include "data/tagged_private.h"

rv_status rv_word_id(rv_tokenizer *words, const char *word, size_t len, int32_t *id) {
    int32_t *ids = NULL;
    int64_t n = 0;
    RV_TRY(rv_tokenizer_encode(words, word, len, &ids, &n));
    *id = n == 1 ? ids[0] : rv_tokenizer_special(words, RV_UNK);
    free(ids);
    return RV_OK;
}

rv_status rv_word_tokens(rv_tokenizer *tok, const char *word, size_t len, bool leads, int32_t **ids, int64_t *n,
                         int64_t *first) {
    *first = 0;
    *ids = NULL;
    if (rv_tokenizer_get_spec(tok).type == RV_TOKENS_WORD) {
        *n = 1;
        if (!(*ids = malloc(sizeof **ids))) return rv_error(RV_ENOMEM, "no memory for a word");
        const rv_status known = rv_word_id(tok, word, len, *ids);
        if (known != RV_OK) free(*ids), *ids = NULL;
        return known;
    }
    char *text = malloc(len + 2);
    if (!text) return rv_error(RV_ENOMEM, "no memory for a word");
    text[0] = ' ';
    memcpy(text + 1, word, len);
    rv_status status = rv_tokenizer_encode(tok, text + leads, len + !leads, ids, n);
    free(text);
    int32_t *blank = NULL;
    int64_t blanks = 0;
    if (status == RV_OK && !leads) status = rv_tokenizer_encode(tok, " ", 1, &blank, &blanks);
    if (status == RV_OK && !leads) *first = blanks == 1 && *n > 1 && (*ids)[0] == blank[0];
    free(blank);
    if (status != RV_OK) free(*ids), *ids = NULL;
    return status;
}

rv_status rv_word_letters(rv_tokenizer *letters, const char *word, size_t len, int64_t most, int32_t **ids,
                          int64_t *n) {
    RV_TRY(rv_tokenizer_encode(letters, word, len, ids, n));
    if (most <= 0 || *n <= most) return RV_OK;
    const int64_t tail = most / 2, head = most - tail;
    memmove(*ids + head, *ids + *n - tail, (size_t)tail * sizeof **ids);
    *n = most;
    return RV_OK;
}

rv_shape rv_word_shape(const char *word, size_t len) {
    int64_t letters = 0, capitals = 0, digits = 0;
    bool first = false;
    int32_t cp;
    for (size_t i = 0, k; i < len; i += k ? k : 1) {
        k = (size_t)rv_utf8_next(word + i, len - i, &cp);
        const utf8proc_category_t c = k ? utf8proc_category(cp) : UTF8PROC_CATEGORY_CN;
        const bool capital = c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LT;
        if (c == UTF8PROC_CATEGORY_ND) digits++;
        if (c < UTF8PROC_CATEGORY_LU || c > UTF8PROC_CATEGORY_LO) continue;
        if (!letters++) first = capital;
        capitals += capital;
    }
    if (!letters) return digits ? RV_SHAPE_DIGITS : RV_SHAPE_OTHER;
    if (!capitals) return RV_SHAPE_LOWER;
    if (first && capitals == 1) return RV_SHAPE_FIRST;
    return capitals == letters ? RV_SHAPE_UPPER : RV_SHAPE_MIXED;
}

/* ---- forms ---- */

void rv__forms_free(rv_forms *f) {
    free(f->text); /* the words stand behind it */
    free(f->letter_at);
    free(f->letter);
    free(f->shape);
    free(f->known);
    *f = (rv_forms){0};
}

/* The words as strings, in one block. */
static rv_status copy_text(const rv__intern *table, rv_forms *f) {
    size_t size = (size_t)f->n * sizeof *f->text + 1, len;
    for (int32_t i = 0; i < f->n; i++) {
        rv__intern_key(table, i, &len);
        size += len + 1;
    }
    if (!(f->text = malloc(size))) return rv_error(RV_ENOMEM, "no memory for %d words", (int)f->n);
    char *to = (char *)(f->text + f->n);
    for (int32_t i = 0; i < f->n; i++) {
        const char *key = rv__intern_key(table, i, &len);
        f->text[i] = memcpy(to, key, len);
        to[len] = 0;
        to += len + 1;
    }
    return RV_OK;
}

static rv_status add_letters(rv_tokenizer *letters, const char *word, size_t len, rv__ids *list) {
    int32_t *ids = NULL;
    int64_t n = 0;
    RV_TRY(rv_word_letters(letters, word, len, 0, &ids, &n));
    rv_status status = rv__ids_append(list, ids, n);
    free(ids);
    return status;
}

rv_status rv__forms_make(const rv__intern *table, bool *known, rv_tokenizer *letters, rv_forms *f) {
    *f = (rv_forms){.n = table->n, .known = known};
    RV_TRY(copy_text(table, f));
    f->letter_at = calloc((size_t)f->n + 1, sizeof *f->letter_at);
    f->shape = malloc((size_t)f->n + 1);
    if (!f->letter_at || !f->shape) return rv_error(RV_ENOMEM, "no memory for the letters of %d words", (int)f->n);
    rv__ids list = {0};
    rv_status status = RV_OK;
    for (int32_t i = 0; i < f->n && status == RV_OK; i++) {
        size_t len;
        const char *word = rv__intern_key(table, i, &len);
        f->shape[i] = (uint8_t)rv_word_shape(word, len);
        status = add_letters(letters, word, len, &list);
        f->letter_at[i + 1] = list.n;
    }
    f->letter = list.ids;
    return status;
}

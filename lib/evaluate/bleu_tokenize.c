/* The tokenizers of BLEU. mteval's are rewriting rules, applied one after the other, each from left to right to pieces
 * that do not overlap; so a point after a point stays where a longer look would have moved it, and scores only compare
 * if that is kept. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "evaluate/bleu_private.h"

typedef bool (*class_test)(int32_t);
static bool is_digit(int32_t c) { return c >= '0' && c <= '9'; }
static bool no_digit(int32_t c) { return !is_digit(c); }
static bool is_dash(int32_t c) { return c == '-'; }
static bool is_stop(int32_t c) { return c == '.' || c == ','; }
/* ASCII from space to ~ but for letters, digits and ' , - . */
static bool is_ascii_mark(int32_t c) {
    return c >= ' ' && c <= '~' && !is_digit(c) && !((c | 32) >= 'a' && (c | 32) <= 'z') && !strchr("',-.", c);
}
static bool is_number(int32_t c) { /* Unicode N */
    utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
}
static bool no_number(int32_t c) { return !is_number(c); }
static bool is_punctuation(int32_t c) { /* Unicode P */
    utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}
static bool is_symbol(int32_t c) { /* Unicode S */
    utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_SM && k <= UTF8PROC_CATEGORY_SO;
}

/* Where a symbol of class `a` (followed by one of `b`, unless that is NULL) stands, put spaces around the marked one.
 */
typedef struct {
    class_test a, b;
    int mark; /* 0: a, 1: b */
} rule;

static const rule mteval13a[] = {
    {is_ascii_mark, NULL, 0}, {no_digit, is_stop, 1}, {is_stop, no_digit, 0}, {is_digit, is_dash, 1}, {0}};
static const rule mteval14[] = {
    {no_number, is_punctuation, 1}, {is_punctuation, no_number, 0}, {is_symbol, NULL, 0}, {0}};

static void apply(const rule *r, const rv__symbols *in, rv__symbols *out) {
    out->n = 0;
    for (int64_t i = 0; i < in->n;) {
        bool hit = r->a(in->at[i]) && (!r->b || (i + 1 < in->n && r->b(in->at[i + 1])));
        int take = hit && r->b ? 2 : 1;
        for (int k = 0; k < take; k++) {
            bool mark = hit && k == r->mark;
            if (mark) rv__symbols_push(out, ' ');
            rv__symbols_push(out, in->at[i + k]);
            if (mark) rv__symbols_push(out, ' ');
        }
        i += take;
    }
}

/* Replace each `from` by `to` (an ASCII symbol, or 0 for nothing) in place. */
static void replace(rv__symbols *s, const char *from, int32_t to) {
    int64_t n = 0, len = (int64_t)strlen(from);
    for (int64_t i = 0; i < s->n;) {
        int64_t k = 0;
        while (k < len && i + k < s->n && s->at[i + k] == from[k]) k++;
        if (k < len) {
            s->at[n++] = s->at[i++];
        } else {
            if (to) s->at[n++] = to;
            i += len;
        }
    }
    s->n = n;
}

/* What mteval undoes before its rules: SGML and lines broken at a hyphen. In this order, so that &amp;lt; becomes <. */
static void unescape(rv__symbols *s) {
    static const struct {
        const char *from;
        int32_t to;
    } pairs[] = {{"<skipped>", 0}, {"-\n", 0},    {"\n", ' '},  {"&quot;", '"'},
                 {"&amp;", '&'},   {"&lt;", '<'}, {"&gt;", '>'}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) replace(s, pairs[i].from, pairs[i].to);
}

rv_status rv__bleu_symbols(rv_bleu_tokenizer tokenizer, bool lowercase, const char *line, rv__symbols *text,
                           rv__symbols *scratch) {
    RV_TRY(rv__symbols_decode(line, lowercase, text));
    while (text->n && rv__symbol_is_space(text->at[text->n - 1])) text->n--;
    const rule *rules = NULL;
    if (tokenizer == RV_BLEU_13A) {
        unescape(text);
        rules = mteval13a;
        scratch->n = 0; /* a space on each side, so that the ends have neighbours; mteval-v14 has none */
        rv__symbols_push(scratch, ' ');
        for (int64_t i = 0; i < text->n; i++) rv__symbols_push(scratch, text->at[i]);
        rv__symbols_push(scratch, ' ');
    } else if (tokenizer == RV_BLEU_INTL) {
        rules = mteval14;
    } else if (tokenizer == RV_BLEU_CHAR) {
        scratch->n = 0;
        for (int64_t i = 0; i < text->n; i++) {
            rv__symbols_push(scratch, text->at[i]);
            rv__symbols_push(scratch, ' ');
        }
    }
    bool moved = tokenizer == RV_BLEU_13A || tokenizer == RV_BLEU_CHAR; /* the result is in `scratch` */
    for (; rules && rules->a; rules++, moved = !moved) apply(rules, moved ? scratch : text, moved ? text : scratch);
    if (moved) {
        rv__symbols swap = *text;
        *text = *scratch;
        *scratch = swap;
    }
    return text->no_memory || scratch->no_memory
               ? rv_error(RV_ENOMEM, "no memory to tokenize a line of %zu bytes", strlen(line))
               : RV_OK;
}

rv_status rv_bleu_tokenize(rv_bleu_tokenizer tokenizer, bool lowercase, const char *line, rv_text *out) {
    *out = (rv_text){0};
    rv__symbols text = {0}, scratch = {0};
    rv_status status = rv__bleu_symbols(tokenizer, lowercase, line, &text, &scratch);
    if (status == RV_OK && !(out->bytes = malloc(4 * (size_t)text.n + 1)))
        status = rv_error(RV_ENOMEM, "no memory for the tokens of a line");
    int64_t i = 0, begin;
    while (status == RV_OK && rv__symbols_word(&text, &i, &begin)) {
        if (out->len) out->bytes[out->len++] = ' ';
        for (int64_t k = begin; k < i; k++) out->len += (size_t)rv__symbol_encode(text.at[k], out->bytes + out->len);
    }
    if (status == RV_OK) out->bytes[out->len] = 0;
    rv__symbols_free(&text);
    rv__symbols_free(&scratch);
    return status;
}

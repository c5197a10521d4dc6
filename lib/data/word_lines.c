#include "data/word_lines.h"

#include <stdlib.h>
#include <string.h>

#include "data/labels.h"

static bool begins(const char *s, size_t len, const char *with) {
    const size_t n = strlen(with);
    return len >= n && !memcmp(s, with, n);
}

/* Columns parted by tabs, at most `most` of them into field; returns how many there are, or most + 1 for more. */
static int cut_at_tabs(char *s, size_t len, int most, rv_text *field) {
    for (int n = 0;; n++) {
        if (n == most) return most + 1;
        char *tab = memchr(s, '\t', len);
        field[n] = (rv_text){s, tab ? (size_t)(tab - s) : len};
        if (!tab) return n + 1;
        len -= field[n].len + 1;
        s = tab + 1;
    }
}

/* ---- conllu ---- */

/* A number of at most 9 digits at *s, which moves past it; -1: none. */
static long digits(const char **s, const char *end) {
    long value = 0;
    const char *start = *s;
    for (; *s < end && **s >= '0' && **s <= '9' && *s - start < 9; ++*s) value = 10 * value + (**s - '0');
    return *s > start ? value : -1;
}

static rv__line_kind read_id(rv_text id, long *first, long *last) {
    const char *s = id.bytes, *end = s + id.len;
    rv__line_kind kind = RV__LINE_WORD;
    *first = *last = digits(&s, end);
    if (*first >= 0 && s < end && (*s == '-' || *s == '.')) {
        kind = *s++ == '-' ? RV__LINE_RANGE : RV__LINE_EMPTY_NODE;
        *last = digits(&s, end);
    }
    return *first >= 0 && *last >= 0 && s == end ? kind : RV__LINE_END;
}

rv_status rv__conllu_line(const char *path, long long number, char *s, size_t len, rv__word_line *out) {
    enum { COLUMNS = 10 };
    *out = (rv__word_line){.kind = rv_text_is_blank(s, len) ? RV__LINE_END : RV__LINE_COMMENT};
    if (out->kind == RV__LINE_END || *s == '#') return RV_OK;
    const int n = out->columns = cut_at_tabs(s, len, COLUMNS, out->field);
    if (n != COLUMNS)
        return rv_error(RV_EDATA, "%s:%lld: %s%d columns where a line of CoNLL-U has %d", path, number,
                        n > COLUMNS ? "over " : "", n > COLUMNS ? COLUMNS : n, COLUMNS);
    const rv_text id = out->field[0];
    out->kind = read_id(id, &out->first, &out->last);
    if (out->kind != RV__LINE_END) return RV_OK;
    return rv_error(RV_EDATA,
                    "%s:%lld: '%.*s' is no id: the first column of CoNLL-U counts a sentence's words, 1, 2, 3 (1-2: a "
                    "range of them, 1.1: an empty node)",
                    path, number, (int)rv_utf8_offset(id.bytes, id.len, 40), id.bytes);
}

/* ---- columns ---- */

/* Columns parted by blanks, as cut_at_tabs has them. */
static int cut_at_blanks(char *s, size_t len, int most, rv_text *field) {
    static const char blanks[] = " \t\v\f\r";
    int n = 0;
    for (size_t i = 0; i < len; n++) {
        while (i < len && strchr(blanks, s[i]) && s[i]) i++;
        if (i == len) break;
        if (n == most) return most + 1;
        const size_t start = i;
        while (i < len && !(strchr(blanks, s[i]) && s[i])) i++;
        field[n] = (rv_text){s + start, i - start};
    }
    return n;
}

static bool is_end(const char *s, size_t len) {
    static const char mark[] = "-DOCSTART-";
    const size_t n = sizeof mark - 1;
    if (rv_text_is_blank(s, len)) return true;
    return begins(s, len, mark) && (len == n || s[n] == ' ' || s[n] == '\t');
}

static int cut(const rv__columns *c, char *s, size_t len, rv__word_line *out) {
    const int n = (c->tabs ? cut_at_tabs : cut_at_blanks)(s, len, RV__LINE_COLUMNS, out->field);
    for (int i = 0; i < n && i < RV__LINE_COLUMNS; i++) out->field[i] = rv__field_trim(out->field[i]);
    return n;
}

rv__columns rv__columns_of(const char *path, const rv_text *text) {
    rv__columns c = {.path = path};
    long long line = 1;
    for (size_t at = 0, whole; at < text->len && !c.tabs; at += whole) {
        const char *s = text->bytes + at;
        const size_t len = rv_text_line(s, text->len - at, &whole);
        c.tabs = len && memchr(s, '\t', len) && !rv_text_is_blank(s, len);
    }
    for (size_t at = 0, whole; at < text->len && !c.columns; at += whole, line++) {
        char *s = text->bytes + at;
        const size_t len = rv_text_line(s, text->len - at, &whole);
        rv__word_line first;
        if (is_end(s, len) || begins(s, len, "# ")) continue;
        c.columns = cut(&c, s, len, &first), c.at = line;
    }
    return c;
}

/* A line that begins with "# ". Where blanks part the columns, it may be the word "#". */
static bool is_comment(const rv__columns *c, const rv__word_line *l) {
    const bool sign = l->field[0].len == 1;
    return c->tabs ? !sign : c->sentence ? false : l->columns != c->columns;
}

static rv_status check_columns(const rv__columns *c, long long number, int n) {
    if (n > RV__LINE_COLUMNS)
        return rv_error(RV_EDATA, "%s:%lld: over %d columns; is the data set's format right?", c->path, number,
                        RV__LINE_COLUMNS);
    if (c->ragged) return RV_OK;
    if (n < 2 && c->tabs)
        return rv_error(RV_EDATA,
                        "%s:%lld: no tab: each line must be a word, a tab, its tag; a blank line ends a "
                        "sentence, and \"# \" begins a comment",
                        c->path, number);
    if (n < 2)
        return rv_error(RV_EDATA,
                        "%s:%lld: one column, where a word and its tag are two: part them by a tab; a blank line ends "
                        "a sentence",
                        c->path, number);
    if (n == c->columns || !c->columns) return RV_OK;
    return rv_error(RV_EDATA, "%s:%lld: %d columns, where line %lld has %d: %s", c->path, number, n, c->at, c->columns,
                    c->tabs ? "correct the line" : "correct the line, or part columns by tabs, not by blanks");
}

rv_status rv__columns_line(rv__columns *c, long long number, char *s, size_t len, rv__word_line *out) {
    *out = (rv__word_line){.kind = RV__LINE_WORD};
    if (is_end(s, len)) {
        out->kind = RV__LINE_END;
        c->sentence = false;
        return RV_OK;
    }
    out->columns = cut(c, s, len, out);
    if (begins(s, len, "# ") && is_comment(c, out)) {
        out->kind = RV__LINE_COMMENT;
        return RV_OK;
    }
    c->sentence = true;
    return check_columns(c, number, out->columns);
}

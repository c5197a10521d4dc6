#include "data/sentences.h"

#include <string.h>

#include "data/word_lines.h"

/* What is written never passes what has been read: a sentence is shorter than the lines that it comes from. */
typedef struct {
    char *to;
    bool text, forms; /* the sentence has been written, from its comment; or has begun, from its forms */
    bool space;       /* stands before the next form */
    long covered;     /* words up to this id have been written by a token of several words */
} conllu;

static void put(conllu *c, const char *s, size_t len) {
    memmove(c->to, s, len);
    c->to += len;
}

static void end_sentence(conllu *c) {
    if (c->text || c->forms) put(c, "\n", 1);
    *c = (conllu){.to = c->to};
}

static bool spaced(rv_text misc) {
    static const char no[] = "SpaceAfter=No";
    const char *end = misc.bytes + misc.len;
    for (const char *s = misc.bytes; s < end; s++) {
        const char *bar = memchr(s, '|', (size_t)(end - s));
        const size_t n = (size_t)((bar ? bar : end) - s);
        if (n == sizeof no - 1 && !memcmp(s, no, n)) return false;
        s += n;
    }
    return true;
}

static void take_token(conllu *c, const rv__word_line *l) {
    if (c->text || l->kind == RV__LINE_EMPTY_NODE || (l->kind == RV__LINE_WORD && l->first <= c->covered)) return;
    if (l->kind == RV__LINE_RANGE) c->covered = l->last;
    const rv_text form = l->field[RV__CONLLU_FORM];
    if (c->space) put(c, " ", 1);
    put(c, form.bytes, form.len);
    c->forms = true;
    c->space = spaced(l->field[RV__CONLLU_MISC]);
}

static rv_status take_conllu(const char *path, rv_text *t) {
    static const char text[] = "# text = ";
    const size_t skip = sizeof text - 1;
    conllu c = {.to = t->bytes};
    long long line = 1;
    for (size_t at = 0, whole; at < t->len; at += whole, line++) {
        char *s = t->bytes + at;
        size_t len = rv_text_line(s, t->len - at, &whole);
        rv__word_line l;
        RV_TRY(rv__conllu_line(path, line, s, len, &l));
        if (l.kind == RV__LINE_END) {
            end_sentence(&c);
        } else if (l.kind != RV__LINE_COMMENT) {
            take_token(&c, &l);
        } else if (len > skip && !strncmp(s, text, skip) && !c.text && !c.forms) {
            put(&c, s + skip, len - skip);
            c.text = true;
        }
    }
    end_sentence(&c);
    t->len = (size_t)(c.to - t->bytes);
    return RV_OK;
}

static rv_status take_first_column(const char *path, rv_text *t) {
    size_t to = 0;
    long long line = 1;
    for (size_t at = 0, whole; at < t->len; at += whole, line++) {
        const char *s = t->bytes + at;
        size_t len = rv_text_line(s, t->len - at, &whole);
        const char *tab = memchr(s, '\t', len);
        if (!len) continue;
        if (!tab)
            return rv_error(RV_EDATA,
                            "%s:%lld: no tab, where the data set's format, tsv, has sentence, tab, other columns", path,
                            line);
        memmove(t->bytes + to, s, (size_t)(tab - s));
        to += (size_t)(tab - s);
        t->bytes[to++] = '\n';
    }
    t->len = to;
    return RV_OK;
}

/* As with conllu, what is written never passes what has been read: a word's line has its tag, too. */
static rv_status take_words(const char *path, rv_text *t) {
    rv__columns columns = rv__columns_of(path, t);
    char *to = t->bytes;
    long long line = 1;
    for (size_t at = 0, whole; at < t->len; at += whole, line++) {
        const bool begun = columns.sentence;
        char *s = t->bytes + at;
        rv__word_line l;
        RV_TRY(rv__columns_line(&columns, line, s, rv_text_line(s, t->len - at, &whole), &l));
        if (l.kind == RV__LINE_END && begun) *to++ = '\n';
        if (l.kind != RV__LINE_WORD) continue;
        if (begun) *to++ = ' ';
        memmove(to, l.field[0].bytes, l.field[0].len);
        to += l.field[0].len;
    }
    if (columns.sentence) *to++ = '\n';
    t->len = (size_t)(to - t->bytes);
    return RV_OK;
}

rv_status rv__sentences_take(rv_text_format format, const char *path, rv_text *t) {
    if (format == RV_FORMAT_TEXT || !t->len) return RV_OK;
    static rv_status (*const take[])(const char *, rv_text *) = {
        [RV_FORMAT_CONLLU] = take_conllu, [RV_FORMAT_TSV] = take_first_column, [RV_FORMAT_COLUMNS] = take_words};
    rv_status status = take[format](path, t);
    if (status == RV_OK) t->bytes[t->len] = 0;
    return status;
}

#include "data/sentences.h"

#include <stdlib.h>
#include <string.h>

enum { CONLLU_COLUMNS = 10, FORM = 1, MISC = 9 };

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

static bool spaced(const char *misc, const char *end) {
    static const char no[] = "SpaceAfter=No";
    for (const char *s = misc; s < end; s++) {
        size_t n = strcspn(s, "|\t\r\n");
        if (n == sizeof no - 1 && !strncmp(s, no, n)) return false;
        s += n;
    }
    return true;
}

static rv_status read_token(conllu *c, const char *path, long long line, const char *s, size_t len) {
    const char *column[CONLLU_COLUMNS + 1] = {s};
    int n = 1;
    for (const char *tab = s; n <= CONLLU_COLUMNS && (tab = memchr(tab, '\t', (size_t)(s + len - tab))); tab++)
        column[n++] = tab + 1;
    if (n != CONLLU_COLUMNS)
        return rv_error(RV_EDATA, "%s:%lld: %s%d columns where a line of CoNLL-U has %d", path, line,
                        n > CONLLU_COLUMNS ? "over " : "", n > CONLLU_COLUMNS ? CONLLU_COLUMNS : n, CONLLU_COLUMNS);
    char *end;
    const long id = strtol(s, &end, 10);
    if (c->text || *end == '.' || (*end != '-' && id <= c->covered))
        return RV_OK; /* N.M: a word that is not in the text */
    if (*end == '-') c->covered = strtol(end + 1, NULL, 10);
    if (c->space) put(c, " ", 1);
    put(c, column[FORM], (size_t)(column[FORM + 1] - 1 - column[FORM]));
    c->forms = true;
    c->space = spaced(column[MISC], s + len);
    return RV_OK;
}

static rv_status take_conllu(const char *path, rv_text *t) {
    static const char text[] = "# text = ";
    const size_t skip = sizeof text - 1;
    conllu c = {.to = t->bytes};
    long long line = 1;
    for (size_t at = 0, whole; at < t->len; at += whole, line++) {
        const char *s = t->bytes + at;
        size_t len = rv_text_line(s, t->len - at, &whole);
        if (!len) {
            end_sentence(&c);
        } else if (*s != '#') {
            RV_TRY(read_token(&c, path, line, s, len));
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

rv_status rv__sentences_take(rv_text_format format, const char *path, rv_text *t) {
    if (format == RV_FORMAT_TEXT || !t->len) return RV_OK;
    rv_status status = format == RV_FORMAT_CONLLU ? take_conllu(path, t) : take_first_column(path, t);
    if (status == RV_OK) t->bytes[t->len] = 0;
    return status;
}

#include "data/vectors.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/log.h"
#include "data/tokenizer_private.h"

/* ---- lines ---- */

enum { LONGEST = 1 << 22, CHUNK = 1 << 17 }; /* no vector of text is longer; a binary file is no text */

/* A file's lines, of which one is in memory. */
typedef struct {
    const char *path;
    gzFile f;
    char *bytes; /* from..to have been read and not given */
    size_t from, to, cap;
    bool end;         /* of the file */
    long long number; /* of the line given last, from 1 */
} lines;

static rv_status open_lines(const char *path, lines *l) {
    *l = (lines){.path = path};
    errno = 0;
    if (!(l->f = gzopen(path, "rb")))
        return rv_error(errno ? RV_EDATA : RV_ENOMEM, "%s: cannot open: %s", path, strerror(errno ? errno : ENOMEM));
    gzbuffer(l->f, CHUNK);
    return RV_OK;
}

static void close_lines(lines *l) {
    if (l->f) gzclose_r(l->f);
    free(l->bytes);
}

/* More bytes behind those there are. */
static rv_status more(lines *l) {
    if (l->from) memmove(l->bytes, l->bytes + l->from, l->to - l->from);
    l->to -= l->from, l->from = 0;
    if (l->to + CHUNK > l->cap) {
        char *bytes = realloc(l->bytes, 2 * l->cap + CHUNK + 1);
        if (!bytes) return rv_error(RV_ENOMEM, "%s: no memory for a line of %zu bytes", l->path, l->to);
        l->bytes = bytes, l->cap = 2 * l->cap + CHUNK;
    }
    const int got = gzread(l->f, l->bytes + l->to, CHUNK);
    int code;
    const char *why = gzerror(l->f, &code);
    if (got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END))
        return rv_error(code == Z_MEM_ERROR ? RV_ENOMEM : RV_EDATA, "%s: cannot read after line %lld: %s; get it again",
                        l->path, l->number, code == Z_ERRNO ? strerror(errno) : why);
    l->to += (size_t)got;
    l->end = got == 0;
    return RV_OK;
}

/* The next line, without its end and a blank before that, a NUL after it; *s NULL at the file's end. */
static rv_status next_line(lines *l, char **s, size_t *len) {
    char *end = NULL;
    *s = NULL;
    for (size_t seen = 0;;) {
        if (l->to > l->from + seen) end = memchr(l->bytes + l->from + seen, '\n', l->to - l->from - seen);
        if (end || l->end) break;
        if (l->to - l->from > LONGEST)
            return rv_error(RV_EDATA, "%s:%lld: a line of over %d bytes; give vectors written as text, a word a line",
                            l->path, l->number + 1, LONGEST);
        seen = l->to - l->from;
        RV_TRY(more(l));
    }
    if (!end && l->from == l->to) return RV_OK;
    *s = l->bytes + l->from;
    *len = end ? (size_t)(end - *s) : l->to - l->from;
    l->from += *len + (end != NULL);
    while (*len && strchr(" \t\r", (*s)[*len - 1]) && (*s)[*len - 1]) --*len;
    (*s)[*len] = 0;
    l->number++;
    return RV_OK;
}

/* ---- the vocabulary ---- */

enum { NOT, LOWERED, EXACT };

/* A vocabulary, and whose lower-cased form a word is. */
typedef struct {
    const rv_tokenizer *tok;
    rv__intern lower;     /* forms in lower case */
    int32_t *head, *next; /* of each of them the first token; of each token the next of the same form; -1: none */
    uint8_t *match;       /* (V) how an id was found */
} vocabulary;

static void vocabulary_free(vocabulary *v) {
    rv__intern_clear(&v->lower);
    free(v->head);
    free(v->next);
    free(v->match);
}

static rv_status vocabulary_make(const rv_tokenizer *tok, vocabulary *v) {
    const int32_t n = tok->tokens.n;
    *v = (vocabulary){.tok = tok,
                      .head = malloc(((size_t)n + 1) * sizeof *v->head),
                      .next = malloc(((size_t)n + 1) * sizeof *v->next),
                      .match = calloc((size_t)rv_tokenizer_size(tok) + 1, 1)};
    if (!v->head || !v->next || !v->match) return rv_error(RV_ENOMEM, "no memory to look for %d words", (int)n);
    for (int32_t i = 0; i < n; i++) {
        size_t len;
        const char *word = rv__intern_key(&tok->tokens, i, &len);
        rv_text small;
        RV_TRY(rv_text_normalise(word, len, RV_NORMAL_NONE, true, &small));
        const int32_t before = v->lower.n, form = rv__intern_add(&v->lower, small.bytes, small.len);
        rv_text_free(&small);
        if (form < 0) return RV_ENOMEM;
        v->next[i] = form < before ? v->head[form] : -1;
        v->head[form] = i;
    }
    return RV_OK;
}

/* The id of exactly this word, or -1. */
static int32_t find_exact(const vocabulary *v, const char *word, size_t len) {
    const char *unk = rv__special_names[RV_UNK];
    if (len == strlen(unk) && !memcmp(word, unk, len)) return v->tok->special[RV_UNK];
    const int32_t i = rv__intern_find(&v->tok->tokens, word, len);
    return i < 0 ? -1 : i + v->tok->specials;
}

/* ---- vectors ---- */

typedef struct {
    lines l;
    vocabulary v;
    int64_t width;
    rv_real *table;
    rv_vectors_found *out;
} reading;

static bool blank(char c) { return c == ' ' || c == '\t'; }

/* Whether the field at s looks like a number: digits and what goes with them, or the names that strtod knows. */
static bool numeric(const char *s, size_t len) {
    static const char *const names[] = {"nan", "inf", "infinity"};
    const size_t sign = len && (*s == '-' || *s == '+');
    bool digit = false, other = false;
    for (size_t i = 0; i < len; i++) {
        digit |= s[i] >= '0' && s[i] <= '9';
        other |= !((s[i] >= '0' && s[i] <= '9') || (s[i] && strchr("+-.eE", s[i])));
    }
    if (digit && !other) return true;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (len - sign == strlen(names[k]) && !strncasecmp(s + sign, names[k], len - sign)) return true;
    return false;
}

static rv_status bad_number(const reading *r, const char *s, size_t len) {
    return rv_error(RV_EDATA, "%s:%lld: '%.*s', where a finite number is due; get the file again", r->l.path,
                    r->l.number, (int)rv_utf8_offset(s, len, 40), s);
}

/* Fields of the line, and where the last `width` of them begin (NULL: there are fewer) and the one before them. */
static int64_t fields(char *s, size_t len, int64_t width, const char **numbers, const char **before) {
    int64_t n = 0;
    const char *at = s + len;
    *numbers = *before = NULL;
    while (at > s) { /* from the end: a word can have blanks */
        while (at > s && blank(at[-1])) at--;
        if (at == s) break;
        while (at > s && !blank(at[-1])) at--;
        n++;
        if (n == width) *numbers = at;
        if (n == width + 1) *before = at;
    }
    return n;
}

static size_t field_length(const char *s) { return strcspn(s, " \t"); }

/* A row's numbers, checked; written into `row` unless it is NULL. */
static rv_status take_numbers(const reading *r, const char *s, rv_real *row) {
    for (int64_t i = 0; i < r->width; i++) {
        const size_t len = field_length(s);
        if (!numeric(s, len)) return bad_number(r, s, len);
        if (row) {
            char *end;
            const double x = strtod(s, &end);
            row[i] = (rv_real)x;
            if (end != s + len || !isfinite(row[i])) return bad_number(r, s, len);
        }
        s += len;
        s += strspn(s, " \t");
    }
    return RV_OK;
}

/* A row for one id, found this way; a better one than it has, or none is needed. */
static rv_status give(reading *r, const char *numbers, int32_t id, uint8_t match) {
    uint8_t *had = &r->v.match[id];
    if (*had >= match) return RV_OK;
    RV_TRY(take_numbers(r, numbers, r->table + id * r->width));
    if (*had == LOWERED) r->out->lowered--;
    if (match == EXACT) r->out->exact++;
    if (match == LOWERED) r->out->lowered++;
    *had = match;
    return RV_OK;
}

static rv_status take_vector(reading *r, const char *word, size_t len, const char *numbers) {
    const int32_t id = find_exact(&r->v, word, len), form = rv__intern_find(&r->v.lower, word, len);
    RV_TRY(take_numbers(r, numbers, NULL));
    if (id >= 0) RV_TRY(give(r, numbers, id, EXACT));
    for (int32_t i = form < 0 ? -1 : r->v.head[form]; i >= 0; i = r->v.next[i])
        RV_TRY(give(r, numbers, i + r->v.tok->specials, LOWERED));
    return RV_OK;
}

static rv_status wrong_width(const reading *r, int64_t n) {
    return rv_error(RV_EDATA,
                    "%s:%lld: %lld numbers, where %lld are wanted: set the width of the embedding to that of the "
                    "vectors, or get the file again if it is damaged",
                    r->l.path, r->l.number, (long long)n, (long long)r->width);
}

/* Whether it is word2vec's first line, "count width". */
static bool is_header(const reading *r, const char *s, long long *count, long long *width) {
    int end = 0;
    if (r->l.number != 1 || strspn(s, "0123456789 \t") != strlen(s)) return false;
    return sscanf(s, "%18lld %18lld%n", count, width, &end) == 2 && !s[end];
}

static rv_status take_line(reading *r, char *s, size_t len) {
    const size_t mark = r->l.number == 1 ? rv_text_mark(s, len) : 0;
    const char *numbers, *before;
    s += mark, len -= mark;
    const int64_t n = fields(s, len, r->width, &numbers, &before);
    if (!n) return RV_OK;
    r->out->lines++;
    const size_t first = field_length(s);
    const bool no_word = n == r->width && numeric(s + strspn(s, " \t"), field_length(s + strspn(s, " \t")));
    if (n < r->width || (n == r->width && !(no_word && !first))) return wrong_width(r, n - 1);
    /* Behind a word with blanks, as some files have them, no number is too many. */
    if (n > r->width + 1 && numeric(before, field_length(before))) return wrong_width(r, n - 1);
    if (n == r->width + 1 && first && rv_utf8_check(s, first) < 0) return take_vector(r, s, first, numbers);
    r->out->skipped++;
    return take_numbers(r, numbers, NULL);
}

static rv_status read_all(reading *r) {
    char *s;
    size_t len;
    long long count = -1, width;
    RV_TRY(next_line(&r->l, &s, &len));
    if (s && is_header(r, s, &count, &width)) {
        if (width != r->width) return wrong_width(r, width);
        RV_TRY(next_line(&r->l, &s, &len));
    } else {
        count = -1;
    }
    for (; s;) {
        RV_TRY(take_line(r, s, len));
        RV_TRY(next_line(&r->l, &s, &len));
    }
    if (!r->out->lines) return rv_error(RV_EDATA, "%s: no vectors in it; give another file", r->l.path);
    if (count >= 0 && count != r->out->lines)
        rv_warn("%s: %lld vectors, but its first line says %lld: is it whole?", r->l.path, (long long)r->out->lines,
                count);
    return RV_OK;
}

rv_status rv_vectors_read(const char *path, rv_tokenizer *words, int64_t width, rv_real *table, rv_vectors_found *out) {
    *out = (rv_vectors_found){0};
    if (words->spec.type != RV_TOKENS_WORD)
        return rv_error(RV_EUSAGE, "%s: vectors of words, but the tokenizer is of type %s; take one of type word", path,
                        rv_tokenizer_type_name(words->spec.type));
    if (width < 1) return rv_error(RV_EUSAGE, "vectors of %lld numbers: it must be at least 1", (long long)width);
    reading r = {.width = width, .table = table, .out = out};
    rv_status status = open_lines(path, &r.l);
    if (status == RV_OK) status = vocabulary_make(words, &r.v);
    if (status == RV_OK) status = read_all(&r);
    vocabulary_free(&r.v);
    close_lines(&r.l);
    return status;
}

/* Text as HTML and SVG want it, and the room it takes. */
#define _GNU_SOURCE /* vasprintf */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "report/chart_private.h"

locale_t rv__plain_begin(void) {
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    return plain ? uselocale(plain) : (locale_t)0;
}

void rv__plain_end(locale_t old) {
    if (!old) return;
    freelocale(uselocale(old));
}

/* The next code point and its bytes, at least 1. */
static int next(const char *s, int32_t *cp) {
    utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)strnlen(s, 4), cp);
    if (k > 0) return (int)k;
    *cp = 0xfffd;
    return 1;
}

void rv_page_char(FILE *f, int32_t cp) {
    static const struct {
        int32_t cp;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (entities[i].cp == cp) {
            fputs(entities[i].entity, f);
            return;
        }
    utf8proc_uint8_t bytes[4];
    if ((cp < 0x20 && cp != '\n' && cp != '\t') || (cp >= 0x7f && cp < 0xa0) || (cp & 0xfffe) == 0xfffe) cp = 0xfffd;
    fwrite(bytes, 1, (size_t)utf8proc_encode_char(cp, bytes), f);
}

/* Of a wide sans-serif (as common Linux desktops have it), in em: text of a narrower one only leaves a little room. */
static double em(int32_t cp) {
    if (cp < 0x80) {
        if (strchr("ijl.,:;|'!I ", cp)) return 0.34;
        if (strchr("ftr()[]/\\-\"", cp)) return 0.42;
        if (strchr("mwMW%@", cp)) return 0.98;
        if (cp == '+' || cp == '<' || cp == '>' || cp == '=' || cp == '~') return 0.84;
        return cp >= 'A' && cp <= 'Z' ? 0.73 : 0.63;
    }
    if (cp >= 0x2070 && cp <= 0x209f) return 0.42; /* superscripts */
    return 0.66 * utf8proc_charwidth(cp);
}

static void put_bytes(FILE *f, const char *text, size_t n) {
    int32_t cp;
    for (const char *end = text + n; text < end;) {
        text += next(text, &cp);
        rv_page_char(f, cp);
    }
}

double rv__text_width(const char *text) {
    double w = 0;
    int32_t cp;
    while (*text) {
        text += next(text, &cp);
        w += em(cp);
    }
    return w * RV__FONT;
}

double rv__inside(double width, const char *text, double middle) {
    const double half = fmin(rv__text_width(text), width) / 2;
    return fmax(fmin(middle, width - half), half);
}

void rv__text(FILE *f, const char *text, double width) {
    const bool cut = width > 0 && rv__text_width(text) > width;
    double w = em(0x2026) * RV__FONT;
    int32_t cp;
    while (*text) {
        text += next(text, &cp);
        w += em(cp) * RV__FONT;
        if (cut && w > width) {
            rv_page_char(f, 0x2026);
            return;
        }
        rv_page_char(f, cp);
    }
}

size_t rv__text_line(const char *text, double width) {
    size_t best = 0, i = 0;
    double w = 0;
    int32_t cp;
    while (text[i]) {
        const int k = next(text + i, &cp);
        if (cp == ' ') best = i;
        w += em(cp) * RV__FONT;
        if (w > width && best) return best;
        i += (size_t)k;
    }
    return i;
}

int rv__paragraph(FILE *f, const char *kind, double x, double y, double width, const char *text) {
    const double larger = strcmp(kind, "head") ? 1 : 1.25; /* bold, 15 px */
    int lines = 0;
    for (; text && *text; lines++) {
        const size_t n = rv__text_line(text, width / larger);
        if (f) {
            fprintf(f, "<text class='%s' x='%.1f' y='%.1f'>", kind, x, y + lines * (double)RV__LINE * larger);
            put_bytes(f, text, n);
            fputs("</text>\n", f);
        }
        text += n;
        while (*text == ' ') text++;
    }
    return lines;
}

void rv_page_text(FILE *f, const char *text) { rv__text(f, text, 0); }

void rv_page_textf(FILE *f, const char *format, ...) {
    const locale_t old = rv__plain_begin();
    va_list args;
    va_start(args, format);
    char *text = NULL;
    const int n = vasprintf(&text, format, args);
    va_end(args);
    rv__plain_end(old);
    if (n < 0) {
        fputs("(no memory for this text)", f);
        return;
    }
    rv_page_text(f, text);
    free(text);
}

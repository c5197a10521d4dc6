/* Normal forms with lower case, and beginnings of characters, for every code point there is. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "data/text.h"

enum { CODE_POINTS = 0x110000 };

/* Returns the bytes of code point `cp` in out, 0 for a surrogate. */
static size_t encode(int32_t cp, char out[5]) {
    size_t n = cp >= 0xd800 && cp < 0xe000 ? 0 : (size_t)utf8proc_encode_char(cp, (utf8proc_uint8_t *)out);
    out[n] = 0;
    return n;
}

static char *lowered(const char *s, size_t len, rv_normal_form form) {
    rv_text t;
    cr_assert_eq(rv_text_normalise(s, len, form, true, &t), RV_OK);
    cr_assert_eq(strlen(t.bytes), t.len);
    return t.bytes;
}

Test(text, lower_case_and_form_by_hand) {
    static const struct {
        rv_normal_form form;
        const char *from, *to;
    } rows[] = {
        {RV_NORMAL_NFKC, "A\u2122 \u21165 \u2103", "atm no5 \u00b0c"}, /* capitals that the form brings */
        {RV_NORMAL_NFKC, "\ufb01 \u33c7 \u20a8", "fi co. rs"},
        {RV_NORMAL_NFC, "\u0130", "i"}, /* capital I with dot above, in its two spellings */
        {RV_NORMAL_NFC, "I\u0307", "i"},
        {RV_NORMAL_NFC, "E\u0301\u00c9", "\u00e9\u00e9"},
        {RV_NORMAL_NONE, "E\u0301\u2116", "e\u0301\u2116"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = lowered(rows[i].from, strlen(rows[i].from), rows[i].form);
        cr_assert_str_eq(got, rows[i].to, "row %zu: '%s'", i, got);
        free(got);
    }
}

/* Once is enough, and canonically equal spellings become one. */
Test(text, lower_case_is_stable_for_every_code_point) {
    for (int form = RV_NORMAL_NONE; form <= RV_NORMAL_NFKC; form++)
        for (int32_t cp = 1; cp < CODE_POINTS; cp++) {
            char s[5];
            size_t n = encode(cp, s);
            if (!n) continue;
            char *once = lowered(s, n, (rv_normal_form)form),
                 *twice = lowered(once, strlen(once), (rv_normal_form)form);
            cr_assert_str_eq(once, twice, "U+%04X, form %d", (unsigned)cp, form);
            if (form != RV_NORMAL_NONE) {
                utf8proc_uint8_t *apart = utf8proc_NFD((utf8proc_uint8_t *)s);
                char *other = lowered((char *)apart, strlen((char *)apart), (rv_normal_form)form);
                cr_assert_str_eq(once, other, "U+%04X and its decomposition, form %d", (unsigned)cp, form);
                free(other);
                free(apart);
            }
            free(once);
            free(twice);
        }
}

/* What ends a line, and what is left in it. */
Test(text, lines_and_their_ends) {
    static const struct {
        const char *text;
        size_t len, whole;
    } rows[] = {
        {"", 0, 0},     {"a", 1, 1},   {"a\nb", 1, 2}, {"a\r\nb", 1, 3},   {"a\r\r\nb", 1, 4}, {"\n", 0, 1},
        {"\r\n", 0, 2}, {"a\r", 1, 2}, {"\r", 0, 1},   {"a\rb\r\n", 3, 5}, {"a\rb", 3, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t whole, len = rv_text_line(rows[i].text, strlen(rows[i].text), &whole);
        cr_expect(len == rows[i].len && whole == rows[i].whole, "row %zu: %zu of %zu", i, len, whole);
    }
    static const struct {
        const char *from, *to;
        int64_t changed;
    } texts[] = {
        {"a\nb\n", "a\nb\n", 0},           {"", "", 0},
        {"a\r\nb\n\r\nc", "a\nb\n\nc", 2}, {"a\r", "a\n", 1},
        {"a\rb\n", "a\rb\n", 0},           {"a\r\r\nb\rc\r", "a\nb\rc\n", 2},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rv_text t = {strdup(texts[i].from), strlen(texts[i].from)};
        cr_expect_eq(rv_text_unify_line_ends(&t), texts[i].changed, "text %zu", i);
        cr_expect_str_eq(t.bytes, texts[i].to);
        cr_expect_eq(t.len, strlen(texts[i].to));
        cr_expect_eq(rv_text_unify_line_ends(&t), 0, "text %zu: once is enough", i);
        rv_text_free(&t);
    }
    static const char *const blank[] = {"", " ", " \t", "\u00a0", "\u3000 \u2003\r"}, *const visible[] = {
                                                                                          "a", " .", "\u200b", "\xff"};
    for (size_t i = 0; i < sizeof blank / sizeof *blank; i++)
        cr_expect(rv_text_is_blank(blank[i], strlen(blank[i])), "%zu", i);
    for (size_t i = 0; i < sizeof visible / sizeof *visible; i++)
        cr_expect(!rv_text_is_blank(visible[i], strlen(visible[i])), "%zu", i);
    cr_expect(rv_text_mark("\ufeffa", 4) == 3 && rv_text_mark("a\ufeff", 4) == 0 && rv_text_mark("\ufeff", 2) == 0);
}

/* Every cut of every character is a beginning, and no more; what UTF-8 excludes is none. */
Test(text, beginnings_of_characters) {
    for (int32_t cp = 1; cp < CODE_POINTS; cp++) {
        char s[5];
        size_t n = encode(cp, s);
        for (size_t k = 1; k < n; k++) cr_assert(rv_utf8_is_prefix(s, k), "U+%04X, %zu bytes", (unsigned)cp, k);
        cr_assert_not(rv_utf8_is_prefix(s, n));
    }
    static const char *const never[] = {"\x80",     "\xc0",      "\xc1",     "\xf5",     "\xff",
                                        "\xe0\x80", "\xe0\x9f",  "\xed\xa0", "\xf0\x8f", "\xf4\x90",
                                        "\xc3(",    "\xe2\x82(", "\xe2("};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        cr_assert_not(rv_utf8_is_prefix(never[i], strlen(never[i])), "row %zu", i);
    cr_assert_not(rv_utf8_is_prefix("", 0));
}

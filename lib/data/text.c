#include "data/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utf8proc.h>
#include <zlib.h>

void rv_text_free(rv_text *t) {
    free(t->bytes);
    *t = (rv_text){0};
}

int rv_utf8_next(const char *s, size_t len, int32_t *cp) {
    if (len && (unsigned char)*s < 0x80) {
        *cp = *s;
        return 1;
    }
    utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s, len < 4 ? (utf8proc_ssize_t)len : 4, cp);
    return k > 0 ? (int)k : 0;
}

int64_t rv_utf8_check(const char *s, size_t len) {
    int32_t cp;
    for (size_t i = 0; i < len;) {
        int k = rv_utf8_next(s + i, len - i, &cp);
        if (!k) return (int64_t)i;
        i += (size_t)k;
    }
    return -1;
}

bool rv_utf8_is_prefix(const char *s, size_t len) {
    /* Tried by completing it: continuation bytes of one value suffice, since only the second byte's range depends on the
     * first (E0 and F0 want high ones, ED and F4 low ones). */
    static const char fill[] = {(char)0x80, (char)0xbf};
    int32_t cp;
    if (len == 0 || len > 3 || rv_utf8_next(s, len, &cp)) return false;
    for (size_t total = len + 1; total <= 4; total++)
        for (size_t f = 0; f < sizeof fill; f++) {
            char whole[4];
            memset(whole, fill[f], sizeof whole);
            memcpy(whole, s, len);
            if (rv_utf8_next(whole, total, &cp) == (int)total) return true;
        }
    return false;
}

static size_t step(const char *s, size_t len) {
    int32_t cp;
    int k = rv_utf8_next(s, len, &cp);
    return k ? (size_t)k : 1;
}

int64_t rv_utf8_count(const char *s, size_t len) {
    int64_t n = 0;
    for (size_t i = 0; i < len; n++) i += step(s + i, len - i);
    return n;
}

size_t rv_utf8_offset(const char *s, size_t len, int64_t n) {
    size_t i = 0;
    while (n-- > 0 && i < len) i += step(s + i, len - i);
    return i;
}

rv_char_class rv_char_classify(int32_t cp) {
    if (cp < 0x80) {
        if (cp == ' ' || (cp >= '\t' && cp <= '\r')) return RV_CHAR_SPACE;
        if ((cp | 32) >= 'a' && (cp | 32) <= 'z') return RV_CHAR_LETTER;
        return cp >= '0' && cp <= '9' ? RV_CHAR_NUMBER : RV_CHAR_OTHER;
    }
    utf8proc_category_t c = utf8proc_category(cp);
    if (cp == 0x85 || (c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP)) return RV_CHAR_SPACE;
    if (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_ME) return RV_CHAR_LETTER;
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO ? RV_CHAR_NUMBER : RV_CHAR_OTHER;
}

/* The rest of `f`, growing by doubling: a packed file's length is not known before. */
static rv_status read_all(gzFile f, const char *path, rv_text *out) {
    size_t cap = 1 << 16;
    for (;;) {
        char *bytes = realloc(out->bytes, cap + 1);
        if (!bytes) return rv_error(RV_ENOMEM, "%s: no memory for %zu bytes", path, cap);
        out->bytes = bytes;
        while (out->len < cap) {
            size_t want = cap - out->len < (1 << 30) ? cap - out->len : 1 << 30;
            int got = gzread(f, bytes + out->len, (unsigned)want);
            if (got < 0) {
                int code;
                const char *why = gzerror(f, &code);
                return rv_error(RV_EDATA, "%s: cannot read: %s", path, code == Z_ERRNO ? strerror(errno) : why);
            }
            out->len += (size_t)got;
            if (got == 0) {
                int code; /* a gzip stream that ends early reads as a short file unless asked */
                const char *why = gzerror(f, &code);
                if (code != Z_OK) return rv_error(RV_EDATA, "%s: damaged gzip file after %zu bytes of text: %s; get it again", path, out->len, why);
                bytes[out->len] = 0;
                return RV_OK;
            }
        }
        if (cap >= RV_TEXT_MAX) return rv_error(RV_EDATA, "%s: more than %zu bytes of text; split the file", path, RV_TEXT_MAX);
        cap *= 2;
    }
}

rv_status rv_text_load(const char *path, rv_text *out) {
    *out = (rv_text){0};
    struct stat st;
    if (stat(path, &st)) return rv_error(RV_EDATA, "%s: cannot open: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return rv_error(RV_EDATA, "%s: is a folder; name a text file", path);
    gzFile f = gzopen(path, "rb");
    if (!f) return rv_error(RV_EDATA, "%s: cannot open: %s", path, strerror(errno ? errno : ENOMEM));
    gzbuffer(f, 1 << 17);
    rv_status status = read_all(f, path, out);
    gzclose_r(f);
    if (status == RV_OK) {
        int64_t bad = rv_utf8_check(out->bytes, out->len);
        if (bad >= 0) {
            int64_t line = 1;
            for (int64_t i = 0; i < bad; i++) line += out->bytes[i] == '\n';
            status = rv_error(RV_EDATA, "%s:%lld: byte 0x%02x at offset %lld is not valid UTF-8; convert the file (iconv -f ENCODING -t UTF-8)", path,
                              (long long)line, (unsigned char)out->bytes[bad], (long long)bad);
        }
    }
    if (status == RV_OK && !strncmp(out->bytes, "\xef\xbb\xbf", 3)) { /* a byte order mark is no text */
        out->len -= 3;
        memmove(out->bytes, out->bytes + 3, out->len + 1);
    }
    if (status != RV_OK) rv_text_free(out);
    return status;
}

static utf8proc_int32_t lower(utf8proc_int32_t cp, void *unused) { return utf8proc_tolower(cp); }

/* A valid run in its normal form, lower-cased: negative where memory is short. The form comes first, so that equal texts stay
 * equal however they were spelt (capital I with a dot above); lower-casing can undo it and the compatibility forms can bring
 * new capitals (the number sign gives No), hence once more until nothing changes. */
static utf8proc_ssize_t map_run(const char *s, size_t len, int options, bool lowercase, utf8proc_uint8_t **out) {
    utf8proc_uint8_t *now = NULL, *next = NULL;
    utf8proc_ssize_t n = utf8proc_map_custom((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &now, options, NULL, NULL);
    for (bool changes = lowercase; changes && n >= 0; now = next) {
        utf8proc_ssize_t before = n;
        n = utf8proc_map_custom(now, before, &next, options, lower, NULL);
        changes = n >= 0 && (n != before || memcmp(now, next, (size_t)n) != 0);
        free(now);
    }
    *out = now;
    return n;
}

rv_status rv_text_normalise(const char *s, size_t len, rv_normal_form form, bool lowercase, rv_text *out) {
    *out = (rv_text){0};
    int options = form == RV_NORMAL_NFC    ? UTF8PROC_STABLE | UTF8PROC_COMPOSE
                  : form == RV_NORMAL_NFKC ? UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT
                                           : 0;
    /* Run by run: a maximal valid run, then the byte that ended it, as it is. */
    for (size_t i = 0; i < len || !out->bytes;) {
        int64_t bad = rv_utf8_check(s + i, len - i);
        size_t run = bad < 0 ? len - i : (size_t)bad;
        utf8proc_uint8_t *mapped = NULL;
        utf8proc_ssize_t n = map_run(s + i, run, options, lowercase, &mapped);
        char *bytes = n < 0 ? NULL : realloc(out->bytes, out->len + (size_t)n + 2);
        if (!bytes) {
            free(mapped);
            rv_text_free(out);
            return rv_error(RV_ENOMEM, "no memory to normalise a text of %zu bytes", len);
        }
        out->bytes = bytes;
        memcpy(bytes + out->len, mapped, (size_t)n);
        free(mapped);
        out->len += (size_t)n;
        i += run;
        if (i < len) bytes[out->len++] = s[i++];
        bytes[out->len] = 0;
    }
    return RV_OK;
}

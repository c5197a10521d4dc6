#include "data/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <utf8proc.h>
#include <zlib.h>

#include "base/log.h"

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
    /* Tried by completing it: continuation bytes of one value suffice, since only the second byte's range depends on
     * the first (E0 and F0 want high ones, ED and F4 low ones). */
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
                if (code != Z_OK)
                    return rv_error(RV_EDATA, "%s: damaged gzip file after %zu bytes of text: %s; get it again", path,
                                    out->len, why);
                bytes[out->len] = 0;
                return RV_OK;
            }
        }
        if (cap >= RV_TEXT_MAX)
            return rv_error(RV_EDATA, "%s: more than %zu bytes of text; split the file", path, RV_TEXT_MAX);
        cap *= 2;
    }
}

/* N of /dev/fd/N, 0 of /dev/stdin; -1 of any other path. */
static int descriptor_of(const char *path) {
    int fd = -1, end = 0;
    if (!strcmp(path, "/dev/stdin")) return 0;
    if (sscanf(path, "/dev/fd/%d%n", &fd, &end) != 1 && sscanf(path, "/proc/self/fd/%d%n", &fd, &end) != 1) return -1;
    return path[end] ? -1 : fd;
}

/* Until there is something to read. A FIFO that nobody has opened to write is no end: its text may still come. */
static void wait_for_text(const char *path, int fd) {
    enum { PATIENCE_MS = 2000 };
    struct pollfd p = {fd, POLLIN, 0};
    if (poll(&p, 1, PATIENCE_MS) == 0)
        rv_info("%s: waiting for text that another program is to write; end it with Ctrl-C", path);
    while (poll(&p, 1, -1) < 0 && errno == EINTR) continue;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static rv_status open_text(const char *path, int *fd) {
    struct stat st;
    int own = descriptor_of(path);
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not make us wait in here */
    if (*fd < 0 && errno == ENXIO && own >= 0) *fd = fcntl(own, F_DUPFD_CLOEXEC, 0); /* the only way to a socket */
    if (*fd < 0 && errno == ENOENT && own >= 0)
        return rv_error(RV_EDATA,
                        "%s: was a pipe of a command that has ended; keep the text in a file, or give it again", path);
    if (*fd < 0 && errno == ENXIO) return rv_error(RV_EDATA, "%s: is a socket; name a text file or a pipe", path);
    if (*fd < 0 || fstat(*fd, &st)) return rv_error(RV_EDATA, "%s: cannot open: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode)) return RV_OK;
    if (S_ISDIR(st.st_mode)) return rv_error(RV_EDATA, "%s: is a folder; name a text file", path);
    bool nothing = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3); /* /dev/null */
    if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode) && !nothing && !isatty(*fd))
        return rv_error(RV_EDATA, "%s: is a device; name a text file or a pipe", path);
    wait_for_text(path, *fd);
    return RV_OK;
}

rv_status rv_text_load(const char *path, rv_text *out) {
    *out = (rv_text){0};
    int fd;
    rv_status opened = open_text(path, &fd);
    gzFile f = opened == RV_OK ? gzdopen(fd, "rb") : NULL;
    if (!f && fd >= 0) close(fd);
    if (opened != RV_OK) return opened;
    if (!f) return rv_error(RV_ENOMEM, "%s: no memory to read it", path);
    gzbuffer(f, 1 << 17);
    rv_status status = read_all(f, path, out);
    gzclose_r(f);
    if (status == RV_OK) {
        int64_t bad = rv_utf8_check(out->bytes, out->len);
        if (bad >= 0) {
            int64_t line = 1;
            for (int64_t i = 0; i < bad; i++) line += out->bytes[i] == '\n';
            status = rv_error(
                RV_EDATA,
                "%s:%lld: byte 0x%02x at offset %lld is not valid UTF-8; convert the file (iconv -f ENCODING -t UTF-8)",
                path, (long long)line, (unsigned char)out->bytes[bad], (long long)bad);
        }
    }
    if (status == RV_OK) {
        size_t mark = rv_text_mark(out->bytes, out->len);
        out->len -= mark;
        if (mark) memmove(out->bytes, out->bytes + mark, out->len + 1);
    }
    if (status != RV_OK) rv_text_free(out);
    return status;
}

/* Not so a pipe, or whatever descriptor N will be next time. */
static bool lasts(const char *path) {
    struct stat st;
    return descriptor_of(path) < 0 && (stat(path, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

rv_status rv_text_load_data(const char *path, int n, const char *const *before, rv_text *out) {
    *out = (rv_text){0};
    const bool once = !lasts(path);
    for (int i = 0; once && i < n; i++)
        if (before[i] && !strcmp(before[i], path))
            return rv_error(RV_EDATA,
                            "%s: is named for two parts of the data, but gives its text once; keep it in a file", path);
    RV_TRY(rv_text_load(path, out));
    if (once)
        rv_warn(
            "%s gives its text once: to resume or measure the run, give it the same text again, or keep it in a file",
            path);
    size_t whole;
    if (!memchr(out->bytes, '\n', out->len) && memchr(out->bytes, '\r', rv_text_line(out->bytes, out->len, &whole)))
        rv_warn("%s is one line, with \\r in it: if lines end there, as an old Mac's did, convert it (tr '\\r' '\\n')",
                path);
    return RV_OK;
}

/* ---- lines ---- */

size_t rv_text_mark(const char *s, size_t len) { return len >= 3 && !memcmp(s, "\xef\xbb\xbf", 3) ? 3 : 0; }

size_t rv_text_line(const char *s, size_t len, size_t *whole) {
    const char *end = len ? memchr(s, '\n', len) : NULL;
    size_t n = end ? (size_t)(end - s) : len;
    *whole = n + (end != NULL);
    while (n && s[n - 1] == '\r') n--;
    return n;
}

int64_t rv_text_unify_line_ends(rv_text *t) {
    int64_t changed = 0;
    if (!t->len || !memchr(t->bytes, '\r', t->len)) return 0;
    size_t to = 0;
    for (size_t at = 0, whole; at < t->len; at += whole) {
        size_t n = rv_text_line(t->bytes + at, t->len - at, &whole);
        const bool ends = whole > n;
        changed += ends && t->bytes[at + n] == '\r';
        memmove(t->bytes + to, t->bytes + at, n);
        to += n;
        if (ends) t->bytes[to++] = '\n';
    }
    t->bytes[t->len = to] = 0;
    return changed;
}

bool rv_text_is_blank(const char *s, size_t len) {
    int32_t cp;
    for (size_t i = 0, k; i < len; i += k) {
        k = (size_t)rv_utf8_next(s + i, len - i, &cp);
        if (!k || rv_char_classify(cp) != RV_CHAR_SPACE) return false;
    }
    return true;
}

static utf8proc_int32_t lower(utf8proc_int32_t cp, void *unused) { return utf8proc_tolower(cp); }

/* A valid run in its normal form, lower-cased: negative where memory is short. The form comes first, so that equal
 * texts stay equal however they were spelt (capital I with a dot above); lower-casing can undo it and the compatibility
 * forms can bring new capitals (the number sign gives No), hence once more until nothing changes. */
static utf8proc_ssize_t map_run(const char *s, size_t len, int options, bool lowercase, utf8proc_uint8_t **out) {
    utf8proc_uint8_t *now = NULL, *next = NULL;
    utf8proc_ssize_t n =
        utf8proc_map_custom((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &now, options, NULL, NULL);
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

#define _GNU_SOURCE
#include "io/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/file.h"

struct rv_metrics {
    rv__file f; /* f.error is cleared after a failed line: the next one is tried again */
    char *path, *line;
    size_t used, room;
    bool lost;   /* the line under way does not fit in memory */
    bool warned; /* of a disk error */
};

static const char remedy[] = " (free some space, or choose another checkpoint.dir)";

/* A line as rv_metrics_end writes it: its step, or -1 for a torn one. */
static int64_t line_step(const char *line, size_t n) {
    static const char head[] = "{\"step\":";
    size_t k = sizeof head - 1;
    if (n < k + 3 || memcmp(line, head, k) || line[n - 2] != '}' || line[n - 1] != '\n' || memchr(line, 0, n))
        return -1;
    char *end;
    int64_t step = strtoll(line + k, &end, 10);
    return end > line + k && *end == ',' ? step : -1;
}

static bool is_kind(const char *line, const char *kind) {
    static const char head[] = ",\"kind\":\"";
    const char *at = strstr(line, head);
    size_t n = strlen(kind);
    return at && !strncmp(at + sizeof head - 1, kind, n) && at[sizeof head - 1 + n] == '"';
}

static rv_status drop_lines(const char *path, int64_t resume_step, const char *redo) {
    FILE *old = fopen(path, "re");
    if (!old && errno == ENOENT) return RV_OK;
    if (!old) return rv_error(RV_EUSAGE, "%s: cannot read: %s", path, strerror(errno));
    char *temporary = NULL, *line = NULL;
    size_t room = 0;
    bool changed = false;
    rv_status st = RV_OK;
    if (asprintf(&temporary, "%s.tmp-%ld", path, (long)getpid()) < 0) {
        fclose(old);
        return rv_error(RV_ENOMEM, "no memory");
    }
    rv__file f;
    rv__file_create(&f, temporary);
    for (ssize_t n; (n = getline(&line, &room, old)) > 0;) {
        int64_t step = line_step(line, (size_t)n);
        if (step >= 0 && step <= resume_step && !(redo && step == resume_step && is_kind(line, redo)))
            rv__file_write(&f, line, (size_t)n);
        else
            changed = true;
    }
    if (ferror(old)) st = rv_error(RV_EUSAGE, "%s: cannot read: %s", path, strerror(errno));
    fclose(old);
    free(line);
    if (st == RV_OK && changed) rv__file_fsync(&f);
    rv__file_close(&f);
    bool replaced = st == RV_OK && changed && !f.error;
    if (replaced) rv__file_rename(&f, path, true);
    if (!replaced || f.error)
        rv__file_remove(temporary);
    else
        rv__file_fsync_dir(&f, path);
    if (st == RV_OK && f.error)
        st = rv_error(RV_EUSAGE, "%s: cannot drop the lines after step %" PRId64 ": %s: %s%s", path, resume_step,
                      f.what, strerror(f.error), remedy);
    free(temporary);
    return st;
}

rv_status rv_metrics_open(const char *path, int64_t resume_step, const char *redo, rv_metrics **out) {
    *out = NULL;
    RV_TRY(drop_lines(path, resume_step, redo));
    rv_metrics *m = calloc(1, sizeof *m);
    if (!m || !(m->path = strdup(path))) {
        free(m);
        return rv_error(RV_ENOMEM, "%s: no memory", path);
    }
    m->f = (rv__file){.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), .path = m->path};
    if (m->f.fd < 0) {
        rv_error(RV_EUSAGE, "%s: cannot write: %s%s", path, strerror(errno), remedy);
        rv_metrics_close(m);
        return RV_EUSAGE;
    }
    *out = m;
    return RV_OK;
}

static void append(rv_metrics *m, const char *p, size_t n) {
    if (m->used + n > m->room) {
        size_t room = 2 * (m->used + n) + 256;
        char *grown = realloc(m->line, room);
        if (!grown) {
            m->lost = true;
            return;
        }
        m->line = grown;
        m->room = room;
    }
    memcpy(m->line + m->used, p, n);
    m->used += n;
}

static void print(rv_metrics *m, const char *fmt, ...) RV_PRINTF(2, 3);
static void print(rv_metrics *m, const char *fmt, ...) {
    char text[64]; /* numbers only */
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    append(m, text, (size_t)n);
}

/* Bytes of the UTF-8 character at s, 0 if it is not one (overlong forms and surrogates are not). */
static size_t utf8_length(const unsigned char *s) {
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0; /* also at the final 0 */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static void quote(rv_metrics *m, const char *text) {
    append(m, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        if (*s == '"' || *s == '\\')
            append(m, "\\", 1), append(m, (const char *)s, 1);
        else if (*s == '\n')
            append(m, "\\n", 2);
        else if (*s < 0x20)
            print(m, "\\u%04x", *s);
        else if (n)
            append(m, (const char *)s, n);
        else
            append(m, "\xef\xbf\xbd", 3);
        s += n ? n : 1;
    }
    append(m, "\"", 1);
}

static void key_of(rv_metrics *m, const char *key) {
    append(m, ",", 1);
    quote(m, key);
    append(m, ":", 1);
}

void rv_metrics_begin(rv_metrics *m, int64_t step, const char *kind) {
    RV_ASSERT(m->used == 0 && step >= 0);
    m->lost = false;
    print(m, "{\"step\":%" PRId64, step);
    rv_metrics_text(m, "kind", kind);
}

void rv_metrics_real(rv_metrics *m, const char *key, double value) {
    key_of(m, key);
    if (isfinite(value))
        print(m, "%.9g", value);
    else
        append(m, "null", 4);
}

void rv_metrics_int(rv_metrics *m, const char *key, int64_t value) {
    key_of(m, key);
    print(m, "%" PRId64, value);
}

void rv_metrics_text(rv_metrics *m, const char *key, const char *value) {
    key_of(m, key);
    quote(m, value);
}

static void report(rv_metrics *m) {
    if (!m->warned)
        rv_warn("%s: %s: %s; lines are lost, the run goes on%s", m->path, m->f.what, strerror(m->f.error), remedy);
    m->warned = true;
    m->f.error = 0;
}

void rv_metrics_end(rv_metrics *m) {
    append(m, "}\n", 2);
    off_t before = lseek(m->f.fd, 0, SEEK_END);
    if (!m->lost) rv__file_write(&m->f, m->line, m->used);
    m->used = 0;
    if (!m->f.error) return;
    if (before >= 0 && ftruncate(m->f.fd, before))
        rv_debug("%s: a torn line stays", m->path); /* the next resume drops it */
    report(m);
}

void rv_metrics_sync(rv_metrics *m) {
    rv__file_fsync(&m->f);
    if (m->f.error) report(m);
}

void rv_metrics_close(rv_metrics *m) {
    if (!m) return;
    rv__file_close(&m->f);
    if (m->f.error) report(m);
    free(m->line);
    free(m->path);
    free(m);
}

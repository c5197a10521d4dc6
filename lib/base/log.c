#define _GNU_SOURCE
#include "base/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct rv_progress {
    char what[64], unit[16], note[160];
    int64_t first, done, total;
    double t0, drawn;
};

static rv_log_level level = RV_LOG_INFO;
static struct rv_progress bar, unseen; /* one at a time is shown; what begins below it is not */
static bool bar_active;
enum { BAR_WIDTH = 24, PLAIN_EVERY_S = 5 };

double rv_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* getrusage also counts the program that started this one, up to its exec. No stdio: this takes no memory itself. */
int64_t rv_peak_memory(void) {
    char text[4096];
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *line = strstr(text, "VmHWM:");
    if (line) return strtoll(line + 6, NULL, 10) * 1024;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_maxrss * 1024;
}

void rv_log_set_level(rv_log_level l) { level = l; }

static bool terminal(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
}

bool rv_log_colour(void) {
    const char *no = getenv("NO_COLOR");
    return terminal() && !(no && *no);
}

static void format_time(double s, char *buf, size_t n) {
    if (s < 0) s = 0;
    long t = (long)(s + 0.5);
    if (t >= 3600)
        snprintf(buf, n, "%ldh%02ldm", t / 3600, t / 60 % 60);
    else if (t >= 60)
        snprintf(buf, n, "%ldm%02lds", t / 60, t % 60);
    else
        snprintf(buf, n, "%lds", t);
}

static void draw(void) {
    double now = rv_now(), spent = now - bar.t0;
    int64_t here = bar.done - bar.first, left = bar.total - bar.done;
    char eta[32] = "?", note[sizeof bar.note + 2] = "";
    if (*bar.note) snprintf(note, sizeof note, "%s, ", bar.note);
    if (here > 0) format_time(spent / (double)here * (double)left, eta, sizeof eta);
    double share = bar.total > 0 ? (double)bar.done / (double)bar.total : 0;
    if (terminal()) {
        /* A line that wraps cannot be drawn over: the bar gives way first, then the end of the text. */
        struct winsize size;
        int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
        char text[320], cells[BAR_WIDTH * 3 + 1] = "";
        snprintf(text, sizeof text, "%lld/%lld %s, %s%s left", (long long)bar.done, (long long)bar.total, bar.unit,
                 note, eta);
        int room = columns - 1 - (int)strlen(bar.what) - 1, width = room - 1 - (int)strlen(text);
        if (width > BAR_WIDTH) width = BAR_WIDTH;
        if (width < 0) width = 0;
        if (room < 0) room = 0;
        int full = (int)(share * width);
        for (int i = 0; i < width; i++) strcat(cells, i < full ? "\u2588" : "\u2591");
        fprintf(stderr, "\r\033[K%s %s%s%s%s%.*s", bar.what, rv_log_colour() ? "\033[36m" : "", cells,
                rv_log_colour() ? "\033[0m" : "", width ? " " : "", room, text);
    } else {
        fprintf(stderr, "%s %lld/%lld %s, %s%s left\n", bar.what, (long long)bar.done, (long long)bar.total, bar.unit,
                note, eta);
    }
    fflush(stderr);
    bar.drawn = now;
}

static void say(rv_log_level l, const char *prefix, const char *colour, const char *fmt, va_list ap) {
    if (l > level) return;
    if (bar_active && terminal()) fputs("\r\033[K", stderr);
    bool c = colour && rv_log_colour();
    fprintf(stderr, "%s%s%s", c ? colour : "", prefix, c ? "\033[0m" : "");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    if (bar_active && terminal()) draw();
}

#define SAY(name, lvl, prefix, colour)                                                                                 \
    void name(const char *fmt, ...) {                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, fmt);                                                                                             \
        say(lvl, prefix, colour, fmt, ap);                                                                             \
        va_end(ap);                                                                                                    \
    }
SAY(rv_info, RV_LOG_INFO, "", NULL)
SAY(rv_warn, RV_LOG_WARN, "warning: ", "\033[33m")
SAY(rv_debug, RV_LOG_DEBUG, "debug: ", NULL)

rv_progress *rv_progress_start(const char *what, const char *unit, int64_t done, int64_t total) {
    if (bar_active) return &unseen;
    bar = (struct rv_progress){.first = done, .done = done, .total = total, .t0 = rv_now()};
    snprintf(bar.what, sizeof bar.what, "%s", what);
    snprintf(bar.unit, sizeof bar.unit, "%s", unit);
    bar.drawn = bar.t0;
    bar_active = level >= RV_LOG_INFO;
    return &bar;
}

void rv_progress_update(rv_progress *p, int64_t done, const char *fmt, ...) {
    p->done = done;
    if (!bar_active || p == &unseen) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->note, sizeof p->note, fmt, ap); /* also when it is not drawn now: the next message draws it */
    va_end(ap);
    if (rv_now() - p->drawn >= (terminal() ? 0.1 : PLAIN_EVERY_S)) draw();
}

void rv_progress_finish(rv_progress *p) {
    if (p == &unseen) return;
    if (bar_active && terminal()) fputs("\r\033[K", stderr);
    bar_active = false;
}

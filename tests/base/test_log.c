/* What is said on stderr, at which level, and the progress bar on a terminal and elsewhere. Time stands still until a
 * test moves it: linked with --wrap=clock_gettime. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static double now = 1000;
static bool clock_runs;

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t) {
    if (clock_runs) return __real_clock_gettime(id, t);
    t->tv_sec = (time_t)now;
    t->tv_nsec = (long)((now - (double)t->tv_sec) * 1e9);
    return 0;
}

/* ---- stderr is a pipe, or a terminal, whose other end is read here */

static int reader = -1, terminal = -1, old_stderr;
static char said[1 << 16];

static void listen_at(int writer) {
    old_stderr = dup(STDERR_FILENO);
    dup2(writer, STDERR_FILENO);
    fcntl(reader, F_SETFL, O_NONBLOCK);
}
static void plain(void) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    reader = ends[0];
    listen_at(ends[1]);
    close(ends[1]);
}
static void at_terminal(void) {
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    reader = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(reader >= 0 && grantpt(reader) == 0 && unlockpt(reader) == 0);
    terminal = open(ptsname(reader), O_RDWR | O_NOCTTY);
    cr_assert(terminal >= 0);
    struct termios t;
    cr_assert_eq(tcgetattr(terminal, &t), 0);
    cfmakeraw(&t); /* bytes as they are written */
    cr_assert_eq(tcsetattr(terminal, TCSANOW, &t), 0);
    cr_assert_eq(ioctl(terminal, TIOCSWINSZ, &(struct winsize){.ws_col = 80, .ws_row = 25}), 0);
    listen_at(terminal);
}
static void stop(void) {
    dup2(old_stderr, STDERR_FILENO);
    close(reader);
}

/* What was written since the last call. */
static const char *heard(void) {
    fflush(stderr);
    size_t n = 0;
    for (ssize_t got; n < sizeof said - 1 && (got = read(reader, said + n, sizeof said - 1 - n)) > 0;) n += (size_t)got;
    said[n] = 0;
    return said;
}
static int lines(const char *text) {
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

TestSuite(plain, .init = plain, .fini = stop);
TestSuite(terminal, .init = at_terminal, .fini = stop);

/* ---- lines */

Test(plain, each_level_says_what_is_as_grave) {
    static const struct {
        rv_log_level level;
        bool warns, informs, debugs;
    } want[] = {{RV_LOG_QUIET, false, false, false},
                {RV_LOG_WARN, true, false, false},
                {RV_LOG_INFO, true, true, false},
                {RV_LOG_DEBUG, true, true, true}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        rv_log_set_level(want[i].level);
        rv_warn("number %d", 1);
        cr_expect_eq(strstr(heard(), "number 1\n") != NULL, want[i].warns, "level %zu", i);
        rv_info("number %d", 2);
        cr_expect_eq(strstr(heard(), "number 2\n") != NULL, want[i].informs, "level %zu", i);
        rv_debug("number %d", 3);
        cr_expect_eq(strstr(heard(), "number 3\n") != NULL, want[i].debugs, "level %zu", i);
    }
}

Test(plain, information_is_the_default) {
    rv_info("said");
    rv_debug("not said");
    cr_expect_str_eq(heard(), "said\n");
}

Test(plain, one_line_without_colour) {
    rv_warn("%s is %.1f", "x", 0.5);
    cr_expect_eq(lines(heard()), 1);
    cr_expect(strstr(said, "x is 0.5") && !strchr(said, '\033'), "%s", said);
    cr_expect(!rv_log_colour());
}

Test(terminal, colour_is_for_those_who_want_it) {
    cr_expect(rv_log_colour());
    rv_warn("look");
    cr_expect(strchr(heard(), '\033') && strstr(said, "look"));
    setenv("NO_COLOR", "", 1); /* no-color.org: when it is not empty */
    cr_expect(rv_log_colour());
    setenv("NO_COLOR", "1", 1);
    cr_expect(!rv_log_colour());
    rv_warn("look");
    cr_expect(!strchr(heard(), '\033'));
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    cr_expect(!rv_log_colour());
}

/* ---- progress */

Test(plain, progress_is_a_line_every_few_seconds) {
    rv_progress *p = rv_progress_start("training", "step", 0, 1000);
    cr_assert(p);
    int before = 0;
    for (int i = 1; i <= 600; i++) { /* a minute */
        now += 0.1;
        rv_progress_update(p, i, "loss %.2f", 2. - i * 1e-3);
        const int more = lines(heard());
        cr_expect_leq(more, 1);
        if (more) cr_expect(strstr(said, "training") && strstr(said, "loss") && !strchr(said, '\r'), "%s", said);
        before += more;
    }
    cr_expect(before >= 60 / 10 && before <= 60 / 3, "%d lines in a minute", before);
    rv_progress_finish(p);
    cr_expect_eq(lines(heard()), 0);
}

Test(plain, progress_tells_how_far_and_how_long) {
    rv_progress *p = rv_progress_start("loading", "MB", 50, 250);
    now += 20;
    rv_progress_update(p, 100, "from %s", "disk"); /* 50 in 20 seconds, 150 are left */
    cr_expect_str_eq(heard(), "loading 100/250 MB, from disk, 1m00s left\n");
    now += 6;
    rv_progress_update(p, 250, "%s", "");
    cr_expect_str_eq(heard(), "loading 250/250 MB, 0s left\n");
    rv_progress_finish(p);
}

Test(plain, progress_that_stands_still_knows_no_end) {
    rv_progress *p = rv_progress_start("waiting", "step", 7, 9);
    now += 30;
    rv_progress_update(p, 7, "%s", "nothing yet");
    cr_expect(strstr(heard(), "waiting 7/9 step, nothing yet, ? left"), "%s", said);
    rv_progress_finish(p);
}

Test(plain, hours) {
    rv_progress *p = rv_progress_start("training", "step", 0, 1000);
    now += 10;
    rv_progress_update(p, 1, "%s", ""); /* 9990 seconds are left */
    cr_expect(strstr(heard(), "2h46m left"), "%s", said);
    rv_progress_finish(p);
}

/* Data that are fetched while models are timed: the bar goes on as if they were not. */
Test(plain, progress_below_another_is_not_shown) {
    rv_progress *p = rv_progress_start("timing", "models", 0, 4);
    now += 10;
    rv_progress_update(p, 1, "%s", "a");
    cr_expect_str_eq(heard(), "timing 1/4 models, a, 30s left\n");
    rv_progress *below = rv_progress_start("fetching", "kB", 0, 9);
    now += 10;
    rv_progress_update(below, 8, "%s", "");
    rv_progress_finish(below);
    cr_expect_eq(lines(heard()), 0);
    rv_progress_update(p, 2, "%s", "b");
    cr_expect_str_eq(heard(), "timing 2/4 models, b, 20s left\n");
    rv_progress_finish(p);
}

/* Messages stand on lines of their own. */
Test(plain, messages_between) {
    rv_progress *p = rv_progress_start("training", "step", 0, 10);
    rv_info("validated");
    cr_expect_str_eq(heard(), "validated\n");
    rv_progress_finish(p);
}

Test(plain, who_wants_silence_sees_no_progress) {
    rv_log_set_level(RV_LOG_WARN);
    rv_progress *p = rv_progress_start("training", "step", 0, 10);
    cr_assert(p, "NULL never");
    now += 100;
    rv_progress_update(p, 5, "%s", "half");
    rv_progress_finish(p);
    cr_expect_str_eq(heard(), "");
}

/* One after the other, not two at a time. */
Test(plain, progress_again) {
    for (int i = 0; i < 3; i++) {
        rv_progress *p = rv_progress_start("part", "step", 0, 2);
        now += 6;
        rv_progress_update(p, 1, "%d", i);
        rv_progress_finish(p);
        cr_expect_eq(lines(heard()), 1);
    }
}

/* Redrawn in place, at most ten times a second, and never wider than the terminal. */
Test(terminal, the_bar_is_redrawn_in_place) {
    rv_progress *p = rv_progress_start("training", "step", 0, 1000);
    int drawn = 0;
    for (int i = 1; i <= 1000; i++) { /* a second */
        now += 1e-3;
        rv_progress_update(p, i, "loss %g", 1.5);
        for (const char *at = heard(); (at = strchr(at, '\r')); at++) drawn++;
        cr_expect_eq(lines(said), 0);
    }
    cr_expect(drawn >= 5 && drawn <= 10, "drawn %d times in a second", drawn);
    rv_progress_finish(p);
    cr_expect_str_eq(heard(), "\r\033[K", "the bar goes");
}

Test(terminal, a_message_clears_the_bar_and_redraws_it) {
    rv_progress *p = rv_progress_start("training", "step", 0, 10);
    now += 1;
    rv_progress_update(p, 5, "%s", "half");
    heard();
    rv_info("validated");
    const char *message = strstr(heard(), "validated\n"), *again = message ? strstr(message, "training") : NULL;
    cr_assert(again, "%s", said);
    cr_expect(!strncmp(said, "\r\033[K", 4), "cleared first");
    cr_expect(!strchr(again, '\n'));
    rv_progress_finish(p);
}

/* Columns that a text takes: escape sequences take none, a character of several bytes one. */
static int columns(const char *s) {
    int n = 0;
    while (*s) {
        if (*s == '\033') {
            while (*s && !strchr("mK", *s)) s++;
            s++;
            continue;
        }
        n += *s != '\r' && ((unsigned char)*s & 0xc0) != 0x80;
        s++;
    }
    return n;
}

Test(terminal, the_bar_fits_the_width) {
    for (unsigned short width = 1; width <= 140; width++) {
        cr_assert_eq(ioctl(terminal, TIOCSWINSZ, &(struct winsize){.ws_col = width, .ws_row = 25}), 0);
        rv_progress *p = rv_progress_start("training", "step", 0, 100000);
        now += 1;
        rv_progress_update(p, 31415, "%s", "loss 1.234, 12.3 k tokens/s");
        const int took = columns(heard());
        cr_expect(width < 10 || took < width, "%d columns of %d: %s", took, width, said);
        cr_expect(width < 100 || strstr(said, "loss 1.234, 12.3 k tokens/s"), "%s", said);
        rv_progress_finish(p);
        heard();
    }
}

/* ---- time and memory */

Test(measure, seconds) {
    clock_runs = true;
    const double start = rv_now();
    const struct timespec pause = {.tv_nsec = 30000000};
    nanosleep(&pause, NULL);
    const double spent = rv_now() - start;
    cr_expect(spent >= 0.03 && spent < 30, "%g", spent);
}

Test(measure, the_peak_of_memory_grows_and_stays) {
    enum { MORE = 64 << 20 };
    const int64_t before = rv_peak_memory();
    cr_expect_gt(before, 1 << 20);
    char *p = malloc(MORE);
    cr_assert(p);
    memset(p, 1, MORE);
    cr_expect_eq(p[MORE / 2], 1);
    const int64_t with = rv_peak_memory();
    cr_expect(with - before > MORE / 2 && with - before < 4 * (int64_t)MORE, "%lld more bytes",
              (long long)(with - before));
    free(p);
    cr_expect_gt(rv_peak_memory(), with - (1 << 20), "give or take what the kernel counts late");
}

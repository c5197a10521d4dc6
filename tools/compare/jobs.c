/* The cells are independent, so as many run at once as there are cores, each on its share of them. What is done is
 * known from the disk alone: a process that was killed leaves nothing behind that another could not go on from, and
 * several may share the work. */
#define _GNU_SOURCE
#include "compare/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tool.h"

enum { JOBS_MAX = 256, ARGS_MAX = 300, POLL_US = 20000, WAIT_US = 300000 };

typedef struct {
    pid_t pid;
    int cell;
    double start;
} job;

typedef struct {
    const rv_comparison *c;
    const rv__jobs_options *options;
    job running[JOBS_MAX];
    int n_running, jobs, threads, total;
    bool *complete; /* by cell */
    int done, code;
    bool stopping;
    rv_progress *bar;
} state;

void rv__cell_title(const rv_cell_info *cell, char *text, size_t size) {
    if (cell->kind == RV_CELL_COST)
        snprintf(text, size, "%s, cost, round %lld", cell->model, (long long)cell->seed);
    else if (cell->kind == RV_CELL_TUNE)
        snprintf(text, size, "%s, trial of learning rate %g%s%s", cell->model, cell->lr, *cell->with ? ", " : "",
                 cell->with);
    else
        snprintf(text, size, "%s%s%s, seed %lld", cell->model, *cell->setting ? ", " : "", cell->setting,
                 (long long)cell->seed);
}

static void log_path(const rv_cell_info *cell, char path[RV_PATH_MAX + 16]) {
    if (cell->kind == RV_CELL_COST)
        snprintf(path, RV_PATH_MAX + 16, "%.*s.log", (int)strlen(cell->path) - 5, cell->path); /* instead of .json */
    else
        snprintf(path, RV_PATH_MAX + 16, "%s/log.txt", cell->path);
}

/* The last line that says what went wrong. */
static void last_error(const char *path, char *text, size_t size) {
    char *line = NULL;
    size_t n = 0;
    FILE *f = fopen(path, "r");
    snprintf(text, size, "it ended without a word");
    while (f && getline(&line, &n, f) > 0)
        if (!strncmp(line, "ravel: ", 7)) snprintf(text, size, "%.*s", (int)strcspn(line + 7, "\n"), line + 7);
    free(line);
    if (f) fclose(f);
}

static rv_status spawn(state *s, int number) {
    rv_cell_info cell = rv_comparison_cell(s->c, number);
    char log[RV_PATH_MAX + 16], folder[RV_PATH_MAX + 16], count[16], threads[16];
    log_path(&cell, log);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(log, '/') - log), log);
    RV_TRY(rv__make_folders(folder));
    snprintf(count, sizeof count, "%d", number);
    snprintf(threads, sizeof threads, "%d", cell.kind == RV_CELL_COST ? 0 : s->threads);
    const char *args[ARGS_MAX] = {"ravel", "compare", s->c->file, "--cell", count, "--threads", threads};
    for (int i = 0, n = 7; i < s->options->n_overrides && n < ARGS_MAX - 1; i++) args[n++] = s->options->overrides[i];
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return rv_error(RV_EDATA, "cannot write %s: %s", log, strerror(errno));
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        /* A signal from the terminal reaches the children through the parent alone, once; without a parent they save
         * and stop. */
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(75);
        dup2(fd, 1);
        dup2(fd, 2);
        execv("/proc/self/exe", (char *const *)args);
        _exit(1);
    }
    close(fd);
    if (pid < 0) return rv_error(RV_EINTERNAL, "cannot start a process: %s", strerror(errno));
    s->running[s->n_running++] = (job){pid, number, rv_now()};
    return RV_OK;
}

static void stop_all(state *s, int sig) {
    if (s->stopping) return;
    s->stopping = true;
    for (int i = 0; i < s->n_running; i++) kill(s->running[i].pid, sig);
}

static bool is_over(rv_cell_state now) {
    return now == RV_CELL_DONE || now == RV_CELL_DIVERGED || now == RV_CELL_NOT_NEEDED;
}

static void note_done(state *s, int number, double seconds) {
    if (s->complete[number]) return;
    s->complete[number] = true;
    s->done++;
    rv_cell_info cell = rv_comparison_cell(s->c, number);
    char title[512];
    rv__cell_title(&cell, title, sizeof title);
    const char *how = rv_cell_look(s->c, number, NULL, NULL) == RV_CELL_DIVERGED ? "diverged" : "done";
    rv_progress_update(s->bar, s->done, "%s", title); /* before the message, which draws the bar below it */
    if (seconds >= 0) rv_info("cell %d of %d %s in %.1f s: %s", number, s->total, how, seconds, title);
}

static void fail(state *s, const job *j, int status) {
    rv_cell_info cell = rv_comparison_cell(s->c, j->cell);
    char log[RV_PATH_MAX + 16], why[2048], title[512];
    log_path(&cell, log);
    rv__cell_title(&cell, title, sizeof title);
    if (WIFEXITED(status))
        last_error(log, why, sizeof why);
    else
        snprintf(why, sizeof why, "it was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    rv_warn("cell %d (%s) failed: %s   [%s]", j->cell, title, why, log);
    if (!s->code) s->code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    stop_all(s, SIGTERM);
}

/* Take note of a child that has ended; false if none has. */
static bool reap(state *s) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return false;
    for (int i = 0; i < s->n_running; i++) {
        if (s->running[i].pid != pid) continue;
        job j = s->running[i];
        s->running[i] = s->running[--s->n_running];
        long owner;
        rv_cell_state now = rv_cell_look(s->c, j.cell, NULL, &owner);
        int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        if (is_over(now))
            note_done(s, j.cell, rv_now() - j.start);
        else if (now != RV_CELL_RUNNING && !(s->stopping && (exit_code == 75 || exit_code == 130 || exit_code < 0)))
            fail(s, &j, status);
        break; /* another process was quicker to take the cell: it is looked at again later */
    }
    return true;
}

/* Start what can be started; *waiting: some cell is not complete. */
static rv_status start(state *s, bool *waiting) {
    *waiting = false;
    bool trained = true; /* all that trains is complete */
    for (int i = 1; i <= s->total; i++) {
        if (s->complete[i]) continue;
        rv_cell_info cell = rv_comparison_cell(s->c, i);
        rv_cell_state now = rv_cell_look(s->c, i, NULL, NULL);
        bool mine = false;
        for (int r = 0; r < s->n_running; r++) mine |= s->running[r].cell == i;
        if (!mine && (is_over(now))) {
            note_done(s, i, -1);
            continue;
        }
        *waiting = true;
        trained &= cell.kind == RV_CELL_COST;
        if (mine || now == RV_CELL_RUNNING || s->n_running >= s->jobs ||
            (cell.kind == RV_CELL_COST && (!trained || s->n_running)) || !rv_cell_ready(s->c, i))
            continue;
        RV_TRY(spawn(s, i));
    }
    return RV_OK;
}

int rv__jobs_run(const rv_comparison *c, const rv__jobs_options *options) {
    state s = {.c = c,
               .options = options,
               .total = rv_comparison_cells(c),
               .jobs = options->jobs < JOBS_MAX ? options->jobs : JOBS_MAX};
    s.complete = calloc((size_t)s.total + 1, sizeof *s.complete);
    if (!s.complete) return rv__tool_finish(rv_error(RV_ENOMEM, "no memory for the cells"));
    s.threads = rv_threads() / s.jobs;
    if (s.threads < 1) s.threads = 1;
    rv_stop_install();
    for (int i = 1; i <= s.total; i++) { /* done before: the time that is left does not count them */
        rv_cell_state now = rv_cell_look(c, i, NULL, NULL);
        s.done += s.complete[i] = is_over(now);
    }
    s.bar = rv_progress_start("comparing", "cells", s.done, s.total);
    bool waiting = true;
    double looked = -1; /* when the cells were, last: that takes system calls for each */
    for (;;) {
        rv_status stop = rv_stop_requested();
        if (stop != RV_OK) stop_all(&s, stop == RV_EINT ? SIGINT : SIGTERM);
        while (reap(&s)) looked = -1;
        if (s.stopping && !s.n_running) break;
        if (!s.stopping && (looked < 0 || rv_now() - looked > WAIT_US * 1e-6)) {
            if (start(&s, &waiting) != RV_OK) {
                s.code = rv__tool_finish(RV_EDATA);
                stop_all(&s, SIGTERM);
            }
            looked = rv_now();
        }
        if (!waiting && !s.n_running) break;
        usleep(s.n_running ? POLL_US : WAIT_US); /* others' cells take their time */
    }
    rv_progress_finish(s.bar);
    free(s.complete);
    rv_status stop = rv_stop_requested();
    if (s.code || stop == RV_OK) return s.code;
    return rv__tool_finish(rv_error(
        stop, "stopped by a signal; %d of %d cells are complete. The same command continues", s.done, s.total));
}

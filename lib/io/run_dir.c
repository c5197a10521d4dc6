#define _GNU_SOURCE
#include "io/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/file.h"

struct rv_run_dir {
    char path[RV_PATH_MAX - 256]; /* so that every name in it fits RV_PATH_MAX */
    int lock;
    bool made_lock;
    size_t there; /* length of the part of path that was there before; of all of it: the folder was */
};

static rv_status make_folder(const char *path) {
    char why[1024];
    if (rv__make_folders(path) == RV_OK) return RV_OK;
    snprintf(why, sizeof why, "%s", rv_error_message());
    return rv_error(RV_EUSAGE, "%s (choose another checkpoint.dir or compare.dir)", why);
}

static long read_pid(int fd) {
    for (int i = 0; i < 50; i++) { /* the owner locks first and then writes */
        char text[32] = "";
        if (pread(fd, text, sizeof text - 1, 0) > 0 && strchr(text, '\n')) return atol(text);
        usleep(10000);
    }
    return 0;
}

/* Whoever only asks who has the lock (rv_run_dir_owner) holds it for some microseconds: that is waited for. */
static int lock_soon(int fd) {
    int failed = -1;
    for (int i = 0; i < 20 && (failed = flock(fd, LOCK_EX | LOCK_NB)) && errno == EWOULDBLOCK; i++) usleep(5000);
    return failed;
}

long rv_run_dir_owner(const char *path) {
    char file[RV_PATH_MAX];
    if (snprintf(file, sizeof file, "%s/run.lock", path) >= (int)sizeof file) return 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    bool taken = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
    long pid = taken ? read_pid(fd) : 0;
    close(fd);
    return taken && pid <= 0 ? -1 : pid;
}

/* Open the lock's file, or make it. Whoever abandons the folder meanwhile takes both away: then they are made again. */
static rv_status open_lock(rv_run_dir *run, const char *path) {
    for (int i = 0; i < 20; i++) {
        RV_TRY(make_folder(run->path));
        run->lock = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        run->made_lock = run->lock >= 0;
        if (run->lock < 0 && errno == EEXIST) run->lock = open(path, O_RDWR | O_CLOEXEC);
        if (run->lock >= 0) return RV_OK;
        if (errno != ENOENT) break;
    }
    return rv_error(RV_EUSAGE, "cannot write in %s: %s (choose another checkpoint.dir)", run->path, strerror(errno));
}

/* What is locked is still the file of that name. */
static bool is_there(int fd, const char *path) {
    struct stat of_fd, of_path;
    return !fstat(fd, &of_fd) && !stat(path, &of_path) && of_fd.st_ino == of_path.st_ino &&
           of_fd.st_dev == of_path.st_dev;
}

static rv_status take_lock(rv_run_dir *run) {
    char path[RV_PATH_MAX], pid[32];
    rv_run_dir_file(run, "run.lock", path);
    RV_TRY(open_lock(run, path));
    int failed = lock_soon(run->lock);
    for (int i = 0; i < 20 && !failed && !is_there(run->lock, path); i++) {
        close(run->lock);
        run->lock = -1;
        RV_TRY(open_lock(run, path));
        failed = lock_soon(run->lock);
    }
    if (failed) {
        if (errno != EWOULDBLOCK) {
            rv_warn("%s: this file system has no locks (%s); do not start a second run in this folder", path,
                    strerror(errno));
            return RV_OK;
        }
        long owner = read_pid(run->lock);
        char who[48] = "";
        if (owner > 0) snprintf(who, sizeof who, " (pid %ld)", owner);
        return rv_error(RV_EUSAGE,
                        "%s: another ravel%s is running in this folder; wait for it, or choose another checkpoint.dir",
                        run->path, who);
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(run->lock, 0) || pwrite(run->lock, pid, (size_t)n, 0) != n) /* the lock holds all the same */
        rv_warn("%s: cannot note the pid: %s", path, strerror(errno));
    return RV_OK;
}

/* Temporaries carry the pid of their writer; one whose writer lives is not ours to remove (`ravel ckpt average`). */
static void remove_stale(const rv_run_dir *run) {
    DIR *d = opendir(run->path);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        const char *mark = NULL; /* the last one: a temporary may be of a temporary */
        for (const char *s = e->d_name; (s = strstr(s, ".tmp-")); s += 5) mark = s + 5;
        if (!mark) continue;
        char *end;
        long pid = strtol(mark, &end, 10);
        if (*end || pid <= 0 || (pid != getpid() && (!kill((pid_t)pid, 0) || errno == EPERM))) continue;
        char path[RV_PATH_MAX];
        rv_run_dir_file(run, e->d_name, path);
        rv_info("removing %s, left by a run that was killed", path);
        rv__file_remove(path);
    }
    closedir(d);
}

bool rv_run_dir_is_comparison(const char *path) {
    char plan[RV_PATH_MAX];
    return snprintf(plan, sizeof plan, "%s/plan.json", path) < (int)sizeof plan && !access(plan, F_OK);
}

enum { MOST = sizeof((rv_run_dir *)0)->path - 1 };

/* Of a folder that is to be made, its nearest parent that is there. */
static void find_parent(const char *path, char part[MOST + 1]) {
    struct stat st;
    snprintf(part, MOST + 1, "%s", path);
    while (stat(part, &st) && errno == ENOENT && strcmp(part, ".") && strcmp(part, "/")) {
        char *slash = strrchr(part, '/');
        if (slash && slash > part)
            *slash = 0;
        else
            snprintf(part, MOST + 1, "%s", slash ? "/" : ".");
    }
}

rv_status rv_run_dir_can_open(const char *path) {
    char part[MOST + 1];
    struct stat st;
    if (!*path || strlen(path) > MOST) return rv_error(RV_EUSAGE, "checkpoint.dir must be 1 to %d bytes long", MOST);
    find_parent(path, part);
    const bool there = !stat(part, &st);
    if (there && !S_ISDIR(st.st_mode))
        errno = ENOTDIR;
    else if (there && !access(part, W_OK | X_OK))
        return RV_OK;
    return rv_error(RV_EUSAGE, "cannot write in %s: %s (choose another checkpoint.dir or compare.dir)", part,
                    strerror(errno));
}

rv_status rv_run_dir_open(const char *path, rv_run_dir **out) {
    *out = NULL;
    RV_TRY(rv_run_dir_can_open(path));
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    rv_run_dir *run = calloc(1, sizeof *run);
    if (!run) return rv_error(RV_ENOMEM, "no memory for a run's folder");
    char part[MOST + 1];
    run->lock = -1;
    memcpy(run->path, path, n);
    find_parent(run->path, part);
    run->there = !strcmp(part, ".") && strcmp(run->path, ".") ? 0 : strlen(part);
    rv_status st = take_lock(run);
    if (st != RV_OK) {
        rv_run_dir_close(run);
        return st;
    }
    remove_stale(run);
    *out = run;
    return RV_OK;
}

void rv_run_dir_close(rv_run_dir *run) {
    if (!run) return;
    if (run->lock >= 0) close(run->lock); /* the file stays: it says whose the folder was */
    free(run);
}

void rv_run_dir_abandon(rv_run_dir *run, const char *const *files) {
    if (!run) return;
    char path[RV_PATH_MAX];
    const bool made = run->made_lock && run->there < strlen(run->path);
    for (; made && *files; files++) {
        rv_run_dir_file(run, *files, path);
        unlink(path);
    }
    rv_run_dir_file(run, "run.lock", path);
    if (run->made_lock) unlink(path); /* while it is locked: take_lock finds out */
    while (strlen(run->path) > run->there && !rmdir(run->path)) {
        char *slash = strrchr(run->path, '/');
        run->path[slash ? slash - run->path : 0] = 0;
    }
    rv_run_dir_close(run);
}

const char *rv_run_dir_path(const rv_run_dir *run) { return run->path; }

void rv_run_dir_file(const rv_run_dir *run, const char *name, char out[RV_PATH_MAX]) {
    int n = snprintf(out, RV_PATH_MAX, "%s/%s", run->path, name);
    RV_ASSERT(n < RV_PATH_MAX);
}

void rv_run_dir_name(int64_t step, char out[32]) { snprintf(out, 32, "step-%09" PRId64 ".h5", step); }

static void step_file(const rv_run_dir *run, int64_t step, char out[RV_PATH_MAX]) {
    char name[32];
    rv_run_dir_name(step, name);
    rv_run_dir_file(run, name, out);
}

rv_status rv_run_dir_save(rv_run_dir *run, int64_t step, int n, const rv_ck_item *items,
                          char state_hash[RV_CK_HASH_TEXT]) {
    char path[RV_PATH_MAX];
    step_file(run, step, path);
    return rv_checkpoint_save(path, step, n, items, state_hash);
}

rv_status rv_run_dir_save_again(rv_run_dir *run, int64_t step, int n, const rv_ck_item *items) {
    char path[RV_PATH_MAX];
    step_file(run, step, path);
    return rv_checkpoint_replace(path, step, n, items);
}

rv_status rv_run_dir_try_saving(rv_run_dir *run, int64_t step, int n, const rv_ck_item *items) {
    char name[32], path[RV_PATH_MAX];
    snprintf(name, sizeof name, "try.tmp-%ld", (long)getpid()); /* a name that goes with the process */
    rv_run_dir_file(run, name, path);
    rv_status status = rv_checkpoint_save(path, step, n, items, NULL);
    rv__file_remove(path);
    return status;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

rv_status rv_run_dir_list(const char *path, int64_t **steps, int *n) {
    *steps = NULL;
    *n = 0;
    DIR *d = opendir(path);
    if (!d && errno == ENOENT) return RV_OK;
    if (!d) return rv_error(RV_ECKPT, "%s: cannot list the folder: %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        char name[32], *end;
        if (strncmp(e->d_name, "step-", 5)) continue;
        int64_t step = strtoll(e->d_name + 5, &end, 10);
        rv_run_dir_name(step, name);
        if (step < 0 || strcmp(name, e->d_name)) continue;
        if ((*n & (*n - 1)) == 0) { /* full: the size doubles */
            int64_t *grown = realloc(*steps, sizeof **steps * (size_t)(*n ? 2 * *n : 1));
            if (!grown) {
                closedir(d);
                free(*steps);
                *steps = NULL;
                *n = 0;
                return rv_error(RV_ENOMEM, "%s: no memory to list the folder", path);
            }
            *steps = grown;
        }
        (*steps)[(*n)++] = step;
    }
    closedir(d);
    if (*n) qsort(*steps, (size_t)*n, sizeof **steps, ascending);
    return RV_OK;
}

rv_status rv_run_dir_latest(const char *path, rv_checkpoint **out) {
    *out = NULL;
    int64_t *steps;
    int n;
    RV_TRY(rv_run_dir_list(path, &steps, &n));
    rv_status st = RV_OK;
    for (int i = n - 1; i >= 0 && !*out; i--) {
        char name[32], file[RV_PATH_MAX];
        rv_run_dir_name(steps[i], name);
        if (snprintf(file, sizeof file, "%s/%s", path, name) >= (int)sizeof file) continue;
        st = rv_checkpoint_open(file, out);
        if (st == RV_ENOMEM) break; /* the file may be good: an older one is no way out */
        if (st != RV_OK) rv_warn("passing over a bad checkpoint: %s", rv_error_message());
    }
    free(steps);
    if (*out || !n) return RV_OK;
    if (st == RV_ENOMEM) return st;
    return rv_error(RV_ECKPT,
                    "%s: none of the %d checkpoints can be used; move them away, or choose another checkpoint.dir",
                    path, n);
}

static bool holds_checkpoints(const char *path) {
    int64_t *steps;
    int n;
    if (rv_run_dir_list(path, &steps, &n) != RV_OK) return false;
    free(steps);
    return n > 0;
}

rv_status rv_run_dir_without(const char *path) {
    char cells[RV_PATH_MAX], cell[RV_PATH_MAX], first[RV_PATH_MAX] = "";
    snprintf(cells, sizeof cells, "%s/cells", path);
    DIR *d = opendir(cells);
    if (!d) return rv_error(RV_ECKPT, "%s holds no checkpoint; train first: ravel train EXPERIMENT", path);
    for (struct dirent *e; (e = readdir(d));) {
        if (*e->d_name == '.' || snprintf(cell, sizeof cell, "%s/%s", cells, e->d_name) >= (int)sizeof cell) continue;
        if ((!*first || strcmp(cell, first) < 0) && holds_checkpoints(cell)) memcpy(first, cell, sizeof first);
    }
    closedir(d);
    return rv_error(RV_ECKPT, "%s is the folder of a comparison; name one of its cells%s%s", path,
                    *first ? ", such as " : " once it is trained", first);
}

/* best.h5 without its file would be a trap for readers. */
static void drop_dangling_best(const rv_run_dir *run) {
    char best[RV_PATH_MAX];
    rv_run_dir_file(run, "best.h5", best);
    struct stat st;
    if (!lstat(best, &st) && S_ISLNK(st.st_mode) && stat(best, &st) && errno == ENOENT) rv__file_remove(best);
}

rv_status rv_run_dir_set_aside(rv_run_dir *run, int64_t step) {
    int64_t *steps;
    int n;
    RV_TRY(rv_run_dir_list(run->path, &steps, &n));
    rv__file f = {.fd = -1};
    char from[RV_PATH_MAX], to[RV_PATH_MAX + 8];
    for (int i = 0; i < n && !f.error; i++) {
        if (steps[i] <= step) continue;
        step_file(run, steps[i], from);
        snprintf(to, sizeof to, "%s.aside", from);
        f.path = from;
        rv__file_rename(&f, to, true);
        if (!f.error) rv_info("%s is of another course of this run: renamed to .aside", from);
    }
    free(steps);
    if (f.error) return rv_error(RV_ECKPT, "%s: cannot rename it to .aside: %s", from, strerror(f.error));
    drop_dangling_best(run);
    return RV_OK;
}

rv_status rv_run_dir_prune(rv_run_dir *run, int keep_last, const int64_t *kept, int n_kept) {
    int64_t *steps;
    int n, failed = 0;
    RV_TRY(rv_run_dir_list(run->path, &steps, &n));
    if (keep_last < 1) keep_last = 1;
    char path[RV_PATH_MAX];
    for (int i = 0; i < n - keep_last; i++) {
        bool keep = false;
        for (int k = 0; k < n_kept; k++) keep |= kept[k] == steps[i];
        if (keep) continue;
        step_file(run, steps[i], path);
        if (unlink(path) && errno != ENOENT && !failed) {
            rv_error(RV_ECKPT, "%s: cannot delete the old checkpoint: %s", path, strerror(errno));
            failed = 1;
        }
    }
    free(steps);
    return failed ? RV_ECKPT : RV_OK;
}

rv_status rv_run_dir_mark_best(rv_run_dir *run, int64_t step) {
    char name[32], best[RV_PATH_MAX], temporary[RV_PATH_MAX], file[RV_PATH_MAX];
    rv_run_dir_name(step, name);
    step_file(run, step, file);
    rv_run_dir_file(run, "best.h5", best);
    char link_name[64];
    snprintf(link_name, sizeof link_name, "best.h5.tmp-%ld", (long)getpid());
    rv_run_dir_file(run, link_name, temporary);
    if (access(file, F_OK)) return rv_error(RV_ECKPT, "%s: cannot be the best checkpoint: %s", file, strerror(errno));
    rv__file f = {.fd = -1, .path = temporary};
    unlink(temporary);
    if (symlink(name, temporary)) return rv_error(RV_ECKPT, "%s: cannot make the link: %s", temporary, strerror(errno));
    rv__file_rename(&f, best, true);
    if (f.error) rv__file_remove(temporary);
    rv__file_fsync_dir(&f, best);
    return f.error ? rv_error(RV_ECKPT, "%s: cannot show %s: %s: %s", best, name, f.what, strerror(f.error)) : RV_OK;
}

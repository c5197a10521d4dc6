/* What the disk does to a save: any operation fails, once or for good; the disk is full; the power goes (G2, G3). */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "base/file.h"
#include "io/run_dir.h"
#include "io/sample.h"

static char folder[256], old_file[400], new_file[400];
static void setup(void) {
    snprintf(folder, sizeof folder, "%s", sample_folder());
    sample_path(old_file, folder, "step-000000007.h5");
    sample_path(new_file, folder, "step-000000008.h5");
    if (rv_checkpoint_save(old_file, 7, SAMPLE_ITEMS, sample, NULL) != RV_OK) abort();
}
static void teardown(void) {
    rv__io_set_hook(NULL, NULL);
    sample_remove(folder);
}
TestSuite(faults, .init = setup, .fini = teardown, .timeout = 300);

static bool opens(const char *path) {
    rv_checkpoint *ck;
    bool ok = rv_checkpoint_open(path, &ck) == RV_OK;
    rv_checkpoint_close(ck);
    return ok;
}

static int entries(const char *path) {
    int n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

typedef struct {
    int at, seen, error;
    bool sticky;
    rv__io_op failed;
} fault;

static int inject(void *user, rv__io_op op, const char *path, const char *to, const void *data, size_t n) {
    (void)path, (void)to, (void)data, (void)n;
    fault *f = user;
    if (op == RV__IO_UNLINK) return 0; /* a full disk still lets files be removed */
    int k = f->seen++;
    if (k == f->at) f->failed = op;
    return k == f->at || (f->sticky && k > f->at) ? f->error : 0;
}

Test(faults, every_operation_fails_cleanly) {
    static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS};
    for (int sticky = 0; sticky < 2; sticky++) {
        int kinds = 0, at = 0;
        for (;; at++) {
            fault f = {.at = at, .error = errors[at % 4], .sticky = sticky};
            rv__io_set_hook(inject, &f);
            rv_status st = rv_checkpoint_save(new_file, 8, SAMPLE_ITEMS, sample, NULL);
            rv__io_set_hook(NULL, NULL);
            cr_assert(opens(old_file), "the old checkpoint is hurt by operation %d", at);
            if (f.seen <= at) {
                cr_assert_eq(st, RV_OK);
                break;
            }
            kinds |= 1 << f.failed;
            cr_assert_eq(st, RV_ECKPT, "operation %d", at);
            cr_assert(strstr(rv_error_message(), new_file) && strstr(rv_error_message(), strerror(f.error)), "%s",
                      rv_error_message());
            cr_assert_null(strchr(rv_error_message(), '\n'));
            if (f.failed == RV__IO_FSYNC_DIR) { /* the name is there, and whole */
                cr_assert(opens(new_file));
                unlink(new_file);
            }
            cr_assert_eq(entries(folder), 1, "operation %d leaves something behind", at);
        }
        cr_assert_gt(at, 20); /* the writes were among them */
        cr_assert_eq(kinds, 1 << RV__IO_CREATE | 1 << RV__IO_WRITE | 1 << RV__IO_FSYNC | 1 << RV__IO_CLOSE |
                                1 << RV__IO_RENAME | 1 << RV__IO_FSYNC_DIR);
        cr_assert(opens(new_file));
        unlink(new_file);
    }
}

static void save_into_full_disk(const char *path, int error) {
    static float big[1 << 18];
    const rv_ck_item it = {"/model/w", RV_CK_F32, 1, {1 << 18}, big};
    cr_assert_eq(rv_checkpoint_save(path, 8, 1, &it, NULL), RV_ECKPT);
    cr_assert(strstr(rv_error_message(), strerror(error)), "%s", rv_error_message());
}

Test(faults, file_size_limit) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 300000;
    setrlimit(RLIMIT_FSIZE, &small);
    save_into_full_disk(new_file, EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    cr_assert_eq(entries(folder), 1);
    cr_assert(opens(old_file));
}

Test(faults, full_disk) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", folder, "tmpfs", 0, "size=512k"))
        cr_skip_test("mounting is not permitted here");
    cr_assert_eq(rv_checkpoint_save(old_file, 7, SAMPLE_ITEMS, sample, NULL), RV_OK);
    save_into_full_disk(new_file, ENOSPC);
    cr_assert_eq(entries(folder), 1);
    cr_assert(opens(old_file));
    cr_assert_eq(rv_checkpoint_save(new_file, 8, SAMPLE_ITEMS, sample, NULL), RV_OK); /* what fits is saved again */
    umount(folder);
}

/* ---- power cuts ---- */

enum { LOG_MAX = 4096 };
static struct {
    rv__io_op op;
    char path[400], to[400];
    size_t n; /* bytes of the file after a write */
} events[LOG_MAX];
static int logged;
static unsigned char *written;
static size_t written_bytes;

static int keep_log(void *user, rv__io_op op, const char *path, const char *to, const void *data, size_t n) {
    (void)user;
    if (logged == LOG_MAX) abort();
    if (op == RV__IO_WRITE) {
        written = realloc(written, written_bytes + n);
        memcpy(written + written_bytes, data, n);
        written_bytes += n;
    }
    events[logged].op = op;
    events[logged].n = written_bytes;
    snprintf(events[logged].path, sizeof events->path, "%s", path);
    snprintf(events[logged].to, sizeof events->to, "%s", to ? to : "");
    logged++;
    return 0;
}

/* What the disk may hold under the final name when the power goes after `n` operations. `torn` bytes of what was not
 * yet synchronised had reached it (what was, is whole); a rename without fsync of the folder may have happened or not.
 */
static bool final_after(int n, size_t torn, bool lazy_rename, size_t *bytes) {
    size_t durable = 0, size = 0;
    bool renamed = false, certain = false;
    for (int i = 0; i < n; i++) {
        switch (events[i].op) {
        case RV__IO_CREATE: size = durable = 0; break;
        case RV__IO_WRITE: size = events[i].n; break;
        case RV__IO_FSYNC: durable = size; break;
        case RV__IO_RENAME: renamed = !strcmp(events[i].to, new_file); break;
        case RV__IO_FSYNC_DIR: certain = renamed && !strcmp(events[i].path, folder); break;
        case RV__IO_CLOSE:
        case RV__IO_UNLINK: break;
        }
    }
    *bytes = durable > torn ? durable : torn < size ? torn : size;
    return certain || (renamed && lazy_rename);
}

Test(faults, power_cut_leaves_it_absent_or_whole) {
    rv__io_set_hook(keep_log, NULL);
    cr_assert_eq(rv_checkpoint_save(new_file, 8, SAMPLE_ITEMS, sample, NULL), RV_OK);
    rv__io_set_hook(NULL, NULL);
    size_t n;
    unsigned char *whole = sample_read(new_file, &n);
    cr_assert(n == written_bytes && !memcmp(whole, written, n)); /* the log tells all that was written */
    int present = 0;
    for (int k = 0; k <= logged; k++) {
        for (int lazy = 0; lazy < 2; lazy++) {
            for (int part = 0; part <= 8; part++) {
                size_t bytes;
                if (!final_after(k, n / 8 * (size_t)part, lazy, &bytes)) {
                    cr_assert_lt(k, logged, "a reported save is lost");
                    continue;
                }
                sample_write(new_file, written, bytes);
                cr_assert(opens(new_file), "power cut after operation %d: %zu of %zu bytes under the final name", k,
                          bytes, n);
                present++;
            }
        }
    }
    cr_assert_gt(present, 0);
    free(whole);
    free(written);
}

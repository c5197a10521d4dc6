/* Files that are whole or not there at all: whatever fails, the old one stays, and nothing is left beside it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char dir[] = "/tmp/ravel-file-XXXXXX";

static void setup(void) { cr_assert(mkdtemp(dir) && !chdir(dir)); }
static void teardown(void) {
    char command[64];
    rv__io_set_hook(NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert(!system(command));
}
TestSuite(file, .init = setup, .fini = teardown);

static bool holds(const char *path, const char *text) {
    char got[64] = "";
    FILE *f = fopen(path, "r");
    if (!f) return false;
    const size_t n = fread(got, 1, sizeof got - 1, f);
    fclose(f);
    return n == strlen(text) && !memcmp(got, text, n);
}

static rv_status put(const char *path, const char *text, bool keep) {
    FILE *f = rv__file_begin(path);
    if (!f) return RV_EDATA;
    fputs(text, f);
    return rv__file_end(f, path, keep);
}

/* Let the n-th operation fail. */
typedef struct {
    int fail_at, seen;
    rv__io_op failed;
} faults;

static int fail(void *user, rv__io_op op, const char *path, const char *to, const void *data, size_t n) {
    (void)path, (void)to, (void)data, (void)n;
    faults *f = user;
    if (op == RV__IO_UNLINK || ++f->seen != f->fail_at) return 0;
    f->failed = op;
    return EIO;
}

Test(file, whole_or_not_at_all) {
    cr_assert_eq(put("a", "old", true), RV_OK);
    cr_expect(holds("a", "old"));
    cr_assert_eq(put("a", "dropped", false), RV_OK);
    cr_expect(holds("a", "old") && access("a.new", F_OK), "not kept: as if it had not been");
    bool seen[RV__IO_UNLINK + 1] = {0};
    for (int i = 1;; i++) {
        faults f = {.fail_at = i};
        rv__io_set_hook(fail, &f);
        const rv_status status = put("a", "new", true);
        rv__io_set_hook(NULL, NULL);
        if (f.seen < i) {
            cr_expect_eq(status, RV_OK);
            break;
        }
        seen[f.failed] = true;
        cr_expect_eq(status, RV_EDATA);
        cr_expect(strstr(rv_error_message(), "a: cannot write: ") && strstr(rv_error_message(), strerror(EIO)), "%s",
                  rv_error_message());
        cr_expect(access("a.new", F_OK), "something is left after a failed operation %d", f.failed);
        if (f.failed == RV__IO_FSYNC_DIR)
            continue; /* renamed already: it is the new one, and may not survive a power cut */
        cr_expect(holds("a", "old"), "after a failed operation %d", f.failed);
    }
    cr_expect(seen[RV__IO_FSYNC] && seen[RV__IO_RENAME] && seen[RV__IO_FSYNC_DIR]);
    cr_expect(holds("a", "new"));
}

Test(file, a_full_disk) {
    FILE *f = fopen("/dev/full", "w");
    cr_assert(f);
    fputs("text", f);
    cr_expect_eq(rv__file_end(f, "b", true), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "b: cannot write: write: No space left"), "%s", rv_error_message());
    cr_expect(access("b", F_OK));
}

Test(file, folders) {
    cr_assert_eq(rv__make_folders("x/y//z/"), RV_OK, "%s", rv_error_message());
    struct stat st;
    cr_expect(!stat("x/y/z", &st) && S_ISDIR(st.st_mode));
    cr_expect_eq(rv__make_folders("x/y/z"), RV_OK, "it is there");
    cr_assert_eq(put("x/plain", "", true), RV_OK);
    cr_expect_eq(rv__make_folders("x/plain/more"), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "x/plain/more: cannot make the folder: Not a directory"), "%s",
              rv_error_message());
    cr_expect(rv__file_size("x/plain") == 0 && rv__file_size("x") == -1 && rv__file_size("none") == -1);
}

Test(file, paths_that_are_too_long) {
    char out[RV__PATH], longer[RV__PATH + 1];
    memset(longer, 'x', RV__PATH);
    longer[RV__PATH] = 0;
    cr_expect_eq(rv__path(out, "%s", longer), RV_EDATA);
    longer[RV__PATH - 1] = 0;
    cr_expect_eq(rv__path(out, "%s", longer), RV_OK);
    cr_expect_eq(strlen(out), RV__PATH - 1);
}

/* One process per folder; the latest good checkpoint; what is kept, what goes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "io/run_dir.h"
#include "io/sample.h"

static char folder[256], run_path[400];
static rv_run_dir *run;
static void setup(void) {
    rv_log_set_level(RV_LOG_QUIET);
    snprintf(folder, sizeof folder, "%s", sample_folder());
    sample_path(run_path, folder, "runs/deep/tiny");
    if (rv_run_dir_open(run_path, &run) != RV_OK) abort();
}
static void teardown(void) {
    rv_run_dir_close(run);
    sample_remove(folder);
}
TestSuite(run_dir, .init = setup, .fini = teardown, .timeout = 120);

static void save(int64_t step) {
    cr_assert_eq(rv_run_dir_save(run, step, SAMPLE_ITEMS, sample, NULL), RV_OK, "%s", rv_error_message());
}

static bool has(const char *name) {
    char path[RV_PATH_MAX];
    rv_run_dir_file(run, name, path);
    return !access(path, F_OK);
}

static void damage(const char *name) {
    char path[RV_PATH_MAX];
    rv_run_dir_file(run, name, path);
    size_t n;
    unsigned char *b = sample_read(path, &n);
    b[n - 1] ^= 4;
    sample_write(path, b, n);
    free(b);
}

static int64_t latest(void) {
    rv_checkpoint *ck;
    cr_assert_eq(rv_run_dir_latest(run_path, &ck), RV_OK, "%s", rv_error_message());
    int64_t step = ck ? rv_checkpoint_step(ck) : -1;
    rv_checkpoint_close(ck);
    return step;
}

Test(run_dir, latest_that_verifies) {
    cr_assert_eq(latest(), -1);
    save(900);
    save(1000);
    save(2000000000); /* more digits than nine */
    cr_assert_eq(latest(), 2000000000);
    damage("step-2000000000.h5");
    cr_assert_eq(latest(), 1000);
    damage("step-000001000.h5");
    cr_assert_eq(latest(), 900);
    damage("step-000000900.h5");
    rv_checkpoint *ck;
    cr_assert_eq(rv_run_dir_latest(run_path, &ck), RV_ECKPT); /* never silently from the start */
    cr_assert_null(ck);
    cr_assert_eq(rv_run_dir_latest("/nonexistent/run", &ck), RV_OK);
    cr_assert_null(ck);
}

Test(run_dir, the_warning_names_the_damaged_file) {
    save(1);
    save(2);
    damage("step-000000002.h5");
    char err[400];
    sample_path(err, folder, "stderr");
    rv_log_set_level(RV_LOG_WARN);
    cr_assert(freopen(err, "w", stderr));
    cr_assert_eq(latest(), 1);
    fflush(stderr);
    size_t n;
    char *text = (char *)sample_read(err, &n);
    cr_assert(strstr(text, "step-000000002.h5: damaged"), "%s", text);
    free(text);
}

Test(run_dir, lists_only_checkpoints) {
    save(5);
    save(40);
    char path[RV_PATH_MAX];
    static const char *const others[] = {
        "step-5.h5", "step-0000000051.h5",          "step-000000006.h5.aside", "step-00000000x.h5", "step--00000001.h5",
        "best.h5",   "step-99999999999999999999.h5"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        rv_run_dir_file(run, others[i], path);
        sample_write(path, "x", 1);
    }
    int64_t *steps;
    int n;
    cr_assert_eq(rv_run_dir_list(run_path, &steps, &n), RV_OK);
    cr_assert_eq(n, 2);
    cr_assert(steps[0] == 5 && steps[1] == 40);
    free(steps);
}

Test(run_dir, prune) {
    for (int s = 1; s <= 8; s++) save(s);
    cr_assert_eq(rv_run_dir_prune(run, 3, (int64_t[]){2, 7, 99}, 3), RV_OK);
    static const bool stays[] = {0, 1, 0, 0, 0, 1, 1, 1};
    for (int s = 1; s <= 8; s++) {
        char name[32];
        rv_run_dir_name(s, name);
        cr_assert_eq(has(name), stays[s - 1], "%s", name);
    }
    cr_assert_eq(rv_run_dir_prune(run, 0, NULL, 0), RV_OK); /* the newest always stays */
    cr_assert_eq(latest(), 8);
    cr_assert(!has("step-000000007.h5"));
}

Test(run_dir, best) {
    save(1);
    save(2);
    char best[RV_PATH_MAX], to[64] = "";
    rv_run_dir_file(run, "best.h5", best);
    for (int s = 1; s <= 2; s++) {
        cr_assert_eq(rv_run_dir_mark_best(run, s), RV_OK, "%s", rv_error_message());
        rv_checkpoint *ck;
        cr_assert_eq(rv_checkpoint_open(best, &ck), RV_OK);
        rv_checkpoint_close(ck);
        cr_assert_gt(readlink(best, to, sizeof to - 1), 0);
        cr_assert_eq(to[13], '0' + s);
    }
    cr_assert_eq(rv_run_dir_mark_best(run, 3), RV_ECKPT);
    cr_assert(has("best.h5"));
    cr_assert_eq(rv_run_dir_set_aside(run, 1), RV_OK);
    cr_assert(!has("best.h5") && !has("step-000000002.h5") && has("step-000000002.h5.aside") &&
              has("step-000000001.h5"));
    save(2); /* its name is free again */
    cr_assert_eq(rv_run_dir_set_aside(run, -1), RV_OK);
    cr_assert_eq(latest(), -1);
}

Test(run_dir, stale_temporaries_go) {
    pid_t dead = fork();
    if (!dead) _exit(0);
    waitpid(dead, NULL, 0);
    char name[64], path[RV_PATH_MAX];
    rv_run_dir_close(run);
    const struct {
        long pid;
        bool stays;
    } temporaries[] = {{dead, false}, {getpid(), false}, {getppid(), true}};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/step-00000000%d.h5.tmp-%ld", run_path, i, temporaries[i].pid);
        sample_write(path, "x", 1);
    }
    snprintf(path, sizeof path, "%s/mine.tmp-x", run_path);
    sample_write(path, "x", 1);
    cr_assert_eq(rv_run_dir_open(run_path, &run), RV_OK);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "step-00000000%d.h5.tmp-%ld", i, temporaries[i].pid);
        cr_assert_eq(has(name), temporaries[i].stays, "%s", name);
    }
    cr_assert(has("mine.tmp-x"));
}

Test(run_dir, second_process_is_told_the_first) {
    char want[32];
    snprintf(want, sizeof want, "pid %ld)", (long)getpid());
    rv_run_dir *second;
    cr_assert_eq(rv_run_dir_open(run_path, &second), RV_EUSAGE);
    cr_assert_null(second);
    cr_assert(strstr(rv_error_message(), want) && strstr(rv_error_message(), run_path), "%s", rv_error_message());
    rv_run_dir_close(run);
    cr_assert_eq(rv_run_dir_open(run_path, &run), RV_OK);
}

/* Many start at once: one has it. It is killed: the lock is free. */
Test(run_dir, lock_race) {
    rv_run_dir_close(run);
    run = NULL;
    enum { RUNNERS = 8, ROUNDS = 10 };
    for (int round = 0; round < ROUNDS; round++) {
        int go[2], result[2];
        pid_t pid[RUNNERS];
        cr_assert(!pipe(go) && !pipe(result));
        for (int i = 0; i < RUNNERS; i++) {
            if ((pid[i] = fork())) continue;
            close(go[1]);
            char c;
            if (read(go[0], &c, 1)) _exit(1); /* until the parent closes its end */
            rv_run_dir *mine;
            c = rv_run_dir_open(run_path, &mine) == RV_OK;
            if (write(result[1], &c, 1) != 1) _exit(1);
            for (;;) pause();
        }
        close(go[0]);
        close(go[1]);
        int winners = 0;
        for (int i = 0; i < RUNNERS; i++) {
            char c = 0;
            cr_assert_eq(read(result[0], &c, 1), 1);
            winners += c;
        }
        for (int i = 0; i < RUNNERS; i++) {
            kill(pid[i], SIGKILL);
            waitpid(pid[i], NULL, 0);
        }
        close(result[0]);
        close(result[1]);
        cr_assert_eq(winners, 1, "%d processes have the lock", winners);
    }
    cr_assert_eq(rv_run_dir_open(run_path, &run), RV_OK, "%s", rv_error_message());
}

/* Many are abandoned at once, which takes the lock's file and the folder away from those that begin: one has it. */
Test(run_dir, abandoned_race) {
    enum { PROCESSES = 8, ROUNDS = 200 };
    char path[400], mark[400];
    sample_path(path, folder, "new/run");
    sample_path(mark, folder, "held");
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        cr_assert(pids[i] >= 0);
        if (pids[i]) continue;
        for (int k = 0; k < ROUNDS; k++) {
            rv_run_dir *mine;
            if (rv_run_dir_open(path, &mine) != RV_OK) continue;
            if (mkdir(mark, 0777)) _exit(1); /* another one has it, too */
            if (rmdir(mark)) _exit(1);
            rv_run_dir_abandon(mine, (const char *const[]){"metrics.jsonl", NULL});
        }
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        cr_assert(waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status));
        cr_expect_eq(WEXITSTATUS(status), 0, "two processes had the lock");
    }
}

Test(run_dir, folder_that_cannot_be) {
    rv_run_dir *other;
    char path[400];
    sample_path(path, folder, "file");
    sample_write(path, "x", 1);
    cr_assert_eq(rv_run_dir_open(path, &other), RV_EUSAGE);
    sample_path(path, folder, "file/run");
    cr_assert_eq(rv_run_dir_open(path, &other), RV_EUSAGE);
    cr_assert(strstr(rv_error_message(), folder));
    cr_assert_eq(rv_run_dir_open("", &other), RV_EUSAGE);
    cr_assert_eq(rv_run_dir_open("/proc/no/run", &other), RV_EUSAGE);
}

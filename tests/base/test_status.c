/* The error record: what is said, in front of it, how much of it, to whom; and what a broken invariant does. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"

enum { LONGEST = 16 * 1024 };

Test(status, nothing_is_said_at_first) { cr_expect_str_eq(rv_error_message(), ""); }

Test(status, a_message_is_formatted_and_kept) {
    cr_expect_eq(rv_error(RV_EDATA, "%s:%d: no tab in '%c'", "train.tsv", 7, 'x'), RV_EDATA);
    cr_expect_str_eq(rv_error_message(), "train.tsv:7: no tab in 'x'");
    cr_expect_eq(rv_error(RV_ESHAPE, "the latest counts"), RV_ESHAPE);
    cr_expect_str_eq(rv_error_message(), "the latest counts");
}

Test(status, context_goes_in_front) {
    rv_error(RV_ECKPT, "no such file");
    cr_expect_eq(rv_error_context(RV_ECKPT, "while loading %s: ", "a.h5"), RV_ECKPT);
    cr_expect_str_eq(rv_error_message(), "while loading a.h5: no such file");
    rv_error_context(RV_EUSAGE, "cell %d: ", 3);
    cr_expect_str_eq(rv_error_message(), "cell 3: while loading a.h5: no such file");
}

/* A per cent sign in what was said is no order to format. */
Test(status, the_old_message_is_text) {
    rv_error(RV_EDATA, "%s", "100%s of %n");
    rv_error_context(RV_EDATA, "%s", "50%d: ");
    cr_expect_str_eq(rv_error_message(), "50%d: 100%s of %n");
}

Test(status, the_old_message_may_be_an_argument) {
    rv_error(RV_EDATA, "first");
    rv_error(RV_EDATA, "%s, %s", rv_error_message(), rv_error_message());
    cr_expect_str_eq(rv_error_message(), "first, first");
    rv_error_context(RV_EDATA, "[%s] ", rv_error_message());
    cr_expect_str_eq(rv_error_message(), "[first, first] first, first");
}

static char long_text[2 * LONGEST];
static const char *letters(size_t n) {
    for (size_t i = 0; i < n; i++) long_text[i] = (char)('a' + i % 26);
    long_text[n] = 0;
    return long_text;
}

Test(status, long_messages_are_cut) {
    rv_error(RV_EDATA, "%s", letters(LONGEST - 1));
    cr_expect_str_eq(rv_error_message(), long_text);
    rv_error(RV_EDATA, "%s", letters(LONGEST + 1000));
    cr_expect_eq(strlen(rv_error_message()), LONGEST - 1);
    cr_expect(!strncmp(rv_error_message(), long_text, LONGEST - 1));
}

/* A path may be longer than a line: what stands in front is cut no earlier than the whole. */
Test(status, context_may_be_long) {
    enum { PATH = 4000 };
    rv_error(RV_EDATA, "the cause");
    rv_error_context(RV_EDATA, "%s: ", letters(PATH));
    cr_expect_eq(strlen(rv_error_message()), PATH + strlen(": the cause"));
    cr_expect_str_eq(rv_error_message() + PATH, ": the cause");
    rv_error_context(RV_EDATA, "%s", letters(LONGEST - 10));
    cr_expect_eq(strlen(rv_error_message()), LONGEST - 1);
    cr_expect(!strncmp(rv_error_message(), long_text, LONGEST - 10));
}

static void *other_thread(void *said) {
    const bool silent = !*rv_error_message();
    rv_error(RV_EDATA, "from the other thread");
    *(bool *)said = silent && !strcmp(rv_error_message(), "from the other thread");
    return NULL;
}

Test(status, each_thread_has_its_own) {
    rv_error(RV_EDATA, "from this thread");
    pthread_t t;
    bool apart = false;
    cr_assert_eq(pthread_create(&t, NULL, other_thread, &apart), 0);
    pthread_join(t, NULL);
    cr_expect(apart);
    cr_expect_str_eq(rv_error_message(), "from this thread");
}

Test(status, exit_codes) {
    static const struct {
        rv_status status;
        int code;
    } want[] = {{RV_OK, 0},        {RV_EINTERNAL, 1}, {RV_EUSAGE, 2}, {RV_EDATA, 3}, {RV_ECKPT, 4},
                {RV_EDIVERGED, 5}, {RV_EVERIFY, 6},   {RV_ETERM, 75}, {RV_EINT, 130}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        cr_expect_eq(rv_exit_code(want[i].status), want[i].code, "status %d", (int)want[i].status);
    cr_expect_neq(rv_exit_code(RV_ESHAPE), 0);
    cr_expect_neq(rv_exit_code(RV_ENOMEM), 0);
}

static int tried;
static rv_status attempt(rv_status first, rv_status second) {
    RV_TRY((tried++, first));
    RV_TRY((tried++, second));
    return RV_OK;
}

Test(status, try_returns_the_first_error) {
    cr_expect_eq(attempt(RV_EDATA, RV_EUSAGE), RV_EDATA);
    cr_expect_eq(tried, 1, "nothing is tried after an error");
    cr_expect_eq(attempt(RV_OK, RV_EUSAGE), RV_EUSAGE);
    cr_expect_eq(attempt(RV_OK, RV_OK), RV_OK);
    cr_expect_eq(tried, 5);
}

Test(status, an_invariant_that_holds_says_nothing) { RV_ASSERT(1 + 1 == 2); }

/* It aborts, and says what and where. */
Test(status, a_broken_invariant_aborts) {
    int ends[2], how;
    cr_assert_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (!child) {
        dup2(ends[1], STDERR_FILENO);
        RV_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    char said[512] = "";
    size_t n = 0;
    for (ssize_t got; n < sizeof said - 1 && (got = read(ends[0], said + n, sizeof said - 1 - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    cr_assert_eq(waitpid(child, &how, 0), child);
    cr_expect(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
    cr_expect(strstr(said, "1 + 1 == 3") && strstr(said, "test_status.c:"), "%s", said);
}

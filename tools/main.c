/* ravel SUBCOMMAND ...: looks the subcommand up in commands.def and runs it. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

static const struct {
    const char *name, *summary;
    int (*run)(int, char **);
} commands[] = {
#define RV_COMMAND(name, summary) {#name, summary, rv_cmd_##name},
#include "commands.def"
#undef RV_COMMAND
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* What could not be written is tried once more, and fails for the same reason. */
const char *rv__tool_unwritten(void) {
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return NULL;
    return strerror(errno ? errno : EIO);
}

int rv__tool_finish(rv_status status) {
    const char *unwritten = rv__tool_unwritten();
    if (status != RV_OK) fprintf(stderr, "ravel: %s\n", rv_error_message());
    if (status == RV_OK && unwritten) {
        fprintf(stderr, "ravel: cannot write to standard output: %s\n", unwritten);
        return 1;
    }
    return rv_exit_code(status);
}

static bool parsing;

/* argp itself ends the process after --help, with success. */
static void finish_help(void) {
    if (parsing && rv__tool_finish(RV_OK)) _exit(1);
}

void rv__tool_parse(const struct argp *argp, int argc, char **argv, void *input) {
    argp_err_exit_status = 2;
    setenv("ARGP_HELP_FMT", "no-dup-args-note,rmargin=120", 0); /* no boilerplate, and examples that can be pasted */
    atexit(finish_help);
    parsing = true;
    argp_parse(argp, argc, argv, 0, NULL, input);
    parsing = false;
}

static void help(FILE *to) {
    fprintf(
        to,
        "usage: ravel COMMAND [ARGUMENT ...]\n\nTrain and compare sequence models on ordinary CPUs.\n\ncommands:\n");
    for (int i = 0; i < COMMANDS; i++) fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n'ravel help COMMAND' explains one command, with an example.\n"
                "example: ravel compare quickstart\n");
}

static const char *command_name(const void *ctx, int i) {
    (void)ctx;
    return i < COMMANDS ? commands[i].name : NULL;
}

/* A thread of libgomp that waits for the others spins for long first. That is of no use on a CPU which other programs
 * use, too: the one waited for is not running (an LSTM trained 2.2 to 2.6 times as fast beside other work with a short
 * spin, and within 1 % as fast on an idle machine). libgomp reads the setting when it is loaded, hence the second
 * start. */
static void wait_briefly(char **argv) {
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1) == 0) execv("/proc/self/exe", argv);
    /* no matter if that fails */
}

int main(int argc, char **argv) {
    wait_briefly(argv);
    /* Caches of tens of MiB come and go with every batch that is translated: to get them from the system and give them
     * back each time took 7 % of the time. */
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 128 << 20);
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is then an error of write(), like a full disk */
    const char *isa = getenv("RAVEL_ISA");
    if (isa && *isa && rv_select_isa(isa) != RV_OK) return rv__tool_finish(RV_EUSAGE);
    if (argc < 2) {
        help(stderr);
        return 2;
    }
    const char *name = argv[1];
    if (!strcmp(name, "help") && argc > 2) { /* "help ckpt diff" is "ckpt diff --help" */
        memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof *argv);
        argv[argc - 1] = "--help";
        name = argv[1];
    } else if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        help(stdout);
        return rv__tool_finish(RV_OK);
    }
    if (!strcmp(name, "--version")) {
        printf("ravel %s\n", RV_VERSION);
        return rv__tool_finish(RV_OK);
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name)) continue;
        char title[64];
        snprintf(title, sizeof title, "ravel %s", name);
        argv[1] = title; /* argp names the program by argv[0] */
        return commands[i].run(argc - 1, argv + 1);
    }
    int at = rv_yaml_nearest(name, command_name, NULL);
    const char *near = at < 0 ? NULL : commands[at].name;
    fprintf(stderr, "ravel: unknown command '%s'%s%s%s; 'ravel --help' lists them\n", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return 2;
}

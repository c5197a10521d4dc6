#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct rv_peer {
    pid_t pid;
    FILE *to, *from;
};

static rv_status gone(void) {
    return rv_error(RV_EUSAGE, "the PyTorch peer ended early; is PyTorch there? (Debian: apt-get install python3-torch libopenblas0-openmp; "
                               "or set PYTHON to an interpreter that has torch)");
}

static rv_status answer(rv_peer *p, json_t **out) {
    json_error_t e;
    *out = json_loadf(p->from, JSON_DISABLE_EOF_CHECK, &e);
    return *out ? RV_OK : gone();
}

static void child(const char *workload, int threads, bool tiny, int in, int out) {
    char t[16];
    snprintf(t, sizeof t, "%d", threads);
    const char *python = getenv("PYTHON");
    if (!python || !*python) python = "/usr/bin/python3";
    unsetenv("GOMP_SPINCOUNT"); /* ravel's own choice (main.c); the peer is to have its best */
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    execlp(python, python, RV_PEER_SCRIPT, workload, "--threads", t, "--serve", tiny ? "--tiny" : NULL, (char *)NULL);
    fprintf(stderr, "ravel: cannot run %s: %s\n", python, strerror(errno));
    _exit(127);
}

rv_status rv__peer_start(const char *workload, int threads, bool tiny, rv_peer **out) {
    int down[2], up[2];
    rv_peer *p = calloc(1, sizeof *p);
    if (!p) return rv_error(RV_ENOMEM, "no memory for the peer");
    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC)) {
        free(p);
        return rv_error(RV_EINTERNAL, "pipe: %s", strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN); /* a peer that died shows in its answer */
    p->pid = fork();
    if (p->pid == 0) child(workload, threads, tiny, down[0], up[1]);
    close(down[0]);
    close(up[1]);
    p->to = fdopen(down[1], "w");
    p->from = fdopen(up[0], "r");
    json_t *ready = NULL;
    rv_status status = p->pid > 0 && p->to && p->from ? answer(p, &ready) : rv_error(RV_EINTERNAL, "fork: %s", strerror(errno));
    json_decref(ready);
    if (status != RV_OK) {
        rv__peer_stop(p);
        return status;
    }
    *out = p;
    return RV_OK;
}

rv_status rv__peer_steps(rv_peer *p, int n, double *ms, int *got) {
    *got = 0;
    fprintf(p->to, "%d\n", n);
    fflush(p->to);
    json_t *o;
    RV_TRY(answer(p, &o));
    const json_t *all = json_object_get(o, "ms_all");
    for (size_t i = 0; i < json_array_size(all) && *got < n; i++) ms[(*got)++] = json_number_value(json_array_get(all, i));
    json_decref(o);
    return *got == n ? RV_OK : gone();
}

void rv__peer_stop(rv_peer *p) {
    if (p->to) fclose(p->to); /* the end of its input ends the peer */
    while (p->from && fgetc(p->from) != EOF) {}
    if (p->from) fclose(p->from);
    if (p->pid > 0) waitpid(p->pid, NULL, 0);
    free(p);
}

#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct rv_peer {
    rv_peer_kind kind;
    pid_t pid;
    FILE *to, *from;
    json_t *about;
};

static rv_status gone(const rv_peer *p) {
    if (p->kind == RV_PEER_RAVEL)
        return rv_error(RV_EINTERNAL, "the process that ran the workload ended early; what it said is above");
    return rv_error(
        RV_EUSAGE,
        "the PyTorch peer ended early; is PyTorch there? (Debian: apt-get install python3-torch libopenblas0-openmp; "
        "or set PYTHON to an interpreter that has torch)");
}

static rv_status answer(rv_peer *p, json_t **out) {
    json_error_t e;
    *out = json_loadf(p->from, JSON_DISABLE_EOF_CHECK, &e);
    return *out ? RV_OK : gone(p);
}

static void child(rv_peer_kind kind, const char *workload, int threads, bool tiny, int in, int out) {
    char t[16];
    snprintf(t, sizeof t, "%d", threads);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    if (kind == RV_PEER_RAVEL) {
        execl("/proc/self/exe", "ravel", "bench", workload, "--threads", t, "--serve", tiny ? "--tiny" : NULL,
              (char *)NULL);
        fprintf(stderr, "ravel: cannot start itself: %s\n", strerror(errno));
        _exit(127);
    }
    const char *python = getenv("PYTHON");
    if (!python || !*python) python = "/usr/bin/python3";
    unsetenv("GOMP_SPINCOUNT"); /* ravel's own choice (main.c); the peer is to have its best */
    execlp(python, python, RV_PEER_SCRIPT, workload, "--threads", t, "--serve", tiny ? "--tiny" : NULL, (char *)NULL);
    fprintf(stderr, "ravel: cannot run %s: %s\n", python, strerror(errno));
    _exit(127);
}

rv_status rv__peer_start(rv_peer_kind kind, const char *workload, int threads, bool tiny, rv_peer **out) {
    int down[2], up[2];
    rv_peer *p = calloc(1, sizeof *p);
    if (!p) return rv_error(RV_ENOMEM, "no memory for the peer");
    p->kind = kind;
    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC)) {
        free(p);
        return rv_error(RV_EINTERNAL, "pipe: %s", strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN); /* a peer that died shows in its answer */
    p->pid = fork();
    if (p->pid == 0) child(kind, workload, threads, tiny, down[0], up[1]);
    close(down[0]);
    close(up[1]);
    p->to = fdopen(down[1], "w");
    p->from = fdopen(up[0], "r");
    rv_status status =
        p->pid > 0 && p->to && p->from ? answer(p, &p->about) : rv_error(RV_EINTERNAL, "fork: %s", strerror(errno));
    if (status != RV_OK) {
        rv__peer_stop(p);
        return status;
    }
    *out = p;
    return RV_OK;
}

const json_t *rv__peer_about(const rv_peer *p) { return p->about; }

rv_status rv__peer_steps(rv_peer *p, int n, json_t **out) {
    fprintf(p->to, "%d\n", n);
    fflush(p->to);
    RV_TRY(answer(p, out));
    if ((int)json_array_size(json_object_get(*out, "phases_ms")) == n) return RV_OK;
    json_decref(*out);
    return gone(p);
}

void rv__peer_stop(rv_peer *p) {
    if (p->to) fclose(p->to); /* the end of its input ends the peer */
    while (p->from && fgetc(p->from) != EOF) {
    }
    if (p->from) fclose(p->from);
    if (p->pid > 0) waitpid(p->pid, NULL, 0);
    json_decref(p->about);
    free(p);
}

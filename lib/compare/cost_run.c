/* The same measurement at every length and number of threads, each in a process of its own: so that one does not warm
 * the next, and each has a peak of memory of its own. A process is started anew (exec): after a parallel region a mere
 * fork hangs in its next one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parallel.h"
#include "compare/cost.h"
#include "io/json_file.h"
#include "base/file.h"
#include "base/stop.h"

extern char **environ;

/* ---- the request */

static json_t *make_request(const char *config, int64_t src_vocab, int64_t tgt_vocab, const rv_cost_spec *spec,
                            int threads, int64_t length) {
    return json_pack("{s:s, s:I, s:I, s:i, s:I, s:I, s:I, s:b, s:b, s:b, s:i, s:i, s:f}", "config", config, "src_vocab",
                     (json_int_t)src_vocab, "tgt_vocab", (json_int_t)tgt_vocab, "threads", threads, "length",
                     (json_int_t)length, "batch", (json_int_t)spec->batch, "tokens", (json_int_t)spec->tokens,
                     "forward", spec->forward, "backward", spec->backward, "decode", spec->decode, "warmup",
                     spec->warmup, "repeats", spec->repeats, "max_seconds", spec->max_seconds);
}

static rv_status answer(json_t *request, json_t *cells) {
    const char *text;
    json_int_t src_vocab, tgt_vocab, length, batch, tokens;
    int threads, forward, backward, decode;
    rv_cost_spec spec = {0};
    if (json_unpack(request, "{s:s, s:I, s:I, s:i, s:I, s:I, s:I, s:b, s:b, s:b, s:i, s:i, s:F}", "config", &text,
                    "src_vocab", &src_vocab, "tgt_vocab", &tgt_vocab, "threads", &threads, "length", &length, "batch",
                    &batch, "tokens", &tokens, "forward", &forward, "backward", &backward, "decode", &decode, "warmup",
                    &spec.warmup, "repeats", &spec.repeats, "max_seconds", &spec.max_seconds))
        return rv_error(RV_EUSAGE, "no request to measure on standard input; this is for 'ravel compare' to start");
    spec.batch = batch, spec.tokens = tokens;
    spec.forward = forward, spec.backward = backward, spec.decode = decode;
    rv_config *config;
    RV_TRY(rv_config_parse("experiment", text, strlen(text), 0, NULL, &config));
    rv_set_threads(threads);
    const rv_status status = rv_cost_measure(config, src_vocab, tgt_vocab, &spec, length, cells);
    rv_config_destroy(config);
    return status;
}

rv_status rv_cost_serve(FILE *in, FILE *out) {
    json_t *request = json_loadf(in, JSON_DISABLE_EOF_CHECK, NULL), *cells = json_array();
    rv_status status =
        request && cells
            ? answer(request, cells)
            : rv_error(RV_EUSAGE, "no request to measure on standard input; this is for 'ravel compare' to start");
    json_t *reply = status == RV_OK ? json_pack("{s:O}", "cells", cells)
                                    : json_pack("{s:i, s:s}", "status", (int)status, "message", rv_error_message());
    if (json_dumpf(reply, out, JSON_REAL_PRECISION(15)) || fflush(out))
        status = rv_error(RV_EINTERNAL, "cannot answer: %s", strerror(errno));
    json_decref(reply);
    json_decref(request);
    json_decref(cells);
    return status;
}

/* ---- the process */

typedef struct {
    pid_t pid;
    int to, from;
} child;

static rv_status start(const char *self, child *c) {
    int in[2], out[2];
    char *argv[] = {(char *)"ravel", (char *)"compare", (char *)"--cost-worker", NULL};
    if (pipe2(in, O_CLOEXEC))
        return rv_error(RV_EINTERNAL, "cannot start a process to measure in: %s", strerror(errno));
    if (pipe2(out, O_CLOEXEC)) {
        close(in[0]);
        close(in[1]);
        return rv_error(RV_EINTERNAL, "cannot start a process to measure in: %s", strerror(errno));
    }
    posix_spawn_file_actions_t to;
    posix_spawn_file_actions_init(&to);
    posix_spawn_file_actions_adddup2(&to, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&to, out[1], STDOUT_FILENO);
    const int error = posix_spawn(&c->pid, self, &to, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&to);
    close(in[0]);
    close(out[1]);
    c->to = in[1];
    c->from = out[0];
    if (!error) return RV_OK;
    close(c->to);
    close(c->from);
    return rv_error(RV_EINTERNAL, "cannot start %s to measure in: %s", self, strerror(error));
}

/* The child's answer, or why there is none. */
static rv_status ask(const char *self, json_t *request, json_t **reply) {
    child c;
    RV_TRY(start(self, &c));
    FILE *to = fdopen(c.to, "w"), *from = fdopen(c.from, "r");
    void (*old)(int) = signal(SIGPIPE, SIG_IGN); /* it may have ended */
    bool sent = to && json_dumpf(request, to, 0) == 0;
    if (to ? fclose(to) : close(c.to)) sent = false;
    signal(SIGPIPE, old);
    *reply = sent && from ? json_loadf(from, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (from)
        fclose(from);
    else
        close(c.from);
    int ended = 0;
    while (waitpid(c.pid, &ended, 0) < 0 && errno == EINTR) continue;
    if (*reply) return RV_OK;
    RV_TRY(rv_stop_requested());
    if (WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL)
        return rv_error(RV_ENOMEM,
                        "the process that measured was killed; most likely the machine has too little memory");
    return rv_error(RV_EINTERNAL, "the process that measured ended early (%s %d); what it said is above",
                    WIFSIGNALED(ended) ? "signal" : "exit code",
                    WIFSIGNALED(ended) ? WTERMSIG(ended) : WEXITSTATUS(ended));
}

static rv_status measure(const char *self, json_t *request, json_t *cells) {
    json_t *reply, *cell;
    size_t i;
    RV_TRY(ask(self, request, &reply));
    json_t *found = json_object_get(reply, "cells");
    const char *message = json_string_value(json_object_get(reply, "message"));
    const int status = (int)json_integer_value(json_object_get(reply, "status"));
    rv_status result = found ? RV_OK
                             : rv_error(status > RV_OK && status <= RV_EINT ? (rv_status)status : RV_EINTERNAL, "%s",
                                        message ? message : "the measurement gave no answer");
    json_array_foreach (found, i, cell)
        if (result == RV_OK && json_array_append(cells, cell)) result = rv_error(RV_ENOMEM, "out of memory");
    json_decref(reply);
    return result;
}

/* ---- all of them */

static rv_status measure_all(const char *config, const char *model, int64_t src_vocab, int64_t tgt_vocab,
                             const rv_cost_spec *spec, const char *self, json_t *cells) {
    for (int k = 0; k < spec->n_threads * spec->n_lengths; k++) {
        const int threads = spec->threads[k / spec->n_lengths];
        const int64_t length = spec->length[k % spec->n_lengths];
        RV_TRY(rv_stop_requested());
        json_t *request = make_request(config, src_vocab, tgt_vocab, spec, threads, length);
        const rv_status status = request ? measure(self, request, cells) : rv_error(RV_ENOMEM, "out of memory");
        json_decref(request);
        if (status == RV_ENOMEM)
            rv_warn("%s, length %lld, %d threads: not measured: %s", model, (long long)length, threads,
                    rv_error_message());
        else if (status != RV_OK)
            return rv_error_context(status, "cost of %s, length %lld, %d threads: ", model, (long long)length, threads);
    }
    return RV_OK;
}

/* CPU seconds that the whole machine has spent, less those of this process and what it started; NaN where that is not
 * told. */
static double work_of_others(void) {
    double busy[8] = {0}, ours = 0;
    FILE *f = fopen("/proc/stat", "r");
    const bool read = f && fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &busy[0], &busy[1], &busy[2], &busy[3],
                                  &busy[4], &busy[5], &busy[6], &busy[7]) == 8;
    if (f) fclose(f);
    if (!read) return NAN;
    for (int who = 0; who < 2; who++) {
        struct rusage r;
        if (getrusage(who ? RUSAGE_CHILDREN : RUSAGE_SELF, &r)) return NAN;
        ours +=
            (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    }
    return (busy[0] + busy[1] + busy[2] + busy[5] + busy[6] + busy[7]) / (double)sysconf(_SC_CLK_TCK) - ours;
}

static rv_status save(const json_t *document, const char *path) {
    char folder[RV__PATH];
    RV_TRY(rv__path(folder, "%s", path));
    RV_TRY(rv__make_folders(dirname(folder)));
    return rv_json_write(document, path);
}

rv_status rv_cost_run(const rv_config *config, const char *model, int64_t src_vocab, int64_t tgt_vocab,
                      const rv_cost_spec *spec, const char *path, const char *self) {
    int64_t parameters;
    RV_TRY(rv_cost_parameters(config, src_vocab, tgt_vocab, &parameters));
    char *text = rv_config_resolved(config);
    if (!text) return RV_ENOMEM;
    json_t *cells = json_array();
    const double others = work_of_others(), begun = rv_now();
    rv_status status = measure_all(text, model, src_vocab, tgt_vocab, spec, self, cells);
    const double other_work = (work_of_others() - others) / (rv_now() - begun);
    json_t *document =
        status == RV_OK
            ? json_pack("{s:s, s:I, s:o, s:o, s:o, s:O}", "model", model, "parameters", (json_int_t)parameters, "batch",
                        spec->batch ? json_integer(spec->batch) : json_null(), "tokens",
                        spec->batch ? json_null() : json_integer(spec->tokens), "other_work",
                        isfinite(other_work) ? json_real(other_work > 0 ? other_work : 0) : json_null(), "cells", cells)
            : NULL;
    if (status == RV_OK) status = document ? save(document, path) : rv_error(RV_ENOMEM, "out of memory");
    json_decref(document);
    json_decref(cells);
    free(text);
    return status;
}

/* ravel bench: the fixed workloads, alone or in alternation with a peer. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peer.h"
#include "bench/workload.h"
#include "bench/ops.h"
#include "kernels/peak.h"
#include "tool.h"

enum { MAX_NAMES = 32, MAX_THREADS = 16, MAX_STEPS = 4096 };

typedef struct {
    const char *names[MAX_NAMES], *peer;
    int n_names, threads[MAX_THREADS], n_threads;
    double seconds;
    bool json, tiny, ops;
} arguments;

static const struct argp_option options[] = {
    {"threads", 't', "N,M,...", 0, "Numbers of threads to measure (default: all cores)", 0},
    {"peer", 'p', "pytorch", 0, "Run PyTorch on identical work in alternation, and print the ratio", 0},
    {"seconds", 's', "S", 0, "Time to measure each for (default 4)", 0},
    {"tiny", 'T', 0, 0, "The workloads shrunk to d=32, B=4, T=8: what a step costs beside arithmetic", 0},
    {"ops", 'o', 0, 0, "Time every op's sample cases instead", 0},
    {"json", 'j', 0, 0, "Print JSON", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    char *end = arg;
    switch (key) {
    case 'p':
        if (strcmp(arg, "pytorch")) argp_error(state, "unknown peer '%s'; there is pytorch", arg);
        a->peer = arg;
        return 0;
    case 's':
        a->seconds = strtod(arg, &end);
        if (*end || !(a->seconds > 0)) argp_error(state, "--seconds takes a positive number, not '%s'", arg);
        return 0;
    case 'T': a->tiny = true; return 0;
    case 'o': a->ops = true; return 0;
    case 'j': a->json = true; return 0;
    case 't':
        do {
            long n = strtol(end, &end, 10);
            if (n < 1 || n > 1024 || (*end && *end != ',') || a->n_threads == MAX_THREADS) argp_error(state, "--threads takes numbers like 1,2, not '%s'", arg);
            a->threads[a->n_threads++] = (int)n;
        } while (*end++ == ',');
        return 0;
    case ARGP_KEY_ARG:
        if (a->n_names == MAX_NAMES) argp_error(state, "too many workloads");
        a->names[a->n_names++] = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *v, int n, double q) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    double at = q * (n - 1);
    int i = (int)at;
    return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[i];
}

typedef struct {
    const rv_workload *w;
    int threads, steps;
    double ms, p10, p90, phase_ms[RV_PHASES], gflops, share, mb, loss, peer_ms, ratio;
    int64_t params;
} row;

/* Steps of ours and the peer's in turn, a few each, until the time is over. */
static rv_status measure(const arguments *a, const rv_workload *w, int threads, double peak, row *out) {
    static double ours[MAX_STEPS], theirs[MAX_STEPS], phases[RV_PHASES][MAX_STEPS];
    rv_workload_run *run = NULL;
    rv_peer *peer = NULL;
    double s[RV_PHASES];
    int n = 0, m = 0;
    rv_set_threads(threads);
    RV_TRY(rv__workload_open(w, &run));
    rv_status status = a->peer ? rv__peer_start(w->name, threads, a->tiny, &peer) : RV_OK;
    for (int i = 0; i < 3 && status == RV_OK; i++) status = rv__workload_step(run, s);
    double t0 = rv_now();
    while (status == RV_OK && n < MAX_STEPS && m < MAX_STEPS && (n < 5 || rv_now() - t0 < a->seconds * (a->peer ? 2 : 1))) {
        double begin = rv_now();
        int before = n;
        do {
            status = rv__workload_step(run, s);
            ours[n] = 0;
            for (int p = 0; p < RV_PHASES; p++) ours[n] += phases[p][n] = s[p] * 1e3;
            n++;
        } while (status == RV_OK && n < MAX_STEPS && rv_now() - begin < 0.3);
        int turn = n - before > MAX_STEPS - m ? MAX_STEPS - m : n - before, got = 0;
        if (peer && status == RV_OK) status = rv__peer_steps(peer, turn, theirs + m, &got);
        m += got;
    }
    if (status == RV_OK) {
        *out = (row){.w = w, .threads = threads, .steps = n, .loss = rv__workload_loss(run), .params = rv__workload_params(run)};
        for (int p = 0; p < RV_PHASES; p++) out->phase_ms[p] = quantile(phases[p], n, 0.5);
        out->ms = quantile(ours, n, 0.5);
        out->p10 = quantile(ours, n, 0.1);
        out->p90 = quantile(ours, n, 0.9);
        out->gflops = rv__workload_flops(run) / out->ms * 1e-6;
        out->share = out->gflops / peak;
        out->mb = (double)rv__workload_bytes(run) / 1048576.;
        if (m) out->peer_ms = quantile(theirs, m, 0.5), out->ratio = out->peer_ms / out->ms;
    }
    if (peer) rv__peer_stop(peer);
    rv__workload_close(run);
    return status;
}

static void print_head(const arguments *a) {
    printf("%-18s %3s %9s %17s %8s %8s %6s %6s %9s %7s %6s", "workload", "thr", "ms/step", "(10%..90%)", "forward", "backward", "clip", "optim", "tokens/s", "GFLOP/s", "peak%");
    printf(a->peer ? " %7s %9s %6s\n" : " %7s\n", "MB", "pytorch", "ratio");
}

static void print_row(const arguments *a, const row *r) {
    char spread[32];
    snprintf(spread, sizeof spread, "(%.4g..%.4g)", r->p10, r->p90);
    printf("%-18s %3d %9.4g %17s %8.4g %8.4g %6.3g %6.3g %9.0f %7.1f %6.1f %7.1f", r->w->name, r->threads, r->ms, spread, r->phase_ms[0], r->phase_ms[1],
           r->phase_ms[2], r->phase_ms[3], (double)(r->w->B * r->w->T) / r->ms * 1e3, r->gflops, 100 * r->share, r->mb);
    if (a->peer) printf(" %9.4g %5.2fx", r->peer_ms, r->ratio);
    putchar('\n');
    fflush(stdout);
}

static json_t *json_row(const row *r) {
    json_t *o = json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:I}", "workload", r->w->name, "threads", r->threads, "ms",
                          r->ms, "ms_p10", r->p10, "ms_p90", r->p90, "forward_ms", r->phase_ms[0], "backward_ms", r->phase_ms[1], "clip_ms", r->phase_ms[2],
                          "optimiser_ms", r->phase_ms[3], "tokens_per_second", (double)(r->w->B * r->w->T) / r->ms * 1e3, "gflops", r->gflops,
                          "share_of_peak", r->share, "peak_mb", r->mb, "loss", r->loss, "steps", r->steps, "parameters", (json_int_t)r->params);
    if (r->ratio > 0) {
        json_object_set_new(o, "peer_ms", json_real(r->peer_ms));
        json_object_set_new(o, "ratio", json_real(r->ratio));
    }
    return o;
}

static bool wanted(const arguments *a, const char *name) {
    for (int i = 0; i < a->n_names; i++)
        if (!strcmp(a->names[i], name) || !strcmp(a->names[i], "all")) return true;
    return false;
}

static rv_status check_names(const arguments *a) {
    char known[512] = "";
    for (const rv_workload *w = rv__workloads(a->tiny); w->name; w++) {
        size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, " %s", w->name);
    }
    if (!a->n_names) return rv_error(RV_EUSAGE, "name workloads, or all; there are:%s", known);
    for (int i = 0; i < a->n_names; i++) {
        bool found = !strcmp(a->names[i], "all");
        for (const rv_workload *w = rv__workloads(a->tiny); w->name; w++) found |= !strcmp(w->name, a->names[i]);
        if (!found) return rv_error(RV_EUSAGE, "unknown workload '%s'; there are:%s", a->names[i], known);
    }
    return RV_OK;
}

static rv_status bench(const arguments *a) {
    RV_TRY(check_names(a));
    json_t *rows = json_array();
    double log_ratio = 0;
    int n = 0;
    rv_status status = RV_OK;
    if (!a->json) print_head(a);
    for (int t = 0; t < a->n_threads && status == RV_OK; t++) {
        double peak = rv_peak_gflops(a->threads[t]);
        for (const rv_workload *w = rv__workloads(a->tiny); w->name && status == RV_OK; w++) {
            row r = {0};
            if (!wanted(a, w->name)) continue;
            status = measure(a, w, a->threads[t], peak, &r);
            if (status != RV_OK) break;
            if (a->json) json_array_append_new(rows, json_row(&r));
            else print_row(a, &r);
            if (r.ratio > 0) log_ratio += log(r.ratio), n++;
        }
    }
    double mean = n ? exp(log_ratio / n) : 0;
    if (a->json) {
        json_t *o = json_pack("{s:O}", "workloads", rows);
        if (n) json_object_set_new(o, "geometric_mean_ratio", json_real(mean));
        json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(o);
    } else if (n) {
        printf("geometric mean of the ratios (peer's time / ravel's): %.2fx\n", mean);
    }
    json_decref(rows);
    return status;
}

int rv_cmd_bench(int argc, char **argv) {
    char doc[1024] = "Time training steps of the fixed workloads: zero gradients, forward, loss, backward, clip, Adam.\vWorkloads:";
    size_t used = strlen(doc);
    for (const rv_workload *w = rv__workloads(false); w->name; w++) used += (size_t)snprintf(doc + used, sizeof doc - used, " %s", w->name);
    snprintf(doc + used, sizeof doc - used,
             "\nMedians over steps. peak%% is the share of the FMA peak measured in the same run.\n\n"
             "examples:\n"
             "  ravel bench lstm_lm gpt_char --threads 1,2\n"
             "  ravel bench all --peer pytorch --json");
    const struct argp argp = {options, parse, "WORKLOAD...|all", doc, 0, 0, 0};
    arguments a = {.seconds = 4};
    rv__tool_parse(&argp, argc, argv, &a);
    if (!a.n_threads) {
        rv_set_threads(0);
        a.threads[a.n_threads++] = rv_threads();
    }
    return rv__tool_finish(a.ops ? rv__bench_ops(stdout) : bench(&a));
}

/* ravel bench: the fixed workloads, alone or in alternation with a peer; kernels beside other libraries; scaling. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kernels.h"
#include "bench/ops.h"
#include "bench/scaling.h"
#include "bench/server.h"
#include "bench/table.h"
#include "tool.h"

enum { MAX_NAMES = 32, MAX_THREADS = 16, OPT_SERVE = 1000, OPT_MARKDOWN, OPT_KERNELS, OPT_SCALING, OPT_SVG, OPT_HASH };

typedef struct {
    const char *names[MAX_NAMES];
    int threads[MAX_THREADS];
    bool ops, serve, kernels, scaling;
    const char *svg;
    int64_t hash; /* steps after which bits are shown, 0 if times are */
    rv_table_options table;
} arguments;

static const struct argp_option options[] = {
    {"threads", 't', "N,M,...", 0, "Numbers of threads to measure (default: all cores)", 0},
    {"peer", 'p', "pytorch", 0, "Run PyTorch on identical work in alternation, and print the ratio", 0},
    {"seconds", 's', "S", 0, "Time to measure each for (default 4; kernels 0.1, scaling 0.5)", 0},
    {"tiny", 'T', 0, 0, "The workloads shrunk to d=32, B=4, T=8: what a step costs beside arithmetic", 0},
    {"kernels", OPT_KERNELS, 0, 0,
     "Time matrix products and other kernels instead, beside OpenBLAS, BLIS and oneDNN where they are installed, and "
     "what the machine could do",
     0},
    {"scaling", OPT_SCALING, 0, 0,
     "Time an LSTM layer and a self-attention layer of the same width on sequences of 16 to 2048 instead", 0},
    {"svg", OPT_SVG, "FILE", 0, "With --scaling: draw it", 0},
    {"hash", OPT_HASH, "STEPS", 0,
     "No times: the loss after so many steps, and a hash of parameters and results, the same at every number of "
     "threads",
     0},
    {"ops", 'o', 0, 0, "Time every op's sample cases instead", 0},
    {"json", 'j', 0, 0, "Print JSON", 0},
    {"markdown", OPT_MARKDOWN, 0, 0, "Print the tables of a README", 0},
    {"serve", OPT_SERVE, 0, OPTION_HIDDEN, "Run steps of one workload as standard input asks", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    arguments *a = state->input;
    rv_table_options *o = &a->table;
    switch (key) {
    case 'p':
        if (strcmp(arg, "pytorch")) argp_error(state, "unknown peer '%s'; there is pytorch", arg);
        o->peer = true;
        return 0;
    case 's':
        if (sscanf(arg, "%lf%c", &o->seconds, &(char){0}) != 1 || !(o->seconds > 0 && o->seconds <= 3600))
            argp_error(state, "--seconds takes a number above 0, up to 3600, not '%s'", arg);
        return 0;
    case 'T': o->tiny = true; return 0;
    case 'o': a->ops = true; return 0;
    case 'j': o->format = RV_TABLE_JSON; return 0;
    case OPT_MARKDOWN: o->format = RV_TABLE_MARKDOWN; return 0;
    case OPT_KERNELS: a->kernels = true; return 0;
    case OPT_SCALING: a->scaling = true; return 0;
    case OPT_SVG: a->svg = arg; return 0;
    case OPT_HASH: rv__tool_wholes(arg, "--hash", 1, 1000000, false, &a->hash, state); return 0;
    case OPT_SERVE: a->serve = true; return 0;
    case 't': {
        int64_t threads[MAX_THREADS];
        o->n_threads = rv__tool_wholes(arg, "--threads", MAX_THREADS, 1024, false, threads, state);
        for (int i = 0; i < o->n_threads; i++) a->threads[i] = (int)threads[i];
        return 0;
    }
    case ARGP_KEY_ARG:
        if (o->n_names == MAX_NAMES) argp_error(state, "too many workloads");
        a->names[o->n_names++] = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static rv_status serve(const arguments *a) {
    for (const rv_workload *w = rv__workloads(a->table.tiny); w->name && a->table.n_names == 1; w++)
        if (!strcmp(w->name, a->names[0])) return rv__serve(w, a->threads[0]);
    return rv_error(RV_EUSAGE, "--serve takes one workload");
}

static rv_status hash_one(const rv_workload *w, int64_t steps) {
    rv_workload_run *r;
    double seconds[RV_PHASES];
    char hash[RV_CK_HASH_TEXT];
    RV_TRY(rv__workload_open(w, &r));
    rv_status status = RV_OK;
    for (int64_t i = 0; i < steps && status == RV_OK; i++) status = rv__workload_step(r, seconds);
    if (status == RV_OK) status = rv__workload_hash(r, hash);
    if (status == RV_OK) printf("%-18s %.9g %s\n", w->name, rv__workload_loss(r), hash);
    rv__workload_close(r);
    return status;
}

static rv_status hash(const arguments *a) {
    RV_TRY(rv__table_check_names(&a->table));
    rv_set_threads(a->threads[0]);
    for (const rv_workload *w = rv__workloads(a->table.tiny); w->name; w++)
        if (rv__table_wants(&a->table, w->name)) RV_TRY(hash_one(w, a->hash));
    return RV_OK;
}

int rv_cmd_bench(int argc, char **argv) {
    char doc[2048] = "Time training steps of the fixed workloads: zero gradients, forward, loss, backward, clip, Adam; "
                     "or decoding (*_greedy, *_beam5).\vWorkloads:";
    size_t used = strlen(doc);
    for (const rv_workload *w = rv__workloads(false); w->name; w++)
        used += (size_t)snprintf(doc + used, sizeof doc - used, " %s", w->name);
    snprintf(doc + used, sizeof doc - used,
             "\nMedians over steps. Each workload runs in a process of its own: MB is the most memory it had. peak%% "
             "is the share of the FMA peak "
             "measured in the same run; allocs counts calls of malloc and its kin in a step.\n\n"
             "examples:\n"
             "  ravel bench lstm_lm gpt_char --threads 1,2\n"
             "  ravel bench all --threads 1,2 --peer pytorch --json\n"
             "  ravel bench --kernels --threads 1\n"
             "  ravel bench all --hash 2\n"
             "  ravel bench --scaling --threads 1,2 --svg scaling.svg");
    const struct argp argp = {options, parse, "WORKLOAD...|all", doc, 0, 0, 0};
    static arguments a = {0};
    a.table.names = a.names;
    a.table.threads = a.threads;
    rv__tool_parse(&argp, argc, argv, &a);
    if (!(a.table.seconds > 0)) a.table.seconds = a.kernels ? 0.1 : a.scaling ? 0.5 : 4;
    if (!a.table.n_threads) {
        rv_set_threads(0);
        a.threads[a.table.n_threads++] = rv_threads();
    }
    return rv__tool_finish(
        a.serve     ? serve(&a)
        : a.hash    ? hash(&a)
        : a.ops     ? rv__bench_ops(stdout)
        : a.kernels ? rv__kernels_run(a.table.n_threads, a.threads, a.table.seconds, a.table.tiny, a.table.format)
        : a.scaling
            ? rv__scaling_run(a.table.n_threads, a.threads, a.table.seconds, a.table.tiny, a.table.format, a.svg)
            : rv__table_run(&a.table));
}

#include "kernels.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/peak.h"
#include "kernels/update.h"
#include "ravel.h"
#include "rivals.h"
#include "timing.h"

enum { MAX_ROUNDS = 1000, LEVELS = 40, LARGEST = 24000000 /* elements of an operand */, GEMM_WAYS = 4 };
#define TINY 2e7 /* FLOPs of the largest shape taken then */

/* What limits a kernel: no time is shorter than flops / peak, nor than bytes / bandwidth, where bytes are those that
 * must be moved at least, and the bandwidth is that of a working set of this size. */
typedef struct {
    char kernel[24], shape[64];
    int threads;
    double us, flops, bytes;
    double rival_us[RV_RIVALS];
} row;

typedef struct {
    int threads;
    bool tiny;
    rv_bench_format format;
    double seconds, peak, bandwidth[LEVELS]; /* of working sets of 2^i bytes; 0: not yet measured */
    int rivals;
    rv_rival rival[RV_RIVALS];
    rv_real *a, *b, *c, *d; /* LARGEST elements each */
    json_t *rows;
    int done, total;
} session;

/* ---- rooflines */

static double bandwidth(session *s, double bytes) {
    int level = (int)fmin(fmax(round(log2(bytes)), 14), 27);
    if (s->bandwidth[level] == 0)
        s->bandwidth[level] = rv_peak_bandwidth(s->threads, (1ll << level) / 2 / (int64_t)sizeof(rv_real), s->a, s->b);
    return s->bandwidth[level];
}

static void report(session *s, const row *r) {
    const double compute = r->flops / s->peak * 1e-3, memory = r->bytes / bandwidth(s, r->bytes) * 1e-3; /* us */
    const double bound = fmax(compute, memory);
    const char *limit = compute >= memory ? "compute" : "bandwidth";
    json_array_append_new(s->rows, json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:s, s:f, s:f}", "kernel", r->kernel,
                                             "shape", r->shape, "threads", r->threads, "us", r->us, "gflops",
                                             r->flops / r->us * 1e-3, "gb_per_second", r->bytes / r->us * 1e-3, "bound",
                                             limit, "bound_us", bound, "share_of_bound", bound / r->us));
    json_t *o = json_array_get(s->rows, json_array_size(s->rows) - 1);
    for (int i = 0; i < s->rivals && r->rival_us[i] > 0; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_us", s->rival[i].name);
        json_object_set_new(o, key, json_real(r->rival_us[i]));
    }
    s->done++;
    if (s->format == RV_TABLE_JSON) return;
    rv__progress(s->total, s->total, "");
    const bool md = s->format == RV_TABLE_MARKDOWN, by_flops = compute >= memory;
    const double amount = by_flops ? r->flops : r->bytes;
    printf(md ? "| %s | %s | %d | %.4g | %.4g %s | %.0f %% |" : "%-20s %-26s %3d %10.4g %8.4g %-7s %4.0f%%", r->kernel,
           r->shape, r->threads, r->us, amount / r->us * 1e-3, by_flops ? "GFLOP/s" : "GB/s", 100 * bound / r->us);
    for (int i = 0; i < s->rivals; i++) {
        if (r->rival_us[i] > 0)
            printf(md ? " %.0f %% |" : " %8.0f%%", 100 * bound / r->rival_us[i]);
        else
            printf(md ? " |" : " %9s", "");
    }
    putchar('\n');
    fflush(stdout);
}

static void head(const session *s) {
    if (s->format == RV_TABLE_JSON) return;
    const bool md = s->format == RV_TABLE_MARKDOWN;
    printf(md ? "| kernel | shape | threads | us | rate | of its bound |" : "%-20s %-26s %3s %10s %16s %5s", "kernel",
           "shape", "thr", "us", "rate", "bound");
    for (int i = 0; i < s->rivals; i++) printf(md ? " %s |" : " %9s", s->rival[i].name);
    putchar('\n');
    for (int i = 0; md && i < 6 + s->rivals; i++) printf("|---%s", i == 5 + s->rivals ? "|\n" : "");
}

/* ---- matrix products */

typedef struct {
    const char *use;
    int64_t m, k, n, batch;
    bool packed; /* its users keep B packed */
} product;
static const product products[] = {
    {"LSTM step", 32, 512, 2048, 1, true},       {"LSTM step", 64, 512, 2048, 1, true},
    {"LSTM step", 32, 256, 1024, 1, true},       {"feed-forward", 2048, 256, 1024, 1, false},
    {"feed-forward", 4096, 512, 2048, 1, false}, {"projection", 1024, 256, 256, 1, false},
    {"logits", 2048, 256, 10000, 1, true},       {"attention", 64, 64, 64, 256, false},
    {"attention", 128, 64, 128, 256, false},     {"attention", 24, 64, 24, 256, false},
    {"decoding", 1, 512, 2048, 1, true},         {"decoding", 1, 384, 1536, 1, true},
    {"decoding", 8, 384, 1536, 1, true},         {"tiny", 4, 32, 128, 1, true},
};
enum { PRODUCTS = sizeof products / sizeof *products };

typedef struct {
    rv_gemm g;
    const rv_rival *rival; /* NULL: ravel */
} call;

static void run_call(const call *c) {
    if (!c->rival) {
        rv_gemm_run(&c->g);
        return;
    }
    rv_gemm one = c->g;
    for (int64_t i = 0; i < c->g.batch; i++, one.a += one.stride_a, one.b += one.stride_b, one.c += one.stride_c)
        c->rival->gemm(&one);
}

/* Each in turn, some calls at a time that together take 0.2 ms or more; medians in us per call. */
static void time_calls(const session *s, int n, const call *c, double *us) {
    static double took[RV_RIVALS + 1][MAX_ROUNDS];
    int repeats[RV_RIVALS + 1], rounds = 0;
    for (int i = 0; i < n; i++) {
        run_call(&c[i]);
        const double t = rv_now();
        run_call(&c[i]);
        repeats[i] = (int)fmin(1 + 2e-4 / fmax(rv_now() - t, 1e-7), 1000);
    }
    for (double begin = rv_now(); rounds < MAX_ROUNDS && (rounds < 5 || rv_now() - begin < s->seconds * n);) {
        for (int i = 0; i < n; i++) {
            const double t = rv_now();
            for (int k = 0; k < repeats[i]; k++) run_call(&c[i]);
            took[i][rounds] = (rv_now() - t) / repeats[i] * 1e6;
        }
        rounds++;
    }
    for (int i = 0; i < n; i++) us[i] = rv__quantile(took[i], rounds, 0.5);
}

static void fill(rv_real *x, int64_t n) {
    rv_rng rng = rv_rng_make(1, "kernels", (uint64_t)n);
    for (int64_t i = 0; i < n; i++) x[i] = (rv_real)(2 * rv_rng_uniform(&rng) - 1);
}

/* A rival that was called wrongly would make a fine picture. */
static rv_status compare(const call *rival, const rv_real *expected, int64_t n) {
    double worst = 0;
    run_call(rival);
    for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)(rival->g.c[i] - expected[i])));
    if (worst <= 1e-5 * (double)rival->g.k) return RV_OK;
    return rv_error(RV_EINTERNAL, "%s differs by %g from ravel in a product with k = %lld", rival->rival->name, worst,
                    (long long)rival->g.k);
}

static double product_flops(const product *p) { return 2. * (double)(p->m * p->n * p->k * p->batch); }
static int product_rows(const product *p, bool tiny) {
    return tiny && product_flops(p) > TINY ? 0 : GEMM_WAYS - !p->packed;
}

static rv_status bench_product(session *s, const product *p) {
    static const char *const ways[GEMM_WAYS] = {"NN", "NT", "TN", "NT packed"};
    for (int way = 0; way < GEMM_WAYS; way++) {
        const bool ta = way == 2, tb = way == 1 || way == 3, packed = way == 3;
        if (way >= product_rows(p, s->tiny)) break;
        rv_gemm g = {.ta = ta,
                     .tb = tb,
                     .m = p->m,
                     .n = p->n,
                     .k = p->k,
                     .a = s->a,
                     .b = s->b,
                     .c = s->c,
                     .lda = ta ? p->m : p->k,
                     .ldb = tb ? p->k : p->n,
                     .ldc = p->n,
                     .batch = p->batch,
                     .stride_a = p->m * p->k,
                     .stride_b = p->k * p->n,
                     .stride_c = p->m * p->n};
        fill(s->a, p->batch * p->m * p->k);
        fill(s->b, p->batch * p->k * p->n);
        call calls[1 + RV_RIVALS] = {{g, NULL}};
        int n = 1;
        rv_gemm_run(&g);
        for (int i = 0; i < s->rivals && !packed; i++, n++) {
            calls[n] = (call){g, &s->rival[i]};
            calls[n].g.c = s->d;
            RV_TRY(compare(&calls[n], s->c, p->batch * p->m * p->n));
        }
        if (packed) {
            rv_gemm_pack_b(true, p->n, p->k, s->b, p->k, s->d);
            calls[0].g.packed_b = s->d;
        }
        double us[1 + RV_RIVALS];
        row r = {.threads = s->threads,
                 .flops = product_flops(p),
                 .bytes = (double)sizeof(rv_real) * (double)((p->m * p->k + p->k * p->n + p->m * p->n) * p->batch)};
        snprintf(r.kernel, sizeof r.kernel, "gemm %s", ways[way]);
        char times[16] = "";
        if (p->batch > 1) snprintf(times, sizeof times, " x%d", (int)p->batch);
        snprintf(r.shape, sizeof r.shape, "%s %dx%dx%d%s", p->use, (int)p->m, (int)p->k, (int)p->n, times);
        char now[96];
        snprintf(now, sizeof now, "%s, %s", r.kernel, r.shape);
        rv__progress(s->done, s->total, now);
        time_calls(s, n, calls, us);
        r.us = us[0];
        memcpy(r.rival_us, us + 1, (size_t)(n - 1) * sizeof *us);
        report(s, &r);
    }
    return RV_OK;
}

/* ---- operations: forward and backward */

typedef struct operation operation;
struct operation {
    const char *name;
    rv_tensor *(*build)(rv_tape *, const operation *);
    int64_t rows, width, batch; /* rows x width elements; sequences: rows steps of batch rows */
    int detail;                 /* cell or heads */
    double flops[2], bytes[2];  /* forward and backward, per element (rows x width x batch) */
};

static rv_tensor *matrix(rv_tape *t, const operation *o) {
    return rv_sample_leaf(t, -1, 1, 2, (const int64_t[]){o->rows, o->width});
}
static rv_tensor *op_exp(rv_tape *t, const operation *o) { return rv_exp(t, matrix(t, o)); }
static rv_tensor *op_tanh(rv_tape *t, const operation *o) { return rv_tanh(t, matrix(t, o)); }
static rv_tensor *op_sigmoid(rv_tape *t, const operation *o) { return rv_sigmoid(t, matrix(t, o)); }
static rv_tensor *op_gelu(rv_tape *t, const operation *o) { return rv_gelu(t, matrix(t, o)); }
static rv_tensor *op_softmax(rv_tape *t, const operation *o) { return rv_softmax(t, matrix(t, o)); }
static rv_tensor *op_dropout(rv_tape *t, const operation *o) { return rv_dropout(t, matrix(t, o), 0.1); }
static rv_tensor *op_layer_norm(rv_tape *t, const operation *o) {
    rv_tensor *x = matrix(t, o), *gamma = rv_sample_leaf(t, 0.5, 1.5, 1, &o->width),
              *beta = rv_sample_leaf(t, -1, 1, 1, &o->width);
    return rv_layer_norm(t, x, gamma, beta, 1e-5);
}
static rv_tensor *op_attention(rv_tape *t, const operation *o) {
    rv_tensor *qkv = rv_sample_leaf(t, -1, 1, 3, (const int64_t[]){o->batch, o->rows, 3 * o->width});
    return rv_self_attention(t, qkv, &(rv_attention_spec){.heads = o->detail, .causal = true});
}
static rv_tensor *op_recurrent(rv_tape *t, const operation *o) {
    const int64_t H = o->width, G = rv_cell_gates((rv_cell)o->detail);
    rv_tensor *x = rv_sample_leaf(t, -1, 1, 3, (const int64_t[]){o->rows, o->batch, H});
    rv_tensor *w = rv_sample_leaf(t, -0.05, 0.05, 2, (const int64_t[]){G * H, H}),
              *u = rv_sample_leaf(t, -0.05, 0.05, 2, (const int64_t[]){G * H, H});
    rv_tensor *b = rv_sample_leaf(t, -0.05, 0.05, 1, (const int64_t[]){G * H}),
              *c = rv_sample_leaf(t, -0.05, 0.05, 1, (const int64_t[]){G * H});
    return rv_recurrent(t, (rv_cell)o->detail, x, w, u, b, c, NULL, NULL, NULL, false).y;
}

static rv_tensor *op_crf(rv_tape *t, const operation *o) {
    static int32_t tags[64 * 64], lengths[64];
    const int64_t T = o->rows, B = o->batch, K = o->width;
    for (int64_t i = 0; i < B * T; i++) tags[i] = (int32_t)(i * i % K);
    for (int64_t b = 0; b < B; b++) lengths[b] = (int32_t)T;
    return rv_crf(t, &(rv_crf_spec){.emissions = rv_sample_leaf(t, -2, 2, 3, (const int64_t[]){B, T, K}),
                                    .transition = rv_sample_leaf(t, -1, 1, 2, (const int64_t[]){K, K}),
                                    .start = rv_sample_leaf(t, -1, 1, 1, &K),
                                    .stop = rv_sample_leaf(t, -1, 1, 1, &K),
                                    .tags = tags,
                                    .lengths = lengths});
}

/* A product of a layer does 4 H flops forward per element of H, gate and matrix; twice that backward. Attention does 4
 * T per element, and half of it where it is causal. */
#define LAYER(gates, H)                                                                                                \
    {4. * (gates) * (H), 8. * (gates) * (H)}, { 4. * (2 + (gates)), 4. * (4 + 2 * (gates)) }
/* Forward reads the chain from both ends and counts steps; backward hands the gradients on. */
#define CRF(K)                                                                                                         \
    {6. * (K), 0}, { 8, 8 }
#define ATTENTION(T)                                                                                                   \
    {2. * (T), 4. * (T)}, { 16, 32 }
static const operation operations[] = {
    {"RNN layer", op_recurrent, 64, 256, 32, RV_CELL_RNN_TANH, LAYER(1, 256)},
    {"LSTM layer", op_recurrent, 64, 512, 32, RV_CELL_LSTM, LAYER(4, 512)},
    {"LSTM layer", op_recurrent, 128, 256, 32, RV_CELL_LSTM, LAYER(4, 256)},
    {"GRU layer", op_recurrent, 64, 512, 32, RV_CELL_GRU, LAYER(3, 512)},
    {"causal attention", op_attention, 256, 384, 8, 6, ATTENTION(256)},
    {"causal attention", op_attention, 24, 256, 64, 4, ATTENTION(24)},
    {"causal attention", op_attention, 64, 768, 4, 12, ATTENTION(64)},
    {"CRF loss", op_crf, 32, 17, 32, 0, CRF(17)},
    {"CRF loss", op_crf, 32, 50, 32, 0, CRF(50)},
    {"softmax", op_softmax, 2048, 1024, 1, 0, {0, 0}, {8, 12}},
    {"layer norm", op_layer_norm, 2048, 384, 1, 0, {0, 0}, {8, 12}},
    {"exp", op_exp, 2048, 1024, 1, 0, {0, 0}, {8, 12}},
    {"tanh", op_tanh, 2048, 1024, 1, 0, {0, 0}, {8, 12}},
    {"sigmoid", op_sigmoid, 2048, 1024, 1, 0, {0, 0}, {8, 12}},
    {"GELU", op_gelu, 2048, 1536, 1, 0, {0, 0}, {8, 12}},
    {"dropout", op_dropout, 2048, 1024, 1, 0, {0, 0}, {8, 8}},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static rv_status bench_operation(session *s, rv_tape *tape, const operation *o) {
    static double took[2][MAX_ROUNDS];
    enum { WARM = 3 }; /* builds that also settle the arena, see rv_sample_keep */
    const double elements = (double)(o->rows * o->width * o->batch);
    row r = {.threads = s->threads};
    if (o->batch > 1)
        snprintf(r.shape, sizeof r.shape, "T %d, B %d, width %d", (int)o->rows, (int)o->batch, (int)o->width);
    else
        snprintf(r.shape, sizeof r.shape, "%d x %d", (int)o->rows, (int)o->width);
    rv__progress(s->done, s->total, o->name);
    int n = -WARM;
    rv_sample_keep(tape, false);
    rv_tape_set_training(tape, true);
    for (double begin = rv_now(); n < MAX_ROUNDS && (n < 5 || rv_now() - begin < 2 * s->seconds); n++) {
        if (n == 0) rv_sample_keep(tape, true), begin = rv_now();
        rv_tape_reset(tape);
        const double t0 = rv_now();
        rv_tensor *y = o->build(tape, o);
        const double t1 = rv_now();
        if (n == -WARM && y) fill(s->d, rv_numel(y));
        const double t2 = rv_now();
        RV_TRY(y ? rv_backward_from(tape, y, s->d) : rv_tape_status(tape));
        if (n >= 0) took[0][n] = (t1 - t0) * 1e6, took[1][n] = (rv_now() - t2) * 1e6;
    }
    rv_sample_keep(tape, false);
    for (int back = 0; back < 2; back++) {
        snprintf(r.kernel, sizeof r.kernel, "%s%s", o->name, back ? " back" : "");
        r.us = rv__quantile(took[back], n, 0.5);
        r.flops = o->flops[back] * elements;
        r.bytes = o->bytes[back] * elements;
        report(s, &r);
    }
    return RV_OK;
}

static void bench_adam(session *s) {
    static double took[MAX_ROUNDS];
    const int64_t n = 11000000; /* as many parameters as lstm_lm has */
    const rv_update_span span = {.n = n, .x = s->a, .g = s->b, .s0 = s->c, .s1 = s->d, .decay = true};
    const rv_update u = {.scale = 1,
                         .lr = (rv_real)1e-3,
                         .keep = 1,
                         .a = (rv_real)0.9,
                         .a1 = (rv_real)0.1,
                         .b = (rv_real)0.999,
                         .b1 = (rv_real)1e-3,
                         .root = 1,
                         .eps = (rv_real)1e-8};
    row r = {.kernel = "Adam", .shape = "11,000,000 parameters", .threads = s->threads, .bytes = 28. * (double)n};
    fill(s->a, n);
    fill(s->b, n);
    memset(s->c, 0, (size_t)n * sizeof *s->c);
    memset(s->d, 0, (size_t)n * sizeof *s->d);
    rv__progress(s->done, s->total, r.kernel);
    int rounds = -2;
    for (double begin = rv_now(); rounds < MAX_ROUNDS && (rounds < 5 || rv_now() - begin < s->seconds); rounds++) {
        const double t = rv_now();
        rv_update_run(rv_k()->adam, 1, &span, &u);
        if (rounds >= 0) took[rounds] = (rv_now() - t) * 1e6;
    }
    r.us = rv__quantile(took, rounds, 0.5);
    report(s, &r);
}

/* ---- all of them */

static rv_status run(session *s, rv_tape *tape) {
    rv_set_threads(s->threads);
    rv__rivals_set_threads(s->threads);
    memset(s->bandwidth, 0, sizeof s->bandwidth);
    s->peak = rv_peak_gflops(s->threads);
    const double far = bandwidth(s, 1 << 27);
    if (s->format != RV_TABLE_JSON)
        printf("%s%d thread%s: %.0f GFLOP/s, %.0f GB/s from memory%s\n", s->format == RV_TABLE_MARKDOWN ? "\n" : "",
               s->threads, s->threads == 1 ? "" : "s", s->peak, far, s->format == RV_TABLE_MARKDOWN ? "\n" : "");
    head(s);
    for (int i = 0; i < PRODUCTS; i++) RV_TRY(bench_product(s, &products[i]));
    for (int i = 0; i < OPERATIONS && !s->tiny; i++) RV_TRY(bench_operation(s, tape, &operations[i]));
    if (!s->tiny) bench_adam(s);
    return RV_OK;
}

rv_status rv__kernels_run(int n_threads, const int *threads, double seconds, bool tiny, rv_bench_format format) {
    session s = {.tiny = tiny, .format = format, .seconds = seconds, .rows = json_array()};
    rv_real **buffers[] = {&s.a, &s.b, &s.c, &s.d};
    rv_tape *tape = rv_tape_create();
    json_t *peaks = json_object(), *rivals = json_object();
    rv_status status = tape ? RV_OK : RV_ENOMEM;
    for (int i = 0; i < 4 && status == RV_OK; i++)
        status = (*buffers[i] = rv_alloc(LARGEST * sizeof(rv_real))) ? RV_OK : RV_ENOMEM;
    s.rivals = rv__rivals_open(s.rival);
    for (int i = 0; i < PRODUCTS; i++) s.total += n_threads * product_rows(&products[i], tiny);
    s.total += tiny ? 0 : n_threads * (2 * OPERATIONS + 1);
    for (int t = 0; t < n_threads && status == RV_OK; t++) {
        char key[16];
        snprintf(key, sizeof key, "%d", s.threads = threads[t]);
        status = run(&s, tape);
        json_object_set_new(
            peaks, key, json_pack("{s:f, s:f}", "fma_peak_gflops", s.peak, "memory_gb_per_second", s.bandwidth[27]));
    }
    rv__progress(s.total, s.total, "");
    for (int i = 0; i < s.rivals; i++) {
        json_object_set_new(rivals, s.rival[i].name, json_string(s.rival[i].about));
        if (format != RV_TABLE_JSON && status == RV_OK)
            printf("%s%s: %s", i ? "; " : "\n", s.rival[i].name, s.rival[i].about);
    }
    json_t *out =
        json_pack("{s:s, s:o, s:o, s:o}", "isa", rv_k()->isa, "machine", peaks, "libraries", rivals, "kernels", s.rows);
    if (format == RV_TABLE_JSON && status == RV_OK) json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (status == RV_OK) printf("\n");
    json_decref(out);
    for (int i = 0; i < 4; i++) rv_free(*buffers[i]);
    rv_tape_destroy(tape);
    return status;
}

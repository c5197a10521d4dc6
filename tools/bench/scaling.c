#include "scaling.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ravel.h"
#include "timing.h"

enum { WIDTH = 256, BATCH = 8, HEAD = 64, MAX_ROUNDS = 400, WARM = 3, TINY_LENGTHS = 3 };
static const char *const layer_names[RV_SCALING_LAYERS] = {"lstm", "attention"};

static rv_tensor *leaf(rv_tape *t, double range, int ndim, const int64_t *dim) {
    return rv_sample_leaf(t, -range, range, ndim, dim);
}

static rv_tensor *lstm(rv_tape *t, int64_t T) {
    rv_tensor *x = leaf(t, 1, 3, (const int64_t[]){T, BATCH, WIDTH});
    rv_tensor *w = leaf(t, 0.06, 2, (const int64_t[]){4 * WIDTH, WIDTH}),
              *u = leaf(t, 0.06, 2, (const int64_t[]){4 * WIDTH, WIDTH});
    rv_tensor *b = leaf(t, 0.06, 1, (const int64_t[]){4 * WIDTH}), *c = leaf(t, 0.06, 1, (const int64_t[]){4 * WIDTH});
    return rv_recurrent(t, RV_CELL_LSTM, x, w, u, b, c, NULL, NULL, NULL, false).y;
}

static rv_tensor *attention(rv_tape *t, int64_t T) {
    rv_tensor *x = leaf(t, 1, 3, (const int64_t[]){BATCH, T, WIDTH});
    rv_tensor *w = leaf(t, 0.06, 2, (const int64_t[]){3 * WIDTH, WIDTH}),
              *b = leaf(t, 0.06, 1, (const int64_t[]){3 * WIDTH});
    rv_tensor *w_out = leaf(t, 0.06, 2, (const int64_t[]){WIDTH, WIDTH}),
              *b_out = leaf(t, 0.06, 1, (const int64_t[]){WIDTH});
    rv_tensor *y = rv_self_attention(t, rv_linear(t, x, w, b, RV_ACT_NONE),
                                     &(rv_attention_spec){.heads = WIDTH / HEAD, .causal = true});
    return rv_linear(t, y, w_out, b_out, RV_ACT_NONE);
}
static rv_tensor *(*const layers[RV_SCALING_LAYERS])(rv_tape *, int64_t) = {lstm, attention};

/* The median of forward and backward, ms. dy: BATCH x T x WIDTH elements. */
static rv_status measure(rv_tape *tape, int layer, int64_t T, double seconds, const rv_real *dy, double *ms) {
    static double took[MAX_ROUNDS];
    int n = -WARM;
    rv_sample_keep(tape, false);
    for (double begin = rv_now(); n < MAX_ROUNDS && (n < 5 || rv_now() - begin < seconds); n++) {
        if (n == 0) rv_sample_keep(tape, true), begin = rv_now();
        rv_tape_reset(tape);
        const double t = rv_now();
        rv_tensor *y = layers[layer](tape, T);
        RV_TRY(y ? rv_backward_from(tape, y, dy) : rv_tape_status(tape));
        if (n >= 0) took[n] = (rv_now() - t) * 1e3;
    }
    *ms = rv__quantile(took, n, 0.5);
    return RV_OK;
}

/* The length at which the first ratio of the two times passes 1, between two lengths as on a straight line in
 * logarithms. */
static double crossing(double ms[RV_SCALING_LAYERS][RV_SCALING_LENGTHS], int n) {
    for (int i = 0; i + 1 < n; i++) {
        const double a = log(ms[1][i] / ms[0][i]), b = log(ms[1][i + 1] / ms[0][i + 1]);
        if ((a < 0) != (b < 0)) return (double)rv_scaling_length(i) * exp2(a / (a - b));
    }
    return 0;
}

static rv_status measure_all(rv_scaling *s, int lengths, double seconds, rv_tape *tape, rv_real *dy) {
    rv_rng rng = rv_rng_make(1, "scaling", 0);
    const int64_t n = BATCH * rv_scaling_length(RV_SCALING_LENGTHS - 1) * WIDTH;
    for (int64_t i = 0; i < n; i++) dy[i] = (rv_real)(2 * rv_rng_uniform(&rng) - 1);
    const int total = s->n_threads * RV_SCALING_LAYERS * lengths;
    int done = 0;
    for (int t = 0; t < s->n_threads; t++) {
        rv_set_threads(s->threads[t]);
        for (int i = 0; i < lengths; i++) {
            for (int l = 0; l < RV_SCALING_LAYERS; l++) {
                char now[64];
                snprintf(now, sizeof now, "%s, T %d, %d threads", layer_names[l], (int)rv_scaling_length(i),
                         s->threads[t]);
                rv__progress(done++, total, now);
                RV_TRY(measure(tape, l, rv_scaling_length(i), seconds, dy, &s->ms[t][l][i]));
            }
        }
        s->cross[t] = crossing(s->ms[t], lengths);
    }
    rv__progress(total, total, "");
    return RV_OK;
}

static void print_json(const rv_scaling *s, int lengths) {
    json_t *rows = json_array(), *cross = json_object();
    for (int t = 0; t < s->n_threads; t++) {
        for (int l = 0; l < RV_SCALING_LAYERS; l++)
            for (int i = 0; i < lengths; i++)
                json_array_append_new(rows, json_pack("{s:s, s:i, s:I, s:f}", "layer", layer_names[l], "threads",
                                                      s->threads[t], "sequence_length",
                                                      (json_int_t)rv_scaling_length(i), "ms", s->ms[t][l][i]));
        char key[16];
        snprintf(key, sizeof key, "%d", s->threads[t]);
        json_object_set_new(cross, key, s->cross[t] > 0 ? json_real(s->cross[t]) : json_null());
    }
    json_t *out = json_pack("{s:I, s:I, s:o, s:o}", "width", (json_int_t)s->width, "batch", (json_int_t)s->batch,
                            "scaling", rows, "equal_at_length_by_threads", cross);
    json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(out);
}

static void print_table(const rv_scaling *s, int lengths, bool md) {
    printf("LSTM layer and causal self-attention layer (projections, heads of %d), both %d wide; batch %d; ms of "
           "forward and backward\n%s",
           HEAD, WIDTH, BATCH, md ? "\n| T |" : "     T");
    for (int t = 0; t < s->n_threads; t++)
        printf(md ? " LSTM, %d thr | attention, %d thr |" : "  LSTM, %d thr  attention, %d thr", s->threads[t],
               s->threads[t]);
    putchar('\n');
    for (int t = 0; md && t <= 2 * s->n_threads; t++) printf("|---%s", t == 2 * s->n_threads ? "|\n" : "");
    for (int i = 0; i < lengths; i++) {
        printf(md ? "| %d |" : "%6d", (int)rv_scaling_length(i));
        for (int t = 0; t < s->n_threads; t++)
            printf(md ? " %.4g | %.4g |" : " %12.4g %17.4g", s->ms[t][0][i], s->ms[t][1][i]);
        putchar('\n');
    }
    if (md) putchar('\n');
    for (int t = 0; t < s->n_threads; t++) {
        if (s->cross[t] > 0)
            printf("%d thread%s: equal at T = %.0f\n", s->threads[t], s->threads[t] == 1 ? "" : "s", s->cross[t]);
        else
            printf("%d thread%s: no length at which both take as long\n", s->threads[t], s->threads[t] == 1 ? "" : "s");
    }
}

rv_status rv__scaling_run(int n_threads, const int *threads, double seconds, bool tiny, rv_bench_format format,
                          const char *svg) {
    const int lengths = tiny ? TINY_LENGTHS : RV_SCALING_LENGTHS;
    rv_scaling s = {.width = WIDTH, .batch = BATCH, .n_threads = n_threads, .threads = threads};
    s.ms = calloc((size_t)n_threads, sizeof *s.ms);
    s.cross = calloc((size_t)n_threads, sizeof *s.cross);
    rv_tape *tape = rv_tape_create();
    rv_real *dy = rv_alloc((size_t)(BATCH * rv_scaling_length(RV_SCALING_LENGTHS - 1) * WIDTH) * sizeof *dy);
    rv_status status = s.ms && s.cross && tape && dy ? measure_all(&s, lengths, seconds, tape, dy)
                                                     : rv_error(RV_ENOMEM, "no memory for the benchmark");
    if (status == RV_OK) {
        if (format == RV_TABLE_JSON)
            print_json(&s, lengths);
        else
            print_table(&s, lengths, format == RV_TABLE_MARKDOWN);
        if (svg) status = rv__scaling_svg(&s, svg);
    }
    rv_free(dy);
    rv_tape_destroy(tape);
    free(s.ms);
    free(s.cross);
    return status;
}

/* The figure of --scaling: both axes logarithmic, lines labelled where they end. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scaling.h"

enum { W = 820, H = 500, LEFT = 64, RIGHT = 170, TOP = 56, BOTTOM = 58, LABEL = 17, MAX_LINES = 32 };

typedef struct {
    double low, high; /* of the ms axis, powers of ten */
    int lengths;
} frame;

static double x_of(const frame *f, double T) { return LEFT + (W - LEFT - RIGHT) * log2(T / 16) / (f->lengths - 1); }
static double y_of(const frame *f, double ms) { return H - BOTTOM - (H - TOP - BOTTOM) * log(ms / f->low) / log(f->high / f->low); }

typedef struct {
    double y;
    int thread, layer;
} label;

static int by_y(const void *a, const void *b) {
    double p = ((const label *)a)->y, q = ((const label *)b)->y;
    return (p > q) - (p < q);
}

static frame make_frame(const rv_scaling *s) {
    frame f = {1e30, 0, 0};
    for (int t = 0; t < s->n_threads; t++)
        for (int l = 0; l < RV_SCALING_LAYERS; l++)
            for (int i = 0; i < RV_SCALING_LENGTHS; i++)
                if (s->ms[t][l][i] > 0) f.low = fmin(f.low, s->ms[t][l][i]), f.high = fmax(f.high, s->ms[t][l][i]), f.lengths = i + 1 > f.lengths ? i + 1 : f.lengths;
    f.low = pow(10, floor(log10(f.low)));
    f.high = pow(10, ceil(log10(f.high)));
    return f;
}

static void axes(FILE *out, const frame *f) {
    for (double ms = f->low; ms <= f->high * 1.001; ms *= 10) {
        fprintf(out, "<path class='grid' d='M%d %.1fH%d'/><text class='quiet' x='%d' y='%.1f' text-anchor='end'>%g</text>\n", LEFT, y_of(f, ms), W - RIGHT, LEFT - 8,
                y_of(f, ms) + 4, ms);
    }
    for (int i = 0; i < f->lengths; i++)
        fprintf(out, "<path class='axis' d='M%.1f %dv5'/><text class='quiet' x='%.1f' y='%d' text-anchor='middle'>%lld</text>\n", x_of(f, (double)rv_scaling_length(i)),
                H - BOTTOM, x_of(f, (double)rv_scaling_length(i)), H - BOTTOM + 20, (long long)rv_scaling_length(i));
    fprintf(out, "<path class='axis' d='M%d %dH%d'/>\n", LEFT, H - BOTTOM, W - RIGHT);
    fprintf(out, "<text class='quiet' x='%d' y='%d' text-anchor='middle'>length of the sequence</text>\n", (LEFT + W - RIGHT) / 2, H - 14);
    fprintf(out, "<text class='quiet' x='%d' y='%d'>ms a step, forward and backward</text>\n", LEFT - 48, TOP - 14);
}

static void line(FILE *out, const rv_scaling *s, const frame *f, int t, int l) {
    fprintf(out, "<path class='line %s%s' d='", l ? "attention" : "lstm", t || s->n_threads == 1 ? "" : " first");
    for (int i = 0; i < f->lengths; i++) fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', x_of(f, (double)rv_scaling_length(i)), y_of(f, s->ms[t][l][i]));
    fprintf(out, "'/>\n");
    for (int i = 0; i < f->lengths; i++)
        fprintf(out, "<circle class='%s' cx='%.1f' cy='%.1f' r='2.6'/>", l ? "attention" : "lstm", x_of(f, (double)rv_scaling_length(i)), y_of(f, s->ms[t][l][i]));
    fputc('\n', out);
}

/* Labels at the ends of the lines, moved apart where they would touch. */
static void labels(FILE *out, const rv_scaling *s, const frame *f) {
    label all[MAX_LINES];
    int n = 0;
    for (int t = 0; t < s->n_threads; t++)
        for (int l = 0; l < RV_SCALING_LAYERS && n < MAX_LINES; l++) all[n++] = (label){y_of(f, s->ms[t][l][f->lengths - 1]) + 4, t, l};
    qsort(all, (size_t)n, sizeof *all, by_y);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i + 1 < n; i++) {
            const double lack = LABEL - (all[i + 1].y - all[i].y);
            if (lack > 0) all[i].y -= lack / 2, all[i + 1].y += lack / 2;
        }
    }
    for (int i = 0; i < n; i++) {
        const int threads = s->threads[all[i].thread];
        fprintf(out, "<text class='%s' x='%d' y='%.1f'>%s, %d thread%s</text>\n", all[i].layer ? "attention" : "lstm", W - RIGHT + 10, all[i].y,
                all[i].layer ? "attention" : "LSTM", threads, threads == 1 ? "" : "s");
    }
}

/* Where the lines cross: a ring, and a plumb line to the length written above the axis, each a line higher than the last. */
static void crossings(FILE *out, const rv_scaling *s, const frame *f) {
    int shown = 0;
    for (int t = 0; t < s->n_threads; t++) {
        const double T = s->cross[t];
        if (!(T > 0)) continue;
        const double at = log2(T / 16);
        const int i = (int)at;
        const double ms = exp(log(s->ms[t][0][i]) + (at - i) * log(s->ms[t][0][i + 1] / s->ms[t][0][i]));
        const double y = H - BOTTOM - 10 - LABEL * shown++;
        fprintf(out, "<circle class='ring' cx='%.1f' cy='%.1f' r='7'/><path class='plumb' d='M%.1f %.1fV%.1f'/>", x_of(f, T), y_of(f, ms), x_of(f, T), y_of(f, ms) + 7, y);
        fprintf(out, "<text class='note' x='%.1f' y='%.1f' text-anchor='end'>%d thread%s: equal at %.0f</text>\n", x_of(f, T) - 6, y, s->threads[t], s->threads[t] == 1 ? "" : "s", T);
    }
}

rv_status rv__scaling_svg(const rv_scaling *s, const char *path) {
    FILE *out = fopen(path, "w");
    if (!out) return rv_error(RV_EDATA, "cannot write %s: %s", path, strerror(errno));
    const frame f = make_frame(s);
    fprintf(out, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' font-family='sans-serif' font-size='13'>\n", W, H, W, H);
    fprintf(out, "<title>Time of a step of an LSTM layer and a self-attention layer against the length of the sequence</title>\n");
    fprintf(out, "<style>text{fill:#222}.bg{fill:#fff}.note{paint-order:stroke;stroke:#fff;stroke-width:5}.axis{stroke:#999}.grid{stroke:#ddd}.quiet{fill:#666}.line{fill:none;stroke-width:2.2}.first{stroke-dasharray:5 3}"
                 ".ring{fill:none;stroke:#222}.plumb{stroke:#888;stroke-dasharray:2 3}text.lstm,circle.lstm{fill:#1c6dc4}path.lstm{stroke:#1c6dc4}"
                 "text.attention,circle.attention{fill:#b8500c}path.attention{stroke:#b8500c}"
                 "@media(prefers-color-scheme:dark){text{fill:#ddd}.bg{fill:#111}.note{stroke:#111}.axis{stroke:#777}.grid{stroke:#333}.quiet{fill:#aaa}.ring{stroke:#ddd}"
                 "text.lstm,circle.lstm{fill:#6fb1ff}path.lstm{stroke:#6fb1ff}text.attention,circle.attention{fill:#ff9d5c}path.attention{stroke:#ff9d5c}}</style>\n");
    fprintf(out, "<rect class='bg' width='%d' height='%d'/>\n", W, H);
    fprintf(out, "<text x='16' y='22' font-size='15'>One layer, %lld wide, batches of %lld: LSTM and causal self-attention</text>\n", (long long)s->width, (long long)s->batch);
    axes(out, &f);
    for (int t = 0; t < s->n_threads; t++)
        for (int l = 0; l < RV_SCALING_LAYERS; l++) line(out, s, &f, t, l);
    labels(out, s, &f);
    crossings(out, s, &f);
    fprintf(out, "</svg>\n");
    const bool bad = ferror(out);
    if (fclose(out) || bad) return rv_error(RV_EDATA, "cannot write %s: %s", path, strerror(errno));
    return RV_OK;
}

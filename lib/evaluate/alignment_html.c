#include "evaluate/alignment_html.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "evaluate/token_text.h"
#include "report/chart.h"

enum { CELL = 26, SMALL_CELL = 8, LABEL_MAX = 24, TEXT_MAX = 1 << 20 };
static const double char_width = 9, slant_x = 0.5,
                    slant_y = 0.866; /* 14 px sans-serif; labels above lean by 60 degrees */

/* ---- text ---- */

/* A token alone; a piece that continues a word has a point before it. */
static int put_label(FILE *f, const rv__tokens *t, int64_t i) {
    int point = !rv__begins_word(t, i);
    if (point && f) fputs("·", f);
    return point + rv__put_text(f, rv__letters(t, i), LABEL_MAX);
}
static double label_width(const rv__tokens *t, int64_t i) { return char_width * put_label(NULL, t, i); }

static void put_sentence(FILE *f, const rv__tokens *t) {
    for (int64_t i = 0; i < t->n; i++) {
        if (i && rv__begins_word(t, i)) fputc(' ', f);
        rv__put_text(f, rv__letters(t, i), TEXT_MAX);
    }
}

/* ---- one map ---- */

/* The cells in current colour, weight as opacity. A cell without weight is left to the ground, unless it needs a
 * tooltip. */
static void put_cells(FILE *f, const rv_alignment *a, const rv_real *w, double x0, double y0, int cell, bool tooltips) {
    rv__tokens source = rv__tokens_of(a->S, a->source), target = rv__tokens_of(a->T, a->target);
    for (int64_t t = 0; t < a->T; t++)
        for (int64_t s = 0; s < a->S; s++) {
            double v = (double)w[t * a->S + s];
            if (v < 0.005 && !tooltips) continue;
            int gap = cell > 10;
            fprintf(f, "<rect x='%.0f' y='%.0f' width='%d' height='%d' fill-opacity='%.2f'", x0 + (double)s * cell,
                    y0 + (double)t * cell, cell - gap, cell - gap, v);
            if (!tooltips) {
                fputs("/>", f);
                continue;
            }
            fputs("><title>", f);
            put_label(f, &source, s);
            fputs(" → ", f);
            put_label(f, &target, t);
            fprintf(f, "  %.3f</title></rect>", v);
        }
    fputc('\n', f);
}

typedef struct {
    double left, top, width, height;
} frame;

/* The labels' room: on the left the longest target word; above, source words lean to the right and the last ones stick
 * out. */
static frame measure(const rv_alignment *a, int cell, bool labels) {
    rv__tokens source = rv__tokens_of(a->S, a->source), target = rv__tokens_of(a->T, a->target);
    frame m = {1, 1, (double)a->S * cell, (double)a->T * cell};
    double right = m.width;
    if (labels) {
        for (int64_t t = 0; t < a->T; t++) m.left = fmax(m.left, label_width(&target, t) + 14);
        for (int64_t s = 0; s < a->S; s++) {
            double w = label_width(&source, s);
            m.top = fmax(m.top, slant_y * w + 18);
            right = fmax(right, ((double)s + 0.5) * cell + slant_x * w + 10);
        }
    }
    m.width = ceil(m.left + right + 2);
    m.top = ceil(m.top), m.left = ceil(m.left);
    m.height += ceil(m.top) + 2;
    return m;
}

static void put_map(FILE *f, const rv_alignment *a, const rv_real *w, int cell, bool labels, const char *attributes,
                    bool page) {
    frame m = measure(a, cell, labels);
    rv__tokens source = rv__tokens_of(a->S, a->source), target = rv__tokens_of(a->T, a->target);
    double margin = page ? 0 : 16;
    fprintf(f, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='%.0f %.0f %.0f %.0f' width='%.0f' height='%.0f' %s>\n",
            -margin, -margin, m.width + 2 * margin, m.height + 2 * margin, m.width + 2 * margin, m.height + 2 * margin,
            attributes);
    if (!page)
        fprintf(f, "<rect x='%.0f' y='%.0f' width='100%%' height='100%%' rx='6' fill='#fff'/>\n", -margin, -margin);
    fputs("<g fill='currentColor'>\n", f);
    if (labels) {
        fputs("<g font-family='system-ui,sans-serif' font-size='14'>\n", f);
        for (int64_t s = 0; s < a->S; s++) {
            fprintf(f, "<text transform='translate(%.1f %.1f) rotate(-60)'>", m.left + ((double)s + 0.5) * cell + 4,
                    m.top - 7);
            put_label(f, &source, s);
            fputs("</text>", f);
        }
        fputs("\n</g><g font-family='system-ui,sans-serif' font-size='14' text-anchor='end'>\n", f);
        for (int64_t t = 0; t < a->T; t++) {
            fprintf(f, "<text x='%.1f' y='%.1f'>", m.left - 7, m.top + ((double)t + 0.5) * cell + 4.5);
            put_label(f, &target, t);
            fputs("</text>", f);
        }
        fputs("\n</g>", f);
    }
    put_cells(f, a, w, m.left, m.top, cell, labels && page);
    fprintf(f,
            "</g><rect x='%.1f' y='%.1f' width='%.0f' height='%.0f' fill='none' stroke='currentColor' "
            "stroke-opacity='.3'/></svg>\n",
            m.left - .5, m.top - .5, (double)a->S * cell + (cell <= 10), (double)a->T * cell + (cell <= 10));
}

/* ---- what is shown ---- */

static rv_status check(const char *path, int64_t n, const rv_alignment *a) {
    if (n < 1) return rv_error(RV_EDATA, "%s: there are no sentences to show", path);
    for (int64_t i = 0; i < n; i++) {
        if (a[i].layers != a->layers || a[i].heads != a->heads || a->layers < 1 || a->heads < 1)
            return rv_error(
                RV_EDATA,
                "%s: sentence %lld: layers and heads are %d and %d, of the first %d and %d: show one model at a time",
                path, (long long)i + 1, a[i].layers, a[i].heads, a->layers, a->heads);
        for (int64_t k = 0; k < a[i].layers * a[i].heads * a[i].T * a[i].S; k++)
            if (!(a[i].weights[k] >= 0 && a[i].weights[k] <= (rv_real)1.001))
                return rv_error(RV_EDATA,
                                "%s: sentence %lld: weight %g of target token %lld is not in 0..1: these are not "
                                "attention weights, or the model diverged",
                                path, (long long)i + 1, (double)a[i].weights[k], (long long)(k / a[i].S % a[i].T) + 1);
    }
    return RV_OK;
}

static const rv_real *head_of(const rv_alignment *a, int layer, int head) {
    return a->weights + ((int64_t)layer * a->heads + head) * a->T * a->S;
}

/* Mean over all heads into out (T, S). */
static void mean_of(const rv_alignment *a, rv_real *out) {
    int64_t size = a->T * a->S;
    int heads = a->layers * a->heads;
    for (int64_t k = 0; k < size; k++) {
        double sum = 0;
        for (int h = 0; h < heads; h++) sum += (double)a->weights[h * size + k];
        out[k] = (rv_real)(sum / heads);
    }
}

static rv_real *room_for_mean(int64_t n, const rv_alignment *a) {
    int64_t most = 1;
    for (int64_t i = 0; i < n; i++)
        if (a[i].T * a[i].S > most) most = a[i].T * a[i].S;
    rv_real *p = malloc(sizeof *p * (size_t)most);
    if (!p) rv_error(RV_ENOMEM, "no memory for a heat map of %lld cells", (long long)most);
    return p;
}

/* ---- the page ---- */

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#16181d;--quiet:#5d6370;--line:#d9dce2}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#14161a;--ink:#f1f2f4;--quiet:#a3a9b5;--line:#363b45}}\n"
    "@media print{:root{--paper:#fff;--ink:#000;--quiet:#444;--line:#bbb}section{break-inside:avoid-page}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;padding:2rem 1.25rem "
    "4rem;max-width:76rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif;-webkit-print-color-adjust:exact;print-color-adjust:exact}\n"
    "h1{font-size:1.6rem;line-height:1.2;margin:0 0 .4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:0 0 "
    ".6rem}h3{font-size:.95rem;margin:1.5rem 0 .5rem}\n"
    "p{margin:0 0 .5rem;max-width:44rem}.quiet,figcaption,dt{color:var(--quiet)}section{border-top:1px solid "
    "var(--line);margin-top:2rem;padding-top:1.25rem}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0 0 "
    "1rem}dd{margin:0;overflow-wrap:anywhere}\n"
    "figure{margin:0;min-width:0;max-width:100%}figcaption{font-size:.85rem;margin-bottom:.35rem}.pair{display:flex;"
    "flex-wrap:wrap;gap:1.5rem 2.5rem;align-items:flex-end}\n"
    ".wide{overflow-x:auto}svg{display:block;max-width:100%;height:auto}.wide svg{min-width:min(100%,20rem)}.wide "
    "svg.long{min-width:44rem}\n"
    ".heads{display:grid;gap:.9rem .9rem;justify-content:start}.heads "
    "figcaption{font-size:.75rem;line-height:1.3;margin:.2rem 0 0}"
    ".heads figcaption span{display:inline-block;margin-right:.6em}\n"
    ".scale{display:inline-block;width:7rem;height:.8rem;vertical-align:-.05rem;margin:0 .4rem;border:1px solid "
    "var(--line);"
    "background:linear-gradient(90deg,transparent,var(--ink))}rect:hover{stroke:currentColor;stroke-width:1.5}\n";

static void put_figure(FILE *f, const rv_alignment *a, const rv_real *w, const char *caption) {
    fprintf(f, "<figure>%s%s%s<div class='wide'>", caption ? "<figcaption>" : "", caption ? caption : "",
            caption ? "</figcaption>" : "");
    put_map(f, a, w, CELL, true, a->S > 30 ? "role='img' class='long'" : "role='img'", true);
    fputs("</div></figure>\n", f);
}

static void put_heads(FILE *f, const rv_alignment *a) {
    double width = measure(a, SMALL_CELL, false).width;
    fprintf(f, "<h3>Every head</h3>\n<div class='heads' style='grid-template-columns:repeat(%d,minmax(0,%.0fpx))'>\n",
            a->heads, fmax(width, 60));
    for (int l = 0; l < a->layers; l++)
        for (int h = 0; h < a->heads; h++) {
            char words[64];
            snprintf(words, sizeof words, "role='img' aria-label='layer %d, head %d'", l + 1, h + 1);
            fputs("<figure>", f);
            put_map(f, a, head_of(a, l, h), SMALL_CELL, false, words, true);
            fprintf(f, "<figcaption><span>layer %d, head %d</span><span>%.2f nats</span></figcaption></figure>\n",
                    l + 1, h + 1, rv_alignment_entropy(1, a, l, h));
        }
    fputs("</div>\n", f);
}

static void put_section(FILE *f, int64_t number, const rv_alignment *a, int layer, int head, rv_real *mean) {
    rv__tokens source = rv__tokens_of(a->S, a->source), target = rv__tokens_of(a->T, a->target);
    fprintf(f, "<section>\n<h2>Sentence %lld</h2>\n<dl><dt>source</dt><dd>", (long long)number);
    put_sentence(f, &source);
    fputs("</dd><dt>output</dt><dd>", f);
    put_sentence(f, &target);
    if (a->reference) {
        fputs("</dd><dt>reference</dt><dd>", f);
        rv__put_text(f, a->reference, TEXT_MAX);
    }
    fputs("</dd></dl>\n", f);
    if (a->layers * a->heads == 1) {
        put_figure(f, a, a->weights, NULL);
    } else {
        char caption[128];
        snprintf(caption, sizeof caption, "Sharpest head: layer %d, head %d (%.2f nats in this sentence)", layer + 1,
                 head + 1, rv_alignment_entropy(1, a, layer, head));
        mean_of(a, mean);
        fputs("<div class='pair'>\n", f);
        put_figure(f, a, head_of(a, layer, head), caption);
        put_figure(f, a, mean, "Mean of all heads");
        fputs("</div>\n", f);
        put_heads(f, a);
    }
    fputs("</section>\n", f);
}

rv_status rv_alignment_html(const char *path, const char *model, int64_t n, const rv_alignment *a) {
    RV_TRY(check(path, n, a));
    rv_real *mean = room_for_mean(n, a);
    if (!mean) return RV_ENOMEM;
    FILE *f = rv__file_begin(path);
    if (!f) {
        free(mean);
        return RV_EDATA;
    }
    int layer, head;
    rv_alignment_sharpest(n, a, &layer, &head);
    fputs("<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n<meta name='viewport' "
          "content='width=device-width,initial-scale=1'>\n<title>Attention of ",
          f);
    rv__put_text(f, model, TEXT_MAX);
    fprintf(f, "</title>\n<style>\n%s</style>\n<body>\n<h1>Attention of ", style);
    rv__put_text(f, model, TEXT_MAX);
    fputs("</h1>\n<p>Each row is an output token; its cells show how its attention is spread over the source tokens "
          "above.</p>\n"
          "<p class='quiet'>weight 0<span class='scale'></span>1. Point at a cell for its number.",
          f);
    if (a->layers * a->heads > 1)
        fprintf(f,
                " %d layer%s of %d head%s. The sharpest head has the lowest mean entropy of its rows over %s; 0 nats "
                "is one "
                "place per token.",
                a->layers, a->layers > 1 ? "s" : "", a->heads, a->heads > 1 ? "s" : "",
                n == 1 ? "this sentence" : "all sentences here");
    fputs("</p>\n", f);
    for (int64_t i = 0; i < n; i++) put_section(f, i + 1, &a[i], layer, head, mean);
    fputs("</body>\n</html>\n", f);
    free(mean);
    return rv__file_end(f, path, true);
}

rv_status rv_alignment_svg(const char *path, const rv_alignment *a, int layer, int head) {
    RV_TRY(check(path, 1, a));
    bool all = layer == -1 && head == -1;
    if (!all && (layer < 0 || head < 0 || layer >= a->layers || head >= a->heads))
        return rv_error(RV_EUSAGE,
                        "%s: there is no layer %d, head %d: they are counted from 0, and there are %d and %d", path,
                        layer, head, a->layers, a->heads);
    rv_real *mean = room_for_mean(1, a);
    if (!mean) return RV_ENOMEM;
    FILE *f = rv__file_begin(path);
    if (f) {
        if (all) mean_of(a, mean);
        put_map(f, a, all ? mean : head_of(a, layer, head), CELL, true, "color='#16181d'", false);
    }
    free(mean);
    return f ? rv__file_end(f, path, true) : RV_EDATA;
}

/* Lines against two axes, labelled where they end. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/chart_private.h"

typedef struct {
    FILE *f;
    const rv_chart *c;
    double left, right, top, bottom; /* of the ground that lines are drawn on */
    rv__axis x, y;
    double label_room;               /* px for labels at the ends; 0: they stand in a list above */
} plot;

static double px_x(const plot *p, double v) { return rv__axis_px(&p->x, v); }
static double px_y(const plot *p, double v) { return rv__axis_px(&p->y, v); }
static bool has(const plot *p, const rv_series *s, int i) { return rv__axis_has(&p->x, s->x[i]) && rv__axis_has(&p->y, s->y[i]); }
static int colour_of(int colour) { return colour < 0 ? 0 : colour % RV_CHART_COLOURS; }

/* ---- ranges ---- */

typedef struct {
    double low, high;
} range;

static void widen(range *r, bool log, double v) {
    if (!isfinite(v) || (log && v <= 0)) return;
    r->low = fmin(r->low, v);
    r->high = fmax(r->high, v);
}

static void ranges(const rv_chart *c, range *x, range *y) {
    *x = *y = (range){INFINITY, -INFINITY};
    for (int s = 0; s < c->n_series; s++) {
        const rv_series *one = &c->series[s];
        for (int i = 0; i < one->n; i++) {
            if (!isfinite(one->x[i]) || !isfinite(one->y[i]) || (c->x_log && one->x[i] <= 0) || (c->y_log && one->y[i] <= 0)) continue;
            widen(x, c->x_log, one->x[i]);
            widen(y, c->y_log, one->y[i]);
            if (one->low && one->high) widen(y, c->y_log, one->low[i]), widen(y, c->y_log, one->high[i]);
        }
    }
    for (int i = 0; i < c->n_marks; i++) widen(x, c->x_log, c->marks[i].x);
    if (c->y_from_zero && !c->y_log && y->low <= y->high) y->low = fmin(y->low, 0), y->high = fmax(y->high, 0);
    if (c->y_high > c->y_low && (!c->y_log || c->y_low > 0)) *y = (range){c->y_low, c->y_high};
}

/* Lengths and sizes are often doubled from point to point: then so are the ticks. */
static bool powers_of_two(const rv_chart *c) {
    bool any = false;
    for (int s = 0; s < c->n_series; s++)
        for (int i = 0; i < c->series[s].n; i++) {
            int e;
            if (!isfinite(c->series[s].x[i])) continue;
            if (frexp(c->series[s].x[i], &e) != 0.5) return false;
            any = true;
        }
    return any && c->x_log;
}

/* ---- frame ---- */

static void draw_axes(const plot *p) {
    FILE *f = p->f;
    for (int i = 0; i < p->y.n; i++) {
        const double y = px_y(p, p->y.tick[i]);
        fprintf(f, "<path class='grid' d='M%.1f %.1fH%.1f'/><text class='quiet end' x='%.1f' y='%.1f'>%s</text>\n", p->left, y, p->right, p->left - 7, y + 4.5,
                p->y.label[i]);
    }
    fprintf(f, "<path class='axis' d='M%.1f %.1fH%.1f", p->left, p->bottom, p->right);
    for (int i = 0; i < p->x.n; i++) fprintf(f, "M%.1f %.1fv5", px_x(p, p->x.tick[i]), p->bottom);
    fputs("'/>\n", f);
    for (int i = 0; i < p->x.n; i++)
        fprintf(f, "<text class='quiet mid' x='%.1f' y='%.1f'>%s</text>\n", px_x(p, p->x.tick[i]), p->bottom + 19, p->x.label[i]);
    if (p->c->x_label) {
        const double half = fmin(rv__text_width(p->c->x_label), p->right - 4) / 2;
        fprintf(f, "<text class='quiet mid' x='%.1f' y='%.1f'>", fmax((p->left + p->right) / 2, half + 2), p->bottom + 38);
        rv__text(f, p->c->x_label, p->right);
        fputs("</text>\n", f);
    }
}

/* ---- series ---- */

/* Bands are drawn run by run between gaps; a bound below a log axis is its lower end. */
static void draw_band(const plot *p, const rv_series *s) {
    if (!s->low || !s->high) return;
    for (int i = 0; i < s->n;) {
        int end = i;
        while (end < s->n && has(p, s, end) && isfinite(s->low[end]) && rv__axis_has(&p->y, s->high[end])) end++;
        if (end - i > 1) {
            fprintf(p->f, "<path class='band f%d' d='", colour_of(s->colour));
            for (int k = i; k < end; k++) fprintf(p->f, "%c%.1f %.1f", k == i ? 'M' : 'L', px_x(p, s->x[k]), px_y(p, s->high[k]));
            for (int k = end - 1; k >= i; k--) fprintf(p->f, "L%.1f %.1f", px_x(p, s->x[k]), px_y(p, p->y.log ? fmax(s->low[k], p->y.low) : s->low[k]));
            fputs("Z'/>\n", p->f);
        }
        i = end > i ? end : i + 1;
    }
}

/* A run of values is a line; one alone is a point, else nobody would see it. */
static void draw_line(const plot *p, const rv_series *s) {
    const int c = colour_of(s->colour);
    for (int i = 0; i < s->n;) {
        int end = i;
        while (end < s->n && has(p, s, end)) end++;
        if (end - i > 1) {
            fprintf(p->f, "<path class='ln s%d %s%d' d='", c, s->dashed ? "two d" : "d", c);
            for (int k = i; k < end; k++) fprintf(p->f, "%c%.1f %.1f", k == i ? 'M' : 'L', px_x(p, s->x[k]), px_y(p, s->y[k]));
            fputs("'/>\n", p->f);
        }
        for (int k = i; k < end && (p->c->points || end - i == 1); k++)
            fprintf(p->f, "<circle class='%s%d' cx='%.1f' cy='%.1f' r='%s'/>", s->dashed ? "hollow s" : "dot f", c, px_x(p, s->x[k]), px_y(p, s->y[k]),
                    s->dashed ? "2.8" : "3.5");
        i = end > i ? end : i + 1;
    }
    fputc('\n', p->f);
}

/* ---- labels ---- */

typedef struct {
    const rv_series *s;
    double x, y; /* where the line ends */
} line_end;

static int by_height(const void *a, const void *b) {
    const line_end *p = a, *q = b;
    if (p->y != q->y) return p->y < q->y ? -1 : 1;
    return (p->s > q->s) - (p->s < q->s);
}

static bool end_of(const plot *p, const rv_series *s, line_end *out) {
    for (int i = s->n - 1; i >= 0; i--)
        if (has(p, s, i)) {
            *out = (line_end){s, px_x(p, s->x[i]), fmin(fmax(px_y(p, s->y[i]), p->top), p->bottom)};
            return true;
        }
    return false;
}

static void draw_end_labels(const plot *p) {
    const size_t n_most = (size_t)p->c->n_series;
    line_end *ends = calloc(n_most + 1, sizeof *ends);
    double *y = calloc(n_most + 1, sizeof *y);
    int n = 0;
    for (int s = 0; ends && y && s < p->c->n_series; s++)
        if (p->c->series[s].label && *p->c->series[s].label) n += end_of(p, &p->c->series[s], &ends[n]);
    if (n) qsort(ends, (size_t)n, sizeof *ends, by_height);
    for (int i = 0; i < n; i++) y[i] = ends[i].y;
    if (n) rv__spread(n, y, RV__LINE, p->top - 4, p->bottom + 8);
    for (int i = 0; i < n; i++) {
        const int c = colour_of(ends[i].s->colour);
        if (p->right - ends[i].x > 8 || fabs(y[i] - ends[i].y) > 4)
            fprintf(p->f, "<path class='thin s%d' d='M%.1f %.1fL%.1f %.1fL%.1f %.1f'/>", c, ends[i].x + 4, ends[i].y, fmax(p->right + 3, ends[i].x + 4), ends[i].y,
                    p->right + 13, y[i]);
        fprintf(p->f, "<text class='f%d label' x='%.1f' y='%.1f'>", c, p->right + 16, y[i] + 4.5);
        rv__text(p->f, ends[i].s->label, p->label_room);
        fputs("</text>\n", p->f);
    }
    free(ends);
    free(y);
}

/* The same names in rows above, each with a piece of its line: where the ends have no room. Without p->f it only counts rows. */
static double list_labels(const plot *p, double x0, double y0, double width) {
    double x = x0, y = y0;
    for (int i = 0; i < p->c->n_series; i++) {
        const rv_series *s = &p->c->series[i];
        if (!s->label || !*s->label) continue;
        const double w = fmin(rv__text_width(s->label), width - 34) + 34;
        if (x > x0 && x + w > x0 + width) x = x0, y += RV__LINE;
        if (p->f) {
            const int c = colour_of(s->colour);
            fprintf(p->f, "<path class='ln s%d %s%d' d='M%.1f %.1fh22'/><text class='f%d label' x='%.1f' y='%.1f'>", c, s->dashed ? "two d" : "d", c, x, y - 4.5, c,
                    x + 27, y);
            rv__text(p->f, s->label, width - 34);
            fputs("</text>\n", p->f);
        }
        x += w + 12;
    }
    return y + RV__LINE - y0;
}

/* ---- plumb lines ---- */

/* Texts stand in rows above the ground, each in the first row that is free there. Without f only rows are counted. */
static int draw_marks(const plot *p, FILE *f, double width) {
    enum { ROWS = 8 };
    double end[ROWS];
    int rows = 0;
    for (int r = 0; r < ROWS; r++) end[r] = -1e9;
    for (double last = -INFINITY;;) { /* from left to right, whatever the order given */
        const rv_chart_mark *m = NULL;
        int same = 0;
        for (int i = 0; i < p->c->n_marks; i++) {
            const rv_chart_mark *k = &p->c->marks[i];
            if (rv__axis_has(&p->x, k->x) && k->x > last && (!m || k->x < m->x)) m = k;
        }
        if (!m) return rows;
        last = m->x;
        for (int i = 0; i < p->c->n_marks; i++) {
            const rv_chart_mark *k = &p->c->marks[i];
            if (k->x != m->x) continue;
            const double w = fmin(rv__text_width(k->text), width - 8), at = px_x(p, k->x), x = fmax(2, at + 4 + w > width ? fmin(at - 4, width) - w : at + 4);
            int r = 0;
            while (r < ROWS - 1 && x < end[r] + 10) r++;
            end[r] = x + w;
            rows = rows > r + 1 ? rows : r + 1;
            if (!f) continue;
            const double y = p->top - 8 - RV__LINE * r;
            if (!same++ || r) fprintf(f, "<path class='plumb%s' d='M%.1f %.1fV%.1f'/>", k->colour < 0 ? "" : " own", at, y - 9, p->bottom);
            if (k->colour < 0)
                fprintf(f, "<text class='quiet mark' x='%.1f' y='%.1f'>", x, y);
            else
                fprintf(f, "<text class='f%d mark' x='%.1f' y='%.1f'>", colour_of(k->colour), x, y);
            rv__text(f, k->text, w + 1);
            fputs("</text>\n", f);
        }
    }
}

/* ---- the whole ---- */

static bool anything(const rv_chart *c) {
    range x, y;
    ranges(c, &x, &y);
    return x.low <= x.high && y.low <= y.high;
}

void rv__draw_lines(FILE *f, const rv_chart *c, double width, bool alone) {
    plot p = {.c = c};
    const char *title = c->title ? c->title : "";
    const bool tight = width < 480;
    double longest = 0;
    int named = 0;
    for (int s = 0; s < c->n_series; s++)
        if (c->series[s].label && *c->series[s].label) longest = fmax(longest, rv__text_width(c->series[s].label)), named++;
    const bool list = longest > width * (tight ? 0.3 : 0.35);
    p.label_room = list ? 0 : longest;
    range x, y;
    ranges(c, &x, &y);

    /* From above: title of a file, y title, list of names, texts of marks, ground, ticks, x title. */
    double head = alone ? 16 : 0;
    size_t title_lines = 0;
    for (const char *t = title; alone && *t; title_lines++) {
        t += rv__text_line(t, (width - 32) / 1.2);
        while (*t == ' ') t++;
    }
    head += 20.0 * (double)title_lines + (title_lines ? 6 : 0);
    const double list_at = head + 13 + (c->y_label ? 22 : 0);
    p.top = list_at - 3;
    if (list) p.top += list_labels(&p, 0, 0, width - 2) + 4;
    const double wanted = tight ? c->small ? 150 : 185 : 270;
    const double ground = fmax(wanted, list ? 0 : named * (double)RV__LINE);

    rv__axis_range(&p.y, y.low, y.high, c->y_log, !(c->y_high > c->y_low), (int)(ground / 45));
    rv__axis_range(&p.x, x.low, x.high, c->x_log, false, 6);
    p.y.from = ground, p.y.to = 0;
    rv__axis_ticks(&p.y, true, false);
    double ticks = 0;
    for (int i = 0; i < p.y.n; i++) ticks = fmax(ticks, rv__text_width(p.y.label[i]));
    p.left = ticks + 12;
    p.right = width - (p.label_room > 0 ? p.label_room + 18 : 14);
    p.x.from = p.left + (c->points ? 6 : 0), p.x.to = p.right - (c->points ? 6 : 0);
    rv__axis_ticks(&p.x, false, powers_of_two(c));
    p.top += RV__LINE * draw_marks(&p, NULL, width) + (c->n_marks ? 4 : 0);
    p.bottom = p.top + ground;
    p.y.from = p.bottom, p.y.to = p.top;

    p.f = f;
    const double height = p.bottom + (c->x_label ? 46 : 27) + (alone ? 8 : 0);
    rv__svg_begin(f, c->small ? "small" : tight ? "narrow" : "broad", width, height, title);
    if (alone) {
        fputs("<style>", f);
        rv__chart_style(f, false);
        fprintf(f, "svg{background:#fff}</style>\n<rect width='%.0f' height='%.0f' fill='#ffffff'/>\n", width, height);
        double at = 26;
        for (const char *t = title; *t; at += 20) {
            const size_t n = rv__text_line(t, (width - 32) / 1.2);
            char line[512];
            snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), t);
            fprintf(f, "<text class='head' x='8' y='%.0f'>", at);
            rv__text(f, line, 0);
            fputs("</text>\n", f);
            t += n;
            while (*t == ' ') t++;
        }
    }
    if (c->y_label) {
        fprintf(f, "<text class='quiet' x='%d' y='%.1f'>", alone ? 8 : 0, head + 12);
        rv__text(f, c->y_label, width - 8);
        fputs("</text>\n", f);
    }
    draw_axes(&p);
    if (!anything(c)) {
        fprintf(f, "<text class='quiet mid' x='%.1f' y='%.1f'>no values</text>\n</svg>\n", (p.left + p.right) / 2, (p.top + p.bottom) / 2);
        return;
    }
    draw_marks(&p, f, width);
    /* An inner <svg> clips what given limits leave out, a little outside the ground so that lines on its edge keep their width. */
    const double w = p.right - p.left + 8, h = p.bottom - p.top + 8;
    fprintf(f, "<svg x='%.1f' y='%.1f' width='%.1f' height='%.1f' viewBox='%.1f %.1f %.1f %.1f'>\n", p.left - 4, p.top - 4, w, h, p.left - 4, p.top - 4, w, h);
    for (int s = 0; s < c->n_series; s++) draw_band(&p, &c->series[s]);
    for (int s = 0; s < c->n_series; s++) draw_line(&p, &c->series[s]);
    fputs("</svg>\n", f);
    if (list)
        list_labels(&p, alone ? 8 : 0, list_at + 8, width - 2);
    else
        draw_end_labels(&p);
    fputs("</svg>\n", f);
}

void rv_chart_lines(FILE *f, const rv_chart *chart) {
    const locale_t old = rv__plain_begin();
    rv__figure_begin(f, chart->title ? chart->title : "");
    if (!chart->small) rv__draw_lines(f, chart, 760, false);
    rv__draw_lines(f, chart, 360, false);
    rv__figure_end(f);
    rv__plain_end(old);
}

rv_status rv_chart_file(const char *path, const rv_chart *chart) {
    char part[4096];
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) return rv_error(RV_EUSAGE, "the path of a chart is too long: %.100s...", path);
    FILE *f = fopen(part, "w");
    if (!f) return rv_error(RV_EDATA, "cannot write %s: %s", part, strerror(errno));
    const locale_t old = rv__plain_begin();
    rv__draw_lines(f, chart, 820, true);
    rv__plain_end(old);
    const bool bad = ferror(f);
    if (fclose(f) || bad || rename(part, path)) {
        const int why = errno;
        remove(part);
        return rv_error(RV_EDATA, "cannot write %s: %s", path, strerror(why));
    }
    return RV_OK;
}

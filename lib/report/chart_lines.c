/* Lines against two axes, labelled where they end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/chart_private.h"

typedef struct {
    FILE *f;
    const rv_chart *c;
    double width;
    double left, right, top, bottom; /* of the ground that lines are drawn on */
    rv__axis x, y;
    bool some;         /* there are values */
    double label_room; /* px for labels at the ends; 0: they stand in a list above */
} plot;

static double px_x(const plot *p, double v) { return rv__axis_px(&p->x, v); }
static double px_y(const plot *p, double v) { return rv__axis_px(&p->y, v); }
static bool has(const plot *p, const rv_series *s, int i) {
    return rv__axis_has(&p->x, s->x[i]) && rv__axis_has(&p->y, s->y[i]);
}
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
    double lowest = INFINITY;
    for (int s = 0; s < c->n_series; s++) {
        const rv_series *one = &c->series[s];
        for (int i = 0; i < one->n; i++) {
            if (!isfinite(one->x[i]) || !isfinite(one->y[i]) || (c->x_log && one->x[i] <= 0) ||
                (c->y_log && one->y[i] <= 0))
                continue;
            widen(x, c->x_log, one->x[i]);
            widen(y, c->y_log, one->y[i]);
            lowest = fmin(lowest, one->y[i]);
            if (one->low && one->high) widen(y, c->y_log, one->low[i]), widen(y, c->y_log, one->high[i]);
        }
    }
    if (c->y_log) y->low = fmax(y->low, lowest / 4); /* an interval that all but holds 0 would make the lines flat */
    for (int i = 0; i < c->n_marks; i++) widen(x, c->x_log, c->marks[i].x);
    if (c->x_from_zero && !c->x_log && x->low <= x->high) x->low = fmin(x->low, 0), x->high = fmax(x->high, 0);
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
        fprintf(f, "<path class='grid' d='M%.1f %.1fH%.1f'/><text class='quiet end' x='%.1f' y='%.1f'>%s</text>\n",
                p->left, y, p->right, p->left - 7, y + 4.5, p->y.label[i]);
    }
    fprintf(f, "<path class='axis' d='M%.1f %.1fH%.1f", p->left, p->bottom, p->right);
    for (int i = 0; i < p->x.n; i++) fprintf(f, "M%.1f %.1fv5", px_x(p, p->x.tick[i]), p->bottom);
    fputs("'/>\n", f);
    for (int i = 0; i < p->x.n; i++)
        fprintf(f, "<text class='quiet mid' x='%.1f' y='%.1f'>%s</text>\n",
                rv__inside(p->width, p->x.label[i], px_x(p, p->x.tick[i])), p->bottom + 19, p->x.label[i]);
    if (p->c->x_label)
        rv__paragraph(f, "quiet mid", rv__inside(p->width, p->c->x_label, (p->left + p->right) / 2), p->bottom + 38,
                      p->width, p->c->x_label);
}

/* ---- series ---- */

/* The lower end of an interval, which a log axis may have no place for. */
static double low_of(const plot *p, const rv_series *s, int i) {
    return p->y.log ? fmax(s->low[i], p->y.low) : s->low[i];
}

/* Bands are drawn run by run between gaps; of one value alone it is a bar. */
static void draw_band(const plot *p, const rv_series *s) {
    if (!s->low || !s->high) return;
    for (int i = 0; i < s->n;) {
        int end = i;
        while (end < s->n && has(p, s, end) && isfinite(s->low[end]) && rv__axis_has(&p->y, s->high[end])) end++;
        if (end - i > 1) {
            const int by = (end - i) / 800 + 1; /* more points than pixels add nothing */
            fprintf(p->f, "<path class='band f%d' d='", colour_of(s->colour));
            for (int k = i; k < end; k++)
                if ((k - i) % by == 0 || k == end - 1)
                    fprintf(p->f, "%c%.1f %.1f", k == i ? 'M' : 'L', px_x(p, s->x[k]), px_y(p, s->high[k]));
            for (int k = end - 1; k >= i; k--)
                if ((k - i) % by == 0 || k == end - 1)
                    fprintf(p->f, "L%.1f %.1f", px_x(p, s->x[k]), px_y(p, low_of(p, s, k)));
            fputs("Z'/>\n", p->f);
        } else if (end > i) {
            fprintf(p->f, "<path class='bar s%d' d='M%.1f %.1fV%.1f'/>\n", colour_of(s->colour), px_x(p, s->x[i]),
                    px_y(p, low_of(p, s, i)), px_y(p, s->high[i]));
        }
        i = end > i ? end : i + 1;
    }
}

/* The points of a line from `from` to `end`. Of many in one column of pixels, as noisy curves have them, only those are
 * written that show there: the first, the lowest, the highest and the last. */
static void draw_path(const plot *p, const rv_series *s, int from, int end) {
    char move = 'M';
    for (int i = from; i < end;) {
        const double x = px_x(p, s->x[i]);
        int low = i, high = i, stop = i + 1;
        for (; stop < end && fabs(px_x(p, s->x[stop]) - x) < 0.6; stop++) {
            if (s->y[stop] < s->y[low]) low = stop;
            if (s->y[stop] > s->y[high]) high = stop;
        }
        const int keep[] = {i, low < high ? low : high, low < high ? high : low, stop - 1};
        for (int k = 0; k < 4; k++) {
            if (k && keep[k] == keep[k - 1]) continue;
            fprintf(p->f, "%c%.1f %.1f", move, px_x(p, s->x[keep[k]]), px_y(p, s->y[keep[k]]));
            move = 'L';
        }
        i = stop;
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
            draw_path(p, s, i, end);
            fputs("'/>\n", p->f);
        }
        for (int k = i; k < end && (p->c->points || end - i == 1); k++)
            fprintf(p->f, "<circle class='%s%d' cx='%.1f' cy='%.1f' r='%s'/>\n", s->dashed ? "hollow s" : "dot f", c,
                    px_x(p, s->x[k]), px_y(p, s->y[k]), s->dashed ? "2.8" : "3.5");
        i = end > i ? end : i + 1;
    }
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
    if (n) rv__spread(n, y, RV__LINE, p->top + 2, p->bottom + 2);
    for (int i = 0; i < n; i++) {
        const int c = colour_of(ends[i].s->colour);
        if (p->right - ends[i].x > 8) /* dots lead from an early end to the edge */
            fprintf(p->f, "<path class='lead s%d' d='M%.1f %.1fH%.1f'/>", c, ends[i].x + 6, ends[i].y, p->right + 3);
        if (fabs(y[i] - ends[i].y) > 4)
            fprintf(p->f, "<path class='thin s%d' d='M%.1f %.1fL%.1f %.1f'/>", c, p->right + 5, ends[i].y,
                    p->right + 14, y[i]);
        fprintf(p->f, "<text class='f%d label' x='%.1f' y='%.1f'>", c, p->right + 16, y[i] + 4.5);
        rv__text(p->f, ends[i].s->label, p->label_room);
        fputs("</text>\n", p->f);
    }
    free(ends);
    free(y);
}

/* The same names in rows from y0 on, each with a piece of its line: where the ends have no room. Returns their height.
 */
static double list_labels(const plot *p, bool drawn, double y0) {
    double x = 0, y = y0;
    int n = 0;
    for (int i = 0; i < p->c->n_series; i++) {
        const rv_series *s = &p->c->series[i];
        if (!s->label || !*s->label) continue;
        const double w = fmin(rv__text_width(s->label) + 34, p->width);
        if (x > 0 && x + w > p->width) x = 0, y += RV__LINE;
        if (drawn) {
            const int c = colour_of(s->colour);
            fprintf(p->f, "<path class='ln s%d %s%d' d='M%.1f %.1fh24'/><text class='f%d label' x='%.1f' y='%.1f'>", c,
                    s->dashed ? "two d" : "d", c, x, y - 4.5, c, x + 30, y);
            rv__text(p->f, s->label, p->width - 34);
            fputs("</text>\n", p->f);
        }
        x += w + 10;
        n++;
    }
    return n ? y + RV__LINE - y0 : 0;
}

/* ---- plumb lines ---- */

typedef struct {
    const rv_chart_mark *mark;
    double at, x, end; /* px of the line, and of its text */
    int row;
} plumb;

static const char *text_of(const rv_chart_mark *m) { return m->text ? m->text : ""; }

static int in_turn(const void *a, const void *b) {
    const plumb *p = a, *q = b;
    const bool left = p->x < p->at, other_left = q->x < q->at;
    if (left != other_left) return left ? 1 : -1;
    if (p->at != q->at) return (p->at > q->at) == left ? 1 : -1;
    return (p->mark > q->mark) - (p->mark < q->mark);
}

/* Texts stand in rows above the ground, each in the lowest row where it touches no other text and no line that comes
 * down from above: hence those right of their lines from right to left, then those left of them from left to right.
 * Returns rows. */
static int place_marks(const plot *p, plumb *all, int *count) {
    int n = 0, rows = 0;
    for (int i = 0; i < p->c->n_marks; i++)
        if (rv__axis_has(&p->x, p->c->marks[i].x)) {
            const double w = fmin(rv__text_width(text_of(&p->c->marks[i])), p->width - 8),
                         at = px_x(p, p->c->marks[i].x);
            const double x = at + 5 + w <= p->width ? at + 5 : fmax(at - 5 - w, 0);
            all[n++] = (plumb){&p->c->marks[i], at, x, x + w, 0};
        }
    qsort(all, (size_t)n, sizeof *all, in_turn);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i;) {
            const bool touch = all[k].row == all[i].row && all[k].x < all[i].end + 10 && all[i].x < all[k].end + 10;
            const bool crossed = all[k].row >= all[i].row && all[k].at > all[i].x - 3 && all[k].at < all[i].end + 3;
            if (touch || crossed)
                all[i].row++, k = 0;
            else
                k++;
        }
        rows = all[i].row + 1 > rows ? all[i].row + 1 : rows;
    }
    *count = n;
    return rows;
}

static void draw_marks(const plot *p, const plumb *all, int n) {
    for (int i = 0; i < n; i++)
        fprintf(p->f, "<path class='plumb' d='M%.1f %.1fV%.1f'/>\n", all[i].at, p->top - 18.0 - RV__LINE * all[i].row,
                p->bottom);
    for (int i = 0; i < n; i++) {
        const int c = all[i].mark->colour;
        fputs("<text class='mark halo", p->f);
        if (c >= 0) fprintf(p->f, " f%d", colour_of(c));
        fprintf(p->f, "' x='%.1f' y='%.1f'>", all[i].x, p->top - 9.0 - RV__LINE * all[i].row);
        rv__text(p->f, text_of(all[i].mark), all[i].end - all[i].x + 1);
        fputs("</text>\n", p->f);
    }
}

/* ---- the whole ---- */

enum { MARGIN = 12, BROAD = 760, NARROW = 360, FILE_WIDTH = 820 };

/* Names need the right third at most; else they go into a list. Returns how many there are. */
static int make_room(plot *p, bool tight) {
    int named = 0;
    double longest = 0;
    for (int s = 0; s < p->c->n_series; s++) {
        const char *label = p->c->series[s].label;
        if (label && *label) longest = fmax(longest, rv__text_width(label)), named++;
    }
    p->label_room = longest > p->width * (tight ? 0.3 : 0.35) ? 0 : longest;
    return p->label_room > 0 ? named : 0;
}

static void lay_axes(plot *p, double ground) {
    const rv_chart *c = p->c;
    range x, y;
    ranges(c, &x, &y);
    rv__axis_range(&p->y, y.low, y.high, c->y_log, !(c->y_high > c->y_low), (int)(ground / 45));
    rv__axis_range(&p->x, x.low, x.high, c->x_log, false, 6);
    p->y.from = ground, p->y.to = 0;
    rv__axis_ticks(&p->y, true, false);
    double ticks = 0;
    for (int i = 0; i < p->y.n; i++) ticks = fmax(ticks, rv__text_width(p->y.label[i]));
    p->left = ticks + 10;
    p->right = p->width - (p->label_room > 0 ? p->label_room + 18 : 14);
    p->x.from = p->left + (c->points ? 6 : 0), p->x.to = p->right - (c->points ? 6 : 0);
    rv__axis_ticks(&p->x, false, powers_of_two(c));
    p->some = x.low <= x.high && y.low <= y.high;
    if (!p->some) p->x.n = p->y.n = 0;
}

/* An inner <svg> clips what given limits leave out, a little outside the ground so that lines on its edge keep their
 * width. */
static void draw_series(const plot *p) {
    const double w = p->right - p->left + 8, h = p->bottom - p->top + 8;
    fprintf(p->f, "<svg x='%.1f' y='%.1f' width='%.1f' height='%.1f' viewBox='%.1f %.1f %.1f %.1f'>\n", p->left - 4,
            p->top - 4, w, h, p->left - 4, p->top - 4, w, h);
    for (int s = 0; s < p->c->n_series; s++) draw_band(p, &p->c->series[s]);
    for (int s = 0; s < p->c->n_series; s++) draw_line(p, &p->c->series[s]);
    fputs("</svg>\n", p->f);
}

/* From above: the title (of a file; a page has it in the caption), the y axis' title, a list of names if they have no
 * room at the right, texts of marks, the ground, the x axis' numbers and title. */
static void draw(FILE *f, const rv_chart *c, const char *kind, double width, bool alone) {
    const char *title = c->title ? c->title : "";
    const bool tight = width < 480;
    plot p = {.f = f, .c = c, .width = width};
    plumb *marks = calloc((size_t)c->n_marks + 1, sizeof *marks);
    int n_marks = 0;
    const int at_right = make_room(&p, tight);
    const int head = alone ? rv__paragraph(NULL, "head", 0, 0, width, title) : 0,
              above = rv__paragraph(NULL, "quiet", 0, 0, width, c->y_label);
    const double title_y = 1.25 * RV__LINE * head + (head ? 6 : 0),
                 names_y = title_y + RV__LINE * above + (above ? 8 : 0);
    const bool list = !at_right && c->n_series > 0;
    const double ground = fmax(tight ? c->small ? 150 : 185 : 270, at_right * (double)RV__LINE);
    lay_axes(&p, ground);
    p.top = names_y + 10 + (list ? list_labels(&p, false, 0) + 2 : 0);
    const int rows = marks ? place_marks(&p, marks, &n_marks) : 0;
    p.top += RV__LINE * rows + (rows ? 6 : 0);
    p.bottom = p.top + ground;
    p.y.from = p.bottom, p.y.to = p.top;

    const double height =
        p.bottom + 26 + RV__LINE * rv__paragraph(NULL, "quiet mid", 0, 0, width, c->x_label) + (c->x_label ? 3 : 0);
    rv__svg_begin(f, kind, width, height, alone ? MARGIN : 0, title);
    if (alone) {
        fputs("<style>", f);
        rv__chart_style(f, false);
        fprintf(f, "</style>\n<rect x='%d' y='%d' width='100%%' height='100%%' fill='#ffffff'/>\n", -MARGIN, -MARGIN);
        rv__paragraph(f, "head", 0, 14, width, title);
    }
    rv__paragraph(f, "quiet", 0, title_y + 12, width, c->y_label);
    draw_axes(&p);
    if (p.some) {
        draw_marks(&p, marks, n_marks);
        draw_series(&p);
        if (list) list_labels(&p, true, names_y + 13);
        if (at_right) draw_end_labels(&p);
    } else {
        fprintf(f, "<text class='quiet mid' x='%.1f' y='%.1f'>no values</text>\n", (p.left + p.right) / 2,
                (p.top + p.bottom) / 2);
    }
    fputs("</svg>\n", f);
    free(marks);
}

void rv_chart_lines(FILE *f, const rv_chart *chart) {
    const locale_t old = rv__plain_begin();
    rv__figure_begin(f, chart->title ? chart->title : "");
    if (!chart->small) draw(f, chart, "broad", BROAD, false);
    draw(f, chart, chart->small ? "small" : "narrow", NARROW, false);
    rv__figure_end(f);
    rv__plain_end(old);
}

rv_status rv_chart_file(const char *path, const rv_chart *chart) {
    FILE *f = rv__file_begin(path);
    if (!f) return RV_EDATA;
    const locale_t old = rv__plain_begin();
    draw(f, chart, "broad", FILE_WIDTH - 2 * MARGIN, true);
    rv__plain_end(old);
    return rv__file_end(f, path, true);
}

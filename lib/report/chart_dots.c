/* A row per entry: a point, its interval, the value printed. */
#include <math.h>

#include "report/chart_private.h"

enum { ROW = 27 };

static int colour_of(int colour) { return colour < 0 ? 0 : colour % RV_CHART_COLOURS; }

static void widen(double *low, double *high, double v) {
    if (!isfinite(v)) return;
    *low = fmin(*low, v);
    *high = fmax(*high, v);
}

/* Two digits of what the intervals leave open; four digits of the value where there is none. */
static double step_of(int n, const rv_dot *dots) {
    double open = INFINITY, most = 0;
    for (int i = 0; i < n; i++) {
        const double w = dots[i].high - dots[i].low;
        if (isfinite(w) && w > 0) open = fmin(open, w);
        if (isfinite(dots[i].value)) most = fmax(most, fabs(dots[i].value));
    }
    if (!(most > 0)) most = 1;
    if (!isfinite(open)) open = most / 100;
    return fmax(pow(10, floor(log10(open)) - 1), pow(10, floor(log10(most)) - 5));
}

static void printed(char *out, size_t size, const rv_dot *d, double step, double most) {
    char v[RV__NUMBER], low[RV__NUMBER], high[RV__NUMBER];
    rv__number(v, d->value, step, most);
    rv__number(low, d->low, step, most);
    rv__number(high, d->high, step, most);
    if (isfinite(d->low) && isfinite(d->high) && d->high > d->low)
        snprintf(out, size, "%s  [%s, %s]", v, low, high);
    else
        snprintf(out, size, "%s", v);
}

static void draw(FILE *f, const char *title, const char *x_label, int n, const rv_dot *dots, double width) {
    double low = INFINITY, high = -INFINITY, longest = 0, number = 0, most = 0;
    const double step = step_of(n, dots);
    char text[4 * RV__NUMBER];
    for (int i = 0; i < n; i++) {
        const rv_dot *d = &dots[i];
        widen(&low, &high, d->value), widen(&low, &high, d->low), widen(&low, &high, d->high);
        for (int k = 0; k < d->n_each && d->each; k++) widen(&low, &high, d->each[k]);
    }
    most = low <= high ? fmax(fabs(low), fabs(high)) : 1;
    for (int i = 0; i < n; i++) {
        printed(text, sizeof text, &dots[i], step, most);
        number = fmax(number, rv__text_width(text));
        longest = fmax(longest, rv__text_width(dots[i].label));
    }
    const bool above = width < 480 || longest > 0.4 * width; /* the label has a line of its own */
    const double row = above ? ROW + RV__LINE : ROW, top = 6, bottom = top + row * fmax(n, 1) + 4;
    rv__axis x;
    rv__axis_range(&x, low, high, false, true, 5);
    x.from = above ? 8 : longest + 18;
    x.to = above ? width - 14 : width - number - 20;
    for (int again = 0; again < 2; again++) { /* then the ends of the axis leave room for half a label */
        rv__axis_ticks(&x, false, false);
        for (int i = 0; i < x.n; i++) {
            const double half = rv__text_width(x.label[i]) / 2;
            x.from = fmax(x.from, half), x.to = fmin(x.to, width - half);
        }
    }

    rv__svg_begin(f, width < 480 ? "narrow" : "broad", width, bottom + (x_label ? 46 : 27), 0, title);
    for (int i = 0; i < x.n; i++) {
        const double at = rv__axis_px(&x, x.tick[i]);
        fprintf(f, "<path class='grid' d='M%.1f %.1fV%.1f'/><text class='quiet mid' x='%.1f' y='%.1f'>%s</text>\n", at,
                top, bottom, at, bottom + 18, x.label[i]);
    }
    fprintf(f, "<path class='axis' d='M%.1f %.1fH%.1f'/>\n", x.from, bottom, x.to);
    if (x_label) {
        fprintf(f, "<text class='quiet mid' x='%.1f' y='%.1f'>", rv__inside(width, x_label, (x.from + x.to) / 2),
                bottom + 38);
        rv__text(f, x_label, width);
        fputs("</text>\n", f);
    }
    if (!n) fprintf(f, "<text class='quiet mid' x='%.1f' y='%.1f'>no values</text>\n", (x.from + x.to) / 2, top + 18);
    for (int i = 0; i < n; i++) {
        const rv_dot *d = &dots[i];
        const int c = colour_of(d->colour);
        const double y = top + row * (i + 1) - ROW / 2.0, text_y = above ? y - 13 : y + 4.5;
        fprintf(f, "<text class='f%d halo%s' x='%.1f' y='%.1f'>", c, above ? "" : " end", above ? x.from : x.from - 12,
                text_y);
        rv__text(f, d->label, above ? width - number - 30 : 0);
        printed(text, sizeof text, d, step, most);
        fprintf(f, "</text><text class='halo end' x='%.1f' y='%.1f'>%s</text>", width - 4, text_y, text);
        if (isfinite(d->low) && isfinite(d->high))
            fprintf(f, "<path class='bar s%d' d='M%.1f %.1fH%.1f'/>", c, rv__axis_px(&x, d->low), y,
                    rv__axis_px(&x, d->high));
        for (int k = 0; k < d->n_each && d->each; k++)
            if (isfinite(d->each[k]))
                fprintf(f, "<path class='thin s%d' d='M%.1f %.1fv12'/>", c, rv__axis_px(&x, d->each[k]), y - 6);
        if (isfinite(d->value))
            fprintf(f, "<circle class='dot f%d' cx='%.1f' cy='%.1f' r='5'/>", c, rv__axis_px(&x, d->value), y);
        fputc('\n', f);
    }
    fputs("</svg>\n", f);
}

void rv_chart_dots(FILE *f, const char *title, const char *x_label, int n, const rv_dot *dots) {
    const locale_t old = rv__plain_begin();
    rv__figure_begin(f, title);
    draw(f, title, x_label, n, dots, 760);
    draw(f, title, x_label, n, dots, 360);
    rv__figure_end(f);
    rv__plain_end(old);
}

/* A heat map of attention: source tokens above, leaning to the right; target tokens at the left. */
#include <math.h>

#include "report/chart_private.h"

static const double cell = 26, lean_x = 0.5, lean_y = 0.866, longest_label = 170; /* labels lean by 60 degrees */

static double label_width(const char *label) { return fmin(rv__text_width(label), longest_label); }

void rv_chart_heat(FILE *f, const char *title, int64_t T, int64_t S, const char *const *target,
                   const char *const *source, const double *weights) {
    const locale_t old = rv__plain_begin();
    double left = 1, top = 1, right = (double)S * cell;
    for (int64_t t = 0; t < T; t++) left = fmax(left, label_width(target[t]) + 12);
    for (int64_t s = 0; s < S; s++) {
        const double w = label_width(source[s]);
        top = fmax(top, lean_y * w + 16);
        right = fmax(right, ((double)s + 0.5) * cell + lean_x * w + 12);
    }
    left = ceil(left), top = ceil(top);
    fputs("<figure class='map'><figcaption>", f);
    rv__text(f, title, 0);
    fputs("</figcaption><div class='scroll' tabindex='0'>\n", f);
    rv__svg_begin(f, S > 30 ? "long" : "map", fmax(left + right + 2, 120), top + (double)T * cell + 2, 0, title);
    if (T < 1 || S < 1) fputs("<text class='quiet' x='4' y='20'>no weights</text>\n", f);
    for (int64_t s = 0; s < S; s++) {
        fprintf(f, "<text transform='translate(%.1f %.1f) rotate(-60)'>", left + ((double)s + 0.5) * cell + 4, top - 7);
        rv__text(f, source[s], longest_label);
        fputs("</text>\n", f);
    }
    for (int64_t t = 0; t < T; t++) {
        fprintf(f, "<text class='end' x='%.1f' y='%.1f'>", left - 7, top + ((double)t + 0.5) * cell + 4.5);
        rv__text(f, target[t], longest_label);
        fputs("</text>\n", f);
    }
    for (int64_t t = 0; t < T; t++)
        for (int64_t s = 0; s < S; s++) {
            const double v = weights[t * S + s];
            if (!isfinite(v)) continue;
            fprintf(f, "<rect class='cell' x='%.0f' y='%.0f' width='%.0f' height='%.0f' fill-opacity='%.2f'><title>",
                    left + (double)s * cell, top + (double)t * cell, cell - 1, cell - 1, fmin(fmax(v, 0), 1));
            rv__text(f, source[s], 0);
            fputs(" → ", f);
            rv__text(f, target[t], 0);
            fprintf(f, ": %.3f</title></rect>\n", v);
        }
    if (T > 0 && S > 0)
        fprintf(f, "<rect class='axis' x='%.1f' y='%.1f' width='%.0f' height='%.0f'/>\n", left - 1, top - 1,
                (double)S * cell + 1, (double)T * cell + 1);
    fputs("</svg></div></figure>\n", f);
    rv__plain_end(old);
}

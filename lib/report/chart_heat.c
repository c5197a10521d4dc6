/* Heat maps: of attention, source tokens above, leaning to the right, target tokens at the left; of signed values. */
#include <math.h>

#include "report/chart_private.h"

static const double cell = 26, lean_x = 0.5, lean_y = 0.866, longest_label = 170; /* labels lean by 60 degrees */

typedef struct {
    FILE *f;
    int64_t rows, columns;
    const char *const *row, *const *column;
    double left, top; /* of the first cell */
} map;

static double label_width(const char *label) { return fmin(rv__text_width(label), longest_label); }

static void begin(map *m, const char *title, const char *nothing) {
    double right = (double)m->columns * cell;
    m->left = m->top = 1;
    for (int64_t t = 0; t < m->rows; t++) m->left = fmax(m->left, label_width(m->row[t]) + 12);
    for (int64_t s = 0; s < m->columns; s++) {
        const double w = label_width(m->column[s]);
        m->top = fmax(m->top, lean_y * w + 16);
        right = fmax(right, ((double)s + 0.5) * cell + lean_x * w + 12);
    }
    m->left = ceil(m->left), m->top = ceil(m->top);
    fputs("<figure class='map'><figcaption>", m->f);
    rv__text(m->f, title, 0);
    fputs("</figcaption><div class='scroll' tabindex='0'>\n", m->f);
    rv__svg_begin(m->f, m->columns > 30 ? "long" : "map", fmax(m->left + right + 2, 120),
                  m->top + (double)m->rows * cell + 2, 0, title);
    if (m->rows < 1 || m->columns < 1) fprintf(m->f, "<text class='quiet' x='4' y='20'>%s</text>\n", nothing);
}

static void labels(const map *m) {
    for (int64_t s = 0; s < m->columns; s++) {
        fprintf(m->f, "<text transform='translate(%.1f %.1f) rotate(-60)'>", m->left + ((double)s + 0.5) * cell + 4,
                m->top - 7);
        rv__text(m->f, m->column[s], longest_label);
        fputs("</text>\n", m->f);
    }
    for (int64_t t = 0; t < m->rows; t++) {
        fprintf(m->f, "<text class='end' x='%.1f' y='%.1f'>", m->left - 7, m->top + ((double)t + 0.5) * cell + 4.5);
        rv__text(m->f, m->row[t], longest_label);
        fputs("</text>\n", m->f);
    }
}

static void tooltip(const map *m, const char *from, const char *to) {
    fputs("<title>", m->f);
    rv__text(m->f, from, 0);
    fputs(" → ", m->f);
    rv__text(m->f, to, 0);
}

static void put_cell(const map *m, const char *class, int64_t t, int64_t s, double strength) {
    fprintf(m->f, "<rect class='%s' x='%.0f' y='%.0f' width='%.0f' height='%.0f' fill-opacity='%.2f'>", class,
            m->left + (double)s * cell, m->top + (double)t * cell, cell - 1, cell - 1, strength);
}

static void end(const map *m) {
    if (m->rows > 0 && m->columns > 0)
        fprintf(m->f, "<rect class='axis' x='%.1f' y='%.1f' width='%.0f' height='%.0f'/>\n", m->left - 1, m->top - 1,
                (double)m->columns * cell + 1, (double)m->rows * cell + 1);
    fputs("</svg></div></figure>\n", m->f);
}

void rv_chart_heat(FILE *f, const char *title, int64_t T, int64_t S, const char *const *target,
                   const char *const *source, const double *weights) {
    const locale_t old = rv__plain_begin();
    map m = {.f = f, .rows = T, .columns = S, .row = target, .column = source};
    begin(&m, title, "no weights");
    labels(&m);
    for (int64_t t = 0; t < T; t++)
        for (int64_t s = 0; s < S; s++) {
            const double v = weights[t * S + s];
            if (!isfinite(v)) continue;
            put_cell(&m, "cell", t, s, fmin(fmax(v, 0), 1));
            tooltip(&m, source[s], target[t]);
            fprintf(f, ": %.3f</title></rect>\n", v);
        }
    end(&m);
    rv__plain_end(old);
}

/* ---- signed */

/* What a cell has on top: a dash below 0, so that a grey print keeps the signs apart, a cross where nothing can be. */
static void mark(const map *m, int64_t t, int64_t s, bool cross) {
    const double x = m->left + ((double)s + 0.5) * cell - 0.5, y = m->top + ((double)t + 0.5) * cell - 0.5, r = 4;
    if (cross)
        fprintf(m->f, "<path class='sign' d='M%.1f %.1fL%.1f %.1fM%.1f %.1fL%.1f %.1f'/>\n", x - r, y - r, x + r, y + r,
                x - r, y + r, x + r, y - r);
    else
        fprintf(m->f, "<path class='sign' d='M%.1f %.1fH%.1f'/>\n", x - r, y, x + r);
}

static void signed_cell(const map *m, int64_t t, int64_t s, double v, double most) {
    static const double faint = 0.05; /* no dash on what can hardly be seen */
    const bool banned = !isfinite(v);
    const double strength = !banned && most > 0 ? fabs(v) / most : 0;
    put_cell(m, banned ? "cell banned" : v < 0 ? "cell minus" : "cell", t, s, strength);
    tooltip(m, m->row[t], m->column[s]);
    if (banned)
        fputs(": cannot be</title></rect>\n", m->f);
    else
        fprintf(m->f, ": %.3f</title></rect>\n", v);
    if (banned || (v < 0 && strength > faint)) mark(m, t, s, banned);
}

void rv_chart_signed_heat(FILE *f, const char *title, int64_t rows, int64_t columns, const char *const *row,
                          const char *const *column, const double *value) {
    const locale_t old = rv__plain_begin();
    map m = {.f = f, .rows = rows, .columns = columns, .row = row, .column = column};
    double most = 0;
    for (int64_t i = 0; i < rows * columns; i++)
        if (isfinite(value[i])) most = fmax(most, fabs(value[i]));
    begin(&m, title, "no values");
    labels(&m);
    for (int64_t i = 0; i < rows * columns; i++)
        if (!isnan(value[i])) signed_cell(&m, i / columns, i % columns, value[i], most);
    end(&m);
    rv__plain_end(old);
}

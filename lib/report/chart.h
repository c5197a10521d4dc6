/** Charts as SVG fragments for an HTML page, and the page around them: no scripts, nothing from the network, colours by
 * CSS variables (light, dark, print), fit for colour-blind readers: lines differ by colour, dash and a label at their
 * end.
 *
 *  Functions write to a FILE; what cannot be written shows in ferror, for the caller to see at the end. All text is
 * escaped. Equal input gives equal bytes. Values that are not finite are gaps. */
#ifndef RV_REPORT_CHART_H
#define RV_REPORT_CHART_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

enum { RV_CHART_COLOURS = 8 };

typedef struct {
    const char *label; /**< at the line's end */
    int colour;        /**< 0 .. RV_CHART_COLOURS - 1; the same model has the same one on the whole page */
    bool dashed;       /**< a second kind of the same thing (before training, 1 thread) */
    int n;
    const double *x, *y;
    const double *low, *high; /**< a shaded band, of a value that stands alone a bar; or NULL */
} rv_series;

typedef struct {
    double x;
    const char *text;
    int colour;  /**< -1: neutral */
} rv_chart_mark; /**< a plumb line with a text: "equal at 412" */

typedef struct {
    const char *title;             /**< what is seen, as a short sentence */
    const char *x_label, *y_label; /**< with unit */
    bool x_log, y_log, x_from_zero, y_from_zero;
    double y_low, y_high; /**< equal: from the data */
    int n_series;
    const rv_series *series;
    int n_marks;
    const rv_chart_mark *marks;
    bool points; /**< a point at each value: for few values */
    bool small;  /**< one of several side by side */
} rv_chart;
/** A line chart. Labels at the ends never overlap; ticks are round numbers; on a log axis powers (and 2, 5 where there
 * is room). Nothing to draw: a frame that says so. */
RV_API void rv_chart_lines(FILE *f, const rv_chart *chart);
/** The same as a file of its own (.svg), title and style inside, on a light ground. Error: RV_EDATA if it cannot be
 * written. */
RV_API rv_status rv_chart_file(const char *path, const rv_chart *chart);

typedef struct {
    const char *label;
    int colour;
    double value, low, high;
    const double *each; /**< single values (one per seed) as small marks, or NULL */
    int n_each;
} rv_dot;
/** One row per entry: a point with its interval, the value printed beside it. */
RV_API void rv_chart_dots(FILE *f, const char *title, const char *x_label, int n, const rv_dot *dots);

/** Weights (T, S), source labels along the top, target labels at the left, lightness for the weight; a cell's tooltip
 * has its number. */
RV_API void rv_chart_heat(FILE *f, const char *title, int64_t T, int64_t S, const char *const *target,
                          const char *const *source, const double *weights);

/** Values (rows, columns) of either sign, a colour for each, those below 0 with a dash, strongest for the largest
 * magnitude; a cross for -INFINITY, nothing for NaN. A cell's tooltip says "row -> column" and its number. */
RV_API void rv_chart_signed_heat(FILE *f, const char *title, int64_t rows, int64_t columns, const char *const *row,
                                 const char *const *column, const double *value);

/** Start a page: doctype, title, style sheet; rv_page_end closes it. Sections are <section> with a heading and an
 * anchor. */
RV_API void rv_page_begin(FILE *f, const char *title);
RV_API void rv_page_section(FILE *f, const char *anchor, const char *heading);
RV_API void rv_page_section_end(FILE *f);
RV_API void rv_page_end(FILE *f);
/** Text, or one code point, escaped for HTML and XML; what is no character there becomes U+FFFD. printf's form too. */
RV_API void rv_page_char(FILE *f, int32_t cp);
RV_API void rv_page_text(FILE *f, const char *text);
RV_API void rv_page_textf(FILE *f, const char *format, ...) RV_PRINTF(2, 3);
/** A table: numbers are right-aligned; cell texts row by row, the first row being the head; wide ones scroll in their
 * own box and become small in print. */
RV_API void rv_page_table(FILE *f, int rows, int columns, const char *const *cells, const char *caption);
/** The same with grounds: share (rows, columns), NaN where a cell has none, as rv_page_shade takes it. Heads of a wide
 * one stand upright. */
RV_API void rv_page_shaded_table(FILE *f, int rows, int columns, const char *const *cells, const double *share,
                                 const char *caption);
/** The class, h0 to h10, of an element whose ground is as strong as `share` of the strongest one, which text can be
 * read on. */
enum { RV_PAGE_SHADES = 10 };
RV_API int rv_page_shade(double share);
/** Side-by-side charts: begin, charts, end; they wrap on a narrow page. */
RV_API void rv_page_row_begin(FILE *f);
RV_API void rv_page_row_end(FILE *f);

#endif

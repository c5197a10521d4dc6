/** What the charts share: text and its width, numbers, axes, labels moved apart, the style sheet. */
#ifndef RV_REPORT_CHART_PRIVATE_H
#define RV_REPORT_CHART_PRIVATE_H

#include <locale.h>

#include "report/chart.h"

enum {
    RV__FONT = 13,
    RV__LINE = 17,
    RV__TICKS = 48,
    RV__NUMBER = 48
}; /* px; px between lines of text; ticks of an axis; bytes of a number */

/** Numbers with a point whatever the locale; give what it returns to rv__plain_end. */
locale_t rv__plain_begin(void);
void rv__plain_end(locale_t old);

/** Text escaped for HTML and XML, cut to `width` px (0: not at all) with an ellipsis. What is no UTF-8, or no character
 * XML knows, becomes U+FFFD. */
void rv__text(FILE *f, const char *text, double width);
/** Room that text takes in a common wide sans-serif of RV__FONT px. */
double rv__text_width(const char *text);
/** The middle of a text that shall be in a picture of this width, as near to `middle` as can be. */
double rv__inside(double width, const char *text, double middle);
/** The first line of `text` that fits into `width` px: its bytes; the rest begins after blanks. */
size_t rv__text_line(const char *text, double width);
/** Lines of text of class `kind` with their first baseline at y, broken at blanks to `width` px; NULL f only counts
 * them. Returns their number. */
int rv__paragraph(FILE *f, const char *kind, double x, double y, double width, const char *text);

/** A number for people: 1k, 10k, 1M, 10⁻⁶, a true minus. `step` gives the decimals, `most` the largest of its company.
 */
void rv__number(char out[RV__NUMBER], double v, double step, double most);

typedef struct {
    bool log;
    double low, high; /* values at the ends */
    double from, to;  /* px of these */
    int n;
    double tick[RV__TICKS];
    char label[RV__TICKS][RV__NUMBER]; /* "" has a line only */
} rv__axis;
/** Ends of an axis for values low .. high (low > high: there are none): never empty; `outward`: moved to round numbers.
 */
void rv__axis_range(rv__axis *a, double low, double high, bool log, bool outward, int ticks);
/** Round ticks such that labels stay apart on the px from `from` to `to`; `upright`: labels stand above each other;
 *  `twos`: powers of two. */
void rv__axis_ticks(rv__axis *a, bool upright, bool twos);
double rv__axis_px(const rv__axis *a, double v);
/** Whether an axis has a place for v. */
bool rv__axis_has(const rv__axis *a, double v);

/** Places in ascending order moved apart to `gap`, each as little as possible in least squares, inside top .. bottom.
 */
void rv__spread(int n, double *y, double gap, double top, double bottom);

/** The style sheet of charts: colours as CSS variables, or as plain numbers for a file of its own. */
void rv__chart_style(FILE *f, bool variables);
/** A figure around its drawings: caption above. */
void rv__figure_begin(FILE *f, const char *title);
void rv__figure_end(FILE *f);
/** An <svg> inside a figure, `margin` px wider at each side; `kind` is its class. */
void rv__svg_begin(FILE *f, const char *kind, double width, double height, double margin, const char *title);

#endif

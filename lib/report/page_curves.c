/* Learning curves: the same values against steps, tokens, work and time. */
#include <math.h>
#include <string.h>

#include "report/page_private.h"

static const struct {
    const char *key, *label, *title;
} axes[] = {{"step", "training steps", "steps"},
            {"tokens", "training tokens", "tokens"},
            {"flops", "FLOPs", "FLOPs"},
            {"seconds", "seconds of training", "wall time"}};
enum { AXES = sizeof axes / sizeof *axes };

static int series_of(rv__page *p, const json_t *curve, const char *x_key, double scale, rv_series **out) {
    const json_t *list = json_object_get(curve, "series"), *s;
    rv_series *series = rv__page_alloc(p, sizeof *series * (json_array_size(list) + 1));
    int n = 0;
    size_t i;
    *out = series;
    if (!series) return 0;
    json_array_foreach (list, i, s) {
        const double *x, *y[3];
        const char *const key[3] = {"mean", "low", "high"};
        int count = rv__page_reals(p, json_object_get(s, x_key), &x);
        for (int c = 0; c < 3; c++) {
            int k = rv__page_reals(p, json_object_get(s, key[c]), &y[c]);
            for (int j = 0; j < k; j++) ((double *)y[c])[j] *= scale;
            if (c == 0 && k < count) count = k;
            if (k < count) y[1] = y[2] = NULL;
        }
        if (rv__page_real(s, "seeds") < 3)
            y[1] = y[2] = NULL; /* of two seeds Student's t makes a band that hides every line */
        const char *name = rv__page_string(s, "model");
        if (count)
            series[n++] = (rv_series){.label = name,
                                      .colour = rv__page_colour(p, name),
                                      .n = count,
                                      .x = x,
                                      .y = y[0],
                                      .low = y[1],
                                      .high = y[2]};
    }
    return n;
}

/* Whether the values span so much that a straight axis would show one flat line. */
static bool wants_log(int n, const rv_series *series) {
    double least = INFINITY, most = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < series[i].n; j++)
            if (isfinite(series[i].y[j])) least = fmin(least, series[i].y[j]), most = fmax(most, series[i].y[j]);
    return least > 0 && most > 20 * least;
}

static void curve_chart(rv__page *p, const json_t *curve, int axis, bool small) {
    rv_metric_kind m = rv__page_metric_of(p, rv__page_string(curve, "metric"));
    rv_series *series;
    int n = series_of(p, curve, axes[axis].key, m.scale, &series);
    if (!n) return;
    const char *setting = rv__page_string(curve, "setting");
    rv_chart chart = {
        .title = rv__page_format(p, "%s against %s%s%s", m.title, axes[axis].title, *setting ? ", " : "", setting),
        .x_label = axes[axis].label,
        .y_label = m.axis,
        .y_log = m.scale == 1 && wants_log(n, series),
        .y_high = m.scale == 100 ? 100 : 0,
        .n_series = n,
        .series = series,
        .small = small};
    rv__page_chart(p, &chart);
}

static bool wanted(const json_t *curve, const char *part, bool loss) {
    return rv__page_is(curve, "part", part) && rv__page_is(curve, "metric", "loss") == loss;
}

static bool has_axis(const json_t *curve, int axis) {
    return json_array_size(json_object_get(json_array_get(json_object_get(curve, "series"), 0), axes[axis].key)) > 0;
}

static void curves_of(rv__page *p, const json_t *curves, const char *part, bool loss, bool every_axis,
                      const char *heading) {
    const json_t *curve;
    size_t i;
    int charts[AXES] = {0}, all = 0;
    for (int axis = 0; axis < (every_axis ? AXES : 1); axis++)
        json_array_foreach (curves, i, curve) charts[axis] += wanted(curve, part, loss) && has_axis(curve, axis);
    for (int axis = 0; axis < AXES; axis++) all += charts[axis];
    if (!all) return;
    rv__page_heading(p, heading);
    bool rows = rv__page_n_settings(p) > 1; /* one for each axis */
    if (!rows) rv__page_charts_begin(p, all);
    for (int axis = 0; axis < AXES; axis++) {
        if (!charts[axis]) continue;
        if (rows && axis == 1) fputs("<details><summary>Against tokens, FLOPs and wall time</summary>\n", p->f);
        if (rows) rv__page_charts_begin(p, charts[axis]);
        json_array_foreach (curves, i, curve)
            if (wanted(curve, part, loss)) curve_chart(p, curve, axis, all > 1);
        if (rows) rv__page_charts_end(p, charts[axis]);
    }
    if (rows && charts[1]) fputs("</details>\n", p->f);
    if (!rows) rv__page_charts_end(p, all);
}

void rv__page_curves(rv__page *p) {
    const json_t *curves = rv__page_part(p, "curves");
    if (!curves) return;
    rv_page_section(p->f, "curves", "Learning curves");
    fputs("<p>", p->f);
    rv_page_text(p->f, "The same runs against several measures of effort: a model that learns in fewer steps may need "
                       "more work per step. ");
    rv_page_text(p->f, json_array_size(json_object_get(p->report, "seeds")) < 3
                           ? "Lines are means over seeds."
                           : "Lines are means over seeds, shaded bands their intervals.");
    fputs("</p>\n", p->f);
    curves_of(p, curves, "valid", true, true, "Validation loss");
    curves_of(p, curves, "valid", false, false, "Other validation metrics");
    curves_of(p, curves, "train", true, false, "Training loss");
    rv_page_section_end(p->f);
}

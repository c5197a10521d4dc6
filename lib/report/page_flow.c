/* How far back the gradient reaches, before training and after it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/page_private.h"

static const struct {
    const char *kind, *title;
} kinds[] = {{"hidden", "hidden state h"}, {"cell", "cell state c"}, {"stream", "residual stream"}};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Deep models have a state per layer: the first and the last show the range. */
static bool shown(const json_t *flow, size_t at) {
    const json_t *me = json_array_get(flow, at), *s;
    size_t i, before = 0, after = 0;
    json_array_foreach (flow, i, s) {
        if (!rv__page_is(s, "model", rv__page_string(me, "model")) ||
            !rv__page_is(s, "kind", rv__page_string(me, "kind")) ||
            !rv__page_is(s, "when", rv__page_string(me, "when")) ||
            !rv__page_of_setting(s, rv__page_string(me, "setting")))
            continue;
        before += i<at, after += i> at;
    }
    return !before || !after;
}

/* A second state of a model is told from the first by its dashes. */
static bool first_state(const json_t *flow, size_t at) {
    const json_t *me = json_array_get(flow, at);
    for (size_t i = 0; i < at; i++) {
        const json_t *s = json_array_get(flow, i);
        if (rv__page_is(s, "model", rv__page_string(me, "model")) &&
            rv__page_is(s, "kind", rv__page_string(me, "kind")) &&
            rv__page_is(s, "when", rv__page_string(me, "when")) &&
            rv__page_of_setting(s, rv__page_string(me, "setting")))
            return false;
    }
    return true;
}

static bool alone(const json_t *flow, size_t at) {
    const json_t *me = json_array_get(flow, at), *s;
    size_t i;
    json_array_foreach (flow, i, s)
        if (i != at && rv__page_is(s, "model", rv__page_string(me, "model")) &&
            rv__page_is(s, "kind", rv__page_string(me, "kind")) &&
            rv__page_is(s, "when", rv__page_string(me, "when")) &&
            rv__page_of_setting(s, rv__page_string(me, "setting")))
            return false;
    return true;
}

static bool reals_of(rv__page *p, const json_t *s, const char *key, int n, const double **out) {
    if (rv__page_reals(p, json_object_get(s, key), out) >= n) return true;
    *out = NULL;
    return false;
}

/* What panels that stand side by side share: the range of norms. What has died away is not drawn below this. */
static const double dead = 1e-12;
typedef struct {
    double low, high;
} span;

static bool wanted(const json_t *flow, size_t i, const char *setting, int kind) {
    const json_t *s = json_array_get(flow, i);
    return rv__page_is(s, "kind", kinds[kind].kind) && rv__page_of_setting(s, setting) && shown(flow, i);
}

static span norms_of(const json_t *flow, const char *setting, int kind) {
    span out = {INFINITY, 0};
    const json_t *s, *v;
    size_t i, k;
    json_array_foreach (flow, i, s) {
        if (!wanted(flow, i, setting, kind)) continue;
        json_array_foreach (json_object_get(s, "norm"), k, v) {
            double norm = json_number_value(v);
            if (!(norm > 0) || !isfinite(norm)) continue;
            out.low = fmin(out.low, norm), out.high = fmax(out.high, norm);
        }
    }
    return (span){fmax(out.low / 1.5, dead), out.high * 1.5};
}

static void flow_chart(rv__page *p, const json_t *flow, const char *setting, int kind, const char *when, span y) {
    const json_t *s;
    size_t i;
    rv_series *series = rv__page_alloc(p, sizeof *series * json_array_size(flow));
    int n = 0;
    if (!series) return;
    json_array_foreach (flow, i, s) {
        if (!wanted(flow, i, setting, kind) || !rv__page_is(s, "when", when)) continue;
        const char *model = rv__page_string(s, "model");
        rv_series *line = &series[n++];
        *line = (rv_series){.label = alone(flow, i) ? model
                                                    : rv__page_format(p, "%s %s", model, rv__page_string(s, "state")),
                            .colour = rv__page_colour(p, model),
                            .dashed = !first_state(flow, i)};
        line->n = rv__page_reals(p, json_object_get(s, "lag"), &line->x);
        if (!reals_of(p, s, "norm", line->n, &line->y))
            n--;
        else if (!reals_of(p, s, "low", line->n, &line->low) || !reals_of(p, s, "high", line->n, &line->high))
            line->low = line->high = NULL;
    }
    rv_chart chart = {.title = rv__page_format(p, "%s, %s training", kinds[kind].title, when),
                      .x_label = "tokens back from the end",
                      .y_label = "gradient norm, output = 1",
                      .y_log = true,
                      .y_low = y.low,
                      .y_high = y.high,
                      .n_series = n,
                      .series = series,
                      .small = true};
    rv__page_chart(p, &chart);
}

static void flow_charts(rv__page *p, const json_t *flow, const char *setting) {
    if (*setting) rv__page_heading(p, setting);
    for (int kind = 0; kind < KINDS; kind++) {
        span y = norms_of(flow, setting, kind);
        if (!(y.high > y.low)) continue;
        rv_page_row_begin(p->f);
        flow_chart(p, flow, setting, kind, "before", y);
        flow_chart(p, flow, setting, kind, "after", y);
        rv_page_row_end(p->f);
    }
}

static const char *half_life(rv__page *p, const json_t *s) {
    if (!s) return "\xe2\x80\x93";
    double h = rv__page_real(s, "half_life");
    return isnan(h) ? "no exponential fall" : rv__page_rough(p, h);
}

/* "hidden state of encoder layer 1, right to left": what the name encoder.l0_reverse.h stands for (nn/recurrent.h). */
static const char *state_words(rv__page *p, const json_t *s) {
    const char *name = rv__page_string(s, "state"), *layer = strstr(name, ".l"), *kind = rv__page_string(s, "kind");
    const bool stream = !strcmp(kind, "stream");
    const char *title = stream ? "residual stream" : rv__page_format(p, "%s state", kind);
    char *end;
    if (!layer) return title;
    const char *digits = layer + strcspn(layer, "0123456789"); /* .l0 or .layers.0 */
    const long n = strtol(digits, &end, 10);
    if (end == digits) return title;
    const bool reverse = !strncmp(end, "_reverse", 8);
    return rv__page_format(p, "%s %s %.*s layer %ld%s", title, stream ? "into" : "of", (int)(layer - name), name, n + 1,
                           reverse ? ", right to left" : "");
}

static void half_life_table(rv__page *p, const json_t *flow) {
    bool several = rv__page_n_settings(p) > 1;
    rv__page_table t = rv__page_table_begin(p, 5 + several);
    if (several) rv__page_cell(&t, "setting");
    static const char *const head[] = {"model", "state", "which is", "half-life before training", "after training"};
    for (int k = 0; k < 5; k++) rv__page_cell(&t, head[k]);
    const json_t *s, *other;
    size_t i, k;
    json_array_foreach (flow, i, s) {
        if (!rv__page_is(s, "when", "before")) continue;
        const json_t *after = NULL;
        json_array_foreach (flow, k, other)
            if (rv__page_is(other, "when", "after") && rv__page_is(other, "model", rv__page_string(s, "model")) &&
                rv__page_is(other, "state", rv__page_string(s, "state")) &&
                rv__page_of_setting(other, rv__page_string(s, "setting")))
                after = other;
        if (several) rv__page_cell(&t, rv__page_string(s, "setting"));
        rv__page_cell(&t, rv__page_string(s, "model"));
        rv__page_cell(&t, rv__page_string(s, "state"));
        rv__page_cell(&t, state_words(p, s));
        rv__page_cell(&t, half_life(p, s));
        rv__page_cell(&t, half_life(p, after));
    }
    rv__page_table_end(&t, "Half-life in tokens");
    rv__page_note(
        p,
        "Half-life: the distance over which the gradient's norm halves, from a straight line through its logarithm.");
}

void rv__page_flow(rv__page *p) {
    const json_t *flow = rv__page_part(p, "gradient_flow");
    if (!flow) return;
    rv_page_section(p->f, "gradient-flow", "How far back the gradient reaches");
    const char *loss = rv__page_string(json_array_get(flow, 0), "loss");
    rv__page_note(p, rv__page_format(p,
                                     "The norm of dL/dh at a state, by its distance from the end%s%s; 1 is as strong "
                                     "as at the output. A line that falls steeply: the "
                                     "model can hardly learn from what stood that far back. A flat line: distance does "
                                     "not matter. Both panels of a row have the same scale.",
                                     *loss ? ", L being " : "", loss));
    for (int k = 0; k < rv__page_n_settings(p); k++) flow_charts(p, flow, rv__page_setting(p, k));
    half_life_table(p, flow);
    rv_page_section_end(p->f);
}

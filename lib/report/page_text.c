/* The page's document, numbers as text, and tables. */
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/page_private.h"

/* ---- the document ---- */

const json_t *rv__page_part(const rv__page *p, const char *key) {
    const json_t *part = json_object_get(p->report, key);
    return json_array_size(part) || json_object_size(part) ? part : NULL;
}

const char *rv__page_string(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

double rv__page_real(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

bool rv__page_is(const json_t *o, const char *key, const char *value) {
    return !strcmp(rv__page_string(o, key), value);
}

int rv__page_reals(rv__page *p, const json_t *array, const double **out) {
    int n = (int)json_array_size(array);
    double *x = n ? rv__page_alloc(p, sizeof *x * (size_t)n) : NULL;
    *out = x;
    if (!x) return 0;
    for (int i = 0; i < n; i++) {
        const json_t *v = json_array_get(array, (size_t)i);
        x[i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
    }
    return n;
}

int rv__page_n_models(const rv__page *p) { return (int)json_array_size(p->models); }

const char *rv__page_model_name(const rv__page *p, int i) {
    const char *s = json_string_value(json_array_get(p->models, (size_t)i));
    return s ? s : "";
}

int rv__page_colour(const rv__page *p, const char *model) {
    for (int i = 0; i < rv__page_n_models(p); i++)
        if (!strcmp(rv__page_model_name(p, i), model)) return i % RV_CHART_COLOURS;
    return 0;
}

int rv__page_n_settings(const rv__page *p) {
    int n = (int)json_array_size(json_object_get(p->report, "settings"));
    return n ? n : 1;
}

const char *rv__page_setting(const rv__page *p, int i) {
    const char *s = json_string_value(json_array_get(json_object_get(p->report, "settings"), (size_t)i));
    return s ? s : "";
}

bool rv__page_tagged(const rv__page *p) {
    return rv__page_is(json_array_get(rv__page_part(p, "confusion"), 0), "of", "words");
}

const char *rv__page_examples(const rv__page *p) {
    const json_t *run = json_array_get(json_object_get(p->report, "runs"), 0);
    const bool valid = rv__page_is(run, "part", "valid");
    if (rv__page_tagged(p)) return valid ? "validation sentences" : "test sentences";
    return valid ? "validation examples" : "test examples";
}

const char *rv__page_setting_axis(rv__page *p, double *x) {
    int n = rv__page_n_settings(p);
    const char *first = rv__page_setting(p, 0), *equals = strchr(first, '=');
    if (n < 2 || !equals) return NULL;
    size_t key = (size_t)(equals - first);
    for (int i = 0; i < n; i++) {
        const char *s = rv__page_setting(p, i);
        if (strncmp(s, first, key + 1)) return NULL;
        char *end;
        x[i] = strtod(s + key + 1, &end);
        if (end == s + key + 1 || *end || !isfinite(x[i])) return NULL;
    }
    return rv__page_format(p, "%.*s", (int)key, first);
}

bool rv__page_of_setting(const json_t *o, const char *setting) { return rv__page_is(o, "setting", setting); }

/* ---- texts ---- */

void *rv__page_alloc(rv__page *p, size_t bytes) {
    void *memory = rv_arena_alloc(p->arena, bytes ? bytes : 1);
    if (memory) return memset(memory, 0, bytes);
    p->status = RV_ENOMEM;
    return NULL;
}

const char *rv__page_format(rv__page *p, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : rv__page_alloc(p, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text ? text : "";
}

/* Digits after the point so that a number as large as v has `digits` that count. */
static int decimals_for(double v, int digits) {
    if (!(fabs(v) > 0) || !isfinite(v)) return 0;
    int d = digits - 1 - (int)floor(log10(fabs(v)));
    return d < 0 ? 0 : d > 9 ? 9 : d;
}

/* With `decimals` after the point, commas between thousands, and a minus sign as wide as a plus. */
static const char *fixed(rv__page *p, double v, int decimals) {
    char digits[400], out[560];
    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(v));
    int whole = (int)strcspn(digits, "."), n = 0;
    for (int i = 0; digits[i]; i++) {
        if (i && i < whole && (whole - i) % 3 == 0) out[n++] = ',';
        out[n++] = digits[i];
    }
    out[n] = 0;
    bool zero = strspn(digits, "0.") == strlen(digits);
    return rv__page_format(p, "%s%s", v < 0 && !zero ? "\xe2\x88\x92" : "", out);
}

const char *rv__page_number(rv__page *p, double v) {
    if (isnan(v)) return "\xe2\x80\x93";
    if (isinf(v)) return v > 0 ? "infinite" : "\xe2\x88\x92infinite";
    double size = fabs(v);
    if (v != 0 && (size < 1e-4 || size >= 1e7)) return rv__page_format(p, "%.2e", v);
    if (v == floor(v)) return fixed(p, v, 0); /* 9,600 is a number that somebody chose: all its digits count */
    return fixed(p, v, decimals_for(v, 3));
}

const char *rv__page_given(rv__page *p, double v) {
    return isfinite(v) ? rv__page_format(p, "%g", v) : rv__page_number(p, v);
}

const char *rv__page_rough(rv__page *p, double v) {
    return isfinite(v) && fabs(v) >= 1e-4 && fabs(v) < 1e7 ? fixed(p, v, decimals_for(v, 2)) : rv__page_number(p, v);
}

static const char *scaled(rv__page *p, double v, double step, const char *const *unit, int units) {
    int u = 0;
    while (fabs(v) >= 999.5 && u + 1 < units) v /= step, u++;
    const char *space = *unit[u] ? "\xc2\xa0" : "";
    return rv__page_format(p, "%s%s%s", v == floor(v) ? fixed(p, v, 0) : fixed(p, v, decimals_for(v, 3)), space,
                           unit[u]);
}

const char *rv__page_count(rv__page *p, double v) {
    static const char *const unit[] = {"", "k", "M", "G", "T", "P", "E"};
    if (!isfinite(v) || fabs(v) < 1e5) return rv__page_number(p, v);
    if (fabs(v) < 1e6 && v == floor(v)) return fixed(p, v, 0);
    return scaled(p, v, 1e3, unit, 7);
}

const char *rv__page_bytes(rv__page *p, double v) {
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    return isfinite(v) ? scaled(p, v, 1e3, unit, 5) : rv__page_number(p, v);
}

const char *rv__page_ms(rv__page *p, double v) {
    if (!isfinite(v)) return rv__page_number(p, v);
    if (v < 1e3) return rv__page_format(p, "%s\xc2\xa0ms", rv__page_number(p, v));
    if (v < 12e4) return rv__page_format(p, "%s\xc2\xa0s", fixed(p, v / 1e3, decimals_for(v / 1e3, 3)));
    return rv__page_format(p, "%.0f\xc2\xa0min", v / 6e4);
}

/* As many digits as the width of the interval makes sense of: two of the width's. */
static int decimals_of_range(double low, double high) {
    double width = fabs(high - low), nearest = fmin(fabs(low), fabs(high));
    int d = width > 0 && isfinite(width) ? decimals_for(width, 2) : decimals_for(fmax(fabs(low), fabs(high)), 3);
    for (int k = 0; k < 2 && d < 9 && nearest > 0 && nearest < 0.5 * pow(10, -d); k++)
        d++; /* an end near 0 must show its side */
    return d;
}

const char *rv__page_range(rv__page *p, double low, double high) {
    if (isnan(low) && isnan(high)) return rv__page_number(p, low);
    if (!isfinite(low) || !isfinite(high))
        return rv__page_format(p, "%s to %s", rv__page_number(p, low), rv__page_number(p, high));
    int d = decimals_of_range(low, high);
    return rv__page_format(p, "%s to %s", fixed(p, low, d), fixed(p, high, d));
}

const char *rv__page_value_of(rv__page *p, double v, double low, double high) {
    return isfinite(low) && isfinite(high) && isfinite(v) ? fixed(p, v, decimals_of_range(low, high))
                                                          : rv__page_number(p, v);
}

const char *rv__page_interval(rv__page *p, double v, double low, double high) {
    if (!isfinite(low) || !isfinite(high) || !isfinite(v)) return rv__page_number(p, v);
    return rv__page_format(p, "%s (%s)", rv__page_value_of(p, v, low, high), rv__page_range(p, low, high));
}

/* ---- metrics ---- */

/* A regressor has no tokens: its loss is the squared error, and that its runs say. */
static bool of_regressors(const rv__page *p) {
    return json_object_get(json_object_get(json_array_get(rv__page_part(p, "runs"), 0), "test"), "mse") != NULL;
}

/* A classifier answers: how often it is right comes first, and its loss is of texts, or of words. */
static rv_metric_kind of_classes(const rv_metric_kind *known, bool of_words) {
    rv_metric_kind m = *known;
    if (!strcmp(m.name, "accuracy")) {
        m.headline = 2;
        if (of_words) m.title = "right tags", m.axis = "right tags, %", m.by = "percentage points of right tags";
    }
    if (strcmp(m.name, "loss")) return m;
    m.axis = of_words ? "loss, nats per word" : "loss, nats per text";
    m.by = m.unit = of_words ? "nats per word" : "nats per text";
    return m;
}

rv_metric_kind rv__page_metric_of(const rv__page *p, const char *name) {
    const rv_metric_kind *known = rv_metric_find(name);
    if (!known) return (rv_metric_kind){.name = name, .title = name, .axis = name, .by = name, .unit = "", .scale = 1};
    if (rv__page_part(p, "confusion")) return of_classes(known, rv__page_tagged(p));
    if (strcmp(name, "loss") || !of_regressors(p)) return *known;
    rv_metric_kind squared = *known;
    squared.axis = "loss, mean squared error";
    squared.by = "in mean squared error";
    squared.unit = "squared error";
    return squared;
}

/* The least rank: first of what is written or answered; then of language models, whose tokens right say less than their
 * loss. */
const char *rv__page_headline(const rv__page *p) {
    const json_t *quality = rv__page_part(p, "quality"), *q;
    const char *best = quality ? rv__page_string(json_array_get(quality, 0), "metric") : "";
    int rank = INT_MAX;
    size_t i;
    json_array_foreach (quality, i, q) {
        const char *metric = rv__page_string(q, "metric");
        const int its = rv__page_metric_of(p, metric).headline;
        if (its > 0 && its < rank) rank = its, best = metric;
    }
    return best;
}

const char *rv__page_level(rv__page *p, const json_t *quality) {
    const double level = rv__page_real(quality, "level");
    return rv__page_format(p, "%g\xc2\xa0%%", isfinite(level) ? 100 * level : 95);
}

const char *rv__page_seeds(rv__page *p) {
    const size_t n = json_array_size(json_object_get(p->report, "seeds"));
    return rv__page_format(p, "%zu seed%s", n, n == 1 ? "" : "s");
}

/* ---- tables and words ---- */

rv__page_table rv__page_table_begin(rv__page *p, int columns) {
    return (rv__page_table){.page = p, .columns = columns};
}

void rv__page_cell(rv__page_table *t, const char *text) {
    if (t->n == t->most) {
        int most = t->most ? 2 * t->most : 64;
        const char **cell = rv__page_alloc(t->page, sizeof *cell * (size_t)most);
        if (!cell) return;
        if (t->n) memcpy(cell, t->cell, sizeof *cell * (size_t)t->n);
        t->cell = cell, t->most = most;
    }
    t->cell[t->n++] = text;
}

void rv__page_table_end(rv__page_table *t, const char *caption) {
    if (t->page->status == RV_OK && t->n > t->columns)
        rv_page_table(t->page->f, t->n / t->columns, t->columns, t->cell, caption);
}

void rv__page_model(rv__page *p, const char *name) {
    fprintf(p->f, "<b class='model c%d'>", rv__page_colour(p, name));
    rv_page_text(p->f, name);
    fputs("</b>", p->f);
}

const char *rv__page_join(int i, int n) { return !i ? "" : i + 1 == n ? " and " : ", "; }

void rv__page_heading(rv__page *p, const char *text) {
    fputs("<h3>", p->f);
    rv_page_text(p->f, text);
    fputs("</h3>\n", p->f);
}

void rv__page_note(rv__page *p, const char *text) {
    fputs("<p>", p->f);
    rv_page_text(p->f, text);
    fputs("</p>\n", p->f);
}

void rv__page_fold_begin(rv__page *p, const char *summary) {
    fputs("<details><summary>", p->f);
    rv_page_text(p->f, summary);
    fputs("</summary>\n", p->f);
}
void rv__page_fold_end(rv__page *p) { fputs("</details>\n", p->f); }

void rv__page_charts_begin(rv__page *p, int charts) {
    if (charts > 1) rv_page_row_begin(p->f);
}
void rv__page_charts_end(rv__page *p, int charts) {
    if (charts > 1) rv_page_row_end(p->f);
}

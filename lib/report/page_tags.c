/* Of taggers: sentences word by word, which tags are found, what follows what. */
#include <math.h>
#include <string.h>

#include "report/page_private.h"

/* ---- a sentence: under each word its tag, and what each model told */

typedef struct {
    const char *begin;
    int length;
} piece;

/* Pieces of a text at blanks; their number, *out NULL of none. */
static int split(rv__page *p, const char *text, piece **out) {
    int n = 0;
    for (const char *s = text; *s; s++) n += *s == ' ';
    *out = *text ? rv__page_alloc(p, sizeof **out * ((size_t)n + 1)) : NULL;
    if (!*out) return 0;
    n = 0;
    for (const char *s = text;; s++) {
        const int length = (int)strcspn(s, " ");
        (*out)[n++] = (piece){s, length};
        if (!*(s += length)) return n;
    }
}

static bool same(piece a, piece b) { return a.length == b.length && !memcmp(a.begin, b.begin, (size_t)a.length); }

static void put(rv__page *p, const char *class, piece text) {
    fprintf(p->f, "<span%s%s%s>", *class ? " class='" : "", class, *class ? "'" : "");
    rv_page_textf(p->f, "%.*s", text.length, text.begin);
    fputs("</span>", p->f);
}

static void key_of(rv__page *p, const json_t *outputs, const char *note) {
    const json_t *output;
    size_t k;
    fputs("<div class='told'>\n", p->f);
    if (*note) rv__page_note(p, note);
    fputs("<div class='gloss'>\n<div class='key'><span>word</span><span>true tag</span>", p->f);
    json_array_foreach (outputs, k, output) {
        fputs("<span>", p->f);
        rv__page_model(p, rv__page_string(output, "model"));
        fputs("</span>", p->f);
    }
    fputs("</div>\n", p->f);
}

/* tags (1 + models): the true ones first. */
static void column(rv__page *p, piece word, piece *const *tags, int models, int at) {
    bool differ = false;
    for (int k = 2; k <= models; k++) differ |= !same(tags[k][at], tags[1][at]);
    fputs(differ ? "<div class='h3'>" : "<div>", p->f);
    put(p, "", word);
    put(p, "quiet", tags[0][at]);
    for (int k = 1; k <= models; k++) put(p, same(tags[k][at], tags[0][at]) ? "quiet" : "off", tags[k][at]);
    fputs("</div>\n", p->f);
}

bool rv__page_gloss(rv__page *p, const json_t *sample, const char *note) {
    const json_t *outputs = json_object_get(sample, "outputs"), *output;
    const int models = (int)json_array_size(outputs);
    piece *word, **tags = rv__page_alloc(p, sizeof *tags * ((size_t)models + 1));
    const int n = split(p, rv__page_string(sample, "source"), &word);
    if (!n || !tags || split(p, rv__page_string(sample, "reference"), &tags[0]) != n) return false;
    size_t k;
    json_array_foreach (outputs, k, output)
        if (split(p, rv__page_string(output, "text"), &tags[k + 1]) != n) return false;
    key_of(p, outputs, note);
    for (int i = 0; i < n; i++) column(p, word[i], tags, models, i);
    fputs("</div></div>\n", p->f);
    return true;
}

/* ---- the sentences where two differ most */

static void sentence(rv__page *p, const json_t *s) {
    const json_t *outputs = json_object_get(s, "outputs"), *right = json_object_get(s, "right");
    const char *note =
        rv__page_format(p, "Sentence %lld: right tags ", 1 + (long long)json_integer_value(json_object_get(s, "i")));
    for (size_t k = 0; k < 2; k++)
        note = rv__page_format(p, "%s%s%lld by %s", note, k ? ", " : "",
                               (long long)json_integer_value(json_array_get(right, k)),
                               rv__page_string(json_array_get(outputs, k), "model"));
    rv__page_gloss(p, s, note);
}

void rv__page_disagreements(rv__page *p) {
    const json_t *list = rv__page_part(p, "disagreements"), *pair, *s;
    if (!list) return;
    rv_page_section(p->f, "sentences", "Where two systems differ most");
    rv__page_note(p, "The sentences with the largest difference in the number of right tags between two systems' first "
                     "seeds. A ground marks words on which they differ; a wrong tag is underlined.");
    size_t i, k;
    json_array_foreach (list, i, pair) {
        const char *setting = rv__page_string(pair, "setting");
        const char *title = rv__page_format(p, "%s and %s%s%s", rv__page_string(pair, "a"), rv__page_string(pair, "b"),
                                            *setting ? ", " : "", setting);
        if (i)
            rv__page_fold_begin(p, title);
        else
            rv__page_heading(p, title);
        json_array_foreach (json_object_get(pair, "sentences"), k, s) sentence(p, s);
        if (i) rv__page_fold_end(p);
    }
    rv_page_section_end(p->f);
}

/* ---- recall by tag, or by the number in a tag's name */

static double at_place(const json_t *row, const char *key, size_t i) {
    const json_t *x = json_array_get(json_object_get(row, key), i);
    return json_is_number(x) ? 100 * json_number_value(x) : (double)NAN;
}

static void recall_table(rv__page *p, const json_t *part) {
    const json_t *models = json_object_get(part, "models"), *tags = json_object_get(part, "tags"), *row, *tag;
    rv__page_table t = rv__page_table_begin(p, (int)json_array_size(models) + 2);
    size_t i, k;
    rv__page_cell(&t, "tag");
    rv__page_cell(&t, "words");
    json_array_foreach (models, k, row) rv__page_cell(&t, rv__page_string(row, "model"));
    json_array_foreach (tags, i, tag) {
        const char *name = json_string_value(tag);
        rv__page_cell(&t, name ? name : "");
        rv__page_cell(&t, rv__page_count(p, json_number_value(json_array_get(json_object_get(part, "words"), i))));
        json_array_foreach (models, k, row)
            rv__page_cell(
                &t, rv__page_interval(p, at_place(row, "value", i), at_place(row, "low", i), at_place(row, "high", i)));
    }
    const char *setting = rv__page_string(part, "setting");
    rv__page_table_end(&t, rv__page_format(p, "Right tags by true tag, %%%s%s", *setting ? ", " : "", setting));
}

static void number_chart(rv__page *p, const json_t *part) {
    const json_t *models = json_object_get(part, "models"), *row;
    static const char *const keys[3] = {"value", "low", "high"};
    const double *x;
    const int n = rv__page_reals(p, json_object_get(part, "numbers"), &x);
    rv_series *series = rv__page_alloc(p, sizeof *series * (json_array_size(models) + 1));
    size_t k;
    if (!series) return;
    json_array_foreach (models, k, row) {
        double *y = rv__page_alloc(p, sizeof *y * 3 * (size_t)(n + 1));
        if (!y) return;
        for (int of = 0; of < 3; of++)
            for (int i = 0; i < n; i++) y[of * n + i] = at_place(row, keys[of], (size_t)i);
        const char *name = rv__page_string(row, "model");
        series[k] = (rv_series){
            .label = name, .colour = rv__page_colour(p, name), .n = n, .x = x, .y = y, .low = y + n, .high = y + 2 * n};
    }
    const char *setting = rv__page_string(part, "setting");
    rv_chart chart = {.title = rv__page_format(p, "Right tags by the number in the true tag's name%s%s",
                                               *setting ? ", " : "", setting),
                      .x_label = "number in the tag's name",
                      .y_label = "right tags, %",
                      .y_high = 100,
                      .n_series = (int)json_array_size(models),
                      .series = series,
                      .points = true};
    rv__page_chart(p, &chart);
}

void rv__page_by_tag(rv__page *p) {
    const json_t *tags = rv__page_part(p, "by_tag"), *numbers = rv__page_part(p, "by_number"), *part;
    if (!tags && !numbers) return;
    rv_page_section(p->f, "by-tag", "Quality by tag");
    rv__page_note(p,
                  "Of the words that bear a tag, the share that is told it (recall), over all seeds. Where few words "
                  "bear a tag its interval is wide.");
    size_t i;
    json_array_foreach (numbers, i, part) number_chart(p, part);
    json_array_foreach (tags, i, part) recall_table(p, part);
    rv_page_section_end(p->f);
}

/* ---- what follows what */

static const char **labels_of(rv__page *p, const json_t *tags, const char *last) {
    const size_t n = json_array_size(tags);
    const char **out = rv__page_alloc(p, sizeof *out * (n + 1));
    for (size_t i = 0; out && i < n; i++) {
        const char *name = json_string_value(json_array_get(tags, i));
        out[i] = name ? name : "";
    }
    if (out) out[n] = last;
    return out;
}

/* (n, n): what a cell shows. Of a step that cannot be, minus infinity; of none, from the beginning to the end, NaN. */
static double *cells_of(rv__page *p, const json_t *t, size_t n, bool probabilities) {
    const json_t *rows = json_object_get(t, "values");
    double *x = rv__page_alloc(p, sizeof *x * n * n);
    for (size_t i = 0; x && i < n * n; i++) {
        const json_t *v = json_array_get(json_array_get(rows, i / n), i % n);
        const double log = json_is_number(v) ? json_number_value(v) : (double)-INFINITY;
        x[i] = i == n * n - 1 ? (double)NAN : probabilities && isfinite(log) ? exp(log) : log;
    }
    return x;
}

static bool probable(const json_t *t) { return rv__page_is(t, "kind", "probabilities"); }

static void transition(rv__page *p, const json_t *t) {
    const json_t *tags = json_object_get(t, "tags");
    const size_t n = json_array_size(tags) + 1;
    const char **from = labels_of(p, tags, "(beginning)"), **to = labels_of(p, tags, "(end)");
    double *x = cells_of(p, t, n, probable(t));
    if (!from || !to || !x) return;
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < n * n; i++)
        if (isfinite(x[i])) least = fmin(least, x[i]), most = fmax(most, x[i]);
    const char *setting = rv__page_string(t, "setting"), *model = rv__page_string(t, "model");
    const char *range =
        probable(t) ? rv__page_format(p, "probabilities, up to %s", rv__page_number(p, most))
                    : rv__page_format(p, "scores, %s to %s", rv__page_number(p, least), rv__page_number(p, most));
    const char *title = rv__page_format(p, "%s%s%s: %s", model, *setting ? ", " : "", setting, range);
    rv_chart_signed_heat(p->f, title, (int64_t)n, (int64_t)n, from, to, x);
}

void rv__page_transitions(rv__page *p) {
    const json_t *list = rv__page_part(p, "transitions"), *t;
    if (!list) return;
    bool scores = false, probabilities = false;
    size_t i;
    json_array_foreach (list, i, t) {
        probabilities |= probable(t);
        scores |= !probable(t);
    }
    rv_page_section(p->f, "transitions", "What follows what");
    rv__page_note(p,
                  "Rows are a tag, columns the next one; the last row is a sentence's beginning, the last column its "
                  "end. Of each model's first seed; the stronger a cell's colour, the further from 0 it is.");
    if (scores)
        rv__page_note(p,
                      "A score is what the step adds to the logarithm of a tagging's probability before all taggings "
                      "are weighed against each other: in the first colour steps that make a tagging likelier, in the "
                      "second, with a dash, those that make it less likely; a cross is a step that is banned. The "
                      "words' own scores come on top, so cells of one column, or one row, compare best.");
    if (probabilities)
        rv__page_note(p, "A probability is that of the next tag, or of the end, after the tag before: a row adds up to "
                         "1. Of a model that looks two tags back it is what one tag says.");
    const int n = (int)json_array_size(list);
    rv__page_charts_begin(p, n);
    json_array_foreach (list, i, t) transition(p, t);
    rv__page_charts_end(p, n);
    rv_page_section_end(p->f);
}

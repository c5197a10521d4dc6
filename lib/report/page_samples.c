/* What the models write, and where they look. */
#include <stdlib.h>
#include <string.h>

#include "report/page_private.h"

static void line(rv__page *p, const char *class, const char *label, const char *text) {
    fprintf(p->f, "<dt>");
    rv_page_text(p->f, label);
    fprintf(p->f, "</dt><dd%s%s%s>", *class ? " class='" : "", class, *class ? "'" : "");
    rv_page_text(p->f, *text ? text : "(nothing)");
    fputs("</dd>\n", p->f);
}

static void sample(rv__page *p, const json_t *s) {
    if (rv__page_tagged(p) && rv__page_gloss(p, s, rv__page_string(s, "setting"))) return;
    const char *reference = rv__page_string(s, "reference"), *setting = rv__page_string(s, "setting");
    fputs("<dl class='sample'>\n", p->f);
    if (*setting) line(p, "", "setting", setting);
    const bool classes = rv__page_part(p, "confusion");
    if (*rv__page_string(s, "source")) line(p, "", classes ? "text" : "source", rv__page_string(s, "source"));
    if (*reference) line(p, "", classes ? "class" : "reference", reference);
    const json_t *output;
    size_t i;
    json_array_foreach (json_object_get(s, "outputs"), i, output) {
        bool right = json_is_true(json_object_get(output, "exact"));
        fputs("<dt>", p->f);
        rv__page_model(p, rv__page_string(output, "model"));
        fprintf(p->f, "</dt><dd class='%s'>", right ? "right" : "wrong");
        const char *text = rv__page_string(output, "text");
        rv_page_text(p->f, *text ? text : "(nothing)");
        fputs(right ? " <span class='mark'>\xe2\x9c\x93</span></dd>\n"
                    : " <span class='mark'>\xe2\x9c\x97</span></dd>\n",
              p->f);
    }
    fputs("</dl>\n", p->f);
}

void rv__page_samples(rv__page *p) {
    const json_t *samples = rv__page_part(p, "samples"), *s;
    if (!samples) return;
    const bool classes = rv__page_part(p, "confusion");
    rv_page_section(p->f, "samples", classes ? "What the models tell" : "What the models write");
    const bool words = rv__page_tagged(p);
    fputs("<p>", p->f);
    rv_page_text(p->f, words ? rv__page_format(p,
                                               "The first %s with the tags that each model's first seed told. A ground "
                                               "marks words on which models differ; a wrong tag is underlined.",
                                               rv__page_examples(p))
                             : rv__page_format(p, "The first %s with %s. \xe2\x9c\x93: %s; \xe2\x9c\x97: not.",
                                               rv__page_examples(p),
                                               classes ? "the class that each model's first seed told"
                                                       : "the output of each model's first seed",
                                               classes ? "right" : "equal to the reference"));
    fprintf(p->f, "</p>\n<div%s>\n", words ? "" : " class='samples'");
    size_t i;
    json_array_foreach (samples, i, s) sample(p, s);
    fputs("</div>\n", p->f);
    rv_page_section_end(p->f);
}

/* ---- attention ---- */

static const char *const *labels(rv__page *p, const json_t *list, size_t *n) {
    *n = json_array_size(list);
    const char **out = rv__page_alloc(p, sizeof *out * (*n + 1));
    for (size_t i = 0; out && i < *n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        out[i] = !s                 ? ""
                 : strcmp(s, "\\s") ? s
                                    : "\xe2\x90\xa3"; /* a vocabulary of characters writes the space as \s */
    }
    return out;
}

static void heat(rv__page *p, const json_t *a) {
    size_t S, T;
    const char *const *source = labels(p, json_object_get(a, "source"), &S), *const *target = labels(
                                                                                 p, json_object_get(a, "target"), &T);
    const json_t *rows = json_object_get(a, "weights");
    double *w = rv__page_alloc(p, sizeof *w * (S * T + 1));
    if (!w || !source || !target || !S || !T) return;
    for (size_t t = 0; t < T; t++)
        for (size_t s = 0; s < S; s++) w[t * S + s] = json_number_value(json_array_get(json_array_get(rows, t), s));
    rv_chart_heat(p->f, rv__page_string(a, "model"), (int64_t)T, (int64_t)S, target, source, w);
}

static bool same_example(const json_t *a, const json_t *b) {
    return rv__page_of_setting(a, rv__page_string(b, "setting")) &&
           json_integer_value(json_object_get(a, "i")) == json_integer_value(json_object_get(b, "i"));
}

void rv__page_attention(rv__page *p) {
    const json_t *list = rv__page_part(p, "attention"), *a, *other;
    if (!list) return;
    rv_page_section(p->f, "attention", "Where attention looks");
    fputs("<p>", p->f);
    rv_page_text(p->f, "Rows are what is written, columns what is read; the stronger a cell's colour, the more weight. "
                       "Several heads and layers are shown as their mean. "
                       "A clear path of strong cells is an alignment that the model found by itself.");
    fputs("</p>\n", p->f);
    size_t i, k;
    json_array_foreach (list, i, a) {
        int maps = 0;
        bool done = false;
        json_array_foreach (list, k, other) {
            maps += same_example(a, other);
            done |= k < i && same_example(a, other);
        }
        if (done) continue;
        const char *setting = rv__page_string(a, "setting");
        rv__page_heading(p, rv__page_format(p, "Test example %lld%s%s",
                                            1 + (long long)json_integer_value(json_object_get(a, "i")),
                                            *setting ? ", " : "", setting));
        rv__page_charts_begin(p, maps);
        json_array_foreach (list, k, other)
            if (same_example(a, other)) heat(p, other);
        rv__page_charts_end(p, maps);
    }
    rv_page_section_end(p->f);
}

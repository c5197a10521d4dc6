#define _GNU_SOURCE
#include "predict/render.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

char **rv__token_labels(const rv_tokenizer *tokenizer, const rv__sentence *s, int64_t n) {
    const int32_t eos = rv_tokenizer_special(tokenizer, RV_EOS);
    char **table = malloc((size_t)n * (sizeof *table + RV__LABEL)), *text = (char *)(table + n);
    for (int64_t i = 0; table && i < n; i++) {
        table[i] = text + i * RV__LABEL;
        rv_tokenizer_label(tokenizer, i < s->n ? s->ids[i] : eos, table[i], RV__LABEL);
    }
    return table;
}

/* ---- the most probable classes */

static int more_probable(const void *a, const void *b, void *probability) {
    const int x = *(const int *)a, y = *(const int *)b;
    const double *p = probability;
    if (p[x] != p[y]) return p[x] > p[y] ? -1 : 1;
    return x - y; /* of equals the first, as the best one is */
}

/* All of them by falling probability, for free(). */
static int *by_probability(const rv_classified *c) {
    int *order = malloc((size_t)c->classes * sizeof *order);
    for (int i = 0; order && i < c->classes; i++) order[i] = i;
    if (order) qsort_r(order, (size_t)c->classes, sizeof *order, more_probable, (void *)c->probability);
    return order;
}

/* ---- a line */

static void write_plain(FILE *f, const rv__teller *t, const rv_classified *c, const int *order) {
    const int n = !t->top ? 1 : t->top < c->classes ? t->top : c->classes;
    for (int i = 0; i < n; i++)
        fprintf(f, "%s%s\t%.6f", i ? "\t" : "", t->class_name[order[i]], c->probability[order[i]]);
    fputc('\n', f);
}

/* In the order of the classes, or with a number of them wanted the most probable first. */
static json_t *classes_of(const rv__teller *t, const rv_classified *c, const int *order) {
    json_t *all = json_object();
    const int n = t->top && t->top < c->classes ? t->top : c->classes;
    for (int i = 0; i < n; i++) {
        const int k = t->top ? order[i] : i;
        json_object_set_new(all, t->class_name[k], json_real(c->probability[k]));
    }
    return all;
}

static rv_status add_weights(json_t *line, const rv__teller *t, const rv__sentence *s, const rv_classified *c) {
    char **label = rv__token_labels(t->tokenizer, s, c->n);
    if (!label) return rv_error(RV_ENOMEM, "no memory for the tokens of a text");
    json_t *tokens = json_array(), *weights = json_array();
    for (int64_t i = 0; i < c->n; i++) {
        json_array_append_new(tokens, json_string(label[i]));
        json_array_append_new(weights, json_real((double)c->weights[i]));
    }
    free(label);
    json_object_set_new(line, "tokens", tokens);
    json_object_set_new(line, "weights", weights);
    return RV_OK;
}

static rv_status write_json(FILE *f, const rv__teller *t, const rv__sentence *s, const rv_classified *c,
                            const int *order) {
    json_t *line = json_pack("{s:I, s:s%, s:s, s:f}", "line", (json_int_t)s->line, "text", s->text, s->len, "label",
                             t->class_name[c->best], "probability", c->probability[c->best]);
    json_object_set_new(line, "classes", classes_of(t, c, order));
    if (s->reference) json_object_set_new(line, "reference", json_string(s->reference));
    rv_status status = t->weights ? add_weights(line, t, s, c) : RV_OK;
    json_dumpf(line, f, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', f);
    json_decref(line);
    return status;
}

rv_status rv__tell(const rv__teller *t, const rv__sentence *s, const rv_classified *c, rv_text *out) {
    *out = (rv_text){0};
    int *order = by_probability(c);
    FILE *f = open_memstream(&out->bytes, &out->len);
    rv_status status = order && f ? RV_OK : rv_error(RV_ENOMEM, "no memory for what is said of a text");
    if (status == RV_OK && t->json) status = write_json(f, t, s, c, order);
    if (status == RV_OK && !t->json) write_plain(f, t, c, order);
    if (f && fclose(f) && status == RV_OK) status = rv_error(RV_ENOMEM, "no memory for what is said of a text");
    free(order);
    if (status != RV_OK) rv_text_free(out);
    return status;
}

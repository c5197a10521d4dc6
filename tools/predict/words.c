#define _GNU_SOURCE
#include "predict/words.h"

#include <stdlib.h>
#include <string.h>

enum { ON_PAGE = 100 };

rv_status rv__words_begin(const char *path, rv__words *out) {
    *out = (rv__words){.t = calloc(ON_PAGE, sizeof *out->t)};
    if (!out->t) return rv_error(RV_ENOMEM, "no memory for the words of texts");
    RV_TRY(rv__tool_prefix(path, "--attention", "attention", out->path));
    strcat(out->path, ".html");
    return RV_OK;
}

rv_status rv__words_add(rv__words *w, const rv__teller *t, const rv__sentence *s, const rv_classified *c) {
    w->seen++;
    if (s->line > ON_PAGE) return RV_OK;
    rv_weighted_text *to = &w->t[w->n++];
    const size_t bytes = (size_t)c->n * sizeof *to->weights;
    char **label = rv__token_labels(t->tokenizer, s, c->n);
    rv_real *weights = malloc(bytes);
    *to = (rv_weighted_text){.line = s->line,
                             .told = t->class_name[c->best],
                             .probability = c->probability[c->best],
                             .reference = s->reference ? strdup(s->reference) : NULL,
                             .n = c->n,
                             .token = (const char *const *)label,
                             .weights = weights};
    if (!label || !weights || (s->reference && !to->reference))
        return rv_error(RV_ENOMEM, "no memory for the words of a text");
    memcpy(weights, c->weights, bytes);
    return RV_OK;
}

static int by_line(const void *a, const void *b) {
    const rv_weighted_text *x = a, *y = b;
    return (x->line > y->line) - (x->line < y->line);
}

rv_status rv__words_write(rv__words *w, const char *model) {
    if (!w->n) return rv_error(RV_EDATA, "--attention: there was no text to classify");
    qsort(w->t, (size_t)w->n, sizeof *w->t, by_line);
    RV_TRY(rv_weights_html(w->path, model, w->n, w->t));
    rv_info("attention: %s (%s%lld text%s)", w->path, w->n < w->seen ? "the first " : "", (long long)w->n,
            w->n == 1 ? "" : "s");
    return RV_OK;
}

void rv__words_free(rv__words *w) {
    for (int64_t i = 0; i < w->n; i++) {
        free((void *)w->t[i].token);
        free((void *)w->t[i].weights);
        free((void *)w->t[i].reference);
    }
    free(w->t);
    *w = (rv__words){0};
}

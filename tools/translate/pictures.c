#define _GNU_SOURCE
#include "translate/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL = 64, ON_PAGE = 100 };

rv_status rv__pictures_begin(const char *path, rv__pictures *out) {
    *out = (rv__pictures){0};
    return rv__tool_prefix(path, "--attention", "attention", out->prefix);
}

static const char *const *label(char **table, char *buf, const rv_tokenizer *tok, const int32_t *ids, int64_t n,
                                int32_t eos) {
    for (int64_t i = 0; i <= n; i++) {
        table[i] = buf + i * LABEL;
        rv_tokenizer_label(tok, i < n ? ids[i] : eos, table[i], LABEL);
    }
    return (const char *const *)table;
}

rv_status rv__pictures_add(rv__pictures *p, const rv__renderer *r, const rv__sentence *s, const rv_hypothesis *h) {
    rv_attention_weights w;
    RV_TRY(rv_translation_attention(r->tape, r->model, s->ids, s->n, h, r->search, &w));
    if (p->n == p->room) {
        int64_t room = p->room ? 2 * p->room : 64;
        rv__picture *more = realloc(p->p, (size_t)room * sizeof *more);
        if (!more) return rv_error(RV_ENOMEM, "no memory for the attention of %lld sentences", (long long)room);
        p->p = more;
        p->room = room;
    }
    size_t labels = (size_t)(w.T + w.S), numbers = (size_t)(w.layers * w.heads) * (size_t)(w.T * w.S);
    char **table = malloc(labels * (sizeof *table + LABEL) + numbers * sizeof *w.weights);
    if (!table) return rv_error(RV_ENOMEM, "no memory for the attention of a sentence");
    rv_real *weights = (rv_real *)(table + labels);
    char *text = (char *)(weights + numbers);
    memcpy(weights, w.weights, numbers * sizeof *weights);
    p->p[p->n++] =
        (rv__picture){.line = s->line,
                      .block = table,
                      .a = {
                          .T = w.T,
                          .S = w.S,
                          .layers = w.layers,
                          .heads = w.heads,
                          .weights = weights,
                          .reference = s->reference,
                          .target = label(table, text, r->tgt, h->ids, h->n, r->search->eos),
                          .source = label(table + w.T, text + w.T * LABEL, r->src, s->ids, s->n, r->search->eos),
                      }};
    return RV_OK;
}

static int by_line(const void *a, const void *b) {
    const rv__picture *x = a, *y = b;
    return (x->line > y->line) - (x->line < y->line);
}

rv_status rv__pictures_write(rv__pictures *p, const char *model) {
    if (!p->n) return rv_error(RV_EDATA, "--attention: no sentence was translated");
    rv_alignment *all = malloc((size_t)p->n * sizeof *all);
    if (!all) return rv_error(RV_ENOMEM, "no memory for the attention of %lld sentences", (long long)p->n);
    qsort(p->p, (size_t)p->n, sizeof *p->p, by_line);
    for (int64_t i = 0; i < p->n; i++) all[i] = p->p[i].a;
    size_t end = strlen(p->prefix);
    int64_t shown = p->n < ON_PAGE ? p->n : ON_PAGE;
    strcpy(p->prefix + end, ".h5");
    rv_status status = rv_alignment_save(p->prefix, p->n, all);
    strcpy(p->prefix + end, ".html");
    if (status == RV_OK) status = rv_alignment_html(p->prefix, model, shown, all);
    strcpy(p->prefix + end, ".svg"); /* one sentence is a picture, for a text that shows it */
    if (status == RV_OK && p->n == 1) status = rv_alignment_svg(p->prefix, all, -1, -1);
    p->prefix[end] = 0;
    if (status == RV_OK)
        rv_info("attention: %s.h5 (%lld sentence%s) and .html (%s%lld)%s", p->prefix, (long long)p->n,
                p->n == 1 ? "" : "s", shown < p->n ? "the first " : "", (long long)shown, p->n == 1 ? " and .svg" : "");
    free(all);
    return status;
}

void rv__pictures_free(rv__pictures *p) {
    for (int64_t i = 0; i < p->n; i++) free(p->p[i].block);
    free(p->p);
    *p = (rv__pictures){0};
}

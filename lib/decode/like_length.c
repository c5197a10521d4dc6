#include "decode/like_length.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

typedef struct {
    int64_t n, text;
} entry;

struct rv__like_length {
    const int32_t *const *source;
    int64_t texts, batch, at;
    int32_t eos;
    entry *e;
    int32_t *ids, *lengths;
    int64_t *text;
};

static int longer_first(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return (x->text > y->text) - (x->text < y->text);
}

rv_status rv__like_length_begin(const int32_t *const *ids, const int64_t *n, int64_t texts, int64_t batch, int32_t eos,
                                rv__like_length **out) {
    rv__like_length *l = *out = rv_alloc(sizeof *l);
    if (!l) return RV_ENOMEM;
    if (batch > texts) batch = texts;
    *l = (rv__like_length){.source = ids, .texts = texts, .batch = batch, .eos = eos};
    if (!texts) return RV_OK;
    l->e = rv_alloc(rv_size_mul((size_t)texts, sizeof *l->e));
    if (!l->e) return RV_ENOMEM;
    for (int64_t i = 0; i < texts; i++) l->e[i] = (entry){n[i], i};
    qsort(l->e, (size_t)texts, sizeof *l->e, longer_first);
    l->ids = rv_alloc(rv_size_mul((size_t)(batch * (l->e[0].n + 1)), sizeof *l->ids));
    l->lengths = rv_alloc((size_t)batch * sizeof *l->lengths);
    l->text = rv_alloc((size_t)batch * sizeof *l->text);
    return l->ids && l->lengths && l->text ? RV_OK : RV_ENOMEM;
}

bool rv__like_length_next(rv__like_length *l, int64_t least, rv__like_batch *out) {
    const entry *e = l->e + l->at;
    int64_t B = 0;
    while (B < l->batch && l->at + B < l->texts && e[B].n >= least) B++;
    if (!B) return false;
    const int64_t S = e[0].n + 1;
    for (int64_t b = 0; b < B; b++) {
        if (e[b].n) memcpy(l->ids + b * S, l->source[e[b].text], (size_t)e[b].n * sizeof *l->ids);
        for (int64_t i = e[b].n; i < S; i++) l->ids[b * S + i] = l->eos;
        l->lengths[b] = (int32_t)e[b].n + 1;
        l->text[b] = e[b].text;
    }
    l->at += B;
    *out = (rv__like_batch){{.B = B, .T = S, .ids = l->ids, .lengths = l->lengths}, l->text};
    return true;
}

void rv__like_length_end(rv__like_length *l) {
    if (!l) return;
    rv_free(l->ids);
    rv_free(l->lengths);
    rv_free(l->text);
    rv_free(l->e);
    rv_free(l);
}

/* Rows of a table, and the scatter back into it. */
#include <string.h>

#include "ops/ops_private.h"

typedef struct {
    const int32_t *ids;
    int64_t n;
    double scale;
} embedding_ctx;

rv_tensor *rv_embedding(rv_tape *tape, rv_tensor *table, const int32_t *ids, int64_t n, double scale) {
    if (!table) return NULL;
    char s[RV_SHAPE_TEXT];
    if (table->ndim != 2)
        return rv_tape_fail(tape, RV_ESHAPE, "embedding: the table has shape %s; it needs 2 dimensions, (words, width)",
                            rv_shape_text(table, s, sizeof s));
    int64_t rows = table->dim[0], width = table->dim[1];
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= rows)
            return rv_tape_fail(
                tape, RV_EDATA,
                "embedding: id %d at position %lld is not in [0, %lld); was the text encoded with another vocabulary?",
                (int)ids[i], (long long)i, (long long)rows);
    rv_tensor *y = rv_tape_tensor(tape, RV_DIMS(n, width));
    if (!y) return NULL;
    const rv_kernels *k = rv_k();
    RV_FOR(i, n, rv_threads_for((double)n * (double)width),
           { k->vaffine(width, (rv_real)scale, 0, table->x + ids[i] * width, y->x + i * width, false); });
    rv_node *node = rv_tape_record(tape, &rv__op_embedding, 1, &table, 1, &y, sizeof(embedding_ctx));
    if (node) *(embedding_ctx *)node->ctx = (embedding_ctx){ids, n, scale};
    return y;
}

/* Positions are sorted by id (a stable counting sort); each row of the table then has one writer, which adds its
 * positions in order. */
static void embedding_backward(rv_tape *tape, rv_node *node) {
    rv_tensor *table = node->in[0];
    const embedding_ctx *c = node->ctx;
    const rv_real *dy = rv_out_grad(node, 0);
    int64_t rows = table->dim[0], width = table->dim[1], n = c->n;
    rv_arena_mark mark = rv_tape_mark(tape);
    int64_t *start = rv_tape_alloc(tape, (size_t)(rows + 1 + n) * sizeof *start);
    if (!start) return;
    int64_t *order = start + rows + 1;
    memset(start, 0, (size_t)(rows + 1) * sizeof *start);
    for (int64_t i = 0; i < n; i++) start[c->ids[i]]++;
    for (int64_t v = 0, at = 0; v <= rows; v++) at += start[v], start[v] = at; /* the end of each row's positions */
    for (int64_t i = n - 1; i >= 0; i--) order[--start[c->ids[i]]] = i;        /* and now the beginning */
    bool acc;
    rv_real *g = rv_grad(table, &acc);
    const rv_kernels *k = rv_k();
    double work = (double)width * (double)(acc ? n : n + rows);
#pragma omp parallel for schedule(static, 64) num_threads(rv_threads_for(work))
    for (int64_t v = 0; v < rows; v++) {
        rv_real *to = g + v * width;
        if (!acc && start[v] == start[v + 1]) memset(to, 0, (size_t)width * sizeof *to);
        for (int64_t p = start[v]; p < start[v + 1]; p++)
            k->vaffine(width, (rv_real)c->scale, 0, dy + order[p] * width, to, acc || p > start[v]);
    }
    rv_tape_rewind(tape, mark);
}

static rv_tensor *embedding_sample(rv_tape *t, int k) {
    static const int32_t few[] = {2, 0, 2, 4, 2};
    static int32_t many[1500];
    switch (k) {
    case 0: return rv_embedding(t, rv_sample_leaf(t, -1, 1, RV_DIMS(6, 3)), few, 5, 1.5);
    case 1:
        for (int32_t i = 0; i < 1500; i++) many[i] = i * i % 211; /* the same at every call */
        return rv_embedding(t, rv_sample_leaf(t, -1, 1, RV_DIMS(257, 48)), many, 1500, 1);
    }
    return NULL;
}
const rv_op rv__op_embedding = {"embedding", embedding_backward, embedding_sample, 0, true};

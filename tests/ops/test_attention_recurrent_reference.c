/* rv_attention_recurrent against what PyTorch gives. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops/attention_case.h"
#include "support/reference.h"

static double *read_case(const char *name, const char *folder, const char *what, int *ndim, int64_t *dims) {
    char path[256];
    snprintf(path, sizeof path, "/%s/%s%s", name, folder, what);
    return rv_ref_has("attention.h5", path) ? rv_ref_read("attention.h5", path, ndim, dims) : NULL;
}

/* A leaf with its own gradient from the file; NULL when it is not there. */
static rv_tensor *read_leaf(rv_tensor *t, const char *name, const char *what) {
    int ndim;
    int64_t dims[8];
    double *v = read_case(name, "", what, &ndim, dims);
    if (!v) return NULL;
    *t = shape(ndim, dims[0], dims[1], dims[2]);
    t->x = room(rv_numel(t));
    t->g = room(rv_numel(t));
    for (int64_t i = 0; i < rv_numel(t); i++) t->x[i] = (rv_real)v[i];
    free(v);
    return t;
}

static void expect_equal(const rv_real *got, int64_t n, const char *name, const char *folder, const char *what) {
    double *all = read_case(name, folder, what, NULL, NULL), rtol = sizeof(rv_real) == 8 ? 1e-10 : 1e-5;
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs((double)got[i] - all[i]) <= rtol * (1 + fabs(all[i])), "%s/%s%s[%d]: %.12g, PyTorch %.12g", name,
                  folder, what, (int)i, (double)got[i], all[i]);
    free(all);
}

Test(attention_recurrent, equals_pytorch) {
    static const struct {
        const char *name;
        rv_cell cell;
        bool current;
    } cases[] = {
        {"bahdanau_gru_before", RV_CELL_GRU_RESET_BEFORE, false},
        {"bahdanau_lstm", RV_CELL_LSTM, false},
        {"luong_dot", RV_CELL_LSTM, true},
        {"luong_dot_feed", RV_CELL_LSTM, true},
        {"luong_general", RV_CELL_GRU, true},
        {"luong_general_feed", RV_CELL_LSTM, true},
        {"luong_concat", RV_CELL_LSTM, true},
        {"luong_concat_feed", RV_CELL_GRU, true},
        {"luong_local", RV_CELL_LSTM, true},
        {"luong_local_feed", RV_CELL_LSTM, true},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *name = cases[k].name;
        rv_tensor leaf[INPUTS + 1] = {0}, *in[INPUTS], *w_key = read_leaf(&leaf[INPUTS], name, "w_key");
        for (int i = 0; i < INPUTS; i++) in[i] = i == KEYS ? NULL : read_leaf(&leaf[i], name, in_name[i]);
        double *v = read_case(name, "", "lengths", NULL, NULL);
        int32_t lengths[4];
        for (int b = 0; b < 4; b++) lengths[b] = (int32_t)v[b];
        free(v);

        rv_tape *tape = rv_tape_create();
        in[KEYS] = w_key ? rv_linear(tape, in[MEMORY], w_key, NULL, RV_ACT_NONE) : in[MEMORY];
        problem p = {.cell = cases[k].cell,
                     .score = in[V] ? RV_SCORE_ADDITIVE : RV_SCORE_DOT,
                     .current = cases[k].current,
                     .lengths = lengths,
                     .window = 2.3};
        rv_attention_recurrence r = arguments(&p, in);
        rv_attention_sequence s = rv_attention_recurrent(tape, &r);
        cr_assert_eq(rv_tape_status(tape), RV_OK, "%s: %s", name, rv_error_message());
        expect_equal(s.weights->x, rv_numel(s.weights), name, "out/", "weights");
        rv_tensor *out[OUTPUTS] = {s.h, s.context, s.output, s.hn, s.cn}, *loss = NULL;
        for (int i = 0; i < OUTPUTS; i++) {
            if (!out[i]) continue;
            expect_equal(out[i]->x, rv_numel(out[i]), name, "out/", out_name[i]);
            double *w = read_case(name, "loss/", out_name[i], NULL, NULL);
            rv_tensor *c = rv_leaf(tape, false, out[i]->ndim, out[i]->dim);
            for (int64_t j = 0; j < rv_numel(c); j++) c->x[j] = (rv_real)w[j];
            free(w);
            rv_tensor *part = rv_sum_all(tape, rv_mul(tape, out[i], c));
            loss = loss ? rv_add(tape, loss, part) : part;
        }
        cr_assert_eq(rv_backward(tape, loss), RV_OK, "%s", rv_error_message());
        for (int i = 0; i <= INPUTS; i++) {
            if (leaf[i].ndim)
                expect_equal(leaf[i].g, rv_numel(&leaf[i]), name, "grad/", i == INPUTS ? "w_key" : in_name[i]);
            free(leaf[i].x);
            free(leaf[i].g);
        }
        rv_tape_destroy(tape);
    }
}

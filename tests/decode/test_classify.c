/* Telling classes: the same bits in any batch, shares that sum to 1, and what measuring says of the same texts. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ravel.h"

enum { TEXTS = 24, CLASSES = 3, LONGEST = 9 };

static const char rnn[] = "{type: rnn, cell: lstm, num_layers: 1, hidden_size: 12, bidirectional: true}";
static const char transformer[] = "{type: transformer, num_layers: 1, num_heads: 2, hidden_size: 12, ff_size: 24}";
static const struct {
    const char *encoder, *pooling;
} models[] = {{rnn, "last"}, {rnn, "mean"}, {rnn, "attention"}, {transformer, "mean"}, {transformer, "attention"}};
enum { MODELS = sizeof models / sizeof *models };

typedef struct {
    char folder[64];
    rv_config *config;
    rv_params *ps;
    rv_task *task;
    rv_tape *tape;
    const int32_t *ids[TEXTS];
    int64_t n[TEXTS];
} fixture;

/* Texts of 0 to LONGEST words, the shortest among the others. */
static void write_texts(const char *path) {
    FILE *f = fopen(path, "w");
    cr_assert(f);
    for (int i = 0; i < TEXTS; i++) {
        for (int k = 0; k < i * 7 % (LONGEST + 1); k++) fprintf(f, "%sw%d", k ? " " : "", (i * i + 3 * k) % 11);
        fprintf(f, "\tclass%d\n", i % CLASSES);
    }
    fclose(f);
}

static void begin(fixture *f, int model) {
    char path[96], text[1024];
    strcpy(f->folder, "/tmp/test-classify-XXXXXX");
    cr_assert(mkdtemp(f->folder));
    snprintf(path, sizeof path, "%s/t.tsv", f->folder);
    write_texts(path);
    const int n = snprintf(text, sizeof text,
                           "name: x\ntask: classification\ndata: {train: %s, valid: %s}\ntokenizer: {type: word}\n"
                           "model: {encoder: %s, embedding_dim: 12, pooling: %s, dropout: 0.5}\n"
                           "train: {batch: {size: 4}, max_steps: 1, optimizer: {type: adam, lr: 1e-3}}\n",
                           path, path, models[model].encoder, models[model].pooling);
    cr_assert_eq(rv_config_parse("test.yaml", text, (size_t)n, 0, NULL, &f->config), RV_OK, "%s", rv_error_message());
    f->ps = rv_params_create();
    f->tape = rv_tape_create();
    cr_assert_eq(rv_task_create(f->config, NULL, true, f->ps, &f->task), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(f->ps, 5), RV_OK);
    for (int64_t i = 0; i < f->ps->size; i++) f->ps->x[i] *= 3; /* classes that are far from equal */
    rv_source *source = rv_task_source(f->task);
    const rv_pairs *p = source->kind->pairs(source, RV_SUBSET_VALID);
    cr_assert_eq(p->n, TEXTS);
    for (int i = 0; i < TEXTS; i++) f->ids[i] = p->src_ids + p->src_at[i], f->n[i] = rv_pairs_src_length(p, i);
    unlink(path);
}

static void end(fixture *f) {
    rv_task_destroy(f->task);
    rv_params_destroy(f->ps);
    rv_tape_destroy(f->tape);
    rv_config_destroy(f->config);
    rmdir(f->folder);
}

typedef struct {
    int times, best;
    int64_t n;
    bool weighted;
    double p[CLASSES];
    rv_real w[LONGEST + 1];
} told;

static rv_status keep(void *ctx, int64_t i, const rv_classified *c) {
    told *t = (told *)ctx + i;
    cr_assert_eq(c->classes, CLASSES);
    t->times++;
    t->best = c->best;
    t->n = c->n;
    t->weighted = c->weights != NULL;
    memcpy(t->p, c->probability, sizeof t->p);
    if (c->weights) memcpy(t->w, c->weights, (size_t)c->n * sizeof *t->w);
    return RV_OK;
}

static rv_status classify(fixture *f, int64_t batch, told *out) {
    const int32_t eos = rv_tokenizer_special(rv_task_source(f->task)->in, RV_EOS);
    memset(out, 0, TEXTS * sizeof *out);
    return rv_classify_each(f->tape, rv_task_model(f->task), f->ids, f->n, TEXTS, batch, eos, keep, out);
}

Test(classify, same_bits_in_any_batch) {
    for (int m = 0; m < MODELS; m++) {
        fixture f;
        static told one[TEXTS], other[TEXTS];
        begin(&f, m);
        cr_assert_eq(classify(&f, 1, one), RV_OK, "%s", rv_error_message());
        for (int64_t batch = 2; batch <= 100; batch = batch * 5 + 2) {
            cr_assert_eq(classify(&f, batch, other), RV_OK);
            cr_expect_eq(memcmp(one, other, sizeof one), 0, "model %d, batch %lld", m, (long long)batch);
        }
        end(&f);
    }
}

Test(classify, shares_sum_to_one) {
    for (int m = 0; m < MODELS; m++) {
        fixture f;
        static told t[TEXTS];
        begin(&f, m);
        cr_assert_eq(classify(&f, 7, t), RV_OK);
        for (int i = 0; i < TEXTS; i++) {
            double p = 0, w = 0;
            cr_expect_eq(t[i].times, 1);
            cr_expect_eq(t[i].n, f.n[i] + 1, "the text and its <eos>");
            for (int c = 0; c < CLASSES; c++) {
                p += t[i].p[c];
                cr_expect(t[i].p[c] <= t[i].p[t[i].best]);
            }
            for (int64_t k = 0; k < t[i].n; k++) w += (double)t[i].w[k];
            cr_expect_float_eq(p, 1, 1e-12);
            cr_expect_eq(t[i].weighted, strcmp(models[m].pooling, "last") != 0);
            if (t[i].weighted) cr_expect_float_eq(w, 1, 1e-5, "model %d, text %d: %g", m, i, w);
            if (f.n[i] == 0 && t[i].weighted) cr_expect_float_eq((double)t[i].w[0], 1, 1e-6);
        }
        end(&f);
    }
}

/* What measuring says of the same texts. */
static rv_status same_as_measured(void *ctx, int64_t i, const rv_example *e) {
    const told *t = (const told *)ctx + i;
    cr_expect_eq(e->score.said, t->best, "text %lld", (long long)i);
    cr_expect_float_eq(exp(-e->score.nats), t->p[e->score.label], 1e-5, "text %lld: %g, %g", (long long)i,
                       exp(-e->score.nats), t->p[e->score.label]);
    return RV_OK;
}

Test(classify, agrees_with_measuring) {
    for (int m = 0; m < MODELS; m++) {
        fixture f;
        static told t[TEXTS];
        begin(&f, m);
        cr_assert_eq(classify(&f, 7, t), RV_OK);
        cr_assert_eq(rv_task_examples(f.tape, f.task, RV_SUBSET_VALID, same_as_measured, t), RV_OK);
        end(&f);
    }
}

/* What each class was taken for adds up to the same. */
Test(classify, confusion) {
    fixture f;
    static told t[TEXTS];
    int64_t mine[CLASSES * CLASSES] = {0};
    rv_metrics_result r;
    begin(&f, 2);
    cr_expect_null(rv_task_confusion(f.task));
    cr_assert_eq(classify(&f, 7, t), RV_OK);
    for (int k = 0; k < 2; k++) cr_assert_eq(rv_task_evaluate(f.tape, f.task, RV_SUBSET_VALID, true, &r), RV_OK);
    for (int i = 0; i < TEXTS; i++) mine[i % CLASSES * CLASSES + t[i].best]++;
    cr_expect_eq(memcmp(mine, rv_task_confusion(f.task), sizeof mine), 0);
    end(&f);
}

Test(classify, of_no_texts_nothing) {
    fixture f;
    begin(&f, 0);
    cr_expect_eq(rv_classify_each(f.tape, rv_task_model(f.task), NULL, NULL, 0, 8, 2, NULL, NULL), RV_OK);
    end(&f);
}

static rv_status refuse(void *ctx, int64_t i, const rv_classified *c) {
    ++*(int *)ctx;
    return rv_error(RV_EDATA, "enough");
}

Test(classify, errors) {
    fixture f;
    static told t[TEXTS];
    int calls = 0;
    begin(&f, 2);
    cr_expect_eq(rv_classify_each(f.tape, rv_task_model(f.task), f.ids, f.n, TEXTS, 8, 2, refuse, &calls), RV_EDATA);
    cr_expect_eq(calls, 1, "the first one ends the work");
    rv_params_find(f.ps, "head.bias")->t.x[1] = (rv_real)NAN;
    cr_expect_eq(classify(&f, 7, t), RV_EDIVERGED);
    end(&f);
}

/* On a tape that trains nothing is dropped, and the tape goes on training. */
Test(classify, on_a_tape_that_trains) {
    fixture f;
    static told want[TEXTS], t[TEXTS];
    begin(&f, 2);
    cr_assert_eq(classify(&f, 7, want), RV_OK);
    for (int on = 0; on < 2; on++) {
        rv_tape_set_training(f.tape, true);
        rv_tape_no_grad(f.tape, on);
        cr_assert_eq(classify(&f, 7, t), RV_OK);
        cr_expect_eq(memcmp(want, t, sizeof t), 0);
        cr_expect(rv_tape_training(f.tape));
        cr_expect_eq(rv_tape_no_grad(f.tape, false), on);
    }
    end(&f);
}

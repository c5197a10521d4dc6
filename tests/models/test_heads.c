/* Heads: the class of a sequence, and what each kind says of every row alone. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "ravel.h"
#include "support/models.h"

enum { B = 5, T = 9, V = 13, C = 4, D = 12 };
static const double tolerance = sizeof(rv_real) == 8 ? 1e-12 : 2e-6;

/* ---- a class: each encoder with each pooling, over ids */

static const struct {
    const char *encoder;
    rv_pooling_kind pooling;
} kinds[] = {
    {"rnn", RV_POOLING_LAST},         {"rnn", RV_POOLING_MEAN},         {"rnn", RV_POOLING_ATTENTION},
    {"transformer", RV_POOLING_LAST}, {"transformer", RV_POOLING_MEAN}, {"transformer", RV_POOLING_ATTENTION},
    {"none", RV_POOLING_MEAN},        {"none", RV_POOLING_ATTENTION},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static rv_model_config classifier(int i) {
    const rv_init some = {.kind = RV_INIT_UNIFORM, .a = 0.4};
    rv_model_config c = {
        .encoder = {.kind = rv_encoder_find(kinds[i].encoder),
                    .input = {.vocab_size = V,
                              .size = D,
                              .init = {.kind = RV_INIT_NORMAL, .a = 0.5},
                              .position = RV_POSITION_SINUSOIDAL,
                              .max_length = 4 * T},
                    .rnn = rv_rnn_defaults(RV_CELL_GRU),
                    .transformer = rv_transformer_defaults()},
        .head = {.kind = rv_head_find("class"),
                 .output_size = C,
                 .bias = true,
                 .init = some,
                 .bias_init = some,
                 .pooling = kinds[i].pooling,
                 .pooling_size = 7},
    };
    rv_encoder_config *e = &c.encoder;
    e->rnn.hidden_size = D / 2;
    e->rnn.bidirectional = true;
    e->transformer.num_layers = e->transformer.num_heads = 2;
    e->transformer.hidden_size = D;
    e->transformer.ff_size = 2 * D;
    e->transformer.activation = RV_ACT_GELU; /* smooth: the Taylor test meets no kink */
    return c;
}

typedef struct {
    rv_params *ps;
    rv_model *m;
    rv_tape *tape;
    int32_t ids[B * T], lengths[B], label[B];
} fixture;

static fixture open_model(int i) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create(), .lengths = {9, 1, 4, 7, 2}};
    rv_model_config c = classifier(i);
    f.m = rv_model_create(f.ps, &c);
    cr_assert(f.m, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(f.ps, 7), RV_OK);
    rv_rng rng = rv_rng_make(1, "ids", 0);
    for (int k = 0; k < B * T; k++) f.ids[k] = (int32_t)rv_rng_below(&rng, V);
    for (int k = 0; k < B; k++) f.label[k] = (int32_t)rv_rng_below(&rng, C);
    return f;
}

static void close_model(fixture *f) {
    rv_tape_destroy(f->tape);
    rv_model_destroy(f->m);
    rv_params_destroy(f->ps);
}

static rv_batch batch_of(const int32_t *ids, const int32_t *lengths, const int32_t *label, int64_t rows,
                         int64_t steps) {
    return (rv_batch){.source = {.B = rows, .T = steps, .ids = ids, .lengths = lengths}, .B = rows, .label = label};
}
static rv_batch whole(const fixture *f) { return batch_of(f->ids, f->lengths, f->label, B, T); }

static rv_tensor *loss_of(rv_tape *tape, void *arg) {
    fixture *f = arg;
    const rv_batch b = whole(f);
    return rv_model_loss(tape, f->m, &b, NULL, 0.1);
}

Test(class, loss_is_the_cross_entropy_of_its_logits) {
    for (int i = 0; i < KINDS; i++)
        for (int smooth = 0; smooth < 2; smooth++) {
            fixture f = open_model(i);
            const rv_batch b = whole(&f);
            rv_tape_no_grad(f.tape, true);
            rv_tensor *logits = rv_model_read(f.tape, f.m, &b.source, NULL);
            cr_assert(logits && logits->ndim == 2 && logits->dim[0] == B && logits->dim[1] == C);
            const rv_tensor *want = rv_cross_entropy(f.tape, logits, f.label, -1, 0.1 * smooth);
            const rv_tensor *got = rv_model_loss(f.tape, f.m, &b, NULL, 0.1 * smooth);
            cr_expect_eq(got->x[0], want->x[0], "kind %d, smoothing %d", i, smooth);
            close_model(&f);
        }
}

/* Nats and the most probable class from the logits, by hand. */
Test(class, score) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        const rv_batch b = whole(&f);
        rv_row_score row[B];
        const double *nats;
        const int32_t *best;
        cr_assert(rv_model_score(f.tape, f.m, &b, NULL, row, &nats, &best), "%s", rv_error_message());
        cr_expect(!nats && !best);
        const rv_tensor *loss = rv_model_loss(f.tape, f.m, &b, NULL, 0);
        const rv_tensor *z = rv_model_read(f.tape, f.m, &b.source, NULL);
        double sum = 0;
        for (int k = 0; k < B; k++) {
            const rv_real *logit = z->x + k * C;
            double total = 0;
            int said = 0;
            for (int v = 0; v < C; v++) {
                total += exp((double)logit[v]);
                if (logit[v] > logit[said]) said = v;
            }
            cr_expect_float_eq(row[k].nats, log(total) - (double)logit[f.label[k]], tolerance, "kind %d, row %d", i, k);
            cr_expect(row[k].tokens == 1 && row[k].label == f.label[k] && row[k].said == said, "kind %d, row %d", i, k);
            cr_expect_eq(row[k].correct, said == f.label[k]);
            sum += row[k].nats;
        }
        cr_expect_float_eq(sum, B * (double)loss->x[0], B * tolerance, "kind %d", i);
        /* of equals the lower one */
        memset(rv_params_find(f.ps, "head.weight")->t.x, 0, C * D * sizeof(rv_real));
        for (int v = 0; v < C; v++) rv_params_find(f.ps, "head.bias")->t.x[v] = v > 0;
        cr_assert(rv_model_score(f.tape, f.m, &b, NULL, row, NULL, NULL));
        for (int k = 0; k < B; k++) cr_expect_eq(row[k].said, 1);
        close_model(&f);
    }
}

Test(class, gradients_of_whole_models) {
    if (sizeof(rv_real) == 4) cr_skip_test("differences are too coarse in float; the double build checks them");
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        rv_tensor *all[64];
        cr_assert_leq(f.ps->n, 64);
        for (int k = 0; k < f.ps->n; k++) all[k] = &f.ps->p[k]->t;
        double slope;
        cr_assert_eq(rv_taylor_slope(f.tape, loss_of, &f, f.ps->n, all, 1e-3, &slope), RV_OK, "%s", rv_error_message());
        cr_expect_float_eq(slope, 2, 0.1, "kind %d: slope %g", i, slope);
        close_model(&f);
    }
}

/* Logits of row b alone, padded to `steps` with `junk`, and the gradients of all weights (malloc'd). */
static void alone(fixture *f, int b, int steps, int32_t junk, rv_real logits[C], rv_row_score *row, rv_real **grads) {
    int32_t ids[4 * T];
    for (int t = 0; t < steps; t++) ids[t] = t < f->lengths[b] ? f->ids[b * T + t] : junk;
    const rv_batch one = batch_of(ids, f->lengths + b, f->label + b, 1, steps);
    rv_tape_reset(f->tape);
    rv_params_zero_grad(f->ps);
    memcpy(logits, rv_model_read(f->tape, f->m, &one.source, NULL)->x, C * sizeof *logits);
    cr_assert(rv_model_score(f->tape, f->m, &one, NULL, row, NULL, NULL));
    cr_assert_eq(rv_backward(f->tape, rv_model_loss(f->tape, f->m, &one, NULL, 0)), RV_OK);
    rv_params_finish_grad(f->ps);
    *grads = malloc((size_t)f->ps->size * sizeof **grads);
    memcpy(*grads, f->ps->g, (size_t)f->ps->size * sizeof **grads);
}

Test(class, padding_and_batch_mates_change_nothing) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        const rv_batch all = whole(&f);
        rv_real together[B * C], one[C], more[C], *exact, *padded;
        rv_row_score rows[B], a, b;
        memcpy(together, rv_model_read(f.tape, f.m, &all.source, NULL)->x, sizeof together);
        cr_assert(rv_model_score(f.tape, f.m, &all, NULL, rows, NULL, NULL));
        for (int k = 0; k < B; k++) {
            alone(&f, k, f.lengths[k], 0, one, &a, &exact);
            alone(&f, k, f.lengths[k] + 13, 3, more, &b, &padded);
            cr_expect_arr_eq(one, together + k * C, sizeof one, "kind %d, row %d: its batch-mates change it", i, k);
            cr_expect_arr_eq(more, one, sizeof one, "kind %d, row %d: padding changes it", i, k);
            cr_expect(a.nats == rows[k].nats && b.nats == a.nats && a.said == rows[k].said, "kind %d, row %d", i, k);
            cr_expect_arr_eq(padded, exact, (size_t)f.ps->size * sizeof *exact,
                             "kind %d, row %d: padding changes gradients", i, k);
            free(exact);
            free(padded);
        }
        f.ids[0] = (f.ids[0] + 1) % V; /* and what is not padding does change it */
        rv_tape_reset(f.tape);
        const rv_real *now = rv_model_read(f.tape, f.m, &all.source, NULL)->x;
        for (int k = 0; k < B; k++)
            cr_expect_eq(memcmp(now + k * C, together + k * C, sizeof one) != 0, k == 0, "kind %d, row %d", i, k);
        close_model(&f);
    }
}

Test(class, the_same_bits_at_every_thread_count) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        rv_real *want = malloc((size_t)f.ps->size * sizeof *want);
        for (int threads = 1; threads <= 4; threads++) {
            rv_set_threads(threads);
            rv_tape_reset(f.tape);
            rv_params_zero_grad(f.ps);
            cr_assert_eq(rv_backward(f.tape, loss_of(f.tape, &f)), RV_OK);
            rv_params_finish_grad(f.ps);
            if (threads == 1)
                memcpy(want, f.ps->g, (size_t)f.ps->size * sizeof *want);
            else
                cr_expect_arr_eq(f.ps->g, want, (size_t)f.ps->size * sizeof *want, "kind %d, %d threads", i, threads);
        }
        free(want);
        close_model(&f);
    }
}

/* What is dropped of the pooled vector is dropped in training alone. */
Test(class, dropout_is_on_the_pooled_vector) {
    rv_model_config c = classifier(4);
    c.head.dropout = 0.5;
    rv_params *ps = rv_params_create();
    rv_model *m = rv_model_create(ps, &c);
    rv_tape *tape = rv_tape_create();
    cr_assert(m && rv_params_materialise(ps, 7) == RV_OK);
    fixture f = open_model(4);
    const rv_batch b = whole(&f);
    const rv_tensor *want = rv_model_read(f.tape, f.m, &b.source, NULL);
    rv_pooled plain, kept;
    const rv_tensor *got = rv_model_read(tape, m, &b.source, &plain);
    cr_expect_arr_eq(got->x, want->x, B * C * sizeof *got->x);
    rv_tape_set_training(tape, true);
    got = rv_model_read(tape, m, &b.source, &kept);
    cr_expect(memcmp(got->x, want->x, B * C * sizeof *got->x));
    cr_expect_arr_eq(kept.y->x, plain.y->x, B * D * sizeof *plain.y->x, "what is told is what was before");
    rv_tape_destroy(tape);
    rv_model_destroy(m);
    rv_params_destroy(ps);
    close_model(&f);
}

/* ---- a number */

/* Of several numbers the loss is a mean over all, and a row's score tells the first. */
Test(number, several_outputs) {
    for (int outputs = 1; outputs <= 2; outputs++) {
        rv_model_config c = classifier(1);
        c.head.kind = rv_head_find("number");
        c.head.output_size = outputs;
        rv_params *ps = rv_params_create();
        rv_model *m = rv_model_create(ps, &c);
        rv_tape *tape = rv_tape_create();
        cr_assert(m && rv_params_materialise(ps, 7) == RV_OK);
        fixture f = open_model(1);
        rv_real told[B * 2];
        for (int k = 0; k < B * 2; k++) told[k] = (rv_real)(0.1 * k - 0.3);
        rv_batch b = whole(&f);
        b.label = NULL;
        b.number = told;
        const rv_tensor *y = rv_model_read(tape, m, &b.source, NULL);
        const rv_tensor *loss = rv_model_loss(tape, m, &b, NULL, 0);
        rv_row_score row[B];
        cr_assert(rv_model_score(tape, m, &b, NULL, row, NULL, NULL));
        double sum = 0;
        for (int k = 0; k < B * outputs; k++) sum += pow((double)y->x[k] - (double)told[k], 2);
        cr_expect_float_eq((double)loss->x[0], sum / (B * outputs), tolerance);
        for (int k = 0; k < B; k++) {
            cr_expect_eq(row[k].prediction, (double)y->x[k * outputs], "%d outputs, row %d", outputs, k);
            cr_expect_eq(row[k].target, (double)told[k * outputs], "%d outputs, row %d", outputs, k);
            cr_expect_eq(row[k].tokens, 0);
        }
        close_model(&f);
        rv_tape_destroy(tape);
        rv_model_destroy(m);
        rv_params_destroy(ps);
    }
}

/* ---- the next token, of decoders with either layout */

typedef struct {
    rv_params *ps;
    rv_model *m;
    rv_tape *tape;
    int32_t x[B * T], y[B * T];
} speaker;

static speaker open_speaker(bool attends) {
    speaker s = {.ps = rv_params_create(), .tape = rv_tape_create()};
    rv_model_config c = {
        .decoder = {.kind = rv_decoder_find(attends ? "transformer" : "rnn"),
                    .input = {.vocab_size = V, .size = D, .init = {.kind = RV_INIT_NORMAL, .a = 1}},
                    .rnn = rv_rnn_defaults(RV_CELL_LSTM),
                    .transformer = rv_transformer_defaults()},
        .head = {.kind = rv_head_find("next_token"), .bias = true, .init = {.kind = RV_INIT_UNIFORM, .a = 1}},
    };
    c.decoder.rnn.hidden_size = c.decoder.transformer.hidden_size = D;
    c.decoder.transformer.num_layers = c.decoder.transformer.num_heads = 2;
    c.decoder.transformer.ff_size = 2 * D;
    c.decoder.transformer.causal = true;
    s.m = rv_model_create(s.ps, &c);
    cr_assert(s.m && rv_params_materialise(s.ps, 7) == RV_OK);
    rv_rng rng = rv_rng_make(2, "ids", 0);
    for (int k = 0; k < B * T; k++) {
        s.x[k] = (int32_t)rv_rng_below(&rng, V);
        s.y[k] = k % 4 == 1 || k / T == 3 ? -1 : (int32_t)rv_rng_below(&rng, V); /* of row 3 none is wanted */
    }
    return s;
}

static void close_speaker(speaker *s) {
    rv_tape_destroy(s->tape);
    rv_model_destroy(s->m);
    rv_params_destroy(s->ps);
}

Test(next_token, score) {
    for (int attends = 0; attends < 2; attends++) {
        speaker s = open_speaker(attends);
        const rv_batch b = {.B = B, .T = T, .in = s.x, .out = s.y};
        rv_row_score row[B];
        const double *nats;
        const int32_t *best;
        cr_assert(rv_model_score(s.tape, s.m, &b, NULL, row, &nats, &best), "%s", rv_error_message());
        const rv_tensor *z = rv_model_logits(s.tape, s.m, s.x, B, T, NULL, NULL);
        cr_expect(z->needs_grad, "what came before recorded nothing, what comes after does");
        double all = 0;
        int64_t tokens = 0;
        for (int k = 0; k < B; k++) {
            double sum = 0;
            int64_t wanted = 0, correct = 0;
            for (int t = 0; t < T; t++) {
                const rv_real *logit = z->x + rv_model_row(s.m, B, T, k, t) * V;
                double total = 0;
                int said = 0;
                for (int v = 0; v < V; v++) {
                    total += exp((double)logit[v]);
                    if (logit[v] > logit[said]) said = v;
                }
                const int32_t target = s.y[k * T + t];
                const double want = target < 0 ? 0 : log(total) - (double)logit[target];
                cr_expect_float_eq(nats[k * T + t], want, 4 * tolerance, "row %d, position %d", k, t);
                cr_expect_eq(best[k * T + t], said, "row %d, position %d", k, t);
                sum += nats[k * T + t];
                wanted += target >= 0;
                correct += said == target;
            }
            cr_expect(row[k].nats == sum && row[k].tokens == wanted && row[k].correct == correct, "row %d", k);
            all += sum;
            tokens += wanted;
        }
        cr_expect(row[3].nats == 0 && row[3].tokens == 0 && row[3].correct == 0);
        const rv_tensor *loss = rv_model_loss(s.tape, s.m, &b, NULL, 0);
        cr_expect_float_eq(all / (double)tokens, (double)loss->x[0], 4 * tolerance);
        close_speaker(&s);
    }
}

/* The loss that stores no logits is that of the logits. */
Test(next_token, loss) {
    for (int attends = 0; attends < 2; attends++) {
        speaker s = open_speaker(attends);
        rv_tape_no_grad(s.tape, true);
        rv_tensor *z = rv_model_logits(s.tape, s.m, s.x, B, T, NULL, NULL);
        const rv_tensor *want = loss_of_logits(s.tape, s.m, z, s.y, B, T, 0.1);
        const rv_tensor *got = loss_of_tokens(s.tape, s.m, s.x, s.y, B, T, 0.1);
        cr_expect_float_eq((double)got->x[0], (double)want->x[0], 4 * tolerance);
        close_speaker(&s);
    }
}

Test(next_token, a_target_of_another_vocabulary_is_told) {
    for (int attends = 0; attends < 2; attends++) {
        speaker s = open_speaker(attends);
        const rv_batch b = {.B = B, .T = T, .in = s.x, .out = s.y};
        rv_row_score row[B];
        s.y[T] = V;
        cr_expect_not(rv_model_score(s.tape, s.m, &b, NULL, row, NULL, NULL));
        cr_expect_eq(rv_tape_status(s.tape), RV_EDATA);
        cr_expect(strstr(rv_error_message(), "target 13 is not in [0, 13)"), "%s", rv_error_message());
        close_speaker(&s);
    }
}

Test(heads, by_name) {
    cr_expect_eq(rv_head_find("next_token"), &rv__head_next_token);
    cr_expect_eq(rv_head_find("class"), &rv__head_class);
    cr_expect_eq(rv_head_find("number"), &rv__head_number);
    cr_expect_null(rv_head_find("classes"));
    cr_expect_eq(rv__head_next_token.reads, RV_READS_DECODER);
    cr_expect(rv__head_class.reads == RV_READS_POOLED && rv__head_number.reads == RV_READS_POOLED);
}

/* Words as embeddings, letters and shapes: against PyTorch's, and what must hold of them in front of any encoder, the
 * one that is none among these. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravel.h"
#include "support/reference.h"

static const rv_init some = {.kind = RV_INIT_UNIFORM, .a = 0.7};

/* ---- parity */

enum { PB = 3, PT = 6, PN = 9, PL = 7, VOCAB = 11, ALPHABET = 13, SHAPES = 6, E = 6, LETTER = 4 }; /* make_letters.py */

static double *stored(const char *name, const char *part) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", name, part);
    return rv_ref_read("letters.h5", path, NULL, NULL);
}

static void integers(const char *part, int32_t *out, int n) {
    double *v = stored("", part);
    for (int i = 0; i < n; i++) out[i] = (int32_t)v[i];
    free(v);
}

static void expect_close(const char *name, const char *part, const rv_real *got, int64_t n) {
    const double tolerance = sizeof *got == 8 ? 1e-12 : 1e-5;
    double *want = stored(name, part);
    for (int64_t i = 0; i < n; i++)
        cr_expect(fabs((double)got[i] - want[i]) <= tolerance * (1 + fabs(want[i])),
                  "%s/%s[%lld] is %.12g, PyTorch has %.12g", name, part, (long long)i, (double)got[i], want[i]);
    free(want);
}

typedef struct {
    const char *name;
    rv_letter_net_kind kind;
    int64_t size, shape_size;
    bool scale, mapped;
} reference;

static rv_input_config config_of(const reference *r) {
    return (rv_input_config){
        .vocab_size = VOCAB,
        .size = E,
        .scale = r->scale,
        .init = some,
        .letters = {.kind = r->kind, .alphabet = ALPHABET, .embedding_size = LETTER, .size = r->size, .init = some},
        .shapes = r->shape_size ? SHAPES : 0,
        .shape_size = r->shape_size,
    };
}

/* PyTorch's gradient of the output, in the layout of x. */
static rv_real *output_gradient(const reference *r, const rv_tensor *x, bool time_major) {
    const int64_t D = x->dim[2];
    double *v = stored(r->name, "dy");
    rv_real *dy = malloc((size_t)rv_numel(x) * sizeof *dy);
    for (int64_t i = 0; i < PB * PT * D; i++) {
        const int64_t b = i / (PT * D), t = i / D % PT;
        dy[(time_major ? t * PB + b : b * PT + t) * D + i % D] = (rv_real)v[i];
    }
    free(v);
    return dy;
}

static void as_reference(const reference *r, const rv_sequences *s, bool time_major) {
    const rv_input_config c = config_of(r);
    rv_params *ps = rv_params_create();
    rv_tape *tape = rv_tape_create();
    rv_input *in = rv_input_create(ps, &c, r->mapped, NULL, "encoder");
    cr_assert(in && rv_params_materialise(ps, 1) == RV_OK, "%s", rv_error_message());
    cr_assert_eq(ps->n, 2 + (r->kind == RV_LETTER_NET_LSTM ? 8 : 2) + (r->shape_size ? 1 : 0) + (r->mapped ? 2 : 0));
    for (int i = 0; i < ps->n; i++) {
        char part[128];
        int64_t dims[8];
        int ndim;
        snprintf(part, sizeof part, "%s/init/%s", r->name, ps->p[i]->name);
        double *v = rv_ref_read("letters.h5", part, &ndim, dims);
        cr_assert_eq(ndim, ps->p[i]->t.ndim, "%s", part);
        for (int k = 0; k < ndim; k++) cr_assert_eq(dims[k], ps->p[i]->t.dim[k], "%s", part);
        for (int64_t k = 0; k < rv_numel(&ps->p[i]->t); k++) ps->p[i]->t.x[k] = (rv_real)v[k];
        free(v);
    }
    rv_tensor *x = rv_input_read(tape, in, s, time_major, NULL);
    cr_assert(x, "%s", rv_error_message());
    cr_assert_eq(x->dim[2], rv_input_size(&c, r->mapped));
    rv_real *dy = output_gradient(r, x, time_major);
    if (!time_major) expect_close(r->name, "output", x->x, rv_numel(x));
    cr_assert_eq(rv_backward_from(tape, x, dy), RV_OK, "%s", rv_error_message());
    for (int i = 0; i < ps->n; i++) {
        char part[128];
        snprintf(part, sizeof part, "grad/%s", ps->p[i]->name);
        expect_close(r->name, part, ps->p[i]->t.g, rv_numel(&ps->p[i]->t));
    }
    free(dy);
    rv_input_destroy(in);
    rv_tape_destroy(tape);
    rv_params_destroy(ps);
}

Test(word_input, as_pytorch) {
    static const reference all[] = {
        {"lstm", RV_LETTER_NET_LSTM, 5, 2, false, false},
        {"cnn", RV_LETTER_NET_CNN, 8, 3, true, false},
        {"lstm_map", RV_LETTER_NET_LSTM, 4, 2, true, true},
        {"cnn_map", RV_LETTER_NET_CNN, 7, 0, false, true},
    };
    int32_t ids[PB * PT], which[PB * PT], lengths[PB], letters[PN * PL], word_lengths[PN], shape[PN];
    integers("ids", ids, PB * PT);
    integers("which", which, PB * PT);
    integers("lengths", lengths, PB);
    integers("letters", letters, PN * PL);
    integers("word_lengths", word_lengths, PN);
    integers("shape", shape, PN);
    const rv_words w = {PN, PL, letters, word_lengths, shape, which};
    const rv_sequences s = {.B = PB, .T = PT, .ids = ids, .lengths = lengths, .words = &w};
    for (int i = 0; i < 4; i++)
        for (int time_major = 0; time_major < 2; time_major++) as_reference(&all[i], &s, time_major == 1);
}

/* ---- invariants. Each word has letters of its own, so that what they gain is that word's alone */

enum { B = 3, T = 5, N = 8, L = 6, MAX_B = 3, MAX_T = 9, MAX_N = 10, MAX_L = 11, D = 12 };
static const int32_t text[B][T] = {{0, 1, 2, 0, 3}, {4, 5}, {6, 7, 6}}, text_lengths[B] = {5, 2, 3};
static const int32_t word_length[MAX_N] = {6, 1, 3, 6, 2, 3, 5, 1, 4, 6};

/* How a batch is laid out; it says the same. */
typedef struct {
    const char *what;
    int row;          /* that one alone, -1: all */
    int64_t n, L, T;  /* words, of which those behind N have no position */
    int shift, spins; /* word w comes at place (w * spins + shift) % n */
} layout;

typedef struct {
    int32_t ids[MAX_B * MAX_T], which[MAX_B * MAX_T], lengths[MAX_B], letters[MAX_N * MAX_L], word_lengths[MAX_N],
        shape[MAX_N];
    rv_words w;
    rv_sequences s;
} data;

static void lay_out(const layout *l, data *d) {
    const int first = l->row < 0 ? 0 : l->row, rows = l->row < 0 ? B : 1;
    for (int32_t w = 0; w < l->n; w++) {
        const int64_t at = (w * l->spins + l->shift) % l->n;
        for (int64_t k = 0; k < l->L; k++) /* behind its end any letter */
            d->letters[at * l->L + k] = (int32_t)(k < word_length[w] ? w * L + k : (w + k) % (MAX_N * L));
        d->word_lengths[at] = word_length[w];
        d->shape[at] = w % SHAPES;
    }
    for (int b = 0; b < rows; b++) {
        d->lengths[b] = text_lengths[first + b];
        for (int64_t t = 0; t < l->T; t++) { /* behind its end any word */
            const int32_t w = t < d->lengths[b] ? text[first + b][t] : (int32_t)(t % N);
            d->ids[b * l->T + t] = w;
            d->which[b * l->T + t] = (int32_t)((w * l->spins + l->shift) % l->n);
        }
    }
    d->w = (rv_words){l->n, l->L, d->letters, d->word_lengths, d->shape, d->which};
    d->s = (rv_sequences){.B = rows, .T = l->T, .ids = d->ids, .lengths = d->lengths, .words = &d->w};
}

static rv_encoder_config encoder_of(const char *kind, rv_letter_net_kind letters) {
    rv_encoder_config c = {
        .kind = rv_encoder_find(kind),
        .input = {.vocab_size = N,
                  .size = D,
                  .init = some,
                  .letters = {letters, MAX_N * L, .embedding_size = 5, .size = 4, .init = some},
                  .shapes = SHAPES,
                  .shape_size = 3,
                  .position = RV_POSITION_SINUSOIDAL,
                  .max_length = MAX_T},
        .rnn = rv_rnn_defaults(RV_CELL_LSTM),
        .transformer = rv_transformer_defaults(),
    };
    c.rnn.bidirectional = true;
    c.rnn.hidden_size = D / 2;
    c.transformer.num_layers = 1;
    c.transformer.num_heads = 2;
    c.transformer.hidden_size = D;
    c.transformer.ff_size = 2 * D;
    return c;
}

typedef struct {
    rv_encoder_config c;
    rv_params *ps;
    rv_tape *tape;
    rv_encoder *e;
    int64_t size;
} fixture;

static fixture open_encoder(const char *kind, rv_letter_net_kind letters) {
    fixture f = {.c = encoder_of(kind, letters), .ps = rv_params_create(), .tape = rv_tape_create()};
    f.e = f.c.kind->create(f.ps, &f.c, NULL);
    cr_assert(f.e && rv_params_materialise(f.ps, 5) == RV_OK, "%s", rv_error_message());
    f.size = f.c.kind->memory_size(&f.c);
    return f;
}

static void close_encoder(fixture *f) {
    f->c.kind->destroy(f->e);
    rv_tape_destroy(f->tape);
    rv_params_destroy(f->ps);
}

/* Of each valid position the state, given a gradient that depends on where it stands in the text; and the gradients of
 * all weights. */
typedef struct {
    rv_real state[B][T][4 * D];
    rv_real *g;
} outcome;

static void run(fixture *f, const layout *l, outcome *out) {
    data d;
    rv_memory m;
    lay_out(l, &d);
    memset(out->state, 0, sizeof out->state);
    rv_tape_reset(f->tape);
    rv_params_zero_grad(f->ps);
    cr_assert(f->c.kind->forward(f->tape, f->e, &d.s, &m), "%s", rv_error_message());
    cr_assert_eq(m.states->dim[2], f->size);
    rv_real *dy = calloc((size_t)rv_numel(m.states), sizeof *dy);
    for (int b = 0; b < d.s.B; b++)
        for (int t = 0; t < d.lengths[b]; t++) {
            const int64_t at = (b * l->T + t) * f->size, place = ((l->row < 0 ? b : l->row) * T + t) * f->size;
            memcpy(out->state[place / f->size / T][t], m.states->x + at, (size_t)f->size * sizeof *dy);
            for (int64_t i = 0; i < f->size; i++) dy[at + i] = (rv_real)sin(1.7 * (double)(place + i));
        }
    cr_assert_eq(rv_backward_from(f->tape, m.states, dy), RV_OK, "%s", rv_error_message());
    rv_params_finish_grad(f->ps);
    free(dy);
    out->g = malloc((size_t)f->ps->size * sizeof *out->g);
    memcpy(out->g, f->ps->g, (size_t)f->ps->size * sizeof *out->g);
}

static const char *const encoders[] = {"none", "rnn", "transformer"};
static const layout plain = {"as it is", -1, N, L, T, 0, 1};

#define FOR_ALL(f)                                                                                                     \
    for (int i = 0; i < 6; i++)                                                                                        \
        for (fixture f = open_encoder(encoders[i / 2], i % 2 ? RV_LETTER_NET_CNN : RV_LETTER_NET_LSTM); f.e;           \
             close_encoder(&f), f.e = NULL)

Test(word_input, layout_changes_nothing) {
    static const layout same[] = {
        {"words in another order", -1, N, L, T, 2, 3},      {"words backwards", -1, N, L, T, N - 1, N - 1},
        {"more padding of words", -1, N, MAX_L, T, 0, 1},   {"more padding of rows", -1, N, L, MAX_T, 0, 1},
        {"words that nobody reads", -1, MAX_N, L, T, 1, 3},
    };
    static outcome want, got;
    FOR_ALL(f) {
        run(&f, &plain, &want);
        for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
            run(&f, &same[k], &got);
            cr_expect_arr_eq(got.state, want.state, sizeof want.state, "%s %d, %s: states", encoders[i / 2], i % 2,
                             same[k].what);
            cr_expect_arr_eq(got.g, want.g, (size_t)f.ps->size * sizeof *want.g, "%s %d, %s: gradients",
                             encoders[i / 2], i % 2, same[k].what);
            free(got.g);
        }
        free(want.g);
    }
}

/* The row's gradient of a table of ids that are the row's words' own. */
static void expect_own(const fixture *f, const char *name, int row, int each, const outcome *one, const outcome *all) {
    const rv_param *p = rv_params_find(f->ps, name);
    const int64_t width = p->t.dim[1] * each;
    for (int t = 0; t < text_lengths[row]; t++) {
        const int64_t at = p->offset + text[row][t] * width;
        cr_expect_arr_eq(one->g + at, all->g + at, (size_t)width * sizeof *one->g, "%s, word %d", name, text[row][t]);
    }
}

Test(word_input, batch_mates_change_nothing) {
    static outcome all, one;
    FOR_ALL(f) {
        run(&f, &plain, &all);
        for (int row = 0; row < B; row++) {
            const layout alone = {"alone", row, N, L, text_lengths[row], 0, 1};
            run(&f, &alone, &one);
            cr_expect_arr_eq(one.state[row], all.state[row], sizeof one.state[row], "%s %d, row %d", encoders[i / 2],
                             i % 2, row);
            expect_own(&f, "encoder.embedding.weight", row, 1, &one, &all);
            expect_own(&f, "encoder.letters.embedding.weight", row, L, &one, &all);
            free(one.g);
        }
        free(all.g);
    }
}

Test(word_input, the_same_bits_at_every_thread_count) {
    static outcome want, got;
    FOR_ALL(f) {
        for (int threads = 1; threads <= 4; threads++) {
            rv_set_threads(threads);
            run(&f, &plain, threads == 1 ? &want : &got);
            if (threads == 1) continue;
            cr_expect_arr_eq(got.state, want.state, sizeof want.state);
            cr_expect_arr_eq(got.g, want.g, (size_t)f.ps->size * sizeof *want.g, "%s, %d threads", encoders[i / 2],
                             threads);
            free(got.g);
        }
        free(want.g);
    }
}

/* ---- the encoder that is none */

Test(word_input, encoder_none) {
    fixture f = open_encoder("none", RV_LETTER_NET_CNN);
    data d;
    rv_memory m;
    lay_out(&plain, &d);
    cr_assert(f.c.kind->forward(f.tape, f.e, &d.s, &m));
    cr_expect(m.size == D + 4 + 3 && m.B == B && m.S == T && m.lengths == d.lengths && m.finals.n == 0);
    cr_expect(!m.last && !m.summary && !m.reverse);
    cr_expect_eq(f.c.kind->positions(&f.c), INT64_MAX); /* it has none, whatever the configuration says */
    const rv_tensor *table = &rv_params_find(f.ps, "encoder.embedding.weight")->t,
                    *shape = &rv_params_find(f.ps, "encoder.shape.weight")->t;
    for (int b = 0; b < B; b++)
        for (int t = 0; t < text_lengths[b]; t++) {
            const rv_real *x = m.states->x + (b * T + t) * m.size;
            cr_expect_arr_eq(x, table->x + text[b][t] * D, D * sizeof *x);
            cr_expect_arr_eq(x + D + 4, shape->x + text[b][t] % SHAPES * 3, 3 * sizeof *x);
        }
    /* A head takes the last valid position. */
    rv_params *ps = rv_params_create();
    const rv_head_config pooled = {.kind = rv_head_find("class"), .output_size = 2, .init = some};
    rv_head *head = rv_head_create(ps, &pooled, m.size, NULL);
    cr_assert_eq(rv_params_materialise(ps, 1), RV_OK);
    rv_pooled last;
    cr_assert(rv_head_pool(f.tape, head, &m, &last));
    for (int b = 0; b < B; b++)
        cr_expect_arr_eq(last.y->x + b * m.size, m.states->x + (b * T + text_lengths[b] - 1) * m.size,
                         (size_t)m.size * sizeof *last.y->x);
    rv_head_destroy(head);
    rv_params_destroy(ps);
    close_encoder(&f);
    /* A decoder's summary is the mean of what is valid. */
    rv_encoder_config c = encoder_of("none", RV_LETTER_NET_NONE);
    c.input.shapes = 0;
    c.summarise = true;
    f = (fixture){.c = c, .ps = rv_params_create(), .tape = rv_tape_create()};
    f.e = c.kind->create(f.ps, &c, NULL);
    cr_assert(f.e && rv_params_materialise(f.ps, 5) == RV_OK && f.ps->n == 1);
    cr_assert(c.kind->forward(f.tape, f.e, &d.s, &m) && m.size == D);
    for (int k = 0; k < D; k++)
        cr_expect_float_eq((double)m.summary->x[1 * D + k],
                           ((double)m.states->x[T * D + k] + (double)m.states->x[(T + 1) * D + k]) / 2, 1e-6);
    close_encoder(&f);
}

/* In training the joined input is dropped once, and the letters' embeddings by themselves. */
Test(word_input, dropout) {
    for (int letters = 0; letters < 2; letters++) {
        rv_encoder_config c = encoder_of("none", RV_LETTER_NET_CNN);
        *(letters ? &c.input.letters.dropout : &c.input.dropout) = 0.5;
        fixture f = {.c = c, .ps = rv_params_create(), .tape = rv_tape_create()};
        f.e = c.kind->create(f.ps, &c, NULL);
        cr_assert(f.e && rv_params_materialise(f.ps, 5) == RV_OK);
        data d;
        rv_memory m, dropped;
        lay_out(&plain, &d);
        cr_assert(c.kind->forward(f.tape, f.e, &d.s, &m));
        rv_tape_set_training(f.tape, true);
        cr_assert(c.kind->forward(f.tape, f.e, &d.s, &dropped));
        int zeros = 0, other = 0;
        for (int64_t k = 0; k < rv_numel(m.states); k++) {
            const rv_real x = m.states->x[k], y = dropped.states->x[k];
            const bool of_letters = k % m.size >= D && k % m.size < D + 4;
            zeros += y == 0;
            other += y != x;
            cr_expect(letters ? of_letters || y == x : y == 0 || y == 2 * x, "element %lld", (long long)k);
        }
        cr_expect(letters ? zeros == 0 && other > 0 : zeros > rv_numel(m.states) / 4, "%d zeros, %d others", zeros,
                  other);
        close_encoder(&f);
    }
}

/* ---- work: once for each letter of each different word */

Test(word_input, work) {
    FOR_ALL(f) {
        data d;
        rv_memory m;
        lay_out(&plain, &d);
        double letters = 0, first = 0, want = 0;
        for (int w = 0; w < N; w++) letters += word_length[w];
        const bool cnn = i % 2;
        for (int k = 0; k < f.ps->n; k++) {
            rv_param *p = f.ps->p[k];
            if (!strstr(p->name, "letters")) continue;
            cr_expect_eq(p->times, strstr(p->name, "embedding") ? 1 : RV_LETTERS_PER_WORD, "%s", p->name);
            if (strstr(p->name, "embedding")) cr_expect_eq(p->use, RV_USE_LOOK_UP);
            want += rv_param_flops(p, B * T, B * T) / p->times * letters / (B * T);
            if (strstr(p->name, "weight_hh")) /* back, the first step is that of the two longest words */
                first += 2. * (strstr(p->name, "reverse") ? 2 : N) * (double)rv_numel(&p->t);
            if (strstr(p->name, "weight_ih")) first -= 2. * (N * L - letters) * (double)rv_numel(&p->t);
        }
        if (i >= 2) continue; /* the encoder's own work is counted elsewhere */
        rv_flops_counted(true);
        cr_assert(f.c.kind->forward(f.tape, f.e, &d.s, &m));
        const double got = rv_flops_counted(true);
        /* the recurrence spares its first states, zeros, and multiplies the padding of its inputs */
        cr_expect_float_eq(got, cnn ? want : want - first, 1e-6, "%d: %.0f counted, %.0f said", i, got, want);
    }
}

/* ---- errors */

static const char *refusal(const rv_input_config *c) {
    rv_params *ps = rv_params_create();
    cr_expect_null(rv_input_create(ps, c, false, NULL, "part"));
    rv_params_destroy(ps);
    return rv_error_message();
}

Test(word_input, what_is_refused_at_creation) {
    rv_input_config c = encoder_of("none", RV_LETTER_NET_LSTM).input;
    c.letters.size = 0;
    cr_expect(strstr(refusal(&c), "part.letters: 60 letters"), "%s", rv_error_message());
    c = encoder_of("none", RV_LETTER_NET_NONE).input;
    c.shape_size = 0;
    cr_expect(strstr(refusal(&c), "6 shapes with embeddings of width 0"), "%s", rv_error_message());
    c = (rv_input_config){.numbers = 2, .size = 3, .shapes = 2, .shape_size = 3};
    cr_expect(strstr(refusal(&c), "it reads numbers"), "%s", rv_error_message());
}

Test(word_input, what_is_refused_in_a_batch) {
    static const char *const says[] = {"the batch has none",       "word 0 has 0 of them", "word 0 has 7 of them",
                                       "letter 1 of word 3 is 60", "word 8 at position 4", "id 6 at position 2"};
    for (int k = 0; k < 6; k++) {
        fixture f = open_encoder("none", RV_LETTER_NET_CNN);
        data d;
        rv_memory m;
        lay_out(&plain, &d);
        if (k == 0) d.s.words = NULL;
        if (k == 1) d.word_lengths[0] = 0;
        if (k == 2) d.word_lengths[0] = L + 1;
        if (k == 3) d.letters[3 * L + 1] = MAX_N * L;
        if (k == 4) d.which[4] = N;
        if (k == 5) d.shape[2] = SHAPES;
        cr_expect_not(f.c.kind->forward(f.tape, f.e, &d.s, &m));
        cr_expect_neq(rv_tape_status(f.tape), RV_OK);
        cr_expect(strstr(rv_error_message(), says[k]), "%d: %s", k, rv_error_message());
        close_encoder(&f);
    }
}

/* Heads that tell a tag for each word: a softmax for each alone, or a CRF over all, of words or of pieces. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "ravel.h"

enum { B = 5, S = 7, V = 13, K = 4, D = 12, PATHS = 1 << (2 * S) };
static const double tolerance = sizeof(rv_real) == 8 ? 1e-11 : 2e-5;

static const struct {
    const char *encoder;
    bool crf, pieces, banned;
} kinds[] = {
    {"rnn", false, false, false},        {"rnn", true, false, false},       {"rnn", true, true, false},
    {"rnn", true, false, true},          {"none", true, false, true},       {"none", false, true, false},
    {"transformer", false, true, false}, {"transformer", true, true, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Of label 3 none may follow 0; none begins with 2, or ends with 1. */
static const uint8_t follows[K * K] = {1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, first[K] = {1, 1, 0, 1},
                                 last[K] = {1, 0, 1, 1};

static rv_model_config tagger(int i) {
    const rv_init some = {.kind = RV_INIT_UNIFORM, .a = 0.4};
    rv_model_config c = {
        .encoder = {.kind = rv_encoder_find(kinds[i].encoder),
                    .input = {.vocab_size = V,
                              .size = D,
                              .init = {.kind = RV_INIT_NORMAL, .a = 0.5},
                              .position = RV_POSITION_SINUSOIDAL,
                              .max_length = 4 * S},
                    .rnn = rv_rnn_defaults(RV_CELL_GRU),
                    .transformer = rv_transformer_defaults()},
        .head = {.kind = rv_head_find("tags"),
                 .output_size = K,
                 .bias = true,
                 .init = some,
                 .bias_init = some,
                 .crf = kinds[i].crf},
    };
    if (kinds[i].banned) c.head.allowed = (rv_crf_allowed){follows, first, last};
    rv_encoder_config *e = &c.encoder;
    e->rnn.hidden_size = D / 2;
    e->rnn.bidirectional = true;
    e->transformer.num_layers = e->transformer.num_heads = 2;
    e->transformer.hidden_size = D;
    e->transformer.ff_size = 2 * D;
    e->transformer.activation = RV_ACT_GELU; /* smooth: the Taylor test meets no kink */
    return c;
}

/* Rows of tokens; their words are the tokens, or those at even positions. */
typedef struct {
    rv_params *ps;
    rv_model *m;
    rv_tape *tape;
    int64_t T;
    int32_t ids[B * S], tokens[B], at[B * S], words[B], tag[B * S];
    int64_t all; /* words */
} fixture;

static bool may(const rv_crf_allowed *a, int from, int to) {
    if (from < 0) return !a->start || a->start[to];
    if (to < 0) return !a->stop || a->stop[from];
    return !a->transition || a->transition[from * K + to];
}

static void draw_tags(fixture *f, const rv_crf_allowed *a, rv_rng *rng) {
    for (int b = 0; b < B; b++)
        for (int t = 0; t < f->T; t++) {
            int32_t *to = &f->tag[b * f->T + t];
            const int before = t ? to[-1] : -1;
            do *to = (int32_t)rv_rng_below(rng, K);
            while (!may(a, before, *to) || (t + 1 == f->words[b] && !may(a, *to, -1)));
            if (t >= f->words[b]) *to = RV_IGNORE;
        }
}

static fixture open_model(int i) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create(), .tokens = {7, 1, 4, 6, 2}};
    rv_model_config c = tagger(i);
    f.m = rv_model_create(f.ps, &c);
    cr_assert(f.m, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(f.ps, 7), RV_OK);
    rv_rng rng = rv_rng_make(1, "ids", 0);
    for (int64_t k = 0; k < f.ps->size; k++) f.ps->x[k] += (rv_real)(0.1 * rv_rng_normal(&rng)); /* transitions, too */
    for (int k = 0; k < B * S; k++) f.ids[k] = (int32_t)rv_rng_below(&rng, V);
    f.T = kinds[i].pieces ? (S + 1) / 2 : S;
    for (int b = 0; b < B; b++) {
        f.words[b] = kinds[i].pieces ? (f.tokens[b] + 1) / 2 : f.tokens[b];
        f.all += f.words[b];
        for (int t = 0; t < f.T; t++) f.at[b * f.T + t] = t < f.words[b] ? 2 * t : 0;
    }
    draw_tags(&f, &c.head.allowed, &rng);
    return f;
}

static void close_model(fixture *f) {
    rv_tape_destroy(f->tape);
    rv_model_destroy(f->m);
    rv_params_destroy(f->ps);
}

static rv_batch whole(const fixture *f) {
    return (rv_batch){.source = {.B = B, .T = S, .ids = f->ids, .lengths = f->tokens},
                      .B = B,
                      .T = f->T,
                      .out = f->tag,
                      .at = f->T < S ? f->at : NULL,
                      .lengths = f->words};
}

static rv_tensor *loss_of(rv_tape *tape, void *arg) {
    const rv_batch b = whole(arg);
    return rv_model_loss(tape, ((fixture *)arg)->m, &b, NULL, 0);
}

static const rv_real *param(const fixture *f, const char *name) {
    const rv_param *p = rv_params_find(f->ps, name);
    return p ? p->t.x : NULL;
}

Test(tags, of_zero_parameters_each_tag_is_as_probable) {
    for (int i = 0; i < KINDS; i++) {
        if (kinds[i].banned) continue;
        fixture f = open_model(i);
        memset(f.ps->x, 0, (size_t)f.ps->size * sizeof *f.ps->x);
        const rv_batch b = whole(&f);
        rv_row_score row[B];
        cr_expect_float_eq((double)rv_model_loss(f.tape, f.m, &b, NULL, 0)->x[0], log(K), tolerance, "kind %d", i);
        cr_assert(rv_model_score(f.tape, f.m, &b, NULL, row, NULL, NULL), "%s", rv_error_message());
        for (int k = 0; k < B; k++) {
            cr_expect_float_eq(row[k].nats, f.words[k] * log(K), tolerance, "kind %d, row %d", i, k);
            cr_expect_eq(row[k].tokens, f.words[k]);
        }
        close_model(&f);
    }
}

/* ---- against all paths of a row, one by one */

typedef struct {
    double log_z, gold, best;
    int32_t path[S];
} enumerated;

static double path_score(const fixture *f, int i, const rv_real *z, const int32_t *y, int64_t n) {
    const rv_crf_allowed allowed = tagger(i).head.allowed;
    const rv_real *start = param(f, "head.start"), *stop = param(f, "head.stop"), *step = param(f, "head.transition");
    double s = 0;
    cr_assert_eq(start && stop && step, kinds[i].crf);
    for (int64_t t = 0; t < n; t++) s += (double)z[t * K + y[t]];
    if (!start) return s;
    for (int64_t t = 0; t <= n; t++)
        if (!may(&allowed, t ? y[t - 1] : -1, t < n ? y[t] : -1)) return -INFINITY;
    s += (double)start[y[0]] + (double)stop[y[n - 1]];
    for (int64_t t = 1; t < n; t++) s += (double)step[y[t - 1] * K + y[t]];
    return s;
}

static enumerated enumerate(const fixture *f, int i, const rv_real *z, int row) {
    const int64_t n = f->words[row];
    enumerated e = {.best = -INFINITY, .gold = path_score(f, i, z, f->tag + row * f->T, n)};
    double sum = 0;
    for (int64_t code = 0; code < (int64_t)1 << (2 * n); code++) {
        int32_t y[S];
        for (int64_t t = 0; t < n; t++) y[t] = (int32_t)(code >> (2 * t) & 3);
        const double s = path_score(f, i, z, y, n);
        sum += exp(s);
        if (s > e.best) e.best = s, memcpy(e.path, y, sizeof y);
    }
    e.log_z = log(sum);
    return e;
}

Test(tags, score_and_loss_are_those_of_all_paths) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        const rv_batch b = whole(&f);
        rv_row_score row[B];
        const double *nats;
        const int32_t *best;
        rv_chain c;
        cr_assert(rv_model_score(f.tape, f.m, &b, NULL, row, &nats, &best), "%s", rv_error_message());
        cr_assert(rv_model_chain(f.tape, f.m, &b, &c), "%s", rv_error_message());
        cr_assert(c.B == B && c.T == f.T && c.K == K && c.order == 1);
        double all = 0;
        for (int k = 0; k < B; k++) {
            const enumerated e = enumerate(&f, i, c.emission + k * f.T * K, k);
            int64_t correct = 0;
            cr_expect_float_eq(row[k].nats, e.log_z - e.gold, tolerance, "kind %d, row %d: %g, not %g", i, k,
                               row[k].nats, e.log_z - e.gold);
            for (int t = 0; t < f.words[k]; t++) {
                cr_expect_eq(best[k * f.T + t], e.path[t], "kind %d, row %d, word %d", i, k, t);
                correct += e.path[t] == f.tag[k * f.T + t];
            }
            cr_expect(row[k].tokens == f.words[k] && row[k].correct == correct, "kind %d, row %d", i, k);
            all += e.log_z - e.gold;
        }
        const rv_tensor *loss = rv_model_loss(f.tape, f.m, &b, NULL, 0);
        cr_expect_float_eq((double)loss->x[0], all / (double)f.all, tolerance, "kind %d", i);
        close_model(&f);
    }
}

/* Each word's is that of its tag, and a share of what all tags have. */
Test(tags, smoothed_loss_of_a_softmax) {
    fixture f = open_model(0);
    const rv_batch b = whole(&f);
    rv_chain c;
    cr_assert(rv_model_chain(f.tape, f.m, &b, &c));
    double sum = 0;
    for (int k = 0; k < B; k++)
        for (int t = 0; t < f.words[k]; t++) {
            const rv_real *z = c.emission + (k * f.T + t) * K;
            double total = 0, mean = 0;
            for (int v = 0; v < K; v++) total += exp((double)z[v]), mean += (double)z[v] / K;
            sum += log(total) - 0.9 * (double)z[f.tag[k * f.T + t]] - 0.1 * mean;
        }
    cr_expect_float_eq((double)rv_model_loss(f.tape, f.m, &b, NULL, 0.1)->x[0], sum / (double)f.all, tolerance);
    close_model(&f);
}

/* What is told of a word is told of its own piece. */
Test(tags, of_pieces_the_named_positions_are_read) {
    for (int i = 0; i < KINDS; i++) {
        if (!kinds[i].pieces) continue;
        fixture f = open_model(i);
        const rv_batch some = whole(&f);
        rv_batch every = some;
        rv_chain of_words, of_tokens;
        every.T = S;
        every.at = NULL;
        every.lengths = f.tokens;
        cr_assert(rv_model_chain(f.tape, f.m, &some, &of_words) && rv_model_chain(f.tape, f.m, &every, &of_tokens));
        for (int b = 0; b < B; b++)
            for (int t = 0; t < f.words[b]; t++)
                cr_expect_arr_eq(of_words.emission + (b * f.T + t) * K, of_tokens.emission + (b * S + 2 * t) * K,
                                 K * sizeof(rv_real), "kind %d, row %d, word %d", i, b, t);
        close_model(&f);
    }
}

Test(tags, gradients_of_whole_models) {
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

/* ---- the same bits */

/* Row b alone, padded by `more` tokens and words of `junk`: its score, the best tags, and gradients (malloc'd). */
static rv_row_score alone(fixture *f, int b, int more, int32_t junk, int32_t best[S], rv_real **grads) {
    const int64_t tokens = f->tokens[b] + more, words = f->words[b] + more;
    int32_t ids[2 * S], at[2 * S], tag[2 * S];
    for (int t = 0; t < tokens; t++) ids[t] = t < f->tokens[b] ? f->ids[b * S + t] : junk;
    for (int t = 0; t < words; t++) {
        const bool there = t < f->words[b];
        at[t] = there ? f->at[b * f->T + t] : 0;
        tag[t] = there ? f->tag[b * f->T + t] : RV_IGNORE;
    }
    const rv_batch one = {.source = {.B = 1, .T = tokens, .ids = ids, .lengths = f->tokens + b},
                          .B = 1,
                          .T = words,
                          .out = tag,
                          .at = f->T < S ? at : NULL,
                          .lengths = f->words + b};
    const int32_t *told;
    rv_row_score row;
    rv_tape_reset(f->tape);
    rv_params_zero_grad(f->ps);
    cr_assert(rv_model_score(f->tape, f->m, &one, NULL, &row, NULL, &told), "%s", rv_error_message());
    memcpy(best, told, (size_t)f->words[b] * sizeof *best);
    cr_assert_eq(rv_backward(f->tape, rv_model_loss(f->tape, f->m, &one, NULL, 0)), RV_OK, "%s", rv_error_message());
    rv_params_finish_grad(f->ps);
    *grads = malloc((size_t)f->ps->size * sizeof **grads);
    memcpy(*grads, f->ps->g, (size_t)f->ps->size * sizeof **grads);
    return row;
}

Test(tags, padding_and_batch_mates_change_nothing) {
    for (int i = 0; i < KINDS; i++) {
        fixture f = open_model(i);
        const rv_batch all = whole(&f);
        rv_row_score rows[B];
        const int32_t *best;
        cr_assert(rv_model_score(f.tape, f.m, &all, NULL, rows, NULL, &best));
        int32_t together[B * S];
        memcpy(together, best, (size_t)(B * f.T) * sizeof *best);
        for (int k = 0; k < B; k++) {
            int32_t a[S], b[S];
            rv_real *exact, *padded;
            const rv_row_score one = alone(&f, k, 0, 0, a, &exact), more = alone(&f, k, 6, 3, b, &padded);
            const size_t n = (size_t)f.words[k] * sizeof *a;
            cr_expect(one.nats == rows[k].nats && !memcmp(a, together + k * f.T, n), "kind %d, row %d: batch-mates", i,
                      k);
            cr_expect(more.nats == one.nats && !memcmp(b, a, n), "kind %d, row %d: padding", i, k);
            cr_expect_arr_eq(padded, exact, (size_t)f.ps->size * sizeof *exact,
                             "kind %d, row %d: padding changes gradients", i, k);
            free(exact);
            free(padded);
        }
        f.ids[0] = (f.ids[0] + 1) % V; /* and what is not padding does change it */
        rv_row_score now[B];
        rv_tape_reset(f.tape);
        cr_assert(rv_model_score(f.tape, f.m, &all, NULL, now, NULL, NULL));
        for (int k = 0; k < B; k++) cr_expect_eq(now[k].nats != rows[k].nats, k == 0, "kind %d, row %d", i, k);
        close_model(&f);
    }
}

Test(tags, the_same_bits_at_every_thread_count) {
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

/* ---- what is refused */

Test(tags, a_tag_that_there_is_not_is_told) {
    for (int i = 0; i < 2; i++) { /* without, and with a CRF */
        fixture f = open_model(i);
        const rv_batch b = whole(&f);
        rv_row_score row[B];
        f.tag[2 * f.T] = K;
        cr_expect_not(rv_model_score(f.tape, f.m, &b, NULL, row, NULL, NULL));
        cr_expect_eq(rv_tape_status(f.tape), RV_EDATA);
        rv_tape_reset(f.tape);
        cr_expect_null(rv_model_loss(f.tape, f.m, &b, NULL, 0));
        cr_expect_eq(rv_tape_status(f.tape), RV_EDATA, "kind %d: %s", i, rv_error_message());
        close_model(&f);
    }
}

Test(tags, a_tagging_that_is_banned_is_told) {
    fixture f = open_model(3);
    const rv_batch b = whole(&f);
    f.tag[0] = 0, f.tag[1] = 3;
    cr_expect_null(rv_model_loss(f.tape, f.m, &b, NULL, 0));
    cr_expect_eq(rv_tape_status(f.tape), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "gold label 3 of row 0 at position 1: it may not follow the label before"),
              "%s", rv_error_message());
    close_model(&f);
}

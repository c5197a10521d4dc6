/* The HMM of tags: counts and probabilities by hand, unknown words, all paths by brute force, Baum-Welch. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ravel.h"

static const double tolerance = sizeof(rv_real) == 8 ? 1e-12 : 2e-6;
static const double cannot = -INFINITY;

/* ---- a corpus: five sentences of words and tags */

enum { DET, NOUN, VERB, K };
enum { UNK, THE, DOG, BARKS, WALK, V };
enum { B = 5, T = 3, LETTERS = 8 };
static const int32_t ids[B * T] = {THE, DOG, BARKS, THE, WALK, BARKS, DOG, THE, WALK, WALK, UNK, UNK, THE, DOG, UNK};
static const int32_t tags[B * T] = {DET, NOUN, VERB, DET, NOUN, VERB, NOUN, DET, NOUN, VERB, -1, -1, DET, NOUN, -1};
static const int32_t lengths[B] = {3, 3, 3, 1, 2};

static rv_batch corpus(void) {
    return (rv_batch){.source = {.B = B, .T = T, .ids = ids, .lengths = lengths}, .B = B, .T = T, .out = tags};
}

/* Words as letters: their bytes. Capitals have shape 1. */
typedef struct {
    int32_t letters[16 * LETTERS], lengths[16], shape[16];
    rv_words words;
} spelling;
static void spell(spelling *s, int n, const char *const *text, const int32_t *which) {
    for (int i = 0; i < n; i++) {
        s->lengths[i] = (int32_t)strlen(text[i]);
        s->shape[i] = text[i][0] >= 'A' && text[i][0] <= 'Z';
        for (int k = 0; k < s->lengths[i]; k++) s->letters[i * LETTERS + k] = text[i][k];
    }
    s->words = (rv_words){n, LETTERS, s->letters, s->lengths, s->shape, which};
}

typedef struct {
    rv_params *ps;
    rv_hmm *h;
    rv_tape *tape;
} model;
static model open_config(const rv_hmm_config *c) {
    model m = {.ps = rv_params_create(), .tape = rv_tape_create()};
    m.h = rv_hmm_create(m.ps, c);
    cr_assert(m.h && rv_params_materialise(m.ps, 1) == RV_OK, "%s", rv_error_message());
    return m;
}
/* Of some order, that has counted the corpus. */
static model open_model(int order) {
    model m = open_config(&(rv_hmm_config){.words = V, .tags = K, .order = order, .rare = 10, .unk = UNK});
    const rv_batch b = corpus();
    cr_assert_eq(rv_hmm_count(m.h, &b), RV_OK);
    return m;
}
static void close_model(model *m) {
    rv_hmm_destroy(m->h);
    rv_params_destroy(m->ps);
    rv_tape_destroy(m->tape);
}
static rv_chain chain_of(model *m, const rv_sequences *s) {
    rv_chain c;
    cr_assert(rv_hmm_chain(m->tape, m->h, s, &c), "%s", rv_error_message());
    return c;
}

static bool score_of(model *m, const rv_batch *b, rv_row_score *row, double *nats, int32_t *best) {
    rv_chain c;
    return rv_hmm_chain(m->tape, m->h, &b->source, &c) && rv_head_score_chain(m->tape, &c, b, row, nats, best);
}

/* ---- counts */

static void expect_counts(const model *m, const char *name, int n, const double *want) {
    const rv_param *p = rv_params_find(m->ps, name);
    cr_assert(p && rv_numel(&p->t) == n, "%s", name);
    for (int i = 0; i < n; i++) cr_expect_eq((double)p->t.x[i], want[i], "%s[%d]", name, i);
}

Test(hmm, counts) {
    model m = open_model(2);
    expect_counts(&m, "hmm.emission", V * K, (double[]){0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 2, 1});
    expect_counts(&m, "hmm.start", K, (double[]){3, 1, 1});
    expect_counts(&m, "hmm.stop", K, (double[]){0, 2, 3});
    expect_counts(&m, "hmm.transition", K * K, (double[]){0, 4, 0, 1, 0, 2, 0, 0, 0});
    expect_counts(&m, "hmm.start2", K * K, (double[]){0, 3, 0, 1, 0, 0, 0, 0, 0});
    double after[K * K * K] = {0};
    after[(DET * K + NOUN) * K + VERB] = 2;
    after[(NOUN * K + DET) * K + NOUN] = 1;
    expect_counts(&m, "hmm.transition2", K * K * K, after);
    cr_expect_eq(rv_params_frozen(m.ps), rv_params_count(m.ps), "counts have no gradient");
    close_model(&m);
}

Test(hmm, declares_what_its_order_needs) {
    for (int order = 0; order < 3; order++) {
        model m = open_model(order);
        cr_expect_eq(m.ps->n, ((int[]){1, 4, 6})[order]);
        close_model(&m);
    }
}

Test(hmm, a_word_without_a_tag_is_an_error_and_counts_nothing) {
    for (int32_t bad = -1; bad <= K; bad += K + 1) {
        model m = open_model(1);
        int32_t out[B * T];
        memcpy(out, tags, sizeof out);
        out[7] = bad;
        rv_batch b = corpus();
        b.out = out;
        cr_expect_eq(rv_hmm_count(m.h, &b), RV_EDATA);
        cr_expect(strstr(rv_error_message(), "word 1 in row 2"), "%s", rv_error_message());
        expect_counts(&m, "hmm.start", K, (double[]){3, 1, 1});
        cr_expect_null(rv_hmm_loss(m.tape, m.h, &b));
        close_model(&m);
    }
}

/* ---- probabilities */

/* Votes beside the one of each: see the corpus. A step from the start to a noun, say, is seen but once, and so better
 * foretold by how frequent nouns are. */
Test(hmm, weights_of_interpolation) {
    model m = open_model(2);
    double two[2], three[3];
    cr_assert_eq(rv_hmm_weights(m.h, two, three), RV_OK);
    for (int i = 0; i < 2; i++) cr_expect_float_eq(two[i], ((double[]){1 + 3, 1 + 9})[i] / 14, 1e-15);
    for (int i = 0; i < 3; i++) cr_expect_float_eq(three[i], ((double[]){1 + 1, 1 + 4, 1 + 2})[i] / 10, 1e-15);
    close_model(&m);
}

/* Of two steps from a tag each is half; without itself neither is to be foretold from it. */
Test(hmm, a_step_does_not_vote_for_itself) {
    model m = open_config(&(rv_hmm_config){.words = V, .tags = K, .order = 1});
    double two[2];
    for (int k = 0; k < K; k++) rv_params_find(m.ps, "hmm.emission")->t.x[THE * K + k] = 10;
    for (int k = 0; k < 2; k++) rv_params_find(m.ps, "hmm.transition")->t.x[DET * K + k] = 1;
    cr_assert_eq(rv_hmm_weights(m.h, two, NULL), RV_OK);
    cr_expect_float_eq(two[1], 1.0 / 4, 1e-15);
    close_model(&m);
}

static void expect_log(rv_real got, double p, const char *what) {
    cr_expect_float_eq((double)got, log(p), tolerance, "%s: %g instead of %g", what, exp((double)got), p);
}

Test(hmm, probabilities) {
    const double N = 12, verb = (3 + 1.0 / 3) / (N + 1), det = (4 + 1.0 / 3) / (N + 1), uni = 4.0 / 14, bi = 10.0 / 14;
    const double end = uni * 5.5 / (N + 1) + bi * 2 / 5;
    for (int order = 1; order <= 2; order++) {
        model m = open_model(order);
        const rv_batch b = corpus();
        const rv_chain c = chain_of(&m, &b.source);
        cr_assert_eq(c.order, order);
        expect_log(c.start[VERB], uni * verb + bi * 1 / 5, "start with a verb");
        expect_log(c.stop[NOUN], end, "end after a noun");
        if (order == 1)
            expect_log(c.transition[NOUN * K + VERB], (1 - end) * (uni * verb + bi * 2 / 3), "noun, verb");
        else {
            expect_log(c.transition[NOUN * K + VERB], (1 - end) * (0.2 * verb + 0.5 * 2 / 3 + 0.3 * 0), "start 2");
            const rv_real *after = c.transition2 + (DET * K + NOUN) * K;
            expect_log(after[VERB], (1 - end) * (0.2 * verb + 0.5 * 2 / 3 + 0.3 * 1), "det, noun, verb");
            /* never a noun after a noun: what follows a noun speaks for it */
            const rv_real *unseen = c.transition2 + (NOUN * K + NOUN) * K;
            expect_log(unseen[VERB], (1 - end) * (0.2 * verb + (0.5 + 0.3) * 2 / 3), "noun, noun, verb");
        }
        /* walk is a verb once, a noun twice, and half a word is like all 12, which have 3 verbs; theta is the deviation
         */
        double sum = 0;
        for (int k = 0; k < K; k++) {
            const double p = ((double[]){4, 5, 3}[k] + 1.0 / 3) / (N + 1);
            sum += (p - 1.0 / 3) * (p - 1.0 / 3);
        }
        const double theta = sqrt(sum / 2), rare = (3 / N + theta * verb) / (1 + theta);
        expect_log(c.emission[(1 * T + 1) * K + VERB], (1 + 0.5 * rare) / 3.5 / verb, "walk, a verb");
        expect_log(c.emission[(0 * T + 0) * K + DET], (4 + 0.5 * (4 / N + theta * det) / (1 + theta)) / 4.5 / det,
                   "the, a determiner");
        close_model(&m);
    }
}

static double exp_sum(const rv_real *x) {
    double sum = 0;
    for (int k = 0; k < K; k++) sum += exp((double)x[k]);
    return sum;
}

Test(hmm, steps_and_the_end_sum_to_one) {
    for (int order = 1; order <= 2; order++)
        for (int counted = 0; counted < 2; counted++) {
            model m = counted ? open_model(order)
                              : open_config(&(rv_hmm_config){.words = V, .tags = K, .order = order, .unk = UNK});
            const rv_batch b = corpus();
            const rv_chain c = chain_of(&m, &b.source);
            cr_expect_float_eq(exp_sum(c.start), 1, 10 * tolerance);
            for (int j = 0; j < K; j++) {
                const double end = exp((double)c.stop[j]);
                cr_expect(end > 0 && end < 1);
                cr_expect_float_eq(exp_sum(c.transition + j * K) + end, 1, 10 * tolerance);
                for (int i = 0; order == 2 && i < K; i++)
                    cr_expect_float_eq(exp_sum(c.transition2 + (i * K + j) * K) + end, 1, 10 * tolerance);
            }
            close_model(&m);
        }
}

/* What tag follows what, for a reader: of order 1 what the chain adds up, of order 2 what one tag says of the next. */
Test(hmm, steps_for_a_reader) {
    enum { N = K + 1 };
    double first[N][N], second[N][N];
    model m = open_model(1), m2 = open_model(2);
    const rv_batch b = corpus();
    const rv_chain c = chain_of(&m, &b.source);
    cr_assert(rv_hmm_steps(m.h, &first[0][0]) == RV_OK && rv_hmm_steps(m2.h, &second[0][0]) == RV_OK);
    for (int i = 0; i < K; i++) {
        cr_expect_float_eq(first[K][i], c.start[i], 10 * tolerance);
        cr_expect_float_eq(first[i][K], c.stop[i], 10 * tolerance);
        for (int k = 0; k < K; k++) cr_expect_float_eq(first[i][k], c.transition[i * K + k], 10 * tolerance);
    }
    cr_expect(isnan(first[K][K]) && isnan(second[K][K]));
    for (int i = 0; i < N * N - 1; i++) cr_expect_eq(first[i / N][i % N], second[i / N][i % N], "%d", i);
    close_model(&m2);
    close_model(&m);
}

Test(hmm, plain_is_relative_frequencies) {
    model m = open_config(&(rv_hmm_config){.words = V, .tags = K, .order = 2, .unk = UNK, .plain = true});
    const rv_batch b = corpus();
    cr_assert_eq(rv_hmm_count(m.h, &b), RV_OK);
    const rv_chain c = chain_of(&m, &b.source);
    expect_log(c.emission[(1 * T + 1) * K + NOUN], 2.0 / 5, "walk");
    expect_log(c.start[DET], 3.0 / 5, "start");
    expect_log(c.stop[NOUN], 2.0 / 5, "stop");
    expect_log(c.transition[DET * K + NOUN], 1, "start, det, noun");
    expect_log(c.transition2[(DET * K + NOUN) * K + VERB], 3.0 / 5, "det, noun, verb");
    cr_expect_eq((double)c.emission[(1 * T + 1) * K + DET], cannot);
    cr_expect_eq((double)c.transition2[(NOUN * K + NOUN) * K + VERB], cannot);
    close_model(&m);
}

/* Counts that come from elsewhere, as a checkpoint's do, are noticed; before there are any all is possible. */
Test(hmm, follows_the_counts) {
    model a = open_model(2), b = open_config(&(rv_hmm_config){.words = V, .tags = K, .order = 2, .rare = 10});
    const rv_batch batch = corpus();
    const rv_tensor *before = rv_hmm_loss(b.tape, b.h, &batch), *want = rv_hmm_loss(a.tape, a.h, &batch);
    cr_assert(before && want);
    cr_expect_float_eq((double)before->x[0], log(3), 10 * tolerance, "nothing counted: all tags are as likely");
    memcpy(b.ps->x, a.ps->x, (size_t)a.ps->size * sizeof *a.ps->x);
    cr_expect_eq(rv_hmm_loss(b.tape, b.h, &batch)->x[0], want->x[0]);
    cr_expect_lt((double)want->x[0], 0.6);
    close_model(&a);
    close_model(&b);
}

/* ---- order 0 */

Test(hmm, order_0_is_the_most_frequent_tag) {
    model m = open_model(0);
    const int32_t word[] = {THE, DOG, BARKS, WALK, UNK}, tag[] = {DET, NOUN, VERB, VERB, NOUN}, five = 5;
    const rv_batch b = {.source = {.B = 1, .T = 5, .ids = word, .lengths = &five}, .B = 1, .T = 5, .out = tag};
    rv_row_score row;
    double nats[5];
    int32_t best[5];
    cr_assert(score_of(&m, &b, &row, nats, best));
    cr_expect_arr_eq(best, ((int32_t[]){DET, NOUN, VERB, NOUN, NOUN}), sizeof best);
    cr_expect(row.tokens == 5 && row.correct == 4);
    double sum = 0;
    for (int t = 0; t < 5; t++) sum += nats[t];
    cr_expect_float_eq(sum, row.nats, 10 * tolerance, "tags that do not depend on each other");
    close_model(&m);
}

/* ---- unknown words */

static const char *const known[] = {"", "walking", "singing", "king", "dog", "log", "Boston", "Wang", "the"};
static const int32_t known_tag[] = {-1, VERB, VERB, NOUN, NOUN, NOUN, NOUN, NOUN, DET};
static const int times[] = {0, 1, 2, 1, 1, 3, 1, 1, 4};
enum { KNOWN = sizeof times / sizeof *times };

static bool ends_like(const char *a, const char *b, int n) {
    const size_t la = strlen(a), lb = strlen(b);
    return (int)la >= n && (int)lb >= n && !memcmp(a + la - n, b + lb - n, (size_t)n);
}

static bool capital(const char *w) { return w[0] >= 'A' && w[0] <= 'Z'; }

/* P(tag | word), from nothing but the lists above: level 0 all rare words, 1 those of its shape, 2 and so on letters.
 */
static void guess(const char *word, int longest, int rare, double shorter, double p[K]) {
    double all[K] = {0}, N = 0, deviation = 0;
    for (int i = 1; i < KNOWN; i++) all[known_tag[i]] += times[i], N += times[i];
    for (int k = 0; k < K; k++) {
        p[k] = (all[k] + 1.0 / K) / (N + 1);
        deviation += (p[k] - 1.0 / K) * (p[k] - 1.0 / K);
    }
    const double theta = sqrt(deviation / (K - 1));
    for (int level = 0; level <= longest + 1; level++) {
        double count[K] = {0}, n = 0;
        for (int i = 1; i < KNOWN; i++)
            if (times[i] <= rare &&
                (!level || (capital(known[i]) == capital(word) && ends_like(known[i], word, level - 1))))
                count[known_tag[i]] += times[i], n += times[i];
        const double weight = shorter > 0 ? shorter / n : theta;
        for (int k = 0; n > 0 && k < K; k++) p[k] = (count[k] / n + weight * p[k]) / (1 + weight);
    }
}

static model open_spelled(spelling *s, int suffix, double shorter, int order) {
    spell(s, KNOWN, known, NULL);
    model m = open_config(&(rv_hmm_config){.words = KNOWN,
                                           .tags = K,
                                           .order = order,
                                           .suffix = suffix,
                                           .rare = 3,
                                           .shorter = shorter,
                                           .vocabulary = &s->words});
    const int32_t one = 1;
    for (int32_t i = 1; i < KNOWN; i++)
        for (int n = 0; n < times[i]; n++) {
            const rv_batch b = {
                .source = {.B = 1, .T = 1, .ids = &i, .lengths = &one}, .B = 1, .T = 1, .out = known_tag + i};
            cr_assert_eq(rv_hmm_count(m.h, &b), RV_OK);
        }
    return m;
}

Test(hmm, unknown_words_by_their_suffix) {
    static const char *const unknown[] = {"jumping", "frog", "Fang", "Xx", "g", "zebra", "dog"};
    static const int32_t which[] = {3, 0, 1, 2, 4, 5, 6}, n = 7;
    static const int32_t word[7] = {0};
    for (int i = 0; i < 8; i++) {
        const int suffix = (int[]){0, 1, 3, 10}[i / 2];
        const double shorter = i % 2 ? 2.5 : 0;
        spelling vocabulary, here;
        model m = open_spelled(&vocabulary, suffix, shorter, 0);
        spell(&here, n, unknown, which);
        const rv_sequences s = {.B = 1, .T = n, .ids = word, .lengths = &n, .words = &here.words};
        const rv_chain c = chain_of(&m, &s);
        for (int t = 0; t < n; t++) {
            double p[K];
            guess(unknown[which[t]], suffix ? suffix : -1, 3, shorter, p);
            for (int k = 0; k < K; k++)
                cr_expect_float_eq(exp((double)c.emission[t * K + k]), p[k], tolerance, "%s, suffix %d, tag %d",
                                   unknown[which[t]], suffix, k);
        }
        const rv_real *jumping = c.emission + K;
        cr_expect_eq(jumping[VERB] > jumping[NOUN], suffix >= 3, "suffix %d", suffix);
        close_model(&m);
    }
}

/* Without letters, and a tag that a known word never had: possible, as a rare word has it. */
Test(hmm, no_tag_is_ruled_out) {
    spelling vocabulary;
    model m = open_spelled(&vocabulary, 3, 0, 0);
    const int32_t word[] = {0, 8}, two = 2;
    const rv_sequences s = {.B = 1, .T = 2, .ids = word, .lengths = &two};
    const rv_chain c = chain_of(&m, &s);
    double p[K];
    guess("", -1, 3, 0, p);
    for (int k = 0; k < K; k++) cr_expect_float_eq(exp((double)c.emission[k]), p[k], tolerance);
    guess("the", 3, 3, 0, p);
    expect_log(c.emission[K + VERB], 0.5 * p[VERB] / 4.5, "the, a verb");
    close_model(&m);
}

/* ---- all paths */

typedef struct {
    double log_z, best_score, marginal[T][K];
    int32_t best[T];
} enumerated;
/* Row i of a chain, path by path. */
static enumerated enumerate(const rv_chain *c, int i) {
    enumerated e = {.best_score = cannot};
    int n = 1;
    const int len = c->lengths[i];
    for (int t = 0; t < len; t++) n *= K;
    double total = 0;
    for (int path = 0; path < n; path++) {
        int32_t y[T] = {0};
        for (int t = len - 1, rest = path; t >= 0; t--, rest /= K) y[t] = rest % K;
        double s = (c->start ? (double)c->start[y[0]] : 0) + (c->stop ? (double)c->stop[y[len - 1]] : 0);
        for (int t = 0; t < len; t++) s += (double)c->emission[(i * T + t) * K + y[t]];
        for (int t = 1; c->transition && t < len; t++)
            s += t > 1 && c->order == 2 ? (double)c->transition2[(y[t - 2] * K + y[t - 1]) * K + y[t]]
                                        : (double)c->transition[y[t - 1] * K + y[t]];
        total += exp(s);
        for (int t = 0; t < len; t++) e.marginal[t][y[t]] += exp(s);
        if (s > e.best_score) e.best_score = s, memcpy(e.best, y, sizeof y);
    }
    for (int t = 0; t < len; t++)
        for (int k = 0; k < K; k++) e.marginal[t][k] /= total;
    e.log_z = log(total);
    return e;
}

Test(hmm, loss_and_score_by_brute_force) {
    for (int order = 0; order < 3; order++) {
        model m = open_model(order);
        const rv_batch b = corpus();
        const rv_chain c = chain_of(&m, &b.source);
        rv_row_score row[B];
        double nats[B * T], score[B], sum = 0;
        int32_t best[B * T];
        cr_assert(score_of(&m, &b, row, nats, best));
        rv_chain_score(&c, tags, score);
        rv_real *p = rv_tape_alloc(m.tape, (size_t)(B * T * c.K) * sizeof *p);
        rv_chain_marginals(&c, rv_tape_alloc(m.tape, rv_chain_room(&c)), p, NULL);
        for (int i = 0; i < B; i++) {
            const enumerated e = enumerate(&c, i);
            cr_expect_float_eq(row[i].nats, e.log_z - score[i], 20 * tolerance, "order %d, row %d", order, i);
            int right = 0;
            for (int t = 0; t < T; t++) {
                const bool within = t < lengths[i];
                cr_expect_eq(best[i * T + t], within ? e.best[t] : -1, "order %d, row %d, word %d", order, i, t);
                const double want = within ? e.marginal[t][tags[i * T + t]] : 0;
                cr_expect_float_eq((double)p[(i * T + t) * c.K + (within ? tags[i * T + t] : 0)], want, 20 * tolerance,
                                   "order %d, row %d, word %d", order, i, t);
                right += within && e.best[t] == tags[i * T + t];
            }
            cr_expect(row[i].tokens == lengths[i] && row[i].correct == right);
            sum += row[i].nats;
        }
        const rv_tensor *loss = rv_hmm_loss(m.tape, m.h, &b);
        cr_expect(loss->ndim == 0 && !loss->needs_grad);
        cr_expect_float_eq((double)loss->x[0], sum / 12, 20 * tolerance, "order %d", order);
        close_model(&m);
    }
}

/* ---- larger: threads, Baum-Welch */

enum { MANY = 37, LONG = 23, WORDS = 50, TAGS = 6 };
static void draw(int32_t *word, int32_t *tag, int32_t *len) {
    rv_rng rng = rv_rng_make(3, "hmm", 0);
    for (int i = 0; i < MANY * LONG; i++) {
        word[i] = (int32_t)rv_rng_below(&rng, WORDS);
        tag[i] = (int32_t)((uint64_t)word[i] + rv_rng_below(&rng, 3)) % TAGS;
    }
    for (int i = 0; i < MANY; i++) len[i] = 1 + (int32_t)rv_rng_below(&rng, LONG);
}

Test(hmm, the_same_bits_at_every_thread_count) {
    int32_t word[MANY * LONG], tag[MANY * LONG], len[MANY];
    draw(word, tag, len);
    const rv_batch b = {
        .source = {.B = MANY, .T = LONG, .ids = word, .lengths = len}, .B = MANY, .T = LONG, .out = tag};
    for (int order = 0; order < 3; order++) {
        static double nats[5][MANY * LONG];
        static int32_t best[5][MANY * LONG];
        rv_real loss[5];
        const int before = rv_threads();
        for (int n = 1; n <= 4; n++) {
            rv_set_threads(n);
            model m = open_config(&(rv_hmm_config){.words = WORDS, .tags = TAGS, .order = order, .rare = 10});
            rv_row_score row[MANY];
            cr_assert(rv_hmm_count(m.h, &b) == RV_OK && score_of(&m, &b, row, nats[n], best[n]));
            loss[n] = rv_hmm_loss(m.tape, m.h, &b)->x[0];
            cr_expect_eq(loss[n], loss[1], "order %d, %d threads", order, n);
            cr_expect_arr_eq(nats[n], nats[1], sizeof nats[n], "order %d, %d threads", order, n);
            cr_expect_arr_eq(best[n], best[1], sizeof best[n], "order %d, %d threads", order, n);
            close_model(&m);
        }
        rv_set_threads(before);
    }
}

/* Counts at random, none of them 0. */
static void scatter(rv_params *ps) {
    rv_rng rng = rv_rng_make(5, "counts", 0);
    for (int i = 0; i < ps->n; i++)
        for (int64_t k = 0; k < rv_numel(&ps->p[i]->t); k++) ps->p[i]->t.x[k] = (rv_real)(0.5 + rv_rng_uniform(&rng));
}

/* What is expected of one pass, path by path. */
Test(hmm, reestimated_counts_by_brute_force) {
    model m = open_config(&(rv_hmm_config){.words = V, .tags = K, .order = 1, .plain = true});
    scatter(m.ps);
    const rv_batch b = corpus();
    const rv_chain c = chain_of(&m, &b.source);
    double emission[V * K] = {0}, start[K] = {0}, stop[K] = {0}, want = 0, got = 0, steps = 0, from_det = 0;
    for (int i = 0; i < B; i++) {
        const enumerated e = enumerate(&c, i);
        want += e.log_z;
        for (int k = 0; k < K; k++) {
            start[k] += e.marginal[0][k];
            stop[k] += e.marginal[lengths[i] - 1][k];
            for (int t = 0; t < lengths[i]; t++) emission[ids[i * T + t] * K + k] += e.marginal[t][k];
        }
        for (int t = 0; t + 1 < lengths[i]; t++) from_det += e.marginal[t][DET];
    }
    cr_assert_eq(rv_hmm_expect(m.h, &b.source, &got), RV_OK);
    rv_hmm_reestimate(m.h);
    cr_expect_float_eq(got, want, 100 * tolerance);
    for (int i = 0; i < V * K; i++)
        cr_expect_float_eq((double)rv_params_find(m.ps, "hmm.emission")->t.x[i], emission[i], 100 * tolerance);
    const rv_real *step = rv_params_find(m.ps, "hmm.transition")->t.x;
    for (int k = 0; k < K; k++) {
        cr_expect_float_eq((double)rv_params_find(m.ps, "hmm.start")->t.x[k], start[k], 100 * tolerance);
        cr_expect_float_eq((double)rv_params_find(m.ps, "hmm.stop")->t.x[k], stop[k], 100 * tolerance);
        steps += (double)step[DET * K + k];
    }
    cr_expect_float_eq(steps, from_det, 100 * tolerance);
    close_model(&m);
}

Test(hmm, the_likelihood_never_falls) {
    int32_t word[MANY * LONG], tag[MANY * LONG], len[MANY];
    draw(word, tag, len);
    const rv_sequences s = {.B = MANY, .T = LONG, .ids = word, .lengths = len};
    model m = open_config(&(rv_hmm_config){.words = WORDS, .tags = TAGS, .order = 1, .plain = true});
    scatter(m.ps);
    double before = 0;
    for (int i = 0; i <= 20; i++) {
        double now = 0;
        cr_assert_eq(rv_hmm_expect(m.h, &s, &now), RV_OK);
        rv_hmm_reestimate(m.h);
        if (i > 0) cr_expect_gt(now, before, "pass %d", i);
        before = now;
    }
    close_model(&m);
}

Test(hmm, what_cannot_be_is_no_start_for_baum_welch) {
    model m = open_config(&(rv_hmm_config){.words = V, .tags = K, .order = 1, .plain = true});
    const rv_batch b = corpus();
    double log_p = 0;
    cr_expect_eq(rv_hmm_expect(m.h, &b.source, &log_p), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "row 0"), "%s", rv_error_message());
    close_model(&m);
}

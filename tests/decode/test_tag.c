/* Telling tags: the same bits in any batch, what measuring says of the same sentences, and sentences in parts. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ravel.h"

enum { SENTENCES = 24, LONGEST = 9, N_BEST = 5, MOST_WORDS = 40 };

#define RNN "encoder: {type: rnn, cell: lstm, num_layers: 1, hidden_size: 6}, embedding_dim: 8, dropout: 0.5"
static const struct {
    const char *model, *tokenizer;
    bool steps; /* taggings are more than their words' tags */
} models[] = {
    {"{" RNN ", letters: {type: lstm, hidden_size: 4}, capitals_dim: 3}", "word", false},
    {"{" RNN ", letters: {type: cnn, hidden_size: 4}, crf: true}", "word, lowercase: true", true},
    {"{encoder: {type: none}, embedding_dim: 8, crf: true}", "word", true},
    {"{encoder: {type: transformer, num_layers: 1, num_heads: 2, hidden_size: 12}, crf: true}", "bpe, vocab_size: 262",
     true},
    {"{hmm: {order: 0}}", "word", false},
    {"{hmm: {order: 1}}", "word", true},
    {"{hmm: {order: 2}}", "word", true},
};
enum { MODELS = sizeof models / sizeof *models, HMM = 4, PIECES = 3 };

typedef struct {
    char folder[64];
    rv_config *config;
    rv_params *ps;
    rv_task *task;
    rv_tape *tape;
    char text[SENTENCES][128];
    rv_text word[SENTENCES][LONGEST];
    rv_sentence_words sentence[SENTENCES];
} fixture;

/* Sentences of 1 to LONGEST words, the shortest among the others; names are tagged. */
static void write_sentences(fixture *f, const char *path) {
    FILE *file = fopen(path, "w");
    cr_assert(file);
    for (int i = 0; i < SENTENCES; i++) {
        const int n = 1 + i * 7 % LONGEST;
        char *to = f->text[i];
        for (int k = 0, in = 0; k < n; k++) {
            const bool name = (i + k * k) % 3 == 0;
            rv_text *w = &f->word[i][k];
            w->bytes = to;
            w->len = (size_t)sprintf(to, "%s%d", name ? "Name" : "w", (i * i + 3 * k) % 11);
            to += w->len + 1;
            fprintf(file, "%s\t%s\n", w->bytes, !name ? "O" : in ? "I-N" : "B-N");
            in = name;
        }
        f->sentence[i] = (rv_sentence_words){n, f->word[i]};
        fputc('\n', file);
    }
    fclose(file);
}

/* All of the training part at once. */
static void count(fixture *f) {
    rv_source *source = rv_task_source(f->task);
    rv_batch b;
    source->kind->next(source, &b);
    cr_assert_eq(b.B, SENTENCES);
    cr_assert_eq(rv_model_count(rv_task_model(f->task), &b), RV_OK, "%s", rv_error_message());
}

static void begin(fixture *f, int model) {
    char path[96], text[1024];
    strcpy(f->folder, "/tmp/test-tag-XXXXXX");
    cr_assert(mkdtemp(f->folder));
    snprintf(path, sizeof path, "%s/t.tsv", f->folder);
    write_sentences(f, path);
    const int n = snprintf(
        text, sizeof text, "name: x\ntask: tagging\ndata: {train: %s, valid: %s}\ntokenizer: {type: %s}\nmodel: %s\n%s",
        path, path, models[model].tokenizer, models[model].model,
        model >= HMM ? "train: {batch: {size: 24}}\n" : "train: {max_steps: 1, optimizer: {type: adam, lr: 1e-3}}\n");
    cr_assert_eq(rv_config_parse("test.yaml", text, (size_t)n, 0, NULL, &f->config), RV_OK, "%s", rv_error_message());
    f->ps = rv_params_create();
    f->tape = rv_tape_create();
    cr_assert_eq(rv_task_create(f->config, NULL, true, f->ps, &f->task), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_params_materialise(f->ps, 5), RV_OK);
    rv_rng rng = rv_rng_make(3, "more", 0);
    for (int64_t i = 0; i < f->ps->size && model < HMM; i++) /* tags that are far from equal, and steps */
        f->ps->x[i] = 2 * f->ps->x[i] + (rv_real)(0.2 * rv_rng_normal(&rng));
    if (model >= HMM) count(f);
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
    int times, taggings;
    int64_t n;
    int32_t tag[N_BEST * MOST_WORDS];
    double p[N_BEST];
    rv_real of_word[MOST_WORDS];
} told;

static rv_status keep(void *ctx, int64_t i, const rv_tagging *t) {
    told *to = (told *)ctx + i;
    to->times++;
    to->n = t->n;
    to->taggings = t->taggings;
    cr_assert(t->n <= MOST_WORDS && t->taggings <= N_BEST);
    memcpy(to->tag, t->tag, (size_t)(t->taggings * t->n) * sizeof *t->tag);
    memcpy(to->p, t->probability, (size_t)t->taggings * sizeof *t->probability);
    memcpy(to->of_word, t->of_word, (size_t)t->n * sizeof *t->of_word);
    return RV_OK;
}

static rv_status tag_these(fixture *f, int64_t batch, int64_t most, const rv_sentence_words *s, int64_t n, told *out) {
    const rv_source *source = rv_task_source(f->task);
    const rv_tag_options o = {
        .words = source->in, .letters = source->letters, .most = most, .batch = batch, .n_best = N_BEST};
    memset(out, 0, (size_t)n * sizeof *out);
    return rv_tag_each(f->tape, rv_task_model(f->task), &o, s, n, keep, out);
}

static rv_status tag(fixture *f, int64_t batch, told *out) {
    return tag_these(f, batch, 256, f->sentence, SENTENCES, out);
}

Test(tag, same_bits_in_any_batch) {
    for (int m = 0; m < MODELS; m++) {
        fixture f;
        static told one[SENTENCES], other[SENTENCES];
        begin(&f, m);
        cr_assert_eq(tag(&f, 1, one), RV_OK, "%s", rv_error_message());
        for (int64_t batch = 2; batch <= 100; batch = batch * 5 + 2) {
            rv_set_threads((int)(batch % 3) + 1);
            cr_assert_eq(tag(&f, batch, other), RV_OK);
            cr_expect_eq(memcmp(one, other, sizeof one), 0, "model %d, batch %lld", m, (long long)batch);
        }
        end(&f);
    }
}

Test(tag, probabilities) {
    for (int m = 0; m < MODELS; m++) {
        fixture f;
        static told t[SENTENCES];
        begin(&f, m);
        cr_assert_eq(tag(&f, 7, t), RV_OK);
        for (int i = 0; i < SENTENCES; i++) {
            double sum = 0, product = 1;
            cr_expect_eq(t[i].times, 1);
            cr_expect_eq(t[i].n, f.sentence[i].n);
            cr_expect_geq(t[i].taggings, 1);
            for (int k = 0; k < t[i].taggings; k++) {
                sum += t[i].p[k];
                cr_expect(!k || t[i].p[k] <= t[i].p[k - 1], "model %d, sentence %d", m, i);
                for (int j = 0; j < k; j++)
                    cr_expect_neq(
                        memcmp(t[i].tag + j * t[i].n, t[i].tag + k * t[i].n, (size_t)t[i].n * sizeof(int32_t)), 0,
                        "each once");
            }
            cr_expect(sum <= 1 + 1e-6 && (t[i].n > 1 || fabs(sum - 1) < 1e-6), "model %d, sentence %d: %g", m, i, sum);
            for (int k = 0; k < t[i].n; k++) {
                cr_expect(t[i].of_word[k] > 0 && t[i].of_word[k] <= (rv_real)(1 + 1e-6));
                product *= (double)t[i].of_word[k];
                cr_expect_geq((double)t[i].of_word[k], t[i].p[0] - 1e-6, "a tagging has the tag");
            }
            if (!models[m].steps) cr_expect_float_eq(product, t[i].p[0], 1e-5, "model %d, sentence %d", m, i);
        }
        end(&f);
    }
}

/* What measuring says of the same sentences: the best tags, and how probable the true ones are. */
static rv_status same_as_measured(void *ctx, int64_t i, const rv_example *e) {
    const told *t = (const told *)ctx + i;
    const size_t n = (size_t)t->n * sizeof *e->told;
    cr_assert_eq(e->score.tokens, t->n);
    cr_expect_eq(memcmp(e->told, t->tag, n), 0, "sentence %lld", (long long)i);
    for (int k = 0; k < t->taggings; k++)
        if (!memcmp(e->tag, t->tag + k * t->n, n))
            cr_expect_float_eq(exp(-e->score.nats), t->p[k], 1e-5, "sentence %lld: %g, %g", (long long)i,
                               exp(-e->score.nats), t->p[k]);
    return RV_OK;
}

Test(tag, agrees_with_measuring) {
    for (int m = 0; m < MODELS; m++) {
        fixture f;
        static told t[SENTENCES];
        begin(&f, m);
        cr_assert_eq(tag(&f, 7, t), RV_OK);
        cr_assert_eq(rv_task_examples(f.tape, f.task, RV_SUBSET_VALID, same_as_measured, t), RV_OK, "%s",
                     rv_error_message());
        end(&f);
    }
}

/* A sentence longer than the model takes is its parts, each by itself; so they have one tagging. */
Test(tag, in_parts) {
    enum { N = 31, MOST = 8, PARTS = 4 };
    for (int m = 0; m < MODELS; m++) {
        fixture f;
        static told whole, part[PARTS];
        static rv_text words[N];
        rv_sentence_words parts[PARTS];
        const rv_sentence_words sentence = {N, words};
        if (m == PIECES) continue; /* the first word of a part has a blank before it */
        begin(&f, m);
        for (int k = 0; k < N; k++) words[k] = f.word[k % 20][0];
        for (int k = 0; k < PARTS; k++)
            parts[k] = (rv_sentence_words){k < PARTS - 1 ? MOST : N % MOST, words + k * MOST};
        cr_assert_eq(tag_these(&f, 3, MOST, &sentence, 1, &whole), RV_OK, "%s", rv_error_message());
        cr_assert_eq(tag_these(&f, 2, MOST, parts, PARTS, part), RV_OK);
        double p = 1;
        for (int k = 0; k < PARTS; k++) {
            p *= part[k].p[0];
            cr_expect_arr_eq(whole.tag + k * MOST, part[k].tag, (size_t)part[k].n * sizeof *part->tag, "model %d", m);
            cr_expect_arr_eq(whole.of_word + k * MOST, part[k].of_word, (size_t)part[k].n * sizeof(rv_real));
        }
        cr_expect(whole.taggings == 1 && whole.n == N);
        cr_expect_float_eq(whole.p[0], p, 1e-12 * p, "model %d", m);
        end(&f);
    }
}

/* A word of more pieces than the model takes is told from its first ones. */
Test(tag, a_word_that_is_too_long) {
    fixture f;
    static told t, of_more;
    begin(&f, PIECES);
    rv_text words[] = {{"w1", 2}, {"Name1Name2Name3Name4Name5Name6Name7Name8", 40}, {"w2", 2}};
    const rv_sentence_words sentence = {3, words};
    cr_assert_eq(tag_these(&f, 3, 6, &sentence, 1, &t), RV_OK, "%s", rv_error_message());
    cr_expect(t.n == 3 && t.taggings == 1 && t.p[0] > 0);
    words[1] = (rv_text){"Name1Name2Name3Name4Name5Name6Name7NameXXXXXXXXX", 48}; /* not in these */
    cr_assert_eq(tag_these(&f, 3, 6, &sentence, 1, &of_more), RV_OK);
    cr_expect_eq(memcmp(&t, &of_more, sizeof t), 0);
    end(&f);
}

Test(tag, sentences_without_words) {
    for (int m = 0; m < MODELS; m++) {
        fixture f;
        static told t[3];
        begin(&f, m);
        const rv_sentence_words some[] = {{0, NULL}, f.sentence[3], {0, NULL}};
        cr_expect_eq(tag_these(&f, 8, 256, NULL, 0, t), RV_OK);
        cr_assert_eq(tag_these(&f, 8, 256, some, 3, t), RV_OK);
        for (int i = 0; i < 3; i++) cr_expect(t[i].times == 1 && t[i].n == some[i].n);
        cr_expect(!t[0].taggings && t[1].taggings && !t[2].taggings);
        end(&f);
    }
}

static rv_status refuse(void *ctx, int64_t i, const rv_tagging *t) {
    ++*(int *)ctx;
    return rv_error(RV_EDATA, "enough");
}

Test(tag, errors) {
    fixture f;
    static told t[SENTENCES];
    int calls = 0;
    begin(&f, 1);
    const rv_source *source = rv_task_source(f.task);
    const rv_tag_options o = {.words = source->in, .letters = source->letters, .most = 99, .batch = 8, .n_best = 1};
    cr_expect_eq(rv_tag_each(f.tape, rv_task_model(f.task), &o, f.sentence, SENTENCES, refuse, &calls), RV_EDATA);
    cr_expect_eq(calls, 1, "the first one ends the work");
    rv_text odd = {"a\xff", 2};
    cr_expect_eq(tag_these(&f, 8, 99, &(rv_sentence_words){1, &odd}, 1, t), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "UTF-8"), "%s", rv_error_message());
    rv_params_find(f.ps, "head.bias")->t.x[1] = (rv_real)NAN;
    cr_expect_eq(tag(&f, 7, t), RV_EDIVERGED);
    end(&f);
}

/* On a tape that trains nothing is dropped, and the tape goes on training. */
Test(tag, on_a_tape_that_trains) {
    fixture f;
    static told want[SENTENCES], t[SENTENCES];
    begin(&f, 1);
    cr_assert_eq(tag(&f, 7, want), RV_OK);
    for (int on = 0; on < 2; on++) {
        rv_tape_set_training(f.tape, true);
        rv_tape_no_grad(f.tape, on);
        cr_assert_eq(tag(&f, 7, t), RV_OK);
        cr_expect_eq(memcmp(want, t, sizeof t), 0);
        cr_expect(rv_tape_training(f.tape));
        cr_expect_eq(rv_tape_no_grad(f.tape, false), on);
    }
    end(&f);
}

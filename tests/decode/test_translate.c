/* Greedy and beam search against plain ones that read the whole prefix anew for every token. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ravel.h"
#include "support/models.h"

enum { PAD, BOS, EOS, UNK, V = 9, S = 8, B = 7, MODELS = 4, MAX_LENGTH = 24, ROOM = 4096 };

static rv_encoder_config encoder_of(const char *kind) {
    rv_encoder_config e = {.kind = rv_encoder_find(kind),
                           .input = {.vocab_size = V, .size = 16, .max_length = MAX_LENGTH}};
    e.input.init = (rv_init){RV_INIT_NORMAL, 1, 0};
    e.input.position = RV_POSITION_SINUSOIDAL;
    e.transformer = rv_transformer_defaults();
    e.transformer.num_layers = 2;
    e.transformer.num_heads = 2;
    e.transformer.hidden_size = 16;
    e.transformer.ff_size = 32;
    e.transformer.final_norm = true;
    e.rnn = rv_rnn_defaults(RV_CELL_GRU);
    e.rnn.bidirectional = true;
    e.rnn.hidden_size = 12;
    return e;
}

static rv_decoder_config decoder_of(const char *kind, rv_cell cell) {
    rv_decoder_config c = {0}, *d = &c;
    d->kind = rv_decoder_find(kind);
    d->input.vocab_size = V;
    d->input.size = 16;
    d->input.init = (rv_init){RV_INIT_NORMAL, 1, 0};
    d->input.max_length = MAX_LENGTH;
    d->input.position = RV_POSITION_LEARNED;
    d->transformer = encoder_of("transformer").transformer;
    d->transformer.causal = true;
    d->rnn = rv_rnn_defaults(cell);
    d->rnn.input_size = 16;
    d->rnn.hidden_size = 12;
    d->reading = (rv_reading){.attention_size = 8,
                              .readout_size = 12,
                              .init = {RV_INIT_XAVIER_UNIFORM, 1, 0},
                              .vector_init = {RV_INIT_UNIFORM, 1, 0}};
    return c;
}

static rv_model_config model_of(int i) {
    const rv_init unit = {RV_INIT_UNIFORM, 1, 0};
    rv_model_config c = {.encoder = encoder_of(i == 0 || i == 3 ? "transformer" : "rnn"),
                         .decoder = decoder_of(i == 0 ? "transformer" : "rnn", i == 2 ? RV_CELL_LSTM : RV_CELL_GRU),
                         .head = {.kind = rv_head_find("next_token"), .bias = true, .init = unit, .bias_init = unit}};
    rv_reading *r = &c.decoder.reading;
    if (i == 1) r->attend = RV_ATTEND_BAHDANAU, r->bridge = RV_BRIDGE_REVERSE, r->readout = RV_READOUT_MAXOUT;
    if (i == 2)
        r->attend = RV_ATTEND_NONE, r->context_each_step = true, r->bridge = RV_BRIDGE_DENSE,
        r->readout = RV_READOUT_TANH;
    if (i == 3)
        r->attend = RV_ATTEND_LUONG_GENERAL, r->bridge = RV_BRIDGE_DENSE, r->readout = RV_READOUT_TANH,
        r->input_feeding = true;
    return c;
}

typedef struct {
    rv_params *ps;
    rv_model *m;
    rv_tape *tape;
    int32_t src[B * S], lengths[B];
} fixture;

static fixture open_model(int i) {
    fixture f = {.ps = rv_params_create(), .tape = rv_tape_create()};
    rv_model_config c = model_of(i);
    f.m = rv_model_create(f.ps, &c);
    cr_assert(f.m, "model %d: %s", i, rv_error_message());
    cr_assert_eq(rv_params_materialise(f.ps, 5 + (uint64_t)i), RV_OK);
    rv_rng rng = rv_rng_make(1, "source", 0);
    for (int b = 0; b < B; b++) {
        f.lengths[b] = 1 + (b * 3 + 4) % S;
        for (int s = 0; s < S; s++)
            f.src[b * S + s] = s < f.lengths[b] - 1 ? 4 + (int32_t)rv_rng_below(&rng, V - 4) : EOS;
    }
    return f;
}

static void close_model(fixture *f) {
    rv_tape_destroy(f->tape);
    rv_model_destroy(f->m);
    rv_params_destroy(f->ps);
}

static rv_translate_options options(int beam, int n_best) {
    return (rv_translate_options){.beam_size = beam,
                                  .n_best = n_best,
                                  .length_penalty = 0.6,
                                  .max_length_ratio = 1.5,
                                  .max_length_extra = 3,
                                  .max_length = MAX_LENGTH,
                                  .bos = BOS,
                                  .eos = EOS,
                                  .pad = PAD,
                                  .unk = -1};
}

static int64_t limit_of(const rv_translate_options *o, int length) {
    int64_t n = (int64_t)(o->max_length_ratio * length) + o->max_length_extra;
    return n > o->max_length ? o->max_length : n;
}

/* ---- plain search */

/* Log probabilities of what follows prefix (n ids) for sentence b, -INFINITY where it is never produced. */
static void follow(fixture *f, int b, const rv_translate_options *o, const int32_t *prefix, int64_t n, double *out) {
    int32_t tgt[MAX_LENGTH + 1] = {BOS};
    memcpy(tgt + 1, prefix, (size_t)n * sizeof *tgt);
    rv_memory memory;
    rv_tape_reset(f->tape);
    rv_tape_no_grad(f->tape, true);
    cr_assert(encode_ids(f->tape, f->m, f->src + b * S, f->lengths + b, 1, f->lengths[b], &memory));
    rv_tensor *logits = rv_model_logits(f->tape, f->m, tgt, 1, n + 1, NULL, &memory);
    cr_assert(logits, "%s", rv_error_message());
    const rv_real *row = logits->x + rv_model_row(f->m, 1, n + 1, 0, n) * V;
    double sum = 0;
    for (int v = 0; v < V; v++) sum += exp((double)row[v]);
    for (int v = 0; v < V; v++) out[v] = v == BOS || v == PAD || v == o->unk ? -INFINITY : (double)row[v] - log(sum);
}

typedef struct {
    int32_t ids[MAX_LENGTH];
    int64_t n; /* <eos> with them */
    double log_prob, score;
    bool ended;
} hypothesis;

static int better_first(const void *a, const void *b) {
    const hypothesis *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score ? -1 : 1) : 0;
}

static int likelier_first(const void *a, const void *b) {
    const hypothesis *x = a, *y = b;
    return x->log_prob != y->log_prob ? (x->log_prob > y->log_prob ? -1 : 1) : 0;
}

static void append(hypothesis *h, int32_t id, double log_prob, const rv_translate_options *o, int64_t limit) {
    h->log_prob += log_prob;
    h->ids[h->n++] = id;
    h->ended = id == EOS || h->n == limit;
    h->score = h->log_prob / pow((5 + (double)h->n) / 6, o->length_penalty);
}

/* Beam search that never stops early and keeps all it completes; a beam of INT_MAX is exhaustive. */
static int plain_search(fixture *f, int b, const rv_translate_options *o, int64_t beam, hypothesis *done) {
    static hypothesis live[ROOM], next[ROOM * V];
    int64_t n = 1, limit = limit_of(o, f->lengths[b]);
    int count = 0;
    live[0] = (hypothesis){.n = 0};
    while (n) {
        int64_t candidates = 0;
        for (int64_t i = 0; i < n; i++) {
            double p[V];
            follow(f, b, o, live[i].ids, live[i].n, p);
            for (int v = 0; v < V; v++) {
                if (p[v] == -INFINITY) continue;
                next[candidates] = live[i];
                append(&next[candidates++], v, p[v], o, limit);
            }
        }
        qsort(next, (size_t)candidates, sizeof *next, likelier_first);
        n = 0;
        for (int64_t i = 0; i < candidates && i < beam; i++) {
            cr_assert(count < ROOM && n < ROOM);
            if (next[i].ended)
                done[count++] = next[i];
            else
                live[n++] = next[i];
        }
    }
    qsort(done, (size_t)count, sizeof *done, better_first);
    return count;
}

static void same(const rv_hypothesis *got, const hypothesis *want, const char *what, int i, int b, int k) {
    int64_t n = want->n - (want->ids[want->n - 1] == EOS);
    cr_assert_eq(got->n, n, "%s: model %d, sentence %d, place %d: %lld tokens, not %lld (scores %.9g, %.9g)", what, i,
                 b, k, (long long)got->n, (long long)n, got->score, want->score);
    for (int64_t t = 0; t < n; t++)
        cr_assert_eq(got->ids[t], want->ids[t], "%s: model %d, sentence %d, place %d, token %lld", what, i, b, k,
                     (long long)t);
    cr_assert_float_eq(got->log_prob, want->log_prob, 1e-4);
    cr_assert_float_eq(got->score, want->score, 1e-4);
}

static rv_translations translate(fixture *f, const rv_translate_options *o) {
    rv_translations t;
    cr_assert_eq(rv_translate(f->tape, f->m, f->src, f->lengths, B, S, o, &t), RV_OK, "%s", rv_error_message());
    return t;
}

Test(translate, beam_1_takes_the_most_probable_token) {
    int cut = 0, ended = 0;
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_translate_options o = options(1, 1);
        rv_translations t = translate(&f, &o);
        for (int b = 0; b < B; b++) {
            hypothesis h = {.n = 0};
            int64_t limit = limit_of(&o, f.lengths[b]);
            while (!h.ended) {
                double p[V];
                int best = 0;
                follow(&f, b, &o, h.ids, h.n, p);
                for (int v = 1; v < V; v++)
                    if (p[v] > p[best]) best = v;
                append(&h, best, p[best], &o, limit);
            }
            cr_assert_eq(t.count[b], 1);
            same(&t.h[b], &h, "greedy", i, b, 0);
            *(h.ids[h.n - 1] == EOS ? &ended : &cut) += 1;
        }
        rv_translations_free(&t);
        close_model(&f);
    }
    cr_assert(cut > 0 && ended > 0, "the models are to show both ends: %d cut, %d ended", cut, ended);
}

/* The search stops early, drops hopeless rows, and works on cached states of all sentences at once; the plain one does
 * none of that. */
Test(translate, as_a_plain_beam_search) {
    static hypothesis done[ROOM];
    static const struct {
        int beam, n_best;
        double penalty;
    } cases[] = {{2, 1, 0}, {3, 3, 0.6}, {4, 1, 1}, {5, 2, 2}, {4, 4, -0.5}};
    for (int i = 0; i < MODELS; i++)
        for (int c = 0; c < 5; c++) {
            fixture f = open_model(i);
            rv_translate_options o = options(cases[c].beam, cases[c].n_best);
            o.length_penalty = cases[c].penalty;
            rv_translations t = translate(&f, &o);
            for (int b = 0; b < B; b++) {
                int count = plain_search(&f, b, &o, o.beam_size, done);
                cr_assert_eq(t.count[b], count < o.n_best ? count : o.n_best);
                for (int k = 0; k < t.count[b]; k++) same(&t.h[b * o.n_best + k], &done[k], "beam", i, b, k);
            }
            rv_translations_free(&t);
            close_model(&f);
        }
}

Test(translate, a_wide_beam_finds_the_best_of_all) {
    static hypothesis done[ROOM];
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_translate_options o =
            options(216, 5); /* 6 words that do not end, at most 4 tokens: 6^3 prefixes to continue */
        o.max_length = 4;
        rv_translations t = translate(&f, &o);
        for (int b = 0; b < B; b += 3) {
            int count = plain_search(&f, b, &o, INT64_MAX, done);
            cr_assert_eq(count, 1 + 6 + 36 + 216 * 7);
            for (int k = 0; k < 5; k++) same(&t.h[b * 5 + k], &done[k], "exhaustive", i, b, k);
        }
        rv_translations_free(&t);
        close_model(&f);
    }
}

static void same_bits(const rv_hypothesis *x, const rv_hypothesis *y, const char *what, int i) {
    cr_assert_eq(x->n, y->n, "%s, model %d", what, i);
    cr_assert(!memcmp(x->ids, y->ids, (size_t)x->n * sizeof *x->ids), "%s, model %d", what, i);
    cr_assert(x->score == y->score && x->log_prob == y->log_prob, "%s, model %d: %.17g, %.17g", what, i, x->score,
              y->score);
}

Test(translate, batch_mates_change_nothing) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_translate_options o = options(4, 3);
        rv_translations all = translate(&f, &o);
        for (int b = 0; b < B; b++) {
            rv_translations one;
            cr_assert_eq(rv_translate(f.tape, f.m, f.src + b * S, f.lengths + b, 1, f.lengths[b], &o, &one), RV_OK);
            cr_assert_eq(one.count[0], all.count[b]);
            for (int k = 0; k < one.count[0]; k++) same_bits(&one.h[k], &all.h[b * 3 + k], "alone", i);
            rv_translations_free(&one);
        }
        rv_translations_free(&all);
        close_model(&f);
    }
}

Test(translate, threads_change_nothing) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_translate_options o = options(4, 2);
        rv_set_threads(1);
        rv_translations one = translate(&f, &o);
        for (int n = 2; n <= 4; n++) {
            rv_set_threads(n);
            rv_translations many = translate(&f, &o);
            for (int b = 0; b < B; b++)
                for (int k = 0; k < one.count[b]; k++) same_bits(&one.h[b * 2 + k], &many.h[b * 2 + k], "threads", i);
            rv_translations_free(&many);
        }
        rv_translations_free(&one);
        close_model(&f);
    }
}

/* Decoding keeps the weights packed while it lasts: those of the next time are those that training has left. */
Test(translate, weights_that_change_are_seen) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_translate_options o = options(4, 2);
        rv_translations before = translate(&f, &o);
        for (int64_t e = 0; e < f.ps->size; e++) f.ps->x[e] *= (rv_real)(e % 3 ? 1.25 : -0.5);
        rv_translations same_tape = translate(&f, &o);
        rv_tape_destroy(f.tape);
        f.tape = rv_tape_create();
        rv_translations new_tape = translate(&f, &o);
        bool differ = false;
        for (int b = 0; b < B; b++)
            for (int k = 0; k < new_tape.count[b]; k++) {
                same_bits(&same_tape.h[b * 2 + k], &new_tape.h[b * 2 + k], "changed weights", i);
                differ |= new_tape.h[b * 2 + k].log_prob != before.h[b * 2 + k].log_prob;
            }
        cr_assert(differ);
        rv_translations_free(&before);
        rv_translations_free(&same_tape);
        rv_translations_free(&new_tape);
        close_model(&f);
    }
}

Test(translate, scores_fall_and_are_as_defined) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_translate_options o = options(5, 5);
        o.length_penalty = 0.8;
        rv_translations t = translate(&f, &o);
        for (int b = 0; b < B; b++) {
            int64_t limit = limit_of(&o, f.lengths[b]);
            cr_assert_eq(t.count[b], 5);
            for (int k = 0; k < 5; k++) {
                const rv_hypothesis *h = &t.h[b * 5 + k];
                cr_assert(h->n <= limit);
                int64_t tokens = h->n < limit ? h->n + 1 : limit;
                cr_assert_float_eq(h->score, h->log_prob / pow((5 + (double)tokens) / 6, 0.8), 1e-12);
                if (k == 0) continue;
                cr_assert(h->score <= h[-1].score);
                cr_assert(h->n != h[-1].n || memcmp(h->ids, h[-1].ids, (size_t)h->n * sizeof *h->ids),
                          "twice the same");
            }
        }
        rv_translations_free(&t);
        close_model(&f);
    }
}

Test(translate, an_unknown_word_is_not_produced) {
    static hypothesis done[ROOM];
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_translate_options o = options(3, 3);
        rv_translations t = translate(&f, &o);
        int b = 0, k = 0;
        while (b < B && !t.h[3 * b + k].n) b += k == 2, k = (k + 1) % 3;
        cr_assert(b < B);
        int32_t word = t.h[3 * b + k].ids[0]; /* produced, until it is forbidden */
        rv_translations_free(&t);
        o.unk = word;
        t = translate(&f, &o);
        for (int j = 0; j < 3 * B; j++)
            for (int64_t n = 0; j % 3 < t.count[j / 3] && n < t.h[j].n; n++)
                cr_assert(t.h[j].ids[n] != word && t.h[j].ids[n] != BOS && t.h[j].ids[n] != PAD);
        plain_search(&f, b, &o, 3, done);
        for (k = 0; k < 3; k++) same(&t.h[3 * b + k], &done[k], "no unknown", i, b, k);
        rv_translations_free(&t);
        close_model(&f);
    }
}

Test(translate, a_model_that_diverged_is_told) {
    fixture f = open_model(0);
    rv_translate_options o = options(3, 1);
    rv_translations t;
    rv_params_find(f.ps, "head.bias")->t.x[4] = NAN;
    cr_assert_eq(rv_translate(f.tape, f.m, f.src, f.lengths, B, S, &o, &t), RV_EDIVERGED);
    cr_assert_null(t.h);
    close_model(&f);
}

/* ---- many sentences */

enum { MANY = 23 };
typedef struct {
    int64_t last, calls;
} count;

static void counted(void *ctx, int64_t done) {
    count *c = ctx;
    c->last = done;
    c->calls++;
}

static rv_status refuse(void *ctx, int64_t sentence, const rv_hypothesis *h, int n) {
    return rv_error(RV_EDATA, "full");
}

Test(translate, all_sentences_in_their_order_at_any_batch) {
    rv_tokenizer_spec spec = {.type = RV_TOKENS_WORD,
                              .specials = 1u << RV_PAD | 1u << RV_BOS | 1u << RV_EOS | 1u << RV_UNK};
    rv_tokenizer *tok;
    cr_assert_eq(rv_tokenizer_train(&spec, "a b c d e", 9, &tok), RV_OK);
    cr_assert_eq(rv_tokenizer_size(tok), V);
    fixture f = open_model(1);
    rv_translate_options o = options(3, 2);
    int32_t ids[MANY][S], *src[MANY];
    int64_t n[MANY];
    rv_rng rng = rv_rng_make(4, "sentences", 0);
    for (int i = 0; i < MANY; i++) {
        src[i] = ids[i];
        n[i] = i % 7;
        for (int s = 0; s < n[i]; s++) ids[i][s] = 4 + (int32_t)rv_rng_below(&rng, V - 4);
    }
    rv_text want[MANY];
    for (int i = 0; i < MANY; i++) {
        want[i] = (rv_text){0};
        if (!n[i]) continue;
        int32_t with_eos[S], length = (int32_t)n[i] + 1;
        memcpy(with_eos, src[i], (size_t)n[i] * sizeof *with_eos);
        with_eos[n[i]] = EOS;
        rv_translations t;
        cr_assert_eq(rv_translate(f.tape, f.m, with_eos, &length, 1, length, &o, &t), RV_OK);
        cr_assert_eq(rv_tokenizer_decode(tok, t.h[0].ids, t.h[0].n, &want[i]), RV_OK);
        rv_translations_free(&t);
    }
    for (int64_t batch = 1; batch <= 64; batch *= 4) {
        rv_text got[MANY];
        count c = {0};
        cr_assert_eq(
            rv_translate_all(f.tape, f.m, tok, (const int32_t *const *)src, n, MANY, batch, &o, counted, &c, got),
            RV_OK);
        cr_assert(c.last == MANY && c.calls == MANY);
        for (int i = 0; i < MANY; i++) {
            cr_assert_str_eq(got[i].bytes, n[i] ? want[i].bytes : "", "sentence %d, batches of %lld", i,
                             (long long)batch);
            rv_text_free(&got[i]);
        }
    }
    cr_assert_eq(rv_translate_each(f.tape, f.m, (const int32_t *const *)src, n, MANY, 4, &o, refuse, NULL), RV_EDATA);
    for (int i = 0; i < MANY; i++) rv_text_free(&want[i]);
    rv_tokenizer_destroy(tok);
    close_model(&f);
}

/* ---- what attention says */

Test(translate, attention_of_a_translation) {
    for (int i = 0; i < MODELS; i++) {
        fixture f = open_model(i);
        rv_translate_options o = options(4, 1);
        int32_t words[] = {5, 4, 6, 8};
        rv_hypothesis h = {.ids = words, .n = 4};
        rv_attention_weights w;
        rv_status status = rv_translation_attention(f.tape, f.m, f.src + S, 3, &h, &o, &w);
        cr_assert_eq(status, i == 2 ? RV_EUSAGE : RV_OK, "model %d", i); /* a bottleneck has none */
        if (status == RV_OK) {
            cr_assert(w.B == 1 && w.T == 5 && w.S == 4);
            for (int64_t r = 0; r < w.layers * w.heads * w.T; r++) {
                double sum = 0;
                for (int64_t s = 0; s < w.S; s++) sum += (double)w.weights[r * w.S + s];
                cr_assert_float_eq(sum, 1, 1e-5);
            }
        }
        close_model(&f);
    }
}

/* "<unk> eins <unk>" of the line below, whose tokens are cut after the fourth; the weights point to its third word, in
 * sum of both heads, and to its first, of equals; <eos> has the most and does not count. They come as typed, however
 * the tokenizer changed them; but of what became several, one. */
Test(translate, unknown_words_come_from_the_source) {
    static const struct {
        rv_tokenizer_type type;
        const char *line, *want;
        rv_normal_form form;
    } cases[] = {
        {RV_TOKENS_WORD, "  One \u00c9t\u00e9\t ThreE four five", "ThreE eins One", RV_NORMAL_NONE},
        {RV_TOKENS_CHAR, "X\u00c9Yz!", "Y1X", RV_NORMAL_NONE},
        {RV_TOKENS_WORD, "\ufb01N\u00a0b\u3000E\u0301\u33c7 x y", "E\u0301\u33c7 eins \ufb01N", RV_NORMAL_NFKC},
        {RV_TOKENS_CHAR, "A\u0301bE\u0301cd", "E\u03011A\u0301", RV_NORMAL_NFC},
        {RV_TOKENS_CHAR, "\u1112\u1161\u11ab\ufb01X!", "i1\u1112\u1161\u11ab",
         RV_NORMAL_NFKC},                                                 /* a syllable; a ligature */
        {RV_TOKENS_WORD, "a\u00a8B Cd e f", "Cd eins a", RV_NORMAL_NFKC}, /* the diaeresis alone brings a space */
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const bool letters = cases[c].type == RV_TOKENS_CHAR;
        rv_tokenizer_spec spec = {.type = cases[c].type,
                                  .lowercase = true,
                                  .normalization = cases[c].form,
                                  .specials = 1u << RV_PAD | 1u << RV_BOS | 1u << RV_EOS | 1u << RV_UNK};
        rv_tokenizer *src, *tgt;
        cr_assert_eq(rv_tokenizer_train(&spec, "four", 4, &src), RV_OK);
        cr_assert_eq(rv_tokenizer_train(&spec, letters ? "1" : "eins", letters ? 1 : 4, &tgt), RV_OK);
        int32_t *ids, said[] = {UNK, 4, UNK};
        int64_t n;
        cr_assert_eq(rv_tokenizer_encode(src, cases[c].line, strlen(cases[c].line), &ids, &n), RV_OK);
        cr_assert_eq(n, 5);
        rv_real weights[2][4][5] = {{{0.3, 0, 0.2, 0, 0.5}, {0, 1, 0, 0, 0}, {0.25, 0.25, 0, 0, 0.5}, {0, 0, 0, 0, 1}},
                                    {{0.1, 0, 0.4, 0, 0.5}, {0, 1, 0, 0, 0}, {0.25, 0.25, 0, 0, 0.5}, {0, 0, 0, 0, 1}}};
        rv_attention_weights w = {.layers = 1, .heads = 2, .B = 1, .T = 4, .S = 5, .weights = &weights[0][0][0]};
        rv_hypothesis h = {.ids = said, .n = 3};
        rv_text text;
        cr_assert_eq(rv_replace_unknown(src, tgt, cases[c].line, strlen(cases[c].line), ids, &h, &w, &text), RV_OK);
        cr_assert_str_eq(text.bytes, cases[c].want);
        rv_text_free(&text);
        free(ids);
        rv_tokenizer_destroy(src);
        rv_tokenizer_destroy(tgt);
    }
}

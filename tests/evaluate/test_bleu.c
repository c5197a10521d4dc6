/* Scores and tokens that sacreBLEU publishes in its own tests and README; statistics that add; what is printed. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate/bleu.h"

static const rv_bleu_options defaults;

/* The example of sacreBLEU's README: three sentences, two references. */
enum { N = 3, REFS = 2 };
static const char *const hyps[N] = {"The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."};
static const char *const refs[REFS * N] = {"The dog bit the man.",   "It was not unexpected.",
                                           "The man bit him first.", "The dog had bit the man.",
                                           "No one was surprised.",  "The man had bitten the dog."};

static double corpus(rv_bleu_options o, int64_t n, const char *const *h, int nrefs, const char *const *r) {
    rv_bleu b;
    cr_assert_eq(rv_bleu_corpus(&o, n, h, nrefs, r, NULL, &b), RV_OK, "%s", rv_error_message());
    return b.score;
}

Test(bleu, corpora) {
    static const char *const empty[N] = {"", "", ""};
    cr_expect_float_eq(corpus(defaults, N, hyps, REFS, refs), 48.530827, 1e-5);
    cr_expect_float_eq(corpus((rv_bleu_options){.tokenizer = RV_BLEU_NONE}, N, hyps, REFS, refs), 49.1919566, 1e-5);
    cr_expect_float_eq(corpus((rv_bleu_options){.tokenizer = RV_BLEU_INTL}, N, hyps, REFS, refs), 43.91623493, 1e-5);
    cr_expect_float_eq(corpus((rv_bleu_options){.smoothing = RV_SMOOTH_NONE}, N, hyps, REFS, refs), 48.530827, 1e-5);
    cr_expect_eq(corpus(defaults, N, empty, REFS, refs), 0);
    cr_expect_float_eq(corpus(defaults, N, hyps, 1, hyps), 100, 1e-9);
    cr_expect_eq(corpus(defaults, 0, hyps, 1, refs), 0);
}

/* Sentence BLEU of two Romanian lines in which s and t have a cedilla or a comma below. */
Test(bleu, sentences) {
    static const char *ref = "producţia de zahăr brut se exprimă în zahăr alb;";
    static const char *hyp = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;";
    static const struct {
        rv_bleu_options o;
        double score;
    } cases[] = {
        {{.smoothing = RV_SMOOTH_EXP}, 8.493},
        {{.smoothing = RV_SMOOTH_NONE}, 0},
        {{.smoothing = RV_SMOOTH_FLOOR}, 4.51688},
        {{.smoothing = RV_SMOOTH_FLOOR, .smooth_value = 0.1}, 4.51688},
        {{.smoothing = RV_SMOOTH_FLOOR, .smooth_value = 0.5}, 10.10},
        {{.smoothing = RV_SMOOTH_ADD_K}, 14.882},
        {{.smoothing = RV_SMOOTH_ADD_K, .smooth_value = 1}, 14.882},
        {{.smoothing = RV_SMOOTH_ADD_K, .smooth_value = 2}, 21.389},
        {{.tokenizer = RV_BLEU_NONE}, 7.347},
        {{.tokenizer = RV_BLEU_INTL}, 8.493},
        {{.tokenizer = RV_BLEU_CHAR}, 40.8759},
        {{.tokenizer = RV_BLEU_CHAR, .lowercase = true}, 42.0267},
    };
    rv_bleu b;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(rv_bleu_sentence(&cases[i].o, hyp, ref, &b), RV_OK);
        cr_expect_float_eq(b.score, cases[i].score, 1e-3, "case %zu: %f, expected %f", i, b.score, cases[i].score);
    }
    for (int s = RV_SMOOTH_EXP; s <= RV_SMOOTH_NONE; s++) { /* no match at all is 0 under any smoothing */
        rv_bleu_options o = {.smoothing = s};
        cr_assert_eq(rv_bleu_sentence(&o, "this is a cat", "okay thanks", &b), RV_OK);
        cr_expect_eq(b.score, 0);
    }
    rv_bleu_options lower = {.lowercase = true};
    cr_assert_eq(rv_bleu_sentence(&lower, "This is a test.", "this is a Tezt.", &b), RV_OK);
    cr_expect_float_eq(b.score, 42.729, 1e-3, "%f", b.score);
}

/* Text that is tokenized already, floor smoothing 0.01 and effective order. */
Test(bleu, raw) {
    rv_bleu_options o = {
        .tokenizer = RV_BLEU_NONE, .smoothing = RV_SMOOTH_FLOOR, .smooth_value = 0.01, .effective_order = true};
    static const struct {
        const char *hyp, *ref;
        double score;
    } cases[] = {
        {"this is a test", "this is a test", 1.0},        {"this is a fest", "this is a test", 0.223606797749979},
        {"test", "a test", 0.3678794411714425},           {"a test", "a test", 1.0},
        {"a little test", "a test", 0.03218297948685433},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_float_eq(corpus(o, 1, &cases[i].hyp, 1, &cases[i].ref), 100 * cases[i].score, 1e-6, "%s",
                           cases[i].hyp);

    const char *hyp = "am I am a character sequence", *ref = "I am a symbol string sequence a a";
    o.smooth_value = 0; /* the default, 0.1 */
    cr_expect_float_eq(corpus(o, 1, &hyp, 1, &ref), 15.55722182, 1e-6);
    rv_bleu_stats s;
    cr_assert_eq(rv_bleu_count(&o, hyp, 1, &ref, &s), RV_OK);
    cr_expect_arr_eq(s.counts, ((int64_t[]){4, 2, 1, 0}), sizeof s.counts);
    cr_expect_arr_eq(s.totals, ((int64_t[]){6, 5, 4, 3}), sizeof s.totals);
    cr_expect(s.hyp_len == 6 && s.ref_len == 8);
}

Test(bleu, scores_of_counts) {
    rv_bleu_options none = {.smoothing = RV_SMOOTH_NONE}, floor = {.smoothing = RV_SMOOTH_FLOOR};
    rv_bleu_stats s = {{9, 7, 5, 3}, {10, 8, 6, 4}, 11, 11};
    cr_expect_float_eq(rv_bleu_from_stats(&none, &s).score, 83.75922397, 1e-6);
    static const rv_bleu_stats zero[] = {{{0, 0, 0, 0}, {4, 4, 2, 1}, 0, 1},
                                         {{0, 0, 0, 0}, {10, 11, 12, 0}, 14, 10},
                                         {{0, 0, 0, 0}, {0, 0, 0, 0}, 0, 0},
                                         {{0, 0, 0, 0}, {0, 0, 0, 0}, 1, 5}};
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++) cr_expect_eq(rv_bleu_from_stats(&floor, &zero[i]).score, 0);
    cr_expect_eq(rv_bleu_from_stats(&none, &(rv_bleu_stats){{6, 5, 4, 0}, {6, 5, 4, 3}, 6, 6}).score, 0);
}

/* A bootstrap sums sentences: the sum of all is the corpus. */
Test(bleu, counts_add) {
    rv_bleu_stats each[N], sum = {0}, alone;
    rv_bleu b;
    cr_assert_eq(rv_bleu_corpus(&defaults, N, hyps, REFS, refs, each, &b), RV_OK);
    for (int i = 0; i < N; i++) {
        const char *of_i[REFS] = {refs[i], refs[N + i]};
        cr_assert_eq(rv_bleu_count(&defaults, hyps[i], REFS, of_i, &alone), RV_OK);
        cr_expect_arr_eq(&alone, &each[i], sizeof alone);
        rv_bleu_add(&sum, &each[i]);
    }
    cr_expect_arr_eq(&sum, &b.stats, sizeof sum);
    cr_expect_eq(rv_bleu_from_stats(&defaults, &sum).score, b.score);
}

/* Matches are clipped by the reference that has most of an n-gram; of two lengths as near, the shorter counts. */
Test(bleu, several_references) {
    const char *hyp = "a a b b", *refs1[] = {"a b c", "c a b b d"}, *refs2[] = {refs1[1], refs1[0]};
    rv_bleu_stats s;
    for (int swap = 0; swap < 2; swap++) {
        cr_assert_eq(rv_bleu_count(&defaults, hyp, 2, swap ? refs2 : refs1, &s), RV_OK);
        cr_expect_arr_eq(s.counts, ((int64_t[]){3, 2, 1, 0}), sizeof s.counts, "%lld", (long long)s.counts[0]);
        cr_expect(s.hyp_len == 4 && s.ref_len == 3);
    }
}

Test(bleu, printed) {
    char buf[RV_METRIC_TEXT];
    rv_bleu b;
    cr_assert_eq(rv_bleu_corpus(&defaults, N, hyps, REFS, refs, NULL, &b), RV_OK);
    cr_expect_str_eq(rv_bleu_text(&b, buf),
                     "BLEU = 48.53 82.4/50.0/45.5/37.5 (BP = 0.943 ratio = 0.944 hyp_len = 17 ref_len = 18)");
    cr_expect_str_eq(rv_bleu_signature(&defaults, 2, buf),
                     "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:ravel-" RV_VERSION);
    rv_bleu_options o = {
        .tokenizer = RV_BLEU_INTL, .smoothing = RV_SMOOTH_ADD_K, .lowercase = true, .effective_order = true};
    cr_expect_str_eq(rv_bleu_signature(&o, 1, buf),
                     "nrefs:1|case:lc|eff:yes|tok:intl|smooth:add-k[1.00]|version:ravel-" RV_VERSION);
}

Test(bleu, tokenizers) {
    static const struct {
        rv_bleu_tokenizer t;
        const char *line, *tokens;
    } cases[] = {
        {RV_BLEU_13A, "I'm a student.", "I'm a student ."},
        {RV_BLEU_13A, "He paid $1,000.50, not 2.5%!", "He paid $ 1,000.50 , not 2.5 % !"},
        {RV_BLEU_13A, "a well-known 3-year plan (2010-2012)", "a well-known 3 - year plan ( 2010 - 2012 )"},
        {RV_BLEU_13A, "&quot;AT&amp;T&quot; &lt;b&gt; &amp;lt;", "\" AT & T \" < b > <"},
        {RV_BLEU_13A, "hyphen-\nated\nline", "hyphenated line"},
        {RV_BLEU_13A, "wait... in 2000. so", "wait . . . in 2000 . so"},
        {RV_BLEU_13A, "«naïve», said—he", "«naïve» , said—he"},
        {RV_BLEU_13A, "<skipped>", ""},
        {RV_BLEU_13A, ".5 and 5.", ". 5 and 5 ."},
        {RV_BLEU_INTL, "\"this,\" she   said, is an example.", "\" this , \" she said , is an example ."},
        {RV_BLEU_INTL, "«naïve», said—he", "« naïve » , said — he"},
        {RV_BLEU_INTL, "1,000.50 € in 2000.", "1,000.50 € in 2000."},
        {RV_BLEU_INTL, "a+b=c", "a + b = c"},
        {RV_BLEU_INTL, "I'm here.\t ", "I ' m here ."},
        {RV_BLEU_INTL, "in 2000. \n", "in 2000."},
        {RV_BLEU_INTL, "&quot;", "& quot ;"},
        {RV_BLEU_CHAR, "I'm 你好", "I ' m 你 好"},
        {RV_BLEU_NONE, " a,b\xc2\xa0 c. ", "a,b c."},
        {RV_BLEU_13A, "bad \xff\xc3 bytes.", "bad \xff\xc3 bytes ."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_text out;
        cr_assert_eq(rv_bleu_tokenize(cases[i].t, false, cases[i].line, &out), RV_OK);
        cr_expect_str_eq(out.bytes, cases[i].tokens, "%s: '%s', expected '%s'", cases[i].line, out.bytes,
                         cases[i].tokens);
        rv_text_free(&out);
    }
    rv_text out;
    cr_assert_eq(rv_bleu_tokenize(RV_BLEU_13A, true, "ÉTÉ À PARIS", &out), RV_OK);
    cr_expect_str_eq(out.bytes, "été à paris");
    rv_text_free(&out);
    cr_expect_str_eq(rv_bleu_tokenizer_name(RV_BLEU_INTL), "intl");
    cr_expect_str_eq(rv_bleu_smoothing_name(RV_SMOOTH_FLOOR), "floor");
    cr_expect_null(rv_bleu_smoothing_name(RV_SMOOTH_NONE + 1));
}

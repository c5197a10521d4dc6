/* Scores that sacreBLEU and others publish; statistics that add; what is printed. */
#include <criterion/criterion.h>
#include <string.h>

#include "evaluate/chrf.h"

typedef struct {
    int64_t n;
    const char *hyp[2], *ref[2];
    double score;
} example;

static void check(rv_chrf_options o, const example *e, int n) {
    for (int i = 0; i < n; i++) {
        double score;
        cr_assert_eq(rv_chrf_corpus(&o, e[i].n, e[i].hyp, 1, e[i].ref, NULL, &score), RV_OK, "%s", rv_error_message());
        cr_expect_float_eq(score, e[i].score, 1e-4, "'%s': %f, expected %f", e[i].hyp[0], score, e[i].score);
    }
}
#define CHECK(o, e) check((rv_chrf_options)o, e, (int)(sizeof(e) / sizeof *(e)))
#define OPTIONS(...)                                                                                                   \
    { __VA_ARGS__ }

/* beta 3; the mean over all orders, as chrF++.py has it, so short sentences lose the orders that they lack. */
Test(chrf, all_orders) {
    static const example cases[] = {
        {1, {"abcdefg"}, {"hijklmnop"}, 0},
        {1, {"a"}, {"b"}, 0},
        {1, {""}, {"b"}, 0},
        {1, {""}, {"reference"}, 0},
        {1, {"aa"}, {"ab"}, 8.3333},
        {2, {"a", "b"}, {"a", "c"}, 8.3333},
        {1, {"a"}, {"a"}, 16.6667},
        {1, {"a b c"}, {"a b c"}, 50},
        {1, {"a b c"}, {"abc"}, 50},
        {1,
         {" risk assessment must be made of those who are qualified and expertise in the sector - these are the "
          "scientists ."},
         {"risk assessment has to be undertaken by those who are qualified and expert in that area - that is the "
          "scientists ."},
         63.361730},
        {1,
         {" Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. "},
         {"Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich."},
         64.1302698},
        {1,
         {"Niemand hat die Absicht, eine Mauer zu errichten"},
         {"Niemand hat die Absicht, eine Mauer zu errichten"},
         100},
    };
    CHECK(OPTIONS(.beta = 3, .eps_smoothing = true), cases);

    static const example czech[] = {
        /* beta 2 */
        {1,
         {"Co nás nejvíc trápí, protože lékaři si vybírají, kdo bude žít a kdo zemře."},
         {"Nejvíce smutní jsme z toho, že musíme rozhodovat o tom, kdo bude žít a kdo zemře."},
         39.14078509},
        {1,
         {"Nebo prostě nemají vybavení, které by jim pomohlo, uvedli lékaři."},
         {"A někdy nemáme ani potřebný materiál, abychom jim pomohli, popsali lékaři."},
         31.22557079},
        {1,
         {"Lapali po dechu, jejich životy skončily dřív, než skutečně začaly."},
         {"Lapali po dechu a pak jejich život skončil - dřív, než skutečně mohl začít, připomněli."},
         57.15704367},
    };
    CHECK(OPTIONS(.eps_smoothing = true), czech);
}

Test(chrf, effective_orders) {
    static const example cases[] = {
        {1, {"a"}, {"a"}, 100},          {1, {""}, {"reference"}, 0}, {1, {"a b c"}, {"a b c"}, 100},
        {1, {"a b c"}, {"abc"}, 100},    {1, {""}, {"c"}, 0},         {1, {"aa"}, {"ab"}, 25},
        {2, {"a", "b"}, {"a", "c"}, 50},
    };
    CHECK(OPTIONS(.beta = 3), cases);
    static const example spaces[] = {
        {1,
         {"Die Beziehung zwischen Obama und Netanjahu ist nicht gerade freundlich."},
         {"Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich."},
         67.3481606},
        {1,
         {"risk assessment must be made of those who are qualified and expertise in the sector - these are the "
          "scientists ."},
         {"risk assessment has to be undertaken by those who are qualified and expert in that area - that is the "
          "scientists ."},
         65.2414427},
    };
    CHECK(OPTIONS(.beta = 3, .keep_space = true), spaces);
}

/* The example of Hugging Face evaluate's page on chrF. */
Test(chrf, words) {
    example e[] = {{2,
                    {"The relationship between cats and dogs is not exactly friendly.",
                     "a good bookshop is just a genteel black hole that knows how to read."},
                    {"The relationship between dogs and cats is not exactly friendly.",
                     "A good bookshop is just a genteel Black Hole that knows how to read."},
                    84.64214891738334}};
    CHECK(OPTIONS(0), e);
    e[0].score = 82.87263011276592;
    CHECK(OPTIONS(.word_order = 2), e);
    e[0].score = 92.12853119829202;
    CHECK(OPTIONS(.word_order = 2, .lowercase = true), e);
}

/* sacreBLEU's README: two references; and sums of sentences. */
Test(chrf, references_and_sums) {
    enum { N = 3, REFS = 2 };
    static const char *const hyps[N] = {"The dog bit the man.", "It wasn't surprising.",
                                        "The man had just bitten him."};
    static const char *const refs[REFS * N] = {"The dog bit the man.",   "It was not unexpected.",
                                               "The man bit him first.", "The dog had bit the man.",
                                               "No one was surprised.",  "The man had bitten the dog."};
    rv_chrf_options o = {0};
    rv_chrf_stats each[N], sum = {0}, alone;
    double score;
    char buf[RV_METRIC_TEXT];
    cr_assert_eq(rv_chrf_corpus(&o, N, hyps, REFS, refs, each, &score), RV_OK);
    cr_expect_str_eq(rv_chrf_text(&o, score, buf), "chrF2 = 59.73");
    for (int i = 0; i < N; i++) {
        const char *of_i[REFS] = {refs[i], refs[N + i]};
        cr_assert_eq(rv_chrf_count(&o, hyps[i], REFS, of_i, &alone), RV_OK);
        cr_expect_arr_eq(&alone, &each[i], sizeof alone);
        rv_chrf_add(&sum, &each[i]);
    }
    cr_expect_eq(rv_chrf_from_stats(&o, &sum), score);
}

/* An order that the reference is too short for counts on neither side. */
Test(chrf, short_reference) {
    rv_chrf_options o = {.char_order = 2};
    const char *hyp = "abc", *ref = "a";
    rv_chrf_stats s;
    cr_assert_eq(rv_chrf_count(&o, hyp, 1, &ref, &s), RV_OK);
    cr_expect(s.hyp[0] == 3 && s.ref[0] == 1 && s.match[0] == 1);
    cr_expect(s.hyp[1] == 0 && s.ref[1] == 0 && s.match[1] == 0);
}

Test(chrf, printed) {
    char buf[RV_METRIC_TEXT];
    rv_chrf_options o = {0}, plus = {.word_order = 2, .lowercase = true};
    cr_expect_str_eq(rv_chrf_signature(&o, 1, buf),
                     "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:ravel-" RV_VERSION);
    cr_expect_str_eq(rv_chrf_signature(&plus, 1, buf),
                     "nrefs:1|case:lc|eff:yes|nc:6|nw:2|space:no|version:ravel-" RV_VERSION);
    cr_expect_str_eq(rv_chrf_text(&plus, 12.34, buf), "chrF2++ = 12.34");
}

/* Spans of a text: what a token costs goes to the bytes it is of, and nothing gets lost. */
#include <criterion/criterion.h>
#include <math.h>

#include "train/text_spans.h"

/* 200 bytes: the first 10, which nothing predicts; then 60, of which 54 are in the first span of 64; then 130. */
static uint32_t length[] = {10, 60, 130};

Test(text_spans, a_token_over_several_spans) {
    rv__spans s;
    rv_split part = {.n = 3, .text = {.length = length, .bytes = 200}};
    cr_assert_eq(rv__spans_make(&part, &s), RV_OK);
    cr_assert_eq(s.width, 64);
    cr_assert_eq(s.n, 4);
    rv__spans_add(&s, 0, 6, true);
    rv__spans_add(&s, 1, 13, false);
    static const int64_t bytes[] = {54, 64, 64, 8}, tokens[] = {1, 1, 0, 0}, correct[] = {1, 0, 0, 0};
    static const double nats[] = {5.4, 0.6 + 5.8, 6.4, 0.8};
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(s.example[i].bytes, bytes[i], "%d", i);
        cr_expect_eq(s.example[i].score.tokens, tokens[i], "%d", i);
        cr_expect_eq(s.example[i].score.correct, correct[i], "%d", i);
        cr_expect_float_eq(s.example[i].score.nats, nats[i], 1e-12, "%d: %g", i, s.example[i].score.nats);
    }
    rv__spans_free(&s);
}

Test(text_spans, unknown_words_have_no_bytes) {
    rv__spans s;
    rv_split part = {.n = 3, .text = {.length = length, .bytes = 200}, .unknown = 1};
    cr_assert_eq(rv__spans_make(&part, &s), RV_OK);
    rv__spans_add(&s, 1, 13, false);
    for (int i = 0; i < 4; i++) cr_expect_eq(s.example[i].bytes, 0);
    cr_expect_float_eq(s.example[2].score.nats, 6.4, 1e-12);
    rv__spans_free(&s);
}

/* The width follows from the text's length alone. */
Test(text_spans, width) {
    static const struct {
        int64_t bytes, width, n;
    } cases[] = {{1, 64, 1}, {64 * 256, 64, 256}, {100000, 390, 257}, {1024 * 256, 1024, 256}, {3000000, 1024, 2930}};
    uint32_t one = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv__spans s;
        rv_split part = {.n = 1, .text = {.length = &one, .bytes = cases[i].bytes}};
        cr_assert_eq(rv__spans_make(&part, &s), RV_OK);
        cr_expect_eq(s.width, cases[i].width);
        cr_expect_eq(s.n, cases[i].n);
        rv__spans_free(&s);
    }
}

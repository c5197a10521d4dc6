/* Spans by hand, rule by rule, and of random taggings as conlleval counts them (tests/reference/make_spans.py). */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate/spans.h"
#include "support/reference.h"

/* In the order of TAGS in make_spans.py. */
static const char *const bio[] = {"B-LOC", "B-MISC", "B-PER-X", "I-LOC", "I-MISC", "I-PER-X", "O"};
static const char *const bioes[] = {"B-LOC",  "B-MISC",  "B-PER-X", "E-LOC",  "E-MISC",  "E-PER-X", "I-LOC",
                                    "I-MISC", "I-PER-X", "S-LOC",   "S-MISC", "S-PER-X", "O"};
enum { BIO = sizeof bio / sizeof *bio, BIOES = sizeof bioes / sizeof *bioes, LONGEST = 20, TYPES = 3 };

static const struct {
    const char *name;
    rv_span_scheme scheme;
    const char *const *tags;
    int n;
} schemes[] = {
    {"bio", RV_SPANS_BIO, bio, BIO}, {"iob1", RV_SPANS_IOB1, bio, BIO}, {"bioes", RV_SPANS_BIOES, bioes, BIOES}};
enum { SCHEMES = sizeof schemes / sizeof *schemes };

static rv_span_tags make(int k) {
    rv_span_tags t;
    cr_assert_eq(rv_span_tags_make(schemes[k].n, schemes[k].tags, schemes[k].scheme, &t), RV_OK);
    return t;
}

/* "B-L I-L O": tags by prefix and the first letter of their type. */
static int64_t parse(int k, const char *text, int32_t *tags) {
    int64_t n = 0;
    for (const char *p = text; *p; p += strcspn(p, " "), p += *p == ' ') {
        int32_t tag = 0;
        while (strncmp(p, schemes[k].tags[tag], *p == 'O' ? 1 : 3)) cr_assert_lt(++tag, schemes[k].n, "%s", p);
        tags[n++] = tag;
    }
    return n;
}

/* ---- the rules ---- */

Test(spans, what_is_a_span) {
    static const struct {
        int k;                    /* of schemes */
        const char *text, *spans; /* begin-end and the type's letter */
        int malformed;
    } cases[] = {
        {0, "", "", 0},
        {0, "O O", "", 0},
        {0, "B-L I-L O B-M", "0-2L 3-4M", 0},
        {0, "B-L B-L I-L", "0-1L 1-3L", 0},
        {0, "I-L I-L O", "0-2L", 1},        /* I at the beginning begins one */
        {0, "O I-L", "1-2L", 1},            /* and after O */
        {0, "B-L I-M I-M", "0-1L 1-3M", 1}, /* and after another type */
        {0, "B-L I-L I-M I-L", "0-2L 2-3M 3-4L", 2},
        {0, "B-L O I-L", "0-1L 2-3L", 1}, /* no span goes on over O */
        {1, "I-L I-L O I-L", "0-2L 3-4L", 0},
        {1, "I-L B-L I-L", "0-1L 1-3L", 0},
        {1, "I-L I-M", "0-1L 1-2M", 0},
        {1, "B-L I-L", "0-2L", 1}, /* a B that parts nothing */
        {1, "I-M B-L", "0-1M 1-2L", 1},
        {2, "B-L I-L E-L S-L O S-M", "0-3L 3-4L 5-6M", 0},
        {2, "B-L E-L B-L E-L", "0-2L 2-4L", 0},
        {2, "S-L S-L", "0-1L 1-2L", 0},
        {2, "B-L", "0-1L", 1}, /* never ends */
        {2, "B-L O", "0-1L", 1},
        {2, "B-L B-L E-L", "0-1L 1-3L", 1},
        {2, "B-L I-L S-L", "0-2L 2-3L", 1},
        {2, "E-L E-L", "0-1L 1-2L", 2}, /* E ends what it begins */
        {2, "O I-L E-L", "1-3L", 1},
        {2, "S-L I-L E-L", "0-1L 1-3L", 1},
        {2, "B-L E-L I-L", "0-2L 2-3L", 2},
        {2, "B-L E-M", "0-1L 1-2M", 1},
        {2, "B-L I-M E-M", "0-1L 1-3M", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_span_tags t = make(cases[i].k);
        int32_t tags[LONGEST];
        rv_span s[LONGEST];
        char got[128] = "";
        int64_t n = parse(cases[i].k, cases[i].text, tags), spans = rv_spans(&t, tags, n, s);
        for (int64_t j = 0; j < spans; j++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d-%d%c", j ? " " : "", (int)s[j].begin,
                     (int)s[j].end, *t.type_name[s[j].type]);
        cr_expect_str_eq(got, cases[i].spans, "%s: %s, not %s", cases[i].text, got, cases[i].spans);
        int64_t malformed = rv_spans_malformed(&t, tags, n);
        cr_expect_eq(malformed, cases[i].malformed, "%s: %d places, not %d", cases[i].text, (int)malformed,
                     cases[i].malformed);
        rv_span_tags_free(&t);
    }
}

Test(spans, right_ones_have_the_same_begin_end_and_type) {
    rv_span_tags t = make(0);
    int32_t gold[LONGEST], told[LONGEST];
    rv_span room[2 * LONGEST];
    rv_span_counts all = {1, 2, 1}, by_type[TYPES] = {{0}};
    int64_t n = parse(0, "B-L I-L O B-M O B-P I-P B-L I-L B-M", gold);
    cr_assert_eq(parse(0, "B-L I-L O B-P O B-P O I-L I-L B-M", told), n); /* I-L marks what B-L does */
    rv_spans_count(&t, gold, told, n, room, &all, by_type);
    cr_expect(all.gold == 1 + 5 && all.told == 2 + 5 && all.right == 1 + 3, "%d %d %d", (int)all.gold, (int)all.told,
              (int)all.right);
    static const rv_span_counts want[] = {{2, 2, 2}, {2, 1, 1}, {1, 2, 0}};
    for (int k = 0; k < TYPES; k++)
        cr_expect(by_type[k].gold == want[k].gold && by_type[k].told == want[k].told &&
                      by_type[k].right == want[k].right,
                  "%s", t.type_name[k]);
    rv_spans_count(&t, gold, gold, n, room, &all, NULL);
    cr_expect(all.gold == 11 && all.told == 12 && all.right == 9);
    rv_span_tags_free(&t);
}

Test(spans, precision_recall_and_f1) {
    rv_span_counts c = {8, 6, 3}, untold = {4, 0, 0}, unfounded = {0, 4, 0}, none = {0};
    cr_expect_float_eq(rv_spans_precision(&c), 0.5, 1e-15);
    cr_expect_float_eq(rv_spans_recall(&c), 0.375, 1e-15);
    cr_expect_float_eq(rv_spans_f1(&c), 2 * 0.5 * 0.375 / (0.5 + 0.375), 1e-15);
    cr_expect(rv_spans_precision(&untold) == 0 && rv_spans_recall(&untold) == 0 && rv_spans_f1(&untold) == 0);
    cr_expect(rv_spans_precision(&unfounded) == 0 && rv_spans_recall(&unfounded) == 0 && rv_spans_f1(&unfounded) == 0);
    cr_expect(isnan(rv_spans_precision(&none)) && isnan(rv_spans_recall(&none)) && isnan(rv_spans_f1(&none)));
}

/* ---- tags ---- */

Test(spans, tags_taken_apart) {
    static const char *const bilou[] = {"U-b", "O", "L-a-c", "B-a-c", "I-a-c", "U-a-c", "L-b"};
    rv_span_tags t;
    cr_assert_eq(rv_span_tags_make(7, bilou, RV_SPANS_BIOES, &t), RV_OK);
    cr_expect(t.n == 7 && t.n_types == 2 && t.scheme == RV_SPANS_BIOES);
    cr_expect(!strcmp(t.type_name[0], "a-c") && !strcmp(t.type_name[1], "b"));
    cr_expect_arr_eq(t.prefix, "SOEBISE", 7);
    cr_expect_arr_eq(t.type, ((int32_t[]){1, -1, 0, 0, 0, 0, 1}), 7 * sizeof *t.type);
    rv_span_tags_free(&t);
    cr_assert_eq(rv_span_tags_make(7, bilou, RV_SPANS_NONE, &t), RV_OK);
    cr_expect(t.n_types == 0 && t.type[0] == -1);
    cr_expect_arr_eq(t.prefix, "OOOOOOO", 7);
    cr_expect(rv_span_follows(&t, -1, 4) && rv_span_follows(&t, 3, -1));
    rv_span_tags_free(&t);
    cr_assert_eq(rv_span_tags_make(7, bilou, RV_SPANS_BIO, &t), RV_EDATA);
    cr_expect(strstr(rv_error_message(), "'U-b'") && strstr(rv_error_message(), "BIO"), "%s", rv_error_message());
    cr_expect(!t.prefix && !t.n);
}

Test(spans, which_tags_are_of_spans) {
    static const struct {
        const char *tags[4];
        rv_span_scheme scheme;
    } cases[] = {
        {{"B-x", "I-x", "O"}, RV_SPANS_BIO},
        {{"B-x", "B-y"}, RV_SPANS_BIO},
        {{"O", "S-x", "B-x"}, RV_SPANS_BIOES},
        {{"O", "U-x", "B-x"}, RV_SPANS_BIOES},
        {{"B-x", "I-x", "E-x"}, RV_SPANS_BIOES},
        {{"B-x", "L-x"}, RV_SPANS_BIOES},
        {{"O"}, RV_SPANS_NONE},
        {{NULL}, RV_SPANS_NONE},
        {{"NOUN", "VERB"}, RV_SPANS_NONE},
        {{"B-x", "I-x", "O", "X"}, RV_SPANS_NONE},
        {{"B-x", "I-"}, RV_SPANS_NONE},
        {{"B-x", "I"}, RV_SPANS_NONE},
        {{"B-x", "M-x"}, RV_SPANS_NONE},
        {{"B-x", "o"}, RV_SPANS_NONE},
        {{"B_x", "I_x"}, RV_SPANS_NONE},
        {{"B-x", ""}, RV_SPANS_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = 0;
        while (n < 4 && cases[i].tags[n]) n++;
        cr_expect_eq(rv_span_scheme_of(n, cases[i].tags, 0, NULL, NULL), cases[i].scheme, "case %zu", i);
    }
}

Test(spans, taggings_tell_bio_from_iob1) {
    static const struct {
        const char *a, *b; /* sentences */
        rv_span_scheme scheme;
    } cases[] = {
        {"B-L I-L O", "B-L B-L", RV_SPANS_BIO},
        {"O O", "O", RV_SPANS_BIO},
        {"I-L O I-L I-L", "O", RV_SPANS_IOB1},
        {"O I-L B-L", "I-M I-M", RV_SPANS_IOB1},
        {"I-L I-M O", "O O", RV_SPANS_IOB1},
        {"I-L O", "B-L I-L", RV_SPANS_BIO}, /* an error in BIO; in IOB1 no sentence begins with B */
        {"I-L O", "I-M B-L", RV_SPANS_BIO},
        {"B-L I-L", "I-L", RV_SPANS_BIO}, /* the second sentence does not go on with the first one's span */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t tags[LONGEST];
        int64_t at[3] = {0};
        at[1] = parse(0, cases[i].a, tags);
        at[2] = at[1] + parse(0, cases[i].b, tags + at[1]);
        cr_expect_eq(rv_span_scheme_of(BIO, bio, 2, at, tags), cases[i].scheme, "%s | %s", cases[i].a, cases[i].b);
    }
}

/* Each prefix followed by each, of the same type and of another: 1, or 0 where the scheme has no such neighbours. */
Test(spans, what_may_follow) {
    static const char *const all[] = {"B-L", "I-L", "E-L", "S-L", "B-M", "I-M", "E-M", "S-M", "O", "-"};
    static const struct {
        int k;
        const char *from, *may; /* a digit for each of `all` that the scheme has; "-" is outside of the sentence */
    } cases[] = {
        {0, "B-L", "11..10..11"}, {0, "I-L", "11..10..11"}, {0, "O", "10..10..11"},   {0, "-", "10..10..11"},
        {1, "B-L", "11..01..11"}, {1, "I-L", "11..01..11"}, {1, "O", "01..01..11"},   {1, "-", "01..01..11"},
        {2, "B-L", "0110000000"}, {2, "I-L", "0110000000"}, {2, "E-L", "1001100111"}, {2, "S-L", "1001100111"},
        {2, "O", "1001100111"},   {2, "-", "1001100111"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rv_span_tags t = make(cases[i].k);
        int32_t from = -1, to;
        if (*cases[i].from != '-') parse(cases[i].k, cases[i].from, &from);
        for (int j = 0; j < 10; j++) {
            to = -1;
            if (cases[i].may[j] == '.') continue;
            if (*all[j] != '-') parse(cases[i].k, all[j], &to);
            cr_expect_eq(rv_span_follows(&t, from, to), cases[i].may[j] == '1', "%s: %s, %s", schemes[cases[i].k].name,
                         cases[i].from, all[j]);
        }
        rv_span_tags_free(&t);
    }
}

/* ---- as conlleval counts ---- */

static double *stored(const char *scheme, const char *name, int64_t *n) {
    char path[64];
    int64_t dims[8];
    snprintf(path, sizeof path, "%s/%s", scheme, name);
    double *x = rv_ref_read("spans.h5", path, NULL, dims);
    *n = dims[0];
    return x;
}

static int32_t *stored_tags(const char *scheme, const char *name) {
    int64_t n;
    double *x = stored(scheme, name, &n);
    int32_t *tags = malloc((size_t)n * sizeof *tags);
    for (int64_t i = 0; i < n; i++) tags[i] = (int32_t)x[i];
    free(x);
    return tags;
}

static void expect_counts(const double *want, const rv_span_counts *got, const char *scheme, int64_t i) {
    cr_expect((double)got->gold == want[0] && (double)got->told == want[1] && (double)got->right == want[2],
              "%s, %d: %d %d %d, not %g %g %g", scheme, (int)i, (int)got->gold, (int)got->told, (int)got->right,
              want[0], want[1], want[2]);
}

static int64_t compare_scheme(int k) {
    const char *name = schemes[k].name;
    rv_span_tags t = make(k);
    rv_span room[2 * LONGEST];
    rv_span_counts by_type[TYPES] = {{0}};
    int64_t sentences, n;
    int32_t *gold = stored_tags(name, "gold"), *told = stored_tags(name, "told");
    double *at = stored(name, "at", &n), *counts = stored(name, "counts", &sentences),
           *malformed = stored(name, "malformed", &n), *types = stored(name, "types", &n);
    cr_assert_eq(n, TYPES);
    for (int64_t i = 0; i < sentences; i++) {
        rv_span_counts c = {0};
        int64_t from = (int64_t)at[i], length = (int64_t)at[i + 1] - from;
        cr_assert_leq(length, LONGEST);
        rv_spans_count(&t, gold + from, told + from, length, room, &c, by_type);
        expect_counts(counts + 3 * i, &c, name, i);
        cr_expect_eq((double)rv_spans_malformed(&t, told + from, length), malformed[i], "%s, %d", name, (int)i);
    }
    for (int k2 = 0; k2 < TYPES; k2++) expect_counts(types + 3 * k2, &by_type[k2], t.type_name[k2], -1);
    free(gold), free(told), free(at), free(counts), free(malformed), free(types);
    rv_span_tags_free(&t);
    return sentences;
}

Test(spans, random_taggings_as_conlleval_counts_them) {
    int64_t sentences = 0;
    for (int k = 0; k < SCHEMES; k++) sentences += compare_scheme(k);
    cr_expect_geq(sentences, 2000);
}

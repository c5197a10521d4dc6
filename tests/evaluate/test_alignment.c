/* Links from text and from attention, their error rate, the choice of a head, and weights as HDF5. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "evaluate/alignment.h"

static char path[64];
static void write_file(const char *text) {
    snprintf(path, sizeof path, "/tmp/ravel-alignment-%ld", (long)getpid());
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

Test(alignment, links_of_a_file) {
    rv_links l;
    write_file("0-0 2-1 1p2 2-1 2p1\n\n10-3\t0-0\r\n5p7");
    cr_assert_eq(rv_links_load(path, &l), RV_OK, "%s", rv_error_message());
    cr_assert_eq(l.sentences, 4);
    cr_expect_arr_eq(l.start, ((int64_t[]){0, 3, 3, 5, 6}), 5 * sizeof *l.start);
    static const rv_link want[] = {{0, 0, false}, {1, 2, true},   {2, 1, false},
                                   {0, 0, false}, {10, 3, false}, {5, 7, true}};
    for (int i = 0; i < 6; i++)
        cr_expect(l.link[i].source == want[i].source && l.link[i].target == want[i].target &&
                      l.link[i].possible == want[i].possible,
                  "link %d", i);
    rv_links_free(&l);
    static const char *const bad[] = {"0-0\n1-1 1-x 2-2", "0-0\n1-1 1:2",           "0-0\n1-1 1-2-3",
                                      "0-0\n1-1 -2",      "0-0\n1-1 99999999999-0", "0-0\n1-1 3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char at[96];
        write_file(bad[i]);
        cr_expect_eq(rv_links_load(path, &l), RV_EDATA);
        snprintf(at, sizeof at, "%s:2:5: ", path);
        cr_expect_eq(strncmp(rv_error_message(), at, strlen(at)), 0, "%s", rv_error_message());
        rv_links_free(&l);
    }
    unlink(path);
}

static void parse(rv_links *l, const char *text) {
    write_file(text);
    cr_assert_eq(rv_links_load(path, l), RV_OK, "%s", rv_error_message());
    unlink(path);
}

/* By hand: A = 5 links; S = 4; |A & S| = 2, |A & P| = 3: 1 - 5/9. */
Test(alignment, error_rate) {
    rv_links gold, system, shorter;
    parse(&gold, "0-0 1-1 1p2 2p2\n0-1 1-0\n");
    parse(&system, "0-0 1-2 2-1\n0-1 1-1\n");
    parse(&shorter, "0-0\n");
    rv_aer_stats s = {0};
    cr_assert_eq(rv_aer_count(&system, &gold, &s), RV_OK);
    cr_expect(s.links == 5 && s.sure == 4 && s.in_sure == 2 && s.in_possible == 3);
    cr_expect_float_eq(rv_aer(&s), 1 - 5.0 / 9, 1e-12);
    cr_expect_float_eq(rv_aer_precision(&s), 0.6, 1e-12);
    cr_expect_float_eq(rv_aer_recall(&s), 0.5, 1e-12);
    s = (rv_aer_stats){0};
    cr_expect_eq(rv_aer(&s), 0);
    cr_assert_eq(rv_aer_count(&gold, &gold, &s), RV_OK); /* possible links among A may be there: no error */
    cr_expect_eq(rv_aer(&s), 0);
    cr_expect_eq(rv_aer_count(&shorter, &gold, &s), RV_EDATA);
    rv_links_free(&gold);
    rv_links_free(&system);
    rv_links_free(&shorter);
}

/* Pieces: target "a|b c </s>", source "x y|z </s>"; the weights of y and z together win where x alone would. */
Test(alignment, pieces_to_words) {
    static const rv_real w[4 * 4] = {
        0.4, 0.3, 0.2, 0.1, /* a */
        0.0, 0.2, 0.6, 0.2, /* b: with a, y z 0.65 */
        0.7, 0.1, 0.1, 0.1, /* c */
        0.0, 0.0, 0.0, 1.0, /* </s> */
    };
    static const int32_t target[] = {0, 0, 1, -1}, source[] = {0, 1, 1, -1};
    rv_real out[4];
    rv_alignment_merge(4, 4, w, target, source, 2, 2, out);
    static const double want[] = {0.2, 0.65, 0.7, 0.2};
    for (int i = 0; i < 4; i++) cr_expect_float_eq(out[i], want[i], 1e-6);
    rv_links l = {0};
    cr_assert_eq(rv_alignment_links(2, 2, out, &l), RV_OK);
    cr_assert_eq(rv_alignment_links(1, 3, (rv_real[]){0, 0, 0}, &l), RV_OK);
    cr_assert_eq(rv_alignment_links(1, 3, (rv_real[]){0, (rv_real)0.5, (rv_real)0.5}, &l), RV_OK);
    cr_assert_eq(l.n, 3);
    cr_expect_arr_eq(l.start, ((int64_t[]){0, 2, 2, 3}), 4 * sizeof *l.start);
    cr_expect(l.link[0].source == 0 && l.link[0].target == 1 && l.link[1].source == 1 && l.link[1].target == 0 &&
              l.link[2].source == 1);
    rv_links_free(&l);
}

/* Both target words look at the second source word, one of them a little at the first: balanced, that is its own. */
Test(alignment, balanced) {
    rv_real w[4] = {(rv_real)0.2, (rv_real)0.8, 0, 1};
    rv_alignment_balance(2, 2, w);
    for (int i = 0; i < 2; i++) {
        cr_expect_float_eq(w[2 * i] + w[2 * i + 1], 1, 5e-2); /* columns come last */
        cr_expect_float_eq(w[i] + w[2 + i], 1, 1e-5);
    }
    rv_links l = {0};
    cr_assert_eq(rv_alignment_links_both(2, 2, w, &l), RV_OK);
    cr_assert_eq(rv_alignment_links_both(1, 2, (rv_real[]){(rv_real)0.9, (rv_real)0.1}, &l),
                 RV_OK); /* two source words for one */
    cr_assert_eq(l.n, 4);
    for (int i = 0; i < 2; i++) {
        cr_expect(l.link[i].source == i && l.link[i].target == i);
        cr_expect(l.link[2 + i].source == i && l.link[2 + i].target == 0);
    }
    rv_links_free(&l);
}

static void check_words(rv_tokenizer_type type, const char *line, int32_t words) {
    static const char text[] = "the cat sat. the dog sat, the end. the cat ended the dog";
    rv_tokenizer_spec spec = {
        .type = type, .vocab_size = type == RV_TOKENS_BPE ? 290 : 0, .specials = 1u << RV_EOS | 1u << RV_UNK};
    rv_tokenizer *tok;
    int32_t *ids, word[64];
    int64_t n;
    cr_assert_eq(rv_tokenizer_train(&spec, text, strlen(text), &tok), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_tokenizer_encode(tok, line, strlen(line), &ids, &n), RV_OK, "%s", rv_error_message());
    cr_expect_eq(rv_pieces_words(tok, ids, n, word), words, "%s", line);
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) { /* against the words of the line, counted up to the piece's first letter */
        rv_text piece;
        int32_t want = -1;
        cr_assert_eq(rv_tokenizer_decode(tok, ids + i, 1, &piece), RV_OK);
        size_t blank = strspn(piece.bytes, " ");
        for (size_t k = 0; type != RV_TOKENS_WORD && blank < piece.len && k <= at + blank; k++)
            want += line[k] != ' ' && (!k || line[k - 1] == ' ');
        cr_expect_eq(word[i], type == RV_TOKENS_WORD ? (int32_t)i : want, "'%s', piece %lld: %d", line, (long long)i,
                     word[i]);
        at += piece.len;
        rv_text_free(&piece);
    }
    int first = 0;
    while (word[first]) first++;
    int32_t eos[] = {ids[first], rv_tokenizer_special(tok, RV_EOS)};
    cr_expect_eq(rv_pieces_words(tok, eos, 2, word), 1);
    cr_expect(word[0] == 0 && word[1] == -1);
    free(ids);
    rv_tokenizer_destroy(tok);
}

Test(alignment, words_of_pieces) {
    check_words(RV_TOKENS_BPE, "the cat ended. sat, dog", 5);
    check_words(RV_TOKENS_BPE, "  thecat   ended ", 2);
    check_words(RV_TOKENS_CHAR, "the cat sat.", 3);
    check_words(RV_TOKENS_WORD, "the cat zzz", 3);
}

Test(alignment, entropy_chooses_a_head) {
    enum { T = 2, S = 4 };
    rv_real w[2][2][T][S]; /* flat, half, sharp, flat */
    for (int h = 0; h < 4; h++)
        for (int t = 0; t < T; t++)
            for (int s = 0; s < S; s++)
                (&w[0][0])[h][t][s] = h == 1 ? (rv_real)(s < 2) / 2 : h == 2 ? (rv_real)(s == t) : (rv_real)0.25;
    static const char *const labels[] = {"a", "b", "c", "d"};
    rv_alignment a[2] = {{T, S, 2, 2, &w[0][0][0][0], labels, labels, NULL}};
    a[1] = a[0];
    cr_expect_float_eq(rv_alignment_entropy(2, a, 0, 0), log(4), 1e-6);
    cr_expect_float_eq(rv_alignment_entropy(2, a, 0, 1), log(2), 1e-6);
    cr_expect_eq(rv_alignment_entropy(2, a, 1, 0), 0);
    int layer, head;
    rv_alignment_sharpest(2, a, &layer, &head);
    cr_expect(layer == 1 && head == 0);

    snprintf(path, sizeof path, "/tmp/ravel-alignment-%ld.h5", (long)getpid());
    for (int i = 0; i < 2; i++)
        cr_assert_eq(rv_alignment_save(path, 2, a), RV_OK, "%s", rv_error_message()); /* the second replaces */
    rv_checkpoint *ck;
    cr_assert_eq(rv_checkpoint_open(path, &ck), RV_OK, "%s", rv_error_message());
    const rv_ck_item *got = rv_checkpoint_find(ck, "/1/weights"), *text = rv_checkpoint_find(ck, "/0/source");
    cr_assert(got && text && rv_checkpoint_count(ck) == 6);
    cr_expect(got->ndim == 4 && got->dim[0] == 2 && got->dim[1] == 2 && got->dim[2] == T && got->dim[3] == S);
    cr_expect_arr_eq(got->data, w, sizeof w);
    cr_expect(text->dim[0] == S && text->dim[1] == 1 && !memcmp(text->data, "abcd", 4));
    rv_checkpoint_close(ck);
    unlink(path);
    cr_expect_eq(rv_alignment_save("/nowhere/a.h5", 2, a), RV_ECKPT);
    cr_expect(strstr(rv_error_message(), "/nowhere/a.h5"));
}

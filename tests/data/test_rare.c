/* Words seen once are read as <unk> now and then, inputs and targets of a step alike; unknown words are counted. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "data/pair_batch.h"
#include "data/rare.h"

static rv_tokenizer *words(const char *text, int64_t vocab_size, int32_t **ids, int64_t *n) {
    rv_tokenizer *tok;
    rv_tokenizer_spec spec = {.type = RV_TOKENS_WORD, .vocab_size = vocab_size};
    cr_assert_eq(rv_tokenizer_train(&spec, text, strlen(text), &tok), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_tokenizer_encode(tok, text, strlen(text), ids, n), RV_OK);
    return tok;
}

Test(rare, words_seen_once_become_unknown_in_half_of_the_steps) {
    int32_t *ids;
    int64_t n, replaced = 0;
    rv_tokenizer *tok = words("a a b b once", 0, &ids, &n);
    const int32_t once = ids[4], unk = rv_tokenizer_special(tok, RV_UNK);
    rv_rare rare;
    cr_assert_eq(rv_rare_make(tok, ids, n, 0.5, 7, &rare), RV_OK);
    for (int64_t step = 0; step < 1000; step++) {
        int32_t x[] = {ids[0], once, -1, ids[2]}, y[] = {once, -1, ids[2], ids[0]}, again[] = {once};
        rv_rare_replace(&rare, step, x, 4);
        rv_rare_replace(&rare, step, y, 4);
        rv_rare_replace(&rare, step, again, 1);
        cr_assert(x[0] == ids[0] && x[2] == -1 && x[3] == ids[2]);
        cr_assert(x[1] == y[0] && x[1] == again[0] && (x[1] == once || x[1] == unk), "input and target agree");
        replaced += x[1] == unk;
    }
    cr_expect(replaced > 440 && replaced < 560, "%lld", (long long)replaced);
    rv_rare_free(&rare);
    free(ids);
    rv_tokenizer_destroy(tok);
}

Test(rare, nothing_where_unknown_words_are_trained_anyway) {
    static const char text[] = "a a b b once";
    int32_t *ids;
    int64_t n;
    rv_rare rare;
    rv_tokenizer *tok = words(text, 2, &ids, &n); /* <unk> and a */
    cr_expect_eq(rv_tokenizer_unknown(tok, ids, n), 3);
    cr_expect(rv_rare_make(tok, ids, n, 0.5, 7, &rare) == RV_OK && !rare.once);
    free(ids);
    rv_tokenizer_destroy(tok);
    tok = words(text, 0, &ids, &n);
    cr_expect_eq(rv_tokenizer_unknown(tok, ids, n), 0);
    cr_expect(rv_rare_make(tok, ids, n, 0, 7, &rare) == RV_OK && !rare.once, "switched off");
    free(ids);
    rv_tokenizer_destroy(tok);
}

/* The text of a corpus in which somebody has replaced rare words already. */
Test(rare, unk_in_a_text_is_the_special_one) {
    int32_t *ids;
    int64_t n;
    rv_rare rare;
    rv_tokenizer *tok = words("a <unk> b <unk> b a once", 0, &ids, &n);
    cr_expect_eq(rv_tokenizer_size(tok), 4, "<unk>, a, b, once");
    cr_expect_eq(rv_tokenizer_unknown(tok, ids, n), 2);
    cr_expect(rv_rare_make(tok, ids, n, 0.5, 7, &rare) == RV_OK && !rare.once);
    rv_text back;
    cr_assert_eq(rv_tokenizer_decode(tok, ids, n, &back), RV_OK);
    cr_expect_str_eq(back.bytes, "a <unk> b <unk> b a once");
    rv_text_free(&back);
    free(ids);
    rv_tokenizer_destroy(tok);
}

Test(rare, of_sentence_pairs) {
    int32_t src[] = {5, 6, 5}, tgt[] = {7, 8, 8};
    int64_t src_at[] = {0, 2, 3}, tgt_at[] = {0, 2, 3}, unknown = 0;
    const rv_pairs pairs = {
        .n = 2, .src_ids = src, .tgt_ids = tgt, .src_at = src_at, .tgt_at = tgt_at, .src_longest = 2, .tgt_longest = 2};
    bool once[9] = {[6] = true, [7] = true};
    const rv_rare rare = {.once = once, .unk = 4, .p = 0.5, .seed = 3};
    const rv_pair_marks marks = {.src_pad = 0, .src_eos = 2, .tgt_pad = 0, .tgt_bos = 1, .tgt_eos = 2};
    const rv_pair_batch_spec spec = {.size = 2, .seed = 1, .marks = marks, .src_rare = &rare, .tgt_rare = &rare};
    rv_pair_batches *b;
    rv_pair_batch batch;
    cr_assert_eq(rv_pair_batches_create(&pairs, &spec, &b), RV_OK);
    for (int k = 0; k < 100; k++) {
        rv_pair_batches_next(b, &batch);
        const int64_t r = batch.index[0] ? 1 : 0; /* the row of pair 0 */
        const int32_t *in = batch.tgt_in + r * batch.T, *out = batch.tgt_out + r * batch.T;
        cr_assert(in[1] == out[0] && in[2] == 8 && out[1] == 8, "input and target agree");
        cr_assert(batch.src[r * batch.S] == 5);
        unknown += (out[0] == 4) + (batch.src[r * batch.S + 1] == 4);
    }
    cr_expect(unknown > 70 && unknown < 130, "%lld", (long long)unknown);
    cr_expect(src[1] == 6 && tgt[0] == 7, "the pairs stay");
    rv_pair_batches_destroy(b);
}

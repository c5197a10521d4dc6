/* Tokenizers: known vocabularies, exact round trips, hostile files. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/text.h"
#include "data/tokenizer.h"
#include "data/tokenizer_private.h"

static rv_tokenizer *train(rv_tokenizer_spec spec, const char *text, size_t len) {
    rv_tokenizer *tok;
    rv_status status = rv_tokenizer_train(&spec, text, len, &tok);
    cr_assert_eq(status, RV_OK, "%s", rv_error_message());
    return tok;
}

static void round_trip(rv_tokenizer *tok, const char *text, size_t len) {
    int32_t *ids;
    int64_t n;
    rv_text back;
    cr_assert_eq(rv_tokenizer_encode(tok, text, len, &ids, &n), RV_OK, "%s", rv_error_message());
    for (int64_t i = 0; i < n; i++) cr_assert(ids[i] >= 0 && ids[i] < rv_tokenizer_size(tok));
    cr_assert_eq(rv_tokenizer_decode(tok, ids, n, &back), RV_OK);
    cr_assert_eq(back.len, len, "%zu bytes in, %zu out", len, back.len);
    cr_assert(!memcmp(back.bytes, text, len));
    free(ids);
    rv_text_free(&back);
}

static const char *ids_text(rv_tokenizer *tok, const char *text, char *buf) {
    int32_t *ids;
    int64_t n;
    buf[0] = 0;
    cr_assert_eq(rv_tokenizer_encode(tok, text, strlen(text), &ids, &n), RV_OK, "%s", rv_error_message());
    for (int64_t i = 0; i < n; i++) {
        char one[16];
        snprintf(one, sizeof one, "%s%d", i ? " " : "", ids[i]);
        strcat(buf, one);
    }
    free(ids);
    return buf;
}

static const char *labels(rv_tokenizer *tok, const char *text, char *buf) {
    int32_t *ids;
    int64_t n;
    char one[64];
    buf[0] = 0;
    cr_assert_eq(rv_tokenizer_encode(tok, text, strlen(text), &ids, &n), RV_OK, "%s", rv_error_message());
    for (int64_t i = 0; i < n; i++) {
        if (i) strcat(buf, " ");
        strcat(buf, rv_tokenizer_label(tok, ids[i], one, sizeof one));
    }
    free(ids);
    return buf;
}

Test(tokenizer, char_ids_follow_code_points) {
    rv_tokenizer *tok = train((rv_tokenizer_spec){.type = RV_TOKENS_CHAR}, "ba\xc3\xa9 z\nab", 9);
    char buf[256];
    cr_assert_eq(rv_tokenizer_size(tok), 6);
    cr_assert_str_eq(ids_text(tok, "\n abz\xc3\xa9", buf), "0 1 2 3 4 5");
    int32_t *ids;
    int64_t n;
    cr_assert_eq(rv_tokenizer_encode(tok, "ab\xe2\x82\xac", 5, &ids, &n), RV_EDATA);
    cr_assert(strstr(rv_error_message(), "'\xe2\x82\xac' (U+20AC) at byte 2"), "%s", rv_error_message());
    cr_assert_eq(rv_tokenizer_encode(tok, "ab\xff", 3, &ids, &n), RV_EDATA);
    cr_assert(strstr(rv_error_message(), "0xff at offset 2"), "%s", rv_error_message());
    rv_tokenizer_destroy(tok);
    tok = train((rv_tokenizer_spec){.type = RV_TOKENS_CHAR, .specials = 1u << RV_UNK | 1u << RV_PAD}, "ba", 2);
    cr_assert_str_eq(ids_text(tok, "a?b", buf), "2 1 3");
    cr_assert_eq(rv_tokenizer_special(tok, RV_PAD), 0);
    cr_assert_eq(rv_tokenizer_special(tok, RV_BOS), -1);
    rv_tokenizer_destroy(tok);
}

/* <unk> comes where a limit leaves characters out, and there alone: vocabularies of before stay. */
Test(tokenizer, char_has_unk_for_what_is_left_out) {
    static const struct {
        int64_t vocab_size, min_frequency;
        unsigned specials;
        const char *ids; /* of "abc" */
    } rows[] = {
        {0, 0, 0, "0 1 2"},
        {3, 0, 0, "0 1 2"},
        {0, 1, 0, "0 1 2"},
        {0, 2, 0, "1 2 0"},
        {0, 3, 0, "1 0 0"},
        {2, 0, 0, "1 0 0"},
        {3, 2, 1u << RV_MASK, "2 0 0"},
        {0, 2, 1u << RV_BOS, "2 3 1"},
        {4, 1, 1u << RV_UNK, "1 2 3"},
    };
    char buf[64];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rv_tokenizer_spec spec = {.type = RV_TOKENS_CHAR,
                                  .vocab_size = rows[i].vocab_size,
                                  .min_frequency = rows[i].min_frequency,
                                  .specials = rows[i].specials};
        rv_tokenizer *tok = train(spec, "aaabbc", 6), *again;
        rv_text vocab, merges;
        cr_expect_str_eq(ids_text(tok, "abc", buf), rows[i].ids, "row %zu: %s", i, buf);
        cr_expect(!spec.vocab_size || rv_tokenizer_size(tok) <= spec.vocab_size, "row %zu", i);
        cr_assert_eq(rv_tokenizer_save(tok, &vocab, &merges), RV_OK);
        cr_assert_eq(rv_tokenizer_load(vocab.bytes, vocab.len, merges.bytes, merges.len, &again), RV_OK, "%s",
                     rv_error_message());
        cr_expect_str_eq(ids_text(again, "abc", buf), rows[i].ids);
        rv_text_free(&vocab);
        rv_text_free(&merges);
        rv_tokenizer_destroy(tok);
        rv_tokenizer_destroy(again);
    }
    rv_tokenizer *none;
    for (int type = RV_TOKENS_CHAR; type <= RV_TOKENS_WORD; type += RV_TOKENS_WORD)
        cr_expect_eq(rv_tokenizer_train(&(rv_tokenizer_spec){.type = (rv_tokenizer_type)type, .min_frequency = 9},
                                        "a b", 3, &none),
                     RV_EUSAGE);
    cr_expect(strstr(rv_error_message(), "min_frequency 9"), "%s", rv_error_message());
    cr_expect_eq(rv_tokenizer_train(&(rv_tokenizer_spec){.type = RV_TOKENS_CHAR, .vocab_size = 1}, "ab", 2, &none),
                 RV_EUSAGE);
}

Test(tokenizer, words_by_frequency_then_bytes) {
    const char *text = "b b a\n c c  b <unk>\n";
    rv_tokenizer *tok = train((rv_tokenizer_spec){.type = RV_TOKENS_WORD, .vocab_size = 5}, text, strlen(text));
    char buf[256];
    /* unk, which the text's own is; b (3); then newline and c (2 each, by bytes); then a */
    cr_assert_str_eq(ids_text(tok, "b \n c <unk> a zzz", buf), "1 2 3 0 4 0");
    rv_text back;
    cr_assert_eq(rv_tokenizer_decode(tok, (int32_t[]){1, 3, 2, 1, 0}, 5, &back), RV_OK);
    cr_assert_str_eq(back.bytes, "b c\nb <unk>");
    rv_text_free(&back);
    cr_assert_eq(rv_tokenizer_decode(tok, (int32_t[]){5}, 1, &back), RV_EDATA);
    rv_tokenizer_destroy(tok);
}

Test(tokenizer, normalises_and_lowers) {
    /* e + combining acute = U+00E9 under nfc; the ligature fi falls apart under nfkc alone. */
    char buf[256];
    rv_tokenizer *tok =
        train((rv_tokenizer_spec){.type = RV_TOKENS_WORD, .normalization = RV_NORMAL_NFC, .lowercase = true},
              "e\xcc\x81 \xef\xac\x81", 7);
    cr_assert_str_eq(labels(tok, "\xc3\x89 fi", buf), "\xc3\xa9 <unk>");
    rv_tokenizer_destroy(tok);
    tok = train((rv_tokenizer_spec){.type = RV_TOKENS_WORD, .normalization = RV_NORMAL_NFKC}, "\xef\xac\x81", 3);
    cr_assert_str_eq(labels(tok, "fi \xef\xac\x81", buf), "fi fi");
    rv_tokenizer_destroy(tok);
}

/* Worked by hand. Chunks: "ab" 2, " ab" 1, " abc" 2, " bc" 1. Pairs: ab 5, " a" 3, bc 3, " b" 1.
 * 1: a b (5).  Then: " "+ab 3, ab+c 2, " b" 1, bc 1.   2: " " ab (3).  Then: " ab"+c 2.   3: " ab" c (2). */
static const char tiny[] = "ab ab abc abc\nab bc";

Test(tokenizer, bpe_merges_worked_by_hand) {
    rv_tokenizer *tok = train((rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = 300}, tiny, strlen(tiny));
    rv_text vocab, merges;
    cr_assert_eq(rv_tokenizer_save(tok, &vocab, &merges), RV_OK);
    cr_assert_str_eq(merges.bytes, "a b\n\\s ab\n\\sab c\n");
    char buf[256];
    cr_assert_eq(rv_tokenizer_size(tok), 259);
    cr_assert_str_eq(ids_text(tok, "ab abc bc abab", buf), "256 258 32 98 99 257 256");
    rv_text_free(&vocab);
    rv_text_free(&merges);
    rv_tokenizer_destroy(tok);
}

Test(tokenizer, bpe_ties_go_to_the_smaller_symbols) {
    /* dc and ba and bc twice each: (b,a) has the smallest left, then the smallest right. */
    const char *text = "dc.bc.ba.dc.bc.ba";
    rv_tokenizer *tok = train((rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = 259}, text, strlen(text));
    rv_text vocab, merges;
    cr_assert_eq(rv_tokenizer_save(tok, &vocab, &merges), RV_OK);
    cr_assert_str_eq(merges.bytes, "b a\nb c\nd c\n");
    rv_text_free(&vocab);
    rv_text_free(&merges);
    rv_tokenizer_destroy(tok);
}

Test(tokenizer, bpe_characters_are_tokens_and_overlaps_join_leftmost) {
    const char *text = "\xc3\xa9\xc3\xa9\xc3\xa9 aaaaa \xe2\x82\xac"; /* one euro sign: too rare, bytes */
    rv_tokenizer *tok =
        train((rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = 258, .specials = 0}, text, strlen(text));
    char buf[256];
    cr_assert_str_eq(labels(tok, "\xc3\xa9\xe2\x82\xac", buf), "\xc3\xa9 \\xe2 \\x82 \\xac");
    cr_assert_str_eq(labels(tok, "aaaaa", buf), "aa aa a");
    rv_tokenizer_destroy(tok);
}

Test(tokenizer, bpe_chunks) {
    static const struct {
        const char *text, *chunks;
    } cases[] = {
        {"a bc", "[a][ bc]"},
        {"a  bc", "[a][ ][ bc]"},
        {"a\n bc ", "[a][\n][ bc][ ]"},
        {"\n\n  ", "[\n\n  ]"},
        {"it's 12.5!", "[it]['][s][ 12][.][5][!]"},
        {" \xc3\xa9t\xc3\xa9.", "[ \xc3\xa9t\xc3\xa9][.]"},
        {"a\t b", "[a][\t][ b]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[64] = "";
        size_t len = strlen(cases[i].text);
        for (size_t k, at = 0; at < len; at += k) {
            k = rv__bpe_chunk(cases[i].text + at, len - at);
            snprintf(got + strlen(got), sizeof got - strlen(got), "[%.*s]", (int)k, cases[i].text + at);
        }
        cr_assert_str_eq(got, cases[i].chunks);
    }
    char run[200];
    memset(run, 'x', sizeof run);
    cr_assert_eq(rv__bpe_chunk(run, sizeof run), 64);
}

/* The definition, counted anew for every merge, on texts of a, b and blanks. */
enum { PLAIN_MAX = 400, PLAIN_LEN = 300 };
typedef struct {
    char name[PLAIN_MAX][80];
    int n, size, v[PLAIN_LEN], start[PLAIN_LEN]; /* start: does symbol i begin a chunk? */
} plain;

static void plain_bpe(plain *p, const char *text, int vocab, char *merges) {
    static int64_t count[PLAIN_MAX][PLAIN_MAX];
    static char known[PLAIN_MAX][PLAIN_MAX];
    memset(known, 0, sizeof known);
    *merges = 0;
    p->n = 256, p->size = (int)strlen(text);
    for (int i = 0; i < 256; i++) p->name[i][0] = (char)i, p->name[i][1] = 0;
    strcpy(p->name[' '], "\\s");
    for (int i = 0, left = 0; i < p->size; i++, left--) {
        p->v[i] = (unsigned char)text[i];
        p->start[i] = left == 0;
        if (left == 0) left = (int)rv__bpe_chunk(text + i, (size_t)(p->size - i));
    }
    while (p->n < vocab) {
        int a = -1, b = -1, c = 0, m = 0;
        memset(count, 0, sizeof count);
        for (int i = 0; i + 1 < p->size; i++) count[p->v[i]][p->v[i + 1]] += !p->start[i + 1];
        for (int l = 0; l < p->n; l++)
            for (int r = 0; r < p->n; r++)
                if (count[l][r] > (a < 0 ? 1 : count[a][b])) a = l, b = r;
        if (a < 0) return;
        char joined[160];
        snprintf(joined, sizeof joined, "%s%s", p->name[a], p->name[b]);
        while (c < p->n && strcmp(p->name[c], joined)) c++;
        if (c == p->n) strcpy(p->name[p->n++], joined);
        if (!known[a][b]) sprintf(merges + strlen(merges), "%s %s\n", p->name[a], p->name[b]);
        known[a][b] = 1;
        for (int i = 0; i < p->size; i++, m++) {
            bool pair = i + 1 < p->size && p->v[i] == a && p->v[i + 1] == b && !p->start[i + 1];
            p->start[m] = p->start[i];
            p->v[m] = pair ? c : p->v[i];
            i += pair;
        }
        p->size = m;
    }
}

Test(tokenizer, bpe_learns_what_the_definition_says) {
    static plain p;
    static char want[PLAIN_MAX * 160];
    for (uint64_t seed = 0; seed < 60; seed++) {
        rv_rng r = rv_rng_make(seed, "test.bpe", 0);
        char text[PLAIN_LEN + 1] = "";
        for (int i = 0; i < PLAIN_LEN; i++) text[i] = "aaabb c d"[rv_rng_below(&r, 5 + seed % 5)];
        int vocab = 260 + (int)rv_rng_below(&r, 100);
        plain_bpe(&p, text, vocab, want);
        rv_tokenizer *tok = train((rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = vocab}, text, PLAIN_LEN);
        rv_text v, m;
        cr_assert_eq(rv_tokenizer_save(tok, &v, &m), RV_OK);
        cr_assert_str_eq(m.bytes, want, "seed %llu", (unsigned long long)seed);
        rv_text_free(&v), rv_text_free(&m);
        rv_tokenizer_destroy(tok);
    }
}

static char *noise(uint64_t seed, size_t *len) {
    rv_rng r = rv_rng_make(seed, "test", 0);
    *len = rv_rng_below(&r, 400);
    char *s = malloc(*len + 1);
    uint64_t kind = rv_rng_below(&r, 3); /* any bytes, few letters and spaces, mixed with UTF-8 */
    for (size_t i = 0; i < *len; i++) {
        s[i] = (char)rv_rng_u32(&r);
        if (kind == 1) s[i] = "ab \n\xc3"[(unsigned char)s[i] % 5];
        if (kind == 2 && i && rv_rng_below(&r, 2)) s[i - 1] = '\xc3', s[i] = (char)(0x80 | (s[i] & 0x3f));
    }
    return s;
}

Test(tokenizer, any_bytes_round_trip) {
    size_t len;
    for (uint64_t seed = 0; seed < 300; seed++) {
        char *learnt = noise(seed + 1000, &len);
        if (!len) learnt[len++] = 'x';
        rv_tokenizer *bpe = train(
            (rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = 259 + (int64_t)seed, .specials = 7}, learnt, len);
        rv_tokenizer *byte = train((rv_tokenizer_spec){.type = RV_TOKENS_BYTE, .specials = 2}, learnt, len);
        round_trip(bpe, learnt, len);
        free(learnt);
        for (uint64_t k = 0; k < 5; k++) {
            char *s = noise(seed * 5 + k, &len);
            round_trip(bpe, s, len);
            round_trip(byte, s, len);
            free(s);
        }
        rv_tokenizer_destroy(bpe);
        rv_tokenizer_destroy(byte);
    }
}

Test(tokenizer, saves_and_loads_equal) {
    for (int type = 0; type < 4; type++)
        for (unsigned specials = 0; specials < 32; specials += 5) {
            const char *text = type == RV_TOKENS_WORD ? "a b\n\\x \t<pad> c\\ a"
                                                      : "a\\b \n\t<pad> \xc3\xa9\x01\xc3\xa9 a\\b a\\b\xef\xbf\xbd";
            rv_tokenizer_spec spec = {
                .type = (rv_tokenizer_type)type, .vocab_size = type == RV_TOKENS_BPE ? 280 : 0, .specials = specials};
            rv_tokenizer *tok = train(spec, text, strlen(text)), *again;
            rv_text v, m, v2, m2;
            char one[512], two[512];
            cr_assert_eq(rv_tokenizer_save(tok, &v, &m), RV_OK);
            cr_assert_eq(rv_tokenizer_load(v.bytes, v.len, m.bytes, m.len, &again), RV_OK, "%s", rv_error_message());
            cr_assert_eq(rv_tokenizer_save(again, &v2, &m2), RV_OK);
            cr_assert_str_eq(v.bytes, v2.bytes);
            cr_assert_str_eq(m.bytes, m2.bytes);
            cr_assert_eq(rv_tokenizer_hash(tok), rv_tokenizer_hash(again));
            cr_assert_str_eq(ids_text(tok, text, one), ids_text(again, text, two));
            rv_text_free(&v), rv_text_free(&m), rv_text_free(&v2), rv_text_free(&m2);
            rv_tokenizer_destroy(tok);
            rv_tokenizer_destroy(again);
        }
}

Test(tokenizer, hostile_files_are_refused) {
    rv_tokenizer *tok = train((rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = 300}, tiny, strlen(tiny)), *got;
    rv_text v, m;
    cr_assert_eq(rv_tokenizer_save(tok, &v, &m), RV_OK);
    rv_tokenizer_destroy(tok);
    /* Cut at every length: never a crash, never accepted. */
    for (size_t n = 0; n < v.len; n++)
        cr_assert_eq(rv_tokenizer_load(v.bytes, n, m.bytes, m.len, &got), RV_EDATA, "cut at %zu", n);
    for (size_t n = 0; n < m.len; n++) {
        rv_status s =
            rv_tokenizer_load(v.bytes, v.len, m.bytes, n, &got); /* whole lines fewer are a valid, smaller file */
        bool line = n == 0 || m.bytes[n - 1] == '\n';
        cr_assert_eq(s, line ? RV_OK : RV_EDATA);
        if (s == RV_OK) rv_tokenizer_destroy(got);
    }
    /* Every byte replaced: refused, or what loads saves to exactly the same bytes. */
    for (size_t i = 0; i < v.len; i++)
        for (int c = 0; c < 256; c += 17) {
            char old = v.bytes[i];
            v.bytes[i] = (char)c;
            if (rv_tokenizer_load(v.bytes, v.len, m.bytes, m.len, &got) == RV_OK) {
                rv_text v2, m2;
                cr_assert_eq(rv_tokenizer_save(got, &v2, &m2), RV_OK);
                cr_assert(v2.len == v.len && !memcmp(v2.bytes, v.bytes, v.len), "byte %zu as %d", i, c);
                rv_text_free(&v2), rv_text_free(&m2);
                rv_tokenizer_destroy(got);
            }
            v.bytes[i] = old;
        }
    static const char *const headers[] = {
        "",
        "\n",
        "ravel-tokenizer 2 type=char normalization=none lowercase=0 min_frequency=0 specials= tokens=1\na\n",
        "ravel-tokenizer 1 type=chars normalization=none lowercase=0 min_frequency=0 specials= tokens=1\na\n",
        "ravel-tokenizer 1 type=char normalization=none lowercase=0 min_frequency=0 specials=eos,bos "
        "tokens=3\n<eos>\n<bos>\na\n",
        "ravel-tokenizer 1 type=char normalization=none lowercase=0 min_frequency=0 specials= tokens=99999999999\na\n",
        "ravel-tokenizer 1 type=char normalization=none lowercase=0 min_frequency=0 specials= tokens=1\na\na\n",
        "ravel-tokenizer 1 type=char normalization=none lowercase=0 min_frequency=0 specials= tokens=1\nab\n",
        "ravel-tokenizer 1 type=byte normalization=none lowercase=0 min_frequency=0 specials= tokens=1\na\n",
        "ravel-tokenizer 1 type=word normalization=none lowercase=0 min_frequency=0 specials=unk "
        "tokens=2\n<unk>\n\\q\n",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        cr_assert_eq(rv_tokenizer_load(headers[i], strlen(headers[i]), "", 0, &got), RV_EDATA, "header %zu", i);
        cr_assert(strstr(rv_error_message(), "line "), "%s", rv_error_message());
    }
    rv_text_free(&v), rv_text_free(&m);
}

/* 1.1 MB and 8000 merges: the counts are kept up to date, not made anew for each merge (which takes minutes). */
Test(tokenizer, bpe_of_tinyshakespeare) {
    const char *mirror = getenv("RAVEL_DATA_MIRROR");
    if (!mirror) cr_skip_test("RAVEL_DATA_MIRROR is not set");
    char path[512];
    snprintf(path, sizeof path, "%s/tinyshakespeare/input.txt", mirror);
    rv_text text;
    cr_assert_eq(rv_text_load(path, &text), RV_OK);
    double t0 = rv_now();
    rv_tokenizer *bpe = train((rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = 8256}, text.bytes, text.len);
    double t1 = rv_now();
    round_trip(bpe, text.bytes, text.len);
    double t2 = rv_now();
    cr_assert_eq(rv_tokenizer_size(bpe), 8256);
    cr_assert_lt(t1 - t0, 30);
    fprintf(stderr, "bpe: 8000 merges in %.2f s, encode and decode in %.2f s\n", t1 - t0, t2 - t1);
    rv_tokenizer_destroy(bpe);
    rv_text_free(&text);
}

/* The bytes that each id says, as "1 2 3"; `canonical` is what they are of. */
static void check_text(rv_tokenizer_spec spec, const char *train_on, const char *text, const char *expected,
                       const char *canonical) {
    rv_tokenizer *tok = train(spec, train_on, strlen(train_on)),
                 *bytes = train((rv_tokenizer_spec){.type = RV_TOKENS_BYTE}, "", 0);
    int32_t *ids;
    rv_tokens_text t, same;
    int64_t n;
    char buf[256] = "";
    cr_assert_eq(rv_tokenizer_encode(tok, text, strlen(text), &ids, &n), RV_OK, "%s", rv_error_message());
    cr_assert_eq(rv_tokenizer_text(tok, text, strlen(text), ids, n, true, &t), RV_OK);
    for (int64_t i = 0; i < n; i++)
        snprintf(buf + strlen(buf), sizeof buf - strlen(buf), "%s%u", i ? " " : "", t.length[i]);
    cr_expect_str_eq(buf, expected);
    cr_expect_eq(t.first_bytes, t.length[0]);
    free(ids);
    free(t.length);
    cr_assert_eq(rv_tokenizer_encode(bytes, canonical, strlen(canonical), &ids, &n), RV_OK);
    cr_assert_eq(rv_tokenizer_text(bytes, canonical, strlen(canonical), ids, n, false, &same), RV_OK);
    cr_expect_eq(t.bytes, (int64_t)strlen(canonical), "%s", canonical);
    cr_expect_eq(t.chars, rv_utf8_count(canonical, strlen(canonical)), "%s", canonical);
    cr_expect_eq(t.hash, same.hash, "whatever it was cut into: %s", canonical);
    cr_expect(!same.length);
    free(ids);
    rv_tokenizer_destroy(bytes);
    rv_tokenizer_destroy(tok);
}

Test(tokenizer, bytes_of_each_id) {
    check_text((rv_tokenizer_spec){.type = RV_TOKENS_CHAR}, "a\u00e9\u20ac", "\u20aca\u00e9", "3 1 2", "\u20aca\u00e9");
    /* <unk> says what it stands for; a rare one is left out. */
    check_text((rv_tokenizer_spec){.type = RV_TOKENS_CHAR, .min_frequency = 2}, "aab\u20ac", "a\u20acb\u20ac",
               "1 3 1 3", "a\u20acb\u20ac");
    check_text((rv_tokenizer_spec){.type = RV_TOKENS_BPE, .vocab_size = 258}, "abab abab abab", "abab c", "4 1 1",
               "abab c");
    /* Blanks are one between two words; those elsewhere, and more of them, no token says. */
    check_text((rv_tokenizer_spec){.type = RV_TOKENS_WORD}, "one two", "  one \t two  \n unseen  \u00e9 ", "3 4 1 6 3",
               "one two\nunseen \u00e9");
    check_text((rv_tokenizer_spec){.type = RV_TOKENS_WORD}, "one two", "one two\n\none", "3 4 1 1 3", "one two\n\none");
    /* The normalised text: U+FB01 is two letters in nfkc. */
    check_text((rv_tokenizer_spec){.type = RV_TOKENS_CHAR, .normalization = RV_NORMAL_NFKC, .lowercase = true}, "fi k",
               "\ufb01K", "1 1 1", "fik");
}

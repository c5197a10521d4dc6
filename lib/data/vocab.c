/* Tokenizers as plain text.
 *
 * vocab:  ravel-tokenizer 1 type=bpe normalization=nfkc lowercase=0 min_frequency=2 specials=pad,bos,eos tokens=8000
 *         <pad>
 *         ...one token a line, by id; ordinary ones escaped...
 * merges: left right          (bpe; line r is the merge of rank r, both sides escaped as above)
 *
 * Escapes: \s space, \n newline, \t tab, \\ backslash, \xHH any other byte below 0x21, 0x7f, or no part of valid UTF-8.
 * Each token has one spelling, so that equal tokenizers give equal texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "data/tokenizer_private.h"

const char *const rv__special_names[RV_SPECIALS] = {"<pad>", "<bos>", "<eos>", "<unk>", "<mask>"};
static const char *const form_names[] = {"none", "nfc", "nfkc"};

/* Escape key[0..len) into out (room for 4 len); returns the length written. */
static size_t escape(const char *key, size_t len, char *out) {
    static const char hex[] = "0123456789abcdef", plain[] = " \n\t\\", names[] = "snt\\";
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        int32_t cp;
        size_t k = (size_t)rv_utf8_next(key + i, len - i, &cp);
        unsigned char c = (unsigned char)key[i];
        const char *named = c ? strchr(plain, c) : NULL;
        if (named) {
            out[n++] = '\\', out[n++] = names[named - plain];
        } else if (k == 0 || c < 0x21 || c == 0x7f) {
            out[n++] = '\\', out[n++] = 'x', out[n++] = hex[c >> 4], out[n++] = hex[c & 15];
        } else {
            memcpy(out + n, key + i, k);
            n += k;
        }
        i += k ? k : 1;
    }
    return n;
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/* The inverse into out (room for len); returns the length, or 0 if it is no escaped token (none is empty). Only the one
 * spelling that escape gives is taken. */
static size_t unescape(const char *s, size_t len, char *out, char *scratch) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] != '\\') {
            out[n++] = s[i];
            continue;
        }
        if (++i == len) return 0;
        switch (s[i]) {
        case 's': out[n++] = ' '; break;
        case 'n': out[n++] = '\n'; break;
        case 't': out[n++] = '\t'; break;
        case '\\': out[n++] = '\\'; break;
        case 'x': {
            int hi = i + 2 < len ? hex_digit(s[i + 1]) : -1, lo = i + 2 < len ? hex_digit(s[i + 2]) : -1;
            if (hi < 0 || lo < 0) return 0;
            out[n++] = (char)(hi << 4 | lo);
            i += 2;
            break;
        }
        default: return 0;
        }
    }
    return escape(out, n, scratch) == len && !memcmp(scratch, s, len) ? n : 0;
}

const char *rv_tokenizer_label(const rv_tokenizer *tok, int32_t id, char *buf, size_t size) {
    if (id < 0 || id >= rv_tokenizer_size(tok)) {
        snprintf(buf, size, "<%d?>", id);
        return buf;
    }
    for (int i = 0; i < RV_SPECIALS; i++)
        if (tok->special[i] == id) {
            snprintf(buf, size, "%s", rv__special_names[i]);
            return buf;
        }
    size_t len, n = 0;
    const char *key = rv__intern_key(&tok->tokens, id - tok->specials, &len);
    for (size_t i = 0; i < len && size;) { /* character by character, so that a cut is never inside one */
        int32_t cp;
        size_t k = (size_t)rv_utf8_next(key + i, len - i, &cp);
        char one[16];
        size_t m = escape(key + i, k ? k : 1, one);
        if (n + m >= size) break;
        memcpy(buf + n, one, m);
        n += m, i += k ? k : 1;
    }
    if (size) buf[n] = 0;
    return buf;
}

/* ---- writing ---- */

enum { HEADER_MAX = 256 };

/* The header line of `spec` into buf (HEADER_MAX); returns its length. */
static size_t header(const rv_tokenizer_spec *s, long long tokens, char *buf) {
    char *p = buf;
    p += sprintf(p, "ravel-tokenizer 1 type=%s normalization=%s lowercase=%d min_frequency=%lld specials=",
                 rv_tokenizer_type_name(s->type), form_names[s->normalization], s->lowercase,
                 (long long)s->min_frequency);
    for (int i = 0, first = 1; i < RV_SPECIALS; i++)
        if (s->specials >> i & 1)
            p +=
                sprintf(p, "%s%.*s", first ? "" : ",", (int)strlen(rv__special_names[i]) - 2, rv__special_names[i] + 1),
                first = 0;
    p += sprintf(p, " tokens=%lld\n", tokens);
    return (size_t)(p - buf);
}

static rv_status write_vocab(const rv_tokenizer *tok, rv_text *out) {
    size_t total = HEADER_MAX + 64, len;
    for (int32_t i = 0; i < tok->tokens.n; i++) {
        rv__intern_key(&tok->tokens, i, &len);
        total += 4 * len + 1;
    }
    char *p = out->bytes = malloc(total);
    if (!p) return rv_error(RV_ENOMEM, "no memory to write a vocabulary of %d tokens", tok->tokens.n);
    p += header(&tok->spec, (long long)rv_tokenizer_size(tok), p);
    for (int i = 0; i < RV_SPECIALS; i++)
        if (tok->special[i] >= 0) p += sprintf(p, "%s\n", rv__special_names[i]);
    for (int32_t i = 0; i < tok->tokens.n; i++) {
        const char *key = rv__intern_key(&tok->tokens, i, &len);
        p += escape(key, len, p);
        *p++ = '\n';
    }
    *p = 0;
    out->len = (size_t)(p - out->bytes);
    return RV_OK;
}

static rv_status write_merges(const rv_tokenizer *tok, rv_text *out) {
    size_t total = 1, len;
    for (int32_t r = 0; r < tok->pairs.n; r++) {
        rv__intern_key(&tok->tokens, tok->merged[r], &len);
        total += 4 * len + 2;
    }
    char *p = out->bytes = malloc(total);
    if (!p) return rv_error(RV_ENOMEM, "no memory to write %d merges", tok->pairs.n);
    for (int32_t r = 0; r < tok->pairs.n; r++) {
        rv__merge m;
        memcpy(&m, rv__intern_key(&tok->pairs, r, &len), sizeof m);
        const char *key = rv__intern_key(&tok->tokens, m.left, &len);
        p += escape(key, len, p);
        *p++ = ' ';
        key = rv__intern_key(&tok->tokens, m.right, &len);
        p += escape(key, len, p);
        *p++ = '\n';
    }
    *p = 0;
    out->len = (size_t)(p - out->bytes);
    return RV_OK;
}

rv_status rv_tokenizer_save(const rv_tokenizer *tok, rv_text *vocab, rv_text *merges) {
    *vocab = *merges = (rv_text){0};
    rv_status status = write_vocab(tok, vocab);
    if (status == RV_OK) status = write_merges(tok, merges);
    if (status != RV_OK) rv_text_free(vocab);
    return status;
}

uint64_t rv_tokenizer_hash(const rv_tokenizer *tok) {
    rv_text vocab, merges;
    if (rv_tokenizer_save(tok, &vocab, &merges) != RV_OK) return 0;
    uint64_t h = XXH3_64bits_withSeed(merges.bytes, merges.len, XXH3_64bits(vocab.bytes, vocab.len));
    rv_text_free(&vocab);
    rv_text_free(&merges);
    return h;
}

/* ---- reading what may be hostile ---- */

typedef struct {
    const char *what, *s;
    size_t len;
    long long line; /* of the line last taken, from 1 */
} reader;

/* The next line without its newline; false at the end. A last line without newline is a cut file: it is reported by
 * *whole = false. */
static bool next_line(reader *r, const char **line, size_t *n, bool *whole) {
    if (!r->len) return false;
    const char *end = memchr(r->s, '\n', r->len);
    *whole = end != NULL;
    *line = r->s, *n = end ? (size_t)(end - r->s) : r->len;
    r->s += *n + *whole, r->len -= *n + *whole;
    r->line++;
    return true;
}

static rv_status bad(const reader *r, const char *why) {
    return rv_error(RV_EDATA,
                    "%s, line %lld: %s; the file is damaged or no ravel tokenizer's: train the tokenizer again or use "
                    "another checkpoint",
                    r->what, r->line, why);
}

static rv_status read_header(reader *r, rv_tokenizer_spec *spec, long long *tokens) {
    const char *line;
    size_t n;
    bool whole;
    char text[HEADER_MAX], type[8], form[8], specials[64];
    int lower, end = 0;
    long long min_frequency;
    *spec = (rv_tokenizer_spec){0};
    if (!next_line(r, &line, &n, &whole) || !whole || n >= sizeof text || memchr(line, 0, n))
        return bad(r, "no tokenizer header");
    memcpy(text, line, n);
    text[n] = 0;
    /* "specials=" may be empty, which %[ would not match: read up to it, then by hand. */
    if (sscanf(text, "ravel-tokenizer 1 type=%7[a-z] normalization=%7[a-z] lowercase=%d min_frequency=%lld specials=%n",
               type, form, &lower, &min_frequency, &end) != 4 ||
        !end)
        return bad(r, "no header of a version-1 tokenizer");
    size_t k = strspn(text + end, "abcdefghijklmnopqrstuvwxyz,");
    if (k >= sizeof specials) return bad(r, "too many specials");
    memcpy(specials, text + end, k);
    specials[k] = 0;
    if (sscanf(text + end + k, " tokens=%lld", tokens) != 1 || *tokens < 1 || *tokens > RV__VOCAB_MAX)
        return bad(r, "bad number of tokens");
    if (!rv_tokenizer_type_parse(type, &spec->type) || !rv_normal_form_parse(form, &spec->normalization) || lower < 0 ||
        lower > 1 || min_frequency < 0)
        return bad(r, "bad type, normalization, lowercase or min_frequency");
    spec->lowercase = lower, spec->min_frequency = min_frequency, spec->vocab_size = *tokens;
    char *save = NULL;
    for (char *w = strtok_r(specials, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        int i = 0;
        while (i < RV_SPECIALS &&
               (strlen(rv__special_names[i]) != strlen(w) + 2 || strncmp(rv__special_names[i] + 1, w, strlen(w))))
            i++;
        if (i == RV_SPECIALS || spec->specials >> i) return bad(r, "unknown special, or specials out of order");
        spec->specials |= 1u << i;
    }
    /* sscanf is lenient about blanks and signs; the one right spelling is what is written. */
    char again[HEADER_MAX];
    if (header(spec, *tokens, again) != n + 1 || memcmp(again, line, n)) return bad(r, "not as ravel writes it");
    return RV_OK;
}

static rv_status read_tokens(reader *r, rv_tokenizer *tok, long long tokens, char *key, char *scratch) {
    const char *line;
    size_t n;
    bool whole;
    for (int i = 0; i < RV_SPECIALS; i++) {
        if (tok->special[i] < 0) continue;
        if (!next_line(r, &line, &n, &whole) || !whole || n != strlen(rv__special_names[i]) ||
            memcmp(line, rv__special_names[i], n))
            return bad(r, "a special token is missing");
    }
    while (next_line(r, &line, &n, &whole)) {
        size_t len = whole ? unescape(line, n, key, scratch) : 0;
        if (!len) return bad(r, whole ? "not an escaped token" : "the last line is cut");
        int32_t before = tok->tokens.n, number = rv__intern_add(&tok->tokens, key, len);
        if (number < 0) return RV_ENOMEM;
        if (number != before) return bad(r, "a token appears twice");
        int32_t cp;
        if (tok->spec.type == RV_TOKENS_CHAR && (size_t)rv_utf8_next(key, len, &cp) != len)
            return bad(r, "not one character");
    }
    if (rv_tokenizer_size(tok) != tokens) return bad(r, "the number of tokens is not the header's");
    bool bytes = tok->spec.type == RV_TOKENS_BYTE || tok->spec.type == RV_TOKENS_BPE;
    if (bytes && tok->tokens.n < 256) return bad(r, "the 256 bytes are not all there");
    for (int b = 0; bytes && b < 256; b++) {
        size_t len;
        const char *k = rv__intern_key(&tok->tokens, b, &len);
        if (len != 1 || (unsigned char)*k != b) return bad(r, "the first tokens are not the 256 bytes");
    }
    if (tok->spec.type == RV_TOKENS_BYTE && tok->tokens.n != 256) return bad(r, "a byte tokenizer has 256 tokens");
    return RV_OK;
}

static rv_status read_merges(reader *r, rv_tokenizer *tok, char *key, char *scratch) {
    const char *line;
    size_t n;
    bool whole;
    int32_t tokens = tok->tokens.n;
    while (next_line(r, &line, &n, &whole)) {
        const char *space = memchr(line, ' ', n);
        if (!whole || !space || tok->spec.type != RV_TOKENS_BPE) return bad(r, "not a merge of two tokens");
        size_t left = (size_t)(space - line), len = unescape(line, left, key, scratch);
        int32_t a = len ? rv__intern_find(&tok->tokens, key, len) : -1;
        len = unescape(space + 1, n - left - 1, key, scratch);
        int32_t b = len ? rv__intern_find(&tok->tokens, key, len) : -1;
        if (a < 0 || b < 0) return bad(r, "a side of the merge is no token");
        rv_status status = rv__bpe_add_merge(tok, a, b);
        if (status == RV_EDATA) return bad(r, "the merge appears twice");
        if (status != RV_OK) return status;
        if (tok->tokens.n != tokens) return bad(r, "the merge makes a token that the vocabulary lacks");
    }
    return RV_OK;
}

rv_status rv_tokenizer_load(const char *vocab, size_t vocab_len, const char *merges, size_t merges_len,
                            rv_tokenizer **out) {
    *out = NULL;
    reader rv = {.what = "tokenizer vocabulary", .s = vocab, .len = vocab_len},
           rm = {.what = "tokenizer merges", .s = merges, .len = merges_len};
    rv_tokenizer_spec spec;
    long long tokens;
    RV_TRY(read_header(&rv, &spec, &tokens));
    size_t longest = (vocab_len > merges_len ? vocab_len : merges_len) + 1;
    rv_tokenizer *tok = rv__tokenizer_new(&spec);
    char *key = malloc(longest), *scratch = malloc(4 * longest);
    rv_status status =
        tok && key && scratch ? RV_OK : rv_error(RV_ENOMEM, "no memory to read a tokenizer of %zu bytes", vocab_len);
    if (status == RV_OK) status = read_tokens(&rv, tok, tokens, key, scratch);
    if (status == RV_OK) status = read_merges(&rm, tok, key, scratch);
    free(key);
    free(scratch);
    if (status == RV_OK)
        *out = tok;
    else
        rv_tokenizer_destroy(tok);
    return status;
}

/* ---- as files ---- */

static rv_status write_text(const char *folder, const char *name, const rv_text *t) {
    char path[RV__PATH];
    RV_TRY(rv__path(path, "%s/%s", folder, name));
    FILE *f = rv__file_begin(path);
    if (!f) return RV_EDATA;
    fwrite(t->bytes, 1, t->len, f); /* an error shows at the end */
    return rv__file_end(f, path, true);
}

rv_status rv_tokenizer_write(const rv_tokenizer *tok, const char *folder) {
    rv_text vocab, merges;
    RV_TRY(rv__make_folders(folder));
    RV_TRY(rv_tokenizer_save(tok, &vocab, &merges));
    rv_status status = write_text(folder, "vocab", &vocab);
    if (status == RV_OK) status = write_text(folder, "merges", &merges);
    rv_text_free(&vocab);
    rv_text_free(&merges);
    return status;
}

rv_status rv_tokenizer_read(const char *folder, rv_tokenizer **out) {
    char path[RV__PATH];
    rv_text vocab = {0}, merges = {0};
    *out = NULL;
    RV_TRY(rv__path(path, "%s/vocab", folder));
    rv_status status = rv_text_load(path, &vocab);
    if (status == RV_OK) status = rv__path(path, "%s/merges", folder);
    if (status == RV_OK) status = rv_text_load(path, &merges);
    if (status == RV_OK) {
        status = rv_tokenizer_load(vocab.bytes, vocab.len, merges.bytes, merges.len, out);
        if (status != RV_OK) rv_error_context(status, "%s: ", folder);
    }
    rv_text_free(&vocab);
    rv_text_free(&merges);
    return status;
}

#include "data/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "data/tokenizer_private.h"

static const char *const type_names[] = {"char", "byte", "word", "bpe"};
static const char *const form_names[] = {"none", "nfc", "nfkc"};

static int find_name(const char *name, const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        if (!strcmp(name, names[i])) return i;
    return -1;
}

bool rv_tokenizer_type_parse(const char *name, rv_tokenizer_type *type) {
    int i = find_name(name, type_names, 4);
    if (i >= 0) *type = (rv_tokenizer_type)i;
    return i >= 0;
}

const char *rv_tokenizer_type_name(rv_tokenizer_type type) { return type_names[type]; }

bool rv_normal_form_parse(const char *name, rv_normal_form *form) {
    int i = find_name(name, form_names, 3);
    if (i >= 0) *form = (rv_normal_form)i;
    return i >= 0;
}

static void lay_out_specials(rv_tokenizer *tok) {
    tok->specials = 0;
    for (int i = 0; i < RV_SPECIALS; i++) tok->special[i] = tok->spec.specials >> i & 1 ? tok->specials++ : -1;
}

rv_tokenizer *rv__tokenizer_new(const rv_tokenizer_spec *spec) {
    rv_tokenizer *tok = calloc(1, sizeof *tok);
    if (!tok) {
        rv_error(RV_ENOMEM, "no memory for a tokenizer");
        return NULL;
    }
    tok->spec = *spec;
    if (spec->type == RV_TOKENS_WORD) tok->spec.specials |= 1u << RV_UNK;
    lay_out_specials(tok);
    return tok;
}

void rv_tokenizer_destroy(rv_tokenizer *tok) {
    if (!tok) return;
    rv__intern_clear(&tok->tokens);
    rv__intern_clear(&tok->pairs);
    rv__intern_clear(&tok->cached);
    free(tok->merged);
    free(tok->cache_end);
    free(tok->cache_ids);
    free(tok);
}

int64_t rv_tokenizer_size(const rv_tokenizer *tok) { return tok->tokens.n + tok->specials; }
int64_t rv_tokenizer_unknown(const rv_tokenizer *tok, const int32_t *ids, int64_t n) {
    int64_t unknown = 0;
    for (int64_t i = 0; i < n; i++) unknown += ids[i] == tok->special[RV_UNK];
    return unknown;
}

int32_t rv_tokenizer_special(const rv_tokenizer *tok, rv_special which) { return tok->special[which]; }
rv_tokenizer_spec rv_tokenizer_get_spec(const rv_tokenizer *tok) { return tok->spec; }

/* Length of the unit at the start of text: a character, or for word a newline or a run free of white space. White space
 * that is no unit gives 0 in *unit and its length as the result. 0: invalid UTF-8. */
static size_t next_unit(rv_tokenizer_type type, const char *s, size_t len, size_t *unit) {
    int32_t cp;
    size_t k = (size_t)rv_utf8_next(s, len, &cp);
    *unit = k;
    if (type == RV_TOKENS_CHAR || k == 0 || cp == '\n') return k;
    if (rv_char_classify(cp) == RV_CHAR_SPACE) {
        *unit = 0;
        return k;
    }
    size_t i = k;
    while (i < len && (k = (size_t)rv_utf8_next(s + i, len - i, &cp)) && rv_char_classify(cp) != RV_CHAR_SPACE) i += k;
    *unit = i;
    return i;
}

static rv_status invalid_utf8(const char *text, size_t at) {
    return rv_error(
        RV_EDATA,
        "byte 0x%02x at offset %zu is not valid UTF-8; convert the text, or use a tokenizer of type byte or bpe",
        (unsigned char)text[at], at);
}

typedef struct {
    int64_t count;
    int32_t number; /* in the table of units */
    const rv__intern *units;
} counted;

static int by_bytes(const void *pa, const void *pb) {
    const counted *a = pa, *b = pb;
    size_t na, nb;
    const char *ka = rv__intern_key(a->units, a->number, &na), *kb = rv__intern_key(b->units, b->number, &nb);
    int c = memcmp(ka, kb, na < nb ? na : nb);
    return c ? c : (na > nb) - (na < nb);
}

static int by_count(const void *pa, const void *pb) {
    const counted *a = pa, *b = pb;
    return a->count != b->count ? (a->count < b->count) - (a->count > b->count) : by_bytes(pa, pb);
}

/* A text in which somebody has replaced rare words already: they are unknown, no word of its own. */
static bool says_unknown(const rv_tokenizer *tok, const char *unit, size_t n) {
    const char *name = rv__special_names[RV_UNK];
    return tok->spec.type == RV_TOKENS_WORD && n == strlen(name) && !memcmp(unit, name, n);
}

static int64_t room_for_tokens(const rv_tokenizer *tok) {
    return tok->spec.vocab_size ? tok->spec.vocab_size - tok->specials : RV__VOCAB_MAX;
}

/* char and word: count the units, keep the most frequent (ties: the bytes that sort first), number them. Characters are
 * then numbered by code point, whose order is UTF-8's byte order. Where some are left out, <unk> stands for them. */
static rv_status train_units(rv_tokenizer *tok, const char *text, size_t len) {
    rv_tokenizer_type type = tok->spec.type;
    rv__intern units = {0};
    counted *list = NULL;
    size_t cap = 0;
    rv_status status = RV_OK;
    for (size_t i = 0, unit, k; i < len && status == RV_OK; i += k) {
        k = next_unit(type, text + i, len - i, &unit);
        if (!k) status = invalid_utf8(text, i);
        if (!unit || says_unknown(tok, text + i, unit)) continue;
        int32_t before = units.n, u = rv__intern_add(&units, text + i, unit);
        if (u >= 0 && (size_t)u == cap) {
            counted *more = realloc(list, (2 * cap + 256) * sizeof *list);
            if (more)
                list = more, cap = 2 * cap + 256;
            else
                u = -1;
        }
        if (u < 0)
            status = rv_error(RV_ENOMEM, "no memory to count the %ss of a text", type_names[type]);
        else if (u == before)
            list[u] = (counted){1, u, &units};
        else
            list[u].count++;
    }
    size_t kept = status == RV_OK ? (size_t)units.n : 0;
    if (kept) qsort(list, kept, sizeof *list, by_count);
    while (kept && list[kept - 1].count < tok->spec.min_frequency) kept--;
    if (status == RV_OK && tok->special[RV_UNK] < 0 && ((int64_t)kept < units.n || units.n > room_for_tokens(tok))) {
        tok->spec.specials |= 1u << RV_UNK;
        lay_out_specials(tok);
    }
    if ((int64_t)kept > room_for_tokens(tok)) kept = (size_t)room_for_tokens(tok);
    if (!kept && units.n && status == RV_OK)
        status =
            rv_error(RV_EUSAGE,
                     "tokenizer: min_frequency %lld and vocab_size %lld (0: no limit) leave out all of the %d %ss that "
                     "the text has",
                     (long long)tok->spec.min_frequency, (long long)tok->spec.vocab_size, units.n, type_names[type]);
    if (type == RV_TOKENS_CHAR && kept) qsort(list, kept, sizeof *list, by_bytes);
    for (size_t i = 0; i < kept && status == RV_OK; i++) {
        size_t n;
        const char *key = rv__intern_key(&units, list[i].number, &n);
        if (rv__intern_add(&tok->tokens, key, n) < 0) status = RV_ENOMEM;
    }
    free(list);
    rv__intern_clear(&units);
    return status;
}

static rv_status train_bytes(rv_tokenizer *tok) {
    for (int b = 0; b < 256; b++)
        if (rv__intern_add(&tok->tokens, &(char){(char)b}, 1) < 0) return RV_ENOMEM;
    return RV_OK;
}

static rv_status prepare(const rv_tokenizer *tok, const char *text, size_t len, rv_text *own) {
    *own = (rv_text){0};
    if (tok->spec.normalization == RV_NORMAL_NONE && !tok->spec.lowercase) return RV_OK;
    return rv_text_normalise(text, len, tok->spec.normalization, tok->spec.lowercase, own);
}

rv_status rv_tokenizer_train(const rv_tokenizer_spec *spec, const char *text, size_t len, rv_tokenizer **out) {
    *out = NULL;
    if (spec->vocab_size < 0 || spec->vocab_size > RV__VOCAB_MAX || spec->min_frequency < 0)
        return rv_error(
            RV_EUSAGE,
            "tokenizer: vocab_size %lld, min_frequency %lld: neither may be negative, nor vocab_size over %d",
            (long long)spec->vocab_size, (long long)spec->min_frequency, RV__VOCAB_MAX);
    if (len == 0 && spec->type != RV_TOKENS_BYTE)
        return rv_error(RV_EDATA, "tokenizer: cannot learn a vocabulary from an empty text");
    rv_tokenizer *tok = rv__tokenizer_new(spec);
    if (!tok) return RV_ENOMEM;
    int64_t least = tok->specials + (spec->type == RV_TOKENS_BYTE || spec->type == RV_TOKENS_BPE ? 256 : 1);
    rv_text own;
    rv_status status = RV_OK;
    if ((spec->vocab_size || spec->type == RV_TOKENS_BPE) && spec->vocab_size < least)
        status = rv_error(RV_EUSAGE,
                          "tokenizer: vocab_size %lld is too small for type %s: at least %lld (%d specials and %s)",
                          (long long)spec->vocab_size, type_names[spec->type], (long long)least, tok->specials,
                          least - tok->specials == 256 ? "256 bytes" : "one token");
    if (status == RV_OK) status = prepare(tok, text, len, &own);
    if (status == RV_OK) {
        if (own.bytes) text = own.bytes, len = own.len;
        switch (spec->type) {
        case RV_TOKENS_BYTE: status = train_bytes(tok); break;
        case RV_TOKENS_BPE: status = train_bytes(tok) == RV_OK ? rv__bpe_train(tok, text, len) : RV_ENOMEM; break;
        case RV_TOKENS_CHAR:
        case RV_TOKENS_WORD: status = train_units(tok, text, len); break;
        }
        rv_text_free(&own);
    }
    if (status == RV_OK)
        *out = tok;
    else
        rv_tokenizer_destroy(tok);
    return status;
}

static rv_status unknown_char(const rv_tokenizer *tok, const char *text, size_t at, size_t k, bool changed) {
    int32_t cp = 0;
    rv_utf8_next(text + at, k, &cp);
    char shown[8] = "";
    if (cp >= ' ' && cp != 0x7f) memcpy(shown, text + at, k);
    return rv_error(RV_EDATA,
                    "character '%s' (U+%04X) at byte %zu of the %stext is not among the %d that the tokenizer was "
                    "trained on: take it out of the "
                    "text, or train anew, on text that has it or with a tokenizer of type byte or bpe",
                    shown, (unsigned)cp, at, changed ? "normalised " : "", tok->tokens.n);
}

/* The ids of char and word; returns how many, or -1 with the error in *status. */
static int64_t encode_units(const rv_tokenizer *tok, const char *text, size_t len, bool changed, int32_t *ids,
                            rv_status *status) {
    int64_t n = 0;
    int32_t unk = tok->special[RV_UNK];
    for (size_t i = 0, unit, k; i < len; i += k) {
        k = next_unit(tok->spec.type, text + i, len - i, &unit);
        if (!k) {
            *status = invalid_utf8(text, i);
            return -1;
        }
        if (!unit) continue;
        int32_t u = rv__intern_find(&tok->tokens, text + i, unit);
        if (u < 0 && unk < 0) {
            *status = unknown_char(tok, text, i, unit, changed);
            return -1;
        }
        ids[n++] = u < 0 ? unk : u + tok->specials;
    }
    return n;
}

rv_status rv_tokenizer_encode(rv_tokenizer *tok, const char *text, size_t len, int32_t **ids, int64_t *n) {
    *ids = NULL, *n = 0;
    rv_text own;
    RV_TRY(prepare(tok, text, len, &own));
    bool changed = own.bytes != NULL;
    if (changed) text = own.bytes, len = own.len;
    rv_status status = RV_OK;
    int32_t *v = malloc((len + 1) * sizeof *v); /* no token is shorter than a byte */
    int64_t count = -1;
    if (!v) {
        status = rv_error(RV_ENOMEM, "no memory for the tokens of a text of %zu bytes", len);
    } else if (tok->spec.type == RV_TOKENS_BPE || tok->spec.type == RV_TOKENS_BYTE) {
        if (tok->spec.type == RV_TOKENS_BPE) {
            count = rv__bpe_encode(tok, text, len, v);
        } else {
            for (size_t i = 0; i < len; i++) v[i] = (unsigned char)text[i];
            count = (int64_t)len;
        }
        for (int64_t i = 0; i < count; i++) v[i] += tok->specials;
        if (count < 0) status = RV_ENOMEM;
    } else {
        count = encode_units(tok, text, len, changed, v, &status);
    }
    rv_text_free(&own);
    if (status != RV_OK) {
        free(v);
        return status;
    }
    int32_t *fit = realloc(v, ((size_t)count + 1) * sizeof *v);
    *ids = fit ? fit : v, *n = count;
    return RV_OK;
}

/* The text that `id` stands for; len 0 for specials other than <unk>. */
static const char *token_text(const rv_tokenizer *tok, int32_t id, size_t *len) {
    if (id >= tok->specials) return rv__intern_key(&tok->tokens, id - tok->specials, len);
    bool unk = id == tok->special[RV_UNK];
    *len = unk ? strlen(rv__special_names[RV_UNK]) : 0;
    return unk ? rv__special_names[RV_UNK] : "";
}

/* What an id takes of the text and what of it decoding writes: all of it but the white space before a word, which is
 * one blank between two words and else nothing. */
typedef struct {
    size_t taken, gap, unit; /* taken = white space + unit; gap: 1 for the blank */
} piece;

static piece piece_of(const rv_tokenizer *tok, int32_t id, const char *text, size_t len, bool after_word) {
    piece p = {0};
    if (tok->spec.type == RV_TOKENS_BYTE || tok->spec.type == RV_TOKENS_BPE) {
        token_text(tok, id, &p.unit);
        p.taken = p.unit;
        return p;
    }
    for (size_t k; !p.unit && p.taken < len && (k = next_unit(tok->spec.type, text + p.taken, len - p.taken, &p.unit));)
        p.taken += k;
    const char *unit = text + p.taken - p.unit;
    p.gap = tok->spec.type == RV_TOKENS_WORD && after_word && *unit != '\n';
    return p;
}

static void measure_pieces(const rv_tokenizer *tok, const char *text, size_t len, const int32_t *ids, int64_t n,
                           XXH3_state_t *hash, rv_tokens_text *out) {
    size_t at = 0;
    bool after_word = false;
    for (int64_t i = 0; i < n; i++) {
        const piece p = piece_of(tok, ids[i], text + at, len - at, after_word);
        at += p.taken;
        const char *unit = text + at - p.unit;
        if (p.gap) XXH3_64bits_update(hash, " ", 1);
        XXH3_64bits_update(hash, unit, p.unit);
        if (out->length) out->length[i] = (uint32_t)(p.gap + p.unit);
        out->bytes += (int64_t)(p.gap + p.unit);
        out->chars += (int64_t)p.gap + rv_utf8_count(unit, p.unit);
        if (!i) out->first_bytes = out->bytes, out->first_chars = out->chars;
        after_word = p.unit && *unit != '\n';
    }
    out->hash = XXH3_64bits_digest(hash);
}

rv_status rv_tokenizer_text(const rv_tokenizer *tok, const char *text, size_t len, const int32_t *ids, int64_t n,
                            bool lengths, rv_tokens_text *out) {
    rv_text own;
    *out = (rv_tokens_text){0};
    RV_TRY(prepare(tok, text, len, &own));
    if (own.bytes) text = own.bytes, len = own.len;
    if (lengths) out->length = malloc((size_t)(n + 1) * sizeof *out->length);
    XXH3_state_t *hash = XXH3_createState();
    const bool room = hash && (out->length || !lengths);
    if (room && XXH3_64bits_reset(hash) == XXH_OK) measure_pieces(tok, text, len, ids, n, hash, out);
    rv_text_free(&own);
    XXH3_freeState(hash);
    if (room) return RV_OK;
    free(out->length);
    out->length = NULL;
    return rv_error(RV_ENOMEM, "no memory for the tokens of a text of %zu bytes", len);
}

rv_status rv_tokenizer_decode(const rv_tokenizer *tok, const int32_t *ids, int64_t n, rv_text *out) {
    *out = (rv_text){0};
    bool words = tok->spec.type == RV_TOKENS_WORD;
    size_t total = 0, len;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= rv_tokenizer_size(tok))
            return rv_error(
                RV_EDATA,
                "token %lld has id %d, outside this tokenizer's [0, %lld): the ids come from another tokenizer",
                (long long)i, ids[i], (long long)rv_tokenizer_size(tok));
        token_text(tok, ids[i], &len);
        total += len + words;
    }
    out->bytes = malloc(total + 1);
    if (!out->bytes) return rv_error(RV_ENOMEM, "no memory for a text of %zu bytes", total);
    for (int64_t i = 0; i < n; i++) {
        const char *t = token_text(tok, ids[i], &len);
        bool newline = len == 1 && *t == '\n';
        if (words && len && !newline && out->len && out->bytes[out->len - 1] != '\n') out->bytes[out->len++] = ' ';
        memcpy(out->bytes + out->len, t, len);
        out->len += len;
    }
    out->bytes[out->len] = 0;
    return RV_OK;
}

#include "decode/translate_attention.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

rv_status rv_translation_attention(rv_tape *tape, rv_model *model, const int32_t *src, int64_t n,
                                   const rv_hypothesis *h, const rv_translate_options *o, rv_attention_weights *out) {
    const rv_tape_mode mode = rv_tape_infer(tape);
    rv_tape_reset(tape);
    rv_memory memory;
    int32_t *ids = rv_tape_alloc(tape, rv_size_mul((size_t)(n + h->n + 3), sizeof *ids)), *tgt = ids + n + 1;
    if (ids) {
        memcpy(ids, src, (size_t)n * sizeof *ids);
        ids[n] = o->eos;
        ids[n + 1] = o->bos;
        memcpy(ids + n + 2, h->ids, (size_t)h->n * sizeof *ids);
        int32_t *length = ids + n + 2 + h->n;
        *length = (int32_t)n + 1;
        const rv_sequences source = {.B = 1, .T = n + 1, .ids = ids, .lengths = length};
        if (rv_model_encode(tape, model, &source, &memory))
            rv_model_attention(tape, model, &memory, tgt, 1, h->n + 1, out);
    }
    rv_tape_restore(tape, mode);
    return rv_tape_status(tape);
}

/* Where row t of the weights is largest. */
static int64_t peak(const rv_attention_weights *w, int64_t t) {
    int64_t best = 0;
    double most = -1;
    for (int64_t s = 0; s + 1 < w->S; s++) {
        double sum = 0;
        for (int64_t k = 0; k < (int64_t)w->layers * w->heads; k++)
            sum += (double)w->weights[(k * w->T + t) * w->S + s];
        if (sum > most) most = sum, best = s;
    }
    return best;
}

/* Bytes of the at-th unit of the text, a character or what white space separates, as tokens of type char and word are
 * cut. */
static size_t find_unit(bool words, const char *s, size_t len, int64_t at, size_t *begin) {
    int32_t cp;
    for (size_t i = 0, k; i < len; i += k) {
        k = (size_t)rv_utf8_next(s + i, len - i, &cp);
        if (!k) break;
        if (words && rv_char_classify(cp) == RV_CHAR_SPACE) continue;
        for (size_t more; words && (more = (size_t)rv_utf8_next(s + i + k, len - i - k, &cp)) &&
                          rv_char_classify(cp) != RV_CHAR_SPACE;)
            k += more;
        *begin = i;
        if (at-- == 0) return k;
    }
    return 0;
}

static int64_t count_units(bool words, const char *s, size_t len) {
    int64_t n = 0;
    for (size_t begin; find_unit(words, s, len, n, &begin);) n++;
    return n;
}

/* Bytes of the text's first piece: white space or what it separates, or a character with its marks. Normal forms [UAX
 * #15] and lower case change each such piece by itself. */
static size_t first_piece(bool words, const char *s, size_t len) {
    int32_t cp, before = 0, state = 0;
    size_t i = 0;
    for (size_t k; i < len && (k = (size_t)rv_utf8_next(s + i, len - i, &cp)); i += k, before = cp) {
        const bool ends = words ? (rv_char_classify(cp) == RV_CHAR_SPACE) != (rv_char_classify(before) == RV_CHAR_SPACE)
                                : utf8proc_grapheme_break_stateful(before, cp, &state);
        if (i && ends) break;
    }
    return i;
}

/* The source word of token `at`, as it was typed where it is the only one of its piece of the line. Unknown words are
 * only in the text, not in the ids. */
static rv_status source_word(const rv_tokenizer *tok, const char *line, size_t len, const int32_t *src, int64_t at,
                             rv_text *out) {
    const rv_tokenizer_spec spec = rv_tokenizer_get_spec(tok);
    const bool words = spec.type == RV_TOKENS_WORD;
    if (!words && spec.type != RV_TOKENS_CHAR) return rv_tokenizer_decode(tok, src + at, 1, out);
    for (size_t k; (k = first_piece(words, line, len)); line += k, len -= k) {
        rv_text own;
        RV_TRY(rv_text_normalise(line, k, spec.normalization, spec.lowercase, &own));
        const int64_t units = count_units(words, own.bytes, own.len);
        if (at >= units) {
            rv_text_free(&own);
            at -= units;
            continue;
        }
        size_t begin = 0, n = find_unit(words, own.bytes, own.len, at, &begin);
        rv_status status = units == 1 ? rv_text_normalise(line, k, RV_NORMAL_NONE, false, out) /* a copy */
                                      : rv_text_normalise(own.bytes + begin, n, RV_NORMAL_NONE, false, out);
        rv_text_free(&own);
        return status;
    }
    return rv_text_normalise("", 0, RV_NORMAL_NONE, false, out);
}

rv_status rv_replace_unknown(const rv_tokenizer *src_tokenizer, const rv_tokenizer *tgt_tokenizer, const char *line,
                             size_t len, const int32_t *src, const rv_hypothesis *h, const rv_attention_weights *w,
                             rv_text *out) {
    int32_t unk = rv_tokenizer_special(tgt_tokenizer, RV_UNK);
    bool words = rv_tokenizer_get_spec(tgt_tokenizer).type == RV_TOKENS_WORD;
    *out = (rv_text){0};
    FILE *f = open_memstream(&out->bytes, &out->len);
    rv_status status = f ? RV_OK : rv_error(RV_ENOMEM, "no memory for a translation");
    for (int64_t t = 0; t < h->n && status == RV_OK; t++) {
        rv_text piece;
        status = h->ids[t] == unk ? source_word(src_tokenizer, line, len, src, peak(w, t), &piece)
                                  : rv_tokenizer_decode(tgt_tokenizer, h->ids + t, 1, &piece);
        if (status != RV_OK) break;
        if (words && t && piece.len) fputc(' ', f);
        fwrite(piece.bytes, 1, piece.len, f);
        rv_text_free(&piece);
    }
    if (f && fclose(f) && status == RV_OK) status = rv_error(RV_ENOMEM, "no memory for a translation");
    if (status != RV_OK) rv_text_free(out);
    return status;
}

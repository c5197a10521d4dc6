/** Tokenizers: text to ids and back.
 *
 *  | type | a token is                                        | text it does not know              | decode(encode(x))
 * |
 *  |------|---------------------------------------------------|------------------------------------|-------------------|
 *  | char | a Unicode code point, ids by rising code point    | <unk> if there is one, or RV_EDATA | x | | byte | a
 * byte, id = byte + specials                      | none                               | x                 | | word |
 * what white space separates; "\n" is a token       | <unk>                              | words, one space  | | bpe  |
 * a byte string by byte-pair encoding (bpe.h)       | its bytes                          | x, any bytes      |
 *
 *  (x: after normalisation and lower-casing, if asked for.)
 *
 *  Specials are asked for one by one and hold the first ids in the fixed order <pad> <bos> <eos> <unk> <mask>; none by
 *  default, so a character model's vocabulary is exactly its characters; only where vocab_size or min_frequency leave
 * some out, <unk> stands for them. Specials are never found in text: a text's "<pad>" is ordinary characters. But among
 * words a text's own "<unk>" (WikiText has them) is the special one. */
#ifndef RV_DATA_TOKENIZER_H
#define RV_DATA_TOKENIZER_H

#include <stdint.h>

#include "base/status.h"
#include "data/text.h"

typedef enum { RV_TOKENS_CHAR, RV_TOKENS_BYTE, RV_TOKENS_WORD, RV_TOKENS_BPE } rv_tokenizer_type;

/** Special tokens, in the order of their ids. */
typedef enum { RV_PAD, RV_BOS, RV_EOS, RV_UNK, RV_MASK } rv_special;
enum { RV_SPECIALS = 5 };

typedef struct {
    rv_tokenizer_type type;
    int64_t vocab_size; /**< at most so many ids, specials included; 0: no limit (bpe needs one, over 256 + specials) */
    int64_t
        min_frequency; /**< char, word: rarer ones are left out; bpe: rarer characters and pairs; 0 means 1 (bpe: 2) */
    bool lowercase;
    rv_normal_form normalization;
    unsigned specials; /**< bits 1u << RV_PAD, ...; word always has <unk> */
} rv_tokenizer_spec;

typedef struct rv_tokenizer rv_tokenizer;

/** "char", "byte", "word", "bpe" to its type; false if it is none of them. */
RV_API bool rv_tokenizer_type_parse(const char *name, rv_tokenizer_type *type);
RV_API const char *rv_tokenizer_type_name(rv_tokenizer_type type);
/** "none", "nfc", "nfkc" to its form; false if it is none of them. */
RV_API bool rv_normal_form_parse(const char *name, rv_normal_form *form);

/** Build a tokenizer for `text`. A function of its arguments alone. Errors: RV_EUSAGE (vocab_size too small, or nothing
 * is left), RV_EDATA (empty text, invalid UTF-8 for char and word), RV_ENOMEM. Free with rv_tokenizer_destroy. */
RV_API rv_status rv_tokenizer_train(const rv_tokenizer_spec *spec, const char *text, size_t len, rv_tokenizer **out);
RV_API void rv_tokenizer_destroy(rv_tokenizer *tok);

/** Ids of `text`, no specials added. *ids is malloc'd, the caller frees it. Errors: RV_EDATA (char: a character not in
 *  the vocabulary, named with its offset; char, word: invalid UTF-8), RV_ENOMEM. Fills tok's word cache: not from two
 *  threads at once. */
RV_API rv_status rv_tokenizer_encode(rv_tokenizer *tok, const char *text, size_t len, int32_t **ids, int64_t *n);
/** A text as its tokens say it: normalised and in lower case where the tokenizer is; of words, one blank between two
 *  and none elsewhere. What <unk> stands for is as it was. */
typedef struct {
    /** Bytes of each id, the blank before a word included; malloc'd, the caller frees it; NULL: not asked for. */
    uint32_t *length;
    int64_t bytes, chars;             /**< of all */
    int64_t first_bytes, first_chars; /**< of the first id, which a language model does not predict */
    uint64_t hash;                    /**< XXH3: equal texts have equal ones, whatever they were cut into */
} rv_tokens_text;
/** Of ids (n) as rv_tokenizer_encode gave them for `text`. Errors: RV_ENOMEM. */
RV_API rv_status rv_tokenizer_text(const rv_tokenizer *tok, const char *text, size_t len, const int32_t *ids, int64_t n,
                                   bool lengths, rv_tokens_text *out);
/** Text of ids. <unk> appears as such, other specials as nothing. Error: RV_EDATA for an id outside [0, size). Free
 *  with rv_text_free. */
RV_API rv_status rv_tokenizer_decode(const rv_tokenizer *tok, const int32_t *ids, int64_t n, rv_text *out);

/** Number of ids, V. */
RV_API int64_t rv_tokenizer_size(const rv_tokenizer *tok);
/** Id of a special token, or -1 if this tokenizer has it not. */
RV_API int32_t rv_tokenizer_special(const rv_tokenizer *tok, rv_special which);
/** How many of ids[0..n) are <unk>. */
RV_API int64_t rv_tokenizer_unknown(const rv_tokenizer *tok, const int32_t *ids, int64_t n);
RV_API rv_tokenizer_spec rv_tokenizer_get_spec(const rv_tokenizer *tok);
/** Token `id` as one printable line (space is \s, newline \n, other bytes \xHH), into buf; returns buf. For tables and
 *  pictures. */
RV_API const char *rv_tokenizer_label(const rv_tokenizer *tok, int32_t id, char *buf, size_t size);

/** The tokenizer as two plain texts, as checkpoints keep them: `vocab` (a header line, then one escaped token a line,
 *  in the order of ids) and `merges` (bpe: "left right" a line, by rank; else empty). Free both with rv_text_free. */
RV_API rv_status rv_tokenizer_save(const rv_tokenizer *tok, rv_text *vocab, rv_text *merges);
/** The inverse. The texts may be hostile: every line is checked, and RV_EDATA names the first bad one. */
RV_API rv_status rv_tokenizer_load(const char *vocab, size_t vocab_len, const char *merges, size_t merges_len,
                                   rv_tokenizer **out);
/** The two texts as files FOLDER/vocab and FOLDER/merges (the folder is made), and back. Errors: RV_EDATA. */
RV_API rv_status rv_tokenizer_write(const rv_tokenizer *tok, const char *folder);
RV_API rv_status rv_tokenizer_read(const char *folder, rv_tokenizer **out);
/** XXH3 of what rv_tokenizer_save gives: equal tokenizers have equal hashes. 0 when memory is short. */
RV_API uint64_t rv_tokenizer_hash(const rv_tokenizer *tok);

#endif

/* What the tokenizer's files share. */
#ifndef RV_DATA_TOKENIZER_PRIVATE_H
#define RV_DATA_TOKENIZER_PRIVATE_H

#include "data/intern.h"
#include "data/tokenizer.h"

/* Most ids of a vocabulary: far more than any model's table, and a bound on what a hostile blob may ask for. */
enum { RV__VOCAB_MAX = 1 << 24 };

typedef struct {
    int32_t left, right; /* token numbers */
} rv__merge;

struct rv_tokenizer {
    rv_tokenizer_spec spec;
    int32_t special[RV_SPECIALS]; /* id, or -1 */
    int32_t specials;             /* how many: ordinary token number + specials = id */
    rv__intern tokens;            /* ordinary tokens as byte strings */
    /* bpe only */
    rv__intern pairs; /* rv__merge as key -> rank */
    int32_t *merged;  /* rank -> number of the token that the pair becomes */
    int32_t merged_cap;
    rv__intern cached; /* word cache: chunk -> entry of cache_end */
    size_t *cache_end; /* entry i's numbers are cache_ids[cache_end[i-1] .. cache_end[i]) */
    int32_t *cache_ids;
};

/* An empty tokenizer with `spec`'s specials laid out; NULL and RV_ENOMEM. */
rv_tokenizer *rv__tokenizer_new(const rv_tokenizer_spec *spec);

/* vocab.c */
extern const char *const rv__special_names[RV_SPECIALS];

/* bpe.c. Give an empty tokenizer its 256 byte tokens, characters and merges. */
rv_status rv__bpe_train(rv_tokenizer *tok, const char *text, size_t len);
/* Append the merge of tokens (left, right), adding their concatenation to the tokens. Errors: RV_EDATA if the pair is
 * there already, RV_ENOMEM. */
rv_status rv__bpe_add_merge(rv_tokenizer *tok, int32_t left, int32_t right);
/* Numbers of `text`'s tokens (not yet ids) into out, which has room for len; returns how many, or -1 (RV_ENOMEM). */
int64_t rv__bpe_encode(rv_tokenizer *tok, const char *text, size_t len, int32_t *out);
/* Length of the first chunk of text (len > 0), across whose ends no merge goes. */
size_t rv__bpe_chunk(const char *text, size_t len);

#endif

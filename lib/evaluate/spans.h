/** Spans that tags mark (names of persons, places): what they are, and whether two taggings have the same ones.
 *
 *  Counted as the CoNLL-2003 evaluation script does [Tjong Kim Sang 2003]: a tagging that breaks its scheme marks
 * spans, too (I-X after O begins one). */
#ifndef RV_EVALUATE_SPANS_H
#define RV_EVALUATE_SPANS_H

#include <stdint.h>

#include "base/status.h"

/** BIO: B- begins each span, I- goes on. IOB1: I- begins it, B- only one right behind another of its type. BIOES: S- is
 *  a span of one word, E- ends others. */
typedef enum { RV_SPANS_NONE, RV_SPANS_BIO, RV_SPANS_IOB1, RV_SPANS_BIOES } rv_span_scheme;

/** Tags, taken apart. */
typedef struct {
    rv_span_scheme scheme;
    int n;         /**< tags */
    char *prefix;  /**< (n) 'B', 'I', 'E', 'S' or 'O' */
    int32_t *type; /**< (n) in [0, n_types); -1 of O */
    int n_types;
    const char **type_name; /**< (n_types) the tags' names behind "B-", in the order of the bytes */
} rv_span_tags;

typedef struct {
    int64_t begin, end; /**< words */
    int32_t type;
} rv_span;

/** What one sentence, or many, have of spans. */
typedef struct {
    int64_t gold, told, right;
} rv_span_counts;

/** The scheme of these tags (rv_tagged.tag_name), RV_SPANS_NONE unless all of them are O or PREFIX-TYPE. BIO and IOB1
 *  have the same tags: taggings (n_tags numbers each, `sentences` of them) tell them apart: IOB1 if an I- without its
 *  type before it occurs and no B- after O does. */
RV_API rv_span_scheme rv_span_scheme_of(int n, const char *const *names, int64_t sentences, const int64_t *at,
                                        const int32_t *tags);
/** RV_ENOMEM. names are kept by the caller. Free with rv_span_tags_free. */
RV_API rv_status rv_span_tags_make(int n, const char *const *names, rv_span_scheme scheme, rv_span_tags *out);
RV_API void rv_span_tags_free(rv_span_tags *t);
/** Spans of one sentence's tags, by where they begin: at most n of them; returns how many. */
RV_API int64_t rv_spans(const rv_span_tags *t, const int32_t *tags, int64_t n, rv_span *out);
/** Places where a tagging breaks its scheme: I- that continues nothing, of BIOES what does not end, too. */
RV_API int64_t rv_spans_malformed(const rv_span_tags *t, const int32_t *tags, int64_t n);
/** Add what the sentence has to *all and, unless NULL, to its type's by_type (n_types). room: 2 n spans. */
RV_API void rv_spans_count(const rv_span_tags *t, const int32_t *gold, const int32_t *told, int64_t n, rv_span *room,
                           rv_span_counts *all, rv_span_counts *by_type);
/** 2 right / (gold + told); NaN where there are neither. */
RV_API double rv_spans_f1(const rv_span_counts *c);
/** Whether a tagging that keeps the scheme can have `to` after `from`; -1: before the first and behind the last word.
 */
RV_API bool rv_span_follows(const rv_span_tags *t, int from, int to);

#endif

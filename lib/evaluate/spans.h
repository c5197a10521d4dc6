/** Spans that tags mark (names of persons, places): what they are, and whether two taggings have the same ones.
 *
 *  Counted as the evaluation script of CoNLL-2000 and 2003, conlleval, does [Tjong Kim Sang & Buchholz 2000]: a tagging
 *  that breaks its scheme marks spans, too. A word of a span begins one if it is B or S, if the word before it is
 *  outside of spans, has another type or ends its own (E, S); else it goes on with that of the word before it.
 * conlleval knows B, I and O alone; of E and S these are the rules of its descendants (conlleval.py, with IOBES), which
 * count what has only B, I and O as it does. */
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
    char *prefix;  /**< (n) 'B', 'I', 'E', 'S' or 'O'; of BILOU L is 'E', and U 'S' */
    int32_t *type; /**< (n) in [0, n_types); -1 of O */
    int n_types;
    const char **type_name; /**< (n_types) the tags' names behind "B-", in the order of the bytes */
} rv_span_tags;

typedef struct {
    int64_t begin, end; /**< words; end is the first behind it */
    int32_t type;
} rv_span;

/** What one sentence, or many, have of spans: those there are, those told, and those told that are there, with the
 *  same begin, end and type. */
typedef struct {
    int64_t gold, told, right;
} rv_span_counts;

/** The scheme of these tags (rv_tagged.tag_name): RV_SPANS_NONE unless all of them are O or PREFIX-TYPE, and some are
 *  not O. BIOES if a prefix is E, S, L or U. BIO and IOB1 have the same tags; taggings tell them apart: tags of
 *  `sentences` sentences, sentence i from at[i] to at[i + 1] (at (sentences + 1), rv_tagged_part.word_at). IOB1 if some
 *  I- is not right behind its type, and every B- is. */
RV_API rv_span_scheme rv_span_scheme_of(int n, const char *const *names, int64_t sentences, const int64_t *at,
                                        const int32_t *tags);
/** Of RV_SPANS_NONE all tags are O. The caller keeps names as long as out. Errors: RV_EDATA (a tag that the scheme has
 *  not), RV_ENOMEM; then out is empty. Free with rv_span_tags_free. */
RV_API rv_status rv_span_tags_make(int n, const char *const *names, rv_span_scheme scheme, rv_span_tags *out);
RV_API void rv_span_tags_free(rv_span_tags *t);
/** Spans of one sentence's tags, by where they begin: at most n of them; returns how many. */
RV_API int64_t rv_spans(const rv_span_tags *t, const int32_t *tags, int64_t n, rv_span *out);
/** Places where a tagging breaks its scheme, the ends of the sentence among them: neighbours that rv_span_follows does
 *  not allow. */
RV_API int64_t rv_spans_malformed(const rv_span_tags *t, const int32_t *tags, int64_t n);
/** Add what the sentence has to *all and, unless NULL, to its type's by_type (n_types). room: 2 n spans. */
RV_API void rv_spans_count(const rv_span_tags *t, const int32_t *gold, const int32_t *told, int64_t n, rv_span *room,
                           rv_span_counts *all, rv_span_counts *by_type);
/** right / told, right / gold and 2 right / (gold + told): 0 where only their own divisor is, as conlleval has it; NaN
 *  where there are neither gold nor told. */
RV_API double rv_spans_precision(const rv_span_counts *c);
RV_API double rv_spans_recall(const rv_span_counts *c);
RV_API double rv_spans_f1(const rv_span_counts *c);
/** Whether a tagging that keeps the scheme can have `to` right after `from`; -1: outside of the sentence, before its
 *  first word and behind its last. */
RV_API bool rv_span_follows(const rv_span_tags *t, int from, int to);

#endif

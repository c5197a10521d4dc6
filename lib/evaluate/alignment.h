/** Word alignments: gold links, links read off attention, and their error rate.
 *
 *  A link (source word, target word) is sure or possible. With A the links of a system, S the sure and P the possible
 * gold links (S within P):  AER = 1 - (|A & S| + |A & P|) / (|A| + |S|)  [Och and Ney 2003, section 4]. 0 is perfect.
 */
#ifndef RV_EVALUATE_ALIGNMENT_H
#define RV_EVALUATE_ALIGNMENT_H

#include <stdint.h>

#include "base/status.h"
#include "data/tokenizer.h"
#include "tensor/tensor.h"

/** Attention of one sentence with what it is between; refers to the caller's memory. A recurrent model has one layer of
 *  one head. */
typedef struct {
    int64_t T, S; /**< target and source tokens */
    int layers, heads;
    const rv_real
        *weights; /**< (layers, heads, T, S); each row is a distribution over the source [Bahdanau 2015, eq. 6] */
    const char *const *target; /**< T labels, as rv_tokenizer_label gives them, or plain words */
    const char *const *source; /**< S labels */
    const char *reference;     /**< or NULL */
} rv_alignment;

typedef struct {
    int32_t source, target; /**< words, from 0 */
    bool possible;          /**< gold only: possible, but not sure */
} rv_link;

/** The links of a text, sentence by sentence: those of sentence i are link[start[i]] to link[start[i + 1] - 1], in
 *  ascending order, none twice. All zero is empty. */
typedef struct {
    int64_t sentences;
    int64_t *start; /**< sentences + 1; NULL while there are none */
    rv_link *link;
    int64_t n, cap, start_cap; /**< links held; room */
} rv_links;

/** Add a link to the sentence under way. Error: RV_ENOMEM. */
RV_API rv_status rv_links_add(rv_links *l, int32_t source, int32_t target, bool possible);
/** End that sentence: its links are sorted, and of equal ones a sure one stays. Error: RV_ENOMEM. */
RV_API rv_status rv_links_end(rv_links *l);
/** Read one sentence a line: "0-0 1-2 2p1" (Pharaoh's format: source-target from 0, `p` for a possible link; an empty
 * line has no links). Errors: RV_EDATA with file:line:column, RV_ENOMEM. Free with rv_links_free in any case. */
RV_API rv_status rv_links_load(const char *path, rv_links *out);
RV_API void rv_links_free(rv_links *l);

/** Sizes that add over sentences. */
typedef struct {
    int64_t links, sure, in_sure, in_possible; /**< |A|, |S|, |A & S|, |A & P| */
} rv_aer_stats;
/** Add the counts of the sentences that both have; RV_EDATA if their numbers differ. Whether a system's link is
 * possible or sure makes no difference. */
RV_API rv_status rv_aer_count(const rv_links *system, const rv_links *gold, rv_aer_stats *sum);
/** AER in [0, 1]; 0 when there are no links at all. */
RV_API double rv_aer(const rv_aer_stats *s);
/** |A & P| / |A| and |A & S| / |S| (1 when there is nothing to miss). */
RV_API double rv_aer_precision(const rv_aer_stats *s);
RV_API double rv_aer_recall(const rv_aer_stats *s);

/** The word that each of n pieces belongs to, from 0, into word[n]; -1 for special tokens other than <unk> and for
 * pieces that are white space only. A piece that begins with white space begins a word; with a tokenizer of words each
 * piece is one. Returns the number of words: those of the text's white space, as gold links count them. */
RV_API int32_t rv_pieces_words(const rv_tokenizer *tok, const int32_t *ids, int64_t n, int32_t *word);
/** From pieces to words: out (target_words, source_words), overwritten, is weights (T, S) summed over the pieces of a
 *  source word and averaged over those of a target word [Garg et al. 2019, section 4]. Pieces of word -1 are left out.
 */
RV_API void rv_alignment_merge(int64_t T, int64_t S, const rv_real *weights, const int32_t *target_word,
                               const int32_t *source_word, int32_t target_words, int32_t source_words, rv_real *out);
/** Add to `l`, as one sentence, a link from each target word to the source word of its largest weight (the first of
 * equal ones; none if all weights are 0). Error: RV_ENOMEM. */
RV_API rv_status rv_alignment_links(int32_t target_words, int32_t source_words, const rv_real *weights, rv_links *l);

/** Scale weights (target_words, source_words), in place, until rows and columns have equal sums each [Sinkhorn 1967]:
 * then no source word is left without a target word, as alignments by optimal transport have it [Dou and Neubig
 * 2021, 2.2]. What many target words look at (the noun that decides an article's form) loses against what only one of
 * them looks at (the article). */
RV_API void rv_alignment_balance(int32_t target_words, int32_t source_words, rv_real *weights);
/** As rv_alignment_links with balanced weights, and also from each source word to the target word of its largest
 * weight. */
RV_API rv_status rv_alignment_links_both(int32_t target_words, int32_t source_words, const rv_real *weights,
                                         rv_links *l);

/** Mean entropy, in nats, of the rows of one head over n sentences: 0 when each target token looks at one place. Rows
 * are taken as they are, <eos> included. */
RV_API double rv_alignment_entropy(int64_t n, const rv_alignment *a, int layer, int head);
/** The head of the lowest mean entropy over n >= 1 sentences: the one most like a hard alignment. It is a choice
 * without gold links, and not a proof: a head that always looks at the same place is sharp too. */
RV_API void rv_alignment_sharpest(int64_t n, const rv_alignment *a, int *layer, int *head);

/** Write weights and tokens as HDF5, replacing `path`: /N/weights (layers, heads, T, S) and /N/source, /N/target as
 * fixed text (tokens, bytes of the longest), uint8, filled with 0; N from 0. In Python:
 *    [bytes(t).rstrip(b"\0").decode() for t in f["0/source"]]
 *  Equal input gives equal files (see io/checkpoint.h). Errors: RV_ECKPT with the path, RV_ENOMEM. */
RV_API rv_status rv_alignment_save(const char *path, int64_t n, const rv_alignment *a);

#endif

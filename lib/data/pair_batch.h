/** Batches of sentence pairs: padded rows, and a cursor from which they continue exactly.
 *
 *  Of pairs without a target side (texts to classify) T is 0 and each row one target; sizes and buckets go by the
 *  source alone. */
#ifndef RV_DATA_PAIR_BATCH_H
#define RV_DATA_PAIR_BATCH_H

#include <stdint.h>

#include "base/status.h"
#include "data/batch.h"
#include "data/parallel.h"
#include "data/rare.h"

/** Ids that stand around a sentence. src_eos -1: nothing is appended to a source, and a row is as wide as its longest
 *  has tokens, at least 1 (a source without any is one pad then). */
typedef struct {
    int32_t src_pad, src_eos, tgt_pad, tgt_bos, tgt_eos;
} rv_pair_marks;

/** The marks of p's tokenizers. */
RV_API rv_pair_marks rv_pair_marks_of(const rv_parallel *p);
/** The marks of sources alone, cut by tok; those of a target side are -1. */
RV_API rv_pair_marks rv_source_marks_of(const rv_tokenizer *tok);

typedef struct {
    bool by_tokens; /**< size counts tokens: B max(S,T) <= size, padding included; else sentences: B = size */
    int64_t size;
    bool bucketing; /**< sentences of like length share a batch */
    uint64_t seed;
    rv_pair_marks marks;
    const rv_rare *src_rare, *tgt_rare; /**< of training batches; NULL: none. The caller keeps them alive */
} rv_pair_batch_spec;

/** B rows, batch-major. The arrays belong to what gave them and hold until its next call. */
typedef struct {
    int64_t B, S, T;            /**< T 0, and the target's arrays NULL: there is no target side */
    const int32_t *src;         /**< (B,S) tokens, eos if there is one, then pad */
    const int32_t *src_lengths; /**< (B) with it; in [1, S] */
    const int32_t *tgt_in;      /**< (B,T) bos, tokens, then pad */
    const int32_t *tgt_out;     /**< (B,T) tokens, eos unless the target was cut, then RV_IGNORE */
    const int32_t *tgt_lengths; /**< (B) with eos (or bos, which is as many) */
    int64_t targets;            /**< entries of tgt_out that are not RV_IGNORE; without a target side B */
    const int64_t *index;       /**< (B) which pair each row is */
} rv_pair_batch;

typedef struct rv_pair_batches rv_pair_batches;

/** Training batches over `pairs`, which the caller keeps alive. Every epoch gives each pair once, shuffled by (seed,
 * epoch) alone. With bucketing the shuffled pairs are sorted by target, then source length (equal ones stay shuffled),
 * cut into batches, and the batches shuffled; without, the shuffled pairs are cut. All memory is taken here. Errors:
 * RV_EDATA (no pairs), RV_EUSAGE (size too small for the longest pair), RV_ENOMEM. Free with rv_pair_batches_destroy.
 */
RV_API rv_status rv_pair_batches_create(const rv_pairs *pairs, const rv_pair_batch_spec *spec, rv_pair_batches **out);
RV_API void rv_pair_batches_destroy(rv_pair_batches *b);
/** The next batch. There is always one: after an epoch comes the next. */
RV_API void rv_pair_batches_next(rv_pair_batches *b, rv_pair_batch *out);
/** This epoch's batch with the most padded tokens, B (S + T). The cursor stays. */
RV_API void rv_pair_batches_largest(rv_pair_batches *b, rv_pair_batch *out);
/** The cursor before the next batch (position: batches given in this epoch); setting it makes the batches continue from
 *  there, the same to the bit. Error: RV_ECKPT if it cannot belong to these batches. */
RV_API rv_cursor rv_pair_batches_cursor(const rv_pair_batches *b);
RV_API rv_status rv_pair_batches_seek(rv_pair_batches *b, rv_cursor cursor);
/** Batches in the epoch of the next batch. Equal in all epochs but for batches by tokens without bucketing. */
RV_API int64_t rv_pair_batches_per_epoch(rv_pair_batches *b);
/** Batches in the first so many epochs. The cursor stays. */
RV_API int64_t rv_pair_batches_of_epochs(rv_pair_batches *b, int64_t epochs);

typedef struct rv_pair_pass rv_pair_pass;

/** One pass for evaluation: each pair once, the longest sources first (what memory does for the first batch, does for
 *  all), equal ones by target length, then in order. spec's bucketing and seed are unused. With by_tokens a pair over
 *  `size` is a batch of its own. Errors: RV_EUSAGE (size below 1), RV_ENOMEM. Free with rv_pair_pass_destroy. */
RV_API rv_status rv_pair_pass_create(const rv_pairs *pairs, const rv_pair_batch_spec *spec, rv_pair_pass **out);
RV_API void rv_pair_pass_destroy(rv_pair_pass *p);
/** The next batch; false at the end. */
RV_API bool rv_pair_pass_next(rv_pair_pass *p, rv_pair_batch *out);
/** Start again. */
RV_API void rv_pair_pass_rewind(rv_pair_pass *p);
RV_API int64_t rv_pair_pass_batches(const rv_pair_pass *p);

#endif

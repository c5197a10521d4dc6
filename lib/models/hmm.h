/** A hidden Markov model of tags [Rabiner 1989; Brants 2000, "TnT"]: how often tags follow each other, and how often
 *  each word bears each tag. Trained by counting, in one pass, instead of by gradients.
 *
 *  Its parameters are the counts themselves, frozen tensors of rv_params: checkpoints, hashes and averages see nothing
 *  unusual. Everything else (logs of probabilities, interpolation weights, suffixes) follows from them, is computed
 * when they have changed, and is never saved. In float a count is exact up to 2^24; one that is there stays there. */
#ifndef RV_MODELS_HMM_H
#define RV_MODELS_HMM_H

#include "autograd/tape.h"
#include "kernels/chain.h"
#include "models/batch.h"
#include "nn/params.h"

typedef struct {
    int64_t words; /**< V: the vocabulary, <unk> among it */
    int64_t tags;  /**< K */
    int order;     /**< tags that a tag depends on: 0 (each word bears its most frequent one), 1 or 2 */
    int suffix;    /**< the longest suffix, in letters; 0: unknown words are like rare words, whatever their letters */
    int64_t rare;  /**< words that occur at most so often teach suffixes [Brants 2000: 10] */
    /** Words that all shorter suffixes count as beside a longer one. 0: theta per word of it, as in [Brants 2000, eq.
     * 6], which trusts a suffix of one word as much as one of a hundred. With 3, of order 2, on EWT's development set
     * 75 of 100 unknown words get their universal tag instead of 71. */
    double shorter;
    int32_t unk; /**< id of <unk> */
    /** Relative frequencies alone, no smoothing of any kind: what never occurred cannot be. Order 1 or 2. What
     *  rv_hmm_reestimate asks for, since smoothed probabilities are not the most likely ones of their counts. */
    bool plain;
    /** The V words as letters, row v word v's, `which` unused; specials have length 0. Outlives the model. NULL: suffix
     *  is 0. */
    const rv_words *vocabulary;
} rv_hmm_config;

typedef struct rv_hmm rv_hmm;

/** Declare the counts, all 0: hmm.emission (V, K); of order 1 and 2 hmm.start (K), hmm.stop (K), hmm.transition (K, K)
 *  [from, to]; of order 2 hmm.start2 (K, K), a sentence's first two tags, and hmm.transition2 (K, K, K). They are
 * frozen: optimisers leave them alone. NULL: RV_ENOMEM. Free with rv_hmm_destroy. */
RV_API rv_hmm *rv_hmm_create(rv_params *params, const rv_hmm_config *config);
RV_API void rv_hmm_destroy(rv_hmm *h);
/** Add what the sentences b->source, with the tags b->out (B, T), count. Adds nothing on error: RV_EDATA of a tag that
 * is none within a sentence. b->at must be NULL: words are the tokens. */
RV_API rv_status rv_hmm_count(rv_hmm *h, const rv_batch *b);

/** What differs from TnT, so that no sentence has a loss of infinity and all probabilities sum to 1: a sentence ends
 *  with P(end | tag), and the next tag is one of those that follow, not of all; a context that never occurred speaks as
 *  the shorter one does; each weight of interpolation has one vote more; a known word's tags are its counts and half a
 *  word's worth of what its suffix says. Capitals are no part of a tag; the words' shapes part the suffixes, instead.
 *
 *  The sentences' tags as a chain of log probabilities, of the order's steps and of each word under each tag: as
 *  P(tag | word) / P(tag), which is P(word | tag) but for a factor that all tags share; with `plain` P(word | tag)
 *  itself. Of order 0 all steps are 0, and a word's score is log P(tag | word). Words whose id is unk are guessed from
 *  their letters, s->words. The emissions are the tape's, the rest lives until the counts change. False: sticky error.
 */
RV_API bool rv_hmm_chain(rv_tape *tape, rv_hmm *h, const rv_sequences *s, rv_chain *out);

/** Baum-Welch [Rabiner 1989, III.C] from sentences without tags, of order 1 and `plain`: rv_hmm_expect adds, for each
 *  batch of a pass, the counts that the present ones lead to expect, and log P(words) to *log_likelihood (summed in
 *  double); rv_hmm_reestimate puts what was gathered in the place of the counts. From pass to pass the likelihood never
 *  falls. Begin with counts that leave each sentence possible, not the same for all tags. Errors: RV_EDATA of a row
 * that has probability 0; RV_ENOMEM. */
RV_API rv_status rv_hmm_expect(rv_hmm *h, const rv_sequences *s, double *log_likelihood);
RV_API void rv_hmm_reestimate(rv_hmm *h);

/** log P(tag | the tag before) as order 1 has it, whatever the order: steps (K + 1, K + 1) [from, to], row K the
 *  beginning, column K the end of a sentence, [K, K] NaN. Of order 0 the steps are not asked for. Error: RV_ENOMEM. */
RV_API rv_status rv_hmm_steps(rv_hmm *h, double *steps);

/** Weights of deleted interpolation [Brants 2000, fig. 1] of the counts as they are: of a tag's frequency alone, after
 *  one tag, after two. bigram weighs steps from one tag, trigram those of order 2; either may be NULL. Error:
 * RV_ENOMEM. */
RV_API rv_status rv_hmm_weights(rv_hmm *h, double bigram[2], double trigram[3]);

/** That of a CRF: the mean over words of -log p(tags | words), a constant. NULL: sticky error; RV_EDATA as above. */
RV_API rv_tensor *rv_hmm_loss(rv_tape *tape, rv_hmm *h, const rv_batch *b);

#endif

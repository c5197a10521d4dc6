/** Heads: what turns states into a loss, a score and a prediction.
 *
 *  One kind per file or family, listed in models.def. A head is a linear map to `output_size` numbers, head.weight and
 *  head.bias, of what it reads; tags may have a chain behind it. */
#ifndef RV_MODELS_HEAD_H
#define RV_MODELS_HEAD_H

#include "models/batch.h"
#include "kernels/chain.h"
#include "models/hmm.h"
#include "models/memory.h"
#include "nn/pooling.h"
#include "ops/ops.h"

typedef struct rv_head_kind rv_head_kind;

/** Which tags may follow which, 0: not; each NULL: all may. */
typedef struct {
    const uint8_t *transition;   /**< (K, K) [from, to] */
    const uint8_t *start, *stop; /**< (K) first and last ones */
} rv_crf_allowed;

typedef enum {
    RV_READS_DECODER, /**< a decoder's state at each position */
    RV_READS_POOLED,  /**< one vector that it pools from an encoder's memory */
    RV_READS_ENCODER, /**< an encoder's memory, at the positions that rv_batch.at names */
    RV_READS_SOURCE,  /**< the source itself: there is no encoder, and x is NULL */
} rv_reads;

/** What a model of tags holds of two that stand next to each other. */
typedef enum {
    RV_STEPS_NONE,          /**< nothing: each tag is told by itself */
    RV_STEPS_SCORES,        /**< what a step adds to a tagging's score, the log of its probability but for a constant */
    RV_STEPS_PROBABILITIES, /**< logs of P(tag | the tag before), of a sentence's end likewise */
} rv_steps;

typedef struct {
    const rv_head_kind *kind;
    int64_t output_size; /**< tokens (set by the model), classes, numbers, tags */
    bool bias;
    rv_init init; /**< of head.weight when it is not tied, and of a pooling's matrices */
    rv_init bias_init;
    rv_pooling_kind pooling;
    int64_t pooling_size;   /**< RV_POOLING_ATTENTION: A */
    double dropout;         /**< on a pooled vector, in training */
    bool crf;               /**< tags: a linear-chain CRF over the positions [Lafferty 2001; Lample 2016, 2.2] */
    rv_crf_allowed allowed; /**< what may follow what; the caller's, as long as the head lives */
    rv_hmm_config hmm;      /**< of head hmm */
} rv_head_config;

typedef struct rv_head rv_head;

struct rv_head_kind {
    const char *name;
    rv_reads reads;
    /** Mean loss of b->targets targets -> scalar, from what it reads: x (rows, D), of a decoder with its rows in the
     *  order that time_major says. NULL: sticky error. */
    rv_tensor *(*loss)(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major,
                       double label_smoothing);
    /** Every row alone, from the same x, which needs no gradient: row (B). Of targets of tokens, nats (B, T) is the
     *  negative log probability of each, 0 where none is wanted, and best (B, T) the most probable id there, of equals
     *  the lower one; both batch-major, NULL of other heads. A tagging is one prediction: a row's nats stand at its
     * first word. False: sticky error. */
    bool (*score)(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, bool time_major, rv_row_score *row,
                  double *nats, int32_t *best);
    /** Tags: the chain whose paths are the taggings of b's rows, from the same x; the tape's. b->out is not read. NULL
     * of other heads. False: sticky error. */
    bool (*chain)(rv_tape *tape, rv_head *h, rv_tensor *x, const rv_batch *b, rv_chain *out);
    /** See rv_model_steps; NULL of a head that does not tag. */
    rv_status (*steps)(rv_head *h, double *steps, rv_steps *kind);
    /** Learn from a batch without gradients: all of its parameters are counts. NULL of others. Errors: RV_EDATA. */
    rv_status (*count)(rv_head *h, const rv_batch *b);
};

#define RV_HEAD(name) RV_API const rv_head_kind rv__head_##name;
#include "models/models.def"
#undef RV_HEAD

/** By name, or NULL. */
RV_API const rv_head_kind *rv_head_find(const char *name);

/** True if its loss is told after a sequence has been read, so that there is a distance over which gradients flow. */
static inline bool rv_head_flows(const rv_head_kind *k) {
    return k->reads == RV_READS_DECODER || k->reads == RV_READS_POOLED;
}

/** Declare pooling.* and head.weight (O, D), head.bias (O), and of a CRF head.transition (O, O) [from, to], head.start
 *  and head.stop (O). tied: a weight (O, D) to use, declared by somebody else.
 *  NULL: RV_ENOMEM. Free with rv_head_destroy. */
RV_API rv_head *rv_head_create(rv_params *params, const rv_head_config *config, int64_t input_size, rv_tensor *tied);
RV_API void rv_head_destroy(rv_head *h);
RV_API const rv_head_config *rv_head_get_config(const rv_head *h);
/** The linear map alone: x (..., D) -> (..., O). */
RV_API rv_tensor *rv_head_map(rv_tape *tape, rv_head *h, rv_tensor *x);
/** What a head that pools maps: the pooled vector, dropped in training, (B, D). *pooled, unless NULL, gets the vector
 *  before that, and the weights. NULL: sticky error. */
RV_API rv_tensor *rv_head_pool(rv_tape *tape, rv_head *h, const rv_memory *memory, rv_pooled *pooled);
/** Rows' sums of targets b->out, of which nats and best (B, T) tell each alone, for kinds. */
RV_API void rv_head_sum(const rv_batch *b, const double *nats, const int32_t *best, rv_row_score *row);
/** Its weights and bias (or NULL), for kinds. */
RV_API rv_tensor *rv_head_weight(const rv_head *h);
RV_API rv_tensor *rv_head_bias(const rv_head *h);
/** Say why there is no best path where all of them together are log_z: none is possible, or the model has diverged.
 *  False. */
RV_API bool rv_head_no_path(rv_tape *tape, double log_z);
/** What a head's score is where it has a chain. */
RV_API bool rv_head_score_chain(rv_tape *tape, const rv_chain *c, const rv_batch *b, rv_row_score *row, double *nats,
                                int32_t *best);
RV_API rv_hmm *rv_head_hmm(const rv_head *h);
/** What a CRF adds to emissions; NULL of others. */
RV_API rv_tensor *rv_head_transition(const rv_head *h);
RV_API rv_tensor *rv_head_start(const rv_head *h);
RV_API rv_tensor *rv_head_stop(const rv_head *h);

#endif

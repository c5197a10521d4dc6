/** The differentiable operations. Each returns a tensor owned by the tape, or NULL after an error (sticky on the
 *  tape: RV_ESHAPE with both shapes in the message). Every op here is in ops.def, which drives the gradient check in
 *  double, the thread-count determinism test and the micro-benchmark. */
#ifndef RV_OPS_OPS_H
#define RV_OPS_OPS_H

#include "autograd/tape.h"
#include "kernels/chain.h"
#include "kernels/kernels.h"

#define RV_OP(name) RV_API const rv_op rv__op_##name;
#include "ops/ops.def"
#undef RV_OP
/** All ops, in the order of ops.def, closed by NULL. */
RV_API const rv_op *const rv_ops[];

/* ---- matmul.c */
/** a (..., M, K) b (K, N) -> (..., M, N); or both batched with equal leading dimensions. */
RV_API rv_tensor *rv_matmul(rv_tape *tape, rv_tensor *a, rv_tensor *b);
/** act(x w^T + b): x (..., I), w (O, I) as PyTorch stores it, b (O) or NULL -> (..., O). */
RV_API rv_tensor *rv_linear(rv_tape *tape, rv_tensor *x, rv_tensor *w, rv_tensor *b, rv_act act);
/** The same with rows [begin, end) of w and b alone, of which other maps may use other rows: (..., end - begin). */
RV_API rv_tensor *rv_linear_rows(rv_tape *tape, rv_tensor *x, rv_tensor *w, rv_tensor *b, int64_t begin, int64_t end);

/* ---- feed_forward.c */
/** dropout(act(x w1^T + b1)) w2^T + b2 [Vaswani 2017, eq. 2]: x (..., I), w1 (F, I), w2 (O, F), b1 (F) and b2 (O) or
 * NULL ->
 *  (..., O). act is ReLU, GELU or its tanh form, else RV_EUSAGE. The bits of rv_linear, rv_dropout with rows of whole
 * words and rv_linear in turn, but one hidden layer is kept, and used up by backward: it cannot be run again. */
RV_API rv_tensor *rv_feed_forward(rv_tape *tape, rv_tensor *x, rv_tensor *w1, rv_tensor *b1, rv_tensor *w2,
                                  rv_tensor *b2, rv_act act, double dropout);

/* ---- elementwise.c: shapes broadcast from the right as in NumPy */
RV_API rv_tensor *rv_add(rv_tape *tape, rv_tensor *a, rv_tensor *b);
RV_API rv_tensor *rv_sub(rv_tape *tape, rv_tensor *a, rv_tensor *b);
RV_API rv_tensor *rv_mul(rv_tape *tape, rv_tensor *a, rv_tensor *b);
RV_API rv_tensor *rv_div(rv_tape *tape, rv_tensor *a, rv_tensor *b);
/** scale * x + shift */
RV_API rv_tensor *rv_affine(rv_tape *tape, rv_tensor *x, double scale, double shift);
RV_API rv_tensor *rv_exp(rv_tape *tape, rv_tensor *x);
RV_API rv_tensor *rv_log(rv_tape *tape, rv_tensor *x);
RV_API rv_tensor *rv_tanh(rv_tape *tape, rv_tensor *x);
RV_API rv_tensor *rv_sigmoid(rv_tape *tape, rv_tensor *x);
RV_API rv_tensor *rv_relu(rv_tape *tape, rv_tensor *x);
/** x Phi(x), by erf [Hendrycks 2016]. */
RV_API rv_tensor *rv_gelu(rv_tape *tape, rv_tensor *x);
/** Its tanh approximation, as GPT-2 has it. */
RV_API rv_tensor *rv_gelu_tanh(rv_tape *tape, rv_tensor *x);

/* ---- reduce.c */
/** Over one axis (negative counts from the end), which disappears. */
RV_API rv_tensor *rv_sum(rv_tape *tape, rv_tensor *x, int axis);
RV_API rv_tensor *rv_mean(rv_tape *tape, rv_tensor *x, int axis);
/** Over everything -> scalar. */
RV_API rv_tensor *rv_sum_all(rv_tape *tape, rv_tensor *x);
RV_API rv_tensor *rv_mean_all(rv_tape *tape, rv_tensor *x);

/* ---- shape.c */
/** Same elements in a new shape; one dimension may be -1. A view: costs nothing. */
RV_API rv_tensor *rv_reshape(rv_tape *tape, rv_tensor *x, int ndim, const int64_t *dim);
/** Dimension i of the result is dimension perm[i] of x. A copy. */
RV_API rv_tensor *rv_transpose(rv_tape *tape, rv_tensor *x, const int *perm);
/** Elements [begin, end) of an axis. A copy. */
RV_API rv_tensor *rv_slice(rv_tape *tape, rv_tensor *x, int axis, int64_t begin, int64_t end);
/** n tensors joined along an axis. */
RV_API rv_tensor *rv_concat(rv_tape *tape, int n, rv_tensor *const *x, int axis);

/* ---- softmax.c */
/** Over the last axis. */
RV_API rv_tensor *rv_softmax(rv_tape *tape, rv_tensor *x);
RV_API rv_tensor *rv_log_softmax(rv_tape *tape, rv_tensor *x);

/* ---- loss.c */
/** Mean over the targets that are not `ignore` of -sum_v q_v log softmax(logits)_v, with q = (1-e) onehot + e/V
 *  (PyTorch's label smoothing e). logits (..., V), target: one id per row, values in [0, V) or `ignore`; kept by
 *  the caller until backward. Backward writes the gradient over the logits: they are never stored twice. All
 *  ignored gives 0. -> scalar */
RV_API rv_tensor *rv_cross_entropy(rv_tape *tape, rv_tensor *logits, const int32_t *target, int32_t ignore,
                                   double smoothing);
/** Mean of squares of a - b (same shapes) -> scalar. */
RV_API rv_tensor *rv_mse(rv_tape *tape, rv_tensor *a, rv_tensor *b);

/* ---- linear_loss.c */
/** rv_cross_entropy(rv_linear(x, w, b)) without its logits: x (..., I), w (V, I), b (V) or NULL, one target per row of
 * x. Rows are taken in blocks whose logits stay in cache. When the tape records, a block's gradients are made at once,
 *  while they are there, so that no product is computed twice and backward has only to hand them on. Rows whose target
 *  is `ignore` cost nothing. target is not read after the call. -> scalar */
RV_API rv_tensor *rv_linear_cross_entropy(rv_tape *tape, rv_tensor *x, rv_tensor *w, rv_tensor *b,
                                          const int32_t *target, int32_t ignore, double smoothing);

/* ---- crf.c */
/** Scores of a linear chain, and the paths that are right. */
typedef struct {
    rv_tensor *emissions;    /**< (B, T, K) */
    rv_tensor *transition;   /**< (K, K) [from, to] */
    rv_tensor *start, *stop; /**< (K) */
    const int32_t *tags;     /**< (B, T) gold labels; what stands behind a row's length is not read */
    const int32_t *lengths;  /**< (B), in [1, T] */
    /** Where 0, no path goes: steps (K, K), first labels (K) and last labels (K). Their scores count as -INFINITY and
     * get gradient 0. NULL: everything is allowed. */
    const uint8_t *allowed, *allowed_start, *allowed_stop;
} rv_crf_spec;
/** The chain of these scores (tags are not read), for rv_chain_best and so on: scores with what is banned are the
 *  tape's. false after an error: RV_ESHAPE; RV_EDATA for a length that is not in [1, T]. */
RV_API bool rv_crf_chain(rv_tape *tape, const rv_crf_spec *spec, rv_chain *chain);
/** Sum over the rows of -log p(tags | emissions), divided by the number of valid positions -> scalar, with
 *    p(y) = exp(score(y)) / Z,  score(y) = start[y_1] + sum_t (transition[y_t-1, y_t] + emissions[t, y_t]) + stop[y_n]
 *  [Lafferty 2001, eq. 1; Lample 2016, 2.2]. When the tape records, the gradients, expected less gold labels and steps,
 *  are made at once, and backward has only to hand them on: tags and masks are not read after the call. Error: those of
 *  rv_crf_chain; RV_EDATA names the row and position of a gold label that there is not or that is banned. */
RV_API rv_tensor *rv_crf(rv_tape *tape, const rv_crf_spec *spec);

/* ---- norm.c */
/** (x - mean) / sqrt(var + eps) * gamma + beta over the last axis, biased variance [Ba 2016]; beta may be NULL. */
RV_API rv_tensor *rv_layer_norm(rv_tape *tape, rv_tensor *x, rv_tensor *gamma, rv_tensor *beta, double eps);

/* ---- embedding.c */
/** Rows of table (V, D) times `scale`: ids (n values in [0, V), kept by the caller until backward) -> (n, D). The
 *  scatter of backward is split by the owner of the row. */
RV_API rv_tensor *rv_embedding(rv_tape *tape, rv_tensor *table, const int32_t *ids, int64_t n, double scale);

/* ---- watch.c
 * States that a watch on the tape is to see; without one these do nothing. */
/** x itself, or, for somebody watching, its copy, whose gradient is kept: (T, B, H) with time_major, (B, T, H) without,
 * or (B, H). */
RV_API rv_tensor *rv_watch_states(rv_tape *tape, rv_tensor *x, const char *kind, bool time_major, const char *name_fmt,
                                  ...) RV_PRINTF(5, 6);
/** The states of a layer that gave y (rv_recurrent): NAME.h, and of an LSTM NAME.c, with all of what passes through
 * later steps. dL/dc_t includes its way through h_t. */
RV_API void rv_recurrent_watch(rv_tape *tape, rv_tensor *y, const char *name_fmt, ...) RV_PRINTF(3, 4);

/* ---- dropout.c */
/** In training each element is 0 with probability p, else x / (1 - p); otherwise x itself. p is rounded to a multiple
 * of 1/65536, in both places. The mask is a function of (seed, step, call, index); one bit of it is kept per element.
 */
RV_API rv_tensor *rv_dropout(rv_tape *tape, rv_tensor *x, double p);

/* ---- recurrent.c */
typedef enum { RV_CELL_RNN_TANH, RV_CELL_RNN_RELU, RV_CELL_LSTM, RV_CELL_GRU, RV_CELL_GRU_RESET_BEFORE } rv_cell;
/** Gates of a cell: 1, 4 or 3. */
RV_API int rv_cell_gates(rv_cell cell);
typedef struct {
    rv_tensor *y;  /**< (T, B, H) all hidden states; 0 at padded steps */
    rv_tensor *hn; /**< (B, H) the last valid hidden state of each row */
    rv_tensor *cn; /**< (B, H) the last cell state; NULL unless LSTM */
} rv_sequence;
/** One layer and direction over a whole sequence, as ONE node. x (T, B, I), w_ih (G H, I), w_hh (G H, H), b_ih and
 *  b_hh (G H) or NULL, h0 and c0 (B, H) or NULL for zeros; gate order i,f,g,o (LSTM), r,z,n (GRU), as PyTorch.
 *  lengths: B valid lengths, or NULL when all are T; kept by the caller until backward. reverse runs from each row's
 *  last valid step to its first.
 *    RNN  h = f(W x + U h' + b)                                                     [Elman 1990]
 *    LSTM i,f,o = sigmoid, g = tanh; c = f c' + i g; h = o tanh(c)                  [Hochreiter 1997, Gers 2000]
 *    GRU  r,z = sigmoid; n = tanh(W x + b + r (U h' + b')); h = (1-z) n + z h'      [cuDNN's and PyTorch's form]
 *         reset_before: n = tanh(W x + b + U (r h') + b')                           [Cho 2014] */
RV_API rv_sequence rv_recurrent(rv_tape *tape, rv_cell cell, rv_tensor *x, rv_tensor *w_ih, rv_tensor *w_hh,
                                rv_tensor *b_ih, rv_tensor *b_hh, rv_tensor *h0, rv_tensor *c0, const int32_t *lengths,
                                bool reverse);

/* ---- attention_recurrent.c */
typedef enum {
    RV_SCORE_ADDITIVE, /**< v . tanh(W q + key)  [Bahdanau 2015, A.1.2; Luong's concat] */
    RV_SCORE_DOT,      /**< q . key: Luong's dot (keys = memory) and general (keys = linear(memory)) */
} rv_score;
/** A decoder's recurrence with attention over a memory of S positions. What is optional may be NULL. */
typedef struct {
    rv_cell cell;
    rv_score score;
    bool query_current; /**< false: the query is h_{t-1} and the cell reads [x_t; c_t] [Bahdanau 2015, A.1.2];
                         *   true: the cell runs first and the query is h_t [Luong 2015, 3.1] */
    rv_tensor *x;       /**< (T, B, E) */
    rv_tensor *memory;  /**< (B, S, D): what is summed up to the context */
    rv_tensor *keys; /**< (B, S, A): what queries are compared with; U h of all positions, computed once. Dot: A = H */
    const int32_t *lengths; /**< valid positions of each memory row, or NULL for S; those behind get weight exactly 0
                             * and are not read. Kept by the caller until backward */
    const int32_t *rows;    /**< B rows of memory, keys and lengths, whose first dimension is then free: row b reads
                             *   rows[b] (beams of one sentence share its memory). Only where nothing is recorded */
    rv_tensor *w_query, *v; /**< additive: (A, H), (A) */
    rv_tensor *w_ih, *w_hh, *b_ih, *b_hh; /**< the cell, as for rv_recurrent; w_ih (G H, E + F) reads [x_t; c_t] (F =
                                           * D), with input feeding [x_t; a_{t-1}] (F = O), else x_t (F = 0) */
    rv_tensor *h0, *c0;                   /**< (B, H), or NULL for zeros */
    rv_tensor *w_out; /**< (O, D + H), only with query_current: a_t = tanh(w_out [c_t; h_t])     [Luong 2015, eq. 5] */
    rv_tensor *feed;  /**< (B, O): a_{-1}, with which there is input feeding                     [Luong 2015, 3.3] */
    rv_tensor *w_position, *v_position; /**< (P, H), (P): local-p attention around p = len sigmoid(v_p . tanh(W_p q)),
                                         * len being the row's valid positions: the softmax over the positions s with |s
                                         * - p| <= window, times exp(-(s - p)^2 / (2 (window/2)^2)) [Luong 2015, eq.
                                         * 9-10]. p has its gradient through the Gaussian; the window's edge has none */
    double window;                      /**< at least 1 with w_position */
} rv_attention_recurrence;
typedef struct {
    rv_tensor *h;       /**< (T, B, H) */
    rv_tensor *context; /**< (T, B, D) c_t = sum over s of weights memory; 0 for a row of length 0 */
    rv_tensor *output;  /**< (T, B, O) a_t, NULL without w_out */
    rv_tensor *weights; /**< (T, B, S) values only: no gradient goes through it */
    rv_tensor *hn, *cn; /**< (B, H) the last states; cn for an LSTM, else NULL */
} rv_attention_sequence;
/** All T steps as ONE node. Backward computes tanh(W q + key) again: nothing of size T x S x A is stored. The same bits
 *  when called step by step with h0, c0 and feed carried; a row's bits depend on no other row and on no padding.
 *  Everything is NULL after an error: RV_ESHAPE; RV_EUSAGE for parts that do not go together. */
RV_API rv_attention_sequence rv_attention_recurrent(rv_tape *tape, const rv_attention_recurrence *a);

/* ---- maxout.c */
/** Largest of each k neighbours: (..., k n) -> (..., n)  [Goodfellow 2013; Bahdanau 2015, A.2.2 with k = 2]. The
 * gradient goes to the first of equals. */
RV_API rv_tensor *rv_maxout(rv_tape *tape, rv_tensor *x, int k);

/* ---- pool.c */
typedef struct {
    rv_tensor *y;       /**< (B, D) */
    rv_tensor *weights; /**< (B, S) values only: no gradient goes through it; 0 behind a row's length */
} rv_pooled;
/** One vector for each row of x (B, S, D): y_b = sum over its valid positions s of w_s x_bs with w = softmax(scores_b),
 *  scores (B, S), or with scores NULL the mean. lengths: B valid positions, or NULL when all are S; kept by the caller
 * until backward. A row of length 0 gives 0. What lies behind a length is not read; a row's bits depend on no other row
 * and on no padding. Both are NULL after an error. */
RV_API rv_pooled rv_pool(rv_tape *tape, rv_tensor *x, rv_tensor *scores, const int32_t *lengths);

/* ---- attention.c */
typedef struct {
    int heads;
    bool causal;     /**< query t sees keys 0 .. t + (S - T) */
    bool mask_after; /**< with causal, the classic mistake: a softmax over all keys, then 0 for those not to be seen.
                      *   What is left sums to less than 1, by how much the keys to come decide */
    const int32_t *key_lengths; /**< B valid source lengths, or NULL; kept by the caller until backward */
    double scale;               /**< 0 stands for 1/sqrt(D/H) */
    double dropout;             /**< on the weights, in training */
} rv_attention_spec;
/** softmax(scale Q K^T + mask) V per head, masks being minus infinity before the softmax (but see mask_after)  [Vaswani
 * 2017, eq. 1]. q (B, T, D), k and v (B, S, D), heads side by side in D -> (B, T, D). A fully masked row gives 0. Saves
 * each row's max and sum for backward, not the T x S weights. */
RV_API rv_tensor *rv_attention(rv_tape *tape, rv_tensor *q, rv_tensor *k, rv_tensor *v, const rv_attention_spec *spec);
/** The same from qkv (B, T, 3 D), q, k and v side by side as one linear layer gives them: nothing is split or copied.
 */
RV_API rv_tensor *rv_self_attention(rv_tape *tape, rv_tensor *qkv, const rv_attention_spec *spec);
/** The same from q (B, T, D) and kv (B, S, 2 D), k and v side by side: cross-attention over a memory. */
RV_API rv_tensor *rv_cross_attention(rv_tape *tape, rv_tensor *q, rv_tensor *kv, const rv_attention_spec *spec);
/** Attention for decoding, on plain buffers: T new queries per row of the batch against keys kept from earlier calls.
 *  Heads lie side by side in rows of `dim` elements; ld*: elements from one position to the next, stride_*: from one
 * row of the batch to the next. */
typedef struct {
    int64_t batch, queries, dim;
    int heads;
    bool causal;          /**< query t of row b sees keys [0, past[b] + t], its own being the last; else [0, past[b]) */
    const int32_t *past;  /**< B counts of keys */
    const int32_t *rows;  /**< the row of k and v that each row reads, or NULL: its own */
    const int32_t *place; /**< NULL: position s of row b lies at s rows of ldk (ldv) behind row b's first; else at
                             place[b * stride_place + s] behind k (v) */
    int64_t stride_place;
    double scale; /**< 0 stands for 1/sqrt(dim/heads) */
    const rv_real *q, *k, *v;
    rv_real *y; /**< written: queries x dim per row */
    int64_t ldq, ldk, ldv, ldy, stride_q, stride_k, stride_v, stride_y;
} rv_attention_cache;
/** Gives the bits that rv_attention gives for the same positions in a full pass. Records nothing; scratch comes from
 * the tape and is given back. Returns the tape's status. */
RV_API rv_status rv_attention_cached(rv_tape *tape, const rv_attention_cache *c);

#endif

/** The tape: a define-by-run record of one step, its memory, and reverse-mode differentiation.
 *
 *  Ops append nodes while the forward pass runs; rv_backward walks them in reverse. All memory of a step (values,
 *  nodes, saved context) comes from one arena and dies at rv_tape_reset in O(1); gradients live in a second buffer
 *  whose offsets are planned at backward from each gradient's first and last use. A steady-state step allocates
 *  nothing.
 *
 *  Errors while building a graph are sticky: the op returns NULL, NULL in gives NULL out, and rv_backward (or
 *  rv_tape_status) reports the first. */
#ifndef RV_AUTOGRAD_TAPE_H
#define RV_AUTOGRAD_TAPE_H

#include <stdarg.h>

#include "base/arena.h"
#include "base/rng.h"
#include "tensor/tensor.h"

typedef struct rv_tape rv_tape;

/** Flags that let backward save memory and copies. */
enum {
    RV_OP_USES_OUTPUT = 1,   /**< backward reads the VALUE of output 0 (e.g. tanh) */
    RV_OP_GRAD_IN_PLACE = 2, /**< the gradient of input 0 may be written over input 0's values (e.g. cross-entropy) */
    RV_OP_PASS_GRAD =
        4, /**< inputs of the output's size get its gradient unchanged (e.g. add): the first may take over its buffer */
};

typedef struct rv_op {
    const char *name;
    /** Adds to the gradients of the inputs that need one (see rv_grad). May use rv_tape_scratch memory. */
    void (*backward)(rv_tape *tape, rv_node *node);
    /** Builds the k-th sample case from rv_sample_* leaves and returns its output: the gradient check, the
     *  determinism test and the micro-benchmark run it. NULL when there are no more. */
    rv_tensor *(*sample)(rv_tape *tape, int k);
    unsigned flags;
    bool smooth; /**< differentiable at all sample points: the gradient check must reach 1e-7 */
} rv_op;

struct rv_node {
    const rv_op *op;
    rv_node *prev;  /**< recorded just before */
    rv_tensor **in; /**< nin entries; an optional input that is absent is NULL */
    rv_tensor **out;
    int nin, nout;
    void *ctx;    /**< what forward saved for backward; step lifetime */
    bool live;    /**< the loss depends on it (set by backward) */
    bool watched; /**< its backward shows gradients to somebody, even if no input needs one */
};

/* ---- for trainers */
RV_API rv_tape *rv_tape_create(void);
RV_API void rv_tape_destroy(rv_tape *tape);
/** Forget the step: all its tensors die. Clears the sticky error. */
RV_API void rv_tape_reset(rv_tape *tape);
/** Random numbers of the coming steps are a function of (seed, step, order of calls in the step). */
RV_API void rv_tape_seed(rv_tape *tape, uint64_t seed, uint64_t step);
/** Training mode: dropout drops. Off after create. */
RV_API void rv_tape_set_training(rv_tape *tape, bool on);
RV_API bool rv_tape_training(const rv_tape *tape);
/** While on, ops record nothing; values still live until reset or rewind. Returns the old setting. */
RV_API bool rv_tape_no_grad(rv_tape *tape, bool on);
/** Those two switches. */
typedef struct {
    bool no_grad, training;
} rv_tape_mode;
/** For a trained model, as in validation and decoding: nothing is recorded, and nothing dropped. Returns the switches
 *  as they were, for rv_tape_restore. */
RV_API rv_tape_mode rv_tape_infer(rv_tape *tape);
RV_API void rv_tape_restore(rv_tape *tape, rv_tape_mode mode);
/** First error since reset, its message left in rv_error_message(). */
RV_API rv_status rv_tape_status(const rv_tape *tape);
/** Backward from a scalar: d loss/d x is ADDED to the gradient of every leaf and parameter that needs one.
 *  Errors: the tape's sticky error; RV_ESHAPE when loss is not a scalar. */
RV_API rv_status rv_backward(rv_tape *tape, rv_tensor *loss);
/** The same from any tensor, with dy (shape of y) as its gradient. */
RV_API rv_status rv_backward_from(rv_tape *tape, rv_tensor *y, const rv_real *dy);
/** Bytes: the peak of the step arena, and the gradient buffer. */
RV_API size_t rv_tape_step_bytes(const rv_tape *tape);
RV_API size_t rv_tape_grad_bytes(const rv_tape *tape);

/** Many passes with the same weights (decoding): while on and nothing is recorded, what multiplies with a parameter
 * packs it once and keeps it. Parameters must not change meanwhile; turning this off, or recording on, forgets all that
 * is packed. Returns the old setting. */
RV_API bool rv_tape_hold_weights(rv_tape *tape, bool on);

/** Values made since the mark die at rewind (only while no_grad is on: a recorded node must not lose its memory). */
RV_API rv_arena_mark rv_tape_mark(rv_tape *tape);
RV_API void rv_tape_rewind(rv_tape *tape, rv_arena_mark mark);

/* ---- looking inside */
/** The gradient of a state inside the graph, at every position of every sequence: dL/dh_t in total, on all of h_t's
 * ways to L. */
typedef struct {
    char name[80];      /**< "encoder.rnn.l0.h" */
    const char *kind;   /**< "hidden", "cell", "stream" (a transformer's), "head" (what the head reads) */
    bool reverse;       /**< the last state computed is that of position 0 */
    int64_t T, B, size; /**< positions, sequences, width */
    int64_t step, row;  /**< elements from a position to the next, and from a sequence to the next */
    rv_real *g;         /**< the tape's; filled by backward, 0 at padded positions */
} rv_watched;
enum { RV_WATCH_MAX = 256 };
typedef struct {
    int n; /**< 0 at first, and after rv_tape_reset */
    rv_watched seen[RV_WATCH_MAX];
} rv_watch;
/** Until the next call what the models show (rv_watch_states, rv_recurrent_watch) is listed in *watch, in the order of
 * computing, and backward gives parameters no gradient. NULL: nothing is. Returns the old one. */
RV_API rv_watch *rv_tape_watch(rv_tape *tape, rv_watch *watch);
/** For ops: one more entry, named by the pattern, with zeros in g, if somebody watches and the tape records; else NULL.
 */
RV_API rv_watched *rv_tape_watch_add(rv_tape *tape, const rv_watched *what, const char *name_fmt, va_list name);

/* ---- leaves */
/** A leaf of this shape with uninitialised values, owned by the tape. */
RV_API rv_tensor *rv_leaf(rv_tape *tape, bool needs_grad, int ndim, const int64_t *dim);
/** A constant copied from x. */
RV_API rv_tensor *rv_constant(rv_tape *tape, int ndim, const int64_t *dim, const rv_real *x);

/* ---- for ops */
/** A new tensor on the tape with uninitialised values; NULL (sticky RV_ENOMEM) without memory. */
RV_API rv_tensor *rv_tape_tensor(rv_tape *tape, int ndim, const int64_t *dim);
/** The same values and gradient under another shape (equal element count). Records nothing. */
RV_API rv_tensor *rv_tape_view(rv_tape *tape, rv_tensor *t, int ndim, const int64_t *dim);
/** Step-lifetime memory for an op's saved context; NULL (sticky) without memory. */
RV_API void *rv_tape_alloc(rv_tape *tape, size_t bytes);
/** True if a node with these inputs would be recorded: then forward must save what backward needs. */
RV_API bool rv_tape_records(const rv_tape *tape, int nin, rv_tensor *const *in);
/** Record a node; ctx_bytes of zeroed context come with it. NULL if nothing is recorded (not an error) or memory is
 *  out (sticky). */
RV_API rv_node *rv_tape_record(rv_tape *tape, const rv_op *op, int nin, rv_tensor *const *in, int nout,
                               rv_tensor *const *out, size_t ctx_bytes);
/** Make the error sticky and return NULL. */
RV_API void *rv_tape_fail(rv_tape *tape, rv_status code, const char *fmt, ...) RV_PRINTF(3, 4);
/** In backward: where to put the gradient of input t. *acc tells to add (true) or overwrite every element (false).
 *  NULL when t needs none or is NULL. Call it once per input and backward: it marks the gradient as written. */
RV_API rv_real *rv_grad(rv_tensor *t, bool *acc);
/** In backward: the gradient of output i, or NULL when nothing depends on that output. */
RV_API const rv_real *rv_out_grad(const rv_node *node, int i);
/** Key and counters for this call's random numbers: (key, step, first index 0); each call gets its own stream. */
RV_API rv_rng rv_tape_rng(rv_tape *tape);

/** Columns [column, column + k) of the parameter w, transposed and packed for rv_gemm as `parts` equal stacks of its
 * rows, one after the other, each of rv_tape_packed_bytes. Lives while weights are held (rv_tape_hold_weights). NULL
 * when they are not, w is no parameter or there is no memory: then multiply with w itself, the bits are the same. */
RV_API const void *rv_tape_packed(rv_tape *tape, const rv_tensor *w, int64_t column, int64_t k, int64_t parts);
RV_API size_t rv_tape_packed_bytes(const rv_tensor *w, int64_t k, int64_t parts);

/* ---- for op samples (see rv_op.sample) */
/** A leaf that needs a gradient, filled with uniform numbers in [lo, hi): a function of its position among the
 *  sample's leaves only. */
RV_API rv_tensor *rv_sample_leaf(rv_tape *tape, double lo, double hi, int ndim, const int64_t *dim);
/** Make sample leaf `leaf`'s element `elem` differ by `eps` in the samples built from now on; leaf < 0: none. */
RV_API void rv_sample_perturb(rv_tape *tape, int leaf, int64_t elem, double eps);
/** While on, sample leaves keep what their memory holds, which after two builds of one sample is that sample's values:
 *  a benchmark then times the op alone. */
RV_API void rv_sample_keep(rv_tape *tape, bool on);
/** Number of sample leaves since reset, and the i-th of them. */
RV_API int rv_sample_count(const rv_tape *tape);
RV_API rv_tensor *rv_sample_get(const rv_tape *tape, int i);

#endif

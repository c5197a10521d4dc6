/** Stacked recurrent layers, one- or two-directional, with PyTorch's parameter names, shapes and gate order (nn.RNN,
 *  nn.LSTM, nn.GRU): PREFIX.weight_ih_l0 (G H, I), weight_hh_l0 (G H, H), bias_ih_l0, bias_hh_l0 (G H), the second
 *  direction's with the suffix _reverse. The cells are described at rv_recurrent. */
#ifndef RV_NN_RECURRENT_H
#define RV_NN_RECURRENT_H

#include "nn/params.h"
#include "ops/ops.h"

enum { RV_RNN_MAX_STATES = 32 }; /**< layers times directions */

typedef struct {
    rv_cell cell;
    int num_layers;
    bool bidirectional;
    int64_t input_size, hidden_size; /**< I and H; the output is H wide, 2 H if bidirectional */
    bool bias;
    double dropout; /**< on what goes from one layer to the next, in training */
    /** Initial values; UNIFORM with a = 0 stands for PyTorch's U(-1/sqrt(H), 1/sqrt(H)). `gates` is set by the layer.
     */
    rv_init weight_init, recurrent_init, bias_init;
    /** LSTM: bias_ih's forget part starts at this and bias_hh's at 0 [Gers 2000, Jozefowicz 2015]; NAN: as bias_init.
     */
    double forget_bias;
} rv_rnn_config;

/** One layer and direction, biases, PyTorch's initial values but forget bias 1, no dropout; sizes are the caller's to
 * set. */
RV_API rv_rnn_config rv_rnn_defaults(rv_cell cell);

typedef struct rv_rnn rv_rnn;
/** Declare the parameters in ps under `prefix`. NULL and RV_EUSAGE when the sizes do not fit, RV_ENOMEM. Free with
 *  rv_rnn_destroy; the parameters stay with ps. */
RV_API rv_rnn *rv_rnn_create(rv_params *ps, const rv_rnn_config *config, const char *prefix);
RV_API void rv_rnn_destroy(rv_rnn *r);
RV_API const rv_rnn_config *rv_rnn_get_config(const rv_rnn *r);

/** The parameters of one layer and direction. */
typedef struct {
    rv_tensor *w_ih, *w_hh, *b_ih, *b_hh; /**< biases NULL without `bias` */
} rv_rnn_layer;
/** Declare one layer alone, input_size wide, with the names and initial values it has in a stack: for what runs the
 * cell in another way than rv_rnn_forward. */
RV_API rv_rnn_layer rv_rnn_layer_declare(rv_params *ps, const rv_rnn_config *config, const char *prefix, int layer,
                                         int64_t input_size, bool reverse);

/** States (B, H) on a tape; entry layer * directions + direction. */
typedef struct {
    int n;
    rv_tensor *h[RV_RNN_MAX_STATES];
    rv_tensor *c[RV_RNN_MAX_STATES]; /**< NULL unless LSTM */
} rv_rnn_state;

/** x (T, B, I) -> (T, B, H), or (T, B, 2 H): forward beside reverse. lengths: B valid lengths or NULL when all are T;
 *  kept by the caller until backward; outputs at padded steps are 0. initial: NULL for zeros; single entries may be
 *  NULL, too. final, if not NULL, receives each row's last states (of a reverse direction: those at step 0). */
RV_API rv_tensor *rv_rnn_forward(rv_tape *tape, const rv_rnn *r, rv_tensor *x, const int32_t *lengths,
                                 const rv_rnn_state *initial, rv_rnn_state *final);

/** States outside any tape, for sequences that go on from batch to batch (truncated backpropagation) and for decoding:
 *  values without gradients. */
typedef struct {
    int n;               /**< as in rv_rnn_state */
    int64_t batch, size; /**< B, H */
    int64_t room;        /**< B at creation */
    rv_real *h, *c;      /**< (n, B, H) each, c behind h; c is NULL unless LSTM */
    rv_real *spare;      /**< (B, H): a state while it is reordered */
} rv_rnn_carry;
/** The states of a network with this config, all zeros; free with rv_rnn_carry_destroy. NULL: RV_ENOMEM. */
RV_API rv_rnn_carry *rv_rnn_carry_create(const rv_rnn_config *config, int64_t batch);
RV_API void rv_rnn_carry_destroy(rv_rnn_carry *carry);
/** Back to zeros. */
RV_API void rv_rnn_carry_reset(rv_rnn_carry *carry);
/** Copy the values of states out of their tape. Shapes are the carry's, or the program aborts. */
RV_API void rv_rnn_carry_save(rv_rnn_carry *carry, const rv_rnn_state *state);
/** The states as constants on a tape, for rv_rnn_forward's `initial`. */
RV_API rv_rnn_state rv_rnn_carry_load(rv_tape *tape, const rv_rnn_carry *carry);
/** Row b becomes what row from[b] was, for n rows, at most as many as it was created with: the survivors of a beam
 * search. */
RV_API void rv_rnn_carry_reorder(rv_rnn_carry *carry, const int32_t *from, int64_t n);

#endif

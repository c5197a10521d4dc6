/** Sequences of numbers to numbers: an encoder, a pooling of its states into one vector r, and a linear map of r.
 *
 *  Parameters: encoder.rnn.* (recurrent), or encoder.input.weight (D, F), encoder.input.bias (D), encoder.position.weight,
 *  encoder.layers.N.*, encoder.norm.* (transformer); pooling.*; head.weight (O, D), head.bias (O). */
#ifndef RV_MODELS_SEQUENCE_REGRESSOR_H
#define RV_MODELS_SEQUENCE_REGRESSOR_H

#include "nn/pooling.h"
#include "nn/position.h"
#include "nn/recurrent.h"
#include "nn/transformer.h"

typedef struct {
    bool attends;            /**< the encoder is `transformer`, over a linear map of the numbers; else `rnn`, which reads them as they are */
    int64_t input_size;      /**< F numbers at each step */
    int64_t output_size;     /**< O */
    rv_rnn_config rnn;       /**< its input_size is set here */
    rv_transformer_config transformer;
    rv_position_kind position; /**< with `attends`: what is added to the mapped numbers */
    rv_init position_init;   /**< of learned ones */
    int64_t max_length;      /**< positions that a table holds */
    rv_pooling_kind pooling;
    int64_t pooling_size;    /**< attention: A */
    double dropout;          /**< on a transformer's input and on r, in training; the stacks have their own */
    rv_init init;            /**< matrices of the linear maps; their biases are U(-1/sqrt(I), 1/sqrt(I)) for I inputs, as nn.Linear's */
} rv_sequence_regressor_config;

typedef struct rv_sequence_regressor rv_sequence_regressor;

/** Declares all parameters in params. NULL without memory or, RV_EUSAGE, when the parts do not fit each other. Free with
 *  rv_sequence_regressor_destroy; params stay the caller's. */
RV_API rv_sequence_regressor *rv_sequence_regressor_create(rv_params *params, const rv_sequence_regressor_config *config);
RV_API void rv_sequence_regressor_destroy(rv_sequence_regressor *m);
RV_API const rv_sequence_regressor_config *rv_sequence_regressor_get_config(const rv_sequence_regressor *m);
/** The encoder: one of the two is NULL. */
RV_API rv_rnn *rv_sequence_regressor_rnn(const rv_sequence_regressor *m);
RV_API rv_transformer *rv_sequence_regressor_transformer(const rv_sequence_regressor *m);
/** D, the width of a state and of r. */
RV_API int64_t rv_sequence_regressor_width(const rv_sequence_regressor *m);

/** What a pass leaves on the tape. */
typedef struct {
    rv_tensor *states;  /**< (B, T, D) of the encoder's last layer; meaningless behind a row's length */
    rv_tensor *pooled;  /**< (B, D): r */
    rv_tensor *weights; /**< (B, T) of mean and attention pooling, values only; else NULL */
    rv_tensor *output;  /**< (B, O) */
} rv_sequence_regression;

/** A pass over x (B, T, F), copied; lengths: B valid steps in [1, T], kept by the caller until backward. False after an error
 *  (sticky). Padding and batch-mates change nothing, to the bit. */
RV_API bool rv_sequence_regressor_forward(rv_tape *tape, rv_sequence_regressor *m, const rv_real *x, const int32_t *lengths, int64_t B, int64_t T,
                                          rv_sequence_regression *out);
/** Its parts, for who looks at states in between. The encoder's input as a leaf, in the encoder's layout: (T, B, F) for
 *  rv_rnn_forward; (B, T, D) for rv_transformer_forward, mapped and with positions. */
RV_API rv_tensor *rv_sequence_regressor_input(rv_tape *tape, rv_sequence_regressor *m, const rv_real *x, int64_t B, int64_t T);
/** Pooling and head over states (B, T, D), which the result then has, too. last (B, D): the recurrent encoder's final state (both
 *  directions' side by side), or NULL: states at each row's last step. */
RV_API bool rv_sequence_regressor_read(rv_tape *tape, rv_sequence_regressor *m, rv_tensor *states, rv_tensor *last, const int32_t *lengths,
                                       rv_sequence_regression *out);

/** Forward FLOPs of one parameter per step of a sequence of T, two per multiply-add; the head's are shared out over the steps. */
RV_API double rv_sequence_regressor_weight_flops(const rv_sequence_regressor *m, const rv_param *p, double T);
/** Forward FLOPs per step of a sequence of T. */
RV_API double rv_sequence_regressor_flops(const rv_sequence_regressor *m, const rv_params *params, double T);

#endif

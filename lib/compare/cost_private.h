/* A model under measurement, and what can be done with it at one length. */
#ifndef RV_COMPARE_COST_PRIVATE_H
#define RV_COMPARE_COST_PRIVATE_H

#include "autograd/tape.h"
#include "compare/cost.h"
#include "models/model.h"
#include "nn/params.h"

typedef struct {
    int64_t B, L; /* sequences, and positions of each (of source and target) */
    double smoothing;
    rv_params *params;
    rv_model *model;
    rv_tape *tape;
    rv_batch batch; /* random; its arrays are below */
    int32_t *ids[4],
        *last;        /* (B, L) source, in, out, and (B) labels, those that the model reads; (B) what decoding is at */
    int32_t *lengths; /* (B) of L */
    rv_real *numbers, *told; /* (B, L, F) and (B, O) */
    rv_words words;          /* what a model reads that reads letters; its arrays are one, spelt */
    int32_t *spelt;
    rv_decoder_state *state; /* of a model that writes */
} rv__subject;

rv_status rv__subject_open(const rv_config *config, int64_t src_vocab, int64_t tgt_vocab, int64_t B, int64_t L,
                           rv__subject *s);
void rv__subject_close(rv__subject *s);
/* The loss of a training step, recorded. NULL: sticky error. */
rv_tensor *rv__subject_loss(rv__subject *s);
bool rv__subject_decodes(const rv__subject *s);
/* Make L tokens for each sequence, the most probable one each time. */
rv_status rv__subject_decode(rv__subject *s);
/* FLOPs of the forward pass, two per multiply-add, from shapes; decoding does the same work, a position at a time. */
double rv__subject_forward_flops(const rv__subject *s);
/* What decoding carries from token to token beside the tape: recurrent states, keys and values, what is read of the
 * source. */
int64_t rv__subject_state_bytes(const rv__subject *s);

#endif

/** Words as their letters: a vector for each word, made of its letters alone, so that a word that training never saw
 * has one, too. Each different word of a batch is computed once, however often it stands there. */
#ifndef RV_MODELS_LETTER_NET_H
#define RV_MODELS_LETTER_NET_H

#include "models/batch.h"
#include "nn/params.h"
#include "ops/ops.h"

typedef enum {
    RV_LETTER_NET_NONE,
    /** The final states of an LSTM from the first letter to the last and of one back, side by side [Lample 2016, 4.1]
     */
    RV_LETTER_NET_LSTM,
    /** Filters over each letter and its two neighbours (zeros beyond the word), and of each filter the largest over the
     *  letters [Ma & Hovy 2016, 2.1] */
    RV_LETTER_NET_CNN,
} rv_letter_net_kind;

/** Running English text has about 5 letters to a word. */
enum { RV_LETTERS_PER_WORD = 5 };

typedef struct {
    rv_letter_net_kind kind;
    int64_t alphabet;       /**< ids of letters below this */
    int64_t embedding_size; /**< width of a letter's embedding */
    int64_t size;           /**< lstm: H of each direction; cnn: filters */
    double dropout;         /**< on the letters' embeddings, in training           [Ma & Hovy 2016, 2.1: of the cnn] */
    rv_init init;           /**< of the embedding; an LSTM starts as rv_rnn_defaults, filters as nn.Conv1d */
    /** Letters that are computed for each position of a batch, on average: for the work that the model counts
     *  (rv_model_flops), nothing else. 0 stands for RV_LETTERS_PER_WORD, too many where words come again in a batch. */
    double per_position;
} rv_letter_net_config;

typedef struct rv_letter_net rv_letter_net;

/** Declare PREFIX.embedding.weight (alphabet, E) and, with PyTorch's names, PREFIX.rnn.weight_ih_l0 to
 *  bias_hh_l0_reverse of nn.LSTM(E, H, bidirectional=True), or PREFIX.conv.weight (F, E, 3) and PREFIX.conv.bias (F) of
 *  nn.Conv1d(E, F, 3, padding=1). NULL: RV_EUSAGE for sizes that are none, RV_ENOMEM. */
RV_API rv_letter_net *rv_letter_net_create(rv_params *params, const rv_letter_net_config *config, const char *prefix);
RV_API void rv_letter_net_destroy(rv_letter_net *l);
/** Width of a word's vector: 2 H, F, or 0 of RV_LETTER_NET_NONE. */
RV_API int64_t rv_letter_net_size(const rv_letter_net_config *config);
/** The vector of each of n positions that hold the words `which` -> (n, rv_letter_net_size). A word's vector depends on
 *  its letters alone, to the bit. The order of the words, more padding, or words that no position has change no bit of
 *  any gradient either, if no two words have the same letters. Nothing of `words` or `which` is read after the call.
 *  NULL: sticky error (RV_EDATA for a length, a letter or a word that is not there). */
RV_API rv_tensor *rv_letter_net_read(rv_tape *tape, const rv_letter_net *l, const rv_words *words, const int32_t *which,
                                     int64_t n);

#endif

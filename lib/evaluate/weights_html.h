/** A page of texts that were classified, their words shaded by what the pooling gave them. */
#ifndef RV_EVALUATE_WEIGHTS_HTML_H
#define RV_EVALUATE_WEIGHTS_HTML_H

#include <stdint.h>

#include "base/status.h"
#include "tensor/tensor.h"

typedef struct {
    int64_t line;     /**< where the text stood, from 1 */
    const char *told; /**< the class */
    double probability;
    const char *reference; /**< the true class, or NULL */
    int64_t n;
    const char *const *token; /**< (n) labels (rv_tokenizer_label), <eos> last */
    const rv_real *weights;   /**< (n) in 0..1 */
} rv_weighted_text;

/** Write one self-contained HTML page (no scripts, nothing from the network, light and dark, printable) of n texts of
 * one model: what it told of each, and its words, the one of most weight in a text being the strongest; a word's
 * tooltip gives its number. Where some labels start with "\s" these begin words. Text is escaped. `model` is part of
 * the heading. The file appears whole or not at all. Errors: RV_EDATA with the path. */
RV_API rv_status rv_weights_html(const char *path, const char *model, int64_t n, const rv_weighted_text *t);

#endif

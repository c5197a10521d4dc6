/** Pictures of attention: one page for many sentences, or one SVG for one.
 *
 *  Cells are shaded by weight, source words along the top and target words down the side, as in figure 3 of
 *  [Bahdanau 2015]; lightness alone carries the value, so colour blindness and print lose nothing. */
#ifndef RV_EVALUATE_ALIGNMENT_HTML_H
#define RV_EVALUATE_ALIGNMENT_HTML_H

#include "evaluate/alignment.h"

/** Write one self-contained HTML page (no scripts, nothing from the network, light and dark, printable) of n >= 1
 * sentences of one model: for each its texts and its heat map; with several heads their mean, the one of the lowest
 * mean entropy over all sentences (rv_alignment_sharpest) and every layer's heads, small. A cell's tooltip gives its
 * number. Where some labels start with "\s" (see rv_tokenizer_label), these begin words, and a point marks the pieces
 * that continue one. Text is escaped. `model` is the heading. The file appears whole or not at all. Errors: RV_EDATA
 * with the path (no sentences, different numbers of heads, a weight outside 0..1, a file that cannot be written),
 * RV_ENOMEM. */
RV_API rv_status rv_alignment_html(const char *path, const char *model, int64_t n, const rv_alignment *a);

/** Write the heat map of one head (layer, head; -1, -1: the mean of all) as an SVG of its own, dark on a light ground
 * of its own, so that it reads on light and dark pages alike. Errors as above, and RV_EUSAGE for a head that is not
 * there. */
RV_API rv_status rv_alignment_svg(const char *path, const rv_alignment *a, int layer, int head);

#endif

/** Parallel text for translation: files of aligned lines to pairs of ids. */
#ifndef RV_DATA_PARALLEL_H
#define RV_DATA_PARALLEL_H

#include <stdint.h>

#include "base/status.h"
#include "data/pairs.h"
#include "data/tokenizer.h"

/** Two files, plain or gzip, line i of the one the translation of line i of the other; or, with tgt NULL, one file of
 *  lines "source<TAB>target". Lines are rv_text_line's; one of white space alone counts as empty. Both NULL: there is
 * no such split. */
typedef struct {
    const char *src, *tgt;
} rv_parallel_paths;

typedef struct {
    rv_parallel_paths train, valid, test;
    double train_fraction; /**< in (0, 1): of train's pairs, the others become valid, which is not given then; 0: all */
    int columns[2]; /**< where tgt is NULL: a line's columns of source and target, from 1; {0, 0}: it has these two
                       alone */
} rv_parallel_files;

typedef struct {
    rv_pairs train, valid, test;
    rv_tokenizer *src, *tgt; /**< the same one if joint */
    uint64_t hash; /**< XXH3 of the files' text and of how many training pairs were kept: tells a resumed run that its
                      data has changed */
} rv_parallel;

/** Read and tokenise. With src_tok and tgt_tok NULL, tokenizers are trained after `spec` on the train split's lines
 * alone (none left out): one on both sides together if `joint`, else one for each side; always with <pad> <bos> <eos>
 * <unk>. Otherwise *spec is unused (may be NULL) and the given ones are taken over, even on error; joint: tgt_tok may
 * be NULL or the same as src_tok; they need <pad> <bos> <eos>, and the train split may be absent. With train_fraction,
 * the pairs held back are spread evenly over the file, and those one after another with the same source stay together:
 * the same file is always cut in the same way. Training pairs with a side that is empty or has over max_length tokens
 * (0: no limit) are left out, counted and logged; valid and test keep every line. Errors: RV_EDATA (absent, empty or
 * damaged files, invalid UTF-8, unequal line counts, a line without exactly one tab or its columns, too few to hold
 * some back, no training pair left), RV_EUSAGE, RV_ENOMEM. Free with rv_parallel_free. */
RV_API rv_status rv_parallel_load(const rv_parallel_files *files, const rv_tokenizer_spec *spec, bool joint,
                                  rv_tokenizer *src_tok, rv_tokenizer *tgt_tok, int64_t max_length, rv_parallel *out);
RV_API void rv_parallel_free(rv_parallel *p);

#endif

/** Pretrained word vectors in files of text, for the words of a vocabulary. */
#ifndef RV_DATA_VECTORS_H
#define RV_DATA_VECTORS_H

#include <stdint.h>

#include "data/tokenizer.h"
#include "tensor/tensor.h"

/** What a file of vectors had. */
typedef struct {
    int64_t lines;   /**< of vectors */
    int64_t exact;   /**< ids of the vocabulary whose word is in the file as it is */
    int64_t lowered; /**< others whose word is there in lower case */
    int64_t skipped; /**< lines whose word is no valid UTF-8, or none at all, or has blanks: no vocabulary has it */
} rv_vectors_found;

/** Read the vectors of a vocabulary's words from the file `path`, plain or gzip, line by line: "word x1 ... xn" [GloVe:
 *  Pennington 2014], with a first line "count n" if it has one [word2vec: Mikolov 2013, written as text]. words: a
 *  tokenizer of type word. table (V, width): the row of each word that is found is written, the others stay as they
 *  are. A word is looked for as it is, else in lower case; of several lines of a word the first counts, and "<unk>" is
 *  the special one. Errors: RV_EUSAGE (another type of tokenizer), RV_EDATA with file:line (absent or damaged files,
 *  another number of numbers than width, one that is none or not finite), after which the table is as far as it came;
 *  RV_ENOMEM. */
RV_API rv_status rv_vectors_read(const char *path, rv_tokenizer *words, int64_t width, rv_real *table,
                                 rv_vectors_found *out);

#endif

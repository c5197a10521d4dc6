/** A corpus for language models: text files to splits of ids. */
#ifndef RV_DATA_CORPUS_H
#define RV_DATA_CORPUS_H

#include <stdint.h>

#include "base/status.h"
#include "data/tokenizer.h"

/** Either `text`, cut into train (the first train_fraction of its characters, rounded down), valid and test (the last
 * test_fraction); or `train` with `valid` and `test` as they are given. All are paths, plain or gzip. */
typedef struct {
    const char *text, *train, *valid, *test;
    double train_fraction; /**< of `text`'s characters, in (0, 1]; 0 means 0.9 */
    double test_fraction;  /**< of them, from the end; what is between validates */
    rv_text_format format; /**< of the files; of another than text, the sentences are the text, one a line */
    bool keep_line_ends;   /**< false: \r\n becomes \n (rv_text_unify_line_ends), with a line in the log */
    uint64_t kept_hash; /**< line ends stay in a text of this rv_corpus hash, too: of a run that began before they were
                           unified; 0: none */
} rv_corpus_files;

typedef struct {
    int32_t *ids;
    int64_t n;
    int64_t unknown;     /**< ids that are <unk>: what they stand for, they do not say */
    rv_tokens_text text; /**< train: without length */
} rv_split;

typedef struct {
    rv_split train, valid, test; /**< ids NULL and n 0 for one that was not given */
    rv_tokenizer *tokenizer;
    uint64_t hash; /**< XXH3 of the splits' text: tells a resumed run that its data has changed */
} rv_corpus;

/** Read, split and tokenise. With `tokenizer` NULL one is trained after `spec`: word and bpe on the train split alone,
 * char on all splits (as is usual: else one unseen sign would stop the run). Otherwise *spec is unused, and the corpus
 * takes `tokenizer` over, even on error. Errors: RV_EDATA (files, empty ones too, nothing to train on, unknown
 * characters), RV_EUSAGE (fraction), RV_ENOMEM. Free with rv_corpus_free. */
RV_API rv_status rv_corpus_load(const rv_corpus_files *files, const rv_tokenizer_spec *spec, rv_tokenizer *tokenizer,
                                rv_corpus *out);
RV_API void rv_corpus_free(rv_corpus *c);

#endif

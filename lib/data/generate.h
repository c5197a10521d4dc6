/** Generated tasks: data whose answer is known, the same bytes on every machine for equal settings.
 *
 *  Each split is written twice: SPLIT.tsv with lines "source<TAB>target", and SPLIT.txt with lines "source=target" for
 *  language models. Aligned tasks come with SPLIT.align: for each line the pairs "i-j" of a source and a target word,
 *  from 0, that translate each other (words are what a space separates). Tagged tasks have lines "word<TAB>tag" in
 *  SPLIT.tsv, and an empty one behind each sentence (a data set's format is then "columns"); SPLIT.txt has the words, a
 *  sentence a line. An example's split is decided by a hash of its source (dates: of its target), so no example is in
 *  two splits. */
#ifndef RV_DATA_GENERATE_H
#define RV_DATA_GENERATE_H

#include <stdint.h>

#include "base/status.h"

typedef struct {
    char task[16];
    uint64_t seed;
    int64_t train, valid, test;     /**< examples */
    int64_t min_length, max_length; /**< of the sequence: letters, numbers, pairs, or words; dates has none */
} rv_generator;

enum { RV_TASK_LENGTH_MAX = 4096 };

/** The settings that `name` comes with. Error: RV_EUSAGE, naming the tasks there are. */
RV_API rv_status rv_generator_defaults(const char *name, rv_generator *out);
/** Write all files into the folder, which must exist. Errors: RV_EUSAGE (settings out of range, or too few distinct
 *  examples), RV_EDATA (cannot write). */
RV_API rv_status rv_generator_write(const rv_generator *task, const char *folder);
/** One line that tells settings apart; equal for equal files. Returns buf. */
RV_API const char *rv_generator_text(const rv_generator *task, char *buf, size_t size);
/** True if the task writes alignments. */
RV_API bool rv_generator_aligned(const char *name);
/** Name and summary of task i; false past the last. */
RV_API bool rv_generator_list(int i, const char **name, const char **summary);

#endif

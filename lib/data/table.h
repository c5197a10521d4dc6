/** Labelled texts for classification: files of rows, each a text and its class, to ids and class numbers. */
#ifndef RV_DATA_TABLE_H
#define RV_DATA_TABLE_H

#include <stdint.h>

#include "base/status.h"
#include "data/pairs.h"
#include "data/tokenizer.h"

/** How a file writes its rows. Of both, a line with nothing in it is no row, and all rows have equally many columns.
 *  tsv: columns parted by tabs, nothing quoted. csv [RFC 4180]: parted by commas; in a quoted field "" is one quote,
 *  and an end of line reads as a blank. Backslashes and entities stay as they are. */
typedef enum { RV_TABLE_TSV, RV_TABLE_CSV } rv_table_file_format;

enum { RV_TABLE_COLUMNS = 64, RV_TABLE_CLASSES = 65536 }; /* at most so many */

/** Files, plain or gzip; those that are NULL are not given. Or train alone, of which fractions are held back: */
typedef struct {
    const char *train, *valid, *test;
    double train_fraction; /**< of train's rows, in (0, 1), what trains; what then is neither train's nor test's becomes
                                valid. 0: all but test_fraction trains, and valid may be a file */
    double test_fraction;  /**< of train's rows, in [0, 1), what becomes test; 0: none, and test may be a file */
    rv_table_file_format format;
    int text_columns[RV_TABLE_COLUMNS]; /**< of the text, from 1, joined by a blank in this order without empty ones */
    int n_text;                         /**< 0: all columns but the label's */
    int label_column;                   /**< from 1; 0: tsv 2, csv 1. Blanks around a label are no part of it */
    bool header;                        /**< the first row of each file has the columns' names */
} rv_table_files;

typedef struct {
    rv_pairs pairs; /**< texts as sources, without a target side; tgt[i]: text i's label in the file; line is set */
    int32_t *label; /**< (n) the number of each text's class, in [0, n_classes) */
    int64_t cut;    /**< texts that were cut to max_length tokens */
} rv_table_part;

typedef struct {
    rv_table_part train, valid, test; /**< without examples (n 0, pointers NULL) where not given */
    int n_classes;
    char **class_name; /**< (n_classes) */
    rv_tokenizer *tokenizer;
    uint64_t hash; /**< XXH3 of the parts' texts and labels, how many there are, and how many were cut: tells a resumed
                        run that its data has changed */
} rv_table;

/** Read, split and tokenise. With `tokenizer` NULL one is trained after `spec`, on the train part's texts alone,
 *  with <pad> <bos> <eos> <unk>. Otherwise *spec is unused (may be NULL) and the table takes the given one over,
 *  even on error; it needs <pad> <bos> <eos>. With `classes` NULL they are the labels of the train part: sorted by
 *  value if all are whole numbers, else by their bytes. Otherwise they are the n_classes given ones, in that order,
 *  and copied. With both given, the train part may be absent.
 *  Texts held back are spread evenly over those of each class, and equal ones one after another stay together: the same
 * file is always cut in the same way. No example is left out: texts over max_length tokens (0: no limit) are cut, with
 *  a warning that counts them, and empty ones stay. Errors: RV_EDATA with file:line (absent, empty or damaged
 *  files, invalid UTF-8, columns that are missing or too many, an open quote, no label, a label that is no class,
 *  fewer than 2 classes or over RV_TABLE_CLASSES, too few rows to hold some back); RV_EUSAGE; RV_ENOMEM. Free with
 *  rv_table_free. */
RV_API rv_status rv_table_load(const rv_table_files *files, const rv_tokenizer_spec *spec, rv_tokenizer *tokenizer,
                               const char *const *classes, int n_classes, int64_t max_length, rv_table *out);
RV_API void rv_table_free(rv_table *t);

#endif
